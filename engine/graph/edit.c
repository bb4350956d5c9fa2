/* engine/graph/edit.c: changing what is there: inputs, names, types, order, replacement.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

tn_status tn_graph_set_input(tn_graph *graph, tn_node_id id, uint32_t input, tn_value_id value_id)
{
    tn_node *node;
    tn_value *value;
    TN_TRY(tn_need_node(graph, id, &node));
    if (input > node->view.input_count)
        return tn_raise(TN_ERR_ARGUMENT,
                        "node '%s' has %" PRIu32 " inputs: input %" PRIu32 " cannot be set",
                        node->view.name, node->view.input_count, input);
    if (value_id != TN_NONE) {
        TN_TRY(tn_need_value(graph, value_id, &value));
        TN_TRY(tn_need_visible(graph, value, node->view.region));
    }
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark,
                       input == node->view.input_count
                           ? tn_change_append_input(graph, node, value_id)
                           : tn_change_input(graph, node, input, value_id));
}

/* ---- replacement ------------------------------------------------------------------------- */

/* Names may hold blanks: a list of them has one on each line. */
static bool has_name(const char *names, const char *name, size_t count)
{
    for (const char *at = names; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strcspn(at, "\n") == count && !memcmp(at, name, count))
            return true;
    return false;
}

tn_status tn_join_names(tn_graph *graph, const char *names, const char *more, const char **out)
{
    tn_builder text = { 0 };
    if (strlen(names) > TRACE_BYTES) { /* of a thousand nodes that become one, most find it full */
        *out = names;
        return TN_OK;
    }
    tn_add(&text, "%s", names);
    for (const char *at = more; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const size_t count = strcspn(at, "\n");
        if (text.count > TRACE_BYTES || has_name(tn_builder_text(&text), at, count))
            continue;
        if (text.count)
            tn_add(&text, "\n");
        tn_add_bytes(&text, at, count);
    }
    tn_status status = text.failed ? tn_raise_memory()
                                   : tn_intern_to(graph, tn_builder_text(&text), out);
    tn_builder_fini(&text);
    return status;
}

/* A node that a rewrite made, or gave other inputs or attributes, stands for those whose outputs it
 * takes over. One that it left as it was only has more readers. */
static tn_status record_trace(tn_graph *graph, const tn_value *old, const tn_value *now)
{
    const tn_node *from = tn_find_node(graph, old->view.producer);
    tn_node *to = tn_find_node(graph, now->view.producer);
    const char *trace;
    if (!from || !to || from == to || !graph->open)
        return TN_OK;
    if (to->made_in == graph->transaction)
        trace = to->trace;
    else if (to->changed_in == graph->transaction)
        trace = tn_trace_of(to);
    else
        return TN_OK;
    TN_TRY(tn_join_names(graph, trace, tn_trace_of(from), &trace));
    return trace == to->trace ? TN_OK : tn_change_trace(graph, to, trace);
}

static tn_status replace_all(tn_graph *graph, tn_value *old, tn_value *now)
{
    while (old->uses.count) {
        const tn_use use = old->uses.items[old->uses.count - 1];
        tn_node *reader = tn_node_of(graph, use.owner);
        TN_TRY(tn_need_visible(graph, now, reader->view.region));
        TN_TRY(tn_change_input(graph, reader, use.index, now->id));
    }
    while (old->outputs.count) {
        const tn_use use = old->outputs.items[old->outputs.count - 1];
        TN_TRY(tn_need_visible(graph, now, use.owner));
        TN_TRY(tn_change_region_output(graph, use.owner, use.index, now));
    }
    return record_trace(graph, old, now);
}

tn_status tn_graph_set_trace(tn_graph *graph, tn_node_id id, const char *names)
{
    tn_node *node;
    TN_TRY(tn_need_node(graph, id, &node));
    TN_TRY(tn_join_names(graph, "", names, &names));
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_trace(graph, node, names));
}

tn_status tn_graph_replace(tn_graph *graph, tn_value_id old_id, tn_value_id new_id)
{
    tn_value *old, *now;
    TN_TRY(tn_need_value(graph, old_id, &old));
    TN_TRY(tn_need_value(graph, new_id, &now));
    if (old == now)
        return TN_OK;
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, replace_all(graph, old, now));
}

/* ---- values ------------------------------------------------------------------------------ */

tn_status tn_graph_rename_value(tn_graph *graph, tn_value_id id, const char *name)
{
    tn_value *value;
    TN_TRY(tn_need_value(graph, id, &value));
    if (!name || !*name)
        return tn_raise(TN_ERR_ARGUMENT, "the new name of '%s' is empty", value->view.name);
    TN_TRY(tn_intern_to(graph, name, &name));
    if (name == value->view.name)
        return TN_OK;
    if (tn_names_taken(graph, value->view.region, name))
        return tn_raise(TN_ERR_DUPLICATE, "the name '%s' stands for another value in this scope",
                        name);
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_rename(graph, value, name));
}

tn_status tn_graph_set_type(tn_graph *graph, tn_value_id id, const tn_type *type)
{
    tn_value *value;
    TN_TRY(tn_need_value(graph, id, &value));
    TN_TRY(tn_type_check(type));
    return tn_type_equal(&value->type, type) ? TN_OK : tn_change_type(graph, value, type);
}

tn_status tn_graph_set_elements(tn_graph *graph, tn_value_id id, const tn_dim *elements,
                                int64_t count)
{
    tn_value *value;
    size_t bytes;
    TN_TRY(tn_need_value(graph, id, &value));
    const tn_elements *old = value->elements;
    if (count < 0 ? !old
                  : old && old->count == count &&
                        (!count || !memcmp(old->items, elements, (size_t)count * sizeof *elements)))
        return TN_OK;
    if (count < 0)
        return tn_change_elements(graph, value, NULL);
    if (!tn_size_mul((size_t)count, sizeof *elements, &bytes))
        return tn_raise_memory();
    tn_elements *kept = tn_alloc(1, sizeof *kept + bytes);
    if (!kept)
        return tn_raise_memory();
    kept->count = count;
    if (count)
        memcpy(kept->items, elements, bytes);
    return tn_change_elements(graph, value, kept);
}

/* ---- order ------------------------------------------------------------------------------- */

tn_status tn_graph_move_node(tn_graph *graph, tn_node_id id, tn_node_id before)
{
    tn_node *node, *next;
    TN_TRY(tn_need_node(graph, id, &node));
    if (before != TN_NONE) {
        TN_TRY(tn_need_node(graph, before, &next));
        if (next->view.region != node->view.region)
            return tn_raise(TN_ERR_ARGUMENT, "node '%s' stands in another region than '%s'",
                            next->view.name, node->view.name);
    }
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, tn_change_move_node(graph, node, node->view.region, before));
}

static tn_status drop_output(tn_graph *graph, tn_node *node, uint32_t k, tn_value *value)
{
    TN_TRY(tn_change_node_output(graph, node, k));
    return tn_change_remove_value(graph, value);
}

tn_status tn_graph_drop_output(tn_graph *graph, tn_node_id id, uint32_t output)
{
    tn_node *node;
    TN_TRY(tn_need_node(graph, id, &node));
    if (output >= node->view.output_count || node->outputs[output] == TN_NONE)
        return TN_OK;
    tn_value *value = tn_value_of(graph, node->outputs[output]);
    if (value->uses.count || value->outputs.count)
        return tn_raise(TN_ERR_STATE, "output '%s' cannot go: it is read", value->view.name);
    const uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, drop_output(graph, node, output, value));
}
