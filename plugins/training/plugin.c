/* plugins/training/plugin.c: what this shared object offers, in domain ai.onnx.preview.training.
 *
 * SPDX-License-Identifier: MIT */
#include "training.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    for (size_t k = 0; k < optimizer_count; k++)
        TN_TRY(optimizer_register(registrar, &optimizers[k]));
    return TN_OK;
}

TN_PLUGIN(training, .version = "1.0", .licence = "MIT",
          .description = "Steps of optimizers: Adam, Adagrad, Momentum", .load = load);
