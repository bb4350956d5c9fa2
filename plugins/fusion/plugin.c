/* plugins/fusion/plugin.c: the entry of the plugin `fusion`: passes that make one node of several.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(fold_batch_norm_register(registrar));
    TN_TRY(fold_scale_register(registrar));
    TN_TRY(fold_shift_register(registrar));
    TN_TRY(fold_pad_register(registrar));
    TN_TRY(fold_transpose_register(registrar));
    return fold_sum_register(registrar);
}

TN_PLUGIN(fusion, .version = "1.0", .licence = "MIT",
          .description = "Passes that fold one operator into another", .load = load);
