/* columns.c: what goes along an axis that is not the innermost one, or over whole planes: Softmax
 * on any axis, InstanceNormalization, GroupNormalization (ONNX), plain or channels last.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

enum { WIDTH = 512, MOST_ROWS = 64 }; /* columns of a piece; rows that are summed at a time */

static tn_status read_steps(const tn_problem *p, native_epilogue *out, char *reason, size_t bytes)
{
    TN_TRY(native_epilogue_read(p, -1, out, reason, bytes));
    for (uint32_t k = 0; k < out->count; k++)
        if (out->steps[k].spread == NATIVE_COLUMN) {
            snprintf(reason, bytes, "an operand that repeats");
            return TN_DECLINED;
        }
    return TN_OK;
}

static tn_status offer(tn_offer *ctx, const char *algorithm)
{
    native_epilogue unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = algorithm;
    if (read_steps(ctx->problem, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static void describe(tn_measure *ctx, const native_epilogue *e, uint32_t k, uint32_t layout,
                     const char *algorithm)
{
    tn_alternative *a = &ctx->alternatives[k];
    const double count = (double)native_count(ctx->problem->outputs[0]);
    a->input_layouts[0] = a->output_layouts[0] = layout;
    native_epilogue_layouts(e, a, layout, false);
    a->algorithm = algorithm;
    a->seconds = native_seconds(native_isa_of(ctx->instance), 8.0 * count, 12.0 * count,
                                ctx->problem->threads);
}

/* ---- Softmax ---------------------------------------------------------------------------- */

/* Seen as [outer][count][inner]. */
typedef struct softmax_state {
    native_epilogue epilogue;
    int64_t outer, count, inner;
} softmax_state;

typedef struct softmax_job {
    const softmax_state *s;
    tn_run *ctx;
    const native_isa *isa;
    int64_t pieces;
} softmax_job;

static int32_t softmax_axis(const tn_problem *p)
{
    return tn_axis(tn_attr_int(p->node, "axis", -1), p->outputs[0]->rank);
}

static tn_status softmax_offer(tn_offer *ctx)
{
    if (ctx->problem->outputs[0]->rank == 0)
        return tn_fail(ctx, TN_DECLINED, "no axis to go along");
    return offer(ctx, "columns");
}

static tn_status softmax_measure(tn_measure *ctx, void *state)
{
    softmax_state *s = state;
    char reason[192] = "";
    if (read_steps(ctx->problem, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    describe(ctx, &s->epilogue, 0, TN_LAYOUT_PLAIN, "columns");
    if (ctx->problem->outputs[0]->rank < 3)
        return TN_OK;
    ctx->alternative_count = 2;
    describe(ctx, &s->epilogue, 1, TN_LAYOUT_CHANNELS_LAST, "columns");
    return TN_OK;
}

static tn_status softmax_prepare(tn_prepare *ctx, void *state)
{
    const tn_type *y = ctx->problem->outputs[0];
    const int32_t axis = softmax_axis(ctx->problem);
    softmax_state *s = state;
    int64_t strides[TN_MAX_RANK];
    native_strides_of(y->rank, y->dims,
                      ctx->chosen_index ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN, strides);
    s->inner = s->epilogue.ld = strides[axis];
    s->count = y->dims[axis];
    s->outer = native_count(y) / (s->inner * s->count);
    return TN_OK;
}

/* `width` columns of s->count rows that are s->inner apart. */
static void softmax_columns(const softmax_job *job, const float *x, float *y, int64_t width)
{
    const softmax_state *s = job->s;
    const native_isa *isa = job->isa;
    float most[WIDTH], total[WIDTH];
    memcpy(most, x, (size_t)width * sizeof *most);
    memset(total, 0, (size_t)width * sizeof *total);
    for (int64_t k = 1; k < s->count; k++)
        isa->combine(NATIVE_MAX, most, x + k * s->inner, 1, most, width);
    for (int64_t k = 0; k < s->count; k++) {
        float *row = y + k * s->inner;
        isa->combine(NATIVE_SUB, x + k * s->inner, most, 1, row, width);
        isa->apply(NATIVE_EXP, 0, 0, row, row, width);
        isa->combine(NATIVE_ADD, total, row, 1, total, width);
    }
    for (int64_t k = 0; k < s->count; k++)
        isa->combine(NATIVE_DIV, y + k * s->inner, total, 1, y + k * s->inner, width);
}

static tn_status softmax_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const softmax_job *job = user;
    const softmax_state *s = job->s;
    (void)thread;
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t outer = piece / job->pieces, column = piece % job->pieces * WIDTH;
        const int64_t width = s->inner - column < WIDTH ? s->inner - column : WIDTH;
        const int64_t first = outer * s->count * s->inner + column;
        const float *x = (const float *)job->ctx->inputs[0]->data + first;
        float *y = (float *)job->ctx->outputs[0]->data + first;
        if (s->inner == 1) {
            job->isa->softmax(x, y, s->count);
            native_finish(job->isa, &s->epilogue, job->ctx->inputs, y, s->count, 0, 1, first,
                          s->count);
            continue;
        }
        softmax_columns(job, x, y, width);
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, y, s->inner, outer * s->count,
                      s->count, column, width);
    }
    return TN_OK;
}

static tn_status softmax_run(tn_run *ctx, const void *state, void *slot)
{
    const softmax_state *s = state;
    softmax_job job = { s, ctx, native_isa_of(ctx->instance), native_ceil(s->inner, WIDTH) };
    const int64_t width = s->inner < WIDTH ? s->inner : WIDTH;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->outer * job.pieces,
                                        1 + 8192 / (s->count * width), softmax_chunk, &job);
}

/* ---- InstanceNormalization, GroupNormalization ------------------------------------------- */

typedef struct norm_state {
    native_epilogue epilogue;
    int64_t images, channels, points, share; /* channels that are normalized together */
    int64_t width;                           /* channels of a piece, whole groups */
    uint32_t last;                           /* channels last */
    float epsilon;
} norm_state;

typedef struct norm_job {
    const norm_state *s;
    tn_run *ctx;
    const native_isa *isa;
} norm_job;

static tn_status norm_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->inputs[0]->rank >= 0 && p->inputs[0]->rank < 3)
        return tn_fail(ctx, TN_DECLINED, "no planes to normalize");
    return offer(ctx, "planes");
}

static tn_status norm_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0];
    norm_state *s = state;
    char reason[192] = "";
    if (read_steps(p, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->images = x->dims[0];
    s->channels = x->dims[1];
    s->points = tn_extent(x->dims, 2, x->rank);
    s->share = s->channels / tn_attr_int(p->node, "num_groups", s->channels);
    s->width = WIDTH / 8 / s->share * s->share;
    s->width = s->width < s->share ? s->share : s->width;
    s->epsilon = tn_attr_float(p->node, "epsilon", 1e-5f);
    describe(ctx, &s->epilogue, 0, TN_LAYOUT_PLAIN, "planes");
    if (s->share > WIDTH)
        return TN_OK;
    ctx->alternative_count = 2;
    describe(ctx, &s->epilogue, 1, TN_LAYOUT_CHANNELS_LAST, "planes");
    return TN_OK;
}

static tn_status norm_prepare(tn_prepare *ctx, void *state)
{
    norm_state *s = state;
    s->last = ctx->chosen_index == 1;
    s->epilogue.ld = s->channels;
    return TN_OK;
}

static const float *vector_of(const norm_job *job, uint32_t input)
{
    return job->ctx->inputs[input]->data;
}

/* Plain: groups of planes, one after the other. */
static tn_status plane_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const norm_job *job = user;
    const norm_state *s = job->s;
    const native_isa *isa = job->isa;
    const int64_t count = s->share * s->points;
    (void)thread;
    for (int64_t group = begin; group < end; group++) {
        const float *x = (const float *)job->ctx->inputs[0]->data + group * count;
        float *y = (float *)job->ctx->outputs[0]->data + group * count;
        const float mean = isa->reduce(false, x, count) / (float)count;
        const float root = sqrtf(isa->deviation(x, mean, count) / (float)count + s->epsilon);
        for (int64_t k = 0; k < s->share; k++) {
            const int64_t c = (group * s->share + k) % s->channels;
            float *plane = y + k * s->points;
            isa->apply(NATIVE_AFFINE, 1.0f, -mean, x + k * s->points, plane, s->points);
            isa->apply(NATIVE_AFFINE, vector_of(job, 1)[c] / root, vector_of(job, 2)[c], plane,
                       plane, s->points);
        }
        native_finish(isa, &s->epilogue, job->ctx->inputs, y, count, 0, 1, group * count, count);
    }
    return TN_OK;
}

/* Makes of sums by channel those of their groups, for each of their channels. */
static void share_sums(const norm_state *s, float *sums, int64_t width)
{
    for (int64_t c = 0; c < width; c += s->share) {
        float total = 0;
        for (int64_t k = 0; k < s->share; k++)
            total += sums[c + k];
        for (int64_t k = 0; k < s->share; k++)
            sums[c + k] = total / (float)(s->share * s->points);
    }
}

/* sums[c] = sum over points of x, or with a mean of (x - mean)²; by MOST_ROWS, then all. */
static void sum_columns(const norm_job *job, const float *x, int64_t width, const float *mean,
                        float *sums)
{
    const native_isa *isa = job->isa;
    const norm_state *s = job->s;
    float some[WIDTH], square[WIDTH];
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t first = 0; first < s->points; first += MOST_ROWS) {
        const int64_t last = first + MOST_ROWS < s->points ? first + MOST_ROWS : s->points;
        memset(some, 0, (size_t)width * sizeof *some);
        for (int64_t p = first; p < last; p++) {
            const float *row = x + p * s->channels;
            if (mean) {
                isa->combine(NATIVE_SUB, row, mean, 1, square, width);
                isa->combine(NATIVE_MUL, square, square, 1, square, width);
                row = square;
            }
            isa->combine(NATIVE_ADD, some, row, 1, some, width);
        }
        isa->combine(NATIVE_ADD, sums, some, 1, sums, width);
    }
}

/* Channels last: some groups of an image. */
static void normalize_columns(const norm_job *job, int64_t image, int64_t column, int64_t width)
{
    const norm_state *s = job->s;
    const native_isa *isa = job->isa;
    const int64_t first = image * s->points * s->channels + column;
    const float *x = (const float *)job->ctx->inputs[0]->data + first;
    float *y = (float *)job->ctx->outputs[0]->data + first;
    float mean[WIDTH], factor[WIDTH];
    sum_columns(job, x, width, NULL, mean);
    share_sums(s, mean, width);
    sum_columns(job, x, width, mean, factor);
    share_sums(s, factor, width);
    for (int64_t c = 0; c < width; c++)
        factor[c] = vector_of(job, 1)[column + c] / sqrtf(factor[c] + s->epsilon);
    for (int64_t p = 0; p < s->points; p++) {
        float *row = y + p * s->channels;
        isa->combine(NATIVE_SUB, x + p * s->channels, mean, 1, row, width);
        isa->combine(NATIVE_MUL, row, factor, 1, row, width);
        isa->combine(NATIVE_ADD, row, vector_of(job, 2) + column, 1, row, width);
        native_finish(isa, &s->epilogue, job->ctx->inputs, row, width, image * s->points + p, 1,
                      column, width);
    }
}

static tn_status column_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const norm_job *job = user;
    const norm_state *s = job->s;
    const int64_t pieces = native_ceil(s->channels, s->width);
    (void)thread;
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t column = piece % pieces * s->width, left = s->channels - column;
        normalize_columns(job, piece / pieces, column, left < s->width ? left : s->width);
    }
    return TN_OK;
}

static tn_status norm_run(tn_run *ctx, const void *state, void *slot)
{
    const norm_state *s = state;
    norm_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    if (s->last)
        return ctx->call.host->parallel_for(&ctx->call,
                                            s->images * native_ceil(s->channels, s->width),
                                            1 + 8192 / (s->points * s->width), column_chunk, &job);
    return ctx->call.host->parallel_for(&ctx->call, s->images * s->channels / s->share,
                                        1 + 8192 / (s->points * s->share), plane_chunk, &job);
}

#define NORM(op, version)                                                                          \
    NATIVE_KERNEL(op, .since = version, .state_bytes = sizeof(norm_state), .offer = norm_offer,    \
                  .measure = norm_measure, .prepare = norm_prepare, .run = norm_run)

const tn_kernel_def native_column_kernels[] = {
    NATIVE_KERNEL("Softmax", .since = 13, .state_bytes = sizeof(softmax_state),
                  .offer = softmax_offer, .measure = softmax_measure, .prepare = softmax_prepare,
                  .run = softmax_run),
    NORM("InstanceNormalization", 6),
    NORM("GroupNormalization", 21),
    { .op = NULL },
};
