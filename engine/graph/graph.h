/* engine/graph/graph.h: the intermediate representation: graph, region, node, value, attribute.
 *
 * Nodes and values of all regions of a model live in two tables of one graph and are named by
 * handles (slot and generation). A body's nodes use outer values directly: use lists see across
 * regions, and what a region captures is derived (tn_graph_captures). The public half of this
 * room is declared in tenon/tenon.h (tn_graph_…); tn_graph_functions is the same as a table for
 * plugins.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_GRAPH_H
#define TN_GRAPH_H

#include "engine/tensor/tensor.h"
#include "tenon/plugin.h"

/* A constant's contents: shared by graphs, clones, sessions. Immutable once made.
 *
 * What a file has at an odd address is copied to where it can be read. Such a copy goes when its
 * packed form has been made (tn_constant_forget), and is made again when somebody asks: it can be read
 * only while it is held. tn_graph_value() holds what it shows, as long as the graph lives or until
 * tn_graph_let_go; tn_graph_look() does not, and is for who wants anything but the elements. */
typedef struct tn_constant {
    tn_tensor tensor; /* dense, plain; dims point into this object */
    tn_buffer *buffer;
    uint64_t id; /* of these contents in this process: equal ids, equal contents */
    int64_t dims[TN_MAX_RANK];
} tn_constant;
tn_constant *tn_constant_ref(tn_constant *constant);
void tn_constant_unref(tn_constant *constant);
/* Lets the pages of a mapped file go; who reads the constant again gets them from the file. Likewise
 * a copy that nobody holds. */
void tn_constant_forget(tn_constant *constant);
bool tn_constant_can_go(const tn_constant *constant);
/* Counted. Nothing to do for what cannot go. */
void tn_constant_hold(tn_constant *constant);
void tn_constant_let_go(tn_constant *constant);
/* For the last who reads it, and holds it: gives some of its bytes back already. Nobody else can hold
 * it until the caller has let go. Nothing happens where others hold it. */
void tn_constant_consume(tn_constant *constant, const void *data, size_t bytes);
/* Constants that somebody holds, each once, with a reference. Zero-initialise. */
typedef struct tn_holds {
    tn_constant **items;
    uint32_t count, capacity;
} tn_holds;
tn_status tn_holds_add(tn_holds *holds, tn_constant *constant);
void tn_holds_fini(tn_holds *holds);
/* Item k is not needed any more, and forgotten. */
void tn_holds_drop(tn_holds *holds, uint32_t k);
/* Nobody reads any more what tn_graph_value showed of this graph's constants. */
void tn_graph_let_go(tn_graph *graph);
/* tn_graph_value, but the constant's elements may not be there. */
const tn_value_view *tn_graph_look(const tn_graph *graph, tn_value_id value);

extern const tn_graph_api tn_graph_functions;

/* A copy that shares constants and the table of dimensions; handles stay valid in it. Functions
 * are copied too. */
tn_status tn_graph_clone(const tn_graph *graph, tn_graph **out);
tn_dims *tn_graph_dims(const tn_graph *graph);

/* Where text lies that the graph came from: turns a node's origin plus a part ("/inputs/1") into
 * line and column. The graph owns `user` and frees it with `fini`. */
typedef void (*tn_locate_fn)(void *user, const char *origin, const char *part, uint32_t *line,
                             uint32_t *column);
void tn_graph_set_source(tn_graph *graph, const char *file, tn_locate_fn locate, void *user,
                         void (*fini)(void *));
const char *tn_graph_file(const tn_graph *graph); /* "" when it came from none */
/* Fills file, line, column, region, node and op of a diagnostic (texts lent from the graph's pool). */
void tn_graph_locate(tn_graph *graph, tn_node_id node, const char *part, tn_diagnostic *out);

/* Something that another room keeps with the graph (infer/: the schemas of its functions), shared
 * with its clones: a clone calls ref, a graph that goes unref. One at a time, NULL: none. */
void tn_graph_keep(tn_graph *graph, void *object, void (*ref)(void *), void (*unref)(void *));
void *tn_graph_kept(const tn_graph *graph);

/* ---- more reading ------------------------------------------------------------------------ */
uint32_t
tn_graph_region_count(const tn_graph *graph); /* slots; gone ones have no owner and are not top */
bool tn_graph_region_alive(const tn_graph *graph, tn_region_id region);
tn_region_id tn_graph_region_outer(const tn_graph *graph,
                                   tn_region_id region); /* TN_NONE for top */
uint32_t tn_graph_node_count(const tn_graph *graph);     /* alive, all regions */
uint32_t tn_graph_node_slots(const tn_graph *graph);     /* bound for tn_slot_of(node) */
uint32_t tn_graph_value_slots(const tn_graph *graph);
static inline uint32_t tn_slot_of(uint32_t handle)
{
    return handle & 0xffffffu;
}
tn_value_id tn_graph_value_at(const tn_graph *graph, uint32_t slot); /* TN_NONE when free */
tn_node_id tn_graph_node_at(const tn_graph *graph, uint32_t slot);
tn_node_id tn_graph_find_node(const tn_graph *graph, const char *name);   /* TN_NONE: none */
tn_constant *tn_graph_constant(const tn_graph *graph, tn_value_id value); /* NULL: none; lent */
/* Outer values that a node's bodies use at any depth, each once, in a stable order. Lent until the
 * next edit. */
tn_status tn_graph_captures(tn_graph *graph, tn_node_id node, const tn_value_id **out,
                            uint32_t *count);
/* The user's nodes that this one comes from, through all passes: names, one to a line; "" when it is
 * the user's own. */
const char *tn_graph_trace(const tn_graph *graph, tn_node_id node);
tn_status tn_graph_set_trace(tn_graph *graph, tn_node_id node, const char *names);
/* The next of a trace's names: its first byte, and how many; false after the last. */
static inline bool tn_trace_next(const char **rest, const char **name, size_t *count)
{
    *name = *rest;
    *count = strcspn(*rest, "\n");
    *rest += *count + ((*rest)[*count] != 0);
    return *count > 0;
}
/* Whether a caller of this function must give its attribute k. */
bool tn_graph_function_attribute_required(const tn_graph *function, uint32_t k);

/* ---- what inference writes down ----------------------------------------------------------- */
tn_status tn_graph_set_type(tn_graph *graph, tn_value_id value, const tn_type *type);
/* Elements of a small integer tensor as expressions; count -1: unknown. Lent. */
tn_status tn_graph_set_elements(tn_graph *graph, tn_value_id value, const tn_dim *elements,
                                int64_t count);
int64_t tn_graph_elements(const tn_graph *graph, tn_value_id value, const tn_dim **out);
/* The schema a node was resolved to (const tn_operator_def *, or a function's), and its version. */
void tn_graph_set_schema(tn_graph *graph, tn_node_id node, const void *schema, uint32_t version);
const void *tn_graph_schema(const tn_graph *graph, tn_node_id node);
/* A default that the schema gives: an attribute like others, but writing and printing may leave it
 * out, and it goes when the operator changes. One that the node has itself stays. */
tn_status tn_graph_set_default_attribute(tn_graph *graph, tn_node_id node,
                                         const tn_attribute *attribute);
bool tn_graph_attribute_is_default(const tn_graph *graph, tn_node_id node, const char *name);

/* ---- more editing ------------------------------------------------------------------------- */
/* Makes a value a constant in place (it must have no producer after the call's removal of its
 * node's other users); takes a reference. */
tn_status tn_graph_set_constant(tn_graph *graph, tn_value_id value, tn_constant *constant);
tn_status tn_graph_new_constant(tn_graph *graph, tn_region_id region, const char *name,
                                tn_constant *constant, tn_value_id *out);
tn_status tn_constant_create(const tn_tensor *tensor, tn_buffer *buffer,
                             tn_constant **out);                     /* buffer NULL: copies */
tn_status tn_graph_remove_value(tn_graph *graph, tn_value_id value); /* unused, no producer */
/* Output k of a node is not wanted any more: TN_NONE stands there, its value goes. TN_ERR_STATE when
 * something reads it. */
tn_status tn_graph_drop_output(tn_graph *graph, tn_node_id node, uint32_t output);
tn_status tn_graph_rename_value(tn_graph *graph, tn_value_id value, const char *name);
/* Puts a node before another of the same region (TN_NONE: at the end). */
tn_status tn_graph_move_node(tn_graph *graph, tn_node_id node, tn_node_id before);
/* Moves the nodes of a body into the region around its owner, before the owner; inputs of the body
 * are replaced by `inputs`. Answers the values of the body's outputs in outputs[]. For functions
 * (copies `body`'s top region of another graph into region of `graph`) and for constant If. */
tn_status tn_graph_inline(tn_graph *graph, tn_node_id owner, const tn_graph *body,
                          tn_region_id body_region, const tn_value_id *inputs, uint32_t input_count,
                          tn_value_id *outputs, uint32_t output_count);

/* A copy that computes `outputs` alone (if any; in the places of the graph's own, the first one again
 * where there are fewer), from `inputs`, which no node makes any more: they become inputs behind the
 * graph's own, "cut in 0", …. Shares what a clone does. */
tn_status tn_graph_cut(const tn_graph *graph, const tn_value_id *inputs, uint32_t input_count,
                       const tn_value_id *outputs, uint32_t output_count, tn_graph **out);

/* One transaction: what is edited between begin and undo is put back as it was. Types and elements
 * count as edits. No nesting. begin answers TN_ERR_STATE when one is open. */
tn_status tn_graph_begin(tn_graph *graph);
void tn_graph_commit(tn_graph *graph);
void tn_graph_undo(tn_graph *graph);
/* Nodes touched (added, input or attribute changed, producer of a touched input) since begin, alive
 * ones, for inference anew. Lent. */
uint32_t tn_graph_touched(const tn_graph *graph, const tn_node_id **out);
/* Of a touched one: whether inference could come to another result. Not, when all that changed is
 * who makes or reads its values, or that it reads another value of the same type. */
bool tn_graph_stale(const tn_graph *graph, tn_node_id node);

/* ---- checks and text (verify.c, print.c) -------------------------------------------------- */
/* Names, uses, regions, order: sorts each region topologically (stable); TN_ERR_CYCLE names the
 * nodes of one cycle; every read value has a producer, is an input or a constant (TN_ERR_NAME). */
tn_status tn_graph_verify(tn_graph *graph, tn_diagnostics *diagnostics);
/* Only our own promises: lists of uses, names, producers agree. TN_ERR_INTERNAL when not. */
tn_status tn_graph_check_lists(const tn_graph *graph);
void tn_graph_print(const tn_graph *graph, tn_builder *out);

#endif
