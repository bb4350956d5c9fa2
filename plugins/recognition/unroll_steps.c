/* plugins/recognition/unroll_steps.c: where the steps of a chain of cells come from, and who reads its states.
 *
 * SPDX-License-Identifier: MIT */
#include "unroll.h"

#include <stdlib.h>

enum { MOST_SEARCHED = 4096 };

/* ---- where the steps come from ------------------------------------------------------------ */

int chain_read_step(const chain *c, const product *step, piece *out, tn_node_id *squeeze)
{
    const tn_value_id x = step->of;
    *squeeze = TN_NONE;
    if (step->all_steps) {
        *out = (piece){ .node = TN_NONE, .of = x, .axis = step->axis, .begin = step->step };
        return 1;
    }
    if (pattern_piece(c->p, x, out) && out->dropped)
        return out->axis < 2 && type_of(c, out->of)->rank == 3;
    *squeeze = pattern_reshaper(c->p, x);
    if (*squeeze == TN_NONE)
        return 0;
    const tn_value_id wide = pattern_node(c->p, *squeeze)->inputs[0];
    return pattern_piece(c->p, wide, out) && !out->dropped && out->count == 1 && out->axis < 2 &&
           type_of(c, wide)->rank == 3 &&
           pattern_has_axis(type_of(c, wide), type_of(c, x), out->axis, 1);
}

void chain_find_sequence(chain *c)
{
    piece one;
    tn_node_id squeeze;
    int64_t step = 1;
    c->sequence = TN_NONE;
    for (uint32_t t = 0; t < c->count; t++) {
        if (!chain_read_step(c, &c->cells[t].gates[0].products[0], &one, &squeeze))
            break;
        if (t == 0) {
            c->sequence = one.of;
            c->axis = one.axis;
            c->first = one.begin;
        } else if (t == 1) {
            step = one.begin - c->first;
        }
        if (one.of != c->sequence || one.axis != c->axis || (step != 1 && step != -1) ||
            one.begin != c->first + step * t)
            break;
        if (t + 1 == c->count) {
            c->reverse = step < 0;
            c->first = c->reverse ? one.begin : c->first;
            return;
        }
    }
    c->sequence = TN_NONE;
}

/* ---- who reads the states ----------------------------------------------------------------- */

static int is_taken(const chain *c, tn_node_id node)
{
    for (uint32_t k = c->p->count; k-- > 0;)
        if (c->p->nodes[k] == node)
            return 1;
    return 0;
}

/* The Unsqueeze or Reshape that alone puts the state of a step into the Concat `join`. */
static tn_node_id collector(const chain *c, uint32_t step, tn_node_id join, int32_t axis)
{
    const tn_node_view *view = pattern_node(c->p, join);
    const tn_value_id wide = view->inputs[place_of(c, step)];
    const tn_node_id up = pattern_reshaper(c->p, wide);
    const tn_value_view *value = pattern_value(c->p, wide);
    return up != TN_NONE && pattern_node(c->p, up)->inputs[0] == c->cells[step].h &&
                   value->use_count == 1 && !value->output_count &&
                   pattern_has_axis(value->type, type_of(c, c->cells[step].h), axis, 1)
               ? up
               : TN_NONE;
}

static int try_join(chain *c, tn_node_id join)
{
    const tn_node_view *view = pattern_node(c->p, join);
    const tn_type *type = type_of(c, view->outputs[0]);
    const int32_t axis = type->rank == 3 ? tn_axis(tn_attr_int(view, "axis", 0), 3) : -1;
    const uint32_t count = c->p->count;
    if (axis < 0 || axis > 1 || view->input_count != c->count || !pattern_take(c->p, join))
        return 0;
    for (uint32_t t = 0; t < c->count; t++) {
        const tn_node_id up = collector(c, t, join, axis);
        if (up == TN_NONE || !pattern_take(c->p, up)) {
            c->p->count = count;
            return 0;
        }
    }
    c->join = pattern_node(c->p, join)->outputs[0];
    c->join_axis = axis;
    return 1;
}

void chain_find_join(chain *c)
{
    static const char *const ops[] = { "Unsqueeze", "Reshape" };
    c->join = TN_NONE;
    for (uint32_t o = 0; c->count > 1 && o < 2; o++) {
        uint32_t k = 0;
        for (tn_node_id up; (up = cell_reader(c->p, c->cells[0].h, ops[o], &k)) != TN_NONE;) {
            uint32_t j = 0;
            const tn_node_id join = cell_reader(c->p, cell_output(c->p, up), "Concat", &j);
            if (join != TN_NONE && try_join(c, join))
                return;
        }
    }
}

int chain_is_wanted(const chain *c, tn_value_id value)
{
    tn_node_id reader;
    uint32_t input;
    if (pattern_value(c->p, value)->output_count)
        return 1;
    for (uint32_t u = 0; c->p->ctx->api->use(c->p->ctx->graph, value, u, &reader, &input) == TN_OK;
         u++)
        if (!is_taken(c, reader))
            return 1;
    return 0;
}

/* What may be read: states, the last cell, what collects states. */
static int is_answer(const chain *c, tn_value_id value)
{
    if (value == c->join || (c->kind->states == 2 && value == c->cells[c->count - 1].c))
        return 1;
    for (uint32_t t = c->count; t-- > 0;)
        if (value == c->cells[t].h)
            return 1;
    return 0;
}

int chain_is_closed(chain *c)
{
    for (uint32_t k = 0; k < c->p->count; k++) {
        const tn_node_view *view = pattern_node(c->p, c->p->nodes[k]);
        for (uint32_t o = 0; o < view->output_count; o++)
            if (view->outputs[o] != TN_NONE && !is_answer(c, view->outputs[o]) &&
                !pattern_inside(c->p, view->outputs[o]))
                return 0;
    }
    return 1;
}

/* Whether a value is made, over whatever way, of the state after a step: then there is no sequence
 * before there are states. What was searched is not searched again. */
static int depends(const chain *c, tn_value_id value, tn_node_id *seen, uint32_t *count)
{
    const tn_node_id maker = pattern_value(c->p, value)->producer;
    for (uint32_t t = 0; t < c->count; t++)
        if (value == c->cells[t].h || value == c->cells[t].c)
            return 1;
    if (maker == TN_NONE)
        return 0;
    for (uint32_t k = *count; k-- > 0;)
        if (seen[k] == maker)
            return 0;
    if (*count == MOST_SEARCHED)
        return 1;
    seen[(*count)++] = maker;
    const tn_node_view *view = pattern_node(c->p, maker);
    for (uint32_t k = 0; k < view->input_count; k++)
        if (view->inputs[k] != TN_NONE && depends(c, view->inputs[k], seen, count))
            return 1;
    return 0;
}

tn_status chain_check_order(chain *c, int *fits)
{
    tn_node_id *seen = malloc(MOST_SEARCHED * sizeof *seen);
    uint32_t count = 0;
    if (!seen)
        return tn_fail(c->p->ctx, TN_ERR_MEMORY, "no memory to look for a circle");
    *fits = 1;
    for (uint32_t t = 1; *fits && t < c->count; t++)
        if (depends(c, c->cells[t].gates[0].products[0].of, seen, &count))
            *fits = pattern_refuse(c->p, "a step is made of the state before it");
    free(seen);
    return TN_OK;
}
