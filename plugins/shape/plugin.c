/* plugins/shape/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(reshape_register(registrar));
    TN_TRY(axes_register(registrar));
    TN_TRY(shape_register(registrar));
    TN_TRY(identity_register(registrar));
    TN_TRY(range_register(registrar));
    return constant_register(registrar);
}

TN_PLUGIN(shape, .version = "1.0", .licence = "MIT",
          .description = "Reshape and its relatives, Shape, Identity and constants", .load = load);
