/* plugins/cleanup/merge_reshapes.c: Reshape, Flatten, Squeeze and Unsqueeze in a row as one Reshape.
 *
 * All of them only say how the same elements are to be counted. The last one becomes a Reshape of
 * what the first one read, to the extents that are known of it; at most one may be open. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

static int is_reshape(const tn_node_view *view)
{
    static const char *const names[] = { "Reshape", "Flatten", "Squeeze", "Unsqueeze" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (cleanup_is(view, names[k]))
            return 1;
    return 0;
}

/* The shape to ask for: extents, -1 for the one that is open. */
static int read_shape(const tn_type *type, int64_t *shape)
{
    int open = 0, empty = 0;
    for (int32_t a = 0; a < type->rank; a++) {
        const int known = tn_dim_known(type->dims[a]);
        shape[a] = known ? type->dims[a] : -1;
        open += !known;
        empty = empty || shape[a] == 0;
    }
    return type->rank >= 0 && open <= 1 && !empty; /* 0 would mean: as it was */
}

static const char *const own_attributes[] = { "axis", "axes", "allowzero" };

static tn_status drop_attributes(tn_rewrite *ctx, tn_node_id node)
{
    for (size_t k = 0; k < sizeof own_attributes / sizeof *own_attributes; k++)
        if (tn_attr(ctx->api->node(ctx->graph, node), own_attributes[k]))
            TN_TRY(ctx->api->drop_attribute(ctx->graph, node, own_attributes[k]));
    return TN_OK;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    int64_t shape[TN_MAX_RANK];
    char names[2][96];
    tn_value_id target;
    if (!is_reshape(first) || !cleanup_is_single(ctx, second->inputs[0]) ||
        second->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    const tn_type *type = ctx->api->value(ctx->graph, second->outputs[0])->type;
    const int32_t rank = type->rank;
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    if (!read_shape(type, shape))
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: %s", names[1], names[0],
                       rank < 0 ? "its rank is not known"
                                : "more than one extent is open, or one is 0");
    const tn_value_id x = first->inputs[0];
    TN_TRY(cleanup_add_integers(ctx, second->region, shape, rank, &target));
    TN_TRY(drop_attributes(ctx, node));
    TN_TRY(ctx->api->set_operator(ctx->graph, node, "", "Reshape"));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 1, target));
    TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s merged into %s", names[0], names[1]);
}

tn_status merge_reshapes_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){ .size = sizeof(tn_pass_def),
                        .phase = TN_PHASE_CLEAN,
                        .order = 51,
                        .exactness = TN_EXACT,
                        .name = "merge_reshapes",
                        .doc = "Reshape, Flatten, Squeeze and Unsqueeze in a row as one Reshape.",
                        .roots = roots,
                        .match = match });
}
