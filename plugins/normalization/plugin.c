/* plugins/normalization/plugin.c: the entry of the plugin `normalization`.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(batch_norm_register(registrar));
    TN_TRY(group_norm_register(registrar));
    TN_TRY(instance_norm_register(registrar));
    TN_TRY(layer_norm_register(registrar));
    TN_TRY(lp_norm_register(registrar));
    TN_TRY(lrn_register(registrar));
    TN_TRY(mean_variance_norm_register(registrar));
    return rms_norm_register(registrar);
}

TN_PLUGIN(normalization, .version = "1.0", .licence = "MIT",
          .description =
              "Batch, group, instance, layer, Lp, mean variance and RMS normalization, and LRN",
          .load = load);
