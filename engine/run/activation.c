/* The memory of one plan in one context: arena, slots, a cell for each value, a prepared call for
 * each step. After it is made, a run without late values allocates nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

/* ---- calls ----------------------------------------------------------------------------------------- */

static const tn_tensor *cell_tensor(tn_activation *a, uint32_t value)
{
    return value == TN_NONE ? NULL : &a->cells[value].tensor;
}

static void call_init(tn_activation *a, tn_step_call *call, const tn_kernel *kernel,
                      tn_node_id node, const tn_node_view *view)
{
    tn_frame_init(&call->frame, &call->ctx.call, sizeof call->ctx, TN_STAGE_RUN, kernel->plugin,
                  kernel->def.user, call);
    call->compile = a->plan->compile;
    call->graph = a->plan->compile->graph;
    call->activation = a;
    call->run = a->run;
    call->node = node;
    call->ctx.node = view;
    call->ctx.threads = call->compile->threads;
    call->ctx.math = call->compile->math;
    call->ctx.instance = kernel->backend ? kernel->backend->instance : NULL;
}

/* The call of a static step: its tensors are cells, whose pointers each run may move. */
static tn_status make_call(tn_activation *a, uint32_t s)
{
    const tn_plan_step *step = &a->plan->steps[s];
    tn_step_call *call = &a->calls[s];
    /* Where the host applies the epilogue, its operands are no inputs of the kernel. */
    const bool by_host = step->kernel->def.flags & TN_KERNEL_ANY_STEPS;
    const uint32_t inputs = by_host ? step->problem.own_count : step->problem.input_count;
    const uint32_t outputs = step->output_count;
    const tn_tensor **in = tn_pool_alloc(&a->pool, (inputs + 1) * sizeof *in);
    tn_tensor **out = tn_pool_alloc(&a->pool, (outputs + 1) * sizeof *out);
    if (!in || !out)
        return tn_raise_memory();
    for (uint32_t k = 0; k < inputs; k++)
        in[k] = cell_tensor(a, step->inputs[k]);
    for (uint32_t k = 0; k < outputs; k++)
        out[k] = (tn_tensor *)cell_tensor(a, step->outputs[k]);
    call_init(a, call, step->kernel, step->node, step->view);
    call->ctx.input_count = inputs;
    call->ctx.output_count = outputs;
    call->ctx.inputs = in;
    call->ctx.outputs = out;
    call->ctx.packs = step->pack_data;
    call->ctx.scratch = step->scratch_block == TN_NONE
                            ? NULL
                            : a->arena + a->plan->blocks[step->scratch_block].offset;
    return TN_OK;
}

/* A host step reads the chain where it stands and writes it there again. */
static tn_status make_host_calls(tn_activation *a, uint32_t s)
{
    const tn_plan_step *step = &a->plan->steps[s];
    tn_step_call *calls = tn_pool_alloc(&a->pool, (step->host_step_count + 1) * sizeof *calls);
    if (!calls)
        return tn_raise_memory();
    for (uint32_t h = 0; h < step->host_step_count; h++) {
        const tn_host_step *own = &step->host_steps[h];
        const tn_tensor **in = tn_pool_alloc(&a->pool, (own->input_count + 1) * sizeof *in);
        tn_tensor **out = tn_pool_alloc(&a->pool, sizeof *out);
        if (!in || !out)
            return tn_raise_memory();
        out[0] = (tn_tensor *)cell_tensor(a, step->outputs[0]);
        for (uint32_t k = 0; k < own->input_count; k++)
            in[k] = k == own->chain_input ? out[0]
                    : own->inputs[k] < 0  ? NULL
                                          : cell_tensor(a, step->inputs[own->inputs[k]]);
        call_init(a, &calls[h], own->kernel, own->id, own->node);
        calls[h].ctx.input_count = own->input_count;
        calls[h].ctx.output_count = 1;
        calls[h].ctx.inputs = in;
        calls[h].ctx.outputs = out;
    }
    a->host_calls[s] = calls;
    return TN_OK;
}

/* ---- cells ----------------------------------------------------------------------------------------- */

static void *place_of(const tn_activation *a, const tn_plan_value *value)
{
    const tn_plan_value *root = value;
    while (root->view_of != TN_NONE)
        root = &a->plan->values[root->view_of];
    if (root->place == TN_PLACE_CONSTANT)
        return (char *)root->constant->data + value->at;
    if (value->place == TN_PLACE_ARENA && value->block != TN_NONE)
        return a->arena + a->plan->blocks[value->block].offset + value->at;
    return NULL; /* bound by each run */
}

/* From the first byte to the last, with what lies between the rows of a strided one. */
static size_t bytes_of(const tn_plan_value *value)
{
    if (!value->strides)
        return value->bytes;
    const size_t width = tn_dtype_bits(value->type->dtype) / 8;
    const size_t rows = value->bytes / width / (size_t)value->row;
    return ((rows - 1) * (size_t)value->row_step + (size_t)value->row) * width;
}

static void cell_init(const tn_activation *a, tn_cell *cell, const tn_plan_value *value)
{
    cell->tensor = (tn_tensor){ .size = sizeof cell->tensor,
                                .kind = value->type->kind,
                                .dtype = value->type->dtype,
                                .rank = value->type->rank,
                                .dims = value->type->dims,
                                .strides = value->strides,
                                .data = place_of(a, value),
                                .bytes = bytes_of(value),
                                .layout = value->layout };
}

static tn_status attach_step(tn_activation *a, const tn_plan_step *step)
{
    struct {
        tn_frame frame;
        tn_slot_call ctx;
    } call = { .ctx = { .problem = &step->problem,
                        .instance = step->kernel->backend ? step->kernel->backend->instance
                                                          : NULL } };
    if (!step->kernel->def.attach)
        return TN_OK;
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_COMPILE,
                  step->kernel->plugin, step->kernel->def.user, (void *)a->plan->compile);
    const int before = tn_threads_enter(a->plan->compile->threads);
    const tn_status status = step->kernel->def.attach(&call.ctx, step->state,
                                                      a->slots + step->slot_offset);
    tn_threads_leave(before);
    if (status != TN_OK)
        return tn_plan_diagnose(
            a->plan->compile, step->node, status,
            call.frame.message[0] ? call.frame.message : "attach gave no reason", NULL);
    return TN_OK;
}

static void detach_step(tn_activation *a, const tn_plan_step *step)
{
    struct {
        tn_frame frame;
        tn_slot_call ctx;
    } call = { .ctx = { .problem = &step->problem,
                        .instance = step->kernel && step->kernel->backend
                                        ? step->kernel->backend->instance
                                        : NULL } };
    if (step->kind != TN_STEP_KERNEL || !step->kernel->def.detach)
        return;
    tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_COMPILE,
                  step->kernel->plugin, step->kernel->def.user, (void *)a->plan->compile);
    const int before = tn_threads_enter(a->plan->compile->threads);
    step->kernel->def.detach(&call.ctx, step->state, a->slots + step->slot_offset);
    tn_threads_leave(before);
}

/* ---- life ------------------------------------------------------------------------------------------- */

/* Bodies give their outputs away, so each of their runs makes new ones; the graph's own stay. */
static tn_status make_output_memory(tn_activation *a)
{
    tn_plan *plan = a->plan;
    for (uint32_t k = 0; k < plan->output_count; k++) {
        const tn_plan_value *value = &plan->values[plan->outputs[k]];
        if (value->place != TN_PLACE_OUTPUT || plan->region != TN_TOP_REGION || plan->compile->stem)
            continue; /* a piece's is part of its whole's arena */
        a->output_memory[k] = tn_alloc_aligned(value->bytes ? value->bytes : 1, 64);
        a->output_own[k] = true;
        if (!a->output_memory[k])
            return tn_raise_memory();
    }
    return TN_OK;
}

static tn_status make_steps(tn_activation *a)
{
    tn_plan *plan = a->plan;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        if (step->kind == TN_STEP_KERNEL) {
            TN_TRY(make_call(a, s));
            TN_TRY(make_host_calls(a, s));
        }
    }
    for (; a->attached < plan->step_count; a->attached++) {
        const tn_plan_step *step = &plan->steps[a->attached];
        if (step->kind == TN_STEP_KERNEL) {
            const tn_status status = attach_step(a, step);
            if (status != TN_OK) {
                detach_step(a, step); /* half made: still detached once */
                return status;
            }
        }
    }
    return TN_OK;
}

static tn_status fill(tn_activation *a)
{
    tn_plan *plan = a->plan;
    a->cells = tn_pool_alloc(&a->pool, (plan->value_count + 1) * sizeof *a->cells);
    a->calls = tn_pool_alloc(&a->pool, (plan->step_count + 1) * sizeof *a->calls);
    a->host_calls = tn_pool_alloc(&a->pool, (plan->step_count + 1) * sizeof *a->host_calls);
    a->output_memory = tn_pool_alloc(&a->pool, (plan->output_count + 1) * sizeof *a->output_memory);
    a->output_own = tn_pool_alloc(&a->pool, (plan->output_count + 1) * sizeof *a->output_own);
    a->arena = tn_alloc_aligned(plan->arena_bytes ? plan->arena_bytes : 1, 64);
    a->slots = tn_alloc_aligned(plan->slot_bytes ? plan->slot_bytes : 1, 64);
    if (!a->cells || !a->calls || !a->host_calls || !a->output_memory || !a->output_own ||
        !a->arena || !a->slots)
        return tn_raise_memory();
    memset(a->slots, 0, plan->slot_bytes ? plan->slot_bytes : 1);
    for (uint32_t v = 0; v < plan->value_count; v++)
        cell_init(a, &a->cells[v], &plan->values[v]);
    TN_TRY(make_output_memory(a));
    TN_TRY(make_steps(a));
    return tn_slicing_attach(a);
}

tn_status tn_activation_create(tn_plan *plan, tn_run_state *run, tn_activation **out)
{
    tn_activation *a = tn_alloc(1, sizeof *a);
    if (!a)
        return tn_raise_memory();
    a->plan = tn_plan_ref(plan);
    a->run = run;
    const tn_status status = fill(a);
    if (status != TN_OK) {
        tn_activation_destroy(a);
        return status;
    }
    *out = a;
    return TN_OK;
}

void tn_activation_destroy(tn_activation *a)
{
    if (!a)
        return;
    tn_slicing_detach(a);
    if (a->cells)
        tn_activation_clear(a);
    while (a->attached > 0)
        detach_step(a, &a->plan->steps[--a->attached]);
    for (uint32_t k = 0; a->output_own && k < a->plan->output_count; k++)
        if (a->output_own[k])
            tn_free(a->output_memory[k]);
    tn_free(a->arena);
    tn_free(a->slots);
    tn_pool_fini(&a->pool);
    tn_plan_unref(a->plan);
    tn_free(a);
}

tn_status tn_activation_bind(tn_activation *a, const tn_tensor *const *inputs,
                             tn_object *const *objects)
{
    const tn_plan *plan = a->plan;
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const tn_plan_value *value = &plan->values[v];
        tn_cell *cell = &a->cells[v];
        if (value->place == TN_PLACE_OUTPUT)
            cell->tensor.data = (char *)a->output_memory[value->index] + value->at;
        if (value->place != TN_PLACE_INPUT)
            continue;
        cell->tensor.data = (char *)inputs[value->index]->data + value->at;
        cell->tensor.object = inputs[value->index]->object;
        /* A view has extents of its own, which the object behind its base has not. */
        if (objects && objects[value->index] && value->view_of == TN_NONE) {
            cell->object = tn_object_ref(objects[value->index]);
            cell->tensor.object = cell->tensor.kind ? cell->object : NULL;
        }
    }
    return TN_OK;
}

void tn_activation_clear(tn_activation *a)
{
    for (uint32_t v = 0; v < a->plan->value_count; v++) {
        if (!a->cells[v].object)
            continue;
        tn_object_unref(a->cells[v].object);
        a->cells[v].object = NULL;
    }
}
