/* plugins/cast/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "cast.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(cast_register(registrar));
    return bit_cast_register(registrar);
}

TN_PLUGIN(cast, .version = "1.0", .licence = "MIT",
          .description = "Cast, CastLike and BitCast between all element types", .load = load);
