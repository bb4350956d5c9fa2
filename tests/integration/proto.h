/* tests/integration/proto.h: .onnx files in a few lines: a writer of protobuf fields, and messages of
 * onnx.proto built with it. Independent of plugins/onnx on purpose.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_PROTO_H
#define TENON_TESTS_PROTO_H

#include "support.h"

/* A message under construction. Sizes are those of small tests. */
typedef struct pb {
    uint8_t bytes[8192];
    size_t count;
} pb;

static inline void pb_raw(pb *to, const void *bytes, size_t count)
{
    cr_assert(to->count + count <= sizeof to->bytes);
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static inline void pb_varint(pb *to, uint64_t value)
{
    uint8_t byte;
    do {
        byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        pb_raw(to, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void pb_int(pb *to, uint32_t field, int64_t value)
{
    pb_varint(to, field << 3);
    pb_varint(to, (uint64_t)value);
}

static inline void pb_data(pb *to, uint32_t field, const void *bytes, size_t count)
{
    pb_varint(to, field << 3 | 2);
    pb_varint(to, count);
    pb_raw(to, bytes, count);
}

static inline void pb_text(pb *to, uint32_t field, const char *text)
{
    pb_data(to, field, text, strlen(text));
}

static inline void pb_in(pb *to, uint32_t field, const pb *message)
{
    pb_data(to, field, message->bytes, message->count);
}

static inline void pb_entry(pb *to, uint32_t field, const char *key, const char *value)
{
    pb e = { .count = 0 };
    pb_text(&e, 1, key);
    pb_text(&e, 2, value);
    pb_in(to, field, &e);
}

/* ---- onnx.proto ------------------------------------------------------------------------------------- */

/* ValueInfoProto of a float32 tensor [n]; n < 0: [name]. */
static inline void pb_value(pb *to, uint32_t field, const char *name, int64_t n, const char *symbol)
{
    pb dim = { .count = 0 }, shape = { .count = 0 }, tensor = { .count = 0 }, type = { .count = 0 },
       value = { .count = 0 };
    if (symbol)
        pb_text(&dim, 2, symbol);
    else
        pb_int(&dim, 1, n);
    pb_in(&shape, 1, &dim);
    pb_int(&tensor, 1, 1);
    pb_in(&tensor, 2, &shape);
    pb_in(&type, 1, &tensor);
    pb_text(&value, 1, name);
    pb_in(&value, 2, &type);
    pb_in(to, field, &value);
}

/* TensorProto without data: name, type, one dim. */
static inline pb pb_tensor(const char *name, int64_t dtype, int64_t dim)
{
    pb t = { .count = 0 };
    pb_int(&t, 1, dim);
    pb_int(&t, 2, dtype);
    if (name)
        pb_text(&t, 8, name);
    return t;
}

/* NodeProto with up to two inputs and one output. */
static inline pb pb_node(const char *op, const char *a, const char *b, const char *out)
{
    pb n = { .count = 0 };
    if (a)
        pb_text(&n, 1, a);
    if (b)
        pb_text(&n, 1, b);
    pb_text(&n, 2, out);
    pb_text(&n, 4, op);
    return n;
}

static inline pb pb_opset(const char *domain, int64_t version)
{
    pb o = { .count = 0 };
    pb_text(&o, 1, domain);
    pb_int(&o, 2, version);
    return o;
}

/* ModelProto around a graph, without functions. */
static inline pb pb_model(const pb *graph, int64_t ir, int64_t opset)
{
    pb m = { .count = 0 };
    const pb o = pb_opset("", opset);
    pb_int(&m, 1, ir);
    pb_in(&m, 8, &o);
    pb_in(&m, 7, graph);
    return m;
}

/* ---- loading -------------------------------------------------------------------------------------------- */

static inline tn_runtime *runtime_of_tests(void)
{
    static tn_runtime *runtime;
    if (!runtime)
        OK(tn_runtime_create(NULL, NULL, &runtime));
    return runtime;
}

/* Loads from memory; the message of an error is tn_error_message(). */
static inline tn_status load(const pb *model, tn_model **out)
{
    return tn_model_load_bytes(runtime_of_tests(), model->bytes, model->count, NULL, NULL, out);
}

#endif
