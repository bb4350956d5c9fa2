/* engine/compile/passes.c: one run of the pass manager.
 *
 * In: a resolved, inferred graph. Out: the same, rewritten, in topological order, and the log.
 * Rounds: every pass in its order, each to its own fixpoint; again, until a round has changed
 * nothing. A pass before whose last sweep nothing was edited is not run again, so that the round
 * that finds nothing costs one sweep at most.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "engine/compile/pass.h"

#include <time.h>

enum { MAX_ROUNDS = 32, REWRITES_PER_NODE = 64 };

uint64_t tn_pass_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static tn_status open_records(tn_manager *m)
{
    m->log->records = tn_alloc(m->row_count, sizeof *m->log->records);
    if (!m->log->records)
        return tn_raise_memory();
    m->log->record_count = m->row_count;
    for (uint32_t k = 0; k < m->row_count; k++)
        m->log->records[k] = (tn_pass_record){ .name = m->rows[k].def.name,
                                               .exactness = m->rows[k].def.exactness,
                                               .enabled = m->rows[k].enabled };
    return TN_OK;
}

/* nodes_after counts what this pass took away or added, and leaves out what others did between
 * its sweeps. */
static tn_status run_row(tn_manager *m, tn_pass_row *row)
{
    tn_pass_record *record = &m->log->records[row - m->rows];
    const uint64_t before = tn_graph_node_count(m->graph);
    tn_status status;
    if (!row->ran)
        record->nodes_before = record->nodes_after = before;
    row->ran = true;
    row->seen = m->edits;
    status = tn_pass_watched(m, row);
    record->nodes_after += tn_graph_node_count(m->graph);
    record->nodes_after -= before;
    return status;
}

static tn_status run_rounds(tn_manager *m)
{
    uint64_t before = 0;
    m->budget = (uint64_t)REWRITES_PER_NODE * (tn_graph_node_count(m->graph) + 16u);
    for (int round = 0; round < MAX_ROUNDS && (round == 0 || before != m->edits); round++) {
        before = m->edits;
        for (uint32_t k = 0; k < m->row_count && !m->exhausted; k++) {
            tn_pass_row *row = &m->rows[k];
            if (row->enabled && (!row->ran || row->seen != m->edits))
                TN_TRY(run_row(m, row));
        }
    }
    return TN_OK;
}

static void manager_fini(tn_manager *m)
{
    for (uint32_t k = 0; k < m->row_count; k++) {
        for (uint32_t n = 0; n < m->rows[k].misses.count; n++)
            tn_free(m->rows[k].misses.items[n].text);
        tn_free(m->rows[k].misses.items);
        tn_free(m->rows[k].barred);
    }
    tn_free(m->rows);
    tn_free(m->now.items);
    tn_free(m->next.items);
    tn_free(m->near.items);
    tn_free(m->touched.items);
    tn_free(m->stale.items);
    tn_free(m->waiting);
    tn_free(m->miss_of);
    tn_pass_order_fini(m);
}

tn_status tn_pass_replay(const tn_manager *m, uint32_t k, tn_graph *graph, uint64_t rewrites,
                         const char **root)
{
    tn_pass_log log = { 0 };
    tn_manager again = { .graph = graph, .options = m->options, .log = &log, .budget = rewrites };
    tn_status status = tn_pass_rows(&again);
    if (status == TN_OK)
        status = open_records(&again);
    if (status == TN_OK)
        status = tn_pass_sweep(&again, &again.rows[k]);
    if (root)
        *root = again.root ? again.root : "";
    manager_fini(&again);
    tn_pass_log_fini(&log);
    return status;
}

/* Near misses as they stand at the end, for nodes that are still there. */
static tn_status note_misses(tn_manager *m)
{
    for (uint32_t k = 0; k < m->row_count; k++)
        for (uint32_t n = 0; n < m->rows[k].misses.count; n++) {
            const tn_near_miss *miss = &m->rows[k].misses.items[n];
            if (miss->text && tn_graph_node(m->graph, miss->node))
                TN_TRY(tn_pass_note_add(m, k, false, miss->text));
        }
    return TN_OK;
}

static tn_status run(tn_manager *m)
{
    TN_TRY(tn_pass_rows(m));
    TN_TRY(open_records(m));
    TN_TRY(run_rounds(m));
    TN_TRY(note_misses(m));
    return m->edits ? tn_graph_verify(m->graph, m->diagnostics) : TN_OK;
}

tn_status tn_passes_run(tn_graph *graph, const tn_passes_options *options,
                        tn_diagnostics *diagnostics, tn_pass_log *log)
{
    tn_manager manager = {
        .graph = graph, .options = options, .diagnostics = diagnostics, .log = log
    };
    const uint64_t start = tn_pass_now();
    tn_status status;
    memset(log, 0, sizeof *log);
    log->nodes_before = tn_graph_node_count(graph);
    status = run(&manager);
    log->nodes_after = tn_graph_node_count(graph);
    log->ns = tn_pass_now() - start - manager.watch_ns;
    manager_fini(&manager);
    return status;
}
