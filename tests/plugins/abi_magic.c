/* A symbol of the right name that is no entry: its magic is another.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

extern TN_EXPORT const struct tn_plugin_entry tn_plugin_entry;
const struct tn_plugin_entry tn_plugin_entry = { .magic = 0x1234, .name = "abi_magic" };
