/* plugins/attention/attention_write.c: Attention as other operators (ONNX operators: Attention), and
 * its version 23 as the newest.
 *
 *   keys, values: the past's, then the new ones
 *   S = softcap(scale * Q K^T) + bias,   P = softmax(S), 0 where no key is seen,   Y = P V
 *
 * The bias is the mask (bool: 0 or -infinity), or 0, where a key is allowed, and -infinity elsewhere.
 * Which keys are allowed is computed from the distance of each query from each key, [queries, keys],
 * or [batch, 1, queries, keys] where samples differ. Nothing is said of nonpad_kv_seqlen that is out
 * of range: only the kernel looks.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

enum { MASK = 3, PAST_KEY, PAST_VALUE, NONPAD };
enum { PRESENT_KEY = 1, PRESENT_VALUE, PRODUCT };
enum { MODE_RAW, MODE_CAPPED, MODE_BIASED, MODE_SOFTMAX };

/* ---- keys that are allowed ------------------------------------------------------------------------ */

static tn_value_id put_number(tn_edit *e, int64_t number)
{
    return tn_put_constant(e, TN_INT64, 0, 1, &number);
}

/* 0, 1, … for each of so many. */
static tn_value_id put_range(tn_edit *e, tn_value_id extent)
{
    const tn_value_id count = tn_put(e, "Squeeze", extent, TN_NONE, TN_NONE, NULL);
    return tn_put(e, "Range", put_number(e, 0), count, put_number(e, 1), NULL);
}

/* nonpad_kv_seqlen as [batch, 1, 1, 1]. */
static tn_value_id valid_rows(attn_writer *w)
{
    static const int64_t axes[3] = { 1, 2, 3 };
    tn_edit *e = &w->e;
    const tn_value_id valid = tn_edit_input(e, NONPAD);
    if (valid == TN_NONE)
        return TN_NONE;
    return tn_put(e, "Unsqueeze", valid, tn_put_ints(e, axes, 3), TN_NONE, NULL);
}

/* How far each key lies to the left of each query. */
static tn_value_id distances(attn_writer *w, tn_value_id keys, tn_value_id valid)
{
    tn_edit *e = &w->e;
    const tn_value_id queries = attn_put_extent(e, w->q, -2);
    tn_value_id place = put_range(e, queries);
    place = tn_put(e, "Unsqueeze", place, tn_put_int(e, 1), TN_NONE, NULL);
    if (valid != TN_NONE)
        place = tn_put(e, "Add", place, tn_put(e, "Sub", valid, queries, TN_NONE, NULL), TN_NONE,
                       NULL);
    else if (w->past != TN_NONE)
        place = tn_put(e, "Add", place, attn_put_extent(e, w->past, 2), TN_NONE, NULL);
    return tn_put(e, "Sub", place, keys, TN_NONE, NULL);
}

/* Both, where there are two. */
static tn_value_id put_and(tn_edit *e, tn_value_id a, tn_value_id b)
{
    return a == TN_NONE ? b : tn_put(e, "And", a, b, TN_NONE, NULL);
}

/* TN_NONE: all. */
static tn_value_id allowed_keys(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_node_view *view = tn_edit_view(e);
    const int64_t left = tn_attr_int(view, "left_window_size", -1);
    const int64_t right = tn_attr_int(view, "right_window_size", -1);
    const int causal = tn_attr_int(view, "is_causal", 0) != 0;
    const int placed = causal || left >= 0 || right >= 0;
    const tn_value_id valid = valid_rows(w);
    tn_value_id allowed = TN_NONE;
    if (!placed && valid == TN_NONE)
        return TN_NONE;
    const tn_value_id keys = put_range(e, attn_write_total(w));
    const tn_value_id distance = placed ? distances(w, keys, valid) : TN_NONE;
    if (valid != TN_NONE)
        allowed = tn_put(e, "Less", keys, valid, TN_NONE, NULL);
    if (causal || right >= 0) {
        const tn_value_id least = put_number(e, causal ? 0 : -right);
        allowed = put_and(e, allowed, tn_put(e, "GreaterOrEqual", distance, least, TN_NONE, NULL));
    }
    if (left >= 0) {
        const tn_value_id most = put_number(e, left);
        allowed = put_and(e, allowed, tn_put(e, "LessOrEqual", distance, most, TN_NONE, NULL));
    }
    return allowed;
}

/* ---- bias ------------------------------------------------------------------------------------------ */

static int is_whole(const attn_writer *w, tn_value_id given)
{
    const tn_type *mask = tn_edit_type(&w->e, given), *keys = tn_edit_type(&w->e, w->k);
    if (w->past != TN_NONE || mask->rank < 1 || !keys || keys->rank < 3)
        return 0;
    const tn_dim last = mask->dims[mask->rank - 1];
    return last != TN_DIM_UNKNOWN && last == keys->dims[keys->rank - 2];
}

/* A mask that ends early goes on with keys that are not seen. `mask` is as `given`, maybe of another
 * type. */
static tn_value_id fill_up(attn_writer *w, tn_value_id given, tn_value_id mask, tn_value_id unseen)
{
    tn_edit *e = &w->e;
    if (is_whole(w, given))
        return mask;
    const tn_value_id missing = tn_put(e, "Sub", attn_write_total(w), attn_put_extent(e, given, -1),
                                       TN_NONE, NULL);
    const tn_value_id pads = tn_put_join(e, tn_put_int(e, 0), missing, TN_NONE);
    const tn_value_id inputs[4] = { mask, pads, unseen, tn_put_int(e, -1) };
    return tn_put_node(e, "Pad", inputs, 4, NULL, 0);
}

/* What the mask adds; TN_NONE: nothing. */
static tn_value_id mask_bias(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_value_id given = tn_edit_input(e, MASK);
    if (given == TN_NONE)
        return TN_NONE;
    const uint32_t dtype = tn_edit_type(e, given)->dtype;
    const tn_value_id never = tn_put_scalar(e, w->wide, -INFINITY);
    if (dtype != TN_BOOL)
        return fill_up(w, given, attn_put_cast(e, given, dtype, w->wide), never);
    const tn_value_id seen = fill_up(w, given, given, tn_put_scalar(e, TN_BOOL, 0));
    return tn_put(e, "Where", seen, tn_put_scalar(e, w->wide, 0), never, NULL);
}

/* What is added to the scores; TN_NONE: nothing. */
static tn_value_id bias(attn_writer *w)
{
    tn_edit *e = &w->e;
    const tn_value_id mask = mask_bias(w), allowed = allowed_keys(w);
    if (allowed == TN_NONE)
        return mask;
    return tn_put(e, "Where", allowed, mask == TN_NONE ? tn_put_scalar(e, w->wide, 0) : mask,
                  tn_put_scalar(e, w->wide, -INFINITY), NULL);
}

/* ---- the whole ------------------------------------------------------------------------------------- */

/* The past's rows, then the new ones. */
static tn_value_id with_past(attn_writer *w, tn_value_id x, uint32_t past)
{
    const tn_attribute axis = tn_attribute_of_int("axis", 2);
    const tn_value_id inputs[2] = { tn_edit_input(&w->e, past), attn_write_rows(w, x, w->heads) };
    return inputs[0] == TN_NONE ? inputs[1] : tn_put_node(&w->e, "Concat", inputs, 2, &axis, 1);
}

/* An output of its own also where it is an input as it came. */
static void give_present(attn_writer *w, uint32_t k, tn_value_id rows)
{
    if (tn_edit_output(&w->e, k) != TN_NONE)
        attn_give(&w->e, k, tn_put(&w->e, "Identity", rows, TN_NONE, TN_NONE, NULL));
}

static void give_product(attn_writer *w, int64_t mode, tn_value_id scores)
{
    tn_edit *e = &w->e;
    if (tn_edit_output(e, PRODUCT) == TN_NONE ||
        tn_attr_int(tn_edit_view(e), "qk_matmul_output_mode", MODE_RAW) != mode)
        return;
    attn_give(e, PRODUCT, attn_put_cast(e, scores, w->wide, w->dtype));
}

static tn_value_id capped(attn_writer *w, tn_value_id scores)
{
    tn_edit *e = &w->e;
    const double cap = (double)tn_attr_float(tn_edit_view(e), "softcap", 0);
    if (!(cap > 0))
        return scores;
    const tn_value_id bound = tn_put_scalar(e, w->wide, cap);
    const tn_value_id part = tn_put(e, "Div", scores, bound, TN_NONE, NULL);
    const tn_value_id bent = tn_put(e, "Tanh", part, TN_NONE, TN_NONE, NULL);
    return tn_put(e, "Mul", bent, bound, TN_NONE, NULL);
}

/* Softmax, and 0 in the rows of queries that see no key. */
static tn_value_id weights(attn_writer *w, tn_value_id scores, tn_value_id added)
{
    tn_edit *e = &w->e;
    const tn_value_id all = attn_put_softmax(e, scores);
    if (added == TN_NONE)
        return all;
    const tn_value_id best = tn_put(e, "ReduceMax", added, tn_put_int(e, -1), TN_NONE, NULL);
    const tn_value_id blind = tn_put(e, "Equal", best, tn_put_scalar(e, w->wide, -INFINITY),
                                     TN_NONE, NULL);
    return tn_put(e, "Where", blind, tn_put_scalar(e, w->wide, 0), all, NULL);
}

tn_status attention_write_out(tn_rewrite *ctx, tn_node_id node)
{
    attn_writer w;
    TN_TRY(attn_write_begin(&w, ctx, node));
    tn_edit *e = &w.e;
    w.past = tn_edit_input(e, PAST_KEY);
    const tn_value_id keys = with_past(&w, w.k, PAST_KEY), values = with_past(&w, w.v, PAST_VALUE);
    give_present(&w, PRESENT_KEY, keys);
    give_present(&w, PRESENT_VALUE, values);
    tn_value_id scores = attn_write_scores(&w, keys);
    give_product(&w, MODE_RAW, scores);
    scores = capped(&w, scores);
    give_product(&w, MODE_CAPPED, scores);
    const tn_value_id added = bias(&w);
    if (added != TN_NONE)
        scores = tn_put(e, "Add", scores, added, TN_NONE, NULL);
    give_product(&w, MODE_BIASED, scores);
    const tn_value_id shares = weights(&w, scores, added);
    give_product(&w, MODE_SOFTMAX, shares);
    attn_give(e, 0, attn_write_means(&w, shares, values));
    return e->status == TN_OK ? ctx->api->remove_node(ctx->graph, node) : e->status;
}

/* ---- version 23 as the newest ----------------------------------------------------------------------- */

/* There, a mask of extent 1 on its last axis repeats: so it is told to. */
tn_status attention_renew(tn_rewrite *ctx, tn_node_id node)
{
    attn_writer w = { .e = tn_edit_node(ctx, node) };
    w.k = tn_edit_input(&w.e, 1);
    w.past = tn_edit_input(&w.e, PAST_KEY);
    const tn_value_id mask = tn_edit_input(&w.e, MASK);
    if (mask != TN_NONE && !is_whole(&w, mask))
        tn_edit_set_input(&w.e, MASK,
                          tn_put(&w.e, "Expand", mask, attn_write_total(&w), TN_NONE, NULL));
    return tn_edit_renew(&w.e);
}
