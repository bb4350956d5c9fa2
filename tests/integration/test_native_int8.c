/* 8-bit integers on the backend `native` against the reference, equal bit for bit, over shapes that
 * cover tails, strides, padding, dilation, groups, zero points at both ends, saturation and thread
 * counts, with each set of instructions that this processor has (`plain` multiplies quads, `avx2`
 * pairs). Inputs and outputs end at a page that nobody may touch, and outputs begin poisoned.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "native_wide.h"
#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory with a guard ---------------------------------------------------------------------- */

typedef struct guarded {
    void *map;
    size_t map_bytes, bytes;
    uint8_t *data;
} guarded;

static guarded guarded_bytes(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    guarded g = { .map_bytes = room + page, .bytes = bytes };
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(g.map, MAP_FAILED);
    cr_assert_eq(mprotect((char *)g.map + room, page, PROT_NONE), 0);
    g.data = (uint8_t *)g.map + room - bytes;
    return g;
}

static size_t count_of(const tn_type *type)
{
    size_t count = 1;
    for (int32_t k = 0; k < type->rank; k++)
        count *= (size_t)type->dims[k];
    return count;
}

static tn_tensor tensor_in(const guarded *g, const tn_type *type)
{
    return (tn_tensor){ .size = sizeof(tn_tensor),
                        .dtype = type->dtype,
                        .rank = type->rank,
                        .dims = type->dims,
                        .data = g->data,
                        .bytes = g->bytes };
}

/* Bytes without a pattern, both ends among them; float32 between -3 and 3. */
static void fill_any(const guarded *g, uint32_t dtype, uint32_t seed)
{
    if (dtype == TN_FLOAT32) {
        fill((float *)(void *)g->data, g->bytes / 4, seed);
        for (size_t k = 0; k < g->bytes / 4; k++)
            ((float *)(void *)g->data)[k] *= 3.0f;
        return;
    }
    for (size_t k = 0; k < g->bytes; k++) {
        seed = seed * 1664525u + 1013904223u;
        g->data[k] = seed >> 29 == 0 ? (uint8_t)(seed & 1 ? 255 : 0) : (uint8_t)(seed >> 16);
    }
}

/* ---- graphs as text --------------------------------------------------------------------------- */

typedef struct text {
    char *at;
    size_t used, room;
} text;

static void say(text *t, const char *format, ...)
{
    va_list list;
    for (;;) {
        va_start(list, format);
        const int wanted = vsnprintf(t->at ? t->at + t->used : NULL, t->room - t->used, format,
                                     list);
        va_end(list);
        if (t->at && (size_t)wanted < t->room - t->used) {
            t->used += (size_t)wanted;
            return;
        }
        t->room = 2 * t->room + (size_t)wanted + 1024;
        t->at = realloc(t->at, t->room);
    }
}

/* ", "name": {…}" with `count` numbers from `low` to `high`, both among them. */
static void say_constant(text *t, const char *name, const char *dtype, const char *shape, int count,
                         int low, int high, double unit, uint32_t seed)
{
    say(t, "%s\"%s\": {\"dtype\": \"%s\", \"shape\": %s, \"data\": [",
        t->at[t->used - 1] == '{' ? "" : ", ", name, dtype, shape);
    for (int k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        int value = low + (int)(seed >> 8) % (high - low + 1);
        value = k % 11 == 3 ? low : k % 13 == 5 ? high : value;
        if (unit > 0)
            say(t, "%s%.9g", k ? "," : "", unit * value);
        else
            say(t, "%s%d", k ? "," : "", value);
    }
    say(t, "]}");
}

/* ---- one graph, on two lists of backends ------------------------------------------------------ */

static const char *const sets[] = { "plain", WIDE "avx2", "avx512", "avx512vnni" };

typedef struct answers {
    guarded outputs[3];
    size_t count;
} answers;

static answers answer(fixture *f, const char *backends, uint32_t threads, uint32_t math)
{
    guarded inputs[4];
    answers a = { .count = 0 };
    tn_session *session;
    tn_context *context;
    const tn_port *port;
    size_t ports = 0;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = threads,
                                         .backends = backends,
                                         .passes = "none",
                                         .math = math };
    OK(tn_session_create(f->model, &options, NULL, &session));
    OK(tn_context_create(session, &context));
    for (; (port = tn_session_input(session, ports)); ports++) {
        inputs[ports] = guarded_bytes(count_of(&port->type) * tn_dtype_bits(port->type.dtype) / 8);
        fill_any(&inputs[ports], port->type.dtype, 17 + (uint32_t)ports);
        const tn_tensor x = tensor_in(&inputs[ports], &port->type);
        OK(tn_context_set_input(context, port->name, &x));
    }
    for (; (port = tn_session_output(session, a.count)); a.count++) {
        a.outputs[a.count] = guarded_bytes(count_of(&port->type) * tn_dtype_bits(port->type.dtype) /
                                           8);
        const tn_tensor y = tensor_in(&a.outputs[a.count], &port->type);
        OK(tn_context_set_output(context, a.count, &y));
    }
    for (int run = 0; run < 2; run++) { /* twice: what a run leaves in scratch must not matter */
        for (size_t k = 0; k < a.count; k++)
            memset(a.outputs[k].data, 0xa5, a.outputs[k].bytes);
        OK(tn_context_run(context, NULL));
    }
    tn_context_destroy(context);
    tn_session_destroy(session);
    while (ports-- > 0)
        munmap(inputs[ports].map, inputs[ports].map_bytes);
    return a;
}

static void forget(answers *a)
{
    for (size_t k = 0; k < a->count; k++)
        munmap(a->outputs[k].map, a->outputs[k].map_bytes);
}

static void compare(const answers *right, const answers *got, const char *set, uint32_t threads,
                    const char *json)
{
    for (size_t k = 0; k < right->count; k++) {
        size_t at = 0;
        while (at < right->outputs[k].bytes &&
               right->outputs[k].data[at] == got->outputs[k].data[at])
            at++;
        cr_expect(at == right->outputs[k].bytes,
                  "%s, %u threads: byte %zu of output %zu is %u, expected %u\n%.1500s", set,
                  threads, at, k, got->outputs[k].data[at], right->outputs[k].data[at], json);
    }
}

static void expect_native(fixture *f, const char *op, const char *json)
{
    tn_session *session = make_session(f, "native,reference", "none", 1, 0);
    tn_report *report;
    const tn_report_step *step;
    bool found = false;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t i = 0; (step = tn_report_get(report, i)); i++)
        found |= strcmp(step->op, op) == 0 && strcmp(step->backend, "native") == 0;
    cr_expect(found, "no %s by native in\n%.1500s", op, json);
    tn_report_destroy(report);
    tn_session_destroy(session);
}

static void check(const char *json, const char *op)
{
    fixture f = open_text(json);
    answers right = answer(&f, "reference", 1, TN_MATH_STRICT);
    close_fixture(&f);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        setenv("TENON_NATIVE", sets[k], 1); /* what the processor lacks falls to the next smaller */
        f = open_text(json);
        for (uint32_t threads = 1; threads <= 2; threads++) {
            answers got = answer(&f, "native,reference", threads,
                                 threads == 1 ? TN_MATH_STRICT : TN_MATH_FAST);
            compare(&right, &got, sets[k], threads, json);
            forget(&got);
        }
        expect_native(&f, op, json);
        close_fixture(&f);
    }
    forget(&right);
    unsetenv("TENON_NATIVE");
}

/* ---- convolutions ----------------------------------------------------------------------------- */

/* Zero points: of x, of w (with one for each channel: from w_zero on, 0 or 1 more), of y. */
typedef struct conv_case {
    int n, c, h, w, m, kh, kw, stride, dilation, pad, group;
    const char *x, *weights, *y;      /* dtypes */
    int x_zero, w_zero, y_zero, each; /* each: w has a zero point for each channel */
    double y_scale;
} conv_case;

static int is_signed(const char *dtype)
{
    return dtype[0] == 'i';
}

static void say_conv(text *t, const conv_case *c)
{
    char shape[64];
    const int low = is_signed(c->weights) ? -128 : 0;
    say(t,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"%s\", \"shape\": [%d, %d, %d, %d]}], "
        "\"outputs\": [\"y\", \"s\"], \"constants\": {",
        c->x, c->n, c->c, c->h, c->w);
    snprintf(shape, sizeof shape, "[%d, %d, %d, %d]", c->m, c->c / c->group, c->kh, c->kw);
    say_constant(t, "w", c->weights, shape, c->m * c->c / c->group * c->kh * c->kw, low, low + 255,
                 0, 5);
    snprintf(shape, sizeof shape, "[%d]", c->m);
    say_constant(t, "ws", "float32", shape, c->m, 1, 200, 1.37e-4, 6);
    say_constant(t, "b", "int32", shape, c->m, -20000, 20000, 0, 7);
    say_constant(t, "xs", "float32", "[]", 1, 17, 17, 0.001, 1);
    say_constant(t, "ys", "float32", "[]", 1, 1, 1, c->y_scale, 1);
    say_constant(t, "xz", c->x, "[]", 1, c->x_zero, c->x_zero, 0, 1);
    say_constant(t, "yz", c->y, "[]", 1, c->y_zero, c->y_zero, 0, 1);
    say_constant(t, "wz", c->weights, c->each ? shape : "[]", c->each ? c->m : 1, c->w_zero,
                 c->w_zero + (c->each ? 1 : 0), 0, 9);
    for (int k = 0; k < 2; k++)
        say(t,
            "%s{\"op\": \"%s\", \"inputs\": [%s], \"outputs\": [\"%s\"], \"attributes\": {\"strides\": [%d, %d], "
            "\"dilations\": [%d, %d], \"pads\": [%d, %d, %d, %d], \"group\": %d}}",
            k ? ", " : "}, \"nodes\": [", k ? "ConvInteger" : "QLinearConv",
            k ? "\"x\", \"w\", \"xz\", \"wz\""
              : "\"x\", \"xs\", \"xz\", \"w\", \"ws\", \"wz\", \"ys\", \"yz\", \"b\"",
            k ? "s" : "y", c->stride, c->stride, c->dilation, c->dilation, c->pad, c->pad, c->pad,
            c->pad, c->group);
    say(t, "]}");
}

static void check_conv(const conv_case *c)
{
    text t = { 0 };
    say_conv(&t, c);
    check(t.at, "QLinearConv");
    fixture f = open_text(t.at);
    expect_native(&f, "ConvInteger", t.at);
    close_fixture(&f);
    free(t.at);
}

#define CONV_TEST(name, ...)                                                                       \
    Test(native_int8, name)                                                                        \
    {                                                                                              \
        static const conv_case cases[] = { __VA_ARGS__ };                                          \
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)                                  \
            check_conv(&cases[k]);                                                                 \
    }

#define U8 "uint8"
#define S8 "int8"
CONV_TEST(conv_1x1_with_tails_of_rows_and_columns,
          { 1, 8, 1, 1, 1, 1, 1, 1, 1, 0, 1, U8, S8, U8, 128, 0, 128, 0, 0.9 },
          { 1, 9, 5, 7, 17, 1, 1, 1, 1, 0, 1, U8, S8, U8, 0, 0, 0, 1, 0.3 },
          { 2, 16, 6, 6, 33, 1, 1, 1, 1, 0, 1, S8, S8, S8, -128, 0, 127, 0, 0.2 },
          { 1, 24, 13, 13, 32, 1, 1, 2, 1, 0, 1, U8, U8, U8, 255, 128, 255, 0, 0.4 },
          { 1, 11, 5, 5, 40, 1, 1, 1, 1, 1, 1, S8, U8, U8, 127, 255, 3, 0, 0.5 },
          { 1, 3, 9, 9, 5, 1, 1, 3, 1, 2, 1, U8, S8, S8, 7, -128, -128, 0, 0.05 },
          { 1, 130, 4, 4, 70, 1, 1, 1, 1, 0, 1, U8, U8, U8, 12, 7, 200, 1, 3.0 })
CONV_TEST(conv_windows_with_padding_stride_and_dilation,
          { 1, 8, 9, 11, 18, 3, 3, 2, 1, 1, 1, U8, S8, U8, 100, 0, 128, 0, 0.7 },
          { 2, 10, 8, 8, 7, 5, 5, 1, 1, 2, 1, S8, S8, S8, 5, 0, -3, 1, 0.7 },
          { 1, 8, 12, 10, 16, 3, 3, 1, 2, 2, 1, U8, S8, U8, 255, 0, 0, 0, 0.7 },
          { 1, 7, 12, 10, 16, 3, 3, 1, 2, 2, 1, U8, U8, U8, 1, 128, 0, 0, 0.7 },
          { 1, 8, 7, 9, 16, 1, 7, 1, 1, 3, 1, S8, U8, S8, -128, 0, 0, 0, 0.7 },
          { 1, 5, 9, 9, 20, 2, 2, 2, 1, 0, 1, U8, S8, U8, 0, 0, 1, 0, 0.7 },
          { 1, 4, 9, 8, 20, 7, 1, 2, 1, 3, 1, U8, S8, U8, 66, 0, 1, 0, 0.7 },
          { 1, 3, 31, 29, 24, 7, 7, 2, 1, 3, 1, U8, S8, U8, 114, 0, 128, 0, 0.9 },
          { 1, 3, 2, 2, 24, 5, 5, 1, 1, 4, 1, S8, S8, U8, -7, 0, 9, 0, 0.3 })
CONV_TEST(conv_groups, { 1, 32, 7, 7, 48, 3, 3, 1, 1, 1, 4, U8, S8, U8, 128, 0, 128, 1, 0.4 },
          { 2, 18, 6, 5, 12, 1, 1, 1, 1, 0, 2, S8, S8, S8, 0, 0, 0, 0, 0.4 },
          { 1, 15, 8, 9, 10, 3, 3, 2, 2, 1, 5, U8, U8, S8, 3, 128, 0, 0, 0.4 },
          { 1, 6, 5, 5, 12, 3, 3, 1, 1, 1, 6, U8, S8, U8, 9, 0, 0, 0, 0.1 })
CONV_TEST(conv_depthwise, { 1, 8, 9, 9, 8, 3, 3, 1, 1, 1, 8, U8, S8, U8, 128, 0, 128, 0, 0.2 },
          { 2, 19, 10, 7, 19, 3, 3, 2, 1, 1, 19, S8, S8, S8, -128, 0, 0, 1, 0.1 },
          { 1, 33, 8, 9, 33, 5, 5, 1, 1, 2, 33, U8, U8, U8, 255, 128, 0, 0, 0.1 },
          { 1, 16, 12, 12, 16, 3, 3, 1, 2, 2, 16, U8, S8, U8, 0, 0, 255, 0, 0.1 },
          { 1, 40, 3, 2, 40, 3, 3, 1, 1, 1, 40, S8, U8, U8, 1, 255, 10, 0, 0.1 },
          { 1, 17, 5, 6, 17, 2, 4, 1, 1, 1, 17, U8, S8, S8, 250, 0, 10, 0, 0.1 },
          { 1, 5, 6, 40, 5, 7, 7, 2, 1, 3, 5, U8, S8, U8, 77, 0, 10, 0, 0.1 })

/* What float32 cannot round: every other product is half way between two integers. */
Test(native_int8, ties_are_rounded_as_the_reference_does)
{
    text t = { 0 };
    say(&t,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"uint8\", \"shape\": [1, 9, 9, 9]}], "
        "\"outputs\": [\"y\"], \"constants\": {");
    say_constant(&t, "w", "int8", "[21, 9, 1, 1]", 189, -3, 3, 0, 4);
    say_constant(&t, "one", "float32", "[]", 1, 1, 1, 0.5, 1);
    say_constant(&t, "two", "float32", "[]", 1, 1, 1, 1.0, 1);
    say_constant(&t, "xz", "uint8", "[]", 1, 3, 3, 0, 1);
    say_constant(&t, "wz", "int8", "[]", 1, 0, 0, 0, 1);
    say(&t,
        "}, \"nodes\": [{\"op\": \"QLinearConv\", \"inputs\": [\"x\", \"one\", \"xz\", \"w\", \"two\", \"wz\", \"two\", \"xz\"], \"outputs\": [\"y\"]}]}");
    check(t.at, "QLinearConv");
    free(t.at);
}

/* A scale of 0 divides by 0, and a huge one leaves float32. */
Test(native_int8, scales_that_float32_does_not_hold)
{
    static const double y_scales[] = { 0.0, 1e-38, 1e30 };
    for (size_t k = 0; k < 3; k++) {
        text t = { 0 };
        say(&t,
            "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"int8\", \"shape\": [1, 4, 5, 5]}], "
            "\"outputs\": [\"y\"], \"constants\": {");
        say_constant(&t, "w", "int8", "[5, 4, 3, 3]", 180, -128, 127, 0, 4);
        say_constant(&t, "s", "float32", "[]", 1, 1, 1, 3.0, 1);
        say(&t, ", \"ys\": {\"dtype\": \"float32\", \"shape\": [], \"data\": %g}", y_scales[k]);
        say_constant(&t, "z", "int8", "[]", 1, -3, -3, 0, 1);
        say_constant(&t, "wz", "int8", "[]", 1, 0, 0, 0, 1);
        say(&t,
            "}, \"nodes\": [{\"op\": \"QLinearConv\", \"inputs\": [\"x\", \"s\", \"z\", \"w\", \"s\", \"wz\", \"ys\", \"z\"], \"outputs\": [\"y\"]}]}");
        check(t.at, "QLinearConv");
        free(t.at);
    }
}

/* ---- products of matrices ---------------------------------------------------------------------- */

typedef struct matmul_case {
    const char *a_shape, *b_shape;
    int m, k, n, constant; /* constant: B; b_zero is */
    const char *a, *b, *y;
    int a_zero, b_zero, y_zero, a_each, b_each;
} matmul_case;

static void check_matmul(const matmul_case *c)
{
    text t = { 0 };
    char shape[64];
    const int low = is_signed(c->b) ? -128 : 0;
    say(&t,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"a\", \"dtype\": \"%s\", \"shape\": %s}",
        c->a, c->a_shape);
    if (!c->constant)
        say(&t, ", {\"name\": \"b\", \"dtype\": \"%s\", \"shape\": %s}", c->b, c->b_shape);
    say(&t, "], \"outputs\": [\"y\", \"s\"], \"constants\": {");
    if (c->constant)
        say_constant(&t, "b", c->b, c->b_shape, c->k * c->n, low, low + 255, 0, 5);
    snprintf(shape, sizeof shape, "[%d]", c->n);
    say_constant(&t, "bs", "float32", c->b_each ? shape : "[]", c->b_each ? c->n : 1, 1, 200,
                 1.37e-4, 6);
    say_constant(&t, "bz", c->b, c->b_each ? shape : "[]", c->b_each ? c->n : 1, c->b_zero,
                 c->b_zero + (c->b_each ? 1 : 0), 0, 6);
    say_constant(&t, "as", "float32", "[]", 1, 17, 17, 0.01, 1);
    say_constant(&t, "ys", "float32", "[]", 1, 1, 1, 0.7, 1);
    snprintf(shape, sizeof shape, "[%d]", c->m);
    say_constant(&t, "az", c->a, c->a_each ? shape : "[]", c->a_each ? c->m : 1, c->a_zero,
                 c->a_zero + (c->a_each ? 2 : 0), 0, 3);
    say_constant(&t, "yz", c->y, "[]", 1, c->y_zero, c->y_zero, 0, 1);
    say(&t,
        "}, \"nodes\": [{\"op\": \"QLinearMatMul\", \"inputs\": [\"a\", \"as\", \"az\", \"b\", \"bs\", \"bz\", \"ys\", \"yz\"], \"outputs\": [\"y\"]}, "
        "{\"op\": \"MatMulInteger\", \"inputs\": [\"a\", \"b\", \"az\", \"bz\"], \"outputs\": [\"s\"]}]}");
    check(t.at, "QLinearMatMul");
    fixture f = open_text(t.at);
    expect_native(&f, "MatMulInteger", t.at);
    close_fixture(&f);
    free(t.at);
}

Test(native_int8, products_of_matrices)
{
    static const matmul_case cases[] = {
        { "[1, 7]", "[7, 5]", 1, 7, 5, 1, U8, S8, U8, 128, 0, 128, 0, 0 },
        { "[13, 64]", "[64, 33]", 13, 64, 33, 1, U8, S8, U8, 255, 0, 0, 0, 1 },
        { "[2, 9, 31]", "[31, 16]", 9, 31, 16, 1, S8, S8, S8, -128, 0, 127, 0, 0 },
        { "[200, 129]", "[129, 70]", 200, 129, 70, 1, U8, U8, U8, 3, 128, 9, 0, 0 },
        { "[5, 20]", "[20, 17]", 5, 20, 17, 1, S8, U8, U8, 5, 17, 9, 1, 1 },
        { "[2, 3, 5, 20]", "[2, 3, 20, 17]", 5, 20, 17, 0, U8, S8, U8, 5, 0, 9, 0, 0 },
        { "[3, 6, 21]", "[1, 21, 18]", 6, 21, 18, 0, S8, U8, S8, 5, 255, -9, 0, 0 },
        { "[6, 21]", "[21, 18]", 6, 21, 18, 0, U8, U8, S8, 5, 7, -9, 0, 1 },
        { "[2, 1, 6, 4]", "[5, 4, 3]", 6, 4, 3, 0, U8, S8, U8, 0, 0, 0, 0, 0 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        check_matmul(&cases[k]);
}

/* ConvInteger and MatMulInteger go on modulo 2^32. */
Test(native_int8, sums_wrap_where_the_standard_lets_them)
{
    text t = { 0 };
    say(&t,
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"a\", \"dtype\": \"uint8\", \"shape\": [1, 140000]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"z\": {\"dtype\": \"uint8\", \"shape\": [], \"data\": 0}, "
        "\"bz\": {\"dtype\": \"int8\", \"shape\": [], \"data\": -128}, "
        "\"b\": {\"dtype\": \"int8\", \"shape\": [140000, 1], \"data\": [127");
    for (int k = 1; k < 140000; k++)
        say(&t, ",%d", k % 3 ? 127 : 125);
    say(&t,
        "]}}, \"nodes\": [{\"op\": \"MatMulInteger\", \"inputs\": [\"a\", \"b\", \"z\", \"bz\"], \"outputs\": [\"y\"]}]}");
    check(t.at, "MatMulInteger");
    free(t.at);
}

/* ---- between numbers and bytes ------------------------------------------------------------------ */

Test(native_int8, quantize_and_dequantize)
{
    static const struct {
        const char *shape, *table, *dtype;
        int places, axis, zero;
        double scale;
    } cases[] = {
        { "[3, 5, 7, 9]", "[]", U8, 1, 1, 128, 0.011 },
        { "[3, 5, 7, 9]", "[5]", S8, 5, 1, -3, 0.002 },
        { "[2, 3, 33]", "[33]", U8, 33, -1, 0, 0.013 },
        { "[2, 17]", "[17]", S8, 17, 1, 100, 0.01 },
        { "[70000]", "[]", S8, 1, 0, 127, 0.0003 },
        { "[5, 6]", "[5]", U8, 5, 0, 254, 0.01 },
        { "[2, 19, 30, 41]", "[19]", U8, 19, 1, 7, 0.01 },
        { "[]", "[]", U8, 1, 1, 7, 0.01 },
        { "[4, 64]", "[]", U8, 1, 1, 9, 0.5 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        text t = { 0 };
        say(&t,
            "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": %s}, "
            "{\"name\": \"q\", \"dtype\": \"%s\", \"shape\": %s}], \"outputs\": [\"y\", \"z\"], \"constants\": {",
            cases[k].shape, cases[k].dtype, cases[k].shape);
        say_constant(&t, "s", "float32", cases[k].table, cases[k].places, 1, 9, cases[k].scale, 3);
        say_constant(&t, "o", cases[k].dtype, cases[k].table, cases[k].places, cases[k].zero,
                     cases[k].zero + (cases[k].places > 1), 0, 3);
        say(&t,
            "}, \"nodes\": [{\"op\": \"QuantizeLinear\", \"inputs\": [\"x\", \"s\", \"o\"], \"outputs\": [\"y\"], \"attributes\": {\"axis\": %d}}, "
            "{\"op\": \"DequantizeLinear\", \"inputs\": [\"q\", \"s\", \"o\"], \"outputs\": [\"z\"], \"attributes\": {\"axis\": %d}}]}",
            cases[k].axis, cases[k].axis);
        check(t.at, "QuantizeLinear");
        fixture f = open_text(t.at);
        expect_native(&f, "DequantizeLinear", t.at);
        close_fixture(&f);
        free(t.at);
    }
}

/* NaN, infinities, ties, both zeros and numbers beyond the ends, at every place in a register. */
Test(native_int8, quantize_special_numbers)
{
    static const float specials[] = { NAN,     INFINITY, -INFINITY, 0.5f,   1.5f,   2.5f,
                                      -0.5f,   -1.5f,    -0.0f,     1e30f,  -1e30f, 127.5f,
                                      -128.5f, 254.5f,   255.5f,    1e-40f, 63.5f };
    enum { COUNT = 17 * 5 };
    float x[COUNT];
    const int64_t dims[1] = { COUNT };
    for (int k = 0; k < COUNT; k++)
        x[k] = specials[k % 17];
    for (int set = 0; set < 2; set++)
        for (int dtype = 0; dtype < 2; dtype++) {
            text t = { 0 };
            uint8_t y[2][COUNT];
            say(&t,
                "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%d]}], \"outputs\": [\"y\"], "
                "\"constants\": {\"s\": {\"dtype\": \"float32\", \"shape\": [], \"data\": 1}, \"o\": {\"dtype\": \"%s\", \"shape\": [], \"data\": 5}}, "
                "\"nodes\": [{\"op\": \"QuantizeLinear\", \"inputs\": [\"x\", \"s\", \"o\"], \"outputs\": [\"y\"]}]}",
                COUNT, dtype ? "int8" : "uint8");
            setenv("TENON_NATIVE", sets[set], 1);
            fixture f = open_text(t.at);
            for (int k = 0; k < 2; k++) {
                tn_session *session = make_session(&f, k ? "native" : "reference", "none", 1, 0);
                tn_context *context;
                const tn_tensor in = floats(x, 1, dims);
                const tn_tensor out = { .size = sizeof out,
                                        .dtype = dtype ? TN_INT8 : TN_UINT8,
                                        .rank = 1,
                                        .dims = dims,
                                        .data = y[k],
                                        .bytes = COUNT };
                OK(tn_context_create(session, &context));
                OK(tn_context_set_input(context, "x", &in));
                OK(tn_context_set_output(context, 0, &out));
                OK(tn_context_run(context, NULL));
                tn_context_destroy(context);
                tn_session_destroy(session);
            }
            for (int k = 0; k < COUNT; k++)
                cr_expect_eq(y[0][k], y[1][k], "%s: %g as %u, expected %u", sets[set], (double)x[k],
                             y[1][k], y[0][k]);
            /* Independent of both: 2.5 lies between 2 and 3, and 2 is even. */
            cr_expect_eq(y[1][5], 7);
            cr_expect_eq(y[1][0], dtype ? 128 : 0);
            close_fixture(&f);
            free(t.at);
        }
    unsetenv("TENON_NATIVE");
}

Test(native_int8, dynamic_quantization)
{
    static const char *const shapes[] = { "[]", "[1]", "[37]", "[2, 3, 5, 7]", "[3, 40000]" };
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        text t = { 0 };
        say(&t,
            "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": %s}], "
            "\"outputs\": [\"y\", \"s\", \"z\"], \"nodes\": [{\"op\": \"DynamicQuantizeLinear\", \"inputs\": [\"x\"], \"outputs\": [\"y\", \"s\", \"z\"]}]}",
            shapes[k]);
        check(t.at, "DynamicQuantizeLinear");
        free(t.at);
    }
}

/* ---- pools and chains ---------------------------------------------------------------------------- */

Test(native_int8, pools_of_bytes)
{
    for (int dtype = 0; dtype < 2; dtype++)
        for (int channels = 3; channels < 80; channels += 30) {
            text t = { 0 };
            say(&t,
                "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"%s\", \"shape\": [2, %d, 11, 9]}], "
                "\"outputs\": [\"y\"], \"nodes\": [{\"op\": \"MaxPool\", \"inputs\": [\"x\"], \"outputs\": [\"y\"], "
                "\"attributes\": {\"kernel_shape\": [3, 3], \"strides\": [2, 2], \"pads\": [1, 1, 1, 1]}}]}",
                dtype ? "int8" : "uint8", channels);
            check(t.at, "MaxPool");
            free(t.at);
        }
}

/* With the scales as its epilogue: one rounding each, in both. */
Test(native_int8, sums_become_numbers)
{
    static const char json[] =
        "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"a\", \"dtype\": \"uint8\", \"shape\": [3, 7, 20]}], "
        "\"outputs\": [\"y\"], \"constants\": {\"b\": {\"dtype\": \"float32\", \"shape\": [20, 37], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 3}}, "
        "\"s\": {\"dtype\": \"float32\", \"shape\": [37], \"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": 4}}}, "
        "\"nodes\": [{\"op\": \"DynamicQuantizeLinear\", \"inputs\": [\"b\"], \"outputs\": [\"q\", \"qs\", \"qz\"]}, "
        "{\"op\": \"MatMulInteger\", \"inputs\": [\"a\", \"q\", \"\", \"qz\"], \"outputs\": [\"p\"]}, "
        "{\"op\": \"Cast\", \"inputs\": [\"p\"], \"outputs\": [\"f\"], \"attributes\": {\"to\": 1}}, "
        "{\"op\": \"Mul\", \"inputs\": [\"f\", \"s\"], \"outputs\": [\"y\"]}]}";
    check(json, "Cast");
}

/* Each quantization has three outputs: what it costs must not be counted for each of them. */
Test(native_int8, a_long_chain_of_dynamic_quantizations_is_planned)
{
    text t = { 0 };
    say(&t, "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x0\", \"dtype\": \"float32\", "
            "\"shape\": [4, 4]}], \"outputs\": [\"x60\"], \"constants\": {");
    say_constant(&t, "w", "int8", "[4, 4]", 16, -1, 1, 0, 5);
    say(&t, "}, \"nodes\": [");
    for (int k = 0; k < 60; k++)
        say(&t,
            "%s{\"op\": \"DynamicQuantizeLinear\", \"inputs\": [\"x%d\"], \"outputs\": [\"y%d\", \"s%d\", \"z%d\"]}, "
            "{\"op\": \"MatMulInteger\", \"inputs\": [\"y%d\", \"w\", \"z%d\"], \"outputs\": [\"p%d\"]}, "
            "{\"op\": \"Cast\", \"inputs\": [\"p%d\"], \"outputs\": [\"f%d\"], \"attributes\": {\"to\": 1}}, "
            "{\"op\": \"Mul\", \"inputs\": [\"f%d\", \"s%d\"], \"outputs\": [\"x%d\"]}",
            k ? ", " : "", k, k, k, k, k, k, k, k, k, k, k, k + 1);
    say(&t, "]}");
    check(t.at, "MatMulInteger");
    free(t.at);
}

/* ---- reduced precision --------------------------------------------------------------------------- */

/* Largest difference over the largest answer. */
static double off_by(const answers *right, const answers *got)
{
    const float *a = (const float *)(const void *)right->outputs[0].data;
    const float *b = (const float *)(const void *)got->outputs[0].data;
    double most = 0, scale = 1e-30;
    for (size_t k = 0; k < right->outputs[0].bytes / 4; k++) {
        scale = fabs((double)a[k]) > scale ? fabs((double)a[k]) : scale;
        const double d = fabs((double)a[k] - (double)b[k]);
        most = d <= most ? most : isnan(d) ? (double)INFINITY : d;
    }
    return most / scale;
}

static void check_reduced(const char *json, uint32_t math, const char *backends, const char *prefix,
                          double tolerance)
{
    fixture f = open_text(json);
    if (strstr(backends, "onednn") && tn_runtime_open_backend(f.runtime, "onednn") != TN_OK) {
        close_fixture(&f);
        return;
    }
    answers right = answer(&f, "reference", 1, TN_MATH_STRICT);
    close_fixture(&f);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        setenv("TENON_NATIVE", sets[k], 1);
        f = open_text(json);
        for (uint32_t threads = 1; threads <= 2; threads++) {
            answers got = answer(&f, backends, threads, math);
            const double error = off_by(&right, &got);
            cr_expect(error <= tolerance, "%s, %u threads: off by %g of the largest\n%.900s",
                      sets[k], threads, error, json);
            forget(&got);
        }
        const tn_session_options options = {
            .size = sizeof options, .threads = 1, .backends = backends, .math = math
        };
        tn_session *session;
        tn_report *report;
        const tn_report_step *step;
        bool found = !prefix;
        OK(tn_session_create(f.model, &options, NULL, &session));
        OK(tn_report_create(session, NULL, 0, NULL, &report));
        for (size_t i = 0; (step = tn_report_get(report, i)); i++)
            found |= prefix && step->algorithm &&
                     strncmp(step->algorithm, prefix, strlen(prefix)) == 0;
        cr_expect(found, "no step by '%s…' in\n%.900s", prefix, json);
        tn_report_destroy(report);
        tn_session_destroy(session);
        close_fixture(&f);
    }
    forget(&right);
    unsetenv("TENON_NATIVE");
}

#define RANDOM "\"random\": {\"distribution\": \"uniform\", \"low\": -1, \"seed\": "
static const char int8_conv[] =
    "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 19, 13, 12]}], "
    "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [37, 19, %d, %d], " RANDOM
    "3}}, "
    "\"b\": {\"dtype\": \"float32\", \"shape\": [37], " RANDOM "4}}}, "
    "\"nodes\": [{\"op\": \"Conv\", \"inputs\": [\"x\", \"w\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {\"pads\": [1, 1, 1, 1], \"strides\": [%d, %d]}}, "
    "{\"op\": \"Relu\", \"inputs\": [\"c\"], \"outputs\": [\"y\"]}]}";
static const char int8_gemm[] =
    "{\"tenon\": 1, \"opset\": 22, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [%d, 130]}], "
    "\"outputs\": [\"y\"], \"constants\": {\"w\": {\"dtype\": \"float32\", \"shape\": [%d, 130], " RANDOM
    "3}}, "
    "\"b\": {\"dtype\": \"float32\", \"shape\": [%d], " RANDOM "4}}}, "
    "\"nodes\": [{\"op\": \"Gemm\", \"inputs\": [\"x\", \"w\", \"b\"], \"outputs\": [\"c\"], \"attributes\": {\"transB\": 1}}, "
    "{\"op\": \"Sigmoid\", \"inputs\": [\"c\"], \"outputs\": [\"s\"]}, {\"op\": \"Mul\", \"inputs\": [\"c\", \"s\"], \"outputs\": [\"y\"]}]}";

/* Eight bits of weights and eight of inputs: 1/255 and 1/127 of their ranges, by far less in a sum. */
Test(native_int8, convolutions_in_int8_are_within_2_percent_of_the_largest_answer)
{
    for (int stride = 1; stride < 3; stride++) {
        char json[1500];
        snprintf(json, sizeof json, int8_conv, 5, 5, stride, stride);
        check_reduced(json, TN_MATH_INT8, "native,reference", "integers", 0.02);
    }
}

Test(native_int8, products_in_int8_are_within_2_percent_of_the_largest_answer)
{
    for (int rows = 1; rows < 40; rows += 31) {
        char json[1500];
        snprintf(json, sizeof json, int8_gemm, rows, 45, 45);
        check_reduced(json, TN_MATH_INT8, "native,reference", "product of", 0.02);
    }
}

/* Where the processor has no bfloat16 to offer they are float32's answers. */
Test(native_int8, bf16_runs_on_both_backends)
{
    char json[1500];
    snprintf(json, sizeof json, int8_conv, 3, 3, 1, 1);
    check_reduced(json, TN_MATH_BF16, "native,onednn,reference", NULL, 0.02);
    check_reduced(json, TN_MATH_BF16, "onednn,reference", NULL, 0.02);
    snprintf(json, sizeof json, int8_gemm, 8, 45, 45);
    check_reduced(json, TN_MATH_BF16, "native,onednn,reference", NULL, 0.02);
    check_reduced(json, TN_MATH_BF16, "onednn,reference", NULL, 0.02);
}

/* A network of the course: 256 pictures of strokes that no two are alike; where float32 is sure, so is
 * int8. */
Test(native_int8, a_network_predicts_in_int8_what_it_predicts_in_float32)
{
    enum { PICTURES = 256 };
    static float pictures[PICTURES * 784];
    static const int64_t dims[4] = { PICTURES, 1, 28, 28 };
    char path[512];
    float y[2][PICTURES * 10];
    int same = 0;
    for (int p = 0; p < PICTURES; p++)
        for (int k = 0; k < 784; k++) {
            const int row = k / 28, column = k % 28;
            const int wide = 3 + p % 8, tall = 4 + p / 8 % 9;
            const int dx = column - 13 - p / 64, dy = row - 14;
            const int inside = dx > -wide && dx < wide && dy > -tall && dy < tall;
            const float pixel = inside
                                    ? (float)(120 + (p * 7 + row * (p % 5) + column) % 130) / 255.0f
                                    : 0.0f;
            pictures[p * 784 + k] = (pixel - 0.286f) / 0.353f;
        }
    snprintf(path, sizeof path, "%s/graphs/fashion-lenet.json", getenv("TENON_SOURCE"));
    fixture f = open_file(path);
    for (int k = 0; k < 2; k++) {
        const tn_session_options options = { .size = sizeof options,
                                             .threads = 1,
                                             .backends = "native,reference",
                                             .math = k ? TN_MATH_INT8 : TN_MATH_STRICT };
        tn_session *session;
        tn_context *context;
        const tn_tensor x = floats(pictures, 4, dims);
        OK(tn_session_create(f.model, &options, NULL, &session));
        OK(tn_context_create(session, &context));
        OK(tn_context_set_input(context, tn_session_input(session, 0)->name, &x));
        OK(tn_context_run(context, NULL));
        cr_assert_eq(tn_context_output(context, 0)->bytes, sizeof y[k]);
        memcpy(y[k], tn_context_output(context, 0)->data, sizeof y[k]);
        tn_context_destroy(context);
        tn_session_destroy(session);
    }
    for (int p = 0; p < PICTURES; p++) {
        int best[2] = { 0, 0 };
        for (int k = 0; k < 2; k++)
            for (int i = 1; i < 10; i++)
                best[k] = y[k][p * 10 + i] > y[k][p * 10 + best[k]] ? i : best[k];
        same += best[0] == best[1];
    }
    cr_expect_geq(same, PICTURES * 98 / 100, "%d of %d predictions are the same", same, PICTURES);
    close_fixture(&f);
}
