/* Placement: the first backend of the session's list whose kernel offers a node gets it. The list
 * is also the permission: there is no silent fallback.
 *
 * In: steps without kernels. Out: step->kernel, and step->reasons of those that declined.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#include <stdio.h>

#define MAX_KERNELS 16

tn_status tn_plan_diagnose(const tn_compile *compile, tn_node_id node, tn_status status,
                           const char *message, tn_diagnostics *diagnostics)
{
    tn_diagnostic what = { .size = sizeof what, .severity = TN_SEVERITY_ERROR, .status = status };
    char text[1024];
    snprintf(text, sizeof text, "%s", message); /* often this thread's message, soon overwritten */
    if (node != TN_NONE)
        tn_graph_locate(compile->graph, node, NULL, &what);
    what.status = status;
    what.message = text;
    return tn_diagnose(diagnostics, &what);
}

const tn_bar *tn_bars_find(const tn_bars *bars, tn_node_id node, const tn_kernel *kernel)
{
    for (uint32_t k = 0; k < bars->count; k++)
        if (bars->items[k].node == node && bars->items[k].kernel == kernel)
            return &bars->items[k];
    return NULL;
}

static bool is_empty(const tn_type *type)
{
    int64_t count = 1;
    return type && tn_type_is_known(type) &&
           tn_shape_count(type->rank, type->dims, &count) == TN_OK && count == 0;
}

/* Extents of 0 never reach a kernel that did not ask for them. */
static bool fits_empty(const tn_problem *problem, const tn_kernel *kernel)
{
    bool empty = false, wanted = false;
    if (kernel->def.flags & TN_KERNEL_EMPTY)
        return true;
    for (uint32_t k = 0; k < problem->input_count; k++)
        empty |= is_empty(problem->inputs[k]);
    for (uint32_t k = 0; k < problem->output_count; k++)
        wanted |= problem->outputs[k] && !is_empty(problem->outputs[k]);
    return !empty || !wanted;
}

/* A step whose shapes are not known takes only a plain yes: nobody could ask again while running. */
static bool ask(const tn_plan *plan, tn_plan_step *step, const tn_kernel *kernel,
                const tn_bars *bars, tn_builder *reasons)
{
    char reason[256] = "";
    const tn_bar *bar = tn_bars_find(bars, step->node, kernel);
    tn_status status = TN_DECLINED;
    if (bar)
        snprintf(reason, sizeof reason, "%s", bar->reason);
    else if (!fits_empty(&step->problem, kernel))
        snprintf(reason, sizeof reason, "takes no empty tensors");
    else
        status = tn_kernel_offer(plan->compile, kernel, &step->problem, &step->seconds,
                                 &step->algorithm, reason, sizeof reason);
    if (status == TN_OK || (status == TN_NEEDS_SHAPES && step->kind == TN_STEP_KERNEL))
        return true;
    tn_add(reasons, "%s%s: %s", reasons->count ? "; " : "", kernel->def.backend, reason);
    return false;
}

tn_backend *tn_compile_backend(const tn_compile *compile, uint32_t k)
{
    tn_backend *backend;
    return tn_registry_backend(compile->registry, compile->backends[k], compile->threads,
                               &backend) == TN_OK
               ? backend
               : NULL;
}

static bool try_backend(const tn_plan *plan, tn_plan_step *step, const tn_backend *backend,
                        const tn_bars *bars, tn_builder *reasons)
{
    const tn_kernel *kernels[MAX_KERNELS];
    uint32_t count = tn_registry_kernels(plan->compile->registry, backend->def.name,
                                         step->op->def.domain, step->op->def.name,
                                         step->op->def.since, kernels, MAX_KERNELS);
    if (!count)
        tn_add(reasons, "%s%s: has no kernel for it", reasons->count ? "; " : "",
               backend->def.name);
    for (uint32_t k = 0; k < count && k < MAX_KERNELS; k++)
        if (ask(plan, step, kernels[k], bars, reasons)) {
            step->kernel = kernels[k];
            return true;
        }
    return false;
}

static const tn_backend *override_of(const tn_compile *compile, const char *name)
{
    for (uint32_t k = 0; k < compile->override_count; k++)
        if (tn_glob(compile->overrides[k].pattern, name))
            return compile->overrides[k].backend;
    return NULL;
}

static tn_status place_step(tn_plan *plan, tn_plan_step *step, const tn_bars *bars,
                            tn_diagnostics *diagnostics)
{
    const tn_compile *compile = plan->compile;
    const tn_backend *only = override_of(compile, step->view->name);
    tn_builder reasons = { 0 };
    bool placed = false;
    tn_status status = TN_OK;
    if (only)
        placed = try_backend(plan, step, only, bars, &reasons);
    for (uint32_t k = 0; !only && !placed && k < compile->backend_count; k++) {
        const tn_backend *backend = tn_compile_backend(compile, k);
        if (backend)
            placed = try_backend(plan, step, backend, bars, &reasons);
        else
            tn_add(&reasons, "%s%s", reasons.count ? "; " : "", tn_error_message());
    }
    step->reasons = tn_pool_copy(&plan->pool, tn_builder_text(&reasons));
    if (!placed) {
        tn_builder text = { 0 };
        tn_add(&text, "no backend of the list offers it: %s", tn_builder_text(&reasons));
        status = tn_plan_diagnose(compile, step->node, TN_ERR_UNPLACED, tn_builder_text(&text),
                                  diagnostics);
        tn_builder_fini(&text);
    } else if (!step->reasons || reasons.failed) {
        status = tn_raise_memory();
    }
    tn_builder_fini(&reasons);
    return status;
}

tn_status tn_place(tn_plan *plan, const tn_bars *bars, tn_diagnostics *diagnostics)
{
    tn_status status = TN_OK;
    for (uint32_t k = 0; k < plan->step_count; k++) {
        tn_plan_step *step = &plan->steps[k];
        if (step->op->def.traits & TN_RESHAPES) {
            step->algorithm = "view"; /* of the same elements: no kernel runs */
            continue;
        }
        const tn_status placed = place_step(plan, step, bars, diagnostics);
        status = status == TN_OK ? placed : status; /* all nodes that nobody offers, in one go */
    }
    return status;
}
