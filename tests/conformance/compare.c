/* tests/conformance/compare.c: what was computed against what was expected.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"
#include "tenon/kernel.h"

#include <inttypes.h>
#include <string.h>

size_t elements_of(const tn_tensor *tensor)
{
    size_t count = 1;
    for (int32_t k = 0; k < tensor->rank; k++)
        count *= (size_t)tensor->dims[k];
    return count;
}

double element_of(const tn_tensor *tensor, size_t k)
{
    if (tensor->dtype == TN_COMPLEX64)
        return (double)((const float *)tensor->data)[k];
    if (tensor->dtype == TN_COMPLEX128)
        return ((const double *)tensor->data)[k];
    return tn_get_double(tensor->dtype, tensor->data, (int64_t)k);
}

const char *type_text(const tn_tensor *tensor, char *text, size_t room)
{
    size_t at = 0;
    if (tensor->kind) {
        snprintf(text, room, "%s of %" PRId64,
                 (tensor->kind & 15) == TN_SEQUENCE ? "a sequence" : "an optional",
                 tn_value_count(tensor));
        return text;
    }
    at += (size_t)snprintf(text, room, "%s[", tn_dtype_name(tensor->dtype));
    for (int32_t k = 0; k < tensor->rank && at + 32 < room; k++)
        at += (size_t)snprintf(text + at, room - at, "%s%" PRId64, k ? "," : "", tensor->dims[k]);
    snprintf(text + at, room - at, "]");
    return text;
}

/* ---- types ---------------------------------------------------------------------------------------- */

bool compare_types(const tn_tensor *got, const tn_tensor *want, char *why, size_t room)
{
    char a[160], b[160];
    bool same = (got->kind & 15) == (want->kind & 15);
    if (same && got->kind)
        same = tn_value_count(got) == tn_value_count(want);
    else if (same)
        same = got->dtype == want->dtype && got->rank == want->rank &&
               (!got->rank ||
                !memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims));
    if (!same)
        snprintf(why, room, "is %s, expected %s", type_text(got, a, sizeof a),
                 type_text(want, b, sizeof b));
    return same;
}

/* ---- elements ---------------------------------------------------------------------------------------- */

static bool is_float(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT32:
    case TN_FLOAT64:
    case TN_FLOAT16:
    case TN_BFLOAT16:
    case TN_COMPLEX64:
    case TN_COMPLEX128:
    case TN_FLOAT8E4M3FN:
    case TN_FLOAT8E4M3FNUZ:
    case TN_FLOAT8E5M2:
    case TN_FLOAT8E5M2FNUZ:
    case TN_FLOAT4E2M1:
    case TN_FLOAT8E8M0: return true;
    default: return false;
    }
}

/* As numpy's allclose: the tolerance is relative to what is expected. */
static bool close_enough(double got, double want, double atol)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return (got > 0) == (want > 0) && isinf(want) && isinf(got);
    return fabs(got - want) <= atol + 1e-3 * fabs(want);
}

static bool compare_floats(const tn_tensor *got, const tn_tensor *want, double atol, char *why,
                           size_t room)
{
    const bool is_complex = got->dtype == TN_COMPLEX64 || got->dtype == TN_COMPLEX128;
    const size_t count = elements_of(got) * (is_complex ? 2 : 1);
    size_t wrong = 0, first = 0;
    for (size_t k = 0; k < count; k++) {
        if (close_enough(element_of(got, k), element_of(want, k), atol))
            continue;
        first = wrong ? first : k;
        wrong++;
    }
    if (wrong)
        snprintf(why, room, "differs at %zu of %zu elements, first at %zu: %.9g, expected %.9g",
                 wrong, count, first, element_of(got, first), element_of(want, first));
    return !wrong;
}

static bool compare_texts(const tn_tensor *got, const tn_tensor *want, char *why, size_t room)
{
    const tn_text *a = got->data, *b = want->data;
    for (size_t k = 0; k < elements_of(got); k++) {
        if (a[k].count == b[k].count &&
            (!a[k].count || !memcmp(a[k].bytes, b[k].bytes, a[k].count)))
            continue;
        snprintf(why, room, "differs at element %zu: '%.*s', expected '%.*s'", k,
                 (int)(a[k].count < 40 ? a[k].count : 40), a[k].count ? a[k].bytes : "",
                 (int)(b[k].count < 40 ? b[k].count : 40), b[k].count ? b[k].bytes : "");
        return false;
    }
    return true;
}

static bool compare_integers(const tn_tensor *got, const tn_tensor *want, char *why, size_t room)
{
    for (size_t k = 0; k < elements_of(got); k++) {
        const int64_t a = tn_get_int(got->dtype, got->data, (int64_t)k);
        const int64_t b = tn_get_int(want->dtype, want->data, (int64_t)k);
        if (a == b)
            continue;
        snprintf(why, room, "differs at element %zu: %" PRId64 ", expected %" PRId64, k, a, b);
        return false;
    }
    return true;
}

bool compare_values(const tn_tensor *got, const tn_tensor *want, double atol, char *why,
                    size_t room)
{
    if (!compare_types(got, want, why, room))
        return false;
    for (int64_t k = 0; got->kind && k < tn_value_count(got); k++)
        if (!compare_values(tn_value_get(got, k), tn_value_get(want, k), atol, why, room))
            return false;
    if (got->kind)
        return true;
    if (got->dtype == TN_STRING)
        return compare_texts(got, want, why, room);
    return is_float(got->dtype) ? compare_floats(got, want, atol, why, room)
                                : compare_integers(got, want, why, room);
}
