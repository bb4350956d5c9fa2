/* plugins/normalization/batch_norm.c: BatchNormalization (ONNX operators: BatchNormalization; Ioffe
 * and Szegedy, ICML 2015).
 *
 *   Y = (X - mean) / sqrt(var + epsilon) * scale + B, for each channel (axis 1)
 *
 * Inference takes input_mean and input_var. With training_mode the statistics are those of the
 * batch, over all axes but the channels, and the running ones move towards them:
 *
 *   running = input * momentum + batch * (1 - momentum)
 *
 * with the variance over the whole population (divided by the count). batch_norm_old.c brings up
 * versions before 14.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE };

static tn_status infer(tn_infer *ctx)
{
    static const char *const names[] = { "X", "scale", "B", "input_mean", "input_var" };
    const tn_type *x = ctx->inputs[X];
    const int64_t training = tn_attr_int(ctx->node, "training_mode", 0);
    TN_TRY(tn_infer_same(ctx, 0, X));
    if (x && x->rank == 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, X, NULL,
                                 "input 'X' is a scalar: expected [N, C, ...]");
        return TN_OK;
    }
    const tn_dim channels = x && x->rank > 0 ? (x->rank > 1 ? x->dims[1] : 1) : TN_DIM_UNKNOWN;
    for (uint32_t k = SCALE; k <= VARIANCE; k++)
        norm_check_vector(ctx, k, names[k], channels);
    for (uint32_t k = 1; k < ctx->output_count; k++) {
        if (!training && ctx->node->outputs[k] != TN_NONE)
            ctx->call.host->complain(
                &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "training_mode",
                "running statistics are outputs of training only: expected training_mode 1");
        TN_TRY(tn_infer_same(ctx, k, k == 1 ? MEAN : VARIANCE));
    }
    return TN_OK;
}

typedef struct job {
    const tn_run *run;
    int64_t samples, channels, plane;
    double epsilon, momentum;
    int training;
} job;

/* Statistics of a channel over the batch: two passes, so that a large mean costs no digits. */
static void batch_moments(const job *j, int64_t channel, double *mean, double *variance)
{
    const tn_tensor *x = j->run->inputs[X];
    const double count = (double)(j->samples * j->plane);
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < j->samples; n++)
        for (int64_t k = 0; k < j->plane; k++)
            sum += norm_get(x, (n * j->channels + channel) * j->plane + k);
    *mean = sum / count;
    for (int64_t n = 0; n < j->samples; n++)
        for (int64_t k = 0; k < j->plane; k++) {
            const double d = norm_get(x, (n * j->channels + channel) * j->plane + k) - *mean;
            squares += d * d;
        }
    *variance = squares / count;
}

static void update(const job *j, int64_t channel, double mean, double variance)
{
    tn_tensor *means = norm_output(j->run, 1), *variances = norm_output(j->run, 2);
    if (means)
        norm_set(means, channel,
                 norm_get(j->run->inputs[MEAN], channel) * j->momentum + mean * (1 - j->momentum));
    if (variances)
        norm_set(variances, channel,
                 norm_get(j->run->inputs[VARIANCE], channel) * j->momentum +
                     variance * (1 - j->momentum));
}

static void scale_plane(const tn_tensor *x, tn_tensor *y, int64_t first, int64_t count,
                        const double *f)
{
    if (x->dtype == TN_FLOAT32 && y->dtype == TN_FLOAT32) {
        const float *from = (const float *)x->data + first;
        float *to = (float *)y->data + first;
        for (int64_t k = 0; k < count; k++)
            to[k] = (float)(((double)from[k] - f[0]) / f[1] * f[2] + f[3]);
        return;
    }
    for (int64_t k = first; k < first + count; k++)
        norm_set(y, k, (norm_get(x, k) - f[0]) / f[1] * f[2] + f[3]);
}

static tn_status run_channels(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t c = begin; c < end; c++) {
        double mean = norm_get(j->run->inputs[MEAN], c),
               variance = norm_get(j->run->inputs[VARIANCE], c);
        if (j->training) {
            batch_moments(j, c, &mean, &variance);
            update(j, c, mean, variance);
        }
        const double factors[4] = { mean, sqrt(variance + j->epsilon),
                                    norm_get(j->run->inputs[SCALE], c),
                                    norm_get(j->run->inputs[BIAS], c) };
        for (int64_t n = 0; n < j->samples && j->run->outputs[0]; n++)
            scale_plane(j->run->inputs[X], j->run->outputs[0], (n * j->channels + c) * j->plane,
                        j->plane, factors);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[X];
    job j = { .run = ctx,
              .samples = x->dims[0],
              .channels = x->rank > 1 ? x->dims[1] : 1,
              .plane = x->rank > 1 ? tn_extent(x->dims, 2, x->rank) : 1,
              .epsilon = (double)tn_attr_float(ctx->node, "epsilon", 1e-5f),
              .momentum = (double)tn_attr_float(ctx->node, "momentum", 0.9f),
              .training = tn_attr_int(ctx->node, "training_mode", 0) != 0 };
    (void)state;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, j.channels,
                                        1 + 16384 / (j.samples * j.plane + 1), run_channels, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (tn_attr_int(ctx->node, "training_mode", 0))
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, ...]" },
    { "scale", "T1", TN_MASK_FLOAT, 0, 0, "[C]" },
    { "B", "T1", TN_MASK_FLOAT, 0, 0, "[C]" },
    { "input_mean", "T2", TN_MASK_FLOAT, 0, 0, "[C]: of all that was seen so far" },
    { "input_var", "T2", TN_MASK_FLOAT, 0, 0, "[C]: likewise" },
};
static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" },
    { "running_mean", "T2", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "[C], training only" },
    { "running_var", "T2", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "[C], training only" },
};
static const tn_attribute_def attributes[] = {
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
    { .name = "momentum",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 0.9f,
      .doc = "share of the past in running statistics" },
    { .name = "training_mode",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: statistics of the batch" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 15,
      .accepts_from = 14,
      .name = "BatchNormalization",
      .doc = "Shifts and scales each channel to mean B and deviation scale.",
      .inputs = inputs,
      .input_count = 5,
      .outputs = outputs,
      .output_count = 3,
      .attributes = attributes,
      .attribute_count = 3,
      .infer = infer,
      .samplewise = samplewise,
      .upgrade = batch_norm_upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "BatchNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status batch_norm_register(tn_registrar *registrar)
{
    TN_TRY(batch_norm_old_register(registrar, operators));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
