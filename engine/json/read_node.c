/* engine/json/read_node.c: nodes, and the graphs behind their graph attributes.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/reader.h"

#include <stdio.h>

enum { NAME, OP, DOMAIN, OVERLOAD, INPUTS, OUTPUTS, ATTRIBUTES, DOC, METADATA, TRACE, NODE_KEYS };
static const tn_key node_keys[NODE_KEYS] = {
    { "name", TN_J_STRING, false, "a name" },
    { "op", TN_J_STRING, true, "the operator's name, such as \"Conv\"" },
    { "domain", TN_J_STRING, false, "the operator's domain, such as \"com.example\"" },
    { "overload", TN_J_STRING, false, "a text" },
    { "inputs", TN_J_ARRAY, true, "a list of names of values" },
    { "outputs", TN_J_ARRAY, true, "a list of names for values" },
    { "attributes", TN_J_OBJECT, false, "an object such as {\"axis\": 1}" },
    { "doc", TN_J_STRING, false, "a text" },
    { "metadata", TN_J_OBJECT, false, "an object of texts" },
    { "trace", TN_J_ARRAY, false, "a list of names of nodes" },
};

static const char *text_of(const json_t *value)
{
    return value ? json_string_value(value) : "";
}

/* ---- what type an attribute wants ---------------------------------------------------------------- */

static uint32_t type_in_function(const tn_graph *function, const char *name)
{
    const tn_attribute *attributes;
    const uint32_t count = tn_graph_function_attributes(function, &attributes);
    for (uint32_t k = 0; k < count; k++)
        if (strcmp(attributes[k].name, name) == 0)
            return attributes[k].type;
    return TN_ATTR_UNDEFINED;
}

static int64_t opset_of(const tn_graph *graph, const char *domain)
{
    int64_t version;
    const char *name;
    for (uint32_t k = 0; (name = tn_graph_opset(graph, k, &version)) != NULL; k++)
        if (strcmp(name, domain) == 0)
            return version;
    return INT32_MAX; /* not imported: the newest there is */
}

/* Who knows the types of a node's attributes: a function of the model, a schema, or nobody. */
typedef struct oracle {
    const tn_graph *function;
    const tn_operator *schema;
} oracle;

static tn_status find_oracle(tn_reader *r, const tn_scope *scope, const char *domain,
                             const char *op, const char *overload, oracle *out)
{
    tn_builder key = { 0 };
    uint32_t index;
    tn_add(&key, "%s\n%s\n%s", domain, op, overload);
    *out = (oracle){ 0 };
    if (key.failed)
        return tn_raise_memory();
    if (tn_map_get(&r->functions, tn_builder_text(&key), &index))
        out->function = tn_graph_function(r->model, index, NULL, NULL, NULL);
    else if (r->registry)
        out->schema = tn_registry_operator(r->registry, domain, op, opset_of(scope->graph, domain),
                                           NULL);
    tn_builder_fini(&key);
    return TN_OK;
}

static uint32_t wanted_type(const oracle *o, const char *name)
{
    if (o->function)
        return type_in_function(o->function, name);
    for (uint32_t k = 0; o->schema && k < o->schema->def.attribute_count; k++)
        if (strcmp(o->schema->def.attributes[k].name, name) == 0)
            return o->schema->def.attributes[k].type;
    return TN_ATTR_UNDEFINED;
}

/* ---- a node -------------------------------------------------------------------------------------- */

/* Handles of the values that a list names; "" is TN_NONE. NULL when memory is short. */
static tn_value_id *read_names(tn_reader *r, const tn_place *at, const tn_scope *scope,
                               const json_t *list, const char *what)
{
    char about[48];
    tn_value_id *ids = tn_pool_alloc(&r->pool, (json_array_size(list) + 1) * sizeof *ids);
    for (size_t k = 0; ids && k < json_array_size(list); k++) {
        const json_t *name = json_array_get(list, k);
        const tn_place here = { .up = at, .index = k };
        ids[k] = TN_NONE;
        snprintf(about, sizeof about, "%s %zu", what, k);
        if (!json_is_string(name))
            tn_json_complain(r, &here, TN_ERR_FORMAT, "",
                             "%s is %s: expected a name, or \"\" for none", about,
                             tn_json_found(r, name));
        else if (json_string_length(name) > 0)
            ids[k] = tn_json_value(r, &here, scope, json_string_value(name), about);
    }
    return ids;
}

static tn_status read_attributes(tn_reader *r, const tn_place *at, const tn_scope *scope,
                                 const json_t *attributes, const oracle *o, tn_node_desc *desc)
{
    tn_attribute *list = tn_pool_alloc(&r->pool, (json_object_size(attributes) + 1) * sizeof *list);
    const char *name;
    json_t *value;
    if (!list)
        return tn_raise_memory();
    desc->attributes = list;
    json_object_foreach((json_t *)(uintptr_t)attributes, name, value)
    {
        const tn_place here = { .up = at, .key = name };
        bool good = *name != 0;
        if (!good)
            tn_json_complain(r, &here, TN_ERR_ATTRIBUTE, "", "an attribute has an empty name");
        else
            TN_TRY(tn_json_attribute(r, &here, scope, name, value, wanted_type(o, name),
                                     &list[desc->attribute_count], &good));
        desc->attribute_count += good;
    }
    return TN_OK;
}

/* The names, one to a line, as the graph keeps them. Such nodes need not be there any more. */
static void read_trace(tn_reader *r, const tn_place *at, const json_t *list, tn_builder *out)
{
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *name = json_array_get(list, k);
        const tn_place here = { .up = at, .index = k };
        if (!json_is_string(name) || !json_string_length(name) ||
            strchr(json_string_value(name), '\n'))
            tn_json_complain(r, &here, TN_ERR_FORMAT, "",
                             "trace %zu is %s: expected the name of a node", k,
                             tn_json_found(r, name));
        else
            tn_add(out, "%s%s", out->count ? "\n" : "", json_string_value(name));
    }
}

static tn_status keep_trace(tn_reader *r, const tn_scope *scope, tn_node_id node, tn_builder *trace)
{
    tn_status status = TN_OK;
    if (trace->failed)
        status = tn_raise_memory();
    else if (r->errors == 0 && node != TN_NONE && trace->count)
        status = tn_graph_set_trace(scope->graph, node, tn_builder_text(trace));
    tn_builder_fini(trace);
    return status;
}

static tn_status add_node(tn_reader *r, const tn_place *at, const tn_scope *scope,
                          tn_node_desc *desc, tn_node_id *out)
{
    tn_builder origin = { 0 };
    if (r->errors > 0)
        return TN_OK;
    tn_json_add_path(&origin, at);
    desc->origin = tn_builder_text(&origin);
    tn_status status = origin.failed ? tn_raise_memory()
                                     : tn_graph_add_node(scope->graph, desc, out);
    tn_builder_fini(&origin);
    return tn_json_settle(r, at, status);
}

/* "com.example::Swish" names domain and operator in one. */
static tn_status split_operator(tn_reader *r, tn_node_desc *desc)
{
    const char *colons = strstr(desc->op, "::");
    if (*desc->domain || !colons || colons == desc->op || !colons[2])
        return TN_OK;
    desc->domain = tn_pool_text(&r->pool, desc->op, (size_t)(colons - desc->op));
    desc->op = colons + 2;
    if (desc->domain && strcmp(desc->domain, "ai.onnx") == 0)
        desc->domain = "";
    return desc->domain ? TN_OK : tn_raise_memory();
}

static tn_status read_members(tn_reader *r, const tn_place *at, const tn_scope *scope,
                              const json_t *const *m)
{
    const tn_place at_inputs = { .up = at, .key = "inputs" },
                   at_outputs = { .up = at, .key = "outputs" };
    const tn_place at_attributes = { .up = at, .key = "attributes" },
                   at_metadata = { .up = at, .key = "metadata" },
                   at_trace = { .up = at, .key = "trace" };
    const tn_place at_op = { .up = at, .key = "op" };
    const char *domain = strcmp(text_of(m[DOMAIN]), "ai.onnx") == 0 ? "" : text_of(m[DOMAIN]);
    tn_node_desc desc = { .size = sizeof desc,
                          .region = scope->region,
                          .name = m[NAME] && *text_of(m[NAME]) ? text_of(m[NAME]) : NULL,
                          .domain = domain,
                          .op = text_of(m[OP]),
                          .overload = text_of(m[OVERLOAD]),
                          .doc = m[DOC] ? text_of(m[DOC]) : NULL,
                          .before = TN_NONE,
                          .trace = TN_NONE };
    oracle o;
    if (!tn_json_name(r, &at_op, m[OP], "an operator"))
        return TN_OK;
    TN_TRY(split_operator(r, &desc));
    desc.inputs = read_names(r, &at_inputs, scope, m[INPUTS], "input");
    desc.outputs = read_names(r, &at_outputs, scope, m[OUTPUTS], "output");
    if (!desc.inputs || !desc.outputs)
        return tn_raise_memory();
    desc.input_count = (uint32_t)json_array_size(m[INPUTS]);
    desc.output_count = (uint32_t)json_array_size(m[OUTPUTS]);
    TN_TRY(find_oracle(r, scope, desc.domain, desc.op, desc.overload, &o));
    TN_TRY(read_attributes(r, &at_attributes, scope, m[ATTRIBUTES], &o, &desc));
    TN_TRY(tn_json_metadata(r, &at_metadata, m[METADATA], NULL, TN_NONE)); /* checked … */
    tn_node_id node = TN_NONE;
    tn_builder trace = { 0 };
    read_trace(r, &at_trace, m[TRACE], &trace);
    const tn_status status = add_node(r, at, scope, &desc, &node);
    const tn_status kept = keep_trace(r, scope, node, &trace);
    if (status != TN_OK || kept != TN_OK)
        return status != TN_OK ? status : kept;
    return node == TN_NONE ? TN_OK /* … and kept */
                           : tn_json_metadata(r, &at_metadata, m[METADATA], scope->graph, node);
}

tn_status tn_json_node(tn_reader *r, const tn_place *at, const tn_scope *scope, const json_t *value)
{
    const json_t *m[NODE_KEYS];
    const char *node = r->node, *op = r->op;
    tn_status status = TN_OK;
    r->node = json_string_value(json_object_get(value, "name"));
    r->op = json_string_value(json_object_get(value, "op"));
    if (tn_json_members(r, at, value, "a node", node_keys, NODE_KEYS, m) && m[OP] && m[INPUTS] &&
        m[OUTPUTS])
        status = read_members(r, at, scope, m);
    r->node = node;
    r->op = op;
    return status;
}

/* ---- a graph behind an attribute ------------------------------------------------------------------ */

enum { R_NAME, R_DOC, R_METADATA, R_INPUTS, R_OUTPUTS, R_CONSTANTS, R_NODES, REGION_KEYS };
static const tn_key region_keys[REGION_KEYS] = {
    { "name", TN_J_STRING, false, "a name" },
    { "doc", TN_J_STRING, false, "a text" },
    { "metadata", TN_J_OBJECT, false, "an object of texts" },
    { "inputs", TN_J_ARRAY, true, "a list of inputs, which may be empty" },
    { "outputs", TN_J_ARRAY, true, "a list of outputs" },
    { "constants", TN_J_OBJECT, false, "an object of constants by name" },
    { "nodes", TN_J_ARRAY, true, "a list of nodes" },
};

static tn_status fill_region(tn_reader *r, const tn_place *at, const tn_scope *scope,
                             const json_t *value, bool *good)
{
    const tn_place at_metadata = { .up = at, .key = "metadata" };
    const json_t *m[REGION_KEYS];
    *good = tn_json_members(r, at, value, "a graph in a node", region_keys, REGION_KEYS, m);
    if (!*good)
        return TN_OK;
    TN_TRY(tn_json_metadata(r, &at_metadata, m[R_METADATA], NULL, TN_NONE));
    const tn_body body = { .inputs = m[R_INPUTS],
                           .outputs = m[R_OUTPUTS],
                           .constants = m[R_CONSTANTS],
                           .nodes = m[R_NODES],
                           .kind = TN_BODY_REGION };
    return tn_json_body(r, at, scope, &body);
}

tn_status tn_json_region(tn_reader *r, const tn_place *at, const tn_scope *outer,
                         const char *attribute, const json_t *value, tn_region_id *out, bool *good)
{
    tn_scope inner = { .graph = outer->graph, .depth = outer->depth + 1 };
    const char *node = r->node, *op = r->op;
    const size_t path = r->region.count;
    *good = false;
    if (inner.depth > r->limits.nesting) {
        tn_json_complain(r, at, TN_ERR_LIMIT, "", "graphs nest deeper than %" PRIu32,
                         r->limits.nesting);
        return TN_OK;
    }
    const uint32_t errors = r->errors;
    TN_TRY(tn_json_settle(r, at, tn_graph_add_region(outer->graph, outer->region, &inner.region)));
    if (r->errors != errors)
        return TN_OK;
    tn_add(&r->region, "%s%s/%s", path ? "/" : "", node && *node ? node : op ? op : "", attribute);
    r->node = r->op = NULL;
    const tn_status status = fill_region(r, at, &inner, value, good);
    r->node = node;
    r->op = op;
    r->region.count = path;
    if (r->region.text)
        r->region.text[path] = 0;
    *out = inner.region;
    return status;
}
