/* plugins/sequence/optional.c: a value that may be absent.
 *
 * ONNX: Optional, OptionalHasElement, OptionalGetElement. The last two take plain tensors and
 * sequences as well (since version 18): those are there, and are themselves.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer_optional(tn_infer *ctx)
{
    const tn_type *input = seq_input(ctx, 0);
    const tn_attribute *type = tn_attr(ctx->node, "type");
    tn_type *out = &ctx->outputs[0];
    if (!input && (!type || type->type != TN_ATTR_TYPE))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_NODE, 0, NULL,
                                 "Optional has neither an input nor attribute 'type': nothing "
                                 "tells what it may hold");
    else
        *out = input ? *input : *type->types;
    out->flags = 0;
    seq_wrap(out, TN_OPTIONAL);
    return TN_OK;
}

static tn_status infer_has(tn_infer *ctx)
{
    ctx->outputs[0].dtype = TN_BOOL;
    ctx->outputs[0].rank = 0;
    return TN_OK;
}

static tn_status infer_get(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if ((ctx->outputs[0].kind & 15u) != TN_OPTIONAL)
        return TN_OK;
    seq_unwrap(&ctx->outputs[0]);
    seq_mark_late(&ctx->outputs[0]);
    return TN_OK;
}

static int32_t identity_get(const tn_identity *query)
{
    return query->inputs[0] && query->inputs[0]->dtype &&
                   (query->inputs[0]->kind & 15u) != TN_OPTIONAL
               ? 0
               : -1;
}

/* ---- kernels ---------------------------------------------------------------------------- */

static tn_status run_optional(tn_run *ctx, const void *state, void *slot)
{
    (void)state, (void)slot;
    return ctx->call.host->opt_set(&ctx->call, 0, seq_given(ctx, 0));
}

static tn_status run_has(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *input = seq_given(ctx, 0);
    (void)state, (void)slot;
    *(uint8_t *)ctx->outputs[0]->data = input && ctx->call.host->opt_get(&ctx->call, input);
    return TN_OK;
}

static tn_status run_get(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *found = ctx->call.host->opt_get(&ctx->call, ctx->inputs[0]);
    (void)state, (void)slot;
    if (!found)
        return tn_fail(ctx, TN_ERR_VALUE, "the optional is empty");
    if (ctx->inputs[0]->kind != TN_TENSOR || !ctx->outputs[0]->data)
        return ctx->call.host->output_set(&ctx->call, 0, found);
    const size_t bytes = tn_dtype_bytes(found->dtype, tn_count(found));
    if (bytes && ctx->outputs[0]->data != found->data)
        memcpy(ctx->outputs[0]->data, found->data, bytes);
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define ONLY_OPTIONAL (TN_PARAM_OPTIONAL_TYPE | TN_PARAM_NOT_TENSOR)
#define ANY_KIND (TN_PARAM_OPTIONAL_TYPE | TN_PARAM_SEQUENCE)
static const tn_param_def optional_inputs[] = {
    { "input", "V", SEQ_TYPES, TN_PARAM_SEQUENCE | TN_PARAM_OPTIONAL, 0,
      "What it holds: a tensor or a sequence; absent: nothing." },
};
static const tn_param_def optional_outputs[] = {
    { "output", "O", SEQ_TYPES, ONLY_OPTIONAL, 0, "The optional." },
};
static const tn_attribute_def optional_attributes[] = {
    { .name = "type", .type = TN_ATTR_TYPE, .doc = "What an empty optional may hold." },
};
static const tn_param_def has_inputs[] = {
    { "input", "O", SEQ_TYPES, ANY_KIND | TN_PARAM_OPTIONAL, 0,
      "An optional; a tensor or sequence is always there, an absent input never." },
};
static const tn_param_def has_outputs[] = {
    { "output", "B", TN_BIT(TN_BOOL), 0, 0, "Whether there is a value: a scalar." },
};
static const tn_param_def get_inputs[] = {
    { "input", "O", SEQ_TYPES, ANY_KIND, 0, "An optional that holds a value, or the value." },
};
static const tn_param_def get_outputs[] = {
    { "output", "V", SEQ_TYPES, TN_PARAM_SEQUENCE, 0, "The value." },
};

tn_status optional_register(tn_registrar *registrar)
{
    const tn_operator_def optional = {
        .size = sizeof optional,
        .since = 15,
        .name = "Optional",
        .doc = "An optional that holds the input, or nothing.",
        .inputs = optional_inputs,
        .input_count = 1,
        .outputs = optional_outputs,
        .output_count = 1,
        .attributes = optional_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer_optional,
        .cost = seq_cost,
    };
    const tn_operator_def has = {
        .size = sizeof has,
        .since = 18,
        .accepts_from = 15,
        .name = "OptionalHasElement",
        .doc = "Whether an optional holds a value.",
        .inputs = has_inputs,
        .input_count = 1,
        .outputs = has_outputs,
        .output_count = 1,
        .infer = infer_has,
        .cost = seq_cost,
    };
    const tn_operator_def get = {
        .size = sizeof get,
        .since = 18,
        .accepts_from = 15,
        .name = "OptionalGetElement",
        .doc = "The value that an optional holds.",
        .inputs = get_inputs,
        .input_count = 1,
        .outputs = get_outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer_get,
        .identity = identity_get,
        .cost = seq_cost,
    };
    TN_TRY(seq_add(registrar, &optional, run_optional));
    TN_TRY(seq_add(registrar, &has, run_has));
    return seq_add(registrar, &get, run_get);
}
