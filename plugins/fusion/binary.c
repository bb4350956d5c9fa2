/* plugins/fusion/binary.c: Mul, Div, Add and Sub with a constant for each channel, as an affine map.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <stdio.h>

/* The constant's element for a channel, if nothing but the channel decides: `axis` counts channels
 * in values of `rank` axes. */
static tn_status check_spread(affine *map, const tn_tensor *constant, int32_t rank, int32_t axis,
                              int64_t channels)
{
    if (constant->rank > rank)
        return affine_refuse(map, "the constant raises the rank");
    for (int32_t k = 0; k < constant->rank; k++) {
        const int32_t a = rank - constant->rank + k;
        if (constant->dims[k] != 1 && (a != axis || constant->dims[k] != channels))
            return affine_refuse(map,
                                 "the constant varies along axis %d, and channels lie on "
                                 "axis %d",
                                 (int)a, (int)axis);
    }
    return TN_OK;
}

/* Which input is the constant; -1: neither. */
static int constant_side(tn_rewrite *ctx, const tn_node_view *view)
{
    for (int side = 1; side >= 0; side--)
        if (view->inputs[side] != TN_NONE &&
            ctx->api->value(ctx->graph, view->inputs[side])->constant)
            return side;
    return -1;
}

/* y of x and the constant c, as factor and shift. */
static void split(const char *op, int constant_first, double c, double *factor, double *shift)
{
    *factor = 1.0;
    *shift = 0.0;
    if (strcmp(op, "Mul") == 0)
        *factor = c;
    else if (strcmp(op, "Div") == 0)
        *factor = 1.0 / c;
    else if (strcmp(op, "Add") == 0)
        *shift = c;
    else {
        *factor = constant_first ? -1.0 : 1.0;
        *shift = constant_first ? c : -c;
    }
}

static tn_status read_binary(tn_rewrite *ctx, affine *map, const linear *l, int before)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, map->id);
    const int side = constant_side(ctx, view);
    if (l->any_rank && (strcmp(map->what, "Add") == 0 || strcmp(map->what, "Sub") == 0))
        return TN_NO_MATCH; /* it becomes an epilogue of the product when nodes are placed */
    const tn_tensor *constant = fusion_constant(ctx, view->inputs[side], "the constant", map->why);
    const int32_t rank = ctx->api->value(ctx->graph, map->x)->type->rank;
    const int32_t axis = l->is_matrix ? rank - 1 : 1;
    const int64_t channels = before ? l->ins : l->outs;
    if (!constant || constant->dtype != l->weights->dtype || rank < 2)
        return TN_NO_MATCH;
    TN_TRY(check_spread(map, constant, rank, axis, channels));
    TN_TRY(affine_allocate(ctx, map, channels));
    const int64_t count = tn_count(constant);
    for (int64_t k = 0; k < channels; k++)
        split(map->what, side == 0,
              tn_get_double(constant->dtype, constant->data, count == 1 ? 0 : k), &map->factor[k],
              &map->shift[k]);
    return count ? TN_OK : TN_NO_MATCH;
}

tn_status affine_match_binary(tn_rewrite *ctx, tn_node_id node)
{
    static const char *const names[] = { "Mul", "Div", "Add", "Sub" };
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    affine map = { .id = node,
                   .not_finite = "the constant, or one divided by it, is not finite",
                   .read = read_binary };
    if (view->input_count != 2 || view->inputs[0] == TN_NONE || view->inputs[1] == TN_NONE ||
        view->output_count != 1 || view->version < 7)
        return TN_NO_MATCH;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strcmp(view->op, names[k]) == 0)
            map.what = names[k];
    const int side = constant_side(ctx, view);
    if (side < 0 || !map.what || (side == 0 && strcmp(map.what, "Div") == 0))
        return TN_NO_MATCH;
    map.x = view->inputs[!side];
    map.y = view->outputs[0];
    snprintf(map.name, sizeof map.name, "%s", view->name);
    return affine_fold(ctx, &map);
}
