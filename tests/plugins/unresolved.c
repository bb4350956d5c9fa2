/* Needs a function that no library has: the loader's own words must reach the user.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

extern tn_status tenon_test_nobody_has_this(void);

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    (void)registrar;
    return tenon_test_nobody_has_this();
}

TN_PLUGIN(unresolved, .version = "1.0", .licence = "MIT", .description = "cannot be loaded",
          .load = load);
