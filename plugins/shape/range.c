/* plugins/shape/range.c: numbers at equal distances.
 *
 * ONNX: Range. max(ceil((limit - start) / delta), 0) elements, start + i * delta. Integers are
 * exact, float and double are computed in double and rounded once; float16 and bfloat16 (set 27) in
 * what stash_type says, float by default, and then rounded. In the shapes of exporters a bound is
 * often an extent: number and elements follow as expressions.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- how many --------------------------------------------------------------------------- */

/* Of whole numbers; delta is not 0. -1: more than can be counted. */
static int64_t count_ints(int64_t start, int64_t limit, int64_t delta)
{
    if (delta > 0 ? limit <= start : limit >= start)
        return 0;
    const uint64_t way = delta > 0 ? (uint64_t)limit - (uint64_t)start
                                   : (uint64_t)start - (uint64_t)limit;
    const uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    const uint64_t count = (way - 1) / step + 1;
    return count > (UINT64_C(1) << 62) ? -1 : (int64_t)count;
}

/* -1: no number. */
static int64_t count_floats(double start, double limit, double delta)
{
    const double count = ceil((limit - start) / delta);
    if (!(count < 0x1p62))
        return -1;
    return count > 0 ? (int64_t)count : 0;
}

/* float16 and bfloat16 become what stash_type says, which holds them exactly. */
static int64_t count_of(const tn_tensor *const *bounds)
{
    const uint32_t dtype = bounds[0]->dtype;
    if (tn_dtype_is_float(dtype))
        return count_floats(tn_get_double(dtype, bounds[0]->data, 0),
                            tn_get_double(dtype, bounds[1]->data, 0),
                            tn_get_double(dtype, bounds[2]->data, 0));
    return count_ints(tn_get_int(dtype, bounds[0]->data, 0), tn_get_int(dtype, bounds[1]->data, 0),
                      tn_get_int(dtype, bounds[2]->data, 0));
}

/* ---- inference -------------------------------------------------------------------------- */

static tn_dim dim_op(tn_infer *ctx, uint32_t op, tn_dim a, tn_dim b)
{
    return ctx->call.host->dim_op(&ctx->call, op, a, b);
}

/* Elements start + i * delta of a range whose length is known. */
static tn_status range_elements(tn_infer *ctx, tn_dim start, tn_dim delta, tn_dim count)
{
    tn_dim elements[SHAPE_ELEMENTS];
    if (!tn_dim_known(count) || count > SHAPE_ELEMENTS)
        return TN_OK;
    for (int64_t i = 0; i < count; i++)
        elements[i] = dim_op(ctx, TN_DIM_ADD, start, dim_op(ctx, TN_DIM_MUL, delta, i));
    return ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

/* From the elements of integer inputs. */
static tn_status infer_symbols(tn_infer *ctx)
{
    tn_dim bounds[3];
    for (uint32_t k = 0; k < 3; k++) {
        tn_dim elements[SHAPE_ELEMENTS];
        if (shape_elements(ctx, k, elements) != 1)
            return TN_OK;
        bounds[k] = elements[0];
    }
    const tn_dim start = bounds[0], delta = bounds[2];
    if (!tn_dim_known(delta) || delta == 0)
        return TN_OK;
    const tn_dim way = delta > 0 ? dim_op(ctx, TN_DIM_SUB, bounds[1], start)
                                 : dim_op(ctx, TN_DIM_SUB, start, bounds[1]);
    const tn_dim count = dim_op(ctx, TN_DIM_CEILDIV, way, delta > 0 ? delta : -delta);
    /* The host knows that a symbol is not negative: where that decides, max goes away. */
    const tn_dim clamped = dim_op(ctx, TN_DIM_MAX, count, 0);
    ctx->outputs[0].dims[0] = clamped;
    return range_elements(ctx, start, delta, clamped);
}

/* Answers 0 after a complaint. */
static int check_scalars(tn_infer *ctx)
{
    static const char *const names[] = { "start", "limit", "delta" };
    for (uint32_t k = 0; k < 3; k++) {
        const tn_type *type = ctx->inputs[k];
        if (!type || type->rank <= 0)
            continue;
        if (type->rank == 1 && (!tn_dim_known(type->dims[0]) || type->dims[0] == 1))
            continue; /* exporters write vectors of one element */
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected a scalar", names[k],
                                 (int)type->rank);
        return 0;
    }
    return 1;
}

/* 1: as stated; 0 after a complaint. */
static int check_stash(tn_infer *ctx)
{
    const int64_t stash = tn_attr_int(ctx->node, "stash_type", TN_FLOAT32);
    if (stash == TN_FLOAT32 || stash == TN_FLOAT64)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "stash_type",
                             "stash_type is %lld: expected 1 (float32) or 11 (float64)",
                             (long long)stash);
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_tensor *bounds[3];
    int known = 1;
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = TN_DIM_UNKNOWN;
    if (!check_scalars(ctx) || !check_stash(ctx))
        return TN_OK;
    for (uint32_t k = 0; k < 3; k++) {
        bounds[k] = ctx->call.host->input_value(&ctx->call, k);
        known = known && bounds[k] && tn_count(bounds[k]) == 1;
    }
    const tn_tensor *delta = bounds[2];
    if (delta && tn_count(delta) == 1 && delta->dtype != TN_STRING &&
        tn_get_double(delta->dtype, delta->data, 0) == 0.0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 2, NULL,
                                 "delta is 0: expected a step forwards or backwards");
        return TN_OK;
    }
    if (!known)
        return ctx->inputs[0] && (TN_BIT(ctx->inputs[0]->dtype) & TN_MASK_INTEGER)
                   ? infer_symbols(ctx)
                   : TN_OK;
    const int64_t count = count_of(bounds);
    if (count < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_NODE, 0, NULL,
                                 "start, limit and delta give no finite number of elements");
        return TN_OK;
    }
    ctx->outputs[0].dims[0] = count;
    if (!(TN_BIT(bounds[0]->dtype) & TN_MASK_INTEGER))
        return TN_OK;
    return range_elements(ctx, tn_get_int(bounds[0]->dtype, bounds[0]->data, 0),
                          tn_get_int(delta->dtype, delta->data, 0), count);
}

/* ---- kernel ----------------------------------------------------------------------------- */

static void fill_floats(tn_tensor *out, int64_t n, double start, double delta, int as_float)
{
    for (int64_t i = 0; i < n; i++) {
        const float narrow = (float)start + (float)i * (float)delta;
        tn_set_float(out->dtype, out->data, i,
                     as_float ? (double)narrow : start + (double)i * delta);
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    tn_tensor *out = ctx->outputs[0];
    const tn_tensor *start = ctx->inputs[0], *delta = ctx->inputs[2];
    const int64_t n = out->dims[0];
    (void)state, (void)slot;
    if (tn_count(start) != 1 || tn_count(ctx->inputs[1]) != 1 || tn_count(delta) != 1 ||
        count_of(ctx->inputs) != n)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "start, limit and delta do not give the %lld elements that were inferred",
                       (long long)n);
    if (tn_dtype_is_float(out->dtype)) {
        const int half = out->dtype == TN_FLOAT16 || out->dtype == TN_BFLOAT16;
        fill_floats(out, n, tn_get_double(start->dtype, start->data, 0),
                    tn_get_double(delta->dtype, delta->data, 0),
                    half && tn_attr_int(ctx->node, "stash_type", TN_FLOAT32) == TN_FLOAT32);
        return TN_OK;
    }
    const uint64_t first = (uint64_t)tn_get_int(start->dtype, start->data, 0);
    const uint64_t step = (uint64_t)tn_get_int(delta->dtype, delta->data, 0);
    for (int64_t i = 0; i < n; i++)
        tn_set_int(out->dtype, out->data, i, (int64_t)(first + (uint64_t)i * step));
    return TN_OK;
}

/* ---- as other operators --------------------------------------------------------------------- */

enum { START, LIMIT, DELTA };

static tn_value_id put_cast(tn_edit *e, tn_value_id x, uint32_t dtype)
{
    return tn_put_with(e, "Cast", x, TN_NONE, "to", dtype);
}

/* The three bounds as scalars of one type. */
static void put_bounds(tn_edit *e, uint32_t dtype, tn_value_id *out)
{
    const int64_t no_axes = 0;
    const tn_value_id scalar = tn_put_constant(e, TN_INT64, 1, 0, &no_axes);
    for (uint32_t k = START; k <= DELTA; k++) {
        const tn_type *type = tn_edit_type(e, tn_edit_input(e, k));
        out[k] = put_cast(e, tn_edit_input(e, k), dtype);
        if (!type || type->rank != 0)
            out[k] = tn_put_reshape(e, out[k], scalar);
    }
}

/* max(ceil((limit - start) / delta), 0), in double. */
static tn_value_id put_count_of_floats(tn_edit *e)
{
    tn_value_id bounds[3];
    put_bounds(e, TN_FLOAT64, bounds);
    const tn_value_id way = tn_put(e, "Sub", bounds[LIMIT], bounds[START], TN_NONE, NULL);
    const tn_value_id steps = tn_put(e, "Div", way, bounds[DELTA], TN_NONE, NULL);
    const tn_value_id whole = tn_put(e, "Ceil", steps, TN_NONE, TN_NONE, NULL);
    const tn_value_id none = tn_put_scalar(e, TN_FLOAT64, 0.0);
    return put_cast(e, tn_put(e, "Max", whole, none, TN_NONE, NULL), TN_INT64);
}

/* The same of int64. The way may be longer than int64 reaches: it is divided as uint64. */
static tn_value_id put_count_of_ints(tn_edit *e, const tn_value_id *bounds)
{
    const tn_value_id none = tn_put_scalar(e, TN_INT64, 0.0);
    const tn_value_id up = tn_put(e, "Greater", bounds[DELTA], none, TN_NONE, NULL);
    const tn_value_id far = tn_put(e, "Where", up, bounds[LIMIT], bounds[START], NULL);
    const tn_value_id near = tn_put(e, "Where", up, bounds[START], bounds[LIMIT], NULL);
    const tn_value_id back = tn_put(e, "Neg", bounds[DELTA], TN_NONE, TN_NONE, NULL);
    tn_value_id step = tn_put(e, "Where", up, bounds[DELTA], back, NULL);
    tn_value_id way = tn_put(e, "Sub", far, near, TN_NONE, NULL);
    step = put_cast(e, step, TN_UINT64);
    way = put_cast(e, way, TN_UINT64);
    const tn_value_id rest = tn_put(e, "Mod", way, step, TN_NONE, NULL);
    const tn_value_id more = put_cast(e, put_cast(e, rest, TN_BOOL), TN_INT64);
    tn_value_id count = put_cast(e, tn_put(e, "Div", way, step, TN_NONE, NULL), TN_INT64);
    count = tn_put(e, "Add", count, more, TN_NONE, NULL);
    const tn_value_id any = tn_put(e, "Greater", far, near, TN_NONE, NULL);
    return tn_put(e, "Where", any, count, none, NULL);
}

/* A step of 0 makes as many elements as no shape can have, so that it is an error. */
static tn_value_id put_refusal(tn_edit *e, tn_value_id delta, tn_value_id zero, tn_value_id count)
{
    const tn_value_id stands = tn_put(e, "Equal", delta, zero, TN_NONE, NULL);
    return tn_put(e, "Where", stands, tn_put_scalar(e, TN_INT64, -1.0), count, NULL);
}

/* 0, 1, … below a scalar of int64. */
static tn_value_id put_places(tn_edit *e, tn_value_id count)
{
    const int64_t first = 0;
    const tn_value_id ones = tn_put_ones(e, tn_put_reshape(e, count, tn_put_int(e, 1)));
    const tn_value_id axis = tn_put_constant(e, TN_INT64, 0, 1, &first);
    return tn_put_with(e, "CumSum", ones, axis, "exclusive", 1);
}

/* start + i * delta without a loop: each element is rounded once, as by the kernel. */
static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_type *type = tn_edit_type(&e, tn_edit_input(&e, START));
    const uint32_t dtype = type ? type->dtype : TN_UNDEFINED;
    const int64_t stash = tn_attr_int(tn_edit_view(&e), "stash_type", TN_FLOAT32);
    const int is_narrow = dtype == TN_FLOAT16 || dtype == TN_BFLOAT16;
    tn_value_id bounds[3];
    if (dtype == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of input 'start' is not known");
    const uint32_t wide = !tn_dtype_is_float(dtype) ? TN_INT64
                          : is_narrow               ? (uint32_t)stash
                                                    : TN_FLOAT64;
    put_bounds(&e, wide, bounds);
    tn_value_id count = wide == TN_INT64 ? put_count_of_ints(&e, bounds) : put_count_of_floats(&e);
    count = put_refusal(&e, bounds[DELTA], tn_put_scalar(&e, wide, 0.0), count);
    const tn_value_id places = put_cast(&e, put_places(&e, count), wide);
    tn_value_id y = tn_put(&e, "Mul", places, bounds[DELTA], TN_NONE, NULL);
    y = tn_put(&e, "Add", bounds[START], y, TN_NONE, NULL);
    return tn_edit_give(&e, put_cast(&e, y, dtype));
}

/* ---- tables ----------------------------------------------------------------------------- */

#define RANGE_TYPES (TN_MASK_FLOAT | TN_BIT(TN_INT16) | TN_BIT(TN_INT32) | TN_BIT(TN_INT64))
static const tn_param_def inputs[] = {
    { "start", "T", RANGE_TYPES, 0, 0, "The first number, a scalar." },
    { "limit", "T", RANGE_TYPES, 0, 0, "Where the range ends, itself not in it." },
    { "delta", "T", RANGE_TYPES, 0, 0, "The distance, not 0." },
};
static const tn_param_def outputs[] = { { "output", "T", RANGE_TYPES, 0, 0, "The numbers." } };
static const tn_attribute_def attributes[] = {
    { .name = "stash_type",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = TN_FLOAT32,
      .doc = "What float16 and bfloat16 are computed in: 1 (float32) or 11 (float64)." },
};

tn_status range_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 27,
        .accepts_from = 11,
        .name = "Range",
        .doc = "Numbers at equal distances, from start on and before limit.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = shape_cost,
        .expand = write_out,
    };
    return shape_add(registrar, &op, run, TN_KERNEL_EMPTY);
}
