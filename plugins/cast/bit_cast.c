/* plugins/cast/bit_cast.c: the same bits under another element type.
 *
 * ONNX: BitCast, between types of equal width other than string. A bool is a byte, 0 or 1:
 * every other byte becomes 1.
 *
 * SPDX-License-Identifier: MIT */
#include "cast.h"

#define BIT_CAST_TYPES (TN_MASK_ALL & ~TN_BIT(TN_STRING))

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    const int64_t to = tn_attr_int(ctx->node, "to", TN_UNDEFINED);
    if (to <= TN_UNDEFINED || to >= TN_DTYPE_COUNT || !(TN_BIT(to) & BIT_CAST_TYPES)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "to",
                                 "to is %lld: expected the number of an element type that is not "
                                 "string, such as 1 for float32",
                                 (long long)to);
        return TN_OK;
    }
    if (input && input->dtype != TN_UNDEFINED &&
        tn_dtype_bits(input->dtype) != tn_dtype_bits((uint32_t)to))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "to",
                                 "to is %lld, a type of %u bits: expected one of %u, as input "
                                 "'input' has",
                                 (long long)to, (unsigned)tn_dtype_bits((uint32_t)to),
                                 (unsigned)tn_dtype_bits(input->dtype));
    ctx->outputs[0].dtype = (uint32_t)to;
    return tn_infer_same(ctx, 0, 0);
}

static int32_t identity(const tn_identity *query)
{
    const tn_type *in = query->inputs[0], *out = query->outputs[0];
    return in && out && in->dtype != TN_UNDEFINED && in->dtype == out->dtype ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    tn_tensor *out = ctx->outputs[0];
    const int64_t count = tn_count(in);
    (void)state, (void)slot;
    memcpy(out->data, in->data, tn_dtype_bytes(in->dtype, count));
    for (int64_t i = 0; out->dtype == TN_BOOL && i < count; i++)
        ((uint8_t *)out->data)[i] = ((uint8_t *)out->data)[i] != 0;
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T1", BIT_CAST_TYPES, 0, 0, "Any tensor that is not of strings." },
};
static const tn_param_def outputs[] = {
    { "output", "T2", BIT_CAST_TYPES, 0, 0, "The same bits in the other type." },
};
static const tn_attribute_def attributes[] = {
    { .name = "to",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Number of an element type of the same width, as in TensorProto." },
};

tn_status bit_cast_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 26,
        .accepts_from = 26,
        .name = "BitCast",
        .doc = "The elements' bits as another type of the same width.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_ELEMENTWISE,
        .infer = infer,
        .identity = identity,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "BitCast", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
