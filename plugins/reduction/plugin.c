/* plugins/reduction/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(reduce_register(registrar));
    TN_TRY(arg_register(registrar));
    TN_TRY(cumulative_register(registrar));
    TN_TRY(hardmax_register(registrar));
    return softmax_register(registrar);
}

TN_PLUGIN(reduction, .version = "1.0", .licence = "MIT",
          .description =
              "ReduceSum and its relatives, ArgMax, ArgMin, CumSum, CumProd, Softmax, LogSoftmax, "
              "Hardmax",
          .load = load);
