/* plugins/activation/gelu.c: the Gaussian error linear unit.
 *
 * ONNX: Gelu. x Φ(x) with the normal distribution's Φ, or with `approximate` "tanh"
 * x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³))). The left tails are computed as such (erfc, the
 * logistic function): 1 + erf and 1 + tanh would cancel there.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

static const double inverse_root_2 = 0.70710678118654752440;
static const double root_2_by_pi = 0.79788456080286535588;

static void gelu(double *v, int64_t n, const double *p)
{
    if (p[0] == 0) {
        for (int64_t i = 0; i < n; i++)
            v[i] = v[i] * 0.5 * erfc(-v[i] * inverse_root_2);
        return;
    }
    for (int64_t i = 0; i < n; i++) { /* (1 + tanh u) / 2 is the logistic function of 2u */
        const double x = v[i];
        v[i] = x * logistic(2.0 * root_2_by_pi * (x + 0.044715 * x * x * x));
    }
}

static tn_status infer(tn_infer *ctx)
{
    const char *mode = tn_attr_string(ctx->node, "approximate", "none");
    if (strcmp(mode, "none") != 0 && strcmp(mode, "tanh") != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "approximate",
                                 "approximate is '%s': expected 'none' or 'tanh'", mode);
    return tn_infer_same(ctx, 0, 0);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* x/2 (1 + t), with t the error function of x/sqrt(2), or the hyperbolic tangent. */
static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const char *mode = tn_attr_string(tn_edit_view(&e), "approximate", "none");
    const int tangent = strcmp(mode, "tanh") == 0;
    const tn_value_id x = tn_edit_input(&e, 0);
    const tn_value_id factor = tn_put_scalar_like(&e, tangent ? root_2_by_pi : inverse_root_2, x);
    tn_value_id t = x;
    if (tangent) {
        const tn_value_id bend = tn_put_scalar_like(&e, 0.044715, x);
        const tn_value_id square = tn_put(&e, "Mul", x, x, TN_NONE, NULL);
        const tn_value_id cube = tn_put(&e, "Mul", square, x, TN_NONE, NULL);
        t = tn_put(&e, "Add", x, tn_put(&e, "Mul", bend, cube, TN_NONE, NULL), TN_NONE, NULL);
    }
    t = tn_put(&e, "Mul", factor, t, TN_NONE, NULL);
    t = tn_put(&e, tangent ? "Tanh" : "Erf", t, TN_NONE, TN_NONE, NULL);
    t = tn_put(&e, "Add", t, tn_put_scalar_like(&e, 1.0, x), TN_NONE, NULL);
    const tn_value_id half = tn_put(&e, "Mul", x, tn_put_scalar_like(&e, 0.5, x), TN_NONE, NULL);
    return tn_edit_give(&e, tn_put(&e, "Mul", half, t, TN_NONE, NULL));
}

static const tn_attribute_def attributes[] = {
    { .name = "approximate",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "none",
      .doc = "none: the exact distribution; tanh: its approximation." },
};

static const activation row = {
    .name = "Gelu",
    .since = 20,
    .accepts_from = 20,
    .input = activation_x,
    .output = activation_y,
    .doc = "x times the normal distribution function of x.",
    .attributes = attributes,
    .attribute_count = 1,
    .infer = infer,
    .expand = write_out,
    .doubles = gelu,
};

tn_status gelu_register(tn_registrar *registrar)
{
    return activation_add(registrar, &row, 1);
}
