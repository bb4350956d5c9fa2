/* engine/json/reader.h: what the files of the reader share: its state, complaints, checked objects.
 *
 * A function of the reader that meets something wrong in the text complains and goes on; the
 * tn_status it answers is only for what ends the reading (memory). Once something was complained
 * about, no node is added any more, but all the rest is still checked.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_READER_H
#define TN_JSON_READER_H

#include "engine/json/json.h"

#include <jansson.h>

/* Where the reader stands in the text: a key of, or an index in (key NULL), what `up` is. */
typedef struct tn_place {
    const struct tn_place *up;
    const char *key;
    size_t index;
    bool at_key; /* complain about the key, not its value */
} tn_place;

typedef struct tn_reader {
    const tn_registry *registry;
    const char *path; /* NULL: from memory */
    const char *text;
    size_t count;
    tn_limits limits;
    tn_diagnostics *diagnostics;
    tn_pool pool;
    tn_graph *model;
    tn_map functions; /* "domain\nname\noverload" → index in the model's functions */
    uint64_t weight_bytes, node_count;
    tn_safetensors *weights;
    tn_buffer *weights_buffer;
    const char *weights_name;
    bool weights_lost; /* the file was named, and complained about */
    bool names_lost;   /* some names could not be read: an unknown name may be one of them */
    bool is_function;  /* reading the body of one */
    uint32_t errors;
    tn_status status; /* of the first */
    const char *node, *op;
    tn_builder region;
} tn_reader;

/* A region to be filled. */
typedef struct tn_scope {
    tn_graph *graph;
    tn_region_id region;
    uint32_t depth;
} tn_scope;

/* ---- complaints (complain.c) --------------------------------------------------------------- */

/* "" as the place of no suggestion. */
void tn_json_complain(tn_reader *r, const tn_place *at, tn_status status, const char *suggestion,
                      const char *format, ...) TN_PRINTF(5, 6);
/* The same with what the thread's message says, in front of it `about` and a colon (NULL: nothing). */
void tn_json_complain_message(tn_reader *r, const tn_place *at, tn_status status,
                              const char *about);
/* For a status of the graph's: what ends the reading stays, the rest becomes a complaint. */
tn_status tn_json_settle(tn_reader *r, const tn_place *at, tn_status status);
void tn_json_add_path(tn_builder *out, const tn_place *at);
/* A value in a few words, for a message: "a list", "an object", 3, "text". Lives in the pool. */
const char *tn_json_found(tn_reader *r, const json_t *value);
/* "did you mean "x"?" or "". */
const char *tn_json_did_you_mean(tn_reader *r, const char *name, const char *const *names,
                                 size_t count);

/* ---- checked objects (object.c) ------------------------------------------------------------- */

enum {
    TN_J_STRING = 1,
    TN_J_INTEGER = 2,
    TN_J_REAL = 4,
    TN_J_OBJECT = 8,
    TN_J_ARRAY = 16,
    TN_J_BOOL = 32,
    TN_J_NULL = 64,
    TN_J_ANY = 127
};

/* A key that an object may have, the kinds of value it takes, and in words what is expected. */
typedef struct tn_key {
    const char *name;
    uint32_t kinds;
    bool required;
    const char *expected;
} tn_key;

uint32_t tn_json_kind(const json_t *value);
/* Fills members[k] with the value of keys[k]; NULL where there is none or (complained) a wrong one.
 * Complains about unknown keys. `what` with its article: "a node". false: it is no object at all, or
 * a required member is missing. */
bool tn_json_members(tn_reader *r, const tn_place *at, const json_t *value, const char *what,
                     const tn_key *keys, size_t count, const json_t **members);
/* Text, or {"base64": …}; lives in the pool or the document, terminated. false: complained. */
tn_status tn_json_text(tn_reader *r, const tn_place *at, const json_t *value, const char *about,
                       tn_text *out, bool *good);
/* Checks that a name is not empty; complains. NULL when it is. */
const char *tn_json_name(tn_reader *r, const tn_place *at, const json_t *value, const char *about);
/* Metadata of the graph (graph NULL: checked only). */
tn_status tn_json_metadata(tn_reader *r, const tn_place *at, const json_t *value, tn_graph *graph,
                           tn_node_id node);
tn_status tn_json_opset(tn_reader *r, const tn_place *at, const json_t *value, tn_graph *graph);

/* ---- types (read_type.c) --------------------------------------------------------------------- */

/* From "dtype" or "type", and "shape": members that may be NULL. `at` is the object. */
tn_status tn_json_type(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *dtype,
                       const json_t *type, const json_t *shape, tn_type *out, bool *good);
/* A whole {"dtype", "shape"} or "tensor(float32)". */
tn_status tn_json_type_value(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *value,
                             tn_type *out, bool *good);
uint32_t tn_json_dtype(tn_reader *r, const tn_place *at, const json_t *value);

/* ---- constants (read_constant.c, read_data.c) ------------------------------------------------- */

/* A constant's contents. `data` lies in `buffer`. */
typedef struct tn_contents {
    tn_tensor tensor;
    int64_t dims[TN_MAX_RANK];
    tn_buffer *buffer;
} tn_contents;

/* Reads {"dtype", "shape", "data" …}. `name` keys random numbers and is the tensor's default name in
 * the weights file (inline_tensor: then one of the sources must be named). `type` (may be NULL) fills
 * in for dtype and shape and is checked against them. *good: out is filled; its buffer is owned. */
tn_status tn_json_constant(tn_reader *r, const tn_place *at, const json_t *value, const char *name,
                           bool is_inline, const tn_type *type, tn_contents *out, bool *good);
tn_status tn_json_weights(tn_reader *r, const tn_place *at, const json_t *value);
/* Elements from a list into tensor->data. */
tn_status tn_json_data(tn_reader *r, const tn_place *at, const json_t *value,
                       const tn_tensor *tensor, bool *good);
/* A number, or "NaN", "Infinity", "-Infinity". */
bool tn_json_number(const json_t *value, double *out);
/* An integer, or one as a string of digits; false when it is none or beyond [low, high]. */
bool tn_json_integer(const json_t *value, int64_t low, uint64_t high, uint64_t *out);

/* ---- nodes (read_node.c, read_attribute.c), regions (read_body.c) ------------------------------ */

/* "inputs", "outputs", "constants", "nodes" of a graph, a function or a region; any may be NULL. */
typedef struct tn_body {
    const json_t *inputs, *outputs, *constants, *nodes;
    enum { TN_BODY_GRAPH, TN_BODY_FUNCTION, TN_BODY_REGION } kind;
} tn_body;
tn_status tn_json_body(tn_reader *r, const tn_place *at, const tn_scope *scope,
                       const tn_body *body);
tn_status tn_json_node(tn_reader *r, const tn_place *at, const tn_scope *scope,
                       const json_t *value);
/* The region behind a graph attribute. */
tn_status tn_json_region(tn_reader *r, const tn_place *at, const tn_scope *outer,
                         const char *attribute, const json_t *value, tn_region_id *out, bool *good);
/* One attribute; its arrays live in the pool. `wanted` is TN_ATTR_UNDEFINED where no schema tells. */
tn_status tn_json_attribute(tn_reader *r, const tn_place *at, const tn_scope *scope,
                            const char *name, const json_t *value, uint32_t wanted,
                            tn_attribute *out, bool *good);
/* The value that a name means here; complains and answers TN_NONE where there is none. `about` says
 * who names it: "input 1". */
tn_value_id tn_json_value(tn_reader *r, const tn_place *at, const tn_scope *scope, const char *name,
                          const char *about);

#endif
