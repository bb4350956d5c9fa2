/* matrix_chain and merge_matmuls: fewer multiplications, fewer products, the same answers; what
 * nearly matches stays. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "rewrites.h"

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
