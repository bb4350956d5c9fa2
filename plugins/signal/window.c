/* plugins/signal/window.c: windows for spectra (ONNX operators: HannWindow, HammingWindow,
 * BlackmanWindow; Harris, On the Use of Windows, Proc. IEEE 66, 1978).
 *
 *   w[n] = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)
 *
 * with N the size for a periodic window, one less for a symmetric one. A symmetric window of one
 * element, where the formula divides by 0, is 1.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

typedef struct shape {
    const char *name, *doc;
    double a0, a1, a2;
} shape;

static tn_status infer(tn_infer *ctx)
{
    signal_datatype(ctx);
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = signal_scalar(ctx, 0, "size", 1);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const shape *row = ctx->call.user;
    tn_tensor *out = ctx->outputs[0];
    if (out->rank != 1) /* inference knows no number that low */
        return tn_fail(ctx, TN_ERR_VALUE, "size is no length: expected 1 to 2^48");
    const int64_t size = out->dims[0];
    const int64_t circle = tn_attr_int(ctx->node, "periodic", 1) ? size : size - 1;
    double v[BLOCK];
    (void)state, (void)slot;
    for (int64_t first = 0; first < size; first += BLOCK) {
        const int64_t n = size - first < BLOCK ? size - first : BLOCK;
        for (int64_t k = 0; k < n; k++) {
            const double c = circle ? fft_root(first + k, circle).re : -1.0;
            v[k] = row->a0 - row->a1 * c + row->a2 * (2.0 * c * c - 1.0);
        }
        signal_store(out, first, n, v);
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "size", "T1", SIGNAL_INTEGERS, 0, 0, "The length of the window, a scalar." },
};
static const tn_param_def outputs[] = {
    { "output", "T2", TN_MASK_NUMERIC, 0, 0, "[size]" },
};
static const tn_attribute_def attributes[] = {
    SIGNAL_DATATYPE,
    { .name = "periodic",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: one period of a periodic function; 0: symmetric." },
};
static const shape rows[] = {
    { "HannWindow", "A raised cosine that falls to 0.", 0.5, 0.5, 0.0 },
    { "HammingWindow", "A raised cosine that nearly falls to 0.", 25.0 / 46.0, 21.0 / 46.0, 0.0 },
    { "BlackmanWindow", "The sum of two cosines that falls to 0.", 0.42, 0.5, 0.08 },
};

tn_status window_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const tn_operator_def op = {
            .size = sizeof op,
            .since = 17,
            .name = rows[k].name,
            .doc = rows[k].doc,
            .inputs = inputs,
            .input_count = 1,
            .outputs = outputs,
            .output_count = 1,
            .attributes = attributes,
            .attribute_count = 2,
            .infer = infer,
            .user = (void *)&rows[k],
        };
        const tn_kernel_def kernel = { .size = sizeof kernel,
                                       .op = rows[k].name,
                                       .run = run,
                                       .user = (void *)&rows[k],
                                       .flags = TN_KERNEL_ANY_STEPS };
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
