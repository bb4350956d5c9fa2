/* engine/json/read_constant.c: constants: their type, and elements from a list, from base64, from
 * the random generator or from the weights file.
 *
 * Nothing is allocated for what a shape merely claims: the text, the base64, the weights file must
 * have as many elements; random numbers are bounded by the budget of weights.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/reader.h"

enum { DTYPE, SHAPE, DATA, BYTES, RANDOM, TENSOR, KEYS };

#define KEY_TABLE(required)                                                                        \
    {                                                                                              \
        { "dtype", TN_J_STRING, required, "an element type such as \"float32\"" },                 \
            { "shape", TN_J_ARRAY, required, "a list of numbers such as [16, 1, 5, 5]" },          \
            { "data", TN_J_ANY & ~TN_J_NULL, false, "a list of elements" },                        \
            { "bytes", TN_J_STRING, false, "the elements' bytes in base64" },                      \
            { "random", TN_J_OBJECT, false,                                                        \
              "an object such as {\"distribution\": \"normal\", \"std\": 0.1, \"seed\": 1}" },     \
            { "tensor", TN_J_STRING, false, "the name of a tensor in the weights file" },          \
    }
static const tn_key constant_keys[KEYS] = KEY_TABLE(true), default_keys[KEYS] = KEY_TABLE(false);

/* A constant on its way. */
typedef struct maker {
    tn_reader *r;
    const tn_place *at;
    const char *name;
    const json_t *m[KEYS];
    tn_contents *out;
    bool has_shape;
    bool *good;
} maker;

static void refuse(maker *k, const char *key, tn_status status, const char *message)
{
    const tn_place here = { .up = k->at, .key = key };
    *k->good = false;
    tn_json_complain(k->r, key ? &here : k->at, status, "", "%s", message);
}

/* ---- type and size --------------------------------------------------------------------------- */

static void read_extents(maker *k)
{
    const json_t *shape = k->m[SHAPE];
    const tn_place here = { .up = k->at, .key = "shape" };
    if (json_array_size(shape) > TN_MAX_RANK) {
        *k->good = false;
        tn_json_complain(k->r, &here, TN_ERR_LIMIT, "",
                         "the shape has %zu extents: expected at most %d", json_array_size(shape),
                         TN_MAX_RANK);
        return;
    }
    k->has_shape = true;
    k->out->tensor.rank = (int32_t)json_array_size(shape);
    for (size_t axis = 0; axis < json_array_size(shape); axis++) {
        const json_t *extent = json_array_get(shape, axis);
        const tn_place item = { .up = &here, .index = axis };
        k->out->dims[axis] = json_is_integer(extent) ? json_integer_value(extent) : -1;
        if (k->out->dims[axis] < 0) {
            *k->good = false;
            tn_json_complain(k->r, &item, TN_ERR_SHAPE, "",
                             "an extent of a constant is %s: expected a number from 0",
                             tn_json_found(k->r, extent));
        }
    }
}

/* The input that a default belongs to says its type; they must agree. */
static void fit_type(maker *k, const tn_type *type)
{
    tn_tensor *tensor = &k->out->tensor;
    if (type->kind != 0) {
        refuse(k, NULL, TN_ERR_TYPE, "only a tensor has a default");
        return;
    }
    if (tensor->dtype == TN_UNDEFINED)
        tensor->dtype = type->dtype;
    if (tensor->dtype != type->dtype && type->dtype != TN_UNDEFINED) {
        const tn_place here = { .up = k->at, .key = "dtype" };
        *k->good = false;
        tn_json_complain(k->r, &here, TN_ERR_TYPE, "",
                         "the default is of type %s: expected %s, as the input is",
                         tn_dtype_name(tensor->dtype), tn_dtype_name(type->dtype));
    }
    if (k->has_shape || k->m[TENSOR] || !(k->m[DATA] || k->m[BYTES] || k->m[RANDOM]))
        return;
    tensor->rank = type->rank;
    k->has_shape = type->rank >= 0;
    for (int32_t axis = 0; axis < type->rank; axis++) {
        k->out->dims[axis] = type->dims[axis];
        k->has_shape = k->has_shape && tn_dim_known(type->dims[axis]);
    }
    if (!k->has_shape)
        refuse(k, NULL, TN_ERR_FORMAT,
               "the default needs \"shape\", since the input's has unknown extents");
}

static bool fits_shape(const tn_tensor *tensor, const tn_type *type)
{
    bool fits = type->rank < 0 || type->rank == tensor->rank;
    for (int32_t axis = 0; fits && axis < type->rank; axis++)
        fits = !tn_dim_known(type->dims[axis]) || type->dims[axis] == tensor->dims[axis];
    return fits;
}

/* Bytes of the whole, within the budget. */
static bool claim(maker *k)
{
    tn_tensor *tensor = &k->out->tensor;
    tn_reader *r = k->r;
    if (tn_shape_bytes(tensor->dtype, tensor->rank, tensor->dims, &tensor->bytes) != TN_OK) {
        const tn_place here = { .up = k->at, .key = "shape" };
        *k->good = false;
        tn_json_complain_message(r, k->m[SHAPE] ? &here : k->at, TN_ERR_LIMIT, NULL);
        return false;
    }
    if (tensor->bytes > r->limits.weight_bytes - r->weight_bytes) {
        *k->good = false;
        tn_json_complain(r, k->at, TN_ERR_LIMIT, "",
                         "with %zu bytes here, the constants take more than the limit of %" PRIu64,
                         tensor->bytes, r->limits.weight_bytes);
        return false;
    }
    r->weight_bytes += tensor->bytes;
    return true;
}

/* ---- sources ---------------------------------------------------------------------------------- */

static tn_status from_data(maker *k)
{
    tn_tensor *tensor = &k->out->tensor;
    const tn_place here = { .up = k->at, .key = "data" };
    int64_t count;
    TN_TRY(tn_shape_count(tensor->rank, tensor->dims, &count));
    if ((uint64_t)count > k->r->count) { /* more than the text has letters */
        *k->good = false;
        tn_json_complain(k->r, &here, TN_ERR_SHAPE, "",
                         "\"data\" has %zu element%s: expected %" PRId64 ", as the shape says",
                         json_array_size(k->m[DATA]), json_array_size(k->m[DATA]) == 1 ? "" : "s",
                         count);
        return TN_OK;
    }
    TN_TRY(tn_buffer_create(tensor->bytes, &k->out->buffer));
    tensor->data = tn_buffer_bytes(k->out->buffer);
    return tn_json_data(k->r, &here, k->m[DATA], tensor, k->good);
}

/* A byte that is neither false nor true must not get where code reads bools. */
static void check_truths(maker *k, const char *key)
{
    const unsigned char *bytes = k->out->tensor.data;
    for (size_t j = 0; k->out->tensor.dtype == TN_BOOL && j < k->out->tensor.bytes; j++)
        if (bytes[j] > 1) {
            const tn_place here = { .up = k->at, .key = key };
            *k->good = false;
            tn_json_complain(k->r, &here, TN_ERR_VALUE, "",
                             "element %zu of type bool is byte %d: expected 0 or 1", j, bytes[j]);
            return;
        }
}

static tn_status from_bytes(maker *k)
{
    tn_tensor *tensor = &k->out->tensor;
    const tn_place here = { .up = k->at, .key = "bytes" };
    const json_t *text = k->m[BYTES];
    const char *bytes;
    size_t count = 0;
    bool valid;
    TN_TRY(tn_base64_decode(&k->r->pool, json_string_value(text), json_string_length(text), &bytes,
                            &count, &valid));
    *k->good = false;
    if (tensor->dtype == TN_STRING) {
        tn_json_complain(k->r, &here, TN_ERR_FORMAT, "",
                         "\"bytes\" cannot hold texts: expected \"data\"");
    } else if (!valid) {
        tn_json_complain(
            k->r, &here, TN_ERR_FORMAT, "",
            "%s is not base64: expected letters, digits, + and / in groups of four, = at the end",
            tn_json_found(k->r, text));
    } else if (count != tensor->bytes) {
        tn_json_complain(k->r, &here, TN_ERR_SHAPE, "",
                         "\"bytes\" has %zu bytes: expected %zu, by dtype and shape", count,
                         tensor->bytes);
    } else {
        TN_TRY(tn_buffer_create(count, &k->out->buffer));
        tensor->data = tn_buffer_bytes(k->out->buffer);
        if (count)
            memcpy(tensor->data, bytes, count);
        *k->good = true;
        check_truths(k, "bytes");
    }
    return TN_OK;
}

static bool read_number(maker *k, const tn_place *at, const char *key, const json_t *value,
                        double *out)
{
    const tn_place here = { .up = at, .key = key };
    if (!value || json_is_number(value)) {
        *out = value ? json_number_value(value) : *out;
        return true;
    }
    *k->good = false;
    tn_json_complain(k->r, &here, TN_ERR_FORMAT, "", "\"%s\" is %s: expected a number", key,
                     tn_json_found(k->r, value));
    return false;
}

/* {"distribution": "normal", "mean", "std", "seed"} or {"distribution": "uniform", "low", "high", "seed"} */
static bool read_recipe(maker *k, const tn_place *at, tn_random_spec *spec)
{
    enum { DISTRIBUTION, SEED, A, B, RECIPE_KEYS };
    const bool normal = json_object_get(k->m[RANDOM], "mean") ||
                        json_object_get(k->m[RANDOM], "std");
    const char *distribution = json_string_value(json_object_get(k->m[RANDOM], "distribution"));
    const bool is_normal = distribution ? strcmp(distribution, "normal") == 0 : normal;
    const char *const a = is_normal ? "mean" : "low", *const b = is_normal ? "std" : "high";
    const tn_key keys[RECIPE_KEYS] = {
        { "distribution", TN_J_STRING, true, "\"normal\" or \"uniform\"" },
        { "seed", TN_J_INTEGER | TN_J_STRING, false, "an integer from 0" },
        { a, TN_J_INTEGER | TN_J_REAL, false, "a number" },
        { b, TN_J_INTEGER | TN_J_REAL, false, "a number" },
    };
    const json_t *m[RECIPE_KEYS];
    const uint32_t errors = k->r->errors;
    const tn_place at_seed = { .up = at, .key = "seed" },
                   at_distribution = { .up = at, .key = "distribution" };
    *spec =
        (tn_random_spec){ .distribution = is_normal ? "normal" : "uniform", .std = 1, .high = 1 };
    if (distribution && !is_normal && strcmp(distribution, "uniform") != 0)
        tn_json_complain(k->r, &at_distribution, TN_ERR_FORMAT, "",
                         "there is no distribution \"%.40s\": expected \"normal\" or \"uniform\"",
                         distribution);
    else if (tn_json_members(k->r, at, k->m[RANDOM],
                             !distribution ? "a random constant"
                             : is_normal   ? "a normal distribution"
                                           : "a uniform distribution",
                             keys, RECIPE_KEYS, m)) {
        read_number(k, at, a, m[A], is_normal ? &spec->mean : &spec->low);
        read_number(k, at, b, m[B], is_normal ? &spec->std : &spec->high);
        if (m[SEED] && !tn_json_integer(m[SEED], 0, UINT64_MAX, &spec->seed))
            tn_json_complain(k->r, &at_seed, TN_ERR_FORMAT, "",
                             "\"seed\" is %s: expected an integer from 0 to 2^64 - 1",
                             tn_json_found(k->r, m[SEED]));
    }
    *k->good = k->r->errors == errors;
    return *k->good;
}

static tn_status from_random(maker *k)
{
    const tn_place here = { .up = k->at, .key = "random" };
    tn_random_spec spec;
    tn_tensor *tensor = &k->out->tensor;
    if (!read_recipe(k, &here, &spec))
        return TN_OK;
    const tn_status status = tn_random_check(&spec, tensor->dtype);
    if (status != TN_OK) {
        *k->good = false;
        tn_json_complain_message(k->r, &here, status, NULL);
        return TN_OK;
    }
    if (k->r->errors > 0) { /* the graph will not be: spare the work */
        *k->good = false;
        return TN_OK;
    }
    TN_TRY(tn_recipe_buffer(tensor->bytes, &spec, &k->out->buffer));
    tensor->data = tn_buffer_bytes(k->out->buffer);
    return tn_random_fill(&spec, k->name, tensor);
}

/* ---- the weights file ------------------------------------------------------------------------- */

tn_status tn_json_weights(tn_reader *r, const tn_place *at, const json_t *value)
{
    r->weights_lost = true;
    if (!r->path) {
        tn_json_complain(
            r, at, TN_ERR_IO, "",
            "the graph names a weights file, but comes from memory, so there is no folder to look in");
        return TN_OK;
    }
    char *folder = tn_file_folder(r->path);
    char *file = folder
                     ? tn_file_join(
                           strcmp(folder, ".") == 0 && strncmp(r->path, "./", 2) != 0 ? "" : folder,
                           json_string_value(value))
                     : NULL;
    tn_status status = file ? tn_file_map_inside(folder, json_string_value(value),
                                                 &r->weights_buffer)
                            : tn_raise_memory();
    if (status == TN_OK) {
        status = tn_safetensors_open(r->weights_buffer, file, r->diagnostics, &r->weights);
        r->weights_lost = status != TN_OK;
        r->weights_name = json_string_value(value);
        r->errors += status != TN_OK && status != TN_ERR_MEMORY ? 1 : 0;
        r->status = r->errors == 1 && r->weights_lost ? status : r->status;
    } else if (status != TN_ERR_MEMORY) {
        tn_json_complain_message(r, at, status, NULL);
    }
    tn_free(folder);
    tn_free(file);
    return status == TN_ERR_MEMORY ? status : TN_OK;
}

/* The stored tensor must be of the constant's type, or U8 where safetensors lacks that type. */
static bool fits_stored(maker *k, const tn_tensor *stored, const char *tensor_name)
{
    tn_tensor *tensor = &k->out->tensor;
    const tn_place here = { .up = k->at, .key = k->m[DTYPE] ? "dtype" : "tensor" },
                   at_shape = { .up = k->at, .key = "shape" };
    const bool raw = !tn_safetensors_dtype(tensor->dtype) && tensor->dtype != TN_STRING &&
                     stored->dtype == TN_UINT8;
    if (!raw && stored->dtype != tensor->dtype) {
        *k->good = false;
        tn_json_complain(k->r, &here, TN_ERR_TYPE, "",
                         "tensor \"%.200s\" is of type %s in \"%.200s\": expected %s", tensor_name,
                         tn_dtype_name(stored->dtype), k->r->weights_name,
                         tn_dtype_name(tensor->dtype));
        return false;
    }
    bool same = raw ? stored->bytes == tensor->bytes : stored->rank == tensor->rank;
    for (int32_t axis = 0; !raw && same && axis < tensor->rank; axis++)
        same = stored->dims[axis] == k->out->dims[axis];
    if (same)
        return true;
    tn_builder text = { 0 };
    tn_add_shape(&text, NULL, stored->rank, stored->dims);
    tn_add(&text, " in \"%.200s\": expected ", k->r->weights_name);
    tn_add_shape(&text, NULL, tensor->rank, k->out->dims);
    *k->good = false;
    tn_json_complain(k->r, k->m[SHAPE] ? &at_shape : k->at, TN_ERR_SHAPE, "",
                     raw ? "tensor \"%.200s\" has shape %s (and other bytes)"
                         : "tensor \"%.200s\" has shape %s",
                     tensor_name, tn_builder_text(&text));
    tn_builder_fini(&text);
    return false;
}

/* In place, or, where the file puts elements at odd addresses, as a copy. */
static tn_status take_stored(maker *k, const tn_tensor *stored)
{
    tn_tensor *tensor = &k->out->tensor;
    const uint32_t bits = tn_dtype_bits(tensor->dtype);
    const size_t alignment = bits < 8                             ? 1
                             : tn_dtype_is_complex(tensor->dtype) ? bits / 16
                                                                  : bits / 8;
    tensor->data = stored->data;
    if ((uintptr_t)stored->data % alignment == 0) {
        k->out->buffer = tn_buffer_ref(k->r->weights_buffer);
    } else {
        TN_TRY(tn_buffer_create(tensor->bytes, &k->out->buffer));
        tensor->data = tn_buffer_bytes(k->out->buffer);
        memcpy(tensor->data, stored->data, tensor->bytes);
    }
    check_truths(k, "tensor");
    return TN_OK;
}

/* Finds the tensor, or complains. */
static bool find_stored(maker *k, tn_tensor *stored, const char *tensor_name)
{
    const tn_place here = { .up = k->at, .key = k->m[TENSOR] ? "tensor" : NULL };
    const tn_place *at = k->m[TENSOR] ? &here : k->at;
    tn_reader *r = k->r;
    *k->good = false;
    if (!r->weights && !r->weights_lost) {
        tn_json_complain(
            r, at, TN_ERR_FORMAT, "",
            "the elements are to come from a weights file, but the graph names none: expected \"weights\" there, or \"data\", \"bytes\" or \"random\" here");
        return false;
    }
    if (!r->weights || !(*k->good = tn_safetensors_get(r->weights, tensor_name, stored))) {
        const char *near = r->weights ? tn_safetensors_nearest(r->weights, tensor_name) : NULL;
        if (r->weights)
            tn_json_complain(r, at, TN_ERR_NAME,
                             tn_json_did_you_mean(r, tensor_name, &near, near ? 1 : 0),
                             "\"%.200s\" has no tensor \"%.200s\"", r->weights_name, tensor_name);
        return false;
    }
    return true;
}

static tn_status from_weights(maker *k)
{
    tn_tensor stored, *tensor = &k->out->tensor;
    const char *tensor_name = k->m[TENSOR] ? json_string_value(k->m[TENSOR]) : k->name;
    if (tensor->dtype == TN_STRING) {
        refuse(k, NULL, TN_ERR_FORMAT, "a weights file cannot hold texts: expected \"data\"");
        return TN_OK;
    }
    if (!find_stored(k, &stored, tensor_name))
        return TN_OK;
    if (tensor->dtype == TN_UNDEFINED)
        tensor->dtype = stored.dtype;
    if (!k->has_shape) {
        tensor->rank = stored.rank;
        memcpy(k->out->dims, stored.dims, sizeof k->out->dims);
    }
    if (!claim(k) || !fits_stored(k, &stored, tensor_name))
        return TN_OK;
    return take_stored(k, &stored);
}

/* ---- a constant -------------------------------------------------------------------------------- */

static tn_status from_source(maker *k)
{
    if (!k->m[DATA] && !k->m[BYTES] && !k->m[RANDOM])
        return from_weights(k);
    if (k->out->tensor.dtype == TN_UNDEFINED) {
        refuse(k, NULL, TN_ERR_FORMAT,
               "a constant needs \"dtype\": an element type such as \"float32\"");
        return TN_OK;
    }
    if (!claim(k))
        return TN_OK;
    return k->m[DATA] ? from_data(k) : k->m[BYTES] ? from_bytes(k) : from_random(k);
}

/* At most one source; in an inline tensor, which has no name, at least one. */
static bool check_sources(maker *k, bool is_inline)
{
    const char *first = NULL;
    for (int key = DATA; key < KEYS; key++) {
        if (!k->m[key])
            continue;
        if (first) {
            const tn_place here = { .up = k->at, .key = constant_keys[key].name, .at_key = true };
            tn_json_complain(k->r, &here, TN_ERR_FORMAT, "",
                             "\"%s\" stands beside \"%s\": expected one of them",
                             constant_keys[key].name, first);
            return false;
        }
        first = constant_keys[key].name;
    }
    if (!first && is_inline)
        tn_json_complain(k->r, k->at, TN_ERR_FORMAT, "",
                         "a tensor needs \"data\", \"bytes\", \"random\" or \"tensor\"");
    return first || !is_inline;
}

tn_status tn_json_constant(tn_reader *r, const tn_place *at, const json_t *value, const char *name,
                           bool is_inline, const tn_type *type, tn_contents *out, bool *good)
{
    maker k = { .r = r, .at = at, .name = name, .out = out, .good = good };
    const uint32_t errors = r->errors;
    const tn_place at_dtype = { .up = at, .key = "dtype" };
    *out = (tn_contents){ .tensor = { .size = sizeof out->tensor, .rank = -1 } };
    out->tensor.dims = out->dims;
    *good = tn_json_members(r, at, value,
                            is_inline ? "a tensor"
                            : type    ? "a default"
                                      : "a constant",
                            type ? default_keys : constant_keys, KEYS, k.m) &&
            r->errors == errors && check_sources(&k, is_inline);
    if (!*good)
        return TN_OK;
    if (k.m[DTYPE])
        out->tensor.dtype = tn_json_dtype(r, &at_dtype, k.m[DTYPE]);
    if (k.m[SHAPE])
        read_extents(&k);
    if (r->errors == errors && type)
        fit_type(&k, type);
    *good = *good && r->errors == errors;
    if (!*good)
        return TN_OK;
    const tn_status status = from_source(&k);
    if (status == TN_OK && *good && type && !fits_shape(&out->tensor, type))
        refuse(&k, k.m[SHAPE] ? "shape" : NULL, TN_ERR_SHAPE,
               "the default's shape is not the input's");
    if (status != TN_OK || !*good) {
        tn_buffer_unref(out->buffer);
        out->buffer = NULL;
    }
    return status;
}
