/* plugins/pool/pool.h: the window that MaxPool and AveragePool slide.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_POOL_H
#define TENON_PLUGINS_POOL_H

#include "tenon/kernel.h"

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
/* Output type from input 0; used by both operators. */
tn_status pool_infer(tn_infer *ctx);
int32_t pool_windows(tn_infer *ctx, tn_window *windows);
tn_status pool_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
tn_status pool_cost(tn_infer *ctx, tn_cost *out);

/* A plane (one sample, one channel) and where its windows lie. */
typedef struct pool_job {
    const tn_run *run;
    pool_window window;
    int64_t in_count, out_count; /* elements of a plane */
    const int64_t *in, *out;     /* spatial extents */
    int include_pad, column_major;
} pool_job;
void pool_job_init(pool_job *job, const tn_run *run);
/* First tap of output position `at` on each axis; may lie on padding. */
void pool_origin(const pool_job *job, int64_t at, int64_t *origin);

tn_status max_pool_register(tn_registrar *registrar);
tn_status average_pool_register(tn_registrar *registrar);
tn_status global_pool_register(tn_registrar *registrar);

#endif
