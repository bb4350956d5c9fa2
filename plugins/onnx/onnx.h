/* plugins/onnx/onnx.h: what the files of this plugin share: the reader's and the writer's state.
 *
 * Reading: read_model → read_function, read_body → read_node, read_tensor … Each takes the place in
 * the file it is at, for messages. Nothing is copied that the graph copies anyway: names go to a
 * pool that is emptied after each node, weights stay in the mapped file.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_H
#define ONNX_H

#include "tenon/plugin.h"
#include "tensor.h"

enum {
    NEWEST_IR = 14,
    OLDEST_IR = 3,
    NESTING_LIMIT = 64, /* of graphs, as tn_limits has it by default */
    DENSE_LIMIT =
        1 << 28 /* bytes that sparse tensors of a model may become, if the file is large */
};

/* ---- memory that lives as long as the call (pool.c) ------------------------------------------ */

typedef struct pool_block pool_block;
typedef struct pool {
    tn_call *call;
    pool_block *last;
} pool;
typedef struct pool_mark {
    pool_block *block;
    size_t used;
} pool_mark;
/* Aligned to 16, contents undefined; NULL: the host has none, and has said so. */
void *pool_take(pool *p, size_t count, size_t size);
pool_mark pool_here(const pool *p);
/* Gives back what was taken since. */
void pool_back(pool *p, pool_mark mark);
void pool_fini(pool *p);

/* ---- the reader -------------------------------------------------------------------------------- */

typedef struct external_file {
    struct external_file *next;
    wire_span name;
    tn_buffer *buffer;
} external_file;

typedef struct reader {
    tn_format_call *ctx;
    wire_span file;
    tn_graph *graph; /* the model's, or a function's */
    int64_t ir_version;
    pool pool;  /* emptied after each node */
    pool names; /* scopes, external files */
    external_file *files;
    size_t dense_bytes; /* of expanded sparse tensors so far */
    bool opaque_dims;   /* dim_param is a name, whatever it looks like */
    uint32_t dropped;   /* kinds of things that were warned of */
} reader;

/* Where the reader is: "graph.node[3] 'conv1' (Conv)". */
typedef struct place {
    const struct place *up;
    const char *what;
    size_t index; /* NO_INDEX: a single field */
    wire_span name, op;
} place;
#define NO_INDEX SIZE_MAX

/* Composes "place: text" and ends the call with it. */
tn_status reader_fail(reader *r, const place *at, tn_status status, const char *format, ...)
    TN_PRINTF(4, 5);
/* The same with the words of the graph function that answered `status`; TN_OK passes. */
tn_status reader_settle(reader *r, const place *at, tn_status status);
/* Opens a message or fails. */
tn_status reader_open(reader *r, const place *at, const wire_message *message, wire_span bytes,
                      void *out);
/* A terminated copy in the pool. Text with a zero byte within is refused. */
tn_status reader_text(reader *r, const place *at, wire_span text, const char **out);
/* Says once that the model loses something. */
enum {
    DROPPED_TRAINING = 1,
    DROPPED_DEVICES = 2,
    DROPPED_ATTRIBUTE_DOC = 4,
    DROPPED_DENOTATION = 8
};
void reader_drop(reader *r, uint32_t kind);

/* ---- names of a region (scope.c) ------------------------------------------------------------------ */

/* What a name stands for, and what the file says about it. */
typedef struct name_entry {
    wire_span name;
    tn_value_id value; /* TN_NONE: only spoken of */
    uint32_t is_initializer;
    wire_span type; /* a TypeProto; bytes NULL: none */
} name_entry;
typedef struct scope {
    const struct scope *up;
    tn_region_id region;
    uint32_t depth;
    name_entry *entries;
    size_t count, capacity;
} scope;
/* The entry of that name in the scope itself, made when it is not there; NULL: out of memory. */
name_entry *scope_entry(reader *r, scope *s, wire_span name);
/* The value as seen from here; TN_NONE: there is none. */
tn_value_id scope_find(const scope *s, wire_span name);

/* ---- parts of the model ----------------------------------------------------------------------------- */

tn_status read_type(reader *r, const place *at, wire_span type, tn_type *out);
tn_status read_body(reader *r, const place *at, scope *s, const proto_graph *graph);
tn_status read_function(reader *r, const place *at, wire_span bytes);
tn_status read_node(reader *r, const place *at, scope *s, const proto_node *node);
/* Attributes of a node or defaults of a function. */
tn_status read_attribute(reader *r, const place *at, scope *s, wire_span bytes, tn_attribute *out);
/* A value of the scope, with what was said about its type; shadowing names are made unique. */
tn_status declare(reader *r, const place *at, scope *s, wire_span name, tn_value_id *out);
tn_status read_metadata(reader *r, const place *at, wire_list list, const char *prefix);
/* Metadata of the graph under which Tenon keeps what it has no place for: prefix + name [/ key].
 * See README of the format in docs; the writer puts it back. */
tn_status keep_text(reader *r, const place *at, const char *prefix, wire_span name, wire_span key,
                    wire_span text);

/* An initializer, a Constant node's value, or an attribute. `name` may be empty: the tensor's. */
tn_status read_initializer(reader *r, const place *at, scope *s, const proto_tensor *tensor,
                           wire_span name);
tn_status read_sparse(reader *r, const place *at, scope *s, wire_span bytes, wire_span name);
/* The elements as a tensor whose memory is the file's or the pool's. *buffer: what a constant may
 * refer to (lent), or NULL when it must be copied. */
tn_status read_tensor(reader *r, const place *at, const proto_tensor *tensor, tensor_shape *shape,
                      tn_tensor *out, tn_buffer **buffer);
/* True for a Constant node whose value can be read at once; it was added to the graph. */
tn_status read_constant_node(reader *r, const place *at, scope *s, const proto_node *node,
                             bool *done);

tn_status read_model(tn_format_call *ctx);
tn_status write_model(tn_format_call *ctx);

/* Keys of the metadata that Tenon keeps for ONNX. */
#define KEY "onnx."
#define KEY_PRODUCER KEY "producer_name"
#define KEY_PRODUCER_VERSION KEY "producer_version"
#define KEY_DOMAIN KEY "domain"
#define KEY_MODEL_VERSION KEY "model_version"
#define KEY_MODEL_DOC KEY "model_doc"
#define KEY_GRAPH_METADATA KEY "graph_metadata/"
#define KEY_VALUE_DOC KEY "value_doc/"
#define KEY_VALUE_METADATA KEY "value_metadata/"
#define KEY_QUANTIZATION KEY "quantization/"
/* For the writer: from how many bytes of weights on they go to a file beside the model. */
#define KEY_EXTERNAL_FROM KEY "external_from"
/* Of what was a Constant node: KEY + value [/ key]. */
#define KEY_CONSTANT_NAME KEY "constant_name/"
#define KEY_CONSTANT_DOC KEY "constant_doc/"
#define KEY_CONSTANT_METADATA KEY "constant_metadata/"
/* Of a node: the type of a ref_attr_name attribute; what the graph behind an attribute is called. */
#define KEY_REFERENCE KEY "reference_type/"
#define KEY_BODY_NAME KEY "body_name/"
#define KEY_BODY_DOC KEY "body_doc/"
#define KEY_BODY_METADATA KEY "body_metadata/"

#endif
