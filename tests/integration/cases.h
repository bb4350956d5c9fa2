/* tests/integration/cases.h: one node with constant inputs, run by the reference backend, its outputs
 * held against numbers or texts; or a node that is wrong, and what is said about it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_CASES_H
#define TENON_TESTS_CASES_H

#include "support.h"

#include "tenon/kernel.h"

#include <stdio.h>

typedef struct one_node {
    const char *name; /* of the case */
    const char *opset, *domain, *op, *attributes;
    const char *inputs;    /* "\"x\", \"\"" */
    const char *constants; /* members of the JSON object */
    uint32_t outputs;
    const char *expected; /* numbers of output 0 apart by blanks, or the message */
} one_node;

static inline void write_case(const one_node *c, char *json, size_t size)
{
    char names[64] = "";
    for (uint32_t k = 0; k < (c->outputs ? c->outputs : 1); k++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s\"y%u\"", k ? "," : "", k);
    snprintf(json, size,
             "{\"tenon\": 1, \"opset\": %s, \"inputs\": [], \"outputs\": [%s], \"constants\": {%s},"
             " \"nodes\": [{\"name\": \"n\", \"op\": \"%s\", \"domain\": \"%s\", \"inputs\": [%s],"
             " \"outputs\": [%s], \"attributes\": {%s}}]}",
             c->opset, names, c->constants, c->op, c->domain ? c->domain : "", c->inputs, names,
             c->attributes ? c->attributes : "");
}

typedef void (*check_outputs)(const one_node *c, tn_context *context);

static inline void run_case(const one_node *c, check_outputs check)
{
    static char json[16384];
    write_case(c, json, sizeof json);
    fixture f = open_text(json);
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    tn_context *context;
    OK(tn_context_create(session, &context));
    cr_assert_eq(tn_context_run(context, NULL), TN_OK, "%s: %s", c->name, tn_error_message());
    check(c, context);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* Output 0 against the numbers in `expected`, to 1e-5 of their size. */
static inline void check_numbers(const one_node *c, tn_context *context)
{
    const tn_tensor *y = tn_context_output(context, 0);
    const char *at = c->expected;
    for (int64_t k = 0; k < tn_count(y); k++) {
        char *end;
        const double want = strtod(at, &end), got = tn_get_double(y->dtype, y->data, k);
        cr_assert(end != at, "%s: %lld elements are more than expected", c->name,
                  (long long)tn_count(y));
        cr_assert(fabs(want - got) <= 1e-5 * (1 + fabs(want)) || (isnan(want) && isnan(got)),
                  "%s: element %lld is %.9g: expected %.9g", c->name, (long long)k, got, want);
        at = end;
    }
    while (*at == ' ')
        at++;
    cr_assert_eq(*at, 0, "%s: elements are missing: %s", c->name, at);
}

/* Output 0 against texts apart by '|'. */
static inline void check_texts(const one_node *c, tn_context *context)
{
    const tn_tensor *y = tn_context_output(context, 0);
    char joined[512] = "";
    cr_assert_eq(y->dtype, TN_STRING);
    for (int64_t k = 0; k < tn_count(y); k++) {
        const tn_text text = ((const tn_text *)y->data)[k];
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%.*s", k ? "|" : "",
                 (int)text.count, text.count ? text.bytes : "");
    }
    cr_assert_str_eq(joined, c->expected, "%s: %s", c->name, joined);
}

/* The node is refused, when it is loaded, compiled or run, with `expected` in what is said. */
static inline void refuse_case(const one_node *c)
{
    static char json[16384];
    tn_runtime *runtime;
    tn_model *model = NULL;
    tn_session *session = NULL;
    tn_context *context = NULL;
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = "none"
    };
    write_case(c, json, sizeof json);
    OK(tn_runtime_create(NULL, NULL, &runtime));
    tn_status status = tn_model_load_bytes(runtime, json, strlen(json), NULL, NULL, &model);
    if (status == TN_OK)
        status = tn_session_create(model, &options, NULL, &session);
    if (status == TN_OK)
        status = tn_context_create(session, &context);
    if (status == TN_OK)
        status = tn_context_run(context, NULL);
    cr_assert_neq(status, TN_OK, "%s: was not refused", c->name);
    cr_assert(strstr(tn_error_message(), c->expected), "%s: said '%s'", c->name,
              tn_error_message());
    tn_context_destroy(context);
    tn_session_destroy(session);
    tn_model_destroy(model);
    tn_runtime_destroy(runtime);
}

#define EACH(cases, call)                                                                          \
    for (size_t k = 0; k < sizeof(cases) / sizeof *(cases); k++)                                   \
    call

#endif
