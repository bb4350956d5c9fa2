/* window.c: geometry of Conv and pools from a node's attributes and its types.
 *
 * ONNX: attributes kernel_shape, strides, dilations, pads, auto_pad, group. The output's extents
 * are inferred already, so only the padding in front is of interest.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

static int64_t item(const int64_t *values, size_t count, int32_t k, int64_t fallback)
{
    return values && (size_t)k < count ? values[k] : fallback;
}

static void read_axis(const tn_node_view *node, int32_t axis, native_window *w, int32_t k)
{
    const char *auto_pad = tn_attr_string(node, "auto_pad", "NOTSET");
    const int64_t *pads, *strides, *dilations;
    const size_t pad_count = tn_attr_ints(node, "pads", &pads);
    const size_t stride_count = tn_attr_ints(node, "strides", &strides);
    const size_t dilation_count = tn_attr_ints(node, "dilations", &dilations);
    w->strides[k] = item(strides, stride_count, axis, 1);
    w->dilations[k] = item(dilations, dilation_count, axis, 1);
    w->before[k] = strcmp(auto_pad, "NOTSET") == 0 ? item(pads, pad_count, axis, 0) : 0;
    if (strncmp(auto_pad, "SAME", 4) == 0) {
        const int64_t reach = (w->kernel[k] - 1) * w->dilations[k] + 1;
        const int64_t need = (w->y[k] - 1) * w->strides[k] + reach - w->x[k];
        const int64_t total = need < 0 ? 0 : need;
        w->before[k] = strcmp(auto_pad, "SAME_LOWER") == 0 ? total - total / 2 : total / 2;
    }
}

tn_status native_window_read(const tn_problem *p, const int64_t *kernel, native_window *w,
                             char *reason, size_t bytes)
{
    const tn_type *x = p->inputs[0], *y = p->outputs[0];
    const int32_t spatial = x->rank - 2;
    const int64_t *shape = NULL;
    const size_t shape_count = kernel ? 0 : tn_attr_ints(p->node, "kernel_shape", &shape);
    memset(w, 0, sizeof *w);
    if (spatial < 1 || spatial > 2) {
        snprintf(reason, bytes, "rank is %d: one or two spatial axes here", (int)x->rank);
        return TN_DECLINED;
    }
    for (int32_t k = 0; k < 2; k++) {
        w->x[k] = w->y[k] = w->kernel[k] = w->strides[k] = w->dilations[k] = 1;
        if (k < 2 - spatial)
            continue;
        const int32_t axis = k - (2 - spatial);
        w->x[k] = x->dims[2 + axis];
        w->y[k] = y->dims[2 + axis];
        w->kernel[k] = kernel ? kernel[axis] : item(shape, shape_count, axis, 1);
        read_axis(p->node, axis, w, k);
    }
    w->images = x->dims[0];
    w->groups = kernel ? tn_attr_int(p->node, "group", 1) : 1;
    w->channels = x->dims[1] / w->groups;
    w->outputs = y->dims[1] / w->groups;
    return TN_OK;
}

bool native_all_are(const tn_node_view *node, const char *attribute, int64_t value)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, attribute, &list);
    for (size_t k = 0; k < count; k++)
        if (list[k] != value)
            return false;
    return true;
}
