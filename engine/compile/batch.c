/* A batch: how far, and in which pieces, it goes through a plan's first steps.
 *
 * Step by step for the whole batch, each step finds what the one before made in memory, where eight
 * images have pushed each other out of the caches. Image after image, or two after two, it is still
 * there, but the weights are read again for each piece. The first steps of a network have large
 * activations and small weights, the last ones the opposite: so pieces go through the first ones, up to
 * a value that alone leads on, and from there the whole batch goes on by the plan itself.
 *
 * Each piece runs on one thread: threads that share a step wait for each other at its end, and never
 * quite get equal parts of it; threads that run pieces wait once.
 *
 * The choice counts bytes, weighed by how far they come, for each place to stop and each size of a
 * piece: activations that do not fit the caches, weights once a piece, and prices for what else takes
 * time, in bytes that would take as long.
 *
 * In: a finished plan. Out: plan->batch, or none.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

/* In bytes that come from the third cache. */
enum {
    FAR = 4,               /* one that comes from memory */
    STEP_BYTES = 8192,     /* beginning a step */
    BARRIER_BYTES = 32768, /* waiting for others at its end, for each thread */
    SHARING = 10           /* so many multiply-adds of a step that threads share unequally */
};
#define LEAST_GAIN 0.05 /* of all that is counted */

/* Caches that a piece has for itself. */
typedef struct room {
    double second, third;
} room;

typedef struct choice {
    uint32_t step, value;
    int64_t piece;
    double cost;
} choice;

typedef struct search {
    tn_plan *plan;
    int64_t batch;
    int32_t *kinds;
    uint32_t last;   /* steps before this one keep samples apart */
    uint32_t *stops; /* [step] the value that alone leads on to it; TN_NONE: no such value */
    double *moved;   /* [step] bytes of activations of one sample */
    double *weights; /* [step] bytes of constants */
    double *macs;    /* [step] multiply-adds of one sample */
    choice best;
} search;

/* ---- what steps move ----------------------------------------------------------------------------- */

static double bytes_of(const tn_plan *plan, uint32_t value)
{
    return value == TN_NONE || plan->values[value].constant ? 0 : (double)plan->values[value].bytes;
}

static void weigh(search *w, uint32_t s)
{
    const tn_plan_step *step = &w->plan->steps[s];
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    double moved = 0;
    if (step->kind != TN_STEP_KERNEL && step->kind != TN_STEP_COPY)
        return;
    for (uint32_t k = 0; k < step->input_count; k++) {
        moved += bytes_of(w->plan, step->inputs[k]);
        if (step->inputs[k] != TN_NONE && w->plan->values[step->inputs[k]].constant &&
            !tn_is_packed(chosen, k))
            w->weights[s] += (double)w->plan->values[step->inputs[k]].bytes;
    }
    for (uint32_t k = 0; k < step->output_count; k++)
        moved += bytes_of(w->plan, step->outputs[k]);
    for (uint32_t k = 0; step->measured && k < chosen->pack_count; k++)
        w->weights[s] += (double)chosen->packs[k].bytes;
    w->moved[s] = moved / (double)w->batch;
    w->macs[s] = tn_step_cost(w->plan, step).macs / (double)w->batch;
}

/* ---- where pieces may stop ----------------------------------------------------------------------- */

static bool keeps_samples(const search *w, const tn_plan_step *step)
{
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->output_ids && step->output_ids[k] != TN_NONE &&
            w->kinds[tn_slot_of(step->output_ids[k])] == TN_SAMPLES_MIXED)
            return false;
    return true;
}

/* The value that lies in a block when step s begins: the last one that was made there. */
static uint32_t value_in(const tn_plan *plan, uint32_t block, uint32_t s)
{
    uint32_t found = TN_NONE;
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const tn_plan_value *value = &plan->values[v];
        if (value->block == block && value->view_of == TN_NONE && value->maker != TN_NONE &&
            value->maker < s && (found == TN_NONE || value->maker > plan->values[found].maker))
            found = v;
    }
    return found;
}

/* Samples must lie one after the other, each a share of the memory that pieces are written to; and
 * nodes must make them: an input that is only brought into another layout is no stem. */
static bool can_be_filled(const search *w, uint32_t v)
{
    const tn_plan_value *value = &w->plan->values[v];
    const uint32_t slot = tn_slot_of(value->value);
    return tn_graph_look(w->plan->compile->graph, value->value)->producer != TN_NONE &&
           value->place == TN_PLACE_ARENA && !value->strides && !value->type->kind &&
           value->layout <= TN_LAYOUT_CHANNELS_LAST && w->kinds[slot] == 0 &&
           tn_dtype_bits(value->type->dtype) >= 8 && value->bytes % (size_t)w->batch == 0;
}

/* One block alone leads from the steps before s to the others. */
static tn_status find_stops(search *w)
{
    const tn_plan *plan = w->plan;
    uint32_t *alive = tn_alloc((size_t)plan->step_count + 1, sizeof *alive);
    uint64_t *sums = tn_alloc((size_t)plan->step_count + 1, sizeof *sums);
    tn_status status = alive && sums ? TN_OK : tn_raise_memory();
    for (uint32_t b = 0; status == TN_OK && b < plan->block_count; b++)
        for (uint32_t s = plan->blocks[b].first + 1;
             s <= plan->blocks[b].last && s < plan->step_count; s++) {
            alive[s]++;
            sums[s] += b;
        }
    for (uint32_t s = 1; status == TN_OK && s < plan->step_count && s <= w->last; s++) {
        const uint32_t v = alive[s] == 1 ? value_in(plan, (uint32_t)sums[s], s) : TN_NONE;
        w->stops[s] = v != TN_NONE && can_be_filled(w, v) ? v : TN_NONE;
    }
    tn_free(alive);
    tn_free(sums);
    return status;
}

/* ---- the choice ------------------------------------------------------------------------------------ */

static room room_of(const tn_compile *compile, uint32_t threads)
{
    const tn_caches c = tn_caches_of_processor();
    if (compile->cache_bytes)
        return (room){ (double)compile->cache_bytes, (double)compile->cache_bytes };
    return (room){ (double)c.second * threads,
                   (double)(c.second + c.third / c.third_shared) * threads };
}

static double distance(const room *r, double bytes)
{
    return bytes <= r->second ? 0 : bytes <= r->third ? 1 : FAR;
}

/* What the whole batch costs, up to each step and in all. */
static void count_whole(const search *w, double *sums)
{
    const uint32_t threads = w->plan->compile->threads;
    const room r = room_of(w->plan->compile, threads);
    sums[0] = 0;
    for (uint32_t s = 0; s < w->plan->step_count; s++) {
        const double moved = w->moved[s] * (double)w->batch;
        sums[s + 1] = sums[s] + moved * distance(&r, moved) + FAR * w->weights[s];
        if (w->moved[s] > 0)
            sums[s + 1] += STEP_BYTES * (double)threads;
        if (threads > 1)
            sums[s + 1] += BARRIER_BYTES * (double)threads +
                           w->macs[s] * (double)w->batch / SHARING;
    }
}

/* The same in pieces, for each place to stop; keeps the best. */
static void try_pieces(search *w, int64_t piece, const double *whole)
{
    const int64_t count = (w->batch + piece - 1) / piece;
    const int64_t threads = w->plan->compile->threads, rounds = (count + threads - 1) / threads;
    const double idle = (double)(rounds * threads) / (double)count - 1;
    const room r = room_of(w->plan->compile, 1);
    double moved = 0, weights = 0, most = 0, steps = 0, macs = 0;
    for (uint32_t s = 0; s < w->last; s++) {
        const double own = w->moved[s] * (double)piece;
        moved += w->moved[s] * (double)w->batch * distance(&r, own);
        weights += w->weights[s];
        most = own > most ? own : most;
        steps += w->moved[s] > 0;
        macs += w->macs[s] * (double)w->batch;
        if (w->stops[s + 1] == TN_NONE)
            continue;
        const double again = weights + most <= r.third ? 1 : FAR;
        const double busy = moved + weights * (FAR + again * (double)(count - 1)) +
                            steps * STEP_BYTES * (double)count;
        const double cost = busy + idle * (busy + macs) - whole[s + 1];
        if (cost < w->best.cost)
            w->best = (choice){ s + 1, w->stops[s + 1], piece, cost };
    }
}

static tn_status choose(search *w)
{
    const int64_t threads = w->plan->compile->threads;
    double *whole = tn_alloc((size_t)w->plan->step_count + 1, sizeof *whole);
    if (!whole)
        return tn_raise_memory();
    count_whole(w, whole);
    w->best.cost = -LEAST_GAIN * whole[w->plan->step_count];
    for (int64_t n = threads > 1 ? threads : 2; n <= w->batch; n += n < 16 ? 1 : n)
        try_pieces(w, (w->batch + n - 1) / n, whole);
    tn_free(whole);
    return TN_OK;
}

/* ---- the plans of pieces --------------------------------------------------------------------------- */

static tn_status make_plan(search *w, tn_slicing *batch, uint32_t which, int64_t samples,
                           tn_plan **out)
{
    tn_plan *plan = w->plan;
    const tn_plan_value *value = &plan->values[batch->value];
    tn_type *types = tn_alloc(plan->input_count + 1, sizeof *types);
    if (!types)
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->input_count; k++)
        types[k] = tn_samples_scaled(tn_plan_type(plan, plan->input_ids[k]),
                                     w->kinds[tn_slot_of(plan->input_ids[k])], samples);
    batch->stems[which] = (tn_stem){ plan, w->kinds, samples, value->value, value->layout };
    batch->compiles[which] = *plan->compile;
    batch->compiles[which].stem = &batch->stems[which];
    batch->compiles[which].threads = 1;
    tn_status status = tn_plan_create(&batch->compiles[which], plan->region, types,
                                      plan->input_count, NULL, out);
    tn_free(types);
    if (status != TN_OK)
        return status;
    const tn_plan_value *made = &(*out)->values[(*out)->outputs[0]];
    return made->place == TN_PLACE_OUTPUT && made->layout == value->layout &&
                   made->bytes == value->bytes / (size_t)batch->samples * (size_t)samples
               ? TN_OK
               : TN_DECLINED;
}

static tn_status make_pieces(search *w)
{
    tn_plan *plan = w->plan;
    tn_slicing *batch = tn_pool_alloc(&plan->pool, sizeof *batch);
    bool *sliced = tn_pool_alloc(&plan->pool, (plan->input_count + 1) * sizeof *sliced);
    if (!batch || !sliced)
        return tn_raise_memory();
    *batch = (tn_slicing){ .step = w->best.step,
                           .value = w->best.value,
                           .samples = w->batch,
                           .piece = w->best.piece,
                           .count = (w->batch + w->best.piece - 1) / w->best.piece,
                           .workers = plan->compile->threads,
                           .sliced = sliced };
    for (uint32_t k = 0; k < plan->input_count; k++)
        sliced[k] = w->kinds[tn_slot_of(plan->input_ids[k])] == 0;
    tn_status status = make_plan(w, batch, 0, batch->piece, &batch->plan);
    if (status == TN_OK && w->batch % batch->piece)
        status = make_plan(w, batch, 1, w->batch % batch->piece, &batch->rest);
    if (status != TN_OK)
        tn_slicing_fini(batch);
    else
        plan->batch = batch;
    return status;
}

void tn_slicing_fini(tn_slicing *batch)
{
    if (!batch)
        return;
    tn_plan_unref(batch->plan);
    tn_plan_unref(batch->rest);
}

/* The extent of the first input's first axis; 0: there is no batch. */
static int64_t batch_of(const tn_plan *plan)
{
    if (!plan->input_count || plan->region != TN_TOP_REGION || plan->has_dynamic)
        return 0;
    for (uint32_t k = 0; k < plan->input_count; k++) {
        const tn_type *type = tn_plan_type(plan, plan->input_ids[k]);
        if (type->kind || tn_dtype_bits(type->dtype) < 8)
            return 0;
    }
    const tn_type *first = tn_plan_type(plan, plan->input_ids[0]);
    return first->rank > 0 ? first->dims[0] : 0;
}

static tn_status find(search *w)
{
    tn_plan *plan = w->plan;
    const size_t steps = (size_t)plan->step_count + 1;
    const uint32_t slots = tn_graph_value_slots(plan->compile->graph) + 1;
    w->kinds = tn_pool_alloc(&plan->pool, slots * sizeof *w->kinds);
    w->stops = tn_pool_alloc(&plan->pool, steps * sizeof *w->stops);
    w->moved = tn_pool_alloc(&plan->pool, steps * sizeof *w->moved);
    w->weights = tn_pool_alloc(&plan->pool, steps * sizeof *w->weights);
    w->macs = tn_pool_alloc(&plan->pool, steps * sizeof *w->macs);
    if (!w->kinds || !w->stops || !w->moved || !w->weights || !w->macs)
        return tn_raise_memory();
    memset(w->stops, 0xff, steps * sizeof *w->stops);
    TN_TRY(tn_samples_find(plan, w->batch, w->kinds));
    while (w->last < plan->step_count && keeps_samples(w, &plan->steps[w->last]))
        w->last++;
    if (w->last == plan->step_count)
        w->last--; /* the last step is always one for all: outputs are the plan's */
    for (uint32_t s = 0; s < plan->step_count; s++)
        weigh(w, s);
    TN_TRY(find_stops(w));
    return choose(w);
}

tn_status tn_plan_slicing(tn_plan *plan)
{
    search w = { .plan = plan };
    if (plan->compile->stem || (plan->compile->flags & TN_SESSION_NO_PIECES))
        return TN_OK;
    w.batch = batch_of(plan);
    if (w.batch < 2)
        return TN_OK;
    TN_TRY(find(&w));
    const tn_status status = w.best.step ? make_pieces(&w) : TN_OK;
    if (status != TN_OK && status != TN_ERR_MEMORY)
        tn_diagnostics_begin(NULL); /* the batch stays whole: nothing that anybody need know */
    return status == TN_ERR_MEMORY ? status : TN_OK;
}
