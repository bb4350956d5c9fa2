/* plugins/attention/infer.c: checks of shapes that the operators of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

int attn_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t low, int32_t high)
{
    const tn_type *type = attn_input(ctx, k);
    if (!type || type->rank < 0)
        return 0;
    if (type->rank >= low && type->rank <= high)
        return 1;
    if (low == high)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected %d", name, type->rank, low);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected %d to %d", name, type->rank, low,
                                 high);
    return 0;
}

void attn_check_extent(tn_infer *ctx, uint32_t k, const char *name, int32_t axis, tn_dim wanted,
                       const char *what)
{
    const tn_type *type = attn_input(ctx, k);
    if (!type || type->rank <= axis)
        return;
    const tn_dim found = type->dims[axis];
    if (tn_dim_known(found) && tn_dim_known(wanted) && found != wanted)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has extent %" PRId64 " on axis %d: expected %" PRId64
                                 ", %s",
                                 name, found, axis, wanted, what);
}

void attn_bad_attribute(tn_infer *ctx, const char *name, int64_t found, const char *expected)
{
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is %" PRId64 ": expected %s", name, found, expected);
}

tn_dim attn_split_heads(tn_infer *ctx, uint32_t k, const char *name, tn_dim hidden, tn_dim heads)
{
    if (!tn_dim_known(heads) || heads < 1)
        return TN_DIM_UNKNOWN;
    if (tn_dim_known(hidden) && hidden % heads) {
        const tn_type *type = attn_input(ctx, k);
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has extent %" PRId64 " on axis %d, which %" PRId64
                                 " heads do not divide",
                                 name, hidden, type->rank - 1, heads);
        return TN_DIM_UNKNOWN;
    }
    return tn_dim_floordiv(ctx, hidden, heads);
}

void attn_check_groups(tn_infer *ctx, uint32_t k, tn_dim query_heads, tn_dim heads)
{
    if (tn_dim_known(query_heads) && tn_dim_known(heads) && (heads < 1 || query_heads % heads))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "%" PRId64 " heads of queries are no multiple of %" PRId64
                                 " heads of keys",
                                 query_heads, heads);
}

void attn_set_shape(tn_infer *ctx, uint32_t k, int32_t rank, const tn_dim *dims)
{
    if (k >= ctx->output_count)
        return;
    ctx->outputs[k].rank = rank;
    memcpy(ctx->outputs[k].dims, dims, (size_t)rank * sizeof *dims);
}
