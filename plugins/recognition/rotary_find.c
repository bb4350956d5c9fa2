/* plugins/recognition/rotary_find.c: from the Neg or Sub of a rotary embedding to its end: halves of a value,
 * or its pairs, are multiplied, added and joined again; or from what changes them over, where no sign is turned
 * there. See recognize_rotary_embedding.c.
 *
 * SPDX-License-Identifier: MIT */
#include "rotary.h"

/* ---- up: which half of which value -------------------------------------------------------- */

typedef struct half {
    tn_value_id of;
    int which, interleaved;
    int kept; /* with the axis of pairs, as an extent of 1 */
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

/* One index of the axis of 2, which is still there with an extent of 1. */
static int read_kept(const pattern *p, const piece *c, half *h)
{
    tn_type y = *type_of(p, c->of);
    if (c->dropped || c->count != 1 || c->axis < y.rank - 2 || y.rank < 2)
        return 0;
    for (int32_t k = c->axis; k + 1 < y.rank; k++)
        y.dims[k] = y.dims[k + 1];
    y.rank--;
    h->kept = read_index(p, c, &y, h);
    return h->kept;
}

static int read_half(const pattern *p, tn_value_id value, half *h)
{
    piece c;
    *h = (half){ .of = TN_NONE };
    if (value == TN_NONE)
        return 0;
    const tn_type *type = type_of(p, value);
    if (pattern_piece(p, value, &c))
        return c.dropped ? read_index(p, &c, type, h) : read_kept(p, &c, h) || read_run(p, &c, h);
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
        rotary_pass(r, h->nodes[k]);
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

/* From turned(x) on: times sines, plus x times cosines. */
static int follow_sum(pattern *p, rotation *r)
{
    if (!has_shape_of_x(p, r))
        return 0;
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
        second.kept || !start(p, r, &second))
        return 0;
    const tn_value_id other = follow_join(p, r, 0);
    if (other == TN_NONE || !read_half(p, other, &first) || first.of != r->x || first.which != 0 ||
        first.interleaved != r->interleaved || !has_shape_of_x(p, r))
        return 0;
    pass_half(r, &first);
    return follow_sum(p, r);
}

/* Half `which` of a value, as part `which` of what a Concat joins; *negative: its sign is turned. */
static int read_part(pattern *p, tn_value_id value, int which, half *h, int *negative)
{
    tn_node_id up = TN_NONE, turned;
    double factor;
    if (!read_half(p, value, h)) {
        up = pattern_reshaper(p, value);
        value = up == TN_NONE ? value : pattern_node(p, up)->inputs[0];
        turned = pattern_maker(p, value, "Neg");
        if (turned == TN_NONE)
            turned = pattern_maker(p, value, "Mul");
        *negative = turned != TN_NONE;
        if (turned != TN_NONE) {
            const tn_node_view *view = pattern_node(p, turned);
            const int at = view->input_count == 2 && pattern_scalar(p, view->inputs[0], &factor);
            if (view->input_count == 2 &&
                (!pattern_scalar(p, view->inputs[1 - at], &factor) || factor != -1.0))
                return 0;
            value = view->inputs[at];
        }
        if (!read_half(p, value, h) || (turned != TN_NONE && !pattern_take(p, turned)) ||
            (up != TN_NONE && !pattern_take(p, up)))
            return 0;
    } else {
        *negative = 0;
    }
    const tn_type *type = type_of(p, up == TN_NONE ? value : pattern_node(p, up)->outputs[0]);
    return h->which == which &&
           (up == TN_NONE || h->kept ||
            pattern_has_axis(type, type_of(p, value),
                             h->interleaved ? type->rank - 1 : type->rank - 2, 1));
}

/* From a Concat on, where find_turned has no Neg to start at: the sign is turned by a factor of -1, or is in
 * the sines; or each half has an axis of its own. */
static int find_swapped(pattern *p, rotation *r)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const tn_type *type = type_of(p, view->outputs[0]);
    half second, first;
    int turned = 0, other = 0;
    if (view->input_count != 2 || type->rank < 3 ||
        !read_part(p, view->inputs[0], 1, &second, &turned) ||
        !read_part(p, view->inputs[1], 0, &first, &other) || other || second.of != first.of ||
        second.interleaved != first.interleaved || !start(p, r, &second))
        return 0;
    const int32_t axis = tn_axis(tn_attr_int(view, "axis", 0), type->rank);
    const tn_type *x = type_of(p, r->x);
    if (axis != type->rank - 1 - (type->rank > x->rank && !r->interleaved))
        return 0;
    pass_half(r, &first);
    r->signed_sines = !turned;
    if (type->rank > x->rank) {
        const tn_node_id flat = pattern_reader(p, p->y, "Reshape");
        if (flat == TN_NONE || !pattern_follow(p, flat))
            return 0;
    }
    return follow_sum(p, r);
}

/* Whether indices take the other one of each pair. */
static int swaps_pairs(const tn_tensor *indices, int64_t width, int interleaved)
{
    for (int64_t k = 0; k < tn_count(indices); k++) {
        const int64_t place = k % width, index = tn_get_int(indices->dtype, indices->data, k),
                      wanted = interleaved ? place ^ 1 : (place + width / 2) % width;
        if (index != wanted && index != wanted - width)
            return 0;
    }
    return 1;
}

/* From a Gather or GatherElements on that puts the other one of each pair in its place. */
static int find_gathered(pattern *p, rotation *r)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const tn_tensor *indices = pattern_constant(p, view->inputs[1]);
    const tn_type *x = type_of(p, view->inputs[0]);
    const int64_t width = last_extent(x);
    if (!indices || x->rank < 3 || !tn_dim_known(width) || width < 2 || width % 2 ||
        tn_axis(tn_attr_int(view, "axis", 0), x->rank) != x->rank - 1 || indices->rank < 1 ||
        indices->dims[indices->rank - 1] != width ||
        (pattern_is(p, p->root, "Gather") && indices->rank != 1))
        return 0;
    const half whole = { .of = view->inputs[0], .interleaved = swaps_pairs(indices, width, 1) };
    r->signed_sines = 1;
    return (whole.interleaved || swaps_pairs(indices, width, 0)) && start(p, r, &whole) &&
           follow_sum(p, r);
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
    tn_value_id other = rotary_scattered(p, r);
    if (other == TN_NONE)
        other = follow_join(p, r, 0);
    const tn_node_id sum = pattern_maker(p, other, "Add");
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
        rotary_pass(r, rest.node);
        rotary_pass(r, turned.node);
        return;
    }
    p->y = y;
    p->count = count;
}

int rotary_find(pattern *p, rotation *r)
{
    static const struct {
        const char *op;
        int (*find)(pattern *, rotation *);
    } ways[] = { { "Neg", find_turned },
                 { "Sub", find_pairs },
                 { "Concat", find_swapped },
                 { "Gather", find_gathered },
                 { "GatherElements", find_gathered } };
    int found = 0;
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++)
        found = found || (pattern_is(p, p->root, ways[k].op) && ways[k].find(p, r));
    if (!found)
        return 0;
    follow_rest(p, r);
    return 1;
}
