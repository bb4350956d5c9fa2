/* plugins/cleanup/inline_if.c: an If whose condition is constant as the branch that it takes.
 *
 * The nodes of that branch are put where the If stood, the other branch goes. Exact. A branch with
 * nodes that have bodies of their own stays.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

#include <stdio.h>
#include <stdlib.h>

/* Values of the branch, and what stands for each of them outside. */
typedef struct moving {
    tn_rewrite *ctx;
    tn_region_id from, to;
    tn_node_id owner;
    tn_value_id (*pairs)[2];
    size_t count, room;
} moving;

static tn_value_id *find(moving *m, tn_value_id inner)
{
    for (size_t k = 0; k < m->count; k++)
        if (m->pairs[k][0] == inner)
            return &m->pairs[k][1];
    return NULL;
}

static tn_status add_pair(moving *m, tn_value_id inner, tn_value_id outer)
{
    if (m->count == m->room) {
        const size_t room = 2 * m->room + 16;
        tn_value_id(*pairs)[2] = realloc(m->pairs, room * sizeof *pairs);
        if (!pairs)
            return tn_fail(m->ctx, TN_ERR_MEMORY, "no memory for the values of a branch");
        m->pairs = pairs;
        m->room = room;
    }
    m->pairs[m->count][0] = inner;
    m->pairs[m->count++][1] = outer;
    return TN_OK;
}

static tn_status bring_constant(moving *m, tn_value_id inner, const tn_value_view *view)
{
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = m->to, .tensor = view->constant, .value = TN_NONE
    };
    tn_value_id outer;
    TN_TRY(m->ctx->api->add_constant(m->ctx->graph, &desc, &outer));
    return add_pair(m, inner, outer);
}

/* What stands outside for a value: itself, when it is from there. */
static tn_status bring(moving *m, tn_value_id inner, tn_value_id *out)
{
    tn_value_id *known = inner == TN_NONE ? NULL : find(m, inner);
    *out = inner;
    if (inner == TN_NONE)
        return TN_OK;
    if (!known) {
        const tn_value_view *view = m->ctx->api->value(m->ctx->graph, inner);
        if (view->region != m->from)
            return TN_OK;
        if (!view->constant)
            return TN_NO_MATCH;
        TN_TRY(bring_constant(m, inner, view));
        known = find(m, inner);
    }
    *out = *known;
    return TN_OK;
}

static int has_bodies(const tn_node_view *view)
{
    for (uint32_t k = 0; k < view->attribute_count; k++)
        if (view->attributes[k].type == TN_ATTR_GRAPH || view->attributes[k].type == TN_ATTR_GRAPHS)
            return 1;
    return 0;
}

/* A value outside for each that the branch's nodes make, so that nodes may come in any order. */
static tn_status announce(moving *m)
{
    const tn_graph_api *api = m->ctx->api;
    for (tn_node_id node = api->first_node(m->ctx->graph, m->from); node != TN_NONE;
         node = api->next_node(m->ctx->graph, node)) {
        if (has_bodies(api->node(m->ctx->graph, node)))
            return tn_fail(m->ctx, TN_NO_MATCH, "%s not inlined: its branch holds other bodies",
                           api->node(m->ctx->graph, m->owner)->name);
        for (uint32_t k = 0; k < api->node(m->ctx->graph, node)->output_count; k++) {
            const tn_value_id inner = api->node(m->ctx->graph, node)->outputs[k];
            tn_value_id outer;
            if (inner == TN_NONE)
                continue;
            TN_TRY(api->add_value(m->ctx->graph, m->to, NULL,
                                  api->value(m->ctx->graph, inner)->type, &outer));
            TN_TRY(add_pair(m, inner, outer));
        }
    }
    return TN_OK;
}

static tn_status copy_node(moving *m, tn_node_id node)
{
    const tn_graph_api *api = m->ctx->api;
    enum { MOST = 64 };
    tn_value_id inputs[MOST], outputs[MOST];
    tn_node_id copy;
    const tn_node_view *view = api->node(m->ctx->graph, node);
    const uint32_t input_count = view->input_count, output_count = view->output_count;
    if (input_count > MOST || output_count > MOST)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < input_count; k++)
        TN_TRY(bring(m, api->node(m->ctx->graph, node)->inputs[k], &inputs[k]));
    for (uint32_t k = 0; k < output_count; k++)
        TN_TRY(bring(m, api->node(m->ctx->graph, node)->outputs[k], &outputs[k]));
    view = api->node(m->ctx->graph, node);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = m->to,
                                .name = view->name,
                                .domain = view->domain,
                                .op = view->op,
                                .overload = view->overload,
                                .input_count = input_count,
                                .output_count = output_count,
                                .inputs = inputs,
                                .outputs = outputs,
                                .attribute_count = view->attribute_count,
                                .attributes = view->attributes,
                                .before = m->owner,
                                .origin = api->node_origin(m->ctx->graph, node),
                                .trace = node };
    return api->add_node(m->ctx->graph, &desc, &copy);
}

static tn_status copy_branch(moving *m)
{
    const tn_graph_api *api = m->ctx->api;
    TN_TRY(announce(m));
    for (tn_node_id node = api->first_node(m->ctx->graph, m->from); node != TN_NONE;
         node = api->next_node(m->ctx->graph, node))
        TN_TRY(copy_node(m, node));
    return TN_OK;
}

static tn_status put_outputs(moving *m)
{
    const tn_graph_api *api = m->ctx->api;
    const uint32_t count = api->node(m->ctx->graph, m->owner)->output_count;
    for (uint32_t k = 0; k < count; k++) {
        const tn_value_id *outputs, y = api->node(m->ctx->graph, m->owner)->outputs[k];
        tn_value_id outer;
        if (k >= api->region_outputs(m->ctx->graph, m->from, &outputs))
            return TN_NO_MATCH;
        TN_TRY(bring(m, outputs[k], &outer));
        if (y != TN_NONE)
            TN_TRY(api->replace(m->ctx->graph, y, outer));
    }
    return TN_OK;
}

/* 1 and 0; -1: nobody knows. */
static int read_condition(tn_rewrite *ctx, const tn_node_view *view, int *overridable)
{
    const tn_value_view *value = view->input_count ? ctx->api->value(ctx->graph, view->inputs[0])
                                                   : NULL;
    *overridable = value && value->constant && value->is_input;
    if (!value || !value->constant || value->is_input || value->constant->dtype != TN_BOOL ||
        tn_count(value->constant) != 1)
        return -1;
    return *(const uint8_t *)value->constant->data != 0;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    int overridable;
    const int taken = read_condition(ctx, view, &overridable);
    char name[96];
    snprintf(name, sizeof name, "%s", view->name);
    if (overridable)
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s not inlined: its condition is an input with a default, which a run may "
                       "replace",
                       name);
    const tn_attribute *branch = taken < 0 ? NULL
                                           : tn_attr(view, taken ? "then_branch" : "else_branch");
    if (!branch || branch->type != TN_ATTR_GRAPH)
        return TN_NO_MATCH;
    moving m = { .ctx = ctx, .from = branch->regions[0], .to = view->region, .owner = node };
    tn_status status = copy_branch(&m);
    if (status == TN_OK)
        status = put_outputs(&m);
    free(m.pairs);
    TN_TRY(status);
    TN_TRY(ctx->api->remove_node(ctx->graph, node));
    return tn_fail(ctx, TN_OK, "%s is its %s branch", name, taken ? "then" : "else");
}

tn_status inline_if_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "If", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){ .size = sizeof(tn_pass_def),
                        .phase = TN_PHASE_CLEAN,
                        .order = 40,
                        .exactness = TN_EXACT,
                        .name = "inline_constant_if",
                        .doc = "An If whose condition is constant as the branch that it takes.",
                        .roots = roots,
                        .match = match });
}
