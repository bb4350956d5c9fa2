/* engine/run/check_values.c: random inputs with the values that passes stumble over, and answers held
 * against each other.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/json.h"
#include "engine/run/check.h"
#include "tenon/kernel.h"

#include <math.h>

/* ---- inputs --------------------------------------------------------------------------------- */

/* Random bits for an element: the same on every machine. */
static uint32_t draw(uint64_t seed, int64_t element, uint32_t stream)
{
    const uint32_t counter[4] = { (uint32_t)element, (uint32_t)((uint64_t)element >> 32), stream,
                                  0 };
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    uint32_t out[4];
    tn_philox(counter, key, out);
    return out[0];
}

static double plain(uint32_t bits)
{
    return (double)bits / 2147483648.0 - 1.0;
}

static double special(uint32_t choice, double otherwise)
{
    switch (choice % 32u) {
    case 0: return NAN;
    case 1: return INFINITY;
    case 2: return -INFINITY;
    case 3: return -0.0;
    case 4: return 0.0;
    default: return otherwise;
    }
}

/* Large numbers near the end of the type would overflow in one order of a sum and not in another,
 * which is no mistake of a pass that reorders sums. */
static double large(uint32_t dtype, double most, uint32_t choice, double value)
{
    static const double ends[] = {
        [TN_FLOAT32] = 1e38, [TN_FLOAT16] = 3e4, [TN_FLOAT64] = 1e307, [TN_BFLOAT16] = 1e38
    };
    const double end = most > 0.0                                  ? most
                       : dtype < TN_COUNT(ends) && ends[dtype] > 0 ? ends[dtype]
                                                                   : 1e3;
    return choice % 4u == 0 ? value * end : value;
}

static double float_of(uint32_t dtype, uint32_t kind, double most, uint32_t bits, uint32_t choice)
{
    const double value = plain(bits);
    switch (kind) {
    case TN_CHECK_SMALL: return choice % 4u == 0 ? -0.0 : floor(value * 3.0);
    case TN_CHECK_SPECIAL: return special(choice, value);
    case TN_CHECK_LARGE: return large(dtype, most, choice, value);
    default: return value;
    }
}

static void fill_texts(const tn_tensor *tensor, uint64_t seed)
{
    static const char *const texts[] = { "", "a", "b", "tenon" };
    tn_text *out = tensor->data;
    for (int64_t k = 0; k < tn_count(tensor); k++) {
        const char *text = texts[draw(seed, k, 0) % TN_COUNT(texts)];
        out[k] = (tn_text){ text, strlen(text) };
    }
}

static bool is_complex(uint32_t dtype)
{
    return dtype == TN_COMPLEX64 || dtype == TN_COMPLEX128;
}

/* The parts of a complex number are elements of their own here. */
static uint32_t part_dtype(uint32_t dtype)
{
    return dtype == TN_COMPLEX64 ? TN_FLOAT32 : dtype == TN_COMPLEX128 ? TN_FLOAT64 : dtype;
}
static int64_t part_count(const tn_tensor *tensor)
{
    return tn_count(tensor) * (is_complex(tensor->dtype) ? 2 : 1);
}

tn_status tn_check_fill(const tn_tensor *tensor, uint32_t kind, double most, uint64_t seed)
{
    const uint32_t dtype = part_dtype(tensor->dtype);
    const int64_t count = part_count(tensor);
    if (tensor->dtype == TN_STRING) {
        fill_texts(tensor, seed);
        return TN_OK;
    }
    if (dtype == TN_UNDEFINED)
        return tn_raise(TN_ERR_TYPE, "it has no element type");
    for (int64_t k = 0; k < count; k++) {
        const uint32_t bits = draw(seed, k, 0), choice = draw(seed, k, 1);
        if (tn_dtype_is_float(dtype))
            tn_set_float(dtype, tensor->data, k, float_of(dtype, kind, most, bits, choice));
        else
            tn_set_int(dtype, tensor->data, k,
                       bits % (kind == TN_CHECK_PLAIN || dtype == TN_BOOL ? 2u : 5u));
    }
    return TN_OK;
}

void tn_check_nudge(const tn_tensor *tensor, double ulps, uint64_t seed)
{
    const uint32_t dtype = part_dtype(tensor->dtype);
    const int64_t count = part_count(tensor);
    const double step = ulps * tn_check_ulp(dtype);
    for (int64_t k = 0; step > 0 && k < count; k++) {
        const double x = tn_get_double(dtype, tensor->data, k);
        if (isfinite(x))
            tn_set_float(dtype, tensor->data, k, x * (1.0 + step * plain(draw(seed, k, 2))));
    }
}

/* ---- answers -------------------------------------------------------------------------------- */

static double get(const tn_tensor *tensor, int64_t k)
{
    const uint32_t dtype = part_dtype(tensor->dtype);
    return tn_dtype_is_float(dtype) ? tn_get_double(dtype, tensor->data, k)
                                    : (double)tn_get_int(dtype, tensor->data, k);
}

static double largest(const tn_tensor *tensor)
{
    double most = 0;
    for (int64_t k = 0; k < part_count(tensor); k++) {
        const double x = fabs(get(tensor, k));
        if (isfinite(x) && x > most)
            most = x;
    }
    return most;
}

static bool same_shape(const tn_tensor *a, const tn_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

/* How far the answer moves when the inputs do: by so much it is not determined. */
static double sensitivity(const tn_tensor *before, const tn_allowance *allowed)
{
    const tn_tensor *nudged = allowed->nudged;
    double most = 0;
    if (!nudged || nudged->kind != before->kind || !same_shape(before, nudged))
        return 0;
    for (int64_t k = 0; k < part_count(before); k++) {
        const double distance = fabs(get(before, k) - get(nudged, k));
        if (isfinite(distance) && distance > most)
            most = distance;
    }
    return most;
}

static double tolerance(const tn_tensor *before, const tn_allowance *allowed)
{
    const double own = tn_check_ulp(part_dtype(before->dtype));
    const double bound = allowed->bound + 4 * own;
    double out;
    if (allowed->exactness == TN_EXACT)
        return 0;
    out = sensitivity(before, allowed);
    /* Answers that are whole numbers step or do not. */
    if (own > 0)
        out = bound * largest(before) + out * fmax(1, allowed->bound);
    if (allowed->exactness == TN_EXACT_ROUNDING)
        return out;
    return out + (own > 0 ? 0.01 * largest(before) : fmax(1, 0.01 * largest(before)));
}

static bool same_element(double a, double b, double allowed, bool exact)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    if (exact)
        return a == b && !signbit(a) == !signbit(b);
    return fabs(a - b) <= allowed;
}

static bool compare_texts(const tn_tensor *before, const tn_tensor *after, tn_builder *why)
{
    const tn_text *a = before->data, *b = after->data;
    for (int64_t k = 0; k < tn_count(before); k++)
        if (a[k].count != b[k].count ||
            (a[k].count && memcmp(a[k].bytes, b[k].bytes, a[k].count))) {
            tn_add(why, "element %" PRId64 " is another text", k);
            return false;
        }
    return true;
}

static bool compare_integers(const tn_tensor *before, const tn_tensor *after, double allowed,
                             tn_builder *why)
{
    for (int64_t k = 0; k < tn_count(before); k++) {
        const int64_t a = tn_get_int(before->dtype, before->data, k);
        const int64_t b = tn_get_int(after->dtype, after->data, k);
        if (a != b && fabs((double)a - (double)b) > allowed) {
            tn_add(why, "element %" PRId64 " is %" PRId64 " before and %" PRId64 " after", k, a, b);
            return false;
        }
    }
    return true;
}

static bool compare_floats(const tn_tensor *before, const tn_tensor *after, double allowed,
                           bool exact, tn_builder *why)
{
    for (int64_t k = 0; k < part_count(before); k++) {
        const double a = get(before, k), b = get(after, k);
        if (!same_element(a, b, allowed, exact)) {
            tn_add(why, "element %" PRId64 " is %.9g before and %.9g after", k, a, b);
            if (!exact)
                tn_add(why, ", %.3g apart may they lie", allowed);
            return false;
        }
    }
    return true;
}

static bool compare_lists(const tn_tensor *before, const tn_tensor *after,
                          const tn_allowance *allowed, tn_builder *why)
{
    const tn_allowance plain = { .exactness = allowed->exactness, .bound = allowed->bound };
    const int64_t a = tn_value_count(before), b = tn_value_count(after);
    if (a != b) {
        tn_add(why, "has %" PRId64 " elements before and %" PRId64 " after", a, b);
        return false;
    }
    for (int64_t k = 0; k < a; k++)
        if (!tn_check_compare(tn_value_get(before, k), tn_value_get(after, k), &plain, why))
            return false;
    return true;
}

bool tn_check_compare(const tn_tensor *before, const tn_tensor *after, const tn_allowance *allowed,
                      tn_builder *why)
{
    if (before->kind == after->kind && tn_value_count(before) >= 0)
        return compare_lists(before, after, allowed, why);
    if (before->kind != after->kind || !same_shape(before, after)) {
        tn_add(why, "has another type or shape after");
        return false;
    }
    if (before->dtype == TN_STRING)
        return compare_texts(before, after, why);
    if (tn_dtype_is_float(part_dtype(before->dtype)))
        return compare_floats(before, after, tolerance(before, allowed),
                              allowed->exactness == TN_EXACT, why);
    return compare_integers(before, after, tolerance(before, allowed), why);
}
