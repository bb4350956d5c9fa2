/* plugins/movement/slice.c: takes every step-th element between two ends, along some axes.
 *
 * ONNX: Slice, numpy's slicing. Starts and ends below zero count from the end and are then clamped
 * to the extent; a negative step walks backwards.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* Far enough out to mean "to the end", as exporters write INT32_MAX or INT64_MAX. */
#define SLICE_FAR ((INT64_C(1) << 31) - 1)

/* ---- one axis --------------------------------------------------------------------------- */

typedef struct span {
    int64_t start, step, count;
} span;

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The mathematics of the standard, for numbers. step is not 0. */
static span span_of(int64_t extent, int64_t start, int64_t end, int64_t step)
{
    span s = { 0, step == INT64_MIN ? -INT64_MAX : step, 0 };
    start = start < 0 ? (start < -extent ? -1 : start + extent) : start;
    end = end < 0 ? (end < -extent ? -1 : end + extent) : end;
    if (extent == 0)
        return s;
    if (s.step > 0) {
        s.start = clamp(start, 0, extent);
        end = clamp(end, 0, extent);
        s.count = end > s.start ? 1 + (end - s.start - 1) / s.step : 0;
    } else {
        s.start = clamp(start, 0, extent - 1);
        end = clamp(end, -1, extent - 1);
        s.count = s.start > end ? 1 + (s.start - end - 1) / -s.step : 0;
    }
    return s;
}

/* ---- inference -------------------------------------------------------------------------- */

typedef struct slices {
    int64_t count; /* axes that are cut; -1: not known */
    tn_dim starts[MOVE_ELEMENTS], ends[MOVE_ELEMENTS], axes[MOVE_ELEMENTS], steps[MOVE_ELEMENTS];
} slices;

static tn_dim dim_op(tn_infer *ctx, uint32_t op, tn_dim a, tn_dim b)
{
    return ctx->call.host->dim_op(&ctx->call, op, a, b);
}

static int not_negative(tn_infer *ctx, tn_dim a)
{
    if (tn_dim_known(a))
        return a >= 0;
    return a != TN_DIM_UNKNOWN &&
           ctx->call.host->dim_equal(&ctx->call, dim_op(ctx, TN_DIM_MAX, a, 0), a) == TN_YES;
}

/* A start or end within an extent: min(v, extent) from zero on, max(v + extent, 0) below. */
static tn_dim within(tn_infer *ctx, tn_dim v, tn_dim extent)
{
    if (tn_dim_known(v) && v == 0)
        return 0;
    if (tn_dim_known(v) && v >= SLICE_FAR)
        return extent;
    if (not_negative(ctx, v))
        return ctx->call.host->dim_equal(&ctx->call, v, extent) == TN_YES
                   ? v
                   : dim_op(ctx, TN_DIM_MIN, v, extent);
    if (!tn_dim_known(v))
        return TN_DIM_UNKNOWN;
    return dim_op(ctx, TN_DIM_MAX, dim_op(ctx, TN_DIM_ADD, extent, v), 0);
}

static tn_dim span_extent(tn_infer *ctx, tn_dim extent, tn_dim start, tn_dim end, tn_dim step)
{
    if (!tn_dim_known(step))
        return TN_DIM_UNKNOWN;
    if (tn_dim_known(extent) && tn_dim_known(start) && tn_dim_known(end))
        return span_of(extent, start, end, step).count;
    if (step < 0) { /* only whole axes backwards */
        const int whole = tn_dim_known(start) && tn_dim_known(end) &&
                          (start == -1 || start >= SLICE_FAR) && end <= -SLICE_FAR;
        return whole ? tn_dim_ceildiv(ctx, extent, -step) : TN_DIM_UNKNOWN;
    }
    /* A start beyond the end leaves nothing, clamped or not. */
    const tn_dim from = start < SLICE_FAR && not_negative(ctx, start) ? start
                                                                      : within(ctx, start, extent);
    const tn_dim to = within(ctx, end, extent);
    tn_dim length = to;
    if (!tn_dim_known(from) || from != 0)
        length = dim_op(ctx, TN_DIM_MAX, dim_op(ctx, TN_DIM_SUB, to, from), 0);
    return step == 1 ? length : tn_dim_ceildiv(ctx, length, step);
}

/* Reads one of the vectors; where only its length is known its elements are unknown. */
static int64_t read_vector(tn_infer *ctx, uint32_t k, tn_dim *out)
{
    const int64_t found = move_elements(ctx, k, out);
    const int64_t count = found >= 0 ? found : move_length(ctx, k);
    for (int64_t i = 0; found < 0 && i < count && i < MOVE_ELEMENTS; i++)
        out[i] = TN_DIM_UNKNOWN;
    return count > MOVE_ELEMENTS ? -1 : count;
}

/* Fills in omitted axes and steps, and checks that the vectors have one length. Answers 0 after a
 * complaint. */
static int read_slices(tn_infer *ctx, slices *s)
{
    static const char *const names[] = { "data", "starts", "ends", "axes", "steps" };
    tn_dim *const vectors[] = { NULL, s->starts, s->ends, s->axes, s->steps };
    s->count = -1;
    for (uint32_t k = 1; k < 5; k++) {
        const int64_t count = move_present(ctx, k) ? read_vector(ctx, k, vectors[k]) : -1;
        if (count >= 0 && s->count >= 0 && count != s->count) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' has %lld elements: expected %lld as in 'starts'",
                                     names[k], (long long)count, (long long)s->count);
            return 0;
        }
        s->count = count >= 0 ? count : s->count;
        for (int64_t i = count < 0 ? 0 : MOVE_ELEMENTS; i < MOVE_ELEMENTS; i++)
            vectors[k][i] = move_present(ctx, k) ? TN_DIM_UNKNOWN : k == 3 ? i : 1;
    }
    return 1;
}

static int check_steps(tn_infer *ctx, const slices *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        if (s->steps[i] != 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 4, NULL,
                                 "steps[%lld] is 0: expected a step forwards or backwards",
                                 (long long)i);
        return 0;
    }
    return 1;
}

/* Elements of a small integer vector. */
static tn_status slice_elements(tn_infer *ctx, const slices *s)
{
    tn_dim all[MOVE_ELEMENTS], taken[MOVE_ELEMENTS];
    const int64_t extent = move_elements(ctx, 0, all);
    if (extent < 0 || s->count != 1 || !tn_dim_known(s->starts[0]) || !tn_dim_known(s->ends[0]) ||
        !tn_dim_known(s->steps[0]))
        return TN_OK;
    const span part = span_of(extent, s->starts[0], s->ends[0], s->steps[0]);
    for (int64_t i = 0; i < part.count; i++)
        taken[i] = all[part.start + i * part.step];
    return ctx->call.host->output_elements(&ctx->call, 0, taken, part.count);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    slices s;
    if (!data || data->rank < 0 || !read_slices(ctx, &s) || !check_steps(ctx, &s))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (s.count > data->rank && !move_present(ctx, 3)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'starts' has %lld elements: expected at most %d, the rank "
                                 "of input 'data'",
                                 (long long)s.count, (int)data->rank);
        return TN_OK;
    }
    for (int64_t i = 0; i < (s.count < 0 ? 1 : s.count); i++) {
        if (s.count < 0 || !tn_dim_known(s.axes[i])) { /* any axis may be cut */
            for (int32_t axis = 0; axis < out->rank; axis++)
                out->dims[axis] = TN_DIM_UNKNOWN;
            return TN_OK;
        }
    }
    for (int64_t i = 0; i < s.count; i++) {
        const int32_t axis = move_axis_element(ctx, 3, i, s.axes[i], data->rank);
        if (axis < 0)
            return TN_OK;
        out->dims[axis] = span_extent(ctx, data->dims[axis], s.starts[i], s.ends[i], s.steps[i]);
    }
    return data->rank == 1 && (TN_BIT(out->dtype) & TN_MASK_INTEGER) ? slice_elements(ctx, &s)
                                                                     : TN_OK;
}

/* With steps of one and no extent lost, nothing is. */
static int32_t identity(const tn_identity *query)
{
    if (!move_same_shape(query->inputs[0], query->outputs[0]))
        return -1;
    if (query->node->input_count < 5 || query->node->inputs[4] == TN_NONE)
        return 0;
    const tn_tensor *steps = query->constants[4];
    for (int64_t i = 0; steps && i < tn_count(steps); i++) {
        if (tn_get_int(steps->dtype, steps->data, i) != 1)
            return -1;
    }
    return steps ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0];
    slices s;
    if (!data || data->rank < 1 || !read_slices(ctx, &s) || s.count < 0)
        return TN_NO_MATCH;
    for (int64_t i = 0; i < s.count; i++) {
        if (!tn_dim_known(s.axes[i]) || tn_axis(s.axes[i], data->rank) < 1)
            return TN_NO_MATCH;
    }
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == 0 ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

static const tn_tensor *constant_of(const tn_identity *query, uint32_t k)
{
    return k < query->node->input_count ? query->constants[k] : NULL;
}

static int is_computed(const tn_identity *query, uint32_t k)
{
    return k < query->node->input_count && query->inputs[k] && !query->constants[k];
}

/* A piece when, of the axes that are cut, one loses elements, and none is stepped over. */
static tn_status pieces(const tn_identity *query, tn_pieces *out)
{
    const tn_type *data = query->inputs[0], *part = query->outputs[0];
    const tn_tensor *axes = constant_of(query, 3), *steps = constant_of(query, 4);
    for (uint32_t k = 1; k < 5; k++) {
        if (is_computed(query, k))
            return TN_NO_MATCH;
    }
    out->axis = -1;
    for (int64_t i = 0; i < tn_count(query->constants[1]); i++) {
        const int32_t axis = tn_axis(axes ? tn_get_int(axes->dtype, axes->data, i) : i, data->rank);
        if (axis < 0 || (steps && tn_get_int(steps->dtype, steps->data, i) != 1))
            return TN_NO_MATCH;
        if (part->dims[axis] == data->dims[axis])
            continue;
        if (out->axis >= 0)
            return TN_NO_MATCH;
        const tn_tensor *starts = query->constants[1], *ends = query->constants[2];
        out->axis = axis;
        out->begins[0] = span_of(data->dims[axis], tn_get_int(starts->dtype, starts->data, i),
                                 tn_get_int(ends->dtype, ends->data, i), 1)
                             .start;
    }
    out->cuts = 1;
    return out->axis < 0 ? TN_NO_MATCH : TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static int64_t value_at(const tn_run *ctx, uint32_t k, int64_t i, int64_t otherwise)
{
    const tn_tensor *input = k < ctx->input_count ? ctx->inputs[k] : NULL;
    return input ? tn_get_int(input->dtype, input->data, i) : otherwise;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *data = ctx->inputs[0];
    tn_tensor *out = ctx->outputs[0];
    move_box box = { .rank = data->rank, .width = tn_dtype_bits(data->dtype) / 8 };
    int64_t from = 0;
    (void)state, (void)slot;
    tn_row_major(data->rank, data->dims, box.from_strides);
    tn_row_major(out->rank, out->dims, box.to_strides);
    for (int32_t axis = 0; axis < out->rank; axis++)
        box.dims[axis] = out->dims[axis];
    for (int64_t i = 0; i < tn_count(ctx->inputs[1]); i++) {
        const int32_t axis = tn_axis(value_at(ctx, 3, i, i), data->rank);
        const int64_t step = value_at(ctx, 4, i, 1);
        if (axis < 0 || step == 0)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "axes[%lld] is %lld with step %lld: expected an axis in [%d, %d) and a "
                           "step that is not 0",
                           (long long)i, (long long)value_at(ctx, 3, i, i), (long long)step,
                           -(int)data->rank, (int)data->rank);
        const span part = span_of(data->dims[axis], value_at(ctx, 1, i, 0), value_at(ctx, 2, i, 0),
                                  step);
        if (part.count != out->dims[axis])
            return tn_fail(ctx, TN_ERR_VALUE,
                           "axis %d keeps %lld elements: expected %lld as inferred", (int)axis,
                           (long long)part.count, (long long)out->dims[axis]);
        from += part.start * box.from_strides[axis];
        /* A step along a single element may be too large to multiply. */
        box.from_strides[axis] *= part.count > 1 ? part.step : 1;
    }
    if (tn_count(out) == 0)
        return TN_OK;
    box.from = (const char *)data->data + from * (int64_t)box.width;
    box.to = out->data;
    return move_run(&ctx->call, &box);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "The tensor to cut from." },
    { "starts", "Tind", MOVE_INDEX, 0, 0, "First index along each axis; below 0 from the end." },
    { "ends", "Tind", MOVE_INDEX, 0, 0, "Index behind the last one along each axis." },
    { "axes", "Tind", MOVE_INDEX, TN_PARAM_OPTIONAL, 0, "The axes; the first ones if absent." },
    { "steps", "Tind", MOVE_INDEX, TN_PARAM_OPTIONAL, 0, "Steps, not 0; 1 if absent." },
};
static const tn_param_def outputs[] = { { "output", "T", MOVE_TYPES, 0, 0, "What was taken." } };

/* ---- set 1: bounds as attributes ----------------------------------------------------------- */

static const tn_attribute_def old_attributes[] = {
    { .name = "axes", .type = TN_ATTR_INTS, .doc = "The axes; the first ones if absent." },
    { .name = "ends",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Index behind the last one along each axis." },
    { .name = "starts",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "First index along each axis." },
};

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_ints_to_input(&e, "starts", 1);
    tn_edit_ints_to_input(&e, "ends", 2);
    tn_edit_ints_to_input(&e, "axes", 3);
    return e.status;
}

tn_status slice_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 10,
        .name = "Slice",
        .doc = "Takes every step-th element between two ends along some axes, as numpy does.",
        .inputs = inputs,
        .input_count = 5,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .samplewise = samplewise,
        .pieces = pieces,
        .upgrade = upgrade,
    };
    tn_operator_def old = tn_old_version(&op, 1, 1);
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Slice",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    old.input_count = 1;
    old.attributes = old_attributes;
    old.attribute_count = 3;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
