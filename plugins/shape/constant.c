/* plugins/shape/constant.c: tensors that no input's elements make.
 *
 * ONNX: Constant, one of whose attributes holds the value (a sparse one is not read);
 * ConstantOfShape, one value everywhere, in a shape that is an input.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- Constant --------------------------------------------------------------------------- */

/* The attribute that holds the value; NULL unless there is exactly one. */
static const tn_attribute *value_of(const tn_node_view *node)
{
    static const char *const names[] = { "value",      "value_float",  "value_floats", "value_int",
                                         "value_ints", "value_string", "value_strings" };
    const tn_attribute *found = NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const tn_attribute *a = tn_attr(node, names[k]);
        if (a && found)
            return NULL;
        found = a ? a : found;
    }
    return found;
}

/* Element type, number and memory of an attribute that is no tensor; scalars have rank 0. */
static int32_t plain_value(const tn_attribute *a, float *number, uint32_t *dtype, size_t *count,
                           const void **data)
{
    *count = a->count;
    switch (a->type) {
    case TN_ATTR_FLOAT:
    case TN_ATTR_FLOATS:
        *dtype = TN_FLOAT32;
        *number = (float)a->f;
        *data = a->type == TN_ATTR_FLOAT ? number : a->floats;
        break;
    case TN_ATTR_INT:
    case TN_ATTR_INTS:
        *dtype = TN_INT64;
        *data = a->type == TN_ATTR_INT ? &a->i : a->ints;
        break;
    default: *dtype = TN_STRING; *data = a->type == TN_ATTR_STRING ? &a->s : a->strings;
    }
    if (a->type == TN_ATTR_FLOATS || a->type == TN_ATTR_INTS || a->type == TN_ATTR_STRINGS)
        return 1;
    *count = 1;
    return 0;
}

/* An integer as an element of a shape; unknown where a dimension cannot be as large. */
static tn_dim number_element(uint32_t dtype, const void *data, int64_t i)
{
    const int64_t number = tn_get_int(dtype, data, i);
    const int wide = dtype == TN_UINT64 && number < 0;
    return tn_dim_known(number) && !wide ? number : TN_DIM_UNKNOWN;
}

static tn_status tell_elements(tn_infer *ctx, uint32_t dtype, const void *data, int64_t count)
{
    tn_dim elements[SHAPE_ELEMENTS];
    if (count > SHAPE_ELEMENTS || !(TN_BIT(dtype) & TN_MASK_INTEGER))
        return TN_OK;
    for (int64_t i = 0; i < count; i++)
        elements[i] = number_element(dtype, data, i);
    return ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

static tn_status infer_constant(tn_infer *ctx)
{
    const tn_attribute *a = value_of(ctx->node);
    tn_type *out = &ctx->outputs[0];
    const void *data;
    float number;
    size_t count;
    if (!a) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_NODE, 0, NULL,
                                 "Constant has no value, or several: expected exactly one of "
                                 "value, value_float(s), value_int(s), value_string(s)");
        return TN_OK;
    }
    if (a->type != TN_ATTR_TENSOR) {
        out->rank = plain_value(a, &number, &out->dtype, &count, &data);
        out->dims[0] = (tn_dim)count;
        return tell_elements(ctx, out->dtype, data, (int64_t)count);
    }
    const tn_tensor *value = a->tensors;
    out->dtype = value->dtype;
    out->rank = value->rank;
    for (int32_t axis = 0; axis < value->rank; axis++)
        out->dims[axis] = value->dims[axis];
    return tell_elements(ctx, value->dtype, value->data, tn_count(value));
}

static tn_status run_constant(tn_run *ctx, const void *state, void *slot)
{
    const tn_attribute *a = value_of(ctx->node);
    tn_tensor *out = ctx->outputs[0];
    const void *data = a->tensors ? a->tensors->data : NULL;
    uint32_t dtype;
    size_t count;
    float number;
    (void)state, (void)slot;
    if (a->type != TN_ATTR_TENSOR)
        (void)plain_value(a, &number, &dtype, &count, &data);
    const size_t bytes = tn_dtype_bytes(out->dtype, tn_count(out));
    if (bytes)
        memcpy(out->data, data, bytes);
    return TN_OK;
}

/* ---- ConstantOfShape -------------------------------------------------------------------- */

/* The value's tensor; NULL where it is float32 zero by default. */
static const tn_tensor *fill_value(const tn_node_view *node)
{
    const tn_attribute *a = tn_attr(node, "value");
    return a && a->type == TN_ATTR_TENSOR ? a->tensors : NULL;
}

/* Small integer tensors take part in shapes. */
static tn_status fill_elements(tn_infer *ctx)
{
    const tn_tensor *value = fill_value(ctx->node);
    const tn_type *out = &ctx->outputs[0];
    tn_dim elements[SHAPE_ELEMENTS];
    int64_t count = 1;
    if (!value || !(TN_BIT(value->dtype) & TN_MASK_INTEGER))
        return TN_OK;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        if (!tn_dim_known(out->dims[axis]) || out->dims[axis] > SHAPE_ELEMENTS)
            return TN_OK;
        count *= out->dims[axis];
        if (count > SHAPE_ELEMENTS)
            return TN_OK;
    }
    for (int64_t i = 0; i < count; i++)
        elements[i] = number_element(value->dtype, value->data, 0);
    return ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

static tn_status infer_fill(tn_infer *ctx)
{
    const tn_tensor *value = fill_value(ctx->node);
    tn_type *out = &ctx->outputs[0];
    tn_dim shape[SHAPE_ELEMENTS];
    const int64_t found = shape_elements(ctx, 0, shape);
    const int64_t rank = found < 0 ? shape_length(ctx, 0) : found;
    out->dtype = value ? value->dtype : TN_FLOAT32;
    if (value && tn_count(value) != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "value",
                                 "value has %lld elements: expected one",
                                 (long long)tn_count(value));
    if (rank < 0 || !shape_check_rank(ctx, 0, rank) || (value && tn_count(value) != 1))
        return TN_OK;
    for (int64_t i = 0; i < rank; i++) {
        out->dims[i] = found < 0 ? TN_DIM_UNKNOWN : shape[i];
        if (!tn_dim_known(out->dims[i]) || out->dims[i] >= 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 0, NULL,
                                 "input[%lld] is %lld: expected an extent of at least 0",
                                 (long long)i, (long long)out->dims[i]);
        return TN_OK;
    }
    out->rank = (int32_t)rank;
    return fill_elements(ctx);
}

/* Copies one element, then what is filled behind itself, doubling. */
static tn_status run_fill(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *value = fill_value(ctx->node);
    tn_tensor *out = ctx->outputs[0];
    const uint32_t bits = tn_dtype_bits(out->dtype);
    const int64_t count = tn_count(out);
    const size_t bytes = tn_dtype_bytes(out->dtype, count);
    (void)state, (void)slot;
    if (bytes == 0)
        return TN_OK;
    if (!value) {
        memset(out->data, 0, bytes);
        return TN_OK;
    }
    if (bits < 8) {
        memset(out->data, 0, bytes);
        for (int64_t i = 0; i < count; i++)
            tn_packed_set(out->data, bits, i, tn_packed_get(value->data, bits, 0));
        return TN_OK;
    }
    size_t done = bits / 8;
    memcpy(out->data, value->data, done);
    while (done < bytes) {
        const size_t more = done < bytes - done ? done : bytes - done;
        memcpy((char *)out->data + done, out->data, more);
        done += more;
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define FILL_TYPES (TN_MASK_ALL & ~(TN_MASK_COMPLEX | TN_BIT(TN_STRING)))
static const tn_param_def constant_outputs[] = {
    { "output", "T", TN_MASK_ALL, 0, 0, "The value." },
};
static const tn_attribute_def constant_attributes[] = {
    { .name = "value", .type = TN_ATTR_TENSOR, .doc = "Any tensor." },
    { .name = "value_float", .type = TN_ATTR_FLOAT, .doc = "A float32 scalar." },
    { .name = "value_floats", .type = TN_ATTR_FLOATS, .doc = "A float32 vector." },
    { .name = "value_int", .type = TN_ATTR_INT, .doc = "An int64 scalar." },
    { .name = "value_ints", .type = TN_ATTR_INTS, .doc = "An int64 vector." },
    { .name = "value_string", .type = TN_ATTR_STRING, .doc = "A string scalar." },
    { .name = "value_strings", .type = TN_ATTR_STRINGS, .doc = "A vector of strings." },
};
static const tn_param_def fill_inputs[] = {
    { "input", "T1", TN_BIT(TN_INT64), 0, 0, "The shape; empty for a scalar." },
};
static const tn_param_def fill_outputs[] = {
    { "output", "T2", FILL_TYPES, 0, 0, "The value everywhere." },
};
static const tn_attribute_def fill_attributes[] = {
    { .name = "value", .type = TN_ATTR_TENSOR, .doc = "One element; float32 zero if absent." },
};

tn_status constant_register(tn_registrar *registrar)
{
    const tn_operator_def constant_op = {
        .size = sizeof constant_op,
        .since = 25,
        .accepts_from = 1,
        .name = "Constant",
        .doc = "A value that an attribute holds.",
        .outputs = constant_outputs,
        .output_count = 1,
        .attributes = constant_attributes,
        .attribute_count = 7,
        .traits = TN_MOVES_BYTES,
        .infer = infer_constant,
        .cost = shape_cost,
    };
    const tn_operator_def fill_op = {
        .size = sizeof fill_op,
        .since = 25,
        .accepts_from = 9,
        .name = "ConstantOfShape",
        .doc = "One value everywhere, in a given shape.",
        .inputs = fill_inputs,
        .input_count = 1,
        .outputs = fill_outputs,
        .output_count = 1,
        .attributes = fill_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES,
        .infer = infer_fill,
        .cost = shape_cost,
    };
    TN_TRY(shape_add(registrar, &constant_op, run_constant, 0));
    return shape_add(registrar, &fill_op, run_fill, TN_KERNEL_EMPTY);
}
