/* recurrent.h: what LSTM and GRU have in common (recurrent.c).
 *
 * The part of all gates that comes from the input is one product over all steps. Then, step by step,
 * the part that comes from the state: panels of the gates of the same hidden units are neighbours,
 * so that a thread makes whole units and nobody waits inside a round.
 *
 * In: X [T, B, I], W [D, gates H, I], R [D, gates H, H] constant, perhaps bias [D, 2 gates H],
 * initial states. Out: Y [T, D, B, H], last states [D, B, H], each if wanted.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_RECURRENT_H
#define TENON_NATIVE_RECURRENT_H

#include "native.h"

enum { RECURRENT_W = 1, RECURRENT_R, RECURRENT_B, RECURRENT_LENGTHS, RECURRENT_H, RECURRENT_C };

/* A kernel's state. */
typedef struct recurrent_sizes {
    int64_t steps, batch, in, hidden, directions;
    int64_t gates;             /* of a hidden unit */
    int64_t panels;            /* of the hidden units */
    int64_t separate;          /* gates, the last ones, whose state's bias stays apart: 0 or 1 */
    uint32_t reverse;          /* the only direction goes backwards */
    uint32_t blocks;           /* of state_bytes: the two states, and `kept` */
    size_t w_floats, r_floats; /* packed, of a direction */
    size_t gate_bytes, state_bytes, table_bytes; /* parts of the scratch */
} recurrent_sizes;

/* What the two kernels say of themselves. */
typedef struct recurrent_kind {
    int64_t gates;
    uint32_t kept; /* blocks [B, H] that a step wants besides the two states */
    const char *input_key, *state_key;
} recurrent_kind;

/* Some hidden units of some samples. */
typedef struct recurrent_units {
    int64_t panel, column, n, row;
    int32_t rows;
} recurrent_units;

typedef struct recurrent_job recurrent_job;
typedef void recurrent_make_fn(const recurrent_job *job, const recurrent_units *units);
/* Hidden units [begin, end) of all samples. */
typedef void recurrent_finish_fn(const recurrent_job *job, int64_t begin, int64_t end);

/* A direction under way. */
struct recurrent_job {
    const recurrent_sizes *s;
    tn_run *ctx;
    const native_isa *isa;
    const float *w, *r; /* packed, of this direction */
    float *gates;       /* the input's part, of all steps */
    float *from;        /* of this step */
    const float *last;  /* h of the step before, [B, H] */
    float *next;        /* h of this step */
    float *kept[2];     /* the kernel's own */
    const float **table;
    native_cut cut;
    int64_t shares; /* of a round */
    bool fro;       /* this step goes backwards over the panels */
    recurrent_make_fn *make;
    recurrent_finish_fn *finish;
};

/* TN_OK, TN_NEEDS_SHAPES or TN_DECLINED. `inputs`: how many it can read, lengths not among them;
 * `flag`: an attribute that must be 0, or NULL. */
tn_status recurrent_offer(tn_offer *ctx, uint32_t inputs, const char *flag);
tn_status recurrent_measure(tn_measure *ctx, const recurrent_kind *kind, int64_t separate,
                            recurrent_sizes *out);
tn_status recurrent_prepare(tn_prepare *ctx, const recurrent_sizes *s);
/* step: makes job->next. first: fills what is kept before the first step of a direction; last:
 * gives it away after the last one. Both may be NULL. */
typedef struct recurrent_steps {
    tn_status (*step)(recurrent_job *job);
    void (*first)(recurrent_job *job, int64_t direction);
    void (*last)(recurrent_job *job, int64_t direction);
} recurrent_steps;
tn_status recurrent_run(tn_run *ctx, const recurrent_sizes *s, const recurrent_steps *steps);

/* `make` for all units, on all threads; then each thread `finish` (NULL: nothing) for its own. */
tn_status recurrent_round(recurrent_job *job, recurrent_make_fn *make, recurrent_finish_fn *finish);
/* One gate's product with rows of `state`, [B, H], into `out` (rows isa->columns apart). */
void recurrent_state_part(const recurrent_job *job, const recurrent_units *u, int64_t gate,
                          const float *state, float *out);
/* The input's part of a gate of the units' sample r. */
static inline float *recurrent_input_part(const recurrent_job *job, const recurrent_units *u,
                                          int64_t r, int64_t gate)
{
    const recurrent_sizes *s = job->s;
    return job->from + ((u->row + r) * s->gates + gate) * s->hidden + u->column;
}
/* The same product, added to the input's part where that is. */
void recurrent_gate(const recurrent_job *job, const recurrent_units *u, int64_t gate,
                    const float *state);
/* An initial state, zeros where there is none; a last state, where it is wanted. */
void recurrent_load(const recurrent_job *job, uint32_t input, int64_t direction, float *to);
void recurrent_give(const recurrent_job *job, uint32_t output, int64_t direction,
                    const float *from);

#endif
