/* plugins/onnx/external.c: external data (ONNX, "External Data"): location, offset, length.
 *
 * A file is mapped once for all its tensors. The host opens nothing outside of the model's folder.
 *
 * SPDX-License-Identifier: MIT */
#include "external.h"

#include <string.h>

static tn_status open_file(reader *r, const place *at, wire_span location, tn_buffer **out)
{
    const tn_host *host = r->ctx->call.host;
    const char *path;
    for (external_file *f = r->files; f; f = f->next)
        if (wire_equal(f->name, location)) {
            *out = f->buffer;
            return TN_OK;
        }
    TN_TRY(reader_text(r, at, location, &path));
    external_file *file = pool_take(&r->names, 1, sizeof *file);
    if (!file)
        return TN_ERR_MEMORY;
    TN_TRY(host->map_file(&r->ctx->call, path, &file->buffer));
    file->name = location;
    file->next = r->files;
    r->files = file;
    *out = file->buffer;
    return TN_OK;
}

void external_fini(reader *r)
{
    for (external_file *f = r->files; f; f = f->next)
        r->ctx->call.host->buffer_release(f->buffer);
    r->files = NULL;
}

/* A decimal number that fits; nothing else is in the text. */
static bool read_number(wire_span text, size_t *out)
{
    *out = 0;
    for (size_t k = 0; k < text.count; k++)
        if (text.bytes[k] < '0' || text.bytes[k] > '9' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (size_t)(text.bytes[k] - '0'), out))
            return false;
    return text.count > 0;
}

typedef struct external {
    wire_span location;
    size_t offset, length;
    bool has_length;
} external;

static tn_status read_entries(reader *r, const place *at, wire_list list, external *out)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "external_data", .index = k };
        proto_entry e;
        TN_TRY(reader_open(r, &here, &proto_entry_message, bytes, &e));
        const bool is_offset = wire_is(e.key, "offset"), is_length = wire_is(e.key, "length");
        if (wire_is(e.key, "location"))
            out->location = e.value;
        if ((is_offset || is_length) &&
            !read_number(e.value, is_offset ? &out->offset : &out->length))
            return reader_fail(r, &here, TN_ERR_FORMAT, "%s is '%.*s': expected a number of bytes",
                               is_offset ? "offset" : "length",
                               (int)(e.value.count < 40 ? e.value.count : 40),
                               e.value.count ? (const char *)e.value.bytes : "");
        out->has_length = out->has_length || is_length;
    }
    if (!out->location.count)
        return reader_fail(r, at, TN_ERR_FORMAT, "external data without a location");
    return TN_OK;
}

tn_status external_find(reader *r, const place *at, const proto_tensor *tensor, size_t bytes,
                        const void **data, tn_buffer **buffer)
{
    external e = { .offset = 0 };
    size_t size;
    TN_TRY(read_entries(r, at, tensor->external_data, &e));
    if (e.has_length && e.length != bytes)
        return reader_fail(r, at, TN_ERR_SHAPE,
                           "external data has length %zu, but the dims need %zu bytes", e.length,
                           bytes);
    TN_TRY(open_file(r, at, e.location, buffer));
    const char *start = r->ctx->call.host->buffer_data(*buffer, &size);
    if (e.offset > size || bytes > size - e.offset)
        return reader_fail(r, at, TN_ERR_FORMAT,
                           "external data is bytes %zu to %zu of '%.*s', which has %zu", e.offset,
                           e.offset + bytes, (int)(e.location.count < 80 ? e.location.count : 80),
                           (const char *)e.location.bytes, size);
    *data = start + e.offset;
    return TN_OK;
}
