/* plugins/recognition/rotary_scatter.c: pairs that are written into a value, as exporters write
 * out[..., ::2] = first; out[..., 1::2] = second.
 *
 * Two ScatterND with constant indices (ONNX: ScatterND, 18). Either each index names a place, or, with the last
 * axis turned to the front and back again behind, an entry of that axis.
 *
 * SPDX-License-Identifier: MIT */
#include "rotary.h"

/* The place on the last axis of number `k` of half `which`. */
static int64_t place_of(const rotation *r, int which, int64_t k)
{
    return r->interleaved ? 2 * k + which : which * (r->width / 2) + k;
}

/* Whether indices name each place of a half once, in order: coordinates of all axes of x, the last one
 * changing fastest. */
static int names_places(const pattern *p, const rotation *r, const tn_tensor *indices, int which)
{
    const tn_type *x = type_of(p, r->x);
    const int64_t half = r->width / 2, rank = x->rank;
    if (indices->rank != rank + 1 || indices->dims[rank] != rank || indices->dims[rank - 1] != half)
        return 0;
    for (int32_t a = 0; a < rank - 1; a++)
        if (!pattern_same(x->dims[a], indices->dims[a]))
            return 0;
    for (int64_t k = 0; k < tn_count(indices) / rank; k++) {
        int64_t rest = k / half;
        if (tn_get_int(TN_INT64, indices->data, k * rank + rank - 1) !=
            place_of(r, which, k % half))
            return 0;
        for (int32_t a = x->rank - 2; a >= 0; rest /= x->dims[a], a--)
            if (tn_get_int(TN_INT64, indices->data, k * rank + a) != rest % x->dims[a])
                return 0;
    }
    return 1;
}

/* Whether they name the entries of an axis that belong to a half. */
static int names_entries(const rotation *r, const tn_tensor *indices, int which)
{
    if (indices->rank != 2 || indices->dims[0] != r->width / 2 || indices->dims[1] != 1)
        return 0;
    for (int64_t k = 0; k < indices->dims[0]; k++)
        if (tn_get_int(TN_INT64, indices->data, k) != place_of(r, which, k))
            return 0;
    return 1;
}

/* The permutation of a Transpose that has the last axis in front; NULL: it has not. */
static const int64_t *last_first(const pattern *p, tn_node_id node, int32_t rank)
{
    const int64_t *perm;
    return node != TN_NONE && tn_attr_ints(pattern_node(p, node), "perm", &perm) == (size_t)rank &&
                   perm[0] == rank - 1
               ? perm
               : NULL;
}

/* The ScatterND that alone reads y, as input `input`, and writes a half; it is taken. */
static tn_node_id follow_scatter(pattern *p, const rotation *r, uint32_t input, int which,
                                 int by_entry)
{
    const tn_node_id node = pattern_reader(p, p->y, "ScatterND");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    const tn_tensor *indices = view ? pattern_constant(p, view->inputs[1]) : NULL;
    p->why[0] = 0; /* another way of joining them is tried */
    if (!indices || indices->dtype != TN_INT64 || view->inputs[input] != p->y ||
        strcmp(tn_attr_string(view, "reduction", "none"), "none") != 0 ||
        !(by_entry ? names_entries(r, indices, which) : names_places(p, r, indices, which)))
        return TN_NONE;
    return pattern_follow(p, node) ? node : TN_NONE;
}

/* The Transpose that y goes through first, if it has the last axis in front. */
static const int64_t *follow_turn(pattern *p, int32_t rank)
{
    const tn_node_id turn = pattern_reader(p, p->y, "Transpose");
    const int64_t *perm = last_first(p, turn, rank);
    p->why[0] = 0;
    return perm && pattern_follow(p, turn) ? perm : NULL;
}

/* And the one that turns it back. */
static int follow_back(pattern *p, const int64_t *perm, int32_t rank)
{
    const tn_node_id turn = pattern_reader(p, p->y, "Transpose");
    const int64_t *back;
    if (turn == TN_NONE || tn_attr_ints(pattern_node(p, turn), "perm", &back) != (size_t)rank)
        return 0;
    for (int32_t a = 0; a < rank; a++)
        if (perm[back[a]] != a)
            return 0;
    return pattern_follow(p, turn);
}

/* What a Transpose like `perm` reads. */
static tn_value_id before_turn(pattern *p, tn_value_id value, const int64_t *perm, int32_t rank)
{
    const tn_node_id turn = pattern_maker(p, value, "Transpose");
    const int64_t *other = last_first(p, turn, rank);
    return other && memcmp(other, perm, (size_t)rank * sizeof *perm) == 0 && pattern_take(p, turn)
               ? pattern_node(p, turn)->inputs[0]
               : TN_NONE;
}

tn_value_id rotary_scattered(pattern *p, const rotation *r)
{
    const tn_value_id start = p->y;
    const uint32_t count = p->count;
    const int32_t rank = type_of(p, r->x)->rank;
    const int64_t *perm = follow_turn(p, rank);
    const tn_node_id first = follow_scatter(p, r, 2, 0, perm != NULL),
                     second = first == TN_NONE ? TN_NONE : follow_scatter(p, r, 0, 1, perm != NULL);
    if (second != TN_NONE && (!perm || follow_back(p, perm, rank))) {
        const tn_value_id other = pattern_node(p, second)->inputs[2];
        return perm ? before_turn(p, other, perm, rank) : other;
    }
    p->y = start;
    p->count = count;
    return TN_NONE;
}
