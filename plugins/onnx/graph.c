/* plugins/onnx/graph.c: GraphProto and FunctionProto to a region (ONNX IR, "Graphs", "Functions").
 *
 * Names first: inputs, initializers, outputs of nodes; then the nodes, which may then stand in any
 * order; then the outputs.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <stdio.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------------ */

/* A name that the scope does not have, but a graph around it: another one is made from it. */
static tn_status add_renamed(reader *r, const place *at, const scope *s, const char *name,
                             const tn_type *type, tn_value_id *out)
{
    const size_t room = strlen(name) + 16;
    char *other = pool_take(&r->pool, room, 1);
    tn_status status = TN_ERR_DUPLICATE;
    if (!other)
        return TN_ERR_MEMORY;
    for (uint32_t k = 2; status == TN_ERR_DUPLICATE && k < 10000; k++) {
        snprintf(other, room, "%s#%u", name, k);
        status = r->ctx->api->add_value(r->graph, s->region, other, type, out);
    }
    return reader_settle(r, at, status);
}

tn_status declare(reader *r, const place *at, scope *s, wire_span name, tn_value_id *out)
{
    tn_type type = { .size = sizeof type, .rank = -1 };
    const char *text;
    name_entry *entry = scope_entry(r, s, name);
    if (!entry)
        return TN_ERR_MEMORY;
    if (!name.count)
        return reader_fail(r, at, TN_ERR_NAME, "the name is empty");
    if (entry->value != TN_NONE)
        return reader_fail(r, at, TN_ERR_DUPLICATE, "the name '%.*s' stands for two values",
                           (int)(name.count < 80 ? name.count : 80), (const char *)name.bytes);
    if (entry->type.bytes)
        TN_TRY(read_type(r, at, entry->type, &type));
    TN_TRY(reader_text(r, at, name, &text));
    tn_status status = r->ctx->api->add_value(r->graph, s->region, text, &type, out);
    status = status == TN_ERR_DUPLICATE ? add_renamed(r, at, s, text, &type, out)
                                        : reader_settle(r, at, status);
    if (status == TN_OK)
        entry->value = *out;
    return status;
}

/* ---- what is said about values ------------------------------------------------------------------------ */

/* Notes the types in a list of ValueInfoProto and keeps their words. */
static tn_status note_values(reader *r, const place *at, const char *what, scope *s, wire_list list)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = what, .index = k };
        proto_value value;
        wire_span entry_bytes;
        const pool_mark mark = pool_here(&r->pool);
        TN_TRY(reader_open(r, &here, &proto_value_message, bytes, &value));
        if (!value.name.count)
            continue; /* told of again where it must have one */
        name_entry *entry = scope_entry(r, s, value.name);
        if (!entry)
            return TN_ERR_MEMORY;
        if (value.type.bytes)
            entry->type = value.type;
        if (value.doc.count)
            TN_TRY(keep_text(r, &here, KEY_VALUE_DOC, value.name, (wire_span){ 0 }, value.doc));
        while (wire_next(&value.metadata, &entry_bytes)) {
            proto_entry e;
            TN_TRY(reader_open(r, &here, &proto_entry_message, entry_bytes, &e));
            TN_TRY(keep_text(r, &here, KEY_VALUE_METADATA, value.name,
                             e.key.bytes ? e.key : wire_text(""), e.value));
        }
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

static tn_status note_annotations(reader *r, const place *at, wire_list list)
{
    wire_span bytes, entry_bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "quantization_annotation", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_annotation annotation;
        proto_entry e;
        TN_TRY(reader_open(r, &here, &proto_annotation_message, bytes, &annotation));
        while (wire_next(&annotation.entries, &entry_bytes)) {
            TN_TRY(reader_open(r, &here, &proto_entry_message, entry_bytes, &e));
            TN_TRY(keep_text(r, &here, KEY_QUANTIZATION, annotation.tensor,
                             e.key.bytes ? e.key : wire_text(""), e.value));
        }
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

/* ---- inputs and initializers ---------------------------------------------------------------------------- */

static tn_status note_initializers(reader *r, const place *at, scope *s, wire_list list)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "initializer", .index = k };
        proto_tensor tensor;
        TN_TRY(reader_open(r, &here, &proto_tensor_message, bytes, &tensor));
        name_entry *entry = tensor.name.count ? scope_entry(r, s, tensor.name) : NULL;
        if (entry)
            entry->is_initializer = 1;
    }
    return TN_OK;
}

/* Before IR version 4 every initializer had to be an input as well, and was meant to be constant;
 * since then one that is an input is its default. */
static tn_status add_input(reader *r, const place *at, scope *s, wire_span name)
{
    const name_entry *entry = scope_entry(r, s, name);
    tn_value_id value;
    if (!entry)
        return TN_ERR_MEMORY;
    if (r->ir_version < 4 && entry->is_initializer)
        return TN_OK;
    r->opaque_dims = true;
    const tn_status status = declare(r, at, s, name, &value);
    r->opaque_dims = false;
    TN_TRY(status);
    return reader_settle(r, at, r->ctx->api->add_input(r->graph, s->region, value));
}

static tn_status add_inputs(reader *r, const place *at, scope *s, wire_list list, bool names)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        place here = { .up = at, .what = "input", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_value value = { .name = bytes };
        if (!names)
            TN_TRY(reader_open(r, &here, &proto_value_message, bytes, &value));
        here.name = value.name;
        TN_TRY(add_input(r, &here, s, value.name));
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

static tn_status add_initializers(reader *r, const place *at, scope *s, const proto_graph *graph)
{
    wire_list list = graph->initializers, sparse = graph->sparse;
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        place here = { .up = at, .what = "initializer", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_tensor tensor;
        TN_TRY(reader_open(r, &here, &proto_tensor_message, bytes, &tensor));
        here.name = tensor.name;
        TN_TRY(read_initializer(r, &here, s, &tensor, tensor.name));
        pool_back(&r->pool, mark);
    }
    for (size_t k = 0; wire_next(&sparse, &bytes); k++) {
        const place here = { .up = at, .what = "sparse_initializer", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        TN_TRY(read_sparse(r, &here, s, bytes, (wire_span){ 0 }));
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

/* ---- nodes and outputs ------------------------------------------------------------------------------------ */

static tn_status open_node(reader *r, place *here, wire_span bytes, proto_node *out)
{
    TN_TRY(reader_open(r, here, &proto_node_message, bytes, out));
    here->name = out->name;
    here->op = out->op;
    return TN_OK;
}

/* Constants become values at once, other nodes' outputs are declared. */
static tn_status declare_nodes(reader *r, const place *at, scope *s, wire_list list)
{
    wire_span bytes, name;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        place here = { .up = at, .what = "node", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_node node;
        tn_value_id value;
        bool is_constant;
        TN_TRY(open_node(r, &here, bytes, &node));
        TN_TRY(read_constant_node(r, &here, s, &node, &is_constant));
        while (!is_constant && wire_next(&node.outputs, &name))
            if (name.count)
                TN_TRY(declare(r, &here, s, name, &value));
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

/* A node whose one output is a constant was read above. */
static bool was_constant(const reader *r, const scope *s, const proto_node *node)
{
    wire_list outputs = node->outputs;
    wire_span name;
    if (!wire_is(node->op, "Constant") || !wire_next(&outputs, &name) || !name.count)
        return false;
    const tn_value_view *view = r->ctx->api->value(r->graph, scope_find(s, name));
    return view && view->constant;
}

static tn_status add_nodes(reader *r, const place *at, scope *s, wire_list list)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        place here = { .up = at, .what = "node", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_node node;
        TN_TRY(open_node(r, &here, bytes, &node));
        if (!was_constant(r, s, &node))
            TN_TRY(read_node(r, &here, s, &node));
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

static tn_status add_outputs(reader *r, const place *at, const scope *s, wire_list list, bool names)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        place here = { .up = at, .what = "output", .index = k };
        const pool_mark mark = pool_here(&r->pool);
        proto_value value = { .name = bytes };
        const char *name;
        if (!names)
            TN_TRY(reader_open(r, &here, &proto_value_message, bytes, &value));
        here.name = value.name;
        const tn_value_id id = scope_find(s, value.name);
        TN_TRY(reader_text(r, &here, value.name, &name));
        if (id == TN_NONE)
            return reader_fail(r, &here, TN_ERR_NAME,
                               "no input, initializer or output of a node has this name");
        TN_TRY(reader_settle(r, &here, r->ctx->api->add_output(r->graph, s->region, name, id)));
        pool_back(&r->pool, mark);
    }
    return TN_OK;
}

/* ---- bodies and functions ------------------------------------------------------------------------------------ */

tn_status read_body(reader *r, const place *at, scope *s, const proto_graph *graph)
{
    TN_TRY(note_values(r, at, "value_info", s, graph->values));
    TN_TRY(note_values(r, at, "output", s, graph->outputs));
    TN_TRY(note_values(r, at, "input", s, graph->inputs));
    TN_TRY(note_annotations(r, at, graph->annotations));
    if (r->ir_version < 4)
        TN_TRY(note_initializers(r, at, s, graph->initializers));
    TN_TRY(add_inputs(r, at, s, graph->inputs, false));
    TN_TRY(add_initializers(r, at, s, graph));
    TN_TRY(declare_nodes(r, at, s, graph->nodes));
    TN_TRY(add_nodes(r, at, s, graph->nodes));
    return add_outputs(r, at, s, graph->outputs, false);
}

/* What a caller may set: without a default, and with one. */
static tn_status add_parameters(reader *r, const place *at, const proto_function *function)
{
    wire_list names = function->attributes, defaults = function->defaults;
    wire_span bytes;
    for (size_t k = 0; wire_next(&names, &bytes); k++) {
        const place here = { .up = at, .what = "attribute", .index = k, .name = bytes };
        tn_attribute attribute = { .size = sizeof attribute };
        TN_TRY(reader_text(r, &here, bytes, &attribute.name));
        TN_TRY(
            reader_settle(r, &here, r->ctx->api->add_function_attribute(r->graph, &attribute, 0)));
    }
    for (size_t k = 0; wire_next(&defaults, &bytes); k++) {
        const place here = { .up = at, .what = "attribute_proto", .index = k };
        tn_attribute attribute;
        TN_TRY(read_attribute(r, &here, NULL, bytes, &attribute));
        TN_TRY(
            reader_settle(r, &here, r->ctx->api->add_function_attribute(r->graph, &attribute, 0)));
    }
    return TN_OK;
}

static tn_status read_function_body(reader *r, const place *at, const proto_function *function)
{
    scope s = { .region = TN_TOP_REGION };
    TN_TRY(note_values(r, at, "value_info", &s, function->values));
    TN_TRY(add_parameters(r, at, function));
    TN_TRY(add_inputs(r, at, &s, function->inputs, true));
    TN_TRY(declare_nodes(r, at, &s, function->nodes));
    TN_TRY(add_nodes(r, at, &s, function->nodes));
    TN_TRY(add_outputs(r, at, &s, function->outputs, true));
    return read_metadata(r, at, function->metadata, "");
}

static tn_status read_opsets(reader *r, const place *at, wire_list list)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "opset_import", .index = k };
        proto_opset opset;
        const char *domain;
        TN_TRY(reader_open(r, &here, &proto_opset_message, bytes, &opset));
        TN_TRY(reader_text(r, &here, opset.domain, &domain));
        TN_TRY(reader_settle(r, &here, r->ctx->api->set_opset(r->graph, domain, opset.version)));
    }
    return TN_OK;
}

tn_status read_function(reader *r, const place *at, wire_span bytes)
{
    proto_function function;
    const char *name, *domain, *overload, *doc;
    tn_graph *model = r->graph;
    place here = *at;
    TN_TRY(reader_open(r, at, &proto_function_message, bytes, &function));
    here.name = function.name;
    TN_TRY(reader_text(r, &here, function.name, &name));
    TN_TRY(reader_text(r, &here, function.domain, &domain));
    TN_TRY(reader_text(r, &here, function.overload, &overload));
    TN_TRY(reader_text(r, &here, function.doc, &doc));
    TN_TRY(reader_settle(r, &here,
                         r->ctx->api->add_function(model, domain, name, overload, &r->graph)));
    tn_status status = reader_settle(r, &here, r->ctx->api->set_name(r->graph, name, doc));
    if (status == TN_OK)
        status = read_opsets(r, &here, function.opsets);
    if (status == TN_OK)
        status = read_function_body(r, &here, &function);
    r->graph = model;
    return status;
}
