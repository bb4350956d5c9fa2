/* reference.h: what the files of this backend tell each other.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_BACKEND_REFERENCE_H
#define TENON_BACKEND_REFERENCE_H

#include "tenon/plugin.h"

extern const tn_operator_def reference_convert_operator;
extern const tn_kernel_def reference_convert_kernel;

#endif
