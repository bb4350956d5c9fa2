/* plugins/recognition/recognize_swish.c: x * Sigmoid(alpha * x) as one Swish (ONNX: Swish, 24).
 *
 * Rounds once less. Minus infinity: both are -inf * 0 = NaN.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static int find(pattern *p, tn_value_id *x, double *alpha)
{
    const tn_value_id inside = pattern_node(p, p->root)->inputs[0];
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    double c[4];
    if (product == TN_NONE)
        return 0;
    *x = pattern_other(p, product, p->y, NULL);
    if (*x == TN_NONE || !pattern_polynomial(p, inside, *x, c) || c[1] == 0.0)
        return 0; /* any gate */
    if (c[0] != 0.0 || c[2] != 0.0 || c[3] != 0.0)
        return pattern_refuse(p, "what is in the Sigmoid is more than a multiple of what it gates");
    *alpha = c[1];
    return pattern_follow(p, product) &&
           pattern_float(p, pattern_value(p, *x)->type->dtype, "alpha", *alpha);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_value_id x;
    double alpha = 1.0;
    if (!pattern_begin(&p, ctx, node, "Swish") || !find(&p, &x, &alpha))
        return pattern_miss(&p);
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_FLOAT, .name = "alpha", .f = (double)(float)alpha
    };
    return pattern_replace(&p, &x, 1, &attribute, 1);
}

tn_status recognize_swish_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Sigmoid", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_RECOGNIZE,
                                                          .order = 10,
                                                          .exactness = TN_EXACT_ROUNDING,
                                                          .name = "recognize_swish",
                                                          .doc = "x * Sigmoid(alpha * x) as one "
                                                                 "Swish.",
                                                          .roots = roots,
                                                          .match = match });
}
