/* plugins/recognition/recognize_space_to_depth.c: every second row and column (or every n-th), from each place
 * on, laid side by side, as one SpaceToDepth (ONNX: SpaceToDepth, 13), or as Reshape, Transpose and Reshape
 * where no operator has their order: the Focus of YOLOv5, the patch merging of Swin.
 *
 *   Concat(x[:, :, 0::2, 0::2], x[:, :, 0::2, 1::2], x[:, :, 1::2, 0::2], x[:, :, 1::2, 1::2])
 *
 * with channels on axis 1 or on the last one; rows or columns may come first. Exact: elements move.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { MOST_SIDE = 4, MOST_SLICES = 4, AXES = 4 };

/* Element i of an axis is element begin + step i of what is cut. */
typedef struct lattice {
    tn_value_id of;
    int64_t begin[AXES], step[AXES];
    uint32_t count;
    tn_node_id nodes[MOST_SLICES];
} lattice;

typedef struct blocks {
    tn_value_id x;
    int64_t side;
    int32_t rows, channels; /* axes; columns follow rows */
    int columns_first;      /* places of a column lie side by side, not of a row */
} blocks;

/* ---- one part ----------------------------------------------------------------------------- */

static int64_t number_at(const tn_tensor *t, int64_t k)
{
    return tn_get_int(t->dtype, t->data, k);
}

static int is_integers(const tn_tensor *t)
{
    return t && t->rank == 1 && (t->dtype == TN_INT64 || t->dtype == TN_INT32);
}

/* Input k of a Slice: constant integers; `absent` where there are none. 0: others. */
static int read_vector(const pattern *p, const tn_node_view *view, uint32_t k,
                       const tn_tensor **out)
{
    const tn_value_id value = k < view->input_count ? view->inputs[k] : TN_NONE;
    *out = pattern_constant(p, value);
    return value == TN_NONE || is_integers(*out);
}

/* One axis of a Slice, which must run to the end. */
static int cut_axis(lattice *l, const tn_type *x, const tn_type *y, int32_t axis, int64_t begin,
                    int64_t step)
{
    if (axis < 0 || step < 1 || !tn_dim_known(x->dims[axis]))
        return 0;
    begin += begin < 0 ? x->dims[axis] : 0;
    if (begin < 0 || begin >= x->dims[axis] ||
        y->dims[axis] != (x->dims[axis] - begin + step - 1) / step)
        return 0;
    l->begin[axis] = begin + step * l->begin[axis];
    l->step[axis] *= step;
    return 1;
}

static int cut(const pattern *p, tn_node_id node, lattice *l)
{
    const tn_node_view *view = pattern_node(p, node);
    const tn_type *x = pattern_value(p, view->inputs[0])->type,
                  *y = pattern_value(p, view->outputs[0])->type;
    const tn_tensor *starts, *axes, *steps;
    if (view->version < 10 || x->rank != AXES || y->rank != AXES ||
        !read_vector(p, view, 1, &starts) || !starts || !read_vector(p, view, 3, &axes) ||
        !read_vector(p, view, 4, &steps))
        return 0;
    for (int64_t k = 0; k < tn_count(starts); k++)
        if (!cut_axis(l, x, y, tn_axis(axes ? number_at(axes, k) : k, AXES), number_at(starts, k),
                      steps ? number_at(steps, k) : 1))
            return 0;
    l->of = view->inputs[0];
    l->nodes[l->count++] = node;
    return 1;
}

static int read_lattice(const pattern *p, tn_value_id value, lattice *l)
{
    tn_node_id node;
    *l = (lattice){ .of = value, .step = { 1, 1, 1, 1 } };
    while (l->count < MOST_SLICES && (node = pattern_maker(p, l->of, "Slice")) != TN_NONE)
        if (!cut(p, node, l))
            break;
    return l->count > 0;
}

/* ---- all of them -------------------------------------------------------------------------- */

static int fits(const blocks *b, const lattice *l)
{
    for (int32_t a = 0; a < AXES; a++) {
        const int strided = a == b->rows || a == b->rows + 1;
        if (l->step[a] != (strided ? b->side : 1) || l->begin[a] >= (strided ? b->side : 1))
            return 0;
    }
    return l->of == b->x;
}

static int find(pattern *p, blocks *b)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const tn_type *y = pattern_value(p, p->y)->type;
    lattice l;
    if (y->rank != AXES || view->inputs[0] == TN_NONE)
        return 0;
    b->channels = tn_axis(tn_attr_int(view, "axis", 0), AXES);
    b->rows = b->channels == 1 ? 2 : 1;
    for (b->side = 2; b->side <= MOST_SIDE && b->side * b->side < view->input_count; b->side++)
        ;
    if ((b->channels != 1 && b->channels != 3) || b->side * b->side != view->input_count ||
        !read_lattice(p, view->inputs[0], &l))
        return 0;
    b->x = l.of;
    for (int64_t k = 0; k < view->input_count; k++) {
        if (view->inputs[k] == TN_NONE || !read_lattice(p, view->inputs[k], &l) || !fits(b, &l))
            return 0;
        const int64_t row = l.begin[b->rows], column = l.begin[b->rows + 1];
        if (k == 1)
            b->columns_first = row == 1;
        if (k != (b->columns_first ? column * b->side + row : row * b->side + column))
            return pattern_refuse(p, "the parts are in no order of rows or columns");
        for (uint32_t n = l.count; n-- > 0;)
            if (!pattern_take(p, l.nodes[n]))
                return 0;
    }
    const tn_type *x = pattern_value(p, b->x)->type;
    for (int32_t a = 1; a < AXES; a++)
        if (!tn_dim_known(x->dims[a]) || !x->dims[a])
            return 0;
    return (x->dims[b->rows] % b->side == 0 && x->dims[b->rows + 1] % b->side == 0) ||
           pattern_refuse(p, "rows or columns are no multiple of %d", (int)b->side);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

/* x with an axis for places in rows and in columns; 0 keeps the samples. */
static void cut_shape(const tn_type *x, const blocks *b, int64_t *wide)
{
    int32_t to = 1;
    wide[0] = 0;
    for (int32_t a = 1; a < AXES; a++) {
        const int strided = a == b->rows || a == b->rows + 1;
        wide[to++] = strided ? x->dims[a] / b->side : x->dims[a];
        if (strided)
            wide[to++] = b->side;
    }
}

static tn_status add_reshape(pattern *p, tn_value_id x, const int64_t *shape, int64_t count,
                             tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(p, shape, count, &inputs[1]));
    return pattern_add(p, "Reshape", inputs, 2, NULL, 0, out);
}

static tn_status move(pattern *p, const blocks *b)
{
    /* by channels in front or behind, then by rows or columns first */
    static const int64_t perms[2][2][6] = { { { 0, 3, 5, 1, 2, 4 }, { 0, 5, 3, 1, 2, 4 } },
                                            { { 0, 1, 3, 2, 4, 5 }, { 0, 1, 3, 4, 2, 5 } } };
    const tn_type *x = pattern_value(p, b->x)->type;
    const tn_attribute perm = { .size = sizeof perm,
                                .type = TN_ATTR_INTS,
                                .name = "perm",
                                .count = 6,
                                .ints = perms[b->channels == 3][b->columns_first] };
    int64_t wide[6], narrow[AXES] = { 0 };
    tn_value_id apart, turned, y;
    cut_shape(x, b, wide);
    for (int32_t a = 1; a < AXES; a++)
        narrow[a] = a == b->channels ? x->dims[a] * b->side * b->side : x->dims[a] / b->side;
    TN_TRY(add_reshape(p, b->x, wide, 6, &apart));
    TN_TRY(pattern_add(p, "Transpose", &apart, 1, &perm, 1, &turned));
    TN_TRY(add_reshape(p, turned, narrow, AXES, &y));
    return pattern_finish(p, y, turned);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    blocks b = { .x = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "SpaceToDepth") || !find(&p, &b) || !pattern_closed(&p))
        return pattern_miss(&p);
    if (b.channels != 1 || b.columns_first)
        return move(&p, &b);
    const tn_attribute size = {
        .size = sizeof size, .type = TN_ATTR_INT, .name = "blocksize", .i = b.side
    };
    return pattern_replace(&p, &b.x, 1, &size, 1);
}

tn_status recognize_space_to_depth_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Concat", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 62,
                                   .exactness = TN_EXACT,
                                   .name = "recognize_space_to_depth",
                                   .doc = "Every n-th row and column from each place on, "
                                          "joined, as one SpaceToDepth or Transpose.",
                                   .roots = roots,
                                   .match = match });
}
