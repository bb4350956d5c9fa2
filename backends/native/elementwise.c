/* elementwise.c: functions of one element, and Add, Sub, Mul, Div with any broadcasting.
 *
 * Runs on plain and on channels-last tensors alike: the output is walked in its own order, in runs
 * along which an operand either follows or stays the same.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

enum { GRAIN = 16384 }; /* elements that are worth a thread */

typedef struct element_state {
    native_step function;
    native_epilogue epilogue; /* steps that look at the same element only */
    int64_t run, count;       /* elements of a run, runs */
    uint32_t step[2];         /* 0: the operand stays along a run */
    int32_t outer;            /* axes that count the runs, */
    int64_t dims[TN_MAX_RANK];
    int64_t strides[2][TN_MAX_RANK];
    uint32_t binary;
} element_state;

/* Order of axes in memory: N, spatial…, C. */
static void axes_of(int32_t rank, uint32_t layout, int32_t *axes)
{
    for (int32_t k = 0; k < rank; k++)
        axes[k] = k;
    if (layout != TN_LAYOUT_CHANNELS_LAST || rank < 3)
        return;
    for (int32_t k = 1; k < rank - 1; k++)
        axes[k] = k + 1;
    axes[rank - 1] = 1;
}

/* Strides of a tensor in this layout, along the output's axes. */
static void strides_of(const tn_type *type, const tn_type *out, uint32_t layout, int64_t *strides)
{
    int32_t axes[TN_MAX_RANK];
    int64_t step = 1;
    const int32_t lead = out->rank - type->rank;
    axes_of(type->rank, layout, axes);
    for (int32_t k = 0; k < lead; k++)
        strides[k] = 0;
    for (int32_t k = type->rank - 1; k >= 0; k--) {
        strides[lead + axes[k]] = type->dims[axes[k]] == 1 ? 0 : step;
        step *= type->dims[axes[k]];
    }
}

/* Cuts the output, in its own order, into runs. */
static void plan_runs(element_state *s, const tn_problem *p, uint32_t layout)
{
    const tn_type *y = p->outputs[0];
    int64_t strides[2][TN_MAX_RANK] = { { 0 } }, follow[2] = { -1, -1 };
    int32_t axes[TN_MAX_RANK], k = y->rank - 1;
    axes_of(y->rank, layout, axes);
    for (int32_t j = 0; j < 2; j++)
        strides_of(p->inputs[s->binary ? j : 0], y,
                   p->inputs[s->binary ? j : 0]->rank == y->rank ? layout : TN_LAYOUT_PLAIN,
                   strides[j]);
    s->run = 1;
    for (; k >= 0; k--) {
        const int64_t extent = y->dims[axes[k]];
        bool fits = true;
        for (int32_t j = 0; j < 2 && extent > 1; j++) {
            const bool stays = strides[j][axes[k]] == 0;
            if (follow[j] >= 0 &&
                (stays != (follow[j] == 0) || (!stays && strides[j][axes[k]] != s->run)))
                fits = false;
            if (follow[j] < 0 && !stays && strides[j][axes[k]] != s->run)
                fits = false;
        }
        if (!fits)
            break;
        for (int32_t j = 0; j < 2 && extent > 1; j++)
            follow[j] = strides[j][axes[k]] != 0;
        s->run *= extent;
    }
    s->outer = k + 1;
    s->count = 1;
    for (int32_t i = 0; i < s->outer; i++) {
        s->dims[i] = y->dims[axes[i]];
        s->count *= s->dims[i];
        for (int32_t j = 0; j < 2; j++)
            s->strides[j][i] = strides[j][axes[i]];
    }
    for (int32_t j = 0; j < 2; j++)
        s->step[j] = follow[j] == 1;
}

static tn_status read_steps(const tn_problem *p, native_epilogue *out, char *reason, size_t bytes)
{
    TN_TRY(native_epilogue_read(p, -1, out, reason, bytes));
    for (uint32_t k = 0; k < out->count; k++)
        if (out->steps[k].spread == NATIVE_COLUMN) {
            strcpy(reason, "an operand for each channel");
            return TN_DECLINED;
        }
    return TN_OK;
}

static tn_status read_node(const tn_problem *p, element_state *s, char *reason, size_t bytes)
{
    static const int32_t inputs[] = { 0, 1, 2 };
    s->binary = native_binary_of(p->node->op, false, &s->function.function);
    if (!s->binary)
        TN_TRY(native_function_of(p, p->node, inputs, p->own_count, &s->function, reason, bytes));
    return read_steps(p, &s->epilogue, reason, bytes);
}

static tn_status element_offer(tn_offer *ctx)
{
    element_state unused = { 0 };
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "element by element";
    if (read_node(ctx->problem, &unused, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static void describe(tn_measure *ctx, const element_state *s, uint32_t k, uint32_t layout)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[k];
    const uint32_t own = s->binary ? 2 : 1;
    a->output_layouts[0] = layout;
    for (uint32_t j = 0; j < own; j++)
        a->input_layouts[j] = p->inputs[j]->rank == p->outputs[0]->rank ? layout : TN_LAYOUT_PLAIN;
    native_epilogue_layouts(&s->epilogue, a, layout, false);
    for (uint32_t j = own; j-- > 0;)
        if (native_count(p->inputs[j]) == native_count(p->outputs[0]))
            a->output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, j };
    a->algorithm = "element by element";
    a->seconds = native_seconds(native_isa_of(ctx->instance), 0,
                                4.0 * (double)(native_count(p->outputs[0]) * (own + 1)),
                                p->threads);
}

static tn_status element_measure(tn_measure *ctx, void *state)
{
    element_state *s = state;
    char reason[192] = "";
    if (read_node(ctx->problem, s, reason, sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    describe(ctx, s, 0, TN_LAYOUT_PLAIN);
    if (ctx->problem->outputs[0]->rank > 2) {
        ctx->alternative_count = 2;
        describe(ctx, s, 1, TN_LAYOUT_CHANNELS_LAST);
    }
    return TN_OK;
}

static tn_status element_prepare(tn_prepare *ctx, void *state)
{
    plan_runs(state, ctx->problem, ctx->chosen_index ? TN_LAYOUT_CHANNELS_LAST : TN_LAYOUT_PLAIN);
    return TN_OK;
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct element_job {
    const element_state *s;
    tn_run *ctx;
    const native_isa *isa;
} element_job;

static void binary_run(const element_job *job, const float *a, const float *b, float *y, int64_t n)
{
    native_function f = job->s->function.function, flipped = f;
    if (job->s->step[0] || !job->s->step[1]) {
        if (job->s->step[0] || n == 1) {
            job->isa->combine(f, a, b, job->s->step[1] || n == 1, y, n);
            return;
        }
        for (int64_t i = 0; i < n; i++) /* both stay: one value, repeated */
            job->isa->combine(f, a, b, 1, y + i, 1);
        return;
    }
    flipped = f == NATIVE_SUB ? NATIVE_SUB_FROM : f == NATIVE_DIV ? NATIVE_DIV_INTO : f;
    job->isa->combine(flipped, b, a, 0, y, n);
}

/* Elements [from, from + n) of run number `run`. */
static void piece(const element_job *job, int64_t run, int64_t from, int64_t n)
{
    const element_state *s = job->s;
    int64_t rest = run, at[2] = { 0, 0 };
    for (int32_t k = s->outer - 1; k >= 0; k--) {
        for (int32_t j = 0; j < 2; j++)
            at[j] += rest % s->dims[k] * s->strides[j][k];
        rest /= s->dims[k];
    }
    const int64_t first = run * s->run + from;
    const float *a = (const float *)job->ctx->inputs[0]->data + at[0] + from * s->step[0];
    float *y = (float *)job->ctx->outputs[0]->data + first;
    if (s->binary)
        binary_run(job, a, (const float *)job->ctx->inputs[1]->data + at[1] + from * s->step[1], y,
                   n);
    else
        job->isa->apply(s->function.function, s->function.a, s->function.b, a, y, n);
    native_finish(job->isa, &s->epilogue, job->ctx->inputs, y, n, 0, 1, first, n);
}

static tn_status element_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const element_job *job = user;
    (void)thread;
    while (begin < end) { /* counted in elements: a run may go to several threads */
        const int64_t run = begin / job->s->run, from = begin % job->s->run;
        int64_t n = job->s->run - from < end - begin ? job->s->run - from : end - begin;
        n = n > 4096 ? 4096 : n; /* with steps: what was computed stays in the cache */
        piece(job, run, from, n);
        begin += n;
    }
    return TN_OK;
}

static tn_status element_run(tn_run *ctx, const void *state, void *slot)
{
    const element_state *s = state;
    element_job job = { s, ctx, native_isa_of(ctx->instance) };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, s->run * s->count, GRAIN, element_chunk, &job);
}

#define ELEMENT(op)                                                                                \
    NATIVE_KERNEL(op, .state_bytes = sizeof(element_state), .offer = element_offer,                \
                  .measure = element_measure, .prepare = element_prepare, .run = element_run)

const tn_kernel_def native_elementwise_kernels[] = {
    ELEMENT("Add"),         ELEMENT("Sub"),       ELEMENT("Mul"),   ELEMENT("Div"),
    ELEMENT("Relu"),        ELEMENT("LeakyRelu"), ELEMENT("Clip"),  ELEMENT("Sigmoid"),
    ELEMENT("HardSigmoid"), ELEMENT("HardSwish"), ELEMENT("Swish"), ELEMENT("Tanh"),
    ELEMENT("Gelu"),        ELEMENT("Elu"),       ELEMENT("Exp"),   ELEMENT("Sqrt"),
    { .op = NULL },
};
