/* isa/window.c: sliding windows over channels-last rows: depthwise convolution and pooling.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

/* What is done to the sums of some points; asked once for all of them. */
INLINE void end_points(const native_end *end, vec *sum, const int points)
{
    const vec minus_a = splat(-end->low);
    switch (end->kind) {
    case NATIVE_END_NONE: return;
    case NATIVE_END_SWISH:
#pragma GCC unroll 4
        for (int p = 0; p < points; p++)
            sum[p] = swish(sum[p], minus_a);
        return;
    default:
#pragma GCC unroll 4
        for (int p = 0; p < points; p++)
            sum[p] = ended(end, sum[p]);
    }
}

/* Points [first, first + points) of one register of channels; all taps lie inside the row, or
 * (checked) some outside. */
INLINE void points_of(const native_depthwise *d, const int points, int64_t first, int64_t channel,
                      const float *weights, int64_t part, bool checked)
{
    vec sum[4];
#pragma GCC unroll 4
    for (int p = 0; p < points; p++)
        sum[p] = load(weights + d->kernel_h * d->kernel_w * LANES);
    for (int64_t i = 0; i < d->kernel_h; i++) {
        if (!d->rows[i])
            continue;
        for (int64_t j = 0; j < d->kernel_w; j++) {
            const vec weight = load(weights + (i * d->kernel_w + j) * LANES);
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
    end_points(&d->end, sum, points);
#pragma GCC unroll 4
    for (int p = 0; p < points; p++) {
        float *out = d->out + (first + p) * d->y_step + channel;
        if (part)
            store_part(out, sum[p], part);
        else
            store(out, sum[p]);
    }
}

/* Points [first, first + POINTS) of all channels, windows WIDTH wide: a column of the input is
 * loaded once for all points whose windows hold it. The last channels are done twice rather than
 * in part. checked: columns may lie outside the row. */
enum { POINTS = 4 };

INLINE void block_of(const native_depthwise *d, const int points, const int width, const int stride,
                     const bool checked, int64_t first)
{
    const int64_t channels = d->channels, step = d->x_step, y_step = d->y_step,
                  start = first * stride - d->before;
    const int64_t rows = d->kernel_h, x_points = d->x_points;
    const float *const *from = d->rows, *weights = d->weights;
    const native_end end = d->end;
    float *out = d->out + first * y_step;
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t at = c + LANES <= channels ? c : channels - LANES;
        vec sum[POINTS];
        const vec bias = load(weights + rows * width * LANES);
#pragma GCC unroll 4
        for (int p = 0; p < points; p++)
            sum[p] = bias;
        for (int64_t i = 0; i < rows; i++, weights += width * LANES) {
            /* The lowest rows are new to the cache: the next block's columns are called for. */
            const bool ahead = i >= rows - stride && c % 16 == 0;
            if (!from[i])
                continue;
            const float *row = from[i] + start * step + at;
#pragma GCC unroll 16
            for (int k = 0; k < (points - 1) * stride + width; k++, row += step) {
                if (checked && (start + k < 0 || start + k >= x_points))
                    continue;
                const vec value = load(row);
                if (ahead && k < points * stride)
                    __builtin_prefetch(row + points * stride * step);
#pragma GCC unroll 4
                for (int p = 0; p < points; p++)
                    if (k >= p * stride && k < p * stride + width)
                        sum[p] += value * load(weights + (k - p * stride) * LANES);
            }
        }
        weights += LANES;
        float *to = out + at;
        end_points(&end, sum, points);
#pragma GCC unroll 4
        for (int p = 0; p < points; p++, to += y_step)
            store(to, sum[p]);
    }
}

/* The last block reaches back to where others have been, rather than to be smaller. */
INLINE void blocks_of(const native_depthwise *d, const int width, const int stride)
{
    const int64_t reach = (POINTS - 1) * stride + width;
    if (d->points < POINTS) {
        for (int64_t p = 0; p < d->points; p++)
            block_of(d, 1, width, stride, true, p);
        return;
    }
    for (int64_t p = 0; p < d->points; p += POINTS) {
        const int64_t first = p + POINTS <= d->points ? p : d->points - POINTS;
        const int64_t x = first * stride - d->before;
        if (x < 0 || x + reach > d->x_points)
            block_of(d, POINTS, width, stride, true, first);
        else
            block_of(d, POINTS, width, stride, false, first);
    }
}

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void any_window(const native_depthwise *d)
{
    const int64_t reach = (d->kernel_w - 1) * d->dilation;
    /* Points whose windows lie inside. */
    const int64_t inner = clamp((d->before + d->stride - 1) / d->stride, 0, d->points);
    const int64_t room = d->x_points - 1 - reach + d->before;
    const int64_t outer = clamp(room < 0 ? 0 : room / d->stride + 1, inner, d->points);
    const float *weights = d->weights;
    const int64_t part = d->channels < LANES ? d->channels : 0;
    for (int64_t c = 0; c < d->channels; c += LANES) {
        const int64_t at = part || c + LANES <= d->channels ? c : d->channels - LANES;
        int64_t p = 0;
        for (; part && p < d->points; p++)
            points_of(d, 1, p, at, weights, part, true);
        for (; p < inner; p++)
            points_of(d, 1, p, at, weights, 0, true);
        for (; p + 4 <= outer; p += 4)
            points_of(d, 4, p, at, weights, 0, false);
        for (; p < outer; p++)
            points_of(d, 1, p, at, weights, 0, false);
        for (; p < d->points; p++)
            points_of(d, 1, p, at, weights, 0, true);
        weights += (d->kernel_h * d->kernel_w + 1) * LANES;
    }
}

void ISA(depthwise)(const native_depthwise *d)
{
    const bool usual = d->dilation == 1 && d->channels >= LANES;
    if (usual && d->kernel_w == 3 && d->stride == 1)
        blocks_of(d, 3, 1);
    else if (usual && d->kernel_w == 3 && d->stride == 2)
        blocks_of(d, 3, 2);
    else if (usual && d->kernel_w == 5 && d->stride == 1)
        blocks_of(d, 5, 1);
    else if (usual && d->kernel_w == 5 && d->stride == 2)
        blocks_of(d, 5, 2);
    else
        any_window(d);
}

INLINE vec pooled(bool maximum, vec total, vec x)
{
    return maximum ? vmax_nan(total, x) : total + x;
}

/* `width` registers of channels at a time: a sum alone would wait for itself. */
INLINE int64_t pool_some(bool maximum, const float *const *rows, int64_t row_count,
                         int64_t channels, vec scale, float *y, int64_t c, const int width)
{
    for (; c + width * LANES <= channels; c += width * LANES) {
        vec total[4];
#pragma GCC unroll 4
        for (int k = 0; k < width; k++)
            total[k] = load(rows[0] + c + k * LANES);
        for (int64_t r = 1; r < row_count; r++) {
            const float *row = rows[r] + c;
#pragma GCC unroll 4
            for (int k = 0; k < width; k++)
                total[k] = pooled(maximum, total[k], load(row + k * LANES));
        }
#pragma GCC unroll 4
        for (int k = 0; k < width; k++)
            store(y + c + k * LANES, maximum ? total[k] : total[k] * scale);
    }
    return c;
}

INLINE void pool(bool maximum, const float *const *rows, int64_t row_count, int64_t channels,
                 vec scale, float *y)
{
    int64_t c = pool_some(maximum, rows, row_count, channels, scale, y, 0, 4);
    c = pool_some(maximum, rows, row_count, channels, scale, y, c, 1);
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

/* Two registers of channels. */
typedef struct pair {
    vec left, right;
} pair;

INLINE pair both(bool maximum, pair a, pair b)
{
    return (pair){ pooled(maximum, a.left, b.left), pooled(maximum, a.right, b.right) };
}

/* Column x of the lines; what lies outside takes no part. */
INLINE pair column_of(const native_pool_line *l, bool maximum, int64_t x, int64_t channel)
{
    const vec nothing = splat(maximum ? -INFINITY : 0.0f);
    if (x < 0 || x >= l->x_points)
        return (pair){ nothing, nothing };
    const int64_t at = x * l->x_step + channel;
    pair total = { load(l->rows[0] + at), load(l->rows[0] + at + LANES) };
    for (int64_t r = 1; r < l->row_count; r++) {
        const float *from = l->rows[r] + at;
        total = both(maximum, total, (pair){ load(from), load(from + LANES) });
    }
    return total;
}

INLINE void put_point(const native_pool_line *l, bool maximum, pair total, int64_t first,
                      float *out)
{
    if (!maximum) {
        const int64_t begin = first < 0 ? 0 : first;
        const int64_t end = first + l->kernel < l->x_points ? first + l->kernel : l->x_points;
        const int64_t inside = (end - begin) * l->row_count;
        const vec scale = splat(1.0f / (float)(l->include_pad ? l->share : inside));
        total.left *= scale;
        total.right *= scale;
    }
    store(out, total.left);
    store(out + LANES, total.right);
}

/* Windows that share columns with the next one keep what they know of those. */
INLINE void line_of(const native_pool_line *l, bool maximum, const int kernel, const int stride,
                    int64_t channel)
{
    float *out = l->out + channel;
    int64_t x = -l->before;
    pair kept[2];
#pragma GCC unroll 2
    for (int j = 0; j < kernel - stride; j++)
        kept[j] = column_of(l, maximum, x + j, channel);
    for (int64_t p = 0; p < l->points; p++, x += stride, out += l->y_step) {
        pair column[3];
#pragma GCC unroll 3
        for (int j = 0; j < kernel; j++)
            column[j] = j < kernel - stride ? kept[j] : column_of(l, maximum, x + j, channel);
        pair total = column[0];
#pragma GCC unroll 3
        for (int j = 1; j < kernel; j++)
            total = both(maximum, total, column[j]);
        put_point(l, maximum, total, x, out);
#pragma GCC unroll 2
        for (int j = 0; j < kernel - stride; j++)
            kept[j] = column[j + stride];
    }
}

INLINE void any_line(const native_pool_line *l, bool maximum, int64_t channel)
{
    float *out = l->out + channel;
    for (int64_t p = 0; p < l->points; p++, out += l->y_step) {
        const int64_t x = p * l->stride - l->before;
        pair total = column_of(l, maximum, x, channel);
        for (int64_t j = 1; j < l->kernel; j++)
            total = both(maximum, total, column_of(l, maximum, x + j, channel));
        put_point(l, maximum, total, x, out);
    }
}

INLINE void some_line(const native_pool_line *l, bool maximum, int64_t channel)
{
    if (l->kernel == 3 && l->stride == 1)
        line_of(l, maximum, 3, 1, channel);
    else if (l->kernel == 3 && l->stride == 2)
        line_of(l, maximum, 3, 2, channel);
    else if (l->kernel == 2 && l->stride == 2)
        line_of(l, maximum, 2, 2, channel);
    else
        any_line(l, maximum, channel);
}

/* Points in blocks, so that lines of the cache that hold several registers of channels are still there
 * for the next ones. The last channels are done twice rather than in part. */
void ISA(pool_line)(const native_pool_line *l)
{
    enum { BLOCK = 8 };
    native_pool_line some = *l;
    for (int64_t p = 0; p < l->points; p += BLOCK) {
        some.points = l->points - p < BLOCK ? l->points - p : BLOCK;
        some.before = l->before - p * l->stride;
        some.out = l->out + p * l->y_step;
        for (int64_t c = 0; c < l->channels; c += 2 * LANES) {
            const int64_t at = c + 2 * LANES <= l->channels ? c : l->channels - 2 * LANES;
            if (l->maximum)
                some_line(&some, true, at);
            else
                some_line(&some, false, at);
        }
    }
}
