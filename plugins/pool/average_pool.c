/* plugins/pool/average_pool.c: AveragePool (ONNX operators: AveragePool).
 *
 *   Y[n,c,o] = sum over k of X[n,c, o*stride + k*dilation - pad] / number of taps
 *
 * Taps on padding count with count_include_pad; those that ceil_mode puts behind the padding never
 * do.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

/* Taps of the window at position `o` of an axis that count. */
static int64_t count_taps(const pool_job *j, int32_t axis, int64_t o)
{
    const pool_window *w = &j->window;
    const int64_t lowest = j->include_pad ? -w->pad_begin[axis] : 0;
    const int64_t beyond = j->in[axis] + (j->include_pad ? w->pad_end[axis] : 0);
    int64_t count = 0;
    for (int64_t k = 0; k < w->kernel[axis]; k++) {
        const int64_t here = o * w->stride[axis] - w->pad_begin[axis] + k * w->dilation[axis];
        count += here >= lowest && here < beyond;
    }
    return count;
}

/* The mean of no taps is 0, as if padding had been averaged. */
static void finish(const pool_job *j, const pool_row *row, int64_t at)
{
    const int32_t last = j->window.spatial - 1;
    tn_tensor *y = j->run->outputs[0];
    int64_t others = 1;
    for (int32_t k = 0; k < last; k++)
        others *= count_taps(j, k, row->outer[k]);
    for (int64_t k = 0; k < row->count; k++) {
        const int64_t count = others * count_taps(j, last, row->first + k);
        tn_set_float(y->dtype, y->data, at + k, count ? row->value[k] / (double)count : 0.0);
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    return pool_run(ctx, POOL_SUM, finish);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, D1, ...]" } };
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "[N, C, E1, ...]" } };
static const tn_attribute_def attributes[] = {
    { .name = "auto_pad",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "NOTSET",
      .doc =
          "NOTSET: as pads says; VALID: none; SAME_UPPER, SAME_LOWER: ceil(extent / stride) windows" },
    { .name = "ceil_mode",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: a last window that is not whole counts" },
    { .name = "count_include_pad",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: taps on padding count" },
    { .name = "dilations", .type = TN_ATTR_INTS, .doc = "distance between taps; 1" },
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "extents of the window" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 1,
      .name = "AveragePool",
      .doc = "The mean of each window.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 7,
      .infer = pool_infer,
      .cost = pool_cost,
      .window = pool_windows,
      .samplewise = pool_samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "AveragePool",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status average_pool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
