/* engine/run/check.h: whether a pass left a graph's answers as they were (the word "verify").
 *
 *     check.c         runs the graph before and after on the reference backend, from several seeds
 *     check_cut.c     the parts of the two in which they differ
 *     check_bound.c   how far answers may lie apart, by element types and lengths of sums
 *     check_values.c  the inputs of a seed, and answers held against each other
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_CHECK_H
#define TN_CHECK_H

#include "engine/run/run.h"

typedef struct tn_checker {
    tn_runtime *runtime;
    const char *selection; /* "verify=SEEDS", and "NAME=EXTENTS" for inputs and symbols */
    const tn_limits *limits;
    tn_diagnostics *diagnostics; /* is told what could not be run */
    uint32_t threads;
    void (*progress)(void *user, const char *line); /* NULL: nobody wants to know */
    void *progress_user;
    bool warned;
} tn_checker;

/* A tn_check_fn; `user` is a tn_checker. */
tn_status tn_check(void *user, const tn_graph *before, const tn_graph *after,
                   const tn_pass_def *pass, bool *same, char **why);

/* ---- between the files ------------------------------------------------------------------------ */

/* The parts in which two graphs differ, one after rewrites of the other: where these are equal, for
 * any inputs, the graphs are. Neither is made where nothing that is read differs. `wide`: larger
 * parts, of which that holds in more cases. TN_NO_MATCH: there are none to be told apart. */
tn_status tn_check_cut(const tn_graph *before, const tn_graph *after, bool wide,
                       tn_graph **out_before, tn_graph **out_after);

/* What the elements of the inputs of a seed are. */
enum {
    TN_CHECK_PLAIN,   /* [-1, 1); integers 0 and 1 */
    TN_CHECK_SMALL,   /* small whole numbers, zeros and negative zeros; integers 0 to 4 */
    TN_CHECK_SPECIAL, /* NaN, infinities and negative zeros among the plain ones */
    TN_CHECK_LARGE,   /* magnitudes up to `most` */
    TN_CHECK_KINDS
};
/* Fills memory of a tensor. `most`: of large numbers; 0: up to the type's end. TN_ERR_TYPE: of no type
 * that random elements can be made for. */
tn_status tn_check_fill(const tn_tensor *tensor, uint32_t kind, double most, uint64_t seed);
/* Moves float elements by up to `ulps` units in their last place, up or down. */
void tn_check_nudge(const tn_tensor *tensor, double ulps, uint64_t seed);

/* One unit in the last place at 1; 0 for what is not a float. */
double tn_check_ulp(uint32_t dtype);
/* Multiply-adds of a run. */
tn_status tn_check_macs(tn_registry *registry, tn_graph *graph, const int64_t *values,
                        uint32_t count, double *macs);
/* For each output of the graph, how large the rounding of all sums on the way to it may be, beside
 * 1. `values`: what symbols are, by number. */
tn_status tn_check_bounds(tn_registry *registry, tn_graph *graph, const int64_t *values,
                          uint32_t count, double *bounds);

/* How far two answers may lie apart. */
typedef struct tn_allowance {
    uint32_t exactness;
    double bound;            /* from tn_check_bounds */
    const tn_tensor *nudged; /* the answer to inputs moved by `ulps`; NULL: not known */
    double ulps;
} tn_allowance;
/* False: *why says what differs, as "element 3 is 1 before and 2 after". */
bool tn_check_compare(const tn_tensor *before, const tn_tensor *after, const tn_allowance *allowed,
                      tn_builder *why);

#endif
