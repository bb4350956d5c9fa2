/* plugins/quantization/dequantize.c: DequantizeLinear (ONNX operators: DequantizeLinear).
 *
 *   y = (x - x_zero_point) * x_scale
 *
 * exactly, or in double for int32 and float8, and rounded once to the output's type: that of
 * x_scale unless output_dtype names another.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>

enum { X, SCALE, ZERO };
static const char *const names[] = { "x", "x_scale", "x_zero_point" };
#define T3 (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *scale = quant_type(ctx, SCALE);
    const int64_t named = tn_attr_int(ctx->node, "output_dtype", 0);
    const int fits = named > 0 && named < TN_DTYPE_COUNT && (TN_BIT(named) & T3);
    if (named && !fits)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "output_dtype",
                                 "output_dtype is %" PRId64 ": expected 0 or the number of "
                                 "float32, float16 or bfloat16",
                                 named);
    else if (!named && scale && scale->dtype == TN_FLOAT8E8M0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 "output_dtype",
                                 "output_dtype is 0 and 'x_scale' is float8e8m0, which the output "
                                 "cannot be: expected the number of float32, float16 or bfloat16");
    else
        ctx->outputs[0].dtype = named ? (uint32_t)named : scale ? scale->dtype : TN_UNDEFINED;
    grain_check(ctx, names);
    return tn_infer_same(ctx, 0, X);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x, *scale, *zero;
    tn_tensor *y;
    grain grain;
} job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double x[BLOCK], scale[BLOCK], zero[BLOCK];
    (void)thread;
    for (int64_t first = begin; first < end; first += BLOCK) {
        const int64_t n = end - first < BLOCK ? end - first : BLOCK;
        load_doubles(j->x->dtype, j->x->data, first, n, x);
        grain_load(&j->grain, j->scale, 1.0, first, n, scale);
        grain_load(&j->grain, j->zero, 0.0, first, n, zero);
        for (int64_t k = 0; k < n; k++)
            x[k] = (x[k] - zero[k]) * scale[k];
        store_doubles(j->y->dtype, j->y->data, first, n, x);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[X],
              .scale = ctx->inputs[SCALE],
              .zero = quant_input(ctx, ZERO),
              .y = ctx->outputs[0] };
    (void)state, (void)slot;
    j.grain = grain_of(ctx->node, j.x, j.scale);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(j.x), 8192, chunk, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "x", "T1", QUANT_TYPES | TN_BIT(TN_INT32), 0, 0, "What was quantized." },
    { "x_scale", "T2", T3 | TN_BIT(TN_FLOAT8E8M0), 0, 0,
      "A scalar, a vector along `axis`, or a tensor like x with one scale for each block." },
    { "x_zero_point", "T1", QUANT_TYPES | TN_BIT(TN_INT32), TN_PARAM_OPTIONAL, 0,
      "What stands for 0, in the shape of x_scale; 0." },
};
static const tn_param_def outputs[] = {
    { "y", "T3", T3, 0, 0, "The shape of x." },
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
      .doc = "Number of the output's type; 0: that of x_scale." },
};

tn_status dequantize_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 10,
        .name = "DequantizeLinear",
        .doc = "Quantized elements, less a zero point, times a scale.",
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
        .size = sizeof kernel, .op = "DequantizeLinear", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
