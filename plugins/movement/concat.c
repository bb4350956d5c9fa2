/* plugins/movement/concat.c: joins tensors along an axis.
 *
 * ONNX: Concat. All inputs have equal extents but along the axis; parts may be empty.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* Joins the elements of vectors, so that shapes put together by a graph stay known. */
static tn_status join_elements(tn_infer *ctx)
{
    tn_dim all[MOVE_ELEMENTS], part[MOVE_ELEMENTS];
    int64_t count = 0;
    int known = 0;
    if (!(TN_BIT(ctx->outputs[0].dtype) & TN_MASK_INTEGER))
        return TN_OK;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        int64_t own = move_elements(ctx, k, part);
        known |= own >= 0;
        if (own < 0) {
            own = move_length(ctx, k);
            for (int64_t i = 0; i < own && i < MOVE_ELEMENTS; i++)
                part[i] = TN_DIM_UNKNOWN;
        }
        if (own < 0 || own > MOVE_ELEMENTS - count)
            return TN_OK;
        for (int64_t i = 0; i < own; i++)
            all[count++] = part[i];
    }
    return known ? ctx->call.host->output_elements(&ctx->call, 0, all, count) : TN_OK;
}

/* The extent that inputs agree on along another axis. */
static void agree(tn_infer *ctx, uint32_t k, int32_t axis, tn_dim *extent)
{
    const tn_dim own = ctx->inputs[k]->dims[axis];
    if (*extent == TN_DIM_UNKNOWN || (!tn_dim_known(*extent) && tn_dim_known(own))) {
        *extent = own;
        return;
    }
    if (own == TN_DIM_UNKNOWN || ctx->call.host->dim_equal(&ctx->call, own, *extent) != TN_NO)
        return;
    if (tn_dim_known(own) && tn_dim_known(*extent))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input %u has extent %lld along axis %d: expected %lld as the "
                                 "inputs before it",
                                 (unsigned)k, (long long)own, (int)axis, (long long)*extent);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input %u differs along axis %d from the inputs before it: "
                                 "expected equal extents but along the axis of Concat",
                                 (unsigned)k, (int)axis);
}

static tn_status infer(tn_infer *ctx)
{
    tn_type *out = &ctx->outputs[0];
    int32_t rank = -1;
    tn_dim sum = 0;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_type *input = ctx->inputs[k];
        if (!input || input->rank < 0)
            continue;
        if (rank >= 0 && rank != input->rank) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input %u has rank %d: expected %d as the inputs before it",
                                     (unsigned)k, (int)input->rank, (int)rank);
            return TN_OK;
        }
        rank = input->rank;
    }
    if (rank < 0)
        return TN_OK;
    if (rank == 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 0 has rank 0: expected at least one axis to join along");
        return TN_OK;
    }
    const int32_t axis = move_axis(ctx, tn_attr_int(ctx->node, "axis", 0), rank, "inputs");
    if (axis < 0)
        return TN_OK;
    out->rank = rank;
    for (int32_t a = 0; a < rank; a++)
        out->dims[a] = TN_DIM_UNKNOWN;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const int known = ctx->inputs[k] && ctx->inputs[k]->rank >= 0;
        sum = tn_dim_add(ctx, sum, known ? ctx->inputs[k]->dims[axis] : TN_DIM_UNKNOWN);
        for (int32_t a = 0; known && a < rank; a++) {
            if (a != axis)
                agree(ctx, k, a, &out->dims[a]);
        }
    }
    out->dims[axis] = sum;
    return rank == 1 ? join_elements(ctx) : TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    return query->node->input_count == 1 ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const int32_t rank = ctx->inputs[0] ? ctx->inputs[0]->rank : -1;
    if (rank < 1 || tn_axis(tn_attr_int(ctx->node, "axis", 0), rank) < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = 0;
    output_axes[0] = 0;
    return TN_OK;
}

static tn_status pieces(const tn_identity *query, tn_pieces *out)
{
    out->axis = tn_axis(tn_attr_int(query->node, "axis", 0), query->outputs[0]->rank);
    return out->axis < 0 ? TN_NO_MATCH : TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    tn_tensor *out = ctx->outputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), out->rank);
    const int64_t inner = tn_extent(out->dims, axis + 1, out->rank);
    int64_t at = 0;
    (void)state, (void)slot;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        const tn_tensor *in = ctx->inputs[k];
        const int64_t run_length = in->dims[axis] * inner;
        move_box box = { .rank = 2, .width = tn_dtype_bits(in->dtype) / 8, .from = in->data };
        if (tn_count(in) == 0)
            continue;
        box.to = (char *)out->data + (size_t)at * box.width;
        box.dims[0] = tn_extent(out->dims, 0, axis);
        box.dims[1] = run_length;
        box.from_strides[0] = run_length;
        box.to_strides[0] = out->dims[axis] * inner;
        box.from_strides[1] = box.to_strides[1] = 1;
        TN_TRY(move_run(&ctx->call, &box));
        at += run_length;
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "inputs", "T", MOVE_TYPES, TN_PARAM_VARIADIC, 1, "The parts, in order." },
};
static const tn_param_def outputs[] = {
    { "concat_result", "T", MOVE_TYPES, 0, 0, "The parts behind each other." },
};
/* Set 1 joined along axis 1 where nothing else was said. */
static const tn_attribute_def old_attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "Where to join." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Where to join; negative counts from the end." },
};

tn_status concat_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 4,
        .name = "Concat",
        .doc = "Joins tensors of equal extents along one axis.",
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
        .pieces = pieces,
    };
    tn_operator_def old = tn_old_version(&op, 1, 1);
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Concat",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    old.attributes = old_attributes;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
