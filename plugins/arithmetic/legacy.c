/* plugins/arithmetic/legacy.c: how operands met before operator set 7, and set 1's attributes.
 *
 * ONNX, sets 1 to 6: Add, Sub, Mul, Div, Pow, And, Or, Xor, Equal, Greater, Less with attributes
 * broadcast and axis. Without broadcast the shapes are equal. With it B lies on A's last axes, as
 * everywhere since, or, where axis says so, on A's axes from there on: B gets extents of 1 behind.
 * How many, the ranks tell, so that form is written after inference.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- attributes ------------------------------------------------------------------------- */

static const tn_attribute_def attributes[] = {
    { .name = "axis", .type = TN_ATTR_INT, .doc = "A's axis on which B's first one lies." },
    { .name = "broadcast",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "1: B is repeated over A." },
    TN_CONSUMED_INPUTS,
};

static int is_placed(const tn_node_view *node)
{
    return tn_attr(node, "axis") != NULL && tn_attr_int(node, "broadcast", 0) != 0;
}

static void drop_all(tn_edit *e)
{
    for (size_t k = 0; k < sizeof attributes / sizeof *attributes; k++)
        tn_edit_drop(e, attributes[k].name);
}

tn_status legacy_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    if (is_placed(tn_edit_view(&e)))
        return tn_fail(ctx, TN_KEEP, "where B lies on A is told by their ranks");
    drop_all(&e);
    return e.status;
}

/* ---- inference: the shape is A's -------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *a = ctx->inputs[0], *b = ctx->inputs[1];
    const int64_t axis = tn_attr_int(ctx->node, "axis", 0);
    const int64_t first = a && axis < 0 ? axis + a->rank : axis;
    if (!a || a->rank < 0)
        return TN_OK;
    const int known = b && b->rank >= 0;
    if (first < 0 || first > a->rank || (known && first + b->rank > a->rank)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld: input 'B' of rank %d does not lie on the %d axes "
                                 "of 'A' from there",
                                 (long long)axis, known ? b->rank : 0, a->rank);
        return TN_OK;
    }
    for (int32_t k = 0; known && k < b->rank; k++)
        if (b->dims[k] != 1 &&
            ctx->call.host->dim_equal(&ctx->call, a->dims[first + k], b->dims[k]) == TN_NO) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "axis %d of input 'B' differs from axis %lld of 'A', on which "
                                     "attribute axis puts it",
                                     k, (long long)(first + k));
            return TN_OK;
        }
    return tn_infer_same(ctx, 0, 0);
}

/* ---- B with extents of 1 behind --------------------------------------------------------- */

static tn_value_id by_ranks(tn_edit *e, tn_value_id b, int32_t rank_a, int32_t rank_b, int64_t axis)
{
    int64_t axes[TN_MAX_RANK];
    const int64_t first = axis < 0 ? axis + rank_a : axis;
    const int64_t behind = rank_a - first - rank_b;
    for (int64_t k = 0; k < behind; k++)
        axes[k] = rank_b + k;
    return behind > 0 ? tn_put(e, "Unsqueeze", b, tn_put_ints(e, axes, behind), TN_NONE, NULL) : b;
}

/* The same where a rank is known only when running: a shape's own shape is the rank. */
static tn_value_id by_shapes(tn_edit *e, tn_value_id a, tn_value_id b, int64_t axis)
{
    const tn_value_id shape_b = tn_put(e, "Shape", b, TN_NONE, TN_NONE, NULL);
    const tn_value_id rank_b = tn_put(e, "Shape", shape_b, TN_NONE, TN_NONE, NULL);
    const tn_value_id shape_a = tn_put(e, "Shape", a, TN_NONE, TN_NONE, NULL);
    const tn_value_id rank_a = tn_put(e, "Shape", shape_a, TN_NONE, TN_NONE, NULL);
    const tn_value_id left = axis < 0
                                 ? tn_put_int(e, -axis)
                                 : tn_put(e, "Sub", rank_a, tn_put_int(e, axis), TN_NONE, NULL);
    const tn_value_id behind = tn_put(e, "Sub", left, rank_b, TN_NONE, NULL);
    return tn_put_reshape(e, b, tn_put_join(e, shape_b, tn_put_ones(e, behind), TN_NONE));
}

static tn_status expand(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id a = tn_edit_input(&e, 0), b = tn_edit_input(&e, 1);
    const int32_t rank_a = tn_edit_type(&e, a)->rank, rank_b = tn_edit_type(&e, b)->rank;
    const int64_t axis = tn_attr_int(tn_edit_view(&e), "axis", 0);
    const int known = rank_a >= 0 && rank_b >= 0;
    tn_edit_set_input(&e, 1,
                      known ? by_ranks(&e, b, rank_a, rank_b, axis) : by_shapes(&e, a, b, axis));
    drop_all(&e);
    return tn_edit_renew(&e);
}

tn_status legacy_add(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 6, 1);
    old.attributes = attributes;
    old.attribute_count = sizeof attributes / sizeof *attributes;
    old.infer = infer;
    old.expand = expand;
    return registrar->add_operator(registrar, &old);
}

tn_status legacy_add_consumed(tn_registrar *registrar, const tn_operator_def *newest)
{
    static const tn_attribute_def consumed[] = { TN_CONSUMED_INPUTS };
    tn_operator_def old = tn_old_version(newest, 1, 1);
    old.attributes = consumed;
    old.attribute_count = 1;
    return registrar->add_operator(registrar, &old);
}
