/* Prepare: constants are packed and the kernels make their objects, for the chosen alternatives.
 *
 * In: a plan with layouts and memory. Out: the same, ready to run.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

tn_status tn_prepare_all(tn_plan *plan, tn_diagnostics *diagnostics)
{
    for (uint32_t s = 0; s < plan->step_count; s++) {
        tn_plan_step *step = &plan->steps[s];
        if (step->kind != TN_STEP_KERNEL)
            continue;
        const tn_status status = tn_kernel_prepare(plan->compile, step, &plan->pool);
        if (status != TN_OK)
            return tn_plan_diagnose(plan->compile, step->node, status, tn_error_message(),
                                    diagnostics);
        const tn_alternative *chosen = &step->alternatives[step->chosen];
        for (uint32_t k = 0; k < chosen->pack_count; k++)
            plan->pack_bytes += chosen->packs[k].bytes;
    }
    return TN_OK;
}
