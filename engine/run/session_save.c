/* Writes a session's graph: as it is, or, by the word "opset=N" of its passes, for an older operator set.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

#include <stdio.h>

/* The lowest set under which each node means what it means now; and whose it is. */
static int64_t lowest_set(const tn_graph *graph, tn_node_id *whose)
{
    int64_t lowest = 1;
    *whose = TN_NONE;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(graph, node);
        const int64_t from = !op || !op->plugin || *op->def.domain ? 0
                             : op->def.accepts_from                ? op->def.accepts_from
                                                                   : op->def.since;
        if (from > lowest) {
            lowest = from;
            *whose = node;
        }
    }
    return lowest;
}

static tn_status refuse_set(const tn_session *s, int64_t set)
{
    const tn_graph *graph = s->graph;
    const uint32_t newest = tn_registry_newest(s->compile.registry, "");
    tn_node_id node;
    const int64_t lowest = lowest_set(graph, &node);
    if (set > (int64_t)newest)
        return tn_raise(TN_ERR_OPERATOR, "set %" PRId64 " is not held: the newest is %" PRIu32, set,
                        newest);
    if (set < lowest)
        return tn_raise(TN_ERR_OPERATOR,
                        "node '%s' (%s) has no equal form in set %" PRId64
                        ": the lowest for all nodes is %" PRId64,
                        tn_graph_node(graph, node)->name, tn_graph_node(graph, node)->op, set,
                        lowest);
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        node = tn_graph_node_at(graph, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(graph, node);
        if (op && op->plugin && !*op->def.domain &&
            tn_registry_operator(s->compile.registry, "", op->def.name, set, NULL) != op)
            return tn_raise(TN_ERR_OPERATOR,
                            "node '%s' (%s) is of version %" PRIu32
                            ", which means something else in set %" PRId64,
                            tn_graph_node(graph, node)->name, op->def.name, op->def.since, set);
    }
    return TN_OK;
}

static bool is_default(const tn_attribute *a, const tn_attribute_def *def)
{
    if (!(def->flags & TN_ATTR_HAS_DEFAULT) || strcmp(def->name, a->name) != 0 ||
        def->type != a->type)
        return false;
    switch (a->type) {
    case TN_ATTR_INT: return a->i == def->i;
    case TN_ATTR_FLOAT: return (float)a->f == def->f;
    case TN_ATTR_STRING: return def->s && strcmp(a->s.bytes, def->s) == 0;
    default: return false;
    }
}

/* What a node says of its attributes although it need not may have come with a later version. */
static tn_status drop_defaults(tn_graph *graph, tn_node_id node)
{
    const tn_operator *op = tn_operator_of(graph, node);
    for (uint32_t k = 0; op && op->plugin && k < op->def.attribute_count; k++) {
        const tn_attribute *a = tn_attr(tn_graph_node(graph, node), op->def.attributes[k].name);
        if (a && is_default(a, &op->def.attributes[k]))
            TN_TRY(tn_graph_drop_attribute(graph, node, op->def.attributes[k].name));
    }
    return TN_OK;
}

static tn_status bring_down(tn_graph *graph, int64_t set)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        if (node != TN_NONE && !*tn_graph_node(graph, node)->domain &&
            tn_graph_node(graph, node)->version > set)
            TN_TRY(drop_defaults(graph, node));
    }
    return tn_graph_set_opset(graph, "", set);
}

/* The word "opset=N": a copy says that it is of set N. */
static tn_status save_for_set(tn_session *s, const char *path, tn_diagnostics *diagnostics)
{
    tn_graph *copy;
    TN_TRY(refuse_set(s, s->opset));
    TN_TRY(tn_graph_clone(s->graph, &copy));
    tn_status status = bring_down(copy, s->opset);
    if (status == TN_OK)
        status = tn_write_graph(s->model->runtime, copy, path, diagnostics);
    tn_graph_destroy(copy);
    return status;
}

/* The node that keeps the graph at an old set, and why, for a message. */
static void name_kept(const tn_session *s, const char *domain, char *text, size_t bytes)
{
    tn_graph *copy;
    char why[200] = "";
    snprintf(text, bytes, "another has");
    if (tn_graph_clone(s->graph, &copy) != TN_OK)
        return;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(copy); slot++) {
        const tn_node_id node = tn_graph_node_at(copy, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(copy, node);
        if (!op || !op->plugin || strcmp(op->def.domain, domain) != 0 ||
            !tn_registry_newer(s->compile.registry, op) ||
            tn_infer_why_kept(s->compile.registry, copy, node, why, sizeof why) != TN_OK)
            continue;
        snprintf(text, bytes, "node '%s' (%s)%s%s%s has", tn_graph_node(copy, node)->name,
                 op->def.name, *why ? " (" : "", why, *why ? ")" : "");
        break;
    }
    tn_graph_destroy(copy);
}

/* A file names one set for a domain. A node without a newer form keeps the graph at its old one,
 * under which nodes that were brought up would mean something else. */
static tn_status refuse_mixed_sets(const tn_session *s)
{
    const tn_graph *graph = s->graph;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(graph, node);
        const char *domain;
        int64_t set;
        for (uint32_t k = 0; op && op->plugin && (domain = tn_graph_opset(graph, k, &set)); k++)
            if (strcmp(domain, op->def.domain) == 0 &&
                tn_registry_operator(s->compile.registry, domain, op->def.name, set, NULL) != op) {
                char kept[500];
                name_kept(s, domain, kept, sizeof kept);
                return tn_raise(TN_ERR_OPERATOR,
                                "node '%s' (%s) is of version %" PRIu32
                                " by now, but %s no form beyond set %" PRId64
                                ": save the model as it was read instead",
                                tn_graph_node(graph, node)->name, op->def.name, op->def.since, kept,
                                set);
            }
    }
    return TN_OK;
}

tn_status tn_session_save(tn_session *session, const char *path, tn_diagnostics *diagnostics)
{
    if (!session || !path)
        return tn_raise(TN_ERR_ARGUMENT, "tn_session_save needs a session and a path");
    if (session->opset)
        return save_for_set(session, path, diagnostics);
    TN_TRY(refuse_mixed_sets(session));
    return tn_write_graph(session->model->runtime, session->graph, path, diagnostics);
}
