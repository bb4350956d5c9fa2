/* lstm.c: LSTM (ONNX: LSTM) with its usual activations, forward, in reverse or both.
 *
 * The part of all gates that comes from the input is one product over all steps. Then, step by
 * step, the part that comes from the state: panels of the four gates for the same hidden units are
 * neighbours, so that a thread makes whole units and nobody waits inside a step.
 *
 * In: X [T, B, I], W [D, 4H, I], R [D, 4H, H] constant, perhaps bias [D, 8H], initial h and c.
 * Out: Y [T, D, B, H], Y_h and Y_c [D, B, H], each if wanted. Gates: i, o, f, c.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { IN_W = 1, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

typedef struct lstm_state {
    int64_t steps, batch, in, hidden, directions;
    int64_t panels;                              /* of the hidden units */
    uint32_t reverse;                            /* the only direction goes backwards */
    size_t w_floats, r_floats;                   /* packed, of a direction */
    size_t gate_bytes, state_bytes, table_bytes; /* parts of the scratch */
} lstm_state;

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

static tn_status lstm_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_attribute *activations = tn_attr(p->node, "activations");
    const tn_attribute *clip = tn_attr(p->node, "clip");
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "steps";
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "no epilogue here");
    if (!p->constants[IN_W] || !p->constants[IN_R] || (has(p, IN_B) && !p->constants[IN_B]))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    if (has(p, IN_LENGTHS) || has(p, IN_P))
        return tn_fail(ctx, TN_DECLINED, "lengths of sequences or peepholes");
    if ((activations && activations->count) || (clip && clip->f > 0.0) ||
        tn_attr_int(p->node, "layout", 0) || tn_attr_int(p->node, "input_forget", 0))
        return tn_fail(ctx, TN_DECLINED, "activations, clip, layout or input_forget of its own");
    return status;
}

static size_t align(int64_t floats)
{
    return (size_t)native_round_up(floats * 4, 64);
}

static tn_status lstm_measure(tn_measure *ctx, void *state)
{
    static const uint32_t w_sources[] = { IN_W, IN_B }, r_sources[] = { IN_R };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    lstm_state *s = state;
    s->steps = p->inputs[0]->dims[0];
    s->batch = p->inputs[0]->dims[1];
    s->in = p->inputs[0]->dims[2];
    s->directions = p->inputs[IN_R]->dims[0];
    s->hidden = p->inputs[IN_R]->dims[2];
    s->reverse = strcmp(tn_attr_string(p->node, "direction", "forward"), "reverse") == 0;
    s->panels = native_ceil(s->hidden, isa->columns);
    s->w_floats = native_panel_floats(isa, s->in, 4 * s->hidden);
    s->r_floats = (size_t)(4 * s->panels * isa->columns * s->hidden);
    s->gate_bytes = align(s->steps * s->batch * 4 * s->hidden);
    s->state_bytes = align(s->batch * s->hidden);
    s->table_bytes = (size_t)native_round_up(s->steps * s->batch * (int64_t)sizeof(float *), 64);
    a->algorithm = "steps";
    a->seconds = native_seconds(isa,
                                (double)(s->steps * s->batch * s->directions * 4 * s->hidden) *
                                    (double)(s->in + s->hidden),
                                0, p->threads);
    a->scratch_bytes = s->gate_bytes + 3 * s->state_bytes + s->table_bytes;
    a->pack_count = 2;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = has(p, IN_B) ? 2 : 1,
                                 .sources = w_sources,
                                 .key = "lstm input",
                                 .key_bytes = 10,
                                 .bytes = s->w_floats * (size_t)s->directions * sizeof(float) };
    a->packs[1] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = 1,
                                 .sources = r_sources,
                                 .key = "lstm state",
                                 .key_bytes = 10,
                                 .bytes = s->r_floats * (size_t)s->directions * sizeof(float) };
    return TN_OK;
}

/* ---- prepare ------------------------------------------------------------------------------ */

static void pack_input(const native_isa *isa, const lstm_state *s, const tn_problem *p, int64_t d,
                       float *out)
{
    const int64_t gates = 4 * s->hidden;
    const native_source source = { .data = (const float *)p->constants[IN_W]->data +
                                           d * gates * s->in,
                                   .taps = 1,
                                   .depth = s->in,
                                   .n = gates,
                                   .row = 1,
                                   .column = s->in };
    native_pack(isa, &source, out);
    if (!has(p, IN_B))
        return;
    const float *b = (const float *)p->constants[IN_B]->data + d * 2 * gates;
    float *bias = out + native_round_up(gates, isa->columns) * s->in;
    for (int64_t k = 0; k < gates; k++)
        bias[k] = b[k] + b[gates + k];
}

/* [panel][gate][k][columns]. */
static void pack_state(const native_isa *isa, const lstm_state *s, const float *r, float *out)
{
    for (int64_t panel = 0; panel < s->panels; panel++)
        for (int64_t gate = 0; gate < 4; gate++)
            for (int64_t k = 0; k < s->hidden; k++)
                for (int64_t c = 0; c < isa->columns; c++) {
                    const int64_t unit = panel * isa->columns + c;
                    *out++ = unit < s->hidden ? r[(gate * s->hidden + unit) * s->hidden + k] : 0.0f;
                }
}

static tn_status lstm_prepare(tn_prepare *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const lstm_state *s = state;
    const tn_problem *p = ctx->problem;
    for (int64_t d = 0; d < s->directions; d++) {
        if (ctx->packs[0].fill)
            pack_input(isa, s, p, d, (float *)ctx->packs[0].data + (size_t)d * s->w_floats);
        if (ctx->packs[1].fill)
            pack_state(isa, s,
                       (const float *)p->constants[IN_R]->data + d * 4 * s->hidden * s->hidden,
                       (float *)ctx->packs[1].data + (size_t)d * s->r_floats);
    }
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct lstm_job {
    const lstm_state *s;
    tn_run *ctx;
    const native_isa *isa;
    const float *w, *r;  /* packed, of this direction */
    const float *from;   /* what the state's part is added to: this step's gates */
    float *gates, *cell; /* of all steps; [B, H] */
    const float *last;   /* h of the step before, [B, H] */
    float *next;         /* h of this step */
    const float **table;
    native_cut cut;
} lstm_job;

static tn_status input_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const lstm_job *job = user;
    const lstm_state *s = job->s;
    const int64_t rows = s->steps * s->batch,
                  panels = native_ceil(4 * s->hidden, job->isa->columns);
    const native_product product = { .isa = job->isa,
                                     .m = rows,
                                     .n = 4 * s->hidden,
                                     .taps = 1,
                                     .depth = s->in,
                                     .panels = job->w,
                                     .out = job->gates,
                                     .ld = 4 * s->hidden };
    (void)thread;
    for (int64_t item = begin; item < end; item++) {
        const int64_t first = item / job->cut.panel_groups * job->cut.rows;
        const int64_t panel = item % job->cut.panel_groups * job->cut.panels;
        native_product_run(&product, job->table + first, first,
                           first + job->cut.rows < rows ? first + job->cut.rows : rows, panel,
                           panel + job->cut.panels < panels ? panel + job->cut.panels : panels);
    }
    return TN_OK;
}

/* Units [column, column + n) of rows [row, row + tile->row_count): the four gates, then the cell. */
static void make_units(const lstm_job *job, native_tile *tile, const float *panel, int64_t row,
                       int64_t column, int64_t n)
{
    const native_isa *isa = job->isa;
    const lstm_state *s = job->s;
    const int64_t width = isa->columns;
    float gate[4][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    for (int64_t g = 0; g < 4; g++) {
        tile->panel = panel + g * s->hidden * width;
        tile->out = gate[g];
        isa->tile(tile);
        for (int64_t r = 0; r < tile->row_count; r++)
            isa->combine(NATIVE_ADD, gate[g] + r * width,
                         job->from + (row + r) * 4 * s->hidden + g * s->hidden + column, 1,
                         gate[g] + r * width, n);
        isa->apply(g == 3 ? NATIVE_TANH : NATIVE_SIGMOID, 0, 0, gate[g], gate[g],
                   (tile->row_count - 1) * width + n);
    }
    for (int64_t r = 0; r < tile->row_count; r++) {
        float *i = gate[0] + r * width, *o = gate[1] + r * width, *f = gate[2] + r * width;
        float *c = job->cell + (row + r) * s->hidden + column;
        isa->combine(NATIVE_MUL, i, gate[3] + r * width, 1, i, n);
        isa->combine(NATIVE_MUL, f, c, 1, f, n);
        isa->combine(NATIVE_ADD, f, i, 1, c, n);
        isa->apply(NATIVE_TANH, 0, 0, c, i, n);
        isa->combine(NATIVE_MUL, o, i, 1, job->next + (row + r) * s->hidden + column, n);
    }
}

static tn_status unit_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    static const float zeros[NATIVE_MAX_COLUMNS] __attribute__((aligned(64))) = { 0 };
    const lstm_job *job = user;
    const lstm_state *s = job->s;
    const float *rows[NATIVE_MAX_ROWS];
    (void)thread;
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t column = panel * job->isa->columns, left = s->hidden - column;
        native_tile tile = {
            .rows = rows, .start = zeros, .ld = job->isa->columns, .taps = 1, .depth = s->hidden
        };
        for (int64_t row = 0; row < s->batch; row += tile.row_count) {
            tile.row_count = (int32_t)(s->batch - row < job->isa->rows ? s->batch - row
                                                                       : job->isa->rows);
            for (int32_t r = 0; r < tile.row_count; r++)
                rows[r] = job->last + (row + r) * s->hidden;
            make_units(job, &tile, job->r + panel * 4 * s->hidden * job->isa->columns, row, column,
                       left < job->isa->columns ? left : job->isa->columns);
        }
    }
    return TN_OK;
}

static void load_state(const tn_tensor *from, int64_t direction, int64_t count, float *to)
{
    if (from)
        memcpy(to, (const float *)from->data + direction * count, (size_t)count * sizeof *to);
    else
        memset(to, 0, (size_t)count * sizeof *to);
}

static void give(tn_tensor *to, int64_t direction, int64_t count, const float *from)
{
    if (to)
        memcpy((float *)to->data + direction * count, from, (size_t)count * sizeof *from);
}

static tn_status run_direction(lstm_job *job, int64_t d)
{
    const lstm_state *s = job->s;
    tn_run *ctx = job->ctx;
    const int64_t count = s->batch * s->hidden;
    const tn_tensor *const *in = ctx->inputs;
    tn_tensor *y = ctx->outputs[0];
    char *scratch = (char *)ctx->scratch + s->gate_bytes;
    float *states[2] = { (float *)(void *)scratch, (float *)(void *)(scratch + s->state_bytes) };
    const bool backwards = d == 1 || s->reverse;
    job->w = (const float *)ctx->packs[0] + (size_t)d * s->w_floats;
    job->r = (const float *)ctx->packs[1] + (size_t)d * s->r_floats;
    job->cell = (float *)(void *)(scratch + 2 * s->state_bytes);
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, job->cut.row_blocks * job->cut.panel_groups, 1,
                                        input_chunk, job));
    load_state(ctx->input_count > IN_H ? in[IN_H] : NULL, d, count, states[0]);
    load_state(ctx->input_count > IN_C ? in[IN_C] : NULL, d, count, job->cell);
    for (int64_t step = 0; step < s->steps; step++) {
        const int64_t t = backwards ? s->steps - 1 - step : step;
        job->from = job->gates + t * s->batch * 4 * s->hidden;
        job->last = states[step % 2];
        job->next = states[(step + 1) % 2];
        TN_TRY(ctx->call.host->parallel_for(&ctx->call, s->panels,
                                            1 + 65536 / (4 * s->hidden * job->isa->columns),
                                            unit_chunk, job));
        if (y)
            memcpy((float *)y->data + (t * s->directions + d) * count, job->next,
                   (size_t)count * sizeof(float));
    }
    give(ctx->output_count > 1 ? ctx->outputs[1] : NULL, d, count, states[s->steps % 2]);
    give(ctx->output_count > 2 ? ctx->outputs[2] : NULL, d, count, job->cell);
    return TN_OK;
}

static tn_status lstm_run(tn_run *ctx, const void *state, void *slot)
{
    const lstm_state *s = state;
    char *scratch = ctx->scratch;
    lstm_job job = { .s = s, .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    (void)slot;
    job.gates = (float *)(void *)scratch;
    job.table = (const float **)(void *)(scratch + s->gate_bytes + 3 * s->state_bytes);
    job.cut = native_cut_of(job.isa, s->steps * s->batch, 4 * s->hidden, s->in, ctx->threads);
    for (int64_t r = 0; r < s->steps * s->batch; r++)
        job.table[r] = (const float *)ctx->inputs[0]->data + r * s->in;
    for (int64_t d = 0; d < s->directions; d++)
        TN_TRY(run_direction(&job, d));
    return TN_OK;
}

const tn_kernel_def native_lstm_kernels[] = {
    NATIVE_KERNEL("LSTM", .state_bytes = sizeof(lstm_state), .offer = lstm_offer,
                  .measure = lstm_measure, .prepare = lstm_prepare, .run = lstm_run),
    { .op = NULL },
};
