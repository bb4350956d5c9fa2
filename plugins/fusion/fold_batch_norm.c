/* plugins/fusion/fold_batch_norm.c: BatchNormalization into the linear node before or behind it.
 *
 * In inference mode BatchNormalization is y = f*x + s for each channel, with
 *
 *   f = scale / sqrt(variance + epsilon)        s = B - mean * f
 *
 * which affine.c folds.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <stdio.h>

static const char not_finite[] = "a statistic, or the factor that they make, is not finite";

/* Inference mode. Below version 14 what trains is told by its outputs. */
static int is_inference(tn_rewrite *ctx, const tn_node_view *view)
{
    for (uint32_t k = 1; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE) {
            const tn_value_view *value = ctx->api->value(ctx->graph, view->outputs[k]);
            if (view->version < 14 || value->use_count || value->output_count)
                return 0;
        }
    return view->version >= 7 && !tn_attr_int(view, "training_mode", 0) &&
           tn_attr_int(view, "spatial", 1) == 1;
}

static int is_vector(const tn_tensor *tensor, int64_t count)
{
    return tensor->rank == 1 && tensor->dims[0] == count && (TN_BIT(tensor->dtype) & TN_MASK_FLOAT);
}

static tn_status compute_affine(affine *map, const tn_tensor *const *p, double epsilon)
{
    for (int64_t k = 0; k < map->channels; k++) {
        const double scale = tn_get_double(p[0]->dtype, p[0]->data, k),
                     offset = tn_get_double(p[1]->dtype, p[1]->data, k);
        const double mean = tn_get_double(p[2]->dtype, p[2]->data, k),
                     variance = tn_get_double(p[3]->dtype, p[3]->data, k);
        map->factor[k] = scale / sqrt(variance + epsilon);
        map->shift[k] = offset - mean * map->factor[k];
        if (!isfinite(scale) || !isfinite(offset) || !isfinite(mean) || !isfinite(variance) ||
            !isfinite(map->factor[k]) || !isfinite(map->shift[k]))
            return affine_refuse(map, "%s", not_finite);
    }
    return TN_OK;
}

static tn_status read_norm(tn_rewrite *ctx, affine *map, const linear *l, int before)
{
    static const char *const names[] = { "scale", "B", "mean", "variance" };
    const tn_node_view *view = ctx->api->node(ctx->graph, map->id);
    const tn_tensor *p[4];
    (void)before;
    if (!is_inference(ctx, view))
        return affine_refuse(map, "%s trains", map->name);
    if (l->any_rank) /* its channels are on axis 1, those of the product on the last */
        return affine_refuse(map, "MatMul's inputs are not both known to be matrices");
    for (uint32_t k = 0; k < 4; k++) {
        p[k] = k + 1 < view->input_count
                   ? fusion_constant(ctx, view->inputs[k + 1], names[k], map->why)
                   : NULL;
        if (!p[k] || !is_vector(p[k], p[0]->rank == 1 ? p[0]->dims[0] : -1))
            return TN_NO_MATCH;
    }
    TN_TRY(affine_allocate(ctx, map, p[0]->dims[0]));
    return compute_affine(map, p, (double)tn_attr_float(view, "epsilon", 1e-5f));
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    affine map = {
        .id = node, .what = "BatchNormalization", .not_finite = not_finite, .read = read_norm
    };
    if (view->input_count < 5 || view->inputs[0] == TN_NONE || !view->output_count ||
        view->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    map.x = view->inputs[0];
    map.y = view->outputs[0];
    snprintf(map.name, sizeof map.name, "%s", view->name);
    return affine_fold(ctx, &map);
}

tn_status fold_batch_norm_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "BatchNormalization", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){
            .size = sizeof(tn_pass_def),
            .phase = TN_PHASE_FOLD,
            .order = 10,
            .exactness = TN_EXACT_ROUNDING,
            .name = "fold_batch_norm",
            .doc = "Folds an inference BatchNormalization into the Conv, ConvTranspose, Gemm or "
                   "MatMul before it, or behind it where no padding comes between.",
            .roots = roots,
            .match = match });
}
