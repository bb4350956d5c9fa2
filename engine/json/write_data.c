/* engine/json/write_data.c: numbers, texts, types and tensors as JSON.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/writer.h"

#include <stdio.h>

void tn_write_name(tn_writer *w, const char *text, const char *what)
{
    if (!tn_is_utf8(text, strlen(text)))
        tn_write_complain(w, TN_ERR_FORMAT, NULL, "%s is not UTF-8, which a name in JSON must be",
                          what);
    else
        tn_add_quoted(&w->out, text, strlen(text));
}

void tn_write_text(tn_writer *w, tn_text text)
{
    if (tn_is_utf8(text.bytes ? text.bytes : "", text.count)) {
        tn_add_quoted(&w->out, text.bytes ? text.bytes : "", text.count);
        return;
    }
    tn_add(&w->out, "{\"base64\": \"");
    tn_add_base64(&w->out, text.bytes, text.count);
    tn_add(&w->out, "\"}");
}

/* Always with a point or an exponent, so that it is read as a float, and -0 as what it is. */
void tn_write_float(tn_writer *w, double value, bool is_float32)
{
    if (value != value || value - value != 0) {
        tn_add(&w->out, "\"%s\"", value != value ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    const size_t start = w->out.count;
    tn_add_number(&w->out, value, is_float32);
    if (!w->out.failed && !strpbrk(w->out.text + start, ".eE"))
        tn_add(&w->out, ".0");
}

/* Many JSON tools keep 53 bits of an integer; what is longer is a text. */
void tn_write_integer(tn_writer *w, uint64_t bits, bool is_signed)
{
    const bool minus = is_signed && bits >> 63;
    const uint64_t magnitude = minus ? 0 - bits : bits;
    const char *quote = magnitude > UINT64_C(1) << 53 ? "\"" : "";
    tn_add(&w->out, "%s%s%" PRIu64 "%s", quote, minus ? "-" : "", magnitude, quote);
}

/* ---- types ---------------------------------------------------------------------------------- */

static void write_dim(tn_writer *w, tn_dim dim)
{
    tn_builder text = { 0 };
    if (tn_dim_known(dim)) {
        tn_add(&w->out, "%" PRId64, dim);
    } else if (dim == TN_DIM_UNKNOWN) {
        tn_add(&w->out, "null");
    } else {
        tn_add_dim(&text, tn_graph_dims(w->graph), dim);
        w->out.failed = w->out.failed || text.failed;
        tn_write_name(w, tn_builder_text(&text), "a dimension");
    }
    tn_builder_fini(&text);
}

void tn_write_type(tn_writer *w, const tn_type *type, const char *before)
{
    if (type->dtype != TN_UNDEFINED && type->kind == 0) {
        tn_add(&w->out, "%s\"dtype\": \"%s\"", before, tn_dtype_name(type->dtype));
    } else if (type->dtype != TN_UNDEFINED) {
        tn_add(&w->out, "%s\"type\": \"", before);
        tn_add_kind(&w->out, type);
        tn_add(&w->out, "\"");
    }
    if (type->rank < 0)
        return;
    tn_add(&w->out, "%s\"shape\": [", type->dtype != TN_UNDEFINED ? ", " : before);
    for (int32_t k = 0; k < type->rank; k++) {
        tn_add(&w->out, "%s", k ? ", " : "");
        write_dim(w, type->dims[k]);
    }
    tn_add(&w->out, "]");
}

/* ---- elements --------------------------------------------------------------------------------- */

static void write_element(tn_writer *w, const tn_tensor *tensor, size_t k)
{
    const uint32_t dtype = tensor->dtype, part = dtype == TN_COMPLEX64 ? TN_FLOAT32 : TN_FLOAT64;
    if (dtype == TN_STRING) {
        tn_write_text(w, ((const tn_text *)tensor->data)[k]);
    } else if (dtype == TN_BOOL) {
        tn_add(&w->out, "%s", ((const unsigned char *)tensor->data)[k] ? "true" : "false");
    } else if (tn_dtype_is_complex(dtype)) {
        tn_add(&w->out, "[");
        tn_write_float(w, tn_float_get(part, tensor->data, 2 * k), part == TN_FLOAT32);
        tn_add(&w->out, ", ");
        tn_write_float(w, tn_float_get(part, tensor->data, 2 * k + 1), part == TN_FLOAT32);
        tn_add(&w->out, "]");
    } else if (tn_dtype_is_float(dtype)) {
        /* Every smaller float is a float32, whose shortest decimal is enough; but powers of two that
         * are read without rounding want all digits. */
        tn_write_float(w, tn_float_get(dtype, tensor->data, k),
                       dtype != TN_FLOAT64 && dtype != TN_FLOAT8E8M0);
    } else {
        int64_t low;
        uint64_t high;
        tn_integer_bounds(dtype, &low, &high);
        tn_write_integer(w, tn_integer_get(dtype, tensor->data, k), low < 0);
    }
}

/* Whether decimals keep all bits: not those of a NaN that carries something. */
static bool is_plain(const tn_tensor *tensor, size_t count)
{
    const uint32_t dtype = tensor->dtype, part = dtype == TN_COMPLEX64    ? TN_FLOAT32
                                                 : dtype == TN_COMPLEX128 ? TN_FLOAT64
                                                                          : dtype;
    const size_t parts = tn_dtype_is_complex(dtype) ? 2 * count : count;
    for (size_t k = 0; tn_dtype_is_float(part) && k < parts; k++)
        if (!tn_float_is_plain(part, tensor->data, k))
            return false;
    return true;
}

static void write_data(tn_writer *w, const tn_tensor *tensor, size_t count, size_t bytes)
{
    if (!is_plain(tensor, count)) {
        tn_add(&w->out, ", \"bytes\": \"");
        tn_add_base64(&w->out, tensor->data, bytes);
        tn_add(&w->out, "\"");
        return;
    }
    tn_add(&w->out, ", \"data\": [");
    for (size_t k = 0; k < count; k++) {
        tn_add(&w->out, "%s", k ? ", " : "");
        write_element(w, tensor, k);
    }
    tn_add(&w->out, "]");
}

static void write_recipe(tn_writer *w, const tn_random_spec *spec)
{
    const bool normal = strcmp(spec->distribution, "normal") == 0;
    tn_add(&w->out, ", \"random\": {\"distribution\": \"%s\", \"%s\": ", spec->distribution,
           normal ? "mean" : "low");
    tn_write_float(w, normal ? spec->mean : spec->low, false);
    tn_add(&w->out, ", \"%s\": ", normal ? "std" : "high");
    tn_write_float(w, normal ? spec->std : spec->high, false);
    tn_add(&w->out, ", \"seed\": ");
    tn_write_integer(w, spec->seed, false);
    tn_add(&w->out, "}");
}

/* ---- tensors ------------------------------------------------------------------------------------ */

/* A name that no other tensor of the weights file has. */
static const char *unique_name(tn_writer *w, const char *wanted)
{
    tn_builder name = { 0 };
    tn_add(&name, "%s", wanted);
    for (uint32_t k = 2;
         !name.failed && (tn_map_get(&w->stored_names, tn_builder_text(&name), NULL) ||
                          strcmp(tn_builder_text(&name), "__metadata__") == 0);
         k++) {
        name.count = 0;
        tn_add(&name, "%s#%" PRIu32, wanted, k);
    }
    char *copy = name.failed ? NULL : tn_pool_copy(&w->pool, tn_builder_text(&name));
    tn_builder_fini(&name);
    return copy && tn_map_put(&w->stored_names, copy, 0) == TN_OK ? copy : NULL;
}

static void store(tn_writer *w, const tn_tensor *tensor, size_t bytes, const char *store_as)
{
    const char *name = unique_name(w, store_as);
    if (!name || !TN_GROW(&w->stored)) {
        w->out.failed = true;
        return;
    }
    w->stored.items[w->stored.count++] =
        (tn_stored){ .name = name, .tensor = tensor, .bytes = bytes };
    tn_add(&w->out, ", \"tensor\": ");
    tn_write_name(w, name, "the name of a constant");
}

void tn_write_tensor(tn_writer *w, const tn_tensor *tensor, const tn_constant *constant,
                     const char *name, const char *store_as)
{
    tn_random_spec spec;
    int64_t count = 0;
    size_t bytes = 0;
    if (tn_shape_count(tensor->rank, tensor->dims, &count) != TN_OK ||
        tn_shape_bytes(tensor->dtype, tensor->rank, tensor->dims, &bytes) != TN_OK) {
        tn_write_complain(w, TN_ERR_SHAPE, NULL, "constant '%s': %s", store_as, tn_error_message());
        return;
    }
    tn_add(&w->out, "{\"dtype\": \"%s\", \"shape\": [", tn_dtype_name(tensor->dtype));
    for (int32_t k = 0; k < tensor->rank; k++)
        tn_add(&w->out, "%s%" PRId64, k ? ", " : "", tensor->dims[k]);
    tn_add(&w->out, "]");
    if (constant && name && tn_recipe_of(constant, name, &spec))
        write_recipe(w, &spec);
    else if (count > TN_JSON_MOST_INLINE && tensor->dtype != TN_STRING)
        store(w, tensor, bytes, store_as);
    else
        write_data(w, tensor, (size_t)count, bytes);
    tn_add(&w->out, "}");
}
