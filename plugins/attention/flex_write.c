/* plugins/attention/flex_write.c: FlexAttention as other operators (ONNX, domain ai.onnx.preview:
 * FlexAttention).
 *
 *   S = score_mod(scale * Q K^T),   P = prob_mod(softmax(S)),   Y = P V
 *
 * The nodes of score_mod and prob_mod are copied to where the node stands, with the bodies that they
 * have themselves.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

/* What body `name` makes of `x`: `x` itself where there is none. */
static tn_value_id modified(tn_edit *e, const char *name, tn_value_id x)
{
    const tn_attribute *body = tn_attr(tn_edit_view(e), name);
    tn_value_id out = x;
    if (body && body->type == TN_ATTR_GRAPH && e->status == TN_OK)
        e->status = e->ctx->api->copy_body(e->ctx->graph, body->regions[0], tn_edit_view(e)->region,
                                           e->node, &x, 1, &out, 1);
    return out;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

tn_status flex_write_out(tn_rewrite *ctx, tn_node_id node)
{
    attn_writer w;
    TN_TRY(attn_write_begin(&w, ctx, node));
    tn_edit *e = &w.e;
    const uint32_t told = (uint32_t)tn_attr_int(tn_edit_view(e), "softmax_precision",
                                                w.dtype == TN_FLOAT64 ? TN_FLOAT64 : TN_FLOAT32);
    tn_value_id x = attn_put_cast(e, attn_write_scores(&w, w.k), w.wide, told);
    x = attn_put_softmax(e, modified(e, "score_mod", x));
    x = attn_put_cast(e, modified(e, "prob_mod", x), told, w.wide);
    return tn_edit_give(e, attn_write_means(&w, x, w.v));
}
