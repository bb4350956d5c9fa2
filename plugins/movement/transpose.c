/* plugins/movement/transpose.c: permutes axes.
 *
 * ONNX: Transpose. Axis i of the output is axis perm[i] of the input; without perm the order is
 * reversed.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

static int32_t source_axis(const int64_t *perm, int32_t rank, int32_t axis)
{
    return perm ? (int32_t)perm[axis] : rank - 1 - axis;
}

/* Answers 0 after a complaint. */
static int check_perm(tn_infer *ctx, const int64_t *perm, int64_t count, int32_t rank)
{
    uint32_t seen = 0;
    if (count != rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "perm",
                                 "perm has %lld axes: expected %d, the rank of input 'data'",
                                 (long long)count, (int)rank);
        return 0;
    }
    for (int32_t axis = 0; axis < rank; axis++) {
        if (perm[axis] >= 0 && perm[axis] < rank && !(seen >> perm[axis] & 1)) {
            seen |= 1u << perm[axis];
            continue;
        }
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "perm",
                                 "perm[%d] is %lld: expected each of 0 to %d once", (int)axis,
                                 (long long)perm[axis], (int)rank - 1);
        return 0;
    }
    return 1;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    const int64_t *perm;
    const size_t count = tn_attr_ints(ctx->node, "perm", &perm);
    const int present = tn_attr(ctx->node, "perm") != NULL && count > 0;
    if (!data || data->rank < 0) {
        if (present && count <= TN_MAX_RANK) {
            ctx->outputs[0].rank = (int32_t)count;
            for (size_t axis = 0; axis < count; axis++)
                ctx->outputs[0].dims[axis] = TN_DIM_UNKNOWN;
        }
        return TN_OK;
    }
    if (present && !check_perm(ctx, perm, (int64_t)count, data->rank))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    for (int32_t axis = 0; axis < data->rank; axis++)
        ctx->outputs[0].dims[axis] =
            data->dims[source_axis(present ? perm : NULL, data->rank, axis)];
    return TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    const int64_t *perm;
    const size_t count = tn_attr_ints(query->node, "perm", &perm);
    const tn_type *data = query->inputs[0];
    if (count == 0)
        return data && data->rank >= 0 && data->rank < 2 ? 0 : -1;
    for (size_t axis = 0; axis < count; axis++) {
        if (perm[axis] != (int64_t)axis)
            return -1;
    }
    return 0;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0];
    const int64_t *perm;
    const size_t count = tn_attr_ints(ctx->node, "perm", &perm);
    if (!data || data->rank < 1 || (count && (int64_t)count != data->rank))
        return TN_NO_MATCH;
    input_axes[0] = 0;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        if (source_axis(count ? perm : NULL, data->rank, axis) == 0)
            output_axes[0] = axis;
    }
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* 2- and 4-bit elements share bytes: one by one, on one thread. */
static void packed(const tn_tensor *in, tn_tensor *out, const move_box *box)
{
    const uint32_t width = tn_dtype_bits(in->dtype);
    const int64_t count = tn_count(out);
    int64_t index[TN_MAX_RANK] = { 0 }, offset[1] = { 0 }, strides[1][TN_MAX_RANK];
    memcpy(strides[0], box->from_strides, sizeof strides[0]);
    memset(out->data, 0, tn_dtype_bytes(out->dtype, count));
    for (int64_t i = 0; i < count; i++) {
        tn_packed_set(out->data, width, i, tn_packed_get(in->data, width, offset[0]));
        (void)tn_next(box->rank, box->dims, index, 1, (const int64_t(*)[TN_MAX_RANK])strides,
                      offset);
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    tn_tensor *out = ctx->outputs[0];
    const int64_t *perm;
    const size_t count = tn_attr_ints(ctx->node, "perm", &perm);
    move_box box = {
        .rank = in->rank, .width = tn_dtype_bits(in->dtype) / 8, .from = in->data, .to = out->data
    };
    int64_t strides[TN_MAX_RANK];
    (void)state, (void)slot;
    tn_row_major(in->rank, in->dims, strides);
    tn_row_major(out->rank, out->dims, box.to_strides);
    for (int32_t axis = 0; axis < in->rank; axis++) {
        box.dims[axis] = out->dims[axis];
        box.from_strides[axis] = strides[source_axis(count ? perm : NULL, in->rank, axis)];
    }
    if (tn_dtype_bits(in->dtype) >= 8)
        return move_run(&ctx->call, &box);
    packed(in, out, &box);
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "data", "T", TN_MASK_ALL, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = {
    { "transposed", "T", TN_MASK_ALL, 0, 0, "The same elements, axes in another order." },
};
static const tn_attribute_def attributes[] = {
    { .name = "perm",
      .type = TN_ATTR_INTS,
      .doc = "The input's axes in the output's order; reversed if absent." },
};

tn_status transpose_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 1,
        .name = "Transpose",
        .doc = "Puts the axes of a tensor into another order.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "Transpose", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
