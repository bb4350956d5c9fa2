/* plugins/recognition/recognize_split.c: Slices that cut a value into neighbouring parts as one Split
 * (ONNX: Split, 18).
 *
 * All along one axis of known extent, in steps of 1, by constants that no run replaces; together they
 * cover the axis once. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdio.h>

enum { MOST_PARTS = 32 };

typedef struct part {
    tn_node_id node;
    int64_t begin, end;
} part;

typedef struct cuts {
    tn_rewrite *ctx;
    tn_region_id region;
    tn_value_id x;
    int32_t axis;
    uint32_t count;
    part parts[MOST_PARTS]; /* by where they begin */
} cuts;

/* The only element of a constant vector of one integer. */
static int read_one(const cuts *c, const tn_node_view *view, uint32_t k, int64_t *out)
{
    const tn_value_view *value = k < view->input_count && view->inputs[k] != TN_NONE
                                     ? c->ctx->api->value(c->ctx->graph, view->inputs[k])
                                     : NULL;
    const tn_tensor *t = value && !value->is_input ? value->constant : NULL;
    if (!t || tn_count(t) != 1 || (t->dtype != TN_INT64 && t->dtype != TN_INT32))
        return 0;
    *out = tn_get_int(t->dtype, t->data, 0);
    return 1;
}

static int64_t bounded(int64_t at, int64_t extent)
{
    at = at < 0 ? at + extent : at;
    return at < 0 ? 0 : at > extent ? extent : at;
}

/* Reads a Slice of one axis; 0: it is another thing. */
static int read_slice(const cuts *c, tn_node_id node, part *out, int32_t *axis)
{
    const tn_node_view *view = c->ctx->api->node(c->ctx->graph, node);
    const tn_type *x = c->ctx->api->value(c->ctx->graph, c->x)->type;
    int64_t begin, end, along, step = 1;
    if (*view->domain || strcmp(view->op, "Slice") != 0 || view->region != c->region ||
        view->inputs[0] != c->x || view->version < 10 || x->rank < 1)
        return 0;
    if (!read_one(c, view, 1, &begin) || !read_one(c, view, 2, &end) ||
        !read_one(c, view, 3, &along) ||
        (view->input_count > 4 && view->inputs[4] != TN_NONE && !read_one(c, view, 4, &step)))
        return 0;
    *axis = tn_axis(along, x->rank);
    if (*axis < 0 || step != 1 || !tn_dim_known(x->dims[*axis]))
        return 0;
    *out = (part){ node, bounded(begin, x->dims[*axis]), bounded(end, x->dims[*axis]) };
    return out->begin < out->end;
}

static void insert(cuts *c, part p)
{
    uint32_t at = c->count++;
    for (; at > 0 && c->parts[at - 1].begin > p.begin; at--)
        c->parts[at] = c->parts[at - 1];
    c->parts[at] = p;
}

static int gather(cuts *c)
{
    tn_node_id reader;
    uint32_t input;
    for (uint32_t k = 0; c->ctx->api->use(c->ctx->graph, c->x, k, &reader, &input) == TN_OK; k++) {
        part p;
        int32_t axis;
        if (input != 0 || !read_slice(c, reader, &p, &axis) || axis != c->axis)
            continue;
        if (c->count == MOST_PARTS)
            return 0;
        insert(c, p);
    }
    return c->count > 1;
}

static int cover(const cuts *c)
{
    int64_t at = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        if (c->parts[k].begin != at)
            return 0;
        at = c->parts[k].end;
    }
    return at == c->ctx->api->value(c->ctx->graph, c->x)->type->dims[c->axis];
}

static tn_status add_split(const cuts *c, tn_node_id before, const char *name, tn_node_id *out)
{
    int64_t extents[MOST_PARTS];
    const int64_t count = c->count;
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_INT64,
                               .rank = 1,
                               .dims = &count,
                               .data = extents,
                               .bytes = (size_t)count * sizeof *extents };
    const tn_constant_desc constant = {
        .size = sizeof constant, .region = c->region, .tensor = &tensor, .value = TN_NONE
    };
    const tn_attribute axis = {
        .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = c->axis
    };
    tn_value_id inputs[2] = { c->x, TN_NONE };
    for (uint32_t k = 0; k < c->count; k++)
        extents[k] = c->parts[k].end - c->parts[k].begin;
    TN_TRY(c->ctx->api->add_constant(c->ctx->graph, &constant, &inputs[1]));
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = c->region,
                                .name = name,
                                .op = "Split",
                                .input_count = 2,
                                .output_count = c->count,
                                .inputs = inputs,
                                .attribute_count = 1,
                                .attributes = &axis,
                                .before = before,
                                .trace = before };
    return c->ctx->api->add_node(c->ctx->graph, &desc, out);
}

static tn_status rewrite(const cuts *c, tn_node_id root)
{
    const tn_graph_api *api = c->ctx->api;
    char first[96], name[128];
    tn_node_id split;
    snprintf(first, sizeof first, "%s", api->node(c->ctx->graph, root)->name);
    snprintf(name, sizeof name, "%s/Split", first);
    TN_TRY(add_split(c, root, name, &split));
    for (uint32_t k = 0; k < c->count; k++) {
        const tn_value_id old = api->node(c->ctx->graph, c->parts[k].node)->outputs[0];
        TN_TRY(api->replace(c->ctx->graph, old, api->node(c->ctx->graph, split)->outputs[k]));
        TN_TRY(api->remove_node(c->ctx->graph, c->parts[k].node));
    }
    return tn_fail(c->ctx, TN_OK, "%u Slices from %s on are one Split", c->count, first);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    cuts c = { .ctx = ctx, .region = view->region };
    part own;
    if (!view->input_count || view->inputs[0] == TN_NONE)
        return TN_NO_MATCH;
    c.x = view->inputs[0];
    if (!read_slice(&c, node, &own, &c.axis) || !gather(&c))
        return TN_NO_MATCH;
    if (!cover(&c))
        return tn_fail(ctx, TN_NO_MATCH, "%s: no Split: %u Slices leave gaps or overlap",
                       view->name, c.count);
    return rewrite(&c, node);
}

tn_status recognize_split_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Slice", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 50,
                                               .exactness = TN_EXACT,
                                               .name = "recognize_split",
                                               .doc = "Slices that cut a value into neighbouring "
                                                      "parts as one Split.",
                                               .roots = roots,
                                               .match = match });
}
