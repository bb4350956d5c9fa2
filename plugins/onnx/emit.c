/* plugins/onnx/emit.c: counting and writing.
 *
 * SPDX-License-Identifier: MIT */
#include "emit.h"

#include <string.h>

enum { WIDE_LENGTH = 5 };

void emit_count(emitter *e, tn_format_call *ctx, pool *p)
{
    *e = (emitter){ .ctx = ctx, .pool = p, .stream = PB_OSTREAM_SIZING, .counting = true };
}

void emit_write(emitter *e, void *block, size_t bytes)
{
    e->stream = pb_ostream_from_buffer(block, bytes);
    e->counting = false;
    e->count = 0;
}

static void check(emitter *e, bool good)
{
    if (!good && e->status == TN_OK)
        e->status = tn_fail(e->ctx, TN_ERR_INTERNAL, "the file is larger than was counted");
}

void emit_int(emitter *e, uint32_t field, int64_t value)
{
    check(e, pb_encode_tag(&e->stream, PB_WT_VARINT, field) &&
                 pb_encode_varint(&e->stream, (uint64_t)value));
}

void emit_float(emitter *e, uint32_t field, float value)
{
    check(e,
          pb_encode_tag(&e->stream, PB_WT_32BIT, field) && pb_encode_fixed32(&e->stream, &value));
}

void emit_bytes(emitter *e, uint32_t field, const void *bytes, size_t count)
{
    check(e, pb_encode_tag(&e->stream, PB_WT_STRING, field) &&
                 pb_encode_string(&e->stream, bytes, count));
}

void emit_text(emitter *e, uint32_t field, const char *text)
{
    emit_bytes(e, field, text, strlen(text));
}

void emit_word(emitter *e, uint32_t field, const char *text)
{
    if (text && *text)
        emit_text(e, field, text);
}

void emit_entry(emitter *e, uint32_t field, const char *key, const char *text)
{
    const emit_mark mark = emit_begin(e, field, false);
    emit_text(e, 1, key);
    emit_text(e, 2, text);
    emit_end(e, mark);
}

/* ---- messages ------------------------------------------------------------------------------------ */

static size_t varint_bytes(size_t value)
{
    size_t bytes = 1;
    for (; value >= 128; value >>= 7)
        bytes++;
    return bytes;
}

static bool grow(emitter *e)
{
    const size_t capacity = e->capacity ? e->capacity * 2 : 256;
    size_t *lengths = pool_take(e->pool, capacity, sizeof *lengths);
    if (!lengths) {
        e->status = TN_ERR_MEMORY;
        return false;
    }
    if (e->count)
        memcpy(lengths, e->lengths, e->count * sizeof *lengths);
    e->lengths = lengths;
    e->capacity = capacity;
    return true;
}

/* A number in five bytes, the last ones carrying nothing. */
static void put_wide(emitter *e, size_t value)
{
    pb_byte_t bytes[WIDE_LENGTH];
    for (int k = 0; k < WIDE_LENGTH; k++, value >>= 7)
        bytes[k] = (pb_byte_t)((value & 127) | (k + 1 < WIDE_LENGTH ? 128 : 0));
    check(e, pb_write(&e->stream, bytes, sizeof bytes));
}

emit_mark emit_begin(emitter *e, uint32_t field, bool wide)
{
    const emit_mark mark = { e->count, wide };
    check(e, pb_encode_tag(&e->stream, PB_WT_STRING, field));
    if (e->counting && e->count == e->capacity && !grow(e))
        return mark;
    e->count++;
    if (wide)
        put_wide(e, e->counting ? 0 : e->lengths[mark.index]);
    else if (!e->counting)
        check(e, pb_encode_varint(&e->stream, e->lengths[mark.index]));
    if (e->counting)
        e->lengths[mark.index] = e->stream.bytes_written; /* where it begins, until it ends */
    return mark;
}

void emit_end(emitter *e, emit_mark mark)
{
    if (!e->counting || mark.index >= e->count)
        return;
    const size_t length = e->stream.bytes_written - e->lengths[mark.index];
    e->lengths[mark.index] = length;
    if (!mark.wide)
        e->stream.bytes_written += varint_bytes(length);
}

/* data_location = DEFAULT says what holds anyway, as often as needed: two bytes each, and one of
 * three where the count is odd. Every reader takes the last of a field that stands twice. */
void emit_padding(emitter *e, size_t count, size_t alignment)
{
    static const pb_byte_t two[] = { 14 << 3, 0 }, three[] = { 14 << 3, 128, 0 };
    const size_t head = 1 + varint_bytes(count);
    size_t missing = (alignment - (e->stream.bytes_written + head) % alignment) % alignment;
    if (missing == 1)
        missing += alignment;
    if (alignment <= 1)
        return;
    if (missing % 2) {
        check(e, pb_write(&e->stream, three, sizeof three));
        missing -= 3;
    }
    for (; missing; missing -= 2)
        check(e, pb_write(&e->stream, two, sizeof two));
}
