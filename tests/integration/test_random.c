/* Random tensors: known numbers of Philox4x32-10, seeds, threads, statistics, and what is refused.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

#include <criterion/parameterized.h>

enum { MANY = 100000 };

/* Runs a graph with these threads and this seed of the run; copies output 0 as doubles. */
static void draw(const char *graph, uint32_t threads, uint64_t seed, double *out, int64_t count)
{
    char text[NODE_TEXT];
    tn_session *session;
    tn_context *context;
    const tn_run_options options = { .size = sizeof options, .seed = seed };
    snprintf(text, sizeof text, "%s", graph);
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    fixture f = open_text(text);
    session = make_session(&f, "reference", NULL, threads, 0);
    OK(tn_context_create(session, &context));
    OK(tn_context_run(context, &options));
    const tn_tensor *y = tn_context_output(context, 0);
    cr_assert_eq(tn_count(y), count);
    for (int64_t k = 0; k < count; k++)
        out[k] = element(y, k);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

#define FILL(op, attributes)                                                                       \
    GRAPH("22", "", "'y'", "",                                                                     \
          "{'op': '" op "', 'inputs': [], 'outputs': ['y'], 'attributes': {" attributes "}}")

/* The answer to counter 0 and key 0 that Random123 publishes (kat_vectors): 6627e8d5 e169c58d
 * bc57ac4c 9b00dbd8. Two words are a number of 53 bits. */
static double first_number(int k)
{
    const uint64_t bits = k ? UINT64_C(0xbc57ac4c9b00dbd8) : UINT64_C(0x6627e8d5e169c58d);
    return (double)(bits >> 11) * 0x1p-53;
}

Test(random, a_seed_of_0_gives_the_published_numbers)
{
    double got[2];
    const double u = first_number(0), v = first_number(1), tau = 8 * atan(1);
    draw(FILL("RandomUniform", "'shape': [2], 'dtype': 11, 'seed': 0.0"), 1, 5, got, 2);
    cr_expect_eq(got[0], u);
    cr_expect_eq(got[1], v);
    draw(FILL("RandomUniform", "'shape': [2], 'seed': 0.0, 'low': -1.0, 'high': 3.0"), 1, 5, got,
         2);
    cr_expect_eq(got[0], floor(u * 0x1p24) / 0x1p24 * 4 - 1);
    draw(FILL("RandomNormal",
              "'shape': [1, 2], 'dtype': 11, 'seed': 0.0, 'mean': 2.0, 'scale': 3.0"),
         1, 5, got, 2);
    cr_expect_float_eq(got[0], 2 + 3 * sqrt(-2 * log(1 - u)) * cos(tau * v), 1e-13);
    cr_expect_float_eq(got[1], 2 + 3 * sqrt(-2 * log(1 - u)) * sin(tau * v), 1e-13);
}

static int same(const double *a, const double *b, int64_t count)
{
    return !memcmp(a, b, (size_t)count * sizeof *a);
}

/* With a seed: of every run and node the same. Without: of the run's seed and the node. Never of
 * threads. */
Test(random, numbers_depend_on_seeds_alone)
{
    static double a[MANY], b[MANY];
    static const char *const seeded = FILL("RandomNormal", "'shape': [100000], 'seed': 3.5"),
                             *const other = FILL("RandomNormal", "'shape': [100000], 'seed': 4.5"),
                             *const free_one = FILL("RandomNormal", "'shape': [100000]"),
                             *const named = GRAPH(
                                 "22", "", "'y'", "",
                                 "{'name': 'n', 'op': 'RandomNormal', 'inputs': [],"
                                 " 'outputs': ['y'],"
                                 " 'attributes': {'shape': [100000]}}");
    draw(seeded, 1, 1, a, MANY);
    draw(seeded, 2, 2, b, MANY);
    cr_expect(same(a, b, MANY));
    draw(other, 1, 1, b, MANY);
    cr_expect_not(same(a, b, MANY));
    draw(free_one, 1, 1, a, MANY);
    draw(free_one, 2, 1, b, MANY);
    cr_expect(same(a, b, MANY));
    draw(free_one, 1, 2, b, MANY);
    cr_expect_not(same(a, b, MANY));
    draw(named, 1, 1, b, MANY);
    cr_expect_not(same(a, b, MANY));
}

/* Mean, deviation and correlation of neighbours, each within five of its own deviations. */
static void expect_moments(const double *x, int64_t count, double mean, double deviation)
{
    double sum = 0, squares = 0, neighbours = 0;
    const double root = sqrt((double)count);
    for (int64_t k = 0; k < count; k++)
        sum += (x[k] - mean) / deviation;
    for (int64_t k = 0; k < count; k++) {
        const double z = (x[k] - mean) / deviation;
        squares += z * z - 1;
        neighbours += k ? z * (x[k - 1] - mean) / deviation : 0;
    }
    cr_expect_lt(fabs(sum), 5 * root, "mean is off by %g", sum / (double)count * deviation);
    cr_expect_lt(fabs(squares), 5 * sqrt(2.0) * root, "variance is off by %g",
                 squares / (double)count);
    cr_expect_lt(fabs(neighbours), 5 * root, "correlation %g", neighbours / (double)count);
}

typedef struct type_name {
    int dtype;
} type_name;

ParameterizedTestParameters(random, has_the_moments_of_its_distribution)
{
    static type_name rows[] = { { TN_FLOAT32 }, { TN_FLOAT64 }, { TN_FLOAT16 } };
    return cr_make_param_array(type_name, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(type_name *row, random, has_the_moments_of_its_distribution)
{
    static double x[MANY];
    char graph[1000];
    int64_t inside = 0, tail = 0;
    snprintf(graph, sizeof graph,
             FILL("RandomNormal", "'shape': [100000], 'dtype': %d, 'mean': 1.0, 'scale': 2.0"),
             row->dtype);
    draw(graph, 2, 7, x, MANY);
    expect_moments(x, MANY, 1, 2);
    for (int64_t k = 0; k < MANY; k++) {
        inside += fabs(x[k] - 1) < 2;
        tail += fabs(x[k] - 1) > 6;
    }
    cr_expect_float_eq((double)inside / MANY, 0.6827, 0.008); /* one deviation */
    cr_expect_float_eq((double)tail / MANY, 0.0027, 0.0009);  /* three */
    snprintf(graph, sizeof graph,
             FILL("RandomUniform", "'shape': [100000], 'dtype': %d, 'low': 0.0, 'high': 1.0"),
             row->dtype);
    draw(graph, 2, 7, x, MANY);
    expect_moments(x, MANY, 0.5, sqrt(1 / 12.0));
    for (int64_t k = 0; k < MANY; k++)
        cr_assert(x[k] >= 0 && x[k] < 1);
}

Test(random, like_takes_shape_and_type)
{
    static const int64_t dims[2] = { 2, 3 };
    static const char *const ops[] = { "RandomNormalLike", "RandomUniformLike" };
    for (int k = 0; k < 4; k++) {
        running r = start(GRAPH("%d", "{'name': 'x', 'dtype': '%s', 'shape': ['N', 3]}", "'y'", "",
                                "{'op': '%s', 'inputs': ['x'], 'outputs': ['y'],"
                                " 'attributes': {%s}}"),
                          k & 1 ? 22 : 1, k & 1 ? "int32" : "float64", ops[k / 2],
                          k & 1 ? "'dtype': 16" : "");
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[N,3]");
        give(&r, "x", k & 1 ? TN_INT32 : TN_FLOAT64, 2, dims, (double[6]){ 0 });
        const tn_tensor *y = answer(&r);
        cr_expect_eq(y->dtype, k & 1 ? TN_BFLOAT16 : TN_FLOAT64);
        expect_shape(y, 2, dims);
        stop(&r);
    }
}

Test(random, takes_scalars_and_tensors_without_elements)
{
    double x[1];
    running r = start(FILL("RandomNormal", "'shape': [3, 0]"));
    expect_shape(answer(&r), 2, (const int64_t[]){ 3, 0 });
    stop(&r);
    draw(FILL("RandomUniform", "'shape': [], 'low': 5.0, 'high': 5.0"), 1, 0, x, 1);
    cr_expect_eq(x[0], 5);
}

/* ---- Bernoulli ----------------------------------------------------------------------------------- */

Test(bernoulli, draws_with_the_probability_given)
{
    static float p[MANY];
    static const int64_t dims[1] = { MANY };
    static const uint32_t types[] = { TN_BOOL, TN_INT8, TN_FLOAT16, TN_FLOAT64, TN_UINT64 };
    for (int64_t k = 0; k < MANY; k++)
        p[k] = k % 4 == 0 ? 0.0f : k % 4 == 1 ? 1.0f : k % 4 == 2 ? 0.25f : 0.875f;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        double sums[4] = { 0 };
        running r = start(GRAPH("15", "{'name': 'p', 'dtype': 'float32', 'shape': ['N']}", "'y'",
                                "",
                                "{'op': 'Bernoulli', 'inputs': ['p'], 'outputs': ['y'],"
                                " 'attributes': {'dtype': %u, 'seed': 1.5}}"),
                          types[t]);
        give(&r, "p", TN_FLOAT32, 1, dims, p);
        const tn_tensor *y = answer(&r);
        cr_assert_eq(y->dtype, types[t]);
        for (int64_t k = 0; k < MANY; k++) {
            cr_assert(element(y, k) == 0 || element(y, k) == 1);
            sums[k % 4] += element(y, k);
        }
        cr_expect_eq(sums[0], 0);
        cr_expect_eq(sums[1], MANY / 4);
        cr_expect_float_eq(sums[2] / (MANY / 4), 0.25, 0.0137); /* five deviations */
        cr_expect_float_eq(sums[3] / (MANY / 4), 0.875, 0.0105);
        stop(&r);
    }
}

/* ---- Multinomial ---------------------------------------------------------------------------------- */

Test(multinomial, draws_classes_by_their_logarithms)
{
    enum { DRAWS = 40000 };
    static const double share[2][4] = { { 0.1, 0.2, 0, 0.7 }, { 0, 0.5, 0.5, 0 } };
    double counts[2][4] = { { 0 } };
    running r = start(GRAPH("7", "", "'y'",
                            "'x': {'dtype': 'float64', 'shape': [2, 4], 'data':"
                            " [3, 3.6931471805599453, '-Infinity', 4.9459101490553132,"
                            "  '-Infinity', -800, -800, -2000]}",
                            "{'op': 'Multinomial', 'inputs': ['x'], 'outputs': ['y'],"
                            " 'attributes': {'sample_size': 40000, 'dtype': 7, 'seed': 2.0}}"));
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[2,40000]");
    const tn_tensor *y = answer(&r);
    cr_expect_eq(y->dtype, TN_INT64);
    for (int64_t k = 0; k < 2 * DRAWS; k++) {
        const int64_t c = tn_get_int(TN_INT64, y->data, k);
        cr_assert(c >= 0 && c < 4);
        counts[k / DRAWS][c] += 1;
    }
    for (int row = 0; row < 2; row++)
        for (int c = 0; c < 4; c++) {
            const double p = share[row][c], spread = 5 * sqrt(p * (1 - p) / DRAWS);
            cr_expect(fabs(counts[row][c] / DRAWS - p) <= spread, "row %d class %d: %g", row, c,
                      counts[row][c] / DRAWS);
        }
    stop(&r);
}

Test(multinomial, draws_int32_once_by_default)
{
    static const int64_t x[2] = { 3, 2 }, y_dims[2] = { 3, 1 }, none[2] = { 0, 2 },
                         no[2] = { 0, 1 };
    running r = start(GRAPH("22", "{'name': 'x', 'dtype': 'float16', 'shape': ['N', 2]}", "'y'", "",
                            "{'op': 'Multinomial', 'inputs': ['x'], 'outputs': ['y']}"));
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[N,1]");
    give(&r, "x", TN_FLOAT16, 2, x, (uint16_t[6]){ 0 });
    const tn_tensor *y = answer(&r);
    cr_expect_eq(y->dtype, TN_INT32);
    expect_shape(y, 2, y_dims);
    give(&r, "x", TN_FLOAT16, 2, none, (uint16_t[6]){ 0 });
    expect_shape(answer(&r), 2, no);
    stop(&r);
}

/* ---- refusals --------------------------------------------------------------------------------------- */

#define ONE(op, x, attributes)                                                                     \
    GRAPH("22", "", "'y'", "'x': {" x "}",                                                         \
          "{'op': '" op "', 'inputs': ['x'], 'outputs': ['y'], 'attributes': {" attributes "}}")
Test(random, says_what_does_not_fit)
{
    refuses(TN_ERR_ATTRIBUTE,
            "dtype is 6: expected the number of float32, float64, float16 or bfloat16",
            FILL("RandomNormal", "'shape': [1], 'dtype': 6"));
    refuses(TN_ERR_ATTRIBUTE, "shape[1] is -2: expected an extent of at least 0",
            FILL("RandomUniform", "'shape': [1, -2]"));
    refuses(TN_ERR_LIMIT, "attribute 'shape' has 17 extents: expected at most 16",
            FILL("RandomUniform", "'shape': [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'shape' (ints) is missing", FILL("RandomNormal", ""));
    refuses(TN_ERR_ATTRIBUTE,
            "attribute 'dtype' is left out, and the input's type cannot be the output's: expected "
            "the number of float32, float64, float16 or bfloat16",
            ONE("RandomNormalLike", "'dtype': 'int64', 'shape': [1], 'data': [1]", ""));
    refuses(TN_ERR_VALUE, "input[1] is 1.5: expected a probability of [0, 1]",
            ONE("Bernoulli", "'dtype': 'float32', 'shape': [2], 'data': [0.5, 1.5]", ""));
    refuses(TN_ERR_ATTRIBUTE, "dtype is 8: expected the number of a number's type or bool",
            ONE("Bernoulli", "'dtype': 'float32', 'shape': [1], 'data': [0.5]", "'dtype': 8"));
    refuses(TN_ERR_ATTRIBUTE, "dtype is 1: expected the number of int32 or int64",
            ONE("Multinomial", "'dtype': 'float32', 'shape': [1, 1], 'data': [0]", "'dtype': 1"));
    refuses(TN_ERR_ATTRIBUTE, "sample_size is -1: expected at least 0",
            ONE("Multinomial", "'dtype': 'float32', 'shape': [1, 1], 'data': [0]",
                "'sample_size': -1"));
    refuses(TN_ERR_SHAPE, "input 'input' has rank 1: expected 2 (batch, classes)",
            ONE("Multinomial", "'dtype': 'float32', 'shape': [1], 'data': [0]", ""));
    refuses(TN_ERR_VALUE, "input 'input' has 0 classes: expected one or more",
            ONE("Multinomial", "'dtype': 'float32', 'shape': [1, 0], 'data': []", ""));
    refuses(
        TN_ERR_VALUE, "the largest log-probability of row 1 is -inf: expected a finite number",
        ONE("Multinomial", "'dtype': 'float32', 'shape': [2, 1], 'data': [0, '-Infinity']", ""));
}

/* ---- loops -------------------------------------------------------------------------------------- */

#define DRAWN_IN_A_LOOP(attributes)                                                                \
    GRAPH("22", "", "'y'", "'n': {'dtype': 'int64', 'shape': [], 'data': [3]}",                    \
          "{'name': 'l', 'op': 'Loop', 'inputs': ['n', ''], 'outputs': ['y'], 'attributes':"       \
          " {'body': {'graph': {'inputs': [{'name': 'i', 'dtype': 'int64', 'shape': []},"          \
          " {'name': 'c', 'dtype': 'bool', 'shape': []}], 'outputs': ['d', 'u'], 'nodes':"         \
          " [{'name': 'k', 'op': 'Identity', 'inputs': ['c'], 'outputs': ['d']},"                  \
          " {'name': 'r', 'op': 'RandomUniform', 'inputs': [], 'outputs': ['u'],"                  \
          " 'attributes': {'shape': [2], 'dtype': 11" attributes "}}]}}}}")

/* New numbers each trip; the same ones each run. With a seed of its own, whatever the run's; the first
 * trip draws what the node would outside. */
Test(random, each_trip_of_a_loop_draws_anew)
{
    for (int seeded = 0; seeded < 2; seeded++) {
        const char *graph = seeded ? DRAWN_IN_A_LOOP(", 'seed': 0.0") : DRAWN_IN_A_LOOP("");
        double a[6], b[6], c[6];
        draw(graph, 1, 5, a, 6);
        draw(graph, 1, 5, b, 6);
        draw(graph, 1, 6, c, 6);
        cr_expect(same(a, b, 6));
        cr_expect_eq(same(a, c, 6), seeded);
        for (int k = 0; k < 6; k++)
            for (int j = 0; j < k; j++)
                cr_expect_neq(a[k], a[j], "%d and %d", k, j);
        cr_expect(!seeded || (a[0] == first_number(0) && a[1] == first_number(1)));
    }
}
