/* tests/integration/libraries.h: a graph on a vendor library's backend against the reference, for
 * test_onednn.c and test_openblas.c. Inputs and outputs end at a page that nobody may touch, and
 * outputs begin as NaN. A backend that was not built is skipped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_LIBRARIES_H
#define TENON_TESTS_LIBRARIES_H

#include "support.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_PORTS = 6 };

typedef struct guarded {
    void *map;
    size_t map_bytes, count;
    float *data;
} guarded;

static inline guarded guarded_floats(size_t count)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = count * sizeof(float), room = (bytes + page - 1) / page * page;
    guarded g = { .map_bytes = room + page, .count = count };
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(g.map, MAP_FAILED);
    cr_assert_eq(mprotect((char *)g.map + room, page, PROT_NONE), 0);
    g.data = (float *)(void *)((char *)g.map + room - bytes);
    return g;
}

static inline void guarded_free(guarded *g)
{
    munmap(g->map, g->map_bytes);
}

static inline bool is_built(const char *backend)
{
    const char *built = getenv("TENON_TEST_BUILT");
    return built && strstr(built, backend);
}

static inline size_t count_of(const tn_type *type)
{
    size_t count = 1;
    for (int32_t k = 0; k < type->rank; k++)
        count *= (size_t)type->dims[k];
    return count;
}

typedef struct setup {
    const char *json, *backends;
    uint32_t math, threads;
} setup;

/* A session with passes off, so that nodes stay what they are. */
static inline tn_session *session_of(fixture *f, const setup *s)
{
    const tn_session_options options = { .size = sizeof options,
                                         .threads = s->threads,
                                         .backends = s->backends,
                                         .passes = "none",
                                         .math = s->math };
    tn_session *session;
    OK(tn_session_create(f->model, &options, NULL, &session));
    return session;
}

static inline tn_tensor tensor_of(const guarded *g, const tn_type *type)
{
    return floats(g->data, type->rank, type->dims);
}

/* Runs twice (what a run leaves in scratch must not matter); answers how many outputs. `poison`: first
 * element of input 0, when it is no number. */
static inline size_t answers(fixture *f, const setup *s, float poison, guarded *out)
{
    guarded inputs[MOST_PORTS];
    tn_session *session = session_of(f, s);
    tn_context *context;
    const tn_port *port;
    size_t in = 0, count = 0;
    OK(tn_context_create(session, &context));
    for (; (port = tn_session_input(session, in)); in++) {
        inputs[in] = guarded_floats(count_of(&port->type));
        fill(inputs[in].data, inputs[in].count, 17 + (uint32_t)in);
        if (in == 0 && !isfinite(poison))
            inputs[0].data[0] = poison;
        const tn_tensor x = tensor_of(&inputs[in], &port->type);
        OK(tn_context_set_input(context, port->name, &x));
    }
    for (; (port = tn_session_output(session, count)); count++) {
        out[count] = guarded_floats(count_of(&port->type));
        const tn_tensor y = tensor_of(&out[count], &port->type);
        OK(tn_context_set_output(context, count, &y));
    }
    for (int run = 0; run < 2; run++) {
        for (size_t k = 0; k < count; k++)
            for (size_t j = 0; j < out[k].count; j++)
                out[k].data[j] = NAN;
        OK(tn_context_run(context, NULL));
    }
    tn_context_destroy(context);
    tn_session_destroy(session);
    while (in-- > 0)
        guarded_free(&inputs[in]);
    return count;
}

/* The algorithm by which `backend` runs the first `op`; empty: it does not. */
static inline void algorithm_of(fixture *f, const setup *s, const char *backend, const char *op,
                                char *text, size_t bytes)
{
    tn_session *session = session_of(f, s);
    tn_report *report;
    const tn_report_step *step;
    text[0] = '\0';
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; !text[0] && (step = tn_report_get(report, k)); k++)
        if (strcmp(step->op, op) == 0 && strcmp(step->backend, backend) == 0)
            snprintf(text, bytes, "%s", step->algorithm);
    tn_report_destroy(report);
    tn_session_destroy(session);
}

/* Equal where neither is a number, or but for `tolerance` of the output's largest number. */
static inline void expect_near(const guarded *right, const guarded *got, float tolerance,
                               const char *what)
{
    float most = 0, scale = 1e-30f;
    for (size_t k = 0; k < right->count; k++) {
        const float a = right->data[k], b = got->data[k], d = fabsf(a - b);
        if (isnan(a) != isnan(b) || isinf(a) != isinf(b))
            most = INFINITY;
        if (!isfinite(a))
            continue;
        scale = fabsf(a) > scale ? fabsf(a) : scale;
        most = d > most ? d : most;
    }
    cr_expect(most / scale <= tolerance, "error %g over %g of %s", (double)(most / scale),
              (double)tolerance, what);
}

/* On one and two threads: all outputs as the reference's, and `op` run by the backend. terms: of the
 * longest sum of products of numbers up to 1. */
static inline void check_poisoned(const char *backend, const char *json, uint32_t math,
                                  float poison, int terms, const char *op)
{
    char list[64], algorithm[192];
    snprintf(list, sizeof list, "%s,reference", backend);
    if (!is_built(backend))
        cr_skip("%s was not built", backend);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        const setup right = { json, "reference", math, threads };
        const setup tried = { json, list, math, threads };
        guarded a[MOST_PORTS], b[MOST_PORTS];
        fixture f = open_text(json);
        const size_t count = answers(&f, &right, poison, a);
        cr_assert_eq(answers(&f, &tried, poison, b), count);
        for (size_t k = 0; k < count; k++) {
            expect_near(&a[k], &b[k], bound(terms, 4.0f), json);
            guarded_free(&a[k]);
            guarded_free(&b[k]);
        }
        algorithm_of(&f, &tried, backend, op, algorithm, sizeof algorithm);
        cr_expect(algorithm[0], "no %s by %s in\n%s", op, backend, json);
        close_fixture(&f);
    }
}

static inline void check_on(const char *backend, const char *json, uint32_t math, int terms,
                            const char *op)
{
    check_poisoned(backend, json, math, 0.0f, terms, op);
}

/* The reason why `backend` alone does not take the graph has this in it. */
static inline void expect_refused(const char *backend, const char *json, uint32_t math,
                                  const char *reason)
{
    const setup s = { json, backend, math, 1 };
    tn_report *report = NULL;
    if (!is_built(backend))
        cr_skip("%s was not built", backend);
    fixture f = open_text(json);
    tn_session *session = session_of(&f, &s);
    cr_expect_neq(tn_report_create(session, NULL, 0, NULL, &report), TN_OK);
    cr_expect(strstr(tn_error_message(), reason), "'%s' is not in\n%s", reason, tn_error_message());
    tn_report_destroy(report);
    tn_session_destroy(session);
    close_fixture(&f);
}

#endif
