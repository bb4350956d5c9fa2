/* plugins/recognition/recognize_softplus.c: Log(1 + Exp(x)) as one Softplus (ONNX: Softplus, 22).
 *
 * Approximate, hence only ever asked for: written out, a large x overflows to infinity, and what is
 * below the last digit of 1 is lost; Softplus answers x, and exp(x).
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static int find(pattern *p)
{
    double one;
    const tn_node_id sum = pattern_reader(p, p->y, "Add");
    if (sum == TN_NONE || !pattern_scalar(p, pattern_other(p, sum, p->y, NULL), &one) ||
        !pattern_follow(p, sum))
        return 0;
    const tn_node_id log = pattern_reader(p, p->y, "Log");
    if (log == TN_NONE)
        return 0;
    if (one != 1.0)
        return pattern_refuse(p, "the constant is %.9g, not 1", one);
    return pattern_follow(p, log);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    if (!pattern_begin(&p, ctx, node, "Softplus"))
        return TN_NO_MATCH;
    const tn_value_id x = pattern_node(&p, node)->inputs[0];
    return find(&p) ? pattern_replace(&p, &x, 1, NULL, 0) : pattern_miss(&p);
}

tn_status recognize_softplus_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Exp", NULL };
    return registrar->add_pass(registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                                          .phase = TN_PHASE_RECOGNIZE,
                                                          .order = 10,
                                                          .exactness = TN_EXACT_APPROXIMATE,
                                                          .name = "recognize_softplus",
                                                          .doc = "Log(1 + Exp(x)) as one Softplus.",
                                                          .roots = roots,
                                                          .match = match });
}
