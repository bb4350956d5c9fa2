/* plugins/conv/conv.h: what the files of this folder share.
 *
 * conv_window is the sliding window that the attributes of Conv and ConvTranspose describe; it is
 * read the same way by inference (with complaints) and by the kernels (silently: inference has
 * looked before).
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_CONV_H
#define TENON_PLUGINS_CONV_H

#include "tenon/kernel.h"

enum { CONV_NOTSET, CONV_SAME_UPPER, CONV_SAME_LOWER, CONV_VALID };

typedef struct conv_window {
    int32_t spatial; /* number of spatial axes */
    uint32_t auto_pad;
    int64_t group;
    tn_dim kernel[TN_MAX_RANK]; /* may be unknown or symbolic while inferring */
    int64_t stride[TN_MAX_RANK];
    int64_t dilation[TN_MAX_RANK];
    int64_t pad_begin[TN_MAX_RANK]; /* as the attribute says; conv_same_pads fills in the others */
    int64_t pad_end[TN_MAX_RANK];
} conv_window;

/* Extent `axis` of a type; unknown where the type or its rank is. */
static inline tn_dim conv_dim(const tn_type *type, int32_t axis)
{
    return type && type->rank > axis ? type->dims[axis] : TN_DIM_UNKNOWN;
}

/* Input k of an inference, or NULL. */
static inline const tn_type *conv_input(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

/* Number of spatial axes that the inputs' ranks tell: -1 when neither is known, -2 after a
 * complaint. */
int32_t conv_spatial(tn_infer *ctx);

/* Reads the attributes. Answers 0 after a complaint; with `call` NULL it is silent. */
int conv_read_window(tn_call *call, const tn_node_view *node, int32_t spatial,
                     const tn_type *weights, conv_window *out);

/* The same for a kernel, from a weight tensor. */
void conv_run_window(const tn_node_view *node, const tn_tensor *weights, conv_window *out);

/* How far a window reaches along an axis: (kernel - 1) * dilation + 1. */
tn_dim conv_reach(tn_call *call, const conv_window *window, int32_t axis);

/* Splits `total` padding into its two sides as auto_pad says. */
void conv_split_pads(conv_window *window, int32_t axis, int64_t total, int upper);

/* Conv: padding of SAME_UPPER and SAME_LOWER from the input's extents (known ones; others are
 * left at 0). */
void conv_same_pads(conv_window *window, const int64_t *extents);

/* Checks that input B, if any, is a vector of as many elements as there are output channels. */
void conv_check_bias(tn_infer *ctx, tn_dim channels);

/* "[6,3,?,5]" in text[bytes]. */
const char *conv_shape_text(int32_t rank, const tn_dim *dims, char *text, size_t bytes);

tn_status conv_register(tn_registrar *registrar);
tn_status conv_transpose_register(tn_registrar *registrar);
tn_status causal_conv_register(tn_registrar *registrar);
/* `expand` of CausalConvWithState (causal_conv_write.c). */
tn_status causal_conv_write_out(tn_rewrite *ctx, tn_node_id node);

#endif
