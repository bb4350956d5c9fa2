/* plugins/control/sequence_map.c: a body over the elements of sequences.
 *
 * ONNX: SequenceMap. The first input is a sequence and says how many elements there are; other
 * sequences have as many, tensors go into the body as they are. Each output is a sequence of what
 * the body gives. Elements may differ in shape.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    tn_type elements[CONTROL_MOST], made[CONTROL_MOST];
    const tn_type *in[CONTROL_MOST];
    if (!control_fits(ctx))
        return TN_OK;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        in[k] = ctx->inputs[k];
        if (!in[k])
            return tn_fail(ctx, TN_ERR_FORMAT, "input %u is absent", (unsigned)k);
        if ((in[k]->kind & 15u) != TN_SEQUENCE)
            continue;
        elements[k] = *in[k];
        elements[k].kind >>= 4;
        in[k] = &elements[k];
    }
    TN_TRY(ctx->call.host->infer_region(&ctx->call, "body", in, ctx->input_count, made,
                                        ctx->output_count));
    for (uint32_t k = 0; k < ctx->output_count; k++) {
        if (made[k].kind)
            ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                     "output %u of the body is no tensor: a sequence holds tensors",
                                     (unsigned)k);
        ctx->outputs[k] = made[k];
        ctx->outputs[k].kind = TN_SEQUENCE;
        ctx->outputs[k].flags = 0;
    }
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status check_lengths(tn_run *ctx, int64_t count)
{
    for (uint32_t k = 1; k < ctx->input_count; k++) {
        const int64_t own = ctx->call.host->seq_count(&ctx->call, ctx->inputs[k]);
        if (ctx->inputs[k]->kind && own != count)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "input %u has %lld elements: expected %lld as input_sequence",
                           (unsigned)k, (long long)own, (long long)count);
    }
    return TN_OK;
}

static tn_status run_element(tn_run *ctx, control_room room, int64_t at)
{
    const tn_host *host = ctx->call.host;
    tn_status status = TN_OK;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        room.in[k] = ctx->inputs[k]->kind ? host->seq_get(&ctx->call, ctx->inputs[k], at)
                                          : ctx->inputs[k];
    TN_TRY(host->run_region(&ctx->call, "body", room.in, ctx->input_count, room.out,
                            ctx->output_count));
    for (uint32_t k = 0; k < ctx->output_count && status == TN_OK; k++)
        if (ctx->outputs[k])
            status = host->seq_insert(&ctx->call, k, at, room.out[k]);
    control_release(ctx, room.out, ctx->output_count);
    return status;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_host *host = ctx->call.host;
    const control_room room = control_room_of(ctx);
    const int64_t count = host->seq_count(&ctx->call, ctx->inputs[0]);
    (void)state, (void)slot;
    TN_TRY(check_lengths(ctx, count));
    for (uint32_t k = 0; k < ctx->output_count; k++)
        if (ctx->outputs[k])
            TN_TRY(host->seq_begin(&ctx->call, k, UINT32_MAX));
    for (int64_t at = 0; at < count; at++) {
        if (host->cancelled(&ctx->call))
            return TN_ERR_CANCELLED;
        TN_TRY(run_element(ctx, room, at));
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define TYPES                                                                                      \
    ((TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16)) | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) |                \
     TN_BIT(TN_STRING))
#define ONLY_SEQUENCE (TN_PARAM_SEQUENCE | TN_PARAM_NOT_TENSOR)
#define REST (TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS)
static const tn_param_def inputs[] = {
    { "input_sequence", "S", TYPES, ONLY_SEQUENCE, 0, "Says how many elements there are." },
    { "additional_inputs", "V", TYPES, REST | TN_PARAM_SEQUENCE, 0,
      "Sequences of as many, or tensors for every element." },
};
static const tn_param_def outputs[] = {
    { "out_sequence", "S", TYPES, REST | ONLY_SEQUENCE, 1, "What the body gives, in order." },
};
static const tn_attribute_def attributes[] = {
    { .name = "body",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc =
          "Takes an element of each sequence and the tensors; gives an element of each output." },
};

tn_status sequence_map_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 17,
        .name = "SequenceMap",
        .doc = "Runs a body over the elements of sequences.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_REGIONS | TN_MAY_FAIL,
        .infer = infer,
        .cost = control_cost,
        .expand = sequence_map_write,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "SequenceMap",
                                   .flags = TN_KERNEL_EMPTY,
                                   .measure = control_measure,
                                   .run = run };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
