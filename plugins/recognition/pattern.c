/* plugins/recognition/pattern.c: walking a graph along a pattern, and replacing what was found.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdarg.h>
#include <stdio.h>

int pattern_begin(pattern *p, tn_rewrite *ctx, tn_node_id root, const char *wanted)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, root);
    *p = (pattern){ .ctx = ctx,
                    .wanted = wanted,
                    .root = root,
                    .region = view->region,
                    .capacity = PATTERN_NODES };
    p->nodes = p->own;
    if (!view->input_count || view->inputs[0] == TN_NONE || !view->output_count ||
        view->outputs[0] == TN_NONE)
        return 0;
    p->y = view->outputs[0];
    return pattern_take(p, root);
}

int pattern_refuse(pattern *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->why, sizeof p->why, format, arguments);
    va_end(arguments);
    return 0;
}

tn_status pattern_miss(pattern *p)
{
    if (!p->why[0])
        return TN_NO_MATCH;
    return tn_fail(p->ctx, TN_NO_MATCH, "%s: no %s: %s", pattern_node(p, p->root)->name, p->wanted,
                   p->why);
}

/* ---- looking around ----------------------------------------------------------------------- */

const tn_node_view *pattern_node(const pattern *p, tn_node_id node)
{
    return p->ctx->api->node(p->ctx->graph, node);
}

const tn_value_view *pattern_value(const pattern *p, tn_value_id value)
{
    return p->ctx->api->value(p->ctx->graph, value);
}

int pattern_is(const pattern *p, tn_node_id node, const char *op)
{
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    return view && !*view->domain && strcmp(view->op, op) == 0;
}

tn_node_id pattern_maker(const pattern *p, tn_value_id value, const char *op)
{
    const tn_value_view *view = value == TN_NONE ? NULL : pattern_value(p, value);
    if (!view || view->producer_output != 0 || !pattern_is(p, view->producer, op) ||
        pattern_node(p, view->producer)->region != p->region)
        return TN_NONE;
    return view->producer;
}

static const char *op_behind(const pattern *p, tn_value_id value)
{
    const tn_value_view *view = pattern_value(p, value);
    return view->producer == TN_NONE ? "the input" : pattern_node(p, view->producer)->op;
}

/* Readers of a value: any of them that is an `op`, whether there is another one, and where. */
static tn_node_id scan_readers(const pattern *p, tn_value_id value, const char *op,
                               tn_node_id *other)
{
    tn_node_id found = TN_NONE, reader;
    uint32_t input;
    *other = TN_NONE;
    for (uint32_t k = 0; p->ctx->api->use(p->ctx->graph, value, k, &reader, &input) == TN_OK; k++)
        if (found == TN_NONE && pattern_is(p, reader, op))
            found = reader;
        else if (reader != found)
            *other = reader;
    return found;
}

tn_node_id pattern_reader(pattern *p, tn_value_id value, const char *op)
{
    tn_node_id other;
    const tn_node_id found = scan_readers(p, value, op, &other);
    if (found == TN_NONE)
        return TN_NONE;
    if (pattern_value(p, value)->output_count)
        pattern_refuse(p, "%s's output is also an output of the graph or of a body",
                       op_behind(p, value));
    else if (other != TN_NONE)
        pattern_refuse(p, "%s's output is also read by %.80s", op_behind(p, value),
                       pattern_node(p, other)->name);
    else if (pattern_node(p, found)->region != p->region)
        pattern_refuse(p, "%s's output is read in another body, by %.80s", op_behind(p, value),
                       pattern_node(p, found)->name);
    else
        return found;
    return TN_NONE;
}

tn_value_id pattern_other(const pattern *p, tn_node_id node, tn_value_id value, int *first)
{
    const tn_node_view *view = pattern_node(p, node);
    if (view->input_count != 2 || (view->inputs[0] == value) == (view->inputs[1] == value))
        return TN_NONE;
    if (first)
        *first = view->inputs[0] == value;
    return view->inputs[view->inputs[0] == value];
}

int pattern_scalar(pattern *p, tn_value_id value, double *out)
{
    const tn_value_view *view = value == TN_NONE ? NULL : pattern_value(p, value);
    const tn_tensor *constant = view ? view->constant : NULL;
    if (!constant || constant->kind || !(TN_BIT(constant->dtype) & TN_MASK_NUMERIC) ||
        tn_count(constant) != 1)
        return 0;
    if (view->is_input)
        return pattern_refuse(p, "'%.80s' is an input with a default, which a run may replace",
                              view->name);
    *out = tn_get_double(constant->dtype, constant->data, 0);
    if (constant->rank > p->scalar_rank)
        p->scalar_rank = constant->rank;
    return 1;
}

int pattern_near(uint32_t dtype, double found, double expected)
{
    const double digits = dtype == TN_FLOAT64    ? 0x1p-50
                          : dtype == TN_FLOAT32  ? 0x1p-21
                          : dtype == TN_FLOAT16  ? 0x1p-9
                          : dtype == TN_BFLOAT16 ? 0x1p-6
                                                 : 0.0;
    return fabs(found - expected) <= digits * fabs(expected);
}

int pattern_float(pattern *p, uint32_t dtype, const char *what, double value)
{
    if (!isfinite(value) || !isfinite((float)value))
        return pattern_refuse(p, "%s is not finite", what);
    if (dtype == TN_FLOAT64 && (double)(float)value != value)
        return pattern_refuse(p, "%s is %.17g, which the attribute, a float32, cannot hold", what,
                              value);
    return 1;
}

/* ---- taking ------------------------------------------------------------------------------- */

static int has(const pattern *p, tn_node_id node)
{
    for (uint32_t k = 0; k < p->count; k++)
        if (p->nodes[k] == node)
            return 1;
    return 0;
}

int pattern_take(pattern *p, tn_node_id node)
{
    if (has(p, node))
        return 1;
    if (p->count == p->capacity)
        return pattern_refuse(p, "it is written with too many nodes");
    p->nodes[p->count++] = node;
    return 1;
}

int pattern_follow(pattern *p, tn_node_id node)
{
    p->y = pattern_node(p, node)->outputs[0];
    return pattern_take(p, node);
}

/* The Mul or Div that alone reads y; that there is none is no reason. */
static tn_node_id scaling_reader(pattern *p)
{
    char before[WHY_BYTES];
    memcpy(before, p->why, sizeof before);
    tn_node_id reader = pattern_reader(p, p->y, "Mul");
    if (reader == TN_NONE)
        reader = pattern_reader(p, p->y, "Div");
    memcpy(p->why, before, sizeof before);
    return reader;
}

void pattern_follow_scale(pattern *p, double *scale)
{
    for (;;) {
        double number;
        int first = 0;
        const tn_node_id reader = scaling_reader(p);
        if (reader == TN_NONE ||
            !pattern_scalar(p, pattern_other(p, reader, p->y, &first), &number))
            return;
        if (pattern_is(p, reader, "Div") && !first)
            return;
        *scale = pattern_is(p, reader, "Mul") ? *scale * number : *scale / number;
        if (!pattern_follow(p, reader))
            return;
    }
}

/* ---- polynomials -------------------------------------------------------------------------- */

static int polynomial(pattern *p, tn_value_id value, tn_value_id x, double c[4], int depth);

static int multiply(const double a[4], const double b[4], double c[4])
{
    double product[7] = { 0 };
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            product[i + j] += a[i] * b[j];
    memcpy(c, product, 4 * sizeof *c);
    return product[4] == 0.0 && product[5] == 0.0 && product[6] == 0.0;
}

static int is_number(const double c[4])
{
    return c[1] == 0.0 && c[2] == 0.0 && c[3] == 0.0;
}

static int power(const double a[4], const double exponent[4], double c[4])
{
    const double one[4] = { 1.0 };
    if (!is_number(exponent) || (exponent[0] != 1.0 && exponent[0] != 2.0 && exponent[0] != 3.0))
        return 0;
    memcpy(c, one, sizeof one);
    for (int k = 0; k < (int)exponent[0]; k++)
        if (!multiply(a, c, c))
            return 0;
    return 1;
}

static int combine(const char *op, const double a[4], const double b[4], double c[4])
{
    if (strcmp(op, "Mul") == 0)
        return multiply(a, b, c);
    if (strcmp(op, "Pow") == 0)
        return power(a, b, c);
    if (strcmp(op, "Div") == 0 && !is_number(b))
        return 0;
    for (int k = 0; k < 4; k++)
        c[k] = strcmp(op, "Add") == 0   ? a[k] + b[k]
               : strcmp(op, "Sub") == 0 ? a[k] - b[k]
                                        : a[k] / b[0];
    return 1;
}

static int polynomial_of_node(pattern *p, tn_node_id node, tn_value_id x, double c[4], int depth)
{
    const tn_node_view *view = pattern_node(p, node);
    const char *op = view->op; /* as long as the schema */
    const tn_value_id a = view->inputs[0], b = view->input_count > 1 ? view->inputs[1] : TN_NONE;
    double of_a[4], of_b[4];
    static const char *const known[] = { "Mul", "Div", "Add", "Sub", "Pow" };
    int is_known = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        is_known = is_known || pattern_is(p, node, known[k]);
    if (!is_known || view->region != p->region || view->input_count != 2)
        return 0;
    return polynomial(p, a, x, of_a, depth + 1) && polynomial(p, b, x, of_b, depth + 1) &&
           combine(op, of_a, of_b, c) && pattern_take(p, node);
}

static int polynomial(pattern *p, tn_value_id value, tn_value_id x, double c[4], int depth)
{
    enum { DEEPEST = 8 };
    memset(c, 0, 4 * sizeof *c);
    if (value == x) {
        c[1] = 1.0;
        return 1;
    }
    if (value == TN_NONE || depth > DEEPEST)
        return 0;
    if (pattern_scalar(p, value, &c[0]))
        return 1;
    const tn_node_id maker = pattern_value(p, value)->producer;
    return maker != TN_NONE && polynomial_of_node(p, maker, x, c, depth);
}

int pattern_polynomial(pattern *p, tn_value_id value, tn_value_id x, double c[4])
{
    const uint32_t count = p->count;
    if (polynomial(p, value, x, c, 0))
        return 1;
    p->count = count;
    return 0;
}

tn_value_id pattern_leaf(pattern *p, tn_value_id value)
{
    static const char *const known[] = { "Mul", "Div", "Add", "Sub" };
    for (int depth = 0; depth < 8; depth++) {
        tn_node_id maker = TN_NONE;
        double number;
        for (size_t k = 0; maker == TN_NONE && k < sizeof known / sizeof *known; k++)
            maker = pattern_maker(p, value, known[k]);
        if (maker == TN_NONE)
            return value;
        const tn_node_view *view = pattern_node(p, maker);
        if (pattern_scalar(p, view->inputs[1], &number))
            value = view->inputs[0];
        else if (!pattern_is(p, maker, "Div") && pattern_scalar(p, view->inputs[0], &number))
            value = view->inputs[1];
        else
            return value;
    }
    return value;
}

/* ---- replacing ---------------------------------------------------------------------------- */

int pattern_inside(pattern *p, tn_value_id value)
{
    const tn_value_view *view = pattern_value(p, value);
    tn_node_id reader;
    uint32_t input;
    if (view->output_count)
        return pattern_refuse(p, "%s's output is also an output of the graph or of a body",
                              op_behind(p, value));
    for (uint32_t u = 0; p->ctx->api->use(p->ctx->graph, value, u, &reader, &input) == TN_OK; u++)
        if (!has(p, reader))
            return pattern_refuse(p, "%s's output is also read by %.80s", op_behind(p, value),
                                  pattern_node(p, reader)->name);
    return 1;
}

int pattern_closed(pattern *p)
{
    for (uint32_t k = 0; k < p->count; k++)
        for (uint32_t o = 0; o < pattern_node(p, p->nodes[k])->output_count; o++) {
            const tn_value_id value = pattern_node(p, p->nodes[k])->outputs[o];
            if (value != p->y && value != TN_NONE && !pattern_inside(p, value))
                return 0;
        }
    return 1;
}

/* A scalar of rank 2 makes a matrix of a vector: what is made must have the rank of what is read. */
static int keeps_rank(pattern *p, tn_value_id x)
{
    const tn_type *type = pattern_value(p, x)->type;
    if (!p->scalar_rank || (type->rank >= 0 && p->scalar_rank <= type->rank))
        return 1;
    return pattern_refuse(p, "a constant of rank %d might raise the rank of what is read",
                          (int)p->scalar_rank);
}

static int is_unread(const pattern *p, tn_node_id node)
{
    const tn_node_view *view = pattern_node(p, node);
    for (uint32_t o = 0; o < view->output_count; o++) {
        const tn_value_view *value = view->outputs[o] == TN_NONE
                                         ? NULL
                                         : pattern_value(p, view->outputs[o]);
        if (value && (value->use_count || value->output_count))
            return 0;
    }
    return 1;
}

/* Those that nothing reads go, until none is left. Each hands its trace to the new node: that it
 * "is replaced" by what it is now a part of changes nothing else. */
static tn_status remove_taken(pattern *p, tn_value_id y)
{
    uint32_t left = p->count;
    for (uint32_t round = 0; left && round < p->count; round++)
        for (uint32_t k = 0; k < p->count; k++)
            if (p->nodes[k] != TN_NONE && is_unread(p, p->nodes[k])) {
                const tn_value_id part = pattern_node(p, p->nodes[k])->outputs[0];
                TN_TRY(p->ctx->api->replace(p->ctx->graph, part, y));
                TN_TRY(p->ctx->api->remove_node(p->ctx->graph, p->nodes[k]));
                p->nodes[k] = TN_NONE;
                left--;
            }
    return left ? tn_fail(p->ctx, TN_ERR_INTERNAL, "%s: a node that is left is still read",
                          p->wanted)
                : TN_OK;
}

void pattern_absorb(pattern *p, tn_node_id node)
{
    char before[WHY_BYTES];
    if (p->count == p->capacity)
        return;
    memcpy(before, p->why, sizeof before);
    for (uint32_t o = 0; o < pattern_node(p, node)->output_count; o++) {
        const tn_value_id value = pattern_node(p, node)->outputs[o];
        if (value != TN_NONE && !pattern_inside(p, value)) {
            memcpy(p->why, before, sizeof before);
            return;
        }
    }
    pattern_take(p, node);
}

tn_status pattern_integers(pattern *p, const int64_t *values, int64_t count, tn_value_id *out)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .kind = TN_TENSOR,
                               .dtype = TN_INT64,
                               .rank = 1,
                               .dims = &count,
                               .data = (void *)(uintptr_t)values,
                               .bytes = (size_t)count * sizeof *values };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    return p->ctx->api->add_constant(p->ctx->graph, &desc, out);
}

tn_status pattern_index(pattern *p, int64_t index, tn_value_id *out)
{
    const tn_tensor tensor = {
        .size = sizeof tensor, .dtype = TN_INT64, .data = &index, .bytes = sizeof index
    };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    return p->ctx->api->add_constant(p->ctx->graph, &desc, out);
}

tn_status pattern_add_outputs(pattern *p, const char *op, const tn_value_id *inputs,
                              uint32_t input_count, const tn_attribute *attributes,
                              uint32_t attribute_count, tn_value_id *outputs, uint32_t output_count)
{
    const tn_node_id maker = pattern_value(p, p->y)->producer;
    char name[200];
    tn_node_id node;
    snprintf(name, sizeof name, "%.150s/%s", pattern_node(p, maker)->name, op);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = p->region,
                                .name = name,
                                .op = op,
                                .input_count = input_count,
                                .output_count = output_count,
                                .inputs = inputs,
                                .attribute_count = attribute_count,
                                .attributes = attributes,
                                .before = maker,
                                .trace = maker };
    TN_TRY(p->ctx->api->add_node(p->ctx->graph, &desc, &node));
    memcpy(outputs, pattern_node(p, node)->outputs, output_count * sizeof *outputs);
    return TN_OK;
}

tn_status pattern_add(pattern *p, const char *op, const tn_value_id *inputs, uint32_t input_count,
                      const tn_attribute *attributes, uint32_t attribute_count, tn_value_id *out)
{
    return pattern_add_outputs(p, op, inputs, input_count, attributes, attribute_count, out, 1);
}

tn_status pattern_finish(pattern *p, tn_value_id new_y, tn_value_id heir)
{
    char last[160];
    snprintf(last, sizeof last, "%s", pattern_node(p, pattern_value(p, p->y)->producer)->name);
    TN_TRY(p->ctx->api->replace(p->ctx->graph, p->y, new_y));
    TN_TRY(remove_taken(p, heir));
    return tn_fail(p->ctx, TN_OK, "%u nodes up to %s are one %s", p->count, last, p->wanted);
}

tn_status pattern_replace(pattern *p, const tn_value_id *inputs, uint32_t input_count,
                          const tn_attribute *attributes, uint32_t attribute_count)
{
    tn_value_id y;
    if (!pattern_closed(p) || !keeps_rank(p, inputs[0]))
        return pattern_miss(p);
    TN_TRY(pattern_add(p, p->wanted, inputs, input_count, attributes, attribute_count, &y));
    return pattern_finish(p, y, y);
}
