/* plugins/onnx/write.h: what the writer's files share.
 *
 * survey.c looks at the whole graph first: constants by region, the IR version that its features
 * need, whether weights go to a file of their own. Then write.c emits it, twice (emit.h).
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_WRITE_H
#define ONNX_WRITE_H

#include "emit.h"

/* A constant and where it is declared, in the order in which values were made. */
typedef struct placed {
    tn_region_id region;
    tn_value_id value;
    size_t order;
    size_t offset; /* in the file of external data; SIZE_MAX: in the model */
} placed;

/* Text that the reader kept for a value: KEY_VALUE_DOC and so on, taken apart. */
typedef struct word {
    const char *name; /* of the value */
    const char *key;  /* of its metadata; NULL: its doc, or name */
    const char *text;
    bool is_name; /* of the Constant node that the value was */
} word;

typedef struct survey {
    tn_graph *graph;
    placed *constants;
    size_t count, capacity;
    word *words, *nodes, *annotations; /* of values, of Constant nodes; sorted by name */
    size_t word_count, node_count, annotation_count;
} survey;

typedef struct writer {
    tn_format_call *ctx;
    const tn_graph_api *api;
    pool pool;
    emitter e;
    tn_graph *graph; /* the model's, or a function's */
    survey *surveys; /* [1 + functions]: the model's first */
    survey *now;     /* of `graph` */
    uint64_t *seen;  /* survey.c: bits by slot of value */
    int64_t ir_version;
    size_t external_bytes; /* of the file beside; 0: there is none */
    const char *external_name;
} writer;

tn_status survey_all(writer *w);
/* That a node which was brought up is written for an older set only if its types, inputs and
 * attributes were there (history.c). */
tn_status history_allows(writer *w, const tn_graph *graph, tn_node_id node);
/* Of a graph's metadata. */
tn_status read_words(writer *w, survey *s);
/* Whether metadata of a node is the reader's, and not for others to see. */
bool is_own_key(const char *key);

/* Text k of what the graph keeps, taken apart and unescaped; by value name. */
const word *find_words(const word *words, size_t count, const char *name, size_t *out_count);

void write_tensor(writer *w, uint32_t field, const tn_tensor *tensor, const char *name,
                  size_t offset);
void write_type(writer *w, uint32_t field, const tn_type *type);
void write_value(writer *w, uint32_t field, const char *name, const tn_type *type);
void write_region(writer *w, tn_region_id region);
/* Constants that were nodes, or all. */
void write_constant_nodes(writer *w, uint32_t field, tn_region_id region, bool all);
/* Nodes of a region, and the Identity nodes of outputs whose name is not their value's. */
void write_nodes(writer *w, uint32_t field, tn_region_id region);
void write_attribute(writer *w, uint32_t field, const tn_attribute *attribute,
                     const tn_node_view *node, tn_node_id id);
const char *name_of(const writer *w, tn_value_id value);

#endif
