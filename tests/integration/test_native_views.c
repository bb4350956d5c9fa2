/* The kernels of `native` on views of some channels: each reads the middle piece of a tensor whose
 * other pieces are NaN, and writes the middle piece of one whose other pieces are there already. So
 * what is read between rows shows as NaN, what is written there as a wrong neighbour. Held against
 * the reference backend without views, with each set of instructions that this processor has.
 *
 * SPDX-License-Identifier: MIT */
#include "native_wide.h"
#include "support.h"

#include <stdio.h>

static const char *const sets[] = { "plain", WIDE "avx2", "avx512" };

/* x: what is read; z and v: what neighbours are made of, of the extents of input and output. */
typedef struct problem {
    const char *op, *attributes, *inputs; /* "" or ", 'w', 'b'" */
    int n, c, h, w;                       /* what is read */
    int m, oh, ow;                        /* what is written */
    const char *constants, *steps;        /* steps: from s to k; NULL: k is what is written */
    int terms;
} problem;

enum { BEFORE = 3, BEHIND = 5 }; /* channels of the neighbours: rows begin nowhere in particular */

/* Takes a plain input to channels last, where the pieces are to lie. */
#define POOL(from, to)                                                                             \
    "{'op': 'MaxPool', 'inputs': ['" from "'], 'outputs': ['" to                                   \
    "'], 'attributes': {'kernel_shape': [1, 1]}}, "

/* Graphs are written with ' for ". */
static void write_graph(const problem *p, char *json, size_t bytes)
{
    const int written = snprintf(
        json, bytes,
        "{'tenon': 1, 'opset': 22, 'inputs': ["
        "{'name': 'x', 'dtype': 'float32', 'shape': [%d, %d, %d, %d]}, "
        "{'name': 'z', 'dtype': 'float32', 'shape': [%d, %d, %d, %d]}, "
        "{'name': 'v', 'dtype': 'float32', 'shape': [%d, %d, %d, %d]}], 'outputs': ['y'], "
        "'constants': {'from': {'dtype': 'int64', 'shape': [1], 'data': [%d]}, "
        "'to': {'dtype': 'int64', 'shape': [1], 'data': [%d]}, "
        "'axis': {'dtype': 'int64', 'shape': [1], 'data': [1]}%s}, 'nodes': [" POOL("x", "xp")
            POOL("z", "zp") POOL(
                "v",
                "vp") "{'op': 'Exp', 'inputs': ['zp'], 'outputs': ['e']}, "
                      "{'op': 'Neg', 'inputs': ['e'], 'outputs': ['g']}, "
                      "{'op': 'Sqrt', 'inputs': ['g'], 'outputs': ['nan1']}, "
                      "{'op': 'Log', 'inputs': ['g'], 'outputs': ['nan2']}, "
                      "{'op': 'Abs', 'inputs': ['xp'], 'outputs': ['a']}, "
                      "{'op': 'Concat', 'inputs': ['nan1', 'a', 'nan2'], 'outputs': ['all'], 'attributes': {'axis': 1}}, "
                      "{'op': 'Slice', 'inputs': ['all', 'from', 'to', 'axis'], 'outputs': ['t']}, "
                      "{'op': 'Relu', 'inputs': ['vp'], 'outputs': ['left']}, "
                      "{'op': 'Neg', 'inputs': ['vp'], 'outputs': ['right']}, "
                      "{'name': 'tested', 'op': '%s', 'inputs': ['t'%s], 'outputs': ['%s'], 'attributes': {%s}}%s, "
                      "{'op': 'Concat', 'inputs': ['left', 'k', 'right'], 'outputs': ['j'], 'attributes': {'axis': 1}}, "
                      "{'op': 'MaxPool', 'inputs': ['j'], 'outputs': ['y'], 'attributes': {'kernel_shape': [1, 1]}}]}",
        p->n, p->c, p->h, p->w, p->n, BEFORE, p->h, p->w, p->n, BEHIND, p->oh, p->ow, BEFORE,
        BEFORE + p->c, p->constants, p->op, p->inputs, p->steps ? "s" : "k", p->attributes,
        p->steps ? p->steps : "");
    cr_assert(written > 0 && (size_t)written < bytes);
    for (char *at = json; *at; at++)
        *at = *at == '\'' ? '"' : *at;
}

static size_t count_of(const tn_type *type)
{
    size_t count = 1;
    for (int32_t k = 0; k < type->rank; k++)
        count *= (size_t)type->dims[k];
    return count;
}

static float *answer(tn_session *session, size_t *count)
{
    float *inputs[3], *copy;
    tn_context *context;
    const tn_port *port;
    OK(tn_context_create(session, &context));
    for (uint32_t k = 0; k < 3; k++) {
        port = tn_session_input(session, k);
        inputs[k] = malloc(count_of(&port->type) * sizeof **inputs);
        fill(inputs[k], count_of(&port->type), 17 + k);
        const tn_tensor x = floats(inputs[k], port->type.rank, port->type.dims);
        OK(tn_context_set_input(context, port->name, &x));
    }
    for (int run = 0; run < 2; run++)
        OK(tn_context_run(context, NULL));
    const tn_tensor *y = tn_context_output(context, 0);
    *count = y->bytes / sizeof(float);
    copy = malloc(y->bytes);
    memcpy(copy, y->data, y->bytes);
    tn_context_destroy(context);
    for (uint32_t k = 0; k < 3; k++)
        free(inputs[k]);
    return copy;
}

/* Both joins and the slice are views, and nothing is copied. */
static void check_plan(tn_session *session, const char *json)
{
    tn_report *report;
    const tn_report_step *step;
    uint32_t views = 0;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; (step = tn_report_get(report, k)); k++) {
        views += (strcmp(step->op, "Concat") == 0 || strcmp(step->op, "Slice") == 0) &&
                 strcmp(step->algorithm, "view") == 0;
        if (strcmp(step->name, "tested") == 0)
            cr_expect_str_eq(step->backend, "native", "%s", json);
    }
    cr_expect(views == 3 && tn_report_get_totals(report)->copies == 0,
              "%u views, %zu copies in\n%s", views, (size_t)tn_report_get_totals(report)->copies,
              json);
    tn_report_destroy(report);
}

static void check_on(const problem *p, fixture *f, const char *json, const char *set,
                     uint32_t threads, const float *right, size_t count)
{
    size_t got_count;
    float scale = 0, most = 0;
    tn_session *session = make_session(f, "native,reference", "none", threads, 0);
    check_plan(session, json);
    float *got = answer(session, &got_count);
    cr_assert_eq(got_count, count);
    for (size_t k = 0; k < count; k++) {
        const float d = fabsf(got[k] - right[k]);
        scale = fabsf(right[k]) > scale ? fabsf(right[k]) : scale;
        most = isnan(d) ? INFINITY : d > most ? d : most;
    }
    cr_expect(most <= 4.0f * bound(p->terms, scale), "%s, %u threads: error %g of %g\n%s", set,
              threads, (double)most, (double)scale, json);
    free(got);
    tn_session_destroy(session);
}

static void check(const problem *p)
{
    char json[8192];
    write_graph(p, json, sizeof json);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        size_t count;
        setenv("TENON_NATIVE", sets[k], 1);
        fixture f = open_text(json);
        tn_session *reference = make_session(&f, "reference", "none", 1, TN_SESSION_NO_VIEWS);
        float *right = answer(reference, &count);
        for (uint32_t threads = 1; threads <= 2; threads++)
            check_on(p, &f, json, sets[k], threads, right, count);
        free(right);
        tn_session_destroy(reference);
        close_fixture(&f);
    }
    unsetenv("TENON_NATIVE");
}

#define RANDOM(name, shape, low)                                                                   \
    ", '" name "': {'dtype': 'float32', 'shape': [" shape                                          \
    "], 'random': {'distribution': 'uniform', 'low': " low ", 'high': 1.5}}"
#define STEP(op, more) ", {'op': '" op "', 'inputs': ['s'" more "], 'outputs': ['k']}"
#define RESIDUAL                                                                                   \
    ", {'op': 'Add', 'inputs': ['s', 't'], 'outputs': ['r']}"                                      \
    ", {'op': 'Relu', 'inputs': ['r'], 'outputs': ['k']}"
#define VIEWS_TEST(name, ...)                                                                      \
    Test(native_views, name)                                                                       \
    {                                                                                              \
        static const problem problems[] = { __VA_ARGS__ };                                         \
        for (size_t k = 0; k < sizeof problems / sizeof *problems; k++)                            \
            check(&problems[k]);                                                                   \
    }

VIEWS_TEST(direct,
           { "Conv", "", ", 'w', 'b'", 2, 13, 5, 7, 21, 5, 7,
             RANDOM("w", "21, 13, 1, 1", "-1") RANDOM("b", "21", "-1"), NULL, 14 },
           { "Conv", "'pads': [1, 1, 1, 1], 'strides': [2, 2]", ", 'w'", 1, 10, 9, 11, 40, 5, 6,
             RANDOM("w", "40, 10, 3, 3", "-1"), STEP("HardSwish", ""), 90 },
           { "Conv", "", ", 'w'", 2, 24, 6, 6, 24, 6, 6, RANDOM("w", "24, 24, 1, 1", "-1"),
             RESIDUAL, 26 },
           { "Conv", "'group': 2, 'pads': [1, 1, 1, 1]", ", 'w'", 1, 16, 6, 5, 34, 6, 5,
             RANDOM("w", "34, 8, 3, 3", "-1"), STEP("Relu", ""), 72 })
VIEWS_TEST(winograd,
           { "Conv", "'pads': [1, 1, 1, 1]", ", 'w', 'b'", 2, 17, 13, 11, 35, 13, 11,
             RANDOM("w", "35, 17, 3, 3", "-1") RANDOM("b", "35", "-1"), NULL, 153 },
           { "Conv", "'pads': [1, 1, 1, 1]", ", 'w'", 1, 32, 12, 12, 32, 12, 12,
             RANDOM("w", "32, 32, 3, 3", "-1"), RESIDUAL, 290 })
VIEWS_TEST(depthwise,
           { "Conv", "'group': 19, 'pads': [1, 1, 1, 1]", ", 'w', 'b'", 2, 19, 9, 8, 19, 9, 8,
             RANDOM("w", "19, 1, 3, 3", "-1") RANDOM("b", "19", "-1"), STEP("HardSwish", ""), 10 },
           { "Conv", "'group': 35, 'pads': [2, 2, 2, 2], 'strides': [2, 2]", ", 'w'", 1, 35, 9, 8,
             35, 5, 4, RANDOM("w", "35, 1, 5, 5", "-1"), NULL, 25 },
           { "Conv", "'group': 16, 'pads': [1, 1, 1, 1]", ", 'w'", 1, 16, 7, 7, 16, 7, 7,
             RANDOM("w", "16, 1, 3, 3", "-1"), RESIDUAL, 12 })
VIEWS_TEST(pools,
           { "MaxPool", "'kernel_shape': [3, 3], 'strides': [2, 2], 'pads': [1, 1, 1, 1]", "", 2,
             19, 9, 8, 19, 5, 4, "", NULL, 1 },
           { "AveragePool", "'kernel_shape': [3, 3], 'pads': [1, 1, 1, 1]", "", 2, 35, 6, 7, 35, 6,
             7, "", STEP("Sigmoid", ""), 9 })
VIEWS_TEST(
    gathers,
    { "Gather", "'axis': 1", ", 'w'", 2, 42, 5, 7, 30, 5, 7,
      ", 'w': {'dtype': 'int64', 'shape': [30], 'data': [20, 21, 22, 23, 24, 25, 26, 27, 28, 3, 4, 5, 6, 7, 1, 10, 11, 12, 13, 14, 15, 16, 17, 40, 41, 30, 31, 32, 33, 39]}",
      NULL, 1 },
    { "Gather", "'axis': 1", ", 'w'", 2, 33, 5, 7, 31, 5, 7,
      ", 'w': {'dtype': 'int32', 'shape': [31], 'data': [-7, -6, -5, -4, -3, -2, -1, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 5, 6, 0, 1, 2, 3]}",
      NULL, 1 },
    { "Gather", "'axis': 1", ", 'w'", 2, 21, 5, 7, 21, 5, 7,
      ", 'w': {'dtype': 'int64', 'shape': [21], 'data': [7, 18, 17, 4, 11, 15, 10, 9, 1, 13, 0, 20, 19, 3, 12, 5, 16, 8, 6, 14, 2]}",
      NULL, 1 },
    { "Gather", "'axis': 1", ", 'w'", 2, 22, 5, 7, 22, 5, 7,
      ", 'w': {'dtype': 'int64', 'shape': [22], 'data': [0, 11, 1, 12, 2, 13, 3, 14, 4, 15, 5, 16, 6, 17, 7, 18, 8, 19, 9, 20, 10, 21]}",
      NULL, 1 },
    { "Gather", "'axis': 1", ", 'w'", 2, 13, 5, 7, 1, 5, 7,
      ", 'w': {'dtype': 'int32', 'shape': [1], 'data': [12]}", NULL, 1 })
VIEWS_TEST(batch_normalization,
           { "BatchNormalization", "", ", 'w', 'b', 'm', 'v2'", 2, 21, 5, 6, 21, 5, 6,
             RANDOM("w", "21", "0.5") RANDOM("b", "21", "-1") RANDOM("m", "21", "-1")
                 RANDOM("v2", "21", "0.5"),
             STEP("Relu", ""), 8 })
VIEWS_TEST(elements, { "Sigmoid", "", "", 2, 21, 5, 6, 21, 5, 6, "", NULL, 8 },
           { "Mul", "", ", 't'", 2, 33, 5, 6, 33, 5, 6, "", STEP("Relu", ""), 4 },
           { "Add", "", ", 'w'", 2, 18, 5, 6, 18, 5, 6, RANDOM("w", "18, 1, 1", "-1"), NULL, 4 },
           { "Add", "", ", 'w'", 2, 18, 5, 6, 18, 5, 6,
             RANDOM("w", "1", "-1") RANDOM("m", "18, 1, 1", "-1"), STEP("Mul", ", 'm'"), 4 })
VIEWS_TEST(moves, { "Transpose", "'perm': [0, 1, 3, 2]", "", 2, 9, 5, 6, 9, 6, 5, "", NULL, 1 },
           { "Slice", "", ", 'one', 'four', 'two'", 2, 9, 5, 6, 9, 3, 6,
             ", 'one': {'dtype': 'int64', 'shape': [1], 'data': [1]}"
             ", 'four': {'dtype': 'int64', 'shape': [1], 'data': [4]}"
             ", 'two': {'dtype': 'int64', 'shape': [1], 'data': [2]}",
             NULL, 1 })
