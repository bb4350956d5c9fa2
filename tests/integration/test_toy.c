/* The compiler around a backend that uses the whole contract: placement, fusion, layouts, packs,
 * aliases, declining, and the life of kernels (tests/toy).
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include "../toy/toy.h"
#include "tenon/plugin.h"

#include <dlfcn.h>
#include <stdio.h>

/* x → a [relu] → b + a [relu] → c (3x3, nobody but the reference) → d, seven channels */
static const char net[] =
    "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2, 6, 5, 3]}],"
    " \"outputs\": [\"y\"], \"constants\": {"
    "  \"wa\": {\"dtype\": \"float32\", \"shape\": [5, 6, 1, 1], \"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 1}},"
    "  \"ba\": {\"dtype\": \"float32\", \"shape\": [5], \"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 1}},"
    "  \"wb\": {\"dtype\": \"float32\", \"shape\": [5, 5, 1, 1], \"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 1}},"
    "  \"wc\": {\"dtype\": \"float32\", \"shape\": [4, 5, 3, 3], \"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 1}},"
    "  \"wd\": {\"dtype\": \"float32\", \"shape\": [7, 4, 1, 1], \"random\": {\"distribution\": \"normal\", \"std\": 0.5, \"seed\": 1}}},"
    " \"nodes\": ["
    "  {\"name\": \"a\", \"op\": \"Conv\", \"inputs\": [\"x\", \"wa\", \"ba\"], \"outputs\": [\"ya\"]},"
    "  {\"name\": \"relu_a\", \"op\": \"Relu\", \"inputs\": [\"ya\"], \"outputs\": [\"ra\"]},"
    "  {\"name\": \"b\", \"op\": \"Conv\", \"inputs\": [\"ra\", \"wb\"], \"outputs\": [\"yb\"]},"
    "  {\"name\": \"add\", \"op\": \"Add\", \"inputs\": [\"yb\", \"ra\"], \"outputs\": [\"s\"]},"
    "  {\"name\": \"relu_b\", \"op\": \"Relu\", \"inputs\": [\"s\"], \"outputs\": [\"rb\"]},"
    "  {\"name\": \"c\", \"op\": \"Conv\", \"inputs\": [\"rb\", \"wc\"], \"outputs\": [\"yc\"], \"attributes\": {\"pads\": [1, 1, 1, 1]}},"
    "  {\"name\": \"d\", \"op\": \"Conv\", \"inputs\": [\"yc\", \"wd\"], \"outputs\": [\"y\"]}]}";

enum { COUNT = 2 * 6 * 5 * 3 };
static const int64_t dims[] = { 2, 6, 5, 3 };

static toy_counters *counters(void)
{
    void *object = dlopen(getenv("TENON_TEST_TOY"), RTLD_NOW | RTLD_LOCAL);
    cr_assert(object, "%s", dlerror());
    const struct tn_plugin_entry *entry = dlsym(object, "tn_plugin_entry");
    return (toy_counters *)(uintptr_t)entry->extension("toy.counters/1");
}

static fixture open_with_toy(void)
{
    fixture f = open_text(net);
    OK(tn_runtime_load_plugin(f.runtime, getenv("TENON_TEST_TOY"), NULL));
    return f;
}

static tn_context *run(tn_session *session, float *data)
{
    tn_context *context;
    const tn_tensor x = floats(data, 4, dims);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    return context;
}

static const tn_report_step *step_named(const tn_report *report, const char *name)
{
    const tn_report_step *step;
    for (size_t k = 0; (step = tn_report_get(report, k)); k++)
        if (strcmp(step->name, name) == 0)
            return step;
    return NULL;
}

Test(toy, gives_the_reference_backend_s_answers)
{
    fixture f = open_with_toy();
    float data[COUNT];
    fill(data, COUNT, 5);
    tn_session *toy = make_session(&f, "toy,reference", NULL, 1, 0),
               *reference = make_session(&f, "reference", NULL, 1, 0);
    tn_context *a = run(toy, data), *b = run(reference, data);
    assert_near(tn_context_output(a, 0), tn_context_output(b, 0), bound(6 + 5 + 45 + 4, 16));
    tn_context_destroy(a);
    tn_context_destroy(b);
    tn_session_destroy(toy);
    tn_session_destroy(reference);
    close_fixture(&f);
}

Test(toy, is_planned_with_its_layout_epilogues_and_reasons)
{
    fixture f = open_with_toy();
    tn_session *session = make_session(&f, "toy,reference", NULL, 1, 0);
    tn_report *report;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    const tn_report_step *a = step_named(report, "a"), *b = step_named(report, "b"),
                         *c = step_named(report, "c"), *d = step_named(report, "d");
    cr_assert(a && b && c && d);
    cr_expect_str_eq(a->backend, "toy");
    cr_expect_str_eq(a->fused, "relu_a");
    cr_expect_str_eq(b->fused, "add relu_b");
    cr_expect(strstr(b->inputs, "blocked#"), "%s", b->inputs);
    cr_expect_str_eq(c->backend, "reference");
    cr_expect(strstr(c->reasons, "toy: takes 1x1 filters only, not 3x3"), "%s", c->reasons);
    cr_expect_str_eq(d->backend, "reference");
    cr_expect(strstr(d->reasons, "toy: does not like seven channels"), "%s", d->reasons);
    /* In at the beginning, out before the reference: nothing in between. */
    cr_expect_eq(tn_report_get_totals(report)->conversions, 2);
    tn_report_destroy(report);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(toy, sums_in_place_where_the_operand_dies)
{
    fixture f = open_with_toy();
    tn_session *session = make_session(&f, "toy,reference", NULL, 1, 0);
    tn_report *report;
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    /* b reads ra twice, as input and as operand of its sum: the sum needs a copy, which is counted. */
    cr_expect_eq(tn_report_get_totals(report)->copies, 1);
    tn_report_destroy(report);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(toy, packs_each_constant_once_for_all_sessions)
{
    fixture f = open_with_toy();
    toy_counters *count = counters();
    float data[COUNT];
    tn_session_stats stats = { .size = sizeof stats };
    fill(data, COUNT, 5);
    tn_session *sessions[4];
    tn_context *contexts[4];
    for (int k = 0; k < 4; k++) {
        sessions[k] = make_session(&f, "toy,reference", NULL, 1, 0);
        contexts[k] = run(sessions[k], data);
    }
    cr_expect_eq(count->filled, 2, "filled %u times", count->filled);
    tn_session_get_stats(sessions[0], &stats);
    cr_expect_eq(stats.pack_bytes, (5 * 6 + 5 * 5) * sizeof(float));
    for (int k = 0; k < 4; k++) {
        tn_context_destroy(contexts[k]);
        tn_session_destroy(sessions[k]);
    }
    close_fixture(&f);
}

Test(toy, lives_every_kernel_s_life_to_its_end)
{
    fixture f = open_with_toy();
    toy_counters *count = counters();
    float data[COUNT];
    fill(data, COUNT, 5);
    tn_session *session = make_session(&f, "toy,reference", NULL, 1, 0);
    tn_context *a = run(session, data), *b = run(session, data);
    cr_expect_eq(count->ran, 4);
    tn_context_destroy(a);
    tn_context_destroy(b);
    tn_session_destroy(session);
    close_fixture(&f);
    cr_expect_gt(count->measured, count->prepared, "one measure declined");
    cr_expect_eq(count->finished, count->measured);
    cr_expect_eq(count->attached, 4);
    cr_expect_eq(count->detached, 4);
}

Test(toy, runs_without_fusion_and_without_private_layouts)
{
    fixture f = open_with_toy();
    float data[COUNT];
    fill(data, COUNT, 9);
    tn_session *reference = make_session(&f, "reference", NULL, 1, TN_SESSION_NO_FUSION);
    tn_session *plain = make_session(&f, "toy,reference", NULL, 1, TN_SESSION_PLAIN_LAYOUTS);
    tn_session *apart = make_session(&f, "toy,reference", NULL, 1, TN_SESSION_NO_FUSION);
    tn_context *a = run(reference, data), *b = run(plain, data), *c = run(apart, data);
    assert_near(tn_context_output(b, 0), tn_context_output(a, 0), bound(60, 16));
    assert_near(tn_context_output(c, 0), tn_context_output(a, 0), bound(60, 16));
    tn_context_destroy(a);
    tn_context_destroy(b);
    tn_context_destroy(c);
    tn_session_destroy(reference);
    tn_session_destroy(plain);
    tn_session_destroy(apart);
    close_fixture(&f);
}

Test(toy, alone_cannot_run_what_it_refuses)
{
    fixture f = open_with_toy();
    tn_session *session = make_session(&f, "toy", NULL, 1, 0);
    tn_report *report;
    cr_expect_eq(tn_report_create(session, NULL, 0, NULL, &report), TN_ERR_UNPLACED);
    cr_expect(
        strstr(tn_error_message(),
               "node 'add' (Add): no backend of the list offers it: toy: has no kernel for it"),
        "%s", tn_error_message());
    tn_session_destroy(session);
    close_fixture(&f);
}

/* ---- prologues ----------------------------------------------------------------------------------- */

/* x → first → neg, and the nodes that neg says it runs with. */
static void check_prologue(const char *first, int channels, const char *outputs, const char *fused)
{
    char json[1024];
    float data[7 * 4];
    const int64_t extents[] = { 1, channels, 2, 2 };
    snprintf(
        json, sizeof json,
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [1, %d, 2, 2]}],"
        " \"outputs\": [\"y\"], \"nodes\": ["
        "  {\"name\": \"first\", \"op\": \"%s\", \"inputs\": [\"x\"], \"outputs\": [\"a\"]},"
        "  {\"name\": \"neg\", \"op\": \"Neg\", \"inputs\": [\"a\"], \"outputs\": [\"y\"]}]}",
        channels, first);
    fixture f = open_text(json);
    OK(tn_runtime_load_plugin(f.runtime, getenv("TENON_TEST_TOY"), NULL));
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "toy",
                                         .passes = "none",
                                         .outputs = outputs };
    tn_session *session;
    tn_context *context;
    tn_report *report;
    OK(tn_session_create(f.model, &options, NULL, &session));
    OK(tn_report_create(session, NULL, 0, NULL, &report));
    cr_expect_str_eq(step_named(report, "neg")->fused, fused);
    cr_expect_eq(step_named(report, "first") == NULL, *fused != 0);
    tn_report_destroy(report);
    fill(data, (size_t)channels * 4, 2);
    const tn_tensor x = floats(data, 4, extents);
    OK(tn_context_create(session, &context));
    OK(tn_context_set_input(context, "x", &x));
    OK(tn_context_run(context, NULL));
    const float *y = tn_context_output(context, 0)->data;
    for (int k = 0; k < channels * 4; k++)
        cr_expect_eq(y[k], strcmp(first, "Abs") == 0 ? -fabsf(data[k]) : -fmaxf(data[k], 0.0f));
    tn_context_destroy(context);
    tn_session_destroy(session);
    close_fixture(&f);
}

Test(toy, makes_its_input_itself_where_it_offers_to)
{
    check_prologue("Abs", 6, NULL, "first |");
}

Test(toy, leaves_its_input_to_another_where_offer_or_measure_declines)
{
    check_prologue("Relu", 6, NULL, "");
    check_prologue("Abs", 7, NULL, "");
}

Test(toy, leaves_an_input_that_is_wanted_to_another)
{
    check_prologue("Abs", 6, "a", "");
}
