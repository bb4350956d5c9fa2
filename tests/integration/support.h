/* tests/integration/support.h: loading, running and comparing in few words. Needs TENON_PLUGIN_PATH.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_SUPPORT_H
#define TENON_TESTS_SUPPORT_H

#include "tenon/tenon.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), TN_OK, "%s", tn_error_message())

/* One model with its runtime; sessions and contexts are made by the tests. */
typedef struct fixture {
    tn_runtime *runtime;
    tn_model *model;
} fixture;

static inline fixture open_text(const char *json)
{
    fixture f;
    OK(tn_runtime_create(NULL, NULL, &f.runtime));
    OK(tn_model_load_bytes(f.runtime, json, strlen(json), NULL, NULL, &f.model));
    return f;
}

static inline fixture open_file(const char *path)
{
    fixture f;
    OK(tn_runtime_create(NULL, NULL, &f.runtime));
    OK(tn_model_load(f.runtime, path, NULL, NULL, &f.model));
    return f;
}

static inline void close_fixture(fixture *f)
{
    tn_model_destroy(f->model);
    tn_runtime_destroy(f->runtime);
}

static inline tn_session *make_session(fixture *f, const char *backends, const char *passes,
                                       uint32_t threads, uint32_t flags)
{
    tn_session *session;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = threads,
                                         .backends = backends,
                                         .passes = passes,
                                         .flags = flags };
    OK(tn_session_create(f->model, &options, NULL, &session));
    return session;
}

static inline tn_tensor floats(float *data, int32_t rank, const int64_t *dims)
{
    size_t count = 1;
    for (int32_t k = 0; k < rank; k++)
        count *= (size_t)dims[k];
    return (tn_tensor){ .size = sizeof(tn_tensor),
                        .dtype = TN_FLOAT32,
                        .rank = rank,
                        .dims = dims,
                        .data = data,
                        .bytes = count * sizeof(float) };
}

/* Numbers without a pattern that a kernel could hide behind; between -1 and 1. */
static inline void fill(float *data, size_t count, uint32_t seed)
{
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        data[k] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

/* The bound for a sum of `terms` products of numbers around 1 in float32, in two different orders. */
static inline float bound(int terms, float scale)
{
    return scale * (float)terms * 2.0f * 1.19209290e-7f;
}

static inline void assert_near(const tn_tensor *a, const tn_tensor *b, float tolerance)
{
    cr_assert(a && b);
    cr_assert_eq(a->bytes, b->bytes);
    for (size_t k = 0; k < a->bytes / sizeof(float); k++) {
        const float x = ((const float *)a->data)[k], y = ((const float *)b->data)[k];
        cr_assert(fabsf(x - y) <= tolerance || (isnan(x) && isnan(y)) || x == y,
                  "element %zu: %.9g and %.9g", k, (double)x, (double)y);
    }
}

#endif
