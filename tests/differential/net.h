/* tests/differential/net.h: what makers build a random graph with.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_NET_H
#define TENON_TESTS_NET_H

#include "generate.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ATTRIBUTES(made, ...) snprintf((made)->attributes, sizeof(made)->attributes, __VA_ARGS__)

/* Text that grows; `at` is the caller's to free. */
typedef struct text {
    char *at;
    size_t used, room;
} text;
void add(text *t, const char *format, ...);

bool one_in(net *n, int count);
int64_t elements(const net_value *v);

/* Values; each answers the index of the new one. */
typedef enum net_style { ANY, POSITIVE, ZERO, ONE, MIXED } net_style;
net_style some_style(net *n);
int add_value(net *n, net_origin origin, net_kind kind, int rank, const int64_t *dims);
int constant(net *n, net_style style, int rank, const int64_t *dims);
int integers(net *n, int count, const int64_t *numbers);
int integer(net *n, int64_t number);
int whole_number(net *n, int64_t number); /* of rank 0 */
int number(net *n, double x);             /* of rank 0 */
int scalar(net *n, net_style style);

/* Nodes, then their outputs. */
net_node *add_node(net *n, const char *op, int input_count, const int *inputs);
int output(net *n, net_node *from, net_kind kind, int rank, const int64_t *dims);
int same_as(net *n, net_node *from, int like);
int unary(net *n, const char *op, int x);
int binary(net *n, const char *op, int a, int b, int like);
int reshaped(net *n, int x, int rank, const int64_t *dims);
int transposed(net *n, int x, const int *order);
int product(net *n, int a, int b);

/* A float value of that rank (0: any above 0), late ones rather; -1: none. `exact`: without rounding. */
int pick(net *n, int rank, bool exact);
/* A float value of the same shape, perhaps the same one; -1: none. */
int pick_like(net *n, int x);

/* Whether a node reads it. */
bool is_read(const net *n, int value);

#endif
