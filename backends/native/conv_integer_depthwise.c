/* conv_integer_depthwise.c: QLinearConv and ConvInteger with a group for each channel (ONNX:
 * QLinearConv, ConvInteger; group = C = M), channels last.
 *
 * A multiplication takes pairs, and here no two channels meet in a sum: so two lines do. A band holds,
 * for each line of the input that a window begins a pair with, that line and the one below side by
 * side, less the zero point and padded.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

enum { MOST_LINES = 16 }; /* pairs of lines of a window */

typedef struct depthwise_kind {
    bool linear;
    native_places at;
} depthwise_kind;
static const depthwise_kind linear = { true, { 0, 1, 2, 3, 4, 5, 6, 7, 8 } };
static const depthwise_kind integer = { false, { 0, -1, 2, 1, -1, 3, -1, -1, -1 } };

typedef struct depthwise_state {
    native_window window;
    int64_t padded; /* channels, to a multiple of the lanes */
    int64_t lines;  /* pairs of lines of a window */
    int64_t piece, pieces, band_y, band_x;
    uint32_t x_signed;
    size_t scale_bytes, sums_bytes, thread_bytes;
} depthwise_state;

static tn_status depthwise_offer(tn_offer *ctx)
{
    const depthwise_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    const native_places *at = &kind->at;
    const tn_status status = native_offer_integer(ctx, at);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "integers, depthwise";
    if (!native_constant_at(p, at->w) ||
        (native_type_at(p, at->w_zero) && !native_constant_at(p, at->w_zero)) ||
        (native_type_at(p, at->bias) && !native_constant_at(p, at->bias)))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    const tn_type *w = p->inputs[at->w];
    if (w->rank < 3 || w->rank > 4)
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here", (int)w->rank);
    if (tn_attr_int(p->node, "group", 1) != w->dims[0] || w->dims[1] != 1)
        return tn_fail(ctx, TN_DECLINED, "not a group for each channel");
    if (w->rank == 4 && w->dims[2] > 2 * MOST_LINES)
        return tn_fail(ctx, TN_DECLINED, "a window of %lld rows: at most %d here",
                       (long long)w->dims[2], 2 * MOST_LINES);
    return status;
}

static void plan(depthwise_state *s, uint32_t threads)
{
    enum { BAND_BYTES = 96 * 1024 };
    const native_window *w = &s->window;
    s->lines = native_ceil(w->kernel[0], 2);
    const int64_t reach = (2 * s->lines - 2) * w->dilations[0] + 1;
    s->band_x = (w->y[1] - 1) * w->strides[1] + (w->kernel[1] - 1) * w->dilations[1] + 1;
    s->piece = (BAND_BYTES / (s->band_x * s->padded * 4) - reach) / w->strides[0] + 1;
    if (threads > 1 && s->piece * 4 * (int64_t)threads > w->y[0] * w->images)
        s->piece = w->y[0] * w->images / (4 * (int64_t)threads);
    s->piece = s->piece < 1 ? 1 : s->piece > w->y[0] ? w->y[0] : s->piece;
    s->pieces = native_ceil(w->y[0], s->piece);
    s->band_y = (s->piece - 1) * w->strides[0] + reach;
    s->scale_bytes = (size_t)native_round_up(2 * s->padded * 4, 64);
    s->sums_bytes = (size_t)native_round_up(w->y[1] * s->padded * 4, 64);
    s->thread_bytes = s->sums_bytes +
                      (size_t)native_round_up(s->band_y * s->band_x * s->padded * 4, 64);
}

/* Whether 32 bits hold every sum, bias and all; ConvInteger's may wrap. */
static bool sums_fit(const tn_problem *p, const depthwise_kind *kind, int64_t terms)
{
    const tn_tensor *bias = native_constant_at(p, kind->at.bias);
    double most = 0.0;
    for (int64_t k = 0; bias && k < tn_count(bias); k++) {
        const double size = fabs(tn_get_double(bias->dtype, bias->data, k));
        most = size > most ? size : most;
    }
    return !kind->linear || (double)terms * 255.0 * 255.0 + most < 2147483647.0;
}

static tn_status depthwise_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[2][3] = { { 1, 3, 0 }, { 3, 5, 8 } };
    const native_isa *isa = native_isa_of(ctx->instance);
    const depthwise_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    const native_places *at = &kind->at;
    tn_alternative *a = &ctx->alternatives[0];
    depthwise_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, p->inputs[at->w]->dims + 2, w, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    const int64_t taps = w->kernel[0] * w->kernel[1];
    if (w->channels != 1 || w->outputs != 1)
        return tn_fail(ctx, TN_DECLINED, "not one channel for each group");
    if (!native_table_fits(native_type_at(p, at->w_zero), w->groups) ||
        !native_table_fits(native_type_at(p, at->w_scale), w->groups))
        return tn_fail(ctx, TN_DECLINED, "not one scale or zero point for each output channel");
    if (!sums_fit(p, kind, taps))
        return tn_fail(ctx, TN_DECLINED, "sums that may leave 32 bits");
    s->padded = native_round_up(w->groups, isa->lanes);
    s->x_signed = p->inputs[0]->dtype == TN_INT8;
    plan(s, p->threads);
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    a->algorithm = "integers, depthwise";
    a->seconds = native_seconds(isa, 2.0 * (double)native_count(p->outputs[0]) * (double)taps,
                                (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])),
                                p->threads);
    a->scratch_bytes = s->scale_bytes + s->thread_bytes * p->threads;
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){
        .size = sizeof(tn_pack_def),
        .source_count = native_type_at(p, at->bias)     ? 3
                        : native_type_at(p, at->w_zero) ? 2
                                                        : 1,
        .sources = sources[kind->linear],
        .key = isa->name,
        .key_bytes = (uint32_t)strlen(isa->name),
        .bytes = (size_t)((2 * s->lines * w->kernel[1] * 2 + 4) * s->padded) * 2,
    };
    return TN_OK;
}

/* Weights [C, 1, kh, kw] → [pair of lines][kw][padded][2], then the bias. */
static tn_status depthwise_prepare(tn_prepare *ctx, void *state)
{
    const depthwise_kind *kind = ctx->call.user;
    const depthwise_state *s = state;
    const native_window *w = &s->window;
    const tn_tensor *weights = ctx->problem->constants[kind->at.w];
    const tn_tensor *zero = native_constant_at(ctx->problem, kind->at.w_zero);
    const tn_tensor *bias = native_constant_at(ctx->problem, kind->at.bias);
    int16_t *to = ctx->packs[0].data;
    const int64_t count = s->lines * w->kernel[1] * s->padded * 2;
    int32_t *start = (int32_t *)(void *)(to + count);
    if (!ctx->packs[0].fill)
        return TN_OK;
    memset(to, 0, (size_t)count * sizeof *to + (size_t)s->padded * sizeof *start);
    for (int64_t c = 0; c < w->groups; c++) {
        const int64_t less = zero ? tn_get_int(zero->dtype, zero->data, tn_count(zero) == 1 ? 0 : c)
                                  : 0;
        for (int64_t i = 0; i < w->kernel[0]; i++)
            for (int64_t j = 0; j < w->kernel[1]; j++)
                to[((i / 2 * w->kernel[1] + j) * s->padded + c) * 2 + i % 2] =
                    (int16_t)(tn_get_int(weights->dtype, weights->data,
                                         (c * w->kernel[0] + i) * w->kernel[1] + j) -
                              less);
        start[c] = bias ? ((const int32_t *)bias->data)[c] : 0;
    }
    return TN_OK;
}

typedef struct depthwise_job {
    const depthwise_state *s;
    tn_run *ctx;
    const native_isa *isa;
    int32_t x_zero;
    bool linear;
    native_requantize rescale;
    char *threads;
} depthwise_job;

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static const uint8_t *line_at(const depthwise_job *job, int64_t image, int64_t iy)
{
    const native_window *w = &job->s->window;
    if (iy < 0 || iy >= w->x[0])
        return NULL;
    return (const uint8_t *)job->ctx->inputs[0]->data +
           (image * w->x[0] + iy) * w->x[1] * tn_row_step(job->ctx->inputs[0]);
}

/* A line of pairs: what lies at iy, and a dilation below it. */
static void fill_line(const depthwise_job *job, int64_t image, int64_t iy, int16_t *to)
{
    const depthwise_state *s = job->s;
    const native_window *w = &s->window;
    const uint8_t *upper = line_at(job, image, iy);
    const uint8_t *lower = line_at(job, image, iy + w->dilations[0]);
    const int64_t step = tn_row_step(job->ctx->inputs[0]), wide = 2 * s->padded;
    const int64_t left = clamp(w->before[1], 0, s->band_x);
    const int64_t end = clamp(w->x[1] + w->before[1], left, s->band_x);
    const int64_t from = (left - w->before[1]) * step;
    if ((!upper && !lower) || left == end) {
        memset(to, 0, (size_t)(s->band_x * wide) * sizeof *to);
        return;
    }
    upper = upper ? upper + from : NULL;
    lower = lower ? lower + from : NULL;
    memset(to, 0, (size_t)(left * wide) * sizeof *to);
    memset(to + end * wide, 0, (size_t)((s->band_x - end) * wide) * sizeof *to);
    to += left * wide;
    if (step == s->padded && step == w->groups) {
        job->isa->integer->interleave(upper, lower, s->x_signed, job->x_zero, to,
                                      (end - left) * step);
        return;
    }
    for (int64_t k = 0; k < end - left; k++, to += wide) {
        job->isa->integer->interleave(upper ? upper + k * step : NULL,
                                      lower ? lower + k * step : NULL, s->x_signed, job->x_zero, to,
                                      w->groups);
        memset(to + 2 * w->groups, 0, (size_t)(wide - 2 * w->groups) * sizeof *to);
    }
}

static void run_line(const depthwise_job *job, int64_t row, const int16_t *band, int32_t *sums)
{
    const depthwise_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t ld = tn_row_step(job->ctx->outputs[0]);
    const int16_t *lines[MOST_LINES], *weights = job->ctx->packs[0];
    for (int64_t i = 0; i < s->lines; i++)
        lines[i] = band + 2 * i * w->dilations[0] * s->band_x * 2 * s->padded;
    const native_integer_depthwise work = {
        .lines = lines,
        .weights = weights,
        .start = (const int32_t *)(const void *)(weights + s->lines * w->kernel[1] * s->padded * 2),
        .out = sums,
        .channels = s->padded,
        .points = w->y[1],
        .line_count = s->lines,
        .kernel_w = w->kernel[1],
        .stride = w->strides[1],
        .dilation = w->dilations[1],
    };
    job->isa->integer->depthwise(&work);
    if (job->linear) {
        job->isa->integer->requantize(&job->rescale, sums, s->padded, w->y[1], w->groups,
                                      (uint8_t *)job->ctx->outputs[0]->data + row * ld, ld);
        return;
    }
    for (int64_t x = 0; x < w->y[1]; x++)
        memcpy((int32_t *)job->ctx->outputs[0]->data + (row + x) * ld, sums + x * s->padded,
               (size_t)w->groups * sizeof *sums);
}

static tn_status depthwise_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const depthwise_job *job = user;
    const depthwise_state *s = job->s;
    const native_window *w = &s->window;
    char *scratch = job->threads + thread * s->thread_bytes;
    int16_t *band = (int16_t *)(void *)(scratch + s->sums_bytes);
    const int64_t wide = s->band_x * 2 * s->padded;
    for (int64_t item = begin; item < end; item++) {
        const int64_t image = item / s->pieces, first = item % s->pieces * s->piece;
        const int64_t last = first + s->piece < w->y[0] ? first + s->piece : w->y[0];
        const int64_t top = first * w->strides[0] - w->before[0];
        for (int64_t k = 0; k < s->band_y; k++)
            fill_line(job, image, top + k, band + k * wide);
        for (int64_t y = first; y < last; y++)
            run_line(job, (image * w->y[0] + y) * w->y[1],
                     band + (y - first) * w->strides[0] * wide, (int32_t *)(void *)scratch);
    }
    return TN_OK;
}

static tn_status depthwise_run(tn_run *ctx, const void *state, void *slot)
{
    const depthwise_kind *kind = ctx->call.user;
    const depthwise_state *s = state;
    const native_places *at = &kind->at;
    depthwise_job job = { .s = s,
                          .ctx = ctx,
                          .isa = native_isa_of(ctx->instance),
                          .x_zero = native_whole(native_tensor_at(ctx, at->x_zero)),
                          .linear = kind->linear,
                          .threads = (char *)ctx->scratch + s->scale_bytes };
    (void)slot;
    if (kind->linear)
        native_rescale_read(&job.rescale, native_number(native_tensor_at(ctx, at->x_scale), 1.0),
                            native_tensor_at(ctx, at->w_scale),
                            native_number(native_tensor_at(ctx, at->y_scale), 1.0),
                            native_tensor_at(ctx, at->y_zero), ctx->outputs[0]->dtype,
                            s->window.groups, s->padded, ctx->scratch);
    return ctx->call.host->parallel_for(&ctx->call, s->window.images * s->pieces, 1,
                                        depthwise_chunk, &job);
}

#define DEPTHWISE                                                                                  \
    .state_bytes = sizeof(depthwise_state), .offer = depthwise_offer,                              \
    .measure = depthwise_measure, .prepare = depthwise_prepare, .run = depthwise_run

const tn_kernel_def native_integer_depthwise_kernels[] = {
    NATIVE_BYTE_KERNEL("QLinearConv", DEPTHWISE, .user = (void *)(uintptr_t)&linear),
    NATIVE_BYTE_KERNEL("ConvInteger", DEPTHWISE, .user = (void *)(uintptr_t)&integer),
    { .op = NULL },
};
