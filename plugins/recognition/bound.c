/* plugins/recognition/bound.c: how large the numbers of a value can get, by how it is made.
 *
 * For masks that are added to scores: one made of integers, comparisons and finite constants
 * is finite whatever is fed. A bound that the type cannot hold is none, since the sum may then have
 * become an infinity.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { DEEPEST = 16, MOST_ELEMENTS = 1 << 22 };

static double bound_of(pattern *p, tn_value_id value, int depth);

static double largest_of(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT64: return 0x1.fffffffffffffp+1023;
    case TN_FLOAT32: return 0x1.fffffep+127;
    case TN_BFLOAT16: return 0x1.fep+127;
    case TN_FLOAT16: return 65504.0;
    case TN_BOOL: return 1.0;
    default: break;
    }
    return TN_BIT(dtype) & TN_MASK_INTEGER ? ldexp(1.0, (int)tn_dtype_bits(dtype))
                                           : (double)INFINITY;
}

static double bound_of_constant(const tn_tensor *constant)
{
    double most = 0.0;
    if (constant->kind || tn_count(constant) > MOST_ELEMENTS)
        return INFINITY;
    for (int64_t k = 0; k < tn_count(constant); k++) {
        const double number = fabs(tn_get_double(constant->dtype, constant->data, k));
        if (isnan(number))
            return INFINITY;
        most = fmax(most, number);
    }
    return most;
}

/* What only moves elements, or drops some: those of input 0. */
static int moves(const pattern *p, tn_node_id node)
{
    static const char *const ops[] = { "Reshape",   "Unsqueeze", "Squeeze", "Expand", "Flatten",
                                       "Transpose", "Slice",     "Gather",  "Split",  "Identity",
                                       "Neg",       "Abs",       "Cast",    "Trilu",  "Tile" };
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        if (pattern_is(p, node, ops[k]))
            return 1;
    return 0;
}

static double bound_of_node(pattern *p, tn_node_id node, int depth)
{
    const tn_node_view *view = pattern_node(p, node);
    const tn_value_id *in = view->inputs;
    if (moves(p, node))
        return bound_of(p, in[0], depth);
    if (pattern_is(p, node, "Where"))
        return fmax(bound_of(p, in[1], depth), bound_of(p, in[2], depth));
    if (pattern_is(p, node, "Mul"))
        return bound_of(p, in[0], depth) * bound_of(p, in[1], depth);
    if (pattern_is(p, node, "Add") || pattern_is(p, node, "Sub"))
        return bound_of(p, in[0], depth) + bound_of(p, in[1], depth);
    return INFINITY;
}

static double bound_of(pattern *p, tn_value_id value, int depth)
{
    const tn_value_view *view = value == TN_NONE ? NULL : pattern_value(p, value);
    if (!view || depth > DEEPEST)
        return INFINITY;
    const double most = largest_of(view->type->dtype);
    double bound = INFINITY;
    if (view->constant && !view->is_input)
        bound = bound_of_constant(view->constant);
    else if (view->producer != TN_NONE)
        bound = bound_of_node(p, view->producer, depth + 1);
    if (bound <= most)
        return bound;
    /* integers wrap around, and stay what they are */
    return TN_BIT(view->type->dtype) & (TN_MASK_INTEGER | TN_BIT(TN_BOOL)) ? most
                                                                           : (double)INFINITY;
}

/* Whether each row of a constant has an element above minus infinity. */
static int rows_leave_one(const tn_tensor *mask)
{
    const int64_t count = mask->rank < 1 ? 1 : mask->dims[mask->rank - 1];
    for (int64_t row = 0; row < tn_count(mask); row += count) {
        int64_t k = 0;
        while (k < count && tn_get_double(mask->dtype, mask->data, row + k) == (double)-INFINITY)
            k++;
        if (k == count)
            return 0;
    }
    return 1;
}

int pattern_leaves_one(pattern *p, const tn_value_id *masks, uint32_t count)
{
    const tn_value_view *view = count ? pattern_value(p, masks[0]) : NULL;
    double sum = 0.0;
    if (count == 1 && view->constant && !view->is_input && !view->constant->kind &&
        tn_count(view->constant) <= MOST_ELEMENTS)
        return rows_leave_one(view->constant);
    for (uint32_t k = 0; k < count; k++)
        sum += bound_of(p, masks[k], 0);
    return !count || sum <= largest_of(view->type->dtype);
}
