/* plugins/motion/motion.h: what the passes of this plugin share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MOTION_H
#define MOTION_H

#include "tenon/kernel.h"

tn_status matrix_chain_register(tn_registrar *registrar);
tn_status merge_matmuls_register(tn_registrar *registrar);

/* A constant that no run replaces, or NULL. */
const tn_tensor *motion_constant(tn_rewrite *ctx, tn_value_id value);
/* Whether a node is the ai.onnx operator `op`. */
int motion_is(const tn_node_view *view, const char *op);

#endif
