/* Layouts: measures every step, chooses one alternative for each along the graph, and puts
 * conversions where two do not meet.
 *
 * The choice is dynamic programming over the steps in their order: forwards the cheapest way to
 * each alternative, with a maker's cost shared among its readers; backwards the alternatives
 * themselves, each with the conversions that its readers, chosen already, would then need.
 *
 * In: placed and fused steps. Out: step->chosen, plan->values, steps of conversions.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#include <stdio.h>

#define MAX_CANDIDATES 8
#define IMPOSSIBLE 1e9
#define CONVERSION_SECONDS 2e-6 /* what a step costs at least … */
#define BYTES_PER_SECOND 8e9    /* … and what moving costs: read once, written once */

/* A conversion that was asked for before, and who would do it. */
typedef struct converter {
    struct converter *next;
    uint32_t from, to;
    const tn_kernel *kernel; /* NULL: nobody */
} converter;

typedef struct work {
    tn_plan *plan;
    uint32_t *maker;        /* by value slot: step; TN_NONE: input or constant */
    converter **converters; /* by value slot */
    double (*costs)[TN_MAX_ALTERNATIVES];
    uint32_t (*wanted)[MAX_CANDIDATES]; /* by value slot: layouts that its readers want … */
    uint32_t *wanted_count;             /* … and how many */
} work;

static uint32_t slot_of(tn_value_id value)
{
    return tn_slot_of(value);
}

static bool work_init(work *w, tn_plan *plan)
{
    const uint32_t slots = tn_graph_value_slots(plan->compile->graph) + 1;
    w->plan = plan;
    w->maker = tn_pool_alloc(&plan->pool, slots * sizeof *w->maker);
    w->converters = tn_pool_alloc(&plan->pool, slots * sizeof *w->converters);
    w->costs = tn_pool_alloc(&plan->pool, (plan->step_count + 1) * sizeof *w->costs);
    w->wanted = tn_pool_alloc(&plan->pool, slots * sizeof *w->wanted);
    w->wanted_count = tn_pool_alloc(&plan->pool, slots * sizeof *w->wanted_count);
    if (!w->maker || !w->converters || !w->costs || !w->wanted || !w->wanted_count)
        return false;
    memset(w->maker, 0xff, slots * sizeof *w->maker);
    for (uint32_t s = 0; s < plan->step_count; s++)
        for (uint32_t k = 0; !plan->steps[s].gone && k < plan->steps[s].output_count; k++)
            if (plan->steps[s].output_ids[k] != TN_NONE)
                w->maker[slot_of(plan->steps[s].output_ids[k])] = s;
    return true;
}

/* Steps with a choice; all others want and make plain tensors. */
static bool has_choice(const tn_plan_step *step)
{
    return step->kind == TN_STEP_KERNEL && !step->gone;
}

/* Which output of its maker a value is. */
static uint32_t output_index(const tn_plan_step *step, tn_value_id value)
{
    uint32_t k = 0;
    while (step->output_ids[k] != value)
        k++;
    return k;
}

static uint32_t made_layout(const tn_plan_step *step, uint32_t alternative, tn_value_id value)
{
    return has_choice(step)
               ? step->alternatives[alternative].output_layouts[output_index(step, value)]
               : TN_LAYOUT_PLAIN;
}

/* ---- conversions ------------------------------------------------------------------------------- */

static tn_status convert_problem(work *w, tn_value_id value, uint32_t from, uint32_t to,
                                 tn_plan_step *step)
{
    tn_pool *pool = &w->plan->pool;
    tn_node_view *view = tn_pool_alloc(pool, sizeof *view);
    char name[160];
    snprintf(name, sizeof name, "%s:%u>%u", tn_graph_look(w->plan->compile->graph, value)->name,
             from, to);
    *step = (tn_plan_step){ .node = TN_NONE,
                            .kind = TN_STEP_KERNEL,
                            .input_count = 1,
                            .output_count = 1,
                            .scratch_block = TN_NONE,
                            .starts_as = TN_NONE,
                            .view = view };
    step->input_ids = tn_pool_dup(pool, &value, sizeof value);
    step->output_ids = tn_pool_dup(pool, &value, sizeof value);
    const tn_type **types = tn_pool_alloc(pool, 2 * sizeof *types);
    const tn_tensor **constants = tn_pool_alloc(pool, sizeof *constants);
    if (!view || !step->input_ids || !step->output_ids || !types || !constants)
        return tn_raise_memory();
    types[0] = types[1] = tn_plan_type(w->plan, value);
    *view = (tn_node_view){ .size = sizeof *view,
                            .version = 1,
                            .name = tn_pool_copy(pool, name),
                            .domain = "tenon",
                            .op = "Convert",
                            .overload = "",
                            .input_count = 1,
                            .output_count = 1,
                            .inputs = step->input_ids,
                            .outputs = step->output_ids,
                            .region = w->plan->region };
    step->problem = (tn_problem){ .size = sizeof step->problem,
                                  .flags = TN_PROBLEM_SHAPES_KNOWN,
                                  .threads = w->plan->compile->threads,
                                  .math = w->plan->compile->math,
                                  .node = view,
                                  .own_count = 1,
                                  .input_count = 1,
                                  .output_count = 1,
                                  .inputs = types,
                                  .outputs = types + 1,
                                  .constants = constants,
                                  .input_layout = from,
                                  .output_layout = to };
    return view->name ? TN_OK : tn_raise_memory();
}

/* The first of the list that converts this value so; remembered. */
static const tn_kernel *find_converter(work *w, tn_value_id value, uint32_t from, uint32_t to)
{
    const tn_compile *compile = w->plan->compile;
    tn_plan_step step;
    const tn_kernel *kernels[4];
    char reason[256];
    double seconds;
    const char *algorithm;
    for (converter *c = w->converters[slot_of(value)]; c; c = c->next)
        if (c->from == from && c->to == to)
            return c->kernel;
    converter *made = tn_pool_alloc(&w->plan->pool, sizeof *made);
    if (!made || convert_problem(w, value, from, to, &step) != TN_OK)
        return NULL;
    *made = (converter){ w->converters[slot_of(value)], from, to, NULL };
    w->converters[slot_of(value)] = made;
    for (uint32_t b = 0; b < compile->backend_count && !made->kernel; b++) {
        if (!tn_compile_backend(compile, b))
            continue;
        uint32_t count = tn_registry_kernels(compile->registry, compile->backends[b], "tenon",
                                             "Convert", 1, kernels, TN_COUNT(kernels));
        for (uint32_t k = 0; k < count && k < TN_COUNT(kernels) && !made->kernel; k++)
            if (tn_kernel_offer(compile, kernels[k], &step.problem, &seconds, &algorithm, reason,
                                sizeof reason) == TN_OK)
                made->kernel = kernels[k];
    }
    return made->kernel;
}

static double conversion_cost(work *w, tn_value_id value, uint32_t from, uint32_t to)
{
    const tn_type *type = tn_plan_type(w->plan, value);
    if (tn_layout_same(from, to, type))
        return 0;
    if (!find_converter(w, value, from, to))
        return IMPOSSIBLE;
    return CONVERSION_SECONDS +
           2.0 * (double)tn_layout_bytes(w->plan->compile->layouts, to, type) / BYTES_PER_SECOND;
}

/* ---- measure ------------------------------------------------------------------------------------ */

static tn_layouts candidates_of(work *w, tn_value_id value)
{
    static const uint32_t plain[] = { TN_LAYOUT_PLAIN };
    uint32_t *list, count = 0;
    const uint32_t maker = value == TN_NONE ? TN_NONE : w->maker[slot_of(value)];
    if (maker == TN_NONE || !has_choice(&w->plan->steps[maker]))
        return (tn_layouts){ 1, plain };
    const tn_plan_step *step = &w->plan->steps[maker];
    list = tn_pool_alloc(&w->plan->pool, TN_MAX_ALTERNATIVES * sizeof *list);
    if (!list)
        return (tn_layouts){ 1, plain };
    for (uint32_t a = 0; a < step->alternative_count; a++) {
        const uint32_t layout = made_layout(step, a, value);
        uint32_t k = 0;
        while (k < count && list[k] != layout)
            k++;
        if (k == count)
            list[count++] = layout;
    }
    return (tn_layouts){ count, list };
}

/* With TN_SESSION_PLAIN_LAYOUTS only alternatives that are plain throughout may be chosen. */
static bool is_allowed(const work *w, const tn_plan_step *step, uint32_t a)
{
    const tn_alternative *alternative = &step->alternatives[a];
    if (!(w->plan->compile->flags & TN_SESSION_PLAIN_LAYOUTS))
        return true;
    for (uint32_t k = 0; k < step->problem.input_count; k++)
        if (alternative->input_layouts[k] != TN_LAYOUT_PLAIN)
            return false;
    for (uint32_t k = 0; k < step->problem.output_count; k++)
        if (alternative->output_layouts[k] != TN_LAYOUT_PLAIN)
            return false;
    return true;
}

static tn_status bar(tn_bars *bars, const tn_plan_step *step, const char *reason)
{
    if (!TN_GROW(bars))
        return tn_raise_memory();
    /* With other nodes in it, it may be those which do not go: try without first. */
    const bool is_fused = step->problem.step_count || step->problem.prologue_count;
    const tn_kernel *kernel = is_fused ? NULL : step->kernel;
    char *copy = tn_strdup(reason);
    if (!copy)
        return tn_raise_memory();
    bars->items[bars->count++] = (tn_bar){ step->node, kernel, copy };
    return TN_DECLINED;
}

static tn_status measure_step(work *w, tn_plan_step *step, tn_bars *bars)
{
    char reason[256] = "";
    tn_layouts *candidates = tn_pool_alloc(&w->plan->pool,
                                           (step->problem.input_count + 1) * sizeof *candidates);
    if (!candidates)
        return tn_raise_memory();
    for (uint32_t k = 0; k < step->problem.input_count; k++)
        candidates[k] = candidates_of(w, step->input_ids[k]);
    tn_status status = tn_kernel_measure(w->plan->compile, step, &w->plan->pool, candidates, reason,
                                         sizeof reason);
    if (status == TN_DECLINED)
        return bar(bars, step, reason);
    if (status != TN_OK && reason[0])
        return tn_raise(status, "%s", reason);
    TN_TRY(status);
    for (uint32_t a = 0; a < step->alternative_count; a++)
        if (is_allowed(w, step, a))
            return TN_OK;
    return bar(bars, step, "has no plain layout");
}

/* ---- the choice ----------------------------------------------------------------------------------- */

static uint32_t wanted_layout(const tn_plan_step *step, uint32_t alternative, uint32_t input)
{
    if (!has_choice(step) || input >= step->problem.input_count ||
        tn_is_packed(&step->alternatives[alternative], input))
        return TN_LAYOUT_PLAIN;
    return step->alternatives[alternative].input_layouts[input];
}

static uint32_t readers_of(const tn_plan *plan, tn_value_id value)
{
    const tn_value_view *view = tn_graph_look(plan->compile->graph, value);
    const uint32_t count = view->use_count + view->output_count;
    return count ? count : 1;
}

/* What one reader of a value bears of the cost of its maker: together they bear it once, or a chain of
 * values that come from several outputs and meet again would count it more often with each link. */
static double share_of(const work *w, uint32_t maker, uint32_t alternative, tn_value_id value)
{
    const tn_plan_step *step = &w->plan->steps[maker];
    uint32_t outputs = 0;
    for (uint32_t k = 0; k < step->output_count; k++)
        outputs += step->output_ids[k] != TN_NONE;
    return w->costs[maker][alternative] / readers_of(w->plan, value) / (outputs ? outputs : 1);
}

/* The cheapest way to have an input in the layout that an alternative wants. */
static double input_cost(work *w, const tn_plan_step *step, uint32_t alternative, uint32_t input)
{
    const tn_value_id value = step->input_ids[input];
    const uint32_t maker = value == TN_NONE ? TN_NONE : w->maker[slot_of(value)];
    const uint32_t want = wanted_layout(step, alternative, input);
    double best = IMPOSSIBLE;
    if (value == TN_NONE || (step->problem.constants && input < step->problem.input_count &&
                             step->problem.constants[input]))
        return 0; /* a constant is converted once, while compiling */
    if (maker == TN_NONE || !has_choice(&w->plan->steps[maker]))
        return conversion_cost(w, value, TN_LAYOUT_PLAIN, want) +
               (maker == TN_NONE ? 0 : share_of(w, maker, 0, value));
    const tn_plan_step *from = &w->plan->steps[maker];
    for (uint32_t a = 0; a < from->alternative_count; a++) {
        const double cost = share_of(w, maker, a, value) +
                            conversion_cost(w, value, made_layout(from, a, value), want);
        best = cost < best ? cost : best;
    }
    return best;
}

static void forward(work *w)
{
    for (uint32_t s = 0; s < w->plan->step_count; s++) {
        const tn_plan_step *step = &w->plan->steps[s];
        const uint32_t count = has_choice(step) ? step->alternative_count : 1;
        for (uint32_t a = 0; a < count && !step->gone; a++) {
            double cost = has_choice(step) ? step->alternatives[a].seconds : 0;
            for (uint32_t k = 0; k < step->input_count; k++)
                cost += input_cost(w, step, a, k);
            w->costs[s][a] = has_choice(step) && !is_allowed(w, step, a) ? IMPOSSIBLE : cost;
        }
    }
}

static void want(work *w, tn_value_id value, uint32_t layout)
{
    const uint32_t slot = slot_of(value);
    for (uint32_t k = 0; k < w->wanted_count[slot]; k++)
        if (w->wanted[slot][k] == layout)
            return;
    if (w->wanted_count[slot] < MAX_CANDIDATES)
        w->wanted[slot][w->wanted_count[slot]++] = layout;
}

static double output_cost(work *w, const tn_plan_step *step, uint32_t alternative)
{
    double cost = 0;
    for (uint32_t k = 0; k < step->output_count; k++) {
        const tn_value_id value = step->output_ids[k];
        for (uint32_t r = 0; value != TN_NONE && r < w->wanted_count[slot_of(value)]; r++)
            cost += conversion_cost(w, value, made_layout(step, alternative, value),
                                    w->wanted[slot_of(value)][r]);
    }
    return cost;
}

/* What a plan gives out, and in which layout. */
static uint32_t outputs_of(const tn_plan *plan, const tn_value_id **out, uint32_t *layout)
{
    const tn_stem *stem = plan->compile->stem;
    *layout = stem ? stem->layout : TN_LAYOUT_PLAIN;
    if (!stem)
        return tn_graph_region_outputs(plan->compile->graph, plan->region, out);
    *out = &stem->value;
    return 1;
}

static tn_status backward(work *w, tn_diagnostics *diagnostics)
{
    uint32_t layout;
    const tn_value_id *outputs;
    const uint32_t output_count = outputs_of(w->plan, &outputs, &layout);
    for (uint32_t k = 0; k < output_count; k++)
        want(w, outputs[k], layout);
    for (uint32_t s = w->plan->step_count; s-- > 0;) {
        tn_plan_step *step = &w->plan->steps[s];
        double best = IMPOSSIBLE;
        if (step->gone)
            continue;
        for (uint32_t a = 0; has_choice(step) && a < step->alternative_count; a++) {
            const double cost = w->costs[s][a] + output_cost(w, step, a);
            if (cost < best) {
                best = cost;
                step->chosen = a;
            }
        }
        if (has_choice(step) && best >= IMPOSSIBLE)
            return tn_plan_diagnose(w->plan->compile, step->node, TN_ERR_UNPLACED,
                                    "no backend of the list converts between the layouts that its "
                                    "kernel and its neighbours' want",
                                    diagnostics);
        for (uint32_t k = 0; k < step->input_count; k++)
            if (step->input_ids[k] != TN_NONE)
                want(w, step->input_ids[k], wanted_layout(step, step->chosen, k));
    }
    return TN_OK;
}

/* ---- values and conversions into the plan ---------------------------------------------------------- */

static tn_status add_value(tn_plan *plan, tn_value_id value, uint32_t layout, uint32_t maker,
                           uint32_t *out)
{
    TN_TRY(tn_plan_reserve_value(plan));
    const tn_type *type = tn_plan_type(plan, value);
    tn_plan_value *made = &plan->values[plan->value_count];
    *made = (tn_plan_value){ .value = value,
                             .type = type,
                             .layout = layout,
                             .block = TN_NONE,
                             .maker = maker,
                             .view_of = TN_NONE,
                             .next = TN_NONE,
                             .place = TN_PLACE_ARENA };
    if (tn_type_is_known(type))
        made->bytes = tn_layout_bytes(plan->compile->layouts, layout, type);
    uint32_t *link = &plan->value_of[slot_of(value)];
    while (*link != TN_NONE)
        link = &plan->values[*link].next;
    *link = *out = plan->value_count++;
    return TN_OK;
}

static tn_status add_sources(work *w)
{
    tn_plan *plan = w->plan;
    uint32_t index;
    plan->inputs = tn_pool_alloc(&plan->pool, (plan->input_count + 1) * sizeof *plan->inputs);
    if (!plan->inputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->input_count; k++) {
        TN_TRY(add_value(plan, plan->input_ids[k], TN_LAYOUT_PLAIN, TN_NONE, &index));
        plan->values[index].place = TN_PLACE_INPUT;
        plan->values[index].index = k;
        plan->inputs[k] = index;
    }
    return TN_OK;
}

/* Steps under construction: the old ones with conversions in between. */
typedef struct step_list {
    tn_plan_step *items;
    uint32_t count, capacity;
} step_list;

static tn_status push_step(step_list *list, const tn_plan_step *step)
{
    if (!TN_GROW(list))
        return tn_raise_memory();
    list->items[list->count++] = *step;
    return TN_OK;
}

static uint32_t in_layout(const tn_plan *plan, tn_value_id value, uint32_t layout)
{
    uint32_t k = plan->value_of[slot_of(value)];
    while (k != TN_NONE && plan->values[k].layout != layout)
        k = plan->values[k].next;
    return k;
}

static tn_status convert_constant(work *w, tn_plan_step *step, uint32_t from, uint32_t index)
{
    const tn_compile *compile = w->plan->compile;
    const tn_tensor *plain = w->plan->values[from].constant;
    tn_plan_value *value = &w->plan->values[index];
    tn_constant *constant = tn_graph_constant(compile->graph, value->value);
    struct {
        uint32_t layout;
    } tag = { value->layout };
    const void *key = &tag;
    size_t key_bytes = sizeof tag;
    bool fill = false;
    tn_status status = TN_OK;
    if (value->layout > TN_LAYOUT_CHANNELS_LAST)
        key = tn_layout_blob(compile->layouts, value->layout, &key_bytes);
    TN_TRY(tn_packs_get(compile->packs, &constant->id, 1, "layout", key, key_bytes, value->bytes,
                        &value->pack, &fill));
    tn_tensor *out = tn_pool_dup(&w->plan->pool, plain, sizeof *plain);
    if (!out)
        status = tn_raise_memory();
    else {
        *out = (tn_tensor){ .size = sizeof *out,
                            .dtype = plain->dtype,
                            .rank = plain->rank,
                            .dims = plain->dims,
                            .data = tn_pack_data(value->pack),
                            .bytes = value->bytes,
                            .layout = value->layout };
        if (fill)
            status = compile->run_once(compile, step, plain, out);
    }
    if (fill) {
        tn_pack_filled(value->pack, status == TN_OK);
        tn_constant_forget(constant);
    }
    value->constant = out;
    value->place = TN_PLACE_CONSTANT;
    return status;
}

static tn_status measure_converter(work *w, tn_plan_step *step)
{
    char reason[256] = "";
    const uint32_t from[] = { step->problem.input_layout };
    const tn_layouts candidates[] = { { 1, from } };
    tn_status status = tn_kernel_measure(w->plan->compile, step, &w->plan->pool, candidates, reason,
                                         sizeof reason);
    if (status != TN_OK && reason[0])
        status = tn_raise(status, "%s", reason);
    if (status != TN_OK) {
        tn_kernel_finish(step);
        return status == TN_DECLINED ? TN_ERR_INTERNAL : status;
    }
    for (uint32_t a = 0; a < step->alternative_count; a++)
        if (step->alternatives[a].output_aliases[0].kind == TN_ALIAS_MAY_REUSE)
            step->alternatives[a].output_aliases[0].kind =
                TN_ALIAS_NONE; /* other places: never in place */
    step->alternatives[0].input_layouts[0] = step->problem.input_layout;
    step->alternatives[0].output_layouts[0] = step->problem.output_layout;
    return TN_OK;
}

/* The plan value that shows `value` in `layout`, with what has to run for it. */
static tn_status have(work *w, step_list *list, tn_value_id value, uint32_t layout, uint32_t *out)
{
    tn_plan *plan = w->plan;
    tn_plan_step step;
    uint32_t from;
    *out = in_layout(plan, value, layout);
    if (*out != TN_NONE)
        return TN_OK;
    from = plan->value_of[slot_of(value)];
    if (from == TN_NONE) { /* a constant, met for the first time */
        TN_TRY(add_value(plan, value, TN_LAYOUT_PLAIN, TN_NONE, &from));
        plan->values[from].place = TN_PLACE_CONSTANT;
        plan->values[from].constant = tn_graph_look(plan->compile->graph, value)->constant;
        if (layout == TN_LAYOUT_PLAIN) {
            *out = from;
            return TN_OK;
        }
    }
    TN_TRY(convert_problem(w, value, plan->values[from].layout, layout, &step));
    TN_TRY(add_value(plan, value, layout, list->count, out));
    step.inputs = tn_pool_dup(&plan->pool, &from, sizeof from);
    step.outputs = tn_pool_dup(&plan->pool, out, sizeof *out);
    if (!step.inputs || !step.outputs)
        return tn_raise_memory();
    if (tn_layout_same(plan->values[from].layout, layout, plan->values[from].type)) {
        step.kind = TN_STEP_VIEW;
        step.algorithm = "view";
        return push_step(list, &step);
    }
    step.kernel = find_converter(w, value, plan->values[from].layout, layout);
    if (!step.kernel)
        return tn_raise(TN_ERR_INTERNAL, "a conversion that nobody does was chosen");
    TN_TRY(measure_converter(w, &step));
    if (plan->values[from].place == TN_PLACE_CONSTANT) {
        plan->values[*out].maker = TN_NONE;
        tn_status status = tn_kernel_prepare(plan->compile, &step, &plan->pool);
        if (status == TN_OK)
            status = convert_constant(w, &step, from, *out);
        tn_kernel_finish(&step);
        return status;
    }
    plan->conversions++;
    tn_status status = push_step(list, &step);
    if (status != TN_OK)
        tn_kernel_finish(&step);
    return status;
}

static tn_status wire_step(work *w, step_list *list, tn_plan_step *step)
{
    tn_plan *plan = w->plan;
    step->inputs = tn_pool_alloc(&plan->pool, (step->input_count + 1) * sizeof *step->inputs);
    step->outputs = tn_pool_alloc(&plan->pool, (step->output_count + 1) * sizeof *step->outputs);
    if (!step->inputs || !step->outputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < step->input_count; k++) {
        step->inputs[k] = TN_NONE;
        if (step->input_ids[k] == TN_NONE)
            continue;
        TN_TRY(have(w, list, step->input_ids[k], wanted_layout(step, step->chosen, k),
                    &step->inputs[k]));
        if (!tn_is_packed(&step->alternatives[step->chosen], k))
            (void)tn_graph_value(plan->compile->graph, step->input_ids[k]); /* runs read it */
    }
    for (uint32_t k = 0; k < step->output_count; k++) {
        step->outputs[k] = TN_NONE;
        if (step->output_ids[k] == TN_NONE)
            continue;
        TN_TRY(add_value(plan, step->output_ids[k],
                         made_layout(step, step->chosen, step->output_ids[k]), list->count,
                         &step->outputs[k]));
        if (step->kind == TN_STEP_DYNAMIC)
            plan->values[step->outputs[k]].place = TN_PLACE_DYNAMIC;
    }
    return TN_OK;
}

static tn_status wire_outputs(work *w, step_list *list)
{
    tn_plan *plan = w->plan;
    uint32_t layout;
    const tn_value_id *outputs;
    plan->output_count = outputs_of(plan, &outputs, &layout);
    plan->outputs = tn_pool_alloc(&plan->pool, (plan->output_count + 1) * sizeof *plan->outputs);
    if (!plan->outputs)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->output_count; k++) {
        TN_TRY(have(w, list, outputs[k], layout, &plan->outputs[k]));
        (void)tn_graph_value(plan->compile->graph,
                             outputs[k]); /* a constant is copied by each run */
    }
    return TN_OK;
}

/* Moves all steps into a new list, conversions in between; on an error whatever was measured must
 * still be found in plan->steps, to be finished. */
static tn_status wire(work *w)
{
    tn_plan *plan = w->plan;
    step_list list = { 0 };
    tn_status status = TN_OK;
    uint32_t done = 0;
    for (; done < plan->step_count && status == TN_OK; done++) {
        tn_plan_step *step = &plan->steps[done];
        if (step->gone)
            continue;
        status = wire_step(w, &list, step);
        if (status == TN_OK)
            status = push_step(&list, step);
        if (status == TN_OK)
            step->measured = false, step->state = NULL; /* the copy has them now */
    }
    if (status == TN_OK)
        status = wire_outputs(w, &list);
    if (status != TN_OK) {
        for (uint32_t k = 0; k < list.count; k++)
            tn_kernel_finish(&list.items[k]);
        tn_free(list.items);
        return status;
    }
    tn_free(plan->steps);
    plan->steps = list.items;
    plan->step_count = list.count;
    plan->step_capacity = list.capacity;
    return TN_OK;
}

tn_status tn_choose_layouts(tn_plan *plan, tn_bars *bars, tn_diagnostics *diagnostics)
{
    work w = { 0 };
    const uint32_t slots = tn_graph_value_slots(plan->compile->graph) + 1;
    plan->value_of = tn_pool_alloc(&plan->pool, slots * sizeof *plan->value_of);
    if (!plan->value_of || !work_init(&w, plan))
        return tn_raise_memory();
    memset(plan->value_of, 0xff, slots * sizeof *plan->value_of);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        tn_plan_step *step = &plan->steps[s];
        if (!has_choice(step))
            continue;
        tn_status status = measure_step(&w, step, bars);
        if (status == TN_DECLINED)
            return status;
        if (status != TN_OK)
            return tn_plan_diagnose(plan->compile, step->node, status, tn_error_message(),
                                    diagnostics);
    }
    forward(&w);
    TN_TRY(backward(&w, diagnostics));
    TN_TRY(add_sources(&w));
    return wire(&w);
}
