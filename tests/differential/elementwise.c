/* tests/differential/elementwise.c: makers of elementwise operators.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

bool activation(net *n)
{
    static const char *const ops[] = { "Relu", "Relu",      "Relu",      "Sigmoid",
                                       "Tanh", "LeakyRelu", "HardSwish", "HardSigmoid",
                                       "Gelu", "Elu",       "Softplus",  "Mish",
                                       "Abs",  "Neg",       "Erf",       "Softsign" };
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const char *op = ops[below(n, COUNT(ops))];
    const int y = unary(n, op, x);
    if (one_in(n, 6))
        unary(n, op, y); /* twice the same */
    return true;
}

bool clip(net *n)
{
    const int x = pick(n, 0, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const int inputs[] = { x, constant(n, ZERO, 0, &none), constant(n, ONE, 0, &none) };
    same_as(n, add_node(n, "Clip", 2 + below(n, 2), inputs), x);
    return true;
}

bool with_constant(net *n)
{
    static const char *const ops[] = { "Add", "Mul", "Sub", "Div" };
    const int x = pick(n, 0, false), which = below(n, COUNT(ops));
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    int64_t dims[MOST_RANK];
    for (int k = 0; k < v.rank; k++)
        dims[k] = one_in(n, 2) ? v.dims[k] : 1;
    const net_style s = which == 3 ? (one_in(n, 3) ? ONE : POSITIVE) : some_style(n);
    const int c = one_in(n, 2) ? scalar(n, s) : constant(n, s, v.rank, dims);
    if (which < 2 && one_in(n, 2))
        binary(n, ops[which], c, x, x);
    else
        binary(n, ops[which], x, c, x);
    return true;
}

bool residual(net *n)
{
    static const char *const ops[] = { "Add", "Add", "Sub", "Mul", "Max", "Min" };
    const int x = pick(n, 0, false), y = x < 0 ? -1 : pick_like(n, x);
    if (y < 0)
        return false;
    binary(n, ops[below(n, COUNT(ops))], x, y, x);
    return true;
}

/* Operators that step: only on values without rounding. */
bool select_by_mask(net *n)
{
    const int x = pick(n, 0, true), y = x < 0 ? -1 : pick_like(n, x);
    if (y < 0)
        return false;
    const int compared[] = { x, scalar(n, ZERO) };
    net_node *made = add_node(n, one_in(n, 2) ? "Greater" : "Less", 2, compared);
    const int mask = output(n, made, BOOLS, n->values[x].rank, n->values[x].dims);
    const int inputs[] = { mask, x, y };
    same_as(n, add_node(n, "Where", 3, inputs), x);
    return true;
}

/* A value less what was reduced of it: broadcasting along one axis, of values that both are computed. */
bool with_reduced(net *n)
{
    static const char *const ops[] = { "Sub", "Add", "Mul", "Max" };
    const int x = pick(n, 0, false);
    if (x < 0 || n->values[x].rank < 2)
        return false;
    const int rank = n->values[x].rank, axis = below(n, rank);
    int64_t dims[MOST_RANK];
    memcpy(dims, n->values[x].dims, sizeof dims);
    const int inputs[] = { x, integer(n, axis) };
    net_node *made = add_node(n, one_in(n, 2) ? "ReduceMax" : "ReduceMean", 2, inputs);
    made->length = (double)dims[axis];
    dims[axis] = 1;
    const int m = output(n, made, FLOATS, rank, dims);
    const char *op = ops[below(n, COUNT(ops))];
    if (one_in(n, 2))
        binary(n, op, x, m, x);
    else
        binary(n, op, m, x, x);
    return true;
}

/* Clip, Relu and Clip in a row, of bounds that may cross. */
bool cascade(net *n)
{
    const int64_t none = 0;
    int x = pick(n, 0, false);
    if (x < 0)
        return false;
    for (int k = 0; k < 3; k++)
        if (one_in(n, 2)) {
            const int inputs[] = { x, constant(n, some_style(n), 0, &none),
                                   constant(n, POSITIVE, 0, &none) };
            x = same_as(n, add_node(n, "Clip", 3, inputs), x);
        } else {
            x = unary(n, "Relu", x);
        }
    return true;
}

/* x * Clip(x + 3, 0, 6) / 6, or one of its parts. */
bool written_hard(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const int s = binary(n, "Add", x, number(n, 3), x);
    const int inputs[] = { s, number(n, 0), number(n, one_in(n, 4) ? 5 : 6) };
    int y = same_as(n, add_node(n, "Clip", 3, inputs), x);
    if (one_in(n, 2))
        y = binary(n, "Mul", x, y, x);
    binary(n, "Div", y, number(n, 6), y);
    return true;
}
