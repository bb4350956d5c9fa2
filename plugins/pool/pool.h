/* plugins/pool/pool.h: the window that MaxPool, AveragePool and LpPool slide.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_POOL_H
#define TENON_PLUGINS_POOL_H

#include "tenon/upgrade.h"

typedef struct pool_window {
    int32_t spatial;
    int64_t kernel[TN_MAX_RANK], stride[TN_MAX_RANK], dilation[TN_MAX_RANK];
    int64_t pad_begin[TN_MAX_RANK], pad_end[TN_MAX_RANK];
    int ceil;
    enum { POOL_EXPLICIT, POOL_SAME_UPPER, POOL_SAME_LOWER, POOL_VALID } auto_pad;
} pool_window;

/* Reads the attributes for `spatial` axes; 0 after a complaint. `call` NULL: silent. */
int pool_read(tn_call *call, const tn_node_view *node, int32_t spatial, pool_window *out);
/* auto_pad's pads for these extents. */
void pool_resolve(pool_window *window, const int64_t *extents);
/* Output types from input 0, for all three operators. */
tn_status pool_infer(tn_infer *ctx);
int32_t pool_windows(tn_infer *ctx, tn_window *windows);
tn_status pool_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
tn_status pool_cost(tn_infer *ctx, tn_cost *out);

/* What is made of the taps of a window. */
typedef enum pool_fold { POOL_MAX, POOL_MAX_PLACE, POOL_SUM, POOL_POWERS } pool_fold;

enum { POOL_CHUNK = 128 }; /* output positions of a row that are folded at once */

/* Output positions first … first+count-1 of one row (all axes but the last fixed) of a plane: what
 * was folded so far, and for POOL_MAX_PLACE where in the plane it stands; -1: nothing yet. */
typedef struct pool_row {
    int64_t plane, first, count;
    int64_t outer[TN_MAX_RANK]; /* position on the other axes */
    double value[POOL_CHUNK];
    int64_t place[POOL_CHUNK];
} pool_row;

/* A run of one of the operators. A plane is one sample's channel. */
typedef struct pool_job {
    const tn_run *run;
    pool_window window;
    const int64_t *in, *out;     /* spatial extents */
    int64_t in_count, out_count; /* elements of a plane */
    pool_fold fold;
    int include_pad, column_major;
    double power;
    void (*finish)(const struct pool_job *job, const pool_row *row, int64_t at); /* stores a row:
                                         `at` is its first output element */
} pool_job;

/* Folds every window, row by row, and hands each row to `finish`. */
tn_status pool_run(tn_run *run, pool_fold fold,
                   void (*finish)(const pool_job *job, const pool_row *row, int64_t at));

/* x^(1/p), with the two usual roots rounded once. */
static inline double pool_root(double x, double p)
{
    return p == 1.0 ? x : p == 2.0 ? sqrt(x) : pow(x, 1.0 / p);
}

tn_status max_pool_register(tn_registrar *registrar);
tn_status max_unpool_register(tn_registrar *registrar);
tn_status average_pool_register(tn_registrar *registrar);
/* Set 1's LpPool and GlobalLpPool (power_old.c); `attributes` with a float p. */
tn_status pool_power_upgrade(tn_rewrite *ctx, tn_node_id node);
tn_status pool_power_add_old(tn_registrar *registrar, const tn_operator_def *newest,
                             const tn_attribute_def *attributes, uint16_t count);
tn_status lp_pool_register(tn_registrar *registrar);
tn_status global_pool_register(tn_registrar *registrar);

#endif
