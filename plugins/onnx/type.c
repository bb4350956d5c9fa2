/* plugins/onnx/type.c: TypeProto to type (ONNX IR, "Types", "Static tensor shapes").
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <inttypes.h>
#include <string.h>

/* To ONNX a dim_param is a name. Tools that infer shapes write expressions all the same ("2*N"), and
 * so do we; of inputs it stays a name, because an input must tell the symbol's value. */
static bool is_expression(wire_span name)
{
    for (size_t k = 0; k < name.count; k++)
        if (strchr("*+(", name.bytes[k]))
            return true;
    return name.count > 2 && name.bytes[name.count - 2] == '-' &&
           name.bytes[name.count - 1] >= '0' && name.bytes[name.count - 1] <= '9';
}

/* A symbol of any name is a quoted word of Tenon's dimensions, '' standing for a quote. */
static tn_status read_symbol(reader *r, const place *at, wire_span name, tn_dim *out)
{
    enum { LONGEST = 250 };
    char text[2 * LONGEST + 3], *end = text;
    if (name.count > LONGEST)
        return reader_fail(r, at, TN_ERR_LIMIT, "dim_param is %zu bytes long: at most %d are held",
                           name.count, LONGEST);
    if (memchr(name.bytes, 0, name.count))
        return reader_fail(r, at, TN_ERR_NAME, "a name holds a zero byte");
    if (!r->opaque_dims && is_expression(name)) {
        memcpy(text, name.bytes, name.count);
        text[name.count] = '\0';
        if (r->ctx->api->dim_parse(r->graph, text, out) == TN_OK)
            return TN_OK;
    }
    *end++ = '\'';
    for (size_t k = 0; k < name.count; k++) {
        *end++ = (char)name.bytes[k];
        if (name.bytes[k] == '\'')
            *end++ = '\'';
    }
    memcpy(end, "'", 2);
    return reader_settle(r, at, r->ctx->api->dim_parse(r->graph, text, out));
}

static tn_status read_dim(reader *r, const place *at, wire_span bytes, tn_dim *out)
{
    proto_dim dim;
    int64_t value;
    TN_TRY(reader_open(r, at, &proto_dim_message, bytes, &dim));
    *out = TN_DIM_UNKNOWN;
    if (dim.denotation.count)
        reader_drop(r, DROPPED_DENOTATION);
    if (dim.param.count)
        return read_symbol(r, at, dim.param, out);
    while (wire_next_int(&dim.values, &value)) {
        /* Exporters write -1 for what they do not know. */
        if (value < -1 || value > INT64_C(1) << 62)
            return reader_fail(r, at, TN_ERR_SHAPE, "dim_value is %" PRId64 ": expected 0 to 2^62",
                               value);
        *out = value < 0 ? TN_DIM_UNKNOWN : value;
    }
    return TN_OK;
}

static tn_status read_shape(reader *r, const place *at, wire_span bytes, tn_type *out)
{
    const place here = { .up = at, .what = "shape", .index = NO_INDEX };
    proto_shape shape;
    wire_span dim;
    TN_TRY(reader_open(r, &here, &proto_shape_message, bytes, &shape));
    if (shape.dims.count > TN_MAX_RANK)
        return reader_fail(r, &here, TN_ERR_SHAPE, "the shape has %zu dims: expected at most %d",
                           shape.dims.count, TN_MAX_RANK);
    for (out->rank = 0; wire_next(&shape.dims, &dim); out->rank++) {
        const place at_dim = { .up = &here, .what = "dim", .index = (size_t)out->rank };
        TN_TRY(read_dim(r, &at_dim, dim, &out->dims[out->rank]));
    }
    return TN_OK;
}

static tn_status read_tensor_type(reader *r, const place *at, wire_span bytes, tn_type *out)
{
    const place here = { .up = at, .what = "tensor_type", .index = NO_INDEX };
    proto_tensor_type type;
    TN_TRY(reader_open(r, &here, &proto_tensor_type_message, bytes, &type));
    if (type.elem_type < 0 || type.elem_type >= TN_DTYPE_COUNT)
        return reader_fail(r, &here, TN_ERR_TYPE,
                           "elem_type is %" PRId64 ", which is no element type", type.elem_type);
    out->dtype = (uint32_t)type.elem_type;
    return type.shape.bytes ? read_shape(r, &here, type.shape, out) : TN_OK;
}

tn_status read_type(reader *r, const place *at, wire_span bytes, tn_type *out)
{
    enum { DEEPEST = 8 };
    *out = (tn_type){ .size = sizeof *out, .rank = -1 };
    for (uint32_t depth = 0; bytes.bytes; depth++) {
        proto_type type;
        proto_wrapper_type wrapper;
        TN_TRY(reader_open(r, at, &proto_type_message, bytes, &type));
        if (type.denotation.count)
            reader_drop(r, DROPPED_DENOTATION);
        if (type.map.bytes || type.sparse.bytes || type.opaque.bytes)
            return reader_fail(r, at, TN_ERR_TYPE,
                               "the type is a%s, which Tenon does not hold: expected a tensor, "
                               "a sequence or an optional",
                               type.map.bytes      ? " map"
                               : type.sparse.bytes ? " sparse tensor"
                                                   : "n opaque type");
        if (type.tensor.bytes)
            return read_tensor_type(r, at, type.tensor, out);
        const wire_span inner = type.sequence.bytes ? type.sequence : type.optional;
        if (!inner.bytes)
            return TN_OK; /* nothing said */
        if (depth == DEEPEST)
            return reader_fail(r, at, TN_ERR_LIMIT, "the type nests deeper than %d", DEEPEST);
        out->kind |= (type.sequence.bytes ? (uint32_t)TN_SEQUENCE : (uint32_t)TN_OPTIONAL)
                     << 4 * depth;
        TN_TRY(reader_open(r, at, &proto_wrapper_type_message, inner, &wrapper));
        bytes = wrapper.elem;
    }
    return TN_OK;
}
