/* Views: nodes that only join tensors or cut one (tn_operator_def.pieces) move nothing where all
 * who make and read the pieces can do so in one buffer.
 *
 *     a ─▶ Concat ─▶ y        a and b are written where they lie in y
 *     b ─▶
 *     x ─▶ Split ─▶ a, b      a and b are read where they lie in x
 *
 * A piece along the outermost axis (extents of 1 aside) is dense. One along the innermost axis has
 * rows that are as far apart as the whole's: whoever touches it must have said TN_LAYOUT_STRIDED.
 * Pieces lie in pieces: the steps are gone through backwards, so that of joins of joins (DenseNet)
 * the last, widest one is the buffer of all, and of joins that begin alike the shorter ones are
 * found to lie there already. What cannot be a view is copied into or out of its place, singly.
 *
 * In: steps with layouts, plan->values. Out: values' view_of, first, at, strides; steps of kind
 * TN_STEP_PIECES.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

/* A step that reads a value, as input k. */
typedef struct use {
    uint32_t step, input;
} use;

typedef struct work {
    tn_plan *plan;
    uint32_t *first_use; /* by value: where its uses begin; one more entry */
    use *uses;
    uint32_t *child, *sibling; /* by value: views of it, as a list */
    bool *is_output;           /* by value: the region gives it out */
    bool *is_movable;          /* by step: a join or cut that copies could do as well */
    int64_t *begins;           /* room for one step's pieces */
    uint32_t count;            /* of values, before slots are added */
} work;

/* Where a value lies: in which value's memory, at which element, and its distance of rows. */
typedef struct spot {
    uint32_t root;
    int64_t at, step;
} spot;

/* ---- geometry ------------------------------------------------------------------------------- */

static bool is_last(const tn_plan_value *value)
{
    return value->layout == TN_LAYOUT_CHANNELS_LAST && value->type->rank > 2;
}

/* Axes in their order in memory. */
static int32_t axis_at(const tn_plan_value *value, int32_t k)
{
    const int32_t rank = value->type->rank;
    if (!is_last(value) || k == 0)
        return k;
    return k == rank - 1 ? 1 : k + 1;
}

static int64_t row_of(const tn_plan_value *value)
{
    const int32_t rank = value->type->rank;
    return rank > 0 ? value->type->dims[axis_at(value, rank - 1)] : 1;
}

static int64_t count_of(const tn_plan_value *value)
{
    int64_t count = 0;
    (void)tn_shape_count(value->type->rank, value->type->dims, &count);
    return count;
}

static size_t width_of(const tn_plan_value *value)
{
    return tn_dtype_bits(value->type->dtype) / 8;
}

static spot locate(const tn_plan *plan, uint32_t v)
{
    const tn_plan_value *value = &plan->values[v];
    if (value->view_of == TN_NONE)
        return (spot){ v, 0, row_of(value) };
    spot s = locate(plan, value->view_of);
    const int64_t row = row_of(&plan->values[value->view_of]);
    s.at += row ? value->first / row * s.step + value->first % row : 0;
    s.step = value->is_piece ? s.step : row_of(value);
    return s;
}

static bool is_strided(const tn_plan *plan, uint32_t v)
{
    const tn_plan_value *value = &plan->values[v];
    const int64_t row = row_of(value);
    return row && locate(plan, v).step != row && count_of(value) > row;
}

/* Extents before an axis, in the order of memory, and behind it. */
static void around(const tn_plan_value *value, int32_t axis, int64_t *outer, int64_t *inner)
{
    int64_t *product = outer;
    *outer = *inner = 1;
    for (int32_t k = 0; k < value->type->rank; k++) {
        if (axis_at(value, k) == axis)
            product = inner;
        else
            *product *= value->type->dims[axis_at(value, k)];
    }
}

/* ---- who takes strides ------------------------------------------------------------------------ */

/* What the step's own kernel takes, or its copies. */
static bool reads_strided(const tn_plan_step *step, uint32_t k)
{
    if (step->kind == TN_STEP_PIECES || step->kind == TN_STEP_COPY)
        return true;
    if (step->kind != TN_STEP_KERNEL || !step->strided_inputs[step->chosen])
        return false;
    return k < (step->host_step_count ? step->problem.own_count : step->problem.input_count) &&
           step->strided_inputs[step->chosen][k];
}

/* The host's own work on an output (a copy to start from, epilogues) takes dense ones only. */
static bool writes_strided(const tn_plan_step *step, uint32_t value)
{
    const tn_alternative *chosen = &step->alternatives[step->chosen];
    if (step->kind == TN_STEP_PIECES)
        return true;
    if (step->kind != TN_STEP_KERNEL || step->host_step_count ||
        !step->strided_outputs[step->chosen])
        return false;
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->outputs[k] == value)
            return step->strided_outputs[step->chosen][k] &&
                   chosen->output_aliases[k].kind != TN_ALIAS_STARTS_AS;
    return false;
}

/* Whether all readers of a value, and of what lies in it, find their rows; `writer`: its maker, too. */
static bool may_be_strided(const work *w, uint32_t v, bool writer)
{
    const tn_plan *plan = w->plan;
    const uint32_t maker = plan->values[v].maker;
    if (writer && !w->is_movable[maker] && !writes_strided(&plan->steps[maker], v))
        return false;
    for (uint32_t k = w->first_use[v]; k < w->first_use[v + 1]; k++) {
        const use *u = &w->uses[k];
        if (!(w->is_movable[u->step] && u->input < plan->steps[u->step].problem.own_count) &&
            !reads_strided(&plan->steps[u->step], u->input))
            return false;
    }
    for (uint32_t c = w->child[v]; c != TN_NONE; c = w->sibling[c]) {
        const bool written = plan->steps[plan->values[c].maker].kind == TN_STEP_KERNEL;
        if (is_strided(plan, c) && !may_be_strided(w, c, written))
            return false;
    }
    return true;
}

/* ---- links ------------------------------------------------------------------------------------ */

static void link_to(work *w, uint32_t v, uint32_t whole, int64_t first)
{
    tn_plan_value *value = &w->plan->values[v];
    value->view_of = whole;
    value->first = first;
    value->is_piece = true;
    w->sibling[v] = w->child[whole];
    w->child[whole] = v;
}

static void unlink_first(work *w, uint32_t v)
{
    tn_plan_value *value = &w->plan->values[v];
    w->child[value->view_of] = w->sibling[v];
    value->view_of = TN_NONE;
    value->first = 0;
    value->is_piece = false;
}

/* Makes v a piece of `whole`, unless somebody could not live with it. */
static bool try_link(work *w, uint32_t v, uint32_t whole, int64_t first, bool writer)
{
    link_to(w, v, whole, first);
    if (!is_strided(w->plan, v) || may_be_strided(w, v, writer))
        return true;
    unlink_first(w, v);
    return false;
}

/* A value without memory: a place in `whole` that is read or written by a copy. */
static tn_status add_slot(work *w, uint32_t like, uint32_t whole, int64_t first, uint32_t *out)
{
    tn_plan *plan = w->plan;
    TN_TRY(tn_plan_reserve_value(plan));
    tn_plan_value *slot = &plan->values[plan->value_count];
    *slot = plan->values[like];
    slot->next = slot->maker = slot->block = TN_NONE;
    slot->constant = NULL;
    slot->pack = NULL;
    slot->view_of = whole;
    slot->first = first;
    slot->is_piece = true;
    *out = plan->value_count++;
    return TN_OK;
}

/* ---- one node ----------------------------------------------------------------------------------- */

typedef struct pieces {
    tn_plan_step *step;
    bool cuts;
    uint32_t whole, count;
    const uint32_t *parts; /* [count] */
    int32_t axis;
    int64_t inner;   /* elements behind the axis */
    int64_t *begins; /* [count] in elements of the whole */
} pieces;

static bool ask(const tn_plan_step *step, tn_pieces *out)
{
    const tn_identity query = { .size = sizeof query,
                                .used_outputs = UINT32_MAX,
                                .node = step->view,
                                .inputs = step->problem.inputs,
                                .outputs = step->problem.outputs,
                                .constants = step->problem.constants };
    return step->op->def.pieces(&query, out) == TN_OK;
}

static bool is_candidate(const tn_plan_step *step)
{
    return step->node != TN_NONE && step->kind == TN_STEP_KERNEL && step->op &&
           step->op->def.pieces && !step->problem.step_count && step->output_count &&
           step->input_count && step->inputs[0] != TN_NONE;
}

/* Where the memory is that a view shows. */
static uint32_t place_of(const tn_plan *plan, uint32_t v)
{
    return plan->values[locate(plan, v).root].place;
}

/* Whole bytes, no text, something in it, a layout whose order is known. What a run makes as an
 * object, or shows of one, has no place before. */
static bool has_place(const tn_plan *plan, uint32_t v)
{
    if (v == TN_NONE)
        return false;
    const tn_plan_value *value = &plan->values[v];
    return !value->type->kind && value->layout <= TN_LAYOUT_CHANNELS_LAST &&
           value->type->rank > 0 && value->type->dtype != TN_STRING &&
           tn_dtype_bits(value->type->dtype) >= 8 && count_of(value) > 0 &&
           (place_of(plan, v) == TN_PLACE_ARENA || place_of(plan, v) == TN_PLACE_INPUT);
}

static bool has_places(const tn_plan *plan, const pieces *p)
{
    if (!has_place(plan, p->whole))
        return false;
    for (uint32_t k = 0; k < p->count; k++) {
        const bool unwanted = p->cuts && p->parts[k] == TN_NONE;
        if (!unwanted && (plan->values[p->parts[k]].layout != plan->values[p->whole].layout ||
                          count_of(&plan->values[p->parts[k]]) == 0))
            return false;
    }
    return true;
}

/* Along the outermost axis or the innermost one; others would need more than a distance of rows. */
static bool read_pieces(const work *w, tn_plan_step *step, pieces *out)
{
    const tn_plan *plan = w->plan;
    int64_t *begins = w->begins, outer;
    tn_pieces answer = { .size = sizeof answer, .begins = begins };
    if (!is_candidate(step))
        return false;
    memset(begins, 0, (step->input_count + step->output_count) * sizeof *begins);
    if (!ask(step, &answer))
        return false;
    *out = (pieces){ .step = step,
                     .cuts = answer.cuts,
                     .whole = answer.cuts ? step->inputs[0] : step->outputs[0],
                     .count = answer.cuts ? step->output_count : step->input_count,
                     .parts = answer.cuts ? step->outputs : step->inputs,
                     .axis = answer.axis,
                     .begins = begins };
    for (uint32_t k = 0; !out->cuts && k < out->count; k++)
        if (out->parts[k] == TN_NONE)
            return false;
    if (!has_places(plan, out))
        return false;
    int64_t at = 0;
    for (uint32_t k = 0; !out->cuts && k < out->count; k++) {
        begins[k] = at;
        at += plan->values[out->parts[k]].type->dims[out->axis];
    }
    around(&plan->values[out->whole], out->axis, &outer, &out->inner);
    for (uint32_t k = 0; k < out->count; k++)
        begins[k] *= out->inner;
    /* Extents of 1 behind the axis would be rows of their own. */
    const int32_t rank = plan->values[out->whole].type->rank;
    return outer == 1 || out->axis == axis_at(&plan->values[out->whole], rank - 1);
}

/* The step is no kernel's any more: it copies what is not in its place. */
static tn_status dissolve(work *w, const pieces *p)
{
    tn_plan *plan = w->plan;
    tn_plan_step *step = p->step;
    step->copies = tn_pool_alloc(&plan->pool, (p->count + 1) * sizeof *step->copies);
    if (!step->copies)
        return tn_raise_memory();
    plan->views++;
    for (uint32_t k = 0; k < p->count; k++) {
        const uint32_t part = p->parts[k];
        uint32_t slot = TN_NONE;
        if (part == TN_NONE)
            continue;
        if (plan->values[part].is_piece && plan->values[part].view_of == p->whole &&
            plan->values[part].first == p->begins[k])
            continue;
        TN_TRY(add_slot(w, part, p->whole, p->begins[k], &slot));
        step->copies[step->copy_count++] = p->cuts ? (tn_plan_copy){ slot, part }
                                                   : (tn_plan_copy){ part, slot };
        plan->copies++;
    }
    step->kind = TN_STEP_PIECES;
    return TN_OK;
}

/* ---- cutting ------------------------------------------------------------------------------------- */

static bool lies_in(const tn_plan *plan, uint32_t part, uint32_t whole)
{
    return plan->values[part].is_piece && plan->values[part].view_of == whole;
}

/* A kernel that cuts goes over the whole once, as copies of much of it would; and then all readers
 * may as well have dense pieces: what reads rows again and again (a product) is slower with gaps. */
static bool is_mostly_copied(const tn_plan *plan, const pieces *p)
{
    int64_t copied = 0;
    for (uint32_t k = 0; k < p->count; k++)
        if (p->parts[k] != TN_NONE && !lies_in(plan, p->parts[k], p->whole))
            copied += count_of(&plan->values[p->parts[k]]);
    return copied > count_of(&plan->values[p->whole]) / 4;
}

static tn_status cut(work *w, const pieces *p)
{
    const tn_plan *plan = w->plan;
    bool any = false;
    /* A body hands on what it was given as handles, which know nothing of pieces. */
    if (place_of(plan, p->whole) == TN_PLACE_INPUT && plan->region != TN_TOP_REGION)
        return TN_OK;
    for (uint32_t k = 0; k < p->count; k++) {
        const uint32_t part = p->parts[k];
        if (part != TN_NONE && !w->is_output[part] && plan->values[part].view_of == TN_NONE)
            any |= try_link(w, part, p->whole, p->begins[k], false);
    }
    if (any && !is_mostly_copied(plan, p))
        return dissolve(w, p);
    for (uint32_t k = p->count; any && k-- > 0;) /* the last one linked is the first of the list */
        if (p->parts[k] != TN_NONE && lies_in(plan, p->parts[k], p->whole))
            unlink_first(w, p->parts[k]);
    return TN_OK;
}

/* ---- joining -------------------------------------------------------------------------------------- */

/* All parts lie side by side already, as pieces of what was joined later: so does their whole. */
static bool lies_there(work *w, const pieces *p)
{
    const tn_plan_value *values = w->plan->values;
    const tn_plan_value *head = &values[p->parts[0]];
    if (values[p->whole].view_of != TN_NONE || w->is_output[p->whole] || !head->is_piece)
        return false;
    for (uint32_t k = 0; k < p->count; k++) {
        const tn_plan_value *part = &values[p->parts[k]];
        if (!part->is_piece || part->view_of != head->view_of ||
            part->first != head->first + p->begins[k])
            return false;
    }
    return try_link(w, p->whole, head->view_of, head->first, false);
}

/* Memory of its own that its maker may as well write elsewhere. */
static bool can_move(const work *w, uint32_t v)
{
    const tn_plan_value *value = &w->plan->values[v];
    return value->view_of == TN_NONE && value->place == TN_PLACE_ARENA && value->maker != TN_NONE &&
           w->plan->steps[value->maker].kind == TN_STEP_KERNEL && !w->is_output[v];
}

static tn_status join(work *w, const pieces *p)
{
    bool any = false;
    if (lies_there(w, p)) {
        p->step->kind = TN_STEP_PIECES;
        w->plan->views++;
        return TN_OK;
    }
    for (uint32_t k = 0; k < p->count; k++)
        if (can_move(w, p->parts[k]))
            any |= try_link(w, p->parts[k], p->whole, p->begins[k], true);
    return any ? dissolve(w, p) : TN_OK;
}

/* ---- all -------------------------------------------------------------------------------------------- */

static void list_children(work *w)
{
    const tn_plan *plan = w->plan;
    memset(w->child, 0xff, (w->count + 1) * sizeof *w->child);
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        if (step->kind != TN_STEP_VIEW)
            continue;
        plan->values[step->outputs[0]].view_of = step->inputs[0];
        w->sibling[step->outputs[0]] = w->child[step->inputs[0]];
        w->child[step->inputs[0]] = step->outputs[0];
    }
}

static bool list_uses(work *w)
{
    const tn_plan *plan = w->plan;
    size_t total = 0;
    for (uint32_t s = 0; s < plan->step_count; s++)
        total += plan->steps[s].input_count;
    w->uses = tn_alloc(total + 1, sizeof *w->uses);
    if (!w->uses)
        return false;
    for (uint32_t s = 0; s < plan->step_count; s++)
        for (uint32_t k = 0; k < plan->steps[s].input_count; k++)
            if (plan->steps[s].inputs[k] != TN_NONE)
                w->first_use[plan->steps[s].inputs[k] + 2]++;
    for (uint32_t v = 2; v < w->count + 2; v++)
        w->first_use[v] += w->first_use[v - 1];
    for (uint32_t s = 0; s < plan->step_count; s++)
        for (uint32_t k = 0; k < plan->steps[s].input_count; k++)
            if (plan->steps[s].inputs[k] != TN_NONE)
                w->uses[w->first_use[plan->steps[s].inputs[k] + 1]++] = (use){ s, k };
    return true;
}

static bool has_any(const tn_plan *plan)
{
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (is_candidate(&plan->steps[s]))
            return true;
    return false;
}

/* Where each piece lies, in bytes, and its strides by axis. */
static tn_status settle(tn_plan *plan)
{
    for (uint32_t v = 0; v < plan->value_count; v++) {
        tn_plan_value *value = &plan->values[v];
        if (value->view_of == TN_NONE)
            continue;
        const spot s = locate(plan, v);
        value->place = plan->values[s.root].place;
        value->index = plan->values[s.root].index;
        if (!s.at && !value->is_piece)
            continue;
        value->at = (size_t)s.at * width_of(value);
        if (!is_strided(plan, v))
            continue;
        int64_t *strides = tn_pool_alloc(&plan->pool, TN_MAX_RANK * sizeof *strides), step = 1;
        if (!strides)
            return tn_raise_memory();
        for (int32_t k = value->type->rank - 1; k >= 0; k--) {
            strides[axis_at(value, k)] = step;
            step = k == value->type->rank - 1 ? s.step
                                              : step * value->type->dims[axis_at(value, k)];
        }
        value->strides = strides;
        value->row = row_of(value);
        value->row_step = s.step;
    }
    return TN_OK;
}

/* A kernel that was left its work, but whose operands have become strided since. */
static bool is_stranded(const work *w, uint32_t s)
{
    const tn_plan_step *step = &w->plan->steps[s];
    if (!w->is_movable[s] || step->kind != TN_STEP_KERNEL)
        return false;
    for (uint32_t k = 0; k < step->input_count; k++)
        if (step->inputs[k] != TN_NONE && is_strided(w->plan, step->inputs[k]) &&
            !reads_strided(step, k))
            return true;
    for (uint32_t k = 0; k < step->output_count; k++)
        if (step->outputs[k] != TN_NONE && is_strided(w->plan, step->outputs[k]) &&
            !writes_strided(step, step->outputs[k]))
            return true;
    return false;
}

static tn_status walk(work *w)
{
    tn_plan *plan = w->plan;
    pieces p;
    for (uint32_t s = 0; s < plan->step_count; s++)
        w->is_movable[s] = read_pieces(w, &plan->steps[s], &p);
    for (uint32_t s = plan->step_count; s-- > 0;)
        if (w->is_movable[s] && read_pieces(w, &plan->steps[s], &p))
            TN_TRY(p.cuts ? cut(w, &p) : join(w, &p));
    for (uint32_t s = plan->step_count; s-- > 0;)
        if (is_stranded(w, s) && read_pieces(w, &plan->steps[s], &p))
            TN_TRY(dissolve(w, &p));
    return TN_OK;
}

/* The most operands of a step. */
static uint32_t most_parts(const tn_plan *plan)
{
    uint32_t most = 1;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const tn_plan_step *step = &plan->steps[s];
        const uint32_t parts = step->input_count + step->output_count;
        most = parts > most ? parts : most;
    }
    return most;
}

static tn_status make(work *w)
{
    const tn_plan *plan = w->plan;
    w->first_use = tn_alloc((size_t)w->count + 2, sizeof *w->first_use);
    w->is_output = tn_alloc((size_t)w->count + 1, sizeof *w->is_output);
    w->is_movable = tn_alloc((size_t)plan->step_count + 1, sizeof *w->is_movable);
    w->begins = tn_alloc(most_parts(plan), sizeof *w->begins);
    if (!w->first_use || !w->is_output || !w->is_movable || !w->begins || !list_uses(w))
        return tn_raise_memory();
    for (uint32_t k = 0; k < plan->output_count; k++)
        w->is_output[plan->outputs[k]] = true;
    return walk(w);
}

static void work_fini(work *w)
{
    tn_free(w->first_use);
    tn_free(w->uses);
    tn_free(w->child);
    tn_free(w->sibling);
    tn_free(w->is_output);
    tn_free(w->is_movable);
    tn_free(w->begins);
}

tn_status tn_make_views(tn_plan *plan)
{
    work w = { .plan = plan, .count = plan->value_count };
    w.child = tn_alloc((size_t)w.count + 1, sizeof *w.child);
    w.sibling = tn_alloc((size_t)w.count + 1, sizeof *w.sibling);
    tn_status status = w.child && w.sibling ? TN_OK : tn_raise_memory();
    if (status == TN_OK)
        list_children(&w);
    if (status == TN_OK && !(plan->compile->flags & TN_SESSION_NO_VIEWS) && has_any(plan))
        status = make(&w);
    if (status == TN_OK)
        status = settle(plan);
    work_fini(&w);
    return status;
}
