/* plugins/einsum/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(einsum_register(registrar));
    return det_register(registrar);
}

TN_PLUGIN(einsum, .version = "1.0", .licence = "MIT",
          .description = "Linear algebra by formula: Einsum, Det", .load = load);
