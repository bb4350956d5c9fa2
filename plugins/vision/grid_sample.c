/* plugins/vision/grid_sample.c: GridSample (ONNX operators: GridSample; Jaderberg et al. 2015).
 *
 *   Y[n,c,o] = X[n,c] at the point grid[n,o], whose coordinates run from -1 to 1, last axis first
 *
 * With align_corners -1 and 1 are the centres of the outermost elements, else their outer edges.
 * What lies outside is 0 (zeros), the border's element, or mirrored at the border as often as it
 * takes (reflection); with align_corners 0 the mirror stands on the outer edge. nearest rounds
 * halves to even. Integers are cut off as Cast does. A coordinate that is no number is outside.
 *
 * Until set 20 linear was called bilinear, and cubic bicubic.
 *
 * SPDX-License-Identifier: MIT */
#include "vision.h"

enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
static const char *const mode_names[] = { "linear", "nearest", "cubic" };
static const char *const padding_names[] = { "zeros", "border", "reflection" };
static const int taps_of[] = { 2, 1, 4 };

/* ---- inference -------------------------------------------------------------------------- */

static int check(tn_infer *ctx, const tn_type *x, const tn_type *grid)
{
    const int mode = vision_choice(&ctx->call, ctx->node, "mode", "linear", mode_names, 3);
    if (vision_choice(&ctx->call, ctx->node, "padding_mode", "zeros", padding_names, 3) < 0 ||
        mode < 0)
        return 0;
    if (x && x->dtype == TN_STRING && mode != NEAREST)
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' holds texts, which mode '%s' cannot mix: expected mode "
                                 "'nearest'",
                                 mode_names[mode]);
    if (x && x->rank >= 0 && x->rank < 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N, C, spatial axes], at least 3",
                                 (int)x->rank);
        return 0;
    }
    if (!x || x->rank < 0 || !grid || grid->rank < 0)
        return 1;
    return vision_check_rank(ctx, 1, "grid", x->rank, "the rank of 'X'") &&
           vision_check_dim(ctx, 1, "grid", grid->rank - 1, x->rank - 2,
                            "a coordinate for each spatial axis of 'X'") &&
           vision_check_dim(ctx, 1, "grid", 0, x->dims[0], "the samples of 'X'");
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *grid = ctx->inputs[1];
    tn_type *y = &ctx->outputs[0];
    if (!check(ctx, x, grid) || !x || !grid || (x->rank < 0 && grid->rank < 3))
        return TN_OK;
    y->rank = x->rank >= 0 ? x->rank : grid->rank;
    y->dims[0] = x->rank >= 0 ? x->dims[0] : grid->dims[0];
    y->dims[1] = x->rank >= 0 ? x->dims[1] : TN_DIM_UNKNOWN;
    for (int32_t k = 2; k < y->rank; k++)
        y->dims[k] = grid->rank >= 0 ? grid->dims[k - 1] : TN_DIM_UNKNOWN;
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0];
    const int mode = vision_choice(NULL, ctx->node, "mode", "linear", mode_names, 3);
    out->macs = mode == NEAREST ? 0 : 1;
    for (int32_t k = 0; k < y->rank; k++)
        out->macs *= (double)y->dims[k] * (k < 2 || mode < 0 ? 1.0 : taps_of[mode]);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    (void)ctx;
    input_axes[0] = input_axes[1] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- one point ---------------------------------------------------------------------------- */

/* What a point sees along one axis: elements (-1: outside, counts as 0) and their weights. */
typedef struct taps {
    int64_t at[4];
    double weight[4];
} taps;

typedef struct job {
    const tn_tensor *x, *grid;
    tn_tensor *y;
    int mode, padding, corners;
    int32_t spatial;
    uint32_t part;     /* dtype of what is mixed; complex numbers are two of them */
    int64_t parts;     /* 1, or 2 */
    int64_t positions; /* output points of a sample */
    int64_t plane;     /* elements of a channel of X */
} job;

/* Mirrored into [low, high]. */
static double reflected(double x, double low, double high)
{
    const double range = high - low;
    if (!(range > 0.0) || !isfinite(x))
        return low;
    const double away = x < low ? low - x : x - high;
    if (x >= low && x <= high)
        return x;
    const double turns = floor(away / range), rest = away - turns * range;
    return (x < low) == (fmod(turns, 2.0) == 0.0) ? low + rest : high - rest;
}

/* The element that stands at place `at` of an axis of `extent`; -1: none. */
static int64_t element(const job *j, double at, int64_t extent)
{
    const double last = (double)(extent - 1), edge = j->corners ? 0.0 : 0.5;
    if (at >= 0.0 && at <= last)
        return (int64_t)at;
    if (j->padding == ZEROS)
        return -1;
    if (j->padding == REFLECTION)
        at = reflected(at, -edge, last + edge);
    return at >= last ? extent - 1 : at > 0.0 ? (int64_t)at : 0;
}

static void cubic_weights(double part, double *out)
{
    const double a = -0.75, far = part + 1, near = 1 - part, beyond = 2 - part;
    out[0] = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a;
    out[1] = ((a + 2) * part - (a + 3)) * part * part + 1;
    out[2] = ((a + 2) * near - (a + 3)) * near * near + 1;
    out[3] = ((a * beyond - 5 * a) * beyond + 8 * a) * beyond - 4 * a;
}

static void look(const job *j, double coordinate, int64_t extent, taps *out)
{
    const double last = (double)(extent - 1), edge = j->corners ? 0.0 : 0.5;
    double x = j->corners ? (coordinate + 1) / 2 * last
                          : ((coordinate + 1) * (double)extent - 1) / 2;
    if (j->mode == NEAREST)
        x = nearbyint(x);
    if (x < -edge || x > last + edge || isnan(x)) {
        if (j->padding == BORDER)
            x = x > last ? last : 0.0;
        else if (j->padding == REFLECTION)
            x = reflected(x, -edge, last + edge);
    }
    const double base = j->mode == NEAREST ? x : floor(x) - (j->mode == CUBIC);
    for (int k = 0; k < taps_of[j->mode]; k++)
        out->at[k] = element(j, base + k, extent);
    out->weight[0] = 1.0;
    if (j->mode == LINEAR) {
        out->weight[1] = x - floor(x);
        out->weight[0] = 1 - out->weight[1];
    } else if (j->mode == CUBIC) {
        cubic_weights(x - floor(x), out->weight);
    }
}

/* ---- kernel ----------------------------------------------------------------------------- */

enum { CHANNELS = 64 }; /* summed at once */

/* Offset of a combination of taps in a channel's plane, and its weight; -1: outside. */
static int64_t combine(const job *j, const taps *axes, const int *tap, double *weight)
{
    int64_t offset = 0;
    *weight = 1.0;
    for (int32_t k = 0; k < j->spatial; k++) {
        const int64_t at = axes[k].at[tap[k]];
        if (at < 0)
            return -1;
        offset = offset * j->x->dims[k + 2] + at;
        *weight *= axes[k].weight[tap[k]];
    }
    return offset;
}

/* Channels [first, first + count) of one point; channels of complex numbers count twice. */
static void mix_point(const job *j, const taps *axes, int64_t n, int64_t point, int64_t first,
                      int64_t count)
{
    const tn_tensor x = { .dtype = j->part, .data = j->x->data };
    const int64_t channels = j->x->dims[1] * j->parts;
    double sums[CHANNELS] = { 0 };
    int tap[TN_MAX_RANK] = { 0 };
    for (int32_t axis = 0; axis >= 0;) {
        double weight;
        const int64_t offset = combine(j, axes, tap, &weight);
        for (int64_t k = 0; offset >= 0 && k < count; k++) {
            const int64_t c = (first + k) / j->parts, part = (first + k) % j->parts;
            const int64_t plane = (n * j->x->dims[1] + c) * j->plane;
            sums[k] += weight * vision_load(&x, (plane + offset) * j->parts + part);
        }
        for (axis = j->spatial - 1; axis >= 0 && ++tap[axis] == taps_of[j->mode]; axis--)
            tap[axis] = 0;
    }
    for (int64_t k = 0; k < count; k++) {
        const int64_t c = (first + k) / j->parts, part = (first + k) % j->parts;
        const int64_t at = ((n * channels / j->parts + c) * j->positions + point) * j->parts + part;
        vision_store(j->part, j->y->data, at,
                     tn_dtype_is_float(j->part) || j->part == TN_BOOL ? sums[k] : trunc(sums[k]));
    }
}

static void copy_point(const job *j, const taps *axes, int64_t n, int64_t point)
{
    static const tn_text nothing = { "", 0 };
    const size_t width = tn_dtype_bits(j->x->dtype) / 8;
    const int tap[TN_MAX_RANK] = { 0 };
    double weight;
    const int64_t offset = combine(j, axes, tap, &weight), channels = j->x->dims[1];
    for (int64_t c = n * channels; c < (n + 1) * channels; c++) {
        char *to = (char *)j->y->data + (size_t)(c * j->positions + point) * width;
        if (offset >= 0)
            memcpy(to, (const char *)j->x->data + (size_t)(c * j->plane + offset) * width, width);
        else if (j->x->dtype == TN_STRING)
            memcpy(to, &nothing, width);
        else
            memset(to, 0, width);
    }
}

static tn_status run_points(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t channels = j->x->dims[1] * j->parts;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t n = at / j->positions, point = at % j->positions;
        taps axes[TN_MAX_RANK];
        for (int32_t k = 0; k < j->spatial; k++)
            look(j, vision_load(j->grid, at * j->spatial + j->spatial - 1 - k), j->x->dims[k + 2],
                 &axes[k]);
        if (j->mode == NEAREST)
            copy_point(j, axes, n, point);
        for (int64_t c = 0; j->mode != NEAREST && c < channels; c += CHANNELS)
            mix_point(j, axes, n, point, c, channels - c < CHANNELS ? channels - c : CHANNELS);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[0], .grid = ctx->inputs[1], .y = ctx->outputs[0] };
    (void)state, (void)slot;
    j.mode = vision_choice(NULL, ctx->node, "mode", "linear", mode_names, 3);
    j.padding = vision_choice(NULL, ctx->node, "padding_mode", "zeros", padding_names, 3);
    j.corners = tn_attr_int(ctx->node, "align_corners", 0) != 0;
    j.spatial = j.x->rank - 2;
    j.part = j.x->dtype == TN_COMPLEX64    ? TN_FLOAT32
             : j.x->dtype == TN_COMPLEX128 ? TN_FLOAT64
                                           : j.x->dtype;
    j.parts = j.part == j.x->dtype ? 1 : 2;
    j.positions = tn_extent(j.y->dims, 2, j.y->rank);
    j.plane = tn_extent(j.x->dims, 2, j.x->rank);
    if (!tn_count(j.y))
        return TN_OK;
    if (j.plane == 0)
        return tn_fail(ctx, TN_ERR_VALUE, "input 'X' has no element to sample: expected one");
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.positions,
                                        1 + 512 / j.y->dims[1], run_points, &j);
}

/* ---- older versions ----------------------------------------------------------------------- */

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const char *mode = tn_attr_string(ctx->api->node(ctx->graph, node), "mode", "bilinear");
    const char *name = strcmp(mode, "bilinear") == 0  ? "linear"
                       : strcmp(mode, "bicubic") == 0 ? "cubic"
                                                      : NULL;
    const tn_attribute a = { .size = sizeof a,
                             .type = TN_ATTR_STRING,
                             .name = "mode",
                             .s = { name, name ? strlen(name) : 0 } };
    return name ? ctx->api->set_attribute(ctx->graph, node, &a) : TN_OK;
}

static tn_status infer_old(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------- */

#define T1_MASK (TN_MASK_NUMERIC | TN_BIT(TN_STRING) | TN_BIT(TN_BOOL) | TN_MASK_COMPLEX)
static const tn_param_def inputs[] = {
    { "X", "T1", T1_MASK, 0, 0, "[N, C, D1, …]" },
    { "grid", "T2", TN_MASK_FLOAT, 0, 0, "points: [N, E1, …, number of spatial axes]" },
};
static const tn_param_def outputs[] = { { "Y", "T1", T1_MASK, 0, 0, "[N, C, E1, …]" } };
#define ATTRIBUTES(first_mode, all_modes)                                                          \
    {                                                                                              \
        { .name = "align_corners",                                                                 \
          .type = TN_ATTR_INT,                                                                     \
          .flags = TN_ATTR_HAS_DEFAULT,                                                            \
          .doc = "1: -1 and 1 are centres of elements; 0: outer edges" },                          \
            { .name = "mode",                                                                      \
              .type = TN_ATTR_STRING,                                                              \
              .flags = TN_ATTR_HAS_DEFAULT,                                                        \
              .s = first_mode,                                                                     \
              .doc = all_modes },                                                                  \
            { .name = "padding_mode",                                                              \
              .type = TN_ATTR_STRING,                                                              \
              .flags = TN_ATTR_HAS_DEFAULT,                                                        \
              .s = "zeros",                                                                        \
              .doc = "what is outside: zeros, border or reflection" },                             \
    }
static const tn_attribute_def attributes[] = ATTRIBUTES("linear", "linear, nearest or cubic");
static const tn_attribute_def attributes_16[] = ATTRIBUTES("bilinear",
                                                           "bilinear, nearest or bicubic");
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 16,
      .name = "GridSample",
      .doc = "Samples a tensor at points.",
      .inputs = inputs,
      .input_count = 2,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes_16,
      .attribute_count = 3,
      .infer = infer_old },
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 20,
      .name = "GridSample",
      .doc = "Samples a tensor at points.",
      .inputs = inputs,
      .input_count = 2,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 3,
      .infer = infer,
      .cost = cost,
      .samplewise = samplewise,
      .upgrade = upgrade },
};
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "GridSample",
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status grid_sample_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &operators[0]));
    TN_TRY(registrar->add_operator(registrar, &operators[1]));
    return registrar->add_kernel(registrar, &kernel);
}
