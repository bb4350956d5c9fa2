/* engine/graph/graph.c: the life of a graph: made, copied, destroyed.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- making and destroying ---------------------------------------------------------------- */

static void destroy_objects(tn_graph *graph)
{
    for (uint32_t k = 0; k < graph->nodes.count; k++)
        if (graph->nodes.items[k].object)
            tn_node_destroy(graph->nodes.items[k].object);
    for (uint32_t k = 0; k < graph->values.count; k++)
        if (graph->values.items[k].object)
            tn_value_destroy_object(graph->values.items[k].object);
    for (uint32_t k = 0; k < graph->regions.count; k++) {
        tn_free(graph->regions.items[k].inputs.items);
        tn_free(graph->regions.items[k].outputs.items);
        tn_free(graph->regions.items[k].output_values.items);
    }
    for (uint32_t k = 0; k < graph->functions.count; k++)
        tn_graph_destroy(graph->functions.items[k].graph);
}

void tn_graph_destroy(tn_graph *graph)
{
    if (!graph)
        return;
    tn_graph_commit(graph);
    destroy_objects(graph);
    tn_attribute_list_destroy(graph->parameters);
    tn_free(graph->nodes.items);
    tn_free(graph->values.items);
    tn_free(graph->regions.items);
    tn_free(graph->names.items);
    tn_free(graph->metadata.items);
    tn_free(graph->opsets.items);
    tn_free(graph->functions.items);
    tn_free(graph->journal.items);
    tn_free(graph->touched.items);
    tn_map_fini(&graph->node_suffixes);
    tn_map_fini(&graph->value_suffixes);
    tn_source_unref(graph->source);
    tn_texts_unref(graph->texts);
    tn_dims_unref(graph->dims);
    tn_holds_fini(&graph->shown);
    pthread_mutex_destroy(&graph->show_lock);
    pthread_mutex_destroy(&graph->walk_lock);
    tn_free(graph);
}

/* A graph without a region, sharing the tables given. */
static tn_graph *create_empty(tn_dims *dims, tn_texts *texts)
{
    tn_graph *graph = tn_alloc(1, sizeof *graph);
    if (!graph)
        return NULL;
    if (pthread_mutex_init(&graph->walk_lock, NULL)) {
        tn_free(graph);
        return NULL;
    }
    pthread_mutex_init(&graph->show_lock, NULL);
    graph->dims = tn_dims_ref(dims);
    graph->texts = tn_texts_ref(texts);
    graph->saved = TN_NONE;
    graph->edits = 1; /* captures of a new node are of edit 0: not known */
    graph->name = graph->doc = tn_intern(graph, "");
    if (!graph->name) {
        tn_graph_destroy(graph);
        return NULL;
    }
    return graph;
}

tn_status tn_graph_create_sharing(tn_dims *dims, tn_texts *texts, tn_graph **out)
{
    tn_region_id top;
    tn_graph *graph = create_empty(dims, texts);
    if (!graph)
        return tn_raise_memory();
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, tn_change_add_region(graph, TN_NONE, &top));
    if (status == TN_OK)
        *out = graph;
    else
        tn_graph_destroy(graph);
    return status;
}

tn_status tn_graph_create(tn_graph **out)
{
    tn_dims *dims = NULL;
    if (!out)
        return tn_raise(TN_ERR_ARGUMENT, "out is NULL");
    TN_TRY(tn_dims_create(&dims));
    tn_texts *texts = tn_texts_create();
    tn_status status = texts ? tn_graph_create_sharing(dims, texts, out) : tn_raise_memory();
    tn_texts_unref(texts);
    tn_dims_unref(dims);
    return status;
}

/* ---- cloning ----------------------------------------------------------------------------- */

/* A copy of `count` elements with a capacity of at least `capacity`; NULL with `ok` true when both
 * are 0. */
static void *dup_array(const void *items, uint32_t count, uint32_t capacity, size_t size, bool *ok)
{
    if (!capacity)
        return NULL;
    void *copy = tn_alloc(capacity, size);
    if (copy && count)
        memcpy(copy, items, count * size);
    *ok = *ok && copy;
    return copy;
}
/* The copy has the capacity of the original, so that it can also take back what that could. */
#define DUP(from, to, ok)                                                                          \
    ((to)->items = dup_array((from)->items, (from)->count, (from)->capacity,                       \
                             sizeof *(from)->items, (ok)),                                         \
     (to)->count = (to)->items ? (from)->count : 0, (to)->capacity = (from)->capacity)

/* Objects keep their handles, so all links between them hold in the copy as they are. */
static tn_node *clone_node(const tn_node *from)
{
    bool ok = true;
    const uint32_t inputs = from->view.input_count;
    tn_node *node = tn_alloc(1, sizeof *node);
    if (!node)
        return NULL;
    *node = *from;
    memset(&node->captures, 0, sizeof node->captures);
    node->captures_of = 0;
    node->made_in = node->touched_in = node->changed_in = node->stale_in = node->saved_in = 0;
    node->inputs = dup_array(from->inputs, inputs, from->input_capacity, sizeof *node->inputs, &ok);
    node->use_at = dup_array(from->use_at, inputs, from->input_capacity, sizeof *node->use_at, &ok);
    node->outputs = tn_alloc(from->view.output_count, sizeof *node->outputs);
    node->attributes = from->attributes ? tn_attribute_list_copy(from->attributes) : NULL;
    node->metadata = from->metadata ? tn_node_metadata_copy(from->metadata, 0) : NULL;
    if (!ok || !node->outputs || (from->attributes && !node->attributes) ||
        (from->metadata && !node->metadata)) {
        tn_node_destroy(node);
        return NULL;
    }
    if (from->view.output_count)
        memcpy(node->outputs, from->outputs, from->view.output_count * sizeof *node->outputs);
    node->view.inputs = node->inputs;
    node->view.outputs = node->outputs;
    node->view.attributes = node->attributes ? node->attributes->items : NULL;
    return node;
}

static tn_value *clone_value(const tn_value *from)
{
    bool ok = true;
    tn_value *value = tn_alloc(1, sizeof *value);
    if (!value)
        return NULL;
    memcpy(value, from, offsetof(tn_value, is_shown)); /* that is others' to change meanwhile */
    value->mark = 0;
    value->view.type = &value->type;
    value->constant = from->constant ? tn_constant_ref(from->constant) : NULL;
    value->elements = NULL;
    DUP(&from->uses, &value->uses, &ok);
    DUP(&from->outputs, &value->outputs, &ok);
    if (from->elements) {
        const size_t bytes = sizeof *from->elements +
                             (size_t)from->elements->count * sizeof(tn_dim);
        value->elements = tn_alloc(1, bytes);
        if (value->elements)
            memcpy(value->elements, from->elements, bytes);
        ok = ok && value->elements;
    }
    if (ok)
        return value;
    tn_value_destroy_object(value);
    return NULL;
}

static bool clone_objects(const tn_graph *from, tn_graph *to)
{
    bool ok = true;
    DUP(&from->nodes, &to->nodes, &ok);
    DUP(&from->values, &to->values, &ok);
    /* Until they are copied, objects belong to the original only. */
    for (uint32_t k = 0; k < to->nodes.count; k++)
        to->nodes.items[k].object = NULL;
    for (uint32_t k = 0; k < to->values.count; k++)
        to->values.items[k].object = NULL;
    to->nodes.free_head = from->nodes.free_head;
    to->nodes.alive = from->nodes.alive;
    to->values.free_head = from->values.free_head;
    to->values.alive = from->values.alive;
    for (uint32_t k = 0; ok && k < to->nodes.count; k++)
        if (from->nodes.items[k].object)
            ok = (to->nodes.items[k].object = clone_node(from->nodes.items[k].object));
    for (uint32_t k = 0; ok && k < to->values.count; k++)
        if (from->values.items[k].object)
            ok = (to->values.items[k].object = clone_value(from->values.items[k].object));
    return ok;
}

static bool clone_regions(const tn_graph *from, tn_graph *to)
{
    bool ok = true;
    to->regions.items = tn_alloc(from->regions.capacity, sizeof *to->regions.items);
    if (!to->regions.items)
        return false;
    to->regions.capacity = from->regions.capacity;
    for (uint32_t k = 0; ok && k < from->regions.count; k++) {
        const tn_region *source = &from->regions.items[k];
        tn_region *region = &to->regions.items[to->regions.count++];
        *region = *source;
        DUP(&source->inputs, &region->inputs, &ok);
        DUP(&source->outputs, &region->outputs, &ok);
        DUP(&source->output_values, &region->output_values, &ok);
    }
    return ok;
}

static bool clone_names(const tn_graph *from, tn_graph *to)
{
    if (!from->names.capacity)
        return true;
    to->names.items = tn_alloc(from->names.capacity, sizeof *to->names.items);
    if (!to->names.items)
        return false;
    memcpy(to->names.items, from->names.items, from->names.capacity * sizeof *to->names.items);
    to->names.count = from->names.count;
    to->names.capacity = from->names.capacity;
    return tn_map_copy(&from->node_suffixes, &to->node_suffixes) == TN_OK &&
           tn_map_copy(&from->value_suffixes, &to->value_suffixes) == TN_OK;
}

static bool clone_rest(const tn_graph *from, tn_graph *to)
{
    bool ok = true;
    to->name = from->name;
    to->doc = from->doc;
    to->source = from->source ? tn_source_ref(from->source) : NULL;
    DUP(&from->metadata, &to->metadata, &ok);
    DUP(&from->opsets, &to->opsets, &ok);
    if (from->parameters)
        ok = (to->parameters = tn_attribute_list_copy(from->parameters)) && ok;
    for (uint32_t k = 0; ok && k < from->functions.count; k++) {
        tn_function function = from->functions.items[k];
        ok = TN_GROW(&to->functions) && tn_graph_clone(function.graph, &function.graph) == TN_OK;
        if (ok)
            to->functions.items[to->functions.count++] = function;
    }
    return ok;
}

tn_status tn_graph_clone(const tn_graph *graph, tn_graph **out)
{
    if (graph->open)
        return tn_raise(TN_ERR_STATE, "a graph cannot be cloned within a transaction");
    tn_graph *clone = create_empty(graph->dims, graph->texts);
    if (!clone)
        return tn_raise_memory();
    if (!clone_objects(graph, clone) || !clone_regions(graph, clone) ||
        !clone_names(graph, clone) || !clone_rest(graph, clone)) {
        tn_graph_destroy(clone);
        return tn_raise_memory();
    }
    *out = clone;
    return TN_OK;
}
