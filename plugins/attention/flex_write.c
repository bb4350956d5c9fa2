/* plugins/attention/flex_write.c: FlexAttention as other operators (ONNX, domain ai.onnx.preview:
 * FlexAttention).
 *
 *   S = score_mod(scale * Q K^T),   P = prob_mod(softmax(S)),   Y = P V
 *
 * The nodes of score_mod and prob_mod are copied to where the node stands, with the bodies that they
 * have themselves.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

#include <stdlib.h>

/* ---- copies of bodies ------------------------------------------------------------------------------- */

/* Values of bodies, and what stands for each of them. */
typedef struct copier {
    tn_edit *e;
    tn_value_id (*pairs)[2];
    size_t count, room;
} copier;

static tn_status add_pair(copier *c, tn_value_id from, tn_value_id to)
{
    if (c->count == c->room) {
        const size_t room = 2 * c->room + 16;
        tn_value_id(*pairs)[2] = realloc(c->pairs, room * sizeof *pairs);
        if (!pairs)
            return tn_fail(c->e->ctx, TN_ERR_MEMORY, "no memory for the values of a body");
        c->pairs = pairs;
        c->room = room;
    }
    c->pairs[c->count][0] = from;
    c->pairs[c->count++][1] = to;
    return TN_OK;
}

/* A value from outside of the bodies stands for itself. */
static tn_value_id find(const copier *c, tn_value_id from)
{
    for (size_t k = 0; k < c->count; k++)
        if (c->pairs[k][0] == from)
            return c->pairs[k][1];
    return from;
}

static tn_status copy_constant(copier *c, tn_value_id from, tn_region_id to)
{
    const tn_graph_api *api = c->e->ctx->api;
    tn_graph *graph = c->e->ctx->graph;
    const tn_constant_desc desc = { .size = sizeof desc,
                                    .region = to,
                                    .tensor = api->value(graph, from)->constant,
                                    .value = TN_NONE };
    tn_value_id copy;
    TN_TRY(api->add_constant(graph, &desc, &copy));
    return add_pair(c, from, copy);
}

/* All values of a region first, so that nodes may come in any order. Extents are inferred again. */
static tn_status copy_values(copier *c, tn_region_id from, tn_region_id to)
{
    const tn_graph_api *api = c->e->ctx->api;
    tn_graph *graph = c->e->ctx->graph;
    for (tn_value_id value = api->next_value(graph, TN_NONE); value != TN_NONE;
         value = api->next_value(graph, value)) {
        const tn_value_view *view = api->value(graph, value);
        tn_value_id copy;
        if (view->region != from || find(c, value) != value)
            continue;
        if (view->constant) {
            TN_TRY(copy_constant(c, value, to));
            continue;
        }
        tn_type type = *view->type;
        type.rank = -1;
        TN_TRY(api->add_value(graph, to, NULL, &type, &copy));
        TN_TRY(add_pair(c, value, copy));
    }
    return TN_OK;
}

static tn_status copy_nodes(copier *c, tn_region_id from, tn_region_id to, tn_node_id before);

/* A body of a node of a body. */
static tn_status copy_region(copier *c, tn_region_id from, tn_region_id outer, tn_region_id *out)
{
    const tn_graph_api *api = c->e->ctx->api;
    tn_graph *graph = c->e->ctx->graph;
    const tn_value_id *values;
    TN_TRY(api->add_region(graph, outer, out));
    TN_TRY(copy_values(c, from, *out));
    for (uint32_t k = 0; k < api->region_inputs(graph, from, &values); k++)
        TN_TRY(api->add_input(graph, *out, find(c, values[k])));
    TN_TRY(copy_nodes(c, from, *out, TN_NONE));
    for (uint32_t k = 0; k < api->region_outputs(graph, from, &values); k++)
        TN_TRY(api->add_output(graph, *out, api->output_name(graph, from, k), find(c, values[k])));
    return TN_OK;
}

enum { MOST = 64 }; /* inputs, outputs, attributes or bodies of a node in a body */

/* Every body that the node has, in the order of its attributes. */
static tn_status copy_bodies(copier *c, tn_node_id node, tn_region_id to, tn_region_id *copies)
{
    const tn_graph_api *api = c->e->ctx->api;
    size_t made = 0;
    for (uint32_t k = 0; k < api->node(c->e->ctx->graph, node)->attribute_count; k++) {
        const tn_attribute *a = &api->node(c->e->ctx->graph, node)->attributes[k];
        const size_t count = a->type == TN_ATTR_GRAPH    ? 1
                             : a->type == TN_ATTR_GRAPHS ? a->count
                                                         : 0;
        const tn_region_id *regions = a->regions;
        if (made + count > MOST)
            return TN_ERR_LIMIT;
        for (size_t j = 0; j < count; j++)
            TN_TRY(copy_region(c, regions[j], to, &copies[made++]));
    }
    return TN_OK;
}

static tn_status copy_node(copier *c, tn_node_id node, tn_region_id to, tn_node_id before)
{
    const tn_graph_api *api = c->e->ctx->api;
    tn_graph *graph = c->e->ctx->graph;
    tn_value_id inputs[MOST], outputs[MOST];
    tn_attribute attributes[MOST];
    tn_region_id bodies[MOST], *next = bodies;
    tn_node_id copy;
    const tn_node_view *view = api->node(graph, node);
    if (view->input_count > MOST || view->output_count > MOST || view->attribute_count > MOST)
        return TN_ERR_LIMIT;
    TN_TRY(copy_bodies(c, node, to, bodies));
    view = api->node(graph, node);
    for (uint32_t k = 0; k < view->input_count; k++)
        inputs[k] = find(c, view->inputs[k]);
    for (uint32_t k = 0; k < view->output_count; k++)
        outputs[k] = find(c, view->outputs[k]);
    for (uint32_t k = 0; k < view->attribute_count; k++) {
        attributes[k] = view->attributes[k];
        if (attributes[k].type != TN_ATTR_GRAPH && attributes[k].type != TN_ATTR_GRAPHS)
            continue;
        attributes[k].regions = next;
        next += attributes[k].type == TN_ATTR_GRAPH ? 1 : attributes[k].count;
    }
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = to,
                                .name = view->name,
                                .domain = view->domain,
                                .op = view->op,
                                .overload = view->overload,
                                .input_count = view->input_count,
                                .output_count = view->output_count,
                                .inputs = inputs,
                                .outputs = outputs,
                                .attribute_count = view->attribute_count,
                                .attributes = attributes,
                                .before = before,
                                .origin = api->node_origin(graph, node),
                                .trace = node };
    return api->add_node(graph, &desc, &copy);
}

static tn_status copy_nodes(copier *c, tn_region_id from, tn_region_id to, tn_node_id before)
{
    const tn_graph_api *api = c->e->ctx->api;
    for (tn_node_id node = api->first_node(c->e->ctx->graph, from); node != TN_NONE;
         node = api->next_node(c->e->ctx->graph, node))
        TN_TRY(copy_node(c, node, to, before));
    return TN_OK;
}

static tn_status copy_body(copier *c, tn_region_id body, tn_value_id in, tn_value_id *out)
{
    const tn_graph_api *api = c->e->ctx->api;
    tn_graph *graph = c->e->ctx->graph;
    const tn_region_id here = tn_edit_view(c->e)->region;
    const tn_value_id *values;
    if (api->region_inputs(graph, body, &values) == 1)
        TN_TRY(add_pair(c, values[0], in));
    TN_TRY(copy_values(c, body, here));
    TN_TRY(copy_nodes(c, body, here, c->e->node));
    *out = api->region_outputs(graph, body, &values) == 1 ? find(c, values[0]) : in;
    return TN_OK;
}

/* What body `name` makes of `x`: `x` itself where there is none. */
static tn_value_id modified(tn_edit *e, const char *name, tn_value_id x)
{
    const tn_attribute *body = tn_attr(tn_edit_view(e), name);
    copier c = { .e = e };
    tn_value_id out = x;
    if (!body || body->type != TN_ATTR_GRAPH || e->status != TN_OK)
        return x;
    e->status = copy_body(&c, body->regions[0], x, &out);
    free(c.pairs);
    return out;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

tn_status flex_write_out(tn_rewrite *ctx, tn_node_id node)
{
    attn_writer w;
    TN_TRY(attn_write_begin(&w, ctx, node));
    tn_edit *e = &w.e;
    const uint32_t told = (uint32_t)tn_attr_int(tn_edit_view(e), "softmax_precision",
                                                w.dtype == TN_FLOAT64 ? TN_FLOAT64 : TN_FLOAT32);
    tn_value_id x = attn_put_cast(e, attn_write_scores(&w, w.k), w.wide, told);
    x = attn_put_softmax(e, modified(e, "score_mod", x));
    x = attn_put_cast(e, modified(e, "prob_mod", x), told, w.wide);
    return tn_edit_give(e, attn_write_means(&w, x, w.v));
}
