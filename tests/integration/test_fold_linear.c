/* fold_scale, fold_shift, fold_pad, fold_transpose, fold_sum: the answers with and without; what nearly folds
 * stays and the log says why. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "rewrites.h"

#define SAY(name, op, in, out) NAMED(name, op, in, out, "")
#define RANDOM(name, shape, seed)                                                                  \
    "'" name "': {'dtype': 'float32', 'shape': " shape                                             \
    ", 'random': {'distribution': 'normal', 'seed': " seed "}}"
#define NET_OF(shape, outputs, constants, nodes)                                                   \
    GRAPH("'inputs': [" IN("x", "float32", shape) "], 'outputs': [" outputs                        \
                                                  "], 'constants': {" constants                    \
                                                  "}, 'nodes': [" nodes "]")
#define IMAGE "[2, 4, 6, 5]"
#define W RANDOM("w", "[6, 4, 3, 3]", "1")
#define CONV NAMED("conv", "Conv", "'x', 'w'", "'h'", "'pads': [1, 1, 1, 1]")
#define ROUNDING 2e-5

/* ---- behind --------------------------------------------------------------------------------- */

Test(fold_scale, goes_behind_a_conv_for_each_channel_or_as_one)
{
    static const char *const shapes[] = { "[6, 1, 1]", "[1, 6, 1, 1]", "[]", "[1]" };
    static const char *const nodes[] = { SAY("scale", "Mul", "'h', 'c'", "'y'"),
                                         SAY("scale", "Mul", "'c', 'h'", "'y'"),
                                         SAY("scale", "Div", "'h', 'c'", "'y'") };
    for (int s = 0; s < 4; s++)
        for (int n = 0; n < 3; n++) {
            char text[4096];
            snprintf(text, sizeof text,
                     NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "%s", "2"), CONV ", %s"), shapes[s],
                     nodes[n]);
            rewritten(text, NULL, 1, "= Conv conv(x, ", "* scale folded into conv\n", 1e-4);
        }
}

Test(fold_scale, gives_the_numbers_worked_out_by_hand)
{
    /* (2 x + 1) 3 = 6 x + 3, and (2 x + 1) / 4 = x/2 + 1/4, of x = 1 */
    running r = start(
        GRAPH("'inputs': [" IN("x", "float32", "[1, 1, 1]") "], 'outputs': ['y'], 'constants': {" CONSTANT(
            "w", "float32", "[2, 1, 1]",
            "[2, 2]") ", " CONSTANT("b", "float32", "[2]",
                                    "[1, 1]") ", " CONSTANT("c", "float32", "[2, 1]",
                                                            "[3, 0.25]") "}, 'nodes': [" SAY("conv",
                                                                                             "Conv",
                                                                                             "'x', 'w', 'b'",
                                                                                             "'h'") ", " SAY("scale",
                                                                                                             "Mul",
                                                                                                             "'h', 'c'",
                                                                                                             "'y'") "]"),
        NULL);
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r.session, &stats);
    cr_expect_eq(stats.nodes_left, 1);
    set(&r, "x", TN_FLOAT32, 3, DIMS(1, 1, 1), F(1));
    go(&r);
    is_floats(out(&r, 0), 3, DIMS(1, 2, 1), F(9, 0.75f));
    stop(&r);
}

Test(fold_shift, becomes_the_bias)
{
    static const char *const nodes[] = { SAY("shift", "Add", "'c', 'h'", "'y'"),
                                         SAY("shift", "Sub", "'h', 'c'", "'y'"),
                                         SAY("shift", "Sub", "'c', 'h'", "'y'") };
    for (int n = 0; n < 3; n++) {
        char text[4096];
        snprintf(text, sizeof text,
                 NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "[6, 1, 1]", "2"), CONV ", %s"), nodes[n]);
        rewritten(text, NULL, 1, "= Conv conv(x, ", "* shift folded into conv\n", 1e-4);
    }
    /* the weights are those of before where only the bias changes */
    rewritten(NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "[6, 1, 1]", "2"),
                     CONV ", " SAY("shift", "Add", "'h', 'c'", "'y'")),
              NULL, 1, "Conv conv(x, w, conv/bias)", "", 1e-4);
}

Test(fold_scale, goes_into_matrices_of_every_kind)
{
    rewritten(
        NET_OF("[3, 4]", "'y'",
               RANDOM("w", "[5, 4]", "1") ", " RANDOM("b", "[5]", "2") ", " RANDOM("c", "[5]", "3"),
               NAMED("gemm", "Gemm", "'x', 'w', 'b'", "'h'",
                     "'transB': 1, 'alpha': 0.5, 'beta': 2.0") ", " SAY("scale", "Mul", "'h', 'c'",
                                                                        "'t'") ", " SAY("shift",
                                                                                        "Add",
                                                                                        "'t', 'c'",
                                                                                        "'y'")),
        NULL, 1, "= Gemm gemm", "* shift folded into gemm\n", ROUNDING);
    rewritten(NET_OF("[3, 4]", "'y'", RANDOM("w", "[4, 5]", "1") ", " RANDOM("c", "[1, 5]", "3"),
                     SAY("product", "MatMul", "'x', 'w'", "'h'") ", " SAY("shift", "Add",
                                                                          "'h', 'c'", "'y'")),
              NULL, 1, "= Gemm product", "* shift folded into product\n", ROUNDING);
    rewritten(NET_OF("[2, 3, 4]", "'y'", RANDOM("w", "[4, 5]", "1") ", " RANDOM("c", "[5]", "3"),
                     SAY("product", "MatMul", "'x', 'w'", "'h'") ", " SAY("scale", "Mul",
                                                                          "'h', 'c'", "'y'")),
              NULL, 1, "= MatMul product", "* scale folded into product\n", ROUNDING);
    rewritten(NET_OF("[2, 4, 5]", "'y'",
                     RANDOM("w", "[4, 3, 3]", "1") ", " RANDOM("c", "[3, 1]", "3"),
                     SAY("up", "ConvTranspose", "'x', 'w'", "'h'") ", " SAY("scale", "Mul",
                                                                            "'h', 'c'", "'y'")),
              NULL, 1, "= ConvTranspose up", "* scale folded into up\n", ROUNDING);
}

/* ---- before --------------------------------------------------------------------------------- */

Test(fold_scale, goes_into_the_conv_that_reads_it)
{
    rewritten(NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "[4, 1, 1]", "2"),
                     SAY("scale", "Mul", "'x', 'c'", "'h'") ", " NAMED(
                         "conv", "Conv", "'h', 'w'", "'y'", "'pads': [1, 1, 1, 1]")),
              NULL, 1, "= Conv conv(x, ", "* scale folded into conv\n", 1e-4);
    rewritten(
        NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "[4, 1, 1]", "2"),
               SAY("shift", "Sub", "'x', 'c'", "'h'") ", " SAY("conv", "Conv", "'h', 'w'", "'y'")),
        NULL, 1, "= Conv conv(x, w, conv/bias)", "* shift folded into conv\n", 1e-4);
    rewritten(NET_OF("[2, 3, 4]", "'y'", RANDOM("w", "[4, 5]", "1") ", " RANDOM("c", "[4]", "3"),
                     SAY("scale", "Mul", "'x', 'c'", "'h'") ", " SAY("product", "MatMul",
                                                                     "'h', 'w'", "'y'")),
              NULL, 1, "= MatMul product(x, ", "* scale folded into product\n", ROUNDING);
}

Test(fold_shift, does_not_cross_padding)
{
    untouched(
        NET_OF(IMAGE, "'y'", W ", " RANDOM("c", "[4, 1, 1]", "2"),
               SAY("shift", "Sub", "'x', 'c'", "'h'") ", " NAMED("conv", "Conv", "'h', 'w'", "'y'",
                                                                 "'pads': [1, 1, 1, 1]")),
        "fold_shift",
        "- conv: Sub not folded: Conv pads its input with zeros, which the shift would not reach\n");
}

/* ---- near misses ---------------------------------------------------------------------------- */

#define SCALED(shape, outputs, more)                                                               \
    NET_OF(IMAGE, outputs, W ", " RANDOM("c", shape, "2"),                                         \
           CONV ", " SAY("scale", "Mul", "'h', 'c'", "'y'") more)

Test(fold_scale, says_what_does_not_fit)
{
    untouched(
        SCALED("[6, 1, 1]", "'y', 'h'", ""), "fold_scale",
        "- conv: Mul not folded: Conv's output is also an output of the graph or of a body\n");
    untouched(SCALED("[6, 1, 1]", "'y', 'z'", ", " SAY("other", "Neg", "'h'", "'z'")), "fold_scale",
              "- conv: Mul not folded: Conv's output is also read by other\n");
    untouched(
        SCALED("[5]", "'y'", ""), "fold_scale",
        "- conv: Mul not folded: the constant varies along axis 3, and channels lie on axis 1\n");
    untouched(
        SCALED("[2, 1, 1, 1]", "'y'", ""), "fold_scale",
        "- conv: Mul not folded: the constant varies along axis 0, and channels lie on axis 1\n");
    untouched(SCALED("[1, 1, 6, 1, 1]", "'y'", ""), "fold_scale",
              "- conv: Mul not folded: the constant raises the rank\n");
    untouched(NET_OF(IMAGE, "'y'", W ", " CONSTANT("c", "float32", "[]", "[0]"),
                     CONV ", " SAY("scale", "Div", "'h', 'c'", "'y'")),
              "fold_scale",
              "- conv: Div not folded: the constant, or one divided by it, is not finite\n");
    untouched(NET_OF(IMAGE, "'y'", W ", " CONSTANT("c", "float32", "[]", "[3]"),
                     CONV ", " SAY("scale", "Div", "'c', 'h'", "'y'")),
              "fold_scale", "");
    untouched(
        NET_OF("[1, 6, 6, 5]", "'y'", RANDOM("w", "[6, 6, 1, 1]", "1"),
               SAY("conv", "Conv", "'x', 'w'", "'h'") ", " SAY("scale", "Mul", "'h', 'x'", "'y'")),
        "fold_scale", "");
}

Test(fold_scale, wants_constants_that_no_run_replaces)
{
    untouched(
        GRAPH("'inputs': [" IN(
            "x", "float32",
            IMAGE) ", {'name': 'c', 'dtype': 'float32', "
                   "'shape': [], 'default': {'dtype': 'float32', 'shape': [], 'data': [2]}}], "
                   "'outputs': ['y'], 'constants': {" W "}, 'nodes': [" CONV
                   ", " SAY("scale", "Mul", "'h', 'c'", "'y'") "]"),
        "fold_scale",
        "- conv: Mul not folded: the constant 'c' is an input with a default, which a run may "
        "replace\n");
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", IMAGE) ", " IN(
            "w", "float32",
            "[6, 4, 3, 3]") "], 'outputs': ['y'], 'constants': {" RANDOM("c", "[]",
                                                                         "2") "}, 'nodes': [" CONV
                                                                              ", " SAY("scale",
                                                                                       "Mul",
                                                                                       "'h', 'c'",
                                                                                       "'y'") "]"),
        "fold_scale", "- conv: Mul not folded: W 'w' is no constant\n");
}

Test(fold_scale, does_not_leave_its_body)
{
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", IMAGE) ", " IN(
            "b", "bool",
            "[]") "], "
                  "'outputs': ['y'], 'constants': {" W
                  ", " RANDOM("c", "[6, 1, 1]", "2") "}, 'nodes': [" CONV ", " NAMED(
                      "if", "If", "'b'", "'y'",
                      "'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': [" SAY(
                          "scale", "Mul", "'h', 'c'",
                          "'t'") "]}}, 'else_branch': {'graph': "
                                 "{'inputs': [], 'outputs': ['e'], 'nodes': [" SAY(
                                     "neg", "Neg", "'h'", "'e'") "]}}") "]"),
        "fold_scale", "- conv: Mul not folded: it stands in another body\n");
}

/* ---- Pad ------------------------------------------------------------------------------------- */

#define PADS(data) CONSTANT("pads", "int64", "[8]", data)
#define AROUND PADS("[0, 0, 1, 2, 0, 0, 0, 1]")
#define PAD SAY("pad", "Pad", "'x', 'pads'", "'h'")

Test(fold_pad, goes_into_a_conv)
{
    rewritten(NET_OF(IMAGE, "'y'", W ", " AROUND,
                     PAD ", " NAMED("conv", "Conv", "'h', 'w'", "'y'", "'pads': [1, 0, 2, 0]")),
              NULL, 1, "pads=[2,2,2,1]", "* pad folded into conv\n", 0);
    rewritten(NET_OF(IMAGE, "'y'",
                     W ", " CONSTANT("pads", "int64", "[2]",
                                     "[1, 2]") ", " CONSTANT("axis", "int64", "[1]", "[-1]"),
                     SAY("pad", "Pad", "'x', 'pads', '', 'axis'", "'h'") ", " NAMED(
                         "conv", "Conv", "'h', 'w'", "'y'", "'auto_pad': 'VALID'")),
              NULL, 1, "pads=[0,1,0,2]", "* pad folded into conv\n", 0);
}

Test(fold_pad, goes_into_pools_that_pad_alike)
{
    rewritten(NET_OF(IMAGE, "'y'", AROUND,
                     PAD ", " NAMED("pool", "AveragePool", "'h'", "'y'", "'kernel_shape': [3, 3]")),
              NULL, 1, "count_include_pad=1", "* pad folded into pool\n", 1e-6);
    rewritten(NET_OF(IMAGE, "'y'", AROUND ", " CONSTANT("low", "float32", "[]", "['-Infinity']"),
                     SAY("pad", "Pad", "'x', 'pads', 'low'", "'h'") ", " NAMED(
                         "pool", "MaxPool", "'h'", "'y'", "'kernel_shape': [3, 3]")),
              NULL, 1, "pads=[1,2,0,1]", "* pad folded into pool\n", 0);
}

Test(fold_pad, says_what_does_not_fit)
{
#define PADDED(pads, node) NET_OF(IMAGE, "'y'", W ", " pads, PAD ", " node)
#define READING_CONV SAY("conv", "Conv", "'h', 'w'", "'y'")
    untouched(PADDED(PADS("[0, 1, 0, 0, 0, 0, 0, 0]"),
                     NAMED("pool", "AveragePool", "'h'", "'y'", "'kernel_shape': [3, 3]")),
              "fold_pad", "- pool: Pad not folded: it pads samples or channels\n");
    untouched(PADDED(PADS("[0, 0, 1, 0, 0, 0, -1, 0]"), READING_CONV), "fold_pad",
              "- conv: Pad not folded: it cuts off instead of padding\n");
    untouched(PADDED(AROUND, NAMED("pool", "MaxPool", "'h'", "'y'", "'kernel_shape': [3, 3]")),
              "fold_pad",
              "- pool: Pad not folded: MaxPool pads with minus infinity, it does not\n");
    untouched(PADDED(AROUND, NAMED("pool", "AveragePool", "'h'", "'y'",
                                   "'kernel_shape': [3, 3], 'pads': [1, 1, 1, 1]")),
              "fold_pad", "- pool: Pad not folded: AveragePool does not count its own padding\n");
    untouched(PADDED(AROUND, NAMED("pool", "AveragePool", "'h'", "'y'",
                                   "'kernel_shape': [3, 3], 'ceil_mode': 1")),
              "fold_pad", "- pool: Pad not folded: the pool rounds its extent up\n");
    untouched(PADDED(AROUND, NAMED("pool", "AveragePool", "'h'", "'y'", "'kernel_shape': [2, 2]")),
              "fold_pad", "- pool: Pad not folded: a window would lie in the padding alone\n");
    untouched(PADDED(AROUND, NAMED("conv", "Conv", "'h', 'w'", "'y'", "'auto_pad': 'SAME_UPPER'")),
              "fold_pad", "- conv: Pad not folded: auto_pad depends on the extent\n");
    untouched(NET_OF(IMAGE, "'y'", W ", " AROUND,
                     NAMED("pad", "Pad", "'x', 'pads'", "'h'", "'mode': 'edge'") ", " READING_CONV),
              "fold_pad", "- conv: Pad not folded: it repeats or mirrors values\n");
    untouched(NET_OF(IMAGE, "'y'", W ", " AROUND ", " CONSTANT("one", "float32", "[]", "[1]"),
                     SAY("pad", "Pad", "'x', 'pads', 'one'", "'h'") ", " READING_CONV),
              "fold_pad", "- conv: Pad not folded: it does not pad with zeros\n");
    untouched(NET_OF(IMAGE, "'y', 'h'", W ", " AROUND, PAD ", " READING_CONV), "fold_pad",
              "- conv: Pad not folded: Pad's output is also an output of the graph or of a body\n");
    untouched(NET_OF("[1, 1, 3, 3]", "'y'",
                     CONSTANT("w", "float32", "[1, 1, 1, 1]", "['Infinity']") ", " AROUND,
                     PAD ", " READING_CONV),
              "fold_pad", "- conv: Pad not folded: a weight is not finite: zero times it is NaN\n");
}

/* ---- Transpose ------------------------------------------------------------------------------- */

#define TWO_MATRICES(a, b, outputs, nodes)                                                         \
    GRAPH("'inputs': [" IN("x", "float32", a) ", " IN(                                             \
        "z", "float32", b) "], 'outputs': [" outputs "], 'nodes': [" nodes "]")

Test(fold_transpose, turns_an_operand_of_a_gemm)
{
    rewritten(TWO_MATRICES("[4, 3]", "[4, 5]", "'y'",
                           NAMED("turn", "Transpose", "'x'", "'t'",
                                 "'perm': [1, 0]") ", " SAY("gemm", "Gemm", "'t', 'z'", "'y'")),
              NULL, 1, "transA=1", "* turn folded into gemm\n", 0);
    rewritten(TWO_MATRICES("[3, 4]", "[4, 5]", "'y'",
                           SAY("turn", "Transpose", "'z'",
                               "'t'") ", " NAMED("gemm", "Gemm", "'x', 't'", "'y'", "'transB': 1")),
              NULL, 1, "transB=0", "* turn folded into gemm\n", 0);
    rewritten(TWO_MATRICES("[3, 4]", "[5, 4]", "'y'",
                           SAY("turn", "Transpose", "'z'", "'t'") ", " SAY("product", "MatMul",
                                                                           "'x', 't'", "'y'")),
              NULL, 1, "= Gemm product(x, z)", "* turn folded into product\n", ROUNDING);
}

Test(fold_transpose, says_what_does_not_fit)
{
    untouched(
        TWO_MATRICES(
            "[4, 3]", "[4, 5]", "'y', 't'",
            SAY("turn", "Transpose", "'x'", "'t'") ", " SAY("gemm", "Gemm", "'t', 'z'", "'y'")),
        "fold_transpose",
        "- gemm: Transpose not folded: Transpose's output is also an output of the graph or of "
        "a body\n");
    untouched(
        TWO_MATRICES("[4, 3]", "[2, 4, 5]", "'y'",
                     SAY("turn", "Transpose", "'x'", "'t'") ", " SAY("product", "MatMul",
                                                                     "'t', 'z'", "'y'")),
        "fold_transpose",
        "- product: Transpose not folded: MatMul's inputs are not both known to be matrices\n");
    untouched(
        TWO_MATRICES("[4, 4]", "[4]", "'y'",
                     SAY("turn", "Transpose", "'x'", "'t'") ", " SAY(
                         "gemm", "Gemm", "'t', 't'", "'y'") ", " SAY("other", "Neg", "'z'", "'w'")),
        "fold_transpose", "- gemm: Transpose not folded: Transpose's output is read twice\n");
}

/* ---- sums ------------------------------------------------------------------------------------ */

#define SUM_OF(z, nodes)                                                                           \
    GRAPH("'inputs': [" IN("x", "float32", "[3, 4]") ", " IN("z", "float32", z) ", " IN(           \
        "v", "float32", "[4, 5]") "], 'outputs': ['y'], 'nodes': [" nodes "]")
#define PRODUCT SAY("product", "MatMul", "'x', 'v'", "'h'")

Test(fold_sum, takes_a_summand_that_need_not_be_constant)
{
    static const char *const extents[] = { "[3, 5]", "[5]", "[1, 5]", "[3, 1]", "[]" };
    for (int k = 0; k < 5; k++) {
        char text[4096];
        snprintf(text, sizeof text, SUM_OF("%s", PRODUCT ", " SAY("sum", "Add", "'h', 'z'", "'y'")),
                 extents[k]);
        rewritten(text, "none,+fold_sum", 1, "float32[3,5] = Gemm product(x, v, z)",
                  "* sum folded into product\n", ROUNDING);
        same_specials(text, "none,+fold_sum", ROUNDING);
    }
    rewritten(SUM_OF("[3, 5]",
                     NAMED("product", "Gemm", "'x', 'v'", "'h'",
                           "'alpha': 0.5, 'beta': 3.0") ", " SAY("sum", "Add", "'z', 'h'", "'y'")),
              "none,+fold_sum", 1, "= Gemm product(x, v, z) alpha=0.5",
              "* sum folded into product\n", ROUNDING);
}

Test(fold_sum, says_what_does_not_fit)
{
    untouched(SUM_OF("['N', 5]", PRODUCT ", " SAY("sum", "Add", "'h', 'z'", "'y'")), "fold_sum",
              "- product: Add not folded: the other summand's extents are not known to be those of "
              "the product\n");
    untouched(SUM_OF("[2, 3, 5]", PRODUCT ", " SAY("sum", "Add", "'h', 'z'", "'y'")), "fold_sum",
              "- product: Add not folded: the other summand's extents are not known to be those of "
              "the product\n");
    untouched(SUM_OF("[3, 5]", PRODUCT ", " SAY("sum", "Add", "'h', 'h'", "'y'")), "fold_sum",
              "- product: Add not folded: MatMul's output is read twice\n");
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", "[3, 4]") ", " IN("z", "float32", "[5]") ", " IN(
            "v", "float32", "[4, 5]") "], 'outputs': ['y', 'h'], 'nodes': [" PRODUCT
                                      ", " SAY("sum", "Add", "'h', 'z'", "'y'") "]"),
        "fold_sum",
        "- product: Add not folded: MatMul's output is also an output of the graph or of a "
        "body\n");
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", "[2, 3, 4]") ", " IN("z", "float32", "[5]") ", " IN(
            "v", "float32", "[4, 5]") "], 'outputs': ['y'], 'nodes': [" PRODUCT
                                      ", " SAY("sum", "Add", "'h', 'z'", "'y'") "]"),
        "fold_sum", "");
    untouched(SUM_OF("[3, 5]", SAY("product", "Gemm", "'x', 'v', 'z'",
                                   "'h'") ", " SAY("sum", "Add", "'h', 'z'", "'y'")),
              "fold_sum", "");
}
