/* Prepare: constants are packed and the kernels make their objects, for the chosen alternatives.
 *
 * In: a plan with layouts and memory. Out: the same, ready to run.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

static size_t bytes_of_packs(const tn_plan *plan)
{
    size_t bytes = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        const tn_alternative *chosen = &step->alternatives[step->chosen];
        for (uint32_t k = 0; step->kind == TN_STEP_KERNEL && k < chosen->pack_count; k++)
            bytes += tn_align(chosen->packs[k].bytes, 64);
    }
    return bytes;
}

/* last[h]: the last step that has held constant h among its inputs. Conversions read what they convert
 * while layouts are chosen, if that is constant. */
static void find_last_readers(const tn_plan *plan, uint32_t *last)
{
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        for (uint32_t k = 0; step->input_ids && k < step->input_count; k++) {
            const tn_constant *constant = step->input_ids[k] == TN_NONE
                                              ? NULL
                                              : tn_graph_constant(plan->compile->graph,
                                                                  step->input_ids[k]);
            for (uint32_t h = 0; constant && h < plan->held.count; h++)
                if (plan->held.items[h] == constant)
                    last[h] = s;
        }
    }
}

static tn_status prepare_step(tn_plan *plan, tn_plan_step *step, tn_diagnostics *diagnostics)
{
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    const tn_status status = tn_kernel_prepare(plan->compile, step, &plan->pool);
    if (status != TN_OK)
        return tn_plan_diagnose(plan->compile, step->node, status, tn_error_message(), diagnostics);
    for (uint32_t k = 0; k < chosen->pack_count; k++)
        plan->pack_bytes += chosen->packs[k].bytes;
    return TN_OK;
}

/* A constant goes as soon as its last reader has what it wants of it. */
static tn_status prepare_steps(tn_plan *plan, tn_diagnostics *diagnostics)
{
    uint32_t *last = tn_pool_alloc(&plan->pool, (plan->held.count + 1) * sizeof *last);
    if (!last)
        return tn_raise_memory();
    find_last_readers(plan, last);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].kind == TN_STEP_KERNEL)
            TN_TRY(prepare_step(plan, &plan->steps[s], diagnostics));
        for (uint32_t h = 0; h < plan->held.count; h++)
            if (last[h] == s)
                tn_holds_drop(&plan->held, h);
    }
    tn_holds_fini(&plan->held);
    return TN_OK;
}

tn_status tn_prepare_all(tn_plan *plan, tn_diagnostics *diagnostics)
{
    tn_packs_reserve(plan->compile->packs, bytes_of_packs(plan));
    const tn_status status = prepare_steps(plan, diagnostics);
    tn_packs_reserve(plan->compile->packs, 0);
    return status;
}
