/* tests/differential/unrolled.c: makers of recurrent cells, step by step, as a loop over time is traced:
 * with the same weights at each step, or nearly so.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

/* What the steps of a chain share. */
typedef struct chain {
    int x, steps;
    int64_t batch, width, hidden, gates;
    int w, r, b, d;
    int odd;   /* the step that has weights of its own; -1: none has */
    int whole; /* all steps multiplied at once; -1: each by itself */
} chain;

static bool begin(net *n, int64_t gates, chain *c)
{
    c->x = n->node_count < MOST_NODES - 70 && n->value_count < MOST_VALUES - 120 ? pick(n, 3, false)
                                                                                 : -1;
    if (c->x < 0)
        return false;
    const int64_t *dims = n->values[c->x].dims;
    c->steps = dims[0] < 3 ? (int)dims[0] : 3;
    c->batch = dims[1];
    c->width = dims[2];
    c->hidden = 1 + below(n, 3);
    c->gates = gates;
    c->odd = one_in(n, 5) ? below(n, c->steps) : -1;
    const int64_t all = gates * c->hidden, w[] = { all, c->width }, r[] = { all, c->hidden };
    c->w = constant(n, ANY, 2, w);
    c->r = constant(n, ANY, 2, r);
    c->b = constant(n, ANY, 1, &all);
    c->d = constant(n, ANY, 1, &all);
    c->whole = -1;
    if (one_in(n, 3)) {
        const int64_t turned[] = { c->width, all }, y[] = { dims[0], c->batch, all };
        const int pair[] = { c->x, constant(n, ANY, 2, turned) };
        net_node *made = add_node(n, "MatMul", 2, pair);
        made->length = (double)c->width;
        c->whole = output(n, made, FLOATS, 3, y);
        c->whole = binary(n, "Add", c->whole, c->b, c->whole);
    }
    return true;
}

/* One step of x: by an index, or by a Slice whose axis is taken away. */
static int step(net *n, const chain *c, int x, int t)
{
    const int64_t width = n->values[x].dims[2], one[] = { 1, c->batch, width },
                  none[] = { c->batch, width };
    if (one_in(n, 2)) {
        const int inputs[] = { x, whole_number(n, t) };
        return output(n, add_node(n, "Gather", 2, inputs), FLOATS, 2, none);
    }
    const int inputs[] = { x, integer(n, t), integer(n, t + 1), integer(n, 0) };
    const int cut = output(n, add_node(n, "Slice", 4, inputs), FLOATS, 3, one);
    return reshaped(n, cut, 2, none);
}

/* A first state: zeros, a constant, or from the caller. */
static int state(net *n, const chain *c)
{
    const int64_t dims[] = { c->batch, c->hidden };
    return one_in(n, 3) ? add_value(n, FROM_CALLER, FLOATS, 2, dims)
                        : constant(n, one_in(n, 2) ? ZERO : ANY, 2, dims);
}

static int gemm_of(net *n, const chain *c, int x, int w, int b)
{
    const int64_t dims[] = { c->batch, c->gates * c->hidden };
    const int inputs[] = { x, w, b };
    const double length = (double)(n->values[w].dims[1] + 1);
    net_node *made = add_node(n, "Gemm", 3, inputs);
    made->length = length;
    ATTRIBUTES(made, "\"transB\": 1");
    return output(n, made, FLOATS, 2, dims);
}

static int input_part(net *n, const chain *c, int t)
{
    const int64_t dims[] = { c->gates * c->hidden, c->width };
    if (c->whole >= 0)
        return step(n, c, c->whole, t);
    return gemm_of(n, c, step(n, c, c->x, t), t == c->odd ? constant(n, ANY, 2, dims) : c->w, c->b);
}

static void cut(net *n, const chain *c, int x, int *parts)
{
    const int64_t sizes[] = { c->hidden, c->hidden, c->hidden, c->hidden },
                  dims[] = { c->batch, c->hidden };
    const int inputs[] = { x, integers(n, (int)c->gates, sizes) };
    net_node *made = add_node(n, "Split", 2, inputs);
    ATTRIBUTES(made, "\"axis\": 1");
    for (int k = 0; k < c->gates; k++)
        parts[k] = output(n, made, FLOATS, 2, dims);
}

/* All states side by side, or nobody but the last one. */
static void collect(net *n, const chain *c, const int *states)
{
    const int axis = below(n, 2);
    const int64_t one[] = { axis ? c->batch : 1, axis ? 1 : c->batch, c->hidden },
                  all[] = { axis ? c->batch : c->steps, axis ? c->steps : c->batch, c->hidden };
    int wide[3];
    if (one_in(n, 3))
        return;
    for (int t = 0; t < c->steps; t++) {
        const int inputs[] = { states[t], integer(n, axis) };
        wide[t] = output(n, add_node(n, "Unsqueeze", 2, inputs), FLOATS, 3, one);
    }
    net_node *made = add_node(n, "Concat", c->steps, wide);
    ATTRIBUTES(made, "\"axis\": %d", axis);
    output(n, made, FLOATS, 3, all);
}

/* What is inside is an output now and then, not so often that no chain is ever whole. */
static void keep_inside(net *n, int first)
{
    for (int k = first; k < n->value_count; k++)
        n->values[k].inside = true;
}

bool unrolled_lstm(net *n)
{
    const int first = n->value_count;
    chain c;
    int states[3], gates[4];
    if (!begin(n, 4, &c))
        return false;
    int h = state(n, &c), cell = state(n, &c);
    for (int t = 0; t < c.steps; t++) {
        const int from_x = input_part(n, &c, t), from_h = gemm_of(n, &c, h, c.r, c.d);
        cut(n, &c, binary(n, "Add", from_x, from_h, from_x), gates);
        for (int k = 0; k < 4; k++)
            gates[k] = unary(n, k == 2 ? "Tanh" : "Sigmoid", gates[k]);
        const int kept = binary(n, "Mul", gates[1], cell, gates[1]),
                  fresh = binary(n, "Mul", gates[2], gates[0], gates[0]);
        cell = binary(n, "Add", fresh, kept, kept);
        h = states[t] = binary(n, "Mul", gates[3], unary(n, "Tanh", cell), cell);
    }
    collect(n, &c, states);
    keep_inside(n, first);
    return true;
}

bool unrolled_gru(net *n)
{
    const int first = n->value_count;
    chain c;
    int states[3], x[3], r[3];
    if (!begin(n, 3, &c))
        return false;
    const bool other_way = one_in(n, 3);
    int h = state(n, &c);
    for (int t = 0; t < c.steps; t++) {
        cut(n, &c, input_part(n, &c, t), x);
        cut(n, &c, gemm_of(n, &c, h, c.r, c.d), r);
        const int reset = unary(n, "Sigmoid", binary(n, "Add", x[0], r[0], x[0])),
                  update = unary(n, "Sigmoid", binary(n, "Add", r[1], x[1], x[0]));
        const int part = binary(n, "Mul", reset, r[2], x[0]),
                  fresh = unary(n, "Tanh", binary(n, "Add", x[2], part, x[0]));
        const int kept = other_way ? h : fresh,
                  change = binary(n, "Sub", other_way ? fresh : h, kept, x[0]);
        h = states[t] = binary(n, "Add", kept, binary(n, "Mul", update, change, x[0]), x[0]);
    }
    collect(n, &c, states);
    keep_inside(n, first);
    return true;
}
