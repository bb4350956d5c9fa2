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
#include "unroll.h"

#include <stdlib.h>

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

double chain_bias_at(const chain *c, const linear *l, int64_t row, int64_t unit)
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
            if (!pattern_near(c->dtype, chain_bias_at(c, a, row, unit),
                              chain_bias_at(c, b, 0, unit)))
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
    chain_find_sequence(c);
    if (c->sequence == TN_NONE && c->cells[0].gates[0].products[0].all_steps)
        return pattern_refuse(c->p, "steps do not follow each other in what was multiplied");
    chain_find_join(c);
    return chain_is_closed(c);
}

static tn_status match_chain(chain *c, tn_node_id tanh)
{
    int fits = 1;
    if (!find(c, tanh))
        return pattern_miss(c->p);
    TN_TRY(chain_check_order(c, &fits));
    return fits ? chain_rewrite(c) : pattern_miss(c->p);
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
