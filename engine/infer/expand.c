/* Expand: a node whose operator no listed backend has a kernel for is replaced by the operator's
 * body, where it has one. So is a node that `upgrade` left at an old version, because only the
 * types of its inputs tell the newer form: they are known here.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"

#define MAX_ROUNDS 64

/* By code: TN_KEEP leaves the node, with a reason. */
static tn_status expand_by_code(driver *d, tn_node_id node, const tn_operator *op, bool *done)
{
    struct {
        tn_frame frame;
        tn_rewrite ctx;
    } call = { .ctx = { .graph = d->graph, .api = &tn_graph_functions } };
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_REWRITE, op->plugin,
                  op->def.user, d);
    TN_TRY(tn_graph_begin(d->graph));
    const tn_status status = op->def.expand(&call.ctx, node);
    if (status == TN_OK)
        tn_graph_commit(d->graph);
    else
        tn_graph_undo(d->graph);
    *done = status == TN_OK;
    if (status != TN_OK && status != TN_KEEP)
        driver_complain(d, node, status, TN_SEVERITY_ERROR, NULL, NULL, NULL,
                        call.frame.message[0] ? call.frame.message : "expand gave no reason");
    return TN_OK;
}

/* A body's nodes mean what its own imports say. */
static tn_status resolve_body(tn_registry *registry, tn_graph *body)
{
    return tn_infer_resolve(registry, body, NULL);
}

static tn_status expand_node(driver *d, tn_node_id node, tn_offers_fn offers, void *user,
                             bool *done)
{
    const tn_operator *op = tn_operator_of(d->graph, node);
    const tn_graph *body;
    *done = false;
    if (!op || (!op->def.expand && !op->def.body))
        return TN_OK;
    /* Kernels without a bound of versions mean the newest. */
    const bool old = op->def.expand && tn_registry_newer(d->registry, op);
    if (!old && offers(user, op))
        return TN_OK;
    if (op->def.expand)
        TN_TRY(expand_by_code(d, node, op, done));
    if (*done || !op->def.body || offers(user, op))
        return TN_OK;
    TN_TRY(tn_registry_body(d->registry, op, resolve_body, d->diagnostics, &body));
    TN_TRY(tn_infer_put_body(d->graph, node, body));
    *done = true;
    return TN_OK;
}

static tn_status expand_all(driver *d, tn_offers_fn offers, void *user, bool *any)
{
    *any = false;
    for (tn_region_id r = 0; r < tn_graph_region_count(d->graph); r++) {
        if (!tn_graph_region_alive(d->graph, r))
            continue;
        for (tn_node_id n = tn_graph_first_node(d->graph, r); n != TN_NONE;) {
            const tn_node_id next = tn_graph_next_node(d->graph, n);
            bool done;
            TN_TRY(expand_node(d, n, offers, user, &done));
            *any = *any || done;
            n = next;
        }
    }
    return TN_OK;
}

tn_status tn_infer_expand(tn_registry *registry, tn_graph *graph, tn_offers_fn offers, void *user,
                          const tn_limits *limits, tn_diagnostics *diagnostics)
{
    driver d = { .registry = registry, .graph = graph, .diagnostics = diagnostics, .strict = true };
    for (uint32_t round = 0; round < MAX_ROUNDS; round++) {
        bool any;
        TN_TRY(expand_all(&d, offers, user, &any));
        if (!any || d.status != TN_OK)
            return d.status;
        const uint64_t budget = limits && limits->nodes ? limits->nodes : 1000000;
        if (tn_graph_node_count(graph) > budget)
            return tn_raise(TN_ERR_LIMIT,
                            "expanded functions make %u nodes; the budget is %" PRIu64,
                            tn_graph_node_count(graph), budget);
        TN_TRY(tn_infer_resolve_new(registry, graph, diagnostics));
        TN_TRY(tn_infer_graph(registry, graph, diagnostics));
    }
    return tn_raise(TN_ERR_LIMIT, "bodies of operators are nested deeper than %d", MAX_ROUNDS);
}
