/* plugins/vision/shared.c: what inference and kernels of this folder ask again and again.
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/blocks.h"
#include "vision.h"

#include <inttypes.h>
#include <stdio.h>

int64_t vision_length(const tn_infer *ctx, uint32_t k)
{
    const tn_type *type = vision_type(ctx, k);
    return type && type->rank == 1 && tn_dim_known(type->dims[0]) ? type->dims[0] : -1;
}

int vision_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t rank, const char *shape)
{
    const tn_type *type = vision_type(ctx, k);
    if (!type || type->rank < 0)
        return 0;
    if (type->rank == rank)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                             "input '%s' has rank %d: expected %s", name, (int)type->rank, shape);
    return 0;
}

int vision_check_dim(tn_infer *ctx, uint32_t k, const char *name, int32_t axis, tn_dim wanted,
                     const char *because)
{
    const tn_dim found = vision_type(ctx, k)->dims[axis];
    if (ctx->call.host->dim_equal(&ctx->call, found, wanted) != TN_NO)
        return 1;
    if (tn_dim_known(found) && tn_dim_known(wanted))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has extent %" PRId64 " on axis %d: expected %" PRId64
                                 ", %s",
                                 name, found, (int)axis, wanted, because);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has another extent on axis %d than expected: %s", name,
                                 (int)axis, because);
    return 0;
}

int vision_choice(tn_call *call, const tn_node_view *node, const char *attribute,
                  const char *fallback, const char *const *names, int count)
{
    const char *found = tn_attr_string(node, attribute, fallback);
    char list[240];
    size_t used = 0;
    for (int k = 0; k < count; k++)
        if (strcmp(found, names[k]) == 0)
            return k;
    for (int k = 0; k < count && used < sizeof list; k++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 k == 0           ? ""
                                 : k == count - 1 ? " or "
                                                  : ", ",
                                 names[k]);
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, attribute,
                             "attribute '%s' is '%.40s': expected %s", attribute, found, list);
    return -1;
}

/* Inclusive ends, both exact as doubles. */
static int64_t clipped(double value, double low, double high)
{
    return truncated(value <= low ? low : value >= high ? high : value);
}

void vision_store(uint32_t dtype, void *data, int64_t at, double value)
{
    const int bits = (int)tn_dtype_bits(dtype);
    if (tn_dtype_is_float(dtype)) {
        tn_set_float(dtype, data, at, value);
        return;
    }
    if (dtype == TN_BOOL) {
        ((uint8_t *)data)[at] = value != 0.0;
        return;
    }
    value = nearbyint(value);
    /* The largest 64-bit numbers are no doubles. */
    if (dtype == TN_INT64)
        ((int64_t *)data)[at] = truncated(value);
    else if (dtype == TN_UINT64)
        ((uint64_t *)data)[at] = value >= 0x1p64 ? UINT64_MAX : value > 0 ? (uint64_t)value : 0;
    else if (tn_dtype_is_signed(dtype))
        tn_set_int(dtype, data, at, clipped(value, -ldexp(1, bits - 1), ldexp(1, bits - 1) - 1));
    else
        tn_set_int(dtype, data, at, clipped(value, 0, ldexp(1, bits) - 1));
}
