/* merge_…, join_split, inline_constant_if, recognize_global_average_pool: exactly the same answers
 * with fewer nodes; what nearly matches stays. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "rewrites.h"

#define SAY(name, op, in, out) NAMED(name, op, in, out, "")
#define NET_OF(shape, outputs, constants, nodes)                                                   \
    GRAPH("'inputs': [" IN("x", "float32", shape) "], 'outputs': [" outputs                        \
                                                  "], 'constants': {" constants                    \
                                                  "}, 'nodes': [" nodes "]")
#define INTS(name, count, data) CONSTANT(name, "int64", "[" count "]", data)

/* ---- Transpose ------------------------------------------------------------------------------- */

#define TURN(name, in, out, perm) NAMED(name, "Transpose", in, out, "'perm': " perm)

Test(merge_transposes, composes_them)
{
    rewritten(
        NET_OF("[2, 3, 4]", "'y'", "",
               TURN("a", "'x'", "'t'", "[1, 2, 0]") ", " TURN("b", "'t'", "'y'", "[0, 2, 1]")),
        NULL, 1, "= Transpose b(x) perm=[1,0,2]", "* b does what a did, too\n", 0);
    /* two that undo each other, and default permutations */
    rewritten(NET_OF("[2, 3, 4]", "'y'", "",
                     TURN("a", "'x'", "'t'", "[1, 2, 0]") ", " TURN(
                         "b", "'t'", "'u'", "[2, 0, 1]") ", " SAY("n", "Neg", "'u'", "'y'")),
              NULL, 1, "= Neg n(x)", "", 0);
    rewritten(NET_OF("[2, 3, 4]", "'y'", "",
                     SAY("a", "Transpose", "'x'", "'t'") ", " TURN("b", "'t'", "'y'", "[1, 2, 0]")),
              NULL, 1, "perm=[1,0,2]", "", 0);
}

Test(merge_transposes, leaves_the_first_to_its_other_readers)
{
    static outcome with, without;
    const char *text = NET_OF(
        "[2, 3, 4]", "'y', 't'", "",
        TURN("a", "'x'", "'t'", "[1, 2, 0]") ", " TURN("b", "'t'", "'y'", "[0, 2, 1]"));
    run_graph(text, NULL, TN_MATH_STRICT, NULL, &with);
    run_graph(text, "none", TN_MATH_STRICT, NULL, &without);
    cr_expect_eq(with.nodes, 2);
    same_answers(&with, &without, 0);
    untouched(NET_OF("[2, 3, 4]", "'y'", "",
                     TURN("a", "'x'", "'t'", "[1, 2, 0]") ", " SAY(
                         "n", "Neg", "'t'", "'u'") ", " TURN("b", "'u'", "'y'", "[0, 2, 1]")),
              "merge_transposes", "");
}

/* ---- Reshape and its kin ----------------------------------------------------------------------- */

Test(merge_reshapes, makes_one_of_two)
{
    rewritten(NET_OF("[2, 3, 4]", "'y'", INTS("s", "2", "[4, -1]"),
                     SAY("a", "Flatten", "'x'", "'t'") ", " SAY("b", "Reshape", "'t', 's'", "'y'")),
              NULL, 1, "float32[4,6] = Reshape b(x, ", "* a merged into b\n", 0);
    rewritten(NET_OF("[2, 1, 12]", "'y'", INTS("s", "3", "[0, 3, 4]") ", " INTS("one", "1", "[1]"),
                     SAY("a", "Squeeze", "'x', 'one'", "'t'") ", " SAY("b", "Reshape", "'t', 's'",
                                                                       "'y'")),
              NULL, 1, "float32[2,3,4] = Reshape b(x, ", "* a merged into b\n", 0);
    rewritten(
        NET_OF("['N', 1, 12]", "'y'", INTS("one", "1", "[1]"),
               SAY("a", "Squeeze", "'x', 'one'", "'t'") ", " SAY(
                   "b", "Flatten", "'t'", "'u'") ", " SAY("c", "Unsqueeze", "'u', 'one'", "'y'")),
        NULL, 0, "", "", 0);
}

Test(merge_reshapes, says_what_is_open)
{
    untouched(NET_OF("['N', 'M', 4]", "'y'", INTS("zero", "1", "[0]") ", " INTS("one", "1", "[1]"),
                     SAY("a", "Unsqueeze", "'x', 'zero'", "'t'") ", " SAY("b", "Unsqueeze",
                                                                          "'t', 'one'", "'y'")),
              "merge_reshapes",
              "- b not merged with a: more than one extent is open, or one is 0\n");
    untouched(NET_OF("[2, 3, 4]", "'y', 't'", INTS("s", "2", "[4, -1]"),
                     SAY("a", "Flatten", "'x'", "'t'") ", " SAY("b", "Reshape", "'t', 's'", "'y'")),
              "merge_reshapes", "");
}

/* ---- Cast ----------------------------------------------------------------------------------------- */

#define CASTS(from, between, to)                                                                   \
    GRAPH("'inputs': [" IN("x", from, "[24]") "], 'outputs': ['y'], 'nodes': [" NAMED(             \
        "a", "Cast", "'x'", "'t'", "'to': " between) ", " NAMED("b", "Cast", "'t'", "'y'",         \
                                                                "'to': " to) "]")

Test(merge_casts, goes_past_a_type_that_loses_nothing)
{
    rewritten(CASTS("float16", "1", "11"), NULL, 1, "= Cast b(x)", "* b reads what a read\n", 0);
    rewritten(CASTS("int32", "11", "7"), NULL, 1, "= Cast b(x)", "", 0);
    rewritten(CASTS("bool", "1", "6"), NULL, 1, "= Cast b(x)", "", 0);
    rewritten(CASTS("bfloat16", "1", "7"), NULL, 1, "= Cast b(x)", "", 0);
}

Test(merge_casts, stays_where_the_type_between_loses_something)
{
    const char *why =
        "- b not merged with a: the type between them does not hold every number of the first\n";
    untouched(CASTS("float32", "7", "1"), "merge_casts", why);  /* int64 cuts fractions off */
    untouched(CASTS("int64", "1", "7"), "merge_casts", why);    /* float32 has 24 digits */
    untouched(CASTS("float32", "10", "1"), "merge_casts", why); /* float16 */
    untouched(CASTS("float16", "16", "1"), "merge_casts", why); /* bfloat16 has fewer digits */
    untouched(CASTS("bfloat16", "10", "1"), "merge_casts", why);
    untouched(CASTS("int32", "9", "1"), "merge_casts", why);  /* bool */
    untouched(CASTS("int32", "13", "1"), "merge_casts", why); /* uint64 has no sign */
}

/* ---- Concat ----------------------------------------------------------------------------------------- */

#define JOIN(name, in, out, axis) NAMED(name, "Concat", in, out, "'axis': " axis)
#define ABS SAY("abs", "Abs", "'x'", "'p'")

Test(merge_concats, takes_the_inner_one_in_at_its_place)
{
    rewritten(NET_OF("[2, 3]", "'y'", "",
                     ABS ", " JOIN("inner", "'p', 'x'", "'t'",
                                   "1") ", " JOIN("outer", "'x', 't', 'p'", "'y'", "-1")),
              NULL, 2, "= Concat outer(x, p, x, p)", "* inner merged into outer\n", 0);
    untouched(NET_OF("[2, 3]", "'y'", "",
                     ABS ", " JOIN("inner", "'p', 'x'", "'t'", "0") ", " JOIN("outer", "'t', 't'",
                                                                              "'y'", "0")),
              "merge_concats", "");
    untouched(
        NET_OF("[3, 3]", "'y'", "",
               ABS ", " JOIN("inner", "'p', 'x'", "'t'", "0") ", " SAY(
                   "turn", "Transpose", "'t'", "'u'") ", " JOIN("outer", "'u', 'p'", "'y'", "1")),
        "merge_concats", "");
    untouched(NET_OF("[2, 3]", "'y', 't'", "",
                     ABS ", " JOIN("inner", "'p', 'x'", "'t'", "1") ", " JOIN("outer", "'x', 't'",
                                                                              "'y'", "1")),
              "merge_concats", "");
}

#define SPLIT                                                                                      \
    "{'name': 'split', 'op': 'Split', 'inputs': ['x', 'parts'], 'outputs': ['a', 'b', 'c'], 'attributes': {'axis': 1}}"
#define SPLIT_NET(outputs, join)                                                                   \
    NET_OF("[2, 6]", outputs, INTS("parts", "3", "[1, 2, 3]"), SPLIT ", " join)

Test(join_split, drops_what_puts_together_again)
{
    rewritten(SPLIT_NET("'z'", JOIN("join", "'a', 'b', 'c'", "'y'", "-1") ", " SAY("n", "Neg",
                                                                                   "'y'", "'z'")),
              NULL, 1, "= Neg n(x)", "* join undoes split\n", 0);
    untouched(SPLIT_NET("'y'", JOIN("join", "'a', 'c', 'b'", "'y'", "1")), "join_split",
              "- join does not undo split: the parts are in another order\n");
    untouched(SPLIT_NET("'y'", JOIN("join", "'a', 'b'", "'y'", "1")), "join_split",
              "- join does not undo split: not all parts are joined\n");
    untouched(
        NET_OF(
            "[4, 6]", "'y'", "",
            "{'name': 'split', 'op': 'Split', 'inputs': ['x'], 'outputs': ['a', 'b'], 'attributes': {'axis': 1, 'num_outputs': 2}}, " JOIN(
                "join", "'a', 'b'", "'y'", "0")),
        "join_split", "- join does not undo split: the axes differ\n");
    untouched(SPLIT_NET("'y'", JOIN("join", "'a', 'b', 'x'", "'y'", "1")), "join_split", "");
}

/* ---- Slice ---------------------------------------------------------------------------------------- */

#define CUT(n, start, end, axis)                                                                   \
    INTS("s" n, "1", start) ", " INTS("e" n, "1", end) ", " INTS("a" n, "1", axis)
#define SLICES                                                                                     \
    SAY("a", "Slice", "'x', 's1', 'e1', 'a1'", "'t'")                                              \
    ", " SAY("b", "Slice", "'t', 's2', 'e2', 'a2'", "'y'")

Test(merge_slices, cuts_several_axes_at_once)
{
    rewritten(NET_OF("[4, 6]", "'y'",
                     CUT("1", "[1]", "[3]", "[0]") ", " CUT("2", "[-4]", "[-1]", "[-1]"), SLICES),
              NULL, 1, "= Slice b(x, ", "* a merged into b\n", 0);
    untouched(NET_OF("[4, 6]", "'y'",
                     CUT("1", "[1]", "[3]", "[1]") ", " CUT("2", "[1]", "[2]", "[-1]"), SLICES),
              "merge_slices", "- b not merged with a: they cut the same axis\n");
    untouched(NET_OF("[4, 6]", "'y', 't'",
                     CUT("1", "[1]", "[3]", "[0]") ", " CUT("2", "[1]", "[2]", "[-1]"), SLICES),
              "merge_slices", "");
}

/* ---- If --------------------------------------------------------------------------------------------- */

#define BRANCHES                                                                                          \
    "'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'constants': {" CONSTANT(                  \
        "k", "float32", "[]",                                                                             \
        "[3]") "}, 'nodes': [" SAY("mul", "Mul", "'x', 'k'",                                              \
                                   "'u'") ", " SAY("add", "Add", "'u', 'k'",                              \
                                                   "'t'") "]}}, 'else_branch': {'graph': {'inputs': [], " \
                                                          "'outputs': ['e'], 'nodes': [" SAY(             \
                                                              "neg", "Neg", "'x'", "'e'") "]}}"

Test(inline_constant_if, puts_the_branch_in_its_place)
{
    rewritten(NET_OF("[5]", "'y'", CONSTANT("b", "bool", "[]", "[true]"),
                     NAMED("if", "If", "'b'", "'y'", BRANCHES)),
              NULL, 2, "= Mul", "* if is its then branch\n", 0);
    rewritten(NET_OF("[5]", "'y'", CONSTANT("b", "bool", "[1]", "[false]"),
                     NAMED("if", "If", "'b'", "'y'", BRANCHES)),
              NULL, 1, "= Neg", "* if is its else branch\n", 0);
}

Test(inline_constant_if, takes_a_branch_that_makes_nothing)
{
    rewritten(
        NET_OF(
            "[5]", "'z'", CONSTANT("b", "bool", "[]", "[true]"),
            NAMED(
                "if", "If", "'b'", "'y'",
                "'then_branch': {'graph': {'inputs': [], 'outputs': [{'name': 't', 'value': 'x'}], 'nodes': []}}, "
                "'else_branch': {'graph': {'inputs': [], 'outputs': ['e'], 'nodes': [" SAY(
                    "neg", "Neg", "'x'", "'e'") "]}}") ", " SAY("abs", "Abs", "'y'", "'z'")),
        NULL, 1, "= Abs abs(x)", "* if is its then branch\n", 0);
}

Test(inline_constant_if, stays_where_a_run_decides)
{
    untouched(GRAPH("'inputs': [" IN("x", "float32", "[5]") ", " IN(
                  "b", "bool", "[]") "], 'outputs': ['y'], 'nodes': [" NAMED("if", "If", "'b'",
                                                                             "'y'", BRANCHES) "]"),
              "inline_constant_if", "");
    untouched(
        GRAPH("'inputs': [" IN(
            "x", "float32",
            "[5]") ", {'name': 'b', 'dtype': 'bool', 'shape': [], 'default': "
                   "{'dtype': 'bool', 'shape': [], 'data': [true]}}], 'outputs': ['y'], 'nodes': [" NAMED(
                       "if", "If", "'b'", "'y'", BRANCHES) "]"),
        "inline_constant_if",
        "- if not inlined: its condition is an input with a default, which a run may replace\n");
}

Test(inline_constant_if, works_from_the_inside_out)
{
    rewritten(
        NET_OF("[5]", "'y'", CONSTANT("b", "bool", "[]", "[true]"),
               NAMED("outer", "If", "'b'", "'y'",
                     "'then_branch': {'graph': {'inputs': [], 'outputs': ['o'], 'nodes': [" NAMED(
                         "if", "If", "'b'", "'o'",
                         BRANCHES) "]}}, 'else_branch': {'graph': {'inputs': [], "
                                   "'outputs': ['n'], 'nodes': [" SAY("abs", "Abs", "'x'",
                                                                      "'n'") "]}}")),
        NULL, 2, "= Mul", "* outer is its then branch\n", 0);
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", "[5]") ", " IN("c", "bool", "[]") "], 'outputs': ['y'], 'constants': {" CONSTANT(
            "b", "bool", "[]",
            "[true]") "}, 'nodes': [" NAMED("outer", "If", "'b'", "'y'",
                                            "'then_branch': {'graph': {'inputs': [], 'outputs': ['o'], 'nodes': [" NAMED(
                                                "if", "If", "'c'", "'o'",
                                                BRANCHES) "]}}, 'else_branch': {'graph': {'inputs': [], "
                                                          "'outputs': ['n'], 'nodes': [" SAY(
                                                              "abs", "Abs", "'x'",
                                                              "'n'") "]}}") "]"),
        "inline_constant_if", "- outer not inlined: its branch holds other bodies\n");
}

/* ---- ReduceMean --------------------------------------------------------------------------------------- */

#define MEAN(attributes) NAMED("mean", "ReduceMean", "'x', 'axes'", "'y'", attributes)

Test(recognize_global_average_pool, takes_all_spatial_axes)
{
    rewritten(NET_OF("[2, 3, 4, 5]", "'y'", INTS("axes", "2", "[3, -2]"), MEAN("")), NULL, 1,
              "float32[2,3,1,1] = GlobalAveragePool",
              "* 1 nodes up to mean are one GlobalAveragePool\n", 1e-6);
    rewritten(NET_OF("[2, 3, 4, 5]", "'y'", INTS("axes", "2", "[2, 3]"), MEAN("'keepdims': 0")),
              NULL, 2, "float32[2,3] = Flatten", "* mean is a GlobalAveragePool and a Flatten\n",
              1e-6);
    untouched(NET_OF("[2, 3, 4, 5]", "'y'", INTS("axes", "1", "[2]"), MEAN("")),
              "recognize_global_average_pool", "");
    untouched(NET_OF("[2, 3, 4]", "'y'", INTS("axes", "1", "[2]"), MEAN("")),
              "recognize_global_average_pool", "");
    untouched(NET_OF("[2, 3, 4, 5]", "'y'", INTS("axes", "2", "[1, 2]"), MEAN("")),
              "recognize_global_average_pool", "");
    untouched(
        GRAPH("'inputs': [" IN(
            "x", "float32",
            "[2, 3, 4, 5]") ", {'name': 'axes', 'dtype': 'int64', 'shape': [2], "
                            "'default': {'dtype': 'int64', 'shape': [2], 'data': [2, 3]}}], 'outputs': ['y'], 'nodes': [" MEAN(
                                "") "]"),
        "recognize_global_average_pool",
        "- mean: no GlobalAveragePool: the axes are an input with a default, which a run may replace\n");
}

/* ---- Slices -------------------------------------------------------------------------------------------- */

#define PART(name, in, out) SAY(name, "Slice", "'x', " in, out)
#define PARTS(begin, end, last)                                                                    \
    NET_OF("[2, 6, 3]", "'a', 'b', 'c'",                                                           \
           CUT("1", "[0]", "[2]", "[1]") ", " CUT("2", begin, end, "[-2]") ", " CUT("3", "[4]",    \
                                                                                    last, "[1]"),  \
           PART("p", "'s1', 'e1', 'a1'", "'a'") ", " PART(                                         \
               "q", "'s3', 'e3', 'a3'", "'c'") ", " PART("r", "'s2', 'e2', 'a2'", "'b'"))

Test(recognize_split, takes_neighbouring_parts_in_any_order)
{
    rewritten(PARTS("[2]", "[-2]", "[9223372036854775807]"), NULL, 1, "= Split p/Split(x, ",
              "* 3 Slices from p on are one Split\n", 0);
    untouched(PARTS("[2]", "[-1]", "[6]"), "recognize_split",
              "- p: no Split: 3 Slices leave gaps or overlap\n");
    untouched(PARTS("[2]", "[-2]", "[5]"), "recognize_split",
              "- p: no Split: 3 Slices leave gaps or overlap\n");
    untouched(PARTS("[3]", "[4]", "[6]"), "recognize_split",
              "- p: no Split: 3 Slices leave gaps or overlap\n");
    untouched(
        NET_OF("[2, 'C', 3]", "'a', 'b'",
               CUT("1", "[0]", "[2]", "[1]") ", " CUT("2", "[2]", "[9]", "[1]"),
               PART("p", "'s1', 'e1', 'a1'", "'a'") ", " PART("r", "'s2', 'e2', 'a2'", "'b'")),
        "recognize_split", "");
    untouched(
        NET_OF("[2, 6, 3]", "'a', 'b'",
               CUT("1", "[0]", "[6]", "[1]") ", " CUT("2", "[0]", "[1]", "[0]"),
               PART("p", "'s1', 'e1', 'a1'", "'a'") ", " PART("r", "'s2', 'e2', 'a2'", "'b'")),
        "recognize_split", "");
    untouched(NET_OF("[6]", "'a', 'b'",
                     CUT("1", "[0]", "[3]", "[0]") ", " CUT("2", "[3]", "[6]",
                                                            "[0]") ", " INTS("step", "1", "[2]"),
                     PART("p", "'s1', 'e1', 'a1', 'step'", "'a'") ", " PART("r", "'s2', 'e2', 'a2'",
                                                                            "'b'")),
              "recognize_split", "");
}

/* ---- Shape ---------------------------------------------------------------------------------------- */

Test(drop_before_shape, goes_up_to_the_first_value_of_the_shape)
{
    rewritten(NET_OF("['N', 4]", "'y'", "",
                     SAY("a", "Relu", "'x'", "'t'") ", " SAY(
                         "b", "Add", "'t', 't'", "'u'") ", " SAY("c", "Shape", "'u'", "'y'")),
              NULL, 1, "= Shape c(x)", "* c reads 'x', 2 nodes before, which has the same shape\n",
              0);
    /* the summand of the other side has it; the one of extent 1 has not */
    rewritten(
        GRAPH("'inputs': [" IN("x", "float32", "['N', 1]") ", " IN("z", "float32", "['N', 4]") //
              "], 'outputs': ['y'], 'nodes': [" SAY("a", "Add", "'x', 'z'",
                                                    "'t'") ", " SAY("c", "Size", "'t'", "'y'") "]"),
        NULL, 1, "= Size c(z)", "", 0);
}

Test(drop_before_shape, stays_where_extents_may_differ)
{
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", "['N', 1]") ", " IN("z", "float32", "[1, 'M']") //
              "], 'outputs': ['y'], 'nodes': [" SAY("a", "Add", "'x', 'z'", "'t'") ", " SAY(
                  "c", "Shape", "'t'", "'y'") "]"),
        "drop_before_shape", "");
    untouched(NET_OF("['N', 'M']", "'y'", "",
                     SAY("a", "Transpose", "'x'", "'t'") ", " SAY("c", "Shape", "'t'", "'y'")),
              "drop_before_shape", "");
    untouched(NET_OF("[null, 4]", "'y'", "",
                     SAY("a", "Relu", "'x'", "'t'") ", " SAY("c", "Shape", "'t'", "'y'")),
              "drop_before_shape", "");
}
