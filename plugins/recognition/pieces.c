/* plugins/recognition/pieces.c: which part of which other value a value is, by Slice, Split or Gather
 * (ONNX operators of these names).
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

const tn_tensor *pattern_constant(const pattern *p, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : pattern_value(p, value);
    return view && !view->is_input && view->constant && !view->constant->kind ? view->constant
                                                                              : NULL;
}

tn_node_id pattern_reshaper(const pattern *p, tn_value_id value)
{
    static const char *const ops[] = { "Reshape", "Squeeze", "Unsqueeze", "Flatten" };
    tn_node_id node = TN_NONE;
    for (size_t k = 0; node == TN_NONE && k < sizeof ops / sizeof *ops; k++)
        node = pattern_maker(p, value, ops[k]);
    return node;
}

int pattern_has_axis(const tn_type *wide, const tn_type *narrow, int32_t axis, tn_dim extent)
{
    if (narrow->rank < 0 || wide->rank != narrow->rank + 1 || axis < 0 || axis >= wide->rank ||
        wide->dims[axis] != extent)
        return 0;
    for (int32_t k = 0; k < narrow->rank; k++)
        if (!pattern_same(narrow->dims[k], wide->dims[k < axis ? k : k + 1]))
            return 0;
    return 1;
}

/* Input k of a node, where it is a constant of one integer; `absent` where there is none. */
static int read_one(const pattern *p, const tn_node_view *view, uint32_t k, int64_t absent,
                    int64_t *out)
{
    *out = absent;
    if (k >= view->input_count || view->inputs[k] == TN_NONE)
        return absent != INT64_MIN;
    const tn_tensor *t = pattern_constant(p, view->inputs[k]);
    if (!t || tn_count(t) != 1 || (t->dtype != TN_INT64 && t->dtype != TN_INT32))
        return 0;
    *out = tn_get_int(t->dtype, t->data, 0);
    return 1;
}

static int read_slice(const pattern *p, const tn_node_view *view, const tn_type *x,
                      const tn_type *y, piece *out)
{
    int64_t axis;
    if (view->version < 10 || !read_one(p, view, 1, INT64_MIN, &out->begin) ||
        !read_one(p, view, 3, 0, &axis) || !read_one(p, view, 4, 1, &out->step))
        return 0;
    out->axis = tn_axis(axis, x->rank);
    if (out->axis < 0 || out->step < 1 || y->rank != x->rank || !tn_dim_known(y->dims[out->axis]))
        return 0;
    out->count = y->dims[out->axis]; /* inference has bounded the end */
    if (out->begin < 0) {
        if (!tn_dim_known(x->dims[out->axis]))
            return 0;
        out->begin += x->dims[out->axis];
    }
    return out->begin >= 0;
}

static int read_split(const pattern *p, const tn_node_view *view, uint32_t part, const tn_type *x,
                      const tn_type *y, piece *out)
{
    out->axis = tn_axis(tn_attr_int(view, "axis", 0), x->rank);
    if (out->axis < 0 || y->rank != x->rank || !tn_dim_known(y->dims[out->axis]))
        return 0;
    out->count = y->dims[out->axis];
    for (uint32_t k = 0; k < part; k++) {
        const tn_type *before = view->outputs[k] == TN_NONE
                                    ? NULL
                                    : pattern_value(p, view->outputs[k])->type;
        if (!before || before->rank != x->rank || !tn_dim_known(before->dims[out->axis]))
            return 0;
        out->begin += before->dims[out->axis];
    }
    return 1;
}

static int read_gather(const pattern *p, const tn_node_view *view, const tn_type *x, piece *out)
{
    const tn_tensor *indices = view->input_count > 1 ? pattern_constant(p, view->inputs[1]) : NULL;
    out->axis = tn_axis(tn_attr_int(view, "axis", 0), x->rank);
    if (out->axis < 0 || !indices || indices->rank > 1 || tn_count(indices) != 1)
        return 0;
    out->begin = tn_get_int(indices->dtype, indices->data, 0);
    out->count = 1;
    out->dropped = indices->rank == 0;
    if (out->begin < 0) {
        if (!tn_dim_known(x->dims[out->axis]))
            return 0;
        out->begin += x->dims[out->axis];
    }
    return out->begin >= 0;
}

int pattern_piece(const pattern *p, tn_value_id value, piece *out)
{
    const tn_value_view *y = value == TN_NONE ? NULL : pattern_value(p, value);
    const tn_node_view *view = !y || y->producer == TN_NONE ? NULL : pattern_node(p, y->producer);
    if (!view || view->region != p->region || !view->input_count || view->inputs[0] == TN_NONE)
        return 0;
    *out = (piece){ .node = y->producer, .of = view->inputs[0], .step = 1 };
    const tn_type *x = pattern_value(p, out->of)->type;
    if (x->rank < 1)
        return 0;
    if (pattern_is(p, out->node, "Slice"))
        return read_slice(p, view, x, y->type, out);
    if (pattern_is(p, out->node, "Split"))
        return read_split(p, view, y->producer_output, x, y->type, out);
    return pattern_is(p, out->node, "Gather") && read_gather(p, view, x, out);
}
