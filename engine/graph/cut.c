/* engine/graph/cut.c: a part of a graph as a graph of its own.
 *
 * In: a graph, the values that are to be given, the values that are wanted. Out: a copy that computes
 * only these; handles of what is left stay valid in it.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

#include <stdio.h>

static tn_status point_output(tn_graph *graph, uint32_t k, tn_value_id value)
{
    const uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark,
                       tn_change_region_output(graph, TN_TOP_REGION, k, tn_value_of(graph, value)));
}

/* Outputs that there are more of than are wanted show the first one once more. */
static tn_status set_outputs(tn_graph *graph, const tn_value_id *outputs, uint32_t count)
{
    const tn_value_id *old;
    const uint32_t old_count = tn_graph_region_outputs(graph, TN_TOP_REGION, &old);
    char name[32];
    for (uint32_t k = 0; k < old_count; k++)
        TN_TRY(point_output(graph, k, outputs[k < count ? k : 0]));
    for (uint32_t k = old_count; k < count; k++) {
        snprintf(name, sizeof name, "cut out %" PRIu32, k);
        TN_TRY(tn_graph_add_output(graph, TN_TOP_REGION, name, outputs[k]));
    }
    return TN_OK;
}

static tn_status make_input(tn_graph *graph, tn_value_id value, uint32_t k)
{
    const tn_type type = *tn_graph_value(graph, value)->type;
    char name[32];
    tn_value_id input;
    snprintf(name, sizeof name, "cut in %" PRIu32, k);
    TN_TRY(tn_graph_add_value(graph, TN_TOP_REGION, name, &type, &input));
    TN_TRY(tn_graph_add_input(graph, TN_TOP_REGION, input));
    return tn_graph_replace(graph, value, input);
}

static bool is_read(const tn_graph *graph, const tn_node *node)
{
    for (uint32_t k = 0; k < node->view.output_count; k++) {
        const tn_value *value = node->outputs[k] == TN_NONE ? NULL
                                                            : tn_value_of(graph, node->outputs[k]);
        if (value && (value->uses.count || value->outputs.count))
            return true;
    }
    return false;
}

/* From the last node to the first, again where they stood in another order. */
static tn_status remove_unread(tn_graph *graph)
{
    bool removed;
    do {
        tn_node_id node = graph->regions.items[TN_TOP_REGION].last;
        removed = false;
        while (node != TN_NONE) {
            const tn_node *here = tn_node_of(graph, node);
            const tn_node_id previous = here->previous;
            if (!is_read(graph, here)) {
                TN_TRY(tn_graph_remove_node(graph, node));
                removed = true;
            }
            node = previous;
        }
    } while (removed);
    return TN_OK;
}

tn_status tn_graph_cut(const tn_graph *graph, const tn_value_id *inputs, uint32_t input_count,
                       const tn_value_id *outputs, uint32_t output_count, tn_graph **out)
{
    tn_graph *copy;
    TN_TRY(tn_graph_clone(graph, &copy));
    tn_status status = set_outputs(copy, outputs, output_count);
    for (uint32_t k = 0; status == TN_OK && k < input_count; k++)
        status = make_input(copy, inputs[k], k);
    if (status == TN_OK)
        status = remove_unread(copy);
    if (status != TN_OK) {
        tn_graph_destroy(copy);
        return status;
    }
    *out = copy;
    return TN_OK;
}
