/* tests/differential/vision.c: makers of what vision networks have.
 *
 * SPDX-License-Identifier: MIT */
#include "makers.h"

#include <string.h>

bool conv(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, channels = d[1], out = 1 + below(n, 5);
    const int64_t kernel = d[2] >= 3 && d[3] >= 3 && one_in(n, 2) ? 3 : 1,
                  pad = kernel / 2 * below(n, 2);
    const int64_t stride = 1 + one_in(n, 4);
    const bool depthwise = one_in(n, 4);
    const int64_t group = depthwise ? channels : 1, filters = depthwise ? channels : out;
    const int64_t w_dims[] = { filters, channels / group, kernel, kernel };
    const int64_t y_dims[] = { d[0], filters, (d[2] + 2 * pad - kernel) / stride + 1,
                               (d[3] + 2 * pad - kernel) / stride + 1 };
    int inputs[3] = { x, constant(n, some_style(n), 4, w_dims), 0 };
    const bool bias = one_in(n, 2);
    if (bias)
        inputs[2] = constant(n, some_style(n), 1, &filters);
    net_node *made = add_node(n, "Conv", bias ? 3 : 2, inputs);
    made->length = (double)(w_dims[1] * kernel * kernel + 2);
    ATTRIBUTES(
        made,
        "\"kernel_shape\": [%d, %d], \"pads\": [%d, %d, %d, %d], \"strides\": [%d, %d], \"group\": %d",
        (int)kernel, (int)kernel, (int)pad, (int)pad, (int)pad, (int)pad, (int)stride, (int)stride,
        (int)group);
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

bool conv_transpose(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0 || n->values[x].dims[2] > 6)
        return false;
    const int64_t *d = n->values[x].dims, out = 1 + below(n, 3), w_dims[] = { d[1], out, 2, 2 };
    const int64_t y_dims[] = { d[0], out, 2 * d[2], 2 * d[3] };
    const int inputs[] = { x, constant(n, some_style(n), 4, w_dims),
                           constant(n, some_style(n), 1, &out) };
    net_node *made = add_node(n, "ConvTranspose", 2 + below(n, 2), inputs);
    made->length = (double)(4 * d[1]);
    ATTRIBUTES(made, "\"kernel_shape\": [2, 2], \"strides\": [2, 2]");
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

bool batch_norm(net *n)
{
    const int x = pick(n, 3 + below(n, 2), false);
    if (x < 0)
        return false;
    const int64_t channels = n->values[x].dims[1];
    const int inputs[] = { x, constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels),
                           constant(n, one_in(n, 4) ? ONE : POSITIVE, 1, &channels) };
    net_node *made = add_node(n, "BatchNormalization", 5, inputs);
    made->length = 6;
    same_as(n, made, x);
    return true;
}

bool pool(net *n)
{
    static const char *const ops[] = { "MaxPool", "AveragePool", "GlobalAveragePool",
                                       "GlobalMaxPool" };
    const int x = pick(n, 4, false), which = below(n, 4);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims;
    int64_t y_dims[] = { d[0], d[1], 1, 1 };
    net_node *made;
    if (which < 2) {
        if (d[2] < 2 || d[3] < 2)
            return false;
        made = add_node(n, ops[which], 1, &x);
        ATTRIBUTES(made, "\"kernel_shape\": [2, 2], \"strides\": [2, 2]");
        y_dims[2] = d[2] / 2, y_dims[3] = d[3] / 2;
    } else {
        made = add_node(n, ops[which], 1, &x);
    }
    made->length = (double)(d[2] * d[3]);
    output(n, made, FLOATS, 4, y_dims);
    return true;
}

bool pad(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, by = below(n, 2);
    const int64_t pads[] = { 0, 0, by, by, 0, 0, by, by };
    const int64_t y_dims[] = { d[0], d[1], d[2] + 2 * by, d[3] + 2 * by };
    const int inputs[] = { x, integers(n, 8, pads) };
    output(n, add_node(n, "Pad", 2, inputs), FLOATS, 4, y_dims);
    return true;
}

bool instance_norm(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t channels = n->values[x].dims[1];
    const int inputs[] = { x, constant(n, some_style(n), 1, &channels),
                           constant(n, some_style(n), 1, &channels) };
    net_node *made = add_node(n, "InstanceNormalization", 3, inputs);
    made->length = (double)elements(&n->values[x]);
    same_as(n, made, x);
    return true;
}
