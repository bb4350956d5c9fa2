/* engine/graph/change.c: every change of a graph, beside what takes it back.
 *
 * A change first gets all the memory it needs, then happens as a whole and writes its record. Undo
 * runs backwards over the records and meets, at each, the graph just as the change left it: so
 * taking back needs no memory, and handles in records are good for direct access.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

static tn_status ready(tn_graph *graph)
{
    graph->edits++;
    return tn_journal_reserve(graph) ? TN_OK : tn_raise_memory();
}

/* ---- uses -------------------------------------------------------------------------------- */

static bool add_use(tn_uses *uses, uint32_t owner, uint32_t index, uint32_t *at)
{
    if (!TN_GROW(uses))
        return false;
    uses->items[uses->count] = (tn_use){ owner, index };
    *at = uses->count++;
    return true;
}

static bool add_node_use(tn_graph *graph, tn_node *node, uint32_t k)
{
    if (node->inputs[k] == TN_NONE)
        return true;
    tn_value *value = tn_value_of(graph, node->inputs[k]);
    if (!add_use(&value->uses, node->id, k, &node->use_at[k]))
        return false;
    value->view.use_count = value->uses.count;
    return true;
}

/* The last use takes the place of the one that goes. */
static void remove_node_use(tn_graph *graph, tn_node *node, uint32_t k)
{
    if (node->inputs[k] == TN_NONE)
        return;
    tn_value *value = tn_value_of(graph, node->inputs[k]);
    const tn_use last = value->uses.items[--value->uses.count];
    value->uses.items[node->use_at[k]] = last;
    tn_node_of(graph, last.owner)->use_at[last.index] = node->use_at[k];
    value->view.use_count = value->uses.count;
}

static bool add_output_use(tn_graph *graph, tn_region_id region, uint32_t k)
{
    tn_region_output *output = &graph->regions.items[region].outputs.items[k];
    tn_value *value = tn_value_of(graph, output->value);
    if (!add_use(&value->outputs, region, k, &output->use_at))
        return false;
    value->view.output_count = value->outputs.count;
    return true;
}

static void remove_output_use(tn_graph *graph, tn_region_id region, uint32_t k)
{
    const tn_region_output *output = &graph->regions.items[region].outputs.items[k];
    tn_value *value = tn_value_of(graph, output->value);
    const tn_use last = value->outputs.items[--value->outputs.count];
    value->outputs.items[output->use_at] = last;
    graph->regions.items[last.owner].outputs.items[last.index].use_at = output->use_at;
    value->view.output_count = value->outputs.count;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static void link_node(tn_graph *graph, tn_node *node, tn_region_id region, tn_node_id before)
{
    tn_region *place = &graph->regions.items[region];
    node->view.region = region;
    node->next = before;
    node->previous = before == TN_NONE ? place->last : tn_node_of(graph, before)->previous;
    if (node->previous == TN_NONE)
        place->first = node->id;
    else
        tn_node_of(graph, node->previous)->next = node->id;
    if (before == TN_NONE)
        place->last = node->id;
    else
        tn_node_of(graph, before)->previous = node->id;
}

static void unlink_node(tn_graph *graph, const tn_node *node)
{
    tn_region *place = &graph->regions.items[node->view.region];
    if (node->previous == TN_NONE)
        place->first = node->next;
    else
        tn_node_of(graph, node->previous)->next = node->next;
    if (node->next == TN_NONE)
        place->last = node->previous;
    else
        tn_node_of(graph, node->next)->previous = node->previous;
}

/* Makes a node part of the graph: uses, producers, name, order. */
static bool attach_node(tn_graph *graph, tn_node *node, tn_node_id before)
{
    for (uint32_t k = 0; k < node->view.input_count; k++)
        if (!add_node_use(graph, node, k)) {
            while (k--)
                remove_node_use(graph, node, k);
            return false;
        }
    for (uint32_t k = 0; k < node->view.output_count; k++)
        if (node->outputs[k] != TN_NONE) {
            tn_value *value = tn_value_of(graph, node->outputs[k]);
            value->view.producer = node->id;
            value->view.producer_output = k;
        }
    tn_names_hold(graph, NODE_NAMES, node->view.name, node->id);
    link_node(graph, node, node->view.region, before);
    tn_slots_set_alive(&graph->nodes, node->id, true);
    return true;
}

static void detach_node(tn_graph *graph, tn_node *node)
{
    tn_slots_set_alive(&graph->nodes, node->id, false);
    unlink_node(graph, node);
    tn_names_drop(graph, NODE_NAMES, node->view.name);
    for (uint32_t k = 0; k < node->view.output_count; k++)
        if (node->outputs[k] != TN_NONE)
            tn_value_of(graph, node->outputs[k])->view.producer = TN_NONE;
    for (uint32_t k = node->view.input_count; k--;)
        remove_node_use(graph, node, k);
}

static tn_status touch_producer(tn_graph *graph, tn_value_id value)
{
    if (value == TN_NONE)
        return TN_OK;
    tn_node *producer = tn_find_node(graph, tn_value_of(graph, value)->view.producer);
    return producer ? tn_touch(graph, producer) : TN_OK;
}

tn_status tn_change_add_node(tn_graph *graph, tn_node *node, tn_node_id before)
{
    TN_TRY(ready(graph));
    if (!tn_names_reserve(graph, 1))
        return tn_raise_memory();
    TN_TRY(tn_touch(graph, node));
    node->stale_in = graph->open ? graph->transaction : 0;
    for (uint32_t k = 0; k < node->view.input_count; k++)
        TN_TRY(touch_producer(graph, node->inputs[k]));
    if (!attach_node(graph, node, before))
        return tn_raise_memory();
    node->made_in = graph->open ? graph->transaction : 0;
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_NODE_ADDED, .object = node });
    return TN_OK;
}

tn_status tn_change_remove_node(tn_graph *graph, tn_node *node)
{
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ RECORD_NODE_REMOVED, .a = node->next, .object = node });
    detach_node(graph, node);
    return TN_OK;
}

tn_status tn_change_move_node(tn_graph *graph, tn_node *node, tn_region_id region,
                              tn_node_id before)
{
    if (before == node->id || (region == node->view.region && before == node->next))
        return TN_OK;
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ RECORD_NODE_MOVED, .a = node->view.region, .b = node->next,
                                        .object = node });
    unlink_node(graph, node);
    link_node(graph, node, region, before);
    return TN_OK;
}

tn_status tn_change_node_output(tn_graph *graph, tn_node *node, uint32_t k)
{
    TN_TRY(ready(graph));
    tn_journal_add(
        graph, &(tn_record){ RECORD_NODE_OUTPUT, .a = k, .b = node->outputs[k], .object = node });
    tn_value_of(graph, node->outputs[k])->view.producer = TN_NONE;
    node->outputs[k] = TN_NONE;
    return TN_OK;
}

static void set_input(tn_graph *graph, tn_node *node, uint32_t k, tn_value_id value)
{
    remove_node_use(graph, node, k);
    node->inputs[k] = value;
    add_node_use(graph, node, k); /* room was made */
}

static tn_status touch_changed(tn_graph *graph, tn_node *node)
{
    node->changed_in = graph->open ? graph->transaction : 0;
    return tn_touch(graph, node);
}

static tn_status touch_stale(tn_graph *graph, tn_node *node)
{
    node->stale_in = graph->open ? graph->transaction : 0;
    return touch_changed(graph, node);
}

/* Whether inference sees no difference between two values that a node may read. */
static bool infers_alike(const tn_graph *graph, tn_value_id a, tn_value_id b)
{
    const tn_value *one = a == TN_NONE ? NULL : tn_value_of(graph, a);
    const tn_value *other = b == TN_NONE ? NULL : tn_value_of(graph, b);
    if (!one || !other || one->view.constant || other->view.constant ||
        tn_graph_elements(graph, a, NULL) >= 0 || tn_graph_elements(graph, b, NULL) >= 0)
        return false;
    const tn_type *x = one->view.type, *y = other->view.type;
    return x->kind == y->kind && x->dtype == y->dtype && x->flags == y->flags &&
           x->rank == y->rank &&
           (x->rank <= 0 || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) == 0);
}

tn_status tn_change_input(tn_graph *graph, tn_node *node, uint32_t k, tn_value_id value)
{
    const tn_value_id old = node->inputs[k];
    if (old == value)
        return TN_OK;
    TN_TRY(ready(graph));
    TN_TRY(infers_alike(graph, old, value) ? touch_changed(graph, node) : touch_stale(graph, node));
    TN_TRY(touch_producer(graph, value));
    if (value != TN_NONE && !TN_GROW(&tn_value_of(graph, value)->uses))
        return tn_raise_memory();
    set_input(graph, node, k, value);
    tn_journal_add(graph, &(tn_record){ RECORD_INPUT, .a = k, .b = old, .object = node });
    return TN_OK;
}

tn_status tn_change_append_input(tn_graph *graph, tn_node *node, tn_value_id value)
{
    const uint32_t k = node->view.input_count;
    TN_TRY(ready(graph));
    TN_TRY(touch_stale(graph, node));
    TN_TRY(touch_producer(graph, value));
    if (k == node->input_capacity) {
        const uint32_t wanted = k < 4 ? 8 : k * 2;
        tn_value_id *inputs = tn_realloc(node->inputs, wanted, sizeof *inputs);
        if (inputs)
            node->view.inputs = node->inputs = inputs;
        uint32_t *use_at = inputs ? tn_realloc(node->use_at, wanted, sizeof *use_at) : NULL;
        if (!use_at)
            return tn_raise_memory();
        node->use_at = use_at;
        node->input_capacity = wanted;
    }
    node->inputs[k] = value;
    if (!add_node_use(graph, node, k))
        return tn_raise_memory();
    node->view.input_count++;
    tn_journal_add(graph, &(tn_record){ RECORD_INPUT_APPENDED, .object = node });
    return TN_OK;
}

static void set_attributes(tn_node *node, tn_attribute_list *list)
{
    node->attributes = list;
    node->view.attributes = list ? list->items : NULL;
    node->view.attribute_count = list ? list->count : 0;
}

tn_status tn_change_attributes(tn_graph *graph, tn_node *node, tn_attribute_list *list)
{
    tn_status status = ready(graph);
    if (status == TN_OK)
        status = touch_stale(graph, node);
    if (status != TN_OK) {
        tn_attribute_list_destroy(list);
        return status;
    }
    tn_journal_add(graph,
                   &(tn_record){ RECORD_ATTRIBUTES, .object = node, .old = node->attributes });
    set_attributes(node, list);
    return TN_OK;
}

tn_status tn_change_operator(tn_graph *graph, tn_node *node, const char *domain, const char *op,
                             const char *overload)
{
    TN_TRY(ready(graph));
    TN_TRY(touch_stale(graph, node));
    tn_node_view *view = &node->view;
    tn_journal_add(graph, &(tn_record){ RECORD_OPERATOR, .object = node, .old = view->domain,
                                        .old_too = view->op, .old_three = view->overload });
    view->domain = domain;
    view->op = op;
    view->overload = overload;
    return TN_OK;
}

tn_status tn_change_node_metadata(tn_graph *graph, tn_node *node, tn_node_metadata *metadata)
{
    const tn_status status = ready(graph);
    if (status != TN_OK) {
        tn_free(metadata);
        return status;
    }
    tn_journal_add(graph,
                   &(tn_record){ RECORD_NODE_METADATA, .object = node, .old = node->metadata });
    node->metadata = metadata;
    return TN_OK;
}

tn_status tn_change_trace(tn_graph *graph, tn_node *node, const char *trace)
{
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ RECORD_TRACE, .object = node, .old = node->trace });
    node->trace = trace;
    return TN_OK;
}

/* ---- values ------------------------------------------------------------------------------ */

static void link_value(tn_graph *graph, tn_value *value, tn_region_id region)
{
    tn_region *place = &graph->regions.items[region];
    value->view.region = region;
    value->previous = TN_NONE;
    value->next = place->first_value;
    if (value->next != TN_NONE)
        tn_value_of(graph, value->next)->previous = value->id;
    place->first_value = value->id;
}

static void unlink_value(tn_graph *graph, const tn_value *value)
{
    if (value->previous == TN_NONE)
        graph->regions.items[value->view.region].first_value = value->next;
    else
        tn_value_of(graph, value->previous)->next = value->next;
    if (value->next != TN_NONE)
        tn_value_of(graph, value->next)->previous = value->previous;
}

static void attach_value(tn_graph *graph, tn_value *value)
{
    tn_names_hold(graph, value->view.region, value->view.name, value->id);
    link_value(graph, value, value->view.region);
    tn_slots_set_alive(&graph->values, value->id, true);
}

static void detach_value(tn_graph *graph, tn_value *value)
{
    tn_slots_set_alive(&graph->values, value->id, false);
    unlink_value(graph, value);
    tn_names_drop(graph, value->view.region, value->view.name);
}

static tn_status ready_for_name(tn_graph *graph, tn_region_id region)
{
    TN_TRY(ready(graph));
    return tn_names_reserve(graph, graph->regions.items[region].depth + 1) ? TN_OK
                                                                           : tn_raise_memory();
}

tn_status tn_change_add_value(tn_graph *graph, tn_value *value)
{
    TN_TRY(ready_for_name(graph, value->view.region));
    attach_value(graph, value);
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_VALUE_ADDED, .object = value });
    return TN_OK;
}

tn_status tn_change_remove_value(tn_graph *graph, tn_value *value)
{
    assert(!value->uses.count && !value->outputs.count);
    TN_TRY(ready(graph));
    detach_value(graph, value);
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_VALUE_REMOVED, .object = value });
    return TN_OK;
}

static void rename_value(tn_graph *graph, tn_value *value, const char *name)
{
    tn_names_drop(graph, value->view.region, value->view.name);
    value->view.name = name;
    tn_names_hold(graph, value->view.region, name, value->id);
}

tn_status tn_change_rename(tn_graph *graph, tn_value *value, const char *name)
{
    TN_TRY(ready_for_name(graph, value->view.region));
    tn_journal_add(graph,
                   &(tn_record){ RECORD_VALUE_RENAMED, .object = value, .old = value->view.name });
    rename_value(graph, value, name);
    return TN_OK;
}

static void place_value(tn_graph *graph, tn_value *value, tn_region_id region, const char *name)
{
    unlink_value(graph, value);
    link_value(graph, value, region);
    value->view.name = name;
    tn_names_hold(graph, region, name, value->id);
}

/* Keeps its name where the new region allows it. */
tn_status tn_change_value_region(tn_graph *graph, tn_value *value, tn_region_id region)
{
    const tn_region_id from = value->view.region;
    const char *old = value->view.name, *name;
    TN_TRY(ready_for_name(graph, from));
    TN_TRY(ready_for_name(graph, region));
    tn_names_drop(graph, from, old);
    tn_status status = tn_names_unique(graph, region, old, &name);
    if (status != TN_OK) {
        tn_names_hold(graph, from, old, value->id);
        return status;
    }
    place_value(graph, value, region, name);
    tn_journal_add(graph,
                   &(tn_record){ RECORD_VALUE_REGION, .a = from, .object = value, .old = old });
    return TN_OK;
}

static void set_constant(tn_value *value, tn_constant *constant)
{
    value->constant = constant;
    value->is_shown = false;
    value->view.constant = constant ? &constant->tensor : NULL;
}

tn_status tn_change_constant(tn_graph *graph, tn_value *value, tn_constant *constant)
{
    tn_status status = ready(graph);
    for (uint32_t k = 0; status == TN_OK && k < value->uses.count; k++) {
        tn_node *reader = tn_node_of(graph, value->uses.items[k].owner);
        reader->stale_in = graph->open ? graph->transaction : 0;
        status = tn_touch(graph, reader);
    }
    if (status != TN_OK) {
        tn_constant_unref(constant);
        return status;
    }
    tn_journal_add(graph, &(tn_record){ RECORD_CONSTANT, .object = value, .old = value->constant });
    set_constant(value, constant);
    return TN_OK;
}

/* Inference writes many types outside any transaction: nobody will want the old ones back. */
static bool is_recorded(const tn_graph *graph)
{
    return graph->open || graph->depth;
}

tn_status tn_change_type(tn_graph *graph, tn_value *value, const tn_type *type)
{
    if (is_recorded(graph)) {
        TN_TRY(ready(graph));
        tn_type *old = tn_alloc(1, sizeof *old);
        if (!old)
            return tn_raise_memory();
        *old = value->type;
        tn_journal_add(graph, &(tn_record){ RECORD_TYPE, .object = value, .old = old });
    }
    value->type = *type;
    value->type.size = sizeof *type;
    return TN_OK;
}

tn_status tn_change_elements(tn_graph *graph, tn_value *value, tn_elements *elements)
{
    if (!is_recorded(graph)) {
        tn_free(value->elements);
    } else {
        tn_status status = ready(graph);
        if (status != TN_OK) {
            tn_free(elements);
            return status;
        }
        tn_journal_add(graph,
                       &(tn_record){ RECORD_ELEMENTS, .object = value, .old = value->elements });
    }
    value->elements = elements;
    return TN_OK;
}

/* ---- regions ----------------------------------------------------------------------------- */

tn_status tn_change_add_region(tn_graph *graph, tn_region_id outer, tn_region_id *out)
{
    TN_TRY(ready(graph));
    if (graph->regions.count >= REGION_LIMIT || !TN_GROW(&graph->regions))
        return tn_raise_memory();
    graph->regions.items[graph->regions.count] = (tn_region){
        .alive = true,
        .outer = outer,
        .depth = outer == TN_NONE ? 0 : graph->regions.items[outer].depth + 1,
        .owner = TN_NONE,
        .first = TN_NONE,
        .last = TN_NONE,
        .first_value = TN_NONE,
    };
    *out = graph->regions.count++;
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_ADDED });
    return TN_OK;
}

static void free_region(tn_region *region)
{
    tn_free(region->inputs.items);
    tn_free(region->outputs.items);
    tn_free(region->output_values.items);
    memset(&region->inputs, 0, sizeof region->inputs);
    memset(&region->outputs, 0, sizeof region->outputs);
    memset(&region->output_values, 0, sizeof region->output_values);
}

tn_status tn_change_remove_region(tn_graph *graph, tn_region_id id)
{
    tn_region *region = &graph->regions.items[id];
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_REMOVED, .a = id });
    for (uint32_t k = region->outputs.count; k--;)
        remove_output_use(graph, id, k);
    region->alive = false;
    return TN_OK;
}

tn_status tn_change_region_owner(tn_graph *graph, tn_region_id region, tn_node_id owner)
{
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_OWNER,
                                        .a = region,
                                        .b = graph->regions.items[region].owner });
    graph->regions.items[region].owner = owner;
    return TN_OK;
}

static tn_status drop_names(tn_graph *graph, tn_region_id region, void *user);
static tn_status hold_names(tn_graph *graph, tn_region_id region, void *user);

static void each_value_name(tn_graph *graph, tn_region_id region, bool hold)
{
    const tn_value *value;
    for (tn_value_id v = graph->regions.items[region].first_value; v != TN_NONE; v = value->next) {
        value = tn_value_of(graph, v);
        if (hold)
            tn_names_hold(graph, region, value->view.name, v);
        else
            tn_names_drop(graph, region, value->view.name);
    }
    for (tn_node_id n = graph->regions.items[region].first; n != TN_NONE;
         n = tn_node_of(graph, n)->next)
        tn_each_body(graph, tn_node_of(graph, n), hold ? hold_names : drop_names, NULL);
}

static tn_status drop_names(tn_graph *graph, tn_region_id region, void *user)
{
    (void)user;
    each_value_name(graph, region, false);
    return TN_OK;
}

static tn_status hold_names(tn_graph *graph, tn_region_id region, void *user)
{
    (void)user;
    tn_region *place = &graph->regions.items[region];
    place->depth = graph->regions.items[place->outer].depth + 1;
    each_value_name(graph, region, true);
    return TN_OK;
}

/* All names in it are counted in the regions around it: in the old ones, then in the new ones. */
static void set_outer(tn_graph *graph, tn_region_id region, tn_region_id outer)
{
    drop_names(graph, region, NULL);
    graph->regions.items[region].outer = outer;
    hold_names(graph, region, NULL);
}

tn_status tn_change_region_outer(tn_graph *graph, tn_region_id region, tn_region_id outer)
{
    const tn_region_id old = graph->regions.items[region].outer;
    assert(tn_region_within(graph, old, outer)); /* outwards only: needs no room for names */
    TN_TRY(ready(graph));
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_OUTER, .a = region, .b = old });
    set_outer(graph, region, outer);
    return TN_OK;
}

tn_status tn_change_add_region_input(tn_graph *graph, tn_region_id id, tn_value *value)
{
    tn_region *region = &graph->regions.items[id];
    TN_TRY(ready(graph));
    if (!TN_GROW(&region->inputs))
        return tn_raise_memory();
    region->inputs.items[region->inputs.count++] = value->id;
    value->view.is_input = 1;
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_INPUT, .a = id, .object = value });
    return TN_OK;
}

tn_status tn_change_add_region_output(tn_graph *graph, tn_region_id id, const char *name,
                                      tn_value *value)
{
    tn_region *region = &graph->regions.items[id];
    const uint32_t k = region->outputs.count;
    TN_TRY(ready(graph));
    if (!TN_GROW(&region->outputs) || !TN_GROW(&region->output_values) ||
        !tn_names_reserve(graph, 1))
        return tn_raise_memory();
    region->outputs.items[k] = (tn_region_output){ .value = value->id, .name = name };
    region->output_values.items[k] = value->id;
    if (!add_output_use(graph, id, k))
        return tn_raise_memory();
    region->outputs.count = region->output_values.count = k + 1;
    tn_names_hold(graph, id | OUTPUT_NAMES, name, k);
    tn_journal_add(graph, &(tn_record){ .kind = RECORD_REGION_OUTPUT_ADDED, .a = id });
    return TN_OK;
}

static void set_output(tn_graph *graph, tn_region_id id, uint32_t k, tn_value_id value)
{
    tn_region *region = &graph->regions.items[id];
    remove_output_use(graph, id, k);
    region->outputs.items[k].value = region->output_values.items[k] = value;
    add_output_use(graph, id, k); /* room was made */
}

tn_status tn_change_region_output(tn_graph *graph, tn_region_id id, uint32_t k, tn_value *value)
{
    const tn_value_id old = graph->regions.items[id].outputs.items[k].value;
    TN_TRY(ready(graph));
    TN_TRY(touch_producer(graph, value->id));
    if (!TN_GROW(&value->outputs))
        return tn_raise_memory();
    set_output(graph, id, k, value->id);
    tn_journal_add(graph,
                   &(tn_record){ .kind = RECORD_REGION_OUTPUT, .a = id, .b = k, .number = old });
    return TN_OK;
}

/* ---- taking back -------------------------------------------------------------------------- */

static void forget_node(tn_graph *graph, tn_node *node)
{
    tn_slots_release(&graph->nodes, node->id);
    tn_node_destroy(node);
}

static void forget_value(tn_graph *graph, tn_value *value)
{
    tn_slots_release(&graph->values, value->id);
    tn_value_destroy_object(value);
}

static void undo_node(tn_graph *graph, const tn_record *r)
{
    tn_node *node = r->object;
    switch (r->kind) {
    case RECORD_NODE_ADDED:
        detach_node(graph, node);
        forget_node(graph, node);
        break;
    case RECORD_NODE_REMOVED: attach_node(graph, node, r->a); break;
    case RECORD_NODE_MOVED:
        unlink_node(graph, node);
        link_node(graph, node, r->a, r->b);
        break;
    case RECORD_NODE_OUTPUT:
        node->outputs[r->a] = r->b;
        tn_value_of(graph, r->b)->view.producer = node->id;
        tn_value_of(graph, r->b)->view.producer_output = r->a;
        break;
    case RECORD_INPUT: set_input(graph, node, r->a, r->b); break;
    case RECORD_INPUT_APPENDED:
        remove_node_use(graph, node, node->view.input_count - 1);
        node->view.input_count--;
        break;
    case RECORD_ATTRIBUTES:
        tn_attribute_list_destroy(node->attributes);
        set_attributes(node, (tn_attribute_list *)r->old);
        break;
    case RECORD_OPERATOR:
        node->view.domain = r->old;
        node->view.op = r->old_too;
        node->view.overload = r->old_three;
        break;
    case RECORD_NODE_METADATA:
        tn_free(node->metadata);
        node->metadata = (tn_node_metadata *)r->old;
        break;
    default: node->trace = r->old; break;
    }
}

static void undo_value(tn_graph *graph, const tn_record *r)
{
    tn_value *value = r->object;
    switch (r->kind) {
    case RECORD_VALUE_ADDED:
        detach_value(graph, value);
        forget_value(graph, value);
        break;
    case RECORD_VALUE_REMOVED: attach_value(graph, value); break;
    case RECORD_VALUE_RENAMED: rename_value(graph, value, r->old); break;
    case RECORD_VALUE_REGION:
        tn_names_drop(graph, value->view.region, value->view.name);
        place_value(graph, value, r->a, r->old);
        break;
    case RECORD_CONSTANT:
        tn_constant_unref(value->constant);
        set_constant(value, (tn_constant *)r->old);
        break;
    case RECORD_TYPE:
        value->type = *(const tn_type *)r->old;
        tn_free((tn_type *)r->old);
        break;
    default: /* RECORD_ELEMENTS */
        tn_free(value->elements);
        value->elements = (tn_elements *)r->old;
        break;
    }
}

static void undo_region(tn_graph *graph, const tn_record *r)
{
    tn_region *region = &graph->regions.items[r->a];
    switch (r->kind) {
    case RECORD_REGION_ADDED: free_region(&graph->regions.items[--graph->regions.count]); break;
    case RECORD_REGION_REMOVED:
        region->alive = true;
        for (uint32_t k = 0; k < region->outputs.count; k++)
            add_output_use(graph, r->a, k);
        break;
    case RECORD_REGION_OWNER: region->owner = r->b; break;
    case RECORD_REGION_OUTER: set_outer(graph, r->a, r->b); break;
    case RECORD_REGION_INPUT:
        ((tn_value *)r->object)->view.is_input = 0;
        region->inputs.count--;
        break;
    case RECORD_REGION_OUTPUT_ADDED:
        remove_output_use(graph, r->a, region->outputs.count - 1);
        tn_names_drop(graph, r->a | OUTPUT_NAMES,
                      region->outputs.items[region->outputs.count - 1].name);
        region->output_values.count = --region->outputs.count;
        break;
    default: set_output(graph, r->a, r->b, (tn_value_id)r->number); break;
    }
}

static void undo_graph(tn_graph *graph, const tn_record *r)
{
    switch (r->kind) {
    case RECORD_GRAPH_NAME:
        graph->name = r->old;
        graph->doc = r->old_too;
        break;
    case RECORD_METADATA:
        if (r->old) {
            graph->metadata.items[r->a].text = r->old;
            break;
        }
        tn_names_drop(graph, METADATA_NAMES, graph->metadata.items[--graph->metadata.count].key);
        break;
    case RECORD_OPSET:
        if (r->b) {
            graph->opsets.items[r->a].version = r->number;
            break;
        }
        tn_names_drop(graph, OPSET_NAMES, graph->opsets.items[--graph->opsets.count].domain);
        break;
    default: /* RECORD_FUNCTION */
        graph->functions.count--;
        tn_names_drop(graph, FUNCTION_NAMES, graph->functions.items[graph->functions.count].whole);
        tn_graph_destroy(graph->functions.items[graph->functions.count].graph);
        break;
    }
}

void tn_undo_record(tn_graph *graph, const tn_record *record)
{
    graph->edits++;
    if (record->kind <= RECORD_TRACE)
        undo_node(graph, record);
    else if (record->kind <= RECORD_ELEMENTS)
        undo_value(graph, record);
    else if (record->kind <= RECORD_REGION_OUTPUT)
        undo_region(graph, record);
    else
        undo_graph(graph, record);
}

static void forget_region(tn_graph *graph, tn_region_id id)
{
    tn_region *region = &graph->regions.items[id];
    for (uint32_t k = 0; k < region->outputs.count; k++)
        tn_names_drop(graph, id | OUTPUT_NAMES, region->outputs.items[k].name);
    free_region(region);
}

void tn_commit_record(tn_graph *graph, const tn_record *record)
{
    switch (record->kind) {
    case RECORD_NODE_REMOVED: forget_node(graph, record->object); break;
    case RECORD_VALUE_REMOVED: forget_value(graph, record->object); break;
    case RECORD_ATTRIBUTES: tn_attribute_list_destroy((tn_attribute_list *)record->old); break;
    case RECORD_CONSTANT: tn_constant_unref((tn_constant *)record->old); break;
    case RECORD_TYPE:
    case RECORD_NODE_METADATA:
    case RECORD_ELEMENTS: tn_free((void *)record->old); break;
    case RECORD_REGION_REMOVED: forget_region(graph, record->a); break;
    default: break;
    }
}
