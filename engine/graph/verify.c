/* engine/graph/verify.c: is the graph one: names, scopes, uses, order.
 *
 * In: a graph as read or edited. Out: the same with each region's nodes in order, or all that is
 * wrong with it, in one go.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

#include <stdio.h>

typedef struct verifier {
    tn_graph *graph;
    tn_diagnostics *diagnostics;
    tn_status status;     /* the first error's */
    uint32_t suggestions; /* still to be made: looking for a near name walks over all */
} verifier;

/* One complaint about a node, or (TN_NONE) about the graph. */
static void complain(verifier *v, tn_status status, tn_node_id node, const char *part,
                     const char *message, const char *suggestion)
{
    tn_diagnostic d = { .size = sizeof d, .status = status };
    tn_graph_locate(v->graph, node, part, &d);
    d.about = part;
    d.message = message;
    d.suggestion = suggestion;
    tn_diagnose(v->diagnostics, &d);
    if (v->status == TN_OK)
        v->status = status;
}

/* ---- what is read ------------------------------------------------------------------------ */

/* "did you mean 'x'?" for a name among those that the region can see and that something makes. */
static void suggest(verifier *v, tn_region_id region, const char *name, char *out, size_t bytes)
{
    const tn_graph *graph = v->graph;
    struct {
        const char **items;
        uint32_t count, capacity;
    } names = { 0 };
    out[0] = 0;
    if (!v->suggestions)
        return;
    v->suggestions--;
    for (tn_region_id r = region; r != TN_NONE; r = graph->regions.items[r].outer)
        for (tn_value_id id = graph->regions.items[r].first_value; id != TN_NONE;
             id = tn_value_of(graph, id)->next) {
            const tn_value_view *view = &tn_value_of(graph, id)->view;
            const bool made = view->producer != TN_NONE || view->is_input || view->constant;
            if (made && TN_GROW(&names))
                names.items[names.count++] = view->name;
        }
    const char *near = tn_nearest(name, names.items, names.count);
    if (near)
        snprintf(out, bytes, "did you mean '%s'?", near);
    tn_free(names.items);
}

static bool is_made(const tn_value *value)
{
    return value->view.producer != TN_NONE || value->view.is_input || value->constant;
}

/* Something reads a value from a region: `what` is it ("input 1 of the node"). */
static void check_read(verifier *v, tn_node_id node, const char *part, const char *what,
                       const tn_value *value, tn_region_id from)
{
    char suggestion[256];
    tn_builder text = { 0 };
    suggestion[0] = 0;
    if (!tn_region_within(v->graph, from, value->view.region)) {
        tn_add(&text, "%s is '%s', which belongs to a body that cannot be seen from there", what,
               value->view.name);
    } else if (!is_made(value)) {
        tn_add(&text, "%s is '%s', which is no node's output, no input and no constant", what,
               value->view.name);
        suggest(v, from, value->view.name, suggestion, sizeof suggestion);
    } else {
        return;
    }
    complain(v, TN_ERR_NAME, node, part, tn_builder_text(&text), suggestion);
    tn_builder_fini(&text);
}

static void check_node(verifier *v, const tn_node *node)
{
    char what[48], part[32];
    for (uint32_t k = 0; k < node->view.input_count; k++) {
        if (node->inputs[k] == TN_NONE)
            continue;
        snprintf(what, sizeof what, "input %" PRIu32, k);
        snprintf(part, sizeof part, "/inputs/%" PRIu32, k);
        check_read(v, node->id, part, what, tn_value_of(v->graph, node->inputs[k]),
                   node->view.region);
    }
}

static void check_region(verifier *v, tn_region_id id)
{
    const tn_region *region = &v->graph->regions.items[id];
    for (tn_node_id n = region->first; n != TN_NONE; n = tn_node_of(v->graph, n)->next)
        check_node(v, tn_node_of(v->graph, n));
    for (uint32_t k = 0; k < region->outputs.count; k++) {
        const tn_region_output *output = &region->outputs.items[k];
        const tn_value *value = tn_value_of(v->graph, output->value);
        tn_builder what = { 0 };
        tn_add(&what, "output '%s' of the %s", output->name,
               id == TN_TOP_REGION ? "graph" : "body");
        check_read(v, region->owner, "", tn_builder_text(&what), value, id);
        tn_builder_fini(&what);
    }
}

/* ---- promises of our own ------------------------------------------------------------------ */

static bool uses_agree(const tn_graph *graph, const tn_node *node)
{
    for (uint32_t k = 0; k < node->view.input_count; k++) {
        if (node->inputs[k] == TN_NONE)
            continue;
        const tn_value *value = tn_find_value(graph, node->inputs[k]);
        if (!value || node->use_at[k] >= value->uses.count ||
            value->uses.items[node->use_at[k]].owner != node->id ||
            value->uses.items[node->use_at[k]].index != k)
            return false;
    }
    for (uint32_t k = 0; k < node->view.output_count; k++) {
        if (node->outputs[k] == TN_NONE)
            continue;
        const tn_value *value = tn_find_value(graph, node->outputs[k]);
        if (!value || value->view.producer != node->id || value->view.producer_output != k ||
            value->view.region != node->view.region)
            return false;
    }
    return tn_names_get(graph, NODE_NAMES, node->view.name) == node->id;
}

static bool value_agrees(const tn_graph *graph, const tn_value *value)
{
    const tn_value_view *view = &value->view;
    const tn_node *producer = tn_find_node(graph, view->producer);
    if (view->producer != TN_NONE &&
        (!producer || producer->outputs[view->producer_output] != value->id))
        return false;
    for (uint32_t k = 0; k < value->uses.count; k++) {
        const tn_node *reader = tn_find_node(graph, value->uses.items[k].owner);
        if (!reader || reader->inputs[value->uses.items[k].index] != value->id)
            return false;
    }
    return view->use_count == value->uses.count && view->output_count == value->outputs.count &&
           tn_find_region(graph, view->region) &&
           tn_names_get(graph, view->region, view->name) == value->id;
}

static bool region_agrees(const tn_graph *graph, tn_region_id id)
{
    const tn_region *region = &graph->regions.items[id];
    for (uint32_t k = 0; k < region->outputs.count; k++) {
        const tn_region_output *output = &region->outputs.items[k];
        const tn_value *value = tn_find_value(graph, output->value);
        if (!value || output->use_at >= value->outputs.count ||
            value->outputs.items[output->use_at].owner != id ||
            value->outputs.items[output->use_at].index != k ||
            region->output_values.items[k] != output->value)
            return false;
    }
    return region->owner == TN_NONE || tn_find_node(graph, region->owner);
}

tn_status tn_graph_check_lists(const tn_graph *graph)
{
    bool ok = true;
    for (uint32_t k = 0; ok && k < graph->nodes.count; k++)
        if (graph->nodes.items[k].alive)
            ok = uses_agree(graph, graph->nodes.items[k].object);
    for (uint32_t k = 0; ok && k < graph->values.count; k++)
        if (graph->values.items[k].alive)
            ok = value_agrees(graph, graph->values.items[k].object);
    for (uint32_t k = 0; ok && k < graph->regions.count; k++)
        if (graph->regions.items[k].alive)
            ok = region_agrees(graph, k);
    return ok ? TN_OK : tn_raise(TN_ERR_INTERNAL, "the graph's lists of uses do not agree");
}

/* ---- all of it --------------------------------------------------------------------------- */

static void complain_cycle(void *user, tn_node_id in_cycle, const char *text)
{
    tn_builder message = { 0 };
    tn_add(&message, "the graph feeds itself: %s", text);
    complain(user, TN_ERR_CYCLE, in_cycle, "", tn_builder_text(&message), "");
    tn_builder_fini(&message);
}

tn_status tn_graph_verify(tn_graph *graph, tn_diagnostics *diagnostics)
{
    verifier v = { .graph = graph, .diagnostics = diagnostics, .suggestions = 100 };
    if (tn_graph_check_lists(graph) != TN_OK)
        return TN_ERR_INTERNAL;
    for (tn_region_id r = 0; r < graph->regions.count; r++)
        if (graph->regions.items[r].alive)
            check_region(&v, r);
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = tn_edit_end(graph, mark, tn_sort_regions(graph, complain_cycle, &v));
    return status != TN_OK ? status : v.status;
}
