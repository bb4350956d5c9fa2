/* tests/integration/case.h: one node, its inputs and what it must give, as JSON literals.
 *
 * Each case runs twice: with constants, whose values inference sees, and with inputs of unknown
 * shape, so that all follows at run time. What it must give stands in the same graph.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_CASE_H
#define TENON_TESTS_CASE_H

#include "support.h"

#include <stdarg.h>
#include <stdio.h>

enum { CASE_ARGS = 5, CASE_TEXT = 8192 };

/* A tensor; without dtype an absent one. */
typedef struct literal {
    const char *dtype, *shape, *data;
} literal;

typedef struct one_case {
    const char *op, *attributes; /* "" or a list of JSON members */
    int opset;
    literal inputs[CASE_ARGS], outputs[CASE_ARGS];
} one_case;

static inline int count_literals(const literal *list)
{
    int count = 0;
    for (int k = 0; k < CASE_ARGS; k++)
        count = list[k].dtype ? k + 1 : count;
    return count;
}

static inline void add_text(char *text, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    const int count = vsnprintf(text + used, CASE_TEXT - used, format, list);
    va_end(list);
    cr_assert(count >= 0 && (size_t)count < CASE_TEXT - used, "the case is too long");
}

/* "a0", "a1", … or "" where the literal is absent. */
static inline void add_names(char *text, const literal *list, char letter)
{
    for (int k = 0; k < count_literals(list); k++)
        add_text(text, list[k].dtype ? "%s\"%c%d\"" : "%s\"\"", k ? ", " : "", letter, k);
}

static inline void add_constants(char *text, const literal *list, char letter, const char **comma)
{
    for (int k = 0; k < count_literals(list); k++) {
        if (!list[k].dtype)
            continue;
        add_text(text, "%s\"%c%d\": {\"dtype\": \"%s\", \"shape\": %s, \"data\": %s}", *comma,
                 letter, k, list[k].dtype, list[k].shape, list[k].data);
        *comma = ", ";
    }
}

/* Copies of all constants as outputs, so that a test gets at them as tensors. */
static inline void add_copies(char *text, const literal *list, char letter)
{
    for (int k = 0; k < count_literals(list); k++)
        if (list[k].dtype)
            add_text(
                text,
                ", {\"op\": \"Identity\", \"inputs\": [\"%c%d\"], \"outputs\": [\"copy %c%d\"]}",
                letter, k, letter, k);
}

static inline void add_outputs(char *text, const literal *list, const char *prefix, char letter)
{
    for (int k = 0; k < count_literals(list); k++)
        if (list[k].dtype)
            add_text(text, "%s\"%s%c%d\"", text[strlen(text) - 1] == '[' ? "" : ", ", prefix,
                     letter, k);
}

/* The graph of a case: with constants and copies, or with inputs of unknown shape. */
static inline void write_case(char *text, const one_case *c, int constants)
{
    const char *comma = "";
    *text = 0;
    add_text(text, "{\"tenon\": 1, \"opset\": %d, \"inputs\": [", c->opset);
    for (int k = 0; !constants && k < count_literals(c->inputs); k++) {
        if (!c->inputs[k].dtype)
            continue;
        add_text(text, "%s{\"name\": \"a%d\", \"dtype\": \"%s\"}", comma, k, c->inputs[k].dtype);
        comma = ", ";
    }
    add_text(text, "], \"outputs\": [");
    add_outputs(text, c->outputs, "", 'y');
    if (constants) {
        add_outputs(text, c->outputs, "copy ", 'w');
        add_outputs(text, c->inputs, "copy ", 'a');
    }
    comma = "";
    add_text(text, "], \"constants\": {");
    if (constants) {
        add_constants(text, c->inputs, 'a', &comma);
        add_constants(text, c->outputs, 'w', &comma);
    }
    add_text(text, "}, \"nodes\": [{\"name\": \"n\", \"op\": \"%s\", \"inputs\": [", c->op);
    add_names(text, c->inputs, 'a');
    add_text(text, "], \"outputs\": [");
    add_names(text, c->outputs, 'y');
    add_text(text, "], \"attributes\": {%s}}", c->attributes);
    if (constants) {
        add_copies(text, c->outputs, 'w');
        add_copies(text, c->inputs, 'a');
    }
    add_text(text, "]}");
}

static inline void assert_equal(const tn_tensor *got, const tn_tensor *want, const char *where)
{
    cr_assert(got && want, "%s: no output", where);
    cr_assert_eq(got->dtype, want->dtype, "%s: type %u, expected %u", where, got->dtype,
                 want->dtype);
    cr_assert_eq(got->rank, want->rank, "%s: rank %d, expected %d", where, got->rank, want->rank);
    for (int32_t axis = 0; axis < got->rank; axis++)
        cr_assert_eq(got->dims[axis], want->dims[axis], "%s: extent %lld of axis %d, expected %lld",
                     where, (long long)got->dims[axis], axis, (long long)want->dims[axis]);
    if (got->dtype == TN_STRING) {
        const tn_text *a = got->data, *b = want->data;
        for (size_t i = 0; i < want->bytes / sizeof *b; i++)
            cr_assert(a[i].count == b[i].count &&
                          (!b[i].count || !memcmp(a[i].bytes, b[i].bytes, b[i].count)),
                      "%s: string %zu is '%.*s', expected '%.*s'", where, i, (int)a[i].count,
                      a[i].bytes, (int)b[i].count, b[i].bytes);
        return;
    }
    for (size_t i = 0; i < want->bytes; i++)
        cr_assert_eq(((const uint8_t *)got->data)[i], ((const uint8_t *)want->data)[i],
                     "%s: byte %zu is %u, expected %u", where, i, ((const uint8_t *)got->data)[i],
                     ((const uint8_t *)want->data)[i]);
}

/* Passes off: what folding would compute, the kernel does. */
static inline tn_context *run_text(const char *text, fixture *f, tn_session **session)
{
    tn_context *context;
    *f = open_text(text);
    *session = make_session(f, "reference", "none", 2, 0);
    OK(tn_context_create(*session, &context));
    return context;
}

static inline void close_all(fixture *f, tn_session *session, tn_context *context)
{
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(f);
}

static inline int present(const literal *list)
{
    int count = 0;
    for (int k = 0; k < CASE_ARGS; k++)
        count += list[k].dtype != NULL;
    return count;
}

static inline void check_case(const one_case *c)
{
    const int made = present(c->outputs);
    char text[CASE_TEXT], where[128];
    fixture f, g;
    tn_session *s, *t;
    write_case(text, c, 1);
    tn_context *constant = run_text(text, &f, &s);
    OK(tn_context_run(constant, NULL));
    write_case(text, c, 0);
    tn_context *open = run_text(text, &g, &t);
    for (int k = 0, at = 2 * made; k < count_literals(c->inputs); k++) {
        char name[16];
        snprintf(name, sizeof name, "a%d", k);
        if (c->inputs[k].dtype)
            OK(tn_context_set_input(open, name, tn_context_output(constant, (size_t)at++)));
    }
    OK(tn_context_run(open, NULL));
    for (int k = 0; k < made; k++) {
        const tn_tensor *want = tn_context_output(constant, (size_t)(made + k));
        snprintf(where, sizeof where, "%s-%d (%s) output %d, constants", c->op, c->opset,
                 c->attributes, k);
        assert_equal(tn_context_output(constant, (size_t)k), want, where);
        snprintf(where, sizeof where, "%s-%d (%s) output %d, inputs", c->op, c->opset,
                 c->attributes, k);
        assert_equal(tn_context_output(open, (size_t)k), want, where);
    }
    close_all(&g, t, open);
    close_all(&f, s, constant);
}

static inline void check_cases(const one_case *cases, size_t count)
{
    for (size_t k = 0; k < count; k++)
        check_case(&cases[k]);
}

/* The message from the node on: in front of it stands the place in the text. */
static inline const char *complaint(void)
{
    const char *from = strstr(tn_error_message(), "node 'n'");
    return from ? from : tn_error_message();
}

/* What a session says of the node whose inputs are constants; `expected` is the whole message. */
static inline void expect_complaint(const one_case *c, const char *expected)
{
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "reference", .passes = "none"
    };
    char text[CASE_TEXT];
    tn_session *session = NULL;
    write_case(text, c, 1);
    fixture f = open_text(text);
    cr_expect_neq(tn_session_create(f.model, &options, NULL, &session), TN_OK, "%s was taken",
                  c->op);
    cr_expect_str_eq(complaint(), expected);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* What a run says whose inputs are not known before. */
static inline void expect_failure(const one_case *c, const char *expected)
{
    char text[CASE_TEXT];
    fixture g, f[CASE_ARGS];
    tn_session *t, *s[CASE_ARGS];
    tn_context *made[CASE_ARGS] = { NULL };
    write_case(text, c, 0);
    tn_context *open = run_text(text, &g, &t);
    for (int k = 0; k < count_literals(c->inputs); k++) {
        if (!c->inputs[k].dtype)
            continue;
        char name[16];
        one_case one = { .op = "Identity", .attributes = "", .opset = 25 };
        one.inputs[0] = one.outputs[0] = c->inputs[k];
        write_case(text, &one, 1);
        made[k] = run_text(text, &f[k], &s[k]);
        OK(tn_context_run(made[k], NULL));
        snprintf(name, sizeof name, "a%d", k);
        OK(tn_context_set_input(open, name,
                                tn_context_output(made[k], 0))); /* lent until the end */
    }
    cr_expect_neq(tn_context_run(open, NULL), TN_OK, "%s was taken", c->op);
    cr_expect_str_eq(complaint(), expected);
    close_all(&g, t, open);
    for (int k = 0; k < CASE_ARGS; k++)
        if (made[k])
            close_all(&f[k], s[k], made[k]);
}

#endif
