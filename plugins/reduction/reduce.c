/* plugins/reduction/reduce.c: folds a tensor along some axes.
 *
 * ONNX: ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2,
 * ReduceSumSquare, ReduceLogSum, ReduceLogSumExp, with axes as an input. Without axes all are
 * reduced, or none with noop_with_empty_axes, where the element's own share (a square, an absolute
 * value, a logarithm) still happens. Floating-point types are folded in double and rounded once,
 * NaN wins in Max and Min, LogSumExp subtracts the largest element first. Integers are exact
 * modulo 2^n; their means, roots and logarithms are truncated.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"
#include "tenon/upgrade.h"

typedef enum finish { FINISH_NONE, FINISH_MEAN, FINISH_ROOT, FINISH_LOG } finish;

typedef struct reduction {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    uint32_t flags; /* REDUCE_* */
    const tn_param_def *inputs, *output;
    const fold *fold;
    fold_map map;
    finish finish;
    uint32_t dim_op;  /* on elements of small integer tensors */
    const char *body; /* NULL: it is made of no others */
} reduction;
enum {
    REDUCE_SINGLE = 1, /* the fold of one element is that element */
    REDUCE_SHIFT = 2,  /* a pass for the largest element first */
    REDUCE_DIMS = 4    /* dim_op means something */
};
enum { REDUCE_ELEMENTS = 64 };

/* ---- inference -------------------------------------------------------------------------- */

/* Elements of small integer input k, as numbers and expressions; -1: nothing is known. */
static int64_t elements_of(tn_infer *ctx, uint32_t k, tn_dim *out)
{
    const int64_t count = ctx->call.host->input_elements(&ctx->call, k, out, REDUCE_ELEMENTS);
    return count > REDUCE_ELEMENTS ? -1 : count;
}

/* The axes as bits. 1: known; -1: not known; 0: after a complaint. */
static int known_axes(tn_infer *ctx, int32_t rank, uint32_t *out)
{
    tn_dim axes[REDUCE_ELEMENTS];
    int64_t count = 0;
    *out = 0;
    if (ctx->input_count > 1 && ctx->inputs[1])
        count = elements_of(ctx, 1, axes);
    if (count < 0 && ctx->inputs[1]->rank == 1 && ctx->inputs[1]->dims[0] == 0)
        count = 0;
    if (count < 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        if (!tn_dim_known(axes[i]))
            return -1;
        const int32_t axis = tn_axis(axes[i], rank);
        if (axis < 0 || *out >> axis & 1) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     axis < 0 ? "axes[%lld] is %lld, outside [%d, %d)"
                                              : "axes[%lld] is %lld: expected each axis of "
                                                "[%d, %d) once",
                                     (long long)i, (long long)axes[i], -(int)rank, (int)rank);
            return 0;
        }
        *out |= 1u << axis;
    }
    if (count == 0 && !tn_attr_int(ctx->node, "noop_with_empty_axes", 0))
        *out = (1u << rank) - 1;
    return 1;
}

/* The fold of a small integer vector. */
static tn_status fold_elements(tn_infer *ctx, const reduction *row)
{
    tn_dim elements[REDUCE_ELEMENTS];
    const int64_t count = elements_of(ctx, 0, elements);
    if (count < 1)
        return TN_OK;
    for (int64_t i = 1; i < count; i++)
        elements[0] = ctx->call.host->dim_op(&ctx->call, row->dim_op, elements[0], elements[i]);
    if (tn_dim_known(elements[0]) && ctx->inputs[0]->dtype != TN_INT64 &&
        (elements[0] < INT32_MIN || elements[0] > INT32_MAX))
        elements[0] = TN_DIM_UNKNOWN; /* it wraps around when it runs */
    return ctx->call.host->output_elements(&ctx->call, 0, elements, 1);
}

static tn_status infer(tn_infer *ctx)
{
    const reduction *row = ctx->call.user;
    const tn_type *data = ctx->inputs[0];
    const int keep = tn_attr_int(ctx->node, "keepdims", 1) != 0;
    tn_type *out = &ctx->outputs[0];
    uint32_t axes;
    if (!data || data->rank < 0)
        return TN_OK;
    const int known = known_axes(ctx, data->rank, &axes);
    if (known == 0)
        return TN_OK;
    if (known < 0) { /* how many, at best */
        const tn_type *list = ctx->inputs[1];
        const int counted = list->rank == 1 && tn_dim_known(list->dims[0]);
        if (!keep && (!counted || list->dims[0] > data->rank))
            return TN_OK;
        out->rank = keep ? data->rank : data->rank - (int32_t)list->dims[0];
        for (int32_t axis = 0; axis < out->rank; axis++)
            out->dims[axis] = TN_DIM_UNKNOWN;
        return TN_OK;
    }
    out->rank = 0;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        if (!(axes >> axis & 1))
            out->dims[out->rank++] = data->dims[axis];
        else if (keep)
            out->dims[out->rank++] = 1;
    }
    return row->flags & REDUCE_DIMS && data->rank == 1 && axes == 1 &&
                   (TN_BIT(data->dtype) & TN_MASK_INTEGER)
               ? fold_elements(ctx, row)
               : TN_OK;
}

/* Nothing is folded when the shape stays, extents of 1 being known as such. */
static int32_t identity(const tn_identity *query)
{
    const tn_type *data = query->inputs[0], *out = query->outputs[0];
    const tn_tensor *axes = query->node->input_count > 1 ? query->constants[1] : NULL;
    const int present = query->node->input_count > 1 && query->node->inputs[1] != TN_NONE;
    if ((!present || (axes && tn_count(axes) == 0)) &&
        tn_attr_int(query->node, "noop_with_empty_axes", 0))
        return 0;
    if (!data || !out || data->rank < 0 || data->rank != out->rank)
        return -1;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        const int single = data->dims[axis] == 1 && out->dims[axis] == 1;
        int kept = present && axes;
        for (int64_t i = 0; axes && i < tn_count(axes); i++)
            kept = kept && tn_axis(tn_get_int(axes->dtype, axes->data, i), data->rank) != axis;
        if (!single && !(kept && tn_count(axes) > 0))
            return -1;
    }
    return 0;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    out->ops = 1;
    for (int32_t axis = 0; ctx->inputs[0] && axis < ctx->inputs[0]->rank; axis++)
        out->ops *= (double)ctx->inputs[0]->dims[axis];
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    uint32_t axes;
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1 ||
        known_axes(ctx, ctx->inputs[0]->rank, &axes) < 1 || axes & 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    if (ctx->input_count > 1)
        input_axes[1] = -1;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct reduce_job {
    const reduction *row;
    const tn_tensor *data;
    tn_tensor *out;
    reduce_shape shape;
} reduce_job;

static void finish_doubles(const reduce_job *job, double *sum, int64_t n)
{
    const double count = (double)job->shape.reduced_count;
    for (int64_t i = 0; i < n; i++) {
        if (job->row->finish == FINISH_MEAN)
            sum[i] /= count;
        else if (job->row->finish == FINISH_ROOT)
            sum[i] = sqrt(sum[i]);
        else if (job->row->finish == FINISH_LOG)
            sum[i] = log(sum[i]);
    }
}

/* What is subtracted before the exponential. An infinite maximum is left alone: the sum then is 0
 * or infinite by itself. */
static void shift_by_maximum(const reduce_job *job, int64_t first, int64_t n, double *shift)
{
    fold_doubles(&fold_max, MAP_NONE, job->data, &job->shape, first, n, NULL, shift);
    for (int64_t i = 0; i < n; i++)
        shift[i] = isfinite(shift[i]) ? shift[i] : 0.0;
}

static void double_block(const reduce_job *job, int64_t first, int64_t n)
{
    const int shifted = (job->row->flags & REDUCE_SHIFT) != 0;
    double sum[BLOCK], shift[BLOCK];
    int64_t whole[BLOCK];
    if (shifted)
        shift_by_maximum(job, first, n, shift);
    fold_doubles(job->row->fold, job->row->map, job->data, &job->shape, first, n,
                 shifted ? shift : NULL, sum);
    finish_doubles(job, sum, n);
    for (int64_t i = 0; shifted && i < n; i++)
        sum[i] += shift[i];
    if (tn_dtype_is_float(job->out->dtype)) {
        store_doubles(job->out->dtype, job->out->data, first, n, sum);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        whole[i] = truncated(sum[i]);
    store_ints(job->out->dtype, job->out->data, first, n, whole);
}

/* The lowest or highest value of an integer type, as fold_ints sees it. */
static int64_t int_start(const fold *op, uint32_t dtype)
{
    const uint32_t bits = dtype == TN_BOOL ? 1 : tn_dtype_bits(dtype);
    const int is_signed = tn_dtype_is_signed(dtype);
    if (op == &fold_sum || op == &fold_product)
        return op == &fold_product;
    if (bits == 64) /* uint64 turned is ordered like int64 */
        return op == &fold_max ? INT64_MIN : INT64_MAX;
    const int64_t top = (INT64_C(1) << (is_signed ? bits - 1 : bits)) - 1;
    if (op == &fold_min)
        return top;
    return is_signed ? -top - 1 : 0;
}

static void int_block(const reduce_job *job, int64_t first, int64_t n)
{
    const uint32_t dtype = job->data->dtype;
    const fold *op = job->row->fold;
    const int ordered = op == &fold_max || op == &fold_min;
    const int64_t turn = ordered && dtype == TN_UINT64 ? INT64_MIN : 0;
    const int64_t count = job->shape.reduced_count;
    int64_t sum[BLOCK];
    fold_ints(op, job->row->map, job->data, &job->shape, first, n, int_start(op, dtype), turn, sum);
    for (int64_t i = 0; i < n; i++) {
        sum[i] ^= turn;
        if (job->row->finish == FINISH_MEAN)
            sum[i] = dtype == TN_UINT64 ? (int64_t)((uint64_t)sum[i] / (uint64_t)count)
                                        : sum[i] / count;
    }
    store_ints(job->out->dtype, job->out->data, first, n, sum);
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const reduce_job *job = user;
    const int as_ints = !tn_dtype_is_float(job->data->dtype) &&
                        (job->row->finish == FINISH_NONE || job->row->finish == FINISH_MEAN) &&
                        job->row->map != MAP_EXP;
    (void)thread;
    for (int64_t first = begin; first < end; first += BLOCK) {
        const int64_t n = end - first < BLOCK ? end - first : BLOCK;
        (as_ints ? int_block : double_block)(job, first, n);
    }
    return TN_OK;
}

/* The fold of no element: the operation's own start, 0 for a sum, -0 being an artifice; no number
 * for a mean. */
static void fold_of_nothing(const reduce_job *job)
{
    const int64_t count = tn_count(job->out);
    const int is_float = tn_dtype_is_float(job->out->dtype);
    double nothing = job->row->fold->start + 0.0;
    finish_doubles(job, &nothing, 1);
    const int64_t whole = job->row->finish == FINISH_NONE
                              ? int_start(job->row->fold, job->out->dtype)
                              : truncated(nothing);
    const int ordered = job->row->fold == &fold_max || job->row->fold == &fold_min;
    const int64_t turn = ordered && job->out->dtype == TN_UINT64 ? INT64_MIN : 0;
    for (int64_t i = 0; i < count; i++) {
        if (is_float)
            tn_set_float(job->out->dtype, job->out->data, i, nothing);
        else
            tn_set_int(job->out->dtype, job->out->data, i, whole ^ turn);
    }
}

static tn_status run_axes(tn_run *ctx, uint32_t *out)
{
    const tn_tensor *list = ctx->input_count > 1 ? ctx->inputs[1] : NULL;
    const int32_t rank = ctx->inputs[0]->rank;
    const int64_t count = list ? tn_count(list) : 0;
    *out = 0;
    if (count == 0 && !tn_attr_int(ctx->node, "noop_with_empty_axes", 0))
        *out = (1u << rank) - 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t named = tn_get_int(list->dtype, list->data, i);
        const int32_t axis = tn_axis(named, rank);
        if (axis < 0)
            return tn_fail(ctx, TN_ERR_VALUE, "axes[%lld] is %lld, outside [%d, %d)", (long long)i,
                           (long long)named, -(int)rank, (int)rank);
        *out |= 1u << axis;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    reduce_job job = { .row = ctx->call.user, .data = ctx->inputs[0], .out = ctx->outputs[0] };
    uint32_t axes;
    (void)state, (void)slot;
    TN_TRY(run_axes(ctx, &axes));
    reduce_shape_init(&job.shape, job.data, axes);
    if (job.shape.kept_count != tn_count(job.out))
        return tn_fail(ctx, TN_ERR_VALUE, "%lld elements are left: expected %lld as inferred",
                       (long long)job.shape.kept_count, (long long)tn_count(job.out));
    if (job.shape.reduced_count == 0) {
        fold_of_nothing(&job);
        return TN_OK;
    }
    return ctx->call.host->parallel_for(&ctx->call, job.shape.kept_count,
                                        1 + 16384 / job.shape.reduced_count, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define SUM_TYPES                                                                                  \
    (TN_MASK_FLOAT | TN_BIT(TN_INT32) | TN_BIT(TN_INT64) | TN_BIT(TN_UINT32) | TN_BIT(TN_UINT64))
#define MAX_TYPES (SUM_TYPES | TN_BIT(TN_INT8) | TN_BIT(TN_UINT8) | TN_BIT(TN_BOOL))
#define DATA(types)                                                                                \
    {                                                                                              \
        { "data", "T", types, 0, 0, "Any tensor." },                                               \
            { "axes",                                                                              \
              NULL,                                                                                \
              TN_BIT(TN_INT64),                                                                    \
              TN_PARAM_OPTIONAL,                                                                   \
              0,                                                                                   \
              "The axes to reduce; negative counts from the end." },                               \
    }
#define REDUCED(types)                                                                             \
    {                                                                                              \
        {                                                                                          \
            "reduced", "T", types, 0, 0, "The folds."                                              \
        }                                                                                          \
    }
static const tn_param_def sum_inputs[] = DATA(SUM_TYPES);
static const tn_param_def sum_output[] = REDUCED(SUM_TYPES);
static const tn_param_def max_inputs[] = DATA(MAX_TYPES);
static const tn_param_def max_output[] = REDUCED(MAX_TYPES);
static const tn_attribute_def attributes[] = {
    { .name = "keepdims",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: reduced axes stay, with extent 1." },
    { .name = "noop_with_empty_axes",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "Without axes: 0 reduces all, 1 none." },
};

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char l1_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["data", "axes"],
    "outputs": ["reduced"],
    "attributes": ["keepdims", "noop_with_empty_axes"],
    "nodes": [
        {"op": "Abs", "inputs": ["data"], "outputs": ["size"]},
        {"op": "ReduceSum", "inputs": ["size", "axes"], "outputs": ["sum"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Identity", "inputs": ["sum"], "outputs": ["reduced"]}
    ]
});

static const char l2_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["data", "axes"],
    "outputs": ["reduced"],
    "attributes": ["keepdims", "noop_with_empty_axes"],
    "nodes": [
        {"op": "Cast", "inputs": ["data"], "outputs": ["whole"], "attributes": {"to": 11}},
        {"op": "Mul", "inputs": ["whole", "whole"], "outputs": ["square"]},
        {"op": "ReduceSum", "inputs": ["square", "axes"], "outputs": ["sum"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Sqrt", "inputs": ["sum"], "outputs": ["root"]},
        {"op": "CastLike", "inputs": ["root", "data"], "outputs": ["reduced"]}
    ]
});

static const char sum_square_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["data", "axes"],
    "outputs": ["reduced"],
    "attributes": ["keepdims", "noop_with_empty_axes"],
    "nodes": [
        {"op": "Mul", "inputs": ["data", "data"], "outputs": ["square"]},
        {"op": "ReduceSum", "inputs": ["square", "axes"], "outputs": ["sum"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Identity", "inputs": ["sum"], "outputs": ["reduced"]}
    ]
});

static const char log_sum_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["data", "axes"],
    "outputs": ["reduced"],
    "attributes": ["keepdims", "noop_with_empty_axes"],
    "nodes": [
        {"op": "Cast", "inputs": ["data"], "outputs": ["whole"], "attributes": {"to": 11}},
        {"op": "ReduceSum", "inputs": ["whole", "axes"], "outputs": ["sum"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Log", "inputs": ["sum"], "outputs": ["log"]},
        {"op": "CastLike", "inputs": ["log", "data"], "outputs": ["reduced"]}
    ]
});

static const char log_sum_exp_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["data", "axes"],
    "outputs": ["reduced"],
    "attributes": ["keepdims", "noop_with_empty_axes"],
    "constants": {"zero": {"dtype": "float64", "shape": [], "data": 0}},
    "nodes": [
        {"op": "Cast", "inputs": ["data"], "outputs": ["whole"], "attributes": {"to": 11}},
        {"op": "ReduceMax", "inputs": ["whole", "axes"], "outputs": ["most"], "attributes": {"keepdims": 1, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "IsInf", "inputs": ["most"], "outputs": ["endless"]},
        {"op": "Where", "inputs": ["endless", "zero", "most"], "outputs": ["shift"]},
        {"op": "Sub", "inputs": ["whole", "shift"], "outputs": ["rest"]},
        {"op": "Exp", "inputs": ["rest"], "outputs": ["e"]},
        {"op": "ReduceSum", "inputs": ["e", "axes"], "outputs": ["sum"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Log", "inputs": ["sum"], "outputs": ["log"]},
        {"op": "ReduceMax", "inputs": ["shift", "axes"], "outputs": ["back"], "attributes": {"keepdims": {"ref": "keepdims"}, "noop_with_empty_axes": {"ref": "noop_with_empty_axes"}}},
        {"op": "Add", "inputs": ["log", "back"], "outputs": ["y"]},
        {"op": "CastLike", "inputs": ["y", "data"], "outputs": ["reduced"]}
    ]
});
/* clang-format on */

#define OF_SUM .since = 18, .accepts_from = 18, .inputs = sum_inputs, .output = sum_output
#define OF_MAX .since = 20, .accepts_from = 18, .inputs = max_inputs, .output = max_output
static const reduction rows[] = {
    { .name = "ReduceSum",
      .since = 13,
      .accepts_from = 13,
      .inputs = sum_inputs,
      .output = sum_output,
      .doc = "The sum of elements.",
      .fold = &fold_sum,
      .flags = REDUCE_SINGLE | REDUCE_DIMS,
      .dim_op = TN_DIM_ADD },
    { .name = "ReduceMean",
      OF_SUM,
      .doc = "The mean of elements.",
      .fold = &fold_sum,
      .finish = FINISH_MEAN,
      .flags = REDUCE_SINGLE },
    { .name = "ReduceMax",
      OF_MAX,
      .doc = "The largest element. NaN wins.",
      .fold = &fold_max,
      .flags = REDUCE_SINGLE | REDUCE_DIMS,
      .dim_op = TN_DIM_MAX },
    { .name = "ReduceMin",
      OF_MAX,
      .doc = "The least element. NaN wins.",
      .fold = &fold_min,
      .flags = REDUCE_SINGLE | REDUCE_DIMS,
      .dim_op = TN_DIM_MIN },
    { .name = "ReduceProd",
      OF_SUM,
      .doc = "The product of elements.",
      .fold = &fold_product,
      .flags = REDUCE_SINGLE | REDUCE_DIMS,
      .dim_op = TN_DIM_MUL },
    { .name = "ReduceL1",
      OF_SUM,
      .doc = "The sum of absolute values.",
      .fold = &fold_sum,
      .map = MAP_ABS,
      .body = l1_body },
    { .name = "ReduceL2",
      OF_SUM,
      .doc = "The root of the sum of squares.",
      .fold = &fold_sum,
      .map = MAP_SQUARE,
      .finish = FINISH_ROOT,
      .body = l2_body },
    { .name = "ReduceSumSquare",
      OF_SUM,
      .doc = "The sum of squares.",
      .fold = &fold_sum,
      .map = MAP_SQUARE,
      .body = sum_square_body },
    { .name = "ReduceLogSum",
      OF_SUM,
      .doc = "The logarithm of the sum.",
      .fold = &fold_sum,
      .finish = FINISH_LOG,
      .body = log_sum_body },
    { .name = "ReduceLogSumExp",
      OF_SUM,
      .doc = "The logarithm of the sum of exponentials.",
      .fold = &fold_sum,
      .map = MAP_EXP,
      .finish = FINISH_LOG,
      .flags = REDUCE_SHIFT,
      .body = log_sum_exp_body },
};

/* ---- axes as an attribute: ReduceSum before set 13, the others before set 18 -------------- */

static const tn_attribute_def old_attributes[] = {
    { .name = "axes",
      .type = TN_ATTR_INTS,
      .doc = "The axes to reduce; negative counts from the end. Left out: all." },
    { .name = "keepdims",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: reduced axes stay, with extent 1." },
};

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_ints_to_input(&e, "axes", 1);
    return e.status;
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, newest->accepts_from == 13 ? 11 : 13, 1);
    old.input_count = 1;
    old.attributes = old_attributes;
    old.attribute_count = sizeof old_attributes / sizeof *old_attributes;
    return registrar->add_operator(registrar, &old);
}

static tn_status add(tn_registrar *registrar, const reduction *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = row->since,
        .accepts_from = row->accepts_from,
        .name = row->name,
        .doc = row->doc,
        .inputs = row->inputs,
        .input_count = 2,
        .outputs = row->output,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .infer = infer,
        .identity = row->flags & REDUCE_SINGLE ? identity : NULL,
        .cost = cost,
        .samplewise = samplewise,
        .body = row->body,
        .upgrade = upgrade,
        .user = (void *)row,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = row->name,
                                   .run = run,
                                   .user = (void *)row,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status reduce_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        TN_TRY(add(registrar, &rows[k]));
    return TN_OK;
}
