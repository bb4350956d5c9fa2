/* plugins/quantization/quantization.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_QUANTIZATION_H
#define TENON_PLUGINS_QUANTIZATION_H

#include "tenon/blocks.h"

#define QUANT_INTEGERS                                                                             \
    (TN_BIT(TN_INT8) | TN_BIT(TN_UINT8) | TN_BIT(TN_INT16) | TN_BIT(TN_UINT16) | TN_BIT(TN_INT4) | \
     TN_BIT(TN_UINT4) | TN_BIT(TN_INT2) | TN_BIT(TN_UINT2))
#define QUANT_TYPES (QUANT_INTEGERS | TN_MASK_FLOAT8 | TN_BIT(TN_FLOAT4E2M1))
#define QUANT_BYTES (TN_BIT(TN_INT8) | TN_BIT(TN_UINT8))

/* Input k of an inference or a run, or NULL. */
static inline const tn_type *quant_type(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
static inline const tn_tensor *quant_input(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

/* Whether a type is known to have one element; not whether it has not. */
static inline int quant_is_single(const tn_type *type)
{
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (type->dims[axis] != 1)
            return 0;
    return type->rank >= 0;
}
/* Whether it is known to have another number of elements than one. */
static inline int quant_is_many(const tn_type *type)
{
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (tn_dim_known(type->dims[axis]) && type->dims[axis] != 1)
            return 1;
    return 0;
}

/* "[6,3,?,5]" in text[bytes]. */
const char *quant_shape_text(const tn_type *type, char *text, size_t bytes);
enum { QUANT_TEXT = 200 };

/* ---- grain.c: which scale belongs to which element ----------------------------------------- */

/* x as [outer, extent, inner]. A scale serves the whole tensor, one place on the axis, or a block
 * of places on the axis (and one outer and inner place). */
typedef enum grain_kind { GRAIN_WHOLE, GRAIN_AXIS, GRAIN_BLOCKS } grain_kind;
typedef struct grain {
    grain_kind kind;
    int64_t extent, inner;
    int64_t block, blocks; /* places in a block, blocks along the axis */
} grain;

/* Complains about axis, block_size and shapes of scale (input 1) and zero point (input 2, absent
 * or not) that do not fit input 0. `names` are those of the three inputs. */
void grain_check(tn_infer *ctx, const char *const *names);
grain grain_of(const tn_node_view *node, const tn_tensor *x, const tn_tensor *scale);
/* Values of `table` (a scale or a zero point; NULL: `absent`) for elements [first, first + n). */
void grain_load(const grain *g, const tn_tensor *table, double absent, int64_t first, int64_t n,
                double *out);
/* Which axis of scale and zero point counts samples, when axis 0 of x does; TN_NO_MATCH when
 * samples share what lies along axis 0. */
tn_status grain_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);

/* ---- store.c: quotients into small types --------------------------------------------------- */

/* Stores round(v[i]) + zero[i], saturated, or for a small float v[i] + zero[i], rounded. NaN
 * becomes the lowest integer. n is at most BLOCK; v is overwritten. */
void quant_store(uint32_t dtype, void *data, int64_t first, int64_t n, double *v,
                 const double *zero, int saturate);
/* The nearest value of floating-point type `dtype`; any other type leaves it. */
double quant_round(uint32_t dtype, double value);

/* ---- product.c: rows times a panel ---------------------------------------------------------- */

/* Columns, rows and depth of a tile; rows are taken four at a time. */
enum { WIDE = 64, HIGH = 16, DEEP = 64, ROWS = 4 };

/* sums[r * WIDE + c] += sum over k < depth of a[k * ROWS + r] * panel[k * WIDE + c], for all four
 * rows r and c below columns rounded up to a multiple of 4. Doubles hold products of 8-bit integers
 * and their sums exactly: a sum would need 2^37 terms to leave 53 bits. */
void product_rows(double *sums, const double *a, const double *panel, int64_t depth,
                  int64_t columns);
/* Elements [first, first + n) less `zero` as row r of the four; n is at most DEEP. */
void product_load(const tn_tensor *tensor, int64_t first, int64_t n, double zero, double *a,
                  int64_t r);

/* ---- window.c: the attributes of a convolution ---------------------------------------------- */

enum { WINDOW_NOTSET, WINDOW_SAME_UPPER, WINDOW_SAME_LOWER, WINDOW_VALID };
typedef struct conv_window {
    int32_t spatial;
    uint32_t auto_pad;
    int64_t group;
    tn_dim kernel[TN_MAX_RANK];
    int64_t stride[TN_MAX_RANK], dilation[TN_MAX_RANK];
    int64_t begin[TN_MAX_RANK], end[TN_MAX_RANK]; /* padding */
} conv_window;

/* Reads the attributes; `call` NULL: silently. Answers 0 after a complaint. */
int window_read(tn_call *call, const tn_node_view *node, int32_t spatial, const tn_type *weights,
                conv_window *out);
/* The padding of SAME_UPPER and SAME_LOWER, from known extents. */
void window_pad(conv_window *window, const int64_t *extents);
/* Number of windows on spatial axis k of extent `in`. */
tn_dim window_count(tn_infer *ctx, const conv_window *window, int32_t k, tn_dim in);

/* ---- files ---------------------------------------------------------------------------------- */

tn_status quantize_register(tn_registrar *registrar);
tn_status dequantize_register(tn_registrar *registrar);
tn_status dynamic_register(tn_registrar *registrar);
tn_status matmul_register(tn_registrar *registrar);
tn_status conv_register(tn_registrar *registrar);

#endif
