/* Samples: along which axis the values of a bound graph hold the samples of a batch, none of which
 * depends on another.
 *
 * A batch is axis 0 of each input that has its extent there. A node passes samples on where
 * `samplewise` says so of its types and each of its inputs has them where it wants them, or none.
 * Extents that the batch is one of (Shape and what is computed from it) are no samples: only a node
 * that gives elements other extents (TN_RESHAPES) may read them.
 *
 * In: a plan whose shapes are bound. Out: an axis, or what else it is, for each value.
 * SPDX-License-Identifier: MIT */
#include "engine/compile/plan.h"

typedef struct search {
    const tn_plan *plan;
    const tn_graph *graph;
    int64_t batch;
    int32_t *kinds; /* by value slot */
} search;

static const tn_type *type_of(const search *w, tn_value_id value)
{
    return &w->plan->shapes.types[tn_slot_of(value)];
}

static int32_t kind_of(const search *w, tn_value_id value)
{
    const tn_value_view *view = tn_graph_look(w->graph, value);
    return view->constant && !view->is_input ? TN_SAMPLES_SHARED : w->kinds[tn_slot_of(value)];
}

static void set_outputs(const search *w, const tn_node_view *node, int32_t kind)
{
    for (uint32_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] != TN_NONE)
            w->kinds[tn_slot_of(node->outputs[k])] = kind;
}

/* What the inputs of a node are, taken together. */
typedef struct seen {
    bool samples, extents, mixed;
} seen;

static seen look(const search *w, const tn_node_view *node)
{
    seen s = { 0 };
    for (uint32_t k = 0; k < node->input_count; k++) {
        const int32_t kind = node->inputs[k] == TN_NONE ? TN_SAMPLES_SHARED
                                                        : kind_of(w, node->inputs[k]);
        s.samples |= kind >= 0;
        s.extents |= kind == TN_SAMPLES_EXTENTS;
        s.mixed |= kind == TN_SAMPLES_MIXED;
    }
    return s;
}

/* Inference found the elements of all that the node makes: they are extents, or follow from them. */
static bool makes_extents(const search *w, const tn_node_view *node)
{
    for (uint32_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] != TN_NONE &&
            w->plan->shapes.element_counts[tn_slot_of(node->outputs[k])] < 0)
            return false;
    return true;
}

static bool fits_inputs(const search *w, const tn_node_view *node, const int32_t *axes,
                        bool reshapes)
{
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (node->inputs[k] == TN_NONE)
            continue;
        const int32_t kind = kind_of(w, node->inputs[k]);
        if (kind != axes[k] && !(kind == TN_SAMPLES_EXTENTS && reshapes && k > 0))
            return false;
    }
    return true;
}

static bool fits_outputs(const search *w, const tn_node_view *node, const int32_t *axes)
{
    for (uint32_t k = 0; k < node->output_count; k++) {
        if (node->outputs[k] == TN_NONE)
            continue;
        const tn_type *type = type_of(w, node->outputs[k]);
        if (axes[k] < 0 || axes[k] >= type->rank || type->dims[axes[k]] != w->batch)
            return false;
    }
    return true;
}

static tn_status pass_on(const search *w, tn_node_id id, const tn_node_view *node, bool reshapes)
{
    int32_t *in = tn_alloc(node->input_count + 1, sizeof *in);
    int32_t *out = tn_alloc(node->output_count + 1, sizeof *out);
    tn_status status = in && out ? TN_OK : tn_raise_memory();
    if (status == TN_OK)
        status = tn_infer_samplewise(w->plan->compile->registry, w->graph, id, &w->plan->shapes, in,
                                     out);
    if (status == TN_OK && fits_inputs(w, node, in, reshapes) && fits_outputs(w, node, out))
        for (uint32_t k = 0; k < node->output_count; k++)
            if (node->outputs[k] != TN_NONE)
                w->kinds[tn_slot_of(node->outputs[k])] = out[k];
    tn_free(in);
    tn_free(out);
    return status == TN_ERR_MEMORY ? status : TN_OK;
}

static tn_status visit(const search *w, tn_node_id id)
{
    const tn_node_view *node = tn_graph_node(w->graph, id);
    const uint32_t traits = tn_operator_of(w->graph, id)->def.traits;
    const seen s = look(w, node);
    set_outputs(w, node, TN_SAMPLES_MIXED);
    if (s.mixed || (traits & (TN_REGIONS | TN_NONDETERMINISTIC | TN_SIDE_EFFECT)))
        return TN_OK;
    if (!s.samples && !s.extents)
        set_outputs(w, node, TN_SAMPLES_SHARED);
    else if (makes_extents(w, node))
        set_outputs(w, node, TN_SAMPLES_EXTENTS);
    else if (s.samples)
        return pass_on(w, id, node, traits & TN_RESHAPES);
    return TN_OK;
}

tn_status tn_samples_find(const tn_plan *plan, int64_t batch, int32_t *kinds)
{
    const search w = { plan, plan->compile->graph, batch, kinds };
    for (uint32_t k = 0; k < plan->input_count; k++) {
        const tn_type *type = type_of(&w, plan->input_ids[k]);
        kinds[tn_slot_of(plan->input_ids[k])] = type->rank > 0 && type->dims[0] == batch
                                                    ? 0
                                                    : TN_SAMPLES_SHARED;
    }
    for (tn_node_id node = tn_graph_first_node(w.graph, plan->region); node != TN_NONE;
         node = tn_graph_next_node(w.graph, node))
        TN_TRY(visit(&w, node));
    return TN_OK;
}

tn_type tn_samples_scaled(const tn_type *whole, int32_t kind, int64_t samples)
{
    tn_type type = *whole;
    if (kind >= 0)
        type.dims[kind] = samples;
    return type;
}
