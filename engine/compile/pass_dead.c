/* engine/compile/pass_dead.c: remove_dead: what nothing reads.
 *
 * A node goes when none of its outputs is read and neither it nor a node of its bodies has a side
 * effect. (That it might have failed is no effect: an answer nobody reads cannot be wrong.) An
 * optional output that nothing reads goes by itself, so that kernels need not compute it. At the
 * end of a sweep, constants that nothing reads go; inputs of the graph stay, they are its
 * interface. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

static bool region_acts(const tn_graph *graph, tn_region_id region);

static bool acts(const tn_graph *graph, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(graph, node);
    const tn_operator *op = tn_operator_of(graph, node);
    if (!op || (op->def.traits & TN_SIDE_EFFECT))
        return true;
    for (uint32_t k = 0; k < view->attribute_count; k++) {
        const tn_attribute *attribute = &view->attributes[k];
        const bool one = attribute->type == TN_ATTR_GRAPH;
        for (size_t r = 0;
             (one || attribute->type == TN_ATTR_GRAPHS) && r < (one ? 1 : attribute->count); r++)
            if (region_acts(graph, attribute->regions[r]))
                return true;
    }
    return false;
}

/* As deep as bodies nest, which the reader bounds. */
static bool region_acts(const tn_graph *graph, tn_region_id region)
{
    for (tn_node_id node = tn_graph_first_node(graph, region); node != TN_NONE;
         node = tn_graph_next_node(graph, node))
        if (acts(graph, node))
            return true;
    return false;
}

static bool is_read(const tn_graph *graph, const tn_node_view *view, uint32_t k)
{
    return view->outputs[k] != TN_NONE && tn_pass_is_read(tn_graph_value(graph, view->outputs[k]));
}

/* Output k may be left out: the schema says so. Not under an old schema: BatchNormalization below
 * version 14 trains when its optional outputs are there. */
static bool may_leave_out(tn_manager *manager, const tn_operator *op, uint32_t k)
{
    return k < op->def.output_count && (op->def.outputs[k].flags & TN_PARAM_OPTIONAL) &&
           !(op->def.outputs[k].flags & TN_PARAM_VARIADIC) &&
           !tn_registry_newer(manager->options->registry, op);
}

static tn_status trim(tn_rewrite *ctx, tn_node_id node, const tn_node_view *view)
{
    tn_manager *manager = tn_pass_manager(ctx);
    const tn_operator *op = tn_operator_of(ctx->graph, node);
    for (uint32_t k = 1; op && k < view->output_count; k++) {
        const tn_value_id value = view->outputs[k];
        if (value == TN_NONE || is_read(ctx->graph, view, k) || !may_leave_out(manager, op, k))
            continue;
        manager->quiet = true;
        tn_pass_say(ctx, TN_OK, "%s (%s): output '%s' left out, nothing reads it", view->name,
                    view->op, tn_graph_value(ctx->graph, value)->name);
        return tn_graph_drop_output(ctx->graph, node, k);
    }
    return TN_NO_MATCH;
}

tn_status tn_match_dead(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(ctx->graph, node);
    for (uint32_t k = 0; k < view->output_count; k++)
        if (is_read(ctx->graph, view, k))
            return trim(ctx, node, view);
    if (acts(ctx->graph, node))
        return TN_NO_MATCH;
    tn_pass_manager(ctx)->quiet = true;
    tn_pass_say(ctx, TN_OK, "%s (%s) removed, nothing reads it", view->name, view->op);
    return tn_graph_remove_node(ctx->graph, node);
}

/* Constants, and values of no origin at all that a rewrite left behind. */
static bool is_orphan(const tn_value_view *value)
{
    return value->producer == TN_NONE && !value->is_input && !tn_pass_is_read(value);
}

static tn_status remove_orphans(tn_graph *graph, uint32_t *out_count, uint64_t *out_bytes)
{
    for (uint32_t slot = 0; slot < tn_graph_value_slots(graph); slot++) {
        const tn_value_id id = tn_graph_value_at(graph, slot);
        const tn_value_view *value = id == TN_NONE ? NULL : tn_graph_value(graph, id);
        if (!value || !is_orphan(value))
            continue;
        if (value->constant) {
            ++*out_count;
            *out_bytes += value->constant->bytes;
        }
        TN_TRY(tn_graph_remove_value(graph, id));
    }
    return TN_OK;
}

tn_status tn_dead_end(tn_manager *manager)
{
    const uint32_t pass = (uint32_t)(manager->row - manager->rows);
    uint32_t count = 0;
    uint64_t bytes = 0;
    char text[128];
    tn_status status;
    TN_TRY(tn_graph_begin(manager->graph));
    status = remove_orphans(manager->graph, &count, &bytes);
    if (status != TN_OK) {
        tn_graph_undo(manager->graph);
        return status;
    }
    tn_graph_commit(manager->graph);
    if (!count)
        return TN_OK;
    manager->edits++;
    manager->log->records[pass].fired++;
    snprintf(text, sizeof text,
             "%" PRIu32 " constant%s removed, nothing reads %s: %" PRIu64 " bytes", count,
             count == 1 ? "" : "s", count == 1 ? "it" : "them", bytes);
    return tn_pass_note_add(manager, pass, true, text);
}
