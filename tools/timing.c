/* tools/timing.c: how long runs take: repeated, sorted, told by their middle and their spread.
 *
 * SPDX-License-Identifier: MIT */
#include "timing.h"

#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(const double *sorted, size_t count, double q)
{
    const double at = q * (double)(count - 1);
    const size_t low = (size_t)at;
    const double part = at - (double)low;
    return low + 1 < count ? sorted[low] * (1 - part) + sorted[low + 1] * part : sorted[low];
}

void sort_times(double *times, size_t count)
{
    qsort(times, count, sizeof *times, compare_doubles);
}

timing summarize(tool *t, double *times, size_t count)
{
    double *away = keep_array(t, count, sizeof *away);
    timing out = { .runs = count };
    sort_times(times, count);
    out.least = times[0];
    out.p5 = quantile(times, count, 0.05);
    out.median = quantile(times, count, 0.5);
    out.p95 = quantile(times, count, 0.95);
    for (size_t k = 0; k < count; k++)
        away[k] = fabs(times[k] - out.median);
    sort_times(away, count);
    out.spread = quantile(away, count, 0.5);
    return out;
}

/* Runs until the count or the time is reached. `profile` sees each run, when it is not NULL. */
static int repeat(tool *t, tn_context *context, uint64_t runs, double seconds, double *times,
                  size_t *count, progress *bar)
{
    const tn_run_options options = { .size = sizeof options, .seed = t->set.seed };
    const double begin = now();
    for (*count = 0; runs ? *count < runs : *count < LEAST_RUNS || now() - begin < seconds;) {
        const double start = now();
        const tn_status status = tn_context_run(context, &options);
        if (status) {
            progress_end(bar);
            return complain(t, status);
        }
        if (*count == MOST_RUNS)
            break;
        times[(*count)++] = now() - start;
        progress_step(bar, runs ? (int64_t)*count : (int64_t)(1000 * (now() - begin)));
    }
    return EXIT_FINE;
}

int time_runs(tool *t, tn_context *context, double seconds, const char *what, timing *out)
{
    const uint64_t runs = t->set.runs > MOST_RUNS ? MOST_RUNS : t->set.runs;
    double *times = keep_array(t, MOST_RUNS, sizeof *times), first = now();
    tn_run_options options = { .size = sizeof options, .seed = t->set.seed };
    size_t count;
    progress bar;
    int code = EXIT_FINE;
    tn_status status = tn_context_run(context,
                                      &options); /* makes the plan: never one of the others */
    if (status)
        return complain(t, status);
    first = now() - first;
    progress_begin(&bar, what, runs ? (int64_t)runs : (int64_t)(1000 * seconds));
    if (!t->set.has_warmup || t->set.warmup)
        code = repeat(t, context,
                      t->set.has_warmup ? t->set.warmup
                      : runs            ? 1
                                        : 0,
                      seconds / 10, times, &count, &bar);
    if (!code)
        code = repeat(t, context, runs, seconds, times, &count, &bar);
    progress_end(&bar);
    if (code)
        return code;
    *out = summarize(t, times, count);
    out->first = first;
    return EXIT_FINE;
}
