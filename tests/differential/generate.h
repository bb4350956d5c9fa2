/* tests/differential/generate.h: random graphs, as data that can be made smaller and written as JSON.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_GENERATE_H
#define TENON_TESTS_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MOST_RANK = 5, MOST_VALUES = 400, MOST_NODES = 160, MOST_INPUTS = 8, MOST_OUTPUTS = 4 };

typedef enum net_kind { FLOATS, INTS, BOOLS, BYTES /* uint8 */, WIDES /* float64 */ } net_kind;
typedef enum net_origin { FROM_NODE, FROM_CALLER, FROM_FILE, FROM_EITHER } net_origin;

typedef struct net_value {
    net_kind kind;
    net_origin origin; /* FROM_EITHER: an input with a default */
    int rank;
    int64_t dims[MOST_RANK];
    bool named_batch; /* dims[0] of an input is written as "N" */
    bool exact;       /* made of inputs without any rounding: discontinuous operators may read it */
    bool inside;      /* of a chain: seldom an output */
    bool is_output;
    char *data; /* JSON text of a constant's elements */
} net_value;

typedef struct net_node {
    char op[28];
    int inputs[MOST_INPUTS], outputs[MOST_OUTPUTS];
    int input_count, output_count;
    int hidden;            /* inputs at the end that only a body reads */
    char attributes[1200]; /* JSON members, or "" */
    double length;         /* of its sums */
    bool gone;
} net_node;

typedef struct net {
    const char *dtype; /* of all floats */
    uint64_t state;    /* of the random numbers */
    int64_t batch;
    net_value values[MOST_VALUES];
    net_node nodes[MOST_NODES];
    int value_count, node_count;
} net;

/* Fills a net from a seed: always the same for the same seed. */
void net_generate(net *n, uint64_t seed);
void net_free(net *n);
void net_copy(net *to, const net *from);
/* JSON text, allocated. */
char *net_text(const net *n);
/* Sum of lengths of all sums. */
double net_length(const net *n);
/* Takes away what nothing reads. */
void net_tidy(net *n);

uint32_t draw(uint64_t *state);
static inline int below(net *n, int count)
{
    return (int)(draw(&n->state) % (uint32_t)count);
}

#endif
