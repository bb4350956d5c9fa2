/* engine/json/read_function.c: operators that a model makes of others.
 *
 * First all are declared with their attributes, so that calls in any order know the types of
 * these; then the bodies are read.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/function.h"

enum {
    NAME,
    DOMAIN,
    OVERLOAD,
    INPUTS,
    OUTPUTS,
    NODES,
    ATTRIBUTES,
    OPSET,
    CONSTANTS,
    DOC,
    METADATA,
    KEYS
};
#define KEY_TABLE(named)                                                                           \
    {                                                                                              \
        { "name", TN_J_STRING, named, "a name, which nodes write as \"op\"" },                     \
            { "domain", TN_J_STRING, named, "a domain such as \"com.example\"" },                  \
            { "overload", TN_J_STRING, false, "a text" },                                          \
            { "inputs", TN_J_ARRAY, true, "a list of names" },                                     \
            { "outputs", TN_J_ARRAY, true, "a list of names of values" },                          \
            { "nodes", TN_J_ARRAY, true, "a list of nodes" },                                      \
            { "attributes", TN_J_ARRAY, false, "a list of names, or of {\"name\", \"default\"}" }, \
            { "opset", TN_J_INTEGER | TN_J_OBJECT, false,                                          \
              "a number such as 21, or {\"ai.onnx\": 21}" },                                       \
            { "constants", TN_J_OBJECT, false, "an object of constants by name" },                 \
            { "doc", TN_J_STRING, false, "a text" },                                               \
            { "metadata", TN_J_OBJECT, false, "an object of texts" },                              \
    }
static const tn_key function_keys[KEYS] = KEY_TABLE(true), body_keys[KEYS] = KEY_TABLE(false);

static const char *text_of(const json_t *value)
{
    return value ? json_string_value(value) : NULL;
}

/* ---- attributes --------------------------------------------------------------------------------- */

/* "alpha", or {"name": "alpha", "default": {"float": 1}, "required": false} */
static tn_status read_parameter(tn_reader *r, const tn_place *at, const json_t *value,
                                tn_graph *function)
{
    enum { P_NAME, P_DEFAULT, P_REQUIRED, P_KEYS };
    static const tn_key keys[P_KEYS] = {
        { "name", TN_J_STRING, true, "a name" },
        { "default", TN_J_ANY, false, "a value such as {\"float\": 1}" },
        { "required", TN_J_BOOL, false, "true or false" },
    };
    const tn_place at_name = { .up = at, .key = "name" },
                   at_default = { .up = at, .key = "default" };
    const tn_scope scope = { .graph = function, .region = TN_TOP_REGION };
    const json_t *m[P_KEYS] = { value };
    tn_attribute attribute = { .size = sizeof attribute };
    const bool plain = json_is_string(value);
    bool good = true;
    if (!plain && !tn_json_members(r, at, value, "an attribute of a function", keys, P_KEYS, m))
        return TN_OK;
    const char *name = m[P_NAME] ? tn_json_name(r, plain ? at : &at_name, m[P_NAME], "an attribute")
                                 : NULL;
    if (!name)
        return TN_OK;
    if (m[P_DEFAULT])
        TN_TRY(tn_json_attribute(r, &at_default, &scope, name, m[P_DEFAULT], TN_ATTR_UNDEFINED,
                                 &attribute, &good));
    if (!good)
        return TN_OK;
    if (attribute.type == TN_ATTR_GRAPH || attribute.type == TN_ATTR_GRAPHS) {
        tn_json_complain(r, &at_default, TN_ERR_ATTRIBUTE, "",
                         "a graph cannot be the default of an attribute");
        return TN_OK;
    }
    attribute.name = name;
    return tn_json_settle(r, at,
                          tn_graph_add_function_attribute(
                              function, &attribute, m[P_REQUIRED] && json_is_true(m[P_REQUIRED])));
}

static tn_status read_parameters(tn_reader *r, const tn_place *at, const json_t *list,
                                 tn_graph *function)
{
    const tn_place at_list = { .up = at, .key = "attributes" };
    for (size_t k = 0; k < json_array_size(list); k++) {
        const tn_place here = { .up = &at_list, .index = k };
        TN_TRY(read_parameter(r, &here, json_array_get(list, k), function));
    }
    return TN_OK;
}

/* ---- head and body -------------------------------------------------------------------------------- */

static tn_status copy_opsets(const tn_graph *from, tn_graph *to)
{
    const char *domain;
    int64_t version;
    for (uint32_t k = 0; (domain = tn_graph_opset(from, k, &version)) != NULL; k++)
        TN_TRY(tn_graph_set_opset(to, domain, version));
    return TN_OK;
}

static tn_status read_head(tn_reader *r, const tn_place *at, const json_t *const *m,
                           tn_graph *function)
{
    const tn_place at_opset = { .up = at, .key = "opset" },
                   at_metadata = { .up = at, .key = "metadata" };
    TN_TRY(tn_graph_set_name(function, text_of(m[NAME]), text_of(m[DOC])));
    TN_TRY(tn_json_metadata(r, &at_metadata, m[METADATA], function, TN_NONE));
    if (m[OPSET])
        TN_TRY(tn_json_opset(r, &at_opset, m[OPSET], function));
    else if (function != r->model)
        TN_TRY(copy_opsets(r->model, function));
    return read_parameters(r, at, m[ATTRIBUTES], function);
}

static tn_status read_body(tn_reader *r, const tn_place *at, const json_t *const *m,
                           tn_graph *function)
{
    const tn_scope scope = { .graph = function, .region = TN_TOP_REGION };
    const tn_body body = { .inputs = m[INPUTS],
                           .outputs = m[OUTPUTS],
                           .constants = m[CONSTANTS],
                           .nodes = m[NODES],
                           .kind = TN_BODY_FUNCTION };
    r->is_function = true;
    const tn_status status = tn_json_body(r, at, &scope, &body);
    r->is_function = false;
    return status;
}

static tn_status register_function(tn_reader *r, const tn_place *at, const char *domain,
                                   const char *name, const char *overload, tn_graph **out)
{
    tn_builder key = { 0 };
    *out = NULL;
    TN_TRY(tn_json_settle(r, at, tn_graph_add_function(r->model, domain, name, overload, out)));
    if (!*out)
        return TN_OK;
    tn_add(&key, "%s\n%s\n%s", domain, name, overload);
    const tn_status status = key.failed ? tn_raise_memory()
                                        : tn_map_put(&r->functions, tn_builder_text(&key),
                                                     tn_graph_function_count(r->model) - 1);
    tn_builder_fini(&key);
    return status;
}

/* A function that was declared and whose body is to be read. */
typedef struct declared {
    tn_graph *graph; /* NULL: complained about */
    const json_t *members[KEYS];
} declared;

static tn_status declare(tn_reader *r, const tn_place *at, const json_t *value, declared *f)
{
    const tn_place at_name = { .up = at, .key = "name" };
    if (!tn_json_members(r, at, value, "a function", function_keys, KEYS, f->members) ||
        !f->members[NAME] || !f->members[DOMAIN] ||
        !tn_json_name(r, &at_name, f->members[NAME], "a function"))
        return TN_OK;
    const char *domain = text_of(f->members[DOMAIN]),
               *overload = f->members[OVERLOAD] ? text_of(f->members[OVERLOAD]) : "";
    TN_TRY(register_function(r, &at_name, strcmp(domain, "ai.onnx") == 0 ? "" : domain,
                             text_of(f->members[NAME]), overload, &f->graph));
    return f->graph ? read_head(r, at, f->members, f->graph) : TN_OK;
}

tn_status tn_json_functions(tn_reader *r, const tn_place *at, const json_t *list)
{
    const size_t count = json_array_size(list);
    declared *functions = tn_pool_alloc(&r->pool, (count + 1) * sizeof *functions);
    if (!functions)
        return tn_raise_memory();
    for (size_t k = 0; k < count; k++) {
        const tn_place here = { .up = at, .index = k };
        TN_TRY(declare(r, &here, json_array_get(list, k), &functions[k]));
    }
    for (size_t k = 0; k < count; k++) {
        const tn_place here = { .up = at, .index = k };
        const size_t path = r->region.count;
        if (!functions[k].graph)
            continue;
        tn_add(&r->region, "%s", text_of(functions[k].members[NAME]));
        TN_TRY(read_body(r, &here, functions[k].members, functions[k].graph));
        r->region.count = path;
        if (r->region.text)
            r->region.text[path] = 0;
    }
    return TN_OK;
}

tn_status tn_json_lone_function(tn_reader *r, const json_t *root)
{
    const tn_place at = { 0 };
    const json_t *m[KEYS];
    if (!tn_json_members(r, &at, root, "a function", body_keys, KEYS, m))
        return TN_OK;
    TN_TRY(read_head(r, &at, m, r->model));
    return read_body(r, &at, m, r->model);
}
