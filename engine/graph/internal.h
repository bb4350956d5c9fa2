/* engine/graph/internal.h: how a graph is kept; for the files of this room only.
 *
 * Objects (nodes, values) live in blocks of their own and stay in place until they are gone for
 * good. All changes go through the functions of change.c, each of which leaves a record in the
 * journal: undo, the rollback of an edit that ran out of memory, and the end of removed objects
 * (at commit) are the same walk over these records. Taking back never allocates: arrays and tables
 * do not shrink.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_GRAPH_INTERNAL_H
#define TN_GRAPH_INTERNAL_H

#include "engine/graph/graph.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    REGION_NESTING = 200,   /* a bound for recursion; the reader's own is lower */
    ATTRIBUTE_LIMIT = 1024, /* of a node or function: lists are copied when they change */
    TRACE_BYTES = 4096      /* a trace that is longer says nothing to anybody */
};
/* The table of names also has those of outputs of region r, as if of region r | OUTPUT_NAMES, and
 * some of the whole graph. None of these has a scope around it. */
#define OUTPUT_NAMES (UINT32_C(1) << 31)
#define REGION_LIMIT (OUTPUT_NAMES - 16)
#define NODE_NAMES UINT32_MAX
#define METADATA_NAMES (UINT32_MAX - 1)
#define OPSET_NAMES (UINT32_MAX - 2)
#define FUNCTION_NAMES (UINT32_MAX - 3)

/* ---- texts (names.c) ---------------------------------------------------------------------- */

/* Every text of a graph and its clones, each once, so that equal texts are equal pointers. */
typedef struct tn_texts {
    atomic_uint references;
    pthread_mutex_t lock;
    tn_map map;
} tn_texts;
tn_texts *tn_texts_create(void);
tn_texts *tn_texts_ref(tn_texts *texts);
void tn_texts_unref(tn_texts *texts);
const char *tn_texts_intern(tn_texts *texts, const char *text); /* NULL: memory is short */

/* ---- slots (slots.c) ---------------------------------------------------------------------- */

typedef struct tn_slot {
    void *object;
    uint32_t next_free;
    uint8_t generation;
    bool alive; /* false with an object: removed, but an undo may bring it back */
} tn_slot;
/* Slot 0 is never given out, so that 0 is no handle: a struct filled with zeros names nothing. */
typedef struct tn_slots {
    tn_slot *items;
    uint32_t count, capacity, free_head, alive;
} tn_slots;
tn_status tn_slots_take(tn_slots *slots, void *object, uint32_t *handle);
void tn_slots_release(tn_slots *slots, uint32_t handle);
void *tn_slots_find(const tn_slots *slots, uint32_t handle); /* NULL: stale */
void tn_slots_set_alive(tn_slots *slots, uint32_t handle, bool alive);

/* ---- names (names.c) ---------------------------------------------------------------------- */

typedef struct tn_name_entry {
    const char *name;
    uint32_t region;
    uint32_t handle; /* of the region's own value; TN_NONE: none */
    uint32_t below;  /* how many values of regions further in have this name */
} tn_name_entry;
typedef struct tn_names {
    tn_name_entry *items;
    uint32_t count, capacity;
} tn_names;

/* ---- attributes (attribute.c) ------------------------------------------------------------- */

/* One attribute with all it points to in one block; immutable and shared. */
typedef struct tn_attribute_box {
    atomic_uint references;
    tn_attribute attribute;
} tn_attribute_box;
typedef struct tn_attribute_slot {
    tn_attribute_box *box;
    bool is_default;
} tn_attribute_slot;
/* The attributes of a node; replaced as a whole. */
typedef struct tn_attribute_list {
    uint32_t count;
    tn_attribute *items; /* as in the boxes */
    tn_attribute_slot slots[];
} tn_attribute_list;
tn_status tn_attribute_box_create(tn_texts *texts, const tn_attribute *attribute,
                                  tn_attribute_box **out);
tn_attribute_box *tn_attribute_box_ref(tn_attribute_box *box);
void tn_attribute_box_unref(tn_attribute_box *box);
/* Room for `count`, empty; filled by tn_attribute_list_add, which takes the box. */
tn_attribute_list *tn_attribute_list_create(uint32_t count);
void tn_attribute_list_add(tn_attribute_list *list, tn_attribute_box *box, bool is_default);
void tn_attribute_list_destroy(tn_attribute_list *list);
tn_attribute_list *tn_attribute_list_copy(const tn_attribute_list *list);
bool tn_attribute_has_region(const tn_attribute *attribute, tn_region_id region);
static inline uint32_t tn_attribute_regions(const tn_attribute *a, const tn_region_id **out)
{
    *out = a->regions;
    return a->type == TN_ATTR_GRAPH ? 1 : a->type == TN_ATTR_GRAPHS ? (uint32_t)a->count : 0;
}
/* Checks a tensor that comes from outside: plain, dense, with all its bytes there. */
tn_status tn_tensor_check(const tn_tensor *tensor, size_t *bytes);
tn_status tn_type_check(const tn_type *type);

/* ---- the objects -------------------------------------------------------------------------- */

/* Input `index` of node `owner`, or output `index` of region `owner`. */
typedef struct tn_use {
    uint32_t owner, index;
} tn_use;
typedef struct tn_uses {
    tn_use *items;
    uint32_t count, capacity;
} tn_uses;

/* Texts that a node carries, by key. Immutable and replaced as a whole; keys and texts are interned. */
typedef struct tn_node_metadata {
    uint32_t count;
    struct {
        const char *key, *text;
    } items[];
} tn_node_metadata;

typedef struct tn_node {
    tn_node_view view;
    tn_node_id id, previous, next; /* order in the region */
    tn_value_id *inputs, *outputs; /* what view shows */
    uint32_t *use_at;              /* [input] where it stands in the value's uses */
    uint32_t input_capacity;
    tn_attribute_list *attributes; /* NULL: none */
    tn_node_metadata *metadata;    /* NULL: none */
    const char *doc, *origin, *trace;
    const void *schema;
    /* The schema before the transaction, kept here because setting one cannot report that memory
     * is short. */
    const void *old_schema;
    uint32_t old_version;
    uint32_t saved_in; /* transaction; see graph->transaction */
    tn_node_id next_saved;
    uint32_t made_in, touched_in, changed_in, stale_in; /* transactions */
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } captures;
    uint64_t captures_of; /* graph->edits when they were found */
} tn_node;

typedef struct tn_elements {
    int64_t count;
    tn_dim items[];
} tn_elements;

typedef struct tn_value {
    tn_value_view view;
    tn_type type;
    tn_value_id id, previous, next; /* values of the region, in no order */
    tn_uses uses, outputs;
    tn_constant *constant;
    tn_elements *elements;
    const char *origin;
    uint64_t mark;         /* of the walk that last met it */
    _Atomic bool is_shown; /* the graph holds the constant, or it need not be held */
} tn_value;

typedef struct tn_region_output {
    tn_value_id value;
    uint32_t use_at;
    const char *name;
} tn_region_output;

typedef struct tn_region {
    bool alive;
    uint32_t depth;
    tn_region_id outer;
    tn_node_id owner, first, last;
    tn_value_id first_value;
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } inputs;
    struct {
        tn_region_output *items;
        uint32_t count, capacity;
    } outputs;
    /* The outputs' values again, as readers want them; grows with outputs. */
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } output_values;
} tn_region;

typedef struct tn_source {
    atomic_uint references;
    char *file;
    tn_locate_fn locate;
    void *user;
    void (*fini)(void *user);
} tn_source;

typedef struct tn_function {
    const char *domain, *name, *overload;
    const char *whole; /* the three as one name */
    tn_graph *graph;
} tn_function;

/* ---- the journal --------------------------------------------------------------------------- */

typedef enum tn_record_kind {
    RECORD_NODE_ADDED,
    RECORD_NODE_REMOVED,
    RECORD_NODE_MOVED,
    RECORD_NODE_OUTPUT,
    RECORD_INPUT,
    RECORD_INPUT_APPENDED,
    RECORD_ATTRIBUTES,
    RECORD_OPERATOR,
    RECORD_NODE_METADATA,
    RECORD_TRACE,
    RECORD_VALUE_ADDED,
    RECORD_VALUE_REMOVED,
    RECORD_VALUE_RENAMED,
    RECORD_VALUE_REGION,
    RECORD_CONSTANT,
    RECORD_TYPE,
    RECORD_ELEMENTS,
    RECORD_REGION_ADDED,
    RECORD_REGION_REMOVED,
    RECORD_REGION_OWNER,
    RECORD_REGION_OUTER,
    RECORD_REGION_INPUT,
    RECORD_REGION_OUTPUT_ADDED,
    RECORD_REGION_OUTPUT,
    RECORD_GRAPH_NAME,
    RECORD_METADATA,
    RECORD_OPSET,
    RECORD_FUNCTION
} tn_record_kind;

/* What a change needs to be taken back: the object, and what was there before. */
typedef struct tn_record {
    tn_record_kind kind;
    uint32_t a, b;
    void *object;
    const void *old, *old_too, *old_three;
    int64_t number;
} tn_record;

struct tn_graph {
    tn_dims *dims;
    tn_texts *texts;
    tn_source *source;
    tn_slots nodes, values;
    struct {
        tn_region *items;
        uint32_t count, capacity;
    } regions;
    tn_names names;
    tn_map node_suffixes, value_suffixes; /* next number for names made unique */
    const char *name, *doc;
    struct {
        struct {
            const char *key, *text;
        } * items;
        uint32_t count, capacity;
    } metadata;
    struct {
        struct {
            const char *domain;
            int64_t version;
        } * items;
        uint32_t count, capacity;
    } opsets;
    struct {
        tn_function *items;
        uint32_t count, capacity;
    } functions;
    tn_attribute_list *parameters; /* of a function; is_default: required */

    struct {
        tn_record *items;
        uint32_t count, capacity;
    } journal;
    struct {
        tn_node_id *items;
        uint32_t count, capacity;
    } touched;
    bool open;            /* a transaction is */
    uint32_t depth;       /* of edits made of others */
    uint32_t transaction; /* number of the open one or the last, from 1 */
    tn_node_id saved;     /* nodes whose schema was changed in the transaction */
    uint64_t edits;
    void *kept; /* tn_graph_keep */
    void (*kept_ref)(void *);
    void (*kept_unref)(void *);
    tn_holds shown;            /* constants whose contents readers may look at */
    pthread_mutex_t show_lock; /* of a frozen graph, too */
    pthread_mutex_t walk_lock; /* marks and captures: readers of a frozen graph walk, too */
    uint64_t walk;
};

/* constant.c: holds the constant that the value's view shows. */
void tn_graph_show(tn_graph *graph, tn_value *value);

static inline tn_node *tn_find_node(const tn_graph *graph, tn_node_id id)
{
    return tn_slots_find(&graph->nodes, id);
}
static inline tn_value *tn_find_value(const tn_graph *graph, tn_value_id id)
{
    return tn_slots_find(&graph->values, id);
}
/* The object of a handle that is known to have one, alive or about to be. */
static inline tn_node *tn_node_of(const tn_graph *graph, tn_node_id id)
{
    return graph->nodes.items[tn_slot_of(id)].object;
}
static inline tn_value *tn_value_of(const tn_graph *graph, tn_value_id id)
{
    return graph->values.items[tn_slot_of(id)].object;
}
static inline tn_region *tn_find_region(const tn_graph *graph, tn_region_id id)
{
    return id < graph->regions.count && graph->regions.items[id].alive ? &graph->regions.items[id]
                                                                       : NULL;
}
/* With an error for what is not there. */
tn_status tn_need_node(const tn_graph *graph, tn_node_id id, tn_node **out);
tn_status tn_need_value(const tn_graph *graph, tn_value_id id, tn_value **out);
tn_status tn_need_region(const tn_graph *graph, tn_region_id id, tn_region **out);
/* `inner` is `outer` or lies in it. */
bool tn_region_within(const tn_graph *graph, tn_region_id inner, tn_region_id outer);
/* The value can be read from that region; a complaint when not. */
tn_status tn_need_visible(const tn_graph *graph, const tn_value *value, tn_region_id from);

const char *tn_intern(const tn_graph *graph, const char *text); /* NULL: memory is short */
tn_status tn_intern_to(const tn_graph *graph, const char *text, const char **out); /* NULL is "" */
bool tn_names_reserve(tn_graph *graph, uint32_t more);
/* The value or node of that name in that region itself. */
uint32_t tn_names_get(const tn_graph *graph, tn_region_id region, const char *name);
/* A value of that name there would be the second in its scope, or shadow another, or be shadowed.*/
bool tn_names_taken(const tn_graph *graph, tn_region_id region, const char *name);
/* Both need the name interned; hold needs tn_names_reserve(depth of the region + 1) before. */
void tn_names_hold(tn_graph *graph, tn_region_id region, const char *name, uint32_t handle);
void tn_names_drop(tn_graph *graph, tn_region_id region, const char *name);
/* `wanted` itself when it is free, else wanted#2 …; interned. */
tn_status tn_names_unique(tn_graph *graph, tn_region_id region, const char *wanted,
                          const char **out);

/* ---- changes (change.c): each does it and writes the record; on failure nothing happened ----- */

tn_status tn_change_add_node(tn_graph *graph, tn_node *node, tn_node_id before);
tn_status tn_change_remove_node(tn_graph *graph, tn_node *node);
tn_status tn_change_move_node(tn_graph *graph, tn_node *node, tn_region_id region,
                              tn_node_id before);
tn_status tn_change_node_output(tn_graph *graph, tn_node *node, uint32_t k); /* becomes TN_NONE */
tn_status tn_change_input(tn_graph *graph, tn_node *node, uint32_t k, tn_value_id value);
tn_status tn_change_append_input(tn_graph *graph, tn_node *node, tn_value_id value);
tn_status tn_change_attributes(tn_graph *graph, tn_node *node, tn_attribute_list *list); /* takes */
tn_status tn_change_operator(tn_graph *graph, tn_node *node, const char *domain, const char *op,
                             const char *overload);
tn_status tn_change_node_metadata(tn_graph *graph, tn_node *node,
                                  tn_node_metadata *metadata); /* takes */
tn_status tn_change_trace(tn_graph *graph, tn_node *node, const char *trace);
tn_status tn_change_add_value(tn_graph *graph, tn_value *value);
tn_status tn_change_remove_value(tn_graph *graph, tn_value *value);
tn_status tn_change_rename(tn_graph *graph, tn_value *value, const char *name);
tn_status tn_change_value_region(tn_graph *graph, tn_value *value, tn_region_id region);
tn_status tn_change_constant(tn_graph *graph, tn_value *value, tn_constant *constant); /* takes */
tn_status tn_change_type(tn_graph *graph, tn_value *value, const tn_type *type);
tn_status tn_change_elements(tn_graph *graph, tn_value *value, tn_elements *elements); /* takes */
tn_status tn_change_add_region(tn_graph *graph, tn_region_id outer, tn_region_id *out);
tn_status tn_change_remove_region(tn_graph *graph, tn_region_id region);
tn_status tn_change_region_owner(tn_graph *graph, tn_region_id region, tn_node_id owner);
tn_status tn_change_region_outer(tn_graph *graph, tn_region_id region, tn_region_id outer);
tn_status tn_change_add_region_input(tn_graph *graph, tn_region_id region, tn_value *value);
tn_status tn_change_add_region_output(tn_graph *graph, tn_region_id region, const char *name,
                                      tn_value *value);
tn_status tn_change_region_output(tn_graph *graph, tn_region_id region, uint32_t k,
                                  tn_value *value);
void tn_undo_record(tn_graph *graph, const tn_record *record);
void tn_commit_record(tn_graph *graph, const tn_record *record);

/* ---- edits (transaction.c) ----------------------------------------------------------------- */

/* Room for one more record. */
bool tn_journal_reserve(tn_graph *graph);
void tn_journal_add(tn_graph *graph, const tn_record *record); /* after reserve */
tn_status tn_touch(tn_graph *graph, tn_node *node);            /* in a transaction */
/* Brackets an edit made of several changes: all of it or nothing. */
uint32_t tn_edit_begin(tn_graph *graph);
tn_status tn_edit_end(tn_graph *graph, uint32_t mark, tn_status status);

/* ---- making and unmaking (build.c, region.c, constant.c) ------------------------------------ */

tn_node *tn_node_create(tn_graph *graph, uint32_t input_count, uint32_t output_count);
void tn_node_destroy(tn_node *node); /* frees; knows no graph */
/* A copy with room for `more` texts; NULL: out of memory. */
tn_node_metadata *tn_node_metadata_copy(const tn_node_metadata *from, uint32_t more);
void tn_value_destroy_object(tn_value *value);
tn_status tn_make_value(tn_graph *graph, tn_region_id region, const char *name, const tn_type *type,
                        tn_value **out);                 /* name interned and free */
tn_status tn_erase_node(tn_graph *graph, tn_node *node); /* with outputs and bodies; unchecked */
tn_status tn_erase_region(tn_graph *graph, tn_region_id region);
/* The graph attributes in `list` name regions that wait for an owner: `node` becomes it. */
tn_status tn_claim_regions(tn_graph *graph, tn_node *node, const tn_attribute *attribute);
/* Where a node comes from: joins lists of names, one to a line, each once; interned. */
tn_status tn_join_names(tn_graph *graph, const char *names, const char *more, const char **out);
/* What to write as the trace of something that comes from this node: names, each on a line. */
static inline const char *tn_trace_of(const tn_node *node)
{
    return *node->trace ? node->trace : node->view.name;
}

/* Calls for each body of a node until one answers no success. */
typedef tn_status (*tn_body_fn)(tn_graph *graph, tn_region_id body, void *user);
tn_status tn_each_body(tn_graph *graph, const tn_node *node, tn_body_fn call, void *user);

/* An empty graph that shares tables (NULL: its own). */
tn_status tn_graph_create_with(tn_dims *dims, tn_texts *texts, tn_graph **out);

/* order.c: sorts the nodes of all regions, makers first. Calls for each region that cannot be, with
 * one cycle as text ("'a' → 'b' → 'a'"). */
typedef void (*tn_cycle_fn)(void *user, tn_node_id in_cycle, const char *text);
tn_status tn_sort_regions(tn_graph *graph, tn_cycle_fn complain, void *user);
tn_status tn_graph_create_sharing(tn_dims *dims, tn_texts *texts, tn_graph **out);
/* qsort: by slot, so that what depends on it does not change from run to run. */
int tn_compare_slots(const void *a, const void *b);
void tn_source_unref(tn_source *source);
tn_source *tn_source_ref(tn_source *source);

#endif
