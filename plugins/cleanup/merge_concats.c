/* plugins/cleanup/merge_concats.c: a Concat within a Concat along the same axis as one.
 *
 * Exact. The inner one must have no other reader; which of the inputs it is does not matter.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

enum { MOST_INPUTS = 256 };

static int axis_of(tn_rewrite *ctx, const tn_node_view *view, int64_t *axis)
{
    const int32_t rank = ctx->api->value(ctx->graph, view->outputs[0])->type->rank;
    *axis = tn_attr_int(view, "axis", 0);
    if (*axis < 0 && rank >= 0)
        *axis += rank;
    return *axis >= 0;
}

/* An input of `outer` that is a Concat along its axis and that nothing else reads. */
static uint32_t find_inner(tn_rewrite *ctx, const tn_node_view *outer, int64_t axis,
                           tn_node_id *out)
{
    for (uint32_t k = 0; k < outer->input_count; k++) {
        const tn_node_view *inner = cleanup_maker(ctx, outer, k, out);
        int64_t other;
        if (cleanup_is(inner, "Concat") && axis_of(ctx, inner, &other) && other == axis &&
            cleanup_is_single(ctx, outer->inputs[k]) &&
            inner->input_count + outer->input_count <= MOST_INPUTS)
            return k;
    }
    return UINT32_MAX;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *outer = ctx->api->node(ctx->graph, node);
    tn_value_id inputs[MOST_INPUTS];
    tn_node_id maker;
    int64_t axis;
    char names[2][96];
    uint32_t count = 0;
    if (!axis_of(ctx, outer, &axis))
        return TN_NO_MATCH;
    const uint32_t at = find_inner(ctx, outer, axis, &maker);
    if (at == UINT32_MAX)
        return TN_NO_MATCH;
    const tn_node_view *inner = ctx->api->node(ctx->graph, maker);
    for (uint32_t k = 0; k < outer->input_count; k++)
        for (uint32_t j = 0; j < (k == at ? inner->input_count : 1); j++)
            inputs[count++] = k == at ? inner->inputs[j] : outer->inputs[k];
    snprintf(names[0], sizeof names[0], "%s", inner->name);
    snprintf(names[1], sizeof names[1], "%s", outer->name);
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(ctx->api->set_input(ctx->graph, node, k, inputs[k]));
    TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s merged into %s", names[0], names[1]);
}

tn_status merge_concats_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Concat", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_CLEAN,
                                   .order = 53,
                                   .exactness = TN_EXACT,
                                   .name = "merge_concats",
                                   .doc = "A Concat within a Concat along the same axis as one.",
                                   .roots = roots,
                                   .match = match });
}
