/* tools/bench.c: `tenon bench`: how long a model takes: loading, compiling, running.
 *
 * SPDX-License-Identifier: MIT */
#include "timing.h"

#include <jansson.h>
#include <string.h>

#define DEFAULT_SECONDS 2.0
enum { PROFILED_RUNS = 25 };

typedef struct measured {
    double load, create;
    timing runs;
    double macs;
    uint64_t arena, allocations, pack_bytes;
    uint32_t threads;
} measured;

/* ---- the time of each step ------------------------------------------------------------------ */

static const tn_report_step *find_step(const tn_report *report, const char *name)
{
    const tn_report_step *s;
    for (size_t k = 0; report && (s = tn_report_get(report, k)); k++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* The row of the table that step k of a profile belongs to: all pieces of a batch share the first's. */
static size_t row_of(tool *t, size_t k)
{
    const tn_profile_step *p = tn_context_profile(t->context, k), *first;
    for (size_t j = 0; p->piece > 1 && j < k; j++) {
        first = tn_context_profile(t->context, j);
        if (first->piece == 1 && strcmp(first->name, p->name) == 0 && strcmp(first->op, p->op) == 0)
            return j;
    }
    return k;
}

static void print_profile(tool *t, const tn_report *report, double *const *samples, size_t runs,
                          size_t steps, double whole)
{
    table tab = { .heading = "step\top\tbackend\talgorithm\t>median\t>share\t>GFLOP/s\tfused" };
    double sum = 0;
    for (size_t k = 0; k < steps; k++) {
        const tn_profile_step *p = tn_context_profile(t->context, k);
        const tn_report_step *s = find_step(report, p->name);
        double median;
        if (row_of(t, k) != k)
            continue;
        sort_times(samples[k], runs);
        median = quantile(samples[k], runs, 0.5);
        sum += median;
        table_add(t, &tab, "%s\t%s\t%s\t%s\t%s\t%.1f %%\t%s\t%s", p->name, p->op, p->backend,
                  p->algorithm, time_text(t, median), whole > 0 ? 100 * median / whole : 0.0,
                  s && s->macs > 0 && median > 0 ? keep_format(t, "%.1f", 2e-9 * s->macs / median)
                                                 : "",
                  s ? s->fused : "");
    }
    putchar('\n');
    table_print(&tab, stdout);
    printf("sum of the steps %s; the rest of a run is between them\n", time_text(t, sum));
}

static int profile(tool *t, const tn_report *report, double whole)
{
    const tn_run_options options = { .size = sizeof options, .profile = 1, .seed = t->set.seed };
    double **samples = NULL;
    size_t steps = 0;
    for (size_t run = 0; run < PROFILED_RUNS; run++) {
        const tn_status status = tn_context_run(t->context, &options);
        if (status)
            return complain(t, status);
        if (!samples) {
            while (tn_context_profile(t->context, steps))
                steps++;
            samples = keep_array(t, steps, sizeof *samples);
            for (size_t k = 0; k < steps; k++)
                samples[k] = keep_array(t, PROFILED_RUNS, sizeof **samples);
        }
        for (size_t k = 0; k < steps; k++) {
            const tn_profile_step *p = tn_context_profile(t->context, k);
            samples[p ? row_of(t, k) : k][run] += p ? 1e-9 * (double)p->ns : 0;
        }
    }
    print_profile(t, report, samples, PROFILED_RUNS, steps, whole);
    return EXIT_FINE;
}

/* ---- what is printed ------------------------------------------------------------------------ */

static void print_text(tool *t, const measured *m)
{
    const timing *r = &m->runs;
    printf("load %s, compile %s, first run %s (it makes the plan)\n", time_text(t, m->load),
           time_text(t, m->create), time_text(t, r->first));
    printf("median %s, spread %s, least %s, 5 %% under %s, 95 %% under %s; %zu runs, %u thread%s\n",
           time_text(t, r->median), time_text(t, r->spread), time_text(t, r->least),
           time_text(t, r->p5), time_text(t, r->p95), r->runs, m->threads,
           m->threads == 1 ? "" : "s");
    if (m->macs > 0)
        printf("%s multiply-adds a run, %.2f GFLOP/s; ", count_text(t, m->macs),
               2e-9 * m->macs / r->median);
    printf("arena %s, packed weights %s, %llu allocation%s by the engine in the last run\n",
           bytes_text(t, (double)m->arena), bytes_text(t, (double)m->pack_bytes),
           (unsigned long long)m->allocations, m->allocations == 1 ? "" : "s");
}

static int print_json(tool *t, const measured *m)
{
    const timing *r = &m->runs;
    json_t *root = json_pack(
        "{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "model",
        base_name(t->set.arguments.items[0]), "backends",
        t->set.backend ? t->set.backend : tn_runtime_default_backends(t->runtime), "threads",
        (int)m->threads, "runs", (int)r->runs, "load_s", m->load, "create_s", m->create, "first_s",
        r->first, "median_s", r->median, "spread_s", r->spread, "least_s", r->least, "p5_s", r->p5,
        "p95_s", r->p95, "macs", m->macs, "arena_bytes", (json_int_t)m->arena, "pack_bytes",
        (json_int_t)m->pack_bytes, "allocations", (json_int_t)m->allocations);
    if (!root)
        return bad(t, EXIT_BAD, "the model's or a backend's name is no UTF-8, which JSON wants");
    json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(root);
    return EXIT_FINE;
}

static int report_of(tool *t, const inputs *in, tn_report **out)
{
    size_t count;
    const tn_binding *bindings = inputs_bindings(t, in, &count);
    const tn_status status = tn_report_create(t->session, bindings, count, t->diagnostics, out);
    return status ? complain(t, status) : EXIT_FINE;
}

static int prepare(tool *t, inputs *in, measured *m)
{
    double begin = now();
    int code = open_runtime(t);
    if (!code)
        code = open_model(t, t->set.arguments.items[0]);
    m->load = now() - begin;
    begin = now();
    if (!code)
        code = open_session(t, NULL, NULL, 0, NULL, &t->session);
    m->create = now() - begin;
    if (!code)
        code = inputs_read(t, t->session, true, in);
    return code ? code : context_make(t, t->session, in, &t->context);
}

int bench_main(tool *t)
{
    measured m = { 0 };
    tn_session_stats session = { .size = sizeof session };
    tn_context_stats context = { .size = sizeof context };
    tn_report *report = NULL;
    inputs in;
    int code = prepare(t, &in, &m);
    if (!code)
        code = time_runs(t, t->context, t->set.seconds > 0 ? t->set.seconds : DEFAULT_SECONDS,
                         "bench", &m.runs);
    if (!code)
        code = report_of(t, &in, &report);
    if (code)
        return code;
    tn_session_get_stats(t->session, &session);
    tn_context_get_stats(t->context, &context);
    m.threads = session.threads;
    m.pack_bytes = session.pack_bytes;
    m.arena = context.arena_bytes;
    m.allocations = context.allocations;
    m.macs = tn_report_get_totals(report)->macs;
    if (t->set.json)
        code = print_json(t, &m);
    else
        print_text(t, &m);
    if (!code && t->set.profile)
        code = profile(t, report, m.runs.median);
    tn_report_destroy(report);
    return code;
}
