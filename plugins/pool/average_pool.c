/* plugins/pool/average_pool.c: AveragePool (ONNX operators: AveragePool).
 *
 *   Y[n,c,o] = sum over k of X[n,c, o*stride + k*dilation - pad] / number of taps
 *
 * Taps on padding count with count_include_pad; those that ceil_mode puts behind the padding never
 * do.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

static double average(const pool_job *j, const tn_tensor *x, int64_t base, const int64_t *origin)
{
    const pool_window *w = &j->window;
    int64_t tap[TN_MAX_RANK] = { 0 }, count = 0;
    double sum = 0;
    for (int32_t axis = 0; axis >= 0;) {
        int64_t at = 0, inside = 1, padded = 1;
        for (int32_t k = 0; k < w->spatial; k++) {
            const int64_t here = origin[k] + tap[k] * w->dilation[k];
            inside &= here >= 0 && here < j->in[k];
            padded &= here < j->in[k] + w->pad_end[k];
            at = at * j->in[k] + here;
        }
        if (inside)
            sum += tn_get_double(x->dtype, x->data, base + at);
        count += j->include_pad ? padded : inside;
        for (axis = w->spatial - 1; axis >= 0 && ++tap[axis] == w->kernel[axis]; axis--)
            tap[axis] = 0;
    }
    return count ? sum / (double)count : 0;
}

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pool_job *j = user;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++)
        for (int64_t o = 0; o < j->out_count; o++) {
            int64_t origin[TN_MAX_RANK];
            pool_origin(j, o, origin);
            tn_set_float(j->run->outputs[0]->dtype, j->run->outputs[0]->data, plane * j->out_count + o,
                         average(j, j->run->inputs[0], plane * j->in_count, origin));
        }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    pool_job job;
    (void)state;
    (void)slot;
    pool_job_init(&job, ctx);
    return ctx->call.host->parallel_for(&ctx->call, ctx->inputs[0]->dims[0] * ctx->inputs[0]->dims[1],
                                        1 + 8192 / (job.out_count + 1), run_planes, &job);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, D1, ...]" } };
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "[N, C, E1, ...]" } };
static const tn_attribute_def attributes[] = {
    { .name = "auto_pad", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT, .s = "NOTSET",
      .doc = "NOTSET: as pads says; VALID: none; SAME_UPPER, SAME_LOWER: ceil(extent / stride) windows" },
    { .name = "ceil_mode", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .doc = "1: a last window that is not whole counts" },
    { .name = "count_include_pad", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .doc = "1: taps on padding count" },
    { .name = "dilations", .type = TN_ATTR_INTS, .doc = "distance between taps; 1" },
    { .name = "kernel_shape", .type = TN_ATTR_INTS, .flags = TN_ATTR_REQUIRED, .doc = "extents of the window" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def), .since = 22, .accepts_from = 1, .name = "AveragePool",
      .doc = "The mean of each window.", .inputs = inputs, .input_count = 1, .outputs = outputs, .output_count = 1,
      .attributes = attributes, .attribute_count = 7, .infer = pool_infer, .cost = pool_cost, .window = pool_windows,
      .samplewise = pool_samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def), .op = "AveragePool", .run = run, .types = TN_MASK_FLOAT, .flags = TN_KERNEL_ANY_STEPS },
};

tn_status average_pool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
