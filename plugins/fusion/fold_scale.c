/* plugins/fusion/fold_scale.c: Mul and Div by constants into the weights of a linear node.
 *
 * One element, or one for each channel: binary.c reads it, affine.c folds it.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

tn_status fold_scale_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Mul", "Div", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){
            .size = sizeof(tn_pass_def),
            .phase = TN_PHASE_FOLD,
            .order = 20,
            .exactness = TN_EXACT_ROUNDING,
            .name = "fold_scale",
            .doc = "Folds a constant factor for each channel into the Conv, ConvTranspose, Gemm or "
                   "MatMul before it, or behind it.",
            .roots = roots,
            .match = affine_match_binary });
}
