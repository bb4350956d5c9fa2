/* plugins/movement/split.c: cuts a tensor into parts along an axis.
 *
 * ONNX: Split. The lengths are an input, or num_outputs equal ones of which the last may be
 * shorter; with neither (as before version 18) there are as many as outputs.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* Lengths that the input 'split' gives; checks them against the extent. Answers 0 after a
 * complaint. */
static int given_lengths(tn_infer *ctx, tn_dim extent, tn_dim *lengths)
{
    tn_dim found[MOVE_ELEMENTS], sum = 0;
    const tn_host *host = ctx->call.host;
    const int64_t count = move_elements(ctx, 1, found);
    const int64_t length = count < 0 ? move_length(ctx, 1) : count;
    if (length >= 0 && length != ctx->output_count) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'split' has %lld lengths: expected %u, the number of outputs",
                       (long long)length, (unsigned)ctx->output_count);
        return 0;
    }
    for (int64_t k = 0; k < count; k++) {
        lengths[k] = found[k];
        sum = tn_dim_add(ctx, sum, found[k]);
        if (!tn_dim_known(found[k]) || found[k] >= 0)
            continue;
        host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                       "split[%lld] is %lld: expected a length of at least 0", (long long)k,
                       (long long)found[k]);
        return 0;
    }
    if (count >= 0 && tn_dim_known(sum) && tn_dim_known(extent) && sum != extent) {
        host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                       "the lengths of input 'split' add up to %lld: expected %lld, the extent "
                       "of input 'input' along the axis",
                       (long long)sum, (long long)extent);
        return 0;
    }
    return 1;
}

static int equal_lengths(tn_infer *ctx, tn_dim extent, tn_dim *lengths)
{
    const int64_t parts = tn_attr_int(ctx->node, "num_outputs", ctx->output_count);
    const tn_host *host = ctx->call.host;
    if (parts != ctx->output_count) {
        host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "num_outputs",
                       "num_outputs is %lld: expected %u, the number of outputs", (long long)parts,
                       (unsigned)ctx->output_count);
        return 0;
    }
    const tn_dim each = tn_dim_ceildiv(ctx, extent, parts);
    for (int64_t k = 0; k < parts && k < MOVE_ELEMENTS; k++)
        lengths[k] = k + 1 < parts ? each
                                   : tn_dim_sub(ctx, extent, tn_dim_mul(ctx, each, parts - 1));
    if (tn_dim_known(extent) && tn_dim_known(each) && extent < each * (parts - 1)) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                       "input 'input' has extent %lld along the axis, too short for %lld parts "
                       "of %lld before the last",
                       (long long)extent, (long long)parts - 1, (long long)each);
        return 0;
    }
    return 1;
}

/* Parts of a small integer vector. */
static tn_status split_elements(tn_infer *ctx, const tn_dim *lengths)
{
    tn_dim all[MOVE_ELEMENTS];
    const int64_t count = move_elements(ctx, 0, all);
    int64_t at = 0;
    for (uint32_t k = 0; count >= 0 && k < ctx->output_count; k++) {
        if (!tn_dim_known(lengths[k]) || lengths[k] > count - at)
            return TN_OK;
        TN_TRY(ctx->call.host->output_elements(&ctx->call, k, all + at, lengths[k]));
        at += lengths[k];
    }
    return TN_OK;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    tn_dim lengths[MOVE_ELEMENTS];
    if (!input || input->rank < 0)
        return TN_OK;
    const int32_t axis = move_axis(ctx, tn_attr_int(ctx->node, "axis", 0), input->rank, "input");
    if (axis < 0)
        return TN_OK;
    for (int32_t k = 0; k < MOVE_ELEMENTS; k++)
        lengths[k] = TN_DIM_UNKNOWN;
    if (!(move_present(ctx, 1) ? given_lengths : equal_lengths)(ctx, input->dims[axis], lengths))
        return TN_OK;
    for (uint32_t k = 0; k < ctx->output_count; k++) {
        TN_TRY(tn_infer_same(ctx, k, 0));
        ctx->outputs[k].dims[axis] = k < MOVE_ELEMENTS ? lengths[k] : TN_DIM_UNKNOWN;
    }
    return input->rank == 1 && (TN_BIT(input->dtype) & TN_MASK_INTEGER) &&
                   ctx->output_count <= MOVE_ELEMENTS
               ? split_elements(ctx, lengths)
               : TN_OK;
}

static int32_t identity(const tn_identity *query)
{
    return query->node->output_count == 1 && move_same_shape(query->inputs[0], query->outputs[0])
               ? 0
               : -1;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const int32_t rank = ctx->inputs[0] ? ctx->inputs[0]->rank : -1;
    if (rank < 1 || tn_axis(tn_attr_int(ctx->node, "axis", 0), rank) < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == 0 ? 0 : -1;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* Outputs that nobody reads have a length, too. */
static tn_status pieces(const tn_identity *query, tn_pieces *out)
{
    const tn_type *input = query->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(query->node, "axis", 0), input->rank);
    const int has_lengths = query->node->input_count > 1 && query->inputs[1];
    const tn_tensor *lengths = has_lengths ? query->constants[1] : NULL;
    const int64_t parts = query->node->output_count;
    int64_t at = 0;
    if (axis < 0 || (has_lengths && (!lengths || tn_count(lengths) != parts)))
        return TN_NO_MATCH;
    const int64_t each = (input->dims[axis] + parts - 1) / parts;
    for (int64_t k = 0; k < parts; k++) {
        const int64_t length = lengths ? ((const int64_t *)lengths->data)[k] : each;
        if (length < 0 || at > input->dims[axis])
            return TN_NO_MATCH;
        out->begins[k] = at;
        at += length;
    }
    out->axis = axis;
    out->cuts = 1;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Outputs that nobody reads are absent, so lengths are computed, not looked up. */
static int64_t length_of(const tn_run *ctx, uint32_t k, int64_t extent)
{
    if (ctx->input_count > 1 && ctx->inputs[1])
        return ((const int64_t *)ctx->inputs[1]->data)[k];
    const int64_t parts = ctx->node->output_count, each = (extent + parts - 1) / parts;
    return k + 1 < parts ? each : extent - each * (parts - 1);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), in->rank);
    const int64_t extent = in->dims[axis], inner = tn_extent(in->dims, axis + 1, in->rank);
    int64_t at = 0;
    (void)state, (void)slot;
    for (uint32_t k = 0; k < ctx->output_count; k++) {
        const int64_t length = length_of(ctx, k, extent);
        tn_tensor *out = ctx->outputs[k];
        move_box box = { .rank = 2, .width = tn_dtype_bits(in->dtype) / 8 };
        if (length < 0 || length > extent - at || (out && out->dims[axis] != length))
            return tn_fail(ctx, TN_ERR_VALUE,
                           "part %u of %lld elements does not fit an extent of %lld", (unsigned)k,
                           (long long)length, (long long)extent);
        if (out && tn_count(out) > 0) {
            box.from = (const char *)in->data + (size_t)(at * inner) * box.width;
            box.to = out->data;
            box.dims[0] = tn_extent(in->dims, 0, axis);
            box.dims[1] = box.to_strides[0] = length * inner;
            box.from_strides[0] = extent * inner;
            box.from_strides[1] = box.to_strides[1] = 1;
            TN_TRY(move_run(&ctx->call, &box));
        }
        at += length;
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "The tensor to cut." },
    { "split", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "The length of each part." },
};
static const tn_param_def outputs[] = {
    { "outputs", "T", MOVE_TYPES, TN_PARAM_VARIADIC, 1, "The parts, in order." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "Where to cut; negative counts from the end." },
    { .name = "num_outputs",
      .type = TN_ATTR_INT,
      .doc = "Number of equal parts when there is no input 'split'." },
};

/* ---- before set 18 ------------------------------------------------------------------------- */

/* Before 13 the lengths were an attribute; the very first version had them as an input, too. */
static const tn_param_def inputs_1[] = {
    { "input", "T", MOVE_TYPES, 0, 0, "The tensor to cut." },
    { "split", NULL, MOVE_TYPES, TN_PARAM_OPTIONAL, 0, "The length of each part." },
};
static const tn_attribute_def old_attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "Where to cut." },
    { .name = "split", .type = TN_ATTR_INTS, .doc = "The length of each part." },
};

static tn_status upgrade_13(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id lengths = tn_edit_input(&e, 1);
    tn_edit_ints_to_input(&e, "split", 1);
    if (lengths != TN_NONE && tn_edit_input(&e, 1) == lengths) /* of the data's type, in set 1 */
        tn_edit_set_input(&e, 1, tn_put_with(&e, "Cast", lengths, TN_NONE, "to", TN_INT64));
    return e.status;
}

/* Equal parts: as many as there are outputs. */
static tn_status upgrade_18(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    if (tn_edit_input(&e, 1) == TN_NONE)
        tn_edit_set_int(&e, "num_outputs", tn_edit_view(&e)->output_count);
    return e.status;
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 13, 13);
    old.attribute_count = 1; /* axis */
    old.upgrade = upgrade_13;
    TN_TRY(registrar->add_operator(registrar, &old));
    old.since = 11;
    old.accepts_from = 1;
    old.inputs = inputs_1;
    old.attributes = old_attributes;
    old.attribute_count = 2;
    old.upgrade = NULL;
    return registrar->add_operator(registrar, &old);
}

tn_status split_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 18,
        .accepts_from = 18,
        .name = "Split",
        .doc = "Cuts a tensor along one axis, by given lengths or into equal parts.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .identity = identity,
        .cost = move_cost,
        .samplewise = samplewise,
        .pieces = pieces,
        .upgrade = upgrade_18,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Split",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
