/* lstm.c: LSTM (ONNX: LSTM) with its usual activations, forward, in reverse or both, by recurrent.c.
 *
 *   i, o, f = sigmoid(W x + R h + b),  c' = f c + i tanh(W x + R h + b),  h' = o tanh(c')
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

enum { I, O, F, C, GATES };
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

/* The four gates, then the cell and the state. */
static void make_units(const recurrent_job *job, const recurrent_units *u)
{
    const native_isa *isa = job->isa;
    const int64_t width = isa->columns, hidden = job->s->hidden;
    float gate[GATES][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    for (int64_t g = 0; g < GATES; g++) {
        recurrent_state_part(job, u, g, job->last, gate[g]);
        for (int64_t r = 0; r < u->rows; r++)
            isa->combine(NATIVE_ADD, gate[g] + r * width, recurrent_input_part(job, u, r, g), 1,
                         gate[g] + r * width, u->n);
        isa->apply(g == C ? NATIVE_TANH : NATIVE_SIGMOID, 0, 0, gate[g], gate[g],
                   (u->rows - 1) * width + u->n);
    }
    for (int64_t r = 0; r < u->rows; r++) {
        float *i = gate[I] + r * width, *o = gate[O] + r * width, *f = gate[F] + r * width;
        const int64_t at = (u->row + r) * hidden + u->column;
        float *c = job->kept[0] + at;
        isa->combine(NATIVE_MUL, i, gate[C] + r * width, 1, i, u->n);
        isa->combine(NATIVE_MUL, f, c, 1, f, u->n);
        isa->combine(NATIVE_ADD, f, i, 1, c, u->n);
        isa->apply(NATIVE_TANH, 0, 0, c, i, u->n);
        isa->combine(NATIVE_MUL, o, i, 1, job->next + at, u->n);
    }
}

static tn_status lstm_step(recurrent_job *job)
{
    return recurrent_round(job, make_units);
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
