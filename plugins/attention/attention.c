/* plugins/attention/attention.c: scaled dot-product attention (ONNX operators: Attention; Vaswani et
 * al., arXiv:1706.03762; grouped heads: Ainslie et al., arXiv:2305.13245).
 *
 *   S = softcap(scale * Q K^T) + bias,   P = softmax(S),   Y = P V
 *
 * for each sample and head of queries; a group of query heads shares one head of keys and values.
 * softcap(s) = c tanh(s / c) where c is not 0. The bias is the mask (bool: 0 or -infinity), and
 * -infinity for keys behind the causal frontier, outside the window, or beyond nonpad_kv_seqlen.
 * Query i stands at i + offset: offset is the length of the past, or nonpad_kv_seqlen less the
 * queries, or 0. A row that may see no key is 0, as the standard's errata of 1.23 say.
 *
 * All is computed in double, whatever softmax_precision says, and rounded once.
 *
 * Version 23 lets a mask of extent 1 on the last axis repeat; from 24 on a mask that is too short
 * goes on with -infinity, also when its extent is 1. Hence two rows of the table; once ranks are
 * known, a node of 23 becomes one of the newest (attention_write.c).
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD };
enum { Y, PRESENT_KEY, PRESENT_VALUE, PRODUCT };
enum { MODE_RAW, MODE_CAPPED, MODE_BIASED, MODE_SOFTMAX };

/* ---- inference ---------------------------------------------------------------------------------- */

typedef struct extents {
    tn_dim batch, query_heads, queries, width;
    tn_dim heads, keys, value_width, past, total;
} extents;

static void check_attributes(tn_infer *ctx)
{
    const int64_t mode = tn_attr_int(ctx->node, "qk_matmul_output_mode", 0);
    const int64_t precision = tn_attr_int(ctx->node, "softmax_precision", TN_FLOAT32);
    const int64_t left = tn_attr_int(ctx->node, "left_window_size", -1);
    const int64_t right = tn_attr_int(ctx->node, "right_window_size", -1);
    if (mode < MODE_RAW || mode > MODE_SOFTMAX)
        attn_bad_attribute(ctx, "qk_matmul_output_mode", mode, "0 to 3");
    if (precision < 0 || precision >= TN_DTYPE_COUNT || !(TN_BIT(precision) & TN_MASK_FLOAT))
        attn_bad_attribute(ctx, "softmax_precision", precision,
                           "1 (float32), 10 (float16), 11 (float64) or 16 (bfloat16)");
    if (left < -1)
        attn_bad_attribute(ctx, "left_window_size", left, "-1 (no bound) or more");
    if (right < -1)
        attn_bad_attribute(ctx, "right_window_size", right, "-1 (no bound) or more");
}

/* Heads that a packed input needs to be told of; unknown, with a complaint, where it is not. */
static tn_dim told_heads(tn_infer *ctx, const char *name)
{
    const tn_attribute *heads = tn_attr(ctx->node, name);
    if (heads && heads->type == TN_ATTR_INT && heads->i > 0)
        return heads->i;
    if (heads && heads->type == TN_ATTR_INT)
        attn_bad_attribute(ctx, name, heads->i, "1 or more");
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s is missing: inputs of rank 3 need it", name);
    return TN_DIM_UNKNOWN;
}

static void read_packed(tn_infer *ctx, extents *e)
{
    const tn_type *const *in = ctx->inputs;
    e->query_heads = told_heads(ctx, "q_num_heads");
    e->heads = told_heads(ctx, "kv_num_heads");
    e->batch = in[Q]->dims[0];
    e->queries = in[Q]->dims[1];
    e->width = attn_split_heads(ctx, Q, "Q", in[Q]->dims[2], e->query_heads);
    attn_check_extent(ctx, K, "K", 0, e->batch, "as many samples as 'Q'");
    attn_check_extent(ctx, V, "V", 0, e->batch, "as many samples as 'Q'");
    if (attn_input(ctx, K) && in[K]->rank == 3) {
        const tn_dim width = attn_split_heads(ctx, K, "K", in[K]->dims[2], e->heads);
        e->keys = in[K]->dims[1];
        if (tn_dim_known(width) && tn_dim_known(e->width) && width != e->width)
            attn_check_extent(ctx, K, "K", 2, e->width * e->heads,
                              "kv_num_heads times the head size of 'Q'");
    }
    if (attn_input(ctx, V) && in[V]->rank == 3)
        e->value_width = attn_split_heads(ctx, V, "V", in[V]->dims[2], e->heads);
    attn_check_extent(ctx, V, "V", 1, e->keys, "as many rows as 'K'");
}

static void read_heads(tn_infer *ctx, extents *e)
{
    const tn_type *const *in = ctx->inputs;
    e->batch = in[Q]->dims[0];
    e->query_heads = in[Q]->dims[1];
    e->queries = in[Q]->dims[2];
    e->width = in[Q]->dims[3];
    for (uint32_t k = K; k <= V; k++)
        attn_check_extent(ctx, k, k == K ? "K" : "V", 0, e->batch, "as many samples as 'Q'");
    attn_check_extent(ctx, K, "K", 3, e->width, "the head size of 'Q'");
    if (attn_input(ctx, K) && in[K]->rank == 4) {
        e->heads = in[K]->dims[1];
        e->keys = in[K]->dims[2];
        attn_check_extent(ctx, V, "V", 1, e->heads, "as many heads as 'K'");
        attn_check_extent(ctx, V, "V", 2, e->keys, "as many rows as 'K'");
    }
    if (attn_input(ctx, V) && in[V]->rank == 4)
        e->value_width = in[V]->dims[3];
}

static void check_past(tn_infer *ctx, extents *e)
{
    static const char *const names[] = { "past_key", "past_value" };
    const tn_type *key = attn_input(ctx, PAST_KEY), *value = attn_input(ctx, PAST_VALUE);
    e->past = 0;
    if (!key != !value)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT,
                                 key ? PAST_KEY : PAST_VALUE, NULL,
                                 "input '%s' stands without '%s': expected both or none",
                                 names[key ? 0 : 1], names[key ? 1 : 0]);
    if (key || value)
        e->past = TN_DIM_UNKNOWN;
    for (uint32_t k = 0; k < 2; k++) {
        if (!attn_check_rank(ctx, PAST_KEY + k, names[k], 4, 4))
            continue;
        attn_check_extent(ctx, PAST_KEY + k, names[k], 0, e->batch, "as many samples as 'Q'");
        attn_check_extent(ctx, PAST_KEY + k, names[k], 1, e->heads, "the heads of 'K'");
        attn_check_extent(ctx, PAST_KEY + k, names[k], 2, e->past, "as many rows as 'past_key'");
        attn_check_extent(ctx, PAST_KEY + k, names[k], 3, k ? e->value_width : e->width,
                          k ? "the head size of 'V'" : "the head size of 'K'");
        if (!tn_dim_known(e->past))
            e->past = ctx->inputs[PAST_KEY + k]->dims[2];
    }
    e->total = tn_dim_add(ctx, e->past, e->keys);
}

static void check_nonpad(tn_infer *ctx, const extents *e)
{
    if (!attn_input(ctx, NONPAD))
        return;
    if (attn_input(ctx, PAST_KEY))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, NONPAD, NULL,
                                 "input 'nonpad_kv_seqlen' stands beside 'past_key': expected one "
                                 "of them at most");
    if (attn_check_rank(ctx, NONPAD, "nonpad_kv_seqlen", 1, 1))
        attn_check_extent(ctx, NONPAD, "nonpad_kv_seqlen", 0, e->batch, "as many samples as 'Q'");
}

static int may_be_short(const tn_node_view *node)
{
    return node->version >= 24;
}

static void check_mask(tn_infer *ctx, const extents *e)
{
    const tn_dim full[4] = { e->batch, e->query_heads, e->queries, e->total };
    const tn_type *mask = attn_input(ctx, MASK);
    if (!mask || !attn_check_rank(ctx, MASK, "attn_mask", 1, 4))
        return;
    for (int32_t axis = 0; axis < mask->rank; axis++) {
        const tn_dim found = mask->dims[axis], wanted = full[axis + 4 - mask->rank];
        const int last = axis == mask->rank - 1;
        if (!tn_dim_known(found) || !tn_dim_known(wanted) || found == 1 || found == wanted)
            continue;
        if (last && may_be_short(ctx->node) && found < wanted)
            continue;
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, MASK, NULL,
            "input 'attn_mask' has extent %" PRId64 " on axis %d: expected 1 or %" PRId64 "%s",
            found, axis, wanted, last && may_be_short(ctx->node) ? " at most" : "");
    }
}

/* Answers the rank of Q, K and V; -1: none is known, or they differ. */
static int32_t read_extents(tn_infer *ctx, extents *e)
{
    static const char *const names[] = { "Q", "K", "V" };
    *e = (extents){ TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN,
                    TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN };
    if (!attn_check_rank(ctx, Q, "Q", 3, 4))
        return -1;
    const int32_t rank = ctx->inputs[Q]->rank;
    for (uint32_t k = K; k <= V; k++) {
        const tn_type *type = attn_input(ctx, k);
        if (type && type->rank >= 0 && !attn_check_rank(ctx, k, names[k], rank, rank))
            return -1;
    }
    if (rank == 3)
        read_packed(ctx, e);
    else
        read_heads(ctx, e);
    attn_check_groups(ctx, K, e->query_heads, e->heads);
    check_past(ctx, e);
    check_nonpad(ctx, e);
    check_mask(ctx, e);
    return rank;
}

static tn_status infer(tn_infer *ctx)
{
    extents e;
    check_attributes(ctx);
    const int32_t rank = read_extents(ctx, &e);
    if (rank < 0)
        return TN_OK;
    const tn_dim packed[3] = { e.batch, e.queries, tn_dim_mul(ctx, e.query_heads, e.value_width) };
    const tn_dim plain[4] = { e.batch, e.query_heads, e.queries, e.value_width };
    const tn_dim key[4] = { e.batch, e.heads, e.total, e.width };
    const tn_dim value[4] = { e.batch, e.heads, e.total, e.value_width };
    const tn_dim product[4] = { e.batch, e.query_heads, e.queries, e.total };
    attn_set_shape(ctx, Y, rank, rank == 3 ? packed : plain);
    attn_set_shape(ctx, PRESENT_KEY, 4, key);
    attn_set_shape(ctx, PRESENT_VALUE, 4, value);
    attn_set_shape(ctx, PRODUCT, 4, product);
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    extents e;
    if (read_extents(ctx, &e) < 0)
        return TN_OK;
    const double scores = (double)e.batch * (double)e.query_heads * (double)e.queries *
                          (double)e.total;
    out->macs = scores * ((double)e.width + (double)e.value_width);
    out->ops = scores * 4;
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    const tn_type *mask = attn_input(ctx, MASK);
    if (mask && (mask->rank < 4 || mask->dims[0] == 1))
        input_axes[MASK] = -1;
    else if (mask && mask->dims[0] != ctx->inputs[Q]->dims[0])
        return TN_NO_MATCH;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    attn_rows q, k, v, past_key, past_value, y;
    const tn_tensor *mask, *nonpad;
    tn_tensor *product;
    int64_t mask_steps[4], mask_keys; /* keys beyond mask_keys are out */
    int64_t past, total, group, left, right, mode;
    double scale, softcap;
    int causal;
    double *scratch;
    int64_t scratch_step;
} job;

static void init_mask(job *j)
{
    const int64_t *dims = j->mask->dims;
    const int32_t rank = j->mask->rank;
    int64_t step = 1;
    for (int32_t axis = 3; axis >= 0; axis--) {
        const int32_t own = axis - (4 - rank);
        j->mask_steps[axis] = own < 0 || dims[own] == 1 ? 0 : step;
        step *= own < 0 ? 1 : dims[own];
    }
    j->mask_keys = dims[rank - 1];
    if (j->mask_keys == 1 && !may_be_short(j->run->node))
        j->mask_keys = j->total;
}

/* What is added to the score of a key. */
static double bias(const job *j, int64_t b, int64_t h, int64_t i, int64_t key)
{
    const int64_t valid = j->nonpad ? ((const int64_t *)j->nonpad->data)[b] : j->total;
    const int64_t offset = j->nonpad ? valid - j->q.rows : j->past;
    const int64_t distance = i + offset - key; /* how far the key lies to the left */
    if (key >= valid || (j->causal && distance < 0) || (j->left >= 0 && distance > j->left) ||
        (j->right >= 0 && -distance > j->right))
        return -INFINITY;
    if (!j->mask)
        return 0;
    if (key >= j->mask_keys)
        return -INFINITY;
    const int64_t at = b * j->mask_steps[0] + h * j->mask_steps[1] + i * j->mask_steps[2] +
                       key * j->mask_steps[3];
    if (j->mask->dtype == TN_BOOL)
        return ((const uint8_t *)j->mask->data)[at] ? 0 : -INFINITY;
    return tn_get_double(j->mask->dtype, j->mask->data, at);
}

static double score(const job *j, const double *query, int64_t b, int64_t h, int64_t key)
{
    const int64_t head = h / j->group;
    const double sum = key < j->past
                           ? attn_dot(&j->past_key, attn_rows_at(&j->past_key, b, head, key), query)
                           : attn_dot(&j->k, attn_rows_at(&j->k, b, head, key - j->past), query);
    return sum * j->scale;
}

static void tell(const job *j, int64_t mode, int64_t row, int64_t key, double value)
{
    if (j->product && j->mode == mode)
        tn_set_float(j->product->dtype, j->product->data, row * j->total + key, value);
}

/* Probabilities of all keys for query i. */
static void weigh(const job *j, const double *query, int64_t b, int64_t h, int64_t i, double *out)
{
    const int64_t row = (b * j->q.heads + h) * j->q.rows + i;
    int seen = 0;
    for (int64_t key = 0; key < j->total; key++) {
        double s = score(j, query, b, h, key);
        tell(j, MODE_RAW, row, key, s);
        if (j->softcap > 0)
            s = j->softcap * tanh(s / j->softcap);
        tell(j, MODE_CAPPED, row, key, s);
        const double added = bias(j, b, h, i, key);
        seen |= added != -INFINITY;
        out[key] = s + added;
        tell(j, MODE_BIASED, row, key, out[key]);
    }
    if (seen)
        attn_softmax(out, j->total);
    else
        memset(out, 0, (size_t)j->total * sizeof *out);
    for (int64_t key = 0; key < j->total; key++)
        tell(j, MODE_SOFTMAX, row, key, out[key]);
}

static void mix(const job *j, const double *weights, int64_t b, int64_t head, double *sum)
{
    memset(sum, 0, (size_t)j->v.width * sizeof *sum);
    for (int64_t key = 0; key < j->total; key++) {
        const attn_rows *rows = key < j->past ? &j->past_value : &j->v;
        const int64_t row = key < j->past ? key : key - j->past;
        attn_add_scaled(rows, attn_rows_at(rows, b, head, row), weights[key], sum);
    }
}

static void store_row(const attn_rows *y, int64_t first, const double *sum)
{
    for (int64_t k = 0; k < y->width; k++)
        tn_set_float(y->tensor->dtype, y->tensor->data, first + k, sum[k]);
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *query = j->scratch + thread * j->scratch_step;
    double *weights = query + j->q.width, *sum = weights + j->total;
    for (int64_t row = begin; row < end; row++) {
        const int64_t i = row % j->q.rows, h = row / j->q.rows % j->q.heads;
        const int64_t b = row / j->q.rows / j->q.heads;
        const int64_t first = attn_rows_at(&j->q, b, h, i);
        for (int64_t k = 0; k < j->q.width; k++)
            query[k] = tn_get_double(j->q.tensor->dtype, j->q.tensor->data, first + k);
        weigh(j, query, b, h, i, weights);
        if (!j->y.tensor)
            continue;
        mix(j, weights, b, h / j->group, sum);
        store_row(&j->y, attn_rows_at(&j->y, b, h, i), sum);
    }
    return TN_OK;
}

/* Past and new rows one after the other, as [batch, heads, rows, width]. */
static void join(const job *j, tn_tensor *out, const attn_rows *past, const attn_rows *rows)
{
    const size_t element = tn_dtype_bits(rows->tensor->dtype) / 8;
    const size_t row_bytes = (size_t)rows->width * element;
    char *to = out->data;
    for (int64_t b = 0; row_bytes && b < rows->batch; b++) {
        for (int64_t h = 0; h < rows->heads; h++) {
            for (int64_t r = 0; r < j->total; r++, to += row_bytes) {
                const attn_rows *from = r < j->past ? past : rows;
                const int64_t first = attn_rows_at(from, b, h, r < j->past ? r : r - j->past);
                memcpy(to, (const char *)from->tensor->data + (size_t)first * element, row_bytes);
            }
        }
    }
}

static tn_status init_job(job *j, tn_run *ctx)
{
    const tn_tensor *past = attn_operand(ctx, PAST_KEY);
    const int64_t query_heads = tn_attr_int(ctx->node, "q_num_heads", 1);
    const int64_t heads = tn_attr_int(ctx->node, "kv_num_heads", 1);
    *j = (job){ .run = ctx,
                .mask = attn_operand(ctx, MASK),
                .nonpad = attn_operand(ctx, NONPAD),
                .product = attn_output(ctx, PRODUCT),
                .left = tn_attr_int(ctx->node, "left_window_size", -1),
                .right = tn_attr_int(ctx->node, "right_window_size", -1),
                .mode = tn_attr_int(ctx->node, "qk_matmul_output_mode", 0),
                .softcap = (double)tn_attr_float(ctx->node, "softcap", 0),
                .causal = tn_attr_int(ctx->node, "is_causal", 0) != 0,
                .scratch = ctx->scratch };
    attn_rows_init(&j->q, ctx->inputs[Q], query_heads);
    attn_rows_init(&j->k, ctx->inputs[K], heads);
    attn_rows_init(&j->v, ctx->inputs[V], heads);
    if (past) {
        attn_rows_init(&j->past_key, past, 0);
        attn_rows_init(&j->past_value, ctx->inputs[PAST_VALUE], 0);
        j->past = j->past_key.rows;
    }
    if (attn_output(ctx, Y))
        attn_rows_init(&j->y, ctx->outputs[Y], query_heads);
    j->total = j->past + j->k.rows;
    j->group = j->k.heads ? j->q.heads / j->k.heads : 1;
    const tn_attribute *scale = tn_attr(ctx->node, "scale");
    j->scale = scale ? scale->f : 1 / sqrt((double)j->q.width);
    j->scratch_step = attn_scratch_step(j->q.width + j->total + j->v.width);
    if (j->mask)
        init_mask(j);
    for (int64_t b = 0; j->nonpad && b < j->q.batch; b++) {
        const int64_t valid = ((const int64_t *)j->nonpad->data)[b];
        if (valid < 0 || valid > j->total)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "nonpad_kv_seqlen[%" PRId64 "] is %" PRId64 ": expected 0 to %" PRId64
                           ", the rows of 'K'",
                           b, valid, j->total);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j;
    (void)state, (void)slot;
    TN_TRY(init_job(&j, ctx));
    if (attn_output(ctx, PRESENT_KEY))
        join(&j, ctx->outputs[PRESENT_KEY], &j.past_key, &j.k);
    if (attn_output(ctx, PRESENT_VALUE))
        join(&j, ctx->outputs[PRESENT_VALUE], &j.past_value, &j.v);
    const int64_t work = j.total * (j.q.width + j.v.width);
    return ctx->call.host->parallel_for(&ctx->call, j.q.batch * j.q.heads * j.q.rows,
                                        1 + 16384 / (work + 1), run_rows, &j);
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *q = p->inputs[Q], *k = p->inputs[K], *v = p->inputs[V];
    const tn_type *past = p->own_count > PAST_KEY ? p->inputs[PAST_KEY] : NULL;
    const int packed = q->rank == 3;
    const int64_t query_heads = tn_attr_int(p->node, "q_num_heads", 1);
    const int64_t heads = tn_attr_int(p->node, "kv_num_heads", 1);
    (void)state;
    return attn_scratch(ctx, (double)(packed ? q->dims[2] / query_heads : q->dims[3]) +
                                 (double)(packed ? v->dims[2] / heads : v->dims[3]) +
                                 (double)k->dims[packed ? 1 : 2] +
                                 (double)(past ? past->dims[2] : 0));
}

/* ---- tables ------------------------------------------------------------------------------------- */

/* A mask whose last extent may be 1 repeats in version 23 and is cut short from 24 on. */
static tn_status upgrade(tn_rewrite *ctx, tn_node_id id)
{
    const tn_node_view *node = ctx->api->node(ctx->graph, id);
    if (node->input_count <= MASK || node->inputs[MASK] == TN_NONE)
        return TN_OK;
    const tn_value_view *mask = ctx->api->value(ctx->graph, node->inputs[MASK]);
    const int32_t rank = mask && mask->type ? mask->type->rank : -1;
    if (rank > 0 && tn_dim_known(mask->type->dims[rank - 1]) && mask->type->dims[rank - 1] != 1)
        return TN_OK;
    return tn_fail(ctx, TN_KEEP,
                   "attn_mask may have extent 1 on its last axis, which repeats in "
                   "version 23 only");
}

#define MASK_TYPES (TN_MASK_NUMERIC | TN_BIT(TN_BOOL))
#define OPTIONAL TN_PARAM_OPTIONAL
static const tn_param_def inputs[] = {
    { "Q", "T1", TN_MASK_FLOAT, 0, 0,
      "[batch, heads, queries, size] or [batch, queries, heads * size]" },
    { "K", "T1", TN_MASK_FLOAT, 0, 0, "keys, laid out like Q; maybe fewer heads" },
    { "V", "T2", TN_MASK_FLOAT, 0, 0, "values, laid out like K; maybe of another size" },
    { "attn_mask", "U", MASK_TYPES, OPTIONAL, 0,
      "broadcast to [batch, heads, queries, keys]: bool, or added to the scores" },
    { "past_key", "T1", TN_MASK_FLOAT, OPTIONAL, 0, "keys before K: [batch, heads, past, size]" },
    { "past_value", "T2", TN_MASK_FLOAT, OPTIONAL, 0,
      "values before V: [batch, heads, past, size]" },
    { "nonpad_kv_seqlen", NULL, TN_BIT(TN_INT64), OPTIONAL, 0,
      "how many rows of K and V count, in each sample: [batch]" },
};
static const tn_param_def outputs[] = {
    { "Y", "T1", TN_MASK_FLOAT, 0, 0, "laid out like Q" },
    { "present_key", "T1", TN_MASK_FLOAT, OPTIONAL, 0,
      "past_key and K: [batch, heads, keys, size]" },
    { "present_value", "T2", TN_MASK_FLOAT, OPTIONAL, 0,
      "past_value and V: [batch, heads, keys, size]" },
    { "qk_matmul_output", "T1", TN_MASK_FLOAT, OPTIONAL, 0,
      "scores as qk_matmul_output_mode says: [batch, heads, queries, keys]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "is_causal",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: a query sees no key behind its own position" },
    { .name = "kv_num_heads", .type = TN_ATTR_INT, .doc = "heads of K and V of rank 3" },
    { .name = "q_num_heads", .type = TN_ATTR_INT, .doc = "heads of Q of rank 3" },
    { .name = "qk_matmul_output_mode",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "0: scores as they come, 1: after softcap, 2: with the bias, 3: after softmax" },
    { .name = "scale", .type = TN_ATTR_FLOAT, .doc = "factor of Q K^T; 1 / sqrt(size)" },
    { .name = "softcap",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "bounds the scores smoothly; 0: not" },
    { .name = "softmax_precision", .type = TN_ATTR_INT, .doc = "precision asked for, at least" },
    { .name = "left_window_size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "keys that a query sees to its left; -1: all" },
    { .name = "right_window_size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "keys that a query sees to its right; -1: all" },
};

#define ATTENTION(version, oldest, in_count, attribute_count_, upgrade_, expand_)                  \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = version, .accepts_from = oldest,                 \
        .name = "Attention",                                                                       \
        .doc = "Averages of values, weighted by the softmax of the products of query and keys.",   \
        .inputs = inputs, .input_count = in_count, .outputs = outputs, .output_count = 4,          \
        .attributes = attributes, .attribute_count = attribute_count_, .infer = infer,             \
        .cost = cost, .samplewise = samplewise, .upgrade = upgrade_, .expand = expand_             \
    }
static const tn_operator_def operators[] = {
    ATTENTION(23, 23, 6, 7, NULL, attention_renew),
    ATTENTION(25, 24, 7, 9, upgrade, attention_write_out),
};
static const tn_kernel_def kernel = { .size = sizeof(tn_kernel_def),
                                      .op = "Attention",
                                      .measure = measure,
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status attention_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &operators[0]));
    TN_TRY(registrar->add_operator(registrar, &operators[1]));
    return registrar->add_kernel(registrar, &kernel);
}
