/* plugins/motion/turn.h: what the files share that say how operators work on turned values: permutations.c,
 * turn.c (may a node?) and turn_apply.c (its edit).
 *
 * SPDX-License-Identifier: MIT */
#ifndef TURN_H
#define TURN_H

#include "motion.h"

typedef enum turn_kind {
    ELEMENTS, /* all inputs are broadcast together */
    FIRST,    /* elementwise in input 0; others are numbers, or as the schema wants them */
    GRAINS,   /* (De)QuantizeLinear: scales for each place on an axis */
    AXIS,     /* attribute axis */
    JOIN,     /* the same, and all inputs are data */
    ROWS,     /* works on the last axis, whatever stands before it */
    PICK,     /* ArgMax, ArgMin: attribute axis, which keepdims leaves or not */
    REDUCE,   /* axes are input 1 */
    SQUEEZE,
    UNSQUEEZE,
    SLICE,
    PAD,
    RESIZE,
    SPREAD, /* Expand, Tile: a number for each axis is input 1 */
    GATHER
} turn_kind;

typedef struct turn_rule {
    const char *op;
    turn_kind kind;
    uint32_t since; /* below: another form */
} turn_rule;

/* What an operator does with its axes; NULL: it is not known here. */
const turn_rule *turn_rule_of(const tn_node_view *view);
/* The input of a Resize that has a number for each axis. */
uint32_t turn_resize_vector(const tn_node_view *view);

/* How a value follows when the axes of `gone` (a bit each, of the plain value) are taken out. */
turn turn_without(const turn *t, uint32_t gone);
/* The other way round: axes that `added` names stand where they are, the others are turned. */
turn turn_with(const turn *t, uint32_t added, int32_t rank);

#endif
