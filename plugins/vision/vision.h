/* plugins/vision/vision.h: what the operators of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_VISION_H
#define TENON_PLUGINS_VISION_H

#include "tenon/kernel.h"

/* Type of input k during inference, or NULL; tensor of input k during a run, or NULL. */
static inline const tn_type *vision_type(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
static inline const tn_tensor *vision_tensor(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

/* Elements of a vector input as its type tells: -1 unknown. */
int64_t vision_length(const tn_infer *ctx, uint32_t k);

/* Complains when the rank of input k is known and another. Answers 1 when it is `rank`. */
int vision_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t rank, const char *shape);

/* Complains when two dimensions cannot be equal: input k's axis against what is wanted. */
int vision_check_dim(tn_infer *ctx, uint32_t k, const char *name, int32_t axis, tn_dim wanted,
                     const char *because);

/* Place of the attribute's text in a list of `count` names; -1 after a complaint, which lists
 * them. `call` NULL: silent. */
int vision_choice(tn_call *call, const tn_node_view *node, const char *attribute,
                  const char *fallback, const char *const *names, int count);

/* Stores a number into any real type: rounded to nearest even and clipped to the range of integers
 * (NaN is 0); bool is whether it is not 0. */
void vision_store(uint32_t dtype, void *data, int64_t at, double value);

static inline double vision_load(const tn_tensor *x, int64_t at)
{
    return x->dtype == TN_FLOAT32 ? (double)((const float *)x->data)[at]
                                  : tn_get_double(x->dtype, x->data, at);
}

tn_status resize_register(tn_registrar *registrar);
tn_status upsample_register(tn_registrar *registrar);
tn_status grid_sample_register(tn_registrar *registrar);
tn_status affine_grid_register(tn_registrar *registrar);
tn_status roi_align_register(tn_registrar *registrar);
tn_status max_roi_pool_register(tn_registrar *registrar);
tn_status non_max_suppression_register(tn_registrar *registrar);
tn_status deform_conv_register(tn_registrar *registrar);

#endif
