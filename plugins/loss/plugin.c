/* plugins/loss/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(likelihood_register(registrar));
    return cross_entropy_register(registrar);
}

TN_PLUGIN(loss, .version = "1.0", .licence = "MIT",
          .description = "Losses of classifiers: NegativeLogLikelihoodLoss and "
                         "SoftmaxCrossEntropyLoss",
          .load = load);
