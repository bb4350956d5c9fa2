/* engine/registry/registry.h: what plugins offer: discovery, loading, tables, the host table.
 *
 * Input: folders and files. Output: tables of operators, kernels, backends, passes and formats
 * that the later stages ask. Fills the tn_host that plugins get; its functions for inference,
 * measuring and running are hooked in by those rooms (tn_host_hooks), so that includes point one
 * way only.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_REGISTRY_H
#define TN_REGISTRY_H

#include "engine/graph/graph.h"

typedef struct tn_registry tn_registry;

typedef struct tn_plugin {
    const struct tn_plugin_entry *entry; /* NULL when the file could not be opened */
    void *object;
    tn_plugin_info info;
    uint32_t rank; /* lower goes first */
    bool loaded;
    uint32_t minor; /* agreed */
    tn_host *host;  /* this plugin's table (its minor) */
} tn_plugin;

/* A registered definition and who brought it. The defs are host copies, full-sized. */
typedef struct tn_operator {
    tn_operator_def def;
    const tn_plugin *plugin;
    const struct tn_graph *function;
} tn_operator;
typedef struct tn_kernel {
    tn_kernel_def def;
    const tn_plugin *plugin;
    struct tn_backend *backend;
} tn_kernel;
typedef struct tn_pass {
    tn_pass_def def;
    const tn_plugin *plugin;
} tn_pass;
typedef struct tn_format {
    tn_format_def def;
    const tn_plugin *plugin;
} tn_format;
typedef struct tn_backend {
    tn_backend_def def;
    const tn_plugin *plugin;
    void *instance;
    const char *description;
    tn_status status; /* of opening; TN_ERR_STATE: not opened yet */
    const char *reason;
} tn_backend;

/* Reads the text of an operator's body; tn_json_read_body is one. */
typedef tn_status (*tn_body_fn)(const tn_registry *registry, const char *text,
                                tn_diagnostics *diagnostics, tn_graph **out);

/* Functions of tn_host that other rooms bring: infer/, compile/, run/ and the format driver each
 * export a constant table with their members filled; run/runtime.c, which knows all rooms, hands
 * them over. NULL: none (tests of this room alone). Members that stay NULL, and calls outside
 * their stage, answer TN_ERR_STATE with a message. */
typedef struct tn_host_parts {
    const tn_host *infer, *compile, *run;
    const tn_host *format; /* NULL: registry/format.c does it itself */
    tn_body_fn body;       /* reads an operator's JSON body (tn_json_read_body) */
} tn_host_parts;

tn_status tn_registry_create(const tn_runtime_options *options, const tn_host_parts *parts,
                             tn_diagnostics *diagnostics, tn_registry **out);
void tn_registry_destroy(tn_registry *registry);
tn_status tn_registry_load_file(tn_registry *registry, const char *file,
                                tn_diagnostics *diagnostics);
/* Registers a plugin that is linked in (TN_STATIC builds and tests). */
tn_status tn_registry_add_entry(tn_registry *registry, const struct tn_plugin_entry *entry,
                                const char *file, tn_diagnostics *diagnostics);
/* Writes FOLDER/plugins/index (index_write.c). */
tn_status tn_index_write(const char *folder, tn_diagnostics *diagnostics);
size_t tn_registry_plugin_count(const tn_registry *registry);
const tn_plugin *tn_registry_plugin(const tn_registry *registry, size_t k);
/* What is known of plugin k, which is opened for it when an index put that off (backends are not): a copy that never changes and lives as long as the registry. [any]
 * NULL beyond the last, and when memory is short. */
const tn_plugin_info *tn_registry_info(tn_registry *registry, size_t k);

/* The schema for a node of operator set `opset`: the newest version that takes such nodes, which
 * is since ≤ opset or accepts_from ≤ opset. (Clip-6 and Clip-13 accepting from 11: a node of
 * operator set 12 gets Clip-13.) NULL: none; *newest (may be NULL) then says the newest version
 * held, 0 when the name is unknown. */
const tn_operator *tn_registry_operator(const tn_registry *registry, const char *domain,
                                        const char *name, int64_t opset, uint32_t *newest);
/* Version chain: the next newer schema of the same operator, or NULL. */
const tn_operator *tn_registry_newer(const tn_registry *registry, const tn_operator *op);
/* The operator's plugin could not be opened: why; NULL: that is not the reason. */
const char *tn_registry_refusal(const tn_registry *registry, const char *domain, const char *name);
/* The nearest operator name, for a suggestion; NULL: none near. */
const char *tn_registry_nearest_operator(const tn_registry *registry, const char *domain,
                                         const char *name);
/* The newest `since` held in a domain: 0 when no plugin brings any of it. */
uint32_t tn_registry_newest(const tn_registry *registry, const char *domain);
/* The nearest domain that some plugin brings; NULL: none near. */
const char *tn_registry_nearest_domain(const tn_registry *registry, const char *domain);
/* The body of an operator that has one as text: read and given to `prepare` the first time, kept
 * by the registry afterwards; any thread. TN_NO_MATCH: it has none. */
typedef tn_status (*tn_prepare_body_fn)(tn_registry *registry, tn_graph *body);
tn_status tn_registry_body(tn_registry *registry, const tn_operator *op, tn_prepare_body_fn prepare,
                           tn_diagnostics *diagnostics, const tn_graph **out);
/* Iterate all: k from 0; NULL at the end. Sorted by domain, name, since. */
const tn_operator *tn_registry_operator_at(const tn_registry *registry, size_t k);
/* Kernels of (domain, op) on a backend for schema version `since`, in order of rank; fills at most
 * `capacity`, answers how many there are. */
uint32_t tn_registry_kernels(const tn_registry *registry, const char *backend, const char *domain,
                             const char *op, uint32_t since, const tn_kernel **out,
                             uint32_t capacity);
/* Opens the backend's plugin and library when needed (locked, once). TN_ERR_BACKEND says why not. */
tn_status tn_registry_backend(tn_registry *registry, const char *name, uint32_t threads,
                              tn_backend **out);
const char *tn_registry_default_backends(tn_registry *registry);
/* Passes in order of phase, order, name. */
const tn_pass *tn_registry_pass_at(const tn_registry *registry, size_t k);
const tn_format *tn_registry_format(const tn_registry *registry, const char *name, const char *path,
                                    const void *bytes, size_t count);
const tn_format *tn_registry_format_at(const tn_registry *registry, size_t k);
/* Reads a graph from a file that is mapped as `buffer`; `path` (may be NULL) names it in messages
 * and gives the folder that map_file stays in. Complaints and errors go to diagnostics. format.c */
tn_status tn_format_read(const tn_format *format, const char *path, tn_buffer *buffer,
                         tn_diagnostics *diagnostics, tn_graph **out);
tn_status tn_format_write(const tn_format *format, const char *path, tn_graph *graph,
                          tn_diagnostics *diagnostics);

/* What is registered, as text for people (describe.c): one operator ("Name", "com.example::Name")
 * in all versions held, with its kernels; TN_ERR_NAME with the nearest name. All operators, as a
 * Markdown table. All passes, in their order. */
tn_status tn_registry_print_operator(const tn_registry *registry, const char *name,
                                     tn_print_fn print, void *user);
tn_status tn_registry_print_operators(const tn_registry *registry, tn_print_fn print, void *user);
/* `core`: those that no plugin brings, which stand first. */
tn_status tn_registry_print_passes(const tn_registry *registry, const tn_pass_def *core,
                                   uint32_t core_count, tn_print_fn print, void *user);

/* ---- the host's side of a callback --------------------------------------------------------- */

/* Every context that goes to a plugin is embedded in a frame of ours whose first member after the
 * ABI part is this; the host functions find it through call (call is the first member of every ABI
 * context, and frames keep {tn_frame; ABI context} reachable by tn_frame_of). */
typedef struct tn_frame {
    uint32_t magic;         /* TN_FRAME_MAGIC */
    uint32_t stage;         /* TN_STAGE_* : which host functions are allowed now */
    tn_status status;       /* the first fail */
    _Atomic uint32_t taken; /* 0: nobody failed; 1: a note (status TN_OK); 2: an error */
    char message[512];      /* its text; "" none */
    void *room; /* the room's own state behind this call (infer driver, compiler, executor) */
    const tn_plugin *plugin;
} tn_frame;
#define TN_FRAME_MAGIC 0x656d6172u
enum {
    TN_STAGE_LOAD = 1,
    TN_STAGE_INFER = 2,
    TN_STAGE_COMPILE = 4,
    TN_STAGE_RUN = 8,
    TN_STAGE_FORMAT = 16,
    TN_STAGE_REWRITE = 32
};

/* Contexts are made as struct { tn_frame frame; tn_infer ctx; }: the ABI context follows the frame
 * directly (sizeof(tn_frame) is a multiple of 16). */
static inline tn_frame *tn_frame_of(tn_call *call)
{
    return (tn_frame *)(void *)((char *)call - sizeof(tn_frame));
}
/* Prepares a frame and the call head of the context that follows it. */
void tn_frame_init(tn_frame *frame, tn_call *call, uint32_t context_bytes, uint32_t stage,
                   const tn_plugin *plugin, void *user, void *room);
/* Forgets what the last callback said, for a frame that serves several in turn. */
void tn_frame_reset(tn_frame *frame);
/* What host->fail does, for host functions of other rooms. */
tn_status tn_frame_fail(tn_frame *frame, tn_status status, const char *format, ...) TN_PRINTF(3, 4);
tn_status tn_frame_fail_v(tn_frame *frame, tn_status status, const char *format, va_list args)
    TN_PRINTF(3, 0);

#endif
