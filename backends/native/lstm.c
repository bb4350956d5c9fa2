/* lstm.c: LSTM (ONNX: LSTM) with its usual activations, forward, in reverse or both, by recurrent.c.
 *
 *   i, o, f = sigmoid(W x + R h + b),  c' = f c + i tanh(W x + R h + b),  h' = o tanh(c')
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

enum { I, O, F, C, GATES }; /* those before C end with a sigmoid */
enum { IN_COUNT = RECURRENT_C + 1 };

static tn_status lstm_offer(tn_offer *ctx)
{
    return recurrent_offer(ctx, IN_COUNT, "input_forget");
}

static tn_status lstm_measure(tn_measure *ctx, void *state)
{
    static const recurrent_kind kind = {
        .gates = GATES, .kept = 1, .input_key = "lstm input", .state_key = "lstm state"
    };
    return recurrent_measure(ctx, &kind, 0, state);
}

static tn_status lstm_prepare(tn_prepare *ctx, void *state)
{
    return recurrent_prepare(ctx, state);
}

static void make_gates(const recurrent_job *job, const recurrent_units *u)
{
    for (int64_t g = 0; g < GATES; g++)
        recurrent_gate(job, u, g, job->last);
}

/* The cell and the state, when all gates are there: long runs. */
static void make_cells(const recurrent_job *job, int64_t begin, int64_t end)
{
    const native_isa *isa = job->isa;
    const int64_t hidden = job->s->hidden, n = end - begin;
    for (int64_t sample = 0; sample < job->s->batch; sample++) {
        const int64_t at = sample * hidden + begin;
        float *gate = job->from + sample * GATES * hidden + begin;
        float *i = gate, *o = gate + O * hidden, *f = gate + F * hidden, *g = gate + C * hidden;
        float *c = job->kept[0] + at;
        isa->apply_rows(NATIVE_SIGMOID, 0, 0, gate, hidden, C, n);
        isa->apply(NATIVE_TANH, 0, 0, g, g, n);
        isa->combine(NATIVE_MUL, i, g, 1, i, n);
        isa->combine(NATIVE_MUL, f, c, 1, f, n);
        isa->combine(NATIVE_ADD, f, i, 1, c, n);
        isa->apply(NATIVE_TANH, 0, 0, c, i, n);
        isa->combine(NATIVE_MUL, o, i, 1, job->next + at, n);
    }
}

static tn_status lstm_step(recurrent_job *job)
{
    return recurrent_round(job, make_gates, make_cells);
}

static void load_cell(recurrent_job *job, int64_t direction)
{
    recurrent_load(job, RECURRENT_C, direction, job->kept[0]);
}

static void give_cell(recurrent_job *job, int64_t direction)
{
    recurrent_give(job, 2, direction, job->kept[0]);
}

static tn_status lstm_run(tn_run *ctx, const void *state, void *slot)
{
    static const recurrent_steps steps = { .step = lstm_step,
                                           .first = load_cell,
                                           .last = give_cell };
    (void)slot;
    return recurrent_run(ctx, state, &steps);
}

const tn_kernel_def native_lstm_kernels[] = {
    NATIVE_KERNEL("LSTM", .state_bytes = sizeof(recurrent_sizes), .offer = lstm_offer,
                  .measure = lstm_measure, .prepare = lstm_prepare, .run = lstm_run),
    { .op = NULL },
};
