/* plugins/movement/plugin.c: what this shared object offers.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(concat_register(registrar));
    TN_TRY(split_register(registrar));
    TN_TRY(slice_register(registrar));
    TN_TRY(transpose_register(registrar));
    TN_TRY(gather_register(registrar));
    TN_TRY(expand_register(registrar));
    TN_TRY(pad_register(registrar));
    TN_TRY(elements_register(registrar));
    TN_TRY(nd_register(registrar));
    TN_TRY(tensor_scatter_register(registrar));
    TN_TRY(tile_register(registrar));
    TN_TRY(trilu_register(registrar));
    TN_TRY(block_register(registrar));
    TN_TRY(reverse_register(registrar));
    TN_TRY(crop_register(registrar));
    TN_TRY(col2im_register(registrar));
    TN_TRY(eye_register(registrar));
    return one_hot_register(registrar);
}

TN_PLUGIN(movement, .version = "1.0", .licence = "MIT",
          .description = "Operators that move elements: Concat, Slice, Transpose, Gather, Pad, …",
          .load = load);
