/* plugins/recurrent/run.c: the reference kernel of LSTM, GRU and RNN.
 *
 * All arithmetic is in double. Weights are converted and transposed into scratch once a run; then
 * each (direction, sample) goes its own way through time.
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

#include <inttypes.h>

/* ---- setting up ---------------------------------------------------------------------------- */

/* Extents from shapes; the same for measure (from types) and run (from tensors). */
static void set_extents(rnn_job *j, const tn_node_view *node, const int64_t *x, const int64_t *w,
                        const int64_t *r)
{
    const char *direction = tn_attr_string(node, "direction", "forward");
    j->layout = tn_attr_int(node, "layout", 0);
    j->time = x[j->layout ? 1 : 0];
    j->batch = x[j->layout ? 0 : 1];
    j->inputs = x[2];
    j->directions = w[0];
    j->width = w[1];
    j->hidden = r[2];
    j->reverse = strcmp(direction, "reverse") == 0;
    j->state_size = j->inputs + 2 * j->width + 3 * j->hidden;
}

static int64_t direction_size(const rnn_job *j)
{
    return (j->inputs + j->hidden) * j->width + 2 * j->width + 3 * j->hidden;
}

static int64_t scratch_size(const rnn_job *j)
{
    return j->directions * direction_size(j) + j->directions * j->batch * j->state_size;
}

tn_status rnn_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    rnn_job job = { .kind = ctx->call.user };
    (void)state;
    set_extents(&job, p->node, p->inputs[RNN_X]->dims, p->inputs[RNN_W]->dims,
                p->inputs[RNN_R]->dims);
    const double size = (double)job.directions *
                        ((double)direction_size(&job) + (double)job.batch * (double)job.state_size);
    if (size > 1e15)
        return tn_fail(ctx, TN_ERR_LIMIT, "weights and states of %g numbers are too many", size);
    ctx->alternatives[0].scratch_bytes = (size_t)scratch_size(&job) * sizeof(double);
    return TN_OK;
}

/* Alphas and betas are given in order to those activations that take some. */
static void set_activations(rnn_job *j, const tn_node_view *node)
{
    const tn_attribute *names = tn_attr(node, "activations"),
                       *alphas = tn_attr(node, "activation_alpha"),
                       *betas = tn_attr(node, "activation_beta");
    const int given = names && names->type == TN_ATTR_STRINGS && names->count;
    size_t next_alpha = 0, next_beta = 0;
    for (int32_t k = 0; k < (int32_t)j->directions * j->kind->activations; k++) {
        const char *usual = j->kind->defaults[k % j->kind->activations];
        const tn_text name = given ? names->strings[k] : (tn_text){ usual, strlen(usual) };
        rnn_activation *a = &j->activations[k];
        int32_t uses = 0;
        a->function = rnn_find_activation(name, &a->alpha, &a->beta, &uses);
        if (uses >= 1 && alphas && alphas->type == TN_ATTR_FLOATS && next_alpha < alphas->count)
            a->alpha = alphas->floats[next_alpha++];
        if (uses >= 2 && betas && betas->type == TN_ATTR_FLOATS && next_beta < betas->count)
            a->beta = betas->floats[next_beta++];
    }
}

/* [rows][columns] of the tensor, from element `first`, as out[columns][rows]. */
static void transpose(const tn_tensor *tensor, int64_t first, int64_t rows, int64_t columns,
                      double *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[c * rows + r] = tn_get_double(tensor->dtype, tensor->data, first + r * columns + c);
}

static void load(const tn_tensor *tensor, int64_t first, int64_t count, double *out)
{
    for (int64_t k = 0; k < count; k++)
        out[k] = tensor ? tn_get_double(tensor->dtype, tensor->data, first + k) : 0;
}

static const tn_tensor *input(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

static void load_weights(rnn_job *j)
{
    double *at = j->run->scratch;
    const tn_tensor *p = input(j->run, RNN_P);
    for (int64_t d = 0; d < j->directions; d++) {
        j->w[d] = at;
        j->r[d] = at + j->inputs * j->width;
        j->w_bias[d] = j->r[d] + j->hidden * j->width;
        j->r_bias[d] = j->w_bias[d] + j->width;
        j->peepholes[d] = p ? j->r_bias[d] + j->width : NULL;
        transpose(j->run->inputs[RNN_W], d * j->width * j->inputs, j->width, j->inputs, j->w[d]);
        transpose(j->run->inputs[RNN_R], d * j->width * j->hidden, j->width, j->hidden, j->r[d]);
        load(input(j->run, RNN_B), d * 2 * j->width, j->width, j->w_bias[d]);
        load(input(j->run, RNN_B), d * 2 * j->width + j->width, j->width, j->r_bias[d]);
        if (p)
            load(p, d * 3 * j->hidden, 3 * j->hidden, j->peepholes[d]);
        at += direction_size(j);
    }
    j->states = at;
}

/* ---- running ---------------------------------------------------------------------------------- */

void rnn_product(const double *bias, const double *in, int64_t count, const double *matrix,
                 int64_t width, double *out)
{
    for (int64_t k = 0; k < width; k++)
        out[k] = bias[k];
    for (int64_t i = 0; i < count; i++) {
        const double scale = in[i];
        const double *row = matrix + i * width;
        for (int64_t k = 0; k < width; k++)
            out[k] += scale * row[k];
    }
}

static int64_t state_index(const rnn_job *j, int64_t d, int64_t n)
{
    return (j->layout ? n * j->directions + d : d * j->batch + n) * j->hidden;
}

static void store(const tn_run *ctx, uint32_t k, int64_t first, int64_t count, const double *from)
{
    tn_tensor *out = k < ctx->output_count ? ctx->outputs[k] : NULL;
    for (int64_t i = 0; out && i < count; i++)
        tn_set_float(out->dtype, out->data, first + i, from ? from[i] : 0);
}

static int64_t y_index(const rnn_job *j, int64_t t, int64_t d, int64_t n)
{
    return (j->layout ? (n * j->time + t) * j->directions + d
                      : (t * j->directions + d) * j->batch + n) *
           j->hidden;
}

static void run_sample(const rnn_job *j, int64_t d, int64_t n)
{
    double *s = j->states + (d * j->batch + n) * j->state_size;
    const tn_tensor *x = j->run->inputs[RNN_X], *lengths = input(j->run, RNN_LENGTHS);
    const int64_t length = lengths ? tn_get_int(lengths->dtype, lengths->data, n) : j->time;
    const int backwards = d == 1 || j->reverse;
    load(input(j->run, RNN_INITIAL_H), state_index(j, d, n), j->hidden, rnn_h(j, s));
    load(input(j->run, RNN_INITIAL_C), state_index(j, d, n), j->hidden, rnn_c(j, s));
    for (int64_t step = 0; step < length; step++) {
        const int64_t t = backwards ? length - 1 - step : step;
        load(x, (j->layout ? n * j->time + t : t * j->batch + n) * j->inputs, j->inputs,
             rnn_x(j, s));
        rnn_product(j->w_bias[d], rnn_x(j, s), j->inputs, j->w[d], j->width, rnn_x_part(j, s));
        rnn_product(j->r_bias[d], rnn_h(j, s), j->hidden, j->r[d], j->width, rnn_h_part(j, s));
        j->kind->cell(j, (int32_t)d, s);
        store(j->run, RNN_Y, y_index(j, t, d, n), j->hidden, rnn_h(j, s));
    }
    for (int64_t t = length; t < j->time; t++)
        store(j->run, RNN_Y, y_index(j, t, d, n), j->hidden, NULL);
    store(j->run, RNN_Y_H, state_index(j, d, n), j->hidden, rnn_h(j, s));
    store(j->run, RNN_Y_C, state_index(j, d, n), j->hidden, rnn_c(j, s));
}

static tn_status run_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const rnn_job *j = user;
    (void)thread;
    for (int64_t k = begin; k < end; k++)
        run_sample(j, k / j->batch, k % j->batch);
    return TN_OK;
}

static tn_status check_lengths(tn_run *ctx, const rnn_job *j)
{
    const tn_tensor *lengths = input(ctx, RNN_LENGTHS);
    for (int64_t n = 0; lengths && n < j->batch; n++) {
        const int64_t length = tn_get_int(lengths->dtype, lengths->data, n);
        if (length < 0 || length > j->time)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "sequence_lens[%" PRId64 "] is %" PRId64 ", outside [0, %" PRId64 "]", n,
                           length, j->time);
    }
    return TN_OK;
}

tn_status rnn_run(tn_run *ctx, const void *state, void *slot)
{
    rnn_job job = { .kind = ctx->call.user, .run = ctx };
    (void)state;
    (void)slot;
    set_extents(&job, ctx->node, ctx->inputs[RNN_X]->dims, ctx->inputs[RNN_W]->dims,
                ctx->inputs[RNN_R]->dims);
    job.clip = (double)tn_attr_float(ctx->node, "clip", 0);
    job.coupled = tn_attr_int(ctx->node, "input_forget", 0) != 0;
    job.linear_before_reset = tn_attr_int(ctx->node, "linear_before_reset", 0) != 0;
    TN_TRY(check_lengths(ctx, &job));
    set_activations(&job, ctx->node);
    load_weights(&job);
    return ctx->call.host->parallel_for(&ctx->call, job.directions * job.batch, 1, run_chunk, &job);
}
