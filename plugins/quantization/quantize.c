/* plugins/quantization/quantize.c: QuantizeLinear (ONNX operators: QuantizeLinear).
 *
 *   y = saturate(round(x / y_scale) + y_zero_point)
 *
 * with ties to even. The quotient is rounded to the precision that the attribute names, else to
 * y_scale's type (float32 for float8e8m0, which only holds powers of two, and exactly for int32);
 * x and y_scale are taken in that precision. float8 and float4 are rounded once more, from the
 * quotient plus zero point. NaN becomes the lowest integer.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>

enum { X, SCALE, ZERO };
static const char *const names[] = { "x", "y_scale", "y_zero_point" };

/* ---- inference -------------------------------------------------------------------------- */

static int check_attribute(tn_infer *ctx, const char *name, uint64_t allowed, const char *expected)
{
    const int64_t value = tn_attr_int(ctx->node, name, 0);
    if (!value || (value > 0 && value < TN_DTYPE_COUNT && (TN_BIT(value) & allowed)))
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is %" PRId64 ": expected 0 or the number of %s", name, value,
                             expected);
    return 0;
}

static void infer_dtype(tn_infer *ctx)
{
    const tn_type *zero = quant_type(ctx, ZERO);
    const uint32_t named = (uint32_t)tn_attr_int(ctx->node, "output_dtype", 0);
    const uint32_t own = zero ? zero->dtype : TN_UNDEFINED;
    if (named && own && named != own)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "output_dtype",
                                 "output_dtype is %u, but the type of 'y_zero_point' has number "
                                 "%u: expected the same",
                                 named, own);
    ctx->outputs[0].dtype = own ? own : named ? named : zero ? TN_UNDEFINED : TN_UINT8;
}

static tn_status infer(tn_infer *ctx)
{
    if (!check_attribute(ctx, "output_dtype", QUANT_TYPES,
                         "an integer of at most 16 bits, a "
                         "float8 or float4") ||
        !check_attribute(ctx, "precision", TN_MASK_FLOAT, "float32, float64, float16 or bfloat16"))
        return TN_OK;
    grain_check(ctx, names);
    infer_dtype(ctx);
    return tn_infer_same(ctx, 0, X);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x, *scale, *zero;
    tn_tensor *y;
    grain grain;
    uint32_t precision;
    int saturate;
} job;

static void one_block(const job *j, int64_t first, int64_t n)
{
    double x[BLOCK], scale[BLOCK], zero[BLOCK];
    load_doubles(j->x->dtype, j->x->data, first, n, x);
    grain_load(&j->grain, j->scale, 1.0, first, n, scale);
    grain_load(&j->grain, j->zero, 0.0, first, n, zero);
    if (j->precision == TN_FLOAT32)
        for (int64_t k = 0; k < n; k++)
            x[k] = (double)((float)x[k] / (float)scale[k]);
    else
        for (int64_t k = 0; k < n; k++)
            x[k] = quant_round(j->precision, quant_round(j->precision, x[k]) /
                                                 quant_round(j->precision, scale[k]));
    quant_store(j->y->dtype, j->y->data, first, n, x, zero, j->saturate);
}

/* Counts blocks, so that no two threads write to one byte of packed elements. */
static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t count = tn_count(j->x);
    (void)thread;
    for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * BLOCK;
        one_block(j, first, count - first < BLOCK ? count - first : BLOCK);
    }
    return TN_OK;
}

static uint32_t precision_of(const tn_node_view *node, const tn_tensor *scale)
{
    const uint32_t named = (uint32_t)tn_attr_int(node, "precision", 0);
    if (named)
        return named;
    return scale->dtype == TN_FLOAT8E8M0 ? TN_FLOAT32 : scale->dtype;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[X],
              .scale = ctx->inputs[SCALE],
              .zero = quant_input(ctx, ZERO),
              .y = ctx->outputs[0],
              .saturate = tn_attr_int(ctx->node, "saturate", 1) != 0 };
    (void)state, (void)slot;
    j.grain = grain_of(ctx->node, j.x, j.scale);
    j.precision = precision_of(ctx->node, j.scale);
    return ctx->call.host->parallel_for(&ctx->call, (tn_count(j.x) + BLOCK - 1) / BLOCK, 32, chunk,
                                        &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define T1 (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16) | TN_BIT(TN_INT32))
static const tn_param_def inputs[] = {
    { "x", "T1", T1, 0, 0, "What is quantized." },
    { "y_scale", "T2", T1 | TN_BIT(TN_FLOAT8E8M0), 0, 0,
      "A scalar, a vector along `axis`, or a tensor like x with one scale for each block." },
    { "y_zero_point", "T3", QUANT_TYPES, TN_PARAM_OPTIONAL, 0,
      "What 0 becomes, in the shape of y_scale; 0." },
};
static const tn_param_def outputs[] = {
    { "y", "T3", QUANT_TYPES, 0, 0, "The shape of x." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "The axis that scales, or blocks of them, lie along." },
    { .name = "block_size",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "Places on the axis that share a scale; 0: no blocks." },
    { .name = "output_dtype",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "Number of the output's type; 0: that of y_zero_point, else uint8." },
    { .name = "precision",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "Number of the type that x / y_scale is computed in; 0: that of y_scale." },
    { .name = "saturate",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "float8: 1 makes the largest number of what is too large, 0 NaN or infinity." },
};

tn_status quantize_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 10,
        .name = "QuantizeLinear",
        .doc = "Quotients of the elements and a scale as small integers or floats, saturated.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = sizeof attributes / sizeof *attributes,
        .infer = infer,
        .samplewise = grain_samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "QuantizeLinear", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
