/* blas.c: the one place that calls BLAS.
 *
 * OpenBLAS of the OpenMP build runs on one thread when it is called inside a parallel region, or
 * when OpenMP's count is one. Outside of a region with a larger count it would start its own
 * threads and change its process-wide count; so the calling thread's count, which is nobody
 * else's, is one during the call. openblas_set_num_threads would be seen by the whole process.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

#include <cblas.h>

/* Of GNU's OpenMP, which OpenBLAS is linked with. omp.h belongs to the compiler, and another
 * compiler's may mean another library. */
int omp_get_max_threads(void);
int omp_in_parallel(void);
void omp_set_num_threads(int count);

bool oblas_fits(int64_t extent)
{
    return extent <= INT32_MAX;
}

static int enter(void)
{
    const int before = omp_get_max_threads();
    if (omp_in_parallel() || before == 1)
        return 0;
    omp_set_num_threads(1);
    return before;
}

static void leave(int before)
{
    if (before)
        omp_set_num_threads(before);
}

/* y = alpha M x + beta y, M being rows x columns as it lies in memory. BLAS may multiply an
 * unwritten y by a beta of 0: it is set to zero here instead. */
static void gemv(uint32_t dtype, bool transposed, int64_t rows, int64_t columns, double alpha,
                 oblas_matrix m, const void *x, int64_t x_step, double beta, void *y,
                 int64_t y_step)
{
    const CBLAS_TRANSPOSE op = transposed ? CblasTrans : CblasNoTrans;
    const int64_t count = transposed ? columns : rows;
    for (int64_t k = 0; beta == 0.0 && k < count; k++) {
        if (dtype == TN_FLOAT32)
            ((float *)y)[k * y_step] = 0.0f;
        else
            ((double *)y)[k * y_step] = 0.0;
    }
    if (beta == 0.0)
        beta = 1.0;
    if (dtype == TN_FLOAT32)
        cblas_sgemv(CblasRowMajor, op, (blasint)rows, (blasint)columns, (float)alpha, m.data,
                    (blasint)m.ld, x, (blasint)x_step, (float)beta, y, (blasint)y_step);
    else
        cblas_dgemv(CblasRowMajor, op, (blasint)rows, (blasint)columns, alpha, m.data,
                    (blasint)m.ld, x, (blasint)x_step, beta, y, (blasint)y_step);
}

static void gemm(uint32_t dtype, int64_t m, int64_t n, int64_t k, double alpha, oblas_matrix a,
                 oblas_matrix b, double beta, void *c, int64_t ldc)
{
    const CBLAS_TRANSPOSE op_a = a.transposed ? CblasTrans : CblasNoTrans;
    const CBLAS_TRANSPOSE op_b = b.transposed ? CblasTrans : CblasNoTrans;
    if (dtype == TN_FLOAT32)
        cblas_sgemm(CblasRowMajor, op_a, op_b, (blasint)m, (blasint)n, (blasint)k, (float)alpha,
                    a.data, (blasint)a.ld, b.data, (blasint)b.ld, (float)beta, c, (blasint)ldc);
    else
        cblas_dgemm(CblasRowMajor, op_a, op_b, (blasint)m, (blasint)n, (blasint)k, alpha, a.data,
                    (blasint)a.ld, b.data, (blasint)b.ld, beta, c, (blasint)ldc);
}

void oblas_gemm(uint32_t dtype, int64_t m, int64_t n, int64_t k, double alpha, oblas_matrix a,
                oblas_matrix b, double beta, void *c, int64_t ldc)
{
    const int before = enter();
    if (m == 1)
        gemv(dtype, !b.transposed, b.transposed ? n : k, b.transposed ? k : n, alpha, b, a.data,
             a.transposed ? a.ld : 1, beta, c, 1);
    else if (n == 1)
        gemv(dtype, a.transposed, a.transposed ? k : m, a.transposed ? m : k, alpha, a, b.data,
             b.transposed ? 1 : b.ld, beta, c, ldc);
    else
        gemm(dtype, m, n, k, alpha, a, b, beta, c, ldc);
    leave(before);
}
