/* tools/npz.c: numpy's archives: one array out of a zip file.
 *
 * APPNOTE.TXT of PKWARE, as far as numpy writes it: entries stored or deflated, found through the
 * central directory. Read by hand, on zlib, because libzip brings libcrypto and four compressors
 * along, which cost every start of the command more than a small network's whole run.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22,     /* end of central directory */
    CENTRAL_BYTES = 46, /* an entry of it */
    LOCAL_BYTES = 30    /* what stands before an entry's data */
};

static size_t get16(const uint8_t *p)
{
    return (size_t)(p[0] | p[1] << 8);
}
static size_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

typedef struct entry {
    const char *name;
    size_t method, packed, bytes, local;
    uint32_t sum;
} entry;

/* The end record stands last, before a comment of at most 64 KiB. */
static const uint8_t *find_end(blob b)
{
    if (b.count < END_BYTES)
        return NULL;
    for (size_t at = b.count - END_BYTES + 1; at-- > 0 && b.count - at <= END_BYTES + 65535;)
        if (memcmp(b.data + at, "PK\5\6", 4) == 0)
            return b.data + at;
    return NULL;
}

/* Reads the entry at *at of the central directory and steps on; false: none. */
static bool next_entry(tool *t, blob b, size_t *at, entry *out)
{
    const uint8_t *p = b.data + *at;
    size_t name;
    if (*at > b.count || b.count - *at < CENTRAL_BYTES || memcmp(p, "PK\1\2", 4) != 0)
        return false;
    name = get16(p + 28);
    if (b.count - *at - CENTRAL_BYTES < name)
        return false;
    *out = (entry){ .name = keep_text(t, (const char *)p + CENTRAL_BYTES, name),
                    .method = get16(p + 10),
                    .sum = (uint32_t)get32(p + 16),
                    .packed = get32(p + 20),
                    .bytes = get32(p + 24),
                    .local = get32(p + 42) };
    *at += CENTRAL_BYTES + name + get16(p + 30) + get16(p + 32);
    return true;
}

static bool inflate_all(const uint8_t *from, size_t packed, uint8_t *to, size_t bytes)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)from,
                   .avail_in = (uInt)packed,
                   .next_out = to,
                   .avail_out = (uInt)bytes };
    int code;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    code = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return code == Z_STREAM_END && z.total_out == bytes;
}

static int extract(tool *t, const char *name, blob b, const entry *e, blob *out)
{
    const uint8_t *local = b.data + e->local, *from;
    size_t left, skip;
    if (e->bytes == 0xffffffff || e->packed == 0xffffffff)
        return bad(t, EXIT_BAD, "%s: member '%s' is larger than 4 GiB; save it as .npy", name,
                   e->name);
    if (e->local > b.count || (left = b.count - e->local) < LOCAL_BYTES ||
        memcmp(local, "PK\3\4", 4) != 0)
        return bad(t, EXIT_BAD, "%s: member '%s' does not begin where the archive says", name,
                   e->name);
    skip = LOCAL_BYTES + get16(local + 26) + get16(local + 28);
    if (left < skip || left - skip < e->packed)
        return bad(t, EXIT_BAD, "%s ends inside member '%s'", name, e->name);
    /* Deflate never gains more than 1032 to 1: a larger promise is a bomb. */
    if ((e->method != 0 && e->method != 8) || (e->method == 0 && e->packed != e->bytes) ||
        e->bytes / 1032 > e->packed)
        return bad(t, EXIT_BAD, "%s: member '%s' is neither stored nor deflated as numpy does it",
                   name, e->name);
    from = local + skip;
    *out = (blob){ keep(t, e->bytes), e->bytes };
    if (e->method == 0 && e->bytes)
        memcpy(out->data, from, e->bytes);
    if ((e->method == 8 && !inflate_all(from, e->packed, out->data, e->bytes)) ||
        crc32(0, out->data, (uInt)e->bytes) != e->sum)
        return bad(t, EXIT_BAD, "%s: member '%s' is damaged", name, e->name);
    return EXIT_FINE;
}

static bool is_member(const char *entry_name, const char *member)
{
    const size_t n = strlen(member);
    return strncmp(entry_name, member, n) == 0 &&
           (entry_name[n] == '\0' || strcmp(entry_name + n, ".npy") == 0);
}

int npz_read(tool *t, const char *name, blob bytes, const char *member, tn_tensor **out)
{
    const uint8_t *end = find_end(bytes);
    entry e, found = { 0 };
    size_t at, count = 0;
    const char *names = "";
    blob data;
    int code;
    if (!end)
        return bad(t, EXIT_BAD, "%s has no zip directory: it is cut off, or no .npz", name);
    at = get32(end + 16);
    while (next_entry(t, bytes, &at, &e)) {
        if (count++ < 20)
            names = keep_format(t, "%s%s%.*s", names, *names ? ", " : "",
                                (int)(strlen(e.name) - (strlen(e.name) > 4 ? 4 : 0)), e.name);
        if (!member || is_member(e.name, member))
            found = e;
    }
    if (!member && count != 1)
        return bad(t, EXIT_BAD, "%s has %zu arrays (%s): say which as %s:NAME", name, count, names,
                   name);
    if (!found.name)
        return bad(t, EXIT_BAD, "%s has no array '%s'; it has %s", name, member, names);
    code = extract(t, name, bytes, &found, &data);
    return code ? code : npy_read(t, keep_format(t, "%s:%s", name, found.name), data, out);
}
