/* conv_transpose.c: ConvTranspose (ONNX), channels last, one group, without dilation.
 *
 * Output points whose taps are the same (the same place modulo the stride) make a convolution of
 * stride 1 over the input, with a part of the window: a product of rows by pointer, as in
 * conv_direct.c, for each line of such points. Nothing is scattered.
 *
 * In: X [N, C, …], W [C, M, kernel] constant, perhaps bias [M]. Out: Y with its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

typedef struct transpose_state {
    native_window window;
    native_epilogue epilogue;
    int64_t most_taps, line; /* of a place; points of a line */
    size_t phase_floats, table_bytes, thread_bytes;
} transpose_state;

/* Taps of places p, p + stride … within a kernel. */
static int64_t taps_of(int64_t kernel, int64_t stride, int64_t place)
{
    return kernel > place ? native_ceil(kernel - place, stride) : 0;
}

static bool has_full_operand(const native_epilogue *e)
{
    for (uint32_t k = 0; k < e->count; k++)
        if (e->steps[k].spread == NATIVE_FULL)
            return true;
    return false;
}

static tn_status read_problem(const tn_problem *p, transpose_state *s, char *reason, size_t bytes)
{
    TN_TRY(native_epilogue_read(p, 1, &s->epilogue, reason, bytes));
    if (!has_full_operand(&s->epilogue))
        return TN_OK;
    strcpy(reason, "a step with an operand of the output's shape");
    return TN_DECLINED;
}

static tn_status transpose_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const int64_t *values;
    transpose_state unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "direct by place";
    if (!p->constants[1] || (p->own_count > 2 && p->inputs[2] && !p->constants[2]))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    if (p->inputs[0]->rank >= 0 && (p->inputs[0]->rank < 3 || p->inputs[0]->rank > 4))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here",
                       (int)p->inputs[0]->rank);
    if (tn_attr_int(p->node, "group", 1) != 1)
        return tn_fail(ctx, TN_DECLINED, "groups");
    for (size_t k = tn_attr_ints(p->node, "dilations", &values); k-- > 0;)
        if (values[k] != 1)
            return tn_fail(ctx, TN_DECLINED, "dilations");
    if (strcmp(tn_attr_string(p->node, "auto_pad", "NOTSET"), "NOTSET") != 0 ||
        tn_attr_ints(p->node, "output_shape", &values))
        return tn_fail(ctx, TN_DECLINED, "padding that follows from the output");
    if (p->math == TN_MATH_STRICT && !native_all_finite(p->constants[1]))
        return tn_fail(ctx, TN_DECLINED, "a weight is not finite");
    if (read_problem(p, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static tn_status transpose_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { 1, 2 };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    transpose_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, p->inputs[1]->dims + 2, w, reason, sizeof reason) != TN_OK ||
        read_problem(p, s, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->epilogue.ld = w->strides[1] * w->outputs;
    s->most_taps = taps_of(w->kernel[0], w->strides[0], 0) *
                   taps_of(w->kernel[1], w->strides[1], 0);
    s->line = native_ceil(w->y[1], w->strides[1]);
    s->phase_floats = native_panel_floats(isa, s->most_taps * w->channels, w->outputs);
    s->table_bytes = (size_t)native_round_up(
        (s->line + isa->rows) * (s->most_taps + 1) * (int64_t)sizeof(float *), 64);
    s->thread_bytes = s->table_bytes;
    a->input_layouts[0] = a->output_layouts[0] = TN_LAYOUT_CHANNELS_LAST;
    a->algorithm = "direct by place";
    a->seconds = native_seconds(
        isa,
        (double)native_count(p->inputs[0]) * (double)(w->outputs * w->kernel[0] * w->kernel[1]),
        4.0 * (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])), p->threads);
    /* A row of zeros for what lies outside, then each thread's table. */
    a->scratch_bytes = (size_t)native_round_up(w->channels * 4, 64) + s->thread_bytes * p->threads;
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = p->own_count > 2 && p->inputs[2] ? 2 : 1,
                                 .sources = sources,
                                 .key = w->strides,
                                 .key_bytes = sizeof w->strides,
                                 .bytes = s->phase_floats *
                                          (size_t)(w->strides[0] * w->strides[1]) * sizeof(float) };
    return TN_OK;
}

/* Panels of one place: taps in the order in which the table has them. */
static void pack_place(const native_isa *isa, const native_window *w, const float *weights,
                       const float *bias, int64_t place_y, int64_t place_x, float *out)
{
    const int64_t window = w->kernel[0] * w->kernel[1];
    const int64_t padded = native_round_up(w->outputs, isa->columns);
    for (int64_t m0 = 0; m0 < padded; m0 += isa->columns)
        for (int64_t i = place_y; i < w->kernel[0]; i += w->strides[0])
            for (int64_t j = place_x; j < w->kernel[1]; j += w->strides[1])
                for (int64_t c = 0; c < w->channels; c++)
                    for (int64_t m = m0; m < m0 + isa->columns; m++)
                        *out++ = m < w->outputs
                                     ? weights[(c * w->outputs + m) * window + i * w->kernel[1] + j]
                                     : 0.0f;
    for (int64_t m = 0; m < padded; m++)
        *out++ = bias && m < w->outputs ? bias[m] : 0.0f;
}

static tn_status transpose_prepare(tn_prepare *ctx, void *state)
{
    const transpose_state *s = state;
    const native_window *w = &s->window;
    const tn_problem *p = ctx->problem;
    const float *bias = p->own_count > 2 && p->inputs[2] ? p->constants[2]->data : NULL;
    float *out = ctx->packs[0].data;
    if (!ctx->packs[0].fill)
        return TN_OK;
    for (int64_t y = 0; y < w->strides[0]; y++)
        for (int64_t x = 0; x < w->strides[1]; x++, out += s->phase_floats)
            pack_place(native_isa_of(ctx->instance), w, p->constants[1]->data, bias, y, x, out);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct transpose_job {
    const transpose_state *s;
    tn_run *ctx;
    const native_isa *isa;
    const float *zeros;
} transpose_job;

/* Points of one output line that lie at the same place of the stride. */
typedef struct line {
    int64_t image, y, first, count; /* the first point's x */
    int64_t place[2], from[2];      /* within the stride; the input point of tap 0 */
} line;

/* [tile][tap][row] pointers. */
static void fill_table(const transpose_job *job, const line *l, const float **table)
{
    const native_window *w = &job->s->window;
    const float *image = (const float *)job->ctx->inputs[0]->data +
                         l->image * w->x[0] * w->x[1] * w->channels;
    const int64_t taps_y = taps_of(w->kernel[0], w->strides[0], l->place[0]);
    const int64_t taps_x = taps_of(w->kernel[1], w->strides[1], l->place[1]);
    for (int64_t first = 0, rows; first < l->count; first += rows) {
        rows = native_tile_rows(job->isa, l->count - first);
        for (int64_t i = 0; i < taps_y; i++)
            for (int64_t j = 0; j < taps_x; j++)
                for (int64_t r = 0; r < rows; r++) {
                    const int64_t y = l->from[0] - i, x = l->from[1] + first + r - j;
                    const bool inside = y >= 0 && y < w->x[0] && x >= 0 && x < w->x[1];
                    *table++ = inside ? image + (y * w->x[1] + x) * w->channels : job->zeros;
                }
    }
}

static void run_line(const transpose_job *job, const line *l, const float **table)
{
    const transpose_state *s = job->s;
    const native_window *w = &s->window;
    const int64_t phase = l->place[0] * w->strides[1] + l->place[1];
    const native_product product = {
        .isa = job->isa,
        .epilogue = s->epilogue.count ? &s->epilogue : NULL,
        .inputs = job->ctx->inputs,
        .m = l->count,
        .n = w->outputs,
        .taps = taps_of(w->kernel[0], w->strides[0], l->place[0]) *
                taps_of(w->kernel[1], w->strides[1], l->place[1]),
        .depth = w->channels,
        .panels = (const float *)job->ctx->packs[0] + (size_t)phase * s->phase_floats,
        .out = (float *)job->ctx->outputs[0]->data +
               ((l->image * w->y[0] + l->y) * w->y[1] + l->first) * w->outputs,
        .ld = w->strides[1] * w->outputs,
    };
    fill_table(job, l, table);
    native_product_run(&product, table, 0, l->count, 0, native_ceil(w->outputs, job->isa->columns));
}

/* Items: (image, output line, place along it). */
static tn_status transpose_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const transpose_job *job = user;
    const transpose_state *s = job->s;
    const native_window *w = &s->window;
    const float **table = (const float **)(void *)((char *)job->ctx->scratch +
                                                   native_round_up(w->channels * 4, 64) +
                                                   thread * s->thread_bytes);
    for (int64_t item = begin; item < end; item++) {
        line l = { .first = item % w->strides[1] };
        l.y = item / w->strides[1] % w->y[0];
        l.image = item / w->strides[1] / w->y[0];
        if (l.first >= w->y[1])
            continue;
        l.count = native_ceil(w->y[1] - l.first, w->strides[1]);
        l.place[0] = (l.y + w->before[0]) % w->strides[0];
        l.place[1] = (l.first + w->before[1]) % w->strides[1];
        l.from[0] = (l.y + w->before[0]) / w->strides[0];
        l.from[1] = (l.first + w->before[1]) / w->strides[1];
        run_line(job, &l, table);
    }
    return TN_OK;
}

static tn_status transpose_run(tn_run *ctx, const void *state, void *slot)
{
    const transpose_state *s = state;
    const native_window *w = &s->window;
    transpose_job job = { s, ctx, native_isa_of(ctx->instance), ctx->scratch };
    (void)slot;
    memset(ctx->scratch, 0, (size_t)w->channels * sizeof(float));
    return ctx->call.host->parallel_for(&ctx->call, w->images * w->y[0] * w->strides[1], 1,
                                        transpose_chunk, &job);
}

const tn_kernel_def native_conv_transpose_kernels[] = {
    NATIVE_KERNEL("ConvTranspose", .state_bytes = sizeof(transpose_state), .offer = transpose_offer,
                  .measure = transpose_measure, .prepare = transpose_prepare, .run = transpose_run),
    { .op = NULL },
};
