/* plugins/recognition/recognition.h: what the passes of this plugin share: finding an operator that
 * was written out as several, and putting it in their place.
 *
 * A pass starts at the rarest node of its pattern, walks down through only readers and up through
 * makers, and takes the nodes that it means to replace. At the end nothing may read the inside of
 * what was taken. Whatever side of a commutative operator an operand is on, it is found.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RECOGNITION_H
#define RECOGNITION_H

#include "tenon/kernel.h"

enum { PATTERN_NODES = 64, WHY_BYTES = 400 };

/* What was found so far. */
typedef struct pattern {
    tn_rewrite *ctx;
    const char *wanted; /* the operator, static */
    tn_node_id root;
    tn_region_id region;
    tn_node_id *nodes; /* taken, to be replaced: `own`, or a longer array that a pass brings */
    uint32_t count, capacity;
    tn_node_id own[PATTERN_NODES];
    tn_value_id y;       /* what the new node is to make */
    int32_t scalar_rank; /* highest rank of a scalar that was used */
    char why[WHY_BYTES];
} pattern;

/* Begins at a node, which is taken; y is its output. 0: the node has no input or no output. */
int pattern_begin(pattern *p, tn_rewrite *ctx, tn_node_id root, const char *wanted);
/* Says why not; answers 0. */
int pattern_refuse(pattern *p, const char *format, ...) TN_PRINTF(2, 3);
/* TN_NO_MATCH, with what pattern_refuse said if anything. */
tn_status pattern_miss(pattern *p);

const tn_node_view *pattern_node(const pattern *p, tn_node_id node);
const tn_value_view *pattern_value(const pattern *p, tn_value_id value);
/* Whether a node is the ai.onnx operator `op`. */
int pattern_is(const pattern *p, tn_node_id node, const char *op);
/* The node that makes a value, if it stands in the root's region and is an `op`; else TN_NONE. */
tn_node_id pattern_maker(const pattern *p, tn_value_id value, const char *op);
/* The only reader of a value, if it is an `op` in the root's region, else TN_NONE; and why, if an
 * `op` is among the readers. */
tn_node_id pattern_reader(pattern *p, tn_value_id value, const char *op);
/* The other input of a node of two; TN_NONE where `value` is neither or both. `first`: whether
 * `value` is input 0. */
tn_value_id pattern_other(const pattern *p, tn_node_id node, tn_value_id value, int *first);
/* A constant of one element that no run replaces. */
int pattern_scalar(pattern *p, tn_value_id value, double *out);
/* Equal but for the rounding of the type. */
int pattern_near(uint32_t dtype, double found, double expected);
/* Takes a node; 0 when there are too many. Nodes may be taken twice. */
int pattern_take(pattern *p, tn_node_id node);
/* Follows y to its only reader `node`, which is taken. */
int pattern_follow(pattern *p, tn_node_id node);
/* Multiplies *scale with the constants that y is multiplied with or divided by from here on, as
 * long as there are such; y moves on. */
void pattern_follow_scale(pattern *p, double *scale);

/* `value` as c[0] + c[1] x + c[2] x^2 + c[3] x^3; its nodes are taken. 0: it is none. */
int pattern_polynomial(pattern *p, tn_value_id value, tn_value_id x, double c[4]);
/* What is left of a value when sums with constants and products with constants are taken off. */
tn_value_id pattern_leaf(pattern *p, tn_value_id value);

/* What the root cuts off, a Clip, Min or Max (clip.c). */
typedef struct clipped {
    tn_value_id of;
    double low, high;
} clipped;
int pattern_clip(pattern *p, clipped *out);

/* A value, or its difference to its mean, by the root of the mean square, over the last axes from `axis`
 * on (moments.c): from the root, a Sqrt or Pow, y is followed to the quotient, or to what else is one. */
typedef struct moments {
    tn_value_id x, mean;
    int64_t axis;
    double epsilon;
    int centred, inverse;    /* inverse: the root is Pow with -1/2 */
    tn_value_id scale, bias; /* in it already; TN_NONE: none */
} moments;
int pattern_moments(pattern *p, int centred, moments *out);

/* The constant of one number for each channel, on axis 1 of what has this rank, that the node `op`
 * which alone reads y has; y moves on. TN_NONE: it does not go on so (channels.c). */
tn_value_id pattern_follow_channels(pattern *p, int64_t channels, int32_t rank, const char *op);
/* A vector of the channels: the numbers of such a constant, or, for TN_NONE, all the same. */
tn_status pattern_channels(pattern *p, uint32_t dtype, int64_t channels, tn_value_id source,
                           double number, tn_value_id *out);

/* What a Slice, Split or Gather cuts out of a value along one axis, by constants that no run
 * replaces (pieces.c). */
typedef struct piece {
    tn_node_id node;
    tn_value_id of;
    int32_t axis;
    int64_t begin, count, step;
    int dropped; /* of one index, which takes the axis away */
} piece;
/* Whether a value is such a piece; made in the root's region. */
int pattern_piece(const pattern *p, tn_value_id value, piece *out);
/* The Reshape, Squeeze or Unsqueeze that makes a value; else TN_NONE. */
tn_node_id pattern_reshaper(const pattern *p, tn_value_id value);
/* Whether extents are known to be the same. */
static inline int pattern_same(tn_dim a, tn_dim b)
{
    return a == b && a != TN_DIM_UNKNOWN;
}
/* Whether `wide` is `narrow` with an axis of this extent put in at `axis`, all known to be so. */
int pattern_has_axis(const tn_type *wide, const tn_type *narrow, int32_t axis, tn_dim extent);
/* A constant that no run replaces, or NULL. */
const tn_tensor *pattern_constant(const pattern *p, tn_value_id value);

/* A number as the float that an attribute keeps, if that loses nothing that the type has. */
int pattern_float(pattern *p, uint32_t dtype, const char *what, double value);

/* Whether no row along the last axis of masks, which are added to scores, is all minus infinity
 * (bound.c); 0: not known. */
int pattern_leaves_one(pattern *p, const tn_value_id *masks, uint32_t count);

/* No quotient or product of an 8-bit number with one of these overflows or loses digits (quantized.c). */
int quantized_scales_are_plain(const tn_tensor *scales);

/* Puts one node in the place of those taken: it makes what reads y. Attributes as for a node. */
tn_status pattern_replace(pattern *p, const tn_value_id *inputs, uint32_t input_count,
                          const tn_attribute *attributes, uint32_t attribute_count);

/* The same in steps, where more than one node is made. */

/* That nothing but what is taken reads the inside; if not, says what does. */
int pattern_closed(pattern *p);
/* Whether nothing but what is taken reads a value, which is none of the answers; if not, says what. */
int pattern_inside(pattern *p, tn_value_id value);
/* Takes a node that goes unread with those taken; one that others read stays. */
void pattern_absorb(pattern *p, tn_node_id node);
/* A constant vector of integers. */
tn_status pattern_integers(pattern *p, const int64_t *values, int64_t count, tn_value_id *out);
/* A constant scalar. */
tn_status pattern_index(pattern *p, int64_t index, tn_value_id *out);
/* A node in front of the one that makes y. */
tn_status pattern_add(pattern *p, const char *op, const tn_value_id *inputs, uint32_t input_count,
                      const tn_attribute *attributes, uint32_t attribute_count, tn_value_id *out);
tn_status pattern_add_outputs(pattern *p, const char *op, const tn_value_id *inputs,
                              uint32_t input_count, const tn_attribute *attributes,
                              uint32_t attribute_count, tn_value_id *outputs,
                              uint32_t output_count);
/* What read y reads `new_y`; what was taken goes, its trace to the node that makes `heir`. */
tn_status pattern_finish(pattern *p, tn_value_id new_y, tn_value_id heir);

tn_status drop_requantize_register(tn_registrar *registrar);
tn_status push_dequantize_register(tn_registrar *registrar);
tn_status recognize_attention_register(tn_registrar *registrar);
tn_status recognize_channel_shuffle_register(tn_registrar *registrar);
tn_status recognize_depth_to_space_register(tn_registrar *registrar);
tn_status recognize_gelu_register(tn_registrar *registrar);
tn_status recognize_group_normalization_register(tn_registrar *registrar);
tn_status recognize_gru_register(tn_registrar *registrar);
tn_status recognize_hard_sigmoid_register(tn_registrar *registrar);
tn_status recognize_hard_swish_register(tn_registrar *registrar);
tn_status recognize_instance_normalization_register(tn_registrar *registrar);
tn_status recognize_lstm_register(tn_registrar *registrar);
tn_status recognize_mish_register(tn_registrar *registrar);
tn_status recognize_normalization_register(tn_registrar *registrar);
tn_status recognize_qlinear_register(tn_registrar *registrar);
tn_status recognize_rotary_embedding_register(tn_registrar *registrar);
tn_status recognize_sigmoid_register(tn_registrar *registrar);
tn_status recognize_softplus_register(tn_registrar *registrar);
tn_status recognize_space_to_depth_register(tn_registrar *registrar);
tn_status recognize_split_register(tn_registrar *registrar);
tn_status recognize_swish_register(tn_registrar *registrar);

#endif
