/* plugins/selection/compress.c: keeps the slices along an axis for which a condition holds.
 *
 * ONNX: Compress. Without axis the input is flattened first. A condition that is shorter than the
 * axis leaves out the rest; a longer one may hold only within it.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

static tn_status infer(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0], *condition = ctx->inputs[1];
    const tn_attribute *given = tn_attr(ctx->node, "axis");
    tn_type *out = &ctx->outputs[0];
    out->flags = TN_TYPE_LATE;
    if (condition && condition->rank >= 0 && condition->rank != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'condition' has rank %d: expected 1", (int)condition->rank);
    if (in && in->rank == 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'input' has rank 0: expected at least 1");
    else if (!given) {
        out->rank = 1;
        out->dims[0] = TN_DIM_UNKNOWN;
    } else if (in && in->rank > 0) {
        const int32_t axis = select_axis(ctx, given->i, in->rank, "input");
        TN_TRY(tn_infer_same(ctx, 0, 0));
        out->flags = TN_TYPE_LATE;
        if (axis >= 0)
            out->dims[axis] = TN_DIM_UNKNOWN;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0], *condition = ctx->inputs[1];
    const tn_attribute *given = tn_attr(ctx->node, "axis");
    const uint8_t *holds = condition->data;
    const int32_t axis = given ? tn_axis(given->i, in->rank) : 0;
    const int64_t extent = given ? in->dims[axis] : tn_count(in);
    const int64_t inner = given ? tn_extent(in->dims, axis + 1, in->rank) : 1;
    const int64_t outer = given ? tn_extent(in->dims, 0, axis) : 1;
    const size_t slice = (size_t)inner * (tn_dtype_bits(in->dtype) / 8);
    int64_t dims[TN_MAX_RANK] = { 0 }, kept = 0;
    (void)state, (void)slot;
    for (int64_t i = 0; i < tn_count(condition); i++) {
        if (holds[i] && i >= extent)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "condition[%lld] holds: expected none at or behind %lld, the extent "
                           "that it selects from",
                           (long long)i, (long long)extent);
        kept += holds[i] != 0;
    }
    for (int32_t k = 0; given && k < in->rank; k++)
        dims[k] = in->dims[k];
    dims[axis] = kept;
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, given ? in->rank : 1, dims));
    char *to = ctx->outputs[0]->data;
    for (int64_t o = 0; slice && kept && o < outer; o++) {
        for (int64_t i = 0; i < extent && i < tn_count(condition); i++) {
            if (!holds[i])
                continue;
            memcpy(to, (const char *)in->data + (size_t)(o * extent + i) * slice, slice);
            to += slice;
        }
    }
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "input", "T", SELECT_OLD_TYPES, 0, 0, "Where to select; of rank 1 at least." },
    { "condition", "T1", TN_BIT(TN_BOOL), 0, 0, "For each slice whether it is kept." },
};
static const tn_param_def outputs[] = { { "output", "T", SELECT_OLD_TYPES, 0, 0, "The kept." } };
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .doc = "The axis of the slices; negative counts from the end. Absent: all flattened." },
};

tn_status compress_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 11,
        .accepts_from = 9,
        .name = "Compress",
        .doc = "Keeps the slices along an axis for which a condition holds.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .cost = select_cost,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "Compress", .run = run, .flags = TN_KERNEL_EMPTY
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
