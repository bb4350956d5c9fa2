/* plugins/recognition/recognize_rotary_embedding.c: rotary position embedding that was written out, as
 * one RotaryEmbedding (ONNX: RotaryEmbedding, 23; Su et al., arXiv:2104.09864).
 *
 *   x cos + turned(x) sin, turned(x) = (-second half, first half), as Hugging Face's models have it,
 *   or (first cos - second sin, first sin + second cos) joined,
 *
 * halves by Slice, Split, or an index into pairs; pairs that are neighbours (GPT-J) likewise, put
 * together again by Unsqueeze, Concat and Reshape. Where only the first elements of a head are turned
 * and a Concat puts the others behind them (GPT-NeoX), the node takes all of them.
 *
 * In the first form cos and sin are as wide as x: both numbers of a pair must be equal, which is seen
 * in a constant, or in how they are made. The node reads one of them. Rounds once where products were
 * rounded before they were added.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdlib.h>

enum { DEEPEST = 12, MOST_PASSED = 16 };
enum { MOST_WRITTEN = 1 << 22 }; /* numbers of a cache that is written out for each sample */

typedef struct rotation {
    tn_value_id x;
    int interleaved;
    int doubled;     /* cos and sin are as wide as x */
    int packed;      /* heads stand behind positions */
    int64_t width;   /* of what is turned, even */
    int64_t partial; /* of what is turned where that is not all of x; else 0 */
    tn_value_id
        joined; /* x with its heads side by side, as it was before they were split off; or TN_NONE */
    tn_value_id cosines, sines;
    uint32_t passed_count;
    tn_node_id passed[MOST_PASSED]; /* what cuts x: goes where nothing else reads it */
} rotation;

static const tn_type *type_of(const pattern *p, tn_value_id value)
{
    return pattern_value(p, value)->type;
}

static tn_dim last_extent(const tn_type *type)
{
    return type->rank > 0 ? type->dims[type->rank - 1] : TN_DIM_UNKNOWN;
}

static void pass(rotation *r, tn_node_id node)
{
    if (r->passed_count < MOST_PASSED)
        r->passed[r->passed_count++] = node;
}

/* ---- up: which half of which value -------------------------------------------------------- */

typedef struct half {
    tn_value_id of;
    int which, interleaved;
    tn_node_id nodes[3];
    uint32_t count;
} half;

/* A run of the last axis. */
static int read_run(const pattern *p, const piece *c, half *h)
{
    const tn_type *x = type_of(p, c->of);
    const tn_dim width = last_extent(x);
    if (c->axis != x->rank - 1 || !tn_dim_known(width) || width % 2 || 2 * c->count != width)
        return 0;
    h->of = c->of;
    h->interleaved = c->step == 2;
    h->which = c->begin != 0;
    h->nodes[h->count++] = c->node;
    return h->interleaved ? c->begin < 2 : c->step == 1 && c->begin % c->count == 0;
}

/* One index of the axis of 2 that a Reshape has made of the last one. */
static int read_index(const pattern *p, const piece *c, const tn_type *y, half *h)
{
    const tn_node_id split = pattern_reshaper(p, c->of);
    const tn_type *pairs = type_of(p, c->of);
    if (split == TN_NONE || c->count != 1 || c->axis < pairs->rank - 2 || pairs->rank < 2 ||
        pairs->dims[c->axis] != 2 || !pattern_has_axis(pairs, y, c->axis, 2))
        return 0;
    h->of = pattern_node(p, split)->inputs[0];
    const tn_type *x = type_of(p, h->of);
    if (x->rank != y->rank || !tn_dim_known(last_extent(y)) || last_extent(x) != 2 * last_extent(y))
        return 0;
    for (int32_t k = 0; k < x->rank - 1; k++)
        if (!pattern_same(x->dims[k], y->dims[k]))
            return 0;
    h->interleaved = c->axis == pairs->rank - 1;
    h->which = (int)c->begin;
    h->nodes[h->count++] = c->node;
    h->nodes[h->count++] = split;
    return 1;
}

static int read_half(const pattern *p, tn_value_id value, half *h)
{
    piece c;
    *h = (half){ .of = TN_NONE };
    if (value == TN_NONE)
        return 0;
    const tn_type *type = type_of(p, value);
    if (pattern_piece(p, value, &c))
        return c.dropped ? read_index(p, &c, type, h) : read_run(p, &c, h);
    const tn_node_id squeeze = pattern_reshaper(p, value);
    if (squeeze == TN_NONE || !pattern_piece(p, pattern_node(p, squeeze)->inputs[0], &c) ||
        c.dropped)
        return 0;
    h->nodes[h->count++] = squeeze;
    return pattern_has_axis(type_of(p, pattern_node(p, squeeze)->inputs[0]), type, c.axis, 1) &&
           read_index(p, &c, type, h);
}

static void pass_half(rotation *r, const half *h)
{
    for (uint32_t k = 0; k < h->count; k++)
        pass(r, h->nodes[k]);
}

/* Product of a half of x and something else. */
static tn_node_id read_product(const pattern *p, tn_value_id value, half *h, tn_value_id *factor)
{
    const tn_node_id node = pattern_maker(p, value, "Mul");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    for (uint32_t k = 0; view && k < 2; k++)
        if (read_half(p, view->inputs[k], h)) {
            *factor = view->inputs[1 - k];
            return node;
        }
    return TN_NONE;
}

/* ---- down: the halves are joined ---------------------------------------------------------- */

/* The input of a Concat along the last axis that goes with y, which is part `which`; its node taken. */
static tn_value_id follow_concat(pattern *p, tn_node_id concat, int which)
{
    const tn_node_view *view = pattern_node(p, concat);
    const tn_type *type = type_of(p, view->outputs[0]);
    if (view->input_count != 2 || view->inputs[which] != p->y || view->inputs[1 - which] == p->y ||
        type->rank < 1 || tn_axis(tn_attr_int(view, "axis", 0), type->rank) != type->rank - 1)
        return TN_NONE;
    return pattern_follow(p, concat) ? view->inputs[1 - which] : TN_NONE;
}

static tn_node_id reshaping_reader(pattern *p)
{
    tn_node_id reader = pattern_reader(p, p->y, "Unsqueeze");
    return reader != TN_NONE ? reader : pattern_reader(p, p->y, "Reshape");
}

/* y, part `which`, is laid beside another value, which is answered. */
static tn_value_id follow_join(pattern *p, const rotation *r, int which)
{
    const tn_type *narrow = type_of(p, p->y);
    if (!r->interleaved) {
        const tn_node_id concat = pattern_reader(p, p->y, "Concat");
        return concat == TN_NONE ? TN_NONE : follow_concat(p, concat, which);
    }
    const tn_node_id up = reshaping_reader(p);
    if (up == TN_NONE ||
        !pattern_has_axis(type_of(p, pattern_node(p, up)->outputs[0]), narrow, narrow->rank, 1) ||
        !pattern_follow(p, up))
        return TN_NONE;
    const tn_node_id concat = pattern_reader(p, p->y, "Concat");
    tn_value_id other = concat == TN_NONE ? TN_NONE : follow_concat(p, concat, which);
    const tn_node_id other_up = other == TN_NONE ? TN_NONE : pattern_reshaper(p, other);
    if (other_up == TN_NONE || !pattern_take(p, other_up))
        return TN_NONE;
    other = pattern_node(p, other_up)->inputs[0];
    const tn_node_id flat = pattern_reader(p, p->y, "Reshape");
    if (!pattern_has_axis(type_of(p, pattern_node(p, other_up)->outputs[0]), type_of(p, other),
                          narrow->rank, 1) ||
        flat == TN_NONE || !pattern_follow(p, flat))
        return TN_NONE;
    return other;
}

/* Whether y has x's shape again. */
static int has_shape_of_x(const pattern *p, const rotation *r)
{
    const tn_type *x = type_of(p, r->x), *y = type_of(p, p->y);
    for (int32_t k = 0; k < x->rank && x->rank == y->rank; k++)
        if (!pattern_same(x->dims[k], y->dims[k]))
            return 0;
    return x->rank == y->rank;
}

/* ---- the two forms ------------------------------------------------------------------------ */

static int start(pattern *p, rotation *r, const half *h)
{
    const tn_type *x = type_of(p, h->of);
    r->x = h->of;
    r->interleaved = h->interleaved;
    r->width = last_extent(x);
    pass_half(r, h);
    return r->width > 0 && (x->rank == 3 || x->rank == 4) &&
           (TN_BIT(x->dtype) & (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16)));
}

/* From the Neg on: turned(x) sin + x cos. */
static int find_turned(pattern *p, rotation *r)
{
    half second, first;
    if (!read_half(p, pattern_node(p, p->root)->inputs[0], &second) || second.which != 1 ||
        !start(p, r, &second))
        return 0;
    const tn_value_id other = follow_join(p, r, 0);
    if (other == TN_NONE || !read_half(p, other, &first) || first.of != r->x || first.which != 0 ||
        first.interleaved != r->interleaved || !has_shape_of_x(p, r))
        return 0;
    pass_half(r, &first);
    const tn_node_id product = pattern_reader(p, p->y, "Mul");
    r->sines = product == TN_NONE ? TN_NONE : pattern_other(p, product, p->y, NULL);
    if (r->sines == TN_NONE || !pattern_follow(p, product))
        return 0;
    const tn_node_id sum = pattern_reader(p, p->y, "Add");
    const tn_node_id straight = sum == TN_NONE
                                    ? TN_NONE
                                    : pattern_maker(p, pattern_other(p, sum, p->y, NULL), "Mul");
    r->cosines = straight == TN_NONE ? TN_NONE : pattern_other(p, straight, r->x, NULL);
    r->doubled = 1;
    if (r->cosines == TN_NONE)
        return sum != TN_NONE && pattern_refuse(p, "what is added is no product of what is turned");
    return pattern_take(p, straight) && pattern_follow(p, sum);
}

/* From the Sub on: (first cos - second sin, second cos + first sin). */
static int find_pairs(pattern *p, rotation *r)
{
    const tn_node_view *sub = pattern_node(p, p->root);
    half first, second, again[2];
    tn_value_id factors[2];
    const tn_node_id left = read_product(p, sub->inputs[0], &first, &r->cosines),
                     right = read_product(p, sub->inputs[1], &second, &r->sines);
    if (left == TN_NONE || right == TN_NONE || first.of != second.of || first.which != 0 ||
        second.which != 1 || first.interleaved != second.interleaved || !start(p, r, &first) ||
        !pattern_take(p, left) || !pattern_take(p, right))
        return 0;
    pass_half(r, &second);
    const tn_node_id sum = pattern_maker(p, follow_join(p, r, 0), "Add");
    if (sum == TN_NONE || !pattern_take(p, sum) || !has_shape_of_x(p, r))
        return 0;
    for (uint32_t k = 0; k < 2; k++) {
        const tn_node_id node = read_product(p, pattern_node(p, sum)->inputs[k], &again[k],
                                             &factors[k]);
        if (node == TN_NONE || again[k].of != r->x || again[k].interleaved != r->interleaved ||
            !pattern_take(p, node))
            return 0;
        pass_half(r, &again[k]);
    }
    for (uint32_t k = 0; k < 2; k++)
        if (factors[k] != (again[k].which ? r->cosines : r->sines))
            return pattern_refuse(p, "the second elements are turned by other angles");
    return again[0].which != again[1].which;
}

/* The first elements of a head are turned, a Concat puts the others behind them. */
static void follow_rest(pattern *p, rotation *r)
{
    const tn_value_id y = p->y;
    const uint32_t count = p->count;
    piece turned, rest;
    const tn_node_id concat = pattern_reader(p, y, "Concat");
    p->why[0] = 0; /* that it does not go on is fine */
    const tn_value_id other = concat == TN_NONE ? TN_NONE : follow_concat(p, concat, 0);
    if (other != TN_NONE && pattern_piece(p, r->x, &turned) && pattern_piece(p, other, &rest) &&
        turned.of == rest.of && turned.axis == rest.axis && !turned.dropped && !rest.dropped &&
        turned.axis == type_of(p, turned.of)->rank - 1 && turned.begin == 0 && turned.step == 1 &&
        rest.step == 1 && rest.begin == turned.count &&
        tn_dim_known(last_extent(type_of(p, rest.of))) &&
        rest.begin + rest.count == last_extent(type_of(p, rest.of))) {
        r->x = turned.of;
        r->partial = r->width;
        pass(r, rest.node);
        pass(r, turned.node);
        return;
    }
    p->y = y;
    p->count = count;
}

/* ---- cosines and sines -------------------------------------------------------------------- */

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

/* Extent of a value's axis where it is laid on a value of this rank. */
static tn_dim laid(const tn_type *type, int32_t axis, int32_t rank)
{
    const int32_t own = axis - (rank - type->rank);
    return own < 0 ? 1 : type->dims[own];
}

/* Whether angles follow the positions on axis `rows` of x, and are the same for all heads. */
static int follows(const pattern *p, const rotation *r, tn_value_id angles, int32_t rows)
{
    const tn_type *x = type_of(p, r->x), *a = type_of(p, angles);
    for (int32_t k = 1; k < x->rank - 1; k++)
        if (k == rows ? !pattern_same(laid(a, k, x->rank), x->dims[k]) : laid(a, k, x->rank) != 1)
            return 0;
    return laid(a, 0, x->rank) == 1 || pattern_same(laid(a, 0, x->rank), x->dims[0]);
}

static int angles_fit(pattern *p, rotation *r)
{
    const tn_value_id angles[] = { r->cosines, r->sines };
    const tn_type *x = type_of(p, r->x);
    for (uint32_t k = 0; k < 2; k++) {
        const tn_type *a = type_of(p, angles[k]);
        if (a->rank < 2 || a->rank > x->rank ||
            last_extent(a) != (r->doubled ? r->width : r->width / 2))
            return pattern_refuse(p, "%s are not one for each pair", k ? "sines" : "cosines");
        if (r->doubled && !is_paired(p, angles[k], r->width, r->interleaved, 0))
            return pattern_refuse(p, "%s are not known to be the same for both of a pair",
                                  k ? "sines" : "cosines");
    }
    for (int32_t k = 0; k < x->rank; k++)
        if (x->dims[k] == 0)
            return 0;
    r->packed = x->rank == 4 && !follows(p, r, angles[0], 2);
    const int32_t rows = x->rank == 4 && !r->packed ? 2 : 1;
    if (!follows(p, r, angles[0], rows) || !follows(p, r, angles[1], rows))
        return pattern_refuse(p, "angles do not follow the positions, or differ by head");
    if (r->packed && (!tn_dim_known(x->dims[2]) || !tn_dim_known(x->dims[3]) || !x->dims[2]))
        return pattern_refuse(p, "how many heads there are is not known");
    return 1;
}

/* ---- heads that were split off for this ---------------------------------------------------- */

static int is_ours(const pattern *p, const rotation *r, tn_node_id node)
{
    for (uint32_t k = 0; k < p->count; k++)
        if (p->nodes[k] == node)
            return 1;
    for (uint32_t k = 0; k < r->passed_count; k++)
        if (r->passed[k] == node)
            return 1;
    return 0;
}

static int only_we_read(const pattern *p, const rotation *r, tn_value_id value)
{
    tn_node_id reader;
    uint32_t input;
    for (uint32_t u = 0; p->ctx->api->use(p->ctx->graph, value, u, &reader, &input) == TN_OK; u++)
        if (!is_ours(p, r, reader))
            return 0;
    return !pattern_value(p, value)->output_count;
}

/* x by Reshape and Transpose of [batch, positions, heads * size]: the node takes that, and both stand
 * behind it, where attention takes them in. */
static void find_joined(const pattern *p, rotation *r)
{
    static const int64_t swapped[4] = { 0, 2, 1, 3 };
    const tn_node_id turn = pattern_maker(p, r->x, "Transpose");
    const tn_type *x = type_of(p, r->x);
    const int64_t *perm;
    r->joined = TN_NONE;
    if (turn == TN_NONE || x->rank != 4 || r->packed || !tn_dim_known(x->dims[1]) ||
        !tn_dim_known(x->dims[3]) || tn_attr_ints(pattern_node(p, turn), "perm", &perm) != 4 ||
        memcmp(perm, swapped, sizeof swapped) != 0)
        return;
    const tn_value_id apart = pattern_node(p, turn)->inputs[0];
    const tn_node_id split = pattern_maker(p, apart, "Reshape");
    const tn_value_id whole = split == TN_NONE ? TN_NONE : pattern_node(p, split)->inputs[0];
    const tn_type *w = whole == TN_NONE ? NULL : type_of(p, whole);
    if (!w || w->rank != 3 || !pattern_same(w->dims[0], x->dims[0]) ||
        !pattern_same(w->dims[1], x->dims[2]) || w->dims[2] != x->dims[1] * x->dims[3] ||
        !only_we_read(p, r, r->x) || pattern_value(p, apart)->use_count != 1)
        return;
    r->joined = whole;
    pass(r, turn);
    pass(r, split);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_with_integers(pattern *p, const char *op, tn_value_id x, const int64_t *values,
                                   int64_t count, tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(p, values, count, &inputs[1]));
    return pattern_add(p, op, inputs, 2, NULL, 0, out);
}

/* One number of each pair. */
static tn_status add_half(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    const int64_t numbers[4] = { 0, r->interleaved ? r->width : r->width / 2, -1,
                                 r->interleaved ? 2 : 1 };
    tn_value_id inputs[5] = { angles };
    if (!r->doubled) {
        *out = angles;
        return TN_OK;
    }
    for (uint32_t k = 0; k < 4; k++)
        TN_TRY(pattern_integers(p, &numbers[k], 1, &inputs[k + 1]));
    return pattern_add(p, "Slice", inputs, 5, NULL, 0, out);
}

/* [1 or batch, positions, half] of what has this rank; 0: it is that already. */
static tn_status add_rank(pattern *p, const rotation *r, int32_t rank, tn_value_id angles,
                          tn_value_id *out)
{
    const int64_t front = 0, heads = r->packed ? 2 : 1, shape[3] = { 1, -1, r->width / 2 };
    if (rank == 2)
        return add_with_integers(p, "Unsqueeze", angles, &front, 1, out);
    if (rank == 4)
        return add_with_integers(p, "Squeeze", angles, &heads, 1, out);
    if (rank == 3 && r->packed)
        return add_with_integers(p, "Reshape", angles, shape, 3, out);
    *out = angles;
    return TN_OK;
}

/* For each sample, where the same serve all. */
static tn_status add_batch(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    static const int64_t ones[2] = { 1, 1 };
    const tn_dim batch = type_of(p, r->x)->dims[0];
    const int64_t shape[3] = { batch, 1, 1 };
    const tn_attribute end = { .size = sizeof end, .type = TN_ATTR_INT, .name = "end", .i = 1 },
                       axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 0 };
    tn_value_id parts[2], inputs[2] = { angles };
    if (tn_dim_known(batch))
        return add_with_integers(p, "Expand", angles, shape, 3, out);
    const tn_value_id x = r->joined != TN_NONE ? r->joined : r->x;
    TN_TRY(pattern_add(p, "Shape", &x, 1, &end, 1, &parts[0]));
    TN_TRY(pattern_integers(p, ones, 2, &parts[1]));
    TN_TRY(pattern_add(p, "Concat", parts, 2, &axis, 1, &inputs[1]));
    return pattern_add(p, "Expand", inputs, 2, NULL, 0, out);
}

/* Past an axis of heads that was put in, as far as samples and positions stand alone behind it. */
static tn_value_id before_heads(const pattern *p, const rotation *r, tn_value_id angles)
{
    const tn_node_id node = pattern_reshaper(p, angles);
    const tn_type *wide = type_of(p, angles);
    if (node == TN_NONE || wide->rank != 4)
        return angles;
    const tn_value_id inner = pattern_node(p, node)->inputs[0];
    return pattern_has_axis(wide, type_of(p, inner), r->packed ? 2 : 1, 1) ? inner : angles;
}

/* Constant angles: the cache is written out, with a copy for each sample unless that is large. */
static tn_status write_cache(pattern *p, const rotation *r, const tn_tensor *from, int64_t copies,
                             tn_value_id *out)
{
    const int64_t half_width = r->width / 2, step = r->interleaved && r->doubled ? 2 : 1,
                  width = r->doubled ? r->width : half_width, rows = tn_count(from) / width;
    const size_t element = tn_dtype_bytes(from->dtype, 1);
    const tn_dim positions =
        type_of(p, r->x)->dims[type_of(p, r->x)->rank == 4 && !r->packed ? 2 : 1];
    const int64_t dims[3] = { copies * (rows / positions), positions, half_width };
    const size_t bytes = tn_dtype_bytes(from->dtype, copies * rows * half_width);
    char *data = malloc(bytes + 1), *to = data;
    if (!data)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for %zu bytes of angles", bytes);
    for (int64_t row = 0; row < copies * rows; row++)
        for (int64_t k = 0; k < half_width; k++, to += element)
            memcpy(to, (const char *)from->data + (size_t)(row % rows * width + step * k) * element,
                   element);
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = from->dtype,
                               .rank = 3,
                               .dims = dims,
                               .data = data,
                               .bytes = bytes };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    const tn_status status = p->ctx->api->add_constant(p->ctx->graph, &desc, out);
    free(data);
    return status;
}

static tn_status add_cache(pattern *p, const rotation *r, tn_value_id angles, tn_value_id *out)
{
    const tn_type *x = type_of(p, r->x);
    const int shared = laid(type_of(p, angles), 0, x->rank) == 1 && x->dims[0] != 1;
    const tn_tensor *constant = pattern_constant(p, angles);
    const tn_value_id inner = before_heads(p, r, angles);
    const int32_t rank = inner == angles ? type_of(p, angles)->rank : 0;
    tn_value_id halves;
    if (constant) {
        const tn_dim copies = shared && tn_dim_known(x->dims[0]) ? x->dims[0] : 1;
        const int few = copies > 0 && tn_count(constant) < MOST_WRITTEN / copies;
        TN_TRY(write_cache(p, r, constant, few ? copies : 1, out));
        return shared && !(few && copies > 1) ? add_batch(p, r, *out, out) : TN_OK;
    }
    TN_TRY(add_half(p, r, inner, &halves));
    TN_TRY(add_rank(p, r, rank, halves, out));
    return shared ? add_batch(p, r, *out, out) : TN_OK;
}

static uint32_t describe(const pattern *p, const rotation *r, tn_attribute *out)
{
    const tn_type *x = type_of(p, r->x);
    uint32_t count = 0;
    const struct {
        const char *name;
        int64_t value, absent;
    } all[] = { { "interleaved", r->interleaved, 0 },
                { "num_heads",
                  r->packed              ? x->dims[2]
                  : r->joined != TN_NONE ? x->dims[1]
                                         : x->rank == 3,
                  0 },
                { "rotary_embedding_dim", r->partial, 0 } };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k].value != all[k].absent)
            out[count++] = (tn_attribute){
                .size = sizeof *out, .type = TN_ATTR_INT, .name = all[k].name, .i = all[k].value
            };
    return count;
}

/* What the node reads: heads side by side where they do not stand in front. */
static tn_status add_input(pattern *p, const rotation *r, tn_value_id *out)
{
    const tn_type *x = type_of(p, r->x);
    const int64_t packed[3] = { 0, 0, r->packed ? x->dims[2] * x->dims[3] : 0 };
    *out = r->joined != TN_NONE ? r->joined : r->x;
    return r->packed ? add_with_integers(p, "Reshape", r->x, packed, 3, out) : TN_OK;
}

/* And what it makes, as x was. */
static tn_status add_output(pattern *p, const rotation *r, tn_value_id y, tn_value_id *out)
{
    static const int64_t swapped[4] = { 0, 2, 1, 3 };
    const tn_type *x = type_of(p, r->x);
    const int front = r->joined != TN_NONE;
    const int64_t apart[4] = { 0, 0, x->dims[front ? 1 : 2], x->dims[3] };
    const tn_attribute perm = {
        .size = sizeof perm, .type = TN_ATTR_INTS, .name = "perm", .ints = swapped, .count = 4
    };
    *out = y;
    if (!front && !r->packed)
        return TN_OK;
    TN_TRY(add_with_integers(p, "Reshape", y, apart, 4, out));
    return front ? pattern_add(p, "Transpose", out, 1, &perm, 1, out) : TN_OK;
}

static tn_status rewrite(pattern *p, rotation *r)
{
    tn_attribute attributes[3];
    tn_value_id inputs[3], y, out;
    const uint32_t count = describe(p, r, attributes);
    TN_TRY(add_cache(p, r, r->cosines, &inputs[1]));
    TN_TRY(add_cache(p, r, r->sines, &inputs[2]));
    TN_TRY(add_input(p, r, &inputs[0]));
    TN_TRY(pattern_add(p, p->wanted, inputs, 3, attributes, count, &y));
    TN_TRY(add_output(p, r, y, &out));
    for (uint32_t k = 0; k < r->passed_count; k++)
        pattern_absorb(p, r->passed[k]);
    return pattern_finish(p, out, y);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    rotation r = { .x = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "RotaryEmbedding"))
        return TN_NO_MATCH;
    if (!(pattern_is(&p, node, "Neg") ? find_turned(&p, &r) : find_pairs(&p, &r)))
        return pattern_miss(&p);
    follow_rest(&p, &r);
    if (!angles_fit(&p, &r) || !pattern_closed(&p))
        return pattern_miss(&p);
    find_joined(&p, &r);
    return rewrite(&p, &r);
}

tn_status recognize_rotary_embedding_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Neg", "Sub", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 34,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "recognize_rotary_embedding",
                                   .doc = "Pairs of elements turned by angles, written out with "
                                          "halves or neighbours, as one RotaryEmbedding.",
                                   .roots = roots,
                                   .match = match,
                                   .makes = "RotaryEmbedding" });
}
