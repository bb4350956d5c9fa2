/* plugins/activation/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(piecewise_register(registrar));
    TN_TRY(exponential_register(registrar));
    TN_TRY(gelu_register(registrar));
    TN_TRY(clip_register(registrar));
    TN_TRY(prelu_register(registrar));
    return shrink_register(registrar);
}

TN_PLUGIN(activation, .version = "1.0", .licence = "MIT",
          .description = "Activation functions: Relu, Sigmoid, Gelu, Clip and their relatives",
          .load = load);
