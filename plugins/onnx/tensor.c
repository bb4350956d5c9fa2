/* plugins/onnx/tensor.c: TensorProto to tensor.
 *
 * Elements stand in raw_data, little-endian and packed like Tenon's, or in one of the typed
 * fields, of which each serves several types (comments at data_type in onnx.proto).
 *
 * SPDX-License-Identifier: MIT */
#include "tensor.h"

#include <inttypes.h>
#include <string.h>

enum { NO_FIELD, FLOATS, DOUBLES, INT32S, INT64S, UINT64S, TEXTS };
static const char *const field_names[] = { "",           "float_data",  "double_data", "int32_data",
                                           "int64_data", "uint64_data", "string_data" };
static const uint8_t fields[TN_DTYPE_COUNT] = {
    [TN_FLOAT32] = FLOATS,        [TN_COMPLEX64] = FLOATS,      [TN_FLOAT64] = DOUBLES,
    [TN_COMPLEX128] = DOUBLES,    [TN_UINT8] = INT32S,          [TN_INT8] = INT32S,
    [TN_UINT16] = INT32S,         [TN_INT16] = INT32S,          [TN_INT32] = INT32S,
    [TN_BOOL] = INT32S,           [TN_FLOAT16] = INT32S,        [TN_BFLOAT16] = INT32S,
    [TN_FLOAT8E4M3FN] = INT32S,   [TN_FLOAT8E4M3FNUZ] = INT32S, [TN_FLOAT8E5M2] = INT32S,
    [TN_FLOAT8E5M2FNUZ] = INT32S, [TN_UINT4] = INT32S,          [TN_INT4] = INT32S,
    [TN_FLOAT4E2M1] = INT32S,     [TN_FLOAT8E8M0] = INT32S,     [TN_UINT2] = INT32S,
    [TN_INT2] = INT32S,           [TN_INT64] = INT64S,          [TN_UINT32] = UINT64S,
    [TN_UINT64] = UINT64S,        [TN_STRING] = TEXTS,
};

static const wire_list *list_of(const proto_tensor *tensor, uint32_t field)
{
    switch (field) {
    case FLOATS: return &tensor->float_data;
    case DOUBLES: return &tensor->double_data;
    case INT32S: return &tensor->int32_data;
    case INT64S: return &tensor->int64_data;
    case UINT64S: return &tensor->uint64_data;
    default: return &tensor->string_data;
    }
}

/* How many entries of its typed field the tensor has: two for a complex number, one for a byte of
 * packed elements. */
static size_t entries(const tensor_shape *shape)
{
    const uint32_t bits = tn_dtype_bits(shape->dtype);
    if (shape->dtype == TN_COMPLEX64 || shape->dtype == TN_COMPLEX128)
        return shape->elements * 2;
    return bits < 8 ? shape->bytes : shape->elements;
}

tn_status tensor_measure(int64_t dtype, wire_list dims, tensor_shape *out, wire_error *error)
{
    int64_t extent;
    bool empty = false;
    *out = (tensor_shape){ .elements = 1 };
    if (dtype < 1 || dtype >= TN_DTYPE_COUNT)
        return wire_fail(error, TN_ERR_TYPE, "data_type is %" PRId64 ", which is no element type",
                         dtype);
    out->dtype = (uint32_t)dtype;
    if (dims.count > TN_MAX_RANK)
        return wire_fail(error, TN_ERR_SHAPE, "the tensor has %zu dims: expected at most %d",
                         dims.count, TN_MAX_RANK);
    while (wire_next_int(&dims, &extent)) {
        if (extent < 0)
            return wire_fail(error, TN_ERR_SHAPE,
                             "dims[%" PRId32 "] is %" PRId64 ", which is negative", out->rank,
                             extent);
        out->dims[out->rank++] = extent;
        empty = empty || !extent;
    }
    for (int32_t k = 0; k < out->rank && !empty; k++)
        if (__builtin_mul_overflow(out->elements, (size_t)out->dims[k], &out->elements) ||
            out->elements > PTRDIFF_MAX / 16)
            return wire_fail(error, TN_ERR_LIMIT, "the dims multiply to more than memory holds");
    if (empty)
        out->elements = 0;
    const size_t bits = tn_dtype_bits(out->dtype);
    out->bytes = bits >= 8 ? out->elements * (bits / 8)
                           : (out->elements + 8 / bits - 1) / (8 / bits);
    return TN_OK;
}

/* Exactly one place may have data, the one for the type; and as much as the shape needs. */
static tn_status check_sizes(const proto_tensor *tensor, const tensor_shape *shape,
                             wire_error *error)
{
    const uint32_t own = fields[shape->dtype];
    for (uint32_t f = FLOATS; f <= TEXTS; f++) {
        const size_t count = list_of(tensor, f)->count;
        if (count && tensor->raw.count)
            return wire_fail(error, TN_ERR_FORMAT, "the tensor has both raw_data and %s",
                             field_names[f]);
        if (count && f != own)
            return wire_fail(error, TN_ERR_FORMAT,
                             "the tensor has %s, but elements of this type stand in %s",
                             field_names[f], field_names[own]);
    }
    const size_t count = list_of(tensor, own)->count;
    if (shape->dtype == TN_STRING && tensor->raw.count)
        return wire_fail(error, TN_ERR_FORMAT, "strings stand in raw_data: expected string_data");
    if ((tensor->raw.count || !count) && shape->dtype != TN_STRING) {
        if (tensor->raw.count != shape->bytes)
            return wire_fail(error, TN_ERR_SHAPE, "raw_data has %zu bytes, but the dims need %zu",
                             tensor->raw.count, shape->bytes);
    } else if (count != entries(shape)) {
        return wire_fail(error, TN_ERR_SHAPE, "%s has %zu entries, but the dims need %zu",
                         field_names[own], count, entries(shape));
    }
    return TN_OK;
}

tn_status tensor_describe(const proto_tensor *tensor, tensor_shape *out, wire_error *error)
{
    const tn_status status = tensor_measure(tensor->data_type, tensor->dims, out, error);
    if (status != TN_OK || tensor->data_location == 1)
        return status;
    return check_sizes(tensor, out, error);
}

bool tensor_in_place(const proto_tensor *tensor, const tensor_shape *shape, wire_span *out)
{
    const uint32_t field = fields[shape->dtype];
    *out = tensor->raw;
    if (shape->dtype == TN_STRING || tensor->raw.count)
        return shape->dtype != TN_STRING;
    return (field == FLOATS || field == DOUBLES) && wire_one_run(list_of(tensor, field), out) &&
           out->count == shape->bytes;
}

/* ---- converting --------------------------------------------------------------------------------- */

/* Integers of int32_data, int64_data and uint64_data into elements of `bytes` bytes. Types of
 * fewer than 32 bits take their bits as a signed or an unsigned number. */
static tn_status fill_integers(wire_list list, const tensor_shape *shape, uint8_t *to,
                               wire_error *error)
{
    const uint32_t bits = tn_dtype_bits(shape->dtype);
    const size_t bytes = bits < 8 ? 1 : bits / 8;
    const int64_t limit = bytes < 8 ? INT64_C(1) << (8 * bytes) : INT64_MAX;
    const bool is_signed = shape->dtype == TN_INT8 || shape->dtype == TN_INT16 ||
                           shape->dtype == TN_INT32;
    const int64_t high = shape->dtype == TN_BOOL ? 2 : is_signed ? limit / 2 : limit;
    const int64_t low = shape->dtype == TN_BOOL || shape->dtype == TN_UINT32 ? 0 : -limit / 2;
    int64_t value;
    for (size_t k = 0; wire_next_int(&list, &value); k++) {
        if (bytes < 8 && (value < low || value >= high))
            return wire_fail(error, TN_ERR_VALUE,
                             "entry %zu of %s is %" PRId64 ", which the type does not hold", k,
                             field_names[fields[shape->dtype]], value);
        memcpy(to + k * bytes, &value, bytes); /* little-endian, as all of ONNX */
    }
    return TN_OK;
}

static void fill_floats(wire_list list, uint8_t *to)
{
    float value;
    for (; wire_next_float(&list, &value); to += sizeof value)
        memcpy(to, &value, sizeof value);
}

static void fill_doubles(wire_list list, uint8_t *to)
{
    double value;
    for (; wire_next_double(&list, &value); to += sizeof value)
        memcpy(to, &value, sizeof value);
}

tn_status tensor_fill(const proto_tensor *tensor, const tensor_shape *shape, void *to,
                      wire_error *error)
{
    const uint32_t field = fields[shape->dtype];
    wire_list list = *list_of(tensor, field);
    wire_span text;
    if (tensor->raw.count) {
        memcpy(to, tensor->raw.bytes, shape->bytes);
        return tensor_check_elements(shape, to, error);
    }
    switch (field) {
    case FLOATS: fill_floats(list, to); return TN_OK;
    case DOUBLES: fill_doubles(list, to); return TN_OK;
    case TEXTS:
        for (tn_text *texts = to; wire_next(&list, &text); texts++)
            *texts = (tn_text){ (const char *)text.bytes, text.count };
        return TN_OK;
    default: return fill_integers(list, shape, to, error);
    }
}

tn_status tensor_check_elements(const tensor_shape *shape, const void *data, wire_error *error)
{
    const uint8_t *bytes = data;
    for (size_t k = 0; shape->dtype == TN_BOOL && k < shape->elements; k++)
        if (bytes[k] > 1)
            return wire_fail(error, TN_ERR_VALUE,
                             "element %zu of a bool tensor is %u: expected 0 or 1", k, bytes[k]);
    return TN_OK;
}
