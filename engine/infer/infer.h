/* engine/infer/infer.h: shape and type inference, and the stages that need it: resolving operators
 * to schemas, upgrade, expand, constant evaluation of shapes.
 *
 * In: a graph as read. Out: the same graph with each node resolved to a schema, defaults of
 * attributes filled in, types, symbolic extents and small integer elements written to its values.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_INFER_H
#define TN_INFER_H

#include "engine/registry/registry.h"

/* infer/'s part of the host table: complain, input_value, input_elements, output_elements,
 * infer_region, dim_op, dim_equal, broadcast. */
extern const tn_host tn_infer_host;

/* Types and elements of values, beside those written in the graph: what one binding of shapes
 * gives. Indexed by tn_slot_of(value). */
typedef struct tn_shapes {
    uint32_t count;
    tn_type *types;          /* kind, dtype, rank -1 where unknown */
    int64_t *element_counts; /* -1: unknown */
    const tn_dim **elements; /* owned by `pool` or the graph */
    const tn_tensor *
        *values; /* contents that are known while binding (an input's, a constant's); NULL */
    tn_pool pool;
} tn_shapes;
/* Starts from what is written in the graph. */
tn_status tn_shapes_init(tn_shapes *shapes, const tn_graph *graph);
void tn_shapes_fini(tn_shapes *shapes);

/* Resolves every node of all regions against the registry and the graph's opset imports (warning
 * for a newer import), checks counts of inputs and outputs, attributes (names, types, required),
 * fills in defaults, upgrades nodes of older versions. All complaints in one go.
 * Model-local functions become schemas of this graph, found before the registry's. */
tn_status tn_infer_resolve(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics);
/* The same for nodes that were put in since (an operator's expansion): they are of the newest
 * versions, whatever the graph imports. */
tn_status tn_infer_resolve_new(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics);
/* Infers all regions in order, checks constraints and declared shapes (inference wins, with a
 * warning; dtype against dtype is an error). Writes into the graph. */
tn_status tn_infer_graph(tn_registry *registry, tn_graph *graph, tn_diagnostics *diagnostics);
/* After edits: infers `nodes` and what follows from changes. Used by the pass manager. */
tn_status tn_infer_touched(tn_registry *registry, tn_graph *graph, const tn_node_id *nodes,
                           uint32_t count);
/* Resolves and checks one node that a pass added (schema, attributes, defaults). */
tn_status tn_infer_resolve_node(tn_registry *registry, tn_graph *graph, tn_node_id node,
                                tn_diagnostics *diagnostics);
/* Replaces nodes whose operator is a function (model-local, a schema's body or expand) by its
 * body, unless `offers` says that a listed backend has a kernel for it. A node of an old version
 * that `expand` can write in newer ones is so written, whatever kernels there are. */
typedef bool (*tn_offers_fn)(void *user, const tn_operator *op);
tn_status tn_infer_expand(tn_registry *registry, tn_graph *graph, tn_offers_fn offers, void *user,
                          const tn_limits *limits, tn_diagnostics *diagnostics);

/* Why a node is of an old version although there is a newer one: `text` is the operator's reason, "" where
 * it is of the newest or gives none. Edits the graph and undoes it. */
tn_status tn_infer_why_kept(tn_registry *registry, tn_graph *graph, tn_node_id node, char *text,
                            size_t bytes);

/* Binding: infers one region into `shapes`, in which its inputs (and captured outer values) have
 * been set; nothing is written to the graph; any thread. Errors carry the node. */
tn_status tn_infer_region_into(tn_registry *registry, const tn_graph *graph, tn_region_id region,
                               tn_shapes *shapes, tn_diagnostics *diagnostics);
/* The same for one node, whose inputs and captures have been set in `shapes`. */
tn_status tn_infer_node_into(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                             tn_shapes *shapes);
/* One node with actual types and values (values[k] NULL: unknown), for late nodes at run time. */
tn_status tn_infer_node_now(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                            const tn_type *const *inputs, const tn_tensor *const *values,
                            tn_type *outputs);

/* Costs of a node with known shapes: multiply-adds and so on; a default where its schema has none. */
tn_status tn_infer_cost(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                        const tn_shapes *shapes, tn_cost *out);
/* Its windows; answers how many axes, 0 for none. */
int32_t tn_infer_windows(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                         const tn_shapes *shapes, tn_window *out);
/* Along which axis each input and output of a node with known shapes counts samples that do not depend
 * on each other; -1: what all share. TN_NO_MATCH: the operator does not keep samples apart. */
tn_status tn_infer_samplewise(tn_registry *registry, const tn_graph *graph, tn_node_id node,
                              const tn_shapes *shapes, int32_t *input_axes, int32_t *output_axes);
/* The operator behind a node. */
static inline const tn_operator *tn_operator_of(const tn_graph *graph, tn_node_id node)
{
    return (const tn_operator *)tn_graph_schema(graph, node);
}

#endif
