/* plugins/onnx/wire.h: messages of Protocol Buffers, read where they lie.
 *
 * A message is a stretch of the mapped file. wire_open walks over its fields once, checks each
 * against a table (field number, kind, destination) and notes the values of single fields and
 * where repeated ones begin; nothing is copied and nothing is allocated. The encoding itself
 * (tags, varints, lengths) is read by nanopb. Unknown fields are skipped, as protobuf wants it.
 *
 * Knows nothing of Tenon but its statuses.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_WIRE_H
#define ONNX_WIRE_H

#include "tenon/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that somebody else owns. bytes NULL: the field is absent. */
typedef struct wire_span {
    const uint8_t *bytes;
    size_t count;
} wire_span;

/* A repeated field: `count` numbers, texts or messages, from the first occurrence on. */
typedef struct wire_list {
    wire_span in;     /* the rest of the message */
    wire_span packed; /* numbers: the rest of the packed run under way */
    uint32_t number;
    uint32_t kind;
    size_t count;
} wire_list;

typedef struct wire_error {
    tn_status status;
    char text[320];
} wire_error;

enum {
    WIRE_INT,     /* int64_t; also enums and int32 */
    WIRE_FLOAT,   /* float */
    WIRE_BYTES,   /* wire_span: text, bytes, or a message within; the last one holds */
    WIRE_ONCE,    /* wire_span: a message within; a second one would have to be merged: refused */
    WIRE_INTS,    /* wire_list of varints, packed or not */
    WIRE_FLOATS,  /* wire_list of fixed32 */
    WIRE_DOUBLES, /* wire_list of fixed64 */
    WIRE_MANY,    /* wire_list of texts or messages */
};
typedef struct wire_field {
    const char *name;
    uint16_t number;
    uint16_t kind;
    uint32_t offset; /* in the struct that wire_open fills */
} wire_field;
typedef struct wire_message {
    const char *name;
    const wire_field *fields;
    size_t count;
    size_t bytes; /* of the struct */
} wire_message;

/* Fills *out (zeroed first). `file` is the whole file, for byte positions in messages. */
tn_status wire_open(const wire_message *message, wire_span bytes, wire_span file, void *out,
                    wire_error *error);

/* The next of a list that wire_open filled; false after the last. */
bool wire_next(wire_list *list, wire_span *out);
bool wire_next_int(wire_list *list, int64_t *out);
bool wire_next_float(wire_list *list, float *out);
bool wire_next_double(wire_list *list, double *out);
/* All numbers of a list of floats or doubles in one piece: they can be used where they lie. */
bool wire_one_run(const wire_list *list, wire_span *out);

bool wire_equal(wire_span a, wire_span b);
bool wire_is(wire_span a, const char *text);
wire_span wire_text(const char *text);

/* Sets the error; answers `status`. */
tn_status wire_fail(wire_error *error, tn_status status, const char *format, ...) TN_PRINTF(3, 4);

#endif
