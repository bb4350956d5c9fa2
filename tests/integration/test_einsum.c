/* Einsum and Det: equations, types and complaints that ONNX's own tests leave out. Expected values
 * are numpy's.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

#define A23 C("int32", "[2, 3]", "[0, 1, 2, 3, 4, 5]")
#define B34 C("int32", "[3, 4]", "[-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6]")
#define C42 C("int32", "[4, 2]", "[1, 2, 3, 4, 5, 6, 7, 8]")
#define D22 C("int32", "[2, 2]", "[1, -1, 2, 3]")
#define M33 C("float64", "[3, 3]", "[0, 1, 2, 3, 4, 5, 6, 7, 8]")
#define X232 C("int64", "[2, 3, 2]", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]")

Test(einsum, equations_of_all_forms)
{
    static const answer rows[] = {
        { "Einsum",
          12,
          "'equation': 'ij,jk,kl,lm->im'",
          { A23, B34, C42, D22 },
          TN_INT32,
          "[2, 2]",
          0,
          VALUES(622, 478, 1144, 856) },
        { "Einsum",
          12,
          "'equation': ' i j , j k '",
          { A23, B34 },
          TN_INT32,
          "[2, 4]",
          0,
          VALUES(5, 8, 11, 14, -4, 8, 20, 32) },
        { "Einsum",
          12,
          "'equation': 'ba'",
          { A23 },
          TN_INT32,
          "[3, 2]",
          0,
          VALUES(0, 3, 1, 4, 2, 5) },
        { "Einsum",
          12,
          "'equation': 'bA'",
          { A23 },
          TN_INT32,
          "[3, 2]",
          0,
          VALUES(0, 3, 1, 4, 2, 5) },
        { "Einsum", 12, "'equation': 'ii'", { M33 }, TN_FLOAT64, "[]", 0, VALUES(12) },
        { "Einsum", 12, "'equation': 'ii->i'", { M33 }, TN_FLOAT64, "[3]", 0, VALUES(0, 4, 8) },
        { "Einsum", 12, "'equation': 'ijk->k'", { X232 }, TN_INT64, "[2]", 0, VALUES(30, 36) },
        { "Einsum",
          12,
          "'equation': '...ij,...jk->...ik'",
          { X232, C("int64", "[1, 2, 3]", "[0, 2, 4, 1, 3, 5]") },
          TN_INT64,
          "[2, 3, 3]",
          0,
          VALUES(1, 3, 5, 3, 13, 23, 5, 23, 41, 7, 33, 59, 9, 43, 77, 11, 53, 95) },
        { "Einsum",
          12,
          "'equation': '...->...'",
          { A23 },
          TN_INT32,
          "[2, 3]",
          0,
          VALUES(0, 1, 2, 3, 4, 5) },
        { "Einsum",
          12,
          "'equation': 'i,j->ji'",
          { C("uint8", "[2]", "[200, 3]"), C("uint8", "[2]", "[2, 1]") },
          TN_UINT8,
          "[2, 2]",
          0,
          VALUES(144, 6, 200, 3) },
        { "Einsum",
          12,
          "'equation': ',->'",
          { C("float16", "[]", "3"), C("float16", "[]", "0.5") },
          TN_FLOAT16,
          "[]",
          0,
          VALUES(1.5) },
    };
    CHECK_ALL(rows);
}

/* Rounded once: in float16 itself 2048 + 1 stays 2048 however often. */
Test(einsum, rounds_a_result_once)
{
    static const answer rows[] = {
        { "Einsum",
          12,
          "'equation': 'i,i,i->'",
          { C("float16", "[4]", "[2048, 1, 1, 1]"), C("float16", "[4]", "[1, 1, 1, 1]"),
            C("float16", "[4]", "[1, 1, 1, 1]") },
          TN_FLOAT16,
          "[]",
          0,
          VALUES(2052) },
    };
    CHECK_ALL(rows);
}

Test(einsum, sums_of_nothing)
{
    static const answer rows[] = {
        { "Einsum",
          12,
          "'equation': 'ij,jk->ik'",
          { C("float32", "[2, 0]", "[]"), C("float32", "[0, 1]", "[]") },
          TN_FLOAT32,
          "[2, 1]",
          0,
          VALUES(0, 0) },
        { "Einsum",
          12,
          "'equation': 'i,j,k->ik'",
          { C("int8", "[1]", "[1]"), C("int8", "[0]", "[]"), C("int8", "[2]", "[1, 2]") },
          TN_INT8,
          "[1, 2]",
          0,
          VALUES(0, 0) },
        { "Einsum",
          12,
          "'equation': 'ij->ji'",
          { C("float32", "[0, 2]", "[]") },
          TN_FLOAT32,
          "[2, 0]",
          0,
          .count = 0 },
    };
    CHECK_ALL(rows);
}

Test(einsum, says_what_is_wrong_with_an_equation)
{
    static const struct {
        const char *attributes, *message;
    } wrong[] = {
        { "'equation': 'ij'", "equation is 'ij': it has 1 term, but the node 2 inputs" },
        { "'equation': 'ij,j1'",
          "equation is 'ij,j1': character 5 is '1': expected a letter, '...', ',' or '->'" },
        { "'equation': 'ij,jk->iz'",
          "equation is 'ij,jk->iz': 'z' is in the result, but in no operand" },
        { "'equation': 'ij,jk->ii'", "equation is 'ij,jk->ii': 'i' is twice in the result" },
        { "'equation': 'i..,jk'",
          "equation is 'i..,jk': character 2 is '.': expected one ellipsis '...' in a term" },
        { "'equation': 'ij,jk->i,k'",
          "equation is 'ij,jk->i,k': character 9 is ',': expected a letter or '...' after '->'" },
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        const answer a = WRONG("Einsum", 12, wrong[k].attributes, A23, B34);
        check_complaint(&a, TN_ERR_ATTRIBUTE, wrong[k].message);
    }
}

Test(einsum, says_what_is_wrong_with_a_shape)
{
    static const answer rank = WRONG("Einsum", 12, "'equation': 'ij,jkl->ik'", A23, B34);
    static const answer extent = WRONG("Einsum", 12, "'equation': 'ij,kj->ik'", A23, B34);
    check_complaint(&rank, TN_ERR_SHAPE,
                    "input 1 has rank 2: expected 3 axes, as its term in 'ij,jkl->ik' names");
    check_complaint(&extent, TN_ERR_SHAPE,
                    "axis 1 of input 1 has extent 4, but 'j' in 'ij,kj->ik' is 3 before");
}

#define GRAPH(equation, a, b)                                                                      \
    "{'tenon': 1, 'opset': 12, 'inputs': [{'name': 'a', 'dtype': 'float32'" a                      \
    "}, {'name': 'b', 'dtype': 'float32'" b "}], 'outputs': ['y'], 'nodes': [{'op': 'Einsum', "    \
    "'inputs': ['a', 'b'], 'outputs': ['y'], 'attributes': {'equation': '" equation "'}}]}"

Test(einsum, keeps_symbols_and_what_is_not_known)
{
    check_inferred(GRAPH("bij,bjk->bik", ", 'shape': ['N', 4, 3]", ", 'shape': ['N', null, 'M']"),
                   "float32[N,4,M]");
    check_inferred(GRAPH("...i,i->...", ", 'shape': ['N', 2, 3]", ""), "float32[N,2]");
    check_inferred(GRAPH("i...,i->...", "", ", 'shape': [3]"), "float32[...]");
    check_inferred(GRAPH("ij,jk->ik", "", ", 'shape': [3, 'M']"), "float32[?,M]");
}

/* Symbols that turn out to differ are an error of the run, not a crash. */
Test(einsum, checks_extents_met_while_running)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 12, \"inputs\": [{\"name\": \"a\", \"dtype\": \"float32\", "
        "\"shape\": [\"N\"]}, {\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [\"M\"]}], "
        "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"Einsum\", \"inputs\": [\"a\", \"b\"], "
        "\"outputs\": [\"y\"], \"attributes\": {\"equation\": \"i,i->\"}}]}";
    static const int64_t two = 2, three = 3;
    float data[3] = { 1, 2, 3 };
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", NULL, 1, 0);
    tn_context *context;
    const tn_tensor a = floats(data, 1, &two), b = floats(data, 1, &three);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "a", &a));
    OK(tn_context_set_input(context, "b", &b));
    cr_assert_neq(tn_context_run(context, NULL), TN_OK);
    cr_assert(strstr(tn_error_message(),
                     "axis 0 of input 1 has extent 3, but 'i' in 'i,i->' is 2 before"),
              "%s", tn_error_message());
    OK(tn_context_set_input(context, "b", &a));
    OK(tn_context_run(context, NULL));
    cr_assert_eq(((const float *)tn_context_output(context, 0)->data)[0], 5);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(einsum, determinants)
{
    static const answer rows[] = {
        { "Det",
          11,
          NULL,
          { C("float32", "[4, 4]", "[2, -1, 0, 3, 1, 4, 2, -2, 0, 5, -3, 1, 7, 2, 1, 0]") },
          TN_FLOAT32,
          "[]",
          1e-7,
          VALUES(356) },
        { "Det",
          22,
          NULL,
          { C("float64", "[2, 2, 2]", "[0, 2, 3, 0, 1, 2, 2, 4]") },
          TN_FLOAT64,
          "[2]",
          1e-15,
          VALUES(-6, 0) },
        { "Det", 22, NULL, { C("bfloat16", "[1, 1]", "[-3]") }, TN_BFLOAT16, "[]", 0, VALUES(-3) },
        { "Det",
          22,
          NULL,
          { C("float32", "[2, 0, 0]", "[]") },
          TN_FLOAT32,
          "[2]",
          0,
          VALUES(1, 1) },
        { "Det", 22, NULL, { C("float32", "[0, 2, 2]", "[]") }, TN_FLOAT32, "[0]", 0, .count = 0 },
        { "Det",
          22,
          NULL,
          { C("float32", "[2, 2]", "[0, 1, 'NaN', 1]") },
          TN_FLOAT32,
          "[]",
          0,
          VALUES(NAN) },
    };
    static const answer flat = WRONG("Det", 22, NULL, C("float32", "[2]", "[1, 2]"));
    static const answer oblong = WRONG("Det", 22, NULL, C("float32", "[1, 2]", "[1, 2]"));
    CHECK_ALL(rows);
    check_complaint(&flat, TN_ERR_SHAPE, "input 'X' has rank 1: expected matrices, [*, M, M]");
    check_complaint(&oblong, TN_ERR_SHAPE,
                    "input 'X' has matrices of 1 rows and 2 columns: expected square ones");
}
