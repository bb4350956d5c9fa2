/* plugins/movement/eye.c: a matrix with ones on one diagonal.
 *
 * ONNX: EyeLike, of the shape of its input and, without attribute dtype, of its type.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

#define EYE_TYPES (TN_MASK_NUMERIC | TN_BIT(TN_BOOL))

static tn_status infer(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    const int64_t dtype = tn_attr_int(ctx->node, "dtype", in ? in->dtype : TN_UNDEFINED);
    if (dtype != TN_UNDEFINED &&
        (dtype < 0 || dtype >= TN_DTYPE_COUNT || !(TN_BIT(dtype) & EYE_TYPES))) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "dtype",
                                 "dtype is %lld: expected a real, integer or bool type",
                                 (long long)dtype);
        return TN_OK;
    }
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].dtype = (uint32_t)dtype;
    (void)move_check_rank(ctx, 0, "input", 2, 2);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    tn_tensor *out = ctx->outputs[0];
    const int64_t k = tn_attr_int(ctx->node, "k", 0), columns = out->dims[1];
    (void)state, (void)slot;
    memset(out->data, 0, tn_dtype_bytes(out->dtype, tn_count(out)));
    if (k >= columns || k <= -out->dims[0])
        return TN_OK;
    for (int64_t row = k < 0 ? -k : 0; row < out->dims[0] && row + k < columns; row++) {
        if (tn_dtype_is_float(out->dtype))
            tn_set_float(out->dtype, out->data, row * columns + row + k, 1.0);
        else
            tn_set_int(out->dtype, out->data, row * columns + row + k, 1);
    }
    return TN_OK;
}

static const tn_param_def inputs[] = {
    { "input", "T1", EYE_TYPES, 0, 0, "A matrix, of which only shape and type count." },
};
static const tn_param_def outputs[] = { { "output", "T2", EYE_TYPES, 0, 0, "Ones and zeros." } };
static const tn_attribute_def attributes[] = {
    { .name = "dtype", .type = TN_ATTR_INT, .doc = "The output's type; the input's if absent." },
    { .name = "k",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "The diagonal: ones at [i, i + k]." },
};

tn_status eye_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 22,
        .accepts_from = 9,
        .name = "EyeLike",
        .doc = "A matrix of the input's shape with ones on one diagonal.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .infer = infer,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "EyeLike", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
