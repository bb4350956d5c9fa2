/* plugins/recognition/unroll.c: from the last cell of a chain back to the first, and one node over the
 * sequence in their place.
 *
 * Steps are pieces of one value (Gather, Slice or Split along its first or second axis, in either
 * direction), or any values: these are laid one behind the other. Where all of them were multiplied at once
 * and pieces taken of that, they are the pieces of what was multiplied. Who read the state after a step reads
 * that piece of Y; where a Concat collects all of them, it is Y. Constant weights are put in the
 * operator's order of gates, biases added up.
 *
 * A single step stays: a node for it is no faster than its parts, measured on native.
 *
 * A first state of zeros may have been multiplied out already: then the first cell has no product with a
 * state, and its biases must be those of the others.
 *
 * SPDX-License-Identifier: MIT */
#include "cells.h"

#include <stdlib.h>

enum { MOST_SEARCHED = 4096 };

typedef struct chain {
    pattern *p;
    const cell_kind *kind;
    cell *cells; /* [count] in time once they are all there */
    uint32_t count;
    int64_t hidden, in;
    tn_dim batch;
    uint32_t dtype;
    int linear;       /* GRU: linear_before_reset */
    tn_value_id join; /* the Concat that collects all states, or TN_NONE */
    int32_t join_axis;
    /* where steps come from */
    tn_value_id sequence; /* TN_NONE: from anywhere */
    int32_t axis;
    int64_t first;
    int reverse;
} chain;

static const tn_type *type_of(const chain *c, tn_value_id value)
{
    return pattern_value(c->p, value)->type;
}

static uint32_t sums_of(const chain *c)
{
    return c->kind->gates + (uint32_t)c->linear;
}

/* ---- the cells ---------------------------------------------------------------------------- */

static int same_matrix(const product *a, const product *b)
{
    return a->matrix == b->matrix && a->row == b->row && a->rows == b->rows &&
           a->column == b->column && a->turned == b->turned;
}

/* Whether two cells multiply with the same matrices, in any order; a first one may lack the state's. */
static int same_matrices(const chain *c, const cell *a, const cell *first)
{
    for (uint32_t g = 0; g < sums_of(c); g++) {
        const linear *l = &a->gates[g], *f = &first->gates[g];
        for (uint32_t k = 0; k < f->product_count; k++) {
            int found = 0;
            for (uint32_t m = 0; m < l->product_count; m++)
                found = found || same_matrix(&f->products[k], &l->products[m]);
            if (!found)
                return 0;
        }
    }
    return 1;
}

/* Whether a cell goes on from `last` with the same weights: then `last` is not the last one. */
static int goes_on(chain *c, const cell *last)
{
    const uint32_t count = c->p->count;
    const tn_node_id tanh = c->kind->after(c->p, last);
    cell next;
    const int found = tanh != TN_NONE && c->kind->read(c->p, tanh, &next) &&
                      (c->kind->states == 2 ? next.last_c == last->c : next.last_h == last->h) &&
                      next.keeps == last->keeps && same_matrices(c, &next, last);
    c->p->count = count;
    c->p->why[0] = 0;
    return found;
}

static int has_product_of(const cell *a, tn_value_id value)
{
    const linear *l = &a->gates[0];
    for (uint32_t k = 0; k < l->product_count; k++)
        if (l->products[k].of == value)
            return 1;
    return 0;
}

/* From the last cell, which is there, to the first; then in the order of time. */
static void walk_back(chain *c)
{
    while (c->count < MOST_STEPS) {
        const cell *next = &c->cells[c->count - 1];
        cell *made = &c->cells[c->count];
        const uint32_t count = c->p->count;
        const tn_node_id tanh = c->kind->before(c->p, next);
        if (tanh == TN_NONE || !c->kind->read(c->p, tanh, made) ||
            !(c->kind->states == 2 ? made->c == next->last_c : made->h == next->last_h) ||
            !has_product_of(next, made->h) || made->keeps != next->keeps ||
            !same_matrices(c, next, made)) {
            c->p->count = count;
            break;
        }
        c->count++;
    }
    c->p->why[0] = 0;
    for (uint32_t a = 0, b = c->count - 1; a < b; a++, b--) {
        const cell kept = c->cells[a];
        c->cells[a] = c->cells[b];
        c->cells[b] = kept;
    }
}

/* ---- who is the input, who the state ------------------------------------------------------ */

static void swap_products(linear *l)
{
    const product kept = l->products[0];
    l->products[0] = l->products[1];
    l->products[1] = kept;
}

static int same_step(const product *a, const product *b)
{
    return a->of == b->of && a->all_steps == b->all_steps && a->axis == b->axis &&
           a->step == b->step;
}

/* The state's product comes second, everywhere. */
static int put_in_order(chain *c, cell *one)
{
    const cell *last = &c->cells[c->count - 1];
    for (uint32_t g = 0; g < c->kind->gates; g++) {
        linear *l = &one->gates[g];
        const int only_input = c->linear && g == 2;
        if (l->product_count == 2 && l->products[0].of == one->last_h)
            swap_products(l);
        if (l->product_count < 1 || (only_input && l->product_count != 1) ||
            l->products[0].of == one->last_h ||
            !same_step(&l->products[0], &one->gates[0].products[0]) ||
            !same_matrix(&l->products[0], &last->gates[g].products[0]))
            return 0;
        if (!only_input && l->product_count == 2 &&
            (l->products[1].of != one->last_h ||
             !same_matrix(&l->products[1], &last->gates[g].products[1])))
            return 0;
        if (l->gate != TN_NONE && !only_input)
            return 0;
    }
    const linear *state = &one->gates[3];
    return !c->linear || !state->product_count ||
           (state->product_count == 1 && state->gate == TN_NONE &&
            state->products[0].of == one->last_h &&
            same_matrix(&state->products[0], &last->gates[3].products[0]));
}

static int has_state(const cell *one)
{
    return one->gates[0].product_count == 2;
}

/* LSTM: which of the two that the first cell multiplies is the state: what the matrix of the others'
 * states stands at. */
static tn_value_id first_state(const chain *c)
{
    const linear *l = &c->cells[0].gates[0];
    if (l->product_count < 2)
        return TN_NONE;
    if (c->count == 1)
        return l->products[l->products[1].rows == c->hidden ? 1 : 0].of;
    const linear *next = &c->cells[1].gates[0];
    const uint32_t k = next->products[0].of == c->cells[0].h ? 0 : 1;
    return l->products[same_matrix(&l->products[1], &next->products[k]) ? 1 : 0].of;
}

static int give_roles(chain *c)
{
    if (c->kind->states == 2)
        for (uint32_t t = 0; t < c->count; t++)
            c->cells[t].last_h = t ? c->cells[t - 1].h : first_state(c);
    for (uint32_t t = c->count; t-- > 0;)
        if (!put_in_order(c, &c->cells[t]))
            return pattern_refuse(c->p, "gates do not all read the same input and state");
    const cell *last = &c->cells[c->count - 1];
    if (!has_state(last) || (c->linear && !last->gates[3].product_count))
        return 0;
    for (uint32_t t = 1; t + 1 < c->count; t++)
        if (!has_state(&c->cells[t]))
            return 0;
    c->in = last->gates[0].products[0].rows;
    return last->gates[0].products[1].rows == c->hidden;
}

/* ---- shapes and biases -------------------------------------------------------------------- */

static int is_state(const chain *c, tn_value_id value)
{
    const tn_type *type = type_of(c, value);
    return type->rank == 2 && type->dtype == c->dtype && pattern_same(type->dims[0], c->batch) &&
           type->dims[1] == c->hidden;
}

static int shapes_fit(chain *c)
{
    const cell *first = &c->cells[0];
    for (uint32_t t = 0; t < c->count; t++) {
        const product *one = &c->cells[t].gates[0].products[0];
        const tn_type *x = type_of(c, one->of);
        if (!pattern_same(x->dims[one->all_steps ? 1 - one->axis : 0], c->batch) ||
            x->dtype != c->dtype)
            return pattern_refuse(c->p, "steps are not known to have as many samples as states");
        if (!is_state(c, c->cells[t].h))
            return pattern_refuse(c->p, "states are not known to have the same shape");
    }
    if (has_state(first) && !is_state(c, first->last_h) && !cell_is_zero(c->p, first->last_h))
        return pattern_refuse(c->p, "the first state has another shape");
    if (!has_state(first) && c->kind->states == 1 && !cell_is_zero(c->p, first->last_h))
        return pattern_refuse(c->p, "the first state is not known to be 0");
    if (c->kind->states == 2 && !is_state(c, first->last_c) && !cell_is_zero(c->p, first->last_c))
        return pattern_refuse(c->p, "the first cell has another shape");
    return 1;
}

/* The sum of a gate's biases for a hidden unit of sample `row`. */
static double bias_at(const chain *c, const linear *l, int64_t row, int64_t unit)
{
    double sum = 0.0;
    for (uint32_t k = 0; k < l->bias_count; k++) {
        const tn_tensor *t = pattern_constant(c->p, l->biases[k].vector);
        const int64_t width = t->rank ? t->dims[t->rank - 1] : 1, rows = tn_count(t) / width,
                      place = (rows > 1 ? row : 0) * width + l->biases[k].column + unit;
        sum += tn_get_double(t->dtype, t->data, tn_count(t) == 1 ? 0 : place);
    }
    return sum;
}

static int same_biases(const linear *a, const linear *b)
{
    if (a->bias_count != b->bias_count)
        return 0;
    for (uint32_t k = 0; k < a->bias_count; k++)
        if (a->biases[k].vector != b->biases[k].vector ||
            a->biases[k].column != b->biases[k].column)
            return 0;
    return 1;
}

/* Samples that the constants of a sum tell apart; 0: they do not fit. */
static int64_t rows_of(const chain *c, const linear *l)
{
    int64_t rows = 1;
    for (uint32_t k = 0; k < l->bias_count; k++) {
        const tn_tensor *t = pattern_constant(c->p, l->biases[k].vector);
        const int64_t width = t->rank ? t->dims[t->rank - 1] : 0,
                      own = width ? tn_count(t) / width : 0;
        if (tn_count(t) == 1 && t->dtype == c->dtype)
            continue;
        if (own < 1 || t->dtype != c->dtype || l->biases[k].column + c->hidden > width)
            return 0;
        rows = own > rows ? own : rows;
    }
    return rows;
}

static int same_numbers(const chain *c, const linear *a, const linear *b)
{
    const int64_t rows = rows_of(c, a);
    if (!rows)
        return 0;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t unit = 0; unit < c->hidden; unit++)
            if (!pattern_near(c->dtype, bias_at(c, a, row, unit), bias_at(c, b, 0, unit)))
                return 0;
    return 1;
}

static int biases_fit(chain *c)
{
    const cell *last = &c->cells[c->count - 1];
    for (uint32_t g = 0; g < sums_of(c); g++) {
        if (rows_of(c, &last->gates[g]) != 1)
            return pattern_refuse(c->p, "a bias differs by sample");
        for (uint32_t t = 0; t + 1 < c->count; t++)
            if (!same_biases(&c->cells[t].gates[g], &last->gates[g]) &&
                !same_numbers(c, &c->cells[t].gates[g], &last->gates[g]))
                return pattern_refuse(c->p, "biases differ by step");
    }
    return 1;
}

/* ---- where the steps come from ------------------------------------------------------------ */

/* A step as one index of an axis; the nodes that take it out of there, where they are not taken yet. */
static int read_step(const chain *c, const product *step, piece *out, tn_node_id *squeeze)
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

static void find_sequence(chain *c)
{
    piece one;
    tn_node_id squeeze;
    int64_t step = 1;
    c->sequence = TN_NONE;
    for (uint32_t t = 0; t < c->count; t++) {
        if (!read_step(c, &c->cells[t].gates[0].products[0], &one, &squeeze))
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

static int64_t place_of(const chain *c, uint32_t step)
{
    return c->reverse ? c->count - 1 - step : step;
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

static void find_join(chain *c)
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

/* Whether something besides what is taken reads a value. */
static int is_wanted(const chain *c, tn_value_id value)
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

static int is_closed(chain *c)
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

static tn_status check_order(chain *c, int *fits)
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

/* ---- weights ------------------------------------------------------------------------------ */

static tn_status add_tensor(chain *c, int32_t rank, const int64_t *dims, void *data,
                            tn_value_id *out)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = c->dtype,
                               .rank = rank,
                               .dims = dims,
                               .data = data,
                               .bytes = tn_dtype_bytes(c->dtype, tn_extent(dims, 0, rank)) };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = c->p->region, .tensor = &tensor, .value = TN_NONE
    };
    return c->p->ctx->api->add_constant(c->p->ctx->graph, &desc, out);
}

/* Whether a gate says what is kept of the other: 1 - Sigmoid(a) is Sigmoid(-a). */
static int is_turned(const chain *c, uint32_t gate)
{
    return gate == 0 && c->cells[c->count - 1].keeps;
}

/* Columns of the gates' matrices as rows, gate by gate: [gates * hidden, rows of a product]. */
static tn_status add_matrix(chain *c, uint32_t which, int64_t rows, tn_value_id *out)
{
    const int64_t dims[3] = { 1, c->kind->gates * c->hidden, rows };
    const size_t element = tn_dtype_bytes(c->dtype, 1);
    char *data = malloc((size_t)(dims[1] * rows) * element + 1), *to = data;
    if (!data)
        return tn_fail(c->p->ctx, TN_ERR_MEMORY, "no memory for weights");
    for (uint32_t g = 0; g < c->kind->gates; g++) {
        const int apart = c->linear && which == 1 && g == 2, turned = is_turned(c, g);
        const product *m = &c->cells[c->count - 1].gates[apart ? 3 : g].products[apart ? 0 : which];
        const tn_tensor *from = pattern_constant(c->p, m->matrix);
        for (int64_t unit = m->column; unit < m->column + c->hidden; unit++)
            for (int64_t k = m->row; k < m->row + rows; k++, to += element) {
                const int64_t place = m->turned ? unit * from->dims[1] + k
                                                : k * from->dims[1] + unit;
                memcpy(to, (const char *)from->data + (size_t)place * element, element);
                if (turned)
                    tn_set_float(c->dtype, to, 0, -tn_get_double(c->dtype, to, 0));
            }
    }
    const tn_status status = add_tensor(c, 3, dims, data, out);
    free(data);
    return status;
}

/* All in the input's half, but for what stands behind a reset gate. */
static tn_status add_biases(chain *c, tn_value_id *out)
{
    const int64_t gates = c->kind->gates, dims[2] = { 1, 2 * gates * c->hidden };
    const cell *last = &c->cells[c->count - 1];
    void *data = calloc((size_t)dims[1], 8);
    uint32_t any = 0;
    *out = TN_NONE;
    for (uint32_t g = 0; g < sums_of(c); g++)
        any += last->gates[g].bias_count;
    if (!data)
        return tn_fail(c->p->ctx, TN_ERR_MEMORY, "no memory for biases");
    for (uint32_t g = 0; g < sums_of(c); g++)
        for (int64_t unit = 0; unit < c->hidden; unit++)
            tn_set_float(c->dtype, data, (g < gates ? g : 2 * gates - 1) * c->hidden + unit,
                         (is_turned(c, g) ? -1.0 : 1.0) * bias_at(c, &last->gates[g], 0, unit));
    const tn_status status = any ? add_tensor(c, 2, dims, data, out) : TN_OK;
    free(data);
    return status;
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_with(chain *c, const char *op, tn_value_id x, int64_t number, tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(c->p, &number, 1, &inputs[1]));
    return pattern_add(c->p, op, inputs, 2, NULL, 0, out);
}

static tn_status add_turn(chain *c, tn_value_id x, tn_value_id *out)
{
    static const int64_t perm[3] = { 1, 0, 2 };
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_INTS, .name = "perm", .ints = perm, .count = 3
    };
    return pattern_add(c->p, "Transpose", &x, 1, &attribute, 1, out);
}

/* The steps one behind the other: [steps, batch, in]. */
static tn_status add_joined(chain *c, tn_value_id *out)
{
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id steps[MOST_STEPS];
    for (uint32_t t = 0; t < c->count; t++)
        TN_TRY(add_with(c, "Unsqueeze", c->cells[t].gates[0].products[0].of, 0, &steps[t]));
    return pattern_add(c->p, "Concat", steps, c->count, &axis, 1, out);
}

static tn_status add_sequence(chain *c, tn_value_id *out)
{
    if (c->sequence == TN_NONE)
        return add_joined(c, out);
    *out = c->sequence;
    if (type_of(c, c->sequence)->dims[c->axis] != c->count) {
        const int64_t numbers[3] = { c->first, c->first + c->count, c->axis };
        tn_value_id inputs[4] = { c->sequence };
        for (uint32_t k = 0; k < 3; k++)
            TN_TRY(pattern_integers(c->p, &numbers[k], 1, &inputs[k + 1]));
        TN_TRY(pattern_add(c->p, "Slice", inputs, 4, NULL, 0, out));
    }
    return c->axis ? add_turn(c, *out, out) : TN_OK;
}

/* The first state, or nothing where it is 0. */
static tn_status add_state(chain *c, tn_value_id state, tn_value_id *out)
{
    *out = TN_NONE;
    return state == TN_NONE || cell_is_zero(c->p, state) ? TN_OK
                                                         : add_with(c, "Unsqueeze", state, 0, out);
}

/* Attributes of the node; answers how many. */
static uint32_t describe(const chain *c, tn_attribute *out)
{
    uint32_t count = 0;
    out[count++] = (tn_attribute){
        .size = sizeof *out, .type = TN_ATTR_INT, .name = "hidden_size", .i = c->hidden
    };
    if (c->reverse)
        out[count++] = (tn_attribute){
            .size = sizeof *out, .type = TN_ATTR_STRING, .name = "direction", .s = { "reverse", 7 }
        };
    if (c->linear)
        out[count++] = (tn_attribute){
            .size = sizeof *out, .type = TN_ATTR_INT, .name = "linear_before_reset", .i = 1
        };
    return count;
}

static tn_status add_recurrent(chain *c, tn_value_id outputs[3])
{
    const cell *first = &c->cells[0];
    tn_attribute attributes[3];
    const uint32_t attribute_count = describe(c, attributes);
    tn_value_id inputs[7] = { TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE, TN_NONE };
    TN_TRY(add_sequence(c, &inputs[0]));
    TN_TRY(add_matrix(c, 0, c->in, &inputs[1]));
    TN_TRY(add_matrix(c, 1, c->hidden, &inputs[2]));
    TN_TRY(add_biases(c, &inputs[3]));
    TN_TRY(add_state(c, has_state(first) ? first->last_h : TN_NONE, &inputs[5]));
    if (c->kind->states == 2)
        TN_TRY(add_state(c, first->last_c, &inputs[6]));
    return pattern_add_outputs(c->p, c->kind->op, inputs, c->kind->states == 2 ? 7 : 6, attributes,
                               attribute_count, outputs, 1 + c->kind->states);
}

static tn_status replace(chain *c, tn_value_id old, tn_value_id new)
{
    return c->p->ctx->api->replace(c->p->ctx->graph, old, new);
}

/* One step of Y, [steps, batch, hidden], for who reads the state after it. */
static tn_status give_step(chain *c, tn_value_id rows, uint32_t step)
{
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id inputs[2] = { rows }, one;
    TN_TRY(pattern_index(c->p, place_of(c, step), &inputs[1]));
    TN_TRY(pattern_add(c->p, "Gather", inputs, 2, &axis, 1, &one));
    return replace(c, c->cells[step].h, one);
}

/* Who reads states: all of them, some, or the last one, which is Y_h where it alone is wanted. */
static tn_status give_states(chain *c, const tn_value_id outputs[3])
{
    tn_value_id rows = TN_NONE, all, last;
    int single = 0;
    for (uint32_t t = 0; t + 1 < c->count; t++)
        single = single || is_wanted(c, c->cells[t].h);
    if (single || c->join != TN_NONE)
        TN_TRY(add_with(c, "Squeeze", outputs[0], 1, &rows));
    all = rows;
    if (c->join != TN_NONE && c->join_axis)
        TN_TRY(add_turn(c, rows, &all));
    for (uint32_t t = 0; single && t < c->count; t++)
        if (is_wanted(c, c->cells[t].h))
            TN_TRY(give_step(c, rows, t));
    if (c->join != TN_NONE)
        TN_TRY(replace(c, c->join, all));
    if (single || !is_wanted(c, c->cells[c->count - 1].h))
        return TN_OK;
    TN_TRY(add_with(c, "Squeeze", outputs[1], 0, &last));
    return replace(c, c->cells[c->count - 1].h, last);
}

/* What multiplied all steps at once goes where nothing else reads it. */
static void absorb_sums(chain *c, tn_value_id value)
{
    for (int depth = 0; depth <= MOST_BIASES; depth++) {
        const tn_node_id node = pattern_value(c->p, value)->producer;
        if (!pattern_is(c->p, node, "Add") && !pattern_is(c->p, node, "MatMul"))
            return;
        pattern_absorb(c->p, node);
        const tn_value_id *in = pattern_node(c->p, node)->inputs;
        value = in[pattern_constant(c->p, in[0]) ? 1 : 0];
    }
}

static tn_status rewrite(chain *c)
{
    const cell *last = &c->cells[c->count - 1];
    tn_value_id outputs[3], squeezed;
    piece one;
    tn_node_id squeeze;
    TN_TRY(add_recurrent(c, outputs));
    TN_TRY(give_states(c, outputs));
    if (c->kind->states == 2 && is_wanted(c, last->c)) {
        TN_TRY(add_with(c, "Squeeze", outputs[2], 0, &squeezed));
        TN_TRY(replace(c, last->c, squeezed));
    }
    for (uint32_t t = 0; c->sequence != TN_NONE && t < c->count; t++)
        if (read_step(c, &c->cells[t].gates[0].products[0], &one, &squeeze)) {
            if (squeeze != TN_NONE)
                pattern_absorb(c->p, squeeze);
            if (one.node != TN_NONE)
                pattern_absorb(c->p, one.node);
        }
    for (uint32_t g = 0; g < c->kind->gates; g++)
        if (c->cells[0].gates[g].products[0].all_steps)
            absorb_sums(c, c->cells[0].gates[g].products[0].sums);
    return pattern_finish(c->p, outputs[0], outputs[0]);
}

/* ---- match -------------------------------------------------------------------------------- */

static int find(chain *c, tn_node_id tanh)
{
    cell *last = &c->cells[0];
    if (!c->kind->read(c->p, tanh, last))
        return 0;
    c->p->y = last->h;
    c->linear = c->kind->states == 1 && last->gates[2].gate != TN_NONE;
    const tn_type *h = type_of(c, last->h);
    if (h->rank != 2 || !tn_dim_known(h->dims[1]) || h->dims[1] < 1 ||
        h->dims[0] == TN_DIM_UNKNOWN || !(TN_BIT(h->dtype) & TN_MASK_FLOAT) || goes_on(c, last))
        return 0;
    c->batch = h->dims[0];
    c->hidden = h->dims[1];
    c->dtype = h->dtype;
    c->count = 1;
    c->p->why[0] = 0;
    walk_back(c);
    if (!give_roles(c) || !shapes_fit(c) || !biases_fit(c))
        return 0;
    if (c->count == 1) /* measured: as fast, or a tenth slower */
        return pattern_refuse(c->p, "a single step is no faster as a node");
    find_sequence(c);
    if (c->sequence == TN_NONE && c->cells[0].gates[0].products[0].all_steps)
        return pattern_refuse(c->p, "steps do not follow each other in what was multiplied");
    find_join(c);
    return is_closed(c);
}

static tn_status match_chain(chain *c, tn_node_id tanh)
{
    int fits = 1;
    if (!find(c, tanh))
        return pattern_miss(c->p);
    TN_TRY(check_order(c, &fits));
    return fits ? rewrite(c) : pattern_miss(c->p);
}

tn_status unroll_match(tn_rewrite *ctx, tn_node_id tanh, const cell_kind *kind)
{
    pattern p;
    cell one;
    chain c = { .p = &p, .kind = kind };
    if (!pattern_begin(&p, ctx, tanh, kind->op))
        return TN_NO_MATCH;
    if (!kind->read(&p, tanh, &one)) /* most Tanh are none: before there is memory to get */
        return TN_NO_MATCH;
    p.capacity = MOST_STEPS * CELL_NODES;
    p.nodes = malloc(p.capacity * sizeof *p.nodes);
    c.cells = malloc((MOST_STEPS + 1) * sizeof *c.cells);
    p.count = 0;
    tn_status status = p.nodes && c.cells ? match_chain(&c, tanh)
                                          : tn_fail(ctx, TN_ERR_MEMORY, "no memory for a chain");
    free(p.nodes);
    free(c.cells);
    return status;
}
