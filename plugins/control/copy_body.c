/* plugins/control/copy_body.c: a body's nodes once more, inside another body; see copy_body.h.
 *
 * Values that the body makes, and those of bodies within it, get twins; what it reads from outside
 * stays what it is.
 *
 * SPDX-License-Identifier: MIT */
#include "copy_body.h"

#include <stdlib.h>

enum { MOST_LINKS = 64 };

/* ---- twins ------------------------------------------------------------------------------ */

tn_status copy_pair(body_copy *c, tn_value_id from, tn_value_id to)
{
    if (c->count == c->room) {
        const size_t room = 2 * c->room + 32;
        tn_value_id(*pairs)[2] = realloc(c->pairs, room * sizeof *pairs);
        if (!pairs)
            return tn_fail(c->ctx, TN_ERR_MEMORY, "no memory for the values of a body");
        c->pairs = pairs;
        c->room = room;
    }
    c->pairs[c->count][0] = from;
    c->pairs[c->count++][1] = to;
    return TN_OK;
}

void copy_fini(body_copy *c)
{
    free(c->pairs);
}

static const tn_value_id *find_value(const body_copy *c, tn_value_id from)
{
    for (size_t k = c->count; k--;)
        if (c->pairs[k][0] == from)
            return &c->pairs[k][1];
    return NULL;
}

/* The region that is made of this one; TN_NONE: none, it lies outside. */
static tn_region_id find_region(const body_copy *c, tn_region_id from)
{
    for (uint32_t k = 0; k < c->region_count; k++)
        if (c->regions[k][0] == from)
            return c->regions[k][1];
    return TN_NONE;
}

tn_status copy_value(body_copy *c, tn_value_id from, tn_value_id *out)
{
    const tn_value_id *known = from == TN_NONE ? NULL : find_value(c, from);
    *out = known ? *known : from;
    if (known || from == TN_NONE)
        return TN_OK;
    const tn_value_view *view = c->ctx->api->value(c->ctx->graph, from);
    const tn_region_id target = find_region(c, view->region);
    if (target == TN_NONE)
        return TN_OK;
    if (!view->constant)
        return tn_fail(c->ctx, TN_KEEP, "value '%s' of the body is made by nothing", view->name);
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = target, .tensor = view->constant, .value = TN_NONE
    };
    TN_TRY(c->ctx->api->add_constant(c->ctx->graph, &desc, out));
    return copy_pair(c, from, *out);
}

/* A value of the same type in `target`. */
static tn_status make_twin(body_copy *c, tn_value_id from, tn_region_id target)
{
    const tn_graph_api *api = c->ctx->api;
    tn_value_id made;
    TN_TRY(
        api->add_value(c->ctx->graph, target, NULL, api->value(c->ctx->graph, from)->type, &made));
    return copy_pair(c, from, made);
}

/* Twins of all that nodes make come first: nodes may stand in any order. */
static tn_status make_twins(body_copy *c, tn_region_id from, tn_region_id to)
{
    const tn_graph_api *api = c->ctx->api;
    tn_graph *graph = c->ctx->graph;
    for (tn_node_id n = api->first_node(graph, from); n != TN_NONE; n = api->next_node(graph, n))
        for (uint32_t k = 0; k < api->node(graph, n)->output_count; k++)
            if (api->node(graph, n)->outputs[k] != TN_NONE)
                TN_TRY(make_twin(c, api->node(graph, n)->outputs[k], to));
    return TN_OK;
}

/* ---- nodes ------------------------------------------------------------------------------ */

static tn_status copy_inner(body_copy *c, tn_region_id from, tn_region_id outer, tn_region_id *out)
{
    const tn_graph_api *api = c->ctx->api;
    const tn_value_id *items;
    TN_TRY(api->add_region(c->ctx->graph, outer, out));
    for (uint32_t k = 0; k < api->region_inputs(c->ctx->graph, from, &items); k++) {
        TN_TRY(make_twin(c, items[k], *out));
        TN_TRY(api->add_input(c->ctx->graph, *out, c->pairs[c->count - 1][1]));
    }
    TN_TRY(copy_nodes(c, from, *out));
    for (uint32_t k = 0; k < api->region_outputs(c->ctx->graph, from, &items); k++) {
        tn_value_id value;
        TN_TRY(copy_value(c, items[k], &value));
        TN_TRY(api->add_output(c->ctx->graph, *out, NULL, value));
    }
    return TN_OK;
}

/* Bodies of a node: inner[k] is that of attribute k. */
static tn_status copy_bodies(body_copy *c, tn_node_id node, tn_region_id target,
                             tn_region_id *inner)
{
    const tn_graph_api *api = c->ctx->api;
    for (uint32_t k = 0; k < api->node(c->ctx->graph, node)->attribute_count; k++) {
        const tn_node_view *view = api->node(c->ctx->graph, node);
        if (view->attributes[k].type == TN_ATTR_GRAPHS)
            return tn_fail(c->ctx, TN_KEEP, "node '%s' of the body has a list of bodies",
                           view->name);
        if (view->attributes[k].type == TN_ATTR_GRAPH)
            TN_TRY(copy_inner(c, view->attributes[k].regions[0], target, &inner[k]));
    }
    return TN_OK;
}

static tn_status copy_node(body_copy *c, tn_node_id node, tn_region_id target)
{
    const tn_graph_api *api = c->ctx->api;
    tn_value_id inputs[MOST_LINKS], outputs[MOST_LINKS];
    tn_attribute attributes[MOST_LINKS];
    tn_region_id inner[MOST_LINKS];
    tn_node_id made;
    const tn_node_view *view = api->node(c->ctx->graph, node);
    const uint32_t in = view->input_count, out = view->output_count, all = view->attribute_count;
    if (in > MOST_LINKS || out > MOST_LINKS || all > MOST_LINKS)
        return tn_fail(c->ctx, TN_KEEP, "node '%s' of the body has more than %d inputs or outputs",
                       view->name, MOST_LINKS);
    for (uint32_t k = 0; k < in; k++)
        TN_TRY(copy_value(c, api->node(c->ctx->graph, node)->inputs[k], &inputs[k]));
    for (uint32_t k = 0; k < out; k++)
        TN_TRY(copy_value(c, api->node(c->ctx->graph, node)->outputs[k], &outputs[k]));
    TN_TRY(copy_bodies(c, node, target, inner));
    view = api->node(c->ctx->graph, node);
    for (uint32_t k = 0; k < all; k++) {
        attributes[k] = view->attributes[k];
        if (attributes[k].type == TN_ATTR_GRAPH)
            attributes[k].regions = &inner[k];
    }
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = target,
                                .name = view->name,
                                .domain = view->domain,
                                .op = view->op,
                                .overload = view->overload,
                                .input_count = in,
                                .output_count = out,
                                .inputs = inputs,
                                .outputs = outputs,
                                .attribute_count = all,
                                .attributes = attributes,
                                .before = TN_NONE,
                                .origin = api->node_origin(c->ctx->graph, node),
                                .trace = node };
    return api->add_node(c->ctx->graph, &desc, &made);
}

tn_status copy_nodes(body_copy *c, tn_region_id from, tn_region_id to)
{
    const tn_graph_api *api = c->ctx->api;
    if (c->region_count == COPY_REGIONS)
        return tn_fail(c->ctx, TN_KEEP, "the body holds more than %d others", COPY_REGIONS - 1);
    c->regions[c->region_count][0] = from;
    c->regions[c->region_count++][1] = to;
    TN_TRY(make_twins(c, from, to));
    for (tn_node_id n = api->first_node(c->ctx->graph, from); n != TN_NONE;
         n = api->next_node(c->ctx->graph, n))
        TN_TRY(copy_node(c, n, to));
    return TN_OK;
}
