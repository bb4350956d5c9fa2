/* tests/differential/sequence.c: makers of what networks for sequences have.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

bool matmul(net *n)
{
    const int x = pick(n, 2 + below(n, 2), false);
    if (x < 0)
        return false;
    int64_t dims[MOST_RANK];
    const int rank = n->values[x].rank;
    memcpy(dims, n->values[x].dims, sizeof dims);
    const int64_t w_dims[] = { dims[rank - 1], 1 + below(n, 6) };
    dims[rank - 1] = w_dims[1];
    const int inputs[] = { x, constant(n, some_style(n), 2, w_dims) };
    net_node *made = add_node(n, "MatMul", 2, inputs);
    made->length = (double)w_dims[0];
    const int y = output(n, made, FLOATS, rank, dims);
    if (one_in(n, 2))
        binary(n, "Add", y, constant(n, some_style(n), 1, &w_dims[1]), y);
    return true;
}

bool gemm(net *n)
{
    const int x = pick(n, 2, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, out = 1 + below(n, 6);
    const bool transposed = one_in(n, 2);
    const int64_t w_dims[] = { transposed ? out : d[1], transposed ? d[1] : out };
    const int64_t y_dims[] = { d[0], out };
    const int inputs[] = { x, constant(n, some_style(n), 2, w_dims),
                           constant(n, some_style(n), 1, &out) };
    net_node *made = add_node(n, "Gemm", 2 + below(n, 2), inputs);
    made->length = (double)d[1] + 2;
    ATTRIBUTES(made, "\"transB\": %d, \"alpha\": {\"float\": %s}", transposed,
               one_in(n, 4) ? "0.5" : "1");
    output(n, made, FLOATS, 2, y_dims);
    return true;
}

bool lstm(net *n)
{
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, hidden = 1 + below(n, 3);
    const int64_t w[] = { 1, 4 * hidden, d[2] }, r[] = { 1, 4 * hidden, hidden },
                  b[] = { 1, 8 * hidden };
    const int64_t y[] = { d[0], 1, d[1], hidden }, last[] = { 1, d[1], hidden };
    const double length = (double)(d[0] * (d[2] + hidden + 8));
    const int inputs[] = { x, constant(n, ANY, 3, w), constant(n, ANY, 3, r),
                           constant(n, ANY, 2, b) };
    net_node *made = add_node(n, "LSTM", 3 + below(n, 2), inputs);
    made->length = length;
    ATTRIBUTES(made, "\"hidden_size\": %d", (int)hidden);
    output(n, made, FLOATS, 4, y);
    output(n, made, FLOATS, 3, last);
    return true;
}

bool reduce(net *n)
{
    static const char *const ops[] = { "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin",
                                       "ReduceL2" };
    const int x = pick(n, 0, false);
    if (x < 0 || n->values[x].rank < 2)
        return false;
    const int rank = n->values[x].rank, axis = below(n, rank), keep = below(n, 2);
    int64_t dims[MOST_RANK];
    int left = 0;
    for (int k = 0; k < rank; k++)
        if (k != axis || keep)
            dims[left++] = k == axis ? 1 : n->values[x].dims[k];
    const int inputs[] = { x, integer(n, one_in(n, 2) ? axis : axis - rank) };
    net_node *made = add_node(n, ops[below(n, COUNT(ops))], 2, inputs);
    made->length = (double)n->values[x].dims[axis];
    ATTRIBUTES(made, "\"keepdims\": %d", keep);
    output(n, made, FLOATS, left, dims);
    return true;
}

bool embedding(net *n)
{
    const int64_t rows = 4, width = 1 + below(n, 5), length = 1 + below(n, 4),
                  table[] = { rows, width };
    int64_t numbers[4], dims[] = { length, width };
    for (int k = 0; k < length; k++)
        numbers[k] = below(n, (int)rows);
    const int inputs[] = { constant(n, ANY, 2, table), integers(n, (int)length, numbers) };
    output(n, add_node(n, "Gather", 2, inputs), FLOATS, 2, dims);
    return true;
}

bool cumulate(net *n)
{
    const int x = pick(n, 0, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const int axis = add_value(n, FROM_FILE, INTS, 0, &none);
    text t = { 0 };
    add(&t, "0");
    n->values[axis].data = t.at;
    const int inputs[] = { x, axis };
    net_node *made = add_node(n, "CumSum", 2, inputs);
    made->length = (double)n->values[x].dims[0];
    same_as(n, made, x);
    return true;
}

bool arg_max(net *n)
{
    const int x = pick(n, 2, true);
    if (x < 0)
        return false;
    const int64_t dims[] = { n->values[x].dims[0], 1 };
    net_node *made = add_node(n, "ArgMax", 1, &x);
    ATTRIBUTES(made, "\"axis\": 1");
    output(n, made, INTS, 2, dims);
    return true;
}

bool gru(net *n)
{
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, length = d[0], batch = d[1], width = d[2];
    const int64_t hidden = 1 + below(n, 3), ways = 1 + below(n, 2);
    const int64_t w[] = { ways, 3 * hidden, width }, r[] = { ways, 3 * hidden, hidden };
    const int64_t b[] = { ways, 6 * hidden }, y[] = { length, ways, batch, hidden };
    const int64_t last[] = { ways, batch, hidden };
    const int inputs[] = {
        x,  constant(n, ANY, 3, w),   constant(n, ANY, 3, r), constant(n, ANY, 2, b),
        -1, constant(n, ANY, 3, last)
    };
    net_node *made = add_node(n, "GRU", one_in(n, 2) ? 6 : 4, inputs);
    made->length = (double)(length * (width + hidden + 8));
    ATTRIBUTES(made, "\"hidden_size\": %d, \"direction\": \"%s\", \"linear_before_reset\": %d",
               (int)hidden,
               ways == 2      ? "bidirectional"
               : one_in(n, 2) ? "forward"
                              : "reverse",
               below(n, 2));
    output(n, made, FLOATS, 4, y);
    output(n, made, FLOATS, 3, last);
    return true;
}

/* One step of an LSTM as its cell is written: two products, their sum in four parts, the gates. */
bool written_cell(net *n)
{
    const int x = pick(n, 2, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, batch = d[0], width = d[1], hidden = 1 + below(n, 3);
    const int64_t four = 4 * hidden, w[] = { four, width }, r[] = { four, hidden };
    const int64_t gates[] = { batch, four }, state[] = { batch, hidden };
    const int64_t sizes[] = { hidden, hidden, hidden, hidden };
    const int h = constant(n, ANY, 2, state), c = constant(n, ANY, 2, state);
    const int from_x[] = { x, constant(n, ANY, 2, w), constant(n, ANY, 1, &four) };
    const int from_h[] = { h, constant(n, ANY, 2, r), constant(n, ANY, 1, &four) };
    int sums[2], parts[4];
    for (int k = 0; k < 2; k++) {
        net_node *gemms = add_node(n, "Gemm", 3, k ? from_h : from_x);
        gemms->length = (double)(k ? hidden : width) + 2;
        ATTRIBUTES(gemms, "\"transB\": 1");
        sums[k] = output(n, gemms, FLOATS, 2, gates);
    }
    const int split[] = { binary(n, "Add", sums[0], sums[1], sums[0]), integers(n, 4, sizes) };
    net_node *made = add_node(n, "Split", 2, split);
    ATTRIBUTES(made, "\"axis\": 1");
    for (int k = 0; k < 4; k++)
        parts[k] = output(n, made, FLOATS, 2, state);
    for (int k = 0; k < 4; k++)
        parts[k] = unary(n, k == 2 ? "Tanh" : "Sigmoid", parts[k]);
    const int kept = binary(n, "Mul", parts[1], c, parts[1]),
              fresh = binary(n, "Mul", parts[0], parts[2], parts[0]);
    binary(n, "Mul", parts[3], unary(n, "Tanh", binary(n, "Add", kept, fresh, kept)), parts[3]);
    return true;
}

/* Products of a value and several constants, of which some are narrow. */
bool matrix_product(net *n)
{
    const int x = pick(n, 2, false);
    if (x < 0)
        return false;
    int64_t dims[] = { n->values[x].dims[0], n->values[x].dims[1] };
    int y = x;
    for (int k = 0; k < 3; k++) {
        const int64_t w_dims[] = { dims[1], 1 + below(n, 7) };
        const int inputs[] = { y, constant(n, ANY, 2, w_dims) };
        net_node *made = add_node(n, "MatMul", 2, inputs);
        made->length = (double)w_dims[0];
        dims[1] = w_dims[1];
        y = output(n, made, FLOATS, 2, dims);
    }
    return true;
}

bool einsum(net *n)
{
    static const char *const equations[] = { "ij,jk->ik", "ij,kj->ik", "ji,jk->ik" };
    const int x = pick(n, 2, false), which = below(n, COUNT(equations));
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, kept = d[which == 2], summed = d[which != 2],
                  out = 1 + below(n, 5);
    const int64_t w_dims[] = { which == 1 ? out : summed, which == 1 ? summed : out },
                  y_dims[] = { kept, out };
    const int inputs[] = { x, constant(n, ANY, 2, w_dims) };
    net_node *made = add_node(n, "Einsum", 2, inputs);
    made->length = (double)summed;
    ATTRIBUTES(made, "\"equation\": \"%s\"", equations[which]);
    output(n, made, FLOATS, 2, y_dims);
    return true;
}

/* One of a row of elements: a Gather with a scalar, or with one index. */
bool select_one(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0 || n->values[x].rank < 2)
        return false;
    const net_value v = n->values[x];
    const int axis = below(n, v.rank), keep = below(n, 2);
    const int64_t count = v.dims[axis], index = one_in(n, 2) ? -1 : below(n, (int)count);
    int64_t dims[MOST_RANK];
    int rank = 0;
    for (int k = 0; k < v.rank; k++)
        if (k != axis || keep)
            dims[rank++] = k == axis ? 1 : v.dims[k];
    const int inputs[] = { x, keep ? integer(n, index) : whole_number(n, index) };
    net_node *made = add_node(n, "Gather", 2, inputs);
    ATTRIBUTES(made, "\"axis\": %d", axis);
    output(n, made, FLOATS, rank, dims);
    return true;
}
