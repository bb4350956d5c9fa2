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
