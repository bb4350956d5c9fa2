/* plugins/vision/upsample.c: Upsample, the Resize of sets 1 to 9 (ONNX operators: Upsample).
 *
 *   Y[o] = X at o / scale, rounded down (nearest) or interpolated (linear), scales of 1 and more
 *
 * which is Resize with asymmetric coordinates and nearest_mode floor: that is what becomes of it.
 * The scales were two attributes in set 1, a list from 7 on, an input from 9 on. Set 10 dropped
 * the operator; nodes of later sets that still name it mean the same.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

#include <inttypes.h>

/* The extents follow from Resize's inference after expansion; here is what holds before. */
static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const tn_tensor *scales = ctx->call.host->input_value(&ctx->call, 1);
    if (!x || x->rank < 0)
        return TN_OK;
    const int64_t count = scales ? tn_count(scales) : vision_length(ctx, 1);
    if (count >= 0 && count != x->rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'scales' has %" PRId64
                                 " elements: expected %d, one for each axis of 'X'",
                                 count, (int)x->rank);
        return TN_OK;
    }
    for (int32_t k = 0; scales && k < x->rank; k++) {
        const double scale = (double)((const float *)scales->data)[k];
        if (!(scale >= 1.0 && isfinite(scale)))
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     "scales[%d] is %g: expected a number of at least 1", (int)k,
                                     scale);
    }
    ctx->outputs[0].rank = x->rank;
    for (int32_t k = 0; k < x->rank; k++)
        ctx->outputs[0].dims[k] = scales && ((const float *)scales->data)[k] == 1.0f
                                      ? x->dims[k]
                                      : TN_DIM_UNKNOWN;
    return TN_OK;
}

static tn_status infer_old(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

/* ---- rewriting ---------------------------------------------------------------------------- */

static tn_status add_scales(tn_rewrite *ctx, tn_node_id node, const float *scales, size_t count)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const int64_t dims[] = { (int64_t)count };
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_FLOAT32,
                               .rank = 1,
                               .dims = dims,
                               .data = (void *)(uintptr_t)scales,
                               .bytes = count * sizeof *scales };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = view->region, .tensor = &tensor, .value = TN_NONE
    };
    tn_value_id value;
    TN_TRY(ctx->api->add_constant(ctx->graph, &desc, &value));
    return ctx->api->set_input(ctx->graph, node, 1, value);
}

/* From 1: height_scale, width_scale, and linear was called bilinear. */
static tn_status upgrade_from_1(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const float scales[] = { 1, 1, tn_attr_float(view, "height_scale", 1),
                             tn_attr_float(view, "width_scale", 1) };
    const tn_attribute list = {
        .size = sizeof list, .type = TN_ATTR_FLOATS, .name = "scales", .count = 4, .floats = scales
    };
    const tn_attribute linear = {
        .size = sizeof linear, .type = TN_ATTR_STRING, .name = "mode", .s = { "linear", 6 }
    };
    if (strcmp(tn_attr_string(view, "mode", ""), "bilinear") == 0)
        TN_TRY(ctx->api->set_attribute(ctx->graph, node, &linear));
    TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "height_scale"));
    TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "width_scale"));
    return ctx->api->set_attribute(ctx->graph, node, &list);
}

/* From 7: the attribute becomes a constant. */
static tn_status upgrade_from_7(tn_rewrite *ctx, tn_node_id node)
{
    const tn_attribute *list = tn_attr(ctx->api->node(ctx->graph, node), "scales");
    if (!list || list->type != TN_ATTR_FLOATS || !list->count)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE, "scales is empty: expected one for each axis of 'X'");
    TN_TRY(add_scales(ctx, node, list->floats, list->count));
    return ctx->api->drop_attribute(ctx->graph, node, "scales");
}

static tn_attribute text(const char *name, const char *value)
{
    return (tn_attribute){ .size = sizeof(tn_attribute),
                           .type = TN_ATTR_STRING,
                           .name = name,
                           .s = { value, strlen(value) } };
}

static tn_status expand(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const char *mode = tn_attr_string(view, "mode", "nearest");
    const tn_value_id inputs[] = { view->inputs[0], TN_NONE, view->inputs[1] };
    const tn_value_id old = view->outputs[0];
    const tn_attribute attributes[] = {
        text("mode", strcmp(mode, "nearest") == 0 ? "nearest" : "linear"),
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    };
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = view->region,
                                .name = view->name,
                                .op = "Resize",
                                .input_count = 3,
                                .output_count = 1,
                                .inputs = inputs,
                                .attribute_count = 3,
                                .attributes = attributes,
                                .before = node,
                                .trace = node };
    tn_node_id resize;
    TN_TRY(ctx->api->add_node(ctx->graph, &desc, &resize));
    TN_TRY(ctx->api->replace(ctx->graph, old, ctx->api->node(ctx->graph, resize)->outputs[0]));
    return ctx->api->remove_node(ctx->graph, node);
}

/* ---- tables ------------------------------------------------------------------------------- */

#define T_MASK (TN_MASK_NUMERIC | TN_BIT(TN_STRING) | TN_BIT(TN_BOOL) | TN_MASK_COMPLEX)
static const tn_param_def inputs[] = {
    { "X", "T", T_MASK, 0, 0, "any tensor" },
    { "scales", NULL, TN_BIT(TN_FLOAT32), 0, 0, "a factor of at least 1 for each axis" },
};
static const tn_param_def outputs[] = { { "Y", "T", T_MASK, 0, 0, "the larger tensor" } };
#define MODE(text)                                                                                 \
    {                                                                                              \
        .name = "mode", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT, .s = "nearest",      \
        .doc = text                                                                                \
    }
#define FACTOR(side)                                                                               \
    {                                                                                              \
        .name = side "_scale", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_REQUIRED,                   \
        .doc = "the factor of the " side                                                           \
    }
static const tn_attribute_def attributes_1[] = { MODE("nearest or bilinear"), FACTOR("height"),
                                                 FACTOR("width") };
static const tn_attribute_def attributes_7[] = {
    MODE("nearest or linear"),
    { .name = "scales",
      .type = TN_ATTR_FLOATS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "a factor of at least 1 for each axis" },
};
#define ROW(version, in, attrs, count, infer_, up, expand_)                                        \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = version, .name = "Upsample",                     \
        .doc = "Enlarges a tensor; Resize took its place in set 10.", .inputs = inputs,            \
        .input_count = in, .outputs = outputs, .output_count = 1, .attributes = attrs,             \
        .attribute_count = count, .infer = infer_, .upgrade = up, .expand = expand_                \
    }

tn_status upsample_register(tn_registrar *registrar)
{
    const tn_operator_def operators[] = {
        ROW(1, 1, attributes_1, 3, infer_old, NULL, NULL),
        ROW(7, 1, attributes_7, 2, infer_old, upgrade_from_1, NULL),
        ROW(9, 2, attributes_7, 1, infer, upgrade_from_7, expand),
    };
    for (int k = 0; k < 3; k++)
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
    return TN_OK;
}
