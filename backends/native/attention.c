/* attention.c: Attention (ONNX, 23 and 24) without a cache: for each sample and head the product
 * Q K^T, Softmax by rows, the product with V, a block of queries at a time, so that the scores stay
 * in the cache.
 *
 * In: Q, K, V [B, heads, rows, width] or [B, rows, heads * width], perhaps a mask (float32 or bool)
 * that repeats on any axis but the last. Out: Y as Q. A query that may see no key gives 0.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY };
enum { TILES = 4 }; /* of queries in a block */

/* Rows of one of Q, K, V, Y: element (b, h, row, k) is b * batch + h * head + row * row + k. */
typedef struct head_rows {
    int64_t heads, rows, width, batch, head, row;
} head_rows;

typedef struct attention_state {
    head_rows q, k, v, y;
    int64_t batches, block; /* queries of a block */
    int64_t score_step;     /* from a query's scores to the next ones: whole panels of keys */
    int64_t mask_steps[3];  /* sample, head, query */
    bool causal, bool_mask;
    float scale;
    size_t key_floats, value_floats, score_floats, thread_bytes;
} attention_state;

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

static tn_status check_mask(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_type *mask = has(p, IN_MASK) ? p->inputs[IN_MASK] : NULL;
    const tn_type *keys = p->inputs[IN_K];
    if (!mask)
        return TN_OK;
    if (mask->dtype != TN_FLOAT32 && mask->dtype != TN_BOOL)
        return tn_fail(ctx, TN_DECLINED, "a mask that is neither float32 nor bool");
    if (mask->rank > 0 && keys->rank > 1 && tn_dim_known(mask->dims[mask->rank - 1]) &&
        tn_dim_known(keys->dims[keys->rank - 2]) &&
        mask->dims[mask->rank - 1] != keys->dims[keys->rank - 2])
        return tn_fail(ctx, TN_DECLINED, "a mask that does not have every key");
    return TN_OK;
}

static tn_status attention_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "products by head";
    if (p->step_count || !p->outputs[0])
        return tn_fail(ctx, TN_DECLINED, "no epilogue here");
    for (uint32_t k = IN_PAST_KEY; k < p->own_count; k++)
        if (p->inputs[k])
            return tn_fail(ctx, TN_DECLINED, "a cache, or lengths of the samples");
    for (uint32_t k = 1; k < p->output_count; k++)
        if (p->outputs[k])
            return tn_fail(ctx, TN_DECLINED, "more than Y is wanted");
    if (tn_attr_float(p->node, "softcap", 0.0f) != 0.0f ||
        tn_attr_int(p->node, "left_window_size", -1) >= 0 ||
        tn_attr_int(p->node, "right_window_size", -1) >= 0)
        return tn_fail(ctx, TN_DECLINED, "softcap or a window");
    TN_TRY(check_mask(ctx));
    return status;
}

static head_rows rows_of(const tn_type *type, int64_t packed_heads)
{
    head_rows r = { 0 };
    if (type->rank == 4) {
        r.heads = type->dims[1];
        r.rows = type->dims[2];
        r.row = r.width = type->dims[3];
        r.head = r.rows * r.width;
    } else {
        r.heads = packed_heads;
        r.rows = type->dims[1];
        r.row = type->dims[2];
        r.head = r.width = type->dims[2] / packed_heads;
    }
    r.batch = r.heads * r.rows * r.width;
    return r;
}

/* Steps of the mask along sample, head and query; 0 where it repeats. */
static void read_mask(const tn_type *mask, attention_state *s)
{
    int64_t step = mask->dims[mask->rank - 1];
    s->bool_mask = mask->dtype == TN_BOOL;
    for (int32_t axis = 2; axis >= 0; axis--) {
        const int32_t own = axis - (4 - mask->rank);
        s->mask_steps[axis] = own < 0 || mask->dims[own] == 1 ? 0 : step;
        step *= own < 0 ? 1 : mask->dims[own];
    }
}

static size_t align(size_t floats)
{
    return (size_t)native_round_up((int64_t)floats, 16);
}

static tn_status attention_measure(tn_measure *ctx, void *state)
{
    const native_isa *isa = native_isa_of(ctx->instance);
    const tn_problem *p = ctx->problem;
    const int64_t query_heads = tn_attr_int(p->node, "q_num_heads", 1);
    const int64_t heads = tn_attr_int(p->node, "kv_num_heads", 1);
    tn_alternative *a = &ctx->alternatives[0];
    attention_state *s = state;
    s->q = rows_of(p->inputs[IN_Q], query_heads);
    s->k = rows_of(p->inputs[IN_K], heads);
    s->v = rows_of(p->inputs[IN_V], heads);
    s->y = rows_of(p->outputs[0], query_heads);
    s->batches = p->inputs[IN_Q]->dims[0];
    s->causal = tn_attr_int(p->node, "is_causal", 0) != 0;
    s->scale = tn_attr_float(p->node, "scale", (float)(1.0 / sqrt((double)s->q.width)));
    if (has(p, IN_MASK))
        read_mask(p->inputs[IN_MASK], s);
    s->block = TILES * isa->rows;
    s->key_floats = align(native_panel_floats(isa, s->q.width, s->k.rows));
    s->value_floats = align(native_panel_floats(isa, s->k.rows, s->v.width));
    s->score_step = native_round_up(s->k.rows, isa->columns);
    s->score_floats = (size_t)(s->block * s->score_step);
    s->thread_bytes = (s->key_floats + s->value_floats + s->score_floats) * sizeof(float) +
                      (size_t)native_round_up(s->block * (int64_t)sizeof(float *), 64);
    a->scratch_bytes = s->thread_bytes * p->threads;
    a->algorithm = "products by head";
    a->seconds = native_seconds(isa,
                                (double)(s->batches * s->q.heads * s->q.rows) *
                                    (double)(s->k.rows * (s->q.width + s->v.width)),
                                0, p->threads);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct attention_job {
    const attention_state *s;
    tn_run *ctx;
    const native_isa *isa;
} attention_job;

/* A thread's part of the scratch. */
typedef struct workspace {
    float *keys, *values, *scores;
    const float **table;
} workspace;

static workspace workspace_of(const attention_job *job, uint32_t thread)
{
    const attention_state *s = job->s;
    float *at = (float *)(void *)((char *)job->ctx->scratch + thread * s->thread_bytes);
    return (workspace){ .keys = at,
                        .values = at + s->key_floats,
                        .scores = at + s->key_floats + s->value_floats,
                        .table = (const float **)(void *)(at + s->key_floats + s->value_floats +
                                                          s->score_floats) };
}

/* Where the mask's row for a query begins; NULL: there is no mask. */
static const void *mask_row(const attention_job *job, int64_t batch, int64_t head, int64_t query)
{
    const attention_state *s = job->s;
    const tn_tensor *mask = job->ctx->input_count > IN_MASK ? job->ctx->inputs[IN_MASK] : NULL;
    const int64_t first = batch * s->mask_steps[0] + head * s->mask_steps[1] +
                          query * s->mask_steps[2];
    if (!mask)
        return NULL;
    return (const uint8_t *)mask->data + (size_t)first * (s->bool_mask ? 1 : sizeof(float));
}

static void add_mask(const attention_job *job, const void *row, float *scores, int64_t seen)
{
    const uint8_t *shown = row;
    if (!job->s->bool_mask) {
        job->isa->combine(NATIVE_ADD, scores, row, 1, scores, seen);
        return;
    }
    for (int64_t key = 0; key < seen; key++)
        scores[key] += shown[key] ? 0.0f : -INFINITY;
}

static bool hides_all(const attention_job *job, const void *row, int64_t seen)
{
    const uint8_t *shown = row;
    if (!job->s->bool_mask)
        return job->isa->reduce(true, row, seen) == -INFINITY;
    for (int64_t key = 0; key < seen; key++)
        if (shown[key])
            return false;
    return true;
}

/* Scores of one query to weights. Where all keys are hidden, Softmax has made NaN of all, and only
 * the mask tells that from a NaN that was there before. */
static void weigh(const attention_job *job, int64_t batch, int64_t head, int64_t query,
                  float *scores)
{
    const attention_state *s = job->s;
    const int64_t keys = s->k.rows;
    const int64_t seen = s->causal && query + 1 < keys ? query + 1 : keys;
    const void *mask = mask_row(job, batch, head, query);
    if (mask)
        add_mask(job, mask, scores, seen);
    job->isa->softmax(scores, scores, seen);
    memset(scores + seen, 0, (size_t)(keys - seen) * sizeof *scores);
    if (mask && isnan(scores[0]) && hides_all(job, mask, seen))
        memset(scores, 0, (size_t)seen * sizeof *scores);
}

/* Keys times the scale, as panels: a row of keys is a column. */
static void pack_keys(const attention_job *job, const float *keys, float *out)
{
    const attention_state *s = job->s;
    const int64_t width = job->isa->columns, depth = s->q.width;
    const int64_t floats = native_round_up(s->k.rows, width) * depth;
    for (int64_t first = 0; first < s->k.rows; first += width) {
        const int64_t left = s->k.rows - first, some = left < width ? left : width;
        float *panel = out + first * depth;
        native_turn(keys + first * s->k.row, s->k.row, panel, width, depth, some);
        for (int64_t k = 0; k < depth && some < width; k++)
            memset(panel + k * width + some, 0, (size_t)(width - some) * sizeof *panel);
    }
    job->isa->combine(NATIVE_MUL, out, &s->scale, 0, out, floats);
    memset(out + floats, 0, (size_t)native_round_up(s->k.rows, width) * sizeof *out);
}

static void run_block(const attention_job *job, const workspace *w, int64_t batch, int64_t head,
                      int64_t first)
{
    const attention_state *s = job->s;
    const int64_t rows = s->q.rows - first < s->block ? s->q.rows - first : s->block;
    const float *q = (const float *)job->ctx->inputs[IN_Q]->data + batch * s->q.batch +
                     head * s->q.head + first * s->q.row;
    const native_product score = { .isa = job->isa,
                                   .m = rows,
                                   .n = s->score_step,
                                   .taps = 1,
                                   .depth = s->q.width,
                                   .panels = w->keys,
                                   .out = w->scores,
                                   .ld = s->score_step };
    const native_product mix = { .isa = job->isa,
                                 .m = rows,
                                 .n = s->v.width,
                                 .taps = 1,
                                 .depth = s->k.rows,
                                 .panels = w->values,
                                 .out = (float *)job->ctx->outputs[0]->data + batch * s->y.batch +
                                        head * s->y.head + first * s->y.row,
                                 .ld = s->y.row };
    for (int64_t r = 0; r < rows; r++)
        w->table[r] = q + r * s->q.row;
    native_product_run(&score, w->table, 0, rows, 0, native_ceil(score.n, job->isa->columns));
    for (int64_t r = 0; r < rows; r++) {
        w->table[r] = w->scores + r * s->score_step;
        weigh(job, batch, head, first + r, w->scores + r * s->score_step);
    }
    native_product_run(&mix, w->table, 0, rows, 0, native_ceil(mix.n, job->isa->columns));
}

static tn_status attention_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const attention_job *job = user;
    const attention_state *s = job->s;
    const workspace w = workspace_of(job, thread);
    for (int64_t item = begin; item < end; item++) {
        const int64_t batch = item / s->q.heads, head = item % s->q.heads;
        const int64_t shared = head / (s->q.heads / s->k.heads); /* by a group of query heads */
        const float *keys = (const float *)job->ctx->inputs[IN_K]->data + batch * s->k.batch +
                            shared * s->k.head;
        const native_source values = { .data = (const float *)job->ctx->inputs[IN_V]->data +
                                               batch * s->v.batch + shared * s->v.head,
                                       .taps = 1,
                                       .depth = s->k.rows,
                                       .n = s->v.width,
                                       .row = s->v.row,
                                       .column = 1 };
        pack_keys(job, keys, w.keys);
        native_pack(job->isa, &values, w.values);
        for (int64_t first = 0; first < s->q.rows; first += s->block)
            run_block(job, &w, batch, head, first);
    }
    return TN_OK;
}

static tn_status attention_run(tn_run *ctx, const void *state, void *slot)
{
    const attention_state *s = state;
    attention_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->batches * s->q.heads, 1, attention_chunk,
                                        &job);
}

const tn_kernel_def native_attention_kernels[] = {
    NATIVE_KERNEL("Attention", .since = 23, .state_bytes = sizeof(attention_state),
                  .offer = attention_offer, .measure = attention_measure, .run = attention_run),
    { .op = NULL },
};
