/* engine/json/write.c: writes a graph as JSON, and its large constants as safetensors beside it.
 *
 * What is read again is the same graph: names, types of inputs and outputs, defaults, attributes,
 * constants to the bit, functions, documentation, metadata. Attributes that a schema filled in are
 * left out.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/writer.h"

#include <stdio.h>

void tn_write_complain(tn_writer *w, tn_status status, const char *node, const char *format, ...)
{
    char message[500];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const tn_diagnostic d = { .size = sizeof d,
                              .severity = TN_SEVERITY_ERROR,
                              .status = status,
                              .file = w->path,
                              .node = node,
                              .message = message };
    if (w->status == TN_OK)
        w->status = status;
    tn_diagnose(w->diagnostics, &d);
}

void tn_write_line(tn_writer *w)
{
    tn_add(&w->out, "\n%*s", w->indent, "");
}

/* ---- constants by region ------------------------------------------------------------------------- */

static int by_region(const void *a, const void *b)
{
    const struct tn_placed *x = a, *y = b;
    if (x->region != y->region)
        return x->region < y->region ? -1 : 1;
    const uint32_t i = tn_slot_of(x->value), j = tn_slot_of(y->value);
    return i < j ? -1 : i > j;
}

static tn_status find_constants(tn_writer *w)
{
    const uint32_t slots = tn_graph_value_slots(w->graph);
    w->constant_count = 0;
    w->constants = tn_pool_alloc(&w->pool, ((size_t)slots + 1) * sizeof *w->constants);
    if (!w->constants)
        return tn_raise_memory();
    for (uint32_t k = 0; k < slots; k++) {
        const tn_value_id value = tn_graph_value_at(w->graph, k);
        const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(w->graph, value);
        if (view && view->constant && !view->is_input)
            w->constants[w->constant_count++] = (struct tn_placed){ view->region, value };
    }
    qsort(w->constants, w->constant_count, sizeof *w->constants, by_region);
    return TN_OK;
}

/* ---- the graph as a whole -------------------------------------------------------------------------- */

static void write_opset(tn_writer *w, const tn_graph *graph)
{
    int64_t version;
    const char *domain = tn_graph_opset(graph, 0, &version);
    if (!domain)
        return;
    tn_add(&w->out, ",");
    tn_write_line(w);
    if (tn_graph_opset_count(graph) == 1 && !*domain) {
        tn_add(&w->out, "\"opset\": %" PRId64, version);
        return;
    }
    tn_add(&w->out, "\"opset\": {");
    for (uint32_t k = 0; (domain = tn_graph_opset(graph, k, &version)) != NULL; k++) {
        tn_add(&w->out, "%s", k ? ", " : "");
        tn_write_name(w, *domain ? domain : "ai.onnx", "a domain");
        tn_add(&w->out, ": %" PRId64, version);
    }
    tn_add(&w->out, "}");
}

static void write_metadata(tn_writer *w, const tn_graph *graph)
{
    const char *key, *text;
    if (tn_graph_metadata_count(graph) == 0)
        return;
    tn_add(&w->out, ",");
    tn_write_line(w);
    tn_add(&w->out, "\"metadata\": {");
    w->indent += 2;
    for (uint32_t k = 0; (key = tn_graph_metadata(graph, k, &text)) != NULL; k++) {
        tn_add(&w->out, "%s", k ? "," : "");
        tn_write_line(w);
        tn_write_name(w, key, "a key of metadata");
        tn_add(&w->out, ": ");
        tn_write_text(w, (tn_text){ text, strlen(text) });
    }
    w->indent -= 2;
    tn_write_line(w);
    tn_add(&w->out, "}");
}

static void write_member(tn_writer *w, const char *key, const char *text)
{
    if (!text || !*text)
        return;
    tn_add(&w->out, ",");
    tn_write_line(w);
    tn_add(&w->out, "\"%s\": ", key);
    tn_write_name(w, text, key);
}

static void write_parameters(tn_writer *w, const tn_graph *function)
{
    const tn_attribute *attributes;
    const uint32_t count = tn_graph_function_attributes(function, &attributes);
    if (!count)
        return;
    tn_add(&w->out, ",");
    tn_write_line(w);
    tn_add(&w->out, "\"attributes\": [");
    for (uint32_t k = 0; k < count; k++) {
        const bool has_default = attributes[k].type != TN_ATTR_UNDEFINED,
                   required = tn_graph_function_attribute_required(function, k);
        tn_add(&w->out, "%s%s", k ? ", " : "", has_default || required ? "{\"name\": " : "");
        tn_write_name(w, attributes[k].name, "the name of an attribute");
        if (has_default) {
            tn_add(&w->out, ", \"default\": ");
            tn_write_attribute(w, NULL, &attributes[k]);
        }
        tn_add(&w->out, "%s%s", required ? ", \"required\": true" : "",
               has_default || required ? "}" : "");
    }
    tn_add(&w->out, "]");
}

static tn_status write_function(tn_writer *w, uint32_t k)
{
    const char *domain, *name, *overload, *doc;
    w->graph = tn_graph_function(w->model, k, &domain, &name, &overload);
    TN_TRY(find_constants(w));
    tn_add(&w->out, "{");
    w->indent += 2;
    tn_write_line(w);
    tn_add(&w->out, "\"name\": ");
    tn_write_name(w, name, "the name of a function");
    tn_add(&w->out, ",");
    tn_write_line(w);
    tn_add(&w->out, "\"domain\": ");
    tn_write_name(w, *domain ? domain : "ai.onnx", "a domain");
    write_member(w, "overload", overload);
    tn_graph_name(w->graph, &doc);
    write_member(w, "doc", doc);
    write_metadata(w, w->graph);
    write_opset(w, w->graph);
    write_parameters(w, w->graph);
    tn_add(&w->out, ",");
    tn_write_body(w, TN_TOP_REGION, true);
    w->indent -= 2;
    tn_write_line(w);
    tn_add(&w->out, "}");
    return TN_OK;
}

static tn_status write_functions(tn_writer *w)
{
    const uint32_t count = tn_graph_function_count(w->model);
    if (!count)
        return TN_OK;
    tn_add(&w->out, ",");
    tn_write_line(w);
    tn_add(&w->out, "\"functions\": [");
    w->indent += 2;
    for (uint32_t k = 0; k < count; k++) {
        tn_add(&w->out, "%s", k ? "," : "");
        tn_write_line(w);
        TN_TRY(write_function(w, k));
    }
    w->indent -= 2;
    tn_write_line(w);
    tn_add(&w->out, "]");
    w->graph = w->model;
    return find_constants(w);
}

/* The member stands between "opset" and "inputs", where people look for it; whether there are any
 * weights is known at the end. */
static void insert(tn_builder *out, size_t at, const char *text)
{
    const size_t count = strlen(text), behind = out->count - at;
    tn_add_bytes(out, text, count);
    if (out->failed)
        return;
    memmove(out->text + at + count, out->text + at, behind);
    memcpy(out->text + at, text, count);
}

static tn_status write_graph(tn_writer *w, const char *weights)
{
    const char *doc, *name = tn_graph_name(w->model, &doc);
    w->graph = w->model;
    w->indent = 2;
    if (tn_graph_opset_count(w->model) == 0)
        tn_write_complain(w, TN_ERR_FORMAT, NULL,
                          "the graph imports no operator set, which a JSON graph must say");
    TN_TRY(find_constants(w));
    tn_add(&w->out, "{\n  \"tenon\": 1");
    write_member(w, "name", name);
    write_member(w, "doc", doc);
    write_metadata(w, w->model);
    write_opset(w, w->model);
    const size_t at = w->out.count;
    TN_TRY(write_functions(w));
    tn_add(&w->out, ",");
    tn_write_body(w, TN_TOP_REGION, false);
    tn_add(&w->out, "\n}\n");
    if (w->stored.count == 0 || w->out.failed)
        return TN_OK;
    tn_builder member = { 0 };
    tn_add(&member, ",\n  \"weights\": ");
    tn_add_quoted(&member, weights, strlen(weights));
    if (!tn_is_utf8(weights, strlen(weights)))
        tn_write_complain(w, TN_ERR_FORMAT, NULL,
                          "the file's name is not UTF-8, which JSON must be");
    insert(&w->out, at, tn_builder_text(&member));
    w->out.failed = w->out.failed || member.failed;
    tn_builder_fini(&member);
    return TN_OK;
}

/* "net.json" → "net.safetensors" */
static tn_status weights_path(const char *path, tn_builder *out)
{
    const size_t count = strlen(path);
    const bool cut = count > 5 && strcmp(path + count - 5, ".json") == 0;
    tn_add_bytes(out, path, cut ? count - 5 : count);
    tn_add(out, ".safetensors");
    return out->failed ? tn_raise_memory() : TN_OK;
}

/* The weights first: a graph without its weights is worse than weights without a graph. */
static tn_status write_files(tn_writer *w)
{
    tn_builder file = { 0 };
    tn_status status = weights_path(w->path, &file);
    const char *slash = status == TN_OK ? strrchr(file.text, '/') : NULL;
    if (status == TN_OK)
        status = write_graph(w, slash ? slash + 1 : file.text);
    if (status == TN_OK && w->out.failed)
        status = tn_raise_memory();
    if (status == TN_OK)
        status = w->status;
    if (status == TN_OK && w->stored.count > 0)
        status = tn_write_stored(w, file.text);
    if (status == TN_OK)
        status = tn_file_write(w->path, w->out.text, w->out.count);
    tn_builder_fini(&file);
    return status;
}

/* A failure that was no complaint about the graph: a file that cannot be written. */
static void diagnose_failure(tn_writer *w, tn_status status)
{
    char message[600];
    snprintf(message, sizeof message, "%s", tn_error_message());
    const tn_diagnostic d = {
        .size = sizeof d, .severity = TN_SEVERITY_ERROR, .status = status, .message = message
    };
    tn_diagnose(w->diagnostics, &d);
}

tn_status tn_json_write(const tn_registry *registry, const tn_graph *graph, const char *path,
                        tn_diagnostics *diagnostics)
{
    tn_diagnostics *own = NULL;
    if (!graph || !path)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    if (!diagnostics) /* so that the thread's message is the first complaint */
        TN_TRY(tn_diagnostics_create(&own));
    tn_writer w = { .registry = registry,
                    .model = graph,
                    .graph = graph,
                    .path = path,
                    .diagnostics = diagnostics ? diagnostics : own };
    const size_t before = tn_diagnostics_count(w.diagnostics);
    const tn_status status = write_files(&w);
    if (status != TN_OK && w.status == TN_OK && status != TN_ERR_MEMORY)
        diagnose_failure(&w, status);
    const tn_diagnostic *first = tn_diagnostics_get(w.diagnostics, before);
    if (status != TN_OK && first)
        tn_raise(status, "%s", first->text);
    tn_builder_fini(&w.out);
    tn_free(w.stored.items);
    tn_map_fini(&w.stored_names);
    tn_pool_fini(&w.pool);
    tn_diagnostics_destroy(own);
    return status;
}
