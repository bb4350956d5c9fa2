/* plugins/random/multinomial.c: Multinomial (ONNX operators: Multinomial).
 *
 * Each row of the input holds logarithms of probabilities, up to a constant. A sample is the first
 * class whose cumulated probability is above a uniform number: a class of probability 0 is never
 * drawn.
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"

#include <inttypes.h>

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int64_t samples = tn_attr_int(ctx->node, "sample_size", 1);
    random_dtype(ctx, TN_BIT(TN_INT32) | TN_BIT(TN_INT64), TN_INT32, "int32 or int64");
    if (samples < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "sample_size",
                                 "sample_size is %" PRId64 ": expected at least 0", samples);
    if (x && x->rank >= 0 && x->rank != 2)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'input' has rank %d: expected 2 (batch, classes)", x->rank);
    ctx->outputs[0].rank = 2;
    ctx->outputs[0].dims[0] = x && x->rank == 2 ? x->dims[0] : TN_DIM_UNKNOWN;
    ctx->outputs[0].dims[1] = samples < 0 ? TN_DIM_UNKNOWN : samples;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    source source;
    const tn_tensor *x;
    tn_tensor *y;
    int64_t classes, samples;
    double *sums; /* [threads][classes] */
} job;

/* sums[c]: the probabilities of classes up to c, not normalized. */
static tn_status cumulate(const job *j, int64_t row, double *sums)
{
    const int64_t first = row * j->classes;
    double most = -INFINITY, sum = 0.0;
    for (int64_t c = 0; c < j->classes; c++) {
        sums[c] = tn_get_double(j->x->dtype, j->x->data, first + c);
        most = sums[c] > most || isnan(sums[c]) ? sums[c] : most;
    }
    if (!isfinite(most))
        return j->source.call->host->fail(j->source.call, TN_ERR_VALUE,
                                          "the largest log-probability of row %" PRId64
                                          " is %g: expected a finite number",
                                          row, most);
    for (int64_t c = 0; c < j->classes; c++)
        sums[c] = sum += exp(sums[c] - most);
    return TN_OK;
}

static int64_t draw(const double *sums, int64_t classes, double u)
{
    const double total = sums[classes - 1];
    int64_t low = 0, high = classes - 1;
    double x = u * total;
    if (!(x < total)) /* by rounding */
        x = nextafter(total, 0.0);
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sums[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double *sums = j->sums + (int64_t)thread * j->classes, u[BLOCK];
    for (int64_t row = begin; row < end; row++) {
        TN_TRY(cumulate(j, row, sums));
        for (int64_t s = 0; s < j->samples; s += BLOCK) {
            const int64_t n = j->samples - s < BLOCK ? j->samples - s : BLOCK;
            const int64_t first = row * j->samples + s;
            source_uniform(&j->source, first, n, u);
            for (int64_t k = 0; k < n; k++)
                tn_set_int(j->y->dtype, j->y->data, first + k, draw(sums, j->classes, u[k]));
        }
    }
    return TN_OK;
}

/* Scratch: a row of sums for each thread. */
static tn_status measure(tn_measure *ctx, void *state)
{
    const size_t classes = (size_t)ctx->problem->inputs[0]->dims[1];
    (void)state;
    if (__builtin_mul_overflow(classes * sizeof(double), (size_t)ctx->problem->threads,
                               &ctx->alternatives[0].scratch_bytes))
        return tn_fail(ctx, TN_ERR_LIMIT, "the sums of %zu classes do not fit memory", classes);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .source = source_of(ctx),
              .x = ctx->inputs[0],
              .y = ctx->outputs[0],
              .classes = ctx->inputs[0]->dims[1],
              .samples = ctx->outputs[0]->dims[1],
              .sums = ctx->scratch };
    (void)state, (void)slot;
    if (tn_count(j.y) == 0)
        return TN_OK;
    if (j.classes == 0)
        return tn_fail(ctx, TN_ERR_VALUE, "input 'input' has 0 classes: expected one or more");
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0],
                                        1 + 4096 / (j.classes + j.samples), chunk, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T1", TN_MASK_FLOAT, 0, 0,
      "Logarithms of probabilities, not normalized: [batch, classes]." },
};
static const tn_param_def outputs[] = {
    { "output", "T2", TN_BIT(TN_INT32) | TN_BIT(TN_INT64), 0, 0,
      "Classes drawn: [batch, sample_size]." },
};
static const tn_attribute_def attributes[] = {
    { .name = "dtype",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = TN_INT32,
      .doc = "Number of the output's type: int32 or int64." },
    { .name = "sample_size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "How many are drawn from each row." },
    RANDOM_SEED,
};

tn_status multinomial_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 22,
        .accepts_from = 7,
        .name = "Multinomial",
        .doc = "Classes drawn with the probabilities whose logarithms each row holds.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 3,
        .traits = TN_NONDETERMINISTIC | TN_MAY_FAIL,
        .infer = infer,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Multinomial",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
