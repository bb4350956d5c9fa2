/* gru.c: GRU (ONNX: GRU) with its usual activations, forward, in reverse or both, with and without
 * linear_before_reset.
 *
 * As in lstm.c: the input's part of all gates is one product over all steps, then step by step the
 * state's part, panels of the gates of the same hidden units side by side. Without
 * linear_before_reset the candidate needs the reset gates of all units first: two rounds a step.
 *
 *   z, r = sigmoid(W x + R h + b),  c = tanh(W x + b + r (R h + b)), or tanh(W x + R (r h) + b),
 *   h' = (1 - z) c + z h
 *
 * In: X [T, B, I], W [D, 3H, I], R [D, 3H, H] constant, perhaps bias [D, 6H], initial h.
 * Out: Y [T, D, B, H], Y_h [D, B, H], each if wanted. Gates: z, r, candidate.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { IN_W = 1, IN_R, IN_B, IN_LENGTHS, IN_H };
enum { GATES = 3 };

typedef struct gru_state {
    int64_t steps, batch, in, hidden, directions;
    int64_t panels;                              /* of the hidden units */
    uint32_t reverse, linear;                    /* the only direction goes backwards; attribute */
    size_t w_floats, r_floats;                   /* packed, of a direction */
    size_t gate_bytes, state_bytes, table_bytes; /* parts of the scratch */
} gru_state;

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

static tn_status gru_offer(tn_offer *ctx)
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
    if (has(p, IN_LENGTHS))
        return tn_fail(ctx, TN_DECLINED, "lengths of sequences");
    if ((activations && activations->count) || (clip && clip->f > 0.0) ||
        tn_attr_int(p->node, "layout", 0))
        return tn_fail(ctx, TN_DECLINED, "activations, clip or layout of its own");
    return status;
}

static size_t align(int64_t floats)
{
    return (size_t)native_round_up(floats * 4, 64);
}

static tn_status gru_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { IN_W, IN_B }, r_sources[] = { IN_R, IN_B };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    gru_state *s = state;
    s->steps = p->inputs[0]->dims[0];
    s->batch = p->inputs[0]->dims[1];
    s->in = p->inputs[0]->dims[2];
    s->directions = p->inputs[IN_R]->dims[0];
    s->hidden = p->inputs[IN_R]->dims[2];
    s->reverse = strcmp(tn_attr_string(p->node, "direction", "forward"), "reverse") == 0;
    s->linear = tn_attr_int(p->node, "linear_before_reset", 0) != 0;
    s->panels = native_ceil(s->hidden, isa->columns);
    s->w_floats = native_panel_floats(isa, s->in, GATES * s->hidden);
    s->r_floats = (size_t)(s->panels * isa->columns * (GATES * s->hidden + 1));
    s->gate_bytes = align(s->steps * s->batch * GATES * s->hidden);
    s->state_bytes = align(s->batch * s->hidden);
    s->table_bytes = (size_t)native_round_up(s->steps * s->batch * (int64_t)sizeof(float *), 64);
    a->algorithm = "steps";
    a->seconds = native_seconds(isa,
                                (double)(s->steps * s->batch * s->directions * GATES * s->hidden) *
                                    (double)(s->in + s->hidden),
                                0, p->threads);
    a->scratch_bytes = s->gate_bytes + 4 * s->state_bytes + s->table_bytes;
    a->pack_count = 2;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = has(p, IN_B) ? 2 : 1,
                                 .sources = sources,
                                 .key = s->linear ? "gru input, linear" : "gru input, direct",
                                 .key_bytes = 17,
                                 .bytes = s->w_floats * (size_t)s->directions * sizeof(float) };
    a->packs[1] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = has(p, IN_B) ? 2 : 1,
                                 .sources = r_sources,
                                 .key = s->linear ? "gru state, linear" : "gru state, direct",
                                 .key_bytes = 17,
                                 .bytes = s->r_floats * (size_t)s->directions * sizeof(float) };
    return TN_OK;
}

/* ---- prepare ------------------------------------------------------------------------------ */

/* The state's bias joins the input's, but for the candidate's where the reset gate comes between. */
static void pack_input(const native_isa *isa, const gru_state *s, const tn_problem *p, int64_t d,
                       float *out)
{
    const int64_t gates = GATES * s->hidden, joined = s->linear ? 2 * s->hidden : gates;
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
        bias[k] = b[k] + (k < joined ? b[gates + k] : 0.0f);
}

/* [panel][gate][k][columns], then the candidate's bias by column. */
static void pack_state(const native_isa *isa, const gru_state *s, const tn_problem *p, int64_t d,
                       float *out)
{
    const int64_t gates = GATES * s->hidden;
    const float *r = (const float *)p->constants[IN_R]->data + d * gates * s->hidden;
    const float *b = has(p, IN_B) && s->linear
                         ? (const float *)p->constants[IN_B]->data + (d * 2 + 1) * gates
                         : NULL;
    for (int64_t panel = 0; panel < s->panels; panel++)
        for (int64_t gate = 0; gate < GATES; gate++)
            for (int64_t k = 0; k < s->hidden; k++)
                for (int64_t c = 0; c < isa->columns; c++) {
                    const int64_t unit = panel * isa->columns + c;
                    *out++ = unit < s->hidden ? r[(gate * s->hidden + unit) * s->hidden + k] : 0.0f;
                }
    for (int64_t unit = 0; unit < s->panels * isa->columns; unit++)
        *out++ = b && unit < s->hidden ? b[2 * s->hidden + unit] : 0.0f;
}

static tn_status gru_prepare(tn_prepare *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const gru_state *s = state;
    for (int64_t d = 0; d < s->directions; d++) {
        if (ctx->packs[0].fill)
            pack_input(isa, s, ctx->problem, d,
                       (float *)ctx->packs[0].data + (size_t)d * s->w_floats);
        if (ctx->packs[1].fill)
            pack_state(isa, s, ctx->problem, d,
                       (float *)ctx->packs[1].data + (size_t)d * s->r_floats);
    }
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct gru_job {
    const gru_state *s;
    tn_run *ctx;
    const native_isa *isa;
    const float *w, *r;    /* packed, of this direction */
    float *gates;          /* the input's part, of all steps */
    const float *from;     /* of this step */
    const float *last;     /* h of the step before, [B, H] */
    float *next;           /* h of this step */
    float *update, *reset; /* z; r h: between the two rounds */
    const float **table;
    native_cut cut;
} gru_job;

static tn_status input_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gru_job *job = user;
    const gru_state *s = job->s;
    const int64_t rows = s->steps * s->batch,
                  panels = native_ceil(GATES * s->hidden, job->isa->columns);
    const native_product product = { .isa = job->isa,
                                     .m = rows,
                                     .n = GATES * s->hidden,
                                     .taps = 1,
                                     .depth = s->in,
                                     .panels = job->w,
                                     .out = job->gates,
                                     .ld = GATES * s->hidden };
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

/* Some hidden units of some samples. */
typedef struct units {
    int64_t panel, column, n, row;
    int32_t rows;
} units;

/* One gate's product into `out` (rows `columns` apart), from rows of `state`. */
static void state_part(const gru_job *job, const units *u, int64_t gate, const float *state,
                       float *out)
{
    static const float zeros[NATIVE_MAX_COLUMNS] __attribute__((aligned(64))) = { 0 };
    const gru_state *s = job->s;
    const int64_t width = job->isa->columns;
    const float *rows[NATIVE_MAX_ROWS];
    for (int32_t r = 0; r < u->rows; r++)
        rows[r] = state + (u->row + r) * s->hidden;
    const native_tile tile = {
        .rows = rows,
        .panel = job->r + (u->panel * GATES + gate) * s->hidden * width,
        .start = gate == 2 ? job->r + (s->panels * GATES * s->hidden + u->panel) * width : zeros,
        .out = out,
        .ld = width,
        .taps = 1,
        .depth = s->hidden,
        .row_count = u->rows
    };
    job->isa->tile(&tile);
}

/* The input's part of a gate of sample r. */
static const float *input_part(const gru_job *job, const units *u, int64_t r, int64_t gate)
{
    const int64_t hidden = job->s->hidden;
    return job->from + ((u->row + r) * GATES + gate) * hidden + u->column;
}

/* sigmoid of gate 0 or 1. */
static void make_gate(const gru_job *job, const units *u, int64_t gate, float *out)
{
    const int64_t width = job->isa->columns;
    state_part(job, u, gate, job->last, out);
    for (int64_t r = 0; r < u->rows; r++) {
        job->isa->combine(NATIVE_ADD, out + r * width, input_part(job, u, r, gate), 1,
                          out + r * width, u->n);
        job->isa->apply(NATIVE_SIGMOID, 0, 0, out + r * width, out + r * width, u->n);
    }
}

/* h' = c + z (h - c) of sample r, c in place. */
static void make_state(const gru_job *job, const units *u, int64_t r, const float *z, float *c)
{
    const native_isa *isa = job->isa;
    const int64_t at = (u->row + r) * job->s->hidden + u->column;
    float change[NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    isa->combine(NATIVE_ADD, c, input_part(job, u, r, 2), 1, c, u->n);
    isa->apply(NATIVE_TANH, 0, 0, c, c, u->n);
    isa->combine(NATIVE_SUB_FROM, c, job->last + at, 1, change, u->n);
    isa->combine(NATIVE_MUL, change, z, 1, change, u->n);
    isa->combine(NATIVE_ADD, c, change, 1, job->next + at, u->n);
}

/* linear_before_reset: all in one round. */
static void linear_units(const gru_job *job, const units *u)
{
    const int64_t width = job->isa->columns;
    float gate[GATES][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    make_gate(job, u, 0, gate[0]);
    make_gate(job, u, 1, gate[1]);
    state_part(job, u, 2, job->last, gate[2]);
    for (int64_t r = 0; r < u->rows; r++) {
        float *c = gate[2] + r * width;
        job->isa->combine(NATIVE_MUL, c, gate[1] + r * width, 1, c, u->n);
        make_state(job, u, r, gate[0] + r * width, c);
    }
}

/* First round: z, and r h. */
static void reset_units(const gru_job *job, const units *u)
{
    const int64_t width = job->isa->columns;
    float gate[2][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    make_gate(job, u, 0, gate[0]);
    make_gate(job, u, 1, gate[1]);
    for (int64_t r = 0; r < u->rows; r++) {
        const int64_t at = (u->row + r) * job->s->hidden + u->column;
        memcpy(job->update + at, gate[0] + r * width, (size_t)u->n * sizeof(float));
        job->isa->combine(NATIVE_MUL, gate[1] + r * width, job->last + at, 1, job->reset + at,
                          u->n);
    }
}

/* Second round. */
static void candidate_units(const gru_job *job, const units *u)
{
    float c[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    state_part(job, u, 2, job->reset, c);
    for (int64_t r = 0; r < u->rows; r++)
        make_state(job, u, r, job->update + (u->row + r) * job->s->hidden + u->column,
                   c + r * job->isa->columns);
}

static void for_units(const gru_job *job, int64_t begin, int64_t end,
                      void (*make)(const gru_job *job, const units *u))
{
    const gru_state *s = job->s;
    for (int64_t panel = begin; panel < end; panel++) {
        units u = { .panel = panel, .column = panel * job->isa->columns };
        u.n = s->hidden - u.column < job->isa->columns ? s->hidden - u.column : job->isa->columns;
        for (; u.row < s->batch; u.row += u.rows) {
            u.rows = (int32_t)(s->batch - u.row < job->isa->rows ? s->batch - u.row
                                                                 : job->isa->rows);
            make(job, &u);
        }
    }
}

static tn_status linear_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for_units(user, begin, end, linear_units);
    return TN_OK;
}

static tn_status reset_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for_units(user, begin, end, reset_units);
    return TN_OK;
}

static tn_status candidate_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for_units(user, begin, end, candidate_units);
    return TN_OK;
}

static tn_status run_step(gru_job *job)
{
    const gru_state *s = job->s;
    tn_call *call = &job->ctx->call;
    const int64_t grain = 1 + 65536 / (GATES * s->hidden * job->isa->columns);
    if (s->linear)
        return call->host->parallel_for(call, s->panels, grain, linear_chunk, job);
    TN_TRY(call->host->parallel_for(call, s->panels, grain, reset_chunk, job));
    return call->host->parallel_for(call, s->panels, grain, candidate_chunk, job);
}

static tn_status run_direction(gru_job *job, int64_t d)
{
    const gru_state *s = job->s;
    tn_run *ctx = job->ctx;
    const int64_t count = s->batch * s->hidden;
    const tn_tensor *start = ctx->input_count > IN_H ? ctx->inputs[IN_H] : NULL;
    tn_tensor *y = ctx->outputs[0], *y_h = ctx->output_count > 1 ? ctx->outputs[1] : NULL;
    char *scratch = (char *)ctx->scratch + s->gate_bytes;
    float *states[2] = { (float *)(void *)scratch, (float *)(void *)(scratch + s->state_bytes) };
    const bool backwards = d == 1 || s->reverse;
    job->w = (const float *)ctx->packs[0] + (size_t)d * s->w_floats;
    job->r = (const float *)ctx->packs[1] + (size_t)d * s->r_floats;
    job->update = (float *)(void *)(scratch + 2 * s->state_bytes);
    job->reset = (float *)(void *)(scratch + 3 * s->state_bytes);
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, job->cut.row_blocks * job->cut.panel_groups, 1,
                                        input_chunk, job));
    if (start)
        memcpy(states[0], (const float *)start->data + d * count, (size_t)count * sizeof(float));
    else
        memset(states[0], 0, (size_t)count * sizeof(float));
    for (int64_t step = 0; step < s->steps; step++) {
        const int64_t t = backwards ? s->steps - 1 - step : step;
        job->from = job->gates + t * s->batch * GATES * s->hidden;
        job->last = states[step % 2];
        job->next = states[(step + 1) % 2];
        TN_TRY(run_step(job));
        if (y)
            memcpy((float *)y->data + (t * s->directions + d) * count, job->next,
                   (size_t)count * sizeof(float));
    }
    if (y_h)
        memcpy((float *)y_h->data + d * count, states[s->steps % 2], (size_t)count * sizeof(float));
    return TN_OK;
}

static tn_status gru_run(tn_run *ctx, const void *state, void *slot)
{
    const gru_state *s = state;
    char *scratch = ctx->scratch;
    gru_job job = { .s = s, .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    (void)slot;
    job.gates = (float *)(void *)scratch;
    job.table = (const float **)(void *)(scratch + s->gate_bytes + 4 * s->state_bytes);
    job.cut = native_cut_of(job.isa, s->steps * s->batch, GATES * s->hidden, s->in, ctx->threads);
    for (int64_t r = 0; r < s->steps * s->batch; r++)
        job.table[r] = (const float *)ctx->inputs[0]->data + r * s->in;
    for (int64_t d = 0; d < s->directions; d++)
        TN_TRY(run_direction(&job, d));
    return TN_OK;
}

const tn_kernel_def native_gru_kernels[] = {
    NATIVE_KERNEL("GRU", .state_bytes = sizeof(gru_state), .offer = gru_offer,
                  .measure = gru_measure, .prepare = gru_prepare, .run = gru_run),
    { .op = NULL },
};
