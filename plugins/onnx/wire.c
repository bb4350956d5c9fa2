/* plugins/onnx/wire.c: walking over the fields of a message, and over one of its lists.
 *
 * SPDX-License-Identifier: MIT */
#include "wire.h"

#include <pb_decode.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tn_status wire_fail(wire_error *error, tn_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vsnprintf(error->text, sizeof error->text, format, args) < 0)
        error->text[0] = '\0';
    va_end(args);
    error->status = status;
    return status;
}

bool wire_equal(wire_span a, wire_span b)
{
    return a.count == b.count && (!a.count || !memcmp(a.bytes, b.bytes, a.count));
}

wire_span wire_text(const char *text)
{
    return (wire_span){ (const uint8_t *)text, strlen(text) };
}

bool wire_is(wire_span a, const char *text)
{
    return wire_equal(a, wire_text(text));
}

/* ---- one field after the other --------------------------------------------------------------- */

typedef struct walker {
    wire_span bytes;
    pb_istream_t stream;
} walker;

/* A field's head, and what stands behind a length. */
typedef struct field {
    uint32_t number;
    pb_wire_type_t type;
    size_t at;        /* where it begins, in the message */
    wire_span inside; /* of PB_WT_STRING */
    uint64_t integer; /* of PB_WT_VARINT */
    uint32_t bits;    /* of PB_WT_32BIT */
    uint64_t wide;    /* of PB_WT_64BIT */
} field;

static walker walk(wire_span bytes)
{
    static const pb_byte_t nothing[1];
    return (walker){ bytes,
                     pb_istream_from_buffer(bytes.bytes ? bytes.bytes : nothing, bytes.count) };
}

static size_t position(const walker *w)
{
    return w->bytes.count - w->stream.bytes_left;
}

static bool read_contents(walker *w, field *f)
{
    pb_istream_t inside;
    switch (f->type) {
    case PB_WT_VARINT: return pb_decode_varint(&w->stream, &f->integer);
    case PB_WT_32BIT: return pb_decode_fixed32(&w->stream, &f->bits);
    case PB_WT_64BIT: return pb_decode_fixed64(&w->stream, &f->wide);
    case PB_WT_STRING:
        if (!pb_make_string_substream(&w->stream, &inside))
            return false;
        /* A stream over the same memory: its first byte is what we want. Closing it moves on. */
        f->inside = (wire_span){ w->bytes.bytes + position(w) - inside.bytes_left,
                                 inside.bytes_left };
        return pb_close_string_substream(&w->stream, &inside);
    default: return false; /* groups were never in ONNX */
    }
}

/* False at the end and where the bytes are no field; then *bad tells the two apart. */
static bool next_field(walker *w, field *f, bool *bad)
{
    bool end = false;
    *bad = false;
    f->at = position(w);
    if (pb_decode_tag(&w->stream, &f->type, &f->number, &end))
        *bad = !f->number || !read_contents(w, f);
    else
        *bad = !end;
    return !*bad && !end;
}

/* ---- opening a message ------------------------------------------------------------------------- */

static const wire_field *find(const wire_message *message, uint32_t number)
{
    for (size_t k = 0; k < message->count; k++)
        if (message->fields[k].number == number)
            return &message->fields[k];
    return NULL;
}

static const char *kind_text(pb_wire_type_t type)
{
    switch (type) {
    case PB_WT_VARINT: return "a number";
    case PB_WT_32BIT: return "32 bits";
    case PB_WT_64BIT: return "64 bits";
    default: return "bytes with a length";
    }
}

static pb_wire_type_t wanted_type(uint32_t kind)
{
    switch (kind) {
    case WIRE_INT:
    case WIRE_INTS: return PB_WT_VARINT;
    case WIRE_FLOAT:
    case WIRE_FLOATS: return PB_WT_32BIT;
    case WIRE_DOUBLES: return PB_WT_64BIT;
    default: return PB_WT_STRING;
    }
}

static bool is_numbers(uint32_t kind)
{
    return kind == WIRE_INTS || kind == WIRE_FLOATS || kind == WIRE_DOUBLES;
}

/* How many numbers a packed run holds; SIZE_MAX: it ends within one. */
static size_t count_packed(uint32_t kind, wire_span run)
{
    size_t count = 0, length = 0;
    if (kind != WIRE_INTS) {
        const size_t size = kind == WIRE_FLOATS ? 4 : 8;
        return run.count % size ? SIZE_MAX : run.count / size;
    }
    for (size_t k = 0; k < run.count; k++) {
        if (++length > 10)
            return SIZE_MAX;
        if (run.bytes[k] & 0x80)
            continue;
        count++;
        length = 0;
    }
    return length ? SIZE_MAX : count;
}

static bool add_to_list(walker *w, const wire_field *known, const field *f, wire_list *list)
{
    size_t more = 1;
    if (is_numbers(known->kind) && f->type == PB_WT_STRING)
        more = count_packed(known->kind, f->inside);
    if (more == SIZE_MAX)
        return false;
    if (!list->in.bytes)
        *list = (wire_list){ .in = { w->bytes.bytes + f->at, w->bytes.count - f->at },
                             .number = known->number,
                             .kind = known->kind };
    list->count += more;
    return true;
}

tn_status wire_open(const wire_message *message, wire_span bytes, wire_span file, void *out,
                    wire_error *error)
{
    walker w = walk(bytes);
    field f;
    bool bad;
    memset(out, 0, message->bytes);
    while (next_field(&w, &f, &bad)) {
        const wire_field *known = find(message, f.number);
        const size_t at = (size_t)(bytes.bytes - file.bytes) + f.at;
        if (!known)
            continue;
        void *to = (char *)out + known->offset;
        if (f.type != wanted_type(known->kind) &&
            !(f.type == PB_WT_STRING && is_numbers(known->kind)))
            return wire_fail(error, TN_ERR_FORMAT, "at byte %zu, field %s is %s: expected %s", at,
                             known->name, kind_text(f.type), kind_text(wanted_type(known->kind)));
        switch (known->kind) {
        case WIRE_INT: *(int64_t *)to = (int64_t)f.integer; break;
        case WIRE_FLOAT: memcpy(to, &f.bits, sizeof f.bits); break;
        case WIRE_ONCE:
            if (((wire_span *)to)->bytes)
                return wire_fail(error, TN_ERR_FORMAT, "at byte %zu, field %s stands twice", at,
                                 known->name);
            *(wire_span *)to = f.inside;
            break;
        case WIRE_BYTES: *(wire_span *)to = f.inside; break;
        default:
            if (!add_to_list(&w, known, &f, to))
                return wire_fail(error, TN_ERR_SYNTAX,
                                 "at byte %zu, the numbers of field %s are cut off", at,
                                 known->name);
        }
    }
    if (bad)
        return wire_fail(error, TN_ERR_SYNTAX,
                         "at byte %zu, the bytes are no field of %s: the file is cut off or "
                         "damaged, or no ONNX file",
                         (size_t)(bytes.bytes - file.bytes) + f.at, message->name);
    return TN_OK;
}

/* ---- lists --------------------------------------------------------------------------------------- */

/* The next occurrence. The message was walked over before: it holds no bad field. */
static bool next_of_list(wire_list *list, field *f)
{
    walker w = walk(list->in);
    bool bad, found = false;
    if (!list->in.bytes)
        return false;
    while (!found && next_field(&w, f, &bad))
        found = f->number == list->number;
    list->in.bytes += position(&w);
    list->in.count = w.stream.bytes_left;
    return found;
}

bool wire_next(wire_list *list, wire_span *out)
{
    field f;
    if (!list->count || !next_of_list(list, &f))
        return false;
    list->count--;
    *out = f.inside;
    return true;
}

/* The next number: from the run under way, else from the next field. */
static bool next_number(wire_list *list, uint64_t *out)
{
    field f;
    while (!list->packed.count) {
        if (!next_of_list(list, &f))
            return false;
        if (f.type == PB_WT_STRING) {
            list->packed = f.inside;
            continue;
        }
        *out = f.type == PB_WT_VARINT ? f.integer : f.type == PB_WT_32BIT ? f.bits : f.wide;
        return true;
    }
    pb_istream_t stream = pb_istream_from_buffer(list->packed.bytes, list->packed.count);
    uint32_t bits = 0;
    bool good = list->kind == WIRE_INTS      ? pb_decode_varint(&stream, out)
                : list->kind == WIRE_DOUBLES ? pb_decode_fixed64(&stream, out)
                                             : pb_decode_fixed32(&stream, &bits);
    if (list->kind == WIRE_FLOATS)
        *out = bits;
    list->packed.bytes += list->packed.count - stream.bytes_left;
    list->packed.count = stream.bytes_left;
    return good;
}

bool wire_next_int(wire_list *list, int64_t *out)
{
    uint64_t bits;
    if (!next_number(list, &bits))
        return false;
    *out = (int64_t)bits;
    return true;
}

bool wire_next_float(wire_list *list, float *out)
{
    uint64_t bits;
    if (!next_number(list, &bits))
        return false;
    const uint32_t low = (uint32_t)bits;
    memcpy(out, &low, sizeof low);
    return true;
}

bool wire_next_double(wire_list *list, double *out)
{
    uint64_t bits;
    if (!next_number(list, &bits))
        return false;
    memcpy(out, &bits, sizeof bits);
    return true;
}

bool wire_one_run(const wire_list *list, wire_span *out)
{
    wire_list copy = *list;
    field f;
    if (list->kind == WIRE_INTS || !next_of_list(&copy, &f) || f.type != PB_WT_STRING)
        return false;
    *out = f.inside;
    return f.inside.count == list->count * (list->kind == WIRE_FLOATS ? 4 : 8);
}
