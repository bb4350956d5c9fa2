/* plugins/motion/plugin.c: the entry of the plugin `motion`: passes that order work anew.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(einsum_to_matmul_register(registrar));
    TN_TRY(gather_to_slice_register(registrar));
    TN_TRY(push_transposes_register(registrar));
    TN_TRY(transpose_to_reshape_register(registrar));
    TN_TRY(push_reshapes_register(registrar));
    TN_TRY(drop_channel_shuffle_register(registrar));
    TN_TRY(widen_concat_register(registrar));
    TN_TRY(matrix_chain_register(registrar));
    return merge_matmuls_register(registrar);
}

TN_PLUGIN(motion, .version = "1.0", .licence = "MIT", .description = "Passes that order work anew",
          .load = load);
