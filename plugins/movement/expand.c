/* plugins/movement/expand.c: repeats a tensor by broadcasting.
 *
 * ONNX: Expand. The output's shape is what input and `shape` broadcast to together, so an extent
 * of 1 in `shape` keeps the input's.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* One element, repeated. */
static tn_status expand_elements(tn_infer *ctx)
{
    const tn_type *out = &ctx->outputs[0];
    tn_dim elements[MOVE_ELEMENTS];
    int64_t count = 1;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        if (!tn_dim_known(out->dims[axis]) || out->dims[axis] < 0 ||
            out->dims[axis] > MOVE_ELEMENTS)
            return TN_OK;
        count *= out->dims[axis];
        if (count > MOVE_ELEMENTS)
            return TN_OK;
    }
    const int64_t own = move_elements(ctx, 0, elements);
    if (own != 1 && own != count)
        return TN_OK;
    for (int64_t i = own; i < count; i++)
        elements[i] = elements[0];
    return ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    tn_dim shape[MOVE_ELEMENTS];
    tn_type target = { .size = sizeof target, .dtype = TN_INT64, .rank = -1 };
    const int64_t found = move_elements(ctx, 1, shape);
    const int64_t count = found < 0 ? move_length(ctx, 1) : found;
    if (count < 0)
        return TN_OK;
    if (count > TN_MAX_RANK) {
        ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, 1, NULL,
                                 "input 'shape' has %lld extents: expected at most %d",
                                 (long long)count, TN_MAX_RANK);
        return TN_OK;
    }
    target.rank = (int32_t)count;
    for (int64_t i = 0; i < count; i++) {
        target.dims[i] = found < 0 ? TN_DIM_UNKNOWN : shape[i];
        if (!tn_dim_known(target.dims[i]) || target.dims[i] >= 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "shape[%lld] is %lld: expected an extent of at least 0",
                                 (long long)i, (long long)target.dims[i]);
        return TN_OK;
    }
    if (!input || input->rank < 0)
        return TN_OK;
    const tn_type *const both[] = { input, &target };
    TN_TRY(ctx->call.host->broadcast(&ctx->call, both, 2, &ctx->outputs[0]));
    return ctx->outputs[0].rank >= 0 && (TN_BIT(ctx->outputs[0].dtype) & TN_MASK_INTEGER)
               ? expand_elements(ctx)
               : TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    return move_same_shape(query->inputs[0], query->outputs[0]) ? 0 : -1;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    tn_tensor *out = ctx->outputs[0];
    move_box box = { .rank = out->rank,
                     .width = tn_dtype_bits(out->dtype) / 8,
                     .from = ctx->inputs[0]->data,
                     .to = out->data };
    (void)state, (void)slot;
    tn_broadcast_strides(ctx->inputs[0], out->rank, box.from_strides);
    tn_row_major(out->rank, out->dims, box.to_strides);
    for (int32_t axis = 0; axis < out->rank; axis++)
        box.dims[axis] = out->dims[axis];
    return move_run(&ctx->call, &box);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "The tensor to repeat." },
    { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "The shape to broadcast with." },
};
static const tn_param_def outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "The input, repeated." },
};

tn_status expand_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 8,
        .name = "Expand",
        .doc = "Repeats a tensor to the shape that it and a given one broadcast to.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Expand",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
