/* window.c: geometry of Conv and ConvTranspose from a node's attributes and its types.
 *
 * ONNX: attributes strides, dilations, pads, auto_pad, group; output extents are inferred already,
 * so only the padding before the first element is of interest.
 *
 * SPDX-License-Identifier: MIT */
#include "oblas.h"

#include <stdio.h>
#include <string.h>

static int64_t item(const int64_t *values, size_t count, int32_t k, int64_t fallback)
{
    return values && (size_t)k < count ? values[k] : fallback;
}

/* The part of the padding that stands before, for auto_pad and ConvTranspose's output_shape. */
static int64_t split(int64_t total, const char *auto_pad, bool transposed)
{
    const bool larger = transposed ? strcmp(auto_pad, "SAME_UPPER") != 0
                                   : strcmp(auto_pad, "SAME_LOWER") == 0;
    if (total < 0)
        total = 0;
    return larger ? total - total / 2 : total / 2;
}

static void read_axis(const tn_node_view *node, int32_t axis, bool transposed, oblas_window *w,
                      int32_t k)
{
    const char *auto_pad = tn_attr_string(node, "auto_pad", "NOTSET");
    const bool same = strncmp(auto_pad, "SAME", 4) == 0;
    const int64_t *pads, *strides, *dilations, *shape, *extra;
    const size_t pad_count = tn_attr_ints(node, "pads", &pads);
    const size_t stride_count = tn_attr_ints(node, "strides", &strides);
    const size_t dilation_count = tn_attr_ints(node, "dilations", &dilations);
    const size_t shape_count = tn_attr_ints(node, "output_shape", &shape);
    const size_t extra_count = tn_attr_ints(node, "output_padding", &extra);
    int64_t reach;
    w->strides[k] = item(strides, stride_count, axis, 1);
    w->dilations[k] = item(dilations, dilation_count, axis, 1);
    reach = (w->kernel[k] - 1) * w->dilations[k] + 1;
    w->before[k] = strcmp(auto_pad, "NOTSET") == 0 ? item(pads, pad_count, axis, 0) : 0;
    if (transposed && (same || shape_count))
        w->before[k] = split(w->strides[k] * (w->x[k] - 1) + item(extra, extra_count, axis, 0) +
                                 reach - w->y[k],
                             auto_pad, true);
    else if (same)
        w->before[k] = split((w->y[k] - 1) * w->strides[k] + reach - w->x[k], auto_pad, false);
}

tn_status oblas_window_read(const tn_problem *p, bool transposed, oblas_window *w, char *reason,
                            size_t bytes)
{
    const tn_type *x = p->inputs[0], *weights = p->inputs[1], *y = p->outputs[0];
    const int32_t spatial = x->rank - 2;
    memset(w, 0, sizeof *w);
    if (spatial < 1 || spatial > 3 || weights->rank != x->rank || y->rank != x->rank) {
        snprintf(reason, bytes, "rank is %d: one to three spatial axes here", (int)x->rank);
        return TN_DECLINED;
    }
    for (int32_t k = 0; k < 3; k++) {
        w->x[k] = w->y[k] = w->kernel[k] = w->strides[k] = w->dilations[k] = 1;
        if (k < 3 - spatial)
            continue;
        w->x[k] = x->dims[x->rank - 3 + k];
        w->y[k] = y->dims[x->rank - 3 + k];
        w->kernel[k] = weights->dims[x->rank - 3 + k];
        read_axis(p->node, k - (3 - spatial), transposed, w, k);
    }
    w->images = x->dims[0];
    w->groups = tn_attr_int(p->node, "group", 1);
    w->channels = x->dims[1] / w->groups;
    w->outputs = y->dims[1] / w->groups;
    w->taps = tn_extent(w->kernel, 0, 3);
    w->x_points = tn_extent(w->x, 0, 3);
    w->y_points = tn_extent(w->y, 0, 3);
    if (!oblas_fits(w->x_points) || !oblas_fits(w->y_points) ||
        !oblas_fits(w->taps * (transposed ? w->outputs : w->channels))) {
        snprintf(reason, bytes,
                 "a matrix of more than 2^31 - 1 rows or columns: OpenBLAS counts "
                 "in 32 bits");
        return TN_DECLINED;
    }
    return TN_OK;
}
