/* Why a node stays at an old version: what `upgrade` or `expand` says when it leaves it as it is
 * (TN_KEEP). Asked once more, on a graph that is then as it was.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"

#include <stdio.h>

tn_status tn_infer_why_kept(tn_registry *registry, tn_graph *graph, tn_node_id node, char *text,
                            size_t bytes)
{
    const tn_operator *op = tn_operator_of(graph, node);
    const tn_operator *newer = op ? tn_registry_newer(registry, op) : NULL;
    /* Types tell `expand` more than `upgrade` knew: its word is the last one. */
    const tn_operator *asked = newer && op->def.expand ? op : newer;
    driver d = { .registry = registry, .graph = graph };
    struct {
        tn_frame frame;
        tn_rewrite ctx;
    } call = { .ctx = { .graph = graph, .api = &tn_graph_functions } };
    text[0] = 0;
    if (!newer || (asked == newer && !newer->def.upgrade))
        return TN_OK;
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_REWRITE, asked->plugin,
                  asked->def.user, &d);
    TN_TRY(tn_graph_begin(graph));
    const tn_status status = asked == op ? op->def.expand(&call.ctx, node)
                                         : newer->def.upgrade(&call.ctx, node);
    tn_graph_undo(graph);
    if (status == TN_KEEP)
        snprintf(text, bytes, "%s", call.frame.message);
    return TN_OK;
}
