/* Epilogue fusion: an elementwise node that alone reads what another makes moves into the epilogue
 * of that one, where the placed kernel takes it.
 *
 *     conv1 ─▶ relu1 ─▶ …        conv1 [relu1] ─▶ …
 *
 * In: placed steps. Out: longer epilogues, `gone` steps. The fused step stands where the last of
 * its nodes stood, so that all operands exist by then.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#define MAX_STEPS 8

/* What is known of one attempt: `head` runs, `tail` would move into its epilogue. */
typedef struct attempt {
    tn_plan *plan;
    tn_plan_step *head, *tail;
    tn_value_id chain;
    uint32_t chain_input;
} attempt;

static bool same_type(const tn_type *a, const tn_type *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* The one step that reads `value`, when nobody else can see it. */
static tn_plan_step *only_reader(tn_plan *plan, const uint32_t *step_of, tn_value_id value,
                                 uint32_t *input)
{
    const tn_value_view *view = tn_graph_look(plan->compile->graph, value);
    tn_node_id node;
    if (view->use_count != 1 || view->output_count ||
        tn_graph_use(plan->compile->graph, value, 0, &node, input) != TN_OK)
        return NULL;
    const uint32_t index = step_of[tn_slot_of(node)];
    return index == TN_NONE || plan->steps[index].view->region != plan->region
               ? NULL
               : &plan->steps[index];
}

static tn_value_id only_output(const tn_plan_step *step)
{
    tn_value_id found = TN_NONE;
    for (uint32_t k = 0; k < step->output_count; k++) {
        if (step->output_ids[k] == TN_NONE)
            continue;
        if (k > 0 || found != TN_NONE)
            return TN_NONE;
        found = step->output_ids[k];
    }
    return found;
}

static bool can_move(const attempt *a)
{
    const tn_plan_step *head = a->head, *tail = a->tail;
    return tail->kind == TN_STEP_KERNEL && !tail->gone && tail->problem.step_count == 0 &&
           (tail->op->def.traits & TN_ELEMENTWISE) &&
           !(tail->op->def.traits & TN_NONDETERMINISTIC) && only_output(tail) != TN_NONE &&
           head->problem.step_count < MAX_STEPS &&
           same_type(tn_plan_type(a->plan, a->chain), tn_plan_type(a->plan, only_output(tail)));
}

static uint32_t spread_of(const tn_type *operand, const tn_type *out)
{
    int64_t count = 0;
    if (same_type(operand, out))
        return TN_SPREAD_FULL;
    if (tn_shape_count(operand->rank, operand->dims, &count) == TN_OK && count == 1)
        return TN_SPREAD_SCALAR;
    const int32_t channel = operand->rank - (out->rank - 1); /* where the output's axis 1 falls */
    if (out->rank < 2 || channel < 0)
        return TN_SPREAD_OTHER;
    for (int32_t axis = 0; axis < operand->rank; axis++)
        if (operand->dims[axis] != (axis == channel ? out->dims[1] : 1))
            return TN_SPREAD_OTHER;
    return TN_SPREAD_CHANNEL;
}

/* Describes the tail as a step; its operands become inputs of the head. */
static bool describe(const attempt *a, tn_plan_step *fused, tn_step *step)
{
    const tn_plan_step *tail = a->tail;
    tn_pool *pool = &a->plan->pool;
    int32_t *inputs = tn_pool_alloc(pool, (tail->input_count + 1) * sizeof *inputs);
    uint32_t *spreads = tn_pool_alloc(pool, (tail->input_count + 1) * sizeof *spreads);
    if (!inputs || !spreads)
        return false;
    *step = (tn_step){ .size = sizeof *step,
                       .chain_input = a->chain_input,
                       .node = tail->view,
                       .operand = -1,
                       .input_count = tail->input_count,
                       .version = tail->op->def.since,
                       .inputs = inputs,
                       .spreads = spreads };
    for (uint32_t k = 0; k < tail->input_count; k++) {
        inputs[k] = -1;
        if (k == a->chain_input || tail->input_ids[k] == TN_NONE)
            continue;
        inputs[k] = (int32_t)fused->input_count;
        spreads[k] = spread_of(tn_plan_type(a->plan, tail->input_ids[k]),
                               tn_plan_type(a->plan, only_output(tail)));
        fused->input_ids[fused->input_count++] = tail->input_ids[k];
        if (step->operand < 0) {
            step->operand = inputs[k];
            step->spread = spreads[k];
        }
    }
    return true;
}

/* A longer copy of the head's arrays, with the tail's output as its own. */
static bool extend(const attempt *a, tn_plan_step *fused)
{
    const tn_plan_step *head = a->head;
    tn_pool *pool = &a->plan->pool;
    const uint32_t steps = head->problem.step_count;
    fused->input_ids = tn_pool_alloc(pool, (head->input_count + a->tail->input_count + 1) *
                                               sizeof(tn_value_id));
    fused->steps = tn_pool_alloc(pool, (steps + 1) * sizeof(tn_step));
    fused->fused = tn_pool_alloc(pool, (steps + 1) * sizeof(tn_node_id));
    fused->output_ids = tn_pool_dup(pool, head->output_ids,
                                    (head->output_count + 1) * sizeof(tn_value_id));
    if (!fused->input_ids || !fused->steps || !fused->fused || !fused->output_ids)
        return false;
    if (head->input_count)
        memcpy(fused->input_ids, head->input_ids, head->input_count * sizeof(tn_value_id));
    if (steps) {
        memcpy(fused->steps, head->steps, steps * sizeof(tn_step));
        memcpy(fused->fused, head->fused, steps * sizeof(tn_node_id));
    }
    fused->fused[steps] = a->tail->node;
    fused->output_ids[0] = only_output(a->tail);
    if (!describe(a, fused, &fused->steps[steps]))
        return false;
    fused->problem.step_count = steps + 1;
    return true;
}

/* A kernel that takes any epilogue lets the host run the step's own kernel in place: there must be
 * one on the same backend. */
static const tn_kernel *host_kernel(const attempt *a)
{
    const tn_kernel *found[1];
    const tn_operator *op = a->tail->op;
    if (!tn_registry_kernels(a->plan->compile->registry, a->head->kernel->def.backend,
                             op->def.domain, op->def.name, op->def.since, found, 1))
        return NULL;
    const tn_kernel *kernel = found[0];
    const bool simple = !kernel->def.measure && !kernel->def.prepare && !kernel->def.attach &&
                        !kernel->def.offer;
    return simple && (kernel->def.flags & TN_KERNEL_IN_PLACE) ? kernel : NULL;
}

static bool offered(const attempt *a, tn_plan_step *fused)
{
    char reason[256];
    const char *algorithm;
    double seconds;
    if (a->head->kernel->def.flags & TN_KERNEL_ANY_STEPS) {
        const tn_kernel *kernel = host_kernel(a);
        tn_host_step *steps = tn_pool_alloc(&a->plan->pool,
                                            fused->problem.step_count * sizeof *steps);
        if (!kernel || !steps)
            return false;
        if (a->head->host_step_count)
            memcpy(steps, a->head->host_steps, a->head->host_step_count * sizeof *steps);
        const tn_step *last = &fused->steps[fused->problem.step_count - 1];
        steps[fused->host_step_count++] = (tn_host_step){
            kernel, last->node, a->tail->node, last->chain_input, last->input_count, last->inputs
        };
        fused->host_steps = steps;
        return true;
    }
    if (!a->head->kernel->def.offer ||
        tn_kernel_offer(a->plan->compile, a->head->kernel, &fused->problem, &seconds, &algorithm,
                        reason, sizeof reason) != TN_OK)
        return false;
    fused->seconds = seconds;
    fused->algorithm = algorithm;
    return true;
}

/* What the host would apply saves nothing, and a join or cut without it may become a view. */
static bool is_better_alone(const tn_plan_step *head)
{
    return head->op->def.pieces && (head->kernel->def.flags & TN_KERNEL_ANY_STEPS);
}

/* Both nodes on one backend by the user's override stay apart when the overrides differ. */
static bool same_override(const attempt *a)
{
    const tn_compile *compile = a->plan->compile;
    for (uint32_t k = 0; k < compile->override_count; k++)
        if (tn_glob(compile->overrides[k].pattern, a->tail->view->name))
            return a->tail->kernel->backend == a->head->kernel->backend;
    return true;
}

/* The fused step takes the tail's place in the order. */
static tn_plan_step *try_fuse(attempt *a)
{
    tn_plan_step fused = *a->head;
    if (!can_move(a) || is_better_alone(a->head) || !same_override(a) || !extend(a, &fused) ||
        tn_problem_make(a->plan, &fused) != TN_OK || !offered(a, &fused))
        return NULL;
    *a->tail = fused;
    a->head->gone = true;
    a->head->kernel = NULL;
    return a->tail;
}

tn_status tn_fuse(tn_plan *plan, const tn_bars *bars)
{
    const uint32_t slots = tn_graph_node_slots(plan->compile->graph);
    uint32_t *step_of = tn_pool_alloc(&plan->pool, (slots + 1) * sizeof *step_of);
    if (!step_of)
        return tn_raise_memory();
    memset(step_of, 0xff, (slots + 1) * sizeof *step_of);
    for (uint32_t k = 0; k < plan->step_count; k++)
        step_of[tn_slot_of(plan->steps[k].node)] = k;
    for (uint32_t k = 0; k < plan->step_count; k++) {
        attempt a = { .plan = plan, .head = &plan->steps[k] };
        if (a.head->kind != TN_STEP_KERNEL || a.head->gone ||
            tn_bars_find(bars, a.head->node, NULL) || (plan->compile->flags & TN_SESSION_NO_FUSION))
            continue;
        a.chain = only_output(a.head);
        a.tail = a.chain == TN_NONE ? NULL : only_reader(plan, step_of, a.chain, &a.chain_input);
        /* A fused step waits at its tail's index; the loop meets it there and tries the next one. */
        if (a.tail && a.tail > a.head)
            (void)try_fuse(&a);
    }
    return TN_OK;
}
