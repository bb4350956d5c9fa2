/* plugins/recognition/attention.h: what recognize_attention.c has found so far, and what it finds Q, K and V
 * with (attention_sides.c).
 *
 * SPDX-License-Identifier: MIT */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "recognition.h"

enum { Q, K, V, SIDES };
enum { MOST_PASSED = 24, MOST_MASKS = 3 };

/* Q, K or V with its heads in front of its rows: axis k of it is axis perm[k] of `source`. */
typedef struct side {
    tn_value_id source;
    int32_t perm[4];
    int64_t group; /* times that each head is repeated */
} side;

typedef struct attention {
    int any_mask;
    int32_t rank; /* 3 or 4 */
    side sides[SIDES];
    double scale;
    tn_value_id masks[MOST_MASKS]; /* added */
    uint32_t mask_count;
    tn_value_id chosen,
        fill;    /* a bool mask, and the number that stands where it hides; TN_NONE: none */
    int negated; /* it says what is hidden */
    int guarded; /* NaN behind Softmax become 0 */
    int packed;  /* heads side by side */
    int joined;  /* and y, too, has them so */
    uint32_t passed_count;
    tn_node_id passed[MOST_PASSED]; /* looked through: they go where nothing else reads them */
} attention;

/* Notes a node that was looked through; 0: there are too many. */
int attention_pass(attention *a, tn_node_id node);
/* The Mul or Div by a number that makes a value: of what, and by how much. */
tn_node_id attention_factor(pattern *p, tn_value_id value, tn_value_id *of, double *factor);
/* Applies the permutation of a Transpose of this rank; 0: it has another. */
int attention_turn(const tn_node_view *transpose, int32_t rank, side *s);
/* From the operand of a product up to Q, K or V; *scale: NULL where factors are not looked through. */
void attention_side(pattern *p, attention *a, uint32_t which, tn_value_id value, double *scale);

#endif
