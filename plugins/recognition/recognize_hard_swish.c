/* plugins/recognition/recognize_hard_swish.c: HardSwish (ONNX: HardSwish, 14) that was written out.
 *
 *   x * Clip(x + 3, 0, 6) / 6        in any order        x * HardSigmoid(x; 1/6, 1/2)
 *
 * Clip also as Min and Max. Rounds less. Minus infinity: both are -inf * 0 = NaN.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

/* In the end the answer is x * min(max(low, a x + b), high) with these. */
typedef struct gate {
    double a, b, low, high;
} gate;

static int read_gate(pattern *p, tn_value_id x, const clipped *clip, gate *g)
{
    const tn_node_view *view = pattern_node(p, p->root);
    double c[4];
    if (pattern_is(p, p->root, "HardSigmoid")) {
        *g = (gate){ (double)tn_attr_float(view, "alpha", 0.2f),
                     (double)tn_attr_float(view, "beta", 0.5f), 0.0, 1.0 };
        return view->inputs[0] == x;
    }
    if (!pattern_polynomial(p, clip->of, x, c) || c[2] != 0.0 || c[3] != 0.0)
        return 0;
    *g = (gate){ c[1], c[0], clip->low, clip->high };
    return 1;
}

static int find(pattern *p, tn_value_id *x)
{
    gate g = { 0 };
    clipped clip;
    double scale = 1.0;
    if (!pattern_is(p, p->root, "HardSigmoid") && !pattern_clip(p, &clip))
        return 0;
    pattern_follow_scale(p, &scale);
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    if (product == TN_NONE)
        return 0;
    *x = pattern_other(p, product, p->y, NULL);
    if (*x == TN_NONE || !read_gate(p, *x, &clip, &g) || !pattern_follow(p, product))
        return 0; /* any gate */
    const uint32_t dtype = pattern_value(p, *x)->type->dtype;
    if (!pattern_near(dtype, g.high * scale, 1.0))
        pattern_follow_scale(p, &scale);
    if (!pattern_near(dtype, g.a * scale, 1.0 / 6.0) || !pattern_near(dtype, g.b * scale, 0.5) ||
        g.low != 0.0 || !pattern_near(dtype, g.high * scale, 1.0))
        return pattern_refuse(p, "the gate is min(max(%g, %g x + %g), %g)", g.low * scale,
                              g.a * scale, g.b * scale, g.high * scale);
    return 1;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_value_id x;
    if (!pattern_begin(&p, ctx, node, "HardSwish") || !find(&p, &x))
        return pattern_miss(&p);
    return pattern_replace(&p, &x, 1, NULL, 0);
}

tn_status recognize_hard_swish_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Clip", "Min", "Max", "HardSigmoid", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_RECOGNIZE,
                                                          .order = 10,
                                                          .exactness = TN_EXACT_ROUNDING,
                                                          .name = "recognize_hard_swish",
                                                          .doc = "x * Clip(x + 3, 0, 6) / 6 as one "
                                                                 "HardSwish.",
                                                          .roots = roots,
                                                          .match = match });
}
