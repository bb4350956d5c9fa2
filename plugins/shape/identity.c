/* plugins/shape/identity.c: the input itself.
 *
 * ONNX: Identity, of tensors, sequences and optionals.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

static tn_status infer(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    return shape_pass_elements(ctx);
}

static int32_t identity(const tn_identity *query)
{
    (void)query;
    return 0;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->kind != TN_TENSOR || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    if (ctx->inputs[0]->kind != TN_TENSOR)
        return ctx->call.host->output_set(&ctx->call, 0, ctx->inputs[0]);
    return shape_copy(ctx, state, slot);
}

#define ANY_KIND (TN_PARAM_SEQUENCE | TN_PARAM_OPTIONAL_TYPE)
static const tn_param_def inputs[] = {
    { "input", "V", TN_MASK_ALL, ANY_KIND, 0, "A tensor, a sequence or an optional." },
};
static const tn_param_def outputs[] = {
    { "output", "V", TN_MASK_ALL, ANY_KIND, 0, "The same." },
};

tn_status identity_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 1,
        .name = "Identity",
        .doc = "The input itself.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_RESHAPES,
        .infer = infer,
        .identity = identity,
        .cost = shape_cost,
        .samplewise = samplewise,
    };
    return shape_add(registrar, &op, run, TN_KERNEL_IN_PLACE);
}
