/* tests/integration/answers.h: one node, what goes in and what must come out, as a row of a table.
 *
 * Texts have ' where JSON has ". Expected values stand in the row: a formula or numpy gave them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_ANSWERS_H
#define TENON_TESTS_ANSWERS_H

#include "support.h"
#include "tenon/kernel.h"

#include <stdio.h>

/* Inputs: constants. */
#define C(dtype, shape, data) "{'dtype': '" dtype "', 'shape': " shape ", 'data': " data "}"

typedef struct answer {
    const char *op;
    int opset;
    const char *attributes; /* "'axis': 1"; NULL: none */
    const char *inputs[6];
    uint32_t dtype;
    const char *shape; /* "[2, 3]" */
    double tolerance;  /* relative; 0: equal */
    int count;         /* of the values below */
    double values[24];
} answer;

#define VALUES(...)                                                                                \
    .count = sizeof((double[]){ __VA_ARGS__ }) / sizeof(double), .values = { __VA_ARGS__ }

/* A node that is complained about. */
#define WRONG(name, set, text, ...)                                                                \
    {                                                                                              \
        .op = name, .opset = set, .attributes = text, .inputs = { __VA_ARGS__ }                    \
    }

static inline char *one_node(const answer *a)
{
    char *text = malloc(4096);
    int n = snprintf(text, 4096,
                     "{'tenon': 1, 'name': 't', 'opset': %d, 'inputs': [], "
                     "'outputs': ['y'], 'constants': {",
                     a->opset);
    for (int k = 0; k < 6 && a->inputs[k]; k++)
        n += snprintf(text + n, 4096 - (size_t)n, "%s'x%d': %s", k ? ", " : "", k, a->inputs[k]);
    n += snprintf(text + n, 4096 - (size_t)n, "}, 'nodes': [{'op': '%s', 'inputs': [", a->op);
    for (int k = 0; k < 6 && a->inputs[k]; k++)
        n += snprintf(text + n, 4096 - (size_t)n, "%s'x%d'", k ? ", " : "", k);
    n += snprintf(text + n, 4096 - (size_t)n, "], 'outputs': ['y'], 'attributes': {%s}}]}",
                  a->attributes ? a->attributes : "");
    cr_assert_lt(n, 4096);
    for (char *at = text; *at; at++)
        *at = (char)(*at == '\'' ? '"' : *at);
    return text;
}

static inline void shape_text(const tn_tensor *y, char *out, size_t bytes)
{
    size_t n = (size_t)snprintf(out, bytes, "[");
    for (int32_t k = 0; k < y->rank; k++)
        n += (size_t)snprintf(out + n, bytes - n, "%s%lld", k ? ", " : "", (long long)y->dims[k]);
    snprintf(out + n, bytes - n, "]");
}

/* Equal, both NaN, or as near as the row allows; of two zeros the signs count. */
static inline int is_near(double found, double expected, double tolerance)
{
    if (isnan(expected))
        return isnan(found);
    if (expected == 0 && found == 0)
        return signbit(expected) == signbit(found);
    return found == expected || fabs(found - expected) <= tolerance * fabs(expected);
}

static inline void check_output(const answer *a, const tn_tensor *y)
{
    char shape[128];
    cr_assert(y);
    shape_text(y, shape, sizeof shape);
    cr_assert_eq(y->dtype, a->dtype, "%s: dtype %u, expected %u", a->op, y->dtype, a->dtype);
    cr_assert_str_eq(shape, a->shape, "%s: %s, expected %s", a->op, shape, a->shape);
    cr_assert_eq(tn_count(y), a->count, "%s: %d values are expected", a->op, a->count);
    for (int k = 0; k < a->count; k++) {
        const double found = tn_get_double(y->dtype, y->data, k);
        cr_assert(is_near(found, a->values[k], a->tolerance),
                  "%s of set %d (%s): element %d is %.17g, expected %.17g", a->op, a->opset,
                  a->attributes ? a->attributes : "", k, found, a->values[k]);
    }
}

static inline void check_answer(const answer *a)
{
    char *text = one_node(a);
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", "none", 2, 0);
    tn_context *context;
    OK(tn_context_create(session, &context));
    OK(tn_context_run(context, NULL));
    check_output(a, tn_context_output(context, 0));
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
    free(text);
}

#define CHECK_ALL(rows)                                                                            \
    for (size_t check_k = 0; check_k < sizeof(rows) / sizeof *(rows); check_k++)                   \
    check_answer(&(rows)[check_k])

/* The first complaint about a node, word for word; of a run, its end. */
static inline void check_complaint(const answer *a, tn_status status, const char *message)
{
    char *text = one_node(a);
    tn_runtime *runtime;
    tn_diagnostics *diagnostics;
    tn_model *model = NULL;
    tn_session *session = NULL;
    tn_context *context = NULL;
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = "none"
    };
    OK(tn_runtime_create(NULL, NULL, &runtime));
    OK(tn_diagnostics_create(&diagnostics));
    tn_status found = tn_model_load_bytes(runtime, text, strlen(text), NULL, diagnostics, &model);
    if (found == TN_OK)
        found = tn_session_create(model, &options, diagnostics, &session);
    if (found == TN_OK)
        found = tn_context_create(session, &context);
    if (found == TN_OK)
        found = tn_context_run(context, NULL);
    cr_assert_eq(found, status, "%s: %s (%s)", a->op, tn_status_name(found), tn_error_message());
    if (tn_diagnostics_count(diagnostics) > 0)
        cr_assert_str_eq(tn_diagnostics_get(diagnostics, 0)->message, message);
    else
        cr_assert(strstr(tn_error_message(), message), "%s", tn_error_message());
    tn_context_destroy(context);
    tn_session_destroy(session);
    tn_model_destroy(model);
    tn_diagnostics_destroy(diagnostics);
    tn_runtime_destroy(runtime);
    free(text);
}

/* The inferred type of the one output of a graph, as "float32[N,3]". */
static inline void check_inferred(const char *graph, const char *type)
{
    char found[256], *text = strdup(graph);
    for (char *at = text; *at; at++)
        *at = (char)(*at == '\'' ? '"' : *at);
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    const tn_port *port = tn_session_output(session, 0);
    snprintf(found, sizeof found, "%s%s", tn_dtype_name(port->type.dtype), port->shape);
    cr_assert_str_eq(found, type);
    tn_session_destroy(session);
    close_fixture(&f);
    free(text);
}

#endif
