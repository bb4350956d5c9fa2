/* plugins/motion/channels.c: channels in another order.
 *
 * Nobody but its readers knows in which order a value [N, C, …] has its channels. A Conv of one group
 * (ONNX: Conv) sums over them, so that its weights can follow any order; a depthwise one, pools and
 * elementwise operators pass the order on. A Conv or a Gather of constant indices can also make its
 * channels in any order. In: a value. Out: the constants that must follow; then the graph, edited.
 *
 * The weights of a Conv that reads are in another order, and so are its sums: exact but for rounding.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEEPEST = 16 };

static int refuse(channels *c, const char *format, ...) TN_PRINTF(2, 3);
static int refuse(channels *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->why, sizeof c->why, format, arguments);
    va_end(arguments);
    return 0;
}

/* ---- what a node does with channels -------------------------------------------------------- */

typedef enum role {
    CARES,   /* about their order, or it is not known here */
    PASSES,  /* channel by channel */
    WEIGHTS, /* the same, each with weights of its own: a depthwise Conv */
    SUMS,    /* over all of them: a Conv of one group */
    PICKS    /* some: a Gather */
} role;

static role conv_role(channels *c, const tn_node_view *view)
{
    const tn_tensor *w = motion_constant(c->ctx, motion_input(view, 1));
    const tn_value_id bias = motion_input(view, 2);
    const int64_t groups = tn_attr_int(view, "group", 1);
    if (!w || w->rank < 3 || tn_dtype_bits(w->dtype) < 8 ||
        (bias != TN_NONE && !motion_constant(c->ctx, bias)))
        return (role)refuse(c, "the weights of %.80s are no constants", view->name);
    if (groups == 1)
        return SUMS;
    if (groups == c->count && w->dims[0] == groups && w->dims[1] == 1)
        return WEIGHTS;
    return (role)refuse(c, "%.80s has %lld groups", view->name, (long long)groups);
}

/* A Gather of channels by a constant vector. */
static int picks_channels(channels *c, const tn_node_view *view)
{
    const tn_tensor *indices = motion_constant(c->ctx, motion_input(view, 1));
    const tn_type *x = view->inputs[0] == TN_NONE ? NULL : motion_type(c->ctx, view->inputs[0]);
    return indices && x && x->rank > 1 && indices->rank == 1 &&
           (indices->dtype == TN_INT64 || indices->dtype == TN_INT32) &&
           tn_axis(tn_attr_int(view, "axis", 0), x->rank) == 1;
}

static int is_pool(const tn_node_view *view)
{
    static const char *const ops[] = { "AveragePool",  "GlobalAveragePool",
                                       "GlobalLpPool", "GlobalMaxPool",
                                       "LpPool",       "MaxPool" };
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
        if (motion_is(view, ops[k]))
            return view->output_count == 1; /* indices count over all channels */
    return 0;
}

/* The one input of an elementwise node or a pool that has channels; UINT32_MAX: it is another node. */
static uint32_t way_through(channels *c, const tn_node_view *view)
{
    const turn_care care = turn_cares(view);
    uint32_t found = UINT32_MAX;
    if (is_pool(view) || care == TURN_CARES_NONE)
        return 0;
    if (care != TURN_BROADCASTS)
        return UINT32_MAX;
    for (uint32_t k = 0; k < view->input_count; k++) {
        const turn_role operand = turn_role_of(c->ctx, view, k);
        if (operand == TURN_KEEP)
            continue;
        if (operand == TURN_CONSTANT || found != UINT32_MAX)
            return UINT32_MAX;
        found = k;
    }
    return found;
}

static int same_rank(channels *c, const tn_node_view *view, uint32_t input)
{
    return motion_type(c->ctx, view->inputs[input])->rank ==
           motion_type(c->ctx, view->outputs[0])->rank;
}

static role role_of(channels *c, const tn_node_view *view, uint32_t input)
{
    if (view->region != c->region)
        return (role)refuse(c, "%.80s is in another body", view->name);
    if (motion_is(view, "Conv") && input == 0)
        return conv_role(c, view);
    if (motion_is(view, "Gather") && input == 0 && picks_channels(c, view))
        return PICKS;
    if (way_through(c, view) == input && same_rank(c, view, input))
        return PASSES;
    return (role)refuse(c, "%.80s wants channels in their order", view->name);
}

/* ---- both ways ------------------------------------------------------------------------------ */

static int add_edit(channels *c, tn_node_id node, channel_edit edit)
{
    if (c->edit_count == CHANNELS_EDITS)
        return refuse(c, "more than %d nodes would have to follow", CHANNELS_EDITS);
    c->nodes[c->edit_count] = node;
    c->edits[c->edit_count++] = edit;
    return 1;
}

static int follow(channels *c, tn_value_id value, int depth)
{
    const tn_graph_api *api = c->ctx->api;
    tn_node_id node;
    uint32_t input;
    if (api->value(c->ctx->graph, value)->output_count)
        return refuse(c, "'%.80s' is an output of the graph or of a body",
                      api->value(c->ctx->graph, value)->name);
    if (depth == DEEPEST)
        return refuse(c, "more than %d nodes pass the channels on", DEEPEST);
    for (uint32_t k = 0; api->use(c->ctx->graph, value, k, &node, &input) == TN_OK; k++) {
        const tn_node_view *view = api->node(c->ctx->graph, node);
        const role what = role_of(c, view, input);
        if (what == CARES || (what == SUMS && !add_edit(c, node, CHANNELS_SUMMED)) ||
            (what == PICKS && !add_edit(c, node, CHANNELS_PICKED)) ||
            (what == WEIGHTS && !add_edit(c, node, CHANNELS_MADE)))
            return 0;
        if ((what == PASSES || what == WEIGHTS) && !follow(c, view->outputs[0], depth + 1))
            return 0;
    }
    return 1;
}

int channels_follow(channels *c, tn_value_id value)
{
    c->edit_count = 0;
    return follow(c, value, 0);
}

int channels_lead(channels *c, tn_value_id value)
{
    const tn_graph_api *api = c->ctx->api;
    c->edit_count = 0;
    for (int depth = 0; depth < DEEPEST; depth++) {
        const tn_value_view *made = api->value(c->ctx->graph, value);
        if (!motion_is_single(c->ctx, value))
            return refuse(c, "'%.80s' is also read elsewhere", made->name);
        if (made->producer == TN_NONE)
            return refuse(c, "'%.80s' is not computed here", made->name);
        const tn_node_view *view = api->node(c->ctx->graph, made->producer);
        const uint32_t through = way_through(c, view);
        const uint32_t input = through == UINT32_MAX ? 0 : through;
        const role what = role_of(c, view, input);
        if (what == CARES || (what != PASSES && !add_edit(c, made->producer, CHANNELS_MADE)))
            return 0;
        if (what == SUMS || what == PICKS)
            return 1;
        value = view->inputs[input];
    }
    return refuse(c, "more than %d nodes pass the channels on", DEEPEST);
}

/* ---- editing -------------------------------------------------------------------------------- */

static tn_status add_constant(channels *c, const tn_tensor *like, void *data, const char *old,
                              tn_value_id *out)
{
    char name[160];
    tn_tensor tensor = *like;
    tn_constant_desc desc = {
        .size = sizeof desc, .region = c->region, .name = name, .tensor = &tensor, .value = TN_NONE
    };
    tensor.data = data;
    snprintf(name, sizeof name, "%.100s/ordered", old);
    const tn_status status = c->ctx->api->add_constant(c->ctx->graph, &desc, out);
    if (status != TN_ERR_DUPLICATE)
        return status;
    desc.name = NULL;
    return c->ctx->api->add_constant(c->ctx->graph, &desc, out);
}

/* to[…][i][…] = from[…][order[i]][…] along an axis. */
static void reorder(const tn_tensor *t, int32_t axis, const int32_t *order, char *to)
{
    const int64_t outer = tn_extent(t->dims, 0, axis), count = t->dims[axis];
    const size_t width = (size_t)tn_extent(t->dims, axis + 1, t->rank) * tn_dtype_bits(t->dtype) /
                         8;
    const char *from = t->data;
    for (int64_t o = 0; o < outer; o++, from += (size_t)count * width)
        for (int64_t i = 0; i < count; i++, to += width)
            memcpy(to, from + (size_t)order[i] * width, width);
}

/* Indices of channels that have moved. */
static void renumber(const tn_tensor *t, const int32_t *order, int64_t count, char *to)
{
    for (int64_t k = 0; k < tn_count(t); k++) {
        const int64_t old = tn_get_int(t->dtype, t->data, k);
        int64_t i = 0;
        while (i < count && order[i] != (old < 0 ? old + count : old))
            i++; /* one that is outside stays so */
        tn_set_int(t->dtype, to, k, i);
    }
}

/* A constant input that follows: its axis is in the new order, or -1: it counts channels. */
static tn_status edit_input(channels *c, tn_node_id node, uint32_t input, int32_t axis,
                            const int32_t *order)
{
    const tn_graph_api *api = c->ctx->api;
    const tn_value_id old = motion_input(api->node(c->ctx->graph, node), input);
    const tn_tensor *t = motion_constant(c->ctx, old);
    tn_value_id value;
    if (!t)
        return TN_OK;
    char *data = malloc(t->bytes + 1);
    if (!data)
        return tn_fail(c->ctx, TN_ERR_MEMORY, "no memory for weights in another order");
    if (axis < 0)
        renumber(t, order, c->count, data);
    else
        reorder(t, axis, order, data);
    tn_status status = add_constant(c, t, data, api->value(c->ctx->graph, old)->name, &value);
    free(data);
    return status == TN_OK ? api->set_input(c->ctx->graph, node, input, value) : status;
}

tn_status channels_apply(channels *c, const int32_t *order)
{
    for (uint32_t k = 0; k < c->edit_count; k++) {
        const tn_node_id node = c->nodes[k];
        if (c->edits[k] == CHANNELS_MADE) {
            TN_TRY(edit_input(c, node, 1, 0, order));
            TN_TRY(edit_input(c, node, 2, 0, order)); /* the bias, if there is one */
        } else {
            TN_TRY(edit_input(c, node, 1, c->edits[k] == CHANNELS_SUMMED ? 1 : -1, order));
        }
    }
    return TN_OK;
}

/* ---- new nodes ------------------------------------------------------------------------------ */

tn_status channels_add(const motion_site *site, const char *op, const char *what,
                       const tn_value_id *inputs, uint32_t count, tn_value_id *out)
{
    const tn_attribute axis = { .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = 1 };
    return motion_add_node(site, op, what, inputs, count, &axis, out);
}

tn_status channels_add_piece(const motion_site *site, tn_value_id x, int64_t begin, int64_t end,
                             tn_value_id *out)
{
    const int64_t numbers[3] = { begin, end, 1 }; /* starts, ends, axes */
    tn_value_id inputs[4] = { x };
    for (uint32_t k = 0; k < 3; k++)
        TN_TRY(motion_add_integers(site->ctx, site->region, &numbers[k], 1, &inputs[k + 1]));
    return motion_add_node(site, "Slice", "piece", inputs, 4, NULL, out);
}
