/* plugins/movement/infer.c: what inference of this folder's operators asks again and again.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

int64_t move_elements(tn_infer *ctx, uint32_t k, tn_dim *out)
{
    if (!move_present(ctx, k))
        return -1;
    const tn_tensor *value = ctx->call.host->input_value(&ctx->call, k);
    if (!value) {
        const int64_t count = ctx->call.host->input_elements(&ctx->call, k, out, MOVE_ELEMENTS);
        return count > MOVE_ELEMENTS ? -1 : count;
    }
    const int64_t count = tn_count(value);
    if (count > MOVE_ELEMENTS || tn_dtype_is_float(value->dtype) || value->dtype == TN_STRING)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t v = tn_get_int(value->dtype, value->data, i);
        const int wide = value->dtype == TN_UINT64 && v < 0; /* beyond int64 */
        out[i] = wide ? TN_DIM_UNKNOWN : v <= TN_DIM_LOWEST ? TN_DIM_LOWEST + 1 : v;
    }
    return count;
}

int64_t move_length(const tn_infer *ctx, uint32_t k)
{
    const tn_type *type = move_input(ctx, k);
    if (!type || type->rank != 1 || !tn_dim_known(type->dims[0]))
        return -1;
    return type->dims[0];
}

int32_t move_axis(tn_infer *ctx, int64_t axis, int32_t rank, const char *input)
{
    const int32_t found = tn_axis(axis, rank);
    if (found < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of input '%s' of rank %d",
                                 (long long)axis, -(int)rank, (int)rank, input, (int)rank);
    return found;
}

int32_t move_axis_element(tn_infer *ctx, uint32_t k, int64_t i, int64_t axis, int32_t rank)
{
    const int32_t found = tn_axis(axis, rank);
    if (found < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, k, NULL,
                                 "axes[%lld] is %lld, outside [%d, %d) of an input of rank %d",
                                 (long long)i, (long long)axis, -(int)rank, (int)rank, (int)rank);
    return found;
}

int move_same_shape(const tn_type *a, const tn_type *b)
{
    if (!a || !b || a->rank < 0 || a->rank != b->rank)
        return 0;
    for (int32_t axis = 0; axis < a->rank; axis++) {
        if (a->dims[axis] != b->dims[axis] || a->dims[axis] == TN_DIM_UNKNOWN)
            return 0;
    }
    return 1;
}

tn_status move_cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}

tn_status move_samples(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == 0 ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

int move_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t low, int32_t high)
{
    const tn_type *type = move_input(ctx, k);
    if (!type || type->rank < 0 || (type->rank >= low && type->rank <= high))
        return 1;
    if (low == high)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected %d", name, (int)type->rank,
                                 (int)low);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected %s %d", name, (int)type->rank,
                                 type->rank < low ? "at least" : "at most",
                                 (int)(type->rank < low ? low : high));
    return 0;
}

int64_t move_small(const tn_type *type)
{
    int64_t count = 1;
    if (type->rank < 0)
        return -1;
    for (int32_t axis = 0; axis < type->rank; axis++) {
        const tn_dim extent = type->dims[axis];
        if (!tn_dim_known(extent) || extent < 0 || extent > MOVE_ELEMENTS)
            return -1;
        count *= extent;
        if (count > MOVE_ELEMENTS)
            return -1;
    }
    return count;
}

int move_check_indices(tn_infer *ctx, tn_dim extent, int32_t axis)
{
    tn_dim indices[MOVE_ELEMENTS];
    const int64_t count = move_elements(ctx, 1, indices);
    for (int64_t i = 0; tn_dim_known(extent) && i < count; i++) {
        if (!tn_dim_known(indices[i]) || (indices[i] >= -extent && indices[i] < extent))
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "indices[%lld] is %lld, outside [%lld, %lld) of axis %d of "
                                 "input 'data'",
                                 (long long)i, (long long)indices[i], (long long)-extent,
                                 (long long)extent, (int)axis);
        return 0;
    }
    return 1;
}

tn_status move_gather_vector(tn_infer *ctx)
{
    tn_dim all[MOVE_ELEMENTS], indices[MOVE_ELEMENTS], taken[MOVE_ELEMENTS];
    const int64_t extent = move_elements(ctx, 0, all), count = move_elements(ctx, 1, indices);
    if (extent < 0 || count < 0)
        return TN_OK;
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = tn_dim_known(indices[i]) ? move_wrap(indices[i], extent) : -1;
        taken[i] = at < 0 ? TN_DIM_UNKNOWN : all[at];
    }
    return ctx->call.host->output_elements(&ctx->call, 0, taken, count);
}
