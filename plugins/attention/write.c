/* plugins/attention/write.c: attention as other operators: what Attention and FlexAttention share
 * (ONNX operators: Attention, whose function this follows in meaning).
 *
 * Only ranks and element types need be known: an extent that is no number is read by Shape when
 * running. Grouped heads cost no copy: the queries of a group follow each other, so that
 * [batch, heads * group, queries, size] is also [batch, heads, group * queries, size].
 *
 * What is narrower than float32 is computed in float32 and rounded once, as by the kernels.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

/* ---- nodes -------------------------------------------------------------------------------------- */

tn_value_id attn_put_transpose(tn_edit *e, tn_value_id x, const int64_t *permutation, size_t rank)
{
    const tn_attribute perm = { .size = sizeof perm,
                                .type = TN_ATTR_INTS,
                                .name = "perm",
                                .count = rank,
                                .ints = permutation };
    return tn_put_node(e, "Transpose", &x, 1, &perm, 1);
}

tn_value_id attn_put_cast(tn_edit *e, tn_value_id x, uint32_t from, uint32_t to)
{
    return from == to ? x : tn_put_with(e, "Cast", x, TN_NONE, "to", to);
}

tn_value_id attn_put_softmax(tn_edit *e, tn_value_id x)
{
    return tn_put_with(e, "Softmax", x, TN_NONE, "axis", -1);
}

tn_value_id attn_put_shape(tn_edit *e, const tn_value_id *extents, uint32_t count)
{
    const tn_attribute axis = tn_attribute_of_int("axis", 0);
    return tn_put_node(e, "Concat", extents, count, &axis, 1);
}

static tn_dim extent_of(const tn_edit *e, tn_value_id x, int32_t axis)
{
    const tn_type *type = tn_edit_type(e, x);
    if (!type || type->rank < 0)
        return TN_DIM_UNKNOWN;
    axis += axis < 0 ? type->rank : 0;
    return axis >= 0 && axis < type->rank ? type->dims[axis] : TN_DIM_UNKNOWN;
}

tn_value_id attn_put_extent(tn_edit *e, tn_value_id x, int32_t axis)
{
    const tn_attribute part[2] = { tn_attribute_of_int("start", axis),
                                   tn_attribute_of_int("end", (int64_t)axis + 1) };
    const tn_dim known = extent_of(e, x, axis);
    if (tn_dim_known(known))
        return tn_put_int(e, known);
    return tn_put_node(e, "Shape", &x, 1, part, axis == -1 ? 1 : 2);
}

tn_value_id attn_put_share(tn_edit *e, tn_value_id x, int64_t heads)
{
    const tn_dim all = extent_of(e, x, -1);
    if (tn_dim_known(all))
        return tn_put_int(e, all / heads);
    return tn_put(e, "Div", attn_put_extent(e, x, -1), tn_put_int(e, heads), TN_NONE, NULL);
}

void attn_give(tn_edit *e, uint32_t k, tn_value_id value)
{
    const tn_value_id old = tn_edit_output(e, k);
    if (old != TN_NONE && value != TN_NONE && e->status == TN_OK)
        e->status = e->ctx->api->replace(e->ctx->graph, old, value);
}

/* ---- heads and rows ------------------------------------------------------------------------------ */

tn_status attn_write_begin(attn_writer *w, tn_rewrite *ctx, tn_node_id node)
{
    *w = (attn_writer){ .e = tn_edit_node(ctx, node), .past = TN_NONE };
    w->q = tn_edit_input(&w->e, 0);
    w->k = tn_edit_input(&w->e, 1);
    w->v = tn_edit_input(&w->e, 2);
    const tn_type *q = tn_edit_type(&w->e, w->q), *v = tn_edit_type(&w->e, w->v);
    if (!q || q->rank < 0)
        return tn_fail(ctx, TN_KEEP, "the rank of 'Q' is not known");
    if (q->dtype == TN_UNDEFINED || !v || v->dtype == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of 'Q' or 'V' is not known");
    const tn_node_view *view = tn_edit_view(&w->e);
    w->packed = q->rank == 3;
    w->query_heads = w->packed ? tn_attr_int(view, "q_num_heads", 0) : 1;
    w->heads = w->packed ? tn_attr_int(view, "kv_num_heads", 0) : 1;
    w->dtype = q->dtype;
    w->values_dtype = v->dtype;
    w->wide = q->dtype == TN_FLOAT64 || v->dtype == TN_FLOAT64 ||
                      tn_attr_int(view, "softmax_precision", TN_FLOAT32) == TN_FLOAT64
                  ? TN_FLOAT64
                  : TN_FLOAT32;
    if (w->heads < 1 || w->query_heads < 1)
        return tn_fail(ctx, TN_KEEP, "q_num_heads or kv_num_heads is missing");
    return TN_OK;
}

/* The tensor with these extents. */
static tn_value_id reshape(attn_writer *w, tn_value_id x, tn_value_id a, tn_value_id b,
                           tn_value_id c, tn_value_id d)
{
    const tn_value_id extents[4] = { a, b, c, d };
    return tn_put_reshape(&w->e, x, attn_put_shape(&w->e, extents, d == TN_NONE ? 3 : 4));
}

tn_value_id attn_write_rows(attn_writer *w, tn_value_id x, int64_t heads)
{
    static const int64_t heads_first[4] = { 0, 2, 1, 3 };
    tn_edit *e = &w->e;
    if (!w->packed)
        return x;
    const tn_value_id parts = reshape(w, x, attn_put_extent(e, x, 0), attn_put_extent(e, x, 1),
                                      tn_put_int(e, heads), attn_put_share(e, x, heads));
    return attn_put_transpose(e, parts, heads_first, 4);
}

static tn_value_id batch(attn_writer *w)
{
    return attn_put_extent(&w->e, w->q, 0);
}

static tn_value_id heads(attn_writer *w, tn_value_id x, int64_t told)
{
    return w->packed ? tn_put_int(&w->e, told) : attn_put_extent(&w->e, x, 1);
}

/* Of the rows of one head: Q's, or V's, which Y's have as well. */
static tn_value_id width(attn_writer *w, tn_value_id x, int64_t told)
{
    return w->packed ? attn_put_share(&w->e, x, told) : attn_put_extent(&w->e, x, 3);
}

static int is_grouped(const attn_writer *w)
{
    const tn_dim queries = extent_of(&w->e, w->q, 1), keys = extent_of(&w->e, w->k, 1);
    if (w->packed)
        return w->query_heads != w->heads;
    return queries == TN_DIM_UNKNOWN || queries != keys;
}

/* Queries of all heads that share one head of keys. */
static tn_value_id group_rows(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_dim all = extent_of(e, w->q, 1), shared = extent_of(e, w->k, 1);
    tn_value_id group;
    if (w->packed)
        group = tn_put_int(e, w->query_heads / w->heads);
    else if (tn_dim_known(all) && tn_dim_known(shared) && shared > 0)
        group = tn_put_int(e, all / shared);
    else
        group = tn_put(e, "Div", attn_put_extent(e, w->q, 1), attn_put_extent(e, w->k, 1), TN_NONE,
                       NULL);
    return tn_put(e, "Mul", group, attn_put_extent(e, w->q, -2), TN_NONE, NULL);
}

/* Heads of queries to groups, and back; `last` is the extent of the last axis. */
static tn_value_id to_groups(attn_writer *w, tn_value_id x, tn_value_id last)
{
    return reshape(w, x, batch(w), heads(w, w->k, w->heads), group_rows(w), last);
}

static tn_value_id from_groups(attn_writer *w, tn_value_id x, tn_value_id last)
{
    return reshape(w, x, batch(w), heads(w, w->q, w->query_heads), attn_put_extent(&w->e, w->q, -2),
                   last);
}

tn_value_id attn_write_total(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_value_id keys = attn_put_extent(e, w->k, -2);
    if (w->past == TN_NONE)
        return keys;
    return tn_put(e, "Add", attn_put_extent(e, w->past, 2), keys, TN_NONE, NULL);
}

/* ---- products ------------------------------------------------------------------------------------- */

static tn_value_id scaled_queries(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_attribute *told = tn_attr(tn_edit_view(e), "scale");
    const double factor = told ? told->f : 0;
    const tn_value_id rows = attn_write_rows(w, w->q, w->query_heads);
    const tn_value_id queries = attn_put_cast(e, rows, w->dtype, w->wide);
    if (told)
        return tn_put(e, "Mul", queries, tn_put_scalar(e, w->wide, factor), TN_NONE, NULL);
    const tn_value_id size = attn_put_cast(e, width(w, w->q, w->query_heads), TN_INT64, w->wide);
    return tn_put(e, "Div", queries, tn_put(e, "Sqrt", size, TN_NONE, TN_NONE, NULL), TN_NONE,
                  NULL);
}

tn_value_id attn_write_scores(attn_writer *w, tn_value_id keys)
{
    static const int64_t columns[4] = { 0, 1, 3, 2 };
    tn_edit *e = &w->e;
    const int grouped = is_grouped(w);
    tn_value_id queries = scaled_queries(w);
    if (grouped)
        queries = to_groups(w, queries, width(w, w->q, w->query_heads));
    keys = attn_put_transpose(e, attn_put_cast(e, keys, w->dtype, w->wide), columns, 4);
    const tn_value_id scores = tn_put(e, "MatMul", queries, keys, TN_NONE, NULL);
    return grouped ? from_groups(w, scores, attn_write_total(w)) : scores;
}

/* Heads side by side again, as Y of packed inputs. */
static tn_value_id packed_rows(attn_writer *w, tn_value_id x)
{
    static const int64_t rows_first[4] = { 0, 2, 1, 3 };
    tn_edit *e = &w->e;
    const tn_value_id all = tn_put(e, "Mul", tn_put_int(e, w->query_heads),
                                   attn_put_share(e, w->v, w->heads), TN_NONE, NULL);
    return reshape(w, attn_put_transpose(e, x, rows_first, 4), batch(w),
                   attn_put_extent(e, w->q, 1), all, TN_NONE);
}

tn_value_id attn_write_means(attn_writer *w, tn_value_id weights, tn_value_id values)
{
    tn_edit *e = &w->e;
    const int grouped = is_grouped(w);
    if (grouped)
        weights = to_groups(w, weights, attn_write_total(w));
    values = attn_put_cast(e, values, w->values_dtype, w->wide);
    tn_value_id means = tn_put(e, "MatMul", weights, values, TN_NONE, NULL);
    if (grouped)
        means = from_groups(w, means, width(w, w->v, w->heads));
    means = attn_put_cast(e, means, w->wide, w->dtype);
    return w->packed ? packed_rows(w, means) : means;
}
