/* engine/json/writer.h: what the files of the writer share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_WRITER_H
#define TN_JSON_WRITER_H

#include "engine/json/elements.h"
#include "engine/json/json.h"

enum { TN_JSON_MOST_INLINE = 64 /* elements; larger constants go to the weights file */ };

/* A tensor on its way to the weights file. */
typedef struct tn_stored {
    const char *name; /* in the pool */
    const tn_tensor *tensor;
    size_t bytes, offset;
} tn_stored;

typedef struct tn_writer {
    const tn_registry *registry;
    const tn_graph *model;
    const tn_graph *graph; /* the model, or the function being written */
    const char *path;
    tn_diagnostics *diagnostics;
    tn_pool pool;
    tn_builder out;
    int indent;
    struct {
        tn_stored *items;
        uint32_t count, capacity;
    } stored;
    tn_map stored_names;
    /* Constants of the graph being written, sorted by region. */
    struct tn_placed {
        tn_region_id region;
        tn_value_id value;
    } * constants;
    size_t constant_count;
    tn_status status; /* the first complaint */
} tn_writer;

void tn_write_complain(tn_writer *w, tn_status status, const char *node, const char *format, ...)
    TN_PRINTF(4, 5);
/* A line break and the indentation. */
void tn_write_line(tn_writer *w);
/* Text in quotes; complains when it is not UTF-8. `what` names it. */
void tn_write_name(tn_writer *w, const char *text, const char *what);
/* Text, or {"base64": …}. */
void tn_write_text(tn_writer *w, tn_text text);
void tn_write_float(tn_writer *w, double value, bool is_float32);
void tn_write_integer(tn_writer *w, uint64_t bits, bool is_signed);
/* "dtype": …, "shape": …, with `before` in front of the first; nothing for an unknown type. */
void tn_write_type(tn_writer *w, const tn_type *type, const char *before);
/* {"dtype": …, "shape": …, and the elements or where they are}. `name` is the constant's, or for an
 * inline tensor NULL; `store_as` is what the weights file would call it. */
void tn_write_tensor(tn_writer *w, const tn_tensor *tensor, const tn_constant *constant,
                     const char *name, const char *store_as);
void tn_write_attribute(tn_writer *w, const tn_node_view *node, const tn_attribute *attribute);
/* "inputs", "outputs", "constants", "nodes" of a region, each on lines of its own. */
void tn_write_body(tn_writer *w, tn_region_id region, bool is_function);
/* The weights file's bytes. */
tn_status tn_write_stored(tn_writer *w, const char *file);

#endif
