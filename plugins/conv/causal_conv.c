/* plugins/conv/causal_conv.c: CausalConvWithState (ONNX operators: CausalConvWithState).
 *
 *   all = past_state, then input, along time (zeros where there is no past)
 *   output[b,c,t] = f(bias[c] + sum over i of weight[c,0,i] * all[b,c,t+i]),  present_state = the
 *   last k - 1 of all
 *
 * f is x * sigmoid(x) with activation silu (or swish, another name for it); the sum is rounded to
 * the tensor's type before, as if it were a node of its own.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"

#include <inttypes.h>

enum { INPUT, WEIGHT, BIAS, PAST };

/* ---- inference -------------------------------------------------------------------------- */

static int check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t rank, const char *shape)
{
    const tn_type *type = conv_input(ctx, k);
    if (!type || type->rank < 0 || type->rank == rank)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                             "input '%s' has rank %d: expected %s", name, (int)type->rank, shape);
    return 0;
}

static int check_dim(tn_infer *ctx, uint32_t k, const char *name, int32_t axis, tn_dim wanted,
                     const char *because)
{
    const tn_dim found = conv_dim(conv_input(ctx, k), axis);
    if (found == TN_DIM_UNKNOWN || wanted == TN_DIM_UNKNOWN ||
        ctx->call.host->dim_equal(&ctx->call, found, wanted) != TN_NO)
        return 1;
    if (tn_dim_known(found) && tn_dim_known(wanted))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has extent %" PRId64 " on axis %d: expected %" PRId64
                                 ", %s",
                                 name, found, (int)axis, wanted, because);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has another extent on axis %d than expected: %s", name,
                                 (int)axis, because);
    return 0;
}

static int check_activation(tn_infer *ctx)
{
    const char *name = tn_attr_string(ctx->node, "activation", "none");
    if (strcmp(name, "none") == 0 || strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "activation",
                             "activation is '%.40s': expected none, silu or swish", name);
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *input = conv_input(ctx, INPUT), *weight = conv_input(ctx, WEIGHT);
    const tn_type *past = conv_input(ctx, PAST);
    if (!check_activation(ctx) || !check_rank(ctx, INPUT, "input", 3, "3, [B, C, L]") ||
        !check_rank(ctx, WEIGHT, "weight", 3, "3, [C, 1, k]") ||
        !check_rank(ctx, BIAS, "bias", 1, "a vector") ||
        !check_rank(ctx, PAST, "past_state", 3, "3, [B, C, k - 1]"))
        return TN_OK;
    const tn_dim channels = conv_dim(input, 1), taps = conv_dim(weight, 2);
    const tn_dim kept = tn_dim_sub(ctx, taps, 1);
    if (!check_dim(ctx, WEIGHT, "weight", 0, channels, "the channels of 'input'") ||
        !check_dim(ctx, WEIGHT, "weight", 1, 1, "each channel is by itself") ||
        !check_dim(ctx, BIAS, "bias", 0, channels, "the channels of 'input'") ||
        !check_dim(ctx, PAST, "past_state", 0, conv_dim(input, 0), "the samples of 'input'") ||
        !check_dim(ctx, PAST, "past_state", 1, channels, "the channels of 'input'") ||
        !check_dim(ctx, PAST, "past_state", 2, kept, "one less than the taps of 'weight'"))
        return TN_OK;
    if (tn_dim_known(taps) && taps < 1) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, WEIGHT, NULL,
                                 "input 'weight' has no tap: expected one at least");
        return TN_OK;
    }
    for (uint32_t k = 0; k < ctx->output_count && input; k++) {
        ctx->outputs[k].rank = 3;
        for (int32_t axis = 0; axis < 3; axis++)
            ctx->outputs[k].dims[axis] = conv_dim(input, axis);
        if (k == 1)
            ctx->outputs[k].dims[2] = kept != TN_DIM_UNKNOWN ? kept : conv_dim(past, 2);
    }
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    out->macs = (double)conv_dim(conv_input(ctx, WEIGHT), 2);
    for (int32_t axis = 0; axis < 3; axis++)
        out->macs *= (double)conv_dim(conv_input(ctx, INPUT), axis);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == WEIGHT || k == BIAS ? -1 : 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *input, *weight, *bias, *past;
    tn_tensor *output, *present;
    int64_t channels, length, taps;
    int silu;
} job;

/* Element `at` of past and input in one row. */
static double element(const job *j, int64_t row, int64_t at)
{
    const int64_t kept = j->taps - 1;
    if (at >= kept)
        return tn_get_double(j->input->dtype, j->input->data, row * j->length + at - kept);
    return j->past ? tn_get_double(j->past->dtype, j->past->data, row * kept + at) : 0.0;
}

static double sum_taps(const job *j, int64_t row, int64_t t)
{
    const int64_t c = row % j->channels;
    double sum = j->bias ? tn_get_double(j->bias->dtype, j->bias->data, c) : 0.0;
    for (int64_t i = 0; i < j->taps; i++)
        sum += tn_get_double(j->weight->dtype, j->weight->data, c * j->taps + i) *
               element(j, row, t + i);
    return sum;
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    tn_tensor *y = j->output;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t t = 0; y && t < j->length; t++) {
            const int64_t at = row * j->length + t;
            tn_set_float(y->dtype, y->data, at, sum_taps(j, row, t));
            if (!j->silu)
                continue;
            const double x = tn_get_double(y->dtype, y->data, at);
            tn_set_float(y->dtype, y->data, at, x / (1.0 + exp(-x)));
        }
        for (int64_t k = 0; j->present && k < j->taps - 1; k++)
            tn_set_float(j->present->dtype, j->present->data, row * (j->taps - 1) + k,
                         element(j, row, j->length + k));
    }
    return TN_OK;
}

static tn_status run_causal_conv(tn_run *ctx, const void *state, void *slot)
{
    job j = { .input = ctx->inputs[INPUT],
              .weight = ctx->inputs[WEIGHT],
              .bias = ctx->input_count > BIAS ? ctx->inputs[BIAS] : NULL,
              .past = ctx->input_count > PAST ? ctx->inputs[PAST] : NULL,
              .output = ctx->outputs[0],
              .present = ctx->output_count > 1 ? ctx->outputs[1] : NULL,
              .silu = strcmp(tn_attr_string(ctx->node, "activation", "none"), "none") != 0 };
    (void)state, (void)slot;
    j.channels = j.input->dims[1];
    j.length = j.input->dims[2];
    j.taps = j.weight->dims[2];
    const int64_t rows = j.input->dims[0] * j.channels;
    return rows ? ctx->call.host->parallel_for(
                      &ctx->call, rows, 1 + 50000 / (j.length * j.taps + j.taps), run_rows, &j)
                : TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define T_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "input", "T", T_MASK, 0, 0, "[B, C, L]" },
    { "weight", "T", T_MASK, 0, 0, "a filter for each channel: [C, 1, k]" },
    { "bias", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "added to each channel: [C]" },
    { "past_state", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "what came before: [B, C, k - 1]; zeros" },
};
static const tn_param_def outputs[] = {
    { "output", "T", T_MASK, 0, 0, "[B, C, L]" },
    { "present_state", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "past_state of the next run" },
};
static const tn_attribute_def attributes[] = {
    { .name = "activation",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "none",
      .doc = "none, silu or swish" },
};
static const tn_operator_def causal_conv = { .size = sizeof causal_conv,
                                             .since = 27,
                                             .name = "CausalConvWithState",
                                             .doc = "A convolution of each channel with its past, "
                                                    "which is carried from run to run.",
                                             .inputs = inputs,
                                             .input_count = 4,
                                             .outputs = outputs,
                                             .output_count = 2,
                                             .attributes = attributes,
                                             .attribute_count = 1,
                                             .infer = infer,
                                             .cost = cost,
                                             .samplewise = samplewise,
                                             .expand = causal_conv_write_out };
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "CausalConvWithState",
                                      .run = run_causal_conv,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status causal_conv_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &causal_conv));
    return registrar->add_kernel(registrar, &kernel);
}
