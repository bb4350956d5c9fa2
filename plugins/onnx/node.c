/* plugins/onnx/node.c: NodeProto and AttributeProto (ONNX IR, "Nodes", "Attributes").
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- attributes ----------------------------------------------------------------------------------- */

enum { ATTR_SPARSE = 11, ATTR_SPARSES = 12 };

/* Files of the first IR versions do not say the type: it is that of the field that is there. */
static uint32_t guess_type(const proto_attribute *a)
{
    return a->t.bytes             ? TN_ATTR_TENSOR
           : a->g.bytes           ? TN_ATTR_GRAPH
           : a->s.bytes           ? TN_ATTR_STRING
           : a->ints.count        ? TN_ATTR_INTS
           : a->floats.count      ? TN_ATTR_FLOATS
           : a->strings.count     ? TN_ATTR_STRINGS
           : a->tensors.count     ? TN_ATTR_TENSORS
           : a->graphs.count      ? TN_ATTR_GRAPHS
           : a->f < 0 || a->f > 0 ? TN_ATTR_FLOAT
                                  : TN_ATTR_INT;
}

static tn_status read_tensors(reader *r, const place *at, wire_list list, tn_attribute *out)
{
    tn_tensor *tensors = pool_take(&r->pool, list.count + 1, sizeof *tensors);
    tensor_shape *shapes = pool_take(&r->pool, list.count + 1, sizeof *shapes);
    wire_span bytes;
    if (!tensors || !shapes)
        return TN_ERR_MEMORY;
    out->tensors = tensors;
    for (out->count = 0; wire_next(&list, &bytes); out->count++) {
        const place here = { .up = at, .what = "tensors", .index = out->count };
        proto_tensor tensor;
        tn_buffer *buffer;
        TN_TRY(reader_open(r, &here, &proto_tensor_message, bytes, &tensor));
        TN_TRY(read_tensor(r, &here, &tensor, &shapes[out->count], &tensors[out->count], &buffer));
    }
    return TN_OK;
}

static tn_status read_one_tensor(reader *r, const place *at, wire_span bytes, tn_attribute *out)
{
    tn_tensor *made = pool_take(&r->pool, 1, sizeof *made);
    tensor_shape *shape = pool_take(&r->pool, 1, sizeof *shape);
    proto_tensor tensor;
    tn_buffer *buffer;
    if (!made || !shape)
        return TN_ERR_MEMORY;
    out->tensors = made;
    out->count = 1;
    if (!bytes.bytes)
        return reader_fail(r, at, TN_ERR_ATTRIBUTE, "the attribute is a tensor, but has none");
    TN_TRY(reader_open(r, at, &proto_tensor_message, bytes, &tensor));
    return read_tensor(r, at, &tensor, shape, made, &buffer);
}

static tn_status read_graphs(reader *r, const place *at, scope *s, const wire_span *single,
                             wire_list list, tn_attribute *out)
{
    const size_t count = single ? 1 : list.count;
    tn_region_id *regions = pool_take(&r->pool, count + 1, sizeof *regions);
    wire_span bytes;
    if (!regions)
        return TN_ERR_MEMORY;
    if (!s)
        return reader_fail(r, at, TN_ERR_ATTRIBUTE, "a graph cannot be a default");
    out->regions = regions;
    for (out->count = 0; out->count < count; out->count++) {
        const place here = { .up = at,
                             .what = single ? "g" : "graphs",
                             .index = single ? NO_INDEX : out->count };
        proto_graph graph;
        scope inner = { .up = s, .depth = s->depth + 1 };
        if (single)
            bytes = *single;
        else
            wire_next(&list, &bytes);
        if (!bytes.bytes)
            return reader_fail(r, &here, TN_ERR_ATTRIBUTE,
                               "the attribute is a graph, but has none");
        if (inner.depth > NESTING_LIMIT)
            return reader_fail(r, &here, TN_ERR_LIMIT, "graphs nest deeper than %d", NESTING_LIMIT);
        TN_TRY(reader_open(r, &here, &proto_graph_message, bytes, &graph));
        TN_TRY(
            reader_settle(r, &here, r->ctx->api->add_region(r->graph, s->region, &inner.region)));
        TN_TRY(read_body(r, &here, &inner, &graph));
        regions[out->count] = inner.region;
    }
    return TN_OK;
}

static tn_status read_types(reader *r, const place *at, const wire_span *single, wire_list list,
                            tn_attribute *out)
{
    const size_t count = single ? 1 : list.count;
    tn_type *types = pool_take(&r->pool, count + 1, sizeof *types);
    wire_span bytes;
    if (!types)
        return TN_ERR_MEMORY;
    out->types = types;
    for (out->count = 0; out->count < count; out->count++) {
        if (single)
            bytes = *single;
        else
            wire_next(&list, &bytes);
        TN_TRY(read_type(r, at, bytes, &types[out->count]));
    }
    return TN_OK;
}

static tn_status read_ints(reader *r, wire_list list, tn_attribute *out)
{
    int64_t *ints = pool_take(&r->pool, list.count + 1, sizeof *ints);
    if (!ints)
        return TN_ERR_MEMORY;
    out->ints = ints;
    while (wire_next_int(&list, ints))
        ints++;
    out->count = (size_t)(ints - out->ints);
    return TN_OK;
}

static tn_status read_floats(reader *r, wire_list list, tn_attribute *out)
{
    float *floats = pool_take(&r->pool, list.count + 1, sizeof *floats);
    if (!floats)
        return TN_ERR_MEMORY;
    out->floats = floats;
    while (wire_next_float(&list, floats))
        floats++;
    out->count = (size_t)(floats - out->floats);
    return TN_OK;
}

static tn_status read_strings(reader *r, wire_list list, tn_attribute *out)
{
    tn_text *texts = pool_take(&r->pool, list.count + 1, sizeof *texts);
    wire_span text;
    if (!texts)
        return TN_ERR_MEMORY;
    out->strings = texts;
    for (out->count = 0; wire_next(&list, &text); out->count++)
        texts[out->count] = (tn_text){ (const char *)text.bytes, text.count };
    return TN_OK;
}

/* The string itself lies in the file, without a zero behind it; the graph copies it with one. */
static tn_status read_string(wire_span text, tn_attribute *out)
{
    out->s = (tn_text){ text.bytes ? (const char *)text.bytes : "", text.count };
    return TN_OK;
}

tn_status read_attribute(reader *r, const place *at, scope *s, wire_span bytes, tn_attribute *out)
{
    proto_attribute a;
    TN_TRY(reader_open(r, at, &proto_attribute_message, bytes, &a));
    place here = *at;
    here.name = a.name;
    *out = (tn_attribute){ .size = sizeof *out };
    TN_TRY(reader_text(r, &here, a.name, &out->name));
    if (a.doc.count)
        reader_drop(r, DROPPED_ATTRIBUTE_DOC);
    if (a.ref.count) {
        out->type = TN_ATTR_REF;
        return read_string(a.ref, out);
    }
    out->type = a.type < 0 || a.type > UINT32_MAX ? UINT32_MAX : (uint32_t)a.type;
    if (!a.type)
        out->type = guess_type(&a);
    const wire_list none = { .count = 0 };
    switch (out->type) {
    case TN_ATTR_FLOAT: out->f = (double)a.f; return TN_OK;
    case TN_ATTR_INT: out->i = a.i; return TN_OK;
    case TN_ATTR_STRING: return read_string(a.s, out);
    case TN_ATTR_TENSOR: return read_one_tensor(r, &here, a.t, out);
    case TN_ATTR_GRAPH: return read_graphs(r, &here, s, &a.g, none, out);
    case TN_ATTR_FLOATS: return read_floats(r, a.floats, out);
    case TN_ATTR_INTS: return read_ints(r, a.ints, out);
    case TN_ATTR_STRINGS: return read_strings(r, a.strings, out);
    case TN_ATTR_TENSORS: return read_tensors(r, &here, a.tensors, out);
    case TN_ATTR_GRAPHS: return read_graphs(r, &here, s, NULL, a.graphs, out);
    case TN_ATTR_TYPE: return read_types(r, &here, &a.tp, none, out);
    case TN_ATTR_TYPES: return read_types(r, &here, NULL, a.types, out);
    case ATTR_SPARSE:
    case ATTR_SPARSES:
        return reader_fail(r, &here, TN_ERR_ATTRIBUTE,
                           "a sparse tensor is held only as the value of a Constant node");
    default:
        return reader_fail(r, &here, TN_ERR_ATTRIBUTE,
                           "type is %" PRId64 ", which is no attribute type", a.type);
    }
}

static tn_status read_attributes(reader *r, const place *at, scope *s, wire_list list,
                                 tn_node_desc *desc)
{
    tn_attribute *attributes = pool_take(&r->pool, list.count + 1, sizeof *attributes);
    wire_span bytes;
    if (!attributes)
        return TN_ERR_MEMORY;
    desc->attributes = attributes;
    for (uint32_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "attribute", .index = k };
        TN_TRY(read_attribute(r, &here, s, bytes, &attributes[k]));
        desc->attribute_count = k + 1;
    }
    return TN_OK;
}

/* ---- inputs and outputs ------------------------------------------------------------------------------ */

/* Empty names are absent; those at the end say nothing. */
static tn_status read_inputs(reader *r, const place *at, const scope *s, wire_list list,
                             tn_node_desc *desc)
{
    tn_value_id *inputs = pool_take(&r->pool, list.count + 1, sizeof *inputs);
    wire_span name;
    if (!inputs)
        return TN_ERR_MEMORY;
    desc->inputs = inputs;
    for (uint32_t k = 0; wire_next(&list, &name); k++) {
        inputs[k] = TN_NONE;
        if (!name.count)
            continue;
        inputs[k] = scope_find(s, name);
        desc->input_count = k + 1;
        if (inputs[k] == TN_NONE)
            return reader_fail(
                r, at, TN_ERR_NAME,
                "input %" PRIu32 " is '%.*s', which is no input, initializer or output of a node",
                k, (int)(name.count < 80 ? name.count : 80), (const char *)name.bytes);
    }
    return TN_OK;
}

static tn_status read_outputs(reader *r, const scope *s, wire_list list, tn_node_desc *desc)
{
    tn_value_id *outputs = pool_take(&r->pool, list.count + 1, sizeof *outputs);
    wire_span name;
    if (!outputs)
        return TN_ERR_MEMORY;
    desc->outputs = outputs;
    for (uint32_t k = 0; wire_next(&list, &name); k++) {
        outputs[k] = name.count ? scope_find(s, name) : TN_NONE; /* declared before */
        if (name.count)
            desc->output_count = k + 1;
    }
    return TN_OK;
}

/* ---- the node ------------------------------------------------------------------------------------------ */

static tn_status read_node_metadata(reader *r, const place *at, wire_list list, tn_node_id node)
{
    wire_span bytes;
    for (size_t k = 0; wire_next(&list, &bytes); k++) {
        const place here = { .up = at, .what = "metadata_props", .index = k };
        proto_entry entry;
        const char *key, *text;
        TN_TRY(reader_open(r, &here, &proto_entry_message, bytes, &entry));
        TN_TRY(reader_text(r, &here, entry.key, &key));
        TN_TRY(reader_text(r, &here, entry.value, &text));
        TN_TRY(reader_settle(r, &here, r->ctx->api->set_node_metadata(r->graph, node, key, text)));
    }
    return TN_OK;
}

/* Whether the function itself says the type of that attribute, by a default. */
static bool is_typed_parameter(const reader *r, wire_span name)
{
    const tn_attribute *parameters;
    const uint32_t count = r->ctx->api->function_attributes(r->graph, &parameters);
    for (uint32_t k = 0; k < count; k++)
        if (parameters[k].type && wire_is(name, parameters[k].name))
            return true;
    return false;
}

/* The type of what a reference will be is its caller's to say; the file says it, too. */
static tn_status keep_reference_types(reader *r, const place *at, wire_list list, tn_node_id node)
{
    wire_span bytes;
    while (wire_next(&list, &bytes)) {
        proto_attribute a;
        char key[128], number[16];
        TN_TRY(reader_open(r, at, &proto_attribute_message, bytes, &a));
        if (!a.ref.count || a.type <= 0 || a.type > TN_ATTR_TYPES || a.name.count > 90 ||
            is_typed_parameter(r, a.ref))
            continue;
        snprintf(key, sizeof key, KEY_REFERENCE "%.*s", (int)a.name.count,
                 (const char *)a.name.bytes);
        snprintf(number, sizeof number, "%" PRId64, a.type);
        TN_TRY(reader_settle(r, at, r->ctx->api->set_node_metadata(r->graph, node, key, number)));
    }
    return TN_OK;
}

/* KEY + attribute, with the number of the graph behind it where the attribute has several. */
static tn_status body_key(reader *r, const char *head, const char *attribute, size_t k,
                          const char *tail, const char **out)
{
    const size_t room = strlen(head) + strlen(attribute) + strlen(tail) + 32;
    char *key = pool_take(&r->pool, room, 1);
    if (!key)
        return TN_ERR_MEMORY;
    if (k == NO_INDEX)
        snprintf(key, room, "%s%s%s", head, attribute, tail);
    else
        snprintf(key, room, "%s%s#%zu%s", head, attribute, k, tail);
    *out = key;
    return TN_OK;
}

static tn_status keep_word(reader *r, const place *at, tn_node_id node, const char *key,
                           wire_span word)
{
    const char *text = NULL;
    TN_TRY(reader_text(r, at, word, &text));
    return reader_settle(r, at, r->ctx->api->set_node_metadata(r->graph, node, key, text));
}

/* A region has no name, doc and metadata of its own: they are kept at the node. The name that the
 * writer would make needs no keeping. */
static tn_status keep_body(reader *r, const place *at, tn_node_id node, const char *attribute,
                           size_t k, wire_span bytes)
{
    const char *key, *own = r->ctx->api->node(r->graph, node)->name;
    proto_graph graph;
    wire_span entry;
    TN_TRY(reader_open(r, at, &proto_graph_message, bytes, &graph));
    const size_t head = strlen(own), tail = strlen(attribute);
    const char *name = (const char *)graph.name.bytes;
    const bool usual = graph.name.count == head + 1 + tail && !memcmp(name, own, head) &&
                       name[head] == '.' && !memcmp(name + head + 1, attribute, tail);
    if (graph.name.count && !usual) {
        TN_TRY(body_key(r, KEY_BODY_NAME, attribute, k, "", &key));
        TN_TRY(keep_word(r, at, node, key, graph.name));
    }
    if (graph.doc.count) {
        TN_TRY(body_key(r, KEY_BODY_DOC, attribute, k, "", &key));
        TN_TRY(keep_word(r, at, node, key, graph.doc));
    }
    while (wire_next(&graph.metadata, &entry)) {
        proto_entry e;
        const char *text, *under;
        TN_TRY(reader_open(r, at, &proto_entry_message, entry, &e));
        TN_TRY(reader_text(r, at, e.key, &text));
        TN_TRY(body_key(r, "/", text, NO_INDEX, "", &under));
        TN_TRY(body_key(r, KEY_BODY_METADATA, attribute, k, under, &key));
        TN_TRY(keep_word(r, at, node, key, e.value));
    }
    return TN_OK;
}

static tn_status keep_bodies(reader *r, const place *at, wire_list list, tn_node_id node)
{
    wire_span bytes, graph;
    while (wire_next(&list, &bytes)) {
        proto_attribute a;
        const char *name;
        TN_TRY(reader_open(r, at, &proto_attribute_message, bytes, &a));
        TN_TRY(reader_text(r, at, a.name, &name));
        if (a.g.bytes)
            TN_TRY(keep_body(r, at, node, name, NO_INDEX, a.g));
        for (size_t k = 0; wire_next(&a.graphs, &graph); k++)
            TN_TRY(keep_body(r, at, node, name, k, graph));
    }
    return TN_OK;
}

tn_status read_node(reader *r, const place *at, scope *s, const proto_node *node)
{
    tn_node_desc desc = {
        .size = sizeof desc, .region = s->region, .before = TN_NONE, .trace = TN_NONE
    };
    const wire_span domain = wire_is(node->domain, "ai.onnx") ? (wire_span){ 0 } : node->domain;
    tn_node_id id;
    if (!node->op.count)
        return reader_fail(r, at, TN_ERR_FORMAT, "op_type is missing");
    TN_TRY(reader_text(r, at, node->name, &desc.name));
    TN_TRY(reader_text(r, at, node->op, &desc.op));
    TN_TRY(reader_text(r, at, domain, &desc.domain));
    TN_TRY(reader_text(r, at, node->overload, &desc.overload));
    TN_TRY(reader_text(r, at, node->doc, &desc.doc));
    TN_TRY(read_inputs(r, at, s, node->inputs, &desc));
    TN_TRY(read_outputs(r, s, node->outputs, &desc));
    TN_TRY(read_attributes(r, at, s, node->attributes, &desc));
    TN_TRY(reader_settle(r, at, r->ctx->api->add_node(r->graph, &desc, &id)));
    if (node->devices.count)
        reader_drop(r, DROPPED_DEVICES);
    if (node->metadata.count)
        TN_TRY(read_node_metadata(r, at, node->metadata, id));
    TN_TRY(keep_bodies(r, at, node->attributes, id));
    return keep_reference_types(r, at, node->attributes, id);
}
