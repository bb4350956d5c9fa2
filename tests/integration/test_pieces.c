/* A batch in pieces: which networks are cut and where, and answers that do not know of it.
 *
 * The caches are given (cache_bytes), so that pieces do not depend on the machine. Answers are those of
 * the same samples one by one, on the reference backend to the bit.
 *
 * SPDX-License-Identifier: MIT */
#include "support.h"

enum { CHANNELS = 4, SIDE = 32, SAMPLE = CHANNELS * SIDE * SIDE, CLASSES = 5, MOST = 8 };

/* Two convolutions whose activations are 16 KiB a sample, 32 KiB a step; then what makes `y`. */
#define NET(inputs, end, outputs)                                                                  \
    "{\"tenon\":1,\"opset\":21,\"inputs\":[" inputs "],"                                           \
    "\"constants\":{"                                                                              \
    "\"w1\":{\"dtype\":\"float32\",\"shape\":[4,4,3,3],\"random\":{\"distribution\":\"normal\","   \
    "\"std\":0.2,\"seed\":1}},"                                                                    \
    "\"w2\":{\"dtype\":\"float32\",\"shape\":[4,4,3,3],\"random\":{\"distribution\":\"normal\","   \
    "\"std\":0.2,\"seed\":2}},"                                                                    \
    "\"fc\":{\"dtype\":\"float32\",\"shape\":[4,5],\"random\":{\"distribution\":\"normal\","       \
    "\"std\":0.5,\"seed\":3}},"                                                                    \
    "\"table\":{\"dtype\":\"float32\",\"shape\":[10,4],\"random\":{\"distribution\":\"normal\","   \
    "\"std\":1,\"seed\":4}},"                                                                      \
    "\"zero\":{\"dtype\":\"int64\",\"shape\":[],\"data\":[0]},"                                    \
    "\"first\":{\"dtype\":\"int64\",\"shape\":[1],\"data\":[0]},"                                  \
    "\"folded\":{\"dtype\":\"int64\",\"shape\":[4],\"data\":[-1,8,32,32]},"                        \
    "\"there\":{\"dtype\":\"int64\",\"shape\":[4],\"data\":[8,-1,2,512]},"                         \
    "\"back\":{\"dtype\":\"int64\",\"shape\":[4],\"data\":[8,4,32,32]}},"                          \
    "\"nodes\":[" end "],\"outputs\":[" outputs "]}"
#define X "{\"name\":\"x\",\"dtype\":\"float32\",\"shape\":[\"N\",4,32,32]}"
#define X8 "{\"name\":\"x\",\"dtype\":\"float32\",\"shape\":[8,4,32,32]}"
#define CONV(name, from, to)                                                                       \
    "{\"name\":\"" name "\",\"op\":\"Conv\",\"inputs\":[\"" from "\",\"" name                      \
    "\"],\"outputs\":[\"" to "\"],\"attributes\":{\"pads\":[1,1,1,1]}}"
#define ONE(name, op, from, to)                                                                    \
    "{\"name\":\"" name "\",\"op\":\"" op "\",\"inputs\":[\"" from "\"],\"outputs\":[\"" to "\"]}"
#define TWO(name, op, a, b, to)                                                                    \
    "{\"name\":\"" name "\",\"op\":\"" op "\",\"inputs\":[\"" a "\",\"" b "\"],\"outputs\":[\"" to \
    "\"]}"
#define FRONT CONV("w1", "x", "a") "," ONE("relu", "Relu", "a", "b") "," CONV("w2", "b", "c")
#define HEAD                                                                                       \
    ONE("pool", "GlobalAveragePool", "c", "p")                                                     \
    "," ONE("flat", "Flatten", "p", "f") "," TWO("gemm", "MatMul", "f", "fc", "y")

static const char plain[] = NET(X, FRONT "," HEAD, "\"y\"");

/* Room for two samples of a step, not for three. */
static const uint64_t two_samples = 2 * 2 * SAMPLE * sizeof(float) + 1024;

typedef struct rig {
    fixture f;
    tn_session *session;
    tn_context *context;
    float *data;
    int64_t dims[4];
    tn_tensor x;
} rig;

static tn_session_options options_of(uint32_t threads, uint32_t flags)
{
    return (tn_session_options){ .size = sizeof(tn_session_options),
                                 .threads = threads,
                                 .backends = "reference",
                                 .passes = "none",
                                 .flags = flags,
                                 .cache_bytes = two_samples };
}

static rig rig_with(const char *json, const tn_session_options *options, int64_t samples)
{
    rig r = { .dims = { samples, CHANNELS, SIDE, SIDE } };
    r.f = open_text(json);
    OK(tn_session_create(r.f.model, options, NULL, &r.session));
    OK(tn_context_create(r.session, &r.context));
    r.data = malloc((size_t)samples * SAMPLE * sizeof(float));
    fill(r.data, (size_t)samples * SAMPLE, 11);
    return r;
}

static rig rig_of(const char *json, int64_t samples)
{
    const tn_session_options options = options_of(1, 0);
    return rig_with(json, &options, samples);
}

static void rig_close(rig *r)
{
    tn_context_destroy(r->context);
    tn_session_destroy(r->session);
    close_fixture(&r->f);
    free(r->data);
}

/* Runs `count` samples from `first` on. */
static tn_status rig_run(rig *r, int64_t first, int64_t count, const tn_run_options *options)
{
    r->dims[0] = count;
    r->x = floats(r->data + first * SAMPLE, 4, r->dims);
    OK(tn_context_set_input(r->context, "x", &r->x));
    return tn_context_run(r->context, options);
}

static tn_report_totals totals_of(rig *r, int64_t samples)
{
    tn_binding x = { "x", { .size = sizeof(tn_type), .dtype = TN_FLOAT32, .rank = 4 } };
    memcpy(x.type.dims, (int64_t[]){ samples, CHANNELS, SIDE, SIDE }, 4 * sizeof(int64_t));
    tn_report *report;
    OK(tn_report_create(r->session, &x, 1, NULL, &report));
    const tn_report_totals totals = *tn_report_get_totals(report);
    tn_report_destroy(report);
    return totals;
}

/* The answer to all samples at once is that to each alone, bit for bit. */
static void assert_as_single(rig *r, int64_t samples)
{
    OK(rig_run(r, 0, samples, NULL));
    const tn_tensor *y = tn_context_output(r->context, 0);
    cr_assert_eq(y->dims[0], samples);
    const size_t each = y->bytes / (size_t)samples;
    char *whole = malloc(y->bytes);
    memcpy(whole, y->data, y->bytes);
    for (int64_t k = 0; k < samples; k++) {
        OK(rig_run(r, k, 1, NULL));
        y = tn_context_output(r->context, 0);
        cr_assert_eq(y->bytes, each);
        cr_assert_eq(memcmp(y->data, whole + (size_t)k * each, each), 0, "sample %d", (int)k);
    }
    free(whole);
}

/* ---- answers --------------------------------------------------------------------------------------- */

Test(pieces, of_two_and_one_that_remains_answer_as_single_runs)
{
    rig r = rig_of(plain, 7);
    const tn_report_totals totals = totals_of(&r, 7);
    cr_assert_eq(totals.piece, 2);
    cr_assert_gt(totals.piece_steps, 2);
    cr_assert_eq(totals.piece_workers, 1);
    assert_as_single(&r, 7);
    rig_close(&r);
}

Test(pieces, of_their_own_threads_answer_as_single_runs)
{
    const tn_session_options options = options_of(2, 0);
    rig r = rig_with(plain, &options, 8);
    const tn_report_totals totals = totals_of(&r, 8);
    cr_assert_eq(totals.piece, 2);
    cr_assert_eq(totals.piece_workers, 2);
    assert_as_single(&r, 8);
    rig_close(&r);
}

Test(pieces, are_none_where_the_batch_fits_or_is_one)
{
    tn_session_options options = options_of(1, 0);
    rig r = rig_of(plain, 8);
    cr_assert_eq(totals_of(&r, 1).piece, 0);
    cr_assert_eq(totals_of(&r, 2).piece, 0);
    rig_close(&r);
    options.cache_bytes = 1 << 20;
    r = rig_with(plain, &options, 8);
    cr_assert_eq(totals_of(&r, 8).piece, 0);
    rig_close(&r);
}

Test(pieces, are_none_where_the_session_says_so_or_keeps_all_values)
{
    tn_session_options options = options_of(1, TN_SESSION_NO_PIECES);
    rig r = rig_with(plain, &options, 8);
    cr_assert_eq(totals_of(&r, 8).piece, 0);
    assert_as_single(&r, 8);
    rig_close(&r);
    options.flags = 0;
    options.outputs = "*";
    r = rig_with(plain, &options, 8);
    cr_assert_eq(totals_of(&r, 8).piece, 0);
    rig_close(&r);
}

Test(pieces, are_written_to_lent_outputs_and_read_from_views_of_inputs)
{
    const tn_session_options options = options_of(1, 0);
    rig r = rig_with(NET(X, FRONT "," ONE("last", "Relu", "c", "y"), "\"y\""), &options, 8);
    cr_assert_eq(totals_of(&r, 8).piece, 2);
    float *lent = malloc(8 * SAMPLE * sizeof(float));
    const int64_t dims[] = { 8, CHANNELS, SIDE, SIDE };
    const tn_tensor memory = floats(lent, 4, dims);
    OK(rig_run(&r, 0, 8, NULL));
    float *own = malloc(8 * SAMPLE * sizeof(float));
    memcpy(own, tn_context_output(r.context, 0)->data, 8 * SAMPLE * sizeof(float));
    OK(tn_context_set_output(r.context, 0, &memory));
    OK(rig_run(&r, 0, 8, NULL));
    cr_assert_eq(tn_context_output(r.context, 0)->data, lent);
    cr_assert_eq(memcmp(lent, own, 8 * SAMPLE * sizeof(float)), 0);
    free(lent);
    free(own);
    rig_close(&r);
}

Test(pieces, allocate_nothing_after_the_first_run_and_are_one_plan_of_the_table)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        const tn_session_options options = options_of(threads, 0);
        rig r = rig_with(plain, &options, 7);
        tn_context_stats stats = { .size = sizeof stats };
        tn_session_stats session = { .size = sizeof session };
        for (int run = 0; run < 3; run++)
            OK(rig_run(&r, 0, 7, NULL));
        tn_context_get_stats(r.context, &stats);
        tn_session_get_stats(r.session, &session);
        cr_assert_eq(stats.allocations, 0);
        cr_assert_eq(session.plans, 1);
        cr_assert_eq(session.plan_misses, 1);
        rig_close(&r);
    }
}

Test(pieces, survive_the_plan_that_pushes_theirs_out)
{
    tn_session_options options = options_of(1, 0);
    options.plan_count = 1;
    rig r = rig_with(plain, &options, 8);
    for (int64_t samples = 8; samples > 3; samples--)
        assert_as_single(&r, samples);
    rig_close(&r);
}

/* ---- which networks -------------------------------------------------------------------------------- */

/* Only what stands in front is cut; the answer is that of the whole. */
static void assert_in_front(const char *json, uint64_t most_steps)
{
    const tn_session_options without = options_of(1, TN_SESSION_NO_PIECES);
    rig r = rig_of(json, 8), whole = rig_with(json, &without, 8);
    const tn_report_totals totals = totals_of(&r, 8);
    if (!most_steps)
        cr_assert_eq(totals.piece, 0);
    else
        cr_assert(totals.piece_steps > 0 && totals.piece_steps <= most_steps, "%d steps",
                  (int)totals.piece_steps);
    OK(rig_run(&r, 0, 8, NULL));
    OK(rig_run(&whole, 0, 8, NULL));
    const tn_tensor *y = tn_context_output(r.context, 0);
    const tn_tensor *z = tn_context_output(whole.context, 0);
    cr_assert_eq(y->bytes, z->bytes);
    cr_assert_eq(memcmp(y->data, z->data, y->bytes), 0);
    rig_close(&r);
    rig_close(&whole);
}

Test(pieces, stop_in_front_of_a_mean_over_samples)
{
    assert_in_front(NET(X, FRONT "," TWO("mean", "ReduceMean", "c", "first", "y"), "\"y\""), 3);
}

Test(pieces, stop_in_front_of_a_reshape_that_folds_the_batch)
{
    assert_in_front(
        NET(X,
            FRONT "," TWO("fold", "Reshape", "c", "folded", "d") "," ONE("last", "Relu", "d", "y"),
            "\"y\""),
        3);
}

Test(pieces, do_not_begin_where_the_first_node_mixes_samples)
{
    assert_in_front(NET(X,
                        TWO("sum", "CumSum", "x", "zero", "m") "," CONV("w1", "m", "a") "," ONE(
                            "relu", "Relu", "a", "b") "," CONV("w2", "b", "c") "," HEAD,
                        "\"y\""),
                    0);
}

Test(pieces, stop_in_front_of_indices_that_count_the_whole_batch)
{
    assert_in_front(NET(X,
                        FRONT ",{\"name\":\"max\",\"op\":\"MaxPool\",\"inputs\":[\"c\"],"
                              "\"outputs\":[\"z\",\"y\"],\"attributes\":{\"kernel_shape\":[2,2]}}",
                        "\"y\",\"z\""),
                    3);
}

/* Behind the first convolution two values lead on; behind the sum it is one. */
Test(pieces, stop_only_where_one_value_leads_on)
{
    static const char branched[] = NET(
        X,
        CONV("w1", "x", "a") "," CONV("w2", "a", "b") "," TWO("add", "Max", "a", "b", "c") "," HEAD,
        "\"y\"");
    tn_session_options options = options_of(1, 0);
    options.cache_bytes = two_samples * 3 / 2; /* the sum reads two values and writes one */
    rig r = rig_with(branched, &options, 8);
    const tn_report_totals totals = totals_of(&r, 8);
    cr_assert_eq(totals.piece, 2);
    cr_assert_geq(totals.piece_steps, 2);
    assert_as_single(&r, 8);
    rig_close(&r);
}

Test(pieces, pass_a_reshape_that_has_the_whole_batch_written_down)
{
    rig r = rig_of(NET(X8,
                       CONV("w1", "x", "a") "," TWO("r1", "Reshape", "a", "there", "b") "," ONE(
                           "relu", "Relu", "b", "d") "," TWO("r2", "Reshape", "d", "back",
                                                             "e") "," CONV("w2", "e", "c") "," HEAD,
                       "\"y\""),
                   8);
    rig whole = rig_of(plain, 8);
    const tn_report_totals totals = totals_of(&r, 8);
    cr_assert_eq(totals.piece, 2);
    cr_assert_geq(totals.piece_steps, 5);
    OK(rig_run(&r, 0, 8, NULL));
    OK(rig_run(&whole, 0, 8, NULL));
    const tn_tensor *y = tn_context_output(r.context, 0);
    const tn_tensor *z = tn_context_output(whole.context, 0);
    cr_assert_eq(y->bytes, z->bytes);
    cr_assert_eq(memcmp(y->data, z->data, y->bytes), 0); /* the reshapes change nothing */
    rig_close(&r);
    rig_close(&whole);
}

Test(pieces, pass_a_reshape_to_extents_that_are_computed)
{
    rig r = rig_of(NET(X,
                       CONV("w1", "x", "a") "," ONE("shape", "Shape", "x", "s") "," ONE(
                           "relu", "Relu", "a", "b") "," TWO("same", "Reshape", "b", "s",
                                                             "d") "," CONV("w2", "d", "c") "," HEAD,
                       "\"y\""),
                   8);
    const tn_report_totals totals = totals_of(&r, 8);
    cr_assert_eq(totals.piece, 2);
    cr_assert_geq(totals.piece_steps, 4);
    assert_as_single(&r, 8);
    rig_close(&r);
}

/* The number of samples is no extent here but a factor: single runs give something else. */
Test(pieces, stop_in_front_of_a_value_that_the_batch_size_enters)
{
    assert_in_front(
        NET(X,
            CONV("w1", "x", "a") "," ONE("relu", "Relu", "a", "b") "," ONE(
                "shape", "Shape", "x",
                "s") "," TWO("n", "Gather", "s", "zero",
                             "n") ",{\"name\":\"cast\",\"op\":\"Cast\",\"inputs\":[\"n\"],\"outputs\":[\"m\"],"
                                  "\"attributes\":{\"to\":1}}," CONV("w2", "b", "c") "," TWO(
                                      "mul", "Mul", "c", "m", "y"),
            "\"y\""),
        1);
}

Test(pieces, give_all_of_an_input_that_samples_share)
{
    static const char gained[] = NET(
        X ",{\"name\":\"gain\",\"dtype\":\"float32\",\"shape\":[4,1,1]}",
        CONV("w1", "x", "a") "," TWO("mul", "Mul", "a", "gain", "b") "," CONV("w2", "b",
                                                                              "c") "," HEAD,
        "\"y\"");
    float gain[] = { 0.5f, -1.0f, 2.0f, 0.25f };
    const int64_t dims[] = { 4, 1, 1 };
    const tn_tensor tensor = floats(gain, 3, dims);
    rig r = rig_of(gained, 8);
    cr_assert_eq(totals_of(&r, 8).piece, 2);
    OK(tn_context_set_input(r.context, "gain", &tensor));
    assert_as_single(&r, 8);
    rig_close(&r);
}

/* ---- profile, errors, cancel ----------------------------------------------------------------------- */

Test(pieces, are_listed_by_a_profile_each_in_turn)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        const tn_session_options options = options_of(threads, 0);
        const tn_run_options profiled = { .size = sizeof profiled, .profile = 1 };
        rig r = rig_with(plain, &options, 8);
        const tn_report_totals totals = totals_of(&r, 8);
        const uint32_t pieces = (uint32_t)(8 / totals.piece);
        uint32_t counts[MOST + 1] = { 0 }, before = 1;
        OK(rig_run(&r, 0, 8, &profiled));
        const tn_profile_step *p;
        for (size_t k = 0; (p = tn_context_profile(r.context, k)); k++) {
            cr_assert(p->piece <= pieces);
            cr_assert(p->piece == 0 || (before && p->piece >= before), "pieces in their order");
            before = p->piece;
            counts[p->piece]++;
        }
        for (uint32_t piece = 1; piece <= pieces; piece++)
            cr_assert(counts[piece] > 0 && counts[piece] == counts[1]);
        cr_assert_gt(counts[0], 0);
        rig_close(&r);
    }
}

Test(pieces, say_which_node_failed_whatever_thread_ran_it)
{
    static const char picking[] = NET(
        X ",{\"name\":\"ids\",\"dtype\":\"int64\",\"shape\":[\"N\",32,32]}",
        CONV("w1", "x", "a") "," TWO(
            "pick", "Gather", "table", "ids",
            "t") ",{\"name\":\"turn\",\"op\":\"Transpose\",\"inputs\":[\"t\"],\"outputs\":[\"u\"],"
                 "\"attributes\":{\"perm\":[0,3,1,2]}}," TWO("add", "Add", "a", "u",
                                                             "b") "," CONV("w2", "b", "c") "," HEAD,
        "\"y\"");
    for (uint32_t threads = 1; threads <= 2; threads++) {
        const tn_session_options options = options_of(threads, 0);
        rig r = rig_with(picking, &options, 8);
        int64_t *ids = calloc(8 * SIDE * SIDE, sizeof *ids);
        const int64_t dims[] = { 8, SIDE, SIDE };
        const tn_tensor tensor = { .size = sizeof tensor,
                                   .dtype = TN_INT64,
                                   .rank = 3,
                                   .dims = dims,
                                   .data = ids,
                                   .bytes = 8 * SIDE * SIDE * sizeof *ids };
        const tn_run_options profiled = { .size = sizeof profiled, .profile = 1 };
        OK(tn_context_set_input(r.context, "ids", &tensor));
        OK(rig_run(&r, 0, 8, &profiled));
        cr_assert_eq(tn_context_profile(r.context, 0)->piece, 1);
        ids[5 * SIDE * SIDE + 3] = 10;
        cr_assert_neq(rig_run(&r, 0, 8, NULL), TN_OK);
        cr_assert(strstr(tn_error_message(), "node 'pick' (Gather)"), "%s", tn_error_message());
        ids[5 * SIDE * SIDE + 3] = 0; /* and the context is as good as before */
        OK(rig_run(&r, 0, 8, NULL));
        free(ids);
        rig_close(&r);
    }
}

Test(pieces, end_with_the_cancel_and_the_deadline_of_the_run)
{
    for (uint32_t threads = 1; threads <= 2; threads++) {
        const tn_session_options options = options_of(threads, 0);
        const volatile int stop = 1;
        const tn_run_options cancelled = { .size = sizeof cancelled, .cancel = &stop };
        const tn_run_options late = { .size = sizeof late, .deadline_ns = 1 };
        rig r = rig_with(plain, &options, 8);
        cr_assert_eq(rig_run(&r, 0, 8, &cancelled), TN_ERR_CANCELLED);
        cr_assert_str_eq(tn_error_message(), "the run was cancelled");
        cr_assert_eq(rig_run(&r, 0, 8, &late), TN_ERR_DEADLINE);
        cr_assert_null(tn_context_output(r.context, 0));
        assert_as_single(&r, 8);
        rig_close(&r);
    }
}
