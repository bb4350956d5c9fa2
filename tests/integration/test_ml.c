/* Operators of ai.onnx.ml, by their formulas; ONNX has tests for four of them only.
 *
 * SPDX-License-Identifier: MIT */
#include "cases.h"

#define T(name, type, shape, data)                                                                 \
    "\"" name "\": {\"dtype\": \"" type "\", \"shape\": [" shape "], \"data\": [" data "]}"
#define ML(set, op) "{\"ai.onnx\": 20, \"ai.onnx.ml\": " set "}", "ai.onnx.ml", op
#define X(type, shape, data) "\"x\"", T("x", type, shape, data)

Test(features, columns_are_scaled_filled_and_encoded)
{
    static const one_node cases[] = {
        { "scale", ML("1", "Scaler"),
          "\"offset\": {\"floats\": [1, 2]}, \"scale\": {\"floats\": [10]}",
          X("int64", "2,2", "1,2,3,4"), 1, "0 0 20 20" },
        { "largest", ML("1", "Normalizer"), NULL, X("float32", "2,2", "1,4,-2,-1"), 1,
          "0.25 1 2 1" },
        { "L1", ML("1", "Normalizer"), "\"norm\": {\"string\": \"L1\"}",
          X("float64", "2,2", "1,-3,0,0"), 1, "0.25 -0.75 0 0" },
        { "L2", ML("1", "Normalizer"), "\"norm\": {\"string\": \"L2\"}", X("int32", "2", "3,4"), 1,
          "0.6 0.8" },
        { "NaN", ML("1", "Imputer"),
          "\"imputed_value_floats\": {\"floats\": [7, 8]}, \"replaced_value_float\": {\"float\": \"NaN\"}",
          X("float32", "2,2", "\"NaN\",1,2,\"NaN\""), 1, "7 1 2 8" },
        { "integers", ML("1", "Imputer"),
          "\"imputed_value_int64s\": {\"ints\": [5]}, \"replaced_value_int64\": {\"int\": -1}",
          X("int32", "3", "-1,0,1"), 1, "5 0 1" },
        { "one hot", ML("1", "OneHotEncoder"), "\"cats_int64s\": {\"ints\": [3, 5]}",
          X("float32", "3", "5,4,3.5"), 1, "0 1 0 0 1 0" },
        { "one hot texts", ML("1", "OneHotEncoder"),
          "\"cats_strings\": {\"strings\": [\"a\", \"b\"]}", X("string", "2", "\"b\",\"a\""), 1,
          "0 1 1 0" },
        { "binary", ML("1", "Binarizer"), "\"threshold\": {\"float\": 2}", X("int64", "3", "1,2,3"),
          1, "0 0 1" },
        { "side by side", ML("1", "FeatureVectorizer"), "\"inputdimensions\": {\"ints\": [1, 3]}",
          "\"x\", \"y\"", T("x", "int32", "2,2", "1,2,3,4") "," T("y", "int32", "2,2", "5,6,7,8"),
          1, "1 5 6 0 3 7 8 0" },
        { "columns", ML("1", "ArrayFeatureExtractor"), NULL, "\"x\", \"y\"",
          T("x", "int64", "2,3", "1,2,3,4,5,6") "," T("y", "int64", "2", "2,0"), 1, "3 1 6 4" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(labels, keys_become_values)
{
    static const one_node numbers[] = {
        { "NaN, and the last of equal keys", ML("2", "LabelEncoder"),
          "\"keys_floats\": {\"floats\": [\"NaN\", 1, 1]}, \"values_int64s\": {\"ints\": [4, 5, 6]}",
          X("float32", "3", "1,\"NaN\",2"), 1, "6 4 -1" },
        { "classes to places", ML("1", "LabelEncoder"),
          "\"classes_strings\": {\"strings\": [\"a\", \"b\"]}, \"default_int64\": {\"int\": 9}",
          X("string", "3", "\"b\",\"a\",\"c\""), 1, "1 0 9" },
    };
    static const one_node texts[] = {
        { "places to classes", ML("1", "LabelEncoder"),
          "\"classes_strings\": {\"strings\": [\"a\", \"b\"]}", X("int64", "3", "1,2,0"), 1,
          "b|_Unused|a" },
        { "numbers to texts", ML("4", "LabelEncoder"),
          "\"keys_int64s\": {\"ints\": [1, 2]}, \"values_strings\": {\"strings\": [\"one\", \"two\"]},"
          " \"default_string\": {\"string\": \"?\"}",
          X("int64", "3", "2,1,3"), 1, "two|one|?" },
    };
    EACH(numbers, run_case(&numbers[k], check_numbers));
    EACH(texts, run_case(&texts[k], check_texts));
}

/* ---- scores: output 1, after the labels ----------------------------------------------------------- */

static void check_scores(const one_node *c, tn_context *context)
{
    const tn_tensor *labels = tn_context_output(context, 0),
                    *scores = tn_context_output(context, 1);
    const char *at = c->expected;
    char *end;
    for (int64_t k = 0; k < tn_count(labels) + tn_count(scores); k++, at = end) {
        const int64_t own = k - tn_count(labels);
        const double got = own < 0 ? tn_get_double(labels->dtype, labels->data, k)
                                   : tn_get_double(scores->dtype, scores->data, own);
        const double want = strtod(at, &end);
        cr_assert(end != at && fabs(want - got) <= 1e-5 * (1 + fabs(want)),
                  "%s: element %lld is %.9g: expected %.9g", c->name, (long long)k, got, want);
    }
}

#define LINE "\"coefficients\": {\"floats\": [1, 0, 0, 1]}, \"intercepts\": {\"floats\": [0, 1]}"
#define BOTH "\"classlabels_ints\": {\"ints\": [7, 8]}"

Test(linear_models, sums_and_transforms)
{
    static const one_node scores[] = {
        { "none", ML("1", "LinearClassifier"), LINE "," BOTH, X("float32", "2,2", "3,1,1,1"), 2,
          "7 8 3 2 1 2" },
        { "softmax", ML("1", "LinearClassifier"),
          LINE "," BOTH ", \"post_transform\": {\"string\": \"SOFTMAX\"}", X("int64", "1,2", "1,0"),
          2, "7 0.5 0.5" },
        { "one score", ML("1", "LinearClassifier"),
          "\"coefficients\": {\"floats\": [1, 1]}, \"intercepts\": {\"floats\": [-1]}," BOTH
          ", \"post_transform\": {\"string\": \"LOGISTIC\"}",
          X("float32", "2,2", "1,0,2,0"), 2, "7 8 0.5 0.5 0.26894142 0.73105858" },
    };
    static const one_node targets[] = {
        { "two", ML("1", "LinearRegressor"), LINE ", \"targets\": {\"int\": 2}",
          X("float32", "2,2", "1,2,3,4"), 1, "1 3 3 5" },
        /* The normal distribution reaches 0.975 at 1.95996398454. */
        { "probit", ML("1", "LinearRegressor"),
          "\"coefficients\": {\"floats\": [1]}, \"post_transform\": {\"string\": \"PROBIT\"}",
          X("float64", "2,1", "0.975,0.5"), 1, "1.95996398 0" },
        { "softmax without zeros", ML("1", "LinearRegressor"),
          "\"coefficients\": {\"floats\": [1, 1, 0]}, \"targets\": {\"int\": 3},"
          " \"post_transform\": {\"string\": \"SOFTMAX_ZERO\"}",
          X("float32", "1,1", "2"), 1, "0.5 0.5 0" },
    };
    EACH(scores, run_case(&scores[k], check_scores));
    EACH(targets, run_case(&targets[k], check_numbers));
}

/* Tree 0: x0 <= 1 ? 10 : (x1 > 5 ? 20 : 30); tree 1: a leaf of 1. NaN goes the true way at the root. */
#define NODES                                                                                      \
    "\"nodes_treeids\": {\"ints\": [0,0,0,0,0,1]}, \"nodes_nodeids\": {\"ints\": [0,1,2,3,4,0]},"  \
    " \"nodes_featureids\": {\"ints\": [0,0,1,0,0,0]},"                                            \
    " \"nodes_values\": {\"floats\": [1,0,5,0,0,0]},"                                              \
    " \"nodes_truenodeids\": {\"ints\": [1,0,3,0,0,0]},"                                           \
    " \"nodes_falsenodeids\": {\"ints\": [2,0,4,0,0,0]},"                                          \
    " \"nodes_missing_value_tracks_true\": {\"ints\": [1,0,0,0,0,0]},"                             \
    " \"nodes_modes\": {\"strings\": [\"BRANCH_LEQ\",\"LEAF\",\"BRANCH_GT\",\"LEAF\",\"LEAF\",\"LEAF\"]}"
#define TARGETS(ids)                                                                               \
    NODES                                                                                          \
    ", \"target_treeids\": {\"ints\": [1,0,0,0]}, \"target_nodeids\": {\"ints\": [0,4,3,1]},"      \
    " \"target_ids\": {\"ints\": [" ids "]}, \"target_weights\": {\"floats\": [1,30,20,10]},"      \
    " \"n_targets\": {\"int\": 2}"
#define CLASSES(ids, weights)                                                                      \
    NODES ", \"class_treeids\": {\"ints\": [1,0,0,0]}, \"class_nodeids\": {\"ints\": [0,4,3,1]},"  \
          " \"class_ids\": {\"ints\": [" ids "]}, \"class_weights\": {\"floats\": [" weights "]}," \
          " \"classlabels_int64s\": {\"ints\": [7, 8]}"
#define ROWS X("float32", "4,2", "1,0,2,6,2,5,\"NaN\",0")

Test(trees, leaves_add_up)
{
    static const one_node targets[] = {
        { "sum", ML("3", "TreeEnsembleRegressor"), TARGETS("1,0,0,0"), ROWS, 1,
          "10 1 20 1 30 1 10 1" },
        { "average", ML("3", "TreeEnsembleRegressor"),
          TARGETS("0,0,0,0") ", \"aggregate_function\": {\"string\": \"AVERAGE\"},"
                             " \"base_values\": {\"floats\": [0, 5]}",
          ROWS, 1, "5.5 5 10.5 5 15.5 5 5.5 5" },
        { "smallest", ML("1", "TreeEnsembleRegressor"),
          TARGETS("0,0,0,0") ", \"aggregate_function\": {\"string\": \"MIN\"}", ROWS, 1,
          "1 0 1 0 1 0 1 0" },
        { "largest", ML("1", "TreeEnsembleRegressor"),
          TARGETS("0,0,0,0") ", \"aggregate_function\": {\"string\": \"MAX\"}", ROWS, 1,
          "10 0 20 0 30 0 10 0" },
    };
    static const one_node scores[] = {
        { "two classes", ML("3", "TreeEnsembleClassifier"), CLASSES("0,1,1,0", "3,4,2,1"), ROWS, 2,
          "7 7 8 7 4 0 3 2 3 4 4 0" },
        { "one of two, positive", ML("1", "TreeEnsembleClassifier"),
          CLASSES("0,0,0,0", "0.125,0.5,0.25,0.125"), ROWS, 2,
          "7 7 8 7 0.75 0.25 0.625 0.375 0.375 0.625 0.75 0.25" },
        { "one of two, logistic", ML("3", "TreeEnsembleClassifier"),
          CLASSES("0,0,0,0", "0,1,-1,0") ", \"post_transform\": {\"string\": \"LOGISTIC\"}", ROWS,
          2, "7 7 8 7 0.5 0.5 0.73105858 0.26894142 0.26894142 0.73105858 0.5 0.5" },
    };
    EACH(targets, run_case(&targets[k], check_numbers));
    EACH(scores, run_case(&scores[k], check_scores));
}

Test(ml, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "index", ML("1", "ArrayFeatureExtractor"), NULL, "\"x\", \"y\"",
          T("x", "int64", "1,2", "1,2") "," T("y", "int64", "1", "2"), 1,
          "index 0 is 2: expected 0 to 1" },
        { "category", ML("1", "OneHotEncoder"),
          "\"cats_int64s\": {\"ints\": [3]}, \"zeros\": {\"int\": 0}", X("int64", "1", "4"), 1,
          "element 0 is in no category" },
        { "norm", ML("1", "Normalizer"), "\"norm\": {\"string\": \"L3\"}", X("float32", "1", "4"),
          1, "norm is 'L3': expected MAX, L1 or L2" },
        { "offset", ML("1", "Scaler"), "\"offset\": {\"floats\": [1, 2]}",
          X("float32", "3", "1,2,3"), 1, "offset has 2 elements: expected 3" },
        { "keys", ML("2", "LabelEncoder"), "\"values_int64s\": {\"ints\": [1]}",
          X("int64", "1", "1"), 1,
          "there are no keys: expected one of keys_strings, keys_int64s, keys_floats and keys_tensor" },
        { "key type", ML("2", "LabelEncoder"),
          "\"keys_strings\": {\"strings\": [\"a\"]}, \"values_int64s\": {\"ints\": [1]}",
          X("int64", "1", "1"), 1, "input 'X' has type 7: expected 8, the type of the keys" },
        { "coefficients", ML("1", "LinearRegressor"), "\"coefficients\": {\"floats\": [1, 2]}",
          X("float32", "1,3", "1,2,3"), 1, "coefficients has 2 elements: expected 3" },
        { "target", ML("3", "TreeEnsembleRegressor"), TARGETS("0,0,0,2"), ROWS, 1,
          "target_ids[3] is 2: expected 0 to 1" },
        { "transform", ML("1", "LinearRegressor"),
          "\"coefficients\": {\"floats\": [1]}, \"post_transform\": {\"string\": \"TANH\"}",
          X("float32", "1,1", "1"), 1,
          "post_transform is 'TANH': expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT" },
    };
    EACH(cases, refuse_case(&cases[k]));
}
