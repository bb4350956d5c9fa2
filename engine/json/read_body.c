/* engine/json/read_body.c: what a graph, a function and a body inside a node have in common:
 * inputs, outputs, constants, nodes.
 *
 * All names of a scope are declared before anything refers to one, so that nodes may stand in any
 * order; a body inside a node is read when all names around it are known.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/reader.h"

/* ---- names ------------------------------------------------------------------------------------ */

static bool is_taken(tn_reader *r, const tn_place *at, const tn_scope *scope, const char *name)
{
    const tn_value_id other = tn_graph_find_value(scope->graph, scope->region, name);
    const tn_value_view *view = other == TN_NONE ? NULL : tn_graph_value(scope->graph, other);
    if (!view)
        return false;
    const char *what = view->is_input   ? "an input"
                       : view->constant ? "a constant"
                                        : "a node's output";
    tn_json_complain(
        r, at, TN_ERR_DUPLICATE, "",
        view->region == scope->region ? "the name \"%.200s\" is taken by %s%s: expected another one"
                                      : "the name \"%.200s\" hides %s%s: expected another one",
        name, what, view->region == scope->region ? "" : " of a graph around this one");
    return true;
}

/* A value without a producer; TN_NONE when its name is taken. */
static tn_status declare(tn_reader *r, const tn_place *at, const tn_scope *scope, const char *name,
                         const tn_type *type, tn_value_id *out)
{
    *out = TN_NONE;
    if (is_taken(r, at, scope, name))
        return TN_OK;
    return tn_json_settle(r, at, tn_graph_add_value(scope->graph, scope->region, name, type, out));
}

enum {
    MOST_NAMES = 4000 /* that are compared for one suggestion: hostile graphs have a million */
};

/* Names of values that can be seen from here and are about as long as `name`. */
static const char **visible_names(const tn_scope *scope, const char *name, size_t *count)
{
    const uint32_t slots = tn_graph_value_slots(scope->graph);
    const char **names = tn_alloc(MOST_NAMES, sizeof *names);
    const size_t length = strlen(name);
    *count = 0;
    for (uint32_t k = 0; names && k < slots && *count < MOST_NAMES; k++) {
        const tn_value_id value = tn_graph_value_at(scope->graph, k);
        const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(scope->graph, value);
        const size_t other = view ? strlen(view->name) : 0;
        if (view && other + 3 >= length && other <= length + 3 &&
            tn_graph_find_value(scope->graph, scope->region, view->name) == value)
            names[(*count)++] = view->name;
    }
    return names;
}

tn_value_id tn_json_value(tn_reader *r, const tn_place *at, const tn_scope *scope, const char *name,
                          const char *about)
{
    const tn_value_id value = tn_graph_find_value(scope->graph, scope->region, name);
    if (value != TN_NONE || r->names_lost)
        return value;
    size_t count = 0;
    const char **names = r->errors < 100 ? visible_names(scope, name, &count) : NULL;
    tn_json_complain(r, at, TN_ERR_NAME, names ? tn_json_did_you_mean(r, name, names, count) : "",
                     "%s is \"%.200s\", which is no input, constant or output of a node", about,
                     name);
    tn_free(names);
    return TN_NONE;
}

/* ---- inputs ----------------------------------------------------------------------------------- */

enum { NAME, DTYPE, TYPE, SHAPE, LAST, PORT_KEYS };
#define PORT_TABLE(last, last_kinds, last_expected)                                                \
    {                                                                                              \
        { "name", TN_J_STRING, true, "a name" },                                                   \
            { "dtype", TN_J_STRING, false, "an element type such as \"float32\"" },                \
            { "type", TN_J_STRING, false, "a type such as \"sequence(tensor(float32))\"" },        \
            { "shape", TN_J_ARRAY, false, "a list of extents such as [\"N\", 1, 28, 28]" },        \
            { last, last_kinds, false, last_expected },                                            \
    }
static const tn_key input_keys[PORT_KEYS] = PORT_TABLE("default", TN_J_OBJECT,
                                                       "a constant such as {\"data\": [0.5]}");
static const tn_key output_keys[PORT_KEYS] = PORT_TABLE("value", TN_J_STRING,
                                                        "the name of a value");

static tn_status read_default(tn_reader *r, const tn_place *at, const tn_scope *scope,
                              tn_value_id value, const char *name, const json_t *json,
                              const tn_type *type)
{
    tn_contents contents;
    bool good;
    TN_TRY(tn_json_constant(r, at, json, name, false, type, &contents, &good));
    if (!good)
        return TN_OK;
    const tn_constant_desc desc = { .size = sizeof desc,
                                    .region = scope->region,
                                    .tensor = &contents.tensor,
                                    .value = value,
                                    .buffer = contents.tensor.dtype == TN_STRING
                                                  ? NULL
                                                  : contents.buffer };
    tn_value_id same;
    tn_status status = value == TN_NONE ? TN_OK : tn_graph_add_constant(scope->graph, &desc, &same);
    tn_buffer_unref(contents.buffer);
    return tn_json_settle(r, at, status);
}

static tn_status add_input(tn_reader *r, const tn_place *at, const tn_scope *scope,
                           tn_value_id value)
{
    return value == TN_NONE
               ? TN_OK
               : tn_json_settle(r, at, tn_graph_add_input(scope->graph, scope->region, value));
}

static tn_status read_input(tn_reader *r, const tn_place *at, const tn_scope *scope,
                            const tn_body *body, const json_t *value)
{
    const tn_place at_name = { .up = at, .key = "name" },
                   at_default = { .up = at, .key = "default" };
    const json_t *m[PORT_KEYS];
    tn_type type = tn_type_unknown();
    tn_value_id id;
    bool good = true;
    if (json_is_string(value) && body->kind != TN_BODY_GRAPH) {
        const char *name = tn_json_name(r, at, value, "an input");
        r->names_lost = r->names_lost || !name;
        if (!name)
            return TN_OK;
        TN_TRY(declare(r, at, scope, name, NULL, &id));
        return add_input(r, at, scope, id);
    }
    const uint32_t keys = body->kind == TN_BODY_GRAPH ? PORT_KEYS : PORT_KEYS - 1;
    if (body->kind == TN_BODY_FUNCTION || !json_is_object(value)) {
        tn_json_complain(
            r, at, TN_ERR_FORMAT, "", "an input is %s: expected %s", tn_json_found(r, value),
            body->kind == TN_BODY_GRAPH
                ? "an object such as {\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 4]}"
                : "a name");
        r->names_lost = true;
        return TN_OK;
    }
    m[LAST] = NULL;
    if (!tn_json_members(r, at, value, "an input", input_keys, keys, m) || !m[NAME]) {
        r->names_lost = true;
        return TN_OK;
    }
    if (body->kind == TN_BODY_GRAPH && !m[DTYPE] && !m[TYPE] && !json_object_get(value, "dtype") &&
        !json_object_get(value, "type"))
        tn_json_complain(r, at, TN_ERR_FORMAT, "",
                         "an input needs \"dtype\": an element type such as \"float32\"");
    TN_TRY(tn_json_type(r, at, scope->graph, m[DTYPE], m[TYPE], m[SHAPE], &type, &good));
    const char *name = tn_json_name(r, &at_name, m[NAME], "an input");
    r->names_lost = r->names_lost || !name;
    if (!name)
        return TN_OK;
    TN_TRY(declare(r, &at_name, scope, name, good ? &type : NULL, &id));
    TN_TRY(add_input(r, at, scope, id));
    return m[LAST] && good ? read_default(r, &at_default, scope, id, name, m[LAST], &type) : TN_OK;
}

/* ---- outputs ---------------------------------------------------------------------------------- */

/* What an output declares about its value counts where nothing better is known. */
static tn_status declare_type(tn_reader *r, const tn_place *at, const tn_scope *scope,
                              tn_value_id value, const tn_type *type)
{
    const tn_value_view *view = tn_graph_value(scope->graph, value);
    const tn_type old = *view->type;
    const bool differs = old.kind != type->kind || old.dtype != type->dtype;
    if (old.dtype != TN_UNDEFINED && type->dtype != TN_UNDEFINED && differs) {
        tn_builder text = { 0 };
        tn_add_kind(&text, type);
        tn_add(&text, " here, but \"%.200s\" is ", view->name);
        tn_add_kind(&text, &old);
        tn_json_complain(r, at, TN_ERR_TYPE, "", "the output is %s", tn_builder_text(&text));
        tn_builder_fini(&text);
        return TN_OK;
    }
    if (old.rank >= 0 || view->is_input || view->constant)
        return TN_OK;
    tn_type merged = *type;
    if (merged.dtype == TN_UNDEFINED) {
        merged.kind = old.kind;
        merged.dtype = old.dtype;
    }
    return tn_json_settle(r, at, tn_graph_set_type(scope->graph, value, &merged));
}

static tn_status check_unique(tn_reader *r, const tn_place *at, tn_map *names, const char *name)
{
    if (tn_map_get(names, name, NULL))
        tn_json_complain(
            r, at, TN_ERR_DUPLICATE, "",
            "there are two outputs of the name \"%.200s\": expected different ones, such as {\"name\": \"again\", \"value\": \"%.200s\"}",
            name, name);
    return tn_map_put(names, name, 0);
}

static tn_status read_output(tn_reader *r, const tn_place *at, const tn_scope *scope,
                             const tn_body *body, const json_t *value, tn_map *names)
{
    const tn_place at_name = { .up = at, .key = "name" }, at_value = { .up = at, .key = "value" };
    const json_t *m[PORT_KEYS] = { NULL };
    const bool plain = json_is_string(value);
    tn_type type = tn_type_unknown();
    bool good = true;
    if (!plain && (body->kind == TN_BODY_FUNCTION || !json_is_object(value))) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "",
                         "an output is %s: expected the name of a value%s", tn_json_found(r, value),
                         body->kind == TN_BODY_FUNCTION
                             ? ""
                             : ", or an object such as {\"name\": \"y\", \"dtype\": \"float32\"}");
        return TN_OK;
    }
    if (!plain &&
        (!tn_json_members(r, at, value, "an output", output_keys, PORT_KEYS, m) || !m[NAME]))
        return TN_OK;
    if (!plain)
        TN_TRY(tn_json_type(r, at, scope->graph, m[DTYPE], m[TYPE], m[SHAPE], &type, &good));
    const char *name = tn_json_name(r, plain ? at : &at_name, plain ? value : m[NAME], "an output");
    if (!name)
        return TN_OK;
    const tn_place *at_source = plain ? at : m[LAST] ? &at_value : &at_name;
    const char *source = m[LAST] ? json_string_value(m[LAST]) : name;
    const bool unique = !tn_map_get(names, name, NULL);
    TN_TRY(check_unique(r, plain ? at : &at_name, names, name));
    const tn_value_id id = tn_json_value(r, at_source, scope, source, "an output");
    if (id == TN_NONE)
        return TN_OK;
    if (good && (m[DTYPE] || m[TYPE] || m[SHAPE]))
        TN_TRY(declare_type(r, at, scope, id, &type));
    return unique
               ? tn_json_settle(r, at, tn_graph_add_output(scope->graph, scope->region, name, id))
               : TN_OK;
}

/* ---- constants --------------------------------------------------------------------------------- */

static tn_status add_constant(tn_reader *r, const tn_place *at, const tn_scope *scope,
                              const char *name, const tn_contents *contents)
{
    tn_builder origin = { 0 };
    tn_value_id id;
    tn_json_add_path(&origin, at);
    const tn_constant_desc desc = { .size = sizeof desc,
                                    .region = scope->region,
                                    .name = name,
                                    .tensor = &contents->tensor,
                                    .value = TN_NONE,
                                    .buffer = contents->tensor.dtype == TN_STRING
                                                  ? NULL
                                                  : contents->buffer,
                                    .origin = tn_builder_text(&origin) };
    tn_status status = origin.failed ? tn_raise_memory()
                                     : tn_graph_add_constant(scope->graph, &desc, &id);
    tn_builder_fini(&origin);
    return tn_json_settle(r, at, status);
}

static tn_status read_constants(tn_reader *r, const tn_place *at, const tn_scope *scope,
                                const json_t *constants)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)constants, name, value)
    {
        const tn_place here = { .up = at, .key = name },
                       at_name = { .up = at, .key = name, .at_key = true };
        tn_contents contents;
        tn_value_id id;
        bool good;
        if (!*name) {
            tn_json_complain(r, &at_name, TN_ERR_NAME, "", "a constant has an empty name");
            r->names_lost = true;
            continue;
        }
        TN_TRY(tn_json_constant(r, &here, value, name, false, NULL, &contents, &good));
        tn_status status = TN_OK;
        if (!good) /* who reads it shall not complain, too */
            status = declare(r, &at_name, scope, name, NULL, &id);
        else if (!is_taken(r, &at_name, scope, name))
            status = add_constant(r, &here, scope, name, &contents);
        if (good)
            tn_buffer_unref(contents.buffer);
        TN_TRY(status);
    }
    return TN_OK;
}

/* ---- nodes' outputs ----------------------------------------------------------------------------- */

static tn_status declare_outputs(tn_reader *r, const tn_place *at, const tn_scope *scope,
                                 const json_t *node)
{
    const json_t *outputs = json_object_get(node, "outputs");
    const tn_place at_outputs = { .up = at, .key = "outputs" };
    r->names_lost = r->names_lost || !json_is_array(outputs);
    r->node = json_string_value(json_object_get(node, "name"));
    r->op = json_string_value(json_object_get(node, "op"));
    tn_status status = TN_OK;
    for (size_t k = 0; status == TN_OK && k < json_array_size(outputs); k++) {
        const json_t *name = json_array_get(outputs, k);
        const tn_place here = { .up = &at_outputs, .index = k };
        tn_value_id id;
        if (json_is_string(name) && json_string_length(name) > 0)
            status = declare(r, &here, scope, json_string_value(name), NULL, &id);
        r->names_lost = r->names_lost || !json_is_string(name);
    }
    r->node = r->op = NULL;
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static bool claim_nodes(tn_reader *r, const tn_place *at, size_t count)
{
    r->node_count += count;
    if (r->node_count <= r->limits.nodes)
        return true;
    tn_json_complain(r, at, TN_ERR_LIMIT, "",
                     "there are %" PRIu64 " nodes up to here: the limit is %" PRIu64, r->node_count,
                     r->limits.nodes);
    r->names_lost = true;
    return false;
}

tn_status tn_json_body(tn_reader *r, const tn_place *at, const tn_scope *scope, const tn_body *body)
{
    const tn_place at_inputs = { .up = at, .key = "inputs" },
                   at_outputs = { .up = at, .key = "outputs" };
    const tn_place at_constants = { .up = at, .key = "constants" },
                   at_nodes = { .up = at, .key = "nodes" };
    const bool lost = r->names_lost;
    r->names_lost = lost || !body->inputs || !body->nodes;
    for (size_t k = 0; k < json_array_size(body->inputs); k++) {
        const tn_place here = { .up = &at_inputs, .index = k };
        TN_TRY(read_input(r, &here, scope, body, json_array_get(body->inputs, k)));
    }
    TN_TRY(read_constants(r, &at_constants, scope, body->constants));
    const size_t nodes = claim_nodes(r, &at_nodes, json_array_size(body->nodes))
                             ? json_array_size(body->nodes)
                             : 0;
    for (size_t k = 0; k < nodes; k++) {
        const tn_place here = { .up = &at_nodes, .index = k };
        TN_TRY(declare_outputs(r, &here, scope, json_array_get(body->nodes, k)));
    }
    for (size_t k = 0; k < nodes; k++) {
        const tn_place here = { .up = &at_nodes, .index = k };
        TN_TRY(tn_json_node(r, &here, scope, json_array_get(body->nodes, k)));
    }
    tn_map names = { 0 };
    tn_status status = TN_OK;
    for (size_t k = 0; status == TN_OK && k < json_array_size(body->outputs); k++) {
        const tn_place here = { .up = &at_outputs, .index = k };
        status = read_output(r, &here, scope, body, json_array_get(body->outputs, k), &names);
    }
    tn_map_fini(&names);
    r->names_lost = lost;
    if (body->outputs && json_array_size(body->outputs) == 0 && body->kind == TN_BODY_GRAPH)
        tn_json_complain(r, &at_outputs, TN_ERR_FORMAT, "",
                         "\"outputs\" is empty: expected at least one output");
    return status;
}
