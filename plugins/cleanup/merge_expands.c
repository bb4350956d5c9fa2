/* plugins/cleanup/merge_expands.c: an Expand of an Expand as one, where the answer's extents are known.
 *
 * Exact. The first one stays where others read it.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    char names[2][96];
    tn_value_id shape;
    if (!cleanup_is(first, "Expand") || second->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    const tn_value_id x = first->inputs[0];
    const tn_type *y = ctx->api->value(ctx->graph, second->outputs[0])->type;
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    for (int32_t a = 0; a < y->rank || y->rank < 0; a++)
        if (y->rank < 0 || !tn_dim_known(y->dims[a]))
            return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: an extent is not known",
                           names[1], names[0]);
    TN_TRY(cleanup_add_integers(ctx, second->region, y->dims, y->rank, &shape));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 1, shape));
    return tn_fail(ctx, TN_OK, "%s does what %s did, too", names[1], names[0]);
}

tn_status merge_expands_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Expand", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_CLEAN,
                                                          .order = 58,
                                                          .exactness = TN_EXACT,
                                                          .name = "merge_expands",
                                                          .doc = "An Expand of an Expand as one.",
                                                          .roots = roots,
                                                          .match = match });
}
