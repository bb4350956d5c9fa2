/* plugins/normalization/lp_norm.c: LpNormalization (ONNX operators: LpNormalization).
 *
 *   Y = X / (sum of |X|^p along an axis)^(1/p)
 *
 * for p = 1 or 2; zero where the norm is zero. With p = 2 the largest magnitude is divided out of
 * the squares, so that none overflows or vanishes.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

/* ---- inference ---------------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int64_t p = tn_attr_int(ctx->node, "p", 2), axis = tn_attr_int(ctx->node, "axis", -1);
    if (p != 1 && p != 2)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "p",
                                 "p is %" PRId64 ": expected 1 or 2", p);
    if (x && x->rank >= 0 && tn_axis(axis, x->rank) < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %" PRId64
                                 ", outside [%d, %d) of input 'input' of rank %d",
                                 axis, -x->rank, x->rank, x->rank);
    return tn_infer_same(ctx, 0, 0);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    if (!x || x->rank < 1 || tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank) < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    int64_t extent, inner; /* elements along the axis, and behind it */
    int64_t p;
} job;

/* NaN wins, as in Max. */
static double larger(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

static double norm_of(const job *j, int64_t first)
{
    double sum = 0, largest = 0;
    for (int64_t k = 0; k < j->extent; k++) {
        const double magnitude = fabs(norm_get(j->x, first + k * j->inner));
        largest = larger(largest, magnitude);
        sum += magnitude;
    }
    if (j->p == 1 || largest == 0 || !isfinite(largest))
        return j->p == 1 ? sum : largest;
    sum = 0;
    for (int64_t k = 0; k < j->extent; k++) {
        const double part = norm_get(j->x, first + k * j->inner) / largest;
        sum += part * part;
    }
    return largest * sqrt(sum);
}

/* Pieces are lines, numbered by what is in front of the axis and what is behind it. */
static tn_status run_lines(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t line = begin; line < end; line++) {
        const int64_t first = line / j->inner * j->extent * j->inner + line % j->inner;
        const double norm = norm_of(j, first);
        for (int64_t k = 0; k < j->extent; k++) {
            const int64_t at = first + k * j->inner;
            norm_set(j->y, at, norm == 0 ? 0.0 : norm_get(j->x, at) / norm);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank);
    job j = { x, ctx->outputs[0], x->dims[axis], tn_extent(x->dims, axis + 1, x->rank),
              tn_attr_int(ctx->node, "p", 2) };
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(x) / j.extent, 1 + 4096 / j.extent,
                                        run_lines, &j);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "input", "T", TN_MASK_FLOAT, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = { { "output", "T", TN_MASK_FLOAT, 0, 0,
                                          "the shape of input" } };
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "along which the norm is taken; negative counts from the end" },
    { .name = "p",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 2,
      .doc = "1: sum of magnitudes; 2: root of the sum of squares" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 1,
      .name = "LpNormalization",
      .doc = "The input divided by its norm along an axis; zero where that is zero.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 2,
      .infer = infer,
      .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "LpNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status lp_norm_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
