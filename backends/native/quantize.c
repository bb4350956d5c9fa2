/* quantize.c: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear (ONNX: those) between float32
 * and bytes, with one scale or one for each place on an axis; plain or channels last.
 *
 * An element's scale repeats along a run, or follows it: runs are rows of channels, or what lies
 * behind a place of the axis.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

enum { X, SCALE, ZERO, GRAIN = 16384 };

typedef struct quantize_state {
    int64_t run, places; /* elements of a run; scales: 1 or the axis' extent */
    uint32_t follows;    /* scales follow the run; else a place for each, in turn */
    uint32_t to_bytes, is_signed;
} quantize_state;

static bool is_quantize(const tn_problem *p)
{
    return strcmp(p->node->op, "QuantizeLinear") == 0;
}

static tn_status quantize_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const bool to = is_quantize(p);
    const tn_status status = native_offer_any(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "runs";
    const uint32_t bytes = to ? p->outputs[0]->dtype : p->inputs[X]->dtype;
    const uint32_t floats = to ? p->inputs[X]->dtype : p->outputs[0]->dtype;
    const int64_t precision = tn_attr_int(p->node, "precision", 0);
    if (!(TN_BIT(bytes) & NATIVE_BYTES) || floats != TN_FLOAT32 ||
        p->inputs[SCALE]->dtype != TN_FLOAT32 || (precision && precision != TN_FLOAT32))
        return tn_fail(ctx, TN_DECLINED, "type numbers %u and %u: float32 and bytes only", floats,
                       bytes);
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "nothing is applied to integers here");
    if (tn_attr_int(p->node, "block_size", 0))
        return tn_fail(ctx, TN_DECLINED, "a scale for each block");
    return status;
}

/* Which alternatives there are: channels last, where the scales are one or lie along the channels. */
static tn_status quantize_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[X];
    quantize_state *s = state;
    s->places = native_count(p->inputs[SCALE]);
    s->to_bytes = is_quantize(p);
    s->is_signed = (s->to_bytes ? p->outputs[0] : x)->dtype == TN_INT8;
    ctx->alternative_count = x->rank > 2 && (s->places == 1 ||
                                             tn_axis(tn_attr_int(p->node, "axis", 1), x->rank) == 1)
                                 ? 2
                                 : 1;
    for (uint32_t k = 0; k < ctx->alternative_count; k++) {
        tn_alternative *a = &ctx->alternatives[k];
        a->input_layouts[X] = a->output_layouts[0] = k ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN;
        a->algorithm = "runs";
        a->seconds = native_seconds(native_isa_of(ctx->instance), 0, 5.0 * (double)native_count(x),
                                    p->threads);
        a->scratch_bytes = (size_t)s->places * sizeof(int32_t);
    }
    return TN_OK;
}

static tn_status quantize_prepare(tn_prepare *ctx, void *state)
{
    const tn_type *x = ctx->problem->inputs[X];
    quantize_state *s = state;
    const int32_t axis = tn_axis(tn_attr_int(ctx->problem->node, "axis", 1), x->rank);
    s->run = native_count(x);
    s->follows = 0;
    if (s->places == 1)
        return TN_OK;
    s->follows = ctx->chosen_index == 1 || axis == x->rank - 1;
    s->run = s->follows ? s->places : tn_extent(x->dims, axis + 1, x->rank);
    return TN_OK;
}

typedef struct quantize_job {
    const quantize_state *s;
    tn_run *ctx;
    const native_isa *isa;
    const int32_t *zeros;
} quantize_job;

/* Elements [begin, begin + count) of one run. */
static void one_run(const quantize_job *job, int64_t begin, int64_t count, int64_t place)
{
    const quantize_state *s = job->s;
    const tn_tensor *x = job->ctx->inputs[X], *y = job->ctx->outputs[0];
    const native_quantize how = { .scale = (const float *)job->ctx->inputs[SCALE]->data + place,
                                  .zero = job->zeros + place,
                                  .step = s->follows,
                                  .is_signed = s->is_signed };
    if (s->to_bytes)
        job->isa->integer->quantize(&how, (const float *)x->data + begin,
                                    (uint8_t *)y->data + begin, count);
    else
        job->isa->integer->dequantize(&how, (const uint8_t *)x->data + begin,
                                      (float *)y->data + begin, count);
}

static tn_status quantize_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const quantize_job *job = user;
    const quantize_state *s = job->s;
    (void)thread;
    while (begin < end) {
        const int64_t in = begin % s->run, left = s->run - in;
        const int64_t count = left < end - begin ? left : end - begin;
        one_run(job, begin, count, s->follows ? in : begin / s->run % s->places);
        begin += count;
    }
    return TN_OK;
}

static tn_status quantize_run(tn_run *ctx, const void *state, void *slot)
{
    const quantize_state *s = state;
    const tn_tensor *zero = native_tensor_at(ctx, ZERO);
    int32_t *zeros = ctx->scratch;
    quantize_job job = { s, ctx, native_isa_of(ctx->instance), zeros };
    (void)slot;
    for (int64_t k = 0; k < s->places; k++)
        zeros[k] = zero ? (int32_t)tn_get_int(zero->dtype, zero->data, k) : 0;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->inputs[X]), GRAIN, quantize_chunk,
                                        &job);
}

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------- */

static tn_status dynamic_offer(tn_offer *ctx)
{
    ctx->algorithm = "range, then runs";
    return native_offer_any(ctx);
}

/* Elements one by one: as well channels last as plain. */
static tn_status dynamic_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    (void)state;
    ctx->alternative_count = p->inputs[0]->rank > 2 ? 2 : 1;
    for (uint32_t k = 0; k < ctx->alternative_count; k++) {
        tn_alternative *a = &ctx->alternatives[k];
        a->input_layouts[0] = k ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN;
        if (p->outputs[0])
            a->output_layouts[0] = a->input_layouts[0];
        a->algorithm = "range, then runs";
        a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                    9.0 * (double)native_count(p->inputs[0]), p->threads);
        a->scratch_bytes = NATIVE_RANGE_BYTES * (size_t)p->threads;
    }
    return TN_OK;
}

typedef struct dynamic_job {
    tn_run *ctx;
    const native_isa *isa;
    float scale;
    int32_t zero;
} dynamic_job;

static tn_status dynamic_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const dynamic_job *job = user;
    const native_quantize how = { .scale = &job->scale, .zero = &job->zero };
    (void)thread;
    job->isa->integer->quantize(&how, (const float *)job->ctx->inputs[0]->data + begin,
                                (uint8_t *)job->ctx->outputs[0]->data + begin, end - begin);
    return TN_OK;
}

static tn_status dynamic_run(tn_run *ctx, const void *state, void *slot)
{
    const int64_t count = tn_count(ctx->inputs[0]);
    dynamic_job job = { .ctx = ctx, .isa = native_isa_of(ctx->instance) };
    (void)state, (void)slot;
    TN_TRY(native_dynamic_range(ctx, job.isa, ctx->scratch, &job.scale, &job.zero));
    if (ctx->output_count > 1 && ctx->outputs[1])
        *(float *)ctx->outputs[1]->data = job.scale;
    if (ctx->output_count > 2 && ctx->outputs[2])
        *(uint8_t *)ctx->outputs[2]->data = (uint8_t)job.zero;
    if (!ctx->outputs[0])
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, count, GRAIN, dynamic_chunk, &job);
}

#define QUANTIZE                                                                                   \
    .state_bytes = sizeof(quantize_state), .offer = quantize_offer, .measure = quantize_measure,   \
    .prepare = quantize_prepare, .run = quantize_run

const tn_kernel_def native_quantize_kernels[] = {
    NATIVE_KERNEL("QuantizeLinear", QUANTIZE),
    NATIVE_BYTE_KERNEL("DequantizeLinear", QUANTIZE),
    NATIVE_KERNEL("DynamicQuantizeLinear", .offer = dynamic_offer, .measure = dynamic_measure,
                  .run = dynamic_run),
    { .op = NULL },
};
