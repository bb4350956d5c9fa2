/* Steps whose extents, kinds or bodies are known only while running, and nodes evaluated alone.
 *
 * In: actual tensors. Each call infers the node anew with them, runs the kernel's whole life, and
 * leaves objects behind.
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"
#include "tenon/kernel.h"

/* One node with actual inputs. */
typedef struct alone {
    const tn_compile *compile;
    const tn_graph *graph;
    tn_node_id node;
    const tn_node_view *view;
    const tn_operator *op;
    const tn_kernel *kernel; /* NULL: a view */
    const tn_tensor **inputs;
    tn_object **given;
    tn_object **made; /* out */
    tn_activation *activation;
    tn_run_state *run;
    tn_pool pool;
    tn_plan_step step;
    tn_step_call *call;
    tn_type *in_types, *out_types;
} alone;

static bool wanted(const alone *w, uint32_t k)
{
    return w->view->outputs[k] != TN_NONE;
}

/* ---- types ------------------------------------------------------------------------------------------ */

static tn_status infer(alone *w)
{
    const uint32_t inputs = w->view->input_count, outputs = w->view->output_count;
    const tn_type **types = tn_pool_alloc(&w->pool, (inputs + 1) * sizeof *types);
    w->in_types = tn_pool_alloc(&w->pool, (inputs + 1) * sizeof *w->in_types);
    w->out_types = tn_pool_alloc(&w->pool, (outputs + 1) * sizeof *w->out_types);
    if (!types || !w->in_types || !w->out_types)
        return tn_raise_memory();
    for (uint32_t k = 0; k < inputs; k++) {
        if (!w->inputs[k])
            continue;
        w->in_types[k] = tn_type_of_tensor(w->inputs[k]);
        if (w->inputs[k]->kind) /* what the elements are, the graph knows better than a list */
            w->in_types[k] = *tn_graph_look(w->graph, w->view->inputs[k])->type;
        types[k] = &w->in_types[k];
    }
    for (uint32_t k = 0; k < outputs; k++)
        w->out_types[k] = tn_type_unknown();
    if (w->op->def.traits & TN_REGIONS) /* what bodies give, only running them tells */
        return TN_OK;
    return tn_infer_node_now(w->compile->registry, w->graph, w->node, types, w->inputs,
                             w->out_types);
}

/* ---- outputs ------------------------------------------------------------------------------------------ */

/* Memory for what inference knows; late outputs wait for output_alloc and its kin. */
static tn_status make_outputs(alone *w, tn_tensor **outputs)
{
    for (uint32_t k = 0; k < w->view->output_count; k++) {
        const tn_type *type = &w->out_types[k];
        if (!wanted(w, k))
            continue;
        if (tn_type_is_known(type) && !(type->flags & TN_TYPE_LATE)) {
            TN_TRY(tn_object_create(type, &w->made[k]));
            outputs[k] = &w->made[k]->tensor;
            continue;
        }
        outputs[k] = tn_pool_alloc(&w->pool, sizeof *outputs[k]);
        if (!outputs[k])
            return tn_raise_memory();
        /* Extents of 0 for a kernel that looks all the same: it then finds nothing to do. */
        *outputs[k] = (tn_tensor){ .size = sizeof *outputs[k],
                                   .kind = type->kind,
                                   .dtype = type->dtype,
                                   .rank = -1,
                                   .dims = tn_pool_alloc(&w->pool, TN_MAX_RANK * sizeof(int64_t)) };
        if (!outputs[k]->dims)
            return tn_raise_memory();
    }
    return TN_OK;
}

static tn_status join_scan(alone *w, uint32_t k, tn_scan *scan)
{
    const tn_tensor *first = &scan->items[0]->tensor;
    tn_type type = tn_type_of_tensor(first);
    const int32_t axis = scan->axis < 0 ? scan->axis + first->rank + 1 : scan->axis;
    if (axis < 0 || axis > first->rank || first->rank + 1 > TN_MAX_RANK)
        return tn_raise(TN_ERR_ATTRIBUTE, "scan output %u is joined along axis %d of rank %d", k,
                        scan->axis, first->rank + 1);
    memmove(type.dims + axis + 1, type.dims + axis,
            (size_t)(first->rank - axis) * sizeof *type.dims);
    type.dims[axis] = scan->count;
    type.rank = first->rank + 1;
    for (uint32_t i = 1; i < scan->count; i++)
        if (scan->items[i]->tensor.rank != first->rank ||
            scan->items[i]->tensor.dtype != first->dtype ||
            memcmp(scan->items[i]->dims, first->dims, (size_t)first->rank * sizeof *first->dims) !=
                0)
            return tn_raise(TN_ERR_SHAPE, "scan output %u changes its shape in trip %u", k, i);
    TN_TRY(tn_object_create(&type, &w->made[k]));
    const size_t outer = (size_t)tn_extent(type.dims, 0, axis);
    const size_t inner = (size_t)tn_extent(type.dims, axis + 1, type.rank);
    for (uint32_t i = 0; i < scan->count; i++) {
        const uint32_t at = scan->reverse ? scan->count - 1 - i : i;
        for (size_t o = 0; o < outer; o++)
            tn_copy_elements(type.dtype, w->made[k]->tensor.data, (o * scan->count + at) * inner,
                             scan->items[i]->tensor.data, o * inner, inner);
    }
    return TN_OK;
}

/* What the outer values that a node's bodies read are now. */
static tn_status note_captures(const alone *w, tn_shapes *shapes)
{
    const tn_activation *a = w->activation;
    const tn_value_id *captures;
    uint32_t count;
    TN_TRY(tn_graph_captures((tn_graph *)(uintptr_t)w->graph, w->node, &captures, &count));
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t slot = tn_slot_of(captures[k]), value = a->plan->value_of[slot];
        const tn_tensor *tensor = value == TN_NONE ? NULL : &a->cells[value].tensor;
        if (tensor && !tensor->kind)
            shapes->types[slot] = tn_type_of_tensor(tensor);
    }
    return TN_OK;
}

/* What inference says of output k now that the inputs are there. */
static tn_status infer_anew(const alone *w, uint32_t k, tn_type *out)
{
    tn_shapes shapes;
    *out = *tn_graph_look(w->graph, w->view->outputs[k])->type;
    if (!w->activation)
        return TN_OK;
    TN_TRY(tn_shapes_init(&shapes, w->graph));
    memcpy(shapes.types, w->activation->plan->shapes.types, shapes.count * sizeof *shapes.types);
    for (uint32_t j = 0; j < w->view->input_count; j++) {
        if (!w->inputs[j])
            continue;
        shapes.types[tn_slot_of(w->view->inputs[j])] = w->in_types[j];
        shapes.values[tn_slot_of(w->view->inputs[j])] = w->inputs[j]->kind ? NULL : w->inputs[j];
    }
    tn_status status = note_captures(w, &shapes);
    if (status == TN_OK)
        status = tn_infer_node_into(w->compile->registry, w->graph, w->node, &shapes);
    if (status == TN_OK)
        *out = shapes.types[tn_slot_of(w->view->outputs[k])];
    tn_shapes_fini(&shapes);
    return status;
}

/* A scan of no trip has the shape that inference gives it, and extent 0 where even that is open. */
static tn_status join_nothing(alone *w, uint32_t k)
{
    tn_type type;
    TN_TRY(infer_anew(w, k, &type));
    if (type.rank < 1)
        type = (tn_type){ .size = sizeof type, .dtype = type.dtype, .rank = 1 };
    for (int32_t axis = 0; axis < type.rank; axis++)
        if (!tn_dim_known(type.dims[axis]))
            type.dims[axis] = 0;
    TN_TRY(tn_object_create(&type, &w->made[k]));
    memset(w->made[k]->tensor.data, 0, w->made[k]->tensor.bytes);
    return TN_OK;
}

static tn_status finish_outputs(alone *w)
{
    for (uint32_t k = 0; k < w->view->output_count; k++) {
        tn_scan *scan = &w->call->scans[k];
        if (wanted(w, k) && !w->made[k] && scan->count)
            TN_TRY(join_scan(w, k, scan));
        else if (wanted(w, k) && !w->made[k] && (w->op->def.traits & TN_REGIONS) &&
                 w->call->ctx.outputs[k]->kind == 0)
            TN_TRY(join_nothing(w, k));
        if (wanted(w, k) && !w->made[k])
            return tn_raise(TN_ERR_PLUGIN, "the kernel made no output %u", k);
    }
    return TN_OK;
}

/* ---- the kernel's life ---------------------------------------------------------------------------------- */

static tn_status describe(alone *w)
{
    tn_plan_step *step = &w->step;
    const uint32_t inputs = w->view->input_count, outputs = w->view->output_count;
    const tn_type **types = tn_pool_alloc(&w->pool, (inputs + outputs + 1) * sizeof *types);
    const tn_tensor **constants = tn_pool_alloc(&w->pool, (inputs + 1) * sizeof *constants);
    bool known = true;
    if (!types || !constants)
        return tn_raise_memory();
    for (uint32_t k = 0; k < inputs; k++) {
        if (!w->inputs[k])
            continue;
        const tn_value_view *value = tn_graph_value(w->graph, w->view->inputs[k]);
        types[k] = &w->in_types[k];
        constants[k] = value->is_input ? NULL : value->constant;
        known = known && tn_type_is_known(types[k]);
    }
    for (uint32_t k = 0; k < outputs; k++)
        if (wanted(w, k)) {
            types[inputs + k] = &w->out_types[k];
            known = known && tn_type_is_known(types[inputs + k]);
        }
    *step = (tn_plan_step){ .node = w->node,
                            .view = w->view,
                            .op = w->op,
                            .kernel = w->kernel,
                            .input_count = inputs,
                            .output_count = outputs,
                            .input_ids = (tn_value_id *)(uintptr_t)w->view->inputs };
    step->problem = (tn_problem){ .size = sizeof step->problem,
                                  .flags = known ? TN_PROBLEM_SHAPES_KNOWN : 0u,
                                  .threads = w->compile->threads,
                                  .math = w->compile->math,
                                  .node = w->view,
                                  .own_count = inputs,
                                  .input_count = inputs,
                                  .output_count = outputs,
                                  .inputs = types,
                                  .outputs = types + inputs,
                                  .constants = constants };
    return TN_OK;
}

static bool is_plain(const tn_plan_step *step, const tn_alternative *alternative)
{
    uint32_t other = 0;
    for (uint32_t k = 0; k < step->problem.input_count; k++)
        other |= alternative->input_layouts[k];
    for (uint32_t k = 0; k < step->problem.output_count; k++)
        other |= alternative->output_layouts[k] |
                 (alternative->output_aliases[k].kind == TN_ALIAS_STARTS_AS);
    return other == 0;
}

static tn_status choose_plain(alone *w)
{
    static const uint32_t plain[] = { TN_LAYOUT_PLAIN };
    tn_layouts *candidates = tn_pool_alloc(&w->pool,
                                           (w->step.problem.input_count + 1) * sizeof *candidates);
    char reason[256] = "";
    if (!candidates)
        return tn_raise_memory();
    for (uint32_t k = 0; k < w->step.problem.input_count; k++)
        candidates[k] = (tn_layouts){ 1, plain };
    const tn_status status = tn_kernel_measure(w->compile, &w->step, &w->pool, candidates, reason,
                                               sizeof reason);
    if (status != TN_OK && reason[0])
        return tn_raise(status == TN_DECLINED ? TN_ERR_UNPLACED : status, "%s", reason);
    TN_TRY(status);
    for (uint32_t a = 0; a < w->step.alternative_count; a++)
        if (is_plain(&w->step, &w->step.alternatives[a])) {
            w->step.chosen = a;
            return TN_OK;
        }
    return tn_raise(TN_ERR_UNPLACED,
                    "the kernel has no plain layout for shapes that only running tells");
}

static bool is_empty(const tn_tensor *tensor)
{
    for (int32_t axis = 0; tensor && !tensor->kind && axis < tensor->rank; axis++)
        if (tensor->dims[axis] == 0)
            return true;
    return false;
}

/* 1: run; 0: nothing to compute; an error when a kernel would get what it does not take. */
static tn_status check_empty(const alone *w, bool *work)
{
    bool empty = false;
    *work = w->kernel->def.flags & TN_KERNEL_EMPTY;
    if (*work)
        return TN_OK;
    for (uint32_t k = 0; k < w->view->input_count; k++)
        empty |= is_empty(w->inputs[k]);
    for (uint32_t k = 0; k < w->view->output_count; k++)
        *work |= wanted(w, k) && !(w->made[k] && is_empty(&w->made[k]->tensor));
    if (*work && empty && !(w->op->def.traits & TN_REGIONS))
        return tn_raise(TN_ERR_SHAPE, "an input has no element, and %s's kernel takes none such",
                        w->kernel->def.backend);
    return TN_OK;
}

static tn_status attach_and_run(alone *w)
{
    const tn_alternative *chosen = &w->step.alternatives[w->step.chosen];
    struct {
        tn_frame frame;
        tn_slot_call ctx;
    } slot_call = { .ctx = { .problem = &w->step.problem, .instance = w->call->ctx.instance } };
    void *slot = tn_pool_alloc(&w->pool, chosen->slot_bytes + 1);
    void *scratch = chosen->scratch_bytes ? tn_alloc_aligned(chosen->scratch_bytes, 64) : NULL;
    tn_status status = TN_OK;
    if (!slot || (chosen->scratch_bytes && !scratch)) {
        tn_free(scratch);
        return tn_raise_memory();
    }
    tn_frame_init(&slot_call.frame, &slot_call.ctx.call, sizeof slot_call.ctx, TN_STAGE_COMPILE,
                  w->kernel->plugin, w->kernel->def.user, (void *)(uintptr_t)w->compile);
    w->call->ctx.scratch = scratch;
    w->call->ctx.packs = w->step.pack_data;
    if (w->kernel->def.attach)
        status = w->kernel->def.attach(&slot_call.ctx, w->step.state, slot);
    if (status == TN_OK)
        status = tn_call_kernel(w->call, w->kernel, w->step.state, slot);
    else
        status = tn_raise(status, "%s", slot_call.frame.message);
    if (w->kernel->def.detach)
        w->kernel->def.detach(&slot_call.ctx, w->step.state, slot);
    tn_free(scratch);
    return status;
}

static tn_status prepare_call(alone *w)
{
    tn_step_call *call = w->call = tn_pool_alloc(&w->pool, sizeof *call);
    tn_tensor **outputs = tn_pool_alloc(&w->pool, (w->view->output_count + 1) * sizeof *outputs);
    if (!call || !outputs)
        return tn_raise_memory();
    tn_frame_init(&call->frame, &call->ctx.call, sizeof call->ctx, TN_STAGE_RUN, w->kernel->plugin,
                  w->kernel->def.user, call);
    call->compile = w->compile;
    call->graph = w->graph;
    call->activation = w->activation;
    call->run = w->run;
    call->node = w->node;
    call->made = w->made;
    call->given = w->given;
    call->types = w->out_types;
    call->pool = &w->pool;
    call->scans = tn_pool_alloc(&w->pool, (w->view->output_count + 1) * sizeof *call->scans);
    call->ctx.node = w->view;
    call->ctx.input_count = w->view->input_count;
    call->ctx.output_count = w->view->output_count;
    call->ctx.inputs = w->inputs;
    call->ctx.outputs = outputs;
    call->ctx.threads = w->compile->threads;
    call->ctx.math = w->compile->math;
    call->ctx.instance = w->kernel->backend ? w->kernel->backend->instance : NULL;
    return call->scans ? make_outputs(w, outputs) : tn_raise_memory();
}

static tn_status run_kernel(alone *w)
{
    bool work = false;
    TN_TRY(prepare_call(w));
    TN_TRY(describe(w));
    TN_TRY(check_empty(w, &work));
    tn_status status = TN_OK;
    if (work) {
        status = choose_plain(w);
        if (status == TN_OK)
            status = tn_kernel_prepare(w->compile, &w->step, &w->pool);
        if (status == TN_OK)
            status = attach_and_run(w);
        tn_kernel_finish(&w->step);
    }
    tn_body_sites_fini(w->call);
    if (status == TN_OK)
        status = finish_outputs(w);
    for (uint32_t k = 0; k < w->view->output_count; k++) {
        for (uint32_t i = 0; i < w->call->scans[k].count; i++)
            tn_object_unref(w->call->scans[k].items[i]);
        tn_free(w->call->scans[k].items);
    }
    return status;
}

/* Elements as they are, under the extents that inference found now. */
static tn_status run_view(alone *w)
{
    tn_object *held = NULL;
    if (w->inputs[0]->kind) {
        if (w->given[0])
            w->made[0] = tn_object_ref(w->given[0]);
        return w->given[0] ? TN_OK : tn_object_copy(w->inputs[0], &w->made[0]);
    }
    if (!tn_type_is_known(&w->out_types[0]))
        return tn_raise(TN_ERR_SHAPE, "the shape of its output is not known even now");
    if (w->given[0])
        return tn_object_show(w->given[0], &w->out_types[0], &w->made[0]);
    TN_TRY(tn_object_copy(w->inputs[0], &held)); /* an arena moves on, a dynamic value stays */
    const tn_status status = tn_object_show(held, &w->out_types[0], &w->made[0]);
    tn_object_unref(held);
    return status;
}

static tn_status run_alone(alone *w)
{
    tn_status status = infer(w);
    if (status == TN_OK)
        status = w->op->def.traits & TN_RESHAPES ? run_view(w) : run_kernel(w);
    tn_pool_fini(&w->pool);
    return status;
}

/* ---- in a plan ------------------------------------------------------------------------------------------ */

static bool dies_here(const tn_plan *plan, uint32_t s, uint32_t value)
{
    for (uint32_t k = plan->dies[s]; k < plan->dies[s + 1]; k++)
        if (plan->dead[k] == value)
            return true;
    return false;
}

/* A dynamic value that dies here is handed over, so that its sole owner may change it in place. */
static void gather_inputs(tn_activation *a, uint32_t s, alone *w)
{
    const tn_plan_step *step = &a->plan->steps[s];
    for (uint32_t k = 0; k < w->view->input_count; k++) {
        if (step->inputs[k] == TN_NONE)
            continue;
        tn_cell *cell = &a->cells[step->inputs[k]];
        w->inputs[k] = &cell->tensor;
        if (!cell->object)
            continue;
        w->given[k] = cell->object;
        w->inputs[k] = &cell->object->tensor;
        bool once = dies_here(a->plan, s, step->inputs[k]);
        for (uint32_t j = 0; j < step->input_count; j++)
            once = once && (j == k || step->inputs[j] != step->inputs[k]);
        if (once)
            cell->object = NULL;
        else
            tn_object_ref(cell->object);
    }
}

/* What lies behind was planned for the types that inference told: another would run over memory. */
static tn_status check_planned(const tn_activation *a, const tn_plan_step *step, uint32_t k,
                               const tn_tensor *made)
{
    const tn_type *planned = a->plan->values[step->outputs[k]].type;
    const tn_type found = tn_type_of_tensor(made);
    tn_builder text = { 0 };
    if (made->kind
            ? planned->kind == made->kind
            : !planned->kind && (!tn_type_is_known(planned) ||
                                 (planned->dtype == found.dtype && planned->rank == found.rank &&
                                  memcmp(planned->dims, found.dims,
                                         (size_t)found.rank * sizeof *found.dims) == 0)))
        return TN_OK;
    tn_add(&text, "output %u is ", k);
    tn_add_type(&text, NULL, &found);
    tn_add(&text, ", but inference said ");
    tn_add_type(&text, NULL, planned);
    const tn_status status = tn_raise(TN_ERR_SHAPE, "%s", tn_builder_text(&text));
    tn_builder_fini(&text);
    return status;
}

tn_status tn_execute_dynamic(tn_activation *a, uint32_t s)
{
    const tn_plan_step *step = &a->plan->steps[s];
    alone w = { .compile = a->plan->compile,
                .graph = a->plan->compile->graph,
                .node = step->node,
                .view = step->view,
                .op = step->op,
                .kernel = step->kernel,
                .activation = a,
                .run = a->run };
    const uint32_t inputs = step->view->input_count, outputs = step->view->output_count;
    w.inputs = tn_pool_alloc(&w.pool, (inputs + 1) * sizeof *w.inputs);
    w.given = tn_alloc(inputs + outputs + 1, sizeof *w.given);
    if (!w.inputs || !w.given) {
        tn_free(w.given);
        tn_pool_fini(&w.pool);
        return tn_raise_memory();
    }
    w.made = w.given + inputs;
    gather_inputs(a, s, &w);
    tn_status status = run_alone(&w);
    for (uint32_t k = 0; k < outputs && status == TN_OK; k++)
        if (step->outputs[k] != TN_NONE && w.made[k])
            status = check_planned(a, step, k, &w.made[k]->tensor);
    for (uint32_t k = 0; k < inputs; k++)
        tn_object_unref(w.given[k]);
    for (uint32_t k = 0; k < outputs; k++) {
        if (step->outputs[k] == TN_NONE || status != TN_OK) {
            tn_object_unref(w.made[k]);
            continue;
        }
        tn_cell *cell = &a->cells[step->outputs[k]];
        tn_object_unref(cell->object);
        cell->object = w.made[k];
        cell->tensor = w.made[k]->tensor;
    }
    tn_free(w.given);
    if (status != TN_OK && status != TN_ERR_CANCELLED && status != TN_ERR_DEADLINE &&
        !strstr(tn_error_message(), "node '"))
        return tn_plan_diagnose(w.compile, step->node, status, tn_error_message(), NULL);
    return status;
}

/* ---- alone ------------------------------------------------------------------------------------------------ */

static const tn_kernel *reference_kernel(const tn_compile *compile, const tn_operator *op)
{
    const tn_kernel *kernels[1];
    return tn_registry_kernels(compile->registry, "reference", op->def.domain, op->def.name,
                               op->def.since, kernels, 1)
               ? kernels[0]
               : NULL;
}

static tn_status to_constants(alone *w, tn_constant **outputs)
{
    for (uint32_t k = 0; k < w->view->output_count; k++) {
        if (!w->made[k])
            continue;
        if (w->made[k]->tensor.kind)
            return tn_raise(TN_ERR_TYPE, "output %u is no tensor", k);
        tn_object *made = w->made[k];
        w->made[k] = NULL;
        TN_TRY(tn_object_to_constant(made, &outputs[k]));
    }
    return TN_OK;
}

tn_status tn_evaluate(void *user, const tn_graph *graph, tn_node_id node,
                      const tn_tensor *const *inputs, tn_constant **outputs)
{
    const tn_compile *compile = user;
    tn_run_state run = { .seed = 0 };
    alone w = { .compile = compile,
                .graph = graph,
                .node = node,
                .view = tn_graph_node(graph, node),
                .op = tn_operator_of(graph, node),
                .run = &run };
    w.kernel = reference_kernel(compile, w.op);
    if (!w.kernel && !(w.op->def.traits & TN_RESHAPES))
        return tn_raise(TN_ERR_UNPLACED, "%s has no reference kernel", w.op->def.name);
    const uint32_t count = w.view->input_count, made = w.view->output_count;
    w.inputs = tn_pool_alloc(&w.pool, (count + 1) * sizeof *w.inputs);
    w.given = tn_alloc(count + made + 1, sizeof *w.given);
    if (!w.inputs || !w.given) {
        tn_free(w.given);
        tn_pool_fini(&w.pool);
        return tn_raise_memory();
    }
    w.made = w.given + count;
    for (uint32_t k = 0; k < count; k++)
        w.inputs[k] = inputs[k];
    const int before = tn_threads_enter(compile->threads);
    tn_status status = run_alone(&w);
    tn_threads_leave(before);
    if (status == TN_OK)
        status = to_constants(&w, outputs);
    for (uint32_t k = 0; k < made; k++) {
        tn_object_unref(w.made[k]);
        if (status != TN_OK && outputs[k]) {
            tn_constant_unref(outputs[k]);
            outputs[k] = NULL;
        }
    }
    tn_free(w.given);
    tn_pool_fini(&run.strings);
    return status;
}
