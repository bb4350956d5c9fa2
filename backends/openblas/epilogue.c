/* epilogue.c: bias and elementwise steps on a run of the output, while it is in the cache.
 *
 * Steps: Relu, LeakyRelu, Clip, Sigmoid, Swish, HardSwish; Add, Sub, Mul with a whole tensor, a
 * scalar, a value for each channel (axis 1) or for each column (last axis). NaN goes through all.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RELU, LEAKY, CLIP, SIGMOID, SWISH, HARD_SWISH, ADD, SUB, MUL };
enum { COLUMN = TN_SPREAD_OTHER + 1 };

static const struct {
    const char *op;
    uint32_t kind;
} kinds[] = {
    { "Relu", RELU },       { "LeakyRelu", LEAKY }, { "Clip", CLIP },
    { "Sigmoid", SIGMOID }, { "Swish", SWISH },     { "HardSwish", HARD_SWISH },
    { "Add", ADD },         { "Sub", SUB },         { "Mul", MUL },
};

/* ---- reading ---------------------------------------------------------------------------- */

static tn_status read_bounds(const tn_problem *p, const tn_step *step, oblas_step *out,
                             char *reason, size_t bytes)
{
    double *bounds[2] = { &out->low, &out->high };
    out->low = -(double)INFINITY;
    out->high = (double)INFINITY;
    for (uint32_t k = 1; k < 3 && k < step->input_count; k++) {
        const int32_t input = step->inputs[k];
        if (input < 0 || !p->inputs[input])
            continue;
        if (!p->constants[input]) {
            snprintf(reason, bytes, "Clip's bounds are computed: a step here wants numbers");
            return TN_DECLINED;
        }
        *bounds[k - 1] = tn_get_double(p->constants[input]->dtype, p->constants[input]->data, 0);
    }
    return TN_OK;
}

static tn_status read_operand(const tn_problem *p, const tn_step *step, oblas_step *out,
                              char *reason, size_t bytes)
{
    const tn_type *y = p->outputs[0], *type = step->operand < 0 ? NULL : p->inputs[step->operand];
    out->operand = step->operand;
    out->spread = step->spread;
    out->flipped = step->chain_input == 1;
    if (!type || step->input_count != 2) {
        snprintf(reason, bytes, "a step of %u inputs: here it has one operand", step->input_count);
        return TN_DECLINED;
    }
    if (step->spread != TN_SPREAD_OTHER)
        return TN_OK;
    /* The rest of broadcasting: a row, repeated. */
    if (type->rank < 1 || y->rank < 1 || type->dims[type->rank - 1] != y->dims[y->rank - 1] ||
        tn_extent(type->dims, 0, type->rank - 1) != 1) {
        snprintf(reason, bytes, "an operand of %s repeats on an axis that a step here cannot",
                 step->node->op);
        return TN_DECLINED;
    }
    out->spread = COLUMN;
    return TN_OK;
}

static tn_status read_step(const tn_problem *p, const tn_step *step, oblas_step *out, char *reason,
                           size_t bytes)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (step->node->domain[0] || strcmp(kinds[k].op, step->node->op) != 0)
            continue;
        out->kind = kinds[k].kind;
        out->operand = -1;
        out->low = (double)tn_attr_float(step->node, "alpha", out->kind == SWISH ? 1.0f : 0.01f);
        if (out->kind >= ADD)
            return read_operand(p, step, out, reason, bytes);
        return out->kind == CLIP ? read_bounds(p, step, out, reason, bytes) : TN_OK;
    }
    snprintf(reason, bytes, "%s is no step of an epilogue here", step->node->op);
    return TN_DECLINED;
}

tn_status oblas_epilogue_read(const tn_problem *p, int32_t bias, oblas_epilogue *out, char *reason,
                              size_t bytes)
{
    const tn_type *y = p->outputs[0];
    memset(out, 0, sizeof *out);
    out->dtype = p->inputs[0]->dtype;
    if (p->step_count + 1 > OBLAS_MAX_STEPS) {
        snprintf(reason, bytes, "an epilogue of %u steps: at most %d here", p->step_count,
                 OBLAS_MAX_STEPS - 1);
        return TN_DECLINED;
    }
    if (p->flags & TN_PROBLEM_SHAPES_KNOWN) {
        out->channels = y->rank > 1 ? y->dims[1] : 1;
        out->inner = y->rank > 1 ? tn_extent(y->dims, 2, y->rank) : 1;
        out->columns = y->rank > 0 ? y->dims[y->rank - 1] : 1;
    }
    if (bias >= 0)
        out->steps[out->count++] =
            (oblas_step){ .kind = ADD, .spread = TN_SPREAD_CHANNEL, .operand = bias };
    for (uint32_t k = 0; k < p->step_count; k++)
        TN_TRY(read_step(p, &p->steps[k], &out->steps[out->count++], reason, bytes));
    return TN_OK;
}

/* ---- applying --------------------------------------------------------------------------- */

/* One set of functions for each type. */
#define DEFINE(REAL, EXP, name)                                                                    \
    static void name##_function(const oblas_step *s, REAL *x, int64_t count)                       \
    {                                                                                              \
        const REAL low = (REAL)s->low, high = (REAL)s->high;                                       \
        switch (s->kind) {                                                                         \
        case RELU:                                                                                 \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] = x[i] < 0 ? 0 : x[i];                                                        \
            break;                                                                                 \
        case LEAKY:                                                                                \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] = x[i] < 0 ? low * x[i] : x[i];                                               \
            break;                                                                                 \
        case CLIP: /* the upper bound wins where they cross, as in numpy */                        \
            for (int64_t i = 0; i < count; i++) {                                                  \
                x[i] = x[i] < low ? low : x[i];                                                    \
                x[i] = x[i] > high ? high : x[i];                                                  \
            }                                                                                      \
            break;                                                                                 \
        case SIGMOID:                                                                              \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] = 1 / (1 + EXP(-x[i]));                                                       \
            break;                                                                                 \
        case SWISH:                                                                                \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] = x[i] / (1 + EXP(-low * x[i]));                                              \
            break;                                                                                 \
        default: /* HARD_SWISH */                                                                  \
            for (int64_t i = 0; i < count; i++) {                                                  \
                REAL gate = x[i] / 6 + (REAL)0.5;                                                  \
                gate = gate < 0 ? 0 : gate;                                                        \
                x[i] *= gate > 1 ? 1 : gate;                                                       \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    /* step: 0 where one value of b serves the run, else 1 */                                      \
    static void name##_binary(const oblas_step *s, REAL *x, const REAL *b, int64_t step,           \
                              int64_t count)                                                       \
    {                                                                                              \
        if (s->kind == ADD)                                                                        \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] += b[i * step];                                                               \
        else if (s->kind == MUL)                                                                   \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] *= b[i * step];                                                               \
        else if (s->flipped)                                                                       \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] = b[i * step] - x[i];                                                         \
        else                                                                                       \
            for (int64_t i = 0; i < count; i++)                                                    \
                x[i] -= b[i * step];                                                               \
    }                                                                                              \
    /* Cuts the run where the operand starts again. */                                             \
    static void name##_operand(const oblas_epilogue *e, const oblas_step *s, REAL *x,              \
                               const REAL *b, int64_t at, int64_t count)                           \
    {                                                                                              \
        const bool rows = s->spread == COLUMN || e->inner == 1;                                    \
        const int64_t period = s->spread == COLUMN ? e->columns : rows ? e->channels : e->inner;   \
        while (count > 0) {                                                                        \
            const int64_t left = period - at % period, run = left < count ? left : count;          \
            name##_binary(s, x, b + (rows ? at % period : at / period % e->channels), rows, run);  \
            x += run;                                                                              \
            at += run;                                                                             \
            count -= run;                                                                          \
        }                                                                                          \
    }                                                                                              \
    static void name##_apply(const oblas_epilogue *e, const tn_run *ctx, int64_t at,               \
                             int64_t count)                                                        \
    {                                                                                              \
        REAL *x = (REAL *)ctx->outputs[0]->data + at;                                              \
        for (uint32_t k = 0; k < e->count; k++) {                                                  \
            const oblas_step *s = &e->steps[k];                                                    \
            const REAL *b = s->operand < 0 ? NULL : ctx->inputs[s->operand]->data;                 \
            if (!b)                                                                                \
                name##_function(s, x, count);                                                      \
            else if (s->spread == TN_SPREAD_FULL)                                                  \
                name##_binary(s, x, b + at, 1, count);                                             \
            else if (s->spread == TN_SPREAD_SCALAR)                                                \
                name##_binary(s, x, b, 0, count);                                                  \
            else                                                                                   \
                name##_operand(e, s, x, b, at, count);                                             \
        }                                                                                          \
    }

DEFINE(float, expf, single)
DEFINE(double, exp, twofold)

void oblas_epilogue_apply(const oblas_epilogue *e, const tn_run *ctx, int64_t at, int64_t count)
{
    if (!e->count)
        return;
    if (e->dtype == TN_FLOAT32)
        single_apply(e, ctx, at, count);
    else
        twofold_apply(e, ctx, at, count);
}
