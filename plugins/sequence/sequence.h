/* plugins/sequence/sequence.h: what the files of this folder share.
 *
 * A sequence is tensors of one element type, an optional a value or none. Both are the host's
 * objects; a tn_type of kind TN_SEQUENCE or TN_OPTIONAL says what its innermost tensors have in
 * common.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_SEQUENCE_H
#define TENON_PLUGINS_SEQUENCE_H

#include "tenon/kernel.h"

/* "All tensor types", as the standard means it for these operators. */
#define SEQ_TYPES                                                                                  \
    ((TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16)) | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) |                \
     TN_BIT(TN_STRING))
#define SEQ_INDEX (TN_BIT(TN_INT32) | TN_BIT(TN_INT64))
#define SEQ_ONLY (TN_PARAM_SEQUENCE | TN_PARAM_NOT_TENSOR)

/* ---- shared.c ------------------------------------------------------------------------------ */

/* Input k's type, or NULL. */
static inline const tn_type *seq_input(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
/* Input k's tensor, or NULL. */
static inline const tn_tensor *seq_given(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
/* Narrows `type` to the extents that hold for tensors of `other` too. */
void seq_unite(tn_infer *ctx, tn_type *type, const tn_type *other);
/* What stands outermost in a type is taken away, or put around it. */
static inline void seq_unwrap(tn_type *type)
{
    type->kind >>= 4;
}
static inline void seq_wrap(tn_type *type, uint32_t kind)
{
    type->kind = type->kind << 4 | kind;
}
/* A shape that is not wholly known is told by running only. */
void seq_mark_late(tn_type *type);
/* Complains where sequence 0 and tensor k have different element types. */
void seq_check_element(tn_infer *ctx, uint32_t k);
/* Complains where input k is known not to be one number. */
void seq_check_scalar(tn_infer *ctx, uint32_t k);
/* The position that input k names among `count`, negative ones from the back; absent: the last. */
tn_status seq_position(tn_run *ctx, uint32_t k, int64_t count, int64_t *out);
/* Moving costs bytes, no arithmetic. */
tn_status seq_cost(tn_infer *ctx, tn_cost *out);
/* Registers an operator of since-version 11 or later and its reference kernel. */
tn_status seq_add(tn_registrar *registrar, const tn_operator_def *op,
                  tn_status (*run)(tn_run *ctx, const void *state, void *slot));

/* ---- files --------------------------------------------------------------------------------- */

tn_status construct_register(tn_registrar *registrar);
tn_status edit_register(tn_registrar *registrar);
tn_status split_register(tn_registrar *registrar);
tn_status concat_register(tn_registrar *registrar);
tn_status optional_register(tn_registrar *registrar);

#endif
