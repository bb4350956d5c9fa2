/* tools/timing.h: how long runs take, for bench and compare.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_TIMING_H
#define TENON_TIMING_H

#include "tool.h"

enum { LEAST_RUNS = 5, MOST_RUNS = 100000 };

/* Seconds. spread: the median distance from the median. first: the run that made the plan. */
typedef struct timing {
    size_t runs;
    double first, least, p5, median, p95, spread;
} timing;

/* Runs by --runs or for `seconds`, after the first run and a warm-up. */
int time_runs(tool *t, tn_context *context, double seconds, const char *what, timing *out);
timing summarize(tool *t, double *times, size_t count);
void sort_times(double *times, size_t count);
/* The value below which the part q of `sorted` lies, between two where needed. */
double quantile(const double *sorted, size_t count, double q);

#endif
