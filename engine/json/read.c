/* engine/json/read.c: reads a JSON graph: the text, then the graph as a whole.
 *
 * Jansson parses; what follows is checked against the tables of keys here and in the read_*.c
 * files, and built into a graph. All complaints come in one go, but a text that is no JSON gets
 * only that one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* newlocale, uselocale */
#endif
#include "engine/json/elements.h"
#include "engine/json/function.h"
#include "engine/json/positions.h"
#include "engine/json/source.h"

#include <locale.h>
#include <stdio.h>

/* ---- parsing --------------------------------------------------------------------------------- */

static void complain_at(tn_reader *r, size_t offset, tn_status status, const char *message)
{
    tn_diagnostic d = { .size = sizeof d,
                        .severity = TN_SEVERITY_ERROR,
                        .status = status,
                        .file = r->path,
                        .message = message };
    tn_json_position(r->text, r->count, offset, &d.line, &d.column);
    r->errors++;
    r->status = status;
    tn_diagnose(r->diagnostics, &d);
}

/* Jansson stands right behind the second key. */
static void duplicate_key(tn_reader *r, size_t position)
{
    char message[200];
    const size_t start = tn_json_token(r->text, r->count, position),
                 end = position < r->count ? position : r->count;
    size_t shown = end > start ? end - start : 0;
    shown = shown < 80 ? shown : 80;
    snprintf(message, sizeof message, "the key %.*s stands here a second time in one object",
             (int)shown, r->text + start);
    complain_at(r, start, TN_ERR_DUPLICATE, message);
}

/* What Jansson refused, said better where we know better. */
static tn_status syntax_error(tn_reader *r, const json_error_t *error)
{
    char message[200];
    size_t offset = error->position > 0 ? (size_t)error->position : 0;
    const enum json_error_code code = json_error_code(error);
    if (code == json_error_out_of_memory)
        return tn_raise_memory();
    if (code == json_error_duplicate_key) {
        duplicate_key(r, offset);
        return TN_OK;
    }
    const size_t token = tn_json_token(r->text, r->count, offset);
    if (code == json_error_numeric_overflow)
        complain_at(
            r, token, TN_ERR_SYNTAX,
            "the number is too large: expected an integer within 64 bits (as a text where it has no sign), or a number within float64");
    else if (code == json_error_invalid_utf8)
        complain_at(r, offset, TN_ERR_SYNTAX,
                    "the text is not UTF-8 here: expected {\"base64\": …} for other bytes");
    else if (code == json_error_null_character || code == json_error_null_byte_in_key)
        complain_at(r, token, TN_ERR_SYNTAX, "a text holds \\u0000: expected {\"base64\": …}");
    else if (tn_json_fault(r->text, r->count, TN_JSON_DEEPEST, &offset, message, sizeof message))
        complain_at(r, offset, TN_ERR_SYNTAX, message);
    else
        complain_at(r, token, TN_ERR_SYNTAX, error->text);
    return TN_OK;
}

/* Regions may nest, and with them brackets; six for each is what a list of graphs takes. */
static bool check_depth(tn_reader *r)
{
    char message[200];
    size_t deepest = 24 + (size_t)6 * r->limits.nesting, offset;
    deepest = deepest < TN_JSON_DEEPEST ? deepest : TN_JSON_DEEPEST;
    if (tn_json_depth(r->text, r->count) <= deepest ||
        !tn_json_fault(r->text, r->count, deepest, &offset, message, sizeof message))
        return true;
    complain_at(r, offset, strncmp(message, "brackets", 8) == 0 ? TN_ERR_LIMIT : TN_ERR_SYNTAX,
                message);
    return false;
}

/* *root stays NULL after a complaint. Jansson reads numbers by the locale's rules with the thread's
 * locale, so this thread gets the "C" one meanwhile. */
static tn_status parse(tn_reader *r, json_t **root)
{
    json_error_t error = { .position = 0 };
    if (r->count > r->limits.file_bytes) {
        tn_json_complain(r, NULL, TN_ERR_LIMIT, "",
                         "the graph has %zu bytes: the limit is %" PRIu64, r->count,
                         r->limits.file_bytes);
        return TN_OK;
    }
    if (r->count >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        r->text += 3;
        r->count -= 3;
    }
    if (!check_depth(r))
        return TN_OK;
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!plain)
        return tn_raise_memory();
    const locale_t before = uselocale(plain);
    *root = json_loadb(r->text, r->count, JSON_REJECT_DUPLICATES, &error);
    uselocale(before);
    freelocale(plain);
    return *root ? TN_OK : syntax_error(r, &error);
}

/* ---- the graph ---------------------------------------------------------------------------------- */

enum {
    TENON,
    OPSET,
    INPUTS,
    OUTPUTS,
    NODES,
    NAME,
    DOC,
    METADATA,
    WEIGHTS,
    CONSTANTS,
    FUNCTIONS,
    SCHEMA,
    KEYS
};
static const tn_key graph_keys[KEYS] = {
    { "tenon", TN_J_ANY, true, "the version of the format, 1" },
    { "opset", TN_J_INTEGER | TN_J_OBJECT, true,
      "a number such as 21, or {\"ai.onnx\": 21, \"com.example\": 1}" },
    { "inputs", TN_J_ARRAY, true,
      "a list of inputs such as {\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 4]}" },
    { "outputs", TN_J_ARRAY, true, "a list of names of values" },
    { "nodes", TN_J_ARRAY, true,
      "a list of nodes such as {\"op\": \"Relu\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]}" },
    { "name", TN_J_STRING, false, "a name" },
    { "doc", TN_J_STRING, false, "a text" },
    { "metadata", TN_J_OBJECT, false, "an object of texts" },
    { "weights", TN_J_STRING, false, "the name of a .safetensors file" },
    { "constants", TN_J_OBJECT, false, "an object of constants by name" },
    { "functions", TN_J_ARRAY, false, "a list of functions" },
    { "$schema", TN_J_STRING, false, "a text" },
};

/* Some other JSON, or another version of the format, is not complained about key by key. */
static bool check_version(tn_reader *r, const json_t *root)
{
    const json_t *version = json_object_get(root, "tenon");
    const tn_place top = { 0 }, here = { .up = &top, .key = "tenon" };
    if (!version && !json_object_get(root, "nodes")) {
        tn_json_complain(
            r, &top, TN_ERR_FORMAT, "",
            "this is no graph in Tenon's format: expected \"tenon\": 1, \"opset\", \"inputs\", \"outputs\" and \"nodes\"");
        return false;
    }
    if (!version || (json_is_integer(version) && json_integer_value(version) == 1))
        return true;
    tn_json_complain(r, &here, TN_ERR_FORMAT, "",
                     "\"tenon\" is %s: expected 1, the one version of the format there is",
                     tn_json_found(r, version));
    return false;
}

static tn_status read_graph(tn_reader *r, const json_t *root)
{
    const tn_place at = { 0 };
    const tn_place at_metadata = { .up = &at, .key = "metadata" },
                   at_opset = { .up = &at, .key = "opset" };
    const tn_place at_weights = { .up = &at, .key = "weights" },
                   at_functions = { .up = &at, .key = "functions" };
    const tn_scope scope = { .graph = r->model, .region = TN_TOP_REGION };
    const json_t *m[KEYS];
    if (json_is_object(root) && !check_version(r, root))
        return TN_OK;
    tn_json_members(r, &at, root, "a graph", graph_keys, KEYS, m);
    if (!json_is_object(root))
        return TN_OK;
    TN_TRY(tn_graph_set_name(r->model, m[NAME] ? json_string_value(m[NAME]) : "",
                             m[DOC] ? json_string_value(m[DOC]) : NULL));
    TN_TRY(tn_json_metadata(r, &at_metadata, m[METADATA], r->model, TN_NONE));
    if (m[OPSET])
        TN_TRY(tn_json_opset(r, &at_opset, m[OPSET], r->model));
    if (m[WEIGHTS])
        TN_TRY(tn_json_weights(r, &at_weights, m[WEIGHTS]));
    TN_TRY(tn_json_functions(r, &at_functions, m[FUNCTIONS]));
    const tn_body body = { .inputs = m[INPUTS],
                           .outputs = m[OUTPUTS],
                           .constants = m[CONSTANTS],
                           .nodes = m[NODES],
                           .kind = TN_BODY_GRAPH };
    return tn_json_body(r, &at, &scope, &body);
}

/* ---- the reader's life ----------------------------------------------------------------------------- */

static tn_limits limits_of(const tn_limits *given)
{
    tn_limits limits = { .nesting = 64,
                         .file_bytes = UINT64_C(2) << 30,
                         .weight_bytes = UINT64_C(64) << 30,
                         .nodes = 1000000 };
    if (given && TN_HAS(given, nesting) && given->nesting)
        limits.nesting = given->nesting;
    if (given && TN_HAS(given, file_bytes) && given->file_bytes)
        limits.file_bytes = given->file_bytes;
    if (given && TN_HAS(given, weight_bytes) && given->weight_bytes)
        limits.weight_bytes = given->weight_bytes;
    if (given && TN_HAS(given, nodes) && given->nodes)
        limits.nodes = given->nodes;
    return limits;
}

static void finish(tn_reader *r)
{
    tn_safetensors_close(r->weights);
    tn_buffer_unref(r->weights_buffer);
    tn_map_fini(&r->functions);
    tn_builder_fini(&r->region);
    tn_pool_fini(&r->pool);
    tn_graph_destroy(r->model);
}

typedef tn_status (*read_fn)(tn_reader *r, const json_t *root);

static tn_status read_text(tn_reader *r, read_fn read)
{
    json_t *root = NULL;
    TN_TRY(tn_graph_create(&r->model));
    tn_status status = parse(r, &root);
    if (status == TN_OK && root)
        status = read(r, root);
    if (status == TN_OK && r->errors == 0 && r->region.failed)
        status = tn_raise_memory();
    json_decref(root); /* names were copied by the graph */
    return status;
}

/* Reads with a list of complaints of its own where the caller has none, so that the thread's
 * message is the first complaint in any case. */
static tn_status run(tn_reader *r, read_fn read, tn_graph **out)
{
    tn_diagnostics *own = NULL;
    tn_status status = TN_OK;
    if (!r->diagnostics) {
        status = tn_diagnostics_create(&own);
        r->diagnostics = own;
    }
    const size_t before = tn_diagnostics_count(r->diagnostics);
    if (status == TN_OK)
        status = read_text(r, read);
    if (status == TN_OK && r->errors == 0)
        status = tn_json_set_source(r->model, r->path, r->text, r->count);
    if (status == TN_OK && r->errors > 0) {
        const tn_diagnostic *first = tn_diagnostics_get(r->diagnostics, before);
        status = first ? tn_raise(r->status, "%s", first->text) : r->status;
    }
    if (status == TN_OK) {
        *out = r->model;
        r->model = NULL;
    }
    finish(r);
    tn_diagnostics_destroy(own);
    return status;
}

tn_status tn_json_read(const tn_registry *registry, const char *path, const void *bytes,
                       size_t count, const tn_limits *limits, tn_diagnostics *diagnostics,
                       tn_graph **out)
{
    if ((!bytes && count) || !out)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    tn_reader r = { .registry = registry,
                    .path = path,
                    .text = count ? bytes : "",
                    .count = count,
                    .limits = limits_of(limits),
                    .diagnostics = diagnostics };
    return run(&r, read_graph, out);
}

tn_status tn_json_read_body(const tn_registry *registry, const char *text,
                            tn_diagnostics *diagnostics, tn_graph **out)
{
    if (!text || !out)
        return tn_raise(TN_ERR_ARGUMENT, "an argument is NULL");
    tn_reader r = { .registry = registry,
                    .text = text,
                    .count = strlen(text),
                    .limits = limits_of(NULL),
                    .diagnostics = diagnostics };
    return run(&r, tn_json_lone_function, out);
}
