/* conv_winograd.c: Conv with 3x3 windows of stride 1 by Winograd's minimal filtering (Lavin and Gray,
 * CVPR 2016), channels last.
 *
 * Tiles of the output of 4x4 (2x2) points need 36 (16) multiplications for each pair of channels
 * instead of 144 (36). Input tiles are transformed into side * side matrices [tiles][C], each
 * multiplied with its matrix of transformed weights, and the sums transformed back. Tiles go
 * through in batches whose matrices stay in the cache.
 *
 * Only in fast mode: products are of sums, so specials spread, and the error is some units of the
 * last place of the output's scale (tests/integration/test_native.c bounds it).
 *
 * In: X channels last, W and B constant. Out: Y channels last with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { MOST_POINTS = 36 };

typedef struct winograd_state {
    native_window window;
    native_epilogue epilogue;
    int32_t size, side;                      /* of an output tile and an input tile */
    int64_t tiles_y, tiles_x;                /* of an image */
    int64_t tiles, batch;                    /* of all images; in flight at once */
    int64_t in_step, out_step;               /* floats from a matrix of the batch to the next */
    native_end end;                          /* what of the epilogue is done in registers: this, */
    int32_t add;                             /* behind a sum with this input (-1: none), … */
    uint32_t in_registers;                   /* … if that is all of it */
    int64_t panels;                          /* of each matrix */
    size_t matrix_floats;                    /* of one packed matrix of weights */
    size_t in_bytes, out_bytes, table_bytes; /* parts of the scratch */
    char key[32];                            /* of the pack */
    size_t thread_bytes;
} winograd_state;

/* ---- offer, measure ----------------------------------------------------------------------- */

static tn_status winograd_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0], *w = p->inputs[1];
    const tn_status status = native_offer_conv(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "winograd";
    if (p->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "Winograd spreads infinities: not in strict mode");
    if (x->rank != 4 || w->rank != 4 || w->dims[2] != 3 || w->dims[3] != 3 ||
        tn_attr_int(p->node, "group", 1) != 1 || !native_all_are(p->node, "strides", 1) ||
        !native_all_are(p->node, "dilations", 1))
        return tn_fail(ctx, TN_DECLINED, "Winograd is for 3x3 windows of stride 1 in one group");
    if (w->dims[0] < 16 || w->dims[1] < 16)
        return tn_fail(ctx, TN_DECLINED, "Winograd pays from 16 channels on both sides");
    if (status == TN_OK && (p->outputs[0]->dims[2] < 4 || p->outputs[0]->dims[3] < 4))
        return tn_fail(ctx, TN_DECLINED, "an output under 4x4 is all border");
    return status;
}

/* Each weight is multiplied with so many points, border included. Where those are few, reading it from
 * memory takes longer than that: as long as READ multiply-adds, on a processor that does 20 to 60
 * billion of them while it reads 10 to 25 GB. */
static double products(double weights, double points)
{
    const double read = 8.0;
    return weights * (points > read ? points : read);
}

static double work_of(const native_window *w, int32_t size)
{
    const double side = size + 2;
    const double tiles = (double)(w->images * native_ceil(w->y[0], size) *
                                  native_ceil(w->y[1], size));
    const double pairs = (double)w->channels * (double)w->outputs;
    const double transforms = tiles * side * side * 6.0 * (double)(w->channels + w->outputs);
    return products(side * side * pairs, tiles) + transforms;
}

/* The smaller tile has less than half of the larger one's weights to keep and to read: small images
 * are faster with it. Threads do not matter, so that plans for any number share one packed form. */
static int32_t size_for(const native_window *w)
{
    return work_of(w, 2) <= 1.1 * work_of(w, 4) ? 2 : 4;
}

/* Bytes that go through the caches, weighed by how far they come, if all is done in so many batches:
 * the weights once for each, what is between the transforms twice. */
static double traffic(double weights, double between, int64_t batches)
{
    const double near = 384 * 1024, far = 4096 * 1024, of_one = between / (double)batches;
    return (double)batches * weights * (weights > far ? 1.0 : 0.3) + 2.0 * between *
                                                                         (of_one > far    ? 1.0
                                                                          : of_one > near ? 0.3
                                                                                          : 0.1);
}

/* From one matrix to the next: an odd number of lines of the cache, so that a tile's places in them
 * do not all fall into one set. */
static int64_t step_of(int64_t floats)
{
    return (native_ceil(floats, 16) | 1) * 16;
}

static void cut(const native_isa *isa, winograd_state *s, uint32_t threads)
{
    enum { MOST_BATCHES = 64, MOST_BYTES = 16 * 1024 * 1024 };
    const native_window *w = &s->window;
    const int64_t points = (int64_t)s->side * s->side;
    const double weights = 4.0 * (double)(points * w->channels * w->outputs);
    const double tile = 4.0 * (double)(points * (w->channels + w->outputs));
    const double between = tile * (double)s->tiles / (double)threads;
    int64_t batches = 1 + (int64_t)(between / MOST_BYTES), best = batches;
    for (; batches <= MOST_BATCHES && s->tiles / batches >= 2 * isa->rows * threads; batches++)
        best = traffic(weights, between, batches) < traffic(weights, between, best) ? batches
                                                                                    : best;
    if (best == 1 || s->tiles / best > 2 * isa->rows * threads) /* all but the last are whole */
        s->batch = native_round_up(native_ceil(s->tiles, best), isa->rows);
    else
        s->batch = native_ceil(s->tiles, best);
    s->batch = s->batch < s->tiles ? s->batch : s->tiles;
    s->panels = native_ceil(w->outputs, isa->columns);
    s->matrix_floats = native_panel_floats(isa, w->channels, w->outputs);
    s->in_step = step_of(s->batch * w->channels);
    s->out_step = step_of(s->batch * w->outputs);
    s->in_bytes = (size_t)(points * s->in_step * 4);
    s->out_bytes = (size_t)(points * s->out_step * 4);
    s->table_bytes = (size_t)native_round_up(points * s->batch * (int64_t)sizeof(float *), 64);
    /* Output points that wait for steps to come. */
    s->thread_bytes = (size_t)native_round_up(16 * w->outputs * 4, 64);
}

/* What of the epilogue needs no pass of its own. */
static void read_end(winograd_state *s)
{
    const native_epilogue *e = &s->epilogue;
    const bool sum = e->count && e->steps[0].function == NATIVE_ADD &&
                     e->steps[0].spread == NATIVE_FULL;
    s->add = sum ? e->steps[0].input : -1;
    s->in_registers = native_end_of(e, sum ? 1 : 0, &s->end);
}

static tn_status winograd_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { 1, 2 };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    winograd_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "", key[32];
    if (native_window_read(p, p->inputs[1]->dims + 2, w, reason, sizeof reason) != TN_OK ||
        native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    const double direct = products(9.0 * (double)w->channels * (double)w->outputs,
                                   (double)(w->images * w->y[0] * w->y[1]));
    s->size = size_for(w);
    s->side = s->size + 2;
    if (work_of(w, s->size) > 0.9 * direct)
        return tn_fail(ctx, TN_DECLINED, "Winograd would save less than a tenth here");
    if (!native_all_finite(p->constants[1])) /* reads all weights: once, not at each offer */
        return tn_fail(ctx, TN_DECLINED, "a weight is not finite");
    s->epilogue.ld = w->outputs;
    s->tiles_y = native_ceil(w->y[0], s->size);
    s->tiles_x = native_ceil(w->y[1], s->size);
    s->tiles = w->images * s->tiles_y * s->tiles_x;
    cut(isa, s, p->threads);
    read_end(s);
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, true);
    a->algorithm = s->size == 4 ? "winograd 4x4" : "winograd 2x2";
    a->seconds = native_seconds(isa, work_of(w, s->size), 0, p->threads);
    a->scratch_bytes = s->in_bytes + s->out_bytes + s->table_bytes + s->thread_bytes * p->threads;
    a->pack_count = 1;
    memset(key, 0, sizeof key);
    strncpy(key, a->algorithm, 16);
    strncpy(key + 16, isa->name, 15);
    memcpy(s->key, key, sizeof key);
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = p->own_count > 2 && p->inputs[2] ? 2 : 1,
                                 .sources = sources,
                                 .key = s->key,
                                 .key_bytes = sizeof s->key,
                                 .bytes = (s->matrix_floats * (size_t)(s->side * s->side) +
                                           (size_t)w->outputs) *
                                          sizeof(float) };
    return TN_OK;
}

/* ---- prepare: weights --------------------------------------------------------------------- */

/* Some channels of a panel's filters, [m][c][9], as [c][9][columns of the panel]. */
static void turn_filters(const native_isa *isa, const native_window *w, const float *from,
                         int64_t filters, int64_t channels, float *to)
{
    native_turn(from, w->channels * 9, to, isa->columns, channels * 9, filters);
    for (int64_t row = 0; row < channels * 9 && filters < isa->columns; row++)
        memset(to + row * isa->columns + filters, 0, (size_t)(isa->columns - filters) * sizeof *to);
}

static void pack_panel(const winograd_state *s, const native_isa *isa, const float *weights,
                       int64_t panel, float *out)
{
    enum { CHANNELS = 16 }; /* whose filters stay in the first cache */
    float taps[CHANNELS * 9 * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    const native_window *w = &s->window;
    const int64_t first = panel * isa->columns, left = w->outputs - first;
    for (int64_t c = 0; c < w->channels; c += CHANNELS) {
        const int64_t some = w->channels - c < CHANNELS ? w->channels - c : CHANNELS;
        turn_filters(isa, w, weights + (first * w->channels + c) * 9,
                     left < isa->columns ? left : isa->columns, some, taps);
        isa->winograd_weights(s->size, taps, some, out + (first * w->channels + c * isa->columns),
                              (int64_t)s->matrix_floats);
    }
}

static tn_status winograd_prepare(tn_prepare *ctx, void *state)
{
    const winograd_state *s = state;
    const native_window *w = &s->window;
    const native_isa *isa = native_isa_of(ctx->instance);
    const size_t points = (size_t)(s->side * s->side);
    const size_t panel_floats = (size_t)(s->panels * isa->columns * w->channels);
    const float *weights = ctx->problem->constants[1]->data;
    float *out = ctx->packs[0].data, *bias = out + points * s->matrix_floats;
    if (!ctx->packs[0].fill)
        return TN_OK;
    for (int64_t panel = 0; panel < s->panels; panel++)
        pack_panel(s, isa, weights, panel, out);
    for (size_t k = 0; k < points; k++) /* no bias in panels */
        memset(out + k * s->matrix_floats + panel_floats, 0,
               (s->matrix_floats - panel_floats) * sizeof *out);
    memset(bias, 0, (size_t)w->outputs * sizeof *bias);
    if (ctx->chosen->packs[0].source_count > 1)
        memcpy(bias, ctx->problem->constants[2]->data, (size_t)w->outputs * sizeof *bias);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct winograd_job {
    const winograd_state *s;
    tn_run *ctx;
    const native_isa *isa;
    int64_t first, count; /* tiles of the batch */
    float *in, *out;
    const float **table;
    char *threads;
} winograd_job;

typedef struct place {
    int64_t image, y, x; /* of the first output point of a tile */
} place;

static place place_of(const winograd_state *s, int64_t tile)
{
    const int64_t rest = tile % (s->tiles_y * s->tiles_x);
    return (place){ tile / (s->tiles_y * s->tiles_x), rest / s->tiles_x * s->size,
                    rest % s->tiles_x * s->size };
}

static tn_status transform_in(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const winograd_job *job = user;
    const winograd_state *s = job->s;
    const native_window *w = &s->window;
    const float *x = job->ctx->inputs[0]->data, *points[MOST_POINTS];
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    (void)thread;
    for (int64_t tile = begin; tile < end; tile++) {
        const place at = place_of(s, job->first + tile);
        for (int32_t i = 0; i < s->side; i++)
            for (int32_t j = 0; j < s->side; j++) {
                const int64_t iy = at.y + i - w->before[0], ix = at.x + j - w->before[1];
                const bool inside = iy >= 0 && iy < w->x[0] && ix >= 0 && ix < w->x[1];
                points[i * s->side + j] = inside ? x + ((at.image * w->x[0] + iy) * w->x[1] + ix) *
                                                           step
                                                 : NULL;
            }
        job->isa->winograd_in(s->size, points, job->in + tile * w->channels, s->in_step,
                              w->channels);
    }
    return TN_OK;
}

/* Items are (matrix, panel); those of one matrix go together. */
static tn_status multiply(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const winograd_job *job = user;
    const winograd_state *s = job->s;
    const native_window *w = &s->window;
    const bool far = (size_t)(s->side * s->side) * s->matrix_floats * 4 > NATIVE_NEAR_BYTES;
    (void)thread;
    while (begin < end) {
        const int64_t matrix = begin / s->panels, panel = begin % s->panels;
        const int64_t last = end - begin < s->panels - panel ? panel + end - begin : s->panels;
        const native_product product = {
            .isa = job->isa,
            .m = job->count,
            .n = w->outputs,
            .taps = 1,
            .depth = w->channels,
            .panels = (const float *)job->ctx->packs[0] + (size_t)matrix * s->matrix_floats,
            .out = job->out + matrix * s->out_step,
            .ld = w->outputs,
            .far = far,
        };
        native_product_run(&product, job->table + matrix * job->count, 0, job->count, panel, last);
        begin += last - panel;
    }
    return TN_OK;
}

/* Each point of the tile straight to its place. */
static void put_tile(const winograd_job *job, place at, native_winograd_out *out)
{
    const winograd_state *s = job->s;
    const native_window *w = &s->window;
    const tn_tensor *operand = s->add < 0 ? NULL : job->ctx->inputs[s->add];
    const float *add = operand ? operand->data : NULL;
    const int64_t add_step = operand && operand->strides ? tn_row_step(operand) : w->outputs;
    const int64_t step = tn_row_step(job->ctx->outputs[0]);
    float *y = job->ctx->outputs[0]->data;
    for (int64_t i = 0; i < s->size && at.y + i < w->y[0]; i++)
        for (int64_t j = 0; j < s->size && at.x + j < w->y[1]; j++) {
            const int64_t row = (at.image * w->y[0] + at.y + i) * w->y[1] + at.x + j;
            out->points[i * s->size + j] = y + row * step;
            out->adds[i * s->size + j] = add ? add + row * add_step : NULL;
        }
    out->end = s->end;
    job->isa->winograd_out(s->size, out);
}

/* Beside their places first, where steps are left. */
static void finish_tile(const winograd_job *job, place at, native_winograd_out *out, float *local)
{
    const winograd_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t step = tn_row_step(job->ctx->outputs[0]);
    const int64_t columns = w->y[1] - at.x < s->size ? w->y[1] - at.x : s->size;
    float *y = job->ctx->outputs[0]->data;
    for (int32_t k = 0; k < s->size * s->size; k++)
        out->points[k] = local + k * w->outputs;
    job->isa->winograd_out(s->size, out);
    for (int64_t i = 0; i < s->size && at.y + i < w->y[0]; i++) {
        const int64_t row = (at.image * w->y[0] + at.y + i) * w->y[1] + at.x;
        float *run = local + i * s->size * w->outputs;
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, run, w->outputs, row, columns, 0,
                      w->outputs);
        for (int64_t j = 0; j < columns; j++)
            memcpy(y + (row + j) * step, run + j * w->outputs, (size_t)w->outputs * sizeof *y);
    }
}

static tn_status transform_out(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const winograd_job *job = user;
    const winograd_state *s = job->s;
    const native_window *w = &s->window;
    const size_t matrices = (size_t)(s->side * s->side) * s->matrix_floats;
    float *local = (float *)(void *)(job->threads + thread * s->thread_bytes);
    for (int64_t tile = begin; tile < end; tile++) {
        native_winograd_out out = { .in = job->out + tile * w->outputs,
                                    .step = s->out_step,
                                    .bias = (const float *)job->ctx->packs[0] + matrices,
                                    .channels = w->outputs };
        if (s->in_registers)
            put_tile(job, place_of(s, job->first + tile), &out);
        else
            finish_tile(job, place_of(s, job->first + tile), &out, local);
    }
    return TN_OK;
}

static tn_status run_batch(winograd_job *job)
{
    const winograd_state *s = job->s;
    const int64_t matrices = (int64_t)s->side * s->side;
    tn_call *call = &job->ctx->call;
    for (int64_t matrix = 0; matrix < matrices; matrix++)
        for (int64_t row = 0; row < job->count; row++)
            job->table[matrix * job->count + row] = job->in + matrix * s->in_step +
                                                    row * s->window.channels;
    TN_TRY(call->host->parallel_for(call, job->count, 1, transform_in, job));
    TN_TRY(call->host->parallel_for(call, matrices * s->panels, 1, multiply, job));
    return call->host->parallel_for(call, job->count, 1, transform_out, job);
}

static tn_status winograd_run(tn_run *ctx, const void *state, void *slot)
{
    const winograd_state *s = state;
    char *scratch = ctx->scratch;
    winograd_job job = { .s = s, .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    (void)slot;
    job.in = (float *)(void *)scratch;
    job.out = (float *)(void *)(scratch + s->in_bytes);
    job.table = (const float **)(void *)(scratch + s->in_bytes + s->out_bytes);
    job.threads = scratch + s->in_bytes + s->out_bytes + s->table_bytes;
    for (job.first = 0; job.first < s->tiles; job.first += job.count) {
        job.count = s->tiles - job.first < s->batch ? s->tiles - job.first : s->batch;
        TN_TRY(run_batch(&job));
    }
    return TN_OK;
}

const tn_kernel_def native_conv_winograd_kernels[] = {
    NATIVE_KERNEL("Conv", .state_bytes = sizeof(winograd_state), .offer = winograd_offer,
                  .measure = winograd_measure, .prepare = winograd_prepare, .run = winograd_run),
    { .op = NULL },
};
