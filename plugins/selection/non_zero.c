/* plugins/selection/non_zero.c: where elements are not zero.
 *
 * ONNX: NonZero. Column i of the output is the index of the i-th element that is not zero, in
 * row-major order: one row for each axis; of a scalar, no row. A string is zero when it is empty.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    ctx->outputs[0].dtype = TN_INT64;
    ctx->outputs[0].flags = TN_TYPE_LATE;
    ctx->outputs[0].rank = 2;
    ctx->outputs[0].dims[0] = x && x->rank >= 0 ? x->rank : TN_DIM_UNKNOWN;
    ctx->outputs[0].dims[1] = TN_DIM_UNKNOWN;
    return TN_OK;
}

static int is_zero(const tn_tensor *x, int64_t i)
{
    switch (x->dtype) {
    case TN_STRING: return ((const tn_text *)x->data)[i].count == 0;
    case TN_COMPLEX64:
        return ((const float *)x->data)[2 * i] == 0.0f &&
               ((const float *)x->data)[2 * i + 1] == 0.0f;
    case TN_COMPLEX128:
        return ((const double *)x->data)[2 * i] == 0.0 &&
               ((const double *)x->data)[2 * i + 1] == 0.0;
    default:
        return tn_dtype_is_float(x->dtype) ? tn_get_double(x->dtype, x->data, i) == 0.0
                                           : tn_get_int(x->dtype, x->data, i) == 0;
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int64_t n = tn_count(x);
    int64_t index[TN_MAX_RANK] = { 0 }, dims[2] = { x->rank, 0 };
    (void)state, (void)slot;
    for (int64_t i = 0; i < n; i++)
        dims[1] += !is_zero(x, i);
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, 2, dims));
    int64_t *out = ctx->outputs[0]->data;
    for (int64_t i = 0, k = 0; i < n && k < dims[1]; i++) {
        if (!is_zero(x, i)) {
            for (int32_t axis = 0; axis < x->rank; axis++)
                out[axis * dims[1] + k] = index[axis];
            k++;
        }
        (void)tn_next(x->rank, x->dims, index, 0, NULL, NULL);
    }
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "X", "T", SELECT_OLD_TYPES | TN_BIT(TN_BFLOAT16), 0, 0, "Any tensor." },
};
static const tn_param_def outputs[] = {
    { "Y", NULL, TN_BIT(TN_INT64), 0, 0, "Indices: a row for each axis, a column for each." },
};

tn_status non_zero_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 9,
        .name = "NonZero",
        .doc = "The indices of the elements that are not zero.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .infer = infer,
        .cost = select_cost,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "NonZero", .run = run, .flags = TN_KERNEL_EMPTY
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
