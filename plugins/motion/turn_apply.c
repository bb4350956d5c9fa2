/* plugins/motion/turn_apply.c: a node edited so that it computes on turned values what it computed on plain
 * ones: constants turned, axes and vectors renamed.
 *
 * SPDX-License-Identifier: MIT */
#include "turn.h"

#include <stdlib.h>

/* Element by element of what is turned. */
static void copy_turned(const tn_tensor *from, const turn *t, const int64_t *dims, uint8_t *to)
{
    const size_t element = tn_dtype_bits(from->dtype) / 8;
    int64_t steps[TN_MAX_RANK], strides[1][TN_MAX_RANK] = { { 0 } }, index[TN_MAX_RANK] = { 0 };
    int64_t at = 0, own[TN_MAX_RANK];
    for (int32_t a = 0; a < t->rank; a++)
        own[a] = dims[t->axes[a]];
    tn_row_major(t->rank, own, steps);
    for (int32_t a = 0; a < t->rank; a++)
        strides[0][t->axes[a]] = steps[a];
    do {
        memcpy(to, (const uint8_t *)from->data + (size_t)at * element, element);
        to += element;
    } while (tn_next(t->rank, dims, index, 1, (const int64_t(*)[TN_MAX_RANK])strides, &at));
}

/* Input k, a constant, turned as the data are; of fewer axes, which are raised. */
static tn_status turn_constant(tn_rewrite *ctx, tn_node_id node, uint32_t k, const turn *t)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_tensor *from = motion_constant(ctx, view->inputs[k]);
    int64_t dims[TN_MAX_RANK];
    tn_tensor made = *from;
    tn_value_id value;
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = view->region, .tensor = &made, .value = TN_NONE
    };
    for (int32_t a = 0; a < t->rank; a++) {
        const int32_t own = a - (t->rank - from->rank);
        dims[t->axes[a]] = own < 0 ? 1 : from->dims[own];
    }
    uint8_t *data = malloc(from->bytes + 1);
    if (!data)
        return tn_fail(ctx, TN_ERR_MEMORY, "no memory for a turned constant");
    if (tn_extent(dims, 0, t->rank))
        copy_turned(from, t, dims, data);
    made.rank = t->rank;
    made.dims = dims;
    made.data = data;
    const tn_status status = ctx->api->add_constant(ctx->graph, &desc, &value);
    free(data);
    TN_TRY(status);
    return ctx->api->set_input(ctx->graph, node, k, value);
}

static tn_status turn_constants(tn_rewrite *ctx, tn_node_id node, const turn *t)
{
    for (uint32_t k = 0; k < ctx->api->node(ctx->graph, node)->input_count; k++)
        if (turn_role_of(ctx, ctx->api->node(ctx->graph, node), k) == TURN_CONSTANT)
            TN_TRY(turn_constant(ctx, node, k, t));
    return TN_OK;
}

static tn_status turn_axis(tn_rewrite *ctx, tn_node_id node, const turn *t, int64_t fallback)
{
    const int32_t axis = tn_axis(tn_attr_int(ctx->api->node(ctx->graph, node), "axis", fallback),
                                 t->rank);
    return motion_set_int(ctx, node, "axis", t->axes[axis]);
}

/* The axes that input k names, renamed; none there: the first `count`. */
static tn_status turn_axes(tn_rewrite *ctx, tn_node_id node, uint32_t k, const turn *t,
                           int32_t count)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_region_id region = view->region;
    int64_t axes[2 * TN_MAX_RANK];
    tn_value_id value;
    const int absent = motion_input(view, k) == TN_NONE;
    if (!absent)
        count = motion_integers(ctx, view->inputs[k], axes);
    for (int32_t i = 0; i < count; i++)
        axes[i] = t->axes[absent ? i : tn_axis(axes[i], t->rank)];
    TN_TRY(motion_add_integers(ctx, region, axes, count, &value));
    return ctx->api->set_input(ctx->graph, node, k, value);
}

/* Input k, which has a number of any type for each axis, `parts` times. */
static tn_status turn_vector(tn_rewrite *ctx, tn_node_id node, uint32_t k, const turn *t, int parts)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_tensor *from = motion_constant(ctx, view->inputs[k]);
    const size_t element = tn_dtype_bits(from->dtype) / 8;
    uint8_t data[2 * TN_MAX_RANK * 8];
    tn_tensor made = *from;
    tn_value_id value;
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = view->region, .tensor = &made, .value = TN_NONE
    };
    for (int part = 0; part < parts; part++)
        for (int32_t a = 0; a < t->rank; a++)
            memcpy(data + (size_t)(part * t->rank + t->axes[a]) * element,
                   (const uint8_t *)from->data + (size_t)(part * t->rank + a) * element, element);
    made.data = data;
    TN_TRY(ctx->api->add_constant(ctx->graph, &desc, &value));
    return ctx->api->set_input(ctx->graph, node, k, value);
}

static tn_status turn_resize(tn_rewrite *ctx, tn_node_id node, const turn *t)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const int64_t *given;
    int64_t axes[TN_MAX_RANK];
    const size_t count = tn_attr_ints(view, "axes", &given);
    if (!count)
        return turn_vector(ctx, node, turn_resize_vector(view), t, 1);
    for (size_t i = 0; i < count; i++)
        axes[i] = t->axes[tn_axis(given[i], t->rank)];
    return ctx->api->set_attribute(ctx->graph, node,
                                   &(tn_attribute){ .size = sizeof(tn_attribute),
                                                    .type = TN_ATTR_INTS,
                                                    .name = "axes",
                                                    .count = count,
                                                    .ints = axes });
}

static tn_status turn_slice(tn_rewrite *ctx, tn_node_id node, const turn *t)
{
    int64_t starts[2 * TN_MAX_RANK];
    const int32_t count = motion_integers(ctx, motion_input(ctx->api->node(ctx->graph, node), 1),
                                          starts);
    return turn_axes(ctx, node, 3, t, count);
}

tn_status turn_apply(tn_rewrite *ctx, tn_node_id node, const turn *t)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const turn_rule *rule = turn_rule_of(view);
    switch (rule->kind) {
    case ELEMENTS: return turn_constants(ctx, node, t);
    case JOIN: TN_TRY(turn_constants(ctx, node, t)); return turn_axis(ctx, node, t, 0);
    case AXIS: return turn_axis(ctx, node, t, motion_is(view, "Split") ? 0 : -1);
    case GRAINS:
        return motion_type(ctx, view->inputs[1])->rank ? turn_axis(ctx, node, t, 1) : TN_OK;
    case PICK:
    case GATHER: return turn_axis(ctx, node, t, 0);
    case REDUCE: return motion_input(view, 1) == TN_NONE ? TN_OK : turn_axes(ctx, node, 1, t, 0);
    case SQUEEZE: return turn_axes(ctx, node, 1, t, 0);
    case SLICE: return turn_slice(ctx, node, t);
    case PAD:
        return motion_input(view, 3) != TN_NONE ? turn_axes(ctx, node, 3, t, 0)
                                                : turn_vector(ctx, node, 1, t, 2);
    case SPREAD: return turn_vector(ctx, node, 1, t, 1);
    case RESIZE: return turn_resize(ctx, node, t);
    default: return TN_OK; /* FIRST, ROWS, UNSQUEEZE */
    }
}
