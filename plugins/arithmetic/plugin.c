/* plugins/arithmetic/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(arithmetic_unary_register(registrar));
    TN_TRY(trigonometric_register(registrar));
    TN_TRY(classify_register(registrar));
    TN_TRY(bitwise_register(registrar));
    TN_TRY(basic_register(registrar));
    TN_TRY(pow_register(registrar));
    TN_TRY(compare_register(registrar));
    TN_TRY(variadic_register(registrar));
    return where_register(registrar);
}

TN_PLUGIN(arithmetic, .version = "1.0", .licence = "MIT",
          .description = "Elementwise arithmetic, comparisons and logic with broadcasting",
          .load = load);
