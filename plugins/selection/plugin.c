/* plugins/selection/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(top_k_register(registrar));
    TN_TRY(unique_register(registrar));
    TN_TRY(non_zero_register(registrar));
    return compress_register(registrar);
}

TN_PLUGIN(selection, .version = "1.0", .licence = "MIT",
          .description = "Operators that select by value: TopK, Unique, NonZero, Compress",
          .load = load);
