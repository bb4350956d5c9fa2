/* isa/window.c: sliding windows over channels-last rows: depthwise convolution and pooling.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

/* Points [first, first + POINTS) of one register of channels; all taps lie inside the row, or
 * (checked) some outside. */
INLINE void points_of(const native_depthwise *d, const int points, int64_t first, int64_t channel,
                      int64_t part, bool checked)
{
    vec sum[4];
    const vec start = !d->bias ? splat(0.0f)
                      : part   ? load_part(d->bias + channel, part)
                               : load(d->bias + channel);
#pragma GCC unroll 4
    for (int p = 0; p < points; p++)
        sum[p] = start;
    for (int64_t i = 0; i < d->kernel_h; i++) {
        if (!d->rows[i])
            continue;
        for (int64_t j = 0; j < d->kernel_w; j++) {
            const float *w = d->weights + (i * d->kernel_w + j) * d->channels + channel;
            const vec weight = part ? load_part(w, part) : load(w);
            const int64_t at = first * d->stride + j * d->dilation - d->before;
#pragma GCC unroll 4
            for (int p = 0; p < points; p++) {
                const int64_t x = at + p * d->stride;
                const float *from = d->rows[i] + x * d->x_step + channel;
                if (checked && (x < 0 || x >= d->x_points))
                    continue;
                sum[p] += weight * (part ? load_part(from, part) : load(from));
            }
        }
    }
#pragma GCC unroll 4
    for (int p = 0; p < points; p++) {
        float *out = d->out + (first + p) * d->y_step + channel;
        if (part)
            store_part(out, sum[p], part);
        else
            store(out, sum[p]);
    }
}

/* 3x3 without a bound to check: the nine weights stay in registers along the row. */
INLINE void row_of_3x3(const native_depthwise *d, int64_t first, int64_t last, int64_t channel)
{
    vec w[9];
    const vec start = d->bias ? load(d->bias + channel) : splat(0.0f);
    const int64_t step = d->x_step;
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++)
        w[k] = load(d->weights + k * d->channels + channel);
    for (int64_t p = first; p < last; p++) {
        const int64_t at = (p * d->stride - d->before) * step + channel;
        vec s0 = start, s1 = splat(0.0f), s2 = splat(0.0f);
#pragma GCC unroll 3
        for (int j = 0; j < 3; j++) {
            s0 += w[j] * load(d->rows[0] + at + j * step);
            s1 += w[3 + j] * load(d->rows[1] + at + j * step);
            s2 += w[6 + j] * load(d->rows[2] + at + j * step);
        }
        store(d->out + p * d->y_step + channel, s0 + s1 + s2);
    }
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

void ISA(depthwise)(const native_depthwise *d)
{
    const int64_t reach = (d->kernel_w - 1) * d->dilation;
    /* Points whose windows lie inside. */
    const int64_t inner = clamp((d->before + d->stride - 1) / d->stride, 0, d->points);
    const int64_t room = d->x_points - 1 - reach + d->before;
    const int64_t outer = clamp(room < 0 ? 0 : room / d->stride + 1, inner, d->points);
    const bool simple = d->kernel_h == 3 && d->kernel_w == 3 && d->dilation == 1 && d->rows[0] &&
                        d->rows[1] && d->rows[2];
    for (int64_t c = 0; c < d->channels; c += LANES) {
        const int64_t part = c + LANES <= d->channels ? 0 : d->channels - c;
        int64_t p = 0;
        if (part) { /* the last channels: nothing special */
            for (; p < d->points; p++)
                points_of(d, 1, p, c, part, true);
            continue;
        }
        for (; p < inner; p++)
            points_of(d, 1, p, c, 0, true);
        if (simple) {
            row_of_3x3(d, p, outer, c);
            p = outer;
        }
        for (; p + 4 <= outer; p += 4)
            points_of(d, 4, p, c, 0, false);
        for (; p < outer; p++)
            points_of(d, 1, p, c, 0, false);
        for (; p < d->points; p++)
            points_of(d, 1, p, c, 0, true);
    }
}

INLINE vec pooled(bool maximum, vec total, vec x)
{
    if (!maximum)
        return total + x;
    return choose(x > total, x, choose(x != x, x, total)); /* NaN wins */
}

INLINE void pool(bool maximum, const float *const *rows, int64_t row_count, int64_t channels,
                 vec scale, float *y)
{
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) {
        vec total = load(rows[0] + c);
        for (int64_t r = 1; r < row_count; r++)
            total = pooled(maximum, total, load(rows[r] + c));
        store(y + c, maximum ? total : total * scale);
    }
    if (c == channels)
        return;
    vec total = load_part(rows[0] + c, channels - c);
    for (int64_t r = 1; r < row_count; r++)
        total = pooled(maximum, total, load_part(rows[r] + c, channels - c));
    store_part(y + c, maximum ? total : total * scale, channels - c);
}

void ISA(pool)(bool maximum, const float *const *rows, int64_t row_count, int64_t channels,
               float scale, float *y)
{
    if (maximum)
        pool(true, rows, row_count, channels, splat(scale), y);
    else
        pool(false, rows, row_count, channels, splat(scale), y);
}
