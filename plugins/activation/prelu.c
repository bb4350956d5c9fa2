/* plugins/activation/prelu.c: LeakyRelu with a slope for each element or channel.
 *
 * ONNX: PRelu. Y = X from zero on, slope * X below; slope broadcasts to X's shape, not the other
 * way. Integers wrap around.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

#define PRELU_TYPES                                                                                \
    (TN_MASK_FLOAT | TN_BIT(TN_INT32) | TN_BIT(TN_INT64) | TN_BIT(TN_UINT32) | TN_BIT(TN_UINT64))

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *slope = ctx->inputs[1];
    const tn_host *host = ctx->call.host;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (!x || !slope || x->rank < 0 || slope->rank < 0)
        return TN_OK;
    if (slope->rank > x->rank) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'slope' has rank %d: expected at most %d, the rank of input 'X'",
                       (int)slope->rank, (int)x->rank);
        return TN_OK;
    }
    for (int32_t axis = 0; axis < slope->rank; axis++) {
        const tn_dim own = slope->dims[axis], full = x->dims[axis + x->rank - slope->rank];
        if (!tn_dim_known(own) || !tn_dim_known(full) || own == 1 || own == full)
            continue;
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'slope' has extent %lld along axis %d: expected 1 or %lld, "
                       "the extent of input 'X'",
                       (long long)own, (int)axis, (long long)full);
    }
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0], *slope = ctx->inputs[1];
    if (!x || !slope || x->rank < 1 || slope->rank < 0)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = slope->rank == x->rank && slope->dims[0] != 1 ? 0 : -1;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct prelu_job {
    const tn_tensor *x, *slope;
    tn_tensor *y;
    int64_t columns;              /* extent of the last axis */
    int64_t strides[TN_MAX_RANK]; /* of slope, spread over x */
    int64_t step;                 /* of slope along the last axis: 0 or 1 */
} prelu_job;

static int64_t slope_offset(const prelu_job *job, int64_t row)
{
    int64_t offset = 0;
    for (int32_t axis = job->x->rank - 2; axis >= 0; axis--) {
        offset += row % job->x->dims[axis] * job->strides[axis];
        row /= job->x->dims[axis];
    }
    return offset;
}

static void row_floats(const float *x, const float *slope, int64_t step, float *y, int64_t n)
{
    if (step == 0) {
        const float s = *slope;
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] < 0 ? s * x[i] : x[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? slope[i] * x[i] : x[i];
}

static void row_any(const prelu_job *job, int64_t first, int64_t slope, int64_t n)
{
    const uint32_t dtype = job->x->dtype;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = first + i, s = slope + i * job->step;
        if (TN_BIT(dtype) & TN_MASK_FLOAT) {
            const double x = tn_get_double(dtype, job->x->data, at);
            const double factor = tn_get_double(dtype, job->slope->data, s);
            tn_set_float(dtype, job->y->data, at, x < 0 ? factor * x : x);
        } else {
            const int64_t x = tn_get_int(dtype, job->x->data, at);
            const uint64_t factor = (uint64_t)tn_get_int(dtype, job->slope->data, s);
            const int below = x < 0 && tn_dtype_is_signed(dtype);
            tn_set_int(dtype, job->y->data, at, below ? (int64_t)(factor * (uint64_t)x) : x);
        }
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const prelu_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t first = row * job->columns, slope = slope_offset(job, row);
        if (job->x->dtype == TN_FLOAT32)
            row_floats((const float *)job->x->data + first, (const float *)job->slope->data + slope,
                       job->step, (float *)job->y->data + first, job->columns);
        else
            row_any(job, first, slope, job->columns);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    prelu_job job = {
        .x = ctx->inputs[0], .slope = ctx->inputs[1], .y = ctx->outputs[0], .columns = 1
    };
    const int32_t last = job.x->rank - 1;
    (void)state, (void)slot;
    tn_broadcast_strides(job.slope, job.x->rank, job.strides);
    if (last >= 0) {
        job.columns = job.x->dims[last];
        job.step = job.strides[last];
    }
    return ctx->call.host->parallel_for(&ctx->call, last > 0 ? tn_extent(job.x->dims, 0, last) : 1,
                                        1 + 8192 / (job.columns + 1), chunk, &job);
}

/* ---- sets 1 and 6: a slope for each channel ---------------------------------------------- */

static const tn_attribute_def consumed[] = { TN_CONSUMED_INPUTS };

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP, "how many axes lie behind the channels is told by the rank");
}

/* [C, 1, …]: as many ones as X has axes behind the channels, or a shape made when running. */
static tn_value_id behind_channels(tn_edit *e, int32_t rank)
{
    int64_t shape[TN_MAX_RANK] = { -1 };
    if (rank >= 0) {
        for (int32_t axis = 1; axis < rank - 1; axis++)
            shape[axis] = 1;
        return tn_put_ints(e, shape, rank > 1 ? rank - 1 : 1);
    }
    const tn_value_id own = tn_put(e, "Shape", tn_edit_input(e, 0), TN_NONE, TN_NONE, NULL);
    const tn_value_id axes = tn_put(e, "Shape", own, TN_NONE, TN_NONE, NULL);
    const tn_value_id more = tn_put(e, "Sub", axes, tn_put_int(e, 2), TN_NONE, NULL);
    const tn_value_id ones = tn_put_ones(e,
                                         tn_put(e, "Max", more, tn_put_int(e, 0), TN_NONE, NULL));
    return tn_put_join(e, tn_put_int(e, -1), ones, TN_NONE);
}

/* One slope serves all channels in either form; one of more axes lies as it does today. */
static tn_status expand(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id slope = tn_edit_input(&e, 1);
    const tn_type *x = tn_edit_type(&e, tn_edit_input(&e, 0)), *s = tn_edit_type(&e, slope);
    const int32_t rank = x->rank;
    if (s->rank != 0 && s->rank < 2 && !(s->rank == 1 && (s->dims[0] == 1 || rank == 2)))
        tn_edit_set_input(&e, 1,
                          tn_put(&e, "Reshape", slope, behind_channels(&e, rank), TN_NONE, NULL));
    tn_edit_drop(&e, "consumed_inputs");
    return tn_edit_renew(&e);
}

static tn_status infer_old(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char prelu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X", "slope"],
    "outputs": ["Y"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "Less", "inputs": ["X", "z"], "outputs": ["below"]},
        {"op": "Mul", "inputs": ["slope", "X"], "outputs": ["line"]},
        {"op": "Where", "inputs": ["below", "line", "X"], "outputs": ["Y"]}
    ]
});
/* clang-format on */

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T", PRELU_TYPES, 0, 0, "Any shape." },
    { "slope", "T", PRELU_TYPES, 0, 0, "Factors below zero; broadcasts to X." },
};
static const tn_param_def outputs[] = { { "Y", "T", PRELU_TYPES, 0, 0, "The shape of X." } };

tn_status prelu_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 16,
        .accepts_from = 7,
        .name = "PRelu",
        .doc = "x from zero on, slope * x below, with a slope that broadcasts to X.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_ELEMENTWISE,
        .infer = infer,
        .samplewise = samplewise,
        .body = prelu_body,
        .upgrade = upgrade,
    };
    tn_operator_def old = tn_old_version(&op, 6, 1);
    /* In place on X, or on a slope of X's shape: each element is read before it is written. */
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "PRelu",
                                   .run = run,
                                   .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS };
    old.attributes = consumed;
    old.attribute_count = 1;
    old.infer = infer_old;
    old.expand = expand;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
