/* A 1x1 convolution in the prologue of a depthwise one, on `native`: held to the bit against the two
 * run apart, and to rounding against the reference, over windows, channels, threads and sets of
 * instructions; where the two must stay apart; and what is reported of both.
 *
 * SPDX-License-Identifier: MIT */
#include "native_wide.h"
#include "support.h"

#include <stdio.h>

static const char *const sets[] = { "plain", WIDE "avx2", "avx512" };

/* x [n, c, h, w] → expand (1x1, m channels) → e → middle → m → depthwise → d → steps → y. */
typedef struct band_case {
    int n, c, h, w, m, kh, kw, stride, dilation, pad;
    const char *middle, *steps; /* nodes with ' for "; NULL: none */
} band_case;

#define UNARY(op, from, to)                                                                        \
    ", {'name': '" to "', 'op': '" op "', 'inputs': ['" from "'], 'outputs': ['" to "']}"
#define BINARY(op, a, b, to)                                                                       \
    ", {'name': '" to "', 'op': '" op "', 'inputs': ['" a "', '" b "'], 'outputs': ['" to "']}"

static const char clip[] =
    ", {'name': 'm', 'op': 'Clip', 'inputs': ['e', 'low', 'high'], 'outputs': ['m']}";
static const char clip_out[] =
    ", {'name': 'y', 'op': 'Clip', 'inputs': ['d', 'low', 'high'], 'outputs': ['y']}";
static const char relu[] = UNARY("Relu", "e", "m");
static const char hard_swish[] = UNARY("HardSwish", "e", "m");
static const char swish[] = UNARY("Swish", "e", "m");
static const char scaled[] = BINARY("Mul", "e", "each", "t") UNARY("Tanh", "t", "m");
static const char swish_out[] = UNARY("Swish", "d", "y");
static const char hard_swish_out[] = UNARY("HardSwish", "d", "y");
static const char shifted_out[] = BINARY("Add", "d", "each", "u") UNARY("Sigmoid", "u", "y");

static void write_graph(const band_case *t, const char *more, char *json, size_t bytes)
{
    const int written = snprintf(
        json, bytes,
        "{'tenon': 1, 'opset': 24, 'inputs': [{'name': 'x', 'dtype': 'float32', 'shape': [%d, %d, %d, %d]}], "
        "'outputs': ['%s'%s], 'constants': {"
        "'we': {'dtype': 'float32', 'shape': [%d, %d, 1, 1], 'random': {'distribution': 'uniform', 'low': -1, 'seed': 3}}, "
        "'be': {'dtype': 'float32', 'shape': [%d], 'random': {'distribution': 'uniform', 'low': -1, 'seed': 4}}, "
        "'wd': {'dtype': 'float32', 'shape': [%d, 1, %d, %d], 'random': {'distribution': 'uniform', 'low': -1, 'seed': 5}}, "
        "'bd': {'dtype': 'float32', 'shape': [%d], 'random': {'distribution': 'uniform', 'low': -1, 'seed': 6}}, "
        "'each': {'dtype': 'float32', 'shape': [%d, 1, 1], 'random': {'distribution': 'uniform', 'low': -1, 'seed': 7}}, "
        "'low': {'dtype': 'float32', 'shape': [], 'data': 0}, 'high': {'dtype': 'float32', 'shape': [], 'data': 1}}, "
        "'nodes': [{'name': 'expand', 'op': 'Conv', 'inputs': ['x', 'we', 'be'], 'outputs': ['%s']}%s, "
        "{'name': 'depthwise', 'op': 'Conv', 'inputs': ['m', 'wd', 'bd'], 'outputs': ['%s'], 'attributes': {"
        "'strides': [%d, %d], 'dilations': [%d, %d], 'pads': [%d, %d, %d, %d], 'group': %d}}%s]}",
        t->n, t->c, t->h, t->w, t->steps ? "y" : "d", more, t->m, t->c, t->m, t->m, t->kh, t->kw,
        t->m, t->m, t->middle ? "e" : "m", t->middle ? t->middle : "", "d", t->stride, t->stride,
        t->dilation, t->dilation, t->pad, t->pad, t->pad, t->pad, t->m, t->steps ? t->steps : "");
    cr_assert(written > 0 && (size_t)written < bytes);
    for (char *at = json; *at; at++)
        *at = *at == '\'' ? '"' : *at;
}

static tn_session *open_session(const fixture *f, const char *backends, const char *outputs,
                                uint32_t threads, uint32_t math)
{
    tn_session *session;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = threads,
                                         .backends = backends,
                                         .passes = "none",
                                         .math = math,
                                         .outputs = outputs };
    OK(tn_session_create(f->model, &options, NULL, &session));
    return session;
}

/* The nodes that run with the one of this name; NULL: it is no step of its own. */
static const char *fused_with(tn_session *session, const char *name, char *text, size_t bytes)
{
    tn_report *report;
    const tn_report_step *step;
    const char *found = NULL;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; (step = tn_report_get(report, k)); k++)
        if (strcmp(step->name, name) == 0) {
            snprintf(text, bytes, "%s", step->fused);
            found = text;
        }
    tn_report_destroy(report);
    return found;
}

static bool is_joined(tn_session *session)
{
    char text[256];
    const char *fused = fused_with(session, "depthwise", text, sizeof text);
    return fused && strncmp(fused, "expand ", 7) == 0;
}

/* Twice: what a run leaves in scratch must not matter. */
static tn_context *run(tn_session *session, float *data)
{
    tn_context *context;
    const tn_port *port = tn_session_input(session, 0);
    const tn_tensor x = floats(data, port->type.rank, port->type.dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    OK(tn_context_run(context, NULL));
    return context;
}

static void assert_same_bits(const tn_tensor *a, const tn_tensor *b, const char *about)
{
    cr_assert_eq(a->bytes, b->bytes);
    cr_assert(memcmp(a->data, b->data, a->bytes) == 0, "%s", about);
}

/* Joined, apart (what is between is wanted), and on the reference. */
static void check_with(const band_case *t, const char *json, uint32_t threads, uint32_t math,
                       bool special)
{
    const size_t count = (size_t)(t->n * t->c * t->h * t->w);
    float *data = malloc(count * sizeof *data);
    fixture f = open_text(json);
    fill(data, count, 17);
    if (special) {
        data[0] = NAN;
        data[count / 2] = INFINITY;
        data[count - 1] = -INFINITY;
    }
    tn_session *joined = open_session(&f, "native,reference", NULL, threads, math);
    tn_session *apart = open_session(&f, "native,reference", "m", threads, math);
    tn_session *reference = open_session(&f, "reference", NULL, threads, math);
    cr_expect(is_joined(joined), "stays apart, %u threads:\n%s", threads, json);
    cr_expect(!is_joined(apart), "%s", json);
    tn_context *a = run(joined, data), *b = run(apart, data), *c = run(reference, data);
    assert_same_bits(tn_context_output(a, 0), tn_context_output(b, 0), json);
    if (!special)
        assert_near(tn_context_output(a, 0), tn_context_output(c, 0),
                    4.0f * bound(t->c * t->kh * t->kw, (float)(t->c + t->kh * t->kw)));
    tn_context_destroy(a);
    tn_context_destroy(b);
    tn_context_destroy(c);
    tn_session_destroy(joined);
    tn_session_destroy(apart);
    tn_session_destroy(reference);
    close_fixture(&f);
    free(data);
}

static void check(const band_case *t)
{
    enum { TALLER = 6 }; /* threads take planes of more than their caches hold together */
    char json[4096], tall_json[4096];
    band_case tall = *t;
    tall.h *= TALLER;
    write_graph(t, "", json, sizeof json);
    write_graph(&tall, "", tall_json, sizeof tall_json);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        setenv("TENON_NATIVE", sets[k], 1); /* what the processor lacks falls to the next smaller */
        check_with(t, json, 1, TN_MATH_FAST, false);
        check_with(&tall, tall_json, 2, TN_MATH_FAST, false);
        check_with(&tall, tall_json, 3, TN_MATH_STRICT, false);
        check_with(&tall, tall_json, 2, TN_MATH_FAST, true);
    }
    unsetenv("TENON_NATIVE");
}

#define BANDS_TEST(name, ...)                                                                      \
    Test(native_bands, name)                                                                       \
    {                                                                                              \
        static const band_case cases[] = { __VA_ARGS__ };                                          \
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)                                  \
            check(&cases[k]);                                                                      \
    }

BANDS_TEST(of_usual_windows, { 1, 4, 56, 57, 48, 3, 3, 1, 1, 1, clip, clip_out },
           { 1, 4, 57, 56, 48, 3, 3, 2, 1, 1, clip, clip_out },
           { 1, 5, 41, 70, 48, 5, 5, 1, 1, 2, hard_swish, hard_swish_out },
           { 1, 6, 83, 33, 64, 5, 5, 2, 1, 2, swish, swish_out })
BANDS_TEST(with_tails_of_channels, { 1, 3, 90, 81, 19, 3, 3, 1, 1, 1, relu, clip_out },
           { 1, 2, 171, 161, 5, 3, 3, 1, 1, 1, swish, NULL },
           { 1, 7, 45, 43, 73, 3, 3, 2, 1, 1, scaled, shifted_out },
           { 1, 8, 37, 38, 100, 5, 5, 1, 1, 2, NULL, swish_out })
BANDS_TEST(of_several_images, { 3, 4, 60, 61, 40, 3, 3, 1, 1, 1, relu, NULL })
BANDS_TEST(of_any_window, { 1, 4, 64, 64, 33, 3, 5, 1, 2, 3, relu, NULL },
           { 1, 4, 66, 66, 32, 7, 7, 1, 1, 0, hard_swish, clip_out },
           { 1, 4, 66, 66, 32, 1, 1, 2, 1, 0, relu, NULL },
           { 1, 4, 98, 44, 32, 2, 2, 3, 1, 0, relu, NULL },  /* rows that no window sees */
           { 1, 4, 70, 60, 32, 3, 3, 1, 1, 4, relu, NULL },  /* windows that are all padding */
           { 1, 2, 2, 4200, 16, 2, 3, 1, 1, 1, relu, NULL }, /* a single row or two */
           { 1, 4, 3000, 3, 16, 3, 3, 2, 1, 1, clip, NULL })
/* Weights, or rows, that do not stay in the cache for all channels together. */
BANDS_TEST(of_blocks_of_channels, { 1, 40, 19, 18, 400, 3, 3, 1, 1, 1, relu, clip_out },
           { 1, 2, 12, 400, 120, 3, 3, 1, 1, 1, swish, shifted_out })

/* ---- apart ---------------------------------------------------------------------------------- */

static void expect_apart(const char *json, const char *outputs, uint32_t flags)
{
    fixture f = open_text(json);
    tn_session *session;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "native,reference",
                                         .passes = "none",
                                         .flags = flags,
                                         .outputs = outputs };
    OK(tn_session_create(f.model, &options, NULL, &session));
    cr_expect(!is_joined(session), "%s", json);
    tn_session_destroy(session);
    close_fixture(&f);
}

static const band_case usual = { 1, 4, 56, 56, 48, 3, 3, 1, 1, 1, clip, clip_out };

Test(native_bands, are_not_made_of_what_somebody_else_sees)
{
    char json[4096];
    write_graph(&usual, "", json, sizeof json);
    expect_apart(json, "m", 0);
    expect_apart(json, "*", 0);
    expect_apart(json, NULL, TN_SESSION_NO_FUSION);
    write_graph(&usual, ", 'm'", json, sizeof json);
    expect_apart(json, NULL, 0);
    /* Another reader. */
    band_case twice = usual;
    twice.steps = ", {'op': 'Neg', 'inputs': ['m'], 'outputs': ['o']}"
                  ", {'op': 'Add', 'inputs': ['d', 'o'], 'outputs': ['y']}";
    write_graph(&twice, "", json, sizeof json);
    expect_apart(json, NULL, 0);
}

Test(native_bands, are_not_made_where_they_save_nothing)
{
    const band_case small = { 1, 4, 28, 28, 48, 3, 3, 1, 1, 1, clip, clip_out };
    const band_case deep = { 1, 400, 32, 32, 160, 3, 3, 1, 1, 1, clip, clip_out };
    char json[4096];
    write_graph(&small, "", json, sizeof json);
    expect_apart(json, NULL, 0);
    write_graph(&deep, "", json, sizeof json);
    expect_apart(json, NULL, 0);
}

/* A sum with a whole tensor, before the depthwise one. */
Test(native_bands, are_not_made_of_what_the_kernel_cannot_make)
{
    char json[4096];
    band_case sum = usual;
    sum.c = sum.m;
    sum.middle = ", {'op': 'Add', 'inputs': ['e', 'x'], 'outputs': ['m']}";
    write_graph(&sum, "", json, sizeof json);
    expect_apart(json, NULL, 0);
}

Test(native_bands, leave_placement_as_the_user_asked_for_it)
{
    char json[4096];
    tn_session *session;
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "native,reference",
                                         .placement = "expand=reference",
                                         .passes = "none" };
    write_graph(&usual, "", json, sizeof json);
    fixture f = open_text(json);
    OK(tn_session_create(f.model, &options, NULL, &session));
    cr_expect(!is_joined(session));
    tn_session_destroy(session);
    close_fixture(&f);
}

/* ---- what is told of them -------------------------------------------------------------------- */

Test(native_bands, are_reported_with_both_nodes)
{
    char json[4096], text[256];
    write_graph(&usual, "", json, sizeof json);
    fixture f = open_text(json);
    tn_session *session = open_session(&f, "native", NULL, 1, TN_MATH_FAST);
    tn_report *report;
    const tn_report_step *step;
    bool found = false;
    cr_expect_str_eq(fused_with(session, "depthwise", text, sizeof text), "expand m | y");
    cr_expect_null(fused_with(session, "expand", text, sizeof text));
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    for (size_t k = 0; (step = tn_report_get(report, k)); k++) {
        if (strcmp(step->name, "depthwise") != 0)
            continue;
        found = true;
        cr_expect_str_eq(step->algorithm, "depthwise, bands");
        cr_expect_eq(step->macs, 56.0 * 56 * 48 * (4 + 9));
        cr_expect_eq(step->parameters, 48u * (4 + 1 + 9 + 1) + 4);
        cr_expect_eq(step->field.kernel, 3);
    }
    cr_expect(found);
    tn_report_destroy(report);
    /* What is between lies in scratch, never in the arena as a whole. */
    tn_session *apart = open_session(&f, "native", "m", 1, TN_MATH_FAST);
    float data[4 * 56 * 56];
    fill(data, sizeof data / sizeof *data, 3);
    tn_context *a = run(session, data), *b = run(apart, data);
    tn_context_stats stats = { .size = sizeof stats };
    cr_expect_eq(tn_context_output(b, 1)->bytes, 56u * 56 * 48 * 4);
    tn_context_get_stats(a, &stats);
    cr_expect_eq(stats.allocations, 0u);
    tn_context_destroy(a);
    tn_context_destroy(b);
    tn_session_destroy(session);
    tn_session_destroy(apart);
    close_fixture(&f);
}
