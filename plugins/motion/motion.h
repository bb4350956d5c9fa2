/* plugins/motion/motion.h: what the passes of this plugin share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MOTION_H
#define MOTION_H

#include "tenon/kernel.h"

tn_status drop_channel_shuffle_register(tn_registrar *registrar);
tn_status einsum_to_matmul_register(tn_registrar *registrar);
tn_status gather_to_slice_register(tn_registrar *registrar);
tn_status matrix_chain_register(tn_registrar *registrar);
tn_status merge_matmuls_register(tn_registrar *registrar);
tn_status push_reshapes_register(tn_registrar *registrar);
tn_status push_transposes_register(tn_registrar *registrar);
tn_status transpose_to_reshape_register(tn_registrar *registrar);
tn_status widen_concat_register(tn_registrar *registrar);

/* ---- looking around (shared.c) ------------------------------------------------------------ */

/* A constant that no run replaces, or NULL. */
const tn_tensor *motion_constant(tn_rewrite *ctx, tn_value_id value);
/* Whether a node is the ai.onnx operator `op`. */
int motion_is(const tn_node_view *view, const char *op);
/* Input k of a node, TN_NONE where it is absent. */
tn_value_id motion_input(const tn_node_view *view, uint32_t k);
/* The type of a value. */
const tn_type *motion_type(tn_rewrite *ctx, tn_value_id value);
/* Whether a value has one reader and is no output of the graph or of a body. */
int motion_is_single(tn_rewrite *ctx, tn_value_id value);
/* The integers of a constant vector that no run replaces, at most TN_MAX_RANK * 2; -1: it is none. */
int32_t motion_integers(tn_rewrite *ctx, tn_value_id value, int64_t *out);
/* Adds a vector of int64. */
tn_status motion_add_integers(tn_rewrite *ctx, tn_region_id region, const int64_t *data,
                              int32_t count, tn_value_id *out);
/* Where a pass adds nodes, and what they are called after: "name/what". */
typedef struct motion_site {
    tn_rewrite *ctx;
    tn_region_id region;
    tn_node_id before, trace;
    const char *name;
} motion_site;
/* Adds a node of one output; attribute: NULL for none. */
tn_status motion_add_node(const motion_site *site, const char *op, const char *what,
                          const tn_value_id *inputs, uint32_t count, const tn_attribute *attribute,
                          tn_value_id *out);
/* The shape that a Reshape is to ask for: extents, -1 for the one that may be open. 0: more are open,
 * or one is 0, which would mean "as it was". */
int motion_read_shape(const tn_type *type, int64_t *shape);
tn_status motion_set_int(tn_rewrite *ctx, tn_node_id node, const char *name, int64_t i);

/* Ids to numbers. Zeroed is empty. */
typedef struct motion_map {
    uint32_t *keys, *items; /* [room] */
    uint32_t count, room;
} motion_map;
/* The number of an id; UINT32_MAX: none. */
uint32_t motion_find(const motion_map *map, uint32_t key);
/* 0: no memory. */
int motion_put(motion_map *map, uint32_t key, uint32_t item);
void motion_map_fini(motion_map *map);

/* ---- turned values (permutations.c, turn.c, turn_apply.c) ------------------------------------------ */

/* How a value v follows from another one: v = Transpose(other, perm = axes). Axis a of v is axis
 * axes[a] of the other. */
typedef struct turn {
    int32_t rank;
    uint8_t axes[TN_MAX_RANK];
} turn;

int turn_equal(const turn *a, const turn *b);
int turn_is_identity(const turn *t);
turn turn_inverse(const turn *t);
/* First `first`, then `second`: perm of Transpose(Transpose(x, first), second). */
turn turn_then(const turn *first, const turn *second);
/* The permutation of a Transpose; 0: it is not known. */
int turn_read(tn_rewrite *ctx, const tn_node_view *view, turn *out);

/* What an input is to a node that works on turned values. */
typedef enum turn_role { TURN_KEEP, TURN_DATA, TURN_CONSTANT } turn_role;
turn_role turn_role_of(tn_rewrite *ctx, const tn_node_view *view, uint32_t k);
/* Which axes an operator cares about. */
typedef enum turn_care {
    TURN_CARES,      /* some, or it is not known here */
    TURN_CARES_LAST, /* the last one only */
    TURN_BROADCASTS, /* none, but its inputs are broadcast together */
    TURN_CARES_NONE
} turn_care;
turn_care turn_cares(const tn_node_view *view);
/* Whether the node can compute on turned values what it computes on plain ones: its data are v =
 * Transpose(…, in). Answers how its outputs follow, and whether inputs and outputs are turned alike.
 * 0: it cannot; *why tells, where the operator could in other cases. */
int turn_admit(tn_rewrite *ctx, const tn_node_view *view, const turn *in, turn *out, int *alike,
               const char **why);
/* Makes it do so: attributes, constants and vectors of axes. Its data are set by the caller. */
tn_status turn_apply(tn_rewrite *ctx, tn_node_id node, const turn *in);

/* ---- channels in another order (channels.c) -------------------------------------------------- */

enum { CHANNELS_EDITS = 64 };
typedef enum channel_edit {
    CHANNELS_MADE,   /* a Conv's weights by output channel, and its bias; a Gather's indices */
    CHANNELS_SUMMED, /* a Conv's weights by input channel */
    CHANNELS_PICKED  /* what the indices of a Gather count */
} channel_edit;
/* The nodes whose constants follow when the channels of a value are put in another order. */
typedef struct channels {
    tn_rewrite *ctx;
    tn_region_id region;
    int64_t count; /* of channels */
    uint32_t edit_count;
    tn_node_id nodes[CHANNELS_EDITS];
    channel_edit edits[CHANNELS_EDITS];
    char why[200];
} channels;

/* Whether all that reads the value can take its channels in any order; 0: why says who cannot. */
int channels_follow(channels *c, tn_value_id value);
/* Whether what makes the value, for one reader alone, can make its channels in any order. The node that
 * does, or passes them on last, is the first edit's. */
int channels_lead(channels *c, tn_value_id value);
/* A node that has an axis, which is the channels'; channels [begin, end) of x. */
tn_status channels_add(const motion_site *site, const char *op, const char *what,
                       const tn_value_id *inputs, uint32_t count, tn_value_id *out);
tn_status channels_add_piece(const motion_site *site, tn_value_id x, int64_t begin, int64_t end,
                             tn_value_id *out);
/* Edits the constants: channel k is now what was channel order[k]. */
tn_status channels_apply(channels *c, const int32_t *order);

/* ---- the least cut (cut.c) ------------------------------------------------------------------ */

/* A network from node 0, the source, to node 1, the sink. Zeroed is empty. */
typedef struct least_cut {
    uint32_t node_count, edge_count, node_room, edge_room;
    uint32_t *first;       /* [node] edge, UINT32_MAX: none */
    uint32_t *next, *to;   /* [edge]; edge ^ 1 is the way back */
    double *room;          /* [edge] what still goes through */
    uint32_t *level, *now; /* [node] */
    uint32_t *path;        /* [node] edges */
} least_cut;
#define CUT_ENDLESS 1e30

/* Makes sure of `count` more nodes and answers the first; UINT32_MAX: no memory. */
uint32_t cut_nodes(least_cut *c, uint32_t count);
/* 0: no memory. */
int cut_edge(least_cut *c, uint32_t from, uint32_t to, double room);
/* Finds the least cut (Dinic 1970); then cut_is_source says on which side a node is: the smallest
 * source side there is. */
void cut_solve(least_cut *c);
int cut_is_source(const least_cut *c, uint32_t node);
void cut_fini(least_cut *c);

#endif
