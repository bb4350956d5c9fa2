/* plugins/sequence/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "sequence.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(construct_register(registrar));
    TN_TRY(edit_register(registrar));
    TN_TRY(split_register(registrar));
    TN_TRY(concat_register(registrar));
    return optional_register(registrar);
}

TN_PLUGIN(sequence, .version = "1.0", .licence = "MIT",
          .description = "Sequences and optionals: made, changed, taken apart, joined",
          .load = load);
