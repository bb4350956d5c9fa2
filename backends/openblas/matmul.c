/* matmul.c: MatMul and Gemm (ONNX: MatMul, Gemm).
 *
 * Both as [M, K] x [K, N] for each matrix of a batch. MatMul: numpy's rules; where B is one
 * matrix, A's batch is folded into its rows. Gemm: Y = alpha A' B' + beta C: the output starts as
 * beta C and the product is added. Where there are fewer matrices than threads, the longer side
 * of the output is cut.
 *
 * In: A, B, perhaps C, plain. Out: Y, plain, with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

#include <string.h>

typedef struct product_state {
    oblas_epilogue epilogue;
    int64_t batch, m, n, k;
    int64_t rows, row_blocks, columns, column_blocks; /* of one matrix of the output */
    int32_t batch_rank;
    uint32_t a_transposed, b_transposed, dtype;
    int64_t batch_dims[TN_MAX_RANK], a_steps[TN_MAX_RANK], b_steps[TN_MAX_RANK]; /* in matrices */
    double alpha, beta;
    int64_t c_row, c_column; /* steps in C; */
    uint32_t has_c, reserved;
} product_state;

/* ---- shapes ----------------------------------------------------------------------------- */

static int64_t batch_extent(const tn_type *type, int32_t rank, int32_t axis)
{
    const int32_t own = axis - (rank - (type->rank - 2));
    return type->rank > 2 && own >= 0 ? type->dims[own] : 1;
}

static void batch_steps(const tn_type *type, int32_t rank, int64_t *steps)
{
    int64_t step = 1;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        const int64_t extent = batch_extent(type, rank, axis);
        steps[axis] = extent == 1 ? 0 : step;
        step *= extent;
    }
}

static void read_matmul(const tn_problem *p, product_state *s)
{
    const tn_type *a = p->inputs[0], *b = p->inputs[1];
    const int32_t a_batch = a->rank > 2 ? a->rank - 2 : 0, b_batch = b->rank > 2 ? b->rank - 2 : 0;
    s->k = a->dims[a->rank - 1];
    s->n = b->rank == 1 ? 1 : b->dims[b->rank - 1];
    s->batch = 1;
    if (b->rank <= 2) {
        s->m = oblas_count(a) / s->k;
        return;
    }
    s->m = a->rank == 1 ? 1 : a->dims[a->rank - 2];
    s->batch_rank = a_batch > b_batch ? a_batch : b_batch;
    batch_steps(a, s->batch_rank, s->a_steps);
    batch_steps(b, s->batch_rank, s->b_steps);
    for (int32_t axis = 0; axis < s->batch_rank; axis++) {
        const int64_t left = batch_extent(a, s->batch_rank, axis);
        s->batch_dims[axis] = left == 1 ? batch_extent(b, s->batch_rank, axis) : left;
        s->batch *= s->batch_dims[axis];
    }
}

static void read_gemm(const tn_problem *p, product_state *s)
{
    const tn_type *c = p->own_count > 2 ? p->inputs[2] : NULL;
    s->a_transposed = tn_attr_int(p->node, "transA", 0) != 0;
    s->b_transposed = tn_attr_int(p->node, "transB", 0) != 0;
    s->m = p->outputs[0]->dims[0];
    s->n = p->outputs[0]->dims[1];
    s->k = p->inputs[0]->dims[s->a_transposed ? 0 : 1];
    s->batch = 1;
    s->alpha = (double)tn_attr_float(p->node, "alpha", 1.0f);
    s->beta = (double)tn_attr_float(p->node, "beta", 1.0f);
    s->has_c = c != NULL;
    if (!c || !c->rank)
        return;
    s->c_column = c->dims[c->rank - 1] != 1;
    s->c_row = c->rank == 2 && c->dims[0] != 1 ? c->dims[1] : 0;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void cut(product_state *s, uint32_t threads)
{
    const int64_t parts = s->batch < threads && s->m * s->n * s->k > 32768 ? threads : 1;
    s->rows = s->m;
    s->columns = s->n;
    if (s->m >= s->n)
        s->rows = divide_up(divide_up(s->m, parts), 8) * 8;
    else
        s->columns = divide_up(divide_up(s->n, parts), 16) * 16;
    s->rows = s->rows < s->m ? s->rows : s->m;
    s->columns = s->columns < s->n ? s->columns : s->n;
    s->row_blocks = divide_up(s->m, s->rows);
    s->column_blocks = divide_up(s->n, s->columns);
}

static tn_status product_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    product_state *s = state;
    char reason[192] = "";
    s->dtype = p->inputs[0]->dtype;
    s->alpha = 1.0;
    if (strcmp(p->node->op, "Gemm") == 0)
        read_gemm(p, s);
    else
        read_matmul(p, s);
    if (oblas_epilogue_read(p, -1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (!oblas_fits(s->m))
        return tn_fail(ctx, TN_DECLINED, "%lld rows: OpenBLAS counts in 32 bits", (long long)s->m);
    cut(s, p->threads);
    a->algorithm = s->m == 1 || s->n == 1 ? "gemv" : "gemm";
    a->seconds = (double)s->batch * (double)s->m * (double)s->n * (double)s->k /
                     ((s->m == 1 || s->n == 1 ? 2e9 : 2e10) * (p->threads ? p->threads : 1)) +
                 1e-6;
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct product_job {
    const product_state *state;
    tn_run *ctx;
} product_job;

/* beta C for `count` elements of one row. */
static void start_row(const product_state *s, const void *c, int64_t row, int64_t column,
                      int64_t count, void *out)
{
    const int64_t from = row * s->c_row + column * s->c_column;
    if (s->dtype == TN_FLOAT32) {
        const float beta = (float)s->beta, *source = (const float *)c + from;
        for (int64_t i = 0; i < count; i++)
            ((float *)out)[i] = beta * source[i * s->c_column];
    } else {
        const double *source = (const double *)c + from;
        for (int64_t i = 0; i < count; i++)
            ((double *)out)[i] = s->beta * source[i * s->c_column];
    }
}

static void run_block(const product_job *job, int64_t a_matrix, int64_t b_matrix, int64_t matrix,
                      int64_t row, int64_t column)
{
    const product_state *s = job->state;
    const size_t width = oblas_width(s->dtype);
    const int64_t rows = row + s->rows < s->m ? s->rows : s->m - row;
    const int64_t columns = column + s->columns < s->n ? s->columns : s->n - column;
    const int64_t out = (matrix * s->m + row) * s->n + column;
    const int64_t a_at = a_matrix * s->m * s->k + (s->a_transposed ? row : row * s->k);
    const int64_t b_at = b_matrix * s->k * s->n + (s->b_transposed ? column * s->k : column);
    char *y = (char *)job->ctx->outputs[0]->data + (size_t)out * width;
    const oblas_matrix a = { (const char *)job->ctx->inputs[0]->data + (size_t)a_at * width,
                             s->a_transposed ? s->m : s->k, s->a_transposed };
    const oblas_matrix b = { (const char *)job->ctx->inputs[1]->data + (size_t)b_at * width,
                             s->b_transposed ? s->k : s->n, s->b_transposed };
    for (int64_t k = 0; s->has_c && k < rows; k++)
        start_row(s, job->ctx->inputs[2]->data, row + k, column, columns,
                  y + (size_t)(k * s->n) * width);
    oblas_gemm(s->dtype, rows, columns, s->k, s->alpha, a, b, s->has_c ? 1.0 : 0.0, y, s->n);
    for (int64_t k = 0; k < rows; k++)
        oblas_epilogue_apply(&s->epilogue, job->ctx, out + k * s->n, columns);
}

static tn_status product_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const product_job *job = user;
    const product_state *s = job->state;
    (void)thread;
    for (int64_t item = begin; item < end; item++) {
        const int64_t matrix = item / s->column_blocks / s->row_blocks;
        int64_t rest = matrix, a = 0, b = 0;
        for (int32_t axis = s->batch_rank - 1; axis >= 0; axis--) {
            a += rest % s->batch_dims[axis] * s->a_steps[axis];
            b += rest % s->batch_dims[axis] * s->b_steps[axis];
            rest /= s->batch_dims[axis];
        }
        run_block(job, a, b, matrix, item / s->column_blocks % s->row_blocks * s->rows,
                  item % s->column_blocks * s->columns);
    }
    return TN_OK;
}

static tn_status product_run(tn_run *ctx, const void *state, void *slot)
{
    const product_state *s = state;
    product_job job = { s, ctx };
    /* Matrices as small as those of an attention head: several to a chunk. */
    const int64_t grain = 32768 / (s->m * s->n * s->k < 32768 ? s->m * s->n * s->k : 32768);
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->batch * s->row_blocks * s->column_blocks,
                                        grain, product_chunk, &job);
}

static tn_status product_offer(tn_offer *ctx)
{
    ctx->algorithm = "gemm";
    if (strcmp(ctx->problem->node->op, "Gemm") == 0 &&
        tn_attr_float(ctx->problem->node, "alpha", 1.0f) == 0.0f)
        return tn_fail(ctx, TN_DECLINED, "alpha is 0: BLAS then skips the product, and NaN in it");
    return oblas_offer(ctx);
}

#define PRODUCT(name, first)                                                                       \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .op = name, .backend = "openblas", .since = first,          \
        .types = OBLAS_TYPES, .state_bytes = sizeof(product_state), .offer = product_offer,        \
        .measure = product_measure, .run = product_run                                             \
    }

const tn_kernel_def oblas_matmul_kernel = PRODUCT("MatMul", 1);
const tn_kernel_def oblas_gemm_kernel = PRODUCT("Gemm", 7);
