/* A plan as a table for people: what runs where, why, and what it costs.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#include <stdio.h>

struct tn_report {
    tn_pool pool;
    tn_report_step *steps;
    uint32_t count;
    tn_report_totals totals;
};

/* Receptive fields by value: size, jump and start on the first spatial axis (Araujo et al., Distill
 * 2019). kernel 0: none, as behind a product over everything. */
typedef struct maker {
    const tn_plan *plan;
    tn_report *report;
    tn_window *fields; /* by slot of the graph's value */
} maker;

static char *keep(maker *m, tn_builder *text)
{
    char *copy = tn_pool_copy(&m->report->pool, tn_builder_text(text));
    tn_builder_fini(text);
    return copy;
}

static const char *layout_name(uint32_t layout, char *text, size_t bytes)
{
    if (layout == TN_LAYOUT_CHANNELS_LAST)
        return ":channels-last";
    snprintf(text, bytes, ":blocked#%u", layout);
    return layout == TN_LAYOUT_PLAIN ? "" : text;
}

static char *types_text(maker *m, const uint32_t *values, uint32_t count)
{
    tn_builder text = { 0 };
    char name[32];
    for (uint32_t k = 0; k < count; k++) {
        if (k)
            tn_add(&text, ", ");
        if (values[k] == TN_NONE) {
            tn_add(&text, "-");
            continue;
        }
        const tn_plan_value *value = &m->plan->values[values[k]];
        tn_add_type(&text, tn_graph_dims(m->plan->compile->graph), value->type);
        tn_add(&text, "%s", layout_name(value->layout, name, sizeof name));
    }
    return keep(m, &text);
}

static const char *value_name(const maker *m, uint32_t value)
{
    const tn_value_view *view = tn_graph_look(m->plan->compile->graph,
                                              m->plan->values[value].value);
    return view ? view->name : "";
}

/* "view of x", "its parts lie there, 1 copied". */
static void add_pieces(maker *m, const tn_plan_step *step, tn_builder *text)
{
    const tn_plan_value *out = &m->plan->values[step->outputs[0]];
    if (out->is_piece)
        tn_add(text, "view of %s", value_name(m, out->view_of));
    else
        tn_add(text, "view: its parts lie there");
    if (step->copy_count)
        tn_add(text, ", %u copied", step->copy_count);
}

static char *place_text(maker *m, const tn_plan_step *step)
{
    tn_builder text = { 0 };
    if (!step->output_count || step->outputs[0] == TN_NONE)
        return keep(m, &text);
    const tn_plan_value *out = &m->plan->values[step->outputs[0]];
    if (step->kind == TN_STEP_VIEW)
        tn_add(&text, "view of %s", value_name(m, step->inputs[0]));
    else if (step->kind == TN_STEP_PIECES)
        add_pieces(m, step, &text);
    else if (out->place == TN_PLACE_DYNAMIC)
        tn_add(&text, "made while running");
    else if (out->place == TN_PLACE_OUTPUT)
        tn_add(&text, "output %s",
               tn_graph_output_name(m->plan->compile->graph, m->plan->region, out->index));
    else
        tn_add(&text, "arena+%zu", m->plan->blocks[out->block].offset + out->at);
    if (step->kind == TN_STEP_KERNEL && out->is_piece)
        tn_add(&text, ", a piece of %s", value_name(m, out->view_of));
    if (step->in_place)
        tn_add(&text, ", in place");
    return keep(m, &text);
}

static char *fused_text(maker *m, const tn_plan_step *step)
{
    const uint32_t before = step->problem.prologue_count;
    tn_builder text = { 0 };
    for (uint32_t k = 0; k < before; k++)
        tn_add(&text, "%s ", step->prologue[k].node->name);
    if (before)
        tn_add(&text, "|");
    for (uint32_t k = 0; k < step->problem.step_count; k++)
        tn_add(&text, "%s%s", k || before ? " " : "", step->steps[k].node->name);
    return keep(m, &text);
}

/* ---- costs ------------------------------------------------------------------------------------------------ */

static bool is_view(const tn_plan_step *step)
{
    return step->kind == TN_STEP_VIEW || step->kind == TN_STEP_PIECES;
}

static void measure_step(const maker *m, const tn_plan_step *step, tn_report_step *row)
{
    const tn_cost cost = tn_step_cost(m->plan, step);
    row->macs += cost.macs;
    row->ops += cost.ops;
    for (uint32_t k = 0; k < step->input_count; k++) {
        if (step->inputs[k] == TN_NONE)
            continue;
        const tn_plan_value *value = &m->plan->values[step->inputs[k]];
        int64_t count = 0;
        row->bytes += is_view(step) ? 0.0 : (double)value->bytes;
        if (value->constant &&
            tn_shape_count(value->type->rank, value->type->dims, &count) == TN_OK)
            row->parameters += (uint64_t)count;
    }
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->outputs[k] != TN_NONE)
            row->output_bytes += m->plan->values[step->outputs[k]].bytes;
    row->bytes += is_view(step) ? 0.0 : (double)row->output_bytes;
    for (uint32_t k = 0; k < step->copy_count; k++)
        row->bytes += 2.0 * (double)m->plan->values[step->copies[k].to].bytes;
}

/* ---- receptive fields ---------------------------------------------------------------------------------------- */

static tn_window widest_input(const maker *m, const tn_plan_step *step)
{
    tn_window best = { 0 };
    for (uint32_t k = 0; k < step->input_count; k++) {
        if (step->input_ids[k] == TN_NONE)
            continue;
        const tn_window field = m->fields[tn_slot_of(step->input_ids[k])];
        if (field.kernel > best.kernel)
            best = field;
    }
    return best;
}

static bool keeps_plane(const tn_plan *plan, const tn_plan_step *step)
{
    const tn_type *out = tn_plan_type(plan, step->output_ids[0]);
    for (uint32_t k = 0; k < step->input_count; k++) {
        const tn_type *in = tn_plan_type(plan, step->input_ids[k]);
        if (in && out && in->rank == out->rank && out->rank >= 3 && in->dims[2] == out->dims[2])
            return true;
    }
    return false;
}

/* The field behind a node with windows; false: it has none. */
static bool widen(const maker *m, tn_node_id node, tn_window *field)
{
    tn_window windows[TN_MAX_RANK];
    if (field->kernel == 0 || tn_infer_windows(m->plan->compile->registry, m->plan->compile->graph,
                                               node, &m->plan->shapes, windows) < 1)
        return false;
    field->pad_begin -= windows[0].pad_begin * field->stride;
    field->kernel += (windows[0].kernel - 1) * windows[0].dilation * field->stride;
    field->stride *= windows[0].stride;
    return true;
}

static tn_window field_of(const maker *m, const tn_plan_step *step)
{
    if (step->node == TN_NONE || step->kind == TN_STEP_DYNAMIC || !step->output_count ||
        step->output_ids[0] == TN_NONE)
        return (tn_window){ 0 };
    tn_window field = widest_input(m, step);
    for (uint32_t k = 0; k < step->problem.prologue_count; k++)
        (void)widen(m, step->prefixed[k], &field);
    return widen(m, step->node, &field) || keeps_plane(m->plan, step) ? field : (tn_window){ 0 };
}

/* ---- all together ---------------------------------------------------------------------------------------------- */

static bool make_step(maker *m, const tn_plan_step *step, tn_report_step *row)
{
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    const char *algorithm = step->kind == TN_STEP_PIECES          ? "view"
                            : step->measured && chosen->algorithm ? chosen->algorithm
                                                                  : step->algorithm;
    *row = (tn_report_step){ .size = sizeof *row };
    row->is_conversion = step->node == TN_NONE && step->kind == TN_STEP_KERNEL;
    row->name = tn_pool_copy(&m->report->pool, step->view ? step->view->name : "copy");
    row->op = tn_pool_copy(&m->report->pool, step->view ? step->view->op : "copy");
    row->backend = tn_pool_copy(&m->report->pool, step->kernel ? step->kernel->def.backend : "-");
    row->algorithm = tn_pool_copy(&m->report->pool, algorithm ? algorithm : "");
    row->fused = fused_text(m, step);
    row->inputs = types_text(m, step->inputs, step->input_count);
    row->outputs = types_text(m, step->outputs, step->output_count);
    row->place = place_text(m, step);
    row->reasons = tn_pool_copy(&m->report->pool, step->reasons ? step->reasons : "");
    row->seconds = step->measured ? chosen->seconds : step->seconds;
    measure_step(m, step, row);
    row->field = field_of(m, step);
    for (uint32_t k = 0; step->output_ids && k < step->output_count; k++)
        if (step->output_ids[k] != TN_NONE && step->node != TN_NONE)
            m->fields[tn_slot_of(step->output_ids[k])] = row->field;
    return row->name && row->op && row->backend && row->algorithm && row->fused && row->inputs &&
           row->outputs && row->place && row->reasons;
}

static void sum(const tn_plan *plan, tn_report *report)
{
    tn_report_totals *t = &report->totals;
    *t = (tn_report_totals){ .size = sizeof *t,
                             .conversions = plan->conversions,
                             .copies = plan->copies,
                             .steps = plan->step_count,
                             .views = plan->views,
                             .pack_bytes = plan->pack_bytes,
                             .scratch_bytes = plan->scratch_bytes,
                             .slot_bytes = plan->slot_bytes,
                             .arena_bytes = plan->arena_bytes,
                             .live_bytes = plan->live_bytes };
    if (plan->batch) {
        t->piece_steps = plan->batch->step;
        t->piece = (uint64_t)plan->batch->piece;
        t->piece_workers = plan->batch->workers;
    }
    for (uint32_t k = 0; k < report->count; k++) {
        t->macs += report->steps[k].macs;
        t->ops += report->steps[k].ops;
    }
    /* A constant that several steps read counts once. */
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const tn_plan_value *value = &plan->values[v];
        int64_t count = 0;
        if (!value->constant || value->pack ||
            tn_shape_count(value->type->rank, value->type->dims, &count) != TN_OK)
            continue;
        t->parameters += (uint64_t)count;
        t->weight_bytes += value->bytes;
    }
}

static tn_status make(maker *m)
{
    const tn_plan *plan = m->plan;
    const uint32_t slots = tn_graph_value_slots(plan->compile->graph) + 1;
    m->fields = tn_pool_alloc(&m->report->pool, slots * sizeof *m->fields);
    m->report->steps = tn_pool_alloc(&m->report->pool,
                                     ((size_t)plan->step_count + 1) * sizeof *m->report->steps);
    if (!m->fields || !m->report->steps)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->input_count; k++)
        if (tn_plan_type(plan, plan->input_ids[k])->rank >= 3)
            m->fields[tn_slot_of(plan->input_ids[k])] =
                (tn_window){ .kernel = 1, .stride = 1, .dilation = 1 };
    for (uint32_t k = 0; k < plan->step_count; k++, m->report->count++)
        if (!make_step(m, &plan->steps[k], &m->report->steps[k]))
            return tn_raise_memory();
    sum(plan, m->report);
    return TN_OK;
}

tn_status tn_plan_report(const tn_plan *plan, tn_report **out)
{
    maker m = { .plan = plan, .report = tn_alloc(1, sizeof *m.report) };
    if (!m.report)
        return tn_raise_memory();
    const tn_status status = make(&m);
    if (status != TN_OK) {
        tn_report_destroy(m.report);
        return status;
    }
    *out = m.report;
    return TN_OK;
}

const tn_report_step *tn_report_get(const tn_report *report, size_t k)
{
    return report && k < report->count ? &report->steps[k] : NULL;
}

const tn_report_totals *tn_report_get_totals(const tn_report *report)
{
    return report ? &report->totals : NULL;
}

void tn_report_destroy(tn_report *report)
{
    if (!report)
        return;
    tn_pool_fini(&report->pool);
    tn_free(report);
}
