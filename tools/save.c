/* tools/save.c: outputs into a folder: 0.npy, 1.npy … in the graph's order, and outputs.json.
 *
 * A sequence or optional becomes a folder of its elements: 0/0.npy, 0/1.npy … outputs.json says for
 * each output its name and kind: of a tensor dtype, shape and file, of others dtype and elements;
 * `stored` is the type in the file where numpy has not the output's.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int make_folder(tool *t, const char *path)
{
    char *copy = keep_text(t, path, strlen(path));
    for (char *at = copy + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(copy, 0777); /* what cannot be made here is complained about below */
            *at = '/';
        }
    if (mkdir(copy, 0777) && errno != EEXIST)
        return bad(t, EXIT_BAD, "%s: %s", path, strerror(errno));
    return EXIT_FINE;
}

/* Text of others need not be UTF-8, which JSON must be. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    return json ? json : json_string("?");
}

/* Writes a value as `file` (without ".npy"), relative to the folder; adds its fields to `entry`. */
static int save_value(tool *t, const char *folder, const char *file, const tn_tensor *value,
                      json_t *entry)
{
    const int64_t count = tn_value_count(value);
    json_t *elements, *shape;
    int code;
    if (count < 0) {
        code = npy_write(t, keep_format(t, "%s/%s.npy", folder, file), value);
        shape = json_array();
        for (int32_t axis = 0; axis < value->rank; axis++)
            json_array_append_new(shape, json_integer(value->dims[axis]));
        json_object_set_new(entry, "kind", json_string("tensor"));
        json_object_set_new(entry, "dtype", json_string(tn_dtype_name(value->dtype)));
        if (strcmp(npy_dtype(value->dtype), tn_dtype_name(value->dtype)) != 0)
            json_object_set_new(entry, "stored", json_string(npy_dtype(value->dtype)));
        json_object_set_new(entry, "shape", shape);
        json_object_set_new(entry, "file", text_json(keep_format(t, "%s.npy", file)));
        return code;
    }
    code = make_folder(t, keep_format(t, "%s/%s", folder, file));
    elements = json_array();
    json_object_set_new(entry, "kind",
                        json_string((value->kind & 15) == TN_OPTIONAL ? "optional" : "sequence"));
    if (value->dtype)
        json_object_set_new(entry, "dtype", json_string(tn_dtype_name(value->dtype)));
    json_object_set_new(entry, "elements", elements);
    for (int64_t k = 0; !code && k < count; k++) {
        json_t *element = json_object();
        json_array_append_new(elements, element);
        code = save_value(t, folder, keep_format(t, "%s/%lld", file, (long long)k),
                          tn_value_get(value, k), element);
    }
    return code;
}

static int save_all(tool *t, const char *folder, const answers *a, json_t *entries)
{
    for (size_t k = 0; k < a->count; k++) {
        json_t *entry = json_object();
        int code;
        json_array_append_new(entries, entry);
        json_object_set_new(entry, "name", text_json(a->names[k]));
        code = save_value(t, folder, keep_format(t, "%zu", k), a->tensors[k], entry);
        if (code)
            return code;
    }
    return EXIT_FINE;
}

int save_outputs(tool *t, const char *folder, const answers *a)
{
    json_t *root = json_object(), *entries = json_array();
    const char *path = keep_format(t, "%s/outputs.json", folder);
    int code = make_folder(t, folder);
    json_object_set_new(root, "outputs", entries);
    if (!code)
        code = save_all(t, folder, a, entries);
    if (!code && json_dump_file(root, path, JSON_INDENT(2)))
        code = bad(t, EXIT_BAD, "%s could not be written: %s", path, strerror(errno));
    json_decref(root);
    return code;
}
