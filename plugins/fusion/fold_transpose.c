/* plugins/fusion/fold_transpose.c: a Transpose of a matrix into the Gemm or MatMul that reads it.
 *
 * Gemm turns its operands itself (transA, transB); a MatMul of two matrices becomes a Gemm. Exact:
 * the same products are summed, in the order in which the backend's Gemm sums.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <stdio.h>

static tn_status refuse(char why[WHY_BYTES], const char *text)
{
    snprintf(why, WHY_BYTES, "%s", text);
    return TN_NO_MATCH;
}

static int is_op(const tn_node_view *view, const char *op)
{
    return !*view->domain && strcmp(view->op, op) == 0;
}

static int swaps(const tn_node_view *view)
{
    const int64_t *perm;
    const size_t count = tn_attr_ints(view, "perm", &perm);
    return count == 0 || (count == 2 && perm[0] == 1);
}

static tn_status check(tn_rewrite *ctx, const tn_node_view *view, tn_node_id reader,
                       char why[WHY_BYTES])
{
    const tn_node_view *product = ctx->api->node(ctx->graph, reader);
    if (!fusion_is_single(ctx, view->outputs[0], reader, "Transpose's output", why))
        return TN_NO_MATCH;
    if (product->region != view->region)
        return refuse(why, "it is read in another body");
    for (uint32_t k = 0; k < 2; k++)
        if (ctx->api->value(ctx->graph, product->inputs[k])->type->rank != 2)
            return refuse(why, "MatMul's inputs are not both known to be matrices");
    if (!(TN_BIT(ctx->api->value(ctx->graph, view->inputs[0])->type->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    return swaps(view) ? TN_OK : TN_NO_MATCH;
}

static tn_status rewrite(tn_rewrite *ctx, tn_node_id node, tn_node_id reader, uint32_t input)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node),
                       *product = ctx->api->node(ctx->graph, reader);
    const char *name = input ? "transB" : "transA";
    const tn_value_id x = view->inputs[0];
    char from[96], to[96];
    const tn_attribute turn = { .size = sizeof turn,
                                .type = TN_ATTR_INT,
                                .name = name,
                                .i = is_op(product, "MatMul") || !tn_attr_int(product, name, 0) };
    snprintf(from, sizeof from, "%s", view->name);
    snprintf(to, sizeof to, "%s", product->name);
    if (is_op(product, "MatMul"))
        TN_TRY(ctx->api->set_operator(ctx->graph, reader, "", "Gemm"));
    TN_TRY(ctx->api->set_attribute(ctx->graph, reader, &turn));
    TN_TRY(ctx->api->set_input(ctx->graph, reader, input, x));
    TN_TRY(ctx->api->remove_node(ctx->graph, node));
    return tn_fail(ctx, TN_OK, "%s folded into %s", from, to);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    char why[WHY_BYTES] = "";
    tn_node_id reader;
    uint32_t input;
    if (!view->input_count || view->inputs[0] == TN_NONE ||
        ctx->api->value(ctx->graph, view->inputs[0])->type->rank != 2 ||
        ctx->api->use(ctx->graph, view->outputs[0], 0, &reader, &input) != TN_OK || input > 1)
        return TN_NO_MATCH;
    const tn_node_view *product = ctx->api->node(ctx->graph, reader);
    if (!is_op(product, "Gemm") && !is_op(product, "MatMul"))
        return TN_NO_MATCH;
    const tn_status status = check(ctx, view, reader, why);
    if (status == TN_OK)
        return rewrite(ctx, node, reader, input);
    return why[0] ? tn_fail(ctx, status, "%s: Transpose not folded: %s",
                            ctx->api->node(ctx->graph, reader)->name, why)
                  : status;
}

tn_status fold_transpose_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_FOLD,
                                               .order = 50,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "fold_transpose",
                                               .doc = "Folds a Transpose of a matrix into "
                                                      "the Gemm or MatMul that reads it.",
                                               .roots = roots,
                                               .match = match });
}
