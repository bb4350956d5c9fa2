/* engine/compile/pass_identity.c: drop_identity: nodes whose first output is one of their inputs.
 *
 * What is an identity the schema says (tn_operator_def.identity): Identity, an inference Dropout
 * whose mask nobody reads, a Cast to the same type. All who read the output, outputs of the graph
 * and of bodies too, then read the input; an output keeps its name. Exact: the schema promises
 * equality bit for bit.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

enum { FEW = 16 };

/* The lists that a query points to, on the stack while they are short. */
typedef struct tn_query {
    const tn_type *few_types[2 * FEW];
    const tn_tensor *few_constants[FEW];
    const tn_type **inputs, **outputs;
    const tn_tensor **constants;
    void *block;
} tn_query;

static tn_status query_init(tn_query *query, const tn_node_view *view)
{
    const size_t ins = view->input_count, outs = view->output_count;
    query->block = NULL;
    query->inputs = query->few_types;
    query->outputs = query->few_types + FEW;
    query->constants = query->few_constants;
    if (ins <= FEW && outs <= FEW)
        return TN_OK;
    query->block = tn_alloc(2 * ins + outs, sizeof(void *));
    if (!query->block)
        return tn_raise_memory();
    query->inputs = query->block;
    query->outputs = query->inputs + ins;
    query->constants = (const tn_tensor **)(void *)(query->outputs + outs);
    return TN_OK;
}

/* The input that output 0 equals, or -1. */
static int32_t ask(const tn_graph *graph, const tn_operator *op, const tn_node_view *view,
                   tn_query *query)
{
    tn_identity identity = { .size = sizeof identity,
                             .node = view,
                             .inputs = query->inputs,
                             .outputs = query->outputs,
                             .constants = query->constants };
    for (uint32_t k = 0; k < view->input_count; k++) {
        const tn_value_view *value = view->inputs[k] == TN_NONE
                                         ? NULL
                                         : tn_graph_value(graph, view->inputs[k]);
        query->inputs[k] = value ? value->type : NULL;
        query->constants[k] = tn_pass_constant(value);
    }
    for (uint32_t k = 0; k < view->output_count; k++) {
        const tn_value_view *value = view->outputs[k] == TN_NONE
                                         ? NULL
                                         : tn_graph_value(graph, view->outputs[k]);
        query->outputs[k] = value ? value->type : NULL;
        if (value && tn_pass_is_read(value))
            identity.used_outputs |= 1u << k;
    }
    return identity.used_outputs & 1u ? op->def.identity(&identity) : -1;
}

static bool others_are_read(const tn_graph *graph, const tn_node_view *view)
{
    for (uint32_t k = 1; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE && tn_pass_is_read(tn_graph_value(graph, view->outputs[k])))
            return true;
    return false;
}

/* Inference of the readers could learn nothing new: the same type, and no contents. */
static bool tells_nothing(const tn_graph *graph, tn_value_id old_value, tn_value_id new_value)
{
    const tn_dim *elements;
    return tn_type_equal(tn_graph_value(graph, old_value)->type,
                         tn_graph_value(graph, new_value)->type) &&
           !tn_graph_value(graph, new_value)->constant &&
           tn_graph_elements(graph, new_value, &elements) < 0;
}

tn_status tn_match_identity(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(ctx->graph, node);
    const tn_operator *op = tn_operator_of(ctx->graph, node);
    tn_value_id from, to;
    tn_query query;
    int32_t input;
    if (!op || !op->def.identity || !view->output_count || view->output_count > 32 ||
        others_are_read(ctx->graph, view))
        return TN_NO_MATCH;
    TN_TRY(query_init(&query, view));
    input = ask(ctx->graph, op, view, &query);
    tn_free(query.block);
    if (input < 0 || (uint32_t)input >= view->input_count || view->inputs[input] == TN_NONE)
        return TN_NO_MATCH;
    from = view->outputs[0];
    to = view->inputs[input];
    tn_pass_say(ctx, TN_OK, "%s (%s) dropped: '%s' is '%s'", view->name, view->op,
                tn_graph_value(ctx->graph, from)->name, tn_graph_value(ctx->graph, to)->name);
    tn_pass_manager(ctx)->quiet = tells_nothing(ctx->graph, from, to);
    TN_TRY(tn_graph_replace(ctx->graph, from, to));
    return tn_graph_remove_node(ctx->graph, node);
}
