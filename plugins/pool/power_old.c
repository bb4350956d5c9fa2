/* plugins/pool/power_old.c: LpPool and GlobalLpPool of operator set 1, whose p is a float.
 *
 * ONNX: LpPool-1, GlobalLpPool-1. A whole p is today's. Any other is written out:
 *
 *   (sum of |x|^p)^(1/p) = Pow(pool with p = 1 of Pow(Abs(x), p), 1/p)
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

/* The pool itself, with p = 1, over |x|^p. */
static tn_value_id put_sums(tn_edit *e, tn_value_id powers)
{
    const tn_node_view *view = tn_edit_view(e);
    tn_attribute given[16];
    uint32_t count = 0;
    tn_node_id made = TN_NONE;
    for (uint32_t k = 0; k < view->attribute_count && count < 15; k++)
        if (strcmp(view->attributes[k].name, "p") != 0)
            given[count++] = view->attributes[k];
    given[count++] = tn_attribute_of_int("p", 1);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = view->region,
                                .name = view->name,
                                .op = view->op,
                                .inputs = &powers,
                                .input_count = 1,
                                .output_count = 1,
                                .attributes = given,
                                .attribute_count = count,
                                .before = e->node,
                                .trace = e->node };
    if (e->status == TN_OK)
        e->status = e->ctx->api->add_node(e->ctx->graph, &desc, &made);
    return e->status == TN_OK ? e->ctx->api->node(e->ctx->graph, made)->outputs[0] : TN_NONE;
}

tn_status pool_power_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const double p = (double)tn_attr_float(tn_edit_view(&e), "p", 2.0f);
    if (!(p > 0) || p > 1e6)
        return tn_fail(ctx, TN_ERR_ATTRIBUTE, "p is %g: expected a number above 0", p);
    if (p == floor(p)) {
        tn_edit_drop(&e, "p");
        tn_edit_set_int(&e, "p", (int64_t)p);
        return e.status;
    }
    const tn_value_id size = tn_put(&e, "Abs", x, TN_NONE, TN_NONE, NULL);
    const tn_value_id powers = tn_put(&e, "Pow", size, tn_put_scalar(&e, TN_FLOAT64, p), TN_NONE,
                                      NULL);
    const tn_value_id sums = put_sums(&e, powers);
    return tn_edit_give(
        &e, tn_put(&e, "Pow", sums, tn_put_scalar(&e, TN_FLOAT64, 1.0 / p), TN_NONE, NULL));
}

tn_status pool_power_add_old(tn_registrar *registrar, const tn_operator_def *newest,
                             const tn_attribute_def *attributes, uint16_t count)
{
    tn_operator_def old = tn_old_version(newest, 1, 1);
    old.attributes = attributes;
    old.attribute_count = count;
    return registrar->add_operator(registrar, &old);
}
