/* conv.c: Conv (ONNX: Conv) as a matrix product.
 *
 * For each image and group: Y [M/g, P] = W [M/g, C/g * taps] x columns [C/g * taps, P], P being
 * the output points. Windows of one point without stride or padding need no columns: X is them.
 * Work is cut into blocks of columns that fit the cache, and into blocks of rows where there are
 * fewer than threads.
 *
 * In: X, W, perhaps B, plain. Out: Y, plain, with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

typedef struct conv_state {
    oblas_window window;
    oblas_epilogue epilogue;
    int64_t depth;            /* rows of the columns */
    int64_t columns, blocks;  /* columns of a block, and how many blocks an image has */
    int64_t rows, row_blocks; /* the same for output channels */
    uint32_t direct, dtype;
    size_t thread_bytes; /* scratch of one thread */
} conv_state;

static bool is_pointwise(const oblas_window *w)
{
    for (int32_t k = 0; k < 3; k++)
        if (w->kernel[k] != 1 || w->strides[k] != 1 || w->before[k] || w->x[k] != w->y[k])
            return false;
    return true;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static void cut(conv_state *s, uint32_t threads)
{
    const oblas_window *w = &s->window;
    /* Columns of about three quarters of a megabyte: they and what BLAS packs stay in the second
     * cache; at least 64, so that packing the weights anew for each block is small beside the
     * product. */
    int64_t columns = 786432 / (s->depth * (int64_t)oblas_width(s->dtype)) / 16 * 16;
    int64_t items;
    columns = columns < 64 ? 64 : columns;
    s->columns = columns < w->y_points ? columns : w->y_points;
    s->blocks = divide_up(w->y_points, s->columns);
    items = w->images * w->groups * s->blocks;
    s->rows = items < threads ? divide_up(w->outputs, (int64_t)threads) : w->outputs;
    s->row_blocks = divide_up(w->outputs, s->rows);
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    conv_state *s = state;
    const int32_t bias = p->own_count > 2 && p->inputs[2] ? 2 : -1;
    const size_t width = oblas_width(p->inputs[0]->dtype);
    char reason[192] = "";
    if (oblas_window_read(p, false, &s->window, reason, sizeof reason) != TN_OK ||
        oblas_epilogue_read(p, bias, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->dtype = p->inputs[0]->dtype;
    s->depth = s->window.channels * s->window.taps;
    s->direct = is_pointwise(&s->window);
    cut(s, p->threads);
    s->thread_bytes = s->direct ? 0 : ((size_t)(s->depth * s->columns) * width + 63) / 64 * 64;
    a->scratch_bytes = s->thread_bytes * (p->threads ? p->threads : 1);
    a->algorithm = s->direct ? "gemm" : "im2col + gemm";
    a->seconds = (double)oblas_count(p->outputs[0]) * (double)s->depth /
                     (2e10 * (p->threads ? p->threads : 1)) +
                 1e-6;
    return TN_OK;
}

typedef struct conv_job {
    const conv_state *state;
    tn_run *ctx;
} conv_job;

/* One block: rows [row, row_end) and columns from `first` on, of image and group `part`. */
static void run_block(const conv_job *job, int64_t part, int64_t row, int64_t first, void *scratch)
{
    const conv_state *s = job->state;
    const oblas_window *w = &s->window;
    const size_t width = oblas_width(s->dtype);
    const int64_t count = first + s->columns < w->y_points ? s->columns : w->y_points - first;
    const int64_t rows = row + s->rows < w->outputs ? s->rows : w->outputs - row;
    const int64_t group = part % w->groups, out = (part * w->outputs + row) * w->y_points + first;
    const char *x = (const char *)job->ctx->inputs[0]->data +
                    (size_t)(part * w->channels * w->x_points) * width;
    const char *weights = (const char *)job->ctx->inputs[1]->data +
                          (size_t)((group * w->outputs + row) * s->depth) * width;
    oblas_matrix columns = { x + (size_t)first * width, w->x_points, false };
    if (!s->direct) {
        oblas_gather_columns(w, width, x, first, count, scratch);
        columns = (oblas_matrix){ scratch, count, false };
    }
    oblas_gemm(s->dtype, rows, count, s->depth, 1.0, (oblas_matrix){ weights, s->depth, false },
               columns, 0.0, (char *)job->ctx->outputs[0]->data + (size_t)out * width, w->y_points);
    for (int64_t k = 0; k < rows; k++)
        oblas_epilogue_apply(&s->epilogue, job->ctx, out + k * w->y_points, count);
}

static tn_status conv_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_job *job = user;
    const conv_state *s = job->state;
    void *scratch = s->direct ? NULL : (char *)job->ctx->scratch + thread * s->thread_bytes;
    for (int64_t item = begin; item < end; item++)
        run_block(job, item / s->row_blocks / s->blocks, item % s->row_blocks * s->rows,
                  item / s->row_blocks % s->blocks * s->columns, scratch);
    return TN_OK;
}

static tn_status conv_run(tn_run *ctx, const void *state, void *slot)
{
    const conv_state *s = state;
    conv_job job = { s, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(
        &ctx->call, s->window.images * s->window.groups * s->blocks * s->row_blocks, 1, conv_chunk,
        &job);
}

static tn_status conv_offer(tn_offer *ctx)
{
    ctx->algorithm = "im2col + gemm";
    return oblas_offer(ctx);
}

const tn_kernel_def oblas_conv_kernel = {
    .size = sizeof(tn_kernel_def),
    .op = "Conv",
    .backend = "openblas",
    .since = 1,
    .types = OBLAS_TYPES,
    .state_bytes = sizeof(conv_state),
    .offer = conv_offer,
    .measure = conv_measure,
    .run = conv_run,
};
