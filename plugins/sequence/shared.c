/* plugins/sequence/shared.c: what inference and kernels of this folder ask again and again.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

/* ---- inference -------------------------------------------------------------------------- */

void seq_unite(tn_infer *ctx, tn_type *type, const tn_type *other)
{
    if (!other || other->rank != type->rank)
        type->rank = -1;
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (ctx->call.host->dim_equal(&ctx->call, type->dims[axis], other->dims[axis]) != TN_YES)
            type->dims[axis] = TN_DIM_UNKNOWN;
}

void seq_mark_late(tn_type *type)
{
    int known = type->rank >= 0;
    for (int32_t axis = 0; axis < type->rank; axis++)
        known = known && type->dims[axis] != TN_DIM_UNKNOWN;
    type->flags = known ? 0 : TN_TYPE_LATE;
}

void seq_check_element(tn_infer *ctx, uint32_t k)
{
    const tn_type *list = seq_input(ctx, 0), *element = seq_input(ctx, k);
    if (!list || !element || !list->dtype || !element->dtype || list->dtype == element->dtype)
        return;
    ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, k, NULL,
                             "the element type differs from that of 'input_sequence': expected "
                             "equal ones");
}

void seq_check_scalar(tn_infer *ctx, uint32_t k)
{
    const tn_type *type = seq_input(ctx, k);
    if (!type || type->rank < 1)
        return;
    if (type->rank == 1 && (!tn_dim_known(type->dims[0]) || type->dims[0] == 1))
        return; /* a vector of one: several exporters write it so */
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                             "the position has rank %d: expected a scalar", (int)type->rank);
}

tn_status seq_cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

tn_status seq_position(tn_run *ctx, uint32_t k, int64_t count, int64_t *out)
{
    const tn_tensor *position = seq_given(ctx, k);
    if (position && tn_count(position) != 1)
        return tn_fail(ctx, TN_ERR_SHAPE, "the position has %lld elements: expected one",
                       (long long)tn_count(position));
    const int64_t named = position ? tn_get_int(position->dtype, position->data, 0) : count - 1;
    if (count == 0 && !position)
        return tn_fail(ctx, TN_ERR_VALUE, "the sequence is empty: it has no last element");
    if (named < -count || named >= count)
        return tn_fail(ctx, TN_ERR_VALUE, "position %lld is outside [%lld, %lld)", (long long)named,
                       (long long)-count, (long long)count);
    *out = named < 0 ? named + count : named;
    return TN_OK;
}

/* ---- registration ----------------------------------------------------------------------- */

tn_status seq_add(tn_registrar *registrar, const tn_operator_def *op,
                  tn_status (*run)(tn_run *ctx, const void *state, void *slot))
{
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .flags = TN_KERNEL_EMPTY, .op = op->name, .run = run
    };
    TN_TRY(registrar->add_operator(registrar, op));
    return registrar->add_kernel(registrar, &kernel);
}
