/* Losses: reductions, weights, what is ignored, types, and what is refused. Expected values are
 * formulas written out plainly here.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

#include <criterion/parameterized.h>

enum { N = 3, C = 5, INNER = 6, COUNT = N * INNER };
static const int64_t score_dims[4] = { N, C, 2, 3 }, target_dims[3] = { N, 2, 3 };
static const int64_t weight_dims[1] = { C };

typedef struct sample {
    float scores[N * C * INNER], weight[C];
    int64_t target[COUNT];
    double log_prob[N * C * INNER];
} sample;

static sample data;

static void make_data(int ignored, int use_ignored)
{
    fill(data.scores, N * C * INNER, 3);
    fill(data.weight, C, 4);
    fill_ints(TN_INT64, data.target, COUNT, 0, C - 1, 5);
    for (int c = 0; c < C; c++)
        data.weight[c] = fabsf(data.weight[c]) + 0.1f;
    if (use_ignored)
        data.target[2] = data.target[9] = ignored;
    for (int n = 0; n < N; n++)
        for (int i = 0; i < INNER; i++) {
            double sum = 0;
            for (int c = 0; c < C; c++)
                sum += exp((double)data.scores[(n * C + c) * INNER + i]);
            for (int c = 0; c < C; c++)
                data.log_prob[(n * C + c) * INNER + i] =
                    (double)data.scores[(n * C + c) * INNER + i] - log(sum);
        }
}

/* The loss of each target, then reduced; answers how many numbers. */
static int64_t expected(const double *log_prob, int weighted, int ignored, int use_ignored,
                        const char *reduction, double *out)
{
    double sum = 0, weights = 0;
    for (int k = 0; k < COUNT; k++) {
        const int64_t c = data.target[k];
        const int skip = use_ignored && c == ignored;
        const double w = skip ? 0 : weighted ? (double)data.weight[c] : 1;
        out[k] = skip ? 0 : -log_prob[(k / INNER * C + c) * INNER + k % INNER] * w;
        sum += out[k];
        weights += w;
    }
    if (!strcmp(reduction, "none"))
        return COUNT;
    out[0] = strcmp(reduction, "mean") ? sum : sum / weights;
    return 1;
}

typedef struct kind {
    char op[28], reduction[8];
    int opset, weighted, use_ignored, ignored;
} kind;

ParameterizedTestParameters(loss, follows_the_formula)
{
    static kind rows[] = {
        { "NegativeLogLikelihoodLoss", "none", 12, 0, 0, 0 },
        { "NegativeLogLikelihoodLoss", "mean", 13, 1, 1, -1 },
        { "NegativeLogLikelihoodLoss", "mean", 22, 0, 1, 77 },
        { "NegativeLogLikelihoodLoss", "sum", 27, 1, 0, 0 },
        { "NegativeLogLikelihoodLoss", "none", 22, 1, 1, 2 },
        { "SoftmaxCrossEntropyLoss", "none", 12, 1, 1, -7 },
        { "SoftmaxCrossEntropyLoss", "mean", 13, 0, 0, 0 },
        { "SoftmaxCrossEntropyLoss", "mean", 27, 1, 1, 0 },
        { "SoftmaxCrossEntropyLoss", "sum", 13, 0, 1, 99 },
    };
    return cr_make_param_array(kind, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(kind *row, loss, follows_the_formula)
{
    const int softmax = row->op[0] == 'S';
    char ignore[40] = "";
    double wanted[COUNT], plain[N * C * INNER];
    if (row->use_ignored)
        snprintf(ignore, sizeof ignore, ", 'ignore_index': %d", row->ignored);
    running r = start(GRAPH("%d",
                            "{'name': 'x', 'dtype': 'float32', 'shape': ['N', 5, 'H', 3]},"
                            "{'name': 't', 'dtype': 'int64', 'shape': ['N', 'H', 3]},"
                            "{'name': 'w', 'dtype': 'float32', 'shape': [5]}",
                            "'y'", "",
                            "{'op': '%s', 'inputs': ['x', 't'%s], 'outputs': ['y'],"
                            " 'attributes': {'reduction': '%s'%s}}"),
                      row->opset, row->op, row->weighted ? ", 'w'" : "", row->reduction, ignore);
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape,
                     strcmp(row->reduction, "none") ? "[]" : "[N,H,3]");
    make_data(row->ignored, row->use_ignored);
    for (int k = 0; k < N * C * INNER; k++)
        plain[k] = (double)data.scores[k];
    const int64_t count = expected(softmax ? data.log_prob : plain, row->weighted, row->ignored,
                                   row->use_ignored, row->reduction, wanted);
    give(&r, "x", TN_FLOAT32, 4, score_dims, data.scores);
    give(&r, "t", TN_INT64, 3, target_dims, data.target);
    give(&r, "w", TN_FLOAT32, 1, weight_dims, data.weight);
    const tn_tensor *y = answer(&r);
    expect_shape(y, count == 1 ? 0 : 3, target_dims);
    for (int64_t k = 0; k < count; k++) /* rounded once from double */
        wanted[k] = (double)(float)wanted[k];
    expect_elements(y, count, wanted, 1e-7);
    stop(&r);
}

/* Scores that overflow an exponential; the probabilities are 1/2, 1/2, 0. */
typedef struct element_type {
    char name[12];
    double half; /* log 2 in that type */
} element_type;

ParameterizedTestParameters(cross_entropy, of_large_scores_in_every_type)
{
    static element_type rows[] = {
        { "float64", 0x1.62e42fefa39efp-1 },
        { "float32", 0x1.62e430p-1 },
        { "float16", 0.693359375 },
        { "bfloat16", 0.69140625 },
    };
    return cr_make_param_array(element_type, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(element_type *row, cross_entropy, of_large_scores_in_every_type)
{
    running r = start(GRAPH("13", "", "'y', 'p'",
                            "'x': {'dtype': '%s', 'shape': [1, 3],"
                            " 'data': [32768, 32768, '-Infinity']},"
                            "'t': {'dtype': 'int32', 'shape': [1], 'data': [1]}",
                            "{'op': 'SoftmaxCrossEntropyLoss', 'inputs': ['x', 't'],"
                            " 'outputs': ['y', 'p']}"),
                      row->name);
    expect_elements(answer(&r), 1, &row->half, 2e-12); /* 32768 leaves 37 bits behind the point */
    expect_elements(tn_context_output(r.context, 1), 3,
                    (const double[]){ -row->half, -row->half, -(double)INFINITY }, 2e-12);
    stop(&r);
}

Test(cross_entropy, gives_the_probabilities_alone)
{
    running r = start(GRAPH("13", "", "'p'",
                            "'x': {'dtype': 'float32', 'shape': [1, 2], 'data': [0, 0]},"
                            "'t': {'dtype': 'int32', 'shape': [1], 'data': [0]}",
                            "{'op': 'SoftmaxCrossEntropyLoss', 'inputs': ['x', 't'],"
                            " 'outputs': ['y', 'p']}"));
    expect_elements(answer(&r), 2, (const double[]){ -0.6931472, -0.6931472 }, 1e-7);
    stop(&r);
}

#define LOSS(op, x, t, attributes)                                                                 \
    GRAPH("22",                                                                                    \
          "{'name': 'x', 'dtype': 'float32', 'shape': " x "},"                                     \
          "{'name': 't', 'dtype': 'int32', 'shape': " t "}",                                       \
          "'y'", "",                                                                               \
          "{'op': '" op "', 'inputs': ['x', 't'], 'outputs': ['y'],"                               \
          " 'attributes': {" attributes "}}")

Test(loss, of_nothing)
{
    static const int64_t x[2] = { 0, 3 }, t[1] = { 0 };
    static const struct {
        const char *reduction;
        int64_t count;
        double wanted;
    } rows[] = { { "none", 0, 0 }, { "sum", 1, 0 }, { "mean", 1, (double)NAN } };
    for (int k = 0; k < 6; k++) {
        running r = start(LOSS("%s", "['N', 3]", "['N']", "'reduction': '%s'"),
                          k < 3 ? "NegativeLogLikelihoodLoss" : "SoftmaxCrossEntropyLoss",
                          rows[k % 3].reduction);
        give(&r, "x", TN_FLOAT32, 2, x, "");
        give(&r, "t", TN_INT32, 1, t, "");
        expect_elements(answer(&r), rows[k % 3].count, &rows[k % 3].wanted, 0.0);
        stop(&r);
    }
}

#define CONSTANTS(op, t, w, attributes)                                                            \
    GRAPH("22", "", "'y'",                                                                         \
          "'x': {'dtype': 'float32', 'shape': [2, 2], 'data': [1, 2, 3, 4]},"                      \
          "'t': {'dtype': 'int32', 'shape': [2], 'data': " t "},"                                  \
          "'w': {'dtype': 'float32', " w "}",                                                      \
          "{'op': '" op "', 'inputs': ['x', 't', 'w'], 'outputs': ['y'],"                          \
          " 'attributes': {" attributes "}}")
#define WEIGHT "'shape': [2], 'data': [1, 1]"

Test(loss, says_what_does_not_fit)
{
    refuses(TN_ERR_VALUE, "target 1 is class 2, outside [0, 2)",
            CONSTANTS("NegativeLogLikelihoodLoss", "[0, 2]", WEIGHT, ""));
    refuses(TN_ERR_VALUE, "labels 0 is class -1, outside [0, 2)",
            CONSTANTS("SoftmaxCrossEntropyLoss", "[-1, 2]", WEIGHT, "'reduction': 'none'"));
    refuses(TN_ERR_ATTRIBUTE, "reduction is 'average': expected none, sum or mean",
            CONSTANTS("NegativeLogLikelihoodLoss", "[0, 1]", WEIGHT, "'reduction': 'average'"));
    refuses(
        TN_ERR_SHAPE,
        "input 'weight' has 3 elements, but 'input' has 2 classes: expected one for each",
        CONSTANTS("NegativeLogLikelihoodLoss", "[0, 1]", "'shape': [3], 'data': [1, 1, 1]", ""));
    refuses(TN_ERR_SHAPE, "input 'weights' has rank 0: expected a vector, one for each class",
            CONSTANTS("SoftmaxCrossEntropyLoss", "[0, 1]", "'shape': [], 'data': [1]", ""));
    refuses(TN_ERR_SHAPE, "input 'input' has rank 1: expected 2 or more (samples, classes, places)",
            LOSS("NegativeLogLikelihoodLoss", "[3]", "[]", ""));
    refuses(TN_ERR_SHAPE, "input 'labels' has rank 2, but 'scores' has rank 2: expected one less",
            LOSS("SoftmaxCrossEntropyLoss", "[2, 3]", "[2, 3]", ""));
    refuses(TN_ERR_SHAPE,
            "input 'target' has extent 5 along axis 1, but 'input' has 4 there, classes left out: "
            "expected the same",
            LOSS("NegativeLogLikelihoodLoss", "[2, 3, 4]", "[2, 5]", ""));
}
