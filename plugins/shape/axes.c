/* plugins/shape/axes.c: takes axes of extent 1 out and puts them in.
 *
 * ONNX: Squeeze, Unsqueeze, with axes as an input. Squeeze without axes takes out every extent
 * of 1.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- inference -------------------------------------------------------------------------- */

/* Reads axes of a shape of `rank` as a set of bits. Answers 0 after a complaint, -1 when they are
 * not known. */
static int read_axes(tn_infer *ctx, int32_t rank, uint32_t *out)
{
    tn_dim axes[SHAPE_ELEMENTS];
    const int64_t count = shape_elements(ctx, 1, axes);
    *out = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!tn_dim_known(axes[i]))
            return -1;
        const int32_t axis = tn_axis(axes[i], rank);
        if (axis < 0 || *out >> axis & 1) {
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     axis < 0 ? "axes[%lld] is %lld, outside [%d, %d)"
                                              : "axes[%lld] is %lld: expected each axis of "
                                                "[%d, %d) once",
                                     (long long)i, (long long)axes[i], -(int)rank, (int)rank);
            return 0;
        }
        *out |= 1u << axis;
    }
    return count < 0 ? -1 : 1;
}

/* The axes that Squeeze takes out. Answers 0 after a complaint, -1 when they are not known. */
static int squeezed_axes(tn_infer *ctx, uint32_t *out)
{
    const tn_type *data = ctx->inputs[0];
    if (ctx->input_count > 1 && ctx->inputs[1])
        return read_axes(ctx, data->rank, out);
    *out = 0;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        if (!tn_dim_known(data->dims[axis])) /* a symbol may be 1 */
            return -1;
        *out |= (uint32_t)(data->dims[axis] == 1) << axis;
    }
    return 1;
}

static void unknown_extents(tn_type *out, int64_t rank)
{
    if (rank < 0 || rank > TN_MAX_RANK)
        return;
    out->rank = (int32_t)rank;
    for (int32_t axis = 0; axis < out->rank; axis++)
        out->dims[axis] = TN_DIM_UNKNOWN;
}

static tn_status infer_squeeze(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    uint32_t axes;
    if (!data || data->rank < 0)
        return TN_OK;
    const int found = squeezed_axes(ctx, &axes);
    if (found < 0 && shape_length(ctx, 1) >= 0)
        unknown_extents(out, data->rank - shape_length(ctx, 1));
    if (found < 1)
        return TN_OK;
    int32_t rank = 0;
    for (int32_t axis = 0; axis < data->rank; axis++) {
        const tn_dim extent = data->dims[axis];
        if (!(axes >> axis & 1)) {
            out->dims[rank++] = extent;
        } else if (tn_dim_known(extent) && extent != 1) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "axis %d of input 'data' has extent %lld: expected 1 to "
                                     "squeeze it",
                                     (int)axis, (long long)extent);
            return TN_OK;
        }
    }
    out->rank = rank;
    return shape_pass_elements(ctx);
}

static tn_status infer_unsqueeze(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    tn_dim elements[SHAPE_ELEMENTS];
    uint32_t axes;
    const int64_t found = shape_elements(ctx, 1, elements);
    const int64_t count = found < 0 ? shape_length(ctx, 1) : found;
    if (!data || data->rank < 0 || count < 0 || !shape_check_rank(ctx, 1, data->rank + count))
        return TN_OK;
    const int32_t rank = data->rank + (int32_t)count;
    const int known = read_axes(ctx, rank, &axes);
    if (known < 0)
        unknown_extents(out, rank);
    if (known < 1)
        return TN_OK;
    out->rank = rank;
    for (int32_t axis = 0, from = 0; axis < rank; axis++)
        out->dims[axis] = axes >> axis & 1 ? 1 : data->dims[from++];
    return shape_pass_elements(ctx);
}

static tn_status samplewise_squeeze(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    uint32_t axes;
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1 || squeezed_axes(ctx, &axes) < 1 || axes & 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    if (ctx->input_count > 1)
        input_axes[1] = -1;
    return TN_OK;
}

/* The batch moves behind the new axes in front of it. */
static tn_status samplewise_unsqueeze(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0];
    tn_dim elements[SHAPE_ELEMENTS];
    const int64_t count = shape_elements(ctx, 1, elements);
    uint32_t axes;
    if (!data || data->rank < 1 || count < 0 || data->rank + count > TN_MAX_RANK ||
        read_axes(ctx, data->rank + (int32_t)count, &axes) < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = -1;
    while (axes >> output_axes[0] & 1)
        output_axes[0]++;
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def squeeze_inputs[] = {
    { "data", "T", TN_MASK_ALL, 0, 0, "Any tensor." },
    { "axes", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "Axes of extent 1 to take out; all of them if absent." },
};
static const tn_param_def squeeze_outputs[] = {
    { "squeezed", "T", TN_MASK_ALL, 0, 0, "The same elements, fewer axes." },
};
static const tn_param_def unsqueeze_inputs[] = {
    { "data", "T", TN_MASK_ALL, 0, 0, "Any tensor." },
    { "axes", NULL, TN_BIT(TN_INT64), 0, 0, "Where the output has new axes of extent 1." },
};
static const tn_param_def unsqueeze_outputs[] = {
    { "expanded", "T", TN_MASK_ALL, 0, 0, "The same elements, more axes." },
};

/* ---- before set 13: axes as an attribute -------------------------------------------------- */

static const tn_attribute_def squeeze_old[] = {
    { .name = "axes", .type = TN_ATTR_INTS, .doc = "Axes of extent 1; all of them if absent." },
};
static const tn_attribute_def unsqueeze_old[] = {
    { .name = "axes",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Where the output has new axes of extent 1." },
};

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_ints_to_input(&e, "axes", 1);
    return e.status;
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest,
                         const tn_attribute_def *axes)
{
    tn_operator_def old = tn_old_version(newest, 11, 1);
    old.input_count = 1;
    old.attributes = axes;
    old.attribute_count = 1;
    return registrar->add_operator(registrar, &old);
}

tn_status axes_register(tn_registrar *registrar)
{
    const tn_operator_def squeeze_op = {
        .size = sizeof squeeze_op,
        .since = 25,
        .accepts_from = 13,
        .name = "Squeeze",
        .doc = "Takes axes of extent 1 out of a shape.",
        .inputs = squeeze_inputs,
        .input_count = 2,
        .outputs = squeeze_outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_RESHAPES,
        .infer = infer_squeeze,
        .identity = shape_identity,
        .cost = shape_cost,
        .samplewise = samplewise_squeeze,
        .upgrade = upgrade,
    };
    const tn_operator_def unsqueeze_op = {
        .size = sizeof unsqueeze_op,
        .since = 25,
        .accepts_from = 13,
        .name = "Unsqueeze",
        .doc = "Puts axes of extent 1 into a shape.",
        .inputs = unsqueeze_inputs,
        .input_count = 2,
        .outputs = unsqueeze_outputs,
        .output_count = 1,
        .traits = TN_MOVES_BYTES | TN_RESHAPES,
        .infer = infer_unsqueeze,
        .identity = shape_identity,
        .cost = shape_cost,
        .samplewise = samplewise_unsqueeze,
        .upgrade = upgrade,
    };
    TN_TRY(add_old(registrar, &squeeze_op, squeeze_old));
    TN_TRY(add_old(registrar, &unsqueeze_op, unsqueeze_old));
    TN_TRY(shape_add(registrar, &squeeze_op, shape_copy, TN_KERNEL_IN_PLACE | TN_KERNEL_EMPTY));
    return shape_add(registrar, &unsqueeze_op, shape_copy, TN_KERNEL_IN_PLACE | TN_KERNEL_EMPTY);
}
