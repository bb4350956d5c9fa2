/* engine/compile/pass.h: what the pass manager's files share; outside them, see passes.h.
 *
 * passes.c       one run: rounds over all passes, the records of the log
 * pass_select.c  the table of passes, in order, and which are switched on
 * pass_drive.c   one pass over all nodes: the worklist, one transaction a rewrite
 * pass_order.c   that a rewrite closes no cycle, without a look at the whole graph
 * pass_watch.c   what happens around one sweep when it is asked for: dumps, and checks of answers
 * pass_log.c     notes, and the log as text
 * pass_dead.c, pass_identity.c, pass_fold.c, pass_duplicates.c: the core's passes
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_PASS_H
#define TN_PASS_H

#include "engine/compile/passes.h"

typedef struct tn_manager tn_manager;

/* Around each sweep of a core pass. `end` is called for each `begin`, also when something went
 * wrong in between. NULL: nothing to do. */
typedef struct tn_pass_hooks {
    tn_status (*begin)(tn_manager *manager);
    tn_status (*end)(tn_manager *manager);
} tn_pass_hooks;

/* The core's passes (their rows: pass_select.c). */
tn_status tn_match_dead(tn_rewrite *ctx, tn_node_id node);
tn_status tn_dead_end(tn_manager *manager);
tn_status tn_match_identity(tn_rewrite *ctx, tn_node_id node);
tn_status tn_match_constant(tn_rewrite *ctx, tn_node_id node);
tn_status tn_match_duplicate(tn_rewrite *ctx, tn_node_id node);
tn_status tn_duplicates_begin(tn_manager *manager);
tn_status tn_duplicates_end(tn_manager *manager);

/* The last word of a node on why a pass did not match it. */
typedef struct tn_near_miss {
    tn_node_id node;
    char *text; /* NULL: taken back */
} tn_near_miss;

/* A pass as the manager runs it. */
typedef struct tn_pass_row {
    tn_pass_def def;
    const tn_plugin *plugin;    /* NULL: the core's */
    const tn_pass_hooks *hooks; /* NULL: a plugin's */
    bool enabled;
    bool by_level;                               /* not by its own name, and not by "all" */
    enum { USE_UNKNOWN, OF_USE, OF_NO_USE } use; /* whether what it makes has a kernel */
    bool ran;
    bool dumped;
    uint64_t seen;      /* edits of the graph when its last sweep began */
    tn_node_id *barred; /* by slot: nodes on which it broke; NULL: none */
    uint32_t barred_count;
    struct {
        tn_near_miss *items;
        uint32_t count, capacity;
    } misses; /* of its last sweep */
} tn_pass_row;

typedef struct tn_node_list {
    tn_node_id *items;
    uint32_t count, capacity;
} tn_node_list;

struct tn_manager {
    tn_graph *graph;
    const tn_passes_options *options;
    tn_diagnostics *diagnostics;
    tn_pass_log *log;
    tn_pass_row *rows;
    uint32_t row_count;
    tn_pass_row *row;  /* the one that runs */
    uint64_t edits;    /* rewrites committed so far */
    uint64_t budget;   /* rewrites left */
    bool exhausted;    /* the budget is spent: nothing more is tried */
    const char *root;  /* the name of the node at which the last rewrite began; the graph's */
    char dump[128];    /* the pass after which the graph is printed */
    uint64_t watch_ns; /* spent on dumps and checks */
    bool verify;       /* each sweep is checked by running the graph */
    bool quiet;        /* set by a core pass: its rewrite changes nothing that inference reads */
    void *state;       /* of the running core pass, between begin and end */

    /* The worklist: nodes of now, and those that come after them. */
    tn_node_list now, next, near, touched, stale;
    uint8_t *waiting;  /* by slot: on the list */
    uint32_t *miss_of; /* by slot: 1 + index into row->misses */
    uint32_t slots;    /* entries of the two */

    /* Positions in a topological order, by slot (pass_order.c). */
    struct {
        uint64_t *at;
        tn_node_id *node; /* whose position it is */
        uint8_t *open;    /* on the stack of the search */
        uint32_t count;
        bool valid;
        struct {
            struct tn_order_step *items;
            uint32_t count, capacity;
        } stack;
    } order;
};

/* Fills manager->rows in order of phase, order and name and switches them as the options say. */
tn_status tn_pass_rows(tn_manager *manager);

/* One pass over all nodes, until none of them matches any more. */
tn_status tn_pass_sweep(tn_manager *manager, tn_pass_row *row);
/* Nanoseconds of the monotonic clock. */
uint64_t tn_pass_now(void);
/* The same, with what the selection asks to be done around it. */
tn_status tn_pass_watched(tn_manager *manager, tn_pass_row *row);
/* One sweep of row `k` alone, on a graph of its own, that stops after `rewrites`. *root (may be
 * NULL): tn_manager.root, for as long as the graph. */
tn_status tn_pass_replay(const tn_manager *manager, uint32_t k, tn_graph *graph, uint64_t rewrites,
                         const char **root);
/* Ends a transaction in which a hook of a core pass changed constants only; counts it. */
void tn_pass_commit(tn_manager *manager);

/* That the edits of the open transaction closed no cycle: TN_ERR_CYCLE. `touched`: what they
 * changed. */
tn_status tn_pass_order_check(tn_manager *manager, const tn_node_id *touched, uint32_t count);
void tn_pass_order_fini(tn_manager *manager);

/* What a core pass says of a rewrite, a near miss or an error; answers `status`. */
tn_status tn_pass_say(tn_rewrite *ctx, tn_status status, const char *format, ...) TN_PRINTF(3, 4);
static inline tn_manager *tn_pass_manager(tn_rewrite *ctx)
{
    return (tn_manager *)tn_frame_of(&ctx->call)->room;
}

/* Adds a note of the running pass; the text is copied. */
tn_status tn_pass_note_add(tn_manager *manager, uint32_t pass, bool fired, const char *text);

/* Whether anything reads the value: a node or an output, at any depth. */
static inline bool tn_pass_is_read(const tn_value_view *value)
{
    return value->use_count || value->output_count;
}
/* A value's contents that no run can override, or NULL. */
static inline const tn_tensor *tn_pass_constant(const tn_value_view *value)
{
    return value && !value->is_input ? value->constant : NULL;
}
/* True when `outer` is `region` or lies around it. */
bool tn_pass_is_around(const tn_graph *graph, tn_region_id outer, tn_region_id region);

#endif
