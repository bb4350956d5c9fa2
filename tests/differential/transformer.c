/* tests/differential/transformer.c: makers of what transformers have, as exporters write it.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

bool softmax(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    net_node *made = add_node(n, one_in(n, 4) ? "LogSoftmax" : "Softmax", 1, &x);
    made->length = 32;
    ATTRIBUTES(made, "\"axis\": %d", below(n, n->values[x].rank) - n->values[x].rank);
    same_as(n, made, x);
    return true;
}

bool layer_norm(net *n)
{
    const int x = pick(n, 2 + below(n, 2), false);
    if (x < 0)
        return false;
    const int64_t width = n->values[x].dims[n->values[x].rank - 1];
    const int inputs[] = { x, constant(n, some_style(n), 1, &width),
                           constant(n, some_style(n), 1, &width) };
    const bool rms = one_in(n, 4);
    net_node *made = add_node(n, rms ? "RMSNormalization" : "LayerNormalization",
                              rms ? 2 : 2 + below(n, 2), inputs);
    made->length = 4 * (double)width + 16;
    same_as(n, made, x);
    return true;
}

/* (x - mean) / sqrt(mean((x - mean)^2) + e) * g + b over the axes of `axes`, as exporters write it. */
static void write_norm(net *n, int x, int axes, const int64_t *reduced, int scale, int bias)
{
    const net_value v = n->values[x];
    const double length = (double)(elements(&v) / (v.dims[0] ? v.dims[0] : 1));
    int inputs[] = { x, axes };
    net_node *mean = add_node(n, "ReduceMean", 2, inputs);
    mean->length = length;
    const int m = output(n, mean, FLOATS, v.rank, reduced), centred = binary(n, "Sub", x, m, x);
    inputs[0] = one_in(n, 2) ? binary(n, "Mul", centred, centred, centred)
                             : unary(n, "Abs", binary(n, "Mul", centred, centred, centred));
    net_node *again = add_node(n, "ReduceMean", 2, inputs);
    again->length = length;
    const int variance = output(n, again, FLOATS, v.rank, reduced);
    const int deviation = unary(n, "Sqrt", binary(n, "Add", variance, scalar(n, ONE), variance));
    const int y = binary(n, "Div", centred, deviation, x);
    binary(n, "Add", binary(n, "Mul", y, scale, y), bias, y);
}

bool written_norm(net *n)
{
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, width = d[2], reduced[] = { d[0], d[1], 1 };
    const int scale = constant(n, some_style(n), 1, &width),
              bias = constant(n, some_style(n), 1, &width);
    write_norm(n, x, integer(n, -1), reduced, scale, bias);
    return true;
}

/* Over all planes, and a factor for each channel; or over channels and one axis, which is another thing. */
bool written_instance(net *n)
{
    const int x = pick(n, 4, false), odd = one_in(n, 4);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, axes[] = { odd ? 1 : 2, 3 }, each[] = { d[1], 1, 1 };
    const int64_t reduced[] = { d[0], odd ? 1 : d[1], odd ? d[2] : 1, 1 };
    const int scale = constant(n, some_style(n), 3, each),
              bias = constant(n, some_style(n), 3, each);
    write_norm(n, x, integers(n, 2, axes), reduced, scale, bias);
    return true;
}

bool written_activation(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    switch (below(n, 3)) {
    case 0: binary(n, "Mul", x, unary(n, "Sigmoid", x), x); break;
    case 1: binary(n, "Mul", x, unary(n, "HardSigmoid", x), x); break;
    default: {
        const int e = unary(n, "Erf", binary(n, "Div", x, scalar(n, POSITIVE), x));
        const int s = binary(n, "Add", e, scalar(n, ONE), x);
        binary(n, "Mul", binary(n, "Mul", x, s, x), scalar(n, POSITIVE), x);
    }
    }
    return true;
}

/* Scaled dot-product attention of one head or two, of a value with itself. */
bool attention(net *n)
{
    static const int heads_first[] = { 0, 2, 1, 3 }, keys[] = { 0, 2, 3, 1 };
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, batch = d[0], length = d[1], width = d[2];
    const int64_t heads = 1 + below(n, 2), each = 1 + below(n, 3);
    const int64_t w_dims[] = { width, heads * each }, split[] = { batch, length, heads, each };
    const int64_t whole[] = { batch, length, heads * each };
    int parts[3];
    for (int k = 0; k < 3; k++) {
        const int inputs[] = { x, constant(n, ANY, 2, w_dims) };
        net_node *made = add_node(n, "MatMul", 2, inputs);
        made->length = (double)width;
        const int y = output(n, made, FLOATS, 3, whole);
        parts[k] = transposed(n, reshaped(n, y, 4, split), k == 1 ? keys : heads_first);
    }
    int scores = product(n, parts[0], parts[1]);
    scores = binary(n, one_in(n, 2) ? "Mul" : "Div", scores, scalar(n, POSITIVE), scores);
    net_node *made = add_node(n, "Softmax", 1, &scores);
    made->length = (double)length;
    const int weights = same_as(n, made, scores);
    reshaped(n, transposed(n, product(n, weights, parts[2]), heads_first), 3, whole);
    return true;
}

/* One for each element, any, or the same for both of a pair. */
static int angles(net *n, const int64_t *dims)
{
    const int64_t half[] = { dims[0], dims[1] / 2 };
    if (one_in(n, 3))
        return constant(n, ANY, 2, dims);
    const int one = constant(n, ANY, 2, half), both[] = { one, one };
    net_node *made = add_node(n, "Concat", 2, both);
    ATTRIBUTES(made, "\"axis\": -1");
    return output(n, made, FLOATS, 2, dims);
}

/* Turned pairs of elements, by the operator's definition: x cos + (-second half, first half) sin. */
bool rotary(net *n)
{
    static const int heads_first[] = { 0, 2, 1, 3 };
    int x = pick(n, 3, false);
    if (x >= 0) { /* of one head or two, split off */
        const int64_t *v = n->values[x].dims, heads = v[2] % 4 ? 1 : 2,
                      apart[] = { v[0], v[1], heads, v[2] / heads };
        x = v[2] % 2 || one_in(n, 3) ? pick(n, 4, false)
                                     : transposed(n, reshaped(n, x, 4, apart), heads_first);
    }
    if (x < 0 || n->values[x].dims[3] % 2)
        return false;
    const int64_t *d = n->values[x].dims, half = d[3] / 2, parts[] = { d[0], d[1], d[2], half };
    const int64_t turns[] = { d[2], d[3] };
    const int low[] = { x, integer(n, 0), integer(n, half), integer(n, 3) };
    const int high[] = { x, integer(n, half), integer(n, 2 * half), integer(n, -1) };
    const int a = output(n, add_node(n, "Slice", 4, low), FLOATS, 4, parts);
    const int b = unary(n, "Neg", output(n, add_node(n, "Slice", 4, high), FLOATS, 4, parts));
    const int both[] = { b, a };
    net_node *joined = add_node(n, "Concat", 2, both);
    ATTRIBUTES(joined, "\"axis\": -1");
    const int turned = same_as(n, joined, x);
    const int cosines = angles(n, turns), sines = angles(n, turns);
    const int straight = binary(n, "Mul", x, cosines, x);
    binary(n, "Add", straight, binary(n, "Mul", turned, sines, x), x);
    return true;
}

/* Query, key and value from one product, split; with a mask that is added, or none. */
bool packed_attention(net *n)
{
    static const int keys[] = { 0, 2, 1 };
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, batch = d[0], length = d[1], width = d[2],
                  each = 1 + below(n, 3);
    const int64_t w_dims[] = { width, 3 * each }, all[] = { batch, length, 3 * each };
    const int64_t part[] = { batch, length, each }, sizes[] = { each, each, each },
                  mask[] = { length, length };
    const int inputs[] = { x, constant(n, ANY, 2, w_dims) };
    net_node *made = add_node(n, "MatMul", 2, inputs);
    made->length = (double)width;
    const int split[] = { output(n, made, FLOATS, 3, all), integers(n, 3, sizes) };
    int parts[3];
    made = add_node(n, "Split", 2, split);
    ATTRIBUTES(made, "\"axis\": %d", one_in(n, 2) ? 2 : -1);
    for (int k = 0; k < 3; k++)
        parts[k] = output(n, made, FLOATS, 3, part);
    if (one_in(n, 2))
        parts[0] = binary(n, "Mul", parts[0], scalar(n, POSITIVE), parts[0]);
    int scores = product(n, parts[0], transposed(n, parts[1], keys));
    if (one_in(n, 2))
        scores = binary(n, "Add", scores, constant(n, some_style(n), 2, mask), scores);
    made = add_node(n, "Softmax", 1, &scores);
    made->length = (double)length;
    product(n, same_as(n, made, scores), parts[2]);
    return true;
}

/* x / sqrt(mean(x^2) + e) * g. */
bool written_rms(net *n)
{
    const int x = pick(n, 2 + below(n, 2), false);
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    const int64_t width = v.dims[v.rank - 1];
    int64_t dims[MOST_RANK];
    memcpy(dims, v.dims, sizeof dims);
    dims[v.rank - 1] = 1;
    const int inputs[] = { binary(n, "Mul", x, x, x), integer(n, -1) };
    net_node *mean = add_node(n, "ReduceMean", 2, inputs);
    mean->length = (double)width;
    const int m = output(n, mean, FLOATS, v.rank, dims);
    const int root = unary(n, "Sqrt", binary(n, "Add", m, scalar(n, ONE), m));
    const int y = one_in(n, 2) ? binary(n, "Div", x, root, x)
                               : binary(n, "Mul", x, unary(n, "Reciprocal", root), x);
    binary(n, "Mul", y, constant(n, some_style(n), 1, &width), y);
    return true;
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
bool written_tanh_gelu(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const int cube = binary(n, "Mul", x, binary(n, "Mul", x, x, x), x);
    const int inner = binary(n, "Add", x, binary(n, "Mul", cube, number(n, 0.044715), x), x);
    const int t = unary(n, "Tanh", binary(n, "Mul", inner, number(n, 0.7978845608), x));
    const int y = binary(n, "Mul", x, binary(n, "Add", t, number(n, 1), x), x);
    binary(n, "Mul", y, number(n, 0.5), y);
    return true;
}
