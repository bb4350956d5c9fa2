/* plugins/normalization/mean_variance_norm.c: MeanVarianceNormalization (ONNX operators:
 * MeanVarianceNormalization).
 *
 *   Y = (X - mean) / (deviation + 1e-9)
 *
 * with mean and deviation over some axes, by default all but the channels of [N, C, H, W]. The
 * small summand is that of the standard's function body. Two passes, so that a large mean costs no
 * digits.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

static const double summand = 1e-9;
static const int64_t default_axes[] = { 0, 2, 3 };

/* ---- inference ---------------------------------------------------------------------------------- */

/* The axes as bits; answers the one of them that rank has not, by its place in the list, or -1. */
static int64_t read_axes(const tn_node_view *node, int32_t rank, uint32_t *out)
{
    const int64_t *axes;
    const size_t count = tn_attr_ints(node, "axes", &axes);
    *out = 0;
    for (size_t k = 0; k < count; k++) {
        const int32_t axis = tn_axis(axes[k], rank);
        if (axis < 0)
            return (int64_t)k;
        *out |= 1u << axis;
    }
    return -1;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int64_t *axes;
    uint32_t bits;
    const int64_t outside = x && x->rank >= 0 ? read_axes(ctx->node, x->rank, &bits) : -1;
    (void)tn_attr_ints(ctx->node, "axes", &axes);
    if (outside >= 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axes",
                                 "axes[%" PRId64 "] is %" PRId64
                                 ", outside [%d, %d) of input 'X' of rank %d",
                                 outside, axes[outside], -x->rank, x->rank, x->rank);
    return tn_infer_same(ctx, 0, 0);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    uint32_t bits;
    if (!x || x->rank < 1 || read_axes(ctx->node, x->rank, &bits) >= 0 || bits & 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

/* X as kept axes, which number the groups, and normalized ones, which number a group's elements. */
typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    int32_t rank[2]; /* 0: of the kept axes, 1: of the others */
    int64_t dims[2][TN_MAX_RANK], strides[2][TN_MAX_RANK], count[2];
} job;

/* Where number k of either kind of axes lies. */
static int64_t place(const job *j, int kind, int64_t k)
{
    int64_t at = 0;
    for (int32_t axis = j->rank[kind] - 1; axis >= 0; axis--) {
        at += k % j->dims[kind][axis] * j->strides[kind][axis];
        k /= j->dims[kind][axis];
    }
    return at;
}

/* Mean of (x - shift)^power over a group. */
static double moment(const job *j, int64_t origin, double shift, int power)
{
    double sum = 0;
    for (int64_t k = 0; k < j->count[1]; k++) {
        const double d = norm_get(j->x, origin + place(j, 1, k)) - shift;
        sum += power == 2 ? d * d : d;
    }
    return sum / (double)j->count[1];
}

static tn_status run_groups(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t group = begin; group < end; group++) {
        const int64_t origin = place(j, 0, group);
        const double mean = moment(j, origin, 0.0, 1);
        const double deviation = sqrt(moment(j, origin, mean, 2)) + summand;
        for (int64_t k = 0; k < j->count[1]; k++) {
            const int64_t at = origin + place(j, 1, k);
            norm_set(j->y, at, (norm_get(j->x, at) - mean) / deviation);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    job j = { .x = x, .y = ctx->outputs[0], .count = { 1, 1 } };
    int64_t strides[TN_MAX_RANK];
    uint32_t bits;
    (void)state, (void)slot;
    (void)read_axes(ctx->node, x->rank, &bits);
    tn_row_major(x->rank, x->dims, strides);
    for (int32_t axis = 0; axis < x->rank; axis++) {
        const int kind = bits >> axis & 1;
        j.dims[kind][j.rank[kind]] = x->dims[axis];
        j.strides[kind][j.rank[kind]++] = strides[axis];
        j.count[kind] *= x->dims[axis];
    }
    return ctx->call.host->parallel_for(&ctx->call, j.count[0], 1 + 4096 / j.count[1], run_groups,
                                        &j);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char mean_variance_norm_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["axes"],
    "constants": {"small": {"dtype": "float32", "shape": [], "data": 1e-09}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["axes"], "attributes": {"value_ints": {"ref": "axes"}}},
        {"op": "ReduceMean", "inputs": ["X", "axes"], "outputs": ["mean"], "attributes": {"keepdims": 1}},
        {"op": "Sub", "inputs": ["X", "mean"], "outputs": ["rest"]},
        {"op": "Mul", "inputs": ["rest", "rest"], "outputs": ["square"]},
        {"op": "ReduceMean", "inputs": ["square", "axes"], "outputs": ["variance"], "attributes": {"keepdims": 1}},
        {"op": "Sqrt", "inputs": ["variance"], "outputs": ["root"]},
        {"op": "CastLike", "inputs": ["small", "X"], "outputs": ["s"]},
        {"op": "Add", "inputs": ["root", "s"], "outputs": ["scale"]},
        {"op": "Div", "inputs": ["rest", "scale"], "outputs": ["Y"]}
    ]
});
/* clang-format on */

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" } };
static const tn_attribute_def attributes[] = {
    { .name = "axes",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_HAS_DEFAULT,
      .ints_count = 3,
      .ints = default_axes,
      .doc = "over which mean and deviation are taken; negative counts from the end" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 13,
      .accepts_from = 9,
      .name = "MeanVarianceNormalization",
      .doc = "Shifts and scales to mean 0 and deviation 1 over some axes.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 1,
      .infer = infer,
      .samplewise = samplewise,
      .body = mean_variance_norm_body },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "MeanVarianceNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status mean_variance_norm_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
