/* plugins/arithmetic/pow.c: powers, where base and exponent may differ in type.
 *
 * ONNX: Pow. The result has the base's type. A floating-point base is raised in double and rounded
 * once. An integer base with an integer exponent is exact modulo 2^n; a negative exponent or a
 * floating-point one goes through double and is truncated.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- identity --------------------------------------------------------------------------- */

static int32_t identity(const tn_identity *query)
{
    return constant_leaves(query, 1, 0, element_is_one) ? 0 : -1;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct pow_job {
    const tn_tensor *x, *y;
    tn_tensor *out;
} pow_job;

static int64_t integer_power(int64_t base, uint64_t exponent)
{
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1)
            result *= square;
        square *= square;
    }
    return (int64_t)result;
}

static void integer_row(const pow_job *job, const int64_t *offsets, const int64_t *steps,
                        int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t base = tn_get_int(job->x->dtype, job->x->data, offsets[0] + i * steps[0]);
        const int64_t from = offsets[1] + i * steps[1];
        const int64_t exponent = tn_get_int(job->y->dtype, job->y->data, from);
        if (exponent >= 0 || job->y->dtype == TN_UINT64)
            tn_set_int(job->out->dtype, job->out->data, at + i,
                       integer_power(base, (uint64_t)exponent));
        else
            tn_set_int(job->out->dtype, job->out->data, at + i,
                       truncated(pow((double)base, (double)exponent)));
    }
}

static void raise_block(double *x, int64_t step_x, const double *y, int64_t step_y, int64_t n)
{
    if (step_y == 0 && y[0] == 2.0) { /* variances: exact in double, and much faster */
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i * step_x] * x[i * step_x];
        return;
    }
    const double base = x[0];
    for (int64_t i = 0; i < n; i++)
        x[i] = pow(step_x ? x[i] : base, y[i * step_y]);
}

static void double_row(const pow_job *job, const int64_t *offsets, const int64_t *steps, int64_t at,
                       int64_t n)
{
    double x[BLOCK], y[BLOCK];
    int64_t whole[BLOCK];
    for (int64_t i = 0; i < n; i += BLOCK) {
        const int64_t m = n - i < BLOCK ? n - i : BLOCK;
        load_doubles(job->x->dtype, job->x->data, offsets[0] + i * steps[0], steps[0] ? m : 1, x);
        load_doubles(job->y->dtype, job->y->data, offsets[1] + i * steps[1], steps[1] ? m : 1, y);
        raise_block(x, steps[0], y, steps[1], m);
        if (tn_dtype_is_float(job->out->dtype)) {
            store_doubles(job->out->dtype, job->out->data, at + i, m, x);
            continue;
        }
        for (int64_t j = 0; j < m; j++)
            whole[j] = truncated(x[j]);
        store_ints(job->out->dtype, job->out->data, at + i, m, whole);
    }
}

static void row(const void *user, const int64_t *offsets, const int64_t *steps, int64_t at,
                int64_t n)
{
    const pow_job *job = user;
    if (tn_dtype_is_float(job->x->dtype) || tn_dtype_is_float(job->y->dtype))
        double_row(job, offsets, steps, at, n);
    else
        integer_row(job, offsets, steps, at, n);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const pow_job job = { ctx->inputs[0], ctx->inputs[1], ctx->outputs[0] };
    spread s;
    (void)state, (void)slot;
    spread_init(&s, job.out, ctx->inputs, 2);
    return spread_run(&ctx->call, &s, row, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define POW_TYPES (TN_MASK_FLOAT | TN_BIT(TN_INT32) | TN_BIT(TN_INT64))
static const tn_param_def inputs[] = {
    { "X", "T", POW_TYPES, 0, 0, "Base." },
    { "Y", "T1", TN_MASK_NUMERIC, 0, 0, "Exponent; the two broadcast." },
};
static const tn_param_def outputs[] = { { "Z", "T", POW_TYPES, 0, 0, "X to the power Y." } };

static tn_status infer(tn_infer *ctx)
{
    return ctx->call.host->broadcast(&ctx->call, ctx->inputs, ctx->input_count, &ctx->outputs[0]);
}

tn_status pow_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 15,
        .accepts_from = 7,
        .name = "Pow",
        .doc = "X to the power Y, in the type of X.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_ELEMENTWISE,
        .infer = infer,
        .identity = identity,
        .samplewise = broadcast_samplewise,
        .upgrade = legacy_upgrade,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Pow",
                                   .run = run,
                                   .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS };
    TN_TRY(legacy_add(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
