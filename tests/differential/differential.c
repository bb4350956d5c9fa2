/* tests/differential/differential.c: random graphs, run without passes and with each level of them, on
 * the reference backend, give the same answers.
 *
 *     differential [--count N] [--seed S] [--keep DIR] [FILE.json …]
 *
 * The bound. Exact answers are compared first with a few units in the last place; what differs by more
 * may lie apart by the lengths of all sums of the graph, times a unit in the last place, times the
 * largest magnitude that any value of the graph has, and by what the answer moves when the inputs are
 * moved by a few units. NaN and infinities stand at the same places. Level `all` may be a hundredth
 * off, and promises nothing about NaN and infinity.
 *
 * A graph that fails is made smaller while it still fails and written to DIR (default: where it runs)
 * as seed-S.json. Files are checked as random graphs are, so that what once failed stays a test: those
 * in tests/differential/graphs are given to it by `meson test`.
 *
 * SPDX-License-Identifier: MIT */
#include "generate.h"

#include "tenon/kernel.h"
#include "tenon/tenon.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PLAIN, SMALL, SPECIAL, FLAVOURS, MOST_PORTS = 160 };
static const char *const levels[] = { "safe", "all" };
enum { LEVELS = 2 };

typedef struct verdict {
    bool ran;            /* the graph itself is in order */
    bool equal;          /* all levels gave its answers */
    bool vague;          /* only by the wide bound */
    bool changed, moved; /* passes left other nodes; some answer has other bits */
    char text[600];
} verdict;

typedef struct trial {
    tn_runtime *runtime;
    tn_model *model;
    double length;
    int64_t batch;
    verdict *out;
    tn_tensor inputs[MOST_PORTS];
    int64_t dims[MOST_PORTS][TN_MAX_RANK];
    size_t input_count;
} trial;

/* ---- inputs ----------------------------------------------------------------------------------- */

static double number(uint64_t *state, int flavour)
{
    static const double odd[] = { NAN, INFINITY, -INFINITY, -0.0, 0.0, 1.0 };
    const double plain = (double)draw(state) / 2147483648.0 - 1.0;
    const uint32_t choice = draw(state);
    if (flavour == SMALL)
        return choice % 5 == 0 ? -0.0 : floor(3.0 * plain);
    return flavour == SPECIAL && choice % 24 < 6 ? odd[choice % 24] : 2.0 * plain;
}

static void fill(tn_tensor *t, int flavour, uint64_t seed)
{
    uint64_t state = seed;
    for (int64_t k = 0; k < tn_count(t); k++)
        if (tn_dtype_is_float(t->dtype))
            tn_set_float(t->dtype, t->data, k, number(&state, flavour));
        else
            tn_set_int(t->dtype, t->data, k, draw(&state) & 1);
}

static void nudge(tn_tensor *t, double ulp, uint64_t seed)
{
    uint64_t state = seed;
    for (int64_t k = 0; tn_dtype_is_float(t->dtype) && k < tn_count(t); k++) {
        const double x = tn_get_double(t->dtype, t->data, k);
        if (isfinite(x))
            tn_set_float(t->dtype, t->data, k,
                         x * (1.0 + 16.0 * ulp * ((double)draw(&state) / 2147483648.0 - 1.0)));
    }
}

static bool open_inputs(trial *t, tn_session *session)
{
    const tn_port *port;
    for (size_t k = 0; k < MOST_PORTS && (port = tn_session_input(session, k));
         k++, t->input_count++) {
        tn_tensor *in = &t->inputs[k];
        *in = (tn_tensor){ .size = sizeof *in,
                           .dtype = port->type.dtype,
                           .rank = port->type.rank,
                           .dims = t->dims[k] };
        for (int32_t axis = 0; axis < in->rank; axis++)
            t->dims[k][axis] = port->type.dims[axis] < 0 ? t->batch : port->type.dims[axis];
        in->bytes = tn_dtype_bytes(in->dtype, tn_count(in));
        in->data = malloc(in->bytes + 1);
        if (!in->data)
            return false;
    }
    return true;
}

static tn_status run(trial *t, tn_session *session, tn_context *context, int flavour)
{
    const tn_port *port;
    for (size_t k = 0; k < t->input_count; k++) {
        port = tn_session_input(session, k);
        /* A default holds in some runs, and is replaced in others. */
        TN_TRY(tn_context_set_input(context, port->name,
                                    port->has_default && flavour != SMALL ? NULL : &t->inputs[k]));
    }
    return tn_context_run(context, NULL);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static double unit(uint32_t dtype)
{
    return dtype == TN_FLOAT16   ? 0x1p-10
           : dtype == TN_FLOAT32 ? 0x1p-23
           : dtype == TN_FLOAT64 ? 0x1p-52
                                 : 0;
}

static double get(const tn_tensor *t, int64_t k)
{
    return tn_dtype_is_float(t->dtype) ? tn_get_double(t->dtype, t->data, k)
                                       : (double)tn_get_int(t->dtype, t->data, k);
}

static double largest(const tn_tensor *t)
{
    double most = 0;
    for (int64_t k = 0; k < tn_count(t); k++) {
        const double x = fabs(get(t, k));
        if (isfinite(x) && x > most)
            most = x;
    }
    return most;
}

static double moved(const tn_tensor *a, const tn_tensor *b)
{
    double most = 0;
    for (int64_t k = 0; k < tn_count(a); k++) {
        const double x = fabs(get(a, k) - get(b, k));
        if (isfinite(x) && x > most)
            most = x;
    }
    return most;
}

static bool is_close(double a, double b, double allowed, bool loosely)
{
    if (!isfinite(a) || !isfinite(b))
        return loosely || (isnan(a) && isnan(b)) || a == b;
    return fabs(a - b) <= allowed;
}

static bool compare(const tn_tensor *a, const tn_tensor *b, double allowed, bool loosely,
                    char *text, size_t bytes)
{
    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0) {
        snprintf(text, bytes, "another type or shape");
        return false;
    }
    for (int64_t k = 0; k < tn_count(a); k++)
        if (!is_close(get(a, k), get(b, k), allowed, loosely)) {
            snprintf(text, bytes, "element %lld is %.9g, not %.9g, %.3g apart may they lie",
                     (long long)k, get(b, k), get(a, k), allowed);
            return false;
        }
    return true;
}

/* ---- one level against none --------------------------------------------------------------------- */

static tn_status open_session(trial *t, const char *passes, const char *outputs,
                              tn_session **session, tn_context **context)
{
    const tn_session_options options = { .size = sizeof options,
                                         .threads = 1,
                                         .backends = "reference",
                                         .passes = passes,
                                         .math = TN_MATH_STRICT,
                                         .outputs = outputs };
    TN_TRY(tn_session_create(t->model, &options, NULL, session));
    return tn_context_create(*session, context);
}

typedef struct wide {
    double scale;        /* the largest magnitude of all values */
    bool overflows;      /* a value between is not finite, and no input is to blame */
    tn_session *session; /* without passes */
    tn_context *context; /* after a run from inputs that were moved */
} wide;

/* What is only needed when answers are not equal at first sight. */
static tn_status look_closer(trial *t, int flavour, uint64_t seed, wide *w)
{
    tn_session *all = NULL;
    tn_context *context = NULL;
    const tn_tensor *y;
    tn_status status = open_session(t, "none", "*", &all, &context);
    if (status == TN_OK)
        status = run(t, all, context, flavour);
    for (size_t k = 0; status == TN_OK && (y = tn_context_output(context, k)); k++) {
        w->scale = fmax(w->scale, largest(y));
        for (int64_t e = 0; flavour != SPECIAL && e < tn_count(y); e++)
            w->overflows = w->overflows || !isfinite(get(y, e));
    }
    tn_context_destroy(context);
    tn_session_destroy(all);
    if (status == TN_OK)
        status = open_session(t, "none", NULL, &w->session, &w->context);
    for (size_t k = 0; k < t->input_count; k++)
        nudge(&t->inputs[k], unit(t->inputs[k].dtype), seed + k);
    if (status == TN_OK)
        status = run(t, w->session, w->context, flavour);
    for (size_t k = 0; k < t->input_count; k++)
        fill(&t->inputs[k], flavour, seed + k);
    return status;
}

static void compare_level(trial *t, int level, int flavour, uint64_t seed, tn_session *none,
                          tn_context *before, tn_context *after)
{
    const bool loosely = level == 1 && flavour == SPECIAL;
    const tn_tensor *a, *b;
    char text[300];
    wide w = { 0 };
    bool looked = false;
    for (size_t k = 0; t->out->equal && (a = tn_context_output(before, k)); k++) {
        b = tn_context_output(after, k);
        t->out->moved |= a->bytes != b->bytes ||
                         (a->bytes && memcmp(a->data, b->data, a->bytes) != 0);
        if (compare(a, b, 8.0 * unit(a->dtype) * largest(a), loosely, text, sizeof text))
            continue;
        t->out->vague = true;
        if (!looked && look_closer(t, flavour, seed, &w) != TN_OK)
            break;
        looked = true;
        double allowed = t->length * unit(a->dtype) * fmax(w.scale, 1e-30) +
                         8.0 * moved(a, tn_context_output(w.context, k));
        if (level == 1)
            allowed += 0.01 * w.scale;
        if (w.overflows || compare(a, b, allowed, loosely, text, sizeof text))
            continue;
        t->out->equal = false;
        snprintf(t->out->text, sizeof t->out->text, "level %s, output '%s', inputs %d: %s",
                 levels[level], tn_session_output(none, k)->name, flavour, text);
    }
    tn_context_destroy(w.context);
    tn_session_destroy(w.session);
}

static void run_flavour(trial *t, int flavour, uint64_t seed, tn_session *const *sessions,
                        tn_context *const *contexts)
{
    for (size_t k = 0; k < t->input_count; k++)
        fill(&t->inputs[k], flavour, seed + k);
    if (run(t, sessions[0], contexts[0], flavour) != TN_OK) {
        snprintf(t->out->text, sizeof t->out->text, "%s", tn_error_message());
        return;
    }
    t->out->ran = true;
    for (int level = 0; level < LEVELS && t->out->equal; level++) {
        if (run(t, sessions[1 + level], contexts[1 + level], flavour) != TN_OK) {
            t->out->equal = false;
            snprintf(t->out->text, sizeof t->out->text, "level %s: %s", levels[level],
                     tn_error_message());
            return;
        }
        compare_level(t, level, flavour, seed, sessions[0], contexts[0], contexts[1 + level]);
    }
}

/* ---- one graph ------------------------------------------------------------------------------------ */

static void try_sessions(trial *t, tn_session **sessions, tn_context **contexts)
{
    tn_status status = open_session(t, "none", NULL, &sessions[0], &contexts[0]);
    if (status != TN_OK || !open_inputs(t, sessions[0])) {
        snprintf(t->out->text, sizeof t->out->text, "%s", tn_error_message());
        return;
    }
    for (int level = 0; level < LEVELS; level++) {
        status = open_session(t, levels[level], NULL, &sessions[1 + level], &contexts[1 + level]);
        if (status != TN_OK) {
            t->out->ran = true;
            t->out->equal = false;
            snprintf(t->out->text, sizeof t->out->text, "level %s: %s", levels[level],
                     tn_error_message());
            return;
        }
    }
    tn_session_stats stats = { .size = sizeof stats };
    tn_session_get_stats(sessions[1], &stats);
    t->out->changed = stats.nodes_left != stats.nodes_read;
    /* float16 overflows soon, and where depends on the order of sums. */
    const bool small = t->input_count && t->inputs[0].dtype == TN_FLOAT16;
    for (int flavour = 0; flavour < (small ? SPECIAL : FLAVOURS) && t->out->equal; flavour++)
        run_flavour(t, flavour, 1000u * (uint64_t)flavour + 17u, sessions, contexts);
}

static verdict check_text(tn_runtime *runtime, const char *json, double length, int64_t batch)
{
    verdict out = { .equal = true };
    trial t = { .runtime = runtime, .length = length, .batch = batch, .out = &out };
    tn_session *sessions[1 + LEVELS] = { NULL };
    tn_context *contexts[1 + LEVELS] = { NULL };
    if (tn_model_load_bytes(runtime, json, strlen(json), NULL, NULL, &t.model) == TN_OK)
        try_sessions(&t, sessions, contexts);
    else
        snprintf(out.text, sizeof out.text, "%s", tn_error_message());
    for (int k = 0; k < 1 + LEVELS; k++) {
        tn_context_destroy(contexts[k]);
        tn_session_destroy(sessions[k]);
    }
    for (size_t k = 0; k < t.input_count; k++)
        free(t.inputs[k].data);
    tn_model_destroy(t.model);
    return out;
}

static verdict check_net(tn_runtime *runtime, const net *n)
{
    char *json = net_text(n);
    const verdict out = check_text(runtime, json, net_length(n), n->batch);
    free(json);
    return out;
}

/* ---- making a failure smaller ----------------------------------------------------------------------- */

static bool still_fails(tn_runtime *runtime, net *n)
{
    net_tidy(n);
    const verdict v = check_net(runtime, n);
    return v.ran && !v.equal;
}

/* Takes over `smaller` when it still fails. */
static bool accept(tn_runtime *runtime, net *n, net *smaller)
{
    if (!still_fails(runtime, smaller)) {
        net_free(smaller);
        return false;
    }
    net_free(n);
    *n = *smaller;
    return true;
}

/* A node goes, and what it made comes from the caller. */
static bool without_node(tn_runtime *runtime, net *n, int k)
{
    static net smaller;
    if (n->nodes[k].gone)
        return false;
    net_copy(&smaller, n);
    smaller.nodes[k].gone = true;
    for (int i = 0; i < smaller.nodes[k].output_count; i++) {
        net_value *v = &smaller.values[smaller.nodes[k].outputs[i]];
        v->origin = FROM_CALLER;
        v->is_output = false;
    }
    return accept(runtime, n, &smaller);
}

/* A node that makes an output goes, and what it read is given out instead. */
static bool without_last(tn_runtime *runtime, net *n, int k)
{
    static net smaller;
    bool last = false;
    for (int i = 0; i < n->nodes[k].output_count; i++)
        last = last || n->values[n->nodes[k].outputs[i]].is_output;
    if (n->nodes[k].gone || !last)
        return false;
    net_copy(&smaller, n);
    smaller.nodes[k].gone = true;
    for (int i = 0; i < smaller.nodes[k].output_count; i++) {
        net_value *v = &smaller.values[smaller.nodes[k].outputs[i]];
        v->origin = FROM_CALLER;
        v->is_output = false;
    }
    for (int i = 0; i < smaller.nodes[k].input_count; i++)
        if (smaller.nodes[k].inputs[i] >= 0 &&
            smaller.values[smaller.nodes[k].inputs[i]].origin == FROM_NODE)
            smaller.values[smaller.nodes[k].inputs[i]].is_output = true;
    return accept(runtime, n, &smaller);
}

/* Who read a node's output reads its input, of the same shape. */
static bool bypassed(tn_runtime *runtime, net *n, int k)
{
    static net smaller;
    const net_node *node = &n->nodes[k];
    if (node->gone || node->inputs[0] < 0 || n->values[node->outputs[0]].is_output)
        return false;
    const int from = node->outputs[0], to = node->inputs[0];
    const net_value *v = &n->values[from], *w = &n->values[to];
    if (v->kind != w->kind || v->rank != w->rank ||
        memcmp(v->dims, w->dims, (size_t)v->rank * sizeof *v->dims) != 0)
        return false;
    net_copy(&smaller, n);
    for (int m = 0; m < smaller.node_count; m++)
        for (int i = 0; i < smaller.nodes[m].input_count; i++)
            if (smaller.nodes[m].inputs[i] == from)
                smaller.nodes[m].inputs[i] = to;
    smaller.nodes[k].gone = true;
    return accept(runtime, n, &smaller);
}

static bool without_output(tn_runtime *runtime, net *n, int k)
{
    static net smaller;
    int outputs = 0;
    for (int i = 0; i < n->value_count; i++)
        outputs += n->values[i].is_output;
    if (!n->values[k].is_output || outputs == 1)
        return false;
    net_copy(&smaller, n);
    smaller.values[k].is_output = false;
    return accept(runtime, n, &smaller);
}

/* Inputs that nothing reads any more: those with a default are only written where they are read. */
static bool without_unread_inputs(tn_runtime *runtime, net *n)
{
    static net smaller;
    bool any = false;
    net_copy(&smaller, n);
    for (int k = 0; k < smaller.value_count; k++)
        if (smaller.values[k].origin == FROM_CALLER) {
            smaller.values[k].origin = FROM_EITHER;
            any = true;
        }
    if (any)
        return accept(runtime, n, &smaller);
    net_free(&smaller);
    return false;
}

static void shrink(tn_runtime *runtime, net *n)
{
    for (bool again = true; again;) {
        again = false;
        for (int k = n->value_count; k-- > 0;)
            again |= without_output(runtime, n, k);
        for (int k = n->node_count; k-- > 0;)
            again |= without_last(runtime, n, k) || without_node(runtime, n, k) ||
                     bypassed(runtime, n, k);
        for (int k = 0; k < n->node_count; k++)
            again |= without_node(runtime, n, k) || bypassed(runtime, n, k);
    }
    without_unread_inputs(runtime, n);
}

static void keep(tn_runtime *runtime, net *n, uint64_t seed, const char *folder)
{
    char path[1024];
    shrink(runtime, n);
    const verdict v = check_net(runtime, n);
    char *json = net_text(n);
    snprintf(path, sizeof path, "%s/seed-%llu.json", folder, (unsigned long long)seed);
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(json, file);
        fclose(file);
    }
    printf("seed %llu: %s\n%s%s\n", (unsigned long long)seed, v.text,
           file ? "kept, for tests/differential/graphs, as " : "", file ? path : json);
    free(json);
}

/* ---- all of them ------------------------------------------------------------------------------------ */

typedef struct tally {
    int graphs, bad, failed, vague, changed, moved;
} tally;

static void check_seeds(tn_runtime *runtime, uint64_t first, int count, const char *folder,
                        tally *sum)
{
    static net n;
    for (int k = 0; k < count && sum->failed < 10; k++) {
        net_generate(&n, first + (uint64_t)k);
        const verdict v = check_net(runtime, &n);
        sum->graphs += v.ran;
        sum->vague += v.vague;
        sum->changed += v.changed;
        sum->moved += v.moved;
        if (!v.ran && sum->bad++ < 5)
            printf("seed %llu does not run: %s\n", (unsigned long long)(first + (uint64_t)k),
                   v.text);
        if (v.ran && !v.equal) {
            sum->failed++;
            keep(runtime, &n, first + (uint64_t)k, folder);
        }
        net_free(&n);
    }
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (file && text)
        (void)!fread(text, 1, (1 << 20) - 1, file);
    if (file)
        fclose(file);
    return text;
}

/* What "N" stands for is not in the file: the first with which it runs. */
static void check_file(tn_runtime *runtime, const char *path, tally *sum)
{
    char *json = read_file(path);
    verdict v = { 0 };
    for (int64_t batch = 1; batch <= 3 && json && !v.ran; batch++)
        v = check_text(runtime, json, 1000.0, batch);
    sum->graphs += v.ran;
    if (!v.ran || !v.equal) {
        sum->failed++;
        printf("%s: %s\n", path, v.text);
    }
    free(json);
}

int main(int argc, char **argv)
{
    const tn_runtime_options options = { .size = sizeof options };
    const char *folder = ".";
    const clock_t begin = clock();
    uint64_t seed = 1;
    int count = 0;
    tally sum = { 0 };
    tn_runtime *runtime;
    if (tn_runtime_create(&options, NULL, &runtime) != TN_OK)
        return 1;
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--count") == 0 && k + 1 < argc)
            count = atoi(argv[++k]);
        else if (strcmp(argv[k], "--seed") == 0 && k + 1 < argc)
            seed = strtoull(argv[++k], NULL, 10);
        else if (strcmp(argv[k], "--keep") == 0 && k + 1 < argc)
            folder = argv[++k];
        else
            check_file(runtime, argv[k], &sum);
    }
    check_seeds(runtime, seed, count, folder, &sum);
    printf(
        "%d graphs: %d with other nodes by the passes, %d with other bits, %d within the wider bound only; "
        "%d failed; %d more could not be run; %.1f s\n",
        sum.graphs, sum.changed, sum.moved, sum.vague, sum.failed, sum.bad,
        (double)(clock() - begin) / CLOCKS_PER_SEC);
    tn_runtime_destroy(runtime);
    /* Graphs that cannot be run are a mistake of the generator, which must not hide behind the passes; passes that change nothing prove nothing. */
    return sum.failed || sum.bad * 50 > count || sum.changed * 2 < count;
}
