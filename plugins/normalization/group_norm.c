/* plugins/normalization/group_norm.c: GroupNormalization (ONNX operators: GroupNormalization; Wu and
 * He, arXiv:1803.08494).
 *
 *   Y = scale * (X - mean) / sqrt(variance + epsilon) + bias
 *
 * with mean and variance of each sample's groups of neighbouring channels, scale and bias of each
 * channel. All is computed in double, whatever stash_type says.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const tn_dim channels = x && x->rank > 1 ? x->dims[1] : TN_DIM_UNKNOWN;
    const int64_t groups = tn_attr_int(ctx->node, "num_groups", 1);
    if (x && x->rank >= 0 && x->rank < 2)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N, C, ...]", x->rank);
    if (groups < 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "num_groups",
                                 "num_groups is %" PRId64 ": expected 1 or more", groups);
    else if (tn_dim_known(channels) && channels % groups)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "num_groups",
                                 "num_groups is %" PRId64 ", which does not divide %" PRId64
                                 " channels",
                                 groups, channels);
    norm_check_stash(ctx);
    norm_check_vector(ctx, 1, "scale", channels);
    norm_check_vector(ctx, 2, "bias", channels);
    return tn_infer_same(ctx, 0, 0);
}

typedef struct job {
    const tn_run *run;
    int64_t groups, channels, plane; /* channels: of a group */
    double epsilon;
} job;

static void scale_plane(const job *j, int64_t first, double mean, double root, double scale,
                        double bias)
{
    double values[NORM_CHUNK];
    for (int64_t at = first; at < first + j->plane; at += NORM_CHUNK) {
        const int64_t n = first + j->plane - at < NORM_CHUNK ? first + j->plane - at : NORM_CHUNK;
        norm_load(j->run->inputs[0], at, n, values);
        for (int64_t k = 0; k < n; k++)
            values[k] = scale * (values[k] - mean) / root + bias;
        norm_store(j->run->outputs[0], at, n, values);
    }
}

static tn_status run_groups(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t g = begin; g < end; g++) {
        const int64_t first = g * j->channels * j->plane;
        double mean, variance;
        norm_moments(j->run->inputs[0], first, j->channels * j->plane, &mean, &variance);
        for (int64_t c = 0; c < j->channels; c++) {
            const int64_t channel = g % j->groups * j->channels + c;
            scale_plane(j, first + c * j->plane, mean, sqrt(variance + j->epsilon),
                        norm_get(j->run->inputs[1], channel), norm_get(j->run->inputs[2], channel));
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int64_t groups = tn_attr_int(ctx->node, "num_groups", 1);
    job j = { ctx, groups, x->dims[1] / groups, tn_extent(x->dims, 2, x->rank),
              (double)tn_attr_float(ctx->node, "epsilon", 1e-5f) };
    (void)state;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, x->dims[0] * groups,
                                        1 + 16384 / (j.channels * j.plane + 1), run_groups, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    (void)ctx;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = input_axes[2] = -1;
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, ...]" },
    { "scale", "T", TN_MASK_FLOAT, 0, 0, "[C]" },
    { "bias", "T", TN_MASK_FLOAT, 0, 0, "[C]" },
};
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" } };
static const tn_attribute_def attributes[] = {
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
    { .name = "num_groups",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "how many groups the channels make" },
    { .name = "stash_type",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = TN_FLOAT32,
      .doc = "precision asked for, at least" },
};

/* Set 18 had scale and bias for each group: they are repeated for its channels. */
static tn_value_id repeat_for_channels(tn_edit *e, tn_value_id groups, tn_value_id channels)
{
    const int64_t column[2] = { -1, 1 };
    const tn_value_id count = tn_put(e, "Shape", groups, TN_NONE, TN_NONE, NULL);
    const tn_value_id each = tn_put(e, "Div", channels, count, TN_NONE, NULL);
    const tn_value_id rows = tn_put(e, "Reshape", groups, tn_put_ints(e, column, 2), TN_NONE, NULL);
    const tn_value_id all = tn_put(e, "Expand", rows, tn_put_join(e, count, each, TN_NONE), TN_NONE,
                                   NULL);
    return tn_put(e, "Reshape", all, tn_put_int(e, -1), TN_NONE, NULL);
}

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const int64_t one = 1, two = 2;
    const tn_value_id shape = tn_put(&e, "Shape", tn_edit_input(&e, 0), TN_NONE, TN_NONE, NULL);
    const tn_value_id channels = tn_put(&e, "Slice", shape, tn_put_ints(&e, &one, 1),
                                        tn_put_ints(&e, &two, 1), NULL);
    for (uint32_t k = 1; k <= 2; k++)
        tn_edit_set_input(&e, k, repeat_for_channels(&e, tn_edit_input(&e, k), channels));
    return e.status;
}

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char group_norm_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X", "scale", "bias"],
    "outputs": ["Y"],
    "attributes": ["epsilon", "num_groups", "stash_type"],
    "constants": {"single": {"dtype": "int64", "shape": [1], "data": [1]},
                  "zero": {"dtype": "int64", "shape": [1], "data": [0]},
                  "rest": {"dtype": "int64", "shape": [1], "data": [-1]},
                  "last": {"dtype": "int64", "shape": [1], "data": [2]},
                  "channel": {"dtype": "int64", "shape": [3], "data": [1, -1, 1]}},
    "nodes": [
        {"op": "Cast", "inputs": ["X"], "outputs": ["x"], "attributes": {"to": {"ref": "stash_type"}}},
        {"op": "Constant", "inputs": [], "outputs": ["g"], "attributes": {"value_int": {"ref": "num_groups"}}},
        {"op": "Reshape", "inputs": ["g", "single"], "outputs": ["groups"]},
        {"op": "Shape", "inputs": ["X"], "outputs": ["shape"]},
        {"op": "Concat", "inputs": ["zero", "groups", "rest"], "outputs": ["split"], "attributes": {"axis": 0}},
        {"op": "Reshape", "inputs": ["x", "split"], "outputs": ["grouped"]},
        {"op": "ReduceMean", "inputs": ["grouped", "last"], "outputs": ["mean"], "attributes": {"keepdims": 1}},
        {"op": "Sub", "inputs": ["grouped", "mean"], "outputs": ["far"]},
        {"op": "Mul", "inputs": ["far", "far"], "outputs": ["square"]},
        {"op": "ReduceMean", "inputs": ["square", "last"], "outputs": ["variance"], "attributes": {"keepdims": 1}},
        {"op": "Constant", "inputs": [], "outputs": ["e"], "attributes": {"value_float": {"ref": "epsilon"}}},
        {"op": "CastLike", "inputs": ["e", "variance"], "outputs": ["small"]},
        {"op": "Add", "inputs": ["variance", "small"], "outputs": ["sum"]},
        {"op": "Sqrt", "inputs": ["sum"], "outputs": ["root"]},
        {"op": "Div", "inputs": ["far", "root"], "outputs": ["unit"]},
        {"op": "Shape", "inputs": ["X"], "outputs": ["sides"], "attributes": {"start": 0, "end": 2}},
        {"op": "Concat", "inputs": ["sides", "rest"], "outputs": ["planes"], "attributes": {"axis": 0}},
        {"op": "Reshape", "inputs": ["unit", "planes"], "outputs": ["flat"]},
        {"op": "CastLike", "inputs": ["flat", "X"], "outputs": ["y"]},
        {"op": "Reshape", "inputs": ["scale", "channel"], "outputs": ["factor"]},
        {"op": "Reshape", "inputs": ["bias", "channel"], "outputs": ["summand"]},
        {"op": "Mul", "inputs": ["y", "factor"], "outputs": ["scaled"]},
        {"op": "Add", "inputs": ["scaled", "summand"], "outputs": ["shifted"]},
        {"op": "Reshape", "inputs": ["shifted", "shape"], "outputs": ["Y"]}
    ]
});
/* clang-format on */

static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 21,
      .name = "GroupNormalization",
      .doc =
          "Shifts and scales each group of channels, then each channel to mean bias and deviation scale.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 3,
      .infer = infer,
      .samplewise = samplewise,
      .body = group_norm_body,
      .upgrade = upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "GroupNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status group_norm_register(tn_registrar *registrar)
{
    tn_operator_def old = tn_old_version(operators, 18, 18);
    old.attribute_count = 2; /* stash_type came with set 21 */
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
