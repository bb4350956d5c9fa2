/* elementwise.c: functions of one element, and of two (Add, Mul, Max, Pow …) with any broadcasting.
 *
 * Runs on plain and on channels-last tensors alike: the output is walked in its own order, in runs
 * along which an operand either follows or stays the same.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

enum {
    GRAIN = 16384, /* elements that are worth a thread */
    MOST = 4096    /* of a piece */
};

typedef struct element_state {
    native_step function;
    native_epilogue epilogue;
    int64_t columns; /* a step's operand repeats in every row of so many elements; 0: none does */
    uint32_t layouts[2]; /* of the alternatives */
    int64_t run, count;  /* elements of a run, runs */
    uint32_t step[2];    /* 0: the operand stays along a run */
    int32_t outer;       /* axes that count the runs, */
    int64_t dims[TN_MAX_RANK];
    int64_t strides[2][TN_MAX_RANK];
    uint32_t binary;
} element_state;

/* Strides of a tensor along the output's axes. */
static void strides_of(const tn_tensor *x, const tn_tensor *out, int64_t *strides)
{
    const int32_t lead = out->rank - x->rank;
    native_strides(x, strides + lead);
    for (int32_t k = 0; k < out->rank; k++)
        if (k < lead || x->dims[k - lead] == 1)
            strides[k] = 0;
}

/* Cuts the output, in its own order, into runs; into rows at most where it is a strided view. */
static void plan_runs(element_state *s, const tn_tensor *const *x, const tn_tensor *y)
{
    int64_t strides[2][TN_MAX_RANK] = { { 0 } }, follow[2] = { -1, -1 };
    int32_t axes[TN_MAX_RANK], k = y->rank - 1;
    const int32_t stop = y->strides ? y->rank - 1 : 0;
    native_axes_of(y->rank, y->layout, axes);
    for (int32_t j = 0; j < 2; j++)
        strides_of(x[s->binary ? j : 0], y, strides[j]);
    s->run = 1;
    for (; k >= stop; k--) {
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

static tn_tensor tensor_of(const tn_type *type, uint32_t layout)
{
    return (tn_tensor){ .rank = type->rank, .dims = type->dims, .layout = layout };
}

/* Nothing strided: the runs are the same each time. */
static void plan_dense(element_state *s, const tn_problem *p, uint32_t layout)
{
    const tn_tensor y = tensor_of(p->outputs[0], layout);
    tn_tensor x[2];
    const tn_tensor *inputs[] = { &x[0], &x[1] };
    for (int32_t j = 0; j < (s->binary ? 2 : 1); j++)
        x[j] = tensor_of(p->inputs[j], p->inputs[j]->rank == y.rank ? layout : TN_LAYOUT_PLAIN);
    plan_runs(s, inputs, &y);
}

static bool has_columns(const native_epilogue *e)
{
    for (uint32_t k = 0; k < e->count; k++)
        if (e->steps[k].spread == NATIVE_COLUMN)
            return true;
    return false;
}

/* A step's operand may repeat along rows of what is innermost in this layout. */
static tn_status read_steps(const tn_problem *p, uint32_t layout, element_state *s, char *reason,
                            size_t bytes)
{
    const tn_type *y = p->outputs[0];
    const int32_t axis = layout == TN_LAYOUT_CHANNELS_LAST ? 1 : y->rank - 1;
    TN_TRY(native_epilogue_read(p, axis, &s->epilogue, reason, bytes));
    if (!has_columns(&s->epilogue) || !(p->flags & TN_PROBLEM_SHAPES_KNOWN))
        return TN_OK;
    s->columns = s->epilogue.ld = y->dims[axis];
    return TN_OK;
}

static tn_status read_binary(const tn_problem *p, element_state *s, char *reason, size_t bytes)
{
    if (strcmp(p->node->op, "PRelu") == 0)
        s->function.function = NATIVE_PRELU;
    else if (!native_binary_of(p->node->op, false, &s->function.function))
        return TN_NO_MATCH;
    if (p->own_count != 2 || p->inputs[1]->dtype != TN_FLOAT32) {
        snprintf(reason, bytes, "%u inputs, or not all float32: two are wanted here", p->own_count);
        return TN_DECLINED;
    }
    s->binary = 1;
    return TN_OK;
}

static tn_status read_function(const tn_problem *p, element_state *s, char *reason, size_t bytes)
{
    static const int32_t inputs[] = { 0, 1, 2 };
    memset(s, 0, sizeof *s);
    if (!native_is_power(p, p->node, inputs, p->own_count)) {
        const tn_status status = read_binary(p, s, reason, bytes);
        if (status != TN_NO_MATCH)
            return status;
    }
    return native_function_of(p, p->node, inputs, p->own_count, &s->function, reason, bytes);
}

/* The layouts in which the epilogue goes; answers how many. */
static uint32_t read_node(const tn_problem *p, element_state *s, char *reason, size_t bytes)
{
    uint32_t count = 0;
    if (read_function(p, s, reason, bytes) != TN_OK)
        return 0;
    if (read_steps(p, TN_LAYOUT_PLAIN, s, reason, bytes) == TN_OK)
        s->layouts[count++] = TN_LAYOUT_PLAIN;
    if (p->outputs[0]->rank > 2 &&
        read_steps(p, TN_LAYOUT_CHANNELS_LAST, s, reason, bytes) == TN_OK)
        s->layouts[count++] = TN_LAYOUT_CHANNELS_LAST;
    return count;
}

static tn_status element_offer(tn_offer *ctx)
{
    element_state unused;
    char reason[192] = "";
    const tn_status status = native_offer(ctx);
    if (status == TN_DECLINED)
        return status;
    ctx->algorithm = "element by element";
    if (read_node(ctx->problem, &unused, reason, sizeof reason) == 0)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return status;
}

static void describe(tn_measure *ctx, const element_state *s, uint32_t k, uint32_t layout)
{
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[k];
    const uint32_t own = s->binary ? 2 : 1;
    a->output_layouts[0] = layout | TN_LAYOUT_STRIDED;
    for (uint32_t j = 0; j < own; j++)
        a->input_layouts[j] = p->inputs[j]->rank == p->outputs[0]->rank ? layout | TN_LAYOUT_STRIDED
                                                                        : TN_LAYOUT_PLAIN;
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
    ctx->alternative_count = read_node(ctx->problem, s, reason, sizeof reason);
    if (ctx->alternative_count == 0)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    for (uint32_t k = 0; k < ctx->alternative_count; k++) {
        TN_TRY(read_steps(ctx->problem, s->layouts[k], s, reason, sizeof reason));
        describe(ctx, s, k, s->layouts[k]);
    }
    return TN_OK;
}

static tn_status element_prepare(tn_prepare *ctx, void *state)
{
    element_state *s = state;
    char reason[192] = "";
    plan_dense(s, ctx->problem, s->layouts[ctx->chosen_index]);
    return read_steps(ctx->problem, s->layouts[ctx->chosen_index], s, reason, sizeof reason);
}

/* ---- run -------------------------------------------------------------------------------- */

typedef struct element_job {
    const element_state *s;
    tn_run *ctx;
    const native_isa *isa;
} element_job;

/* With its operands the other way round. */
static native_function flipped_of(native_function f)
{
    return f == NATIVE_SUB   ? NATIVE_SUB_FROM
           : f == NATIVE_DIV ? NATIVE_DIV_INTO
           : f == NATIVE_POW ? NATIVE_POW_INTO
                             : f;
}

static void binary_run(const element_job *job, const float *a, const float *b, float *y, int64_t n)
{
    const native_function f = job->s->function.function;
    if (job->s->step[0] || !job->s->step[1]) {
        if (job->s->step[0] || n == 1) {
            job->isa->combine(f, a, b, job->s->step[1] || n == 1, y, n);
            return;
        }
        for (int64_t i = 0; i < n; i++) /* both stay: one value, repeated */
            job->isa->combine(f, a, b, 1, y + i, 1);
        return;
    }
    job->isa->combine(flipped_of(f), b, a, 0, y, n);
}

/* The steps, on elements [first, first + n) of the output. */
static void finish(const element_job *job, float *y, int64_t first, int64_t n)
{
    const element_state *s = job->s;
    const int64_t width = s->columns;
    if (!width) {
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, y, n, 0, 1, first, n);
        return;
    }
    while (n > 0) { /* to the end of a row, whole rows, a part of one */
        const int64_t column = first % width;
        const int64_t rows = column || n < width ? 1 : n / width;
        const int64_t some = width - column < n ? width - column : n;
        native_finish(job->isa, &s->epilogue, job->ctx->inputs, y, width, first / width, rows,
                      column, some);
        first += rows * some;
        y += rows * some;
        n -= rows * some;
    }
}

/* Where element `first` of the output lies. */
static int64_t place_of(const element_job *job, int64_t first)
{
    const tn_tensor *y = job->ctx->outputs[0];
    return y->strides ? first / tn_row_length(y) * tn_row_step(y) + first % tn_row_length(y)
                      : first;
}

/* How many runs from number `run` on, out of `most`, lie evenly in all tensors. */
static int64_t even_runs(const element_job *job, int64_t run, int64_t most)
{
    const element_state *s = job->s;
    const bool both_stay = s->run > 1 && !s->step[0] && !s->step[1];
    if (!s->binary || s->outer == 0 || both_stay || job->ctx->outputs[0]->strides)
        return 1;
    const int64_t extent = s->dims[s->outer - 1], left = extent - run % extent;
    return left < most ? left : most;
}

/* Whole runs, evenly apart: a plane times a vector of channels, say. */
static void binary_rows(const element_job *job, const float *a, const float *b, float *y,
                        int64_t rows)
{
    const element_state *s = job->s;
    const int64_t *strides[] = { s->strides[0], s->strides[1] };
    const bool flipped = !s->step[0] && s->step[1];
    const native_rows work = { .x = flipped ? b : a,
                               .operand = flipped ? a : b,
                               .y = y,
                               .x_step = strides[flipped][s->outer - 1],
                               .operand_step = strides[!flipped][s->outer - 1],
                               .y_step = s->run,
                               .rows = rows,
                               .count = s->run,
                               .along = s->step[!flipped] || s->run == 1 };
    job->isa->combine_rows(flipped ? flipped_of(s->function.function) : s->function.function,
                           &work);
}

/* Elements [from, from + n) of run number `run`; several runs: all of them. */
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
    float *y = (float *)job->ctx->outputs[0]->data + place_of(job, first);
    if (n > s->run)
        binary_rows(job, a, (const float *)job->ctx->inputs[1]->data + at[1], y, n / s->run);
    else if (s->binary)
        binary_run(job, a, (const float *)job->ctx->inputs[1]->data + at[1] + from * s->step[1], y,
                   n);
    else
        job->isa->apply(s->function.function, s->function.a, s->function.b, a, y, n);
    finish(job, y, first, n);
}

static tn_status element_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const element_job *job = user;
    (void)thread;
    while (begin < end) { /* counted in elements: a run may go to several threads */
        const int64_t run = begin / job->s->run, from = begin % job->s->run;
        int64_t n = job->s->run - from < end - begin ? job->s->run - from : end - begin;
        n = n > MOST ? MOST : n; /* with steps: what was computed stays in the cache */
        if (n == job->s->run)
            n *= even_runs(job, run, (end - begin < MOST ? end - begin : MOST) / n);
        piece(job, run, from, n);
        begin += n;
    }
    return TN_OK;
}

static tn_status element_run(tn_run *ctx, const void *state, void *slot)
{
    const element_state *s = state;
    element_state strided;
    (void)slot;
    if (ctx->outputs[0]->strides || ctx->inputs[0]->strides ||
        (s->binary && ctx->inputs[1]->strides)) {
        strided = *s;
        plan_runs(&strided, ctx->inputs, ctx->outputs[0]);
        s = &strided;
    }
    element_job job = { s, ctx, native_isa_of(ctx->instance) };
    return ctx->call.host->parallel_for(&ctx->call, s->run * s->count, GRAIN, element_chunk, &job);
}

#define ELEMENT(op)                                                                                \
    NATIVE_KERNEL(op, .state_bytes = sizeof(element_state), .offer = element_offer,                \
                  .measure = element_measure, .prepare = element_prepare, .run = element_run)

const tn_kernel_def native_elementwise_kernels[] = {
    ELEMENT("Add"),         ELEMENT("Sub"),       ELEMENT("Mul"),      ELEMENT("Div"),
    ELEMENT("Max"),         ELEMENT("Min"),       ELEMENT("Pow"),      ELEMENT("PRelu"),
    ELEMENT("Relu"),        ELEMENT("LeakyRelu"), ELEMENT("Clip"),     ELEMENT("Sigmoid"),
    ELEMENT("HardSigmoid"), ELEMENT("HardSwish"), ELEMENT("Swish"),    ELEMENT("Tanh"),
    ELEMENT("Gelu"),        ELEMENT("Elu"),       ELEMENT("Exp"),      ELEMENT("Sqrt"),
    ELEMENT("Erf"),         ELEMENT("Neg"),       ELEMENT("Abs"),      ELEMENT("Log"),
    ELEMENT("Reciprocal"),  ELEMENT("Softplus"),  ELEMENT("Softsign"), ELEMENT("Mish"),
    ELEMENT("Selu"),        { .op = NULL },
};
