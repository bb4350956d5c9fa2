/* columns.c: images as matrices of columns, and back.
 *
 * Conv: column p holds what output point p sees: a row for each channel and tap. ConvTranspose
 * goes the other way: each input point adds its column to the output. Padding is written as zero,
 * which a weight of infinity then turns into NaN, as the sum over a padded image does.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

/* Outputs [*first, *end) of an axis for which a tap meets the image. */
static void valid_range(const oblas_window *w, int32_t axis, int64_t tap, int64_t *first,
                        int64_t *end)
{
    const int64_t s = w->strides[axis], offset = tap * w->dilations[axis] - w->before[axis];
    const int64_t room = w->x[axis] - offset; /* s * at < room */
    *first = offset < 0 ? (-offset + s - 1) / s : 0;
    *end = room <= 0 ? 0 : (room + s - 1) / s;
    if (*end > w->y[axis])
        *end = w->y[axis];
    if (*first > *end)
        *first = *end;
}

/* count elements from `from`, `step` apart. */
static char *copy_strided(char *to, const char *from, int64_t step, int64_t count, size_t width)
{
    if (step == 1) {
        memcpy(to, from, (size_t)count * width);
    } else if (width == 4) {
        for (int64_t i = 0; i < count; i++)
            memcpy(to + 4 * i, from + 4 * i * step, 4);
    } else {
        for (int64_t i = 0; i < count; i++)
            memcpy(to + 8 * i, from + 8 * i * step, 8);
    }
    return to + (size_t)count * width;
}

static char *zeros(char *to, int64_t count, size_t width)
{
    memset(to, 0, (size_t)count * width);
    return to + (size_t)count * width;
}

/* One row of the matrix: one channel's plane as a tap (td, th, tw) sees it, from output point
 * `first` on. */
static char *gather_row(const oblas_window *w, size_t width, const char *plane, const int64_t *tap,
                        int64_t first, int64_t count, char *to)
{
    int64_t from[3], end[3];
    for (int32_t k = 0; k < 3; k++)
        valid_range(w, k, tap[k], &from[k], &end[k]);
    while (count > 0) {
        const int64_t d = first / (w->y[1] * w->y[2]), h = first / w->y[2] % w->y[1];
        const int64_t start = first % w->y[2];
        const int64_t run = w->y[2] - start < count ? w->y[2] - start : count, stop = start + run;
        int64_t a = from[2] > start ? from[2] : start, b = end[2] < stop ? end[2] : stop;
        first += run;
        count -= run;
        if (d < from[0] || d >= end[0] || h < from[1] || h >= end[1] || a >= b) {
            to = zeros(to, run, width);
            continue;
        }
        to = zeros(to, a - start, width);
        {
            const int64_t z = d * w->strides[0] - w->before[0] + tap[0] * w->dilations[0];
            const int64_t y = h * w->strides[1] - w->before[1] + tap[1] * w->dilations[1];
            const int64_t x = a * w->strides[2] - w->before[2] + tap[2] * w->dilations[2];
            to = copy_strided(to, plane + (size_t)((z * w->x[1] + y) * w->x[2] + x) * width,
                              w->strides[2], b - a, width);
        }
        to = zeros(to, stop - b, width);
    }
    return to;
}

void oblas_gather_columns(const oblas_window *w, size_t width, const void *x, int64_t first,
                          int64_t count, void *out)
{
    char *to = out;
    for (int64_t channel = 0; channel < w->channels; channel++) {
        const char *plane = (const char *)x + (size_t)(channel * w->x_points) * width;
        int64_t tap[3];
        for (tap[0] = 0; tap[0] < w->kernel[0]; tap[0]++)
            for (tap[1] = 0; tap[1] < w->kernel[1]; tap[1]++)
                for (tap[2] = 0; tap[2] < w->kernel[2]; tap[2]++)
                    to = gather_row(w, width, plane, tap, first, count, to);
    }
}

/* ---- back ------------------------------------------------------------------------------- */

/* Inputs [*first, *end) of an axis whose tap falls into the output. */
static void landing_range(const oblas_window *w, int32_t axis, int64_t tap, int64_t *first,
                          int64_t *end)
{
    const int64_t s = w->strides[axis], offset = tap * w->dilations[axis] - w->before[axis];
    const int64_t room = w->y[axis] - offset;
    *first = offset < 0 ? (-offset + s - 1) / s : 0;
    *end = room <= 0 ? 0 : (room + s - 1) / s;
    if (*end > w->x[axis])
        *end = w->x[axis];
}

static void add_row(uint32_t dtype, const char *from, char *to, int64_t step, int64_t count)
{
    if (dtype == TN_FLOAT32) {
        const float *a = (const float *)(const void *)from;
        float *b = (float *)(void *)to;
        for (int64_t i = 0; i < count; i++)
            b[i * step] += a[i];
    } else {
        const double *a = (const double *)(const void *)from;
        double *b = (double *)(void *)to;
        for (int64_t i = 0; i < count; i++)
            b[i * step] += a[i];
    }
}

static void scatter_tap(const oblas_window *w, uint32_t dtype, const char *from, const int64_t *tap,
                        char *plane)
{
    const size_t width = oblas_width(dtype);
    int64_t first[3], end[3], offset[3];
    for (int32_t k = 0; k < 3; k++) {
        landing_range(w, k, tap[k], &first[k], &end[k]);
        offset[k] = tap[k] * w->dilations[k] - w->before[k];
    }
    for (int64_t d = first[0]; d < end[0]; d++) {
        for (int64_t h = first[1]; h < end[1] && first[2] < end[2]; h++) {
            const int64_t source = (d * w->x[1] + h) * w->x[2] + first[2];
            const int64_t z = d * w->strides[0] + offset[0], y = h * w->strides[1] + offset[1];
            const int64_t x = first[2] * w->strides[2] + offset[2];
            add_row(dtype, from + (size_t)source * width,
                    plane + (size_t)((z * w->y[1] + y) * w->y[2] + x) * width, w->strides[2],
                    end[2] - first[2]);
        }
    }
}

void oblas_scatter_columns(const oblas_window *w, uint32_t dtype, const void *columns,
                           int64_t outputs, void *out)
{
    const size_t width = oblas_width(dtype);
    const char *from = columns;
    for (int64_t channel = 0; channel < outputs; channel++) {
        char *plane = (char *)out + (size_t)(channel * w->y_points) * width;
        int64_t tap[3];
        memset(plane, 0, (size_t)w->y_points * width);
        for (tap[0] = 0; tap[0] < w->kernel[0]; tap[0]++)
            for (tap[1] = 0; tap[1] < w->kernel[1]; tap[1]++)
                for (tap[2] = 0; tap[2] < w->kernel[2]; tap[2]++) {
                    scatter_tap(w, dtype, from, tap, plane);
                    from += (size_t)w->x_points * width;
                }
    }
}
