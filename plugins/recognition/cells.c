/* plugins/recognition/cells.c: reading what goes into the gates of a recurrent cell: sums of products
 * with constant matrices, of which slices are taken.
 *
 * MatMul and Gemm, biases apart or in Gemm's C; a product for all gates that is cut by Split or Slice,
 * before or after products are added, or one for each gate; input and state apart, or side by side in
 * one Concat; all steps of the input multiplied at once, and a step taken out behind that. A bias may be
 * one number.
 *
 * SPDX-License-Identifier: MIT */
#include "cells.h"

enum { DEEPEST = 12 };

static const tn_type *type_of(const pattern *p, tn_value_id value)
{
    return pattern_value(p, value)->type;
}

static tn_dim last_extent(const tn_type *type)
{
    return type->rank > 0 ? type->dims[type->rank - 1] : TN_DIM_UNKNOWN;
}

tn_value_id cell_output(const pattern *p, tn_node_id node)
{
    return pattern_node(p, node)->outputs[0];
}

tn_node_id cell_reader(const pattern *p, tn_value_id value, const char *op, uint32_t *k)
{
    tn_node_id reader;
    uint32_t input;
    while (p->ctx->api->use(p->ctx->graph, value, (*k)++, &reader, &input) == TN_OK)
        if (pattern_is(p, reader, op) && pattern_node(p, reader)->region == p->region)
            return reader;
    return TN_NONE;
}

int cell_operands(pattern *p, tn_value_id value, const char *op, tn_value_id operands[2])
{
    const tn_node_id node = pattern_maker(p, value, op);
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    if (!view || view->input_count != 2 || !pattern_take(p, node))
        return 0;
    operands[0] = view->inputs[0];
    operands[1] = view->inputs[1];
    return 1;
}

int cell_is_zero(const pattern *p, tn_value_id value)
{
    const tn_tensor *t = pattern_constant(p, value);
    for (int64_t k = 0; t && k < tn_count(t); k++)
        if (tn_get_double(t->dtype, t->data, k) != 0.0)
            return 0;
    return t != NULL;
}

/* ---- sums --------------------------------------------------------------------------------- */

static int add_product(pattern *p, product one, linear *l)
{
    const tn_type *type = type_of(p, one.of);
    if (l->product_count == 2 || type->rank != (one.all_steps ? 3 : 2) ||
        last_extent(type) != one.rows)
        return 0;
    l->products[l->product_count++] = one;
    return 1;
}

/* Input and state may lie side by side, multiplied at once. */
static int split_product(pattern *p, linear *l)
{
    const product whole = l->products[0];
    const tn_node_id joined = pattern_maker(p, whole.of, "Concat");
    const tn_node_view *view = joined == TN_NONE ? NULL : pattern_node(p, joined);
    if (!view || view->input_count != 2 || tn_axis(tn_attr_int(view, "axis", 0), 2) != 1 ||
        !tn_dim_known(last_extent(type_of(p, view->inputs[0]))) || !pattern_take(p, joined))
        return 0;
    product first = whole, second = whole;
    first.of = view->inputs[0];
    first.rows = last_extent(type_of(p, first.of));
    second.of = view->inputs[1];
    second.row = first.rows;
    second.rows = whole.rows - first.rows;
    l->product_count = 0;
    return add_product(p, first, l) && add_product(p, second, l);
}

int cell_split(pattern *p, linear *gates, uint32_t count)
{
    for (uint32_t g = 0; g < count; g++)
        if (gates[g].product_count != 1 ||
            pattern_maker(p, gates[g].products[0].of, "Concat") == TN_NONE)
            return 1;
    for (uint32_t g = 0; g < count; g++)
        if (!split_product(p, &gates[g]))
            return 0;
    return 1;
}

static int read_matrix(const pattern *p, const tn_node_view *view, int turned, int64_t column,
                       product *out)
{
    const tn_tensor *matrix = pattern_constant(p, view->inputs[1]);
    if (!matrix || matrix->rank != 2)
        return 0;
    *out = (product){ .of = view->inputs[0],
                      .matrix = view->inputs[1],
                      .rows = matrix->dims[turned],
                      .column = column,
                      .turned = turned };
    return 1;
}

static int read_sum(pattern *p, tn_value_id value, int64_t column, linear *l, int depth);

static int read_gemm(pattern *p, tn_node_id node, int64_t column, linear *l, int depth)
{
    const tn_node_view *view = pattern_node(p, node);
    const tn_dim width = last_extent(type_of(p, view->outputs[0]));
    const float one = 1.0f;
    product whole;
    if (tn_attr_float(view, "alpha", one) != one || tn_attr_int(view, "transA", 0) ||
        !read_matrix(p, view, tn_attr_int(view, "transB", 0) != 0, column, &whole) ||
        !pattern_take(p, node) || !add_product(p, whole, l))
        return 0;
    if (view->input_count < 3 || view->inputs[2] == TN_NONE)
        return 1;
    return tn_attr_float(view, "beta", one) == one &&
           last_extent(type_of(p, view->inputs[2])) == width &&
           read_sum(p, view->inputs[2], column, l, depth);
}

static int is_number(const pattern *p, tn_value_id value)
{
    const tn_tensor *t = pattern_constant(p, value);
    return t && tn_count(t) == 1;
}

static int add_bias(const pattern *p, tn_value_id value, int64_t column, linear *l)
{
    if (l->bias_count == MOST_BIASES || type_of(p, value)->rank > 2)
        return 0;
    l->biases[l->bias_count].vector = value;
    l->biases[l->bias_count++].column = column;
    return 1;
}

/* Both operands must have all columns, or be one number: else something is repeated along them. */
static int read_addition(pattern *p, tn_node_id node, int64_t column, linear *l, int depth)
{
    const tn_node_view *view = pattern_node(p, node);
    const tn_dim width = last_extent(type_of(p, view->outputs[0]));
    if (!tn_dim_known(width) || !pattern_take(p, node))
        return 0;
    for (uint32_t k = 0; k < 2; k++)
        if ((last_extent(type_of(p, view->inputs[k])) != width && !is_number(p, view->inputs[k])) ||
            !read_sum(p, view->inputs[k], column, l, depth))
            return 0;
    return 1;
}

/* A gate times a sum. */
static int read_gated(pattern *p, tn_node_id node, int64_t column, linear *l)
{
    const tn_node_view *view = pattern_node(p, node);
    for (uint32_t k = 0; k < 2 && !column && l->gate == TN_NONE; k++)
        if (pattern_maker(p, view->inputs[k], "Sigmoid") != TN_NONE && pattern_take(p, node)) {
            l->gate = view->inputs[k];
            l->gated = view->inputs[1 - k];
            return 1;
        }
    return 0;
}

/* The product of all steps of the input with a matrix, and biases; what is left unread of its nodes goes
 * when the chain is known. */
static int read_all_steps(pattern *p, const piece *c, int64_t column, linear *l)
{
    tn_value_id value = c->of;
    tn_node_id node;
    product whole;
    if (!c->dropped || c->axis > 1 || type_of(p, value)->rank != 3)
        return 0;
    while ((node = pattern_maker(p, value, "Add")) != TN_NONE) {
        const tn_node_view *view = pattern_node(p, node);
        const uint32_t k = pattern_constant(p, view->inputs[0]) ? 0 : 1;
        const tn_tensor *bias = pattern_constant(p, view->inputs[k]);
        if (!bias || bias->rank != 1 || bias->dims[0] != last_extent(type_of(p, value)) ||
            !add_bias(p, view->inputs[k], column, l))
            return 0;
        value = view->inputs[1 - k];
    }
    node = pattern_maker(p, value, "MatMul");
    if (node == TN_NONE || !read_matrix(p, pattern_node(p, node), 0, column, &whole))
        return 0;
    whole.all_steps = 1;
    whole.sums = c->of;
    whole.axis = c->axis;
    whole.step = c->begin;
    return add_product(p, whole, l);
}

/* The same where a step is a piece of one, which loses its axis then. */
static int read_step(pattern *p, tn_value_id value, int64_t column, linear *l)
{
    piece c;
    const tn_node_id squeeze = pattern_reshaper(p, value);
    if (pattern_piece(p, value, &c))
        return pattern_take(p, c.node) && read_all_steps(p, &c, column, l);
    if (squeeze == TN_NONE || !pattern_piece(p, pattern_node(p, squeeze)->inputs[0], &c) ||
        c.dropped || c.count != 1 ||
        !pattern_has_axis(type_of(p, pattern_node(p, squeeze)->inputs[0]), type_of(p, value),
                          c.axis, 1))
        return 0;
    c.dropped = 1;
    return pattern_take(p, squeeze) && pattern_take(p, c.node) && read_all_steps(p, &c, column, l);
}

static int read_sum(pattern *p, tn_value_id value, int64_t column, linear *l, int depth)
{
    piece c;
    tn_node_id node;
    product whole;
    if (value == TN_NONE || depth > DEEPEST)
        return 0;
    if (pattern_constant(p, value))
        return add_bias(p, value, column, l);
    if (type_of(p, value)->rank != 2)
        return 0;
    if ((node = pattern_maker(p, value, "Add")) != TN_NONE)
        return read_addition(p, node, column, l, depth + 1);
    if ((node = pattern_maker(p, value, "Gemm")) != TN_NONE)
        return read_gemm(p, node, column, l, depth + 1);
    if ((node = pattern_maker(p, value, "MatMul")) != TN_NONE)
        return read_matrix(p, pattern_node(p, node), 0, column, &whole) && pattern_take(p, node) &&
               add_product(p, whole, l);
    if ((node = pattern_maker(p, value, "Mul")) != TN_NONE)
        return read_gated(p, node, column, l);
    if (pattern_piece(p, value, &c) && !c.dropped && c.step == 1 && c.axis == 1 &&
        type_of(p, c.of)->rank == 2)
        return pattern_take(p, c.node) && read_sum(p, c.of, column + c.begin, l, depth + 1);
    return read_step(p, value, column, l);
}

int cell_linear(pattern *p, tn_value_id value, linear *out)
{
    *out = (linear){ .gate = TN_NONE, .gated = TN_NONE };
    return read_sum(p, value, 0, out, 0);
}

int cell_gate(pattern *p, tn_value_id value, const char *op, linear *out)
{
    const tn_node_id node = pattern_maker(p, value, op);
    return node != TN_NONE && pattern_take(p, node) &&
           cell_linear(p, pattern_node(p, node)->inputs[0], out);
}
