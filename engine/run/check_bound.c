/* engine/run/check_bound.c: how much rounding a graph may pile up on the way to each output.
 *
 * Each node adds the length of its sums (products for each element of its output; for others that
 * are no elementwise ones, the elements of its input for each of its output, or the longest axis)
 * times a unit in the last place of its type; of several ways to an output the longest counts. That
 * is the bound of two orders of one sum (Higham, Accuracy and Stability, chapter 4) in units of the
 * largest magnitude, without the growth by what follows: how inputs act on outputs is measured, by
 * a run from inputs that were moved a little.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/check.h"

#include <math.h>

double tn_check_ulp(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT64:
    case TN_COMPLEX128: return 0x1p-52;
    case TN_FLOAT32:
    case TN_COMPLEX64: return 0x1p-23;
    case TN_FLOAT16: return 0x1p-10;
    case TN_BFLOAT16: return 0x1p-7;
    case TN_FLOAT8E4M3FN:
    case TN_FLOAT8E4M3FNUZ: return 0x1p-3;
    case TN_FLOAT8E5M2:
    case TN_FLOAT8E5M2FNUZ: return 0x1p-2;
    case TN_FLOAT8E8M0:
    case TN_FLOAT4E2M1: return 0x1p-1;
    default: return 0;
    }
}

typedef struct bounds {
    tn_registry *registry;
    tn_graph *graph;
    tn_shapes shapes;
    double *of_value; /* by slot */
} bounds;

static double elements(const bounds *b, tn_value_id value)
{
    const tn_type *type = &b->shapes.types[tn_slot_of(value)];
    double count = 1;
    for (int32_t axis = 0; axis < type->rank; axis++)
        count *= type->dims[axis] > 0 ? (double)type->dims[axis] : 1;
    return count;
}

static double longest_axis(const bounds *b, tn_value_id value)
{
    const tn_type *type = &b->shapes.types[tn_slot_of(value)];
    double most = 1;
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (type->dims[axis] > most)
            most = (double)type->dims[axis];
    return most;
}

/* How many numbers are added for one element of the node's output. */
static double sum_length(const bounds *b, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(b->graph, node);
    const tn_operator *op = tn_operator_of(b->graph, node);
    const tn_value_id out = view->output_count ? view->outputs[0] : TN_NONE;
    const tn_value_id in = view->input_count ? view->inputs[0] : TN_NONE;
    tn_cost cost = { .size = sizeof cost };
    if (!op || (op->def.traits & TN_MOVES_BYTES) || out == TN_NONE)
        return 0;
    if (op->def.traits & TN_ELEMENTWISE)
        return 2;
    if (tn_infer_cost(b->registry, b->graph, node, &b->shapes, &cost) == TN_OK && cost.macs > 0)
        return 2 + cost.macs / elements(b, out);
    if (in == TN_NONE)
        return 2;
    return 2 + fmax(elements(b, in) / elements(b, out), longest_axis(b, in));
}

static void add_node(bounds *b, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(b->graph, node);
    double most = 0;
    for (uint32_t k = 0; k < view->input_count; k++)
        if (view->inputs[k] != TN_NONE)
            most = fmax(most, b->of_value[tn_slot_of(view->inputs[k])]);
    for (uint32_t k = 0; k < view->output_count; k++) {
        const tn_value_id value = view->outputs[k];
        if (value != TN_NONE)
            b->of_value[tn_slot_of(value)] =
                most +
                sum_length(b, node) * tn_check_ulp(tn_graph_value(b->graph, value)->type->dtype);
    }
}

/* Symbols become the numbers that the run has for them. */
static void bind(bounds *b, const int64_t *values, uint32_t count)
{
    for (uint32_t slot = 0; slot < b->shapes.count; slot++) {
        tn_type *type = &b->shapes.types[slot];
        for (int32_t axis = 0; axis < type->rank; axis++) {
            const tn_dim dim = tn_dim_evaluate(tn_graph_dims(b->graph), type->dims[axis], values,
                                               count);
            type->dims[axis] = dim > 0 ? dim : 1;
        }
    }
}

tn_status tn_check_bounds(tn_registry *registry, tn_graph *graph, const int64_t *values,
                          uint32_t count, double *out)
{
    bounds b = { .registry = registry, .graph = graph };
    const tn_value_id *outputs;
    TN_TRY(tn_shapes_init(&b.shapes, graph));
    b.of_value = tn_alloc(tn_graph_value_slots(graph), sizeof *b.of_value);
    if (b.of_value) {
        bind(&b, values, count);
        for (tn_node_id node = tn_graph_first_node(graph, TN_TOP_REGION); node != TN_NONE;
             node = tn_graph_next_node(graph, node))
            add_node(&b, node);
        const uint32_t output_count = tn_graph_region_outputs(graph, TN_TOP_REGION, &outputs);
        for (uint32_t k = 0; k < output_count; k++)
            out[k] = b.of_value[tn_slot_of(outputs[k])];
    }
    tn_free(b.of_value);
    tn_shapes_fini(&b.shapes);
    return b.of_value ? TN_OK : tn_raise_memory();
}

tn_status tn_check_macs(tn_registry *registry, tn_graph *graph, const int64_t *values,
                        uint32_t count, double *macs)
{
    bounds b = { .registry = registry, .graph = graph };
    TN_TRY(tn_shapes_init(&b.shapes, graph));
    bind(&b, values, count);
    *macs = 0;
    for (tn_node_id node = tn_graph_first_node(graph, TN_TOP_REGION); node != TN_NONE;
         node = tn_graph_next_node(graph, node)) {
        tn_cost cost = { .size = sizeof cost };
        if (tn_infer_cost(registry, graph, node, &b.shapes, &cost) == TN_OK)
            *macs += cost.macs + cost.ops / 8;
    }
    tn_shapes_fini(&b.shapes);
    return TN_OK;
}
