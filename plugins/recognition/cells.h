/* plugins/recognition/cells.h: what the passes that find recurrent cells share (cells.c: reading sums of
 * products; unroll.c: from the cells of a chain to one node).
 *
 * SPDX-License-Identifier: MIT */
#ifndef CELLS_H
#define CELLS_H

#include "recognition.h"

enum { MOST_GATES = 4, MOST_BIASES = 6, MOST_STEPS = 256, CELL_NODES = 40 };

/* A value times some rows and columns of a constant matrix. */
typedef struct product {
    tn_value_id of, matrix;
    int64_t row, rows, column;
    int turned;    /* the matrix is transposed */
    int all_steps; /* `of` is the sequence, multiplied before a step was taken out of `sums`: */
    tn_value_id sums;
    int32_t axis; /* of steps in it */
    int64_t step;
} product;

/* A sum of at most two products and of constants; and of another such sum that a gate is multiplied
 * with, where there is one. */
typedef struct linear {
    product products[2];
    uint32_t product_count;
    struct {
        tn_value_id vector;
        int64_t column;
    } biases[MOST_BIASES];
    uint32_t bias_count;
    tn_value_id gate, gated; /* TN_NONE: none */
} linear;

/* One step. In products of a gate [0] is the input's and [1] the state's, once the chain is known. */
typedef struct cell {
    tn_value_id h, last_h;
    tn_value_id c, last_c; /* LSTM only */
    int keeps;             /* GRU: the first gate is what is kept of the new, not of the old */
    linear gates[MOST_GATES];
} cell;

/* What an operator says of its cells. */
typedef struct cell_kind {
    const char *op;
    uint32_t gates;  /* of W */
    uint32_t states; /* 2: a cell is carried besides */
    /* Reads the cell around a Tanh and takes its nodes. 0: it is none. */
    int (*read)(pattern *p, tn_node_id tanh, cell *out);
    /* The Tanh of the cell that made what `c` starts from; of one that goes on from c. TN_NONE. */
    tn_node_id (*before)(pattern *p, const cell *c);
    tn_node_id (*after)(pattern *p, const cell *c);
} cell_kind;

/* The whole. */
tn_status unroll_match(tn_rewrite *ctx, tn_node_id tanh, const cell_kind *kind);

/* Reads `value`, [batch, width], as a sum; its nodes are taken. 0: it is none. */
int cell_linear(pattern *p, tn_value_id value, linear *out);
/* The sum that a Sigmoid or Tanh `op` makes `value` of. */
int cell_gate(pattern *p, tn_value_id value, const char *op, linear *out);
/* Where all of these gates have one product with a Concat of two: a product with each. 0: it cannot be. */
int cell_split(pattern *p, linear *gates, uint32_t count);
/* Operands of the node `op` that makes a value; which is taken. */
int cell_operands(pattern *p, tn_value_id value, const char *op, tn_value_id operands[2]);
/* A reader of a value that is an `op` of the region, the one after `*k` readers; TN_NONE: no more. */
tn_node_id cell_reader(const pattern *p, tn_value_id value, const char *op, uint32_t *k);
tn_value_id cell_output(const pattern *p, tn_node_id node);
/* Whether a value is a constant of zeros. */
int cell_is_zero(const pattern *p, tn_value_id value);

#endif
