/* plugins/random/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "random.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(fill_register(registrar));
    TN_TRY(bernoulli_register(registrar));
    return multinomial_register(registrar);
}

TN_PLUGIN(random, .version = "1.0", .licence = "MIT",
          .description = "Random tensors: normal, uniform, Bernoulli, multinomial", .load = load);
