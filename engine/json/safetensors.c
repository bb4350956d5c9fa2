/* engine/json/safetensors.c: the directory of a .safetensors file: 8 bytes with the length of the
 * header, the header (a JSON object: name → dtype, shape, data_offsets), then the bytes.
 *
 * In: a mapped file that nobody has checked. Out: tensors whose data lies inside it. The format
 * says that tensors follow each other without a gap or an overlap and fill the file; so do we.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/json.h"

#include <jansson.h>
#include <stdio.h>

enum { MOST_HEADER = 100 * 1000 * 1000 /* as in the format's own library */ };

typedef struct entry {
    const char *name;
    uint32_t dtype;
    int32_t rank;
    int64_t dims[TN_MAX_RANK];
    size_t begin, end; /* from the first byte behind the header */
} entry;

struct tn_safetensors {
    tn_buffer *buffer;
    const char *file;
    tn_diagnostics *diagnostics;
    tn_pool pool;
    tn_map names;
    entry *entries;
    uint32_t count;
    size_t data;      /* offset of the first byte behind the header */
    tn_status status; /* of the first complaint */
};

static const struct {
    const char *name;
    uint32_t dtype;
} dtypes[] = {
    { "F64", TN_FLOAT64 },        { "F32", TN_FLOAT32 },
    { "F16", TN_FLOAT16 },        { "BF16", TN_BFLOAT16 },
    { "I64", TN_INT64 },          { "I32", TN_INT32 },
    { "I16", TN_INT16 },          { "I8", TN_INT8 },
    { "U8", TN_UINT8 },           { "U16", TN_UINT16 },
    { "U32", TN_UINT32 },         { "U64", TN_UINT64 },
    { "BOOL", TN_BOOL },          { "F8_E4M3", TN_FLOAT8E4M3FN },
    { "F8_E5M2", TN_FLOAT8E5M2 },
};

const char *tn_safetensors_dtype(uint32_t dtype)
{
    for (size_t k = 0; k < TN_COUNT(dtypes); k++)
        if (dtypes[k].dtype == dtype)
            return dtypes[k].name;
    return NULL;
}

/* `name` is the tensor's, or NULL. */
static void complain(tn_safetensors *s, tn_status status, const char *name, const char *format, ...)
    TN_PRINTF(4, 5);

static void complain(tn_safetensors *s, tn_status status, const char *name, const char *format, ...)
{
    char message[600];
    int count = name ? snprintf(message, sizeof message, "tensor '%.200s': ", name) : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(message + count, sizeof message - (size_t)count, format, args);
    va_end(args);
    const tn_diagnostic d = { .size = sizeof d,
                              .severity = TN_SEVERITY_ERROR,
                              .status = status,
                              .file = s->file,
                              .about = name ? name : "",
                              .message = message };
    tn_diagnose(s->diagnostics, &d);
    if (s->status == TN_OK)
        s->status = status;
}

/* ---- one tensor ---------------------------------------------------------------------------- */

static bool read_dtype(tn_safetensors *s, const json_t *value, entry *e)
{
    const char *name = json_string_value(value);
    for (size_t k = 0; name && k < TN_COUNT(dtypes); k++)
        if (strcmp(name, dtypes[k].name) == 0) {
            e->dtype = dtypes[k].dtype;
            return true;
        }
    complain(
        s, TN_ERR_TYPE, e->name,
        "dtype is \"%.40s\": expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL, F8_E4M3, F8_E5M2",
        name ? name : "");
    return false;
}

static bool read_shape(tn_safetensors *s, const json_t *value, entry *e)
{
    if (!json_is_array(value)) {
        complain(s, TN_ERR_FORMAT, e->name, "there is no shape: expected a list of numbers");
        return false;
    }
    if (json_array_size(value) > TN_MAX_RANK) {
        complain(s, TN_ERR_LIMIT, e->name, "the shape has %zu extents: expected at most %d",
                 json_array_size(value), TN_MAX_RANK);
        return false;
    }
    e->rank = (int32_t)json_array_size(value);
    for (int32_t k = 0; k < e->rank; k++) {
        const json_t *extent = json_array_get(value, (size_t)k);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0) {
            complain(s, TN_ERR_SHAPE, e->name, "extent %d of the shape is no number from 0", k);
            return false;
        }
        e->dims[k] = json_integer_value(extent);
    }
    return true;
}

static bool read_offsets(tn_safetensors *s, const json_t *value, size_t room, entry *e)
{
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin)) {
        complain(s, TN_ERR_FORMAT, e->name,
                 "data_offsets is no [begin, end] with 0 <= begin <= end");
        return false;
    }
    if ((uint64_t)json_integer_value(end) > room) {
        complain(s, TN_ERR_FORMAT, e->name,
                 "its bytes are [%" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                 ") behind the header, where the file has %zu: the file is too short",
                 json_integer_value(begin), json_integer_value(end), room);
        return false;
    }
    e->begin = (size_t)json_integer_value(begin);
    e->end = (size_t)json_integer_value(end);
    return true;
}

static void read_entry(tn_safetensors *s, const json_t *value, size_t room, entry *e)
{
    static const char *const keys[] = { "dtype", "shape", "data_offsets" };
    const char *key;
    json_t *member;
    size_t bytes;
    if (!json_is_object(value)) {
        complain(s, TN_ERR_FORMAT, e->name,
                 "expected an object with dtype, shape and data_offsets");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member) if (strcmp(key, keys[0]) != 0 &&
                                                                     strcmp(key, keys[1]) != 0 &&
                                                                     strcmp(key, keys[2]) != 0)
        complain(s, TN_ERR_FORMAT, e->name,
                 "there is no key \"%.60s\": expected dtype, shape and data_offsets", key);
    if (!read_dtype(s, json_object_get(value, keys[0]), e) ||
        !read_shape(s, json_object_get(value, keys[1]), e) ||
        !read_offsets(s, json_object_get(value, keys[2]), room, e))
        return;
    if (tn_shape_bytes(e->dtype, e->rank, e->dims, &bytes) != TN_OK)
        complain(s, TN_ERR_LIMIT, e->name, "%s", tn_error_message());
    else if (bytes != e->end - e->begin)
        complain(s, TN_ERR_SHAPE, e->name,
                 "its data_offsets leave %zu bytes: expected %zu, by its dtype and shape",
                 e->end - e->begin, bytes);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int by_offset(const void *a, const void *b)
{
    const entry *const *x = a, *const *y = b;
    if ((*x)->begin != (*y)->begin)
        return (*x)->begin < (*y)->begin ? -1 : 1;
    return (*x)->end < (*y)->end ? -1 : (*x)->end > (*y)->end;
}

/* Tensors must follow each other to the end of the file. */
static tn_status check_order(tn_safetensors *s, size_t room)
{
    const entry **order = tn_pool_alloc(&s->pool, ((size_t)s->count + 1) * sizeof *order);
    size_t end = 0;
    if (!order)
        return tn_raise_memory();
    for (uint32_t k = 0; k < s->count; k++)
        order[k] = &s->entries[k];
    qsort(order, s->count, sizeof *order, by_offset);
    for (uint32_t k = 0; k < s->count; k++) {
        const entry *e = order[k];
        if (e->begin < end)
            complain(s, TN_ERR_FORMAT, e->name,
                     "it begins at byte %zu, within '%.200s', which ends at %zu", e->begin,
                     order[k - 1]->name, end);
        else if (e->begin > end)
            complain(s, TN_ERR_FORMAT, e->name,
                     "it begins at byte %zu, but the one before it ends at %zu: expected no gap",
                     e->begin, end);
        end = e->end > end ? e->end : end;
    }
    if (end < room && s->status == TN_OK)
        complain(s, TN_ERR_FORMAT, NULL, "%zu bytes behind the last tensor belong to none",
                 room - end);
    return TN_OK;
}

static void check_metadata(tn_safetensors *s, const json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        complain(s, TN_ERR_FORMAT, NULL, "__metadata__ is no object");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (!json_is_string(value))
        complain(s, TN_ERR_FORMAT, NULL, "__metadata__ \"%.60s\" is no text", key);
}

static tn_status read_directory(tn_safetensors *s, const json_t *root, size_t room)
{
    const char *name;
    json_t *value;
    s->entries = tn_pool_alloc(&s->pool, (json_object_size(root) + 1) * sizeof *s->entries);
    if (!s->entries)
        return tn_raise_memory();
    json_object_foreach((json_t *)(uintptr_t)root, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            check_metadata(s, value);
            continue;
        }
        entry *e = &s->entries[s->count];
        e->name = tn_pool_copy(&s->pool, name);
        if (!e->name)
            return tn_raise_memory();
        TN_TRY(tn_map_put(&s->names, name, s->count++));
        read_entry(s, value, room, e);
    }
    return s->status == TN_OK ? check_order(s, room) : TN_OK;
}

/* The header's place and length. */
static bool find_header(tn_safetensors *s, size_t size, uint64_t *length)
{
    const unsigned char *bytes = tn_buffer_bytes(s->buffer);
    *length = 0;
    if (size < 8) {
        complain(s, TN_ERR_FORMAT, NULL,
                 "the file has %zu bytes: expected 8 with the length of the header, and the header",
                 size);
        return false;
    }
    for (int k = 7; k >= 0; k--)
        *length = *length << 8 | bytes[k];
    if (*length > MOST_HEADER)
        complain(s, TN_ERR_LIMIT, NULL,
                 "the header has %" PRIu64
                 " bytes: expected at most %d (is this a safetensors file?)",
                 *length, MOST_HEADER);
    else if (*length > size - 8)
        complain(s, TN_ERR_FORMAT, NULL,
                 "the header has %" PRIu64
                 " bytes, but the file ends after %zu: the file is too short",
                 *length, size - 8);
    return s->status == TN_OK;
}

static tn_status read_file(tn_safetensors *s)
{
    const size_t size = tn_buffer_size(s->buffer);
    uint64_t length;
    json_error_t error;
    if (!find_header(s, size, &length))
        return TN_OK;
    s->data = 8 + (size_t)length;
    json_t *root = json_loadb((const char *)tn_buffer_bytes(s->buffer) + 8, (size_t)length,
                              JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return tn_raise_memory();
    tn_status status = TN_OK;
    if (!root)
        complain(s, TN_ERR_SYNTAX, NULL, "the header is no JSON: %s, at its byte %d", error.text,
                 error.position);
    else if (!json_is_object(root))
        complain(s, TN_ERR_FORMAT, NULL, "the header is no object of tensors");
    else
        status = read_directory(s, root, size - s->data);
    json_decref(root);
    return status;
}

tn_status tn_safetensors_open(tn_buffer *buffer, const char *file, tn_diagnostics *diagnostics,
                              tn_safetensors **out)
{
    tn_safetensors *s = tn_alloc(1, sizeof *s);
    if (!s)
        return tn_raise_memory();
    s->buffer = tn_buffer_ref(buffer);
    s->diagnostics = diagnostics;
    s->file = tn_pool_copy(&s->pool, file ? file : "");
    tn_status status = s->file ? read_file(s) : tn_raise_memory();
    status = status == TN_OK ? s->status : status;
    s->diagnostics = NULL; /* only lent */
    if (status != TN_OK) {
        tn_safetensors_close(s);
        return status;
    }
    *out = s;
    return TN_OK;
}

void tn_safetensors_close(tn_safetensors *file)
{
    if (!file)
        return;
    tn_buffer_unref(file->buffer);
    tn_map_fini(&file->names);
    tn_pool_fini(&file->pool);
    tn_free(file);
}

bool tn_safetensors_get(const tn_safetensors *file, const char *name, tn_tensor *out)
{
    uint32_t k;
    if (!tn_map_get(&file->names, name, &k))
        return false;
    const entry *e = &file->entries[k];
    *out = (tn_tensor){ .size = sizeof *out,
                        .dtype = e->dtype,
                        .rank = e->rank,
                        .dims = e->dims,
                        .bytes = e->end - e->begin,
                        .data = (char *)tn_buffer_bytes(file->buffer) + file->data + e->begin };
    return true;
}

const char *tn_safetensors_nearest(const tn_safetensors *file, const char *name)
{
    const char **names = tn_alloc(file->count, sizeof *names);
    for (uint32_t k = 0; names && k < file->count; k++)
        names[k] = file->entries[k].name;
    const char *near = names ? tn_nearest(name, names, file->count) : NULL;
    tn_free(names);
    return near;
}
