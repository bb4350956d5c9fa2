/* engine/graph/read.c: looking at a graph. Nothing here changes it or needs memory.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

tn_status tn_need_node(const tn_graph *graph, tn_node_id id, tn_node **out)
{
    if (!graph)
        return tn_raise(TN_ERR_ARGUMENT, "the graph is NULL");
    tn_node *node = tn_find_node(graph, id);
    if (!node)
        return tn_raise(TN_ERR_STALE, "handle 0x%" PRIx32 " is of no node, or of one that is gone",
                        id);
    *out = node;
    return TN_OK;
}

tn_status tn_need_value(const tn_graph *graph, tn_value_id id, tn_value **out)
{
    if (!graph)
        return tn_raise(TN_ERR_ARGUMENT, "the graph is NULL");
    tn_value *value = tn_find_value(graph, id);
    if (!value)
        return tn_raise(TN_ERR_STALE, "handle 0x%" PRIx32 " is of no value, or of one that is gone",
                        id);
    *out = value;
    return TN_OK;
}

tn_status tn_need_region(const tn_graph *graph, tn_region_id id, tn_region **out)
{
    if (!graph)
        return tn_raise(TN_ERR_ARGUMENT, "the graph is NULL");
    tn_region *region = tn_find_region(graph, id);
    if (!region)
        return tn_raise(TN_ERR_STALE, "%" PRIu32 " is no region, or one that is gone", id);
    *out = region;
    return TN_OK;
}

bool tn_region_within(const tn_graph *graph, tn_region_id inner, tn_region_id outer)
{
    while (inner != TN_NONE && inner != outer)
        inner = graph->regions.items[inner].outer;
    return inner == outer;
}

tn_status tn_need_visible(const tn_graph *graph, const tn_value *value, tn_region_id from)
{
    if (value->view.region == from || tn_region_within(graph, from, value->view.region))
        return TN_OK;
    return tn_raise(TN_ERR_NAME, "value '%s' belongs to a body that cannot be seen from here",
                    value->view.name);
}

/* ---- nodes and values --------------------------------------------------------------------- */

tn_node_id tn_graph_first_node(const tn_graph *graph, tn_region_id id)
{
    const tn_region *region = graph ? tn_find_region(graph, id) : NULL;
    return region ? region->first : TN_NONE;
}

tn_node_id tn_graph_next_node(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = graph ? tn_find_node(graph, id) : NULL;
    return node ? node->next : TN_NONE;
}

const tn_node_view *tn_graph_node(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = graph ? tn_find_node(graph, id) : NULL;
    return node ? &node->view : NULL;
}

const tn_value_view *tn_graph_look(const tn_graph *graph, tn_value_id id)
{
    const tn_value *value = graph ? tn_find_value(graph, id) : NULL;
    return value ? &value->view : NULL;
}

const tn_value_view *tn_graph_value(const tn_graph *graph, tn_value_id id)
{
    tn_value *value = graph ? tn_find_value(graph, id) : NULL;
    if (value && value->constant && !atomic_load_explicit(&value->is_shown, memory_order_acquire))
        tn_graph_show((tn_graph *)(uintptr_t)graph, value);
    return value ? &value->view : NULL;
}

tn_status tn_graph_use(const tn_graph *graph, tn_value_id id, uint32_t k, tn_node_id *node,
                       uint32_t *input)
{
    tn_value *value = NULL;
    TN_TRY(tn_need_value(graph, id, &value));
    if (k >= value->uses.count)
        return tn_raise(TN_ERR_ARGUMENT, "'%s' has %" PRIu32 " uses: there is no use %" PRIu32,
                        value->view.name, value->uses.count, k);
    if (node)
        *node = value->uses.items[k].owner;
    if (input)
        *input = value->uses.items[k].index;
    return TN_OK;
}

uint32_t tn_graph_node_count(const tn_graph *graph)
{
    return graph->nodes.alive;
}

uint32_t tn_graph_node_slots(const tn_graph *graph)
{
    return graph->nodes.count;
}

uint32_t tn_graph_value_slots(const tn_graph *graph)
{
    return graph->values.count;
}

tn_value_id tn_graph_value_at(const tn_graph *graph, uint32_t slot)
{
    const bool alive = slot < graph->values.count && graph->values.items[slot].alive;
    return alive ? ((const tn_value *)graph->values.items[slot].object)->id : TN_NONE;
}

tn_value_id tn_graph_next_value(const tn_graph *graph, tn_value_id value)
{
    tn_value_id found = TN_NONE;
    if (value != TN_NONE && !tn_graph_value(graph, value))
        return TN_NONE;
    for (uint32_t slot = value == TN_NONE ? 0 : tn_slot_of(value) + 1;
         found == TN_NONE && slot < graph->values.count; slot++)
        found = tn_graph_value_at(graph, slot);
    return found;
}

tn_node_id tn_graph_node_at(const tn_graph *graph, uint32_t slot)
{
    const bool alive = slot < graph->nodes.count && graph->nodes.items[slot].alive;
    return alive ? ((const tn_node *)graph->nodes.items[slot].object)->id : TN_NONE;
}

tn_constant *tn_graph_constant(const tn_graph *graph, tn_value_id id)
{
    const tn_value *value = tn_find_value(graph, id);
    return value ? value->constant : NULL;
}

int64_t tn_graph_elements(const tn_graph *graph, tn_value_id id, const tn_dim **out)
{
    const tn_value *value = tn_find_value(graph, id);
    if (out)
        *out = value && value->elements ? value->elements->items : NULL;
    return value && value->elements ? value->elements->count : -1;
}

const void *tn_graph_schema(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = tn_find_node(graph, id);
    return node ? node->schema : NULL;
}

const char *tn_graph_node_doc(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = graph ? tn_find_node(graph, id) : NULL;
    return node ? node->doc : "";
}

const char *tn_graph_node_origin(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = graph ? tn_find_node(graph, id) : NULL;
    return node ? node->origin : "";
}

const char *tn_graph_trace(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = tn_find_node(graph, id);
    return node ? node->trace : "";
}

/* ---- regions ----------------------------------------------------------------------------- */

uint32_t tn_graph_region_count(const tn_graph *graph)
{
    return graph->regions.count;
}

bool tn_graph_region_alive(const tn_graph *graph, tn_region_id id)
{
    return tn_find_region(graph, id) != NULL;
}

tn_region_id tn_graph_region_outer(const tn_graph *graph, tn_region_id id)
{
    const tn_region *region = tn_find_region(graph, id);
    return region ? region->outer : TN_NONE;
}

tn_node_id tn_graph_region_owner(const tn_graph *graph, tn_region_id id)
{
    const tn_region *region = graph ? tn_find_region(graph, id) : NULL;
    return region ? region->owner : TN_NONE;
}

uint32_t tn_graph_region_inputs(const tn_graph *graph, tn_region_id id, const tn_value_id **out)
{
    const tn_region *region = graph ? tn_find_region(graph, id) : NULL;
    if (out)
        *out = region ? region->inputs.items : NULL;
    return region ? region->inputs.count : 0;
}

uint32_t tn_graph_region_outputs(const tn_graph *graph, tn_region_id id, const tn_value_id **out)
{
    const tn_region *region = graph ? tn_find_region(graph, id) : NULL;
    if (out)
        *out = region ? region->output_values.items : NULL;
    return region ? region->outputs.count : 0;
}

const char *tn_graph_output_name(const tn_graph *graph, tn_region_id id, uint32_t k)
{
    const tn_region *region = graph ? tn_find_region(graph, id) : NULL;
    return region && k < region->outputs.count ? region->outputs.items[k].name : NULL;
}

/* ---- dimensions -------------------------------------------------------------------------- */

tn_dims *tn_graph_dims(const tn_graph *graph)
{
    return graph->dims;
}

tn_status tn_graph_dim_parse(tn_graph *graph, const char *text, tn_dim *out)
{
    if (!graph || !text || !out)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    return tn_dim_parse(graph->dims, text, out);
}

size_t tn_graph_dim_text(const tn_graph *graph, tn_dim dim, char *text, size_t bytes)
{
    tn_builder builder = { 0 };
    tn_add_dim(&builder, graph ? graph->dims : NULL, dim);
    const size_t count = builder.count;
    if (text && bytes) {
        const size_t kept = count < bytes ? count : bytes - 1;
        memcpy(text, tn_builder_text(&builder), kept);
        text[kept] = 0;
    }
    tn_builder_fini(&builder);
    return count;
}
