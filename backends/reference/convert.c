/* convert.c: tenon::Convert between plain and channels-last.
 *
 * output = input, element for element; only the order in memory changes. A tensor [N, C, s…] that
 * is plain lies as N, C, s…; one that is channels-last as N, s…, C. Seen so, the conversion is a
 * transpose of an [C, S] matrix for each sample, S being the product of the spatial extents.
 *
 * Which layouts: tn_problem.input_layout and output_layout; at run time those of the tensors.
 * In: one tensor of any type, dense or strided. Out: the same tensor in the other layout.
 *
 * SPDX-License-Identifier: MIT */
#include "reference.h"

#include "tenon/kernel.h"

static tn_status convert_infer(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

static const tn_param_def convert_inputs[] = { { "X", "T", TN_MASK_ALL, 0, 0, "in one layout" } };
static const tn_param_def convert_outputs[] = { { "Y", "T", TN_MASK_ALL, 0, 0, "in another" } };

const tn_operator_def reference_convert_operator = {
    .size = sizeof(tn_operator_def),
    .since = 1,
    .domain = "tenon",
    .name = "Convert",
    .doc = "The same tensor in another memory layout. The compiler inserts it; a graph has no use "
           "for it.",
    .inputs = convert_inputs,
    .outputs = convert_outputs,
    .input_count = 1,
    .output_count = 1,
    .traits = TN_MOVES_BYTES,
    .infer = convert_infer,
};

/* ---- dense tensors: a blocked transpose ------------------------------------------------- */

enum { TILE = 32 }; /* a tile of 8-byte elements is 8 KiB: both sides stay in the first cache */

typedef struct transpose {
    const char *from;
    char *to;
    int64_t rows, columns; /* of one sample's matrix, as `from` has it */
    int64_t row_tiles;     /* chunks a sample is cut into */
    size_t width;          /* bytes of an element */
} transpose;

/* One function for each element width, so that the copy is a single move. */
#define TRANSPOSE_TILE(type)                                                                       \
    for (int64_t r = row; r < row_end; r++)                                                        \
        for (int64_t c = column; c < column_end; c++)                                              \
    memcpy(to + (size_t)(c * t->rows + r) * sizeof(type),                                          \
           from + (size_t)(r * t->columns + c) * sizeof(type), sizeof(type))

typedef struct pair {
    char bytes[16];
} pair;

static void transpose_tile(const transpose *t, const char *from, char *to, int64_t row,
                           int64_t column)
{
    const int64_t row_end = row + TILE < t->rows ? row + TILE : t->rows;
    const int64_t column_end = column + TILE < t->columns ? column + TILE : t->columns;
    switch (t->width) {
    case 1: TRANSPOSE_TILE(uint8_t); break;
    case 2: TRANSPOSE_TILE(uint16_t); break;
    case 4: TRANSPOSE_TILE(uint32_t); break;
    case 8: TRANSPOSE_TILE(uint64_t); break;
    default: TRANSPOSE_TILE(pair); break;
    }
}

static tn_status transpose_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const transpose *t = user;
    (void)thread;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        const size_t sample = (size_t)(chunk / t->row_tiles * t->rows * t->columns) * t->width;
        const int64_t row = chunk % t->row_tiles * TILE;
        for (int64_t column = 0; column < t->columns; column += TILE)
            transpose_tile(t, t->from + sample, t->to + sample, row, column);
    }
    return TN_OK;
}

static tn_status convert_dense(tn_run *ctx, const tn_tensor *x, tn_tensor *y)
{
    const int64_t channels = x->dims[1], points = tn_extent(x->dims, 2, x->rank);
    const int32_t to_last = y->layout == TN_LAYOUT_CHANNELS_LAST;
    transpose t = {
        .from = x->data,
        .to = y->data,
        .rows = to_last ? channels : points,
        .columns = to_last ? points : channels,
        .width = tn_dtype_bits(x->dtype) / 8,
    };
    int64_t grain;
    t.row_tiles = (t.rows + TILE - 1) / TILE;
    grain = 16384 / (t.columns * TILE) + 1; /* about as many elements as a wake-up is worth */
    return ctx->call.host->parallel_for(&ctx->call, x->dims[0] * t.row_tiles, grain,
                                        transpose_chunk, &t);
}

/* ---- anything: element by element ------------------------------------------------------- */

/* Where the logical element with this multi-index lies, in elements. */
static void memory_strides(const tn_tensor *tensor, int64_t *strides)
{
    int64_t step = 1;
    if (tensor->strides) {
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            strides[axis] = tensor->strides[axis];
        return;
    }
    if (tensor->layout != TN_LAYOUT_CHANNELS_LAST || tensor->rank < 3) {
        tn_row_major(tensor->rank, tensor->dims, strides);
        return;
    }
    strides[1] = step;
    step = tensor->dims[1];
    for (int32_t axis = tensor->rank - 1; axis >= 2; axis--) {
        strides[axis] = step;
        step *= tensor->dims[axis];
    }
    strides[0] = step;
}

static void convert_elements(const tn_tensor *x, tn_tensor *y)
{
    const uint32_t bits = tn_dtype_bits(x->dtype);
    const size_t width = bits / 8;
    int64_t strides[2][TN_MAX_RANK], index[TN_MAX_RANK] = { 0 }, at[2] = { 0, 0 };
    memory_strides(x, strides[0]);
    memory_strides(y, strides[1]);
    do {
        if (bits < 8)
            tn_packed_set(y->data, bits, at[1], tn_packed_get(x->data, bits, at[0]));
        else
            memcpy((char *)y->data + (size_t)at[1] * width,
                   (const char *)x->data + (size_t)at[0] * width, width);
    } while (tn_next(x->rank, x->dims, index, 2, (const int64_t(*)[TN_MAX_RANK])strides, at));
}

static tn_status convert_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->input_layout > TN_LAYOUT_CHANNELS_LAST || p->output_layout > TN_LAYOUT_CHANNELS_LAST)
        return tn_fail(ctx, TN_DECLINED,
                       "layout %u is private to another backend: only plain and channels-last are "
                       "known here",
                       p->input_layout > p->output_layout ? p->input_layout : p->output_layout);
    ctx->algorithm = "transpose";
    return TN_OK;
}

static tn_status convert_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    tn_tensor *y = ctx->outputs[0];
    const uint32_t bits = tn_dtype_bits(x->dtype);
    const int32_t dense = !x->strides && !y->strides;
    (void)state;
    (void)slot;
    if (x->layout > TN_LAYOUT_CHANNELS_LAST || y->layout > TN_LAYOUT_CHANNELS_LAST)
        return tn_fail(ctx, TN_ERR_INTERNAL, "layout %u to %u: only 0 and 1 are known here",
                       x->layout, y->layout);
    if (dense && (x->layout == y->layout || x->rank < 3)) {
        if (tn_count(x))
            memcpy(y->data, x->data, tn_dtype_bytes(x->dtype, tn_count(x)));
        return TN_OK;
    }
    if (!tn_count(x))
        return TN_OK;
    if (dense && bits >= 8)
        return convert_dense(ctx, x, y);
    convert_elements(x, y);
    return TN_OK;
}

const tn_kernel_def reference_convert_kernel = {
    .size = sizeof(tn_kernel_def),
    .domain = "tenon",
    .op = "Convert",
    .backend = "reference",
    .since = 1,
    .offer = convert_offer,
    .run = convert_run,
};
