/* tools/pb.c: ONNX's test data: a file with one TensorProto, SequenceProto or OptionalProto.
 *
 * The plugin for .onnx reads tensors: each becomes the one initializer of a model that is put around
 * its bytes. So here no more is known of Protocol Buffers than how a field is announced, and every
 * type and every way of storing one is read as in a model.
 *
 * SequenceProto and OptionalProto share their field numbers: 1 is a name, 2 says what is within, and
 * each kind of element has a number of its own.
 *
 * SPDX-License-Identifier: MIT */
#include "pb.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool refuse(pb_reader *r, const char *format, ...) TN_PRINTF(2, 3);
static bool refuse(pb_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    return false;
}

typedef struct span {
    const uint8_t *bytes;
    size_t count;
} span;

/* ---- the model around a tensor --------------------------------------------------------------- */

static const char value_name[] = "value";

typedef struct message {
    uint8_t *bytes;
    size_t count;
} message;

/* A field of bytes: its number (below 16) and wire type 2, the length in groups of seven bits. */
static void put_field(message *to, unsigned field, const void *bytes, size_t count)
{
    to->bytes[to->count++] = (uint8_t)(field << 3 | 2);
    for (size_t left = count;; left >>= 7) {
        to->bytes[to->count++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        if (left <= 127)
            break;
    }
    if (count)
        memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static message make_message(const pb_reader *r, size_t room)
{
    return (message){ r->keep(r->user, room + 64), 0 };
}

/* ModelProto: ir_version 13, opset_import of ai.onnx 1, and a graph of the tensor as initializer and
 * output. The name at the tensor's end takes the place of its own. */
static message wrap(const pb_reader *r, span tensor)
{
    static const uint8_t head[] = { 0x08, 13, 0x42, 2, 0x10, 1 };
    message initializer = make_message(r, tensor.count), output = make_message(r, 0);
    message graph = make_message(r, tensor.count + 64), model = make_message(r, tensor.count + 128);
    if (tensor.count)
        memcpy(initializer.bytes, tensor.bytes, tensor.count);
    initializer.count = tensor.count;
    put_field(&initializer, 8, value_name, strlen(value_name));
    put_field(&output, 1, value_name, strlen(value_name));
    put_field(&graph, 5, initializer.bytes, initializer.count);
    put_field(&graph, 12, output.bytes, output.count);
    memcpy(model.bytes, head, sizeof head);
    model.count = sizeof head;
    put_field(&model, 7, graph.bytes, graph.count);
    return model;
}

/* ---- tensors ---------------------------------------------------------------------------------- */

static void copy_texts(const pb_reader *r, tn_text *texts, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        char *own = r->keep(r->user, texts[k].count + 1);
        if (texts[k].count)
            memcpy(own, texts[k].bytes, texts[k].count);
        texts[k].bytes = own;
    }
}

/* The model goes, its tensor stays. */
static tn_tensor *copy_tensor(const pb_reader *r, const tn_tensor *from)
{
    tn_tensor *to = r->keep(r->user, sizeof *to);
    int64_t *dims = r->keep(r->user, (size_t)(from->rank + 1) * sizeof *dims);
    void *data = r->keep(r->user, from->bytes);
    if (from->rank)
        memcpy(dims, from->dims, (size_t)from->rank * sizeof *dims);
    if (from->bytes)
        memcpy(data, from->data, from->bytes);
    if (from->dtype == TN_STRING)
        copy_texts(r, data, from->bytes / sizeof(tn_text));
    *to = (tn_tensor){ .size = sizeof *to,
                       .dtype = from->dtype,
                       .rank = from->rank,
                       .dims = dims,
                       .data = data,
                       .bytes = from->bytes };
    return to;
}

static bool read_tensor(pb_reader *r, span bytes, const tn_type *type, tn_tensor **out)
{
    const tn_model_options options = { .size = sizeof options, .format = "onnx" };
    const message whole = wrap(r, bytes);
    tn_model *model;
    if (tn_model_load_bytes(r->runtime, whole.bytes, whole.count, &options, NULL, &model) != TN_OK)
        return refuse(r, "holds no TensorProto: %s", tn_error_message());
    const tn_graph *graph = tn_model_graph(model);
    const tn_value_view *value = tn_graph_value(
        graph, tn_graph_find_value(graph, TN_TOP_REGION, value_name));
    const tn_tensor *tensor = value ? value->constant : NULL;
    if (tensor)
        *out = copy_tensor(r, tensor);
    tn_model_destroy(model);
    if (!tensor)
        return refuse(r, "holds no tensor");
    if (type->dtype == TN_BFLOAT16 && (*out)->dtype == TN_UINT16)
        (*out)->dtype = TN_BFLOAT16;
    return true;
}

/* ---- sequences and optionals ------------------------------------------------------------------- */

typedef struct field {
    uint64_t number, integer; /* of wire type 0: its value */
    uint32_t wire;
    span content; /* of wire type 2 */
} field;
enum { NAME = 1, ELEMENT_TYPE = 2, TENSOR = 3, SPARSE = 4, SEQUENCE = 5, MAP = 6, OPTIONAL = 7 };

static bool next_varint(span *rest, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; rest->count && shift < 64; shift += 7) {
        const uint8_t byte = *rest->bytes++;
        rest->count--;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

static bool skip(span *rest, uint64_t count)
{
    if (count > rest->count)
        return false;
    rest->bytes += count;
    rest->count -= (size_t)count;
    return true;
}

/* The next field; false where what follows is none. */
static bool next_field(span *rest, field *out)
{
    uint64_t tag, count;
    if (!next_varint(rest, &tag))
        return false;
    *out = (field){ .number = tag >> 3, .wire = tag & 7 };
    switch (out->wire) {
    case 0: return next_varint(rest, &out->integer);
    case 1: return skip(rest, 8);
    case 2:
        if (!next_varint(rest, &count))
            return false;
        out->content = (span){ rest->bytes, (size_t)count };
        return skip(rest, count);
    case 5: return skip(rest, 4);
    default: return false;
    }
}

bool pb_is_wrapped(const void *bytes, size_t count)
{
    span rest = { bytes, count };
    uint64_t told = 0, held = 0;
    field f;
    while (rest.count) {
        if (!next_field(&rest, &f) || f.number < NAME || f.number > OPTIONAL ||
            f.wire != (f.number == ELEMENT_TYPE ? 0 : 2))
            return false;
        if (f.number == ELEMENT_TYPE)
            told = f.integer;
        else if (f.number >= TENSOR)
            held = f.number;
    }
    /* 1 to 5 stand for the fields 3 to 7. A tensor's data would stand in another one. */
    return held ? told + 2 == held : told <= OPTIONAL - 2;
}

/* What an element is that stands in this field. */
static uint32_t kind_of(uint64_t number)
{
    return number == SEQUENCE ? TN_SEQUENCE : number == OPTIONAL ? TN_OPTIONAL : TN_TENSOR;
}

typedef struct elements {
    const tn_tensor **items;
    size_t count;
    uint64_t number; /* of the field that they stand in; 0: there is none */
} elements;

/* Finds them, and checks that they are of one kind. */
static bool count_elements(pb_reader *r, span rest, elements *out)
{
    field f;
    *out = (elements){ 0 };
    while (rest.count) {
        if (!next_field(&rest, &f))
            return refuse(r, "field %zu is cut off, or is none", out->count + 1);
        if (f.number < TENSOR || f.number > OPTIONAL)
            continue;
        if (f.number == SPARSE || f.number == MAP)
            return refuse(r, "%s are not supported", f.number == MAP ? "maps" : "sparse tensors");
        if (f.wire != 2 || (out->number && out->number != f.number))
            return refuse(r, "its elements are of several kinds");
        out->number = f.number;
        out->count++;
    }
    return true;
}

/* As deep as the type is, which is not the file's to say. */
static bool read_value(pb_reader *r, span bytes, const tn_type *type, tn_tensor **out);

static bool read_elements(pb_reader *r, span rest, const tn_type *within, elements *all)
{
    size_t k = 0;
    field f;
    all->items = r->keep(r->user, (all->count + 1) * sizeof *all->items);
    while (rest.count && next_field(&rest, &f)) {
        tn_tensor *element;
        char why[sizeof r->why];
        if (f.number != all->number)
            continue;
        if (!read_value(r, f.content, within, &element)) {
            memcpy(why, r->why, sizeof why);
            return refuse(r, "element %zu %s", k, why);
        }
        all->items[k++] = element;
    }
    return true;
}

static bool read_wrapped(pb_reader *r, span bytes, const tn_type *type, tn_tensor **out)
{
    elements all;
    tn_type within = *type;
    if (!count_elements(r, bytes, &all))
        return false;
    within.kind = type->kind >> 4;
    if (all.number && (within.kind & 15) != kind_of(all.number))
        return refuse(r, "its elements are of another kind than the model's");
    if (!read_elements(r, bytes, &within, &all))
        return false;
    if (tn_value_create((type->kind & 15) | within.kind << 4, all.items, all.count, out) != TN_OK)
        return refuse(r, "%s", tn_error_message());
    r->take(r->user, *out);
    return true;
}

static bool read_value(pb_reader *r, span bytes, const tn_type *type, tn_tensor **out)
{
    char why[sizeof r->why];
    if (!type->kind)
        return read_tensor(r, bytes, type, out);
    if (read_wrapped(r, bytes, type, out))
        return true;
    memcpy(why, r->why, sizeof why);
    return refuse(r, "holds no %s: %s",
                  (type->kind & 15) == TN_OPTIONAL ? "OptionalProto" : "SequenceProto", why);
}

bool pb_read_value(pb_reader *reader, const void *bytes, size_t count, const tn_type *type,
                   tn_tensor **out)
{
    return read_value(reader, (span){ bytes, count }, type, out);
}
