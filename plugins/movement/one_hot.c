/* plugins/movement/one_hot.c: indices as vectors that are "on" in one place.
 *
 * ONNX: OneHot. A new axis of extent depth; on where its place is the index, off elsewhere; an index
 * outside is off everywhere. From set 11 on, an index in [-depth, 0) counts from the end; in set 9
 * it is outside, so that version stays an operator of its own. What is no integer is truncated.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

#include "tenon/blocks.h"

/* ---- inference -------------------------------------------------------------------------- */

/* The depth as an extent; a negative one is complained about. */
static tn_dim depth_of(tn_infer *ctx)
{
    const tn_tensor *value = move_present(ctx, 1) ? ctx->call.host->input_value(&ctx->call, 1)
                                                  : NULL;
    tn_dim elements[MOVE_ELEMENTS], depth = TN_DIM_UNKNOWN;
    if (value && tn_dtype_is_float(value->dtype))
        depth = tn_count(value) == 1 ? truncated(tn_get_double(value->dtype, value->data, 0))
                                     : TN_DIM_UNKNOWN;
    else if (move_elements(ctx, 1, elements) == 1)
        depth = elements[0];
    if (!tn_dim_known(depth) || depth >= 0)
        return depth;
    ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                             "depth is %lld: expected at least 0", (long long)depth);
    return TN_DIM_UNKNOWN;
}

static void check_operands(tn_infer *ctx)
{
    const tn_type *depth = move_input(ctx, 1), *values = move_input(ctx, 2);
    if (depth && (depth->rank > 1 ||
                  (depth->rank == 1 && tn_dim_known(depth->dims[0]) && depth->dims[0] != 1)))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'depth' has rank %d: expected one element",
                                 (int)depth->rank);
    if (move_check_rank(ctx, 2, "values", 1, 1) && values && values->rank == 1 &&
        tn_dim_known(values->dims[0]) && values->dims[0] != 2)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'values' has %lld elements: expected 2, off and on",
                                 (long long)values->dims[0]);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *indices = ctx->inputs[0];
    tn_type *out = &ctx->outputs[0];
    check_operands(ctx);
    if (!indices || indices->rank < 0 || !move_check_rank(ctx, 0, "indices", 0, TN_MAX_RANK - 1))
        return TN_OK;
    const int64_t given = tn_attr_int(ctx->node, "axis", -1);
    const int32_t axis = tn_axis(given, indices->rank + 1);
    if (axis < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of an output of rank %d",
                                 (long long)given, -(int)indices->rank - 1, (int)indices->rank + 1,
                                 (int)indices->rank + 1);
        return TN_OK;
    }
    out->rank = indices->rank + 1;
    for (int32_t k = 0; k < out->rank; k++)
        out->dims[k] = k == axis ? depth_of(ctx) : indices->dims[k - (k > axis)];
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *indices = ctx->inputs[0];
    if (!indices || indices->rank < 1)
        return TN_NO_MATCH;
    TN_TRY(move_samples(ctx, input_axes, output_axes));
    output_axes[0] = tn_axis(tn_attr_int(ctx->node, "axis", -1), indices->rank + 1) == 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct hot_job {
    const tn_tensor *indices;
    const char *values; /* off, on */
    char *out;
    size_t width;
    int64_t depth, inner;
    int wraps;
} hot_job;

/* The place of index i; -1: outside. */
static int64_t place_of(const hot_job *job, int64_t i)
{
    const uint32_t dtype = job->indices->dtype;
    const int64_t index = tn_dtype_is_float(dtype)
                              ? truncated(tn_get_double(dtype, job->indices->data, i))
                              : tn_get_int(dtype, job->indices->data, i);
    if (index < 0 && (!job->wraps || dtype == TN_UINT64))
        return -1;
    return move_wrap(index, job->depth);
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const hot_job *job = user;
    (void)thread;
    for (int64_t outer = begin; outer < end; outer++) {
        char *to = job->out + (size_t)(outer * job->depth * job->inner) * job->width;
        move_fill(to, job->width, job->depth * job->inner, job->values);
        for (int64_t column = 0; column < job->inner; column++) {
            const int64_t at = place_of(job, outer * job->inner + column);
            if (at >= 0)
                memcpy(to + (size_t)(at * job->inner + column) * job->width,
                       job->values + job->width, job->width);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *out = ctx->outputs[0], *indices = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), out->rank);
    hot_job job = { .indices = indices,
                    .values = ctx->inputs[2]->data,
                    .out = out->data,
                    .width = tn_dtype_bits(out->dtype) / 8,
                    .depth = out->dims[axis],
                    .inner = tn_extent(indices->dims, axis, indices->rank),
                    .wraps = ctx->node->version >= 11 };
    (void)state, (void)slot;
    if (tn_count(ctx->inputs[2]) != 2)
        return tn_fail(ctx, TN_ERR_SHAPE,
                       "input 'values' has %lld elements: expected 2, off and on",
                       (long long)tn_count(ctx->inputs[2]));
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(indices->dims, 0, axis),
                                        1 + 16384 / (job.depth * job.inner), chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define HOT_NUMBERS (TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "indices", "T1", HOT_NUMBERS, 0, 0, "Places along the new axis." },
    { "depth", "T2", HOT_NUMBERS, 0, 0, "The new axis's extent, one element." },
    { "values", "T3", MOVE_OLD_TYPES, 0, 0, "Two elements: off, on." },
};
static const tn_param_def outputs[] = {
    { "output", "T3", MOVE_OLD_TYPES, 0, 0, "off and on, one axis more than the indices." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "Where the output has the new axis; negative counts from its end." },
};

static tn_status keep_9(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP,
                   "in set 9 a negative index is off everywhere, later on it counts "
                   "from the end");
}

tn_status one_hot_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 9,
        .name = "OneHot",
        .doc = "Indices as vectors that are on in one place and off elsewhere.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "OneHot", .since = 9, .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    op.since = 11;
    op.upgrade = keep_9;
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
