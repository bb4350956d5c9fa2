/* plugins/recognition/moments.c: a value divided by its deviation over its last axes, written out, as all
 * normalizations have it.
 *
 *   d = x - ReduceMean(x), or x itself;  d / Sqrt(ReduceMean(d^2) + epsilon), or times 1 / Sqrt, Reciprocal
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

/* ---- up: what is under the root ----------------------------------------------------------- */

/* The node that takes the mean over the last axes, kept as extents of 1: of what, from which axis. */
static int read_mean(pattern *p, tn_value_id value, tn_value_id *of, int64_t *axis)
{
    const tn_node_id node = pattern_maker(p, value, "ReduceMean");
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
    if (!count || !tn_attr_int(view, "keepdims", 1))
        return pattern_refuse(p, "ReduceMean drops the axes");
    *of = view->inputs[0];
    return pattern_take(p, node);
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

/* Whether d is x minus its mean over the same axes. */
static int is_centred(pattern *p, tn_value_id d, moments *n)
{
    const tn_node_id node = pattern_maker(p, d, "Sub");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    const uint32_t count = p->count;
    tn_value_id of;
    int64_t axis;
    if (view && pattern_take(p, node) && read_mean(p, view->inputs[1], &of, &axis) &&
        of == view->inputs[0] && axis == n->axis) {
        n->x = of;
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

/* From Sqrt on to d divided by it. */
static int follow_quotient(pattern *p, tn_value_id d)
{
    tn_node_id reader = pattern_reader(p, p->y, "Div");
    int first = 1;
    double one;
    const tn_value_id over = reader == TN_NONE ? TN_NONE : pattern_other(p, reader, p->y, &first);
    if (over != TN_NONE && over == d && !first)
        return pattern_follow(p, reader);
    if (reader == TN_NONE)
        reader = pattern_reader(p, p->y, "Reciprocal");
    else if (first || !pattern_scalar(p, over, &one) || one != 1.0)
        return 0;
    if (reader == TN_NONE || !pattern_follow(p, reader))
        return 0;
    reader = pattern_reader(p, p->y, "Mul");
    return reader != TN_NONE && pattern_other(p, reader, p->y, NULL) == d &&
           pattern_follow(p, reader);
}

int pattern_moments(pattern *p, int centred, moments *out)
{
    const tn_value_id d = read_variance(p, out);
    if (d == TN_NONE)
        return 0;
    out->x = d;
    out->centred = is_centred(p, d, out);
    if (out->centred != centred || !follow_quotient(p, d))
        return 0;
    return out->epsilon >= 0.0 || pattern_refuse(p, "epsilon is %g", out->epsilon);
}
