/* plugins/movement/block.c: turns channels into square blocks of pixels, and back.
 *
 * ONNX: DepthToSpace, whose channels count (block row, block column, channel) in mode DCR and
 * (channel, block row, block column) in mode CRD; SpaceToDepth, the way back of DCR. Set 1 of
 * DepthToSpace knows DCR only.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* The block's side; 0 after a complaint. */
static int64_t block_size(tn_infer *ctx)
{
    const int64_t size = tn_attr_int(ctx->node, "blocksize", 0);
    if (size >= 1 && size <= INT32_MAX)
        return size;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "blocksize",
                             "blocksize is %lld: expected at least 1", (long long)size);
    return 0;
}

/* Answers 0 after a complaint that `axis` is no multiple of `size`. */
static int check_multiple(tn_infer *ctx, int32_t axis, int64_t size)
{
    static const char *const names[] = { "samples", "channels", "rows", "columns" };
    const tn_dim extent = ctx->inputs[0]->dims[axis];
    if (!tn_dim_known(extent) || extent % size == 0)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                             "input 'input' has %lld %s: expected a multiple of %lld",
                             (long long)extent, names[axis], (long long)size);
    return 0;
}

static int is_crd(const tn_node_view *node)
{
    return strcmp(tn_attr_string(node, "mode", "DCR"), "CRD") == 0;
}

static tn_status infer_to_space(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    const int64_t size = block_size(ctx);
    const char *mode = tn_attr_string(ctx->node, "mode", "DCR");
    if (strcmp(mode, "DCR") != 0 && !is_crd(ctx->node))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "mode",
                                 "mode is '%s': expected DCR or CRD", mode);
    if (!in || in->rank < 0 || size == 0 || !move_check_rank(ctx, 0, "input", 4, 4) ||
        !check_multiple(ctx, 1, size * size))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    out->dims[1] = tn_dim_floordiv(ctx, in->dims[1], size * size);
    out->dims[2] = tn_dim_mul(ctx, in->dims[2], size);
    out->dims[3] = tn_dim_mul(ctx, in->dims[3], size);
    return TN_OK;
}

static tn_status infer_to_depth(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    const int64_t size = block_size(ctx);
    if (!in || in->rank < 0 || size == 0 || !move_check_rank(ctx, 0, "input", 4, 4) ||
        !check_multiple(ctx, 2, size) || !check_multiple(ctx, 3, size))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    out->dims[1] = tn_dim_mul(ctx, in->dims[1], size * size);
    out->dims[2] = tn_dim_floordiv(ctx, in->dims[2], size);
    out->dims[3] = tn_dim_floordiv(ctx, in->dims[3], size);
    return TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

/* The input as six axes `dims`, of which the output takes number order[k] as its k-th. */
static tn_status permute(tn_run *ctx, const int64_t *dims, const int32_t *order)
{
    const tn_tensor *in = ctx->inputs[0];
    move_box box = { .rank = 6,
                     .width = tn_dtype_bits(in->dtype) / 8,
                     .from = in->data,
                     .to = ctx->outputs[0]->data };
    int64_t strides[TN_MAX_RANK];
    tn_row_major(6, dims, strides);
    for (int32_t k = 0; k < 6; k++) {
        box.dims[k] = dims[order[k]];
        box.from_strides[k] = strides[order[k]];
    }
    tn_row_major(6, box.dims, box.to_strides);
    return move_run(&ctx->call, &box);
}

static tn_status run_to_space(tn_run *ctx, const void *state, void *slot)
{
    static const int32_t dcr_order[] = { 0, 3, 4, 1, 5, 2 }, crd_order[] = { 0, 1, 4, 2, 5, 3 };
    const int64_t *out = ctx->outputs[0]->dims, *in = ctx->inputs[0]->dims;
    const int64_t size = tn_attr_int(ctx->node, "blocksize", 1);
    const int64_t dcr[] = { in[0], size, size, out[1], in[2], in[3] };
    const int64_t crd[] = { in[0], out[1], size, size, in[2], in[3] };
    (void)state, (void)slot;
    return is_crd(ctx->node) ? permute(ctx, crd, crd_order) : permute(ctx, dcr, dcr_order);
}

static tn_status run_to_depth(tn_run *ctx, const void *state, void *slot)
{
    static const int32_t order[] = { 0, 3, 5, 1, 2, 4 };
    const int64_t *out = ctx->outputs[0]->dims, *in = ctx->inputs[0]->dims;
    const int64_t size = tn_attr_int(ctx->node, "blocksize", 1);
    const int64_t dims[] = { in[0], in[1], out[2], size, out[3], size };
    (void)state, (void)slot;
    return permute(ctx, dims, order);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "Samples, channels, rows, columns." },
};
static const tn_param_def outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "The same elements, other extents." },
};
static const tn_attribute_def attributes[] = {
    { .name = "blocksize",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Rows and columns of a block." },
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "DCR",
      .doc = "Order of the channels: DCR (block, channel) or CRD (channel, block)." },
};

static tn_status add(tn_registrar *registrar, const tn_operator_def *op,
                     tn_status (*run)(tn_run *ctx, const void *state, void *slot))
{
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = op->name, .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status block_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 1,
        .name = "DepthToSpace",
        .doc = "Spreads channels over blocks of pixels.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MOVES_BYTES,
        .infer = infer_to_space,
        .cost = move_cost,
        .samplewise = move_samples,
    };
    TN_TRY(add(registrar, &op, run_to_space));
    op.name = "SpaceToDepth";
    op.doc = "Gathers blocks of pixels into channels.";
    op.attribute_count = 1;
    op.infer = infer_to_depth;
    return add(registrar, &op, run_to_depth);
}
