/* backends/openblas/plugin.c: the entry of the backend `openblas`.
 *
 * Debian's libopenblas0-openmp. A build with threads of its own is refused: inside the host's
 * threads it would start more of them.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

static tn_status open_library(tn_backend_open *ctx)
{
    static const char *const kinds[] = { "sequential", "pthreads", "OpenMP" };
    const int kind = openblas_get_parallel();
    if (kind == 1)
        return tn_fail(ctx, TN_ERR_BACKEND, "the OpenBLAS at hand is built with %s: expected OpenMP (Debian: libopenblas0-openmp)", kinds[kind]);
    ctx->description = openblas_get_config();
    return TN_OK;
}

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def), .name = "openblas", .doc = "Products of matrices by OpenBLAS, and convolutions by way of them",
    .build = "openblas-1", .open = open_library,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    for (int k = 0; k < 2; k++) {
        TN_TRY(registrar->add_kernel(registrar, &openblas_gemm_kernels[k]));
        TN_TRY(registrar->add_kernel(registrar, &openblas_conv_kernels[k]));
    }
    return TN_OK;
}

TN_PLUGIN(openblas, .version = "1.0", .licence = "MIT", .description = "OpenBLAS: Conv, ConvTranspose, Gemm, MatMul", .load = load);
