/* concat.c: Concat and Split (ONNX), plain or channels last: pieces of rows, a row being all that
 * lies within one index of the axes before.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

typedef struct concat_state {
    uint32_t layout;
} concat_state;

typedef struct concat_job {
    tn_run *ctx;
    bool split;
    int32_t axis;
    int64_t row, extent; /* elements of a row of the whole, and how far the axis goes */
} concat_job;

static int32_t axis_of(const tn_node_view *node, int32_t rank)
{
    return tn_axis(tn_attr_int(node, "axis", 0), rank);
}

static tn_status concat_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "it moves only: no epilogue");
    if (p->inputs[0]->rank == 0)
        return tn_fail(ctx, TN_DECLINED, "no axis to go along");
    ctx->algorithm = "pieces of rows";
    return status;
}

/* Along the innermost axis, where pieces of rows are pieces of what strided views call rows. */
static bool takes_strides(const tn_problem *p, uint32_t layout)
{
    int32_t axes[TN_MAX_RANK];
    const int32_t rank = p->inputs[0]->rank;
    native_axes_of(rank, layout, axes);
    return axes[rank - 1] == axis_of(p->node, rank);
}

static tn_status concat_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const bool split = strcmp(p->node->op, "Split") == 0;
    (void)state;
    ctx->alternative_count = p->inputs[0]->rank < 3 ? 1 : 2;
    for (uint32_t alternative = 0; alternative < ctx->alternative_count; alternative++) {
        tn_alternative *a = &ctx->alternatives[alternative];
        const uint32_t layout = alternative ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN;
        const uint32_t strided = takes_strides(p, layout) ? TN_LAYOUT_STRIDED : 0;
        for (uint32_t k = 0; k < (split ? 1 : p->own_count); k++)
            a->input_layouts[k] = layout | strided;
        for (uint32_t k = 0; k < p->output_count; k++)
            a->output_layouts[k] = layout | strided;
        a->algorithm = "pieces of rows";
        a->seconds = native_seconds(
            native_isa_of(ctx->instance), 0,
            8.0 * (double)native_count(split ? p->inputs[0] : p->outputs[0]), p->threads);
    }
    return TN_OK;
}

static tn_status concat_prepare(tn_prepare *ctx, void *state)
{
    concat_state *s = state;
    s->layout = ctx->chosen_index ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN;
    return TN_OK;
}

/* How far part k goes along the axis; nobody may want that output. */
static int64_t extent_of(const concat_job *job, uint32_t k)
{
    const tn_run *ctx = job->ctx;
    const tn_tensor *part = job->split ? ctx->outputs[k] : ctx->inputs[k];
    if (part)
        return part->dims[job->axis];
    if (ctx->input_count > 1 && ctx->inputs[1])
        return tn_get_int(ctx->inputs[1]->dtype, ctx->inputs[1]->data, k);
    return native_ceil(job->extent, tn_attr_int(ctx->node, "num_outputs", ctx->output_count));
}

static tn_status concat_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const concat_job *job = user;
    tn_run *ctx = job->ctx;
    const tn_tensor *whole = job->split ? ctx->inputs[0] : ctx->outputs[0];
    const uint32_t count = job->split ? ctx->output_count : ctx->input_count;
    int64_t at = 0;
    (void)thread;
    for (uint32_t k = 0; k < count; k++) {
        const tn_tensor *part = job->split ? ctx->outputs[k] : ctx->inputs[k];
        const int64_t some = extent_of(job, k) * (job->row / job->extent);
        const int64_t a_step = whole->strides ? tn_row_step(whole) : job->row;
        const int64_t b_step = part && part->strides ? tn_row_step(part) : some;
        char *a = (char *)whole->data + (begin * a_step + at) * 4;
        char *b = part ? (char *)part->data + begin * b_step * 4 : NULL;
        for (int64_t row = begin; part && row < end; row++, a += a_step * 4, b += b_step * 4)
            memcpy(job->split ? b : a, job->split ? a : b, (size_t)some * 4);
        at += some;
    }
    return TN_OK;
}

static tn_status concat_run(tn_run *ctx, const void *state, void *slot)
{
    const concat_state *s = state;
    concat_job job = { .ctx = ctx, .split = strcmp(ctx->node->op, "Split") == 0 };
    const tn_tensor *whole = job.split ? ctx->inputs[0] : ctx->outputs[0];
    int64_t strides[TN_MAX_RANK];
    (void)slot;
    job.axis = axis_of(ctx->node, whole->rank);
    job.extent = whole->dims[job.axis];
    native_strides_of(whole->rank, whole->dims, s->layout, strides);
    job.row = strides[job.axis] * job.extent;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(whole) / job.row, 1 + 16384 / job.row,
                                        concat_chunk, &job);
}

#define CONCAT(op, ...)                                                                            \
    NATIVE_KERNEL(op, .state_bytes = sizeof(concat_state), .offer = concat_offer,                  \
                  .measure = concat_measure, .prepare = concat_prepare, .run = concat_run,         \
                  __VA_ARGS__)

const tn_kernel_def native_concat_kernels[] = {
    CONCAT("Concat", .since = 4),
    CONCAT("Split", .since = 13),
    { .op = NULL },
};
