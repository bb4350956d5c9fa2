/* plugins/cleanup/merge_slices.c: a Slice of a Slice as one.
 *
 * Exact. Starts, ends, axes and steps must be constants that no run replaces. Where both cut one axis,
 * the second counts what the first leaves: known, if the extent is known and both go forwards, or if
 * neither counts from the end nor skips anything.
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

static int64_t bounded(int64_t at, int64_t extent)
{
    at = at < 0 ? at + extent : at;
    return at < 0 ? 0 : at > extent ? extent : at;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Cut j of b, of what cut i of a leaves, into cut i of a. 0: it is not known. */
static int compose(cut *a, int64_t i, const cut *b, int64_t j, tn_dim extent)
{
    int64_t *start = &a->of[0][i], *end = &a->of[1][i], *step = &a->of[3][i];
    int64_t from = b->of[0][j], to = b->of[1][j];
    const int64_t by = b->of[3][j];
    if (tn_dim_known(extent) && *step > 0 && by > 0 && *step < INT32_MAX && by < INT32_MAX) {
        *start = bounded(*start, extent);
        *end = bounded(*end, extent);
        const int64_t left = *end > *start ? (*end - *start + *step - 1) / *step : 0;
        from = bounded(from, left);
        to = bounded(to, left);
        *end = least(*start + to * *step, *end);
        *start = least(*start + from * *step, extent);
        *step *= by;
        return 1;
    }
    if (*step != 1 || by != 1 || *start < 0 || *end < 0 || from < 0 || to < 0)
        return 0;
    *end = to > INT64_MAX - *start ? *end : least(*end, *start + to);
    *start = from > INT64_MAX - *start ? INT64_MAX : *start + from;
    return 1;
}

/* All of b into a. 0: that is not known. */
static int join(cut *a, const cut *b, const tn_type *x)
{
    for (int64_t j = 0; j < b->count; j++) {
        int64_t i = 0;
        while (i < a->count && a->of[2][i] != b->of[2][j])
            i++;
        if (i < a->count && !compose(a, i, b, j, x->dims[a->of[2][i]]))
            return 0;
        if (i < a->count)
            continue;
        if (a->count == TN_MAX_RANK)
            return 0;
        for (int k = 0; k < 4; k++)
            a->of[k][i] = b->of[k][j];
        a->count++;
    }
    return 1;
}

static int has_bad_axis(const cut *a)
{
    for (int64_t i = 0; i < a->count; i++)
        if (a->of[2][i] < 0)
            return 1;
    return 0;
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, tn_node_id maker, const cut *a)
{
    const tn_node_view *first = ctx->api->node(ctx->graph, maker),
                       *second = ctx->api->node(ctx->graph, node);
    const tn_region_id region = second->region;
    const tn_value_id x = first->inputs[0];
    char names[2][96];
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    for (uint32_t k = 0; k < 4; k++) {
        tn_value_id value;
        TN_TRY(cleanup_add_integers(ctx, region, a->of[k], a->count, &value));
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
    if (has_bad_axis(&a) || has_bad_axis(&b))
        return TN_NO_MATCH;
    if (!join(&a, &b, ctx->api->value(ctx->graph, first->inputs[0])->type))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s not merged with %s: what the second cuts of what the first leaves is "
                       "not known",
                       second->name, first->name);
    return rewrite(ctx, node, maker, &a);
}

tn_status merge_slices_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Slice", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_CLEAN,
                                                          .order = 55,
                                                          .exactness = TN_EXACT,
                                                          .name = "merge_slices",
                                                          .doc = "A Slice of a Slice as one.",
                                                          .roots = roots,
                                                          .match = match });
}
