/* plugins/recognition/unroll.h: a chain of recurrent cells, between unroll.c, which finds it, unroll_steps.c,
 * which says where its steps come from and who reads its states, and unroll_write.c, which puts one node in its
 * place.
 *
 * SPDX-License-Identifier: MIT */
#ifndef UNROLL_H
#define UNROLL_H

#include "cells.h"

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

static inline const tn_type *type_of(const chain *c, tn_value_id value)
{
    return pattern_value(c->p, value)->type;
}

static inline uint32_t sums_of(const chain *c)
{
    return c->kind->gates + (uint32_t)c->linear;
}

static inline int has_state(const cell *one)
{
    return one->gates[0].product_count == 2;
}

/* Where a step stands in the sequence. */
static inline int64_t place_of(const chain *c, uint32_t step)
{
    return c->reverse ? c->count - 1 - step : step;
}

/* The sum of a gate's biases for a hidden unit of sample `row`. */
double chain_bias_at(const chain *c, const linear *l, int64_t row, int64_t unit);

/* The value that steps are pieces of, one behind the other, if there is one. */
void chain_find_sequence(chain *c);
/* A step as one index of an axis; the nodes that take it out of there, where they are not taken yet. */
int chain_read_step(const chain *c, const product *step, piece *out, tn_node_id *squeeze);
/* The Concat that collects all states, if there is one. */
void chain_find_join(chain *c);
/* Whether something besides what is taken reads a value. */
int chain_is_wanted(const chain *c, tn_value_id value);
/* That nothing but answers is read from outside. */
int chain_is_closed(chain *c);
/* *fits: no step is made of a state. */
tn_status chain_check_order(chain *c, int *fits);

/* The node, and what reads its answers. */
tn_status chain_rewrite(chain *c);

#endif
