/* recognize_attention, recognize_masked_attention: attention that was written out is one node with
 * the same answers; what is not quite attention stays, and the log says why. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define ONLY "none,+recognize_attention"
#define WITH_IT "safe,+recognize_attention" /* on the reference alone it would rest */
#define MASKED "none,+recognize_masked_attention"
#define TIGHT 3e-6

#define QKV "q float32[2,3,5,4]; k float32[2,3,6,4]; v float32[2,3,6,7]"
#define HALF "c float32[] = 0.5"
#define TURN "Transpose k -> t 'perm': [0, 1, 3, 2]; "
#define CORE TURN "MatMul q t -> s; Mul s c -> z; Softmax z -> p 'axis': -1; MatMul p v -> y"

/* ---- heads in front ----------------------------------------------------------------------- */

Test(recognize_attention, finds_the_scale_wherever_it_stands)
{
    static const char *const nodes[] = {
        CORE,
        TURN "MatMul q t -> s; Mul c s -> z; Softmax z -> p 'axis': 3; MatMul p v -> y",
        TURN "MatMul q t -> s; Div s two -> z; Softmax z -> p; MatMul p v -> y",
        "Mul q c -> a; " TURN "MatMul a t -> s; Softmax s -> p; MatMul p v -> y",
        "Mul k c -> a; Transpose a -> t 'perm': [0, 1, 3, 2]; MatMul q t -> s; Softmax s -> p; "
        "MatMul p v -> y",
        TURN "Div t two -> a; MatMul q a -> s; Softmax s -> p; MatMul p v -> y",
        "Mul q r -> a; " TURN "Mul t r -> b; MatMul a b -> s; Softmax s -> p; MatMul p v -> y",
    };
    for (size_t k = 0; k < sizeof nodes / sizeof *nodes; k++) {
        const char *text = lines(QKV, HALF "; two float32[] = 2; r float32[] = 0.70710678",
                                 nodes[k], "y");
        rewritten(text, ONLY, 1, "= Attention y/Attention(q, k, v) <- ",
                  " up to y are one Attention", TIGHT);
        same_specials(text, ONLY, TIGHT);
    }
}

static bool leaves_attention(const char *text, const char *backends, const char *passes)
{
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = backends, .passes = passes
    };
    static char graph[LOG_BYTES];
    running r = start_with(text, &options);
    graph[0] = 0;
    OK(tn_session_print(r.session, "graph", append_text, graph));
    stop(&r);
    return strstr(graph, "= Attention") != NULL;
}

/* On the reference alone, one node is not faster than its parts; who asks for it gets it. */
Test(recognize_attention, rests_where_only_the_reference_has_a_kernel)
{
    static char json[1 << 15];
    snprintf(json, sizeof json, "%s", lines(QKV, HALF, CORE, "y"));
    cr_assert(leaves_attention(json, "native,reference", NULL));
    cr_assert_not(leaves_attention(json, "reference", NULL));
    cr_assert_not(leaves_attention(json, "reference", "safe"));
    cr_assert(leaves_attention(json, "reference", "all"));
    cr_assert(leaves_attention(json, "reference", "safe,+recognize_attention"));
}

Test(recognize_attention, writes_a_scale_that_is_not_the_usual_one)
{
    rewritten(lines(QKV, "c float32[] = 0.25", CORE, "y"), ONLY, 1, "scale=0.25", "", TIGHT);
    rewritten(lines(QKV, "c float32[] = 3", CORE, "y"), ONLY, 1, "scale=3", "", 1e-5);
    rewritten(lines(QKV, "", TURN "MatMul q t -> s; Softmax s -> p; MatMul p v -> y", "y"), ONLY, 1,
              "scale=1", "", TIGHT);
}

Test(recognize_attention, works_in_other_types_and_without_heads)
{
    rewritten(lines("q float64[2,5,4]; k float64[2,6,4]; v float64[2,6,7]", "c float64[] = 0.5",
                    "Transpose k -> t 'perm': [0, 2, 1]; MatMul q t -> s; Mul s c -> z; "
                    "Softmax z -> p; MatMul p v -> y",
                    "y"),
              ONLY, 1, "q_num_heads=1 kv_num_heads=1", "", 1e-13);
    rewritten(lines("q float16[2,3,5,4]; k float16[2,3,6,4]; v float16[2,3,6,7]",
                    "c float16[] = 0.5", CORE, "y"),
              ONLY, 1, "= Attention", "", 1e-2);
}

Test(recognize_attention, turns_keys_that_come_turned)
{
    rewritten(lines("q float32[2,3,5,4]; t float32[2,3,4,6]; v float32[2,3,6,7]", HALF,
                    "MatMul q t -> s; Mul s c -> z; Softmax z -> p; MatMul p v -> y", "y"),
              ONLY, 2, "= Attention", "", TIGHT);
}

Test(recognize_attention, leaves_what_others_read_of_q_and_k)
{
    rewritten(lines(QKV, HALF, CORE "; Neg t -> n", "y n"), ONLY, 3,
              "= Attention y/Attention(q, k, v)", "", TIGHT);
}

Test(recognize_attention, keeps_symbols)
{
    rewritten(lines("q float32['B',3,'S',4]; k float32['B',3,'T',4]; v float32['B',3,'T',7]", HALF,
                    CORE, "y"),
              ONLY, 1, "= Attention y/Attention(q, k, v)", "", TIGHT);
}

/* ---- heads side by side ------------------------------------------------------------------- */

#define ROWS "q float32[2,5,12]; k float32[2,6,12]; v float32[2,6,9]"
#define SPLITS "c float32[] = 0.5; h int64[4] = 0,0,3,4; g int64[4] = 0,0,3,3; f int64[3] = 0,0,9"
#define SPLIT_Q "Reshape q h -> q4; Transpose q4 -> qt 'perm': [0, 2, 1, 3]; "
#define SPLIT_K "Reshape k h -> k4; Transpose k4 -> kt 'perm': [0, 2, 3, 1]; "
#define SPLIT_V "Reshape v g -> v4; Transpose v4 -> vt 'perm': [0, 2, 1, 3]; "
#define JOIN "Transpose m -> mt 'perm': [0, 2, 1, 3]; Reshape mt f -> y"
#define PACKED                                                                                     \
    SPLIT_Q SPLIT_K SPLIT_V "MatMul qt kt -> s; Mul s c -> z; Softmax z -> p; MatMul p vt -> m; "

Test(recognize_attention, takes_rows_with_heads_side_by_side)
{
    const char *text = lines(ROWS, SPLITS, PACKED JOIN, "y");
    rewritten(text, ONLY, 1, "= Attention y/Attention(q, k, v) q_num_heads=3 kv_num_heads=3", "",
              TIGHT);
    rewritten(text, WITH_IT, 1, "= Attention y/Attention(q, k, v) q_num_heads=3 kv_num_heads=3",
              "* 12 nodes up to y are one Attention\n", TIGHT);
    same_specials(text, WITH_IT, TIGHT);
}

Test(recognize_attention, takes_them_with_symbols)
{
    rewritten(lines("q float32['B','S',12]; k float32['B','T',12]; v float32['B','T',9]", SPLITS,
                    PACKED JOIN, "y"),
              WITH_IT, 1, "= Attention y/Attention(q, k, v) q_num_heads=3", "", TIGHT);
}

Test(recognize_attention, keeps_heads_apart_where_they_are_wanted_so)
{
    rewritten(lines(ROWS, SPLITS, PACKED "Neg m -> y", "y"), ONLY, 8, "= Attention m/Attention(",
              "", TIGHT);
    rewritten(
        lines(ROWS, SPLITS, PACKED "Transpose m -> mt 'perm': [0, 2, 1, 3]; Neg mt -> y", "y"),
        WITH_IT, 3, "= Attention mt/Attention(q, k, v) q_num_heads=3", "", TIGHT);
    rewritten(
        lines(ROWS, SPLITS, PACKED "Transpose m -> mt 'perm': [0, 2, 3, 1]; Neg mt -> y", "y"),
        ONLY, 9, "= Attention m/Attention(", "", TIGHT);
}

Test(recognize_attention, takes_rows_first_without_a_batch)
{
    const char *text = lines(
        "q float32[5,3,4]; k float32[6,3,4]; v float32[6,3,2]", HALF,
        "Mul q c -> a; Transpose a -> qt 'perm': [1, 0, 2]; Transpose k -> kt 'perm': [1, 2, 0]; "
        "Transpose v -> vt 'perm': [1, 0, 2]; MatMul qt kt -> s; Softmax s -> p; "
        "MatMul p vt -> m; Transpose m -> y 'perm': [1, 0, 2]",
        "y");
    rewritten(text, ONLY, 5, "q_num_heads=3 kv_num_heads=3", "* 8 nodes up to y are one Attention",
              TIGHT);
    same_specials(text, ONLY, TIGHT);
}

Test(recognize_attention, takes_heads_before_they_are_repeated)
{
    const char *const repeat =
        "Unsqueeze k two -> k5; Expand k5 e -> ke; Reshape ke r -> kr; Unsqueeze v two -> v5; "
        "Expand v5 e -> ve; Reshape ve r -> vr; Transpose kr -> t 'perm': [0, 1, 3, 2]; "
        "MatMul q t -> s; Mul s c -> z; Softmax z -> p; MatMul p vr -> y";
    rewritten(lines("q float32[2,6,5,4]; k float32[2,2,7,4]; v float32[2,2,7,4]",
                    HALF "; two int64[1] = 2; e int64[5] = 1,1,3,1,1; r int64[4] = 2,6,7,4", repeat,
                    "y"),
              ONLY, 1, "= Attention y/Attention(q, k, v) <- ",
              "* 11 nodes up to y are one Attention", TIGHT);
    untouched(lines("q float32[2,6,5,4]; k float32[2,2,7,4]; v float32[2,6,7,4]",
                    HALF "; two int64[1] = 2; e int64[5] = 1,1,3,1,1; r int64[4] = 2,6,7,4",
                    "Unsqueeze k two -> k5; Expand k5 e -> ke; Reshape ke r -> kr; "
                    "Transpose kr -> t 'perm': [0, 1, 3, 2]; MatMul q t -> s; Mul s c -> z; "
                    "Softmax z -> p; MatMul p v -> y",
                    "y"),
              "recognize_attention",
              "- p: no Attention: samples and heads of Q, K and V are not known to be the same\n");
}

/* ---- masks -------------------------------------------------------------------------------- */

#define MASKED_CORE                                                                                \
    TURN "MatMul q t -> s; Mul s c -> z; Add z m -> w; Softmax w -> p; MatMul p v -> y"
#define NEVER                                                                                      \
    "- p: no Attention: the mask may hide every key of a query: NaN becomes 0 "                    \
    "(recognize_masked_attention)\n"

Test(recognize_attention, takes_a_mask_made_of_integers_and_constants)
{
    const char *text = lines(
        QKV "; i int64[2,1,1,6]", HALF "; one float32[] = 1; far float32[] = -10",
        "Cast i -> f 'to': 1; Sub one f -> g; Mul g far -> m; " MASKED_CORE, "y");
    rewritten(text, ONLY, 4, "= Attention y/Attention(q, k, v, m) <- ", "", TIGHT);
    same_specials(text, ONLY, TIGHT);
    rewritten(lines(QKV "; b bool[5,6]", HALF "; zero float32[] = 0; far float32[] = -3e38",
                    "Where b zero far -> m; " MASKED_CORE, "y"),
              ONLY, 2, "= Attention y/Attention(q, k, v, m) <- ", "", TIGHT);
}

Test(recognize_attention, takes_a_constant_mask_that_leaves_each_query_a_key)
{
    const char *const inputs = "q float32[1,1,2,4]; k float32[1,1,3,4]; v float32[1,1,3,2]";
    const char *text = lines(inputs,
                             HALF "; m float32[2,3] = 0,'-Infinity','-Infinity','-Infinity',0,1",
                             MASKED_CORE, "y");
    rewritten(text, ONLY, 1, "= Attention", "", TIGHT);
    same_specials(text, ONLY, TIGHT);
    untouched(lines(inputs, HALF "; m float32[2,3] = 0,0,0,'-Infinity','-Infinity','-Infinity'",
                    MASKED_CORE, "y"),
              "recognize_attention", NEVER);
}

Test(recognize_attention, does_not_trust_other_masks)
{
    untouched(lines(QKV "; m float32[5,6]", HALF, MASKED_CORE, "y"), "recognize_attention", NEVER);
    untouched(lines(QKV "; i int64[6]", HALF "; far float32[] = -3e38",
                    "Cast i -> f 'to': 1; Mul f far -> m; " MASKED_CORE, "y"),
              "recognize_attention", NEVER);
    untouched(lines(QKV "; b bool[5,6]", HALF "; zero float32[] = 0; far float32[] = '-Infinity'",
                    "Where b zero far -> m; " MASKED_CORE, "y"),
              "recognize_attention", NEVER);
    untouched(lines(QKV "; b bool[5,6]; far float32[] = -9", HALF "; zero float32[] = 0",
                    "Where b zero far -> m; " MASKED_CORE, "y"),
              "recognize_attention", NEVER);
}

Test(recognize_masked_attention, takes_any_mask_that_has_every_key)
{
    rewritten(lines(QKV "; m float32[2,1,5,6]", HALF, MASKED_CORE, "y"), MASKED, 1,
              "= Attention y/Attention(q, k, v, m)", "", TIGHT);
    untouched(lines(QKV "; m float32[5,1]", HALF, MASKED_CORE, "y"), "recognize_masked_attention",
              "- p: no Attention: the mask is not known to have every key\n");
    untouched(lines("q float32[2,5,4]; k float32[2,6,4]; v float32[2,6,7]; m float32[2,5,6]", HALF,
                    "Transpose k -> t 'perm': [0, 2, 1]; MatMul q t -> s; Mul s c -> z; "
                    "Add z m -> w; Softmax w -> p; MatMul p v -> y",
                    "y"),
              "recognize_masked_attention",
              "- p: no Attention: the mask differs by sample, and there is no axis of heads\n");
}

/* The test's bools are false, true, false … : no row is without a key. */
Test(recognize_masked_attention, takes_scores_that_are_replaced)
{
    rewritten(lines(QKV "; b bool[5,6]", HALF "; far float32[] = -1e9",
                    TURN "MatMul q t -> s; Mul s c -> z; Where b z far -> w; Softmax w -> p; "
                         "MatMul p v -> y",
                    "y"),
              MASKED, 1, "= Attention y/Attention(q, k, v, b)", "", TIGHT);
    rewritten(lines(QKV "; b bool[5,6]", HALF "; far float32[] = '-Infinity'",
                    TURN "MatMul q t -> s; Mul s c -> z; Where b far z -> w; Softmax w -> p; "
                         "MatMul p v -> y",
                    "y"),
              MASKED, 2, "= Attention y/Attention(q, k, v, y/Not)", "", TIGHT);
    untouched(lines(QKV "; b bool[5,6]", HALF "; far float32[] = -5",
                    TURN "MatMul q t -> s; Mul s c -> z; Where b z far -> w; Softmax w -> p; "
                         "MatMul p v -> y",
                    "y"),
              "recognize_masked_attention", "");
    untouched(lines(QKV "; b bool[5,6]", HALF "; far float32[] = -1e9",
                    TURN "MatMul q t -> s; Mul s c -> z; Where b z far -> w; Softmax w -> p; "
                         "MatMul p v -> y",
                    "y"),
              "recognize_attention",
              "- p: no Attention: Where drops a NaN that Attention spreads "
              "(recognize_masked_attention)\n");
}

/* ---- what stays --------------------------------------------------------------------------- */

Test(recognize_attention, says_what_does_not_fit)
{
    untouched(lines(QKV, HALF, CORE "; Neg p -> n", "y n"), "recognize_attention",
              "- p: no Attention: Softmax's output is also read by n\n");
    untouched(lines(QKV, HALF, CORE, "y p"), "recognize_attention",
              "- p: no Attention: Softmax's output is also an output of the graph or of a body\n");
    untouched(lines(QKV, HALF, CORE "; Neg z -> n", "y n"), "recognize_attention",
              "- p: no Attention: Mul's output is also read by n\n");
    untouched(lines(QKV, HALF, CORE, "y s"), "recognize_attention",
              "- p: no Attention: MatMul's output is also an output of the graph or of a body\n");
    untouched(lines(QKV, "c float32[] = -0.5", CORE, "y"), "recognize_attention",
              "- p: no Attention: the scale is -0.5\n");
    untouched(lines("q float32[2,3,5,4]; k float32[2,1,6,4]; v float32[2,1,6,7]", HALF, CORE, "y"),
              "recognize_attention",
              "- p: no Attention: samples and heads of Q, K and V are not known to be the same\n");
    untouched(lines("q float32[2,3,5,4]; k float32[1,3,6,4]; v float32[2,3,6,7]", HALF, CORE, "y"),
              "recognize_attention",
              "- p: no Attention: samples and heads of Q, K and V are not known to be the same\n");
}

Test(recognize_attention, wants_softmax_over_the_keys)
{
    untouched(lines("q float32[2,3,5,4]; k float32[2,3,5,4]; v float32[2,3,5,7]", HALF,
                    TURN "MatMul q t -> s; Mul s c -> z; Softmax z -> p 'axis': 2; MatMul p v -> y",
                    "y"),
              "recognize_attention", "- p: no Attention: Softmax is not over the keys\n");
}

Test(recognize_attention, wants_a_constant_scale)
{
    untouched(lines(QKV "; c float32[] = 0.5", "", CORE, "y"), "recognize_attention",
              "- p: no Attention: 'c' is an input with a default, which a run may replace\n");
    untouched(lines(QKV "; c float32[]", "", CORE, "y"), "recognize_attention", "");
    untouched(lines(QKV, "c float32[6] = 1,1,1,1,1,2", CORE, "y"), "recognize_attention", "");
    untouched(
        lines("q float64[2,3,5,4]; k float64[2,3,6,4]; v float64[2,3,6,7]", "c float64[] = 0.1",
              CORE, "y"),
        "recognize_attention",
        "- p: no Attention: the scale is 0.10000000000000001, which the attribute, a float32, "
        "cannot hold\n");
}

Test(recognize_attention, stays_out_of_other_bodies)
{
    untouched(lines(QKV "; b bool[]", HALF,
                    TURN "MatMul q t -> s; Mul s c -> z; Softmax z -> p; "
                         "If b -> y 'then_branch': {'graph': {'inputs': [], 'outputs': ['a'], "
                         "'nodes': [{'name': 'mix', 'op': 'MatMul', 'inputs': ['p', 'v'], "
                         "'outputs': ['a']}]}}, 'else_branch': {'graph': {'inputs': [], 'outputs': "
                         "['e'], 'nodes': [{'op': 'Neg', 'inputs': ['v'], 'outputs': ['e']}]}}",
                    "y"),
              "recognize_attention",
              "- p: no Attention: Softmax's output is read in another body, by mix\n");
}

/* ---- several masks ------------------------------------------------------------------------- */

Test(recognize_attention, adds_up_masks_that_cannot_hide_all)
{
    rewritten(lines(QKV "; seen bool[2,1,1,6]",
                    HALF "; far float32[] = -1e4; zero float32[] = 0; "
                         "bias float32[3,5,1] = 1,2,3,4,5,6,7,8,9,-1,-2,-3,-4,-5,-6",
                    TURN
                    "Where seen zero far -> m; MatMul q t -> s; Mul s c -> z; Add z bias -> b; "
                    "Add m b -> w; Softmax w -> p; MatMul p v -> y",
                    "y"),
              ONLY, 3, "= Attention y/Attention(q, k, v, y/Add)", "", TIGHT);
}

/* Two of the lowest numbers make minus infinity, and a row of that NaN. */
Test(recognize_attention, leaves_masks_that_may_hide_all_together)
{
    untouched(lines(QKV "; seen bool[2,1,1,6]; read bool[5,6]",
                    HALF "; far float32[] = -3.4e38; zero float32[] = 0",
                    TURN
                    "Where seen zero far -> m; Where read zero far -> n; MatMul q t -> s; "
                    "Mul s c -> z; Add z n -> b; Add m b -> w; Softmax w -> p; MatMul p v -> y",
                    "y"),
              "recognize_attention",
              "- p: no Attention: the mask may hide every key of a query: NaN becomes 0 "
              "(recognize_masked_attention)\n");
}

#define GUARDED                                                                                    \
    TURN "MatMul q t -> s; Mul s c -> z; Where seen z far -> w; Softmax w -> p; IsNaN p -> n; "    \
         "Where n zero p -> g; MatMul g v -> y"
#define GUARD_CONSTANTS HALF "; far float32[] = -1e30; zero float32[] = 0; one float32[] = 1"

Test(recognize_masked_attention, takes_a_guard_against_nan)
{
    rewritten(lines(QKV "; seen bool[2,1,5,6]", GUARD_CONSTANTS, GUARDED, "y"),
              "none,+recognize_masked_attention", 1, "= Attention y/Attention(q, k, v, seen)", "",
              TIGHT);
    untouched(lines(QKV, GUARD_CONSTANTS,
                    TURN "MatMul q t -> s; Mul s c -> z; Softmax z -> p; IsNaN p -> n; "
                         "Where n zero p -> g; MatMul g v -> y",
                    "y"),
              "recognize_attention",
              "- p: no Attention: a NaN behind Softmax becomes 0 (recognize_masked_attention)\n");
    untouched(lines(QKV "; seen bool[2,1,5,6]", GUARD_CONSTANTS,
                    TURN "MatMul q t -> s; Mul s c -> z; Where seen z far -> w; Softmax w -> p; "
                         "IsNaN p -> n; Where n one p -> g; MatMul g v -> y",
                    "y"),
              "recognize_masked_attention", "");
}

Test(recognize_masked_attention, chooses_from_a_mask_that_is_added)
{
    rewritten(lines(QKV "; seen bool[2,1,5,6]",
                    GUARD_CONSTANTS "; bias float32[3,1,6] = 1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9",
                    TURN "MatMul q t -> s; Mul s c -> z; Add z bias -> b; Where seen b far -> w; "
                         "Softmax w -> p; MatMul p v -> y",
                    "y"),
              "none,+recognize_masked_attention", 2, "= Attention y/Attention(q, k, v, y/Where)",
              "", TIGHT);
}
