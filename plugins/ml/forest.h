/* plugins/ml/forest.h: what the three tree operators share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_FOREST_H
#define TENON_PLUGINS_FOREST_H

#include "ml.h"

enum { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ, TREE_MEMBER, TREE_LEAF };
enum { TREE_AVERAGE, TREE_SUM, TREE_MIN, TREE_MAX };

static inline int tree_compare(int mode, double value, double split)
{
    switch (mode) {
    case TREE_LEQ: return value <= split;
    case TREE_LT: return value < split;
    case TREE_GTE: return value >= split;
    case TREE_GT: return value > split;
    case TREE_EQ: return value == split;
    default: return value != split;
    }
}

/* What a target has so far: a leaf's weight joins it. `seen` tells whether one did before. */
static inline void tree_join(int aggregate, double weight, double *target, double *seen)
{
    if (aggregate == TREE_MIN)
        *target = *seen != 0 && *target < weight ? *target : weight;
    else if (aggregate == TREE_MAX)
        *target = *seen != 0 && *target > weight ? *target : weight;
    else
        *target += weight;
    *seen = 1;
}

#endif
