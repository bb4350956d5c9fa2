/* plugins/fusion/fold_shift.c: Add and Sub of constants into the weights of a linear node.
 *
 * One element, or one for each channel: binary.c reads it, affine.c folds it.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

tn_status fold_shift_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Add", "Sub", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){
            .size = sizeof(tn_pass_def),
            .phase = TN_PHASE_FOLD,
            .order = 30,
            .exactness = TN_EXACT_ROUNDING,
            .name = "fold_shift",
            .doc =
                "Folds a constant summand for each channel into the Conv, ConvTranspose, Gemm or "
                "MatMul before it, or behind it.",
            .roots = roots,
            .match = affine_match_binary });
}
