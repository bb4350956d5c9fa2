/* plugins/fusion/fold_sum.c: the sum of a matrix product and something else as one Gemm.
 *
 * Y = alpha * A * B, then + z, becomes alpha * A * B + 1 * z (ONNX: Gemm). The product is a Gemm without
 * C, or a MatMul of two matrices; nothing else reads it; z need not be constant, but must have the
 * answer's extents or repeat along them.
 *
 * Rounding: a backend adds z before or after the products.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <stdio.h>

static int is_op(const tn_node_view *view, const char *op)
{
    return !*view->domain && strcmp(view->op, op) == 0;
}

static const tn_type *type_of(tn_rewrite *ctx, tn_value_id value)
{
    return ctx->api->value(ctx->graph, value)->type;
}

/* The product that makes a value; NULL: none does. */
static const tn_node_view *product_of(tn_rewrite *ctx, const tn_node_view *add, tn_value_id value,
                                      tn_node_id *out)
{
    *out = value == TN_NONE ? TN_NONE : ctx->api->value(ctx->graph, value)->producer;
    const tn_node_view *view = *out == TN_NONE ? NULL : ctx->api->node(ctx->graph, *out);
    if (!view || view->region != add->region || (!is_op(view, "Gemm") && !is_op(view, "MatMul")))
        return NULL;
    for (uint32_t k = 0; k < 2; k++)
        if (view->inputs[k] == TN_NONE || type_of(ctx, view->inputs[k])->rank != 2)
            return NULL;
    return view->input_count < 3 || view->inputs[2] == TN_NONE ? view : NULL;
}

static int repeats_along(const tn_type *z, const tn_type *y)
{
    if (z->rank < 0 || z->rank > y->rank)
        return 0;
    for (int32_t a = 0; a < z->rank; a++) {
        const tn_dim own = z->dims[a], wanted = y->dims[y->rank - z->rank + a];
        if (own != 1 && (own == TN_DIM_UNKNOWN || own != wanted))
            return 0;
    }
    return 1;
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, tn_node_id product, tn_value_id z)
{
    const tn_graph_api *api = ctx->api;
    const tn_attribute one = {
        .size = sizeof one, .type = TN_ATTR_FLOAT, .name = "beta", .f = 1.0
    };
    const tn_value_id old = api->node(ctx->graph, node)->outputs[0];
    char names[2][96];
    snprintf(names[0], sizeof names[0], "%s", api->node(ctx->graph, node)->name);
    snprintf(names[1], sizeof names[1], "%s", api->node(ctx->graph, product)->name);
    if (is_op(api->node(ctx->graph, product), "MatMul"))
        TN_TRY(api->set_operator(ctx->graph, product, "", "Gemm"));
    TN_TRY(api->set_attribute(ctx->graph, product, &one));
    TN_TRY(api->set_input(ctx->graph, product, 2, z));
    TN_TRY(api->replace(ctx->graph, old, api->node(ctx->graph, product)->outputs[0]));
    TN_TRY(api->remove_node(ctx->graph, node));
    return tn_fail(ctx, TN_OK, "%s folded into %s", names[0], names[1]);
}

static tn_status try_side(tn_rewrite *ctx, tn_node_id node, uint32_t side)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_value_id y = view->inputs[side], z = view->inputs[!side];
    char why[WHY_BYTES] = "", what[64];
    tn_node_id product;
    const tn_node_view *maker = product_of(ctx, view, y, &product);
    if (!maker || !(TN_BIT(type_of(ctx, y)->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    snprintf(what, sizeof what, "%s's output", maker->op);
    if (!fusion_is_single(ctx, y, node, what, why))
        return tn_fail(ctx, TN_NO_MATCH, "%s: Add not folded: %s", maker->name, why);
    if (!repeats_along(type_of(ctx, z), type_of(ctx, y)))
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: Add not folded: the other summand's extents are not known to be those "
                       "of the product",
                       maker->name);
    return rewrite(ctx, node, product, z);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    if (view->input_count != 2 || view->inputs[0] == TN_NONE || view->inputs[1] == TN_NONE ||
        view->outputs[0] == TN_NONE || view->version < 7)
        return TN_NO_MATCH;
    tn_node_id product;
    const uint32_t side = product_of(ctx, view, view->inputs[0], &product) == NULL;
    return try_side(ctx, node, side);
}

tn_status fold_sum_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Add", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_FOLD,
                                               .order = 60,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "fold_sum",
                                               .doc = "The sum of a matrix product and something "
                                                      "else as one Gemm.",
                                               .roots = roots,
                                               .match = match });
}
