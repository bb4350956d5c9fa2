/* plugins/motion/shared.c: looking at nodes and constants; a map of ids.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>
#include <stdlib.h>

const tn_tensor *motion_constant(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : ctx->api->value(ctx->graph, value);
    return view && view->constant && !view->is_input && !view->constant->kind ? view->constant
                                                                              : NULL;
}

int motion_is(const tn_node_view *view, const char *op)
{
    return view && !*view->domain && strcmp(view->op, op) == 0;
}

tn_value_id motion_input(const tn_node_view *view, uint32_t k)
{
    return k < view->input_count ? view->inputs[k] : TN_NONE;
}

const tn_type *motion_type(tn_rewrite *ctx, tn_value_id value)
{
    return ctx->api->value(ctx->graph, value)->type;
}

int motion_is_single(tn_rewrite *ctx, tn_value_id value)
{
    const tn_value_view *view = ctx->api->value(ctx->graph, value);
    return view->use_count == 1 && !view->output_count;
}

int32_t motion_integers(tn_rewrite *ctx, tn_value_id value, int64_t *out)
{
    const tn_tensor *t = motion_constant(ctx, value);
    if (!t || (t->dtype != TN_INT64 && t->dtype != TN_INT32) || t->rank > 1 ||
        tn_count(t) > 2 * TN_MAX_RANK)
        return -1;
    const int32_t count = (int32_t)tn_count(t);
    for (int32_t k = 0; k < count; k++)
        out[k] = tn_get_int(t->dtype, t->data, k);
    return count;
}

tn_status motion_add_integers(tn_rewrite *ctx, tn_region_id region, const int64_t *data,
                              int32_t count, tn_value_id *out)
{
    const int64_t extent = count;
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_INT64,
                               .rank = 1,
                               .dims = &extent,
                               .data = (void *)(uintptr_t)data,
                               .bytes = (size_t)count * sizeof *data };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = region, .tensor = &tensor, .value = TN_NONE
    };
    return ctx->api->add_constant(ctx->graph, &desc, out);
}

tn_status motion_add_node(const motion_site *site, const char *op, const char *what,
                          const tn_value_id *inputs, uint32_t count, const tn_attribute *attribute,
                          tn_value_id *out)
{
    const tn_graph_api *api = site->ctx->api;
    char name[128];
    tn_node_id node;
    snprintf(name, sizeof name, "%s/%s", site->name, what);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = site->region,
                                .name = name,
                                .op = op,
                                .input_count = count,
                                .output_count = 1,
                                .inputs = inputs,
                                .attribute_count = attribute != NULL,
                                .attributes = attribute,
                                .before = site->before,
                                .trace = site->trace };
    TN_TRY(api->add_node(site->ctx->graph, &desc, &node));
    *out = api->node(site->ctx->graph, node)->outputs[0];
    return TN_OK;
}

int motion_read_shape(const tn_type *type, int64_t *shape)
{
    int open = 0, empty = 0;
    for (int32_t a = 0; a < type->rank; a++) {
        const int known = tn_dim_known(type->dims[a]);
        shape[a] = known ? type->dims[a] : -1;
        open += !known;
        empty = empty || shape[a] == 0;
    }
    return type->rank >= 0 && open <= 1 && !empty;
}

tn_status motion_set_int(tn_rewrite *ctx, tn_node_id node, const char *name, int64_t i)
{
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_INT, .name = name, .i = i
    };
    return ctx->api->set_attribute(ctx->graph, node, &attribute);
}

/* ---- a map of ids --------------------------------------------------------------------------- */

/* Open addressing; never more than half full. TN_NONE is no key. */
static uint32_t place_of(const motion_map *map, uint32_t key)
{
    uint32_t at = (key * UINT32_C(2654435761)) & (map->room - 1);
    while (map->keys[at] != TN_NONE && map->keys[at] != key)
        at = (at + 1) & (map->room - 1);
    return at;
}

uint32_t motion_find(const motion_map *map, uint32_t key)
{
    if (!map->room || key == TN_NONE)
        return UINT32_MAX;
    const uint32_t at = place_of(map, key);
    return map->keys[at] == key ? map->items[at] : UINT32_MAX;
}

static int grow(motion_map *map)
{
    motion_map wider = { .count = map->count, .room = map->room ? 2 * map->room : 64 };
    wider.keys = malloc(wider.room * sizeof *wider.keys);
    wider.items = malloc(wider.room * sizeof *wider.items);
    if (!wider.keys || !wider.items) {
        motion_map_fini(&wider);
        return 0;
    }
    memset(wider.keys, 0xff, wider.room * sizeof *wider.keys);
    for (uint32_t k = 0; k < map->room; k++)
        if (map->keys[k] != TN_NONE) {
            const uint32_t at = place_of(&wider, map->keys[k]);
            wider.keys[at] = map->keys[k];
            wider.items[at] = map->items[k];
        }
    motion_map_fini(map);
    *map = wider;
    return 1;
}

int motion_put(motion_map *map, uint32_t key, uint32_t item)
{
    if (2 * (map->count + 1) > map->room && !grow(map))
        return 0;
    const uint32_t at = place_of(map, key);
    map->count += map->keys[at] == TN_NONE;
    map->keys[at] = key;
    map->items[at] = item;
    return 1;
}

void motion_map_fini(motion_map *map)
{
    free(map->keys);
    free(map->items);
    *map = (motion_map){ 0 };
}
