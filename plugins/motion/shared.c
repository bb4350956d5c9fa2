/* plugins/motion/shared.c: looking at nodes and constants.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

const tn_tensor *motion_constant(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : ctx->api->value(ctx->graph, value);
    return view && view->constant && !view->is_input && !view->constant->kind ? view->constant
                                                                              : NULL;
}

int motion_is(const tn_node_view *view, const char *op)
{
    return view && !*view->domain && strcmp(view->op, op) == 0;
}
