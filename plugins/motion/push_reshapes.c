/* plugins/motion/push_reshapes.c: a Reshape moved down through nodes to the next one, which does both.
 *
 * From a Reshape, Flatten, Squeeze or Unsqueeze upwards, through nodes that only the next one reads and
 * that do not care how their elements are counted: elementwise ones, whose other operands have one
 * element; and, where both countings have the same last axis, sums with vectors, products with a
 * matrix, and what works on the last axis. If another Reshape stands at the upper end, it goes: the
 * nodes between compute on what it read, and the lower one makes the known extents of it. Exact.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>

enum { DEEPEST = 64 };

typedef struct chain {
    tn_rewrite *ctx;
    tn_node_id root, upper, first; /* the lower Reshape, the upper one, what reads the upper one */
    tn_region_id region;
    uint32_t first_input;
    int rows;       /* some node works on the last axis */
    int32_t others; /* highest rank of an operand beside */
    char name[96], upper_name[96];
    char why[200];
} chain;

static int is_reshape(const tn_node_view *view)
{
    return motion_is(view, "Reshape") || motion_is(view, "Flatten") || motion_is(view, "Squeeze") ||
           motion_is(view, "Unsqueeze");
}

/* A vector along the last axis: [C], [1, C], … */
static int is_row(const tn_type *type)
{
    for (int32_t a = 0; a < type->rank - 1; a++)
        if (type->dims[a] != 1)
            return 0;
    return type->rank > 0;
}

/* The one input through which the way goes up; UINT32_MAX: it ends here. */
static uint32_t way_through(chain *c, const tn_node_view *view)
{
    uint32_t found = UINT32_MAX;
    const turn_care care = turn_cares(view);
    if (view->output_count != 1 || view->region != c->region || care == TURN_CARES)
        return UINT32_MAX;
    c->rows = c->rows || care == TURN_CARES_LAST;
    for (uint32_t k = 0; k < view->input_count; k++) {
        const turn_role role = turn_role_of(c->ctx, view, k);
        if (view->inputs[k] == TN_NONE || (role == TURN_KEEP && care == TURN_CARES_NONE))
            continue;
        const tn_type *x = motion_type(c->ctx, view->inputs[k]);
        if (role == TURN_KEEP && care == TURN_CARES_LAST) { /* a matrix; scale and bias */
            if (x->rank != (motion_is(view, "MatMul") ? 2 : 1))
                return UINT32_MAX;
            continue;
        }
        if (role == TURN_KEEP || (role == TURN_CONSTANT && is_row(x))) {
            c->rows = c->rows || role == TURN_CONSTANT;
            c->others = x->rank > c->others ? x->rank : c->others;
            continue;
        }
        if (found != UINT32_MAX || role == TURN_CONSTANT)
            return UINT32_MAX;
        found = k;
    }
    return found;
}

/* Whether the axis that counts, if any does, is the same before and behind the upper Reshape. */
static int same_last(const tn_type *x, const tn_type *y)
{
    return x->rank > 1 && y->rank > 1 && x->dims[x->rank - 1] != TN_DIM_UNKNOWN &&
           x->dims[x->rank - 1] == y->dims[y->rank - 1];
}

static tn_status climb(chain *c)
{
    const tn_graph_api *api = c->ctx->api;
    tn_value_id value = api->node(c->ctx->graph, c->root)->inputs[0];
    for (int depth = 0; depth < DEEPEST; depth++) {
        const tn_node_id maker = api->value(c->ctx->graph, value)->producer;
        const tn_node_view *view = maker == TN_NONE ? NULL : api->node(c->ctx->graph, maker);
        if (!view || view->region != c->region || !motion_is_single(c->ctx, value))
            return TN_NO_MATCH;
        if (is_reshape(view)) {
            c->upper = maker;
            return depth ? TN_OK : TN_NO_MATCH; /* side by side: merge_reshapes */
        }
        c->first = maker;
        c->first_input = way_through(c, view);
        if (c->first_input == UINT32_MAX)
            return TN_NO_MATCH;
        value = view->inputs[c->first_input];
    }
    return TN_NO_MATCH;
}

static tn_status check(chain *c, int64_t *shape)
{
    const tn_node_view *upper = c->ctx->api->node(c->ctx->graph, c->upper),
                       *root = c->ctx->api->node(c->ctx->graph, c->root);
    if (motion_input(upper, 0) == TN_NONE)
        return TN_NO_MATCH;
    const tn_type *x = motion_type(c->ctx, upper->inputs[0]),
                  *y = motion_type(c->ctx, upper->outputs[0]);
    snprintf(c->upper_name, sizeof c->upper_name, "%s", upper->name);
    if (x->rank < 0 || y->rank < 0 || c->others > x->rank)
        snprintf(c->why, sizeof c->why, "an operand has more axes than what it reads");
    else if (c->rows && !same_last(x, y))
        snprintf(c->why, sizeof c->why, "a node between works on the last axis, which it changes");
    else if (!motion_read_shape(motion_type(c->ctx, root->outputs[0]), shape))
        snprintf(c->why, sizeof c->why, "more than one extent of %.80s is open, or one is 0",
                 root->name);
    else
        return TN_OK;
    return tn_fail(c->ctx, TN_NO_MATCH, "%s not moved to %s: %s", c->upper_name, c->name, c->why);
}

static tn_status rewrite(chain *c, const int64_t *shape)
{
    static const char *const own[] = { "axis", "axes", "allowzero" };
    const tn_graph_api *api = c->ctx->api;
    const tn_value_id x = api->node(c->ctx->graph, c->upper)->inputs[0],
                      y = api->node(c->ctx->graph, c->root)->outputs[0];
    tn_value_id target;
    TN_TRY(motion_add_integers(c->ctx, c->region, shape, motion_type(c->ctx, y)->rank, &target));
    TN_TRY(api->set_input(c->ctx->graph, c->first, c->first_input, x));
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        if (tn_attr(api->node(c->ctx->graph, c->root), own[k]))
            TN_TRY(api->drop_attribute(c->ctx->graph, c->root, own[k]));
    TN_TRY(api->set_operator(c->ctx->graph, c->root, "", "Reshape"));
    TN_TRY(api->set_input(c->ctx->graph, c->root, 1, target));
    TN_TRY(api->remove_node(c->ctx->graph, c->upper));
    return tn_fail(c->ctx, TN_OK, "%s moved down into %s", c->upper_name, c->name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    chain c = { .ctx = ctx, .root = node, .region = view->region };
    int64_t shape[TN_MAX_RANK];
    snprintf(c.name, sizeof c.name, "%s", view->name);
    if (motion_input(view, 0) == TN_NONE || view->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    TN_TRY(climb(&c));
    TN_TRY(check(&c, shape));
    return rewrite(&c, shape);
}

tn_status push_reshapes_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 3,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "push_reshapes",
                                               .doc = "A Reshape moved through other nodes into "
                                                      "the next one.",
                                               .roots = roots,
                                               .match = match });
}
