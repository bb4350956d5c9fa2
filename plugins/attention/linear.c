/* plugins/attention/linear.c: LinearAttention (ONNX operators: LinearAttention; gated delta rule: Yang
 * et al., arXiv:2412.06464).
 *
 * A state S of [size of keys, size of values] for each sample and head goes through the sequence:
 *   S <- exp(g) S                     where the rule is gated
 *   S <- S + k (v - beta-part)^T      linear: k v^T;  delta: beta k (v - S^T k)^T
 *   o  = scale * S^T q                for each query head of the group
 *
 * States and sums are doubles, rounded once. chunk_size only matters to how others compute it.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };

static const struct {
    const char *name;
    int gated, delta;
} rules[] = { { "linear", 0, 0 }, { "gated", 1, 0 }, { "delta", 0, 1 }, { "gated_delta", 1, 1 } };

/* The rule's place in the table; -1: unknown. */
static int find_rule(const tn_node_view *node)
{
    const char *name = tn_attr_string(node, "update_rule", "gated_delta");
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (strcmp(name, rules[k].name) == 0)
            return (int)k;
    }
    return -1;
}

/* ---- inference ---------------------------------------------------------------------------------- */

static void check_needed(tn_infer *ctx, uint32_t k, const char *name, int needed)
{
    if (!attn_input(ctx, k) != !needed)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, needed ? TN_WHERE_NODE : TN_WHERE_INPUT, k, NULL,
            needed ? "update_rule '%s' needs input '%s'" : "update_rule '%s' takes no input '%s'",
            tn_attr_string(ctx->node, "update_rule", "gated_delta"), name);
}

static void check_gate(tn_infer *ctx, uint32_t k, const char *name, tn_dim one, tn_dim other)
{
    const tn_type *query = attn_input(ctx, QUERY), *gate = attn_input(ctx, k);
    if (!gate || !attn_check_rank(ctx, k, name, 3, 3) || !query || query->rank != 3)
        return;
    attn_check_extent(ctx, k, name, 0, query->dims[0], "as many samples as 'query'");
    attn_check_extent(ctx, k, name, 1, query->dims[1], "as many steps as 'query'");
    const tn_dim found = gate->dims[2];
    if (tn_dim_known(found) && tn_dim_known(other) && found != one && found != other)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has extent %" PRId64 " on axis 2: expected %" PRId64
                                 " or %" PRId64,
                                 name, found, one, other);
}

static void check_rule(tn_infer *ctx, int64_t heads, tn_dim width)
{
    const int rule = find_rule(ctx->node);
    if (rule < 0) {
        ctx->call.host->complain(
            &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "update_rule",
            "update_rule is '%s': expected linear, gated, delta or gated_delta",
            tn_attr_string(ctx->node, "update_rule", ""));
        return;
    }
    check_needed(ctx, DECAY, "decay", rules[rule].gated);
    check_needed(ctx, BETA, "beta", rules[rule].delta);
    check_gate(ctx, DECAY, "decay", heads, tn_dim_known(width) ? width * heads : TN_DIM_UNKNOWN);
    check_gate(ctx, BETA, "beta", heads, 1);
}

static void check_state(tn_infer *ctx, const tn_dim *state)
{
    static const char *const what[] = { "as many samples as 'query'", "kv_num_heads",
                                        "the head size of 'key'", "the head size of 'value'" };
    if (!attn_check_rank(ctx, PAST, "past_state", 4, 4))
        return;
    for (int32_t axis = 0; axis < 4; axis++)
        attn_check_extent(ctx, PAST, "past_state", axis, state[axis], what[axis]);
}

static tn_dim split(tn_infer *ctx, uint32_t k, const char *name, int64_t heads)
{
    if (!attn_check_rank(ctx, k, name, 3, 3))
        return TN_DIM_UNKNOWN;
    return attn_split_heads(ctx, k, name, ctx->inputs[k]->dims[2], heads);
}

static tn_status infer(tn_infer *ctx)
{
    const int64_t query_heads = tn_attr_int(ctx->node, "q_num_heads", 0);
    const int64_t heads = tn_attr_int(ctx->node, "kv_num_heads", 0);
    const tn_type *query = attn_input(ctx, QUERY), *past = attn_input(ctx, PAST);
    if (heads < 1 || query_heads < 1 || query_heads % heads) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "q_num_heads",
                                 "q_num_heads is %" PRId64
                                 ": expected a positive multiple of kv_num_heads, %" PRId64,
                                 query_heads, heads);
        return TN_OK;
    }
    const tn_dim width = split(ctx, QUERY, "query", query_heads);
    const tn_dim key_width = split(ctx, KEY, "key", heads);
    const tn_dim value_width = split(ctx, VALUE, "value", heads);
    const int known = query && query->rank == 3;
    if (tn_dim_known(width) && tn_dim_known(key_width) && width != key_width)
        attn_check_extent(ctx, KEY, "key", 2, width * heads,
                          "kv_num_heads times the head size of 'query'");
    for (uint32_t k = KEY; known && k <= VALUE; k++) {
        attn_check_extent(ctx, k, k == KEY ? "key" : "value", 0, query->dims[0],
                          "as many samples as 'query'");
        attn_check_extent(ctx, k, k == KEY ? "key" : "value", 1, query->dims[1],
                          "as many steps as 'query'");
    }
    check_rule(ctx, heads, width);
    const tn_dim batch = known ? query->dims[0] : TN_DIM_UNKNOWN;
    const tn_dim out[3] = { batch, known ? query->dims[1] : TN_DIM_UNKNOWN,
                            tn_dim_mul(ctx, query_heads, value_width) };
    const tn_dim state[4] = { batch, heads, width, value_width };
    check_state(ctx, state);
    attn_set_shape(ctx, 0, 3, out);
    attn_set_shape(ctx, 1, 4, state);
    /* Without a past nothing names the type of the state: it is that of the queries. */
    if (ctx->output_count > 1 && !past && query)
        ctx->outputs[1].dtype = query->dtype;
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const double steps = (double)ctx->inputs[QUERY]->dims[0] * (double)ctx->inputs[QUERY]->dims[1];
    const double width = (double)ctx->inputs[QUERY]->dims[2] /
                         (double)tn_attr_int(ctx->node, "q_num_heads", 1);
    const double values = (double)ctx->inputs[VALUE]->dims[2];
    const double heads = (double)tn_attr_int(ctx->node, "kv_num_heads", 1);
    const int rule = find_rule(ctx->node);
    const double updates = rule < 0 ? 1 : 1.0 + rules[rule].gated + rules[rule].delta;
    const double group = (double)tn_attr_int(ctx->node, "q_num_heads", 1) / heads;
    out->macs = steps * width * values * (updates + group);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    attn_rows q, k, v;
    const tn_tensor *past, *decay, *beta;
    tn_tensor *out, *present;
    int64_t group, steps;
    double scale;
    double *scratch;
    int64_t scratch_step;
} job;

/* One head's buffers: state, then a row of keys, of values, of outputs. */
typedef struct head {
    double *state, *key, *value, *sum;
} head;

static void load_row(const attn_rows *rows, int64_t b, int64_t h, int64_t t, double *out)
{
    const int64_t first = attn_rows_at(rows, b, h, t);
    for (int64_t k = 0; k < rows->width; k++)
        out[k] = tn_get_double(rows->tensor->dtype, rows->tensor->data, first + k);
}

static double gate(const tn_tensor *tensor, int64_t row, int64_t column)
{
    return tn_get_double(tensor->dtype, tensor->data, row * tensor->dims[2] + column);
}

static void fade(const job *j, const head *w, int64_t row, int64_t h)
{
    const int64_t heads = j->k.heads, width = j->k.width;
    const int by_head = j->decay->dims[2] == heads;
    for (int64_t k = 0; k < width; k++) {
        const double factor = exp(gate(j->decay, row, by_head ? h : h * width + k));
        for (int64_t v = 0; v < j->v.width; v++)
            w->state[k * j->v.width + v] *= factor;
    }
}

/* sum = S^T vector */
static void read_state(const job *j, const head *w, const double *vector)
{
    memset(w->sum, 0, (size_t)j->v.width * sizeof *w->sum);
    for (int64_t k = 0; k < j->k.width; k++) {
        for (int64_t v = 0; v < j->v.width; v++)
            w->sum[v] += w->state[k * j->v.width + v] * vector[k];
    }
}

static void update(const job *j, const head *w, int64_t row, int64_t h)
{
    if (j->decay)
        fade(j, w, row, h);
    if (j->beta) {
        const double rate = gate(j->beta, row, j->beta->dims[2] == 1 ? 0 : h);
        read_state(j, w, w->key);
        for (int64_t v = 0; v < j->v.width; v++)
            w->value[v] = rate * (w->value[v] - w->sum[v]);
    }
    for (int64_t k = 0; k < j->k.width; k++) {
        for (int64_t v = 0; v < j->v.width; v++)
            w->state[k * j->v.width + v] += w->key[k] * w->value[v];
    }
}

static void answer(const job *j, const head *w, int64_t b, int64_t h, int64_t t)
{
    for (int64_t g = 0; g < j->group; g++) {
        const int64_t query_head = h * j->group + g;
        load_row(&j->q, b, query_head, t, w->key);
        read_state(j, w, w->key);
        const int64_t first = ((b * j->steps + t) * j->q.heads + query_head) * j->v.width;
        for (int64_t v = 0; v < j->v.width; v++)
            tn_set_float(j->out->dtype, j->out->data, first + v, j->scale * w->sum[v]);
    }
}

static tn_status run_heads(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t size = j->k.width * j->v.width;
    double *base = j->scratch + thread * j->scratch_step;
    const head w = { base, base + size, base + size + j->k.width,
                     base + size + j->k.width + j->v.width };
    for (int64_t at = begin; at < end; at++) {
        const int64_t h = at % j->k.heads, b = at / j->k.heads;
        for (int64_t k = 0; k < size; k++)
            w.state[k] = j->past ? tn_get_double(j->past->dtype, j->past->data, at * size + k) : 0;
        for (int64_t t = 0; t < j->steps; t++) {
            load_row(&j->k, b, h, t, w.key);
            load_row(&j->v, b, h, t, w.value);
            update(j, &w, b * j->steps + t, h);
            if (j->out)
                answer(j, &w, b, h, t);
        }
        for (int64_t k = 0; j->present && k < size; k++)
            tn_set_float(j->present->dtype, j->present->data, at * size + k, w.state[k]);
    }
    return TN_OK;
}

static int64_t scratch_size(int64_t width, int64_t value_width)
{
    return width * value_width + width + 2 * value_width;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const int64_t heads = tn_attr_int(ctx->node, "kv_num_heads", 1);
    job j = { .run = ctx,
              .past = attn_operand(ctx, PAST),
              .decay = attn_operand(ctx, DECAY),
              .beta = attn_operand(ctx, BETA),
              .out = attn_output(ctx, 0),
              .present = attn_output(ctx, 1),
              .scale = (double)tn_attr_float(ctx->node, "scale", 0),
              .scratch = ctx->scratch };
    (void)state, (void)slot;
    attn_rows_init(&j.q, ctx->inputs[QUERY], tn_attr_int(ctx->node, "q_num_heads", 1));
    attn_rows_init(&j.k, ctx->inputs[KEY], heads);
    attn_rows_init(&j.v, ctx->inputs[VALUE], heads);
    j.group = j.q.heads / j.k.heads;
    j.steps = j.q.rows;
    j.scratch_step = attn_scratch_step(scratch_size(j.k.width, j.v.width));
    if (j.scale == 0)
        j.scale = 1 / sqrt((double)j.q.width);
    return ctx->call.host->parallel_for(&ctx->call, j.k.batch * j.k.heads, 1, run_heads, &j);
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const int64_t heads = tn_attr_int(p->node, "kv_num_heads", 1);
    const double width = (double)(p->inputs[KEY]->dims[2] / heads);
    const double value_width = (double)(p->inputs[VALUE]->dims[2] / heads);
    (void)state;
    return attn_scratch(ctx, width * value_width + width + 2 * value_width);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "query", "T", T_MASK, 0, 0, "[batch, steps, q_num_heads * size]" },
    { "key", "T", T_MASK, 0, 0, "[batch, steps, kv_num_heads * size]" },
    { "value", "T", T_MASK, 0, 0, "[batch, steps, kv_num_heads * size of values]" },
    { "past_state", "S", T_MASK, TN_PARAM_OPTIONAL, 0,
      "the state to begin with: [batch, kv_num_heads, size, size of values]; 0 when absent" },
    { "decay", "T", T_MASK, TN_PARAM_OPTIONAL, 0,
      "logarithm of what stays: [batch, steps, kv_num_heads * size] or [batch, steps, kv_num_heads]" },
    { "beta", "T", T_MASK, TN_PARAM_OPTIONAL, 0,
      "rate of the update: [batch, steps, kv_num_heads] or [batch, steps, 1]" },
};
static const tn_param_def outputs[] = {
    { "output", "T", T_MASK, 0, 0, "[batch, steps, q_num_heads * size of values]" },
    { "present_state", "S", T_MASK, 0, 0, "the last state, like past_state" },
};
static const tn_attribute_def attributes[] = {
    { .name = "chunk_size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 64,
      .doc = "a hint that changes no answer" },
    { .name = "kv_num_heads",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "heads of keys, values and states" },
    { .name = "q_num_heads",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "heads of queries, a multiple of kv_num_heads" },
    { .name = "scale",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "factor of the output; 0: 1 / sqrt(size)" },
    { .name = "update_rule",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "gated_delta",
      .doc = "linear, gated, delta or gated_delta" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 27,
    .name = "LinearAttention",
    .doc =
        "Attention without softmax: a state takes up keys and values, step by step, and answers queries.",
    .inputs = inputs,
    .input_count = 6,
    .outputs = outputs,
    .output_count = 2,
    .attributes = attributes,
    .attribute_count = 5,
    .infer = infer,
    .cost = cost,
    .samplewise = samplewise,
    .expand = linear_write_out,
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "LinearAttention",
                                      .measure = measure,
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status linear_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
