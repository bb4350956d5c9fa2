/* conv_transpose.c: ConvTranspose (ONNX: ConvTranspose) as a matrix product.
 *
 * For each image and group: columns [M/g * taps, P] = W' [M/g * taps, C/g] x X [C/g, P], P being
 * the input points; then each column is added to the output where its point lands. Work is cut
 * into blocks of output channels, so that no two threads add to the same element.
 *
 * In: X, W, perhaps B, plain. Out: Y, plain, with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

typedef struct transpose_state {
    oblas_window window;
    oblas_epilogue epilogue;
    int64_t block, blocks; /* output channels of a block, and how many blocks a group has */
    uint32_t dtype, reserved;
    size_t thread_bytes;
} transpose_state;

static void cut(transpose_state *s, uint32_t threads)
{
    const oblas_window *w = &s->window;
    const int64_t channel = w->taps * w->x_points * (int64_t)oblas_width(s->dtype);
    int64_t block = 1048576 / channel; /* columns of a megabyte stay in the second cache */
    const int64_t parts = w->images * w->groups < threads ? threads : 1;
    if (block > (w->outputs + parts - 1) / parts)
        block = (w->outputs + parts - 1) / parts;
    s->block = block < 1 ? 1 : block;
    s->blocks = (w->outputs + s->block - 1) / s->block;
    s->thread_bytes = ((size_t)(s->block * channel) + 63) / 64 * 64;
}

static tn_status transpose_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    transpose_state *s = state;
    const int32_t bias = p->own_count > 2 && p->inputs[2] ? 2 : -1;
    char reason[192] = "";
    if (oblas_window_read(p, true, &s->window, reason, sizeof reason) != TN_OK ||
        oblas_epilogue_read(p, bias, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->dtype = p->inputs[0]->dtype;
    cut(s, p->threads);
    a->scratch_bytes = s->thread_bytes * (p->threads ? p->threads : 1);
    a->algorithm = "gemm + col2im";
    a->seconds = (double)oblas_count(p->inputs[0]) * (double)(s->window.outputs * s->window.taps) /
                     (2e10 * (p->threads ? p->threads : 1)) +
                 1e-6;
    return TN_OK;
}

typedef struct transpose_job {
    const transpose_state *state;
    tn_run *ctx;
} transpose_job;

static tn_status transpose_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const transpose_job *job = user;
    const transpose_state *s = job->state;
    const oblas_window *w = &s->window;
    const size_t width = oblas_width(s->dtype);
    char *columns = (char *)job->ctx->scratch + thread * s->thread_bytes;
    for (int64_t item = begin; item < end; item++) {
        const int64_t part = item / s->blocks, first = item % s->blocks * s->block;
        const int64_t count = first + s->block < w->outputs ? s->block : w->outputs - first;
        const int64_t group = part % w->groups, row = w->outputs * w->taps;
        const int64_t out = (part * w->outputs + first) * w->y_points;
        const char *weights = (const char *)job->ctx->inputs[1]->data +
                              (size_t)(group * w->channels * row + first * w->taps) * width;
        const char *x = (const char *)job->ctx->inputs[0]->data +
                        (size_t)(part * w->channels * w->x_points) * width;
        oblas_gemm(s->dtype, count * w->taps, w->x_points, w->channels, 1.0,
                   (oblas_matrix){ weights, row, true }, (oblas_matrix){ x, w->x_points, false },
                   0.0, columns, w->x_points);
        oblas_scatter_columns(w, s->dtype, columns, count,
                              (char *)job->ctx->outputs[0]->data + (size_t)out * width);
        oblas_epilogue_apply(&s->epilogue, job->ctx, out, count * w->y_points);
    }
    return TN_OK;
}

static tn_status transpose_run(tn_run *ctx, const void *state, void *slot)
{
    const transpose_state *s = state;
    transpose_job job = { s, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->window.images * s->window.groups * s->blocks,
                                        1, transpose_chunk, &job);
}

static tn_status transpose_offer(tn_offer *ctx)
{
    ctx->algorithm = "gemm + col2im";
    return oblas_offer(ctx);
}

const tn_kernel_def oblas_conv_transpose_kernel = {
    .size = sizeof(tn_kernel_def),
    .op = "ConvTranspose",
    .backend = "openblas",
    .since = 1,
    .types = OBLAS_TYPES,
    .state_bytes = sizeof(transpose_state),
    .offer = transpose_offer,
    .measure = transpose_measure,
    .run = transpose_run,
};
