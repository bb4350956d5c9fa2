/* plugins/attention/linear_write.c: LinearAttention as a Scan over the steps (ONNX operators:
 * LinearAttention).
 *
 *   before, for all steps at once:  queries as [batch, steps, heads, group, size], keys as rows,
 *                                   values as rows, exp(decay) and beta as columns
 *   a step:  S <- S * decay;   v <- beta * (v - k S);   S <- S + k^T v;   o = q S
 *   after:   output = scale * o
 *
 * Heads are those of keys, so that a group of queries reads its state in one product. All is float32,
 * rounded once behind.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };
enum { AXES = 5 }; /* of what a step reads, steps included */

typedef struct writer {
    tn_edit e;
    int64_t query_heads, heads;
    tn_value_id steps[5]; /* queries, keys, values, then decay and beta where they are */
    uint32_t count;
    int gated, delta;
} writer;

/* ---- what steps read -------------------------------------------------------------------------------- */

/* Input k as float32, of extents [batch, steps, a, b, c]. */
static tn_value_id spread(writer *w, uint32_t k, tn_value_id a, tn_value_id b, tn_value_id c)
{
    tn_edit *e = &w->e;
    const tn_value_id x = tn_edit_input(e, k);
    const tn_value_id extents[AXES] = { attn_put_extent(e, x, 0), attn_put_extent(e, x, 1), a, b,
                                        c };
    const tn_value_id wide = attn_put_cast(e, x, tn_edit_type(e, x)->dtype, TN_FLOAT32);
    return tn_put_reshape(e, wide, attn_put_shape(e, extents, AXES));
}

static void put_steps(writer *w)
{
    tn_edit *e = &w->e;
    const tn_value_id heads = tn_put_int(e, w->heads), one = tn_put_int(e, 1);
    const tn_value_id query = tn_edit_input(e, QUERY), key = tn_edit_input(e, KEY);
    const tn_value_id value = tn_edit_input(e, VALUE), decay = tn_edit_input(e, DECAY);
    w->steps[0] = spread(w, QUERY, heads, tn_put_int(e, w->query_heads / w->heads),
                         attn_put_share(e, query, w->query_heads));
    w->steps[1] = spread(w, KEY, heads, one, attn_put_share(e, key, w->heads));
    w->steps[2] = spread(w, VALUE, heads, one, attn_put_share(e, value, w->heads));
    w->count = 3;
    if (w->gated)
        w->steps[w->count++] = tn_put(
            e, "Exp", spread(w, DECAY, heads, attn_put_share(e, decay, w->heads), one), TN_NONE,
            TN_NONE, NULL);
    if (w->delta)
        w->steps[w->count++] = spread(w, BETA, attn_put_extent(e, tn_edit_input(e, BETA), 2), one,
                                      one);
}

/* The state to begin with. */
static tn_value_id first_state(writer *w)
{
    tn_edit *e = &w->e;
    const tn_value_id past = tn_edit_input(e, PAST);
    if (past != TN_NONE)
        return attn_put_cast(e, past, tn_edit_type(e, past)->dtype, TN_FLOAT32);
    const tn_value_id extents[4] = { attn_put_extent(e, tn_edit_input(e, QUERY), 0),
                                     tn_put_int(e, w->heads),
                                     attn_put_share(e, tn_edit_input(e, KEY), w->heads),
                                     attn_put_share(e, tn_edit_input(e, VALUE), w->heads) };
    return tn_put(e, "ConstantOfShape", attn_put_shape(e, extents, 4), TN_NONE, TN_NONE, NULL);
}

/* ---- a step ------------------------------------------------------------------------------------------ */

/* A node at the end of the body. */
static tn_value_id put_inside(writer *w, tn_region_id body, const char *op, tn_value_id a,
                              tn_value_id b, const tn_attribute *attribute)
{
    const tn_graph_api *api = w->e.ctx->api;
    const tn_value_id inputs[2] = { a, b };
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = body,
                                .op = op,
                                .inputs = inputs,
                                .input_count = b == TN_NONE ? 1 : 2,
                                .output_count = 1,
                                .attributes = attribute,
                                .attribute_count = attribute != NULL,
                                .before = TN_NONE,
                                .trace = w->e.node };
    tn_node_id made = TN_NONE;
    if (w->e.status == TN_OK)
        w->e.status = api->add_node(w->e.ctx->graph, &desc, &made);
    return w->e.status == TN_OK ? api->node(w->e.ctx->graph, made)->outputs[0] : TN_NONE;
}

static tn_value_id put_input(writer *w, tn_region_id body)
{
    const tn_graph_api *api = w->e.ctx->api;
    const tn_type type = {
        .size = sizeof type, .kind = TN_TENSOR, .dtype = TN_FLOAT32, .rank = -1
    };
    tn_value_id value = TN_NONE;
    if (w->e.status == TN_OK)
        w->e.status = api->add_value(w->e.ctx->graph, body, NULL, &type, &value);
    if (w->e.status == TN_OK)
        w->e.status = api->add_input(w->e.ctx->graph, body, value);
    return value;
}

static void put_output(writer *w, tn_region_id body, const char *name, tn_value_id value)
{
    if (w->e.status == TN_OK)
        w->e.status = w->e.ctx->api->add_output(w->e.ctx->graph, body, name, value);
}

/* inputs: state, queries, keys, values, decay, beta; outputs: state, what queries read. */
static void fill_body(writer *w, tn_region_id body)
{
    static const int64_t columns[4] = { 0, 1, 3, 2 };
    const tn_attribute perm = {
        .size = sizeof perm, .type = TN_ATTR_INTS, .name = "perm", .count = 4, .ints = columns
    };
    tn_value_id in[6];
    for (uint32_t k = 0; k <= w->count; k++)
        in[k] = put_input(w, body);
    tn_value_id state = in[0], row = in[3];
    if (w->gated)
        state = put_inside(w, body, "Mul", state, in[4], NULL);
    if (w->delta) {
        const tn_value_id known = put_inside(w, body, "MatMul", in[2], state, NULL);
        row = put_inside(w, body, "Sub", row, known, NULL);
        row = put_inside(w, body, "Mul", row, in[w->count], NULL);
    }
    const tn_value_id column = put_inside(w, body, "Transpose", in[2], TN_NONE, &perm);
    state = put_inside(w, body, "Add", state, put_inside(w, body, "Mul", column, row, NULL), NULL);
    put_output(w, body, "state", state);
    put_output(w, body, "read", put_inside(w, body, "MatMul", in[1], state, NULL));
}

static tn_attribute ints(const char *name, const int64_t *items, size_t count)
{
    return (tn_attribute){ .size = sizeof(tn_attribute),
                           .type = TN_ATTR_INTS,
                           .name = name,
                           .count = count,
                           .ints = items };
}

/* Answers the Scan. */
static tn_node_id put_scan(writer *w)
{
    static const int64_t ones[5] = { 1, 1, 1, 1, 1 };
    const tn_graph_api *api = w->e.ctx->api;
    tn_edit *e = &w->e;
    tn_value_id inputs[6] = { first_state(w) };
    tn_region_id body = TN_NONE;
    tn_node_id scan = TN_NONE;
    put_steps(w);
    for (uint32_t k = 0; k < w->count; k++)
        inputs[k + 1] = w->steps[k];
    if (e->status == TN_OK)
        e->status = api->add_region(e->ctx->graph, tn_edit_view(e)->region, &body);
    fill_body(w, body);
    const tn_attribute attributes[4] = {
        { .size = sizeof *attributes,
          .type = TN_ATTR_GRAPH,
          .name = "body",
          .regions = &body,
          .count = 1 },
        tn_attribute_of_int("num_scan_inputs", w->count),
        ints("scan_input_axes", ones, w->count),
        ints("scan_output_axes", ones, 1),
    };
    if (e->status != TN_OK)
        return TN_NONE;
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = tn_edit_view(e)->region,
                                .op = "Scan",
                                .inputs = inputs,
                                .input_count = w->count + 1,
                                .output_count = 2,
                                .attributes = attributes,
                                .attribute_count = 4,
                                .before = e->node,
                                .trace = e->node };
    e->status = api->add_node(e->ctx->graph, &desc, &scan);
    return scan;
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* [batch, steps, heads, group, size of values], scaled, as output. */
static tn_value_id output(writer *w, tn_value_id read)
{
    tn_edit *e = &w->e;
    const double told = (double)tn_attr_float(tn_edit_view(e), "scale", 0);
    const tn_value_id query = tn_edit_input(e, QUERY), value = tn_edit_input(e, VALUE);
    if (told != 0) {
        read = tn_put(e, "Mul", read, tn_put_scalar(e, TN_FLOAT32, told), TN_NONE, NULL);
    } else {
        const tn_value_id size = attn_put_cast(e, attn_put_share(e, query, w->query_heads),
                                               TN_INT64, TN_FLOAT32);
        read = tn_put(e, "Div", read, tn_put(e, "Sqrt", size, TN_NONE, TN_NONE, NULL), TN_NONE,
                      NULL);
    }
    const tn_value_id width = tn_put(e, "Mul", attn_put_share(e, value, w->heads),
                                     tn_put_int(e, w->query_heads), TN_NONE, NULL);
    const tn_value_id shape = tn_put_join(e, attn_put_extent(e, query, 0),
                                          attn_put_extent(e, query, 1), width);
    const uint32_t dtype = tn_edit_type(e, query)->dtype;
    return attn_put_cast(e, tn_put_reshape(e, read, shape), TN_FLOAT32, dtype);
}

tn_status linear_write_out(tn_rewrite *ctx, tn_node_id node)
{
    writer w = { .e = tn_edit_node(ctx, node) };
    tn_edit *e = &w.e;
    const tn_node_view *view = tn_edit_view(e);
    w.query_heads = tn_attr_int(view, "q_num_heads", 0);
    w.heads = tn_attr_int(view, "kv_num_heads", 0);
    w.gated = tn_edit_input(e, DECAY) != TN_NONE;
    w.delta = tn_edit_input(e, BETA) != TN_NONE;
    for (uint32_t k = QUERY; k <= BETA; k++) {
        const tn_type *type = tn_edit_type(e, tn_edit_input(e, k));
        if (type && type->dtype == TN_UNDEFINED)
            return tn_fail(ctx, TN_KEEP, "the element type of input %u is not known", k);
    }
    const tn_value_id past = tn_edit_input(e, PAST);
    const uint32_t state_type =
        tn_edit_type(e, past == TN_NONE ? tn_edit_input(e, QUERY) : past)->dtype;
    const tn_node_id scan = put_scan(&w);
    if (e->status != TN_OK)
        return e->status;
    const tn_value_id *made = ctx->api->node(ctx->graph, scan)->outputs;
    const tn_value_id state = made[0], read = made[1];
    attn_give(e, 1, attn_put_cast(e, state, TN_FLOAT32, state_type));
    return tn_edit_give(e, output(&w, read));
}
