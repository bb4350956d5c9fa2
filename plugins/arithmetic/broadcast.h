/* plugins/arithmetic/broadcast.h: walks operands of different shapes row by row.
 *
 * In: up to three operands and the output that they broadcast to (ONNX: Broadcasting in ONNX).
 * Out: calls of a function on runs of the output that are contiguous in every operand, or
 * constant in it. Axes that lie in one piece in all operands are merged first, so that equal
 * shapes are one long row and a bias is one row for each channel.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_BROADCAST_H
#define TENON_PLUGINS_BROADCAST_H

#include "tenon/kernel.h"

enum { SPREAD_OPERANDS = 3 };

typedef struct spread {
    int32_t rank; /* at least 1 */
    int32_t count;
    int64_t total; /* elements of the output */
    int64_t dims[TN_MAX_RANK];
    int64_t strides[SPREAD_OPERANDS][TN_MAX_RANK]; /* 0 where an operand repeats */
} spread;

/* n elements of the output from `at` on; operand k starts at element offsets[k] and steps by
 * steps[k], 0 or 1. */
typedef void (*spread_row)(const void *user, const int64_t *offsets, const int64_t *steps,
                           int64_t at, int64_t n);

void spread_init(spread *out, const tn_tensor *output, const tn_tensor *const *operands,
                 int32_t count);
tn_status spread_run(tn_call *call, const spread *s, spread_row row, const void *user);

#endif
