/* What a session tells of itself: numbers, and the texts of its stages.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

/* For people: where nodes come from that are not as the user wrote them. */
static void print_traces(const tn_graph *graph, tn_builder *out)
{
    bool first = true;
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        const char *rest = node == TN_NONE ? "" : tn_graph_trace(graph, node), *name;
        size_t count;
        if (!*rest)
            continue;
        tn_add(out, "%s  %s (%s) comes from", first ? "traces:\n" : "",
               tn_graph_node(graph, node)->name, tn_graph_node(graph, node)->op);
        first = false;
        while (tn_trace_next(&rest, &name, &count)) {
            tn_add(out, " ");
            tn_add_bytes(out, name, count);
        }
        tn_add(out, "\n");
    }
}

/* For people: nodes that stay at an old version, and what their operator says to that. */
static tn_status print_kept(const tn_session *s, tn_builder *out)
{
    tn_graph *copy = NULL;
    tn_status status = TN_OK;
    for (uint32_t slot = 0; status == TN_OK && slot < tn_graph_node_slots(s->graph); slot++) {
        const tn_node_id node = tn_graph_node_at(s->graph, slot);
        const tn_operator *op = node == TN_NONE ? NULL : tn_operator_of(s->graph, node);
        char why[300];
        if (!op || !op->plugin || !tn_registry_newer(s->compile.registry, op))
            continue;
        if (!copy) {
            TN_TRY(tn_graph_clone(s->graph, &copy));
            tn_add(out, "old versions:\n");
        }
        status = tn_infer_why_kept(s->compile.registry, copy, node, why, sizeof why);
        tn_add(out, "  %s (%s) stays at version %" PRIu32 "%s%s\n",
               tn_graph_node(s->graph, node)->name, op->def.name, op->def.since, *why ? ": " : "",
               why);
    }
    tn_graph_destroy(copy);
    return status;
}

static uint64_t weight_bytes(const tn_graph *graph)
{
    uint64_t bytes = 0;
    for (uint32_t slot = 0; slot < tn_graph_value_slots(graph); slot++) {
        const tn_value_id value = tn_graph_value_at(graph, slot);
        const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_look(graph, value);
        bytes += view && view->constant ? view->constant->bytes : 0;
    }
    return bytes;
}

void tn_session_get_stats(tn_session *s, tn_session_stats *out)
{
    tn_session_stats stats = { .size = sizeof stats,
                               .threads = s->compile.threads,
                               .nodes_read = s->nodes_read,
                               .nodes_left = tn_graph_node_count(s->graph),
                               .create_ns = s->create_ns };
    for (uint32_t k = 0; k < s->log.record_count; k++)
        stats.verified += s->log.records[k].checked;
    pthread_mutex_lock(&s->table.lock);
    stats.plans = s->table.count;
    stats.plan_hits = s->table.hits;
    stats.plan_misses = s->table.misses;
    pthread_mutex_unlock(&s->table.lock);
    stats.weight_bytes = weight_bytes(s->graph);
    stats.pack_bytes = tn_packs_bytes(s->model->packs);
    memcpy(out, &stats, out->size && out->size < sizeof stats ? out->size : sizeof stats);
}

tn_status tn_session_print(tn_session *session, const char *stage, tn_print_fn print, void *user)
{
    tn_builder text = { 0 };
    if (!session || !stage || !print)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_session_print needs a session, a stage and a function");
    if (strcmp(stage, "graph") == 0)
        tn_graph_print(session->graph, &text);
    else if (strcmp(stage, "dump") == 0)
        tn_add_bytes(&text, tn_builder_text(&session->log.dump), session->log.dump.count);
    else if (strcmp(stage, "passes") == 0) {
        tn_pass_log_print(&session->log, &text);
        print_traces(session->graph, &text);
        const tn_status status = print_kept(session, &text);
        if (status != TN_OK) {
            tn_builder_fini(&text);
            return status;
        }
    } else
        return tn_raise(TN_ERR_NAME, "no stage '%s': there are graph, passes and dump", stage);
    const bool failed = text.failed;
    if (!failed)
        print(user, tn_builder_text(&text), text.count);
    tn_builder_fini(&text);
    return failed ? tn_raise_memory() : TN_OK;
}
