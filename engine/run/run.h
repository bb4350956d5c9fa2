/* engine/run/run.h: from a model to answers: runtime, model, session, plan table, context,
 * activations, and the executor.
 *
 *     runtime.c     a set of plugins; the host table is put together here
 *     model.c       reading and writing by format
 *     session.c     a model compiled for backends and options
 *     session_print.c, session_save.c  what it tells of itself; its graph as a file
 *     check.c       whether a pass left the answers as they were (check.h)
 *     intern.c      constants that passes make, shared by a model's sessions
 *     plan_table.c  plans by input signature: single flight, least recently used goes first
 *     context.c     inputs, runs, outputs
 *     activation.c  the memory of one plan in one context
 *     execute.c     the loop over steps
 *     batch.c       a batch piece by piece through the steps in front
 *     dynamic.c     steps whose extents only running tells; evaluation of single nodes
 *     object.c      values made while running: tensors, sequences, optionals
 *     host.c        what the host does for a running kernel
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_RUN_H
#define TN_RUN_H

#include "engine/compile/passes.h"
#include "engine/compile/plan.h"

struct tn_runtime {
    uint32_t refs;
    tn_registry *registry;
};
tn_runtime *tn_runtime_ref(tn_runtime *runtime);

/* Constants that passes make, shared by the sessions of a model (intern.c). */
typedef struct tn_interned tn_interned;
tn_status tn_interned_create(tn_interned **out);
void tn_interned_destroy(tn_interned *table);
/* Puts the table's constant in the place of each equal one with an id above last_id. */
tn_status tn_intern_constants(tn_interned *table, tn_graph *graph, uint64_t last_id);

struct tn_model {
    uint32_t refs;
    tn_runtime *runtime;
    tn_graph *graph;
    tn_packs *packs;
    tn_interned *interned;
    uint64_t last_id; /* of the constants that were read */
};
tn_model *tn_model_ref(tn_model *model);
/* Writes a graph in the format of the path's extension. */
tn_status tn_write_graph(tn_runtime *runtime, tn_graph *graph, const char *path,
                         tn_diagnostics *diagnostics);

/* ---- objects ------------------------------------------------------------------------------------ */

/* A value made while running. Reference-counted within one context, so without atomics. */
typedef struct tn_object {
    uint32_t magic, refs;
    tn_tensor tensor; /* dims point into this object; .object is this for sequences and optionals */
    int64_t dims[TN_MAX_RANK];
    struct tn_object *base; /* whose memory this shows; NULL: its own, or lent */
    struct tn_items *list;  /* of a sequence; of an optional: at most one; NULL: empty */
    uint32_t count;
} tn_object;
#define TN_OBJECT_MAGIC 0x6a626f74u

tn_status tn_object_create(const tn_type *type,
                           tn_object **out); /* a tensor with memory of its own */
tn_status tn_object_copy(const tn_tensor *tensor,
                         tn_object **out); /* of any kind; dense or strided */
tn_status tn_object_show(tn_object *base, const tn_type *type,
                         tn_object **out); /* base's elements, other dims */
/* Memory of the session's that outlives the object: a constant; nothing is copied. */
tn_status tn_object_lend(const tn_tensor *tensor, const tn_type *type, tn_object **out);
/* Copies elements, packed ones too, wherever they begin. */
void tn_copy_elements(uint32_t dtype, void *to, size_t to_index, const void *from,
                      size_t from_index, size_t count);
tn_status tn_object_list(uint32_t kind, uint32_t dtype,
                         tn_object **out); /* an empty sequence or optional */
tn_status tn_object_insert(tn_object *list, int64_t at, tn_object *item); /* takes the item */
tn_status tn_object_erase(tn_object *list, int64_t at);
tn_object *tn_object_ref(tn_object *object);
void tn_object_unref(tn_object *object);
/* A tensor as a constant, which takes its memory where nobody else holds that. Takes a reference. */
tn_status tn_object_to_constant(tn_object *object, tn_constant **out);
/* The object that a tensor given out by us is part of. */
tn_object *tn_object_of(const tn_tensor *tensor);
/* A list of its own: the same when nobody else holds it, else one that shares its elements until
 * they part. Takes and gives a reference. */
tn_status tn_object_own(tn_object *list, tn_object **out);

/* ---- session --------------------------------------------------------------------------------------- */

typedef struct tn_plan_entry tn_plan_entry;
typedef struct tn_plan_table {
    pthread_mutex_t lock, making;
    tn_plan_entry *first; /* most recently used first */
    uint32_t count, limit;
    uint64_t bytes, byte_limit;
    uint64_t hits, misses;
} tn_plan_table;
void tn_plan_table_init(tn_plan_table *table, uint32_t limit, uint64_t byte_limit);
void tn_plan_table_fini(tn_plan_table *table);
/* The plan for a region and input types, made when there is none. One reference. */
tn_status tn_plan_table_get(tn_plan_table *table, const tn_compile *compile, tn_region_id region,
                            const tn_type *inputs, uint32_t input_count,
                            tn_diagnostics *diagnostics, tn_plan **out);

struct tn_session {
    uint32_t refs;
    tn_model *model;
    tn_graph *graph;            /* frozen */
    tn_compile compile, single; /* with the session's threads; with one */
    tn_plan_table table;
    tn_pass_log log;
    tn_port *inputs, *outputs;
    uint32_t input_count, output_count;
    tn_pool pool;
    uint64_t nodes_read, create_ns;
    int64_t opset; /* that the graph is to be saved for; 0: the newest */
    int pid;
    uint32_t max_runs, runs;
    pthread_mutex_t run_lock;
    pthread_cond_t run_done;
};
tn_session *tn_session_ref(tn_session *session);
/* Input types of the graph from bindings: named ones as bound, others as declared, symbols 1. */
tn_status tn_session_types(tn_session *session, const tn_binding *bindings, size_t count,
                           tn_type *types);
/* Symbols that two inputs declare must have one value. */
tn_status tn_session_check(const tn_session *session, const tn_type *types);

/* ---- running ---------------------------------------------------------------------------------------- */

/* What all activations of one run share. */
typedef struct tn_run_state {
    const tn_session *session;
    struct tn_context *context;
    uint64_t seed, deadline; /* in ns of the monotonic clock; 0: none */
    uint64_t start;
    const volatile int *cancel;
    tn_pool strings;
    bool profile;
    uint32_t piece;  /* of the batch, from 1; 0: all of it */
    int32_t stopped; /* atomic: TN_ERR_CANCELLED or TN_ERR_DEADLINE once noticed */
} tn_run_state;

/* One value in an activation. */
typedef struct tn_cell {
    tn_tensor tensor;
    tn_object *object; /* a dynamic value's; NULL */
} tn_cell;

typedef struct tn_activation tn_activation;

/* A list that list_push collects. */
typedef struct tn_scan {
    tn_object **items;
    uint32_t count, capacity;
    int32_t axis, reverse;
    bool used;
} tn_scan;

/* A body that a step runs, kept from trip to trip: room for what it takes and gives, and the
 * activation that fitted last. */
typedef struct tn_body_site {
    struct tn_body_site *next;
    tn_region_id region;
    uint32_t own_count, count, output_count; /* own inputs, with captures; outputs */
    const tn_tensor **inputs;
    tn_object **objects;       /* lent */
    tn_type *types;            /* those that the activation is for */
    uint32_t *cells;           /* [count] where a capture lies in the activation around */
    const tn_value_id *values; /* [count] */
    tn_object **made;
    tn_activation *activation; /* NULL: none yet; held */
} tn_body_site;

/* A kernel's run and what the host functions need to know of it. `frame` and `ctx` must stay
 * together (tn_frame_of). */
typedef struct tn_step_call {
    tn_frame frame;
    tn_run ctx;
    const tn_compile *compile;
    tn_activation *activation; /* NULL: a node evaluated alone */
    tn_run_state *run;
    const tn_graph *graph;
    tn_node_id node;
    tn_object **made;  /* [output_count] dynamic outputs; NULL for static steps */
    tn_object **given; /* [input_count] the objects behind inputs; entries NULL for plain memory */
    const tn_type *types; /* [output_count] what inference says of dynamic outputs */
    tn_scan *scans;       /* [output_count] or NULL */
    uint64_t bodies;      /* run so far, for the budget */
    tn_body_site *sites;
    tn_pool *pool; /* of the step: sites live there */
} tn_step_call;

/* Whoever runs pieces of a batch: one plan's activation, the piece's inputs, a run's state of its own. */
typedef struct tn_piece_worker {
    tn_run_state run;
    tn_activation *activation;
    tn_tensor *inputs;
    const tn_tensor **shown; /* pointers to them */
} tn_piece_worker;

struct tn_activation {
    tn_activation *next; /* of the context's list */
    tn_plan *plan;
    tn_activation *outer; /* during a run of a body */
    tn_run_state *run;
    tn_cell *cells;
    tn_step_call *calls;       /* by step */
    tn_step_call **host_calls; /* by step: its host steps */
    char *arena, *slots;
    void **output_memory; /* by output */
    bool *output_own;     /* allocated here */
    uint32_t attached;    /* steps attached so far */
    bool busy;
    uint64_t turn;            /* tn_run.turn of its steps */
    uint32_t held;            /* by sites: kept however many there are */
    tn_piece_worker *workers; /* of plan->batch; the last for the rest, where one remains */
    uint32_t worker_count;
    tn_pool pool;
};

tn_status tn_activation_create(tn_plan *plan, tn_run_state *run, tn_activation **out);
void tn_activation_destroy(tn_activation *activation);
/* Points cells at inputs, outputs and arena; `inputs[k]` lent, `objects[k]` behind it or NULL. */
tn_status tn_activation_bind(tn_activation *activation, const tn_tensor *const *inputs,
                             tn_object *const *objects);
/* Lets go of dynamic values. */
void tn_activation_clear(tn_activation *activation);

/* Runs all steps. The error carries the node. */
tn_status tn_execute(tn_activation *activation);
/* batch.c: what runs of plan->batch need, made and destroyed with the activation; and such a run. */
tn_status tn_slicing_attach(tn_activation *activation);
void tn_slicing_detach(tn_activation *activation);
tn_status tn_slicing_run(tn_activation *activation);
/* TN_OK, TN_ERR_CANCELLED or TN_ERR_DEADLINE. Any thread. */
tn_status tn_run_check(tn_run_state *run);
/* Calls a kernel, skipping what has no elements; raises its words. */
tn_status tn_call_kernel(tn_step_call *call, const tn_kernel *kernel, const void *state,
                         void *slot);
tn_status tn_execute_dynamic(tn_activation *activation, uint32_t step);
/* A finished step on given tensors: tn_run_once_fn. */
tn_status tn_run_once(const tn_compile *compile, tn_plan_step *step, const tn_tensor *input,
                      tn_tensor *output);
/* tn_evaluate_fn; user is a tn_compile whose backends hold reference only. */
tn_status tn_evaluate(void *user, const tn_graph *graph, tn_node_id node,
                      const tn_tensor *const *inputs, tn_constant **outputs);
/* Runs a body: run_region's work. */
tn_status tn_run_body(tn_step_call *call, tn_region_id region, const tn_tensor *const *in,
                      uint32_t in_count, const tn_tensor **out, uint32_t out_count);
/* Lets go of what a step's bodies held. */
void tn_body_sites_fini(tn_step_call *call);
extern const tn_host tn_run_host;
uint64_t tn_now(void); /* ns, monotonic */

/* ---- context ---------------------------------------------------------------------------------------- */

typedef struct tn_input_slot {
    tn_tensor tensor;
    int64_t dims[TN_MAX_RANK], strides[TN_MAX_RANK];
    bool set;
    tn_tensor shown; /* what kernels see: `tensor`, or its dense copy */
    void *staging;   /* dense copy of a strided or misaligned input */
    size_t staging_bytes;
} tn_input_slot;

struct tn_context {
    uint32_t refs;
    tn_session *session;
    tn_input_slot *inputs;
    tn_tensor *callers; /* outputs' memory of the caller; .data NULL: none */
    tn_tensor *outputs;
    bool done; /* outputs are valid */
    tn_type *types, *last_types;
    const tn_tensor **bound;
    tn_object **objects;        /* sequences given as inputs, copied for the run */
    tn_activation *activations; /* most recently used first */
    tn_activation *current;
    tn_run_state run;
    pthread_mutex_t note_lock;
    tn_profile_step *profile;
    size_t profile_count, profile_capacity;
    uint64_t allocations;
};
/* An activation of the plan that is not busy, from the context's list or new. */
tn_status tn_context_activation(struct tn_context *context, tn_plan *plan, tn_activation **out);
/* Keeps the time of a step. Any thread of the run. */
void tn_context_note(const tn_run_state *run, const tn_plan_step *step, uint64_t start,
                     uint64_t end);

#endif
