/* engine/compile/passes.h: the pass manager and the core's own passes.
 *
 * In: a resolved, inferred graph. Out: the same graph, rewritten, resolved and inferred; and a log
 * of what each pass did, or why not. Passes that ask only the schema live here (remove_dead,
 * drop_identity, fold_constants, merge_duplicates), those that name operators are plugins.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_PASSES_H
#define TN_PASSES_H

#include "engine/infer/infer.h"

/* Runs one node on constants, by its reference kernel; run/ brings it. outputs[k] NULL where not
 * wanted, else an owned constant. TN_ERR_UNPLACED: no reference kernel. */
typedef tn_status (*tn_evaluate_fn)(void *user, const tn_graph *graph, tn_node_id node,
                                    const tn_tensor *const *inputs, tn_constant **outputs);

/* Equal kinds and contents, bit for bit; bodies are not compared: false. */
bool tn_same_attribute(const tn_attribute *a, const tn_attribute *b);

/* Whether two graphs compute the same, as closely as `exactness` promises, the second being the first
 * after rewrites of `pass`; run/ brings it, since it runs them. TN_NO_MATCH: they do not run, so nothing is said. False: *why says where they differ; it belongs to the caller, by tn_free. */
typedef tn_status (*tn_check_fn)(void *user, const tn_graph *before, const tn_graph *after,
                                 const tn_pass_def *pass, bool *same, char **why);

typedef struct tn_passes_options {
    tn_registry *registry;
    /* NULL: the default. Words, each on top of the ones before it: none, safe (the default), all;
     * +name, -name, with * and ?. And words that choose no pass: verify, dump=PASS, standard,
     * NAME=EXTENTS (docs/passes.md). */
    const char *selection;
    uint32_t math;
    tn_limits limits;
    tn_evaluate_fn evaluate; /* NULL: nothing is folded */
    /* Whether a listed backend but the reference has a kernel; NULL: they may be any. */
    bool (*has_kernel)(void *user, const char *op);
    void *user;
    tn_check_fn check; /* for the word "verify"; NULL: nothing is checked */
    void *check_user;
} tn_passes_options;

/* What happened: one line a fact. */
typedef struct tn_pass_note {
    uint32_t pass; /* index into passes */
    bool fired;    /* false: a near miss */
    char *
        text; /* "bn1 folded into conv1", "conv3: not folded: Conv's output is also read by add7" */
} tn_pass_note;
typedef struct tn_pass_record {
    const char *name; /* lives as long as the registry */
    uint32_t exactness;
    bool enabled;
    uint32_t fired;
    uint64_t nodes_before, nodes_after, ns;
    uint32_t checked; /* sweeps that were run before and after, and were the same */
} tn_pass_record;
typedef struct tn_pass_log {
    tn_pass_record *records;
    uint32_t record_count;
    tn_pass_note *notes; /* at most 1000, then only counted */
    uint32_t note_count, note_capacity, note_total;
    uint64_t nodes_before, nodes_after, ns;
    tn_builder dump; /* the graph after the pass that "dump=" names */
} tn_pass_log;

/* Whether a selection has the word, alone or as "word=value"; the value, or "", goes to `value`. */
bool tn_passes_word(const char *selection, const char *word, char *value, size_t bytes);

/* Unknown names in the selection are an error (TN_ERR_NAME, with the nearest). The log is the
 * caller's also after an error. */
tn_status tn_passes_run(tn_graph *graph, const tn_passes_options *options,
                        tn_diagnostics *diagnostics, tn_pass_log *log);
void tn_pass_log_fini(tn_pass_log *log);
void tn_pass_log_print(const tn_pass_log *log, tn_builder *out);
/* Names of the core's passes with phase, order and doc, as tn_pass_def rows, for lists. */
const tn_pass_def *tn_core_passes(uint32_t *count);

#endif
