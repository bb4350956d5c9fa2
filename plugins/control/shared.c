/* plugins/control/shared.c: what inference and kernels of this folder ask again and again.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

/* ---- inference -------------------------------------------------------------------------- */

int control_fits(tn_infer *ctx)
{
    if (ctx->input_count <= CONTROL_MOST && ctx->output_count <= CONTROL_MOST)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_NODE, 0, NULL,
                             "%u inputs and %u outputs: at most %d of each are possible",
                             (unsigned)ctx->input_count, (unsigned)ctx->output_count, CONTROL_MOST);
    return 0;
}

tn_type control_scalar(uint32_t dtype)
{
    const tn_type type = { .size = sizeof type, .dtype = dtype };
    return type;
}

int control_unite(tn_infer *ctx, tn_type *type, const tn_type *other)
{
    int changed = 0;
    if (!type->dtype && other->dtype) {
        type->dtype = other->dtype;
        changed = 1;
    }
    if (type->rank >= 0 && type->rank != other->rank) {
        type->rank = -1;
        return 1;
    }
    for (int32_t axis = 0; axis < type->rank; axis++) {
        if (type->dims[axis] == TN_DIM_UNKNOWN ||
            ctx->call.host->dim_equal(&ctx->call, type->dims[axis], other->dims[axis]) == TN_YES)
            continue;
        type->dims[axis] = TN_DIM_UNKNOWN;
        changed = 1;
    }
    return changed;
}

int control_same_kind(tn_infer *ctx, uint32_t k, const char *what, const tn_type *in,
                      const tn_type *out)
{
    static const char *const kinds[] = { "a tensor", "a sequence", "an optional", "a map" };
    if (in->kind != out->kind && in->kind != (out->kind << 4 | TN_OPTIONAL)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                 "%s %u is %s, but the body makes %s of it: expected the same",
                                 what, (unsigned)k, kinds[in->kind & 3u], kinds[out->kind & 3u]);
        return 0;
    }
    if (in->dtype && out->dtype && in->dtype != out->dtype) {
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                 "%s %u changes its element type in the body: expected the same",
                                 what, (unsigned)k);
        return 0;
    }
    return 1;
}

void control_drop_axis(tn_type *type, int32_t axis)
{
    if (type->rank < 1)
        return;
    type->rank--;
    for (int32_t a = axis; a < type->rank; a++)
        type->dims[a] = type->dims[a + 1];
}

void control_add_axis(tn_type *type, int32_t axis, tn_dim extent)
{
    if (type->rank < 0 || type->rank >= TN_MAX_RANK) {
        type->rank = -1;
        return;
    }
    for (int32_t a = type->rank; a > axis; a--)
        type->dims[a] = type->dims[a - 1];
    type->rank++;
    type->dims[axis] = extent;
}

void control_mark_late(tn_type *type)
{
    int known = type->rank >= 0;
    for (int32_t axis = 0; axis < type->rank; axis++)
        known = known && type->dims[axis] != TN_DIM_UNKNOWN;
    type->flags = known || type->kind ? 0 : TN_TYPE_LATE;
}

/* Each round takes at least one extent or rank away, so this ends; it nearly always takes two. */
tn_status control_settle(tn_infer *ctx, const tn_type *const *in, uint32_t in_count, uint32_t count,
                         tn_type *made, uint32_t out_count, uint32_t made_first)
{
    for (int changed = 1; changed;) {
        changed = 0;
        TN_TRY(ctx->call.host->infer_region(&ctx->call, "body", in, in_count, made, out_count));
        for (uint32_t k = 0; k < count; k++) {
            if (!control_same_kind(ctx, k, "carried value", &ctx->outputs[k],
                                   &made[made_first + k]))
                return TN_OK;
            changed |= control_unite(ctx, &ctx->outputs[k], &made[made_first + k]);
        }
    }
    for (uint32_t k = 0; k < count; k++)
        ctx->outputs[k].kind = made[made_first + k].kind;
    return TN_OK;
}

tn_status control_cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

/* Bodies take at most two values beside the node's inputs, and give one beside its outputs. */
enum { EXTRA_IN = 2, EXTRA_OUT = 1 };

tn_status control_measure(tn_measure *ctx, void *state)
{
    (void)state;
    const size_t handles = (size_t)ctx->problem->own_count + EXTRA_IN + ctx->problem->output_count +
                           EXTRA_OUT;
    ctx->alternatives[0].scratch_bytes = handles * sizeof(const tn_tensor *);
    return TN_OK;
}

control_room control_room_of(const tn_run *ctx)
{
    control_room room = { .in = (const tn_tensor **)ctx->scratch };
    const size_t in = (size_t)ctx->input_count + EXTRA_IN;
    const size_t out = (size_t)ctx->output_count + EXTRA_OUT;
    room.out = room.in + in;
    memset(room.in, 0, (in + out) * sizeof *room.in);
    return room;
}

tn_status control_truth(tn_run *ctx, const tn_tensor *cond, const char *what, int *out)
{
    if (cond->kind || cond->dtype != TN_BOOL)
        return tn_fail(ctx, TN_ERR_TYPE, "%s is no bool tensor", what);
    if (tn_count(cond) != 1)
        return tn_fail(ctx, TN_ERR_SHAPE, "%s has %lld elements: expected one", what,
                       (long long)tn_count(cond));
    *out = *(const uint8_t *)cond->data != 0;
    return TN_OK;
}

tn_status control_number(tn_run *ctx, uint32_t dtype, int64_t value, const tn_tensor **out)
{
    const tn_type type = control_scalar(dtype);
    tn_tensor *made;
    TN_TRY(ctx->call.host->value_make(&ctx->call, &type, &made));
    tn_set_int(dtype, made->data, 0, value);
    *out = made;
    return TN_OK;
}

void control_release(tn_run *ctx, const tn_tensor **handles, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        if (handles[k])
            ctx->call.host->value_release(&ctx->call, handles[k]);
        handles[k] = NULL;
    }
}
