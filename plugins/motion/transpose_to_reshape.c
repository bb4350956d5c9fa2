/* plugins/motion/transpose_to_reshape.c: a Transpose that only moves axes of extent 1 as a Reshape.
 *
 * The elements keep their order, so that it costs nothing, and merges with other Reshapes. At most one
 * extent may be open, none 0. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>

/* Whether axes of more than one element keep their order. */
static int keeps_order(const turn *t, const tn_type *x)
{
    int last = -1;
    for (int32_t a = 0; a < t->rank; a++) {
        if (x->dims[t->axes[a]] == 1)
            continue;
        if ((int)t->axes[a] < last)
            return 0;
        last = t->axes[a];
    }
    return 1;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    int64_t shape[TN_MAX_RANK];
    char name[96];
    turn t;
    tn_value_id target;
    if (view->outputs[0] == TN_NONE || !turn_read(ctx, view, &t) || turn_is_identity(&t) ||
        !keeps_order(&t, motion_type(ctx, view->inputs[0])))
        return TN_NO_MATCH;
    snprintf(name, sizeof name, "%s", view->name);
    if (!motion_read_shape(motion_type(ctx, view->outputs[0]), shape))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s is no Reshape: more than one extent is open, or one is 0", name);
    TN_TRY(motion_add_integers(ctx, view->region, shape, t.rank, &target));
    if (tn_attr(ctx->api->node(ctx->graph, node), "perm"))
        TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "perm"));
    TN_TRY(ctx->api->set_operator(ctx->graph, node, "", "Reshape"));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 1, target));
    return tn_fail(ctx, TN_OK, "%s is a Reshape: it only moves axes of extent 1", name);
}

tn_status transpose_to_reshape_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){ .size = sizeof(tn_pass_def),
                        .phase = TN_PHASE_MOVE,
                        .order = 2,
                        .exactness = TN_EXACT,
                        .name = "transpose_to_reshape",
                        .doc = "A Transpose that only moves axes of extent 1 as a Reshape.",
                        .roots = roots,
                        .match = match });
}
