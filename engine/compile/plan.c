/* Makes a plan: the stages in their order, repeated when a measure declines.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

/* Every repetition bars one kernel of one node, or its epilogue, so this bounds a plugin that
 * always declines; a graph gets there only with that many broken kernels. */
#define MAX_REPEATS 10000

static void plan_fini(tn_plan *plan)
{
    tn_slicing_fini(plan->batch);
    for (uint32_t s = 0; s < plan->step_count; s++)
        tn_kernel_finish(&plan->steps[s]);
    for (uint32_t v = 0; v < plan->value_count; v++)
        tn_pack_unref(plan->values[v].pack);
    tn_free(plan->steps);
    tn_free(plan->values);
    tn_free(plan->blocks);
    tn_holds_fini(&plan->held);
    tn_shapes_fini(&plan->shapes);
    tn_pool_fini(&plan->pool);
    tn_free(plan);
}

tn_status tn_plan_reserve_value(tn_plan *plan)
{
    struct {
        tn_plan_value *items;
        uint32_t count, capacity;
    } list = { plan->values, plan->value_count, plan->value_capacity };
    if (!TN_GROW(&list))
        return tn_raise_memory();
    plan->values = list.items;
    plan->value_capacity = list.capacity;
    return TN_OK;
}

/* Kernels may read constants until they are prepared. */
static tn_status hold_constants(tn_plan *plan)
{
    for (uint32_t s = 0; s < plan->step_count; s++)
        for (uint32_t k = 0; k < plan->steps[s].problem.input_count; k++)
            if (plan->steps[s].problem.constants[k])
                TN_TRY(tn_holds_add(&plan->held, tn_graph_constant(plan->compile->graph,
                                                                   plan->steps[s].input_ids[k])));
    return TN_OK;
}

static tn_status make(tn_plan *plan, const tn_type *inputs, uint32_t input_count, tn_bars *bars,
                      tn_diagnostics *diagnostics)
{
    TN_TRY(tn_bind(plan, inputs, input_count, diagnostics));
    TN_TRY(hold_constants(plan));
    TN_TRY(tn_place(plan, bars, diagnostics));
    TN_TRY(tn_fuse(plan, bars));
    TN_TRY(tn_fuse_prologues(plan, bars));
    TN_TRY(tn_choose_layouts(plan, bars, diagnostics));
    TN_TRY(tn_make_views(plan));
    TN_TRY(tn_plan_memory(plan));
    if (plan->compile->limits.arena_bytes && plan->arena_bytes > plan->compile->limits.arena_bytes)
        return tn_raise(TN_ERR_LIMIT,
                        "the plan needs an arena of %zu bytes; the budget is %" PRIu64,
                        plan->arena_bytes, plan->compile->limits.arena_bytes);
    /* Asks operators, which may look at constants: these go when they are packed. */
    TN_TRY(tn_plan_slicing(plan));
    return tn_prepare_all(plan, diagnostics);
}

tn_status tn_plan_create(const tn_compile *compile, tn_region_id region, const tn_type *inputs,
                         uint32_t input_count, tn_diagnostics *diagnostics, tn_plan **out)
{
    tn_bars bars = { 0 };
    tn_status status = TN_DECLINED;
    for (uint32_t repeat = 0; status == TN_DECLINED && repeat < MAX_REPEATS; repeat++) {
        tn_plan *plan = tn_alloc(1, sizeof *plan);
        if (!plan) {
            status = tn_raise_memory();
            break;
        }
        plan->refs = 1;
        plan->compile = compile;
        plan->region = region;
        status = make(plan, inputs, input_count, &bars, diagnostics);
        if (status == TN_OK)
            *out = plan;
        else
            plan_fini(plan);
    }
    for (uint32_t k = 0; k < bars.count; k++)
        tn_free(bars.items[k].reason);
    tn_free(bars.items);
    return status == TN_DECLINED ? tn_raise(TN_ERR_LIMIT, "kernels declined %d plans", MAX_REPEATS)
                                 : status;
}

tn_plan *tn_plan_ref(tn_plan *plan)
{
    __atomic_add_fetch(&plan->refs, 1, __ATOMIC_RELAXED);
    return plan;
}

void tn_plan_unref(tn_plan *plan)
{
    if (plan && __atomic_sub_fetch(&plan->refs, 1, __ATOMIC_ACQ_REL) == 0)
        plan_fini(plan);
}

size_t tn_plan_bytes(const tn_plan *plan)
{
    return plan->step_count * sizeof(tn_plan_step) + plan->value_count * sizeof(tn_plan_value) +
           plan->shapes.count * sizeof(tn_type) + plan->pack_bytes +
           (plan->batch ? tn_plan_bytes(plan->batch->plan) : 0) +
           (plan->batch && plan->batch->rest ? tn_plan_bytes(plan->batch->rest) : 0);
}

/* ---- what other stages ask of steps -------------------------------------------------------------- */

bool tn_is_packed(const tn_alternative *alternative, uint32_t input)
{
    for (uint32_t k = 0; k < alternative->pack_count; k++)
        for (uint32_t s = 0; s < alternative->packs[k].source_count; s++)
            if (alternative->packs[k].sources[s] == input)
                return true;
    return false;
}

static void add_cost(const tn_plan *plan, tn_node_id node, tn_cost *sum)
{
    tn_cost cost = { .size = sizeof cost };
    if (tn_infer_cost(plan->compile->registry, plan->compile->graph, node, &plan->shapes, &cost) !=
        TN_OK)
        return;
    sum->macs += cost.macs;
    sum->ops += cost.ops;
}

tn_cost tn_step_cost(const tn_plan *plan, const tn_plan_step *step)
{
    tn_cost sum = { .size = sizeof sum };
    if (step->node != TN_NONE && step->kind != TN_STEP_DYNAMIC)
        add_cost(plan, step->node, &sum);
    for (uint32_t k = 0; k < step->problem.step_count; k++)
        add_cost(plan, step->fused[k], &sum);
    for (uint32_t k = 0; k < step->problem.prologue_count; k++)
        add_cost(plan, step->prefixed[k], &sum);
    return sum;
}
