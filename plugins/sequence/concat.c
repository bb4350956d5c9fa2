/* plugins/sequence/concat.c: a sequence joined into one tensor.
 *
 * ONNX: ConcatFromSequence. Along an axis that the elements have, or along a new one (new_axis).
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    tn_type *out = &ctx->outputs[0];
    const int64_t named = tn_attr_int(ctx->node, "axis", 0);
    const int64_t is_new = tn_attr_int(ctx->node, "new_axis", 0);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    out->kind = TN_TENSOR;
    out->flags = TN_TYPE_LATE;
    if (is_new != 0 && is_new != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "new_axis",
                                 "new_axis is %lld: expected 0 or 1", (long long)is_new);
    if (out->rank < 0)
        return TN_OK;
    if (out->rank + is_new > TN_MAX_RANK) {
        ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, 0, NULL,
                                 "the output would have rank %d: expected at most %d",
                                 (int)out->rank + 1, TN_MAX_RANK);
        out->rank = -1;
        return TN_OK;
    }
    const int32_t rank = out->rank + (is_new == 1), axis = tn_axis(named, rank);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of an output of rank %d",
                                 (long long)named, -(int)rank, (int)rank, (int)rank);
        out->rank = -1;
        return TN_OK;
    }
    for (int32_t a = rank - 1; a > axis && is_new == 1; a--)
        out->dims[a] = out->dims[a - 1];
    out->rank = rank;
    out->dims[axis] = TN_DIM_UNKNOWN; /* a sequence's type says nothing of its length */
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Element k fits behind the first one: same type, same extents but along an old axis. */
static tn_status check_element(tn_run *ctx, const tn_tensor *first, const tn_tensor *element,
                               int64_t k, int32_t free_axis)
{
    if (element->dtype != first->dtype)
        return tn_fail(ctx, TN_ERR_TYPE, "element %lld is of another type than element 0",
                       (long long)k);
    if (element->rank != first->rank)
        return tn_fail(ctx, TN_ERR_SHAPE, "element %lld has rank %d: expected %d as element 0",
                       (long long)k, (int)element->rank, (int)first->rank);
    for (int32_t a = 0; a < first->rank; a++)
        if (a != free_axis && element->dims[a] != first->dims[a])
            return tn_fail(ctx, TN_ERR_SHAPE,
                           "element %lld has extent %lld along axis %d: expected %lld as element 0",
                           (long long)k, (long long)element->dims[a], (int)a,
                           (long long)first->dims[a]);
    return TN_OK;
}

/* The sum of the extents along the axis; a new axis has one of each element. */
static tn_status add_up(tn_run *ctx, int64_t count, int32_t axis, int is_new, int64_t *sum)
{
    const tn_host *host = ctx->call.host;
    const tn_tensor *first = host->seq_get(&ctx->call, ctx->inputs[0], 0);
    *sum = 0;
    for (int64_t k = 0; k < count; k++) {
        const tn_tensor *element = host->seq_get(&ctx->call, ctx->inputs[0], k);
        TN_TRY(check_element(ctx, first, element, k, is_new ? -1 : axis));
        if (__builtin_add_overflow(*sum, is_new ? 1 : element->dims[axis], sum))
            return tn_fail(ctx, TN_ERR_LIMIT, "the elements' extents add up beyond 64 bits");
    }
    return TN_OK;
}

static void copy_elements(tn_run *ctx, int64_t count, int32_t axis, int is_new)
{
    const tn_tensor *out = ctx->outputs[0];
    const int64_t outer = tn_extent(out->dims, 0, axis);
    const size_t inner = tn_dtype_bytes(out->dtype, tn_extent(out->dims, axis + 1, out->rank));
    const size_t step = inner * (size_t)out->dims[axis];
    size_t at = 0;
    for (int64_t k = 0; k < count; k++) {
        const tn_tensor *element = ctx->call.host->seq_get(&ctx->call, ctx->inputs[0], k);
        const size_t row = inner * (size_t)(is_new ? 1 : element->dims[axis]);
        for (int64_t o = 0; o < outer && row; o++)
            memcpy((char *)out->data + (size_t)o * step + at,
                   (const char *)element->data + (size_t)o * row, row);
        at += row;
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_host *host = ctx->call.host;
    const int64_t count = host->seq_count(&ctx->call, ctx->inputs[0]);
    const int is_new = tn_attr_int(ctx->node, "new_axis", 0) == 1;
    int64_t dims[TN_MAX_RANK], sum;
    (void)state, (void)slot;
    if (count == 0)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "the sequence is empty: nothing gives the output's shape");
    const tn_tensor *first = host->seq_get(&ctx->call, ctx->inputs[0], 0);
    const int32_t rank = first->rank + is_new;
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), rank);
    if (axis < 0 || rank > TN_MAX_RANK)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE,
                       "axis is %lld, outside [%d, %d) of an output of rank "
                       "%d",
                       (long long)tn_attr_int(ctx->node, "axis", 0), -(int)rank, (int)rank,
                       (int)rank);
    TN_TRY(add_up(ctx, count, axis, is_new, &sum));
    for (int32_t a = 0; a < rank; a++)
        dims[a] = a == axis ? sum : first->dims[is_new && a > axis ? a - 1 : a];
    TN_TRY(host->output_alloc(&ctx->call, 0, rank, dims));
    copy_elements(ctx, count, axis, is_new);
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input_sequence", "S", SEQ_TYPES, SEQ_ONLY, 0, "The parts, in order." },
};
static const tn_param_def outputs[] = {
    { "concat_result", "T", SEQ_TYPES, 0, 0, "The parts behind each other." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Where to join; negative counts from the end of the output's axes." },
    { .name = "new_axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: along an axis that the parts do not have." },
};

tn_status concat_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 11,
        .name = "ConcatFromSequence",
        .doc = "Joins the tensors of a sequence along one axis, or stacks them along a new one.",
        .inputs = inputs,
        .input_count = 1,
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
