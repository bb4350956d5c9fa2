/* tests/differential/forms.c: makers of what is recognized in other forms than the usual ones, each of which
 * now and then is nearly that and not quite.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

/* Every second row and column from four places on, in some order. */
bool focus(net *n)
{
    static const int orders[][4] = { { 0, 1, 2, 3 }, { 0, 2, 1, 3 }, { 1, 0, 2, 3 } };
    const int x = pick(n, 4, false), *order = orders[below(n, COUNT(orders))];
    if (x < 0 || n->values[x].dims[2] % 2 || n->values[x].dims[3] % 2)
        return false;
    const int64_t *d = n->values[x].dims, part[] = { d[0], d[1], d[2] / 2, d[3] / 2 },
                  all[] = { d[0], 4 * d[1], d[2] / 2, d[3] / 2 }, axes[] = { 2, 3 },
                  ends[] = { d[2], d[3] }, steps[] = { 2, 2 };
    int parts[4];
    for (int k = 0; k < 4; k++) {
        const int64_t starts[] = { order[k] / 2, order[k] % 2 };
        const int inputs[] = { x, integers(n, 2, starts), integers(n, 2, ends),
                               integers(n, 2, axes), integers(n, 2, steps) };
        parts[k] = output(n, add_node(n, "Slice", 5, inputs), FLOATS, 4, part);
    }
    net_node *made = add_node(n, "Concat", 4, parts);
    ATTRIBUTES(made, "\"axis\": 1");
    output(n, made, FLOATS, 4, all);
    return true;
}

static int zero_point(net *n)
{
    const int made = add_value(n, FROM_FILE, BYTES, 0, NULL);
    text t = { 0 };
    add(&t, "%d", one_in(n, 2) ? 0 : 128);
    n->values[made].data = t.at;
    return made;
}

/* Bytes that are dequantized, moved or pooled, and quantized again, with the same scale or another. */
bool quantized_moved(net *n)
{
    static const int last[] = { 0, 2, 3, 1 };
    const int x = strcmp(n->dtype, "float32") == 0 ? pick(n, 4, true) : -1;
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    const int scale = number(n, 0.0625), zero = zero_point(n), from[] = { x, scale, zero };
    const int q[] = { output(n, add_node(n, "QuantizeLinear", 3, from), BYTES, 4, v.dims), scale,
                      zero };
    int y = same_as(n, add_node(n, "DequantizeLinear", 3, q), x);
    const int64_t flat[] = { v.dims[0], v.dims[1] * v.dims[2] * v.dims[3] };
    switch (below(n, 4)) {
    case 0: y = transposed(n, y, last); break;
    case 1: y = reshaped(n, y, 2, flat); break;
    case 2: y = unary(n, "Relu", y); break;
    default: {
        net_node *made = add_node(n, "MaxPool", 1, &y);
        ATTRIBUTES(made, "\"kernel_shape\": [1, 1]");
        y = same_as(n, made, x);
    }
    }
    if (one_in(n, 4))
        unary(n, "Abs", y);
    const net_value moved = n->values[y];
    const int to[] = { y, one_in(n, 4) ? number(n, 0.125) : scale, zero };
    const int back[] = {
        output(n, add_node(n, "QuantizeLinear", 3, to), BYTES, moved.rank, moved.dims), to[1], zero
    };
    same_as(n, add_node(n, "DequantizeLinear", 3, back), y);
    return true;
}

static int mean(net *n, int x, int axes, const int64_t *reduced)
{
    const net_value v = n->values[x];
    const int inputs[] = { x, axes };
    net_node *made = add_node(n, "ReduceMean", 2, inputs);
    made->length = (double)v.dims[v.rank - 1];
    return output(n, made, FLOATS, v.rank, reduced);
}

/* s = scale (variance + 1)^(-1/2), x s + (bias - mean s). */
bool spread_norm(net *n)
{
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, width = d[2], reduced[] = { d[0], d[1], 1 };
    const int axes = integer(n, -1), m = mean(n, x, axes, reduced),
              centred = binary(n, "Sub", x, m, x);
    const int variance = mean(n, binary(n, "Mul", centred, centred, x), axes, reduced);
    const int sum = binary(n, "Add", variance, scalar(n, ONE), variance);
    const int root = one_in(n, 2) ? binary(n, "Pow", sum, number(n, -0.5), sum)
                                  : unary(n, "Reciprocal", unary(n, "Sqrt", sum));
    const int s = binary(n, "Mul", root, constant(n, ANY, 1, &width), x);
    const int shift = binary(n, "Mul", one_in(n, 5) ? x : m, s, x);
    binary(n, "Add", binary(n, "Mul", x, s, x),
           binary(n, "Sub", constant(n, some_style(n), 1, &width), shift, x), x);
    return true;
}

/* Scores with masks that are added, or chosen by one of the caller. */
bool two_masks(net *n)
{
    static const int keys[] = { 0, 2, 1 };
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, length = d[1], row[] = { length, length },
                  column[] = { length, 1 };
    int scores = product(n, x, transposed(n, x, keys));
    for (int k = 0; k < 1 + below(n, 2); k++) {
        const int mask = constant(n, some_style(n), 2, one_in(n, 3) ? column : row);
        scores = one_in(n, 2) ? binary(n, "Add", scores, mask, scores)
                              : binary(n, "Add", mask, scores, scores);
    }
    net_node *made = add_node(n, "Softmax", 1, &scores);
    made->length = (double)length;
    product(n, same_as(n, made, scores), x);
    return true;
}

/* Gates by Min and Max, and a Gelu with its half inside. */
bool written_gate(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    if (one_in(n, 2)) {
        const int e = unary(n, "Erf", binary(n, "Mul", x, number(n, 0.70710678118654752), x));
        const int half = number(n, one_in(n, 5) ? 0.25 : 0.5);
        binary(n, "Mul", x, binary(n, "Add", binary(n, "Mul", e, half, x), number(n, 0.5), x), x);
        return true;
    }
    const int sum = binary(n, "Add", x, number(n, one_in(n, 5) ? 2 : 3), x);
    const int cut = binary(n, "Min", binary(n, "Max", sum, number(n, 0), x), number(n, 6), x);
    binary(n, "Div", one_in(n, 2) ? binary(n, "Mul", cut, x, x) : cut, number(n, 6), x);
    return true;
}
