/* plugins/cleanup/shared.c: looking at neighbours and constants.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

int cleanup_is(const tn_node_view *view, const char *op)
{
    return view && !*view->domain && strcmp(view->op, op) == 0;
}

const tn_node_view *cleanup_maker(tn_rewrite *ctx, const tn_node_view *view, uint32_t k,
                                  tn_node_id *out)
{
    const tn_value_view *value = k < view->input_count && view->inputs[k] != TN_NONE
                                     ? ctx->api->value(ctx->graph, view->inputs[k])
                                     : NULL;
    const tn_node_view *maker = value && value->producer != TN_NONE
                                    ? ctx->api->node(ctx->graph, value->producer)
                                    : NULL;
    if (!maker || maker->region != view->region || !maker->input_count ||
        maker->inputs[0] == TN_NONE)
        return NULL;
    *out = value->producer;
    return maker;
}

int cleanup_is_single(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = ctx->api->value(ctx->graph, value);
    return view->use_count == 1 && !view->output_count;
}

const tn_tensor *cleanup_integers(tn_rewrite *ctx, const tn_node_view *view, uint32_t k)
{
    const tn_value_view *value = k < view->input_count && view->inputs[k] != TN_NONE
                                     ? ctx->api->value(ctx->graph, view->inputs[k])
                                     : NULL;
    if (!value || !value->constant || value->is_input || value->constant->kind ||
        (value->constant->dtype != TN_INT64 && value->constant->dtype != TN_INT32))
        return NULL;
    return value->constant;
}

tn_status cleanup_add_integers(tn_rewrite *ctx, tn_region_id region, const int64_t *data,
                               int64_t count, tn_value_id *out)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_INT64,
                               .rank = 1,
                               .dims = &count,
                               .data = (void *)(uintptr_t)data,
                               .bytes = (size_t)count * sizeof *data };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = region, .tensor = &tensor, .value = TN_NONE
    };
    return ctx->api->add_constant(ctx->graph, &desc, out);
}
