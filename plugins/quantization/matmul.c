/* plugins/quantization/matmul.c: products of quantized matrices, as numpy.matmul makes them (ONNX
 * operators: MatMulInteger, QLinearMatMul).
 *
 *   S = (A - a_zero_point) (B - b_zero_point)
 *   MatMulInteger: Y = S, modulo 2^32
 *   QLinearMatMul: y = saturate(round(S * a_scale * b_scale / y_scale) + y_zero_point)
 *
 * Scales and zero points of A are scalars or one for each row, those of B one for each column: a
 * vector, or a stack of columns [..., M, 1] or of rows [..., 1, N]. Sums are exact.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>

/* Where an operator has its inputs; -1: not at all. */
typedef struct places {
    const char *const *names;
    int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;
} places;
static const char *const integer_names[] = { "A", "B", "a_zero_point", "b_zero_point" };
static const char *const linear_names[] = { "a",       "a_scale",     "a_zero_point",
                                            "b",       "b_scale",     "b_zero_point",
                                            "y_scale", "y_zero_point" };
static const places integer = { integer_names, 0, -1, 2, 1, -1, 3, -1, -1 };
static const places linear = { linear_names, 0, 1, 2, 3, 4, 5, 6, 7 };

static const tn_type *type_at(const tn_infer *ctx, int k)
{
    return k < 0 ? NULL : quant_type(ctx, (uint32_t)k);
}
static const tn_tensor *tensor_at(const tn_run *ctx, int k)
{
    return k < 0 ? NULL : quant_input(ctx, (uint32_t)k);
}

/* ---- inference -------------------------------------------------------------------------- */

/* Whether a scale or zero point has one element for each row (or column) of a matrix. */
static int fits_lines(tn_infer *ctx, const tn_type *table, const tn_type *matrix, int rows)
{
    const tn_host *host = ctx->call.host;
    const int32_t rank = matrix->rank;
    const tn_dim lines = rank < 2 ? 1 : matrix->dims[rows ? rank - 2 : rank - 1];
    if (table->rank == 1)
        return host->dim_equal(&ctx->call, table->dims[0], lines) != TN_NO;
    if (table->rank != rank)
        return 0;
    for (int32_t axis = 0; axis < rank - 2; axis++)
        if (table->dims[axis] != 1 &&
            host->dim_equal(&ctx->call, table->dims[axis], matrix->dims[axis]) == TN_NO)
            return 0;
    return host->dim_equal(&ctx->call, table->dims[rows ? rank - 2 : rank - 1], lines) != TN_NO &&
           host->dim_equal(&ctx->call, table->dims[rows ? rank - 1 : rank - 2], 1) != TN_NO;
}

static void check_lines(tn_infer *ctx, const places *at, int k, int of, int rows)
{
    const tn_type *table = type_at(ctx, k), *matrix = type_at(ctx, of);
    char found[QUANT_TEXT], shape[QUANT_TEXT];
    if (!table || !matrix || table->rank < 0 || matrix->rank < 0 || !quant_is_many(table) ||
        fits_lines(ctx, table, matrix, rows))
        return;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)k, NULL,
                             "input '%s' has shape %s, but '%s' has %s: expected a scalar or one "
                             "element for each %s",
                             at->names[k], quant_shape_text(table, found, sizeof found),
                             at->names[of], quant_shape_text(matrix, shape, sizeof shape),
                             rows ? "row" : "column");
}

static void check_scalar(tn_infer *ctx, const places *at, int k)
{
    const tn_type *type = type_at(ctx, k);
    if (type && quant_is_many(type))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)k, NULL,
                                 "input '%s' has shape %s: expected a scalar", at->names[k],
                                 quant_shape_text(type, (char[QUANT_TEXT]){ 0 }, QUANT_TEXT));
}

static int check_matrices(tn_infer *ctx, const places *at)
{
    const tn_type *a = type_at(ctx, at->a), *b = type_at(ctx, at->b);
    for (int k = 0; k < 2; k++) {
        const int input = k ? at->b : at->a;
        if ((k ? b : a)->rank > 0)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)input, NULL,
                                 "input '%s' is a scalar: expected a vector, a matrix or more",
                                 at->names[input]);
        return 0;
    }
    const tn_dim ka = a->dims[a->rank - 1], kb = b->dims[b->rank > 1 ? b->rank - 2 : 0];
    if (tn_dim_known(ka) && tn_dim_known(kb) && ka != kb)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)at->b, NULL,
                                 "input '%s' has %" PRId64 " rows, but input '%s' has %" PRId64
                                 " columns",
                                 at->names[at->b], kb, at->names[at->a], ka);
    return 1;
}

/* The leading axes of both, broadcast against each other, and what the product leaves. */
static tn_status infer_shape(tn_infer *ctx, const tn_type *a, const tn_type *b)
{
    tn_type heads[2] = { *a, *b }, y = ctx->outputs[0];
    const tn_type *const types[2] = { &heads[0], &heads[1] };
    for (int k = 0; k < 2; k++)
        heads[k].rank = heads[k].rank > 2 ? heads[k].rank - 2 : 0;
    if (ctx->call.host->broadcast(&ctx->call, types, 2, &y) != TN_OK || y.rank > TN_MAX_RANK - 2)
        return TN_OK;
    if (a->rank > 1)
        y.dims[y.rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        y.dims[y.rank++] = b->dims[b->rank - 1];
    ctx->outputs[0].rank = y.rank;
    memcpy(ctx->outputs[0].dims, y.dims, sizeof y.dims);
    return TN_OK;
}

static tn_status infer(tn_infer *ctx)
{
    const places *at = ctx->call.user;
    const tn_type *a = type_at(ctx, at->a), *b = type_at(ctx, at->b);
    if (at == &integer)
        ctx->outputs[0].dtype = TN_INT32;
    check_scalar(ctx, at, at->y_scale);
    check_scalar(ctx, at, at->y_zero);
    if (!a || !b || a->rank < 0 || b->rank < 0 || !check_matrices(ctx, at))
        return TN_OK;
    check_lines(ctx, at, at->a_scale, at->a, 1);
    check_lines(ctx, at, at->a_zero, at->a, 1);
    check_lines(ctx, at, at->b_scale, at->b, 0);
    check_lines(ctx, at, at->b_zero, at->b, 0);
    return infer_shape(ctx, a, b);
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0], *a = ctx->inputs[0];
    out->macs = (double)a->dims[a->rank - 1];
    for (int32_t axis = 0; axis < y->rank; axis++)
        out->macs *= (double)y->dims[axis];
    return TN_OK;
}

/* Scales and zero points of rows lie along axis 0, too, when that is the rows' or the stack's. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const places *at = ctx->call.user;
    const tn_type *a = type_at(ctx, at->a), *b = type_at(ctx, at->b);
    if (a->rank < 2 || b->rank < 1 || b->rank > 2)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == (uint32_t)at->a ? 0 : -1;
    for (int side = 0; side < 2; side++) {
        const int k = side ? at->a_scale : at->a_zero;
        const tn_type *table = type_at(ctx, k);
        if (table && table->rank < 0)
            return TN_NO_MATCH;
        if (table && !quant_is_single(table) && table->rank == 1 && a->rank > 2)
            continue; /* rows inside each of the stack */
        if (table && !quant_is_single(table))
            input_axes[k] = table->dims[0] == 1 ? -1 : 0;
    }
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* A scale or zero point: element (batch index…, line) stands at its strides' sum. */
typedef struct lines {
    const tn_tensor *table; /* NULL: `absent` everywhere */
    double absent;
    int64_t step, strides[TN_MAX_RANK];
} lines;

typedef struct matrix {
    const tn_tensor *tensor;
    int64_t row; /* elements from one row to the next */
    int64_t strides[TN_MAX_RANK];
    lines zero, scale;
} matrix;

typedef struct job {
    matrix a, b;
    tn_tensor *y;
    int64_t rows, columns, depth;
    int32_t batch_rank;
    int64_t batch_dims[TN_MAX_RANK];
    int linear;
    double y_scale, y_zero;
} job;

/* One of the stack, and where its parts begin. */
typedef struct place {
    int64_t a, b, y, a_zero, b_zero, a_scale, b_scale;
} place;

/* Strides of the axes before the last two, 0 where one repeats. */
static void lead_strides(const tn_tensor *t, int32_t rank, int64_t *strides)
{
    const int32_t own = t->rank > 2 ? t->rank - 2 : 0;
    int64_t step = tn_extent(t->dims, own, t->rank);
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        const int32_t at = axis - (rank - own);
        strides[axis] = at < 0 || t->dims[at] == 1 ? 0 : step;
        if (at >= 0)
            step *= t->dims[at];
    }
}

static lines lines_of(const tn_tensor *table, double absent, int32_t batch_rank)
{
    lines l = { .table = table, .absent = absent };
    if (!table || tn_count(table) == 1)
        return l;
    l.step = table->rank < 2 || table->dims[table->rank - 1] * table->dims[table->rank - 2] > 1;
    lead_strides(table, batch_rank, l.strides);
    return l;
}

static double line_value(const lines *l, int64_t first, int64_t k)
{
    return l->table ? tn_get_double(l->table->dtype, l->table->data, first + k * l->step)
                    : l->absent;
}

static place place_of(const job *j, int64_t k)
{
    place p = { .y = k * j->rows * j->columns };
    for (int32_t axis = j->batch_rank - 1; axis >= 0; axis--) {
        const int64_t i = k % j->batch_dims[axis];
        p.a += i * j->a.strides[axis];
        p.b += i * j->b.strides[axis];
        p.a_zero += i * j->a.zero.strides[axis];
        p.b_zero += i * j->b.zero.strides[axis];
        p.a_scale += i * j->a.scale.strides[axis];
        p.b_scale += i * j->b.scale.strides[axis];
        k /= j->batch_dims[axis];
    }
    return p;
}

/* Rows k … k + depth of B less their zero points; columns that fill up a multiple of 4 are 0. */
static void fill_panel(const job *j, const place *p, int64_t k, int64_t depth, int64_t column,
                       int64_t columns, double *panel)
{
    double zero[WIDE];
    for (int64_t c = 0; c < columns; c++)
        zero[c] = line_value(&j->b.zero, p->b_zero, column + c);
    for (int64_t d = 0; d < depth; d++) {
        double *row = panel + d * WIDE;
        load_doubles(j->b.tensor->dtype, j->b.tensor->data, p->b + (k + d) * j->b.row + column,
                     columns, row);
        for (int64_t c = 0; c < columns; c++)
            row[c] -= zero[c];
        for (int64_t c = columns; c % 4; c++)
            row[c] = 0.0;
    }
}

static void store_row(const job *j, const place *p, int64_t row, int64_t column, int64_t columns,
                      double *sums)
{
    const int64_t first = p->y + row * j->columns + column;
    if (!j->linear) {
        for (int64_t c = 0; c < columns; c++)
            tn_set_int(TN_INT32, j->y->data, first + c, (int64_t)sums[c]);
        return;
    }
    const double a_scale = line_value(&j->a.scale, p->a_scale, row);
    double zero[WIDE];
    for (int64_t c = 0; c < columns; c++) {
        sums[c] *= a_scale * line_value(&j->b.scale, p->b_scale, column + c);
        sums[c] /= j->y_scale;
        zero[c] = j->y_zero;
    }
    quant_store(j->y->dtype, j->y->data, first, columns, sums, zero, 1);
}

static void compute_tile(const job *j, const place *p, int64_t row, int64_t column)
{
    double sums[HIGH * WIDE] = { 0 }, panel[DEEP * WIDE], a[ROWS * DEEP] = { 0 };
    const int64_t rows = j->rows - row < HIGH ? j->rows - row : HIGH;
    const int64_t columns = j->columns - column < WIDE ? j->columns - column : WIDE;
    for (int64_t k = 0; k < j->depth; k += DEEP) {
        const int64_t depth = j->depth - k < DEEP ? j->depth - k : DEEP;
        fill_panel(j, p, k, depth, column, columns, panel);
        for (int64_t r = 0; r < rows; r++) {
            const double zero = line_value(&j->a.zero, p->a_zero, row + r);
            product_load(j->a.tensor, p->a + (row + r) * j->depth + k, depth, zero, a, r % ROWS);
            if (r % ROWS == ROWS - 1 || r == rows - 1) /* rows beyond are computed, not stored */
                product_rows(sums + (r - r % ROWS) * WIDE, a, panel, depth, columns);
        }
    }
    for (int64_t r = 0; r < rows; r++)
        store_row(j, p, row + r, column, columns, sums + r * WIDE);
}

static tn_status run_tiles(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t across = (j->columns + WIDE - 1) / WIDE, down = (j->rows + HIGH - 1) / HIGH;
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        const place p = place_of(j, k / across / down);
        compute_tile(j, &p, k / across % down * HIGH, k % across * WIDE);
    }
    return TN_OK;
}

static void read_operands(const tn_run *ctx, const places *at, job *j)
{
    const tn_tensor *a = tensor_at(ctx, at->a), *b = tensor_at(ctx, at->b);
    j->depth = a->dims[a->rank - 1];
    j->rows = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    j->columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    j->batch_rank = j->y->rank - (a->rank > 1) - (b->rank > 1);
    memcpy(j->batch_dims, j->y->dims, (size_t)j->batch_rank * sizeof *j->batch_dims);
    j->a = (matrix){ .tensor = a, .row = j->depth };
    j->b = (matrix){ .tensor = b, .row = j->columns };
    lead_strides(a, j->batch_rank, j->a.strides);
    lead_strides(b, j->batch_rank, j->b.strides);
    j->a.zero = lines_of(tensor_at(ctx, at->a_zero), 0.0, j->batch_rank);
    j->b.zero = lines_of(tensor_at(ctx, at->b_zero), 0.0, j->batch_rank);
    j->a.scale = lines_of(tensor_at(ctx, at->a_scale), 1.0, j->batch_rank);
    j->b.scale = lines_of(tensor_at(ctx, at->b_scale), 1.0, j->batch_rank);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const places *at = ctx->call.user;
    const tn_tensor *y_scale = tensor_at(ctx, at->y_scale), *y_zero = tensor_at(ctx, at->y_zero);
    job j = { .y = ctx->outputs[0], .linear = at == &linear, .y_scale = 1.0 };
    (void)state, (void)slot;
    if (tn_count(j.y) == 0)
        return TN_OK;
    if (y_scale)
        j.y_scale = tn_get_double(y_scale->dtype, y_scale->data, 0);
    if (y_zero)
        j.y_zero = tn_get_double(y_zero->dtype, y_zero->data, 0);
    read_operands(ctx, at, &j);
    const int64_t tiles = (j.columns + WIDE - 1) / WIDE * ((j.rows + HIGH - 1) / HIGH);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(j.y) / (j.rows * j.columns) * tiles,
                                        1 + 100 / (j.depth + 1), run_tiles, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define LINEAR_TYPES (QUANT_BYTES | TN_MASK_FLOAT8)
#define LINEAR_SCALES (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT16) | TN_BIT(TN_BFLOAT16))
static const tn_param_def integer_inputs[] = {
    { "A", "T1", QUANT_BYTES, 0, 0, "[..., M, K]" },
    { "B", "T2", QUANT_BYTES, 0, 0, "[..., K, N]" },
    { "a_zero_point", "T1", QUANT_BYTES, TN_PARAM_OPTIONAL, 0,
      "Subtracted from A: a scalar, [M] or [..., M, 1]; 0." },
    { "b_zero_point", "T2", QUANT_BYTES, TN_PARAM_OPTIONAL, 0,
      "Subtracted from B: a scalar, [N] or [..., 1, N]; 0." },
};
static const tn_param_def integer_outputs[] = {
    { "Y", NULL, TN_BIT(TN_INT32), 0, 0, "[..., M, N]" },
};
static const tn_param_def linear_inputs[] = {
    { "a", "T1", LINEAR_TYPES, 0, 0, "[..., M, K]" },
    { "a_scale", "TS", LINEAR_SCALES, 0, 0, "A scalar, [M] or [..., M, 1]." },
    { "a_zero_point", "T1", LINEAR_TYPES, 0, 0, "The shape of a_scale." },
    { "b", "T2", LINEAR_TYPES, 0, 0, "[..., K, N]" },
    { "b_scale", "TS", LINEAR_SCALES, 0, 0, "A scalar, [N] or [..., 1, N]." },
    { "b_zero_point", "T2", LINEAR_TYPES, 0, 0, "The shape of b_scale." },
    { "y_scale", "TS", LINEAR_SCALES, 0, 0, "A scalar." },
    { "y_zero_point", "T3", LINEAR_TYPES, 0, 0, "A scalar." },
};
static const tn_param_def linear_outputs[] = {
    { "y", "T3", LINEAR_TYPES, 0, 0, "[..., M, N]" },
};

static tn_status add(tn_registrar *registrar, const tn_operator_def *op)
{
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = op->name,
                                   .run = run,
                                   .user = op->user,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status matmul_register(tn_registrar *registrar)
{
    const tn_operator_def integer_op = {
        .size = sizeof integer_op,
        .since = 10,
        .name = "MatMulInteger",
        .doc = "The product of two stacks of 8-bit integer matrices, as int32.",
        .inputs = integer_inputs,
        .input_count = 4,
        .outputs = integer_outputs,
        .output_count = 1,
        .infer = infer,
        .cost = cost,
        .samplewise = samplewise,
        .user = (void *)&integer,
    };
    const tn_operator_def linear_op = {
        .size = sizeof linear_op,
        .since = 21,
        .accepts_from = 10,
        .name = "QLinearMatMul",
        .doc = "The product of two stacks of quantized matrices, quantized again.",
        .inputs = linear_inputs,
        .input_count = 8,
        .outputs = linear_outputs,
        .output_count = 1,
        .infer = infer,
        .cost = cost,
        .samplewise = samplewise,
        .user = (void *)&linear,
    };
    TN_TRY(add(registrar, &integer_op));
    return add(registrar, &linear_op);
}
