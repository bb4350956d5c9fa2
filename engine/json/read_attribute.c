/* engine/json/read_attribute.c: attributes of nodes: by the type that the operator wants, else by
 * the kind of JSON value, or with the type written out ({"float": 1}).
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/reader.h"

/* An attribute on its way. */
typedef struct maker {
    tn_reader *r;
    const tn_scope *scope;
    const char *name;
    tn_attribute *out;
    bool *good;
} maker;

/* Types by the key that writes them out, and what their value is. */
static const struct row {
    const char *key;
    uint32_t type, element; /* element: of a list, the type of one; else the type itself */
    const char *expected;
} rows[] = {
    { "float", TN_ATTR_FLOAT, TN_ATTR_FLOAT, "a number" },
    { "int", TN_ATTR_INT, TN_ATTR_INT, "an integer" },
    { "string", TN_ATTR_STRING, TN_ATTR_STRING, "a text" },
    { "tensor", TN_ATTR_TENSOR, TN_ATTR_TENSOR,
      "{\"tensor\": {\"dtype\": \"float32\", \"shape\": [], \"data\": [0]}}" },
    { "graph", TN_ATTR_GRAPH, TN_ATTR_GRAPH,
      "{\"graph\": {\"inputs\": [], \"outputs\": [], \"nodes\": []}}" },
    { "type", TN_ATTR_TYPE, TN_ATTR_TYPE, "{\"type\": \"tensor(float32)\"}" },
    { "floats", TN_ATTR_FLOATS, TN_ATTR_FLOAT, "a list of numbers" },
    { "ints", TN_ATTR_INTS, TN_ATTR_INT, "a list of integers" },
    { "strings", TN_ATTR_STRINGS, TN_ATTR_STRING, "a list of texts" },
    { "tensors", TN_ATTR_TENSORS, TN_ATTR_TENSOR, "{\"tensors\": []}" },
    { "graphs", TN_ATTR_GRAPHS, TN_ATTR_GRAPH, "{\"graphs\": []}" },
    { "types", TN_ATTR_TYPES, TN_ATTR_TYPE, "{\"types\": []}" },
    { "ref", TN_ATTR_REF, TN_ATTR_REF, "the name of an attribute" },
};

static const struct row *row_of(uint32_t type)
{
    for (size_t k = 0; k < TN_COUNT(rows); k++)
        if (rows[k].type == type)
            return &rows[k];
    return NULL;
}

static void refuse(maker *k, const tn_place *at, const json_t *value, const char *expected)
{
    *k->good = false;
    tn_json_complain(k->r, at, TN_ERR_ATTRIBUTE, "", "attribute \"%.100s\" is %s: expected %s",
                     k->name, tn_json_found(k->r, value), expected);
}

/* A value, or one of a list. */
static void refuse_one(maker *k, const tn_place *at, const json_t *value, const char *one,
                       const char *several, bool in_list)
{
    if (!in_list) {
        refuse(k, at, value, one);
        return;
    }
    *k->good = false;
    tn_json_complain(k->r, at, TN_ERR_ATTRIBUTE, "",
                     "attribute \"%.100s\" holds %s: expected a list of %s", k->name,
                     tn_json_found(k->r, value), several);
}

/* ---- single values ----------------------------------------------------------------------------- */

static float read_float(maker *k, const tn_place *at, const json_t *value, bool in_list)
{
    double number = 0;
    float rounded = 0;
    if (!tn_json_number(value, &number))
        refuse_one(k, at, value, "a number", "numbers", in_list);
    else if (tn_float_set(TN_FLOAT32, &rounded, 0, number))
        refuse_one(k, at, value, "a number within float32", "numbers within float32", in_list);
    return rounded;
}

static int64_t read_int(maker *k, const tn_place *at, const json_t *value, bool in_list)
{
    uint64_t number = 0;
    int64_t result;
    if (!tn_json_integer(value, INT64_MIN, INT64_MAX, &number))
        refuse_one(k, at, value, "an integer", "integers", in_list);
    memcpy(&result, &number, sizeof result);
    return result;
}

static tn_status read_text(maker *k, const tn_place *at, const json_t *value, bool in_list,
                           tn_text *out)
{
    bool good = true;
    if (!json_is_string(value) && !json_is_object(value)) {
        refuse_one(k, at, value, "a text", "texts", in_list);
        return TN_OK;
    }
    TN_TRY(tn_json_text(k->r, at, value, "the text", out, &good));
    *k->good = *k->good && good;
    return TN_OK;
}

/* The block of a tensor must live until the node is added: its copy goes to the pool. */
static tn_status read_tensor(maker *k, const tn_place *at, const json_t *value, tn_tensor *out)
{
    tn_builder key = { 0 };
    bool good;
    tn_contents *contents = tn_pool_alloc(&k->r->pool, sizeof *contents);
    tn_add(&key, "%s/%s", k->r->node ? k->r->node : "", k->name); /* keys random numbers */
    tn_status status = contents && !key.failed
                           ? tn_json_constant(k->r, at, value, tn_builder_text(&key), true, NULL,
                                              contents, &good)
                           : tn_raise_memory();
    tn_builder_fini(&key);
    TN_TRY(status);
    *k->good = *k->good && good;
    if (!good)
        return TN_OK;
    *out = contents->tensor;
    out->data = tn_pool_dup(&k->r->pool, contents->tensor.data, contents->tensor.bytes);
    tn_buffer_unref(contents->buffer);
    return out->data ? TN_OK : tn_raise_memory();
}

/* One value of `type` into place `index` of the attribute's list of that type. */
static tn_status read_one(maker *k, const tn_place *at, const json_t *value, uint32_t type,
                          void *list, size_t index, bool in_list)
{
    bool good = true;
    switch (type) {
    case TN_ATTR_FLOAT: ((float *)list)[index] = read_float(k, at, value, in_list); return TN_OK;
    case TN_ATTR_INT: ((int64_t *)list)[index] = read_int(k, at, value, in_list); return TN_OK;
    case TN_ATTR_STRING: return read_text(k, at, value, in_list, (tn_text *)list + index);
    case TN_ATTR_TENSOR: return read_tensor(k, at, value, (tn_tensor *)list + index);
    case TN_ATTR_GRAPH:
        TN_TRY(tn_json_region(k->r, at, k->scope, k->name, value, (tn_region_id *)list + index,
                              &good));
        break;
    default:
        TN_TRY(
            tn_json_type_value(k->r, at, k->scope->graph, value, (tn_type *)list + index, &good));
        break;
    }
    *k->good = *k->good && good;
    return TN_OK;
}

/* ---- by type ------------------------------------------------------------------------------------- */

static size_t element_bytes(uint32_t type)
{
    switch (type) {
    case TN_ATTR_FLOAT: return sizeof(float);
    case TN_ATTR_INT: return sizeof(int64_t);
    case TN_ATTR_STRING: return sizeof(tn_text);
    case TN_ATTR_TENSOR: return sizeof(tn_tensor);
    case TN_ATTR_GRAPH: return sizeof(tn_region_id);
    default: return sizeof(tn_type);
    }
}

/* Hangs a list of elements of `type` into the attribute. */
static void hang(tn_attribute *out, uint32_t type, void *list)
{
    switch (type) {
    case TN_ATTR_FLOAT: out->floats = list; break;
    case TN_ATTR_INT: out->ints = list; break;
    case TN_ATTR_STRING: out->strings = list; break;
    case TN_ATTR_TENSOR: out->tensors = list; break;
    case TN_ATTR_GRAPH: out->regions = list; break;
    default: out->types = list; break;
    }
}

static tn_status read_ref(maker *k, const tn_place *at, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) == 0)
        refuse(k, at, value, "the name of an attribute of the function");
    else if (!k->r->is_function)
        tn_json_complain(
            k->r, at, TN_ERR_ATTRIBUTE, "",
            "attribute \"%.100s\" refers to an attribute of a function, but stands in none",
            k->name);
    else
        k->out->s = (tn_text){ json_string_value(value), json_string_length(value) };
    *k->good = k->out->s.bytes != NULL;
    return TN_OK;
}

/* A value of this very type, not wrapped in an object that names it. */
static tn_status read_typed(maker *k, const tn_place *at, const json_t *value,
                            const struct row *row)
{
    const bool in_list = row->element != row->type;
    const size_t count = in_list ? json_array_size(value) : 1;
    k->out->type = row->type;
    if (row->type == TN_ATTR_REF)
        return read_ref(k, at, value);
    if (in_list && !json_is_array(value)) {
        refuse(k, at, value, row->expected);
        return TN_OK;
    }
    char *list = tn_pool_alloc(&k->r->pool, (count + 1) * element_bytes(row->element));
    if (!list)
        return tn_raise_memory();
    for (size_t j = 0; j < count; j++) {
        const tn_place item = { .up = at, .index = j };
        TN_TRY(read_one(k, in_list ? &item : at, in_list ? json_array_get(value, j) : value,
                        row->element, list, j, in_list));
    }
    k->out->count = in_list ? count : 0;
    if (row->type == TN_ATTR_FLOAT)
        k->out->f = ((const float *)(const void *)list)[0];
    else if (row->type == TN_ATTR_INT)
        k->out->i = ((const int64_t *)(const void *)list)[0];
    else if (row->type == TN_ATTR_STRING)
        k->out->s = ((const tn_text *)(const void *)list)[0];
    else
        hang(k->out, row->element, list);
    return TN_OK;
}

/* {"float": 1}: exactly one key, which names the type. */
static tn_status read_explicit(maker *k, const tn_place *at, const json_t *value)
{
    tn_key keys[TN_COUNT(rows)];
    const json_t *m[TN_COUNT(rows)];
    const uint32_t errors = k->r->errors;
    for (size_t j = 0; j < TN_COUNT(rows); j++)
        keys[j] = (tn_key){ rows[j].key, TN_J_ANY, false, rows[j].expected };
    tn_json_members(k->r, at, value, "an attribute with its type", keys, TN_COUNT(rows), m);
    if (k->r->errors == errors && json_object_size(value) != 1)
        refuse(k, at, value, "one key that names its type, such as {\"float\": 1}");
    *k->good = k->r->errors == errors;
    for (size_t j = 0; *k->good && j < TN_COUNT(rows); j++) {
        const tn_place here = { .up = at, .key = rows[j].key };
        if (m[j])
            return read_typed(k, &here, m[j], &rows[j]);
    }
    return TN_OK;
}

/* Where no schema tells: 1 is INT, 1.0 is FLOAT, [1, 0.5] is FLOATS. */
static uint32_t type_by_kind(const json_t *value)
{
    uint32_t kinds = 0;
    const json_t *first = json_array_get(value, 0);
    if (json_is_string(value))
        return TN_ATTR_STRING;
    if (json_is_number(value))
        return json_is_integer(value) ? TN_ATTR_INT : TN_ATTR_FLOAT;
    for (size_t k = 0; k < json_array_size(value); k++)
        kinds |= tn_json_kind(json_array_get(value, k));
    if (kinds == TN_J_INTEGER)
        return TN_ATTR_INTS;
    if (kinds && !(kinds & ~(uint32_t)(TN_J_INTEGER | TN_J_REAL)))
        return TN_ATTR_FLOATS;
    const bool texts = kinds && !(kinds & ~(uint32_t)(TN_J_STRING | TN_J_OBJECT));
    return texts && (json_is_string(first) || json_object_get(first, "base64")) ? TN_ATTR_STRINGS
                                                                                : TN_ATTR_UNDEFINED;
}

tn_status tn_json_attribute(tn_reader *r, const tn_place *at, const tn_scope *scope,
                            const char *name, const json_t *value, uint32_t wanted,
                            tn_attribute *out, bool *good)
{
    maker k = { .r = r, .scope = scope, .name = name, .out = out, .good = good };
    *out = (tn_attribute){ .size = sizeof *out, .name = name };
    *good = true;
    const bool is_text = json_object_get(value, "base64") != NULL;
    if (json_is_object(value) && !is_text)
        return read_explicit(&k, at, value);
    if (wanted == TN_ATTR_UNDEFINED)
        wanted = is_text ? TN_ATTR_STRING : type_by_kind(value);
    const struct row *row = row_of(wanted);
    if (!row) {
        refuse(
            &k, at, value,
            json_is_array(value)
                ? "a list of one kind of values, or its type written out, such as {\"ints\": []}"
                : "a number, a text, a list, or an object with its type, such as {\"float\": 1}");
        return TN_OK;
    }
    const bool must_be_object = row->element == TN_ATTR_TENSOR || row->element == TN_ATTR_GRAPH ||
                                row->element == TN_ATTR_TYPE;
    if (must_be_object) {
        refuse(&k, at, value, row->expected);
        return TN_OK;
    }
    return read_typed(&k, at, value, row);
}
