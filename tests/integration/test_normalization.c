/* LpNormalization and MeanVarianceNormalization: what ONNX's own tests leave out.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

Test(normalization, lp_divides_by_a_norm)
{
    static const answer rows[] = {
        { "LpNormalization",
          1,
          "'p': 1",
          { C("float32", "[2, 2]", "[1, -3, 0, 0]") },
          TN_FLOAT32,
          "[2, 2]",
          0,
          VALUES(0.25, -0.75, 0, 0) },
        { "LpNormalization",
          22,
          "'axis': 0",
          { C("float64", "[2, 2]", "[3, 0, -4, 0]") },
          TN_FLOAT64,
          "[2, 2]",
          1e-15,
          VALUES(0.6, 0, -0.8, 0) },
        /* squares would overflow, and vanish */
        { "LpNormalization",
          22,
          NULL,
          { C("float64", "[2]", "[3e200, 4e200]") },
          TN_FLOAT64,
          "[2]",
          1e-15,
          VALUES(0.6, 0.8) },
        { "LpNormalization",
          22,
          NULL,
          { C("float64", "[2]", "[3e-200, 4e-200]") },
          TN_FLOAT64,
          "[2]",
          1e-15,
          VALUES(0.6, 0.8) },
        { "LpNormalization",
          22,
          NULL,
          { C("float16", "[2]", "[30000, 40000]") },
          TN_FLOAT16,
          "[2]",
          0,
          VALUES(0.60009765625, 0.7998046875) },
        { "LpNormalization",
          22,
          NULL,
          { C("float32", "[2]", "['NaN', 1]") },
          TN_FLOAT32,
          "[2]",
          0,
          VALUES(NAN, NAN) },
        { "LpNormalization",
          22,
          NULL,
          { C("float32", "[2, 0]", "[]") },
          TN_FLOAT32,
          "[2, 0]",
          0,
          .count = 0 },
    };
    static const answer p = WRONG("LpNormalization", 22, "'p': 3", C("float32", "[1]", "[1]"));
    static const answer axis = WRONG("LpNormalization", 22, "'axis': 1",
                                     C("float32", "[1]", "[1]"));
    CHECK_ALL(rows);
    check_complaint(&p, TN_ERR_ATTRIBUTE, "p is 3: expected 1 or 2");
    check_complaint(&axis, TN_ERR_ATTRIBUTE,
                    "axis is 1, outside [-1, 1) of input 'input' of rank 1");
}

/* Deviations of 1, 2 and 0; the standard adds 1e-9 to each. */
Test(normalization, mean_variance_over_some_axes)
{
    static const answer rows[] = {
        { "MeanVarianceNormalization",
          13,
          "'axes': [1]",
          { C("float32", "[3, 2]", "[1, 3, 2, 6, 5, 5]") },
          TN_FLOAT32,
          "[3, 2]",
          1e-7,
          VALUES(-1, 1, -1, 1, 0, 0) },
        { "MeanVarianceNormalization",
          9,
          NULL,
          { C("float32", "[1, 2, 1, 2]", "[1, 3, 10, 14]") },
          TN_FLOAT32,
          "[1, 2, 1, 2]",
          1e-7,
          VALUES(-1, 1, -1, 1) },
        { "MeanVarianceNormalization",
          13,
          "'axes': [0, -1]",
          { C("float16", "[2, 1, 1]", "[1000, 1002]") },
          TN_FLOAT16,
          "[2, 1, 1]",
          0,
          VALUES(-1, 1) },
        /* E[x²] - E[x]² has no digit left here */
        { "MeanVarianceNormalization",
          13,
          "'axes': [0]",
          { C("float64", "[2]", "[1000000001, 1000000003]") },
          TN_FLOAT64,
          "[2]",
          1e-8,
          VALUES(-1, 1) },
        { "MeanVarianceNormalization",
          13,
          "'axes': [1]",
          { C("float32", "[0, 2]", "[]") },
          TN_FLOAT32,
          "[0, 2]",
          0,
          .count = 0 },
    };
    static const answer axes = WRONG("MeanVarianceNormalization", 13, NULL,
                                     C("float32", "[1, 1, 1]", "[1]"));
    CHECK_ALL(rows);
    check_complaint(&axes, TN_ERR_ATTRIBUTE,
                    "axes[2] is 3, outside [-3, 3) of input 'X' of rank 3");
}
