/* The backend `openblas` against the reference: convolutions in groups of few outputs, which are no
 * matrix products, with tails, strides, padding and dilation on any axis, bands and epilogues, in
 * strict math; infinities stay where they belong.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "libraries.h"

static const char on[] = "openblas";

typedef struct grouped_case {
    const char *x, *w, *attributes;
    int outputs, terms;
    const char *steps; /* nodes from c to y */
} grouped_case;

static const char none[] = "";
static const char relu[] = ", {\"op\": \"Relu\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}";
static const char true_swish[] =
    ", {\"op\": \"Swish\", \"inputs\": [\"c\"], \"outputs\": [\"y\"], \"attributes\": {\"alpha\": 1.5}}";
static const char sum_swish[] =
    ", {\"op\": \"Add\", \"inputs\": [\"c\", \"high\"], \"outputs\": [\"s\"]}"
    ", {\"op\": \"HardSwish\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]}";

static void grouped_json(const grouped_case *t, const char *dtype, char *json, size_t bytes)
{
    snprintf(
        json, bytes,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"%s\", \"shape\": [%s]}], "
        "\"outputs\": [\"%s\"], \"constants\": {"
        "\"w\": {\"dtype\": \"%s\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 3}}, "
        "\"b\": {\"dtype\": \"%s\", \"shape\": [%d], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 4}}, "
        "\"high\": {\"dtype\": \"%s\", \"shape\": [], \"data\": 1}}, "
        "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"w\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {%s}}%s]}",
        dtype, t->x, t->steps[0] ? "y" : "c", dtype, t->w, dtype, t->outputs, dtype, t->attributes,
        t->steps);
}

static const grouped_case cases[] = {
    { "1, 8, 9, 9", "8, 1, 3, 3", "\"group\": 8, \"pads\": [1, 1, 1, 1]", 8, 9, relu },
    { "2, 19, 10, 7", "19, 1, 3, 3", "\"group\": 19, \"pads\": [1, 1, 1, 1], \"strides\": [2, 2]",
      19, 9, none },
    { "1, 5, 33, 47", "5, 1, 5, 5", "\"group\": 5, \"pads\": [2, 2, 2, 2], \"strides\": [1, 2]", 5,
      25, sum_swish },
    { "1, 6, 12, 40", "6, 1, 3, 5",
      "\"group\": 6, \"pads\": [2, 4, 2, 4], \"dilations\": [2, 3], \"strides\": [2, 3]", 6, 15,
      relu },
    { "1, 4, 7, 17", "8, 1, 2, 2", "\"group\": 4, \"strides\": [2, 2]", 8, 4, true_swish },
    { "2, 6, 5, 16", "9, 2, 3, 3", "\"group\": 3, \"pads\": [0, 1, 2, 3]", 9, 18, relu },
    { "1, 3, 200, 300", "3, 1, 7, 7", "\"group\": 3, \"pads\": [3, 3, 3, 3]", 3, 49, none },
    { "1, 4, 30", "4, 1, 3", "\"group\": 4, \"pads\": [2, 2], \"dilations\": [2]", 4, 3, none },
    { "1, 4, 5, 6, 7", "4, 1, 3, 2, 3",
      "\"group\": 4, \"pads\": [1, 1, 1, 1, 0, 1], \"strides\": [2, 1, 2]", 4, 18, relu },
    { "1, 2, 3, 3", "2, 1, 1, 1", "\"group\": 2, \"strides\": [2, 2]", 2, 1, none },
    { "1, 2, 2, 2", "2, 1, 5, 5", "\"group\": 2, \"pads\": [4, 4, 4, 4]", 2, 25, none },
};

Test(openblas_conv, groups_of_few_outputs_are_summed_up_by_tap)
{
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char json[4096], algorithm[192];
        grouped_json(&cases[k], "float32", json, sizeof json);
        check_on(on, json, TN_MATH_STRICT, cases[k].terms, "Conv");
        const setup s = { json, "openblas,reference", TN_MATH_FAST, 1 };
        fixture f = open_text(json);
        algorithm_of(&f, &s, on, "Conv", algorithm, sizeof algorithm);
        cr_expect_str_eq(algorithm, "sums by tap", "%s", json);
        close_fixture(&f);
    }
}

/* An infinity in the picture's corner meets padding's neighbours and zero weights alike. */
Test(openblas_conv, infinities_of_groups_stay_where_they_belong)
{
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char json[4096];
        grouped_json(&cases[k], "float32", json, sizeof json);
        check_poisoned(on, json, TN_MATH_STRICT, INFINITY, cases[k].terms, "Conv");
        check_poisoned(on, json, TN_MATH_STRICT, NAN, cases[k].terms, "Conv");
    }
}

/* Weights of infinity over padding: zero times infinity. */
Test(openblas_conv, an_infinite_weight_over_padding_is_not_a_number)
{
    check_on(
        on,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [1, 2, 4, 4]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [2, 1, 1, 3], \"data\": [\"Infinity\", 1, 1, 1, 1, 1]}}, "
        "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"y\"], \"attributes\": {\"group\": 2, \"pads\": [0, 1, 0, 1]}}]}",
        TN_MATH_STRICT, 3, "Conv");
}
