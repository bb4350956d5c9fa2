/* plugins/recurrent/recurrent.h: what LSTM, GRU and RNN share.
 *
 * The three operators differ in the number of gates, in the cell that combines them and in their
 * inputs beyond X, W, R, B, sequence_lens, initial_h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_RECURRENT_H
#define TENON_PLUGINS_RECURRENT_H

#include "tenon/kernel.h"

enum { RNN_X, RNN_W, RNN_R, RNN_B, RNN_LENGTHS, RNN_INITIAL_H, RNN_INITIAL_C, RNN_P };
enum { RNN_Y, RNN_Y_H, RNN_Y_C };
enum { RNN_MAX_ACTIVATIONS = 3 };

/* One activation function with its parameters. */
typedef struct rnn_activation {
    double (*function)(double x, double alpha, double beta);
    double alpha, beta;
} rnn_activation;

struct rnn_job;
/* One step of one sample: gates' sums are in x_part and h_part; h and c are replaced. */
typedef void (*rnn_cell)(const struct rnn_job *job, int32_t direction, double *state);

/* What the operators differ in; ends up in call.user. */
typedef struct rnn_kind {
    int32_t gates;
    int32_t activations; /* of one direction */
    const char *defaults[RNN_MAX_ACTIVATIONS];
    rnn_cell cell;
} rnn_kind;

/* A run: extents, attributes, and transposed weights in double, so that the inner loops run over
 * all gates at once. */
typedef struct rnn_job {
    const rnn_kind *kind;
    const tn_run *run;
    int64_t time, batch, inputs, hidden, directions, width; /* width: gates * hidden */
    int64_t layout;
    int32_t reverse, coupled, linear_before_reset; /* reverse: the first direction runs backwards */
    double clip;                                   /* 0: none */
    rnn_activation activations[2 * RNN_MAX_ACTIVATIONS];
    double *w[2], *r[2]; /* [inputs][width], [hidden][width] */
    double *w_bias[2], *r_bias[2], *peepholes[2];
    double *states; /* [directions * batch][state_size] */
    int64_t state_size;
} rnn_job;

/* Where a sample's numbers lie in its state: x, x_part, h_part, h, c, scratch of one width. */
static inline double *rnn_x(const rnn_job *j, double *s)
{
    (void)j;
    return s;
}
static inline double *rnn_x_part(const rnn_job *j, double *s)
{
    return s + j->inputs;
}
static inline double *rnn_h_part(const rnn_job *j, double *s)
{
    return s + j->inputs + j->width;
}
static inline double *rnn_h(const rnn_job *j, double *s)
{
    return s + j->inputs + 2 * j->width;
}
static inline double *rnn_c(const rnn_job *j, double *s)
{
    return rnn_h(j, s) + j->hidden;
}
static inline double *rnn_spare(const rnn_job *j, double *s)
{
    return rnn_h(j, s) + 2 * j->hidden;
}

/* Clipped to ±clip, then through activation `which` of the direction. */
double rnn_activate(const rnn_job *job, int32_t direction, int32_t which, double x);
/* NULL when no activation has that name. `uses` gets how many of alpha, beta it takes. */
double (*rnn_find_activation(tn_text name, double *alpha, double *beta,
                             int32_t *uses))(double, double, double);
/* out[width] = bias + in * matrix[count][width] */
void rnn_product(const double *bias, const double *in, int64_t count, const double *matrix,
                 int64_t width, double *out);

tn_status rnn_infer(tn_infer *ctx);
tn_status rnn_cost(tn_infer *ctx, tn_cost *out);
tn_status rnn_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
tn_status rnn_measure(tn_measure *ctx, void *state);
tn_status rnn_run(tn_run *ctx, const void *state, void *slot);

void lstm_cell(const rnn_job *job, int32_t direction, double *state);
void gru_cell(const rnn_job *job, int32_t direction, double *state);
void plain_cell(const rnn_job *job, int32_t direction, double *state);

#endif
