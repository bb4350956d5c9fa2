/* Cast, CastLike and BitCast: the small types and complaints that ONNX's own tests leave out.
 *
 * SPDX-License-Identifier: MIT */
#include "answers.h"

#define LARGE C("float32", "[4]", "[1000000, -1000000, 'Infinity', 'NaN']")

/* The largest numbers are those of the formats' papers. */
Test(cast, float8_saturates_or_does_not)
{
    static const answer rows[] = {
        { "Cast",
          19,
          "'to': 17",
          { LARGE },
          TN_FLOAT8E4M3FN,
          "[4]",
          0,
          VALUES(448, -448, 448, NAN) },
        { "Cast",
          19,
          "'to': 17, 'saturate': 0",
          { LARGE },
          TN_FLOAT8E4M3FN,
          "[4]",
          0,
          VALUES(NAN, NAN, NAN, NAN) },
        { "Cast",
          21,
          "'to': 18",
          { LARGE },
          TN_FLOAT8E4M3FNUZ,
          "[4]",
          0,
          VALUES(240, -240, 240, NAN) },
        { "Cast",
          21,
          "'to': 18, 'saturate': 0",
          { LARGE },
          TN_FLOAT8E4M3FNUZ,
          "[4]",
          0,
          VALUES(NAN, NAN, NAN, NAN) },
        { "Cast",
          23,
          "'to': 19",
          { LARGE },
          TN_FLOAT8E5M2,
          "[4]",
          0,
          VALUES(57344, -57344, 57344, NAN) },
        { "Cast",
          23,
          "'to': 19, 'saturate': 0",
          { LARGE },
          TN_FLOAT8E5M2,
          "[4]",
          0,
          VALUES(INFINITY, -INFINITY, INFINITY, NAN) },
        { "Cast",
          25,
          "'to': 20",
          { LARGE },
          TN_FLOAT8E5M2FNUZ,
          "[4]",
          0,
          VALUES(57344, -57344, 57344, NAN) },
        { "Cast",
          25,
          "'to': 20, 'saturate': 0",
          { LARGE },
          TN_FLOAT8E5M2FNUZ,
          "[4]",
          0,
          VALUES(NAN, NAN, NAN, NAN) },
    };
    CHECK_ALL(rows);
}

Test(cast, float8_rounds_to_even_and_reads_back)
{
    static const answer rows[] = {
        /* steps of 1/8 from 1 on: 1.0625 is half a step, 1.1875 one and a half */
        { "Cast",
          25,
          "'to': 17",
          { C("float64", "[3]", "[1.0625, 1.1875, -0.0]") },
          TN_FLOAT8E4M3FN,
          "[3]",
          0,
          VALUES(1, 1.25, -0.0) },
        { "Cast",
          25,
          "'to': 18",
          { C("float32", "[1]", "[-0.0]") },
          TN_FLOAT8E4M3FNUZ,
          "[1]",
          0,
          VALUES(0) },
        { "Cast",
          25,
          "'to': 10",
          { "{'dtype': 'float8e5m2', 'shape': [4], 'bytes': 'AYB8fQ=='}" },
          TN_FLOAT16,
          "[4]",
          0,
          VALUES(0x1p-16, -0.0, INFINITY, NAN) },
        { "Cast",
          25,
          "'to': 17",
          { C("string", "[2]", "['1.5', '-INF']") },
          TN_FLOAT8E4M3FN,
          "[2]",
          0,
          VALUES(1.5, -448) },
        { "Cast",
          25,
          "'to': 17",
          { C("int64", "[2]", "[-7, 3]") },
          TN_FLOAT8E4M3FN,
          "[2]",
          0,
          VALUES(-7, 3) },
    };
    CHECK_ALL(rows);
}

#define SPECIALS C("float64", "[5]", "[0, 'NaN', 'Infinity', 1e39, 1e-45]")
#define POWERS C("float32", "[6]", "[2.5, 3.5, 4, 1, 0.75, 6]")
Test(cast, float8e8m0_rounds_as_it_is_told)
{
    static const answer rows[] = {
        { "Cast", 24, "'to': 24", { POWERS }, TN_FLOAT8E8M0, "[6]", 0, VALUES(4, 4, 4, 1, 1, 8) },
        { "Cast",
          25,
          "'to': 24, 'round_mode': 'down'",
          { POWERS },
          TN_FLOAT8E8M0,
          "[6]",
          0,
          VALUES(2, 2, 4, 1, 0.5, 4) },
        { "Cast",
          25,
          "'to': 24, 'round_mode': 'nearest'",
          { C("float32", "[2]", "[2.5, 3.5]") },
          TN_FLOAT8E8M0,
          "[2]",
          0,
          VALUES(2, 4) },
        { "CastLike",
          25,
          "'round_mode': 'down'",
          { C("float16", "[1]", "[3]"), "{'dtype': 'float8e8m0', 'shape': [1], 'bytes': 'fw=='}" },
          TN_FLOAT8E8M0,
          "[1]",
          0,
          VALUES(2) },
        /* nearest: from the middle up */
        { "Cast",
          25,
          "'to': 24, 'round_mode': 'nearest'",
          { C("float64", "[2]", "[3, 2.999]") },
          TN_FLOAT8E8M0,
          "[2]",
          0,
          VALUES(4, 2) },
        /* the standard's table: zero, NaN, infinity, too large, too small */
        { "Cast",
          24,
          "'to': 24",
          { SPECIALS },
          TN_FLOAT8E8M0,
          "[5]",
          0,
          VALUES(0x1p-127, NAN, 0x1p127, 0x1p127, 0x1p-127) },
        { "Cast",
          24,
          "'to': 24, 'saturate': 0, 'round_mode': 'nearest'",
          { SPECIALS },
          TN_FLOAT8E8M0,
          "[5]",
          0,
          VALUES(NAN, NAN, NAN, NAN, NAN) },
    };
    static const answer mode = WRONG("Cast", 25, "'to': 24, 'round_mode': 'up '", POWERS);
    CHECK_ALL(rows);
    check_complaint(&mode, TN_ERR_ATTRIBUTE, "round_mode is 'up ': expected up, down or nearest");
}

Test(cast, packed_types_of_odd_counts)
{
    static const answer rows[] = {
        { "Cast",
          23,
          "'to': 23",
          { C("float32", "[7]", "[5, 2.5, 100, -0.2, 0.25, -7, 1.75]") },
          TN_FLOAT4E2M1,
          "[7]",
          0,
          VALUES(4, 2, 6, -0.0, 0, -6, 2) },
        { "Cast",
          21,
          "'to': 22",
          { C("float64", "[3]", "[3.7, -8, -1.2]") },
          TN_INT4,
          "[3]",
          0,
          VALUES(3, -8, -1) },
        { "Cast",
          21,
          "'to': 21",
          { C("int32", "[5]", "[0, 15, 7, 1, 9]") },
          TN_UINT4,
          "[5]",
          0,
          VALUES(0, 15, 7, 1, 9) },
        { "Cast",
          25,
          "'to': 26",
          { C("int8", "[5]", "[-2, -1, 0, 1, 1]") },
          TN_INT2,
          "[5]",
          0,
          VALUES(-2, -1, 0, 1, 1) },
        { "Cast",
          25,
          "'to': 25",
          { C("bool", "[3]", "[true, false, true]") },
          TN_UINT2,
          "[3]",
          0,
          VALUES(1, 0, 1) },
        { "Cast",
          25,
          "'to': 6",
          { "{'dtype': 'int2', 'shape': [5], 'bytes': 'HgM='}" },
          TN_INT32,
          "[5]",
          0,
          VALUES(-2, -1, 1, 0, -1) },
        { "Cast",
          25,
          "'to': 1",
          { "{'dtype': 'float4e2m1', 'shape': [3], 'bytes': 'lwc='}" },
          TN_FLOAT32,
          "[3]",
          0,
          VALUES(6, -0.5, 6) },
        { "Cast",
          25,
          "'to': 22",
          { C("float32", "[0, 3]", "[]") },
          TN_INT4,
          "[0, 3]",
          0,
          .count = 0 },
        { "CastLike",
          15,
          NULL,
          { C("float32", "[]", "2.75"), C("int64", "[2]", "[0, 0]") },
          TN_INT64,
          "[]",
          0,
          VALUES(2) },
    };
    CHECK_ALL(rows);
}

Test(cast, bit_cast_keeps_bits)
{
    static const answer rows[] = {
        { "BitCast",
          26,
          "'to': 6",
          { C("float32", "[2]", "[1, -0.0]") },
          TN_INT32,
          "[2]",
          0,
          VALUES(1065353216, -2147483648) },
        { "BitCast",
          26,
          "'to': 10",
          { C("uint16", "[2]", "[15360, 31744]") },
          TN_FLOAT16,
          "[2]",
          0,
          VALUES(1, INFINITY) },
        { "BitCast",
          26,
          "'to': 2",
          { "{'dtype': 'float8e5m2', 'shape': [2], 'bytes': 'fP0='}" },
          TN_UINT8,
          "[2]",
          0,
          VALUES(124, 253) },
        { "BitCast",
          26,
          "'to': 21",
          { C("int4", "[3]", "[-1, -8, 7]") },
          TN_UINT4,
          "[3]",
          0,
          VALUES(15, 8, 7) },
        { "BitCast",
          26,
          "'to': 9",
          { C("uint8", "[3]", "[0, 1, 2]") },
          TN_BOOL,
          "[3]",
          0,
          VALUES(0, 1, 1) },
        { "BitCast", 26, "'to': 7", { C("float64", "[0]", "[]") }, TN_INT64, "[0]", 0, .count = 0 },
        { "BitCast",
          26,
          "'to': 12",
          { C("float32", "[]", "2") },
          TN_UINT32,
          "[]",
          0,
          VALUES(1073741824) },
    };
    static const answer width = WRONG("BitCast", 26, "'to': 7", C("float32", "[1]", "[1]"));
    static const answer text = WRONG("BitCast", 26, "'to': 8", C("float32", "[1]", "[1]"));
    CHECK_ALL(rows);
    check_complaint(&width, TN_ERR_ATTRIBUTE,
                    "to is 7, a type of 64 bits: expected one of 32, as input 'input' has");
    check_complaint(&text, TN_ERR_ATTRIBUTE,
                    "to is 8: expected the number of an element type that is not string, such as 1 "
                    "for float32");
}

/* One, through each type into each other one and back. */
static void check_pair(int from, int to)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"tenon\": 1, \"opset\": 25, \"inputs\": [], \"outputs\": [\"y\"], \"constants\": "
             "{\"x\": {\"dtype\": \"float32\", \"shape\": [3], \"data\": [1, 1, 1]}}, \"nodes\": ["
             "{\"op\": \"Cast\", \"inputs\": [\"x\"], \"outputs\": [\"a\"], \"attributes\": "
             "{\"to\": %d}}, "
             "{\"op\": \"Cast\", \"inputs\": [\"a\"], \"outputs\": [\"b\"], \"attributes\": "
             "{\"to\": %d}}, "
             "{\"op\": \"Cast\", \"inputs\": [\"b\"], \"outputs\": [\"y\"], \"attributes\": "
             "{\"to\": 1}}]}",
             from, to);
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    tn_context *context;
    OK(tn_context_create(session, &context));
    OK(tn_context_run(context, NULL));
    const float *y = tn_context_output(context, 0)->data;
    for (int k = 0; k < 3; k++)
        cr_assert_eq(y[k], 1.0f, "%s to %s: %g", tn_dtype_name((uint32_t)from),
                     tn_dtype_name((uint32_t)to), (double)y[k]);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(cast, every_type_becomes_every_other)
{
    for (int from = TN_FLOAT32; from < TN_DTYPE_COUNT; from++)
        for (int to = TN_FLOAT32; to < TN_DTYPE_COUNT; to++)
            if (!((TN_BIT(from) | TN_BIT(to)) & TN_MASK_COMPLEX))
                check_pair(from, to);
}
