/* tests/conformance/value.c: TensorProto, SequenceProto and OptionalProto files as values.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void *need(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    if (!block)
        abort();
    return block;
}

static wire_span slurp(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t count = 0, capacity = 0, got;
    if (!file)
        return (wire_span){ 0 };
    do {
        if (capacity - count < 4096)
            bytes = realloc(bytes, capacity = capacity * 2 + 65536);
        if (!bytes)
            abort();
        got = fread(bytes + count, 1, capacity - count, file);
        count += got;
    } while (got);
    fclose(file);
    return (wire_span){ bytes, count };
}

static bool read_tensor(wire_span bytes, wire_span file, tn_tensor **out, wire_error *error)
{
    proto_tensor proto;
    tensor_shape *shape = need(1, sizeof *shape);
    if (wire_open(&proto_tensor_message, bytes, file, &proto, error) != TN_OK ||
        tensor_describe(&proto, shape, error) != TN_OK)
        return false;
    void *data = need(shape->bytes, 1);
    if (shape->bytes && tensor_fill(&proto, shape, data, error) != TN_OK)
        return false;
    *out = need(1, sizeof **out);
    **out = (tn_tensor){ .size = sizeof **out,
                         .dtype = shape->dtype,
                         .rank = shape->rank,
                         .dims = shape->dims,
                         .data = data,
                         .bytes = shape->bytes };
    return true;
}

static bool read_value(wire_span bytes, wire_span file, uint32_t kind, tn_tensor **out,
                       wire_error *error);

/* What is in a sequence or an optional: tensors, or one level further in. */
static bool read_wrapper(wire_span bytes, wire_span file, uint32_t kind, tn_tensor **out,
                         wire_error *error)
{
    proto_data data;
    wire_span inner;
    size_t count = 0;
    if (wire_open(&proto_data_message, bytes, file, &data, error) != TN_OK)
        return false;
    wire_list list = data.tensors.count     ? data.tensors
                     : data.sequences.count ? data.sequences
                                            : data.optionals;
    uint32_t below = kind >> 4;
    if (!below && list.kind && list.number != 3)
        below = list.number == 5 ? TN_SEQUENCE : TN_OPTIONAL;
    const tn_tensor **elements = need(list.count, sizeof *elements);
    while (wire_next(&list, &inner)) {
        tn_tensor *element;
        if (!read_value(inner, file, below, &element, error))
            return false;
        elements[count++] = element;
    }
    if (tn_value_create((kind & 15) | below << 4, elements, count, out) == TN_OK)
        return true;
    wire_fail(error, TN_ERR_FORMAT, "%s", tn_error_message());
    return false;
}

static bool read_value(wire_span bytes, wire_span file, uint32_t kind, tn_tensor **out,
                       wire_error *error)
{
    return kind ? read_wrapper(bytes, file, kind, out, error)
                : read_tensor(bytes, file, out, error);
}

/* numpy had no bfloat16 when the data of 1.12 was made: it stands there as uint16. */
static void adopt(const tn_type *type, tn_tensor *tensor)
{
    if (!tensor->kind && type->dtype == TN_BFLOAT16 && tensor->dtype == TN_UINT16)
        tensor->dtype = TN_BFLOAT16;
}

bool value_read(const char *path, const tn_type *type, tn_tensor **out, char *why, size_t room)
{
    wire_error error = { .status = TN_OK };
    const wire_span file = slurp(path);
    if (!file.bytes)
        snprintf(why, room, "cannot read %s", path);
    else if (!read_value(file, file, type->kind, out, &error))
        snprintf(why, room, "%s: %s", path, error.text);
    else
        return adopt(type, *out), true;
    return false;
}

bool value_ramp(const tn_type *type, tn_tensor **out, char *why, size_t room)
{
    int64_t *dims = need(TN_MAX_RANK, sizeof *dims);
    size_t count = 1;
    if (type->kind || type->dtype != TN_FLOAT32 || type->rank < 0) {
        snprintf(why, room, "an input of a light model is no float32 tensor");
        return false;
    }
    for (int32_t k = 0; k < type->rank; k++) {
        dims[k] = tn_dim_known(type->dims[k]) ? type->dims[k] : 1;
        count *= (size_t)dims[k];
    }
    float *data = need(count, sizeof *data);
    for (size_t k = 0; k < count; k++)
        data[k] = (float)((double)k / (double)count);
    *out = need(1, sizeof **out);
    **out = (tn_tensor){ .size = sizeof **out,
                         .dtype = TN_FLOAT32,
                         .rank = type->rank,
                         .dims = dims,
                         .data = data,
                         .bytes = count * sizeof *data };
    return true;
}
