/* plugins/cleanup/merge_transposes.c: a Transpose of a Transpose as one.
 *
 * The second reads what the first read. Two that undo each other become a Transpose that does
 * nothing, which drop_identity takes away. The first stays where others read it. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

/* The permutation written out; 0: it is not known. */
static int read_perm(tn_rewrite *ctx, const tn_node_view *view, int64_t *perm, int32_t *rank)
{
    const int64_t *given;
    const size_t count = tn_attr_ints(view, "perm", &given);
    *rank = count ? (int32_t)count : ctx->api->value(ctx->graph, view->inputs[0])->type->rank;
    for (int32_t a = 0; a < *rank && *rank <= TN_MAX_RANK; a++)
        perm[a] = count ? given[a] : *rank - 1 - a;
    return *rank >= 0 && *rank <= TN_MAX_RANK;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    int64_t p[TN_MAX_RANK], q[TN_MAX_RANK], both[TN_MAX_RANK];
    int32_t rank, other;
    char names[2][96];
    if (!cleanup_is(first, "Transpose") || !read_perm(ctx, first, p, &rank) ||
        !read_perm(ctx, second, q, &other) || rank != other || rank == 0)
        return TN_NO_MATCH;
    for (int32_t a = 0; a < rank; a++)
        both[a] = p[q[a]];
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    const tn_value_id x = first->inputs[0];
    const tn_attribute perm = { .size = sizeof perm,
                                .type = TN_ATTR_INTS,
                                .name = "perm",
                                .count = (size_t)rank,
                                .ints = both };
    TN_TRY(ctx->api->set_attribute(ctx->graph, node, &perm));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    return tn_fail(ctx, TN_OK, "%s does what %s did, too", names[1], names[0]);
}

tn_status merge_transposes_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_CLEAN,
                                               .order = 50,
                                               .exactness = TN_EXACT,
                                               .name = "merge_transposes",
                                               .doc = "A Transpose of a Transpose as one.",
                                               .roots = roots,
                                               .match = match });
}
