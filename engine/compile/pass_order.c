/* engine/compile/pass_order.c: that a rewrite closes no cycle.
 *
 * Every node has a position; each reads only what stands before it, in its own region. Positions
 * are far apart, so that new nodes find room right behind what they read, and a rewrite is checked
 * by looking at the nodes it touched and no others (the idea of Pearce and Kelly's dynamic
 * topological order, JEA 2006). Only when a position contradicts an edge is the whole graph
 * searched: then either there is a cycle, or the positions were old and are new afterwards.
 *
 * A node with bodies also reads what its bodies capture, so that a cycle through a body is a cycle
 * around it.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#define APART (UINT64_C(1) << 20)

/* A node whose producers are being visited: `next` of them are done. */
typedef struct tn_order_step {
    tn_node_id node;
    uint32_t next;
    uint64_t behind; /* largest position of a producer so far */
} tn_order_step;

static bool has_bodies(const tn_node_view *view)
{
    for (uint32_t k = 0; k < view->attribute_count; k++)
        if (view->attributes[k].type == TN_ATTR_GRAPH || view->attributes[k].type == TN_ATTR_GRAPHS)
            return true;
    return false;
}

/* The node of `region` in whose body, at any depth, `inner` lies; `inner` itself in its own. */
static tn_node_id lift(const tn_graph *graph, tn_node_id inner, tn_region_id region)
{
    const tn_node_view *view = tn_graph_node(graph, inner);
    while (view && view->region != region) {
        inner = tn_graph_region_owner(graph, view->region);
        view = tn_graph_node(graph, inner);
    }
    return view ? inner : TN_NONE;
}

/* Value k that a node reads, its bodies' captures after its own inputs; false beyond the last. */
static tn_status read_at(tn_graph *graph, tn_node_id node, uint32_t k, tn_value_id *out,
                         bool *found)
{
    const tn_node_view *view = tn_graph_node(graph, node);
    const tn_value_id *captures = NULL;
    uint32_t count = 0;
    *found = k < view->input_count;
    if (*found) {
        *out = view->inputs[k];
        return TN_OK;
    }
    k -= view->input_count;
    if (has_bodies(view))
        TN_TRY(tn_graph_captures(graph, node, &captures, &count));
    *found = k < count;
    if (*found)
        *out = captures[k];
    return TN_OK;
}

/* The node that makes a value, if that is one of `region`. */
static tn_node_id maker(const tn_graph *graph, tn_value_id value, tn_region_id region)
{
    const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(graph, value);
    return view && view->region == region ? view->producer : TN_NONE;
}

static bool make_room(tn_manager *manager)
{
    const uint32_t slots = tn_graph_node_slots(manager->graph), wanted = slots + slots / 2 + 16;
    uint64_t *at;
    tn_node_id *node;
    uint8_t *open;
    if (slots <= manager->order.count)
        return true;
    at = tn_realloc(manager->order.at, wanted, sizeof *at);
    if (at)
        manager->order.at = at;
    node = tn_realloc(manager->order.node, wanted, sizeof *node);
    if (node)
        manager->order.node = node;
    open = tn_realloc(manager->order.open, wanted, sizeof *open);
    if (open)
        manager->order.open = open;
    if (!at || !node || !open)
        return false;
    for (uint32_t k = manager->order.count; k < wanted; k++) {
        node[k] = TN_NONE;
        open[k] = 0;
    }
    manager->order.count = wanted;
    return true;
}

static bool is_placed(const tn_manager *manager, tn_node_id node)
{
    return manager->order.node[tn_slot_of(node)] == node;
}

static tn_status push(tn_manager *manager, tn_node_id node)
{
    if (manager->order.open[tn_slot_of(node)])
        return tn_raise(TN_ERR_CYCLE, "node '%s' would read what it makes",
                        tn_graph_node(manager->graph, node)->name);
    if (!TN_GROW(&manager->order.stack))
        return tn_raise_memory();
    manager->order.stack.items[manager->order.stack.count++] = (tn_order_step){ .node = node };
    manager->order.open[tn_slot_of(node)] = 1;
    return TN_OK;
}

static void pop(tn_manager *manager, uint64_t position)
{
    const tn_node_id node = manager->order.stack.items[--manager->order.stack.count].node;
    manager->order.open[tn_slot_of(node)] = 0;
    manager->order.node[tn_slot_of(node)] = node;
    manager->order.at[tn_slot_of(node)] = position;
}

/* Goes one producer further from the node on top of the stack, or places it behind them all.
 * `counter` NULL: right behind the last producer, else behind everything placed so far. */
static tn_status step(tn_manager *manager, uint64_t *counter)
{
    tn_order_step *top = &manager->order.stack.items[manager->order.stack.count - 1];
    tn_value_id value = TN_NONE;
    tn_node_id producer;
    bool found;
    TN_TRY(read_at(manager->graph, top->node, top->next, &value, &found));
    if (!found) {
        const uint64_t behind = top->behind + 1;
        pop(manager, counter ? (*counter += APART) : behind);
        return TN_OK;
    }
    producer = maker(manager->graph, value, tn_graph_node(manager->graph, top->node)->region);
    if (producer != TN_NONE && !is_placed(manager, producer))
        return push(manager, producer);
    top->next++;
    if (producer != TN_NONE && manager->order.at[tn_slot_of(producer)] > top->behind)
        top->behind = manager->order.at[tn_slot_of(producer)];
    return TN_OK;
}

static tn_status place(tn_manager *manager, tn_node_id node, uint64_t *counter)
{
    tn_status status = is_placed(manager, node) ? TN_OK : push(manager, node);
    while (status == TN_OK && manager->order.stack.count)
        status = step(manager, counter);
    while (manager->order.stack.count) /* after an error */
        manager->order
            .open[tn_slot_of(manager->order.stack.items[--manager->order.stack.count].node)] = 0;
    return status;
}

/* Positions for all nodes, or the cycle. */
static tn_status place_all(tn_manager *manager)
{
    uint64_t counter = 0;
    manager->order.valid = false;
    for (uint32_t k = 0; k < manager->order.count; k++)
        manager->order.node[k] = TN_NONE;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(manager->graph); slot++) {
        const tn_node_id node = tn_graph_node_at(manager->graph, slot);
        if (node != TN_NONE)
            TN_TRY(place(manager, node, &counter));
    }
    manager->order.valid = true;
    return TN_OK;
}

/* Whether one edge fits the positions: what `node` reads stands before it, or before the node in
 * whose body it lies. A value of a region that is not around the node is nobody's to read. */
static tn_status fits(tn_manager *manager, tn_node_id node, tn_value_id value, bool *out)
{
    const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(manager->graph, value);
    tn_node_id reader;
    if (!view || view->producer == TN_NONE)
        return TN_OK;
    reader = lift(manager->graph, node, view->region);
    if (reader == TN_NONE)
        return tn_raise(TN_ERR_NAME, "node '%s' would read '%s' of a body it does not lie in",
                        tn_graph_node(manager->graph, node)->name, view->name);
    if (!is_placed(manager, reader))
        TN_TRY(place(manager, reader, NULL));
    if (!is_placed(manager, view->producer))
        TN_TRY(place(manager, view->producer, NULL));
    if (manager->order.at[tn_slot_of(view->producer)] >= manager->order.at[tn_slot_of(reader)])
        *out = false;
    return TN_OK;
}

static tn_status check_node(tn_manager *manager, tn_node_id node, bool *out)
{
    for (uint32_t k = 0;; k++) {
        tn_value_id value = TN_NONE;
        bool found;
        TN_TRY(read_at(manager->graph, node, k, &value, &found));
        if (!found)
            return TN_OK;
        TN_TRY(fits(manager, node, value, out));
    }
}

tn_status tn_pass_order_check(tn_manager *manager, const tn_node_id *touched, uint32_t count)
{
    bool good = true;
    if (!make_room(manager))
        return tn_raise_memory();
    if (!manager->order.valid)
        return place_all(manager);
    for (uint32_t k = 0; k < count && good; k++)
        if (tn_graph_node(manager->graph, touched[k])) {
            if (!is_placed(manager, touched[k]))
                TN_TRY(place(manager, touched[k], NULL));
            TN_TRY(check_node(manager, touched[k], &good));
        }
    return good ? TN_OK : place_all(manager);
}

void tn_pass_order_fini(tn_manager *manager)
{
    tn_free(manager->order.at);
    tn_free(manager->order.node);
    tn_free(manager->order.open);
    tn_free(manager->order.stack.items);
}
