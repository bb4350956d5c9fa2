/* Binds shapes: the types of all values of a region for given inputs, and one step for each node.
 *
 * In: a frozen graph and input types. Out: plan->shapes, plan->steps without kernels. A stem has only
 * the steps that its value comes from.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

const tn_type *tn_plan_type(const tn_plan *plan, tn_value_id value)
{
    return value == TN_NONE ? NULL : &plan->shapes.types[tn_slot_of(value)];
}

/* Only what the type alone leaves open makes a step dynamic: sequences, late and unknown extents. */
static bool is_static(const tn_type *type)
{
    return tn_type_is_known(type) && !(type->flags & TN_TYPE_LATE);
}

static uint32_t kind_of(const tn_plan *plan, const tn_plan_step *step)
{
    if (step->op->def.traits & TN_REGIONS)
        return TN_STEP_DYNAMIC;
    for (uint32_t k = 0; k < step->input_count; k++)
        if (step->input_ids[k] != TN_NONE && !is_static(tn_plan_type(plan, step->input_ids[k])))
            return TN_STEP_DYNAMIC;
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->output_ids[k] != TN_NONE && !is_static(tn_plan_type(plan, step->output_ids[k])))
            return TN_STEP_DYNAMIC;
    return step->op->def.traits & TN_RESHAPES ? TN_STEP_VIEW : TN_STEP_KERNEL;
}

static bool is_capture(const tn_graph *graph, tn_value_id value)
{
    const tn_value_view *view = tn_graph_look(graph, value);
    return !view->constant || view->is_input;
}

tn_status tn_plan_captures(const tn_compile *compile, tn_region_id region, const tn_value_id **out,
                           uint32_t *count)
{
    const tn_node_id owner = tn_graph_region_owner(compile->graph, region);
    *count = 0;
    *out = NULL;
    return owner == TN_NONE ? TN_OK : tn_graph_captures(compile->graph, owner, out, count);
}

/* The outer values that a region node's bodies read are inputs of its step, so that they live until
 * then and lie there plainly. */
static tn_status collect_inputs(tn_plan *plan, tn_plan_step *step)
{
    const tn_value_id *captures = NULL;
    uint32_t count = 0;
    if (step->op->def.traits & TN_REGIONS)
        TN_TRY(tn_graph_captures(plan->compile->graph, step->node, &captures, &count));
    step->input_ids = tn_pool_alloc(&plan->pool,
                                    (step->view->input_count + count + 1) * sizeof(tn_value_id));
    if (!step->input_ids)
        return tn_raise_memory();
    if (step->view->input_count)
        memcpy(step->input_ids, step->view->inputs, step->view->input_count * sizeof(tn_value_id));
    step->input_count = step->view->input_count;
    for (uint32_t k = 0; k < count; k++)
        if (is_capture(plan->compile->graph, captures[k]))
            step->input_ids[step->input_count + step->capture_count++] = captures[k];
    step->input_count += step->capture_count;
    return TN_OK;
}

tn_status tn_problem_make(tn_plan *plan, tn_plan_step *step)
{
    const uint32_t inputs = step->input_count, outputs = step->output_count;
    const tn_type **types = tn_pool_alloc(&plan->pool, (inputs + outputs + 1) * sizeof *types);
    const tn_tensor **constants = tn_pool_alloc(&plan->pool, (inputs + 1) * sizeof *constants);
    bool known = true;
    if (!types || !constants)
        return tn_raise_memory();
    for (uint32_t k = 0; k < inputs; k++) {
        if (step->input_ids[k] == TN_NONE)
            continue;
        const tn_value_view *view = tn_graph_look(plan->compile->graph, step->input_ids[k]);
        types[k] = tn_plan_type(plan, step->input_ids[k]);
        constants[k] = view->is_input ? NULL : view->constant;
        known = known && is_static(types[k]);
    }
    for (uint32_t k = 0; k < outputs; k++)
        if (step->output_ids[k] != TN_NONE) {
            types[inputs + k] = tn_plan_type(plan, step->output_ids[k]);
            known = known && is_static(types[inputs + k]);
        }
    step->problem = (tn_problem){
        .size = sizeof step->problem,
        .flags = (known ? TN_PROBLEM_SHAPES_KNOWN : 0u) |
                 (plan->compile->flags & TN_SESSION_VENDOR_REFERENCE ? TN_PROBLEM_VENDOR_REFERENCE
                                                                     : 0u),
        .threads = plan->compile->threads,
        .math = plan->compile->math,
        .node = step->view,
        .own_count = step->view->input_count,
        .input_count = inputs - step->capture_count,
        .output_count = outputs,
        .step_count = step->problem.step_count,
        .inputs = types,
        .outputs = types + inputs,
        .constants = constants,
        .steps = step->steps,
        .prologue = step->prologue,
        .prologue_count = step->problem.prologue_count,
    };
    return TN_OK;
}

static tn_status add_step(tn_plan *plan, tn_node_id node)
{
    struct {
        tn_plan_step *items;
        uint32_t count, capacity;
    } list = { plan->steps, plan->step_count, plan->step_capacity };
    if (!TN_GROW(&list))
        return tn_raise_memory();
    plan->steps = list.items;
    plan->step_capacity = list.capacity;
    tn_plan_step *step = &plan->steps[plan->step_count++];
    *step = (tn_plan_step){ .node = node, .scratch_block = TN_NONE, .starts_as = TN_NONE };
    step->view = tn_graph_node(plan->compile->graph, node);
    step->op = tn_operator_of(plan->compile->graph, node);
    TN_TRY(collect_inputs(plan, step));
    step->output_count = step->view->output_count;
    step->output_ids = tn_pool_alloc(&plan->pool, (step->output_count + 1) * sizeof(tn_value_id));
    if (!step->output_ids)
        return tn_raise_memory();
    if (step->output_count)
        memcpy(step->output_ids, step->view->outputs, step->output_count * sizeof(tn_value_id));
    step->kind = kind_of(plan, step);
    plan->has_dynamic |= step->kind == TN_STEP_DYNAMIC;
    return tn_problem_make(plan, step);
}

static tn_status collect_region_inputs(tn_plan *plan)
{
    const tn_value_id *own, *captures;
    uint32_t capture_count;
    plan->own_input_count = tn_graph_region_inputs(plan->compile->graph, plan->region, &own);
    TN_TRY(tn_plan_captures(plan->compile, plan->region, &captures, &capture_count));
    plan->input_ids = tn_pool_alloc(&plan->pool, (plan->own_input_count + capture_count + 1) *
                                                     sizeof(tn_value_id));
    if (!plan->input_ids)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->own_input_count; k++)
        plan->input_ids[plan->input_count++] = own[k];
    for (uint32_t k = 0; k < capture_count; k++)
        if (is_capture(plan->compile->graph, captures[k]))
            plan->input_ids[plan->input_count++] = captures[k];
    return TN_OK;
}

/* ---- stems ----------------------------------------------------------------------------------------- */

/* Marks the nodes that the stem's value comes from, by slot: backwards along `nodes`. */
static void mark(const tn_plan *plan, const tn_node_id *nodes, uint32_t count, bool *needed)
{
    const tn_graph *graph = plan->compile->graph;
    needed[tn_slot_of(tn_graph_look(graph, plan->compile->stem->value)->producer)] = true;
    for (uint32_t n = count; n-- > 0;) {
        const tn_node_view *view = tn_graph_node(graph, nodes[n]);
        for (uint32_t k = 0; needed[tn_slot_of(nodes[n])] && k < view->input_count; k++) {
            const tn_node_id maker = view->inputs[k] == TN_NONE
                                         ? TN_NONE
                                         : tn_graph_look(graph, view->inputs[k])->producer;
            if (maker != TN_NONE)
                needed[tn_slot_of(maker)] = true;
        }
    }
}

/* The types are the whole's for fewer samples. Inference is asked whether that is so, but not of a
 * node that gives elements other extents: these may be written down for the whole batch. */
static tn_status bind_node(tn_plan *plan, tn_node_id node)
{
    const tn_compile *compile = plan->compile;
    const tn_stem *stem = compile->stem;
    const tn_node_view *view = tn_graph_node(compile->graph, node);
    const bool reshapes = (tn_operator_of(compile->graph, node)->def.traits & TN_RESHAPES) &&
                          stem->kinds[tn_slot_of(view->outputs[0])] >= 0;
    if (!reshapes)
        TN_TRY(tn_infer_node_into(compile->registry, compile->graph, node, &plan->shapes));
    for (uint32_t k = 0; k < view->output_count; k++) {
        if (view->outputs[k] == TN_NONE)
            continue;
        const uint32_t slot = tn_slot_of(view->outputs[k]);
        const tn_type type = tn_samples_scaled(&stem->whole->shapes.types[slot], stem->kinds[slot],
                                               stem->samples);
        if (!reshapes && !tn_type_same_shape(&type, &plan->shapes.types[slot]))
            return tn_raise(TN_ERR_SHAPE, "a piece of the batch makes another shape");
        plan->shapes.types[slot] = type;
    }
    return add_step(plan, node);
}

static tn_status bind_stem(tn_plan *plan)
{
    const tn_graph *graph = plan->compile->graph;
    const uint32_t slots = tn_graph_node_slots(graph) + 1;
    tn_node_id *nodes = tn_pool_alloc(&plan->pool, slots * sizeof *nodes);
    bool *needed = tn_pool_alloc(&plan->pool, slots * sizeof *needed);
    uint32_t count = 0;
    if (!nodes || !needed)
        return tn_raise_memory();
    for (tn_node_id node = tn_graph_first_node(graph, plan->region); node != TN_NONE;
         node = tn_graph_next_node(graph, node))
        nodes[count++] = node;
    mark(plan, nodes, count, needed);
    for (uint32_t n = 0; n < count; n++)
        if (needed[tn_slot_of(nodes[n])])
            TN_TRY(bind_node(plan, nodes[n]));
    return TN_OK;
}

tn_status tn_bind(tn_plan *plan, const tn_type *inputs, uint32_t input_count,
                  tn_diagnostics *diagnostics)
{
    const tn_compile *compile = plan->compile;
    TN_TRY(tn_shapes_init(&plan->shapes, compile->graph));
    TN_TRY(collect_region_inputs(plan));
    if (input_count != plan->input_count)
        return tn_raise(TN_ERR_INTERNAL, "%u types for %u inputs of a region", input_count,
                        plan->input_count);
    for (uint32_t k = 0; k < input_count; k++)
        plan->shapes.types[tn_slot_of(plan->input_ids[k])] = inputs[k];
    if (compile->stem)
        return bind_stem(plan);
    TN_TRY(tn_infer_region_into(compile->registry, compile->graph, plan->region, &plan->shapes,
                                diagnostics));
    for (tn_node_id node = tn_graph_first_node(compile->graph, plan->region); node != TN_NONE;
         node = tn_graph_next_node(compile->graph, node))
        TN_TRY(add_step(plan, node));
    return TN_OK;
}
