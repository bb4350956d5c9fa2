/* plugins/conv/plugin.c: the entry of the plugin `conv`: Conv, ConvTranspose and CausalConvWithState of
 * ai.onnx, with their reference kernels.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(conv_register(registrar));
    TN_TRY(conv_transpose_register(registrar));
    return causal_conv_register(registrar);
}

TN_PLUGIN(conv, .version = "1.0", .licence = "MIT",
          .description = "Conv and ConvTranspose in any number of spatial axes", .load = load);
