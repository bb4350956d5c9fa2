/* Running a body: the plan of a region for what it gets now, in an activation of the same context.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

/* What a body's plan takes: its own inputs, then what it captures, found in the plan around it. */
typedef struct body {
    tn_step_call *call;
    tn_region_id region;
    uint32_t count;
    const tn_tensor **inputs;
    tn_object **objects; /* lent */
    tn_type *types;
    tn_pool pool;
} body;

static tn_status take_input(body *b, const tn_tensor *value, tn_object *object)
{
    b->inputs[b->count] = value;
    b->objects[b->count] = object;
    b->types[b->count] = tn_type_of_tensor(value);
    b->count++;
    return TN_OK;
}

/* Lists keep the graph's type: of what they hold, it knows more. */
static void take_list_type(body *b, tn_value_id value)
{
    if (b->inputs[b->count - 1]->kind)
        b->types[b->count - 1] = *tn_graph_value(b->call->graph, value)->type;
    b->types[b->count - 1].kind = b->inputs[b->count - 1]->kind;
}

static tn_object *behind(const tn_step_call *call, const tn_tensor *value)
{
    for (uint32_t k = 0; k < call->ctx.input_count; k++)
        if (call->ctx.inputs[k] == value)
            return call->given ? call->given[k] : NULL;
    return tn_object_of(value);
}

static tn_status collect(body *b, const tn_tensor *const *in, uint32_t in_count)
{
    tn_activation *around = b->call->activation;
    const tn_compile *compile = b->call->compile;
    const tn_value_id *own, *captures;
    uint32_t capture_count;
    const uint32_t own_count = tn_graph_region_inputs(b->call->graph, b->region, &own);
    if (in_count != own_count)
        return tn_raise(TN_ERR_ARGUMENT, "the body takes %u inputs, not %u", own_count, in_count);
    TN_TRY(tn_plan_captures(compile, b->region, &captures, &capture_count));
    const size_t room = own_count + capture_count + 1;
    b->inputs = tn_pool_alloc(&b->pool, room * sizeof *b->inputs);
    b->objects = tn_pool_alloc(&b->pool, room * sizeof *b->objects);
    b->types = tn_pool_alloc(&b->pool, room * sizeof *b->types);
    if (!b->inputs || !b->objects || !b->types)
        return tn_raise_memory();
    for (uint32_t k = 0; k < own_count; k++) {
        TN_TRY(take_input(b, in[k], behind(b->call, in[k])));
        take_list_type(b, own[k]);
    }
    for (uint32_t k = 0; k < capture_count; k++) {
        const tn_value_view *view = tn_graph_value(b->call->graph, captures[k]);
        const uint32_t index = around->plan->value_of[tn_slot_of(captures[k])];
        if (view->constant && !view->is_input)
            continue;
        if (index == TN_NONE)
            return tn_raise(TN_ERR_INTERNAL, "captured value '%s' is not in the plan around",
                            view->name);
        tn_cell *cell = &around->cells[index];
        TN_TRY(take_input(b, cell->object ? &cell->object->tensor : &cell->tensor, cell->object));
        take_list_type(b, captures[k]);
    }
    return TN_OK;
}

/* Each run of a body gives its outputs away: memory of their own, which the kernels write into. */
static tn_status make_outputs(tn_activation *a, tn_object **made)
{
    const tn_plan *plan = a->plan;
    for (uint32_t k = 0; k < plan->output_count; k++) {
        const tn_plan_value *value = &plan->values[plan->outputs[k]];
        if (value->place != TN_PLACE_OUTPUT)
            continue;
        TN_TRY(tn_object_create(value->type, &made[k]));
        a->output_memory[k] = made[k]->tensor.data;
    }
    return TN_OK;
}

/* Output k as a handle: what was made while running, a constant, or what the body was given. */
static tn_status take_output(const tn_activation *a, uint32_t k, tn_object **out)
{
    const tn_plan_value *values = a->plan->values;
    const uint32_t value = a->plan->outputs[k];
    const tn_cell *cell = &a->cells[value];
    uint32_t root = value;
    while (values[root].view_of != TN_NONE)
        root = values[root].view_of;
    if (cell->object) {
        *out = tn_object_ref(cell->object);
        return TN_OK;
    }
    if (values[value].place == TN_PLACE_CONSTANT)
        return tn_object_lend(&cell->tensor, values[value].type, out);
    if (a->cells[root].object)
        return tn_object_show(a->cells[root].object, values[value].type, out);
    return tn_object_copy(&cell->tensor, out);
}

static tn_status take_outputs(tn_activation *a, tn_object **made)
{
    for (uint32_t k = 0; k < a->plan->output_count; k++)
        if (!made[k])
            TN_TRY(take_output(a, k, &made[k]));
    return TN_OK;
}

static tn_status run_in(tn_activation *a, body *b, tn_object **made)
{
    a->outer = b->call->activation;
    a->busy = true;
    tn_status status = make_outputs(a, made);
    if (status == TN_OK)
        status = tn_activation_bind(a, b->inputs, b->objects);
    if (status == TN_OK)
        status = tn_execute(a);
    if (status == TN_OK)
        status = take_outputs(a, made);
    tn_activation_clear(a);
    a->busy = false;
    return status;
}

static tn_status run_plan(body *b, tn_object **made)
{
    tn_run_state *run = b->call->run;
    tn_plan *plan = NULL;
    tn_activation *activation = NULL;
    tn_plan_table *table = (tn_plan_table *)(uintptr_t)&run->session->table;
    TN_TRY(tn_plan_table_get(table, b->call->compile, b->region, b->types, b->count, NULL, &plan));
    tn_status status = tn_context_activation(run->context, plan, &activation);
    if (status == TN_OK)
        status = run_in(activation, b, made);
    tn_plan_unref(plan);
    return status;
}

tn_status tn_run_body(tn_step_call *call, tn_region_id region, const tn_tensor *const *in,
                      uint32_t in_count, const tn_tensor **out, uint32_t out_count)
{
    body b = { .call = call, .region = region };
    const tn_value_id *outputs;
    const uint32_t count = tn_graph_region_outputs(call->graph, region, &outputs);
    tn_object **made = NULL;
    tn_status status = TN_OK;
    if (!call->activation || !call->run->context)
        return tn_raise(TN_ERR_STATE, "bodies run in a context only");
    if (out_count != count)
        return tn_raise(TN_ERR_ARGUMENT, "the body has %u outputs, not %u", count, out_count);
    made = tn_pool_alloc(&b.pool, (count + 1) * sizeof *made);
    status = made ? collect(&b, in, in_count) : tn_raise_memory();
    if (status == TN_OK)
        status = run_plan(&b, made);
    for (uint32_t k = 0; made && k < count; k++) {
        if (status == TN_OK)
            out[k] = &made[k]->tensor;
        else
            tn_object_unref(made[k]);
    }
    tn_pool_fini(&b.pool);
    return status;
}
