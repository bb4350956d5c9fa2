/* oblas.h: what the files of this backend tell each other.
 *
 * Everything is a matrix product of plain row-major matrices, float32 or float64. BLAS runs on one
 * thread: chunks of images, groups, rows or columns are spread by host->parallel_for, and each
 * chunk applies bias and epilogue while its part of the output is in the cache. BLAS has no way to
 * pack a matrix once (cblas_sgemm_pack exists in MKL only), so weights are read as they lie.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_OBLAS_H
#define TENON_OBLAS_H

#include "tenon/kernel.h"
#include "tenon/plugin.h"

#include <stdbool.h>

enum { OBLAS_TYPES = 1u << TN_FLOAT32 | 1u << TN_FLOAT64, OBLAS_MAX_STEPS = 6 };

/* ---- blas.c ----------------------------------------------------------------------------- */

/* Whether an extent fits BLAS's integers. */
bool oblas_fits(int64_t extent);

/* C (m x n) = alpha A B + beta C; A' when transposed. `ld`: elements from row to row, as the
 * matrix lies in memory. Rows of one and columns of one go to gemv. */
typedef struct oblas_matrix {
    const void *data;
    int64_t ld;
    bool transposed;
} oblas_matrix;
void oblas_gemm(uint32_t dtype, int64_t m, int64_t n, int64_t k, double alpha, oblas_matrix a,
                oblas_matrix b, double beta, void *c, int64_t ldc);

static inline size_t oblas_width(uint32_t dtype)
{
    return dtype == TN_FLOAT32 ? 4 : 8;
}

/* ---- offer.c ---------------------------------------------------------------------------- */

/* Types, extents, epilogue. */
tn_status oblas_offer(tn_offer *ctx);
int64_t oblas_count(const tn_type *type);

/* ---- epilogue.c ------------------------------------------------------------------------- */

/* A step, ready to run. */
typedef struct oblas_step {
    uint32_t kind; /* of the operators in epilogue.c */
    uint32_t spread;
    int32_t operand;  /* index of the input; -1: none */
    uint32_t flipped; /* operand - x instead of x - operand */
    double low, high; /* bounds, or a slope */
} oblas_step;

typedef struct oblas_epilogue {
    uint32_t count;
    uint32_t dtype;
    int64_t channels, inner; /* extent of axis 1 of the output, and elements behind one of it */
    int64_t columns;         /* extent of the last axis */
    oblas_step steps[OBLAS_MAX_STEPS];
} oblas_epilogue;

/* Reads the steps of a problem; bias: an input that is added for each channel first, or -1.
 * TN_DECLINED: reason is filled. */
tn_status oblas_epilogue_read(const tn_problem *problem, int32_t bias, oblas_epilogue *out,
                              char *reason, size_t bytes);
/* Applies it to elements [at, at + count) of output 0. */
void oblas_epilogue_apply(const oblas_epilogue *epilogue, const tn_run *ctx, int64_t at,
                          int64_t count);

/* ---- window.c --------------------------------------------------------------------------- */

/* Conv's and ConvTranspose's geometry, always three spatial axes: the first ones are of extent 1
 * where there are fewer. */
typedef struct oblas_window {
    int64_t images, groups, channels, outputs; /* the last two: of one group */
    int64_t x[3], y[3], kernel[3], strides[3], dilations[3], before[3];
    int64_t taps, x_points, y_points;
} oblas_window;
tn_status oblas_window_read(const tn_problem *problem, bool transposed, oblas_window *out,
                            char *reason, size_t bytes);

/* ---- columns.c -------------------------------------------------------------------------- */

/* Columns [first, first + count) of the matrix whose rows are (channel, tap) and whose columns
 * are output points; x: the group's first channel. */
void oblas_gather_columns(const oblas_window *w, size_t width, const void *x, int64_t first,
                          int64_t count, void *out);
/* Adds the rows (output channel, tap) over all input points into `outputs` channels from y on,
 * which are set to zero before. */
void oblas_scatter_columns(const oblas_window *w, uint32_t dtype, const void *columns,
                           int64_t outputs, void *y);

extern const tn_kernel_def oblas_conv_grouped_kernel;
extern const tn_kernel_def oblas_conv_kernel;
extern const tn_kernel_def oblas_conv_transpose_kernel;
extern const tn_kernel_def oblas_matmul_kernel;
extern const tn_kernel_def oblas_gemm_kernel;

#endif
