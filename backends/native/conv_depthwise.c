/* conv_depthwise.c: Conv with a group for each channel (ONNX: Conv, group = C = M), channels last.
 *
 * Each output row reads kernel_h rows of the input; channels lie side by side and fill registers.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { MOST_KERNEL_ROWS = 32 };

typedef struct depthwise_state {
    native_window window;
    native_epilogue epilogue;
    int64_t taps;
    uint32_t has_bias, finished; /* finished: `end` is all of the epilogue */
    native_end end;
} depthwise_state;

static tn_status depthwise_offer(tn_offer *ctx)
{
    const tn_type *w = ctx->problem->inputs[1];
    const tn_status status = native_offer_conv(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "depthwise";
    if (tn_attr_int(ctx->problem->node, "group", 1) != w->dims[0] || w->dims[1] != 1)
        return tn_fail(ctx, TN_DECLINED, "not a group for each channel");
    if (w->dims[2] > MOST_KERNEL_ROWS)
        return tn_fail(ctx, TN_DECLINED, "a window of %lld rows: at most %d here",
                       (long long)w->dims[2], MOST_KERNEL_ROWS);
    return status;
}

static tn_status depthwise_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { 1, 2 };
    const tn_problem *p = ctx->problem;
    const native_isa *isa = native_isa_of(ctx->instance);
    tn_alternative *a = &ctx->alternatives[0];
    depthwise_state *s = state;
    native_window *w = &s->window;
    char reason[192] = "";
    if (native_window_read(p, p->inputs[1]->dims + 2, w, reason, sizeof reason) != TN_OK ||
        native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (w->channels != 1 || w->outputs != 1)
        return tn_fail(ctx, TN_DECLINED, "not one channel for each group");
    s->epilogue.ld = w->groups;
    s->taps = w->kernel[0] * w->kernel[1];
    s->finished = native_end_of(&s->epilogue, 0, &s->end);
    s->has_bias = p->own_count > 2 && p->inputs[2];
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, false);
    a->algorithm = "depthwise";
    a->seconds = native_seconds(
        isa, 2.0 * (double)native_count(p->outputs[0]) * (double)s->taps,
        4.0 * (double)(native_count(p->inputs[0]) + native_count(p->outputs[0])), p->threads);
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){
        .size = sizeof(tn_pack_def),
        .source_count = s->has_bias ? 2 : 1,
        .sources = sources,
        .key = isa->name,
        .key_bytes = (uint32_t)strlen(isa->name),
        .bytes = (size_t)((s->taps + 1) * native_round_up(w->groups, isa->lanes)) * sizeof(float),
    };
    return TN_OK;
}

/* Weights [C, 1, taps] and the bias → a register of channels after the other, as native_depthwise
 * has them. */
static tn_status depthwise_prepare(tn_prepare *ctx, void *state)
{
    const depthwise_state *s = state;
    const int64_t lanes = native_isa_of(ctx->instance)->lanes, channels = s->window.groups;
    const float *from = ctx->problem->constants[1]->data;
    const float *bias = s->has_bias ? ctx->problem->constants[2]->data : NULL;
    float *to = ctx->packs[0].data;
    if (!ctx->packs[0].fill)
        return TN_OK;
    for (int64_t c = 0; c < channels; c += lanes) {
        const int64_t first = c + lanes <= channels || c == 0 ? c : channels - lanes;
        for (int64_t t = 0; t <= s->taps; t++, to += lanes)
            for (int64_t k = 0; k < lanes; k++) {
                const int64_t channel = first + k;
                to[k] = channel >= channels ? 0.0f
                        : t < s->taps       ? from[channel * s->taps + t]
                        : bias              ? bias[channel]
                                            : 0.0f;
            }
    }
    return TN_OK;
}

typedef struct depthwise_job {
    const depthwise_state *state;
    tn_run *ctx;
    const native_isa *isa;
} depthwise_job;

static void run_row(const depthwise_job *job, int64_t image, int64_t oy)
{
    const depthwise_state *s = job->state;
    const native_window *w = &s->window;
    const float *rows[MOST_KERNEL_ROWS];
    const int64_t x_step = tn_row_step(job->ctx->inputs[0]);
    const int64_t y_step = tn_row_step(job->ctx->outputs[0]);
    const float *x = (const float *)job->ctx->inputs[0]->data + image * w->x[0] * w->x[1] * x_step;
    const int64_t first = (image * w->y[0] + oy) * w->y[1];
    float *out = (float *)job->ctx->outputs[0]->data + first * y_step;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t iy = oy * w->strides[0] - w->before[0] + i * w->dilations[0];
        rows[i] = iy < 0 || iy >= w->x[0] ? NULL : x + iy * w->x[1] * x_step;
    }
    const native_depthwise work = {
        .rows = rows,
        .weights = job->ctx->packs[0],
        .out = out,
        .channels = w->groups,
        .x_step = x_step,
        .y_step = y_step,
        .points = w->y[1],
        .x_points = w->x[1],
        .kernel_h = w->kernel[0],
        .kernel_w = w->kernel[1],
        .stride = w->strides[1],
        .dilation = w->dilations[1],
        .before = w->before[1],
        .end = s->end,
    };
    job->isa->depthwise(&work);
    if (!s->finished)
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, out, y_step, first, w->y[1], 0,
                      w->groups);
}

static tn_status depthwise_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const depthwise_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        run_row(job, row / job->state->window.y[0], row % job->state->window.y[0]);
    return TN_OK;
}

static tn_status depthwise_run(tn_run *ctx, const void *state, void *slot)
{
    const depthwise_state *s = state;
    depthwise_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->window.images * s->window.y[0], 1,
                                        depthwise_chunk, &job);
}

const tn_kernel_def native_conv_depthwise_kernels[] = {
    NATIVE_KERNEL("Conv", .state_bytes = sizeof(depthwise_state), .offer = depthwise_offer,
                  .measure = depthwise_measure, .prepare = depthwise_prepare, .run = depthwise_run),
    { .op = NULL },
};
