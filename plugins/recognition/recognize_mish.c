/* plugins/recognition/recognize_mish.c: x * Tanh(Softplus(x)) as one Mish (ONNX: Mish, 18).
 *
 * Rounds less. Minus infinity: both are -inf * 0 = NaN.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

static int find(pattern *p, tn_value_id x)
{
    const tn_node_id tanh = pattern_reader(p, p->y, "Tanh");
    if (tanh == TN_NONE || !pattern_follow(p, tanh))
        return 0;
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    if (product == TN_NONE)
        return 0;
    if (pattern_other(p, product, p->y, NULL) != x)
        return pattern_refuse(p, "what is multiplied is not what Softplus reads");
    return pattern_follow(p, product);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    if (!pattern_begin(&p, ctx, node, "Mish"))
        return TN_NO_MATCH;
    const tn_value_id x = pattern_node(&p, node)->inputs[0];
    return find(&p, x) ? pattern_replace(&p, &x, 1, NULL, 0) : pattern_miss(&p);
}

tn_status recognize_mish_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Softplus", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 20,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "recognize_mish",
                                               .doc = "x * Tanh(Softplus(x)) as one Mish.",
                                               .roots = roots,
                                               .match = match });
}
