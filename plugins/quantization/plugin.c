/* plugins/quantization/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(quantize_register(registrar));
    TN_TRY(dequantize_register(registrar));
    TN_TRY(dynamic_register(registrar));
    TN_TRY(matmul_register(registrar));
    return conv_register(registrar);
}

TN_PLUGIN(quantization, .version = "1.0", .licence = "MIT",
          .description = "Quantization: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, "
                         "products and convolutions of 8-bit integers",
          .load = load);
