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
/* Along axis 0 samples do not mix: input 0 and output 0 have it, the other inputs are shared. */
tn_status move_samples(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);
/* Complains and answers 0 unless input k has rank `low` to `high`; an unknown rank passes. */
int move_check_rank(tn_infer *ctx, uint32_t k, const char *name, int32_t low, int32_t high);
/* Complains and answers 0 where a known index of input 1 lies outside a known extent of input 0. */
int move_check_indices(tn_infer *ctx, tn_dim extent, int32_t axis);
/* Output 0 is a small integer vector, elements of input 0 picked by input 1: says which. */
tn_status move_gather_vector(tn_infer *ctx);
/* Number of elements that a type has, when they are known and at most MOVE_ELEMENTS; else -1. */
int64_t move_small(const tn_type *type);

/* ---- index.c ------------------------------------------------------------------------------- */

/* Types of operators that were not revised since bfloat16 came. */
#define MOVE_OLD_TYPES (MOVE_TYPES & ~TN_BIT(TN_BFLOAT16))

/* One element, aligned for every type. */
typedef union move_value {
    char bytes[16];
    tn_text text;
} move_value;
/* Zero, false or the empty string. */
move_value move_zero(uint32_t dtype);

/* Element i of an int32 or int64 tensor. */
static inline int64_t move_index(const tn_tensor *indices, int64_t i)
{
    return indices->dtype == TN_INT64 ? ((const int64_t *)indices->data)[i]
                                      : ((const int32_t *)indices->data)[i];
}
/* An index from the end becomes one from the start; -1: outside. */
static inline int64_t move_wrap(int64_t index, int64_t extent)
{
    const int64_t at = index < 0 ? index + extent : index;
    return at >= 0 && at < extent ? at : -1;
}

/* A tuple of `depth` indices names a place among extents dims[0 … depth): its row-major number,
 * or -1 where index *wrong of the tensor is outside. `first` is the tuple's first index. */
int64_t move_tuple(const tn_tensor *indices, int64_t first, int32_t depth, const int64_t *dims,
                   int64_t *wrong);

/* ---- scatter.c ----------------------------------------------------------------------------- */

enum { SCATTER_NONE, SCATTER_ADD, SCATTER_MUL, SCATTER_MAX, SCATTER_MIN, SCATTER_UNKNOWN };
int scatter_reduction(const tn_node_view *node);
/* Complains and answers 0 when the reduction is none of these, or not one for the element type. */
int scatter_check(tn_infer *ctx);
/* Output 0 is a small integer vector, input 0 with elements replaced, at places of input 1 by those
 * of input 2: says what it holds. */
tn_status scatter_vector(tn_infer *ctx);
/* The attribute that scatter_reduction reads. */
#define SCATTER_REDUCTION                                                                          \
    {                                                                                              \
        .name = "reduction", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT, .s = "none",    \
        .doc = "How an update meets what is there: none, add, mul, max or min."                    \
    }
/* out[at …] = reduction(out[at …], updates[from …]), n elements in a row. */
void scatter_combine(int reduction, uint32_t dtype, void *out, int64_t at, const void *updates,
                     int64_t from, int64_t n);

/* An output that starts as input 0, in its place where that dies: the whole life of such a kernel. */
typedef struct scatter_state {
    uint32_t copied; /* 1: the host has made output 0 a copy of input 0 */
} scatter_state;
tn_status scatter_measure(tn_measure *ctx, void *state);
tn_status scatter_prepare(tn_prepare *ctx, void *state);
/* Copies input 0 to output 0 where the host has not. */
tn_status scatter_start(tn_run *ctx, const void *state);

/* ---- files --------------------------------------------------------------------------------- */

tn_status concat_register(tn_registrar *registrar);
tn_status split_register(tn_registrar *registrar);
tn_status slice_register(tn_registrar *registrar);
tn_status transpose_register(tn_registrar *registrar);
tn_status gather_register(tn_registrar *registrar);
tn_status expand_register(tn_registrar *registrar);
tn_status pad_register(tn_registrar *registrar);
tn_status elements_register(tn_registrar *registrar); /* GatherElements, ScatterElements, Scatter */
tn_status nd_register(tn_registrar *registrar);       /* GatherND, ScatterND */
tn_status tensor_scatter_register(tn_registrar *registrar);
tn_status tile_register(tn_registrar *registrar);
tn_status trilu_register(tn_registrar *registrar);
tn_status block_register(tn_registrar *registrar); /* DepthToSpace, SpaceToDepth */
tn_status reverse_register(tn_registrar *registrar);
tn_status crop_register(tn_registrar *registrar);
tn_status col2im_register(tn_registrar *registrar);
tn_status eye_register(tn_registrar *registrar);
tn_status one_hot_register(tn_registrar *registrar);

#endif
