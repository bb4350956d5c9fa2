/* plugins/motion/network.h: the nodes around a Transpose that could as well work on what is not turned, for
 * push_transposes.c, and the choice among them (network.c).
 *
 * SPDX-License-Identifier: MIT */
#ifndef NETWORK_H
#define NETWORK_H

#include "motion.h"

/* Who makes a value: in which form it is there without a Transpose. */
typedef enum origin {
    PLAIN,  /* as it is read now */
    TURNED, /* a Transpose that goes when all read the turned form */
    EITHER, /* another Transpose, which can make the one or the other */
    NODE    /* a node of the network */
} origin;

typedef struct item {
    tn_value_id value;
    turn turn;
    origin origin;
    uint32_t maker;     /* NODE */
    tn_value_id turned; /* the turned form, once it is there */
    double cost;
    int behind; /* found past a change of rank: from here one does not find back */
} item;

typedef struct step {
    tn_node_id node;
    turn in;
    int rejected, inside;
    uint32_t waits; /* data that a node inside has still to make */
} step;

typedef struct network {
    tn_rewrite *ctx;
    tn_node_id root;
    tn_region_id region;
    char name[96], near[96];
    const char *why;
    item *items;
    step *steps;
    uint32_t item_count, item_room, step_count, step_room;
    motion_map item_of, step_of;
    uint32_t before, after; /* Transposes */
} network;

static inline const tn_node_view *view_of(const network *n, tn_node_id node)
{
    return n->ctx->api->node(n->ctx->graph, node);
}

static inline const tn_value_view *value_of(const network *n, tn_value_id value)
{
    return n->ctx->api->value(n->ctx->graph, value);
}

tn_status network_no_memory(const network *n);
/* The turn of a Transpose of this region; 0: it is none. */
int network_read_transpose(const network *n, tn_node_id node, turn *out);

/* Finds what is around the root. TN_NO_MATCH: nothing to move. */
tn_status network_gather(network *n);
/* Nodes that are to work on the turned form. TN_NO_MATCH: as it stands it is cheapest. */
tn_status network_choose(network *n);

/* How a use of an item's value reads it. */
typedef enum reading {
    WANTS_PLAIN,
    WANTS_TURNED, /* a Transpose whose output is the turned form */
    WANTS_ANY,    /* another Transpose, which stays in any case */
    BY_NODE       /* a node of the network */
} reading;
reading network_read_use(const network *n, const item *of, tn_node_id reader, uint32_t input,
                         uint32_t *node);

#endif
