/* conv_grouped.c: Conv (ONNX: Conv) in groups of few outputs, depthwise first of all: a matrix product
 * of so few rows is a matrix times vectors, many times slower than the sums themselves.
 *
 * For each image, group and band of output rows, the input rows that the band meets are copied with
 * their padding into scratch memory. With a stride of s along the last axis they are dealt into s
 * rows, so that what neighbouring outputs see through a tap lies side by side. Then each output row
 * is summed up in registers, a block of columns at a time. Padding is multiplied like anything else:
 * zero times infinity is NaN.
 *
 * In: X, W, perhaps B, plain. Out: Y, plain, with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

enum { MOST_OUTPUTS = 4, BAND_BYTES = 131072, LANES = 4, BLOCK_BYTES = 16 * LANES };

typedef struct grouped_state {
    oblas_window window;
    oblas_epilogue epilogue;
    int64_t line;        /* elements of a dealt row */
    int64_t rows, bands; /* output rows of a band, and bands of a plane */
    int64_t band_rows;   /* input rows that a band meets */
    uint32_t dtype, reserved;
    size_t thread_bytes;
} grouped_state;

static int64_t reach(const oblas_window *w, int32_t axis)
{
    return (w->kernel[axis] - 1) * w->dilations[axis] + 1;
}

/* Elements of scratch that one band takes. */
static int64_t band_elements(const grouped_state *s)
{
    const oblas_window *w = &s->window;
    return w->channels * w->kernel[0] * s->band_rows * w->strides[2] * s->line;
}

static void set_rows(grouped_state *s, int64_t rows)
{
    s->rows = rows;
    s->band_rows = (rows - 1) * s->window.strides[1] + reach(&s->window, 1);
}

static tn_status grouped_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    grouped_state *s = state;
    const oblas_window *w = &s->window;
    const int64_t width = (int64_t)oblas_width(p->inputs[0]->dtype);
    const uint32_t threads = p->threads ? p->threads : 1;
    char reason[192] = "";
    if (oblas_window_read(p, false, &s->window, reason, sizeof reason) != TN_OK ||
        oblas_epilogue_read(p, p->own_count > 2 && p->inputs[2] ? 2 : -1, &s->epilogue, reason,
                            sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->dtype = p->inputs[0]->dtype;
    s->line = w->y[2] + (reach(w, 2) - 1) / w->strides[2] + BLOCK_BYTES / width;
    set_rows(s, w->y[1]);
    while (s->rows > 1 && band_elements(s) * width > BAND_BYTES)
        set_rows(s, (s->rows + 1) / 2);
    s->bands = (w->y[1] + s->rows - 1) / s->rows;
    s->thread_bytes = ((size_t)(band_elements(s) * width) + 63) / 64 * 64;
    a->scratch_bytes = s->thread_bytes * threads;
    a->algorithm = "sums by tap";
    a->seconds = (double)oblas_count(p->outputs[0]) * (double)(w->channels * w->taps) /
                     (4e9 * threads) +
                 1e-6;
    return TN_OK;
}

/* ---- one band --------------------------------------------------------------------------- */

typedef struct band {
    const grouped_state *state;
    int64_t part, depth, row,
        rows; /* image and group; output rows [row, row + rows) of slice depth */
} band;

/* One set of functions for each type. */
#define DEFINE(REAL, name)                                                                         \
    typedef REAL name##_lanes __attribute__((vector_size(16), aligned(sizeof(REAL)), may_alias));  \
    enum { name##_WIDTH = 16 / sizeof(REAL) };                                                     \
                                                                                                   \
    /* A row of the input, or of padding (NULL), dealt by the stride. */                           \
    static void name##_deal(const grouped_state *s, const REAL *from, REAL *to)                    \
    {                                                                                              \
        const oblas_window *w = &s->window;                                                        \
        for (int64_t phase = 0; phase < w->strides[2]; phase++, to += s->line) {                   \
            /* Element i is column i * stride + phase - before. */                                 \
            const int64_t shift = phase - w->before[2], step = w->strides[2];                      \
            int64_t first = shift < 0 ? (-shift + step - 1) / step : 0;                            \
            int64_t end = w->x[2] > shift ? (w->x[2] - shift + step - 1) / step : 0;               \
            end = from && end < s->line ? end : from ? s->line : 0;                                \
            first = first < end ? first : end;                                                     \
            memset(to, 0, (size_t)first * sizeof *to);                                             \
            for (int64_t i = first; i < end; i++)                                                  \
                to[i] = from[i * step + shift];                                                    \
            memset(to + end, 0, (size_t)(s->line - end) * sizeof *to);                             \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void name##_gather(const band *b, const REAL *x, REAL *to)                              \
    {                                                                                              \
        const grouped_state *s = b->state;                                                         \
        const oblas_window *w = &s->window;                                                        \
        for (int64_t c = 0; c < w->channels; c++, x += w->x_points)                                \
            for (int64_t tap = 0; tap < w->kernel[0]; tap++)                                       \
                for (int64_t r = 0; r < s->band_rows; r++, to += w->strides[2] * s->line) {        \
                    const int64_t z = b->depth * w->strides[0] + tap * w->dilations[0] -           \
                                      w->before[0];                                                \
                    const int64_t y = b->row * w->strides[1] + r - w->before[1];                   \
                    const bool inside = z >= 0 && z < w->x[0] && y >= 0 && y < w->x[1];            \
                    name##_deal(s, inside ? x + (z * w->x[1] + y) * w->x[2] : NULL, to);           \
                }                                                                                  \
    }                                                                                              \
                                                                                                   \
    /* LANES vectors of outputs from column `column` on. rows: dealt rows of the first tap. */     \
    static void name##_block(const grouped_state *s, const REAL *rows, const REAL *weights,        \
                             int64_t column, name##_lanes *out)                                    \
    {                                                                                              \
        const oblas_window *w = &s->window;                                                        \
        const int64_t row = w->strides[2] * s->line;                                               \
        name##_lanes a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };                                   \
        for (int64_t k = 0; k < w->channels * w->kernel[0]; k++) {                                 \
            const REAL *slice = rows + k * s->band_rows * row + column;                            \
            for (int64_t h = 0; h < w->kernel[1]; h++, slice += w->dilations[1] * row) {           \
                int64_t phase = 0, at = 0;                                                         \
                for (int64_t t = 0; t < w->kernel[2]; t++) {                                       \
                    const name##_lanes *x =                                                        \
                        (const name##_lanes *)(const void *)(slice + phase * s->line + at);        \
                    const REAL factor = *weights++;                                                \
                    a += factor * x[0];                                                            \
                    b += factor * x[1];                                                            \
                    c += factor * x[2];                                                            \
                    d += factor * x[3];                                                            \
                    phase += w->dilations[2];                                                      \
                    while (phase >= w->strides[2]) {                                               \
                        phase -= w->strides[2];                                                    \
                        at++;                                                                      \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        out[0] = a;                                                                                \
        out[1] = b;                                                                                \
        out[2] = c;                                                                                \
        out[3] = d;                                                                                \
    }                                                                                              \
                                                                                                   \
    static void name##_band(const band *b, const tn_run *ctx, REAL *scratch)                       \
    {                                                                                              \
        const grouped_state *s = b->state;                                                         \
        const oblas_window *w = &s->window;                                                        \
        const int64_t depth = w->channels * w->taps, block = LANES * name##_WIDTH;                 \
        const REAL *weights = (const REAL *)ctx->inputs[1]->data +                                 \
                              b->part % w->groups * w->outputs * depth;                            \
        name##_gather(b, (const REAL *)ctx->inputs[0]->data + b->part * w->channels * w->x_points, \
                      scratch);                                                                    \
        for (int64_t m = 0; m < w->outputs; m++, weights += depth) {                               \
            const int64_t first = (b->part * w->outputs + m) * w->y_points +                       \
                                  (b->depth * w->y[1] + b->row) * w->y[2];                         \
            REAL *y = (REAL *)ctx->outputs[0]->data + first;                                       \
            for (int64_t r = 0; r < b->rows; r++, y += w->y[2]) {                                  \
                const REAL *rows = scratch + r * w->strides[1] * w->strides[2] * s->line;          \
                for (int64_t column = 0; column < w->y[2]; column += block) {                      \
                    const int64_t left = w->y[2] - column, count = left < block ? left : block;    \
                    name##_lanes sums[LANES];                                                      \
                    name##_block(s, rows, weights, column, sums);                                  \
                    memcpy(y + column, sums, (size_t)count * sizeof *y);                           \
                }                                                                                  \
            }                                                                                      \
            oblas_epilogue_apply(&s->epilogue, ctx, first, b->rows * w->y[2]);                     \
        }                                                                                          \
    }

DEFINE(float, single)
DEFINE(double, twofold)

/* ---- run -------------------------------------------------------------------------------- */

typedef struct grouped_job {
    const grouped_state *state;
    tn_run *ctx;
} grouped_job;

static tn_status grouped_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const grouped_job *job = user;
    const grouped_state *s = job->state;
    const oblas_window *w = &s->window;
    void *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    for (int64_t item = begin; item < end; item++) {
        band b = { .state = s,
                   .part = item / s->bands / w->y[0],
                   .depth = item / s->bands % w->y[0],
                   .row = item % s->bands * s->rows };
        b.rows = b.row + s->rows < w->y[1] ? s->rows : w->y[1] - b.row;
        if (s->dtype == TN_FLOAT32)
            single_band(&b, job->ctx, scratch);
        else
            twofold_band(&b, job->ctx, scratch);
    }
    return TN_OK;
}

static tn_status grouped_run(tn_run *ctx, const void *state, void *slot)
{
    const grouped_state *s = state;
    const oblas_window *w = &s->window;
    const int64_t work = w->outputs * s->rows * w->y[2] * w->channels * w->taps;
    grouped_job job = { s, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, w->images * w->groups * w->y[0] * s->bands,
                                        1 + 32768 / work, grouped_chunk, &job);
}

static tn_status grouped_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const int64_t group = tn_attr_int(p->node, "group", 1);
    const tn_type *w = p->inputs[1];
    ctx->algorithm = "sums by tap";
    if (group < 2 || w->rank < 3 || !tn_dim_known(w->dims[0]) || w->dims[0] / group > MOST_OUTPUTS)
        return tn_fail(ctx, TN_DECLINED, "not in groups of at most %d outputs", MOST_OUTPUTS);
    return oblas_offer(ctx);
}

const tn_kernel_def oblas_conv_grouped_kernel = {
    .size = sizeof(tn_kernel_def),
    .op = "Conv",
    .backend = "openblas",
    .since = 1,
    .types = OBLAS_TYPES,
    .state_bytes = sizeof(grouped_state),
    .offer = grouped_offer,
    .measure = grouped_measure,
    .run = grouped_run,
};
