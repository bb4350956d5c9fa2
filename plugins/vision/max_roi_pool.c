/* plugins/vision/max_roi_pool.c: MaxRoiPool (ONNX operators: MaxRoiPool; Girshick 2015, Fast R-CNN).
 *
 *   Y[r,c,i,j] = maximum of X[batch r, c] over bin (i, j) of region r
 *
 * A region's corners are scaled and rounded, halves away from zero; both belong to it, and it has
 * one element at least. Bin i of h covers floor(i*H/h) to ceil((i+1)*H/h) of its H rows. A bin
 * outside of X is 0. A NaN in a bin wins.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------- */

static int read_shape(tn_call *call, const tn_node_view *node, const int64_t **shape)
{
    const size_t count = tn_attr_ints(node, "pooled_shape", shape);
    if (count == 2 && (*shape)[0] > 0 && (*shape)[1] > 0 && (*shape)[0] <= INT32_MAX &&
        (*shape)[1] <= INT32_MAX)
        return 1;
    if (count != 2)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pooled_shape",
                             "pooled_shape has %zu entries: expected 2, height and width", count);
    else
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pooled_shape",
                             "pooled_shape is %" PRId64 " x %" PRId64 ": expected 1 to %d each",
                             (*shape)[0], (*shape)[1], INT32_MAX);
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *rois = ctx->inputs[1];
    tn_type *y = &ctx->outputs[0];
    const int64_t *shape;
    if (!read_shape(&ctx->call, ctx->node, &shape))
        return TN_OK;
    const int pictures = vision_check_rank(ctx, 0, "X", 4, "4, [N, C, H, W]");
    const int regions = vision_check_rank(ctx, 1, "rois", 2, "2, [regions, 5]");
    if (regions && !vision_check_dim(ctx, 1, "rois", 1, 5, "sample, x1, y1, x2, y2"))
        return TN_OK;
    y->rank = 4;
    y->dims[0] = regions ? rois->dims[0] : TN_DIM_UNKNOWN;
    y->dims[1] = pictures ? x->dims[1] : TN_DIM_UNKNOWN;
    y->dims[2] = shape[0];
    y->dims[3] = shape[1];
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    const tn_tensor *x, *rois;
    tn_tensor *y;
    double scale;
} job;

static int64_t corner(const job *j, int64_t region, int k)
{
    const double at = round(vision_load(j->rois, region * 5 + k) * j->scale);
    return at >= 0x1p40 ? INT64_C(1) << 40 : at > -0x1p40 ? (int64_t)at : -(INT64_C(1) << 40);
}

static int64_t clamped(int64_t value, int64_t high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* Elements [from, to) of an axis that bin `bin` of `bins` covers. */
static void cover(int64_t start, int64_t end, int64_t bin, int64_t bins, int64_t extent,
                  int64_t *from, int64_t *to)
{
    const int64_t length = end - start + 1 > 1 ? end - start + 1 : 1;
    *from = clamped(start + (int64_t)((double)bin * (double)length / (double)bins), extent);
    *to = clamped(start + (int64_t)ceil((double)(bin + 1) * (double)length / (double)bins), extent);
}

static double largest(const job *j, int64_t plane, const int64_t *from, const int64_t *to)
{
    double value = -INFINITY;
    for (int64_t h = from[0]; h < to[0]; h++)
        for (int64_t w = from[1]; w < to[1]; w++) {
            const double x = vision_load(j->x, plane + h * j->x->dims[3] + w);
            value = x <= value || isnan(value) ? value : x;
        }
    return to[0] > from[0] && to[1] > from[1] ? value : 0.0;
}

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t channels = j->y->dims[1], rows = j->y->dims[2], columns = j->y->dims[3];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t region = at / channels;
        const double n = vision_load(j->rois, region * 5);
        if (!(n >= 0 && n < (double)j->x->dims[0]))
            return tn_fail(j->run, TN_ERR_VALUE,
                           "rois[%" PRId64 "] is of sample %g: expected a number in [0, %" PRId64
                           ")",
                           region, n, j->x->dims[0]);
        const int64_t plane = ((int64_t)n * channels + at % channels) * j->x->dims[2] *
                              j->x->dims[3];
        for (int64_t bin = 0; bin < rows * columns; bin++) {
            int64_t from[2], to[2];
            cover(corner(j, region, 2), corner(j, region, 4), bin / columns, rows, j->x->dims[2],
                  &from[0], &to[0]);
            cover(corner(j, region, 1), corner(j, region, 3), bin % columns, columns, j->x->dims[3],
                  &from[1], &to[1]);
            tn_set_float(j->y->dtype, j->y->data, at * rows * columns + bin,
                         largest(j, plane, from, to));
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .run = ctx,
              .x = ctx->inputs[0],
              .rois = ctx->inputs[1],
              .y = ctx->outputs[0],
              .scale = (double)tn_attr_float(ctx->node, "spatial_scale", 1) };
    (void)state, (void)slot;
    if (!tn_count(j.y))
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.y->dims[1], 1, run_planes, &j);
}

/* ---- tables ------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, H, W]" },
    { "rois", "T", TN_MASK_FLOAT, 0, 0, "regions: [R, 5], each sample, x1, y1, x2, y2" },
};
static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "[R, C, pooled_shape[0], pooled_shape[1]]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "pooled_shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "bins of a region: height, width" },
    { .name = "spatial_scale",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1.0f,
      .doc = "what coordinates of regions are multiplied by" },
};
static const tn_operator_def max_roi_pool = { .size = sizeof max_roi_pool,
                                              .since = 22,
                                              .accepts_from = 1,
                                              .name = "MaxRoiPool",
                                              .doc = "The largest element of each bin of regions.",
                                              .inputs = inputs,
                                              .input_count = 2,
                                              .outputs = outputs,
                                              .output_count = 1,
                                              .attributes = attributes,
                                              .attribute_count = 2,
                                              .traits = TN_MAY_FAIL,
                                              .infer = infer };
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "MaxRoiPool",
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status max_roi_pool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &max_roi_pool));
    return registrar->add_kernel(registrar, &kernel);
}
