/* plugins/recurrent/cell.c: one step of one sample.
 *
 * RNN (ONNX: RNN), f the activation:
 *   H = f(X W' + H R' + Wb + Rb)
 * LSTM (ONNX: LSTM), gates in the order i, o, f, c:
 *   i = f(Xi + Hi + Pi C)   f = f(Xf + Hf + Pf C)   c = g(Xc + Hc)
 *   C = f C + i c           o = f(Xo + Ho + Po C)   H = o h(C)
 * GRU (ONNX: GRU), gates in the order z, r, h:
 *   z = f(Xz + Hz)   r = f(Xr + Hr)
 *   h = g(Xh + (r H) Rh' + Rbh), or with linear_before_reset g(Xh + r (H Rh' + Rbh))
 *   H = (1 - z) h + z H
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

void plain_cell(const rnn_job *job, int32_t direction, double *state)
{
    const double *x = rnn_x_part(job, state), *r = rnn_h_part(job, state);
    double *h = rnn_h(job, state);
    for (int64_t k = 0; k < job->hidden; k++)
        h[k] = rnn_activate(job, direction, 0, x[k] + r[k]);
}

void lstm_cell(const rnn_job *job, int32_t direction, double *state)
{
    const int64_t n = job->hidden;
    const double *x = rnn_x_part(job, state), *r = rnn_h_part(job, state),
                 *p = job->peepholes[direction];
    double *h = rnn_h(job, state), *c = rnn_c(job, state);
    for (int64_t k = 0; k < n; k++) {
        const double i = rnn_activate(job, direction, 0, x[k] + r[k] + (p ? p[k] * c[k] : 0));
        const double f = job->coupled ? 1 - i
                                      : rnn_activate(job, direction, 0,
                                                     x[2 * n + k] + r[2 * n + k] +
                                                         (p ? p[2 * n + k] * c[k] : 0));
        const double g = rnn_activate(job, direction, 1, x[3 * n + k] + r[3 * n + k]);
        c[k] = f * c[k] + i * g;
        const double o = rnn_activate(job, direction, 0,
                                      x[n + k] + r[n + k] + (p ? p[n + k] * c[k] : 0));
        h[k] = o * rnn_activate(job, direction, 2, c[k]);
    }
}

/* The candidate's product needs r first: h_part holds it for H itself, so it is made again. */
static void reset_before(const rnn_job *job, int32_t direction, const double *reset, double *state)
{
    const int64_t n = job->hidden;
    const double *h = rnn_h(job, state), *matrix = job->r[direction] + 2 * n;
    double *out = rnn_h_part(job, state) + 2 * n;
    for (int64_t k = 0; k < n; k++)
        out[k] = job->r_bias[direction][2 * n + k];
    for (int64_t i = 0; i < n; i++) {
        const double scaled = reset[i] * h[i];
        for (int64_t k = 0; k < n; k++)
            out[k] += scaled * matrix[i * job->width + k];
    }
}

void gru_cell(const rnn_job *job, int32_t direction, double *state)
{
    const int64_t n = job->hidden;
    const double *x = rnn_x_part(job, state), *r = rnn_h_part(job, state);
    double *h = rnn_h(job, state), *reset = rnn_spare(job, state);
    for (int64_t k = 0; k < n; k++)
        reset[k] = rnn_activate(job, direction, 0, x[n + k] + r[n + k]);
    if (!job->linear_before_reset)
        reset_before(job, direction, reset, state);
    for (int64_t k = 0; k < n; k++) {
        const double z = rnn_activate(job, direction, 0, x[k] + r[k]);
        const double rest = job->linear_before_reset ? reset[k] * r[2 * n + k] : r[2 * n + k];
        const double candidate = rnn_activate(job, direction, 1, x[2 * n + k] + rest);
        h[k] = (1 - z) * candidate + z * h[k];
    }
}
