/* plugins/attention/flex.c: FlexAttention (ONNX, domain ai.onnx.preview: FlexAttention).
 *
 *   S = score_mod(scale * Q K^T),   P = prob_mod(softmax(S)),   Y = P V
 *
 * score_mod and prob_mod are bodies that take and give all scores, [batch, heads, queries, keys], at
 * once, in the type that softmax_precision names (float32; float64 for inputs of it). A body that
 * is absent changes nothing. Sums and softmax are computed in double; what a body sees is rounded
 * to its type.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

enum { Q, K, V };

static uint32_t score_type(const tn_node_view *node, uint32_t dtype)
{
    const tn_attribute *told = tn_attr(node, "softmax_precision");
    if (told && told->type == TN_ATTR_INT)
        return (uint32_t)told->i;
    return dtype == TN_FLOAT64 ? TN_FLOAT64 : TN_FLOAT32;
}

/* ---- inference ---------------------------------------------------------------------------------- */

static tn_status infer_body(tn_infer *ctx, const char *name, const tn_type *scores)
{
    tn_type out = { .size = sizeof out, .rank = -1 };
    if (!tn_attr(ctx->node, name))
        return TN_OK;
    TN_TRY(ctx->call.host->infer_region(&ctx->call, name, &scores, 1, &out, 1));
    if (out.dtype != TN_UNDEFINED && scores->dtype != TN_UNDEFINED && out.dtype != scores->dtype)
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s gives elements of type %u: expected type %u, as it is given",
                                 name, out.dtype, scores->dtype);
    if (out.rank >= 0 && scores->rank >= 0 && out.rank != scores->rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "%s gives rank %d: expected %d", name, out.rank, scores->rank);
        return TN_OK;
    }
    for (int32_t axis = 0; axis < out.rank && scores->rank >= 0; axis++) {
        const tn_dim found = out.dims[axis], wanted = scores->dims[axis];
        if (tn_dim_known(found) && tn_dim_known(wanted) && found != wanted)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_ATTRIBUTE, 0, name,
                                     "%s gives extent %" PRId64 " on axis %d: expected %" PRId64,
                                     name, found, axis, wanted);
    }
    return TN_OK;
}

static void check_shapes(tn_infer *ctx, const tn_dim *q, const tn_dim *k)
{
    for (uint32_t i = K; i <= V; i++)
        attn_check_extent(ctx, i, i == K ? "K" : "V", 0, q[0], "as many samples as 'Q'");
    attn_check_extent(ctx, K, "K", 3, q[3], "the head size of 'Q'");
    attn_check_extent(ctx, V, "V", 1, k[1], "as many heads as 'K'");
    attn_check_extent(ctx, V, "V", 2, k[2], "as many rows as 'K'");
    attn_check_groups(ctx, K, q[1], k[1]);
}

static tn_status infer(tn_infer *ctx)
{
    static const tn_dim unknown[4] = { TN_DIM_UNKNOWN, TN_DIM_UNKNOWN, TN_DIM_UNKNOWN,
                                       TN_DIM_UNKNOWN };
    const tn_dim *q = attn_check_rank(ctx, Q, "Q", 4, 4) ? ctx->inputs[Q]->dims : unknown;
    const tn_dim *k = attn_check_rank(ctx, K, "K", 4, 4) ? ctx->inputs[K]->dims : unknown;
    const tn_dim *v = attn_check_rank(ctx, V, "V", 4, 4) ? ctx->inputs[V]->dims : unknown;
    const uint32_t dtype = attn_input(ctx, Q) ? ctx->inputs[Q]->dtype : TN_UNDEFINED;
    const int64_t precision = tn_attr_int(ctx->node, "softmax_precision", TN_FLOAT32);
    if (precision < 0 || precision >= TN_DTYPE_COUNT || !(TN_BIT(precision) & TN_MASK_FLOAT)) {
        attn_bad_attribute(ctx, "softmax_precision", precision,
                           "1 (float32), 10 (float16), 11 (float64) or 16 (bfloat16)");
        return TN_OK;
    }
    check_shapes(ctx, q, k);
    const tn_dim out[4] = { q[0], q[1], q[2], v[3] };
    attn_set_shape(ctx, 0, 4, out);
    const tn_type scores = {
        .size = sizeof scores,
        .dtype = dtype == TN_UNDEFINED && !tn_attr(ctx->node, "softmax_precision")
                     ? (uint32_t)TN_UNDEFINED
                     : score_type(ctx->node, dtype),
        .rank = 4,
        .dims = { q[0], q[1], q[2], k[2] },
    };
    TN_TRY(infer_body(ctx, "score_mod", &scores));
    return infer_body(ctx, "prob_mod", &scores);
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_dim *q = ctx->inputs[Q]->dims, *k = ctx->inputs[K]->dims, *v = ctx->inputs[V]->dims;
    const double scores = (double)q[0] * (double)q[1] * (double)q[2] * (double)k[2];
    out->macs = scores * ((double)q[3] + (double)v[3]);
    out->ops = scores * 4;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    attn_rows q, k, v;
    tn_tensor *scores; /* what the next stage reads or writes, one row for each query */
    int64_t group;
    double scale;
    double *scratch;
    int64_t scratch_step;
} job;

static double *room(const job *j, uint32_t thread)
{
    return j->scratch + thread * j->scratch_step;
}

static tn_status score_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *query = room(j, thread);
    for (int64_t row = begin; row < end; row++) {
        const int64_t h = row / j->q.rows % j->q.heads, b = row / j->q.rows / j->q.heads;
        for (int64_t k = 0; k < j->q.width; k++)
            query[k] = tn_get_double(j->q.tensor->dtype, j->q.tensor->data, row * j->q.width + k);
        for (int64_t key = 0; key < j->k.rows; key++)
            tn_set_float(j->scores->dtype, j->scores->data, row * j->k.rows + key,
                         j->scale *
                             attn_dot(&j->k, attn_rows_at(&j->k, b, h / j->group, key), query));
    }
    return TN_OK;
}

static tn_status softmax_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *weights = room(j, thread);
    tn_tensor *s = j->scores;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t key = 0; key < j->k.rows; key++)
            weights[key] = tn_get_double(s->dtype, s->data, row * j->k.rows + key);
        attn_softmax(weights, j->k.rows);
        for (int64_t key = 0; key < j->k.rows; key++)
            tn_set_float(s->dtype, s->data, row * j->k.rows + key, weights[key]);
    }
    return TN_OK;
}

static tn_status mix_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *sum = room(j, thread);
    const tn_tensor *s = j->scores;
    tn_tensor *y = j->run->outputs[0];
    for (int64_t row = begin; row < end; row++) {
        const int64_t h = row / j->q.rows % j->q.heads, b = row / j->q.rows / j->q.heads;
        memset(sum, 0, (size_t)j->v.width * sizeof *sum);
        for (int64_t key = 0; key < j->k.rows; key++)
            attn_add_scaled(&j->v, attn_rows_at(&j->v, b, h / j->group, key),
                            tn_get_double(s->dtype, s->data, row * j->k.rows + key), sum);
        for (int64_t k = 0; k < j->v.width; k++)
            tn_set_float(y->dtype, y->data, row * j->v.width + k, sum[k]);
    }
    return TN_OK;
}

static tn_status for_rows(job *j, tn_chunk_fn stage)
{
    return j->run->call.host->parallel_for(&j->run->call, j->q.batch * j->q.heads * j->q.rows,
                                           1 + 16384 / (j->k.rows * j->q.width + 1), stage, j);
}

static tn_status check_answer(const job *j, const char *name, const tn_tensor *answer)
{
    const int64_t wanted[4] = { j->q.batch, j->q.heads, j->q.rows, j->k.rows };
    int same = answer && answer->kind == TN_TENSOR && answer->dtype == j->scores->dtype &&
               answer->rank == 4;
    for (int32_t axis = 0; same && axis < 4; axis++)
        same = answer->dims[axis] == wanted[axis];
    if (same)
        return TN_OK;
    return tn_fail(j->run, TN_ERR_SHAPE,
                   "%s gave a tensor of another type or shape than [%" PRId64 ",%" PRId64
                   ",%" PRId64 ",%" PRId64 "], which it was given",
                   name, wanted[0], wanted[1], wanted[2], wanted[3]);
}

/* Sends j->scores through a body and copies the answer back, so that the later stages may write. */
static tn_status modify(job *j, const char *name)
{
    const tn_tensor *in = j->scores, *out = NULL;
    const tn_host *host = j->run->call.host;
    if (!tn_attr(j->run->node, name))
        return TN_OK;
    TN_TRY(host->run_region(&j->run->call, name, &in, 1, &out, 1));
    const tn_status status = check_answer(j, name, out);
    if (status == TN_OK && out->data != j->scores->data)
        memcpy(j->scores->data, out->data, j->scores->bytes);
    host->value_release(&j->run->call, out);
    return status;
}

static tn_status run_stages(job *j)
{
    TN_TRY(for_rows(j, score_rows));
    TN_TRY(modify(j, "score_mod"));
    TN_TRY(for_rows(j, softmax_rows));
    TN_TRY(modify(j, "prob_mod"));
    /* What bodies give, only running them tells: hosts leave the outputs of such nodes late. */
    if (!j->run->outputs[0]->data) {
        const int64_t dims[4] = { j->q.batch, j->q.heads, j->q.rows, j->v.width };
        TN_TRY(j->run->call.host->output_alloc(&j->run->call, 0, 4, dims));
    }
    return for_rows(j, mix_rows);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_attribute *scale = tn_attr(ctx->node, "scale");
    job j = { .run = ctx, .scratch = ctx->scratch };
    (void)state, (void)slot;
    attn_rows_init(&j.q, ctx->inputs[Q], 0);
    attn_rows_init(&j.k, ctx->inputs[K], 0);
    attn_rows_init(&j.v, ctx->inputs[V], 0);
    j.group = j.q.heads / j.k.heads;
    j.scale = scale ? scale->f : 1 / sqrt((double)j.q.width);
    j.scratch_step = attn_scratch_step(j.q.width + j.k.rows + j.v.width);
    const tn_type type = { .size = sizeof type,
                           .dtype = score_type(ctx->node, ctx->inputs[Q]->dtype),
                           .rank = 4,
                           .dims = { j.q.batch, j.q.heads, j.q.rows, j.k.rows } };
    TN_TRY(ctx->call.host->value_make(&ctx->call, &type, &j.scores));
    const tn_status status = run_stages(&j);
    ctx->call.host->value_release(&ctx->call, j.scores);
    return status;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *const *in = ctx->problem->inputs;
    (void)state;
    return attn_scratch(ctx,
                        (double)in[Q]->dims[3] + (double)in[K]->dims[2] + (double)in[V]->dims[3]);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "Q", "T1", TN_MASK_FLOAT, 0, 0, "[batch, heads, queries, size]" },
    { "K", "T1", TN_MASK_FLOAT, 0, 0, "[batch, heads, keys, size]; maybe fewer heads" },
    { "V", "T1", TN_MASK_FLOAT, 0, 0, "[batch, heads, keys, size of values]" },
};
static const tn_param_def outputs[] = { { "Y", "T1", TN_MASK_FLOAT, 0, 0,
                                          "[batch, heads, queries, size of values]" } };
static const tn_attribute_def attributes[] = {
    { .name = "prob_mod", .type = TN_ATTR_GRAPH, .doc = "changes the probabilities" },
    { .name = "scale", .type = TN_ATTR_FLOAT, .doc = "factor of Q K^T; 1 / sqrt(size)" },
    { .name = "score_mod", .type = TN_ATTR_GRAPH, .doc = "changes the scores before softmax" },
    { .name = "softmax_precision",
      .type = TN_ATTR_INT,
      .doc = "type of scores and probabilities: 1, 10, 11 or 16" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 1,
    .domain = "ai.onnx.preview",
    .name = "FlexAttention",
    .doc = "Attention whose scores and probabilities go through graphs of the user's own.",
    .inputs = inputs,
    .input_count = 3,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 4,
    .traits = TN_REGIONS,
    .infer = infer,
    .cost = cost,
    .expand = flex_write_out,
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .domain = "ai.onnx.preview",
                                      .op = "FlexAttention",
                                      .measure = measure,
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS };

tn_status flex_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
