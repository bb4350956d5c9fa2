/* Prologue fusion: a node whose output only the first input of another reads moves into the prologue
 * of that one, with its own epilogue, where the other's kernel offers to make what it reads.
 *
 *     expand [relu1] ─▶ depthwise [relu2] ─▶ …        [expand relu1] depthwise [relu2] ─▶ …
 *
 * In: placed steps with their epilogues. Out: steps with prologues, `gone` steps. Both are of one
 * backend before, so that placement stays what the user asked for.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

/* `reader` would take `maker` into its prologue. */
typedef struct attempt {
    tn_plan *plan;
    tn_plan_step *reader, *maker;
} attempt;

/* Alone in making one output that nobody but the reader's first input can see. */
static bool can_move(const attempt *a)
{
    const tn_plan_step *maker = a->maker;
    const tn_value_view *value = tn_graph_value(a->plan->compile->graph, a->reader->input_ids[0]);
    if (value->use_count != 1 || value->output_count || maker->kind != TN_STEP_KERNEL ||
        maker->gone || maker->host_step_count || maker->problem.prologue_count ||
        maker->capture_count || !maker->input_count || maker->input_ids[0] == TN_NONE ||
        (maker->op->def.traits & TN_NONDETERMINISTIC) ||
        maker->kernel->backend != a->reader->kernel->backend)
        return false;
    for (uint32_t k = 1; k < maker->output_count; k++)
        if (maker->output_ids[k] != TN_NONE)
            return false;
    return true;
}

/* Where input k of the maker stands among those of both: the first one is what is read now, the
 * others stand behind the reader's. */
static int32_t moved(const attempt *a, int32_t k)
{
    return k > 0 ? (int32_t)a->reader->input_count + k - 1 : k;
}

/* The maker's own node as a step. */
static bool describe_node(const attempt *a, tn_step *step)
{
    const tn_plan_step *maker = a->maker;
    const uint32_t count = maker->problem.own_count;
    int32_t *inputs = tn_pool_alloc(&a->plan->pool, (count + 1) * sizeof *inputs);
    uint32_t *spreads = tn_pool_alloc(&a->plan->pool, (count + 1) * sizeof *spreads);
    if (!inputs || !spreads)
        return false;
    *step = (tn_step){ .size = sizeof *step,
                       .node = maker->view,
                       .operand = -1,
                       .spread = TN_SPREAD_OTHER,
                       .input_count = count,
                       .version = maker->op->def.since,
                       .inputs = inputs,
                       .spreads = spreads };
    for (uint32_t k = 0; k < count; k++) {
        inputs[k] = k == 0 || maker->input_ids[k] == TN_NONE ? -1 : moved(a, (int32_t)k);
        spreads[k] = TN_SPREAD_OTHER;
        if (step->operand < 0)
            step->operand = inputs[k];
    }
    return true;
}

/* A step of its epilogue: the same, with its operands where they stand now. */
static bool describe_step(const attempt *a, const tn_step *from, tn_step *step)
{
    int32_t *inputs = tn_pool_dup(&a->plan->pool, from->inputs,
                                  (from->input_count + 1) * sizeof *inputs);
    if (!inputs)
        return false;
    for (uint32_t k = 0; k < from->input_count; k++)
        inputs[k] = moved(a, inputs[k]);
    *step = *from;
    step->operand = moved(a, from->operand);
    step->inputs = inputs;
    return true;
}

static bool join_inputs(const attempt *a, tn_plan_step *both)
{
    const tn_plan_step *reader = a->reader, *maker = a->maker;
    both->input_count = reader->input_count + maker->input_count - 1;
    both->input_ids = tn_pool_alloc(&a->plan->pool, both->input_count * sizeof(tn_value_id));
    if (!both->input_ids)
        return false;
    memcpy(both->input_ids, reader->input_ids, reader->input_count * sizeof(tn_value_id));
    memcpy(both->input_ids + reader->input_count, maker->input_ids + 1,
           (maker->input_count - 1) * sizeof(tn_value_id));
    both->input_ids[0] = maker->input_ids[0];
    return true;
}

static bool join(const attempt *a, tn_plan_step *both)
{
    const tn_plan_step *maker = a->maker;
    const uint32_t count = 1 + maker->problem.step_count;
    both->prologue = tn_pool_alloc(&a->plan->pool, count * sizeof *both->prologue);
    both->prefixed = tn_pool_alloc(&a->plan->pool, count * sizeof *both->prefixed);
    if (!both->prologue || !both->prefixed || !join_inputs(a, both) ||
        !describe_node(a, &both->prologue[0]))
        return false;
    both->prefixed[0] = maker->node;
    for (uint32_t k = 1; k < count; k++) {
        both->prefixed[k] = maker->fused[k - 1];
        if (!describe_step(a, &maker->steps[k - 1], &both->prologue[k]))
            return false;
    }
    both->problem.prologue_count = count;
    return true;
}

static void try_join(const attempt *a)
{
    char reason[256];
    tn_plan_step both = *a->reader;
    if (!can_move(a) || !join(a, &both) || tn_problem_make(a->plan, &both) != TN_OK ||
        tn_kernel_offer(a->plan->compile, both.kernel, &both.problem, &both.seconds,
                        &both.algorithm, reason, sizeof reason) != TN_OK)
        return;
    *a->reader = both;
    a->maker->gone = true;
    a->maker->kernel = NULL;
}

static bool takes_prologue(const tn_plan_step *step, const tn_bars *bars)
{
    return step->kind == TN_STEP_KERNEL && !step->gone &&
           (step->kernel->def.flags & TN_KERNEL_PROLOGUE) && step->kernel->def.offer &&
           !step->host_step_count && !step->capture_count && step->input_count &&
           step->input_ids[0] != TN_NONE && !tn_bars_find(bars, step->node, NULL);
}

tn_status tn_fuse_prologues(tn_plan *plan, const tn_bars *bars)
{
    const uint32_t slots = tn_graph_value_slots(plan->compile->graph) + 1;
    if (plan->compile->flags & TN_SESSION_NO_FUSION)
        return TN_OK;
    uint32_t *maker_of = tn_pool_alloc(&plan->pool, slots * sizeof *maker_of);
    if (!maker_of)
        return tn_raise_memory();
    memset(maker_of, 0xff, slots * sizeof *maker_of);
    for (uint32_t k = 0; k < plan->step_count; k++) {
        tn_plan_step *step = &plan->steps[k];
        if (step->gone)
            continue;
        if (takes_prologue(step, bars)) {
            const uint32_t maker = maker_of[tn_slot_of(step->input_ids[0])];
            if (maker != TN_NONE)
                try_join(&(attempt){ plan, step, &plan->steps[maker] });
        }
        if (step->output_count && step->output_ids[0] != TN_NONE)
            maker_of[tn_slot_of(step->output_ids[0])] = k;
    }
    return TN_OK;
}
