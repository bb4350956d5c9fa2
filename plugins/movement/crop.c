/* plugins/movement/crop.c: brings axes to given extents around their middle.
 *
 * ONNX: CenterCropPad. An axis that is too long loses elements at both ends, one that is too short
 * gets zeros at both; where the difference is odd, one more at the end.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    tn_dim shape[MOVE_ELEMENTS];
    const int64_t *axes;
    const size_t listed = tn_attr_ints(ctx->node, "axes", &axes);
    if (!in || in->rank < 0 || !move_check_rank(ctx, 1, "shape", 1, 1))
        return TN_OK;
    const int64_t wanted = axes ? (int64_t)listed : in->rank;
    const int64_t found = move_elements(ctx, 1, shape);
    const int64_t count = found < 0 ? move_length(ctx, 1) : found;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (count >= 0 && count != wanted) {
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
            "input 'shape' has %lld elements: expected %lld, one for each axis", (long long)count,
            (long long)wanted);
        return TN_OK;
    }
    for (int64_t i = 0; i < wanted; i++) {
        const int32_t axis = tn_axis(axes ? axes[i] : i, in->rank);
        if (axis < 0) {
            ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axes",
                                     "axes[%lld] is %lld, outside [%d, %d) of an input of rank %d",
                                     (long long)i, (long long)axes[i], -(int)in->rank,
                                     (int)in->rank, (int)in->rank);
            return TN_OK;
        }
        out->dims[axis] = found < 0 ? TN_DIM_UNKNOWN : shape[i];
        if (!tn_dim_known(out->dims[axis]) || out->dims[axis] >= 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "shape[%lld] is %lld: expected an extent of at least 0",
                                 (long long)i, (long long)shape[i]);
        return TN_OK;
    }
    return TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    return move_same_shape(query->inputs[0], query->outputs[0]) ? 0 : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const int64_t *axes;
    const size_t listed = tn_attr_ints(ctx->node, "axes", &axes);
    if (!axes || !ctx->inputs[0])
        return TN_NO_MATCH;
    for (size_t i = 0; i < listed; i++) {
        if (tn_axis(axes[i], ctx->inputs[0]->rank) < 1)
            return TN_NO_MATCH;
    }
    return move_samples(ctx, input_axes, output_axes);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct fill_job {
    char *to;
    size_t width;
    move_value zero;
} fill_job;

static tn_status fill_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const fill_job *job = user;
    (void)thread;
    move_fill(job->to + (size_t)begin * job->width, job->width, end - begin, &job->zero);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    tn_tensor *out = ctx->outputs[0];
    move_box box = { .rank = in->rank, .width = tn_dtype_bits(in->dtype) / 8 };
    int64_t from = 0, to = 0;
    int padded = 0;
    (void)state, (void)slot;
    tn_row_major(in->rank, in->dims, box.from_strides);
    tn_row_major(out->rank, out->dims, box.to_strides);
    for (int32_t axis = 0; axis < in->rank; axis++) {
        const int64_t had = in->dims[axis], wanted = out->dims[axis];
        box.dims[axis] = had < wanted ? had : wanted;
        from += (had > wanted ? (had - wanted) / 2 : 0) * box.from_strides[axis];
        to += (wanted > had ? (wanted - had) / 2 : 0) * box.to_strides[axis];
        padded = padded || wanted > had;
    }
    const fill_job fill = { out->data, box.width, move_zero(in->dtype) };
    if (tn_count(out) == 0)
        return TN_OK;
    if (padded)
        TN_TRY(ctx->call.host->parallel_for(&ctx->call, tn_count(out), 1 << 18, fill_chunk,
                                            (void *)(uintptr_t)&fill));
    if (tn_extent(box.dims, 0, box.rank) == 0)
        return TN_OK;
    box.from = (const char *)in->data + (size_t)from * box.width;
    box.to = (char *)out->data + (size_t)to * box.width;
    return move_run(&ctx->call, &box);
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_value_id put_half(tn_edit *e, tn_value_id a, tn_value_id b)
{
    const tn_value_id left = tn_put(e, "Sub", a, b, TN_NONE, NULL);
    return tn_put(e, "Div", left, tn_put_scalar(e, TN_INT64, 2.0), TN_NONE, NULL);
}

static tn_value_id put_slice(tn_edit *e, tn_value_id x, tn_value_id from, tn_value_id to,
                             tn_value_id axes)
{
    const tn_value_id inputs[4] = { x, from, to, axes };
    return tn_put_node(e, "Slice", inputs, axes == TN_NONE ? 3 : 4, NULL, 0);
}

static tn_value_id put_pad(tn_edit *e, tn_value_id x, tn_value_id before, tn_value_id after,
                           tn_value_id axes)
{
    const tn_value_id pads = tn_put_join(e, before, after, TN_NONE);
    const tn_value_id inputs[4] = { x, pads, TN_NONE, axes };
    return tn_put_node(e, "Pad", inputs, axes == TN_NONE ? 2 : 4, NULL, 0);
}

/* A Slice to what is kept, then a Pad to what is wanted. */
static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const int64_t *listed;
    const size_t count = tn_attr_ints(tn_edit_view(&e), "axes", &listed);
    const tn_value_id axes = listed ? tn_put_ints(&e, listed, (int64_t)count) : TN_NONE;
    const tn_value_id wanted = tn_put_with(&e, "Cast", tn_edit_input(&e, 1), TN_NONE, "to",
                                           TN_INT64);
    tn_value_id had = tn_put(&e, "Shape", x, TN_NONE, TN_NONE, NULL);
    if (axes != TN_NONE)
        had = tn_put(&e, "Gather", had, axes, TN_NONE, NULL);
    const tn_value_id kept = tn_put(&e, "Min", had, wanted, TN_NONE, NULL);
    const tn_value_id from = put_half(&e, had, kept), before = put_half(&e, wanted, kept);
    const tn_value_id to = tn_put(&e, "Add", from, kept, TN_NONE, NULL);
    tn_value_id after = tn_put(&e, "Sub", wanted, kept, TN_NONE, NULL);
    after = tn_put(&e, "Sub", after, before, TN_NONE, NULL);
    const tn_value_id cut = put_slice(&e, x, from, to, axes);
    return tn_edit_give(&e, put_pad(&e, cut, before, after, axes));
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input_data", "T", MOVE_TYPES, 0, 0, "The tensor to crop or pad." },
    { "shape", "Tind", MOVE_INDEX, 0, 0, "The extents of the axes." },
};
static const tn_param_def outputs[] = { { "output_data", "T", MOVE_TYPES, 0, 0, "The result." } };
static const tn_attribute_def attributes[] = {
    { .name = "axes",
      .type = TN_ATTR_INTS,
      .doc = "The axes that 'shape' is about; all of them if absent." },
};

tn_status crop_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 18,
        .name = "CenterCropPad",
        .doc = "Brings axes to given extents around their middle, cropping or adding zeros.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .samplewise = samplewise,
        .expand = write_out,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "CenterCropPad",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
