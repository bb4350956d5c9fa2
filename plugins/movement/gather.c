/* plugins/movement/gather.c: picks slices by index.
 *
 * ONNX: Gather. output[i…, j…, k…] = data[i…, indices[j…], k…], j… standing where the axis was.
 * Negative indices count from the end.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1];
    tn_type *out = &ctx->outputs[0];
    if (!data || !indices || data->rank < 0)
        return TN_OK;
    if (data->rank == 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'data' has rank 0: expected an axis to gather along");
        return TN_OK;
    }
    const int32_t axis = move_axis(ctx, tn_attr_int(ctx->node, "axis", 0), data->rank, "data");
    if (axis < 0 || !move_check_indices(ctx, data->dims[axis], axis) || indices->rank < 0)
        return TN_OK;
    if (data->rank - 1 + indices->rank > TN_MAX_RANK) {
        ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, 1, NULL,
                                 "the output would have rank %d: expected at most %d",
                                 (int)(data->rank - 1 + indices->rank), TN_MAX_RANK);
        return TN_OK;
    }
    out->rank = data->rank - 1 + indices->rank;
    for (int32_t a = 0; a < axis; a++)
        out->dims[a] = data->dims[a];
    for (int32_t a = 0; a < indices->rank; a++)
        out->dims[axis + a] = indices->dims[a];
    for (int32_t a = axis + 1; a < data->rank; a++)
        out->dims[a - 1 + indices->rank] = data->dims[a];
    return data->rank == 1 && (TN_BIT(out->dtype) & TN_MASK_INTEGER) ? move_gather_vector(ctx)
                                                                     : TN_OK;
}

/* Along axis 0 the samples are those of the indices (an embedding), else those of the data. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1];
    if (!data || !indices || data->rank < 1)
        return TN_NO_MATCH;
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), data->rank);
    if (axis < 0 || (axis == 0 && indices->rank < 1))
        return TN_NO_MATCH;
    input_axes[0] = axis == 0 ? -1 : 0;
    input_axes[1] = axis == 0 ? 0 : -1;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct gather_job {
    tn_run *ctx;
    const char *data;
    const tn_tensor *indices;
    char *out;
    size_t width; /* bytes of a slice behind the axis */
    int64_t extent, count;
} gather_job;

#define PICK(bytes)                                                                                \
    case bytes: memcpy(to, from, bytes); break
static void pick(char *to, const char *from, size_t width)
{
    switch (width) { /* single elements: a known size is a move, not a call */
        PICK(1);
        PICK(2);
        PICK(4);
        PICK(8);
        PICK(16);
    default: memcpy(to, from, width);
    }
}

/* Pieces are (slice before the axis, index) pairs, in the output's order. */
static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gather_job *job = user;
    (void)thread;
    int64_t outer = begin / job->count, i = begin % job->count;
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t index = tn_get_int(job->indices->dtype, job->indices->data, i);
        const int64_t at = index < 0 ? index + job->extent : index;
        if (at < 0 || at >= job->extent)
            return tn_fail(job->ctx, TN_ERR_VALUE, "indices[%lld] is %lld, outside [%lld, %lld)",
                           (long long)i, (long long)index, (long long)-job->extent,
                           (long long)job->extent);
        pick(job->out + (size_t)piece * job->width,
             job->data + (size_t)(outer * job->extent + at) * job->width, job->width);
        if (++i == job->count)
            i = 0, outer++;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *data = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), data->rank);
    const int64_t inner = tn_extent(data->dims, axis + 1, data->rank);
    gather_job job = { .ctx = ctx,
                       .data = data->data,
                       .indices = ctx->inputs[1],
                       .out = ctx->outputs[0]->data,
                       .extent = data->dims[axis],
                       .count = tn_count(ctx->inputs[1]),
                       .width = (size_t)inner * (tn_dtype_bits(data->dtype) / 8) };
    const int64_t outer = tn_extent(data->dims, 0, axis);
    (void)state, (void)slot;
    if (tn_count(ctx->outputs[0]) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, outer * job.count,
                                        1 + 32768 / (int64_t)(job.width + 8), chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "Where to pick from; of rank 1 at least." },
    { "indices", "Tind", MOVE_INDEX, 0, 0, "Indices along the axis; negative from the end." },
};
static const tn_param_def outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "The slices, at the place of their indices." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "The axis to pick along; negative counts from the end." },
};

tn_status gather_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 1,
        .name = "Gather",
        .doc = "Picks slices along an axis by index.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Gather",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
