/* merge_…, join_split, inline_constant_if: exactly the same answers
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
    untouched(NET_OF("[4, 6]", "'y', 't'",
                     CUT("1", "[1]", "[3]", "[0]") ", " CUT("2", "[1]", "[2]", "[-1]"), SLICES),
              "merge_slices", "");
}

#define STEPS(n, start, end, axis, step) CUT(n, start, end, axis) ", " INTS("p" n, "1", step)
#define STEPPED                                                                                    \
    SAY("a", "Slice", "'x', 's1', 'e1', 'a1', 'p1'", "'t'")                                        \
    ", " SAY("b", "Slice", "'t', 's2', 'e2', 'a2', 'p2'", "'y'")
#define ONLY_SLICES "none,+merge_slices"

Test(merge_slices, counts_what_the_first_leaves_of_an_axis)
{
    rewritten(NET_OF("[4, 6]", "'y'",
                     CUT("1", "[1]", "[-1]", "[1]") ", " CUT("2", "[1]", "[3]", "[-1]"), SLICES),
              ONLY_SLICES, 1, "float32[4,2] = Slice b(x, ", "* a merged into b\n", 0);
    rewritten(
        NET_OF("[2, 20]", "'y'",
               STEPS("1", "[1]", "[18]", "[1]", "[3]") ", " STEPS("2", "[-5]", "[9]", "[1]", "[2]"),
               STEPPED),
        ONLY_SLICES, 1, "float32[2,3] = Slice b(x, ", "* a merged into b\n", 0);
    rewritten(
        NET_OF("['N', 3]", "'y'",
               CUT("1", "[1]", "[9223372036854775807]", "[0]") ", " CUT("2", "[1]", "[2]", "[0]"),
               SLICES),
        ONLY_SLICES, 1, "= Slice b(x, ", "* a merged into b\n", 0);
}

Test(merge_slices, says_what_is_not_known)
{
    const char *why = "- b not merged with a: what the second cuts of what the first leaves is not "
                      "known\n";
    untouched(
        NET_OF("[2, 8]", "'y'",
               STEPS("1", "[7]", "[1]", "[1]", "[-1]") ", " STEPS("2", "[1]", "[4]", "[1]", "[1]"),
               STEPPED),
        "merge_slices", why);
    untouched(NET_OF("['N', 3]", "'y'",
                     CUT("1", "[-3]", "[9]", "[0]") ", " CUT("2", "[0]", "[2]", "[0]"), SLICES),
              "merge_slices", why);
    untouched(
        GRAPH("'inputs': [" IN("x", "float32", "[4, 6]") ", " IN(
            "s1", "int64",
            "[1]") "], 'outputs': ['y'], 'constants': {" INTS("e1", "1",
                                                              "[5]") ", " INTS("a1", "1",
                                                                               "[1]") ", " CUT("2",
                                                                                               "[0]",
                                                                                               "[1]",
                                                                                               "[0]") "}, 'nodes': [" SLICES
                                                                                                      "]"),
        "merge_slices", "- b not merged with a: what they cut is not constant\n");
}

/* ---- Pad -------------------------------------------------------------------------------------------- */

#define PADS(more, first, second)                                                                  \
    NET_OF("[2, 3]", "'y'",                                                                        \
           INTS("p", "4", first) ", " INTS("q", "4", second) ", " CONSTANT("one", "float32", "[]", \
                                                                           "[1]"),                 \
           NAMED("a", "Pad", "'x', 'p'", "'t'", more) ", " NAMED("b", "Pad", "'t', 'q'", "'y'",    \
                                                                 more))

Test(merge_pads, adds_both)
{
    rewritten(PADS("", "[1, 0, 2, 3]", "[0, 1, 1, 0]"), "none,+merge_pads", 1,
              "float32[6,7] = Pad b(x, ", "* a merged into b\n", 0);
    rewritten(PADS("'mode': 'edge'", "[1, 0, 2, 3]", "[0, 1, 1, 0]"), "none,+merge_pads", 1,
              "float32[6,7] = Pad b(x, ", "* a merged into b\n", 0);
    rewritten(NET_OF("[2, 3]", "'y'",
                     INTS("p", "2", "[1, 2]") ", " INTS("k", "1", "[-1]") ", " INTS(
                         "q", "4", "[1, 1, 0, 0]") ", " CONSTANT("one", "float32", "[]", "[1]"),
                     SAY("a", "Pad", "'x', 'q', 'one'",
                         "'t'") ", " SAY("b", "Pad", "'t', 'p', 'one', 'k'", "'y'")),
              "none,+merge_pads", 1, "float32[3,7] = Pad b(x, ", "* a merged into b\n", 0);
}

Test(merge_pads, says_what_differs)
{
    untouched(PADS("'mode': 'reflect'", "[1, 0, 0, 0]", "[1, 0, 0, 0]"), "merge_pads",
              "- b not merged with a: they add other numbers\n");
    untouched(PADS("", "[-1, 0, 0, 0]", "[1, 0, 0, 0]"), "merge_pads",
              "- b not merged with a: what they add is not constant, or negative\n");
    untouched(
        NET_OF("[2, 3]", "'y'",
               INTS("p", "4", "[1, 0, 0, 0]") ", " CONSTANT("one", "float32", "[]", "[1]"),
               SAY("a", "Pad", "'x', 'p'", "'t'") ", " SAY("b", "Pad", "'t', 'p', 'one'", "'y'")),
        "merge_pads", "- b not merged with a: they add other numbers\n");
    untouched(NET_OF("[2, 3]", "'y', 't'", INTS("p", "4", "[1, 0, 0, 0]"),
                     SAY("a", "Pad", "'x', 'p'", "'t'") ", " SAY("b", "Pad", "'t', 'p'", "'y'")),
              "merge_pads", "");
}

/* ---- Clip, Relu ---------------------------------------------------------------------------------------- */

#define NUMBER(name, value) CONSTANT(name, "float32", "[]", "[" value "]")
#define NUMBERS                                                                                    \
    NUMBER("l", "-1") ", " NUMBER("h", "6") ", " NUMBER("one", "1") ", " NUMBER("zero", "0")
#define ONLY_CLIPS "none,+merge_clips"

static void one_clip(const char *text, const char *op)
{
    rewritten(text, ONLY_CLIPS, 1, op, "* a merged into b\n", 0);
    same_specials(text, ONLY_CLIPS, 0);
}

Test(merge_clips, makes_one_of_two)
{
    one_clip(NET_OF("[8]", "'y'", "",
                    SAY("a", "Relu", "'x'", "'t'") ", " SAY("b", "Relu", "'t'", "'y'")),
             "= Relu b(x)");
    one_clip(NET_OF("[8]", "'y'", NUMBERS,
                    SAY("a", "Clip", "'x', 'l', 'h'", "'t'") ", " SAY("b", "Relu", "'t'", "'y'")),
             "= Clip b(x, ");
    one_clip(NET_OF("[8]", "'y'", NUMBERS,
                    SAY("a", "Relu", "'x'", "'t'") ", " SAY("b", "Clip", "'t', '', 'one'", "'y'")),
             "= Clip b(x, ");
    one_clip(NET_OF("[8]", "'y'", NUMBERS,
                    SAY("a", "Clip", "'x', 'l'", "'t'") ", " SAY("b", "Clip", "'t', 'zero', 'h'",
                                                                 "'y'")),
             "= Clip b(x, ");
}

Test(merge_clips, says_what_does_not_fit)
{
    untouched(NET_OF("[8]", "'y', 't'", NUMBERS,
                     SAY("a", "Clip", "'x', 'l', 'h'", "'t'") ", " SAY("b", "Relu", "'t'", "'y'")),
              "merge_clips", "- b not merged with a, which others read\n");
    untouched(GRAPH("'inputs': [" IN("x", "float32", "[8]") ", " IN(
                  "l", "float32",
                  "[]") "], 'outputs': ['y'], 'nodes': [" SAY("a", "Clip", "'x', 'l'",
                                                              "'t'") ", " SAY("b", "Relu", "'t'",
                                                                              "'y'") "]"),
              "merge_clips", "- b not merged with a: a bound is not constant, or they cross\n");
    untouched(
        GRAPH("'inputs': [" IN(
            "x", "float32",
            "[8]") ", {'name': 'l', 'dtype': 'float32', 'shape': [], 'default': "
                   "{'dtype': 'float32', 'shape': [], 'data': [1]}}], 'outputs': ['y'], 'nodes': [" SAY(
                       "a", "Clip", "'x', 'l'", "'t'") ", " SAY("b", "Relu", "'t'", "'y'") "]"),
        "merge_clips", "- b not merged with a: a bound is not constant, or they cross\n");
    untouched(NET_OF("[8]", "'y'", NUMBERS,
                     SAY("a", "Clip", "'x', 'one', 'h'",
                         "'t'") ", " SAY("b", "Clip", "'t', 'l', 'zero'", "'y'")),
              "merge_clips", "- b not merged with a: together they leave one number\n");
    untouched(
        NET_OF("[8]", "'y'", NUMBERS,
               SAY("a", "Clip", "'x', 'h', 'one'", "'t'") ", " SAY("b", "Relu", "'t'", "'y'")),
        "merge_clips", "- b not merged with a: a bound is not constant, or they cross\n");
}

/* ---- Expand ------------------------------------------------------------------------------------------ */

Test(merge_expands, goes_to_the_last_extents)
{
    rewritten(
        NET_OF("[3, 1]", "'y'", INTS("s", "2", "[3, 4]") ", " INTS("r", "3", "[2, 1, 1]"),
               SAY("a", "Expand", "'x', 's'", "'t'") ", " SAY("b", "Expand", "'t', 'r'", "'y'")),
        "none,+merge_expands,+remove_dead", 1, "float32[2,3,4] = Expand b(x, ",
        "* b does what a did, too\n", 0);
    untouched(
        NET_OF("['N', 1]", "'y'", INTS("s", "2", "[1, 4]") ", " INTS("r", "3", "[2, 1, 1]"),
               SAY("a", "Expand", "'x', 's'", "'t'") ", " SAY("b", "Expand", "'t', 'r'", "'y'")),
        "merge_expands", "- b not merged with a: an extent is not known\n");
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
              NULL, 1, "= Shape c(x)", "* c reads the input 'x', which has the same shape\n", 0);
    rewritten(
        NET_OF("['N', 4]", "'y'", CONSTANT("first", "int64", "[1]", "[0]"),
               SAY("long", "Unsqueeze", "'x', 'first'", "'h'") ", " SAY(
                   "a", "Relu", "'h'", "'t'") ", " SAY("b", "Neg", "'t'",
                                                       "'u'") ", " SAY("c", "Shape", "'u'", "'y'")),
        NULL, 2, "= Shape c(h)", "* c reads 'h', 2 nodes before, which has the same shape\n", 0);
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
