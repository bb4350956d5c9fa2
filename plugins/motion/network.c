/* plugins/motion/network.c: which nodes around a Transpose are to work on what is not turned.
 *
 * They are gathered from node to node, in both directions; then a least cut says which of them, so that the
 * fewest Transposes are left. See push_transposes.c.
 *
 * SPDX-License-Identifier: MIT */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_STEPS = 1 << 16 };

tn_status network_no_memory(const network *n)
{
    return tn_fail(n->ctx, TN_ERR_MEMORY, "no memory for the nodes around a Transpose");
}

int network_read_transpose(const network *n, tn_node_id node, turn *out)
{
    const tn_node_view *view = node == TN_NONE ? NULL : view_of(n, node);
    return motion_is(view, "Transpose") && view->region == n->region &&
           view->outputs[0] != TN_NONE && turn_read(n->ctx, view, out);
}

/* ---- gathering ------------------------------------------------------------------------------ */

static int add_item(network *n, tn_value_id value, const turn *t, int behind)
{
    if (motion_find(&n->item_of, value) != UINT32_MAX)
        return 1;
    if (n->item_count == n->item_room) {
        const uint32_t room = 2 * n->item_room + 32;
        item *wider = realloc(n->items, room * sizeof *wider);
        if (!wider)
            return 0;
        n->items = wider;
        n->item_room = room;
    }
    n->items[n->item_count] = (item){
        .value = value, .turn = *t, .maker = UINT32_MAX, .turned = TN_NONE, .behind = behind
    };
    return motion_put(&n->item_of, value, n->item_count++);
}

static int add_step(network *n, tn_node_id node, const turn *in, int rejected)
{
    if (n->step_count == n->step_room) {
        const uint32_t room = 2 * n->step_room + 32;
        step *wider = realloc(n->steps, room * sizeof *wider);
        if (!wider)
            return 0;
        n->steps = wider;
        n->step_room = room;
    }
    n->steps[n->step_count] = (step){ .node = node, .in = *in, .rejected = rejected };
    return motion_put(&n->step_of, node, n->step_count++);
}

/* Whether a value has no turn yet, or this one. */
static int agrees(const network *n, tn_value_id value, const turn *t)
{
    const uint32_t k = motion_find(&n->item_of, value);
    return k == UINT32_MAX || turn_equal(&n->items[k].turn, t);
}

static int all_agree(const network *n, const tn_node_view *view, const turn *in, const turn *out)
{
    for (uint32_t k = 0; k < view->input_count; k++)
        if (turn_role_of(n->ctx, view, k) == TURN_DATA && !agrees(n, view->inputs[k], in))
            return 0;
    for (uint32_t k = 0; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE && !agrees(n, view->outputs[k], out))
            return 0;
    return 1;
}

/* A node met at one of its data or outputs: part of the network, if it can be. */
static int consider(network *n, tn_node_id node, const turn *in, int upwards, int behind)
{
    const tn_node_view *view = view_of(n, node);
    const char *why = NULL;
    turn out;
    int alike;
    if (motion_find(&n->step_of, node) != UINT32_MAX || view->region != n->region ||
        n->step_count == MOST_STEPS)
        return 1;
    if (!turn_admit(n->ctx, view, in, &out, &alike, &why) || (upwards && !alike) ||
        !all_agree(n, view, in, &out)) {
        if (why && !n->why) {
            snprintf(n->near, sizeof n->near, "%s", view->name);
            n->why = why;
        }
        return add_step(n, node, in, 1);
    }
    for (uint32_t k = 0; k < view->input_count; k++)
        if (turn_role_of(n->ctx, view, k) == TURN_DATA && !add_item(n, view->inputs[k], in, behind))
            return 0;
    for (uint32_t k = 0; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE && !add_item(n, view->outputs[k], &out, behind || !alike))
            return 0;
    return add_step(n, node, in, 0);
}

static int visit_readers(network *n, uint32_t i)
{
    tn_node_id reader;
    uint32_t input;
    turn t;
    for (uint32_t k = 0;
         n->ctx->api->use(n->ctx->graph, n->items[i].value, k, &reader, &input) == TN_OK; k++) {
        const turn own = n->items[i].turn;
        if (network_read_transpose(n, reader, &t) ||
            turn_role_of(n->ctx, view_of(n, reader), input) != TURN_DATA)
            continue;
        if (!consider(n, reader, &own, 0, n->items[i].behind))
            return 0;
    }
    return 1;
}

/* Who makes the value, and in which form. TN_NO_MATCH: another Transpose is to look at this. */
static tn_status visit_maker(network *n, uint32_t i)
{
    const tn_node_id maker = value_of(n, n->items[i].value)->producer;
    const turn own = n->items[i].turn;
    turn t;
    if (maker == TN_NONE)
        return TN_OK;
    if (!network_read_transpose(n, maker, &t))
        return consider(n, maker, &own, 1, n->items[i].behind) ? TN_OK : network_no_memory(n);
    n->items[i].origin = turn_equal(&t, &own) ? TURNED : EITHER;
    if (n->items[i].origin == TURNED)
        n->items[i].turned = view_of(n, maker)->inputs[0];
    return n->items[i].origin == TURNED && maker < n->root && !n->items[i].behind ? TN_NO_MATCH
                                                                                  : TN_OK;
}

/* Elements; what is not known counts 8. */
static double elements_of(const tn_type *type)
{
    double count = 1.0;
    for (int32_t a = 0; a < type->rank; a++)
        count *= tn_dim_known(type->dims[a]) ? (double)type->dims[a] : 8.0;
    return count;
}

/* Whether a Transpose, or one that it reads from, reads a value of the network. */
static int reads_an_item(const network *n, tn_node_id node)
{
    turn t;
    for (int depth = 0; network_read_transpose(n, node, &t); depth++) {
        const tn_value_id x = view_of(n, node)->inputs[0];
        if (depth == 8 || motion_find(&n->item_of, x) != UINT32_MAX)
            return 1;
        node = value_of(n, x)->producer;
    }
    return 0;
}

/* Makers are known when all nodes are; and what a Transpose of each value costs. A Transpose between
 * two values of the network keeps what it reads in one form: its own is then taken as plain. */
static void finish(network *n)
{
    double all = 1.0;
    for (uint32_t i = 0; i < n->item_count; i++) {
        const tn_node_id maker = value_of(n, n->items[i].value)->producer;
        if (n->items[i].origin != PLAIN && reads_an_item(n, maker)) {
            n->items[i].origin = PLAIN;
            n->items[i].turned = TN_NONE;
        }
        const uint32_t k = motion_find(&n->step_of, maker);
        if (k != UINT32_MAX && !n->steps[k].rejected && n->items[i].origin == PLAIN) {
            n->items[i].origin = NODE;
            n->items[i].maker = k;
        }
        all += elements_of(motion_type(n->ctx, n->items[i].value));
    }
    for (uint32_t i = 0; i < n->item_count; i++)
        n->items[i].cost = turn_is_identity(&n->items[i].turn)
                               ? 0.0
                               : 1.0 + 0.5 * elements_of(motion_type(n->ctx, n->items[i].value)) /
                                           all;
}

tn_status network_gather(network *n)
{
    turn t;
    if (!network_read_transpose(n, n->root, &t) || turn_is_identity(&t))
        return TN_NO_MATCH;
    if (!add_item(n, view_of(n, n->root)->outputs[0], &t, 0))
        return network_no_memory(n);
    for (uint32_t i = 0; i < n->item_count; i++) {
        TN_TRY(visit_maker(n, i));
        if (!visit_readers(n, i))
            return network_no_memory(n);
        if (i == 0 && !n->step_count)
            return TN_NO_MATCH;
    }
    finish(n);
    return TN_OK;
}

/* ---- what reads a value --------------------------------------------------------------------- */

reading network_read_use(const network *n, const item *of, tn_node_id reader, uint32_t input,
                         uint32_t *node)
{
    turn t, both;
    *node = motion_find(&n->step_of, reader);
    if (network_read_transpose(n, reader, &t)) {
        both = turn_then(&of->turn, &t);
        return turn_is_identity(&both) ? WANTS_TURNED : WANTS_ANY;
    }
    if (*node == UINT32_MAX || n->steps[*node].rejected ||
        turn_role_of(n->ctx, view_of(n, reader), input) != TURN_DATA)
        return WANTS_PLAIN;
    return BY_NODE;
}

/* Whether some reader wants the plain and some the turned form, as nodes stand `inside`. */
static void wanted(const network *n, const item *of, int *plain, int *turned)
{
    tn_node_id reader;
    uint32_t input, node;
    *plain = value_of(n, of->value)->output_count > 0;
    *turned = 0;
    for (uint32_t k = 0; n->ctx->api->use(n->ctx->graph, of->value, k, &reader, &input) == TN_OK;
         k++) {
        const reading r = network_read_use(n, of, reader, input, &node);
        *plain = *plain || r == WANTS_PLAIN || (r == BY_NODE && !n->steps[node].inside);
        *turned = *turned || r == WANTS_TURNED || (r == BY_NODE && n->steps[node].inside);
    }
}

static double cost_of(const network *n, uint32_t *count)
{
    double cost = 0.0;
    *count = 0;
    for (uint32_t i = 0; i < n->item_count; i++) {
        const item *of = &n->items[i];
        int plain, turned;
        wanted(n, of, &plain, &turned);
        const int is_turned = of->origin == TURNED ||
                              (of->origin == NODE && n->steps[of->maker].inside);
        const int made = of->origin == EITHER ? plain + turned : is_turned ? plain : turned;
        cost += made * of->cost;
        *count += of->cost > 0.0 ? (uint32_t)made : 0;
    }
    return cost;
}

/* ---- the cut -------------------------------------------------------------------------------- */

enum { SOURCE, SINK, FIRST_STEP }; /* nodes of the cut; then two for each item */

/* Edges of one value: it costs if its maker and a reader stand on different sides. */
static int add_edges(const network *n, least_cut *c, uint32_t i)
{
    const item *of = &n->items[i];
    const uint32_t down = FIRST_STEP + n->step_count + 2 * i, up = down + 1;
    const uint32_t maker = of->origin == NODE     ? FIRST_STEP + of->maker
                           : of->origin == TURNED ? SOURCE
                                                  : SINK;
    tn_node_id reader;
    uint32_t input, node;
    int good = 1;
    if (of->cost == 0.0)
        return 1;
    if (maker != SINK || of->origin == EITHER)
        good = cut_edge(c, of->origin == EITHER ? SOURCE : maker, down, of->cost);
    if (maker != SOURCE)
        good = good && cut_edge(c, up, maker, of->cost);
    if (value_of(n, of->value)->output_count)
        good = good && cut_edge(c, down, SINK, CUT_ENDLESS);
    for (uint32_t k = 0;
         good && n->ctx->api->use(n->ctx->graph, of->value, k, &reader, &input) == TN_OK; k++) {
        const reading r = network_read_use(n, of, reader, input, &node);
        const uint32_t end = r == BY_NODE ? FIRST_STEP + node : r == WANTS_PLAIN ? SINK : SOURCE;
        if (r == WANTS_ANY)
            continue;
        if (end != SOURCE)
            good = cut_edge(c, down, end, CUT_ENDLESS);
        if (end != SINK)
            good = good && cut_edge(c, end, up, CUT_ENDLESS);
    }
    return good;
}

tn_status network_choose(network *n)
{
    least_cut c = { 0 };
    uint32_t k;
    int good = cut_nodes(&c, FIRST_STEP + n->step_count + 2 * n->item_count) != UINT32_MAX;
    const double before = cost_of(n, &n->before);
    for (uint32_t i = 0; good && i < n->item_count; i++)
        good = add_edges(n, &c, i);
    if (good) {
        cut_solve(&c);
        for (k = 0; k < n->step_count; k++)
            n->steps[k].inside = !n->steps[k].rejected && cut_is_source(&c, FIRST_STEP + k);
    }
    cut_fini(&c);
    if (!good)
        return network_no_memory(n);
    return cost_of(n, &n->after) < before - 1e-6 && n->after <= n->before ? TN_OK : TN_NO_MATCH;
}
