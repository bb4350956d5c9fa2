/* concat.c: Concat and Split along channels (ONNX: Concat, Split), channels last: pieces of each
 * point's row.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

typedef struct concat_job {
    tn_run *ctx;
    bool split;
} concat_job;

static int64_t channels_of(const tn_tensor *tensor)
{
    return tensor->dims[1];
}

static tn_status concat_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const int32_t rank = p->inputs[0]->rank;
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "it moves only: no epilogue");
    if (rank >= 0 && (rank < 3 || tn_axis(tn_attr_int(p->node, "axis", 0), rank) != 1))
        return tn_fail(ctx, TN_DECLINED, "not along channels");
    for (uint32_t k = 0; k < p->output_count; k++)
        if (!p->outputs[k])
            return tn_fail(ctx, TN_DECLINED, "an output that nobody wants");
    ctx->algorithm = "pieces of rows";
    return status;
}

static tn_status concat_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const bool split = strcmp(p->node->op, "Split") == 0;
    tn_alternative *a = &ctx->alternatives[0];
    (void)state;
    for (uint32_t k = 0; k < (split ? 1 : p->own_count); k++)
        a->input_layouts[k] = TN_LAYOUT_CHANNELS_LAST;
    for (uint32_t k = 0; k < p->output_count; k++)
        a->output_layouts[k] = TN_LAYOUT_CHANNELS_LAST;
    a->algorithm = "pieces of rows";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                8.0 * (double)native_count(split ? p->inputs[0] : p->outputs[0]),
                                p->threads);
    return TN_OK;
}

static tn_status concat_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const concat_job *job = user;
    tn_run *ctx = job->ctx;
    const tn_tensor *whole = job->split ? ctx->inputs[0] : ctx->outputs[0];
    const uint32_t count = job->split ? ctx->output_count : ctx->input_count;
    const int64_t row = channels_of(whole);
    int64_t at = 0;
    (void)thread;
    for (uint32_t k = 0; k < count; k++) {
        const tn_tensor *part = job->split ? ctx->outputs[k] : ctx->inputs[k];
        const int64_t some = channels_of(part);
        char *a = (char *)whole->data + (begin * row + at) * 4;
        char *b = (char *)part->data + begin * some * 4;
        for (int64_t point = begin; point < end; point++, a += row * 4, b += some * 4)
            memcpy(job->split ? b : a, job->split ? a : b, (size_t)some * 4);
        at += some;
    }
    return TN_OK;
}

static tn_status concat_run(tn_run *ctx, const void *state, void *slot)
{
    concat_job job = { ctx, strcmp(ctx->node->op, "Split") == 0 };
    const tn_tensor *whole = job.split ? ctx->inputs[0] : ctx->outputs[0];
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(whole) / channels_of(whole),
                                        1 + 16384 / channels_of(whole), concat_chunk, &job);
}

const tn_kernel_def native_concat_kernels[] = {
    NATIVE_KERNEL("Concat", .offer = concat_offer, .measure = concat_measure, .run = concat_run),
    NATIVE_KERNEL("Split", .since = 13, .offer = concat_offer, .measure = concat_measure,
                  .run = concat_run),
    { .op = NULL },
};
