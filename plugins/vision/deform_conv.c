/* plugins/vision/deform_conv.c: DeformConv (ONNX operators: DeformConv; Dai et al. 2017, Zhu et al.
 * 2018).
 *
 *   Y[n,m,o] = B[m] + sum over c, k of W[m,c,k] * mask[n,k,o] * X[n, c] at o*stride + k*dilation
 *              - pad + offset[n,k,:,o]
 *
 * in any number of spatial axes. X is interpolated linearly between elements and 0 outside. Channels
 * share offsets and mask in offset_group groups: offset is [N, groups, taps, axes] on its axis 1,
 * mask [N, groups, taps].
 *
 * For each position the kernel first gathers what all taps see, then multiplies with the filters.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

#include <inttypes.h>

enum { X, W, OFFSET, B, MASK };
#define LARGEST INT64_C(0x7fffffff) /* products of two such numbers fit 64 bits */

/* ---- attributes --------------------------------------------------------------------------- */

typedef struct window {
    int32_t spatial;
    int64_t group, offset_group;
    int64_t stride[TN_MAX_RANK], dilation[TN_MAX_RANK], pads[2 * TN_MAX_RANK];
} window;

static int read_list(tn_call *call, const tn_node_view *node, const char *name, size_t wanted,
                     int64_t lowest, int64_t *out)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list);
    if (count && count != wanted) {
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "attribute '%s' has %zu entries: expected %zu", name, count,
                                 wanted);
        return 0;
    }
    for (size_t k = 0; k < wanted; k++) {
        out[k] = count ? list[k] : lowest;
        if (out[k] >= lowest && out[k] <= LARGEST)
            continue;
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "attribute '%s' holds %" PRId64 ": expected %" PRId64
                                 " to %" PRId64,
                                 name, out[k], lowest, LARGEST);
        return 0;
    }
    return 1;
}

static int read_groups(tn_call *call, const tn_node_view *node, const char *name, int64_t *out)
{
    *out = tn_attr_int(node, name, 1);
    if (*out >= 1 && *out <= LARGEST)
        return 1;
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is %" PRId64 ": expected 1 or more", name, *out);
    return 0;
}

static int read_window(tn_call *call, const tn_node_view *node, int32_t spatial, window *out)
{
    const size_t count = (size_t)spatial;
    out->spatial = spatial;
    return read_list(call, node, "strides", count, 1, out->stride) &&
           read_list(call, node, "dilations", count, 1, out->dilation) &&
           read_list(call, node, "pads", 2 * count, 0, out->pads) &&
           read_groups(call, node, "group", &out->group) &&
           read_groups(call, node, "offset_group", &out->offset_group);
}

/* ---- inference -------------------------------------------------------------------------- */

static int32_t rank_of(const tn_infer *ctx)
{
    for (uint32_t k = X; k <= OFFSET; k++)
        if (vision_type(ctx, k) && vision_type(ctx, k)->rank >= 0)
            return vision_type(ctx, k)->rank;
    return -1;
}

static tn_dim dim_of(const tn_infer *ctx, uint32_t k, int32_t axis)
{
    const tn_type *type = vision_type(ctx, k);
    return type && type->rank > axis ? type->dims[axis] : TN_DIM_UNKNOWN;
}

static int check_ranks(tn_infer *ctx, int32_t rank)
{
    static const char *const names[] = { "X", "W", "offset", "B", "mask" };
    if (rank < 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, X, NULL,
                                 "input 'X' has rank %d: expected [N, C, spatial axes], at least 3",
                                 (int)rank);
        return 0;
    }
    for (uint32_t k = X; k <= MASK; k++)
        if (vision_type(ctx, k) && vision_type(ctx, k)->rank >= 0 &&
            !vision_check_rank(ctx, k, names[k], k == B ? 1 : rank,
                               k == B ? "a vector" : "that of the other inputs"))
            return 0;
    return 1;
}

static int divides(tn_infer *ctx, const char *name, int64_t groups, tn_dim channels,
                   const char *which)
{
    if (!tn_dim_known(channels) || channels % groups == 0)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is %" PRId64 ", which does not divide %" PRId64 " %s channels",
                             name, groups, channels, which);
    return 0;
}

static int check_channels(tn_infer *ctx, const window *w)
{
    const tn_dim channels = dim_of(ctx, X, 1), filters = dim_of(ctx, W, 0);
    if (!divides(ctx, "group", w->group, channels, "input") ||
        !divides(ctx, "group", w->group, filters, "output") ||
        !divides(ctx, "offset_group", w->offset_group, channels, "input"))
        return 0;
    if (vision_type(ctx, W)->rank > 0 && tn_dim_known(channels) &&
        !vision_check_dim(ctx, W, "W", 1, channels / w->group, "the channels of a group"))
        return 0;
    return !vision_type(ctx, B) || vision_type(ctx, B)->rank != 1 ||
           vision_check_dim(ctx, B, "B", 0, filters, "one for each output channel");
}

/* offset and mask against taps and groups; kernel_shape against W. */
static int check_taps(tn_infer *ctx, const window *w)
{
    const int64_t *shape;
    const size_t listed = tn_attr_ints(ctx->node, "kernel_shape", &shape);
    tn_dim taps = w->offset_group;
    for (int32_t k = 0; k < w->spatial; k++) {
        const tn_dim extent = dim_of(ctx, W, k + 2);
        if (listed == (size_t)w->spatial && extent != TN_DIM_UNKNOWN &&
            !vision_check_dim(ctx, W, "W", k + 2, shape[k], "as in kernel_shape"))
            return 0;
        taps = tn_dim_mul(ctx, taps, extent);
    }
    if (dim_of(ctx, OFFSET, 1) != TN_DIM_UNKNOWN &&
        !vision_check_dim(ctx, OFFSET, "offset", 1, tn_dim_mul(ctx, taps, w->spatial),
                          "offset groups times taps times axes"))
        return 0;
    return dim_of(ctx, MASK, 1) == TN_DIM_UNKNOWN ||
           vision_check_dim(ctx, MASK, "mask", 1, taps, "offset groups times taps");
}

/* Positions along spatial axis k, as Conv has them. */
static tn_dim positions_of(tn_infer *ctx, const window *w, int32_t k)
{
    const tn_dim reach = tn_dim_add(
        ctx, tn_dim_mul(ctx, tn_dim_sub(ctx, dim_of(ctx, W, k + 2), 1), w->dilation[k]), 1);
    const tn_dim padded = tn_dim_add(ctx, dim_of(ctx, X, k + 2),
                                     w->pads[k] + w->pads[k + w->spatial]);
    return tn_dim_add(ctx, tn_dim_floordiv(ctx, tn_dim_sub(ctx, padded, reach), w->stride[k]), 1);
}

static tn_status infer(tn_infer *ctx)
{
    tn_type *y = &ctx->outputs[0];
    const int32_t rank = rank_of(ctx);
    window w;
    if (rank < 0 || !check_ranks(ctx, rank) || !read_window(&ctx->call, ctx->node, rank - 2, &w) ||
        !check_channels(ctx, &w) || !check_taps(ctx, &w))
        return TN_OK;
    y->rank = rank;
    y->dims[0] = dim_of(ctx, X, 0);
    y->dims[1] = dim_of(ctx, W, 0);
    for (int32_t k = 0; k < w.spatial; k++) {
        const tn_dim wanted = positions_of(ctx, &w, k), given = dim_of(ctx, OFFSET, k + 2);
        if (tn_dim_known(wanted) && wanted < 1) {
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, X, NULL,
                                     "input 'X' has extent %" PRId64
                                     " on axis %d: the filter does not fit, padding included",
                                     dim_of(ctx, X, k + 2), (int)k + 2);
            return TN_OK;
        }
        y->dims[k + 2] = wanted != TN_DIM_UNKNOWN ? wanted : given;
        for (uint32_t input = OFFSET; input <= MASK; input += 2)
            if (wanted != TN_DIM_UNKNOWN && dim_of(ctx, input, k + 2) != TN_DIM_UNKNOWN &&
                !vision_check_dim(ctx, input, input == OFFSET ? "offset" : "mask", k + 2, wanted,
                                  "the positions of the filter"))
                return TN_OK;
    }
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0], *w = vision_type(ctx, W);
    out->macs = 1;
    for (int32_t axis = 0; axis < y->rank; axis++)
        out->macs *= (double)y->dims[axis];
    for (int32_t axis = 1; axis < w->rank; axis++)
        out->macs *= (double)w->dims[axis];
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k == W || k == B ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x, *w, *offset, *b, *mask;
    tn_tensor *y;
    window window;
    int64_t taps, positions;
    int64_t channels, filters; /* of a group */
    double *seen;              /* [threads][input channels][taps] */
} job;

/* What channel `plane` of X is at a point: a sum over the corners around it. */
static double interpolate(const job *j, int64_t plane, const double *point)
{
    double sum = 0.0;
    for (uint32_t corner = 0; corner >> j->window.spatial == 0; corner++) {
        int64_t at = plane;
        double weight = 1.0;
        for (int32_t k = 0; k < j->window.spatial && at >= 0; k++) {
            const double low = floor(point[k]), part = point[k] - low;
            const double here = low + (corner >> k & 1);
            weight *= corner >> k & 1 ? part : 1 - part;
            at = here >= 0 && here < (double)j->x->dims[k + 2]
                     ? at * j->x->dims[k + 2] + (int64_t)here
                     : -1;
        }
        if (at >= 0)
            sum += weight * vision_load(j->x, at);
    }
    return sum;
}

/* Where tap `tap` of offset group `group` looks from a position. */
static void aim(const job *j, int64_t n, int64_t group, int64_t tap, const int64_t *out,
                int64_t position, double *point)
{
    const int32_t spatial = j->window.spatial;
    const int64_t row = ((n * j->window.offset_group + group) * j->taps + tap) * spatial;
    for (int32_t k = spatial - 1; k >= 0; k--) {
        const int64_t step = tap % j->w->dims[k + 2];
        tap /= j->w->dims[k + 2];
        point[k] = (double)(out[k] * j->window.stride[k] + step * j->window.dilation[k] -
                            j->window.pads[k]) +
                   vision_load(j->offset, (row + k) * j->positions + position);
    }
}

static void gather(const job *j, int64_t n, int64_t position, double *seen)
{
    const int64_t channels = j->x->dims[1], each = channels / j->window.offset_group;
    int64_t out[TN_MAX_RANK], rest = position;
    for (int32_t k = j->window.spatial - 1; k >= 0; k--) {
        out[k] = rest % j->y->dims[k + 2];
        rest /= j->y->dims[k + 2];
    }
    for (int64_t group = 0; group < j->window.offset_group; group++)
        for (int64_t tap = 0; tap < j->taps; tap++) {
            const int64_t row = (n * j->window.offset_group + group) * j->taps + tap;
            const double mask = j->mask ? vision_load(j->mask, row * j->positions + position) : 1.0;
            double point[TN_MAX_RANK];
            aim(j, n, group, tap, out, position, point);
            for (int64_t c = group * each; c < (group + 1) * each; c++)
                seen[c * j->taps + tap] = mask * interpolate(j, n * channels + c, point);
        }
}

static tn_status run_positions(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t depth = j->channels * j->taps, outputs = j->y->dims[1];
    double *seen = j->seen + (int64_t)thread * j->x->dims[1] * j->taps;
    for (int64_t at = begin; at < end; at++) {
        const int64_t n = at / j->positions, position = at % j->positions;
        gather(j, n, position, seen);
        for (int64_t m = 0; m < outputs; m++) {
            const double *own = seen + m / j->filters * depth;
            double sum = j->b ? vision_load(j->b, m) : 0.0;
            for (int64_t k = 0; k < depth; k++)
                sum += vision_load(j->w, m * depth + k) * own[k];
            tn_set_float(j->y->dtype, j->y->data, (n * outputs + m) * j->positions + position, sum);
        }
    }
    return TN_OK;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    size_t numbers = p->threads ? p->threads : 1;
    (void)state;
    numbers *= (size_t)p->inputs[X]->dims[1];
    for (int32_t k = 2; k < p->inputs[W]->rank; k++)
        numbers *= (size_t)p->inputs[W]->dims[k];
    ctx->alternatives[0].scratch_bytes = numbers * sizeof(double);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[X],
              .w = ctx->inputs[W],
              .offset = ctx->inputs[OFFSET],
              .b = vision_tensor(ctx, B),
              .mask = vision_tensor(ctx, MASK),
              .y = ctx->outputs[0],
              .seen = ctx->scratch };
    (void)state, (void)slot;
    (void)read_window(NULL, ctx->node, j.x->rank - 2, &j.window);
    if (!tn_count(j.y))
        return TN_OK;
    j.taps = tn_extent(j.w->dims, 2, j.w->rank);
    j.positions = tn_extent(j.y->dims, 2, j.y->rank);
    j.channels = j.w->dims[1];
    j.filters = j.y->dims[1] / j.window.group;
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.positions,
                                        1 + 8192 / (j.taps * j.x->dims[1] * (j.filters + 8) + 1),
                                        run_positions, &j);
}

/* ---- tables ------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, D1, …]" },
    { "W", "T", TN_MASK_FLOAT, 0, 0, "filters: [M, C/group, k1, …]" },
    { "offset", "T", TN_MASK_FLOAT, 0, 0,
      "how far each tap is moved: [N, offset_group * taps * axes, E1, …]" },
    { "B", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "added to each output channel: [M]" },
    { "mask", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0,
      "factor of each tap: [N, offset_group * taps, E1, …]; 1" },
};
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "[N, M, E1, …]" } };
static const tn_attribute_def attributes[] = {
    { .name = "dilations", .type = TN_ATTR_INTS, .doc = "distance between taps; 1" },
    { .name = "group",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "groups of channels that do not see each other" },
    { .name = "kernel_shape", .type = TN_ATTR_INTS, .doc = "extents of the filter; those of W" },
    { .name = "offset_group",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "groups of input channels with offsets of their own" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the filter; 1" },
};
static const tn_operator_def deform_conv = { .size = sizeof deform_conv,
                                             .since = 22,
                                             .accepts_from = 19,
                                             .name = "DeformConv",
                                             .doc = "A convolution whose taps are moved by offsets "
                                                    "that are an input.",
                                             .inputs = inputs,
                                             .input_count = 5,
                                             .outputs = outputs,
                                             .output_count = 1,
                                             .attributes = attributes,
                                             .attribute_count = 6,
                                             .infer = infer,
                                             .cost = cost,
                                             .samplewise = samplewise };
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "DeformConv",
                                      .measure = measure,
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status deform_conv_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &deform_conv));
    return registrar->add_kernel(registrar, &kernel);
}
