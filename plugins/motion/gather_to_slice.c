/* plugins/motion/gather_to_slice.c: a Gather of evenly spaced constant indices as a Slice.
 *
 * A Slice of step 1 can be a view, which copies nothing, and Slices that divide a value become a Split.
 * Exact. One index alone, which takes the axis away, stays a Gather; so do indices beyond an extent that
 * is known, which are an error, and such as an extent that is not known might not hold.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>

typedef struct range {
    int64_t first, step, count;
} range;

/* Indices from the front, for an extent that is known; 0: not evenly spaced. */
static int read_range(const tn_tensor *indices, tn_dim extent, range *out)
{
    *out = (range){ .step = 1, .count = tn_count(indices) };
    int64_t last = 0;
    for (int64_t k = 0; k < out->count; k++) {
        int64_t i = tn_get_int(indices->dtype, indices->data, k);
        i = i < 0 ? i + extent : i;
        if (i < 0 || i >= extent)
            return 0;
        if (k == 0)
            out->first = i;
        else if (k == 1)
            out->step = i - last;
        else if (i - last != out->step)
            return 0;
        last = i;
    }
    return out->count > 0 && out->step != 0;
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, const range *r, int64_t axis)
{
    const tn_graph_api *api = ctx->api;
    const tn_region_id region = api->node(ctx->graph, node)->region;
    const int64_t end = r->first + r->count * r->step;
    /* Before the first element is -1, which would mean the last one. */
    const int64_t numbers[4] = { r->first, end < 0 ? INT64_MIN : end, axis, r->step };
    char name[96];
    snprintf(name, sizeof name, "%s", api->node(ctx->graph, node)->name);
    TN_TRY(api->drop_attribute(ctx->graph, node, "axis"));
    TN_TRY(api->set_operator(ctx->graph, node, "", "Slice"));
    for (uint32_t k = 0; k < 4; k++) {
        tn_value_id value;
        TN_TRY(motion_add_integers(ctx, region, &numbers[k], 1, &value));
        TN_TRY(api->set_input(ctx->graph, node, k + 1, value));
    }
    return tn_fail(ctx, TN_OK, "%s is a Slice", name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_tensor *indices = motion_constant(ctx, motion_input(view, 1));
    range r;
    if (!indices || motion_input(view, 0) == TN_NONE || indices->rank != 1 ||
        (indices->dtype != TN_INT64 && indices->dtype != TN_INT32))
        return TN_NO_MATCH;
    const tn_type *x = motion_type(ctx, view->inputs[0]);
    const int32_t axis = x->rank < 0 ? -1 : tn_axis(tn_attr_int(view, "axis", 0), x->rank);
    if (axis < 0 || x->kind || x->rank == 1) /* a vector is a shape, or small */
        return TN_NO_MATCH;
    if (!tn_dim_known(x->dims[axis]))
        return tn_fail(ctx, TN_NO_MATCH, "%s is no Slice: the extent of axis %d is not known",
                       view->name, (int)axis);
    if (!read_range(indices, x->dims[axis], &r))
        return tn_fail(ctx, TN_NO_MATCH, "%s is no Slice: its indices are not evenly spaced",
                       view->name);
    return rewrite(ctx, node, &r, axis);
}

tn_status gather_to_slice_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Gather", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 49,
                                   .exactness = TN_EXACT,
                                   .name = "gather_to_slice",
                                   .doc = "A Gather of evenly spaced constant indices as a Slice.",
                                   .roots = roots,
                                   .match = match });
}
