/* plugins/recognition/rotary_angles.c: whether cosines and sines are one angle for each pair and position.
 *
 * Where they are as wide as what is turned, both numbers of a pair must be equal: that is seen in a constant,
 * or in how they are made.
 *
 * SPDX-License-Identifier: MIT */
#include "rotary.h"

enum { DEEPEST = 12 };

static int constant_is_paired(const tn_tensor *t, int64_t width, int interleaved)
{
    const int64_t count = tn_count(t), distance = interleaved ? 1 : width / 2;
    for (int64_t row = 0; row < count; row += width)
        for (int64_t k = 0; k < width / 2; k++) {
            const int64_t a = row + (interleaved ? 2 * k : k), b = a + distance;
            if (tn_get_double(t->dtype, t->data, a) != tn_get_double(t->dtype, t->data, b))
                return 0;
        }
    return 1;
}

static int is_paired(const pattern *p, tn_value_id value, int64_t width, int interleaved,
                     int depth);

static int is_op(const tn_node_view *view, const char *const *ops)
{
    for (; *ops; ops++)
        if (strcmp(view->op, *ops) == 0)
            return 1;
    return 0;
}

/* Twice the same along the last axis of y. */
static int is_doubled(const pattern *p, const tn_node_view *view, const tn_type *y)
{
    if (strcmp(view->op, "Concat") == 0)
        return view->input_count == 2 && view->inputs[0] == view->inputs[1] &&
               tn_axis(tn_attr_int(view, "axis", 0), y->rank) == y->rank - 1;
    if (strcmp(view->op, "Expand") == 0)
        return last_extent(y) == 2 && last_extent(type_of(p, view->inputs[0])) == 1;
    const tn_tensor *repeats = strcmp(view->op, "Tile") == 0 ? pattern_constant(p, view->inputs[1])
                                                             : NULL;
    return repeats && repeats->dtype == TN_INT64 && tn_count(repeats) == y->rank &&
           tn_get_int(TN_INT64, repeats->data, y->rank - 1) == 2;
}

/* Neighbours are made by doubling an axis of 1 and laying the last two into one. */
static int is_doubled_flat(const pattern *p, const tn_node_view *view)
{
    const tn_type *pairs = type_of(p, view->inputs[0]);
    const tn_node_id maker = pattern_value(p, view->inputs[0])->producer;
    return maker != TN_NONE && last_extent(pairs) == 2 &&
           is_doubled(p, pattern_node(p, maker), pairs);
}

static int node_is_paired(const pattern *p, const tn_node_view *view, const tn_type *y,
                          int64_t width, int interleaved, int depth)
{
    static const char *const moved[] = { "Cos",     "Sin",     "Cast",      "Neg",    "Identity",
                                         "Reshape", "Squeeze", "Unsqueeze", "Expand", NULL };
    static const char *const pairs[] = { "Mul", "Div", "Add", "Sub", NULL };
    if (*view->domain || !view->input_count)
        return 0;
    const tn_type *x = type_of(p, view->inputs[0]);
    if (!interleaved && is_doubled(p, view, y))
        return 1;
    if (interleaved && strcmp(view->op, "Reshape") == 0 && is_doubled_flat(p, view))
        return 1;
    if (is_op(view, moved))
        return last_extent(x) == width && is_paired(p, view->inputs[0], width, interleaved, depth);
    if (strcmp(view->op, "Gather") == 0)
        return last_extent(x) == width &&
               tn_axis(tn_attr_int(view, "axis", 0), x->rank) != x->rank - 1 &&
               is_paired(p, view->inputs[0], width, interleaved, depth);
    if (strcmp(view->op, "GatherND") == 0) /* rows by their number */
        return last_extent(x) == width && !tn_attr_int(view, "batch_dims", 0) &&
               tn_dim_known(last_extent(type_of(p, view->inputs[1]))) &&
               last_extent(type_of(p, view->inputs[1])) < x->rank &&
               is_paired(p, view->inputs[0], width, interleaved, depth);
    if (strcmp(view->op, "Slice") == 0)
        return last_extent(x) == width && is_paired(p, view->inputs[0], width, interleaved, depth);
    if (!is_op(view, pairs))
        return 0;
    for (uint32_t k = 0; k < 2; k++) {
        const tn_type *operand = type_of(p, view->inputs[k]);
        if (operand->rank != 0 && last_extent(operand) != 1 &&
            !is_paired(p, view->inputs[k], width, interleaved, depth))
            return 0;
    }
    return 1;
}

/* Whether both numbers of each pair of a value's last axis are equal. */
static int is_paired(const pattern *p, tn_value_id value, int64_t width, int interleaved, int depth)
{
    const tn_value_view *view = pattern_value(p, value);
    if (depth > DEEPEST || last_extent(view->type) != width || view->is_input)
        return 0;
    if (view->constant)
        return !view->constant->kind && constant_is_paired(view->constant, width, interleaved);
    return view->producer != TN_NONE && node_is_paired(p, pattern_node(p, view->producer),
                                                       view->type, width, interleaved, depth + 1);
}

/* Whether the first of each pair is the second with its sign turned; `ones`: and that is 1. */
static int has_signs(const tn_tensor *t, int64_t width, int interleaved, int ones)
{
    const int64_t count = t ? tn_count(t) : 0, distance = interleaved ? 1 : width / 2;
    if (!t || t->rank < 1 || t->dims[t->rank - 1] != width)
        return 0;
    for (int64_t row = 0; row < count; row += width)
        for (int64_t k = 0; k < width / 2; k++) {
            const int64_t a = row + (interleaved ? 2 * k : k);
            const double first = tn_get_double(t->dtype, t->data, a),
                         second = tn_get_double(t->dtype, t->data, a + distance);
            if (first != -second || (ones && second != 1.0))
                return 0;
        }
    return 1;
}

/* The sines behind their signs: a constant, or a product with signs. */
static int read_signed(pattern *p, rotation *r)
{
    const tn_node_id product = pattern_maker(p, r->sines, "Mul");
    r->second = has_signs(pattern_constant(p, r->sines), r->width, r->interleaved, 0);
    for (uint32_t k = 0; product != TN_NONE && k < 2; k++) {
        const tn_value_id *in = pattern_node(p, product)->inputs;
        if (has_signs(pattern_constant(p, in[k]), r->width, r->interleaved, 1) &&
            last_extent(type_of(p, in[1 - k])) == r->width) {
            rotary_pass(r, product);
            r->sines = in[1 - k];
            return 1;
        }
    }
    return r->second;
}

tn_dim rotary_laid(const tn_type *type, int32_t axis, int32_t rank)
{
    const int32_t own = axis - (rank - type->rank);
    return own < 0 ? 1 : type->dims[own];
}

/* Whether angles follow the positions on axis `rows` of x, and are the same for all heads. */
static int follows(const pattern *p, const rotation *r, tn_value_id angles, int32_t rows)
{
    const tn_type *x = type_of(p, r->x), *a = type_of(p, angles);
    for (int32_t k = 1; k < x->rank - 1; k++)
        if (k == rows ? !pattern_same(rotary_laid(a, k, x->rank), x->dims[k])
                      : rotary_laid(a, k, x->rank) != 1)
            return 0;
    return rotary_laid(a, 0, x->rank) == 1 || pattern_same(rotary_laid(a, 0, x->rank), x->dims[0]);
}

int rotary_angles_fit(pattern *p, rotation *r)
{
    const tn_value_id angles[] = { r->cosines, r->sines };
    const tn_type *x = type_of(p, r->x);
    for (uint32_t k = 0; k < 2; k++) {
        const tn_type *a = type_of(p, angles[k]);
        if (a->rank < 2 || a->rank > x->rank ||
            last_extent(a) != (r->doubled ? r->width : r->width / 2))
            return pattern_refuse(p, "%s are not one for each pair", k ? "sines" : "cosines");
        if (k == 1 && r->signed_sines && !read_signed(p, r))
            return pattern_refuse(p,
                                  "sines are not known to have their sign turned for the first of "
                                  "a pair");
        if (r->doubled && !(k == 1 && r->second) &&
            !is_paired(p, k ? r->sines : r->cosines, r->width, r->interleaved, 0))
            return pattern_refuse(p, "%s are not known to be the same for both of a pair",
                                  k ? "sines" : "cosines");
    }
    for (int32_t k = 0; k < x->rank; k++)
        if (x->dims[k] == 0)
            return 0;
    r->packed = x->rank == 4 && !follows(p, r, angles[0], 2);
    const int32_t rows = x->rank == 4 && !r->packed ? 2 : 1;
    if (!follows(p, r, angles[0], rows) || !follows(p, r, r->sines, rows))
        return pattern_refuse(p, "angles do not follow the positions, or differ by head");
    if (r->packed && (!tn_dim_known(x->dims[2]) || !tn_dim_known(x->dims[3]) || !x->dims[2]))
        return pattern_refuse(p, "how many heads there are is not known");
    return 1;
}
