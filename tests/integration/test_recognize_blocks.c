/* recognize_depth_to_space, drop_requantize: what only moves elements, or gives them back, and what
 * nearly does. Reference backend, exact.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define SHAPES(middle, last) "a int64[6] = " middle "; b int64[4] = " last
#define MOVE(perm) "Reshape x a -> m; Transpose m -> t 'perm': " perm "; Reshape t b -> y"
#define X_OF(shape) "x float32[" shape "]"

Test(recognize_depth_to_space, finds_both_modes_and_the_way_back)
{
    static const char *const only = "none,+recognize_depth_to_space";
    rewritten(
        lines(X_OF("2,12,3,5"), SHAPES("2,2,2,3,3,5", "2,3,6,10"), MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
        only, 1, "= DepthToSpace y/DepthToSpace(x) blocksize=2 mode=\"DCR\"",
        "* 3 nodes up to y are one DepthToSpace\n", 0);
    rewritten(
        lines(X_OF("2,18,2,5"), SHAPES("2,2,3,3,2,5", "2,2,6,15"), MOVE("[0, 1, 4, 2, 5, 3]"), "y"),
        only, 1, "= DepthToSpace y/DepthToSpace(x) blocksize=3 mode=\"CRD\"", "", 0);
    rewritten(
        lines(X_OF("2,3,6,10"), SHAPES("2,3,3,2,5,2", "2,12,3,5"), MOVE("[0, 3, 5, 1, 2, 4]"), "y"),
        only, 1, "= SpaceToDepth y/SpaceToDepth(x) blocksize=2", "", 0);
}

Test(recognize_depth_to_space, works_with_samples_and_rows_that_are_symbols)
{
    rewritten(lines(X_OF("'N',12,3,5"), SHAPES("-1,2,2,3,3,5", "-1,3,6,10"),
                    MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
              "none,+recognize_depth_to_space", 1, "= DepthToSpace", "", 0);
    rewritten(lines(X_OF("2,12,'H',5"), SHAPES("2,2,2,3,-1,5", "2,3,-1,10"),
                    MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
              "none,+recognize_depth_to_space", 1, "= DepthToSpace", "", 0);
}

Test(recognize_depth_to_space, leaves_other_moves)
{
    static const char *const pass = "recognize_depth_to_space";
    static const char *const why = "- t: no DepthToSpace: what is in front and what comes out are "
                                   "not known to be blocks of a square\n";
    untouched(
        lines(X_OF("2,12,3,5"), SHAPES("2,2,2,3,3,5", "2,3,6,10"), MOVE("[0, 3, 4, 2, 5, 1]"), "y"),
        pass, ""); /* the sides swapped */
    untouched(
        lines(X_OF("2,3,6,10"), SHAPES("2,3,3,2,5,2", "2,12,3,5"), MOVE("[0, 1, 3, 5, 2, 4]"), "y"),
        pass, ""); /* the way back of CRD */
    untouched(
        lines(X_OF("2,18,3,5"), SHAPES("2,2,3,3,3,5", "2,3,6,15"), MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
        pass, why); /* blocks of 2 x 3 */
    untouched(
        lines(X_OF("2,12,3,5"), SHAPES("2,2,2,3,3,5", "2,3,10,6"), MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
        pass, why); /* joined otherwise */
    untouched(lines(X_OF("2,12,15,1"), SHAPES("2,2,2,3,3,5", "2,3,6,10"),
                    MOVE("[0, 3, 4, 1, 5, 2]"), "y"),
              pass, why); /* cut otherwise */
}

Test(recognize_depth_to_space, leaves_what_is_read_inside)
{
    static const char *const pass = "recognize_depth_to_space";
    untouched(
        lines(X_OF("2,12,3,5"), SHAPES("2,2,2,3,3,5", "2,3,6,10"), MOVE("[0, 3, 4, 1, 5, 2]"),
              "y t"),
        pass,
        "- t: no DepthToSpace: Transpose's output is also an output of the graph or of a body\n");
    untouched(lines(X_OF("2,12,3,5"), SHAPES("2,2,2,3,3,5", "2,3,6,10"),
                    MOVE("[0, 3, 4, 1, 5, 2]") "; Neg m -> z", "y z"),
              pass, "- t: no DepthToSpace: Reshape's output is also read by z\n");
}

/* ---- QuantizeLinear of DequantizeLinear ------------------------------------------------------ */

#define ROUND_TRIP "DequantizeLinear q s z -> x; QuantizeLinear x s z -> y"
#define QUANTIZED "f float32[2,3,4]"
#define BEFORE "QuantizeLinear f t z -> q; "

/* All 256 values, with scales that are no powers of two. */
Test(drop_requantize, gives_every_number_back)
{
    static const char *const scales[] = { "0.1", "0.0039215689", "3", "7.77e-20", "1.2345e25" };
    static const char *const zeros[] = { "0", "3", "255" };
    for (size_t k = 0; k < 5; k++)
        for (size_t i = 0; i < 3; i++) {
            static char constants[4096];
            size_t used = (size_t)snprintf(constants, sizeof constants,
                                           "s float32[] = %s; z uint8[] = %s; q uint8[256] = 0",
                                           scales[k], zeros[i]);
            for (int v = 1; v < 256; v++)
                used += (size_t)snprintf(constants + used, sizeof constants - used, ",%d", v);
            rewritten(lines("i int64[1]", constants,
                            ROUND_TRIP "; Cast y -> c 'to': 7; Add c i -> n", "n"),
                      "none,+drop_requantize", 2, "Cast c(q)",
                      "* y gives what was there before it was dequantized\n", 0);
        }
}

Test(drop_requantize, works_along_an_axis_and_keeps_what_others_read)
{
    rewritten(lines(QUANTIZED,
                    "t float32[] = 0.05; z int8[3] = 0,1,-2; w int8[] = 0; "
                    "s float32[3] = 0.1,0.2,0.3",
                    "QuantizeLinear f t w -> q; " ROUND_TRIP "; Cast y -> c 'to': 1; Add c x -> n",
                    "n"),
              "none,+drop_requantize", 4, "Cast c(q)", "", 0);
}

Test(drop_requantize, says_what_differs)
{
    static const char *const pass = "drop_requantize";
    static const char *const why =
        "- y: no return: scale or zero point are not the same constants\n";
    static const char *const nodes = BEFORE
        "DequantizeLinear q s z -> x; QuantizeLinear x r z -> y; Cast y -> c 'to': 1";
    untouched(lines(QUANTIZED,
                    "t float32[] = 0.05; z int8[] = 0; s float32[] = 0.1; "
                    "r float32[] = 0.2",
                    nodes, "c"),
              pass, why);
    untouched(lines(QUANTIZED "; s float32[] = 0.1",
                    "t float32[] = 0.05; z int8[] = 0; r float32[] = 0.1", nodes, "c"),
              pass, why);
    untouched(lines(QUANTIZED,
                    "t float32[] = 0.05; z int8[] = 0; s float32[] = 1e-40; "
                    "r float32[] = 1e-40",
                    nodes, "c"),
              pass, why);
    untouched(lines(QUANTIZED, "t float32[] = 0.05; z int8[] = 0; u uint8[] = 0; s float32[] = 0.1",
                    BEFORE "DequantizeLinear q s z -> x; QuantizeLinear x s u -> y; "
                           "Cast y -> c 'to': 1",
                    "c"),
              pass, "- y: no return: it is of another type, or not of 8 bits\n");
    untouched(
        lines("f float32[2,3,3]",
              "t float32[] = 0.05; w int8[] = 0; z int8[3] = 0,1,2; s float32[3] = 0.1,0.2,0.3",
              "QuantizeLinear f t w -> q; DequantizeLinear q s z -> x 'axis': 1; "
              "QuantizeLinear x s z -> y 'axis': 2; Cast y -> c 'to': 1",
              "c"),
        pass, why);
}

Test(drop_requantize, leaves_the_other_order)
{
    untouched(lines(QUANTIZED, "s float32[] = 0.1; z int8[] = 0",
                    "QuantizeLinear f s z -> q; DequantizeLinear q s z -> y", "y"),
              "drop_requantize", "");
}

/* ---- recognize_space_to_depth ------------------------------------------------------------------ */

#define CUTS                                                                                       \
    "a int64[2] = 0,0; b int64[2] = 0,1; c int64[2] = 1,0; d int64[2] = 1,1; "                     \
    "end int64[2] = 9223372036854775807,9223372036854775807; front int64[2] = 2,3; "               \
    "back int64[2] = 1,2; two int64[2] = 2,2; three int64[2] = 3,3"
#define PARTS(axes, step)                                                                          \
    "Slice x a end " axes " " step " -> p; Slice x b end " axes " " step                           \
    " -> q; Slice x c end " axes " " step " -> r; Slice x d end " axes " " step " -> s; "
#define BLOCKS_ONLY "none,+recognize_space_to_depth"

Test(recognize_space_to_depth, takes_rows_or_columns_first_and_channels_in_front_or_behind)
{
    static const struct {
        const char *axes, *order, *becomes;
        uint64_t nodes;
    } cases[] = { { "front", "p q r s -> y 'axis': 1", "= SpaceToDepth y/SpaceToDepth(x)", 1 },
                  { "front", "p r q s -> y 'axis': -3", "perm=[0,5,3,1,2,4]", 3 },
                  { "back", "p q r s -> y 'axis': 3", "perm=[0,1,3,2,4,5]", 3 },
                  { "back", "p r q s -> y 'axis': -1", "perm=[0,1,3,4,2,5]", 3 } };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char nodes[1000];
        snprintf(nodes, sizeof nodes,
                 "Slice x a end %s two -> p; Slice x b end %s two -> q; Slice x c end %s two -> r; "
                 "Slice x d end %s two -> s; Concat %s",
                 cases[k].axes, cases[k].axes, cases[k].axes, cases[k].axes, cases[k].order);
        rewritten(lines("x float32['N',4,6,2]", CUTS, nodes, "y"), BLOCKS_ONLY, cases[k].nodes,
                  cases[k].becomes, "", 0);
    }
}

Test(recognize_space_to_depth, leaves_other_orders_and_steps)
{
    static const char *const pass = "recognize_space_to_depth";
    untouched(lines("x float32[1,4,6,2]", CUTS,
                    PARTS("front", "two") "Concat q p r s -> y 'axis': 1", "y"),
              pass, "- y: no SpaceToDepth: the parts are in no order of rows or columns\n");
    untouched(lines("x float32[1,4,6,6]", CUTS,
                    PARTS("front", "three") "Concat p q r s -> y 'axis': 1", "y"),
              pass, "");
    untouched(lines("x float32[1,4,6,2]", CUTS,
                    PARTS("front", "two") "Concat p q r s -> y 'axis': 2", "y"),
              pass, "");
    untouched(lines("x float32[1,'C',6,2]", CUTS,
                    PARTS("front", "two") "Concat p q r s -> y 'axis': 1", "y"),
              pass, "");
}
