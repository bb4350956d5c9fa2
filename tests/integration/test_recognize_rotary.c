/* recognize_rotary_embedding: turned pairs of elements that were written out are one node with the same
 * answers; what is not quite that stays, and the log says why. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define PASS "recognize_rotary_embedding"
#define ONLY "none,+" PASS
#define MAKES "= RotaryEmbedding y/RotaryEmbedding"
#define TIGHT 2e-6

/* cosines and sines for two positions of four elements, the halves equal; of neighbours; of two pairs */
#define C_HALVES "c float32[1,1,2,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25"
#define S_HALVES "s float32[2,4] = 0,2,0,2,0.5,-3,0.5,-3"
#define HALVES C_HALVES "; " S_HALVES
#define NEIGHBOURS                                                                                 \
    "c float32[2,4] = 1,1,0.5,0.5,-1,-1,0.25,0.25; s float32[2,4] = 0,0,2,2,0.5,0.5,-3,-3"
#define PAIRS "c float32[1,1,2,2] = 1,0.5,-1,0.25; s float32[2,2] = 0,2,0.5,-3"
#define INTEGERS                                                                                     \
    "; zero int64[1] = 0; one int64[1] = 1; two int64[1] = 2; four int64[1] = 4; six int64[1] = 6; " \
    "last int64[1] = -1; far int64[1] = 9223372036854775807; even int64[2] = 2,2; i0 int64[] = 0; "  \
    "i1 int64[] = 1"
#define X "x float32[3,2,2,4]"

#define SLICES "Slice x zero two last -> a; Slice x two far last -> b; "
#define SPLIT "Split x even -> a b 'axis': -1; "
#define TURN "Neg b -> n; Concat n a -> t 'axis': -1; "
#define SUM "Mul x c -> p; Mul t s -> q; Add p q -> y"
#define WRITTEN SLICES TURN SUM
#define WRITTEN_Y1 SLICES TURN "Mul x c -> p; Mul t s -> q; Add p q -> y1"

#define BY_PAIRS                                                                                   \
    "Mul a c -> e; Mul b s -> f; Sub e f -> g; Mul b c -> h; Mul a s -> i; Add h i -> j; "

static const char *graph_of(const char *inputs, const char *constants, const char *nodes)
{
    static char all[4096];
    snprintf(all, sizeof all, "%s" INTEGERS, constants);
    return lines(inputs, all, nodes, "y");
}

static void found(const char *constants, const char *nodes, const char *attributes, uint64_t left)
{
    static char text[1 << 15];
    snprintf(text, sizeof text, "%s", graph_of(X, constants, nodes));
    rewritten(text, ONLY, left, MAKES, " up to y are one RotaryEmbedding", TIGHT);
    rewritten(text, ONLY, left, attributes, "", TIGHT);
    same_specials(text, ONLY, TIGHT);
}

/* Constant cosines and sines become caches of one number for each pair and sample. */
Test(recognize_rotary_embedding, finds_halves_by_slices_and_by_split_whatever_side_they_are_on)
{
    static const char *const nodes[] = {
        WRITTEN,
        SPLIT TURN SUM,
        SLICES TURN "Mul c x -> p; Mul s t -> q; Add q p -> y",
        "Slice x zero two last one -> a; Slice x two four last -> b; " TURN SUM,
        SLICES TURN "Mul t s -> q; Mul x c -> p; Add p q -> y",
    };
    for (size_t k = 0; k < sizeof nodes / sizeof *nodes; k++)
        found(HALVES, nodes[k], "RotaryEmbedding(", 1);
    found(HALVES, WRITTEN, "", 1);
}

Test(recognize_rotary_embedding, finds_halves_by_an_index_of_an_axis_of_two)
{
    found(HALVES "; v int64[5] = 3,2,2,2,2",
          "Reshape x v -> w; Gather w i0 -> a 'axis': 3; Gather w i1 -> b 'axis': -2; " TURN SUM,
          "RotaryEmbedding(", 1);
}

#define STACK                                                                                      \
    "Unsqueeze n last -> nu; Unsqueeze a last -> au; Concat nu au -> st 'axis': -1; "              \
    "Reshape st shape -> t; "

Test(recognize_rotary_embedding, finds_pairs_of_neighbours)
{
#define SHAPE "; shape int64[4] = 3,2,2,4; v int64[5] = 3,2,2,2,2"
    found(NEIGHBOURS SHAPE,
          "Slice x zero far last two -> a; Slice x one far last two -> b; Neg b -> n; " STACK SUM,
          "interleaved=1", 1);
    found(NEIGHBOURS SHAPE,
          "Reshape x v -> w; Split w -> a1 b1 'axis': 4, 'num_outputs': 2; Squeeze a1 last -> a; "
          "Squeeze b1 last -> b; Neg b -> n; " STACK SUM,
          "interleaved=1", 1);
    found(PAIRS SHAPE,
          "Reshape x v -> w; Gather w i0 -> a 'axis': -1; Gather w i1 -> b 'axis': 4; " BY_PAIRS
          "Unsqueeze g last -> gu; Unsqueeze j last -> ju; Concat gu ju -> st 'axis': 4; "
          "Reshape st shape -> y",
          "interleaved=1", 1);
}

Test(recognize_rotary_embedding, finds_pairs_that_are_turned_one_by_one)
{
    found(PAIRS, SLICES BY_PAIRS "Concat g j -> y 'axis': -1", "RotaryEmbedding(", 1);
    found(PAIRS, SPLIT BY_PAIRS "Concat g j -> y 'axis': 3", "RotaryEmbedding(", 1);
}

Test(recognize_rotary_embedding, takes_elements_behind_those_that_are_turned)
{
    const char *text = graph_of(
        "z float32[3,2,2,6]", HALVES,
        "Slice z zero four last -> x; Slice z four six last -> r; " WRITTEN_Y1 "; "
        "Concat y1 r -> y 'axis': -1");
    rewritten(text, ONLY, 1, "rotary_embedding_dim=4", "* 10 nodes up to y", TIGHT);
    text = graph_of("z float32[3,2,2,6]", HALVES,
                    "Slice z zero four last -> x; Slice z four six last -> r; " WRITTEN_Y1 "; "
                    "Concat r y1 -> y 'axis': -1");
    rewritten(text, ONLY, 4, "RotaryEmbedding", "up to y1 are one", TIGHT);
}

Test(recognize_rotary_embedding, works_with_heads_behind_positions_and_without_heads)
{
    rewritten(graph_of("x float32[3,2,5,4]",
                       "c float32[2,1,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25; "
                       "s float32[1,2,1,4] = 0,2,0,2,0.5,-3,0.5,-3",
                       WRITTEN),
              ONLY, 3, "num_heads=5", "", TIGHT);
    rewritten(graph_of("x float32[3,2,4]",
                       "c float32[1,2,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25; " S_HALVES, WRITTEN),
              ONLY, 1, "num_heads=1", "", TIGHT);
}

/* Heads that were split off for it: the node works before that, and attention finds them behind it. */
Test(recognize_rotary_embedding, works_before_heads_are_split_off)
{
    static char text[1 << 15];
    const char *const split = "Reshape w d -> v; Transpose v -> x 'perm': [0, 2, 1, 3]; ";
    char nodes[2048];
    snprintf(nodes, sizeof nodes, "%s%s", split, WRITTEN);
    snprintf(text, sizeof text, "%s",
             graph_of("w float32['N',2,20]", HALVES "; d int64[4] = 0,0,5,4", nodes));
    rewritten(text, ONLY, 9, "num_heads=5", "* 9 nodes up to y", TIGHT);
    rewritten(text, ONLY, 9, "RotaryEmbedding y/RotaryEmbedding(w, ", "", TIGHT);
    snprintf(nodes, sizeof nodes, "%s%s; Abs x -> z", split, WRITTEN); /* x is wanted itself */
    rewritten(lines("w float32[3,2,20]", HALVES "; d int64[4] = 0,0,5,4" INTEGERS, nodes, "y z"),
              ONLY, 4, "RotaryEmbedding y/RotaryEmbedding(x, ", "", TIGHT);
    snprintf(nodes, sizeof nodes, "%s%s",
             "Reshape w d -> v; Transpose v -> x 'perm': [0, 1, 2, 3]; ", WRITTEN);
    rewritten(graph_of("w float32[3,5,8]", HALVES "; d int64[4] = 0,0,2,4", nodes), ONLY, 3,
              "RotaryEmbedding y/RotaryEmbedding(x, ", "", TIGHT);
}

/* Angles that are computed, as models with positions as an input have them: Concat of the same. */
Test(recognize_rotary_embedding, sees_in_how_angles_are_made_that_both_of_a_pair_are_equal)
{
    rewritten(graph_of("x float32['N',2,'S',4]; f float32['N','S',2]", "k float32[] = 2",
                       "Concat f f -> ff 'axis': -1; Cos ff -> c0; Mul c0 k -> c1; "
                       "Unsqueeze c1 one -> c; Sin ff -> s1; Unsqueeze s1 one -> s; " WRITTEN),
              ONLY, 9, MAKES, "", TIGHT);
    rewritten(graph_of("x float32['N',2,'S',4]; f float32['S',2]; ids int64['N','S']",
                       "k int64[] = 1",
                       "Concat f f -> ff 'axis': -1; Gather ff ids -> gg; Cos gg -> c1; "
                       "Unsqueeze c1 one -> c; Sin gg -> s1; Unsqueeze s1 one -> s; " WRITTEN),
              ONLY, 9, MAKES, "", TIGHT);
    rewritten(graph_of("x float32[3,2,2,4]; f float32[2,2]",
                       "shape int64[4] = 3,2,2,4; flat int64[2] = 2,4; wide int64[3] = 1,1,2",
                       "Unsqueeze f last -> fu; Expand fu wide -> fe; Reshape fe flat -> ff; "
                       "Cos ff -> c; Sin ff -> s; Slice x zero far last two -> a; "
                       "Slice x one far last two -> b; Neg b -> n; " STACK SUM),
              ONLY, 12, "interleaved=1", "", TIGHT);
}

/* How many samples there are is told by the shape of x. */
Test(recognize_rotary_embedding, works_where_the_number_of_samples_is_a_symbol)
{
    rewritten(graph_of("x float32['N',2,2,4]", HALVES, WRITTEN), ONLY, 7, MAKES, "", TIGHT);
}

Test(recognize_rotary_embedding, says_what_does_not_fit)
{
    untouched(graph_of(X, C_HALVES "; s float32[2,4] = 0,2,0,3,0.5,-3,0.5,-3", WRITTEN), PASS,
              "- n: no RotaryEmbedding: sines are not known to be the same for both of a pair\n");
    untouched(graph_of(X "; c float32[2,4]", S_HALVES, WRITTEN), PASS,
              "- n: no RotaryEmbedding: cosines are not known to be the same for both of a pair\n");
    untouched(graph_of(X "; c float32[1,1,2,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25", S_HALVES, WRITTEN),
              PASS,
              "- n: no RotaryEmbedding: cosines are not known to be the same for both of a pair\n");
    untouched(graph_of(X, NEIGHBOURS, WRITTEN), PASS, "cosines are not known to be the same");
    untouched(graph_of("x float32[3,2,2,4]",
                       "c float32[1,2,1,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25; "
                       "s float32[1,2,2,4] = 0,2,0,2,0.5,-3,0.5,-3,0,2,0,2,0.5,-3,0.5,-3",
                       WRITTEN),
              PASS,
              "- n: no RotaryEmbedding: angles do not follow the positions, or differ by head\n");
    untouched(graph_of("x float32[3,2,'S',4]; f float32[1,1,'T',2]", "k int64[] = 1",
                       "Concat f f -> ff 'axis': -1; Cos ff -> c; Sin ff -> s; " WRITTEN),
              PASS,
              "- n: no RotaryEmbedding: angles do not follow the positions, or differ by head\n");
    untouched(graph_of(X, "c float32[1,4] = 1,0.5,1,0.5; s float32[1,4] = 0,2,0,2", WRITTEN), PASS,
              "- n: no RotaryEmbedding: angles do not follow the positions, or differ by head\n");
    untouched(graph_of(X, "c float32[4] = 1,0.5,1,0.5; s float32[4] = 0,2,0,2", WRITTEN), PASS,
              "- n: no RotaryEmbedding: cosines are not one for each pair\n");
}

Test(recognize_rotary_embedding, leaves_what_others_read)
{
    static char constants[4096];
    snprintf(constants, sizeof constants, "%s", HALVES INTEGERS);
    untouched(lines(X, constants, WRITTEN, "y t"), PASS,
              "- n: no RotaryEmbedding: Concat's output is also an output of the graph or of a "
              "body\n");
    untouched(lines(X, constants, WRITTEN "; Abs n -> z", "y z"), PASS,
              "- n: no RotaryEmbedding: Neg's output is also read by z\n");
    untouched(
        lines(X, constants, WRITTEN, "y p"), PASS,
        "- n: no RotaryEmbedding: Mul's output is also an output of the graph or of a body\n");
    untouched(lines(X "; q0 bool[]", constants,
                    SLICES TURN
                    "Mul x c -> p; Mul t s -> q; Add p q -> y; If q0 -> z "
                    "'then_branch': {'graph': {'inputs': [], 'outputs': ['z1'], 'nodes': "
                    "[{'op': 'Abs', 'inputs': ['t'], 'outputs': ['z1']}]}}, "
                    "'else_branch': {'graph': {'inputs': [], 'outputs': ['z2'], 'nodes': "
                    "[{'op': 'Abs', 'inputs': ['x'], 'outputs': ['z2']}]}}",
                    "y z"),
              PASS, "- n: no RotaryEmbedding: Concat's output is also read by");
    /* a half that another reads stays */
    rewritten(lines(X, constants, WRITTEN "; Abs b -> z", "y z"), ONLY, 3, MAKES, "", TIGHT);
}

Test(recognize_rotary_embedding, leaves_what_is_turned_otherwise)
{
    static const char *const nodes[] = {
        SLICES "Neg a -> n; Concat n b -> t 'axis': -1; " SUM,  /* the first is negated */
        SLICES "Neg b -> n; Concat a n -> t 'axis': -1; " SUM,  /* and stays first */
        SLICES TURN "Mul x c -> p; Mul t s -> q; Sub p q -> y", /* the other way round */
        "Slice x one two last -> a; Slice x one far last -> b; " TURN SUM, /* no halves */
    };
    for (size_t k = 0; k < sizeof nodes / sizeof *nodes; k++)
        untouched(graph_of(X, HALVES "; c2 float32[] = 2", nodes[k]), PASS, "");
    untouched(graph_of(X, HALVES "; c2 float32[] = 2",
                       SLICES TURN "Mul a c2 -> p; Concat p p -> p2 'axis': -1; Mul t s -> q; "
                                   "Add p2 q -> y"),
              PASS, "- n: no RotaryEmbedding: what is added is no product of what is turned\n");
    untouched(graph_of("x float64[3,2,2,4]",
                       "c float64[2,4] = 1,0.5,1,0.5,-1,0.25,-1,0.25; "
                       "s float64[2,4] = 0,2,0,2,0.5,-3,0.5,-3",
                       WRITTEN),
              PASS, "");
    untouched(graph_of(X, PAIRS,
                       SLICES "Mul a c -> e; Mul b s -> f; Sub e f -> g; Mul b s -> h; "
                              "Mul a c -> i; Add h i -> j; Concat g j -> y 'axis': -1"),
              PASS, "- g: no RotaryEmbedding: the second elements are turned by other angles\n");
}
