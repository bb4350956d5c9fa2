/* plugins/onnx/constant.c: initializers, sparse ones, and Constant nodes.
 *
 * A weight stays in the mapped file. It is copied when it stands in a typed field that memory does
 * not want just so, and by the graph when it is misaligned.
 *
 * SPDX-License-Identifier: MIT */
#include "external.h"

#include <inttypes.h>
#include <string.h>

tn_status read_tensor(reader *r, const place *at, const proto_tensor *tensor, tensor_shape *shape,
                      tn_tensor *out, tn_buffer **buffer)
{
    wire_error error;
    wire_span inside;
    const void *data = NULL;
    *buffer = NULL;
    if (tensor_describe(tensor, shape, &error) != TN_OK)
        return reader_fail(r, at, error.status, "%s", error.text);
    if (tensor->data_location == 1) {
        if (shape->dtype == TN_STRING)
            return reader_fail(r, at, TN_ERR_FORMAT, "strings stand in external data");
        TN_TRY(external_find(r, at, tensor, shape->bytes, &data, buffer));
    } else if (tensor_in_place(tensor, shape, &inside)) {
        data = inside.bytes;
        *buffer = r->ctx->buffer;
    }
    if (!data && shape->bytes) {
        void *copy = pool_take(&r->pool, shape->bytes, 1);
        if (!copy)
            return TN_ERR_MEMORY;
        if (tensor_fill(tensor, shape, copy, &error) != TN_OK)
            return reader_fail(r, at, error.status, "%s", error.text);
        data = copy;
    } else if (tensor_check_elements(shape, data, &error) != TN_OK) {
        return reader_fail(r, at, error.status, "%s", error.text);
    }
    *out = (tn_tensor){ .size = sizeof *out,
                        .dtype = shape->dtype,
                        .rank = shape->rank,
                        .dims = shape->dims,
                        .data = (void *)(uintptr_t)data,
                        .bytes = shape->bytes };
    return TN_OK;
}

/* Adds the constant: a new value, or the default of an input. */
static tn_status add_constant(reader *r, const place *at, scope *s, wire_span name,
                              const tn_tensor *tensor, tn_buffer *buffer)
{
    name_entry *entry = scope_entry(r, s, name);
    tn_value_id value;
    if (!name.count)
        return reader_fail(r, at, TN_ERR_NAME, "an initializer has no name");
    if (!entry)
        return TN_ERR_MEMORY;
    const bool is_default = entry->value != TN_NONE &&
                            r->ctx->api->value(r->graph, entry->value)->is_input;
    if (entry->value != TN_NONE && !is_default)
        return reader_fail(r, at, TN_ERR_DUPLICATE, "the name stands for another value already");
    if (is_default && r->ctx->api->value(r->graph, entry->value)->constant)
        return reader_fail(r, at, TN_ERR_DUPLICATE, "the input has two initializers");
    if (!is_default)
        TN_TRY(declare(r, at, s, name, &value));
    const tn_constant_desc desc = { .size = sizeof desc,
                                    .region = s->region,
                                    .tensor = tensor,
                                    .buffer = tensor->bytes ? buffer : NULL,
                                    .value = is_default ? entry->value : value };
    return reader_settle(r, at, r->ctx->api->add_constant(r->graph, &desc, &value));
}

static tn_status keep_words(reader *r, const place *at, const proto_tensor *tensor, wire_span name)
{
    wire_list list = tensor->metadata;
    wire_span bytes;
    if (tensor->doc.count)
        TN_TRY(keep_text(r, at, KEY_VALUE_DOC, name, (wire_span){ 0 }, tensor->doc));
    while (wire_next(&list, &bytes)) {
        proto_entry e;
        TN_TRY(reader_open(r, at, &proto_entry_message, bytes, &e));
        TN_TRY(keep_text(r, at, KEY_VALUE_METADATA, name, e.key.bytes ? e.key : wire_text(""),
                         e.value));
    }
    return TN_OK;
}

tn_status read_initializer(reader *r, const place *at, scope *s, const proto_tensor *tensor,
                           wire_span name)
{
    tensor_shape shape;
    tn_tensor made;
    tn_buffer *buffer;
    TN_TRY(read_tensor(r, at, tensor, &shape, &made, &buffer));
    TN_TRY(add_constant(r, at, s, name, &made, buffer));
    return keep_words(r, at, tensor, name);
}

/* ---- sparse tensors ------------------------------------------------------------------------------ */

/* Where value k goes: indices are positions in the flat tensor, or one coordinate per axis. */
static tn_status place_of(reader *r, const place *at, const tensor_shape *dense,
                          const tensor_shape *indices, const int64_t *index, size_t k, size_t *out)
{
    const size_t parts = indices->rank == 2 ? (size_t)dense->rank : 1;
    *out = 0;
    for (size_t j = 0; j < parts; j++) {
        const int64_t extent = indices->rank == 2 ? dense->dims[j] : (int64_t)dense->elements;
        const int64_t i = index[k * parts + j];
        if (i < 0 || i >= extent)
            return reader_fail(r, at, TN_ERR_VALUE,
                               "index %zu is %" PRId64 ", which is outside [0, %" PRId64 ")", k, i,
                               extent);
        *out = *out * (size_t)extent + (size_t)i;
    }
    return TN_OK;
}

/* A small file must not take much memory: a thousand bytes for each of the file's, beside what small
 * models may want. */
static size_t dense_limit(const reader *r)
{
    const size_t base = 16 << 20;
    return r->file.count > (DENSE_LIMIT - base) / 1000 ? DENSE_LIMIT : base + r->file.count * 1000;
}

static tn_status check_sparse(reader *r, const place *at, const tensor_shape *dense,
                              const tensor_shape *values, const tensor_shape *indices)
{
    const bool flat = indices->rank == 1 && indices->elements == values->elements;
    const bool split = indices->rank == 2 && indices->dims[0] == (int64_t)values->elements &&
                       indices->dims[1] == dense->rank;
    if (indices->dtype != TN_INT64 || values->rank != 1 || (!flat && !split))
        return reader_fail(r, at, TN_ERR_SHAPE,
                           "indices do not fit: expected int64 of [%zu] or [%zu, %" PRId32 "]",
                           values->elements, values->elements, dense->rank);
    if (tn_dtype_bits(dense->dtype) < 8 || dense->dtype == TN_STRING)
        return reader_fail(r, at, TN_ERR_TYPE, "a sparse tensor of this type is not supported");
    const size_t limit = dense_limit(r);
    if (dense->bytes > limit - r->dense_bytes)
        return reader_fail(r, at, TN_ERR_LIMIT,
                           "sparse tensors become more than %zu bytes when written out: the bound "
                           "for a file of %zu",
                           limit, r->file.count);
    r->dense_bytes += dense->bytes;
    return TN_OK;
}

static tn_status expand_sparse(reader *r, const place *at, const proto_sparse *sparse,
                               const proto_tensor *values_proto, tensor_shape *dense, void **out)
{
    proto_tensor indices_proto;
    tensor_shape values_shape, indices_shape;
    tn_tensor values, indices;
    tn_buffer *buffer;
    wire_error error;
    TN_TRY(reader_open(r, at, &proto_tensor_message, sparse->indices, &indices_proto));
    TN_TRY(read_tensor(r, at, values_proto, &values_shape, &values, &buffer));
    TN_TRY(read_tensor(r, at, &indices_proto, &indices_shape, &indices, &buffer));
    if (tensor_measure((int64_t)values_shape.dtype, sparse->dims, dense, &error) != TN_OK)
        return reader_fail(r, at, error.status, "%s", error.text);
    TN_TRY(check_sparse(r, at, dense, &values_shape, &indices_shape));
    const size_t bytes = tn_dtype_bits(dense->dtype) / 8;
    /* Indices may lie misaligned in the file. */
    int64_t *index = pool_take(&r->pool, indices_shape.bytes + 1, 1);
    char *to = *out = index ? pool_take(&r->pool, dense->bytes + 1, 1) : NULL;
    if (!to)
        return TN_ERR_MEMORY;
    if (indices_shape.bytes)
        memcpy(index, indices.data, indices_shape.bytes);
    memset(to, 0, dense->bytes);
    for (size_t k = 0; k < values_shape.elements; k++) {
        size_t where;
        TN_TRY(place_of(r, at, dense, &indices_shape, index, k, &where));
        memcpy(to + where * bytes, (const char *)values.data + k * bytes, bytes);
    }
    return TN_OK;
}

tn_status read_sparse(reader *r, const place *at, scope *s, wire_span bytes, wire_span name)
{
    proto_sparse sparse;
    proto_tensor values;
    tensor_shape shape;
    void *data = NULL;
    TN_TRY(reader_open(r, at, &proto_sparse_message, bytes, &sparse));
    if (!sparse.values.bytes || !sparse.indices.bytes)
        return reader_fail(r, at, TN_ERR_FORMAT, "a sparse tensor without %s",
                           sparse.values.bytes ? "indices" : "values");
    TN_TRY(reader_open(r, at, &proto_tensor_message, sparse.values, &values));
    TN_TRY(expand_sparse(r, at, &sparse, &values, &shape, &data));
    const tn_tensor dense = { .size = sizeof dense,
                              .dtype = shape.dtype,
                              .rank = shape.rank,
                              .dims = shape.dims,
                              .data = data,
                              .bytes = shape.bytes };
    return add_constant(r, at, s, name.bytes ? name : values.name, &dense, NULL);
}

/* ---- Constant nodes -------------------------------------------------------------------------------- */

static tn_status add_list(reader *r, const place *at, scope *s, wire_span name,
                          const tn_attribute *a)
{
    const bool scalar = a->type == TN_ATTR_INT || a->type == TN_ATTR_FLOAT ||
                        a->type == TN_ATTR_STRING;
    const int64_t dims[1] = { scalar ? 1 : (int64_t)a->count };
    const float f = (float)a->f;
    tn_tensor made = { .size = sizeof made, .rank = !scalar, .dims = dims };
    const void *data;
    switch (a->type) {
    case TN_ATTR_INT: made.dtype = TN_INT64, data = &a->i; break;
    case TN_ATTR_INTS: made.dtype = TN_INT64, data = a->ints; break;
    case TN_ATTR_FLOAT: made.dtype = TN_FLOAT32, data = &f; break;
    case TN_ATTR_FLOATS: made.dtype = TN_FLOAT32, data = a->floats; break;
    case TN_ATTR_STRING: made.dtype = TN_STRING, data = &a->s; break;
    default: made.dtype = TN_STRING, data = a->strings; break;
    }
    made.data = (void *)(uintptr_t)data;
    made.bytes = (size_t)dims[0] * (tn_dtype_bits(made.dtype) / 8);
    return add_constant(r, at, s, name, &made, NULL);
}

/* The attribute of Constant that says the type it must have. */
static uint32_t type_of_value(wire_span name)
{
    static const struct {
        const char *name;
        uint32_t type;
    } table[] = {
        { "value_int", TN_ATTR_INT },       { "value_ints", TN_ATTR_INTS },
        { "value_float", TN_ATTR_FLOAT },   { "value_floats", TN_ATTR_FLOATS },
        { "value_string", TN_ATTR_STRING }, { "value_strings", TN_ATTR_STRINGS },
    };
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (wire_is(name, table[k].name))
            return table[k].type;
    return TN_ATTR_UNDEFINED;
}

static tn_status read_constant_value(reader *r, const place *at, scope *s, const proto_node *node,
                                     bool *done)
{
    wire_list outputs = node->outputs, attributes = node->attributes;
    wire_span name, bytes;
    proto_attribute a;
    *done = false;
    if (!wire_is(node->op, "Constant") || (node->domain.count && !wire_is(node->domain, "ai.onnx")))
        return TN_OK;
    if (node->inputs.count || outputs.count != 1 || attributes.count != 1 ||
        !wire_next(&outputs, &name) || !name.count || !wire_next(&attributes, &bytes))
        return TN_OK; /* wrong: the operator's schema will say how */
    const place here = { .up = at, .what = "attribute", .index = 0 };
    TN_TRY(reader_open(r, &here, &proto_attribute_message, bytes, &a));
    if (a.ref.count)
        return TN_OK;
    *done = true;
    if (a.t.bytes && wire_is(a.name, "value")) {
        proto_tensor tensor;
        TN_TRY(reader_open(r, &here, &proto_tensor_message, a.t, &tensor));
        tensor.doc.count = 0;
        return read_initializer(r, &here, s, &tensor, name);
    }
    if (a.sparse.bytes && wire_is(a.name, "sparse_value"))
        return read_sparse(r, &here, s, a.sparse, name);
    tn_attribute value;
    const uint32_t type = type_of_value(a.name);
    *done = type && (a.type == type || !a.type);
    if (!*done)
        return TN_OK;
    TN_TRY(read_attribute(r, &here, s, bytes, &value));
    *done = value.type == type;
    return *done ? add_list(r, at, s, name, &value) : TN_OK;
}

/* What the node had besides its value. A name that is the value's needs no keeping. */
static tn_status keep_node(reader *r, const place *at, const scope *s, const proto_node *node)
{
    wire_list outputs = node->outputs, metadata = node->metadata;
    wire_span name, bytes;
    wire_next(&outputs, &name);
    /* In a body it may have been renamed. */
    const wire_span value = wire_text(r->ctx->api->value(r->graph, scope_find(s, name))->name);
    const wire_span none = { 0 };
    if (node->name.count && (node->name.count != value.count ||
                             memcmp(node->name.bytes, value.bytes, value.count) != 0))
        TN_TRY(keep_text(r, at, KEY_CONSTANT_NAME, value, none, node->name));
    if (node->doc.count)
        TN_TRY(keep_text(r, at, KEY_CONSTANT_DOC, value, none, node->doc));
    while (wire_next(&metadata, &bytes)) {
        proto_entry e;
        TN_TRY(reader_open(r, at, &proto_entry_message, bytes, &e));
        TN_TRY(keep_text(r, at, KEY_CONSTANT_METADATA, value, e.key.bytes ? e.key : wire_text(""),
                         e.value));
    }
    return TN_OK;
}

tn_status read_constant_node(reader *r, const place *at, scope *s, const proto_node *node,
                             bool *done)
{
    TN_TRY(read_constant_value(r, at, s, node, done));
    return *done ? keep_node(r, at, s, node) : TN_OK;
}
