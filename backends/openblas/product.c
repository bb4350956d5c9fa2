/* backends/openblas/product.c: calls of BLAS, alone and split among threads.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

void openblas_gemm(const openblas_product *p)
{
    const enum CBLAS_TRANSPOSE a = p->trans_a ? CblasTrans : CblasNoTrans, b = p->trans_b ? CblasTrans : CblasNoTrans;
    if (p->dtype == TN_FLOAT64)
        cblas_dgemm(CblasRowMajor, a, b, (int)p->m, (int)p->n, (int)p->k, p->alpha, p->a, (int)p->lda, p->b, (int)p->ldb,
                    p->beta, p->c, (int)p->ldc);
    else
        cblas_sgemm(CblasRowMajor, a, b, (int)p->m, (int)p->n, (int)p->k, (float)p->alpha, p->a, (int)p->lda, p->b,
                    (int)p->ldb, (float)p->beta, p->c, (int)p->ldc);
}

typedef struct split {
    const openblas_product *whole;
    int by_rows;
} split;

static tn_status run_part(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const split *s = user;
    openblas_product part = *s->whole;
    (void)thread;
    if (s->by_rows) {
        part.m = end - begin;
        part.a = openblas_at(part.a, part.dtype, part.trans_a ? begin : begin * part.lda);
        part.c = openblas_to(part.c, part.dtype, begin * part.ldc);
    } else {
        part.n = end - begin;
        part.b = openblas_at(part.b, part.dtype, part.trans_b ? begin * part.ldb : begin);
        part.c = openblas_to(part.c, part.dtype, begin);
    }
    openblas_gemm(&part);
    return TN_OK;
}

tn_status openblas_gemm_parallel(tn_run *ctx, const openblas_product *p)
{
    split s = { p, p->m >= p->n };
    const int64_t extent = s.by_rows ? p->m : p->n, threads = ctx->threads;
    /* One part a thread: BLAS packs its operands once in each. Small products are not worth it. */
    int64_t grain = (extent + threads - 1) / threads;
    if ((double)p->m * (double)p->n * (double)p->k < 50000.0)
        grain = extent;
    return ctx->call.host->parallel_for(&ctx->call, extent, grain, run_part, &s);
}
