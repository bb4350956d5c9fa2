/* gru.c: GRU (ONNX: GRU) with its usual activations, forward, in reverse or both, with and without
 * linear_before_reset, by recurrent.c.
 *
 *   z, r = sigmoid(W x + R h + b),  c = tanh(W x + b + r (R h + b)), or tanh(W x + R (r h) + b),
 *   h' = (1 - z) c + z h
 *
 * Without linear_before_reset the candidate needs the reset gates of all units first: two rounds a
 * step.
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

enum { UPDATE, RESET, CANDIDATE, GATES };
enum { IN_COUNT = RECURRENT_H + 1 };
enum { KEPT_UPDATE, KEPT_RESET }; /* z; r h: between the two rounds */

static tn_status gru_offer(tn_offer *ctx)
{
    return recurrent_offer(ctx, IN_COUNT, NULL);
}

static tn_status gru_measure(tn_measure *ctx, void *state)
{
    static const recurrent_kind direct = { .gates = GATES,
                                           .kept = 2,
                                           .input_key = "gru input, direct",
                                           .state_key = "gru state, direct" },
                                linear = { .gates = GATES,
                                           .kept = 2,
                                           .input_key = "gru input, linear",
                                           .state_key = "gru state, linear" };
    const bool apart = tn_attr_int(ctx->problem->node, "linear_before_reset", 0) != 0;
    return recurrent_measure(ctx, apart ? &linear : &direct, apart, state);
}

static tn_status gru_prepare(tn_prepare *ctx, void *state)
{
    return recurrent_prepare(ctx, state);
}

/* sigmoid of gate 0 or 1. */
static void make_gate(const recurrent_job *job, const recurrent_units *u, int64_t gate, float *out)
{
    const int64_t width = job->isa->columns;
    recurrent_gate(job, u, gate, job->last);
    for (int64_t r = 0; r < u->rows; r++)
        job->isa->apply(NATIVE_SIGMOID, 0, 0, recurrent_input_part(job, u, r, gate),
                        out + r * width, u->n);
}

/* h' = c + z (h - c) of sample r, c in place. */
static void make_state(const recurrent_job *job, const recurrent_units *u, int64_t r,
                       const float *z, float *c)
{
    const native_isa *isa = job->isa;
    const int64_t at = (u->row + r) * job->s->hidden + u->column;
    float change[NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    isa->combine(NATIVE_ADD, c, recurrent_input_part(job, u, r, CANDIDATE), 1, c, u->n);
    isa->apply(NATIVE_TANH, 0, 0, c, c, u->n);
    isa->combine(NATIVE_SUB_FROM, c, job->last + at, 1, change, u->n);
    isa->combine(NATIVE_MUL, change, z, 1, change, u->n);
    isa->combine(NATIVE_ADD, c, change, 1, job->next + at, u->n);
}

/* linear_before_reset: all in one round. */
static void linear_units(const recurrent_job *job, const recurrent_units *u)
{
    const int64_t width = job->isa->columns;
    float gate[GATES][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    make_gate(job, u, UPDATE, gate[UPDATE]);
    make_gate(job, u, RESET, gate[RESET]);
    recurrent_state_part(job, u, CANDIDATE, job->last, gate[CANDIDATE]);
    for (int64_t r = 0; r < u->rows; r++) {
        float *c = gate[CANDIDATE] + r * width;
        job->isa->combine(NATIVE_MUL, c, gate[RESET] + r * width, 1, c, u->n);
        make_state(job, u, r, gate[UPDATE] + r * width, c);
    }
}

/* First round: z, and r h. */
static void reset_units(const recurrent_job *job, const recurrent_units *u)
{
    const int64_t width = job->isa->columns;
    float gate[2][NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    make_gate(job, u, UPDATE, gate[UPDATE]);
    make_gate(job, u, RESET, gate[RESET]);
    for (int64_t r = 0; r < u->rows; r++) {
        const int64_t at = (u->row + r) * job->s->hidden + u->column;
        memcpy(job->kept[KEPT_UPDATE] + at, gate[UPDATE] + r * width, (size_t)u->n * sizeof(float));
        job->isa->combine(NATIVE_MUL, gate[RESET] + r * width, job->last + at, 1,
                          job->kept[KEPT_RESET] + at, u->n);
    }
}

/* Second round. */
static void candidate_units(const recurrent_job *job, const recurrent_units *u)
{
    float c[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    recurrent_state_part(job, u, CANDIDATE, job->kept[KEPT_RESET], c);
    for (int64_t r = 0; r < u->rows; r++)
        make_state(job, u, r, job->kept[KEPT_UPDATE] + (u->row + r) * job->s->hidden + u->column,
                   c + r * job->isa->columns);
}

static tn_status gru_step(recurrent_job *job)
{
    if (job->s->separate)
        return recurrent_round(job, linear_units, NULL);
    TN_TRY(recurrent_round(job, reset_units, NULL));
    return recurrent_round(job, candidate_units, NULL);
}

static tn_status gru_run(tn_run *ctx, const void *state, void *slot)
{
    static const recurrent_steps steps = { .step = gru_step };
    (void)slot;
    return recurrent_run(ctx, state, &steps);
}

const tn_kernel_def native_gru_kernels[] = {
    NATIVE_KERNEL("GRU", .state_bytes = sizeof(recurrent_sizes), .offer = gru_offer,
                  .measure = gru_measure, .prepare = gru_prepare, .run = gru_run),
    { .op = NULL },
};
