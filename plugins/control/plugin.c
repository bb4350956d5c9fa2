/* plugins/control/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(if_register(registrar));
    TN_TRY(loop_register(registrar));
    TN_TRY(scan_8_register(registrar));
    TN_TRY(scan_register(registrar));
    return sequence_map_register(registrar);
}

TN_PLUGIN(control, .version = "1.0", .licence = "MIT",
          .description = "Control flow: If, Loop, Scan, SequenceMap", .load = load);
