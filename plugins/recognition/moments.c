/* plugins/recognition/moments.c: a value divided by its deviation over its last axes, written out, as all
 * normalizations have it.
 *
 *   d = x - ReduceMean(x), or x itself;  d / Sqrt(ReduceMean(d^2) + epsilon), or times 1 / Sqrt, Reciprocal
 *   (d scale) / Sqrt(...)                                   the scale before the quotient
 *   s = scale / Sqrt(...);  x s + (bias - ReduceMean(x) s)  as TensorFlow's batch_normalization has it
 *
 * Sqrt may be a Pow with 1/2 or -1/2. A mean may drop its axes and get them back by a Reshape, and d may be
 * there twice, as PyTorch's exporter writes var.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

/* ---- up: what is under the root ----------------------------------------------------------- */

/* Whether `mean` is as `x`, with extents of 1 from an axis on. */
static int has_ones(const tn_type *x, const tn_type *mean, int64_t axis)
{
    if (mean->rank != x->rank)
        return 0;
    for (int32_t a = 0; a < x->rank; a++)
        if (a < axis ? !pattern_same(mean->dims[a], x->dims[a]) : mean->dims[a] != 1)
            return 0;
    return 1;
}

/* The node that takes the mean over the last axes, kept as extents of 1 or put back as such: of what, from
 * which axis. */
static int read_mean(pattern *p, tn_value_id value, tn_value_id *of, int64_t *axis)
{
    const tn_node_id back = pattern_reshaper(p, value);
    const tn_node_id node = pattern_maker(
        p, back == TN_NONE ? value : pattern_node(p, back)->inputs[0], "ReduceMean");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    uint32_t seen = 0;
    if (!view || view->input_count < 2 || view->inputs[1] == TN_NONE)
        return 0;
    const int32_t rank = pattern_value(p, view->inputs[0])->type->rank;
    const tn_value_view *axes = pattern_value(p, view->inputs[1]);
    if (rank < 1)
        return pattern_refuse(p, "the rank of what ReduceMean reads is not known");
    if (!axes->constant || axes->is_input || axes->constant->dtype != TN_INT64)
        return pattern_refuse(p, "ReduceMean's axes are no constant");
    const int64_t count = tn_count(axes->constant);
    for (int64_t k = 0; k < count; k++) {
        const int32_t a = tn_axis(((const int64_t *)axes->constant->data)[k], rank);
        seen |= a < 0 ? 0u : 1u << a;
    }
    *axis = rank - count;
    for (int32_t a = 0; a < rank; a++)
        if ((seen >> a & 1u) != (a >= *axis))
            return pattern_refuse(p, "ReduceMean's axes are not the last ones");
    if (!count || (back == TN_NONE && !tn_attr_int(view, "keepdims", 1)) ||
        (back != TN_NONE &&
         !has_ones(pattern_value(p, view->inputs[0])->type, pattern_value(p, value)->type, *axis)))
        return pattern_refuse(p, "ReduceMean drops the axes");
    *of = view->inputs[0];
    return pattern_take(p, node) && (back == TN_NONE || pattern_take(p, back));
}

/* What is squared. */
static tn_value_id read_square(pattern *p, tn_value_id value)
{
    const tn_node_id product = pattern_maker(p, value, "Mul"),
                     power = pattern_maker(p, value, "Pow");
    const tn_node_id node = product != TN_NONE ? product : power;
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    double two;
    if (!view || view->input_count != 2 || !pattern_take(p, node))
        return TN_NONE;
    if (product != TN_NONE)
        return view->inputs[0] == view->inputs[1] ? view->inputs[0] : TN_NONE;
    return pattern_scalar(p, view->inputs[1], &two) && two == 2.0 ? view->inputs[0] : TN_NONE;
}

/* Whether d is x minus its mean over the same axes; x is found where it is not known yet. */
static int is_centred(pattern *p, tn_value_id d, moments *n)
{
    const tn_node_id node = pattern_maker(p, d, "Sub");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    const uint32_t count = p->count;
    tn_value_id of;
    int64_t axis;
    if (view && pattern_take(p, node) && read_mean(p, view->inputs[1], &of, &axis) &&
        of == view->inputs[0] && axis == n->axis && (n->x == TN_NONE || n->x == of)) {
        n->x = of;
        n->mean = view->inputs[1];
        return 1;
    }
    p->count = count;
    p->why[0] = 0;
    return 0;
}

static tn_value_id read_variance(pattern *p, moments *n)
{
    const tn_node_id sum = pattern_maker(p, pattern_node(p, p->root)->inputs[0], "Add");
    const tn_node_view *view = sum == TN_NONE ? NULL : pattern_node(p, sum);
    tn_value_id squares;
    if (!view || !pattern_take(p, sum))
        return TN_NONE;
    const int side = pattern_scalar(p, view->inputs[0], &n->epsilon) ? 0 : 1;
    if (!pattern_scalar(p, view->inputs[side], &n->epsilon) ||
        !read_mean(p, view->inputs[!side], &squares, &n->axis))
        return TN_NONE;
    return read_square(p, squares);
}

/* ---- down: what is made of the root ------------------------------------------------------- */

/* Whether a value is what was squared, or the same once more. */
static int is_numerator(pattern *p, tn_value_id value, tn_value_id d, moments *n)
{
    return value != TN_NONE && (value == d || (n->centred && is_centred(p, value, n)));
}

/* The same, or that times a scale. */
static int read_numerator(pattern *p, tn_value_id value, tn_value_id d, moments *n)
{
    if (is_numerator(p, value, d, n))
        return 1;
    const tn_node_id product = pattern_maker(p, value, "Mul");
    const tn_node_view *view = product == TN_NONE ? NULL : pattern_node(p, product);
    for (uint32_t k = 0; view && view->input_count == 2 && k < 2; k++)
        if (is_numerator(p, view->inputs[k], d, n)) {
            n->scale = view->inputs[1 - k];
            return pattern_take(p, product);
        }
    return 0;
}

/* From the root on to its reciprocal; 0: something else is made of it. */
static int follow_reciprocal(pattern *p)
{
    int first;
    double one;
    tn_node_id reader = pattern_reader(p, p->y, "Div");
    if (reader == TN_NONE)
        reader = pattern_reader(p, p->y, "Reciprocal");
    else if (!pattern_scalar(p, pattern_other(p, reader, p->y, &first), &one) || first ||
             one != 1.0)
        return 0;
    return reader != TN_NONE && pattern_follow(p, reader);
}

/* A Mul of y and another value, which nothing says that nobody else reads y. */
static tn_node_id product_with(const pattern *p, tn_value_id value)
{
    tn_node_id reader;
    uint32_t input;
    for (uint32_t k = 0; p->ctx->api->use(p->ctx->graph, p->y, k, &reader, &input) == TN_OK; k++)
        if (pattern_is(p, reader, "Mul") && pattern_node(p, reader)->region == p->region &&
            pattern_other(p, reader, p->y, NULL) == value)
            return reader;
    return TN_NONE;
}

/* From 1 / root on: s = y scale, x s + (bias - mean s). */
static int follow_spread(pattern *p, moments *n)
{
    const tn_value_id start = p->y;
    const uint32_t count = p->count;
    tn_node_id straight = product_with(p, n->x);
    if (straight == TN_NONE) { /* a scale comes first */
        const tn_node_id scaled = pattern_reader(p, p->y, "Mul");
        n->scale = scaled == TN_NONE ? TN_NONE : pattern_other(p, scaled, p->y, NULL);
        straight = n->scale != TN_NONE && pattern_follow(p, scaled) ? product_with(p, n->x)
                                                                    : TN_NONE;
    }
    const tn_node_id shift = straight == TN_NONE ? TN_NONE : product_with(p, n->mean);
    if (shift != TN_NONE && pattern_take(p, shift) && pattern_follow(p, straight)) {
        const tn_node_id sum = pattern_reader(p, p->y, "Add");
        const tn_node_id rest = sum == TN_NONE
                                    ? TN_NONE
                                    : pattern_maker(p, pattern_other(p, sum, p->y, NULL), "Sub");
        if (rest != TN_NONE &&
            pattern_node(p, rest)->inputs[1] == pattern_node(p, shift)->outputs[0]) {
            n->bias = pattern_node(p, rest)->inputs[0];
            return pattern_take(p, rest) && pattern_follow(p, sum);
        }
    }
    p->y = start;
    p->count = count;
    n->scale = TN_NONE;
    return 0;
}

/* From the root on to d divided by it. */
static int follow_quotient(pattern *p, tn_value_id d, moments *n)
{
    int first = 1;
    const tn_node_id quotient = n->inverse ? TN_NONE : pattern_reader(p, p->y, "Div");
    const tn_value_id over = quotient == TN_NONE ? TN_NONE
                                                 : pattern_other(p, quotient, p->y, &first);
    if (!first && read_numerator(p, over, d, n))
        return pattern_follow(p, quotient);
    if (!n->inverse && !follow_reciprocal(p))
        return 0;
    if (n->centred && follow_spread(p, n))
        return 1;
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    return product != TN_NONE && read_numerator(p, pattern_other(p, product, p->y, NULL), d, n) &&
           pattern_follow(p, product);
}

/* Whether the node is a root, or one over it. */
static int is_root(pattern *p, moments *n)
{
    double power;
    if (!pattern_is(p, p->root, "Pow"))
        return 1;
    const tn_node_view *view = pattern_node(p, p->root);
    if (view->input_count != 2 || !pattern_scalar(p, view->inputs[1], &power)) {
        p->why[0] = 0; /* any power */
        return 0;
    }
    n->inverse = power == -0.5;
    return n->inverse || power == 0.5;
}

int pattern_moments(pattern *p, int centred, moments *out)
{
    *out = (moments){ .x = TN_NONE, .mean = TN_NONE, .scale = TN_NONE, .bias = TN_NONE };
    const tn_value_id d = is_root(p, out) ? read_variance(p, out) : TN_NONE;
    if (d == TN_NONE)
        return 0;
    out->centred = is_centred(p, d, out);
    if (!out->centred)
        out->x = d;
    if (out->centred != centred || !follow_quotient(p, d, out))
        return 0;
    return out->epsilon >= 0.0 || pattern_refuse(p, "epsilon is %g", out->epsilon);
}
