/* A plugin of another ABI. Its load must never be called.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

#include <stdlib.h>

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    (void)registrar;
    abort();
}

extern TN_EXPORT const struct tn_plugin_entry tn_plugin_entry;
const struct tn_plugin_entry tn_plugin_entry = { .magic = TN_ABI_MAGIC,
                                                 .abi_major = 99,
                                                 .size = sizeof(struct tn_plugin_entry),
                                                 .name = "abi_old_major",
                                                 .load = load };
