/* plugins/signal/stft.c: STFT (ONNX operators: STFT).
 *
 *   y[b, f, k] = sum over n < frame_length of e^(-2 pi i k n / frame_length) window[n]
 *                x[b, f frame_step + n]
 *
 * for every whole frame. onesided, the default, gives the first frame_length/2 + 1 of a real
 * signal. frame_length is that of the window when only this is given, and of the signal when
 * neither is.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

#include <inttypes.h>

enum { SIGNAL, STEP, WINDOW, LENGTH };

/* ---- inference -------------------------------------------------------------------------- */

static tn_dim frame_length(tn_infer *ctx)
{
    const tn_type *x = signal_type(ctx, SIGNAL), *window = signal_type(ctx, WINDOW);
    const tn_dim given = signal_type(ctx, LENGTH) ? signal_scalar(ctx, LENGTH, "frame_length", 1)
                                                  : TN_DIM_UNKNOWN;
    const tn_dim own = window && window->rank == 1 ? window->dims[0] : TN_DIM_UNKNOWN;
    if (window && window->rank >= 0 && window->rank != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, WINDOW, NULL,
                                 "input 'window' has rank %d: expected 1", window->rank);
    if (tn_dim_known(given) && tn_dim_known(own) && given != own)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, WINDOW, NULL,
                                 "input 'window' has %" PRId64 " elements, but frame_length is "
                                 "%" PRId64 ": expected the same",
                                 own, given);
    if (given != TN_DIM_UNKNOWN || own != TN_DIM_UNKNOWN)
        return given != TN_DIM_UNKNOWN ? given : own;
    return !signal_type(ctx, LENGTH) && !window && x && x->rank > 1 ? x->dims[1] : TN_DIM_UNKNOWN;
}

static int check_signal(tn_infer *ctx, int onesided)
{
    const tn_type *x = ctx->inputs[SIGNAL];
    if (x->rank != 2 && x->rank != 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SIGNAL, NULL,
                                 "input 'signal' has rank %d: expected 3 (batch, samples, real and "
                                 "imaginary)",
                                 x->rank);
        return 0;
    }
    const tn_dim parts = x->rank == 3 ? x->dims[2] : 1;
    if (!tn_dim_known(parts) || parts == 1 || (parts == 2 && !onesided))
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SIGNAL, NULL,
                             "the last axis of input 'signal' has extent %" PRId64 ": expected %s",
                             parts,
                             onesided ? "1 (real) when onesided is 1" : "1 (real) or 2 (complex)");
    return 0;
}

static tn_dim count_frames(tn_infer *ctx, tn_dim samples, tn_dim step, tn_dim length)
{
    const tn_dim slack = tn_dim_sub(ctx, samples, length);
    if (tn_dim_known(slack) && slack < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SIGNAL, NULL,
                                 "input 'signal' has %" PRId64 " samples: expected a frame, "
                                 "%" PRId64 ", or more",
                                 samples, length);
        return TN_DIM_UNKNOWN;
    }
    return tn_dim_add(ctx, tn_dim_floordiv(ctx, slack, step), 1);
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = signal_type(ctx, SIGNAL);
    const int onesided = tn_attr_int(ctx->node, "onesided", 1) != 0;
    const tn_dim step = signal_scalar(ctx, STEP, "frame_step", 1);
    const tn_dim length = frame_length(ctx);
    tn_type *y = &ctx->outputs[0];
    y->rank = 4;
    y->dims[0] = y->dims[1] = TN_DIM_UNKNOWN;
    y->dims[2] = onesided ? tn_dim_add(ctx, tn_dim_floordiv(ctx, length, 2), 1) : length;
    y->dims[3] = 2;
    if (!x || x->rank < 0 || !check_signal(ctx, onesided))
        return TN_OK;
    y->dims[0] = x->dims[0];
    y->dims[1] = count_frames(ctx, x->dims[1], step, length);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* 5 N log2 N for each frame. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0];
    out->ops = 5.0 * (double)y->dims[0] * (double)y->dims[1] * (double)y->dims[2] *
               log2(1.0 + (double)y->dims[2]);
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x, *window;
    tn_tensor *y;
    int64_t step, length, samples, frames, bins;
    int parts;
    fft fft;
    cpx *lines;
    int64_t line_size;
} job;

static void load_frame(const job *j, int64_t frame, cpx *out)
{
    const int64_t first = frame / j->frames * j->samples + frame % j->frames * j->step;
    for (int64_t n = 0; n < j->length; n++) {
        const int64_t at = (first + n) * j->parts;
        const double w = j->window ? tn_get_double(j->window->dtype, j->window->data, n) : 1.0;
        out[n].re = w * tn_get_double(j->x->dtype, j->x->data, at);
        out[n].im = j->parts == 2 ? w * tn_get_double(j->x->dtype, j->x->data, at + 1) : 0.0;
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    cpx *line = j->lines + thread * j->line_size;
    for (int64_t k = begin; k < end; k++) {
        load_frame(j, k, line);
        fft_run(&j->fft, line);
        for (int64_t n = 0; n < j->bins; n++) {
            tn_set_float(j->y->dtype, j->y->data, 2 * (k * j->bins + n), line[n].re);
            tn_set_float(j->y->dtype, j->y->data, 2 * (k * j->bins + n) + 1, line[n].im);
        }
    }
    return TN_OK;
}

/* Half a spectrum can come from two lengths. */
static tn_status measure(tn_measure *ctx, void *state)
{
    const int onesided = tn_attr_int(ctx->problem->node, "onesided", 1) != 0;
    const tn_type *y = ctx->problem->outputs[0];
    const int64_t bins = y->rank == 4 && tn_dim_known(y->dims[2]) ? y->dims[2] : 0;
    size_t *bytes = &ctx->alternatives[0].scratch_bytes;
    (void)state;
    for (int odd = 0; odd <= onesided; odd++) {
        const int64_t length = onesided ? 2 * (bins - 1) + odd : bins;
        const size_t needed = signal_scratch(length, ctx->problem->threads);
        if (length > 0 && !needed)
            return tn_fail(ctx, TN_ERR_LIMIT,
                           "a transform of length %" PRId64 " does not fit memory", length);
        *bytes = needed > *bytes ? needed : *bytes;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[SIGNAL], *step = ctx->inputs[STEP];
    const tn_tensor *length = signal_input(ctx, LENGTH);
    const int onesided = tn_attr_int(ctx->node, "onesided", 1) != 0;
    job j = { .x = x, .window = signal_input(ctx, WINDOW), .y = ctx->outputs[0] };
    (void)state, (void)slot;
    if (j.y->rank != 4) /* inference knows no number that low */
        return tn_fail(ctx, TN_ERR_VALUE,
                       "frame_step or frame_length is no length: expected 1 to 2^48");
    if (tn_count(j.y) == 0)
        return TN_OK;
    j.step = tn_get_int(step->dtype, step->data, 0);
    j.samples = x->dims[1];
    j.length = length     ? tn_get_int(length->dtype, length->data, 0)
               : j.window ? j.window->dims[0]
                          : j.samples;
    j.frames = j.y->dims[1];
    j.bins = j.y->dims[2];
    j.parts = x->rank == 3 ? (int)x->dims[2] : 1;
    if (j.step < 1 || j.length < 1 || j.length > j.samples ||
        j.bins != (onesided ? j.length / 2 + 1 : j.length) ||
        j.frames != (j.samples - j.length) / j.step + 1)
        return tn_fail(ctx, TN_ERR_VALUE,
                       "frame_step is %" PRId64 " and frame_length %" PRId64
                       ": expected those that the output's shape was inferred from",
                       j.step, j.length);
    j.line_size = fft_work_size(j.length);
    j.lines = (cpx *)ctx->scratch + fft_table_size(j.length);
    fft_init(&j.fft, j.length, ctx->scratch, j.lines);
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.frames, 1 + 1024 / j.length,
                                        chunk, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "signal", "T1", TN_MASK_FLOAT, 0, 0, "[batch, samples, 1 (real) or 2 (complex)]" },
    { "frame_step", "T2", SIGNAL_INTEGERS, 0, 0, "Samples from one frame to the next, a scalar." },
    { "window", "T1", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0,
      "What each frame is multiplied with: [frame_length]; 1." },
    { "frame_length", "T2", SIGNAL_INTEGERS, TN_PARAM_OPTIONAL, 0,
      "Samples in a frame, a scalar; as many as the window has." },
};
static const tn_param_def outputs[] = {
    { "output", "T1", TN_MASK_FLOAT, 0, 0, "[batch, frames, frequencies, 2]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "onesided",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: half the spectra, of real signals." },
};

tn_status stft_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 17,
        .name = "STFT",
        .doc = "The discrete Fourier transforms of frames of a signal.",
        .inputs = inputs,
        .input_count = 4,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .infer = infer,
        .cost = cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "STFT",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
