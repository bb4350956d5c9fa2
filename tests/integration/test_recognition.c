/* recognition: operators that were written out are found, whatever side their operands are on, and
 * answer the same; what nearly is one stays, and the log says why. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "rewrites.h"

#define X IN("x", "float32", "[2, 3, 8]")
#define SAY(name, op, in, out) NAMED(name, op, in, out, "")
#define SCALAR_OF(name, value) CONSTANT(name, "float32", "[]", "[" value "]")
#define NET(outputs, constants, nodes)                                                             \
    GRAPH("'inputs': [" X "], 'outputs': [" outputs "], 'constants': {" constants                  \
          "}, 'nodes': [" nodes "]")
#define TIGHT 4e-7

/* ---- Swish ----------------------------------------------------------------------------------- */

#define SIGMOID SAY("gate", "Sigmoid", "'x'", "'s'")

Test(recognize_swish, finds_x_by_its_sigmoid_on_either_side)
{
    static const char *const sides[] = { "'x', 's'", "'s', 'x'" };
    for (int k = 0; k < 2; k++) {
        char text[4096];
        snprintf(text, sizeof text, NET("'y'", "", SIGMOID ", " SAY("product", "Mul", "%s", "'y'")),
                 sides[k]);
        rewritten(text, NULL, 1, "= Swish product/Swish(x) alpha=1",
                  "* 2 nodes up to product are one Swish\n", TIGHT);
        same_specials(text, NULL, TIGHT);
    }
}

Test(recognize_swish, keeps_the_factor_inside)
{
    rewritten(
        NET("'y'", SCALAR_OF("c", "1.702"),
            SAY("inner", "Mul", "'c', 'x'", "'i'") ", " SAY(
                "gate", "Sigmoid", "'i'", "'s'") ", " SAY("product", "Mul", "'x', 's'", "'y'")),
        NULL, 1, "alpha=1.702", "* 3 nodes up to product are one Swish\n", TIGHT);
    rewritten(
        NET("'y'", SCALAR_OF("c", "4"),
            SAY("inner", "Div", "'x', 'c'", "'i'") ", " SAY(
                "gate", "Sigmoid", "'i'", "'s'") ", " SAY("product", "Mul", "'x', 's'", "'y'")),
        NULL, 1, "alpha=0.25", "", TIGHT);
}

Test(recognize_swish, works_in_other_types)
{
    static const struct {
        const char *dtype;
        double tolerance;
    } types[] = { { "float64", 1e-15 }, { "float16", 2e-3 }, { "bfloat16", 2e-2 } };
    for (int k = 0; k < 3; k++) {
        char text[4096];
        snprintf(text, sizeof text,
                 GRAPH("'inputs': [" IN("x", "%s", "[24]") "], 'outputs': ['y'], 'nodes': [" SIGMOID
                                                           ", " SAY("product", "Mul", "'x', 's'",
                                                                    "'y'") "]"),
                 types[k].dtype);
        rewritten(text, NULL, 1, "= Swish", "", types[k].tolerance);
    }
}

Test(recognize_swish, stays_where_the_sigmoid_has_another_user)
{
    untouched(NET("'y', 's'", "", SIGMOID ", " SAY("product", "Mul", "'x', 's'", "'y'")),
              "recognize_swish",
              "- gate: no Swish: Sigmoid's output is also an output of the graph or of a body\n");
    untouched(NET("'y', 'z'", "",
                  SIGMOID ", " SAY("product", "Mul", "'x', 's'",
                                   "'y'") ", " SAY("other", "Add", "'x', 's'", "'z'")),
              "recognize_swish", "- gate: no Swish: Sigmoid's output is also read by other\n");
}

Test(recognize_swish, leaves_gates_of_something_else)
{
    untouched(NET("'y'", "",
                  SAY("abs", "Abs", "'x'", "'a'") ", " SIGMOID
                                                  ", " SAY("product", "Mul", "'a', 's'", "'y'")),
              "recognize_swish", "");
    untouched(
        NET("'y'", SCALAR_OF("c", "1"),
            SAY("inner", "Add", "'x', 'c'", "'i'") ", " SAY(
                "gate", "Sigmoid", "'i'", "'s'") ", " SAY("product", "Mul", "'x', 's'", "'y'")),
        "recognize_swish",
        "- gate: no Swish: what is in the Sigmoid is more than a multiple of what it gates\n");
    untouched(
        NET("'y'", CONSTANT("c", "float32", "[8]", "[1, 1, 1, 1, 2, 1, 1, 1]"),
            SAY("inner", "Mul", "'x', 'c'", "'i'") ", " SAY(
                "gate", "Sigmoid", "'i'", "'s'") ", " SAY("product", "Mul", "'x', 's'", "'y'")),
        "recognize_swish", "");
}

#define DEFAULT(name, value)                                                                       \
    "{'name': '" name "', 'dtype': 'float32', 'shape': [], 'default': {'dtype': 'float32', "       \
    "'shape': [], 'data': [" value "]}}"

Test(recognize_swish, wants_a_constant_that_no_run_replaces)
{
    untouched(GRAPH("'inputs': [" X ", " DEFAULT("c", "1.5") "], 'outputs': ['y'], 'nodes': [" SAY(
                  "inner", "Mul", "'x', 'c'",
                  "'i'") ", " SAY("gate", "Sigmoid", "'i'", "'s'") ", " SAY("product", "Mul",
                                                                            "'x', 's'", "'y'") "]"),
              "recognize_swish",
              "- gate: no Swish: 'c' is an input with a default, which a run may replace\n");
}

Test(recognize_swish, wants_a_factor_that_the_attribute_can_hold)
{
    untouched(
        GRAPH(
            "'inputs': [" IN("x", "float64", "[3]") "], 'outputs': ['y'], 'constants': {" CONSTANT(
                "c", "float64", "[]",
                "[0.1]") "}, 'nodes': [" SAY("inner", "Mul", "'x', 'c'",
                                             "'i'") ", " SAY("gate", "Sigmoid", "'i'",
                                                             "'s'") ", " SAY("product", "Mul",
                                                                             "'x', 's'",
                                                                             "'y'") "]"),
        "recognize_swish",
        "- gate: no Swish: alpha is 0.10000000000000001, which the attribute, a float32, "
        "cannot hold\n");
}

Test(recognize_swish, wants_a_constant_that_keeps_the_rank)
{
    untouched(
        GRAPH(
            "'inputs': [" IN("x", "float32", "[3]") "], 'outputs': ['y'], 'constants': {" CONSTANT(
                "c", "float32", "[1, 1]",
                "[2]") "}, 'nodes': [" SAY("inner", "Mul", "'x', 'c'",
                                           "'i'") ", " SAY("gate", "Sigmoid", "'i'",
                                                           "'s'") ", " SAY("product", "Mul",
                                                                           "'x', 's'", "'y'") "]"),
        "recognize_swish",
        "- gate: no Swish: a constant of rank 2 might raise the rank of what is read\n");
}

#define INSIDE                                                                                     \
    "'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': [" SAY(                    \
        "product", "Mul", "'x', 's'",                                                              \
        "'t'") "]}}, 'else_branch': {'graph': {'inputs': [], "                                     \
               "'outputs': ['e'], 'nodes': [" SAY("neg", "Neg", "'x'", "'e'") "]}}"

Test(recognize_swish, does_not_reach_into_a_branch)
{
    untouched(GRAPH("'inputs': [" X
                    ", " IN("b", "bool", "[]") "], 'outputs': ['y'], 'nodes': [" SIGMOID
                                               ", " NAMED("if", "If", "'b'", "'y'", INSIDE) "]"),
              "recognize_swish",
              "- gate: no Swish: Sigmoid's output is read in another body, by product\n");
}

Test(recognize_swish, works_within_a_branch)
{
    static outcome with, without;
    const char *text = GRAPH(
        "'inputs': [" X ", " IN("b", "bool", "[]") "], 'outputs': ['y'], 'nodes': [" NAMED(
            "if", "If", "'b'", "'y'",
            "'then_branch': {'graph': {'inputs': [], 'outputs': ['t'], 'nodes': [" SAY(
                "neg", "Neg", "'x'", "'t'") "]}}, 'else_branch': {'graph': {'inputs': [], "
                                            "'outputs': ['e'], 'nodes': [" SIGMOID ", " SAY(
                                                "product", "Mul", "'x', 's'", "'e'") "]}}") "]");
    run_graph(text, NULL, TN_MATH_STRICT, NULL, &with);
    run_graph(text, "none", TN_MATH_STRICT, NULL, &without);
    cr_expect(strstr(with.log, "one Swish"), "%s", with.log);
    same_answers(&with, &without, TIGHT);
}

/* ---- Gelu ------------------------------------------------------------------------------------ */

#define ROOT2 SCALAR_OF("root2", "1.4142135")
#define ONE SCALAR_OF("one", "1")
#define HALF SCALAR_OF("half", "0.5")
#define ERF_OF_QUOTIENT                                                                            \
    SAY("quotient", "Div", "'x', 'root2'", "'q'") ", " SAY("erf", "Erf", "'q'", "'e'")
#define GELU_CONSTANTS ROOT2 ", " ONE ", " HALF

Test(recognize_gelu, finds_every_order_of_the_erf_form)
{
    static const char *const tails[] = {
        SAY("sum", "Add", "'e', 'one'", "'s'") ", " SAY("a", "Mul", "'x', 's'", "'p'") ", " SAY(
            "b", "Mul", "'p', 'half'", "'y'"),
        SAY("sum", "Add", "'one', 'e'", "'s'") ", " SAY("a", "Mul", "'half', 'x'", "'p'") ", " SAY(
            "b", "Mul", "'s', 'p'", "'y'"),
        SAY("sum", "Add", "'one', 'e'", "'s'") ", " SAY("a", "Mul", "'half', 's'", "'p'") ", " SAY(
            "b", "Mul", "'p', 'x'", "'y'"),
        SAY("sum", "Add", "'one', 'e'", "'s'") ", " SAY("a", "Mul", "'s', 'x'", "'p'") ", " SAY(
            "b", "Div", "'p', 'two'", "'y'"),
    };
    for (size_t k = 0; k < sizeof tails / sizeof *tails; k++) {
        char text[4096];
        snprintf(text, sizeof text,
                 NET("'y'", GELU_CONSTANTS ", " SCALAR_OF("two", "2"), ERF_OF_QUOTIENT ", %s"),
                 tails[k]);
        rewritten(text, NULL, 1, "= Gelu b/Gelu(x) approximate=\"none\"",
                  "* 5 nodes up to b are one Gelu\n", 2e-6);
        same_specials(text, NULL, 2e-6);
    }
}

Test(recognize_gelu, takes_a_product_for_the_quotient_and_an_x_that_is_itself_a_product)
{
    rewritten(NET("'y'",
                  SCALAR_OF("r", "0.70710678") ", " ONE ", " HALF ", " SCALAR_OF("three", "3"),
                  SAY("x3", "Mul", "'x', 'three'", "'t'") ", " SAY(
                      "inner", "Mul", "'r', 't'",
                      "'q'") ", " SAY("erf", "Erf", "'q'",
                                      "'e'") ", " SAY("sum", "Add", "'e', 'one'",
                                                      "'s'") ", " SAY("a", "Mul", "'t', 's'",
                                                                      "'p'") ", " SAY("b", "Mul",
                                                                                      "'p', 'half'",
                                                                                      "'y'")),
              NULL, 2, "= Gelu b/Gelu(t)", "* 5 nodes up to b are one Gelu\n", 2e-6);
}

#define TANH_TAIL                                                                                  \
    SAY("inner", "Mul", "'root', 's3'", "'u'")                                                     \
    ", " SAY("tanh", "Tanh", "'u'", "'t'") ", " SAY("sum", "Add", "'one', 't'", "'s'") ", " SAY(   \
        "a", "Mul", "'half', 'x'", "'p'") ", " SAY("b", "Mul", "'p', 's'", "'y'")
#define TANH_CONSTANTS                                                                             \
    ONE ", " HALF ", " SCALAR_OF("root", "0.7978846") ", " SCALAR_OF(                              \
        "c", "0.044715") ", " SCALAR_OF("three", "3") ", " SCALAR_OF("two", "2")

Test(recognize_gelu, finds_the_tanh_form_whatever_the_cube_is_made_of)
{
    static const char *const cubes[] = {
        SAY("p3", "Pow", "'x', 'three'", "'x3'") ", " SAY(
            "c3", "Mul", "'x3', 'c'", "'cx'") ", " SAY("s3", "Add", "'x', 'cx'", "'s3'"),
        SAY("p2", "Mul", "'x', 'x'", "'x2'") ", " SAY("p3", "Mul", "'x', 'x2'", "'x3'") ", " SAY(
            "c3", "Mul", "'c', 'x3'", "'cx'") ", " SAY("s3", "Add", "'cx', 'x'", "'s3'"),
        SAY("p2", "Pow", "'x', 'two'", "'x2'") ", " SAY("c2", "Mul", "'c', 'x2'", "'cx'") ", " SAY(
            "s2", "Add", "'cx', 'one'", "'k'") ", " SAY("s3", "Mul", "'x', 'k'", "'s3'"),
    };
    for (size_t k = 0; k < sizeof cubes / sizeof *cubes; k++) {
        char text[4096];
        snprintf(text, sizeof text, NET("'y'", TANH_CONSTANTS, "%s, " TANH_TAIL), cubes[k]);
        rewritten(text, NULL, 1, "approximate=\"tanh\"", "up to b are one Gelu\n", 4e-6);
        same_specials(text, NULL, 4e-6);
    }
}

#define GELU(outputs, constants, more)                                                             \
    NET(outputs, constants,                                                                        \
        ERF_OF_QUOTIENT ", " SAY("sum", "Add", "'e', 'one'", "'s'") ", " SAY(                      \
            "a", "Mul", "'x', 's'", "'p'") ", " SAY("b", "Mul", "'p', 'half'", "'y'") more)

Test(recognize_gelu, says_what_does_not_fit)
{
    untouched(GELU("'y', 's'", GELU_CONSTANTS, ""), "recognize_gelu",
              "- erf: no Gelu: Add's output is also an output of the graph or of a body\n");
    untouched(GELU("'y', 'z'", GELU_CONSTANTS, ", " SAY("other", "Neg", "'q'", "'z'")),
              "recognize_gelu", "- erf: no Gelu: Div's output is also read by other\n");
    untouched(GELU("'y', 'z'", GELU_CONSTANTS, ", " SAY("other", "Neg", "'e'", "'z'")),
              "recognize_gelu", "- erf: no Gelu: Erf's output is also read by other\n");
    untouched(GELU("'y'", ROOT2 ", " ONE ", " SCALAR_OF("half", "0.25"), ""), "recognize_gelu",
              "- erf: no Gelu: the constant factor is 0.25, not 1/2\n");
    untouched(GELU("'y'", SCALAR_OF("root2", "1.41") ", " ONE ", " HALF, ""), "recognize_gelu",
              "- erf: no Gelu: what is in the Erf does not fit what it is multiplied with\n");
    untouched(GELU("'y'", ROOT2 ", " SCALAR_OF("one", "2") ", " HALF, ""), "recognize_gelu", "");
    untouched(GELU("'y'",
                   ROOT2 ", " ONE ", " CONSTANT("half", "float32", "[8]",
                                                "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]"),
                   ""),
              "recognize_gelu", "- erf: no Gelu: the constant factor is 1, not 1/2\n");
}

/* ---- HardSwish, HardSigmoid ---------------------------------------------------------------------- */

#define HARD_CONSTANTS                                                                             \
    SCALAR_OF("three", "3") ", " SCALAR_OF("zero", "0") ", " SCALAR_OF("six", "6")
#define CLIPPED                                                                                    \
    SAY("sum", "Add", "'three', 'x'", "'a'") ", " SAY("clip", "Clip", "'a', 'zero', 'six'", "'c'")

Test(recognize_hard_swish, finds_the_factors_in_any_order)
{
    static const char *const tails[] = {
        SAY("a", "Mul", "'x', 'c'", "'p'") ", " SAY("b", "Div", "'p', 'six'", "'y'"),
        SAY("a", "Div", "'c', 'six'", "'p'") ", " SAY("b", "Mul", "'p', 'x'", "'y'"),
    };
    for (size_t k = 0; k < 2; k++) {
        char text[4096];
        snprintf(text, sizeof text, NET("'y'", HARD_CONSTANTS, CLIPPED ", %s"), tails[k]);
        rewritten(text, NULL, 1, "= HardSwish b/HardSwish(x)",
                  "* 4 nodes up to b are one HardSwish\n", TIGHT);
        same_specials(text, NULL, TIGHT);
    }
    rewritten(
        NET("'y'", "",
            NAMED("gate", "HardSigmoid", "'x'", "'g'", "'alpha': 0.16666667, 'beta': 0.5") ", " SAY(
                "product", "Mul", "'g', 'x'", "'y'")),
        NULL, 1, "= HardSwish", "* 2 nodes up to product are one HardSwish\n", TIGHT);
}

Test(recognize_hard_swish, says_what_does_not_fit)
{
    untouched(NET("'y'", HARD_CONSTANTS ", " SCALAR_OF("five", "5"),
                  CLIPPED ", " SAY("a", "Mul", "'x', 'c'", "'p'") ", " SAY("b", "Div",
                                                                           "'p', 'five'", "'y'")),
              "recognize_hard_swish",
              "- clip: no HardSwish: the gate is min(max(0, 0.2 x + 0.6), 1.2)\n");
    untouched(NET("'y', 'c'", HARD_CONSTANTS,
                  CLIPPED ", " SAY("a", "Mul", "'x', 'c'", "'p'") ", " SAY("b", "Div", "'p', 'six'",
                                                                           "'y'")),
              "recognize_hard_swish",
              "- clip: no HardSwish: Clip's output is also an output of the graph or of a body\n");
    untouched(NET("'y'", "",
                  NAMED("gate", "HardSigmoid", "'x'", "'g'",
                        "'alpha': 0.2, 'beta': 0.5") ", " SAY("product", "Mul", "'g', 'x'", "'y'")),
              "recognize_hard_swish",
              "- gate: no HardSwish: the gate is min(max(0, 0.2 x + 0.5), 1)\n");
}

Test(recognize_hard_sigmoid, finds_a_scaled_clip_and_leaves_a_bare_one)
{
    const char *text = NET("'y'", HARD_CONSTANTS,
                           CLIPPED ", " SAY("b", "Div", "'c', 'six'", "'y'"));
    rewritten(text, NULL, 1, "= HardSigmoid b/HardSigmoid(x) alpha=0.16666667 beta=0.5",
              "* 3 nodes up to b are one HardSigmoid\n", TIGHT);
    same_specials(text, NULL, TIGHT);
    untouched(NET("'y'", HARD_CONSTANTS ", " ONE, SAY("clip", "Clip", "'x', 'zero', 'one'", "'y'")),
              "recognize_hard_sigmoid", "");
    untouched(NET("'y'", HARD_CONSTANTS, CLIPPED ", " SAY("b", "Neg", "'c'", "'y'")),
              "recognize_hard_sigmoid", "");
    untouched(
        GRAPH(
            "'inputs': [" IN("x", "float64", "[4]") "], 'outputs': ['y'], 'constants': {" CONSTANT(
                "three", "float64", "[]",
                "[3]") ", " CONSTANT("zero", "float64", "[]",
                                     "[0]") ", " CONSTANT("six", "float64", "[]",
                                                          "[6]") "}, 'nodes': [" CLIPPED
                                                                 ", " SAY("b", "Div", "'c', 'six'",
                                                                          "'y'") "]"),
        "recognize_hard_sigmoid",
        "- clip: no HardSigmoid: alpha is 0.16666666666666666, which the attribute");
}

/* ---- Mish, Softplus -------------------------------------------------------------------------------- */

Test(recognize_mish, finds_x_by_tanh_of_softplus)
{
    const char *text = NET(
        "'y'", "",
        SAY("plus", "Softplus", "'x'", "'p'") ", " SAY("tanh", "Tanh", "'p'", "'t'") ", " SAY(
            "product", "Mul", "'t', 'x'", "'y'"));
    rewritten(text, NULL, 1, "= Mish product/Mish(x)", "* 3 nodes up to product are one Mish\n",
              TIGHT);
    same_specials(text, NULL, TIGHT);
    untouched(
        NET("'y'", "",
            SAY("abs", "Abs", "'x'", "'a'") ", " SAY("plus", "Softplus", "'x'", "'p'") ", " SAY(
                "tanh", "Tanh", "'p'", "'t'") ", " SAY("product", "Mul", "'t', 'a'", "'y'")),
        "recognize_mish", "- plus: no Mish: what is multiplied is not what Softplus reads\n");
    untouched(NET("'y', 'p'", "",
                  SAY("plus", "Softplus", "'x'", "'p'") ", " SAY(
                      "tanh", "Tanh", "'p'", "'t'") ", " SAY("product", "Mul", "'t', 'x'", "'y'")),
              "recognize_mish", "- plus: no Mish: Softplus's output is also an output");
}

Test(recognize_softplus, is_only_asked_for)
{
    const char *text = NET(
        "'y'", ONE,
        SAY("exp", "Exp", "'x'", "'e'") ", " SAY("sum", "Add", "'one', 'e'",
                                                 "'s'") ", " SAY("log", "Log", "'s'", "'y'"));
    rewritten(text, NULL, 3, "= Exp", "  recognize_softplus ", 0);
    rewritten(text, "all", 1, "= Softplus log/Softplus(x)",
              "* 3 nodes up to log are one Softplus\n", 1e-6);
    untouched(NET("'y'", SCALAR_OF("two", "2"),
                  SAY("exp", "Exp", "'x'", "'e'") ", " SAY(
                      "sum", "Add", "'two', 'e'", "'s'") ", " SAY("log", "Log", "'s'", "'y'")),
              "recognize_softplus", "- exp: no Softplus: the constant is 2, not 1\n");
}

/* ---- normalizations ---------------------------------------------------------------------------------- */

#define AXIS CONSTANT("axis", "int64", "[1]", "[-1]")
#define TWO SCALAR_OF("two", "2")
#define EPSILON SCALAR_OF("epsilon", "1e-5")
#define VECTOR(name, data) CONSTANT(name, "float32", "[8]", data)
#define LAYER_CONSTANTS                                                                            \
    AXIS ", " TWO ", " EPSILON ", " VECTOR("scale", "[1, 2, -3, 4, 0.5, 6, 7, 8]") ", " VECTOR(    \
        "bias", "[0, 1, 2, 3, 4, 5, 6, -7]")
#define CENTRED                                                                                    \
    SAY("mean", "ReduceMean", "'x', 'axis'", "'m'") ", " SAY("sub", "Sub", "'x', 'm'", "'d'")
#define ROOT                                                                                       \
    SAY("variance", "ReduceMean", "'d2', 'axis'", "'v'")                                           \
    ", " SAY("add", "Add", "'v', 'epsilon'", "'ve'") ", " SAY("sqrt", "Sqrt", "'ve'", "'r'")
#define LAYER                                                                                      \
    CENTRED ", " SAY("square", "Pow", "'d', 'two'", "'d2'") ", " ROOT ", " SAY("div", "Div",       \
                                                                               "'d', 'r'", "'n'")
#define AFFINE                                                                                     \
    SAY("mul", "Mul", "'n', 'scale'", "'ns'") ", " SAY("plus", "Add", "'ns', 'bias'", "'y'")

Test(recognize_layer_normalization, finds_what_torch_writes)
{
    const char *text = NET("'y'", LAYER_CONSTANTS, LAYER ", " AFFINE);
    rewritten(text, NULL, 1,
              "= LayerNormalization plus/LayerNormalization(x, scale, bias) axis=-1 epsilon=1e-05",
              "* 9 nodes up to plus are one LayerNormalization\n", 2e-6);
    same_specials(text, NULL, 2e-6);
}

Test(recognize_layer_normalization, finds_other_ways_to_write_it)
{
    static const char *const ways_to[] = {
        CENTRED
        ", " SAY("square", "Mul", "'d', 'd'", "'d2'") ", " SAY("variance", "ReduceMean", "'d2', 'axis'", "'v'") ", " SAY(
            "add", "Add", "'epsilon', 'v'",
            "'ve'") ", " SAY("sqrt", "Sqrt", "'ve'",
                             "'r'") ", " SAY("reciprocal", "Reciprocal", "'r'",
                                             "'i'") ", " SAY("div", "Mul", "'i', 'd'",
                                                             "'n'") ", " SAY("mul", "Mul",
                                                                             "'scale', 'n'",
                                                                             "'ns'") ", " SAY("plus",
                                                                                              "Add",
                                                                                              "'bias', 'ns'",
                                                                                              "'y'"),
        CENTRED ", " SAY("square", "Mul", "'d', 'd'", "'d2'") ", " ROOT ", " SAY(
            "inverse", "Div", "'one', 'r'", "'i'") ", " SAY("div", "Mul", "'d', 'i'",
                                                            "'n'") ", " AFFINE,
    };
    for (size_t k = 0; k < 2; k++) {
        char text[4096];
        snprintf(text, sizeof text, NET("'y'", LAYER_CONSTANTS ", " ONE, "%s"), ways_to[k]);
        rewritten(text, NULL, 1, "LayerNormalization(x, scale, bias)",
                  "* 10 nodes up to plus are one LayerNormalization\n", 2e-6);
    }
}

Test(recognize_layer_normalization, makes_a_scale_of_ones_where_there_is_none)
{
    rewritten(NET("'y'", LAYER_CONSTANTS, LAYER ", " SAY("plus", "Add", "'n', 'bias'", "'y'")),
              NULL, 1, "= LayerNormalization", "", 2e-6);
    rewritten(NET("'n'", LAYER_CONSTANTS, LAYER), NULL, 1, "= LayerNormalization", "", 2e-6);
    /* a vector along another axis is no bias: it stays an Add of its own, unless with all of it that is an
     * InstanceNormalization */
    rewritten(NET("'y'", LAYER_CONSTANTS ", " CONSTANT("rows", "float32", "[3, 1]", "[1, 2, 3]"),
                  LAYER ", " SAY("plus", "Add", "'n', 'rows'", "'y'")),
              "safe,-recognize_instance_normalization", 2,
              "= LayerNormalization div/LayerNormalization", "", 2e-6);
}

Test(recognize_layer_normalization, takes_several_last_axes_and_symbols)
{
    const char *text = GRAPH("'inputs': [" IN(
        "x", "float32",
        "['N', 4, 6]") "], 'outputs': ['n'], 'constants': {" CONSTANT("axis", "int64", "[2]",
                                                                      "[2, 1]") ", " TWO
                                                                                ", " EPSILON
                                                                                "}, 'nodes': [" LAYER
                                                                                "]");
    rewritten(text, NULL, 1, "axis=-2", "", 2e-6);
}

Test(recognize_layer_normalization, says_what_does_not_fit)
{
#define LAYER_WITH(outputs, axis, nodes) NET(outputs, axis ", " TWO ", " EPSILON, nodes)
    untouched(LAYER_WITH("'n'", CONSTANT("axis", "int64", "[1]", "[1]"), LAYER),
              "recognize_layer_normalization",
              "- sqrt: no LayerNormalization: ReduceMean's axes are not the last ones\n");
    untouched(
        LAYER_WITH("'n', 'v'", AXIS, LAYER), "recognize_layer_normalization",
        "- sqrt: no LayerNormalization: ReduceMean's output is also an output of the graph or "
        "of a body\n");
    untouched(LAYER_WITH("'n', 'z'", AXIS, LAYER ", " SAY("other", "Neg", "'d'", "'z'")),
              "recognize_layer_normalization",
              "- sqrt: no LayerNormalization: Sub's output is also read by other\n");
    untouched(LAYER_WITH("'n', 'z'", AXIS, LAYER ", " SAY("other", "Neg", "'r'", "'z'")),
              "recognize_layer_normalization",
              "- sqrt: no LayerNormalization: Sqrt's output is also read by other\n");
    untouched(GRAPH("'inputs': [" IN("x", "float32", "[2, 3, 'K']") "], 'outputs': ['n'], "
                                                                    "'constants': {" AXIS ", " TWO
                                                                    ", " EPSILON
                                                                    "}, 'nodes': [" LAYER "]"),
              "recognize_layer_normalization",
              "- sqrt: no LayerNormalization: it has no scale, and the normalized extents are not "
              "known\n");
    untouched(NET("'n'", AXIS ", " SCALAR_OF("two", "3") ", " EPSILON, LAYER),
              "recognize_layer_normalization", "");
    untouched(NET("'n'", AXIS ", " TWO ", " VECTOR("epsilon", "[1, 1, 1, 1, 1, 1, 1, 2]"), LAYER),
              "recognize_layer_normalization", "");
}

Test(recognize_layer_normalization, wants_axes_that_no_run_replaces)
{
    untouched(GRAPH("'inputs': [" X ", {'name': 'axis', 'dtype': 'int64', 'shape': [1], 'default': "
                    "{'dtype': 'int64', 'shape': [1], 'data': [2]}}], 'outputs': ['n'], "
                    "'constants': {" TWO ", " EPSILON "}, 'nodes': [" LAYER "]"),
              "recognize_layer_normalization",
              "- sqrt: no LayerNormalization: ReduceMean's axes are no constant\n");
}

#define RMS_ROOT SAY("square", "Pow", "'x', 'two'", "'d2'") ", " ROOT

Test(recognize_rms_normalization, finds_it_with_a_scale_and_without)
{
    const char *text = NET("'y'", LAYER_CONSTANTS,
                           RMS_ROOT ", " SAY("div", "Div", "'x', 'r'",
                                             "'n'") ", " SAY("mul", "Mul", "'scale', 'n'", "'y'"));
    rewritten(text, NULL, 1, "= RMSNormalization mul/RMSNormalization(x, scale) axis=-1",
              "* 6 nodes up to mul are one RMSNormalization\n", 2e-6);
    rewritten(NET("'n'", LAYER_CONSTANTS ", " ONE,
                  RMS_ROOT ", " SAY("inverse", "Div", "'one', 'r'",
                                    "'i'") ", " SAY("div", "Mul", "'x', 'i'", "'n'")),
              NULL, 1, "= RMSNormalization div/RMSNormalization(x, ", "", 2e-6);
}

Test(recognize_rms_normalization, is_not_a_difference_to_another_mean)
{
    /* a difference to a mean over another axis: RMSNormalization of the difference */
    rewritten(NET("'n'", LAYER_CONSTANTS ", " CONSTANT("first", "int64", "[1]", "[0]"),
                  SAY("mean", "ReduceMean", "'x', 'first'", "'m'") ", " SAY(
                      "sub", "Sub", "'x', 'm'",
                      "'d'") ", " SAY("square", "Pow", "'d', 'two'",
                                      "'d2'") ", " ROOT ", " SAY("div", "Div", "'d', 'r'", "'n'")),
              NULL, 3, "RMSNormalization(d, ", "", 2e-6);
    untouched(NET("'n'", LAYER_CONSTANTS,
                  SAY("abs", "Abs", "'x'", "'a'") ", " RMS_ROOT
                                                  ", " SAY("div", "Div", "'a', 'r'", "'n'")),
              "recognize_rms_normalization", "");
}

/* ---- other ways to write a root ----------------------------------------------------------- */

#define POWER(exponent) SAY("sqrt", "Pow", "'ve', '" exponent "'", "'r'")
#define UNDER_ROOT                                                                                 \
    CENTRED ", " SAY("square", "Mul", "'d', 'd'",                                                  \
                     "'d2'") ", " SAY("variance", "ReduceMean", "'d2', 'axis'",                    \
                                      "'v'") ", " SAY("add", "Add", "'v', 'epsilon'", "'ve'")
#define EXPONENTS                                                                                  \
    SCALAR_OF("up", "0.5") ", " SCALAR_OF("down", "-0.5") ", " SCALAR_OF("other", "0.25")

Test(recognize_layer_normalization, takes_powers_for_roots)
{
    rewritten(NET("'n'", LAYER_CONSTANTS ", " EXPONENTS,
                  UNDER_ROOT ", " POWER("up") ", " SAY("div", "Div", "'d', 'r'", "'n'")),
              NULL, 1, "= LayerNormalization", "", 2e-6);
    rewritten(NET("'n'", LAYER_CONSTANTS ", " EXPONENTS,
                  UNDER_ROOT ", " POWER("down") ", " SAY("div", "Mul", "'r', 'd'", "'n'")),
              NULL, 1, "= LayerNormalization", "", 2e-6);
    untouched(NET("'n'", LAYER_CONSTANTS ", " EXPONENTS,
                  UNDER_ROOT ", " POWER("other") ", " SAY("div", "Div", "'d', 'r'", "'n'")),
              "recognize_layer_normalization", "");
    untouched(NET("'n'", LAYER_CONSTANTS ", " EXPONENTS,
                  UNDER_ROOT ", " POWER("down") ", " SAY("div", "Div", "'d', 'r'", "'n'")),
              "recognize_layer_normalization", "");
}

/* What is divided must have the same mean taken off: a mean over another axis makes another sum. */
Test(recognize_layer_normalization, wants_the_same_mean_twice)
{
    static const char *const form = CENTRED
        ", " SAY("again", "ReduceMean", "'x', '%s'", "'m2'") ", " SAY(
            "sub2", "Sub", "'x', 'm2'",
            "'e'") ", " SAY("square", "Mul", "'d', 'd'",
                            "'d2'") ", " ROOT ", " SAY("div", "Div", "'e', 'r'", "'n'");
    char nodes[2048], text[4096];
    const char *const constants = LAYER_CONSTANTS
        ", " CONSTANT("same", "int64", "[1]", "[2]") ", " CONSTANT("first", "int64", "[1]", "[1]");
    snprintf(nodes, sizeof nodes, form, "same");
    snprintf(text, sizeof text, NET("'n'", "%s", "%s"), constants, nodes);
    rewritten(text, NULL, 1, "= LayerNormalization", "* 9 nodes", 2e-6);
    snprintf(nodes, sizeof nodes, form, "first");
    snprintf(text, sizeof text, NET("'n'", "%s", "%s"), constants, nodes);
    untouched(text, "recognize_layer_normalization", "");
}

#define SPREAD(by_mean)                                                                                \
    UNDER_ROOT ", " SAY("sqrt", "Sqrt", "'ve'", "'r'") ", " SAY(                                       \
        "inverse", "Reciprocal", "'r'",                                                                \
        "'i'") ", " SAY("scaled", "Mul", "'i', 'scale'",                                               \
                        "'s'") ", " SAY("straight", "Mul", "'x', 's'",                                 \
                                        "'xs'") ", " SAY("shift", "Mul", "'" by_mean "', 's'",         \
                                                         "'ms'") ", " SAY("rest", "Sub",               \
                                                                          "'bias', 'ms'",              \
                                                                          "'t'") ", " SAY("sum",       \
                                                                                          "Add",       \
                                                                                          "'xs', 't'", \
                                                                                          "'y'")

Test(recognize_layer_normalization, takes_what_tensorflow_writes)
{
    const char *text = NET("'y'", LAYER_CONSTANTS, SPREAD("m"));
    rewritten(text, NULL, 1, "= LayerNormalization sum/LayerNormalization(x, scale, bias)",
              "* 12 nodes up to sum are one LayerNormalization\n", 4e-6);
    same_specials(text, NULL, 4e-6);
    untouched(NET("'y'", LAYER_CONSTANTS, SPREAD("x")), "recognize_layer_normalization", "");
}

Test(recognize_sigmoid, is_only_asked_for)
{
    const char *text = NET(
        "'y'", ONE,
        SAY("neg", "Neg", "'x'", "'n'") ", " SAY("exp", "Exp", "'n'", "'e'") ", " SAY(
            "sum", "Add", "'e', 'one'", "'s'") ", " SAY("div", "Div", "'x', 's'", "'y'"));
    rewritten(text, NULL, 4, "= Exp", "  recognize_sigmoid ", 0);
    rewritten(text, "all", 1, "= Swish", "* 4 nodes up to div are one Sigmoid\n", 1e-6);
    untouched(NET("'y'", ONE ", " SCALAR_OF("two", "2"),
                  SAY("neg", "Neg", "'x'", "'n'") ", " SAY("exp", "Exp", "'n'", "'e'") ", " SAY(
                      "sum", "Add", "'e', 'two'", "'s'") ", " SAY("div", "Div", "'x', 's'", "'y'")),
              "recognize_sigmoid", "");
    untouched(
        NET("'y'", ONE,
            SAY("exp", "Exp", "'x'", "'e'") ", " SAY("sum", "Add", "'e', 'one'", "'s'") ", " SAY(
                "div", "Div", "'one', 's'", "'y'")),
        "recognize_sigmoid", "");
}

/* ---- channel shuffle ------------------------------------------------------------------------- */

#define SHUFFLE(shape, split, perm, joined)                                                                      \
    GRAPH("'inputs': [" IN("x", "float32", shape) "], 'outputs': ['y'], 'constants': {" CONSTANT(                \
        "split", "int64", "[5]",                                                                                 \
        split) ", " CONSTANT("joined", "int64", "[4]",                                                           \
                             joined) "}, 'nodes': [" SAY("cut", "Reshape", "'x', 'split'",                       \
                                                         "'s'") ", " NAMED("turn", "Transpose",                  \
                                                                           "'s'", "'t'",                         \
                                                                           "'perm': " perm) ", " SAY("join",     \
                                                                                                     "Reshape",  \
                                                                                                     "'t', "     \
                                                                                                     "'joined'", \
                                                                                                     "'y'") "]")

Test(recognize_channel_shuffle, is_one_gather_and_exact)
{
    rewritten(SHUFFLE("[2, 6, 3, 4]", "[2, 2, 3, 3, 4]", "[0, 2, 1, 3, 4]", "[2, 6, 3, 4]"), NULL,
              1, "= Gather", "* 3 nodes up to join are one Gather\n", 0);
    rewritten(SHUFFLE("[1, 12, 2, 2]", "[1, 3, 4, 2, 2]", "[0, 2, 1, 3, 4]", "[1, 12, 2, 2]"), NULL,
              1, "= Gather", "* 3 nodes up to join are one Gather\n", 0);
}

Test(recognize_channel_shuffle, leaves_what_mixes_anything_else)
{
    untouched(SHUFFLE("[2, 6, 3, 4]", "[2, 2, 3, 3, 4]", "[0, 2, 1, 4, 3]", "[2, 6, 3, 4]"),
              "recognize_channel_shuffle", "");
    untouched(SHUFFLE("[2, 6, 3, 4]", "[2, 2, 3, 3, 4]", "[0, 2, 1, 3, 4]", "[2, 6, 4, 3]"),
              "recognize_channel_shuffle", "");
    untouched(SHUFFLE("[2, 6, 3, 4]", "[2, 6, 1, 4, 3]", "[0, 2, 1, 3, 4]", "[2, 6, 3, 4]"),
              "recognize_channel_shuffle", "");
}
