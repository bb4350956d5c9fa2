/* plugins/cleanup/join_split.c: a Concat of what a Split of the same axis made, all and in order, is
 * what was split.
 *
 * Exact. The Split stays where others read its parts.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

static int64_t axis_of(const tn_node_view *view, int32_t rank)
{
    const int64_t axis = tn_attr_int(view, "axis", 0);
    return axis < 0 && rank >= 0 ? axis + rank : axis;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *join = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *split = cleanup_maker(ctx, join, 0, &maker);
    char names[2][96];
    if (!cleanup_is(split, "Split"))
        return TN_NO_MATCH;
    const tn_value_id x = split->inputs[0];
    const int32_t rank = ctx->api->value(ctx->graph, x)->type->rank;
    snprintf(names[0], sizeof names[0], "%s", join->name);
    snprintf(names[1], sizeof names[1], "%s", split->name);
    for (uint32_t k = 0; k < join->input_count; k++)
        if (ctx->api->value(ctx->graph, join->inputs[k])->producer != maker)
            return TN_NO_MATCH; /* a shuffle of several things */
    if (axis_of(join, rank) != axis_of(split, rank))
        return tn_fail(ctx, TN_NO_MATCH, "%s does not undo %s: the axes differ", names[0],
                       names[1]);
    if (join->input_count != split->output_count)
        return tn_fail(ctx, TN_NO_MATCH, "%s does not undo %s: not all parts are joined", names[0],
                       names[1]);
    for (uint32_t k = 0; k < join->input_count; k++)
        if (join->inputs[k] != split->outputs[k])
            return tn_fail(ctx, TN_NO_MATCH, "%s does not undo %s: the parts are in another order",
                           names[0], names[1]);
    TN_TRY(ctx->api->replace(ctx->graph, join->outputs[0], x));
    TN_TRY(ctx->api->remove_node(ctx->graph, node));
    return tn_fail(ctx, TN_OK, "%s undoes %s", names[0], names[1]);
}

tn_status join_split_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Concat", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){ .size = sizeof(tn_pass_def),
                        .phase = TN_PHASE_CLEAN,
                        .order = 54,
                        .exactness = TN_EXACT,
                        .name = "join_split",
                        .doc = "A Concat of all parts of a Split, in order, is what was split.",
                        .roots = roots,
                        .match = match });
}
