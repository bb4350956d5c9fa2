/* Dynamic everything: symbols, sizes that depend on values, branches, extents of zero, what
 * inference knows of loops.
 *
 * SPDX-License-Identifier: MIT */
#include "graphs.h"

#define TRIP "{'name': 'i'}, {'name': 'c'}"
#define KEEP NODE("Identity", "'c'", "'go'")
#define LOOP(in, outs, body) NAMED("loop", "Loop", in, outs, "'body': " body)

/* ---- symbols ------------------------------------------------------------------------------------ */

/* The mean over a picture of any size, for any batch: rows of [N, 2]. */
#define MEAN                                                                                                         \
    GRAPH("'inputs': [" IN(                                                                                          \
        "x", "float32",                                                                                              \
        "['N', 2, 'H', 'W']") "], 'outputs': ['y'], "                                                                \
                              "'constants': {" CONSTANT("flat", "int64", "[3]", "[0, 2, -1]") ", " CONSTANT(         \
                                  "last", "int64", "[1]",                                                            \
                                  "[-1]") "}, 'nodes': [" NODE("Add", "'x', 'x'",                                    \
                                                               "'d'") ", " NODE("Reshape",                           \
                                                                                "'d', 'flat'",                       \
                                                                                "'f'") ", " NODE_WITH("ReduceMean",  \
                                                                                                      "'f', 'last'", \
                                                                                                      "'y'",         \
                                                                                                      "'keepdims': 0") "]")

Test(dynamic, each_signature_has_a_plan_which_is_found_again)
{
    BOTH_WAYS(r, MEAN)
    {
        static const int64_t shapes[][4] = { { 1, 2, 3, 5 }, { 4, 2, 3, 5 }, { 1, 2, 8, 2 } };
        tn_session_stats stats = { .size = sizeof stats };
        tn_context_stats run_stats = { .size = sizeof run_stats };
        float x[4 * 2 * 15];
        cr_assert_str_eq(tn_session_output(r.session, 0)->shape, "[N,2]");
        for (int k = 0; k < 120; k++)
            x[k] = (float)(k % 7);
        for (int turn = 0; turn < 6; turn++) {
            const int64_t *dims = shapes[turn % 3], area = dims[2] * dims[3];
            set(&r, "x", TN_FLOAT32, 4, dims, x);
            go(&r);
            has_type(out(&r, 0), TN_FLOAT32, 2, DIMS(dims[0], 2));
            for (int64_t row = 0; row < dims[0] * 2; row++) {
                double sum = 0;
                for (int64_t k = 0; k < area; k++)
                    sum += 2 * (double)x[row * area + k];
                cr_expect_eq(((const float *)out(&r, 0)->data)[row], (float)(sum / (double)area));
            }
        }
        tn_session_get_stats(r.session, &stats);
        cr_expect_eq(stats.plans, 3);
        cr_expect_eq(stats.plan_misses, 3);
        go(&r);
        tn_context_get_stats(r.context, &run_stats);
        cr_expect_eq(run_stats.allocations, 0, "%d allocations", (int)run_stats.allocations);
    }
}

/* ---- values that are sizes ------------------------------------------------------------------------- */

/* n rows of x, then a product: the rows are known only while running. */
#define ROWS                                                                                                                                                                      \
    GRAPH("'inputs': [" IN("x", "float32", "[3]") ", " IN(                                                                                                                        \
        "n", "int64",                                                                                                                                                             \
        "[1]") "], "                                                                                                                                                              \
               "'outputs': ['y', 'z', 's'], 'constants': {" CONSTANT("three", "int64", "[1]", "[3]") ", " CONSTANT("w", "float32", "[3, 2]", "[1, 0, 0, 1, 1, 1]") ", " CONSTANT( \
                   "zero", "int64", "[1]",                                                                                                                                        \
                   "[0]") "}, 'nodes': [" NODE_WITH("Concat", "'n', 'three'", "'shape'",                                                                                          \
                                                    "'axis': 0") ", " NODE("Expand",                                                                                              \
                                                                           "'x', 'shape'",                                                                                        \
                                                                           "'e'") ", " NODE("MatMul",                                                                             \
                                                                                            "'e', 'w'",                                                                           \
                                                                                            "'m'") ", " NODE("Relu",                                                              \
                                                                                                             "'m'",                                                               \
                                                                                                             "'y'") ", " NODE("Slice",                                            \
                                                                                                                              "'x', 'zero', 'n'",                                 \
                                                                                                                              "'z'") ", " NODE("Shape",                           \
                                                                                                                                               "'m'",                             \
                                                                                                                                               "'s'") "]")

Test(dynamic, sizes_follow_values)
{
    BOTH_WAYS(r, ROWS)
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 2, -9));
        for (int64_t n = 3; n >= 0; n--) {
            set(&r, "n", TN_INT64, 1, DIMS(1), &n);
            go(&r);
            has_type(out(&r, 0), TN_FLOAT32, 2, DIMS(n, 2));
            for (int64_t k = 0; k < n * 2; k++)
                cr_expect_eq(((const float *)out(&r, 0)->data)[k], 0); /* 1-9, 2-9 */
            is_floats(out(&r, 1), 1, DIMS(n), F(1, 2, -9));
            is_ints(out(&r, 2), 1, DIMS(2), I(n, 2));
        }
        tn_tensor lent = floats(F(0), 1, DIMS(1));
        OK(tn_context_set_output(r.context, 0, &lent));
        run_says(&r, TN_ERR_STATE, "cannot be lent memory");
    }
}

Test(dynamic, a_size_below_zero_is_an_error)
{
    running r = start(ROWS, NULL);
    set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 2, -9));
    set(&r, "n", TN_INT64, 1, DIMS(1), I(-4));
    cr_expect_neq(tn_context_run(r.context, NULL), TN_OK);
    cr_expect(strstr(tn_error_message(), "(Expand)"), "%s", tn_error_message());
    set(&r, "n", TN_INT64, 1, DIMS(1), I(2));
    go(&r);
    stop(&r);
}

/* ---- branches ---------------------------------------------------------------------------------------- */

/* Taken, the branch would fail: row 7 of x does not exist, and x of [3] has no product with w. */
#define GUARDED                                                                                                                                                  \
    GRAPH("'inputs': [" IN("x", "float32", "['N']") ", " IN("w", "float32", "[4, 2]") ", " IN("c", "bool", "[]") "], 'outputs': ['y'], 'constants': {" CONSTANT( \
        "seven", "int64", "[]",                                                                                                                                  \
        "[7]") "}, 'nodes': [" NODE_WITH("If", "'c'", "'h'",                                                                                                     \
                                         "'then_branch': " BODY(                                                                                                 \
                                             "", "'t'",                                                                                                          \
                                             NAMED("bad", "Gather", "'x', 'seven'", "'g'", "'axis': 0") ", " NODE(                                               \
                                                 "MatMul", "'x', 'w'",                                                                                           \
                                                 "'m'") ", " NODE("Add", "'g', 'm'",                                                                             \
                                                                  "'t'")) ", 'else_branch': " BODY("",                                                           \
                                                                                                   "'e'",                                                        \
                                                                                                   NODE(                                                         \
                                                                                                       "Neg",                                                    \
                                                                                                       "'x'",                                                    \
                                                                                                       "'e'"))) ", " NODE("Neg",                                 \
                                                                                                                          "'h'",                                 \
                                                                                                                          "'y'") "]")

Test(dynamic, a_branch_not_taken_is_not_run_and_need_not_fit)
{
    BOTH_WAYS(r, GUARDED)
    {
        float w[8] = { 0 };
        const tn_run_options options = { .size = sizeof options, .profile = 1 };
        set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 2, 3));
        set(&r, "w", TN_FLOAT32, 2, DIMS(4, 2), w);
        set(&r, "c", TN_BOOL, SCALAR, B(0));
        OK(tn_context_run(r.context, &options));
        is_floats(out(&r, 0), 1, DIMS(3), F(1, 2, 3));
        for (size_t k = 0; tn_context_profile(r.context, k); k++)
            cr_expect_str_neq(tn_context_profile(r.context, k)->name, "bad");
        set(&r, "c", TN_BOOL, SCALAR, B(1));
        run_says(&r, TN_ERR_VALUE, "node 'bad' (Gather)");
    }
}

/* ---- extents of zero ------------------------------------------------------------------------------------ */

/* One step of attention with a cache of P rows: q, k, v of one row each. */
#define CACHE                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              \
    GRAPH(                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 \
        "'inputs': [" IN(                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  \
            "pk", "float32", "[1, 'P', 2]") ", " IN("pv",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  \
                                                    "float32", "[1, 'P', 2]") ", " IN("q",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 \
                                                                                      "float32", "[1, 1, 2]") ", " IN("k", "float32", "[1, 1, 2]") ", " IN("v", "float32", "[1, 1, 2]") "], 'outputs': ['y', 'nk', 'old', 'ps', 'flat'], "                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 \
                                                                                                                                                                                        "'constants': {" CONSTANT("pairs", "int64", "[2]", "[-1, 2]") "}, 'nodes': [" NODE_WITH("Concat", "'pk', 'k'", "'nk'", "'axis': 1") ", " NODE_WITH("Concat",                                                                                                                                                                                                                                                                                                                                                                                                       \
                                                                                                                                                                                                                                                                                                                                           "'pv', 'v'", "'nv'", "'axis': 1") ", " NODE_WITH("Transpose", "'nk'", "'kt'", "'perm': [0, 2, 1]") ", " NODE("MatMul", "'q', 'kt'", "'s'") ", " NODE_WITH("Softmax",                                                                                                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "'s'", "'a'", "'axis': -1") ", " NODE("MatMul", "'a', 'nv'", "'y'") ", " NODE_WITH("Transpose",                                                                                                                                                       \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "'pk'",                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "'pt'",                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "'perm': [0, 2, 1]") ", " NODE("MatMul",                                                                                                                           \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "'q', 'pt'",                                                                                                                        \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "'scores'") ", " NODE_WITH("Softmax",                                                                                               \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "'scores'", "'ps'", "'axis': -1") ", " NODE("MatMul",                                                    \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "'ps', 'pv'", "'old'") ", " NODE("Reshape", "'pk', 'pairs'", \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "'flat'") "]")

Test(dynamic, an_empty_cache_works)
{
    BOTH_WAYS(r, CACHE)
    {
        float none = 0;
        set(&r, "pk", TN_FLOAT32, 3, DIMS(1, 0, 2), &none);
        set(&r, "pv", TN_FLOAT32, 3, DIMS(1, 0, 2), &none);
        set(&r, "q", TN_FLOAT32, 3, DIMS(1, 1, 2), F(0, 1));
        set(&r, "k", TN_FLOAT32, 3, DIMS(1, 1, 2), F(5, 6));
        set(&r, "v", TN_FLOAT32, 3, DIMS(1, 1, 2), F(7, 8));
        go(&r);
        is_floats(out(&r, 0), 3, DIMS(1, 1, 2), F(7, 8)); /* one row: its weight is 1 */
        is_floats(out(&r, 1), 3, DIMS(1, 1, 2), F(5, 6));
        is_floats(out(&r, 2), 3, DIMS(1, 1, 2), F(0, 0)); /* a sum over nothing */
        has_type(out(&r, 3), TN_FLOAT32, 3, DIMS(1, 1, 0));
        has_type(out(&r, 4), TN_FLOAT32, 2, DIMS(0, 2));
        set(&r, "pk", TN_FLOAT32, 3, DIMS(1, 1, 2), F(5, 6));
        set(&r, "pv", TN_FLOAT32, 3, DIMS(1, 1, 2), F(9, 0));
        go(&r);
        is_floats(out(&r, 0), 3, DIMS(1, 1, 2), F(8, 4)); /* equal keys: the mean */
        is_floats(out(&r, 2), 3, DIMS(1, 1, 2), F(9, 0));
    }
}

/* The same inside a loop, where extents are known only trip by trip. */
Test(dynamic, a_cache_that_begins_empty_grows_in_a_loop)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN("x", "float32", "[1, 2]") ", " IN("n", "int64", "[]") "], 'outputs': ['cache', 'sums'], 'constants': {" CONSTANT(
            "shape", "int64", "[2]",
            "[0, 2]") ", " CONSTANT("first", "int64", "[1]",
                                    "[0]") "}, 'nodes': [" NODE("ConstantOfShape", "'shape'",
                                                                "'start'") ", " LOOP("'n', '', 'start'",
                                                                                     "'cache', 'sums'",
                                                                                     BODY(
                                                                                         TRIP
                                                                                         ", {'name': 'p'}",
                                                                                         "'go', 'g', 'm'",
                                                                                         KEEP
                                                                                         ", " NODE_WITH("ReduceSum", "'p', 'first'", "'m'", "'keepdims': 0") ", " NODE_WITH(
                                                                                             "Concat",
                                                                                             "'p', 'x'",
                                                                                             "'g'",
                                                                                             "'axis': 0"))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 2, DIMS(1, 2), F(1, 10));
        set(&r, "n", TN_INT64, SCALAR, I(3));
        go(&r);
        is_floats(out(&r, 0), 2, DIMS(3, 2), F(1, 10, 1, 10, 1, 10));
        is_floats(out(&r, 1), 2, DIMS(3, 2), F(0, 0, 1, 10, 2, 20));
    }
}

/* ---- what inference knows of loops ------------------------------------------------------------------------ */

/* `same` keeps its shape, `wide` grows, `deep` gains an axis, `late` follows `deep`. */
#define CARRIED                                                                                                   \
    GRAPH("'inputs': [" IN("x", "float32", "['N', 3]") ", " IN(                                                   \
        "n", "int64",                                                                                             \
        "[]") "], "                                                                                               \
              "'outputs': ['same', 'wide', 'deep', 'late', 'scan'], 'constants': {" CONSTANT(                     \
                  "axes", "int64", "[1]",                                                                         \
                  "[0]") "}, 'nodes': [" LOOP("'n', '', 'x', 'x', 'x', 'x'",                                      \
                                              "'same', 'wide', 'deep', 'late', 'scan'",                           \
                                              BODY(                                                               \
                                                  TRIP                                                            \
                                                  ", {'name': 'a'}, {'name': 'b'}, {'name': 'd'}, {'name': 'l'}", \
                                                  "'go', 'a2', 'b2', 'd2', {'name': 'l2', 'value': 'd'}, 's'",    \
                                                  KEEP                                                            \
                                                  ", " NODE("Neg", "'a'", "'a2'") ", " NODE_WITH(                 \
                                                      "Concat", "'b', 'b'", "'b2'",                               \
                                                      "'axis': 1") ", " NODE("Unsqueeze",                         \
                                                                             "'d', 'axes'",                       \
                                                                             "'d2'") ", " NODE("Abs",             \
                                                                                               "'a'",             \
                                                                                               "'s'"))) "]")

Test(dynamic, inference_knows_what_a_loop_leaves_alone)
{
    BOTH_WAYS(r, CARRIED)
    {
        static const char *const shapes[] = { "[N,3]", "[N,?]", "[...]", "[...]", "[?,N,3]" };
        for (size_t k = 0; k < 5; k++)
            cr_expect_str_eq(tn_session_output(r.session, k)->shape, shapes[k], "%s is %s",
                             tn_session_output(r.session, k)->name,
                             tn_session_output(r.session, k)->shape);
        set(&r, "x", TN_FLOAT32, 2, DIMS(1, 3), F(1, 2, 3));
        set(&r, "n", TN_INT64, SCALAR, I(2));
        go(&r);
        is_floats(out(&r, 0), 2, DIMS(1, 3), F(1, 2, 3));
        is_floats(out(&r, 1), 2, DIMS(1, 12), F(1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3));
        has_type(out(&r, 2), TN_FLOAT32, 4, DIMS(1, 1, 1, 3));
        has_type(out(&r, 3), TN_FLOAT32, 3, DIMS(1, 1, 3));
        is_floats(out(&r, 4), 3, DIMS(2, 1, 3), F(1, 2, 3, 1, 2, 3));
    }
}

/* What lies behind a loop that keeps its shape is planned as if there were none. */
Test(dynamic, what_follows_a_loop_is_planned_where_its_shape_is_known)
{
    running r = start(
        GRAPH("'inputs': [" IN("x", "float32", "['N', 3]") ", " IN(
            "n", "int64",
            "[]") "], 'outputs': ['y'], 'nodes': [" LOOP("'n', '', 'x'", "'h'",
                                                         BODY(TRIP ", {'name': 'a'}", "'go', 'b'",
                                                              KEEP ", " NODE(
                                                                  "Neg", "'a'",
                                                                  "'b'"))) ", " NAMED("after",
                                                                                      "Exp", "'h'",
                                                                                      "'y'",
                                                                                      "") "]"),
        NULL);
    tn_report *report;
    const tn_report_step *step = NULL;
    OK(tn_report_create(r.session, NULL, 0, NULL, &report));
    for (size_t k = 0; !step || strcmp(step->name, "after") != 0; k++)
        cr_assert((step = tn_report_get(report, k)));
    cr_expect_str_eq(step->outputs, "float32[1,3]");
    tn_report_destroy(report);
    stop(&r);
}

/* A file may declare what it likes of a value that only running knows. */
Test(dynamic, declared_shapes_of_late_values_are_not_believed)
{
    BOTH_WAYS(
        r,
        GRAPH(
            "'inputs': [" IN("x", "float32", "[1]") ", " IN("n", "int64", "[]") "], 'outputs': [{'name': 'w', 'dtype': 'float32', 'shape': [1]}, 's'], 'nodes': [" LOOP(
                "'n', '', 'x'", "'w'",
                BODY(TRIP ", {'name': 'a'}", "'go', 'b'",
                     KEEP ", " NODE_WITH("Concat", "'a', 'x'", "'b'",
                                         "'axis': 0"))) ", " NODE("Shape", "'w'", "'s'") "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(1), F(7));
        set(&r, "n", TN_INT64, SCALAR, I(2));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(3), F(7, 7, 7));
        is_ints(out(&r, 1), 1, DIMS(1), I(3));
    }
}
