/* engine/graph/transaction.c: edits and transactions: all of it or nothing.
 *
 * An edit is one call of the API: it fails as a whole. A transaction is what lies between begin
 * and commit or undo. Both are stretches of the journal.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

bool tn_journal_reserve(tn_graph *graph)
{
    return TN_GROW(&graph->journal);
}

void tn_journal_add(tn_graph *graph, const tn_record *record)
{
    graph->journal.items[graph->journal.count++] = *record;
}

static void undo_to(tn_graph *graph, uint32_t mark)
{
    while (graph->journal.count > mark)
        tn_undo_record(graph, &graph->journal.items[--graph->journal.count]);
}

/* Only now do removed objects go for good: later records may still have named them. */
static void settle(tn_graph *graph)
{
    for (uint32_t k = 0; k < graph->journal.count; k++)
        tn_commit_record(graph, &graph->journal.items[k]);
    graph->journal.count = 0;
}

uint32_t tn_edit_begin(tn_graph *graph)
{
    graph->depth++;
    return graph->journal.count;
}

tn_status tn_edit_end(tn_graph *graph, uint32_t mark, tn_status status)
{
    graph->depth--;
    if (status != TN_OK)
        undo_to(graph, mark);
    else if (!graph->depth && !graph->open)
        settle(graph);
    return status;
}

tn_status tn_graph_begin(tn_graph *graph)
{
    if (graph->open)
        return tn_raise(TN_ERR_STATE, "a transaction is open already");
    graph->open = true;
    graph->transaction++;
    graph->touched.count = 0;
    graph->saved = TN_NONE;
    return TN_OK;
}

static void finish(tn_graph *graph)
{
    graph->open = false;
    graph->touched.count = 0;
    graph->saved = TN_NONE;
}

void tn_graph_commit(tn_graph *graph)
{
    if (!graph->open)
        return;
    settle(graph);
    finish(graph);
}

void tn_graph_undo(tn_graph *graph)
{
    if (!graph->open)
        return;
    undo_to(graph, 0);
    for (tn_node_id n = graph->saved; n != TN_NONE;) {
        tn_node *node = tn_node_of(graph, n); /* older than the transaction: back, if it was gone */
        node->schema = node->old_schema;
        node->view.version = node->old_version;
        node->saved_in = 0;
        n = node->next_saved;
    }
    finish(graph);
}

tn_status tn_touch(tn_graph *graph, tn_node *node)
{
    if (!graph->open || node->touched_in == graph->transaction)
        return TN_OK;
    if (!TN_GROW(&graph->touched))
        return tn_raise_memory();
    graph->touched.items[graph->touched.count++] = node->id;
    node->touched_in = graph->transaction;
    return TN_OK;
}

bool tn_graph_stale(const tn_graph *graph, tn_node_id id)
{
    const tn_node *node = tn_find_node(graph, id);
    return node && graph->open && node->stale_in == graph->transaction;
}

uint32_t tn_graph_touched(const tn_graph *graph, const tn_node_id **out)
{
    tn_graph *own = (tn_graph *)graph; /* only its list: what is gone is dropped from it */
    uint32_t count = 0;
    for (uint32_t k = 0; k < own->touched.count; k++)
        if (tn_find_node(graph, own->touched.items[k]))
            own->touched.items[count++] = own->touched.items[k];
    own->touched.count = count;
    *out = own->touched.items;
    return count;
}

void tn_graph_set_schema(tn_graph *graph, tn_node_id id, const void *schema, uint32_t version)
{
    tn_node *node = tn_find_node(graph, id);
    if (!node)
        return;
    if (graph->open && node->made_in != graph->transaction &&
        node->saved_in != graph->transaction) {
        node->old_schema = node->schema;
        node->old_version = node->view.version;
        node->saved_in = graph->transaction;
        node->next_saved = graph->saved;
        graph->saved = id;
    }
    node->schema = schema;
    node->view.version = version;
}
