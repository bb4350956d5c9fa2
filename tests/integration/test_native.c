/* The backend `native` against the reference, over shapes that cover tails, strides, padding,
 * dilation, groups, batches and thread counts, with each set of instructions that this processor
 * has. Inputs and outputs end at a page that nobody may touch, and outputs begin as NaN.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "native_wide.h"
#include "support.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory with a guard ---------------------------------------------------------------------- */

typedef struct guarded {
    void *map;
    size_t map_bytes;
    float *data;
} guarded;

static guarded guarded_floats(size_t count)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t bytes = count * sizeof(float), room = (bytes + page - 1) / page * page;
    guarded g = { .map_bytes = room + page };
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(g.map, MAP_FAILED);
    cr_assert_eq(mprotect((char *)g.map + room, page, PROT_NONE), 0);
    g.data = (float *)(void *)((char *)g.map + room - bytes);
    return g;
}

static void guarded_free(guarded *g)
{
    munmap(g->map, g->map_bytes);
}

/* ---- one graph, on two lists of backends --------------------------------------------------------- */

static const char *const sets[] = { "plain", WIDE "avx2", "avx512" };

/* Inputs all called x0, x1 …; one output. */
typedef struct setup {
    const char *json;
    uint32_t math, threads;
    float tolerance; /* of the largest answer */
} setup;

static size_t count_of(const tn_type *type)
{
    size_t count = 1;
    for (int32_t k = 0; k < type->rank; k++)
        count *= (size_t)type->dims[k];
    return count;
}

static float *answer(fixture *f, const setup *s, const char *backends, size_t *count)
{
    guarded inputs[4], out;
    tn_session *session;
    tn_context *context;
    const tn_port *port;
    size_t ports = 0;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = s->threads,
                                         .backends = backends,
                                         .passes = "none",
                                         .math = s->math };
    OK(tn_session_create(f->model, &options, NULL, &session));
    OK(tn_context_create(session, &context));
    for (; (port = tn_session_input(session, ports)); ports++) {
        inputs[ports] = guarded_floats(count_of(&port->type));
        fill(inputs[ports].data, count_of(&port->type), 17 + (uint32_t)ports);
        const tn_tensor x = floats(inputs[ports].data, port->type.rank, port->type.dims);
        OK(tn_context_set_input(context, port->name, &x));
    }
    port = tn_session_output(session, 0);
    *count = count_of(&port->type);
    out = guarded_floats(*count);
    const tn_tensor y = floats(out.data, port->type.rank, port->type.dims);
    OK(tn_context_set_output(context, 0, &y));
    for (int run = 0; run < 2; run++) { /* twice: what a run leaves in scratch must not matter */
        for (size_t k = 0; k < *count; k++)
            out.data[k] = NAN;
        OK(tn_context_run(context, NULL));
    }
    float *copy = malloc(*count * sizeof *copy);
    memcpy(copy, out.data, *count * sizeof *copy);
    tn_context_destroy(context);
    tn_session_destroy(session);
    while (ports-- > 0)
        guarded_free(&inputs[ports]);
    guarded_free(&out);
    return copy;
}

/* Largest difference over the scale of the answers; a NaN where none should be is infinite. */
static float difference(const float *a, const float *b, size_t count)
{
    float most = 0, scale = 1e-30f;
    for (size_t k = 0; k < count; k++) {
        scale = fabsf(a[k]) > scale ? fabsf(a[k]) : scale;
        const float d = fabsf(a[k] - b[k]);
        most = d > most || isnan(d) ? (isnan(d) ? INFINITY : d) : most;
    }
    return most / scale;
}

/* `runs_natively`: the step that must have been taken by the backend, by its operator. */
static void check(const setup *s, const char *runs_natively)
{
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        size_t count;
        setenv("TENON_NATIVE", sets[k], 1); /* what the processor lacks falls to the next smaller */
        fixture f = open_text(s->json);
        float *right = answer(&f, s, "reference", &count);
        float *got = answer(&f, s, "native,reference", &count);
        const float error = difference(right, got, count);
        cr_expect(error <= s->tolerance, "%s, %u threads, %s: error %g over %g\n%s", sets[k],
                  s->threads, s->math == TN_MATH_FAST ? "fast" : "strict", (double)error,
                  (double)s->tolerance, s->json);
        free(right);
        free(got);
        tn_session *session = make_session(&f, "native,reference", "none", s->threads, 0);
        tn_report *report;
        const tn_report_step *step;
        bool found = false;
        OK(tn_report_create(session, NULL, 0, NULL, &report));
        for (size_t i = 0; (step = tn_report_get(report, i)); i++)
            found |= strcmp(step->op, runs_natively) == 0 && strcmp(step->backend, "native") == 0;
        cr_expect(found, "no %s by native in\n%s", runs_natively, s->json);
        tn_report_destroy(report);
        tn_session_destroy(session);
        close_fixture(&f);
    }
    unsetenv("TENON_NATIVE");
}

/* In all math modes and thread counts. terms: of the longest sum. */
static void check_all(const char *json, int terms, const char *op)
{
    for (uint32_t threads = 1; threads <= 2; threads++)
        for (uint32_t math = TN_MATH_FAST; math <= TN_MATH_STRICT; math++) {
            const setup s = { json, math, threads,
                              bound(terms, 1.0f) * (math == TN_MATH_FAST ? 4.0f : 1.0f) };
            check(&s, op);
        }
}

/* ---- Conv ---------------------------------------------------------------------------------------- */

typedef struct conv_case {
    int n, c, h, w, m, kh, kw, stride, dilation, pad, group;
    const char *steps; /* nodes after "c": from c to y; NULL: none */
} conv_case;

static const char relu[] = ", {\"op\": \"Relu\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}";
static const char sum_relu[] =
    ", {\"op\": \"Add\", \"inputs\": [\"c\", \"r\"], \"outputs\": [\"s\"]}"
    ", {\"op\": \"Relu\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]}";
static const char sum_swish[] =
    ", {\"op\": \"Add\", \"inputs\": [\"c\", \"r\"], \"outputs\": [\"s\"]}"
    ", {\"op\": \"HardSwish\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]}";
static const char clip[] =
    ", {\"op\": \"Clip\", \"inputs\": [\"c\", \"low\", \"high\"], \"outputs\": [\"y\"]}";
static const char swish[] = ", {\"op\": \"HardSwish\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}";

static const char sigmoid[] = ", {\"op\": \"Sigmoid\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}";
/* x / (1 + exp(-x)), alone and before a sum; others of a whole tile's steps. */
static const char true_swish[] = ", {\"op\": \"Swish\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}";
static const char sum_sigmoid[] =
    ", {\"op\": \"Add\", \"inputs\": [\"c\", \"r\"], \"outputs\": [\"s\"]}"
    ", {\"op\": \"Sigmoid\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]}";
static const char gelu_high[] =
    ", {\"op\": \"Gelu\", \"inputs\": [\"c\"], \"outputs\": [\"g\"]}"
    ", {\"op\": \"Sub\", \"inputs\": [\"high\", \"g\"], \"outputs\": [\"y\"]}";
static const char swish_sum[] =
    ", {\"op\": \"Swish\", \"inputs\": [\"c\"], \"outputs\": [\"s\"]}"
    ", {\"op\": \"Add\", \"inputs\": [\"s\", \"r\"], \"outputs\": [\"y\"]}";

static void check_conv(const conv_case *t)
{
    char json[4096];
    const bool residual = t->steps && strstr(t->steps, "\"r\"");
    const int reach_h = (t->kh - 1) * t->dilation + 1, reach_w = (t->kw - 1) * t->dilation + 1;
    const int oh = (t->h + 2 * t->pad - reach_h) / t->stride + 1;
    const int ow = (t->w + 2 * t->pad - reach_w) / t->stride + 1;
    char other[128] = "";
    if (residual)
        snprintf(other, sizeof other,
                 ", {\"name\": \"r\", \"dtype\": \"float32\", \"shape\": [%d, %d, %d, %d]}", t->n,
                 t->m, oh, ow);
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%d, %d, %d, %d]}%s], "
        "\"outputs\": [\"%s\"], \"constants\": {"
        "\"w\": {\"dtype\": \"float32\", \"shape\": [%d, %d, %d, %d], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 3}}, "
        "\"b\": {\"dtype\": \"float32\", \"shape\": [%d], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 4}}, "
        "\"low\": {\"dtype\": \"float32\", \"shape\": [], \"data\": 0}, \"high\": {\"dtype\": \"float32\", \"shape\": [], \"data\": 1}}, "
        "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"w\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {"
        "\"strides\": [%d, %d], \"dilations\": [%d, %d], \"pads\": [%d, %d, %d, %d], \"group\": %d}}%s]}",
        t->n, t->c, t->h, t->w, other, t->steps ? "y" : "c", t->m, t->c / t->group, t->kh, t->kw,
        t->m, t->stride, t->stride, t->dilation, t->dilation, t->pad, t->pad, t->pad, t->pad,
        t->group, t->steps ? t->steps : "");
    check_all(json, t->c / t->group * t->kh * t->kw, "Conv");
}

#define CONV_TEST(name, ...)                                                                       \
    Test(native_conv, name)                                                                        \
    {                                                                                              \
        static const conv_case cases[] = { __VA_ARGS__ };                                          \
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)                                  \
            check_conv(&cases[k]);                                                                 \
    }

CONV_TEST(direct_1x1_with_tails_of_rows_and_columns, { 1, 8, 1, 1, 1, 1, 1, 1, 1, 0, 1, NULL },
          { 1, 9, 5, 7, 17, 1, 1, 1, 1, 0, 1, relu },
          { 2, 16, 6, 6, 33, 1, 1, 1, 1, 0, 1, sum_relu },
          { 1, 24, 13, 13, 32, 1, 1, 2, 1, 0, 1, clip },
          { 1, 16, 6, 5, 24, 1, 1, 1, 1, 0, 1, sum_relu },
          { 1, 11, 5, 5, 40, 1, 1, 1, 1, 0, 1, swish },
          { 1, 160, 9, 9, 80, 1, 1, 1, 1, 0, 1, sum_relu },
          { 1, 8, 5, 5, 16, 1, 1, 1, 1, 1, 1, sum_swish })
/* Several panels and several tiles in a call of the innermost part, with what is left of both: rows for
 * one more tile, for two uneven ones, for one or two; columns for a half or a part of a panel; a
 * depth that is no multiple of the steps at once; panels of which one, some or all go together; and
 * weights that come from far. */
CONV_TEST(direct_many_tiles, { 1, 16, 13, 13, 64, 1, 1, 1, 1, 0, 1, relu },
          { 1, 17, 12, 12, 72, 1, 1, 1, 1, 0, 1, sum_relu },
          { 2, 8, 7, 7, 76, 1, 1, 1, 1, 0, 1, clip }, { 1, 10, 14, 1, 48, 1, 1, 1, 1, 0, 1, swish },
          { 1, 70, 5, 9, 176, 1, 1, 1, 1, 0, 1, sum_swish },
          { 1, 131, 19, 5, 200, 1, 1, 1, 1, 0, 1, sum_relu },
          { 1, 400, 5, 5, 256, 1, 1, 1, 1, 0, 1, relu },
          { 1, 400, 4, 5, 250, 1, 1, 1, 1, 0, 1, swish_sum },
          { 1, 16, 13, 13, 72, 1, 1, 1, 1, 0, 1, swish_sum },
          { 1, 19, 11, 11, 70, 3, 3, 2, 1, 1, 1, relu },
          { 1, 3, 23, 23, 72, 3, 3, 2, 1, 0, 1, relu },
          { 1, 3, 11, 15, 70, 3, 3, 1, 1, 1, 1, clip },
          { 1, 12, 9, 13, 64, 3, 3, 1, 1, 1, 1, sum_sigmoid })
/* Done on the stored rows: all panels together, some of them, a half and a part of one, and where an
 * operand may lie under the output not at all. */
CONV_TEST(direct_with_steps_on_stored_rows, { 1, 16, 9, 7, 96, 1, 1, 1, 1, 0, 1, true_swish },
          { 2, 24, 5, 5, 40, 1, 1, 1, 1, 0, 1, true_swish },
          { 1, 200, 5, 5, 80, 1, 1, 1, 1, 0, 1, true_swish },
          { 1, 9, 5, 7, 19, 1, 1, 1, 1, 0, 1, true_swish },
          { 1, 16, 6, 5, 48, 1, 1, 1, 1, 0, 1, sum_sigmoid },
          { 1, 16, 6, 5, 27, 1, 1, 1, 1, 0, 1, sum_sigmoid },
          { 1, 16, 6, 5, 32, 1, 1, 1, 1, 0, 1, swish_sum },
          { 1, 16, 6, 5, 40, 1, 1, 1, 1, 0, 1, gelu_high },
          { 2, 32, 7, 7, 64, 3, 3, 2, 1, 1, 2, true_swish },
          { 1, 3, 9, 9, 32, 3, 3, 2, 1, 1, 1, true_swish },
          { 1, 700, 1, 1, 32, 1, 1, 1, 1, 0, 1, true_swish })
CONV_TEST(depthwise_with_an_exponential, { 1, 8, 9, 9, 8, 3, 3, 1, 1, 1, 8, true_swish },
          { 1, 19, 10, 7, 19, 5, 5, 2, 1, 2, 19, true_swish },
          { 1, 5, 6, 6, 5, 3, 3, 1, 1, 1, 5, true_swish },
          { 1, 16, 12, 12, 16, 3, 3, 1, 2, 2, 16, true_swish },
          { 1, 40, 6, 6, 40, 3, 3, 1, 1, 1, 40, swish_sum })
CONV_TEST(direct_windows_with_padding_stride_and_dilation,
          { 1, 8, 9, 11, 18, 3, 3, 2, 1, 1, 1, relu }, { 2, 10, 8, 8, 7, 5, 5, 1, 1, 2, 1, swish },
          { 1, 8, 12, 10, 16, 3, 3, 1, 2, 2, 1, NULL }, { 1, 8, 7, 9, 16, 1, 7, 1, 1, 3, 1, relu },
          { 1, 12, 9, 9, 20, 2, 2, 2, 1, 0, 1, sum_relu },
          { 1, 9, 20, 33, 19, 3, 3, 1, 1, 1, 1, sum_relu }, /* tiles inside, and of two lines */
          { 2, 8, 11, 31, 16, 3, 3, 2, 2, 2, 1, clip },
          { 1, 300, 19, 18, 17, 1, 3, 1, 1, 0, 1, relu }) /* several blocks of rows */
CONV_TEST(direct_groups, { 1, 32, 7, 7, 48, 3, 3, 1, 1, 1, 4, relu },
          { 2, 18, 6, 5, 12, 1, 1, 1, 1, 0, 2, sum_relu })
CONV_TEST(bands_of_few_channels, { 1, 3, 17, 15, 20, 7, 7, 2, 1, 3, 1, relu },
          { 2, 1, 9, 9, 6, 5, 5, 1, 1, 2, 1, NULL }, { 1, 4, 10, 9, 16, 3, 3, 1, 2, 2, 1, clip },
          { 1, 3, 4, 4, 40, 4, 4, 4, 1, 0, 1, NULL },
          { 1, 2, 3, 1100, 8, 3, 3, 2, 1, 1, 1, sum_relu }, /* pieces side by side … */
          { 1, 5, 70, 70, 12, 5, 3, 1, 1, 2, 1, swish },    /* … and below each other */
          { 1, 3, 2, 2, 24, 5, 5, 1, 1, 4, 1, relu })       /* lines that are all padding */
CONV_TEST(winograd, { 1, 16, 12, 12, 16, 3, 3, 1, 1, 1, 1, relu },
          { 1, 17, 13, 11, 35, 3, 3, 1, 1, 1, 1, NULL },
          { 2, 64, 14, 14, 32, 3, 3, 1, 1, 1, 1, sum_relu },
          { 1, 20, 5, 6, 24, 3, 3, 1, 1, 1, 1, swish },
          { 1, 32, 30, 31, 32, 3, 3, 1, 1, 0, 1, relu },
          { 3, 128, 7, 7, 64, 3, 3, 1, 1, 1, 1, relu },
          { 1, 40, 70, 66, 40, 3, 3, 1, 1, 1, 1, sum_swish }, /* several batches */
          { 2, 27, 9, 10, 29, 3, 3, 1, 1, 1, 1, clip },       /* tails in registers */
          { 1, 24, 18, 13, 19, 3, 3, 1, 1, 1, 1, sum_relu },
          { 1, 18, 11, 12, 50, 3, 3, 1, 1, 1, 1, sigmoid }) /* a step behind the registers */
CONV_TEST(depthwise, { 1, 8, 9, 9, 8, 3, 3, 1, 1, 1, 8, relu },
          { 2, 19, 10, 7, 19, 3, 3, 2, 1, 1, 19, clip },
          { 1, 33, 8, 9, 33, 5, 5, 1, 1, 2, 33, swish }, { 1, 5, 6, 6, 5, 5, 5, 2, 1, 2, 5, NULL },
          { 1, 16, 12, 12, 16, 3, 3, 1, 2, 2, 16, sum_relu },
          { 1, 40, 3, 2, 40, 3, 3, 1, 1, 1, 40, relu },
          { 1, 24, 7, 7, 24, 3, 3, 1, 1, 1, 24, sum_relu },
          { 1, 18, 11, 9, 18, 3, 3, 2, 1, 1, 18, clip },
          { 1, 26, 9, 13, 26, 5, 5, 2, 1, 2, 26, swish },
          { 1, 17, 5, 6, 17, 3, 5, 1, 1, 1, 17, NULL },
          { 1, 16, 8, 8, 16, 7, 7, 1, 1, 3, 16, relu }, { 1, 8, 9, 9, 8, 2, 2, 2, 1, 0, 8, NULL })

Test(native_conv, winograd_is_refused_in_strict_mode_and_infinities_stay_where_they_belong)
{
    static const char json[] =
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [1, 16, 12, 12]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [16, 16, 3, 3], "
        "\"random\": {\"distribution\": \"uniform\", \"low\": 1, \"high\": 2}}}, "
        "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"w\"], \"outputs\": [\"y\"], \"attributes\": {\"pads\": [1, 1, 1, 1]}}]}";
    static float data[16 * 144];
    static const int64_t dims[4] = { 1, 16, 12, 12 };
    fixture f = open_text(json);
    const tn_session_options options = {
        .size = sizeof options, .threads = 1, .backends = "native", .math = TN_MATH_STRICT
    };
    tn_session *session;
    tn_context *context;
    tn_report *report;
    OK(tn_session_create(f.model, &options, NULL, &session));
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; tn_report_get(report, k); k++)
        if (strcmp(tn_report_get(report, k)->op, "Conv") == 0)
            cr_expect_str_eq(tn_report_get(report, k)->algorithm, "direct");
    tn_report_destroy(report);
    data[5 * 12 + 5] = INFINITY; /* channel 0, point (5, 5): nine points of each output see it */
    const tn_tensor x = floats(data, 4, dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    const float *y = tn_context_output(context, 0)->data;
    int infinite = 0;
    for (int k = 0; k < 16 * 144; k++)
        infinite += isinf(y[k]) != 0;
    cr_expect_eq(infinite, 16 * 9);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

/* ---- products ------------------------------------------------------------------------------------- */

/* "rows, columns", behind the number of matrices where there are several. */
static void shape_text(char *text, size_t bytes, int batch, int rows, int columns)
{
    if (batch > 1)
        snprintf(text, bytes, "%d, %d, %d", batch, rows, columns);
    else
        snprintf(text, bytes, "%d, %d", rows, columns);
}

static void check_matmul(int m, int k, int n, const char *op, bool transposed, bool constant,
                         int batch)
{
    char json[2048], a_shape[64], b_shape[64], b_constant[256] = "", b_input[160] = "";
    shape_text(a_shape, sizeof a_shape, batch, m, k);
    shape_text(b_shape, sizeof b_shape, constant ? 1 : batch, transposed ? n : k,
               transposed ? k : n);
    if (constant)
        snprintf(b_constant, sizeof b_constant,
                 "\"b\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": "
                 "\"uniform\", \"low\": -1}}, ",
                 b_shape);
    else
        snprintf(b_input, sizeof b_input,
                 ", {\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [%s]}", b_shape);
    snprintf(json, sizeof json,
             "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"a\", \"dtype\": \"float32\", "
             "\"shape\": [%s]}%s], \"outputs\": [\"y\"], \"constants\": {%s\"row\": {\"dtype\": "
             "\"float32\", \"shape\": [%d], \"random\": {\"distribution\": \"uniform\", \"low\": "
             "-1, \"seed\": 5}}}, \"nodes\": [{\"op\": \"%s\", \"inputs\": [\"a\", \"b\"%s], "
             "\"outputs\": [\"p\"]%s}, {\"op\": \"Add\", \"inputs\": [\"p\", \"row\"], "
             "\"outputs\": [\"q\"]}, {\"op\": \"Relu\", \"inputs\": [\"q\"], \"outputs\": "
             "[\"y\"]}]}",
             a_shape, b_input, b_constant, n, op, strcmp(op, "Gemm") == 0 ? ", \"row\"" : "",
             transposed ? ", \"attributes\": {\"transB\": 1}" : "");
    check_all(json, k, op);
}

Test(native_product, gemm_in_all_sizes_of_rows)
{
    for (int m = 1; m <= 15; m += 2)
        check_matmul(m, 37, 45, "Gemm", m % 4 == 1, true, 1);
    check_matmul(200, 64, 16, "Gemm", true, true, 1);
    check_matmul(1, 1500, 33, "Gemm", false, true, 1);
}

Test(native_product, matmul_packed_and_computed_and_batched)
{
    check_matmul(7, 19, 30, "MatMul", false, true, 1);
    check_matmul(7, 19, 30, "MatMul", false, false, 1);
    check_matmul(9, 33, 17, "MatMul", false, true, 3);
    check_matmul(9, 33, 17, "MatMul", false, false, 5);
}

/* Long sums: ragged and narrow last panels, several blocks of rows, few rows. */
Test(native_product, matmul_of_long_sums)
{
    static const int sizes[][3] = {
        { 13, 1601, 37 }, { 30, 800, 48 }, { 251, 433, 24 }, { 6, 900, 33 }
    };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        check_matmul(sizes[k][0], sizes[k][1], sizes[k][2], "MatMul", false, true, 1);
        check_matmul(sizes[k][0], sizes[k][1], sizes[k][2], "MatMul", false, false, 2);
    }
}

/* So large that seven products of halves do it (fast mode): an odd number of rows, two blocks of them,
 * weights that lie the other way, a bias; and what cannot be halved into whole panels stays
 * whole. */
Test(native_product, matmul_in_seven_products)
{
    check_matmul(67, 514, 544, "MatMul", false, true, 1);
    check_matmul(245, 512, 512, "Gemm", true, true, 1);
    check_matmul(64, 512, 560, "Gemm", false, true, 1);
}

/* What follows a product: a row first, a whole tensor first, or later, where it may lie in the same
 * place. */
static void check_steps(int m, int k, int n)
{
    static const char *const nodes[] = {
        "{\"op\": \"Add\", \"inputs\": [\"p\", \"t\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Add\", \"inputs\": [\"t\", \"p\"], \"outputs\": [\"q\"]}, "
        "{\"op\": \"Relu\", \"inputs\": [\"q\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Add\", \"inputs\": [\"p\", \"row\"], \"outputs\": [\"q\"]}, "
        "{\"op\": \"Gelu\", \"inputs\": [\"q\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Tanh\", \"inputs\": [\"p\"], \"outputs\": [\"q\"]}, "
        "{\"op\": \"Mul\", \"inputs\": [\"q\", \"t\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Add\", \"inputs\": [\"p\", \"t\"], \"outputs\": [\"q\"]}, "
        "{\"op\": \"Add\", \"inputs\": [\"q\", \"t\"], \"outputs\": [\"y\"]}",
    };
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        char json[2048];
        snprintf(json, sizeof json,
                 "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"a\", \"dtype\": "
                 "\"float32\", \"shape\": [%d, %d]}, {\"name\": \"x\", \"dtype\": \"float32\", "
                 "\"shape\": [%d, %d]}], \"outputs\": [\"y\"], \"constants\": {\"b\": {\"dtype\": "
                 "\"float32\", \"shape\": [%d, %d], \"random\": {\"distribution\": \"uniform\", "
                 "\"low\": -1}}, \"row\": {\"dtype\": \"float32\", \"shape\": [%d], \"random\": "
                 "{\"distribution\": \"uniform\", \"low\": -1}}}, \"nodes\": [{\"op\": \"Neg\", "
                 "\"inputs\": [\"x\"], \"outputs\": [\"t\"]}, {\"op\": \"MatMul\", \"inputs\": "
                 "[\"a\", \"b\"], \"outputs\": [\"p\"]}, %s]}",
                 m, k, m, n, k, n, n, nodes[i]);
        check_all(json, k, "MatMul");
    }
}

Test(native_product, steps_that_follow)
{
    check_steps(33, 900, 85);
    check_steps(67, 512, 512);
}

/* ---- everything else --------------------------------------------------------------------------------- */

/* One operator of x [2, 19, 5, 6] or another shape, with these attributes. */
static void check_node(const char *op, const char *attributes, const char *shape,
                       const char *others, const char *constants, int terms)
{
    char json[2048];
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%s]}], "
        "\"outputs\": [\"y\"], \"constants\": {%s}, \"nodes\": [{\"op\": \"%s\", \"inputs\": [\"x\"%s], \"outputs\": [\"y\"], "
        "\"attributes\": {%s}}]}",
        shape, constants, op, others, attributes);
    check_all(json, terms, op);
}

/* Every 997th float between -100 and 100 through one function: errors of the result, relative where
 * it is not tiny. */
typedef struct function_case {
    const char *op, *attributes;
    double (*exact)(double x);
    double relative, absolute;
} function_case;

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}
static double exact_swish(double x)
{
    return x / (1.0 + exp(-x));
}
static double exact_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double exact_mish(double x)
{
    return x * tanh(exact_softplus(x));
}
static double exact_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static void check_function(const function_case *c)
{
    enum { MOST = 2300000 };
    char json[512];
    static float x[MOST];
    int64_t count = 0;
    for (uint32_t bits = 0; bits < 0x42c80000u; bits += 997) /* up to 100.0 */
        for (uint32_t sign = 0; sign < 2 && count < MOST; sign++) {
            const uint32_t b = bits | sign << 31;
            memcpy(&x[count++], &b, sizeof b);
        }
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\"]}], "
        "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"%s\", \"inputs\": [\"x\"], \"outputs\": [\"y\"], \"attributes\": {%s}}]}",
        c->op, c->attributes);
    fixture f = open_text(json);
    tn_session *session = make_session(&f, "native", NULL, 1, 0);
    tn_context *context;
    const tn_tensor in = floats(x, 1, &count);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &in));
    OK(tn_context_run(context, NULL));
    const float *y = tn_context_output(context, 0)->data;
    double worst = 0;
    float where = 0;
    for (int64_t k = 0; k < count; k++) {
        const double exact = c->exact((double)x[k]);
        const double allowed = c->relative * fabs(exact) + c->absolute;
        const double share = fabs((double)y[k] - exact) / allowed;
        if (!(share <= worst) && isfinite((float)exact))
            worst = share, where = x[k];
    }
    cr_expect(worst <= 1.0, "%s: %g times the bound at %.9g", c->op, worst, (double)where);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(native_elements, errors_stay_at_some_units_of_the_last_place)
{
    const double ulp = 1.19209290e-7;
    const function_case cases[] = {
        { "Exp", "", exp, 2.0 * ulp, 2e-38 },
        { "Sigmoid", "", exact_sigmoid, 3.0 * ulp, 2e-38 },
        { "Tanh", "", tanh, 2.5 * ulp, 1e-45 },
        { "Swish", "", exact_swish, 4.0 * ulp, 1e-36 },
        { "Softplus", "", exact_softplus, 3.0 * ulp, 2e-38 },
        { "Mish", "", exact_mish, 5.0 * ulp, 2e-36 },
        { "Log", "", log, 1.5 * ulp, 1e-45 },
        { "Erf", "", erf, 3.0 * ulp, 1e-45 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_function(&cases[k]);
    /* The tail of the normal distribution is approximated to 1.5e-7 of 1 (Abramowitz and Stegun,
     * 7.1.26), and |x| times that is at most 8e-7 before the tail itself is small. */
    const function_case gelu = { "Gelu", "", exact_gelu, 3.0 * ulp, 4e-7 };
    check_function(&gelu);
}

Test(native_elements, functions_of_one_element)
{
    static const char *const ops[] = { "Relu",  "LeakyRelu",  "Sigmoid",  "HardSigmoid",
                                       "Swish", "Tanh",       "Gelu",     "HardSwish",
                                       "Elu",   "Exp",        "Erf",      "Neg",
                                       "Abs",   "Reciprocal", "Softplus", "Softsign",
                                       "Mish",  "Selu" };
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        check_node(ops[k], "", "2, 19, 5, 6", "", "", 8);
        check_node(ops[k], "", "3", "", "", 8);
    }
    check_node("Gelu", "\"approximate\": \"tanh\"", "2, 37", "", "", 8);
}

/* Two nodes on x, "a" between them. */
static void check_pair(const char *first, const char *second, const char *shape,
                       const char *constants, int terms, const char *op)
{
    char json[3072];
    snprintf(json, sizeof json,
             "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
             "\"shape\": [%s]}], \"outputs\": [\"y\"], \"constants\": {%s}, \"nodes\": [%s, %s]}",
             shape, constants, first, second);
    check_all(json, terms, op);
}

#define SCALAR(value) "\"e\": {\"dtype\": \"float32\", \"shape\": [], \"data\": " value "}"
#define NODE(op, inputs, output)                                                                   \
    "{\"op\": \"" op "\", \"inputs\": [" inputs "], \"outputs\": [\"" output "\"]}"
#define NODE_WITH(op, inputs, output, attributes)                                                  \
    "{\"op\": \"" op "\", \"inputs\": [" inputs "], \"outputs\": [\"" output                       \
    "\"], \"attributes\": {" attributes "}}"

Test(native_elements, powers)
{
    check_node("Pow", "", "2, 19, 5, 6", ", \"e\"", SCALAR("2"), 4);
    check_pair(NODE("Exp", "\"x\"", "a"), NODE("Pow", "\"a\", \"e\"", "y"), "2, 19, 5, 6",
               SCALAR("0.5"), 16, "Exp");
    check_pair(NODE("Exp", "\"x\"", "a"), NODE("Pow", "\"a\", \"x\"", "y"), "3, 17", SCALAR("1"),
               16, "Exp");
    check_pair(NODE("Exp", "\"x\"", "a"), NODE("Pow", "\"a\", \"e\"", "y"), "3, 17",
               "\"e\": {\"dtype\": \"float32\", \"shape\": [3, 1], \"data\": [-1, 3, 0.25]}", 16,
               "Exp");
}

Test(native_elements, a_step_whose_operand_repeats_in_each_row)
{
    /* Along channels, channels last; along the last axis, plain. */
    static const char bias[] = "\"b\": {\"dtype\": \"float32\", \"shape\": [19, 1, 1], \"random\": "
                               "{\"distribution\": \"uniform\", \"low\": -1}}";
    static const char last[] = "\"b\": {\"dtype\": \"float32\", \"shape\": [6], \"random\": "
                               "{\"distribution\": \"uniform\", \"low\": -1}}";
    check_pair(NODE("Sigmoid", "\"x\"", "a"), NODE("Mul", "\"a\", \"b\"", "y"), "2, 19, 5, 6", bias,
               8, "Sigmoid");
    check_pair(NODE("Sigmoid", "\"x\"", "a"), NODE("Sub", "\"b\", \"a\"", "y"), "2, 19, 90, 6",
               last, 8, "Sigmoid");
}

Test(native_elements, pairs_with_every_kind_of_broadcasting)
{
    static const char *const ops[] = { "Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu" };
    static const char *const shapes[] = { "1",    "19, 1, 1",   "2, 19, 1, 1", "6",
                                          "5, 6", "1, 1, 5, 6", "2, 19, 5, 6", "2, 1, 5, 1" };
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            char constants[256];
            snprintf(
                constants, sizeof constants,
                "\"b\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": 1, \"high\": 2}}",
                shapes[j]);
            check_node(ops[k], "", "2, 19, 5, 6", ", \"b\"", constants, 1);
        }
}

Test(native_elements, a_value_that_is_also_an_operand_of_the_epilogue_is_not_written_over)
{
    static const char *const nodes[] = {
        "{\"op\": \"Sigmoid\", \"inputs\": [\"t\"], \"outputs\": [\"s\"]}, "
        "{\"op\": \"Mul\", \"inputs\": [\"t\", \"s\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Conv\", \"inputs\": [\"t\", \"w\"], \"outputs\": [\"s\"]}, "
        "{\"op\": \"Add\", \"inputs\": [\"s\", \"t\"], \"outputs\": [\"y\"]}",
        "{\"op\": \"Softmax\", \"inputs\": [\"t\"], \"outputs\": [\"s\"]}, "
        "{\"op\": \"Mul\", \"inputs\": [\"s\", \"t\"], \"outputs\": [\"y\"]}",
    };
    for (size_t k = 0; k < sizeof nodes / sizeof *nodes; k++) {
        char json[1024];
        snprintf(json, sizeof json,
                 "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": "
                 "\"float32\", \"shape\": [1, 40, 6, 6]}], \"outputs\": [\"y\"], \"constants\": "
                 "{\"w\": {\"dtype\": \"float32\", \"shape\": [40, 40, 1, 1], \"random\": "
                 "{\"distribution\": \"uniform\", \"low\": -1}}}, \"nodes\": [{\"op\": "
                 "\"MaxPool\", \"inputs\": [\"x\"], \"outputs\": [\"t\"], \"attributes\": "
                 "{\"kernel_shape\": [1, 1]}}, %s]}",
                 nodes[k]);
        check_all(json, 80, "MaxPool");
    }
}

Test(native_pool, windows_and_whole_planes)
{
    check_node("MaxPool", "\"kernel_shape\": [3, 3], \"strides\": [2, 2], \"pads\": [1, 1, 1, 1]",
               "2, 19, 9, 8", "", "", 1);
    check_node("MaxPool", "\"kernel_shape\": [2, 2], \"dilations\": [2, 2]", "1, 6, 9, 8", "", "",
               1);
    check_node("AveragePool",
               "\"kernel_shape\": [3, 2], \"strides\": [2, 1], \"pads\": [1, 1, 1, 0]",
               "2, 19, 9, 8", "", "", 9);
    check_node("AveragePool",
               "\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1], \"count_include_pad\": 1",
               "2, 8, 9, 8", "", "", 9);
    /* Line by line: channels that fill registers and some that do not, more points than a block,
     * steps of the line, lines of one point, windows of all kinds of overlap. */
    check_node("MaxPool", "\"kernel_shape\": [3, 3], \"strides\": [2, 2], \"ceil_mode\": 1",
               "2, 37, 12, 30", "", "", 1);
    check_node("MaxPool", "\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1]", "1, 64, 5, 21", "",
               "", 1);
    check_node("MaxPool", "\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1]", "1, 33, 1, 1", "", "",
               1);
    check_node("MaxPool", "\"kernel_shape\": [2, 2], \"strides\": [2, 2]", "1, 40, 7, 19", "", "",
               1);
    check_node("MaxPool", "\"kernel_shape\": [5, 4], \"strides\": [1, 3], \"pads\": [2, 2, 2, 1]",
               "1, 35, 6, 20", "", "", 1);
    check_node("AveragePool", "\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1]", "2, 34, 6, 19",
               "", "", 9);
    check_node("AveragePool",
               "\"kernel_shape\": [3, 3], \"pads\": [1, 1, 1, 1], \"count_include_pad\": 1",
               "1, 48, 6, 19", "", "", 9);
    check_node("AveragePool", "\"kernel_shape\": [2, 2], \"strides\": [2, 2]", "1, 32, 6, 18", "",
               "", 4);
    check_node("GlobalAveragePool", "", "2, 19, 12, 11", "", "", 132);
    check_node("GlobalMaxPool", "", "2, 19, 12, 11", "", "", 1);
    check_node("AveragePool", "\"kernel_shape\": [9, 9]", "1, 101, 12, 11", "", "", 81);
}

/* Made by a convolution, so that channels last is what comes, and given in, so that it is plain. */
Test(native_pool, whole_planes_in_both_layouts)
{
    static const char *const ops[] = { "GlobalAveragePool", "GlobalMaxPool" };
    static const char factor[] = "\"b\": {\"dtype\": \"float32\", \"shape\": [1, 70, 1, 1], "
                                 "\"random\": {\"distribution\": \"uniform\", \"low\": -1}}, "
                                 "\"w\": {\"dtype\": \"float32\", \"shape\": [70, 70, 1, 1], "
                                 "\"random\": {\"distribution\": \"uniform\", \"low\": -1}}";
    for (size_t k = 0; k < 2; k++) {
        char pool[128];
        for (size_t last = 0; last < 2; last++) {
            snprintf(pool, sizeof pool,
                     "{\"op\": \"%s\", \"inputs\": [\"%s\"], \"outputs\": [\"%s\"]}", ops[k],
                     last ? "a" : "x", last ? "y" : "a");
            check_pair(last ? NODE("Conv", "\"x\", \"w\"", "a") : pool,
                       last ? pool : NODE("Mul", "\"a\", \"b\"", "y"), "2, 70, 9, 13", factor,
                       last ? 190 : 117, ops[k]);
        }
        check_node(ops[k], "", "3, 5, 37", "", "", 37);
    }
}

#define VECTOR(name, n, low)                                                                       \
    "\"" name "\": {\"dtype\": \"float32\", \"shape\": [" n "], \"random\": {\"distribution\": "   \
    "\"uniform\", \"low\": " low ", \"high\": 1.5}}"
Test(native_rows, softmax_and_normalizations)
{
    check_node("Softmax", "\"axis\": -1", "3, 5, 37", "", "", 37);
    check_node("Softmax", "", "2, 1", "", "", 1);
    check_node("LayerNormalization", "", "3, 5, 37", ", \"s\", \"b\"",
               VECTOR("s", "37", "0.5") ", " VECTOR("b", "37", "-1"), 80);
    check_node("LayerNormalization", "", "4, 64", ", \"s\"", VECTOR("s", "64", "0.5"), 140);
    check_node("BatchNormalization", "", "2, 19, 5, 6", ", \"s\", \"b\", \"m\", \"v\"",
               VECTOR("s", "19", "0.5") ", " VECTOR("b", "19", "-1") ", " VECTOR(
                   "m", "19", "-1") ", " VECTOR("v", "19", "0.5"),
               8);
}

Test(native_columns, softmax_on_any_axis)
{
    char attributes[32], softmax[128];
    for (int axis = 0; axis < 4; axis++) {
        snprintf(attributes, sizeof attributes, "\"axis\": %d", axis);
        check_node("Softmax", attributes, "3, 19, 15, 37", "", "", 40);
        snprintf(softmax, sizeof softmax, NODE_WITH("Softmax", "\"a\"", "y", "\"axis\": %d"), axis);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"), softmax,
                   "3, 19, 5, 6", "", 40, "Softmax");
        snprintf(softmax, sizeof softmax, NODE_WITH("Softmax", "\"x\"", "a", "\"axis\": %d"), axis);
        check_pair(softmax, NODE("Mul", "\"a\", \"x\"", "y"), "2, 5, 4, 7", "", 40, "Softmax");
    }
}

Test(native_columns, normalizations_of_planes_and_groups)
{
    static const char constants[] = VECTOR("s", "24", "0.5") ", " VECTOR("b", "24", "-1");
    static const char pool[] = NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]");
    check_node("InstanceNormalization", "", "2, 24, 13, 11", ", \"s\", \"b\"", constants, 300);
    check_pair(pool, NODE("InstanceNormalization", "\"a\", \"s\", \"b\"", "y"), "2, 24, 13, 11",
               constants, 300, "InstanceNormalization");
    check_pair(NODE("InstanceNormalization", "\"x\", \"s\", \"b\"", "a"),
               NODE("Relu", "\"a\"", "y"), "1, 24, 7", constants, 300, "InstanceNormalization");
    for (int groups = 1; groups <= 24; groups *= 2) {
        char attributes[32], node[256];
        if (24 % groups)
            continue;
        snprintf(attributes, sizeof attributes, "\"num_groups\": %d", groups);
        check_node("GroupNormalization", attributes, "2, 24, 13, 11", ", \"s\", \"b\"", constants,
                   4000);
        snprintf(node, sizeof node,
                 NODE_WITH("GroupNormalization", "\"a\", \"s\", \"b\"", "y", "\"num_groups\": %d"),
                 groups);
        check_pair(pool, node, "2, 24, 9, 11", constants, 4000, "GroupNormalization");
    }
    check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [1, 1]"),
               NODE("InstanceNormalization", "\"a\", \"s\", \"b\"", "y"), "1, 150, 5, 3",
               VECTOR("s", "150", "0.5") ", " VECTOR("b", "150", "-1"), 60,
               "InstanceNormalization");
}

static void check_conv_transpose(const char *shape, const char *weights, const char *attributes,
                                 int outputs)
{
    char json[2048];
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
        "\"shape\": [%s]}], \"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": "
        "\"float32\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": -1}}, "
        "\"b\": {\"dtype\": \"float32\", \"shape\": [%d], \"random\": {\"distribution\": "
        "\"uniform\", \"low\": -1, \"seed\": 4}}}, \"nodes\": [{\"op\": \"ConvTranspose\", "
        "\"inputs\": [\"x\", \"w\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {%s}}, "
        "{\"op\": \"Relu\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}]}",
        shape, weights, outputs, attributes);
    check_all(json, 200, "ConvTranspose");
}

Test(native_conv, transposed)
{
    check_conv_transpose("2, 9, 5, 17", "9, 35, 2, 2", "\"strides\": [2, 2]", 35);
    check_conv_transpose("1, 16, 7, 6", "16, 8, 4, 4",
                         "\"strides\": [2, 2], \"pads\": [1, 1, 1, 1]", 8);
    check_conv_transpose("1, 5, 6, 7", "5, 33, 3, 3",
                         "\"strides\": [2, 3], \"pads\": [1, 0, 0, 1], \"output_padding\": [1, 2]",
                         33);
    check_conv_transpose("1, 8, 5, 5", "8, 7, 3, 3", "\"pads\": [1, 1, 1, 1]", 7);
    check_conv_transpose("1, 4, 3, 3", "4, 6, 1, 2", "\"strides\": [3, 4]", 6);
    check_conv_transpose("2, 4, 11", "4, 6, 5", "\"strides\": [2]", 6);
}

Test(native_concat, concat_and_split_along_channels)
{
    check_all(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 9, 5, 6]}, "
        "{\"name\": \"z\", \"dtype\": \"float32\", \"shape\": [2, 7, 5, 6]}], \"outputs\": [\"y\"], \"constants\": {"
        "\"sizes\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [5, 11]}}, \"nodes\": ["
        "{\"op\": \"Concat\", \"inputs\": [\"x\", \"z\", \"x\"], \"outputs\": [\"c\"], \"attributes\": {\"axis\": 1}}, "
        "{\"op\": \"MaxPool\", \"inputs\": [\"c\"], \"outputs\": [\"y\"], \"attributes\": {\"kernel_shape\": [2, 2]}}]}",
        1, "Concat");
    check_all(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 16, 5, 6]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"sizes\": {\"dtype\": \"int64\", \"shape\": [2], \"data\": [8, 8]}}, \"nodes\": ["
        "{\"op\": \"MaxPool\", \"inputs\": [\"x\"], \"outputs\": [\"p\"], \"attributes\": {\"kernel_shape\": [2, 2]}}, "
        "{\"op\": \"Split\", \"inputs\": [\"p\", \"sizes\"], \"outputs\": [\"a\", \"b\"], \"attributes\": {\"axis\": 1}}, "
        "{\"op\": \"Sub\", \"inputs\": [\"a\", \"b\"], \"outputs\": [\"y\"]}]}",
        1, "Split");
}

/* ---- what moves ------------------------------------------------------------------------------------- */

#define INTS(name, count, ...)                                                                     \
    "\"" name "\": {\"dtype\": \"int64\", \"shape\": [" #count "], \"data\": [" #__VA_ARGS__ "]}"

Test(native_concat, along_any_axis_in_both_layouts)
{
    char attributes[32], concat[256];
    for (int axis = 0; axis < 4; axis++) {
        snprintf(attributes, sizeof attributes, "\"axis\": %d", axis);
        check_node("Concat", attributes, "2, 19, 5, 6", ", \"x\", \"x\"", "", 1);
        snprintf(concat, sizeof concat, NODE_WITH("Concat", "\"a\", \"a\"", "y", "\"axis\": %d"),
                 axis);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"), concat,
                   "2, 19, 5, 6", "", 1, "Concat");
    }
}

Test(native_concat, outputs_that_nobody_wants)
{
    check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"),
               "{\"op\": \"Split\", \"inputs\": [\"a\", \"n\"], \"outputs\": [\"\", \"y\", \"\"], "
               "\"attributes\": {\"axis\": 1}}",
               "2, 19, 5, 6", INTS("n", 3, 7, 9, 3), 1, "Split");
    check_pair(NODE("Neg", "\"x\"", "a"),
               "{\"op\": \"Split\", \"inputs\": [\"a\"], \"outputs\": [\"\", \"\", \"y\"], "
               "\"attributes\": {\"axis\": 1, \"num_outputs\": 3}}",
               "3, 20", "", 1, "Split");
}

Test(native_move, transposes_of_all_kinds)
{
    static const char *const perms[] = { "0, 2, 1, 3", "0, 2, 3, 1", "3, 2, 1, 0", "1, 0, 2, 3",
                                         "0, 3, 1, 2", "2, 3, 0, 1", "0, 1, 3, 2" };
    char attributes[64], transpose[256];
    for (size_t k = 0; k < sizeof perms / sizeof *perms; k++) {
        snprintf(attributes, sizeof attributes, "\"perm\": [%s]", perms[k]);
        check_node("Transpose", attributes, "2, 19, 5, 6", "", "", 1);
        check_node("Transpose", attributes, "3, 17, 16, 33", "", "", 1);
        snprintf(transpose, sizeof transpose,
                 NODE_WITH("Transpose", "\"a\"", "y", "\"perm\": [%s]"), perms[k]);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"), transpose,
                   "2, 19, 5, 6", "", 1, "Transpose");
    }
    check_node("Transpose", "", "37, 29", "", "", 1);
    check_node("Transpose", "\"perm\": [1, 0, 2]", "1, 5, 1", "", "", 1);
}

Test(native_move, slices)
{
    static const char *const constants[] = {
        INTS("b", 1, 3) ", " INTS("e", 1, 17) ", " INTS("a", 1, 1) ", " INTS("s", 1, 1),
        INTS("b", 2, 1, -4) ", " INTS("e", 2, 1000, -1) ", " INTS("a", 2, -3, 3) ", " INTS("s", 2,
                                                                                           2, 1),
        INTS("b", 2, 100, 4) ", " INTS("e", 2, -100, 0) ", " INTS("a", 2, 1, 2) ", " INTS("s", 2,
                                                                                          -3, -1),
    };
    for (size_t k = 0; k < sizeof constants / sizeof *constants; k++) {
        check_node("Slice", "", "2, 19, 5, 6", ", \"b\", \"e\", \"a\", \"s\"", constants[k], 1);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a0", "\"kernel_shape\": [1, 1]"),
                   NODE("Slice", "\"a0\", \"b\", \"e\", \"a\", \"s\"", "y"), "2, 19, 5, 6",
                   constants[k], 1, "Slice");
    }
}

Test(native_move, pads)
{
    static const char *const pads[] = { INTS("p", 8, 0, 0, 1, 1, 0, 0, 1, 1),
                                        INTS("p", 8, 1, 2, 3, 0, 0, 1, 2, 3),
                                        INTS("p", 8, 0, -2, 1, -1, 0, 3, -2, 2),
                                        INTS("p", 8, 0, 0, 0, 0, 0, 0, 0, 0) };
    char constants[512];
    for (size_t k = 0; k < 3; k++) {
        snprintf(constants, sizeof constants, "%s, " SCALAR("0.5"), pads[k]);
        check_node("Pad", "", "2, 19, 5, 6", ", \"p\", \"e\"", constants, 1);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"),
                   NODE("Pad", "\"a\", \"p\"", "y"), "2, 19, 5, 6", pads[k], 1, "Pad");
    }
    check_node("Pad", "", "3, 4, 5", ", \"p\", \"\", \"a\"",
               INTS("p", 2, 2, 1) ", " INTS("a", 1, -1), 1);
}

Test(native_move, gathers)
{
    char attributes[32], gather[256];
    for (int axis = 0; axis < 4; axis++) {
        snprintf(attributes, sizeof attributes, "\"axis\": %d", axis);
        check_node("Gather", attributes, "4, 19, 5, 6", ", \"i\"", INTS("i", 3, 2, -1, 0), 1);
        snprintf(gather, sizeof gather, NODE_WITH("Gather", "\"a\", \"i\"", "y", "\"axis\": %d"),
                 axis);
        check_pair(NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"), gather,
                   "4, 19, 5, 6", INTS("i", 3, 2, -1, 0), 1, "Gather");
    }
    check_node("Gather", "\"axis\": 1", "4, 19, 5", ", \"i\"",
               "\"i\": {\"dtype\": \"int32\", \"shape\": [], \"data\": -2}", 1);
    check_node("Gather", "\"axis\": 1", "40, 19", ", \"i\"", INTS("i", 4, 3, -19, 18, -1), 1);
    /* two halves in turn, as channels are shuffled, and nearly so */
    check_node("Gather", "\"axis\": 1", "3, 6", ", \"i\"", INTS("i", 6, 0, 3, 1, 4, 2, 5), 1);
    check_node("Gather", "\"axis\": 1", "3, 6", ", \"i\"", INTS("i", 6, 0, 3, 1, 4, 2, 4), 1);
    check_node("Gather", "\"axis\": 1", "3, 8", ", \"i\"", INTS("i", 6, 0, 3, 1, 4, 2, 5), 1);
    check_node("Gather", "", "40, 19", ", \"i\"",
               "\"i\": {\"dtype\": \"int64\", \"shape\": [2, 2], \"data\": [3, 39, 0, 3]}", 1);
}

Test(native_move, an_index_outside_is_an_error)
{
    static const int64_t shape[1] = { 2 }, wrong[2] = { 1, -5 };
    static float data[12];
    static const int64_t dims[2] = { 4, 3 };
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [4, 3]}, "
        "{\"name\": \"i\", \"dtype\": \"int64\", \"shape\": [2]}], \"outputs\": [\"y\"], "
        "\"nodes\": [{\"op\": \"Gather\", \"name\": \"g\", \"inputs\": [\"x\", \"i\"], \"outputs\": [\"y\"]}]}");
    tn_session *session = make_session(&f, "native", NULL, 1, 0);
    tn_context *context;
    const tn_tensor x = floats(data, 2, dims);
    tn_tensor i = floats(data, 1, shape);
    i.dtype = TN_INT64;
    i.data = (void *)(uintptr_t)wrong;
    i.bytes = sizeof wrong;
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_set_input(context, "i", &i));
    cr_expect_eq(tn_context_run(context, NULL), TN_ERR_VALUE);
    cr_expect(strstr(tn_error_message(), "indices[1] is -5, outside [-4, 4)") != NULL, "%s",
              tn_error_message());
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(native_reduce, over_the_last_axes_the_spatial_ones_and_the_channels)
{
    static const char *const ops[] = { "ReduceSum", "ReduceMean", "ReduceMax" };
    static const char *const axes[] = { INTS("n", 1, -1),         INTS("n", 2, 2, 3),
                                        INTS("n", 1, 1),          INTS("n", 2, 1, 2),
                                        INTS("n", 4, 0, 1, 2, 3), INTS("n", 1, 0) };
    char node[256], first[128];
    snprintf(first, sizeof first, "%s",
             NODE_WITH("MaxPool", "\"x\"", "a", "\"kernel_shape\": [2, 2]"));
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        for (size_t j = 0; j < sizeof axes / sizeof *axes; j++)
            for (int keep = 0; keep < 2; keep++) {
                char attributes[32];
                snprintf(attributes, sizeof attributes, "\"keepdims\": %d", keep);
                check_node(ops[k], attributes, "2, 70, 10, 13", ", \"n\"", axes[j], 1500);
                snprintf(node, sizeof node,
                         "{\"op\": \"%s\", \"inputs\": [\"a\", \"n\"], \"outputs\": [\"y\"], "
                         "\"attributes\": {%s}}",
                         ops[k], attributes);
                if (j < 3)
                    check_pair(first, node, "2, 19, 10, 13", axes[j], 200, ops[k]);
            }
    check_node("ReduceMean", "", "3, 301", ", \"n\"", INTS("n", 1, 0), 8);
    check_node("ReduceSum", "", "3, 301", "", "", 2000);
}

Test(native_reduce, with_steps)
{
    char json[1024];
    for (int axis = 0; axis < 2; axis++) {
        snprintf(
            json, sizeof json,
            "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", "
            "\"shape\": [7, 301]}], \"outputs\": [\"y\"], \"constants\": {\"n\": {\"dtype\": "
            "\"int64\", \"shape\": [1], \"data\": [%d]}, \"e\": {\"dtype\": \"float32\", \"shape\": "
            "[], \"data\": 2}}, \"nodes\": [{\"op\": \"ReduceMean\", \"inputs\": [\"x\", \"n\"], "
            "\"outputs\": [\"m\"]}, {\"op\": \"Add\", \"inputs\": [\"m\", \"e\"], \"outputs\": "
            "[\"s\"]}, {\"op\": \"Sqrt\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]}]}",
            axis);
        check_all(json, 301, "ReduceMean");
    }
}

Test(native_reduce, not_a_number_is_the_largest)
{
    static float data[83];
    static const int64_t dims[2] = { 1, 83 };
    fixture f = open_text(
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [1, 83]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"n\": {\"dtype\": \"int64\", \"shape\": [1], \"data\": [1]}}, "
        "\"nodes\": [{\"op\": \"ReduceMax\", \"inputs\": [\"x\", \"n\"], \"outputs\": [\"y\"]}]}");
    tn_session *session = make_session(&f, "native", NULL, 1, 0);
    tn_context *context;
    const tn_tensor x = floats(data, 2, dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    for (int k = 0; k < 83; k++) { /* wherever it stands */
        data[k] = NAN;
        data[(k + 40) % 83] = INFINITY;
        OK(tn_context_run(context, NULL));
        cr_expect(isnan(*(const float *)tn_context_output(context, 0)->data), "at %d", k);
        data[k] = data[(k + 40) % 83] = 0;
    }
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(native_lstm, both_directions_with_and_without_a_state)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional" };
    for (int k = 0; k < 3; k++)
        for (int batch = 1; batch <= 8; batch += 7) {
            char json[2048];
            const int d = k == 2 ? 2 : 1;
            snprintf(
                json, sizeof json,
                "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [5, %d, 13]}, "
                "{\"name\": \"h\", \"dtype\": \"float32\", \"shape\": [%d, %d, 21]}], \"outputs\": [\"y\"], \"constants\": {"
                "\"w\": {\"dtype\": \"float32\", \"shape\": [%d, 84, 13], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}, "
                "\"r\": {\"dtype\": \"float32\", \"shape\": [%d, 84, 21], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}, "
                "\"b\": {\"dtype\": \"float32\", \"shape\": [%d, 168], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}}, "
                "\"nodes\": [{\"op\": \"LSTM\", \"inputs\": [\"x\", \"w\", \"r\", \"b\"%s], \"outputs\": [\"y\", \"yh\", \"yc\"], "
                "\"attributes\": {\"hidden_size\": 21, \"direction\": \"%s\"}}]}",
                batch, d, batch, d, d, d, batch == 1 ? "" : ", \"\", \"h\"", directions[k]);
            check_all(json, 40, "LSTM");
        }
}

Test(native, takes_a_whole_network_and_no_library_is_loaded)
{
    static float picture[784];
    static const int64_t dims[4] = { 1, 1, 28, 28 };
    char path[512];
    const tn_plugin_info *info;
    snprintf(path, sizeof path, "%s/graphs/fashion-lenet.json", getenv("TENON_SOURCE"));
    fixture f = open_file(path);
    tn_session *session = make_session(&f, NULL, NULL, 1, 0);
    tn_context *context;
    const tn_tensor x = floats(picture, 4, dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, tn_session_input(session, 0)->name, &x));
    OK(tn_context_run(context, NULL));
    for (size_t k = 0; (info = tn_runtime_plugin(f.runtime, k)); k++)
        if (info->is_backend)
            cr_expect_eq(info->opened, strcmp(info->name, "native") == 0, "%s: opened is %u",
                         info->name, info->opened);
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(native_gru, both_directions_before_and_after_the_reset_with_and_without_a_state)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional" };
    for (int k = 0; k < 6; k++)
        for (int batch = 1; batch <= 8; batch += 7) {
            char json[2048];
            const int d = k % 3 == 2 ? 2 : 1;
            snprintf(
                json, sizeof json,
                "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [5, %d, 13]}, "
                "{\"name\": \"h\", \"dtype\": \"float32\", \"shape\": [%d, %d, 37]}], \"outputs\": [\"y%s\"], \"constants\": {"
                "\"w\": {\"dtype\": \"float32\", \"shape\": [%d, 111, 13], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}, "
                "\"r\": {\"dtype\": \"float32\", \"shape\": [%d, 111, 37], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}, "
                "\"b\": {\"dtype\": \"float32\", \"shape\": [%d, 222], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}}, "
                "\"nodes\": [{\"op\": \"GRU\", \"inputs\": [\"x\", \"w\", \"r\"%s], \"outputs\": [\"y\", \"yh\"], "
                "\"attributes\": {\"hidden_size\": 37, \"direction\": \"%s\", \"linear_before_reset\": %d}}]}",
                batch, d, batch, k == 1 ? "h" : "", d, d, d,
                batch == 1 ? ", \"b\"" : ", \"b\", \"\", \"h\"", directions[k % 3], k / 3);
            check_all(json, 60, "GRU");
        }
    check_all(
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [3, 2, 5]}], "
        "\"outputs\": [\"y\"], \"constants\": {"
        "\"w\": {\"dtype\": \"float32\", \"shape\": [1, 24, 5], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}, "
        "\"r\": {\"dtype\": \"float32\", \"shape\": [1, 24, 8], \"random\": {\"distribution\": \"uniform\", \"low\": -0.5, \"high\": 0.5}}}, "
        "\"nodes\": [{\"op\": \"GRU\", \"inputs\": [\"x\", \"w\", \"r\"], \"outputs\": [\"y\"], \"attributes\": {\"hidden_size\": 8, "
        "\"linear_before_reset\": 1}}]}",
        40, "GRU");
}

/* Of rank 4 and 3, halves and neighbours, all of a head or a part, rows of a cache by their numbers. */
Test(native_rotary_embedding, heads_apart_and_side_by_side)
{
    static const struct {
        const char *x, *cache, *ids, *attributes;
    } cases[] = {
        { "2, 3, 5, 38", "2, 5, 19", "", "" },
        { "2, 3, 5, 38", "2, 5, 19", "", "\"interleaved\": 1" },
        { "2, 5, 96", "2, 5, 16", "", "\"num_heads\": 3" },
        { "2, 5, 96", "2, 5, 4", "", "\"num_heads\": 3, \"rotary_embedding_dim\": 8" },
        { "2, 3, 4, 40", "6, 16", "1, 2, 3, 4, 0, 5, 5, 2",
          "\"rotary_embedding_dim\": 32, \"interleaved\": 1" },
        { "2, 3, 4, 40", "6, 20", "1, 2, 3, 4, 0, 5, 5, 2", "" },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char json[2048], ids[256] = "";
        if (*cases[k].ids)
            snprintf(ids, sizeof ids,
                     ", \"ids\": {\"dtype\": \"int64\", \"shape\": [2, 4], \"data\": [%s]}",
                     cases[k].ids);
        snprintf(
            json, sizeof json,
            "{\"tenon\": 1, \"opset\": 23, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%s]}], "
            "\"outputs\": [\"y\"], \"constants\": {"
            "\"c\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"high\": 1}}, "
            "\"s\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"high\": 1}}%s}, "
            "\"nodes\": [{\"op\": \"RotaryEmbedding\", \"inputs\": [\"x\", \"c\", \"s\"%s], \"outputs\": [\"y\"], "
            "\"attributes\": {%s}}]}",
            cases[k].x, cases[k].cache, cases[k].cache, ids, *ids ? ", \"ids\"" : "",
            cases[k].attributes);
        check_all(json, 2, "RotaryEmbedding");
    }
}

typedef struct attention_case {
    const char *q, *k, *v, *mask; /* shapes; a mask may be absent */
    const char *attributes;
    bool boolean; /* the mask */
} attention_case;

static void check_attention(const attention_case *c)
{
    char json[2048], mask[512] = "";
    if (c->mask && c->boolean) /* query 1 sees no key */
        snprintf(mask, sizeof mask,
                 "\"m\": {\"dtype\": \"bool\", \"shape\": [%s], \"data\": [true, false, false, "
                 "false, true, true, false, true]}",
                 c->mask);
    else if (c->mask)
        snprintf(mask, sizeof mask,
                 "\"m\": {\"dtype\": \"float32\", \"shape\": [%s], \"random\": {\"distribution\": "
                 "\"uniform\", \"low\": -1}}",
                 c->mask);
    snprintf(json, sizeof json,
             "{\"tenon\": 1, \"opset\": 24, \"inputs\": [{\"name\": \"q\", \"dtype\": \"float32\", "
             "\"shape\": [%s]}, {\"name\": \"k\", \"dtype\": \"float32\", \"shape\": [%s]}, "
             "{\"name\": \"v\", \"dtype\": \"float32\", \"shape\": [%s]}], \"outputs\": [\"y\"], "
             "\"constants\": {%s}, \"nodes\": [{\"op\": \"Attention\", \"inputs\": [\"q\", \"k\", "
             "\"v\"%s], \"outputs\": [\"y\"], \"attributes\": {%s}}]}",
             c->q, c->k, c->v, mask, c->mask ? ", \"m\"" : "", c->attributes);
    check_all(json, 120, "Attention");
}

Test(native_attention, heads_groups_masks_and_causality)
{
    static const attention_case cases[] = {
        { "2, 3, 61, 17", "2, 3, 40, 17", "2, 3, 40, 35", NULL, "", false },
        { "1, 4, 1, 16", "1, 2, 9, 16", "1, 2, 9, 8", NULL, "\"scale\": 0.5", false },
        { "2, 13, 24", "2, 7, 12", "2, 7, 10", NULL, "\"q_num_heads\": 4, \"kv_num_heads\": 2",
          false },
        { "2, 3, 60, 8", "2, 3, 60, 8", "2, 3, 60, 8", NULL, "\"is_causal\": 1", false },
        { "2, 3, 9, 8", "2, 3, 5, 8", "2, 3, 5, 8", NULL, "\"is_causal\": 1", false },
        { "2, 3, 9, 8", "2, 3, 5, 8", "2, 3, 5, 8", "9, 5", "", false },
        { "2, 3, 9, 8", "2, 3, 5, 8", "2, 3, 5, 8", "2, 1, 1, 5", "\"is_causal\": 1", false },
        { "2, 3, 9, 8", "2, 3, 5, 8", "2, 3, 5, 8", "1, 3, 9, 5", "", false },
        { "2, 3, 4, 8", "2, 3, 2, 8", "2, 3, 2, 8", "1, 4, 2", "", true },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_attention(&cases[k]);
}

#define NUMBERS(name, shape, data)                                                                 \
    "\"" name "\": {\"dtype\": \"float32\", \"shape\": [" shape "], \"data\": [" data "]}"

/* Query 0 has scores of minus infinity and may see every key: NaN. Query 1 is NaN and may see none:
 * 0. Query 2 is an ordinary one: scores 1 and 2 answer (1 + 3 e) / (1 + e). */
Test(native_attention, only_the_mask_decides_that_a_query_sees_no_key)
{
    const char *json =
        "{\"tenon\": 1, \"opset\": 24, \"inputs\": [], \"outputs\": [\"y\"], "
        "\"constants\": {" NUMBERS("q", "1, 1, 3, 1", "\"-Infinity\", \"NaN\", 1") ", " NUMBERS(
            "k", "1, 1, 2, 1",
            "1, 2") ", " NUMBERS("v", "1, 1, 2, 1",
                                 "1, 3") ", " NUMBERS("m", "3, 2",
                                                      "0, 0, \"-Infinity\", "
                                                      "\"-Infinity\", 0, 0") "}, "
                                                                             "\"nodes\": [{\"op\": \"Attention\", \"inputs\": [\"q\", \"k\", \"v\", \"m\"], "
                                                                             "\"outputs\": [\"y\"]}]}";
    static const char *const backends[] = { "native,reference", "reference" };
    for (size_t b = 0; b < 2; b++) {
        const setup s = { json, TN_MATH_STRICT, 1, 0.0f };
        size_t count;
        fixture f = open_text(json);
        float *y = answer(&f, &s, backends[b], &count);
        cr_assert_eq(count, 3);
        cr_expect(isnan(y[0]), "%s: %g", backends[b], (double)y[0]);
        cr_expect_eq(y[1], 0.0f, "%s: %g", backends[b], (double)y[1]);
        cr_expect(fabs((double)y[2] - (1.0 + 3.0 * exp(1.0)) / (1.0 + exp(1.0))) < 1e-6, "%s: %g",
                  backends[b], (double)y[2]);
        free(y);
        close_fixture(&f);
    }
}

/* A value that comes in four parts, which meet again, a hundred times: each part bears a quarter of what
 * the parts cost, or the sum would be more than any number there is. */
Test(native, chooses_layouts_along_a_long_chain_of_parts_that_meet_again)
{
    static char json[1 << 16];
    enum { LINKS = 120 };
    size_t at = (size_t)snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"v0\", \"dtype\": \"float32\", "
        "\"shape\": [1, 4, 3, 2]}], \"outputs\": [\"v%d\"], \"nodes\": [",
        LINKS);
    for (int k = 0; k < LINKS; k++)
        at += (size_t)snprintf(
            json + at, sizeof json - at,
            "%s{\"op\": \"Split\", \"inputs\": [\"v%d\"], \"outputs\": [\"a%d\", \"b%d\", \"c%d\", "
            "\"d%d\"], \"attributes\": {\"axis\": 1, \"num_outputs\": 4}}, {\"op\": \"Concat\", "
            "\"inputs\": [\"b%d\", \"c%d\", \"d%d\", \"a%d\"], \"outputs\": [\"v%d\"], "
            "\"attributes\": {\"axis\": 1}}",
            k ? ", " : "", k, k, k, k, k, k, k, k, k, k + 1);
    snprintf(json + at, sizeof json - at, "]}");
    fixture f = open_text(json);
    const setup s = { json, TN_MATH_FAST, 1, 0.0f };
    size_t count;
    float *y = answer(&f, &s, "native,reference", &count),
          *wanted = answer(&f, &s, "reference", &count);
    cr_assert_eq(count, 24);
    for (size_t k = 0; k < count; k++)
        cr_expect_eq(y[k], wanted[k], "element %zu: %g, not %g", k, (double)y[k],
                     (double)wanted[k]);
    free(y);
    free(wanted);
    close_fixture(&f);
}

Test(native, refuses_a_set_of_instructions_that_nobody_has)
{
    tn_runtime *runtime;
    setenv("TENON_NATIVE", "mmx", 1);
    OK(tn_runtime_create(NULL, NULL, &runtime));
    cr_expect_eq(tn_runtime_open_backend(runtime, "native"), TN_ERR_BACKEND);
    cr_expect_str_eq(
        tn_error_message(),
        "backend 'native': TENON_NATIVE is 'mmx': expected plain, avx2, avx512 or avx512vnni");
    tn_runtime_destroy(runtime);
    unsetenv("TENON_NATIVE");
}
