/* engine/compile/plan.h: a plan: what is run, in which order, by which kernel, in which memory.
 *
 * In: a frozen graph, the session's choices (tn_compile), concrete types of a region's inputs.
 * Out: a tn_plan, immutable and shared by threads. The stages, one file each, in their order:
 *
 *     bind.c     types of all values for these inputs, one step a node
 *     place.c    a kernel for each step, with the reasons of those that declined
 *     fuse.c     elementwise steps moved into the epilogue of the one before
 *     prologue.c steps moved into the prologue of the one behind
 *     layout.c   measure; one alternative for each step; conversions between them
 *     views.c    pieces of joins and cuts as views of one buffer
 *     memory.c   places in the arena, offsets by lifetime
 *     prepare.c  packs constants, makes the kernels' objects
 *     samples.c  where values hold the samples of a batch
 *     batch.c   how far, and in which pieces, a batch goes through its first steps
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_PLAN_H
#define TN_PLAN_H

#include "engine/infer/infer.h"

#include <pthread.h>

/* compile/'s part of the host table: layout, layout_blob, extension. */
extern const tn_host tn_compile_host;
const void *tn_compile_extension(const tn_host *host, const char *id); /* prepare.c's part of it */

/* ---- what all plans of a session share ------------------------------------------------------ */

/* Private layouts, interned per session; ids from 2. Locked inside. */
typedef struct tn_layout_table tn_layout_table;
tn_status tn_layout_table_create(tn_layout_table **out);
void tn_layout_table_destroy(tn_layout_table *table);
tn_status tn_layout_intern(tn_layout_table *table, const void *blob, size_t blob_bytes,
                           size_t bytes, uint32_t *out);
const void *tn_layout_blob(tn_layout_table *table, uint32_t layout, size_t *blob_bytes);
/* What a tensor of this type takes in this layout. */
size_t tn_layout_bytes(tn_layout_table *table, uint32_t layout, const tn_type *type);
/* True when both layouts put every element at the same place (channels-last of one channel). */
bool tn_layout_same(uint32_t a, uint32_t b, const tn_type *type);

/* Packed constants, owned by the model, shared by plans and sessions. A block is made by the first
 * who asks; others wait for it. */
typedef struct tn_packs tn_packs;
typedef struct tn_pack_block tn_pack_block;
tn_status tn_packs_create(tn_packs **out);
void tn_packs_destroy(tn_packs *packs);
/* Blocks that are made from now on lie side by side in so many bytes, as far as they go, until 0 is
 * given: large pages serve many, and none is cleared twice. */
void tn_packs_reserve(tn_packs *packs, size_t bytes);
uint64_t tn_packs_bytes(tn_packs *packs);
/* *fill: this caller must fill it and then call tn_pack_filled (ok or not). One reference. */
tn_status tn_packs_get(tn_packs *packs, const uint64_t *sources, uint32_t source_count,
                       const char *build, const void *key, size_t key_bytes, size_t bytes,
                       tn_pack_block **out, bool *fill);
void tn_pack_filled(tn_pack_block *block, bool ok);
void *tn_pack_data(tn_pack_block *block);
void tn_pack_unref(tn_pack_block *block);

typedef struct tn_compile tn_compile;
typedef struct tn_plan_step tn_plan_step;
/* Runs a finished step once on given tensors: how constants are converted while compiling. run/
 * brings it. */
typedef tn_status (*tn_run_once_fn)(const tn_compile *compile, tn_plan_step *step,
                                    const tn_tensor *input, tn_tensor *output);

typedef struct tn_override {
    char *pattern;
    tn_backend *backend;
} tn_override;

/* The first steps of another plan, up to those that make one value, for some of its samples. */
typedef struct tn_stem {
    const struct tn_plan *whole;
    const int32_t *kinds; /* by value slot: tn_samples_find's */
    int64_t samples;
    tn_value_id value; /* what it makes … */
    uint32_t layout;   /* … in the layout that the whole has it in */
} tn_stem;

/* A session's choices. */
struct tn_compile {
    tn_registry *registry;
    tn_graph *graph;       /* frozen */
    const char **backends; /* names, in the session's order */
    uint32_t backend_count;
    tn_override *overrides;
    uint32_t override_count;
    uint32_t threads, math, flags;
    tn_layout_table *layouts;
    tn_packs *packs;
    tn_limits limits;
    tn_run_once_fn run_once;
    const tn_stem *stem;  /* NULL: plans are of whole regions */
    uint64_t cache_bytes; /* for pieces of a batch; 0: the processor's */
};

/* ---- the plan -------------------------------------------------------------------------------- */

enum { /* tn_plan_value.place, tn_plan_block.place */
       TN_PLACE_ARENA,
       TN_PLACE_CONSTANT, /* the model's memory, or a pack */
       TN_PLACE_INPUT,    /* the caller's memory */
       TN_PLACE_OUTPUT,   /* an output's own memory */
       TN_PLACE_DYNAMIC   /* an object made while running */
};

/* One value in one layout. */
typedef struct tn_plan_value {
    tn_value_id value;
    const tn_type *type;
    uint32_t layout;
    uint32_t place;
    uint32_t index;   /* INPUT, OUTPUT: which */
    uint32_t block;   /* values that share memory share a block; TN_NONE for CONSTANT, DYNAMIC */
    uint32_t maker;   /* step; TN_NONE: none */
    uint32_t view_of; /* the plan value whose elements these are; TN_NONE */
    bool is_piece;    /* of view_of, some of its elements; else all, with other extents */
    int64_t first;    /* a piece: its first element, counted in view_of's order */
    size_t at;        /* bytes from the memory of the last one of that chain */
    const int64_t *strides; /* NULL: dense */
    int64_t row, row_step;  /* strided: elements of a row, and from one to the next */
    uint32_t next;          /* the same value in another layout; TN_NONE */
    size_t bytes;
    const tn_tensor *constant;
    tn_pack_block *pack; /* a constant in another layout */
} tn_plan_value;

typedef struct tn_plan_block {
    uint32_t place, index;
    uint32_t first, last; /* steps between which it is in use, both included */
    size_t bytes, offset;
} tn_plan_block;

enum { /* tn_plan_step.kind */
       TN_STEP_KERNEL,
       TN_STEP_VIEW, /* output 0 shows input 0's elements: nothing to do but, for dynamic ones, a handle */
       TN_STEP_COPY,    /* output 0 gets input 0's bytes */
       TN_STEP_DYNAMIC, /* a kernel whose extents, kinds or bodies are known only while running */
       TN_STEP_PIECES   /* a join or cut whose pieces lie in one buffer, but for some `copies` */
};

/* A step of an epilogue that the host applies itself (TN_KERNEL_ANY_STEPS). */
typedef struct tn_host_step {
    const tn_kernel *kernel;
    const tn_node_view *node;
    tn_node_id id;
    uint32_t chain_input, input_count;
    const int32_t *inputs; /* as tn_step.inputs */
} tn_host_step;

/* Plan values of equal extents, one of them a piece. */
typedef struct tn_plan_copy {
    uint32_t from, to;
} tn_plan_copy;

struct tn_plan_step {
    tn_node_id node; /* TN_NONE: a conversion or copy */
    uint32_t kind;
    const tn_node_view *view;
    const tn_operator *op;
    const tn_kernel *kernel;
    void *state;
    bool measured;
    uint32_t input_count,
        output_count; /* inputs: own, operands of epilogue and prologue, then captures */
    uint32_t capture_count;
    tn_value_id *input_ids;  /* graph values, TN_NONE: absent */
    tn_value_id *output_ids; /* TN_NONE: not wanted */
    uint32_t *inputs;        /* plan values once layouts are chosen, TN_NONE: absent */
    uint32_t *outputs;
    tn_problem problem;
    tn_step *steps;       /* the epilogue */
    tn_node_id *fused;    /* their nodes */
    tn_step *prologue;    /* what makes input 0, and its epilogue */
    tn_node_id *prefixed; /* their nodes */
    tn_host_step *host_steps;
    uint32_t host_step_count;
    tn_alternative alternatives[TN_MAX_ALTERNATIVES];
    uint32_t alternative_count, chosen;
    bool *strided_inputs[TN_MAX_ALTERNATIVES]; /* which may be strided; NULL: not measured */
    bool *strided_outputs[TN_MAX_ALTERNATIVES];
    tn_plan_copy *copies; /* PIECES */
    uint32_t copy_count;
    tn_pack_block **packs;
    const void **pack_data;
    uint32_t scratch_block; /* TN_NONE: none */
    size_t slot_offset;
    double seconds;
    const char *algorithm;
    char *reasons;      /* pool */
    uint32_t starts_as; /* the input that output 0 must begin as a copy of, made by the executor;
                           TN_NONE: none, or the memory is the same already */
    bool in_place;
    bool gone; /* moved into another step's epilogue or prologue */
};

typedef struct tn_plan {
    uint32_t refs; /* atomic */
    const tn_compile *compile;
    tn_region_id region;
    tn_shapes shapes;
    tn_pool pool;
    tn_plan_step *steps;
    uint32_t step_count, step_capacity;
    tn_plan_value *values;
    uint32_t value_count, value_capacity;
    tn_plan_block *blocks;
    uint32_t block_count, block_capacity;
    uint32_t input_count; /* the region's own, then captures */
    uint32_t own_input_count;
    tn_value_id *input_ids;
    uint32_t *inputs; /* plan values */
    uint32_t output_count;
    uint32_t *outputs;  /* plan values */
    uint32_t *value_of; /* by slot of the graph's value: plan value in its first layout */
    size_t arena_bytes, live_bytes, slot_bytes, pack_bytes, scratch_bytes;
    uint32_t conversions, copies, views;
    bool has_dynamic;
    tn_holds held;  /* constants that kernels look at while the plan is made */
    uint32_t *dies; /* per step: range into `dead`, dynamic values whose last reader it is */
    uint32_t *dead;
    struct tn_slicing *batch; /* NULL: all samples of a step before the next one */
} tn_plan;

/* How a batch goes through a plan's first steps: piece after piece, each by a plan of its own, which
 * writes its share of `value`; the plan itself then runs from `step` on. */
typedef struct tn_slicing {
    uint32_t step;
    uint32_t value; /* plan value of the whole */
    int64_t samples, piece, count;
    uint32_t workers; /* threads that run pieces, each its own */
    bool *sliced;     /* [input_count] whether a piece gets its share of the input */
    tn_plan *plan;    /* of a piece */
    tn_plan *rest;    /* of what remains for the last; NULL: nothing */
    tn_stem stems[2];
    tn_compile compiles[2]; /* of `plan`, of `rest` */
} tn_slicing;

/* Types of the region's inputs, then of its captures, as tn_plan_captures lists them. */
tn_status tn_plan_create(const tn_compile *compile, tn_region_id region, const tn_type *inputs,
                         uint32_t input_count, tn_diagnostics *diagnostics, tn_plan **out);
tn_plan *tn_plan_ref(tn_plan *plan);
void tn_plan_unref(tn_plan *plan);
/* Outer values, not constants, that a region's plan takes beside the region's inputs. Lent. */
tn_status tn_plan_captures(const tn_compile *compile, tn_region_id region, const tn_value_id **out,
                           uint32_t *count);
/* Memory the plan itself takes, for the plan table's bound. */
size_t tn_plan_bytes(const tn_plan *plan);

/* ---- stages (each edits the plan under construction) ------------------------------------------ */
tn_status tn_bind(tn_plan *plan, const tn_type *inputs, uint32_t input_count,
                  tn_diagnostics *diagnostics);
/* Fills step->problem from its ids and epilogue; arrays come from the plan's pool. */
tn_status tn_problem_make(tn_plan *plan, tn_plan_step *step);
const tn_type *tn_plan_type(const tn_plan *plan, tn_value_id value);
/* Whether an alternative reads an input from a pack, so that it is not read where it lies. */
bool tn_is_packed(const tn_alternative *alternative, uint32_t input);
/* Multiply-adds and other operations of all the nodes that a step runs. */
tn_cost tn_step_cost(const tn_plan *plan, const tn_plan_step *step);
/* What measure declined: the kernel may not serve the node any more; without a kernel, the node
 * takes no epilogue and no prologue any more. */
typedef struct tn_bar {
    tn_node_id node;
    const tn_kernel *kernel;
    char *reason;
} tn_bar;
typedef struct tn_bars {
    tn_bar *items;
    uint32_t count, capacity;
} tn_bars;
const tn_bar *tn_bars_find(const tn_bars *bars, tn_node_id node, const tn_kernel *kernel);
/* Backend k of the list, opened when it is not yet; NULL: it cannot be, the thread's message says
 * why. [any] */
tn_backend *tn_compile_backend(const tn_compile *compile, uint32_t k);
tn_status tn_place(tn_plan *plan, const tn_bars *bars, tn_diagnostics *diagnostics);
tn_status tn_fuse(tn_plan *plan, const tn_bars *bars);
tn_status tn_fuse_prologues(tn_plan *plan, const tn_bars *bars);
/* TN_DECLINED: a measure said no; `bars` has one more, place again. */
tn_status tn_choose_layouts(tn_plan *plan, tn_bars *bars, tn_diagnostics *diagnostics);
tn_status tn_make_views(tn_plan *plan);
/* plan.c: room for one more value; values may move. */
tn_status tn_plan_reserve_value(tn_plan *plan);
tn_status tn_plan_memory(tn_plan *plan);
tn_status tn_prepare_all(tn_plan *plan, tn_diagnostics *diagnostics);

/* ---- shared by the stages, and by run/ for dynamic steps (kernel.c) ----------------------------- */
/* Asks one kernel. TN_OK, TN_DECLINED, TN_NEEDS_SHAPES, or an error; reason[] gets its words. */
tn_status tn_kernel_offer(const tn_compile *compile, const tn_kernel *kernel,
                          const tn_problem *problem, double *seconds, const char **algorithm,
                          char *reason, size_t reason_bytes);
/* Fills step->alternatives and state. TN_DECLINED with reason. */
tn_status tn_kernel_measure(const tn_compile *compile, tn_plan_step *step, tn_pool *pool,
                            const tn_layouts *candidates, char *reason, size_t reason_bytes);
/* Packs and prepares the chosen alternative. */
tn_status tn_kernel_prepare(const tn_compile *compile, tn_plan_step *step, tn_pool *pool);
/* finish, state, packs. */
void tn_kernel_finish(tn_plan_step *step);
/* Sets OpenMP's thread count for this thread; answers the one before. */
int tn_threads_enter(uint32_t threads);
void tn_threads_leave(int before);
/* Completes the message of an error in a node: file, line, node, operator. Answers status. */
tn_status tn_plan_diagnose(const tn_compile *compile, tn_node_id node, tn_status status,
                           const char *message, tn_diagnostics *diagnostics);

/* ---- samples.c ---------------------------------------------------------------------------------- */
enum {                          /* what a value is that has no axis of samples */
       TN_SAMPLES_SHARED = -1,  /* the same for all samples */
       TN_SAMPLES_EXTENTS = -2, /* its elements follow from extents, the batch's among them */
       TN_SAMPLES_MIXED = -3    /* anything */
};
/* kinds[value slots]: the axis, or one of the above, for batches of `batch` samples. */
tn_status tn_samples_find(const tn_plan *plan, int64_t batch, int32_t *kinds);
/* The type of a value for another number of samples. */
tn_type tn_samples_scaled(const tn_type *whole, int32_t kind, int64_t samples);

/* ---- batch.c ----------------------------------------------------------------------------------- */
/* Fills plan->batch where going through the first steps in pieces moves fewer bytes. */
tn_status tn_plan_slicing(tn_plan *plan);
void tn_slicing_fini(tn_slicing *batch);

/* ---- report.c ----------------------------------------------------------------------------------- */
tn_status tn_plan_report(const tn_plan *plan, tn_report **out);

#endif
