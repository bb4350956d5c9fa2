/* Running: inputs and outputs as callers lend them, cancelling, threads, forks, and what is wrong.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

#include <omp.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define NET                                                                                                        \
    "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"a\", \"dtype\": \"float32\", \"shape\": [\"N\", 3]}," \
    " {\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [\"N\", 3]}], \"outputs\": [\"y\", \"view\"],"          \
    " \"constants\": {\"flat\": {\"dtype\": \"int64\", \"shape\": [1], \"data\": [-1]}},"                          \
    " \"nodes\": [{\"name\": \"add\", \"op\": \"Add\", \"inputs\": [\"a\", \"b\"], \"outputs\": [\"s\"]},"         \
    "  {\"name\": \"relu\", \"op\": \"Relu\", \"inputs\": [\"s\"], \"outputs\": [\"y\"]},"                         \
    "  {\"name\": \"reshape\", \"op\": \"Reshape\", \"inputs\": [\"a\", \"flat\"], \"outputs\": [\"view\"]}]}"

static float a_data[6] = { 1, -2, 3, -4, 5, -6 }, b_data[6] = { 1, 1, 1, 1, 1, 1 };
static const int64_t two[2] = { 2, 3 }, one[2] = { 1, 3 };

typedef struct ready {
    fixture f;
    tn_session *session;
    tn_context *context;
} ready;

static ready begin(void)
{
    ready r = { .f = open_text(NET) };
    r.session = make_session(&r.f, "reference", NULL, 1, 0);
    OK(tn_context_create(r.session, &r.context));
    return r;
}

static void end(ready *r)
{
    tn_context_destroy(r->context);
    tn_session_destroy(r->session);
    close_fixture(&r->f);
}

static void set(ready *r, const int64_t *dims)
{
    const tn_tensor a = floats(a_data, 2, dims), b = floats(b_data, 2, dims);
    OK(tn_context_set_input(r->context, "a", &a));
    OK(tn_context_set_input(r->context, "b", &b));
}

Test(run, computes_for_each_signature_what_it_should)
{
    ready r = begin();
    for (int turn = 0; turn < 4; turn++) {
        const int64_t *dims = turn % 2 ? one : two;
        set(&r, dims);
        OK(tn_context_run(r.context, NULL));
        const tn_tensor *y = tn_context_output(r.context, 0),
                        *view = tn_context_output(r.context, 1);
        cr_assert_eq(y->dims[0], dims[0]);
        for (int k = 0; k < dims[0] * 3; k++)
            cr_expect_eq(((const float *)y->data)[k], fmaxf(a_data[k] + 1, 0));
        cr_expect_eq(view->rank, 1);
        cr_expect_eq(memcmp(view->data, a_data, view->bytes), 0);
        cr_expect_neq((const void *)view->data, (const void *)a_data,
                      "an output is never the caller's input");
    }
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(r.session, &stats);
    cr_expect_eq(stats.plans, 2);
    end(&r);
}

Test(run, takes_strided_and_misaligned_inputs)
{
    ready r = begin();
    float wide[2 * 5];
    char odd[6 * sizeof(float) + 1];
    static const int64_t strides[2] = { 5, 1 };
    for (int k = 0; k < 6; k++)
        wide[k / 3 * 5 + k % 3] = a_data[k];
    memcpy(odd + 1, b_data, sizeof b_data);
    tn_tensor a = floats(wide, 2, two), b = floats((float *)(void *)(odd + 1), 2, two);
    a.strides = strides;
    OK(tn_context_set_input(r.context, "a", &a));
    OK(tn_context_set_input(r.context, "b", &b));
    OK(tn_context_run(r.context, NULL));
    for (int k = 0; k < 6; k++)
        cr_expect_eq(((const float *)tn_context_output(r.context, 0)->data)[k],
                     fmaxf(a_data[k] + 1, 0));
    end(&r);
}

Test(run, writes_into_memory_that_the_caller_lends)
{
    ready r = begin();
    float y[6] = { 0 };
    tn_tensor lent = floats(y, 2, two);
    set(&r, two);
    OK(tn_context_set_output(r.context, 0, &lent));
    OK(tn_context_run(r.context, NULL));
    cr_expect_eq(tn_context_output(r.context, 0)->data, (void *)y);
    cr_expect_eq(y[0], 2);
    lent.dims = one;
    OK(tn_context_set_output(r.context, 0, &lent));
    cr_expect_eq(tn_context_run(r.context, NULL), TN_ERR_SHAPE);
    cr_expect_str_eq(tn_error_message(),
                     "output 'y' is float32[2,3], the memory lent for it is another type or size");
    OK(tn_context_set_output(r.context, 0, NULL));
    OK(tn_context_run(r.context, NULL));
    end(&r);
}

Test(run, says_what_is_wrong_with_an_input)
{
    ready r = begin();
    static const int64_t wrong[2] = { 2, 4 }, cube[3] = { 1, 2, 3 };
    float data[8] = { 0 };
    tn_tensor x = floats(data, 2, wrong);
    cr_expect_eq(tn_context_set_input(r.context, "a", &x), TN_ERR_SHAPE);
    cr_expect_str_eq(tn_error_message(), "input 'a' is given as [2,4], but is declared [N,3]");
    x = floats(data, 3, cube);
    cr_expect_eq(tn_context_set_input(r.context, "a", &x), TN_ERR_SHAPE);
    cr_expect_str_eq(tn_error_message(), "input 'a' is given as [1,2,3], but is declared [N,3]");
    x = floats(data, 2, two);
    x.dtype = TN_INT32;
    cr_expect_eq(tn_context_set_input(r.context, "a", &x), TN_ERR_TYPE);
    cr_expect_str_eq(tn_error_message(), "input 'a' is given as int32, but is declared float32");
    x.dtype = TN_FLOAT32;
    x.bytes = 20;
    cr_expect_eq(tn_context_set_input(r.context, "a", &x), TN_ERR_ARGUMENT);
    cr_expect_str_eq(tn_error_message(), "input 'a' has 20 bytes, its shape takes 24");
    cr_expect_eq(tn_context_set_input(r.context, "bb", &x), TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(), "the graph has no input 'bb'; its first is 'a'");
    cr_expect_eq(tn_context_run(r.context, NULL), TN_ERR_ARGUMENT);
    cr_expect_str_eq(tn_error_message(), "input 'a' is not set");
    x = floats(data, 2, two);
    OK(tn_context_set_input(r.context, "a", &x));
    x = floats(data, 2, one);
    OK(tn_context_set_input(r.context, "b", &x));
    cr_expect_eq(tn_context_run(r.context, NULL), TN_ERR_SHAPE);
    cr_expect_str_eq(tn_error_message(),
                     "input 'b' has extent 1 on axis 0, where 'N' is 2 by the inputs before");
    cr_expect_null(tn_context_output(r.context, 0), "a failed run has no outputs");
    end(&r);
}

/* The product may not be written over q, which the sum in its epilogue still reads. */
Test(run, keeps_the_operands_of_an_epilogue_until_it_is_applied)
{
    static const char net[] =
        "{\"tenon\": 1, \"opset\": 21, \"inputs\": [{\"name\": \"a\", \"dtype\": \"float32\", \"shape\": [2, 3]},"
        " {\"name\": \"b\", \"dtype\": \"float32\", \"shape\": [2, 3]}], \"outputs\": [\"y\"],"
        " \"constants\": {\"k\": {\"dtype\": \"float32\", \"shape\": [], \"data\": [3]}},"
        " \"nodes\": [{\"name\": \"abs\", \"op\": \"Abs\", \"inputs\": [\"b\"], \"outputs\": [\"q\"]},"
        "  {\"name\": \"mul\", \"op\": \"Mul\", \"inputs\": [\"a\", \"k\"], \"outputs\": [\"m\"]},"
        "  {\"name\": \"sub\", \"op\": \"Sub\", \"inputs\": [\"m\", \"q\"], \"outputs\": [\"y\"]}]}";
    fixture f = open_text(net);
    ready r = { .f = f, .session = make_session(&f, "reference", NULL, 1, 0) };
    OK(tn_context_create(r.session, &r.context));
    set(&r, two);
    OK(tn_context_run(r.context, NULL));
    for (int k = 0; k < 6; k++)
        cr_expect_eq(((const float *)tn_context_output(r.context, 0)->data)[k], 3 * a_data[k] - 1);
    end(&r);
}

Test(run, stops_when_it_is_cancelled_or_late)
{
    ready r = begin();
    volatile int cancel = 1;
    tn_run_options options = { .size = sizeof options, .cancel = &cancel };
    set(&r, two);
    cr_expect_eq(tn_context_run(r.context, &options), TN_ERR_CANCELLED);
    options = (tn_run_options){ .size = sizeof options, .deadline_ns = 1 };
    cr_expect_eq(tn_context_run(r.context, &options), TN_ERR_DEADLINE);
    OK(tn_context_run(r.context, NULL));
    end(&r);
}

Test(run, takes_extents_of_zero)
{
    ready r = begin();
    static const int64_t none[2] = { 0, 3 };
    set(&r, none);
    OK(tn_context_run(r.context, NULL));
    cr_expect_eq(tn_context_output(r.context, 0)->dims[0], 0);
    cr_expect_eq(tn_context_output(r.context, 1)->dims[0], 0);
    end(&r);
}

Test(run, leaves_the_caller_s_thread_count_alone)
{
    fixture f = open_text(NET);
    omp_set_num_threads(3);
    tn_session *session = make_session(&f, NULL, NULL, 2, 0);
    ready r = { .f = f, .session = session };
    OK(tn_context_create(session, &r.context));
    set(&r, two);
    OK(tn_context_run(r.context, NULL));
    cr_expect_eq(omp_get_max_threads(), 3);
    end(&r);
}

Test(run, keeps_times_of_each_step_when_asked)
{
    ready r = begin();
    const tn_run_options options = { .size = sizeof options, .profile = 1 };
    set(&r, two);
    OK(tn_context_run(r.context, &options));
    cr_assert(tn_context_profile(r.context, 0));
    cr_expect_str_eq(tn_context_profile(r.context, 0)->name, "add");
    cr_expect_str_eq(tn_context_profile(r.context, 0)->backend, "reference");
    OK(tn_context_run(r.context, NULL));
    cr_expect_null(tn_context_profile(r.context, 0));
    end(&r);
}

Test(run, keeps_any_value_that_is_asked_for)
{
    fixture f = open_text(NET);
    tn_session *session;
    const tn_session_options options = { .size = sizeof options,
                                         .backends = "reference",
                                         .outputs = "*" };
    OK(tn_session_create(f.model, &options, NULL, &session));
    cr_assert(tn_session_output(session, 2));
    cr_expect_str_eq(tn_session_output(session, 2)->name, "s");
    ready r = { .f = f, .session = session };
    OK(tn_context_create(session, &r.context));
    set(&r, two);
    OK(tn_context_run(r.context, NULL));
    cr_expect_eq(((const float *)tn_context_output(r.context, 2)->data)[1], -1);
    end(&r);
}

Test(run, answers_forked_in_a_child)
{
    fixture f = open_text(NET);
    ready r = { .f = f, .session = make_session(&f, "reference", NULL, 2, 0) };
    OK(tn_context_create(r.session, &r.context));
    set(&r, two);
    const pid_t child = fork();
    if (child == 0)
        _exit(tn_context_run(r.context, NULL) == TN_ERR_FORKED ? 7 : 1);
    int how = 0;
    waitpid(child, &how, 0);
    cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 7);
    end(&r);
}

/* ---- bodies ---------------------------------------------------------------------------------------- */

static void collect(void *user, const char *text, size_t count)
{
    strncat(user, text, count);
}

/* What the session runs, as text. */
static void print_graph(tn_session *session, char *text)
{
    *text = '\0';
    OK(tn_session_print(session, "graph", collect, text));
}

Test(run, makes_an_operator_of_others_when_bodies_are_preferred)
{
    fixture f = open_text(
        "{\"tenon\": 1, \"name\": \"g\", \"opset\": 21,"
        " \"inputs\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [5]}],"
        " \"outputs\": [\"y\", \"z\"],"
        " \"nodes\": [{\"name\": \"mish\", \"op\": \"Mish\", \"inputs\": [\"x\"], \"outputs\": [\"y\"]},"
        " {\"name\": \"bounded\", \"op\": \"LeakyRelu\", \"inputs\": [\"x\"], \"outputs\": [\"z\"],"
        "  \"attributes\": {\"alpha\": 0.25}}]}");
    float data[5] = { -30.0f, -1.5f, 0.0f, 1.5f, 100.0f };
    const int64_t dims[1] = { 5 };
    const tn_tensor x = floats(data, 1, dims);
    char text[8192];
    for (uint32_t k = 0; k < 4; k++) {
        const bool bodies = k & 1;
        tn_session *session = make_session(&f, "reference", k & 2 ? "all" : "none", 1,
                                           bodies ? TN_SESSION_PREFER_BODIES : 0);
        tn_context *context;
        print_graph(session, text);
        /* A body's own operators are made of others as well: Mish is Softplus and more. */
        cr_assert_eq(strstr(text, "= Mish ") == NULL, bodies, "%s", text);
        cr_assert_eq(strstr(text, "= LeakyRelu ") == NULL, bodies, "%s", text);
        cr_assert_eq(strstr(text, "= Tanh ") != NULL, bodies, "%s", text);
        cr_assert_null(strstr(text, "= Softplus "), "%s", text);
        OK(tn_context_create(session, &context));
        OK(tn_context_set_input(context, "x", &x));
        OK(tn_context_run(context, NULL));
        const float *y = tn_context_output(context, 0)->data,
                    *z = tn_context_output(context, 1)->data;
        for (int j = 0; j < 5; j++) {
            const double v = (double)data[j], mish = v * tanh(log1p(exp(v)));
            cr_assert_float_eq((double)y[j], mish, 4e-6 * (1e-6 + fabs(mish)) + 1e-12);
            cr_assert_float_eq((double)z[j], v < 0 ? 0.25 * v : v, 1e-12);
        }
        tn_context_destroy(context);
        tn_session_destroy(session);
    }
    close_fixture(&f);
}

Test(session, refuses_options_that_mean_nothing)
{
    fixture f = open_text(NET);
    tn_session *session;
    tn_session_options options = { .size = sizeof options, .backends = "refrence" };
    cr_expect_eq(tn_session_create(f.model, &options, NULL, &session), TN_ERR_BACKEND);
    cr_expect_str_eq(tn_error_message(),
                     "there is no backend 'refrence'; did you mean 'reference'?");
    options =
        (tn_session_options){ .size = sizeof options, .backends = "reference", .placement = "add" };
    cr_expect_eq(tn_session_create(f.model, &options, NULL, &session), TN_ERR_ARGUMENT);
    cr_expect_str_eq(tn_error_message(), "placement 'add' is not of the form node=backend");
    options = (tn_session_options){ .size = sizeof options,
                                    .backends = "reference",
                                    .math = TN_MATH_INT8 + 1 };
    cr_expect_eq(tn_session_create(f.model, &options, NULL, &session), TN_ERR_ARGUMENT);
    cr_expect_str_eq(tn_error_message(),
                     "math 4: expected fast (0), strict (1), bf16 (2) or int8 (3)");
    options = (tn_session_options){ .size = sizeof options,
                                    .backends = "reference",
                                    .outputs = "nothing" };
    cr_expect_eq(tn_session_create(f.model, &options, NULL, &session), TN_ERR_NAME);
    cr_expect_str_eq(tn_error_message(), "the graph has no value 'nothing' to keep");
    close_fixture(&f);
}
