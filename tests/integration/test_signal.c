/* Signals: transforms against the sum that defines them, of any length, axis and direction; frames,
 * windows, mel bands; and what is refused.
 *
 * SPDX-License-Identifier: MIT */
#include "node.h"

#include <criterion/parameterized.h>

static const double tau = 0x1.921fb54442d18p2;

/* out[k] = sum over n < length of x[n] e^(sign 2 pi i k n / length), in double; the angle is taken
 * from k n modulo length. */
static void naive(const double *x, int64_t length, int sign, double *out)
{
    for (int64_t k = 0; k < length; k++) {
        double re = 0, im = 0;
        for (int64_t n = 0; n < length; n++) {
            const double angle = sign * tau * (double)(k * n % length) / (double)length;
            const double c = cos(angle), s = sin(angle);
            re += x[2 * n] * c - x[2 * n + 1] * s;
            im += x[2 * n] * s + x[2 * n + 1] * c;
        }
        out[2 * k] = re;
        out[2 * k + 1] = im;
    }
}

enum { LONGEST = 1100 };
static double x[2 * LONGEST], wanted[2 * LONGEST];

static void fill_doubles(double *out, int64_t count, uint32_t seed)
{
    float one;
    for (int64_t k = 0; k < count; k++) {
        fill(&one, 1, seed + (uint32_t)k * 7919u);
        out[k] = (double)one;
    }
}

#define DFT(opset, inputs, constants, in, attributes)                                              \
    GRAPH(opset, inputs, "'y'", constants,                                                         \
          "{'op': 'DFT', 'inputs': [" in "], 'outputs': ['y'], 'attributes': {" attributes "}}")
#define X64 "{'name': 'x', 'dtype': 'float64', 'shape': ['N', 'P']}"

/* Powers of 2, 3, 5, …, 13, products of them, primes, and twice a prime. */
ParameterizedTestParameters(dft, agrees_with_the_sum)
{
    static int lengths[] = { 1,   2,   3,   4,   5,   6,   7,   8,   9,   11,  12,   13,   16,  17,
                             25,  27,  30,  34,  49,  60,  64,  77,  97,  121, 128,  143,  169, 210,
                             243, 250, 251, 256, 289, 360, 512, 513, 677, 720, 1000, 1009, 1024 };
    return cr_make_param_array(int, lengths, sizeof lengths / sizeof *lengths);
}

ParameterizedTest(int *row, dft, agrees_with_the_sum)
{
    const int64_t dims[2] = { *row, 2 };
    fill_doubles(x, 2 * *row, 1);
    for (int inverse = 0; inverse < 2; inverse++) {
        running r = start(DFT("20", X64, "", "'x'", "'inverse': %d"), inverse);
        naive(x, *row, inverse ? 1 : -1, wanted);
        for (int k = 0; k < 2 * *row && inverse; k++)
            wanted[k] /= *row;
        give(&r, "x", TN_FLOAT64, 2, dims, x);
        expect_elements(answer(&r), 2 * *row, wanted, inverse ? 1e-15 : 1e-13 * (1 + *row / 50.0));
        stop(&r);
    }
}

/* An impulse at place 1 has the spectrum e^(-2 pi i k / N). The sum would take hours. */
Test(dft, of_a_large_prime_is_fast)
{
    enum { LARGE = 1000003 };
    static double pulse[LARGE];
    static const int64_t dims[2] = { LARGE, 1 };
    running r = start(
        DFT("20", "{'name': 'x', 'dtype': 'float64', 'shape': [1000003, 1]}", "", "'x'", ""));
    pulse[1] = 1;
    give(&r, "x", TN_FLOAT64, 2, dims, pulse);
    const double *y = answer(&r)->data;
    for (int64_t k = 0; k < LARGE; k++) {
        const double angle = tau * (double)k / LARGE;
        cr_assert(fabs(y[2 * k] - cos(angle)) < 1e-13 && fabs(y[2 * k + 1] + sin(angle)) < 1e-13,
                  "element %lld", (long long)k);
    }
    stop(&r);
}

/* ---- axes, lengths, halves --------------------------------------------------------------------------- */

typedef struct way {
    int axis, length; /* length 0: not given */
    int parts, inverse, onesided;
} way;

ParameterizedTestParameters(dft, transforms_any_axis)
{
    static way rows[] = {
        { 0, 0, 1, 0, 0 },  { 1, 0, 2, 0, 0 },  { 2, 0, 1, 0, 1 }, { -2, 0, 1, 0, 1 },
        { -4, 0, 2, 1, 0 }, { 1, 9, 2, 0, 0 },  { 1, 3, 2, 1, 0 }, { 0, 8, 1, 0, 1 },
        { 2, 3, 1, 0, 1 },  { 1, 0, 2, 1, 1 },  { 2, 7, 2, 1, 1 }, { 0, 4, 2, 1, 1 },
        { 2, 2, 2, 1, 1 },  { 1, 12, 2, 1, 1 }, { 0, 1, 1, 0, 1 }, { -3, 17, 1, 1, 0 },
    };
    return cr_make_param_array(way, rows, sizeof rows / sizeof *rows);
}

enum { D0 = 3, D1 = 5, D2 = 6 };

/* The line through (a, b) along `axis`, as element n of x counts. */
static int64_t at_line(const int64_t *dims, int axis, int64_t line, int64_t n)
{
    int64_t inner = 1;
    for (int k = axis + 1; k < 3; k++)
        inner *= dims[k];
    return (line / inner * dims[axis] + n) * inner + line % inner;
}

/* One line of the answer: interleaved, `*count` places. */
static void line_of(const way *w, const int64_t *dims, int axis, int64_t line, int64_t length,
                    double *out, int64_t *count)
{
    double from[2 * 40] = { 0 };
    const int half = w->onesided && w->inverse;
    const int64_t read = half ? length / 2 + 1 : length;
    for (int64_t n = 0; n < read && n < dims[axis]; n++) {
        const int64_t at = at_line(dims, axis, line, n) * w->parts;
        from[2 * n] = x[at];
        from[2 * n + 1] = w->parts == 2 ? x[at + 1] : 0;
    }
    for (int64_t n = 1; half && n < length - n; n++) {
        from[2 * (length - n)] = from[2 * n];
        from[2 * (length - n) + 1] = -from[2 * n + 1];
    }
    naive(from, length, w->inverse ? 1 : -1, out);
    for (int64_t k = 0; k < 2 * length && w->inverse; k++)
        out[k] /= (double)length;
    *count = w->onesided && !w->inverse ? length / 2 + 1 : length;
}

static void expect_lines(const way *w, const tn_tensor *y, const int64_t *dims, int axis)
{
    const int64_t usual = w->onesided && w->inverse ? 2 * (dims[axis] - 1) : dims[axis];
    const int64_t length = w->length ? w->length : usual, lines = D0 * D1 * D2 / dims[axis];
    const int parts = w->onesided && w->inverse ? 1 : 2;
    int64_t y_dims[4] = { D0, D1, D2, parts }, count;
    double line[2 * 40];
    for (int64_t k = 0; k < lines; k++) {
        line_of(w, dims, axis, k, length, line, &count);
        y_dims[axis] = count;
        expect_shape(y, 4, y_dims);
        for (int64_t n = 0; n < count; n++)
            for (int p = 0; p < parts; p++) {
                const double got = element(y, at_line(y_dims, axis, k, n) * parts + p);
                cr_expect(fabs(got - line[2 * n + p]) < 2e-6, "line %lld, %lld: %g, expected %g",
                          (long long)k, (long long)n, got, line[2 * n + p]);
            }
    }
}

/* Axis and length as constants, and as inputs that only a run has: their extents are late then. */
ParameterizedTest(way *row, dft, transforms_any_axis)
{
    static const int64_t dims[3] = { D0, D1, D2 };
    static float narrow[D0 * D1 * D2 * 2];
    const int64_t x_dims[4] = { D0, D1, D2, row->parts }, axis_value = row->axis;
    const int axis = row->axis < 0 ? row->axis + 4 : row->axis;
    fill(narrow, D0 * D1 * D2 * 2, 9);
    for (int k = 0; k < D0 * D1 * D2 * 2; k++)
        x[k] = (double)narrow[k];
    for (int late = 0; late < 2; late++) {
        running r;
        if (late)
            r = start(DFT("20",
                          "{'name': 'x', 'dtype': 'float32'}, {'name': 'l', 'dtype': 'int32',"
                          " 'shape': []}, {'name': 'a', 'dtype': 'int64', 'shape': []}",
                          "", "'x', %s, 'a'", "'inverse': %d, 'onesided': %d"),
                      row->length ? "'l'" : "''", row->inverse, row->onesided);
        else
            r = start(DFT("20", "{'name': 'x', 'dtype': 'float32', 'shape': ['A', 'B', 'C', 'P']}",
                          "'l': {'dtype': 'int64', 'shape': [], 'data': [%d]},"
                          "'a': {'dtype': 'int64', 'shape': [], 'data': [%d]}",
                          "'x', %s, 'a'", "'inverse': %d, 'onesided': %d"),
                      row->length, row->axis, row->length ? "'l'" : "''", row->inverse,
                      row->onesided);
        give(&r, "x", TN_FLOAT32, 4, x_dims, narrow);
        if (late) {
            give(&r, "l", TN_INT32, 0, NULL, &row->length);
            give(&r, "a", TN_INT64, 0, NULL, &axis_value);
        }
        expect_lines(row, answer(&r), dims, axis);
        stop(&r);
    }
}

/* Version 17 has the axis as an attribute, 1 by default; version 20's default is the last one. */
Test(dft, of_version_17_has_its_axis_as_an_attribute)
{
    static const int64_t dims[3] = { D0, D1, D2 };
    static const way rows[] = { { 1, 0, 1, 0, 0 }, { 2, 0, 1, 0, 0 }, { 1, 4, 1, 0, 1 } };
    static float narrow[D0 * D1 * D2];
    const int64_t x_dims[4] = { D0, D1, D2, 1 };
    fill(narrow, D0 * D1 * D2, 9);
    for (int k = 0; k < D0 * D1 * D2; k++)
        x[k] = (double)narrow[k];
    for (int k = 0; k < 3; k++) {
        running r = start(DFT("%d", "{'name': 'x', 'dtype': 'float32', 'shape': ['A', 5, 6, 1]}",
                              "'l': {'dtype': 'int64', 'shape': [], 'data': [4]}", "'x'%s", "%s"),
                          k == 1 ? 19 : 17, k == 2 ? ", 'l'" : "",
                          k == 0   ? ""
                          : k == 1 ? "'axis': -2"
                                   : "'onesided': 1, 'axis': 1");
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape,
                         k == 2 ? "[A,3,6,2]" : "[A,5,6,2]");
        give(&r, "x", TN_FLOAT32, 4, x_dims, narrow);
        expect_lines(&rows[k], answer(&r), dims, rows[k].axis);
        stop(&r);
    }
}

Test(dft, infers_with_symbols)
{
    static const struct {
        const char *attributes, *parts, *shape;
    } rows[] = { { "", "1", "[N,L,2]" },
                 { "'onesided': 1", "1", "[N,floordiv(L,2)+1,2]" },
                 { "'onesided': 1, 'inverse': 1", "2", "[N,L*2-2,1]" } };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        running r = start(DFT("20", "{'name': 'x', 'dtype': 'float32', 'shape': ['N', 'L', %s]}",
                              "", "'x'", "%s"),
                          rows[k].parts, rows[k].attributes);
        cr_expect_str_eq(tn_session_output(r.session, 0)->shape, rows[k].shape);
        stop(&r);
    }
}

Test(dft, rounds_once_to_every_type)
{
    static const uint32_t types[] = { TN_FLOAT16, TN_BFLOAT16, TN_FLOAT32, TN_FLOAT64 };
    static const char *const names[] = { "float16", "bfloat16", "float32", "float64" };
    static const double thirds[4] = { 1, 0, 0, 1 };
    for (int t = 0; t < 4; t++) {
        double spectrum[8], data[4] = { 0 };
        running r = start(DFT("20", "{'name': 'x', 'dtype': '%s', 'shape': [2, 2]}",
                              "'l': {'dtype': 'int64', 'shape': [], 'data': [3]}", "'x', 'l'", ""),
                          names[t]);
        for (int k = 0; k < 4; k++)
            tn_set_float(types[t], data, k, thirds[k]);
        give(&r, "x", types[t], 2, (const int64_t[]){ 2, 2 }, data);
        const double padded[6] = { 1, 0, 0, 1, 0, 0 };
        naive(padded, 3, -1, spectrum);
        for (int k = 0; k < 6; k++) {
            double rounded = 0;
            tn_set_float(types[t], &rounded, 0, spectrum[k]);
            spectrum[k] = tn_get_double(types[t], &rounded, 0);
        }
        expect_elements(answer(&r), 6, spectrum, t == 3 ? 1e-15 : 0.0);
        stop(&r);
    }
}

/* Nothing, filled up with zeros, and an inverse of nothing. */
Test(dft, takes_tensors_without_elements)
{
    static const int64_t none[2] = { 0, 1 }, four[2] = { 4, 2 }, one[2] = { 1, 2 };
    running r = start(DFT("20", "{'name': 'x', 'dtype': 'float32', 'shape': ['L', 1]}",
                          "'l': {'dtype': 'int64', 'shape': [], 'data': [4]}", "'x', 'l'", ""));
    give(&r, "x", TN_FLOAT32, 2, none, "");
    expect_shape(answer(&r), 2, four);
    expect_elements(tn_context_output(r.context, 0), 8, (const double[8]){ 0 }, 0.0);
    stop(&r);
    r = start(DFT("20", "{'name': 'x', 'dtype': 'float32', 'shape': ['L', 2]}", "", "'x'",
                  "'onesided': 1, 'inverse': 1"));
    give(&r, "x", TN_FLOAT32, 2, one, (const float[2]){ 1, 0 });
    expect_shape(answer(&r), 2, none);
    stop(&r);
}

#define DFT_OF(shape, constants, in, attributes)                                                   \
    DFT("20", "{'name': 'x', 'dtype': 'float32', 'shape': " shape "}", constants, in, attributes)
Test(dft, says_what_does_not_fit)
{
    refuses(TN_ERR_SHAPE,
            "input 'input' has rank 1: expected 2 or more, the last axis for real and imaginary "
            "parts",
            DFT_OF("[4]", "", "'x'", ""));
    refuses(
        TN_ERR_VALUE, "axis is 1: expected an axis of 'input' (rank 2) before its last",
        DFT_OF("[4, 1]", "'a': {'dtype': 'int64', 'shape': [], 'data': [1]}", "'x', '', 'a'", ""));
    refuses(TN_ERR_SHAPE,
            "the last axis of input 'input' has extent 3: expected 1 (real) or 2 (complex)",
            DFT_OF("[4, 3]", "", "'x'", ""));
    refuses(TN_ERR_SHAPE,
            "the last axis of input 'input' has extent 2: expected 1 (real) when onesided is 1",
            DFT_OF("[4, 2]", "", "'x'", "'onesided': 1"));
    refuses(TN_ERR_SHAPE,
            "the last axis of input 'input' has extent 1: expected 2 (complex) when onesided and "
            "inverse are 1",
            DFT_OF("[4, 1]", "", "'x'", "'onesided': 1, 'inverse': 1"));
    refuses(TN_ERR_VALUE, "dft_length is 0: expected at least 1",
            DFT_OF("[4, 1]", "'l': {'dtype': 'int32', 'shape': [], 'data': [0]}", "'x', 'l'", ""));
    refuses(
        TN_ERR_SHAPE, "input 'dft_length' has extent 2 along axis 0: expected a scalar",
        DFT_OF("[4, 1]", "'l': {'dtype': 'int32', 'shape': [2], 'data': [4, 4]}", "'x', 'l'", ""));
}

/* Numbers at the ends of int64, which inference takes for something else or refuses. */
Test(signal, survives_hostile_numbers)
{
    refuses(TN_ERR_LIMIT, "dft_length is 4611686018427387904: expected at most 281474976710656",
            DFT_OF("[4, 1]",
                   "'l': {'dtype': 'int64', 'shape': [], 'data': ['4611686018427387904']}",
                   "'x', 'l'", "'onesided': 1"));
    refuses(TN_ERR_VALUE, "dft_length is no length: expected 1 to 2^48",
            DFT("20", "",
                "'x': {'dtype': 'float32', 'shape': [1, 1], 'data': [0]},"
                "'l': {'dtype': 'int64', 'shape': [], 'data': ['-9223372036854775808']}",
                "'x', 'l'", ""));
    refuses(TN_ERR_VALUE, "axis is outside [-2, 1)",
            DFT("20", "",
                "'x': {'dtype': 'float32', 'shape': [1, 1], 'data': [0]},"
                "'a': {'dtype': 'int64', 'shape': [], 'data': ['-9223372036854775808']}",
                "'x', '', 'a'", ""));
    refuses(TN_ERR_VALUE, "size is no length: expected 1 to 2^48",
            GRAPH("17", "", "'y'",
                  "'n': {'dtype': 'int64', 'shape': [], 'data': ['-4611686018427387909']}",
                  "{'op': 'HannWindow', 'inputs': ['n'], 'outputs': ['y']}"));
    refuses(TN_ERR_VALUE, "frame_step or frame_length is no length: expected 1 to 2^48",
            GRAPH("17", "", "'y'",
                  "'x': {'dtype': 'float32', 'shape': [1, 4, 1], 'data': [1, 2, 3, 4]},"
                  "'s': {'dtype': 'int64', 'shape': [], 'data': ['-9223372036854775808']}",
                  "{'op': 'STFT', 'inputs': ['x', 's', '', 's'], 'outputs': ['y']}"));
}

/* ---- STFT ------------------------------------------------------------------------------------------------ */

typedef struct frames {
    int step, length, window, parts, onesided; /* length, window: given */
} frames;

ParameterizedTestParameters(stft, transforms_each_whole_frame)
{
    static frames rows[] = {
        { 4, 1, 0, 1, 1 }, { 5, 1, 1, 1, 1 }, { 7, 0, 1, 1, 0 },
        { 1, 1, 1, 2, 0 }, { 3, 0, 0, 1, 1 },
    };
    return cr_make_param_array(frames, rows, sizeof rows / sizeof *rows);
}

enum { BATCH = 2, SAMPLES = 60, FRAME = 14 };

ParameterizedTest(frames *row, stft, transforms_each_whole_frame)
{
    static float signal[BATCH * SAMPLES * 2], window[FRAME];
    const int64_t dims[3] = { BATCH, SAMPLES, row->parts }, window_dims[1] = { FRAME };
    const int length = row->length || row->window ? FRAME : SAMPLES;
    const int count = (SAMPLES - length) / row->step + 1;
    const int bins = row->onesided ? length / 2 + 1 : length;
    const int64_t y_dims[4] = { BATCH, count, bins, 2 };
    char shape[60];
    running r = start(GRAPH("17",
                            "{'name': 'x', 'dtype': 'float32', 'shape': ['N', 60, %d]},"
                            "{'name': 'w', 'dtype': 'float32', 'shape': [14]}",
                            "'y'",
                            "'s': {'dtype': 'int64', 'shape': [], 'data': [%d]},"
                            "'l': {'dtype': 'int64', 'shape': [], 'data': [14]}",
                            "{'op': 'STFT', 'inputs': ['x', 's', %s, %s], 'outputs': ['y'],"
                            " 'attributes': {'onesided': %d}}"),
                      row->parts, row->step, row->window ? "'w'" : "''", row->length ? "'l'" : "''",
                      row->onesided);
    snprintf(shape, sizeof shape, "[N,%d,%d,2]", count, bins);
    cr_expect_str_eq(tn_session_output(r.session, 0)->shape, shape);
    fill(signal, BATCH * SAMPLES * 2, 31);
    fill(window, FRAME, 32);
    give(&r, "x", TN_FLOAT32, 3, dims, signal);
    give(&r, "w", TN_FLOAT32, 1, window_dims, window);
    const tn_tensor *y = answer(&r);
    expect_shape(y, 4, y_dims);
    for (int64_t k = 0; k < BATCH * count; k++) {
        for (int n = 0; n < length; n++) {
            const int64_t at = k / count * SAMPLES + k % count * row->step + n;
            const double w = row->window ? (double)window[n] : 1;
            x[2 * n] = w * (double)signal[at * row->parts];
            x[2 * n + 1] = row->parts == 2 ? w * (double)signal[at * 2 + 1] : 0;
        }
        naive(x, length, -1, wanted);
        for (int n = 0; n < 2 * bins; n++)
            cr_expect(fabs(element(y, k * bins * 2 + n) - wanted[n]) < 2e-6);
    }
    stop(&r);
}

/* frame_step and frame_length that only a run has. */
Test(stft, takes_its_lengths_at_run_time)
{
    static const float ones[6] = { 1, 1, 1, 1, 1, 1 };
    static const int64_t dims[3] = { 1, 6, 1 }, y_dims[4] = { 1, 3, 2, 2 };
    const int32_t two = 2;
    running r = start(GRAPH("17",
                            "{'name': 'x', 'dtype': 'float32', 'shape': [1, 'L', 1]},"
                            "{'name': 's', 'dtype': 'int32', 'shape': []}",
                            "'y'", "",
                            "{'op': 'STFT', 'inputs': ['x', 's', '', 's'], 'outputs': ['y']}"));
    give(&r, "x", TN_FLOAT32, 3, dims, ones);
    give(&r, "s", TN_INT32, 0, NULL, &two);
    const tn_tensor *y = answer(&r);
    expect_shape(y, 4, y_dims);
    expect_elements(y, 12, (const double[]){ 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0 }, 0.0);
    stop(&r);
}

#define STFT(shape, step, length, window)                                                          \
    GRAPH("17", "{'name': 'x', 'dtype': 'float32', 'shape': " shape "}", "'y'",                    \
          "'s': {'dtype': 'int64', 'shape': [], 'data': [" step "]},"                              \
          "'l': {'dtype': 'int64', 'shape': [], 'data': [" length "]},"                            \
          "'w': {'dtype': 'float32', 'shape': [2], 'data': [1, 1]}",                               \
          "{'op': 'STFT', 'inputs': ['x', 's', " window ", 'l'], 'outputs': ['y']}")
Test(stft, says_what_does_not_fit)
{
    refuses(TN_ERR_SHAPE, "input 'signal' has 4 samples: expected a frame, 5, or more",
            STFT("[1, 4, 1]", "1", "5", "''"));
    refuses(TN_ERR_VALUE, "frame_step is 0: expected at least 1",
            STFT("[1, 4, 1]", "0", "2", "''"));
    refuses(TN_ERR_SHAPE, "input 'window' has 2 elements, but frame_length is 3: expected the same",
            STFT("[1, 4, 1]", "1", "3", "'w'"));
    refuses(TN_ERR_SHAPE,
            "the last axis of input 'signal' has extent 2: expected 1 (real) when onesided is 1",
            STFT("[1, 4, 2]", "1", "2", "''"));
    refuses(TN_ERR_SHAPE,
            "input 'signal' has rank 1: expected 3 (batch, samples, real and imaginary)",
            STFT("[4]", "1", "2", "''"));
}

/* ---- windows ---------------------------------------------------------------------------------------------- */

typedef struct window {
    char op[16];
    double a0, a1, a2;
} window;

ParameterizedTestParameters(window, is_a_sum_of_cosines)
{
    static window rows[] = { { "HannWindow", 0.5, 0.5, 0 },
                             { "HammingWindow", 25 / 46.0, 21 / 46.0, 0 },
                             { "BlackmanWindow", 0.42, 0.5, 0.08 } };
    return cr_make_param_array(window, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(window *row, window, is_a_sum_of_cosines)
{
    static const int sizes[] = { 2, 3, 10, 301 };
    for (int k = 0; k < 8; k++) {
        const int size = sizes[k / 2], periodic = k % 2, circle = periodic ? size : size - 1;
        running r = start(GRAPH("17", "", "'y'",
                                "'n': {'dtype': 'int32', 'shape': [], 'data': [%d]}",
                                "{'op': '%s', 'inputs': ['n'], 'outputs': ['y'],"
                                " 'attributes': {'periodic': %d, 'output_datatype': 11}}"),
                          size, row->op, periodic);
        for (int n = 0; n < size; n++)
            wanted[n] = row->a0 - row->a1 * cos(tau * n / circle) +
                        row->a2 * cos(2 * tau * n / circle);
        expect_elements(answer(&r), size, wanted, 1e-15 * size);
        stop(&r);
    }
}

/* The middle of a symmetric window is 1, all else is cut to 0; the size comes with the run. */
Test(window, casts_to_integers_and_takes_its_size_at_run_time)
{
    const int64_t size = 5;
    static const int64_t dims[1] = { 5 };
    running r = start(GRAPH("17", "{'name': 'n', 'dtype': 'int64', 'shape': []}", "'y'", "",
                            "{'op': 'HannWindow', 'inputs': ['n'], 'outputs': ['y'],"
                            " 'attributes': {'periodic': 0, 'output_datatype': 2}}"));
    give(&r, "n", TN_INT64, 0, NULL, &size);
    const tn_tensor *y = answer(&r);
    cr_expect_eq(y->dtype, TN_UINT8);
    expect_shape(y, 1, dims);
    expect_elements(y, 5, (const double[]){ 0, 0, 1, 0, 0 }, 0.0);
    stop(&r);
}

#define WINDOW(n, attributes)                                                                      \
    GRAPH("17", "", "'y'", "'n': {'dtype': 'int64', 'shape': [], 'data': [" n "]}",                \
          "{'op': 'BlackmanWindow', 'inputs': ['n'], 'outputs': ['y'],"                            \
          " 'attributes': {" attributes "}}")
Test(window, of_one_element_is_one_and_of_none_is_refused)
{
    running r = start(WINDOW("1", "'periodic': 0"));
    expect_elements(answer(&r), 1, (const double[]){ 1 }, 1e-15);
    stop(&r);
    refuses(TN_ERR_VALUE, "size is 0: expected at least 1", WINDOW("0", ""));
    refuses(TN_ERR_ATTRIBUTE,
            "output_datatype is 9: expected the number of an integer or float type of 8 to 64 "
            "bits",
            WINDOW("3", "'output_datatype': 9"));
}

/* ---- MelWeightMatrix ---------------------------------------------------------------------------------------- */

#define MEL(bins, length, rate, low, high)                                                         \
    GRAPH("17", "", "'y'",                                                                         \
          "'b': {'dtype': 'int64', 'shape': [], 'data': [" bins "]},"                              \
          "'l': {'dtype': 'int64', 'shape': [], 'data': [" length "]},"                            \
          "'r': {'dtype': 'int64', 'shape': [], 'data': [" rate "]},"                              \
          "'f': {'dtype': 'float64', 'shape': [], 'data': [" low "]},"                             \
          "'t': {'dtype': 'float64', 'shape': [], 'data': [" high "]}",                            \
          "{'op': 'MelWeightMatrix', 'inputs': ['b', 'l', 'r', 'f', 't'], 'outputs': ['y']}")

/* The triangles, drawn one after the other; the upper ones stand beyond the spectrum's 33 places. */
Test(mel, draws_triangles_between_edges)
{
    enum { BINS = 12, PLACES = 33 };
    static double matrix[PLACES * BINS];
    int64_t edges[BINS + 2];
    running r = start(MEL("12", "64", "8000", "100", "6000"));
    const double low = 2595 * log10(1 + 100 / 700.0), high = 2595 * log10(1 + 6000 / 700.0);
    for (int k = 0; k < BINS + 2; k++) {
        const double at = low + k * (high - low) / (BINS + 2);
        edges[k] = (int64_t)floor(65 * (700 * (pow(10, at / 2595) - 1)) / 8000);
    }
    cr_assert_gt(edges[BINS + 1], PLACES);
    for (int i = 0; i < BINS; i++) {
        const int64_t a = edges[i], b = edges[i + 1], c = edges[i + 2];
        for (int64_t k = a; k <= b && k < PLACES; k++)
            matrix[k * BINS + i] = a == b ? 1 : (double)(k - a) / (double)(b - a);
        for (int64_t k = b; k < c && k < PLACES; k++)
            matrix[k * BINS + i] = (double)(c - k) / (double)(c - b);
    }
    const tn_tensor *y = answer(&r);
    expect_shape(y, 2, (const int64_t[]){ PLACES, BINS });
    expect_elements(y, PLACES * BINS, matrix, 1e-7);
    stop(&r);
}

Test(mel, says_what_does_not_fit)
{
    refuses(TN_ERR_VALUE, "num_mel_bins is 0: expected at least 1",
            MEL("0", "64", "8000", "0", "4000"));
    refuses(TN_ERR_VALUE, "sample_rate is 0: expected at least 1",
            MEL("4", "64", "0", "0", "4000"));
    refuses(TN_ERR_VALUE,
            "the frequencies go from 5000 to 4000: expected 0 or more, the second not below the "
            "first",
            MEL("4", "64", "8000", "5000", "4000"));
}
