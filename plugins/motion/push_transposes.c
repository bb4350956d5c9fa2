/* plugins/motion/push_transposes.c: Transposes moved through nodes until they cancel.
 *
 * A Transpose turns what the nodes behind it compute on. Those that could as well compute on what is
 * not turned (turn.c says which) are gathered, from node to node, in both directions. For each it is
 * open whether it shall work on the turned or on the plain form; a value that is made in one form and
 * read in the other costs a Transpose. The cheapest choice is a least cut of a network: nodes on one
 * side work on what the Transposes read, nodes on the other one stay. An edge counts 1, and a bit more
 * for larger values, so that of equally many Transposes those that move less are taken.
 *
 * Done only if fewer Transposes are left, or as many that move less: so it ends. Of all Transposes
 * that would lead to the same network one looks at it, the others stop when they meet that one.
 *
 * Rounding: the elements of a reduction are added in another order. All else is exact.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>
#include <stdlib.h>

/* Who makes a value: in which form it is there without a Transpose. */
typedef enum origin {
    PLAIN,  /* as it is read now */
    TURNED, /* a Transpose that goes when all read the turned form */
    EITHER, /* another Transpose, which can make the one or the other */
    NODE    /* a node of the network */
} origin;

typedef struct item {
    tn_value_id value;
    turn turn;
    origin origin;
    uint32_t maker;     /* NODE */
    tn_value_id turned; /* the turned form, once it is there */
    double cost;
    int behind; /* found past a change of rank: from here one does not find back */
} item;

typedef struct step {
    tn_node_id node;
    turn in;
    int rejected, inside;
    uint32_t waits; /* data that a node inside has still to make */
} step;

typedef struct network {
    tn_rewrite *ctx;
    tn_node_id root;
    tn_region_id region;
    char name[96], near[96];
    const char *why;
    item *items;
    step *steps;
    uint32_t item_count, item_room, step_count, step_room;
    motion_map item_of, step_of;
    uint32_t before, after; /* Transposes */
} network;

enum { MOST_STEPS = 1 << 16 };

static const tn_node_view *view_of(const network *n, tn_node_id node)
{
    return n->ctx->api->node(n->ctx->graph, node);
}

static const tn_value_view *value_of(const network *n, tn_value_id value)
{
    return n->ctx->api->value(n->ctx->graph, value);
}

static tn_status no_memory(const network *n)
{
    return tn_fail(n->ctx, TN_ERR_MEMORY, "no memory for the nodes around a Transpose");
}

/* The turn of a Transpose of this region; 0: it is none. */
static int read_transpose(const network *n, tn_node_id node, turn *out)
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
        if (read_transpose(n, reader, &t) ||
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
    if (!read_transpose(n, maker, &t))
        return consider(n, maker, &own, 1, n->items[i].behind) ? TN_OK : no_memory(n);
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
    for (int depth = 0; read_transpose(n, node, &t); depth++) {
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

static tn_status gather(network *n)
{
    turn t;
    if (!read_transpose(n, n->root, &t) || turn_is_identity(&t))
        return TN_NO_MATCH;
    if (!add_item(n, view_of(n, n->root)->outputs[0], &t, 0))
        return no_memory(n);
    for (uint32_t i = 0; i < n->item_count; i++) {
        TN_TRY(visit_maker(n, i));
        if (!visit_readers(n, i))
            return no_memory(n);
        if (i == 0 && !n->step_count)
            return TN_NO_MATCH;
    }
    finish(n);
    return TN_OK;
}

/* ---- what reads a value --------------------------------------------------------------------- */

/* How a use of an item's value reads it. */
typedef enum reading {
    WANTS_PLAIN,
    WANTS_TURNED, /* a Transpose whose output is the turned form */
    WANTS_ANY,    /* another Transpose, which stays in any case */
    BY_NODE       /* a node of the network */
} reading;

static reading read_use(const network *n, const item *of, tn_node_id reader, uint32_t input,
                        uint32_t *node)
{
    turn t, both;
    *node = motion_find(&n->step_of, reader);
    if (read_transpose(n, reader, &t)) {
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
        const reading r = read_use(n, of, reader, input, &node);
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
        const reading r = read_use(n, of, reader, input, &node);
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

/* Nodes that are to work on the turned form. TN_NO_MATCH: as it stands it is cheapest. */
static tn_status choose(network *n)
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
        return no_memory(n);
    return cost_of(n, &n->after) < before - 1e-6 && n->after <= n->before ? TN_OK : TN_NO_MATCH;
}

/* ---- the rewrite ---------------------------------------------------------------------------- */

static tn_status add_transpose(network *n, tn_value_id x, const turn *t, tn_node_id before,
                               tn_node_id *out)
{
    int64_t axes[TN_MAX_RANK];
    const tn_attribute perm = { .size = sizeof perm,
                                .type = TN_ATTR_INTS,
                                .name = "perm",
                                .count = (size_t)t->rank,
                                .ints = axes };
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = n->region,
                                .name = n->name,
                                .op = "Transpose",
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &x,
                                .attribute_count = 1,
                                .attributes = &perm,
                                .before = before,
                                .trace = n->root };
    for (int32_t a = 0; a < t->rank; a++)
        axes[a] = t->axes[a];
    return n->ctx->api->add_node(n->ctx->graph, &desc, out);
}

static tn_node_id a_turned_reader(const network *n, const item *of)
{
    tn_node_id reader;
    uint32_t input, node;
    for (uint32_t k = 0; n->ctx->api->use(n->ctx->graph, of->value, k, &reader, &input) == TN_OK;
         k++)
        if (read_use(n, of, reader, input, &node) == WANTS_TURNED)
            return reader;
    return TN_NONE;
}

/* The turned form of a value that no node inside makes. */
static tn_status turned_form(network *n, uint32_t i, tn_node_id reader, tn_value_id *out)
{
    item *of = &n->items[i];
    const tn_node_id maker = value_of(n, of->value)->producer;
    tn_node_id node = of->turned == TN_NONE ? a_turned_reader(n, of) : TN_NONE;
    tn_value_id x = of->value;
    turn back = turn_inverse(&of->turn), t;
    if (of->turned == TN_NONE && turn_is_identity(&of->turn))
        of->turned = of->value;
    if (of->turned == TN_NONE && node == TN_NONE) {
        if (of->origin == EITHER && read_transpose(n, maker, &t)) {
            x = view_of(n, maker)->inputs[0];
            back = turn_then(&t, &back);
        }
        TN_TRY(add_transpose(n, x, &back, reader, &node));
    }
    if (of->turned == TN_NONE)
        of->turned = view_of(n, node)->outputs[0];
    *out = of->turned;
    return TN_OK;
}

static int is_made_inside(const network *n, const item *of)
{
    return of->origin == NODE && n->steps[of->maker].inside;
}

static tn_status turn_node(network *n, const step *s)
{
    const uint32_t count = view_of(n, s->node)->input_count;
    for (uint32_t k = 0; k < count; k++) {
        const tn_node_view *view = view_of(n, s->node);
        tn_value_id value;
        if (turn_role_of(n->ctx, view, k) != TURN_DATA)
            continue;
        const uint32_t i = motion_find(&n->item_of, view->inputs[k]);
        if (i == UINT32_MAX)
            continue;
        if (is_made_inside(n, &n->items[i])) {
            /* The same value, but of other extents: taken off and put back, so that inference comes
             * here in turn, and not to its readers first. */
            value = n->items[i].value;
            TN_TRY(n->ctx->api->set_input(n->ctx->graph, s->node, k, TN_NONE));
        } else {
            TN_TRY(turned_form(n, i, s->node, &value));
        }
        TN_TRY(n->ctx->api->set_input(n->ctx->graph, s->node, k, value));
    }
    return turn_apply(n->ctx, s->node, &s->in);
}

/* Nodes inside in such an order that each comes behind what it reads: inference follows it. */
static tn_status order(network *n, uint32_t *out, uint32_t *count)
{
    tn_node_id reader;
    uint32_t input, node;
    *count = 0;
    for (uint32_t i = 0; i < n->item_count; i++)
        for (uint32_t k = 0;
             is_made_inside(n, &n->items[i]) &&
             n->ctx->api->use(n->ctx->graph, n->items[i].value, k, &reader, &input) == TN_OK;
             k++)
            if (read_use(n, &n->items[i], reader, input, &node) == BY_NODE)
                n->steps[node].waits++;
    for (uint32_t k = 0; k < n->step_count; k++)
        if (n->steps[k].inside && !n->steps[k].waits)
            out[(*count)++] = k;
    for (uint32_t at = 0; at < *count; at++) {
        const tn_node_view *view = view_of(n, n->steps[out[at]].node);
        for (uint32_t j = 0; j < view->output_count; j++) {
            const uint32_t i = motion_find(&n->item_of, view->outputs[j]);
            for (uint32_t k = 0;
                 i != UINT32_MAX &&
                 n->ctx->api->use(n->ctx->graph, n->items[i].value, k, &reader, &input) == TN_OK;
                 k++)
                if (read_use(n, &n->items[i], reader, input, &node) == BY_NODE &&
                    --n->steps[node].waits == 0 && n->steps[node].inside)
                    out[(*count)++] = node;
        }
    }
    return TN_OK;
}

/* A use as it was before anything was put in its way. */
typedef struct use {
    tn_node_id reader;
    uint32_t input;
    reading how;
    int inside;
} use;

static uint32_t list_uses(const network *n, const item *of, use *out)
{
    uint32_t count = 0, node;
    while (n->ctx->api->use(n->ctx->graph, of->value, count, &out[count].reader,
                            &out[count].input) == TN_OK) {
        out[count].how = read_use(n, of, out[count].reader, out[count].input, &node);
        out[count].inside = out[count].how == BY_NODE && n->steps[node].inside;
        count++;
    }
    return count;
}

/* Those who read on as before read it through a new Transpose. */
static tn_status add_exit(network *n, const item *of, const use *uses, uint32_t count)
{
    const tn_graph_api *api = n->ctx->api;
    tn_node_id made;
    int needed = value_of(n, of->value)->output_count > 0;
    for (uint32_t k = 0; k < count; k++)
        needed = needed || uses[k].how == WANTS_PLAIN ||
                 (uses[k].how == BY_NODE && !uses[k].inside);
    if (!needed)
        return TN_OK;
    TN_TRY(add_transpose(n, of->value, &of->turn, TN_NONE, &made));
    TN_TRY(api->replace(n->ctx->graph, of->value, view_of(n, made)->outputs[0]));
    TN_TRY(api->set_input(n->ctx->graph, made, 0, of->value));
    for (uint32_t k = 0; k < count; k++)
        if (uses[k].inside || uses[k].how == WANTS_TURNED || uses[k].how == WANTS_ANY)
            TN_TRY(api->set_input(n->ctx->graph, uses[k].reader, uses[k].input, of->value));
    return TN_OK;
}

/* A Transpose that reads what follows from `from` by a turn: of `from`, or gone. */
static tn_status settle_reader(network *n, tn_value_id from, const turn *by, tn_node_id reader)
{
    const tn_graph_api *api = n->ctx->api;
    int64_t axes[TN_MAX_RANK];
    turn t;
    if (!read_transpose(n, reader, &t))
        return TN_OK;
    const turn both = turn_then(by, &t);
    if (turn_is_identity(&both)) {
        TN_TRY(api->replace(n->ctx->graph, view_of(n, reader)->outputs[0], from));
        return api->remove_node(n->ctx->graph, reader);
    }
    for (int32_t a = 0; a < both.rank; a++)
        axes[a] = both.axes[a];
    TN_TRY(api->set_attribute(n->ctx->graph, reader,
                              &(tn_attribute){ .size = sizeof(tn_attribute),
                                               .type = TN_ATTR_INTS,
                                               .name = "perm",
                                               .count = (size_t)both.rank,
                                               .ints = axes }));
    return api->set_input(n->ctx->graph, reader, 0, from);
}

static tn_status settle_made(network *n, const item *of)
{
    use *uses = malloc((value_of(n, of->value)->use_count + 1) * sizeof *uses);
    if (!uses)
        return no_memory(n);
    const uint32_t count = list_uses(n, of, uses);
    tn_status status = add_exit(n, of, uses, count);
    for (uint32_t k = 0; k < count && status == TN_OK; k++)
        if (uses[k].how == WANTS_TURNED || uses[k].how == WANTS_ANY)
            status = settle_reader(n, of->value, &of->turn, uses[k].reader);
    free(uses);
    return status;
}

/* Transposes behind one that may go read what that one reads. */
static tn_status settle_kept(network *n, const item *of)
{
    const tn_graph_api *api = n->ctx->api;
    const tn_node_id maker = value_of(n, of->value)->producer;
    const tn_value_id x = view_of(n, maker)->inputs[0];
    tn_node_id reader;
    uint32_t input;
    turn by, t;
    read_transpose(n, maker, &by);
    for (uint32_t k = 0; api->use(n->ctx->graph, of->value, k, &reader, &input) == TN_OK;) {
        const uint32_t count = value_of(n, of->value)->use_count;
        if (read_transpose(n, reader, &t))
            TN_TRY(settle_reader(n, x, &by, reader));
        k += value_of(n, of->value)->use_count == count;
    }
    return TN_OK;
}

static tn_status settle(network *n, const item *of)
{
    if (is_made_inside(n, of))
        return turn_is_identity(&of->turn) ? TN_OK : settle_made(n, of);
    return of->origin == TURNED || of->origin == EITHER ? settle_kept(n, of) : TN_OK;
}

/* Transposes whose output nobody reads any more. */
static tn_status remove_unread(network *n)
{
    turn t;
    for (uint32_t i = 0; i < n->item_count; i++) {
        const tn_value_view *value = value_of(n, n->items[i].value);
        if (value && !value->use_count && !value->output_count &&
            read_transpose(n, value->producer, &t))
            TN_TRY(n->ctx->api->remove_node(n->ctx->graph, value->producer));
    }
    return TN_OK;
}

static tn_status rewrite(network *n)
{
    uint32_t count, *in_order = malloc((n->step_count + 1) * sizeof *in_order);
    if (!in_order)
        return no_memory(n);
    tn_status status = order(n, in_order, &count);
    for (uint32_t k = 0; k < count && status == TN_OK; k++)
        status = turn_node(n, &n->steps[in_order[k]]);
    free(in_order);
    TN_TRY(status);
    for (uint32_t i = 0; i < n->item_count; i++)
        if (value_of(n, n->items[i].value))
            TN_TRY(settle(n, &n->items[i]));
    TN_TRY(remove_unread(n));
    return n->after < n->before
               ? tn_fail(n->ctx, TN_OK, "%s: %u nodes turned, %u Transposes become %u", n->name,
                         count, n->before, n->after)
               : tn_fail(n->ctx, TN_OK, "%s: %u nodes turned, as many Transposes move less",
                         n->name, count);
}

static tn_status say_why(network *n)
{
    if (n->why)
        return tn_fail(n->ctx, TN_NO_MATCH, "%s not moved through %s: %s", n->name, n->near,
                       n->why);
    return tn_fail(n->ctx, TN_NO_MATCH, "%s not moved: no fewer Transposes would be left", n->name);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    network n = { .ctx = ctx, .root = node, .region = view->region };
    snprintf(n.name, sizeof n.name, "%s", view->name);
    tn_status status = gather(&n);
    if (status == TN_OK) {
        status = choose(&n);
        status = status == TN_OK ? rewrite(&n) : status == TN_NO_MATCH ? say_why(&n) : status;
    }
    free(n.items);
    free(n.steps);
    motion_map_fini(&n.item_of);
    motion_map_fini(&n.step_of);
    return status;
}

tn_status push_transposes_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Transpose", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 1,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "push_transposes",
                                               .doc = "Transposes moved through other nodes until "
                                                      "they cancel; never more than before.",
                                               .roots = roots,
                                               .match = match });
}
