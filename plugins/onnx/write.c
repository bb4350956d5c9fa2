/* plugins/onnx/write.c: a graph as ModelProto.
 *
 * SPDX-License-Identifier: MIT */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a node makes for one output alone is called like that: no node is there for the name. */
static const char *only_output(const writer *w, tn_value_id value, const tn_value_view *view)
{
    const tn_value_id *outputs;
    const uint32_t count = view->output_count == 1 && view->producer != TN_NONE
                               ? w->api->region_outputs(w->graph, view->region, &outputs)
                               : 0;
    for (uint32_t k = 0; k < count; k++)
        if (outputs[k] == value)
            return w->api->output_name(w->graph, view->region, k);
    return NULL;
}

const char *name_of(const writer *w, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : w->api->value(w->graph, value);
    const char *name = view ? only_output(w, value, view) : "";
    return name ? name : view->name;
}

/* ---- constants ---------------------------------------------------------------------------------------- */

/* Words of the Constant node that a constant was; 0: it was an initializer, as far as is known. */
static size_t node_words(const writer *w, const char *value, const word **out)
{
    size_t count = 0;
    if (w->now->node_count)
        *out = find_words(w->now->nodes, w->now->node_count, value, &count);
    return count;
}

static void write_constant_node(writer *w, uint32_t field, const char *value,
                                const tn_tensor *tensor)
{
    const word *words = NULL;
    const size_t count = node_words(w, value, &words);
    const char *name = value;
    const emit_mark node = emit_begin(&w->e, field, true);
    emit_text(&w->e, 2, value);
    for (size_t k = 0; k < count; k++)
        name = words[k].is_name ? words[k].text : name;
    emit_text(&w->e, 3, name);
    emit_text(&w->e, 4, "Constant");
    const emit_mark attribute = emit_begin(&w->e, 5, true);
    emit_text(&w->e, 1, "value");
    write_tensor(w, 5, tensor, NULL, SIZE_MAX);
    emit_int(&w->e, 20, TN_ATTR_TENSOR);
    emit_end(&w->e, attribute);
    for (size_t k = 0; k < count; k++)
        if (words[k].key)
            emit_entry(&w->e, 9, words[k].key, words[k].text);
        else if (!words[k].is_name)
            emit_word(&w->e, 6, words[k].text);
    emit_end(&w->e, node);
}

static const placed *first_constant(const survey *s, tn_region_id region)
{
    const placed *at = s->constants, *end = s->constants + s->count;
    while (at < end && at->region < region)
        at++;
    return at;
}

/* A weight beside the model stays an initializer: a node has no place for that. */
static bool is_node(const writer *w, const placed *constant, const tn_value_view *view)
{
    const word *words;
    return constant->offset == SIZE_MAX && !view->is_input && node_words(w, view->name, &words);
}

void write_constant_nodes(writer *w, uint32_t field, tn_region_id region, bool all)
{
    const placed *at = first_constant(w->now, region), *end = w->now->constants + w->now->count;
    for (; at < end && at->region == region; at++) {
        const tn_value_view *view = w->api->value(w->graph, at->value);
        if (all || is_node(w, at, view))
            write_constant_node(w, field, view->name, view->constant);
    }
}

static void write_initializers(writer *w, tn_region_id region)
{
    const placed *at = first_constant(w->now, region), *end = w->now->constants + w->now->count;
    for (; at < end && at->region == region; at++) {
        const tn_value_view *view = w->api->value(w->graph, at->value);
        if (!is_node(w, at, view))
            write_tensor(w, 5, view->constant, view->name, at->offset);
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------- */

static bool holds_tensors(const tn_node_view *node)
{
    for (uint32_t k = 0; k < node->attribute_count; k++) {
        const uint32_t type = node->attributes[k].type;
        if (type == TN_ATTR_TENSOR || type == TN_ATTR_TENSORS || type == TN_ATTR_GRAPH ||
            type == TN_ATTR_GRAPHS)
            return true;
    }
    return false;
}

static void write_node(writer *w, uint32_t field, tn_node_id id)
{
    const tn_node_view *node = w->api->node(w->graph, id);
    const emit_mark mark = emit_begin(&w->e, field, holds_tensors(node));
    const char *key, *text;
    for (uint32_t k = 0; k < node->input_count; k++)
        emit_text(&w->e, 1, name_of(w, node->inputs[k]));
    for (uint32_t k = 0; k < node->output_count; k++)
        emit_text(&w->e, 2, name_of(w, node->outputs[k]));
    emit_text(&w->e, 3, node->name);
    emit_text(&w->e, 4, node->op);
    for (uint32_t k = 0; k < node->attribute_count; k++)
        if (node->attributes[k].type)
            write_attribute(w, 5, &node->attributes[k], node, id);
    emit_word(&w->e, 6, w->api->node_doc(w->graph, id));
    emit_word(&w->e, 7, node->domain);
    emit_word(&w->e, 8, node->overload);
    for (uint32_t k = 0; (key = w->api->node_metadata(w->graph, id, k, &text)) != NULL; k++)
        if (!is_own_key(key))
            emit_entry(&w->e, 9, key, text);
    emit_end(&w->e, mark);
}

/* An output of the graph that is an input, a constant or another output as well is an Identity's. */
static void write_alias(writer *w, uint32_t field, const char *from, const char *to)
{
    const emit_mark mark = emit_begin(&w->e, field, false);
    emit_text(&w->e, 1, from);
    emit_text(&w->e, 2, to);
    emit_text(&w->e, 3, to);
    emit_text(&w->e, 4, "Identity");
    emit_end(&w->e, mark);
}

void write_nodes(writer *w, uint32_t field, tn_region_id region)
{
    const tn_value_id *outputs;
    for (tn_node_id n = w->api->first_node(w->graph, region); n != TN_NONE;
         n = w->api->next_node(w->graph, n))
        write_node(w, field, n);
    const uint32_t count = w->api->region_outputs(w->graph, region, &outputs);
    for (uint32_t k = 0; k < count; k++) {
        const char *name = w->api->output_name(w->graph, region, k);
        if (strcmp(name, name_of(w, outputs[k])) != 0)
            write_alias(w, field, name_of(w, outputs[k]), name);
    }
}

/* ---- regions -------------------------------------------------------------------------------------------- */

static bool is_output(const writer *w, tn_value_id value, const tn_value_view *view)
{
    const tn_value_id *outputs;
    const uint32_t count = view->output_count
                               ? w->api->region_outputs(w->graph, view->region, &outputs)
                               : 0;
    for (uint32_t k = 0; k < count; k++)
        if (!strcmp(w->api->output_name(w->graph, view->region, k), name_of(w, value)))
            return true;
    return false;
}

/* Types of what nodes make, where they are known or the file had words about them. */
static void write_inner_values(writer *w, uint32_t field, tn_region_id region)
{
    for (tn_node_id n = w->api->first_node(w->graph, region); n != TN_NONE;
         n = w->api->next_node(w->graph, n)) {
        const tn_node_view *node = w->api->node(w->graph, n);
        for (uint32_t k = 0; k < node->output_count; k++) {
            const tn_value_view *view = node->outputs[k] == TN_NONE
                                            ? NULL
                                            : w->api->value(w->graph, node->outputs[k]);
            size_t words = 0;
            if (view && w->now->word_count)
                find_words(w->now->words, w->now->word_count, view->name, &words);
            if (view && (view->type->dtype || words) && !is_output(w, node->outputs[k], view))
                write_value(w, field, view->name, view->type);
        }
    }
}

void write_region(writer *w, tn_region_id region)
{
    const tn_value_id *values;
    write_constant_nodes(w, 1, region, false);
    write_nodes(w, 1, region);
    write_initializers(w, region);
    uint32_t count = w->api->region_inputs(w->graph, region, &values);
    for (uint32_t k = 0; k < count; k++)
        write_value(w, 11, name_of(w, values[k]), w->api->value(w->graph, values[k])->type);
    count = w->api->region_outputs(w->graph, region, &values);
    for (uint32_t k = 0; k < count; k++)
        write_value(w, 12, w->api->output_name(w->graph, region, k),
                    w->api->value(w->graph, values[k])->type);
    write_inner_values(w, 13, region);
}

static void write_annotations(writer *w)
{
    const survey *s = w->now;
    for (size_t k = 0; k < s->annotation_count;) {
        const word *first = &s->annotations[k];
        const emit_mark mark = emit_begin(&w->e, 14, false);
        emit_text(&w->e, 1, first->name);
        for (; k < s->annotation_count && !strcmp(s->annotations[k].name, first->name); k++)
            emit_entry(&w->e, 2, s->annotations[k].key ? s->annotations[k].key : "",
                       s->annotations[k].text);
        emit_end(&w->e, mark);
    }
}

static void write_graph(writer *w)
{
    const char *doc, *text, *key, *name = w->api->name(w->graph, &doc);
    const emit_mark mark = emit_begin(&w->e, 7, true);
    const size_t head = strlen(KEY_GRAPH_METADATA);
    emit_text(&w->e, 2, *name ? name : "graph");
    emit_word(&w->e, 10, doc);
    write_region(w, TN_TOP_REGION);
    write_annotations(w);
    for (uint32_t k = 0; (key = w->api->metadata(w->graph, k, &text)) != NULL; k++)
        if (!strncmp(key, KEY_GRAPH_METADATA, head))
            emit_entry(&w->e, 16, key + head, text);
    emit_end(&w->e, mark);
}

/* ---- functions --------------------------------------------------------------------------------------------- */

static void write_opsets(writer *w, uint32_t field)
{
    const char *domain;
    int64_t version;
    for (uint32_t k = 0; (domain = w->api->opset(w->graph, k, &version)) != NULL; k++) {
        const emit_mark mark = emit_begin(&w->e, field, false);
        emit_text(&w->e, 1, domain);
        emit_int(&w->e, 2, version);
        emit_end(&w->e, mark);
    }
}

static void write_parameters(writer *w)
{
    const tn_attribute *attributes;
    const uint32_t count = w->api->function_attributes(w->graph, &attributes);
    for (uint32_t k = 0; k < count; k++)
        if (attributes[k].type)
            write_attribute(w, 11, &attributes[k], NULL, TN_NONE);
        else
            emit_text(&w->e, 6, attributes[k].name);
}

static void write_function(writer *w, uint32_t k, tn_graph *model)
{
    const char *domain, *name, *overload, *doc, *key, *text;
    const tn_value_id *values;
    w->graph = w->api->function(model, k, &domain, &name, &overload);
    w->now = &w->surveys[k + 1];
    w->api->name(w->graph, &doc);
    const emit_mark mark = emit_begin(&w->e, 25, true);
    emit_text(&w->e, 1, name);
    uint32_t count = w->api->region_inputs(w->graph, TN_TOP_REGION, &values);
    for (uint32_t j = 0; j < count; j++)
        emit_text(&w->e, 4, name_of(w, values[j]));
    count = w->api->region_outputs(w->graph, TN_TOP_REGION, NULL);
    for (uint32_t j = 0; j < count; j++)
        emit_text(&w->e, 5, w->api->output_name(w->graph, TN_TOP_REGION, j));
    write_parameters(w);
    write_constant_nodes(w, 7, TN_TOP_REGION, true); /* a function has no initializers */
    write_nodes(w, 7, TN_TOP_REGION);
    emit_word(&w->e, 8, doc);
    write_opsets(w, 9);
    emit_text(&w->e, 10, domain);
    emit_word(&w->e, 13, overload);
    if (w->ir_version >= 10)
        write_inner_values(w, 12, TN_TOP_REGION);
    for (uint32_t j = 0; (key = w->api->metadata(w->graph, j, &text)) != NULL; j++)
        if (strncmp(key, KEY, strlen(KEY)) != 0)
            emit_entry(&w->e, 14, key, text);
    emit_end(&w->e, mark);
    w->graph = model;
    w->now = w->surveys;
}

/* ---- the model ------------------------------------------------------------------------------------------------ */

static const char *kept(const writer *w, const char *wanted)
{
    const char *key, *text;
    for (uint32_t k = 0; (key = w->api->metadata(w->graph, k, &text)) != NULL; k++)
        if (!strcmp(key, wanted))
            return text;
    return "";
}

static void write_all(writer *w)
{
    const char *producer = kept(w, KEY_PRODUCER), *version = kept(w, KEY_MODEL_VERSION);
    const char *key, *text;
    w->now = w->surveys;
    emit_int(&w->e, 1, w->ir_version);
    emit_text(&w->e, 2, *producer ? producer : "tenon");
    emit_word(&w->e, 3, kept(w, KEY_PRODUCER_VERSION));
    emit_word(&w->e, 4, kept(w, KEY_DOMAIN));
    if (*version)
        emit_int(&w->e, 5, strtoll(version, NULL, 10));
    emit_word(&w->e, 6, kept(w, KEY_MODEL_DOC));
    write_graph(w);
    write_opsets(w, 8);
    for (uint32_t k = 0; (key = w->api->metadata(w->graph, k, &text)) != NULL; k++)
        if (strncmp(key, KEY, strlen(KEY)) != 0)
            emit_entry(&w->e, 14, key, text);
    const uint32_t functions = w->api->function_count(w->graph);
    for (uint32_t k = 0; k < functions; k++)
        write_function(w, k, w->graph);
}

/* The large weights, beside the model, before it: a model never names a file that is not there. */
static tn_status write_external_file(writer *w)
{
    const tn_host *host = w->ctx->call.host;
    const survey *s = w->surveys;
    tn_buffer *buffer;
    if (!w->external_bytes)
        return TN_OK;
    TN_TRY(host->buffer_create(&w->ctx->call, w->external_bytes, &buffer));
    char *bytes = host->buffer_data(buffer, NULL);
    for (size_t k = 0; k < s->count; k++) {
        const tn_tensor *tensor = w->api->value(s->graph, s->constants[k].value)->constant;
        if (s->constants[k].offset != SIZE_MAX)
            memcpy(bytes + s->constants[k].offset, tensor->data, tensor->bytes);
    }
    const tn_status status = host->write_file(&w->ctx->call, w->external_name, bytes,
                                              w->external_bytes);
    host->buffer_release(buffer);
    return status;
}

static tn_status write_file(writer *w)
{
    const tn_host *host = w->ctx->call.host;
    tn_buffer *buffer;
    emit_count(&w->e, w->ctx, &w->pool);
    write_all(w);
    TN_TRY(w->e.status);
    const size_t bytes = w->e.stream.bytes_written;
    if (bytes > INT32_MAX)
        return tn_fail(w->ctx, TN_ERR_LIMIT,
                       "the model takes %zu bytes without its weights: an .onnx file ends at 2 GiB",
                       bytes);
    TN_TRY(host->buffer_create(&w->ctx->call, bytes, &buffer));
    emit_write(&w->e, host->buffer_data(buffer, NULL), bytes);
    write_all(w);
    tn_status status = w->e.status;
    if (status == TN_OK && w->e.stream.bytes_written != bytes)
        status = tn_fail(w->ctx, TN_ERR_INTERNAL, "%zu bytes were counted, but %zu written", bytes,
                         w->e.stream.bytes_written);
    if (status == TN_OK)
        status = write_external_file(w);
    if (status == TN_OK)
        status = host->write_file(&w->ctx->call, NULL, host->buffer_data(buffer, NULL), bytes);
    host->buffer_release(buffer);
    return status;
}

static tn_status name_external_file(writer *w)
{
    const char *slash = w->ctx->path ? strrchr(w->ctx->path, '/') : NULL;
    const char *base = slash ? slash + 1 : w->ctx->path ? w->ctx->path : "model.onnx";
    const size_t room = strlen(base) + sizeof ".data";
    char *name = pool_take(&w->pool, room, 1);
    if (!name)
        return TN_ERR_MEMORY;
    snprintf(name, room, "%s.data", base);
    w->external_name = name;
    return TN_OK;
}

static tn_status write_with(writer *w)
{
    if (!w->api->opset_count(w->graph))
        return tn_fail(w->ctx, TN_ERR_FORMAT,
                       "the graph imports no operator set, which an .onnx file must say");
    TN_TRY(name_external_file(w));
    TN_TRY(survey_all(w));
    return write_file(w);
}

tn_status write_model(tn_format_call *ctx)
{
    writer w = { .ctx = ctx, .api = ctx->api, .graph = ctx->graph, .pool = { .call = &ctx->call } };
    const tn_status status = write_with(&w);
    pool_fini(&w.pool);
    return status;
}
