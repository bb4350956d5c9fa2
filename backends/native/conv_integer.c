/* conv_integer.c: QLinearConv and ConvInteger (ONNX: QLinearConv, ConvInteger) as products of 8-bit
 * integers, and Conv (ONNX: Conv) as one where the session asks for int8.
 *
 * A piece of the output are some of its lines. What it sees of the input is copied to a band, padded,
 * as the steps of isa/integer.h: less its zero point, so that padding is 0. A window's line lies in
 * the band in one run where channels have no groups and taps stand side by side: it is then one tap.
 *
 * Conv in int8: weights are made to integers once, each output channel with a scale of its own; the
 * input with one scale and zero point for all, from its least and largest element in each run.
 *
 * In: X channels last, W and its zero point constant, packed once. Out: Y channels last.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

enum { LINEAR, INTEGER, NUMBERS };

typedef struct conv_kind {
    uint32_t what;
    native_places at;
} conv_kind;
static const conv_kind linear = { LINEAR, { 0, 1, 2, 3, 4, 5, 6, 7, 8 } };
static const conv_kind integer = { INTEGER, { 0, -1, 2, 1, -1, 3, -1, -1, -1 } };
static const conv_kind numbers = { NUMBERS, { 0, -1, -1, 1, -1, -1, -1, -1, 2 } };

typedef struct conv_state {
    native_window window;
    native_epilogue epilogue; /* NUMBERS */
    int64_t taps, depth, steps;
    int64_t row_bytes, point_bytes; /* of the band: a group's share of a point, a point */
    int64_t step_y, step_x;         /* windows, in points of the band */
    int64_t piece, pieces;          /* lines of the output */
    int64_t band_y, band_x;
    int64_t panels, panel_groups; /* panels of a group */
    uint32_t quads, merged, x_signed;
    size_t group_bytes; /* of the pack */
    size_t taps_bytes, start_bytes, scale_bytes, line_bytes, table_bytes, thread_bytes;
} conv_state;

/* ---- offer ------------------------------------------------------------------------------- */

static tn_status offer_integers(tn_offer *ctx, const conv_kind *kind)
{
    const tn_problem *p = ctx->problem;
    const native_places *at = &kind->at;
    const tn_status status = native_offer_integer(ctx, at);
    if (status == TN_DECLINED)
        return status;
    if (p->inputs[0]->rank >= 0 && (p->inputs[0]->rank < 3 || p->inputs[0]->rank > 4))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here",
                       (int)p->inputs[0]->rank);
    if (!native_constant_at(p, at->w) ||
        (native_type_at(p, at->w_zero) && !native_constant_at(p, at->w_zero)) ||
        (native_type_at(p, at->bias) && !native_constant_at(p, at->bias)))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    return status;
}

static tn_status conv_offer(tn_offer *ctx)
{
    const conv_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    ctx->algorithm = "integers, bands";
    if (kind->what != NUMBERS)
        return offer_integers(ctx, kind);
    if (p->math != TN_MATH_INT8)
        return tn_fail(ctx, TN_DECLINED, "int8 is not asked for");
    if (tn_attr_int(p->node, "group", 1) != 1)
        return tn_fail(ctx, TN_DECLINED, "groups in int8");
    const tn_status status = native_offer_conv(ctx);
    if (status != TN_DECLINED && !native_all_finite(p->constants[1]))
        return tn_fail(ctx, TN_DECLINED, "a weight is not finite: it has no 8 bits");
    return status;
}

/* ---- measure ------------------------------------------------------------------------------ */

/* Without quads, what Winograd saves in float32 is more than what integers save. */
static bool winograd_is_faster(const conv_kind *kind, const native_window *w, bool quads)
{
    return kind->what == NUMBERS && !quads && w->kernel[0] == 3 && w->kernel[1] == 3 &&
           w->strides[0] == 1 && w->strides[1] == 1 && w->dilations[0] == 1 &&
           w->dilations[1] == 1 && w->channels >= 16 && w->outputs >= 16;
}

/* Whether 32 bits hold every sum, bias and all; ConvInteger's may wrap. */
static bool sums_fit(const tn_problem *p, const conv_kind *kind, const native_window *w)
{
    const double terms = (double)w->channels * (double)(w->kernel[0] * w->kernel[1]);
    const tn_tensor *bias = kind->what == LINEAR ? native_constant_at(p, kind->at.bias) : NULL;
    double most = 0.0;
    for (int64_t k = 0; bias && k < tn_count(bias); k++) {
        const double size = fabs(tn_get_double(bias->dtype, bias->data, k));
        most = size > most ? size : most;
    }
    return kind->what == INTEGER || terms * 255.0 * 255.0 + most < 2147483647.0;
}

/* A window one point wide or high sees no neighbours: the band then holds what is seen, alone. */
static void plan_band(conv_state *s, uint32_t threads)
{
    enum { BAND_BYTES = 160 * 1024 };
    const native_window *w = &s->window;
    const int64_t element = s->quads ? 1 : 2;
    s->merged = w->groups == 1 && (w->kernel[1] == 1 || w->dilations[1] == 1);
    s->taps = s->merged ? w->kernel[0] : w->kernel[0] * w->kernel[1];
    s->depth = s->merged ? w->channels * w->kernel[1] : w->channels;
    s->steps = native_steps(s->quads, s->depth);
    s->row_bytes = s->merged ? w->channels * element : s->steps * 4;
    s->point_bytes = s->row_bytes * w->groups;
    s->step_y = w->kernel[0] == 1 ? 1 : w->strides[0];
    s->step_x = w->kernel[1] == 1 ? 1 : w->strides[1];
    s->band_x = (w->y[1] - 1) * s->step_x + (w->kernel[1] - 1) * w->dilations[1] + 1;
    const int64_t reach = (w->kernel[0] - 1) * w->dilations[0] + 1;
    s->piece = (BAND_BYTES / (s->band_x * s->point_bytes) - reach) / s->step_y + 1;
    if (threads > 1 && s->piece * 4 * (int64_t)threads > w->y[0] * w->images)
        s->piece = w->y[0] * w->images / (4 * (int64_t)threads);
    s->piece = s->piece < 1 ? 1 : s->piece > w->y[0] ? w->y[0] : s->piece;
    s->pieces = native_ceil(w->y[0], s->piece);
    s->band_y = (s->piece - 1) * s->step_y + reach;
}

/* Too few pieces: the panels are shared out, too. */
static void plan_panels(conv_state *s, const native_isa *isa, uint32_t threads)
{
    const native_window *w = &s->window;
    const int64_t panels = native_ceil(w->outputs, isa->columns);
    const int64_t items = w->images * w->groups * s->pieces, wanted = 2 * (int64_t)threads;
    s->panel_groups = threads > 1 && items < wanted ? native_ceil(wanted, items) : 1;
    s->panel_groups = s->panel_groups > panels ? panels : s->panel_groups;
    s->panels = native_ceil(panels, s->panel_groups);
    s->panel_groups = native_ceil(panels, s->panels);
}

static void plan_scratch(conv_state *s, const native_isa *isa, const conv_kind *kind)
{
    const native_window *w = &s->window;
    const int64_t padded = native_round_up(w->outputs, isa->columns);
    const int64_t all = w->outputs * w->groups + isa->columns;
    const int64_t wide = w->x[1] * w->channels * w->groups;
    s->group_bytes = native_integer_pack_bytes(isa, s->quads, s->taps, s->depth, w->outputs);
    s->taps_bytes = (size_t)native_round_up(s->taps * 8, 64);
    s->start_bytes = s->quads ? (size_t)(padded * w->groups * 4) : 0;
    s->start_bytes = (size_t)native_round_up((int64_t)s->start_bytes, 64);
    s->scale_bytes = (size_t)native_round_up(2 * all * 4, 64);
    s->line_bytes = kind->what == NUMBERS ? (size_t)native_round_up(wide, 64) : 0;
    s->table_bytes = (size_t)native_round_up(s->piece * w->y[1] * 8, 64);
    s->thread_bytes = s->line_bytes + s->table_bytes +
                      (size_t)native_round_up(s->band_y * s->band_x * s->point_bytes + 64, 64);
}

static void describe(tn_measure *ctx, const conv_state *s, const conv_kind *kind)
{
    static const uint32_t sources[3][3] = { { 3, 5, 8 }, { 1, 3, 0 }, { 1, 2, 0 } };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    const native_window *w = &s->window;
    tn_alternative *a = &ctx->alternatives[0];
    uint32_t count = 1;
    for (uint32_t k = 1; k < 3; k++)
        if (sources[kind->what][k] && native_type_at(p, (int)sources[kind->what][k]))
            count = k + 1;
    const double macs = (double)native_count(p->outputs[0]) * (double)w->channels *
                        (double)(w->kernel[0] * w->kernel[1]);
    a->input_layouts[0] = kind->what == NUMBERS ? TN_LAYOUT_CHANNELS_LAST : NATIVE_LAST_STRIDED;
    a->output_layouts[0] = NATIVE_LAST_STRIDED;
    if (kind->what == NUMBERS)
        native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, false);
    a->algorithm = s->quads ? "integers, bands of quads" : "integers, bands of pairs";
    a->seconds = native_seconds(isa, macs * (s->quads ? 0.25 : 0.5),
                                (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])),
                                p->threads);
    a->scratch_bytes = s->taps_bytes + s->start_bytes + s->scale_bytes +
                       (NATIVE_RANGE_BYTES + s->thread_bytes) * p->threads;
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = count,
                                 .sources = sources[kind->what],
                                 .key = s->quads    ? (s->merged ? "merged quads" : "singly quads")
                                        : s->merged ? "merged pairs"
                                                    : "singly pairs",
                                 .key_bytes = 12,
                                 .bytes = s->group_bytes * (size_t)w->groups };
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const conv_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    const tn_type *w = p->inputs[kind->at.w];
    conv_state *s = state;
    char reason[192] = "";
    if (native_window_read(p, w->dims + 2, &s->window, reason, sizeof reason) != TN_OK ||
        (kind->what == NUMBERS &&
         native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK))
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (!native_table_fits(native_type_at(p, kind->at.w_zero), w->dims[0]) ||
        !native_table_fits(native_type_at(p, kind->at.w_scale), w->dims[0]))
        return tn_fail(ctx, TN_DECLINED, "not one scale or zero point for each output channel");
    if (!sums_fit(p, kind, &s->window))
        return tn_fail(ctx, TN_DECLINED, "sums that may leave 32 bits");
    s->epilogue.ld = s->window.outputs * s->window.groups;
    s->x_signed = p->inputs[0]->dtype == TN_INT8;
    s->quads = kind->what == NUMBERS ? isa->integer->quads != NULL
                                     : native_quads_fit(isa, w->dtype == TN_INT8,
                                                        native_constant_at(p, kind->at.w_zero));
    if (winograd_is_faster(kind, &s->window, s->quads))
        return tn_fail(ctx, TN_DECLINED, "Winograd in float32 is faster on this processor");
    plan_band(s, p->threads);
    plan_panels(s, isa, p->threads);
    plan_scratch(s, isa, kind);
    describe(ctx, s, kind);
    return TN_OK;
}

/* Weights [M, C/g, kh, kw], group by group. */
static tn_status conv_prepare(tn_prepare *ctx, void *state)
{
    const conv_kind *kind = ctx->call.user;
    const tn_problem *p = ctx->problem;
    const conv_state *s = state;
    const native_window *w = &s->window;
    const int64_t window = w->kernel[0] * w->kernel[1], filter = w->channels * window;
    const tn_tensor *weights = p->constants[kind->at.w];
    const tn_tensor *bias = native_constant_at(p, kind->at.bias);
    const bool floats = kind->what == NUMBERS;
    for (int64_t g = 0; ctx->packs[0].fill && g < w->groups; g++) {
        const int64_t first = g * w->outputs;
        const native_bytes source = {
            .data = floats ? NULL : (const uint8_t *)weights->data + first * filter,
            .numbers = floats ? (const float *)weights->data + first * filter : NULL,
            .is_signed = weights->dtype == TN_INT8,
            .taps = s->taps,
            .depth = s->depth,
            .n = w->outputs,
            .tap = s->merged ? w->kernel[1] : 1,
            .inner = w->channels,
            .outer_step = 1,
            .inner_step = window,
            .column = filter,
            .zero = native_constant_at(p, kind->at.w_zero),
            .first_zero = first,
            .bias = bias && !floats ? (const int32_t *)bias->data + first : NULL,
            .number_bias = bias && floats ? (const float *)bias->data + first : NULL,
        };
        native_integer_pack(native_isa_of(ctx->instance), s->quads, &source,
                            (char *)ctx->packs[0].data + (size_t)g * s->group_bytes);
    }
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct conv_job {
    const conv_state *s;
    const conv_kind *kind;
    tn_run *ctx;
    const native_isa *isa;
    int32_t x_zero;
    float x_scale; /* NUMBERS */
    const int64_t *taps;
    int32_t *start;
    native_requantize rescale;
    float *factor; /* NUMBERS */
    char *ranges;  /* [threads][64]: least and largest so far */
    char *threads;
} conv_job;

/* Bytes as a product reads them. */
static void spread_bytes(const conv_job *job, const uint8_t *x, char *to, int64_t count)
{
    if (!job->s->quads) {
        job->isa->integer->widen(x, job->s->x_signed, job->x_zero, (int16_t *)(void *)to, count);
        return;
    }
    const uint8_t flip = job->s->x_signed ? 128 : 0;
    for (int64_t k = 0; k < count; k++)
        to[k] = (char)(x[k] ^ flip);
}

static void fill_padding(const conv_job *job, char *to, int64_t points)
{
    const int value = job->s->quads ? job->x_zero + (job->s->x_signed ? 128 : 0) : 0;
    memset(to, value, (size_t)(points * job->s->point_bytes));
}

/* Points side by side, `step` elements apart, as bytes; groups are filled up with what weights of 0
 * make nothing of. */
static void spread_points(const conv_job *job, const uint8_t *x, int64_t step, char *to,
                          int64_t points)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t width = w->channels * w->groups, element = s->quads ? 1 : 2;
    if (step == width && s->row_bytes == w->channels * element) {
        spread_bytes(job, x, to, points * width);
        return;
    }
    for (int64_t k = 0; k < points; k++, x += step)
        for (int64_t g = 0; g < w->groups; g++, to += s->row_bytes) {
            spread_bytes(job, x + g * w->channels, to, w->channels);
            memset(to + w->channels * element, 0, (size_t)(s->row_bytes - w->channels * element));
        }
}

/* Points ix, ix + apart, … of a line of the input. */
static void spread_run(const conv_job *job, int64_t line, int64_t ix, int64_t apart, int64_t points,
                       char *room, char *to)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    const int64_t from = (line * w->x[1] + ix) * step;
    if (job->kind->what != NUMBERS) {
        const uint8_t *x = (const uint8_t *)job->ctx->inputs[0]->data + from;
        spread_points(job, x, step * apart, to, points);
        return;
    }
    const native_quantize how = { .scale = &job->x_scale, .zero = &job->x_zero };
    const float *x = (const float *)job->ctx->inputs[0]->data + from;
    uint8_t *bytes = (uint8_t *)room;
    if (apart == 1)
        job->isa->integer->quantize(&how, x, bytes, points * step);
    for (int64_t k = 0; apart > 1 && k < points; k++)
        job->isa->integer->quantize(&how, x + k * apart * step, bytes + k * step, step);
    spread_points(job, bytes, step, to, points);
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void fill_line(const conv_job *job, int64_t image, int64_t iy, char *room, char *to)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t apart = w->kernel[1] == 1 ? w->strides[1] : 1, before = w->before[1];
    const int64_t left = clamp(native_ceil(before, apart), 0, s->band_x);
    const int64_t end = clamp(native_ceil(w->x[1] + before, apart), left, s->band_x);
    if (iy < 0 || iy >= w->x[0] || left == end) {
        fill_padding(job, to, s->band_x);
        return;
    }
    fill_padding(job, to, left);
    spread_run(job, image * w->x[0] + iy, left * apart - before, apart, end - left, room,
               to + left * s->point_bytes);
    fill_padding(job, to + end * s->point_bytes, s->band_x - end);
}

static void run_piece(const conv_job *job, int64_t image, int64_t group, int64_t piece,
                      int64_t panels, char *scratch)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t first = piece * s->piece, padded = native_round_up(w->outputs, job->isa->columns);
    const int64_t lines = w->y[0] - first < s->piece ? w->y[0] - first : s->piece;
    const int64_t all_panels = padded / job->isa->columns, panel = panels * s->panels;
    const int64_t row = (image * w->y[0] + first) * w->y[1], ld = tn_row_step(job->ctx->outputs[0]);
    const size_t element = job->kind->what == LINEAR ? 1 : 4;
    const char *pack = (const char *)job->ctx->packs[0] + (size_t)group * s->group_bytes;
    const char **table = (const char **)(void *)(scratch + s->line_bytes);
    char *band = scratch + s->line_bytes + s->table_bytes;
    for (int64_t y = 0; y < lines; y++)
        for (int64_t x = 0; x < w->y[1]; x++)
            table[y * w->y[1] + x] = band + group * s->row_bytes +
                                     (y * s->step_y * s->band_x + x * s->step_x) * s->point_bytes;
    native_integer_product product = {
        .isa = job->isa,
        .quads = s->quads,
        .n = w->outputs,
        .taps = s->taps,
        .steps = s->steps,
        .tap_bytes = job->taps,
        .panels = pack,
        .start = s->quads
                     ? job->start + group * padded
                     : native_columns_of(job->isa, false, pack, s->taps, s->depth, w->outputs).bias,
        .to = job->kind->what == LINEAR    ? NATIVE_TO_BYTES
              : job->kind->what == INTEGER ? NATIVE_TO_INTEGERS
                                           : NATIVE_TO_FLOATS,
        .rescale = job->rescale,
        .factor = job->factor,
        .epilogue = s->epilogue.count ? &s->epilogue : NULL,
        .inputs = job->ctx->inputs,
        .first_row = row,
        .first_column = group * w->outputs,
        .out = (char *)job->ctx->outputs[0]->data +
               (size_t)(row * ld + group * w->outputs) * element,
        .ld = ld,
    };
    if (product.to == NATIVE_TO_BYTES) {
        product.rescale.factor += group * w->outputs;
        product.rescale.w_scale += group * w->outputs;
    }
    if (product.to == NATIVE_TO_FLOATS)
        product.bias =
            native_columns_of(job->isa, s->quads, pack, s->taps, s->depth, w->outputs).number_bias;
    native_integer_product_run(&product, table, lines * w->y[1], panel,
                               panel + s->panels < all_panels ? panel + s->panels : all_panels);
}

static void fill_band(const conv_job *job, int64_t image, int64_t piece, char *scratch)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t apart = w->kernel[0] == 1 ? w->strides[0] : 1;
    const int64_t top = piece * s->piece * w->strides[0] - w->before[0];
    char *band = scratch + s->line_bytes + s->table_bytes;
    for (int64_t k = 0; k < s->band_y; k++)
        fill_line(job, image, top + k * apart, scratch, band + k * s->band_x * s->point_bytes);
    memset(band + s->band_y * s->band_x * s->point_bytes, 0, 64);
}

/* Items: image, piece, group, panels; the last two see the same band. */
static tn_status conv_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_job *job = user;
    const conv_state *s = job->s;
    char *scratch = job->threads + thread * s->thread_bytes;
    int64_t filled = -1;
    for (int64_t item = begin; item < end; item++) {
        const int64_t panels = item % s->panel_groups, rest = item / s->panel_groups;
        const int64_t group = rest % s->window.groups, band = rest / s->window.groups;
        if (band != filled)
            fill_band(job, band / s->pieces, band % s->pieces, scratch);
        filled = band;
        run_piece(job, band / s->pieces, group, band % s->pieces, panels, scratch);
    }
    return TN_OK;
}

/* NUMBERS: scale and zero point of this run's input, then what sums are multiplied with. */
static tn_status read_numbers(conv_job *job)
{
    const conv_state *s = job->s;
    const native_window *w = &s->window;
    TN_TRY(native_dynamic_range(job->ctx, job->isa, job->ranges, &job->x_scale, &job->x_zero));
    const native_columns columns = native_columns_of(job->isa, s->quads, job->ctx->packs[0],
                                                     s->taps, s->depth, w->outputs);
    for (int64_t c = 0; c < native_round_up(w->outputs, job->isa->columns); c++)
        job->factor[c] = job->x_scale * columns.scale[c];
    return TN_OK;
}

static tn_status conv_run(tn_run *ctx, const void *state, void *slot)
{
    const conv_state *s = state;
    const native_window *w = &s->window;
    conv_job job = { .s = s,
                     .kind = ctx->call.user,
                     .ctx = ctx,
                     .isa = native_isa_of(ctx->instance),
                     .taps = ctx->scratch };
    const native_places *at = &job.kind->at;
    const int64_t padded = native_round_up(w->outputs, job.isa->columns);
    int64_t *taps = ctx->scratch;
    (void)slot;
    for (int64_t t = 0; t < s->taps; t++) {
        const int64_t i = s->merged ? t : t / w->kernel[1], j = s->merged ? 0 : t % w->kernel[1];
        taps[t] = (i * w->dilations[0] * s->band_x + j * w->dilations[1]) * s->point_bytes;
    }
    job.start = (int32_t *)(void *)((char *)ctx->scratch + s->taps_bytes);
    job.factor = (float *)(void *)((char *)job.start + s->start_bytes);
    job.ranges = (char *)job.factor + s->scale_bytes;
    job.threads = job.ranges + NATIVE_RANGE_BYTES * (size_t)ctx->threads;
    job.x_zero = native_whole(native_tensor_at(ctx, at->x_zero));
    if (job.kind->what == NUMBERS)
        TN_TRY(read_numbers(&job));
    if (job.kind->what == LINEAR)
        native_rescale_read(&job.rescale, native_number(native_tensor_at(ctx, at->x_scale), 1.0),
                            native_tensor_at(ctx, at->w_scale),
                            native_number(native_tensor_at(ctx, at->y_scale), 1.0),
                            native_tensor_at(ctx, at->y_zero), ctx->outputs[0]->dtype,
                            w->outputs * w->groups, w->outputs * w->groups + job.isa->columns,
                            job.factor);
    for (int64_t g = 0; s->quads && g < w->groups; g++)
        (void)native_integer_start(
            job.isa, true, (const char *)ctx->packs[0] + (size_t)g * s->group_bytes, s->taps,
            s->depth, w->outputs, s->x_signed, job.x_zero, job.start + g * padded);
    return ctx->call.host->parallel_for(
        &ctx->call, w->images * s->pieces * w->groups * s->panel_groups, 1, conv_chunk, &job);
}

#define CONV                                                                                       \
    .state_bytes = sizeof(conv_state), .offer = conv_offer, .measure = conv_measure,               \
    .prepare = conv_prepare, .run = conv_run

const tn_kernel_def native_integer_conv_kernels[] = {
    NATIVE_BYTE_KERNEL("QLinearConv", CONV, .user = (void *)(uintptr_t)&linear),
    NATIVE_BYTE_KERNEL("ConvInteger", CONV, .user = (void *)(uintptr_t)&integer),
    NATIVE_KERNEL("Conv", CONV, .user = (void *)(uintptr_t)&numbers),
    { .op = NULL },
};
