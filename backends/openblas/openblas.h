/* backends/openblas/openblas.h: what the files of this backend share.
 *
 * Matrices are row-major. BLAS runs on one thread inside the host's parallel_for: its own threads
 * wait busily, and their count belongs to the whole process.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_BACKENDS_OPENBLAS_H
#define TENON_BACKENDS_OPENBLAS_H

#include "tenon/kernel.h"

#include <cblas.h>

#define OPENBLAS_TYPES (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64))
enum { OPENBLAS_MAX_STEPS = 8, OPENBLAS_ALIGN = 64 };

/* C[m,n] = alpha * op(A)[m,k] op(B)[k,n] + beta * C, in elements of dtype. */
typedef struct openblas_product {
    uint32_t dtype;
    int trans_a, trans_b;
    int64_t m, n, k, lda, ldb, ldc;
    double alpha, beta;
    const void *a, *b;
    void *c;
} openblas_product;
void openblas_gemm(const openblas_product *p);
/* The same, split among the threads of the run by rows or columns of C. */
tn_status openblas_gemm_parallel(tn_run *ctx, const openblas_product *p);

/* Sizes must fit the interface's int. */
static inline int openblas_fits(int64_t extent) { return extent >= 0 && extent <= INT32_MAX; }
static inline size_t openblas_size(uint32_t dtype) { return dtype == TN_FLOAT64 ? 8 : 4; }
static inline const void *openblas_at(const void *data, uint32_t dtype, int64_t k) { return (const char *)data + (size_t)k * openblas_size(dtype); }
static inline void *openblas_to(void *data, uint32_t dtype, int64_t k) { return (char *)data + (size_t)k * openblas_size(dtype); }

/* ---- epilogues (steps.c) ---------------------------------------------------------------------- */

typedef enum openblas_function { STEP_RELU, STEP_LEAKY_RELU, STEP_CLIP, STEP_SIGMOID, STEP_HARD_SWISH, STEP_ADD } openblas_function;
typedef struct openblas_step {
    openblas_function function;
    double a, b;      /* slope; bounds */
    uint32_t operand; /* STEP_ADD: index of the run's input */
    uint32_t spread;  /* TN_SPREAD_* */
} openblas_step;
typedef struct openblas_steps {
    uint32_t count;
    openblas_step items[OPENBLAS_MAX_STEPS];
} openblas_steps;
/* TN_DECLINED with a reason when a step is none of the above. */
tn_status openblas_read_steps(tn_offer *ctx, openblas_steps *out);
void openblas_copy_steps(const tn_problem *problem, openblas_steps *out);
/* Applies them to `count` elements of the output from `first` on, all in one channel. */
void openblas_apply(const openblas_steps *steps, const tn_run *ctx, int64_t first, int64_t count, int64_t channel);

/* ---- windows (window.c) ------------------------------------------------------------------------- */

typedef struct openblas_window {
    int32_t spatial;
    int64_t group, taps; /* taps: product of the kernel's extents */
    int64_t kernel[TN_MAX_RANK], stride[TN_MAX_RANK], dilation[TN_MAX_RANK], pad[TN_MAX_RANK];
} openblas_window;
/* `small` are the extents that windows are counted on (a convolution's output, a transposed one's
 * input), `large` the others; together they tell what auto_pad means. */
void openblas_read_window(const tn_node_view *node, const int64_t *kernel, int32_t spatial, const int64_t *large,
                          const int64_t *small, int transposed, openblas_window *out);
/* Rows [row, row+rows) of the matrix of windows: row = (channel, tap), column = position. Columns
 * [first, first+count) of it go to out, `count` apart. */
void openblas_gather(const openblas_window *w, uint32_t dtype, const void *plane0, const int64_t *large, const int64_t *small,
                     int64_t channels, int64_t first, int64_t count, void *out);
/* Its transpose: adds columns back to where they came from. All positions. */
void openblas_scatter(const openblas_window *w, uint32_t dtype, void *plane0, const int64_t *large, const int64_t *small,
                      int64_t channels, const void *columns);

extern const tn_kernel_def openblas_gemm_kernels[2]; /* Gemm, MatMul */
extern const tn_kernel_def openblas_conv_kernels[2]; /* Conv, ConvTranspose */

#endif
