/* plugins/recognition/attention_sides.c: Q, K and V of a written out attention: Transposes, factors and heads
 * that are repeated for a group are looked through. See recognize_attention.c.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

tn_node_id attention_factor(pattern *p, tn_value_id value, tn_value_id *of, double *factor)
{
    tn_node_id node = pattern_maker(p, value, "Mul");
    double number;
    const int product = node != TN_NONE;
    if (!product)
        node = pattern_maker(p, value, "Div");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    if (!view || view->input_count != 2)
        return TN_NONE;
    const int at = product && pattern_scalar(p, view->inputs[0], &number) ? 0 : 1;
    if (!pattern_scalar(p, view->inputs[at], &number))
        return TN_NONE;
    *of = view->inputs[!at];
    *factor = product ? *factor * number : *factor / number;
    return node;
}

int attention_turn(const tn_node_view *transpose, int32_t rank, side *s)
{
    const int64_t *perm;
    if (tn_attr_ints(transpose, "perm", &perm) != (size_t)rank)
        return 0;
    for (int32_t k = 0; k < rank; k++)
        s->perm[k] = (int32_t)perm[s->perm[k]];
    return 1;
}

/* The heads of a value, which has these extents, before each was repeated in its place: nodes are noted,
 * from the last on. */
static int read_group(const pattern *p, tn_value_id value, const tn_dim dims[4], side *s,
                      tn_node_id nodes[3])
{
    static const char *const ops[] = { "Reshape", "Expand", "Unsqueeze" };
    const tn_type *types[4] = { NULL };
    const int32_t heads = s->perm[1];
    for (int k = 0; k < 3; k++) {
        nodes[k] = pattern_maker(p, value, ops[k]);
        if (nodes[k] == TN_NONE)
            return 0;
        value = pattern_node(p, nodes[k])->inputs[0];
        types[k + 1] = pattern_value(p, value)->type;
    }
    const tn_type *spread = types[1], *few = types[3];
    if (few->rank != 4 || spread->rank != 5 || !tn_dim_known(few->dims[heads]) ||
        !tn_dim_known(spread->dims[heads + 1]) || !pattern_has_axis(types[2], few, heads + 1, 1) ||
        !pattern_has_axis(spread, few, heads + 1, spread->dims[heads + 1]))
        return 0;
    for (int32_t k = 0; k < 4; k++)
        if (k != heads && dims[k] != few->dims[k])
            return 0;
    s->source = value;
    s->group *= spread->dims[heads + 1];
    return 1;
}

/* The last two axes turned while samples and heads were one: Reshape, Transpose, Reshape. Nodes are noted,
 * from the last on; answers how many, the source is what all of them read. */
static uint32_t read_turned_flat(const pattern *p, side *s, tn_node_id nodes[5])
{
    static const char *const ops[] = { "Reshape", "Transpose", "Reshape" };
    const side before = *s;
    const tn_type *y = pattern_value(p, s->source)->type, *flat = NULL;
    tn_value_id value = s->source;
    const int64_t *perm;
    for (int k = 0; k < 3; k++) {
        nodes[k] = pattern_maker(p, value, ops[k]);
        if (nodes[k] == TN_NONE)
            return 0;
        flat = k == 2 ? pattern_value(p, value)->type : NULL;
        s->source = value;
        value = pattern_node(p, nodes[k])->inputs[0];
    }
    const tn_dim dims[4] = { y->dims[0], y->dims[1], y->dims[3], y->dims[2] };
    if (y->rank != 4 || flat->rank != 3 ||
        tn_attr_ints(pattern_node(p, nodes[1]), "perm", &perm) != 3 || perm[0] != 0 ||
        perm[1] != 2 || !pattern_same(flat->dims[1], dims[2]) ||
        !pattern_same(flat->dims[2], dims[3])) {
        *s = before;
        return 0;
    }
    for (int32_t k = 0; k < 4; k++)
        s->perm[k] = s->perm[k] < 2 ? s->perm[k] : 5 - s->perm[k];
    if (read_group(p, s->source, dims, s, nodes + 2))
        return 5;
    const tn_type *x = pattern_value(p, value)->type;
    for (int32_t k = 0; k < 4; k++)
        if (x->rank != 4 || !pattern_same(x->dims[k], dims[k])) {
            *s = before;
            return 0;
        }
    s->source = value;
    return 3;
}

int attention_pass(attention *a, tn_node_id node)
{
    if (a->passed_count == MOST_PASSED)
        return 0;
    a->passed[a->passed_count++] = node;
    return 1;
}

/* One step up from s->source: how many nodes, which are noted; 0: there is none. */
static uint32_t step_up(pattern *p, const attention *a, side *s, double *scale, tn_node_id nodes[5])
{
    nodes[0] = pattern_maker(p, s->source, "Transpose");
    if (nodes[0] != TN_NONE) {
        s->source = pattern_node(p, nodes[0])->inputs[0];
        return attention_turn(pattern_node(p, nodes[0]), a->rank, s);
    }
    if (scale && (nodes[0] = attention_factor(p, s->source, &s->source, scale)) != TN_NONE)
        return 1;
    const tn_type *type = pattern_value(p, s->source)->type;
    if (s == &a->sides[Q] || a->rank != 4 || type->rank != 4)
        return 0;
    return read_group(p, s->source, type->dims, s, nodes) ? 3 : read_turned_flat(p, s, nodes);
}

static int climb(pattern *p, attention *a, side *s, double *scale)
{
    tn_node_id nodes[5] = { TN_NONE }; /* more than gcc sees is written before it is read */
    const side before = *s;
    const uint32_t count = step_up(p, a, s, scale, nodes);
    uint32_t k = 0;
    while (k < count && attention_pass(a, nodes[k]))
        k++;
    if (count && k == count)
        return 1;
    *s = before;
    return 0;
}

void attention_side(pattern *p, attention *a, uint32_t which, tn_value_id value, double *scale)
{
    side *s = &a->sides[which];
    *s = (side){ .source = value, .perm = { 0, 1, 2, 3 }, .group = 1 };
    if (which == K) { /* the second operand has its rows last */
        s->perm[a->rank - 2] = a->rank - 1;
        s->perm[a->rank - 1] = a->rank - 2;
    }
    while (climb(p, a, s, scale))
        ;
}
