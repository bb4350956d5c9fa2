/* pool.c: MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool (ONNX), channels last.
 *
 * A point's value is the largest or the mean of rows of channels. Windows go line by line, where each
 * sees some of the input: neighbours share columns. Others, and whole planes, are made point by point;
 * whole planes of plain tensors as runs.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

enum { MOST_ROWS = 64 };

typedef struct pool_state {
    native_window window;
    native_epilogue epilogue;
    uint32_t maximum, global, include_pad, lines;
    uint32_t plain; /* global: a plane is a run */
} pool_state;

static tn_status pool_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    native_epilogue unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "pool";
    if (p->output_count > 1 && p->outputs[1])
        return tn_fail(ctx, TN_DECLINED, "indices are wanted");
    if (p->inputs[0]->rank >= 0 && (p->inputs[0]->rank < 3 || p->inputs[0]->rank > 4))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here",
                       (int)p->inputs[0]->rank);
    if (tn_attr_int(p->node, "ceil_mode", 0) && tn_attr_int(p->node, "count_include_pad", 0))
        return tn_fail(ctx, TN_DECLINED, "padding counts, and windows may reach beyond it");
    if (native_epilogue_read(p, 1, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

/* Every window sees a point of the input along axis k. */
static bool sees_some(const native_window *w, int32_t k)
{
    return w->before[k] < w->kernel[k] && (w->y[k] - 1) * w->strides[k] - w->before[k] < w->x[k];
}

static void describe(tn_measure *ctx, const pool_state *s, uint32_t k, uint32_t layout)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[k];
    const native_window *w = &s->window;
    a->input_layouts[0] = a->output_layouts[0] = layout;
    native_epilogue_layouts(&s->epilogue, a, layout, false);
    a->algorithm = layout == TN_LAYOUT_PLAIN ? "pool, planes" : "pool";
    a->seconds = native_seconds(
        native_isa_of(ctx->instance),
        (double)native_count(p->outputs[0]) * (double)(w->kernel[0] * w->kernel[1]),
        4.0 * (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])), p->threads);
}

static tn_status pool_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    pool_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, NULL, w, reason, sizeof reason) != TN_OK ||
        native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->maximum = strstr(p->node->op, "Max") != NULL;
    s->global = strncmp(p->node->op, "Global", 6) == 0;
    s->include_pad = (uint32_t)tn_attr_int(p->node, "count_include_pad", 0);
    if (s->global)
        memcpy(w->kernel, w->x, sizeof w->kernel);
    s->lines = !s->global && w->channels >= 2 * native_isa_of(ctx->instance)->lanes &&
               w->dilations[0] == 1 && w->dilations[1] == 1 && w->kernel[0] <= MOST_ROWS &&
               sees_some(w, 0) && sees_some(w, 1);
    s->epilogue.ld = w->channels;
    describe(ctx, s, 0, NATIVE_LAST_STRIDED);
    if (s->global) {
        ctx->alternative_count = 2;
        describe(ctx, s, 1, TN_LAYOUT_PLAIN);
    }
    return TN_OK;
}

static tn_status pool_prepare(tn_prepare *ctx, void *state)
{
    pool_state *s = state;
    s->plain = ctx->chosen_index == 1;
    return TN_OK;
}

typedef struct pool_job {
    const pool_state *s;
    tn_run *ctx;
    const native_isa *isa;
} pool_job;

/* Rows come in any number: what there is so far is one row of the next call. */
typedef struct gathering {
    const pool_job *job;
    const float *rows[MOST_ROWS];
    int64_t held, seen;
    float *y;
} gathering;

static void flush(gathering *g)
{
    const pool_state *s = g->job->s;
    g->job->isa->pool(s->maximum, g->rows, g->held, s->window.channels, 1.0f, g->y);
    g->rows[0] = g->y;
    g->held = 1;
}

static void take(gathering *g, const float *row)
{
    if (g->held == MOST_ROWS)
        flush(g);
    g->rows[g->held++] = row;
    g->seen++;
}

/* A point of the output. */
typedef struct spot {
    int64_t image, y, x;
} spot;

/* The next one in memory: dividing for each would take longer than many a window. */
static spot after(const native_window *w, spot at)
{
    if (++at.x < w->y[1])
        return at;
    at.x = 0;
    if (++at.y < w->y[0])
        return at;
    return (spot){ at.image + 1, 0, 0 };
}

/* The rows of the input under the window; g comes with no row. */
static void gather(gathering *g, const float *x, int64_t step, spot at)
{
    const native_window *w = &g->job->s->window;
    const int64_t y0 = at.y * w->strides[0] - w->before[0];
    const int64_t x0 = at.x * w->strides[1] - w->before[1];
    x += at.image * w->x[0] * w->x[1] * step;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t iy = y0 + i * w->dilations[0];
        for (int64_t j = 0; iy >= 0 && iy < w->x[0] && j < w->kernel[1]; j++) {
            const int64_t ix = x0 + j * w->dilations[1];
            if (ix >= 0 && ix < w->x[1])
                take(g, x + (iy * w->x[1] + ix) * step);
        }
    }
}

static void run_point(const gathering *g)
{
    const pool_state *s = g->job->s;
    const native_window *w = &s->window;
    if (!g->seen) { /* a window that lies in the padding altogether */
        const float nothing = s->maximum ? -INFINITY : NAN;
        for (int64_t c = 0; c < w->channels; c++)
            g->y[c] = nothing;
        return;
    }
    const int64_t share = s->include_pad ? w->kernel[0] * w->kernel[1] : g->seen;
    g->job->isa->pool(s->maximum, g->rows, g->held, w->channels, 1.0f / (float)share, g->y);
}

static tn_status pool_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pool_job *job = user;
    const native_window *w = &job->s->window;
    const int64_t x_step = tn_row_step(job->ctx->inputs[0]);
    const int64_t y_step = tn_row_step(job->ctx->outputs[0]);
    const float *x = job->ctx->inputs[0]->data;
    float *y = job->ctx->outputs[0]->data;
    const int64_t line = begin / w->y[1];
    spot at = { line / w->y[0], line % w->y[0], begin % w->y[1] };
    gathering g;
    (void)thread;
    g.job = job;
    for (int64_t point = begin; point < end; point++, at = after(w, at)) {
        g.y = y + point * y_step;
        g.held = g.seen = 0;
        gather(&g, x, x_step, at);
        run_point(&g);
        native_finish(job->isa, &job->s->epilogue, job->ctx->inputs, g.y, w->channels, point, 1, 0,
                      w->channels);
    }
    return TN_OK;
}

static void run_line(const pool_job *job, int64_t index)
{
    const pool_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t image = index / w->y[0], oy = index % w->y[0];
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    const float *x = (const float *)job->ctx->inputs[0]->data + image * w->x[0] * w->x[1] * step;
    const float *rows[MOST_ROWS];
    native_pool_line line = { .rows = rows,
                              .x_step = step,
                              .y_step = tn_row_step(job->ctx->outputs[0]),
                              .channels = w->channels,
                              .points = w->y[1],
                              .x_points = w->x[1],
                              .kernel = w->kernel[1],
                              .stride = w->strides[1],
                              .before = w->before[1],
                              .maximum = s->maximum,
                              .include_pad = s->include_pad,
                              .share = w->kernel[0] * w->kernel[1] };
    line.out = (float *)job->ctx->outputs[0]->data + index * w->y[1] * line.y_step;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t iy = oy * w->strides[0] - w->before[0] + i;
        if (iy >= 0 && iy < w->x[0])
            rows[line.row_count++] = x + iy * w->x[1] * step;
    }
    job->isa->pool_line(&line);
    if (s->epilogue.count)
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, line.out, line.y_step,
                      index * w->y[1], w->y[1], 0, w->channels);
}

static tn_status line_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for (int64_t line = begin; line < end; line++)
        run_line(user, line);
    return TN_OK;
}

/* Planes [begin, end) of a plain tensor: their values, then the steps, image by image. */
static tn_status plane_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pool_job *job = user;
    const pool_state *s = job->s;
    const int64_t points = s->window.x[0] * s->window.x[1], channels = s->window.channels;
    const float *x = job->ctx->inputs[0]->data;
    float *y = job->ctx->outputs[0]->data;
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        const float value = job->isa->reduce(s->maximum, x + k * points, points);
        y[k] = s->maximum ? value : value / (float)points;
    }
    while (begin < end) {
        const int64_t channel = begin % channels, left = end - begin;
        const int64_t some = channels - channel < left ? channels - channel : left;
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, y + begin, some, begin / channels,
                      1, channel, some);
        begin += some;
    }
    return TN_OK;
}

static tn_status pool_run(tn_run *ctx, const void *state, void *slot)
{
    const pool_state *s = state;
    const native_window *w = &s->window;
    pool_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    if (s->plain)
        return ctx->call.host->parallel_for(&ctx->call, w->images * w->channels,
                                            1 + 16384 / (w->x[0] * w->x[1]), plane_chunk, &job);
    const int64_t work = w->kernel[0] * w->kernel[1] * w->channels;
    if (s->lines)
        return ctx->call.host->parallel_for(&ctx->call, w->images * w->y[0],
                                            1 + 16384 / (work * w->y[1]), line_chunk, &job);
    return ctx->call.host->parallel_for(&ctx->call, w->images * w->y[0] * w->y[1], 1 + 16384 / work,
                                        pool_chunk, &job);
}

#define POOL(op)                                                                                   \
    NATIVE_KERNEL(op, .state_bytes = sizeof(pool_state), .offer = pool_offer,                      \
                  .measure = pool_measure, .prepare = pool_prepare, .run = pool_run)

const tn_kernel_def native_pool_kernels[] = {
    POOL("MaxPool"),           POOL("AveragePool"), POOL("GlobalMaxPool"),
    POOL("GlobalAveragePool"), { .op = NULL },
};
