/* A shared object that is no plugin.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

extern TN_EXPORT const int no_plugin_at_all;
const int no_plugin_at_all = 1;
