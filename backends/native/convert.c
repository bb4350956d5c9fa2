/* convert.c: tenon::Convert between row-major and channels-last: for each image, the transposition
 * of a matrix [C][points].
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { SIDE = 16 }; /* of the squares in which it is turned: both sides stay in cache lines */

typedef struct convert_state {
    int64_t images, from_rows, from_columns;
} convert_state;

static tn_status convert_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->input_layout > 1 || p->output_layout > 1 || p->input_layout == p->output_layout)
        return tn_fail(ctx, TN_DECLINED, "a layout of somebody else");
    if (p->inputs[0]->rank < 3)
        return tn_fail(ctx, TN_DECLINED, "nothing to turn");
    ctx->algorithm = "squares";
    return native_offer(ctx);
}

static tn_status convert_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *type = p->inputs[0];
    const int64_t channels = type->dims[1], points = tn_extent(type->dims, 2, type->rank);
    convert_state *s = state;
    s->images = type->dims[0];
    s->from_rows = p->input_layout == TN_LAYOUT_PLAIN ? channels : points;
    s->from_columns = p->input_layout == TN_LAYOUT_PLAIN ? points : channels;
    /* The side that is channels last may be a view. */
    ctx->alternatives[0].input_layouts[0] = p->input_layout ? NATIVE_LAST_STRIDED : 0;
    ctx->alternatives[0].output_layouts[0] = p->output_layout ? NATIVE_LAST_STRIDED : 0;
    ctx->alternatives[0].algorithm = "squares";
    return TN_OK;
}

typedef struct convert_job {
    const convert_state *s;
    tn_run *ctx;
} convert_job;

/* Rows [begin, end) of the result, which are columns of what comes in. */
static tn_status convert_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const convert_job *job = user;
    const convert_state *s = job->s;
    const tn_tensor *in = job->ctx->inputs[0], *out = job->ctx->outputs[0];
    const int64_t x_step = in->strides ? tn_row_step(in) : s->from_columns;
    const int64_t y_step = out->strides ? tn_row_step(out) : s->from_rows;
    (void)thread;
    while (begin < end) {
        const int64_t image = begin / s->from_columns, first = begin % s->from_columns;
        int64_t last = first + (end - begin);
        last = last < s->from_columns ? last : s->from_columns;
        last = last < first + SIDE ? last : first + SIDE;
        const float *x = (const float *)in->data + image * s->from_rows * x_step;
        float *y = (float *)out->data + image * s->from_columns * y_step;
        native_turn(x + first, x_step, y + first * y_step, y_step, last - first, s->from_rows);
        begin += last - first;
    }
    return TN_OK;
}

static tn_status convert_run(tn_run *ctx, const void *state, void *slot)
{
    const convert_state *s = state;
    convert_job job = { s, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->images * s->from_columns,
                                        SIDE + 16384 / s->from_rows, convert_chunk, &job);
}

const tn_kernel_def native_convert_kernels[] = {
    NATIVE_KERNEL("Convert", .domain = "tenon", .state_bytes = sizeof(convert_state),
                  .offer = convert_offer, .measure = convert_measure, .run = convert_run),
    { .op = NULL },
};
