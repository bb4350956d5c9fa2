/* plugins/recognition/recognize_gelu.c: Gelu (ONNX: Gelu, 20) that was written out.
 *
 *   x/2 (1 + erf(x / sqrt(2)))                               in any order of the factors, with
 *   x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))            Mul or Div by constants, Pow or Mul
 *
 * also as x (1/2 + erf/2) and as x/2 + x/2 erf. What is in the function is read as a polynomial of x, so that it does not matter how it is
 * written. Rounds less: 1 + erf of a negative x loses digits that Gelu keeps. Minus infinity: both
 * are -inf * 0 = NaN.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static const struct form {
    const char *op, *approximate;
    double c[4];
} forms[] = {
    { "Erf", "none", { 0.0, 0.70710678118654752440, 0.0, 0.0 } },
    { "Tanh", "tanh", { 0.0, 0.79788456080286535588, 0.0, 0.044715 * 0.79788456080286535588 } },
};

static int fits(pattern *p, const struct form *form, tn_value_id x)
{
    const uint32_t dtype = pattern_value(p, x)->type->dtype, count = p->count;
    double c[4];
    int fit = pattern_polynomial(p, pattern_node(p, p->root)->inputs[0], x, c);
    for (int k = 0; fit && k < 4; k++) /* 0.044715 is rounded, then multiplied */
        fit = pattern_near(dtype, c[k], form->c[k]);
    if (!fit)
        p->count = count;
    return fit;
}

/* The factor that is x or a multiple of it: which, and how much of it. */
static int take_x(pattern *p, const struct form *form, tn_value_id factor, tn_value_id *x,
                  double *scale)
{
    const tn_value_id leaf = pattern_leaf(p, factor);
    double c[4];
    *x = fits(p, form, factor) ? factor : leaf != factor && fits(p, form, leaf) ? leaf : TN_NONE;
    if (*x == TN_NONE || !pattern_polynomial(p, factor, *x, c) || c[0] != 0.0)
        return 0;
    *scale *= c[1];
    return 1;
}

/* The same value is multiplied and then added: factor (1 + function). */
static int find_spread(pattern *p, const struct form *form, tn_value_id *x)
{
    double scale = 1.0;
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    const tn_value_id factor = product == TN_NONE ? TN_NONE : pattern_other(p, product, p->y, NULL);
    const tn_node_id sum = factor == TN_NONE
                               ? TN_NONE
                               : pattern_reader(p, pattern_node(p, product)->outputs[0], "Add");
    if (sum == TN_NONE ||
        pattern_other(p, sum, pattern_node(p, product)->outputs[0], NULL) != factor ||
        !take_x(p, form, factor, x, &scale) || !pattern_follow(p, product) ||
        !pattern_follow(p, sum))
        return 0;
    if (!pattern_near(pattern_value(p, *x)->type->dtype, scale, 0.5))
        pattern_follow_scale(p, &scale);
    return pattern_near(pattern_value(p, *x)->type->dtype, scale, 0.5);
}

static int find(pattern *p, const struct form *form, tn_value_id *x)
{
    double one, scale = 1.0;
    const tn_value_id function = p->y;
    pattern_follow_scale(p, &scale);
    const tn_node_id sum = pattern_reader(p, p->y, "Add");
    if (sum == TN_NONE || !pattern_scalar(p, pattern_other(p, sum, p->y, NULL), &one)) {
        p->y = function;
        p->count = 1;
        return find_spread(p, form, x);
    }
    if (one != scale || !pattern_follow(p, sum))
        return 0;
    pattern_follow_scale(p, &scale);
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    if (product == TN_NONE)
        return 0;
    const tn_value_id factor = pattern_other(p, product, p->y, NULL);
    if (factor == TN_NONE || !take_x(p, form, factor, x, &scale))
        return pattern_refuse(p, "what is in the %s does not fit what it is multiplied with",
                              form->op);
    if (!pattern_follow(p, product))
        return 0;
    if (!pattern_near(pattern_value(p, *x)->type->dtype, scale, 0.5))
        pattern_follow_scale(p, &scale);
    if (!pattern_near(pattern_value(p, *x)->type->dtype, scale, 0.5))
        return pattern_refuse(p, "the constant factor is %.9g, not 1/2", scale);
    return 1;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_value_id x;
    if (!pattern_begin(&p, ctx, node, "Gelu"))
        return TN_NO_MATCH;
    const struct form *form = &forms[pattern_is(&p, node, "Tanh")];
    if (!find(&p, form, &x))
        return pattern_miss(&p);
    const tn_attribute attribute = { .size = sizeof attribute,
                                     .type = TN_ATTR_STRING,
                                     .name = "approximate",
                                     .s = { form->approximate, strlen(form->approximate) } };
    return pattern_replace(&p, &x, 1, &attribute, 1);
}

tn_status recognize_gelu_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Erf", "Tanh", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_RECOGNIZE,
                                                          .order = 10,
                                                          .exactness = TN_EXACT_ROUNDING,
                                                          .name = "recognize_gelu",
                                                          .doc = "Gelu written with Erf or Tanh as "
                                                                 "one Gelu.",
                                                          .roots = roots,
                                                          .match = match });
}
