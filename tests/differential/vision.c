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

/* What reads everything of a picture and decides how much of each channel stays. */
bool squeeze_excite(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, channels = d[1], few = 1 + channels / 2;
    const int64_t down[] = { few, channels, 1, 1 }, up[] = { channels, few, 1, 1 };
    const int64_t axes[] = { 2, 3 }, one[] = { d[0], channels, 1, 1 }, less[] = { d[0], few, 1, 1 };
    const double area = (double)(d[2] * d[3]);
    const bool reduced = one_in(n, 2);
    const int gather[] = { x, reduced ? integers(n, 2, axes) : -1 };
    net_node *made = add_node(n, reduced ? "ReduceMean" : "GlobalAveragePool", 1 + reduced, gather);
    made->length = area;
    int y = output(n, made, FLOATS, 4, one);
    const int first[] = { y, constant(n, ANY, 4, down), constant(n, ANY, 1, &few) };
    made = add_node(n, "Conv", 3, first);
    made->length = (double)channels + 2;
    y = unary(n, one_in(n, 2) ? "Relu" : "HardSwish", output(n, made, FLOATS, 4, less));
    const int second[] = { y, constant(n, ANY, 4, up), constant(n, ANY, 1, &channels) };
    made = add_node(n, "Conv", 3, second);
    made->length = (double)few + 2;
    y = unary(n, one_in(n, 2) ? "Sigmoid" : "HardSigmoid", output(n, made, FLOATS, 4, one));
    binary(n, "Mul", x, y, x);
    return true;
}

/* A Conv between turns, as frameworks that keep channels last leave it. */
bool channels_last(net *n)
{
    static const int in[] = { 0, 3, 1, 2 }, out[] = { 0, 2, 3, 1 };
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, filters = one_in(n, 2) ? d[3] : 1 + below(n, 4);
    const int64_t w_dims[] = { filters, d[3], 1, 1 }, y_dims[] = { d[0], filters, d[1], d[2] };
    const double length = (double)d[3] + 2;
    const bool residual = filters == d[3];
    const int inputs[] = { transposed(n, x, in), constant(n, some_style(n), 4, w_dims) };
    net_node *made = add_node(n, "Conv", 2, inputs);
    made->length = length;
    int y = transposed(n, output(n, made, FLOATS, 4, y_dims), out);
    y = binary(n, "Add", y, constant(n, some_style(n), 1, &filters), y);
    y = unary(n, "Relu", y);
    if (residual)
        binary(n, "Add", y, x, x);
    return true;
}

/* Reshape, Transpose, Reshape: a shuffle of channels, or depth to space. */
bool permuted_channels(net *n)
{
    static const int shuffle[] = { 0, 2, 1, 3, 4 };
    const int x = pick(n, 4, false);
    if (x < 0 || n->values[x].dims[1] % 2)
        return false;
    const int64_t *d = n->values[x].dims, whole[] = { d[0], d[1], d[2], d[3] };
    const int64_t groups[] = { d[0], 2, d[1] / 2, d[2], d[3] };
    if (d[1] % 4 == 0 && one_in(n, 2)) {
        const int64_t y_dims[] = { d[0], d[1] / 4, 2 * d[2], 2 * d[3] };
        net_node *made = add_node(n, "DepthToSpace", 1, &x);
        ATTRIBUTES(made, "\"blocksize\": 2, \"mode\": \"%s\"", one_in(n, 2) ? "CRD" : "DCR");
        output(n, made, FLOATS, 4, y_dims);
    } else {
        reshaped(n, transposed(n, reshaped(n, x, 5, groups), shuffle), 4, whole);
    }
    return true;
}

/* By the operator, or as Reshape, InstanceNormalization, Reshape, Mul, Add. */
bool group_norm(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0 || n->values[x].dims[1] % 2)
        return false;
    const int64_t *d = n->values[x].dims, channels = d[1], each[] = { channels, 1, 1 };
    const int64_t whole[] = { d[0], channels, d[2], d[3] }, two = 2;
    const int64_t flat[] = { d[0], 2, channels / 2 * d[2] * d[3] };
    const double length = 4 * (double)flat[2];
    if (one_in(n, 2)) {
        const int inputs[] = { x, constant(n, some_style(n), 1, &channels),
                               constant(n, some_style(n), 1, &channels) };
        net_node *made = add_node(n, "GroupNormalization", 3, inputs);
        made->length = length;
        ATTRIBUTES(made, "\"num_groups\": 2");
        same_as(n, made, x);
        return true;
    }
    const int parts = reshaped(n, x, 3, flat);
    const int inputs[] = { parts, constant(n, ONE, 1, &two), constant(n, ZERO, 1, &two) };
    net_node *made = add_node(n, "InstanceNormalization", 3, inputs);
    made->length = length;
    int y = reshaped(n, same_as(n, made, parts), 4, whole);
    y = binary(n, "Mul", y, constant(n, some_style(n), 3, each), y);
    binary(n, "Add", y, constant(n, some_style(n), 3, each), y);
    return true;
}

bool resize(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0 || n->values[x].dims[2] > 5)
        return false;
    const int64_t *d = n->values[x].dims, dims[] = { d[0], d[1], 2 * d[2], 2 * d[3] };
    const int inputs[] = { x, -1, -1, integers(n, 4, dims) };
    net_node *made = add_node(n, "Resize", 4, inputs);
    made->length = 8;
    ATTRIBUTES(made, "%s",
               one_in(n, 2)
                   ? "\"mode\": \"linear\""
                   : "\"mode\": \"nearest\", \"coordinate_transformation_mode\": \"asymmetric\"");
    output(n, made, FLOATS, 4, dims);
    return true;
}

/* One input, several kernels, side by side: as in an inception module. */
bool siblings(net *n)
{
    const int x = pick(n, 4, false);
    if (x < 0)
        return false;
    const int64_t *d = n->values[x].dims, batch = d[0], channels = d[1], h = d[2], w = d[3];
    int parts[3];
    int64_t all[] = { batch, 0, h, w };
    for (int k = 0; k < 3; k++) {
        const int64_t out = 1 + below(n, 2), w_dims[] = { out, channels, 1, 1 };
        const int64_t y_dims[] = { batch, out, h, w };
        const int inputs[] = { x, constant(n, some_style(n), 4, w_dims) };
        net_node *made = add_node(n, "Conv", 2, inputs);
        made->length = (double)channels;
        parts[k] = output(n, made, FLOATS, 4, y_dims);
        all[1] += out;
    }
    net_node *joined = add_node(n, "Concat", 3, parts);
    ATTRIBUTES(joined, "\"axis\": 1");
    output(n, joined, FLOATS, 4, all);
    return true;
}
