/* tests/differential/net.c: random graphs as data: values, nodes, and choosing among them.
 *
 * SPDX-License-Identifier: MIT */
#include "net.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

uint32_t draw(uint64_t *state)
{
    /* Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

bool one_in(net *n, int count)
{
    return below(n, count) == 0;
}

int64_t elements(const net_value *v)
{
    int64_t count = 1;
    for (int k = 0; k < v->rank; k++)
        count *= v->dims[k];
    return count;
}

/* ---- values --------------------------------------------------------------------------------- */

int add_value(net *n, net_origin origin, net_kind kind, int rank, const int64_t *dims)
{
    net_value *v = &n->values[n->value_count];
    *v = (net_value){ .kind = kind, .origin = origin, .rank = rank, .exact = origin != FROM_NODE };
    if (rank)
        memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    return n->value_count++;
}

void add(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (t->used + (size_t)length + 1 > t->room) {
        t->room = 2 * (t->used + (size_t)length + 1);
        t->at = realloc(t->at, t->room);
        if (!t->at)
            abort();
    }
    va_start(args, format);
    vsnprintf(t->at + t->used, t->room - t->used, format, args);
    va_end(args);
    t->used += (size_t)length;
}

net_style some_style(net *n)
{
    static const net_style styles[] = { ANY, ANY, ANY, ANY, ANY, ANY, ZERO, ONE, MIXED, MIXED };
    return styles[below(n, COUNT(styles))];
}

int constant(net *n, net_style style, int rank, const int64_t *dims)
{
    static const char *const odd[] = { "0", "1", "-0.0", "-1", "0.5" };
    const int made = add_value(n, FROM_FILE, FLOATS, rank, dims);
    text t = { 0 };
    add(&t, "[");
    for (int64_t k = 0; k < elements(&n->values[made]); k++) {
        const double x = (double)below(n, 4001) / 2000.0 - 1.0;
        add(&t, "%s", k ? ", " : "");
        switch (style) {
        case ZERO: add(&t, "0"); break;
        case ONE: add(&t, "1"); break;
        case POSITIVE: add(&t, "%.4g", 0.25 + (x + 1.0)); break;
        case MIXED: add(&t, "%s", odd[below(n, COUNT(odd))]); break;
        default: add(&t, "%.4g", x);
        }
    }
    add(&t, "]");
    n->values[made].data = t.at;
    if (one_in(n, 25))
        n->values[made].origin = FROM_EITHER;
    return made;
}

int integers(net *n, int count, const int64_t *numbers)
{
    const int64_t dims[] = { count };
    const int made = add_value(n, FROM_FILE, INTS, 1, dims);
    text t = { 0 };
    add(&t, "[");
    for (int k = 0; k < count; k++)
        add(&t, "%s%lld", k ? ", " : "", (long long)numbers[k]);
    add(&t, "]");
    n->values[made].data = t.at;
    return made;
}

int integer(net *n, int64_t number)
{
    return integers(n, 1, &number);
}

int whole_number(net *n, int64_t number)
{
    const int64_t none = 0;
    const int made = add_value(n, FROM_FILE, INTS, 0, &none);
    text t = { 0 };
    add(&t, "%lld", (long long)number);
    n->values[made].data = t.at;
    return made;
}

int number(net *n, double x)
{
    const int64_t none = 0;
    const int made = add_value(n, FROM_FILE, FLOATS, 0, &none);
    text t = { 0 };
    add(&t, "%.9g", x);
    n->values[made].data = t.at;
    return made;
}

int scalar(net *n, net_style style)
{
    const int64_t one = 1;
    return constant(n, style, one_in(n, 2) ? 0 : 1, &one);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

net_node *add_node(net *n, const char *op, int input_count, const int *inputs)
{
    net_node *made = &n->nodes[n->node_count++];
    *made = (net_node){ .input_count = input_count, .length = 2 };
    memcpy(made->op, op, strlen(op) + 1);
    memcpy(made->inputs, inputs, (size_t)input_count * sizeof *inputs);
    return made;
}

/* Operators that give their input's elements, or choose among them. */
static bool is_exact(const char *op)
{
    static const char *const ops[] = { "Identity",     "Relu",          "Neg",     "Abs",
                                       "Transpose",    "Reshape",       "Flatten", "Slice",
                                       "Split",        "Concat",        "Squeeze", "Unsqueeze",
                                       "Expand",       "Max",           "Min",     "Clip",
                                       "MaxPool",      "GlobalMaxPool", "Gather",  "Pad",
                                       "DepthToSpace", "Dropout",       "Where",   "Tile" };
    for (int k = 0; k < COUNT(ops); k++)
        if (strcmp(op, ops[k]) == 0)
            return true;
    return false;
}

int output(net *n, net_node *from, net_kind kind, int rank, const int64_t *dims)
{
    const int made = add_value(n, FROM_NODE, kind, rank, dims);
    bool exact = is_exact(from->op);
    for (int k = 0; k < from->input_count; k++)
        exact = exact && (from->inputs[k] < 0 || n->values[from->inputs[k]].exact);
    n->values[made].exact = exact;
    from->outputs[from->output_count++] = made;
    return made;
}

int same_as(net *n, net_node *from, int like)
{
    return output(n, from, n->values[like].kind, n->values[like].rank, n->values[like].dims);
}

int unary(net *n, const char *op, int x)
{
    return same_as(n, add_node(n, op, 1, &x), x);
}

int binary(net *n, const char *op, int a, int b, int like)
{
    const int inputs[] = { a, b };
    return same_as(n, add_node(n, op, 2, inputs), like);
}

int reshaped(net *n, int x, int rank, const int64_t *dims)
{
    const int inputs[] = { x, integers(n, rank, dims) };
    return output(n, add_node(n, "Reshape", 2, inputs), n->values[x].kind, rank, dims);
}

int transposed(net *n, int x, const int *order)
{
    const net_value *v = &n->values[x];
    int64_t dims[MOST_RANK];
    text t = { 0 };
    for (int k = 0; k < v->rank; k++) {
        dims[k] = v->dims[order[k]];
        add(&t, "%s%d", k ? ", " : "", order[k]);
    }
    net_node *made = add_node(n, "Transpose", 1, &x);
    ATTRIBUTES(made, "\"perm\": [%s]", t.at);
    free(t.at);
    return output(n, made, FLOATS, n->values[x].rank, dims);
}

int product(net *n, int a, int b)
{
    int64_t dims[MOST_RANK];
    const int rank = n->values[a].rank, inputs[] = { a, b };
    memcpy(dims, n->values[a].dims, sizeof dims);
    const double length = (double)dims[rank - 1];
    dims[rank - 1] = n->values[b].dims[rank - 1];
    net_node *made = add_node(n, "MatMul", 2, inputs);
    made->length = length;
    return output(n, made, FLOATS, rank, dims);
}

/* ---- choosing ------------------------------------------------------------------------------- */

int pick(net *n, int rank, bool exact)
{
    int found = -1, seen = 0;
    for (int k = 0; k < n->value_count; k++) {
        const net_value *v = &n->values[k];
        if (v->kind == FLOATS && v->origin != FROM_FILE && v->origin != FROM_EITHER &&
            (rank ? v->rank == rank : v->rank > 0) && (v->exact || !exact)) {
            const int weight = 1 + k / 8;
            seen += weight;
            if (below(n, seen) < weight)
                found = k;
        }
    }
    return found;
}

int pick_like(net *n, int x)
{
    int found = -1, seen = 0;
    for (int k = 0; k < n->value_count; k++) {
        const net_value *v = &n->values[k], *w = &n->values[x];
        if (v->kind == FLOATS && v->origin != FROM_EITHER && v->rank == w->rank &&
            memcmp(v->dims, w->dims, (size_t)w->rank * sizeof *w->dims) == 0 &&
            below(n, ++seen) == 0)
            found = k;
    }
    return found;
}

/* ---- a whole graph ---------------------------------------------------------------------------- */

bool is_read(const net *n, int value)
{
    for (int k = 0; k < n->node_count; k++)
        for (int i = 0; !n->nodes[k].gone && i < n->nodes[k].input_count; i++)
            if (n->nodes[k].inputs[i] == value)
                return true;
    return false;
}

void net_free(net *n)
{
    for (int k = 0; k < n->value_count; k++)
        free(n->values[k].data);
    n->value_count = 0;
}

void net_copy(net *to, const net *from)
{
    *to = *from;
    for (int k = 0; k < to->value_count; k++)
        if (from->values[k].data) {
            to->values[k].data = malloc(strlen(from->values[k].data) + 1);
            if (!to->values[k].data)
                abort();
            strcpy(to->values[k].data, from->values[k].data);
        }
}

double net_length(const net *n)
{
    double sum = 8;
    for (int k = 0; k < n->node_count; k++)
        sum += n->nodes[k].gone ? 0 : n->nodes[k].length;
    return sum;
}

void net_tidy(net *n)
{
    for (bool again = true; again;) {
        again = false;
        for (int k = 0; k < n->node_count; k++) {
            bool wanted = n->nodes[k].gone;
            for (int i = 0; i < n->nodes[k].output_count; i++)
                wanted = wanted || n->values[n->nodes[k].outputs[i]].is_output ||
                         is_read(n, n->nodes[k].outputs[i]);
            if (!wanted)
                n->nodes[k].gone = again = true;
        }
    }
}
