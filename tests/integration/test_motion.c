/* matrix_chain and merge_matmuls: fewer multiplications, fewer products, the same answers; what
 * nearly matches stays. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

#define SAY(name, op, in, out) NAMED(name, op, in, out, "")
#define RANDOM(name, shape, seed)                                                                  \
    "'" name "': {'dtype': 'float32', 'shape': " shape                                             \
    ", 'random': {'distribution': 'normal', 'std': 0.3, 'seed': " seed "}}"
#define NET_OF(inputs, outputs, constants, nodes)                                                  \
    GRAPH("'inputs': [" inputs "], 'outputs': [" outputs "], 'constants': {" constants             \
          "}, 'nodes': [" nodes "]")
#define ROUNDING 1e-4

/* Outside strict math, since an infinity may go another way. */
static void reordered(const char *text, uint64_t nodes, const char *op, const char *words)
{
    static outcome with, without;
    run_graph(text, NULL, TN_MATH_FAST, NULL, &with);
    run_graph(text, "none", TN_MATH_FAST, NULL, &without);
    cr_expect_eq(with.nodes, nodes, "%d\n%s", (int)with.nodes, with.log);
    cr_expect(strstr(with.graph, op), "%s\nhas no %s", with.graph, op);
    cr_expect(strstr(with.log, words), "%s\nhas no\n%s", with.log, words);
    same_answers(&with, &without, ROUNDING);
}

static void stays_fast(const char *text, const char *why)
{
    static outcome with;
    run_graph(text, "none,+matrix_chain", TN_MATH_FAST, NULL, &with);
    cr_expect(strstr(with.log, why), "%s\nhas no\n%s", with.log, why);
    cr_expect(!strstr(with.log, "    * "), "%s", with.log);
    cr_expect(*why || !strstr(with.log, "    - "), "%s", with.log);
}

#define FOUR                                                                                       \
    IN("a", "float32", "[10, 20]")                                                                 \
    ", " IN("b", "float32", "[20, 5]") ", " IN("c", "float32", "[5, 30]") ", " IN("d", "float32",  \
                                                                                  "[30, 2]")
#define LEFT_TO_RIGHT(last)                                                                        \
    SAY("ab", "MatMul", "'a', 'b'", "'ab'")                                                        \
    ", " SAY("abc", "MatMul", "'ab', 'c'", "'abc'") ", " SAY("abcd", "MatMul", "'abc', 'd'", last)

Test(matrix_chain, takes_the_cheapest_of_all_orders)
{
    /* as written 1000 + 1500 + 600; A(B(CD)) 300 + 200 + 400; (AB)(CD) 1000 + 300 + 100 */
    reordered(NET_OF(FOUR, "'y'", "", LEFT_TO_RIGHT("'y'")), 3, "= MatMul abcd/0-3(a, ",
              "* abcd: a chain of 4 matrices takes 900 multiplications, not 3100\n");
}

Test(matrix_chain, computes_constants_once)
{
    /* x 2x30, B 30x4, C 4x30: (xB)C is 240 + 240, x(BC) with BC made once is 1800: stays */
    stays_fast(
        NET_OF(IN("x", "float32", "[2, 30]"), "'y'",
               RANDOM("b", "[30, 4]", "1") ", " RANDOM("c", "[4, 30]", "2"),
               SAY("p", "MatMul", "'x', 'b'", "'p'") ", " SAY("q", "MatMul", "'p', 'c'", "'y'")),
        "");
    /* B 30x20, C 20x2: 1200 + 80 as written, 120 with BC made once */
    reordered(
        NET_OF(IN("x", "float32", "[2, 30]"), "'y'",
               RANDOM("b", "[30, 20]", "1") ", " RANDOM("c", "[20, 2]", "2"),
               SAY("p", "MatMul", "'x', 'b'", "'p'") ", " SAY("q", "MatMul", "'p', 'c'", "'y'")),
        1, "= MatMul q/0-2(x, ",
        "* q: a chain of 3 matrices takes 120 multiplications, not 1280\n");
}

Test(matrix_chain, keeps_leading_axes_of_samples)
{
    reordered(
        NET_OF(IN("x", "float32", "[3, 2, 30]"), "'y'",
               RANDOM("b", "[30, 20]", "1") ", " RANDOM("c", "[20, 2]", "2"),
               SAY("p", "MatMul", "'x', 'b'", "'p'") ", " SAY("q", "MatMul", "'p', 'c'", "'y'")),
        1, "float32[3,2,2] = MatMul q/0-2(x, ",
        "* q: a chain of 3 matrices takes 360 multiplications, not 3840\n");
}

Test(matrix_chain, says_what_does_not_fit)
{
    untouched(NET_OF(FOUR, "'y'", "", LEFT_TO_RIGHT("'y'")), "matrix_chain",
              "- abcd: order of 4 matrices left: in strict math an infinity keeps its way\n");
    stays_fast(
        NET_OF(IN("a", "float32", "['N', 20]") ", " IN("b", "float32",
                                                       "[20, 5]") ", " IN("c", "float32", "[5, 2]"),
               "'y'", "",
               SAY("ab", "MatMul", "'a', 'b'", "'t'") ", " SAY("abc", "MatMul", "'t', 'c'", "'y'")),
        "- abc: order of 3 matrices left: an extent of 'a' is not known\n");
    /* a product in the middle that others read ends the chain */
    stays_fast(
        NET_OF(IN("a", "float32", "[10, 20]") ", " IN("b", "float32", "[20, 20]") ", " IN(
                   "c", "float32", "[20, 1]"),
               "'y', 't'", "",
               SAY("ab", "MatMul", "'a', 'b'", "'t'") ", " SAY("abc", "MatMul", "'t', 'c'", "'y'")),
        "");
}

/* ---- merging ------------------------------------------------------------------------------------- */

#define QKV                                                                                        \
    RANDOM("wq", "[6, 4]", "1") ", " RANDOM("wk", "[6, 4]", "2") ", " RANDOM("wv", "[6, 8]", "3")
#define THREE                                                                                      \
    SAY("q", "MatMul", "'x', 'wq'", "'yq'")                                                        \
    ", " SAY("k", "MatMul", "'x', 'wk'", "'yk'") ", " SAY("v", "MatMul", "'x', 'wv'", "'yv'")
#define X3 IN("x", "float32", "[2, 5, 6]")

Test(merge_matmuls, makes_one_product_of_three_where_asked)
{
    const char *text = NET_OF(X3, "'yq', 'yk', 'yv'", QKV, THREE);
    rewritten(text, NULL, 3, "= MatMul v(x, wv)", "  merge_matmuls ", 0);
    rewritten(text, "all", 2, "float32[2,5,16] = MatMul",
              "* 3 MatMul of one input from q on are one and a Split\n", 1e-6);
}

Test(merge_matmuls, joins_convs_of_one_kind_with_and_without_bias)
{
    rewritten(
        NET_OF(IN("x", "float32", "[2, 3, 5, 5]"), "'a', 'b', 'c'",
               RANDOM("w1", "[4, 3, 1, 1]", "1") ", " RANDOM("w2", "[2, 3, 1, 1]", "2") ", " RANDOM(
                   "w3", "[2, 3, 3, 3]", "3") ", " RANDOM("bias", "[2]", "4"),
               SAY("one", "Conv", "'x', 'w1'", "'a'") ", " SAY("two", "Conv", "'x', 'w2', 'bias'",
                                                               "'b'") ", " SAY("three", "Conv",
                                                                               "'x', 'w3'", "'c'")),
        "all", 3, "float32[2,6,5,5] = Conv",
        "* 2 Conv of one input from one on are one and a Split\n", 1e-6);
}

Test(merge_matmuls, says_what_does_not_fit)
{
    untouched(NET_OF(X3 ", " IN("wk", "float32", "[6, 4]"), "'yq', 'yk'",
                     RANDOM("wq", "[6, 4]", "1"),
                     SAY("q", "MatMul", "'x', 'wq'", "'yq'") ", " SAY("k", "MatMul", "'x', 'wk'",
                                                                      "'yk'")),
              "merge_matmuls", "- q not merged with others: k's weights are no constant\n");
    untouched(NET_OF(IN("x", "float32", "[2, 3, 5, 5]"), "'a', 'b'",
                     RANDOM("w1", "[4, 3, 1, 1]", "1") ", " RANDOM("w2", "[2, 3, 1, 1]", "2"),
                     SAY("one", "Conv", "'x', 'w1'", "'a'") ", " NAMED("two", "Conv", "'x', 'w2'",
                                                                       "'b'", "'strides': [2, 2]")),
              "merge_matmuls", "- one not merged with others: two is of another kind\n");
    untouched(NET_OF(IN("x", "float32", "[6, 6]"), "'a', 'b'", RANDOM("w1", "[6, 6]", "1"),
                     SAY("one", "MatMul", "'x', 'w1'", "'a'") ", " SAY("two", "MatMul", "'w1', 'x'",
                                                                       "'b'")),
              "merge_matmuls", "");
    untouched(NET_OF(X3 ", " IN("p", "bool", "[]"), "'yq', 'y'", QKV,
                     SAY("q", "MatMul", "'x', 'wq'", "'yq'") ", " NAMED(
                         "if", "If", "'p'", "'y'",
                         "'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': [" SAY(
                             "k", "MatMul", "'x', 'wk'",
                             "'t'") "]}}, 'else_branch': {'graph': {'inputs': [], "
                                    "'outputs': ['e'], 'nodes': [" SAY("neg", "Neg", "'x'",
                                                                       "'e'") "]}}")),
              "merge_matmuls", "");
}

/* ---- Transposes -------------------------------------------------------------------------------- */

#define TURN(name, in, out, perm) NAMED(name, "Transpose", in, out, "'perm': " perm)
#define LAST "[0, 2, 3, 1]"  /* channels last */
#define FRONT "[0, 3, 1, 2]" /* channels first */
#define PICTURE IN("x", "float32", "[2, 3, 4, 5]")
/* x is turned, something happens, and what comes out is turned back. */
#define BETWEEN(constants, nodes)                                                                  \
    NET_OF(PICTURE, "'y'", constants,                                                              \
           TURN("a", "'x'", "'t'", LAST) ", " nodes ", " TURN("b", "'u'", "'y'", FRONT))
#define INTS(name, count, data) CONSTANT(name, "int64", "[" count "]", data)
#define ONLY_TRANSPOSES "none,+push_transposes"

static void cancels(const char *text, uint64_t nodes, const char *op)
{
    rewritten(text, ONLY_TRANSPOSES, nodes, op, "* a: ", 1e-6);
}

Test(push_transposes, goes_through_elementwise_nodes)
{
    cancels(BETWEEN("", SAY("n", "Neg", "'t'", "'u'")), 1, "float32[2,3,4,5] = Neg n(x)");
    cancels(
        BETWEEN(CONSTANT("c", "float32", "[3]", "[1, 2, 3]"), SAY("n", "Add", "'c', 't'", "'u'")),
        1, "constant: float32[1,3,1,1] {1,2,3}");
    cancels(BETWEEN(CONSTANT("c", "float32", "[5, 1]", "[1, 2, 3, 4, 5]"),
                    SAY("n", "Mul", "'t', 'c'", "'u'")),
            1, "constant: float32[1,1,1,5] {1,2,3,4,5}");
    cancels(BETWEEN(CONSTANT("c", "float32", "[]", "[2]"), SAY("n", "Pow", "'t', 'c'", "'u'")), 1,
            "= Pow n(x, c)");
    cancels(BETWEEN(CONSTANT("l", "float32", "[]", "[-1]"),
                    SAY("m", "Clip", "'t', 'l'", "'v'") ", " SAY("n", "Sub", "'v', 't'", "'u'")),
            2, "= Sub n(v, x)");
}

Test(push_transposes, renames_axes)
{
    cancels(BETWEEN("", NAMED("n", "Softmax", "'t'", "'u'", "'axis': -1")), 1, "axis=1");
    cancels(BETWEEN("", NAMED("n", "Concat", "'t', 't'", "'u'", "'axis': 1")), 1,
            "float32[2,3,8,5] = Concat n(x, x) axis=2");
    cancels(BETWEEN(INTS("k", "2", "[1, -2]"), SAY("n", "ReduceMax", "'t', 'k'", "'u'")), 1,
            "float32[2,3,1,1] = ReduceMax");
    cancels(BETWEEN(INTS("s", "1", "[1]") ", " INTS("e", "1", "[3]") ", " INTS("k", "1", "[3]"),
                    SAY("n", "Slice", "'t', 's', 'e', 'k'", "'u'")),
            1, "float32[2,2,4,5] = Slice n(x, ");
    cancels(BETWEEN(INTS("p", "8", "[0, 1, 2, 3, 0, 0, 0, 4]"), SAY("n", "Pad", "'t', 'p'", "'u'")),
            1, "float32[2,10,5,7] = Pad n(x, ");
    cancels(BETWEEN(CONSTANT("f", "float32", "[4]", "[1, 2, 3, 1]"),
                    SAY("n", "Resize", "'t', '', 'f'", "'u'")),
            1, "float32[2,3,8,15] = Resize n(x, ");
    cancels(BETWEEN(INTS("k", "4", "[1, 2, 1, 3]"), SAY("n", "Tile", "'t', 'k'", "'u'")), 1,
            "float32[2,9,8,5] = Tile n(x, ");
    cancels(BETWEEN(INTS("k", "2", "[2, 0]"), NAMED("n", "Gather", "'t', 'k'", "'u'", "'axis': 3")),
            1, "float32[2,2,4,5] = Gather n(x, k) axis=1");
    cancels(BETWEEN(CONSTANT("s", "float32", "[3]", "[0.5, 0.25, 1]"),
                    NAMED("m", "QuantizeLinear", "'t', 's'", "'q'", "'axis': 3") ", " NAMED(
                        "n", "DequantizeLinear", "'q', 's'", "'u'", "'axis': -1")),
            2, "= DequantizeLinear n(q, s) axis=1");
}

Test(push_transposes, leaves_none_where_axes_go)
{
    /* a mean over rows and columns, whose answer has no axes left to turn */
    rewritten(NET_OF(PICTURE, "'y'", INTS("k", "2", "[1, 2]"),
                     TURN("a", "'x'", "'t'", LAST) ", " SAY("r", "Relu", "'t'", "'u'") ", " NAMED(
                         "n", "ReduceMean", "'u', 'k'", "'y'", "'keepdims': 0")),
              ONLY_TRANSPOSES, 2, "float32[2,3] = ReduceMean",
              "* a: 2 nodes turned, 1 Transposes become 0\n", 1e-6);
    rewritten(
        NET_OF(IN("x", "float32", "['N', 3, 1, 5]"), "'y'", INTS("k", "1", "[1]"),
               TURN("a", "'x'", "'t'", LAST) ", " SAY("s", "Squeeze", "'t', 'k'", "'u'") ", " TURN(
                   "b", "'u'", "'y'", "[0, 2, 1]")),
        ONLY_TRANSPOSES, 1, "= Squeeze s(x, ", "* a: 1 nodes turned, 2 Transposes become 0\n", 0);
}

Test(push_transposes, crosses_residual_sums)
{
    rewritten(
        NET_OF(PICTURE ", " IN("z", "float32", "[2, 3, 4, 5]"), "'y', 'w'", "",
               TURN("a", "'x'", "'t'", LAST) ", " TURN("b", "'z'", "'s'", LAST) ", " SAY(
                   "r", "Relu", "'s'",
                   "'p'") ", " SAY("n", "Add", "'t', 'p'",
                                   "'u'") ", " TURN("c", "'u'", "'y'",
                                                    FRONT) ", " TURN("d", "'p'", "'w'", FRONT)),
        ONLY_TRANSPOSES, 2, "= Add n(x, p)", "* a: 2 nodes turned, 4 Transposes become 0\n", 0);
}

Test(push_transposes, keeps_the_plain_form_for_its_other_readers)
{
    /* three become one: of what is an output in the middle */
    rewritten(NET_OF(PICTURE ", " IN("z", "float32", "[2, 3, 4, 5]"), "'y', 'u'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " TURN("b", "'z'", "'s'", LAST) ", " SAY(
                         "n", "Add", "'t', 's'", "'u'") ", " TURN("c", "'u'", "'y'", FRONT)),
              ONLY_TRANSPOSES, 2, "output u = ", "* a: 1 nodes turned, 3 Transposes become 1\n", 0);
    /* read in a body, and by a node that works on rows */
    rewritten(
        GRAPH("'inputs': [" PICTURE ", " IN("z", "float32", "[2, 3, 4, 5]") ", " IN("b", "bool", "[]") "], 'outputs': ['y', 'w'], 'nodes': [" TURN(
            "a", "'x'", "'t'",
            LAST) ", " TURN("a2", "'z'", "'s'",
                            LAST) ", " SAY("n", "Add", "'t', 's'",
                                           "'u'") ", " TURN("c", "'u'", "'y'",
                                                            FRONT) ", " NAMED("if", "If", "'b'",
                                                                              "'w'",
                                                                              "'then_branch': " BODY("", "'o'", SAY("abs", "Abs", "'u'", "'o'")) ", 'else_branch': " BODY(
                                                                                  "", "'e'",
                                                                                  SAY("neg", "Neg",
                                                                                      "'u'",
                                                                                      "'e'"))) "]"),
        ONLY_TRANSPOSES, 5, "= Abs", "3 Transposes become 1\n", 0); /* with two in bodies */
}

Test(push_transposes, stays_where_nothing_is_won)
{
    const char *none = "- a not moved: no fewer Transposes would be left\n";
    /* nothing turns it back, or an output in the middle needs one more */
    untouched(NET_OF(PICTURE, "'y'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY("n", "Neg", "'t'", "'y'")),
              "push_transposes", none);
    untouched(NET_OF(PICTURE, "'y', 'u', 't'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY("n", "Neg", "'t'", "'u'") ", " TURN(
                         "b", "'u'", "'y'", FRONT)),
              "push_transposes", none);
    /* nothing turns, however far one looks */
    untouched(NET_OF(PICTURE, "'y'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY("n", "Neg", "'t'", "'u'") ", " SAY(
                         "s", "Sign", "'u'", "'y'")),
              "push_transposes", none);
    untouched(NET_OF(PICTURE, "'y'", INTS("s", "2", "[2, -1]"),
                     TURN("a", "'x'", "'t'", LAST) ", " SAY("n", "Reshape", "'t', 's'", "'y'")),
              "push_transposes", "");
}

Test(push_transposes, says_which_node_is_in_the_way)
{
    untouched(NET_OF(PICTURE ", " IN("c", "float32", "[3]"), "'y'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY(
                         "n", "Add", "'t', 'c'", "'u'") ", " TURN("b", "'u'", "'y'", FRONT)),
              "push_transposes",
              "- a not moved through n: an operand has another rank, or one that is not known\n");
    untouched(NET_OF(PICTURE ", " IN("k", "int64", "[1]"), "'y'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY(
                         "n", "ReduceSum", "'t', 'k'", "'u'") ", " TURN("b", "'u'", "'y'", FRONT)),
              "push_transposes", "- a not moved through n: its axes are not constant\n");
    untouched(NET_OF(PICTURE ", {'name': 'k', 'dtype': 'int64', 'shape': [1], 'default': {'dtype': "
                             "'int64', 'shape': [1], 'data': [1]}}",
                     "'y'", "",
                     TURN("a", "'x'", "'t'", LAST) ", " SAY(
                         "n", "ReduceSum", "'t', 'k'", "'u'") ", " TURN("b", "'u'", "'y'", FRONT)),
              "push_transposes", "- a not moved through n: its axes are not constant\n");
    untouched(
        NET_OF(IN("x", "float32", "[2, 3, 4]"), "'y'", RANDOM("w", "[3, 2]", "1"),
               TURN("a", "'x'", "'t'", "[0, 2, 1]") ", " SAY(
                   "n", "MatMul", "'t', 'w'", "'u'") ", " TURN("b", "'u'", "'y'", "[0, 2, 1]")),
        "push_transposes", "- a not moved through n: it works on the last axis, which moves\n");
}

Test(push_transposes, goes_through_rows_with_the_last_axis_in_place)
{
    rewritten(
        NET_OF(IN("x", "float32", "[2, 'T', 4]"), "'y'", RANDOM("w", "[4, 3]", "1"),
               TURN("a", "'x'", "'t'", "[1, 0, 2]") ", " SAY(
                   "n", "MatMul", "'t', 'w'", "'u'") ", " TURN("b", "'u'", "'y'", "[1, 0, 2]")),
        ONLY_TRANSPOSES, 1, "float32[2,T,3] = MatMul n(x, w)", "* a: ", 0);
}

/* ---- Transpose as Reshape ------------------------------------------------------------------------ */

Test(transpose_to_reshape, takes_what_moves_axes_of_extent_1_only)
{
    rewritten(NET_OF(IN("x", "float32", "['N', 1, 5, 1]"), "'y'", "",
                     TURN("a", "'x'", "'y'", "[3, 0, 2, 1]")),
              "none,+transpose_to_reshape", 1, "float32[1,N,5,1] = Reshape a(x, ",
              "* a is a Reshape: it only moves axes of extent 1\n", 0);
    untouched(
        NET_OF(IN("x", "float32", "[1, 2, 5]"), "'y'", "", TURN("a", "'x'", "'y'", "[0, 2, 1]")),
        "transpose_to_reshape", "");
    untouched(
        NET_OF(IN("x", "float32", "['N', 2, 1]"), "'y'", "", TURN("a", "'x'", "'y'", "[1, 0, 2]")),
        "transpose_to_reshape", "");
    untouched(NET_OF(IN("x", "float32", "['N', 1, 'M']"), "'y'", "",
                     TURN("a", "'x'", "'y'", "[1, 0, 2]")),
              "transpose_to_reshape",
              "- a is no Reshape: more than one extent is open, or one is 0\n");
}

/* ---- Reshapes ------------------------------------------------------------------------------------- */

#define THERE(in) SAY("a", "Reshape", in ", 's'", "'t'")
#define BACK(in) SAY("b", "Reshape", in ", 'r'", "'y'")
#define SHAPES INTS("s", "3", "[2, 3, 20]") ", " INTS("r", "2", "[6, 20]")
#define ONLY_RESHAPES "none,+push_reshapes"
#define MOVED "* a moved down into b\n"

Test(push_reshapes, merges_two_across_other_nodes)
{
    rewritten(NET_OF(IN("x", "float32", "[6, 4, 5]"), "'y'", SHAPES,
                     THERE("'x'") ", " SAY("n", "Neg", "'t'", "'u'") ", " BACK("'u'")),
              ONLY_RESHAPES, 2, "float32[6,4,5] = Neg n(x)", MOVED, 0);
    rewritten(NET_OF(IN("x", "float32", "[6, 20]"), "'y'",
                     SHAPES ", " RANDOM("c", "[20]", "1") ", " RANDOM("w", "[20, 20]", "2"),
                     THERE("'x'") ", " SAY("n", "MatMul", "'t', 'w'", "'u'") ", " SAY(
                         "m", "Add", "'c', 'u'", "'v'") ", " NAMED("o", "Softmax", "'v'", "'z'",
                                                                   "'axis': -1") ", " BACK("'z'")),
              ONLY_RESHAPES, 4, "float32[6,20] = Softmax o(v)", MOVED, 0);
    rewritten(NET_OF(IN("x", "float32", "[6, 'N']"), "'y'",
                     INTS("s", "3", "[2, 3, -1]") ", " INTS("r", "2", "[6, -1]") ", " CONSTANT(
                         "k", "float32", "[1]", "[3]"),
                     THERE("'x'") ", " SAY("n", "Mul", "'k', 't'", "'u'") ", " BACK("'u'")),
              ONLY_RESHAPES, 2, "float32[6,N] = Mul n(k, x)", MOVED, 0);
}

Test(push_reshapes, says_what_is_in_the_way)
{
    untouched(NET_OF(IN("x", "float32", "[6, 4, 5]"), "'y'", SHAPES ", " RANDOM("c", "[20]", "1"),
                     THERE("'x'") ", " SAY("n", "Add", "'t', 'c'", "'u'") ", " BACK("'u'")),
              "push_reshapes",
              "- a not moved to b: a node between works on the last axis, which it changes\n");
    untouched(NET_OF(IN("x", "float32", "[120]"), "'y'",
                     SHAPES ", " CONSTANT("c", "float32", "[1, 1]", "[2]"),
                     THERE("'x'") ", " SAY("n", "Add", "'t', 'c'", "'u'") ", " BACK("'u'")),
              "push_reshapes", "- a not moved to b: an operand has more axes than what it reads\n");
    untouched(NET_OF(IN("x", "float32", "['N', 'M', 4]"), "'y'", INTS("r", "1", "[0]"),
                     SAY("a", "Unsqueeze", "'x', 'r'", "'t'") ", " SAY(
                         "n", "Neg", "'t'", "'u'") ", " SAY("b", "Unsqueeze", "'u', 'r'", "'y'")),
              "push_reshapes",
              "- a not moved to b: more than one extent of b is open, or one is 0\n");
}

Test(push_reshapes, leaves_what_others_read)
{
    untouched(NET_OF(IN("x", "float32", "[6, 20]"), "'y', 't'", SHAPES,
                     THERE("'x'") ", " SAY("n", "Neg", "'t'", "'u'") ", " BACK("'u'")),
              "push_reshapes", "");
    untouched(NET_OF(IN("x", "float32", "[6, 20]"), "'y', 'u'", SHAPES,
                     THERE("'x'") ", " SAY("n", "Neg", "'t'", "'u'") ", " BACK("'u'")),
              "push_reshapes", "");
    untouched(
        NET_OF(IN("x", "float32", "[6, 20]"), "'y'", SHAPES,
               THERE("'x'") ", " NAMED("n", "Softmax", "'t'", "'u'", "'axis': 1") ", " BACK("'u'")),
        "push_reshapes", "");
    untouched(NET_OF(IN("x", "float32", "[6, 20]") ", " IN("z", "float32", "[2, 3, 20]"), "'y'",
                     SHAPES, THERE("'x'") ", " SAY("n", "Add", "'t', 'z'", "'u'") ", " BACK("'u'")),
              "push_reshapes", "");
}

/* ---- Einsum ---------------------------------------------------------------------------------------- */

#define EINSUM(equation) NAMED("e", "Einsum", "'q', 'k'", "'y'", "'equation': '" equation "'")
#define HEADS IN("q", "float32", "[2, 5, 3, 4]") ", " IN("k", "float32", "[2, 6, 3, 4]")
#define ONLY_EINSUM "none,+einsum_to_matmul"

Test(einsum_to_matmul, turns_and_reshapes_as_letters_ask)
{
    rewritten(NET_OF(HEADS, "'y'", "", EINSUM("bihd,bjhd->bhij")), ONLY_EINSUM, 3,
              "float32[2,3,5,6] = MatMul", "* e is a MatMul\n", 1e-5);
    rewritten(NET_OF(HEADS, "'y'", "", EINSUM("bihd, bjhd -> bhji")), ONLY_EINSUM, 3,
              "float32[2,3,6,5] = MatMul", "* e is a MatMul\n", 1e-5);
    rewritten(NET_OF(IN("q", "float32", "[3, 4]") ", " IN("k", "float32", "[4, 'N']"), "'y'", "",
                     EINSUM("ij,jk")),
              ONLY_EINSUM, 1, "float32[3,N] = MatMul e/MatMul(q, k)", "", 1e-5);
    rewritten(NET_OF(IN("q", "float32", "[2, 5, 3, 4]") ", " IN("k", "float32", "[4, 3, 7]"), "'y'",
                     "", EINSUM("bihd,dho->bio")),
              ONLY_EINSUM, 5, "float32[10,7] = MatMul", "", 1e-5);
    rewritten(NET_OF(IN("q", "float32", "[5, 4]") ", " IN("k", "float32", "[5, 4]"), "'y'", "",
                     EINSUM("bd,bd->b")),
              ONLY_EINSUM, 4, "float32[5,1,1] = MatMul", "", 1e-5);
}

Test(einsum_to_matmul, says_what_it_is_not)
{
    const char *sums = "- e: no MatMul: nothing is summed over both operands, or a letter of one "
                       "alone is\n",
               *letters = "- e: no MatMul: an ellipsis, or a letter twice in one operand\n";
    untouched(NET_OF(HEADS, "'y'", "", EINSUM("bihd,bjhe->bij")), "einsum_to_matmul", sums);
    untouched(NET_OF(IN("q", "float32", "[2, 3]") ", " IN("k", "float32", "[4, 5]"), "'y'", "",
                     EINSUM("ab,cd->abcd")),
              "einsum_to_matmul", sums);
    untouched(NET_OF(HEADS, "'y'", "", EINSUM("...ihd,...jhd->...hij")), "einsum_to_matmul",
              letters);
    untouched(NET_OF(IN("q", "float32", "[4, 4]") ", " IN("k", "float32", "[4, 5]"), "'y'", "",
                     EINSUM("ii,ij->j")),
              "einsum_to_matmul", letters);
    untouched(NET_OF(IN("q", "float32", "[3, 1]") ", " IN("k", "float32", "[4, 5]"), "'y'", "",
                     EINSUM("ij,jk->ik")),
              "einsum_to_matmul",
              "- e: no MatMul: the extents of a letter are not known to be equal\n");
    untouched(NET_OF(IN("q", "float32", "['N', 'M', 4]") ", " IN("k", "float32", "[4, 5]"), "'y'",
                     "", EINSUM("nmj,jk->nmk")),
              "einsum_to_matmul", "- e: no MatMul: more than one extent is open, or one is 0\n");
    untouched(NET_OF(IN("q", "int32", "[3, 4]") ", " IN("k", "int32", "[4, 5]"), "'y'", "",
                     EINSUM("ij,jk->ik")),
              "einsum_to_matmul", "");
}

/* ---- Gather as Slice ------------------------------------------------------------------------------ */

#define PICK(indices, count)                                                                       \
    NET_OF(IN("x", "float32", "[2, 6]"), "'y'", INTS("k", count, indices),                         \
           NAMED("g", "Gather", "'x', 'k'", "'y'", "'axis': 1"))

Test(gather_to_slice, takes_evenly_spaced_indices)
{
    rewritten(PICK("[1, 2, 3]", "3"), "none,+gather_to_slice", 1, "float32[2,3] = Slice g(x, ",
              "* g is a Slice\n", 0);
    rewritten(PICK("[-1, 3, 1]", "3"), "none,+gather_to_slice", 1, "float32[2,3] = Slice g(x, ",
              "* g is a Slice\n", 0);
    rewritten(PICK("[2, 1, 0]", "3"), "none,+gather_to_slice", 1, "float32[2,3] = Slice g(x, ",
              "* g is a Slice\n", 0);
    rewritten(PICK("[4]", "1"), "none,+gather_to_slice", 1, "float32[2,1] = Slice g(x, ",
              "* g is a Slice\n", 0);
    /* two that divide a value */
    rewritten(NET_OF(IN("x", "float32", "[2, 4]"), "'y', 'z'",
                     INTS("k", "2", "[0, 1]") ", " INTS("l", "2", "[2, 3]"),
                     NAMED("g", "Gather", "'x', 'k'", "'y'",
                           "'axis': 1") ", " NAMED("h", "Gather", "'x', 'l'", "'z'", "'axis': -1")),
              NULL, 1, "= Split g/Split(x, ", "* h is a Slice\n", 0);
}

Test(gather_to_slice, says_what_does_not_fit)
{
    untouched(PICK("[0, 1, 3]", "3"), "gather_to_slice",
              "- g is no Slice: its indices are not evenly spaced\n");
    untouched(PICK("[1, 1]", "2"), "gather_to_slice",
              "- g is no Slice: its indices are not evenly spaced\n");
    untouched(NET_OF(IN("x", "float32", "['N', 6]"), "'y'", INTS("k", "2", "[0, 1]"),
                     SAY("g", "Gather", "'x', 'k'", "'y'")),
              "gather_to_slice", "- g is no Slice: the extent of axis 0 is not known\n");
    untouched(NET_OF(IN("x", "float32", "[2, 6]"), "'y'", CONSTANT("k", "int64", "[]", "[1]"),
                     SAY("g", "Gather", "'x', 'k'", "'y'")),
              "gather_to_slice", "");
    untouched(NET_OF(IN("x", "float32", "[6]"), "'y'", INTS("k", "2", "[0, 1]"),
                     SAY("g", "Gather", "'x', 'k'", "'y'")),
              "gather_to_slice", "");
    untouched(NET_OF(IN("x", "float32", "[3, 6]") ", " IN("k", "int64", "[2]"), "'y'", "",
                     SAY("g", "Gather", "'x', 'k'", "'y'")),
              "gather_to_slice", "");
}

/* A dozen blocks with a residual around each: all nodes are turned by one rewrite, which touches more
 * of them than stand in the order of the graph; only the input and the output keep a Transpose. */
Test(push_transposes, empties_a_long_network)
{
    char nodes[8192] = "";
    for (int k = 0; k < 12; k++) {
        const size_t used = strlen(nodes);
        snprintf(nodes + used, sizeof nodes - used,
                 "%sTranspose v%d -> a%d 'perm': [0, 3, 1, 2]; Conv a%d w -> c%d; "
                 "Transpose c%d -> d%d 'perm': [0, 2, 3, 1]; Add d%d b -> e%d; Relu e%d -> f%d; "
                 "Add f%d v%d -> v%d",
                 k ? "; " : "", k, k, k, k, k, k, k, k, k, k, k, k, k + 1);
    }
    rewritten(lines("v0 float32[2,5,6,2]",
                    "w float32[2,2,1,1] = 0.5, -0.25, 0.125, 0.5; "
                    "b float32[2] = 0.5, -1",
                    nodes, "v12"),
              "none,+push_transposes", 12 * 4 + 2, "= Transpose", "24 Transposes become 2", 1e-5);
}
