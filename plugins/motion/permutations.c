/* plugins/motion/permutations.c: how turns follow each other, and how they change with the axes of a value.
 *
 * SPDX-License-Identifier: MIT */
#include "turn.h"

int turn_equal(const turn *a, const turn *b)
{
    return a->rank == b->rank && memcmp(a->axes, b->axes, (size_t)a->rank) == 0;
}

int turn_is_identity(const turn *t)
{
    for (int32_t a = 0; a < t->rank; a++)
        if (t->axes[a] != a)
            return 0;
    return 1;
}

turn turn_inverse(const turn *t)
{
    turn out = { .rank = t->rank };
    for (int32_t a = 0; a < t->rank; a++)
        out.axes[t->axes[a]] = (uint8_t)a;
    return out;
}

turn turn_then(const turn *first, const turn *second)
{
    turn out = { .rank = first->rank };
    for (int32_t a = 0; a < first->rank; a++)
        out.axes[a] = first->axes[second->axes[a]];
    return out;
}

int turn_read(tn_rewrite *ctx, const tn_node_view *view, turn *out)
{
    const int64_t *perm;
    const size_t count = tn_attr_ints(view, "perm", &perm);
    const int32_t rank = motion_input(view, 0) == TN_NONE ? -1
                                                          : motion_type(ctx, view->inputs[0])->rank;
    *out = (turn){ .rank = rank };
    if (rank < 0 || rank > TN_MAX_RANK || (count && count != (size_t)rank))
        return 0;
    for (int32_t a = 0; a < TN_MAX_RANK; a++) /* to the end: gcc 12 misreads a bound of rank */
        out->axes[a] = (uint8_t)(a >= rank ? 0 : count ? perm[a] : rank - 1 - a);
    return 1;
}

turn turn_without(const turn *t, uint32_t gone)
{
    turn out = { 0 };
    uint32_t turned_gone = 0;
    for (int32_t a = 0; a < t->rank; a++)
        turned_gone |= (gone >> a & 1) << t->axes[a];
    for (int32_t a = 0; a < t->rank; a++)
        if (!(gone >> a & 1)) {
            uint8_t before = 0;
            for (uint8_t b = 0; b < t->axes[a]; b++)
                before = (uint8_t)(before + !(turned_gone >> b & 1));
            out.axes[out.rank++] = before;
        }
    return out;
}

turn turn_with(const turn *t, uint32_t added, int32_t rank)
{
    uint8_t place[TN_MAX_RANK];
    int32_t old = 0;
    turn out = { .rank = rank };
    for (int32_t a = 0; a < rank; a++)
        if (!(added >> a & 1))
            place[old++] = (uint8_t)a;
    old = 0;
    for (int32_t a = 0; a < rank; a++)
        out.axes[a] = added >> a & 1 ? (uint8_t)a : place[t->axes[old++]];
    return out;
}
