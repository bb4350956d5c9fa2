/* plugins/recognition/recognize_global_average_pool.c: ReduceMean over all spatial axes as
 * GlobalAveragePool (ONNX: GlobalAveragePool, 22), with a Flatten where the axes are dropped.
 *
 * Rounds the same sum. Comes after the normalizations, which take means, too; and at least two
 * spatial axes are wanted: the last of three is as often one of features.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdio.h>

/* Whether the axes are 2, 3 … rank-1, each once. */
static int are_spatial(const tn_tensor *axes, int32_t rank)
{
    uint32_t seen = 0;
    for (int64_t k = 0; k < tn_count(axes); k++) {
        const int32_t a = tn_axis(tn_get_int(axes->dtype, axes->data, k), rank);
        if (a < 2 || (seen >> a & 1u))
            return 0;
        seen |= 1u << a;
    }
    return tn_count(axes) == rank - 2;
}

static int find(pattern *p)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const tn_value_view *axes = view->input_count > 1 && view->inputs[1] != TN_NONE
                                    ? pattern_value(p, view->inputs[1])
                                    : NULL;
    const tn_type *x = pattern_value(p, view->inputs[0])->type;
    if (!axes || !axes->constant || !(TN_BIT(x->dtype) & TN_MASK_FLOAT) || x->rank < 4)
        return 0;
    if (!are_spatial(axes->constant, x->rank))
        return 0;
    return !axes->is_input || pattern_refuse(p, "the axes are an input with a default, which a run "
                                                "may replace");
}

/* With keepdims 0 the extents of 1 go: what Flatten makes has the samples and the channels. */
static tn_status replace_flat(pattern *p, tn_value_id x)
{
    const tn_graph_api *api = p->ctx->api;
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 1 };
    char name[96], names[2][128];
    tn_node_id pool, flat;
    snprintf(name, sizeof name, "%s", pattern_node(p, p->root)->name);
    snprintf(names[0], sizeof names[0], "%s/GlobalAveragePool", name);
    snprintf(names[1], sizeof names[1], "%s/Flatten", name);
    tn_node_desc desc = { .size = sizeof desc,
                          .region = p->region,
                          .name = names[0],
                          .op = "GlobalAveragePool",
                          .input_count = 1,
                          .output_count = 1,
                          .inputs = &x,
                          .before = p->root,
                          .trace = p->root };
    TN_TRY(api->add_node(p->ctx->graph, &desc, &pool));
    const tn_value_id mean = pattern_node(p, pool)->outputs[0];
    desc.name = names[1];
    desc.op = "Flatten";
    desc.inputs = &mean;
    desc.attributes = &axis;
    desc.attribute_count = 1;
    TN_TRY(api->add_node(p->ctx->graph, &desc, &flat));
    TN_TRY(api->replace(p->ctx->graph, p->y, pattern_node(p, flat)->outputs[0]));
    TN_TRY(api->remove_node(p->ctx->graph, p->root));
    return tn_fail(p->ctx, TN_OK, "%s is a GlobalAveragePool and a Flatten", name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    if (!pattern_begin(&p, ctx, node, "GlobalAveragePool") || !find(&p))
        return pattern_miss(&p);
    const tn_value_id x = pattern_node(&p, node)->inputs[0];
    if (!tn_attr_int(pattern_node(&p, node), "keepdims", 1))
        return replace_flat(&p, x);
    return pattern_replace(&p, &x, 1, NULL, 0);
}

tn_status recognize_global_average_pool_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "ReduceMean", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 40,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "recognize_global_average_pool",
                                               .doc = "ReduceMean over all spatial axes as "
                                                      "GlobalAveragePool.",
                                               .roots = roots,
                                               .match = match });
}
