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
