/* plugins/recognition/rotary.h: what the files of recognize_rotary_embedding share: rotary_find.c walks along
 * the pattern, rotary_angles.c looks at cosines and sines.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ROTARY_H
#define ROTARY_H

#include "recognition.h"

enum { ROTARY_PASSED = 16 };

typedef struct rotation {
    tn_value_id x;
    int interleaved;
    int doubled;      /* cos and sin are as wide as x */
    int signed_sines; /* the first of each pair has its sign turned in them, not in x */
    int second;       /* and they are a constant: the second of a pair is the sine */
    int packed;       /* heads stand behind positions */
    int64_t width;    /* of what is turned, even */
    int64_t partial;  /* of what is turned where that is not all of x; else 0 */
    tn_value_id
        joined; /* x with its heads side by side, as it was before they were split off; or TN_NONE */
    tn_value_id cosines, sines;
    uint32_t passed_count;
    tn_node_id passed[ROTARY_PASSED]; /* what cuts x: goes where nothing else reads it */
} rotation;

static inline const tn_type *type_of(const pattern *p, tn_value_id value)
{
    return pattern_value(p, value)->type;
}

static inline tn_dim last_extent(const tn_type *type)
{
    return type->rank > 0 ? type->dims[type->rank - 1] : TN_DIM_UNKNOWN;
}

static inline void rotary_pass(rotation *r, tn_node_id node)
{
    if (r->passed_count < ROTARY_PASSED)
        r->passed[r->passed_count++] = node;
}

/* From a Neg, a Sub, or what changes pairs over: 0: it is none. */
int rotary_find(pattern *p, rotation *r);
/* y, the first of all pairs, is written into a value of x's shape by a ScatterND, and the others by another
 * one, so that nothing else is left of it: those, and y is the end (rotary_scatter.c). TN_NONE: it is not. */
tn_value_id rotary_scattered(pattern *p, const rotation *r);

/* Whether cosines and sines are angles of positions, as wide as they must be. */
int rotary_angles_fit(pattern *p, rotation *r);
/* Extent of a value's axis where it is laid on a value of this rank. */
tn_dim rotary_laid(const tn_type *type, int32_t axis, int32_t rank);

#endif
