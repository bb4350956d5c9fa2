/* isa/tile.c: the innermost part of all products: a tile that stays in registers.
 *
 * Two registers of columns and as many rows as there are registers for; in each step a value of
 * every row is spread over a register and multiplied with both. One copy of the code for each
 * number of rows, so that all loops over rows are unrolled. Few rows would wait for their own sums:
 * they keep several partial ones.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

/* What a tile ends with, stage by stage over all its registers: nothing is asked row by row, and what
 * the tile's description says is read once (a store might change it, as far as the compiler knows). */
INLINE void add_to(const native_tile *t, const int rows, vec *left, vec *right, const bool narrow)
{
    const float *add = t->add;
    const int64_t ld = t->add_ld;
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

INLINE void put(const native_tile *t, const int rows, vec *left, vec *right, const bool narrow)
{
    float *out = t->out;
    const int64_t ld = t->ld;
    if (t->add)
        add_to(t, rows, left, right, narrow);
    if (t->end.kind == NATIVE_END_BOUNDS) {
        const native_end end = { NATIVE_END_BOUNDS, t->end.low, t->end.high };
        end_of(end, rows, left, right, narrow);
    } else if (t->end.kind == NATIVE_END_HARD_SWISH) {
        const native_end end = { NATIVE_END_HARD_SWISH, 0.0f, 0.0f };
        end_of(end, rows, left, right, narrow);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++, out += ld) {
        store(out, left[r]);
        if (!narrow)
            store(out + LANES, right[r]);
    }
}

INLINE void rows_of(const native_tile *t, const int rows, const bool narrow)
{
    vec a[NATIVE_ROWS], b[NATIVE_ROWS];
    const float *panel = t->panel, *next = t->next ? t->next : t->panel;
    const int64_t next_step = t->next_step;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        __builtin_prefetch(t->out + (rows + r) * t->ld, 1); /* where the next rows will be stored */
        a[r] = load(t->start), b[r] = narrow ? a[r] : load(t->start + LANES);
    }
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *x[NATIVE_ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
            x[r] = t->rows[tap * rows + r];
#pragma GCC unroll 2
        for (int64_t k = 0; k < t->depth; k++) {
            const vec left = *(const vec *)panel;
            const vec right = narrow ? left : *(const vec *)(panel + LANES);
            __builtin_prefetch(next);
            panel += 2 * LANES;
            next += next_step;
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                const vec value = spread(&x[r][k]);
                a[r] += value * left;
                if (!narrow)
                    b[r] += value * right;
            }
        }
    }
    put(t, rows, a, b, narrow);
}

/* Rows that lie anyhow, a fixed step apart. */
INLINE void spots_of(const native_tile *t, const int rows, const bool narrow)
{
    vec a[NATIVE_ROWS], b[NATIVE_ROWS];
    const float *panel = t->panel;
    const int64_t step = t->step;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        __builtin_prefetch(t->out + r * t->ld, 1);
        a[r] = load(t->start), b[r] = narrow ? a[r] : load(t->start + LANES);
    }
    for (int64_t k = 0; k < t->depth; k++, panel += 2 * LANES) {
        const float *from = t->base + t->offsets[k];
        const vec left = *(const vec *)panel;
        const vec right = narrow ? left : *(const vec *)(panel + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const vec value = spread(from + r * step);
            a[r] += value * left;
            if (!narrow)
                b[r] += value * right;
        }
    }
    put(t, rows, a, b, narrow);
}

/* One or two rows: four sums each, over steps that are four apart. They wait for memory: the panel is
 * called for AHEAD steps before, in whole lines of the cache. */
INLINE void few_rows_of(const native_tile *t, const int rows)
{
    enum { WAYS = 4, AHEAD = 64 };
    vec a[2][WAYS], b[2][WAYS];
    const float *panel = t->panel;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int w = 0; w < WAYS; w++)
            a[r][w] = b[r][w] = splat(0.0f);
    for (int64_t tap = 0; tap < t->taps; tap++) {
        int64_t k = 0;
        for (; k + WAYS <= t->depth; k += WAYS) {
#pragma GCC unroll 16
            for (int w = 0; w < WAYS; w++) {
                __builtin_prefetch(panel + 2 * LANES * AHEAD);
                const vec left = *(const vec *)panel, right = *(const vec *)(panel + LANES);
                panel += 2 * LANES;
#pragma GCC unroll 16
                for (int r = 0; r < rows; r++) {
                    const vec value = spread(&t->rows[tap * rows + r][k + w]);
                    a[r][w] += value * left;
                    b[r][w] += value * right;
                }
            }
        }
        for (; k < t->depth; k++, panel += 2 * LANES)
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                const vec value = spread(&t->rows[tap * rows + r][k]);
                a[r][0] += value * *(const vec *)panel;
                b[r][0] += value * *(const vec *)(panel + LANES);
            }
    }
    vec left[2], right[2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        left[r] = load(t->start) + ((a[r][0] + a[r][1]) + (a[r][2] + a[r][3]));
        right[r] = load(t->start + LANES) + ((b[r][0] + b[r][1]) + (b[r][2] + b[r][3]));
    }
    t->narrow ? put(t, rows, left, right, true) : put(t, rows, left, right, false);
}

#define SPOTS(n)                                                                                   \
    case n: spots_of(t, n <= NATIVE_ROWS ? n : NATIVE_ROWS, narrow); break

INLINE void spots(const native_tile *t, const bool narrow)
{
    switch (t->row_count) {
        SPOTS(1);
        SPOTS(2);
        SPOTS(3);
        SPOTS(4);
#if NATIVE_ROWS > 4
        SPOTS(5);
        SPOTS(6);
#endif
#if NATIVE_ROWS > 6
        SPOTS(7);
        SPOTS(8);
        SPOTS(9);
        SPOTS(10);
        SPOTS(11);
        SPOTS(12);
        SPOTS(13);
        SPOTS(14);
#endif
    default: __builtin_unreachable();
    }
}

#define CASE(n)                                                                                    \
    case n: rows_of(t, n <= NATIVE_ROWS ? n : NATIVE_ROWS, narrow); break

INLINE void tile_of(const native_tile *t, const bool narrow)
{
    switch (t->row_count) {
    case 1: few_rows_of(t, 1); break;
#if NATIVE_LANES > 4
    case 2: few_rows_of(t, 2); break;
#else
        CASE(2);
#endif
        CASE(3);
        CASE(4);
#if NATIVE_ROWS > 4
        CASE(5);
        CASE(6);
#endif
#if NATIVE_ROWS > 6
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
        CASE(13);
        CASE(14);
#endif
    default: __builtin_unreachable();
    }
}

void ISA(tile)(const native_tile *t)
{
    if (!t->rows && t->narrow)
        spots(t, true);
    else if (!t->rows)
        spots(t, false);
    else if (t->narrow)
        tile_of(t, true);
    else
        tile_of(t, false);
}
