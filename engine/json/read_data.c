/* engine/json/read_data.c: elements of constants written as lists of numbers, truths or texts.
 *
 * The list is flat, or nested as the shape is; an element of a scalar may stand alone.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/reader.h"

#include <stdio.h>

bool tn_json_number(const json_t *value, double *out)
{
    const char *text = json_string_value(value);
    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    if (!text)
        return false;
    const bool nan = strcmp(text, "NaN") == 0, minus = text[0] == '-';
    *out = nan ? (double)__builtin_nan("") : minus ? -__builtin_inf() : __builtin_inf();
    return nan || strcmp(text + minus, "Infinity") == 0;
}

/* -?[0-9]+ within 64 bits, of either signedness. */
static bool parse_integer(const char *text, bool *minus, uint64_t *magnitude)
{
    *minus = *text == '-';
    text += *minus;
    *magnitude = 0;
    if (!*text)
        return false;
    for (; *text; text++)
        if (*text < '0' || *text > '9' ||
            __builtin_mul_overflow(*magnitude, UINT64_C(10), magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(*text - '0'), magnitude))
            return false;
    return true;
}

bool tn_json_integer(const json_t *value, int64_t low, uint64_t high, uint64_t *out)
{
    bool minus = false;
    uint64_t magnitude = 0;
    if (json_is_integer(value)) {
        minus = json_integer_value(value) < 0;
        magnitude = minus ? 0 - (uint64_t)json_integer_value(value)
                          : (uint64_t)json_integer_value(value);
    } else if (!json_is_string(value) ||
               !parse_integer(json_string_value(value), &minus, &magnitude)) {
        return false;
    }
    *out = minus ? 0 - magnitude : magnitude;
    if (minus && magnitude)
        return low < 0 && magnitude <= 0 - (uint64_t)low;
    return magnitude <= high && (low <= 0 || magnitude >= (uint64_t)low);
}

typedef struct filler {
    tn_reader *r;
    const tn_tensor *tensor;
    const char *dtype;
    size_t next;
    bool *good;
} filler;

static void wrong(filler *f, const tn_place *at, const json_t *value, const char *expected)
{
    *f->good = false;
    tn_json_complain(f->r, at, TN_ERR_VALUE, "", "element %zu is %s: expected %s", f->next,
                     tn_json_found(f->r, value), expected);
}

static void set_float(filler *f, const tn_place *at, const json_t *value, uint32_t dtype,
                      size_t index)
{
    double number;
    if (!tn_json_number(value, &number)) {
        wrong(f, at, value, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
        return;
    }
    const char *why = tn_float_set(dtype, f->tensor->data, index, number);
    if (why) {
        *f->good = false;
        tn_json_complain(f->r, at, TN_ERR_VALUE, "", "element %zu is %s, which no %s is: %s",
                         f->next, tn_json_found(f->r, value), f->dtype, why);
    }
}

static void set_integer(filler *f, const tn_place *at, const json_t *value)
{
    int64_t low;
    uint64_t high, number;
    char range[80];
    tn_integer_bounds(f->tensor->dtype, &low, &high);
    if (tn_json_integer(value, low, high, &number)) {
        tn_integer_set(f->tensor->dtype, f->tensor->data, f->next, number);
        return;
    }
    snprintf(range, sizeof range, "an integer of %s, from %" PRId64 " to %" PRIu64, f->dtype, low,
             high);
    wrong(f, at, value, range);
}

static tn_status set_text(filler *f, const tn_place *at, const json_t *value)
{
    char about[48];
    bool good;
    snprintf(about, sizeof about, "element %zu", f->next);
    TN_TRY(tn_json_text(f->r, at, value, about, (tn_text *)f->tensor->data + f->next, &good));
    *f->good = *f->good && good;
    return TN_OK;
}

static tn_status set_element(filler *f, const tn_place *at, const json_t *value)
{
    const uint32_t dtype = f->tensor->dtype;
    if (tn_dtype_is_float(dtype)) {
        set_float(f, at, value, dtype, f->next);
    } else if (tn_dtype_is_integer(dtype)) {
        set_integer(f, at, value);
    } else if (dtype == TN_BOOL) {
        ((unsigned char *)f->tensor->data)[f->next] = json_is_true(value);
        if (!json_is_boolean(value))
            wrong(f, at, value, "true or false");
    } else if (dtype == TN_STRING) {
        TN_TRY(set_text(f, at, value));
    } else if (json_array_size(value) != 2) { /* complex */
        wrong(f, at, value, "[real, imaginary]");
    } else {
        for (size_t k = 0; k < 2; k++) {
            const tn_place part = { .up = at, .index = k };
            set_float(f, &part, json_array_get(value, k),
                      dtype == TN_COMPLEX64 ? TN_FLOAT32 : TN_FLOAT64, 2 * f->next + k);
        }
    }
    f->next++;
    return TN_OK;
}

static tn_status fill_flat(filler *f, const tn_place *at, const json_t *list)
{
    for (size_t k = 0; k < json_array_size(list); k++) {
        const tn_place here = { .up = at, .index = k };
        TN_TRY(set_element(f, &here, json_array_get(list, k)));
    }
    return TN_OK;
}

static tn_status fill_nested(filler *f, const tn_place *at, const json_t *list, int32_t axis)
{
    const int64_t extent = f->tensor->dims[axis];
    if (!json_is_array(list) || (uint64_t)json_array_size(list) != (uint64_t)extent) {
        char found[48];
        snprintf(found, sizeof found, "a list of %zu", json_array_size(list));
        *f->good = false;
        tn_json_complain(f->r, at, TN_ERR_SHAPE, "",
                         "on axis %d of \"data\" stands %s: expected a list of %" PRId64
                         ", as the shape says",
                         axis, json_is_array(list) ? found : tn_json_found(f->r, list), extent);
        return TN_OK;
    }
    if (axis == f->tensor->rank - 1)
        return fill_flat(f, at, list);
    for (size_t k = 0; k < json_array_size(list); k++) {
        const tn_place here = { .up = at, .index = k };
        TN_TRY(fill_nested(f, &here, json_array_get(list, k), axis + 1));
    }
    return TN_OK;
}

/* Lists within lists; for complex numbers, whose elements are lists, one level more. */
static bool is_nested(const json_t *list, uint32_t dtype)
{
    const json_t *first = json_array_get(list, 0);
    return json_is_array(tn_dtype_is_complex(dtype) ? json_array_get(first, 0) : first);
}

tn_status tn_json_data(tn_reader *r, const tn_place *at, const json_t *value,
                       const tn_tensor *tensor, bool *good)
{
    filler f = { .r = r, .tensor = tensor, .dtype = tn_dtype_name(tensor->dtype), .good = good };
    int64_t count;
    *good = true;
    TN_TRY(tn_shape_count(tensor->rank, tensor->dims, &count));
    if (!json_is_array(value) && tensor->rank == 0)
        return set_element(&f, at, value);
    if (!json_is_array(value)) {
        *good = false;
        tn_json_complain(r, at, TN_ERR_FORMAT, "",
                         "\"data\" is %s: expected a list of %" PRId64 " elements",
                         tn_json_found(r, value), count);
        return TN_OK;
    }
    if (tensor->rank > 1 && is_nested(value, tensor->dtype))
        return fill_nested(&f, at, value, 0);
    if ((uint64_t)json_array_size(value) != (uint64_t)count) {
        *good = false;
        tn_json_complain(r, at, TN_ERR_SHAPE, "",
                         "\"data\" has %zu element%s: expected %" PRId64 ", as the shape says",
                         json_array_size(value), json_array_size(value) == 1 ? "" : "s", count);
        return TN_OK;
    }
    return fill_flat(&f, at, value);
}
