/* tests/differential/lures.c: makers of what optimizers look for: nodes that do nothing, or nearly nothing, that
 * are there twice, that can be computed, that a condition decides about.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

static int full_slice(net *n, int x)
{
    const int inputs[] = { x, integer(n, 0), integer(n, n->values[x].dims[0]), integer(n, 0) };
    return same_as(n, add_node(n, "Slice", 4, inputs), x);
}

static int dropout(net *n, int x)
{
    return unary(n, "Dropout", x);
}

static int same_cast(net *n, int x)
{
    net_node *made = add_node(n, "Cast", 1, &x);
    ATTRIBUTES(made, "\"to\": %d",
               strcmp(n->dtype, "float32") == 0   ? 1
               : strcmp(n->dtype, "float16") == 0 ? 10
                                                  : 11);
    return same_as(n, made, x);
}

static int no_pad(net *n, int x)
{
    const int64_t pads[2 * MOST_RANK] = { 0 };
    const int inputs[] = { x, integers(n, 2 * n->values[x].rank, pads) };
    return same_as(n, add_node(n, "Pad", 2, inputs), x);
}

static int same_expand(net *n, int x)
{
    const int inputs[] = { x, integers(n, n->values[x].rank, n->values[x].dims) };
    return same_as(n, add_node(n, "Expand", 2, inputs), x);
}

static int same_transpose(net *n, int x)
{
    static const int order[] = { 0, 1, 2, 3, 4 };
    return transposed(n, x, order);
}

bool identity_like(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    switch (below(n, 12)) {
    case 0: unary(n, "Identity", x); break;
    case 1: binary(n, "Add", x, scalar(n, ZERO), x); break;
    case 2: binary(n, "Mul", scalar(n, ONE), x, x); break;
    case 3: binary(n, "Div", x, scalar(n, ONE), x); break;
    case 4: binary(n, "Pow", x, scalar(n, ONE), x); break;
    case 5: binary(n, "Sub", x, scalar(n, ZERO), x); break;
    case 6: full_slice(n, x); break;
    case 7: dropout(n, x); break;
    case 8: same_cast(n, x); break;
    case 9: no_pad(n, x); break;
    case 10: same_expand(n, x); break;
    default: same_transpose(n, x);
    }
    return true;
}

bool duplicate(net *n)
{
    if (!n->node_count)
        return false;
    const net_node from = n->nodes[below(n, n->node_count)];
    if (strcmp(from.op, "If") == 0)
        return false;
    net_node *made = &n->nodes[n->node_count++];
    *made = from;
    made->output_count = 0;
    for (int k = 0; k < from.output_count; k++)
        same_as(n, made, from.outputs[k]);
    return true;
}

/* Sums and products of constants only, read by something that is not. */
bool folded(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0)
        return false;
    const int64_t width = n->values[x].dims[n->values[x].rank - 1];
    const int a = constant(n, some_style(n), 1, &width), b = constant(n, some_style(n), 1, &width);
    const int c = unary(n, "Tanh", binary(n, one_in(n, 2) ? "Add" : "Mul", a, b, a));
    binary(n, one_in(n, 2) ? "Add" : "Mul", x, c, x);
    return true;
}

/* A branch by a constant, or by an input. */
bool branch(net *n)
{
    const int x = pick(n, 0, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const bool known = one_in(n, 2);
    const int condition = add_value(n, known ? FROM_FILE : FROM_CALLER, BOOLS, 0, &none);
    if (known) {
        text t = { 0 };
        add(&t, "%s", one_in(n, 2) ? "true" : "false");
        n->values[condition].data = t.at;
    }
    const int inputs[] = { condition, x };
    net_node *made = add_node(n, "If", 2, inputs);
    made->hidden = 1;
    ATTRIBUTES(
        made,
        "\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"t%d\"], \"nodes\": [{\"op\": "
        "\"Relu\", \"inputs\": [\"v%d\"], \"outputs\": [\"t%d\"]}]}}, \"else_branch\": {\"graph\": "
        "{\"inputs\": [], \"outputs\": [\"e%d\"], \"nodes\": [{\"op\": \"Identity\", \"inputs\": "
        "[\"v%d\"], \"outputs\": [\"m%d\"]}, {\"op\": \"Neg\", \"inputs\": [\"m%d\"], "
        "\"outputs\": [\"e%d\"]}]}}",
        n->value_count, x, n->value_count, n->value_count, x, n->value_count, n->value_count,
        n->value_count);
    same_as(n, made, x);
    return true;
}

/* A constant where a value is expected: in front of a product, among what is joined, chosen by a mask. */
bool odd_constant(net *n)
{
    const int x = pick(n, 2, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, rows = 1 + below(n, 3), w_dims[] = { rows, d[0] };
    const int64_t y_dims[] = { rows, d[1] }, more[] = { rows + d[0], d[1] };
    const int c = constant(n, some_style(n), 2, one_in(n, 2) ? w_dims : y_dims);
    const bool fits = memcmp(n->values[c].dims, w_dims, sizeof w_dims) == 0;
    const int pair[] = { c, x };
    if (fits) {
        const double length = (double)d[0];
        net_node *made = add_node(n, "MatMul", 2, pair);
        made->length = length;
        output(n, made, FLOATS, 2, y_dims);
    } else {
        net_node *made = add_node(n, "Concat", 2, pair);
        ATTRIBUTES(made, "\"axis\": 0");
        output(n, made, FLOATS, 2, more);
    }
    return true;
}

/* A Conv whose weights are computed, of constants or of what the caller gives. */
bool computed_weights(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, channels = d[1], w_dims[] = { 2, channels, 1, 1 };
    const int64_t y_dims[] = { d[0], 2, d[2], d[3] };
    const int w = one_in(n, 2) ? constant(n, ANY, 4, w_dims)
                               : add_value(n, FROM_CALLER, FLOATS, 4, w_dims);
    const int inputs[] = { x, binary(n, "Mul", w, scalar(n, POSITIVE), w) };
    net_node *made = add_node(n, "Conv", 2, inputs);
    made->length = (double)channels;
    const int y = output(n, made, FLOATS, 4, y_dims);
    const int64_t each[] = { 2, 1, 1 };
    binary(n, one_in(n, 2) ? "Mul" : "Add", y, constant(n, some_style(n), 3, each), y);
    return true;
}

/* A branch with a branch in it, and a product there; a value from outside is read at both depths. */
bool deep_branch(net *n)
{
    const int x = pick(n, 2, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const int64_t width = n->values[x].dims[1], w_dims[] = { width, width };
    const int outer = add_value(n, FROM_CALLER, BOOLS, 0, &none),
              inner = add_value(n, FROM_CALLER, BOOLS, 0, &none);
    const int w = constant(n, some_style(n), 2, w_dims), b = constant(n, some_style(n), 1, &width);
    const int inputs[] = { outer, x, inner, w, b }, k = n->value_count;
    net_node *made = add_node(n, "If", 5, inputs);
    made->hidden = 4;
    made->length = (double)width + 4;
    ATTRIBUTES(made,
               "\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"t%d\"], \"nodes\": ["
               "{\"op\": \"MatMul\", \"inputs\": [\"v%d\", \"v%d\"], \"outputs\": [\"p%d\"]}, "
               "{\"op\": \"Add\", \"inputs\": [\"p%d\", \"v%d\"], \"outputs\": [\"s%d\"]}, "
               "{\"op\": \"If\", \"inputs\": [\"v%d\"], \"outputs\": [\"i%d\"], \"attributes\": {"
               "\"then_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"q%d\"], \"nodes\": ["
               "{\"op\": \"Add\", \"inputs\": [\"s%d\", \"v%d\"], \"outputs\": [\"q%d\"]}]}}, "
               "\"else_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"r%d\"], \"nodes\": ["
               "{\"op\": \"Relu\", \"inputs\": [\"s%d\"], \"outputs\": [\"r%d\"]}]}}}}, "
               "{\"op\": \"Relu\", \"inputs\": [\"i%d\"], \"outputs\": [\"t%d\"]}]}}, "
               "\"else_branch\": {\"graph\": {\"inputs\": [], \"outputs\": [\"e%d\"], \"nodes\": ["
               "{\"op\": \"Relu\", \"inputs\": [\"v%d\"], \"outputs\": [\"f%d\"]}, "
               "{\"op\": \"Relu\", \"inputs\": [\"f%d\"], \"outputs\": [\"e%d\"]}]}}",
               k, x, w, k, k, b, k, inner, k, k, k, x, k, k, k, k, k, k, k, x, k, k, k);
    same_as(n, made, x);
    return true;
}

/* A Loop of a few rounds whose body reads a constant and a value from outside. */
bool loop(net *n)
{
    const int x = pick(n, 2, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const int64_t width = n->values[x].dims[1];
    const int trips = whole_number(n, below(n, 4)), go = add_value(n, FROM_FILE, BOOLS, 0, &none);
    text t = { 0 };
    add(&t, "true");
    n->values[go].data = t.at;
    const int c = constant(n, some_style(n), 1, &width), k = n->value_count;
    const int inputs[] = { trips, go, x, c, x };
    net_node *made = add_node(n, "Loop", 5, inputs);
    made->hidden = 2;
    made->length = 16;
    ATTRIBUTES(
        made,
        "\"body\": {\"graph\": {\"inputs\": [{\"name\": \"k%d\", \"dtype\": \"int64\", \"shape\": []}, "
        "{\"name\": \"g%d\", \"dtype\": \"bool\", \"shape\": []}, {\"name\": \"a%d\"}], "
        "\"outputs\": [\"h%d\", \"o%d\"], \"nodes\": ["
        "{\"op\": \"Identity\", \"inputs\": [\"g%d\"], \"outputs\": [\"h%d\"]}, "
        "{\"op\": \"Mul\", \"inputs\": [\"a%d\", \"v%d\"], \"outputs\": [\"m%d\"]}, "
        "{\"op\": \"Add\", \"inputs\": [\"m%d\", \"v%d\"], \"outputs\": [\"o%d\"]}]}}",
        k, k, k, k, k, k, k, k, c, k, k, x, k);
    same_as(n, made, x);
    return true;
}

static int bytes_constant(net *n, int rank, const int64_t *dims)
{
    const int made = add_value(n, FROM_FILE, BYTES, rank, dims);
    text t = { 0 };
    add(&t, "[");
    for (int64_t k = 0; k < elements(&n->values[made]); k++)
        add(&t, "%s%d", k ? ", " : "", rank ? below(n, 256) : 128);
    add(&t, "]");
    n->values[made].data = t.at;
    return made;
}

/* QuantizeLinear steps, so that it reads only what has no rounding. */
bool quantized(net *n)
{
    const int x = strcmp(n->dtype, "float32") == 0 ? pick(n, 0, true) : -1;
    if (x < 0)
        return false;
    const net_value v = n->values[x];
    int scale = number(n, 0.0625), zero = bytes_constant(n, 0, NULL), y = x;
    for (int k = 0; k < 1 + below(n, 2); k++) {
        const int from[] = { y, scale, zero };
        const int to[] = { output(n, add_node(n, "QuantizeLinear", 3, from), BYTES, v.rank, v.dims),
                           scale, zero };
        y = same_as(n, add_node(n, "DequantizeLinear", 3, to), x);
        if (one_in(n, 2))
            scale = number(n, 0.125);
    }
    unary(n, "Relu", y);
    return true;
}

/* A matrix that is kept as bytes, with a scale for each column or for all. */
bool quantized_weights(net *n)
{
    const int x = strcmp(n->dtype, "float32") == 0 ? pick(n, 2, false) : -1;
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, out = 1 + below(n, 4), w_dims[] = { d[1], out };
    const int64_t y_dims[] = { d[0], out };
    const double length = (double)d[1];
    const bool each = one_in(n, 2);
    const int from[] = { bytes_constant(n, 2, w_dims),
                         each ? constant(n, POSITIVE, 1, &out) : number(n, 0.0625) };
    net_node *made = add_node(n, "DequantizeLinear", 2, from);
    if (each)
        ATTRIBUTES(made, "\"axis\": 1");
    const int pair[] = { x, output(n, made, FLOATS, 2, w_dims) };
    made = add_node(n, "MatMul", 2, pair);
    made->length = length;
    output(n, made, FLOATS, 2, y_dims);
    return true;
}

/* There and back over float64, which holds every number of the narrower types. */
bool by_a_wider_type(net *n)
{
    const int x = pick(n, 0, false);
    if (x < 0 || strcmp(n->dtype, "float64") == 0)
        return false;
    const net_value v = n->values[x];
    net_node *made = add_node(n, "Cast", 1, &x);
    ATTRIBUTES(made, "\"to\": 11");
    int y = output(n, made, WIDES, v.rank, v.dims);
    if (one_in(n, 3))
        y = unary(n, "Neg", y);
    made = add_node(n, "Cast", 1, &y);
    ATTRIBUTES(made, "\"to\": %d", strcmp(n->dtype, "float32") == 0 ? 1 : 10);
    same_as(n, made, x);
    return true;
}
