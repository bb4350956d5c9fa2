/* An entry that is smaller than any that ABI 1.0 knows.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

extern TN_EXPORT const struct tn_plugin_entry tn_plugin_entry;
const struct tn_plugin_entry tn_plugin_entry = {
    .magic = TN_ABI_MAGIC, .abi_major = TN_ABI_MAJOR, .size = 32, .name = "abi_size"
};
