/* plugins/vision/resize.c: Resize: its attributes, shapes and rows (ONNX operators: Resize).
 *
 *   Y[o] = sum over k of weight[k] * X[x(o) + k], axis by axis, x(o) by the transformation
 *
 * An output extent is floor(extent * scale), or what `sizes` says. The standard's text has the
 * roi's extent as a factor of it, too; its inference and its reference implementation do not.
 *
 * Rows: 19 takes nodes from set 13 on. Set 11 had the transformation tf_half_pixel_for_nn, set 10
 * rounded towards the outside where it grew and to the inside where it shrank; what has no equal
 * form stays there.
 *
 * SPDX-License-Identifier: MIT */
#include "resize.h"

#include <inttypes.h>

/* ---- attributes --------------------------------------------------------------------------- */

static const char *const mode_names[] = { "nearest", "linear", "cubic" };
static const char *const nearest_names[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil" };
static const char *const transform_names[] = { "half_pixel",          "half_pixel_symmetric",
                                               "pytorch_half_pixel",  "align_corners",
                                               "asymmetric",          "tf_crop_and_resize",
                                               "tf_half_pixel_for_nn" };
static const char *const policy_names[] = { "stretch", "not_larger", "not_smaller" };

static int read_axes(tn_call *call, const tn_node_view *node, int32_t rank, resize_how *out)
{
    const int64_t *axes;
    const size_t count = tn_attr_ints(node, "axes", &axes);
    uint32_t seen = 0;
    out->all_axes = axes == NULL;
    out->count = axes ? (int32_t)(count < TN_MAX_RANK ? count : TN_MAX_RANK) : rank;
    for (int32_t k = 0; k < out->count; k++) {
        const int32_t axis = axes ? tn_axis(axes[k], rank) : k;
        if (axis >= 0 && !(seen >> axis & 1)) {
            seen |= 1u << axis;
            out->axes[k] = axis;
            continue;
        }
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axes",
                                 "axes[%d] is %" PRId64 ": expected another axis in [%d, %d)",
                                 (int)k, axes[k], -(int)rank, (int)rank);
        return 0;
    }
    return 1;
}

int resize_read(tn_call *call, const tn_node_view *node, int32_t rank, resize_how *out)
{
    *out = (resize_how){ .antialias = tn_attr_int(node, "antialias", 0) != 0,
                         .exclude_outside = tn_attr_int(node, "exclude_outside", 0) != 0,
                         .cubic = (double)tn_attr_float(node, "cubic_coeff_a", -0.75f),
                         .extrapolation = (double)tn_attr_float(node, "extrapolation_value", 0) };
    out->mode = vision_choice(call, node, "mode", "nearest", mode_names,
                              node->version >= 11 ? 3 : 2);
    out->nearest = vision_choice(call, node, "nearest_mode", "round_prefer_floor", nearest_names,
                                 4);
    out->transform = vision_choice(call, node, "coordinate_transformation_mode", "half_pixel",
                                   transform_names, node->version == 11 ? 7 : 6);
    out->policy = vision_choice(call, node, "keep_aspect_ratio_policy", "stretch", policy_names, 3);
    if (out->mode < 0 || out->nearest < 0 || out->transform < 0 || out->policy < 0)
        return 0;
    if (node->version < 11) {
        out->nearest = RESIZE_OUTWARD;
        out->transform = RESIZE_ASYMMETRIC;
    }
    if (out->antialias && out->mode == RESIZE_NEAREST) {
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "antialias",
                                 "antialias is 1 with mode 'nearest': expected mode linear or "
                                 "cubic");
        return 0;
    }
    return read_axes(call, node, rank, out);
}

/* ---- extents ------------------------------------------------------------------------------ */

#define EXTENT_LIMIT 0x1p62 /* beyond any tensor; the host says so */

static int64_t extent_of(double extent)
{
    return extent >= EXTENT_LIMIT ? (int64_t)EXTENT_LIMIT : (int64_t)extent;
}

int64_t resize_scaled(int64_t extent, double scale)
{
    return extent_of(floor((double)extent * scale));
}

int64_t resize_rounded(double extent)
{
    return extent_of(extent + 0.5);
}

double resize_common_scale(const resize_how *how, const int64_t *extents, const int64_t *sizes)
{
    double common = how->policy == RESIZE_NOT_LARGER ? INFINITY : 0.0;
    for (int32_t k = 0; k < how->count; k++) {
        const double scale = (double)sizes[k] / (double)extents[how->axes[k]];
        common = how->policy == RESIZE_NOT_LARGER ? fmin(common, scale) : fmax(common, scale);
    }
    return common;
}

/* ---- inference -------------------------------------------------------------------------- */

static int has_elements(const tn_infer *ctx, uint32_t k)
{
    return vision_type(ctx, k) && vision_length(ctx, k) != 0;
}

/* Checks a vector of `each` elements per axis. Answers 0 after a complaint. */
static int check_length(tn_infer *ctx, uint32_t k, const char *name, const resize_how *how,
                        int64_t each)
{
    const int64_t found = vision_length(ctx, k), wanted = each * how->count;
    if (vision_type(ctx, k) && vision_type(ctx, k)->rank > 1)
        return vision_check_rank(ctx, k, name, 1, "a vector");
    if (found < 0 || found == wanted)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                             "input '%s' has %" PRId64 " elements: expected %" PRId64
                             ", %s for each %s",
                             name, found, wanted, each == 2 ? "a start and an end" : "one",
                             how->all_axes ? "axis of 'X'" : "of 'axes'");
    return 0;
}

/* floor(extent * scale) where the extent is an expression: whole scales, and halves, quarters… */
static tn_dim scaled_dim(tn_infer *ctx, tn_dim extent, double scale)
{
    int exponent;
    if (tn_dim_known(extent))
        return resize_scaled(extent, scale);
    if (scale < 0x1p31 && scale == floor(scale))
        return tn_dim_mul(ctx, extent, (int64_t)scale);
    if (scale > 0x1p-31 && frexp(scale, &exponent) == 0.5 && exponent < 1)
        return tn_dim_floordiv(ctx, extent, INT64_C(1) << (1 - exponent));
    return TN_DIM_UNKNOWN;
}

static void infer_scales(tn_infer *ctx, uint32_t place, const resize_how *how)
{
    const tn_tensor *scales = ctx->call.host->input_value(&ctx->call, place);
    tn_type *y = &ctx->outputs[0];
    for (int32_t k = 0; k < how->count; k++) {
        const int32_t axis = how->axes[k];
        const double scale = scales ? (double)((const float *)scales->data)[k] : 1.0;
        if (!(scale > 0.0 && isfinite(scale))) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, place, NULL,
                                     "scales[%d] is %g: expected a number above 0", (int)k, scale);
            y->dims[axis] = TN_DIM_UNKNOWN;
            continue;
        }
        y->dims[axis] = scales ? scaled_dim(ctx, y->dims[axis], scale) : TN_DIM_UNKNOWN;
    }
}

static int check_sizes(tn_infer *ctx, const tn_dim *sizes, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        if (!tn_dim_known(sizes[k]) || sizes[k] >= 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, RESIZE_SIZES, NULL,
                                 "sizes[%d] is %" PRId64 ": expected an extent of at least 0",
                                 (int)k, sizes[k]);
        return 0;
    }
    return 1;
}

static void infer_sizes(tn_infer *ctx, const resize_how *how)
{
    tn_type *y = &ctx->outputs[0];
    tn_dim sizes[TN_MAX_RANK];
    const int64_t found = ctx->call.host->input_elements(&ctx->call, RESIZE_SIZES, sizes,
                                                         TN_MAX_RANK);
    int known = found == how->count && check_sizes(ctx, sizes, found);
    for (int32_t k = 0; known && how->policy != RESIZE_STRETCH && k < how->count; k++)
        known = tn_dim_known(sizes[k]) && tn_dim_known(y->dims[how->axes[k]]) &&
                y->dims[how->axes[k]] > 0;
    const double scale = known && how->policy != RESIZE_STRETCH
                             ? resize_common_scale(how, y->dims, sizes)
                             : 0.0;
    for (int32_t k = 0; k < how->count; k++) {
        tn_dim *dim = &y->dims[how->axes[k]];
        *dim = !known                          ? TN_DIM_UNKNOWN
               : how->policy == RESIZE_STRETCH ? sizes[k]
                                               : resize_rounded(scale * (double)*dim);
    }
}

static int check_inputs(tn_infer *ctx, const resize_how *how, uint32_t scales_place)
{
    const tn_host *host = ctx->call.host;
    const int scales = has_elements(ctx, scales_place);
    const int sizes = has_elements(ctx, RESIZE_SIZES);
    const uint64_t smooth = TN_MASK_NUMERIC | TN_BIT(TN_BOOL) | TN_MASK_COMPLEX;
    const int unsure = scales && sizes &&
                       (vision_length(ctx, scales_place) < 0 ||
                        vision_length(ctx, RESIZE_SIZES) < 0);
    if (scales == sizes && !unsure) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_NODE, 0, NULL,
                       scales
                           ? "both inputs 'scales' and 'sizes' are given: expected one of them"
                           : "neither input 'scales' nor 'sizes' is given: expected one of them");
        return 0;
    }
    if (how->transform == RESIZE_TF_CROP_AND_RESIZE && !has_elements(ctx, RESIZE_ROI)) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, RESIZE_ROI, NULL,
                       "input 'roi' is absent: expected a start and an end for each axis with "
                       "coordinate_transformation_mode tf_crop_and_resize");
        return 0;
    }
    if (how->mode != RESIZE_NEAREST && ctx->inputs[0]->dtype &&
        !(TN_BIT(ctx->inputs[0]->dtype) & smooth)) {
        host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, 0, NULL,
                       "input 'X' holds texts, which mode '%s' cannot mix: expected mode 'nearest'",
                       mode_names[how->mode]);
        return 0;
    }
    return (!scales || unsure || check_length(ctx, scales_place, "scales", how, 1)) &&
           (!sizes || unsure || check_length(ctx, RESIZE_SIZES, "sizes", how, 1)) &&
           (how->transform != RESIZE_TF_CROP_AND_RESIZE ||
            check_length(ctx, RESIZE_ROI, "roi", how, 2));
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const uint32_t scales = resize_place(ctx->node->version, RESIZE_SCALES);
    resize_how how;
    if (!x || x->rank < 0 || !resize_read(&ctx->call, ctx->node, x->rank, &how) ||
        !check_inputs(ctx, &how, scales))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    /* A vector of unknown length may turn out empty: then it is the other one that counts. */
    if (has_elements(ctx, scales) && ctx->node->version >= 11 && has_elements(ctx, RESIZE_SIZES))
        for (int32_t k = 0; k < how.count; k++)
            ctx->outputs[0].dims[how.axes[k]] = TN_DIM_UNKNOWN;
    else if (has_elements(ctx, scales))
        infer_scales(ctx, scales, &how);
    else
        infer_sizes(ctx, &how);
    return TN_OK;
}

/* Every scale is 1 and no region is cut out. */
static int32_t identity(const tn_identity *query)
{
    const uint32_t place = resize_place(query->node->version, RESIZE_SCALES);
    const tn_tensor *scales = place < query->node->input_count ? query->constants[place] : NULL;
    const char *transform = tn_attr_string(query->node, "coordinate_transformation_mode", "");
    if (!scales || !tn_count(scales) || strncmp(transform, "tf_", 3) == 0)
        return -1;
    for (int64_t k = 0; k < tn_count(scales); k++)
        if (((const float *)scales->data)[k] != 1.0f)
            return -1;
    return 0;
}

/* Taps of the axes that change. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *x = ctx->inputs[0], *y = &ctx->outputs[0];
    resize_how how;
    out->macs = out->ops = 0;
    if (!resize_read(NULL, ctx->node, y->rank, &how) || how.mode == RESIZE_NEAREST)
        return TN_OK;
    out->macs = 1;
    for (int32_t axis = 0; axis < y->rank; axis++) {
        const double shrunk = how.antialias && y->dims[axis] < x->dims[axis] && y->dims[axis] > 0
                                  ? (double)x->dims[axis] / (double)y->dims[axis]
                                  : 1.0;
        out->macs *= (double)y->dims[axis];
        if (y->dims[axis] != x->dims[axis])
            out->macs *= (how.mode == RESIZE_CUBIC ? 4.0 : 2.0) * shrunk;
    }
    return TN_OK;
}

/* Samples are left alone where axis 0 is none of `axes`, or its scale is known to be 1. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const uint32_t place = resize_place(ctx->node->version, RESIZE_SCALES);
    const tn_type *x = ctx->inputs[0];
    resize_how how;
    int touched = 0;
    if (!x || x->rank < 1 || !resize_read(NULL, ctx->node, x->rank, &how))
        return TN_NO_MATCH;
    for (int32_t k = 0; k < how.count; k++)
        if (how.axes[k] == 0) {
            const tn_tensor *scales = has_elements(ctx, place)
                                          ? ctx->call.host->input_value(&ctx->call, place)
                                          : NULL;
            touched = how.transform >= RESIZE_TF_CROP_AND_RESIZE || !scales ||
                      ((const float *)scales->data)[k] != 1.0f;
        }
    if (touched)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- older versions ----------------------------------------------------------------------- */

/* From 11: all but one transformation mean the same. */
static tn_status upgrade_from_11(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    if (strcmp(tn_attr_string(view, "coordinate_transformation_mode", ""),
               "tf_half_pixel_for_nn") == 0)
        return tn_fail(ctx, TN_KEEP, "tf_half_pixel_for_nn was dropped in set 13");
    return TN_OK;
}

/* Scales on one side of 1 round to one side; NULL: they differ, or are not known. */
static const char *one_nearest_mode(const tn_rewrite *ctx, const tn_node_view *node)
{
    const tn_value_view *value = ctx->api->value(ctx->graph, node->inputs[1]);
    const tn_tensor *scales = value && !value->is_input ? value->constant : NULL;
    int grows = 0, shrinks = 0;
    if (strcmp(tn_attr_string(node, "mode", "nearest"), "nearest") != 0)
        return "floor"; /* not looked at */
    for (int64_t k = 0; scales && k < tn_count(scales); k++) {
        grows |= ((const float *)scales->data)[k] > 1.0f;
        shrinks |= ((const float *)scales->data)[k] < 1.0f;
    }
    return !scales || (grows && shrinks) ? NULL : shrinks ? "ceil" : "floor";
}

static tn_status set_text(tn_rewrite *ctx, tn_node_id node, const char *name, const char *text)
{
    const tn_attribute a = {
        .size = sizeof a, .type = TN_ATTR_STRING, .name = name, .s = { text, strlen(text) }
    };
    return ctx->api->set_attribute(ctx->graph, node, &a);
}

/* From 10: x_original = x_resized / scale; inputs X and scales become X, no roi, scales. */
static tn_status upgrade_from_10(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const char *nearest = view->input_count == 2 ? one_nearest_mode(ctx, view) : NULL;
    const tn_value_id scales = view->input_count == 2 ? view->inputs[1] : TN_NONE;
    if (!nearest)
        return tn_fail(ctx, TN_KEEP,
                       "nearest of set 10 rounds down where an axis grows and up where it "
                       "shrinks, and the scales are not all on one side");
    TN_TRY(set_text(ctx, node, "coordinate_transformation_mode", "asymmetric"));
    TN_TRY(set_text(ctx, node, "nearest_mode", nearest));
    TN_TRY(ctx->api->set_input(ctx->graph, node, 1, TN_NONE));
    return ctx->api->set_input(ctx->graph, node, 2, scales);
}

/* ---- tables ------------------------------------------------------------------------------- */

#define T1_MASK (TN_MASK_NUMERIC | TN_BIT(TN_STRING) | TN_BIT(TN_BOOL) | TN_MASK_COMPLEX)
#define T2_MASK (TN_BIT(TN_FLOAT16) | TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64))
static const tn_param_def inputs[] = {
    { "X", "T1", T1_MASK, 0, 0, "any tensor" },
    { "roi", "T2", T2_MASK, TN_PARAM_OPTIONAL, 0,
      "all starts, then all ends, in units of the axes; for tf_crop_and_resize" },
    { "scales", NULL, TN_BIT(TN_FLOAT32), TN_PARAM_OPTIONAL, 0, "a factor for each axis" },
    { "sizes", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "or an extent for each axis" },
};
static const tn_param_def inputs_10[] = {
    { "X", "T1", T1_MASK, 0, 0, "any tensor" },
    { "scales", NULL, TN_BIT(TN_FLOAT32), 0, 0, "a factor for each axis" },
};
static const tn_param_def outputs[] = { { "Y", "T1", T1_MASK, 0, 0, "the resized tensor" } };
/* The first two are those of version 10, the first six those of version 11. */
static const tn_attribute_def attributes[] = {
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "nearest",
      .doc = "nearest, linear or cubic" },
    { .name = "coordinate_transformation_mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "half_pixel",
      .doc = "where an output position lies in X" },
    { .name = "cubic_coeff_a",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = -0.75f,
      .doc = "the coefficient of cubic interpolation (Keys 1981)" },
    { .name = "exclude_outside",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: positions outside of X weigh nothing; 0: the border continues" },
    { .name = "extrapolation_value",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "tf_crop_and_resize: the output outside of X" },
    { .name = "nearest_mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "round_prefer_floor",
      .doc = "round_prefer_floor, round_prefer_ceil, floor or ceil" },
    { .name = "antialias",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: where an axis shrinks, linear and cubic stretch their filter" },
    { .name = "axes", .type = TN_ATTR_INTS, .doc = "what roi, scales and sizes speak of; all" },
    { .name = "keep_aspect_ratio_policy",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "stretch",
      .doc = "sizes are met (stretch), or one scale for all axes: not_larger, not_smaller" },
};
#define ROW(version, from, in, count, attrs, up)                                                   \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = version, .accepts_from = from, .name = "Resize", \
        .doc = "Resamples a tensor to other extents.", .inputs = in, .input_count = count,         \
        .outputs = outputs, .output_count = 1, .attributes = attributes, .attribute_count = attrs, \
        .infer = infer, .identity = identity, .cost = cost, .samplewise = samplewise,              \
        .upgrade = up                                                                              \
    }
static const tn_operator_def operators[] = {
    ROW(10, 10, inputs_10, 2, 1, NULL),
    ROW(11, 11, inputs, 4, 6, upgrade_from_10),
    ROW(19, 13, inputs, 4, 9, upgrade_from_11),
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "Resize",
                                      .measure = resize_measure,
                                      .run = resize_run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status resize_register(tn_registrar *registrar)
{
    for (int k = 0; k < 3; k++)
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
    return registrar->add_kernel(registrar, &kernel);
}
