/* engine/json/object.c: objects checked against a table of keys, and the small things that many
 * objects have: names, texts, metadata, operator sets.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/reader.h"

uint32_t tn_json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return TN_J_OBJECT;
    case JSON_ARRAY: return TN_J_ARRAY;
    case JSON_STRING: return TN_J_STRING;
    case JSON_INTEGER: return TN_J_INTEGER;
    case JSON_REAL: return TN_J_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return TN_J_BOOL;
    default: return TN_J_NULL;
    }
}

enum { MOST_KEYS = 24 };

/* Marks the key that was meant, whose lack is then no complaint of its own. */
static void unknown_key(tn_reader *r, const tn_place *at, const char *what, const char *key,
                        const tn_key *keys, size_t count, bool *meant)
{
    const char *names[MOST_KEYS];
    tn_builder all = { 0 };
    for (size_t k = 0; k < count; k++) {
        names[k] = keys[k].name;
        tn_add(&all, "%s\"%s\"", k ? ", " : "its keys are ", names[k]);
    }
    const char *near = tn_json_did_you_mean(r, key, names, count);
    const char *nearest = tn_nearest(key, names, count);
    for (size_t k = 0; k < count; k++)
        meant[k] = meant[k] || names[k] == nearest;
    const tn_place here = { .up = at, .key = key, .at_key = true };
    tn_json_complain(r, &here, TN_ERR_FORMAT, *near ? near : tn_builder_text(&all),
                     "\"%s\" is no key of %s", key, what);
    tn_builder_fini(&all);
}

bool tn_json_members(tn_reader *r, const tn_place *at, const json_t *value, const char *what,
                     const tn_key *keys, size_t count, const json_t **members)
{
    const char *name;
    json_t *member;
    bool whole = true, meant[MOST_KEYS] = { false };
    assert(count <= MOST_KEYS);
    memset(members, 0, count * sizeof *members);
    if (!json_is_object(value)) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "", "%s is an object with keys: found %s", what,
                         tn_json_found(r, value));
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        size_t k = 0;
        while (k < count && strcmp(name, keys[k].name) != 0)
            k++;
        const tn_place here = { .up = at, .key = name };
        if (k == count) {
            unknown_key(r, at, what, name, keys, count, meant);
        } else if (!(tn_json_kind(member) & keys[k].kinds)) {
            tn_json_complain(r, &here, TN_ERR_FORMAT, "", "\"%s\" is %s: expected %s", name,
                             tn_json_found(r, member), keys[k].expected);
            whole = whole && !keys[k].required;
        } else {
            members[k] = member;
        }
    }
    for (size_t k = 0; k < count; k++)
        if (keys[k].required && !json_object_get(value, keys[k].name)) {
            if (!meant[k])
                tn_json_complain(r, at, TN_ERR_FORMAT, "", "%s needs \"%s\": %s", what,
                                 keys[k].name, keys[k].expected);
            whole = false;
        }
    return whole;
}

tn_status tn_json_text(tn_reader *r, const tn_place *at, const json_t *value, const char *about,
                       tn_text *out, bool *good)
{
    *good = json_is_string(value);
    if (*good) {
        *out = (tn_text){ json_string_value(value), json_string_length(value) };
        return TN_OK;
    }
    static const tn_key keys[] = { { "base64", TN_J_STRING, true, "bytes in base64" } };
    const json_t *member;
    if (!json_is_object(value)) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "",
                         "%s is %s: expected a text or {\"base64\": its bytes}", about,
                         tn_json_found(r, value));
        return TN_OK;
    }
    if (!tn_json_members(r, at, value, "a text in base64", keys, 1, &member))
        return TN_OK;
    TN_TRY(tn_base64_decode(&r->pool, json_string_value(member), json_string_length(member),
                            &out->bytes, &out->count, good));
    const tn_place here = { .up = at, .key = "base64" };
    if (!*good)
        tn_json_complain(
            r, &here, TN_ERR_FORMAT, "",
            "%s is not base64: expected letters, digits, + and / in groups of four, = at the end",
            tn_json_found(r, member));
    return TN_OK;
}

const char *tn_json_name(tn_reader *r, const tn_place *at, const json_t *value, const char *about)
{
    if (!json_is_string(value)) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "", "%s is %s: expected a name", about,
                         tn_json_found(r, value));
        return NULL;
    }
    if (json_string_length(value) == 0) {
        tn_json_complain(r, at, TN_ERR_NAME, "", "%s has an empty name", about);
        return NULL;
    }
    return json_string_value(value);
}

/* Metadata of a graph (node TN_NONE) or of one of its nodes. */
static tn_status set_metadata(tn_graph *graph, tn_node_id node, const char *key, const char *text)
{
    return node == TN_NONE ? tn_graph_set_metadata(graph, key, text)
                           : tn_graph_set_node_metadata(graph, node, key, text);
}

tn_status tn_json_metadata(tn_reader *r, const tn_place *at, const json_t *value, tn_graph *graph,
                           tn_node_id node)
{
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        const tn_place here = { .up = at, .key = key };
        tn_text text;
        bool good;
        TN_TRY(tn_json_text(r, &here, member, "metadata", &text, &good));
        if (good && memchr(text.bytes, 0, text.count))
            tn_json_complain(r, &here, TN_ERR_FORMAT, "", "metadata holds a zero byte");
        else if (good && graph)
            TN_TRY(tn_json_settle(r, &here, set_metadata(graph, node, key, text.bytes)));
    }
    return TN_OK;
}

static tn_status import(tn_reader *r, const tn_place *at, const json_t *version, const char *domain,
                        tn_graph *graph)
{
    uint64_t number;
    if (!tn_json_integer(version, 1, INT32_MAX, &number)) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "",
                         "the operator set is %s: expected a number from 1, such as 21",
                         tn_json_found(r, version));
        return TN_OK;
    }
    return tn_json_settle(
        r, at,
        tn_graph_set_opset(graph, strcmp(domain, "ai.onnx") == 0 ? "" : domain, (int64_t)number));
}

tn_status tn_json_opset(tn_reader *r, const tn_place *at, const json_t *value, tn_graph *graph)
{
    const char *domain;
    json_t *version;
    if (!json_is_object(value))
        return import(r, at, value, "", graph);
    if (json_object_get(value, "") && json_object_get(value, "ai.onnx"))
        tn_json_complain(r, at, TN_ERR_DUPLICATE, "",
                         "\"\" and \"ai.onnx\" are the same domain: expected one of them");
    if (json_object_size(value) == 0)
        tn_json_complain(
            r, at, TN_ERR_FORMAT, "",
            "\"opset\" is an empty object: expected a number for each domain, such as {\"ai.onnx\": 21}");
    json_object_foreach((json_t *)(uintptr_t)value, domain, version)
    {
        const tn_place here = { .up = at, .key = domain };
        TN_TRY(import(r, &here, version, domain, graph));
    }
    return TN_OK;
}
