/* rotary.c: RotaryEmbedding (ONNX: RotaryEmbedding, 23), plain.
 *
 * A chunk is some positions of a sample; a position's heads share its angles. Rows of X [B, heads, S, D]
 * or [B, S, heads * D], cos and sin [B, S, half], or rows of them chosen by position_ids [B, S].
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <inttypes.h>

enum { IN_X, IN_COS, IN_SIN, IN_POSITIONS };

typedef struct rotary_state {
    int64_t batches, heads, positions, width;
    int64_t half;                     /* pairs of a head that are turned */
    int64_t head_step, position_step; /* of X, in elements */
    bool interleaved;
} rotary_state;

typedef struct rotary_job {
    const rotary_state *s;
    tn_run *ctx;
    const native_isa *isa;
} rotary_job;

static tn_status rotary_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "rows";
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "no epilogue here");
    return status;
}

static tn_status rotary_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[IN_X];
    const int64_t rotated = tn_attr_int(p->node, "rotary_embedding_dim", 0);
    const double bytes = 8.0 * (double)native_count(x);
    tn_alternative *a = &ctx->alternatives[0];
    rotary_state *s = state;
    const bool apart = x->rank == 4;
    s->batches = x->dims[0];
    s->heads = apart ? x->dims[1] : tn_attr_int(p->node, "num_heads", 1);
    s->positions = x->dims[apart ? 2 : 1];
    s->width = apart ? x->dims[3] : x->dims[2] / s->heads;
    s->half = (rotated ? rotated : s->width) / 2;
    s->head_step = apart ? s->positions * s->width : s->width;
    s->position_step = apart ? s->width : s->heads * s->width;
    s->interleaved = tn_attr_int(p->node, "interleaved", 0) != 0;
    a->output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, IN_X };
    a->algorithm = "rows";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0, bytes, p->threads);
    return TN_OK;
}

/* The row of the caches that a position reads; -1: it is outside. */
static int64_t angles_of(const tn_run *ctx, int64_t position)
{
    const tn_tensor *ids = ctx->input_count > IN_POSITIONS ? ctx->inputs[IN_POSITIONS] : NULL;
    const int64_t row = ids ? ((const int64_t *)ids->data)[position] : position;
    return !ids || (row >= 0 && row < ctx->inputs[IN_COS]->dims[0]) ? row : -1;
}

static tn_status rotary_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const rotary_job *job = user;
    const rotary_state *s = job->s;
    tn_run *ctx = job->ctx;
    const float *x = ctx->inputs[IN_X]->data;
    float *y = ctx->outputs[0]->data;
    const size_t rest = (size_t)(s->width - 2 * s->half) * sizeof *x;
    (void)thread;
    for (int64_t position = begin; position < end; position++) {
        const int64_t row = angles_of(ctx, position);
        if (row < 0)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "position_ids holds %" PRId64 ": expected 0 to %" PRId64
                           ", the rows of 'cos_cache'",
                           ((const int64_t *)ctx->inputs[IN_POSITIONS]->data)[position],
                           ctx->inputs[IN_COS]->dims[0] - 1);
        const float *c = (const float *)ctx->inputs[IN_COS]->data + row * s->half,
                    *sine = (const float *)ctx->inputs[IN_SIN]->data + row * s->half;
        const int64_t first = position / s->positions * s->positions * s->heads * s->width +
                              position % s->positions * s->position_step;
        for (int64_t h = 0; h < s->heads; h++) {
            const int64_t at = first + h * s->head_step;
            job->isa->rotate(s->interleaved, x + at, c, sine, y + at, s->half);
            memmove(y + at + 2 * s->half, x + at + 2 * s->half, rest);
        }
    }
    return TN_OK;
}

static tn_status rotary_run(tn_run *ctx, const void *state, void *slot)
{
    const rotary_state *s = state;
    rotary_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->batches * s->positions,
                                        1 + 8192 / (s->heads * s->width), rotary_chunk, &job);
}

const tn_kernel_def native_rotary_kernels[] = {
    NATIVE_KERNEL("RotaryEmbedding", .state_bytes = sizeof(rotary_state), .offer = rotary_offer,
                  .measure = rotary_measure, .run = rotary_run),
    { .op = NULL },
};
