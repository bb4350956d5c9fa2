/* Quantization: granularities, types, rounding, exact products, and what is refused. Expected
 * values are formulas written out plainly here.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

#include <criterion/parameterized.h>

/* ---- QuantizeLinear: types ---------------------------------------------------------------- */

typedef struct range {
    uint32_t dtype;
    char name[12];
    int low, high, zero;
} range;

ParameterizedTestParameters(quantize, rounds_to_even_and_saturates)
{
    static range rows[] = {
        { TN_INT8, "int8", -128, 127, 3 },       { TN_UINT8, "uint8", 0, 255, 7 },
        { TN_INT16, "int16", -32768, 32767, 5 }, { TN_UINT16, "uint16", 0, 65535, 9 },
        { TN_INT4, "int4", -8, 7, 1 },           { TN_UINT4, "uint4", 0, 15, 3 },
        { TN_INT2, "int2", -2, 1, -1 },          { TN_UINT2, "uint2", 0, 3, 1 },
    };
    return cr_make_param_array(range, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(range *row, quantize, rounds_to_even_and_saturates)
{
    static const float x[9] = { -3e9f, -2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 3e9f, INFINITY };
    static const int64_t dims[1] = { 9 };
    running r = start(GRAPH("25", "{'name': 'x', 'dtype': 'float32', 'shape': ['N']}", "'y'",
                            "'s': {'dtype': 'float32', 'shape': [], 'data': [1]},"
                            "'z': {'dtype': '%s', 'shape': [], 'data': [%d]}",
                            "{'op': 'QuantizeLinear', 'inputs': ['x', 's', 'z'],"
                            " 'outputs': ['y']}"),
                      row->name, row->zero);
    double wanted[9];
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[N]");
    give(&r, "x", TN_FLOAT32, 1, dims, x);
    for (int k = 0; k < 9; k++)
        wanted[k] = fmin(fmax(rint((double)x[k]) + row->zero, row->low), row->high);
    const tn_tensor *y = answer(&r);
    cr_expect_eq(y->dtype, row->dtype);
    expect_elements(y, 9, wanted, 0.0);
    stop(&r);
}

Test(quantize, nan_becomes_the_lowest_integer)
{
    running r = start(GRAPH("25", "", "'y'",
                            "'x': {'dtype': 'float32', 'shape': [1], 'data': ['NaN']},"
                            "'s': {'dtype': 'float32', 'shape': [], 'data': [1]}",
                            "{'op': 'QuantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"
                            " 'attributes': {'output_dtype': 3}}"));
    expect_elements(answer(&r), 1, (const double[]){ -128 }, 0.0);
    stop(&r);
}

/* The tables of ONNX's Cast: the largest numbers of each type, and what is there instead. */
typedef struct small {
    int dtype, saturate;
    double wanted; /* of 1e6; -1e6 gives its negative */
} small;

ParameterizedTestParameters(quantize, float8_obeys_saturate)
{
    static small rows[] = {
        { TN_FLOAT8E4M3FN, 1, 448 },     { TN_FLOAT8E4M3FN, 0, (double)NAN },
        { TN_FLOAT8E4M3FNUZ, 1, 240 },   { TN_FLOAT8E4M3FNUZ, 0, (double)NAN },
        { TN_FLOAT8E5M2, 1, 57344 },     { TN_FLOAT8E5M2, 0, (double)INFINITY },
        { TN_FLOAT8E5M2FNUZ, 1, 57344 }, { TN_FLOAT8E5M2FNUZ, 0, (double)NAN },
        { TN_FLOAT4E2M1, 1, 6 },         { TN_FLOAT4E2M1, 0, 6 },
    };
    return cr_make_param_array(small, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(small *row, quantize, float8_obeys_saturate)
{
    running r = start(GRAPH("25", "", "'y'",
                            "'x': {'dtype': 'float32', 'shape': [4], 'data': [2e6, -2e6, 3, -1]},"
                            "'s': {'dtype': 'float32', 'shape': [1], 'data': [2]}",
                            "{'op': 'QuantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"
                            " 'attributes': {'output_dtype': %d, 'saturate': %d}}"),
                      row->dtype, row->saturate);
    expect_elements(answer(&r), 4, (const double[]){ row->wanted, -row->wanted, 1.5, -0.5 }, 0.0);
    stop(&r);
}

/* 2049 is no float16: it becomes 2048. */
Test(quantize, divides_in_the_precision_asked_for)
{
    static const struct {
        const char *scale;
        int precision;
        double wanted;
    } rows[] = { { "float32", 0, 2049 },   { "float32", 10, 2048 }, { "float16", 0, 2048 },
                 { "float16", 1, 2049 },   { "float32", 16, 2048 }, { "int32", 0, 2049 },
                 { "float8e8m0", 0, 2049 } };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        running r = start(GRAPH("25", "", "'y'",
                                "'x': {'dtype': 'float32', 'shape': [1], 'data': [2049]},"
                                "'s': {'dtype': '%s', 'shape': [], 'data': [1]}",
                                "{'op': 'QuantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"
                                " 'attributes': {'output_dtype': 4, 'precision': %d}}"),
                          rows[k].scale, rows[k].precision);
        expect_elements(answer(&r), 1, &rows[k].wanted, 0.0);
        stop(&r);
    }
}

/* ---- granularities --------------------------------------------------------------------------- */

typedef struct layout {
    int axis, block; /* block 0: per axis */
} layout;

ParameterizedTestParameters(quantize, finds_the_scale_of_each_element)
{
    static layout rows[] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { -1, 0 }, { -3, 0 },
                             { 0, 2 }, { 1, 2 }, { 2, 3 }, { -1, 4 }, { 1, 9 } };
    return cr_make_param_array(layout, rows, sizeof rows / sizeof *rows);
}

enum { D0 = 3, D1 = 5, D2 = 130 }; /* more than a block of the kernel */

ParameterizedTest(layout *row, quantize, finds_the_scale_of_each_element)
{
    static const int64_t dims[3] = { D0, D1, D2 };
    static float x[D0 * D1 * D2], scale[D0 * D1 * D2];
    static int8_t zero[D0 * D1 * D2];
    static double wanted[D0 * D1 * D2], back[D0 * D1 * D2];
    const int axis = row->axis < 0 ? row->axis + 3 : row->axis;
    int64_t sdims[3] = { D0, D1, D2 };
    running r = start(GRAPH("25",
                            "{'name': 'x', 'dtype': 'float32'}, {'name': 's', 'dtype': 'float32'},"
                            "{'name': 'z', 'dtype': 'int8'}",
                            "'y', 'w'", "",
                            "{'op': 'QuantizeLinear', 'inputs': ['x', 's', 'z'], 'outputs': ['y'],"
                            " 'attributes': {'axis': %d, 'block_size': %d}},"
                            "{'op': 'DequantizeLinear', 'inputs': ['y', 's', 'z'],"
                            " 'outputs': ['w'], 'attributes': {'axis': %d, 'block_size': %d}}"),
                      row->axis, row->block, row->axis, row->block);
    fill(x, D0 * D1 * D2, 5);
    fill(scale, D0 * D1 * D2, 6);
    fill_ints(TN_INT8, zero, D0 * D1 * D2, -20, 20, 7);
    for (int k = 0; k < D0 * D1 * D2; k++) {
        x[k] *= 10;
        scale[k] = 0.05f + fabsf(scale[k]);
    }
    if (row->block)
        sdims[axis] = (dims[axis] + row->block - 1) / row->block;
    for (int64_t k = 0; k < D0 * D1 * D2; k++) {
        int64_t at[3] = { k / D2 / D1, k / D2 % D1, k % D2 }, index = at[axis];
        if (row->block) {
            at[axis] /= row->block;
            index = (at[0] * sdims[1] + at[1]) * sdims[2] + at[2];
        }
        wanted[k] = fmin(fmax(rint((double)(x[k] / scale[index])) + zero[index], -128), 127);
        back[k] = (double)(float)((wanted[k] - zero[index]) * (double)scale[index]);
    }
    const int32_t rank = row->block ? 3 : 1;
    const int64_t *at = row->block ? sdims : &dims[axis];
    give(&r, "x", TN_FLOAT32, 3, dims, x);
    give(&r, "s", TN_FLOAT32, rank, at, scale);
    give(&r, "z", TN_INT8, rank, at, zero);
    expect_elements(answer(&r), D0 * D1 * D2, wanted, 0.0);
    expect_elements(tn_context_output(r.context, 1), D0 * D1 * D2, back, 0.0);
    stop(&r);
}

Test(quantize, old_versions_mean_the_same)
{
    static const int versions[] = { 10, 13, 19, 21, 23, 24, 25 };
    for (size_t k = 0; k < sizeof versions / sizeof *versions; k++) {
        running r = start(GRAPH("%d", "", "'y', 'w'",
                                "'x': {'dtype': 'float32', 'shape': [4], 'data': [0, 2, 3, -254]},"
                                "'s': {'dtype': 'float32', 'shape': [], 'data': [2]},"
                                "'z': {'dtype': 'uint8', 'shape': [], 'data': [128]}",
                                "{'op': 'QuantizeLinear', 'inputs': ['x', 's', 'z'],"
                                " 'outputs': ['y']},"
                                "{'op': 'DequantizeLinear', 'inputs': ['y', 's', 'z'],"
                                " 'outputs': ['w']}"),
                          versions[k]);
        expect_elements(answer(&r), 4, (const double[]){ 128, 129, 130, 1 }, 0.0);
        expect_elements(tn_context_output(r.context, 1), 4, (const double[]){ 0, 2, 4, -254 }, 0.0);
        stop(&r);
    }
}

Test(quantize, takes_tensors_without_elements)
{
    static const int64_t dims[2] = { 0, 3 };
    running r = start(GRAPH("25", "{'name': 'x', 'dtype': 'float16', 'shape': ['N', 3]}", "'y'",
                            "'s': {'dtype': 'float32', 'shape': [3], 'data': [1, 2, 3]}",
                            "{'op': 'QuantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"
                            " 'attributes': {'output_dtype': 22}}"));
    give(&r, "x", TN_FLOAT16, 2, dims, "");
    expect_shape(answer(&r), 2, dims);
    stop(&r);
}

#define QUANTIZE(x, s, z, attributes)                                                              \
    GRAPH("25", "", "'y'", "'x': {" x "}, 's': {" s "}, 'z': {" z "}",                             \
          "{'op': 'QuantizeLinear', 'inputs': ['x', 's', 'z'], 'outputs': ['y'],"                  \
          " 'attributes': {" attributes "}}")
#define X23 "'dtype': 'float32', 'shape': [2, 3], 'data': [1, 2, 3, 4, 5, 6]"
#define ONE "'dtype': 'float32', 'shape': [], 'data': [1]"
#define ZERO "'dtype': 'int8', 'shape': [], 'data': [0]"
#define TWO "'dtype': 'float32', 'shape': [2], 'data': [1, 1]"
#define TWO_ZEROS "'dtype': 'int8', 'shape': [2], 'data': [0, 0]"
#define FLAT "'dtype': 'float32', 'shape': [1, 2], 'data': [1, 1]"
#define FLAT_ZEROS "'dtype': 'int8', 'shape': [1, 2], 'data': [0, 0]"

Test(quantize, says_what_does_not_fit)
{
    refuses(TN_ERR_SHAPE,
            "input 'y_scale' has 2 elements, but 'x' has extent 3 along axis 1: expected one for "
            "each",
            QUANTIZE(X23, TWO, TWO_ZEROS, ""));
    refuses(TN_ERR_ATTRIBUTE, "axis is 2, outside [-2, 2)",
            QUANTIZE(X23, TWO, TWO_ZEROS, "'axis': 2"));
    refuses(TN_ERR_SHAPE,
            "input 'y_scale' has rank 2: expected a scalar or a vector when block_size is 0",
            QUANTIZE(X23, FLAT, FLAT_ZEROS, ""));
    refuses(TN_ERR_SHAPE,
            "input 'y_scale' has rank 1, but 'x' has rank 2: expected the same for blocks, or a "
            "scalar",
            QUANTIZE(X23, TWO, TWO_ZEROS, "'block_size': 2"));
    refuses(TN_ERR_SHAPE,
            "input 'y_scale' has extent 1 along axis 0: expected 2, since 'x' has 2 there",
            QUANTIZE(X23, FLAT, FLAT_ZEROS, "'block_size': 2"));
    refuses(TN_ERR_SHAPE,
            "input 'y_scale' has extent 2 along axis 1: expected 3, since 'x' has 3 there in "
            "blocks of block_size",
            QUANTIZE(X23, "'dtype': 'float32', 'shape': [2, 2], 'data': [1, 1, 1, 1]",
                     "'dtype': 'int8', 'shape': [2, 2], 'data': [0, 0, 0, 0]", "'block_size': 1"));
    refuses(TN_ERR_ATTRIBUTE, "block_size is -1: expected 0 (no blocks) or more",
            QUANTIZE(X23, ONE, ZERO, "'block_size': -1"));
    refuses(TN_ERR_SHAPE,
            "input 'y_zero_point' has shape [2], but 'y_scale' has []: expected the same",
            QUANTIZE(X23, ONE, TWO_ZEROS, ""));
    refuses(TN_ERR_ATTRIBUTE,
            "output_dtype is 2, but the type of 'y_zero_point' has number 3: expected the same",
            QUANTIZE(X23, ONE, ZERO, "'output_dtype': 2"));
    refuses(TN_ERR_ATTRIBUTE,
            "output_dtype is 1: expected 0 or the number of an integer of at most 16 bits, a "
            "float8 or float4",
            QUANTIZE(X23, ONE, ZERO, "'output_dtype': 1"));
    refuses(TN_ERR_ATTRIBUTE,
            "precision is 3: expected 0 or the number of float32, float64, float16 or bfloat16",
            QUANTIZE(X23, ONE, ZERO, "'precision': 3"));
}

/* ---- DequantizeLinear --------------------------------------------------------------------------- */

typedef struct wide {
    char x[20], scale[12];
    int output_dtype;
    uint32_t found;
    double wanted[3]; /* of 1, 0, 3 by a scale of 0.5 and no zero point */
} wide;

ParameterizedTestParameters(dequantize, makes_every_type)
{
    static wide rows[] = {
        { "int8", "float32", 0, TN_FLOAT32, { 0.5, 0, 1.5 } },
        { "int32", "float16", 0, TN_FLOAT16, { 0.5, 0, 1.5 } },
        { "uint16", "bfloat16", 0, TN_BFLOAT16, { 0.5, 0, 1.5 } },
        { "uint4", "float32", 10, TN_FLOAT16, { 0.5, 0, 1.5 } },
        { "uint2", "float8e8m0", 1, TN_FLOAT32, { 0.5, 0, 1.5 } },
        { "float8e4m3fn", "float32", 16, TN_BFLOAT16, { 0.5, 0, 1.5 } },
        { "float8e5m2fnuz", "float32", 0, TN_FLOAT32, { 0.5, 0, 1.5 } },
        { "float4e2m1", "float8e8m0", 16, TN_BFLOAT16, { 0.5, 0, 1.5 } },
    };
    return cr_make_param_array(wide, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(wide *row, dequantize, makes_every_type)
{
    running r = start(GRAPH("25", "", "'y'",
                            "'x': {'dtype': '%s', 'shape': [3], 'data': [1, 0, 3]},"
                            "'s': {'dtype': '%s', 'shape': [], 'data': [0.5]}",
                            "{'op': 'DequantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"
                            " 'attributes': {'output_dtype': %d}}"),
                      row->x, row->scale, row->output_dtype);
    const tn_tensor *y = answer(&r);
    cr_expect_eq(y->dtype, row->found);
    expect_elements(y, 3, row->wanted, 0.0);
    stop(&r);
}

#define DEQUANTIZE(scale, attributes)                                                              \
    GRAPH("25", "", "'y'",                                                                         \
          "'x': {'dtype': 'int8', 'shape': [3], 'data': [1, 2, 3]},"                               \
          "'s': {'dtype': '" scale "', 'shape': [], 'data': [1]}",                                 \
          "{'op': 'DequantizeLinear', 'inputs': ['x', 's'], 'outputs': ['y'],"                     \
          " 'attributes': {" attributes "}}")
Test(dequantize, says_what_does_not_fit)
{
    refuses(TN_ERR_ATTRIBUTE,
            "output_dtype is 11: expected 0 or the number of float32, float16 or bfloat16",
            DEQUANTIZE("float32", "'output_dtype': 11"));
    refuses(TN_ERR_ATTRIBUTE,
            "output_dtype is 0 and 'x_scale' is float8e8m0, which the output cannot be: expected "
            "the number of float32, float16 or bfloat16",
            DEQUANTIZE("float8e8m0", ""));
}

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------------ */

#define DYNAMIC                                                                                    \
    GRAPH("11", "{'name': 'x', 'dtype': 'float32', 'shape': ['N']}", "'y', 's', 'z'", "",          \
          "{'op': 'DynamicQuantizeLinear', 'inputs': ['x'], 'outputs': ['y', 's', 'z']}")

Test(dynamic_quantize, follows_the_formula_over_many_elements)
{
    enum { COUNT = 20000 };
    static float x[COUNT];
    static double wanted[COUNT];
    static const int64_t dims[1] = { COUNT };
    float low = 0, high = 0;
    running r = start(DYNAMIC);
    fill(x, COUNT, 11);
    for (int k = 0; k < COUNT; k++) {
        x[k] = x[k] * 3 + 1;
        low = fminf(low, x[k]);
        high = fmaxf(high, x[k]);
    }
    const float scale = (high - low) / 255.0f;
    const double zero = rint(fmin(fmax((double)(0.0f - low / scale), 0), 255));
    for (int k = 0; k < COUNT; k++)
        wanted[k] = fmin(fmax(rint((double)(x[k] / scale)) + zero, 0), 255);
    give(&r, "x", TN_FLOAT32, 1, dims, x);
    expect_elements(answer(&r), COUNT, wanted, 0.0);
    expect_elements(tn_context_output(r.context, 1), 1, (const double[]){ (double)scale }, 0.0);
    expect_elements(tn_context_output(r.context, 2), 1, &zero, 0.0);
    stop(&r);
}

Test(dynamic_quantize, of_nothing_but_zeros_is_zeros)
{
    static const float x[3] = { 0, -0.0f, 0 };
    const double scale = (double)(1.0f / 255.0f);
    for (int64_t count = 3; count >= 0; count -= 3) {
        running r = start(DYNAMIC);
        give(&r, "x", TN_FLOAT32, 1, &count, x);
        expect_elements(answer(&r), count, (const double[]){ 0, 0, 0 }, 0.0);
        expect_elements(tn_context_output(r.context, 1), 1, &scale, 0.0);
        expect_elements(tn_context_output(r.context, 2), 1, (const double[]){ 0 }, 0.0);
        stop(&r);
    }
}

/* ---- MatMulInteger, QLinearMatMul ------------------------------------------------------------------ */

enum { M = 19, K = 133, N = 71, STACK = 2 };

/* What stands at row and column of a stack, in the forms that zero points and scales may have. */
typedef struct form {
    int a_rank, b_rank; /* of zero points: 0 scalar, 1 vector, 3 stack */
} form;

ParameterizedTestParameters(matmul_integer, subtracts_zero_points_of_rows_and_columns)
{
    static form rows[] = { { 0, 0 }, { 1, 1 }, { 3, 3 }, { 1, 0 }, { 0, 3 } };
    return cr_make_param_array(form, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(form *row, matmul_integer, subtracts_zero_points_of_rows_and_columns)
{
    static uint8_t a[STACK * M * K], za[STACK * M];
    static int8_t b[STACK * K * N], zb[STACK * N];
    static double wanted[STACK * M * N];
    static const int64_t a_dims[3] = { STACK, M, K }, b_dims[3] = { STACK, K, N };
    static const int64_t y_dims[3] = { STACK, M, N };
    const int64_t za_dims[3] = { row->a_rank == 3 ? STACK : M, M, 1 };
    const int64_t zb_dims[3] = { row->b_rank == 3 ? STACK : N, 1, N };
    running r = start(GRAPH("21",
                            "{'name': 'a', 'dtype': 'uint8'}, {'name': 'b', 'dtype': 'int8'},"
                            "{'name': 'za', 'dtype': 'uint8'}, {'name': 'zb', 'dtype': 'int8'}",
                            "'y'", "",
                            "{'op': 'MatMulInteger', 'inputs': ['a', 'b', 'za', 'zb'],"
                            " 'outputs': ['y']}"));
    fill_ints(TN_UINT8, a, STACK * M * K, 0, 255, 1);
    fill_ints(TN_INT8, b, STACK * K * N, -128, 127, 2);
    fill_ints(TN_UINT8, za, STACK * M, 0, 255, 3);
    fill_ints(TN_INT8, zb, STACK * N, -128, 127, 4);
    for (int s = 0; s < STACK; s++)
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                const int za_here = za[row->a_rank == 3 ? s * M + m : row->a_rank == 1 ? m : 0];
                const int zb_here = zb[row->b_rank == 3 ? s * N + n : row->b_rank == 1 ? n : 0];
                int64_t sum = 0;
                for (int k = 0; k < K; k++)
                    sum += (a[(s * M + m) * K + k] - za_here) * (b[(s * K + k) * N + n] - zb_here);
                wanted[(s * M + m) * N + n] = (double)sum;
            }
    give(&r, "a", TN_UINT8, 3, a_dims, a);
    give(&r, "b", TN_INT8, 3, b_dims, b);
    give(&r, "za", TN_UINT8, row->a_rank, za_dims, za);
    give(&r, "zb", TN_INT8, row->b_rank, zb_dims, zb);
    const tn_tensor *y = answer(&r);
    expect_shape(y, 3, y_dims);
    expect_elements(y, STACK * M * N, wanted, 0.0);
    stop(&r);
}

/* 40000 * 255 * 255 = 2601000000, which is -1693967296 modulo 2^32. */
Test(matmul_integer, overflows_in_32_bits_only)
{
    enum { LONG = 40000 };
    static uint8_t a[LONG];
    static const int64_t dims[1] = { LONG };
    running r = start(GRAPH("10",
                            "{'name': 'a', 'dtype': 'uint8', 'shape': ['K']},"
                            "{'name': 'b', 'dtype': 'uint8', 'shape': ['K']}",
                            "'y'", "",
                            "{'op': 'MatMulInteger', 'inputs': ['a', 'b'], 'outputs': ['y']}"));
    memset(a, 255, sizeof a);
    give(&r, "a", TN_UINT8, 1, dims, a);
    give(&r, "b", TN_UINT8, 1, dims, a);
    const tn_tensor *y = answer(&r);
    expect_shape(y, 0, NULL);
    expect_elements(y, 1, (const double[]){ -1693967296.0 }, 0.0);
    stop(&r);
}

Test(matmul_integer, of_no_depth_is_zero)
{
    static const int64_t a[2] = { 2, 0 }, b[2] = { 0, 3 }, y_dims[2] = { 2, 3 };
    running r = start(GRAPH("21",
                            "{'name': 'a', 'dtype': 'int8', 'shape': ['M', 'K']},"
                            "{'name': 'b', 'dtype': 'int8', 'shape': ['K', 3]}",
                            "'y'", "",
                            "{'op': 'MatMulInteger', 'inputs': ['a', 'b'], 'outputs': ['y']}"));
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[M,3]");
    give(&r, "a", TN_INT8, 2, a, "");
    give(&r, "b", TN_INT8, 2, b, "");
    const tn_tensor *y = answer(&r);
    expect_shape(y, 2, y_dims);
    expect_elements(y, 6, (const double[6]){ 0 }, 0.0);
    stop(&r);
}

#define MATMUL_INTEGER(a, b, za, zb)                                                               \
    GRAPH("21",                                                                                    \
          "{'name': 'a', 'dtype': 'int8', 'shape': " a "},"                                        \
          "{'name': 'b', 'dtype': 'int8', 'shape': " b "},"                                        \
          "{'name': 'za', 'dtype': 'int8', 'shape': " za "},"                                      \
          "{'name': 'zb', 'dtype': 'int8', 'shape': " zb "}",                                      \
          "'y'", "",                                                                               \
          "{'op': 'MatMulInteger', 'inputs': ['a', 'b', 'za', 'zb'], 'outputs': ['y']}")
Test(matmul_integer, says_what_does_not_fit)
{
    refuses(TN_ERR_SHAPE, "input 'B' has 4 rows, but input 'A' has 3 columns",
            MATMUL_INTEGER("[2, 3]", "[4, 5]", "[]", "[]"));
    refuses(TN_ERR_SHAPE, "input 'A' is a scalar: expected a vector, a matrix or more",
            MATMUL_INTEGER("[]", "[4, 5]", "[]", "[]"));
    refuses(TN_ERR_SHAPE,
            "input 'a_zero_point' has shape [3], but 'A' has [2,3]: expected a scalar or one "
            "element for each row",
            MATMUL_INTEGER("[2, 3]", "[3, 5]", "[3]", "[]"));
    refuses(TN_ERR_SHAPE,
            "input 'b_zero_point' has shape [5,1], but 'B' has [3,5]: expected a scalar or one "
            "element for each column",
            MATMUL_INTEGER("[2, 3]", "[3, 5]", "[]", "[5, 1]"));
}

typedef struct linear {
    char type[14];
    int opset;
    double wanted[4];
} linear;

/* a = [[1, 2], [3, 4]], b = [[1, 0.5 or 0], [2, 1]], zero points 0: see the formula. Scales: a 0.5
 * and 1 by row, b 1 and 2 by column, y 0.5. */
ParameterizedTestParameters(qlinear_matmul, scales_rows_and_columns)
{
    static linear rows[] = {
        { "int8", 10, { 5, 4, 22, 16 } },
        { "uint8", 21, { 5, 4, 22, 16 } },
        { "float8e4m3fn", 21, { 5, 4, 22, 16 } },
        { "float8e5m2", 21, { 5, 4, 24, 16 } }, /* 22 is no e5m2; 20 and 24 are: even mantissa */
    };
    return cr_make_param_array(linear, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(linear *row, qlinear_matmul, scales_rows_and_columns)
{
    running r = start(GRAPH("%d", "", "'y'",
                            "'a': {'dtype': '%s', 'shape': [2, 2], 'data': [1, 2, 3, 4]},"
                            "'b': {'dtype': '%s', 'shape': [2, 2], 'data': [1, 0, 2, 1]},"
                            "'sa': {'dtype': 'float32', 'shape': [2], 'data': [0.5, 1]},"
                            "'sb': {'dtype': 'float32', 'shape': [1, 2], 'data': [1, 2]},"
                            "'sy': {'dtype': 'float32', 'shape': [1], 'data': [0.5]},"
                            "'z': {'dtype': '%s', 'shape': [], 'data': [0]}",
                            "{'op': 'QLinearMatMul', 'inputs': ['a', 'sa', 'z', 'b', 'sb', 'z',"
                            " 'sy', 'z'], 'outputs': ['y']}"),
                      row->opset, row->type, row->type, row->type);
    expect_elements(answer(&r), 4, row->wanted, 0.0);
    stop(&r);
}

/* Quotients 0.5, 1.5, -0.5, 60 with zero point 1: rounding comes before the zero point. */
Test(qlinear_matmul, rounds_before_it_adds_the_zero_point)
{
    running r = start(GRAPH("21", "", "'y'",
                            "'a': {'dtype': 'int8', 'shape': [4, 1], 'data': [1, 3, -1, 120]},"
                            "'b': {'dtype': 'uint8', 'shape': [1], 'data': [1]},"
                            "'s': {'dtype': 'float32', 'shape': [], 'data': [0.5]},"
                            "'one': {'dtype': 'float32', 'shape': [], 'data': [1]},"
                            "'za': {'dtype': 'int8', 'shape': [], 'data': [0]},"
                            "'zb': {'dtype': 'uint8', 'shape': [], 'data': [0]},"
                            "'zy': {'dtype': 'uint8', 'shape': [], 'data': [1]}",
                            "{'op': 'QLinearMatMul', 'inputs': ['a', 's', 'za', 'b', 'one', 'zb',"
                            " 'one', 'zy'], 'outputs': ['y']}"));
    expect_elements(answer(&r), 4, (const double[]){ 1, 3, 1, 61 }, 0.0);
    stop(&r);
}

Test(qlinear_matmul, wants_one_scale_for_the_output)
{
    refuses(TN_ERR_SHAPE, "input 'y_scale' has shape [2]: expected a scalar",
            GRAPH("21", "", "'y'",
                  "'a': {'dtype': 'int8', 'shape': [1, 1], 'data': [1]},"
                  "'s': {'dtype': 'float32', 'shape': [], 'data': [1]},"
                  "'sy': {'dtype': 'float32', 'shape': [2], 'data': [1, 1]},"
                  "'z': {'dtype': 'int8', 'shape': [], 'data': [0]}",
                  "{'op': 'QLinearMatMul', 'inputs': ['a', 's', 'z', 'a', 's', 'z', 'sy', 'z'],"
                  " 'outputs': ['y']}"));
}

/* ---- ConvInteger, QLinearConv ------------------------------------------------------------------------ */

typedef struct shape {
    int spatial, group, stride, dilation, begin, end;
    char auto_pad[12];
} shape;

ParameterizedTestParameters(conv_integer, agrees_with_the_sum_written_out)
{
    static shape rows[] = {
        { 1, 1, 1, 1, 0, 0, "NOTSET" },     { 2, 1, 2, 1, 1, 2, "NOTSET" },
        { 2, 2, 1, 2, 2, 1, "NOTSET" },     { 3, 4, 2, 1, 1, 0, "NOTSET" },
        { 2, 1, 2, 1, 0, 0, "SAME_UPPER" }, { 2, 1, 2, 1, 0, 0, "SAME_LOWER" },
        { 2, 1, 1, 1, 0, 0, "VALID" },
    };
    return cr_make_param_array(shape, rows, sizeof rows / sizeof *rows);
}

enum { BATCH = 2, CHANNELS = 4, FILTERS = 20, SIDE = 8, TAPS = 3 };

/* Sum over all taps for one output element; positions and taps are odometers of `spatial` digits. */
static int64_t one_sum(const shape *s, int begin, const uint8_t *x, const int8_t *w, int zx, int zw,
                       int n, int m, const int *position)
{
    const int channels = CHANNELS / s->group, first = m / (FILTERS / s->group) * channels;
    int64_t sum = 0;
    int taps = 1;
    for (int d = 0; d < s->spatial; d++)
        taps *= TAPS;
    for (int c = 0; c < channels; c++)
        for (int t = 0; t < taps; t++) {
            int at = n * CHANNELS + first + c, inside = 1, rest = t, tap[3];
            for (int d = s->spatial - 1; d >= 0; d--, rest /= TAPS)
                tap[d] = rest % TAPS;
            for (int d = 0; d < s->spatial; d++) {
                const int here = position[d] * s->stride - begin + tap[d] * s->dilation;
                inside = inside && here >= 0 && here < SIDE;
                at = at * SIDE + here;
            }
            if (inside)
                sum += (x[at] - zx) * (w[(m * channels + c) * taps + t] - zw);
        }
    return sum;
}

static int output_side(const shape *s, int *begin)
{
    const int reach = (TAPS - 1) * s->dilation + 1;
    *begin = s->begin;
    if (s->auto_pad[0] != 'S')
        return (SIDE + s->begin + s->end - reach) / s->stride + 1;
    const int side = (SIDE + s->stride - 1) / s->stride;
    const int total = (side - 1) * s->stride + reach - SIDE;
    *begin = strcmp(s->auto_pad, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
    return side;
}

static void attributes(const shape *s, char *text, size_t bytes)
{
    char pads[64] = "", strides[32] = "", dilations[32] = "";
    for (int k = 0; k < 2 * s->spatial; k++)
        sprintf(pads + strlen(pads), "%s%d", k ? ", " : "", k < s->spatial ? s->begin : s->end);
    for (int k = 0; k < s->spatial; k++) {
        sprintf(strides + strlen(strides), "%s%d", k ? ", " : "", s->stride);
        sprintf(dilations + strlen(dilations), "%s%d", k ? ", " : "", s->dilation);
    }
    snprintf(text, bytes,
             "'group': %d, 'strides': [%s], 'dilations': [%s], 'auto_pad': '%s', 'pads': [%s]",
             s->group, strides, dilations, s->auto_pad, pads);
}

enum { VOLUME = BATCH * CHANNELS * SIDE * SIDE * SIDE, WEIGHTS = FILTERS * CHANNELS * 27 };
static uint8_t conv_x[VOLUME];
static int8_t conv_w[WEIGHTS], conv_zw[FILTERS];
static double conv_wanted[BATCH * FILTERS * 1000];

/* Fills x, w, the zero points of filters and the sums; answers how many sums. */
static int64_t prepare_conv(const shape *s, int64_t *x_dims, int64_t *w_dims)
{
    int begin, position[3];
    const int side = output_side(s, &begin);
    int64_t positions = 1;
    for (int d = 0; d < s->spatial; d++) {
        positions *= side;
        x_dims[d + 2] = SIDE;
        w_dims[d + 2] = TAPS;
    }
    x_dims[0] = BATCH, x_dims[1] = CHANNELS;
    w_dims[0] = FILTERS, w_dims[1] = CHANNELS / s->group;
    fill_ints(TN_UINT8, conv_x, VOLUME, 0, 255, 21);
    fill_ints(TN_INT8, conv_w, WEIGHTS, -128, 127, 22);
    fill_ints(TN_INT8, conv_zw, FILTERS, -5, 5, 23);
    for (int n = 0; n < BATCH; n++)
        for (int m = 0; m < FILTERS; m++)
            for (int64_t p = 0; p < positions; p++) {
                int64_t rest = p;
                for (int d = s->spatial - 1; d >= 0; d--, rest /= side)
                    position[d] = (int)(rest % side);
                conv_wanted[(n * FILTERS + m) * positions + p] = (double)one_sum(
                    s, begin, conv_x, conv_w, 100, conv_zw[m], n, m, position);
            }
    return BATCH * FILTERS * positions;
}

ParameterizedTest(shape *row, conv_integer, agrees_with_the_sum_written_out)
{
    int64_t x_dims[5], w_dims[5];
    const int64_t filters[1] = { FILTERS };
    char text[400];
    const int64_t count = prepare_conv(row, x_dims, w_dims);
    attributes(row, text, sizeof text);
    running r = start(GRAPH("10",
                            "{'name': 'x', 'dtype': 'uint8'}, {'name': 'w', 'dtype': 'int8'},"
                            "{'name': 'zw', 'dtype': 'int8'}",
                            "'y'", "'zx': {'dtype': 'uint8', 'shape': [], 'data': [100]}",
                            "{'op': 'ConvInteger', 'inputs': ['x', 'w', 'zx', 'zw'],"
                            " 'outputs': ['y'], 'attributes': {%s}}"),
                      text);
    give(&r, "x", TN_UINT8, row->spatial + 2, x_dims, conv_x);
    give(&r, "w", TN_INT8, row->spatial + 2, w_dims, conv_w);
    give(&r, "zw", TN_INT8, 1, filters, conv_zw);
    expect_elements(answer(&r), count, conv_wanted, 0.0);
    stop(&r);
}

Test(qlinear_conv, scales_and_biases_each_channel)
{
    static const shape s = { 2, 2, 1, 1, 1, 1, "NOTSET" };
    static float scales[FILTERS];
    static int32_t bias[FILTERS];
    int64_t x_dims[5], w_dims[5];
    const int64_t filters[1] = { FILTERS };
    const int64_t count = prepare_conv(&s, x_dims, w_dims), positions = count / BATCH / FILTERS;
    running r = start(GRAPH("21",
                            "{'name': 'x', 'dtype': 'uint8', 'shape': ['N', 4, 'H', 8]},"
                            "{'name': 'w', 'dtype': 'int8', 'shape': [20, 2, 3, 3]},"
                            "{'name': 'sw', 'dtype': 'float32', 'shape': [20]},"
                            "{'name': 'zw', 'dtype': 'int8', 'shape': [20]},"
                            "{'name': 'b', 'dtype': 'int32', 'shape': [20]}",
                            "'y'",
                            "'sx': {'dtype': 'float32', 'shape': [], 'data': [0.25]},"
                            "'zx': {'dtype': 'uint8', 'shape': [], 'data': [100]},"
                            "'sy': {'dtype': 'float32', 'shape': [], 'data': [8]},"
                            "'zy': {'dtype': 'int8', 'shape': [], 'data': [-3]}",
                            "{'op': 'QLinearConv', 'inputs': ['x', 'sx', 'zx', 'w', 'sw', 'zw',"
                            " 'sy', 'zy', 'b'], 'outputs': ['y'],"
                            " 'attributes': {'group': 2, 'pads': [1, 1, 1, 1]}}"));
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, "[N,20,H,8]");
    fill_ints(TN_INT32, bias, FILTERS, -5000, 5000, 25);
    for (int m = 0; m < FILTERS; m++)
        scales[m] = 0.01f + 0.05f * (float)m;
    for (int64_t k = 0; k < count; k++) {
        const int m = (int)(k / positions % FILTERS);
        const double q = (conv_wanted[k] + bias[m]) * (0.25 * (double)scales[m]) / 8.0;
        conv_wanted[k] = fmin(fmax(rint(q) - 3, -128), 127);
    }
    give(&r, "x", TN_UINT8, 4, x_dims, conv_x);
    give(&r, "w", TN_INT8, 4, w_dims, conv_w);
    give(&r, "sw", TN_FLOAT32, 1, filters, scales);
    give(&r, "zw", TN_INT8, 1, filters, conv_zw);
    give(&r, "b", TN_INT32, 1, filters, bias);
    expect_elements(answer(&r), count, conv_wanted, 0.0);
    stop(&r);
}

#define CONV_INTEGER(x, w, zx, zw, attributes)                                                     \
    GRAPH("10",                                                                                    \
          "{'name': 'x', 'dtype': 'int8', 'shape': " x "},"                                        \
          "{'name': 'w', 'dtype': 'int8', 'shape': " w "},"                                        \
          "{'name': 'zx', 'dtype': 'int8', 'shape': " zx "},"                                      \
          "{'name': 'zw', 'dtype': 'int8', 'shape': " zw "}",                                      \
          "'y'", "",                                                                               \
          "{'op': 'ConvInteger', 'inputs': ['x', 'w', 'zx', 'zw'], 'outputs': ['y'],"              \
          " 'attributes': {" attributes "}}")
Test(conv_integer, says_what_does_not_fit)
{
    refuses(TN_ERR_SHAPE,
            "input 'x' has rank 2: expected 3 or more (batch, channels, spatial axes)",
            CONV_INTEGER("[1, 2]", "[1, 2]", "[]", "[]", ""));
    refuses(TN_ERR_SHAPE, "input 'w' has rank 4, but input 'x' has rank 3: expected the same",
            CONV_INTEGER("[1, 2, 8]", "[1, 2, 3, 3]", "[]", "[]", ""));
    refuses(TN_ERR_SHAPE,
            "input 'w' has extent 3 along axis 1, but input 'x' has 2 channels in 1 groups: "
            "expected 2",
            CONV_INTEGER("[1, 2, 8]", "[1, 3, 3]", "[]", "[]", ""));
    refuses(TN_ERR_ATTRIBUTE, "group is 2, which does not divide 3 input channels",
            CONV_INTEGER("[1, 3, 8]", "[2, 1, 3]", "[]", "[]", "'group': 2"));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'group' holds 0: expected 1 or more",
            CONV_INTEGER("[1, 3, 8]", "[2, 1, 3]", "[]", "[]", "'group': 0"));
    refuses(TN_ERR_SHAPE, "input 'x_zero_point' has shape [3]: expected a scalar",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[3]", "[]", ""));
    refuses(TN_ERR_SHAPE,
            "input 'w_zero_point' has shape [3]: expected a scalar or one element for each output "
            "channel",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[3]", ""));
    refuses(TN_ERR_SHAPE,
            "input 'x' has extent 2 on axis 2, padded to 2: expected at least the reach of the "
            "kernel, 3",
            CONV_INTEGER("[1, 3, 2]", "[2, 3, 3]", "[]", "[]", ""));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'strides' has 2 entries: expected 1",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[]", "'strides': [1, 1]"));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'strides' holds 0: expected 1 to 2147483647",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[]", "'strides': [0]"));
    refuses(TN_ERR_ATTRIBUTE, "attribute 'kernel_shape' holds 2: expected the extents of input 'w'",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[]", "'kernel_shape': [2]"));
    refuses(
        TN_ERR_ATTRIBUTE,
        "attribute 'pads' pads although 'auto_pad' is VALID: expected one of the two",
        CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[]", "'auto_pad': 'VALID', 'pads': [1, 1]"));
    refuses(TN_ERR_ATTRIBUTE,
            "attribute 'auto_pad' is 'SAME': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
            CONV_INTEGER("[1, 3, 8]", "[2, 3, 3]", "[]", "[]", "'auto_pad': 'SAME'"));
}
