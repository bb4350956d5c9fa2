/* plugins/arithmetic/classify.c: which floating-point elements are no numbers.
 *
 * ONNX: IsInf (either sign, as its attributes say), IsNaN. Of the float8 types only E5M2 has
 * infinities.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

typedef struct classes {
    int positive, negative, nan; /* what counts */
} classes;

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    ctx->outputs[0].dtype = TN_BOOL;
    return tn_infer_same(ctx, 0, 0);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct classify_job {
    classes wanted;
    const tn_tensor *x;
    uint8_t *y;
} classify_job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const classify_job *job = user;
    const classes wanted = job->wanted;
    double block[BLOCK];
    (void)thread;
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_doubles(job->x->dtype, job->x->data, i, n, block);
        for (int64_t j = 0; j < n; j++)
            job->y[i + j] = isnan(block[j])   ? wanted.nan != 0
                            : isinf(block[j]) ? (block[j] > 0 ? wanted.positive : wanted.negative)
                                              : 0;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const classes *wanted)
{
    classify_job job = { *wanted, ctx->inputs[0], ctx->outputs[0]->data };
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.x), 4096, chunk, &job);
}

static tn_status run_is_inf(tn_run *ctx, const void *state, void *slot)
{
    const classes wanted = { .positive = tn_attr_int(ctx->node, "detect_positive", 1) != 0,
                             .negative = tn_attr_int(ctx->node, "detect_negative", 1) != 0 };
    (void)state, (void)slot;
    return run(ctx, &wanted);
}

static tn_status run_is_nan(tn_run *ctx, const void *state, void *slot)
{
    const classes wanted = { .nan = 1 };
    (void)state, (void)slot;
    return run(ctx, &wanted);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define CLASSIFIED (TN_MASK_FLOAT | TN_MASK_FLOAT8)
static const tn_param_def inputs[] = { { "X", "T1", CLASSIFIED, 0, 0, "Any shape." } };
static const tn_param_def outputs[] = { { "Y", "T2", TN_BIT(TN_BOOL), 0, 0, "The shape of X." } };
static const tn_attribute_def attributes[] = {
    { .name = "detect_negative",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: minus infinity counts." },
    { .name = "detect_positive",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: plus infinity counts." },
};

static const struct {
    const char *name, *doc;
    uint16_t accepts_from, attribute_count;
    tn_status (*run)(tn_run *ctx, const void *state, void *slot);
} rows[] = {
    { "IsInf", "Whether x is infinite.", 10, 2, run_is_inf },
    { "IsNaN", "Whether x is no number.", 9, 0, run_is_nan },
};

tn_status classify_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const tn_operator_def op = {
            .size = sizeof op,
            .since = 20,
            .accepts_from = rows[k].accepts_from,
            .name = rows[k].name,
            .doc = rows[k].doc,
            .inputs = inputs,
            .input_count = 1,
            .outputs = outputs,
            .output_count = 1,
            .attributes = attributes,
            .attribute_count = rows[k].attribute_count,
            .traits = TN_ELEMENTWISE,
            .infer = infer,
            .samplewise = samplewise,
        };
        const tn_kernel_def kernel = { .size = sizeof kernel,
                                       .op = rows[k].name,
                                       .run = rows[k].run,
                                       .flags = TN_KERNEL_ANY_STEPS };
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
