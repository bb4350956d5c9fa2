/* plugins/onnx/emit.h: writing messages of Protocol Buffers; the encoding itself is nanopb's.
 *
 * A message stands behind its length, so everything is written twice: first counted, with the
 * length of each message noted in the order they begin, then for good. Lengths are as short as can
 * be, but for "wide" messages, whose length takes five bytes whatever it is: around tensors, so
 * that positions are known while counting and weights can be laid at multiples of 64.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_EMIT_H
#define ONNX_EMIT_H

#include "onnx.h"

#include <pb_encode.h>

typedef struct emitter {
    tn_format_call *ctx;
    pool *pool;
    pb_ostream_t stream;
    bool counting;
    size_t *lengths;
    size_t count, capacity; /* messages so far */
    tn_status status;       /* the first error; all calls after it do nothing */
} emitter;

/* Begins the first pass, or the second into a block of the counted size. */
void emit_count(emitter *e, tn_format_call *ctx, pool *p);
void emit_write(emitter *e, void *block, size_t bytes);

void emit_int(emitter *e, uint32_t field, int64_t value);
void emit_float(emitter *e, uint32_t field, float value);
void emit_bytes(emitter *e, uint32_t field, const void *bytes, size_t count);
void emit_text(emitter *e, uint32_t field, const char *text); /* also an empty one */
/* Nothing for an empty text. */
void emit_word(emitter *e, uint32_t field, const char *text);
/* StringStringEntryProto */
void emit_entry(emitter *e, uint32_t field, const char *key, const char *text);

/* A message; what is written until the end is in it. */
typedef struct emit_mark {
    size_t index;
    bool wide;
} emit_mark;
emit_mark emit_begin(emitter *e, uint32_t field, bool wide);
void emit_end(emitter *e, emit_mark mark);

/* Within a TensorProto, in wide messages only: fills up so that bytes of raw_data of that count
 * begin at a multiple of `alignment`. */
void emit_padding(emitter *e, size_t count, size_t alignment);

#endif
