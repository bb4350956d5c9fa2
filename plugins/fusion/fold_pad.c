/* plugins/fusion/fold_pad.c: a Pad into the Conv or pool that reads it.
 *
 * Conv pads with zeros itself. MaxPool pads with what is below every number: a Pad goes into it only
 * if it pads with minus infinity. AveragePool pads with zeros where it counts them. Only spatial axes
 * are padded, by constants that are not negative.
 *
 * Exact, as a Conv leaves its own padding out of the sum: only an infinite or NaN weight would tell,
 * and in strict math weights must be constant and finite.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <stdio.h>

typedef struct padding {
    tn_node_id id, reader;
    char name[96], reader_name[96];
    const char *what; /* the reader's operator, static */
    int32_t rank;
    int64_t begin[TN_MAX_RANK], end[TN_MAX_RANK];
    double value;
    char why[WHY_BYTES];
} padding;

static tn_status refuse(padding *p, const char *text)
{
    snprintf(p->why, sizeof p->why, "%s", text);
    return TN_NO_MATCH;
}

/* ---- the Pad ------------------------------------------------------------------------------- */

static tn_status read_value(tn_rewrite *ctx, const tn_node_view *view, padding *p)
{
    const tn_tensor *value;
    if (strcmp(tn_attr_string(view, "mode", "constant"), "constant") != 0)
        return refuse(p, "it repeats or mirrors values");
    p->value = 0.0;
    if (view->input_count < 3 || view->inputs[2] == TN_NONE)
        return TN_OK;
    value = fusion_constant(ctx, view->inputs[2], "the value", p->why);
    if (!value || tn_count(value) != 1 || !(TN_BIT(value->dtype) & TN_MASK_NUMERIC))
        return TN_NO_MATCH;
    p->value = tn_get_double(value->dtype, value->data, 0);
    return TN_OK;
}

static tn_status read_pads(tn_rewrite *ctx, const tn_node_view *view, padding *p)
{
    const int some = view->input_count > 3 && view->inputs[3] != TN_NONE;
    const tn_tensor *pads = fusion_constant(ctx, view->inputs[1], "pads", p->why);
    const tn_tensor *axes = pads && some ? fusion_constant(ctx, view->inputs[3], "axes", p->why)
                                         : NULL;
    if (!pads || (some && !axes) || pads->dtype != TN_INT64)
        return TN_NO_MATCH;
    const int64_t count = some ? tn_count(axes) : p->rank;
    if (tn_count(pads) != 2 * count)
        return TN_NO_MATCH;
    for (int64_t k = 0; k < count; k++) {
        const int32_t a = some ? tn_axis(tn_get_int(axes->dtype, axes->data, k), p->rank)
                               : (int32_t)k;
        if (a < 0)
            return TN_NO_MATCH;
        p->begin[a] = ((const int64_t *)pads->data)[k];
        p->end[a] = ((const int64_t *)pads->data)[count + k];
    }
    return TN_OK;
}

static tn_status check_axes(padding *p)
{
    for (int32_t a = 0; a < p->rank; a++) {
        if (p->begin[a] < 0 || p->end[a] < 0)
            return refuse(p, "it cuts off instead of padding");
        if (a < 2 && (p->begin[a] || p->end[a]))
            return refuse(p, "it pads samples or channels");
    }
    return TN_OK;
}

/* ---- the reader ---------------------------------------------------------------------------- */

static const char *kind_of(const tn_node_view *view)
{
    static const char *const names[] = { "Conv", "MaxPool", "AveragePool" };
    for (size_t k = 0; k < sizeof names / sizeof *names && !*view->domain; k++)
        if (strcmp(view->op, names[k]) == 0)
            return names[k];
    return NULL;
}

static int any(const int64_t *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (values[k])
            return 1;
    return 0;
}

static tn_status check_conv(tn_rewrite *ctx, const tn_node_view *view, padding *p)
{
    const tn_tensor *weights;
    if (p->value != 0.0)
        return refuse(p, "it does not pad with zeros");
    if (ctx->math != TN_MATH_STRICT)
        return TN_OK;
    weights = fusion_constant(ctx, view->inputs[1], "W", p->why);
    for (int64_t k = 0; weights && k < tn_count(weights); k++)
        if (!isfinite(tn_get_double(weights->dtype, weights->data, k)))
            return refuse(p, "a weight is not finite: zero times it is NaN");
    return weights ? TN_OK : TN_NO_MATCH;
}

static tn_status check_pool(const tn_node_view *view, padding *p)
{
    const int64_t *own, *kernel;
    const size_t count = tn_attr_ints(view, "pads", &own),
                 windows = tn_attr_ints(view, "kernel_shape", &kernel), axes = (size_t)p->rank - 2;
    const int average = strcmp(p->what, "AveragePool") == 0;
    if (tn_attr_int(view, "ceil_mode", 0))
        return refuse(p, "the pool rounds its extent up");
    if (average && p->value != 0.0)
        return refuse(p, "it does not pad with zeros");
    if (!average && !(isinf(p->value) && p->value < 0.0))
        return refuse(p, "MaxPool pads with minus infinity, it does not");
    if (average && !tn_attr_int(view, "count_include_pad", 0) && any(own, count))
        return refuse(p, "AveragePool does not count its own padding");
    for (size_t a = 0; a < axes; a++)
        if (windows != axes || p->begin[a + 2] + (count ? own[a] : 0) >= kernel[a] ||
            p->end[a + 2] + (count ? own[a + axes] : 0) >= kernel[a])
            return refuse(p, "a window would lie in the padding alone");
    return view->output_count > 1 && view->outputs[1] != TN_NONE
               ? refuse(p, "MaxPool's indices would count other elements")
               : TN_OK;
}

static tn_status check_reader(tn_rewrite *ctx, padding *p)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, p->reader);
    const char *auto_pad = tn_attr_string(view, "auto_pad", "NOTSET");
    const int64_t *own;
    const size_t count = tn_attr_ints(view, "pads", &own);
    if (strcmp(auto_pad, "NOTSET") != 0 && strcmp(auto_pad, "VALID") != 0)
        return refuse(p, "auto_pad depends on the extent");
    if (count && count != 2 * ((size_t)p->rank - 2))
        return TN_NO_MATCH;
    return strcmp(p->what, "Conv") == 0 ? check_conv(ctx, view, p) : check_pool(view, p);
}

/* ---- the rewrite --------------------------------------------------------------------------- */

static tn_status rewrite(tn_rewrite *ctx, padding *p, tn_value_id x)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, p->reader);
    const size_t axes = (size_t)p->rank - 2;
    const int64_t *own;
    const size_t count = tn_attr_ints(view, "pads", &own);
    int64_t sums[2 * TN_MAX_RANK];
    for (size_t a = 0; a < axes; a++) {
        sums[a] = p->begin[a + 2] + (count ? own[a] : 0);
        sums[a + axes] = p->end[a + 2] + (count ? own[a + axes] : 0);
    }
    const tn_attribute pads = { .size = sizeof pads,
                                .type = TN_ATTR_INTS,
                                .name = "pads",
                                .count = 2 * axes,
                                .ints = sums },
                       counted = { .size = sizeof counted,
                                   .type = TN_ATTR_INT,
                                   .name = "count_include_pad",
                                   .i = 1 };
    if (tn_attr(view, "auto_pad"))
        TN_TRY(ctx->api->drop_attribute(ctx->graph, p->reader, "auto_pad"));
    TN_TRY(ctx->api->set_attribute(ctx->graph, p->reader, &pads));
    if (strcmp(p->what, "AveragePool") == 0)
        TN_TRY(ctx->api->set_attribute(ctx->graph, p->reader, &counted));
    TN_TRY(ctx->api->set_input(ctx->graph, p->reader, 0, x));
    TN_TRY(ctx->api->remove_node(ctx->graph, p->id));
    return tn_fail(ctx, TN_OK, "%s folded into %s", p->name, p->reader_name);
}

static tn_status try_fold(tn_rewrite *ctx, padding *p)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, p->id);
    if (!fusion_is_single(ctx, view->outputs[0], p->reader, "Pad's output", p->why))
        return TN_NO_MATCH;
    if (ctx->api->node(ctx->graph, p->reader)->region != view->region)
        return refuse(p, "it is read in another body");
    if (p->rank < 3)
        return refuse(p, "the rank is not known");
    TN_TRY(read_value(ctx, view, p));
    TN_TRY(read_pads(ctx, view, p));
    TN_TRY(check_axes(p));
    TN_TRY(check_reader(ctx, p));
    return rewrite(ctx, p, view->inputs[0]);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    padding p = { .id = node };
    uint32_t input;
    if (view->version < 11 || view->input_count < 2 ||
        ctx->api->use(ctx->graph, view->outputs[0], 0, &p.reader, &input) != TN_OK || input != 0)
        return TN_NO_MATCH;
    p.what = kind_of(ctx->api->node(ctx->graph, p.reader));
    if (!p.what)
        return TN_NO_MATCH;
    snprintf(p.name, sizeof p.name, "%s", view->name);
    snprintf(p.reader_name, sizeof p.reader_name, "%s", ctx->api->node(ctx->graph, p.reader)->name);
    p.rank = ctx->api->value(ctx->graph, view->inputs[0])->type->rank;
    const tn_status status = try_fold(ctx, &p);
    if (status == TN_NO_MATCH && p.why[0])
        return tn_fail(ctx, status, "%s: Pad not folded: %s", p.reader_name, p.why);
    return status;
}

tn_status fold_pad_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Pad", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_FOLD,
                                               .order = 40,
                                               .exactness = TN_EXACT,
                                               .name = "fold_pad",
                                               .doc = "Folds a Pad into the Conv, MaxPool or "
                                                      "AveragePool that reads it.",
                                               .roots = roots,
                                               .match = match });
}
