/* If, Loop, Scan, SequenceMap: a test per construct, each against a value worked out by hand.
 *
 * SPDX-License-Identifier: MIT */
#include "graphs.h"

#include <pthread.h>
#include <time.h>

#define TRUE_CONSTANT CONSTANT("yes", "bool", "[]", "[true]")
#define KEEP NODE("Identity", "'c'", "'go'")
#define TRIP "{'name': 'i'}, {'name': 'c'}"

/* ---- If ------------------------------------------------------------------------------------- */

/* x is read four bodies deep; the branch that is not taken has another rank. */
#define DEEP                                                                                                                                                                   \
    GRAPH("'inputs': [" IN("x", "float32", "[2]") ", " IN("deep", "bool", "[]") ", " IN(                                                                                       \
        "n", "int64",                                                                                                                                                          \
        "[]") "], 'outputs': ['y'], 'constants': {" TRUE_CONSTANT                                                                                                              \
              ", " CONSTANT("zero", "float32", "[]", "[0]") ", " CONSTANT("axes", "int64", "[1]", "[0]") ", " CONSTANT("two", "int64", "[]", "[2]") "}, 'nodes': [" NODE_WITH( \
                  "If", "'deep'", "'y'",                                                                                                                                       \
                  "'then_branch': " BODY(                                                                                                                                      \
                      "", "'y1'",                                                                                                                                              \
                      NODE_WITH(                                                                                                                                               \
                          "Loop", "'n', 'yes', 'x'", "'y1'",                                                                                                                   \
                          "'body': " BODY(                                                                                                                                     \
                              TRIP ", {'name': 'a'}", "'go', 'b'",                                                                                                             \
                              KEEP ", " NODE_WITH(                                                                                                                             \
                                  "If", "'deep'",                                                                                                                              \
                                  "'b'",                                                                                                                                       \
                                  "'then_branch': " BODY(                                                                                                                      \
                                      "", "'b1'",                                                                                                                              \
                                      NODE_WITH(                                                                                                                               \
                                          "Loop", "'two', 'yes', 'a'", "'b1'",                                                                                                 \
                                          "'body': " BODY(                                                                                                                     \
                                              "{'name': 'i2'}, {'name': 'c2'}, {'name': 'a2'}",                                                                                \
                                              "'go2', 'b2'",                                                                                                                   \
                                              NODE("Identity", "'c2'", "'go2'") ", " NODE(                                                                                     \
                                                  "Add", "'a2', 'x'",                                                                                                          \
                                                  "'b2'")))) ", 'else_branch': " BODY("", "'e1'",                                                                              \
                                                                                      NODE(                                                                                    \
                                                                                          "Unsqueeze",                                                                         \
                                                                                          "'a', 'axes'",                                                                       \
                                                                                          "'e1'")))))) ", 'else_branch': " BODY("",                                            \
                                                                                                                                "'e'",                                         \
                                                                                                                                NODE(                                          \
                                                                                                                                    "Unsqueeze",                               \
                                                                                                                                    "'x', 'axes'",                             \
                                                                                                                                    "'e'"))) "]")

Test(control, a_capture_goes_four_bodies_deep)
{
    BOTH_WAYS(r, DEEP)
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, -2));
        set(&r, "n", TN_INT64, SCALAR, I(3));
        set(&r, "deep", TN_BOOL, SCALAR, B(1));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(1 + 3 * 2 * 1, -2 + 3 * 2 * -2));
        set(&r, "deep", TN_BOOL, SCALAR, B(0));
        go(&r);
        is_floats(out(&r, 0), 2, DIMS(1, 2), F(1, -2));
    }
}

#define IF(then_nodes, else_nodes)                                                                 \
    NAMED("if", "If", "'c'", "'y'",                                                                \
          "'then_branch': " BODY("", "'t'", then_nodes) ", 'else_branch': " BODY("", "'e'",        \
                                                                                 else_nodes))
#define IF_GRAPH(shape, constants, then_nodes, else_nodes)                                         \
    GRAPH("'inputs': [" IN("x", "float32", shape) ", " IN(                                         \
        "c", "bool", "[]") "], 'outputs': ['y'], 'constants': {" constants                         \
                           "}, 'nodes': [" IF(then_nodes, else_nodes) "]")

/* A model that squeezes only where that goes, as exporters write it; 3 cannot be squeezed. */
Test(control, a_branch_that_cannot_fit_does_no_harm_until_it_is_taken)
{
    BOTH_WAYS(r, IF_GRAPH("[3]", CONSTANT("axes", "int64", "[1]", "[0]"),
                          NODE("Squeeze", "'x', 'axes'", "'t'"), NODE("Neg", "'x'", "'e'")))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 2, 3));
        set(&r, "c", TN_BOOL, SCALAR, B(0));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(3), F(-1, -2, -3));
        set(&r, "c", TN_BOOL, SCALAR, B(1));
        cr_expect_eq(tn_context_run(r.context, NULL), TN_ERR_SHAPE);
        cr_expect(strstr(tn_error_message(), "(Squeeze) in if/then_branch"), "%s",
                  tn_error_message());
        set(&r, "c", TN_BOOL, SCALAR, B(0));
        go(&r);
    }
}

Test(control, branches_of_two_types_are_an_error)
{
    session_says(
        IF_GRAPH("[3]", "", NODE("Neg", "'x'", "'t'"), NODE_WITH("Cast", "'x'", "'e'", "'to': 7")),
        TN_ERR_TYPE,
        "output 0 of the branches is not of one type: expected the same kind and element "
        "type");
}

Test(control, a_condition_is_one_element)
{
    session_says(GRAPH("'inputs': [" IN("x", "float32", "[3]") ", " IN(
                     "c", "bool",
                     "[2]") "], 'outputs': ['y'], 'nodes': [" IF(NODE("Neg", "'x'", "'t'"),
                                                                 NODE("Abs", "'x'", "'e'")) "]"),
                 TN_ERR_SHAPE, "the condition has extent 2 along axis 0: expected one element");
    running r = start(
        GRAPH("'inputs': [" IN("x", "float32", "[3]") ", " IN(
            "c", "bool",
            "['N']") "], 'outputs': ['y'], 'nodes': [" IF(NODE("Neg", "'x'", "'t'"),
                                                          NODE("Abs", "'x'", "'e'")) "]"),
        NULL);
    set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 2, 3));
    set(&r, "c", TN_BOOL, 1, DIMS(1), B(1));
    go(&r);
    is_floats(out(&r, 0), 1, DIMS(3), F(-1, -2, -3));
    stop(&r);
}

/* The branch gives what it was given, and a sequence, and an optional. */
Test(control, a_branch_gives_any_kind_of_value)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN("x", "float32", "[2]") ", " IN("c", "bool", "[]") "], 'outputs': ['a', 'b', 'm'], 'nodes': [" NODE_WITH(
            "If", "'c'", "'a', 'b', 'm'",
            "'then_branch': " BODY(
                "", "'x', 's', 'o'",
                NODE("SequenceConstruct", "'x', 'x'", "'s'") ", " NODE(
                    "Optional", "'x'",
                    "'o'")) ", 'else_branch': " BODY("", "'x', 'z', 'q'",
                                                     NODE_WITH("SequenceEmpty", "", "'z'", "'dtype': 1") ", " NODE_WITH(
                                                         "Optional", "", "'q'",
                                                         "'type': {'type': 'tensor(float32)'}"))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(4, 5));
        set(&r, "c", TN_BOOL, SCALAR, B(1));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(4, 5));
        cr_assert_eq(tn_value_count(out(&r, 1)), 2);
        is_floats(tn_value_get(out(&r, 1), 1), 1, DIMS(2), F(4, 5));
        cr_assert_eq(tn_value_count(out(&r, 2)), 1);
        set(&r, "c", TN_BOOL, SCALAR, B(0));
        go(&r);
        cr_assert_eq(tn_value_count(out(&r, 1)), 0);
        cr_assert_eq(tn_value_count(out(&r, 2)), 0);
        cr_assert_eq(out(&r, 2)->kind, TN_OPTIONAL);
    }
}

/* A big constant of a branch: two contexts that see the same memory have not copied it. */
Test(control, a_branch_does_not_copy_its_constants)
{
    static char text[65536];
    size_t at = (size_t)snprintf(
        text, sizeof text,
        "{'tenon': 1, 'opset': 21, 'inputs': [" IN(
            "c", "bool",
            "[]") "], 'outputs': ['y'], 'nodes': ["
                  "{'op': 'If', 'inputs': ['c'], 'outputs': ['y'], 'attributes': {'then_branch': " BODY(
                      "", "'k'",
                      NODE_WITH(
                          "Constant", "", "'k'",
                          "'value': {'tensor': {'dtype': 'float32', "
                          "'shape': [4096], 'random': {'distribution': 'normal', 'seed': 7}}}")) ", 'else_branch': "
                                                                                                 "{'graph': {'inputs': [], 'outputs': ['w'], 'nodes': [], 'constants': {'w': "
                                                                                                 "{'dtype': 'float32', 'shape': [4096], 'data': [0");
    for (int k = 1; k < 4096; k++)
        at += (size_t)snprintf(text + at, sizeof text - at, ",%d", k);
    snprintf(text + at, sizeof text - at, "]}}}}}}]}");
    running r = start(text, NULL);
    tn_context *other;
    OK(tn_context_create(r.session, &other));
    for (uint8_t which = 0; which < 2; which++) {
        const tn_tensor c = tensor_of(TN_BOOL, 0, NULL, &which);
        tn_context_stats stats = { .size = sizeof stats };
        uint64_t allocations[3];
        set(&r, "c", TN_BOOL, SCALAR, &which);
        OK(tn_context_set_input(other, "c", &c));
        for (int k = 0; k < 3; k++) {
            go(&r);
            tn_context_get_stats(r.context, &stats);
            allocations[k] = stats.allocations;
        }
        OK(tn_context_run(other, NULL));
        has_type(out(&r, 0), TN_FLOAT32, 1, DIMS(4096));
        cr_expect_eq(out(&r, 0)->data, tn_context_output(other, 0)->data, "it was copied");
        cr_expect_eq(allocations[1], allocations[2]);
        cr_expect_lt(stats.arena_bytes, 4096, "%d bytes of arena", (int)stats.arena_bytes);
    }
    cr_expect_eq(((const float *)out(&r, 0)->data)[4095] != 0, true);
    tn_context_destroy(other);
    stop(&r);
}

/* ---- a weight in both branches ---------------------------------------------------------------- */

#define CONV(y) NODE_WITH("Conv", "'x', 'w'", y, "'kernel_shape': [1, 1]")
Test(control, a_weight_of_both_branches_is_packed_once)
{
    char *json = as_json(GRAPH("'inputs': [" IN("x", "float32", "[1, 3, 4, 4]") ", " IN(
        "c", "bool",
        "[]") "], 'outputs': ['y'], 'constants': {'w': {'dtype': 'float32', "
              "'shape': [5, 3, 1, 1], 'random': {'distribution': 'normal', 'seed': 3}}}, 'nodes': [" NODE_WITH(
                  "If", "'c'", "'y'",
                  "'then_branch': " BODY("", "'t'", CONV("'t'")) ", 'else_branch': " BODY(
                      "", "'e'", CONV("'h'") ", " NODE("Neg", "'h'", "'e'"))) "]"));
    running r = { 0 };
    float x[48], then[80];
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "toy,reference" };
    tn_session_stats stats = { .size = sizeof stats };
    OK(tn_runtime_create(NULL, NULL, &r.f.runtime));
    OK(tn_runtime_load_plugin(r.f.runtime, getenv("TENON_TEST_TOY"), NULL));
    OK(tn_model_load_bytes(r.f.runtime, json, strlen(json), NULL, NULL, &r.f.model));
    r.session = session_of(&r.f, &options);
    OK(tn_context_create(r.session, &r.context));
    fill(x, 48, 1);
    set(&r, "x", TN_FLOAT32, 4, DIMS(1, 3, 4, 4), x);
    set(&r, "c", TN_BOOL, SCALAR, B(1));
    go(&r);
    memcpy(then, out(&r, 0)->data, sizeof then);
    tn_session_get_stats(r.session, &stats);
    cr_expect_eq(stats.pack_bytes, 5 * 3 * sizeof(float), "%d bytes", (int)stats.pack_bytes);
    set(&r, "c", TN_BOOL, SCALAR, B(0));
    go(&r);
    for (int k = 0; k < 80; k++)
        cr_expect_eq(((const float *)out(&r, 0)->data)[k], -then[k]);
    tn_session_get_stats(r.session, &stats);
    cr_expect_eq(stats.pack_bytes, 5 * 3 * sizeof(float), "%d bytes", (int)stats.pack_bytes);
    free(json);
    stop(&r);
}

/* ---- Loop --------------------------------------------------------------------------------------- */

#define LOOP(in, outs, body) NAMED("loop", "Loop", in, outs, "'body': " body)
#define LOOP_INPUTS IN("n", "int64", "[]") ", " IN("x", "float32", "['N']")

/* v grows by x each trip; the scan output is the trip's number times x. */
#define GROWING                                                                                    \
    GRAPH("'inputs': [" LOOP_INPUTS "], 'outputs': ['w', 's'], 'nodes': [" LOOP(                   \
        "'n', '', 'x'", "'w', 's'",                                                                \
        BODY(TRIP ", {'name': 'v'}", "'go', 'u', 'z'",                                             \
             KEEP ", " NODE_WITH("Concat", "'v', 'x'", "'u'", "'axis': 0") ", " NODE_WITH(         \
                 "Cast", "'i'", "'f'", "'to': 1") ", " NODE("Mul", "'f', 'x'", "'z'"))) "]")

Test(control, a_carried_value_grows_and_scan_outputs_are_joined)
{
    BOTH_WAYS(r, GROWING)
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        set(&r, "n", TN_INT64, SCALAR, I(3));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(8), F(1, 10, 1, 10, 1, 10, 1, 10));
        is_floats(out(&r, 1), 2, DIMS(3, 2), F(0, 0, 1, 10, 2, 20));
        set(&r, "n", TN_INT64, SCALAR, I(40)); /* more shapes than a session keeps plans */
        go(&r);
        has_type(out(&r, 0), TN_FLOAT32, 1, DIMS(82));
        has_type(out(&r, 1), TN_FLOAT32, 2, DIMS(40, 2));
    }
}

static uint64_t plans_made(const running *r)
{
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r->session, &stats);
    return stats.plan_misses;
}

/* A plan each trip: the graph's own, of two shapes, are there all the same. */
Test(control, a_thousand_trips_push_no_plan_of_the_graph_out)
{
    running r = start(GROWING, NULL);
    set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
    set(&r, "n", TN_INT64, SCALAR, I(1000));
    go(&r);
    has_type(out(&r, 0), TN_FLOAT32, 1, DIMS(2002));
    const uint64_t before = plans_made(&r);
    cr_expect_geq(before, 1001);
    set(&r, "n", TN_INT64, SCALAR, I(0));
    set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 10, 100));
    go(&r);
    cr_expect_eq(plans_made(&r), before + 1);
    set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
    go(&r);
    cr_expect_eq(plans_made(&r), before + 1);
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r.session, &stats);
    cr_expect_eq(stats.plans, 2 + 8); /* of the graph, and as many as a body keeps */
    stop(&r);
}

Test(control, no_trip_gives_what_came_and_scans_of_extent_0)
{
    BOTH_WAYS(r, GROWING)
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        set(&r, "n", TN_INT64, SCALAR, I(0));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(1, 10));
        has_type(out(&r, 1), TN_FLOAT32, 2, DIMS(0, 2));
        set(&r, "n", TN_INT64, SCALAR, I(-5));
        go(&r);
        has_type(out(&r, 1), TN_FLOAT32, 2, DIMS(0, 2));
    }
    BOTH_WAYS(q,
              GRAPH("'inputs': [" LOOP_INPUTS "], 'outputs': ['w', 's'], 'constants': {" CONSTANT(
                  "no", "bool", "[1]",
                  "[false]") "}, 'nodes': [" LOOP("'n', 'no', 'x'", "'w', 's'",
                                                  BODY(TRIP ", {'name': 'v'}",
                                                       "'go', 'v', {'name': 'e', 'value': 'v'}",
                                                       KEEP)) "]"))
    {
        set(&q, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        set(&q, "n", TN_INT64, SCALAR, I(5));
        go(&q);
        is_floats(out(&q, 0), 1, DIMS(2), F(1, 10));
        has_type(out(&q, 1), TN_FLOAT32, 2, DIMS(0, 2));
    }
}

/* Doubles v while its sum is below 100. */
Test(control, a_condition_alone_ends_a_loop)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN(
            "x", "float32",
            "['N']") "], 'outputs': ['w', 's'], 'constants': {" TRUE_CONSTANT
                     ", " CONSTANT("limit", "float32", "[]", "[100]") "}, 'nodes': [" LOOP(
                         "'', 'yes', 'x'", "'w', 's'",
                         BODY(TRIP ", {'name': 'v'}", "'go', 'u', 'i'",
                              NODE("Add", "'v', 'v'", "'u'") ", " NODE_WITH(
                                  "ReduceSum", "'u'", "'t'",
                                  "'keepdims': 0") ", " NODE("Less", "'t', 'limit'", "'go'"))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(16, 160)); /* 22 44 88 176 */
        is_ints(out(&r, 1), 1, DIMS(4), I(0, 1, 2, 3));
    }
}

Test(control, a_loop_may_have_neither_trip_count_nor_condition)
{
    BOTH_WAYS(
        r,
        GRAPH(
            "'inputs': [" IN("x", "float32", "['N']") "], 'outputs': ['w'], 'constants': {" CONSTANT(
                "four", "int64", "[]",
                "[4]") "}, 'nodes': [" LOOP("'', '', 'x'", "'w'",
                                            BODY(TRIP ", {'name': 'v'}", "'go', 'u'",
                                                 NODE("Add", "'v', 'x'", "'u'") ", " NODE(
                                                     "Less", "'i', 'four'", "'go'"))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(6, 60));
    }
}

/* Elements of growing size are put in front; then the sequence is joined. */
Test(control, a_loop_carries_a_sequence)
{
    BOTH_WAYS(
        r,
        GRAPH("'inputs': [" IN("n", "int64", "[]") "], 'outputs': ['y', 'l', 'empty'], 'constants': {" CONSTANT("zero", "int64", "[]", "[0]") ", " CONSTANT(
            "one", "int64", "[1]",
            "[1]") "}, 'nodes': [" NODE_WITH("SequenceEmpty", "", "'empty'",
                                             "'dtype': 7") ", " LOOP("'n', '', 'empty'", "'l'",
                                                                     BODY(
                                                                         TRIP ", {'name': 'v'}",
                                                                         "'go', 'u'",
                                                                         KEEP
                                                                         ", " NODE("Add", "'i', 'one'", "'m'") ", " NODE(
                                                                             "Expand", "'i', 'm'",
                                                                             "'q'") ", " NODE("SequenceInsert",
                                                                                              "'v', 'q', 'zero'",
                                                                                              "'u'"))) ", " NODE_WITH("ConcatFromSequence",
                                                                                                                      "'l'",
                                                                                                                      "'y'",
                                                                                                                      "'axis': 0") "]"))
    {
        set(&r, "n", TN_INT64, SCALAR, I(3));
        for (int turn = 0; turn < 2; turn++) {
            go(&r);
            is_ints(out(&r, 0), 1, DIMS(6), I(2, 2, 2, 1, 1, 0));
            cr_assert_eq(tn_value_count(out(&r, 1)), 3);
            is_ints(tn_value_get(out(&r, 1), 2), 1, DIMS(1), I(0));
            cr_assert_eq(tn_value_count(out(&r, 2)), 0, "the initial sequence stays as it was");
        }
    }
}

Test(control, an_if_on_a_constant_inside_a_loop)
{
    BOTH_WAYS(r,
              GRAPH("'inputs': [" LOOP_INPUTS "], 'outputs': ['w'], 'nodes': [" LOOP(
                  "'n', '', 'x'", "'w'",
                  BODY_WITH(TRIP ", {'name': 'v'}", "'go', 'u'", TRUE_CONSTANT,
                            KEEP ", " NODE_WITH(
                                "If", "'yes'", "'u'",
                                "'then_branch': " BODY(
                                    "", "'t'",
                                    NODE("Add", "'v', 'x'",
                                         "'t'")) ", 'else_branch': " BODY("", "'e'",
                                                                          NODE("MatMul", "'v', 'v'",
                                                                               "'e'"))))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(3), F(1, 10, 100));
        set(&r, "n", TN_INT64, SCALAR, I(4));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(3), F(5, 50, 500));
    }
}

/* Outputs nobody reads, and a value that only passes through. */
Test(control, a_loop_leaves_out_what_nobody_reads)
{
    BOTH_WAYS(r, GRAPH("'inputs': [" LOOP_INPUTS "], 'outputs': ['b'], 'nodes': [" LOOP(
                     "'n', '', 'x', 'x'", "'', 'b', ''",
                     BODY(TRIP ", {'name': 'v'}, {'name': 'p'}",
                          "'go', 'u', 'p', {'name': 'e', 'value': 'u'}",
                          KEEP ", " NODE("Add", "'v', 'x'", "'u'"))) "]"))
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
        set(&r, "n", TN_INT64, SCALAR, I(4));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(1, 10));
    }
}

#define SMALL_LOOP(initial, body_out, nodes)                                                       \
    GRAPH("'inputs': [" LOOP_INPUTS "], 'outputs': ['w'], 'nodes': [" LOOP(                        \
        "'n', '', " initial, "'w'", BODY(TRIP ", {'name': 'v'}", body_out, nodes)) "]")

Test(control, what_is_wrong_with_a_loop_is_said)
{
    session_says(
        SMALL_LOOP("'x'", "'go', 'u'", KEEP ", " NODE_WITH("Cast", "'v'", "'u'", "'to': 7")),
        TN_ERR_TYPE, "carried value 0 changes its element type in the body: expected the same");
    session_says(
        SMALL_LOOP("'x'", "'go', 'u'", KEEP ", " NODE("SequenceConstruct", "'v'", "'u'")),
        TN_ERR_TYPE,
        "carried value 0 is a tensor, but the body makes a sequence of it: expected the same");
    session_says(SMALL_LOOP("'x'", "'go', 'v', 'u'", KEEP ", " NODE("Neg", "'v'", "'u'")),
                 TN_ERR_SHAPE, "body 'body' has 3 outputs, expected 2");
    session_says(SMALL_LOOP("'x', 'x'", "'go', 'v'", KEEP), TN_ERR_FORMAT,
                 "1 outputs for 2 carried values: expected one for each");
    running r = start(SMALL_LOOP("'x'", "'go', 'v'", NODE("Less", "'v', 'x'", "'go'")), NULL);
    set(&r, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
    set(&r, "n", TN_INT64, SCALAR, I(4));
    run_says(&r, TN_ERR_SHAPE,
             "node 'loop' (Loop): the body's condition has 2 elements: expected one");
    stop(&r);
    running q = start(SMALL_LOOP("'x'", "'go', 'u'",
                                 KEEP ", " NODE_WITH("Gather", "'v', 'i'", "'u'", "'axis': 0")),
                      NULL);
    set(&q, "x", TN_FLOAT32, 1, DIMS(2), F(1, 10));
    set(&q, "n", TN_INT64, SCALAR, I(1));
    go(&q);
    is_floats(out(&q, 0), SCALAR, F(1));
    stop(&q);
}

/* ---- bounds ----------------------------------------------------------------------------------------- */

#define ENDLESS(nodes, made)                                                                       \
    GRAPH("'inputs': [" IN("x", "float32", "[1]") "], 'outputs': ['w'], 'nodes': [" LOOP(          \
        "'', '', 'x'", "'w'", BODY(TRIP ", {'name': 'v'}", "'c', " made, nodes)) "]")

Test(control, trips_have_a_budget)
{
    const tn_session_options options = { .size = sizeof options,
                                         .backends = "reference",
                                         .limits = { .size = sizeof(tn_limits),
                                                     .loop_trips = 1000 } };
    running r = start_with(ENDLESS(NODE("Neg", "'v'", "'u'"), "'u'"), &options);
    set(&r, "x", TN_FLOAT32, 1, DIMS(1), F(1));
    run_says(&r, TN_ERR_LIMIT, "node 'loop' (Loop): more than 1000 trips, the budget of one loop");
    stop(&r);
}

static volatile int cancel;

static void *cancel_soon(void *user)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    cancel = 1;
    return user;
}

/* Also where the body has no node at which the executor could notice. */
Test(control, a_loop_without_end_is_cancelled_and_meets_its_deadline)
{
    static const char *const texts[] = { ENDLESS(NODE("Neg", "'v'", "'u'"), "'u'"),
                                         ENDLESS("", "'v'") };
    for (size_t k = 0; k < 2; k++) {
        running r = start(texts[k], NULL);
        pthread_t thread;
        tn_run_options options = { .size = sizeof options, .cancel = &cancel };
        set(&r, "x", TN_FLOAT32, 1, DIMS(1), F(1));
        cancel = 0;
        pthread_create(&thread, NULL, cancel_soon, NULL);
        cr_expect_eq(tn_context_run(r.context, &options), TN_ERR_CANCELLED);
        cr_expect(strstr(tn_error_message(), "the run was cancelled"), "%s", tn_error_message());
        pthread_join(thread, NULL);
        options = (tn_run_options){ .size = sizeof options, .deadline_ns = 20000000 };
        cr_expect_eq(tn_context_run(r.context, &options), TN_ERR_DEADLINE);
        stop(&r);
    }
}

/* ---- Scan --------------------------------------------------------------------------------------------- */

#define SCAN(in, outs, attributes, body)                                                           \
    NAMED("scan", "Scan", in, outs, attributes ", 'body': " body)
#define SCAN_INPUTS                                                                                \
    IN("s", "float32", "[2]")                                                                      \
    ", " IN("a", "float32", "[2, 'T']") ", " IN("b", "float32", "['T', 2]")
#define SCAN_GRAPH(attributes)                                                                     \
    GRAPH("'inputs': [" SCAN_INPUTS "], 'outputs': ['f', 'p', 'q'], 'nodes': [" SCAN(              \
        "'s', 'a', 'b'", "'f', 'p', 'q'", "'num_scan_inputs': 2" attributes,                       \
        BODY("{'name': 'h'}, {'name': 'u'}, {'name': 'v'}", "'g', 'm', 'n'",                       \
             NODE("Add", "'h', 'u'", "'g'") ", " NODE("Add", "'g', 'v'", "'m'") ", " NODE(         \
                 "Sub", "'u', 'v'", "'n'"))) "]")

static float scan_s[] = { 100, 200 },
             scan_a[] = { 1, 2, 3, 4, 5, 6 }; /* slices (1,4) (2,5) (3,6) */
static float scan_b[] = { 10, 20, 30, 40, 50, 60 };

static void set_scan(running *r)
{
    set(r, "s", TN_FLOAT32, 1, DIMS(2), scan_s);
    set(r, "a", TN_FLOAT32, 2, DIMS(2, 3), scan_a);
    set(r, "b", TN_FLOAT32, 2, DIMS(3, 2), scan_b);
}

Test(control, a_scan_cuts_and_joins_along_axes_of_its_own)
{
    BOTH_WAYS(r, SCAN_GRAPH(", 'scan_input_axes': [-1, 0], 'scan_output_axes': [0, 1]"))
    {
        cr_assert_str_eq(tn_session_output(r.session, 1)->shape, "[T,2]");
        cr_assert_str_eq(tn_session_output(r.session, 2)->shape, "[2,T]");
        set_scan(&r);
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(106, 215));
        is_floats(out(&r, 1), 2, DIMS(3, 2), F(111, 224, 133, 249, 156, 275));
        is_floats(out(&r, 2), 2, DIMS(2, 3), F(-9, -28, -47, -16, -35, -54));
    }
}

/* a backwards: (3,6) (2,5) (1,4); q is prepended. */
Test(control, a_scan_goes_backwards)
{
    BOTH_WAYS(r, SCAN_GRAPH(", 'scan_input_axes': [1, 0], 'scan_input_directions': [1, 0], "
                            "'scan_output_axes': [0, -1], 'scan_output_directions': [0, 1]"))
    {
        set_scan(&r);
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(106, 215));
        is_floats(out(&r, 1), 2, DIMS(3, 2), F(113, 226, 135, 251, 156, 275));
        is_floats(out(&r, 2), 2, DIMS(2, 3), F(1 - 50, 2 - 30, 3 - 10, 4 - 60, 5 - 40, 6 - 20));
    }
}

Test(control, a_scan_of_nothing_keeps_the_other_extents)
{
    BOTH_WAYS(r, SCAN_GRAPH(", 'scan_input_axes': [-1, 0], 'scan_output_axes': [0, 1]"))
    {
        set(&r, "s", TN_FLOAT32, 1, DIMS(2), F(100, 200));
        set(&r, "a", TN_FLOAT32, 2, DIMS(2, 0), F(0));
        set(&r, "b", TN_FLOAT32, 2, DIMS(0, 2), F(0));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(100, 200));
        has_type(out(&r, 1), TN_FLOAT32, 2, DIMS(0, 2));
        has_type(out(&r, 2), TN_FLOAT32, 2, DIMS(2, 0));
    }
}

Test(control, what_is_wrong_with_a_scan_is_said)
{
    session_says(SCAN_GRAPH(", 'scan_input_axes': [2, 0]"), TN_ERR_ATTRIBUTE,
                 "scan_input_axes[0] is 2, outside [-2, 2) of a scan input of rank 2");
    session_says(SCAN_GRAPH(", 'scan_input_axes': [1]"), TN_ERR_ATTRIBUTE,
                 "scan_input_axes has 1 elements: expected 2, one for each");
    session_says(SCAN_GRAPH(", 'scan_input_axes': [1, 0], 'scan_output_axes': [0, 2]"),
                 TN_ERR_ATTRIBUTE,
                 "scan_output_axes[1] is 2, outside [-2, 2) of a scan output of rank 2");
    session_says(SCAN_GRAPH(", 'scan_input_axes': [1, 0], 'scan_output_directions': [0, 7]"),
                 TN_ERR_ATTRIBUTE,
                 "scan_output_directions[1] is 7: expected 0 (forwards) or 1 (backwards)");
    session_says(
        GRAPH("'inputs': [" IN("x", "float32", "[2]") "], 'outputs': ['y'], 'nodes': [" SCAN(
            "'x'", "'y'", "'num_scan_inputs': 2", BODY("{'name': 'u'}", "'u'", "")) "]"),
        TN_ERR_ATTRIBUTE, "num_scan_inputs is 2: expected 1 to 1");
    session_says(
        GRAPH("'inputs': [" IN("x", "float32", "[2]") ", " IN(
            "z", "float32",
            "[3]") "], 'outputs': ['y'], 'nodes': [" SCAN("'x', 'z'", "'y'", "'num_scan_inputs': 2",
                                                          BODY(
                                                              "{'name': 'u'}, {'name': 'v'}", "'w'",
                                                              NODE("Add", "'u', 'v'", "'w'"))) "]"),
        TN_ERR_SHAPE,
        "scan input 1 has another length along its axis 0 than the scan inputs before it");
}

/* Seven elements of 4 bits: slices begin in the middle of a byte. */
Test(control, packed_elements_are_cut_and_joined)
{
    BOTH_WAYS(
        r, GRAPH_OF(
               25,
               "'inputs': [" IN("x", "int4", "[3, 7]") "], 'outputs': ['y', 'z'], 'nodes': [" SCAN(
                   "'x'", "'y', 'z'",
                   "'num_scan_inputs': 1, 'scan_input_directions': [1], 'scan_output_axes': [0, 1]",
                   BODY("{'name': 'u'}", "'u', 'v'", NODE("Identity", "'u'", "'v'"))) "]"))
    {
        uint8_t x[11] = { 0 };
        for (int k = 0; k < 21; k++)
            x[k / 2] = (uint8_t)(x[k / 2] | ((k * 5 & 15) << (k % 2 * 4)));
        set(&r, "x", TN_INT4, 2, DIMS(3, 7), x);
        go(&r);
        has_type(out(&r, 0), TN_INT4, 2, DIMS(3, 7));
        has_type(out(&r, 1), TN_INT4, 2, DIMS(7, 3));
        const uint8_t *y = out(&r, 0)->data, *z = out(&r, 1)->data;
        for (int row = 0; row < 3; row++)
            for (int column = 0; column < 7; column++) {
                const int expected = ((2 - row) * 7 + column) * 5 & 15;
                const int at = row * 7 + column, turned = column * 3 + row;
                cr_expect_eq(y[at / 2] >> (at % 2 * 4) & 15, expected);
                cr_expect_eq(z[turned / 2] >> (turned % 2 * 4) & 15, expected);
            }
    }
}

/* Version 8: a batch of two, the second sequence backwards and shorter. */
#define SCAN_8(lens, directions)                                                                           \
    GRAPH_OF(                                                                                              \
        8,                                                                                                 \
        "'inputs': [" IN("l", "int64", "['B']") ", " IN("s", "float32", "['B']") ", " IN(                  \
            "x", "float32",                                                                                \
            "['B', 'T']") "], 'outputs': ['f', 'p'], 'nodes': [" SCAN(lens ", 's', 'x'",                   \
                                                                      "'f', 'p'",                          \
                                                                      "'num_scan_inputs': 1" directions,   \
                                                                      BODY(                                \
                                                                          "{'name': 'h'}, {'name': 'u'}",  \
                                                                          "'g', 'm'",                      \
                                                                          NODE(                            \
                                                                              "Add", "'h', 'u'",           \
                                                                              "'g'") ", " NODE("Mul",      \
                                                                                               "'g', 'u'", \
                                                                                               "'m'"))) "]")

Test(control, scan_of_version_8_has_a_batch_and_lengths)
{
    BOTH_WAYS(r, SCAN_8("''", ""))
    {
        set(&r, "l", TN_INT64, 1, DIMS(2), I(3, 2));
        set(&r, "s", TN_FLOAT32, 1, DIMS(2), F(100, 200));
        set(&r, "x", TN_FLOAT32, 2, DIMS(2, 3), F(1, 2, 3, 4, 5, 6));
        go(&r);
        is_floats(out(&r, 0), 1, DIMS(2), F(106, 215));
        is_floats(out(&r, 1), 2, DIMS(2, 3), F(101, 206, 318, 816, 1045, 1290));
    }
    BOTH_WAYS(q, SCAN_8("'l'", ", 'directions': [1]"))
    {
        set(&q, "l", TN_INT64, 1, DIMS(2), I(3, 2));
        set(&q, "s", TN_FLOAT32, 1, DIMS(2), F(100, 200));
        set(&q, "x", TN_FLOAT32, 2, DIMS(2, 3), F(1, 2, 3, 4, 5, 6));
        go(&q);
        is_floats(out(&q, 0), 1, DIMS(2), F(106, 209));
        is_floats(out(&q, 1), 2, DIMS(2, 3), F(309, 210, 106, 1025, 836, 0));
        set(&q, "l", TN_INT64, 1, DIMS(2), I(3, 4));
        run_says(&q, TN_ERR_VALUE, "node 'scan' (Scan): sequence_lens[1] is 4, outside [0, 3]");
    }
}

/* ---- SequenceMap ------------------------------------------------------------------------------------------ */

#define MAP_GRAPH                                                                                                                      \
    GRAPH(                                                                                                                             \
        "'inputs': [{'name': 'a', 'type': 'sequence(tensor(float32))'}, "                                                              \
        "{'name': 'b', 'type': 'sequence(tensor(float32))'}, " IN("x", "float32", "[1]") "], 'outputs': ['y', 'n'], 'nodes': [" NAMED( \
            "map", "SequenceMap", "'a', 'b', 'x'", "'y', 'n'",                                                                         \
            "'body': " BODY("{'name': 'u'}, {'name': 'v'}, {'name': 'w'}", "'h', 'm'",                                                 \
                            NODE("Add", "'v', 'w'", "'k'") ", " NODE_WITH(                                                             \
                                "Concat", "'u', 'k'", "'h'",                                                                           \
                                "'axis': 0") ", " NODE("Shape", "'h'", "'m'"))) "]")

static tn_tensor *list_of(size_t count, const tn_tensor *elements)
{
    const tn_tensor *pointers[8];
    tn_tensor *list;
    for (size_t k = 0; k < count; k++)
        pointers[k] = &elements[k];
    OK(tn_value_create(TN_SEQUENCE, pointers, count, &list));
    return list;
}

Test(control, a_map_over_unequal_tensors)
{
    float data[] = { 1, 2, 3, 4, 5, 6 };
    tn_tensor *a = list_of(3,
                           (const tn_tensor[]){ floats(data, 1, DIMS(1)), floats(data, 1, DIMS(3)),
                                                floats(data, 1, DIMS(0)) });
    tn_tensor *b = list_of(3,
                           (const tn_tensor[]){ floats(data, 1, DIMS(2)), floats(data, 1, DIMS(1)),
                                                floats(data, 1, DIMS(1)) });
    tn_tensor *two = list_of(
        2, (const tn_tensor[]){ floats(data, 1, DIMS(2)), floats(data, 1, DIMS(1)) });
    tn_tensor *none = list_of(0, NULL);
    BOTH_WAYS(r, MAP_GRAPH)
    {
        set(&r, "x", TN_FLOAT32, 1, DIMS(1), F(10));
        OK(tn_context_set_input(r.context, "a", a));
        OK(tn_context_set_input(r.context, "b", b));
        go(&r);
        cr_assert_eq(tn_value_count(out(&r, 0)), 3);
        is_floats(tn_value_get(out(&r, 0), 0), 1, DIMS(3), F(1, 11, 12));
        is_floats(tn_value_get(out(&r, 0), 1), 1, DIMS(4), F(1, 2, 3, 11));
        is_floats(tn_value_get(out(&r, 0), 2), 1, DIMS(1), F(11));
        is_ints(tn_value_get(out(&r, 1), 1), 1, DIMS(1), I(4));
        OK(tn_context_set_input(r.context, "b", two));
        run_says(&r, TN_ERR_VALUE,
                 "node 'map' (SequenceMap): input 1 has 2 elements: expected 3 as input_sequence");
        OK(tn_context_set_input(r.context, "a", none));
        OK(tn_context_set_input(r.context, "b", none));
        go(&r);
        cr_assert_eq(tn_value_count(out(&r, 0)), 0);
    }
    tn_value_destroy(a);
    tn_value_destroy(b);
    tn_value_destroy(two);
    tn_value_destroy(none);
}
