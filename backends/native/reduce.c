/* reduce.c: ReduceSum, ReduceMean, ReduceMax (ONNX) over axes that lie together: the last ones in
 * plain tensors, the spatial ones or the channels in channels-last tensors.
 *
 * Seen as [outer][count][inner]: with inner 1 a run is folded, else rows are.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

enum { WIDTH = 256, MOST_ROWS = 64 }; /* columns of a piece, rows that are folded at a time */

typedef struct reduce_state {
    native_epilogue epilogue;
    int64_t outer, count, inner;
    uint32_t maximum, layouts[2]; /* of the input, by alternative */
    float scale;
} reduce_state;

/* Axes as bits; 0: none, or not known. */
static uint32_t axes_of(const tn_problem *p)
{
    const bool given = p->own_count > 1 && p->inputs[1];
    const int32_t rank = p->inputs[0]->rank;
    uint32_t axes = 0;
    if (given && !p->constants[1])
        return 0;
    for (int64_t k = 0; given && k < tn_count(p->constants[1]); k++)
        axes |= 1u << tn_axis(tn_get_int(p->constants[1]->dtype, p->constants[1]->data, k), rank);
    if (axes == 0 && !tn_attr_int(p->node, "noop_with_empty_axes", 0))
        axes = (1u << rank) - 1;
    return axes;
}

/* Answers false when the axes do not lie together in this layout. */
static bool cut(const tn_problem *p, uint32_t axes, uint32_t layout, reduce_state *s)
{
    const tn_type *x = p->inputs[0];
    int32_t order[TN_MAX_RANK];
    int stage = 0; /* before, in, behind the axes */
    s->outer = s->count = s->inner = 1;
    native_axes_of(x->rank, layout, order);
    for (int32_t k = 0; k < x->rank; k++) {
        const int64_t extent = x->dims[order[k]];
        const bool reduced = axes >> order[k] & 1;
        if (extent == 1)
            continue;
        stage = stage == 0 && reduced ? 1 : stage == 1 && !reduced ? 2 : stage;
        if (stage == 2 && reduced)
            return false;
        *(stage == 0 ? &s->outer : stage == 1 ? &s->count : &s->inner) *= extent;
    }
    return true;
}

/* In which layouts the input may come; channels last: so that the output is either that or has the
 * elements in the same order. */
static uint32_t layouts_of(const tn_problem *p, reduce_state *s)
{
    const uint32_t axes = axes_of(p);
    const int32_t rank = p->inputs[0]->rank;
    const uint32_t spatial = rank < 3 ? 0 : ((1u << rank) - 1) & ~3u;
    const bool keep = tn_attr_int(p->node, "keepdims", 1) != 0;
    uint32_t count = 0;
    if (axes && cut(p, axes, TN_LAYOUT_PLAIN, s))
        s->layouts[count++] = TN_LAYOUT_PLAIN;
    if (spatial && axes && (keep || axes == spatial || axes == 2) &&
        cut(p, axes, TN_LAYOUT_CHANNELS_LAST, s))
        s->layouts[count++] = TN_LAYOUT_CHANNELS_LAST;
    return count;
}

static tn_status read_steps(const tn_problem *p, reduce_state *s, char *reason, size_t bytes)
{
    TN_TRY(native_epilogue_read(p, -1, &s->epilogue, reason, bytes));
    for (uint32_t k = 0; k < s->epilogue.count; k++)
        if (s->epilogue.steps[k].spread == NATIVE_COLUMN) {
            snprintf(reason, bytes, "an operand that repeats");
            return TN_DECLINED;
        }
    return TN_OK;
}

static tn_status reduce_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    reduce_state unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "runs";
    if (read_steps(p, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (p->own_count > 1 && p->inputs[1] && !p->constants[1])
        return tn_fail(ctx, TN_DECLINED, "axes that are computed");
    if (status == TN_OK && layouts_of(p, &unused) == 0)
        return tn_fail(ctx, TN_DECLINED, "axes that do not lie together");
    return status;
}

static tn_status reduce_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const bool keep = tn_attr_int(p->node, "keepdims", 1) != 0;
    reduce_state *s = state;
    char reason[192] = "axes that do not lie together";
    ctx->alternative_count = layouts_of(p, s);
    if (!ctx->alternative_count || read_steps(p, s, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->maximum = strcmp(p->node->op, "ReduceMax") == 0;
    for (uint32_t k = 0; k < ctx->alternative_count; k++) {
        tn_alternative *a = &ctx->alternatives[k];
        a->input_layouts[0] = s->layouts[k];
        a->output_layouts[0] = keep ? s->layouts[k] : TN_LAYOUT_PLAIN;
        native_epilogue_layouts(&s->epilogue, a, a->output_layouts[0], false);
        a->algorithm = "runs";
        a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                    4.0 * (double)native_count(p->inputs[0]), p->threads);
    }
    return TN_OK;
}

static tn_status reduce_prepare(tn_prepare *ctx, void *state)
{
    reduce_state *s = state;
    cut(ctx->problem, axes_of(ctx->problem), s->layouts[ctx->chosen_index], s);
    s->scale = strcmp(ctx->problem->node->op, "ReduceMean") == 0 ? 1.0f / (float)s->count : 1.0f;
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct reduce_job {
    const reduce_state *s;
    tn_run *ctx;
    const native_isa *isa;
    int64_t pieces; /* of a row of inner elements */
} reduce_job;

/* count rows of `width` elements, `step` apart. */
static void fold_rows(const reduce_job *job, const float *x, int64_t width, int64_t step, float *y)
{
    const reduce_state *s = job->s;
    const float *rows[MOST_ROWS + 1];
    int64_t held = 0;
    for (int64_t k = 0; k < s->count; k++) {
        rows[held++] = x + k * step;
        if (held <= MOST_ROWS && k + 1 < s->count)
            continue;
        job->isa->pool(s->maximum, rows, held, width, k + 1 < s->count ? 1.0f : s->scale, y);
        rows[0] = y; /* what there is so far is one row of the next call */
        held = 1;
    }
}

static tn_status reduce_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const reduce_job *job = user;
    const reduce_state *s = job->s;
    const float *x = job->ctx->inputs[0]->data;
    float *y = job->ctx->outputs[0]->data;
    (void)thread;
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t outer = piece / job->pieces, column = piece % job->pieces * WIDTH;
        const int64_t width = s->inner - column < WIDTH ? s->inner - column : WIDTH;
        const int64_t first = outer * s->inner + column;
        if (s->inner == 1)
            y[first] = job->isa->reduce(s->maximum, x + outer * s->count, s->count) * s->scale;
        else
            fold_rows(job, x + outer * s->count * s->inner + column, width, s->inner, y + first);
        if (s->epilogue.count && s->inner > 1)
            native_finish(job->isa, &s->epilogue, job->ctx->inputs, y + first, width, 0, 1, first,
                          width);
    }
    if (s->epilogue.count && s->inner == 1)
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, y + begin, end - begin, 0, 1, begin,
                      end - begin);
    return TN_OK;
}

static tn_status reduce_run(tn_run *ctx, const void *state, void *slot)
{
    const reduce_state *s = state;
    reduce_job job = { s, ctx, native_isa_of(ctx->instance), native_ceil(s->inner, WIDTH) };
    const int64_t width = s->inner < WIDTH ? s->inner : WIDTH;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->outer * job.pieces,
                                        1 + 16384 / (s->count * width), reduce_chunk, &job);
}

#define REDUCE(op)                                                                                 \
    NATIVE_KERNEL(op, .since = 13, .state_bytes = sizeof(reduce_state), .offer = reduce_offer,     \
                  .measure = reduce_measure, .prepare = reduce_prepare, .run = reduce_run)

const tn_kernel_def native_reduce_kernels[] = {
    REDUCE("ReduceSum"),
    REDUCE("ReduceMean"),
    REDUCE("ReduceMax"),
    { .op = NULL },
};
