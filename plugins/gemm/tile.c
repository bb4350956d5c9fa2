/* plugins/gemm/tile.c: one tile of a product, in double, or in integers that wrap around.
 *
 * Every product is taken, zeros included: infinity times zero is NaN here.
 * SPDX-License-Identifier: MIT */
#include "gemm.h"

typedef struct tile {
    int64_t row, column, rows, columns;
} tile;

/* `count` elements, `step` apart, as doubles. */
static void load(const tn_tensor *t, int64_t first, int64_t step, int64_t count, double *out)
{
    if (t->dtype == TN_FLOAT32) {
        const float *from = (const float *)t->data + first;
        for (int64_t k = 0; k < count; k++)
            out[k] = (double)from[k * step];
        return;
    }
    for (int64_t k = 0; k < count; k++)
        out[k] = tn_get_double(t->dtype, t->data, first + k * step);
}

/* Adds rows k0 … k0+depth of B, as a panel, to all rows of the tile: four rows at a time share
 * what is read of the panel. */
static void add_panel(const gemm_job *j, const tile *t, int64_t k0, int64_t depth, double *sums)
{
    double panel[GEMM_TILE * GEMM_TILE], a[4][GEMM_TILE];
    for (int64_t k = 0; k < depth; k++)
        load(j->b.tensor, j->b.first + (k0 + k) * j->b.row + t->column * j->b.column, j->b.column, t->columns,
             panel + k * GEMM_TILE);
    for (int64_t r = 0; r < t->rows; r += 4) {
        const int64_t count = t->rows - r < 4 ? t->rows - r : 4;
        for (int64_t i = 0; i < count; i++)
            load(j->a.tensor, j->a.first + (t->row + r + i) * j->a.row + k0 * j->a.column, j->a.column, depth, a[i]);
        for (int64_t i = 0; i < count; i++) {
            double *sum = sums + (r + i) * GEMM_TILE;
            for (int64_t k = 0; k < depth; k++) {
                const double scale = a[i][k], *line = panel + k * GEMM_TILE;
                for (int64_t c = 0; c < t->columns; c++)
                    sum[c] += scale * line[c];
            }
        }
    }
}

static void float_tile(const gemm_job *j, const tile *t)
{
    double sums[GEMM_TILE * GEMM_TILE] = { 0 };
    for (int64_t k = 0; k < j->depth; k += GEMM_TILE)
        add_panel(j, t, k, j->depth - k < GEMM_TILE ? j->depth - k : GEMM_TILE, sums);
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

/* A factor of an integer product: 1 leaves every bit, others go through double, towards zero. */
static uint64_t scale(double factor, uint64_t value, uint32_t dtype)
{
    if (factor == 1.0)
        return value;
    const double product = factor * (tn_dtype_is_signed(dtype) ? (double)(int64_t)value : (double)value);
    return product < 0 ? (uint64_t)(int64_t)product : (uint64_t)product;
}

static void integer_tile(const gemm_job *j, const tile *t)
{
    const uint32_t dtype = j->y->dtype;
    for (int64_t row = t->row; row < t->row + t->rows; row++)
        for (int64_t column = t->column; column < t->column + t->columns; column++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < j->depth; k++)
                sum += (uint64_t)tn_get_int(dtype, j->a.tensor->data, j->a.first + row * j->a.row + k * j->a.column) *
                       (uint64_t)tn_get_int(dtype, j->b.tensor->data, j->b.first + k * j->b.row + column * j->b.column);
            sum = scale(j->alpha, sum, dtype);
            if (j->c.tensor)
                sum += scale(j->beta, (uint64_t)tn_get_int(dtype, j->c.tensor->data, j->c.first + row * j->c.row + column * j->c.column), dtype);
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
