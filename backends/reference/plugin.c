/* plugin.c: the backend "reference", the oracle that every other backend is compared with.
 *
 * In: nothing but libc. Out: the backend's name and tenon::Convert, which the compiler puts where
 * a value is wanted in another layout. The kernels of the operators stand beside the operators,
 * in plugins/: a kernel row without a backend belongs to this one.
 *
 * SPDX-License-Identifier: MIT */
#include "reference.h"

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def),
    .name = "reference",
    .doc = "Portable C that follows each operator's definition: every operator, every type.",
    .build = "reference 1",
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    TN_TRY(registrar->add_operator(registrar, &reference_convert_operator));
    return registrar->add_kernel(registrar, &reference_convert_kernel);
}

TN_PLUGIN(reference, .version = "1.0", .licence = "MIT",
          .description = "The oracle: portable C that follows the definitions", .load = load);
