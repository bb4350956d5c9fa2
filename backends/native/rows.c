/* rows.c: what goes over rows of the last axis: Softmax, LayerNormalization (ONNX), plain; and
 * BatchNormalization at inference, a factor and a summand for each channel, channels last.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

typedef struct row_state {
    native_epilogue epilogue;
    int64_t rows, count; /* how many, and elements of one */
    float epsilon;
} row_state;

typedef struct row_job {
    const row_state *s;
    tn_run *ctx;
    const native_isa *isa;
} row_job;

static tn_status offer_steps(tn_offer *ctx, int32_t column_axis)
{
    native_epilogue unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    if (ctx->problem->outputs[0]->rank < 1)
        return tn_fail(ctx, TN_DECLINED, "no axis to go along");
    if (native_epilogue_read(ctx->problem, column_axis, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static tn_status run_rows(tn_run *ctx, const row_state *s, tn_chunk_fn chunk)
{
    row_job job = { s, ctx, native_isa_of(ctx->instance) };
    return ctx->call.host->parallel_for(&ctx->call, s->rows, 1 + 8192 / s->count, chunk, &job);
}

static tn_status measure_last_axis(tn_measure *ctx, row_state *s, const char *algorithm)
{
    const tn_type *y = ctx->problem->outputs[0];
    char reason[192] = "";
    if (native_epilogue_read(ctx->problem, y->rank - 1, &s->epilogue, reason, sizeof reason) !=
        TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->count = s->epilogue.ld = y->dims[y->rank - 1];
    s->rows = native_count(y) / s->count;
    ctx->alternatives[0].output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, 0 };
    native_epilogue_layouts(&s->epilogue, &ctx->alternatives[0], TN_LAYOUT_PLAIN, false);
    ctx->alternatives[0].algorithm = algorithm;
    ctx->alternatives[0].seconds = native_seconds(
        native_isa_of(ctx->instance), 8.0 * (double)native_count(y), 12.0 * (double)native_count(y),
        ctx->problem->threads);
    return TN_OK;
}

/* ---- Softmax ---------------------------------------------------------------------------- */

static tn_status softmax_offer(tn_offer *ctx)
{
    const int32_t rank = ctx->problem->outputs[0]->rank;
    if (rank > 0 && tn_axis(tn_attr_int(ctx->problem->node, "axis", -1), rank) != rank - 1)
        return tn_fail(ctx, TN_DECLINED, "not along the last axis");
    ctx->algorithm = "rows";
    return offer_steps(ctx, rank - 1);
}

static tn_status softmax_measure(tn_measure *ctx, void *state)
{
    return measure_last_axis(ctx, state, "rows");
}

static tn_status softmax_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const row_job *job = user;
    const int64_t n = job->s->count;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        float *y = (float *)job->ctx->outputs[0]->data + row * n;
        job->isa->softmax((const float *)job->ctx->inputs[0]->data + row * n, y, n);
        native_finish(job->isa, &job->s->epilogue, job->ctx->inputs, y, n, row, 1, 0, n);
    }
    return TN_OK;
}

static tn_status softmax_run(tn_run *ctx, const void *state, void *slot)
{
    (void)slot;
    return run_rows(ctx, state, softmax_chunk);
}

/* ---- LayerNormalization ----------------------------------------------------------------- */

static tn_status layer_norm_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const int32_t rank = p->outputs[0] ? p->outputs[0]->rank : 0;
    for (uint32_t k = 1; k < p->output_count; k++)
        if (p->outputs[k])
            return tn_fail(ctx, TN_DECLINED, "mean or deviation are wanted");
    if (rank > 0 && tn_axis(tn_attr_int(p->node, "axis", -1), rank) != rank - 1)
        return tn_fail(ctx, TN_DECLINED, "more than the last axis is normalized");
    for (uint32_t k = 1; k < 3 && k < p->own_count && rank > 0; k++)
        if (p->inputs[k] &&
            (p->inputs[k]->rank < 1 ||
             p->inputs[k]->dims[p->inputs[k]->rank - 1] != p->outputs[0]->dims[rank - 1] ||
             native_count(p->inputs[k]) != p->outputs[0]->dims[rank - 1]))
            return tn_fail(ctx, TN_DECLINED, "scale or bias repeat along the row");
    ctx->algorithm = "rows";
    return offer_steps(ctx, rank - 1);
}

static tn_status layer_norm_measure(tn_measure *ctx, void *state)
{
    row_state *s = state;
    s->epsilon = tn_attr_float(ctx->problem->node, "epsilon", 1e-5f);
    return measure_last_axis(ctx, s, "rows");
}

static tn_status layer_norm_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const row_job *job = user;
    const int64_t n = job->s->count;
    const tn_tensor *const *in = job->ctx->inputs;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        float *y = (float *)job->ctx->outputs[0]->data + row * n;
        job->isa->layer_norm((const float *)in[0]->data + row * n, in[1]->data,
                             job->ctx->node->input_count > 2 && in[2] ? in[2]->data : NULL,
                             job->s->epsilon, y, n);
        native_finish(job->isa, &job->s->epilogue, in, y, n, row, 1, 0, n);
    }
    return TN_OK;
}

static tn_status layer_norm_run(tn_run *ctx, const void *state, void *slot)
{
    (void)slot;
    return run_rows(ctx, state, layer_norm_chunk);
}

/* ---- BatchNormalization ----------------------------------------------------------------- */

static tn_status batch_norm_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (tn_attr_int(p->node, "training_mode", 0))
        return tn_fail(ctx, TN_DECLINED, "training: statistics are computed");
    for (uint32_t k = 1; k < 5; k++)
        if (!p->constants[k] || p->inputs[k]->dtype != TN_FLOAT32)
            return tn_fail(ctx, TN_DECLINED, "statistics that are computed, or not float32");
    if (p->inputs[0]->rank >= 0 && p->inputs[0]->rank < 2)
        return tn_fail(ctx, TN_DECLINED, "no axis of channels");
    ctx->algorithm = "factor and summand";
    return offer_steps(ctx, 1);
}

static tn_status batch_norm_measure(tn_measure *ctx, void *state)
{
    static const uint32_t sources[] = { 1, 2, 3, 4 };
    const tn_problem *p = ctx->problem;
    const tn_type *y = p->outputs[0];
    tn_alternative *a = &ctx->alternatives[0];
    row_state *s = state;
    char reason[192] = "";
    if (native_epilogue_read(p, 1, &s->epilogue, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    s->count = s->epilogue.ld = y->dims[1];
    s->rows = native_count(y) / s->count;
    s->epsilon = tn_attr_float(p->node, "epsilon", 1e-5f);
    a->input_layouts[0] = a->output_layouts[0] = NATIVE_LAST_STRIDED;
    a->output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, 0 };
    native_epilogue_layouts(&s->epilogue, a, NATIVE_LAST_STRIDED, false);
    a->algorithm = "factor and summand";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0, 8.0 * (double)native_count(y),
                                p->threads);
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof(tn_pack_def),
                                 .source_count = 4,
                                 .sources = sources,
                                 .key = &s->epsilon,
                                 .key_bytes = sizeof s->epsilon,
                                 .bytes = (size_t)(2 * s->count) * sizeof(float) };
    return TN_OK;
}

static tn_status batch_norm_prepare(tn_prepare *ctx, void *state)
{
    const row_state *s = state;
    const float *in[5];
    float *out = ctx->packs[0].data;
    if (!ctx->packs[0].fill)
        return TN_OK;
    for (uint32_t k = 1; k < 5; k++)
        in[k] = ctx->problem->constants[k]->data;
    for (int64_t c = 0; c < s->count; c++) {
        const double factor = (double)in[1][c] / sqrt((double)in[4][c] + (double)s->epsilon);
        out[c] = (float)factor;
        out[s->count + c] = (float)((double)in[2][c] - (double)in[3][c] * factor);
    }
    return TN_OK;
}

static tn_status batch_norm_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const row_job *job = user;
    const int64_t n = job->s->count;
    const int64_t x_step = tn_row_step(job->ctx->inputs[0]);
    const int64_t y_step = tn_row_step(job->ctx->outputs[0]);
    const float *factors = job->ctx->packs[0];
    const native_epilogue *e = &job->s->epilogue;
    const bool relu = e->count == 1 && e->steps[0].function == NATIVE_RELU;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        float *y = (float *)job->ctx->outputs[0]->data + row * y_step;
        job->isa->affine((const float *)job->ctx->inputs[0]->data + row * x_step, factors,
                         factors + n, relu ? 0.0f : -INFINITY, y, n);
        if (relu)
            continue;
        native_finish(job->isa, &job->s->epilogue, job->ctx->inputs, y, n, row, 1, 0, n);
    }
    return TN_OK;
}

static tn_status batch_norm_run(tn_run *ctx, const void *state, void *slot)
{
    (void)slot;
    return run_rows(ctx, state, batch_norm_chunk);
}

const tn_kernel_def native_row_kernels[] = {
    NATIVE_KERNEL("Softmax", .since = 13, .state_bytes = sizeof(row_state), .offer = softmax_offer,
                  .measure = softmax_measure, .run = softmax_run),
    NATIVE_KERNEL("LayerNormalization", .state_bytes = sizeof(row_state), .offer = layer_norm_offer,
                  .measure = layer_norm_measure, .run = layer_norm_run),
    NATIVE_KERNEL("BatchNormalization", .since = 14, .state_bytes = sizeof(row_state),
                  .offer = batch_norm_offer, .measure = batch_norm_measure,
                  .prepare = batch_norm_prepare, .run = batch_norm_run),
    { .op = NULL },
};
