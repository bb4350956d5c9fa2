/* tests/integration/graphs.h: small graphs as text in C, with ' where JSON has ", and values of any
 * type in and out in few words.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_GRAPHS_H
#define TENON_TESTS_GRAPHS_H

#include "support.h"

#include <stdio.h>

/* The head of a graph; what follows are its keys from "inputs" on. */
#define GRAPH_OF(opset, rest) "{'tenon': 1, 'name': 't', 'opset': " #opset ", " rest "}"
#define GRAPH(rest) GRAPH_OF(21, rest)
#define IN(name, dtype, shape) "{'name': '" name "', 'dtype': '" dtype "', 'shape': " shape "}"
#define NODE(op, in, out) "{'op': '" op "', 'inputs': [" in "], 'outputs': [" out "]}"
#define NODE_WITH(op, in, out, attributes)                                                         \
    "{'op': '" op "', 'inputs': [" in "], 'outputs': [" out "], 'attributes': {" attributes "}}"
#define NAMED(name, op, in, out, attributes)                                                       \
    "{'name': '" name "', 'op': '" op "', 'inputs': [" in "], 'outputs': [" out                    \
    "], 'attributes': {" attributes "}}"
#define BODY(in, out, nodes)                                                                       \
    "{'graph': {'inputs': [" in "], 'outputs': [" out "], 'nodes': [" nodes "]}}"
#define BODY_WITH(in, out, constants, nodes)                                                       \
    "{'graph': {'inputs': [" in "], 'outputs': [" out "], 'constants': {" constants                \
    "}, 'nodes': [" nodes "]}}"
#define CONSTANT(name, dtype, shape, data)                                                         \
    "'" name "': {'dtype': '" dtype "', 'shape': " shape ", 'data': " data "}"

typedef struct running {
    fixture f;
    tn_session *session;
    tn_context *context;
} running;

/* The text with " for '. */
static inline char *as_json(const char *text)
{
    char *json = strdup(text);
    for (char *at = json; *at; at++)
        *at = (char)(*at == '\'' ? '"' : *at);
    return json;
}

static inline tn_session *session_of(const fixture *f, const tn_session_options *options)
{
    tn_session *session;
    OK(tn_session_create(f->model, options, NULL, &session));
    return session;
}

static inline running start_with(const char *text, const tn_session_options *options)
{
    char *json = as_json(text);
    running r = { .f = open_text(json) };
    free(json);
    r.session = session_of(&r.f, options);
    OK(tn_context_create(r.session, &r.context));
    return r;
}

static inline running start(const char *text, const char *passes)
{
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = passes
    };
    return start_with(text, &options);
}

static inline void stop(running *r)
{
    tn_context_destroy(r->context);
    tn_session_destroy(r->session);
    close_fixture(&r->f);
}

static inline tn_tensor tensor_of(uint32_t dtype, int32_t rank, const int64_t *dims, void *data)
{
    size_t count = 1;
    for (int32_t k = 0; k < rank; k++)
        count *= (size_t)dims[k];
    return (tn_tensor){ .size = sizeof(tn_tensor),
                        .dtype = dtype,
                        .rank = rank,
                        .dims = dims,
                        .data = data,
                        .bytes = (count * tn_dtype_bits(dtype) + 7) / 8 };
}

static inline void set(running *r, const char *name, uint32_t dtype, int32_t rank,
                       const int64_t *dims, void *data)
{
    const tn_tensor x = tensor_of(dtype, rank, dims, data);
    OK(tn_context_set_input(r->context, name, &x));
}

#define DIMS(...) ((const int64_t[]){ __VA_ARGS__ })
#define SCALAR 0, NULL
#define F(...) ((float[]){ __VA_ARGS__ })
#define I(...) ((int64_t[]){ __VA_ARGS__ })
#define B(...) ((uint8_t[]){ __VA_ARGS__ })

static inline void go(running *r)
{
    OK(tn_context_run(r->context, NULL));
}

static inline void has_type(const tn_tensor *y, uint32_t dtype, int32_t rank, const int64_t *dims)
{
    cr_assert(y, "there is no such output");
    cr_assert_eq(y->kind, 0);
    cr_assert_eq(y->dtype, dtype, "dtype %u, expected %u", y->dtype, dtype);
    cr_assert_eq(y->rank, rank, "rank %d, expected %d", y->rank, rank);
    for (int32_t k = 0; k < rank; k++)
        cr_assert_eq(y->dims[k], dims[k], "axis %d has extent %d, expected %d", k, (int)y->dims[k],
                     (int)dims[k]);
}

static inline void is_floats(const tn_tensor *y, int32_t rank, const int64_t *dims,
                             const float *expected)
{
    has_type(y, TN_FLOAT32, rank, dims);
    for (size_t k = 0; k < y->bytes / sizeof(float); k++)
        cr_assert_eq(((const float *)y->data)[k], expected[k], "element %zu is %g, expected %g", k,
                     (double)((const float *)y->data)[k], (double)expected[k]);
}

static inline void is_ints(const tn_tensor *y, int32_t rank, const int64_t *dims,
                           const int64_t *expected)
{
    has_type(y, TN_INT64, rank, dims);
    for (size_t k = 0; k < y->bytes / sizeof(int64_t); k++)
        cr_assert_eq(((const int64_t *)y->data)[k], expected[k],
                     "element %zu is %lld, expected %lld", k,
                     (long long)((const int64_t *)y->data)[k], (long long)expected[k]);
}

static inline const tn_tensor *out(const running *r, size_t k)
{
    return tn_context_output(r->context, k);
}

/* A run that fails with this status and these words. */
static inline void run_says(running *r, tn_status status, const char *words)
{
    const tn_status found = tn_context_run(r->context, NULL);
    cr_assert_eq(found, status, "%s: %s", tn_status_name(found), tn_error_message());
    cr_assert(strstr(tn_error_message(), words), "%s", tn_error_message());
}

/* A session that cannot be made, with this status and these words. */
static inline void session_says(const char *text, tn_status status, const char *words)
{
    char *json = as_json(text);
    fixture f = open_text(json);
    tn_session *session;
    const tn_session_options options = { .size = sizeof options, .backends = "reference" };
    const tn_status found = tn_session_create(f.model, &options, NULL, &session);
    cr_assert_eq(found, status, "%s: %s", tn_status_name(found), tn_error_message());
    cr_assert(strstr(tn_error_message(), words), "%s", tn_error_message());
    free(json);
    close_fixture(&f);
}

/* Both ways through the compiler: as written, and with the passes. */
static const char *const ways[] = { "none", NULL };
#define BOTH_WAYS(r, text)                                                                         \
    for (size_t way = 0; way < 2; way++)                                                           \
        for (running r = start(text, ways[way]); r.session; stop(&r), r.session = NULL)

#endif
