/* window.c: the sliding windows of Conv, ConvTranspose and the pools, from a node's attributes.
 *
 * ONNX: attributes kernel_shape, strides, dilations, pads, auto_pad; the output's extents are
 * inferred already and decide SAME_* and ceil_mode. For each axis, with the window's reach
 * r = (kernel - 1) * dilation + 1:
 *     out = floor((in + before + after - r) / stride) + 1          (Conv, pools)
 *     out = stride * (in - 1) + output_padding + r - before - after  (ConvTranspose)
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <stdio.h>
#include <string.h>

static int64_t item(const int64_t *values, size_t count, int32_t k, int64_t fallback)
{
    return values && (size_t)k < count ? values[k] : fallback;
}

static tn_status refuse(char *reason, size_t bytes, const char *text)
{
    snprintf(reason, bytes, "%s", text);
    return TN_DECLINED;
}

static int64_t reach(const onednn_window *w, int32_t k)
{
    return (w->kernel[k] - 1) * (w->dilations[k] + 1) + 1;
}

/* Padding that SAME_UPPER and SAME_LOWER (and ConvTranspose's output_shape) ask for in all. */
static void split_padding(onednn_window *w, int32_t k, int64_t total, const char *auto_pad,
                          bool transposed)
{
    const bool lower = strcmp(auto_pad, "SAME_LOWER") == 0;
    if (total < 0 && !transposed)
        total = 0;
    /* The odd one stands at the end for SAME_UPPER; ConvTranspose without it puts it there too
     * only for SAME_UPPER. */
    if (transposed ? strcmp(auto_pad, "SAME_UPPER") != 0 : lower)
        w->before[k] = total - total / 2;
    else
        w->before[k] = total / 2;
    w->after[k] = total - w->before[k];
}

static tn_status axis_read(const tn_node_view *node, const tn_type *x, const tn_type *y, int32_t k,
                           bool transposed, onednn_window *w, char *reason, size_t bytes)
{
    const char *auto_pad = tn_attr_string(node, "auto_pad", "NOTSET");
    const bool same = strncmp(auto_pad, "SAME", 4) == 0;
    const int64_t *pads, *shape, *extra, in = x->dims[2 + k], out = y->dims[2 + k];
    const size_t pad_count = tn_attr_ints(node, "pads", &pads);
    const size_t shape_count = tn_attr_ints(node, "output_shape", &shape);
    const size_t extra_count = tn_attr_ints(node, "output_padding", &extra);
    int64_t made;
    if (strcmp(auto_pad, "NOTSET") == 0) {
        w->before[k] = item(pads, pad_count, k, 0);
        w->after[k] = item(pads, pad_count, k + w->rank, 0);
    }
    if (transposed) {
        const int64_t full = w->strides[k] * (in - 1) + item(extra, extra_count, k, 0) +
                             reach(w, k);
        if (same || shape_count)
            split_padding(w, k, full - out, auto_pad, true);
        if (full - w->before[k] - w->after[k] != out)
            return refuse(reason, bytes, "the output's extents do not follow from its pads");
        /* oneDNN knows no output_padding: it is padding left out at the end. */
        w->after[k] -= item(extra, extra_count, k, 0);
        return TN_OK;
    }
    if (same)
        split_padding(w, k, (out - 1) * w->strides[k] + reach(w, k) - in, auto_pad, false);
    made = (in + w->before[k] + w->after[k] - reach(w, k));
    made = made < 0 ? 0 : made / w->strides[k] + 1;
    if (made < out)
        w->after[k] = (out - 1) * w->strides[k] + reach(w, k) - in - w->before[k];
    if (made > out)
        return refuse(reason, bytes, "the output is smaller than its pads make it");
    return TN_OK;
}

tn_status onednn_window_read(const tn_node_view *node, const int64_t *kernel, const tn_type *x,
                             const tn_type *y, bool transposed, onednn_window *w, char *reason,
                             size_t bytes)
{
    const int64_t *shape, *strides, *dilations;
    const size_t shape_count = tn_attr_ints(node, "kernel_shape", &shape);
    const size_t stride_count = tn_attr_ints(node, "strides", &strides);
    const size_t dilation_count = tn_attr_ints(node, "dilations", &dilations);
    memset(w, 0, sizeof *w);
    w->rank = x->rank - 2;
    if (w->rank < 1 || w->rank > ONEDNN_MAX_SPATIAL || y->rank != x->rank)
        return refuse(reason, bytes, "oneDNN has one to three spatial axes");
    for (int32_t k = 0; k < w->rank; k++) {
        w->kernel[k] = kernel ? kernel[k] : item(shape, shape_count, k, 0);
        w->strides[k] = item(strides, stride_count, k, 1);
        w->dilations[k] = item(dilations, dilation_count, k, 1) - 1;
        if (w->kernel[k] < 1 || w->strides[k] < 1 || w->dilations[k] < 0)
            return refuse(reason, bytes, "kernel, stride and dilation must be at least 1");
        TN_TRY(axis_read(node, x, y, k, transposed, w, reason, bytes));
    }
    return TN_OK;
}

/* Whether window number `at` on axis k meets an element. */
static bool meets(const onednn_window *w, int32_t k, int64_t extent, int64_t at)
{
    const int64_t start = at * w->strides[k] - w->before[k], step = w->dilations[k] + 1;
    const int64_t skip = start < 0 ? (-start + step - 1) / step : 0; /* taps before the first */
    return skip < w->kernel[k] && start + skip * step < extent;
}

bool onednn_window_covers(const onednn_window *w, const tn_type *x, const tn_type *y)
{
    for (int32_t k = 0; k < w->rank; k++)
        for (int64_t at = 0; at < y->dims[2 + k]; at++)
            if (!meets(w, k, x->dims[2 + k], at))
                return false;
    return true;
}
