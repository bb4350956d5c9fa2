/* plugins/shape/shape.c: a tensor's extents, and its number of elements, as values.
 *
 * ONNX: Shape, with `start` and `end` clamped to the rank; Size. Both look at no element, so they
 * are known as soon as the shape is, symbols included.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- Shape ------------------------------------------------------------------------------ */

static int64_t clamped(int64_t axis, int32_t rank)
{
    axis = axis < 0 ? (axis < -(int64_t)rank ? 0 : axis + rank) : axis;
    return axis > rank ? rank : axis;
}

/* Axes [*start, *end) of the node; end is not below start. */
static void range_of(const tn_node_view *node, int32_t rank, int64_t *start, int64_t *end)
{
    *start = clamped(tn_attr_int(node, "start", 0), rank);
    *end = clamped(tn_attr_int(node, "end", rank), rank);
    if (*end < *start)
        *end = *start;
}

static tn_status infer_shape(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    int64_t start, end;
    ctx->outputs[0].dtype = TN_INT64;
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = TN_DIM_UNKNOWN;
    if (!data || data->rank < 0)
        return TN_OK;
    range_of(ctx->node, data->rank, &start, &end);
    ctx->outputs[0].dims[0] = end - start;
    return ctx->call.host->output_elements(&ctx->call, 0, data->dims + start, end - start);
}

static tn_status run_shape(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *data = ctx->inputs[0];
    int64_t start, end;
    (void)state, (void)slot;
    range_of(ctx->node, data->rank, &start, &end);
    if (end > start)
        memcpy(ctx->outputs[0]->data, data->dims + start, (size_t)(end - start) * sizeof(int64_t));
    return TN_OK;
}

/* ---- Size ------------------------------------------------------------------------------- */

static tn_status infer_size(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    tn_dim count = 1;
    ctx->outputs[0].dtype = TN_INT64;
    ctx->outputs[0].rank = 0;
    if (!data || data->rank < 0)
        return TN_OK;
    for (int32_t axis = 0; axis < data->rank; axis++)
        count = tn_dim_mul(ctx, count, data->dims[axis]);
    return ctx->call.host->output_elements(&ctx->call, 0, &count, 1);
}

static tn_status run_size(tn_run *ctx, const void *state, void *slot)
{
    const int64_t count = tn_count(ctx->inputs[0]);
    (void)state, (void)slot;
    memcpy(ctx->outputs[0]->data, &count, sizeof count);
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "data", "T", TN_MASK_ALL, 0, 0, "Any tensor." } };
static const tn_param_def shape_outputs[] = {
    { "shape", "T1", TN_BIT(TN_INT64), 0, 0, "The extents." },
};
static const tn_param_def size_outputs[] = {
    { "size", "T1", TN_BIT(TN_INT64), 0, 0, "The number of elements, a scalar." },
};
static const tn_attribute_def shape_attributes[] = {
    { .name = "start",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "First axis; negative counts from the end." },
    { .name = "end", .type = TN_ATTR_INT, .doc = "Axis behind the last one; all if absent." },
};

tn_status shape_register(tn_registrar *registrar)
{
    const tn_operator_def shape_op = {
        .size = sizeof shape_op,
        .since = 25,
        .accepts_from = 1,
        .name = "Shape",
        .doc = "The extents of a tensor, or some of them.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = shape_outputs,
        .output_count = 1,
        .attributes = shape_attributes,
        .attribute_count = 2,
        .infer = infer_shape,
        .cost = shape_cost,
    };
    const tn_operator_def size_op = {
        .size = sizeof size_op,
        .since = 25,
        .accepts_from = 1,
        .name = "Size",
        .doc = "The number of elements of a tensor.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = size_outputs,
        .output_count = 1,
        .infer = infer_size,
        .cost = shape_cost,
    };
    TN_TRY(shape_add(registrar, &shape_op, run_shape, TN_KERNEL_EMPTY));
    return shape_add(registrar, &size_op, run_size, TN_KERNEL_EMPTY);
}
