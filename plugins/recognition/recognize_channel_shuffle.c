/* plugins/recognition/recognize_channel_shuffle.c: Reshape, Transpose and Reshape that mix groups of
 * channels (Zhang et al., ShuffleNet, arXiv:1707.01083) as one Gather along the channels.
 *
 * Exact: elements move. With three nodes a tensor of rank 5 stands in between, which has no
 * channels-last form; a Gather keeps whatever layout its neighbours like.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { MOST_CHANNELS = 4096 };

/* Whether Transpose changes axes 1 and 2 over, and nothing else. */
static int swaps_groups(const tn_node_view *view)
{
    const int64_t *perm;
    const size_t count = tn_attr_ints(view, "perm", &perm);
    if (count < 4 || perm[1] != 2 || perm[2] != 1)
        return 0;
    for (size_t k = 0; k < count; k++)
        if (k != 1 && k != 2 && perm[k] != (int64_t)k)
            return 0;
    return 1;
}

/* Samples and spatial axes of [N, C, …] are those of [N, groups, C / groups, …]. */
static int keeps_others(const tn_type *x, const tn_type *split)
{
    if (x->rank < 3 || split->rank != x->rank + 1)
        return 0;
    for (int32_t k = 0; k < x->rank; k++)
        if (k != 1 &&
            (x->dims[k] == TN_DIM_UNKNOWN || x->dims[k] != split->dims[k < 1 ? k : k + 1]))
            return 0;
    return tn_dim_known(x->dims[1]) && tn_dim_known(split->dims[1]) &&
           tn_dim_known(split->dims[2]) && x->dims[1] == split->dims[1] * split->dims[2];
}

static int equals(const tn_type *a, const tn_type *b)
{
    for (int32_t k = 0; k < a->rank && a->rank == b->rank; k++)
        if (a->dims[k] != b->dims[k])
            return 0;
    return a->rank == b->rank;
}

/* Answers the value that is shuffled, and its types before and between; TN_NONE: it is another. */
static tn_value_id find(pattern *p, const tn_type **x, const tn_type **split)
{
    const tn_value_id input = pattern_node(p, p->root)->inputs[0];
    const tn_node_id before = pattern_maker(p, input, "Reshape");
    const tn_node_id behind = swaps_groups(pattern_node(p, p->root))
                                  ? pattern_reader(p, p->y, "Reshape")
                                  : TN_NONE;
    if (before == TN_NONE || behind == TN_NONE)
        return TN_NONE;
    const tn_value_id value = pattern_node(p, before)->inputs[0];
    *x = pattern_value(p, value)->type;
    *split = pattern_value(p, input)->type;
    if (!keeps_others(*x, *split) || (*x)->dims[1] > MOST_CHANNELS ||
        pattern_node(p, behind)->inputs[0] != p->y || !pattern_take(p, before) ||
        !pattern_follow(p, behind) || !equals(*x, pattern_value(p, p->y)->type))
        return TN_NONE;
    return value;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    int64_t channels[MOST_CHANNELS];
    const tn_type *x, *split;
    pattern p;
    const tn_value_id value = pattern_begin(&p, ctx, node, "Gather") ? find(&p, &x, &split)
                                                                     : TN_NONE;
    if (value == TN_NONE)
        return pattern_miss(&p);
    const int64_t groups = split->dims[1], width = split->dims[2], count = x->dims[1];
    for (int64_t c = 0; c < count; c++)
        channels[c] = c % groups * width + c / groups;
    const tn_tensor indices = { .size = sizeof indices,
                                .kind = TN_TENSOR,
                                .dtype = TN_INT64,
                                .rank = 1,
                                .dims = &count,
                                .data = channels,
                                .bytes = (size_t)count * sizeof *channels };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p.region, .tensor = &indices, .value = TN_NONE
    };
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 1 };
    tn_value_id inputs[2] = { value };
    TN_TRY(ctx->api->add_constant(ctx->graph, &desc, &inputs[1]));
    return pattern_replace(&p, inputs, 2, &axis, 1);
}

tn_status recognize_channel_shuffle_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 60,
                                               .exactness = TN_EXACT,
                                               .name = "recognize_channel_shuffle",
                                               .doc = "Reshape, Transpose and Reshape that mix "
                                                      "groups of channels as one Gather.",
                                               .roots = roots,
                                               .match = match });
}
