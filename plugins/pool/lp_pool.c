/* plugins/pool/lp_pool.c: LpPool (ONNX operators: LpPool).
 *
 *   Y[n,c,o] = (sum over k of |X[n,c, o*stride + k*dilation - pad]|^p)^(1/p)
 *
 * Padding counts as zeros.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <inttypes.h>

static tn_status infer(tn_infer *ctx)
{
    const int64_t p = tn_attr_int(ctx->node, "p", 2);
    if (p < 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "p",
                                 "p is %" PRId64 ": expected 1 or more", p);
    return pool_infer(ctx);
}

static void finish(const pool_job *j, const pool_row *row, int64_t at)
{
    tn_tensor *y = j->run->outputs[0];
    for (int64_t k = 0; k < row->count; k++)
        tn_set_float(y->dtype, y->data, at + k, pool_root(row->value[k], j->power));
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    return pool_run(ctx, POOL_POWERS, finish);
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
    { .name = "dilations", .type = TN_ATTR_INTS, .doc = "distance between taps; 1" },
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "extents of the window" },
    { .name = "p",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 2,
      .doc = "the exponent of the norm" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_attribute_def old_attributes[] = {
    { .name = "auto_pad",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "NOTSET",
      .doc = "as today" },
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "extents of the window" },
    { .name = "p",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 2,
      .doc = "the exponent of the norm" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 2,
      .name = "LpPool",
      .doc = "The p-norm of each window.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 7,
      .infer = infer,
      .cost = pool_cost,
      .window = pool_windows,
      .samplewise = pool_samplewise,
      .upgrade = pool_power_upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "LpPool",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status lp_pool_register(tn_registrar *registrar)
{
    TN_TRY(pool_power_add_old(registrar, operators, old_attributes, 5));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
