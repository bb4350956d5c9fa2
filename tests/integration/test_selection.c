/* TopK, Unique, NonZero, Compress, Range: what ONNX's own data does not reach.
 *
 * SPDX-License-Identifier: MIT */
#include "case.h"

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        static const one_case cases[] = { __VA_ARGS__ };                                           \
        check_cases(cases, sizeof cases / sizeof *cases);                                          \
    } while (0)

/* ---- TopK ---------------------------------------------------------------------------------- */

Test(top_k, puts_nan_first_and_takes_equal_ones_in_order)
{
    CHECK(
        { "TopK",
          "",
          11,
          { { "float32", "[5]", "[1,\"NaN\",\"Infinity\",\"NaN\",1]" }, { "int64", "[1]", "[4]" } },
          { { "float32", "[4]", "[\"NaN\",\"NaN\",\"Infinity\",1]" },
            { "int64", "[4]", "[1,3,2,0]" } } },
        { "TopK",
          "\"largest\": 0",
          24,
          { { "bfloat16", "[4]", "[0,-0.0,-2,\"NaN\"]" }, { "int64", "[1]", "[4]" } },
          { { "bfloat16", "[4]", "[-2,0,-0.0,\"NaN\"]" }, { "int64", "[4]", "[2,0,1,3]" } } },
        { "TopK",
          "\"axis\": 0, \"sorted\": 0",
          11,
          { { "int16", "[3,2]", "[1,6,3,4,5,2]" }, { "int64", "[1]", "[2]" } },
          { { "int16", "[2,2]", "[5,6,3,4]" }, { "int64", "[2,2]", "[2,0,1,1]" } } });
}

Test(top_k, of_nothing_is_nothing)
{
    CHECK({ "TopK",
            "",
            11,
            { { "float32", "[2,2]", "[1,2,3,4]" }, { "int64", "[1]", "[0]" } },
            { { "float32", "[2,0]", "[]" }, { "int64", "[2,0]", "[]" } } });
}

Test(top_k, of_sets_1_and_10_means_the_largest)
{
    CHECK({ "TopK",
            "\"k\": 2, \"axis\": 0",
            1,
            { { "float32", "[3]", "[1,3,2]" } },
            { { "float32", "[2]", "[3,2]" }, { "int64", "[2]", "[1,2]" } } },
          { "TopK",
            "",
            10,
            { { "float64", "[3]", "[1,3,2]" }, { "int64", "[1]", "[2]" } },
            { { "float64", "[2]", "[3,2]" }, { "int64", "[2]", "[1,2]" } } });
}

Test(top_k, complains_word_for_word)
{
    static const one_case many = { "TopK",
                                   "",
                                   11,
                                   { { "float32", "[2]", "[1,2]" }, { "int64", "[1]", "[3]" } },
                                   { { "float32", "[2]", "[1,2]" }, { "int64", "[2]", "[0,1]" } } };
    expect_complaint(&many, "node 'n' (TopK): K is 3: expected 0 to 2, the extent of axis 0");
    expect_failure(&many, "node 'n' (TopK): K is 3: expected 0 to 2, the extent of axis 0");
}

/* ---- Unique -------------------------------------------------------------------------------- */

Test(unique, of_strings_complex_numbers_and_nan)
{
    CHECK({ "Unique",
            "",
            11,
            { { "string", "[4]", "[\"b\",\"ab\",\"b\",\"a\"]" } },
            { { "string", "[3]", "[\"a\",\"ab\",\"b\"]" },
              { "int64", "[3]", "[3,1,0]" },
              { "int64", "[4]", "[2,1,2,0]" },
              { "int64", "[3]", "[1,1,2]" } } },
          { "Unique",
            "\"sorted\": 0",
            11,
            { { "float32", "[5]", "[\"NaN\",2,\"NaN\",1,2]" } },
            { { "float32", "[3]", "[\"NaN\",2,1]" },
              { "int64", "[3]", "[0,1,3]" },
              { "int64", "[5]", "[0,1,0,2,1]" },
              { "int64", "[3]", "[2,2,1]" } } },
          { "Unique",
            "\"axis\": -1",
            11,
            { { "uint8", "[2,3]", "[2,1,2,0,7,0]" } },
            { { "uint8", "[2,2]", "[1,2,7,0]" },
              { NULL, NULL, NULL },
              { "int64", "[3]", "[1,0,1]" } } });
}

Test(unique, of_nothing_is_nothing)
{
    CHECK({ "Unique",
            "",
            11,
            { { "float32", "[0]", "[]" } },
            { { "float32", "[0]", "[]" },
              { "int64", "[0]", "[]" },
              { "int64", "[0]", "[]" },
              { "int64", "[0]", "[]" } } });
}

/* ---- NonZero, Compress ---------------------------------------------------------------------- */

Test(non_zero, of_scalars_strings_and_nothing)
{
    CHECK({ "NonZero", "", 13, { { "float32", "[]", "[3]" } }, { { "int64", "[0,1]", "[]" } } },
          { "NonZero",
            "",
            9,
            { { "string", "[3]", "[\"\",\"a\",\"\"]" } },
            { { "int64", "[1,1]", "[1]" } } },
          { "NonZero",
            "",
            13,
            { { "bfloat16", "[2,2]", "[0,-0.0,\"NaN\",1]" } },
            { { "int64", "[2,2]", "[1,1,0,1]" } } },
          { "NonZero", "", 13, { { "bool", "[0,2]", "[]" } }, { { "int64", "[2,0]", "[]" } } });
}

Test(compress, leaves_out_what_the_condition_does_not_reach)
{
    CHECK({ "Compress",
            "\"axis\": 1",
            9,
            { { "string", "[2,3]", "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]" },
              { "bool", "[2]", "[false,true]" } },
            { { "string", "[2,1]", "[\"b\",\"e\"]" } } },
          { "Compress",
            "",
            11,
            { { "int8", "[2,2]", "[1,2,3,4]" }, { "bool", "[4]", "[true,false,false,true]" } },
            { { "int8", "[2]", "[1,4]" } } },
          { "Compress",
            "",
            11,
            { { "int8", "[2]", "[1,2]" }, { "bool", "[3]", "[false,false,false]" } },
            { { "int8", "[0]", "[]" } } });
    static const one_case beyond = { "Compress",
                                     "",
                                     11,
                                     { { "int8", "[2]", "[1,2]" },
                                       { "bool", "[3]", "[false,false,true]" } },
                                     { { "int8", "[0]", "[]" } } };
    expect_failure(
        &beyond,
        "node 'n' (Compress): condition[2] holds: expected none at or behind 2, the extent that it selects from");
}

/* What lies behind a late value runs with the extents it turns out to have. */
Test(late, outputs_feed_what_follows)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": "
        "[\"N\"]}], \"outputs\": [\"y\"], \"nodes\": [{\"op\": \"NonZero\", \"inputs\": [\"x\"], "
        "\"outputs\": [\"at\"]}, {\"op\": \"Transpose\", \"inputs\": [\"at\"], \"outputs\": [\"t\"]}, "
        "{\"op\": \"GatherND\", \"inputs\": [\"x\", \"t\"], \"outputs\": [\"y\"]}]}";
    float data[4] = { 0, 5, 0, 6 };
    const int64_t dims[1] = { 4 };
    fixture f;
    tn_session *session;
    tn_context *context = run_text(text, &f, &session);
    const tn_tensor x = floats(data, 1, dims);
    OK(tn_context_set_input(context, "x", &x));
    for (int turn = 0; turn < 3; turn++) {
        data[0] = (float)turn; /* zero, then not */
        OK(tn_context_run(context, NULL));
        const tn_tensor *y = tn_context_output(context, 0);
        cr_assert_eq(y->dims[0], turn ? 3 : 2);
        cr_expect_eq(((const float *)y->data)[y->dims[0] - 1], 6);
    }
    close_all(&f, session, context);
}

/* ---- Range ---------------------------------------------------------------------------------- */

Test(range, counts_exactly_and_backwards)
{
    CHECK(
        { "Range",
          "",
          11,
          { { "int64", "[]", "[\"9007199254740993\"]" },
            { "int64", "[]", "[\"9007199254740996\"]" },
            { "int64", "[]", "[1]" } },
          { { "int64", "[3]",
              "[\"9007199254740993\",\"9007199254740994\",\"9007199254740995\"]" } } },
        { "Range",
          "",
          11,
          { { "float64", "[]", "[1]" },
            { "float64", "[]", "[0]" },
            { "float64", "[]", "[-0.25]" } },
          { { "float64", "[4]", "[1,0.75,0.5,0.25]" } } },
        { "Range",
          "",
          11,
          { { "int32", "[]", "[3]" }, { "int32", "[]", "[3]" }, { "int32", "[]", "[1]" } },
          { { "int32", "[0]", "[]" } } },
        { "Range",
          "\"stash_type\": 11",
          27,
          { { "float16", "[]", "[1]" }, { "float16", "[]", "[2]" }, { "float16", "[]", "[0.5]" } },
          { { "float16", "[2]", "[1,1.5]" } } });
    static const one_case zero = {
        "Range",
        "",
        11,
        { { "int32", "[]", "[0]" }, { "int32", "[]", "[3]" }, { "int32", "[]", "[0]" } },
        { { "int32", "[0]", "[]" } }
    };
    expect_complaint(&zero, "node 'n' (Range): delta is 0: expected a step forwards or backwards");
    expect_failure(&zero, "node 'n' (Range): delta is 0: expected a step forwards or backwards");
}

Test(range, up_to_an_extent_has_that_length)
{
    static const char text[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": "
        "[\"N\", 3]}], \"outputs\": [\"y\"], \"constants\": {\"zero\": {\"dtype\": \"int64\", \"shape\": "
        "[], \"data\": [0]}, \"one\": {\"dtype\": \"int64\", \"shape\": [], \"data\": [1]}}, \"nodes\": "
        "[{\"op\": \"Shape\", \"inputs\": [\"x\"], \"outputs\": [\"s\"]}, {\"op\": \"Gather\", "
        "\"inputs\": [\"s\", \"zero\"], \"outputs\": [\"n\"]}, {\"op\": \"Range\", \"inputs\": "
        "[\"zero\", \"n\", \"one\"], \"outputs\": [\"y\"]}]}";
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    cr_expect_str_eq(tn_session_output(session, 0)->shape, "[N]");
    tn_session_destroy(session);
    close_fixture(&f);
}
