/* plugins/recognition/recognize_group_normalization.c: groups of channels laid side by side for an
 * InstanceNormalization, as one GroupNormalization (ONNX: GroupNormalization, 21; Wu and He,
 * arXiv:1803.08494).
 *
 *   Reshape to [N, groups, …], InstanceNormalization with scales of 1 and biases of 0, or LayerNormalization
 *   over all but the first two axes with such, Reshape back,
 *   then Mul and Add of constants of one number for each channel, as far as there are such
 *
 * That is how exporters write it for operator sets without GroupNormalization. Rounds the same sums.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { MOST_CHANNELS = 1 << 20 };

typedef struct grouped {
    tn_value_id x;
    int64_t groups, channels;
    tn_value_id scale, bias; /* TN_NONE: none was written */
} grouped;

static int is_all(const tn_tensor *constant, double number)
{
    for (int64_t k = 0; constant && k < tn_count(constant); k++)
        if (tn_get_double(constant->dtype, constant->data, k) != number)
            return 0;
    return constant != NULL;
}

static int same_type(const tn_type *a, const tn_type *b)
{
    for (int32_t k = 0; k < a->rank && a->rank == b->rank; k++)
        if (a->dims[k] != b->dims[k] || a->dims[k] == TN_DIM_UNKNOWN)
            return 0;
    return a->rank == b->rank;
}

/* Whether x [N, C, …] can be cut into [N, groups, …]. */
static int groups_fit(pattern *p, grouped *g, const tn_type *middle)
{
    const tn_type *x = pattern_value(p, g->x)->type;
    if (x->rank < 3 || middle->rank < 3 || x->dims[0] != middle->dims[0] ||
        x->dims[0] == TN_DIM_UNKNOWN || !tn_dim_known(x->dims[1]) || !tn_dim_known(middle->dims[1]))
        return pattern_refuse(p, "samples and channels are not known to stay");
    g->channels = x->dims[1];
    g->groups = middle->dims[1];
    if (g->groups < 1 || g->channels < 1 || g->channels > MOST_CHANNELS ||
        g->channels % g->groups != 0)
        return pattern_refuse(p, "%d groups do not divide the channels", (int)g->groups);
    return 1;
}

/* Whether all of a group is normalized at once, and nothing else. */
static int is_whole(pattern *p, const tn_node_view *norm, const tn_type *middle)
{
    if (pattern_is(p, p->root, "LayerNormalization") &&
        tn_axis(tn_attr_int(norm, "axis", -1), middle->rank) != 2)
        return 0;
    const int biased = norm->input_count > 2 && norm->inputs[2] != TN_NONE;
    return (is_all(pattern_constant(p, norm->inputs[1]), 1.0) &&
            (!biased || is_all(pattern_constant(p, norm->inputs[2]), 0.0))) ||
           pattern_refuse(p, "scales of the groups are not 1, or biases not 0");
}

static int find(pattern *p, grouped *g)
{
    const tn_node_view *norm = pattern_node(p, p->root);
    const tn_value_id middle = norm->inputs[0];
    const tn_node_id cut = pattern_maker(p, middle, "Reshape"),
                     join = pattern_reader(p, p->y, "Reshape");
    if (cut == TN_NONE || join == TN_NONE || pattern_node(p, join)->inputs[0] != p->y)
        return 0;
    g->x = pattern_node(p, cut)->inputs[0];
    if (pattern_is(p, p->root, "LayerNormalization") &&
        !is_whole(p, norm, pattern_value(p, middle)->type)) {
        p->why[0] = 0; /* any LayerNormalization */
        return 0;
    }
    if (!groups_fit(p, g, pattern_value(p, middle)->type))
        return 0;
    if (!is_whole(p, norm, pattern_value(p, middle)->type))
        return 0;
    if (!pattern_take(p, cut) || !pattern_follow(p, join))
        return 0;
    if (!same_type(pattern_value(p, g->x)->type, pattern_value(p, p->y)->type))
        return pattern_refuse(p, "it does not get its shape back");
    g->scale = pattern_follow_channels(p, g->channels, pattern_value(p, g->x)->type->rank, "Mul");
    g->bias = pattern_follow_channels(p, g->channels, pattern_value(p, g->x)->type->rank, "Add");
    return 1;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    grouped g = { .scale = TN_NONE, .bias = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "GroupNormalization") || !find(&p, &g))
        return pattern_miss(&p);
    const tn_attribute attributes[] = {
        { .size = sizeof *attributes, .type = TN_ATTR_INT, .name = "num_groups", .i = g.groups },
        { .size = sizeof *attributes,
          .type = TN_ATTR_FLOAT,
          .name = "epsilon",
          .f = (double)tn_attr_float(pattern_node(&p, node), "epsilon", 1e-5f) }
    };
    tn_value_id inputs[3] = { g.x };
    if (!pattern_closed(&p))
        return pattern_miss(&p);
    const uint32_t dtype = pattern_value(&p, g.x)->type->dtype;
    TN_TRY(pattern_channels(&p, dtype, g.channels, g.scale, 1.0, &inputs[1]));
    TN_TRY(pattern_channels(&p, dtype, g.channels, g.bias, 0.0, &inputs[2]));
    return pattern_replace(&p, inputs, 3, attributes, 2);
}

tn_status recognize_group_normalization_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "InstanceNormalization", "LayerNormalization", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 32,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "recognize_group_normalization",
                                               .doc = "InstanceNormalization of groups of channels "
                                                      "between two Reshapes as one "
                                                      "GroupNormalization, with scale and bias.",
                                               .roots = roots,
                                               .match = match });
}
