/* plugins/signal/window.c: windows for spectra (ONNX operators: HannWindow, HammingWindow,
 * BlackmanWindow; Harris, On the Use of Windows, Proc. IEEE 66, 1978).
 *
 *   w[n] = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)
 *
 * with N the size for a periodic window, one less for a symmetric one. A symmetric window of one
 * element, where the formula divides by 0, is 1. Integers are cut off from float32, in which ONNX
 * computes: 0.42 + 0.5 + 0.08 is below 1 in double.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"
#include "tenon/upgrade.h"

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
            v[k] = tn_dtype_is_float(out->dtype) ? v[k] : (double)(float)v[k];
        }
        signal_store(out, first, n, v);
    }
    return TN_OK;
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_value_id put_real(tn_edit *e, tn_value_id x)
{
    return tn_put_with(e, "Cast", x, TN_NONE, "to", TN_FLOAT64);
}

/* cos(2 pi n / N) for all n, in double; -1 where N is 0. */
static tn_value_id put_cosines(tn_edit *e)
{
    const int64_t no_axes = 0;
    const tn_value_id scalar = tn_put_constant(e, TN_INT64, 1, 0, &no_axes);
    const tn_value_id none = tn_put_scalar(e, TN_INT64, 0.0), one = tn_put_scalar(e, TN_INT64, 1.0);
    const int periodic = tn_attr_int(tn_edit_view(e), "periodic", 1) != 0;
    tn_value_id size = tn_put_with(e, "Cast", tn_edit_input(e, 0), TN_NONE, "to", TN_INT64);
    size = tn_put_reshape(e, size, scalar);
    const tn_value_id circle = periodic ? size : tn_put(e, "Sub", size, one, TN_NONE, NULL);
    const tn_value_id places = put_real(e, tn_put(e, "Range", none, size, one, NULL));
    const tn_value_id turns = tn_put(e, "Div", places, put_real(e, circle), TN_NONE, NULL);
    const tn_value_id tau = tn_put_scalar(e, TN_FLOAT64, 6.283185307179586477);
    tn_value_id c = tn_put(e, "Mul", turns, tau, TN_NONE, NULL);
    c = tn_put(e, "Cos", c, TN_NONE, TN_NONE, NULL);
    if (periodic)
        return c;
    const tn_value_id is_point = tn_put(e, "Equal", circle, none, TN_NONE, NULL);
    return tn_put(e, "Where", is_point, tn_put_scalar(e, TN_FLOAT64, -1.0), c, NULL);
}

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    const shape *row = ctx->call.user;
    tn_edit e = tn_edit_node(ctx, node);
    const int64_t to = tn_attr_int(tn_edit_view(&e), "output_datatype", TN_FLOAT32);
    const tn_value_id c = put_cosines(&e);
    tn_value_id w = tn_put(&e, "Mul", tn_put_scalar(&e, TN_FLOAT64, row->a1), c, TN_NONE, NULL);
    w = tn_put(&e, "Sub", tn_put_scalar(&e, TN_FLOAT64, row->a0), w, TN_NONE, NULL);
    if (row->a2 > 0.0) {
        tn_value_id twice = tn_put(&e, "Mul", tn_put_scalar(&e, TN_FLOAT64, 2.0), c, TN_NONE, NULL);
        twice = tn_put(&e, "Mul", twice, c, TN_NONE, NULL);
        twice = tn_put(&e, "Sub", twice, tn_put_scalar(&e, TN_FLOAT64, 1.0), TN_NONE, NULL);
        twice = tn_put(&e, "Mul", tn_put_scalar(&e, TN_FLOAT64, row->a2), twice, TN_NONE, NULL);
        w = tn_put(&e, "Add", w, twice, TN_NONE, NULL);
    }
    if (!tn_dtype_is_float((uint32_t)to))
        w = tn_put_with(&e, "Cast", w, TN_NONE, "to", TN_FLOAT32);
    return tn_edit_give(&e, tn_put_with(&e, "Cast", w, TN_NONE, "to", to));
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
            .expand = write_out,
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
