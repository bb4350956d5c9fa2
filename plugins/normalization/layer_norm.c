/* plugins/normalization/layer_norm.c: LayerNormalization (ONNX operators: LayerNormalization; Ba et
 * al., arXiv:1607.06450).
 *
 *   Y = (X - mean) / sqrt(variance + epsilon) * Scale + B
 *
 * with mean and variance over the axes from `axis` on. Mean and InvStdDev are those numbers and
 * 1 / sqrt(variance + epsilon), with extents of 1 on the normalized axes.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int64_t attribute = tn_attr_int(ctx->node, "axis", -1);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    for (uint32_t k = 1; k < ctx->output_count; k++)
        if (!ctx->outputs[k].dtype)
            ctx->outputs[k].dtype = (uint32_t)tn_attr_int(ctx->node, "stash_type", TN_FLOAT32);
    if (!x || x->rank < 0)
        return TN_OK;
    const int32_t axis = tn_axis(attribute, x->rank);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %" PRId64 ": expected %d to %d for rank %d", attribute, -x->rank, x->rank - 1, x->rank);
        return TN_OK;
    }
    for (uint32_t k = 1; k < ctx->output_count; k++) {
        ctx->outputs[k].rank = x->rank;
        for (int32_t a = 0; a < x->rank; a++)
            ctx->outputs[k].dims[a] = a < axis ? x->dims[a] : 1;
    }
    const tn_type *scale = ctx->inputs[1];
    if (scale && scale->rank > x->rank)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'Scale' has rank %d, which does not broadcast to rank %d of 'X'", scale->rank, x->rank);
    return TN_OK;
}

typedef struct job {
    const tn_run *run;
    int32_t axis;
    int64_t count; /* elements of a row that is normalized */
    double epsilon;
    int64_t scale[TN_MAX_RANK], bias[TN_MAX_RANK];
} job;

/* Where element `at` of X finds its partner in a tensor that broadcasts to X. */
static int64_t partner(const tn_tensor *x, const int64_t *strides, int64_t at)
{
    int64_t offset = 0;
    for (int32_t axis = x->rank - 1; axis >= 0; axis--) {
        offset += at % x->dims[axis] * strides[axis];
        at /= x->dims[axis];
    }
    return offset;
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const tn_tensor *x = j->run->inputs[0], *scale = j->run->inputs[1], *bias = j->run->input_count > 2 ? j->run->inputs[2] : NULL;
    tn_tensor *y = j->run->outputs[0], *means = norm_output(j->run, 1), *inverses = norm_output(j->run, 2);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        double mean, variance;
        norm_moments(x, row * j->count, j->count, &mean, &variance);
        const double inverse = 1.0 / sqrt(variance + j->epsilon);
        if (means)
            norm_set(means, row, mean);
        if (inverses)
            norm_set(inverses, row, inverse);
        for (int64_t k = row * j->count; y && k < (row + 1) * j->count; k++) {
            double v = (norm_get(x, k) - mean) * inverse * norm_get(scale, partner(x, j->scale, k));
            if (bias)
                v += norm_get(bias, partner(x, j->bias, k));
            norm_set(y, k, v);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    job j = { .run = ctx, .axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank),
              .epsilon = (double)tn_attr_float(ctx->node, "epsilon", 1e-5f) };
    (void)state;
    (void)slot;
    j.count = tn_extent(x->dims, j.axis, x->rank);
    tn_broadcast_strides(ctx->inputs[1], x->rank, j.scale);
    if (ctx->input_count > 2 && ctx->inputs[2])
        tn_broadcast_strides(ctx->inputs[2], x->rank, j.bias);
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(x->dims, 0, j.axis), 1 + 4096 / (j.count + 1), run_rows, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    if (tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank) == 0)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        input_axes[k] = k ? -1 : 0;
        if (k && ctx->inputs[k] && ctx->inputs[k]->rank == x->rank && ctx->inputs[k]->dims[0] != 1)
            return TN_NO_MATCH;
    }
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

#define U_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "what is normalized" },
    { "Scale", "T", TN_MASK_FLOAT, 0, 0, "broadcast to X" },
    { "B", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "broadcast to X; 0" },
};
static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" },
    { "Mean", "U", U_MASK, TN_PARAM_OPTIONAL, 0, "of each row" },
    { "InvStdDev", "U", U_MASK, TN_PARAM_OPTIONAL, 0, "1 / sqrt(variance + epsilon) of each row" },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .i = -1, .doc = "the first normalized axis" },
    { .name = "epsilon", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = 1e-5f, .doc = "keeps the root from 0" },
    { .name = "stash_type", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .i = TN_FLOAT32, .doc = "type of Mean and InvStdDev" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def), .since = 17, .name = "LayerNormalization",
      .doc = "Shifts and scales the elements of each row to mean B and deviation Scale.", .inputs = inputs, .input_count = 3,
      .outputs = outputs, .output_count = 3, .attributes = attributes, .attribute_count = 3, .infer = infer, .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def), .op = "LayerNormalization", .run = run, .types = TN_MASK_FLOAT, .flags = TN_KERNEL_ANY_STEPS },
};

tn_status layer_norm_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
