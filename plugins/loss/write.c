/* plugins/loss/write.c: losses as other operators; see loss.h.
 *
 * What is ignored picks class 0 and is put out afterwards, so that neither an infinite score nor a
 * weight of that class gets through. float16 and bfloat16 are reduced in float32: sums of weights
 * outgrow them.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

static int is_narrow(uint32_t dtype)
{
    return dtype == TN_FLOAT16 || dtype == TN_BFLOAT16;
}

static tn_value_id put_cast(tn_edit *e, tn_value_id x, uint32_t dtype)
{
    return tn_put_with(e, "Cast", x, TN_NONE, "to", dtype);
}

tn_status loss_write_begin(loss_written *w, tn_rewrite *ctx, tn_node_id node, const char *name)
{
    *w = (loss_written){ .e = tn_edit_node(ctx, node) };
    const tn_type *type = tn_edit_type(&w->e, tn_edit_input(&w->e, SCORES));
    if (!type || type->dtype == TN_UNDEFINED)
        return tn_fail(ctx, TN_KEEP, "the element type of input '%s' is not known", name);
    w->dtype = type->dtype;
    w->wide = is_narrow(w->dtype) ? TN_FLOAT32 : w->dtype;
    return TN_OK;
}

tn_value_id loss_write_wide(loss_written *w, tn_value_id x)
{
    return w->wide == w->dtype ? x : put_cast(&w->e, x, w->wide);
}

tn_value_id loss_write_narrow(loss_written *w, tn_value_id x)
{
    return w->wide == w->dtype ? x : put_cast(&w->e, x, w->dtype);
}

/* Losses and weights of all targets. No weights: each is 1. */
typedef struct parts {
    tn_value_id loss, weight, target;
} parts;

static parts put_parts(loss_written *w, tn_value_id log_prob)
{
    tn_edit *e = &w->e;
    const tn_attribute *ignored = tn_attr(tn_edit_view(e), "ignore_index");
    const int has_ignored = ignored && ignored->type == TN_ATTR_INT;
    const int64_t number = has_ignored ? ignored->i : 0;
    const tn_value_id weight = tn_edit_input(e, WEIGHT), axis = tn_put_int(e, 1);
    const tn_value_id zero = tn_put_scalar(e, w->wide, 0.0);
    parts p = { .weight = TN_NONE, .target = put_cast(e, tn_edit_input(e, TARGET), TN_INT64) };
    tn_value_id skip = TN_NONE;
    if (has_ignored) {
        skip = tn_put(e, "Equal", p.target, tn_put_constant(e, TN_INT64, 0, 1, &number), TN_NONE,
                      NULL);
        p.target = tn_put(e, "Where", skip, tn_put_scalar(e, TN_INT64, 0.0), p.target, NULL);
    }
    const tn_value_id column = tn_put(e, "Unsqueeze", p.target, axis, TN_NONE, NULL);
    const tn_value_id picked = tn_put_with(e, "GatherElements", log_prob, column, "axis", 1);
    p.loss = tn_put(e, "Squeeze", picked, axis, TN_NONE, NULL);
    p.loss = tn_put(e, "Neg", p.loss, TN_NONE, TN_NONE, NULL);
    if (weight != TN_NONE) {
        p.weight = tn_put(e, "Gather", loss_write_wide(w, weight), p.target, TN_NONE, NULL);
        p.loss = tn_put(e, "Mul", p.loss, p.weight, TN_NONE, NULL);
    }
    if (has_ignored) {
        const tn_value_id kept = weight != TN_NONE ? p.weight : tn_put_scalar(e, w->wide, 1.0);
        p.loss = tn_put(e, "Where", skip, zero, p.loss, NULL);
        p.weight = tn_put(e, "Where", skip, zero, kept, NULL);
    }
    return p;
}

static tn_value_id put_reduced(loss_written *w, const parts *p)
{
    tn_edit *e = &w->e;
    const reduction how = loss_reduction(tn_edit_view(e));
    if (how == REDUCE_NONE)
        return p->loss;
    const tn_value_id sum = tn_put_with(e, "ReduceSum", p->loss, TN_NONE, "keepdims", 0);
    if (how == REDUCE_SUM)
        return sum;
    const tn_value_id total =
        p->weight != TN_NONE
            ? tn_put_with(e, "ReduceSum", p->weight, TN_NONE, "keepdims", 0)
            : put_cast(e, tn_put(e, "Size", p->target, TN_NONE, TN_NONE, NULL), w->wide);
    return tn_put(e, "Div", sum, total, TN_NONE, NULL);
}

tn_status loss_write(loss_written *w, tn_value_id log_prob)
{
    const parts p = put_parts(w, log_prob);
    return tn_edit_give(&w->e, loss_write_narrow(w, put_reduced(w, &p)));
}
