/* backends/openblas/gemm.c: Gemm and MatMul.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

#include <inttypes.h>

static tn_status offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    openblas_steps steps;
    if (!(p->flags & TN_PROBLEM_SHAPES_KNOWN))
        return tn_fail(ctx, TN_NEEDS_SHAPES, "needs known shapes");
    for (uint32_t k = 0; k < 2; k++)
        for (int32_t axis = 0; axis < p->inputs[k]->rank; axis++)
            if (!openblas_fits(p->inputs[k]->dims[axis]))
                return tn_fail(ctx, TN_DECLINED, "an extent of %" PRId64 " is beyond BLAS's 32 bits", p->inputs[k]->dims[axis]);
    ctx->algorithm = "gemm";
    return openblas_read_steps(ctx, &steps);
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *y = ctx->problem->outputs[0], *a = ctx->problem->inputs[0];
    openblas_copy_steps(ctx->problem, state);
    ctx->alternatives[0].algorithm = "gemm";
    ctx->alternatives[0].seconds = 2e-11 * (double)tn_extent(y->dims, 0, y->rank) * (double)a->dims[a->rank - 1];
    return TN_OK;
}

/* Channels are on axis 1: of a matrix its columns, of more axes a stretch of equal ones. */
static void apply_steps(const openblas_steps *steps, const tn_run *ctx)
{
    const tn_tensor *y = ctx->outputs[0];
    const int64_t count = tn_extent(y->dims, 0, y->rank);
    const int64_t stretch = y->rank > 1 ? tn_extent(y->dims, 2, y->rank) : count;
    int by_channel = 0;
    for (uint32_t k = 0; k < steps->count; k++)
        by_channel |= steps->items[k].function == STEP_ADD && steps->items[k].spread == TN_SPREAD_CHANNEL;
    if (!by_channel) {
        openblas_apply(steps, ctx, 0, count, 0);
        return;
    }
    for (int64_t at = 0; at < count; at += stretch)
        openblas_apply(steps, ctx, at, stretch, at / stretch % y->dims[1]);
}

/* C, broadcast, as what the product is added to; BLAS's own beta then scales it. */
static void spread_c(const tn_tensor *c, tn_tensor *y)
{
    int64_t strides[TN_MAX_RANK];
    tn_broadcast_strides(c, 2, strides);
    for (int64_t row = 0; row < y->dims[0]; row++)
        for (int64_t column = 0; column < y->dims[1]; column++)
            tn_set_float(y->dtype, y->data, row * y->dims[1] + column, tn_get_double(c->dtype, c->data, row * strides[0] + column * strides[1]));
}

static tn_status gemm(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *a = ctx->inputs[0], *b = ctx->inputs[1], *c = ctx->node->input_count > 2 ? ctx->inputs[2] : NULL;
    tn_tensor *y = ctx->outputs[0];
    const int trans_a = tn_attr_int(ctx->node, "transA", 0) != 0, trans_b = tn_attr_int(ctx->node, "transB", 0) != 0;
    const openblas_product p = { .dtype = y->dtype, .trans_a = trans_a, .trans_b = trans_b, .m = y->dims[0], .n = y->dims[1],
                                 .k = a->dims[!trans_a], .lda = a->dims[1], .ldb = b->dims[1], .ldc = y->dims[1],
                                 .alpha = (double)tn_attr_float(ctx->node, "alpha", 1),
                                 .beta = c ? (double)tn_attr_float(ctx->node, "beta", 1) : 0.0, .a = a->data, .b = b->data, .c = y->data };
    (void)slot;
    if (c)
        spread_c(c, y);
    TN_TRY(openblas_gemm_parallel(ctx, &p));
    apply_steps(state, ctx);
    return TN_OK;
}

/* ---- MatMul ------------------------------------------------------------------------------------------ */

typedef struct stack {
    openblas_product one;
    int32_t rank;
    const int64_t *dims;
    int64_t a_strides[TN_MAX_RANK], b_strides[TN_MAX_RANK];
} stack;

static void lead_strides(const tn_tensor *t, int32_t rank, int64_t *strides)
{
    const int32_t own = t->rank > 2 ? t->rank - 2 : 0;
    int64_t step = t->rank > 1 ? t->dims[t->rank - 1] * t->dims[t->rank - 2] : t->dims[0];
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        const int32_t at = axis - (rank - own);
        strides[axis] = at < 0 || t->dims[at] == 1 ? 0 : step;
        if (at >= 0)
            step *= t->dims[at];
    }
}

static void place(const stack *s, int64_t batch, openblas_product *p)
{
    int64_t a = 0, b = 0;
    p->c = openblas_to(p->c, p->dtype, batch * p->m * p->n);
    for (int32_t axis = s->rank - 1; axis >= 0; axis--) {
        a += batch % s->dims[axis] * s->a_strides[axis];
        b += batch % s->dims[axis] * s->b_strides[axis];
        batch /= s->dims[axis];
    }
    p->a = openblas_at(p->a, p->dtype, a);
    p->b = openblas_at(p->b, p->dtype, b);
}

static tn_status run_batch(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const stack *s = user;
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        openblas_product p = s->one;
        place(s, k, &p);
        openblas_gemm(&p);
    }
    return TN_OK;
}

static tn_status matmul(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *a = ctx->inputs[0], *b = ctx->inputs[1];
    tn_tensor *y = ctx->outputs[0];
    stack s = { .dims = y->dims, .rank = y->rank - (a->rank > 1) - (b->rank > 1) };
    s.one = (openblas_product){ .dtype = y->dtype, .m = a->rank > 1 ? a->dims[a->rank - 2] : 1, .n = b->rank > 1 ? b->dims[b->rank - 1] : 1,
                                .k = a->dims[a->rank - 1], .alpha = 1, .a = a->data, .b = b->data, .c = y->data };
    s.one.lda = s.one.k;
    s.one.ldb = s.one.ldc = s.one.n;
    lead_strides(a, s.rank, s.a_strides);
    lead_strides(b, s.rank, s.b_strides);
    (void)slot;
    const int64_t batch = tn_extent(y->dims, 0, s.rank);
    if (batch == 1)
        TN_TRY(openblas_gemm_parallel(ctx, &s.one));
    else
        TN_TRY(ctx->call.host->parallel_for(&ctx->call, batch, 1 + (int64_t)(50000.0 / ((double)s.one.m * (double)s.one.n * (double)s.one.k + 1)), run_batch, &s));
    apply_steps(state, ctx);
    return TN_OK;
}

const tn_kernel_def openblas_gemm_kernels[2] = {
    { .size = sizeof(tn_kernel_def), .op = "Gemm", .backend = "openblas", .types = OPENBLAS_TYPES, .state_bytes = sizeof(openblas_steps),
      .offer = offer, .measure = measure, .run = gemm },
    { .size = sizeof(tn_kernel_def), .op = "MatMul", .backend = "openblas", .types = OPENBLAS_TYPES, .state_bytes = sizeof(openblas_steps),
      .offer = offer, .measure = measure, .run = matmul },
};
