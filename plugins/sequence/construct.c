/* plugins/sequence/construct.c: sequences of given tensors, and empty ones.
 *
 * ONNX: SequenceConstruct, SequenceEmpty.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- SequenceConstruct ------------------------------------------------------------------ */

static tn_status infer_construct(tn_infer *ctx)
{
    tn_type *out = &ctx->outputs[0];
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_type *input = ctx->inputs[k];
        if (k == 0 && input)
            *out = *input;
        else
            seq_unite(ctx, out, input);
        if (input && input->dtype)
            out->dtype = input->dtype;
    }
    out->flags = 0;
    seq_wrap(out, TN_SEQUENCE);
    return TN_OK;
}

static tn_status run_construct(tn_run *ctx, const void *state, void *slot)
{
    (void)state, (void)slot;
    TN_TRY(ctx->call.host->seq_begin(&ctx->call, 0, UINT32_MAX));
    for (uint32_t k = 0; k < ctx->input_count; k++)
        TN_TRY(ctx->call.host->seq_insert(&ctx->call, 0, k, ctx->inputs[k]));
    return TN_OK;
}

/* ---- SequenceEmpty ---------------------------------------------------------------------- */

static tn_status infer_empty(tn_infer *ctx)
{
    const int64_t dtype = tn_attr_int(ctx->node, "dtype", TN_FLOAT32);
    ctx->outputs[0].kind = TN_SEQUENCE;
    if (dtype > 0 && dtype < TN_DTYPE_COUNT && (SEQ_TYPES & TN_BIT(dtype)))
        ctx->outputs[0].dtype = (uint32_t)dtype;
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "dtype",
                                 "dtype is %lld, which is no element type of sequences",
                                 (long long)dtype);
    return TN_OK;
}

static tn_status run_empty(tn_run *ctx, const void *state, void *slot)
{
    (void)state, (void)slot;
    return ctx->call.host->seq_begin(&ctx->call, 0, UINT32_MAX);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def construct_inputs[] = {
    { "inputs", "T", SEQ_TYPES, TN_PARAM_VARIADIC, 1, "Tensors of one element type." },
};
static const tn_param_def construct_outputs[] = {
    { "output_sequence", "S", SEQ_TYPES, SEQ_ONLY, 0, "The tensors, in order." },
};
static const tn_param_def empty_outputs[] = {
    { "output", "S", SEQ_TYPES, SEQ_ONLY, 0, "A sequence of nothing." },
};
static const tn_attribute_def empty_attributes[] = {
    { .name = "dtype",
      .type = TN_ATTR_INT,
      .doc = "The element type of what may be put in; float32 if absent." },
};

tn_status construct_register(tn_registrar *registrar)
{
    const tn_operator_def construct = {
        .size = sizeof construct,
        .since = 11,
        .name = "SequenceConstruct",
        .doc = "A sequence of the given tensors.",
        .inputs = construct_inputs,
        .input_count = 1,
        .outputs = construct_outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer_construct,
        .cost = seq_cost,
    };
    const tn_operator_def empty = {
        .size = sizeof empty,
        .since = 11,
        .name = "SequenceEmpty",
        .doc = "An empty sequence of a given element type.",
        .outputs = empty_outputs,
        .output_count = 1,
        .attributes = empty_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer_empty,
        .cost = seq_cost,
    };
    TN_TRY(seq_add(registrar, &construct, run_construct));
    return seq_add(registrar, &empty, run_empty);
}
