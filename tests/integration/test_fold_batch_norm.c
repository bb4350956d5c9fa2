/* fold_batch_norm: the answers with the pass and without it, and answers worked out by hand; when it
 * folds, and when it nearly does and says why not. Reference backend.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>

enum { TEXT = 8192, MANY = 4096 };

/* ---- networks ------------------------------------------------------------------------------ */

#define NODE(name, op, in, out, attributes)                                                        \
    "{\"name\": \"" name "\", \"op\": \"" op "\", \"inputs\": [" in "], \"outputs\": [\"" out      \
    "\"], \"attributes\": {" attributes "}}"
#define RANDOM(name, dtype, shape, range, seed)                                                    \
    "\"" name "\": {\"dtype\": \"" dtype "\", \"shape\": [" shape                                  \
    "], \"random\": {\"distribution\": \"uniform\", " range ", \"seed\": " seed "}}"
#define FLOATS(name, shape, data)                                                                  \
    "\"" name "\": {\"dtype\": \"float32\", \"shape\": [" shape "], \"data\": [" data "]}"
#define NORM(name, x, y)                                                                           \
    NODE(name, "BatchNormalization", x ", \"scale\", \"offset\", \"mean\", \"variance\"", y, "")
#define AROUND_0 "\"low\": -1, \"high\": 1"
#define POSITIVE "\"low\": 0.25, \"high\": 2"
#define STATISTICS(dtype, channels)                                                                \
    RANDOM("scale", dtype, channels, AROUND_0, "11")                                               \
    ", " RANDOM("offset", dtype, channels, AROUND_0,                                               \
                "12") ", " RANDOM("mean", dtype, channels, AROUND_0,                               \
                                  "13") ", " RANDOM("variance", dtype, channels, POSITIVE, "14")
#define WEIGHTS(shape) RANDOM("w", "float32", shape, AROUND_0, "21")
#define BIAS(shape) RANDOM("b", "float32", shape, AROUND_0, "22")

/* Inputs: x of a shape; outputs: y and, maybe, more. */
static const char *graph(const char *dtype, const char *shape, const char *outputs,
                         const char *constants, const char *nodes)
{
    static char text[TEXT];
    const int count = snprintf(
        text, sizeof text,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"%s\", \"shape\": [%s]}],"
        " \"outputs\": [%s], \"constants\": {%s}, \"nodes\": [%s]}",
        dtype, shape, outputs, constants, nodes);
    cr_assert(count > 0 && count < TEXT);
    return text;
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct answer {
    uint64_t nodes;
    char passes[TEXT];
    size_t count, bytes;
    union {
        float f[MANY];
        double d[MANY];
        uint16_t h[MANY];
    } y;
    uint32_t dtype;
} answer;

static void append(void *user, const char *text, size_t count)
{
    answer *a = user;
    const size_t used = strlen(a->passes), room = sizeof a->passes - 1 - used;
    memcpy(a->passes + used, text, count < room ? count : room);
    a->passes[used + (count < room ? count : room)] = 0;
}

/* x is given as floats and narrowed or widened to the input's type. */
static void set_x(tn_context *context, const tn_type *type, const float *values)
{
    static double wide[MANY];
    static uint16_t half[MANY];
    static float plain[MANY];
    static int64_t dims[TN_MAX_RANK];
    size_t count = 1;
    for (int32_t k = 0; k < type->rank; k++)
        count *= (size_t)(dims[k] = type->dims[k]);
    cr_assert_leq(count, MANY);
    for (size_t k = 0; k < count; k++) {
        uint32_t bits;
        plain[k] = values[k];
        wide[k] = (double)values[k];
        memcpy(&bits, &values[k], 4);
        half[k] = (uint16_t)(bits >> 16); /* bfloat16, cut off */
    }
    tn_tensor x = floats(plain, type->rank, dims);
    x.dtype = type->dtype;
    if (type->dtype == TN_FLOAT64) {
        x.data = wide;
        x.bytes = count * 8;
    } else if (type->dtype != TN_FLOAT32) {
        for (size_t k = 0; type->dtype == TN_FLOAT16 && k < count; k++)
            half[k] = (uint16_t)(values[k] < 0 ? 0xb800 + k % 64
                                               : 0x3800 + k % 64); /* around a half */
        x.data = half;
        x.bytes = count * 2;
    }
    OK(tn_context_set_input(context, "x", &x));
}

static void run_as(const char *text, const char *passes, uint32_t math, const float *x, answer *out)
{
    fixture f = open_text(text);
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "reference",
                                         .passes = passes,
                                         .math = math };
    tn_session_stats stats = { .size = sizeof stats };
    tn_session *session;
    tn_context *context;
    memset(out, 0, sizeof *out);
    OK(tn_session_create(f.model, &options, NULL, &session));
    tn_session_get_stats(session, &stats);
    out->nodes = stats.nodes_left;
    OK(tn_session_print(session, "passes", append, out));
    OK(tn_context_create(session, &context));
    set_x(context, &tn_session_input(session, 0)->type, x);
    OK(tn_context_run(context, NULL));
    const tn_tensor *y = tn_context_output(context, 0);
    out->dtype = y->dtype;
    out->bytes = y->bytes;
    cr_assert_leq(y->bytes, sizeof out->y);
    memcpy(&out->y, y->data, y->bytes);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

static double element(const answer *a, size_t k)
{
    float value;
    uint32_t bits;
    switch (a->dtype) {
    case TN_FLOAT32: return (double)a->y.f[k];
    case TN_FLOAT64: return a->y.d[k];
    case TN_BFLOAT16:
        bits = (uint32_t)a->y.h[k] << 16;
        memcpy(&value, &bits, 4);
        return (double)value;
    default: {
        const double mantissa = (double)(a->y.h[k] & 0x3ff) / 1024.0,
                     sign = a->y.h[k] & 0x8000 ? -1 : 1;
        const int exponent = a->y.h[k] >> 10 & 31;
        return exponent == 31
                   ? (double)NAN
                   : sign * (exponent ? ldexp(1 + mantissa, exponent - 15) : ldexp(mantissa, -14));
    }
    }
}
static size_t width(const answer *a)
{
    return a->dtype == TN_FLOAT64 ? 8 : a->dtype == TN_FLOAT32 ? 4 : 2;
}

static void compare(const answer *a, const answer *b, double tolerance)
{
    cr_assert_eq(a->dtype, b->dtype);
    cr_assert_eq(a->bytes, b->bytes);
    for (size_t k = 0; k < a->bytes / width(a); k++) {
        const double u = element(a, k), v = element(b, k);
        cr_assert(fabs(u - v) <= tolerance || (isnan(u) && isnan(v)) || u == v,
                  "element %zu: %.9g with the pass, %.9g without", k, u, v);
    }
}

static const float *noise(void)
{
    static float data[MANY];
    fill(data, MANY, 5);
    return data;
}

static void expect_note(const answer *a, const char *note)
{
    cr_expect(strstr(a->passes, note), "%s\nhas no\n%s", a->passes, note);
}

/* It folds: one node is left of two, and the answers agree. */
static void folds_typed(const char *text, double tolerance)
{
    static answer with, without;
    run_as(text, NULL, TN_MATH_STRICT, noise(), &with);
    run_as(text, "-fold_batch_norm", TN_MATH_STRICT, noise(), &without);
    cr_expect_eq(with.nodes, without.nodes - 1, "%s", with.passes);
    expect_note(&with, "* bn folded into linear\n");
    compare(&with, &without, tolerance);
}
static void folds(const char *text)
{
    folds_typed(text, (double)bound(64, 4));
}

/* It does not, and says why. */
static void stays(const char *text, const char *why)
{
    static answer with, without;
    run_as(text, NULL, TN_MATH_STRICT, noise(), &with);
    run_as(text, "none", TN_MATH_STRICT, noise(), &without);
    expect_note(&with, why);
    cr_expect_eq(with.nodes, without.nodes, "%s", with.passes);
    compare(&with, &without, 0);
}

/* ---- behind ---------------------------------------------------------------------------------- */

Test(fold_batch_norm, gives_the_numbers_worked_out_by_hand)
{
    /* f = scale / sqrt(variance) = 1/2 and 2/1; s = offset - mean f = 0 and -4. x = 1, 2 gives
     * 2x+1 = 3, 5 and 3x-1 = 2, 5, hence 3/2, 5/2 and 4-4, 10-4. */
    static const float x[2] = { 1, 2 }, expected[4] = { 1.5f, 2.5f, 0, 6 };
    const char *text = graph(
        "float32", "1, 1, 1, 2", "\"y\"",
        FLOATS("w", "2, 1, 1, 1", "2, 3") ", " FLOATS("b", "2", "1, -1") ", " FLOATS(
            "scale", "2",
            "1, 2") ", " FLOATS("offset", "2",
                                "0.5, 0") ", " FLOATS("mean", "2", "1, 2") ", " FLOATS("variance",
                                                                                       "2", "4, 1"),
        NODE("linear", "Conv", "\"x\", \"w\", \"b\"", "h", "") ", " NODE(
            "bn", "BatchNormalization", "\"h\", \"scale\", \"offset\", \"mean\", \"variance\"", "y",
            "\"epsilon\": 0.0"));
    static answer a;
    for (int turn = 0; turn < 2; turn++) {
        run_as(text, turn ? "none" : NULL, TN_MATH_STRICT, x, &a);
        cr_expect_eq(a.nodes, turn ? 2 : 1);
        for (int k = 0; k < 4; k++)
            cr_expect_eq(a.y.f[k], expected[k], "element %d: %g", k, (double)a.y.f[k]);
    }
}

Test(fold_batch_norm, goes_into_a_conv_with_and_without_bias_padding_and_groups)
{
    folds(graph("float32", "2, 4, 6, 5", "\"y\"",
                WEIGHTS("6, 4, 3, 3") ", " BIAS("6") ", " STATISTICS("float32", "6"),
                NODE("linear", "Conv", "\"x\", \"w\", \"b\"", "h",
                     "\"pads\": [1, 1, 1, 1]") ", " NORM("bn", "\"h\"", "y")));
    folds(graph("float32", "2, 4, 6, 5", "\"y\"",
                WEIGHTS("6, 2, 3, 2") ", " STATISTICS("float32", "6"),
                NODE("linear", "Conv", "\"x\", \"w\"", "h",
                     "\"group\": 2, \"auto_pad\": \"SAME_UPPER\"") ", " NORM("bn", "\"h\"", "y")));
    folds(graph("float32", "1, 3, 20", "\"y\"", WEIGHTS("3, 1, 5") ", " STATISTICS("float32", "3"),
                NODE("linear", "Conv", "\"x\", \"w\", \"\"", "h",
                     "\"group\": 3") ", " NORM("bn", "\"h\"", "y")));
}

Test(fold_batch_norm, goes_into_a_conv_transpose)
{
    folds(graph(
        "float32", "2, 4, 3, 4", "\"y\"",
        WEIGHTS("4, 3, 3, 2") ", " BIAS("6") ", " STATISTICS("float32", "6"),
        NODE("linear", "ConvTranspose", "\"x\", \"w\", \"b\"", "h",
             "\"group\": 2, \"strides\": [2, 3], \"output_padding\": [1, 1]") ", " NORM("bn",
                                                                                        "\"h\"",
                                                                                        "y")));
    folds(graph(
        "float32", "1, 2, 7", "\"y\"", WEIGHTS("2, 5, 3") ", " STATISTICS("float32", "5"),
        NODE("linear", "ConvTranspose", "\"x\", \"w\"", "h", "") ", " NORM("bn", "\"h\"", "y")));
}

Test(fold_batch_norm, goes_into_a_gemm_of_any_form)
{
    static const char *const biases[] = { "", "5", "1, 5", "3, 5", "3, 1", "1" };
    for (size_t k = 0; k < sizeof biases / sizeof *biases; k++)
        for (int transposed = 0; transposed < 2; transposed++) {
            char constants[TEXT / 4], nodes[TEXT / 4];
            snprintf(
                constants, sizeof constants,
                RANDOM("w", "float32", "%s", AROUND_0, "21") "%s%s%s" STATISTICS("float32", "5"),
                transposed ? "5, 4" : "4, 5",
                *biases[k] ? ", \"b\": {\"dtype\": \"float32\", \"shape\": [" : "", biases[k],
                *biases[k] ? "], \"random\": {\"distribution\": \"normal\", \"seed\": 4}}, "
                           : ", ");
            snprintf(
                nodes, sizeof nodes,
                NODE("linear", "Gemm", "\"x\", \"w\"%s", "h",
                     "\"alpha\": 0.5, \"beta\": 3.0, \"transB\": %d") ", " NORM("bn", "\"h\"", "y"),
                *biases[k] ? ", \"b\"" : "", transposed);
            folds(graph("float32", "3, 4", "\"y\"", constants, nodes));
        }
    folds(graph("float32", "4, 3", "\"y\"", WEIGHTS("4, 5") ", " STATISTICS("float32", "5"),
                NODE("linear", "Gemm", "\"x\", \"w\"", "h",
                     "\"transA\": 1") ", " NORM("bn", "\"h\"", "y")));
}

Test(fold_batch_norm, makes_a_gemm_of_a_matmul_of_matrices_only)
{
    folds(graph("float32", "3, 4", "\"y\"", WEIGHTS("4, 5") ", " STATISTICS("float32", "5"),
                NODE("linear", "MatMul", "\"x\", \"w\"", "h", "") ", " NORM("bn", "\"h\"", "y")));
    stays(
        graph("float32", "2, 3, 4", "\"y\"", WEIGHTS("4, 5") ", " STATISTICS("float32", "3"),
              NODE("linear", "MatMul", "\"x\", \"w\"", "h", "") ", " NORM("bn", "\"h\"", "y")),
        "- linear: BatchNormalization not folded: MatMul's inputs are not both known to be matrices\n");
}

Test(fold_batch_norm, works_in_other_types)
{
    static const struct {
        const char *dtype;
        double tolerance;
    } types[] = { { "float64", 1e-13 }, { "float16", 0.05 }, { "bfloat16", 0.3 } };
    for (size_t k = 0; k < 3; k++) {
        char constants[TEXT / 4];
        snprintf(constants, sizeof constants,
                 RANDOM("w", "%s", "4, 2, 3", AROUND_0, "21") ", " STATISTICS("float32", "4"),
                 types[k].dtype);
        folds_typed(graph(types[k].dtype, "1, 2, 20", "\"y\"", constants,
                          NODE("linear", "Conv", "\"x\", \"w\"", "h",
                               "\"pads\": [1, 1]") ", " NORM("bn", "\"h\"", "y")),
                    types[k].tolerance);
    }
}

/* ---- before ---------------------------------------------------------------------------------- */

Test(fold_batch_norm, goes_into_the_conv_behind_it_where_nothing_is_padded)
{
    folds(graph("float32", "2, 4, 6, 5", "\"y\"",
                WEIGHTS("6, 4, 3, 3") ", " BIAS("6") ", " STATISTICS("float32", "4"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\", \"b\"", "y",
                                                   "\"strides\": [2, 1]")));
    folds(graph("float32", "1, 4, 12", "\"y\"", WEIGHTS("6, 2, 3") ", " STATISTICS("float32", "4"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\"", "y",
                                                   "\"group\": 2, \"auto_pad\": \"VALID\"")));
    folds(
        graph("float32", "3, 4", "\"y\"",
              WEIGHTS("5, 4") ", " BIAS("3, 1") ", " STATISTICS("float32", "4"),
              NORM("bn", "\"x\"", "h") ", " NODE("linear", "Gemm", "\"h\", \"w\", \"b\"", "y",
                                                 "\"transB\": 1, \"alpha\": 2.0, \"beta\": 0.5")));
    folds(graph("float32", "3, 4", "\"y\"", WEIGHTS("4, 5") ", " STATISTICS("float32", "4"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "MatMul", "\"h\", \"w\"", "y", "")));
}

Test(fold_batch_norm, does_not_cross_padding_unless_nothing_is_shifted)
{
#define NO_SHIFT(channels, zeros)                                                                  \
    RANDOM("scale", "float32", channels, AROUND_0, "11")                                           \
    ", " FLOATS("offset", channels, zeros) ", " FLOATS("mean", channels, zeros) ", " RANDOM(       \
        "variance", "float32", channels, POSITIVE, "14")
    stays(
        graph("float32", "1, 2, 6", "\"y\"", WEIGHTS("3, 2, 3") ", " STATISTICS("float32", "2"),
              NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\"", "y",
                                                 "\"pads\": [0, 1]")),
        "- linear: BatchNormalization not folded: Conv pads its input with zeros, which the shift would not reach\n");
    stays(graph("float32", "1, 2, 6", "\"y\"", WEIGHTS("3, 2, 3") ", " STATISTICS("float32", "2"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\"", "y",
                                                   "\"auto_pad\": \"SAME_LOWER\"")),
          "which the shift would not reach\n");
    stays(graph("float32", "1, 3, 6", "\"y\"", WEIGHTS("3, 2, 3") ", " STATISTICS("float32", "3"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "ConvTranspose", "\"h\", \"w\"", "y",
                                                   "")),
          "ConvTranspose sums other taps at each place\n");
    folds(graph("float32", "1, 2, 6", "\"y\"", WEIGHTS("3, 2, 3") ", " NO_SHIFT("2", "0, 0"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\"", "y",
                                                   "\"pads\": [0, 1]")));
    folds(graph("float32", "1, 4, 6", "\"y\"", WEIGHTS("4, 2, 3") ", " NO_SHIFT("4", "0, 0, 0, 0"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "ConvTranspose", "\"h\", \"w\"", "y",
                                                   "\"group\": 2, \"strides\": [2]")));
    stays(graph("float32", "4, 3", "\"y\"", WEIGHTS("4, 5") ", " STATISTICS("float32", "3"),
                NORM("bn", "\"x\"", "h") ", " NODE("linear", "Gemm", "\"h\", \"w\"", "y",
                                                   "\"transA\": 1")),
          "");
}

/* ---- near misses ------------------------------------------------------------------------------- */

#define CONV_NORM NODE("linear", "Conv", "\"x\", \"w\"", "h", "") ", " NORM("bn", "\"h\"", "y")

Test(fold_batch_norm, leaves_a_value_that_others_read)
{
    const char *constants = WEIGHTS("2, 2, 1") ", " STATISTICS("float32", "2");
    stays(graph("float32", "1, 2, 6", "\"y\", \"z\"", constants,
                CONV_NORM ", " NODE("add7", "Add", "\"h\", \"x\"", "z", "")),
          "- linear: BatchNormalization not folded: Conv's output is also read by add7\n");
    stays(
        graph("float32", "1, 2, 6", "\"y\", \"h\"", constants, CONV_NORM),
        "- linear: BatchNormalization not folded: Conv's output is also an output of the graph or of a body\n");
    stays(
        graph("float32", "1, 2, 6", "\"y\", \"h\"", constants,
              NORM("bn", "\"x\"", "h") ", " NODE("linear", "Conv", "\"h\", \"w\"", "y", "")),
        "- linear: BatchNormalization not folded: BatchNormalization's output is also an output of the graph or of a body\n");
}

Test(fold_batch_norm, leaves_constants_that_others_read_as_they_are)
{
    static answer with, without;
    const char *text = graph("float32", "1, 2, 6", "\"z\"",
                             WEIGHTS("2, 2, 1") ", " STATISTICS("float32", "2"),
                             CONV_NORM ", " NODE("second", "Conv", "\"y\", \"w\"", "z", ""));
    run_as(text, NULL, TN_MATH_STRICT, noise(), &with);
    run_as(text, "none", TN_MATH_STRICT, noise(), &without);
    cr_expect_eq(with.nodes, 2);
    compare(&with, &without, (double)bound(16, 4));
}

Test(fold_batch_norm, wants_constants_that_no_run_replaces)
{
    const char *statistics = STATISTICS("float32", "2");
    char text[TEXT];
    snprintf(
        text, sizeof text,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [1, 2, 6]},"
        " {\"name\": \"w\", \"dtype\": \"float32\", \"shape\": [2, 2, 1], \"default\": {\"dtype\": \"float32\", \"shape\": [2, 2, 1], \"data\": [1, 2, 3, 4]}}],"
        " \"outputs\": [\"y\"], \"constants\": {%s}, \"nodes\": [" CONV_NORM "]}",
        statistics);
    stays(
        text,
        "- linear: BatchNormalization not folded: W 'w' is an input with a default, which a run may replace\n");
}

Test(fold_batch_norm, leaves_training_alone)
{
    stays(
        graph(
            "float32", "1, 2, 6", "\"y\", \"m\"",
            WEIGHTS("2, 2, 1") ", " STATISTICS("float32", "2"),
            NODE(
                "linear", "Conv", "\"x\", \"w\"", "h",
                "") ", {\"name\": \"bn\", \"op\": \"BatchNormalization\", \"inputs\": [\"h\", \"scale\", "
                    "\"offset\", \"mean\", \"variance\"], \"outputs\": [\"y\", \"m\", \"v\"], \"attributes\": {\"training_mode\": 1}}"),
        "- linear: BatchNormalization not folded: bn trains\n");
}

/* ---- special values ------------------------------------------------------------------------------ */

#define SPECIAL(w, scale, offset, mean, variance)                                                  \
    graph("float32", "1, 1, 4", "\"y\"",                                                           \
          FLOATS("w", "1, 1, 1", w) ", " FLOATS("scale", "1", scale) ", " FLOATS(                  \
              "offset", "1", offset) ", " FLOATS("mean", "1", mean) ", " FLOATS("variance", "1",   \
                                                                                variance),         \
          CONV_NORM)

Test(fold_batch_norm, refuses_what_is_not_finite)
{
    const char *statistic =
        "- linear: BatchNormalization not folded: a statistic, or the factor that they make, is not finite\n";
    stays(SPECIAL("1", "1", "0", "0", "\"Infinity\""), statistic);
    stays(SPECIAL("1", "\"NaN\"", "0", "0", "1"), statistic);
    stays(SPECIAL("1", "1", "0", "\"-Infinity\"", "1"), statistic);
    stays(SPECIAL("1", "1", "0", "0", "-1"), statistic);
    stays(SPECIAL("\"Infinity\"", "1", "0", "0", "1"),
          "- linear: BatchNormalization not folded: a weight is not finite\n");
    stays(SPECIAL("1e30", "1e30", "0", "0", "1"),
          "- linear: BatchNormalization not folded: a new weight would overflow\n");
}

Test(fold_batch_norm, keeps_the_ways_of_infinity_and_nan)
{
    static const float x[4] = { INFINITY, -INFINITY, NAN, 3 };
    static const char *const weights[] = { "0", "2", "-2" }, *const scales[] = { "0", "3", "-3" };
    static answer with, without;
    for (int w = 0; w < 3; w++)
        for (int s = 0; s < 3; s++) {
            char constants[TEXT / 4];
            snprintf(constants, sizeof constants,
                     FLOATS("w", "1, 1, 1", "%s") ", " FLOATS("scale", "1", "%s") ", " FLOATS(
                         "offset", "1", "1") ", " FLOATS("mean", "1", "2") ", " FLOATS("variance",
                                                                                       "1", "4"),
                     weights[w], scales[s]);
            const char *text = graph("float32", "1, 1, 4", "\"y\"", constants, CONV_NORM);
            run_as(text, NULL, TN_MATH_STRICT, x, &with);
            run_as(text, "none", TN_MATH_STRICT, x, &without);
            cr_expect_eq(with.nodes, 1);
            compare(&with, &without, 1e-6);
        }
}

Test(fold_batch_norm, lets_weights_vanish_in_fast_math_only)
{
    static const float x[4] = { 1, 2, 3, 4 };
    static answer fast;
    char text[TEXT];
    snprintf(text, sizeof text, "%s", SPECIAL("1e-30", "1e-30", "1", "0", "1"));
    stays(
        text,
        "- linear: BatchNormalization not folded: a new weight would round to zero, and an infinity become NaN\n");
    run_as(text, NULL, TN_MATH_FAST, x, &fast);
    cr_expect_eq(fast.nodes, 1);
    cr_expect_eq(fast.y.f[3], 1.0f);
}
