/* recognize_qlinear_conv, recognize_qlinear_matmul: convolutions and products of dequantized tensors
 * become those of integers. Scales are powers of two and sums short, so that the floats of the written
 * out form are exact, too: the answers must be the same to the bit. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define CONV_ONLY "none,+recognize_qlinear_conv"
#define MATMUL_ONLY "none,+recognize_qlinear_matmul"

/* x is quantized in front and y dequantized behind, so that floats go in and come out: two nodes. */
#define IN_FRONT "QuantizeLinear f xs xz -> q; DequantizeLinear q xs xz -> x; "
#define BEHIND "; DequantizeLinear y ys yz -> z"
#define SCALES(x_zero, y_zero)                                                                     \
    "xs float32[] = 0.125; xz " x_zero "; ys float32[] = 0.5; yz " y_zero "; "
#define WEIGHTS                                                                                    \
    "w int8[3,2,2,2] = 1,-2,3,4,-5,6,7,-8,9,10,-11,12,13,-14,15,16,17,18,-19,20,-21,22,23,-24; "
#define IMAGE "f float32['N',2,4,4]"

Test(recognize_qlinear_conv, takes_scales_for_each_filter_an_int32_bias_and_a_relu)
{
    rewritten(lines(IMAGE,
                    SCALES("uint8[] = 100", "uint8[] = 0") WEIGHTS
                    "ws float32[3] = 0.25,0.5,0.0625; wz int8[3] = 1,0,-2; b int32[3] = 3,-4,500; "
                    "bs float32[3] = 0.03125,0.0625,0.0078125",
                    IN_FRONT
                    "DequantizeLinear w ws wz -> v 'axis': 0; "
                    "DequantizeLinear b bs -> c 'axis': 0; "
                    "Conv x v c -> s 'pads': [1, 0, 0, 1], 'strides': [2, 1]; Relu s -> r; "
                    "QuantizeLinear r ys yz -> y" BEHIND,
                    "z"),
              CONV_ONLY, 3, "= QLinearConv y/QLinearConv(q, xs, xz, w, ws, wz, ys, yz, b)",
              "* 6 nodes up to y are one QLinearConv\n", 0);
}

/* The bias 0.0703125 is 2.25 times x_scale * w_scale, and becomes 2: not enough for another y. */
Test(recognize_qlinear_conv, rounds_a_float_bias_and_gives_zero_points)
{
    rewritten(lines(IMAGE,
                    SCALES("uint8[] = 0", "int8[] = -128") WEIGHTS
                    "ws float32[] = 0.25; b float32[3] = 0.0703125,-1,2; top float32[] = 200; "
                    "low float32[] = -0.125",
                    "QuantizeLinear f xs -> q; DequantizeLinear q xs -> x; "
                    "DequantizeLinear w ws -> v; Conv x v b -> s 'group': 1; "
                    "Clip s low top -> r; QuantizeLinear r ys yz -> y" BEHIND,
                    "z"),
              CONV_ONLY, 3, "= QLinearConv", "* 5 nodes up to y are one QLinearConv\n", 0);
}

/* 2 * 0.125 and 0 are 8 and 0 times x_scale * w_scale, 0.03125. */
Test(recognize_qlinear_conv, takes_a_bias_of_another_scale)
{
    rewritten(lines(IMAGE,
                    SCALES("uint8[] = 100", "uint8[] = 3") WEIGHTS
                    "ws float32[] = 0.25; b int32[3] = 2,0,-2; bs float32[] = 0.125",
                    IN_FRONT "DequantizeLinear w ws -> v; DequantizeLinear b bs -> c; "
                             "Conv x v c -> s; QuantizeLinear s ys yz -> y" BEHIND,
                    "z"),
              CONV_ONLY, 3, "= QLinearConv y/QLinearConv(q, xs, xz, w, ws, constant", "", 0);
}

/* With all passes the weights would otherwise be made floats before anyone looks. */
Test(recognize_qlinear_conv, comes_before_weights_are_made_floats)
{
    rewritten(lines(IMAGE, SCALES("uint8[] = 100", "uint8[] = 3") WEIGHTS "ws float32[] = 0.25",
                    IN_FRONT "DequantizeLinear w ws -> v; Conv x v -> s; "
                             "QuantizeLinear s ys yz -> y" BEHIND,
                    "z"),
              "all", 3, "= QLinearConv", "", 0);
}

Test(recognize_qlinear_conv, leaves_what_others_read_dequantized)
{
    rewritten(lines(IMAGE, SCALES("uint8[] = 100", "uint8[] = 3") WEIGHTS "ws float32[] = 0.25",
                    IN_FRONT
                    "DequantizeLinear w ws -> v; Conv x v -> s; QuantizeLinear s ys yz -> y; "
                    "Neg x -> n" BEHIND,
                    "z n"),
              CONV_ONLY, 5, "= QLinearConv", "* 3 nodes up to y are one QLinearConv\n", 0);
}

#define MATRIX "f float32['N',3]"
#define B_OF "b int8[3,2] = 10,-20,30,40,-50,60; "

Test(recognize_qlinear_matmul, takes_products_and_gemm_without_c)
{
    rewritten(lines(MATRIX,
                    SCALES("int8[] = 10", "int8[] = -3") B_OF "bs float32[2] = 0.25,0.5; "
                                                              "bz int8[2] = 3,-1",
                    IN_FRONT "DequantizeLinear b bs bz -> v 'axis': -1; MatMul x v -> s; "
                             "QuantizeLinear s ys yz -> y" BEHIND,
                    "z"),
              MATMUL_ONLY, 3, "= QLinearMatMul y/QLinearMatMul(q, xs, xz, b, bs, bz, ys, yz)",
              "* 4 nodes up to y are one QLinearMatMul\n", 0);
    rewritten(lines(MATRIX,
                    SCALES("int8[] = 10", "int8[] = -3") "b int8[2,3] = 10,-20,30,40,-50,60; "
                                                         "bs float32[2] = 0.25,0.5",
                    IN_FRONT "DequantizeLinear b bs -> v 'axis': 0; Gemm x v -> s 'transB': 1; "
                             "QuantizeLinear s ys yz -> y" BEHIND,
                    "z"),
              MATMUL_ONLY, 4, "= Transpose y/Transpose(b) perm=[1,0]", "", 0);
}

Test(recognize_qlinear_matmul, takes_two_activations)
{
    rewritten(lines("f float32[2,3,4]; g float32[2,4,3]",
                    SCALES("int8[] = 10", "uint8[] = 128") "gs float32[] = 0.25",
                    IN_FRONT "QuantizeLinear g gs -> h; DequantizeLinear h gs -> v; "
                             "MatMul x v -> s; QuantizeLinear s ys yz -> y" BEHIND,
                    "z"),
              MATMUL_ONLY, 4, "= QLinearMatMul", "", 0);
}

/* ---- what nearly is one ---------------------------------------------------------------------- */

/* A convolution with parts of it changed; what stays a float net must say why. */
typedef struct near {
    const char *constants, *nodes, *why;
} near;
#define PLAIN SCALES("uint8[] = 100", "uint8[] = 3") WEIGHTS "ws float32[] = 0.25"
#define V "DequantizeLinear w ws -> v; "

static const near convs[] = {
    { PLAIN, IN_FRONT V "Conv x v -> s; Relu s -> r; QuantizeLinear r ys yz -> y",
      "- y: no QLinearConv: Relu or Clip cuts off more than y's range does\n" },
    { PLAIN "; top float32[] = 125.5",
      IN_FRONT V "Conv x v -> s; Clip s _ top -> r; QuantizeLinear r ys yz -> y",
      "- y: no QLinearConv: Relu or Clip cuts off more than y's range does\n" },
    { "xs float32[] = 0.5; xz uint8[] = 0; ys float32[] = 0.5; yz uint8[] = 0; " WEIGHTS
      "ws float32[] = 0.25; b int32[3] = 1,2,3; bs float32[] = 0.0625",
      IN_FRONT V "DequantizeLinear b bs -> c; Conv x v c -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the bias's scale is 0.0625, x_scale * w_scale is 0.125\n" },
    { PLAIN "; b int32[3] = 1,2,3; bs float32[] = 0.03125; bz int32[] = 1",
      IN_FRONT V "DequantizeLinear b bs bz -> c; Conv x v c -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: its bias has a zero point, or no plain constant scales\n" },
    { "xs float32[] = 0.5; xz uint8[] = 0; ys float32[] = 0.5; yz uint8[] = 0; " WEIGHTS
      "ws float32[] = 0.25; b float32[3] = 0.3,2,3",
      IN_FRONT V "Conv x v b -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: its bias is a float, and x_scale * w_scale 0.125 is too coarse for it\n" },
    { PLAIN "; b float32[3] = 1,2,1e9", IN_FRONT V "Conv x v b -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: its bias is too large for int32\n" },
    { PLAIN, IN_FRONT V "Conv f v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the first operand is not made by a DequantizeLinear\n" },
    { PLAIN "; u float32[3,2,1,1] = 1,2,3,4,5,6",
      IN_FRONT "Conv x u -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the second operand is not made by a DequantizeLinear\n" },
    { SCALES("int16[] = 100", "uint8[] = 3") WEIGHTS "ws float32[] = 0.25",
      IN_FRONT V "Conv x v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the first operand is not of 8 bits\n" },
    { SCALES("uint8[] = 100", "uint16[] = 3") WEIGHTS "ws float32[] = 0.25",
      IN_FRONT V "Conv x v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: y is not of 8 bits\n" },
    { PLAIN "; vs float32[2] = 0.25,0.5",
      IN_FRONT "DequantizeLinear w vs -> v 'axis': 1; Conv x v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the scales of the second operand do not lie along the output channels\n" },
    { PLAIN "; as float32[2] = 0.25,0.5",
      "QuantizeLinear f as -> q 'axis': 1; DequantizeLinear q as -> x 'axis': 1; " V
      "Conv x v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the first operand has a scale for each place of an axis\n" },
    { PLAIN "; as float32[3] = 0.25,0.5,1",
      IN_FRONT V "Conv x v -> s; QuantizeLinear s as -> y 'axis': 1",
      "- y: no QLinearConv: y has a scale for each place of an axis\n" },
    { SCALES("uint8[] = 100", "uint8[] = 3") WEIGHTS "ws float32[] = 0",
      IN_FRONT V "Conv x v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearConv: the scale of the second operand is no plain float32 constant that no run "
      "replaces\n" },
};

Test(recognize_qlinear_conv, says_what_is_missing)
{
    for (size_t k = 0; k < sizeof convs / sizeof *convs; k++) {
        char nodes[1000];
        snprintf(nodes, sizeof nodes, "%s; Cast y -> z 'to': 1", convs[k].nodes);
        untouched(lines(IMAGE, convs[k].constants, nodes, "z"), "recognize_qlinear_conv",
                  convs[k].why);
    }
}

static const near products[] = {
    { "", "MatMul x v -> m; Add m c -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearMatMul: an Add stands between, which it has no place for\n" },
    { "", "Gemm x v c -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearMatMul: Gemm has a C, which it has no place for\n" },
    { "", "Gemm x v -> s 'alpha': 0.5; QuantizeLinear s ys yz -> y",
      "- y: no QLinearMatMul: Gemm turns its first matrix or has a factor\n" },
    { "; vs float32[3] = 1,2,4",
      "DequantizeLinear b vs -> u 'axis': 0; MatMul x u -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearMatMul: the scales of the second operand do not lie along the output "
      "channels\n" },
    { "", "Identity x -> i; MatMul i v -> s; QuantizeLinear s ys yz -> y",
      "- y: no QLinearMatMul: the first operand is not made by a DequantizeLinear\n" },
};

Test(recognize_qlinear_matmul, says_what_is_missing)
{
    for (size_t k = 0; k < sizeof products / sizeof *products; k++) {
        char constants[1000], nodes[1000];
        snprintf(constants, sizeof constants,
                 SCALES("int8[] = 10", "int8[] = -3") B_OF "bs float32[] = 0.25; "
                                                           "c float32[2] = 1,2%s",
                 products[k].constants);
        snprintf(nodes, sizeof nodes,
                 IN_FRONT "DequantizeLinear b bs -> v; Neg v -> w; %s; Cast y -> z 'to': 1",
                 products[k].nodes);
        untouched(lines(MATRIX, constants, nodes, "z w"), "recognize_qlinear_matmul",
                  products[k].why);
    }
}

/* Too long for int32, or nobody knows. */
Test(recognize_qlinear_matmul, wants_sums_that_int32_holds)
{
    static const char *const nodes =
        "QuantizeLinear f s -> q; DequantizeLinear q s -> x; QuantizeLinear g s -> h; "
        "DequantizeLinear h s -> v; MatMul x v -> m; QuantizeLinear m s -> y; Cast y -> z 'to': 1";
    static const char *const why = "- y: no QLinearMatMul: its sums are longer than 16384, or of "
                                   "unknown length\n";
    untouched(lines("f float32[1,'K']; g float32['K',1]", "s float32[] = 0.5", nodes, "z"),
              "recognize_qlinear_matmul", why);
}

Test(recognize_qlinear_conv, wants_a_scale_that_no_run_replaces)
{
    untouched(
        lines(IMAGE "; xs float32[] = 0.125", "ys float32[] = 0.5; " WEIGHTS "ws float32[] = 0.25",
              "QuantizeLinear f xs -> q; DequantizeLinear q xs -> x; " V
              "Conv x v -> s; QuantizeLinear s ys -> y; Cast y -> z 'to': 1",
              "z"),
        "recognize_qlinear_conv",
        "- y: no QLinearConv: the scale of the first operand is no plain float32 constant that "
        "no run replaces\n");
}
