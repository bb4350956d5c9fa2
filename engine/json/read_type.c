/* engine/json/read_type.c: types of values: "dtype" or "type", and "shape".
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/reader.h"

uint32_t tn_json_dtype(tn_reader *r, const tn_place *at, const json_t *value)
{
    const char *names[TN_DTYPE_COUNT];
    size_t count = 0;
    const uint32_t dtype = tn_dtype_of(json_string_value(value));
    if (dtype != TN_UNDEFINED)
        return dtype;
    for (uint32_t k = 1; k < TN_DTYPE_COUNT; k++)
        names[count++] = tn_dtype_name(k);
    const char *near = tn_json_did_you_mean(r, json_string_value(value), names, count);
    tn_json_complain(r, at, TN_ERR_TYPE, near, "there is no element type %s%s",
                     tn_json_found(r, value),
                     *near ? "" : ": expected one such as \"float32\" or \"int64\"");
    return TN_UNDEFINED;
}

static tn_status read_dim(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *value,
                          tn_dim *out, bool *good)
{
    if (json_is_null(value)) {
        *out = TN_DIM_UNKNOWN;
    } else if (json_is_integer(value) && json_integer_value(value) >= 0 &&
               json_integer_value(value) < -TN_DIM_LOWEST) {
        *out = json_integer_value(value);
    } else if (json_is_string(value)) {
        const tn_status status = tn_graph_dim_parse(graph, json_string_value(value), out);
        if (status == TN_ERR_MEMORY)
            return status;
        if (status != TN_OK) {
            tn_json_complain_message(r, at, TN_ERR_SHAPE, NULL);
            *good = false;
        }
    } else {
        tn_json_complain(
            r, at, TN_ERR_SHAPE, "",
            "an extent is %s: expected a number from 0 to 2^62, a symbol such as \"N\", or null",
            tn_json_found(r, value));
        *good = false;
    }
    return TN_OK;
}

static tn_status read_shape(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *shape,
                            tn_type *out, bool *good)
{
    if (json_array_size(shape) > TN_MAX_RANK) {
        tn_json_complain(r, at, TN_ERR_LIMIT, "", "the shape has %zu extents: expected at most %d",
                         json_array_size(shape), TN_MAX_RANK);
        *good = false;
        return TN_OK;
    }
    out->rank = (int32_t)json_array_size(shape);
    for (size_t k = 0; k < json_array_size(shape); k++) {
        const tn_place here = { .up = at, .index = k };
        out->dims[k] = TN_DIM_UNKNOWN;
        TN_TRY(read_dim(r, &here, graph, json_array_get(shape, k), &out->dims[k], good));
    }
    return TN_OK;
}

/* "optional(sequence(tensor(float32)))" */
static tn_status read_kind(tn_reader *r, const tn_place *at, const json_t *type, tn_type *out,
                           bool *good)
{
    const tn_status status = tn_type_parse(json_string_value(type), out);
    if (status == TN_ERR_MEMORY)
        return status;
    if (status != TN_OK) {
        tn_json_complain_message(r, at, TN_ERR_TYPE, NULL);
        *good = false;
    }
    return TN_OK;
}

tn_status tn_json_type(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *dtype,
                       const json_t *type, const json_t *shape, tn_type *out, bool *good)
{
    const tn_place at_dtype = { .up = at, .key = "dtype" }, at_type = { .up = at, .key = "type" };
    const tn_place at_shape = { .up = at, .key = "shape" };
    *good = true;
    *out = tn_type_unknown();
    if (dtype && type) {
        tn_json_complain(r, &at_type, TN_ERR_FORMAT, "",
                         "\"type\" stands beside \"dtype\": expected one of them");
        *good = false;
        return TN_OK;
    }
    if (type)
        TN_TRY(read_kind(r, &at_type, type, out, good));
    if (dtype) {
        out->dtype = tn_json_dtype(r, &at_dtype, dtype);
        *good = out->dtype != TN_UNDEFINED;
    }
    if (shape)
        TN_TRY(read_shape(r, &at_shape, graph, shape, out, good));
    return TN_OK;
}

tn_status tn_json_type_value(tn_reader *r, const tn_place *at, tn_graph *graph, const json_t *value,
                             tn_type *out, bool *good)
{
    static const tn_key keys[] = {
        { "dtype", TN_J_STRING, false, "an element type such as \"float32\"" },
        { "type", TN_J_STRING, false, "a type such as \"sequence(tensor(float32))\"" },
        { "shape", TN_J_ARRAY, false, "a list of extents such as [\"N\", 1, 28, 28]" },
    };
    const json_t *m[TN_COUNT(keys)];
    const uint32_t errors = r->errors;
    *out = tn_type_unknown();
    *good = false;
    if (json_is_string(value)) {
        *good = true;
        return read_kind(r, at, value, out, good);
    }
    if (!json_is_object(value)) {
        tn_json_complain(
            r, at, TN_ERR_FORMAT, "",
            "the type is %s: expected one such as \"tensor(float32)\" or {\"dtype\": \"float32\", \"shape\": [1]}",
            tn_json_found(r, value));
        return TN_OK;
    }
    if (!tn_json_members(r, at, value, "a type", keys, TN_COUNT(keys), m) || r->errors != errors)
        return TN_OK;
    if (!m[0] && !m[1]) {
        tn_json_complain(r, at, TN_ERR_FORMAT, "", "a type needs \"dtype\" or \"type\"");
        return TN_OK;
    }
    return tn_json_type(r, at, graph, m[0], m[1], m[2], out, good);
}
