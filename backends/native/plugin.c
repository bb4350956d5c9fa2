/* plugin.c: the backend "native": kernels of our own, without a library behind them.
 *
 * In: the processor. Out: kernels on the functions that were compiled for it (isa/). The variable
 * TENON_NATIVE names a smaller set (plain, avx2, avx512, avx512vnni), to compare and to test them.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"

#include <stdlib.h>

#if defined(__x86_64__)
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
static bool has_vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif
static bool always(void)
{
    return true;
}

static const struct {
    const native_isa *isa;
    bool (*usable)(void);
    const char *description;
} choices[] = {
#if defined(__x86_64__)
    { &native_isa_avx512vnni, has_vnni, "kernels of Tenon's own, AVX-512 with VNNI" },
    { &native_isa_avx512, has_avx512, "kernels of Tenon's own, AVX-512" },
    { &native_isa_avx2, has_avx2, "kernels of Tenon's own, AVX2 and FMA" },
#endif
    { &native_isa_plain, always,
      "kernels of Tenon's own, as every processor of this kind has them" },
#if defined(NATIVE_WIDE)
    { &native_isa_wide, always, "kernels of Tenon's own, the widths of AVX-512 without it" },
#endif
};
enum { CHOICES = sizeof choices / sizeof *choices };

/* The first that the processor has, not before the one that is asked for. One that every processor has
 * is always found: `plain` stands before what is there for tests. */
static tn_status backend_open(tn_backend_open *ctx)
{
    const char *wanted = getenv("TENON_NATIVE");
    size_t k = 0;
    while (wanted && *wanted && k < CHOICES && strcmp(choices[k].isa->name, wanted) != 0)
        k++;
    if (k == CHOICES)
        return tn_fail(ctx, TN_ERR_BACKEND,
                       "TENON_NATIVE is '%s': expected plain, avx2, avx512 or avx512vnni", wanted);
    while (!choices[k].usable())
        k++;
    ctx->instance = (void *)(uintptr_t)choices[k].isa;
    ctx->description = choices[k].description;
    return TN_OK;
}

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def),
    .name = "native",
    .doc = "Kernels of Tenon's own, channels last, for the processor at hand.",
    .build = "native 1",
    .open = backend_open,
};

/* Where several rows have one operator, the first that offers gets the node. */
static const tn_kernel_def *const tables[] = {
    native_integer_depthwise_kernels,
    native_integer_conv_kernels,
    native_integer_matmul_kernels,
    native_quantize_kernels,
    native_byte_kernels,
    native_cast_kernels,
    native_conv_depthwise_kernels,
    native_conv_winograd_kernels,
    native_conv_direct_kernels,
    native_matmul_seven_kernels,
    native_matmul_kernels,
    native_elementwise_kernels,
    native_pool_kernels,
    native_row_kernels,
    native_column_kernels,
    native_conv_transpose_kernels,
    native_concat_kernels,
    native_move_kernels,
    native_reduce_kernels,
    native_convert_kernels,
    native_lstm_kernels,
    native_gru_kernels,
    native_attention_kernels,
    native_rotary_kernels,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const tn_kernel_def *kernel = tables[t]; kernel->op; kernel++)
            TN_TRY(registrar->add_kernel(registrar, kernel));
    return TN_OK;
}

TN_PLUGIN(native, .version = "1.0", .licence = "MIT",
          .description = "Kernels of Tenon's own for this processor", .load = load);
