/* engine/graph/order.c: sorts the nodes of a region so that makers stand before readers.
 *
 * A walk in depth from each node in turn, makers first: it leaves an order that is right as it is,
 * and meets itself on a cycle. What a node's bodies read counts as read by the node.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

typedef struct frame {
    tn_node *node;
    uint32_t next; /* reads still to follow, from here on */
    const tn_value_id *captures;
    uint32_t capture_count;
} frame;

typedef struct sorter {
    tn_graph *graph;
    tn_region_id region;
    uint8_t *marks; /* by slot: 1 under way, 2 done */
    struct {
        frame *items;
        uint32_t count, capacity;
    } stack;
    struct {
        tn_node_id *items;
        uint32_t count;
    } order; /* room for all nodes */
} sorter;

static tn_status push(sorter *s, tn_node *node)
{
    frame next = { .node = node };
    if (!TN_GROW(&s->stack))
        return tn_raise_memory();
    TN_TRY(tn_graph_captures(s->graph, node->id, &next.captures, &next.capture_count));
    s->marks[tn_slot_of(node->id)] = 1;
    s->stack.items[s->stack.count++] = next;
    return TN_OK;
}

/* The node of this region behind the next read of the top frame; NULL: none left. */
static tn_node *next_maker(const sorter *s, frame *top)
{
    const uint32_t inputs = top->node->view.input_count;
    while (top->next < inputs + top->capture_count) {
        const uint32_t k = top->next++;
        tn_value_id id = k < inputs ? top->node->inputs[k] : top->captures[k - inputs];
        const tn_value *value = id == TN_NONE ? NULL : tn_value_of(s->graph, id);
        if (value && value->view.producer != TN_NONE && value->view.region == s->region)
            return tn_node_of(s->graph, value->view.producer);
    }
    return NULL;
}

/* "'a' → 'b' → 'a'", makers first; long ones are cut. */
static tn_status report_cycle(const sorter *s, const tn_node *closing, tn_builder *out,
                              tn_node_id *in_cycle)
{
    uint32_t shown = 0;
    *in_cycle = closing->id;
    tn_add(out, "'%s'", closing->view.name);
    for (uint32_t k = s->stack.count; k--;) {
        const tn_node *node = s->stack.items[k].node;
        /* The top of the stack makes what the node below it reads. */
        if (node == closing || ++shown < 8)
            tn_add(out, " → '%s'", node->view.name);
        else if (shown == 8)
            tn_add(out, " → …");
        if (node == closing)
            break;
    }
    return TN_ERR_CYCLE;
}

static tn_status visit(sorter *s, tn_node *first, tn_builder *cycle, tn_node_id *in_cycle)
{
    TN_TRY(push(s, first));
    while (s->stack.count) {
        frame *top = &s->stack.items[s->stack.count - 1];
        tn_node *maker = next_maker(s, top);
        if (!maker) {
            s->marks[tn_slot_of(top->node->id)] = 2;
            s->order.items[s->order.count++] = top->node->id;
            s->stack.count--;
        } else if (s->marks[tn_slot_of(maker->id)] == 1) {
            return report_cycle(s, maker, cycle, in_cycle);
        } else if (!s->marks[tn_slot_of(maker->id)]) {
            TN_TRY(push(s, maker));
        }
    }
    return TN_OK;
}

static tn_status find_order(sorter *s, tn_builder *cycle, tn_node_id *in_cycle)
{
    tn_graph *graph = s->graph;
    s->order.count = s->stack.count = 0;
    for (tn_node_id n = graph->regions.items[s->region].first; n != TN_NONE;
         n = tn_node_of(graph, n)->next)
        if (!s->marks[tn_slot_of(n)])
            TN_TRY(visit(s, tn_node_of(graph, n), cycle, in_cycle));
    return TN_OK;
}

static tn_status apply_order(sorter *s)
{
    tn_node_id at = s->graph->regions.items[s->region].first;
    uint32_t k = 0;
    for (; k < s->order.count && s->order.items[k] == at; k++)
        at = tn_node_of(s->graph, at)->next;
    for (; k < s->order.count; k++) /* what is wrong from here on goes to the end, in order */
        TN_TRY(tn_change_move_node(s->graph, tn_node_of(s->graph, s->order.items[k]), s->region,
                                   TN_NONE));
    return TN_OK;
}

static tn_status sort_region(sorter *s, tn_cycle_fn complain, void *user)
{
    tn_builder cycle = { 0 };
    tn_node_id in_cycle = TN_NONE;
    tn_status status = find_order(s, &cycle, &in_cycle);
    if (status == TN_OK) {
        status = apply_order(s);
    } else if (status == TN_ERR_CYCLE) { /* other regions are looked at all the same */
        complain(user, in_cycle, tn_builder_text(&cycle));
        status = TN_OK;
    }
    tn_builder_fini(&cycle);
    return status;
}

tn_status tn_sort_regions(tn_graph *graph, tn_cycle_fn complain, void *user)
{
    sorter s = { .graph = graph };
    tn_status status = TN_OK;
    s.marks = tn_alloc(graph->nodes.count, 1);
    s.order.items = tn_alloc(graph->nodes.alive, sizeof *s.order.items);
    if (!s.marks || !s.order.items)
        status = tn_raise_memory();
    for (; status == TN_OK && s.region < graph->regions.count; s.region++)
        if (tn_find_region(graph, s.region))
            status = sort_region(&s, complain, user);
    tn_free(s.marks);
    tn_free(s.order.items);
    tn_free(s.stack.items);
    return status;
}
