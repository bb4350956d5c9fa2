/* plugins/recognition/recognize_instance_normalization.c: InstanceNormalization that was written out (ONNX:
 * InstanceNormalization, 6; Ulyanov et al., arXiv:1607.08022).
 *
 *   d = x - ReduceMean(x) over all spatial axes;  d / Sqrt(ReduceMean(d^2) + epsilon),
 *   then Mul and Add of constants of one number for each channel, as far as there are such
 *
 * Without either it may as well be a LayerNormalization over the last axes: it is taken as that where
 * there is one spatial axis, or where a scale of the normalized extents follows. Rounds the same sums.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

typedef struct instance {
    moments of;
    int64_t channels;
    tn_value_id scale, bias; /* TN_NONE: none was written */
} instance;

/* Whether a Mul follows whose other operand has the normalized extents. */
static int is_layer(pattern *p, const instance *n)
{
    const tn_node_id reader = pattern_reader(p, p->y, "Mul");
    const tn_value_id other = reader == TN_NONE ? TN_NONE : pattern_other(p, reader, p->y, NULL);
    const tn_type *x = pattern_value(p, n->of.x)->type,
                  *scale = other == TN_NONE ? NULL : pattern_value(p, other)->type;
    p->why[0] = 0;
    if (!scale || scale->rank != x->rank - 2)
        return 0;
    for (int32_t k = 0; k < scale->rank; k++)
        if (scale->dims[k] != x->dims[k + 2])
            return 0;
    return 1;
}

static int find(pattern *p, instance *n)
{
    if (!pattern_moments(p, 1, &n->of)) {
        p->why[0] = 0; /* recognize_layer_normalization says it */
        return 0;
    }
    const tn_type *x = pattern_value(p, n->of.x)->type;
    if (n->of.scale != TN_NONE || n->of.bias != TN_NONE)
        return 0;
    if (x->rank < 3 || n->of.axis != 2 || !(TN_BIT(x->dtype) & TN_MASK_FLOAT) || is_layer(p, n))
        return 0;
    n->channels = x->dims[1];
    if (!tn_dim_known(n->channels) || n->channels < 1)
        return pattern_refuse(p, "how many channels there are is not known");
    n->scale = pattern_follow_channels(p, n->channels, x->rank, "Mul");
    n->bias = pattern_follow_channels(p, n->channels, x->rank, "Add");
    if (x->rank == 3 && n->scale == TN_NONE && n->bias == TN_NONE)
        return 0;
    return pattern_float(p, x->dtype, "epsilon", n->of.epsilon);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    instance n = { .scale = TN_NONE, .bias = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "InstanceNormalization") || !find(&p, &n) ||
        !pattern_closed(&p))
        return pattern_miss(&p);
    const uint32_t dtype = pattern_value(&p, n.of.x)->type->dtype;
    const tn_attribute epsilon = { .size = sizeof epsilon,
                                   .type = TN_ATTR_FLOAT,
                                   .name = "epsilon",
                                   .f = (double)(float)n.of.epsilon };
    tn_value_id inputs[3] = { n.of.x };
    TN_TRY(pattern_channels(&p, dtype, n.channels, n.scale, 1.0, &inputs[1]));
    TN_TRY(pattern_channels(&p, dtype, n.channels, n.bias, 0.0, &inputs[2]));
    return pattern_replace(&p, inputs, 3, &epsilon, 1);
}

tn_status recognize_instance_normalization_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Sqrt", "Pow", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 29,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "recognize_instance_normalization",
                                               .doc = "The difference to the mean over all spatial "
                                                      "axes by the root of its mean square as one "
                                                      "InstanceNormalization, with scale and bias.",
                                               .roots = roots,
                                               .match = match });
}
