/* plugins/sequence/edit.c: one element into a sequence, out of it, looked at; and their number.
 *
 * ONNX: SequenceInsert, SequenceErase, SequenceAt, SequenceLength. Negative positions count from
 * the back; a position outside is an error.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer_insert(tn_infer *ctx)
{
    tn_type *out = &ctx->outputs[0];
    const tn_type *element = seq_input(ctx, 1);
    seq_check_element(ctx, 1);
    seq_check_scalar(ctx, 2);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    out->kind = TN_SEQUENCE;
    if (!out->dtype && element)
        out->dtype = element->dtype;
    seq_unite(ctx, out, element);
    return TN_OK;
}

/* What holds for all elements holds for those that stay. */
static tn_status infer_erase(tn_infer *ctx)
{
    seq_check_scalar(ctx, 1);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].kind = TN_SEQUENCE;
    return TN_OK;
}

static tn_status infer_at(tn_infer *ctx)
{
    seq_check_scalar(ctx, 1);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].kind = TN_TENSOR;
    seq_mark_late(&ctx->outputs[0]);
    return TN_OK;
}

static tn_status infer_length(tn_infer *ctx)
{
    ctx->outputs[0].dtype = TN_INT64;
    ctx->outputs[0].rank = 0;
    return TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

static tn_status run_insert(tn_run *ctx, const void *state, void *slot)
{
    const tn_host *host = ctx->call.host;
    const int64_t count = host->seq_count(&ctx->call, ctx->inputs[0]);
    int64_t at = count;
    (void)state, (void)slot;
    if (seq_given(ctx, 2)) {
        const tn_tensor *position = ctx->inputs[2];
        if (tn_count(position) != 1)
            return tn_fail(ctx, TN_ERR_SHAPE, "the position has %lld elements: expected one",
                           (long long)tn_count(position));
        at = tn_get_int(position->dtype, position->data, 0);
        if (at < -count || at > count)
            return tn_fail(ctx, TN_ERR_VALUE, "position %lld is outside [%lld, %lld]",
                           (long long)at, (long long)-count, (long long)count);
        at += at < 0 ? count : 0;
    }
    TN_TRY(host->seq_begin(&ctx->call, 0, 0));
    return host->seq_insert(&ctx->call, 0, at, ctx->inputs[1]);
}

static tn_status run_erase(tn_run *ctx, const void *state, void *slot)
{
    const tn_host *host = ctx->call.host;
    int64_t at;
    (void)state, (void)slot;
    TN_TRY(seq_position(ctx, 1, host->seq_count(&ctx->call, ctx->inputs[0]), &at));
    TN_TRY(host->seq_begin(&ctx->call, 0, 0));
    return host->seq_erase(&ctx->call, 0, at);
}

static tn_status run_at(tn_run *ctx, const void *state, void *slot)
{
    const tn_host *host = ctx->call.host;
    int64_t at;
    (void)state, (void)slot;
    TN_TRY(seq_position(ctx, 1, host->seq_count(&ctx->call, ctx->inputs[0]), &at));
    return host->output_set(&ctx->call, 0, host->seq_get(&ctx->call, ctx->inputs[0], at));
}

static tn_status run_length(tn_run *ctx, const void *state, void *slot)
{
    (void)state, (void)slot;
    *(int64_t *)ctx->outputs[0]->data = ctx->call.host->seq_count(&ctx->call, ctx->inputs[0]);
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define SEQUENCE                                                                                   \
    {                                                                                              \
        "input_sequence", "S", SEQ_TYPES, SEQ_ONLY, 0, "Tensors of one element type."              \
    }
static const tn_param_def insert_inputs[] = {
    SEQUENCE,
    { "tensor", "T", SEQ_TYPES, 0, 0, "What is put in." },
    { "position", "I", SEQ_INDEX, TN_PARAM_OPTIONAL, 0,
      "Where, in [-n, n] of n elements; absent: behind the last." },
};
static const tn_param_def erase_inputs[] = {
    SEQUENCE,
    { "position", "I", SEQ_INDEX, TN_PARAM_OPTIONAL, 0,
      "Which, in [-n, n) of n elements; absent: the last." },
};
static const tn_param_def at_inputs[] = {
    SEQUENCE,
    { "position", "I", SEQ_INDEX, 0, 0, "Which, in [-n, n) of n elements." },
};
static const tn_param_def length_inputs[] = { SEQUENCE };
static const tn_param_def sequence_outputs[] = {
    { "output_sequence", "S", SEQ_TYPES, SEQ_ONLY, 0, "The changed sequence." },
};
static const tn_param_def at_outputs[] = {
    { "tensor", "T", SEQ_TYPES, 0, 0, "The element there." },
};
static const tn_param_def length_outputs[] = {
    { "length", "I", TN_BIT(TN_INT64), 0, 0, "How many elements: a scalar." },
};

#define ROW(op, text, in, out, fn, extra)                                                          \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = 11, .name = op, .doc = text, .inputs = in,       \
        .input_count = (uint16_t)(sizeof(in) / sizeof *(in)), .outputs = out, .output_count = 1,   \
        .traits = extra, .infer = fn, .cost = seq_cost                                             \
    }
static const struct {
    tn_operator_def op;
    tn_status (*run)(tn_run *ctx, const void *state, void *slot);
} rows[] = {
    { ROW("SequenceInsert", "Puts a tensor into a sequence.", insert_inputs, sequence_outputs,
          infer_insert, TN_MOVES_BYTES | TN_MAY_FAIL),
      run_insert },
    { ROW("SequenceErase", "Takes a tensor out of a sequence.", erase_inputs, sequence_outputs,
          infer_erase, TN_MOVES_BYTES | TN_MAY_FAIL),
      run_erase },
    { ROW("SequenceAt", "The tensor at a position of a sequence.", at_inputs, at_outputs, infer_at,
          TN_MOVES_BYTES | TN_MAY_FAIL),
      run_at },
    { ROW("SequenceLength", "The number of tensors in a sequence.", length_inputs, length_outputs,
          infer_length, 0),
      run_length },
};

tn_status edit_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        TN_TRY(seq_add(registrar, &rows[k].op, rows[k].run));
    return TN_OK;
}
