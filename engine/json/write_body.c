/* engine/json/write_body.c: inputs, outputs, constants and nodes of a graph, a function or a body
 * inside a node, one to a line.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/writer.h"

/* `"key": [` … items on lines of their own … `]` */
static void open_list(tn_writer *w, const char *key, char bracket)
{
    tn_write_line(w);
    tn_add(&w->out, "\"%s\": %c", key, bracket);
    w->indent += 2;
}

static void next_item(tn_writer *w, bool *first)
{
    tn_add(&w->out, "%s", *first ? "" : ",");
    *first = false;
    tn_write_line(w);
}

static void close_list(tn_writer *w, bool empty, char bracket)
{
    w->indent -= 2;
    if (!empty)
        tn_write_line(w);
    tn_add(&w->out, "%c", bracket);
}

static const char *name_of(const tn_writer *w, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(w->graph, value);
    return view ? view->name : "";
}

/* ---- inputs and outputs -------------------------------------------------------------------------- */

static bool is_typed(const tn_type *type)
{
    return type->dtype != TN_UNDEFINED || type->rank >= 0;
}

static void write_input(tn_writer *w, tn_value_id value, bool is_top, bool is_function)
{
    const tn_value_view *view = tn_graph_value(w->graph, value);
    const bool plain = is_function || (!is_top && !is_typed(view->type));
    if (plain) {
        tn_write_name(w, view->name, "the name of an input");
        return;
    }
    if (is_top && view->type->dtype == TN_UNDEFINED)
        tn_write_complain(w, TN_ERR_TYPE, NULL,
                          "input '%s' has no element type, which a JSON graph must say",
                          view->name);
    tn_add(&w->out, "{\"name\": ");
    tn_write_name(w, view->name, "the name of an input");
    tn_write_type(w, view->type, ", ");
    if (is_top && view->constant) {
        tn_add(&w->out, ", \"default\": ");
        tn_write_tensor(w, view->constant, tn_graph_constant(w->graph, value), view->name,
                        view->name);
    }
    tn_add(&w->out, "}");
}

static void write_inputs(tn_writer *w, tn_region_id region, bool is_top, bool is_function)
{
    const tn_value_id *inputs;
    const uint32_t count = tn_graph_region_inputs(w->graph, region, &inputs);
    bool first = true;
    open_list(w, "inputs", '[');
    for (uint32_t k = 0; k < count; k++) {
        next_item(w, &first);
        write_input(w, inputs[k], is_top, is_function);
    }
    close_list(w, first, ']');
}

static void write_output(tn_writer *w, const char *name, tn_value_id value, bool is_function)
{
    const tn_value_view *view = tn_graph_value(w->graph, value);
    const bool same = strcmp(name, view->name) == 0;
    if (is_function && !same)
        tn_write_complain(w, TN_ERR_FORMAT, NULL,
                          "output '%s' of a function shows value '%s': expected one name for both",
                          name, view->name);
    if (is_function || (same && !is_typed(view->type))) {
        tn_write_name(w, name, "the name of an output");
        return;
    }
    tn_add(&w->out, "{\"name\": ");
    tn_write_name(w, name, "the name of an output");
    if (!same) {
        tn_add(&w->out, ", \"value\": ");
        tn_write_name(w, view->name, "the name of a value");
    }
    tn_write_type(w, view->type, ", ");
    tn_add(&w->out, "}");
}

static void write_outputs(tn_writer *w, tn_region_id region, bool is_function)
{
    const tn_value_id *outputs;
    const uint32_t count = tn_graph_region_outputs(w->graph, region, &outputs);
    bool first = true;
    open_list(w, "outputs", '[');
    for (uint32_t k = 0; k < count; k++) {
        next_item(w, &first);
        write_output(w, tn_graph_output_name(w->graph, region, k), outputs[k], is_function);
    }
    close_list(w, first, ']');
}

/* ---- constants ------------------------------------------------------------------------------------- */

/* The first of the region's among the sorted constants. */
static size_t first_constant(const tn_writer *w, tn_region_id region)
{
    size_t low = 0, high = w->constant_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (w->constants[middle].region < region)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void write_constants(tn_writer *w, tn_region_id region)
{
    bool first = true;
    const size_t start = first_constant(w, region);
    for (size_t k = start; k < w->constant_count && w->constants[k].region == region; k++) {
        const tn_value_view *view = tn_graph_value(w->graph, w->constants[k].value);
        if (first) {
            tn_add(&w->out, ",");
            open_list(w, "constants", '{');
        }
        next_item(w, &first);
        tn_write_name(w, view->name, "the name of a constant");
        tn_add(&w->out, ": ");
        tn_write_tensor(w, view->constant, tn_graph_constant(w->graph, w->constants[k].value),
                        view->name, view->name);
    }
    if (!first)
        close_list(w, false, '}');
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static void write_names(tn_writer *w, const char *key, const tn_value_id *values, uint32_t count)
{
    tn_add(&w->out, ", \"%s\": [", key);
    for (uint32_t k = 0; k < count; k++) {
        tn_add(&w->out, "%s", k ? ", " : "");
        tn_write_name(w, name_of(w, values[k]), "the name of a value");
    }
    tn_add(&w->out, "]");
}

static void write_member(tn_writer *w, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    tn_add(&w->out, ", \"%s\": ", key);
    tn_write_name(w, text, key);
}

static void write_node_metadata(tn_writer *w, tn_node_id id)
{
    const char *key, *text;
    for (uint32_t k = 0; (key = tn_graph_node_metadata(w->graph, id, k, &text)) != NULL; k++) {
        tn_add(&w->out, "%s", k ? ", " : ", \"metadata\": {");
        tn_write_name(w, key, "a key of metadata");
        tn_add(&w->out, ": ");
        tn_write_text(w, (tn_text){ text, strlen(text) });
    }
    if (tn_graph_node_metadata(w->graph, id, 0, NULL))
        tn_add(&w->out, "}");
}

static void write_trace(tn_writer *w, tn_node_id id)
{
    const char *rest = tn_graph_trace(w->graph, id), *name;
    size_t count;
    const bool any = *rest != 0;
    for (bool first = true; tn_trace_next(&rest, &name, &count); first = false) {
        const char *copy = tn_pool_text(&w->pool, name, count);
        tn_add(&w->out, "%s", first ? ", \"trace\": [" : ", ");
        tn_write_name(w, copy ? copy : "", "a name in a trace");
    }
    if (any)
        tn_add(&w->out, "]");
}

static void write_node(tn_writer *w, tn_node_id id)
{
    const tn_node_view *node = tn_graph_node(w->graph, id);
    bool first = true;
    tn_add(&w->out, "{\"name\": ");
    tn_write_name(w, node->name, "the name of a node");
    write_member(w, "op", node->op);
    write_member(w, "domain", node->domain);
    write_member(w, "overload", node->overload);
    write_names(w, "inputs", node->inputs, node->input_count);
    write_names(w, "outputs", node->outputs, node->output_count);
    for (uint32_t k = 0; k < node->attribute_count; k++) {
        const tn_attribute *a = &node->attributes[k];
        if (a->type == TN_ATTR_UNDEFINED || tn_graph_attribute_is_default(w->graph, id, a->name))
            continue;
        tn_add(&w->out, "%s", first ? ", \"attributes\": {" : ", ");
        first = false;
        tn_write_name(w, a->name, "the name of an attribute");
        tn_add(&w->out, ": ");
        tn_write_attribute(w, node, a);
    }
    tn_add(&w->out, "%s", first ? "" : "}");
    write_member(w, "doc", tn_graph_node_doc(w->graph, id));
    write_node_metadata(w, id);
    write_trace(w, id);
    tn_add(&w->out, "}");
}

void tn_write_body(tn_writer *w, tn_region_id region, bool is_function)
{
    const bool is_top = region == TN_TOP_REGION && !is_function;
    bool first = true;
    write_inputs(w, region, is_top, is_function);
    tn_add(&w->out, ",");
    write_outputs(w, region, is_function);
    write_constants(w, region);
    tn_add(&w->out, ",");
    open_list(w, "nodes", '[');
    for (tn_node_id node = tn_graph_first_node(w->graph, region); node != TN_NONE;
         node = tn_graph_next_node(w->graph, node)) {
        next_item(w, &first);
        write_node(w, node);
    }
    close_list(w, first, ']');
}
