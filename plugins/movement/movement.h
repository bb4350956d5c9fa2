/* plugins/movement/movement.h: what the files of this folder share: a copy between two strided
 * boxes, and what inference asks again and again.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_MOVEMENT_H
#define TENON_PLUGINS_MOVEMENT_H

#include "tenon/upgrade.h"

#define MOVE_TYPES (TN_MASK_NUMERIC | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) | TN_BIT(TN_STRING))
#define MOVE_INDEX (TN_BIT(TN_INT32) | TN_BIT(TN_INT64))

/* Bytes of any whole-byte element, wherever they lie: complex64 has the alignment of float. */
typedef uint8_t move_1;
typedef uint16_t __attribute__((may_alias, aligned(1))) move_2;
typedef uint32_t __attribute__((may_alias, aligned(1))) move_4;
typedef uint64_t __attribute__((may_alias, aligned(1))) move_8;
typedef struct __attribute__((may_alias, aligned(1), packed)) move_16 {
    uint64_t half[2];
} move_16;

/* ---- copy.c -------------------------------------------------------------------------------- */

/* A box of elements from one strided place to another. Strides count elements; the source's may be
 * zero (repeated) or negative. */
typedef struct move_box {
    int32_t rank;
    size_t width;     /* bytes of an element; 1, 2, 4, 8 or 16 */
    const char *from; /* of element 0 */
    char *to;
    int64_t dims[TN_MAX_RANK];
    int64_t from_strides[TN_MAX_RANK];
    int64_t to_strides[TN_MAX_RANK];
} move_box;

/* Copies; axes are merged, and the order of loops chosen, first. Boxes do not overlap. */
tn_status move_run(tn_call *call, const move_box *box);
/* Sets n elements to the one at `value`. */
void move_fill(char *to, size_t width, int64_t n, const void *value);

/* ---- infer.c ------------------------------------------------------------------------------- */

enum { MOVE_ELEMENTS = 64 };

/* Elements of small integer input k, as numbers and expressions; -1: nothing is known, or the
 * input is absent. Numbers below what a dimension can be (exporters write INT64_MIN for "from the
 * start") become the lowest one. */
int64_t move_elements(tn_infer *ctx, uint32_t k, tn_dim *out);
/* Input k, or NULL. */
static inline const tn_type *move_input(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
/* True when a node has input k, known or not. */
static inline int move_present(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count && ctx->inputs[k] != NULL;
}
/* Number of elements of a vector input; -1 when not known. */
int64_t move_length(const tn_infer *ctx, uint32_t k);
/* The axis that attribute "axis" names; complains and answers -1 when it is outside. */
int32_t move_axis(tn_infer *ctx, int64_t axis, int32_t rank, const char *input);
/* The same for element i of axes input k. */
int32_t move_axis_element(tn_infer *ctx, uint32_t k, int64_t i, int64_t axis, int32_t rank);
/* True when two types have equal and known extents. */
int move_same_shape(const tn_type *a, const tn_type *b);
/* Moving costs bytes, no arithmetic. */
tn_status move_cost(tn_infer *ctx, tn_cost *out);

/* ---- files --------------------------------------------------------------------------------- */

tn_status concat_register(tn_registrar *registrar);
tn_status split_register(tn_registrar *registrar);
tn_status slice_register(tn_registrar *registrar);
tn_status transpose_register(tn_registrar *registrar);
tn_status gather_register(tn_registrar *registrar);
tn_status expand_register(tn_registrar *registrar);
tn_status pad_register(tn_registrar *registrar);

#endif
