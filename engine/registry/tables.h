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
} tn_plugin_slot;

struct tn_registry {
    tn_host_parts parts;
    uint32_t flags;
    uint32_t next_rank; /* of the next folder; 0 is for files that the caller loads */
    pthread_mutex_t opening;
    pthread_rwlock_t tables;
    tn_pool pool;         /* under `opening` */
    tn_list plugins;      /* tn_plugin_slot, in the order found */
    tn_list operators;    /* by domain, name, since */
    tn_list kernels;      /* by domain, operator, backend, rank, order of registration */
    tn_list backends;     /* by name */
    tn_list passes;       /* by phase, order, name */
    tn_list formats;      /* by rank, order of registration */
    tn_list retired;      /* operators that a file loaded later replaced … */
    tn_list closing;      /* … and backends: closed at the end as well */
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
/* A new plugin in the list; NULL when memory is short. */
tn_plugin_slot *tn_slot_add(tn_registry *registry, const char *file, uint32_t rank);
/* Writes status and message and answers status. */
tn_status tn_slot_refuse(tn_registry *registry, tn_plugin_slot *slot, tn_status status,
                         const char *format, ...) TN_PRINTF(4, 5);
/* Appends to the message of a plugin that is loaded: "left out: …". */
void tn_slot_note(tn_registry *registry, tn_plugin_slot *slot, const char *text);
/* A plugin's status and message as a diagnostic. */
tn_status tn_slot_diagnose(const tn_plugin_slot *slot, uint32_t severity,
                           tn_diagnostics *diagnostics);

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
