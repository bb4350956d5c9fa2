/* Elementwise operators: values, types, edges and complaints that ONNX's own tests leave out.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

#define X64 C("float64", "[4]", "[-0.75, 0, 0.5, 1]")
#define ROW64(name, set, input, ...)                                                               \
    {                                                                                              \
        name, set, NULL, { input }, TN_FLOAT64, "[4]", 1e-15, VALUES(__VA_ARGS__)                  \
    }

/* By numpy. */
Test(arithmetic, circular_and_hyperbolic_functions_of_doubles_old_sets_too)
{
    static const answer rows[] = {
        ROW64("Acos", 7, X64, 2.4188584057763776, 1.5707963267948966, 1.0471975511965979, 0),
        ROW64("Asin", 7, X64, -0.848062078981481, 0, 0.52359877559829893, 1.5707963267948966),
        ROW64("Atan", 7, X64, -0.64350110879328437, 0, 0.46364760900080609, 0.78539816339744828),
        ROW64("Asinh", 9, X64, -0.69314718055994529, 0, 0.48121182505960347, 0.88137358701954305),
        ROW64("Cos", 22, X64, 0.7316888688738209, 1, 0.87758256189037276, 0.54030230586813977),
        ROW64("Cosh", 9, X64, 1.2946832846768448, 1, 1.1276259652063807, 1.5430806348152437),
        ROW64("Sin", 22, X64, -0.68163876002333412, 0, 0.47942553860420301, 0.8414709848078965),
        ROW64("Sinh", 9, X64, -0.82231673193582999, 0, 0.52109530549374738, 1.1752011936438014),
        ROW64("Tan", 7, X64, -0.93159645994407247, 0, 0.54630248984379048, 1.5574077246549023),
        ROW64("Acosh", 22, C("float64", "[4]", "[0.5, 1, 1.5, 10]"), NAN, 0, 0.96242365011920694,
              2.9932228461263808),
        ROW64("Atanh", 22, C("float64", "[4]", "[-0.5, -1, 1, 2]"), -0.54930614433405478, -INFINITY,
              INFINITY, NAN),
    };
    CHECK_ALL(rows);
}

Test(arithmetic, small_types_scalars_and_nothing)
{
    static const answer rows[] = {
        /* 1 rounds to float16 of cos 0; sin of 1 is 0.84147…, 0.8413085938 in float16 */
        { "Sin",
          22,
          NULL,
          { C("float16", "[2]", "[1, -0.0]") },
          TN_FLOAT16,
          "[2]",
          0,
          VALUES(0.84130859375, -0.0) },
        { "Sin", 22, NULL, { C("bfloat16", "[]", "1") }, TN_BFLOAT16, "[]", 0, VALUES(0.83984375) },
        { "Tan", 22, NULL, { C("float32", "[0, 3]", "[]") }, TN_FLOAT32, "[0, 3]", 0, .count = 0 },
        { "Round",
          11,
          NULL,
          { C("float32", "[6]", "[0.5, 1.5, 2.5, -0.5, -2.5, 'Infinity']") },
          TN_FLOAT32,
          "[6]",
          0,
          VALUES(0, 2, 2, -0.0, -2, INFINITY) },
        { "Sign",
          9,
          NULL,
          { C("float32", "[3]", "['NaN', -3, 0]") },
          TN_FLOAT32,
          "[3]",
          0,
          VALUES(NAN, -1, 0) },
        { "Sign",
          13,
          NULL,
          { C("uint64", "[2]", "['18446744073709551615', 0]") },
          TN_UINT64,
          "[2]",
          0,
          VALUES(1, 0) },
        { "Not", 1, NULL, { C("bool", "[2]", "[true, false]") }, TN_BOOL, "[2]", 0, VALUES(0, 1) },
    };
    CHECK_ALL(rows);
}

/* float8 bits: E5M2 0x7c is infinity, 0xfc minus infinity, 0x7d NaN; E4M3FN 0x7f NaN. */
Test(arithmetic, is_inf_and_is_nan_know_each_type)
{
    static const answer rows[] = {
        { "IsInf",
          10,
          NULL,
          { C("float32", "[4]", "['Infinity', '-Infinity', 'NaN', 1]") },
          TN_BOOL,
          "[4]",
          0,
          VALUES(1, 1, 0, 0) },
        { "IsInf",
          20,
          "'detect_negative': 0",
          { C("float64", "[2]", "['Infinity', '-Infinity']") },
          TN_BOOL,
          "[2]",
          0,
          VALUES(1, 0) },
        { "IsInf",
          20,
          "'detect_positive': 0",
          { C("bfloat16", "[2]", "['Infinity', '-Infinity']") },
          TN_BOOL,
          "[2]",
          0,
          VALUES(0, 1) },
        { "IsInf",
          20,
          NULL,
          { "{'dtype': 'float8e5m2', 'shape': [4], 'bytes': 'fPx9ew=='}" },
          TN_BOOL,
          "[4]",
          0,
          VALUES(1, 1, 0, 0) },
        { "IsNaN",
          20,
          NULL,
          { "{'dtype': 'float8e4m3fn', 'shape': [4], 'bytes': 'f/9+gA=='}" },
          TN_BOOL,
          "[4]",
          0,
          VALUES(1, 1, 0, 0) },
        { "IsNaN",
          20,
          NULL,
          { "{'dtype': 'float8e5m2fnuz', 'shape': [4], 'bytes': 'f/9+gA=='}" },
          TN_BOOL,
          "[4]",
          0,
          VALUES(0, 0, 0, 1) },
        { "IsNaN", 9, NULL, { C("float16", "[]", "'NaN'") }, TN_BOOL, "[]", 0, VALUES(1) },
        { "IsNaN", 13, NULL, { C("float32", "[0]", "[]") }, TN_BOOL, "[0]", 0, .count = 0 },
    };
    CHECK_ALL(rows);
}

Test(arithmetic, bits_of_every_width)
{
    static const answer rows[] = {
        { "BitwiseAnd",
          18,
          NULL,
          { C("int8", "[2, 1]", "[-1, 12]"), C("int8", "[2]", "[-128, 10]") },
          TN_INT8,
          "[2, 2]",
          0,
          VALUES(-128, 10, 0, 8) },
        { "BitwiseOr",
          18,
          NULL,
          { C("int16", "[2]", "[-32768, 1]"), C("int16", "[]", "6") },
          TN_INT16,
          "[2]",
          0,
          VALUES(-32762, 7) },
        { "BitwiseXor",
          18,
          NULL,
          { C("int64", "[2]", "[-1, 5]"), C("int64", "[2]", "[1, 5]") },
          TN_INT64,
          "[2]",
          0,
          VALUES(-2, 0) },
        { "BitwiseNot",
          18,
          NULL,
          { C("uint8", "[3]", "[0, 255, 5]") },
          TN_UINT8,
          "[3]",
          0,
          VALUES(255, 0, 250) },
        { "BitwiseNot",
          18,
          NULL,
          { C("int32", "[2]", "[0, -2147483648]") },
          TN_INT32,
          "[2]",
          0,
          VALUES(-1, 2147483647) },
        { "BitShift",
          11,
          "'direction': 'LEFT'",
          { C("uint8", "[4]", "[255, 255, 1, 3]"), C("uint8", "[4]", "[1, 8, 7, 200]") },
          TN_UINT8,
          "[4]",
          0,
          VALUES(254, 0, 128, 0) },
        { "BitShift",
          11,
          "'direction': 'RIGHT'",
          { C("uint64", "[2, 1]", "['18446744073709551615', 8]"),
            C("uint64", "[3]", "[63, 64, 0]") },
          TN_UINT64,
          "[2, 3]",
          0,
          VALUES(1, 0, 18446744073709551615.0, 0, 0, 8) },
        { "BitShift",
          11,
          "'direction': 'RIGHT'",
          { C("uint16", "[]", "32768"), C("uint16", "[]", "15") },
          TN_UINT16,
          "[]",
          0,
          VALUES(1) },
    };
    CHECK_ALL(rows);
}

Test(arithmetic, says_what_is_wrong)
{
    static const answer direction = WRONG("BitShift", 11, "'direction': 'UP'",
                                          C("uint8", "[1]", "[1]"), C("uint8", "[1]", "[1]"));
    static const answer modulus = WRONG("Mod", 13, NULL, C("float32", "[1]", "[1]"),
                                        C("float32", "[1]", "[1]"));
    check_complaint(&direction, TN_ERR_ATTRIBUTE, "direction is 'UP': expected 'LEFT' or 'RIGHT'");
    check_complaint(&modulus, TN_ERR_ATTRIBUTE,
                    "fmod is 0, but input 'A' is floating-point: expected 1");
}

Test(arithmetic, keeps_symbols)
{
    check_inferred("{'tenon': 1, 'opset': 22, 'inputs': [{'name': 'x', 'dtype': 'float32', "
                   "'shape': ['N', null, 3]}], 'outputs': ['y'], 'nodes': [{'op': 'Sinh', "
                   "'inputs': ['x'], 'outputs': ['s']}, {'op': 'IsInf', 'inputs': ['s'], "
                   "'outputs': ['y']}]}",
                   "bool[N,?,3]");
}
