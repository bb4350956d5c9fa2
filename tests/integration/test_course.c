/* The graphs of the course (graphs/), each for what it teaches, on every backend there is.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>

static const char *const lists[] = { "reference", "onednn,reference", "openblas,reference" };
enum { LISTS = sizeof lists / sizeof *lists };

static char *graph_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/graphs/%s.json", getenv("TENON_SOURCE"), name);
    return path;
}

/* False where a backend was not built: there is nothing to compare then. */
static bool usable(fixture *f, const char *list)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(list, ","), list);
    return tn_runtime_open_backend(f->runtime, name) == TN_OK;
}

static tn_context *run_on(tn_session *session, const char *input, const tn_tensor *tensor)
{
    tn_context *context;
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, input, tensor));
    OK(tn_context_run(context, NULL));
    return context;
}

Test(xnor, is_right_on_all_four_inputs_and_the_linear_net_on_none)
{
    static float inputs[8] = { 0, 0, 0, 1, 1, 0, 1, 1 };
    static const float right[4] = { 1, 0, 0, 1 };
    static const int64_t dims[2] = { 4, 2 };
    const tn_tensor x = floats(inputs, 2, dims);
    for (int linear = 0; linear < 2; linear++) {
        fixture f = open_file(graph_path(linear ? "xnor-linear" : "xnor"));
        for (int k = 0; k < LISTS; k++) {
            if (!usable(&f, lists[k]))
                continue;
            tn_session *session = make_session(&f, lists[k], NULL, 1, 0);
            tn_context *context = run_on(session, "x", &x);
            const float *y = tn_context_output(context, 0)->data;
            for (int i = 0; i < 4; i++)
                cr_expect_eq(y[i], linear ? 0.5f : right[i], "%s: input %d gives %g", lists[k], i,
                             (double)y[i]);
            tn_context_destroy(context);
            tn_session_destroy(session);
        }
        close_fixture(&f);
    }
}

Test(dropout, leaves_the_plan_and_the_answers_of_the_net_without_it)
{
    static float data[2 * 784];
    static const int64_t dims[2] = { 2, 784 };
    tn_report *reports[2];
    fixture f[2];
    tn_session *sessions[2];
    tn_context *contexts[2];
    fill(data, 2 * 784, 3);
    const tn_tensor x = floats(data, 2, dims);
    for (int k = 0; k < 2; k++) {
        f[k] = open_file(graph_path(k ? "dropout-mlp-plain" : "dropout-mlp"));
        sessions[k] = make_session(&f[k], "reference", NULL, 1, 0);
        OK(tn_report_create(sessions[k], NULL, 0, NULL, &reports[k]));
        contexts[k] = run_on(sessions[k], tn_session_input(sessions[k], 0)->name, &x);
    }
    const tn_report_step *a, *b;
    for (size_t k = 0; (a = tn_report_get(reports[0], k)) || tn_report_get(reports[1], k); k++) {
        b = tn_report_get(reports[1], k);
        cr_assert(a && b, "one plan is longer");
        cr_expect_str_eq(a->op, b->op);
        cr_expect_str_eq(a->place, b->place);
        cr_expect_str_eq(a->fused, b->fused);
    }
    const tn_tensor *p = tn_context_output(contexts[0], 0), *q = tn_context_output(contexts[1], 0);
    cr_assert_eq(p->bytes, q->bytes);
    cr_expect_eq(memcmp(p->data, q->data, p->bytes), 0);
    for (int k = 0; k < 2; k++) {
        tn_report_destroy(reports[k]);
        tn_context_destroy(contexts[k]);
        tn_session_destroy(sessions[k]);
        close_fixture(&f[k]);
    }
}

/* Counted without a convolution: an output is NaN when a window sees an infinity through a zero. */
static void count_by_windows(const uint8_t *infinite, const float (*kernels)[9], int64_t *nan,
                             int64_t *inf)
{
    for (int kernel = 0; kernel < 4; kernel++)
        for (int row = 0; row < 1080; row++)
            for (int column = 0; column < 1920; column++) {
                int seen = 0, through_zero = 0;
                for (int tap = 0; tap < 9; tap++) {
                    const int r = row + tap / 3 - 1, c = column + tap % 3 - 1;
                    if (r < 0 || r >= 1080 || c < 0 || c >= 1920 || !infinite[r * 1920 + c])
                        continue;
                    seen = 1;
                    through_zero |= kernels[kernel][tap] == 0.0f;
                }
                nan[kernel] += through_zero;
                inf[kernel] += seen && !through_zero;
            }
}

static const float infinity_kernels[4][9] = { { 1, 1, 1, 1, 0, 1, 1, 1, 1 },
                                              { 0, 1, 1, 1, 0, 1, 1, 1, 0 },
                                              { 1, 1, 0, 1, 0, 1, 0, 1, 1 },
                                              { 0, 0, 0, 0, 0, 0, 0, 0, 0 } };

Test(infinity_conv, counts_the_same_not_a_numbers_on_every_backend_in_strict_mode, .timeout = 900)
{
    static float picture[1080 * 1920];
    static uint8_t infinite[1080 * 1920];
    static const int64_t dims[4] = { 1, 1, 1080, 1920 };
    int64_t nan[4] = { 0 }, inf[4] = { 0 };
    for (int k = 0; k < 1080 * 1920; k++)
        picture[k] = (float)((k / 1920 * 31 + k % 1920 * 17) % 256) / 255.0f;
    for (int i = 0; i < 100; i++) {
        const int k = i / 2, o = i % 2;
        const int at = (37 * k + o * (k % 3)) % 1080 * 1920 + (101 * k * k + 53 * k + o) % 1920;
        picture[at] = INFINITY;
        infinite[at] = 1;
    }
    count_by_windows(infinite, infinity_kernels, nan, inf);
    cr_assert_eq(nan[0] + nan[1] + nan[2] + nan[3], 100 + 264 + 297 + 692,
                 "graphs/infinity-conv.expected.json says so");
    const tn_tensor x = floats(picture, 4, dims);
    fixture f = open_file(graph_path("infinity-conv"));
    for (int k = 0; k < 2 * LISTS; k++) {
        tn_session *session;
        const tn_session_options options = { .size = sizeof options,
                                             .backends = lists[k / 2],
                                             .math = TN_MATH_STRICT,
                                             .passes = k % 2 ? "none" : NULL };
        if (!usable(&f, lists[k / 2]))
            continue;
        OK(tn_session_create(f.model, &options, NULL, &session));
        tn_context *context = run_on(session, "picture", &x);
        const float *y = tn_context_output(context, 0)->data;
        for (int kernel = 0; kernel < 4; kernel++) {
            int64_t found_nan = 0, found_inf = 0;
            for (int i = 0; i < 1080 * 1920; i++) {
                found_nan += isnan(y[kernel * 1080 * 1920 + i]) != 0;
                found_inf += isinf(y[kernel * 1080 * 1920 + i]) != 0;
            }
            cr_expect_eq(found_nan, nan[kernel], "%s, kernel %d: %ld NaN", lists[k / 2], kernel,
                         (long)found_nan);
            cr_expect_eq(found_inf, inf[kernel], "%s, kernel %d: %ld infinities", lists[k / 2],
                         kernel, (long)found_inf);
        }
        tn_context_destroy(context);
        tn_session_destroy(session);
    }
    close_fixture(&f);
}

/* ---- every graph -------------------------------------------------------------------------------- */

static const char *const names[] = {
    "depthwise-separable", "dropout-mlp",  "encoder",      "fashion-lenet", "inception",
    "lstm-classifier",     "matmul-chain", "partial-conv", "residual",      "xnor"
};
enum { NAMES = sizeof names / sizeof *names };

/* Inputs with 2 for each symbol (spatial extents are numbers in these graphs). */
typedef struct feed {
    tn_tensor tensor;
    int64_t dims[TN_MAX_RANK];
} feed;

static void make_feeds(tn_session *session, feed *feeds)
{
    const tn_port *port;
    for (size_t k = 0; (port = tn_session_input(session, k)); k++) {
        size_t count = 1;
        for (int32_t axis = 0; axis < port->type.rank; axis++) {
            feeds[k].dims[axis] = tn_dim_known(port->type.dims[axis]) ? port->type.dims[axis] : 2;
            count *= (size_t)feeds[k].dims[axis];
        }
        feeds[k].tensor = floats(calloc(count, 8), port->type.rank, feeds[k].dims);
        feeds[k].tensor.dtype = port->type.dtype;
        if (port->type.dtype == TN_FLOAT32)
            fill(feeds[k].tensor.data, count, 77);
        else
            feeds[k].tensor.bytes = count * 8; /* int64 tokens: all 0 */
    }
}

static tn_context *run_feeds(tn_session *session, const feed *feeds, uint32_t times)
{
    tn_context *context;
    OK(tn_context_create(session, &context));
    for (size_t k = 0; tn_session_input(session, k); k++)
        OK(tn_context_set_input(context, tn_session_input(session, k)->name, &feeds[k].tensor));
    for (uint32_t k = 0; k < times; k++)
        OK(tn_context_run(context, NULL));
    return context;
}

static void free_feeds(tn_session *session, feed *feeds)
{
    for (size_t k = 0; tn_session_input(session, k); k++)
        free(feeds[k].tensor.data);
}

/* Sums here have up to a few thousand terms, a dozen deep; probabilities are at most 1. */
Test(graphs, agree_on_every_backend_with_passes_on_and_off, .timeout = 900)
{
    for (int n = 0; n < NAMES; n++) {
        fixture f = open_file(graph_path(names[n]));
        feed feeds[4];
        tn_session *reference = make_session(&f, "reference", "none", 1, TN_SESSION_NO_FUSION);
        make_feeds(reference, feeds);
        tn_context *expected = run_feeds(reference, feeds, 1);
        const tn_tensor *right = tn_context_output(expected, 0);
        float scale = 0;
        for (size_t i = 0; i < right->bytes / sizeof(float); i++)
            scale = fmaxf(scale, fabsf(((const float *)right->data)[i]));
        for (int k = 0; k < 2 * LISTS; k++) {
            if (!usable(&f, lists[k / 2]))
                continue;
            tn_session *session = make_session(&f, lists[k / 2], k % 2 ? "none" : NULL,
                                               1 + (uint32_t)(k % 2), 0);
            tn_context *context = run_feeds(session, feeds, 1);
            assert_near(tn_context_output(context, 0), right, bound(300, scale));
            tn_context_destroy(context);
            tn_session_destroy(session);
        }
        tn_context_destroy(expected);
        free_feeds(reference, feeds);
        tn_session_destroy(reference);
        close_fixture(&f);
    }
}

Test(graphs, allocate_nothing_after_the_first_run_and_waste_no_arena, .timeout = 900)
{
    for (int n = 0; n < NAMES; n++) {
        fixture f = open_file(graph_path(names[n]));
        for (int k = 0; k < LISTS; k++) {
            feed feeds[4];
            tn_context_stats stats = { .size = sizeof stats };
            tn_report *report;
            if (!usable(&f, lists[k]))
                continue;
            tn_session *session = make_session(&f, lists[k], NULL, 1, 0);
            make_feeds(session, feeds);
            tn_context *context = run_feeds(session, feeds, 3);
            tn_context_get_stats(context, &stats);
            cr_expect_eq(stats.allocations, 0, "%s on %s: %lu allocations", names[n], lists[k],
                         (unsigned long)stats.allocations);
            OK(tn_report_create(session, NULL, 0, NULL, &report));
            const tn_report_totals *t = tn_report_get_totals(report);
            cr_expect(t->arena_bytes * 10 <= t->live_bytes * 13, "%s on %s: arena %lu, live %lu",
                      names[n], lists[k], (unsigned long)t->arena_bytes,
                      (unsigned long)t->live_bytes);
            tn_report_destroy(report);
            tn_context_destroy(context);
            free_feeds(session, feeds);
            tn_session_destroy(session);
        }
        close_fixture(&f);
    }
}

/* Figures that a course works out by hand: graphs/inception.json begins with a 7x7 convolution,
 * stride 2, padding 3, on 224x224x3. */
Test(counts, are_those_worked_out_by_hand)
{
    fixture f = open_file(graph_path("fashion-lenet"));
    tn_session *session = make_session(&f, "reference", "none", 1, TN_SESSION_NO_FUSION);
    tn_report *report;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    const tn_report_step *conv1 = tn_report_get(report, 0), *conv2 = tn_report_get(report, 4);
    cr_expect_eq(conv1->parameters, 16 * 1 * 25 + 16);
    cr_expect_eq(conv1->macs, 28.0 * 28 * 16 * 25);
    cr_expect_eq(conv2->parameters, 32 * 16 * 25 + 32);
    cr_expect_eq(conv2->macs, 10.0 * 10 * 32 * 16 * 25);
    /* 5x5, then a 2x2 pool of stride 2, then 5x5: 5, 6, 6 + 4 * 2. */
    cr_expect_eq(conv1->field.kernel, 5);
    cr_expect_eq(conv2->field.kernel, 14);
    cr_expect_eq(conv2->field.stride, 2);
    tn_report_destroy(report);
    tn_session_destroy(session);
    close_fixture(&f);
}
