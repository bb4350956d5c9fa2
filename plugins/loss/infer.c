/* plugins/loss/infer.c: shapes of scores, targets, weights and losses; see loss.h.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

#include <inttypes.h>

static const char *const reductions[] = { "none", "sum", "mean" };

reduction loss_reduction(const tn_node_view *node)
{
    const char *found = tn_attr_string(node, "reduction", "mean");
    for (int k = 0; k < 3; k++)
        if (!strcmp(found, reductions[k]))
            return (reduction)k;
    return REDUCE_MEAN;
}

static void check_reduction(tn_infer *ctx)
{
    const char *found = tn_attr_string(ctx->node, "reduction", "mean");
    if (strcmp(found, reductions[loss_reduction(ctx->node)]) != 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "reduction",
                                 "reduction is '%.40s': expected none, sum or mean", found);
}

static void check_weight(tn_infer *ctx, const char *const *names)
{
    const tn_type *scores = ctx->inputs[SCORES];
    const tn_type *weight = ctx->input_count > WEIGHT ? ctx->inputs[WEIGHT] : NULL;
    if (!weight || weight->rank < 0)
        return;
    if (weight->rank != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, WEIGHT, NULL,
                                 "input '%s' has rank %d: expected a vector, one for each class",
                                 names[WEIGHT], weight->rank);
    else if (scores && scores->rank > 1 && tn_dim_known(weight->dims[0]) &&
             tn_dim_known(scores->dims[1]) && weight->dims[0] != scores->dims[1])
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, WEIGHT, NULL,
                                 "input '%s' has %" PRId64 " elements, but '%s' has %" PRId64
                                 " classes: expected one for each",
                                 names[WEIGHT], weight->dims[0], names[SCORES], scores->dims[1]);
}

/* The better known of two extents that should be one; a complaint where they cannot be. */
static tn_dim same_extent(tn_infer *ctx, const char *const *names, tn_dim score, tn_dim target,
                          int32_t axis)
{
    if (ctx->call.host->dim_equal(&ctx->call, score, target) == TN_NO) {
        if (tn_dim_known(score) && tn_dim_known(target))
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, TARGET, NULL,
                                     "input '%s' has extent %" PRId64 " along axis %d, but '%s' "
                                     "has %" PRId64 " there, classes left out: expected the same",
                                     names[TARGET], target, (int)axis, names[SCORES], score);
        else
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, TARGET, NULL,
                                     "input '%s' does not fit '%s' along axis %d", names[TARGET],
                                     names[SCORES], (int)axis);
    }
    return tn_dim_known(target) || score == TN_DIM_UNKNOWN ? target : score;
}

static void infer_targets(tn_infer *ctx, const char *const *names, tn_type *out)
{
    const tn_type *scores = ctx->inputs[SCORES], *target = ctx->inputs[TARGET];
    const int known = scores && scores->rank >= 0, target_known = target && target->rank >= 0;
    if (known && scores->rank < 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SCORES, NULL,
                                 "input '%s' has rank %d: expected 2 or more (samples, classes, "
                                 "places)",
                                 names[SCORES], scores->rank);
        return;
    }
    if (known && target_known && target->rank != scores->rank - 1) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, TARGET, NULL,
                                 "input '%s' has rank %d, but '%s' has rank %d: expected one less",
                                 names[TARGET], target->rank, names[SCORES], scores->rank);
        return;
    }
    if (!known && !target_known)
        return;
    out->rank = known ? scores->rank - 1 : target->rank;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        const tn_dim a = known ? scores->dims[axis ? axis + 1 : 0] : TN_DIM_UNKNOWN;
        const tn_dim b = target_known ? target->dims[axis] : TN_DIM_UNKNOWN;
        out->dims[axis] = known && target_known ? same_extent(ctx, names, a, b, axis)
                          : known               ? a
                                                : b;
    }
}

tn_status loss_infer(tn_infer *ctx, const char *const *names)
{
    tn_type targets = { .size = sizeof targets, .rank = -1 };
    tn_type *out = &ctx->outputs[0];
    check_reduction(ctx);
    check_weight(ctx, names);
    infer_targets(ctx, names, &targets);
    out->rank = 0;
    if (loss_reduction(ctx->node) != REDUCE_NONE)
        return TN_OK;
    out->rank = targets.rank;
    memcpy(out->dims, targets.dims, sizeof out->dims);
    return TN_OK;
}

tn_status loss_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (loss_reduction(ctx->node) != REDUCE_NONE)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == WEIGHT ? -1 : 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

tn_status loss_cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *scores = ctx->inputs[SCORES];
    out->ops = 1.0;
    for (int32_t axis = 0; axis < scores->rank; axis++)
        out->ops *= (double)scores->dims[axis];
    return TN_OK;
}
