/* backends/openblas/window.c: windows as a matrix (im2col), and back (col2im).
 *
 * Row (channel, tap), column position: what the filter's tap sees there; 0 on padding, a product
 * with which is taken like any other.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

static int64_t list_at(const tn_node_view *node, const char *name, int32_t k, int64_t otherwise)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list);
    return (size_t)k < count ? list[k] : otherwise;
}

void openblas_read_window(const tn_node_view *node, const int64_t *kernel, int32_t spatial, const int64_t *large,
                          const int64_t *small, int transposed, openblas_window *out)
{
    const char *auto_pad = tn_attr_string(node, "auto_pad", "NOTSET");
    const int64_t *shape;
    const int by_extents = strncmp(auto_pad, "SAME", 4) == 0 || (transposed && tn_attr_ints(node, "output_shape", &shape));
    const int upper = strcmp(auto_pad, "SAME_UPPER") == 0;
    *out = (openblas_window){ .spatial = spatial, .group = tn_attr_int(node, "group", 1), .taps = 1 };
    for (int32_t k = 0; k < spatial; k++) {
        out->kernel[k] = kernel[k];
        out->taps *= kernel[k];
        out->stride[k] = list_at(node, "strides", k, 1);
        out->dilation[k] = list_at(node, "dilations", k, 1);
        out->pad[k] = list_at(node, "pads", k, 0);
        if (!by_extents)
            continue;
        const int64_t extra = transposed ? list_at(node, "output_padding", k, 0) : 0;
        int64_t total = (small[k] - 1) * out->stride[k] + (kernel[k] - 1) * out->dilation[k] + 1 + extra - large[k];
        total = total > 0 ? total : 0;
        /* Convolution: the odd one behind with SAME_UPPER. Transposed, as the standard's formula
         * says: in front with SAME_UPPER and behind otherwise. */
        const int64_t half = total / 2;
        out->pad[k] = transposed ? (upper ? half : total - half) : (upper ? half : total - half);
    }
}

/* Where the windows' first taps lie for position `at`, on each axis. */
static void origin_of(const openblas_window *w, const int64_t *small, int64_t at, int64_t *origin)
{
    for (int32_t k = w->spatial - 1; k >= 0; k--) {
        origin[k] = at % small[k] * w->stride[k] - w->pad[k];
        at /= small[k];
    }
}

static void tap_of(const openblas_window *w, int64_t tap, int64_t *index)
{
    for (int32_t k = w->spatial - 1; k >= 0; k--) {
        index[k] = tap % w->kernel[k] * w->dilation[k];
        tap /= w->kernel[k];
    }
}

/* The offset in a plane that a tap of a window sees; -1 on padding. */
static int64_t seen(const openblas_window *w, const int64_t *large, const int64_t *origin, const int64_t *tap)
{
    int64_t at = 0;
    for (int32_t k = 0; k < w->spatial; k++) {
        const int64_t here = origin[k] + tap[k];
        if (here < 0 || here >= large[k])
            return -1;
        at = at * large[k] + here;
    }
    return at;
}

static int64_t product(const int64_t *extents, int32_t count)
{
    int64_t all = 1;
    for (int32_t k = 0; k < count; k++)
        all *= extents[k];
    return all;
}

/* A run of positions on the last axis: one multiplication less for each element. */
static int64_t run_length(const openblas_window *w, const int64_t *small, int64_t at, int64_t left)
{
    const int64_t room = small[w->spatial - 1] - at % small[w->spatial - 1];
    return room < left ? room : left;
}

#define GATHER(type)                                                                               \
    static void gather_##type(const openblas_window *w, const type *plane, const int64_t *large, const int64_t *small, \
                              const int64_t *tap, int64_t first, int64_t count, type *out)         \
    {                                                                                              \
        const int32_t last = w->spatial - 1;                                                       \
        for (int64_t done = 0; done < count;) {                                                    \
            const int64_t length = run_length(w, small, first + done, count - done);               \
            int64_t origin[TN_MAX_RANK];                                                           \
            origin_of(w, small, first + done, origin);                                             \
            for (int64_t i = 0; i < length; i++, origin[last] += w->stride[last]) {                \
                const int64_t at = seen(w, large, origin, tap);                                    \
                out[done + i] = at < 0 ? 0 : plane[at];                                            \
            }                                                                                      \
            done += length;                                                                        \
        }                                                                                          \
    }
GATHER(float)
GATHER(double)

void openblas_gather(const openblas_window *w, uint32_t dtype, const void *plane0, const int64_t *large, const int64_t *small,
                     int64_t channels, int64_t first, int64_t count, void *out)
{
    const int64_t plane = product(large, w->spatial);
    for (int64_t row = 0; row < channels * w->taps; row++) {
        int64_t tap[TN_MAX_RANK];
        const void *from = openblas_at(plane0, dtype, row / w->taps * plane);
        void *to = openblas_to(out, dtype, row * count);
        tap_of(w, row % w->taps, tap);
        if (dtype == TN_FLOAT64)
            gather_double(w, from, large, small, tap, first, count, to);
        else
            gather_float(w, from, large, small, tap, first, count, to);
    }
}

#define SCATTER(type)                                                                              \
    static void scatter_##type(const openblas_window *w, type *plane, const int64_t *large, const int64_t *small, \
                               const int64_t *tap, int64_t count, const type *from)                \
    {                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t origin[TN_MAX_RANK];                                                           \
            origin_of(w, small, i, origin);                                                        \
            const int64_t at = seen(w, large, origin, tap);                                        \
            if (at >= 0)                                                                           \
                plane[at] += from[i];                                                              \
        }                                                                                          \
    }
SCATTER(float)
SCATTER(double)

void openblas_scatter(const openblas_window *w, uint32_t dtype, void *plane0, const int64_t *large, const int64_t *small,
                      int64_t channels, const void *columns)
{
    const int64_t plane = product(large, w->spatial), positions = product(small, w->spatial);
    for (int64_t row = 0; row < channels * w->taps; row++) {
        int64_t tap[TN_MAX_RANK];
        void *to = openblas_to(plane0, dtype, row / w->taps * plane);
        const void *from = openblas_at(columns, dtype, row * positions);
        tap_of(w, row % w->taps, tap);
        if (dtype == TN_FLOAT64)
            scatter_double(w, to, large, small, tap, positions, from);
        else
            scatter_float(w, to, large, small, tap, positions, from);
    }
}
