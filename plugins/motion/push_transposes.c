/* plugins/motion/push_transposes.c: Transposes moved through nodes until they cancel.
 *
 * A Transpose turns what the nodes behind it compute on. Those that could as well compute on what is
 * not turned (turn.c says which) are gathered, from node to node, in both directions (network.c). For each it is
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
#include "network.h"

#include <stdio.h>
#include <stdlib.h>

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
        if (network_read_use(n, of, reader, input, &node) == WANTS_TURNED)
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
        if (of->origin == EITHER && network_read_transpose(n, maker, &t)) {
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
            if (network_read_use(n, &n->items[i], reader, input, &node) == BY_NODE)
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
                if (network_read_use(n, &n->items[i], reader, input, &node) == BY_NODE &&
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
        out[count].how = network_read_use(n, of, out[count].reader, out[count].input, &node);
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
    if (!network_read_transpose(n, reader, &t))
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
        return network_no_memory(n);
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
    network_read_transpose(n, maker, &by);
    for (uint32_t k = 0; api->use(n->ctx->graph, of->value, k, &reader, &input) == TN_OK;) {
        const uint32_t count = value_of(n, of->value)->use_count;
        if (network_read_transpose(n, reader, &t))
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
            network_read_transpose(n, value->producer, &t))
            TN_TRY(n->ctx->api->remove_node(n->ctx->graph, value->producer));
    }
    return TN_OK;
}

static tn_status rewrite(network *n)
{
    uint32_t count, *in_order = malloc((n->step_count + 1) * sizeof *in_order);
    if (!in_order)
        return network_no_memory(n);
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
    tn_status status = network_gather(&n);
    if (status == TN_OK) {
        status = network_choose(&n);
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
