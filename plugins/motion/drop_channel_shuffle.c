/* plugins/motion/drop_channel_shuffle.c: channels that are put in another order (a Gather, Zhang et al.,
 * ShuffleNet, arXiv:1707.01083) left where they are, and the weights around in that order instead.
 *
 *     Conv a ─▶ Concat ─▶ Gather ─▶ Conv c        Conv a' ─▶ Concat ─▶ Conv c'
 *     Conv b ─▶                                   Conv b' ─▶
 *
 * Where a Split stands behind the shuffle, what one piece holds is laid together instead: the first
 * value's channels at its end, the second one's at its beginning, so that the piece lies in one and is a
 * Slice. Channels of the other pieces, which go on to the next unit, are all that is still moved.
 *
 *     Conv a ─▶ Concat ─▶ Gather ─▶ Split ─▶ Conv c     Conv a' ─▶ Concat ─▶ Slice ─▶ Conv c'
 *     Conv b ─▶                           ─▶ …          Conv b' ─▶        ─▶ Gather ─▶ …
 *
 * Exact but for the order of the sums of the Convs behind.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_CHANNELS = 4096, MOST_PIECES = 8 };

/* One of the values that the shuffled one is joined of. */
typedef struct part {
    channels leads;
    int64_t begin;
    int free; /* it can be made in any order */
} part;

typedef struct shuffle {
    tn_rewrite *ctx;
    tn_node_id root, split; /* TN_NONE: no Split behind */
    tn_region_id region;
    tn_value_id x, y;
    int64_t count;
    int32_t from[MOST_CHANNELS]; /* channel c of y is channel from[c] of x */
    int32_t to[MOST_CHANNELS];   /* and the other way round */
    int32_t laid[MOST_CHANNELS]; /* channel c of the new x is channel laid[c] of the old one */
    int32_t place[MOST_CHANNELS];
    int32_t order[MOST_CHANNELS];
    part parts[2];
    uint32_t part_count; /* 0: x is not for the shuffle alone */
    channels follows;    /* readers of y, or of the piece */
    uint32_t piece;      /* the Split's output that they read */
    int64_t begins[MOST_PIECES + 1];
    char name[96];
} shuffle;

/* ---- reading -------------------------------------------------------------------------------- */

static int read_order(shuffle *s, const tn_tensor *indices)
{
    memset(s->to, 0xff, sizeof s->to);
    for (int64_t c = 0; c < s->count; c++) {
        int64_t i = tn_get_int(indices->dtype, indices->data, c);
        i = i < 0 ? i + s->count : i;
        if (i < 0 || i >= s->count || s->to[i] >= 0)
            return 0;
        s->from[c] = (int32_t)i;
        s->to[i] = (int32_t)c;
    }
    return 1;
}

/* A Gather that has all channels of its input, in another order. */
static int read_root(shuffle *s)
{
    const tn_node_view *view = s->ctx->api->node(s->ctx->graph, s->root);
    const tn_tensor *indices = motion_constant(s->ctx, motion_input(view, 1));
    if (!indices || motion_input(view, 0) == TN_NONE || indices->rank != 1 ||
        (indices->dtype != TN_INT64 && indices->dtype != TN_INT32))
        return 0;
    const tn_type *x = motion_type(s->ctx, view->inputs[0]);
    s->x = view->inputs[0];
    s->y = view->outputs[0];
    s->count = tn_count(indices);
    snprintf(s->name, sizeof s->name, "%s", view->name);
    return x->rank > 2 && tn_axis(tn_attr_int(view, "axis", 0), x->rank) == 1 &&
           x->dims[1] == s->count && s->count > 1 && s->count <= MOST_CHANNELS &&
           read_order(s, indices);
}

static void add_part(shuffle *s, tn_value_id value, int64_t begin, int64_t count)
{
    part *p = &s->parts[s->part_count++];
    p->begin = begin;
    p->leads = (channels){ .ctx = s->ctx, .region = s->region, .count = count };
    p->free = channels_lead(&p->leads, value);
}

/* What x is made of: two values that are joined, or itself. */
static void read_parts(shuffle *s)
{
    const tn_value_view *x = s->ctx->api->value(s->ctx->graph, s->x);
    const tn_node_view *maker = x->producer == TN_NONE
                                    ? NULL
                                    : s->ctx->api->node(s->ctx->graph, x->producer);
    if (!motion_is_single(s->ctx, s->x))
        return;
    if (!motion_is(maker, "Concat") || maker->input_count != 2 || maker->region != s->region ||
        tn_axis(tn_attr_int(maker, "axis", 0), x->type->rank) != 1) {
        add_part(s, s->x, 0, s->count);
        return;
    }
    const int64_t first = motion_type(s->ctx, maker->inputs[0])->dims[1];
    if (!tn_dim_known(first) || first > s->count)
        return;
    add_part(s, maker->inputs[0], 0, first);
    add_part(s, maker->inputs[1], first, s->count - first);
}

/* The Split that alone reads y, and where its pieces begin. */
static void read_split(shuffle *s)
{
    tn_node_id node;
    uint32_t input;
    s->split = TN_NONE;
    if (!motion_is_single(s->ctx, s->y) ||
        s->ctx->api->use(s->ctx->graph, s->y, 0, &node, &input) != TN_OK || input != 0)
        return;
    const tn_node_view *view = s->ctx->api->node(s->ctx->graph, node);
    if (!motion_is(view, "Split") || view->region != s->region ||
        view->output_count > MOST_PIECES ||
        tn_axis(tn_attr_int(view, "axis", 0), motion_type(s->ctx, s->y)->rank) != 1)
        return;
    for (uint32_t k = 0; k < view->output_count; k++) {
        const tn_dim extent = view->outputs[k] == TN_NONE
                                  ? TN_DIM_UNKNOWN
                                  : motion_type(s->ctx, view->outputs[k])->dims[1];
        if (!tn_dim_known(extent))
            return;
        s->begins[k + 1] = s->begins[k] + extent;
    }
    s->split = node;
}

/* ---- laying channels ------------------------------------------------------------------------ */

static int in_piece(const shuffle *s, int64_t channel)
{
    return s->split != TN_NONE && s->to[channel] >= s->begins[s->piece] &&
           s->to[channel] < s->begins[s->piece + 1];
}

static int by_key(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The channels of a part: those of the piece behind the others, or before them. Among their like they stand
 * as they come out of the shuffle; what a Gather picks, as it lies there, so that runs are moved. */
static void lay_part(shuffle *s, uint32_t k)
{
    const part *p = &s->parts[k];
    const tn_node_view *maker = s->ctx->api->node(s->ctx->graph, p->leads.nodes[0]);
    const tn_tensor *indices = motion_is(maker, "Gather")
                                   ? motion_constant(s->ctx, motion_input(maker, 1))
                                   : NULL;
    int64_t keys[MOST_CHANNELS];
    if (!indices && s->split == TN_NONE)
        return;
    for (int64_t i = 0; i < p->leads.count; i++) {
        const int64_t channel = p->begin + i;
        const int64_t key = indices ? tn_get_int(indices->dtype, indices->data, i) : s->to[channel];
        const int64_t behind = in_piece(s, channel) != (int)k;
        keys[i] = ((behind << 32) + (uint32_t)key) * MOST_CHANNELS + i;
    }
    qsort(keys, (size_t)p->leads.count, sizeof *keys, by_key);
    for (int64_t i = 0; i < p->leads.count; i++)
        s->laid[p->begin + i] = (int32_t)(p->begin + keys[i] % MOST_CHANNELS);
}

/* Where channels of x are to lie: parts that are free, in an order of their own. */
static void lay(shuffle *s)
{
    for (int64_t c = 0; c < s->count; c++)
        s->laid[c] = (int32_t)c;
    for (uint32_t k = 0; k < s->part_count; k++)
        if (s->parts[k].free)
            lay_part(s, k);
    for (int64_t c = 0; c < s->count; c++)
        s->place[s->laid[c]] = (int32_t)c;
}

static tn_status apply_parts(shuffle *s)
{
    for (uint32_t k = 0; k < s->part_count; k++) {
        part *p = &s->parts[k];
        for (int64_t i = 0; i < p->leads.count; i++)
            s->order[i] = s->laid[p->begin + i] - (int32_t)p->begin;
        if (p->free)
            TN_TRY(channels_apply(&p->leads, s->order));
    }
    return TN_OK;
}

/* ---- new nodes ------------------------------------------------------------------------------ */

static motion_site site_of(const shuffle *s)
{
    return (motion_site){ s->ctx, s->region, s->split, s->root, s->name };
}

/* Piece k as it was, picked from where its channels lie now. */
static tn_status add_rest(shuffle *s, uint32_t k, tn_value_id *out)
{
    int64_t indices[MOST_CHANNELS];
    const int64_t count = s->begins[k + 1] - s->begins[k];
    const motion_site site = site_of(s);
    tn_value_id inputs[2] = { s->x };
    for (int64_t i = 0; i < count; i++)
        indices[i] = s->place[s->from[s->begins[k] + i]];
    TN_TRY(motion_add_integers(s->ctx, s->region, indices, (int32_t)count, &inputs[1]));
    return channels_add(&site, "Gather", "rest", inputs, 2, out);
}

/* ---- the rewrites --------------------------------------------------------------------------- */

static tn_status refuse(const shuffle *s, const char *why)
{
    return tn_fail(s->ctx, TN_NO_MATCH, "%s still moves channels: %s", s->name, why);
}

/* What makes x makes it shuffled. */
static tn_status shuffle_before(shuffle *s)
{
    const tn_graph_api *api = s->ctx->api;
    TN_TRY(channels_apply(&s->parts[0].leads, s->from));
    TN_TRY(api->replace(s->ctx->graph, s->y, s->x));
    TN_TRY(api->remove_node(s->ctx->graph, s->root));
    return tn_fail(s->ctx, TN_OK, "%s dropped: %lld channels are made in that order", s->name,
                   (long long)s->count);
}

/* All that read y take x as it is. */
static tn_status shuffle_behind(shuffle *s)
{
    const tn_graph_api *api = s->ctx->api;
    lay(s);
    TN_TRY(apply_parts(s));
    for (int64_t c = 0; c < s->count; c++)
        s->order[c] = s->to[s->laid[c]];
    TN_TRY(channels_apply(&s->follows, s->order));
    TN_TRY(api->replace(s->ctx->graph, s->y, s->x));
    TN_TRY(api->remove_node(s->ctx->graph, s->root));
    return tn_fail(s->ctx, TN_OK, "%s dropped: %lld channels are read in their order", s->name,
                   (long long)s->count);
}

/* The piece is a Slice of x, the others are picked. */
static tn_status lay_piece(shuffle *s)
{
    const tn_graph_api *api = s->ctx->api;
    const int64_t wide = s->begins[s->piece + 1] - s->begins[s->piece];
    const motion_site site = site_of(s);
    int64_t begin = 0, moved = 0;
    tn_value_id made;
    lay(s);
    while (!in_piece(s, s->laid[begin]))
        begin++;
    for (int64_t c = 0; c < wide; c++)
        s->order[c] = s->to[s->laid[begin + c]] - (int32_t)s->begins[s->piece];
    TN_TRY(channels_apply(&s->follows, s->order));
    TN_TRY(apply_parts(s));
    for (uint32_t k = 0; k < api->node(s->ctx->graph, s->split)->output_count; k++) {
        const tn_value_id old = api->node(s->ctx->graph, s->split)->outputs[k];
        const tn_value_view *value = api->value(s->ctx->graph, old);
        if (!value->use_count && !value->output_count)
            continue;
        moved += k == s->piece ? 0 : s->begins[k + 1] - s->begins[k];
        TN_TRY(k == s->piece ? channels_add_piece(&site, s->x, begin, begin + wide, &made)
                             : add_rest(s, k, &made));
        TN_TRY(api->replace(s->ctx->graph, old, made));
    }
    TN_TRY(api->remove_node(s->ctx->graph, s->split));
    TN_TRY(api->remove_node(s->ctx->graph, s->root));
    return tn_fail(s->ctx, TN_OK, "%s moves %lld channels, not %lld", s->name, (long long)moved,
                   (long long)s->count);
}

/* A piece whose readers take any order; 0: none. */
static int find_piece(shuffle *s)
{
    const tn_node_view *view = s->ctx->api->node(s->ctx->graph, s->split);
    for (s->piece = 0; s->piece < view->output_count; s->piece++) {
        const int64_t count = s->begins[s->piece + 1] - s->begins[s->piece];
        s->follows = (channels){ .ctx = s->ctx, .region = s->region, .count = count };
        if (count > 0 && s->ctx->api->value(s->ctx->graph, view->outputs[s->piece])->use_count &&
            channels_follow(&s->follows, view->outputs[s->piece]))
            return 1;
    }
    return 0;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    shuffle s = { .ctx = ctx, .root = node, .region = ctx->api->node(ctx->graph, node)->region };
    if (!read_root(&s))
        return TN_NO_MATCH;
    read_parts(&s);
    if (s.part_count == 1 && s.parts[0].free)
        return shuffle_before(&s);
    read_split(&s);
    if (s.split == TN_NONE) {
        s.follows = (channels){ .ctx = ctx, .region = s.region, .count = s.count };
        return channels_follow(&s.follows, s.y) ? shuffle_behind(&s) : refuse(&s, s.follows.why);
    }
    if (!s.part_count)
        return refuse(&s, "what it shuffles is also read elsewhere");
    for (uint32_t k = 0; k < s.part_count; k++)
        if (!s.parts[k].free)
            return refuse(&s, s.parts[k].leads.why);
    return find_piece(&s) ? lay_piece(&s) : refuse(&s, s.follows.why);
}

tn_status drop_channel_shuffle_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Gather", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 5,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "drop_channel_shuffle",
                                               .doc = "Weights in the order of a channel shuffle, "
                                                      "instead of the channels.",
                                               .roots = roots,
                                               .match = match });
}
