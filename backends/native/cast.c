/* cast.c: Cast of int32 to float32 (ONNX: Cast), plain: what follows products of integers in networks
 * that are quantized while they run, most often with the scales and a bias as its epilogue.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

enum { GRAIN = 16384 }; /* elements that are worth a thread */

typedef struct cast_state {
    native_epilogue epilogue;
    int64_t columns;
} cast_state;

static tn_status cast_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    char reason[192] = "";
    native_epilogue unused;
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "rows";
    if (!p->outputs[0] || p->outputs[0]->rank < 1)
        return tn_fail(ctx, TN_DECLINED, "one element: nothing to gain");
    if (native_epilogue_read(p, p->outputs[0]->rank - 1, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static tn_status cast_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    cast_state *s = state;
    char reason[192] = "";
    if (native_epilogue_read(p, p->outputs[0]->rank - 1, &s->epilogue, reason, sizeof reason) !=
        TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->columns = s->epilogue.ld = p->outputs[0]->dims[p->outputs[0]->rank - 1];
    a->algorithm = "rows";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                8.0 * (double)native_count(p->outputs[0]), p->threads);
    return TN_OK;
}

typedef struct cast_job {
    const cast_state *s;
    tn_run *ctx;
} cast_job;

static tn_status cast_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const cast_job *job = user;
    const int64_t columns = job->s->columns;
    const int32_t *x = (const int32_t *)job->ctx->inputs[0]->data + begin * columns;
    float *y = (float *)job->ctx->outputs[0]->data + begin * columns;
    (void)thread;
    for (int64_t row = begin; row < end; row++, x += columns, y += columns) {
        for (int64_t k = 0; k < columns; k++)
            y[k] = (float)x[k];
        native_finish(native_isa_of(job->ctx->instance), &job->s->epilogue, job->ctx->inputs, y,
                      columns, row, 1, 0, columns);
    }
    return TN_OK;
}

static tn_status cast_run(tn_run *ctx, const void *state, void *slot)
{
    const cast_state *s = state;
    cast_job job = { s, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->outputs[0]) / s->columns,
                                        1 + GRAIN / s->columns, cast_chunk, &job);
}

const tn_kernel_def native_cast_kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "Cast",
      .backend = "native",
      .types = TN_BIT(TN_INT32),
      .state_bytes = sizeof(cast_state),
      .offer = cast_offer,
      .measure = cast_measure,
      .run = cast_run },
    { .op = NULL },
};
