/* plugins/recognition/recognize_hard_sigmoid.c: HardSigmoid (ONNX: HardSigmoid, 22) written out.
 *
 *   Clip(a x + b, 0, high) / high  is  HardSigmoid(x; a / high, b / high)
 *
 * Clip also as Min and Max. A Clip to [0, 1] of a bare x stays: it is as short. Rounds less.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static int find(pattern *p, tn_value_id *x, double *alpha, double *beta)
{
    double scale = 1.0, c[4];
    clipped clip;
    if (!pattern_clip(p, &clip) || clip.low != 0.0 || !(clip.high > 0.0))
        return 0;
    const uint32_t count = p->count;
    *x = pattern_leaf(p, clip.of);
    const uint32_t dtype = pattern_value(p, *x)->type->dtype;
    if (!pattern_polynomial(p, clip.of, *x, c) || p->count == count)
        return 0;
    pattern_follow_scale(p, &scale);
    if (!pattern_near(dtype, clip.high * scale, 1.0))
        return 0; /* a Clip like others */
    *alpha = c[1] * scale;
    *beta = c[0] * scale;
    return pattern_float(p, dtype, "alpha", *alpha) && pattern_float(p, dtype, "beta", *beta);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_value_id x;
    double alpha = 0.0, beta = 0.0;
    if (!pattern_begin(&p, ctx, node, "HardSigmoid") || !find(&p, &x, &alpha, &beta))
        return pattern_miss(&p);
    const tn_attribute attributes[] = { { .size = sizeof *attributes,
                                          .type = TN_ATTR_FLOAT,
                                          .name = "alpha",
                                          .f = (double)(float)alpha },
                                        { .size = sizeof *attributes,
                                          .type = TN_ATTR_FLOAT,
                                          .name = "beta",
                                          .f = (double)(float)beta } };
    return pattern_replace(&p, &x, 1, attributes, 2);
}

tn_status recognize_hard_sigmoid_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Clip", "Min", "Max", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 20,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "recognize_hard_sigmoid",
                                   .doc = "Clip(a x + b, 0, high) / high as one HardSigmoid.",
                                   .roots = roots,
                                   .match = match });
}
