/* engine/run/check_cut.c: of two graphs, of which one is the other after some rewrites, the parts in
 * which they differ.
 *
 * A node that is in both, with the same operator, attributes and outputs, gives equal answers where
 * its inputs are equal. So the graphs give equal answers when for each such node, and for the outputs
 * of the graph, each input is either the same value, made by such a node again, or a pair of values
 * that are equal. These pairs are what the parts compute; what they compute them from are values that
 * such nodes make, which become inputs.
 *
 * That can say "not equal" of graphs that are, since such an input may hold anything: then a larger
 * part (`wide`: a node that reads another value than before counts as changed, and what makes the
 * inputs comes along for a few steps), and in the end the whole graphs decide. It cannot say "equal"
 * of graphs that are not, but for what no run shows.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/check.h"

enum { DEEP = 4 };
/* Of nodes, by slot of their handle. */
enum { CHANGED = 0, SAME = 1 };

typedef struct pair {
    tn_value_id before, after;
} pair;

/* One graph with what is walked of it. */
typedef struct half {
    tn_graph *graph;
    uint8_t *seen; /* by slot of values: 1 + steps that were left */
    struct {
        struct {
            tn_value_id value;
            uint32_t steps;
        } * items;
        uint32_t count, capacity;
    } stack;
} half;

typedef struct cut {
    half before, after;
    uint8_t *same; /* by slot of nodes */
    bool wide, bodies_differ;
    struct {
        pair *items;
        uint32_t count, capacity;
    } pairs;
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } inputs;
    uint8_t *is_input; /* by slot of values */
} cut;

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* ---- nodes that are the same ---------------------------------------------------------------- */

static bool same_tensor(const tn_tensor *a, const tn_tensor *b)
{
    return a->dtype == b->dtype && a->dtype != TN_STRING && a->rank == b->rank &&
           a->bytes == b->bytes &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0) &&
           (a->data == b->data || !a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

static bool attributes_are_same(const cut *c, const tn_node_view *a, const tn_node_view *b)
{
    if (a->attribute_count != b->attribute_count)
        return false;
    for (uint32_t k = 0; k < a->attribute_count; k++) {
        const tn_attribute *x = &a->attributes[k], *y = tn_attr(b, x->name);
        const bool body = x->type == TN_ATTR_GRAPH || x->type == TN_ATTR_GRAPHS;
        if (!y || (body ? c->bodies_differ || y->type != x->type : !tn_same_attribute(x, y)))
            return false;
    }
    return true;
}

/* The same but for which values are read. A node may be turned in place: then it is another, which its
 * inputs' and outputs' types show. */
static bool is_kept(const cut *c, const tn_node_view *a, const tn_node_view *b)
{
    return a && b && a->version == b->version && a->region == b->region &&
           strcmp(a->op, b->op) == 0 && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->overload, b->overload) == 0 && a->input_count == b->input_count &&
           a->output_count == b->output_count &&
           (!a->output_count ||
            memcmp(a->outputs, b->outputs, a->output_count * sizeof *a->outputs) == 0) &&
           attributes_are_same(c, a, b);
}

static bool may_stand_for(const cut *c, tn_value_id before, tn_value_id after)
{
    if (before == TN_NONE || after == TN_NONE)
        return before == after;
    const tn_value_view *b = tn_graph_value(c->before.graph, before),
                        *a = tn_graph_value(c->after.graph, after);
    if (!b || !a || !tn_type_same_shape(b->type, a->type) || (c->wide && before != after))
        return false;
    return !b->constant || !a->constant || same_tensor(b->constant, a->constant);
}

static bool is_same(const cut *c, tn_node_id node)
{
    const tn_node_view *b = tn_graph_node(c->before.graph, node),
                       *a = tn_graph_node(c->after.graph, node);
    if (!is_kept(c, b, a))
        return false;
    for (uint32_t k = 0; k < b->input_count; k++)
        if (!may_stand_for(c, b->inputs[k], a->inputs[k]))
            return false;
    return true;
}

static bool same_lists(const tn_value_id *a, uint32_t a_count, const tn_value_id *b,
                       uint32_t b_count)
{
    return a_count == b_count && (!a_count || memcmp(a, b, a_count * sizeof *a) == 0);
}

static bool body_is_same(const cut *c, tn_region_id region)
{
    const tn_graph *before = c->before.graph, *after = c->after.graph;
    const tn_value_id *x, *y;
    if (tn_graph_region_alive(before, region) != tn_graph_region_alive(after, region))
        return false;
    if (!tn_graph_region_alive(before, region))
        return true;
    uint32_t x_count = tn_graph_region_inputs(before, region, &x),
             y_count = tn_graph_region_inputs(after, region, &y);
    if (!same_lists(x, x_count, y, y_count))
        return false;
    x_count = tn_graph_region_outputs(before, region, &x);
    y_count = tn_graph_region_outputs(after, region, &y);
    return same_lists(x, x_count, y, y_count);
}

/* Whether anything in a body is another: nodes, which of them there are, constants. */
static bool bodies_are_same(const cut *c)
{
    const tn_graph *before = c->before.graph, *after = c->after.graph;
    const uint32_t regions = tn_graph_region_count(before);
    if (regions != tn_graph_region_count(after))
        return false;
    for (tn_region_id region = 1; region < regions; region++) {
        if (!body_is_same(c, region))
            return false;
        if (!tn_graph_region_alive(before, region))
            continue;
        tn_node_id x = tn_graph_first_node(before, region), y = tn_graph_first_node(after, region);
        for (; x != TN_NONE && x == y;
             x = tn_graph_next_node(before, x), y = tn_graph_next_node(after, y)) {
            const tn_node_view *b = tn_graph_node(before, x), *a = tn_graph_node(after, y);
            if (!is_same(c, x) || !same_lists(b->inputs, b->input_count, a->inputs, a->input_count))
                return false;
        }
        if (x != y)
            return false;
    }
    return true;
}

static void compare_nodes(cut *c)
{
    c->bodies_differ = !bodies_are_same(c);
    for (tn_node_id node = tn_graph_first_node(c->after.graph, TN_TOP_REGION); node != TN_NONE;
         node = tn_graph_next_node(c->after.graph, node))
        c->same[tn_slot_of(node)] = is_same(c, node) ? SAME : CHANGED;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

/* Whether a handle stands for the same in both, given that nodes which are the same read the same. */
static bool is_settled(const cut *c, tn_value_id value)
{
    const tn_value_view *b = tn_graph_value(c->before.graph, value),
                        *a = tn_graph_value(c->after.graph, value);
    if (!b || !a || b->producer != a->producer || b->is_input != a->is_input ||
        !tn_type_same_shape(b->type, a->type) ||
        tn_graph_constant(c->before.graph, value) != tn_graph_constant(c->after.graph, value))
        return false;
    return b->producer == TN_NONE || c->same[tn_slot_of(b->producer)] == SAME;
}

static tn_status need_pair(cut *c, tn_value_id before, tn_value_id after)
{
    if (before == TN_NONE || (before == after && is_settled(c, before)))
        return TN_OK;
    const pair *last = c->pairs.count ? &c->pairs.items[c->pairs.count - 1] : NULL;
    if (last && last->before == before && last->after == after)
        return TN_OK;
    if (!TN_GROW(&c->pairs))
        return tn_raise_memory();
    c->pairs.items[c->pairs.count++] = (pair){ before, after };
    return TN_OK;
}

/* Outer values that its bodies read, which are the same handles in both. */
static tn_status need_captures(cut *c, tn_node_id node)
{
    const tn_operator *op = tn_operator_of(c->before.graph, node);
    const tn_value_id *values;
    uint32_t count;
    if (!op || !(op->def.traits & TN_REGIONS))
        return TN_OK;
    TN_TRY(tn_graph_captures(c->before.graph, node, &values, &count));
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(need_pair(c, values[k], values[k]));
    return TN_OK;
}

static tn_status find_pairs(cut *c)
{
    const tn_value_id *b, *a;
    for (tn_node_id node = tn_graph_first_node(c->after.graph, TN_TOP_REGION); node != TN_NONE;
         node = tn_graph_next_node(c->after.graph, node)) {
        if (c->same[tn_slot_of(node)] != SAME)
            continue;
        const tn_node_view *before = tn_graph_node(c->before.graph, node),
                           *after = tn_graph_node(c->after.graph, node);
        for (uint32_t k = 0; k < before->input_count; k++)
            TN_TRY(need_pair(c, before->inputs[k], after->inputs[k]));
        TN_TRY(need_captures(c, node));
    }
    const uint32_t count = tn_graph_region_outputs(c->before.graph, TN_TOP_REGION, &b);
    if (tn_graph_region_outputs(c->after.graph, TN_TOP_REGION, &a) != count)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(need_pair(c, b[k], a[k]));
    return TN_OK;
}

/* ---- what the parts are computed from --------------------------------------------------------- */

/* Whole numbers of 32 and 64 bits and truth values may be extents and indices: any will not do. */
static bool may_be_anything(const tn_type *type)
{
    const uint64_t indices = TN_BIT(TN_INT32) | TN_BIT(TN_INT64) | TN_BIT(TN_BOOL) |
                             TN_BIT(TN_STRING);
    return type->kind == TN_TENSOR && type->rank >= 0 && type->dtype != TN_UNDEFINED &&
           !(TN_BIT(type->dtype) & indices);
}

static tn_status push(half *h, tn_value_id value, uint32_t steps)
{
    if (value == TN_NONE || h->seen[tn_slot_of(value)] > steps)
        return TN_OK;
    if (!TN_GROW(&h->stack))
        return tn_raise_memory();
    h->seen[tn_slot_of(value)] = (uint8_t)(steps + 1);
    h->stack.items[h->stack.count].value = value;
    h->stack.items[h->stack.count++].steps = steps;
    return TN_OK;
}

static tn_status make_input(cut *c, tn_value_id value)
{
    if (c->is_input[tn_slot_of(value)])
        return TN_OK;
    if (!TN_GROW(&c->inputs))
        return tn_raise_memory();
    c->is_input[tn_slot_of(value)] = 1;
    c->inputs.items[c->inputs.count++] = value;
    return TN_OK;
}

static tn_status walk_node(half *h, tn_node_id node, uint32_t steps)
{
    const tn_node_view *view = tn_graph_node(h->graph, node);
    const tn_operator *op = tn_operator_of(h->graph, node);
    const tn_value_id *values;
    uint32_t count;
    for (uint32_t k = 0; k < view->input_count; k++)
        TN_TRY(push(h, view->inputs[k], steps));
    if (!op || !(op->def.traits & TN_REGIONS))
        return TN_OK;
    TN_TRY(tn_graph_captures(h->graph, node, &values, &count));
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(push(h, values[k], steps));
    return TN_OK;
}

/* From a value to what it is made of: through what changed, and `steps` nodes that did not. */
static tn_status walk(cut *c, half *h, tn_value_id from, uint32_t steps)
{
    TN_TRY(push(h, from, steps));
    while (h->stack.count) {
        const tn_value_id value = h->stack.items[--h->stack.count].value;
        uint32_t left = h->stack.items[h->stack.count].steps;
        const tn_value_view *view = tn_graph_value(h->graph, value);
        if (view->producer == TN_NONE)
            continue;
        const bool same = is_settled(c, value);
        if (same && !left && may_be_anything(view->type))
            TN_TRY(make_input(c, value));
        else
            TN_TRY(walk_node(h, view->producer, same && left ? left - 1 : left));
    }
    return TN_OK;
}

/* Where one old value stands for another, the one that is no longer read is made of the other. */
static tn_status find_inputs(cut *c)
{
    for (uint32_t k = 0; k < c->pairs.count; k++) {
        const pair *p = &c->pairs.items[k];
        TN_TRY(walk(c, &c->before, p->before, c->wide ? DEEP : p->before != p->after));
        TN_TRY(walk(c, &c->after, p->after, c->wide ? DEEP : 0));
    }
    return TN_OK;
}

/* ---- the two graphs --------------------------------------------------------------------------- */

static tn_status begin(cut *c)
{
    const uint32_t nodes = most(tn_graph_node_slots(c->before.graph),
                                tn_graph_node_slots(c->after.graph)),
                   values = most(tn_graph_value_slots(c->before.graph),
                                 tn_graph_value_slots(c->after.graph));
    c->same = tn_alloc(nodes, 1);
    c->is_input = tn_alloc(values, 1);
    c->before.seen = tn_alloc(values, 1);
    c->after.seen = tn_alloc(values, 1);
    return c->same && c->is_input && c->before.seen && c->after.seen ? TN_OK : tn_raise_memory();
}

static void end(cut *c)
{
    tn_free(c->same);
    tn_free(c->is_input);
    tn_free(c->before.seen);
    tn_free(c->after.seen);
    tn_free(c->before.stack.items);
    tn_free(c->after.stack.items);
    tn_free(c->pairs.items);
    tn_free(c->inputs.items);
}

static tn_status make_half(const cut *c, const half *h, tn_graph **out)
{
    tn_value_id *outputs = tn_alloc(c->pairs.count, sizeof *outputs);
    if (!outputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < c->pairs.count; k++)
        outputs[k] = h == &c->before ? c->pairs.items[k].before : c->pairs.items[k].after;
    const tn_status status = tn_graph_cut(h->graph, c->inputs.items, c->inputs.count, outputs,
                                          c->pairs.count, out);
    tn_free(outputs);
    return status;
}

static tn_status make(cut *c, tn_graph **before, tn_graph **after)
{
    compare_nodes(c);
    TN_TRY(find_pairs(c));
    if (!c->pairs.count)
        return TN_OK;
    TN_TRY(find_inputs(c));
    TN_TRY(make_half(c, &c->before, before));
    return make_half(c, &c->after, after);
}

tn_status tn_check_cut(const tn_graph *before, const tn_graph *after, bool wide,
                       tn_graph **out_before, tn_graph **out_after)
{
    /* Captures, which are looked up here, are kept with the graph. */
    cut c = { .before.graph = (tn_graph *)(uintptr_t)before,
              .after.graph = (tn_graph *)(uintptr_t)after,
              .wide = wide };
    *out_before = *out_after = NULL;
    tn_status status = begin(&c);
    if (status == TN_OK)
        status = make(&c, out_before, out_after);
    if (status != TN_OK) {
        tn_graph_destroy(*out_before);
        *out_before = NULL;
    }
    end(&c);
    return status;
}
