/* recurrent.c: LSTM and GRU (ONNX: the same names) by the library's recurrent layers.
 *
 *   LSTM: i, o, f = sigmoid(W x + R h + b), c' = f c + i tanh(W x + R h + b), h' = o tanh(c')
 *   GRU: z, r = sigmoid(W x + R h + b), n = tanh(W x + R (r h) + b), h' = (1 - z) n + z h;
 *   with linear_before_reset n = tanh(W x + b + r (R h + b))
 *
 * The library has LSTM's gates as i, f, c, o. W, R and the sum of the biases are packed once; the
 * library wants biases always, so absent ones are zeros. In both directions it puts the two states
 * of a step side by side, which is ONNX's order for one sample; else they are put in their places
 * by a stage after.
 *
 * In: X [steps, batch, in], W, R, perhaps B (constants), initial states. Out: any of Y [steps,
 * directions, batch, hidden], Y_h, Y_c. Left to others: lengths, peepholes, clip, other
 * activations, layout 1; and strict math: the library's sigmoid loses NaN.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <stdlib.h>
#include <string.h>

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_PEEPHOLES };
enum { OUT_Y, OUT_H, OUT_C };
enum { LSTM_GATES = 4, GRU_GATES = 3, LSTM_ORDER = 0x1320, GRU_ORDER = 0x210 };

static bool has(const tn_problem *p, uint32_t k)
{
    return k < p->own_count && p->inputs[k];
}

static bool wants(const tn_problem *p, uint32_t k)
{
    return k < p->output_count && p->outputs[k];
}

static bool is_lstm(const tn_problem *p)
{
    return strcmp(p->node->op, "LSTM") == 0;
}

/* ---- offer ------------------------------------------------------------------------------ */

static bool usual_activations(const tn_problem *p)
{
    static const char *const lstm[] = { "Sigmoid", "Tanh", "Tanh" }, *const gru[] = { "Sigmoid",
                                                                                      "Tanh" };
    const tn_attribute *given = tn_attr(p->node, "activations");
    const size_t count = is_lstm(p) ? 3 : 2;
    for (size_t k = 0; given && k < given->count; k++)
        if (strcmp(given->strings[k].bytes, (is_lstm(p) ? lstm : gru)[k % count]) != 0)
            return false;
    return true;
}

static tn_status recurrent_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_attribute *clip = tn_attr(p->node, "clip");
    if (p->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "oneDNN's %s loses NaN, which strict math keeps",
                       p->node->op);
    if (has(p, IN_LENGTHS))
        return tn_fail(ctx, TN_DECLINED, "lengths of sequences");
    if (has(p, IN_PEEPHOLES))
        return tn_fail(ctx, TN_DECLINED, "peepholes");
    if (!p->constants[IN_W] || !p->constants[IN_R] || (has(p, IN_B) && !p->constants[IN_B]))
        return tn_fail(ctx, TN_DECLINED, "weights that are computed");
    if (is_lstm(p) && has(p, IN_H) != has(p, IN_C))
        return tn_fail(ctx, TN_DECLINED, "one of initial_h and initial_c without the other");
    if ((clip && clip->f > 0.0) || tn_attr_int(p->node, "layout", 0) ||
        tn_attr_int(p->node, "input_forget", 0) || !usual_activations(p))
        return tn_fail(ctx, TN_DECLINED, "activations, clip, layout or input_forget of its own");
    return onednn_offer(ctx, 0);
}

/* ---- descriptions ----------------------------------------------------------------------- */

typedef struct extents {
    int64_t steps, batch, in, hidden, directions, gates;
} extents;

static extents read_extents(const tn_problem *p)
{
    const int64_t *x = p->inputs[IN_X]->dims, *r = p->inputs[IN_R]->dims;
    return (extents){ .steps = x[0],
                      .batch = x[1],
                      .in = x[2],
                      .hidden = r[2],
                      .directions = r[0],
                      .gates = is_lstm(p) ? LSTM_GATES : GRU_GATES };
}

static int kind_of(const tn_problem *p)
{
    if (is_lstm(p))
        return ONEDNN_LSTM;
    return tn_attr_int(p->node, "linear_before_reset", 0) ? ONEDNN_LINEAR_GRU : ONEDNN_GRU;
}

static dnnl_rnn_direction_t direction_of(const tn_node_view *node)
{
    const char *text = tn_attr_string(node, "direction", "forward");
    if (strcmp(text, "reverse") == 0)
        return dnnl_unidirectional_right2left;
    return strcmp(text, "bidirectional") == 0 ? dnnl_bidirectional_concat
                                              : dnnl_unidirectional_left2right;
}

/* [1, directions, inputs, gates, units], in a format of the library's choice or gate by gate. */
static tn_status describe_gates(onednn_builder *b, const extents *e, int64_t inputs, bool any,
                                onednn_md *out)
{
    const int64_t dims[] = { 1, e->directions, inputs, e->gates, e->hidden };
    return any ? onednn_describe_any(b, 5, dims, out) : onednn_describe(b, 5, dims, NULL, out);
}

static tn_status describe_layer(onednn_builder *b, const extents *e, bool any, onednn_recurrence *l)
{
    const tn_problem *p = b->problem;
    const int64_t width = e->directions * e->hidden,
                  gates = l->kind == ONEDNN_LINEAR_GRU ? GRU_GATES + 1 : e->gates;
    const int64_t x[] = { e->steps, e->batch, e->in }, y[] = { e->steps, e->batch, width };
    const int64_t state[] = { 1, e->directions, e->batch, e->hidden };
    const int64_t bias[] = { 1, e->directions, gates, e->hidden };
    onednn_md state_md;
    TN_TRY(onednn_describe(b, 3, x, NULL, &l->x));
    TN_TRY(onednn_describe(b, 3, y, NULL, &l->y));
    TN_TRY(onednn_describe(b, 4, bias, NULL, &l->bias));
    TN_TRY(onednn_describe(b, 4, state, NULL, &state_md));
    TN_TRY(describe_gates(b, e, e->in, any, &l->w));
    TN_TRY(describe_gates(b, e, e->hidden, any, &l->r));
    l->h = has(p, IN_H) ? state_md : NULL;
    l->c = l->kind == ONEDNN_LSTM ? l->h : NULL;
    l->y_h = wants(p, OUT_H) || wants(p, OUT_C) ? state_md : NULL;
    l->y_c = l->kind == ONEDNN_LSTM ? l->y_h : NULL;
    return TN_OK;
}

/* ---- packing ---------------------------------------------------------------------------- */

static tn_status pack_gates(onednn_builder *b, const extents *e, int32_t argument, uint32_t input,
                            int64_t inputs)
{
    const int64_t units = e->hidden * inputs;
    const onednn_packing plan = {
        .input = input,
        .form = ONEDNN_GATES,
        .order = is_lstm(b->problem) ? LSTM_ORDER : GRU_ORDER,
        .rank = 5,
        .dims = { 1, e->directions, inputs, e->gates, e->hidden },
        .strides = { e->directions * e->gates * units, e->gates * units, 1, units, inputs },
    };
    return onednn_pack(b, argument, &plan);
}

/* dims: directions, ONNX's gates, the library's gates, units; a rank of 5: there are none. */
static tn_status pack_biases(onednn_builder *b, const extents *e, bool linear)
{
    const bool given = has(b->problem, IN_B);
    const onednn_packing plan = {
        .input = given ? IN_B : IN_W,
        .form = ONEDNN_BIASES,
        .order = is_lstm(b->problem) ? LSTM_ORDER : GRU_ORDER,
        .rank = given ? 4 : 5,
        .dims = { e->directions, e->gates, e->gates + linear, e->hidden },
    };
    return onednn_pack(b, DNNL_ARG_BIAS, &plan);
}

float *onednn_order_gates(const onednn_packing *packing, const float *from)
{
    const int64_t direction = packing->strides[1], gate = packing->strides[3];
    float *ordered = malloc((size_t)(packing->dims[1] * direction) * sizeof *ordered);
    for (int64_t d = 0; ordered && d < packing->dims[1]; d++)
        for (uint32_t k = 0; k < packing->dims[3]; k++)
            memcpy(ordered + d * direction + k * gate,
                   from + d * direction + (packing->order >> 4 * k & 15) * gate,
                   (size_t)gate * sizeof *ordered);
    return ordered;
}

/* A gate beyond ONNX's is the state's bias of the last one, which then stays apart. */
void onednn_pack_biases(const onednn_packing *packing, const float *from, float *to)
{
    const int64_t *dims = packing->dims, units = dims[3], half = dims[1] * units;
    const bool absent = packing->rank == 5, apart = dims[2] > dims[1];
    for (int64_t d = 0; d < dims[0]; d++) {
        for (int64_t k = 0; k < dims[2]; k++) {
            const bool extra = k == dims[1];
            const int64_t gate = extra ? dims[1] - 1 : (int64_t)(packing->order >> 4 * k & 15);
            const float *input = from + 2 * d * half + gate * units, *state = input + half;
            const bool both = !apart || k < dims[1] - 1;
            for (int64_t u = 0; u < units; u++)
                *to++ = absent ? 0.0f : both ? input[u] + state[u] : extra ? state[u] : input[u];
        }
    }
}

/* ---- building --------------------------------------------------------------------------- */

/* An output, or scratch for what the library writes and nobody wants. */
static tn_status bind_output(onednn_builder *b, int32_t argument, uint32_t output, int64_t count)
{
    size_t offset = 0;
    if (wants(b->problem, output))
        return onednn_bind(b, argument, ONEDNN_OUTPUT, output, 0);
    TN_TRY(onednn_scratch(b, (size_t)count * sizeof(float), &offset));
    return onednn_bind(b, argument, ONEDNN_SCRATCH, 0, offset);
}

static tn_status bind_states(onednn_builder *b, const extents *e, const onednn_recurrence *l)
{
    const int64_t count = e->directions * e->batch * e->hidden;
    if (l->h)
        TN_TRY(onednn_bind(b, DNNL_ARG_SRC_ITER, ONEDNN_INPUT, IN_H, 0));
    if (l->c)
        TN_TRY(onednn_bind(b, DNNL_ARG_SRC_ITER_C, ONEDNN_INPUT, IN_C, 0));
    if (l->y_h)
        TN_TRY(bind_output(b, DNNL_ARG_DST_ITER, OUT_H, count));
    if (l->y_c)
        TN_TRY(bind_output(b, DNNL_ARG_DST_ITER_C, OUT_C, count));
    return TN_OK;
}

/* [steps, batch, directions, hidden] in scratch to [steps, directions, batch, hidden]. */
static tn_status separate_directions(onednn_builder *b, const extents *e, size_t offset)
{
    const int64_t dims[] = { e->steps, e->directions, e->batch, e->hidden };
    const int64_t width = e->directions * e->hidden;
    const int64_t strides[] = { e->batch * width, e->hidden, width, 1 };
    onednn_md from, to;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(onednn_fresh_attributes(b));
    TN_TRY(onednn_describe(b, 4, dims, strides, &from));
    TN_TRY(onednn_describe(b, 4, dims, NULL, &to));
    status = onednn_reorder(b->engine, b->attr, from, to, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_FROM, ONEDNN_SCRATCH, 0, offset));
    return onednn_bind(b, DNNL_ARG_TO, ONEDNN_OUTPUT, OUT_Y, 0);
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const extents e = read_extents(p);
    const bool apart = wants(p, OUT_Y) && e.directions > 1 && e.batch > 1;
    const double macs = (double)(e.steps * e.batch) *
                        (double)(e.directions * e.gates * e.hidden * (e.in + e.hidden));
    onednn_recurrence layer = { .kind = kind_of(p), .direction = direction_of(p->node) };
    onednn_pd desc = NULL;
    dnnl_status_t status;
    size_t offset = 0;
    TN_TRY(describe_layer(b, &e, *(const bool *)form, &layer));
    status = onednn_recurrent(b->engine, b->attr, &layer, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC_LAYER, ONEDNN_INPUT, IN_X, 0));
    TN_TRY(pack_gates(b, &e, DNNL_ARG_WEIGHTS_LAYER, IN_W, e.in));
    TN_TRY(pack_gates(b, &e, DNNL_ARG_WEIGHTS_ITER, IN_R, e.hidden));
    TN_TRY(pack_biases(b, &e, layer.kind == ONEDNN_LINEAR_GRU));
    TN_TRY(bind_states(b, &e, &layer));
    if (apart) {
        TN_TRY(onednn_scratch(b, dnnl_memory_desc_get_size(layer.y), &offset));
        TN_TRY(onednn_bind(b, DNNL_ARG_DST_LAYER, ONEDNN_SCRATCH, 0, offset));
        TN_TRY(separate_directions(b, &e, offset));
    } else {
        TN_TRY(
            bind_output(b, DNNL_ARG_DST_LAYER, OUT_Y, e.steps * e.batch * e.directions * e.hidden));
    }
    onednn_estimate(b, macs, 0);
    return TN_OK;
}

/* The library's own format first: its compiled layers want it. One without a name cannot be
 * packed once for all; then gate by gate. */
static tn_status recurrent_measure(tn_measure *ctx, void *state)
{
    static const bool any = true, plain = false;
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    TN_TRY(onednn_try(&attempts, build, &any));
    if (!attempts.state->count)
        TN_TRY(onednn_try(&attempts, build, &plain));
    return onednn_measured(&attempts);
}

const tn_kernel_def onednn_recurrent_kernels[] = {
    ONEDNN_KERNEL("LSTM", 7, recurrent_offer, recurrent_measure),
    ONEDNN_KERNEL("GRU", 7, recurrent_offer, recurrent_measure),
    { .op = NULL },
};
