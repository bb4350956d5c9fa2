/* A model: what was read, and the packed forms of its weights that all its sessions share.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/infer.h"
#include "engine/json/json.h"
#include "engine/run/run.h"

#include <stdio.h>

static uint64_t last_constant(const tn_graph *graph)
{
    uint64_t last = 0;
    for (uint32_t slot = 0; slot < tn_graph_value_slots(graph); slot++) {
        const tn_value_id value = tn_graph_value_at(graph, slot);
        const tn_constant *constant = value == TN_NONE ? NULL : tn_graph_constant(graph, value);
        last = constant && constant->id > last ? constant->id : last;
    }
    return last;
}

static tn_status model_create(tn_runtime *runtime, tn_graph *graph, tn_model **out)
{
    tn_model *model = tn_alloc(1, sizeof *model);
    if (!model)
        return tn_raise_memory();
    tn_status status = tn_packs_create(&model->packs);
    if (status == TN_OK)
        status = tn_interned_create(&model->interned);
    if (status != TN_OK) {
        tn_packs_destroy(model->packs);
        tn_free(model);
        return status;
    }
    model->refs = 1;
    model->runtime = tn_runtime_ref(runtime);
    model->graph = graph;
    model->last_id = last_constant(graph);
    *out = model;
    return TN_OK;
}

tn_model *tn_model_ref(tn_model *model)
{
    __atomic_add_fetch(&model->refs, 1, __ATOMIC_RELAXED);
    return model;
}

void tn_model_destroy(tn_model *model)
{
    if (!model || __atomic_sub_fetch(&model->refs, 1, __ATOMIC_ACQ_REL))
        return;
    tn_graph_destroy(model->graph);
    tn_interned_destroy(model->interned);
    tn_packs_destroy(model->packs);
    tn_runtime_destroy(model->runtime);
    tn_free(model);
}

tn_status tn_model_from_graph(tn_runtime *runtime, tn_graph *graph, tn_model **out)
{
    if (!runtime || !graph || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_model_from_graph needs a runtime, a graph and a place for the model");
    return model_create(runtime, graph, out);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* The core reads JSON itself: by name, by extension, or by what the first bytes look like. */
static bool is_json(const char *name, const char *path, const char *bytes, size_t count)
{
    if (name)
        return strcmp(name, "json") == 0;
    if (path && tn_ends_with(path, ".json"))
        return true;
    for (size_t k = 0; k < count && k < 64; k++)
        if (!strchr(" \t\r\n", bytes[k]))
            return bytes[k] == '{';
    return false;
}

static tn_status unknown_format(const char *name, const char *path, tn_diagnostics *diagnostics)
{
    const char *dot = path ? strrchr(path, '.') : NULL;
    char text[256];
    snprintf(
        text, sizeof text,
        name
            ? "no plugin brings the format '%s'"
            : "no plugin reads this kind of file%s; a graph is a .json file, or what a format plugin brings",
        name  ? name
        : dot ? dot
              : "");
    return tn_diagnose(diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                      .status = TN_ERR_FORMAT,
                                                      .file = path,
                                                      .message = text });
}

/* Formats without a place for traces carry them as metadata of the node. */
static const char trace_key[] = "tenon.trace";

static tn_status trace_from_metadata(tn_graph *graph)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        const char *key, *text;
        for (uint32_t k = 0;
             node != TN_NONE && (key = tn_graph_node_metadata(graph, node, k, &text)); k++)
            if (strcmp(key, trace_key) == 0)
                TN_TRY(tn_graph_set_trace(graph, node, text));
    }
    return TN_OK;
}

static tn_status trace_to_metadata(tn_graph *graph)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(graph); slot++) {
        const tn_node_id node = tn_graph_node_at(graph, slot);
        const char *trace = node == TN_NONE ? "" : tn_graph_trace(graph, node);
        if (*trace)
            TN_TRY(tn_graph_set_node_metadata(graph, node, trace_key, trace));
    }
    return TN_OK;
}

static uint64_t constant_bytes(const tn_graph *graph)
{
    uint64_t bytes = 0;
    for (tn_value_id v = tn_graph_next_value(graph, TN_NONE); v != TN_NONE;
         v = tn_graph_next_value(graph, v)) {
        const tn_tensor *constant = tn_graph_look(graph, v)->constant;
        bytes += constant ? constant->bytes : 0;
    }
    return bytes;
}

/* Formats do not know the budgets; what they read is held against them. */
static tn_status check_budgets(const tn_graph *graph, const char *path, const tn_limits *limits,
                               tn_diagnostics *diagnostics)
{
    const uint64_t nodes = limits && TN_HAS(limits, nodes) ? limits->nodes : 0;
    const uint64_t bytes = limits && TN_HAS(limits, weight_bytes) ? limits->weight_bytes : 0;
    const uint64_t node_budget = nodes ? nodes : 1000000;
    const uint64_t byte_budget = bytes ? bytes : UINT64_C(64) << 30;
    const uint64_t held = constant_bytes(graph);
    tn_diagnostic what = { .size = sizeof what, .status = TN_ERR_LIMIT, .file = path };
    char text[128] = "";
    if (tn_graph_node_count(graph) > node_budget)
        snprintf(text, sizeof text, "the model has %" PRIu32 " nodes; the budget is %" PRIu64,
                 tn_graph_node_count(graph), node_budget);
    else if (held > byte_budget)
        snprintf(text, sizeof text,
                 "the constants take %" PRIu64 " bytes; the budget of all is %" PRIu64, held,
                 byte_budget);
    what.message = text;
    return *text ? tn_diagnose(diagnostics, &what) : TN_OK;
}

static tn_status read_format(const tn_format *format, const char *path, tn_buffer *buffer,
                             const tn_limits *limits, tn_diagnostics *diagnostics, tn_graph **out)
{
    tn_graph *graph;
    TN_TRY(tn_format_read(format, path, buffer, diagnostics, &graph));
    tn_status status = check_budgets(graph, path, limits, diagnostics);
    if (status == TN_OK)
        status = trace_from_metadata(graph);
    if (status == TN_OK)
        *out = graph;
    else
        tn_graph_destroy(graph);
    return status;
}

static tn_status read_graph(tn_runtime *runtime, const char *path, tn_buffer *buffer,
                            const tn_model_options *options, tn_diagnostics *diagnostics,
                            tn_graph **out)
{
    const void *bytes = tn_buffer_bytes(buffer);
    const size_t count = tn_buffer_size(buffer);
    const char *name = options && TN_HAS(options, format) ? options->format : NULL;
    const tn_limits *limits = options && TN_HAS(options, limits) ? &options->limits : NULL;
    if (is_json(name, path, bytes, count))
        return tn_json_read(runtime->registry, path, bytes, count, limits, diagnostics, out);
    const tn_format *format = tn_registry_format(runtime->registry, name, path, bytes, count);
    if (!format || !format->def.read)
        return unknown_format(name, path, diagnostics);
    return read_format(format, path, buffer, limits, diagnostics, out);
}

static tn_status load(tn_runtime *runtime, const char *path, tn_buffer *buffer,
                      const tn_model_options *options, tn_diagnostics *diagnostics, tn_model **out)
{
    tn_graph *graph;
    tn_diagnostics_begin(diagnostics);
    TN_TRY(tn_diagnostics_end(diagnostics,
                              read_graph(runtime, path, buffer, options, diagnostics, &graph)));
    tn_graph_let_go(graph); /* of what was shown to the reader */
    const tn_status status = model_create(runtime, graph, out);
    if (status != TN_OK)
        tn_graph_destroy(graph);
    return status;
}

tn_status tn_model_load(tn_runtime *runtime, const char *path, const tn_model_options *options,
                        tn_diagnostics *diagnostics, tn_model **out)
{
    tn_buffer *buffer;
    if (!runtime || !path || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_model_load needs a runtime, a path and a place for the model");
    tn_status status = tn_file_map(path, &buffer);
    if (status != TN_OK) {
        char text[512];
        snprintf(text, sizeof text, "%s", tn_error_message());
        return tn_diagnose(
            diagnostics,
            &(tn_diagnostic){ .size = sizeof(tn_diagnostic), .status = status, .message = text });
    }
    status = load(runtime, path, buffer, options, diagnostics, out);
    tn_buffer_unref(buffer);
    return status;
}

tn_status tn_model_load_bytes(tn_runtime *runtime, const void *bytes, size_t count,
                              const tn_model_options *options, tn_diagnostics *diagnostics,
                              tn_model **out)
{
    tn_buffer *buffer;
    if (!runtime || (!bytes && count) || !out)
        return tn_raise(TN_ERR_ARGUMENT,
                        "tn_model_load_bytes needs a runtime, bytes and a place for the model");
    TN_TRY(tn_buffer_create(count ? count : 1, &buffer));
    if (count)
        memcpy(tn_buffer_bytes(buffer), bytes, count);
    const tn_status status = load(runtime, NULL, buffer, options, diagnostics, out);
    tn_buffer_unref(buffer);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* Types of the outputs, which some formats must say, where the graph as it was read does not: from a
 * copy that is brought up and inferred. What cannot be inferred stays unknown. */
static void type_outputs(tn_registry *registry, tn_graph *graph)
{
    const tn_value_id *outputs, *inferred;
    tn_graph *copy;
    if (tn_graph_clone(graph, &copy) != TN_OK)
        return;
    tn_status status = tn_infer_resolve(registry, copy, NULL);
    if (status == TN_OK)
        status = tn_infer_graph(registry, copy, NULL);
    const uint32_t count = tn_graph_region_outputs(graph, TN_TOP_REGION, &outputs);
    for (uint32_t k = 0; status == TN_OK && k < count; k++) {
        const tn_type *known = tn_graph_look(graph, outputs[k])->type;
        tn_graph_region_outputs(copy, TN_TOP_REGION, &inferred);
        tn_type found = *tn_graph_look(copy, inferred[k])->type;
        found.flags = 0;
        /* A tensor's output has a shape in most formats; a sequence need not say its elements'. */
        if (!known->dtype || (known->rank < 0 && !known->kind))
            status = tn_graph_set_type(graph, outputs[k], &found);
    }
    tn_graph_destroy(copy);
}

/* A format gets a graph of its own, checked, in an order in which makers stand first, and with
 * traces as metadata. */
static tn_status write_by_format(tn_runtime *runtime, const tn_format *format,
                                 const tn_graph *graph, const char *path,
                                 tn_diagnostics *diagnostics)
{
    tn_graph *copy;
    TN_TRY(tn_graph_clone(graph, &copy));
    tn_status status = tn_graph_verify(copy, diagnostics);
    if (status == TN_OK)
        status = trace_to_metadata(copy);
    if (status == TN_OK) {
        type_outputs(runtime->registry, copy);
        status = tn_format_write(format, path, copy, diagnostics);
    }
    tn_graph_destroy(copy);
    return status;
}

tn_status tn_write_graph(tn_runtime *runtime, tn_graph *graph, const char *path,
                         tn_diagnostics *diagnostics)
{
    if (tn_ends_with(path, ".json"))
        return tn_json_write(runtime->registry, graph, path, diagnostics);
    const tn_format *format = tn_registry_format(runtime->registry, NULL, path, NULL, 0);
    if (!format || !format->def.write)
        return unknown_format(NULL, path, diagnostics);
    return write_by_format(runtime, format, graph, path, diagnostics);
}

tn_status tn_model_save(tn_model *model, const char *path, tn_diagnostics *diagnostics)
{
    if (!model || !path)
        return tn_raise(TN_ERR_ARGUMENT, "tn_model_save needs a model and a path");
    return tn_write_graph(model->runtime, model->graph, path, diagnostics);
}

const tn_graph *tn_model_graph(const tn_model *model)
{
    return model ? model->graph : NULL;
}

const char *tn_model_metadata(const tn_model *model, const char *key)
{
    const char *text = NULL, *name;
    for (uint32_t k = 0; model && key && (name = tn_graph_metadata(model->graph, k, &text)); k++)
        if (strcmp(name, key) == 0)
            return text;
    return NULL;
}
