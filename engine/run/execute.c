/* The executor: runs a plan's steps in their order.
 *
 * In: an activation with its inputs bound. Out: its cells hold the outputs.
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

#include <stdio.h>
#include <time.h>

uint64_t tn_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

tn_status tn_run_check(tn_run_state *run)
{
    int32_t stopped = __atomic_load_n(&run->stopped, __ATOMIC_RELAXED);
    if (!stopped && run->cancel && *run->cancel)
        stopped = TN_ERR_CANCELLED;
    if (!stopped && run->deadline && tn_now() > run->deadline)
        stopped = TN_ERR_DEADLINE;
    if (stopped)
        __atomic_store_n(&run->stopped, stopped, __ATOMIC_RELAXED);
    return (tn_status)stopped;
}

static tn_status raise_stopped(const tn_run_state *run)
{
    return run->stopped == TN_ERR_CANCELLED
               ? tn_raise(TN_ERR_CANCELLED, "the run was cancelled")
               : tn_raise(TN_ERR_DEADLINE, "the run's deadline passed");
}

static bool is_empty(const tn_tensor *tensor)
{
    for (int32_t axis = 0; tensor && !tensor->kind && axis < tensor->rank; axis++)
        if (tensor->dims[axis] == 0)
            return true;
    return false;
}

/* Nothing to compute when no wanted output has an element; placement saw to the rest. */
static bool has_work(const tn_run *ctx)
{
    bool any = false;
    for (uint32_t k = 0; k < ctx->output_count; k++) {
        if (!ctx->outputs[k])
            continue;
        any = true;
        if (!is_empty(ctx->outputs[k]))
            return true;
    }
    return !any;
}

tn_status tn_call_kernel(tn_step_call *call, const tn_kernel *kernel, const void *state, void *slot)
{
    if (!(kernel->def.flags & TN_KERNEL_EMPTY) && !call->made && !has_work(&call->ctx))
        return TN_OK;
    tn_frame_reset(&call->frame);
    call->ctx.seed = call->run->seed;
    call->ctx.turn = call->activation ? call->activation->turn : 0;
    const tn_status status = kernel->def.run(&call->ctx, state, slot);
    if (status == TN_OK)
        return TN_OK;
    if (status == TN_ERR_CANCELLED || status == TN_ERR_DEADLINE)
        return raise_stopped(call->run);
    return tn_plan_diagnose(
        call->compile, call->node, status,
        call->frame.message[0] ? call->frame.message : "the kernel gave no reason", NULL);
}

static tn_status run_kernel(tn_activation *a, uint32_t s)
{
    const tn_plan_step *step = &a->plan->steps[s];
    tn_step_call *call = &a->calls[s];
    if (step->starts_as != TN_NONE && call->ctx.outputs[0]->bytes)
        memcpy(call->ctx.outputs[0]->data, call->ctx.inputs[step->starts_as]->data,
               call->ctx.outputs[0]->bytes);
    TN_TRY(tn_call_kernel(call, step->kernel, step->state, a->slots + step->slot_offset));
    for (uint32_t h = 0; h < step->host_step_count; h++)
        TN_TRY(tn_call_kernel(&a->host_calls[s][h], step->host_steps[h].kernel, NULL, NULL));
    return TN_OK;
}

/* A view of memory that a run binds follows it; one of a dynamic value holds it. */
static tn_status run_view(tn_activation *a, const tn_plan_step *step)
{
    const tn_cell *in = &a->cells[step->inputs[0]];
    const tn_plan_value *value = &a->plan->values[step->outputs[0]];
    tn_cell *out = &a->cells[step->outputs[0]];
    if (value->place == TN_PLACE_DYNAMIC) {
        TN_TRY(tn_object_show(in->object, value->type, &out->object));
        out->object->tensor.layout = value->layout;
        out->tensor = out->object->tensor;
        return TN_OK;
    }
    out->tensor.data = in->tensor.data;
    return TN_OK;
}

/* Dense, or pieces: row by row, each side with its own distance. */
static void run_copy(tn_activation *a, uint32_t from, uint32_t to)
{
    const tn_plan_value *value = &a->plan->values[to];
    const tn_plan_value *in = &a->plan->values[from], *one = in->strides ? in : value;
    const char *x = a->cells[from].tensor.data;
    char *y = a->cells[to].tensor.data;
    if (!one->strides) {
        if (value->bytes)
            memcpy(y, x, value->bytes);
        return;
    }
    const size_t width = tn_dtype_bits(value->type->dtype) / 8, row = (size_t)one->row * width;
    const size_t x_step = in->strides ? (size_t)in->row_step * width : row;
    const size_t y_step = value->strides ? (size_t)value->row_step * width : row;
    for (size_t done = 0; done < value->bytes; done += row, x += x_step, y += y_step)
        memcpy(y, x, row);
}

static void run_pieces(tn_activation *a, const tn_plan_step *step)
{
    for (uint32_t k = 0; k < step->copy_count; k++)
        run_copy(a, step->copies[k].from, step->copies[k].to);
}

static tn_status run_step(tn_activation *a, uint32_t s)
{
    const tn_plan_step *step = &a->plan->steps[s];
    switch (step->kind) {
    case TN_STEP_KERNEL: return run_kernel(a, s);
    case TN_STEP_VIEW: return run_view(a, step);
    case TN_STEP_COPY: run_copy(a, step->inputs[0], step->outputs[0]); return TN_OK;
    case TN_STEP_PIECES: run_pieces(a, step); return TN_OK;
    default: return tn_execute_dynamic(a, s);
    }
}

static void let_go(tn_activation *a, uint32_t s)
{
    const tn_plan *plan = a->plan;
    for (uint32_t k = plan->dies[s]; k < plan->dies[s + 1]; k++) {
        tn_cell *cell = &a->cells[plan->dead[k]];
        tn_object_unref(cell->object);
        cell->object = NULL;
    }
}

tn_status tn_execute(tn_activation *a)
{
    tn_run_state *run = a->run;
    const tn_slicing *batch = a->plan->batch;
    if (batch)
        TN_TRY(tn_slicing_run(a));
    for (uint32_t s = batch ? batch->step : 0; s < a->plan->step_count; s++) {
        if ((run->cancel || run->deadline) && tn_run_check(run) != TN_OK)
            return raise_stopped(run);
        const uint64_t start = run->profile ? tn_now() : 0;
        TN_TRY(run_step(a, s));
        if (run->profile)
            tn_context_note(run, &a->plan->steps[s], start, tn_now());
        if (a->plan->has_dynamic)
            let_go(a, s);
    }
    return TN_OK;
}

tn_status tn_run_once(const tn_compile *compile, tn_plan_step *step, const tn_tensor *input,
                      tn_tensor *output)
{
    tn_run_state run = { .seed = 0 };
    tn_step_call call = {
        .compile = compile, .run = &run, .graph = compile->graph, .node = step->node
    };
    const tn_tensor *inputs[] = { input };
    tn_tensor *outputs[] = { output };
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    struct {
        tn_frame frame;
        tn_slot_call ctx;
    } slot_call = { .ctx = { .problem = &step->problem,
                             .instance = step->kernel->backend ? step->kernel->backend->instance
                                                               : NULL } };
    void *scratch = tn_alloc_aligned(chosen->scratch_bytes + 1, 64);
    void *slot = tn_alloc(chosen->slot_bytes + 1, 1);
    tn_status status = TN_OK;
    if (!scratch || !slot) {
        status = tn_raise_memory();
    } else {
        tn_frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, TN_STAGE_RUN,
                      step->kernel->plugin, step->kernel->def.user, &call);
        tn_frame_init(&slot_call.frame, &slot_call.ctx.call, sizeof slot_call.ctx, TN_STAGE_COMPILE,
                      step->kernel->plugin, step->kernel->def.user, (void *)compile);
        call.ctx.node = step->view;
        call.ctx.input_count = call.ctx.output_count = 1;
        call.ctx.inputs = inputs;
        call.ctx.outputs = outputs;
        call.ctx.scratch = scratch;
        call.ctx.packs = step->pack_data;
        call.ctx.threads = compile->threads;
        call.ctx.math = compile->math;
        call.ctx.instance = slot_call.ctx.instance;
        const int before = tn_threads_enter(compile->threads);
        if (step->kernel->def.attach)
            status = step->kernel->def.attach(&slot_call.ctx, step->state, slot);
        if (status == TN_OK)
            status = tn_call_kernel(&call, step->kernel, step->state, slot);
        if (step->kernel->def.detach)
            step->kernel->def.detach(&slot_call.ctx, step->state, slot);
        tn_threads_leave(before);
    }
    tn_free(scratch);
    tn_free(slot);
    return status;
}
