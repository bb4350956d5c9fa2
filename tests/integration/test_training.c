/* Optimizers: their formulas, groups of tensors, outputs left out, and what is refused.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

#define TRAIN(inputs, outputs, constants, op, in, out, attributes)                                 \
    "{'tenon': 1, 'opset': {'ai.onnx': 21, 'ai.onnx.preview.training': 1}, 'inputs': [" inputs     \
    "], 'outputs': [" outputs "], 'constants': {" constants "}, 'nodes': [{'op': '" op             \
    "', 'domain': 'ai.onnx.preview.training', 'inputs': [" in "], 'outputs': [" out                \
    "], 'attributes': {" attributes "}}]}"
#define RATE(t)                                                                                    \
    "'R': {'dtype': 'float64', 'shape': [], 'data': [0.5]},"                                       \
    "'T': {'dtype': 'int64', 'shape': [], 'data': [" #t "]}"

enum { COUNT = 700 }; /* more than two blocks of the kernel */
static double x[COUNT], g[COUNT], v[COUNT], h[COUNT];
static const int64_t dims[2] = { 7, 100 };

static void make_data(void)
{
    static float part[COUNT];
    double *const all[] = { x, g, v, h };
    for (uint32_t k = 0; k < 4; k++) {
        fill(part, COUNT, k + 1);
        for (int i = 0; i < COUNT; i++)
            all[k][i] = k == 3 ? fabs((double)part[i]) : (double)part[i];
    }
}

#define FOUR                                                                                       \
    "{'name': 'x', 'dtype': 'float64', 'shape': ['A', 100]},"                                      \
    "{'name': 'g', 'dtype': 'float64', 'shape': ['A', 100]},"                                      \
    "{'name': 'v', 'dtype': 'float64', 'shape': ['A', 100]},"                                      \
    "{'name': 'h', 'dtype': 'float64', 'shape': ['A', 100]}"

static void give_all(running *r)
{
    give(r, "x", TN_FLOAT64, 2, dims, x);
    give(r, "g", TN_FLOAT64, 2, dims, g);
    give(r, "v", TN_FLOAT64, 2, dims, v);
    give(r, "h", TN_FLOAT64, 2, dims, h);
}

/* Attributes are float32: 0.75, 0.5, … are exact. */
Test(training, adam_follows_its_formula)
{
    static double wanted[3][COUNT];
    for (int t = 0; t < 4; t += 3) {
        running r = start(TRAIN(FOUR, "'x2', 'v2', 'h2'",
                                "'R': {'dtype': 'float64', 'shape': [], 'data': [0.5]},"
                                "'T': {'dtype': 'int64', 'shape': [1], 'data': [%d]}",
                                "Adam", "'R', 'T', 'x', 'g', 'v', 'h'", "'x2', 'v2', 'h2'",
                                "'alpha': 0.75, 'beta': 0.875, 'epsilon': 0.0625,"
                                "'norm_coefficient': 0.25, 'norm_coefficient_post': 0.125"),
                          t);
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[A,100]");
        make_data();
        const double rate = t ? 0.5 * sqrt(1 - 0.875 * 0.875 * 0.875) / (1 - 0.75 * 0.75 * 0.75)
                              : 0.5;
        for (int k = 0; k < COUNT; k++) {
            const double slope = 0.25 * x[k] + g[k];
            wanted[1][k] = 0.75 * v[k] + 0.25 * slope;
            wanted[2][k] = 0.875 * h[k] + 0.125 * slope * slope;
            wanted[0][k] = 0.875 * (x[k] - rate * wanted[1][k] / (sqrt(wanted[2][k]) + 0.0625));
        }
        give_all(&r);
        (void)answer(&r);
        for (size_t k = 0; k < 3; k++)
            expect_elements(tn_context_output(r.context, k), COUNT, wanted[k], 1e-14);
        stop(&r);
    }
}

Test(training, adagrad_follows_its_formula)
{
    static double wanted[2][COUNT];
    running r = start(TRAIN(FOUR, "'x2', 'h2'", RATE(4), "Adagrad", "'R', 'T', 'x', 'g', 'h'",
                            "'x2', 'h2'",
                            "'decay_factor': 0.25, 'epsilon': 0.5, 'norm_coefficient': 0.125"));
    make_data();
    for (int k = 0; k < COUNT; k++) {
        const double slope = 0.125 * x[k] + g[k];
        wanted[1][k] = h[k] + slope * slope;
        wanted[0][k] = x[k] - 0.5 / (1 + 4 * 0.25) * slope / (sqrt(wanted[1][k]) + 0.5);
    }
    give_all(&r);
    expect_elements(answer(&r), COUNT, wanted[0], 1e-14);
    expect_elements(tn_context_output(r.context, 1), COUNT, wanted[1], 1e-14);
    stop(&r);
}

Test(training, momentum_follows_its_formula)
{
    static double wanted[2][COUNT];
    for (int way = 0; way < 4; way++) { /* T 0 or 2, standard or nesterov */
        const double beta = way & 1 ? 0.5 : 1;
        running r = start(TRAIN(FOUR, "'x2', 'v2'",
                                "'R': {'dtype': 'float32', 'shape': [], 'data': [0.25]},"
                                "'T': {'dtype': 'int64', 'shape': [], 'data': [%d]}",
                                "Momentum", "'R', 'T', 'x', 'g', 'v'", "'x2', 'v2'",
                                "'alpha': 0.75, 'beta': 0.5, 'norm_coefficient': 0.125,"
                                " 'mode': '%s'"),
                          way & 1 ? 2 : 0, way & 2 ? "nesterov" : "standard");
        make_data();
        for (int k = 0; k < COUNT; k++) {
            const double slope = 0.125 * x[k] + g[k];
            wanted[1][k] = 0.75 * v[k] + beta * slope;
            wanted[0][k] = x[k] - 0.25 * (way & 2 ? slope + 0.75 * wanted[1][k] : wanted[1][k]);
        }
        give_all(&r);
        expect_elements(answer(&r), COUNT, wanted[0], 1e-14);
        expect_elements(tn_context_output(r.context, 1), COUNT, wanted[1], 1e-14);
        stop(&r);
    }
}

/* Two tensors of other types and shapes; of four outputs the first and the last are wanted. */
Test(training, steps_groups_of_tensors)
{
    running r = start(TRAIN("", "'a2', 'bh2'",
                            RATE(0) ","
                                    "'a': {'dtype': 'float64', 'shape': [2], 'data': [1, 2]},"
                                    "'b': {'dtype': 'float32', 'shape': [1, 1], 'data': [3]},"
                                    "'ag': {'dtype': 'float64', 'shape': [2], 'data': [4, 3]},"
                                    "'bg': {'dtype': 'float32', 'shape': [1, 1], 'data': [2]},"
                                    "'ah': {'dtype': 'float64', 'shape': [2], 'data': [9, 16]},"
                                    "'bh': {'dtype': 'float32', 'shape': [1, 1], 'data': [5]}",
                            "Adagrad", "'R', 'T', 'a', 'b', 'ag', 'bg', 'ah', 'bh'",
                            "'a2', '', '', 'bh2'", ""));
    const tn_tensor *a = answer(&r), *bh = tn_context_output(r.context, 1);
    cr_expect_eq(a->dtype, TN_FLOAT64);
    cr_expect_eq(bh->dtype, TN_FLOAT32);
    expect_elements(a, 2, (const double[]){ 1 - 0.5 * 4 / 5, 2 - 0.5 * 3 / 5 }, 1e-15);
    expect_elements(bh, 1, (const double[]){ 9 }, 0.0);
    stop(&r);
}

/* The state passes through three steps in one graph: outputs may lie on inputs that die. */
Test(training, steps_follow_each_other)
{
    running r = start(
        "{'tenon': 1, 'opset': {'ai.onnx': 21, 'ai.onnx.preview.training': 1},"
        " 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [3]}],"
        " 'outputs': ['x3', 'v3'], 'constants': {" RATE(
            1) ","
               " 'zero': {'dtype': 'float32', 'shape': [3], 'data': [0, 0, 0]}},"
               " 'nodes': ["
               "{'op': 'Momentum', 'domain': 'ai.onnx.preview.training', 'inputs':"
               " ['R', 'T', 'x', 'x', 'zero'], 'outputs': ['x1', 'v1'], 'attributes':"
               " {'alpha': 0.5, 'beta': 1, 'norm_coefficient': 0, 'mode': 'standard'}},"
               "{'op': 'Momentum', 'domain': 'ai.onnx.preview.training', 'inputs':"
               " ['R', 'T', 'x1', 'x1', 'v1'], 'outputs': ['x2', 'v2'], 'attributes':"
               " {'alpha': 0.5, 'beta': 1, 'norm_coefficient': 0, 'mode': 'standard'}},"
               "{'op': 'Momentum', 'domain': 'ai.onnx.preview.training', 'inputs':"
               " ['R', 'T', 'x2', 'x2', 'v2'], 'outputs': ['x3', 'v3'], 'attributes':"
               " {'alpha': 0.5, 'beta': 1, 'norm_coefficient': 0, 'mode': 'standard'}}]}");
    static const float start_at[3] = { 8, -16, 1 };
    static const int64_t three[1] = { 3 };
    double at[3], speed[3];
    for (int k = 0; k < 3; k++) {
        at[k] = (double)start_at[k];
        speed[k] = 0;
        for (int step = 0; step < 3; step++) {
            speed[k] = 0.5 * speed[k] + at[k];
            at[k] -= 0.5 * speed[k];
        }
    }
    give(&r, "x", TN_FLOAT32, 1, three, start_at);
    expect_elements(answer(&r), 3, at, 0.0);
    expect_elements(tn_context_output(r.context, 1), 3, speed, 0.0);
    stop(&r);
}

Test(training, takes_tensors_without_elements)
{
    static const int64_t none[1] = { 0 };
    running r = start(TRAIN("{'name': 'x', 'dtype': 'float32', 'shape': ['N']}", "'y'", RATE(0),
                            "Adagrad", "'R', 'T', 'x', 'x', 'x'", "'y'", ""));
    give(&r, "x", TN_FLOAT32, 1, none, "");
    expect_shape(answer(&r), 1, none);
    stop(&r);
}

#define X(name, shape) "{'name': '" name "', 'dtype': 'float32', 'shape': " shape "}"
Test(training, says_what_does_not_fit)
{
    refuses(TN_ERR_FORMAT,
            "2 inputs follow R and T: expected a multiple of 3 (tensors, gradients, what is kept "
            "of former gradients)",
            TRAIN(X("x", "[2]"), "'y'", RATE(0), "Adagrad", "'R', 'T', 'x', 'x'", "'y'", ""));
    refuses(TN_ERR_FORMAT,
            "3 inputs follow R and T: expected a multiple of 4 (tensors, gradients, mean "
            "gradients, mean squared gradients)",
            TRAIN(X("x", "[2]"), "'y'", RATE(0), "Adam", "'R', 'T', 'x', 'x', 'x'", "'y'", ""));
    refuses(TN_ERR_FORMAT, "3 outputs are given, but 1 tensors are stepped: expected at most 2",
            TRAIN(X("x", "[2]"), "'y'", RATE(0), "Adagrad", "'R', 'T', 'x', 'x', 'x'",
                  "'y', 'z', 'u'", ""));
    refuses(TN_ERR_SHAPE, "inputs 2 and 4 belong together, but differ in shape: expected the same",
            TRAIN(X("x", "[2]") "," X("h", "[3]"), "'y'", RATE(0), "Adagrad",
                  "'R', 'T', 'x', 'x', 'h'", "'y'", ""));
    refuses(TN_ERR_TYPE, "inputs 2 and 3 belong together, but differ in type: expected the same",
            TRAIN(X("x", "[2]") ", {'name': 'g', 'dtype': 'float64', 'shape': [2]}", "'y'", RATE(0),
                  "Adagrad", "'R', 'T', 'x', 'g', 'x'", "'y'", ""));
    refuses(TN_ERR_SHAPE, "input 'T' has extent 2 along axis 0: expected a scalar",
            TRAIN(X("x", "[2]"), "'y'",
                  "'R': {'dtype': 'float32', 'shape': [], 'data': [1]},"
                  "'T': {'dtype': 'int64', 'shape': [2], 'data': [0, 0]}",
                  "Adagrad", "'R', 'T', 'x', 'x', 'x'", "'y'", ""));
    refuses(TN_ERR_ATTRIBUTE, "mode is 'fast': expected standard or nesterov",
            TRAIN(X("x", "[2]"), "'y'", RATE(0), "Momentum", "'R', 'T', 'x', 'x', 'x'", "'y'",
                  "'alpha': 1, 'beta': 1, 'norm_coefficient': 0, 'mode': 'fast'"));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'mode' (string) is missing",
            TRAIN(X("x", "[2]"), "'y'", RATE(0), "Momentum", "'R', 'T', 'x', 'x', 'x'", "'y'",
                  "'alpha': 1, 'beta': 1, 'norm_coefficient': 0"));
}
