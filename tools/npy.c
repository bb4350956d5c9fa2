/* tools/npy.c: numpy's array files, read and written.
 *
 * numpy/lib/format.py describes them: magic, version, header length, a Python dictionary as text
 * ('descr', 'fortran_order', 'shape'), then the elements. What numpy has no type for is written as
 * one that holds every value exactly: small floats as float32, 2- and 4-bit integers as a byte.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include "tenon/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ---------------------------------------------------------------------------------- */

typedef struct npy_type {
    const char *code; /* kind and bytes, without the byte order */
    uint32_t dtype;
    uint32_t swap; /* bytes of the unit that a byte order turns round */
} npy_type;

static const npy_type types[] = {
    { "b1", TN_BOOL, 1 },      { "i1", TN_INT8, 1 },        { "u1", TN_UINT8, 1 },
    { "i2", TN_INT16, 2 },     { "u2", TN_UINT16, 2 },      { "i4", TN_INT32, 4 },
    { "u4", TN_UINT32, 4 },    { "i8", TN_INT64, 8 },       { "u8", TN_UINT64, 8 },
    { "f2", TN_FLOAT16, 2 },   { "f4", TN_FLOAT32, 4 },     { "f8", TN_FLOAT64, 8 },
    { "c8", TN_COMPLEX64, 4 }, { "c16", TN_COMPLEX128, 8 },
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

static const npy_type *type_of(uint32_t dtype)
{
    for (size_t k = 0; k < TYPE_COUNT; k++)
        if (types[k].dtype == dtype)
            return &types[k];
    return NULL;
}

static uint32_t stored_as(uint32_t dtype)
{
    if (type_of(dtype) || dtype == TN_STRING)
        return dtype;
    if (tn_dtype_is_float(dtype))
        return TN_FLOAT32;
    return tn_dtype_is_signed(dtype) ? TN_INT8 : TN_UINT8;
}

const char *npy_dtype(uint32_t dtype)
{
    return tn_dtype_name(stored_as(dtype));
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct header {
    char order; /* '<', '>', '|', '=' */
    const char *code;
    bool fortran;
    int32_t rank;
    int64_t dims[TN_MAX_RANK];
    size_t data; /* where the elements begin */
} header;

/* What stands behind 'key': in the dictionary, or NULL. */
static const char *field(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += *at == '\'' || *at == '"';
    while (*at == ' ')
        at++;
    if (*at++ != ':')
        return NULL;
    while (*at == ' ')
        at++;
    return at;
}

static bool read_shape(const char *at, header *h)
{
    if (!at || *at++ != '(')
        return false;
    while (*at != ')') {
        char *end;
        errno = 0;
        if (h->rank == TN_MAX_RANK)
            return false;
        h->dims[h->rank] = strtoll(at, &end, 10);
        if (end == at || errno || h->dims[h->rank++] < 0)
            return false;
        at = end + strspn(end, "L, ");
    }
    return true;
}

static int read_dictionary(tool *t, const char *name, const char *text, header *h)
{
    const char *descr = field(text, "'descr"), *order = field(text, "'fortran_order");
    const char *quote;
    if (!descr || !order || !read_shape(field(text, "'shape"), h))
        return bad(t, EXIT_BAD, "%s: the .npy header is not what numpy writes", name);
    if (*descr != '\'' || !(quote = strchr(descr + 1, '\'')) || quote - descr < 3)
        return bad(t, EXIT_BAD, "%s: arrays of records are not supported", name);
    h->order = descr[1];
    h->code = keep_text(t, descr + 2, (size_t)(quote - descr) - 2);
    h->fortran = strncmp(order, "True", 4) == 0;
    return EXIT_FINE;
}

static int read_header(tool *t, const char *name, blob bytes, header *h)
{
    const uint8_t *b = bytes.data;
    size_t length, begin;
    if (bytes.count < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
        return bad(t, EXIT_BAD, "%s is no .npy array", name);
    if (b[6] < 1 || b[6] > 3)
        return bad(t, EXIT_BAD, "%s: .npy version %d, expected 1, 2 or 3", name, b[6]);
    begin = b[6] == 1 ? 10 : 12;
    if (bytes.count < begin)
        return bad(t, EXIT_BAD, "%s ends inside its header", name);
    length = b[6] == 1 ? (size_t)(b[8] | b[9] << 8)
                       : b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > bytes.count - begin)
        return bad(t, EXIT_BAD, "%s ends inside its header", name);
    h->data = begin + length;
    return read_dictionary(t, name, keep_text(t, (const char *)b + begin, length), h);
}

static void swap_units(uint8_t *data, size_t bytes, uint32_t unit)
{
    for (; bytes >= unit; bytes -= unit, data += unit)
        for (uint32_t i = 0; i < unit / 2; i++) {
            const uint8_t byte = data[i];
            data[i] = data[unit - 1 - i];
            data[unit - 1 - i] = byte;
        }
}

/* Elements of column-major order to row-major. */
static void from_fortran(const tn_tensor *to, const uint8_t *from, size_t each)
{
    int64_t index[TN_MAX_RANK] = { 0 }, offset = 0, strides[1][TN_MAX_RANK], step = 1;
    for (int32_t axis = 0; axis < to->rank; axis++) {
        strides[0][axis] = step;
        step *= to->dims[axis];
    }
    for (int64_t i = 0, n = tn_count(to); i < n; i++) {
        memcpy((uint8_t *)to->data + (size_t)i * each, from + (size_t)offset * each, each);
        tn_next(to->rank, to->dims, index, 1, (const int64_t(*)[TN_MAX_RANK])strides, &offset);
    }
}

/* One element of '<U5': UTF-32 to UTF-8, trailing zeros dropped; false: no code point. */
static bool read_utf32(const uint8_t *from, size_t units, bool big, char *to, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < units; i++, from += 4) {
        const uint32_t c = big ? (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 |
                                     (uint32_t)from[2] << 8 | from[3]
                               : (uint32_t)from[3] << 24 | (uint32_t)from[2] << 16 |
                                     (uint32_t)from[1] << 8 | from[0];
        uint8_t *out = (uint8_t *)to + *count;
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
        if (c < 0x80) {
            out[0] = (uint8_t)c;
            *count += 1;
        } else if (c < 0x800) {
            out[0] = (uint8_t)(0xc0 | c >> 6);
            out[1] = (uint8_t)(0x80 | (c & 63));
            *count += 2;
        } else if (c < 0x10000) {
            out[0] = (uint8_t)(0xe0 | c >> 12);
            out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
            out[2] = (uint8_t)(0x80 | (c & 63));
            *count += 3;
        } else {
            out[0] = (uint8_t)(0xf0 | c >> 18);
            out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
            out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
            out[3] = (uint8_t)(0x80 | (c & 63));
            *count += 4;
        }
    }
    while (*count && to[*count - 1] == '\0')
        --*count;
    return true;
}

static int read_strings(tool *t, const char *name, const header *h, blob data, tn_tensor **out)
{
    const bool wide = h->code[0] == 'U';
    const size_t units = strtoul(h->code + 1, NULL, 10), each = wide ? 4 * units : units;
    tn_tensor *tensor;
    size_t need;
    if (units > data.count || h->fortran)
        return bad(t, EXIT_BAD, "%s: strings of %zu characters%s do not fit the file", name, units,
                   h->fortran ? " in Fortran order" : "");
    if (array_check(t, name, TN_STRING, h->rank, h->dims, SIZE_MAX))
        return EXIT_BAD;
    if (__builtin_mul_overflow((size_t)tn_extent(h->dims, 0, h->rank), each, &need) ||
        need != data.count || (each == 0 && tn_extent(h->dims, 0, h->rank) > 0))
        return bad(t, EXIT_BAD, "%s has %zu bytes of elements, which its shape %s does not", name,
                   data.count, shape_text(t, h->rank, h->dims));
    tensor = array_make(t, TN_STRING, h->rank, h->dims);
    if (!tensor)
        return EXIT_BAD;
    for (size_t i = 0; i < (size_t)tn_count(tensor); i++) {
        const uint8_t *from = data.data + i * each;
        char *text = keep(t, each + 1);
        size_t count = units;
        if (!wide) {
            memcpy(text, from, units);
            while (count && text[count - 1] == '\0')
                count--;
        } else if (!read_utf32(from, units, h->order == '>', text, &count)) {
            return bad(t, EXIT_BAD, "%s: string %zu has what is no Unicode character", name, i);
        }
        ((tn_text *)tensor->data)[i] = (tn_text){ text, count };
    }
    *out = tensor;
    return EXIT_FINE;
}

static int read_numbers(tool *t, const char *name, const header *h, blob data, tn_tensor **out)
{
    const npy_type *type = NULL;
    tn_tensor *tensor;
    for (size_t k = 0; k < TYPE_COUNT; k++)
        if (strcmp(types[k].code, h->code) == 0)
            type = &types[k];
    if (!type)
        return bad(t, EXIT_BAD, "%s has numpy type '%c%s', which Tenon has not", name, h->order,
                   h->code);
    if (array_check(t, name, type->dtype, h->rank, h->dims, data.count))
        return EXIT_BAD;
    tensor = array_make(t, type->dtype, h->rank, h->dims);
    if (!tensor)
        return EXIT_BAD;
    if (h->fortran && h->rank > 1)
        from_fortran(tensor, data.data, tn_dtype_bits(type->dtype) / 8);
    else if (data.count)
        memcpy(tensor->data, data.data, data.count);
    if (h->order == '>' && type->swap > 1)
        swap_units(tensor->data, tensor->bytes, type->swap);
    for (size_t i = 0; type->dtype == TN_BOOL && i < tensor->bytes; i++)
        ((uint8_t *)tensor->data)[i] = ((uint8_t *)tensor->data)[i] != 0;
    *out = tensor;
    return EXIT_FINE;
}

int npy_read(tool *t, const char *name, blob bytes, tn_tensor **out)
{
    header h = { 0 };
    blob data;
    int code = read_header(t, name, bytes, &h);
    if (code)
        return code;
    data = (blob){ bytes.data + h.data, bytes.count - h.data };
    if (h.code[0] == 'U' || h.code[0] == 'S')
        return read_strings(t, name, &h, data, out);
    return read_numbers(t, name, &h, data, out);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Strings as '|S<longest>': bytes, as they are. */
static blob string_block(tool *t, const tn_tensor *tensor, size_t *longest)
{
    const tn_text *text = tensor->data;
    const size_t count = (size_t)tn_count(tensor);
    blob out;
    *longest = 1;
    for (size_t i = 0; i < count; i++)
        if (text[i].count > *longest)
            *longest = text[i].count;
    out.data = keep_array(t, count, *longest);
    out.count = count * *longest;
    for (size_t i = 0; i < count; i++)
        if (text[i].count)
            memcpy(out.data + i * *longest, text[i].bytes, text[i].count);
    return out;
}

static const char *header_text(tool *t, const char *descr, const tn_tensor *tensor)
{
    const char *shape = "";
    const char *text;
    size_t length;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        shape = keep_format(t, "%s%lld,%s", shape, (long long)tensor->dims[axis],
                            axis + 1 < tensor->rank ? " " : "");
    text = keep_format(t, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    /* Padded so that the elements begin at a multiple of 64. */
    length = (10 + strlen(text) + 1 + 63) / 64 * 64 - 10;
    return keep_format(t, "%-*s\n", (int)length - 1, text);
}

int npy_write(tool *t, const char *path, const tn_tensor *tensor)
{
    const uint32_t dtype = stored_as(tensor->dtype);
    const tn_tensor *plain = dtype == tensor->dtype ? tensor : array_convert(t, tensor, dtype);
    blob data;
    const char *text;
    size_t longest, length;
    uint8_t head[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 0, 0 };
    FILE *file;
    bool fine;
    if (!plain)
        return EXIT_BAD;
    data = (blob){ plain->data, tn_dtype_bytes(dtype, tn_count(plain)) };
    if (dtype == TN_STRING) {
        data = string_block(t, plain, &longest);
        text = header_text(t, keep_format(t, "|S%zu", longest), plain);
    } else {
        const npy_type *type = type_of(dtype);
        text = header_text(t, keep_format(t, "%c%s", type->swap > 1 ? '<' : '|', type->code),
                           plain);
    }
    length = strlen(text);
    head[8] = (uint8_t)(length & 255);
    head[9] = (uint8_t)(length >> 8);
    file = fopen(path, "wb");
    if (!file)
        return bad(t, EXIT_BAD, "%s: %s", path, strerror(errno));
    fine = fwrite(head, 1, sizeof head, file) == sizeof head &&
           fwrite(text, 1, length, file) == length &&
           (data.count == 0 || fwrite(data.data, 1, data.count, file) == data.count);
    if (fclose(file) || !fine) {
        const int error = errno;
        remove(path);
        return bad(t, EXIT_BAD, "%s: %s", path, strerror(error));
    }
    return EXIT_FINE;
}
