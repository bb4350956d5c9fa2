/* product.c: rows times packed panels, tile by tile.
 *
 * Within a block of rows, a panel goes over all its tiles while it is in the cache; the block's
 * rows stay in the next one. Each tile gets the epilogue before it is stored.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"
#include "tenon/packing.h"

/* Of the matrix before `end`, what is more than a little since *from has been packed: the host may take
 * it from memory. */
static void tell(const native_source *s, const float **from, const float *end)
{
    enum { LITTLE = 1024 * 1024 }; /* floats */
    if (!s->call || end - *from < LITTLE)
        return;
    const tn_packing *packing = s->call->host->extension(s->call->host, TN_PACKING);
    if (packing && TN_HAS(packing, consumed))
        packing->consumed(s->call, *from, (size_t)(end - *from) * sizeof *end);
    *from = end;
}

/* A panel of one tap whose rows, or columns, lie side by side, or neither. */
static void pack_tap(const native_source *s, const float *from, int64_t columns, int64_t width,
                     float *out)
{
    if (s->row == 1) {
        native_turn(from, s->column, out, width, s->depth, columns);
        return;
    }
    for (int64_t k = 0; k < s->depth; k++)
        for (int64_t j = 0; j < columns; j++)
            out[k * width + j] = from[k * s->row + j * s->column];
}

/* A panel of windows, [column][channel][tap]: some channels are turned, then their taps part. */
static void pack_windows(const native_source *s, const float *from, int64_t columns, int64_t width,
                         float *out)
{
    enum { ROWS = 144 };
    float some[ROWS * NATIVE_MAX_COLUMNS];
    const int64_t most = ROWS / s->taps;
    for (int64_t c = 0; c < s->depth; c += most) {
        const int64_t count = s->depth - c < most ? s->depth - c : most;
        native_turn(from + c * s->taps, s->column, some, width, count * s->taps, columns);
        for (int64_t k = 0; k < count * s->taps; k++)
            memcpy(out + (k % s->taps * s->depth + c + k / s->taps) * width, some + k * width,
                   (size_t)columns * sizeof *out);
    }
}

/* Rows as they lie, some at a time, so that memory is read in its order. */
static void pack_rows(const native_source *s, int64_t width, float *out)
{
    enum { ROWS = 16 };
    for (int64_t k = 0; k < s->depth; k += ROWS) {
        const int64_t last = s->depth - k < ROWS ? s->depth : k + ROWS;
        for (int64_t c = 0; c < s->n; c += width) {
            const size_t bytes = (size_t)(s->n - c < width ? s->n - c : width) * sizeof *out;
            for (int64_t row = k; row < last; row++)
                memcpy(out + c * s->depth + row * width, s->data + row * s->row + c, bytes);
        }
    }
}

static void pack_panel(const native_source *s, int64_t c, int64_t width, float *out)
{
    const int64_t columns = s->n - c < width ? s->n - c : width;
    const float *from = s->data + c * s->column;
    if (s->taps > 1 && s->taps <= 121 && s->tap == 1 && s->row == s->taps)
        pack_windows(s, from, columns, width, out);
    else
        for (int64_t t = 0; t < s->taps; t++)
            pack_tap(s, from + t * s->tap, columns, width, out + t * s->depth * width);
}

/* Where a panel's columns are whole runs of memory, they are done with. */
static void pack_panels(const native_source *s, int64_t width, float *out)
{
    const int64_t rows = s->taps * s->depth;
    const float *from = s->data;
    for (int64_t c = 0; c < s->n; c += width) {
        pack_panel(s, c, width, out + c * rows);
        if (s->column == rows && c + width <= s->n)
            tell(s, &from, s->data + (c + width) * s->column);
    }
}

void native_pack(const native_isa *isa, const native_source *s, float *out)
{
    const int64_t width = isa->columns, rows = s->taps * s->depth;
    const int64_t padded = native_round_up(s->n, width), tail = s->n % width;
    float *bias = out + padded * rows, *last = out + s->n / width * width * rows;
    for (int64_t k = 0; tail && k < rows; k++)
        memset(last + k * width + tail, 0, (size_t)(width - tail) * sizeof *out);
    if (s->taps == 1 && s->column == 1)
        pack_rows(s, width, out);
    else
        pack_panels(s, width, out);
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

/* Panels side by side, and what their tiles have in common. Only tiles that are stored where they belong
 * are done several in a call. */
typedef struct strip {
    native_tile tile;
    int64_t column, columns, panels;
    const float *add; /* of row 0 and column 0 of the product */
    bool finished;    /* the tile does all steps */
    bool direct;      /* it is stored where it belongs; else beside */
    uint32_t done;    /* direct, not finished: steps that the tile has done */
} strip;

/* Tiles of `rows` rows below each other, from `row` on. */
typedef struct run {
    const float *const *table;
    int64_t row, rows, tiles;
    bool ahead; /* panels come from far: they are asked for a little ahead */
    bool fresh; /* so do the rows, which no panel has gone over yet */
} run;

/* Whether the rows of the next tile lie behind a tile's. Short ones come along by themselves. */
static bool rows_follow(const native_product *p, const run *r)
{
    enum { SHORT = 64 };
    return r->table && p->taps == 1 && p->depth >= SHORT &&
           r->table[r->rows - 1] == r->table[0] + (r->rows - 1) * p->depth;
}

/* A sum with a whole tensor, and what a register can do after it, are the tile's own business.
 * Other steps follow on the stored rows, unless what they read may lie there. whole: the tile has
 * all its columns, so that it may read and write that many. */
static void share_steps(const native_product *p, bool whole, strip *s)
{
    const native_epilogue *e = p->epilogue;
    native_tile *tile = &s->tile;
    uint32_t k = 0;
    s->finished = !e;
    s->direct = whole && !e;
    if (!e)
        return;
    if (whole && e->count && e->steps[0].function == NATIVE_ADD &&
        e->steps[0].spread == NATIVE_FULL) {
        const tn_tensor *operand = p->inputs[e->steps[k++].input];
        tile->add = operand->data;
        tile->add_ld = operand->strides ? tn_row_step(operand) : e->ld;
    }
    s->finished = native_end_of(e, k, &tile->end) && tile->end.kind != NATIVE_END_SWISH;
    s->direct = whole && (s->finished || !native_has_full(e, k));
    s->done = k;
    if (!s->finished)
        tile->end.kind = NATIVE_END_NONE;
    if (!s->finished && !s->direct)
        tile->add = NULL;
}

/* From this panel on as many as are alike, at most `most`. */
static void begin_strip(const native_product *p, int64_t panel, int64_t most, float *beside,
                        strip *s)
{
    const native_isa *isa = p->isa;
    const int64_t depth = p->taps * p->depth, column = panel * isa->columns;
    const int64_t left = p->n - column, columns = left < isa->columns ? left : isa->columns;
    *s = (strip){ .column = column, .panels = 1 };
    s->tile = (native_tile){ .panel = p->panels + column * depth,
                             .start = p->panels + native_round_up(p->n, isa->columns) * depth +
                                      column,
                             .out = beside,
                             .ld = isa->columns,
                             .taps = p->taps,
                             .depth = p->depth,
                             .offsets = p->offsets,
                             .step = p->step,
                             .narrow = columns <= isa->lanes };
    share_steps(p, columns == isa->columns || columns == isa->lanes, s);
    s->add = s->tile.add ? s->tile.add + p->first_row * s->tile.add_ld + p->first_column + column
                         : NULL;
    if (s->direct)
        s->tile.ld = p->ld;
    if (s->direct && !s->tile.narrow)
        s->panels = left / isa->columns < most ? left / isa->columns : most;
    s->columns = columns + (s->panels - 1) * isa->columns;
}

static void run_beside(const native_product *p, strip *s, const run *r, float *beside)
{
    for (int64_t k = 0, row = r->row; k < r->tiles; k++, row += r->rows) {
        p->isa->tile(&s->tile);
        if (!s->finished)
            native_finish_own(p->isa, p->epilogue, p->inputs, beside, p->isa->columns,
                              p->first_row + row, r->rows, p->first_column + s->column, s->columns);
        store_tile(p, beside, row, r->rows, s->column, s->columns);
        if (r->table)
            s->tile.rows += p->taps * r->rows;
        else
            s->tile.base += p->step * r->rows;
        if (s->add)
            s->tile.add += r->rows * s->tile.add_ld;
    }
}

static void run_strip(const native_product *p, strip *s, const run *r, const float *base,
                      float *beside)
{
    enum { SOON = 64 };
    s->tile.rows = r->table;
    s->tile.base = base;
    s->tile.row_count = (int32_t)r->rows;
    s->tile.ahead = r->ahead ? SOON * p->isa->columns : 0;
    s->tile.next_rows = r->fresh && rows_follow(p, r);
    if (s->add)
        s->tile.add = s->add + r->row * s->tile.add_ld;
    if (!s->direct) {
        run_beside(p, s, r, beside);
        return;
    }
    s->tile.out = p->out + r->row * p->ld + s->column;
    s->tile.further_panels = s->panels - 1;
    s->tile.further_tiles = r->tiles - 1;
    p->isa->tile(&s->tile);
}

/* What is left of the steps of strips that lie side by side, on rows that were just stored. */
static void finish_strips(const native_product *p, const strip *strips, int64_t count, int64_t row,
                          int64_t rows)
{
    int64_t columns = 0;
    for (int64_t k = 0; k < count && strips[k].direct && !strips[k].finished; k++)
        columns += strips[k].columns;
    if (columns)
        native_finish_rest(p->isa, p->epilogue, p->inputs, strips[0].done,
                           p->out + row * p->ld + strips[0].column, p->ld, rows,
                           p->first_column + strips[0].column, columns);
}

/* The next tiles that have as many rows each; one alone where rows are finished while they are near,
 * or where its panels come from far, which is to be said of the first tile only. */
static run next_run(const native_product *p, const float *const *table, int64_t row, int64_t end,
                    bool alone, bool ahead)
{
    run out = { .table = table,
                .row = row,
                .rows = native_tile_rows(p->isa, end - row),
                .tiles = 1,
                .ahead = ahead };
    row += out.rows;
    for (; !alone && !ahead && row < end && native_tile_rows(p->isa, end - row) == out.rows;
         row += out.rows)
        out.tiles++;
    return out;
}

/* Panels that fit the first cache together go over a tile's rows one after the other, so that the
 * output is written as it lies; others stay for all rows. */
void native_product_run(const native_product *p, const float *const *table, int64_t begin,
                        int64_t end, int64_t panel, int64_t last)
{
    enum { MOST_STRIPS = 64, CACHE_BYTES = 24 * 1024 };
    const native_isa *isa = p->isa;
    float beside[NATIVE_MAX_ROWS * NATIVE_MAX_COLUMNS] __attribute__((aligned(64)));
    const int64_t panel_bytes = p->taps * p->depth * isa->columns * 4;
    const bool far = p->far || native_ceil(p->n, isa->columns) * panel_bytes > NATIVE_NEAR_BYTES;
    int64_t together = panel_bytes ? CACHE_BYTES / panel_bytes : MOST_STRIPS; /* 0: bias alone */
    together = together < 1 ? 1 : together > MOST_STRIPS ? MOST_STRIPS : together;
    const int64_t first = panel;
    strip strips[MOST_STRIPS];
    for (; panel < last; panel += together) {
        const int64_t stop = last - panel < together ? last : panel + together;
        const float *const *rows = table;
        int64_t count = 0;
        run r;
        for (int64_t k = panel; k < stop; k += strips[count++].panels)
            begin_strip(p, k, stop - k, beside, &strips[count]);
        for (int64_t row = begin; row < end; row += r.rows * r.tiles) {
            r = next_run(p, rows, row, end, strips[0].direct && !strips[0].finished,
                         far && row == begin);
            r.fresh = panel == first;
            const float *base = table ? NULL : p->base + (row - begin) * p->step;
            for (int64_t k = 0; k < count; k++)
                run_strip(p, &strips[k], &r, base, beside);
            finish_strips(p, strips, count, row, r.rows * r.tiles);
            rows = table ? rows + r.rows * r.tiles * p->taps : NULL;
        }
    }
}

/* Batch axes of A and B against those of the output: matrices from step to step, 0 where one is
 * used again. */
static void batch_steps(const tn_type *type, const tn_type *y, int64_t *steps)
{
    int64_t step = 1;
    for (int32_t axis = y->rank - 3; axis >= 0; axis--) {
        const int32_t own = axis - (y->rank - type->rank);
        steps[axis] = own < 0 || type->dims[own] == 1 ? 0 : step;
        step *= own < 0 ? 1 : type->dims[own];
    }
}

native_batches native_batches_of(const tn_type *a, const tn_type *b, const tn_type *y)
{
    native_batches out = { .count = 1, .rank = y->rank - 2 };
    for (int32_t axis = 0; axis < y->rank - 2; axis++) {
        out.dims[axis] = y->dims[axis];
        out.count *= y->dims[axis];
    }
    batch_steps(a, y, out.a_steps);
    batch_steps(b, y, out.b_steps);
    return out;
}

void native_batch_at(const native_batches *batches, int64_t k, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int64_t axis = batches->rank - 1; axis >= 0; axis--) {
        *a += k % batches->dims[axis] * batches->a_steps[axis];
        *b += k % batches->dims[axis] * batches->b_steps[axis];
        k /= batches->dims[axis];
    }
}

int64_t native_tile_rows(const native_isa *isa, int64_t left)
{
    if (left >= 2 * isa->rows)
        return isa->rows;
    return left > isa->rows ? (left + 1) / 2 : left;
}

enum { MOST_ROWS = 240 }; /* of a block */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum { LAST_BYTES = 2048 * 1024 }; /* what a block's rows may have of the last cache */

/* Whether threads take panels instead of rows: rows are too few, or so few that reading all weights
 * for each part of them would take longer than reading them for each part of the weights. */
static bool goes_by_panels(const native_isa *isa, const native_cut *cut, const native_extents *e,
                           uint32_t threads)
{
    const int64_t tiles = native_ceil(e->m, isa->rows), enough = 4 * (int64_t)threads;
    const int64_t bytes = e->m * e->row_floats * 4;
    if (tiles < enough && cut->all_panels > tiles)
        return true;
    return cut->all_panels >= enough && bytes <= LAST_BYTES &&
           cut->all_panels * isa->columns * e->depth * 4 > 2 * bytes;
}

/* Items are small, so that threads end together: of as many multiply-adds as make drawing one cheap.
 * What is less altogether than a thread's waking is worth is one item. */
static void share(const native_isa *isa, native_cut *cut, const native_extents *e, uint32_t threads)
{
    enum { ALONE = 24 * 1024, WORTH = 32 * 1024 };
    const int64_t width = cut->all_panels * isa->columns;
    if (e->m * width * e->depth < ALONE)
        return;
    if (goes_by_panels(isa, cut, e, threads)) {
        cut->rows = cut->unit = native_round_up(least(e->m, MOST_ROWS), isa->rows);
        cut->units = native_ceil(e->m, cut->rows);
        cut->panels = least(native_ceil(WORTH, least(e->m, cut->rows) * isa->columns * e->depth),
                            native_ceil(cut->all_panels, threads));
        cut->panel_groups = native_ceil(cut->all_panels, cut->panels);
        return;
    }
    cut->unit = isa->rows * native_ceil(WORTH, isa->rows * width * e->depth);
    cut->unit = least(cut->unit, cut->rows);
    cut->units = native_ceil(e->m, cut->unit);
    cut->rows = cut->rows / cut->unit * cut->unit;
}

native_cut native_cut_of(const native_isa *isa, const native_extents *e, uint32_t threads)
{
    native_cut cut = { .m = e->m, .all_panels = native_ceil(e->n, isa->columns) };
    int64_t rows = LAST_BYTES / (e->row_floats * 4);
    rows = rows > MOST_ROWS ? MOST_ROWS : rows < 4 * isa->rows ? 4 * isa->rows : rows;
    /* Rows that come from the last cache for each panel again cost less than weights that come from
     * the memory for each block again. As many blocks, but alike: a last one of few rows would read all weights for little. */
    cut.rows = native_round_up(native_ceil(e->m, native_ceil(e->m, rows)), isa->rows);
    cut.unit = cut.rows;
    cut.units = native_ceil(e->m, cut.rows);
    cut.panels = cut.all_panels;
    cut.panel_groups = 1;
    if (threads > 1)
        share(isa, &cut, e, threads);
    return cut;
}

native_part native_part_of(const native_cut *cut, int64_t item, int64_t end)
{
    const int64_t group = item % cut->panel_groups, unit = item / cut->panel_groups;
    const int64_t first = unit * cut->unit, panel = group * cut->panels;
    if (cut->panel_groups == 1) {
        const int64_t items = least(end - item, cut->rows / cut->unit);
        return (native_part){ items, first, least(cut->m, first + items * cut->unit), 0,
                              cut->all_panels };
    }
    const int64_t items = least(end - item, cut->panel_groups - group);
    return (native_part){ items, first, least(cut->m, first + cut->unit), panel,
                          least(cut->all_panels, panel + items * cut->panels) };
}
