/* plugins/gemm/gemm.h: products of matrices, shared by Gemm and MatMul.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_GEMM_H
#define TENON_PLUGINS_GEMM_H

#include "tenon/kernel.h"

#define GEMM_TYPES                                                                                 \
    (TN_MASK_FLOAT | TN_BIT(TN_INT32) | TN_BIT(TN_INT64) | TN_BIT(TN_UINT32) | TN_BIT(TN_UINT64))

/* A matrix inside a tensor: element (r, c) stands at first + r * row + c * column. */
typedef struct gemm_matrix {
    const tn_tensor *tensor;
    int64_t first, row, column;
} gemm_matrix;

/* Y[rows, columns] = alpha * A[rows, depth] B[depth, columns] + beta * C, C with strides of 0 where
 * it repeats. Sums are in double, rounded once; integers wrap around. */
typedef struct gemm_job {
    gemm_matrix a, b, c; /* c.tensor NULL: none */
    tn_tensor *y;
    int64_t y_first;
    int64_t rows, columns, depth;
    double alpha, beta;
} gemm_job;

enum { GEMM_TILE = 64 };
static inline int64_t gemm_tiles(int64_t extent)
{
    return (extent + GEMM_TILE - 1) / GEMM_TILE;
}

/* The tile of at most GEMM_TILE rows and columns that begins at (row, column). */
void gemm_tile(const gemm_job *job, int64_t row, int64_t column);

tn_status gemm_register(tn_registrar *registrar);
tn_status matmul_register(tn_registrar *registrar);

#endif
