/* plugins/cleanup/drop_before_shape.c: a Shape or Size reads the value that first has the shape it asks
 * for, so that what stands between, which it alone may have needed, can go.
 *
 * An input of the graph is there before all else: whatever the way, that is the first. So a long chain with
 * many Shapes is not walked by each of them.
 *
 * Exact: equal dimensions of inference, numbers or expressions over symbols, are equal in every run.
 * What is not known is equal to nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdbool.h>

static bool is_known(const tn_type *type)
{
    bool known = type->kind == TN_TENSOR && type->rank >= 0 && !(type->flags & TN_TYPE_LATE);
    for (int32_t k = 0; known && k < type->rank; k++)
        known = type->dims[k] != TN_DIM_UNKNOWN;
    return known;
}

static bool same_shape(const tn_type *a, const tn_type *b)
{
    bool same = a->rank == b->rank;
    for (int32_t k = 0; same && k < a->rank; k++)
        same = a->dims[k] == b->dims[k];
    return same;
}

/* An input of what makes `value` that has its shape; TN_NONE: none. */
static tn_value_id one_before(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = ctx->api->value(ctx->graph, value);
    const tn_node_view *maker = ctx->api->node(ctx->graph, view->producer);
    for (uint32_t k = 0; maker && k < maker->input_count; k++) {
        const tn_value_view *in = maker->inputs[k] == TN_NONE
                                      ? NULL
                                      : ctx->api->value(ctx->graph, maker->inputs[k]);
        if (in && !in->constant && is_known(in->type) && same_shape(in->type, view->type))
            return maker->inputs[k];
    }
    return TN_NONE;
}

/* An input of the graph with the shape of a value; TN_NONE: none. */
static tn_value_id input_like(tn_rewrite *ctx, tn_value_id value)
{
    const tn_type *type = ctx->api->value(ctx->graph, value)->type;
    const tn_value_id *inputs;
    const uint32_t count = ctx->api->region_inputs(ctx->graph, TN_TOP_REGION, &inputs);
    for (uint32_t k = 0; k < count; k++) {
        const tn_value_view *in = ctx->api->value(ctx->graph, inputs[k]);
        if (!in->constant && is_known(in->type) && same_shape(in->type, type))
            return inputs[k];
    }
    return TN_NONE;
}

static int is_input(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = ctx->api->value(ctx->graph, value);
    return view->producer == TN_NONE && view->region == TN_TOP_REGION;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    tn_value_id source = view->inputs[0];
    uint32_t steps = 0;
    if (!is_known(ctx->api->value(ctx->graph, source)->type) || is_input(ctx, source))
        return TN_NO_MATCH;
    const tn_value_id input = input_like(ctx, source);
    if (input != TN_NONE) {
        TN_TRY(ctx->api->set_input(ctx->graph, node, 0, input));
        return tn_fail(ctx, TN_OK, "%s reads the input '%s', which has the same shape",
                       ctx->api->node(ctx->graph, node)->name,
                       ctx->api->value(ctx->graph, input)->name);
    }
    for (tn_value_id next; (next = one_before(ctx, source)) != TN_NONE; steps++)
        source = next;
    if (!steps)
        return TN_NO_MATCH;
    TN_TRY(ctx->api->set_input(ctx->graph, node, 0, source));
    return tn_fail(ctx, TN_OK, "%s reads '%s', %u nodes before, which has the same shape",
                   ctx->api->node(ctx->graph, node)->name,
                   ctx->api->value(ctx->graph, source)->name, steps);
}

tn_status drop_before_shape_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Shape", "Size", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_CLEAN,
                                   .order = 56,
                                   .exactness = TN_EXACT,
                                   .name = "drop_before_shape",
                                   .doc = "A Shape reads the value that first has the shape.",
                                   .roots = roots,
                                   .match = match });
}
