/* drop_channel_shuffle and widen_concat: channels that stay where they are, the same answers; what
 * nearly matches stays. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

/* 1x1 filters [6, 6] with a pattern of no symmetry, and what else the graphs read. */
#define W "1,2,-3,4,-5,6, 2,-1,4,3,1,-2, 5,1,1,-4,2,3, -3,2,6,1,-1,4, 1,-6,2,5,3,-1, 4,3,-2,1,6,2"
#define V "2,-1,3,1,4,-2, 1,5,-3,2,-1,6, 3,2,1,-5,4,1, -2,4,1,3,6,-1, 5,1,-4,2,1,3, 1,-3,2,6,-2,4"
#define ORDER "order int64[6] = 0,3,1,4,2,5"
#define CONSTANTS                                                                                  \
    "w float32[6,6,1,1] = " W "; v float32[6,6,1,1] = " V "; b float32[6] = 1,-2,3,-4,5,-6; "      \
    "d float32[6,1,1,3] = 1,2,3,-1,4,2,5,-3,1,2,2,-6,1,3,-2,4,-1,2; "                              \
    "e float32[6] = 6,5,-4,3,2,1; g float32[6,3,1,1] = 1,2,3,-1,4,2,5,-3,1,2,2,-6,1,3,-2,4,-1,2; " \
    "u float32[3,3,1,1] = 2,-1,3,1,4,-2,5,-3,1; halves int64[2] = 3,3; "
#define X "x float32[2,6,3,4]"
#define ROUNDING 1e-5

static void in_order(const char *graph, const char *pass, uint32_t math, uint64_t nodes,
                     const char *words, double tolerance)
{
    static outcome with, without;
    char passes[96];
    snprintf(passes, sizeof passes, "none,+%s", pass);
    run_graph(graph, passes, math, NULL, &with);
    run_graph(graph, "none", math, NULL, &without);
    cr_expect_eq(with.nodes, nodes, "%d\n%s", (int)with.nodes, with.graph);
    cr_expect(strstr(with.log, words), "%s\nhas no\n%s", with.log, words);
    same_answers(&with, &without, tolerance);
}

static void dropped(const char *nodes, const char *order, uint64_t left, const char *words,
                    double tolerance)
{
    char constants[2048];
    snprintf(constants, sizeof constants, CONSTANTS "%s", order);
    const char *graph = lines(X, constants, nodes, "y");
    for (uint32_t math = TN_MATH_STRICT; math <= TN_MATH_FAST; math++)
        in_order(graph, "drop_channel_shuffle", math, left, words, tolerance);
}

Test(channels, what_makes_them_makes_them_in_order)
{
    dropped("Conv x w b -> c; Relu c -> r; Gather r order -> s 'axis': 1; Neg s -> y", ORDER, 3,
            "* s dropped: 6 channels are made in that order", 0);
    dropped("Conv x w -> c; Conv c d e -> r 'group': 6, 'pads': [0, 1, 0, 1]; "
            "Gather r order -> s 'axis': -3; Neg s -> y",
            "order int32[6] = -1,3,-5,4,2,0", 3, "* s dropped", ROUNDING);
}

Test(channels, what_reads_them_reads_them_in_order)
{
    dropped("Neg x -> n; Gather n order -> s 'axis': 1; "
            "Conv s d e -> r 'group': 6, 'pads': [0, 1, 0, 1]; "
            "MaxPool r -> p 'kernel_shape': [1, 2]; Conv p w b -> q; "
            "AveragePool s -> t 'kernel_shape': [1, 2]; Gather t other -> o 'axis': 1; "
            "Add q o -> y",
            ORDER "; other int64[6] = 5,-6,2,2,4,3", 7,
            "* s dropped: 6 channels are read in their order", ROUNDING);
}

Test(channels, a_piece_is_laid_together)
{
    dropped(
        "Conv x g b -> c 'group': 2; Conv x w -> f; Neg c -> n; Split f halves -> a k 'axis': 1; "
        "Conv a u -> i; Relu i -> j; Conv k u -> l; Concat j l -> m 'axis': 1; "
        "Gather m order -> s 'axis': 1; Split s halves -> p q 'axis': 1; Conv q u -> r; "
        "Concat p r -> z 'axis': 1; Add z n -> y",
        ORDER, 13, "* s moves 3 channels, not 6", ROUNDING);
}

static void kept(const char *nodes, const char *words)
{
    untouched(lines(X, CONSTANTS ORDER "; twice int64[6] = 0,1,2,2,3,4", nodes, "y"),
              "drop_channel_shuffle", words);
}

Test(channels, who_wants_them_in_their_order_keeps_them)
{
    kept("Neg x -> n; Gather n order -> s 'axis': 1; Conv s g -> y 'group': 2",
         "s still moves channels: y has 2 groups");
    kept("Neg x -> n; Gather n order -> s 'axis': 1; Mul s x -> y",
         "s still moves channels: y wants channels in their order");
    kept("Neg x -> n; Gather n order -> s 'axis': 1; Softmax s -> y 'axis': 1",
         "s still moves channels: y wants channels in their order");
    kept("Neg x -> n; Gather n order -> s 'axis': 1; MaxPool s -> p i 'kernel_shape': [1, 2]; "
         "Conv p w -> y; Cast i -> z 'to': 1",
         "s still moves channels: p wants channels in their order");
    kept("Neg x -> n; Gather n order -> s 'axis': 1; Split s halves -> a c 'axis': 1; "
         "Conv a u -> p; Conv c u -> q; Concat p q -> y 'axis': 1",
         "s still moves channels: 'x' is not computed here");
    kept("Neg x -> n; Gather n twice -> s 'axis': 1; Conv s w -> y", "");
}

/* ---- widen_concat ----------------------------------------------------------------------------- */

#define PARTS "parts int64[2] = 2,4; back int64[2] = 4,2; k float32[2,2,1,1] = 1,-2,3,4"

static void widened(const char *nodes, uint64_t left)
{
    const char *graph = lines(X, CONSTANTS PARTS, nodes, "y");
    in_order(graph, "widen_concat", TN_MATH_STRICT, left,
             "* j is a piece of a wider Concat: 4 channels stay where they are", ROUNDING);
}

Test(channels, a_piece_stays_beside_what_is_new)
{
    /* the rest behind the new ones, which turns them, and before them */
    widened("Relu x -> h; Split h parts -> a r 'axis': 1; Conv a k -> n; "
            "Concat n r -> j 'axis': 1; Conv j w b -> c; Add c h -> y",
            7);
    widened("Relu x -> h; Split h parts -> a r 'axis': 1; Conv a k -> n; "
            "Concat r n -> j 'axis': 1; Conv j w b -> c; Add c h -> y",
            7);
    /* the rest at the beginning of what it is of */
    widened("Relu x -> h; Split h back -> r a 'axis': 1; Conv a k -> n; "
            "Concat r n -> j 'axis': 1; Conv j w -> c; Add c h -> y",
            7);
    widened("Relu x -> h; Split h back -> r a 'axis': 1; Conv a k -> n; "
            "Concat n r -> j 'axis': 1; MaxPool j -> p 'kernel_shape': [1, 1]; Conv p w -> c; "
            "Add c h -> y",
            8);
}

Test(channels, a_piece_that_would_cost_more_is_copied)
{
    static const struct {
        const char *nodes, *why;
    } rows[] = {
        { "Relu x -> h; Split h halves -> a r 'axis': 1; Conv a u -> n; "
          "Concat n r -> j 'axis': 1; Conv j w b -> c; Add c h -> y",
          "j copies a piece: it would be wider by more than it spares" },
        { "Relu x -> h; Split h parts -> a r 'axis': 1; Conv a k -> n; "
          "Concat n r -> j 'axis': 1; Conv j w b -> c; Concat c h -> y 'axis': 1",
          "j copies a piece: an operand is also read elsewhere" },
        { "Relu x -> h; Split h parts -> a r 'axis': 1; Conv a k -> n; "
          "Concat n r -> j 'axis': 1; Conv j w b -> c; Add c j -> y",
          "j copies a piece: y wants channels in their order" },
        { "Split x parts -> a r 'axis': 1; Conv a k -> n; "
          "Concat n r -> j 'axis': 1; Conv j w b -> y",
          "" },
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        untouched(lines(X, CONSTANTS PARTS, rows[k].nodes, "y"), "widen_concat", rows[k].why);
}
