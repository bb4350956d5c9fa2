/* plugins/einsum/det.c: determinants of square matrices.
 *
 * ONNX: Det. Gaussian elimination in double, rows exchanged for the largest pivot; rounded once. A
 * matrix without elements has determinant 1, the product of nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected matrices, [*, M, M]",
                                 (int)x->rank);
        return TN_OK;
    }
    const tn_dim rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    if (tn_dim_known(rows) && tn_dim_known(columns) && rows != columns) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has matrices of %lld rows and %lld columns: expected "
                                 "square ones",
                                 (long long)rows, (long long)columns);
        return TN_OK;
    }
    out->rank = x->rank - 2;
    for (int32_t axis = 0; axis < out->rank; axis++)
        out->dims[axis] = x->dims[axis];
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *x = ctx->inputs[0];
    double matrices = 1;
    for (int32_t axis = 0; axis + 2 < x->rank; axis++)
        matrices *= (double)x->dims[axis];
    const double m = (double)x->dims[x->rank - 1];
    out->macs = matrices * m * m * m / 3;
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 3)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct det_job {
    const tn_tensor *x;
    tn_tensor *y;
    int64_t m;
    double *rooms; /* m * m for each thread */
} det_job;

/* The row from `column` down with the largest element in that column; NaN counts as largest, so
 * that it gets into the result. */
static int64_t pivot_of(const double *v, int64_t m, int64_t column)
{
    int64_t best = column;
    for (int64_t row = column + 1; row < m && !isnan(v[best * m + column]); row++)
        if (!(fabs(v[row * m + column]) <= fabs(v[best * m + column])))
            best = row;
    return best;
}

static void exchange(double *v, int64_t m, int64_t a, int64_t b)
{
    for (int64_t k = 0; k < m; k++) {
        const double x = v[a * m + k];
        v[a * m + k] = v[b * m + k];
        v[b * m + k] = x;
    }
}

/* Uses v up. */
static double determinant(double *v, int64_t m)
{
    double product = 1;
    for (int64_t column = 0; column < m; column++) {
        const int64_t pivot = pivot_of(v, m, column);
        if (pivot != column) {
            exchange(v, m, pivot, column);
            product = -product;
        }
        const double head = v[column * m + column];
        product *= head;
        if (head == 0)
            continue; /* the column is zero from here down; NaN elsewhere still gets in */
        for (int64_t row = column + 1; row < m; row++) {
            const double factor = v[row * m + column] / head;
            for (int64_t k = column + 1; k < m; k++)
                v[row * m + k] -= factor * v[column * m + k];
        }
    }
    return product + 0.0; /* of a singular matrix 0, not -0 */
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const det_job *job = user;
    const int64_t count = job->m * job->m;
    double *room = job->rooms + (int64_t)thread * count;
    for (int64_t matrix = begin; matrix < end; matrix++) {
        for (int64_t k = 0; k < count; k++)
            room[k] = tn_get_double(job->x->dtype, job->x->data, matrix * count + k);
        tn_set_float(job->y->dtype, job->y->data, matrix, determinant(room, job->m));
    }
    return TN_OK;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *x = ctx->problem->inputs[0];
    const uint32_t threads = ctx->problem->threads ? ctx->problem->threads : 1;
    const int64_t m = x->dims[x->rank - 1];
    size_t bytes;
    (void)state;
    if (__builtin_mul_overflow((size_t)m, (size_t)m, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(double) * threads, &bytes))
        return tn_fail(ctx, TN_DECLINED, "a matrix of %lld rows is too large for memory",
                       (long long)m);
    ctx->alternatives[0].scratch_bytes = bytes;
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    det_job job = { x, ctx->outputs[0], x->dims[x->rank - 1], ctx->scratch };
    (void)state, (void)slot;
    if (x->dims[x->rank - 2] != job.m)
        return tn_fail(ctx, TN_ERR_SHAPE,
                       "input 'X' has matrices of %lld rows and %lld columns: expected square ones",
                       (long long)x->dims[x->rank - 2], (long long)job.m);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->outputs[0]),
                                        1 + 16384 / (job.m * job.m * job.m + 1), chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "[*, M, M]: matrices, any number of axes in front." },
};
static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "[*]: one number for each matrix." },
};

tn_status det_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 22,
        .accepts_from = 11,
        .name = "Det",
        .doc = "The determinant of each matrix.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .infer = infer,
        .cost = cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Det",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
