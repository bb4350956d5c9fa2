/* recognize_group_normalization: groups of channels that were laid side by side are one
 * GroupNormalization; what nearly are such groups stays. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define PASS "recognize_group_normalization"
#define ONLY "none,+" PASS
#define X "x float32[2,6,4,5]"
#define SHAPES "a int64[3] = 0,3,-1; b int64[4] = 2,6,4,5"
#define UNIT "u float32[3] = 1,1,1; z float32[3] = 0,0,0"
#define BY_CHANNEL "w float32[6,1,1] = 1,2,-3,0.5,0,7; v float32[1,6,1,1] = 1,0,3,4,5,-6"
#define NORM "Reshape x a -> m; InstanceNormalization m u z -> n 'epsilon': 0.25; Reshape n b -> r"
#define TIGHT 2e-6

Test(recognize_group_normalization, finds_it_with_scale_and_bias_and_without)
{
    const char *text = lines(X, SHAPES "; " UNIT "; " BY_CHANNEL,
                             NORM "; Mul w r -> s; Add s v -> y", "y");
    rewritten(text, ONLY, 1, "num_groups=3 epsilon=0.25",
              "* 5 nodes up to y are one GroupNormalization\n", TIGHT);
    same_specials(text, ONLY, TIGHT);
    rewritten(lines(X, SHAPES "; " UNIT "; " BY_CHANNEL, NORM "; Add r v -> y", "y"), ONLY, 1,
              "= GroupNormalization", "* 4 nodes up to y", TIGHT);
    rewritten(lines(X, SHAPES "; " UNIT, NORM "; Neg r -> y", "y"), ONLY, 2, "= GroupNormalization",
              "* 3 nodes up to r", TIGHT);
}

Test(recognize_group_normalization, works_with_symbols_and_in_other_types)
{
    rewritten(lines("x float32['N',6,4,5]", "a int64[3] = 0,3,-1; b int64[4] = -1,6,4,5; " UNIT,
                    NORM "; Neg r -> y", "y"),
              ONLY, 2, "= GroupNormalization", "", TIGHT);
    rewritten(lines("x float64[2,6,4]",
                    "a int64[3] = 0,3,-1; b int64[3] = 2,6,4; "
                    "u float64[3] = 1,1,1; z float64[3] = 0,0,0",
                    NORM "; Neg r -> y", "y"),
              ONLY, 2, "= GroupNormalization", "", 1e-12);
}

Test(recognize_group_normalization, leaves_a_scale_that_is_not_by_channel)
{
    rewritten(lines(X, SHAPES "; " UNIT "; w float32[5] = 1,2,3,4,5", NORM "; Mul w r -> y", "y"),
              ONLY, 2, "= GroupNormalization", "* 3 nodes up to r", TIGHT);
    rewritten(lines(X "; w float32[6,1,1]", SHAPES "; " UNIT, NORM "; Mul w r -> y", "y"), ONLY, 2,
              "= GroupNormalization", "* 3 nodes up to r", TIGHT);
    rewritten(lines(X, SHAPES "; " UNIT "; " BY_CHANNEL, NORM "; Mul w r -> s; Neg r -> y", "y s"),
              ONLY, 3, "= GroupNormalization", "* 3 nodes up to r", TIGHT);
}

Test(recognize_group_normalization, says_what_does_not_fit)
{
    untouched(lines(X, SHAPES "; u float32[3] = 1,1,2; z float32[3] = 0,0,0", NORM, "r"), PASS,
              "- n: no GroupNormalization: scales of the groups are not 1, or biases not 0\n");
    untouched(lines(X "; u float32[3] = 1,1,1", SHAPES "; z float32[3] = 0,0,0", NORM, "r"), PASS,
              "- n: no GroupNormalization: scales of the groups are not 1, or biases not 0\n");
    untouched(lines(X, "a int64[3] = 0,3,-1; b int64[4] = 2,6,5,4; " UNIT, NORM, "r"), PASS,
              "- n: no GroupNormalization: it does not get its shape back\n");
    untouched(lines(X, "a int64[3] = 4,3,-1; b int64[4] = 2,6,4,5; " UNIT, NORM, "r"), PASS,
              "- n: no GroupNormalization: samples and channels are not known to stay\n");
    untouched(lines(X,
                    "a int64[3] = 0,4,-1; b int64[4] = 2,6,4,5; u float32[4] = 1,1,1,1; "
                    "z float32[4] = 0,0,0,0",
                    NORM, "r"),
              PASS, "- n: no GroupNormalization: 4 groups do not divide the channels\n");
    untouched(lines(X, SHAPES "; " UNIT, NORM, "r n"), PASS,
              "- n: no GroupNormalization: InstanceNormalization's output is also an output of the "
              "graph or of a body\n");
    untouched(lines(X, SHAPES "; " UNIT, NORM "; Neg m -> y", "r y"), PASS,
              "- n: no GroupNormalization: Reshape's output is also read by y\n");
}
