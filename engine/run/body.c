/* Running a body: the plan of a region for what it gets now, in an activation of the same context.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"

/* ---- sites ------------------------------------------------------------------------------------------- */

/* What a body's plan takes: its own inputs, then what it captures, found in the plan around it. */
static tn_status list_values(const tn_step_call *call, tn_body_site *site)
{
    const tn_plan *around = call->activation->plan;
    const tn_value_id *own, *captures;
    uint32_t captured;
    site->own_count = tn_graph_region_inputs(call->graph, site->region, &own);
    TN_TRY(tn_plan_captures(call->compile, site->region, &captures, &captured));
    tn_value_id *values = tn_pool_alloc(call->pool,
                                        (site->own_count + captured + 1) * sizeof *values);
    site->cells = tn_pool_alloc(call->pool, (site->own_count + captured + 1) * sizeof *site->cells);
    if (!values || !site->cells)
        return tn_raise_memory();
    site->values = values;
    for (; site->count < site->own_count; site->count++)
        values[site->count] = own[site->count];
    for (uint32_t k = 0; k < captured; k++) {
        const tn_value_view *view = tn_graph_look(call->graph, captures[k]);
        if (view->constant && !view->is_input)
            continue;
        site->cells[site->count] = around->value_of[tn_slot_of(captures[k])];
        if (site->cells[site->count] == TN_NONE)
            return tn_raise(TN_ERR_INTERNAL, "captured value '%s' is not in the plan around",
                            view->name);
        values[site->count++] = captures[k];
    }
    return TN_OK;
}

static tn_status make_site(tn_step_call *call, tn_region_id region, tn_body_site **out)
{
    const tn_value_id *outputs;
    tn_body_site *site = tn_pool_alloc(call->pool, sizeof *site);
    if (!site)
        return tn_raise_memory();
    site->region = region;
    site->output_count = tn_graph_region_outputs(call->graph, region, &outputs);
    TN_TRY(list_values(call, site));
    const size_t room = site->count + 1;
    site->inputs = tn_pool_alloc(call->pool, room * sizeof *site->inputs);
    site->objects = tn_pool_alloc(call->pool, room * sizeof *site->objects);
    site->types = tn_pool_alloc(call->pool, room * sizeof *site->types);
    site->made = tn_pool_alloc(call->pool, (site->output_count + 1) * sizeof *site->made);
    if (!site->inputs || !site->objects || !site->types || !site->made)
        return tn_raise_memory();
    site->next = call->sites;
    call->sites = *out = site;
    return TN_OK;
}

static tn_status find_site(tn_step_call *call, tn_region_id region, tn_body_site **out)
{
    for (tn_body_site *site = call->sites; site; site = site->next)
        if (site->region == region) {
            *out = site;
            return TN_OK;
        }
    return make_site(call, region, out);
}

static void let_go(tn_body_site *site)
{
    if (site->activation)
        site->activation->held--;
    site->activation = NULL;
}

void tn_body_sites_fini(tn_step_call *call)
{
    for (tn_body_site *site = call->sites; site; site = site->next)
        let_go(site);
    call->sites = NULL;
}

/* ---- inputs -------------------------------------------------------------------------------------------- */

static tn_object *behind(const tn_step_call *call, const tn_tensor *value)
{
    for (uint32_t k = 0; k < call->ctx.input_count; k++)
        if (call->ctx.inputs[k] == value)
            return call->given ? call->given[k] : NULL;
    return tn_object_of(value);
}

static void collect(const tn_step_call *call, tn_body_site *site, const tn_tensor *const *in)
{
    for (uint32_t k = 0; k < site->own_count; k++) {
        site->inputs[k] = in[k];
        site->objects[k] = behind(call, in[k]);
    }
    for (uint32_t k = site->own_count; k < site->count; k++) {
        const tn_cell *cell = &call->activation->cells[site->cells[k]];
        site->objects[k] = cell->object;
        site->inputs[k] = cell->object ? &cell->object->tensor : &cell->tensor;
    }
}

/* Lists keep the graph's type: of what they hold, it knows more. */
static tn_type type_of(const tn_step_call *call, const tn_body_site *site, uint32_t k)
{
    tn_type type;
    if (!site->inputs[k]->kind)
        return tn_type_of_tensor(site->inputs[k]);
    type = *tn_graph_look(call->graph, site->values[k])->type;
    type.kind = site->inputs[k]->kind;
    return type;
}

/* As in the trip before: then nothing need be looked up. */
static bool fits(const tn_body_site *site)
{
    for (uint32_t k = 0; k < site->count; k++) {
        const tn_tensor *tensor = site->inputs[k];
        const tn_type *type = &site->types[k];
        if (tensor->kind != type->kind)
            return false;
        if (!tensor->kind &&
            (tensor->dtype != type->dtype || tensor->rank != type->rank ||
             (tensor->rank > 0 &&
              memcmp(tensor->dims, type->dims, (size_t)tensor->rank * sizeof *type->dims) != 0)))
            return false;
    }
    return true;
}

static tn_status choose(tn_step_call *call, tn_body_site *site)
{
    tn_run_state *run = call->run;
    tn_plan *plan = NULL;
    tn_plan_table *table = (tn_plan_table *)(uintptr_t)&run->session->table;
    if (site->activation && fits(site))
        return TN_OK;
    let_go(site);
    for (uint32_t k = 0; k < site->count; k++)
        site->types[k] = type_of(call, site, k);
    TN_TRY(tn_plan_table_get(table, call->compile, site->region, site->types, site->count, NULL,
                             &plan));
    const tn_status status = tn_context_activation(run->context, plan, &site->activation);
    tn_plan_unref(plan);
    if (status == TN_OK)
        site->activation->held++;
    else
        site->activation = NULL;
    return status;
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

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

/* ---- running ------------------------------------------------------------------------------------------- */

/* The first run of a body is as if its nodes stood in the place of their owner, where a pass may have
 * put them. */
static uint64_t turn_of(const tn_step_call *call)
{
    const uint64_t around = call->activation->turn;
    return call->bodies > 1 ? tn_hash(&call->bodies, sizeof call->bodies, around) : around;
}

static tn_status run_in(tn_activation *a, tn_step_call *call, const tn_body_site *site)
{
    a->turn = turn_of(call);
    a->outer = call->activation;
    a->busy = true;
    tn_status status = make_outputs(a, site->made);
    if (status == TN_OK)
        status = tn_activation_bind(a, site->inputs, site->objects);
    if (status == TN_OK)
        status = tn_execute(a);
    if (status == TN_OK)
        status = take_outputs(a, site->made);
    tn_activation_clear(a);
    a->busy = false;
    return status;
}

tn_status tn_run_body(tn_step_call *call, tn_region_id region, const tn_tensor *const *in,
                      uint32_t in_count, const tn_tensor **out, uint32_t out_count)
{
    tn_body_site *site = NULL;
    if (!call->activation || !call->run->context)
        return tn_raise(TN_ERR_STATE, "bodies run in a context only");
    TN_TRY(find_site(call, region, &site));
    if (in_count != site->own_count)
        return tn_raise(TN_ERR_ARGUMENT, "the body takes %u inputs, not %u", site->own_count,
                        in_count);
    if (out_count != site->output_count)
        return tn_raise(TN_ERR_ARGUMENT, "the body has %u outputs, not %u", site->output_count,
                        out_count);
    memset(site->made, 0, site->output_count * sizeof *site->made);
    collect(call, site, in);
    tn_status status = choose(call, site);
    if (status == TN_OK)
        status = run_in(site->activation, call, site);
    for (uint32_t k = 0; k < site->output_count; k++) {
        if (status == TN_OK)
            out[k] = &site->made[k]->tensor;
        else
            tn_object_unref(site->made[k]);
    }
    return status;
}
