/* plugins/shape/shape.h: what the files of this folder share: operators that keep the elements and
 * change the shape, and those that make shapes into tensors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_SHAPE_H
#define TENON_PLUGINS_SHAPE_H

#include "tenon/upgrade.h"

enum { SHAPE_ELEMENTS = 64 };

/* Elements of small integer input k, as numbers and expressions; -1: nothing is known, or the
 * input is absent. */
int64_t shape_elements(tn_infer *ctx, uint32_t k, tn_dim *out);
/* Number of elements of vector input k; -1 when not known. */
int64_t shape_length(const tn_infer *ctx, uint32_t k);
/* Tells that the small integer elements of output 0 are those of input 0. */
tn_status shape_pass_elements(tn_infer *ctx);
/* True when two types have equal and known extents. */
int shape_equal(const tn_type *a, const tn_type *b);
/* Output 0 is input 0 where the shapes are equal. */
int32_t shape_identity(const tn_identity *query);
/* Complains and answers 0 when a rank is more than there can be. */
int shape_check_rank(tn_infer *ctx, uint32_t input, int64_t rank);
/* Moving costs bytes, no arithmetic. */
tn_status shape_cost(tn_infer *ctx, tn_cost *out);
/* The kernel of all views: output 0 gets input 0's bytes. A host that makes views never runs it. */
tn_status shape_copy(tn_run *ctx, const void *state, void *slot);

/* Registers an operator with a reference kernel. */
tn_status shape_add(tn_registrar *registrar, const tn_operator_def *op,
                    tn_status (*run)(tn_run *ctx, const void *state, void *slot), uint32_t flags);

tn_status reshape_register(tn_registrar *registrar); /* Reshape, Flatten */
tn_status axes_register(tn_registrar *registrar);    /* Squeeze, Unsqueeze */
tn_status shape_register(tn_registrar *registrar);   /* Shape, Size */
tn_status identity_register(tn_registrar *registrar);
tn_status range_register(tn_registrar *registrar);
tn_status constant_register(tn_registrar *registrar); /* Constant, ConstantOfShape */

#endif
