/* plugins/pool/max_pool.c: MaxPool (ONNX operators: MaxPool).
 *
 *   Y[n,c,o] = max over k of X[n,c, o*stride + k*dilation - pad], taps on padding left out
 *
 * A NaN in the window wins. Indices are positions in X as one row of elements; with storage_order 1
 * spatial axes count in column-major order.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

/* Place `at` of a plane, its first axis running fastest. */
static int64_t column_major(const pool_job *j, int64_t at)
{
    int64_t where[TN_MAX_RANK], place = 0;
    for (int32_t k = j->window.spatial - 1; k >= 0; k--) {
        where[k] = at % j->in[k];
        at /= j->in[k];
    }
    for (int32_t k = j->window.spatial - 1; k >= 0; k--)
        place = place * j->in[k] + where[k];
    return place;
}

/* A window of padding only holds nothing: the smallest value stands for its maximum, -1 for its
 * place. */
static void store_values(tn_tensor *y, const pool_row *row, int64_t at)
{
    const double lowest = y->dtype == TN_INT8 ? INT8_MIN : 0;
    if (y->dtype == TN_FLOAT32)
        for (int64_t k = 0; k < row->count; k++)
            ((float *)y->data)[at + k] = (float)row->value[k];
    else if (tn_dtype_is_float(y->dtype))
        for (int64_t k = 0; k < row->count; k++)
            tn_set_float(y->dtype, y->data, at + k, row->value[k]);
    else
        for (int64_t k = 0; k < row->count; k++)
            tn_set_int(y->dtype, y->data, at + k, (int64_t)fmax(row->value[k], lowest));
}

static void finish(const pool_job *j, const pool_row *row, int64_t at)
{
    tn_tensor *indices = j->run->output_count > 1 ? j->run->outputs[1] : NULL;
    if (j->run->outputs[0])
        store_values(j->run->outputs[0], row, at);
    for (int64_t k = 0; indices && k < row->count; k++) {
        const int64_t place = row->place[k];
        ((int64_t *)indices->data)[at + k] =
            place < 0
                ? -1
                : row->plane * j->in_count + (j->column_major ? column_major(j, place) : place);
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const int places = ctx->output_count > 1 && ctx->outputs[1];
    (void)state;
    (void)slot;
    return pool_run(ctx, places ? POOL_MAX_PLACE : POOL_MAX, finish);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_MASK_FLOAT | TN_BIT(TN_INT8) | TN_BIT(TN_UINT8))
static const tn_param_def inputs[] = { { "X", "T", T_MASK, 0, 0, "[N, C, D1, ...]" } };
static const tn_param_def outputs[] = {
    { "Y", "T", T_MASK, 0, 0, "[N, C, E1, ...]" },
    { "Indices", "I", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "where in X each maximum stands" },
};
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
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "storage_order",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: Indices count column-major" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 1,
      .name = "MaxPool",
      .doc = "The largest element of each window.",
      .inputs = inputs,
      .input_count = 1,
      .outputs = outputs,
      .output_count = 2,
      .attributes = attributes,
      .attribute_count = 7,
      .infer = pool_infer,
      .cost = pool_cost,
      .window = pool_windows,
      .samplewise = pool_samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "MaxPool",
      .run = run,
      .types = T_MASK,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status max_pool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
