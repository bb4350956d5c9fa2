/* plugins/recognition/recognize_sigmoid.c: Sigmoid (ONNX: Sigmoid, 13) that was written out.
 *
 *   1 / (1 + Exp(-x)), also by Reciprocal, is Sigmoid(x);  n / (1 + Exp(-x)) is n * Sigmoid(x)
 *
 * Approximate, hence only ever asked for: written out, Exp of a large -x overflows and the answer is 0, where
 * Sigmoid still has a number.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

/* What has its sign turned. */
static tn_value_id read_negative(pattern *p, tn_value_id value)
{
    const tn_node_id neg = pattern_maker(p, value, "Neg");
    const tn_value_id x = neg == TN_NONE ? pattern_leaf(p, value) : pattern_node(p, neg)->inputs[0];
    double c[4];
    if (neg != TN_NONE)
        return pattern_take(p, neg) ? x : TN_NONE;
    return pattern_polynomial(p, value, x, c) && c[0] == 0.0 && c[1] == -1.0 ? x : TN_NONE;
}

/* From Exp on to the quotient; of what is `over`, TN_NONE for 1. */
static int find(pattern *p, tn_value_id *x, tn_value_id *over)
{
    double one;
    int first = 0;
    const tn_node_id sum = pattern_reader(p, p->y, "Add");
    *over = TN_NONE;
    if (sum == TN_NONE || !pattern_scalar(p, pattern_other(p, sum, p->y, NULL), &one) ||
        one != 1.0 || !pattern_follow(p, sum))
        return 0;
    *x = read_negative(p, pattern_node(p, p->root)->inputs[0]);
    const tn_node_id reciprocal = pattern_reader(p, p->y, "Reciprocal"),
                     quotient = pattern_reader(p, p->y, "Div");
    if (*x == TN_NONE || (reciprocal == TN_NONE && quotient == TN_NONE))
        return 0;
    if (reciprocal != TN_NONE)
        return pattern_follow(p, reciprocal);
    *over = pattern_other(p, quotient, p->y, &first);
    if (*over == TN_NONE || first)
        return 0;
    if (pattern_scalar(p, *over, &one) && one == 1.0)
        *over = TN_NONE;
    return pattern_follow(p, quotient);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_value_id x, over, y, product;
    if (!pattern_begin(&p, ctx, node, "Sigmoid") || !find(&p, &x, &over) ||
        (over != TN_NONE && !pattern_closed(&p)))
        return pattern_miss(&p);
    if (over == TN_NONE)
        return pattern_replace(&p, &x, 1, NULL, 0);
    TN_TRY(pattern_add(&p, "Sigmoid", &x, 1, NULL, 0, &y));
    const tn_value_id factors[2] = { over, y };
    TN_TRY(pattern_add(&p, "Mul", factors, 2, NULL, 0, &product));
    return pattern_finish(&p, product, y);
}

tn_status recognize_sigmoid_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Exp", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 5,
                                               .exactness = TN_EXACT_APPROXIMATE,
                                               .name = "recognize_sigmoid",
                                               .doc = "1 / (1 + Exp(-x)) as one Sigmoid.",
                                               .roots = roots,
                                               .match = match });
}
