/* push_dequantize, recognize_qlinear_gemm: integers are moved instead of what they stand for, and multiplied
 * with a bias. Scales are powers of two and sums short: the answers must be the same to the bit. Reference
 * backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define ONLY "none,+push_dequantize"
#define DROPS "none,+push_dequantize,+drop_requantize"
#define SCALE "s float32[] = 0.25; z uint8[] = 128; e int8[] = 0; "
#define BOTH "f float32[2,2,4,4]"
#define FRONT "QuantizeLinear f s z -> q; DequantizeLinear q s z -> x; "

Test(push_dequantize, leaves_nothing_around_a_pool_and_a_flatten)
{
    rewritten(lines(BOTH, SCALE,
                    FRONT "MaxPool x -> p 'kernel_shape': [2, 2], 'strides': [2, 2]; "
                          "Flatten p -> r; QuantizeLinear r s z -> y; DequantizeLinear y s z -> u",
                    "u"),
              DROPS, 4, "p/MaxPool: uint8", "* y gives what was there before it was dequantized\n",
              0);
}

Test(push_dequantize, moves_bytes_where_nothing_quantizes_again)
{
    static const char *const movers[] = {
        "Transpose x -> y 'perm': [0, 2, 3, 1]",
        "Reshape x shape -> y",
        "Unsqueeze x one -> y",
        "Slice x one two one -> y",
        "Gather x one -> y",
        "Expand x wide -> y",
        "SpaceToDepth x -> y 'blocksize': 2",
        "Tile x twice -> y",
    };
    for (size_t k = 0; k < sizeof movers / sizeof *movers; k++) {
        char nodes[400];
        snprintf(nodes, sizeof nodes, FRONT "%s", movers[k]);
        rewritten(lines(BOTH,
                        SCALE "shape int64[2] = 2,-1; one int64[1] = 1; two int64[1] = 2; "
                              "wide int64[5] = 3,1,1,1,1; twice int64[4] = 1,1,2,1",
                        nodes, "y"),
                  ONLY, 3, "= DequantizeLinear y/DequantizeLinear(", "", 0);
    }
}

Test(push_dequantize, joins_what_has_one_scale)
{
    rewritten(lines(BOTH "; g float32[2,2,4,4]", SCALE,
                    FRONT "QuantizeLinear g s z -> h; DequantizeLinear h s z -> w; "
                          "Concat x w -> c 'axis': 1; QuantizeLinear c s z -> y; "
                          "DequantizeLinear y s z -> u",
                    "u"),
              DROPS, 4, "= Concat", "", 0);
    untouched(lines(BOTH "; g float32[2,2,4,4]", SCALE "t float32[] = 0.5",
                    FRONT "QuantizeLinear g t z -> h; DequantizeLinear h t z -> w; "
                          "Concat x w -> c 'axis': 1",
                    "c"),
              "push_dequantize", "- c: no move: what it joins has other scales or zero points\n");
}

/* All that int8 with zero point -128 stands for is at least 0, and at most 63.75. */
Test(push_dequantize, drops_a_relu_or_clip_that_cuts_nothing)
{
    static const char *const cuts[] = { "Relu x -> y", "Clip x zero six -> y", "Clip x -> y",
                                        "Clip x low -> y" };
    static const char *const constants =
        "s float32[] = 0.25; z int8[] = -128; zero float32[] = 0; six float32[] = 63.75; "
        "low float32[] = -3";
    for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
        char nodes[400];
        snprintf(nodes, sizeof nodes, FRONT "%s", cuts[k]);
        rewritten(lines(BOTH, constants, nodes, "y"), ONLY, 2, "= DequantizeLinear", "", 0);
    }
    untouched(lines(BOTH, "s float32[] = 0.25; z int8[] = -127; zero float32[] = 0",
                    FRONT "Relu x -> y", "y"),
              "push_dequantize", "");
    untouched(lines(BOTH,
                    "s float32[] = 0.25; z int8[] = -128; zero float32[] = 0; six float32[] = 6",
                    FRONT "Clip x zero six -> y", "y"),
              "push_dequantize", "");
}

Test(push_dequantize, adds_no_node_for_others)
{
    untouched(lines(BOTH, SCALE, FRONT "Flatten x -> y; Neg x -> n", "y n"), "push_dequantize",
              "- y: no move: what is dequantized is also read by others\n");
    rewritten(lines(BOTH, SCALE,
                    FRONT
                    "Flatten x -> r; QuantizeLinear r s z -> y; Cast y -> c 'to': 1; Neg x -> n",
                    "c n"),
              DROPS, 5, "= Flatten", "", 0);
}

Test(push_dequantize, leaves_what_it_cannot_move)
{
    static const char *const pass = "push_dequantize";
    untouched(lines(BOTH, SCALE, FRONT "MaxPool x -> y i 'kernel_shape': [2, 2]", "y i"), pass, "");
    untouched(lines(BOTH, SCALE, FRONT "AveragePool x -> y 'kernel_shape': [2, 2]", "y"), pass, "");
    untouched(lines("f float32[2,2,3]", "s float32[2] = 0.25,0.5; z uint8[2] = 3,4",
                    "QuantizeLinear f s z -> q 'axis': 1; DequantizeLinear q s z -> x 'axis': 1; "
                    "Flatten x -> y",
                    "y"),
              pass, "");
    /* a table of constants is dequantized once, when it is folded */
    untouched(lines("i int64[3]", "t int8[4,2] = 1,2,3,4,5,6,7,8; s float32[] = 0.5",
                    "DequantizeLinear t s -> x; Gather x i -> y", "y"),
              pass, "");
}

/* ---- a Gemm with a bias ------------------------------------------------------------------- */

#define GEMM_ONLY "none,+recognize_qlinear_gemm"
#define ROWS                                                                                       \
    "xs float32[] = 0.125; xz uint8[] = 100; ys float32[] = 0.5; yz uint8[] = 9; "                 \
    "ws float32[2] = 0.25,0.5; "
#define ROWS_IN "QuantizeLinear f xs xz -> q; DequantizeLinear q xs xz -> x; "

Test(recognize_qlinear_gemm, takes_either_way_of_the_matrix)
{
    static const char *const turned[] = {
        "w int8[2,3] = 1,-2,3,-4,5,60; b int32[2] = 3,-400; bs float32[2] = 0.03125,0.0625",
        "w int8[3,2] = 1,-4,-2,5,3,60; b int32[2] = 3,-400; bs float32[2] = 0.03125,0.0625",
    };
    for (int k = 0; k < 2; k++) {
        char constants[600], nodes[600];
        snprintf(constants, sizeof constants, ROWS "%s", turned[k]);
        snprintf(nodes, sizeof nodes,
                 ROWS_IN
                 "DequantizeLinear w ws -> v 'axis': %d; DequantizeLinear b bs -> c 'axis': 0; "
                 "Gemm x v c -> s 'transB': %d; QuantizeLinear s ys yz -> y; "
                 "DequantizeLinear y ys yz -> u",
                 k, !k);
        rewritten(lines("f float32['N',3]", constants, nodes, "u"), GEMM_ONLY, 6 + (uint64_t)k,
                  "= QLinearConv y/QLinearConv(", "* 5 nodes up to y are one QLinearConv\n", 0);
    }
}

Test(recognize_qlinear_gemm, leaves_factors_and_what_it_has_no_place_for)
{
    static const char *const pass = "recognize_qlinear_gemm";
    static const char *const constants = ROWS
        "w int8[3,2] = 1,-4,-2,5,3,60; b float32[2] = 0.5,1; d float32[3,2] = 1,2,3,4,5,6";
#define GEMM_OF(c, attributes)                                                                     \
    ROWS_IN "DequantizeLinear w ws -> v 'axis': 1; Gemm x v " c " -> s " attributes                \
            "; QuantizeLinear s ys yz -> y; DequantizeLinear y ys yz -> u"
    untouched(lines("f float32[3,3]", constants, GEMM_OF("b", "'alpha': 2.0"), "u"), pass,
              "- y: no QLinearConv: Gemm turns its first matrix or has a factor\n");
    untouched(lines("f float32[3,3]", constants, GEMM_OF("b", "'beta': 2.0"), "u"), pass,
              "- y: no QLinearConv: Gemm turns its first matrix or has a factor\n");
    untouched(lines("f float32[5,3]", constants, GEMM_OF("b", ""), "u"), pass,
              "- y: no QLinearConv: 5 rows are multiplied as fast in floats\n");
    untouched(lines("f float32[3,3]", constants, GEMM_OF("d", ""), "u"), pass,
              "- y: no QLinearConv: its bias is no constant that no run replaces\n");
}
