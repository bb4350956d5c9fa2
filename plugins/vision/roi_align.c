/* plugins/vision/roi_align.c: RoiAlign (ONNX operators: RoiAlign; He et al. 2017, Mask R-CNN).
 *
 *   Y[r,c,i,j] = mean (or maximum) of X[batch r, c] at the sampling points of bin (i, j) of region r
 *
 * Points are interpolated linearly; those more than one element outside count as 0. The maximum is
 * taken over the four weighted elements of each point, as the reference implementation does. With
 * half_pixel regions are moved by half an element; without, they are at least one element large:
 * the only way until set 16.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

#include <inttypes.h>

enum { AVERAGE, MAXIMUM };
enum { HALF_PIXEL, OUTPUT_HALF_PIXEL };
static const char *const mode_names[] = { "avg", "max" };
static const char *const transform_names[] = { "half_pixel", "output_half_pixel" };

/* ---- inference -------------------------------------------------------------------------- */

static int check_attributes(tn_infer *ctx)
{
    static const struct {
        const char *name;
        int64_t fallback, lowest;
    } numbers[] = { { "output_height", 1, 1 },
                    { "output_width", 1, 1 },
                    { "sampling_ratio", 0, 0 } };
    int good = vision_choice(&ctx->call, ctx->node, "mode", "avg", mode_names, 2) >= 0;
    good &= vision_choice(&ctx->call, ctx->node, "coordinate_transformation_mode", "half_pixel",
                          transform_names, 2) >= 0;
    for (int k = 0; k < 3; k++) {
        const int64_t found = tn_attr_int(ctx->node, numbers[k].name, numbers[k].fallback);
        if (found >= numbers[k].lowest && found <= INT32_MAX)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 numbers[k].name, "%s is %" PRId64 ": expected %" PRId64 " to %d",
                                 numbers[k].name, found, numbers[k].lowest, INT32_MAX);
        good = 0;
    }
    return good;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *rois = ctx->inputs[1], *batch = ctx->inputs[2];
    tn_type *y = &ctx->outputs[0];
    if (!check_attributes(ctx))
        return TN_OK;
    const int pictures = vision_check_rank(ctx, 0, "X", 4, "4, [N, C, H, W]");
    const int regions = vision_check_rank(ctx, 1, "rois", 2, "2, [regions, 4]");
    const int places = vision_check_rank(ctx, 2, "batch_indices", 1, "a vector");
    if (regions && !vision_check_dim(ctx, 1, "rois", 1, 4, "x1, y1, x2, y2"))
        return TN_OK;
    if (regions && places &&
        !vision_check_dim(ctx, 2, "batch_indices", 0, rois->dims[0], "one for each region"))
        return TN_OK;
    y->rank = 4;
    y->dims[0] = regions && rois->dims[0] != TN_DIM_UNKNOWN ? rois->dims[0]
                 : places                                   ? batch->dims[0]
                                                            : TN_DIM_UNKNOWN;
    y->dims[1] = pictures ? x->dims[1] : TN_DIM_UNKNOWN;
    y->dims[2] = tn_attr_int(ctx->node, "output_height", 1);
    y->dims[3] = tn_attr_int(ctx->node, "output_width", 1);
    return TN_OK;
}

/* Four elements for each point, where the number of points does not depend on values. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const double ratio = (double)tn_attr_int(ctx->node, "sampling_ratio", 0);
    out->macs = ratio > 0 ? 4.0 * ratio * ratio : 4.0;
    for (int32_t k = 0; k < 4; k++)
        out->macs *= (double)ctx->outputs[0].dims[k];
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    tn_run *run;
    const tn_tensor *x, *rois;
    const int64_t *batch;
    tn_tensor *y;
    int mode;
    double scale, offset; /* offset: half an element, or 0 */
    int64_t ratio;
} job;

/* A region along one axis: where it starts, how long a bin is, and its points. */
typedef struct span {
    double start, bin;
    int64_t points;
} span;

#define POINTS_LIMIT 65536 /* on a side of a bin: beyond it a region is taken for nonsense */

static tn_status read_span(const job *j, int64_t region, int axis, int64_t bins, span *out)
{
    const double from = vision_load(j->rois, region * 4 + axis) * j->scale - j->offset;
    const double to = vision_load(j->rois, region * 4 + axis + 2) * j->scale - j->offset;
    double length = to - from;
    if (j->offset == 0.0)
        length = length < 1.0 ? 1.0 : length;
    out->start = from;
    out->bin = length / (double)bins;
    if (!(fabs(from) < 0x1p52 && length < 0x1p52))
        return tn_fail(j->run, TN_ERR_VALUE,
                       "rois[%" PRId64 "] reaches from %g to %g: expected "
                       "finite numbers",
                       region, from, to);
    const double points = j->ratio > 0 ? (double)j->ratio : ceil(out->bin);
    if (points > POINTS_LIMIT)
        return tn_fail(j->run, TN_ERR_LIMIT,
                       "rois[%" PRId64 "] has %g sampling points on a side of a bin: expected at "
                       "most %d",
                       region, points, POINTS_LIMIT);
    out->points = points > 0 ? (int64_t)points : 0;
    return TN_OK;
}

/* The two elements beside a place, and the weight of the second; 0: too far outside. */
static int beside(double at, int64_t extent, int64_t *low, int64_t *high, double *part)
{
    if (!(at >= -1.0 && at <= (double)extent))
        return 0;
    at = at < 0.0 ? 0.0 : at;
    *low = (int64_t)at;
    *high = *low + 1;
    if (*low >= extent - 1) {
        *low = *high = extent - 1;
        at = (double)*low;
    }
    *part = at - (double)*low;
    return 1;
}

static double sample(const job *j, int64_t plane, double y, double x)
{
    const int64_t height = j->x->dims[2], width = j->x->dims[3];
    int64_t top, bottom, left, right;
    double down, aside;
    if (!beside(y, height, &top, &bottom, &down) || !beside(x, width, &left, &right, &aside))
        return 0.0;
    const double a = (1 - down) * (1 - aside) * vision_load(j->x, plane + top * width + left);
    const double b = (1 - down) * aside * vision_load(j->x, plane + top * width + right);
    const double c = down * (1 - aside) * vision_load(j->x, plane + bottom * width + left);
    const double d = down * aside * vision_load(j->x, plane + bottom * width + right);
    return j->mode == AVERAGE ? a + b + c + d : fmax(fmax(a, b), fmax(c, d));
}

static double pool_bin(const job *j, int64_t plane, const span *y, const span *x, int64_t i,
                       int64_t k)
{
    const double count = (double)(y->points * x->points);
    double value = 0.0;
    for (int64_t iy = 0; iy < y->points; iy++)
        for (int64_t ix = 0; ix < x->points; ix++) {
            const double at_y = y->start + (double)i * y->bin +
                                ((double)iy + 0.5) * y->bin / (double)y->points;
            const double at_x = x->start + (double)k * x->bin +
                                ((double)ix + 0.5) * x->bin / (double)x->points;
            const double found = sample(j, plane, at_y, at_x);
            if (j->mode == AVERAGE)
                value += found;
            else
                value = iy + ix == 0 ? found : fmax(value, found);
        }
    return j->mode == AVERAGE && count > 0 ? value / count : value;
}

/* One region's channel. */
static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t channels = j->y->dims[1], rows = j->y->dims[2], columns = j->y->dims[3];
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t region = at / channels, n = j->batch[region];
        span x, y;
        if (n < 0 || n >= j->x->dims[0])
            return tn_fail(j->run, TN_ERR_VALUE,
                           "batch_indices[%" PRId64 "] is %" PRId64 ": expected a number in "
                           "[0, %" PRId64 ")",
                           region, n, j->x->dims[0]);
        TN_TRY(read_span(j, region, 0, columns, &x));
        TN_TRY(read_span(j, region, 1, rows, &y));
        const int64_t plane = (n * channels + at % channels) * j->x->dims[2] * j->x->dims[3];
        for (int64_t bin = 0; bin < rows * columns; bin++)
            tn_set_float(j->y->dtype, j->y->data, at * rows * columns + bin,
                         pool_bin(j, plane, &y, &x, bin / columns, bin % columns));
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .run = ctx,
              .x = ctx->inputs[0],
              .rois = ctx->inputs[1],
              .batch = ctx->inputs[2]->data,
              .y = ctx->outputs[0],
              .mode = vision_choice(NULL, ctx->node, "mode", "avg", mode_names, 2),
              .scale = (double)tn_attr_float(ctx->node, "spatial_scale", 1),
              .ratio = tn_attr_int(ctx->node, "sampling_ratio", 0) };
    (void)state, (void)slot;
    if (vision_choice(NULL, ctx->node, "coordinate_transformation_mode", "half_pixel",
                      transform_names, 2) == HALF_PIXEL)
        j.offset = 0.5;
    if (!tn_count(j.y))
        return TN_OK;
    if (!tn_count(j.x))
        return tn_fail(ctx, TN_ERR_VALUE, "input 'X' has no element to sample: expected one");
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.y->dims[1], 1, run_planes, &j);
}

/* ---- older versions ----------------------------------------------------------------------- */

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const tn_attribute a = { .size = sizeof a,
                             .type = TN_ATTR_STRING,
                             .name = "coordinate_transformation_mode",
                             .s = { "output_half_pixel", strlen("output_half_pixel") } };
    return ctx->api->set_attribute(ctx->graph, node, &a);
}

static tn_status infer_old(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T1", TN_MASK_FLOAT, 0, 0, "[N, C, H, W]" },
    { "rois", "T1", TN_MASK_FLOAT, 0, 0, "regions: [R, 4], each x1, y1, x2, y2" },
    { "batch_indices", "T2", TN_BIT(TN_INT64), 0, 0, "the picture of each region: [R]" },
};
static const tn_param_def outputs[] = {
    { "Y", "T1", TN_MASK_FLOAT, 0, 0, "[R, C, output_height, output_width]" },
};
/* Set 10 had all but the last. */
static const tn_attribute_def attributes[] = {
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "avg",
      .doc = "avg or max" },
    { .name = "output_height",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "bins of a region, one below the other" },
    { .name = "output_width",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "bins of a region, side by side" },
    { .name = "sampling_ratio",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "points on each side of a bin; 0: one for each element" },
    { .name = "spatial_scale",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1.0f,
      .doc = "what coordinates of regions are multiplied by" },
    { .name = "coordinate_transformation_mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "half_pixel",
      .doc = "half_pixel, or output_half_pixel: regions are not moved" },
};
#define ROW(version, from, attrs, infer_, cost_, up)                                               \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = version, .accepts_from = from,                   \
        .name = "RoiAlign", .doc = "Pools regions of pictures at interpolated points.",            \
        .inputs = inputs, .input_count = 3, .outputs = outputs, .output_count = 1,                 \
        .attributes = attributes, .attribute_count = attrs, .traits = TN_MAY_FAIL,                 \
        .infer = infer_, .cost = cost_, .upgrade = up                                              \
    }
static const tn_operator_def operators[] = {
    ROW(10, 10, 5, infer_old, NULL, NULL),
    ROW(22, 16, 6, infer, cost, upgrade),
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "RoiAlign",
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status roi_align_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &operators[0]));
    TN_TRY(registrar->add_operator(registrar, &operators[1]));
    return registrar->add_kernel(registrar, &kernel);
}
