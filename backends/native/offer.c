/* offer.c: what all kernels of this backend ask of a problem before anything else, and what they
 * estimate.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

static tn_status check(tn_offer *ctx, const tn_type *type, uint32_t k, bool *known)
{
    if (type->kind != TN_TENSOR)
        return tn_fail(ctx, TN_DECLINED, "input %u is no tensor", k);
    if (type->rank < 0) {
        *known = false;
        return TN_OK;
    }
    for (int32_t axis = 0; axis < type->rank; axis++) {
        if (!tn_dim_known(type->dims[axis]))
            *known = false;
        else if (type->dims[axis] == 0)
            return tn_fail(ctx, TN_DECLINED, "input %u has an extent of 0", k);
    }
    return TN_OK;
}

tn_status native_offer_any(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    bool known = true;
    for (uint32_t k = 0; k < p->input_count; k++)
        if (p->inputs[k])
            TN_TRY(check(ctx, p->inputs[k], k, &known));
    if (p->outputs[0] && p->outputs[0]->rank < 0)
        known = false;
    return known && (p->flags & TN_PROBLEM_SHAPES_KNOWN) ? TN_OK : TN_NEEDS_SHAPES;
}

tn_status native_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->outputs[0] && p->outputs[0]->dtype != TN_FLOAT32)
        return tn_fail(ctx, TN_DECLINED, "the output has type number %u: float32 only",
                       p->outputs[0]->dtype);
    return native_offer_any(ctx);
}

/* Where the processor multiplies bfloat16 faster, and that is asked for, a library does it. */
static bool has_better(const tn_problem *p)
{
#if defined(__x86_64__)
    return p->math == TN_MATH_BF16 && __builtin_cpu_supports("avx512bf16");
#else
    (void)p;
    return false;
#endif
}

tn_status native_offer_product(tn_offer *ctx)
{
    if (has_better(ctx->problem))
        return tn_fail(ctx, TN_DECLINED, "float32 only: bfloat16 is asked for");
    return native_offer(ctx);
}

tn_status native_offer_conv(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    char reason[192] = "";
    native_epilogue unused;
    const tn_status status = native_offer_product(ctx);
    if (status == TN_DECLINED)
        return status;
    if (p->inputs[0]->rank >= 0 && (p->inputs[0]->rank < 3 || p->inputs[0]->rank > 4))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here",
                       (int)p->inputs[0]->rank);
    if (!p->constants[1] || (p->own_count > 2 && p->inputs[2] && !p->constants[2]))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    if (native_epilogue_read(p, 1, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

double native_seconds(const native_isa *isa, double macs, double bytes, uint32_t threads)
{
    /* Two registers a cycle at 2.5 GHz and nine tenths of that; memory as most machines have it. */
    const double compute = macs / ((double)isa->lanes * 2.0 * 2.5e9 * 0.9) / (double)threads;
    const double memory = bytes / 1e10;
    return 1e-6 + (compute > memory ? compute : memory);
}

bool native_all_finite(const tn_tensor *tensor)
{
    enum { PIECE = 4096 }; /* a loop without an exit is done by registers */
    const float *x = tensor->data;
    for (int64_t i = 0, n = tn_count(tensor), end; i < n; i = end) {
        uint32_t most = 0;
        end = n - i < PIECE ? n : i + PIECE;
        for (int64_t k = i; k < end; k++) {
            uint32_t bits;
            memcpy(&bits, &x[k], sizeof bits);
            bits &= 0x7fffffff;
            most = bits > most ? bits : most;
        }
        if (most >= 0x7f800000)
            return false;
    }
    return true;
}
