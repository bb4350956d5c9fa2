/* native.h: what the files of this backend tell each other.
 *
 * Kernels of our own, for what a vendor's library does worse or not at all, float32, channels last.
 * Everything that is a product (direct convolutions, Winograd's inner part, Gemm, MatMul) goes
 * through product.c: rows by pointer, panels of packed weights, tiles that stay in registers, and
 * the epilogue on each tile before it is stored. isa/ holds what depends on the processor.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_H
#define TENON_NATIVE_H

#include "isa/isa.h"
#include "tenon/kernel.h"

enum { NATIVE_MAX_STEPS = 6 };

static inline int64_t native_ceil(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static inline int64_t native_round_up(int64_t a, int64_t b)
{
    return native_ceil(a, b) * b;
}
static inline int64_t native_count(const tn_type *type)
{
    return tn_extent(type->dims, 0, type->rank);
}

/* Channels last, or a view of some channels: rows as far apart as tn_row_step says. */
#define NATIVE_LAST_STRIDED (TN_LAYOUT_CHANNELS_LAST | TN_LAYOUT_STRIDED)

/* The functions of this processor: what the backend's instance is. */
static inline const native_isa *native_isa_of(const void *instance)
{
    return instance;
}

/* ---- epilogue.c ------------------------------------------------------------------------- */

enum { NATIVE_NO_OPERAND, NATIVE_FULL, NATIVE_SCALAR, NATIVE_COLUMN };

typedef struct native_step {
    native_function function;
    uint32_t spread;
    int32_t input; /* the operand's index among the problem's inputs */
    float a, b;
} native_step;

typedef struct native_epilogue {
    uint32_t count;
    int64_t ld; /* elements from row to row of full operands that are no strided views */
    native_step steps[NATIVE_MAX_STEPS];
} native_epilogue;

/* The function that a node computes of its input 0 (inputs: where its inputs are in the problem,
 * -1 absent). TN_DECLINED: reason is filled. */
tn_status native_function_of(const tn_problem *problem, const tn_node_view *node,
                             const int32_t *inputs, uint32_t input_count, native_step *out,
                             char *reason, size_t bytes);
/* Pow with one constant for all elements as its exponent. */
bool native_is_power(const tn_problem *problem, const tn_node_view *node, const int32_t *inputs,
                     uint32_t input_count);
/* Add, Sub, Mul, Div, Max, Min, Pow; false: another. `flipped`: the chain is the second input. */
bool native_binary_of(const char *op, bool flipped, native_function *out);
/* Reads the steps. column_axis: the output's axis that the tile's columns run along. */
tn_status native_epilogue_read(const tn_problem *problem, int32_t column_axis, native_epilogue *out,
                               char *reason, size_t bytes);
/* The same of other steps than the problem's own, which end with its output's channels. */
tn_status native_steps_read(const tn_problem *problem, const tn_step *steps, uint32_t count,
                            int32_t column_axis, native_epilogue *out, char *reason, size_t bytes);
/* Says for the compiler in which layout full operands are wanted, strided where rows are finished one
 * by one; reuse: the output may lie on one
 * of them, because a tile is read before it is written, at the same place. */
void native_epilogue_layouts(const native_epilogue *epilogue, tn_alternative *alternative,
                             uint32_t layout, bool reuse);
/* Whether the steps from `from` on are what a register can do before it is stored; out says what. */
bool native_end_of(const native_epilogue *epilogue, uint32_t from, native_end *out);
/* Applies it to a tile: row r is row `first + r` of the output, column c is `column + c`. The tile's
 * rows are `stride` apart; what lies between them stays as it is. */
void native_finish(const native_isa *isa, const native_epilogue *epilogue,
                   const tn_tensor *const *inputs, float *tile, int64_t stride, int64_t first,
                   int64_t rows, int64_t column, int64_t columns);
/* The same for a tile that nobody else has a part of: what lies between its rows may change. */
void native_finish_own(const native_isa *isa, const native_epilogue *epilogue,
                       const tn_tensor *const *inputs, float *tile, int64_t stride, int64_t first,
                       int64_t rows, int64_t column, int64_t columns);
/* Whether a step from `from` on reads a whole tensor, which may lie where the output does. */
bool native_has_full(const native_epilogue *epilogue, uint32_t from);
/* The steps from `from` on, none of which has a full operand. */
void native_finish_rest(const native_isa *isa, const native_epilogue *epilogue,
                        const tn_tensor *const *inputs, uint32_t from, float *tile, int64_t stride,
                        int64_t rows, int64_t column, int64_t columns);

/* ---- product.c -------------------------------------------------------------------------- */

/* Panels of a matrix [depth][n]: for every `columns` of it one block [depth][columns], the last
 * one filled up with zeros, then the bias, padded likewise. */
static inline size_t native_panel_floats(const native_isa *isa, int64_t depth, int64_t n)
{
    return (size_t)(native_round_up(n, isa->columns) * (depth + 1));
}
/* How the matrix lies: element (tap t, channel k, column c) is data[t * tap + k * row + c * column]. */
typedef struct native_source {
    const float *data;
    const float *bias; /* NULL: zeros */
    int64_t taps, depth, n;
    int64_t tap, row, column;
    tn_call *call; /* of a prepare: the host is told what of `data` is packed; NULL: it is not */
} native_source;
void native_pack(const native_isa *isa, const native_source *source, float *out);

/* out[r][c] = bias[c] + sum of taps and channels, then the epilogue. */
typedef struct native_product {
    const native_isa *isa;
    const native_epilogue *epilogue; /* NULL: none */
    const tn_tensor *const *inputs;  /* of the epilogue */
    int64_t m, n, taps, depth;
    const float *panels;
    bool far; /* the panels come from memory, however few they are */
    float *out;
    int64_t ld;             /* of out */
    const int32_t *offsets; /* with no table: as native_tile has it, from row `begin` on */
    const float *base;
    int64_t step;
    int64_t first_row;    /* what row 0 is for the epilogue */
    int64_t first_column; /* and column 0 */
} native_product;
enum { NATIVE_NEAR_BYTES = 384 * 1024 }; /* weights that stay in the cache */

/* Matrices of a product of tensors: which of A and of B each product reads, where their leading axes
 * are repeated. */
typedef struct native_batches {
    int64_t count, rank, dims[TN_MAX_RANK], a_steps[TN_MAX_RANK], b_steps[TN_MAX_RANK];
} native_batches;
native_batches native_batches_of(const tn_type *a, const tn_type *b, const tn_type *y);
void native_batch_at(const native_batches *batches, int64_t k, int64_t *a, int64_t *b);

/* The rows of the next tile, where so many are left: all that a tile can have, but the last two share
 * what there is, since one of a single row would read its whole panel for it. */
int64_t native_tile_rows(const native_isa *isa, int64_t left);

/* Rows [begin, end) times panels [panel, last). table: [tile][tap][row] pointers, tiles of
 * native_tile_rows rows from `begin` on. */
void native_product_run(const native_product *product, const float *const *table, int64_t begin,
                        int64_t end, int64_t panel, int64_t last);

/* How a product is cut. A block's input stays in the cache while panels go over it. Threads draw
 * items: units of rows, and consecutive ones go together up to a block; or, where rows are few or the
 * weights are what has to be read, groups of panels of a block. */
typedef struct native_cut {
    int64_t m, all_panels;
    int64_t rows;                 /* of a block at most; a multiple of a unit's */
    int64_t unit, units;          /* rows of a unit; a multiple of a tile's */
    int64_t panels, panel_groups; /* panels of a group; 1 group, or units are blocks */
} native_cut;
/* row_floats: what one row more brings into the cache; rows of windows share most of theirs. */
typedef struct native_extents {
    int64_t m, n, depth, row_floats; /* depth: of all taps */
} native_extents;
native_cut native_cut_of(const native_isa *isa, const native_extents *extents, uint32_t threads);
static inline int64_t native_cut_items(const native_cut *cut)
{
    return cut->units * cut->panel_groups;
}
/* What is done at once of the items [item, end): rows [first, last) times panels [panel, panel_end). */
typedef struct native_part {
    int64_t items, first, last, panel, panel_end;
} native_part;
native_part native_part_of(const native_cut *cut, int64_t item, int64_t end);

/* ---- matmul.c --------------------------------------------------------------------------- */

/* What a product's sums begin with: Gemm's C, or else a constant row that is added first, which then
 * is no step. The inputs that are packed: B, and the bias where there is one. */
typedef struct native_bias {
    uint32_t sources[2], source_count;
} native_bias;
void native_read_bias(const tn_problem *problem, native_epilogue *epilogue, native_bias *out);
const float *native_bias_of(const tn_problem *problem, const native_bias *bias); /* NULL: none */

/* ---- copy.c ----------------------------------------------------------------------------- */

/* Axes in their order in memory. */
void native_axes_of(int32_t rank, uint32_t layout, int32_t *axes);
/* By axis, in elements. */
void native_strides_of(int32_t rank, const int64_t *dims, uint32_t layout, int64_t *strides);
/* Those of a tensor, which may be a strided view. */
void native_strides(const tn_tensor *tensor, int64_t *strides);

/* A block of elements, its axes from the outermost one of `to` inwards. Begins zeroed. */
typedef struct native_copy {
    int32_t rank;
    int64_t dims[TN_MAX_RANK], from[TN_MAX_RANK], to[TN_MAX_RANK]; /* steps, in elements */
} native_copy;
void native_copy_axis(native_copy *copy, int64_t extent, int64_t from, int64_t to);
tn_status native_copy_run(tn_run *ctx, const native_copy *copy, const float *from, float *to);
/* to[r * to_step + c] = from[c * from_step + r]. */
void native_turn(const float *from, int64_t from_step, float *to, int64_t to_step, int64_t rows,
                 int64_t columns);

/* ---- window.c --------------------------------------------------------------------------- */

/* Two spatial axes; of extent 1 in front where there is one. */
typedef struct native_window {
    int64_t images, groups, channels, outputs; /* the last two: of one group */
    int64_t x[2], y[2], kernel[2], strides[2], dilations[2], before[2];
} native_window;
/* kernel: the weights' extents from axis 2 on, NULL: from kernel_shape. */
tn_status native_window_read(const tn_problem *problem, const int64_t *kernel, native_window *out,
                             char *reason, size_t bytes);
/* Whether each number of an attribute is `value`; also where there is none. */
bool native_all_are(const tn_node_view *node, const char *attribute, int64_t value);

/* ---- expand.c --------------------------------------------------------------------------- */

/* A 1x1 convolution before a kernel that reads what it makes a few rows of points at a time: they are
 * made then, of some channels, in a ring of rows. */
typedef struct native_expand {
    native_epilogue epilogue;
    int64_t depth, channels; /* of a point: read, made */
    int64_t blocks;          /* of channels, each of whole panels; set by the one who reads */
    uint32_t sources[2], source_count; /* weights and bias among the problem's inputs */
} native_expand;

/* Of the problem's prologue, which is there. TN_DECLINED: reason is filled. */
tn_status native_expand_read(const tn_problem *problem, native_expand *out, char *reason,
                             size_t bytes);
/* The first channel of a block; of the number of blocks: all channels. */
int64_t native_expand_channel(const native_isa *isa, const native_expand *expand, int64_t block);
/* Its weights and bias, block by block; out is of the expand. */
tn_pack_def native_expand_describe(const native_isa *isa, const native_expand *expand);
void native_expand_pack(const native_isa *isa, const native_expand *expand,
                        const tn_problem *problem, float *out);

/* What a thread has of a ring at work. */
typedef struct native_ring {
    const native_isa *isa;
    const native_expand *expand;
    const tn_tensor *const *inputs; /* of the run */
    const float *pack;
    const float *x; /* row 0 of an image */
    int64_t x_step; /* from point to point */
    int64_t points; /* of a row */
    int64_t block;
    int64_t slots; /* rows that it holds */
    int64_t base;  /* the row in slot 0; others follow, and come around */
    int64_t made;  /* rows before this one have been made */
    const float **table;
    float *rows; /* [slots][points][channels of the block] */
} native_ring;

/* Makes rows up to `end`, which all fit behind each other until the ring comes around. */
void native_ring_make(native_ring *ring, int64_t end);
const float *native_ring_row(const native_ring *ring, int64_t row);

/* ---- offer.c ---------------------------------------------------------------------------- */

/* Extents, no prologue. TN_OK, TN_NEEDS_SHAPES or TN_DECLINED. */
tn_status native_offer_any(tn_offer *ctx);
/* The same, and float32. */
tn_status native_offer(tn_offer *ctx);
/* The same for what multiplies matrices: declines where bfloat16 is asked for and there is more of
 * it to be had than here. */
tn_status native_offer_product(tn_offer *ctx);
/* The same for a Conv: one or two spatial axes, constant weights, an epilogue that can be read. */
tn_status native_offer_conv(tn_offer *ctx);
/* The same for a MatMul or Gemm (matmul.c). */
tn_status native_offer_matmul(tn_offer *ctx);
/* Seconds for so many multiply-adds and bytes, on this processor as it is built. */
double native_seconds(const native_isa *isa, double macs, double bytes, uint32_t threads);
/* Whether strict mode asks for care: a weight that is not finite meets a padding zero. */
bool native_all_finite(const tn_tensor *tensor);

/* Each ends with a row without an operator. */
extern const tn_kernel_def native_conv_depthwise_kernels[];
extern const tn_kernel_def native_conv_winograd_kernels[];
extern const tn_kernel_def native_conv_direct_kernels[];
extern const tn_kernel_def native_matmul_seven_kernels[];
extern const tn_kernel_def native_matmul_kernels[];
extern const tn_kernel_def native_elementwise_kernels[];
extern const tn_kernel_def native_pool_kernels[];
extern const tn_kernel_def native_row_kernels[];
extern const tn_kernel_def native_concat_kernels[];
extern const tn_kernel_def native_move_kernels[];
extern const tn_kernel_def native_reduce_kernels[];
extern const tn_kernel_def native_convert_kernels[];
extern const tn_kernel_def native_column_kernels[];
extern const tn_kernel_def native_conv_transpose_kernels[];
extern const tn_kernel_def native_lstm_kernels[];
extern const tn_kernel_def native_gru_kernels[];
extern const tn_kernel_def native_attention_kernels[];
extern const tn_kernel_def native_rotary_kernels[];

#define NATIVE_KERNEL(name, ...)                                                                   \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .op = name, .backend = "native",                            \
        .types = TN_BIT(TN_FLOAT32), __VA_ARGS__                                                   \
    }

#endif
