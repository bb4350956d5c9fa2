/* plugins/sequence/split.c: a tensor cut into a sequence.
 *
 * ONNX: SplitToSequence. Without `split` into slices of extent 1, which keepdims = 0 drops; a
 * scalar `split` into chunks of that extent, the last one perhaps smaller; a vector into chunks of
 * its extents, which add up to the whole.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- inference -------------------------------------------------------------------------- */

/* The extent that all chunks have; unknown where they differ or cannot be told. */
static tn_dim chunk_extent(tn_infer *ctx, tn_dim whole)
{
    const tn_tensor *split = ctx->call.host->input_value(&ctx->call, 1);
    const int64_t count = split ? tn_count(split) : 0;
    int64_t sum = 0;
    if (count == 0)
        return TN_DIM_UNKNOWN;
    const int64_t first = tn_get_int(split->dtype, split->data, 0);
    int64_t same = 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t extent = tn_get_int(split->dtype, split->data, i);
        if (extent < 0 || (split->rank == 0 && extent == 0)) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     "split[%lld] is %lld: expected %s", (long long)i,
                                     (long long)extent,
                                     split->rank ? "at least 0" : "a positive extent");
            return TN_DIM_UNKNOWN;
        }
        same = same && extent == first;
        if (__builtin_add_overflow(sum, extent, &sum))
            sum = INT64_MAX;
    }
    if (split->rank == 0)
        return tn_dim_known(whole) && whole % first == 0 ? first : TN_DIM_UNKNOWN;
    if (tn_dim_known(whole) && whole != sum)
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "split adds up to %lld: expected %lld, the extent to be split",
                                 (long long)sum, (long long)whole);
    return same ? first : TN_DIM_UNKNOWN;
}

static tn_status infer(tn_infer *ctx)
{
    tn_type *out = &ctx->outputs[0];
    const tn_type *split = seq_input(ctx, 1);
    const int64_t named = tn_attr_int(ctx->node, "axis", 0);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    seq_wrap(out, TN_SEQUENCE);
    if (split && split->rank > 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "split has rank %d: expected a scalar or a vector",
                                 (int)split->rank);
    if (out->rank < 0)
        return TN_OK;
    const int32_t axis = tn_axis(named, out->rank);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of input 'input' of rank %d",
                                 (long long)named, -(int)out->rank, (int)out->rank, (int)out->rank);
        return TN_OK;
    }
    if (split) {
        out->dims[axis] = chunk_extent(ctx, out->dims[axis]);
        return TN_OK;
    }
    out->dims[axis] = 1;
    if (tn_attr_int(ctx->node, "keepdims", 1))
        return TN_OK;
    for (int32_t a = axis; a + 1 < out->rank; a++)
        out->dims[a] = out->dims[a + 1];
    out->rank--;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Copies extents [from, from + extent) of the axis into a tensor of their own. */
static tn_status add_chunk(tn_run *ctx, int32_t axis, int64_t from, int64_t extent, int64_t at)
{
    const tn_tensor *in = ctx->inputs[0];
    tn_type type = { .size = sizeof type, .dtype = in->dtype, .rank = in->rank };
    tn_tensor *chunk;
    for (int32_t a = 0; a < in->rank; a++)
        type.dims[a] = a == axis ? extent : in->dims[a];
    TN_TRY(ctx->call.host->value_make(&ctx->call, &type, &chunk));
    const size_t inner = tn_dtype_bytes(in->dtype, tn_extent(in->dims, axis + 1, in->rank));
    const size_t row = inner * (size_t)extent, step = inner * (size_t)in->dims[axis];
    const int64_t outer = tn_extent(in->dims, 0, axis);
    for (int64_t k = 0; k < outer && row; k++)
        memcpy((char *)chunk->data + (size_t)k * row,
               (const char *)in->data + (size_t)k * step + (size_t)from * inner, row);
    const tn_status status = ctx->call.host->seq_insert(&ctx->call, 0, at, chunk);
    ctx->call.host->value_release(&ctx->call, chunk);
    return status;
}

static tn_status add_slice(tn_run *ctx, int32_t axis, int64_t index)
{
    const tn_tensor *slice;
    TN_TRY(ctx->call.host->value_slice(&ctx->call, ctx->inputs[0], axis, index, &slice));
    const tn_status status = ctx->call.host->seq_insert(&ctx->call, 0, index, slice);
    ctx->call.host->value_release(&ctx->call, slice);
    return status;
}

static tn_status add_vector(tn_run *ctx, int32_t axis, const tn_tensor *split)
{
    const int64_t whole = ctx->inputs[0]->dims[axis];
    int64_t from = 0;
    for (int64_t i = 0; i < tn_count(split); i++) {
        const int64_t extent = tn_get_int(split->dtype, split->data, i);
        if (extent < 0)
            return tn_fail(ctx, TN_ERR_VALUE, "split[%lld] is %lld: expected at least 0",
                           (long long)i, (long long)extent);
        if (extent > whole - from)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "split adds up to more than %lld, the extent to be split",
                           (long long)whole);
        TN_TRY(add_chunk(ctx, axis, from, extent, i));
        from += extent;
    }
    if (from != whole)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "split adds up to %lld: expected %lld, the extent to be "
                       "split",
                       (long long)from, (long long)whole);
    return TN_OK;
}

static tn_status add_equal(tn_run *ctx, int32_t axis, int64_t extent)
{
    const int64_t whole = ctx->inputs[0]->dims[axis];
    int64_t at = 0;
    if (extent < 1)
        return tn_fail(ctx, TN_ERR_VALUE, "split is %lld: expected a positive extent",
                       (long long)extent);
    for (int64_t from = 0; from < whole; at++) {
        const int64_t part = whole - from < extent ? whole - from : extent;
        TN_TRY(add_chunk(ctx, axis, from, part, at));
        from += part;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0], *split = seq_given(ctx, 1);
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), in->rank);
    (void)state, (void)slot;
    if (axis < 0)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE, "axis is outside an input of rank %d", (int)in->rank);
    TN_TRY(ctx->call.host->seq_begin(&ctx->call, 0, UINT32_MAX));
    if (split && split->rank > 0)
        return add_vector(ctx, axis, split);
    if (split)
        return add_equal(ctx, axis, tn_get_int(split->dtype, split->data, 0));
    if (tn_attr_int(ctx->node, "keepdims", 1))
        return add_equal(ctx, axis, 1);
    for (int64_t i = 0; i < in->dims[axis]; i++)
        TN_TRY(add_slice(ctx, axis, i));
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", SEQ_TYPES | TN_BIT(TN_BFLOAT16), 0, 0, "The tensor to split." },
    { "split", "I", SEQ_INDEX, TN_PARAM_OPTIONAL, 0,
      "The extent of each chunk: a scalar for all, or a vector; absent: 1." },
};
static const tn_param_def outputs[] = {
    { "output_sequence", "S", SEQ_TYPES | TN_BIT(TN_BFLOAT16), SEQ_ONLY, 0,
      "The chunks, in order." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "Where to cut; negative counts from the end." },
    { .name = "keepdims",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "0: without 'split', the slices lose the axis." },
};

tn_status split_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 24,
        .accepts_from = 11,
        .name = "SplitToSequence",
        .doc = "Cuts a tensor into a sequence of tensors along an axis.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .cost = seq_cost,
    };
    return seq_add(registrar, &op, run);
}
