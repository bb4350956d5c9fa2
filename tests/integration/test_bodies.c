/* Operators that ONNX defines as functions, by their kernels and made of other operators: what ONNX's
 * own data leaves out. Each graph runs both ways, against the formula written out here.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

static void collect(void *user, const char *bytes, size_t count)
{
    strncat(user, bytes, count);
}

/* A run by the kernel (bodies 0) or as the body; `op` must then be gone from the graph. */
static running begin(int bodies, const char *op, const char *format, ...)
{
    static char text[NODE_TEXT], printed[1 << 16];
    char sign[64];
    running r = { .session = NULL };
    va_list list;
    va_start(list, format);
    r.f = open_text(node_quotes(text, format, list));
    va_end(list);
    r.session = make_session(&r.f, "reference", "none", 1, bodies ? TN_SESSION_PREFER_BODIES : 0);
    *printed = '\0';
    OK(tn_session_print(r.session, "graph", collect, printed));
    snprintf(sign, sizeof sign, "= %s ", op);
    cr_assert_eq(strstr(printed, sign) == NULL, bodies, "%s: %s", op, printed);
    OK(tn_context_create(r.session, &r.context));
    return r;
}

#define BOTH(bodies) for (int bodies = 0; bodies < 2; bodies++)

/* `number` in a type, as the nearest there is. */
static double rounded(uint32_t dtype, double number)
{
    uint64_t room = 0;
    if (!tn_dtype_is_float(dtype))
        return number;
    tn_set_float(dtype, &room, 0, number);
    return tn_get_double(dtype, &room, 0);
}

static void put(uint32_t dtype, void *data, int64_t k, double number)
{
    if (tn_dtype_is_float(dtype))
        tn_set_float(dtype, data, k, number);
    else
        tn_set_int(dtype, data, k, (int64_t)number);
}

/* ---- Range -------------------------------------------------------------------------------------- */

/* Bounds are known when running only. */
static running begin_range(int bodies, uint32_t dtype, int stash)
{
    char inputs[300];
    const char *name = tn_dtype_name(dtype);
    snprintf(inputs, sizeof inputs,
             "{'name': 'a', 'dtype': '%s', 'shape': []}, {'name': 'b', 'dtype': '%s', 'shape': []},"
             " {'name': 'c', 'dtype': '%s', 'shape': [1]}",
             name, name, name);
    return begin(bodies, "Range",
                 GRAPH("27", "%s", "'y'", "",
                       "{'op': 'Range', 'inputs': ['a', 'b', 'c'], 'outputs': ['y'],"
                       " 'attributes': {'stash_type': %d}}"),
                 inputs, stash);
}

Test(bodies, range_of_every_type_forwards_backwards_and_of_nothing)
{
    static const uint32_t types[] = { TN_FLOAT32, TN_FLOAT64, TN_FLOAT16, TN_BFLOAT16,
                                      TN_INT16,   TN_INT32,   TN_INT64 };
    static const double rows[][3] = { { 1, 10, 2 },   { 1, 11, 2 }, { 10, 1, -3 }, { 10, 1, -4 },
                                      { -5, 6, 5 },   { 3, 3, 1 },  { 5, 1, 1 },   { 1, 5, -1 },
                                      { 100, 0, -7 }, { 0, 1, 100 } };
    BOTH(bodies)
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        running r = begin_range(bodies, types[t], TN_FLOAT32);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            uint64_t bounds[3] = { 0 };
            double wanted[64];
            const int64_t one[1] = { 1 };
            int64_t count = 0;
            for (double at = rows[k][0]; rows[k][2] > 0 ? at < rows[k][1] : at > rows[k][1];
                 at += rows[k][2])
                wanted[count++] = at; /* small whole numbers: exact in all types */
            for (int j = 0; j < 3; j++)
                put(types[t], &bounds[j], 0, rows[k][j]);
            give(&r, "a", types[t], 0, NULL, &bounds[0]);
            give(&r, "b", types[t], 0, NULL, &bounds[1]);
            give(&r, "c", types[t], 1, one, &bounds[2]);
            expect_elements(answer(&r), count, wanted, 0);
        }
        stop(&r);
    }
}

/* 0.1 is no number of any of these types: sums of steps would drift. */
Test(bodies, range_rounds_each_element_once)
{
    static const struct {
        uint32_t dtype;
        int stash;
    } rows[] = { { TN_FLOAT32, TN_FLOAT32 },
                 { TN_FLOAT64, TN_FLOAT32 },
                 { TN_FLOAT16, TN_FLOAT32 },
                 { TN_FLOAT16, TN_FLOAT64 },
                 { TN_BFLOAT16, TN_FLOAT32 } };
    BOTH(bodies)
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        const uint32_t dtype = rows[t].dtype;
        const double start = rounded(dtype, -0.7), delta = rounded(dtype, 0.1);
        const int in_float = tn_dtype_bits(dtype) == 16 && rows[t].stash == TN_FLOAT32;
        uint64_t bounds[3] = { 0 };
        double wanted[100];
        const int64_t one[1] = { 1 };
        for (int k = 0; k < 100; k++) {
            const float narrow = (float)start + (float)k * (float)delta;
            wanted[k] = rounded(dtype, in_float ? (double)narrow : start + (double)k * delta);
        }
        put(dtype, &bounds[0], 0, start);
        put(dtype, &bounds[1], 0, start + 99.5 * delta);
        put(dtype, &bounds[2], 0, delta);
        running r = begin_range(bodies, dtype, rows[t].stash);
        give(&r, "a", dtype, 0, NULL, &bounds[0]);
        give(&r, "b", dtype, 0, NULL, &bounds[1]);
        give(&r, "c", dtype, 1, one, &bounds[2]);
        expect_elements(answer(&r), 100, wanted, 0);
        stop(&r);
    }
}

/* A way that int64 cannot measure. */
Test(bodies, range_over_all_of_int64)
{
    static const struct {
        int64_t start, limit, delta, count, last;
    } rows[] = { { INT64_MIN, INT64_MAX, INT64_C(1) << 62, 4, INT64_C(1) << 62 },
                 { INT64_MAX, INT64_MIN, INT64_MIN, 2, -1 },
                 { INT64_MIN + 5, INT64_MIN, -1, 5, INT64_MIN + 1 },
                 { INT64_MAX - 2, INT64_MAX, 1, 2, INT64_MAX - 1 },
                 { INT64_MAX, INT64_MIN, 1, 0, 0 } };
    BOTH(bodies)
    {
        running r = begin_range(bodies, TN_INT64, TN_FLOAT32);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            const int64_t one[1] = { 1 };
            give(&r, "a", TN_INT64, 0, NULL, &rows[k].start);
            give(&r, "b", TN_INT64, 0, NULL, &rows[k].limit);
            give(&r, "c", TN_INT64, 1, one, &rows[k].delta);
            const tn_tensor *y = answer(&r);
            expect_shape(y, 1, &rows[k].count);
            if (rows[k].count)
                cr_expect_eq(((const int64_t *)y->data)[rows[k].count - 1], rows[k].last);
        }
        stop(&r);
    }
}

/* Known to be 0 it is refused before anything runs; told by running, by what runs. */
Test(bodies, range_with_a_step_of_zero_is_an_error)
{
    static const uint32_t types[] = { TN_INT32, TN_FLOAT32 };
    BOTH(bodies)
    for (size_t t = 0; t < 2; t++) {
        const uint64_t zero = 0;
        uint64_t five = 0;
        const int64_t one[1] = { 1 };
        put(types[t], &five, 0, 5);
        running r = begin_range(bodies, types[t], TN_FLOAT32);
        give(&r, "a", types[t], 0, NULL, &zero);
        give(&r, "b", types[t], 0, NULL, &five);
        give(&r, "c", types[t], 1, one, &zero);
        cr_expect_neq(tn_context_run(r.context, NULL), TN_OK, "type %u, bodies %d", types[t],
                      bodies);
        stop(&r);
    }
}

/* ---- losses ------------------------------------------------------------------------------------- */

enum { N = 3, C = 4, D = 5 };

/* Logarithms of the probabilities. */
static void log_softmax(const double *x, double *out)
{
    for (int n = 0; n < N; n++)
        for (int d = 0; d < D; d++) {
            double sum = 0;
            for (int c = 0; c < C; c++)
                sum += exp(x[(n * C + c) * D + d]);
            for (int c = 0; c < C; c++)
                out[(n * C + c) * D + d] = x[(n * C + c) * D + d] - log(sum);
        }
}

/* The loss of each target, or of all in wanted[0]; answers how many numbers. */
static int64_t loss(const double *logs, const int64_t *target, const double *weight,
                    const int64_t *ignored, const char *reduction, double *wanted)
{
    double sum = 0, weights = 0;
    for (int k = 0; k < N * D; k++) {
        const int skip = ignored && target[k] == *ignored;
        const double w = skip ? 0 : weight ? weight[target[k]] : 1;
        wanted[k] = skip ? 0 : -logs[(k / D * C + (int)target[k]) * D + k % D] * w;
        sum += wanted[k];
        weights += w;
    }
    if (!strcmp(reduction, "none"))
        return N * D;
    wanted[0] = !strcmp(reduction, "mean") ? sum / weights : sum;
    return 1;
}

typedef struct loss_case {
    const char *op, *reduction;
    uint32_t dtype, labels;
    int weighted;
    int64_t ignored; /* -1: nothing */
} loss_case;

static void check_loss(const loss_case *c, int bodies)
{
    static const int64_t x_dims[3] = { N, C, D }, t_dims[2] = { N, D }, w_dims[1] = { C };
    const double eps = c->dtype == TN_FLOAT64   ? 1e-12
                       : c->dtype == TN_FLOAT32 ? 4e-6
                       : c->dtype == TN_FLOAT16 ? 4e-3
                                                : 4e-2;
    const int softmax = c->op[0] == 'S';
    double x[N * C * D], logs[N * C * D], w[C], wanted[N * D];
    int64_t target[N * D], labels[N * D];
    uint64_t x_data[N * C * D], w_data[C];
    float numbers[N * C * D];
    char ignore[48] = "";
    fill(numbers, N * C * D, 7);
    fill_ints(TN_INT64, target, N * D, 0, C - 1, 8);
    for (int k = 0; k < N * C * D; k++) {
        x[k] = rounded(c->dtype, (double)numbers[k]);
        put(c->dtype, x_data, k, x[k]);
    }
    for (int k = 0; k < C; k++) {
        w[k] = rounded(c->dtype, 0.3 + 0.4 * k);
        put(c->dtype, w_data, k, w[k]);
    }
    if (c->ignored >= 0) {
        target[3] = target[11] = c->ignored;
        snprintf(ignore, sizeof ignore, ", 'ignore_index': %lld", (long long)c->ignored);
    }
    for (int k = 0; k < N * D; k++)
        put(c->labels, labels, k, (double)target[k]);
    log_softmax(x, logs);
    const int64_t count = loss(softmax ? logs : x, target, c->weighted ? w : NULL,
                               c->ignored >= 0 ? &c->ignored : NULL, c->reduction, wanted);
    running r = begin(bodies, c->op,
                      GRAPH("22",
                            "{'name': 'x', 'dtype': '%s', 'shape': ['N', 4, 'D']},"
                            "{'name': 't', 'dtype': '%s', 'shape': ['N', 'D']},"
                            "{'name': 'w', 'dtype': '%s', 'shape': [4]}",
                            "'y'%s", "",
                            "{'op': '%s', 'inputs': ['x', 't'%s], 'outputs': ['y'%s],"
                            " 'attributes': {'reduction': '%s'%s}}"),
                      tn_dtype_name(c->dtype), tn_dtype_name(c->labels), tn_dtype_name(c->dtype),
                      softmax ? ", 'p'" : "", c->op, c->weighted ? ", 'w'" : "",
                      softmax ? ", 'p'" : "", c->reduction, ignore);
    give(&r, "x", c->dtype, 3, x_dims, x_data);
    give(&r, "t", c->labels, 2, t_dims, labels);
    give(&r, "w", c->dtype, 1, w_dims, w_data);
    const tn_tensor *y = answer(&r);
    expect_shape(y, count == 1 ? 0 : 2, t_dims);
    expect_elements(y, count, wanted, eps * (1 + fabs(wanted[0])));
    if (softmax)
        expect_elements(tn_context_output(r.context, 1), N * C * D, logs, eps * 3);
    stop(&r);
}

Test(bodies, losses_with_weights_and_what_is_ignored)
{
    static const loss_case cases[] = {
        { "NegativeLogLikelihoodLoss", "mean", TN_FLOAT32, TN_INT64, 1, 2 },
        { "NegativeLogLikelihoodLoss", "mean", TN_FLOAT64, TN_INT32, 1, 77 },
        { "NegativeLogLikelihoodLoss", "mean", TN_FLOAT16, TN_INT64, 0, 1 },
        { "NegativeLogLikelihoodLoss", "mean", TN_BFLOAT16, TN_INT32, 1, -1 },
        { "NegativeLogLikelihoodLoss", "sum", TN_FLOAT32, TN_INT32, 1, 3 },
        { "NegativeLogLikelihoodLoss", "none", TN_FLOAT16, TN_INT32, 1, 0 },
        { "NegativeLogLikelihoodLoss", "none", TN_FLOAT32, TN_INT32, 0, -1 },
        { "NegativeLogLikelihoodLoss", "mean", TN_FLOAT32, TN_INT64, 0, -1 },
        { "SoftmaxCrossEntropyLoss", "mean", TN_FLOAT32, TN_INT64, 1, 2 },
        { "SoftmaxCrossEntropyLoss", "mean", TN_FLOAT16, TN_INT32, 1, 99 },
        { "SoftmaxCrossEntropyLoss", "sum", TN_BFLOAT16, TN_INT64, 0, 1 },
        { "SoftmaxCrossEntropyLoss", "none", TN_FLOAT64, TN_INT32, 1, 0 },
        { "SoftmaxCrossEntropyLoss", "mean", TN_FLOAT64, TN_INT64, 0, -1 },
    };
    BOTH(bodies)
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_loss(&cases[k], bodies);
}

/* An infinite score and an infinite weight of class 0, which stands in for what is ignored; and more
 * targets than float16 can count. */
Test(bodies, losses_of_what_is_ignored_are_nothing_whatever_stands_there)
{
    enum { MANY = 70000 };
    static uint16_t scores[2 * MANY];
    static int64_t target[MANY];
    const int64_t x_dims[3] = { 1, 2, MANY }, t_dims[2] = { 1, MANY };
    for (int k = 0; k < MANY; k++)
        tn_set_float(TN_FLOAT16, scores, MANY + k, -1.5), target[k] = 1;
    tn_set_float(TN_FLOAT16, scores, 0, -(double)INFINITY), target[0] = -9;
    BOTH(bodies)
    {
        running r = begin(bodies, "NegativeLogLikelihoodLoss",
                          GRAPH("22",
                                "{'name': 'x', 'dtype': 'float16', 'shape': [1, 2, 'D']},"
                                "{'name': 't', 'dtype': 'int64', 'shape': [1, 'D']}",
                                "'y'",
                                "'w': {'dtype': 'float16', 'shape': [2],"
                                " 'data': ['Infinity', 1]}",
                                "{'op': 'NegativeLogLikelihoodLoss', 'inputs': ['x', 't', 'w'],"
                                " 'outputs': ['y'], 'attributes': {'ignore_index': -9}}"));
        give(&r, "x", TN_FLOAT16, 3, x_dims, scores);
        give(&r, "t", TN_INT64, 2, t_dims, target);
        expect_elements(answer(&r), 1, (const double[]){ 1.5 }, 0);
        stop(&r);
    }
}

Test(bodies, cross_entropy_gives_the_probabilities_alone)
{
    BOTH(bodies)
    {
        running r = begin(bodies, "SoftmaxCrossEntropyLoss",
                          GRAPH("13", "", "'p'",
                                "'x': {'dtype': 'float32', 'shape': [1, 2], 'data': [0, 0]},"
                                "'t': {'dtype': 'int32', 'shape': [1], 'data': [0]}",
                                "{'op': 'SoftmaxCrossEntropyLoss', 'inputs': ['x', 't'],"
                                " 'outputs': ['y', 'p']}"));
        expect_elements(answer(&r), 2, (const double[]){ -log(2), -log(2) }, 1e-7);
        stop(&r);
    }
}

/* ---- windows ------------------------------------------------------------------------------------ */

Test(bodies, windows_of_every_length_and_type)
{
    static const struct {
        const char *op;
        double a[3];
    } ops[] = { { "HannWindow", { 0.5, 0.5, 0 } },
                { "HammingWindow", { 25.0 / 46, 21.0 / 46, 0 } },
                { "BlackmanWindow", { 0.42, 0.5, 0.08 } } };
    static const uint32_t types[] = { TN_FLOAT32,  TN_FLOAT64, TN_FLOAT16,
                                      TN_BFLOAT16, TN_INT32,   TN_UINT8 };
    static const double near[] = { 1e-7, 1e-15, 5e-4, 4e-3, 0, 0 };
    static const int32_t sizes[] = { 1, 2, 9, 16 };
    BOTH(bodies)
    for (size_t k = 0; k < 3 * 6 * 2; k++) {
        const uint32_t dtype = types[k / 6];
        const int periodic = k % 2;
        running r = begin(bodies, ops[k % 3].op,
                          GRAPH("17", "{'name': 'n', 'dtype': 'int32', 'shape': []}", "'y'", "",
                                "{'op': '%s', 'inputs': ['n'], 'outputs': ['y'],"
                                " 'attributes': {'periodic': %d, 'output_datatype': %u}}"),
                          ops[k % 3].op, periodic, (unsigned)dtype);
        for (int j = 0; j < 4; j++) {
            const int n = sizes[j], circle = periodic ? n : n - 1;
            double wanted[16];
            for (int i = 0; i < n; i++) {
                const double c = circle ? cos(2 * 3.14159265358979324 * i / circle) : -1;
                const double w = ops[k % 3].a[0] - ops[k % 3].a[1] * c +
                                 ops[k % 3].a[2] * (2 * c * c - 1);
                wanted[i] = tn_dtype_is_float(dtype) ? w : w > 1 - 1e-12 ? 1 : 0;
            }
            give(&r, "n", TN_INT32, 0, NULL, &sizes[j]);
            expect_elements(answer(&r), n, wanted, near[k / 6]);
        }
        stop(&r);
    }
}

/* ---- Bernoulli ---------------------------------------------------------------------------------- */

Test(bodies, bernoulli_of_a_seed_draws_the_same)
{
    enum { COUNT = 4096 };
    static const char *const names[] = { "float32", "bool", "int8", "float16", "bfloat16" };
    static uint8_t first[COUNT];
    static float p[COUNT];
    const int64_t dims[1] = { COUNT };
    for (int k = 0; k < COUNT; k++)
        p[k] = (float)(k % 5) * 0.25f; /* 0, 1/4, 1/2, 3/4, 1 */
    for (size_t t = 0; t < sizeof names / sizeof *names; t++)
        BOTH(bodies)
        {
            const uint32_t to[] = { TN_FLOAT32, TN_BOOL, TN_INT8, TN_FLOAT16, TN_BFLOAT16 };
            int counts[5] = { 0 };
            running r = begin(bodies, "Bernoulli",
                              GRAPH("22", "{'name': 'p', 'dtype': 'float32', 'shape': ['N']}",
                                    "'y'", "",
                                    "{'op': 'Bernoulli', 'inputs': ['p'], 'outputs': ['y'],"
                                    " 'attributes': {'dtype': %u, 'seed': 3.5}}"),
                              (unsigned)to[t]);
            give(&r, "p", TN_FLOAT32, 1, dims, p);
            const tn_tensor *y = answer(&r);
            cr_assert_str_eq(tn_dtype_name(y->dtype), names[t]);
            for (int k = 0; k < COUNT; k++) {
                const int is_one = element(y, k) == 1.0;
                cr_assert(is_one || element(y, k) == 0.0);
                counts[k % 5] += is_one;
                if (t == 0 && !bodies)
                    first[k] = (uint8_t)is_one;
                cr_assert_eq(first[k], is_one, "element %d of type %s", k, names[t]);
            }
            cr_expect_eq(counts[0], 0);
            cr_expect_eq(counts[4], COUNT / 5);
            for (int k = 1; k < 4; k++) /* five standard deviations of 820 draws */
                cr_expect_float_eq(counts[k] / 820.0, 0.25 * k, 5 * 0.0175);
            stop(&r);
        }
}

/* Half of the numbers nearest below 1 would be rounded to 1 in float16. */
Test(bodies, bernoulli_of_one_is_one_in_every_type)
{
    enum { COUNT = 20000 };
    static uint16_t p[COUNT];
    const int64_t dims[1] = { COUNT };
    for (int k = 0; k < COUNT; k++)
        tn_set_float(TN_FLOAT16, p, k, 1.0);
    BOTH(bodies)
    {
        running r = begin(bodies, "Bernoulli",
                          GRAPH("15", "{'name': 'p', 'dtype': 'float16', 'shape': ['N']}", "'y'",
                                "", "{'op': 'Bernoulli', 'inputs': ['p'], 'outputs': ['y']}"));
        give(&r, "p", TN_FLOAT16, 1, dims, p);
        const tn_tensor *y = answer(&r);
        cr_assert_eq(y->dtype, TN_FLOAT16);
        for (int k = 0; k < COUNT; k++)
            cr_assert_eq(element(y, k), 1.0);
        stop(&r);
    }
}

/* ---- AffineGrid --------------------------------------------------------------------------------- */

static double grid_place(int o, int extent, int corners)
{
    if (corners)
        return extent > 1 ? -1 + 2.0 * o / (extent - 1) : -1;
    return (2.0 * o + 1) / extent - 1;
}

Test(bodies, affine_grids_of_one_element_and_of_two_or_three_axes)
{
    static const uint32_t types[] = { TN_FLOAT32, TN_FLOAT64, TN_FLOAT16, TN_BFLOAT16 };
    static const double near[] = { 2e-6, 1e-14, 3e-3, 3e-2 };
    static const int64_t sizes[3][5] = { { 2, 3, 4, 5 }, { 2, 1, 1, 3 }, { 2, 1, 2, 1, 3 } };
    BOTH(bodies)
    for (int k = 0; k < 3 * 4 * 2; k++) {
        const int corners = k % 2, s = k % 3 == 2 ? 3 : 2;
        const uint32_t dtype = types[k / 6];
        const int64_t *size = sizes[k % 3], theta_dims[3] = { 2, s, s + 1 },
                      size_dims[1] = { s + 2 };
        uint64_t data[24] = { 0 };
        double theta[24], wanted[200];
        int64_t count = 0;
        for (int j = 0; j < 2 * s * (s + 1); j++)
            put(dtype, data, j, theta[j] = rounded(dtype, 0.3 * j - 1.7));
        for (int n = 0; n < 2; n++)
            for (int z = 0; z < (s == 3 ? size[2] : 1); z++)
                for (int y = 0; y < size[s]; y++)
                    for (int x = 0; x < size[s + 1]; x++)
                        for (int row = 0; row < s; row++) {
                            const double *m = theta + (n * s + row) * (s + 1);
                            wanted[count] = m[0] * grid_place(x, (int)size[s + 1], corners) +
                                            m[1] * grid_place(y, (int)size[s], corners) + m[s];
                            if (s == 3)
                                wanted[count] += m[2] * grid_place(z, (int)size[2], corners);
                            count++;
                        }
        running r = begin(bodies, "AffineGrid",
                          GRAPH("20",
                                "{'name': 'm', 'dtype': '%s', 'shape': ['N', 'S', 'T']},"
                                "{'name': 'n', 'dtype': 'int64', 'shape': [%d]}",
                                "'y'", "",
                                "{'op': 'AffineGrid', 'inputs': ['m', 'n'], 'outputs': ['y'],"
                                " 'attributes': {'align_corners': %d}}"),
                          tn_dtype_name(dtype), s + 2, corners);
        give(&r, "m", dtype, 3, theta_dims, data);
        give(&r, "n", TN_INT64, 1, size_dims, size);
        const tn_tensor *y = answer(&r);
        cr_assert_eq(y->rank, s + 2);
        expect_elements(y, count, wanted, near[k / 6]);
        stop(&r);
    }
}

/* ---- CenterCropPad ------------------------------------------------------------------------------ */

/* Element (a, b) of 5 by 4, or 0 around. */
static double cropped(int64_t a, int64_t b, int64_t rows, int64_t columns)
{
    const int64_t had[2] = { 5, 4 }, wanted[2] = { rows, columns };
    int64_t at[2] = { a, b };
    for (int k = 0; k < 2; k++)
        at[k] += had[k] > wanted[k] ? (had[k] - wanted[k]) / 2 : -((wanted[k] - had[k]) / 2);
    return at[0] < 0 || at[0] >= 5 || at[1] < 0 || at[1] >= 4 ? 0 : (double)(at[0] * 4 + at[1] + 1);
}

Test(bodies, center_crop_pad_by_odd_differences_and_negative_axes)
{
    static const uint32_t types[] = { TN_FLOAT32, TN_INT8, TN_UINT64, TN_FLOAT16, TN_BFLOAT16 };
    static const int32_t shapes[][2] = { { 2, 4 },  { 5, 1 }, { 8, 4 }, { 5, 7 }, { 2, 9 },
                                         { 10, 1 }, { 5, 4 }, { 0, 4 }, { 6, 0 } };
    static const struct {
        const char *axes;
        int first, second; /* which of rows and columns the elements of 'shape' are */
    } orders[] = { { "", 0, 1 }, { "'axes': [-1, -2]", 1, 0 }, { "'axes': [0, -1]", 0, 1 } };
    const int64_t dims[2] = { 5, 4 }, shape_dims[1] = { 2 };
    BOTH(bodies)
    for (size_t t = 0; t < sizeof types / sizeof *types * 3; t++) {
        const uint32_t dtype = types[t / 3];
        uint64_t data[20] = { 0 };
        for (int k = 0; k < 20; k++)
            put(dtype, data, k, k + 1);
        running r = begin(bodies, "CenterCropPad",
                          GRAPH("18",
                                "{'name': 'x', 'dtype': '%s', 'shape': ['H', 'W']},"
                                "{'name': 's', 'dtype': 'int32', 'shape': [2]}",
                                "'y'", "",
                                "{'op': 'CenterCropPad', 'inputs': ['x', 's'], 'outputs': ['y'],"
                                " 'attributes': {%s}}"),
                          tn_dtype_name(dtype), orders[t % 3].axes);
        give(&r, "x", dtype, 2, dims, data);
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
            const int64_t rows = shapes[k][0], columns = shapes[k][1];
            const int64_t out_dims[2] = { rows, columns };
            const int32_t given[2] = { shapes[k][orders[t % 3].first],
                                       shapes[k][orders[t % 3].second] };
            double wanted[128];
            for (int64_t j = 0; j < rows * columns; j++)
                wanted[j] = cropped(j / columns, j % columns, rows, columns);
            give(&r, "s", TN_INT32, 1, shape_dims, given);
            const tn_tensor *y = answer(&r);
            expect_shape(y, 2, out_dims);
            expect_elements(y, rows * columns, wanted, 0);
        }
        stop(&r);
    }
}

Test(bodies, center_crop_pad_of_texts_and_of_one_axis)
{
    BOTH(bodies)
    {
        running r = begin(bodies, "CenterCropPad",
                          GRAPH("18", "", "'y', 'z'",
                                "'x': {'dtype': 'string', 'shape': [1, 2], 'data': ['a', 'b']},"
                                "'c': {'dtype': 'bool', 'shape': [2, 1], 'data': [true, true]},"
                                "'s': {'dtype': 'int64', 'shape': [1], 'data': [5]}",
                                "{'op': 'CenterCropPad', 'inputs': ['x', 's'], 'outputs': ['y'],"
                                " 'attributes': {'axes': [1]}},"
                                "{'op': 'CenterCropPad', 'inputs': ['c', 's'], 'outputs': ['z'],"
                                " 'attributes': {'axes': [-2]}}"));
        const tn_tensor *y = answer(&r);
        const tn_text *texts = y->data;
        expect_shape(y, 2, (const int64_t[]){ 1, 5 });
        for (int k = 0; k < 5; k++)
            cr_expect_eq(texts[k].count, k == 1 || k == 2);
        cr_expect_eq(*texts[1].bytes, 'a');
        cr_expect_eq(*texts[2].bytes, 'b');
        expect_elements(tn_context_output(r.context, 1), 5, (const double[]){ 0, 1, 1, 0, 0 }, 0);
        stop(&r);
    }
}

/* ---- RotaryEmbedding ---------------------------------------------------------------------------- */

typedef struct rotary {
    uint32_t dtype;
    int rank, interleaved, partly, by_table, batch;
} rotary;

enum { HEADS = 3, ROWS = 4, SIZE = 6, TABLE = 9 };

/* Element i of the head that begins at x[0], turned by angles c, s. */
static double turned(const double *x, const double *c, const double *s, int i, int rotated,
                     int interleaved)
{
    const int half = rotated / 2, pair = interleaved ? i / 2 : i % half;
    const int second = interleaved ? i % 2 : i >= half;
    const double a = x[interleaved ? 2 * pair : pair];
    const double b = x[interleaved ? 2 * pair + 1 : pair + half];
    if (i >= rotated)
        return x[i];
    return second ? s[pair] * a + c[pair] * b : c[pair] * a - s[pair] * b;
}

static void check_rotary(const rotary *row, int bodies)
{
    enum { MOST = 2 * HEADS * ROWS * SIZE };
    const int rotated = row->partly ? 4 : SIZE, half = rotated / 2;
    const double eps = row->dtype == TN_FLOAT32 ? 1e-6 : row->dtype == TN_FLOAT16 ? 4e-3 : 3e-2;
    const int64_t four[4] = { row->batch, HEADS, ROWS, SIZE };
    const int64_t three[3] = { row->batch, ROWS, HEADS * SIZE };
    const int64_t table[2] = { TABLE, half }, own[3] = { row->batch, ROWS, half };
    const int64_t position_dims[2] = { row->batch, ROWS };
    const int rows = row->by_table ? TABLE : row->batch * ROWS;
    int64_t positions[2 * ROWS];
    double x[MOST], c[TABLE * SIZE], s[TABLE * SIZE], wanted[MOST];
    uint64_t x_data[MOST], c_data[TABLE * SIZE], s_data[TABLE * SIZE];
    float numbers[MOST];
    fill(numbers, MOST, 11);
    fill_ints(TN_INT64, positions, 2 * ROWS, 0, TABLE - 1, 12);
    for (int k = 0; k < MOST; k++)
        put(row->dtype, x_data, k, x[k] = rounded(row->dtype, (double)numbers[k]));
    for (int k = 0; k < rows * half; k++) {
        put(row->dtype, c_data, k, c[k] = rounded(row->dtype, cos(k * 0.7)));
        put(row->dtype, s_data, k, s[k] = rounded(row->dtype, sin(k * 0.7)));
    }
    for (int b = 0; b < row->batch; b++)
        for (int h = 0; h < HEADS; h++)
            for (int p = 0; p < ROWS; p++) {
                const int at = row->rank == 4 ? ((b * HEADS + h) * ROWS + p) * SIZE
                                              : ((b * ROWS + p) * HEADS + h) * SIZE;
                const int angle = (int)(row->by_table ? positions[b * ROWS + p] : b * ROWS + p);
                for (int i = 0; i < SIZE; i++)
                    wanted[at + i] = turned(x + at, c + angle * half, s + angle * half, i, rotated,
                                            row->interleaved);
            }
    running r = begin(
        bodies, "RotaryEmbedding",
        GRAPH("23",
              "{'name': 'x', 'dtype': '%s', 'shape': [%s]},"
              "{'name': 'c', 'dtype': '%s'}, {'name': 's', 'dtype': '%s'},"
              "{'name': 'p', 'dtype': 'int64', 'shape': ['B', 'P']}",
              "'y'", "",
              "{'op': 'RotaryEmbedding', 'inputs': ['x', 'c', 's'%s], 'outputs': ['y'],"
              " 'attributes': {'interleaved': %d, 'rotary_embedding_dim': %d,"
              " 'num_heads': 3}}"),
        tn_dtype_name(row->dtype), row->rank == 4 ? "'B', 'H', 'P', 'D'" : "'B', 'P', 18",
        tn_dtype_name(row->dtype), tn_dtype_name(row->dtype), row->by_table ? ", 'p'" : "",
        row->interleaved, row->partly ? 4 : 0);
    give(&r, "x", row->dtype, row->rank, row->rank == 4 ? four : three, x_data);
    give(&r, "c", row->dtype, row->by_table ? 2 : 3, row->by_table ? table : own, c_data);
    give(&r, "s", row->dtype, row->by_table ? 2 : 3, row->by_table ? table : own, s_data);
    give(&r, "p", TN_INT64, 2, position_dims, positions);
    const tn_tensor *y = answer(&r);
    expect_shape(y, row->rank, row->rank == 4 ? four : three);
    expect_elements(y, row->batch * HEADS * ROWS * SIZE, wanted, eps);
    stop(&r);
}

Test(bodies, rotary_embedding_in_all_its_ways)
{
    BOTH(bodies)
    for (int k = 0; k < 16; k++)
        check_rotary(
            &(const rotary){ TN_FLOAT32, k & 1 ? 3 : 4, k >> 1 & 1, k >> 2 & 1, k >> 3, 2 },
            bodies);
    BOTH(bodies)
    {
        check_rotary(&(const rotary){ TN_FLOAT16, 4, 1, 1, 1, 2 }, bodies);
        check_rotary(&(const rotary){ TN_BFLOAT16, 3, 0, 1, 0, 1 }, bodies);
        check_rotary(&(const rotary){ TN_FLOAT32, 3, 1, 1, 1, 0 }, bodies);
        check_rotary(&(const rotary){ TN_FLOAT32, 4, 0, 0, 0, 0 }, bodies);
    }
}

/* Without a rank nothing is written out: the kernel finds it when running. */
Test(bodies, rotary_embedding_of_an_unknown_rank_stays)
{
    const int64_t x_dims[4] = { 1, 1, 1, 2 }, dims[3] = { 1, 1, 1 };
    const float x[2] = { 3, 5 }, c[1] = { 0 }, s[1] = { 1 };
    running r = start(GRAPH("23",
                            "{'name': 'x', 'dtype': 'float32'}, {'name': 'c', 'dtype': 'float32'},"
                            "{'name': 's', 'dtype': 'float32'}",
                            "'y'", "",
                            "{'op': 'RotaryEmbedding', 'inputs': ['x', 'c', 's'],"
                            " 'outputs': ['y']}"));
    char printed[4096] = "";
    tn_context_destroy(r.context);
    tn_session_destroy(r.session);
    r.session = make_session(&r.f, "reference", "none", 1, TN_SESSION_PREFER_BODIES);
    OK(tn_session_print(r.session, "graph", collect, printed));
    cr_assert(strstr(printed, "= RotaryEmbedding "), "%s", printed);
    OK(tn_context_create(r.session, &r.context));
    give(&r, "x", TN_FLOAT32, 4, x_dims, x);
    give(&r, "c", TN_FLOAT32, 3, dims, c);
    give(&r, "s", TN_FLOAT32, 3, dims, s);
    expect_elements(answer(&r), 2, (const double[]){ -5, 3 }, 0);
    stop(&r);
}

/* ---- SequenceMap -------------------------------------------------------------------------------- */

static tn_tensor *list_of(size_t count, const tn_tensor *elements)
{
    const tn_tensor *pointers[4];
    tn_tensor *list;
    for (size_t k = 0; k < count; k++)
        pointers[k] = &elements[k];
    OK(tn_value_create(TN_SEQUENCE, pointers, count, &list));
    return list;
}

#define MAP_INPUTS                                                                                 \
    "{'name': 'a', 'type': 'sequence(tensor(float32))'},"                                          \
    "{'name': 'b', 'type': 'sequence(tensor(float32))'},"                                          \
    "{'name': 'x', 'dtype': 'float32', 'shape': [1]},"                                             \
    "{'name': 'deep', 'dtype': 'bool', 'shape': []}"
/* Of each pair: u and v + x joined, doubled by a constant of the body or not, by a branch that is two
 * bodies deep and reads from all of them; and how long that is. The nodes stand in no order. */
#define MAP_BODY                                                                                      \
    "{'graph': {'inputs': [{'name': 'u'}, {'name': 'v'}, {'name': 'w'}], 'outputs': ['h', 'm', 'w']," \
    " 'constants': {'two': {'dtype': 'float32', 'shape': [], 'data': 2}},"                            \
    " 'nodes': [{'op': 'Add', 'inputs': ['v', 'w'], 'outputs': ['k']},"                               \
    " {'op': 'If', 'inputs': ['deep'], 'outputs': ['h'], 'attributes': {"                             \
    "  'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': ["                          \
    "   {'op': 'Concat', 'inputs': ['u', 'k'], 'outputs': ['j'], 'attributes': {'axis': 0}},"         \
    "   {'op': 'Mul', 'inputs': ['j', 'two'], 'outputs': ['t']}]}},"                                  \
    "  'else_branch': {'graph': {'inputs': [], 'outputs': ['e'], 'nodes': ["                          \
    "   {'op': 'Sub', 'inputs': ['k', 'x'], 'outputs': ['e']}]}}}},"                                  \
    " {'op': 'Shape', 'inputs': ['h'], 'outputs': ['m']}]}}"

Test(bodies, sequence_map_with_tensors_captures_and_bodies_within)
{
    float data[] = { 1, 2, 3, 4, 5, 6 }, ten[1] = { 10 };
    static const int64_t lengths[] = { 0, 1, 2, 3 }, one[1] = { 1 };
    tn_tensor *a = list_of(3, (const tn_tensor[]){ floats(data, 1, &lengths[1]),
                                                   floats(data, 1, &lengths[3]),
                                                   floats(data, 1, &lengths[0]) });
    tn_tensor *b = list_of(3, (const tn_tensor[]){ floats(data, 1, &lengths[2]),
                                                   floats(data, 1, &lengths[1]),
                                                   floats(data, 1, &lengths[1]) });
    tn_tensor *none = list_of(0, NULL);
    BOTH(bodies)
    {
        const uint8_t yes = 1, no = 0;
        running r = begin(bodies, "SequenceMap",
                          GRAPH("21", MAP_INPUTS, "'y', 'n', 'z'", "",
                                "{'name': 'map', 'op': 'SequenceMap', 'inputs': ['a', 'b', 'x'],"
                                " 'outputs': ['y', 'n', 'z'], 'attributes': {'body': " MAP_BODY
                                "}}"));
        give(&r, "x", TN_FLOAT32, 1, one, ten);
        give(&r, "deep", TN_BOOL, 0, NULL, &yes);
        OK(tn_context_set_input(r.context, "a", a));
        OK(tn_context_set_input(r.context, "b", b));
        const tn_tensor *y = answer(&r);
        cr_assert_eq(tn_value_count(y), 3);
        expect_elements(tn_value_get(y, 0), 3, (const double[]){ 2, 22, 24 }, 0);
        expect_elements(tn_value_get(y, 1), 4, (const double[]){ 2, 4, 6, 22 }, 0);
        expect_elements(tn_value_get(y, 2), 1, (const double[]){ 22 }, 0);
        const tn_tensor *n = tn_context_output(r.context, 1), *z = tn_context_output(r.context, 2);
        cr_assert_eq(tn_value_count(n), 3);
        expect_elements(tn_value_get(n, 1), 1, (const double[]){ 4 }, 0);
        expect_elements(tn_value_get(z, 2), 1, (const double[]){ 10 }, 0);
        give(&r, "deep", TN_BOOL, 0, NULL, &no);
        expect_elements(tn_value_get(answer(&r), 0), 2, (const double[]){ 1, 2 }, 0);
        OK(tn_context_set_input(r.context, "a", none));
        OK(tn_context_set_input(r.context, "b", none));
        cr_expect_eq(tn_value_count(answer(&r)), 0);
        stop(&r);
    }
    tn_value_destroy(a);
    tn_value_destroy(b);
    tn_value_destroy(none);
}

/* An output that nobody wants, and a body whose outputs are its inputs. */
Test(bodies, sequence_map_of_what_goes_through)
{
    float data[] = { 1, 2, 3 };
    static const int64_t two[1] = { 2 }, three[1] = { 3 };
    tn_tensor *a = list_of(2, (const tn_tensor[]){ floats(data, 1, two), floats(data, 1, three) });
    BOTH(bodies)
    {
        running r = begin(bodies, "SequenceMap",
                          GRAPH("17", "{'name': 'a', 'type': 'sequence(tensor(float32))'}", "'z'",
                                "",
                                "{'op': 'SequenceMap', 'inputs': ['a'], 'outputs': ['', 'z'],"
                                " 'attributes': {'body': {'graph': {'inputs': [{'name': 'u'}],"
                                " 'outputs': ['s', 'u'], 'nodes': ["
                                " {'op': 'Shape', 'inputs': ['u'], 'outputs': ['s']}]}}}}"));
        OK(tn_context_set_input(r.context, "a", a));
        const tn_tensor *z = answer(&r);
        cr_assert_eq(tn_value_count(z), 2);
        expect_elements(tn_value_get(z, 1), 3, (const double[]){ 1, 2, 3 }, 0);
        stop(&r);
    }
    tn_value_destroy(a);
}
