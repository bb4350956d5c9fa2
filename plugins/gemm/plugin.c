/* plugins/gemm/plugin.c: the entry of the plugin `gemm`: Gemm and MatMul of ai.onnx.
 *
 * SPDX-License-Identifier: MIT */
#include "gemm.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(gemm_register(registrar));
    return matmul_register(registrar);
}

TN_PLUGIN(gemm, .version = "1.0", .licence = "MIT",
          .description = "Products of matrices: Gemm and MatMul", .load = load);
