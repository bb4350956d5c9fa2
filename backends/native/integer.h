/* integer.h: what the kernels for 8-bit integers share (isa/integer.h has their innermost parts).
 *
 * Answers are those of the reference bit for bit: sums are exact, and what float32 cannot round for
 * certain is rounded again in double, step by step as the reference does it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_INTEGER_H
#define TENON_NATIVE_INTEGER_H

#include "isa/integer.h"
#include "native.h"

#define NATIVE_BYTES (TN_BIT(TN_UINT8) | TN_BIT(TN_INT8))

/* ---- offering ------------------------------------------------------------------------------ */

/* Where an operator has its inputs; -1: not at all. */
typedef struct native_places {
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
} native_places;
extern const native_places native_integer_places; /* ConvInteger, MatMulInteger */
extern const native_places native_linear_places;  /* QLinearConv, QLinearMatMul */

/* Input k of a problem, or NULL, also where k is -1 or beyond the last. */
const tn_type *native_type_at(const tn_problem *problem, int k);
const tn_tensor *native_constant_at(const tn_problem *problem, int k);
const tn_tensor *native_tensor_at(const tn_run *ctx, int k);
/* Extents, no prologue, no steps, float32 scales; TN_OK, TN_NEEDS_SHAPES or TN_DECLINED. */
tn_status native_offer_integer(tn_offer *ctx, const native_places *at);
/* Whether a table is absent, has one element or has `count`. */
bool native_table_fits(const tn_type *table, int64_t count);

/* ---- packing ------------------------------------------------------------------------------- */

/* Element e of tap t for column c is data[t * tap + e / inner * outer_step + e % inner * inner_step +
 * c * column]. */
typedef struct native_bytes {
    const uint8_t *data;
    bool is_signed;
    int64_t taps, depth, n;
    int64_t tap, inner, outer_step, inner_step, column;
    const tn_tensor *zero; /* NULL: 0; one element, or one for each column from first_zero on */
    int64_t first_zero;
    const int32_t *bias; /* NULL: zeros */
    /* Instead of data: weights in float32, made to -127 … 127 here, column by column. */
    const float *numbers;
    const float *number_bias; /* NULL: zeros */
} native_bytes;

/* Whether weights are, less their zero points, bytes with a sign: what quads ask for. */
bool native_quads_fit(const native_isa *isa, bool is_signed, const tn_tensor *zero);

/* How wide a step's elements are. */
static inline int64_t native_step_elements(bool quads)
{
    return quads ? 4 : 2;
}
static inline int64_t native_steps(bool quads, int64_t depth)
{
    return native_ceil(depth, native_step_elements(quads));
}
/* Panels, then what belongs to each column, filled up to a multiple of a panel's. */
typedef struct native_columns {
    const int32_t *bias, *sums;
    const float *scale, *number_bias; /* of weights that came in float32 */
} native_columns;
native_columns native_columns_of(const native_isa *isa, bool quads, const void *pack, int64_t taps,
                                 int64_t depth, int64_t n);
size_t native_integer_pack_bytes(const native_isa *isa, bool quads, int64_t taps, int64_t depth,
                                 int64_t n);
void native_integer_pack(const native_isa *isa, bool quads, const native_bytes *source, void *out);
/* What sums begin with: [n, filled up]; `zero` is x's. start may be the pack's own where nothing is
 * added. */
const int32_t *native_integer_start(const native_isa *isa, bool quads, const void *pack,
                                    int64_t taps, int64_t depth, int64_t n, bool x_signed,
                                    int32_t zero, int32_t *room);

/* ---- products ------------------------------------------------------------------------------ */

enum { NATIVE_TO_INTEGERS, NATIVE_TO_BYTES, NATIVE_TO_FLOATS };

typedef struct native_integer_product {
    const native_isa *isa;
    bool quads;
    int64_t n, taps, steps; /* steps of a tap */
    const int64_t *tap_bytes;
    const char *panels;
    const int32_t *start;
    uint32_t to;
    native_requantize rescale;       /* TO_BYTES */
    const float *factor, *bias;      /* TO_FLOATS: [n, filled up] … */
    const native_epilogue *epilogue; /* … then these */
    const tn_tensor *const *inputs;
    int64_t first_row, first_column; /* what row and column 0 are for the epilogue */
    void *out;
    int64_t ld; /* elements from row to row of out */
} native_integer_product;

/* Rows [0, count), panels [panel, last). */
void native_integer_product_run(const native_integer_product *p, const char *const *rows,
                                int64_t count, int64_t panel, int64_t last);

/* Scales of one run: factor and w_scale become [count, filled up to `padded`] each, in room for
 * 2 * padded floats. */
void native_rescale_read(native_requantize *out, double x_scale, const tn_tensor *w_scale,
                         double y_scale, const tn_tensor *y_zero, uint32_t y_dtype, int64_t count,
                         int64_t padded, float *room);
/* DynamicQuantizeLinear's scale and zero point for this run's input 0, dense; `ranges` is room of
 * NATIVE_RANGE_BYTES for each thread. */
enum { NATIVE_RANGE_BYTES = 64 };
tn_status native_dynamic_range(tn_run *ctx, const native_isa *isa, char *ranges, float *scale,
                               int32_t *zero);
/* An integer, or a number, of a table with one element; NULL: absent. */
int32_t native_whole(const tn_tensor *table);
double native_number(const tn_tensor *table, double absent);

/* ---- kernels -------------------------------------------------------------------------------- */

extern const tn_kernel_def native_integer_conv_kernels[];
extern const tn_kernel_def native_integer_depthwise_kernels[];
extern const tn_kernel_def native_integer_matmul_kernels[];
extern const tn_kernel_def native_quantize_kernels[];
extern const tn_kernel_def native_byte_kernels[];
extern const tn_kernel_def native_cast_kernels[];

#define NATIVE_BYTE_KERNEL(name, ...)                                                              \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .op = name, .backend = "native", .types = NATIVE_BYTES,     \
        __VA_ARGS__                                                                                \
    }

#endif
