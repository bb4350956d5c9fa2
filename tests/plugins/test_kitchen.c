/* The test plugin kitchen at work: every part of the plugin ABI through the embedding API.
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <stdio.h>

#define HEAD "{\"tenon\": 1, \"name\": \"t\", \"opset\": {\"test.kitchen\": 2}, "
#define X2                                                                                         \
    "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [2]}], \"outputs\": [\"y\"], "

/* A runtime with kitchen in it, a model, a session, a context. */
typedef struct running {
    fixture f;
    tn_session *session;
    tn_context *context;
} running;

static tn_runtime *kitchen(void)
{
    const tn_runtime_options options = { .size = sizeof options };
    tn_runtime *runtime;
    char file[4096];
    OK(tn_runtime_create(&options, NULL, &runtime));
    snprintf(file, sizeof file, "%s/kitchen.so", getenv("TENON_TEST_PLUGINS"));
    OK(tn_runtime_load_plugin(runtime, file, NULL));
    return runtime;
}

static running start(const char *json, const char *backends, const char *passes)
{
    running r;
    r.f.runtime = kitchen();
    OK(tn_model_load_bytes(r.f.runtime, json, strlen(json), NULL, NULL, &r.f.model));
    r.session = make_session(&r.f, backends, passes, 2, 0);
    OK(tn_context_create(r.session, &r.context));
    return r;
}

static void stop(running *r)
{
    tn_context_destroy(r->context);
    tn_session_destroy(r->session);
    close_fixture(&r->f);
}

static const int64_t two[] = { 2 };

static const tn_tensor *run_on(running *r, const tn_tensor *x)
{
    OK(tn_context_set_input(r->context, "x", x));
    OK(tn_context_run(r->context, NULL));
    return tn_context_output(r->context, 0);
}

static void expect(const tn_tensor *y, size_t count, const float *values)
{
    cr_assert_eq(y->bytes, count * sizeof(float), "%zu bytes", y->bytes);
    for (size_t k = 0; k < count; k++)
        cr_assert_eq(((const float *)y->data)[k], values[k], "element %zu is %g, not %g", k,
                     (double)((const float *)y->data)[k], (double)values[k]);
}

/* Runs one graph of x = [1, -2] to two numbers. */
static void gives(const char *json, const char *backends, const char *passes, float a, float b)
{
    running r = start(json, backends, passes);
    const tn_tensor x = floats((float[]){ 1.0f, -2.0f }, 1, two);
    expect(run_on(&r, &x), 2, (float[]){ a, b });
    stop(&r);
}

#define NODE(op, attributes)                                                                       \
    HEAD X2 "\"nodes\": [{\"name\": \"n\", \"domain\": \"test.kitchen\", \"op\": \"" op            \
            "\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]" attributes "}]}"
#define FACTOR(f) ", \"attributes\": {\"factor\": {\"float\": " f "}}"

Test(kitchen, a_kernel_lives_its_whole_life)
{
    gives(NODE("Scale", FACTOR("3")), "kitchen,reference", NULL, 3.0f, -6.0f);
}
Test(kitchen, a_kernel_that_declines_makes_room)
{
    gives(NODE("Scale", FACTOR("13")), "kitchen,reference", NULL, 13.0f, -26.0f);
}
Test(kitchen, a_body_is_put_in_place)
{
    gives(NODE("Quadruple", ""), "reference", NULL, 4.0f, -8.0f);
}
Test(kitchen, code_expands)
{
    gives(NODE("Thrice", ""), "reference", NULL, 3.0f, -6.0f);
}

#define OLD(attributes)                                                                                                  \
    "{\"tenon\": 1, \"name\": \"t\", \"opset\": {\"test.kitchen\": 1}, " X2                                              \
    "\"nodes\": [{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]" attributes \
    "}]}"
Test(kitchen, an_old_version_is_brought_up)
{
    gives(OLD(""), "kitchen", NULL, 2.0f, -4.0f);
}
Test(kitchen, an_old_version_that_is_kept_runs_as_it_was)
{
    gives(OLD(", \"attributes\": {\"times\": 0}"), "reference", "none", 0.0f, -0.0f);
}

Test(kitchen, an_identity_goes)
{
    running r = start(NODE("Scale", FACTOR("1")), "reference", NULL);
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r.session, &stats);
    cr_assert_eq(stats.nodes_left, 0, "%d nodes are left", (int)stats.nodes_left);
    stop(&r);
}

#define CHAIN                                                                                                                 \
    HEAD X2 "\"nodes\": [{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"x\"], \"outputs\": [\"h\"]" FACTOR( \
        "2") "},"                                                                                                             \
             "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"h\"], \"outputs\": [\"y\"]" FACTOR(            \
                 "5") "}]}"
Test(kitchen, a_pass_rewrites)
{
    running r = start(CHAIN, "reference", NULL);
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r.session, &stats);
    cr_assert_eq(stats.nodes_left, 1, "%d nodes are left", (int)stats.nodes_left);
    stop(&r);
    gives(CHAIN, "reference", NULL, 10.0f, -20.0f);
    gives(CHAIN, "reference", "none", 10.0f, -20.0f);
}

#define REPEAT(times)                                                                                                                 \
    HEAD X2                                                                                                                           \
        "\"nodes\": [{\"name\": \"r\", \"domain\": \"test.kitchen\", \"op\": \"Repeat\", \"inputs\": [\"x\"], \"outputs\": [\"y\"], " \
        "\"attributes\": {\"times\": " times                                                                                          \
        ", \"body\": {\"graph\": {\"inputs\": [{\"name\": \"s\"}], \"outputs\": [\"t\"], \"nodes\": ["                                \
        "{\"domain\": \"test.kitchen\", \"op\": \"Sum\", \"inputs\": [\"s\", \"x\"], \"outputs\": [\"t\"]}]}}}}]}"
Test(kitchen, a_body_runs_as_often_as_said)
{
    gives(REPEAT("3"), "reference", NULL, 4.0f, -8.0f);
}
Test(kitchen, a_body_that_never_runs_gives_what_came)
{
    gives(REPEAT("0"), "reference", NULL, 1.0f, -2.0f);
}

Test(kitchen, terms_broadcast_over_threads)
{
    running r = start(
        HEAD
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\", 3]}], \"outputs\": [\"y\"], "
        "\"constants\": {\"c\": {\"dtype\": \"float32\", \"shape\": [3], \"data\": [10, 20, 30]}}, \"nodes\": ["
        "{\"domain\": \"test.kitchen\", \"op\": \"Sum\", \"inputs\": [\"x\", \"c\", \"x\"], \"outputs\": [\"y\"]}]}",
        "reference", NULL);
    const tn_tensor x = floats((float[]){ 1, 2, 3, 4, 5, 6 }, 2, (int64_t[]){ 2, 3 });
    expect(run_on(&r, &x), 6, (float[]){ 12, 24, 36, 18, 30, 42 });
    stop(&r);
}

Test(kitchen, parallel_for_runs_on_all_threads_of_the_session)
{
    gives(NODE("Meet", ""), "reference", NULL, 2.0f, 2.0f);
}

Test(kitchen, parallel_for_cuts_fairly_and_gives_each_thread_its_own)
{
    gives(NODE("Share", ""), "reference", NULL, 0.0f, 1.0f);
}

Test(kitchen, a_late_output_gets_its_memory)
{
    running r = start(NODE("Positives", ""), "reference", NULL);
    const tn_tensor x = floats((float[]){ -1.0f, 5.0f }, 1, two),
                    all = floats((float[]){ 1.0f, 5.0f }, 1, two);
    expect(run_on(&r, &x), 1, (float[]){ 5.0f });
    expect(run_on(&r, &all), 2, (float[]){ 1.0f, 5.0f });
    stop(&r);
}

Test(kitchen, pieces_are_joined_last_first)
{
    gives(NODE("Rows", ""), "reference", NULL, -2.0f, 1.0f);
}

Test(kitchen, extents_follow_from_elements)
{
    running r = start(
        HEAD
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [\"N\"]}], \"outputs\": [\"y\"], \"nodes\": ["
        "{\"domain\": \"test.kitchen\", \"op\": \"Extents\", \"inputs\": [\"x\"], \"outputs\": [\"e\"]},"
        "{\"domain\": \"test.kitchen\", \"op\": \"Filled\", \"inputs\": [\"e\"], \"outputs\": [\"y\"]}]}",
        "reference", "none");
    const tn_tensor x = floats((float[]){ 1.0f, 5.0f }, 1, two);
    cr_assert_str_eq(tn_session_output(r.session, 0)->shape, "[N*2]");
    expect(run_on(&r, &x), 4, (float[]){ 7, 7, 7, 7 });
    stop(&r);
}

#define LIST(rest)                                                                                                                             \
    HEAD X2                                                                                                                                    \
        "\"constants\": {\"at\": {\"dtype\": \"int64\", \"shape\": [], \"data\": [1]}}, \"nodes\": ["                                          \
        "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"x\"], \"outputs\": [\"z\"]" FACTOR(                                  \
            "2") "},"                                                                                                                          \
                 "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"x\"], \"outputs\": [\"w\"]" FACTOR(                         \
                     "3") "},"                                                                                                                 \
                          "{\"domain\": \"test.kitchen\", \"op\": \"Collect\", \"inputs\": [\"x\", \"z\", \"w\"], \"outputs\": [\"l\"]}," rest \
                          "]}"
Test(kitchen, a_list_gives_an_element)
{
    gives(
        LIST(
            "{\"domain\": \"test.kitchen\", \"op\": \"Pick\", \"inputs\": [\"l\", \"at\"], \"outputs\": [\"y\"]}"),
        "reference", NULL, 2.0f, -4.0f);
}
Test(kitchen, a_list_loses_an_element)
{
    gives(
        LIST(
            "{\"domain\": \"test.kitchen\", \"op\": \"Without\", \"inputs\": [\"l\", \"at\"], \"outputs\": [\"m\"]},"
            "{\"domain\": \"test.kitchen\", \"op\": \"Pick\", \"inputs\": [\"m\", \"at\"], \"outputs\": [\"y\"]}"),
        "reference", NULL, 3.0f, -6.0f);
}
Test(kitchen, a_position_outside_is_an_error_with_the_node)
{
    running r = start(
        HEAD X2
        "\"constants\": {\"at\": {\"dtype\": \"int64\", \"shape\": [], \"data\": [7]}}, \"nodes\": ["
        "{\"domain\": \"test.kitchen\", \"op\": \"Collect\", \"inputs\": [\"x\"], \"outputs\": [\"l\"]},"
        "{\"name\": \"pick\", \"domain\": \"test.kitchen\", \"op\": \"Pick\", \"inputs\": [\"l\", \"at\"], \"outputs\": [\"y\"]}]}",
        "reference", NULL);
    const tn_tensor x = floats((float[]){ 1.0f, 5.0f }, 1, two);
    OK(tn_context_set_input(r.context, "x", &x));
    cr_assert_eq(tn_context_run(r.context, NULL), TN_ERR_VALUE);
    cr_assert(strstr(tn_error_message(),
                     "node 'pick' (test.kitchen::Pick): position 7 is outside a list of 1"),
              "%s", tn_error_message());
    stop(&r);
}

#define MAYBE(input)                                                                                          \
    HEAD X2                                                                                                   \
        "\"nodes\": [{\"domain\": \"test.kitchen\", \"op\": \"Wrap\", \"inputs\": [" input                    \
        "], \"outputs\": [\"m\"]},"                                                                           \
        "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"x\"], \"outputs\": [\"z\"]" FACTOR( \
            "9") "},"                                                                                         \
                 "{\"domain\": \"test.kitchen\", \"op\": \"Unwrap\", \"inputs\": [\"m\", \"z\"], \"outputs\": [\"y\"]}]}"
Test(kitchen, an_optional_holds_a_value)
{
    gives(MAYBE("\"x\""), "reference", NULL, 1.0f, -2.0f);
}
Test(kitchen, an_optional_may_be_empty)
{
    gives(MAYBE(""), "reference", NULL, 9.0f, -18.0f);
}

Test(kitchen, texts_are_made)
{
    running r = start(
        HEAD
        "\"inputs\": [{\"name\": \"x\", \"dtype\": \"string\", \"shape\": [2]}], \"outputs\": [\"y\"], \"nodes\": ["
        "{\"domain\": \"test.kitchen\", \"op\": \"Shout\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]}]}",
        "reference", NULL);
    tn_text words[2] = { { "soup", 4 }, { "a\0b", 3 } };
    const tn_tensor x = { .size = sizeof x,
                          .dtype = TN_STRING,
                          .rank = 1,
                          .dims = two,
                          .data = words,
                          .bytes = sizeof words };
    const tn_text *y = run_on(&r, &x)->data;
    cr_assert(y[0].count == 4 && memcmp(y[0].bytes, "SOUP", 4) == 0);
    cr_assert(y[1].count == 3 && memcmp(y[1].bytes, "A\0B", 3) == 0);
    stop(&r);
}

Test(kitchen, noise_follows_the_seed)
{
    running r = start(NODE("Noise", ""), "reference", NULL);
    const tn_tensor x = floats((float[]){ 0, 0 }, 1, two);
    float first[2], second[2], third[2];
    const uint64_t seeds[] = { 1, 2, 1 };
    float *const kept[] = { first, second, third };
    OK(tn_context_set_input(r.context, "x", &x));
    for (int k = 0; k < 3; k++) {
        const tn_run_options options = { .size = sizeof options, .seed = seeds[k] };
        OK(tn_context_run(r.context, &options));
        memcpy(kept[k], tn_context_output(r.context, 0)->data, sizeof first);
    }
    cr_assert(memcmp(first, third, sizeof first) == 0 && memcmp(first, second, sizeof first) != 0);
    stop(&r);
}

Test(kitchen, a_format_reads_complains_and_writes)
{
    tn_runtime *runtime = kitchen();
    tn_model *model;
    char name[64] = "/tmp/tenon-kitchen-XXXXXX", path[96], text[32] = "";
    OK(tn_model_load_bytes(runtime, "kitchen 3\n", 10, NULL, NULL, &model));
    running r = { .f = { runtime, model } };
    r.session = make_session(&r.f, "reference", NULL, 1, 0);
    OK(tn_context_create(r.session, &r.context));
    const tn_tensor x = floats((float[]){ 1.0f, -2.0f }, 1, two);
    expect(run_on(&r, &x), 2, (float[]){ 3.0f, -6.0f });
    cr_assert(mkdtemp(name));
    snprintf(path, sizeof path, "%s/m.kitchen", name);
    OK(tn_model_save(model, path, NULL));
    FILE *file = fopen(path, "r");
    cr_assert(file && fgets(text, sizeof text, file));
    fclose(file);
    cr_assert_str_eq(text, "kitchen 3\n");
    remove(path);
    remove(name);
    tn_model *none;
    cr_assert_eq(tn_model_load_bytes(runtime, "kitchen x\n", 10, NULL, NULL, &none), TN_ERR_FORMAT);
    cr_assert_str_eq(tn_error_message(), "a factor is one digit, not 'x'");
    stop(&r);
}
