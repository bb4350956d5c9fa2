/* conv_direct.c: Conv (ONNX: Conv) as a product whose rows are read in place.
 *
 * A row is the channels of an input point, its panel the weights of one tap; a point's value is the
 * sum over taps. No columns are built: a table of pointers says where each row lies, and points of
 * the padding point to zeros. Windows over few channels (pictures) would spend their time between
 * rows: there a band of the picture, in whatever layout it has, is copied with its padding, and a
 * table of offsets says where the elements of a window lie, the same for every point.
 *
 * In: X channels last (few channels: plain, too), W and B constant, packed once. Out: Y channels
 * last with its epilogue. Both may be views of some channels of more.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { FEW_CHANNELS = 8 }; /* less than this: bands */

typedef struct conv_state {
    native_window window;
    native_epilogue epilogue;
    native_cut cut;
    int64_t points;      /* of an image's output */
    int64_t taps, depth; /* as the product has them */
    uint32_t banded, plain;
    int64_t piece_y, piece_x; /* banded: output points of a piece, */
    int64_t band_y, band_x;   /* and what it sees of the input */
    uint32_t in_place;        /* a point of the output is that point of the input */
    size_t table_bytes, thread_bytes, group_floats;
} conv_state;

static tn_status conv_offer(tn_offer *ctx)
{
    ctx->algorithm = "direct";
    return native_offer_conv(ctx);
}

/* Pieces of the output whose bands stay in the cache. */
static void cut_bands(conv_state *s, uint32_t threads)
{
    enum { MOST_POINTS = 512, BAND_FLOATS = 12 * 1024 };
    const native_window *w = &s->window;
    const int64_t reach = (w->kernel[0] - 1) * w->dilations[0] + 1;
    s->piece_x = w->y[1] < MOST_POINTS ? w->y[1] : MOST_POINTS;
    s->band_x = (s->piece_x - 1) * w->strides[1] + (w->kernel[1] - 1) * w->dilations[1] + 1;
    s->piece_y = (BAND_FLOATS / (s->band_x * w->channels) - reach) / w->strides[0] + 1;
    if (s->piece_y * 4 * (int64_t)threads > w->y[0] && threads > 1)
        s->piece_y = w->y[0] / (4 * (int64_t)threads);
    s->piece_y = s->piece_y < 1 ? 1 : s->piece_y > w->y[0] ? w->y[0] : s->piece_y;
    s->band_y = (s->piece_y - 1) * w->strides[0] + reach;
    s->table_bytes = (size_t)native_round_up(s->depth * (int64_t)sizeof(int32_t), 64);
    s->thread_bytes = s->table_bytes +
                      (size_t)native_round_up(s->band_y * s->band_x * w->channels * 4, 64);
}

static void describe(tn_measure *ctx, const conv_state *s, uint32_t k, bool plain)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[k];
    const native_window *w = &s->window;
    const double macs = (double)native_count(p->outputs[0]) * (double)(w->channels) *
                        (double)(w->kernel[0] * w->kernel[1]);
    static const uint32_t sources[] = { 1, 2 };
    a->input_layouts[0] = plain       ? TN_LAYOUT_PLAIN
                          : s->banded ? TN_LAYOUT_CHANNELS_LAST
                                      : NATIVE_LAST_STRIDED;
    a->output_layouts[0] = NATIVE_LAST_STRIDED;
    native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, true);
    a->algorithm = s->banded ? "direct, bands" : "direct";
    a->seconds = native_seconds(isa, macs,
                                4.0 * (double)(native_count(p->inputs[0]) +
                                               native_count(p->outputs[0]) +
                                               native_count(p->inputs[1])),
                                p->threads);
    a->scratch_bytes = s->thread_bytes * p->threads;
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = p->own_count > 2 && p->inputs[2] ? 2 : 1,
                                 .sources = sources,
                                 .key = plain ? "plain" : "channels last",
                                 .key_bytes = 5,
                                 .bytes = s->group_floats * (size_t)w->groups * sizeof(float) };
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    conv_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, p->inputs[1]->dims + 2, w, reason, sizeof reason) != TN_OK ||
        native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (p->math == TN_MATH_STRICT && !native_all_finite(p->constants[1]))
        return tn_fail(ctx, TN_DECLINED, "a weight is not finite: padding would make it NaN");
    s->epilogue.ld = w->outputs * w->groups;
    s->points = w->y[0] * w->y[1];
    s->banded = w->groups == 1 && w->channels < FEW_CHANNELS && w->kernel[0] * w->kernel[1] > 1;
    s->in_place = w->kernel[0] * w->kernel[1] == 1 && w->strides[0] == 1 && w->strides[1] == 1 &&
                  w->before[0] == 0 && w->before[1] == 0 && w->x[0] == w->y[0] &&
                  w->x[1] == w->y[1];
    s->taps = s->banded ? 1 : w->kernel[0] * w->kernel[1];
    s->depth = s->banded ? w->channels * w->kernel[0] * w->kernel[1] : w->channels;
    /* A window shares its points with its neighbours: a point more brings as many as the stride has. */
    const int64_t fresh = w->strides[0] * w->strides[1];
    const native_extents extents = { .m = s->points,
                                     .n = w->outputs,
                                     .depth = s->taps * s->depth,
                                     .row_floats = (fresh < s->taps ? fresh : s->taps) * s->depth };
    s->cut = native_cut_of(isa, &extents, p->threads);
    s->group_floats = native_panel_floats(isa, s->taps * s->depth, w->outputs);
    /* A thread's scratch: the table, then a row of zeros. */
    s->table_bytes = (size_t)native_round_up(s->cut.rows * s->taps * (int64_t)sizeof(float *), 64);
    s->thread_bytes = s->table_bytes + (size_t)native_round_up(s->depth * 4, 64);
    if (s->banded)
        cut_bands(s, p->threads);
    if (s->banded && s->thread_bytes / sizeof(float) > INT32_MAX)
        return tn_fail(ctx, TN_DECLINED, "a window that reaches over more than 8 GB");
    describe(ctx, s, 0, false);
    if (s->banded) {
        ctx->alternative_count = 2;
        describe(ctx, s, 1, true);
    }
    return TN_OK;
}

/* Weights [M, C/g, kh, kw], group by group. */
static tn_status conv_prepare(tn_prepare *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    conv_state *s = state;
    const native_window *w = &s->window;
    const int64_t taps = w->kernel[0] * w->kernel[1], filter = w->channels * taps;
    const float *bias = ctx->chosen->packs[0].source_count > 1 ? p->constants[2]->data : NULL;
    s->plain = ctx->chosen_index == 1;
    for (int64_t g = 0; ctx->packs[0].fill && g < w->groups; g++) {
        const native_source source = {
            .data = (const float *)p->constants[1]->data + g * w->outputs * filter,
            .bias = bias ? bias + g * w->outputs : NULL,
            .taps = s->plain ? 1 : taps,
            .depth = s->plain ? filter : w->channels,
            .n = w->outputs,
            .tap = 1,
            .row = s->plain ? 1 : taps,
            .column = filter,
            .call = &ctx->call,
        };
        native_pack(native_isa_of(ctx->instance), &source,
                    (float *)ctx->packs[0].data + (size_t)g * s->group_floats);
    }
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct conv_job {
    const conv_state *state;
    tn_run *ctx;
    const native_isa *isa;
} conv_job;

/* The points of a tile whose windows lie inside the input, all in one line: each tap's rows are as far
 * apart as the points are. */
static const float **fill_inside(const native_window *w, const float *corner, int64_t rows,
                                 int64_t step, const float **slot)
{
    const int64_t apart = w->strides[1] * step;
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            const float *row = corner +
                               (i * w->dilations[0] * w->x[1] + j * w->dilations[1]) * step;
            for (int64_t r = 0; r < rows; r++, row += apart)
                *slot++ = row;
        }
    return slot;
}

/* The points of any tile, from output point (oy, ox) on. */
static const float **fill_anywhere(const native_window *w, const float *x, int64_t oy, int64_t ox,
                                   int64_t rows, int64_t step, const float *zeros,
                                   const float **table)
{
    for (int64_t r = 0; r < rows; r++) {
        const int64_t y0 = oy * w->strides[0] - w->before[0];
        const int64_t x0 = ox * w->strides[1] - w->before[1];
        const float **slot = table + r;
        for (int64_t i = 0; i < w->kernel[0]; i++) {
            const int64_t iy = y0 + i * w->dilations[0];
            for (int64_t j = 0; j < w->kernel[1]; j++, slot += rows) {
                const int64_t ix = x0 + j * w->dilations[1];
                *slot = iy < 0 || iy >= w->x[0] || ix < 0 || ix >= w->x[1]
                            ? zeros
                            : x + (iy * w->x[1] + ix) * step;
            }
        }
        if (++ox == w->y[1])
            ox = 0, oy++;
    }
    return table + rows * w->kernel[0] * w->kernel[1];
}

/* Pointers to the rows of points [first, last), tile by tile. */
static void fill_table(const conv_job *job, const float *x, int64_t first, int64_t last,
                       const float *zeros, const float **table)
{
    const native_window *w = &job->state->window;
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    const int64_t reach_y = (w->kernel[0] - 1) * w->dilations[0];
    const int64_t reach_x = (w->kernel[1] - 1) * w->dilations[1];
    if (job->state->in_place) {
        for (int64_t point = first; point < last; point++)
            *table++ = x + point * step;
        return;
    }
    for (int64_t point = first, rows; point < last; point += rows) {
        rows = native_tile_rows(job->isa, last - point);
        const int64_t oy = point / w->y[1], ox = point % w->y[1];
        const int64_t iy = oy * w->strides[0] - w->before[0];
        const int64_t ix = ox * w->strides[1] - w->before[1];
        const bool inside = ox + rows <= w->y[1] && iy >= 0 && iy + reach_y < w->x[0] && ix >= 0 &&
                            ix + (rows - 1) * w->strides[1] + reach_x < w->x[1];
        table = inside ? fill_inside(w, x + (iy * w->x[1] + ix) * step, rows, step, table)
                       : fill_anywhere(w, x, oy, ox, rows, step, zeros, table);
    }
}

/* ---- bands ------------------------------------------------------------------------------- */

/* A piece of the output: rows of points, and what of the input they see. */
static void copy_line(const conv_state *s, const float *x, int64_t iy, int64_t x0, int64_t width,
                      float *to)
{
    const native_window *w = &s->window;
    const int64_t left = x0 < 0 ? (-x0 < s->band_x ? -x0 : s->band_x) : 0;
    int64_t end = w->x[1] - x0 < s->band_x ? w->x[1] - x0 : s->band_x;
    if (iy < 0 || iy >= w->x[0] || end <= left) {
        memset(to, 0, (size_t)(s->band_x * width) * sizeof *to);
        return;
    }
    memset(to, 0, (size_t)(left * width) * sizeof *to);
    memcpy(to + left * width, x + (iy * w->x[1] + x0 + left) * width,
           (size_t)((end - left) * width) * sizeof *to);
    memset(to + end * width, 0, (size_t)((s->band_x - end) * width) * sizeof *to);
}

static void fill_band(const conv_state *s, const float *x, int64_t oy, int64_t ox, float *band)
{
    const native_window *w = &s->window;
    const int64_t planes = s->plain ? w->channels : 1, width = s->plain ? 1 : w->channels;
    const int64_t y0 = oy * w->strides[0] - w->before[0], x0 = ox * w->strides[1] - w->before[1];
    for (int64_t plane = 0; plane < planes; plane++, x += w->x[0] * w->x[1])
        for (int64_t i = 0; i < s->band_y; i++, band += s->band_x * width)
            copy_line(s, x, y0 + i, x0, width, band);
}

/* Where the elements of a window lie, in the order of the packed weights: plain (channel, tap),
 * channels last (tap, channel). */
static void fill_offsets(const conv_state *s, int32_t *offsets)
{
    const native_window *w = &s->window;
    const int64_t planes = s->plain ? w->channels : 1, width = s->plain ? 1 : w->channels;
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < w->kernel[0]; i++)
            for (int64_t j = 0; j < w->kernel[1]; j++)
                for (int64_t c = 0; c < width; c++)
                    *offsets++ = (int32_t)(((plane * s->band_y + i * w->dilations[0]) * s->band_x +
                                            j * w->dilations[1]) *
                                               width +
                                           c);
}

static void run_band(const conv_job *job, int64_t image, int64_t oy, int64_t ox, char *scratch)
{
    const conv_state *s = job->state;
    const native_window *w = &s->window;
    const int64_t width = s->plain ? 1 : w->channels;
    const float *x = (const float *)job->ctx->inputs[0]->data +
                     image * w->x[0] * w->x[1] * w->channels;
    const int64_t y_step = tn_row_step(job->ctx->outputs[0]);
    int32_t *offsets = (int32_t *)(void *)scratch;
    float *band = (float *)(void *)(scratch + s->table_bytes);
    const int64_t points = w->y[1] - ox < s->piece_x ? w->y[1] - ox : s->piece_x;
    const int64_t last = oy + s->piece_y < w->y[0] ? oy + s->piece_y : w->y[0];
    fill_offsets(s, offsets);
    fill_band(s, x, oy, ox, band);
    for (; oy < last; oy++, band += w->strides[0] * s->band_x * width) {
        const int64_t row = image * s->points + oy * w->y[1] + ox;
        const native_product product = {
            .isa = job->isa,
            .epilogue = s->epilogue.count ? &s->epilogue : NULL,
            .inputs = job->ctx->inputs,
            .m = points,
            .n = w->outputs,
            .taps = 1,
            .depth = s->depth,
            .panels = job->ctx->packs[0],
            .out = (float *)job->ctx->outputs[0]->data + row * y_step,
            .ld = y_step,
            .offsets = offsets,
            .base = band,
            .step = w->strides[1] * width,
            .first_row = row,
        };
        native_product_run(&product, NULL, 0, points, 0,
                           native_ceil(w->outputs, job->isa->columns));
    }
}

static tn_status band_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_job *job = user;
    const conv_state *s = job->state;
    const int64_t across = native_ceil(s->window.y[1], s->piece_x);
    const int64_t down = native_ceil(s->window.y[0], s->piece_y);
    char *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    for (int64_t item = begin; item < end; item++)
        run_band(job, item / across / down, item / across % down * s->piece_y,
                 item % across * s->piece_x, scratch);
    return TN_OK;
}

/* ---- rows in place ----------------------------------------------------------------------- */

static void run_part(const conv_job *job, int64_t image, int64_t group, const native_part *part,
                     char *scratch)
{
    const conv_state *s = job->state;
    const native_window *w = &s->window;
    const int64_t all_in = tn_row_step(job->ctx->inputs[0]);
    const int64_t all_out = tn_row_step(job->ctx->outputs[0]);
    const float *x = (const float *)job->ctx->inputs[0]->data + image * w->x[0] * w->x[1] * all_in +
                     group * w->channels;
    const float **table = (const float **)(void *)scratch;
    float *rest = (float *)(void *)(scratch + s->table_bytes);
    const native_product product = {
        .isa = job->isa,
        .epilogue = s->epilogue.count ? &s->epilogue : NULL,
        .inputs = job->ctx->inputs,
        .m = s->points,
        .n = w->outputs,
        .taps = s->taps,
        .depth = s->depth,
        .panels = (const float *)job->ctx->packs[0] + (size_t)group * s->group_floats,
        .out = (float *)job->ctx->outputs[0]->data + image * s->points * all_out +
               group * w->outputs,
        .ld = all_out,
        .first_row = image * s->points,
        .first_column = group * w->outputs,
    };
    memset(rest, 0, (size_t)s->depth * sizeof *rest);
    fill_table(job, x, part->first, part->last, rest, table);
    native_product_run(&product, table, part->first, part->last, part->panel, part->panel_end);
}

static tn_status conv_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_job *job = user;
    const conv_state *s = job->state;
    char *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    const int64_t each = native_cut_items(&s->cut); /* of a group of an image */
    while (begin < end) {
        const int64_t whole = begin / each, first = begin - whole * each, left = end - whole * each;
        const native_part part = native_part_of(&s->cut, first, left < each ? left : each);
        run_part(job, whole / s->window.groups, whole % s->window.groups, &part, scratch);
        begin += part.items;
    }
    return TN_OK;
}

static tn_status conv_run(tn_run *ctx, const void *state, void *slot)
{
    const conv_state *s = state;
    conv_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    if (s->banded)
        return ctx->call.host->parallel_for(&ctx->call,
                                            s->window.images *
                                                native_ceil(s->window.y[0], s->piece_y) *
                                                native_ceil(s->window.y[1], s->piece_x),
                                            1, band_chunk, &job);
    return ctx->call.host->parallel_for(
        &ctx->call, s->window.images * s->window.groups * native_cut_items(&s->cut), 1, conv_chunk,
        &job);
}

const tn_kernel_def native_conv_direct_kernels[] = {
    NATIVE_KERNEL("Conv", .state_bytes = sizeof(conv_state), .offer = conv_offer,
                  .measure = conv_measure, .prepare = conv_prepare, .run = conv_run),
    { .op = NULL },
};
