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

/* ---- InstanceNormalization that was written out -------------------------------------------- */

#define INSTANCE "recognize_instance_normalization"
#define PLANES                                                                                     \
    "s int64[2] = 2,3; two float32[] = 2; e float32[] = 0.25; one float32[] = 1; "                 \
    "w float32[6,1,1] = 1,2,-3,0.5,0,7; v float32[1,6,1,1] = 1,0,3,4,5,-6; "                       \
    "rows float32[4,5] = 1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2"
#define CENTRE "ReduceMean x s -> m; Sub x m -> d; "
#define VARIANCE CENTRE "Pow d two -> q; ReduceMean q s -> a; Add a e -> b; Sqrt b -> r; "

Test(recognize_instance_normalization, finds_it_with_scale_and_bias_and_without)
{
    static const char *const nodes[] = {
        VARIANCE "Div d r -> n; Mul n w -> k; Add k v -> y",
        VARIANCE "Div d r -> n; Mul w n -> k; Add v k -> y",
        CENTRE "Mul d d -> q; ReduceMean q s -> a; Add e a -> b; Sqrt b -> r; Reciprocal r -> i; "
               "Mul i d -> n; Mul n w -> k; Add k v -> y",
        VARIANCE "Div one r -> i; Mul d i -> n; Mul n w -> y",
        VARIANCE "Div d r -> n; Add n v -> y",
        VARIANCE "Div d r -> y",
    };
    for (size_t k = 0; k < sizeof nodes / sizeof *nodes; k++) {
        const char *text = lines(X, PLANES, nodes[k], "y");
        rewritten(text, "none,+" INSTANCE, 1, "= InstanceNormalization", "nodes up to y", TIGHT);
        same_specials(text, "none,+" INSTANCE, TIGHT);
    }
    /* before LayerNormalization, which would leave scale and bias where they are */
    rewritten(lines(X, PLANES, nodes[0], "y"), "safe,+" INSTANCE, 1, "= InstanceNormalization", "",
              TIGHT);
}

Test(recognize_instance_normalization, works_with_symbols_with_one_axis_and_in_other_types)
{
    rewritten(lines("x float32['N',6,'H','W']", PLANES,
                    VARIANCE "Div d r -> n; Mul n w -> k; Add k v -> y", "y"),
              "none,+" INSTANCE, 1, "epsilon=0.25", "", TIGHT);
    rewritten(lines("x float64[2,3,4]",
                    "s int64[1] = -1; two float64[] = 2; e float64[] = 0.5; "
                    "w float64[3,1] = 1,2,3",
                    VARIANCE "Div d r -> n; Mul n w -> y", "y"),
              "none,+" INSTANCE, 1, "= InstanceNormalization", "", 1e-12);
}

Test(recognize_instance_normalization, leaves_layers_and_other_axes)
{
    untouched(lines(X, PLANES, VARIANCE "Div d r -> n; Mul n rows -> y", "y"), INSTANCE, "");
    untouched(lines("x float32[2,6,4]", "s int64[1] = 2; two float32[] = 2; e float32[] = 0.25",
                    VARIANCE "Div d r -> y", "y"),
              INSTANCE, "");
    untouched(lines(X, "s int64[2] = 1,2; two float32[] = 2; e float32[] = 0.25",
                    VARIANCE "Div d r -> y", "y"),
              INSTANCE, "");
    untouched(lines(X, "s int64[1] = 3; two float32[] = 2; e float32[] = 0.25",
                    VARIANCE "Div d r -> y", "y"),
              INSTANCE, "");
    untouched(lines("x float32[2,'C',4,5]", PLANES, VARIANCE "Div d r -> y", "y"), INSTANCE,
              "- r: no InstanceNormalization: how many channels there are is not known\n");
}

Test(recognize_instance_normalization, leaves_what_others_read_and_what_a_run_replaces)
{
    untouched(lines(X, PLANES, VARIANCE "Div d r -> n; Mul n w -> y", "y d"), INSTANCE,
              "- r: no InstanceNormalization: Sub's output is also an output of the graph or of a "
              "body\n");
    untouched(lines(X, PLANES, VARIANCE "Div d r -> n; Mul n w -> y; Abs m -> z", "y z"), INSTANCE,
              "- r: no InstanceNormalization: ReduceMean's output is also read by z\n");
    untouched(lines(X "; e float32[] = 0.25", "s int64[2] = 2,3; two float32[] = 2",
                    VARIANCE "Div d r -> y", "y"),
              INSTANCE, "");
    /* a scale that is an input stays a Mul of its own */
    rewritten(lines(X "; w float32[6,1,1]",
                    "s int64[2] = 2,3; two float32[] = 2; e float32[] = 0.25",
                    VARIANCE "Div d r -> n; Mul n w -> y", "y"),
              "none,+" INSTANCE, 2, "= InstanceNormalization", "", TIGHT);
    rewritten(lines(X "; w float32[6,1,1] = 1,2,3,4,5,6",
                    "s int64[2] = 2,3; two float32[] = 2; e float32[] = 0.25",
                    VARIANCE "Div d r -> n; Mul n w -> y", "y"),
              "none,+" INSTANCE, 2, "= InstanceNormalization", "", TIGHT);
}
