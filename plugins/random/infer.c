/* plugins/random/infer.c: see random.h.
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"

#include <inttypes.h>

void random_dtype(tn_infer *ctx, uint64_t allowed, uint32_t fallback, const char *expected)
{
    const tn_attribute *named = tn_attr(ctx->node, "dtype");
    const int given = named && named->type == TN_ATTR_INT;
    int64_t dtype = given ? named->i : fallback;
    if (!given && !fallback)
        dtype = ctx->inputs[0] ? ctx->inputs[0]->dtype : TN_UNDEFINED;
    if (!given && dtype == TN_UNDEFINED)
        return;
    if (dtype > 0 && dtype < TN_DTYPE_COUNT && (TN_BIT(dtype) & allowed)) {
        ctx->outputs[0].dtype = (uint32_t)dtype;
        return;
    }
    if (given)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "dtype",
                                 "dtype is %" PRId64 ": expected the number of %s", dtype,
                                 expected);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "dtype",
                                 "attribute 'dtype' is left out, and the input's type cannot be "
                                 "the output's: expected the number of %s",
                                 expected);
}
