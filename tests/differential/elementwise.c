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
