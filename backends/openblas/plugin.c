/* plugin.c: the backend "openblas": OpenBLAS (BSD-3-Clause), by cblas.h.
 *
 * In: the library at hand, which Debian lets an administrator choose among builds. Out: kernels
 * for what is a matrix product. Opening refuses a build with threads of its own: they wait by
 * spinning and their number is one for the process; and one with other integers than the header.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

#include <cblas.h>
#include <stdio.h>
#include <string.h>

enum { BUILT_WITH_OPENMP = 2 }; /* openblas_get_parallel: 0 sequential, 1 threads, 2 OpenMP */

/* major.minor.patch after "OpenBLAS ". */
static int version_of(const char *text, int *out)
{
    const char *at = strstr(text, "OpenBLAS ");
    return at && sscanf(at + 9, "%d.%d.%d", &out[0], &out[1], &out[2]) == 3;
}

static tn_status check_version(tn_backend_open *ctx, const char *config)
{
    int found[3], wanted[3];
    if (!version_of(config, found) || !version_of(OPENBLAS_VERSION, wanted))
        return tn_fail(ctx, TN_ERR_BACKEND, "libopenblas calls itself '%s': no version in it",
                       config);
    if (found[0] != wanted[0] || found[1] != wanted[1] || found[2] < wanted[2])
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "libopenblas is %d.%d.%d, but Tenon was compiled for %d.%d.%d", found[0],
                       found[1], found[2], wanted[0], wanted[1], wanted[2]);
    return TN_OK;
}

static tn_status backend_open(tn_backend_open *ctx)
{
    static const char *const builds[] = { "without threads", "with threads of its own" };
    const char *config = openblas_get_config();
    const int parallel = openblas_get_parallel();
    const int wide = strstr(config, "USE64BITINT") != NULL;
    if (parallel != BUILT_WITH_OPENMP)
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "libopenblas was built %s: the OpenMP build is needed "
                       "(libopenblas0-openmp)",
                       builds[parallel == 1]);
    if (wide != (sizeof(blasint) == 8))
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "libopenblas has %d-bit integers, its header %d-bit ones", wide ? 64 : 32,
                       (int)sizeof(blasint) * 8);
    TN_TRY(check_version(ctx, config));
    ctx->description = config; /* static in the library, which stays loaded */
    return TN_OK;
}

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def),
    .name = "openblas",
    .doc = "OpenBLAS: convolutions and products as matrix products; portable, plain layout only.",
    .build = OPENBLAS_VERSION,
    .open = backend_open,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    /* Of two for one operator, the first that offers gets the node. */
    TN_TRY(registrar->add_kernel(registrar, &oblas_conv_grouped_kernel));
    TN_TRY(registrar->add_kernel(registrar, &oblas_conv_kernel));
    TN_TRY(registrar->add_kernel(registrar, &oblas_conv_transpose_kernel));
    TN_TRY(registrar->add_kernel(registrar, &oblas_matmul_kernel));
    return registrar->add_kernel(registrar, &oblas_gemm_kernel);
}

TN_PLUGIN(openblas, .version = "1.0", .licence = "MIT",
          .description = "Matrix products by OpenBLAS", .load = load);
