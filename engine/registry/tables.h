/* engine/registry/tables.h: how the registry keeps what it has; for the files of this room only.
 *
 * Definitions are allocated in the registry's pool and never move or go before it does: sessions
 * point at them. The tables hold pointers, sorted; a definition that another file replaces leaves
 * its table, not the pool.
 *
 * Locks: `opening` is held while a file is loaded or a backend opened; `tables` guards the sorted
 * tables, since a session may look things up while another one opens a backend.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_REGISTRY_TABLES_H
#define TN_REGISTRY_TABLES_H

#include "engine/registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>

struct stat;

/* A growing array of pointers. Zero-initialise. */
typedef struct tn_list {
    void **items;
    uint32_t count, capacity;
} tn_list;

bool tn_list_insert(tn_list *list, uint32_t at, void *item);
void tn_list_remove(tn_list *list, uint32_t at);

/* A plugin's own table of host functions; dispatch finds the rooms behind it. */
typedef struct tn_plugin_host {
    tn_host host;
    tn_host_parts parts;
} tn_plugin_host;

/* A plugin and what only this room needs of it. `plugin` comes first: casts go both ways. */
typedef struct tn_plugin_slot {
    tn_plugin plugin;
    struct tn_plugin_entry entry; /* a full-sized copy */
    tn_plugin_host host;
    uint64_t device, inode;      /* of the file, to know it again */
    char *stem;                  /* "onednn" of ".../backends/onednn.so"; NULL: linked in */
    const tn_plugin_info *shown; /* the newest copy of plugin.info that was given out */
    bool promised;               /* an index says what it brings: opened when that is wanted */
    atomic_bool tried;           /* it was opened, or refused */
} tn_plugin_slot;

/* One thing that an index says a plugin brings. */
enum {
    TN_PROMISE_OPERATOR = 1,
    TN_PROMISE_KERNEL,
    TN_PROMISE_PASS,
    TN_PROMISE_FORMAT,
    TN_PROMISE_BACKEND
};
typedef struct tn_promise {
    uint32_t kind, since; /* since: an operator's newest */
    const char *domain, *name;
    const char *extension; /* a format's; "" none */
    tn_plugin_slot *slot;
} tn_promise;

struct tn_registry {
    tn_host_parts parts;
    uint32_t flags;
    uint32_t next_rank; /* of the next folder; 0 is for files that the caller loads */
    pthread_mutex_t opening;
    pthread_rwlock_t tables;
    tn_pool pool;      /* under `opening` */
    tn_list plugins;   /* tn_plugin_slot, in the order found */
    tn_list promises;  /* tn_promise, by domain, name; stays as it is once the registry is made */
    tn_list operators; /* by domain, name, since */
    tn_list kernels;   /* by domain, operator, backend, rank, order of registration */
    tn_list backends;  /* by name */
    tn_list passes;    /* by phase, order, name */
    tn_list formats;   /* by rank, order of registration */
    tn_list retired;   /* operators that a file loaded later replaced … */
    tn_list closing;   /* … and backends: closed at the end as well */
    const char *defaults; /* tn_registry_default_backends, as asked for last */
};

#define TN_RANK_FILE 0u           /* loaded by the caller: ahead of all */
#define TN_RANK_LINKED UINT32_MAX /* linked in: behind all */

/* What one plugin registers while its load() runs; goes into the tables only if that succeeds. */
typedef struct tn_batch {
    tn_registry *registry;
    tn_plugin_slot *slot;
    tn_list operators, kernels, backends, passes, formats;
    tn_builder left_out; /* what goes unused because another plugin is ahead */
    uint32_t left_out_count;
} tn_batch;

/* registrar.c: the functions behind tn_registrar, on a batch in frame->room; and what puts a batch
 * into the tables, or says that memory is short. */
extern const tn_registrar tn_registrar_functions;
tn_status tn_batch_commit(tn_batch *batch);
void tn_batch_fini(tn_batch *batch);

/* load.c. All hold `opening`. Text goes to the plugin's info.message as well. */
tn_status tn_load_slot(tn_registry *registry, tn_plugin_slot *slot);
tn_status tn_load_entry(tn_registry *registry, tn_plugin_slot *slot,
                        const struct tn_plugin_entry *entry);
/* A new plugin, on its own or in the list; NULL when memory is short. */
tn_plugin_slot *tn_slot_new(tn_registry *registry, const char *file, uint32_t rank);
tn_plugin_slot *tn_slot_add(tn_registry *registry, const char *file, uint32_t rank);
/* Writes status and message and answers status. */
tn_status tn_slot_refuse(tn_registry *registry, tn_plugin_slot *slot, tn_status status,
                         const char *format, ...) TN_PRINTF(4, 5);
/* Appends to the message of a plugin that is loaded: "left out: …". */
void tn_slot_note(tn_registry *registry, tn_plugin_slot *slot, const char *text);
/* A plugin's status and message as a diagnostic. */
tn_status tn_slot_diagnose(const tn_plugin_slot *slot, uint32_t severity,
                           tn_diagnostics *diagnostics);

/* Whether nobody but root and this user can change it. */
bool tn_is_safe(const struct stat *s);

/* build_id.c: the build id of a shared object, as text; false: it has none. */
#define TN_BUILD_ID_BYTES 64
#define TN_BUILD_ID_TEXT (2 * TN_BUILD_ID_BYTES + 1)
bool tn_build_id(const char *file, char text[TN_BUILD_ID_TEXT]);

/* index.c: takes a folder's index for the plugins in it, when it is true of them: `names` are those
 * that are there, sorted. *used: they are in the list now, unopened. */
#define TN_INDEX_NAME "index"
#define TN_INDEX_SUM "\nsum " /* begins the last line */
tn_status tn_index_read(tn_registry *registry, const char *folder, uint32_t rank,
                        const char *const *names, uint32_t count, bool *used);
/* Open what an index promises: an operator with its kernels, all that bring a kind of thing, a
 * format by its name or else by the path's extension, one plugin. Outside of the tables' lock. */
void tn_want_operator(const tn_registry *registry, const char *domain, const char *name);
void tn_want_kind(const tn_registry *registry, uint32_t kind);
void tn_want_format(const tn_registry *registry, const char *name, const char *path);
void tn_want_plugin(tn_registry *registry, tn_plugin_slot *slot);
uint32_t tn_promised_newest(const tn_registry *registry, const char *domain);

/* backends.c: opens the backends that a plugin brought; the first that cannot be is the answer. */
tn_status tn_open_backends_of(tn_registry *registry, tn_plugin_slot *slot);

/* discover.c: walks options' folders, TENON_PLUGIN_PATH and the install's own. */
tn_status tn_discover(tn_registry *registry, const tn_runtime_options *options,
                      tn_diagnostics *diagnostics);

/* host.c: fills a plugin's table. */
void tn_host_fill(tn_plugin_host *host, const tn_host_parts *parts, uint32_t minor);
/* format.c: what the host functions of a format do. */
extern const tn_host tn_format_host;

/* registry.c: the order of a table, for finding places in it. */
int tn_compare_operators(const tn_operator *a, const tn_operator *b);
const char *tn_text_or(const char *text, const char *fallback);

#endif
