/* plugins/motion/matrix_chain.c: the cheapest order of a chain of matrix products.
 *
 * A product of matrices may be computed in any order; how many multiplications that takes depends on
 * it. The order is found by dynamic programming over the extents (Godbole, IEEE Transactions on
 * Computers 1973), O(n^3). What is made of constants alone is computed once and costs a run nothing.
 * The first matrix may have leading axes of samples.
 *
 * Rounding: the same products in other sums. An infinity that met numbers of both signs was NaN in one
 * order and may be an infinity in another; strict math leaves chains as they are written.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <inttypes.h>
#include <stdio.h>

/* Larger constants are not folded (limits.folded_bytes), so that they cost what they cost. */
enum { MOST = 24, FOLDED_BYTES = 64 << 20 };

typedef struct chain {
    tn_rewrite *ctx;
    tn_node_id root;
    tn_region_id region;
    char name[96];
    int count;                /* matrices */
    tn_value_id leaves[MOST]; /* from left to right */
    double extents[MOST + 1]; /* matrix k is extents[k] by extents[k+1] */
    int constant[MOST];
    tn_node_id nodes[MOST]; /* the products, root first */
    int node_count;
    double written; /* multiplications as it stands */
    double best[MOST][MOST];
    int cut[MOST][MOST];
    const char *open; /* what is not known */
} chain;

/* ---- reading the chain -------------------------------------------------------------------- */

static const tn_type *type_of(const chain *c, tn_value_id value)
{
    return c->ctx->api->value(c->ctx->graph, value)->type;
}

static int is_product(const chain *c, tn_node_id node)
{
    const tn_node_view *view = node == TN_NONE ? NULL : c->ctx->api->node(c->ctx->graph, node);
    return motion_is(view, "MatMul") && view->region == c->region && view->input_count == 2 &&
           type_of(c, view->inputs[0])->rank >= 2 && type_of(c, view->inputs[1])->rank == 2;
}

/* The product that makes a value for the chain alone. */
static tn_node_id inner_product(const chain *c, tn_value_id value)
{
    const tn_value_view *view = c->ctx->api->value(c->ctx->graph, value);
    return view->use_count == 1 && !view->output_count && is_product(c, view->producer)
               ? view->producer
               : TN_NONE;
}

/* Rows of a value: all extents but the last; -1: not known. */
static double rows_of(const tn_type *type)
{
    double rows = 1.0;
    for (int32_t a = 0; a < type->rank - 1; a++)
        rows = rows < 0.0 || !tn_dim_known(type->dims[a]) ? -1.0 : rows * (double)type->dims[a];
    return rows;
}

static tn_status add_leaf(chain *c, tn_value_id value)
{
    const tn_type *type = type_of(c, value);
    const double rows = rows_of(type);
    if (c->count == MOST)
        return TN_NO_MATCH;
    if (rows < 0.0 || !tn_dim_known(type->dims[type->rank - 1]))
        c->open = c->ctx->api->value(c->ctx->graph, value)->name;
    c->constant[c->count] = motion_constant(c->ctx, value) != NULL;
    c->extents[c->count] = rows;
    c->extents[c->count + 1] = (double)type->dims[type->rank - 1];
    c->leaves[c->count++] = value;
    return TN_OK;
}

static double price(const chain *c, int i, int k, int j, const int *constant_until)
{
    const double m = c->extents[i], n = c->extents[j + 1];
    if (constant_until[i] >= j && m * n * 8.0 <= (double)FOLDED_BYTES)
        return 0.0;
    return m * c->extents[k + 1] * n;
}

static void find_constants(const chain *c, int *until)
{
    for (int i = c->count - 1; i >= 0; i--)
        until[i] = !c->constant[i]                        ? i - 1
                   : i + 1 < c->count && until[i + 1] > i ? until[i + 1]
                                                          : i;
}

/* Matrices under a node, in order; answers how many multiplications stand there. */
static tn_status gather(chain *c, tn_value_id value, tn_node_id node, int depth)
{
    if (node == TN_NONE)
        return add_leaf(c, value);
    const tn_node_view *view = c->ctx->api->node(c->ctx->graph, node);
    const tn_value_id sides[2] = { view->inputs[0], view->inputs[1] };
    if (depth > MOST || c->node_count == MOST)
        return TN_NO_MATCH;
    c->nodes[c->node_count++] = node;
    for (int k = 0; k < 2; k++)
        TN_TRY(gather(c, sides[k], inner_product(c, sides[k]), depth + 1));
    return TN_OK;
}

/* What the tree under a node costs as it is written; *next counts its matrices. */
static double cost_written(const chain *c, tn_value_id value, tn_node_id node, int *next,
                           const int *until)
{
    const int first = *next;
    if (node == TN_NONE) {
        ++*next;
        return 0.0;
    }
    const tn_node_view *view = c->ctx->api->node(c->ctx->graph, node);
    const tn_value_id left = view->inputs[0], right = view->inputs[1];
    (void)value;
    double cost = cost_written(c, left, inner_product(c, left), next, until);
    const int cut = *next - 1;
    cost += cost_written(c, right, inner_product(c, right), next, until);
    return cost + price(c, first, cut, *next - 1, until);
}

/* ---- the cheapest order ------------------------------------------------------------------- */

static void plan(chain *c)
{
    int until[MOST], next = 0;
    find_constants(c, until);
    c->written = cost_written(c, TN_NONE, c->root, &next, until);
    for (int length = 1; length <= c->count; length++)
        for (int i = 0; i + length <= c->count; i++) {
            const int j = i + length - 1;
            c->best[i][j] = length == 1 ? 0.0 : -1.0;
            for (int k = i; k < j; k++) {
                const double cost = c->best[i][k] + c->best[k + 1][j] + price(c, i, k, j, until);
                if (c->best[i][j] >= 0.0 && cost >= c->best[i][j])
                    continue;
                c->best[i][j] = cost;
                c->cut[i][j] = k;
            }
        }
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status build(chain *c, int i, int j, tn_value_id *out)
{
    const motion_site site = { c->ctx, c->region, c->root, c->root, c->name };
    tn_value_id inputs[2];
    char what[32];
    if (i == j) {
        *out = c->leaves[i];
        return TN_OK;
    }
    TN_TRY(build(c, i, c->cut[i][j], &inputs[0]));
    TN_TRY(build(c, c->cut[i][j] + 1, j, &inputs[1]));
    snprintf(what, sizeof what, "%d-%d", i, j);
    return motion_add_node(&site, "MatMul", what, inputs, 2, NULL, out);
}

static tn_status rewrite(chain *c)
{
    const tn_graph_api *api = c->ctx->api;
    const tn_value_id old = api->node(c->ctx->graph, c->root)->outputs[0];
    tn_value_id y;
    TN_TRY(build(c, 0, c->count - 1, &y));
    TN_TRY(api->replace(c->ctx->graph, old, y));
    for (int k = 0; k < c->node_count; k++)
        TN_TRY(api->remove_node(c->ctx->graph, c->nodes[k]));
    return tn_fail(c->ctx, TN_OK, "%s: a chain of %d matrices takes %.0f multiplications, not %.0f",
                   c->name, c->count, c->best[0][c->count - 1], c->written);
}

/* Whether another product of the chain reads this one: then that one is the root. */
static int is_inner(const chain *c)
{
    const tn_value_id y = c->ctx->api->node(c->ctx->graph, c->root)->outputs[0];
    tn_node_id reader;
    uint32_t input;
    if (inner_product(c, y) == TN_NONE ||
        c->ctx->api->use(c->ctx->graph, y, 0, &reader, &input) != TN_OK)
        return 0;
    return is_product(c, reader);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    chain c = { .ctx = ctx, .root = node, .region = view->region };
    snprintf(c.name, sizeof c.name, "%s", view->name);
    if (!is_product(&c, node) || is_inner(&c) ||
        !(TN_BIT(type_of(&c, view->inputs[0])->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    TN_TRY(gather(&c, TN_NONE, node, 0));
    if (c.count < 3)
        return TN_NO_MATCH;
    for (int k = 1; k < c.count; k++) /* leading axes of samples only in front */
        if (type_of(&c, c.leaves[k])->rank != 2)
            return TN_NO_MATCH;
    if (c.open)
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: order of %d matrices left: an extent of '%.80s' is not "
                       "known",
                       c.name, c.count, c.open);
    plan(&c);
    if (!(c.best[0][c.count - 1] < c.written))
        return TN_NO_MATCH;
    if (ctx->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_NO_MATCH,
                       "%s: order of %d matrices left: in strict math an infinity "
                       "keeps its way",
                       c.name, c.count);
    return rewrite(&c);
}

tn_status matrix_chain_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "MatMul", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 10,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "matrix_chain",
                                               .doc = "The cheapest order of a chain of matrix "
                                                      "products; not in strict math.",
                                               .roots = roots,
                                               .match = match });
}
