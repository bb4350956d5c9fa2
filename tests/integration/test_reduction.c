/* Reductions: old forms, empty sets, types and complaints that ONNX's own tests leave out.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

#define SIX C("float32", "[2, 3]", "[1, 2, 3, 4, 5, 6]")
#define AXES(list) C("int64", "[1]", list)

/* Each operator with axes as an attribute, as it was, and as an input, as it is. */
Test(reduction, axes_as_an_attribute_mean_the_same)
{
    static const struct {
        const char *op;
        int newest;
        double values[2]; /* over axis 1 of 1 2 3, 4 5 6 */
    } cases[] = {
        { "ReduceSum", 13, { 6, 15 } },
        { "ReduceMean", 18, { 2, 5 } },
        { "ReduceMax", 20, { 3, 6 } },
        { "ReduceMin", 20, { 1, 4 } },
        { "ReduceProd", 18, { 6, 120 } },
        { "ReduceL1", 18, { 6, 15 } },
        { "ReduceL2", 18, { 3.7416573867739413, 8.7749643873921226 } },
        { "ReduceSumSquare", 18, { 14, 77 } },
        { "ReduceLogSum", 18, { 1.791759469228055, 2.7080502011022101 } },
        { "ReduceLogSumExp", 18, { 3.4076059644443806, 6.4076059644443806 } },
    };
    static const int old[] = { 1, 11, 12, 13, 17 };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        answer a = { cases[k].op,
                     cases[k].newest,
                     "'keepdims': 0",
                     { SIX, AXES("[-1]") },
                     TN_FLOAT32,
                     "[2]",
                     1e-7,
                     2,
                     { cases[k].values[0], cases[k].values[1] } };
        check_answer(&a);
        a.inputs[1] = NULL;
        for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
            if (k == 0 && old[i] >= 13)
                continue;
            a.opset = old[i];
            a.attributes = old[i] == 1 ? "'axes': [1], 'keepdims': 0"
                                       : "'axes': [-1], 'keepdims': 0";
            check_answer(&a);
        }
    }
}

Test(reduction, without_axes_all_go_old_and_new)
{
    static const answer rows[] = {
        { "ReduceSum", 1, NULL, { SIX }, TN_FLOAT32, "[1, 1]", 0, VALUES(21) },
        { "ReduceMax",
          12,
          "'keepdims': 0",
          { C("int8", "[2]", "[-5, -7]") },
          TN_INT8,
          "[]",
          0,
          VALUES(-5) },
        { "ReduceMean", 13, NULL, { C("float64", "[]", "3") }, TN_FLOAT64, "[]", 0, VALUES(3) },
        { "ReduceSum",
          13,
          "'keepdims': 0",
          { SIX, C("int64", "[0]", "[]") },
          TN_FLOAT32,
          "[]",
          0,
          VALUES(21) },
    };
    CHECK_ALL(rows);
}

Test(reduction, noop_keeps_each_elements_own_share)
{
    static const answer rows[] = {
        { "ReduceSumSquare",
          18,
          "'noop_with_empty_axes': 1",
          { C("int32", "[2]", "[-3, 4]") },
          TN_INT32,
          "[2]",
          0,
          VALUES(9, 16) },
        { "ReduceL1",
          18,
          "'noop_with_empty_axes': 1",
          { C("float32", "[2]", "[-3, 4]") },
          TN_FLOAT32,
          "[2]",
          0,
          VALUES(3, 4) },
        { "ReduceLogSum",
          18,
          "'noop_with_empty_axes': 1",
          { C("float64", "[2]", "[1, 4]"), C("int64", "[0]", "[]") },
          TN_FLOAT64,
          "[2]",
          1e-15,
          VALUES(0, 1.3862943611198906) },
        { "ReduceMax",
          20,
          "'noop_with_empty_axes': 1",
          { C("bool", "[2]", "[true, false]") },
          TN_BOOL,
          "[2]",
          0,
          VALUES(1, 0) },
    };
    CHECK_ALL(rows);
}

/* A sum of nothing is 0, a product 1, a maximum the least there is. */
Test(reduction, folds_nothing)
{
    static const answer rows[] = {
        { "ReduceMax",
          20,
          NULL,
          { C("float32", "[0, 2]", "[]"), AXES("[0]") },
          TN_FLOAT32,
          "[1, 2]",
          0,
          VALUES(-INFINITY, -INFINITY) },
        { "ReduceMin",
          20,
          NULL,
          { C("float16", "[0]", "[]") },
          TN_FLOAT16,
          "[1]",
          0,
          VALUES(INFINITY) },
        { "ReduceMax", 20, NULL, { C("int8", "[0]", "[]") }, TN_INT8, "[1]", 0, VALUES(-128) },
        { "ReduceMin",
          20,
          NULL,
          { C("uint64", "[0]", "[]") },
          TN_UINT64,
          "[1]",
          0,
          VALUES(18446744073709551615.0) },
        { "ReduceMax", 20, NULL, { C("bool", "[0]", "[]") }, TN_BOOL, "[1]", 0, VALUES(0) },
        { "ReduceMin", 20, NULL, { C("bool", "[0]", "[]") }, TN_BOOL, "[1]", 0, VALUES(1) },
        { "ReduceLogSumExp",
          18,
          NULL,
          { C("float32", "[0]", "[]") },
          TN_FLOAT32,
          "[1]",
          0,
          VALUES(-INFINITY) },
        { "ReduceLogSum",
          18,
          NULL,
          { C("float32", "[0]", "[]") },
          TN_FLOAT32,
          "[1]",
          0,
          VALUES(-INFINITY) },
        { "ReduceProd", 18, NULL, { C("int64", "[0]", "[]") }, TN_INT64, "[1]", 0, VALUES(1) },
        { "ReduceSumSquare",
          18,
          NULL,
          { C("float64", "[0]", "[]") },
          TN_FLOAT64,
          "[1]",
          0,
          VALUES(0) },
    };
    CHECK_ALL(rows);
}

/* 1000 + log 2; all minus infinity stays so; an infinity wins. */
Test(reduction, log_sum_exp_neither_overflows_nor_vanishes)
{
    static const answer rows[] = {
        { "ReduceLogSumExp",
          18,
          NULL,
          { C("float64", "[2]", "[1000, 1000]") },
          TN_FLOAT64,
          "[1]",
          1e-15,
          VALUES(1000.6931471805599) },
        { "ReduceLogSumExp",
          18,
          NULL,
          { C("float64", "[2]", "[-1000, -1000]") },
          TN_FLOAT64,
          "[1]",
          1e-15,
          VALUES(-999.30685281944005) },
        { "ReduceLogSumExp",
          13,
          NULL,
          { C("float32", "[2]", "['-Infinity', '-Infinity']") },
          TN_FLOAT32,
          "[1]",
          0,
          VALUES(-INFINITY) },
        { "ReduceLogSumExp",
          18,
          NULL,
          { C("float32", "[2]", "['Infinity', 1]") },
          TN_FLOAT32,
          "[1]",
          0,
          VALUES(INFINITY) },
    };
    CHECK_ALL(rows);
}

Test(reduction, where_the_largest_stands_at_every_set)
{
#define TIES C("int32", "[5]", "[1, 7, 7, 0, 0]")
    static const answer rows[] = {
        { "ArgMax", 1, "'axis': 0", { TIES }, TN_INT64, "[1]", 0, VALUES(1) },
        { "ArgMin", 11, "'axis': -1, 'keepdims': 0", { TIES }, TN_INT64, "[]", 0, VALUES(3) },
        { "ArgMax", 12, "'select_last_index': 1", { TIES }, TN_INT64, "[1]", 0, VALUES(2) },
        { "ArgMin", 13, "'select_last_index': 1", { TIES }, TN_INT64, "[1]", 0, VALUES(4) },
    };
    CHECK_ALL(rows);
}

Test(reduction, hardmax_marks_the_first_largest)
{
#define MATRIX C("float32", "[2, 3]", "[1, 5, 5, 7, 0, 7]")
    static const answer rows[] = {
        { "Hardmax", 13, NULL, { MATRIX }, TN_FLOAT32, "[2, 3]", 0, VALUES(0, 1, 0, 1, 0, 0) },
        { "Hardmax",
          13,
          "'axis': 0",
          { MATRIX },
          TN_FLOAT32,
          "[2, 3]",
          0,
          VALUES(0, 1, 0, 1, 0, 1) },
        /* before set 13 over all axes from `axis` on */
        { "Hardmax",
          11,
          "'axis': 0",
          { MATRIX },
          TN_FLOAT32,
          "[2, 3]",
          0,
          VALUES(0, 0, 0, 1, 0, 0) },
        { "Hardmax",
          1,
          NULL,
          { C("float32", "[2, 1, 2]", "[1, 2, 4, 3]") },
          TN_FLOAT32,
          "[2, 1, 2]",
          0,
          VALUES(0, 1, 1, 0) },
        { "Hardmax",
          13,
          NULL,
          { C("bfloat16", "[3]", "[1, 'NaN', 3]") },
          TN_BFLOAT16,
          "[3]",
          0,
          VALUES(0, 1, 0) },
        { "Hardmax",
          13,
          NULL,
          { C("float16", "[0, 3]", "[]") },
          TN_FLOAT16,
          "[0, 3]",
          0,
          .count = 0 },
    };
    static const answer axis = WRONG("Hardmax", 13, "'axis': 2", MATRIX);
    CHECK_ALL(rows);
    check_complaint(&axis, TN_ERR_ATTRIBUTE,
                    "axis is 2, outside [-2, 2) of input 'input' of rank 2");
}

Test(reduction, cumulative_sums_and_products)
{
#define INTS C("int32", "[2, 3]", "[1, 2, 3, 4, 5, 6]")
#define AXIS(a) C("int32", "[]", a)
    static const answer rows[] = {
        { "CumSum",
          11,
          NULL,
          { INTS, AXIS("0") },
          TN_INT32,
          "[2, 3]",
          0,
          VALUES(1, 2, 3, 5, 7, 9) },
        { "CumSum",
          14,
          "'exclusive': 1, 'reverse': 1",
          { INTS, AXIS("-1") },
          TN_INT32,
          "[2, 3]",
          0,
          VALUES(5, 3, 0, 11, 6, 0) },
        { "CumProd",
          26,
          "'reverse': 1",
          { INTS, AXIS("1") },
          TN_INT32,
          "[2, 3]",
          0,
          VALUES(6, 6, 3, 120, 30, 6) },
        { "CumProd",
          26,
          "'exclusive': 1",
          { INTS, AXIS("1") },
          TN_INT32,
          "[2, 3]",
          0,
          VALUES(1, 1, 2, 1, 4, 20) },
        { "CumSum",
          14,
          NULL,
          { C("uint32", "[2]", "[4294967295, 2]"), AXIS("0") },
          TN_UINT32,
          "[2]",
          0,
          VALUES(4294967295.0, 1) },
        { "CumProd",
          26,
          NULL,
          { C("uint64", "[2]", "['9223372036854775809', 2]"), C("int64", "[1]", "[0]") },
          TN_UINT64,
          "[2]",
          0,
          VALUES(9223372036854775809.0, 2) },
        /* in float16 itself 2048 + 1 would stay 2048 each time */
        { "CumSum",
          14,
          NULL,
          { C("float16", "[4]", "[2048, 1, 1, 1]"), AXIS("0") },
          TN_FLOAT16,
          "[4]",
          0,
          VALUES(2048, 2048, 2050, 2052) },
        { "CumSum",
          14,
          NULL,
          { C("float32", "[2]", "[-0.0, -0.0]"), AXIS("0") },
          TN_FLOAT32,
          "[2]",
          0,
          VALUES(-0.0, -0.0) },
        { "CumSum",
          14,
          "'exclusive': 1",
          { C("float32", "[1]", "[5]"), AXIS("0") },
          TN_FLOAT32,
          "[1]",
          0,
          VALUES(0) },
        { "CumSum",
          14,
          NULL,
          { C("float64", "[2, 0]", "[]"), AXIS("0") },
          TN_FLOAT64,
          "[2, 0]",
          0,
          .count = 0 },
    };
    static const answer outside = WRONG("CumSum", 14, NULL, INTS, AXIS("2"));
    static const answer several = WRONG("CumProd", 26, NULL, INTS, C("int64", "[2]", "[0, 1]"));
    CHECK_ALL(rows);
    check_complaint(&outside, TN_ERR_VALUE, "axis is 2, outside [-2, 2) of input 'x' of rank 2");
    check_complaint(&several, TN_ERR_SHAPE,
                    "input 'axis' has shape [2]: expected a scalar, one axis");
}

/* An axis that only a run tells. */
Test(reduction, cumulative_checks_an_axis_met_while_running)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 14, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
        "\"shape\": [3]}, {\"name\": \"axis\", \"dtype\": \"int64\", \"shape\": []}], "
        "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"CumSum\", \"inputs\": [\"x\", \"axis\"], "
        "\"outputs\": [\"y\"]}]}";
    static const int64_t three = 3;
    int64_t axis = -2;
    float data[3] = { 1, 2, 3 };
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", NULL, 1, 0);
    tn_context *context;
    const tn_tensor x = floats(data, 1, &three);
    const tn_tensor a = {
        .size = sizeof a, .dtype = TN_INT64, .data = &axis, .bytes = sizeof axis
    };
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_set_input(context, "axis", &a));
    cr_assert_eq(tn_context_run(context, NULL), TN_ERR_VALUE);
    cr_assert(strstr(tn_error_message(), "axis is -2, outside [-1, 1) of input 'x' of rank 1"),
              "%s", tn_error_message());
    axis = -1;
    OK(tn_context_run(context, NULL));
    cr_assert_eq(((const float *)tn_context_output(context, 0)->data)[2], 6);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}
