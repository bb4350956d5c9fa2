/* plugins/cleanup/merge_pads.c: a Pad of a Pad as one, with the same number or with edges.
 *
 * Exact. Both must add constant amounts, none negative: what is cut off and put on again is not what
 * was there.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

/* What is added before and behind each axis; 0: not known, or something is cut off. */
static int read_pads(tn_rewrite *ctx, const tn_node_view *view, int32_t rank, int64_t *out)
{
    const tn_tensor *pads = cleanup_integers(ctx, view, 1);
    const int named = view->input_count > 3 && view->inputs[3] != TN_NONE;
    const tn_tensor *axes = named ? cleanup_integers(ctx, view, 3) : NULL;
    const int64_t count = axes ? tn_count(axes) : rank;
    if (!pads || (named && !axes) || tn_count(pads) != 2 * count)
        return 0;
    memset(out, 0, 2 * (size_t)rank * sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        const int32_t a = axes ? tn_axis(tn_get_int(axes->dtype, axes->data, i), rank) : (int32_t)i;
        if (a < 0)
            return 0;
        out[a] = tn_get_int(pads->dtype, pads->data, i);
        out[rank + a] = tn_get_int(pads->dtype, pads->data, count + i);
        if (out[a] < 0 || out[rank + a] < 0 || out[a] > INT32_MAX || out[rank + a] > INT32_MAX)
            return 0;
    }
    return 1;
}

/* The number that is put there; 0: not known. */
static int read_number(tn_rewrite *ctx, const tn_node_view *view, double *out)
{
    *out = 0.0;
    if (view->input_count < 3 || view->inputs[2] == TN_NONE)
        return 1;
    const tn_value_view *value = ctx->api->value(ctx->graph, view->inputs[2]);
    if (!value->constant || value->is_input || tn_count(value->constant) != 1 ||
        !(TN_BIT(value->constant->dtype) & (TN_MASK_FLOAT | TN_BIT(TN_INT32))))
        return 0;
    *out = tn_get_double(value->constant->dtype, value->constant->data, 0);
    return !isnan(*out);
}

static int same_filling(tn_rewrite *ctx, const tn_node_view *a, const tn_node_view *b)
{
    const char *mode = tn_attr_string(a, "mode", "constant");
    double p, q;
    if (strcmp(mode, tn_attr_string(b, "mode", "constant")) != 0)
        return 0;
    if (strcmp(mode, "edge") == 0)
        return 1;
    return strcmp(mode, "constant") == 0 && read_number(ctx, a, &p) && read_number(ctx, b, &q) &&
           p == q && !signbit(p) == !signbit(q);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    int64_t a[2 * TN_MAX_RANK], b[2 * TN_MAX_RANK];
    char names[2][96];
    tn_value_id value;
    if (!cleanup_is(first, "Pad") || !cleanup_is_single(ctx, second->inputs[0]) ||
        first->version < 11 || second->version < 11)
        return TN_NO_MATCH;
    const tn_value_id x = first->inputs[0];
    const int32_t rank = ctx->api->value(ctx->graph, x)->type->rank;
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    if (rank < 1 || !read_pads(ctx, first, rank, a) || !read_pads(ctx, second, rank, b))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s not merged with %s: what they add is not constant, or negative",
                       names[1], names[0]);
    if (!same_filling(ctx, first, second))
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: they add other numbers", names[1],
                       names[0]);
    for (int32_t k = 0; k < 2 * rank; k++)
        a[k] += b[k];
    TN_TRY(cleanup_add_integers(ctx, second->region, a, 2 * rank, &value));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 1, value));
    if (ctx->api->node(ctx->graph, node)->input_count > 3)
        TN_TRY(ctx->api->set_input(ctx->graph, node, 3, TN_NONE));
    TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s merged into %s", names[0], names[1]);
}

tn_status merge_pads_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Pad", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_CLEAN,
                                               .order = 57,
                                               .exactness = TN_EXACT,
                                               .name = "merge_pads",
                                               .doc = "A Pad of a Pad with the same number as one.",
                                               .roots = roots,
                                               .match = match });
}
