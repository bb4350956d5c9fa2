/* plugins/gemm/tile.c: one tile of a product, in double, or in integers that wrap around.
 *
 * Every product is taken, zeros included: infinity times zero is NaN here.
 * SPDX-License-Identifier: MIT */
#include "gemm.h"

typedef struct tile {
    int64_t row, column, rows, columns;
} tile;

/* Rows of B that are laid out as a panel between two loads. */
enum { DEEP = 64 };

/* `count` elements, `step` apart, as doubles. */
static void load(const tn_tensor *t, int64_t first, int64_t step, int64_t count, double *out,
                 int64_t out_step)
{
    if (t->dtype == TN_FLOAT32) {
        const float *from = (const float *)t->data + first;
        for (int64_t k = 0; k < count; k++)
            out[k * out_step] = (double)from[k * step];
        return;
    }
    for (int64_t k = 0; k < count; k++)
        out[k * out_step] = tn_get_double(t->dtype, t->data, first + k * step);
}

/* Rows k0 … k0+depth of B, along whichever axis is contiguous; up to a multiple of four columns,
 * zeros. */
static void load_panel(const gemm_job *j, const tile *t, int64_t k0, int64_t depth, double *panel)
{
    const gemm_matrix *b = &j->b;
    const int64_t first = b->first + k0 * b->row + t->column * b->column;
    if (b->row == 1 && b->column != 1)
        for (int64_t c = 0; c < t->columns; c++)
            load(b->tensor, first + c * b->column, 1, depth, panel + c, GEMM_TILE);
    else
        for (int64_t k = 0; k < depth; k++)
            load(b->tensor, first + k * b->row, b->column, t->columns, panel + k * GEMM_TILE, 1);
    for (int64_t k = 0; k < depth && t->columns % 4; k++)
        for (int64_t c = t->columns; c % 4; c++)
            panel[k * GEMM_TILE + c] = 0.0;
}

/* Four rows of sums at once, four columns at a time: sixteen sums fit the registers of the smallest
 * machine with vectors, and each of the four short loops becomes vector code. */
static void add_rows4(double *sums, const double *panel, const double *a, int64_t depth,
                      int64_t columns)
{
    for (int64_t c = 0; c < columns; c += 4) {
        double *y = sums + c;
        double s0[4], s1[4], s2[4], s3[4];
        for (int i = 0; i < 4; i++) {
            s0[i] = y[i];
            s1[i] = y[GEMM_TILE + i];
            s2[i] = y[2 * GEMM_TILE + i];
            s3[i] = y[3 * GEMM_TILE + i];
        }
        for (int64_t k = 0; k < depth; k++) {
            const double *x = panel + k * GEMM_TILE + c, *w = a + 4 * k;
            for (int i = 0; i < 4; i++)
                s0[i] += w[0] * x[i];
            for (int i = 0; i < 4; i++)
                s1[i] += w[1] * x[i];
            for (int i = 0; i < 4; i++)
                s2[i] += w[2] * x[i];
            for (int i = 0; i < 4; i++)
                s3[i] += w[3] * x[i];
        }
        for (int i = 0; i < 4; i++) {
            y[i] = s0[i];
            y[GEMM_TILE + i] = s1[i];
            y[2 * GEMM_TILE + i] = s2[i];
            y[3 * GEMM_TILE + i] = s3[i];
        }
    }
}

static void add_row(double *sums, const double *panel, const double *a, int64_t depth,
                    int64_t columns)
{
    for (int64_t c = 0; c < columns; c += 4) {
        double s[4];
        for (int i = 0; i < 4; i++)
            s[i] = sums[c + i];
        for (int64_t k = 0; k < depth; k++)
            for (int i = 0; i < 4; i++)
                s[i] += a[4 * k] * panel[k * GEMM_TILE + c + i];
        for (int i = 0; i < 4; i++)
            sums[c + i] = s[i];
    }
}

/* Adds the products with rows k0 … k0+depth of B to all sums of the tile. */
static void add_panel(const gemm_job *j, const tile *t, int64_t k0, int64_t depth, double *sums)
{
    double panel[DEEP * GEMM_TILE], a[4 * DEEP];
    const int64_t columns = (t->columns + 3) / 4 * 4;
    load_panel(j, t, k0, depth, panel);
    for (int64_t r = 0; r < t->rows; r += 4) {
        const int64_t count = t->rows - r < 4 ? t->rows - r : 4;
        for (int64_t i = 0; i < count; i++)
            load(j->a.tensor, j->a.first + (t->row + r + i) * j->a.row + k0 * j->a.column,
                 j->a.column, depth, a + i, 4);
        if (count == 4)
            add_rows4(sums + r * GEMM_TILE, panel, a, depth, columns);
        for (int64_t i = 0; count < 4 && i < count; i++)
            add_row(sums + (r + i) * GEMM_TILE, panel, a + i, depth, columns);
    }
}

static void float_tile(const gemm_job *j, const tile *t)
{
    double sums[GEMM_TILE * GEMM_TILE];
    memset(sums, 0, (size_t)t->rows * GEMM_TILE * sizeof *sums);
    for (int64_t k = 0; k < j->depth; k += DEEP)
        add_panel(j, t, k, j->depth - k < DEEP ? j->depth - k : DEEP, sums);
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->columns; c++) {
            const int64_t row = t->row + r, column = t->column + c;
            double y = j->alpha * sums[r * GEMM_TILE + c];
            if (j->c.tensor)
                y += j->beta * tn_get_double(j->c.tensor->dtype, j->c.tensor->data,
                                             j->c.first + row * j->c.row + column * j->c.column);
            tn_set_float(j->y->dtype, j->y->data, j->y_first + row * j->columns + column, y);
        }
}

/* A factor of an integer product: a whole one wraps around like the product itself, others go
 * through double, towards zero, and stay inside 64 bits. */
static uint64_t scale(double factor, uint64_t value, uint32_t dtype)
{
    const double limit = 9223372036854775808.0;
    if (factor == 1.0)
        return value;
    if (factor == trunc(factor) && fabs(factor) < limit)
        return (uint64_t)(int64_t)factor * value;
    const double product = factor *
                           (tn_dtype_is_signed(dtype) ? (double)(int64_t)value : (double)value);
    if (isnan(product))
        return 0;
    if (product <= -limit)
        return (uint64_t)INT64_MIN;
    if (product < limit)
        return (uint64_t)(int64_t)product;
    return tn_dtype_is_signed(dtype) ? (uint64_t)INT64_MAX
           : product < 2 * limit     ? (uint64_t)product
                                     : UINT64_MAX;
}

static void integer_tile(const gemm_job *j, const tile *t)
{
    const uint32_t dtype = j->y->dtype;
    for (int64_t row = t->row; row < t->row + t->rows; row++)
        for (int64_t column = t->column; column < t->column + t->columns; column++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < j->depth; k++)
                sum += (uint64_t)tn_get_int(dtype, j->a.tensor->data,
                                            j->a.first + row * j->a.row + k * j->a.column) *
                       (uint64_t)tn_get_int(dtype, j->b.tensor->data,
                                            j->b.first + k * j->b.row + column * j->b.column);
            sum = scale(j->alpha, sum, dtype);
            if (j->c.tensor)
                sum += scale(
                    j->beta,
                    (uint64_t)tn_get_int(dtype, j->c.tensor->data,
                                         j->c.first + row * j->c.row + column * j->c.column),
                    dtype);
            tn_set_int(dtype, j->y->data, j->y_first + row * j->columns + column, (int64_t)sum);
        }
}

void gemm_tile(const gemm_job *job, int64_t row, int64_t column)
{
    const tile t = { row, column, job->rows - row < GEMM_TILE ? job->rows - row : GEMM_TILE,
                     job->columns - column < GEMM_TILE ? job->columns - column : GEMM_TILE };
    if (tn_dtype_is_float(job->y->dtype))
        float_tile(job, &t);
    else
        integer_tile(job, &t);
}
