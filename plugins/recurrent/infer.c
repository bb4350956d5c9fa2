/* plugins/recurrent/infer.c: types and shapes of LSTM, GRU and RNN.
 *
 * X [T, N, I], W [D, G*H, I], R [D, G*H, H] → Y [T, D, N, H], Y_h and Y_c [D, N, H]; with layout 1
 * the batch comes first everywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

#include <inttypes.h>

#define LARGEST INT64_C(0x7fffffff) /* a few times such an extent fits 64 bits */

static tn_dim dim(const tn_infer *ctx, uint32_t input, int32_t axis)
{
    const tn_type *type = input < ctx->input_count ? ctx->inputs[input] : NULL;
    return type && type->rank > axis ? type->dims[axis] : TN_DIM_UNKNOWN;
}

static void check_rank(tn_infer *ctx, uint32_t input, int32_t rank, const char *name,
                       const char *shape)
{
    const tn_type *type = input < ctx->input_count ? ctx->inputs[input] : NULL;
    if (type && type->rank >= 0 && type->rank != rank)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, input, NULL,
                                 "input '%s' has rank %d: expected %d, %s", name, type->rank, rank,
                                 shape);
}

static void check_dim(tn_infer *ctx, uint32_t input, int32_t axis, tn_dim expected,
                      const char *name, const char *what)
{
    const tn_dim found = dim(ctx, input, axis);
    if (tn_dim_known(found) && tn_dim_known(expected) && found != expected)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, input, NULL,
                                 "input '%s' has extent %" PRId64 " on axis %d: expected %" PRId64
                                 ", %s",
                                 name, found, axis, expected, what);
}

static int64_t directions_of(tn_infer *ctx)
{
    const char *direction = tn_attr_string(ctx->node, "direction", "forward");
    if (strcmp(direction, "bidirectional") == 0)
        return 2;
    if (strcmp(direction, "forward") != 0 && strcmp(direction, "reverse") != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "direction",
                                 "direction is '%s': expected forward, reverse or bidirectional",
                                 direction);
    return 1;
}

static void check_activations(tn_infer *ctx, int64_t directions)
{
    const rnn_kind *kind = ctx->call.user;
    const tn_attribute *names = tn_attr(ctx->node, "activations");
    double alpha, beta;
    int32_t uses;
    if (!names || names->type != TN_ATTR_STRINGS || !names->count)
        return;
    if (names->count != (size_t)(directions * kind->activations))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "activations",
                                 "activations has %zu names: expected %" PRId64
                                 ", %d for each direction",
                                 names->count, directions * kind->activations, kind->activations);
    for (size_t k = 0; k < names->count; k++)
        if (!rnn_find_activation(names->strings[k], &alpha, &beta, &uses))
            ctx->call.host->complain(
                &ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "activations",
                "activation '%.*s' is unknown: expected Relu, Tanh, Sigmoid, Softsign, Softplus, "
                "LeakyRelu, ThresholdedRelu, Elu, ScaledTanh, HardSigmoid or Affine",
                (int)(names->strings[k].count < 40 ? names->strings[k].count : 40),
                names->strings[k].bytes);
}

/* hidden_size is implied by R; where both stand they must agree. */
static tn_dim hidden_of(tn_infer *ctx)
{
    const int64_t attribute = tn_attr_int(ctx->node, "hidden_size", 0);
    const tn_dim from_r = dim(ctx, RNN_R, 2);
    if (attribute < 0 || attribute > LARGEST) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "hidden_size",
                                 "hidden_size is %" PRId64 ": expected 1 to %" PRId64, attribute,
                                 LARGEST);
        return TN_DIM_UNKNOWN;
    }
    if (attribute > 0 && tn_dim_known(from_r) && attribute != from_r)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "hidden_size",
                                 "hidden_size is %" PRId64 ", but input 'R' has extent %" PRId64
                                 " on axis 2",
                                 attribute, from_r);
    return attribute > 0 ? attribute : from_r;
}

static void check_inputs(tn_infer *ctx, int64_t directions, tn_dim hidden)
{
    const rnn_kind *kind = ctx->call.user;
    const tn_dim width = tn_dim_known(hidden) && hidden <= LARGEST ? hidden * kind->gates
                                                                   : TN_DIM_UNKNOWN;
    check_rank(ctx, RNN_X, 3, "X", "[time, batch, inputs]");
    check_rank(ctx, RNN_W, 3, "W", "[directions, gates*hidden, inputs]");
    check_rank(ctx, RNN_R, 3, "R", "[directions, gates*hidden, hidden]");
    check_rank(ctx, RNN_B, 2, "B", "[directions, 2*gates*hidden]");
    check_rank(ctx, RNN_LENGTHS, 1, "sequence_lens", "[batch]");
    check_dim(ctx, RNN_W, 0, directions, "W", "the number of directions");
    check_dim(ctx, RNN_W, 1, width, "W", "gates times hidden_size");
    check_dim(ctx, RNN_W, 2, dim(ctx, RNN_X, 2), "W", "the last extent of 'X'");
    check_dim(ctx, RNN_R, 0, directions, "R", "the number of directions");
    check_dim(ctx, RNN_R, 1, width, "R", "gates times hidden_size");
    check_dim(ctx, RNN_B, 0, directions, "B", "the number of directions");
    check_dim(ctx, RNN_B, 1, tn_dim_known(width) ? 2 * width : width, "B",
              "two biases for each gate");
}

/* initial_h and initial_c. */
static void check_state(tn_infer *ctx, uint32_t input, const char *name, int64_t layout,
                        int64_t directions, tn_dim batch, tn_dim hidden)
{
    check_rank(ctx, input, 3, name,
               layout ? "[batch, directions, hidden]" : "[directions, batch, hidden]");
    check_dim(ctx, input, layout ? 1 : 0, directions, name, "the number of directions");
    check_dim(ctx, input, layout ? 0 : 1, batch, name, "the batch");
    check_dim(ctx, input, 2, hidden, name, "hidden_size");
}

static void set_state(tn_infer *ctx, uint32_t k, int64_t layout, tn_dim directions, tn_dim batch,
                      tn_dim hidden)
{
    if (k >= ctx->output_count)
        return;
    ctx->outputs[k].rank = 3;
    ctx->outputs[k].dims[layout ? 1 : 0] = directions;
    ctx->outputs[k].dims[layout ? 0 : 1] = batch;
    ctx->outputs[k].dims[2] = hidden;
}

tn_status rnn_infer(tn_infer *ctx)
{
    const int64_t layout = tn_attr_int(ctx->node, "layout", 0), directions = directions_of(ctx);
    const tn_dim hidden = hidden_of(ctx);
    const tn_dim time = dim(ctx, RNN_X, layout ? 1 : 0), batch = dim(ctx, RNN_X, layout ? 0 : 1);
    check_inputs(ctx, directions, hidden);
    check_activations(ctx, directions);
    check_dim(ctx, RNN_LENGTHS, 0, batch, "sequence_lens", "the batch");
    check_state(ctx, RNN_INITIAL_H, "initial_h", layout, directions, batch, hidden);
    check_state(ctx, RNN_INITIAL_C, "initial_c", layout, directions, batch, hidden);
    check_rank(ctx, RNN_P, 2, "P", "[directions, 3*hidden]");
    check_dim(ctx, RNN_P, 0, directions, "P", "the number of directions");
    check_dim(ctx, RNN_P, 1,
              tn_dim_known(hidden) && hidden <= LARGEST ? 3 * hidden : TN_DIM_UNKNOWN, "P",
              "three peepholes for each hidden element");
    if (ctx->output_count > RNN_Y) {
        tn_type *y = &ctx->outputs[RNN_Y];
        y->rank = 4;
        y->dims[0] = layout ? batch : time;
        y->dims[1] = layout ? time : directions;
        y->dims[2] = layout ? directions : batch;
        y->dims[3] = hidden;
    }
    set_state(ctx, RNN_Y_H, layout, directions, batch, hidden);
    set_state(ctx, RNN_Y_C, layout, directions, batch, hidden);
    return TN_OK;
}

/* The products with W and R; gates' own products are elementwise and not counted. */
tn_status rnn_cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *x = ctx->inputs[RNN_X], *w = ctx->inputs[RNN_W], *r = ctx->inputs[RNN_R];
    const double steps = (double)x->dims[0] * (double)x->dims[1] * (double)w->dims[0];
    out->macs = steps * (double)w->dims[1] * ((double)w->dims[2] + (double)r->dims[2]);
    return TN_OK;
}

/* The batch: weights are shared, states and lengths are each sample's own. */
tn_status rnn_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const int layout = tn_attr_int(ctx->node, "layout", 0) != 0;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == RNN_LENGTHS                                         ? 0
                        : k == RNN_X || k == RNN_INITIAL_H || k == RNN_INITIAL_C ? !layout
                                                                                 : -1;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = layout ? 0 : k == RNN_Y ? 2 : 1;
    return TN_OK;
}
