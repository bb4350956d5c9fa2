/* engine/graph/region.c: bodies: who owns them, what they capture, how they go.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

tn_status tn_each_body(tn_graph *graph, const tn_node *node, tn_body_fn call, void *user)
{
    for (uint32_t k = 0; k < node->view.attribute_count; k++) {
        const tn_region_id *regions;
        const uint32_t count = tn_attribute_regions(&node->view.attributes[k], &regions);
        for (uint32_t j = 0; j < count; j++)
            TN_TRY(call(graph, regions[j], user));
    }
    return TN_OK;
}

tn_status tn_claim_regions(tn_graph *graph, tn_node *node, const tn_attribute *attribute)
{
    const tn_region_id *regions;
    const uint32_t count = tn_attribute_regions(attribute, &regions);
    for (uint32_t k = 0; k < count; k++) {
        tn_region *region;
        tn_status status = tn_need_region(graph, regions[k], &region);
        if (status != TN_OK)
            return tn_raise_at(status, "attribute '%s'", attribute->name);
        if (region->owner == node->id && tn_find_node(graph, node->id))
            continue; /* the node had it before */
        if (region->owner != TN_NONE || regions[k] == TN_TOP_REGION)
            return tn_raise(TN_ERR_DUPLICATE, "attribute '%s': the body belongs to another node",
                            attribute->name);
        if (region->outer != node->view.region)
            return tn_raise(TN_ERR_ARGUMENT, "attribute '%s': the body was made for another region",
                            attribute->name);
        TN_TRY(tn_change_region_owner(graph, regions[k], node->id));
    }
    return TN_OK;
}

/* ---- removal ----------------------------------------------------------------------------- */

static tn_status erase_body(tn_graph *graph, tn_region_id body, void *user)
{
    (void)user;
    return tn_find_region(graph, body) ? tn_erase_region(graph, body) : TN_OK;
}

tn_status tn_erase_node(tn_graph *graph, tn_node *node)
{
    TN_TRY(tn_each_body(graph, node, erase_body, NULL));
    TN_TRY(tn_change_remove_node(graph, node));
    for (uint32_t k = 0; k < node->view.output_count; k++)
        if (node->outputs[k] != TN_NONE)
            TN_TRY(tn_change_remove_value(graph, tn_value_of(graph, node->outputs[k])));
    return TN_OK;
}

/* First all readers, then all values: nodes need not stand in order. */
tn_status tn_erase_region(tn_graph *graph, tn_region_id region)
{
    TN_TRY(tn_change_remove_region(graph, region));
    while (graph->regions.items[region].last != TN_NONE) {
        tn_node *node = tn_node_of(graph, graph->regions.items[region].last);
        TN_TRY(tn_each_body(graph, node, erase_body, NULL));
        TN_TRY(tn_change_remove_node(graph, node));
    }
    while (graph->regions.items[region].first_value != TN_NONE)
        TN_TRY(tn_change_remove_value(
            graph, tn_value_of(graph, graph->regions.items[region].first_value)));
    return TN_OK;
}

static tn_status refuse_read(tn_graph *graph, const tn_value *value)
{
    if (!value->uses.count && !value->outputs.count)
        return TN_OK;
    return tn_raise(TN_ERR_STATE, "'%s' is still read by %s%s%s", value->view.name,
                    value->uses.count ? "node '" : "an output",
                    value->uses.count ? tn_node_of(graph, value->uses.items[0].owner)->view.name
                                      : "",
                    value->uses.count ? "'" : "");
}

tn_status tn_graph_remove_node(tn_graph *graph, tn_node_id id)
{
    tn_node *node;
    TN_TRY(tn_need_node(graph, id, &node));
    for (uint32_t k = 0; k < node->view.output_count; k++)
        if (node->outputs[k] != TN_NONE)
            TN_TRY(refuse_read(graph, tn_value_of(graph, node->outputs[k])));
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_erase_node(graph, node));
}

tn_status tn_graph_remove_value(tn_graph *graph, tn_value_id id)
{
    tn_value *value;
    TN_TRY(tn_need_value(graph, id, &value));
    TN_TRY(refuse_read(graph, value));
    if (value->view.is_input)
        return tn_raise(TN_ERR_STATE, "'%s' is an input of its region", value->view.name);
    if (value->view.producer != TN_NONE)
        return tn_raise(TN_ERR_STATE, "'%s' is made by node '%s'", value->view.name,
                        tn_node_of(graph, value->view.producer)->view.name);
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_remove_value(graph, value));
}

/* ---- captures ---------------------------------------------------------------------------- */

typedef struct walker {
    tn_node *owner;
    uint32_t depth; /* of the owner's region: what lies no deeper is outside of its bodies */
    uint64_t mark;
} walker;

static tn_status meet(tn_graph *graph, walker *w, tn_value_id id)
{
    tn_value *value = id == TN_NONE ? NULL : tn_value_of(graph, id);
    if (!value || value->mark == w->mark ||
        graph->regions.items[value->view.region].depth > w->depth)
        return TN_OK;
    if (!TN_GROW(&w->owner->captures))
        return tn_raise_memory();
    value->mark = w->mark;
    w->owner->captures.items[w->owner->captures.count++] = id;
    return TN_OK;
}

static tn_status walk_body(tn_graph *graph, tn_region_id body, void *user)
{
    const tn_region *region = &graph->regions.items[body];
    for (tn_node_id n = region->first; n != TN_NONE; n = tn_node_of(graph, n)->next) {
        const tn_node *node = tn_node_of(graph, n);
        for (uint32_t k = 0; k < node->view.input_count; k++)
            TN_TRY(meet(graph, user, node->inputs[k]));
        TN_TRY(tn_each_body(graph, node, walk_body, user));
    }
    for (uint32_t k = 0; k < region->outputs.count; k++)
        TN_TRY(meet(graph, user, region->outputs.items[k].value));
    return TN_OK;
}

static tn_status find_captures(tn_graph *graph, tn_node *node)
{
    walker w = { node, graph->regions.items[node->view.region].depth, ++graph->walk };
    node->captures.count = 0;
    TN_TRY(tn_each_body(graph, node, walk_body, &w));
    node->captures_of = graph->edits;
    return TN_OK;
}

/* Kept until the next edit. Locked, since readers of a frozen graph may ask at once. */
tn_status tn_graph_captures(tn_graph *graph, tn_node_id id, const tn_value_id **out,
                            uint32_t *count)
{
    tn_node *node;
    tn_status status = TN_OK;
    TN_TRY(tn_need_node(graph, id, &node));
    pthread_mutex_lock(&graph->walk_lock);
    if (node->captures_of != graph->edits)
        status = find_captures(graph, node);
    pthread_mutex_unlock(&graph->walk_lock);
    if (status == TN_OK) {
        *out = node->captures.items;
        *count = node->captures.count;
    }
    return status;
}
