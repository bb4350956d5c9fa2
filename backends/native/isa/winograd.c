/* isa/winograd.c: the transforms of Winograd's minimal filtering, F(2x2, 3x3) and F(4x4, 3x3)
 * (Lavin and Gray, CVPR 2016: interpolation points 0, 1, -1, ∞, and 2, -2 for the larger).
 *
 * In each direction a transform of one dimension is applied to rows, then to columns, on a
 * register of channels at a time; the weights', which runs once, in double.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

/* d[0..n) at distance `step` → Bᵀ d. */
INLINE void in_4(const vec *d, int step, vec *out, int out_step)
{
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
              d5 = d[5 * step];
    const vec a = d4 - splat(4.0f) * d2, b = d3 - splat(4.0f) * d1, c = d4 - d2,
              e = splat(2.0f) * (d3 - d1);
    out[0] = splat(4.0f) * d0 - splat(5.0f) * d2 + d4;
    out[out_step] = a + b;
    out[2 * out_step] = a - b;
    out[3 * out_step] = c + e;
    out[4 * out_step] = c - e;
    out[5 * out_step] = splat(4.0f) * d1 - splat(5.0f) * d3 + d5;
}
INLINE void in_2(const vec *d, int step, vec *out, int out_step)
{
    const vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    out[0] = d0 - d2;
    out[out_step] = d1 + d2;
    out[2 * out_step] = d2 - d1;
    out[3 * out_step] = d1 - d3;
}

/* m[0..n) → Aᵀ m. */
INLINE void out_4(const vec *m, int step, vec *out, int out_step)
{
    const vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
              m5 = m[5 * step];
    const vec a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
    out[0] = m0 + a + c;
    out[out_step] = b + splat(2.0f) * d;
    out[2 * out_step] = a + splat(4.0f) * c;
    out[3 * out_step] = b + splat(8.0f) * d + m5;
}
INLINE void out_2(const vec *m, int step, vec *out, int out_step)
{
    const vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    out[0] = m0 + m1 + m2;
    out[out_step] = m1 - m2 - m3;
}

/* `width` registers of channels at once: with two of them lines of the cache are read and written
 * whole, before others of the same set push them out. */
INLINE void in_tile(const int size, const int width, const float *const *points, float *out,
                    int64_t step, int64_t at, int64_t part)
{
    const int side = size + 2;
    vec t[2][36];
#pragma GCC unroll 6
    for (int k = 0; k < side; k++)
#pragma GCC unroll 2
        for (int h = 0; h < width; h++) {
            vec column[6];
#pragma GCC unroll 6
            for (int j = 0; j < side; j++) {
                const float *from = points[j * side + k];
                column[j] = !from  ? splat(0.0f)
                            : part ? load_part(from + at, part)
                                   : load(from + at + h * LANES);
            }
            size == 4 ? in_4(column, 1, t[h] + k, side) : in_2(column, 1, t[h] + k, side);
        }
#pragma GCC unroll 6
    for (int k = 0; k < side; k++)
#pragma GCC unroll 2
        for (int h = 0; h < width; h++) {
            vec row[6];
            size == 4 ? in_4(t[h] + k * side, 1, row, 1) : in_2(t[h] + k * side, 1, row, 1);
#pragma GCC unroll 6
            for (int j = 0; j < side; j++) {
                float *to = out + (k * side + j) * step + at + h * LANES;
                part ? store_part(to, row[j], part) : store(to, row[j]);
            }
        }
}

INLINE vec some_of(const float *from, int64_t part)
{
    return part ? load_part(from, part) : load(from);
}

INLINE void out_tile(const int size, const int width, const native_winograd_out *o, int64_t at,
                     int64_t part)
{
    const int side = size + 2;
    vec t[2][24];
#pragma GCC unroll 6
    for (int k = 0; k < side; k++)
#pragma GCC unroll 2
        for (int h = 0; h < width; h++) {
            vec column[6];
#pragma GCC unroll 6
            for (int j = 0; j < side; j++)
                column[j] = some_of(o->in + (j * side + k) * o->step + at + h * LANES, part);
            size == 4 ? out_4(column, 1, t[h] + k, side) : out_2(column, 1, t[h] + k, side);
        }
#pragma GCC unroll 2
    for (int h = 0; h < width; h++) {
        const int64_t from = at + h * LANES;
        const vec bias = some_of(o->bias + from, part);
#pragma GCC unroll 4
        for (int k = 0; k < size; k++) {
            vec row[4];
            size == 4 ? out_4(t[h] + k * side, 1, row, 1) : out_2(t[h] + k * side, 1, row, 1);
#pragma GCC unroll 4
            for (int j = 0; j < size; j++) {
                float *to = o->points[k * size + j];
                const float *add = o->adds[k * size + j];
                if (!to)
                    continue;
                vec y = row[j] + bias;
                if (add)
                    y += some_of(add + from, part);
                y = ended(&o->end, y);
                part ? store_part(to + from, y, part) : store(to + from, y);
            }
        }
    }
}

INLINE void all_in(const int size, const float *const *points, float *out, int64_t step,
                   int64_t channels)
{
    int64_t c = 0;
    for (; c + 2 * LANES <= channels; c += 2 * LANES)
        in_tile(size, 2, points, out, step, c, 0);
    for (; c + LANES <= channels; c += LANES)
        in_tile(size, 1, points, out, step, c, 0);
    if (c < channels)
        in_tile(size, 1, points, out, step, c, channels - c);
}

INLINE void all_out(const int size, const native_winograd_out *o)
{
    int64_t c = 0;
    for (; c + 2 * LANES <= o->channels; c += 2 * LANES)
        out_tile(size, 2, o, c, 0);
    for (; c + LANES <= o->channels; c += LANES)
        out_tile(size, 1, o, c, 0);
    if (c < o->channels)
        out_tile(size, 1, o, c, o->channels - c);
}

/* ---- weights ------------------------------------------------------------------------------ */

typedef double wide __attribute__((vector_size(LANES * 4)));
typedef float half __attribute__((vector_size(LANES * 2)));
enum { HALF = LANES / 2 };

INLINE wide wide_splat(double x)
{
    return x - (wide){ 0 };
}

/* w[0..3) at distance `step` → G w. */
INLINE void weights_4(const wide *w, int step, wide *out, int out_step)
{
    const wide w0 = w[0], w1 = w[step], w2 = w[2 * step];
    const wide a = (w0 + w2) * wide_splat(-1.0 / 6), b = w1 * wide_splat(-1.0 / 6);
    const wide c = w0 * wide_splat(1.0 / 24) + w2 * wide_splat(1.0 / 6);
    const wide d = w1 * wide_splat(1.0 / 12);
    out[0] = w0 * wide_splat(0.25);
    out[out_step] = a + b;
    out[2 * out_step] = a - b;
    out[3 * out_step] = c + d;
    out[4 * out_step] = c - d;
    out[5 * out_step] = w2;
}
INLINE void weights_2(const wide *w, int step, wide *out, int out_step)
{
    const wide w0 = w[0], w1 = w[step], w2 = w[2 * step];
    const wide a = (w0 + w2) * wide_splat(0.5), b = w1 * wide_splat(0.5);
    out[0] = w0;
    out[out_step] = a + b;
    out[2 * out_step] = a - b;
    out[3 * out_step] = w2;
}

/* Of half a register of filters. */
INLINE void weights_part(const int size, const float *w, float *out, int64_t step)
{
    const int side = size + 2;
    wide in[9], t[18];
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) {
        half narrow;
        memcpy(&narrow, w + k * 2 * LANES, sizeof narrow);
        in[k] = __builtin_convertvector(narrow, wide);
    }
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++)
        size == 4 ? weights_4(in + j, 3, t + j, 3) : weights_2(in + j, 3, t + j, 3);
#pragma GCC unroll 6
    for (int i = 0; i < side; i++) {
        wide row[6];
        size == 4 ? weights_4(t + 3 * i, 1, row, 1) : weights_2(t + 3 * i, 1, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < side; j++) {
            const half narrow = __builtin_convertvector(row[j], half);
            memcpy(out + (i * side + j) * step, &narrow, sizeof narrow);
        }
    }
}

INLINE void all_weights(const int size, const float *taps, int64_t channels, float *out,
                        int64_t step)
{
    for (int64_t c = 0; c < channels; c++)
        for (int h = 0; h < 4; h++)
            weights_part(size, taps + c * 9 * 2 * LANES + h * HALF, out + c * 2 * LANES + h * HALF,
                         step);
}

void ISA(winograd_weights)(int32_t size, const float *taps, int64_t channels, float *out,
                           int64_t step)
{
    if (size == 4)
        all_weights(4, taps, channels, out, step);
    else
        all_weights(2, taps, channels, out, step);
}

/* ---- the table's ---------------------------------------------------------------------------- */

void ISA(winograd_in)(int32_t size, const float *const *points, float *out, int64_t step,
                      int64_t channels)
{
    if (size == 4)
        all_in(4, points, out, step, channels);
    else
        all_in(2, points, out, step, channels);
}

void ISA(winograd_out)(int32_t size, const native_winograd_out *out)
{
    if (size == 4)
        all_out(4, out);
    else
        all_out(2, out);
}
