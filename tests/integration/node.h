/* tests/integration/node.h: small graphs written with ' for ", run on the reference backend without
 * passes, or refused with a message.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_NODE_H
#define TENON_TESTS_NODE_H

#include "support.h"
#include "tenon/kernel.h"

#include <stdarg.h>
#include <stdio.h>

/* All arguments are text; inputs and outputs are the insides of lists. */
#define GRAPH(opset, inputs, outputs, constants, nodes)                                            \
    "{'tenon': 1, 'opset': " opset ", 'inputs': [" inputs "], 'outputs': [" outputs                \
    "], 'constants': {" constants "}, 'nodes': [" nodes "]}"

enum { NODE_TEXT = 16384 };

typedef struct running {
    fixture f;
    tn_session *session;
    tn_context *context;
} running;

static inline const char *node_quotes(char *text, const char *format, va_list list)
{
    const int count = vsnprintf(text, NODE_TEXT, format, list);
    cr_assert(count > 0 && count < NODE_TEXT);
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    return text;
}

static inline running start(const char *format, ...)
{
    char text[NODE_TEXT];
    running r = { .session = NULL };
    va_list list;
    va_start(list, format);
    r.f = open_text(node_quotes(text, format, list));
    va_end(list);
    r.session = make_session(&r.f, "reference", "none", 2, 0);
    OK(tn_context_create(r.session, &r.context));
    return r;
}

static inline void stop(running *r)
{
    tn_context_destroy(r->context);
    tn_session_destroy(r->session);
    close_fixture(&r->f);
}

/* Lends an input; dims and data must live until the run. */
static inline void give(running *r, const char *name, uint32_t dtype, int32_t rank,
                        const int64_t *dims, const void *data)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = dtype,
                               .rank = rank,
                               .dims = dims,
                               .data = (void *)(uintptr_t)data,
                               .bytes = tn_dtype_bytes(dtype, tn_extent(dims, 0, rank)) };
    OK(tn_context_set_input(r->context, name, &tensor));
}

/* Runs, and answers output 0. */
static inline const tn_tensor *answer(running *r)
{
    OK(tn_context_run(r->context, NULL));
    return tn_context_output(r->context, 0);
}

static inline double element(const tn_tensor *tensor, int64_t k)
{
    return tn_get_double(tensor->dtype, tensor->data, k);
}

static inline void expect_shape(const tn_tensor *tensor, int32_t rank, const int64_t *dims)
{
    cr_assert(tensor);
    cr_assert_eq(tensor->rank, rank, "rank %d", tensor->rank);
    for (int32_t axis = 0; axis < rank; axis++)
        cr_assert_eq(tensor->dims[axis], dims[axis], "extent %lld along axis %d",
                     (long long)tensor->dims[axis], axis);
}

/* NaN equals NaN; the sign of 0 counts for nothing. */
static inline void expect_elements(const tn_tensor *tensor, int64_t count, const double *wanted,
                                   double tolerance)
{
    cr_assert(tensor);
    cr_assert_eq(tn_count(tensor), count, "%lld elements", (long long)tn_count(tensor));
    for (int64_t k = 0; k < count; k++) {
        const double x = element(tensor, k), y = wanted[k];
        cr_expect(x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance,
                  "element %lld is %.17g, expected %.17g", (long long)k, x, y);
    }
}

/* The graph is not accepted, or its run ends, with this status and a message that ends in `text`. */
static inline void refuses(tn_status status, const char *text, const char *format, ...)
{
    char graph[NODE_TEXT];
    tn_session *session = NULL;
    tn_context *context = NULL;
    const tn_session_options options = {
        .size = sizeof options, .backends = "reference", .passes = "none", .threads = 1
    };
    va_list list;
    va_start(list, format);
    fixture f = open_text(node_quotes(graph, format, list));
    va_end(list);
    tn_status found = tn_session_create(f.model, &options, NULL, &session);
    if (found == TN_OK)
        found = tn_context_create(session, &context);
    if (found == TN_OK)
        found = tn_context_run(context, NULL);
    const char *message = tn_error_message();
    const size_t all = strlen(message), end = strlen(text);
    cr_expect_eq(found, status, "status %d: %s", (int)found, message);
    cr_expect(all >= end && !strcmp(message + all - end, text), "\"%s\"\ndoes not end in\n\"%s\"",
              message, text);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* Integers without a pattern, in [low, high]. */
static inline void fill_ints(uint32_t dtype, void *data, int64_t count, int low, int high,
                             uint32_t seed)
{
    for (int64_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        tn_set_int(dtype, data, k, low + (int)((seed >> 8) % (uint32_t)(high - low + 1)));
    }
}

#endif
