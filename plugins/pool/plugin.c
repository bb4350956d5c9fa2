/* plugins/pool/plugin.c: the entry of the plugin `pool`.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(max_pool_register(registrar));
    TN_TRY(max_unpool_register(registrar));
    TN_TRY(average_pool_register(registrar));
    TN_TRY(lp_pool_register(registrar));
    return global_pool_register(registrar);
}

TN_PLUGIN(pool, .version = "1.0", .licence = "MIT",
          .description = "MaxPool, AveragePool, LpPool and their global forms, MaxUnpool",
          .load = load);
