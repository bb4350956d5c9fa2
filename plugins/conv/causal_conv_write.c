/* plugins/conv/causal_conv_write.c: CausalConvWithState as other operators (ONNX operators:
 * CausalConvWithState).
 *
 *   all = past_state (zeros where there is none), then input;   output = f(Conv(all, weight, bias))
 *
 * Conv's `group` is a number: where that of the channels is not known, what each tap meets is
 * gathered instead, [B, C, L, k], multiplied and summed.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"

#include "tenon/upgrade.h"

enum { INPUT, WEIGHT, BIAS, PAST };

/* A vector of one int64. */
static tn_value_id put_extent(tn_edit *e, uint32_t k, int32_t axis)
{
    const tn_value_id x = tn_edit_input(e, k);
    const tn_type *type = tn_edit_type(e, x);
    if (type && type->rank > axis && tn_dim_known(type->dims[axis]))
        return tn_put_int(e, type->dims[axis]);
    const tn_value_id shape = tn_put(e, "Shape", x, TN_NONE, TN_NONE, NULL);
    return tn_put(e, "Gather", shape, tn_put_int(e, axis), TN_NONE, NULL);
}

static tn_value_id put_all(tn_edit *e)
{
    static const int64_t none[3] = { 0, 0, 0 };
    const tn_value_id input = tn_edit_input(e, INPUT), past = tn_edit_input(e, PAST);
    if (past != TN_NONE)
        return tn_put_with(e, "Concat", past, input, "axis", 2);
    const tn_value_id kept = tn_put(e, "Sub", put_extent(e, WEIGHT, 2), tn_put_int(e, 1), TN_NONE,
                                    NULL);
    const tn_value_id pads = tn_put_join(e, tn_put_ints(e, none, 2), kept, tn_put_ints(e, none, 3));
    return tn_put(e, "Pad", input, pads, TN_NONE, NULL);
}

/* Steps from `begin` up to `end`. */
static tn_value_id put_steps(tn_edit *e, tn_value_id x, tn_value_id begin, tn_value_id end)
{
    const tn_value_id inputs[4] = { x, begin, end, tn_put_int(e, 2) };
    return tn_put_node(e, "Slice", inputs, 4, NULL, 0);
}

/* What is behind the input's extent: the last k - 1. */
static tn_value_id put_present(tn_edit *e, tn_value_id all)
{
    return put_steps(e, all, put_extent(e, INPUT, 2), tn_put_int(e, INT64_MAX));
}

/* Conv refuses an input that its kernel does not fit on, as where there is no step at all: unless
 * there are some for sure, it gets one more, which goes again. */
static tn_value_id put_conv(tn_edit *e, tn_value_id all, int64_t groups)
{
    static const int64_t more[2] = { 0, 1 };
    const tn_value_id bias = tn_edit_input(e, BIAS);
    const tn_value_id inputs[3] = { all, tn_edit_input(e, WEIGHT), bias };
    const tn_dim steps = conv_dim(tn_edit_type(e, tn_edit_input(e, INPUT)), 2);
    const int sure = tn_dim_known(steps) && steps > 0;
    const tn_attribute attributes[2] = {
        tn_attribute_of_int("group", groups),
        { .size = sizeof *attributes,
          .type = TN_ATTR_INTS,
          .name = "pads",
          .count = 2,
          .ints = more },
    };
    const tn_value_id y = tn_put_node(e, "Conv", inputs, bias == TN_NONE ? 2 : 3, attributes,
                                      sure ? 1 : 2);
    return sure ? y : put_steps(e, y, tn_put_int(e, 0), put_extent(e, INPUT, 2));
}

/* 0, 1, … up to an extent. */
static tn_value_id put_range(tn_edit *e, tn_value_id extent)
{
    const int64_t zero = 0, one = 1;
    return tn_put(e, "Range", tn_put_constant(e, TN_INT64, 0, 1, &zero),
                  tn_put(e, "Squeeze", extent, TN_NONE, TN_NONE, NULL),
                  tn_put_constant(e, TN_INT64, 0, 1, &one), NULL);
}

static tn_value_id put_wide(tn_edit *e, tn_value_id x)
{
    return tn_put_with(e, "Cast", x, TN_NONE, "to", TN_FLOAT32);
}

/* The sum of each element's taps, without Conv. */
static tn_value_id put_sums(tn_edit *e, tn_value_id all)
{
    const tn_value_id bias = tn_edit_input(e, BIAS);
    const tn_value_id steps = tn_put(e, "Unsqueeze", put_range(e, put_extent(e, INPUT, 2)),
                                     tn_put_int(e, 1), TN_NONE, NULL);
    const tn_value_id places = tn_put(e, "Add", steps, put_range(e, put_extent(e, WEIGHT, 2)),
                                      TN_NONE, NULL);
    const tn_value_id met = tn_put_with(e, "Gather", put_wide(e, all), places, "axis", 2);
    const tn_value_id parts = tn_put(e, "Mul", met, put_wide(e, tn_edit_input(e, WEIGHT)), TN_NONE,
                                     NULL);
    tn_value_id sum = tn_put_with(e, "ReduceSum", parts, tn_put_int(e, -1), "keepdims", 0);
    if (bias != TN_NONE)
        sum = tn_put(e, "Add", sum,
                     tn_put(e, "Unsqueeze", put_wide(e, bias), tn_put_int(e, 1), TN_NONE, NULL),
                     TN_NONE, NULL);
    return tn_put(e, "CastLike", sum, tn_edit_input(e, INPUT), TN_NONE, NULL);
}

/* TN_DIM_UNKNOWN where no input tells a number. */
static tn_dim channels(const tn_edit *e)
{
    static const int32_t axes[] = { [INPUT] = 1, [WEIGHT] = 0, [BIAS] = 0, [PAST] = 1 };
    for (uint32_t k = INPUT; k <= PAST; k++) {
        const tn_dim dim = conv_dim(tn_edit_type(e, tn_edit_input(e, k)), axes[k]);
        if (tn_dim_known(dim))
            return dim;
    }
    return TN_DIM_UNKNOWN;
}

tn_status causal_conv_write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit edit = tn_edit_node(ctx, node), *e = &edit;
    const int bent = strcmp(tn_attr_string(tn_edit_view(e), "activation", "none"), "none") != 0;
    const tn_value_id present = tn_edit_output(e, 1), all = put_all(e);
    const tn_dim groups = channels(e);
    tn_value_id y = groups > 0 ? put_conv(e, all, groups) : put_sums(e, all);
    if (bent)
        y = tn_put(e, "Mul", y, tn_put(e, "Sigmoid", y, TN_NONE, TN_NONE, NULL), TN_NONE, NULL);
    const tn_value_id kept = present == TN_NONE ? TN_NONE : put_present(e, all);
    if (present != TN_NONE && e->status == TN_OK)
        e->status = ctx->api->replace(ctx->graph, present, kept);
    return tn_edit_give(e, y);
}
