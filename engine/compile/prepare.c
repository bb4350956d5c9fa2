/* Prepare: constants are packed and the kernels make their objects, for the chosen alternatives.
 *
 * In: a plan with layouts and memory. Out: the same, ready to run.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"
#include "tenon/packing.h"

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

/* ---- what kernels tell while they pack ---------------------------------------------------------- */

/* The step that this thread prepares. */
typedef struct packing_step {
    const tn_plan *plan;
    const uint32_t *last;
    uint32_t step;
} packing_step;
static _Thread_local const packing_step *now;

/* Whether step `now` is the last of its plan to read a copy that may go. What is mapped comes again. */
static bool is_last_reader(const tn_constant *constant)
{
    if (!tn_constant_can_go(constant))
        return true;
    for (uint32_t h = 0; h < now->plan->held.count; h++)
        if (now->plan->held.items[h] == constant)
            return now->last[h] == now->step;
    return false;
}

static bool lies_in(const tn_tensor *tensor, const void *data, size_t bytes)
{
    const uintptr_t at = (uintptr_t)data - (uintptr_t)tensor->data;
    return at <= tensor->bytes && bytes <= tensor->bytes - at;
}

static void consumed(tn_call *call, const void *data, size_t bytes)
{
    (void)call;
    if (!now)
        return; /* not in a plan's prepare: nothing is known of other readers */
    const tn_plan_step *step = &now->plan->steps[now->step];
    for (uint32_t k = 0; k < step->problem.input_count; k++) {
        if (!step->problem.constants[k] || !lies_in(step->problem.constants[k], data, bytes))
            continue;
        tn_constant *constant = tn_graph_constant(now->plan->compile->graph, step->input_ids[k]);
        if (is_last_reader(constant))
            tn_constant_consume(constant, data, bytes);
        return;
    }
}

const void *tn_compile_extension(const tn_host *host, const char *id)
{
    static const tn_packing packing = { .size = sizeof packing, .consumed = consumed };
    (void)host;
    return strcmp(id, TN_PACKING) == 0 ? &packing : NULL;
}

/* ---- steps, one by one --------------------------------------------------------------------------- */

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
        const packing_step step = { plan, last, s };
        tn_status status = TN_OK;
        now = &step;
        if (plan->steps[s].kind == TN_STEP_KERNEL)
            status = prepare_step(plan, &plan->steps[s], diagnostics);
        now = NULL;
        TN_TRY(status);
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
