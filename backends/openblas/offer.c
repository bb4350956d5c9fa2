/* offer.c: what all kernels of this backend ask of a problem before anything else.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

int64_t oblas_count(const tn_type *type)
{
    return tn_extent(type->dims, 0, type->rank);
}

static tn_status check(tn_offer *ctx, const tn_type *type, uint32_t dtype, uint32_t k)
{
    if (type->kind != TN_TENSOR)
        return tn_fail(ctx, TN_DECLINED, "input %u is no tensor", k);
    if (type->dtype != dtype)
        return tn_fail(ctx, TN_DECLINED, "input %u has type number %u, input 0 %u: BLAS wants one",
                       k, type->dtype, dtype);
    for (int32_t axis = 0; axis < type->rank; axis++) {
        if (type->dims[axis] == 0)
            return tn_fail(ctx, TN_DECLINED, "input %u has an extent of 0", k);
        if (tn_dim_known(type->dims[axis]) && !oblas_fits(type->dims[axis]))
            return tn_fail(ctx, TN_DECLINED,
                           "input %u has an extent of %lld: OpenBLAS counts in 32 bits", k,
                           (long long)type->dims[axis]);
    }
    return TN_OK;
}

tn_status oblas_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const uint32_t dtype = p->inputs[0]->dtype;
    oblas_epilogue unused;
    char reason[192] = "";
    if (dtype != TN_FLOAT32 && dtype != TN_FLOAT64)
        return tn_fail(ctx, TN_DECLINED, "type number %u: BLAS has float32 and float64", dtype);
    for (uint32_t k = 0; k < p->input_count; k++)
        if (p->inputs[k])
            TN_TRY(check(ctx, p->inputs[k], dtype, k));
    if (oblas_epilogue_read(p, -1, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return TN_OK;
}
