/* isa/tile.c: the innermost part of all products: a tile that stays in registers.
 *
 * Two registers of columns and as many rows as there are registers for; in each step a value of
 * every row is spread over a register and multiplied with both. One copy of the code for each
 * number of rows, so that all loops over rows are unrolled. Few rows would wait for their own sums:
 * they keep several partial ones. Tiles that lie side by side or below each other are done in one
 * call: what lies between two of them is what a processor waits for when sums are short.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

/* Where a tile of a call lies. What is the same for all of them is read from a copy of the description
 * (a store might change the description itself, as far as the compiler knows). */
typedef struct place {
    const float *const *rows;
    const float *base, *panel, *start, *add;
    float *out;
} place;

/* ---- what a tile ends with, stage by stage over all its registers --------------------------- */

INLINE void add_to(const float *add, int64_t ld, const int rows, vec *left, vec *right,
                   const bool narrow)
{
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++, add += ld) {
        left[r] += load(add);
        if (!narrow)
            right[r] += load(add + LANES);
    }
}

INLINE void end_of(const native_end end, const int rows, vec *left, vec *right, const bool narrow)
{
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        left[r] = ended(&end, left[r]);
        if (!narrow)
            right[r] = ended(&end, right[r]);
    }
}

INLINE void put(const native_tile *t, const place *at, const int rows, vec *left, vec *right,
                const bool narrow)
{
    float *out = at->out;
    if (at->add)
        add_to(at->add, t->add_ld, rows, left, right, narrow);
    switch (t->end.kind) {
    case NATIVE_END_LOW:
        end_of((native_end){ NATIVE_END_LOW, t->end.low, 0.0f }, rows, left, right, narrow);
        break;
    case NATIVE_END_BOUNDS:
        end_of((native_end){ NATIVE_END_BOUNDS, t->end.low, t->end.high }, rows, left, right,
               narrow);
        break;
    case NATIVE_END_HARD_SWISH:
        end_of((native_end){ NATIVE_END_HARD_SWISH, 0.0f, 0.0f }, rows, left, right, narrow);
        break;
    default: break;
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++, out += t->ld) {
        store(out, left[r]);
        if (!narrow)
            store(out + LANES, right[r]);
    }
}

/* ---- sums ----------------------------------------------------------------------------------- */

/* What sums begin with; and the memory is asked for where the tile below will be stored. */
INLINE void begin(const native_tile *t, const place *at, const int rows, vec *left, vec *right,
                  const bool narrow)
{
    const float *below = at->out + rows * t->ld;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++, below += t->ld) {
        __builtin_prefetch(below, 1);
        left[r] = load(at->start);
        right[r] = narrow ? left[r] : load(at->start + LANES);
    }
}

/* A step of the depth: what the panel has there, times a value of each row. */
INLINE void step_of(const float *panel, const float *const *x, int64_t k, const int rows, vec *left,
                    vec *right, const bool narrow)
{
    const vec l = *(const vec *)panel, r = narrow ? l : *(const vec *)(panel + LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        const vec value = spread(x[i] + k);
        left[i] += value * l;
        if (!narrow)
            right[i] += value * r;
    }
}

/* Each of these returns where the panel ends, which is where the next one begins.
 *
 * asks: for what comes from far, the panel or the rows of the tile below. */
INLINE const float *rows_of(const native_tile *t, const place *at, const int rows,
                            const bool narrow, const bool asks)
{
    enum { AHEAD = 8 * 2 * LANES };
    vec left[NATIVE_ROWS], right[NATIVE_ROWS];
    const float *panel = at->panel, *const *table = at->rows;
    const float *next = t->ahead ? panel + t->ahead : table[0] + rows * t->depth;
    const int64_t next_step = t->ahead ? 2 * LANES : rows;
    begin(t, at, rows, left, right, narrow);
    for (int64_t tap = 0; tap < t->taps; tap++, table += rows) {
        const float *x[NATIVE_ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
            x[r] = table[r];
#pragma GCC unroll 4
        for (int64_t k = 0; k < t->depth; k++, panel += 2 * LANES) {
            __builtin_prefetch(asks ? next : panel + AHEAD);
            if (asks)
                next += next_step;
            step_of(panel, x, k, rows, left, right, narrow);
        }
    }
    put(t, at, rows, left, right, narrow);
    return panel;
}

/* Rows that lie anyhow, a fixed step apart. */
INLINE const float *spots_of(const native_tile *t, const place *at, const int rows,
                             const bool narrow)
{
    vec left[NATIVE_ROWS], right[NATIVE_ROWS];
    const float *panel = at->panel, *x[NATIVE_ROWS];
    begin(t, at, rows, left, right, narrow);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        x[r] = at->base + r * t->step;
    for (int64_t k = 0; k < t->depth; k++, panel += 2 * LANES)
        step_of(panel, x, t->offsets[k], rows, left, right, narrow);
    put(t, at, rows, left, right, narrow);
    return panel;
}

/* So few rows that they would wait for their own sums: four sums each, over steps that are four
 * apart. They wait for memory, too: the panel is asked for AHEAD steps before. */
enum { FEW_ROWS = LANES > 4 ? 2 : 1 };

INLINE const float *few_rows_of(const native_tile *t, const place *at, const int rows,
                                const bool narrow)
{
    enum { WAYS = 4, AHEAD = 64 };
    vec a[FEW_ROWS][WAYS], b[FEW_ROWS][WAYS], left[FEW_ROWS], right[FEW_ROWS];
    const float *panel = at->panel, *const *table = at->rows;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int w = 0; w < WAYS; w++)
            a[r][w] = b[r][w] = splat(0.0f);
    for (int64_t tap = 0; tap < t->taps; tap++, table += rows) {
        int64_t k = 0;
        for (; k + WAYS <= t->depth; k += WAYS) {
#pragma GCC unroll 16
            for (int w = 0; w < WAYS; w++) {
                __builtin_prefetch(panel + 2 * LANES * AHEAD);
                const vec l = *(const vec *)panel, r = *(const vec *)(panel + LANES);
                panel += 2 * LANES;
#pragma GCC unroll 16
                for (int i = 0; i < rows; i++) {
                    const vec value = spread(&table[i][k + w]);
                    a[i][w] += value * l;
                    b[i][w] += value * r;
                }
            }
        }
        for (; k < t->depth; k++, panel += 2 * LANES)
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                const vec value = spread(&table[i][k]);
                a[i][0] += value * *(const vec *)panel;
                b[i][0] += value * *(const vec *)(panel + LANES);
            }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        left[r] = load(at->start) + ((a[r][0] + a[r][1]) + (a[r][2] + a[r][3]));
        right[r] = load(at->start + LANES) + ((b[r][0] + b[r][1]) + (b[r][2] + b[r][3]));
    }
    put(t, at, rows, left, right, narrow);
    return panel;
}

/* ---- tiles ---------------------------------------------------------------------------------- */

/* All tiles of a call: side by side, then the next ones below. */
INLINE void tiles_of(const native_tile *from, const int rows, const bool narrow, const bool table)
{
    const native_tile t = *from;
    const float *const *own = t.rows, *base = t.base, *add = t.add;
    float *out = t.out;
    for (int64_t below = 0; below <= t.further_tiles; below++) {
        place at = { own, base, t.panel, t.start, add, out };
        for (int64_t beside = 0; beside <= t.further_panels; beside++) {
            const bool asks = t.ahead || (t.next_rows && !beside);
            at.panel = !table             ? spots_of(&t, &at, rows, narrow)
                       : rows <= FEW_ROWS ? few_rows_of(&t, &at, rows, narrow)
                       : asks             ? rows_of(&t, &at, rows, narrow, true)
                                          : rows_of(&t, &at, rows, narrow, false);
            at.start += 2 * LANES;
            at.out += 2 * LANES;
            at.add = at.add ? at.add + 2 * LANES : NULL;
        }
        own = table ? own + t.taps * rows : NULL;
        base = table ? NULL : base + rows * t.step;
        add = add ? add + rows * t.add_ld : NULL;
        out += rows * t.ld;
    }
}

#define TILES(n)                                                                                   \
    case n: tiles_of(t, n, narrow, table); break;

INLINE void any_tiles(const native_tile *t, const bool narrow, const bool table)
{
    switch (t->row_count) {
        EACH_NUMBER_OF_ROWS(TILES)
    default: __builtin_unreachable();
    }
}

void ISA(tile)(const native_tile *t)
{
    if (!t->rows && t->narrow)
        any_tiles(t, true, false);
    else if (!t->rows)
        any_tiles(t, false, false);
    else if (t->narrow)
        any_tiles(t, true, true);
    else
        any_tiles(t, false, true);
}
