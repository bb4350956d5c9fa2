/* engine/compile/pass_watch.c: what is done around one sweep of a pass when the selection asks for it.
 *
 * dump=PASS  the graph as it stands after the pass is printed into the log.
 * verify     the graph is run before and after; when the answers differ by more than the pass's
 *            exactness promises, the sweep is done again on copies, stopped earlier and earlier,
 *            until one rewrite is left that makes the difference. A pass is a function of the graph
 *            and handles are equal in copies, so the same rewrites come in the same order.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

/* ---- dumps -------------------------------------------------------------------------------- */

/* Once at least, and then whenever the pass did something. */
static void dump(tn_manager *m, tn_pass_row *row, bool changed)
{
    if (strcmp(m->dump, row->def.name) != 0 || (row->dumped && !changed))
        return;
    row->dumped = true;
    tn_add(&m->log->dump, "after %s:\n", row->def.name);
    tn_graph_print(m->graph, &m->log->dump);
}

/* ---- checks ------------------------------------------------------------------------------- */

typedef struct search {
    tn_manager *manager;
    const tn_graph *before;
    uint32_t row;
    char *why; /* of the smallest number of rewrites that differs so far */
    char root[128];
} search;

/* Whether the first `rewrites` of the sweep leave the answers as they were. */
static tn_status try(search *s, uint64_t rewrites, bool *same)
{
    const tn_passes_options *options = s->manager->options;
    const tn_pass_row *row = &s->manager->rows[s->row];
    const char *root = "";
    char *why = NULL;
    tn_graph *graph;
    TN_TRY(tn_graph_clone(s->before, &graph));
    tn_status status = tn_pass_replay(s->manager, s->row, graph, rewrites, &root);
    if (status == TN_OK)
        status = options->check(options->check_user, s->before, graph, &row->def, same, &why);
    status = status == TN_NO_MATCH ? TN_OK : status;
    if (status == TN_OK && !*same) {
        tn_free(s->why);
        s->why = why;
        why = NULL;
        snprintf(s->root, sizeof s->root, "%s", root);
    }
    tn_free(why);
    tn_graph_destroy(graph);
    return status;
}

/* The smallest number of rewrites after which the answers differ and one less before they do not. */
static tn_status find_guilty(search *s, uint64_t rewrites)
{
    uint64_t low = 0, high = rewrites;
    bool same = true;
    TN_TRY(try(s, high, &same));
    while (!same && high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        TN_TRY(try(s, middle, &same));
        if (same)
            low = middle;
        else
            high = middle;
        same = false;
    }
    return TN_OK;
}

static tn_status accuse(tn_manager *m, tn_pass_row *row, const tn_graph *before, uint64_t rewrites,
                        const char *why)
{
    char text[800], about[160] = "";
    search s = { .manager = m, .before = before, .row = (uint32_t)(row - m->rows) };
    tn_status status = rewrites ? find_guilty(&s, rewrites) : TN_OK;
    tn_diagnostic diagnostic = { .size = sizeof diagnostic };
    if (status == TN_OK) {
        if (*s.root)
            snprintf(about, sizeof about, ", first at node '%s'", s.root);
        snprintf(text, sizeof text, "pass '%s' changes the answers%s: %s", row->def.name, about,
                 s.why ? s.why : why);
        diagnostic.status = TN_ERR_VALUE;
        diagnostic.message = text;
        status = tn_diagnose(m->diagnostics, &diagnostic);
    }
    tn_free(s.why);
    return status;
}

static tn_status verify(tn_manager *m, tn_pass_row *row, const tn_graph *before, uint64_t rewrites)
{
    char *why = NULL;
    bool same = true;
    tn_status status = m->options->check(m->options->check_user, before, m->graph, &row->def, &same,
                                         &why);
    if (status == TN_OK && !same)
        status = accuse(m, row, before, rewrites, why ? why : "");
    else if (status == TN_OK)
        m->log->records[row - m->rows].checked++;
    else if (status == TN_NO_MATCH)
        status = TN_OK;
    tn_free(why);
    return status;
}

tn_status tn_pass_watched(tn_manager *m, tn_pass_row *row)
{
    tn_pass_record *record = &m->log->records[row - m->rows];
    const uint64_t edits = m->edits, begin = tn_pass_now();
    const uint32_t fired = record->fired;
    tn_graph *before = NULL;
    if (m->verify && m->options->check)
        TN_TRY(tn_graph_clone(m->graph, &before));
    const uint64_t start = tn_pass_now();
    tn_status status = tn_pass_sweep(m, row);
    const uint64_t end = tn_pass_now();
    record->ns += end - start;
    if (status == TN_OK)
        dump(m, row, m->edits != edits);
    if (status == TN_OK && before && m->edits != edits)
        status = verify(m, row, before, record->fired - fired);
    tn_graph_destroy(before);
    m->watch_ns += tn_pass_now() - begin - (end - start);
    return status;
}
