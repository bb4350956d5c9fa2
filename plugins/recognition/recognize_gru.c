/* plugins/recognition/recognize_gru.c: cells with an update and a reset gate, written out step by step, as
 * one GRU over the sequence (ONNX: GRU; Cho et al., arXiv:1406.1078).
 *
 *   z, r = Sigmoid(x W + h R + b),  n = Tanh(x W + b + r (h R + b)), or Tanh(x W + (r h) R + b),
 *   h' = (1 - z) n + z h, or n + z (h - n), or with n and h the other way round
 *
 * with the same constant weights at each step; see cells.c for how the sums may be written, and unroll.c
 * for steps and states. Rounds the same sums.
 *
 * SPDX-License-Identifier: MIT */
#include "cells.h"

enum { Z, R, N, N_STATE }; /* the last one with linear_before_reset: what r is multiplied with */

/* 1 - z, where it is that. */
static tn_value_id read_rest(pattern *p, tn_value_id value)
{
    const tn_node_id node = pattern_maker(p, value, "Sub");
    double one;
    if (node == TN_NONE || !pattern_scalar(p, pattern_node(p, node)->inputs[0], &one) ||
        one != 1.0 || !pattern_take(p, node))
        return TN_NONE;
    return pattern_node(p, node)->inputs[1];
}

/* From n on: (1 - z) n, then + z h; or z n, then + (1 - z) h. */
static tn_value_id read_blend(pattern *p, tn_value_id n, cell *out)
{
    uint32_t k = 0, a = 0;
    const tn_node_id mul = cell_reader(p, n, "Mul", &k);
    const tn_value_id factor = mul == TN_NONE ? TN_NONE : pattern_other(p, mul, n, NULL);
    const tn_node_id add = factor == TN_NONE ? TN_NONE
                                             : cell_reader(p, cell_output(p, mul), "Add", &a);
    tn_value_id kept[2], z = TN_NONE;
    if (add == TN_NONE || !pattern_take(p, mul) || !pattern_take(p, add) ||
        !cell_operands(p, pattern_other(p, add, cell_output(p, mul), NULL), "Mul", kept))
        return TN_NONE;
    z = read_rest(p, factor);
    out->keeps = z == TN_NONE;
    for (uint32_t side = 0; side < 2; side++)
        if (out->keeps ? read_rest(p, kept[side]) == factor : kept[side] == z) {
            out->last_h = kept[1 - side];
            out->h = cell_output(p, add);
            return out->keeps ? factor : z;
        }
    return TN_NONE;
}

/* From n on: n - h, times z, plus h. */
static tn_value_id read_step_to(pattern *p, tn_value_id n, cell *out)
{
    uint32_t k = 0, m = 0, a = 0;
    const tn_node_id sub = cell_reader(p, n, "Sub", &k);
    const tn_node_id mul = sub == TN_NONE ? TN_NONE
                                          : cell_reader(p, cell_output(p, sub), "Mul", &m);
    const tn_node_id add = mul == TN_NONE ? TN_NONE
                                          : cell_reader(p, cell_output(p, mul), "Add", &a);
    if (add == TN_NONE || pattern_node(p, sub)->inputs[0] != n ||
        pattern_other(p, add, cell_output(p, mul), NULL) != pattern_node(p, sub)->inputs[1] ||
        !pattern_take(p, sub) || !pattern_take(p, mul) || !pattern_take(p, add))
        return TN_NONE;
    out->last_h = pattern_node(p, sub)->inputs[1];
    out->h = cell_output(p, add);
    out->keeps = 1;
    return pattern_other(p, mul, cell_output(p, sub), NULL);
}

/* From n on: h - n, times z, plus n. */
static tn_value_id read_step(pattern *p, tn_value_id n, cell *out)
{
    uint32_t k = 0, m = 0;
    const tn_node_id sub = cell_reader(p, n, "Sub", &k);
    const tn_node_id mul = sub == TN_NONE ? TN_NONE
                                          : cell_reader(p, cell_output(p, sub), "Mul", &m);
    const tn_value_id z = mul == TN_NONE ? TN_NONE
                                         : pattern_other(p, mul, cell_output(p, sub), NULL);
    uint32_t a = 0;
    const tn_node_id add = z == TN_NONE ? TN_NONE : cell_reader(p, cell_output(p, mul), "Add", &a);
    if (add == TN_NONE || pattern_node(p, sub)->inputs[1] != n ||
        pattern_other(p, add, cell_output(p, mul), NULL) != n || !pattern_take(p, sub) ||
        !pattern_take(p, mul) || !pattern_take(p, add))
        return TN_NONE;
    out->last_h = pattern_node(p, sub)->inputs[0];
    out->h = cell_output(p, add);
    return z;
}

/* (r h) among what is multiplied with a matrix: h goes in its place. */
static tn_value_id read_reset_state(pattern *p, cell *out)
{
    linear *n = &out->gates[N];
    for (uint32_t k = 0; k < n->product_count; k++) {
        const uint32_t count = p->count;
        tn_value_id parts[2];
        if (cell_operands(p, n->products[k].of, "Mul", parts) &&
            (parts[0] == out->last_h || parts[1] == out->last_h)) {
            n->products[k].of = out->last_h;
            return parts[parts[0] == out->last_h];
        }
        p->count = count;
    }
    return TN_NONE;
}

static int read_candidate(pattern *p, tn_node_id tanh, cell *out)
{
    linear *n = &out->gates[N];
    out->gates[N_STATE] = (linear){ .gate = TN_NONE, .gated = TN_NONE };
    if (!cell_linear(p, pattern_node(p, tanh)->inputs[0], n))
        return 0;
    if (n->gate == TN_NONE) {
        if (!cell_split(p, n, 1))
            return 0;
        const tn_value_id r = read_reset_state(p, out);
        return r != TN_NONE && cell_gate(p, r, "Sigmoid", &out->gates[R]);
    }
    return cell_gate(p, n->gate, "Sigmoid", &out->gates[R]) &&
           cell_linear(p, n->gated, &out->gates[N_STATE]);
}

static int read_cell(pattern *p, tn_node_id tanh, cell *out)
{
    const uint32_t count = p->count;
    static tn_value_id (*const ways[])(pattern *, tn_value_id, cell *) = { read_blend, read_step,
                                                                           read_step_to };
    const tn_value_id n = cell_output(p, tanh);
    tn_value_id z = TN_NONE;
    for (uint32_t k = 0; z == TN_NONE && k < 3; k++) {
        p->count = count;
        out->keeps = 0;
        z = ways[k](p, n, out);
    }
    out->c = out->last_c = TN_NONE;
    return z != TN_NONE && pattern_take(p, tanh) && cell_gate(p, z, "Sigmoid", &out->gates[Z]) &&
           read_candidate(p, tanh, out) && cell_split(p, out->gates, 2);
}

/* The Tanh of the cell that makes h: it is added, or multiplied and then added. */
static tn_node_id tanh_of(const pattern *p, tn_value_id h)
{
    const tn_node_id add = h == TN_NONE ? TN_NONE : pattern_maker(p, h, "Add");
    for (uint32_t k = 0; add != TN_NONE && k < 2; k++) {
        const tn_value_id part = pattern_node(p, add)->inputs[k];
        tn_node_id tanh = pattern_maker(p, part, "Tanh");
        const tn_node_id mul = pattern_maker(p, part, "Mul");
        for (uint32_t m = 0; mul != TN_NONE && tanh == TN_NONE && m < 2; m++) {
            const tn_value_id factor = pattern_node(p, mul)->inputs[m];
            const tn_node_id sub = pattern_maker(p, factor, "Sub");
            tanh = pattern_maker(p, factor, "Tanh");
            if (sub != TN_NONE && tanh == TN_NONE) /* n - h */
                tanh = pattern_maker(p, pattern_node(p, sub)->inputs[0], "Tanh");
        }
        if (tanh != TN_NONE)
            return tanh;
    }
    return TN_NONE;
}

static tn_node_id before(pattern *p, const cell *c)
{
    return tanh_of(p, c->last_h);
}

/* h is kept by z, or has n taken off and z put on, and is then added. */
static tn_node_id after(pattern *p, const cell *c)
{
    static const char *const ops[] = { "Mul", "Sub" };
    for (uint32_t o = 0; o < 2; o++) {
        uint32_t k = 0;
        for (tn_node_id node; (node = cell_reader(p, c->h, ops[o], &k)) != TN_NONE;) {
            uint32_t m = 0, a = 0;
            if (o == 1)
                node = cell_reader(p, cell_output(p, node), "Mul", &m);
            const tn_node_id add = node == TN_NONE
                                       ? TN_NONE
                                       : cell_reader(p, cell_output(p, node), "Add", &a);
            const tn_node_id tanh = add == TN_NONE ? TN_NONE : tanh_of(p, cell_output(p, add));
            if (tanh != TN_NONE)
                return tanh;
        }
    }
    return TN_NONE;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    static const cell_kind kind = {
        .op = "GRU", .gates = 3, .states = 1, .read = read_cell, .before = before, .after = after
    };
    return unroll_match(ctx, node, &kind);
}

tn_status recognize_gru_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Tanh", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 38,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "recognize_gru",
                                   .doc = "Cells written out step by step, with the same "
                                          "weights, as one GRU over the sequence.",
                                   .roots = roots,
                                   .match = match,
                                   .makes = "GRU" });
}
