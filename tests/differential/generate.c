/* tests/differential/generate.c: random graphs of the vision, sequence and transformer families.
 *
 * A graph grows by makers: each takes values that are there and adds a node or a few, always of fitting
 * shapes. Beside the families' operators there are nodes that do nothing, or nearly nothing; equal
 * nodes; constants equal to 0 and 1, where they are expected and where not; values with several
 * readers that are outputs, too.
 *
 * SPDX-License-Identifier: MIT */
#include "generate.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

uint32_t draw(uint64_t *state)
{
    /* Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static bool one_in(net *n, int count)
{
    return below(n, count) == 0;
}

static int64_t elements(const net_value *v)
{
    int64_t count = 1;
    for (int k = 0; k < v->rank; k++)
        count *= v->dims[k];
    return count;
}

/* ---- values --------------------------------------------------------------------------------- */

static int add_value(net *n, net_origin origin, net_kind kind, int rank, const int64_t *dims)
{
    net_value *v = &n->values[n->value_count];
    *v = (net_value){ .kind = kind, .origin = origin, .rank = rank, .exact = origin != FROM_NODE };
    if (rank)
        memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
    return n->value_count++;
}

typedef struct text {
    char *at;
    size_t used, room;
} text;

static void add(text *t, const char *format, ...)
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

typedef enum net_style { ANY, POSITIVE, ZERO, ONE, MIXED } net_style;

static net_style some_style(net *n)
{
    static const net_style styles[] = { ANY, ANY, ANY, ANY, ANY, ANY, ZERO, ONE, MIXED, MIXED };
    return styles[below(n, COUNT(styles))];
}

static int constant(net *n, net_style style, int rank, const int64_t *dims)
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

static int integers(net *n, int count, const int64_t *numbers)
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

static int integer(net *n, int64_t number)
{
    return integers(n, 1, &number);
}

static int scalar(net *n, net_style style)
{
    const int64_t one = 1;
    return constant(n, style, one_in(n, 2) ? 0 : 1, &one);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static net_node *add_node(net *n, const char *op, int input_count, const int *inputs)
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

static int output(net *n, net_node *from, net_kind kind, int rank, const int64_t *dims)
{
    const int made = add_value(n, FROM_NODE, kind, rank, dims);
    bool exact = is_exact(from->op);
    for (int k = 0; k < from->input_count; k++)
        exact = exact && (from->inputs[k] < 0 || n->values[from->inputs[k]].exact);
    n->values[made].exact = exact;
    from->outputs[from->output_count++] = made;
    return made;
}

static int same_as(net *n, net_node *from, int like)
{
    return output(n, from, n->values[like].kind, n->values[like].rank, n->values[like].dims);
}

static int unary(net *n, const char *op, int x)
{
    return same_as(n, add_node(n, op, 1, &x), x);
}

static int binary(net *n, const char *op, int a, int b, int like)
{
    const int inputs[] = { a, b };
    return same_as(n, add_node(n, op, 2, inputs), like);
}

#define ATTRIBUTES(made, ...) snprintf((made)->attributes, sizeof(made)->attributes, __VA_ARGS__)

/* ---- choosing ------------------------------------------------------------------------------- */

/* A float value of that rank (0: any above 0), late ones rather; -1: none. */
static int pick(net *n, int rank, bool exact)
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

static int pick_like(net *n, int x)
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

/* ---- makers: vision -------------------------------------------------------------------------- */

static bool conv(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, channels = d[1], out = 1 + below(n, 5);
    const int64_t kernel = d[2] >= 3 && d[3] >= 3 && one_in(n, 2) ? 3 : 1,
                  pad = kernel / 2 * below(n, 2);
    const int64_t stride = 1 + one_in(n, 4);
    const bool depthwise = one_in(n, 4);
    const int64_t group = depthwise ? channels : 1, filters = depthwise ? channels : out;
    const int64_t w_dims[] = { filters, channels / group, kernel, kernel };
    const int64_t y_dims[] = { d[0], filters, (d[2] + 2 * pad - kernel) / stride + 1,
                               (d[3] + 2 * pad - kernel) / stride + 1 };
    int inputs[3] = { x, constant(n, some_style(n), 4, w_dims), 0 };
    const bool bias = one_in(n, 2);
    if (bias)
        inputs[2] = constant(n, some_style(n), 1, &filters);
    net_node *made = add_node(n, "Conv", bias ? 3 : 2, inputs);
    made->length = (double)(w_dims[1] * kernel * kernel + 2);
    ATTRIBUTES(
        made,
        "\"kernel_shape\": [%d, %d], \"pads\": [%d, %d, %d, %d], \"strides\": [%d, %d], \"group\": %d",
        (int)kernel, (int)kernel, (int)pad, (int)pad, (int)pad, (int)pad, (int)stride, (int)stride,
        (int)group);
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

static bool conv_transpose(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0 || n->values[x].dims[2] > 6)
        return false;
    const int64_t *d = n->values[x].dims, out = 1 + below(n, 3), w_dims[] = { d[1], out, 2, 2 };
    const int64_t y_dims[] = { d[0], out, 2 * d[2], 2 * d[3] };
    const int inputs[] = { x, constant(n, some_style(n), 4, w_dims),
                           constant(n, some_style(n), 1, &out) };
    net_node *made = add_node(n, "ConvTranspose", 2 + below(n, 2), inputs);
    made->length = (double)(4 * d[1]);
    ATTRIBUTES(made, "\"kernel_shape\": [2, 2], \"strides\": [2, 2]");
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

static bool batch_norm(net *n)
{
    const int x = pick(n, 3 + below(n, 2), false);
    if (x < 0)
        return false;
    const int64_t channels = n->values[x].dims[1];
    const int inputs[] = { x, constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels),
                           constant(n, one_in(n, 4) ? ONE : POSITIVE, 1, &channels) };
    net_node *made = add_node(n, "BatchNormalization", 5, inputs);
    made->length = 6;
    same_as(n, made, x);
    return true;
}

static bool pool(net *n)
{
    static const char *const ops[] = { "MaxPool", "AveragePool", "GlobalAveragePool",
                                       "GlobalMaxPool" };
    const int x = pick(n, 4, false), which = below(n, 4);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims;
    int64_t y_dims[] = { d[0], d[1], 1, 1 };
    net_node *made;
    if (which < 2) {
        if (d[2] < 2 || d[3] < 2)
            return false;
        made = add_node(n, ops[which], 1, &x);
        ATTRIBUTES(made, "\"kernel_shape\": [2, 2], \"strides\": [2, 2]");
        y_dims[2] = d[2] / 2, y_dims[3] = d[3] / 2;
    } else {
        made = add_node(n, ops[which], 1, &x);
    }
    made->length = (double)(d[2] * d[3]);
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

static bool pad(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, by = below(n, 2);
    const int64_t pads[] = { 0, 0, by, by, 0, 0, by, by };
    const int64_t y_dims[] = { d[0], d[1], d[2] + 2 * by, d[3] + 2 * by };
    const int inputs[] = { x, integers(n, 8, pads) };
    output(n, add_node(n, "Pad", 2, inputs), FLOATS, 4, y_dims);
    return true;
}

static bool instance_norm(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t channels = n->values[x].dims[1];
    const int inputs[] = { x, constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels) };
    net_node *made = add_node(n, "InstanceNormalization", 3, inputs);
    made->length = (double)elements(&n->values[x]);
    same_as(n, made, x);
    return true;
}

static bool residual(net *n)
{
    static const char *const ops[] = { "Add", "Add", "Sub", "Mul", "Max", "Min" };
    const int x = pick(n, 0, false), y = x < 0 ? -1 : pick_like(n, x);
    if (y < 0)
        return false;
    binary(n, ops[below(n, COUNT(ops))], x, y, x);
    return true;
}

static bool concat(net *n)
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

/* ---- makers: sequences and transformers ------------------------------------------------------- */

static bool matmul(net *n)
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

static bool gemm(net *n)
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

static bool softmax(net *n)
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

static bool layer_norm(net *n)
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

/* (x - mean) / sqrt(mean((x - mean)^2) + e) * g + b, as exporters write it. */
static bool written_norm(net *n)
{
    const int x = pick(n, 3, false);
    if (x < 0)
        return false;
    int64_t dims[MOST_RANK];
    memcpy(dims, n->values[x].dims, sizeof dims);
    const int64_t width = dims[2];
    dims[2] = 1;
    int inputs[] = { x, integer(n, -1) };
    net_node *mean = add_node(n, "ReduceMean", 2, inputs);
    mean->length = (double)width;
    const int m = output(n, mean, FLOATS, 3, dims), centred = binary(n, "Sub", x, m, x);
    inputs[0] = one_in(n, 2) ? binary(n, "Mul", centred, centred, centred)
                             : unary(n, "Abs", binary(n, "Mul", centred, centred, centred));
    net_node *again = add_node(n, "ReduceMean", 2, inputs);
    again->length = (double)width;
    const int variance = output(n, again, FLOATS, 3, dims);
    const int deviation = unary(n, "Sqrt", binary(n, "Add", variance, scalar(n, ONE), variance));
    const int y = binary(n, "Div", centred, deviation, x);
    const int scaled = binary(n, "Mul", y, constant(n, some_style(n), 1, &width), y);
    binary(n, "Add", scaled, constant(n, some_style(n), 1, &width), y);
    return true;
}

static bool written_activation(net *n)
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

static int reshaped(net *n, int x, int rank, const int64_t *dims)
{
    const int inputs[] = { x, integers(n, rank, dims) };
    return output(n, add_node(n, "Reshape", 2, inputs), n->values[x].kind, rank, dims);
}

static int transposed(net *n, int x, const int *order)
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

static int product(net *n, int a, int b)
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

/* Scaled dot-product attention of one head or two, of a value with itself. */
static bool attention(net *n)
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

static bool lstm(net *n)
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

static bool reduce(net *n)
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

static bool embedding(net *n)
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

/* ---- makers: elementwise, movement, shapes ----------------------------------------------------- */

static bool activation(net *n)
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

static bool clip(net *n)
{
    const int x = pick(n, 0, false);
    const int64_t none = 0;
    if (x < 0)
        return false;
    const int inputs[] = { x, constant(n, ZERO, 0, &none), constant(n, ONE, 0, &none) };
    same_as(n, add_node(n, "Clip", 2 + below(n, 2), inputs), x);
    return true;
}

static bool with_constant(net *n)
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

static bool transpose(net *n)
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

static bool reshape(net *n)
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
static bool shape_chain(net *n)
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

static bool slice(net *n)
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

static bool split(net *n)
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

static bool unsqueeze(net *n)
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

static bool cumulate(net *n)
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

/* Operators that step: only on values without rounding. */
static bool select_by_mask(net *n)
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

static bool arg_max(net *n)
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

/* ---- makers: what optimizers look for --------------------------------------------------------- */

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

static bool identity_like(net *n)
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

static bool duplicate(net *n)
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
static bool folded(net *n)
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
static bool branch(net *n)
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

/* ---- a whole graph ---------------------------------------------------------------------------- */

typedef bool (*maker)(net *n);
static const maker vision[] = { conv,       conv,   conv, conv_transpose, batch_norm, batch_norm,
                                batch_norm, pool,   pad,  instance_norm,  activation, activation,
                                residual,   concat, gemm };
static const maker sequence[] = { matmul,     gemm,   lstm,  reduce, cumulate, embedding,
                                  activation, concat, slice, split,  softmax,  arg_max };
static const maker transformer[] = {
    attention,          matmul,  matmul,   layer_norm, layer_norm, written_norm,
    written_activation, softmax, residual, residual
};
static const maker common[] = { activation,     clip,          with_constant, with_constant,
                                with_constant,  transpose,     reshape,       shape_chain,
                                slice,          split,         unsqueeze,     reduce,
                                select_by_mask, identity_like, identity_like, identity_like,
                                duplicate,      duplicate,     folded,        branch,
                                residual };

static void add_inputs(net *n, int family)
{
    const int64_t picture[] = { n->batch, 1 + below(n, 4), 4 + below(n, 4), 4 + below(n, 4) };
    const int64_t words[] = { family == 1 ? 1 + below(n, 4) : n->batch, 1 + below(n, 4),
                              1 + below(n, 6) };
    const int64_t vector[] = { n->batch, 1 + below(n, 6) };
    if (family == 0)
        add_value(n, FROM_CALLER, FLOATS, 4, picture);
    else
        add_value(n, FROM_CALLER, FLOATS, 3, words);
    if (family != 1)
        n->values[0].named_batch = one_in(n, 3);
    if (one_in(n, 2))
        add_value(n, FROM_CALLER, FLOATS, 2, vector);
}

/* What is large makes the test slow and shows nothing more. */
static bool is_too_large(const net *n)
{
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_NODE && elements(&n->values[k]) > 1500)
            return true;
    return false;
}

static bool is_read(const net *n, int value)
{
    for (int k = 0; k < n->node_count; k++)
        for (int i = 0; !n->nodes[k].gone && i < n->nodes[k].input_count; i++)
            if (n->nodes[k].inputs[i] == value)
                return true;
    return false;
}

static void choose_outputs(net *n)
{
    int chosen = 0;
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_NODE && (!is_read(n, k) ? !one_in(n, 8) : one_in(n, 10))) {
            n->values[k].is_output = true;
            chosen++;
        }
    if (!chosen)
        n->values[n->value_count - 1].is_output = true;
}

void net_generate(net *n, uint64_t seed)
{
    static const char *const dtypes[] = { "float32", "float32", "float32", "float32",
                                          "float32", "float32", "float64", "float16" };
    *n = (net){ .state = seed };
    n->dtype = dtypes[below(n, COUNT(dtypes))];
    n->batch = 1 + below(n, 3);
    const int family = below(n, 3), wanted = 3 + below(n, 22);
    add_inputs(n, family);
    for (int tries = 0; n->node_count < wanted && tries < 200 && n->node_count < MOST_NODES - 20 &&
                        n->value_count < MOST_VALUES - 60 && !is_too_large(n);
         tries++) {
        if (one_in(n, 2))
            common[below(n, COUNT(common))](n);
        else if (family == 0)
            vision[below(n, COUNT(vision))](n);
        else if (family == 1)
            sequence[below(n, COUNT(sequence))](n);
        else
            transformer[below(n, COUNT(transformer))](n);
    }
    choose_outputs(n);
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

/* ---- text --------------------------------------------------------------------------------------- */

static void add_type(text *t, const net *n, const net_value *v, bool declared)
{
    static const char *const names[] = { NULL, "int64", "bool" };
    add(t, "\"dtype\": \"%s\", \"shape\": [", v->kind == FLOATS ? n->dtype : names[v->kind]);
    for (int k = 0; k < v->rank; k++)
        if (declared && v->named_batch && k == 0)
            add(t, "\"N\"");
        else
            add(t, "%s%lld", k ? ", " : "", (long long)v->dims[k]);
    add(t, "]");
}

static bool is_used(const net *n, int k)
{
    return n->values[k].is_output || is_read(n, k);
}

static void add_node_text(text *t, const net_node *m, int number)
{
    add(t, "  {\"name\": \"n%d\", \"op\": \"%s\", \"inputs\": [", number, m->op);
    for (int i = 0; i < m->input_count - m->hidden; i++)
        add(t, "%s\"v%d\"", i ? ", " : "", m->inputs[i]);
    add(t, "], \"outputs\": [");
    for (int i = 0; i < m->output_count; i++) {
        add(t, "%s\"", i ? ", " : "");
        add(t, "v%d\"", m->outputs[i]);
    }
    add(t, "]%s%s%s}", *m->attributes ? ", \"attributes\": {" : "", m->attributes,
        *m->attributes ? "}" : "");
}

/* Without brackets for a scalar. */
static void add_data(text *t, const net_value *v)
{
    const bool bare = v->rank == 0 && *v->data == '[';
    add(t, "\"data\": %.*s", (int)strlen(v->data) - 2 * bare, v->data + bare);
}

char *net_text(const net *n)
{
    text t = { 0 };
    bool first = true;
    add(&t, "{\"tenon\": 1, \"name\": \"random\", \"opset\": 23,\n \"inputs\": [");
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_CALLER ||
            (n->values[k].origin == FROM_EITHER && is_used(n, k))) {
            add(&t, "%s{\"name\": \"v%d\", ", first ? "" : ", ", k);
            add_type(&t, n, &n->values[k], true);
            if (n->values[k].data) {
                add(&t, ", \"default\": {");
                add_data(&t, &n->values[k]);
                add(&t, "}");
            }
            add(&t, "}");
            first = false;
        }
    add(&t, "],\n \"outputs\": [");
    first = true;
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].is_output) {
            add(&t, "%s\"v%d\"", first ? "" : ", ", k);
            first = false;
        }
    add(&t, "],\n \"constants\": {");
    first = true;
    for (int k = 0; k < n->value_count; k++)
        if (n->values[k].origin == FROM_FILE && is_used(n, k)) {
            add(&t, "%s\n  \"v%d\": {", first ? "" : ",", k);
            add_type(&t, n, &n->values[k], false);
            add(&t, ", ");
            add_data(&t, &n->values[k]);
            add(&t, "}");
            first = false;
        }
    add(&t, "},\n \"nodes\": [");
    first = true;
    for (int k = 0; k < n->node_count; k++)
        if (!n->nodes[k].gone) {
            add(&t, "%s\n", first ? "" : ",");
            add_node_text(&t, &n->nodes[k], k);
            first = false;
        }
    add(&t, "]}\n");
    return t.at;
}
