/* plugins/gemm/matmul.c: MatMul, products of stacks of matrices as numpy.matmul makes them (ONNX
 * operators: MatMul).
 *
 *   Y[..., M, N] = A[..., M, K] B[..., K, N]
 *
 * A vector A is a row, a vector B a column, whose axis is left out of Y; leading axes broadcast.
 *
 * SPDX-License-Identifier: MIT */
#include "gemm.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------------- */

/* The leading axes of both, broadcast against each other. */
static tn_status infer_batch(tn_infer *ctx, tn_type *y)
{
    tn_type heads[2];
    const tn_type *types[2] = { &heads[0], &heads[1] };
    for (int k = 0; k < 2; k++) {
        heads[k] = *ctx->inputs[k];
        heads[k].rank = heads[k].rank > 2 ? heads[k].rank - 2 : 0;
    }
    return ctx->call.host->broadcast(&ctx->call, types, 2, y);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *a = ctx->inputs[0], *b = ctx->inputs[1];
    tn_type y = ctx->outputs[0];
    if (!a || !b || a->rank < 0 || b->rank < 0)
        return TN_OK;
    for (uint32_t k = 0; k < 2; k++)
        if (ctx->inputs[k]->rank == 0) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' is a scalar: expected a vector, a matrix or more",
                                     k ? "B" : "A");
            return TN_OK;
        }
    const tn_dim ka = a->dims[a->rank - 1], kb = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (tn_dim_known(ka) && tn_dim_known(kb) && ka != kb)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
            "input 'B' has %" PRId64 " rows, but input 'A' has %" PRId64 " columns", kb, ka);
    if (infer_batch(ctx, &y) != TN_OK)
        return TN_OK;
    if (y.rank > TN_MAX_RANK - 2)
        return TN_OK;
    if (a->rank > 1)
        y.dims[y.rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        y.dims[y.rank++] = b->dims[b->rank - 1];
    ctx->outputs[0].rank = y.rank;
    memcpy(ctx->outputs[0].dims, y.dims, sizeof y.dims);
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0], *a = ctx->inputs[0];
    out->macs = (double)a->dims[a->rank - 1];
    for (int32_t axis = 0; axis < y->rank; axis++)
        out->macs *= (double)y->dims[axis];
    return TN_OK;
}

/* The first axis of A, which B repeats along or shares. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *a = ctx->inputs[0], *b = ctx->inputs[1];
    const int stacked = b->rank > 2 && b->rank == a->rank && b->dims[0] != 1;
    if (a->rank < 2 || b->rank < 1 || b->rank > a->rank)
        return TN_NO_MATCH;
    if (stacked && ctx->call.host->dim_equal(&ctx->call, a->dims[0], b->dims[0]) != TN_YES)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = stacked ? 0 : -1;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------ */

typedef struct stack {
    gemm_job one; /* without places of the matrices */
    int32_t batch_rank;
    int64_t batch_dims[TN_MAX_RANK], a_strides[TN_MAX_RANK], b_strides[TN_MAX_RANK];
} stack;

/* Strides of the leading axes, counted in elements; 0 where one repeats. */
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

static tn_status run_tiles(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const stack *s = user;
    const int64_t rows = gemm_tiles(s->one.rows), columns = gemm_tiles(s->one.columns);
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        gemm_job job = s->one;
        int64_t rest = k / columns / rows;
        job.y_first = rest * job.rows * job.columns;
        for (int32_t axis = s->batch_rank - 1; axis >= 0; axis--) {
            job.a.first += rest % s->batch_dims[axis] * s->a_strides[axis];
            job.b.first += rest % s->batch_dims[axis] * s->b_strides[axis];
            rest /= s->batch_dims[axis];
        }
        gemm_tile(&job, k / columns % rows * GEMM_TILE, k % columns * GEMM_TILE);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *a = ctx->inputs[0], *b = ctx->inputs[1];
    tn_tensor *y = ctx->outputs[0];
    stack s = { .one = { .y = y, .alpha = 1 } };
    (void)state;
    (void)slot;
    s.one.depth = a->dims[a->rank - 1];
    s.one.rows = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s.one.columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    s.one.a = (gemm_matrix){ a, 0, s.one.depth, 1 };
    s.one.b = (gemm_matrix){ b, 0, b->rank > 1 ? s.one.columns : 1, 1 };
    s.batch_rank = y->rank - (a->rank > 1) - (b->rank > 1);
    for (int32_t axis = 0; axis < s.batch_rank; axis++)
        s.batch_dims[axis] = y->dims[axis];
    lead_strides(a, s.batch_rank, s.a_strides);
    lead_strides(b, s.batch_rank, s.b_strides);
    const int64_t batch = tn_extent(y->dims, 0, s.batch_rank);
    return ctx->call.host->parallel_for(
        &ctx->call, batch * gemm_tiles(s.one.rows) * gemm_tiles(s.one.columns),
        1 + 50000 / (s.one.rows * s.one.columns * (s.one.depth + 1) + 1), run_tiles, &s);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "A", "T", GEMM_TYPES, 0, 0, "[..., M, K]" },
    { "B", "T", GEMM_TYPES, 0, 0, "[..., K, N]" },
};
static const tn_param_def outputs[] = { { "Y", "T", GEMM_TYPES, 0, 0, "[..., M, N]" } };
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 13,
      .accepts_from = 1,
      .name = "MatMul",
      .doc = "The product of two matrices, or of two stacks of them, as numpy.matmul makes it.",
      .inputs = inputs,
      .input_count = 2,
      .outputs = outputs,
      .output_count = 1,
      .infer = infer,
      .cost = cost,
      .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "MatMul",
      .run = run,
      .types = GEMM_TYPES,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status matmul_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
