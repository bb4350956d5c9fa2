/* product.c: rows times packed panels, tile by tile.
 *
 * Within a block of rows, a panel goes over all its tiles while it is in the cache; the block's
 * rows stay in the next one. Each tile gets the epilogue before it is stored.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

void native_pack(const native_isa *isa, const native_source *s, float *out)
{
    const int64_t width = isa->columns, padded = native_round_up(s->n, width);
    float *bias = out + padded * s->taps * s->depth;
    for (int64_t c = 0; c < s->n; c += width) {
        const int64_t some = s->n - c < width ? s->n - c : width;
        for (int64_t row = 0; row < s->taps * s->depth; row++, out += width) {
            const float *from = s->data + row / s->depth * s->tap + row % s->depth * s->row +
                                c * s->column;
            for (int64_t j = 0; j < some; j++)
                out[j] = from[j * s->column];
            for (int64_t j = some; j < width; j++)
                out[j] = 0.0f;
        }
    }
    memset(bias, 0, (size_t)padded * sizeof *bias);
    if (s->bias)
        memcpy(bias, s->bias, (size_t)s->n * sizeof *bias);
}

/* A tile with fewer columns than a panel, or with steps, is made beside the output. */
static void store_tile(const native_product *p, const float *tile, int64_t row, int64_t rows,
                       int64_t column, int64_t columns)
{
    float *out = p->out + row * p->ld + column;
    for (int64_t r = 0; r < rows; r++)
        memcpy(out + r * p->ld, tile + r * p->isa->columns, (size_t)columns * sizeof *out);
}

/* An epilogue that only bounds the result is the tile's own business. */
static bool bound_tile(const native_epilogue *e, native_tile *tile)
{
    if (!e || !e->count)
        return true;
    const native_step *s = &e->steps[0];
    if (e->count > 1 || (s->function != NATIVE_RELU && s->function != NATIVE_CLIP))
        return false;
    tile->bounded = true;
    tile->low = s->function == NATIVE_RELU ? 0.0f : s->a;
    tile->high = s->function == NATIVE_RELU ? INFINITY : s->b;
    return true;
}

void native_product_run(const native_product *p, const float *const *table, int64_t begin,
                        int64_t end, int64_t panel, int64_t last)
{
    const native_isa *isa = p->isa;
    float beside[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    const int64_t depth = p->taps * p->depth;
    const float *bias = p->panels + native_round_up(p->n, isa->columns) * depth;
    for (; panel < last; panel++) {
        const int64_t column = panel * isa->columns;
        const int64_t columns = p->n - column < isa->columns ? p->n - column : isa->columns;
        native_tile tile = { .panel = p->panels + column * depth,
                             .start = bias + column,
                             .out = beside,
                             .ld = isa->columns,
                             .taps = p->taps,
                             .depth = p->depth,
                             .rows = table };
        const bool finished = bound_tile(p->epilogue, &tile);
        const bool direct = finished && columns == isa->columns;
        if (direct)
            tile.ld = p->ld;
        for (int64_t row = begin; row < end; row += tile.row_count) {
            tile.row_count = (int32_t)(end - row < isa->rows ? end - row : isa->rows);
            if (direct)
                tile.out = p->out + row * p->ld + column;
            isa->tile(&tile);
            if (!finished)
                native_finish_own(isa, p->epilogue, p->inputs, beside, isa->columns,
                                  p->first_row + row, tile.row_count, p->first_column + column,
                                  columns);
            if (!direct)
                store_tile(p, beside, row, tile.row_count, column, columns);
            tile.rows += tile.row_count * p->taps;
        }
    }
}

native_cut native_cut_of(const native_isa *isa, int64_t m, int64_t n, int64_t depth,
                         uint32_t threads)
{
    enum { ROW_BYTES = 128 * 1024, MOST_ROWS = 192 };
    const int64_t panels = native_ceil(n, isa->columns), tiles = native_ceil(m, isa->rows);
    int64_t rows = ROW_BYTES / (depth * 4);
    native_cut cut;
    rows = rows > MOST_ROWS ? MOST_ROWS : rows;
    cut.rows = rows / isa->rows * isa->rows;
    if (cut.rows < 4 * isa->rows)
        cut.rows = 4 * isa->rows;
    if (threads > 1) { /* several blocks for each thread */
        const int64_t even = native_ceil(tiles, 4 * (int64_t)threads) * isa->rows;
        cut.rows = even < cut.rows ? even : cut.rows;
    }
    cut.row_blocks = native_ceil(m, cut.rows);
    cut.panel_groups = 1;
    if (threads > 1 && cut.row_blocks < 2 * (int64_t)threads) { /* too few rows: panels, too */
        cut.rows = native_round_up(m < MOST_ROWS ? m : MOST_ROWS, isa->rows);
        cut.row_blocks = native_ceil(m, cut.rows);
        cut.panel_groups = native_ceil(4 * (int64_t)threads, cut.row_blocks);
        cut.panel_groups = cut.panel_groups > panels ? panels : cut.panel_groups;
    }
    cut.panels = native_ceil(panels, cut.panel_groups);
    cut.panel_groups = native_ceil(panels, cut.panels);
    return cut;
}
