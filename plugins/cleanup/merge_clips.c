/* plugins/cleanup/merge_clips.c: Clip and Relu in a row as one Clip, or one Relu.
 *
 * ONNX: Clip is Min(max, Max(input, min)), Relu is Max(input, 0). Both of them together are one Clip to
 * what the second makes of the first one's bounds. Bounds must be constants that no run replaces, none
 * of them NaN, and not cross. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>

typedef struct bounds {
    double low, high;
} bounds;

/* A bound; 0: it is not known. */
static int read_bound(tn_rewrite *ctx, const tn_node_view *view, uint32_t k, double *out)
{
    if (k >= view->input_count || view->inputs[k] == TN_NONE)
        return 1;
    const tn_value_view *value = ctx->api->value(ctx->graph, view->inputs[k]);
    if (!value->constant || value->is_input || tn_count(value->constant) != 1)
        return 0;
    *out = tn_get_double(value->constant->dtype, value->constant->data, 0);
    return !isnan(*out) && !(*out == 0.0 && signbit(*out));
}

static int read_bounds(tn_rewrite *ctx, const tn_node_view *view, bounds *out)
{
    *out = (bounds){ -(double)INFINITY, (double)INFINITY };
    if (cleanup_is(view, "Relu")) {
        out->low = 0.0;
        return 1;
    }
    return view->version >= 11 && read_bound(ctx, view, 1, &out->low) &&
           read_bound(ctx, view, 2, &out->high) && out->low <= out->high &&
           out->low < (double)INFINITY && out->high > -(double)INFINITY;
}

static double clip(double x, const bounds *b)
{
    const double raised = x < b->low ? b->low : x;
    return raised > b->high ? b->high : raised;
}

static tn_status add_bound(tn_rewrite *ctx, tn_region_id region, uint32_t dtype, double bound,
                           tn_value_id *out)
{
    uint64_t bytes = 0;
    const tn_tensor tensor = {
        .size = sizeof tensor, .dtype = dtype, .data = &bytes, .bytes = tn_dtype_bytes(dtype, 1)
    };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = region, .tensor = &tensor, .value = TN_NONE
    };
    *out = TN_NONE;
    if (isinf(bound))
        return TN_OK;
    tn_set_float(dtype, &bytes, 0, bound);
    return ctx->api->add_constant(ctx->graph, &desc, out);
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, tn_value_id x, const bounds *to)
{
    const tn_region_id region = ctx->api->node(ctx->graph, node)->region;
    const uint32_t dtype = ctx->api->value(ctx->graph, x)->type->dtype;
    const double numbers[2] = { to->low, to->high };
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, x));
    if (cleanup_is(ctx->api->node(ctx->graph, node), "Relu")) {
        if (to->low == 0.0 && isinf(to->high))
            return TN_OK;
        TN_TRY(ctx->api->set_operator(ctx->graph, node, "", "Clip"));
    }
    for (uint32_t k = 0; k < 2; k++) {
        tn_value_id value;
        TN_TRY(add_bound(ctx, region, dtype, numbers[k], &value));
        if (value != TN_NONE || k + 1 < ctx->api->node(ctx->graph, node)->input_count || k == 0)
            TN_TRY(ctx->api->set_input(ctx->graph, node, k + 1, value));
    }
    return TN_OK;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *second = ctx->api->node(ctx->graph, node);
    tn_node_id maker;
    const tn_node_view *first = cleanup_maker(ctx, second, 0, &maker);
    bounds a, b;
    char names[2][96];
    if (!cleanup_is(first, "Clip") && !cleanup_is(first, "Relu"))
        return TN_NO_MATCH;
    const tn_value_id x = first->inputs[0];
    snprintf(names[0], sizeof names[0], "%s", first->name);
    snprintf(names[1], sizeof names[1], "%s", second->name);
    if (!(TN_BIT(ctx->api->value(ctx->graph, x)->type->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    if (!cleanup_is_single(ctx, second->inputs[0]))
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s, which others read", names[1],
                       names[0]);
    if (!read_bounds(ctx, first, &a) || !read_bounds(ctx, second, &b))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s not merged with %s: a bound is not constant, or they cross", names[1],
                       names[0]);
    const bounds both = { clip(a.low, &b), clip(a.high, &b) };
    if (!(both.low < both.high)) /* one number is left, and -0 would come through as itself */
        return tn_fail(ctx, TN_NO_MATCH, "%s not merged with %s: together they leave one number",
                       names[1], names[0]);
    TN_TRY(rewrite(ctx, node, x, &both));
    TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s merged into %s", names[0], names[1]);
}

tn_status merge_clips_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Clip", "Relu", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_CLEAN,
                                                          .order = 56,
                                                          .exactness = TN_EXACT,
                                                          .name = "merge_clips",
                                                          .doc = "Clip and Relu in a row as one.",
                                                          .roots = roots,
                                                          .match = match });
}
