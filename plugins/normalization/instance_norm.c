/* plugins/normalization/instance_norm.c: InstanceNormalization (ONNX operators:
 * InstanceNormalization; Ulyanov et al., arXiv:1607.08022).
 *
 *   Y = scale * (X - mean) / sqrt(variance + epsilon) + B
 *
 * with mean and variance of each plane (one sample, one channel).
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const tn_dim channels = x && x->rank > 1 ? x->dims[1] : TN_DIM_UNKNOWN;
    if (x && x->rank >= 0 && x->rank < 3)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
            "input 'input' has rank %d: expected [N, C, spatial axes], at least 3", x->rank);
    norm_check_vector(ctx, 1, "scale", channels);
    norm_check_vector(ctx, 2, "B", channels);
    return tn_infer_same(ctx, 0, 0);
}

typedef struct job {
    const tn_run *run;
    int64_t channels, plane;
    double epsilon;
} job;

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const tn_tensor *x = j->run->inputs[0];
    double values[NORM_CHUNK];
    (void)thread;
    for (int64_t p = begin; p < end; p++) {
        double mean, variance;
        norm_moments(x, p * j->plane, j->plane, &mean, &variance);
        const double root = sqrt(variance + j->epsilon);
        const double scale = norm_get(j->run->inputs[1], p % j->channels),
                     bias = norm_get(j->run->inputs[2], p % j->channels);
        for (int64_t at = p * j->plane; at < (p + 1) * j->plane; at += NORM_CHUNK) {
            const int64_t n = (p + 1) * j->plane - at < NORM_CHUNK ? (p + 1) * j->plane - at
                                                                   : NORM_CHUNK;
            norm_load(x, at, n, values);
            for (int64_t k = 0; k < n; k++)
                values[k] = scale * (values[k] - mean) / root + bias;
            norm_store(j->run->outputs[0], at, n, values);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    job j = { ctx, x->dims[1], tn_extent(x->dims, 2, x->rank),
              (double)tn_attr_float(ctx->node, "epsilon", 1e-5f) };
    (void)state;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, x->dims[0] * j.channels,
                                        1 + 16384 / (j.plane + 1), run_planes, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    (void)ctx;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = input_axes[2] = -1;
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "input", "T", TN_MASK_FLOAT, 0, 0, "[N, C, D1, ...]" },
    { "scale", "T", TN_MASK_FLOAT, 0, 0, "[C]" },
    { "B", "T", TN_MASK_FLOAT, 0, 0, "[C]" },
};
static const tn_param_def outputs[] = { { "output", "T", TN_MASK_FLOAT, 0, 0,
                                          "the shape of input" } };
static const tn_attribute_def attributes[] = {
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
};
static const tn_attribute_def old_attributes[] = {
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
    TN_CONSUMED_INPUTS,
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 6,
      .name = "InstanceNormalization",
      .doc = "Shifts and scales each plane to mean B and deviation scale.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 1,
      .infer = infer,
      .samplewise = samplewise,
      .upgrade = tn_upgrade_consumed },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "InstanceNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status instance_norm_register(tn_registrar *registrar)
{
    tn_operator_def old = tn_old_version(operators, 1, 1);
    old.attributes = old_attributes;
    old.attribute_count = 2;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
