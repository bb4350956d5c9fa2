/* engine/json/elements.h: single elements of a tensor as numbers and back, for all element types
 * of numbers: the small floats and the packed integers too. Knows no JSON.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_JSON_ELEMENTS_H
#define TN_JSON_ELEMENTS_H

#include "engine/tensor/tensor.h"

bool tn_dtype_is_float(uint32_t dtype);   /* float64 down to float4e2m1; not complex */
bool tn_dtype_is_integer(uint32_t dtype); /* not bool */
bool tn_dtype_is_complex(uint32_t dtype);

/* Bounds of an integer type; the upper one unsigned, since uint64's does not fit otherwise. */
void tn_integer_bounds(uint32_t dtype, int64_t *low, uint64_t *high);
/* Element `index` as 64 bits in two's complement, sign-extended when the type has a sign. */
uint64_t tn_integer_get(uint32_t dtype, const void *data, size_t index);
void tn_integer_set(uint32_t dtype, void *data, size_t index, uint64_t value);

/* Stores the nearest value of a float type, ties to even. NULL, or why there is none: a finite
 * number beyond the type's range, an infinity or a NaN that it lacks, a sign. */
const char *tn_float_set(uint32_t dtype, void *data, size_t index, double value);
/* Exact: each float type's values are doubles. */
double tn_float_get(uint32_t dtype, const void *data, size_t index);
/* True when text keeps the element's bits: not for a NaN other than the one tn_float_set makes. */
bool tn_float_is_plain(uint32_t dtype, const void *data, size_t index);
/* The largest value below a finite float32, float64, float16 or bfloat16. */
double tn_float_below(uint32_t dtype, double value);

/* Base64 (RFC 4648, padded). The decoder answers false for anything else; *out is in the pool. */
void tn_add_base64(tn_builder *builder, const void *bytes, size_t count);
tn_status tn_base64_decode(tn_pool *pool, const char *text, size_t count, const char **out,
                           size_t *bytes, bool *valid);

/* UTF-8 without a zero byte. */
bool tn_is_utf8(const char *text, size_t count);
/* Text in quotes as JSON wants it. `text` is UTF-8. */
void tn_add_quoted(tn_builder *builder, const char *text, size_t count);

#endif
