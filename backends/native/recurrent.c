/* recurrent.c: what LSTM and GRU have in common (ONNX: LSTM, GRU): what is offered, sizes, packing,
 * the input's product over all steps, states that come and go, and the walk over the steps.
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

tn_status recurrent_offer(tn_offer *ctx, uint32_t inputs, const char *flag)
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
    if (!p->constants[RECURRENT_W] || !p->constants[RECURRENT_R] ||
        (has(p, RECURRENT_B) && !p->constants[RECURRENT_B]))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    if (has(p, RECURRENT_LENGTHS))
        return tn_fail(ctx, TN_DECLINED, "lengths of sequences");
    if (has(p, inputs))
        return tn_fail(ctx, TN_DECLINED, "peepholes");
    if ((activations && activations->count) || (clip && clip->f > 0.0) ||
        tn_attr_int(p->node, "layout", 0) || (flag && tn_attr_int(p->node, flag, 0)))
        return tn_fail(ctx, TN_DECLINED, "activations, clip, layout%s%s of its own",
                       flag ? " or " : "", flag ? flag : "");
    return status;
}

/* ---- measure ------------------------------------------------------------------------------ */

static size_t align(int64_t floats)
{
    return (size_t)native_round_up(floats * 4, 64);
}

static void read_sizes(const native_isa *isa, const tn_problem *p, const recurrent_kind *kind,
                       int64_t separate, recurrent_sizes *s)
{
    const int64_t *x = p->inputs[0]->dims, *r = p->inputs[RECURRENT_R]->dims;
    *s = (recurrent_sizes){ .steps = x[0],
                            .batch = x[1],
                            .in = x[2],
                            .hidden = r[2],
                            .directions = r[0],
                            .gates = kind->gates,
                            .separate = separate,
                            .blocks = 2 + kind->kept };
    s->reverse = strcmp(tn_attr_string(p->node, "direction", "forward"), "reverse") == 0;
    s->panels = native_ceil(s->hidden, isa->columns);
    s->w_floats = native_panel_floats(isa, s->in, s->gates * s->hidden);
    s->r_floats = (size_t)(s->panels * isa->columns * (s->gates * s->hidden + separate));
    s->gate_bytes = align(s->steps * s->batch * s->gates * s->hidden);
    s->state_bytes = align(s->batch * s->hidden);
    s->table_bytes = (size_t)native_round_up(s->steps * s->batch * (int64_t)sizeof(float *), 64);
}

static tn_pack_def pack_of(const tn_problem *p, const uint32_t *sources, int reads_bias,
                           const char *key, size_t floats)
{
    return (tn_pack_def){ .size = sizeof(tn_pack_def),
                          .source_count = reads_bias && has(p, RECURRENT_B) ? 2 : 1,
                          .sources = sources,
                          .key = key,
                          .key_bytes = strlen(key),
                          .bytes = floats * sizeof(float) };
}

tn_status recurrent_measure(tn_measure *ctx, const recurrent_kind *kind, int64_t separate,
                            recurrent_sizes *s)
{
    static const uint32_t w_sources[] = { RECURRENT_W, RECURRENT_B },
                          r_sources[] = { RECURRENT_R, RECURRENT_B };
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    read_sizes(isa, p, kind, separate, s);
    a->algorithm = "steps";
    a->seconds = native_seconds(
        isa,
        (double)(s->steps * s->batch * s->directions * s->gates * s->hidden) *
            (double)(s->in + s->hidden),
        0, p->threads);
    a->scratch_bytes = s->gate_bytes + s->blocks * s->state_bytes + s->table_bytes;
    a->pack_count = 2;
    a->packs[0] = pack_of(p, w_sources, 1, kind->input_key, s->w_floats * (size_t)s->directions);
    a->packs[1] = pack_of(p, r_sources, separate != 0, kind->state_key,
                          s->r_floats * (size_t)s->directions);
    return TN_OK;
}

/* ---- prepare ------------------------------------------------------------------------------ */

/* W's bias of direction d, behind it R's; NULL: there is none. */
static const float *bias_of(const recurrent_sizes *s, const tn_problem *p, int64_t d)
{
    return has(p, RECURRENT_B)
               ? (const float *)p->constants[RECURRENT_B]->data + d * 2 * s->gates * s->hidden
               : NULL;
}

/* The state's bias joins the input's, but for gates whose bias stays apart. */
static void pack_input(const native_isa *isa, const recurrent_sizes *s, const tn_problem *p,
                       int64_t d, float *out)
{
    const int64_t gates = s->gates * s->hidden, joined = gates - s->separate * s->hidden;
    const float *b = bias_of(s, p, d);
    const native_source source = { .data = (const float *)p->constants[RECURRENT_W]->data +
                                           d * gates * s->in,
                                   .taps = 1,
                                   .depth = s->in,
                                   .n = gates,
                                   .row = 1,
                                   .column = s->in };
    native_pack(isa, &source, out);
    float *bias = out + native_round_up(gates, isa->columns) * s->in;
    for (int64_t k = 0; b && k < gates; k++)
        bias[k] = b[k] + (k < joined ? b[gates + k] : 0.0f);
}

/* [panel][gate][k][columns], then by column the bias of the last gate, if that stays apart. */
static void pack_state(const native_isa *isa, const recurrent_sizes *s, const tn_problem *p,
                       int64_t d, float *out)
{
    const int64_t gates = s->gates * s->hidden;
    const float *r = (const float *)p->constants[RECURRENT_R]->data + d * gates * s->hidden;
    const float *b = bias_of(s, p, d);
    for (int64_t panel = 0; panel < s->panels; panel++)
        for (int64_t gate = 0; gate < s->gates; gate++)
            for (int64_t k = 0; k < s->hidden; k++)
                for (int64_t c = 0; c < isa->columns; c++) {
                    const int64_t unit = panel * isa->columns + c;
                    *out++ = unit < s->hidden ? r[(gate * s->hidden + unit) * s->hidden + k] : 0.0f;
                }
    for (int64_t unit = 0; s->separate && unit < s->panels * isa->columns; unit++)
        *out++ = b && unit < s->hidden ? b[2 * gates - s->hidden + unit] : 0.0f;
}

tn_status recurrent_prepare(tn_prepare *ctx, const recurrent_sizes *s)
{
    const native_isa *isa = native_isa_of(ctx->instance);
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

/* ---- the parts of a step ------------------------------------------------------------------ */

static tn_status input_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const recurrent_job *job = user;
    const recurrent_sizes *s = job->s;
    const int64_t rows = s->steps * s->batch, gates = s->gates * s->hidden;
    const native_product product = { .isa = job->isa,
                                     .m = rows,
                                     .n = gates,
                                     .taps = 1,
                                     .depth = s->in,
                                     .panels = job->w,
                                     .out = job->gates,
                                     .ld = gates };
    (void)thread;
    while (begin < end) {
        const native_part part = native_part_of(&job->cut, begin, end);
        native_product_run(&product, job->table + part.first, part.first, part.last, part.panel,
                           part.panel_end);
        begin += part.items;
    }
    return TN_OK;
}

/* out: rows `ld` apart; add: likewise, it may be out; NULL: nothing is added. */
static void product_of(const recurrent_job *job, const recurrent_units *u, int64_t gate,
                       const float *state, const float *add, float *out, int64_t ld)
{
    static const float zeros[NATIVE_MAX_COLUMNS] __attribute__((aligned(64))) = { 0 };
    const recurrent_sizes *s = job->s;
    const int64_t width = job->isa->columns;
    const float *rows[NATIVE_MAX_ROWS];
    for (int32_t r = 0; r < u->rows; r++)
        rows[r] = state + (u->row + r) * s->hidden;
    const native_tile tile = {
        .rows = rows,
        .panel = job->r + (u->panel * s->gates + gate) * s->hidden * width,
        .start = gate >= s->gates - s->separate
                     ? job->r + (s->panels * s->gates * s->hidden + u->panel) * width
                     : zeros,
        .out = out,
        .ld = ld,
        .taps = 1,
        .depth = s->hidden,
        .row_count = u->rows,
        .add = add,
        .add_ld = ld
    };
    job->isa->tile(&tile);
}

void recurrent_state_part(const recurrent_job *job, const recurrent_units *u, int64_t gate,
                          const float *state, float *out)
{
    product_of(job, u, gate, state, NULL, out, job->isa->columns);
}

void recurrent_gate(const recurrent_job *job, const recurrent_units *u, int64_t gate,
                    const float *state)
{
    const int64_t width = job->isa->columns, step = job->s->gates * job->s->hidden;
    float *sum = recurrent_input_part(job, u, 0, gate);
    float part[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    const native_rows add = { .x = sum,
                              .operand = part,
                              .y = sum,
                              .x_step = step,
                              .operand_step = width,
                              .y_step = step,
                              .rows = u->rows,
                              .count = u->n,
                              .along = true };
    if (u->n == width) {
        product_of(job, u, gate, state, sum, sum, step);
        return;
    }
    product_of(job, u, gate, state, NULL, part, width);
    job->isa->combine_rows(NATIVE_ADD, &add);
}

static void make_panel(const recurrent_job *job, int64_t panel)
{
    const recurrent_sizes *s = job->s;
    const native_isa *isa = job->isa;
    recurrent_units u = { .panel = panel, .column = panel * isa->columns };
    u.n = s->hidden - u.column < isa->columns ? s->hidden - u.column : isa->columns;
    for (; u.row < s->batch; u.row += u.rows) {
        u.rows = (int32_t)native_tile_rows(isa, s->batch - u.row);
        job->make(job, &u);
    }
}

/* Items are equal shares of the panels. Weights that do not fit the cache are read to and fro: each
 * step begins with those that the step before ended with. */
static tn_status unit_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const recurrent_job *job = user;
    const int64_t panels = job->s->panels;
    const int64_t first = begin * panels / job->shares, last = end * panels / job->shares;
    (void)thread;
    for (int64_t k = first; k < last; k++)
        make_panel(job, job->fro ? first + last - 1 - k : k);
    const int64_t hidden = job->s->hidden, column = last * job->isa->columns;
    if (job->finish)
        job->finish(job, first * job->isa->columns, column < hidden ? column : hidden);
    return TN_OK;
}

/* One share for each thread: so it keeps the same panels in its cache from step to step. */
tn_status recurrent_round(recurrent_job *job, recurrent_make_fn *make, recurrent_finish_fn *finish)
{
    enum { WORTH = 24 * 1024 }; /* multiply-adds of a round that are worth a second thread */
    const recurrent_sizes *s = job->s;
    const int64_t threads = job->ctx->threads;
    job->make = make;
    job->finish = finish;
    job->shares = threads < s->panels ? threads : s->panels;
    if (s->batch * s->gates * s->hidden * s->hidden < WORTH)
        job->shares = 1;
    return job->ctx->call.host->parallel_for(&job->ctx->call, job->shares, 1, unit_chunk, job);
}

/* ---- the walk over the steps -------------------------------------------------------------- */

void recurrent_load(const recurrent_job *job, uint32_t input, int64_t direction, float *to)
{
    const tn_tensor *from = job->ctx->input_count > input ? job->ctx->inputs[input] : NULL;
    const int64_t count = job->s->batch * job->s->hidden;
    if (from)
        memcpy(to, (const float *)from->data + direction * count, (size_t)count * sizeof *to);
    else
        memset(to, 0, (size_t)count * sizeof *to);
}

void recurrent_give(const recurrent_job *job, uint32_t output, int64_t direction, const float *from)
{
    tn_tensor *to = job->ctx->output_count > output ? job->ctx->outputs[output] : NULL;
    const int64_t count = job->s->batch * job->s->hidden;
    if (to)
        memcpy((float *)to->data + direction * count, from, (size_t)count * sizeof *from);
}

/* Block k of [B, H], behind the gates. */
static float *block(const recurrent_job *job, uint32_t k)
{
    return (float *)(void *)((char *)job->ctx->scratch + job->s->gate_bytes +
                             k * job->s->state_bytes);
}

static tn_status run_direction(recurrent_job *job, const recurrent_steps *steps, int64_t d)
{
    const recurrent_sizes *s = job->s;
    tn_run *ctx = job->ctx;
    const int64_t count = s->batch * s->hidden;
    tn_tensor *y = ctx->outputs[0];
    float *states[2] = { block(job, 0), block(job, 1) };
    const bool backwards = d == 1 || s->reverse;
    job->w = (const float *)ctx->packs[0] + (size_t)d * s->w_floats;
    job->r = (const float *)ctx->packs[1] + (size_t)d * s->r_floats;
    TN_TRY(
        ctx->call.host->parallel_for(&ctx->call, native_cut_items(&job->cut), 1, input_chunk, job));
    recurrent_load(job, RECURRENT_H, d, states[0]);
    if (steps->first)
        steps->first(job, d);
    for (int64_t step = 0; step < s->steps; step++) {
        const int64_t t = backwards ? s->steps - 1 - step : step;
        job->from = job->gates + t * s->batch * s->gates * s->hidden;
        job->fro = step % 2;
        job->last = states[step % 2];
        job->next = states[(step + 1) % 2];
        TN_TRY(steps->step(job));
        if (y)
            memcpy((float *)y->data + (t * s->directions + d) * count, job->next,
                   (size_t)count * sizeof(float));
    }
    recurrent_give(job, 1, d, states[s->steps % 2]);
    if (steps->last)
        steps->last(job, d);
    return TN_OK;
}

tn_status recurrent_run(tn_run *ctx, const recurrent_sizes *s, const recurrent_steps *steps)
{
    recurrent_job job = { .s = s, .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    job.gates = ctx->scratch;
    job.kept[0] = block(&job, 2);
    job.kept[1] = s->blocks > 3 ? block(&job, 3) : NULL;
    job.table = (const float **)(void *)block(&job, s->blocks);
    const native_extents input = { s->steps * s->batch, s->gates * s->hidden, s->in, s->in };
    job.cut = native_cut_of(job.isa, &input, ctx->threads);
    for (int64_t r = 0; r < s->steps * s->batch; r++)
        job.table[r] = (const float *)ctx->inputs[0]->data + r * s->in;
    for (int64_t d = 0; d < s->directions; d++)
        TN_TRY(run_direction(&job, steps, d));
    return TN_OK;
}
