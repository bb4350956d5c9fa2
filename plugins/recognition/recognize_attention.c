/* plugins/recognition/recognize_attention.c: scaled dot-product attention that was written out, as one
 * Attention (ONNX: Attention, 23; Vaswani et al., arXiv:1706.03762).
 *
 *   MatMul(Softmax(scale * MatMul(Q, K^T) + mask), V)
 *
 * The scale may stand on Q, on K, on the scores, or in parts on all of them. Transposes of Q, K and V
 * are looked through: where all of them only split the heads off, and a Transpose of the answer puts
 * them together again, the node works on [batch, rows, heads * width] and all Transposes go. Without
 * a batch in front ([rows, heads, width], as a sequence-first model with one sample has it) likewise.
 * Keys and values that are repeated for a group of query heads (Unsqueeze, Expand, Reshape) are taken
 * as they are before. K may have been turned with samples and heads as one axis (Reshape, Transpose,
 * Reshape). Several masks are added up, and chosen from, before the node.
 *
 * Two passes. recognize_attention rounds: sums and products of the scale in another order. It wants
 * to know that no mask hides all keys of a query, since Softmax makes NaN of that and Attention 0:
 * there is no mask; or its numbers are bounded by how it is made; or it is constant.
 * recognize_masked_attention, approximate, takes any mask, and scores replaced by Where, too, where a
 * NaN in a hidden place was dropped and spreads in Attention, which adds. And NaN behind Softmax that are
 * made 0, as PyTorch's exporter does for masks that hide all of a row.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

/* ---- up: scores --------------------------------------------------------------------------- */

/* The product behind factors; all are taken. */
static tn_node_id read_scores(pattern *p, tn_value_id value, double *scale)
{
    const uint32_t count = p->count;
    const double before = *scale;
    for (;;) {
        tn_node_id node = pattern_maker(p, value, "MatMul");
        if (node != TN_NONE && pattern_take(p, node))
            return node;
        node = attention_factor(p, value, &value, scale);
        if (node == TN_NONE || !pattern_take(p, node))
            break;
    }
    p->count = count;
    *scale = before;
    return TN_NONE;
}

/* The product behind sums with masks and factors; all are taken. */
static tn_node_id read_masked(pattern *p, attention *a, tn_value_id value, int depth)
{
    const uint32_t count = p->count, masks = a->mask_count;
    const tn_node_id sum = pattern_maker(p, value, "Add");
    if (sum == TN_NONE || depth == MOST_MASKS)
        return sum == TN_NONE ? read_scores(p, value, &a->scale) : TN_NONE;
    for (int deep = 0; deep < 2; deep++) /* a mask may be a sum, too: scores first */
        for (uint32_t k = 0; k < 2; k++) {
            const tn_value_id inner = pattern_node(p, sum)->inputs[k];
            const tn_node_id product = deep ? read_masked(p, a, inner, depth + 1)
                                            : read_scores(p, inner, &a->scale);
            if (product != TN_NONE && a->mask_count < MOST_MASKS && pattern_take(p, sum)) {
                a->masks[a->mask_count++] = pattern_node(p, sum)->inputs[1 - k];
                return product;
            }
            p->count = count;
            a->mask_count = masks;
        }
    return TN_NONE;
}

/* Where(mask, scores, far below) or the other way round. */
static tn_node_id read_chosen(pattern *p, attention *a, tn_node_id choice)
{
    const tn_node_view *view = pattern_node(p, choice);
    for (uint32_t k = 1; k < 3; k++) {
        double fill;
        if (!pattern_scalar(p, view->inputs[k], &fill) || fill > -1e4)
            continue;
        a->chosen = view->inputs[0];
        a->fill = view->inputs[k];
        a->negated = k == 1;
        return pattern_take(p, choice) ? read_masked(p, a, view->inputs[3 - k], 0) : TN_NONE;
    }
    return TN_NONE;
}

/* The product Q K^T under Softmax. */
static tn_node_id find_scores(pattern *p, attention *a)
{
    const tn_value_id value = pattern_node(p, p->root)->inputs[0];
    const tn_node_id choice = pattern_maker(p, value, "Where");
    return choice != TN_NONE ? read_chosen(p, a, choice) : read_masked(p, a, value, 0);
}

/* ---- extents ------------------------------------------------------------------------------ */

static tn_dim extent(const pattern *p, const side *s, int32_t axis)
{
    return pattern_value(p, s->source)->type->dims[s->perm[axis]];
}

static int heads_fit(const pattern *p, const attention *a)
{
    const side *s = a->sides;
    const int32_t heads = a->rank - 3;
    const tn_dim own = extent(p, &s[K], heads);
    if (s[K].group != s[V].group || !pattern_same(own, extent(p, &s[V], heads)))
        return 0;
    if (s[K].group == 1)
        return pattern_same(own, extent(p, &s[Q], heads));
    return tn_dim_known(own) && extent(p, &s[Q], heads) == own * s[K].group;
}

/* MatMul repeats samples and heads of extent 1, Attention does not. */
static int sides_fit(pattern *p, const attention *a)
{
    const tn_type *const *types = (const tn_type *const[]){
        pattern_value(p, a->sides[Q].source)->type, pattern_value(p, a->sides[K].source)->type,
        pattern_value(p, a->sides[V].source)->type
    };
    for (uint32_t k = 0; k < SIDES; k++)
        if (types[k]->rank != a->rank || types[k]->dtype != types[0]->dtype)
            return pattern_refuse(p, "Q, K and V differ in rank or type");
    if (!heads_fit(p, a) ||
        (a->rank == 4 && (!pattern_same(extent(p, &a->sides[Q], 0), extent(p, &a->sides[K], 0)) ||
                          !pattern_same(extent(p, &a->sides[Q], 0), extent(p, &a->sides[V], 0)))))
        return pattern_refuse(p, "samples and heads of Q, K and V are not known to be the same");
    return 1;
}

/* *keys: whether it has one number for each key. */
static int mask_fits(pattern *p, const attention *a, tn_value_id value, int *keys)
{
    const tn_type *scores = pattern_value(p, pattern_node(p, p->root)->inputs[0])->type,
                  *mask = pattern_value(p, value)->type;
    const int32_t first = scores->rank - mask->rank;
    if (scores->rank != a->rank || mask->rank < 0 || first < 0)
        return pattern_refuse(p, "the mask is not known to have every key");
    for (int32_t k = 0; k < mask->rank - 1; k++)
        if (mask->dims[k] != 1 && !pattern_same(mask->dims[k], scores->dims[first + k]))
            return pattern_refuse(p, "the mask's axis %d does not fit", (int)k);
    if (a->rank == 3 && !a->packed && mask->rank == 3 && mask->dims[0] != 1)
        return pattern_refuse(p, "the mask differs by sample, and there is no axis of heads");
    const int all = mask->rank > 0 &&
                    pattern_same(mask->dims[mask->rank - 1], scores->dims[a->rank - 1]);
    *keys = *keys || all;
    return all || mask->rank == 0 || mask->dims[mask->rank - 1] == 1 ||
           pattern_refuse(p, "the mask is not known to have every key");
}

static int masks_fit(pattern *p, const attention *a)
{
    int keys = !a->mask_count && a->chosen == TN_NONE;
    for (uint32_t k = 0; k < a->mask_count; k++)
        if (!mask_fits(p, a, a->masks[k], &keys))
            return 0;
    if (a->chosen != TN_NONE && !mask_fits(p, a, a->chosen, &keys))
        return 0;
    return keys || pattern_refuse(p, "the mask is not known to have every key");
}

static int masks_are_known(pattern *p, const attention *a)
{
    if (a->any_mask)
        return 1;
    if (a->guarded)
        return pattern_refuse(p, "a NaN behind Softmax becomes 0 (recognize_masked_attention)");
    if (a->chosen != TN_NONE)
        return pattern_refuse(p, "Where drops a NaN that Attention spreads "
                                 "(recognize_masked_attention)");
    return pattern_leaves_one(p, a->masks, a->mask_count) ||
           pattern_refuse(p, "the mask may hide every key of a query: NaN becomes 0 "
                             "(recognize_masked_attention)");
}

/* ---- down --------------------------------------------------------------------------------- */

/* Whether heads and rows are swapped, and nothing else. */
static int swaps(const int32_t *perm, int32_t rank)
{
    for (int32_t k = 0; k < rank; k++)
        if (perm[k] != (k == rank - 3 ? rank - 2 : k == rank - 2 ? rank - 3 : k))
            return 0;
    return 1;
}

/* The Transpose that alone reads y, if it swaps heads and rows. */
static tn_node_id find_turn_back(pattern *p, int32_t rank)
{
    const tn_node_id reader = pattern_reader(p, p->y, "Transpose");
    side s = { .perm = { 0, 1, 2, 3 } };
    p->why[0] = 0; /* that it does not go on is fine */
    return reader != TN_NONE && attention_turn(pattern_node(p, reader), rank, &s) &&
                   swaps(s.perm, rank)
               ? reader
               : TN_NONE;
}

/* Whether a value is [batch, rows, heads * width], as `s` is [batch, rows, heads, width]. */
static int is_joined(const pattern *p, tn_value_id value, tn_value_id split)
{
    const tn_type *type = pattern_value(p, value)->type, *s = pattern_value(p, split)->type;
    return type->rank == 3 && s->rank == 4 && pattern_same(type->dims[0], s->dims[0]) &&
           pattern_same(type->dims[1], s->dims[1]) && type->dims[2] == s->dims[2] * s->dims[3];
}

static int is_packable(const pattern *p, const attention *a)
{
    const int32_t heads = a->rank - 3;
    for (uint32_t k = 0; k < SIDES; k++)
        if (!swaps(a->sides[k].perm, a->rank) || !tn_dim_known(extent(p, &a->sides[k], heads)) ||
            !tn_dim_known(extent(p, &a->sides[k], a->rank - 1)) ||
            !extent(p, &a->sides[k], heads) || !extent(p, &a->sides[k], a->rank - 1))
            return 0;
    return 1;
}

/* Takes what puts the heads together again, if the node can do that. */
static int follow_joining(pattern *p, attention *a)
{
    const tn_node_id back = is_packable(p, a) ? find_turn_back(p, a->rank) : TN_NONE;
    if (back == TN_NONE)
        return 1;
    a->packed = 1;
    if (!pattern_follow(p, back))
        return 0;
    const tn_node_id join = pattern_reader(p, p->y, "Reshape");
    p->why[0] = 0;
    a->joined = join != TN_NONE && is_joined(p, pattern_node(p, join)->outputs[0], p->y);
    return !a->joined || pattern_follow(p, join);
}

/* Where(IsNaN(y), 0, y), if that is what reads y: its end is y then. */
static int follow_guard(pattern *p, attention *a)
{
    tn_node_id reader, guard = TN_NONE, choice = TN_NONE;
    uint32_t input;
    double zero;
    for (uint32_t k = 0; p->ctx->api->use(p->ctx->graph, p->y, k, &reader, &input) == TN_OK; k++) {
        guard = pattern_is(p, reader, "IsNaN") ? reader : guard;
        choice = pattern_is(p, reader, "Where") && input == 2 ? reader : choice;
    }
    if (guard == TN_NONE || choice == TN_NONE)
        return 1;
    const tn_node_view *view = pattern_node(p, choice);
    if (pattern_node(p, guard)->region != p->region || view->region != p->region ||
        view->inputs[0] != pattern_node(p, guard)->outputs[0] ||
        !pattern_scalar(p, view->inputs[1], &zero) || zero != 0.0)
        return 0;
    a->guarded = 1;
    return pattern_take(p, guard) && pattern_follow(p, choice);
}

static int find(pattern *p, attention *a)
{
    const tn_node_view *softmax = pattern_node(p, p->root);
    const tn_type *type = pattern_value(p, softmax->inputs[0])->type;
    const int64_t axis = tn_attr_int(softmax, "axis", -1);
    if (!follow_guard(p, a))
        return 0;
    const tn_node_id mix = pattern_reader(p, p->y, "MatMul");
    if (mix == TN_NONE || pattern_node(p, mix)->inputs[0] != p->y ||
        pattern_node(p, mix)->inputs[1] == p->y)
        return 0;
    const tn_node_id product = find_scores(p, a);
    if (product == TN_NONE || type->rank < 3 || type->rank > 4 || softmax->version < 13 ||
        !(TN_BIT(type->dtype) & TN_MASK_FLOAT))
        return 0;
    if (tn_axis(axis, type->rank) != type->rank - 1)
        return pattern_refuse(p, "Softmax is not over the keys");
    a->rank = type->rank;
    attention_side(p, a, Q, pattern_node(p, product)->inputs[0], &a->scale);
    attention_side(p, a, K, pattern_node(p, product)->inputs[1], &a->scale);
    attention_side(p, a, V, pattern_node(p, mix)->inputs[1], NULL);
    p->why[0] = 0;
    if (!sides_fit(p, a) || !pattern_follow(p, mix) || !follow_joining(p, a))
        return 0;
    if (p->scalar_rank > a->rank)
        return pattern_refuse(p, "a factor of rank %d raises the rank", (int)p->scalar_rank);
    if (!(a->scale > 0.0))
        return pattern_refuse(p, "the scale is %g", a->scale);
    if (!pattern_closed(p))
        return 0;
    return masks_fit(p, a) && masks_are_known(p, a);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status add_reshape(pattern *p, tn_value_id x, const int64_t *shape, int64_t count,
                             tn_value_id *out)
{
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(p, shape, count, &inputs[1]));
    return pattern_add(p, "Reshape", inputs, 2, NULL, 0, out);
}

/* [batch, rows, heads, width] or [rows, heads, width] with the heads side by side. */
static tn_status pack(pattern *p, attention *a, const side *s, tn_value_id *out)
{
    const tn_type *type = pattern_value(p, s->source)->type;
    const int64_t hidden = type->dims[a->rank - 2] * type->dims[a->rank - 1];
    const int64_t shapes[2][3] = { { 1, -1, hidden }, { 0, 0, hidden } };
    const tn_node_id split = pattern_maker(p, s->source, "Reshape");
    *out = split == TN_NONE ? TN_NONE : pattern_node(p, split)->inputs[0];
    if (*out != TN_NONE && is_joined(p, *out, s->source) && attention_pass(a, split))
        return TN_OK;
    return add_reshape(p, s->source, shapes[a->rank - 3], 3, out);
}

static tn_status bring_heads_forward(pattern *p, const attention *a, const side *s,
                                     tn_value_id *out)
{
    int64_t perm[4];
    const tn_attribute attribute = { .size = sizeof attribute,
                                     .type = TN_ATTR_INTS,
                                     .name = "perm",
                                     .ints = perm,
                                     .count = (size_t)a->rank };
    int turned = 0;
    for (int32_t k = 0; k < a->rank; k++) {
        perm[k] = s->perm[k];
        turned = turned || perm[k] != k;
    }
    *out = s->source;
    return turned ? pattern_add(p, "Transpose", &s->source, 1, &attribute, 1, out) : TN_OK;
}

/* Attributes of the node; answers how many. */
static uint32_t describe(const pattern *p, const attention *a, tn_attribute *out)
{
    const side *s = a->sides;
    const uint32_t dtype = pattern_value(p, s[Q].source)->type->dtype;
    const tn_dim width = extent(p, &s[Q], a->rank - 1);
    const int usual = tn_dim_known(width) &&
                      pattern_near(dtype, a->scale, 1.0 / sqrt((double)width));
    uint32_t count = 0;
    if (a->packed || a->rank == 3) {
        out[count++] = (tn_attribute){ .size = sizeof *out,
                                       .type = TN_ATTR_INT,
                                       .name = "q_num_heads",
                                       .i = a->packed ? extent(p, &s[Q], a->rank - 3) : 1 };
        out[count++] = (tn_attribute){ .size = sizeof *out,
                                       .type = TN_ATTR_INT,
                                       .name = "kv_num_heads",
                                       .i = a->packed ? extent(p, &s[K], a->rank - 3) : 1 };
    }
    if (!usual)
        out[count++] = (tn_attribute){ .size = sizeof *out,
                                       .type = TN_ATTR_FLOAT,
                                       .name = "scale",
                                       .f = (double)(float)a->scale };
    return count;
}

/* What read the written out form reads y again, with the heads apart where it wants them so. */
static tn_status finish(pattern *p, const attention *a, tn_value_id y)
{
    const side *s = a->sides;
    tn_value_id apart = y;
    if (a->packed && !a->joined) {
        const int64_t heads = extent(p, &s[Q], a->rank - 3), width = extent(p, &s[V], a->rank - 1);
        const int64_t shape[4] = { 0, a->rank == 4 ? 0 : -1, heads, width };
        TN_TRY(add_reshape(p, y, shape + 4 - a->rank, a->rank, &apart));
    }
    for (uint32_t k = 0; k < a->passed_count; k++)
        pattern_absorb(p, a->passed[k]);
    return pattern_finish(p, apart, y);
}

/* One mask of all: their sum, chosen from. */
static tn_status add_mask(pattern *p, const attention *a, tn_value_id *out)
{
    *out = a->mask_count ? a->masks[0] : a->chosen;
    for (uint32_t k = 1; k < a->mask_count; k++) {
        const tn_value_id parts[2] = { *out, a->masks[k] };
        TN_TRY(pattern_add(p, "Add", parts, 2, NULL, 0, out));
    }
    if (a->chosen == TN_NONE)
        return TN_OK;
    if (!a->mask_count)
        return a->negated ? pattern_add(p, "Not", &a->chosen, 1, NULL, 0, out) : TN_OK;
    const tn_value_id choice[3] = { a->chosen, a->negated ? a->fill : *out,
                                    a->negated ? *out : a->fill };
    return pattern_add(p, "Where", choice, 3, NULL, 0, out);
}

static tn_status rewrite(pattern *p, attention *a)
{
    tn_attribute attributes[3];
    tn_value_id inputs[4], y;
    const uint32_t attribute_count = describe(p, a, attributes);
    for (uint32_t k = 0; k < SIDES; k++)
        TN_TRY(a->packed ? pack(p, a, &a->sides[k], &inputs[k])
                         : bring_heads_forward(p, a, &a->sides[k], &inputs[k]));
    TN_TRY(add_mask(p, a, &inputs[3]));
    TN_TRY(pattern_add(p, p->wanted, inputs, inputs[3] == TN_NONE ? 3 : 4, attributes,
                       attribute_count, &y));
    return finish(p, a, y);
}

static tn_status recognize(tn_rewrite *ctx, tn_node_id node, int any_mask)
{
    pattern p;
    attention a = { .any_mask = any_mask, .scale = 1.0, .chosen = TN_NONE, .fill = TN_NONE };
    if (!pattern_begin(&p, ctx, node, "Attention") || !find(&p, &a) ||
        !pattern_float(&p, pattern_value(&p, p.y)->type->dtype, "the scale", a.scale))
        return pattern_miss(&p);
    return rewrite(&p, &a);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    return recognize(ctx, node, 0);
}
static tn_status match_masked(tn_rewrite *ctx, tn_node_id node)
{
    return recognize(ctx, node, 1);
}

tn_status recognize_attention_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Softmax", NULL };
    tn_pass_def pass = { .size = sizeof pass,
                         .phase = TN_PHASE_RECOGNIZE,
                         .order = 35,
                         .exactness = TN_EXACT_ROUNDING,
                         .name = "recognize_attention",
                         .doc = "Products, scale, mask and Softmax of scaled dot-product attention "
                                "as one Attention; the mask must leave every query a key.",
                         .roots = roots,
                         .match = match,
                         .makes = "Attention" };
    TN_TRY(registrar->add_pass(registrar, &pass));
    pass.order = 36;
    pass.exactness = TN_EXACT_APPROXIMATE;
    pass.name = "recognize_masked_attention";
    pass.doc = "The same with any mask, also by Where: a query without a key gives 0, not NaN.";
    pass.match = match_masked;
    return registrar->add_pass(registrar, &pass);
}
