/* The life of one kernel: offer, measure, prepare, finish, with the frames around its callbacks.
 *
 * Used by the stages of a plan, and by run/ for steps whose shapes only running tells.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#include <omp.h>
#include <stdio.h>

int tn_threads_enter(uint32_t threads)
{
    const int before = omp_get_max_threads();
    if (before != (int)threads)
        omp_set_num_threads((int)threads);
    return before;
}

void tn_threads_leave(int before)
{
    if (omp_get_max_threads() != before)
        omp_set_num_threads(before);
}

static void frame_init(tn_frame *frame, tn_call *call, uint32_t bytes, const tn_kernel *kernel,
                       const tn_compile *compile)
{
    tn_frame_init(frame, call, bytes, TN_STAGE_COMPILE, kernel->plugin, kernel->def.user,
                  (void *)compile);
}

/* What a callback says is its status and its words; a status alone gets words of ours. */
static void take_words(const tn_frame *frame, const char *what, char *text, size_t bytes)
{
    if (!bytes)
        return;
    snprintf(text, bytes, "%s", frame->message[0] ? frame->message : what);
}

tn_status tn_kernel_offer(const tn_compile *compile, const tn_kernel *kernel,
                          const tn_problem *problem, double *seconds, const char **algorithm,
                          char *reason, size_t reason_bytes)
{
    struct {
        tn_frame frame;
        tn_offer ctx;
    } call = { .ctx = { .problem = problem } };
    tn_status status;
    *seconds = 0;
    *algorithm = NULL;
    if (kernel->def.types && problem->own_count && problem->inputs[0] &&
        problem->inputs[0]->dtype != TN_UNDEFINED &&
        !(kernel->def.types & TN_BIT(problem->inputs[0]->dtype))) {
        snprintf(reason, reason_bytes, "does not take %s",
                 tn_dtype_name(problem->inputs[0]->dtype));
        return TN_DECLINED;
    }
    if (problem->step_count && !kernel->def.offer && !(kernel->def.flags & TN_KERNEL_ANY_STEPS)) {
        snprintf(reason, reason_bytes, "takes no epilogue");
        return TN_DECLINED;
    }
    if (!kernel->def.offer)
        return TN_OK;
    frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, kernel, compile);
    const int before = tn_threads_enter(compile->threads);
    status = kernel->def.offer(&call.ctx);
    tn_threads_leave(before);
    *seconds = call.ctx.seconds;
    *algorithm = call.ctx.algorithm;
    if (status != TN_OK)
        take_words(&call.frame, status == TN_NEEDS_SHAPES ? "needs known shapes" : "declined",
                   reason, reason_bytes);
    return status;
}

/* ---- measure ---------------------------------------------------------------------------------- */

static bool alternative_init(tn_alternative *alternative, const tn_plan_step *step, tn_pool *pool)
{
    const uint32_t inputs = step->problem.input_count, outputs = step->problem.output_count;
    *alternative = (tn_alternative){
        .size = sizeof *alternative,
        .input_layouts = tn_pool_alloc(pool, (inputs + 1) * sizeof(uint32_t)),
        .output_layouts = tn_pool_alloc(pool, (outputs + 1) * sizeof(uint32_t)),
        .output_aliases = tn_pool_alloc(pool, (outputs + 1) * sizeof(tn_alias)),
        .algorithm = step->algorithm,
        .seconds = step->seconds,
    };
    return alternative->input_layouts && alternative->output_layouts && alternative->output_aliases;
}

static bool same_extents(const tn_type *a, const tn_type *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* An input whose elements lie the same in every layout: one element only. */
static bool is_scalar(const tn_type *type)
{
    int64_t count = 0;
    return tn_shape_count(type->rank, type->dims, &count) == TN_OK && count == 1;
}

/* TN_KERNEL_ANY_LAYOUT: everything channels-last, when something comes so and all shapes agree. */
static bool can_follow(const tn_plan_step *step, const tn_layouts *candidates)
{
    const tn_problem *p = &step->problem;
    const tn_type *out = p->output_count ? p->outputs[0] : NULL;
    bool offered = false;
    if (!out || out->rank < 3 || p->output_count != 1 || p->step_count)
        return false;
    for (uint32_t k = 0; k < p->input_count; k++) {
        if (!p->inputs[k] || is_scalar(p->inputs[k]))
            continue;
        if (!same_extents(p->inputs[k], out))
            return false;
        for (uint32_t c = 0; c < candidates[k].count; c++)
            offered |= candidates[k].layouts[c] == TN_LAYOUT_CHANNELS_LAST;
    }
    return offered;
}

/* The ability to be strided is said with a layout; the plan keeps the two apart. */
static bool split_layouts(tn_plan_step *step, uint32_t a, tn_pool *pool)
{
    tn_alternative *alternative = &step->alternatives[a];
    const uint32_t inputs = step->problem.input_count, outputs = step->problem.output_count;
    bool *in = tn_pool_alloc(pool, inputs + 1), *out = tn_pool_alloc(pool, outputs + 1);
    if (!in || !out)
        return false;
    for (uint32_t k = 0; k < inputs; k++) {
        in[k] = alternative->input_layouts[k] & TN_LAYOUT_STRIDED;
        alternative->input_layouts[k] &= ~TN_LAYOUT_STRIDED;
    }
    for (uint32_t k = 0; k < outputs; k++) {
        out[k] = alternative->output_layouts[k] & TN_LAYOUT_STRIDED;
        alternative->output_layouts[k] &= ~TN_LAYOUT_STRIDED;
    }
    step->strided_inputs[a] = in;
    step->strided_outputs[a] = out;
    return true;
}

/* A kernel without measure: plain, or all channels-last; in place where it says so. */
static void measure_by_flags(tn_plan_step *step, const tn_layouts *candidates)
{
    const uint32_t flags = step->kernel->def.flags;
    step->alternative_count = 1;
    if ((flags & TN_KERNEL_ANY_LAYOUT) && can_follow(step, candidates)) {
        tn_alternative *last = &step->alternatives[step->alternative_count++];
        for (uint32_t k = 0; k < step->problem.input_count; k++)
            if (step->problem.inputs[k] && !is_scalar(step->problem.inputs[k]))
                last->input_layouts[k] = TN_LAYOUT_CHANNELS_LAST;
        last->output_layouts[0] = TN_LAYOUT_CHANNELS_LAST;
    }
    for (uint32_t a = 0; a < step->alternative_count; a++)
        if ((flags & TN_KERNEL_IN_PLACE) && step->problem.output_count)
            step->alternatives[a].output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, TN_NONE };
}

/* Keys and source lists belong to the kernel only until measure returns. */
static bool keep_packs(tn_alternative *alternative, tn_pool *pool)
{
    for (uint32_t k = 0; k < alternative->pack_count; k++) {
        tn_pack_def *pack = &alternative->packs[k];
        pack->sources = tn_pool_dup(pool, pack->sources, pack->source_count * sizeof(uint32_t));
        pack->key = tn_pool_dup(pool, pack->key, pack->key_bytes);
        if (!pack->sources || !pack->key)
            return false;
    }
    return true;
}

/* What a kernel tells of itself is somebody else's numbers. */
static tn_status check_alternative(const tn_plan_step *step, const tn_alternative *alternative)
{
    const tn_problem *p = &step->problem;
    if (alternative->pack_count > TN_MAX_PACKS)
        return tn_raise(TN_ERR_PLUGIN, "measure asks for %u packs; at most %d are possible",
                        alternative->pack_count, TN_MAX_PACKS);
    for (uint32_t k = 0; k < alternative->pack_count; k++)
        for (uint32_t s = 0; s < alternative->packs[k].source_count; s++) {
            const uint32_t source = alternative->packs[k].sources[s];
            if (source >= p->input_count || !p->constants[source])
                return tn_raise(TN_ERR_PLUGIN, "measure packs input %u, which is no constant",
                                source);
        }
    for (uint32_t k = 0; k < p->output_count; k++) {
        const tn_alias *alias = &alternative->output_aliases[k];
        if (alias->kind > TN_ALIAS_STARTS_AS ||
            (alias->kind == TN_ALIAS_STARTS_AS && alias->input >= p->input_count))
            return tn_raise(TN_ERR_PLUGIN,
                            "measure gives output %u an alias of input %u, of %u inputs", k,
                            alias->input, p->input_count);
    }
    return TN_OK;
}

static tn_status call_measure(const tn_compile *compile, tn_plan_step *step,
                              const tn_layouts *candidates, char *reason, size_t reason_bytes)
{
    struct {
        tn_frame frame;
        tn_measure ctx;
    } call = { .ctx = { .problem = &step->problem,
                        .candidates = candidates,
                        .alternative_count = 1,
                        .alternatives = step->alternatives,
                        .instance = step->kernel->backend ? step->kernel->backend->instance
                                                          : NULL } };
    frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, step->kernel, compile);
    const int before = tn_threads_enter(compile->threads);
    tn_status status = step->kernel->def.measure(&call.ctx, step->state);
    tn_threads_leave(before);
    step->alternative_count = call.ctx.alternative_count;
    if (status != TN_OK)
        take_words(&call.frame, "declined by measure", reason, reason_bytes);
    return status;
}

tn_status tn_kernel_measure(const tn_compile *compile, tn_plan_step *step, tn_pool *pool,
                            const tn_layouts *candidates, char *reason, size_t reason_bytes)
{
    step->state = tn_alloc(step->kernel->def.state_bytes, 1);
    if (!step->state)
        return tn_raise_memory();
    for (uint32_t a = 0; a < TN_MAX_ALTERNATIVES; a++)
        if (!alternative_init(&step->alternatives[a], step, pool))
            return tn_raise_memory();
    step->measured = true;
    if (!step->kernel->def.measure) {
        measure_by_flags(step, candidates);
        return TN_OK;
    }
    TN_TRY(call_measure(compile, step, candidates, reason, reason_bytes));
    if (step->alternative_count < 1 || step->alternative_count > TN_MAX_ALTERNATIVES)
        return tn_raise(TN_ERR_PLUGIN, "measure gives %u alternatives; 1 to %d are possible",
                        step->alternative_count, TN_MAX_ALTERNATIVES);
    for (uint32_t a = 0; a < step->alternative_count; a++) {
        TN_TRY(check_alternative(step, &step->alternatives[a]));
        if (!keep_packs(&step->alternatives[a], pool) || !split_layouts(step, a, pool))
            return tn_raise_memory();
    }
    return TN_OK;
}

/* ---- prepare ------------------------------------------------------------------------------------ */

/* Constants of equal id have equal contents; a pack is known by theirs. */
static tn_status find_pack(const tn_compile *compile, const tn_plan_step *step,
                           const tn_pack_def *def, tn_pack_block **out, bool *fill)
{
    uint64_t ids[64];
    const tn_backend *backend = step->kernel->backend;
    if (def->source_count > TN_COUNT(ids))
        return tn_raise(TN_ERR_LIMIT, "a pack of %u constants; at most %zu are possible",
                        def->source_count, TN_COUNT(ids));
    for (uint32_t k = 0; k < def->source_count; k++)
        ids[k] = tn_graph_constant(compile->graph, step->input_ids[def->sources[k]])->id;
    return tn_packs_get(compile->packs, ids, def->source_count,
                        backend && backend->def.build ? backend->def.build
                                                      : step->kernel->def.backend,
                        def->key, def->key_bytes, def->bytes, out, fill);
}

static tn_status call_prepare(const tn_compile *compile, tn_plan_step *step, tn_pack *packs)
{
    struct {
        tn_frame frame;
        tn_prepare ctx;
    } call = { .ctx = { .problem = &step->problem,
                        .chosen = &step->alternatives[step->chosen],
                        .chosen_index = step->chosen,
                        .packs = packs,
                        .instance = step->kernel->backend ? step->kernel->backend->instance
                                                          : NULL } };
    frame_init(&call.frame, &call.ctx.call, sizeof call.ctx, step->kernel, compile);
    const int before = tn_threads_enter(compile->threads);
    tn_status status = step->kernel->def.prepare(&call.ctx, step->state);
    tn_threads_leave(before);
    if (status != TN_OK)
        return tn_raise(status, "%s",
                        call.frame.message[0] ? call.frame.message : "prepare gave no reason");
    return TN_OK;
}

/* What was packed is not read where it came from, as a rule: weights are in memory once. */
static void forget_sources(const tn_compile *compile, const tn_plan_step *step,
                           const tn_pack_def *def)
{
    for (uint32_t k = 0; k < def->source_count; k++)
        tn_constant_forget(tn_graph_constant(compile->graph, step->input_ids[def->sources[k]]));
}

tn_status tn_kernel_prepare(const tn_compile *compile, tn_plan_step *step, tn_pool *pool)
{
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    tn_pack packs[TN_MAX_PACKS] = { { 0 } };
    tn_status status = TN_OK;
    uint32_t got = 0;
    step->packs = tn_pool_alloc(pool, (chosen->pack_count + 1) * sizeof *step->packs);
    step->pack_data = tn_pool_alloc(pool, (chosen->pack_count + 1) * sizeof *step->pack_data);
    if (!step->packs || !step->pack_data)
        return tn_raise_memory();
    for (; got < chosen->pack_count && status == TN_OK; got++) {
        bool fill = false;
        status = find_pack(compile, step, &chosen->packs[got], &step->packs[got], &fill);
        if (status != TN_OK)
            break;
        step->pack_data[got] = tn_pack_data(step->packs[got]);
        packs[got] = (tn_pack){ tn_pack_data(step->packs[got]), chosen->packs[got].bytes, fill, 0 };
    }
    if (status == TN_OK && step->kernel->def.prepare)
        status = call_prepare(compile, step, packs);
    for (uint32_t k = 0; k < got; k++)
        if (packs[k].fill) {
            tn_pack_filled(step->packs[k], status == TN_OK);
            forget_sources(compile, step, &chosen->packs[k]);
        }
    return status;
}

void tn_kernel_finish(tn_plan_step *step)
{
    if (step->measured && step->kernel->def.finish)
        step->kernel->def.finish(step->state);
    step->measured = false;
    tn_free(step->state);
    step->state = NULL;
    for (uint32_t k = 0; step->packs && k < step->alternatives[step->chosen].pack_count; k++)
        tn_pack_unref(step->packs[k]);
    step->packs = NULL;
}
