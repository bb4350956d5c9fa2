/* tools/safetensors.c: one tensor out of a safetensors file, as an input or an expected answer.
 *
 * Eight bytes of length, a JSON object {name: {dtype, shape, data_offsets}}, then the data. (The
 * weights of a model are read by the library; this is for files that a user names.)
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <jansson.h>
#include <string.h>

static uint32_t dtype_of(const char *name)
{
    static const struct {
        const char *name;
        uint32_t dtype;
    } types[] = {
        { "F32", TN_FLOAT32 },
        { "F64", TN_FLOAT64 },
        { "F16", TN_FLOAT16 },
        { "BF16", TN_BFLOAT16 },
        { "I8", TN_INT8 },
        { "I16", TN_INT16 },
        { "I32", TN_INT32 },
        { "I64", TN_INT64 },
        { "U8", TN_UINT8 },
        { "U16", TN_UINT16 },
        { "U32", TN_UINT32 },
        { "U64", TN_UINT64 },
        { "BOOL", TN_BOOL },
        { "F8_E4M3", TN_FLOAT8E4M3FN },
        { "F8_E5M2", TN_FLOAT8E5M2 },
    };
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
        if (strcmp(types[k].name, name) == 0)
            return types[k].dtype;
    return TN_UNDEFINED;
}

static int read_tensor(tool *t, const char *name, blob data, const char *member, json_t *entry,
                       tn_tensor **out)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const json_t *shape = json_object_get(entry, "shape"),
                 *offsets = json_object_get(entry, "data_offsets");
    const json_int_t begin = json_integer_value(json_array_get(offsets, 0));
    const json_int_t end = json_integer_value(json_array_get(offsets, 1));
    int64_t dims[TN_MAX_RANK];
    const size_t rank = json_array_size(shape);
    if (!type || !json_is_array(shape) || rank > TN_MAX_RANK || json_array_size(offsets) != 2)
        return bad(t, EXIT_BAD, "%s: tensor '%s' lacks dtype, shape or data_offsets", name, member);
    if (dtype_of(type) == TN_UNDEFINED)
        return bad(t, EXIT_BAD, "%s: tensor '%s' has type %s, which is not supported", name, member,
                   type);
    for (size_t k = 0; k < rank; k++) {
        const json_t *dim = json_array_get(shape, k);
        if (!json_is_integer(dim))
            return bad(t, EXIT_BAD, "%s: tensor '%s' has a dimension that is no whole number", name,
                       member);
        dims[k] = json_integer_value(dim);
    }
    if (begin < 0 || end < begin || (uint64_t)end > data.count)
        return bad(t, EXIT_BAD, "%s: tensor '%s' lies at %lld to %lld of %zu bytes", name, member,
                   (long long)begin, (long long)end, data.count);
    if (array_check(t, keep_format(t, "%s: tensor '%s'", name, member), dtype_of(type),
                    (int32_t)rank, dims, (size_t)(end - begin)))
        return EXIT_BAD;
    *out = array_make(t, dtype_of(type), (int32_t)rank, dims);
    if (!*out)
        return EXIT_BAD;
    if ((*out)->bytes)
        memcpy((*out)->data, data.data + begin, (*out)->bytes);
    return EXIT_FINE;
}

static int pick(tool *t, const char *name, blob data, const char *member, json_t *root,
                tn_tensor **out)
{
    const char *key, *names = "", *only = NULL;
    json_t *entry;
    size_t count = 0;
    json_object_foreach(root, key, entry)
    {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        if (count++ < 20)
            names = keep_format(t, "%s%s%s", names, *names ? ", " : "", key);
        only = key;
    }
    if (!member && count != 1)
        return bad(t, EXIT_BAD, "%s has %zu tensors (%s): say which as %s:NAME", name, count, names,
                   name);
    if (!member)
        member = only;
    entry = json_object_get(root, member);
    if (!entry)
        return bad(t, EXIT_BAD, "%s has no tensor '%s'; it has %s", name, member, names);
    return read_tensor(t, name, data, member, entry, out);
}

int safetensors_read(tool *t, const char *name, blob bytes, const char *member, tn_tensor **out)
{
    uint64_t length = 0;
    json_error_t error;
    json_t *root;
    int code;
    for (int k = 7; k >= 0 && bytes.count >= 8; k--)
        length = length << 8 | bytes.data[k];
    if (bytes.count < 8 || length > bytes.count - 8)
        return bad(t, EXIT_BAD, "%s ends inside its header", name);
    root = json_loadb((const char *)bytes.data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return bad(t, EXIT_BAD, "%s: the header is no JSON object", name);
    }
    code = pick(t, name, (blob){ bytes.data + 8 + length, bytes.count - 8 - (size_t)length },
                member, root, out);
    json_decref(root);
    return code;
}
