/* plugins/vision/plugin.c: the entry of the plugin `vision`.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(resize_register(registrar));
    TN_TRY(upsample_register(registrar));
    TN_TRY(grid_sample_register(registrar));
    TN_TRY(affine_grid_register(registrar));
    TN_TRY(roi_align_register(registrar));
    TN_TRY(max_roi_pool_register(registrar));
    TN_TRY(non_max_suppression_register(registrar));
    return deform_conv_register(registrar);
}

TN_PLUGIN(vision, .version = "1.0", .licence = "MIT",
          .description = "Resize, sampling at points and in regions, boxes", .load = load);
