/* attention.c: Attention (ONNX, 23 and 24) without a cache as three primitives: the product
 * scale Q K^T with the mask added by its epilogue, Softmax by rows, the product with V.
 *
 * In: Q, K, V [B, heads, rows, width] or [B, rows, heads * width], heads alike in all three; perhaps
 * a mask, float32 or bool. Out: Y as Q. The scores lie in scratch memory, all of them: the library
 * multiplies a batch of matrices in one call. A bool mask and the causal frontier become a mask of
 * numbers there before. A row that may see no key is 0, while the library's softmax answers
 * anything: such rows are set to zero before they meet V.
 *
 * Left to others: windows, caches, and strict math.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <math.h>
#include <string.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY };

/* Q, K, V or Y as [batch, heads, rows, width]. */
typedef struct head_rows {
    int64_t dims[4], strides[4];
} head_rows;

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

/* What is added to the scores: an input as it is, or numbers made of it in scratch memory. */
typedef struct mask_plan {
    bool given, made, is_bool, causal;
    int64_t dims[4], steps[4]; /* of the sum; steps of the input, 0 where it repeats */
    int64_t heads, queries, keys;
    size_t scores, offset; /* in scratch */
    bool joined;           /* added by the product's epilogue, not by a stage of its own */
} mask_plan;

typedef struct attention_state {
    onednn_state common; /* first: the common life sees no more */
    mask_plan mask;
} attention_state;

/* ---- offer ------------------------------------------------------------------------------ */

static tn_status check_mask(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_type *mask = has(p, IN_MASK) ? p->inputs[IN_MASK] : NULL, *keys = p->inputs[IN_K];
    if (!mask)
        return TN_OK;
    if (mask->dtype != TN_FLOAT32 && mask->dtype != TN_BOOL)
        return tn_fail(ctx, TN_DECLINED, "a mask that is neither float32 nor bool");
    if (mask->rank == 0 ||
        (mask->rank > 0 && keys->rank > 1 && tn_dim_known(mask->dims[mask->rank - 1]) &&
         tn_dim_known(keys->dims[keys->rank - 2]) &&
         mask->dims[mask->rank - 1] != keys->dims[keys->rank - 2]))
        return tn_fail(ctx, TN_DECLINED, "a mask that does not have every key");
    return TN_OK;
}

static tn_status attention_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "oneDNN's softmax loses NaN, which strict math keeps");
    for (uint32_t k = IN_PAST_KEY; k < p->own_count; k++)
        if (p->inputs[k])
            return tn_fail(ctx, TN_DECLINED, "a cache, or lengths of the samples");
    if (tn_attr_float(p->node, "softcap", 0.0f) != 0.0f ||
        tn_attr_int(p->node, "left_window_size", -1) >= 0 ||
        tn_attr_int(p->node, "right_window_size", -1) >= 0)
        return tn_fail(ctx, TN_DECLINED, "softcap or a window");
    TN_TRY(check_mask(ctx));
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT | ONEDNN_BOOL_MASK);
}

/* ---- building --------------------------------------------------------------------------- */

static head_rows rows_of(const tn_type *type, int64_t packed_heads)
{
    const bool packed = type->rank == 3;
    const int64_t heads = packed ? packed_heads : type->dims[1];
    const int64_t rows = type->dims[packed ? 1 : 2];
    const int64_t width = packed ? type->dims[2] / heads : type->dims[3];
    return (head_rows){
        .dims = { type->dims[0], heads, rows, width },
        .strides = { heads * rows * width, packed ? width : rows * width,
                     packed ? heads * width : width, 1 },
    };
}

/* Rows and width change places. */
static head_rows transposed(head_rows r)
{
    const head_rows given = r;
    for (int32_t k = 0; k < 2; k++) {
        r.dims[2 + k] = given.dims[3 - k];
        r.strides[2 + k] = given.strides[3 - k];
    }
    return r;
}

static tn_status append_mask(onednn_builder *b, dnnl_post_ops_t ops, onednn_md mask, int *at)
{
    *at = dnnl_post_ops_len(ops);
    return dnnl_post_ops_append_binary(ops, dnnl_binary_add, mask) == dnnl_success
               ? TN_OK
               : onednn_refuse(b, "oneDNN adds no such mask");
}

/* mask: NULL for none. */
static tn_status begin_scores(onednn_builder *b, float scale, onednn_md mask, int *mask_at)
{
    dnnl_post_ops_t ops = NULL;
    tn_status status = TN_OK;
    if (dnnl_post_ops_create(&ops) != dnnl_success)
        return onednn_refuse(b, "oneDNN made no post-operations");
    if (onednn_post_scale(b->attr, ops, scale) != dnnl_success)
        status = onednn_refuse(b, "oneDNN scales no product");
    if (status == TN_OK && mask)
        status = append_mask(b, ops, mask, mask_at);
    if (status == TN_OK && dnnl_primitive_attr_set_post_ops(b->attr, ops) != dnnl_success)
        status = onednn_refuse(b, "oneDNN refused the post-operations");
    dnnl_post_ops_destroy(ops);
    return status;
}

static tn_status bind_mask(onednn_builder *b, int32_t argument, const mask_plan *m)
{
    return m->made ? onednn_bind(b, argument, ONEDNN_SCRATCH, 0, m->offset)
                   : onednn_bind(b, argument, ONEDNN_INPUT, IN_MASK, 0);
}

static tn_status stage_mask(onednn_builder *b, onednn_md scores, onednn_md mask, const mask_plan *m)
{
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(onednn_fresh_attributes(b));
    status = onednn_binary(b->engine, b->attr, dnnl_binary_add, scores, mask, scores, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC_0, ONEDNN_SCRATCH, 0, m->scores));
    TN_TRY(bind_mask(b, DNNL_ARG_SRC_1, m));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_SCRATCH, 0, m->scores);
}

static tn_status stage_scores(onednn_builder *b, const head_rows *q, const head_rows *k,
                              onednn_md scores, const mask_plan *m)
{
    const head_rows turned = transposed(*k);
    const float scale = tn_attr_float(b->problem->node, "scale",
                                      (float)(1.0 / sqrt((double)q->dims[3])));
    const bool masked = m->given || m->made;
    onednn_md left, right, mask = NULL;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    int mask_at = 0;
    TN_TRY(onednn_describe(b, 4, q->dims, q->strides, &left));
    TN_TRY(onednn_describe(b, 4, turned.dims, turned.strides, &right));
    if (masked)
        TN_TRY(onednn_describe(b, 4, m->dims, NULL, &mask));
    TN_TRY(begin_scores(b, scale, m->joined ? mask : NULL, &mask_at));
    status = onednn_matmul(b->engine, b->attr, left, right, NULL, scores, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, IN_Q, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_WEIGHTS, ONEDNN_INPUT, IN_K, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_SCRATCH, 0, m->scores));
    if (masked && m->joined)
        return bind_mask(b, DNNL_ARG_ATTR_MULTIPLE_POST_OP(mask_at) | DNNL_ARG_SRC_1, m);
    return masked ? stage_mask(b, scores, mask, m) : TN_OK;
}

/* In place, on the scores as one matrix. */
static tn_status stage_softmax(onednn_builder *b, int64_t rows, int64_t keys, size_t offset)
{
    const int64_t dims[] = { rows, keys };
    onednn_md md;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(onednn_fresh_attributes(b));
    TN_TRY(onednn_describe(b, 2, dims, NULL, &md));
    status = onednn_softmax(b->engine, b->attr, 0, md, 1, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_SCRATCH, 0, offset));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_SCRATCH, 0, offset);
}

static tn_status stage_values(onednn_builder *b, onednn_md scores, const head_rows *v,
                              const head_rows *y, size_t offset)
{
    onednn_md right, out;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(onednn_fresh_attributes(b));
    TN_TRY(onednn_describe(b, 4, v->dims, v->strides, &right));
    TN_TRY(onednn_describe(b, 4, y->dims, y->strides, &out));
    status = onednn_matmul(b->engine, b->attr, scores, right, NULL, out, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_SCRATCH, 0, offset));
    TN_TRY(onednn_bind(b, DNNL_ARG_WEIGHTS, ONEDNN_INPUT, IN_V, 0));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0);
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const mask_plan *m = form;
    const int64_t query_heads = tn_attr_int(p->node, "q_num_heads", 1);
    const int64_t heads = tn_attr_int(p->node, "kv_num_heads", 1);
    const head_rows q = rows_of(p->inputs[IN_Q], query_heads);
    const head_rows k = rows_of(p->inputs[IN_K], heads), v = rows_of(p->inputs[IN_V], heads);
    const head_rows y = rows_of(p->outputs[0], query_heads);
    const int64_t keys = k.dims[2], rows = q.dims[0] * q.dims[1] * q.dims[2];
    const int64_t dims[] = { q.dims[0], q.dims[1], q.dims[2], keys };
    onednn_md scores;
    size_t unused;
    if (k.dims[1] != q.dims[1])
        return onednn_refuse(b, "%d heads of queries share %d of keys", (int)q.dims[1],
                             (int)k.dims[1]);
    TN_TRY(onednn_scratch(b, m->scores, &unused)); /* the mask's */
    TN_TRY(onednn_describe(b, 4, dims, NULL, &scores));
    TN_TRY(onednn_scratch(b, dnnl_memory_desc_get_size(scores), &unused));
    TN_TRY(stage_scores(b, &q, &k, scores, m));
    TN_TRY(stage_softmax(b, rows, keys, m->scores));
    TN_TRY(stage_values(b, scores, &v, &y, m->scores));
    onednn_estimate(b, (double)(rows * keys) * (double)(q.dims[3] + v.dims[3]),
                    24.0 * (double)(rows * keys));
    return TN_OK;
}

/* The mask that is made stands first in scratch, then the scores. */
static mask_plan plan_mask(const tn_problem *p)
{
    const head_rows q = rows_of(p->inputs[IN_Q], tn_attr_int(p->node, "q_num_heads", 1));
    const head_rows k = rows_of(p->inputs[IN_K], tn_attr_int(p->node, "kv_num_heads", 1));
    const tn_type *mask = has(p, IN_MASK) ? p->inputs[IN_MASK] : NULL;
    mask_plan m = { .given = mask != NULL,
                    .is_bool = mask && mask->dtype == TN_BOOL,
                    .causal = tn_attr_int(p->node, "is_causal", 0) != 0,
                    .dims = { 1, 1, 1, k.dims[2] },
                    .heads = q.dims[1],
                    .queries = q.dims[2],
                    .keys = k.dims[2] };
    int64_t step = 1;
    m.made = m.is_bool || m.causal;
    for (int32_t axis = 3; axis >= 0; axis--) {
        const int32_t own = mask ? axis - (4 - mask->rank) : -1;
        const int64_t extent = own < 0 ? 1 : mask->dims[own];
        m.dims[axis] = extent > m.dims[axis] ? extent : m.dims[axis];
        m.steps[axis] = extent == 1 ? 0 : step;
        step *= extent;
    }
    if (m.causal)
        m.dims[2] = m.queries;
    if (m.made)
        m.scores = ((size_t)tn_extent(m.dims, 0, 4) * sizeof(float) + 63) / 64 * 64;
    return m;
}

static tn_status attention_measure(tn_measure *ctx, void *state)
{
    attention_state *s = state;
    onednn_attempts attempts = { .ctx = ctx, .state = &s->common };
    s->mask = plan_mask(ctx->problem);
    s->mask.joined = true;
    TN_TRY(onednn_try(&attempts, build, &s->mask));
    if (!s->common.count) {
        s->mask.joined = false;
        TN_TRY(onednn_try(&attempts, build, &s->mask));
    }
    return onednn_measured(&attempts);
}

/* ---- run -------------------------------------------------------------------------------- */

/* One row of the mask as numbers: query `at[2]` of sample and head at[0] and at[1]. */
static void make_row(const mask_plan *m, const void *given, const int64_t *at, float *to)
{
    const int64_t from = at[0] * m->steps[0] + at[1] * m->steps[1] + at[2] * m->steps[2];
    for (int64_t key = 0; key < m->keys; key++) {
        const int64_t k = from + key * m->steps[3];
        float value = 0.0f;
        if (m->is_bool)
            value = ((const uint8_t *)given)[k] ? 0.0f : -INFINITY;
        else if (given)
            value = ((const float *)given)[k];
        to[key] = m->causal && key > at[2] ? -INFINITY : value;
    }
}

static void make_mask(const mask_plan *m, const void *given, float *to)
{
    int64_t at[3];
    for (at[0] = 0; at[0] < m->dims[0]; at[0]++)
        for (at[1] = 0; at[1] < m->dims[1]; at[1]++)
            for (at[2] = 0; at[2] < m->dims[2]; at[2]++, to += m->keys)
                make_row(m, given, at, to);
}

static bool sees_nothing(const float *row, int64_t keys)
{
    for (int64_t key = 0; key < keys; key++)
        if (!isinf(row[key]) || row[key] > 0.0f)
            return false;
    return true;
}

/* Row (sample, head, query) of the mask governs all that repeat it. */
static void blank_rows(const mask_plan *m, const int64_t *at, int64_t batches, float *scores)
{
    const int64_t extents[3] = { batches, m->heads, m->queries };
    int64_t end[3], k[3];
    for (int32_t axis = 0; axis < 3; axis++)
        end[axis] = m->dims[axis] == 1 ? extents[axis] : at[axis] + 1;
    for (k[0] = at[0]; k[0] < end[0]; k[0]++)
        for (k[1] = at[1]; k[1] < end[1]; k[1]++)
            for (k[2] = at[2]; k[2] < end[2]; k[2]++)
                memset(scores + ((k[0] * m->heads + k[1]) * m->queries + k[2]) * m->keys, 0,
                       (size_t)m->keys * sizeof *scores);
}

static void blank_hidden(const mask_plan *m, const float *mask, int64_t batches, float *scores)
{
    int64_t at[3];
    for (at[0] = 0; at[0] < m->dims[0]; at[0]++)
        for (at[1] = 0; at[1] < m->dims[1]; at[1]++)
            for (at[2] = 0; at[2] < m->dims[2]; at[2]++, mask += m->keys)
                if (sees_nothing(mask, m->keys))
                    blank_rows(m, at, batches, scores);
}

static tn_status attention_run(tn_run *ctx, const void *state, void *slot)
{
    const attention_state *s = state;
    const mask_plan *m = &s->mask;
    const uint32_t last = s->common.variants[s->common.chosen].stage_count - 1;
    float *made = (float *)(void *)((char *)ctx->scratch + m->offset);
    float *scores = (float *)(void *)((char *)ctx->scratch + m->scores);
    const void *given = m->given ? ctx->inputs[IN_MASK]->data : NULL;
    if (m->made)
        make_mask(m, given, made);
    TN_TRY(onednn_run_stages(ctx, state, slot, 0, last));
    if (m->made || m->given)
        blank_hidden(m, m->made ? made : given, ctx->inputs[IN_Q]->dims[0], scores);
    return onednn_run_stages(ctx, state, slot, last, last + 1);
}

const tn_kernel_def onednn_attention_kernels[] = {
    {
        .size = sizeof(tn_kernel_def),
        .op = "Attention",
        .backend = "onednn",
        .since = 23,
        .types = TN_BIT(TN_FLOAT32),
        .state_bytes = sizeof(attention_state),
        .offer = attention_offer,
        .measure = attention_measure,
        .prepare = onednn_prepare,
        .attach = onednn_attach,
        .run = attention_run,
        .detach = onednn_detach,
        .finish = onednn_finish,
    },
    { .op = NULL },
};
