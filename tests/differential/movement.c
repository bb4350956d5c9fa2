/* tests/differential/movement.c: makers of what moves elements, and of shapes that are computed.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

bool concat(net *n)
{
    const int x = pick(n, 0, false), y = x < 0 ? -1 : pick_like(n, x);
    if (y < 0)
        return false;
    const int axis = below(n, n->values[x].rank), inputs[] = { x, y };
    const int count = one_in(n, 5) ? 1 : 2;
    int64_t dims[MOST_RANK];
    memcpy(dims, n->values[x].dims, sizeof dims);
    dims[axis] *= count;
    if (dims[axis] > 24)
        return false;
    net_node *made = add_node(n, "Concat", count, inputs);
    ATTRIBUTES(made, "\"axis\": %d", axis);
    output(n, made, FLOATS, n->values[x].rank, dims);
    return true;
}

bool transpose(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    int order[MOST_RANK], back[MOST_RANK];
    const int rank = n->values[x].rank;
    for (int k = 0; k < rank; k++)
        order[k] = k;
    for (int k = rank - 1; k > 0; k--) {
        const int other = below(n, k + 1), kept = order[k];
        order[k] = order[other];
        order[other] = kept;
    }
    const int y = transposed(n, x, order);
    if (one_in(n, 3))
        return true;
    const int z = one_in(n, 2) ? y : unary(n, "Relu", y);
    for (int k = 0; k < rank; k++)
        back[order[k]] = k;
    transposed(n, z, one_in(n, 2) ? back : order);
    return true;
}

bool reshape(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    const int64_t flat[] = { v.dims[0], elements(&v) / v.dims[0] };
    if (one_in(n, 3)) {
        const int y = reshaped(n, x, v.rank, v.dims);
        (void)y;
    } else if (one_in(n, 2)) {
        net_node *made = add_node(n, "Flatten", 1, &x);
        ATTRIBUTES(made, "\"axis\": 1");
        output(n, made, FLOATS, 2, flat);
    } else {
        reshaped(n, reshaped(n, x, 2, flat), v.rank, v.dims);
    }
    return true;
}

/* Reshape to what Shape, Gather and Concat say: as frameworks flatten. */
bool shape_chain(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    const int64_t rank = v.rank, one = 1, two = 2, flat[] = { v.dims[0], elements(&v) / v.dims[0] };
    const int shape = output(n, add_node(n, "Shape", 1, &x), INTS, 1, &rank);
    const int gather[] = { shape, integer(n, 0) };
    const int first = output(n, add_node(n, "Gather", 2, gather), INTS, 1, &one);
    const int both[] = { first, integer(n, -1) };
    net_node *joined = add_node(n, "Concat", 2, both);
    ATTRIBUTES(joined, "\"axis\": 0");
    const int inputs[] = { x, output(n, joined, INTS, 1, &two) };
    output(n, add_node(n, "Reshape", 2, inputs), FLOATS, 2, flat);
    return true;
}

bool slice(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    int64_t dims[MOST_RANK];
    const int rank = n->values[x].rank, axis = below(n, rank);
    memcpy(dims, n->values[x].dims, sizeof dims);
    const int64_t from = below(n, (int)dims[axis]),
                  to = one_in(n, 3) ? INT64_C(1) << 40 : dims[axis];
    const int inputs[] = { x, integer(n, from), integer(n, to), integer(n, axis) };
    dims[axis] -= from;
    output(n, add_node(n, "Slice", 4, inputs), FLOATS, rank, dims);
    return true;
}

bool split(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    int64_t dims[MOST_RANK];
    const int rank = n->values[x].rank, axis = below(n, rank);
    memcpy(dims, n->values[x].dims, sizeof dims);
    if (dims[axis] < 2)
        return false;
    const int64_t sizes[] = { 1, dims[axis] - 1 };
    const int inputs[] = { x, integers(n, 2, sizes) };
    net_node *made = add_node(n, "Split", 2, inputs);
    ATTRIBUTES(made, "\"axis\": %d", axis);
    dims[axis] = 1;
    const int a = output(n, made, FLOATS, rank, dims);
    dims[axis] = sizes[1];
    const int b = output(n, made, FLOATS, rank, dims);
    if (one_in(n, 2)) {
        const int back[] = { a, b };
        net_node *joined = add_node(n, "Concat", 2, back);
        ATTRIBUTES(joined, "\"axis\": %d", axis);
        same_as(n, joined, x);
    }
    return true;
}

bool unsqueeze(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0 || n->values[x].rank >= MOST_RANK)
        return false;
    const net_value v = n->values[x];
    const int axis = below(n, v.rank + 1);
    int64_t dims[MOST_RANK];
    for (int k = 0; k <= v.rank; k++)
        dims[k] = k < axis ? v.dims[k] : k == axis ? 1 : v.dims[k - 1];
    const int inputs[] = { x, integer(n, axis) };
    const int y = output(n, add_node(n, "Unsqueeze", 2, inputs), FLOATS, v.rank + 1, dims);
    if (one_in(n, 2)) {
        const int back[] = { y, integer(n, axis) };
        output(n, add_node(n, "Squeeze", 2, back), FLOATS, v.rank, v.dims);
    }
    return true;
}

/* Two Slices, one of the other, along the same axis or another one. */
bool slice_twice(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const int rank = n->values[x].rank;
    int64_t dims[MOST_RANK];
    int y = x;
    memcpy(dims, n->values[x].dims, sizeof dims);
    for (int k = 0, axis = below(n, rank); k < 2;
         k++, axis = one_in(n, 2) ? axis : below(n, rank)) {
        const int64_t from = below(n, (int)dims[axis]), step = 1 + one_in(n, 3);
        const int inputs[] = { y, integer(n, from), integer(n, dims[axis]), integer(n, axis),
                               integer(n, step) };
        dims[axis] = (dims[axis] - from + step - 1) / step;
        y = output(n, add_node(n, "Slice", 5, inputs), FLOATS, rank, dims);
    }
    return true;
}

/* A turn, something that works element by element or along an axis, and another turn. */
bool turned(net *n)
{
    static const int in[] = { 0, 2, 3, 1 }, out[] = { 0, 3, 1, 2 };
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    int y = transposed(n, x, in);
    const net_value v = n->values[y];
    const int64_t last = v.dims[3];
    switch (below(n, 4)) {
    case 0: y = unary(n, "Sigmoid", y); break;
    case 1: y = binary(n, "Mul", y, constant(n, some_style(n), 1, &last), y); break;
    case 2: {
        net_node *made = add_node(n, "Softmax", 1, &y);
        made->length = (double)last;
        ATTRIBUTES(made, "\"axis\": -1");
        y = same_as(n, made, y);
        break;
    }
    default: {
        const int64_t pads[] = { 0, 1, 1, 0, 0, 1, 1, 0 };
        const int64_t dims[] = { v.dims[0], v.dims[1] + 2, v.dims[2] + 2, v.dims[3] };
        const int inputs[] = { y, integers(n, 8, pads) };
        y = output(n, add_node(n, "Pad", 2, inputs), FLOATS, 4, dims);
    }
    }
    transposed(n, y, out);
    return true;
}
