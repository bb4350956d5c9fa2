/* plugins/cleanup/plugin.c: the entry of the plugin `cleanup`: passes that take away what does nothing,
 * or does in two nodes what one can.
 *
 * SPDX-License-Identifier: MIT */
#include "cleanup.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(drop_before_shape_register(registrar));
    TN_TRY(inline_if_register(registrar));
    TN_TRY(merge_transposes_register(registrar));
    TN_TRY(merge_reshapes_register(registrar));
    TN_TRY(merge_casts_register(registrar));
    TN_TRY(merge_concats_register(registrar));
    TN_TRY(join_split_register(registrar));
    TN_TRY(merge_slices_register(registrar));
    TN_TRY(merge_clips_register(registrar));
    TN_TRY(merge_pads_register(registrar));
    return merge_expands_register(registrar);
}

TN_PLUGIN(cleanup, .version = "1.0", .licence = "MIT",
          .description = "Passes that take away nodes that do nothing", .load = load);
