/* Operators that move elements: what ONNX's own data does not reach. Values by numpy or by hand.
 *
 * SPDX-License-Identifier: MIT */
#include "case.h"

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        static const one_case cases[] = { __VA_ARGS__ };                                           \
        check_cases(cases, sizeof cases / sizeof *cases);                                          \
    } while (0)

/* ---- GatherElements, ScatterElements, Scatter ---------------------------------------------- */

Test(gather_elements, reads_shorter_indices_of_every_width)
{
    CHECK({ "GatherElements",
            "\"axis\": 1",
            13,
            { { "int8", "[2,3]", "[1,2,3,4,5,6]" }, { "int32", "[1,2]", "[2,-3]" } },
            { { "int8", "[1,2]", "[3,1]" } } },
          { "GatherElements",
            "\"axis\": 0",
            11,
            { { "float64", "[2,2,2]", "[0,1,2,3,4,5,6,7]" }, { "int64", "[1,1,2]", "[1,0]" } },
            { { "float64", "[1,1,2]", "[4,1]" } } },
          { "GatherElements",
            "\"axis\": 0",
            13,
            { { "string", "[3]", "[\"a\",\"bc\",\"\"]" }, { "int64", "[2]", "[-1,1]" } },
            { { "string", "[2]", "[\"\",\"bc\"]" } } },
          { "GatherElements",
            "",
            13,
            { { "float16", "[2]", "[1.5,2.5]" }, { "int64", "[0]", "[]" } },
            { { "float16", "[0]", "[]" } } });
}

Test(scatter_elements, reduces_every_kind_of_number)
{
    CHECK({ "ScatterElements",
            "\"reduction\": \"add\"",
            18,
            { { "uint8", "[3]", "[250,1,2]" },
              { "int64", "[3]", "[0,0,-1]" },
              { "uint8", "[3]", "[4,3,7]" } },
            { { "uint8", "[3]", "[1,1,9]" } } },
          { "ScatterElements",
            "\"reduction\": \"mul\"",
            18,
            { { "float16", "[2]", "[3,5]" },
              { "int32", "[2]", "[1,1]" },
              { "float16", "[2]", "[0.5,0.5]" } },
            { { "float16", "[2]", "[3,1.25]" } } },
          { "ScatterElements",
            "\"reduction\": \"max\"",
            18,
            { { "uint64", "[1]", "[\"18446744073709551615\"]" },
              { "int64", "[1]", "[0]" },
              { "uint64", "[1]", "[1]" } },
            { { "uint64", "[1]", "[\"18446744073709551615\"]" } } },
          { "ScatterElements",
            "\"reduction\": \"min\"",
            18,
            { { "int32", "[1]", "[5]" }, { "int64", "[1]", "[0]" }, { "int32", "[1]", "[-6]" } },
            { { "int32", "[1]", "[-6]" } } },
          { "ScatterElements",
            "\"reduction\": \"add\"",
            18,
            { { "bool", "[2]", "[false,true]" },
              { "int64", "[2]", "[0,1]" },
              { "bool", "[2]", "[true,true]" } },
            { { "bool", "[2]", "[true,true]" } } },
          { "ScatterElements",
            "\"axis\": 1",
            18,
            { { "string", "[1,2]", "[\"x\",\"y\"]" },
              { "int64", "[1,1]", "[-1]" },
              { "string", "[1,1]", "[\"long\"]" } },
            { { "string", "[1,2]", "[\"x\",\"long\"]" } } },
          { "ScatterElements",
            "\"axis\": 0",
            18, /* shorter on the other axis */
            { { "int16", "[2,3]", "[0,0,0,0,0,0]" },
              { "int64", "[1,2]", "[1,0]" },
              { "int16", "[1,2]", "[7,8]" } },
            { { "int16", "[2,3]", "[0,8,0,7,0,0]" } } });
}

Test(scatter_elements, nothing_to_write_leaves_the_data)
{
    CHECK({ "ScatterElements",
            "",
            18,
            { { "float32", "[2]", "[1,2]" }, { "int64", "[0]", "[]" }, { "float32", "[0]", "[]" } },
            { { "float32", "[2]", "[1,2]" } } });
}

Test(scatter, is_scatter_elements_by_its_first_name)
{
    CHECK(
        { "Scatter",
          "\"axis\": 1",
          9,
          { { "float32", "[1,5]", "[1,2,3,4,5]" },
            { "int64", "[1,2]", "[1,3]" },
            { "float32", "[1,2]", "[1.5,2.5]" } },
          { { "float32", "[1,5]", "[1,1.5,3,2.5,5]" } } },
        { "Scatter",
          "",
          11,
          { { "float32", "[2]", "[1,2]" }, { "int64", "[1]", "[1]" }, { "float32", "[1]", "[9]" } },
          { { "float32", "[2]", "[1,9]" } } });
}

Test(scatter_elements, complains_word_for_word)
{
    static const one_case outside = { "ScatterElements",
                                      "\"axis\": 1",
                                      18,
                                      { { "float32", "[1,2]", "[1,2]" },
                                        { "int64", "[1,1]", "[2]" },
                                        { "float32", "[1,1]", "[0]" } },
                                      { { "float32", "[1,2]", "[1,2]" } } };
    static const one_case text = { "ScatterElements",
                                   "\"reduction\": \"add\"",
                                   18,
                                   { { "string", "[1]", "[\"a\"]" },
                                     { "int64", "[1]", "[0]" },
                                     { "string", "[1]", "[\"b\"]" } },
                                   { { "string", "[1]", "[\"a\"]" } } };
    static const one_case mode = {
        "ScatterElements",
        "\"reduction\": \"sub\"",
        18,
        { { "float32", "[1]", "[1]" }, { "int64", "[1]", "[0]" }, { "float32", "[1]", "[1]" } },
        { { "float32", "[1]", "[1]" } }
    };
    static const one_case shape = {
        "ScatterElements",
        "",
        18,
        { { "float32", "[2]", "[1,2]" }, { "int64", "[2]", "[0,1]" }, { "float32", "[1]", "[1]" } },
        { { "float32", "[2]", "[1,2]" } }
    };
    expect_complaint(
        &outside,
        "node 'n' (ScatterElements): indices[0] is 2, outside [-2, 2) of axis 1 of input 'data'");
    expect_failure(&outside, "node 'n' (ScatterElements): indices[0] is 2, outside [-2, 2)");
    expect_complaint(
        &text, "node 'n' (ScatterElements): reduction 'add' is not defined for string elements");
    expect_complaint(
        &mode,
        "node 'n' (ScatterElements): reduction is 'sub': expected none, add, mul, max or min");
    expect_complaint(
        &shape,
        "node 'n' (ScatterElements): input 'updates' has extent 1 on axis 0: expected 2 as in 'indices'");
}

/* ---- GatherND, ScatterND ------------------------------------------------------------------- */

Test(gather_nd, takes_slices_and_batches)
{
    CHECK({ "GatherND",
            "\"batch_dims\": 1",
            13,
            { { "int32", "[2,2,2]", "[0,1,2,3,4,5,6,7]" }, { "int64", "[2,1]", "[-1,0]" } },
            { { "int32", "[2,2]", "[2,3,4,5]" } } },
          { "GatherND",
            "",
            11,
            { { "string", "[2,2]", "[\"a\",\"b\",\"c\",\"d\"]" }, { "int64", "[1,2]", "[1,0]" } },
            { { "string", "[1]", "[\"c\"]" } } },
          { "GatherND",
            "",
            13,
            { { "float32", "[2,0]", "[]" }, { "int64", "[1,1]", "[1]" } },
            { { "float32", "[1,0]", "[]" } } });
}

Test(scatter_nd, updates_one_place_several_times_in_order)
{
    CHECK({ "ScatterND",
            "",
            11,
            { { "int64", "[3]", "[1,2,3]" },
              { "int64", "[3,1]", "[1,1,-1]" },
              { "int64", "[3]", "[7,8,9]" } },
            { { "int64", "[3]", "[1,8,9]" } } },
          { "ScatterND",
            "\"reduction\": \"mul\"",
            18,
            { { "int64", "[2,2]", "[1,2,3,4]" },
              { "int64", "[2,1]", "[1,1]" },
              { "int64", "[2,2]", "[2,2,5,3]" } },
            { { "int64", "[2,2]", "[1,2,30,24]" } } });
}

Test(gather_nd, complains_word_for_word)
{
    static const one_case outside = { "GatherND",
                                      "",
                                      13,
                                      { { "float32", "[2,2]", "[1,2,3,4]" },
                                        { "int64", "[1,2]", "[0,2]" } },
                                      { { "float32", "[1]", "[0]" } } };
    static const one_case length = { "GatherND",
                                     "",
                                     13,
                                     { { "float32", "[2]", "[1,2]" },
                                       { "int64", "[1,2]", "[0,1]" } },
                                     { { "float32", "[1]", "[0]" } } };
    static const one_case batch = { "GatherND",
                                    "\"batch_dims\": 1",
                                    13,
                                    { { "float32", "[2]", "[1,2]" },
                                      { "int64", "[2,1]", "[0,1]" } },
                                    { { "float32", "[1]", "[0]" } } };
    expect_failure(&outside, "node 'n' (GatherND): indices[1] is 2, outside [-2, 2)");
    expect_complaint(
        &length,
        "node 'n' (GatherND): the last extent of input 'indices' is 2: expected 1 to 1, the axes of 'data'");
    expect_complaint(
        &batch,
        "node 'n' (GatherND): batch_dims is 1: expected at least 0 and less than the ranks 1 and 2");
}

/* ---- TensorScatter ------------------------------------------------------------------------- */

Test(tensor_scatter, goes_round_and_packs)
{
    CHECK({ "TensorScatter",
            "\"mode\": \"circular\", \"axis\": 1",
            24,
            { { "float32", "[2,3,1]", "[0,0,0,0,0,0]" },
              { "float32", "[2,2,1]", "[1,2,3,4]" },
              { "int64", "[2]", "[2,-3]" } },
            { { "float32", "[2,3,1]", "[2,0,1,3,4,0]" } } },
          { "TensorScatter",
            "",
            24, /* 4-bit rows of 3 elements begin within a byte */
            { { "int4", "[1,3,3]", "[0,1,2,3,4,5,6,7,-8]" },
              { "int4", "[1,1,3]", "[-1,-2,-3]" },
              { "int64", "[1]", "[1]" } },
            { { "int4", "[1,3,3]", "[0,1,2,-1,-2,-3,6,7,-8]" } } },
          { "TensorScatter",
            "\"axis\": -1",
            24,
            { { "string", "[1,2]", "[\"a\",\"b\"]" }, { "string", "[1,1]", "[\"c\"]" } },
            { { "string", "[1,2]", "[\"c\",\"b\"]" } } });
}

Test(tensor_scatter, complains_word_for_word)
{
    static const one_case full = { "TensorScatter",
                                   "\"axis\": 1",
                                   24,
                                   { { "float32", "[1,3]", "[0,0,0]" },
                                     { "float32", "[1,2]", "[1,2]" },
                                     { "int64", "[1]", "[2]" } },
                                   { { "float32", "[1,3]", "[0,0,0]" } } };
    static const one_case batch = { "TensorScatter",
                                    "\"axis\": 0",
                                    24,
                                    { { "float32", "[1,3]", "[0,0,0]" },
                                      { "float32", "[1,3]", "[1,2,3]" } },
                                    { { "float32", "[1,3]", "[0,0,0]" } } };
    static const one_case room = { "TensorScatter",
                                   "\"axis\": 1",
                                   24,
                                   { { "float32", "[1,1]", "[0]" },
                                     { "float32", "[1,2]", "[1,2]" } },
                                   { { "float32", "[1,1]", "[0]" } } };
    expect_failure(
        &full,
        "node 'n' (TensorScatter): write_indices[0] is 2: expected 0 to 1, so that 2 rows fit into 3");
    expect_complaint(&batch,
                     "node 'n' (TensorScatter): axis is 0, the batch: expected one behind it");
    expect_complaint(
        &room,
        "node 'n' (TensorScatter): input 'update' has extent 2 on axis 1: expected at most 1 as in 'past_cache'");
}

/* ---- Tile, Trilu, blocks, sequences ---------------------------------------------------------- */

Test(tile, repeats_runs_single_elements_and_nothing)
{
    CHECK({ "Tile",
            "",
            13,
            { { "int8", "[2,1]", "[1,2]" }, { "int64", "[2]", "[2,3]" } },
            { { "int8", "[4,3]", "[1,1,1,2,2,2,1,1,1,2,2,2]" } } },
          { "Tile",
            "",
            6,
            { { "float32", "[1,2,2]", "[1,2,3,4]" }, { "int64", "[3]", "[1,2,1]" } },
            { { "float32", "[1,4,2]", "[1,2,3,4,1,2,3,4]" } } },
          { "Tile",
            "",
            13,
            { { "float32", "[2]", "[1,2]" }, { "int64", "[1]", "[0]" } },
            { { "float32", "[0]", "[]" } } },
          { "Tile",
            "",
            13,
            { { "float32", "[]", "[5]" }, { "int64", "[0]", "[]" } },
            { { "float32", "[]", "[5]" } } });
}

Test(tile, of_set_1_names_an_axis)
{
    CHECK({ "Tile",
            "",
            1,
            { { "float32", "[2,2]", "[1,2,3,4]" },
              { "float32", "[]", "[2]" },
              { "float32", "[]", "[1]" } },
            { { "float32", "[2,4]", "[1,2,1,2,3,4,3,4]" } } },
          { "Tile",
            "",
            5,
            { { "float32", "[2,2]", "[1,2,3,4]" },
              { "int64", "[1]", "[2]" },
              { "int64", "[1]", "[0]" } },
            { { "float32", "[4,2]", "[1,2,3,4,1,2,3,4]" } } });
}

Test(trilu, of_strings_and_far_diagonals)
{
    CHECK({ "Trilu",
            "",
            14,
            { { "string", "[2,2]", "[\"a\",\"b\",\"c\",\"d\"]" } },
            { { "string", "[2,2]", "[\"a\",\"b\",\"\",\"d\"]" } } },
          { "Trilu",
            "\"upper\": 0",
            14,
            { { "int32", "[2,2,2]", "[1,2,3,4,5,6,7,8]" }, { "int64", "[]", "[-1]" } },
            { { "int32", "[2,2,2]", "[0,0,3,0,0,0,7,0]" } } },
          { "Trilu",
            "\"upper\": 1",
            14,
            { { "int32", "[2,2]", "[1,2,3,4]" }, { "int64", "[1]", "[\"-9223372036854775808\"]" } },
            { { "int32", "[2,2]", "[1,2,3,4]" } } },
          { "Trilu",
            "\"upper\": 0",
            14,
            { { "int32", "[2,2]", "[1,2,3,4]" }, { "int64", "[1]", "[\"9223372036854775807\"]" } },
            { { "int32", "[2,2]", "[1,2,3,4]" } } });
}

Test(blocks, of_set_1_are_blocks_before_channels)
{
    CHECK({ "DepthToSpace",
            "\"blocksize\": 2",
            1,
            { { "float32", "[1,8,1,1]", "[0,1,2,3,4,5,6,7]" } },
            { { "float32", "[1,2,2,2]", "[0,2,4,6,1,3,5,7]" } } },
          { "DepthToSpace",
            "\"blocksize\": 2, \"mode\": \"CRD\"",
            13,
            { { "string", "[1,4,1,1]", "[\"a\",\"b\",\"c\",\"d\"]" } },
            { { "string", "[1,1,2,2]", "[\"a\",\"b\",\"c\",\"d\"]" } } },
          { "SpaceToDepth",
            "\"blocksize\": 2",
            1,
            { { "float32", "[1,2,2,2]", "[0,2,4,6,1,3,5,7]" } },
            { { "float32", "[1,8,1,1]", "[0,1,2,3,4,5,6,7]" } } });
}

Test(blocks, complain_word_for_word)
{
    static const one_case channels = { "DepthToSpace",
                                       "\"blocksize\": 2",
                                       13,
                                       { { "float32", "[1,2,1,1]", "[0,1]" } },
                                       { { "float32", "[1,2,1,1]", "[0,1]" } } };
    static const one_case rows = { "SpaceToDepth",
                                   "\"blocksize\": 2",
                                   13,
                                   { { "float32", "[1,1,1,2]", "[0,1]" } },
                                   { { "float32", "[1,2,1,1]", "[0,1]" } } };
    expect_complaint(
        &channels,
        "node 'n' (DepthToSpace): input 'input' has 2 channels: expected a multiple of 4");
    expect_complaint(&rows,
                     "node 'n' (SpaceToDepth): input 'input' has 1 rows: expected a multiple of 2");
}

Test(reverse_sequence, keeps_what_is_behind_and_may_be_empty)
{
    CHECK({ "ReverseSequence",
            "\"batch_axis\": 0, \"time_axis\": 1",
            10,
            { { "string", "[2,3]", "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]" },
              { "int64", "[2]", "[0,2]" } },
            { { "string", "[2,3]", "[\"a\",\"b\",\"c\",\"e\",\"d\",\"f\"]" } } });
    static const one_case outside = { "ReverseSequence",
                                      "",
                                      10,
                                      { { "float32", "[2,1]", "[1,2]" },
                                        { "int64", "[1]", "[3]" } },
                                      { { "float32", "[2,1]", "[1,2]" } } };
    expect_failure(&outside, "node 'n' (ReverseSequence): sequence_lens[0] is 3: expected 0 to 2");
}

/* ---- CenterCropPad, Col2Im, EyeLike, OneHot --------------------------------------------------- */

Test(center_crop_pad, has_the_odd_element_at_the_end)
{
    CHECK({ "CenterCropPad",
            "",
            18,
            { { "int32", "[4,1]", "[1,2,3,4]" }, { "int32", "[2]", "[1,4]" } },
            { { "int32", "[1,4]", "[0,2,0,0]" } } },
          { "CenterCropPad",
            "\"axes\": [-1]",
            18,
            { { "string", "[1,1]", "[\"a\"]" }, { "int64", "[1]", "[2]" } },
            { { "string", "[1,2]", "[\"a\",\"\"]" } } });
}

Test(col2im, sums_exactly_in_one_and_three_dimensions)
{
    CHECK({ "Col2Im",
            "",
            18, /* blocks [0,1] [1,2] on three pixels */
            { { "int8", "[1,2,2]", "[1,2,3,4]" },
              { "int64", "[1]", "[3]" },
              { "int64", "[1]", "[2]" } },
            { { "int8", "[1,1,3]", "[1,5,4]" } } },
          { "Col2Im",
            "\"strides\": [2], \"dilations\": [2], \"pads\": [1, 0]",
            18,
            { { "float32", "[1,2,1]", "[1,2]" },
              { "int64", "[1]", "[2]" },
              { "int64", "[1]", "[2]" } },
            { { "float32", "[1,1,2]", "[0,2]" } } });
    static const one_case text = { "Col2Im",
                                   "",
                                   18,
                                   { { "string", "[1,1,1]", "[\"a\"]" },
                                     { "int64", "[1]", "[1]" },
                                     { "int64", "[1]", "[1]" } },
                                   { { "string", "[1,1,1]", "[\"a\"]" } } };
    expect_complaint(&text,
                     "node 'n' (Col2Im): input 'input' has string elements, which have no sum");
}

Test(eye_like, of_every_kind)
{
    CHECK({ "EyeLike",
            "\"dtype\": 16, \"k\": -1",
            22,
            { { "int32", "[2,3]", "[0,0,0,0,0,0]" } },
            { { "bfloat16", "[2,3]", "[0,0,0,1,0,0]" } } },
          { "EyeLike",
            "\"k\": 3",
            9,
            { { "bool", "[2,3]", "[true,true,true,true,true,true]" } },
            { { "bool", "[2,3]", "[false,false,false,false,false,false]" } } });
    static const one_case text = { "EyeLike",
                                   "\"dtype\": 8",
                                   22,
                                   { { "int32", "[1,1]", "[0]" } },
                                   { { "int32", "[1,1]", "[1]" } } };
    expect_complaint(&text,
                     "node 'n' (EyeLike): dtype is 8: expected a real, integer or bool type");
}

Test(one_hot, of_set_9_has_no_place_for_negative_indices)
{
    CHECK({ "OneHot",
            "",
            9,
            { { "int64", "[3]", "[1,-1,3]" },
              { "int64", "[1]", "[2]" },
              { "float32", "[2]", "[2,5]" } },
            { { "float32", "[3,2]", "[2,5,2,2,2,2]" } } },
          { "OneHot",
            "",
            11,
            { { "int64", "[3]", "[1,-1,3]" },
              { "int64", "[1]", "[2]" },
              { "float32", "[2]", "[2,5]" } },
            { { "float32", "[3,2]", "[2,5,2,5,2,2]" } } },
          { "OneHot",
            "\"axis\": 0",
            11,
            { { "float32", "[]", "[1.9]" },
              { "float64", "[]", "[2.5]" },
              { "string", "[2]", "[\"no\",\"yes\"]" } },
            { { "string", "[2]", "[\"no\",\"yes\"]" } } },
          { "OneHot",
            "",
            11,
            { { "uint64", "[1]", "[\"18446744073709551615\"]" },
              { "int32", "[]", "[2]" },
              { "bool", "[2]", "[false,true]" } },
            { { "bool", "[1,2]", "[false,false]" } } });
}

/* ---- small types through the operators that were there before --------------------------------- */

Test(small_types, keep_their_bits)
{
    CHECK(
        { "Reshape",
          "",
          25,
          { { "int2", "[5]", "[-2,-1,0,1,1]" }, { "int64", "[2]", "[5,-1]" } },
          { { "int2", "[5,1]", "[-2,-1,0,1,1]" } } },
        { "Reshape",
          "\"allowzero\": 1",
          25,
          { { "float4e2m1", "[0,3]", "[]" }, { "int64", "[2]", "[3,0]" } },
          { { "float4e2m1", "[3,0]", "[]" } } },
        { "Transpose",
          "",
          25,
          { { "uint2", "[2,3]", "[0,1,2,3,2,1]" } },
          { { "uint2", "[3,2]", "[0,3,1,2,2,1]" } } },
        { "Squeeze",
          "",
          25,
          { { "uint4", "[1,3]", "[15,0,7]" }, { "int64", "[1]", "[0]" } },
          { { "uint4", "[3]", "[15,0,7]" } } },
        { "Unsqueeze",
          "",
          25,
          { { "float8e4m3fn", "[2]", "[1.5,-448]" }, { "int64", "[1]", "[-1]" } },
          { { "float8e4m3fn", "[2,1]", "[1.5,-448]" } } },
        { "Flatten",
          "\"axis\": 0",
          25,
          { { "float8e8m0", "[3]", "[1,2,0.5]" } },
          { { "float8e8m0", "[1,3]", "[1,2,0.5]" } } },
        { "Identity",
          "",
          25,
          { { "float8e5m2", "[1]", "[\"Infinity\"]" } },
          { { "float8e5m2", "[1]", "[\"Infinity\"]" } } },
        { "Pad",
          "\"mode\": \"wrap\"",
          25,
          { { "int4", "[3]", "[-8,1,7]" },
            { "int64", "[2]", "[4,2]" },
            { NULL, NULL, NULL },
            { "int64", "[1]", "[-1]" } },
          { { "int4", "[9]", "[7,-8,1,7,-8,1,7,-8,1]" } } },
        { "Shape",
          "\"start\": -1",
          25,
          { { "int2", "[2,3]", "[0,1,0,1,0,1]" } },
          { { "int64", "[1]", "[3]" } } },
        { "Size", "", 25, { { "uint4", "[2,3]", "[0,1,0,1,0,1]" } }, { { "int64", "[]", "[6]" } } },
        { "Size", "", 1, { { "string", "[0,3]", "[]" } }, { { "int64", "[]", "[0]" } } });
}

Test(constants, of_every_attribute)
{
    CHECK(
        { "Constant", "\"value_float\": 1.5", 25, { { 0 } }, { { "float32", "[]", "[1.5]" } } },
        { "Constant",
          "\"value_floats\": [1.5, 2]",
          25,
          { { 0 } },
          { { "float32", "[2]", "[1.5,2]" } } },
        { "Constant", "\"value_int\": -3", 13, { { 0 } }, { { "int64", "[]", "[-3]" } } },
        { "Constant", "\"value_ints\": []", 25, { { 0 } }, { { "int64", "[0]", "[]" } } },
        { "Constant", "\"value_string\": \"a\"", 25, { { 0 } }, { { "string", "[]", "[\"a\"]" } } },
        { "Constant",
          "\"value_strings\": [\"a\", \"\"]",
          25,
          { { 0 } },
          { { "string", "[2]", "[\"a\",\"\"]" } } },
        { "Constant",
          "\"value\": {\"tensor\": {\"dtype\": \"int2\", \"shape\": [3], \"data\": [1, -2, -1]}}",
          25,
          { { 0 } },
          { { "int2", "[3]", "[1,-2,-1]" } } },
        { "ConstantOfShape",
          "\"value\": {\"tensor\": {\"dtype\": \"float4e2m1\", \"shape\": [1], \"data\": [-6]}}",
          25,
          { { "int64", "[1]", "[3]" } },
          { { "float4e2m1", "[3]", "[-6,-6,-6]" } } },
        { "ConstantOfShape",
          "\"value\": {\"tensor\": {\"dtype\": \"uint2\", \"shape\": [1], \"data\": [3]}}",
          25,
          { { "int64", "[1]", "[5]" } },
          { { "uint2", "[5]", "[3,3,3,3,3]" } } },
        { "ConstantOfShape",
          "\"value\": {\"tensor\": {\"dtype\": \"float8e5m2fnuz\", \"shape\": [1], \"data\": [2]}}",
          25,
          { { "int64", "[0]", "[]" } },
          { { "float8e5m2fnuz", "[]", "[2]" } } });
}

/* ---- shapes with symbols ---------------------------------------------------------------------- */

static void expect_shape(const char *inputs, const char *constants, const char *nodes,
                         const char *shape)
{
    char text[CASE_TEXT];
    snprintf(
        text, sizeof text,
        "{\"tenon\": 1, \"opset\": 25, \"inputs\": [%s], \"outputs\": [\"y\"], \"constants\": {%s}, "
        "\"nodes\": [%s]}",
        inputs, constants, nodes);
    fixture f = open_text(text);
    tn_session *session = make_session(&f, "reference", "none", 1, 0);
    cr_expect_str_eq(tn_session_output(session, 0)->shape, shape);
    tn_session_destroy(session);
    close_fixture(&f);
}

#define X(shape) "{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": " shape "}"
#define I(shape) ", {\"name\": \"i\", \"dtype\": \"int64\", \"shape\": " shape "}"
#define NODE(op, in, attributes)                                                                   \
    "{\"op\": \"" op "\", \"inputs\": [" in                                                        \
    "], \"outputs\": [\"y\"], \"attributes\": {" attributes "}}"

Test(symbols, go_through_the_operators)
{
    expect_shape(X("[\"N\",8,\"H\",4]"), "", NODE("DepthToSpace", "\"x\"", "\"blocksize\": 2"),
                 "[N,2,H*2,8]");
    expect_shape(X("[\"N\",3,\"H\",4]"), "", NODE("SpaceToDepth", "\"x\"", "\"blocksize\": 2"),
                 "[N,12,floordiv(H,2),2]");
    expect_shape(X("[\"N\",3]"), "\"r\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [2,1]}",
                 NODE("Tile", "\"x\", \"r\"", ""), "[N*2,3]");
    expect_shape(X("[\"N\",3,5]") I("[\"N\",\"M\",1]"), "",
                 NODE("GatherND", "\"x\", \"i\"", "\"batch_dims\": 1"), "[N,M,5]");
    expect_shape(X("[\"N\",3]") I("[\"M\",2]"), "", NODE("GatherElements", "\"x\", \"i\"", ""),
                 "[M,2]");
    expect_shape(X("[2]") I("[\"N\"]"),
                 "\"d\": {\"dtype\": \"int64\", \"shape\": [], \"data\": [7]}",
                 NODE("OneHot", "\"i\", \"d\", \"x\"", "\"axis\": 0"), "[7,N]");
}

/* A vector of extents with one replaced is a shape with symbols. */
Test(symbols, stay_in_scattered_and_gathered_extents)
{
    expect_shape(
        X("[\"N\",3]"),
        "\"at\": {\"dtype\": \"int64\", \"shape\": [1], \"data\": [1]}, \"as\": {\"dtype\": "
        "\"int64\", \"shape\": [1], \"data\": [5]}",
        "{\"op\": \"Shape\", \"inputs\": [\"x\"], \"outputs\": [\"s\"]}, {\"op\": "
        "\"ScatterElements\", \"inputs\": [\"s\", \"at\", \"as\"], \"outputs\": [\"t\"]}, "
        "{\"op\": \"ConstantOfShape\", \"inputs\": [\"t\"], \"outputs\": [\"y\"]}",
        "[N,5]");
    expect_shape(X("[\"N\",3]"), "\"at\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [-1,0]}",
                 "{\"op\": \"Shape\", \"inputs\": [\"x\"], \"outputs\": [\"s\"]}, {\"op\": "
                 "\"GatherElements\", \"inputs\": [\"s\", \"at\"], \"outputs\": [\"t\"]}, "
                 "{\"op\": \"ConstantOfShape\", \"inputs\": [\"t\"], \"outputs\": [\"y\"]}",
                 "[3,N]");
}
