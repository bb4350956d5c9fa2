/* plugins/motion/merge_matmuls.c: several MatMul or Conv of one input as one and a Split.
 *
 * Query, key and value; the 1x1 branches of an inception module. Weights are constants of one type, a
 * Conv's attributes and kernels the same; their columns or output channels lie side by side in one new
 * constant, and a Split hands each its part.
 *
 * The numbers are those of before but for the rounding of a backend that sums otherwise for other
 * extents. Whether it is faster depends on backend and extents, and activations no longer lie behind
 * the product itself: so it is only ever asked for, and registered as approximate for that reason
 * alone.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 16 };

typedef struct group {
    tn_rewrite *ctx;
    tn_region_id region;
    const char *op; /* static */
    tn_value_id x;
    int conv, has_bias;
    uint32_t count;
    tn_node_id nodes[MOST];
    const tn_tensor *weights[MOST], *bias[MOST];
    int64_t parts[MOST], sum;
    char name[96];
    char why[200];
} group;

static const tn_node_view *node_of(const group *g, uint32_t k)
{
    return g->ctx->api->node(g->ctx->graph, g->nodes[k]);
}

/* ---- who belongs together ----------------------------------------------------------------- */

static int same_ints(const tn_node_view *a, const tn_node_view *b, const char *name)
{
    const int64_t *p, *q;
    const size_t count = tn_attr_ints(a, name, &p);
    return count == tn_attr_ints(b, name, &q) && (!count || memcmp(p, q, count * sizeof *p) == 0);
}

static int same_window(const tn_node_view *a, const tn_node_view *b)
{
    return tn_attr_int(a, "group", 1) == 1 && tn_attr_int(b, "group", 1) == 1 &&
           same_ints(a, b, "strides") && same_ints(a, b, "pads") && same_ints(a, b, "dilations") &&
           strcmp(tn_attr_string(a, "auto_pad", "NOTSET"),
                  tn_attr_string(b, "auto_pad", "NOTSET")) == 0;
}

/* All extents but that of the parts are equal. */
static int same_extents(const group *g, const tn_tensor *a, const tn_tensor *b)
{
    if (a->rank != b->rank || a->dtype != b->dtype)
        return 0;
    for (int32_t axis = 0; axis < a->rank; axis++)
        if (axis != (g->conv ? 0 : a->rank - 1) && a->dims[axis] != b->dims[axis])
            return 0;
    return 1;
}

/* Whether a reader of x belongs to the group; it is added then. */
static void consider(group *g, tn_node_id node, uint32_t input)
{
    const tn_node_view *view = g->ctx->api->node(g->ctx->graph, node);
    if (input != 0 || !motion_is(view, g->op) || view->region != g->region ||
        view->input_count < 2 || view->inputs[1] == g->x || g->count == MOST)
        return;
    const tn_tensor *weights = motion_constant(g->ctx, view->inputs[1]);
    const int biased = view->input_count > 2 && view->inputs[2] != TN_NONE;
    const tn_tensor *bias = biased ? motion_constant(g->ctx, view->inputs[2]) : NULL;
    if (!weights || (biased && !bias)) {
        snprintf(g->why, sizeof g->why, "%.80s's weights are no constant", view->name);
        return;
    }
    if (!(TN_BIT(weights->dtype) & TN_MASK_FLOAT) || weights->rank < (g->conv ? 3 : 2) ||
        (!g->conv && weights->rank != 2) || tn_count(weights) == 0)
        return;
    if (g->count && (!same_extents(g, g->weights[0], weights) ||
                     (g->conv && !same_window(node_of(g, 0), view)))) {
        snprintf(g->why, sizeof g->why, "%.80s is of another kind", view->name);
        return;
    }
    g->weights[g->count] = weights;
    g->bias[g->count] = bias;
    g->has_bias = g->has_bias || biased;
    g->parts[g->count] = weights->dims[g->conv ? 0 : weights->rank - 1];
    g->sum += g->parts[g->count];
    g->nodes[g->count++] = node;
}

static void find(group *g, tn_node_id root)
{
    tn_node_id reader;
    uint32_t input;
    consider(g, root, 0);
    for (uint32_t k = 0;
         g->count && g->ctx->api->use(g->ctx->graph, g->x, k, &reader, &input) == TN_OK; k++)
        if (reader != root)
            consider(g, reader, input);
}

/* ---- side by side ------------------------------------------------------------------------- */

/* Rows of what is joined: a Conv's channels come first, a matrix' columns last. */
static void join(const group *g, const tn_tensor *const *from, uint8_t *to, int64_t outer,
                 int64_t inner, size_t element)
{
    for (int64_t row = 0; row < outer; row++)
        for (uint32_t k = 0; k < g->count; k++) {
            const size_t bytes = (size_t)(g->parts[k] * inner) * element;
            if (from[k])
                memcpy(to, (const uint8_t *)from[k]->data + (size_t)row * bytes, bytes);
            else
                memset(to, 0, bytes);
            to += bytes;
        }
}

static tn_status add_joined(group *g, const tn_tensor *const *from, const tn_tensor *like,
                            int vector, tn_value_id *out)
{
    const size_t element = tn_dtype_bits(like->dtype) / 8;
    int64_t dims[TN_MAX_RANK];
    tn_tensor joined = { .size = sizeof joined, .dtype = like->dtype, .dims = dims };
    const int64_t outer = vector || g->conv ? 1 : like->dims[0];
    const int64_t inner = vector || !g->conv ? 1 : tn_extent(like->dims, 1, like->rank);
    uint8_t *data = malloc((size_t)(outer * g->sum * inner) * element + 1);
    if (!data)
        return tn_fail(g->ctx, TN_ERR_MEMORY, "no memory for joined weights");
    joined.rank = vector ? 1 : like->rank;
    for (int32_t a = 0; a < joined.rank; a++)
        dims[a] = like->dims[a];
    dims[g->conv || vector ? 0 : joined.rank - 1] = g->sum;
    join(g, from, data, outer, inner, element);
    joined.data = data;
    joined.bytes = (size_t)(outer * g->sum * inner) * element;
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = g->region, .tensor = &joined, .value = TN_NONE
    };
    const tn_status status = g->ctx->api->add_constant(g->ctx->graph, &desc, out);
    free(data);
    return status;
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_split(group *g, tn_value_id y, tn_node_id *out)
{
    const int64_t count = g->count;
    const tn_tensor parts = { .size = sizeof parts,
                              .dtype = TN_INT64,
                              .rank = 1,
                              .dims = &count,
                              .data = g->parts,
                              .bytes = (size_t)count * sizeof *g->parts };
    const tn_constant_desc constant = {
        .size = sizeof constant, .region = g->region, .tensor = &parts, .value = TN_NONE
    };
    const tn_attribute axis = {
        .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = g->conv ? 1 : -1
    };
    char name[128];
    tn_value_id inputs[2] = { y, TN_NONE };
    snprintf(name, sizeof name, "%s/split", g->name);
    TN_TRY(g->ctx->api->add_constant(g->ctx->graph, &constant, &inputs[1]));
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = g->region,
                                .name = name,
                                .op = "Split",
                                .input_count = 2,
                                .output_count = g->count,
                                .inputs = inputs,
                                .attribute_count = 1,
                                .attributes = &axis,
                                .before = g->nodes[0],
                                .trace = g->nodes[0] };
    return g->ctx->api->add_node(g->ctx->graph, &desc, out);
}

static tn_status add_product(group *g, tn_value_id *y)
{
    tn_value_id inputs[3] = { g->x, TN_NONE, TN_NONE };
    char name[128];
    tn_node_id node;
    snprintf(name, sizeof name, "%s/merged", g->name);
    TN_TRY(add_joined(g, g->weights, g->weights[0], 0, &inputs[1]));
    if (g->has_bias)
        TN_TRY(add_joined(g, g->bias, g->weights[0], 1, &inputs[2]));
    const tn_node_view *first = node_of(g, 0);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = g->region,
                                .name = name,
                                .op = g->op,
                                .input_count = g->has_bias ? 3 : 2,
                                .output_count = 1,
                                .inputs = inputs,
                                .attribute_count = first->attribute_count,
                                .attributes = first->attributes,
                                .before = g->nodes[0],
                                .trace = g->nodes[0] };
    TN_TRY(g->ctx->api->add_node(g->ctx->graph, &desc, &node));
    *y = g->ctx->api->node(g->ctx->graph, node)->outputs[0];
    return TN_OK;
}

static tn_status rewrite(group *g)
{
    tn_value_id y;
    tn_node_id split;
    TN_TRY(add_product(g, &y));
    TN_TRY(add_split(g, y, &split));
    for (uint32_t k = 0; k < g->count; k++) {
        TN_TRY(g->ctx->api->replace(g->ctx->graph, node_of(g, k)->outputs[0],
                                    g->ctx->api->node(g->ctx->graph, split)->outputs[k]));
        TN_TRY(g->ctx->api->remove_node(g->ctx->graph, g->nodes[k]));
    }
    return tn_fail(g->ctx, TN_OK, "%u %s of one input from %s on are one and a Split", g->count,
                   g->op, g->name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    group g = { .ctx = ctx, .region = view->region, .conv = motion_is(view, "Conv") };
    if (!view->input_count || view->inputs[0] == TN_NONE)
        return TN_NO_MATCH;
    g.op = g.conv ? "Conv" : "MatMul";
    g.x = view->inputs[0];
    snprintf(g.name, sizeof g.name, "%s", view->name);
    find(&g, node);
    if (g.count > 1)
        return rewrite(&g);
    return g.count && g.why[0]
               ? tn_fail(ctx, TN_NO_MATCH, "%s not merged with others: %s", g.name, g.why)
               : TN_NO_MATCH;
}

tn_status merge_matmuls_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "MatMul", "Conv", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 20,
                                               .exactness = TN_EXACT_APPROXIMATE,
                                               .name = "merge_matmuls",
                                               .doc = "Several MatMul or Conv of one input with "
                                                      "constant weights as one and a Split.",
                                               .roots = roots,
                                               .match = match });
}
