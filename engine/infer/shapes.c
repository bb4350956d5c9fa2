/* Types beside a graph: what one binding of input shapes gives.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/infer/internal.h"

tn_status tn_shapes_init(tn_shapes *shapes, const tn_graph *graph)
{
    const uint32_t count = tn_graph_value_slots(graph);
    *shapes = (tn_shapes){ .count = count };
    shapes->types = tn_alloc(count + 1, sizeof *shapes->types);
    shapes->element_counts = tn_alloc(count + 1, sizeof *shapes->element_counts);
    shapes->elements = tn_alloc(count + 1, sizeof *shapes->elements);
    shapes->values = tn_alloc(count + 1, sizeof *shapes->values);
    if (!shapes->types || !shapes->element_counts || !shapes->elements || !shapes->values) {
        tn_shapes_fini(shapes);
        return tn_raise_memory();
    }
    for (uint32_t slot = 0; slot < count; slot++) {
        const tn_value_id value = tn_graph_value_at(graph, slot);
        shapes->types[slot] = value == TN_NONE ? tn_type_unknown()
                                               : *tn_graph_look(graph, value)->type;
        shapes->element_counts[slot] = -1;
    }
    return TN_OK;
}

void tn_shapes_fini(tn_shapes *shapes)
{
    tn_free(shapes->types);
    tn_free(shapes->element_counts);
    tn_free(shapes->elements);
    tn_free(shapes->values);
    tn_pool_fini(&shapes->pool);
    *shapes = (tn_shapes){ 0 };
}
