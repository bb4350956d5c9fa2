/* engine/infer/internal.h: the driver of inference; for the files of this room only.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TN_INFER_INTERNAL_H
#define TN_INFER_INTERNAL_H

#include "engine/infer/infer.h"

#include <stdio.h>

enum { MAX_ELEMENTS = 64, MAX_NESTING = 64 };

/* One walk over a graph. With `shapes` types are read and written there, else in the graph. */
typedef struct driver {
    tn_registry *registry;
    tn_graph *graph; /* written only without `shapes` */
    tn_shapes *shapes;
    tn_diagnostics *diagnostics;
    bool
        strict; /* reading a model: constraints and declarations are checked, all errors collected */
    const tn_graph *functions; /* whose functions a node may call; NULL: the graph's own */
    bool newest; /* nodes that an upgrade, a function or a pass put in: no import is asked */
    bool *
        inferred; /* [value slots] by this driver already: what is there is no declaration; NULL: all */
    bool *poisoned;   /* [value slots] an error was reported for it: nothing about what follows */
    tn_status status; /* the first error */
    uint32_t errors;  /* how many there were */
    uint32_t depth;   /* of bodies */
    struct {
        tn_value_id *items;
        uint32_t count, capacity;
    } * changed; /* values whose type became another; NULL */
} driver;

/* One node being inferred: what stands behind the frame of tn_infer. */
typedef struct node_call {
    tn_frame frame;
    tn_infer ctx;
    driver *d;
    tn_node_id node;
    const tn_operator *op;
    bool complained;
    uint64_t bodies_done; /* bit k: attribute k's body was inferred by the operator itself */
    const tn_tensor *const *values; /* [input_count] actual values; NULL: only constants */
    struct {
        int64_t count;
        tn_dim items[MAX_ELEMENTS];
    } * elements; /* [output_count] */
} node_call;

const tn_type *driver_type(const driver *d, tn_value_id value);
int64_t driver_elements(const driver *d, tn_value_id value, const tn_dim **out);
/* Complains about a node: locates it, words it, remembers the first. */
void driver_complain(driver *d, tn_node_id node, tn_status status, uint32_t severity,
                     const char *part, const char *about, const char *suggestion, const char *text);
/* Infers the nodes of a region in their order. */
tn_status driver_region(driver *d, tn_region_id region);
tn_status driver_node(driver *d, tn_node_id node);
/* Runs op->infer with these inputs; outputs are filled as the schema says before. */
tn_status driver_call(node_call *call, const tn_type *const *inputs, tn_type *outputs);
/* Puts a function's body in the place of a node that calls it (resolve.c). */
tn_status tn_infer_put_body(tn_graph *graph, tn_node_id node, const tn_graph *body);
/* The declaration of input or output k (variadic ones repeat); NULL beyond. */
const tn_param_def *param_of(const tn_param_def *params, uint32_t count, uint32_t k);

#endif
