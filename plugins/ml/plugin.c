/* plugins/ml/plugin.c: the entry of the plugin `ml`: operators of the domain ai.onnx.ml.
 *
 * SPDX-License-Identifier: MIT */
#include "ml.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(ensemble_register(registrar));
    TN_TRY(features_register(registrar));
    TN_TRY(forest_register(registrar));
    TN_TRY(label_register(registrar));
    return linear_register(registrar);
}

TN_PLUGIN(ml, .version = "1.0", .licence = "MIT",
          .description = "Trees, linear models, encoders and scalers of ai.onnx.ml", .load = load);
