/* plugins/quantization/dynamic.c: DynamicQuantizeLinear (ONNX operators: DynamicQuantizeLinear).
 *
 *   y_scale = (max(0, max x) - min(0, min x)) / 255
 *   y_zero_point = round(saturate(0 - min(0, min x) / y_scale))
 *   y = saturate(round(x / y_scale) + y_zero_point)
 *
 * each step in float32, as the operator's function body has it. Where x holds nothing but zeros,
 * or nothing, the formula divides by 0: the range is then taken as 1, as ONNX's own
 * implementation does, so that y, too, is all zeros.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

static tn_status infer(tn_infer *ctx)
{
    for (uint32_t k = 1; k < ctx->output_count; k++) {
        ctx->outputs[k].dtype = k == 1 ? TN_FLOAT32 : TN_UINT8;
        ctx->outputs[k].rank = 0;
    }
    return tn_infer_same(ctx, 0, 0);
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const float *x;
    uint8_t *y;
    int64_t count;
    float scale;
    double zero;
} job;

/* NaN wins, as in ReduceMin and ReduceMax. */
static void find_range(const float *x, int64_t count, float *low, float *high)
{
    float least = 0.0f, most = 0.0f;
    for (int64_t k = 0; k < count; k++) {
        least = x[k] < least || isnan(x[k]) ? x[k] : least;
        most = x[k] > most || isnan(x[k]) ? x[k] : most;
    }
    *low = least;
    *high = most;
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    double v[BLOCK], zero[BLOCK];
    (void)thread;
    for (int64_t k = 0; k < BLOCK; k++)
        zero[k] = j->zero;
    for (int64_t first = begin; first < end; first += BLOCK) {
        const int64_t n = end - first < BLOCK ? end - first : BLOCK;
        for (int64_t k = 0; k < n; k++)
            v[k] = (double)(j->x[first + k] / j->scale);
        quant_store(TN_UINT8, j->y, first, n, v, zero, 1);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[0]->data, .count = tn_count(ctx->inputs[0]) };
    float low, high;
    uint8_t zero;
    (void)state, (void)slot;
    find_range(j.x, j.count, &low, &high);
    j.scale = (high == low ? 1.0f : high - low) / 255.0f;
    double wanted = (double)(0.0f - low / j.scale);
    quant_store(TN_UINT8, &zero, 0, 1, &wanted, (const double[]){ 0.0 }, 1);
    j.zero = zero;
    if (ctx->output_count > 1 && ctx->outputs[1])
        *(float *)ctx->outputs[1]->data = j.scale;
    if (ctx->output_count > 2 && ctx->outputs[2])
        *(uint8_t *)ctx->outputs[2]->data = zero;
    if (!ctx->outputs[0])
        return TN_OK;
    j.y = ctx->outputs[0]->data;
    return ctx->call.host->parallel_for(&ctx->call, j.count, 8192, chunk, &j);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char dynamic_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["x"],
    "outputs": ["y", "y_scale", "y_zero_point"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0},
                  "one": {"dtype": "float32", "shape": [], "data": 1},
                  "steps": {"dtype": "float32", "shape": [], "data": 255}},
    "nodes": [
        {"op": "ReduceMax", "inputs": ["x"], "outputs": ["most"], "attributes": {"keepdims": 0}},
        {"op": "Max", "inputs": ["most", "zero"], "outputs": ["high"]},
        {"op": "ReduceMin", "inputs": ["x"], "outputs": ["least"], "attributes": {"keepdims": 0}},
        {"op": "Min", "inputs": ["least", "zero"], "outputs": ["low"]},
        {"op": "Sub", "inputs": ["high", "low"], "outputs": ["width"]},
        {"op": "Equal", "inputs": ["width", "zero"], "outputs": ["flat"]},
        {"op": "Where", "inputs": ["flat", "one", "width"], "outputs": ["span"]},
        {"op": "Div", "inputs": ["span", "steps"], "outputs": ["y_scale"]},
        {"op": "Div", "inputs": ["low", "y_scale"], "outputs": ["start"]},
        {"op": "Neg", "inputs": ["start"], "outputs": ["minus"]},
        {"op": "Clip", "inputs": ["minus", "zero", "steps"], "outputs": ["kept"]},
        {"op": "Round", "inputs": ["kept"], "outputs": ["whole"]},
        {"op": "Cast", "inputs": ["whole"], "outputs": ["y_zero_point"], "attributes": {"to": 2}},
        {"op": "QuantizeLinear", "inputs": ["x", "y_scale", "y_zero_point"], "outputs": ["y"]}
    ]
});
/* clang-format on */

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "x", "T1", TN_BIT(TN_FLOAT32), 0, 0, "What is quantized." },
};
static const tn_param_def outputs[] = {
    { "y", "T2", TN_BIT(TN_UINT8), 0, 0, "The shape of x." },
    { "y_scale", NULL, TN_BIT(TN_FLOAT32), 0, 0, "A scalar." },
    { "y_zero_point", "T2", TN_BIT(TN_UINT8), 0, 0, "A scalar: what 0 has become." },
};

tn_status dynamic_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 11,
        .name = "DynamicQuantizeLinear",
        .doc = "Quantizes to uint8 with a scale and zero point that fit the range of the elements.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 3,
        .infer = infer,
        .body = dynamic_body,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "DynamicQuantizeLinear", .run = run, .flags = TN_KERNEL_EMPTY
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
