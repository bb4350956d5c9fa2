/* convert.c: tenon::Convert between row-major and channels-last: for each image, the transposition
 * of a matrix [C][points], of float32 or of bytes.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

/* Of the squares in which it is turned: both sides stay in cache lines. */
enum { SIDE = 16, BYTE_SIDE = 32 };

typedef struct convert_state {
    int64_t images, from_rows, from_columns;
    size_t width; /* bytes of an element: 4 or 1 */
    int64_t side;
} convert_state;

static tn_status convert_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->input_layout > 1 || p->output_layout > 1 || p->input_layout == p->output_layout)
        return tn_fail(ctx, TN_DECLINED, "a layout of somebody else");
    if (p->inputs[0]->rank < 3)
        return tn_fail(ctx, TN_DECLINED, "nothing to turn");
    ctx->algorithm = "squares";
    return native_offer_any(ctx);
}

static tn_status convert_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *type = p->inputs[0];
    const int64_t channels = type->dims[1], points = tn_extent(type->dims, 2, type->rank);
    convert_state *s = state;
    s->width = tn_dtype_bytes(type->dtype, 1);
    s->side = s->width == 1 ? BYTE_SIDE : SIDE;
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

static void turn_bytes(const uint8_t *from, int64_t from_step, uint8_t *to, int64_t to_step,
                       int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += BYTE_SIDE)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = c; k < c + BYTE_SIDE && k < columns; k++)
                to[r * to_step + k] = from[k * from_step + r];
}

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
        last = last < first + s->side ? last : first + s->side;
        const char *x = (const char *)in->data +
                        (size_t)(image * s->from_rows * x_step + first) * s->width;
        char *y = (char *)out->data +
                  (size_t)((image * s->from_columns + first) * y_step) * s->width;
        if (s->width == 1)
            turn_bytes((const uint8_t *)x, x_step, (uint8_t *)y, y_step, last - first,
                       s->from_rows);
        else
            native_turn((const float *)(const void *)x, x_step, (float *)(void *)y, y_step,
                        last - first, s->from_rows);
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
                                        s->side + 65536 / (s->from_rows * (int64_t)s->width),
                                        convert_chunk, &job);
}

#define CONVERT                                                                                    \
    .domain = "tenon", .state_bytes = sizeof(convert_state), .offer = convert_offer,               \
    .measure = convert_measure, .run = convert_run

const tn_kernel_def native_convert_kernels[] = {
    NATIVE_KERNEL("Convert", CONVERT),
    NATIVE_BYTE_KERNEL("Convert", CONVERT),
    { .op = NULL },
};
