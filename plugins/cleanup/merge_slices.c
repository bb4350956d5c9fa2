/* plugins/cleanup/merge_slices.c: a Slice of a Slice along other axes as one.
 *
 * Exact. Starts, ends, axes and steps must be constants that no run replaces, and both must name
 * their axes. Slices of one axis stay two: how the second counts depends on what the first leaves.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

typedef struct cut {
    int64_t count;
    int64_t of[4][TN_MAX_RANK]; /* starts, ends, axes, steps */
} cut;

/* 0: something is not constant. */
static int read_cut(tn_rewrite *ctx, const tn_node_view *view, int32_t rank, cut *out)
{
    for (uint32_t k = 0; k < 4; k++) {
        const int absent = k + 1 >= view->input_count || view->inputs[k + 1] == TN_NONE;
        const tn_tensor *t = absent ? NULL : cleanup_integers(ctx, view, k + 1);
        if ((!t && !(absent && k >= 2)) || (t && tn_count(t) > TN_MAX_RANK))
            return 0;
        if (k == 0)
            out->count = tn_count(t);
        if (t && tn_count(t) != out->count)
            return 0;
        for (int64_t i = 0; i < out->count; i++)
            out->of[k][i] = t ? tn_get_int(t->dtype, t->data, i) : k == 2 ? i : 1;
    }
    for (int64_t i = 0; i < out->count; i++)
        out->of[2][i] = tn_axis(out->of[2][i], rank);
    return 1;
}

static int share_an_axis(const cut *a, const cut *b)
{
    for (int64_t i = 0; i < a->count; i++)
        for (int64_t j = 0; j < b->count; j++)
            if (a->of[2][i] == b->of[2][j])
                return 1;
    return a->count + b->count > TN_MAX_RANK;
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, tn_node_id maker, const cut *a,
                         const cut *b)
{
    const tn_node_view *first = ctx->api->node(ctx->graph, maker),
                       *second = ctx->api->node(ctx->graph, node);
    const tn_region_id region = second->region;
    const tn_value_id x = first->inputs[0];
    char names[2][96];
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    for (uint32_t k = 0; k < 4; k++) {
        int64_t both[2 * TN_MAX_RANK];
        tn_value_id value;
        memcpy(both, a->of[k], (size_t)a->count * sizeof *both);
        memcpy(both + a->count, b->of[k], (size_t)b->count * sizeof *both);
        TN_TRY(cleanup_add_integers(ctx, region, both, a->count + b->count, &value));
        TN_TRY(ctx->api->set_input(ctx->graph, node, k + 1, value));
    }
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s merged into %s", names[0], names[1]);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    cut a, b;
    if (!cleanup_is(first, "Slice") || !cleanup_is_single(ctx, second->inputs[0]) ||
        second->version < 10 || first->version < 10)
        return TN_NO_MATCH;
    const int32_t rank = ctx->api->value(ctx->graph, first->inputs[0])->type->rank;
    if (rank < 0 || !read_cut(ctx, first, rank, &a) || !read_cut(ctx, second, rank, &b))
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: what they cut is not constant",
                       second->name, first->name);
    if (share_an_axis(&a, &b))
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: they cut the same axis",
                       second->name, first->name);
    return rewrite(ctx, node, maker, &a, &b);
}

tn_status merge_slices_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Slice", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_CLEAN,
                                               .order = 55,
                                               .exactness = TN_EXACT,
                                               .name = "merge_slices",
                                               .doc = "A Slice of a Slice along other axes as one.",
                                               .roots = roots,
                                               .match = match });
}
