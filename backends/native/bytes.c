/* bytes.c: what quantized networks do with bytes beside products: MaxPool (ONNX: MaxPool), channels
 * last.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

typedef struct pool_state {
    native_window window;
    uint32_t is_signed;
} pool_state;

static tn_status pool_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_status status = native_offer_any(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "pool of bytes";
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "nothing is applied to integers here");
    if (p->output_count > 1 && p->outputs[1])
        return tn_fail(ctx, TN_DECLINED, "indices are wanted");
    if (p->inputs[0]->rank >= 0 && (p->inputs[0]->rank < 3 || p->inputs[0]->rank > 4))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: one or two spatial axes here",
                       (int)p->inputs[0]->rank);
    return status;
}

static tn_status pool_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    pool_state *s = state;
    const native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, NULL, &s->window, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->is_signed = p->inputs[0]->dtype == TN_INT8;
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    a->algorithm = "pool of bytes";
    a->seconds = native_seconds(
        native_isa_of(ctx->instance),
        0.25 * (double)native_count(p->outputs[0]) * (double)(w->kernel[0] * w->kernel[1]),
        (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])), p->threads);
    return TN_OK;
}

typedef struct pool_job {
    const pool_state *s;
    tn_run *ctx;
    const native_isa *isa;
} pool_job;

static void run_point(const pool_job *job, int64_t point)
{
    const native_window *w = &job->s->window;
    const int64_t image = point / (w->y[0] * w->y[1]), rest = point % (w->y[0] * w->y[1]);
    const int64_t y0 = rest / w->y[1] * w->strides[0] - w->before[0];
    const int64_t x0 = rest % w->y[1] * w->strides[1] - w->before[1];
    const int64_t step = tn_row_step(job->ctx->inputs[0]);
    const uint8_t *x = (const uint8_t *)job->ctx->inputs[0]->data +
                       image * w->x[0] * w->x[1] * step;
    uint8_t *y = (uint8_t *)job->ctx->outputs[0]->data + point * tn_row_step(job->ctx->outputs[0]);
    /* What the type has least is also what a window all in the padding has. */
    memset(y, job->s->is_signed ? 128 : 0, (size_t)w->channels);
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t iy = y0 + i * w->dilations[0];
        for (int64_t j = 0; iy >= 0 && iy < w->x[0] && j < w->kernel[1]; j++) {
            const int64_t ix = x0 + j * w->dilations[1];
            if (ix >= 0 && ix < w->x[1])
                job->isa->integer->larger(x + (iy * w->x[1] + ix) * step, job->s->is_signed, y,
                                          w->channels);
        }
    }
}

static tn_status pool_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    (void)thread;
    for (int64_t point = begin; point < end; point++)
        run_point(user, point);
    return TN_OK;
}

static tn_status pool_run(tn_run *ctx, const void *state, void *slot)
{
    const pool_state *s = state;
    const native_window *w = &s->window;
    pool_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    const int64_t work = w->kernel[0] * w->kernel[1] * w->channels;
    return ctx->call.host->parallel_for(&ctx->call, w->images * w->y[0] * w->y[1], 1 + 65536 / work,
                                        pool_chunk, &job);
}

const tn_kernel_def native_byte_kernels[] = {
    NATIVE_BYTE_KERNEL("MaxPool", .state_bytes = sizeof(pool_state), .offer = pool_offer,
                       .measure = pool_measure, .run = pool_run),
    { .op = NULL },
};
