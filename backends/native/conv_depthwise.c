/* conv_depthwise.c: Conv with a group for each channel (ONNX: Conv, group = C = M), channels last.
 *
 * Each output row reads kernel_h rows of the input; channels lie side by side and fill registers.
 * Where a 1x1 convolution makes the input, and makes more than a cache holds, it comes as a prologue
 * (expand.c): bands of rows go through both.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { MOST_KERNEL_ROWS = 32 };

typedef struct depthwise_state {
    native_window window;
    native_epilogue epilogue;
    int64_t taps;
    uint32_t has_bias, finished; /* finished: `end` is all of the epilogue */
    native_end end;
    uint32_t banded; /* the input is made here */
    native_expand expand;
    int64_t pieces; /* banded: of the output's rows, each an item with each block of channels, … */
    int64_t step;   /* … how many of them at a time, … */
    int64_t slots;  /* … and rows of the ring */
    size_t table_bytes, thread_bytes;
} depthwise_state;

/* Rows of the input that `rows` of the output see. */
static int64_t rows_seen(const native_window *w, int64_t rows)
{
    return (rows - 1) * w->strides[0] + (w->kernel[0] - 1) * w->dilations[0] + 1;
}

/* ---- with what makes the input ----------------------------------------------------------- */

/* Blocks of channels whose weights stay in the cache while rows go by. */
static int64_t blocks_by_weights(const native_expand *e)
{
    enum { WEIGHT_BYTES = 48 * 1024 };
    return native_ceil(e->channels * e->depth * 4, WEIGHT_BYTES);
}

/* Not where all that is made stays in the cache anyway (threads have one each, and make some rows twice,
 * so that it pays only for more still: counted), nor where each block of channels reading the
 * input again costs what it saves. */
static bool pays(const tn_problem *p, const native_expand *e)
{
    enum { CACHE_BYTES = 512 * 1024 };
    const int64_t points = tn_extent(p->inputs[0]->dims, 2, p->inputs[0]->rank);
    const int64_t caches = p->threads > 1 ? 2 * (int64_t)p->threads : 1;
    return points * e->channels * 4 > caches * CACHE_BYTES &&
           e->depth * blocks_by_weights(e) <= e->channels;
}

static tn_status offer_bands(tn_offer *ctx)
{
    native_expand e;
    char reason[192] = "";
    if (native_expand_read(ctx->problem, &e, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (e.channels != ctx->problem->inputs[1]->dims[0] || !pays(ctx->problem, &e))
        return tn_fail(ctx, TN_DECLINED, "what comes before is better made as a whole");
    ctx->algorithm = "depthwise, bands";
    return TN_OK;
}

/* The ring is as long as lets a window go on, and is filled by as many rows at a time, so that these
 * come around together. */
static int64_t slots_of(const native_window *w, int64_t step, int64_t rows)
{
    const int64_t seen = rows_seen(w, step);
    return step >= rows ? seen : native_round_up(seen, step * w->strides[0]);
}

/* Threads take pieces of the rows, while what each makes twice is little of it; then blocks. */
static void share(depthwise_state *s, uint32_t threads)
{
    const native_window *w = &s->window;
    const int64_t items = native_ceil(2 * (int64_t)threads, w->images);
    const int64_t twice = rows_seen(w, 1) - w->strides[0];
    const int64_t most = twice > 0 ? w->y[0] * w->strides[0] / (8 * twice) : w->y[0];
    const int64_t wanted = native_ceil(items, s->expand.blocks);
    s->pieces = wanted < most ? wanted : most < 1 ? 1 : most;
    if (s->pieces < wanted)
        s->expand.blocks = native_ceil(items, s->pieces);
}

/* All channels together, where their weights and a ring of the fewest rows stay in the cache, else
 * blocks of them; as many rows at a time as the ring has room for. (Blocks so small that what was just
 * made is still in the first cache were slower: short rows cost more than the second cache does.) */
static void cut_bands(depthwise_state *s, const native_isa *isa, uint32_t threads)
{
    enum { RING_BYTES = 192 * 1024 };
    const native_window *w = &s->window;
    native_expand *e = &s->expand;
    const int64_t whole = e->channels < isa->columns ? 1 : e->channels / isa->columns;
    const int64_t row_bytes = w->x[1] * e->channels * 4;
    const int64_t by_ring = native_ceil(slots_of(w, 1, w->y[0]) * row_bytes, RING_BYTES);
    e->blocks = blocks_by_weights(e) > by_ring ? blocks_by_weights(e) : by_ring;
    s->pieces = 1;
    if (threads > 1)
        share(s, threads);
    e->blocks = e->blocks > whole ? whole : e->blocks;
    const int64_t rows = native_ceil(w->y[0], s->pieces);
    s->step = rows;
    while (s->step > 1 && slots_of(w, s->step, rows) * row_bytes / e->blocks > RING_BYTES)
        s->step--;
    s->slots = slots_of(w, s->step, rows);
}

/* A thread's scratch: the table, then the ring of the widest block. */
static void measure_bands(tn_measure *ctx, depthwise_state *s)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const native_window *w = &s->window;
    const native_expand *e = &s->expand;
    tn_alternative *a = &ctx->alternatives[0];
    int64_t width = 0;
    cut_bands(s, isa, ctx->problem->threads);
    for (int64_t block = 0; block < e->blocks; block++) {
        const int64_t some = native_expand_channel(isa, e, block + 1) -
                             native_expand_channel(isa, e, block);
        width = some > width ? some : width;
    }
    const int64_t points = s->slots * w->x[1];
    s->table_bytes = (size_t)native_round_up(points * (int64_t)sizeof(float *), 64);
    s->thread_bytes = s->table_bytes + (size_t)native_round_up(points * width * 4, 64);
    a->scratch_bytes = s->thread_bytes * ctx->problem->threads;
    a->algorithm = "depthwise, bands";
    a->seconds += native_seconds(
        isa, (double)(w->images * w->x[0] * w->x[1]) * (double)(e->channels * e->depth), 0,
        ctx->problem->threads);
    a->packs[a->pack_count++] = native_expand_describe(isa, e);
}

/* ---- life -------------------------------------------------------------------------------- */

static tn_status depthwise_offer(tn_offer *ctx)
{
    const tn_type *w = ctx->problem->inputs[1];
    const tn_status status = native_offer_conv(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "depthwise";
    if (tn_attr_int(ctx->problem->node, "group", 1) != w->dims[0] || w->dims[1] != 1)
        return tn_fail(ctx, TN_DECLINED, "not a group for each channel");
    if (w->dims[2] > MOST_KERNEL_ROWS)
        return tn_fail(ctx, TN_DECLINED, "a window of %lld rows: at most %d here",
                       (long long)w->dims[2], MOST_KERNEL_ROWS);
    return ctx->problem->prologue_count ? offer_bands(ctx) : status;
}

/* The window over the input as this node has it, which a prologue makes. */
static tn_status read_window(const tn_problem *p, depthwise_state *s, char *reason, size_t bytes)
{
    tn_type made = *p->inputs[0];
    const tn_type *inputs[] = { &made };
    tn_problem seen = *p;
    s->banded = p->prologue_count > 0;
    if (s->banded) {
        TN_TRY(native_expand_read(p, &s->expand, reason, bytes));
        made.dims[1] = s->expand.channels;
    }
    seen.inputs = inputs;
    return native_window_read(&seen, p->inputs[1]->dims + 2, &s->window, reason, bytes);
}

static tn_status depthwise_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { 1, 2 };
    const tn_problem *p = ctx->problem;
    const native_isa *isa = native_isa_of(ctx->instance);
    tn_alternative *a = &ctx->alternatives[0];
    depthwise_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (read_window(p, s, reason, sizeof reason) != TN_OK ||
        native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (w->channels != 1 || w->outputs != 1)
        return tn_fail(ctx, TN_DECLINED, "not one channel for each group");
    s->epilogue.ld = w->groups;
    s->taps = w->kernel[0] * w->kernel[1];
    s->finished = native_end_of(&s->epilogue, 0, &s->end);
    s->has_bias = p->own_count > 2 && p->inputs[2];
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, false);
    a->algorithm = "depthwise";
    a->seconds = native_seconds(
        isa, 2.0 * (double)native_count(p->outputs[0]) * (double)s->taps,
        4.0 * (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])), p->threads);
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){
        .size = sizeof(tn_pack_def),
        .source_count = s->has_bias ? 2 : 1,
        .sources = sources,
        .key = isa->name,
        .key_bytes = (uint32_t)strlen(isa->name),
        .bytes = (size_t)((s->taps + 1) * native_round_up(w->groups, isa->lanes)) * sizeof(float),
    };
    if (s->banded)
        measure_bands(ctx, s);
    return TN_OK;
}

/* Weights [C, 1, taps] and the bias → a register of channels after the other, as native_depthwise
 * has them. */
static void pack(const depthwise_state *s, int64_t lanes, const float *from, const float *bias,
                 float *to)
{
    const int64_t channels = s->window.groups;
    for (int64_t c = 0; c < channels; c += lanes) {
        const int64_t first = c + lanes <= channels || c == 0 ? c : channels - lanes;
        for (int64_t t = 0; t <= s->taps; t++, to += lanes)
            for (int64_t k = 0; k < lanes; k++) {
                const int64_t channel = first + k;
                to[k] = channel >= channels ? 0.0f
                        : t < s->taps       ? from[channel * s->taps + t]
                        : bias              ? bias[channel]
                                            : 0.0f;
            }
    }
}

static tn_status depthwise_prepare(tn_prepare *ctx, void *state)
{
    const depthwise_state *s = state;
    const tn_problem *p = ctx->problem;
    const native_isa *isa = native_isa_of(ctx->instance);
    if (ctx->packs[0].fill)
        pack(s, isa->lanes, p->constants[1]->data, s->has_bias ? p->constants[2]->data : NULL,
             ctx->packs[0].data);
    if (s->banded && ctx->packs[1].fill)
        native_expand_pack(isa, &s->expand, p, ctx->packs[1].data);
    return TN_OK;
}

/* ---- run --------------------------------------------------------------------------------- */

typedef struct depthwise_job {
    const depthwise_state *state;
    tn_run *ctx;
    const native_isa *isa;
} depthwise_job;

/* Channels [channel, end) of a row of the output. Points of the input's rows are x_step apart. */
static void run_row(const depthwise_job *job, const float *const *rows, int64_t x_step,
                    int64_t image, int64_t oy, int64_t channel, int64_t end)
{
    const depthwise_state *s = job->state;
    const native_window *w = &s->window;
    const int64_t y_step = tn_row_step(job->ctx->outputs[0]);
    const int64_t first = (image * w->y[0] + oy) * w->y[1];
    float *out = (float *)job->ctx->outputs[0]->data + first * y_step + channel;
    const native_depthwise work = {
        .rows = rows,
        .weights = (const float *)job->ctx->packs[0] + channel * (s->taps + 1),
        .out = out,
        .channels = end - channel,
        .x_step = x_step,
        .y_step = y_step,
        .points = w->y[1],
        .x_points = w->x[1],
        .kernel_h = w->kernel[0],
        .kernel_w = w->kernel[1],
        .stride = w->strides[1],
        .dilation = w->dilations[1],
        .before = w->before[1],
        .end = s->end,
    };
    job->isa->depthwise(&work);
    if (!s->finished)
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, out, y_step, first, w->y[1],
                      channel, end - channel);
}

static void run_stored_row(const depthwise_job *job, int64_t image, int64_t oy)
{
    const native_window *w = &job->state->window;
    const float *rows[MOST_KERNEL_ROWS];
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    const float *x = (const float *)job->ctx->inputs[0]->data + image * w->x[0] * w->x[1] * step;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t iy = oy * w->strides[0] - w->before[0] + i * w->dilations[0];
        rows[i] = iy < 0 || iy >= w->x[0] ? NULL : x + iy * w->x[1] * step;
    }
    run_row(job, rows, step, image, oy, 0, w->groups);
}

static tn_status row_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const depthwise_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        run_stored_row(job, row / job->state->window.y[0], row % job->state->window.y[0]);
    return TN_OK;
}

/* A block's ring before output row oy: empty, and its first rows end where it comes around. */
static native_ring ring_at(const depthwise_job *job, int64_t image, int64_t oy, int64_t block,
                           char *scratch)
{
    const depthwise_state *s = job->state;
    const native_window *w = &s->window;
    const tn_tensor *x = job->ctx->inputs[0];
    const int64_t first = oy * w->strides[0] - w->before[0];
    return (native_ring){
        .isa = job->isa,
        .expand = &s->expand,
        .inputs = job->ctx->inputs,
        .pack = job->ctx->packs[1],
        .x = (const float *)x->data + image * w->x[0] * w->x[1] * tn_row_step(x),
        .x_step = tn_row_step(x),
        .points = w->x[1],
        .block = block,
        .slots = s->slots,
        .base = first + rows_seen(w, s->step) - s->slots,
        .made = first < 0 ? 0 : first,
        .table = (const float **)(void *)scratch,
        .rows = (float *)(void *)(scratch + s->table_bytes),
    };
}

/* Rows [oy, last) of the output of a block of channels. */
static void run_band(const depthwise_job *job, int64_t image, int64_t oy, int64_t last,
                     int64_t block, char *scratch)
{
    const depthwise_state *s = job->state;
    const native_window *w = &s->window;
    const int64_t channel = native_expand_channel(job->isa, &s->expand, block);
    const int64_t end = native_expand_channel(job->isa, &s->expand, block + 1);
    native_ring ring = ring_at(job, image, oy, block, scratch);
    while (oy < last) {
        const int64_t stop = oy + s->step < last ? oy + s->step : last;
        const int64_t below = oy * w->strides[0] - w->before[0] + rows_seen(w, stop - oy);
        native_ring_make(&ring, below < w->x[0] ? below : w->x[0]);
        for (; oy < stop; oy++) {
            const float *rows[MOST_KERNEL_ROWS];
            for (int64_t i = 0; i < w->kernel[0]; i++) {
                const int64_t iy = oy * w->strides[0] - w->before[0] + i * w->dilations[0];
                rows[i] = iy < 0 || iy >= w->x[0] ? NULL : native_ring_row(&ring, iy);
            }
            run_row(job, rows, end - channel, image, oy, channel, end);
        }
    }
}

static tn_status band_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const depthwise_job *job = user;
    const depthwise_state *s = job->state;
    const int64_t rows = s->window.y[0], blocks = s->expand.blocks;
    char *scratch = (char *)job->ctx->scratch + thread * s->thread_bytes;
    for (int64_t item = begin; item < end; item++) {
        const int64_t image = item / blocks / s->pieces, piece = item / blocks % s->pieces;
        run_band(job, image, rows * piece / s->pieces, rows * (piece + 1) / s->pieces,
                 item % blocks, scratch);
    }
    return TN_OK;
}

static tn_status depthwise_run(tn_run *ctx, const void *state, void *slot)
{
    const depthwise_state *s = state;
    depthwise_job job = { s, ctx, native_isa_of(ctx->instance) };
    const int64_t images = s->window.images;
    (void)slot;
    if (s->banded)
        return ctx->call.host->parallel_for(&ctx->call, images * s->pieces * s->expand.blocks, 1,
                                            band_chunk, &job);
    return ctx->call.host->parallel_for(&ctx->call, images * s->window.y[0], 1, row_chunk, &job);
}

const tn_kernel_def native_conv_depthwise_kernels[] = {
    NATIVE_KERNEL("Conv", .flags = TN_KERNEL_PROLOGUE, .state_bytes = sizeof(depthwise_state),
                  .offer = depthwise_offer, .measure = depthwise_measure,
                  .prepare = depthwise_prepare, .run = depthwise_run),
    { .op = NULL },
};
