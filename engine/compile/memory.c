/* Memory: which values share a block, and where each block lies in the arena.
 *
 * A view shares its base's block, and a piece its whole's, which lives from the first piece that is
 * written to the last one that is read. An output may take over the block of an input that dies there
 * (in place), as the kernel's aliases allow. A graph output's block is the output's own memory.
 * What remains lies in one arena, by lifetime: the largest first, each as low as it fits.
 *
 * In: plan->steps, plan->values. Out: plan->blocks, values' blocks, copies of outputs.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

#define FOREVER UINT32_MAX

/* The value whose memory a value shows. */
static uint32_t root_of(const tn_plan *plan, uint32_t value)
{
    while (plan->values[value].view_of != TN_NONE)
        value = plan->values[value].view_of;
    return value;
}

/* ---- lifetimes ----------------------------------------------------------------------------------- */

/* The last step that reads each root; outputs of the region are never dead. */
static uint32_t *last_uses(tn_plan *plan)
{
    uint32_t *last = tn_pool_alloc(&plan->pool, (plan->value_count + 1) * sizeof *last);
    for (uint32_t s = 0; last && s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        for (uint32_t k = 0; k < step->input_count; k++)
            if (step->inputs[k] != TN_NONE)
                last[root_of(plan, step->inputs[k])] = s;
        for (uint32_t k = 0; k < step->output_count; k++)
            if (step->outputs[k] != TN_NONE && last[root_of(plan, step->outputs[k])] < s)
                last[root_of(plan, step->outputs[k])] = s;
    }
    for (uint32_t k = 0; last && k < plan->output_count; k++)
        last[root_of(plan, plan->outputs[k])] = FOREVER;
    return last;
}

/* ---- blocks -------------------------------------------------------------------------------------- */

static tn_status add_block(tn_plan *plan, uint32_t first, uint32_t last, size_t bytes,
                           uint32_t *out)
{
    struct {
        tn_plan_block *items;
        uint32_t count, capacity;
    } list = { plan->blocks, plan->block_count, plan->block_capacity };
    if (!TN_GROW(&list))
        return tn_raise_memory();
    plan->blocks = list.items;
    plan->block_capacity = list.capacity;
    plan->blocks[plan->block_count] =
        (tn_plan_block){ .place = TN_PLACE_ARENA, .first = first, .last = last, .bytes = bytes };
    *out = plan->block_count++;
    return TN_OK;
}

/* The host applies an epilogue after the kernel has written its output: operands must still be
 * there then. */
static bool is_operand_of_host(const tn_plan_step *step, uint32_t k)
{
    if (!step->host_step_count)
        return false;
    for (uint32_t j = step->problem.own_count; j < step->problem.input_count; j++)
        if (step->inputs[j] == step->inputs[k])
            return true;
    return false;
}

/* True when step s may write output `out` over its input k: the input's block dies here, has the
 * same bytes, and nothing else that the step reads lies in it. */
static bool can_take(const tn_plan *plan, uint32_t s, const tn_plan_value *out, uint32_t k)
{
    const tn_plan_step *step = &plan->steps[s];
    if (k >= step->problem.input_count || step->inputs[k] == TN_NONE || is_operand_of_host(step, k))
        return false;
    const tn_plan_value *in = &plan->values[step->inputs[k]];
    const uint32_t block = plan->values[root_of(plan, step->inputs[k])].block;
    if (block == TN_NONE || plan->blocks[block].last != s || in->bytes != out->bytes ||
        in->bytes != plan->blocks[block].bytes || in->type->dtype != out->type->dtype ||
        in->layout != out->layout)
        return false;
    for (uint32_t j = 0; j < step->input_count; j++)
        if (j != k && step->inputs[j] != TN_NONE && step->inputs[j] != step->inputs[k] &&
            plan->values[root_of(plan, step->inputs[j])].block == block)
            return false;
    return true;
}

static bool same_extents(const tn_type *a, const tn_type *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* The same value as another input. A sum in place would add to itself; and a kernel that may write
 * over what it reads does so before the epilogue's operands are read. */
static bool reads_twice(const tn_plan_step *step, uint32_t k)
{
    for (uint32_t j = 0; j < step->input_count; j++)
        if (j != k && step->inputs[j] == step->inputs[k])
            return true;
    return false;
}

/* The input whose block output k takes over; TN_NONE: none. */
static uint32_t take_over(tn_plan *plan, uint32_t s, uint32_t k)
{
    tn_plan_step *step = &plan->steps[s];
    const tn_alias *alias = &step->alternatives[step->chosen].output_aliases[k];
    const tn_plan_value *out = &plan->values[step->outputs[k]];
    if (alias->kind == TN_ALIAS_STARTS_AS) {
        if (can_take(plan, s, out, alias->input) && !reads_twice(step, alias->input))
            return alias->input;
        step->starts_as = alias->input;
        plan->copies++;
        return TN_NONE;
    }
    if (alias->kind == TN_ALIAS_NONE)
        return TN_NONE;
    for (uint32_t j = 0; j < step->problem.input_count; j++) {
        if (alias->input != TN_NONE && alias->input != j)
            continue;
        if (can_take(plan, s, out, j) && !(step->problem.step_count && reads_twice(step, j)) &&
            (alias->input == j || same_extents(plan->values[step->inputs[j]].type, out->type)))
            return j;
    }
    return TN_NONE;
}

/* A piece lies where its whole does; the first one that is written brings the whole's block. */
static tn_status place_piece(tn_plan *plan, const uint32_t *last, uint32_t s, uint32_t value)
{
    const uint32_t root = root_of(plan, value);
    if (plan->values[root].place == TN_PLACE_ARENA && plan->values[root].block == TN_NONE)
        TN_TRY(add_block(plan, s, last[root], plan->values[root].bytes, &plan->values[root].block));
    plan->values[value].block = plan->values[root].block;
    return TN_OK;
}

static tn_status place_output(tn_plan *plan, const uint32_t *last, uint32_t s, uint32_t k)
{
    tn_plan_step *step = &plan->steps[s];
    tn_plan_value *out = &plan->values[step->outputs[k]];
    const tn_alias *alias = step->kind == TN_STEP_KERNEL
                                ? &step->alternatives[step->chosen].output_aliases[k]
                                : NULL;
    if (out->view_of != TN_NONE) { /* others lie beside it: never in place */
        if (alias && alias->kind == TN_ALIAS_STARTS_AS) {
            step->starts_as = alias->input;
            plan->copies++;
        }
        return place_piece(plan, last, s, step->outputs[k]);
    }
    const uint32_t end = last[step->outputs[k]];
    const uint32_t input = step->kind == TN_STEP_KERNEL ? take_over(plan, s, k) : TN_NONE;
    if (input == TN_NONE)
        return add_block(plan, s, end, out->bytes, &out->block);
    out->block = plan->values[root_of(plan, step->inputs[input])].block;
    plan->blocks[out->block].last = end;
    step->in_place = true;
    return TN_OK;
}

static tn_status place_step(tn_plan *plan, const uint32_t *last, uint32_t s)
{
    tn_plan_step *step = &plan->steps[s];
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    if (step->kind == TN_STEP_VIEW) {
        plan->values[step->outputs[0]].block = plan->values[root_of(plan, step->inputs[0])].block;
        plan->views++;
        return TN_OK;
    }
    for (uint32_t k = 0; k < step->copy_count; k++)
        for (uint32_t end = 0; end < 2; end++) {
            const uint32_t value = end ? step->copies[k].from : step->copies[k].to;
            if (plan->values[value].view_of != TN_NONE)
                TN_TRY(place_piece(plan, last, s, value));
        }
    if (step->kind == TN_STEP_DYNAMIC)
        return TN_OK;
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->outputs[k] != TN_NONE && plan->values[step->outputs[k]].block == TN_NONE)
            TN_TRY(place_output(plan, last, s, k));
    if (step->kind != TN_STEP_KERNEL)
        return TN_OK;
    if (chosen->scratch_bytes) {
        TN_TRY(add_block(plan, s, s, chosen->scratch_bytes, &step->scratch_block));
        if (chosen->scratch_bytes > plan->scratch_bytes)
            plan->scratch_bytes = chosen->scratch_bytes;
    }
    step->slot_offset = plan->slot_bytes;
    plan->slot_bytes += tn_align(chosen->slot_bytes, 64);
    return TN_OK;
}

/* ---- outputs of the region ------------------------------------------------------------------------- */

/* A step that copies what output k shows into memory of its own. */
static tn_status add_copy(tn_plan *plan, uint32_t k)
{
    struct {
        tn_plan_step *items;
        uint32_t count, capacity;
    } steps = { plan->steps, plan->step_count, plan->step_capacity };
    struct {
        tn_plan_value *items;
        uint32_t count, capacity;
    } values = { plan->values, plan->value_count, plan->value_capacity };
    tn_plan_step step = { .node = TN_NONE,
                          .kind = TN_STEP_COPY,
                          .input_count = 1,
                          .output_count = 1,
                          .scratch_block = TN_NONE,
                          .starts_as = TN_NONE,
                          .algorithm = "copy" };
    const uint32_t copy = plan->value_count;
    if (!TN_GROW(&steps))
        return tn_raise_memory();
    plan->steps = steps.items;
    plan->step_capacity = steps.capacity;
    if (!TN_GROW(&values))
        return tn_raise_memory();
    plan->values = values.items;
    plan->value_capacity = values.capacity;
    step.inputs = tn_pool_dup(&plan->pool, &plan->outputs[k], sizeof(uint32_t));
    step.outputs = tn_pool_dup(&plan->pool, &copy, sizeof copy);
    if (!step.inputs || !step.outputs)
        return tn_raise_memory();
    plan->values[copy] = plan->values[plan->outputs[k]];
    plan->values[copy].view_of = plan->values[copy].next = plan->values[copy].block = TN_NONE;
    plan->values[copy].is_piece = false;
    plan->values[copy].at = 0;
    plan->values[copy].strides = NULL;
    plan->values[copy].maker = plan->step_count;
    plan->values[copy].pack = NULL;
    plan->values[copy].constant = NULL;
    plan->values[copy].place = TN_PLACE_OUTPUT;
    plan->values[copy].index = k;
    plan->value_count++;
    plan->steps[plan->step_count++] = step;
    plan->outputs[k] = copy;
    plan->copies++;
    return add_block(plan, plan->step_count - 1, FOREVER, plan->values[copy].bytes,
                     &plan->values[copy].block);
}

/* A body gives handles out: to a constant, or to what it was given, without a copy. */
static bool is_handed_on(const tn_plan *plan, const tn_plan_value *value)
{
    return plan->region != TN_TOP_REGION && !value->layout && !value->pack &&
           (value->place == TN_PLACE_CONSTANT || value->place == TN_PLACE_INPUT);
}

static tn_status claim_outputs(tn_plan *plan)
{
    for (uint32_t k = 0; k < plan->output_count; k++) {
        const tn_plan_value *value = &plan->values[plan->outputs[k]];
        if (value->place == TN_PLACE_DYNAMIC || value->type->kind || is_handed_on(plan, value))
            continue; /* a handle is given out */
        const uint32_t block = plan->values[root_of(plan, plan->outputs[k])].block;
        if (block == TN_NONE || plan->blocks[block].place != TN_PLACE_ARENA ||
            plan->blocks[block].bytes != value->bytes)
            TN_TRY(add_copy(plan, k));
        const uint32_t own = plan->values[root_of(plan, plan->outputs[k])].block;
        plan->blocks[own].place = TN_PLACE_OUTPUT;
        plan->blocks[own].index = k;
    }
    for (uint32_t v = 0; v < plan->value_count; v++)
        if (plan->values[v].block != TN_NONE) {
            plan->values[v].place = plan->blocks[plan->values[v].block].place;
            plan->values[v].index = plan->blocks[plan->values[v].block].index;
        }
    return TN_OK;
}

/* ---- offsets --------------------------------------------------------------------------------------- */

typedef struct placed {
    size_t bytes, offset;
    uint32_t first, last, block;
} placed;

static int larger_first(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->block < y->block ? -1 : 1;
}

/* The lowest gap that fits, among blocks already placed that live at the same time, sorted by
 * their offset. */
static void place_block(placed *item, const placed *const *by_offset, size_t count)
{
    size_t at = 0;
    for (size_t k = 0; k < count; k++) {
        const placed *other = by_offset[k];
        if (other->last < item->first || other->first > item->last)
            continue;
        if (other->offset >= at + item->bytes)
            break;
        if (other->offset + other->bytes > at)
            at = other->offset + other->bytes;
    }
    item->offset = at;
}

static void insert_by_offset(const placed **by_offset, size_t count, const placed *item)
{
    size_t k = count;
    for (; k > 0 && by_offset[k - 1]->offset > item->offset; k--)
        by_offset[k] = by_offset[k - 1];
    by_offset[k] = item;
}

static tn_status assign_offsets(tn_plan *plan)
{
    size_t count = 0;
    placed *items = tn_alloc(plan->block_count + 1, sizeof *items);
    const placed **by_offset = tn_alloc(plan->block_count + 1, sizeof *by_offset);
    if (!items || !by_offset) {
        tn_free(items);
        tn_free(by_offset);
        return tn_raise_memory();
    }
    for (uint32_t b = 0; b < plan->block_count; b++)
        if (plan->blocks[b].place == TN_PLACE_ARENA)
            items[count++] = (placed){ tn_align(plan->blocks[b].bytes, 64), 0,
                                       plan->blocks[b].first, plan->blocks[b].last, b };
    qsort(items, count, sizeof *items, larger_first);
    for (size_t k = 0; k < count; k++) {
        place_block(&items[k], by_offset, k);
        insert_by_offset(by_offset, k, &items[k]);
        plan->blocks[items[k].block].offset = items[k].offset;
        if (items[k].offset + items[k].bytes > plan->arena_bytes)
            plan->arena_bytes = items[k].offset + items[k].bytes;
    }
    tn_free(items);
    tn_free(by_offset);
    return TN_OK;
}

/* The largest sum of bytes alive at one step: no plan can do with less. */
static tn_status sum_live(tn_plan *plan)
{
    size_t *change = tn_alloc((size_t)plan->step_count + 2, sizeof *change);
    size_t live = 0;
    if (!change)
        return tn_raise_memory();
    for (uint32_t b = 0; b < plan->block_count; b++) {
        const tn_plan_block *block = &plan->blocks[b];
        if (block->place != TN_PLACE_ARENA)
            continue;
        const uint32_t end = block->last < plan->step_count ? block->last : plan->step_count;
        change[block->first] += tn_align(block->bytes, 64);
        change[end + 1] -= tn_align(block->bytes, 64); /* wraps around and back: sums stay right */
    }
    for (uint32_t s = 0; s <= plan->step_count; s++) {
        live += change[s];
        plan->live_bytes = live > plan->live_bytes ? live : plan->live_bytes;
    }
    tn_free(change);
    return TN_OK;
}

/* Dynamic values by the step that reads them last, so that the executor can let go of them. */
static tn_status list_dead(tn_plan *plan, const uint32_t *last, uint32_t known)
{
    plan->dies = tn_pool_alloc(&plan->pool, ((size_t)plan->step_count + 1) * sizeof *plan->dies);
    plan->dead = tn_pool_alloc(&plan->pool, ((size_t)plan->value_count + 1) * sizeof *plan->dead);
    if (!plan->dies || !plan->dead)
        return tn_raise_memory();
    for (uint32_t v = 0; v < known; v++)
        if (plan->values[v].place == TN_PLACE_DYNAMIC && last[root_of(plan, v)] < plan->step_count)
            plan->dies[last[root_of(plan, v)]]++;
    for (uint32_t s = 0, sum = 0; s <= plan->step_count; s++) {
        const uint32_t here = plan->dies[s];
        plan->dies[s] = sum; /* where its range begins */
        sum += here;
    }
    uint32_t *at = tn_alloc((size_t)plan->step_count + 1, sizeof *at);
    if (!at)
        return tn_raise_memory();
    memcpy(at, plan->dies, ((size_t)plan->step_count + 1) * sizeof *at);
    for (uint32_t v = 0; v < known; v++)
        if (plan->values[v].place == TN_PLACE_DYNAMIC && last[root_of(plan, v)] < plan->step_count)
            plan->dead[at[last[root_of(plan, v)]]++] = v;
    tn_free(at);
    return TN_OK;
}

tn_status tn_plan_memory(tn_plan *plan)
{
    const uint32_t known = plan->value_count;
    const uint32_t *last = last_uses(plan);
    if (!last)
        return tn_raise_memory();
    for (uint32_t s = 0; s < plan->step_count; s++)
        TN_TRY(place_step(plan, last, s));
    TN_TRY(claim_outputs(plan));
    TN_TRY(assign_offsets(plan));
    TN_TRY(sum_live(plan));
    return list_dead(plan, last, known);
}
