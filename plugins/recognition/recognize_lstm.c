/* plugins/recognition/recognize_lstm.c: cells of a long short-term memory, written out step by step, as one
 * LSTM over the sequence (ONNX: LSTM; Hochreiter and Schmidhuber, Neural Computation 9, 1997).
 *
 *   i, f, o = Sigmoid(x W + h R + b),  g = Tanh(x W + h R + b),  c' = f c + i g,  h' = o Tanh(c')
 *
 * with the same constant weights at each step; see cells.c for how the sums may be written, and unroll.c
 * for steps and states. Rounds the same sums.
 *
 * SPDX-License-Identifier: MIT */
#include "cells.h"

enum { I, O, F, C };

/* c' = f c + i g, its two products either way round. */
static int read_sum_of_gates(pattern *p, const tn_value_id products[2], cell *out)
{
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t count = p->count;
        tn_value_id kept[2], fresh[2];
        if (cell_operands(p, products[k & 1], "Mul", kept) &&
            cell_operands(p, products[!(k & 1)], "Mul", fresh)) {
            const uint32_t f = k >> 1;
            const uint32_t g = pattern_maker(p, fresh[1], "Tanh") != TN_NONE;
            out->last_c = kept[!f];
            if (cell_gate(p, fresh[g], "Tanh", &out->gates[C]) &&
                cell_gate(p, fresh[!g], "Sigmoid", &out->gates[I]) &&
                cell_gate(p, kept[f], "Sigmoid", &out->gates[F]))
                return 1;
        }
        p->count = count;
    }
    return 0;
}

static int read_cell(pattern *p, tn_node_id tanh, cell *out)
{
    tn_value_id products[2];
    uint32_t k = 0;
    out->c = pattern_node(p, tanh)->inputs[0];
    out->keeps = 0;
    if (!cell_operands(p, out->c, "Add", products) || !pattern_take(p, tanh))
        return 0;
    const tn_value_id bent = cell_output(p, tanh);
    const tn_node_id last = cell_reader(p, bent, "Mul", &k);
    const tn_value_id gate = last == TN_NONE ? TN_NONE : pattern_other(p, last, bent, NULL);
    if (gate == TN_NONE || !pattern_take(p, last))
        return 0;
    out->h = cell_output(p, last);
    return read_sum_of_gates(p, products, out) && cell_gate(p, gate, "Sigmoid", &out->gates[O]) &&
           cell_split(p, out->gates, 4);
}

static tn_node_id before(pattern *p, const cell *c)
{
    uint32_t k = 0;
    return pattern_maker(p, c->last_c, "Add") == TN_NONE ? TN_NONE
                                                         : cell_reader(p, c->last_c, "Tanh", &k);
}

/* c is kept by a Mul, added to, and bent again. */
static tn_node_id after(pattern *p, const cell *c)
{
    uint32_t k = 0;
    for (tn_node_id mul; (mul = cell_reader(p, c->c, "Mul", &k)) != TN_NONE;) {
        uint32_t a = 0, t = 0;
        const tn_node_id add = cell_reader(p, cell_output(p, mul), "Add", &a);
        const tn_node_id tanh = add == TN_NONE ? TN_NONE
                                               : cell_reader(p, cell_output(p, add), "Tanh", &t);
        if (tanh != TN_NONE)
            return tanh;
    }
    return TN_NONE;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    static const cell_kind kind = {
        .op = "LSTM", .gates = 4, .states = 2, .read = read_cell, .before = before, .after = after
    };
    return unroll_match(ctx, node, &kind);
}

tn_status recognize_lstm_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Tanh", NULL };
    return registrar->add_pass(
        registrar, &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                   .phase = TN_PHASE_RECOGNIZE,
                                   .order = 37,
                                   .exactness = TN_EXACT_ROUNDING,
                                   .name = "recognize_lstm",
                                   .doc = "Cells written out step by step, with the same "
                                          "weights, as one LSTM over the sequence.",
                                   .roots = roots,
                                   .match = match,
                                   .makes = "LSTM" });
}
