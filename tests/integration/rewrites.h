/* tests/integration/rewrites.h: a graph with its passes and without: the answers, what is left, and
 * what the log says.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TESTS_REWRITES_H
#define TENON_TESTS_REWRITES_H

#include "graphs.h"

#include <stdarg.h>

enum { LOG_BYTES = 1 << 16, MOST = 1 << 14 };

typedef struct outcome {
    uint64_t nodes;
    char log[LOG_BYTES], graph[LOG_BYTES];
    size_t count; /* elements of all outputs, as doubles */
    double y[MOST];
} outcome;

static inline void append_text(void *user, const char *text, size_t count)
{
    char *to = user;
    const size_t used = strlen(to), room = LOG_BYTES - 1 - used;
    memcpy(to + used, text, count < room ? count : room);
    to[used + (count < room ? count : room)] = 0;
}

static inline double number_at(const tn_tensor *t, size_t k)
{
    switch (t->dtype) {
    case TN_FLOAT32: return (double)((const float *)t->data)[k];
    case TN_FLOAT64: return ((const double *)t->data)[k];
    case TN_INT64: return (double)((const int64_t *)t->data)[k];
    case TN_INT32: return (double)((const int32_t *)t->data)[k];
    case TN_BOOL: return ((const uint8_t *)t->data)[k];
    case TN_BFLOAT16: {
        const uint32_t bits = (uint32_t)((const uint16_t *)t->data)[k] << 16;
        float value;
        memcpy(&value, &bits, 4);
        return (double)value;
    }
    default: {
        const uint16_t h = ((const uint16_t *)t->data)[k];
        const double m = (double)(h & 0x3ff) / 1024.0, sign = h & 0x8000 ? -1 : 1;
        const int e = h >> 10 & 31;
        return e == 31 ? (m > 0 ? (double)NAN : sign * (double)INFINITY)
                       : sign * (e ? ldexp(1 + m, e - 15) : ldexp(m, -14));
    }
    }
}

/* Inputs with floats get `values` in turn (NULL: numbers between -4 and 4), integers small ones,
 * bools 0 and 1. Symbols are 3. */
static inline void feed(running *r, const float *values)
{
    for (uint32_t k = 0; tn_session_input(r->session, k); k++) {
        static double data[MOST];
        static float noise[MOST];
        const tn_port *port = tn_session_input(r->session, k);
        int64_t dims[TN_MAX_RANK];
        size_t count = 1;
        for (int32_t a = 0; a < port->type.rank; a++) {
            dims[a] = tn_dim_known(port->type.dims[a]) ? port->type.dims[a] : 3;
            count *= (size_t)dims[a];
        }
        cr_assert_leq(count, MOST);
        fill(noise, count, 7 + k);
        for (size_t i = 0; i < count; i++) {
            const double value = values ? (double)values[i % 8] : 4.0 * (double)noise[i];
            uint32_t bits;
            switch (port->type.dtype) {
            case TN_FLOAT64: data[i] = value; break;
            case TN_FLOAT32: ((float *)data)[i] = (float)value; break;
            case TN_BFLOAT16:
                memcpy(&bits, &(float){ (float)value }, 4);
                ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
                break;
            case TN_FLOAT16:
                ((uint16_t *)data)[i] = (uint16_t)((value < 0 ? 0xb800 : 0x3800) + (int)i % 64);
                break;
            case TN_INT64: ((int64_t *)data)[i] = (int64_t)i % 3; break;
            case TN_INT32: ((int32_t *)data)[i] = (int32_t)i % 3; break;
            default: ((uint8_t *)data)[i] = (uint8_t)(i % 2); break;
            }
        }
        const tn_tensor x = tensor_of(port->type.dtype, port->type.rank, dims, data);
        OK(tn_context_set_input(r->context, port->name, &x));
    }
}

static inline void run_graph(const char *text, const char *passes, uint32_t math,
                             const float *values, outcome *out)
{
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "reference",
                                         .passes = passes,
                                         .math = math };
    running r = start_with(text, &options);
    tn_session_stats stats = { .size = sizeof stats };
    memset(out, 0, sizeof *out);
    tn_session_get_stats(r.session, &stats);
    out->nodes = stats.nodes_left;
    OK(tn_session_print(r.session, "passes", append_text, out->log));
    OK(tn_session_print(r.session, "graph", append_text, out->graph));
    feed(&r, values);
    go(&r);
    for (uint32_t k = 0; tn_session_output(r.session, k); k++) {
        const tn_tensor *y = tn_context_output(r.context, k);
        size_t count = 1;
        for (int32_t a = 0; a < y->rank; a++)
            count *= (size_t)y->dims[a];
        cr_assert_leq(out->count + count, MOST);
        for (size_t i = 0; i < count; i++)
            out->y[out->count++] = number_at(y, i);
    }
    stop(&r);
}

static inline void same_answers(const outcome *a, const outcome *b, double tolerance)
{
    cr_assert_eq(a->count, b->count);
    for (size_t k = 0; k < a->count; k++)
        cr_assert(fabs(a->y[k] - b->y[k]) <= tolerance * fmax(1.0, fabs(b->y[k])) ||
                      (isnan(a->y[k]) && isnan(b->y[k])) || a->y[k] == b->y[k],
                  "element %zu: %.9g with the passes, %.9g without\n%s", k, a->y[k], b->y[k],
                  a->log);
}

static const float specials[8] = { INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1.0f, -1e-30f, 20.0f };

/* With `passes`, `nodes` are left, the log has `words`, the graph shows `op`; same answers. */
static inline void rewritten(const char *text, const char *passes, uint64_t nodes, const char *op,
                             const char *words, double tolerance)
{
    static outcome with, without;
    run_graph(text, passes, TN_MATH_STRICT, NULL, &with);
    run_graph(text, "none", TN_MATH_STRICT, NULL, &without);
    cr_expect_eq(with.nodes, nodes, "%d nodes are left, not %d\n%s", (int)with.nodes, (int)nodes,
                 with.log);
    cr_expect(strstr(with.graph, op), "%s\nhas no %s", with.graph, op);
    cr_expect(strstr(with.log, words), "%s\nhas no\n%s", with.log, words);
    same_answers(&with, &without, tolerance);
}

/* `pass` leaves the graph as it is, and says `why` ("": nothing about this graph). */
static inline void untouched(const char *text, const char *pass, const char *why)
{
    static outcome with, without;
    char only[100];
    snprintf(only, sizeof only, "none,+%s", pass);
    run_graph(text, only, TN_MATH_STRICT, NULL, &with);
    run_graph(text, "none", TN_MATH_STRICT, NULL, &without);
    cr_expect_eq(with.nodes, without.nodes, "%s", with.log);
    cr_expect(strstr(with.log, why), "%s\nhas no\n%s", with.log, why);
    cr_expect(*why || !strstr(with.log, "    - "), "%s\nhas a near miss", with.log);
    cr_expect(!strstr(with.log, "    * "), "%s\nhas a rewrite", with.log);
    same_answers(&with, &without, 0);
}

/* Infinities, NaN and zeros go the same ways. */
static inline void same_specials(const char *text, const char *passes, double tolerance)
{
    static outcome with, without;
    run_graph(text, passes, TN_MATH_STRICT, specials, &with);
    run_graph(text, "none", TN_MATH_STRICT, specials, &without);
    cr_expect_lt(with.nodes, without.nodes);
    same_answers(&with, &without, tolerance);
}

#endif
