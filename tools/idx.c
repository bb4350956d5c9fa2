/* tools/idx.c: IDX files, the format of MNIST and its kin, as they are or gzipped.
 *
 * Two zero bytes, the element type, the rank, big-endian extents, then the elements, big-endian.
 * https://web.archive.org/web/2016/http://yann.lecun.com/exdb/mnist/ describes it at the end.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>
#include <zlib.h>

static uint32_t dtype_of(uint8_t code)
{
    switch (code) {
    case 0x08: return TN_UINT8;
    case 0x09: return TN_INT8;
    case 0x0b: return TN_INT16;
    case 0x0c: return TN_INT32;
    case 0x0d: return TN_FLOAT32;
    case 0x0e: return TN_FLOAT64;
    default: return TN_UNDEFINED;
    }
}

bool idx_sniff(blob b)
{
    if (b.count >= 2 && b.data[0] == 0x1f && b.data[1] == 0x8b)
        return true;
    return b.count >= 4 && b.data[0] == 0 && b.data[1] == 0 && dtype_of(b.data[2]) &&
           b.data[3] <= TN_MAX_RANK;
}

/* Where the bytes come from: the file itself, or what zlib makes of it. */
typedef struct source {
    bool packed;
    z_stream z;
    blob rest;
} source;

/* Exactly `count` bytes; false: fewer are there, or they are damaged. */
static bool take(source *s, void *to, size_t count)
{
    if (!s->packed) {
        if (s->rest.count < count)
            return false;
        if (count)
            memcpy(to, s->rest.data, count);
        s->rest.data += count;
        s->rest.count -= count;
        return true;
    }
    s->z.next_out = to;
    while (count) {
        const uInt piece = count > 1u << 30 ? 1u << 30 : (uInt)count;
        int code;
        s->z.avail_out = piece;
        s->z.avail_in = s->rest.count > 1u << 30 ? 1u << 30 : (uInt)s->rest.count;
        s->z.next_in = s->rest.data;
        code = inflate(&s->z, Z_NO_FLUSH);
        s->rest.count -= (size_t)(s->z.next_in - s->rest.data);
        s->rest.data = s->z.next_in;
        count -= piece - s->z.avail_out;
        if (code != Z_OK && !(code == Z_STREAM_END && count == 0))
            return false;
    }
    return true;
}

/* Big-endian elements into the machine's order (little-endian, as everywhere in Tenon). */
static void to_native(tn_tensor *tensor)
{
    const size_t each = tn_dtype_bits(tensor->dtype) / 8;
    uint8_t *data = tensor->data;
    for (size_t at = 0; at < tensor->bytes; at += each)
        for (size_t i = 0; i < each / 2; i++) {
            const uint8_t byte = data[at + i];
            data[at + i] = data[at + each - 1 - i];
            data[at + each - 1 - i] = byte;
        }
}

static int read_from(tool *t, const char *name, size_t file_bytes, source *s, tn_tensor **out)
{
    uint8_t head[4], extents[4 * TN_MAX_RANK];
    int64_t dims[TN_MAX_RANK];
    double bytes;
    if (!take(s, head, 4) || head[0] || head[1] || !dtype_of(head[2]))
        return bad(t, EXIT_BAD, "%s is no IDX file", name);
    if (head[3] > TN_MAX_RANK || !take(s, extents, 4u * head[3]))
        return bad(t, EXIT_BAD, "%s ends inside its header", name);
    bytes = tn_dtype_bits(dtype_of(head[2])) / 8;
    for (int k = 0; k < head[3]; k++) {
        const uint8_t *p = extents + 4 * k;
        dims[k] = (int64_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
                            p[3]);
        bytes *= (double)dims[k];
    }
    /* Deflate never gains more than 1032 to 1: what promises more is not worth allocating. */
    if (bytes > 1032.0 * (double)file_bytes)
        return bad(t, EXIT_BAD, "%s is too short for its shape %s", name,
                   shape_text(t, head[3], dims));
    if (array_check(t, name, dtype_of(head[2]), head[3], dims, SIZE_MAX))
        return EXIT_BAD;
    *out = array_make(t, dtype_of(head[2]), head[3], dims);
    if (!*out)
        return EXIT_BAD;
    if (!take(s, (*out)->data, (*out)->bytes))
        return bad(t, EXIT_BAD, "%s is too short for its shape %s", name,
                   shape_text(t, head[3], dims));
    to_native(*out);
    return EXIT_FINE;
}

int idx_read(tool *t, const char *name, blob bytes, tn_tensor **out)
{
    source s = { .rest = bytes, .packed = bytes.count >= 2 && bytes.data[0] == 0x1f };
    int code;
    if (s.packed && inflateInit2(&s.z, MAX_WBITS + 16) != Z_OK)
        return bad(t, EXIT_TROUBLE, "%s: zlib does not start", name);
    code = read_from(t, name, bytes.count, &s, out);
    if (s.packed)
        inflateEnd(&s.z);
    return code;
}
