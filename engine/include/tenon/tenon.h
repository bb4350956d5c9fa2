/* tenon/tenon.h: the embedding API: all that an application includes.
 *
 *     tn_runtime *runtime; tn_model *model; tn_session *session; tn_context *context;
 *     tn_runtime_create(NULL, NULL, &runtime);                         plugins are found
 *     tn_model_load(runtime, "lenet.json", NULL, NULL, &model);        a file is read
 *     tn_session_create(model, NULL, NULL, &session);                  checked, optimized
 *     tn_context_create(session, &context);                            memory of one run
 *     tn_context_set_input(context, "image", &image);                  lent, not copied
 *     tn_context_run(context, NULL);
 *     const tn_tensor *probabilities = tn_context_output(context, 0);
 *
 * Rules that hold everywhere:
 *  - A function that can fail returns a tn_status; results come last and are written only on
 *    success. tn_error_message() then says what was wrong, in one line, on this thread.
 *  - Calls that read or compile take a tn_diagnostics (NULL: not wanted) that collects all
 *    complaints with file, line and node, not just the first.
 *  - Objects are reference counted: a model holds its runtime, a session its model, a context its
 *    session. destroy gives back the caller's reference; NULL is always fine; any order is.
 *  - Option structs: set `.size = sizeof(…)`, leave the rest zero for the defaults. NULL: all default.
 *  - The library never prints, exits, opens sockets, touches signals or global state.
 *  - Threads: runtime, model and session may be used from any thread at once; a context and a
 *    graph under construction belong to one thread at a time.
 *
 * Compiles alone as C99, C17 and C++17.
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TENON_H
#define TENON_TENON_H

#include "tenon/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tn_runtime tn_runtime;         /* a set of loaded plugins                        */
typedef struct tn_model tn_model;             /* what was read: a graph and its weights         */
typedef struct tn_session tn_session;         /* a model compiled for backends and options      */
typedef struct tn_context tn_context;         /* the memory of one run in flight                */
typedef struct tn_diagnostics tn_diagnostics; /* complaints, collected                          */
typedef struct tn_report tn_report;           /* what a session does with given input types     */

/* Receives text, piece by piece. `text` is not terminated. */
typedef void (*tn_print_fn)(void *user, const char *text, size_t count);

/* ---- errors ----------------------------------------------------------------------------- */

/* "0.1.0" */
TN_EXPORT const char *tn_version(void);
/* The name of a status: "TN_ERR_SHAPE"; "?" for what is none. Static. */
TN_EXPORT const char *tn_status_name(tn_status status);
/* What the last failing call on this thread complained about first. Never NULL; holds until the
 * next call on this thread. */
TN_EXPORT const char *tn_error_message(void);

enum { TN_SEVERITY_ERROR = 0, TN_SEVERITY_WARNING = 1, TN_SEVERITY_NOTE = 2 };

/* One complaint. Texts are "" where there is nothing to say; they live as long as the list. */
typedef struct tn_diagnostic {
    uint32_t size;
    uint32_t severity; /* TN_SEVERITY_* */
    tn_status status;
    uint32_t line;   /* from 1; 0: unknown */
    uint32_t column; /* from 1, in bytes; 0: unknown */
    uint32_t reserved;
    const char *file;
    const char *region; /* the path of graph attributes down to it: "if1/then_branch" */
    const char *node;
    const char *op;
    const char *about;      /* the input, output or attribute */
    const char *message;    /* what, found, expected */
    const char *suggestion; /* "did you mean 'Conv'?" */
    const char *text;       /* all of the above in one line, as a compiler would print it */
} tn_diagnostic;

TN_EXPORT tn_status tn_diagnostics_create(tn_diagnostics **out);
TN_EXPORT void tn_diagnostics_destroy(tn_diagnostics *diagnostics);
TN_EXPORT void tn_diagnostics_clear(tn_diagnostics *diagnostics);
/* How many are kept (at most 100), and how many there were of `severity` in all. */
TN_EXPORT size_t tn_diagnostics_count(const tn_diagnostics *diagnostics);
TN_EXPORT size_t tn_diagnostics_total(const tn_diagnostics *diagnostics, uint32_t severity);
/* Complaint k, in the order found; NULL beyond the last. */
TN_EXPORT const tn_diagnostic *tn_diagnostics_get(const tn_diagnostics *diagnostics, size_t k);

/* ---- names ------------------------------------------------------------------------------ */

/* "float32", as in JSON graphs; "?" for what is none. Static. */
TN_EXPORT const char *tn_dtype_name(uint32_t dtype);
/* The type of that name, or TN_UNDEFINED. */
TN_EXPORT uint32_t tn_dtype_of(const char *name);

/* ---- runtime ---------------------------------------------------------------------------- */

enum {
    TN_RUNTIME_NO_DEFAULT_PATHS = 1u << 0, /* neither TENON_PLUGIN_PATH nor the install's folder */
    TN_RUNTIME_TRUST_FILES = 1u << 1       /* load plugins whatever their owner and mode */
};
typedef struct tn_runtime_options {
    uint32_t size;
    uint32_t flags;
    const char *plugin_path; /* folders, separated by ':', searched first, in this order */
    /* Plugins that are linked into the program, ends with NULL; behind all files, so that a file
     * can replace one. NULL: none. With TN_RUNTIME_NO_DEFAULT_PATHS nothing is read from disk. */
    const struct tn_plugin_entry *const *linked;
} tn_runtime_options;

/* All plugins and backends of a build with -Dstatic=true; only in libtenon-static.a. */
extern const struct tn_plugin_entry *const tn_linked_plugins[];

/* Finds and loads plugins: options' folders, then TENON_PLUGIN_PATH, then the folder installed
 * with the library. In each folder: plugins/<name>.so, and backends/<name>.so, which are only
 * noted and opened when a session asks for them. Where plugins/index says what the plugins bring
 * (tn_index_plugins), they, too, are opened when something of theirs is asked for. A file that cannot be used is refused, shown by
 * tn_runtime_plugin, and no error here. */
TN_EXPORT tn_status tn_runtime_create(const tn_runtime_options *options,
                                      tn_diagnostics *diagnostics, tn_runtime **out);
TN_EXPORT void tn_runtime_destroy(tn_runtime *runtime);
/* Loads one more plugin from a file, ahead of what is found otherwise: what it offers replaces
 * what others offer under the same name. A backend is opened too. Not while sessions are being
 * created. TN_ERR_PLUGIN: no plugin; TN_ERR_ABI: of another ABI; TN_ERR_DUPLICATE. */
TN_EXPORT tn_status tn_runtime_load_plugin(tn_runtime *runtime, const char *file,
                                           tn_diagnostics *diagnostics);

typedef struct tn_plugin_info {
    uint32_t size;
    tn_status status; /* TN_OK: loaded, or for a backend usable; else why not */
    uint32_t is_backend;
    uint32_t opened; /* 0: a backend that no session asked for yet */
    uint32_t operator_count, kernel_count, pass_count, format_count, backend_count;
    uint32_t abi_major, abi_minor;
    const char *name, *version, *licence, *description;
    const char *file;
    const char *message; /* the reason of a refusal, or a backend's own description */
} tn_plugin_info;
/* Plugin k of those found, refused ones too; NULL beyond the last. Opens the plugin, when an index
 * put that off, but no backend. A copy that stays as it is, as long as the runtime lives: ask again for what has changed. [any] */
TN_EXPORT const tn_plugin_info *tn_runtime_plugin(tn_runtime *runtime, size_t k);
/* Writes FOLDER/plugins/index: what each plugin in FOLDER/plugins brings, with its build id, so that
 * runtimes open only those that they need. To be done again when a plugin there changes: until then
 * the index is passed over. TN_ERR_PLUGIN, TN_ERR_ABI, TN_ERR_DUPLICATE: a plugin there cannot be
 * used or has no build id; TN_ERR_IO. */
TN_EXPORT tn_status tn_index_plugins(const char *folder, tn_diagnostics *diagnostics);
/* Opens a backend by name, so that its tn_plugin_info tells its library. TN_ERR_BACKEND. */
TN_EXPORT tn_status tn_runtime_open_backend(tn_runtime *runtime, const char *name);
/* The backends a session uses when its options name none, in order: "native,onednn,reference".
 * Those that were found and not found unusable; none is opened by asking. Such a session opens a
 * backend when a node comes to it that none before it takes, and leaves out one that does not open;
 * one that names its backends opens them all, and fails when one does not. */
TN_EXPORT const char *tn_runtime_default_backends(tn_runtime *runtime);

/* Prints the schema of an operator ("Name", "com.example::Name"), all versions held, with the
 * kernels that are registered; TN_ERR_NAME, with the nearest name, when there is none. */
TN_EXPORT tn_status tn_runtime_print_operator(tn_runtime *runtime, const char *op,
                                              tn_print_fn print, void *user);
/* The table of all operators, as Markdown: operator, since, types, kernels by backend. */
TN_EXPORT tn_status tn_runtime_print_operators(tn_runtime *runtime, tn_print_fn print, void *user);
/* The passes, in their order: name, phase, exactness, plugin, what each does. */
TN_EXPORT tn_status tn_runtime_print_passes(tn_runtime *runtime, tn_print_fn print, void *user);

/* ---- model ------------------------------------------------------------------------------ */

/* Budgets: what a hostile file could blow up. 0: the default in brackets. */
typedef struct tn_limits {
    uint32_t size;
    uint32_t nesting;      /* of regions and of JSON [64] */
    uint64_t file_bytes;   /* of a graph file without weights [2 GiB] */
    uint64_t weight_bytes; /* of all constants [64 GiB] */
    uint64_t nodes;        /* before and after expanding functions [1,000,000] */
    uint64_t folded_bytes; /* of one constant made by folding [64 MiB] */
    uint64_t arena_bytes;  /* of one context [64 GiB] */
    uint64_t loop_trips;   /* of one Loop [none] */
} tn_limits;

typedef struct tn_model_options {
    uint32_t size;
    uint32_t flags;
    const char *format; /* name of the format; NULL: by extension and first bytes */
    tn_limits limits;   /* .size 0: all defaults */
} tn_model_options;

/* Reads a model. JSON graphs are the core's own; other formats come from plugins. Weights are
 * mapped, not copied. Errors of reading only: tn_session_create checks the operators. */
TN_EXPORT tn_status tn_model_load(tn_runtime *runtime, const char *path,
                                  const tn_model_options *options, tn_diagnostics *diagnostics,
                                  tn_model **out);
/* The same from memory, which is copied. Files beside it cannot be named then. */
TN_EXPORT tn_status tn_model_load_bytes(tn_runtime *runtime, const void *bytes, size_t count,
                                        const tn_model_options *options,
                                        tn_diagnostics *diagnostics, tn_model **out);
/* A model of a graph built by hand; takes the graph, which must not be used afterwards. */
TN_EXPORT tn_status tn_model_from_graph(tn_runtime *runtime, tn_graph *graph, tn_model **out);
/* Writes the model in the format of the extension; ".json" has a ".safetensors" beside it when
 * there are weights. Whole or not at all. */
TN_EXPORT tn_status tn_model_save(tn_model *model, const char *path, tn_diagnostics *diagnostics);
TN_EXPORT void tn_model_destroy(tn_model *model);
/* The graph as read, lent for reading. */
TN_EXPORT const tn_graph *tn_model_graph(const tn_model *model);
/* A text of the model's metadata, or NULL. */
TN_EXPORT const char *tn_model_metadata(const tn_model *model, const char *key);

/* ---- session ---------------------------------------------------------------------------- */

typedef struct tn_session_options {
    uint32_t size;
    uint32_t threads;      /* 0: what affinity and the cgroup's quota allow */
    const char *backends;  /* "onednn,reference": the first that offers a node gets it, and no other
                             is allowed; NULL: tn_runtime_default_backends */
    const char *placement; /* "conv1=reference,fc*=openblas": ahead of the list; NULL: none */
    const char *passes;    /* "none", or "+name,-name" on top of the default set; NULL: default */
    uint32_t math;         /* tn_math; 0: TN_MATH_FAST */
    uint32_t flags;        /* TN_SESSION_* */
    const char *outputs;   /* values to keep besides the graph's outputs, separated by ','; "*": all
                             values that nodes make (no fusion then hides one); NULL: none */
    uint32_t plan_count;   /* plans kept, and half as many of each body; 0: 16 */
    uint32_t max_parallel_runs; /* divides the threads among this many runs at once; 0: 1 */
    uint64_t plan_bytes;        /* bound on the memory of kept plans; 0: 256 MiB */
    tn_limits limits;
    /* While passes are verified, which may take long: told what comes next, in one line, on the
     * calling thread. NULL: not wanted. */
    void (*progress)(void *user, const char *line);
    void *progress_user;
    uint64_t cache_bytes; /* what activations of a piece of a batch are to fit in; 0: the caches */
} tn_session_options;
enum {
    TN_SESSION_NO_FUSION = 1u << 0,        /* no epilogues, no prologues */
    TN_SESSION_PLAIN_LAYOUTS = 1u << 1,    /* no layout but plain row-major */
    TN_SESSION_VENDOR_REFERENCE = 1u << 2, /* a vendor library's own reference code is fine */
    TN_SESSION_PREFER_BODIES = 1u << 3,    /* an operator that can be made of others is, whatever
                                              kernels there are for it: for holding the two against
                                              each other; slower */
    TN_SESSION_NO_VIEWS = 1u << 4,         /* Concat, Split and Slice always move their elements */
    TN_SESSION_NO_PIECES = 1u << 5         /* a batch goes through each node as a whole */
};

/* Compiles: upgrade, verify, infer, expand, passes. */
TN_EXPORT tn_status tn_session_create(tn_model *model, const tn_session_options *options,
                                      tn_diagnostics *diagnostics, tn_session **out);
TN_EXPORT void tn_session_destroy(tn_session *session);

/* An input or output of the graph, in the order of the file. */
typedef struct tn_port {
    uint32_t size;
    uint32_t has_default; /* an input that need not be set */
    const char *name;
    tn_type type;
    const char *shape; /* as text: "[N, 1, 28, 28]" */
} tn_port;
/* Port k; NULL beyond the last. Lives as long as the session. */
TN_EXPORT const tn_port *tn_session_input(const tn_session *session, size_t k);
TN_EXPORT const tn_port *tn_session_output(const tn_session *session, size_t k);

/* A name and a type that a run will have; only named inputs are bound, others by their declared
 * shape, with 1 for a symbol. */
typedef struct tn_binding {
    const char *name;
    tn_type type;
} tn_binding;
/* Makes the plan for these input types ahead of the first run. */
TN_EXPORT tn_status tn_session_warm(tn_session *session, const tn_binding *bindings, size_t count,
                                    tn_diagnostics *diagnostics);

typedef struct tn_session_stats {
    uint32_t size;
    uint32_t threads;
    uint64_t nodes_read, nodes_left; /* before and after the passes */
    uint64_t plans, plan_hits, plan_misses;
    uint64_t weight_bytes, pack_bytes; /* of the model, shared by its sessions */
    uint64_t create_ns;                /* tn_session_create */
    uint64_t verified; /* passes' sweeps that were run before and after (passes: "verify") */
} tn_session_stats;
TN_EXPORT void tn_session_get_stats(tn_session *session, tn_session_stats *out);

/* Prints a stage: "graph" the frozen graph, "passes" what each pass did and why not. */
TN_EXPORT tn_status tn_session_print(tn_session *session, const char *stage, tn_print_fn print,
                                     void *user);
/* Saves the graph after the passes, as tn_model_save. */
TN_EXPORT tn_status tn_session_save(tn_session *session, const char *path,
                                    tn_diagnostics *diagnostics);

/* One step of a plan. */
typedef struct tn_report_step {
    uint32_t size;
    uint32_t is_conversion; /* a layout conversion that no node asked for */
    const char *name;       /* the node's */
    const char *op;
    const char *backend, *algorithm;
    const char *fused;  /* nodes in its epilogue, "relu1 add2"; those of a prologue stand before a
                           bar, "conv1 relu1 | relu2"; "" */
    const char *inputs; /* types, with layouts that are not plain: "float32[1,6,28,28]:nhwc" */
    const char *outputs;
    const char *place;   /* where the output lies: "arena+0", "view of x", "in place of x" */
    const char *reasons; /* who was asked before and why not: "onednn: …; openblas: …" */
    double macs, ops, bytes;
    uint64_t parameters; /* elements of constant inputs */
    uint64_t output_bytes;
    double seconds;  /* the kernel's own estimate; 0: none */
    tn_window field; /* receptive field on the first spatial axis: size in .kernel, jump in
                               .stride, start in .pad_begin; kernel 0: none */
} tn_report_step;

typedef struct tn_report_totals {
    uint32_t size;
    uint32_t conversions, copies; /* of layouts; of values that could not be reused or viewed */
    uint64_t steps, views;
    double macs, ops;
    uint64_t parameters, weight_bytes, pack_bytes, scratch_bytes, slot_bytes;
    uint64_t arena_bytes; /* by the memory plan … */
    uint64_t live_bytes;  /* … and the largest sum of live values: no plan could do with less */
    /* Steps in front that a batch goes through in pieces, and samples of a piece; 0: none. The report
     * tells of the steps as a whole batch would go through them. */
    uint64_t piece_steps, piece;
    uint64_t
        piece_workers; /* pieces that are under way at a time, each on one thread; 1: one, on all */
} tn_report_totals;

/* The plan that these input types get (made now, when it was not), for reading. */
TN_EXPORT tn_status tn_report_create(tn_session *session, const tn_binding *bindings, size_t count,
                                     tn_diagnostics *diagnostics, tn_report **out);
TN_EXPORT const tn_report_step *tn_report_get(const tn_report *report, size_t k);
TN_EXPORT const tn_report_totals *tn_report_get_totals(const tn_report *report);
TN_EXPORT void tn_report_destroy(tn_report *report);

/* ---- context: running ------------------------------------------------------------------- */

TN_EXPORT tn_status tn_context_create(tn_session *session, tn_context **out);
TN_EXPORT void tn_context_destroy(tn_context *context);

/* Sets an input by name for this and later runs. The struct is copied, `data`, `dims` and
 * `strides` are lent until it is set again or the context is destroyed; they are only read.
 * TN_ERR_NAME (with the nearest), TN_ERR_TYPE, TN_ERR_SHAPE against the declared type. NULL:
 * unset, so that a default holds again. */
TN_EXPORT tn_status tn_context_set_input(tn_context *context, const char *name,
                                         const tn_tensor *tensor);
/* Lets a run write output k into memory of the caller's (plain, of just the right type and size,
 * aligned to its element). NULL: into the context's own. */
TN_EXPORT tn_status tn_context_set_output(tn_context *context, size_t k, const tn_tensor *tensor);

typedef struct tn_run_options {
    uint32_t size;
    uint32_t profile;           /* 1: keep times of each step, see tn_context_profile */
    uint64_t seed;              /* of random operators; equal seeds, equal answers */
    uint64_t deadline_ns;       /* from now; 0: none */
    const volatile int *cancel; /* becomes not 0: the run ends with TN_ERR_CANCELLED; NULL: never */
} tn_run_options;

TN_EXPORT tn_status tn_context_run(tn_context *context, const tn_run_options *options);
/* Output k of the last run, in the order of tn_session_output; plain and dense. Owned by the
 * context, until its next run. NULL before a run, after a failed one, and beyond the last. */
TN_EXPORT const tn_tensor *tn_context_output(const tn_context *context, size_t k);

/* One step of a profiled run; steps that a batch goes through in pieces, once for each piece. */
typedef struct tn_profile_step {
    uint32_t size;
    uint32_t piece; /* of the batch, from 1; 0: the step ran once, for all of it */
    const char *name, *op, *backend, *algorithm;
    uint64_t start_ns, ns; /* from the beginning of the run; duration */
} tn_profile_step;
TN_EXPORT const tn_profile_step *tn_context_profile(const tn_context *context, size_t k);

typedef struct tn_context_stats {
    uint32_t size;
    uint32_t reserved;
    uint64_t arena_bytes, late_bytes, slot_bytes;
    uint64_t allocations;     /* by the engine, in the last run */
    uint64_t longest_step_ns; /* of the last profiled run: no cancel comes sooner */
} tn_context_stats;
TN_EXPORT void tn_context_get_stats(const tn_context *context, tn_context_stats *out);

/* ---- sequences and optionals ------------------------------------------------------------ */

/* Elements of a sequence; of an optional: 0 or 1. -1 for a tensor. */
TN_EXPORT int64_t tn_value_count(const tn_tensor *value);
/* Element k, lent; NULL beyond the last. */
TN_EXPORT const tn_tensor *tn_value_get(const tn_tensor *value, int64_t k);
/* A sequence (kind TN_SEQUENCE) or optional (TN_OPTIONAL) of copies of the elements, to be set as
 * an input; destroyed by tn_value_destroy after the context's last use. */
TN_EXPORT tn_status tn_value_create(uint32_t kind, const tn_tensor *const *elements, size_t count,
                                    tn_tensor **out);
TN_EXPORT void tn_value_destroy(tn_tensor *value);

/* ---- graphs: building and reading --------------------------------------------------------
 * A graph is nodes and values of all its regions; region 0 is the top, others are bodies behind
 * graph attributes. Threads: one at a time edits a graph; views hold until the next edit.
 * Everything is copied unless said otherwise; names are made unique or refused as said. */

TN_EXPORT tn_status tn_graph_create(tn_graph **out);
TN_EXPORT void tn_graph_destroy(tn_graph *graph);

/* Nodes of a region in their order; TN_NONE ends it. */
TN_EXPORT tn_node_id tn_graph_first_node(const tn_graph *graph, tn_region_id region);
TN_EXPORT tn_node_id tn_graph_next_node(const tn_graph *graph, tn_node_id node);
/* NULL for a stale handle. */
TN_EXPORT const tn_node_view *tn_graph_node(const tn_graph *graph, tn_node_id node);
TN_EXPORT const tn_value_view *tn_graph_value(const tn_graph *graph, tn_value_id value);
/* All values, of all regions, in the order in which they were made: the one behind `value`, the first
 * for TN_NONE; TN_NONE ends it, and answers a stale handle. */
TN_EXPORT tn_value_id tn_graph_next_value(const tn_graph *graph, tn_value_id value);
/* Use k of a value: which input of which node, at any depth. TN_ERR_ARGUMENT beyond the last. */
TN_EXPORT tn_status tn_graph_use(const tn_graph *graph, tn_value_id value, uint32_t k,
                                 tn_node_id *node, uint32_t *input);
/* Inputs and outputs of a region: how many; *out lent until the next edit. */
TN_EXPORT uint32_t tn_graph_region_inputs(const tn_graph *graph, tn_region_id region,
                                          const tn_value_id **out);
TN_EXPORT uint32_t tn_graph_region_outputs(const tn_graph *graph, tn_region_id region,
                                           const tn_value_id **out);
/* Outputs are slots with a name of their own, which stays when the value behind it changes. */
TN_EXPORT const char *tn_graph_output_name(const tn_graph *graph, tn_region_id region, uint32_t k);
/* The value of that name as seen from a region (its own, then outer ones); TN_NONE: none. */
TN_EXPORT tn_value_id tn_graph_find_value(const tn_graph *graph, tn_region_id region,
                                          const char *name);
/* The node whose graph attribute the region is; TN_NONE for the top. */
TN_EXPORT tn_node_id tn_graph_region_owner(const tn_graph *graph, tn_region_id region);

/* A body to be filled, for a graph attribute of a node to come in region `outer`. */
TN_EXPORT tn_status tn_graph_add_region(tn_graph *graph, tn_region_id outer, tn_region_id *out);
/* A value without a producer. name NULL: generated; taken in scope: TN_ERR_DUPLICATE. type NULL:
 * unknown. */
TN_EXPORT tn_status tn_graph_add_value(tn_graph *graph, tn_region_id region, const char *name,
                                       const tn_type *type, tn_value_id *out);
/* Makes a value the next input of its region. */
TN_EXPORT tn_status tn_graph_add_input(tn_graph *graph, tn_region_id region, tn_value_id value);
/* Makes a value (of the region or an outer one) the next output; name NULL: the value's. */
TN_EXPORT tn_status tn_graph_add_output(tn_graph *graph, tn_region_id region, const char *name,
                                        tn_value_id value);
TN_EXPORT tn_status tn_graph_add_constant(tn_graph *graph, const tn_constant_desc *desc,
                                          tn_value_id *out);
TN_EXPORT tn_status tn_graph_add_node(tn_graph *graph, const tn_node_desc *desc, tn_node_id *out);

/* Adds the attribute or changes it. */
TN_EXPORT tn_status tn_graph_set_attribute(tn_graph *graph, tn_node_id node,
                                           const tn_attribute *attribute);
/* TN_ERR_NAME when the node has none of that name. */
TN_EXPORT tn_status tn_graph_drop_attribute(tn_graph *graph, tn_node_id node, const char *name);
/* Changes an input, or appends one (input == input_count); TN_NONE: absent. */
TN_EXPORT tn_status tn_graph_set_input(tn_graph *graph, tn_node_id node, uint32_t input,
                                       tn_value_id value);
TN_EXPORT tn_status tn_graph_set_operator(tn_graph *graph, tn_node_id node, const char *domain,
                                          const char *op);
/* All who read old_value, outputs too, read new_value instead. */
TN_EXPORT tn_status tn_graph_replace(tn_graph *graph, tn_value_id old_value, tn_value_id new_value);
/* Removes a node none of whose outputs is read (TN_ERR_STATE), with its outputs and bodies. */
TN_EXPORT tn_status tn_graph_remove_node(tn_graph *graph, tn_node_id node);
/* Copies the nodes of a body, with the bodies in it, to `region`: in front of `before`, or at the end
 * (TN_NONE). inputs[input_count] stand for all of the body's inputs; what it reads from around it must
 * be visible in `region`, too. outputs[output_count]: what now stands for its first outputs. The body
 * stays. */
TN_EXPORT tn_status tn_graph_copy_body(tn_graph *graph, tn_region_id body, tn_region_id region,
                                       tn_node_id before, const tn_value_id *inputs,
                                       uint32_t input_count, tn_value_id *outputs,
                                       uint32_t output_count);

TN_EXPORT tn_status tn_graph_set_name(tn_graph *graph, const char *name, const char *doc);
TN_EXPORT tn_status tn_graph_set_metadata(tn_graph *graph, const char *key, const char *text);
/* Imports operator set `version` of `domain` ("" is ai.onnx). */
TN_EXPORT tn_status tn_graph_set_opset(tn_graph *graph, const char *domain, int64_t version);
/* Name and doc (doc may be NULL), metadata k and opset import k; NULL beyond the last. */
TN_EXPORT const char *tn_graph_name(const tn_graph *graph, const char **doc);
TN_EXPORT uint32_t tn_graph_metadata_count(const tn_graph *graph);
TN_EXPORT const char *tn_graph_metadata(const tn_graph *graph, uint32_t k, const char **text);
TN_EXPORT uint32_t tn_graph_opset_count(const tn_graph *graph);
TN_EXPORT const char *tn_graph_opset(const tn_graph *graph, uint32_t k, int64_t *version);

/* A model-local function: its body is the top region of a graph of its own, which belongs to
 * `graph`. The attributes it takes: an attribute value is a default, TN_ATTR_UNDEFINED has none. */
TN_EXPORT tn_status tn_graph_add_function(tn_graph *graph, const char *domain, const char *name,
                                          const char *overload, tn_graph **out);
TN_EXPORT uint32_t tn_graph_function_count(const tn_graph *graph);
TN_EXPORT tn_graph *tn_graph_function(const tn_graph *graph, uint32_t k, const char **domain,
                                      const char **name, const char **overload);
TN_EXPORT tn_status tn_graph_add_function_attribute(tn_graph *function,
                                                    const tn_attribute *attribute,
                                                    uint32_t required);
TN_EXPORT uint32_t tn_graph_function_attributes(const tn_graph *function, const tn_attribute **out);
/* "" where there is none. */
TN_EXPORT const char *tn_graph_node_doc(const tn_graph *graph, tn_node_id node);
TN_EXPORT const char *tn_graph_node_origin(const tn_graph *graph, tn_node_id node);
/* Sets a text that the node carries along: `key` is new, or changed. The engine does not read it. */
TN_EXPORT tn_status tn_graph_set_node_metadata(tn_graph *graph, tn_node_id node, const char *key,
                                               const char *text);
/* Key k of a node, in the order they were set, and its text; NULL beyond the last. */
TN_EXPORT const char *tn_graph_node_metadata(const tn_graph *graph, tn_node_id node, uint32_t k,
                                             const char **text);
/* A dimension from text: a number, a symbol, an expression ("N*2+1", "floordiv(N,2)"). */
TN_EXPORT tn_status tn_graph_dim_parse(tn_graph *graph, const char *text, tn_dim *out);
/* Writes a dimension as text, cut at `bytes`, terminated; answers the length it has. */
TN_EXPORT size_t tn_graph_dim_text(const tn_graph *graph, tn_dim dim, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
