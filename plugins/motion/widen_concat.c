/* plugins/motion/widen_concat.c: Concat of a value and a piece of another one as a piece of a wider Concat.
 *
 * A partial convolution (Chen et al., FasterNet, arXiv:2303.03667) works on some channels of x and joins
 * what comes out with those that it left, while all of x is read once more behind. Pieces of one buffer
 * need no copy, but here the rest of x would have to lie beside two values. With all of x in the Concat,
 * the rest lies beside the new channels, and both are a Slice.
 *
 *     x ─▶ Split ─▶ Conv ─▶ Concat ─▶ Conv c      x ─▶ Split ─▶ Conv ─▶ Concat ─▶ Slice ─▶ Conv c'
 *                ────────▶                          ───────────────▶
 *
 * The Concat is as much wider as the new channels are, so there must be fewer of them than of those that
 * need no copy any more. Where the rest is at the end of x and behind the new channels in the Concat (or
 * the other way round), they change places, and the weights of the Convs behind follow. Exact but for the
 * order of their sums. It pays where views are, which only a backend with a kernel for Slice has.
 *
 * SPDX-License-Identifier: MIT */
#include "motion.h"

#include <stdio.h>

enum { MOST_CHANNELS = 4096 };

typedef struct join {
    tn_rewrite *ctx;
    tn_node_id root;
    tn_region_id region;
    tn_value_id x, rest, fresh, y;
    int64_t whole, begin, count,
        added;       /* channels of x, where the rest begins, of it, of the new ones */
    int rest_first;  /* in the Concat */
    int fresh_first; /* in the wider one */
    char name[96];
} join;

/* Where a piece along the channels begins; -1: it is none. */
static int64_t begin_of(tn_rewrite *ctx, const tn_node_view *view, tn_value_id piece)
{
    const tn_type *x = motion_type(ctx, view->inputs[0]);
    int64_t start[2 * TN_MAX_RANK], axis[2 * TN_MAX_RANK], step[2 * TN_MAX_RANK], begin = 0;
    if (motion_is(view, "Split") && tn_axis(tn_attr_int(view, "axis", 0), x->rank) == 1) {
        for (uint32_t k = 0; view->outputs[k] != piece; k++) {
            const tn_dim extent = view->outputs[k] == TN_NONE
                                      ? TN_DIM_UNKNOWN
                                      : motion_type(ctx, view->outputs[k])->dims[1];
            if (!tn_dim_known(extent))
                return -1;
            begin += extent;
        }
        return begin;
    }
    if (!motion_is(view, "Slice") || view->version < 10 ||
        motion_integers(ctx, motion_input(view, 1), start) != 1 ||
        motion_integers(ctx, motion_input(view, 3), axis) != 1 ||
        (motion_input(view, 4) != TN_NONE &&
         (motion_integers(ctx, motion_input(view, 4), step) != 1 || step[0] != 1)) ||
        tn_axis(axis[0], x->rank) != 1)
        return -1;
    return start[0] < 0 ? start[0] + x->dims[1] : start[0];
}

/* Whether input k of the Concat is an end of a value that is computed here; fills the rest of j. */
static int read_rest(join *j, uint32_t k)
{
    const tn_graph_api *api = j->ctx->api;
    const tn_node_view *view = api->node(j->ctx->graph, j->root);
    const tn_value_view *rest = api->value(j->ctx->graph, view->inputs[k]);
    const tn_node_view *cut = rest->producer == TN_NONE ? NULL
                                                        : api->node(j->ctx->graph, rest->producer);
    if (!cut || cut->region != j->region || !cut->input_count || cut->inputs[0] == TN_NONE ||
        !motion_is_single(j->ctx, view->inputs[k]))
        return 0;
    const tn_value_view *x = api->value(j->ctx->graph, cut->inputs[0]);
    const tn_type *fresh = motion_type(j->ctx, view->inputs[!k]);
    if (x->type->rank < 3 || fresh->rank != x->type->rank || !tn_dim_known(x->type->dims[1]) ||
        !tn_dim_known(rest->type->dims[1]) || !tn_dim_known(fresh->dims[1]) ||
        x->producer == TN_NONE)
        return 0;
    j->x = cut->inputs[0];
    j->rest = view->inputs[k];
    j->fresh = view->inputs[!k];
    j->rest_first = k == 0;
    j->whole = x->type->dims[1];
    j->begin = begin_of(j->ctx, cut, j->rest);
    j->count = rest->type->dims[1];
    j->added = fresh->dims[1];
    j->fresh_first = j->begin == 0;
    return j->begin == 0 || (j->begin > 0 && j->begin + j->count == j->whole);
}

static int read_root(join *j)
{
    const tn_node_view *view = j->ctx->api->node(j->ctx->graph, j->root);
    if (view->input_count != 2 || view->inputs[0] == view->inputs[1] ||
        tn_axis(tn_attr_int(view, "axis", 0), motion_type(j->ctx, view->inputs[0])->rank) != 1)
        return 0;
    j->y = view->outputs[0];
    snprintf(j->name, sizeof j->name, "%s", view->name);
    return read_rest(j, 1) || read_rest(j, 0);
}

/* What x is joined with elsewhere would want it in another buffer. */
static int is_joined(const join *j)
{
    tn_node_id node;
    uint32_t input;
    for (uint32_t k = 0; j->ctx->api->use(j->ctx->graph, j->x, k, &node, &input) == TN_OK; k++)
        if (motion_is(j->ctx->api->node(j->ctx->graph, node), "Concat"))
            return 1;
    return 0;
}

/* NULL: it pays and can be done; else why not. */
static const char *find_hindrance(const join *j, channels *readers)
{
    const tn_value_view *x = j->ctx->api->value(j->ctx->graph, j->x);
    const tn_value_view *fresh = j->ctx->api->value(j->ctx->graph, j->fresh);
    if (j->added >= j->count || j->added + j->count > MOST_CHANNELS)
        return "it would be wider by more than it spares";
    if (x->output_count || fresh->output_count || fresh->producer == TN_NONE)
        return "an operand is an input or an output of the graph or of a body";
    if (!motion_is_single(j->ctx, j->fresh) || is_joined(j))
        return "an operand is also read elsewhere";
    return channels_follow(readers, j->y) ? NULL : readers->why;
}

/* Those of the rest and the new ones change places. */
static tn_status turn_readers(const join *j, channels *readers)
{
    int32_t order[MOST_CHANNELS];
    const int64_t count = j->count + j->added, first = j->rest_first ? j->count : j->added;
    if (j->rest_first != j->fresh_first)
        return TN_OK;
    for (int64_t c = 0; c < count; c++)
        order[c] = (int32_t)((c + first) % count);
    return channels_apply(readers, order);
}

static tn_status rewrite(join *j, channels *readers)
{
    const tn_graph_api *api = j->ctx->api;
    const int64_t begin = j->fresh_first ? 0 : j->begin;
    const motion_site site = { j->ctx, j->region, j->root, j->root, j->name };
    const tn_value_id parts[2] = { j->fresh_first ? j->fresh : j->x,
                                   j->fresh_first ? j->x : j->fresh };
    tn_value_id wide, made;
    TN_TRY(turn_readers(j, readers));
    TN_TRY(channels_add(&site, "Concat", "wide", parts, 2, &wide));
    TN_TRY(channels_add_piece(&site, wide, begin, begin + j->count + j->added, &made));
    TN_TRY(api->replace(j->ctx->graph, j->y, made));
    TN_TRY(api->remove_node(j->ctx->graph, j->root));
    return tn_fail(j->ctx, TN_OK,
                   "%s is a piece of a wider Concat: %lld channels stay where they are", j->name,
                   (long long)j->count);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    join j = { .ctx = ctx, .root = node, .region = ctx->api->node(ctx->graph, node)->region };
    if (!read_root(&j))
        return TN_NO_MATCH;
    channels readers = { .ctx = ctx, .region = j.region, .count = j.count + j.added };
    const char *why = find_hindrance(&j, &readers);
    return why ? tn_fail(ctx, TN_NO_MATCH, "%s copies a piece: %s", j.name, why)
               : rewrite(&j, &readers);
}

tn_status widen_concat_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Concat", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_MOVE,
                                               .order = 6,
                                               .exactness = TN_EXACT_ROUNDING,
                                               .name = "widen_concat",
                                               .doc = "Concat of a value and a piece of another "
                                                      "one as a piece of a wider Concat.",
                                               .roots = roots,
                                               .match = match,
                                               .makes = "Slice" });
}
