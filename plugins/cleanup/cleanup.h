/* plugins/cleanup/cleanup.h: what the passes of this plugin share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CLEANUP_H
#define CLEANUP_H

#include "tenon/kernel.h"

tn_status drop_before_shape_register(tn_registrar *registrar);
tn_status inline_if_register(tn_registrar *registrar);
tn_status join_split_register(tn_registrar *registrar);
tn_status merge_casts_register(tn_registrar *registrar);
tn_status merge_clips_register(tn_registrar *registrar);
tn_status merge_concats_register(tn_registrar *registrar);
tn_status merge_expands_register(tn_registrar *registrar);
tn_status merge_pads_register(tn_registrar *registrar);
tn_status merge_reshapes_register(tn_registrar *registrar);
tn_status merge_slices_register(tn_registrar *registrar);
tn_status merge_transposes_register(tn_registrar *registrar);

/* Whether a node is the ai.onnx operator `op`. */
int cleanup_is(const tn_node_view *view, const char *op);
/* The node that makes input k of `view`, in the same body; NULL: none. */
const tn_node_view *cleanup_maker(tn_rewrite *ctx, const tn_node_view *view, uint32_t k,
                                  tn_node_id *out);
/* Whether a value has one reader and is no output of the graph or of a body. */
int cleanup_is_single(tn_rewrite *ctx, tn_value_id value);
/* A constant of integers that no run replaces; NULL: it is none. */
const tn_tensor *cleanup_integers(tn_rewrite *ctx, const tn_node_view *view, uint32_t k);
/* Adds a vector of int64. */
tn_status cleanup_add_integers(tn_rewrite *ctx, tn_region_id region, const int64_t *data,
                               int64_t count, tn_value_id *out);

#endif
