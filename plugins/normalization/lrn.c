/* plugins/normalization/lrn.c: LRN, local response normalization across channels (ONNX operators:
 * LRN; Krizhevsky et al., NIPS 2012).
 *
 *   Y[n,c,o] = X / (bias + alpha / size * sum of squares of X[n,i,o])^beta
 *
 * with i from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2), inside the channels.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

static tn_status infer(tn_infer *ctx)
{
    if (ctx->inputs[0] && ctx->inputs[0]->rank >= 0 && ctx->inputs[0]->rank < 2)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N, C, ...]",
                                 ctx->inputs[0]->rank);
    if (tn_attr_int(ctx->node, "size", 1) < 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "size",
                                 "size is %lld: expected 1 or more",
                                 (long long)tn_attr_int(ctx->node, "size", 1));
    return tn_infer_same(ctx, 0, 0);
}

typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    int64_t channels, plane, before, after;
    double scale, beta, bias;
} job;

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t p = begin; p < end; p++) {
        const int64_t c = p % j->channels, sample = (p - c) * j->plane;
        const int64_t from = c > j->before ? c - j->before : 0,
                      to = c + j->after < j->channels ? c + j->after : j->channels - 1;
        for (int64_t at = 0; at < j->plane; at += NORM_CHUNK) {
            const int64_t n = j->plane - at < NORM_CHUNK ? j->plane - at : NORM_CHUNK;
            double squares[NORM_CHUNK] = { 0 }, values[NORM_CHUNK];
            for (int64_t i = from; i <= to; i++) {
                norm_load(j->x, sample + i * j->plane + at, n, values);
                for (int64_t k = 0; k < n; k++)
                    squares[k] += values[k] * values[k];
            }
            norm_load(j->x, p * j->plane + at, n, values);
            for (int64_t k = 0; k < n; k++)
                values[k] /= pow(j->bias + j->scale * squares[k], j->beta);
            norm_store(j->y, p * j->plane + at, n, values);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int64_t size = tn_attr_int(ctx->node, "size", 1);
    job j = { .x = x,
              .y = ctx->outputs[0],
              .channels = x->dims[1],
              .plane = tn_extent(x->dims, 2, x->rank),
              .before = (size - 1) / 2,
              .after = size / 2,
              .scale = (double)tn_attr_float(ctx->node, "alpha", 1e-4f) / (double)size,
              .beta = (double)tn_attr_float(ctx->node, "beta", 0.75f),
              .bias = (double)tn_attr_float(ctx->node, "bias", 1) };
    (void)state;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, x->dims[0] * j.channels,
                                        1 + 1024 / (j.plane + 1), run_planes, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    (void)ctx;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

static const tn_param_def inputs[] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, ...]" } };
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" } };
static const tn_attribute_def attributes[] = {
    { .name = "alpha",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-4f,
      .doc = "factor of the squares" },
    { .name = "beta",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 0.75f,
      .doc = "the exponent" },
    { .name = "bias",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1,
      .doc = "added to the squares" },
    { .name = "size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "how many channels a sum covers" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 13,
      .accepts_from = 1,
      .name = "LRN",
      .doc = "Divides each element by a power of the squares in neighbouring channels.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 4,
      .infer = infer,
      .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "LRN",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status lrn_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
