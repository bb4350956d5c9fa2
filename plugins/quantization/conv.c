/* plugins/quantization/conv.c: convolutions of quantized tensors (ONNX operators: ConvInteger,
 * QLinearConv).
 *
 *   S[n,m,o] = sum over c, k of (w[m,c,k] - w_zero_point[m]) * (x[n,c,o*stride+k*dilation-pad]
 *              - x_zero_point)
 *   ConvInteger: y = S, modulo 2^32
 *   QLinearConv: y = saturate(round((S + B[m]) * x_scale * w_scale[m] / y_scale) + y_zero_point)
 *
 * Padding stands for 0, that is, for the zero point. Sums are exact. Any number of spatial axes.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>

/* Where an operator has its inputs; -1: not at all. */
typedef struct places {
    const char *const *names;
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
} places;
static const char *const integer_names[] = { "x", "w", "x_zero_point", "w_zero_point" };
static const char *const linear_names[] = { "x",       "x_scale",      "x_zero_point",
                                            "w",       "w_scale",      "w_zero_point",
                                            "y_scale", "y_zero_point", "B" };
static const places integer = { integer_names, 0, -1, 2, 1, -1, 3, -1, -1, -1 };
static const places linear = { linear_names, 0, 1, 2, 3, 4, 5, 6, 7, 8 };

static const tn_type *type_at(const tn_infer *ctx, int k)
{
    return k < 0 ? NULL : quant_type(ctx, (uint32_t)k);
}
static const tn_tensor *tensor_at(const tn_run *ctx, int k)
{
    return k < 0 ? NULL : quant_input(ctx, (uint32_t)k);
}

/* ---- inference -------------------------------------------------------------------------- */

static void check_scalar(tn_infer *ctx, const places *at, int k)
{
    const tn_type *type = type_at(ctx, k);
    if (type && quant_is_many(type))
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)k, NULL,
                                 "input '%s' has shape %s: expected a scalar", at->names[k],
                                 quant_shape_text(type, (char[QUANT_TEXT]){ 0 }, QUANT_TEXT));
}

/* A vector with one element for each output channel; a scalar, too, where `scalar`. */
static void check_channels(tn_infer *ctx, const places *at, int k, tn_dim filters, int scalar)
{
    const tn_type *type = type_at(ctx, k);
    if (!type || type->rank < 0 || (scalar && !quant_is_many(type)) ||
        (type->rank == 1 && ctx->call.host->dim_equal(&ctx->call, type->dims[0], filters) != TN_NO))
        return;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)k, NULL,
                             "input '%s' has shape %s: expected %sone element for each output "
                             "channel",
                             at->names[k],
                             quant_shape_text(type, (char[QUANT_TEXT]){ 0 }, QUANT_TEXT),
                             scalar ? "a scalar or " : "");
}

/* Spatial axes; -1: unknown, or after a complaint. */
static int32_t spatial_axes(tn_infer *ctx, const places *at)
{
    const tn_type *x = type_at(ctx, at->x), *w = type_at(ctx, at->w);
    const int32_t rank = x ? x->rank : -1;
    if (rank >= 0 && rank < 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'x' has rank %d: expected 3 or more (batch, channels, "
                                 "spatial axes)",
                                 rank);
        return -1;
    }
    if (rank < 0)
        return w && w->rank >= 3 ? w->rank - 2 : -1;
    if (w && w->rank >= 0 && w->rank != rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)at->w, NULL,
                                 "input 'w' has rank %d, but input 'x' has rank %d: expected the "
                                 "same",
                                 w->rank, rank);
        return -1;
    }
    return rank - 2;
}

static void check_group(tn_infer *ctx, const places *at, int64_t group)
{
    const tn_type *x = type_at(ctx, at->x), *w = type_at(ctx, at->w);
    const tn_dim channels = x && x->rank > 1 ? x->dims[1] : TN_DIM_UNKNOWN;
    const tn_dim filters = w && w->rank > 1 ? w->dims[0] : TN_DIM_UNKNOWN;
    const int input = tn_dim_known(channels) && channels % group;
    if (input || (tn_dim_known(filters) && filters % group)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "group",
                                 "group is %" PRId64 ", which does not divide %" PRId64
                                 " %s channels",
                                 group, input ? channels : filters, input ? "input" : "output");
        return;
    }
    if (w && w->rank > 1 && tn_dim_known(channels) && tn_dim_known(w->dims[1]) &&
        w->dims[1] != channels / group)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, (uint32_t)at->w, NULL,
                                 "input 'w' has extent %" PRId64 " along axis 1, but input 'x' has "
                                 "%" PRId64 " channels in %" PRId64 " groups: expected %" PRId64,
                                 w->dims[1], channels, group, channels / group);
}

static tn_status infer(tn_infer *ctx)
{
    const places *at = ctx->call.user;
    const tn_type *x = type_at(ctx, at->x), *w = type_at(ctx, at->w);
    tn_type *y = &ctx->outputs[0];
    conv_window window;
    if (at == &integer)
        y->dtype = TN_INT32;
    check_scalar(ctx, at, at->x_scale);
    check_scalar(ctx, at, at->x_zero);
    check_scalar(ctx, at, at->y_scale);
    check_scalar(ctx, at, at->y_zero);
    const int32_t spatial = spatial_axes(ctx, at);
    if (spatial < 0 || !window_read(&ctx->call, ctx->node, spatial, w, &window))
        return TN_OK;
    check_group(ctx, at, window.group);
    y->rank = spatial + 2;
    y->dims[0] = x && x->rank > 0 ? x->dims[0] : TN_DIM_UNKNOWN;
    y->dims[1] = w && w->rank > 0 ? w->dims[0] : TN_DIM_UNKNOWN;
    check_channels(ctx, at, at->w_scale, y->dims[1], 1);
    check_channels(ctx, at, at->w_zero, y->dims[1], 1);
    check_channels(ctx, at, at->bias, y->dims[1], 0);
    for (int32_t k = 0; k < spatial; k++)
        y->dims[k + 2] = window_count(ctx, &window, k,
                                      x && x->rank > 0 ? x->dims[k + 2] : TN_DIM_UNKNOWN);
    return TN_OK;
}

/* One multiply-add for each output element, filter tap and input channel of its group. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const places *at = ctx->call.user;
    const tn_type *y = &ctx->outputs[0], *w = type_at(ctx, at->w);
    out->macs = 1.0;
    for (int32_t axis = 0; axis < y->rank; axis++)
        out->macs *= (double)y->dims[axis];
    for (int32_t axis = 1; w && axis < w->rank; axis++)
        out->macs *= (double)w->dims[axis];
    return TN_OK;
}

static int32_t window_of(tn_infer *ctx, tn_window *windows)
{
    const places *at = ctx->call.user;
    const tn_type *x = type_at(ctx, at->x), *w = type_at(ctx, at->w);
    conv_window window;
    if (!x || x->rank < 3 || !w || w->rank != x->rank ||
        !window_read(NULL, ctx->node, x->rank - 2, w, &window))
        return 0;
    for (int32_t k = 0; k < window.spatial; k++)
        if (!tn_dim_known(x->dims[k + 2]) || !tn_dim_known(window.kernel[k]))
            return 0;
    window_pad(&window, x->dims + 2);
    for (int32_t k = 0; k < window.spatial; k++)
        windows[k] = (tn_window){ .kernel = window.kernel[k],
                                  .stride = window.stride[k],
                                  .dilation = window.dilation[k],
                                  .pad_begin = window.begin[k],
                                  .pad_end = window.end[k] };
    return window.spatial;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* For each sample and group a product of the weights [rows, depth] with the windows
 * [depth, positions]. */
typedef struct job {
    const tn_tensor *x, *w, *w_zero, *w_scale, *bias;
    tn_tensor *y;
    conv_window window;
    int64_t rows, depth, positions;
    int64_t row_tiles, position_tiles;
    int linear;
    double x_zero, scale, y_scale, y_zero; /* scale: x_scale */
} job;

typedef struct tile {
    int64_t n, row, rows, first, columns; /* row counts over all groups */
} tile;

/* The element for output channel m of a vector, or a scalar. */
static double of_channel(const tn_tensor *table, double absent, int64_t m)
{
    if (!table)
        return absent;
    return tn_get_double(table->dtype, table->data, tn_count(table) == 1 ? 0 : m);
}

/* Where the windows of a tile begin in x: may lie on padding. */
static void find_origins(const job *j, const tile *t, int64_t (*origins)[TN_MAX_RANK])
{
    const conv_window *v = &j->window;
    for (int64_t c = 0; c < t->columns; c++) {
        int64_t rest = t->first + c;
        for (int32_t k = v->spatial - 1; k >= 0; k--) {
            const int64_t extent = j->y->dims[k + 2];
            origins[c][k] = rest % extent * v->stride[k] - v->begin[k];
            rest /= extent;
        }
    }
}

/* What filter tap `tap` of channel `channel` (counted over all samples) sees in one window. */
static double see(const job *j, int64_t channel, const int64_t *tap, const int64_t *origin)
{
    const conv_window *v = &j->window;
    int64_t at = channel;
    for (int32_t k = 0; k < v->spatial; k++) {
        const int64_t extent = j->x->dims[k + 2];
        const int64_t here = origin[k] + tap[k] * v->dilation[k];
        if (here < 0 || here >= extent)
            return 0.0;
        at = at * extent + here;
    }
    return (j->x->dtype == TN_UINT8 ? (double)((const uint8_t *)j->x->data)[at]
                                    : (double)((const int8_t *)j->x->data)[at]) -
           j->x_zero;
}

static void fill_panel(const job *j, const tile *t, int64_t (*origins)[TN_MAX_RANK], int64_t first,
                       int64_t depth, double *panel)
{
    const conv_window *v = &j->window;
    const int64_t channels = j->w->dims[1];
    for (int64_t d = 0; d < depth; d++) {
        int64_t tap[TN_MAX_RANK], rest = first + d;
        double *row = panel + d * WIDE;
        for (int32_t k = v->spatial - 1; k >= 0; k--) {
            tap[k] = rest % v->kernel[k];
            rest /= v->kernel[k];
        }
        const int64_t channel = t->n * j->x->dims[1] + t->row / j->rows * channels + rest;
        for (int64_t c = 0; c < t->columns; c++)
            row[c] = see(j, channel, tap, origins[c]);
        for (int64_t c = t->columns; c % 4; c++)
            row[c] = 0.0;
    }
}

static void store_row(const job *j, const tile *t, int64_t m, double *sums)
{
    const int64_t first = (t->n * j->y->dims[1] + m) * j->positions + t->first;
    if (!j->linear) {
        for (int64_t c = 0; c < t->columns; c++)
            tn_set_int(TN_INT32, j->y->data, first + c, (int64_t)sums[c]);
        return;
    }
    const double scale = j->scale * of_channel(j->w_scale, 1.0, m);
    double zero[WIDE];
    for (int64_t c = 0; c < t->columns; c++) {
        sums[c] = sums[c] * scale / j->y_scale;
        zero[c] = j->y_zero;
    }
    quant_store(j->y->dtype, j->y->data, first, t->columns, sums, zero, 1);
}

static void compute_tile(const job *j, const tile *t)
{
    double sums[HIGH * WIDE] = { 0 }, panel[DEEP * WIDE], weights[ROWS * DEEP] = { 0 };
    int64_t origins[WIDE][TN_MAX_RANK];
    find_origins(j, t, origins);
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < WIDE; c++)
            sums[r * WIDE + c] = of_channel(j->bias, 0.0, t->row + r);
    for (int64_t k = 0; k < j->depth; k += DEEP) {
        const int64_t depth = j->depth - k < DEEP ? j->depth - k : DEEP;
        fill_panel(j, t, origins, k, depth, panel);
        for (int64_t r = 0; r < t->rows; r++) {
            const int64_t m = t->row + r;
            product_load(j->w, m * j->depth + k, depth, of_channel(j->w_zero, 0.0, m), weights,
                         r % ROWS);
            if (r % ROWS == ROWS - 1 || r == t->rows - 1) /* rows beyond are not stored */
                product_rows(sums + (r - r % ROWS) * WIDE, weights, panel, depth, t->columns);
        }
    }
    for (int64_t r = 0; r < t->rows; r++)
        store_row(j, t, t->row + r, sums + r * WIDE);
}

static tn_status run_tiles(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t groups = j->window.group;
    (void)thread;
    for (int64_t k = begin; k < end; k++) {
        const int64_t first = k % j->position_tiles * WIDE;
        const int64_t row = k / j->position_tiles % j->row_tiles * HIGH;
        const int64_t group = k / j->position_tiles / j->row_tiles % groups;
        const tile t = { .n = k / j->position_tiles / j->row_tiles / groups,
                         .row = group * j->rows + row,
                         .rows = j->rows - row < HIGH ? j->rows - row : HIGH,
                         .first = first,
                         .columns = j->positions - first < WIDE ? j->positions - first : WIDE };
        compute_tile(j, &t);
    }
    return TN_OK;
}

static double scalar_at(const tn_run *ctx, int k, double absent)
{
    return of_channel(tensor_at(ctx, k), absent, 0);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const places *at = ctx->call.user;
    job j = { .x = tensor_at(ctx, at->x),
              .w = tensor_at(ctx, at->w),
              .w_zero = tensor_at(ctx, at->w_zero),
              .w_scale = tensor_at(ctx, at->w_scale),
              .bias = tensor_at(ctx, at->bias),
              .y = ctx->outputs[0],
              .linear = at == &linear,
              .x_zero = scalar_at(ctx, at->x_zero, 0.0),
              .scale = scalar_at(ctx, at->x_scale, 1.0),
              .y_scale = scalar_at(ctx, at->y_scale, 1.0),
              .y_zero = scalar_at(ctx, at->y_zero, 0.0) };
    tn_type weights = { .size = sizeof weights, .rank = j.w->rank };
    (void)state, (void)slot;
    if (tn_count(j.y) == 0)
        return TN_OK;
    memcpy(weights.dims, j.w->dims, (size_t)j.w->rank * sizeof *weights.dims);
    (void)window_read(NULL, ctx->node, j.w->rank - 2, &weights, &j.window);
    window_pad(&j.window, j.x->dims + 2);
    j.rows = j.w->dims[0] / j.window.group;
    j.depth = tn_extent(j.w->dims, 1, j.w->rank);
    j.positions = tn_extent(j.y->dims, 2, j.y->rank);
    j.row_tiles = (j.rows + HIGH - 1) / HIGH;
    j.position_tiles = (j.positions + WIDE - 1) / WIDE;
    return ctx->call.host->parallel_for(
        &ctx->call, j.y->dims[0] * j.window.group * j.row_tiles * j.position_tiles,
        1 + 100 / (j.depth + 1), run_tiles, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def integer_inputs[] = {
    { "x", "T1", QUANT_BYTES, 0, 0, "[N, C, D1, …]" },
    { "w", "T2", QUANT_BYTES, 0, 0, "Filters: [M, C/group, k1, …]." },
    { "x_zero_point", "T1", QUANT_BYTES, TN_PARAM_OPTIONAL, 0, "A scalar; 0." },
    { "w_zero_point", "T2", QUANT_BYTES, TN_PARAM_OPTIONAL, 0, "A scalar or [M]; 0." },
};
static const tn_param_def integer_outputs[] = {
    { "y", NULL, TN_BIT(TN_INT32), 0, 0, "[N, M, E1, …]" },
};
#define SCALE TN_BIT(TN_FLOAT32)
static const tn_param_def linear_inputs[] = {
    { "x", "T1", QUANT_BYTES, 0, 0, "[N, C, D1, …]" },
    { "x_scale", NULL, SCALE, 0, 0, "A scalar." },
    { "x_zero_point", "T1", QUANT_BYTES, 0, 0, "A scalar." },
    { "w", "T2", QUANT_BYTES, 0, 0, "Filters: [M, C/group, k1, …]." },
    { "w_scale", NULL, SCALE, 0, 0, "A scalar or [M]." },
    { "w_zero_point", "T2", QUANT_BYTES, 0, 0, "A scalar or [M]." },
    { "y_scale", NULL, SCALE, 0, 0, "A scalar." },
    { "y_zero_point", "T3", QUANT_BYTES, 0, 0, "A scalar." },
    { "B", NULL, TN_BIT(TN_INT32), TN_PARAM_OPTIONAL, 0,
      "Added to each output channel, in units of x_scale * w_scale: [M]; 0." },
};
static const tn_param_def linear_outputs[] = {
    { "y", "T3", QUANT_BYTES, 0, 0, "[N, M, E1, …]" },
};
static const tn_attribute_def attributes[] = {
    { .name = "auto_pad",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "NOTSET",
      .doc = "NOTSET: as `pads` says; VALID: none; SAME_UPPER, SAME_LOWER: ceil(extent / stride) "
             "positions." },
    { .name = "dilations",
      .type = TN_ATTR_INTS,
      .doc = "Distance between neighbouring taps, for each spatial axis; 1." },
    { .name = "group",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "Channels are split into so many groups that do not see each other." },
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .doc = "Extents of the filter; those of w where it is left out." },
    { .name = "pads",
      .type = TN_ATTR_INTS,
      .doc = "Places around the input: all beginnings, then all ends; 0." },
    { .name = "strides",
      .type = TN_ATTR_INTS,
      .doc = "Step of the window, for each spatial axis; 1." },
};

static tn_status add(tn_registrar *registrar, const tn_operator_def *op)
{
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = op->name,
                                   .run = run,
                                   .user = op->user,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status conv_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 10,
        .name = "ConvInteger",
        .doc = "A convolution of 8-bit integers, as int32.",
        .inputs = integer_inputs,
        .input_count = 4,
        .outputs = integer_outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = sizeof attributes / sizeof *attributes,
        .infer = infer,
        .cost = cost,
        .window = window_of,
        .samplewise = samplewise,
        .user = (void *)&integer,
    };
    TN_TRY(add(registrar, &op));
    op.name = "QLinearConv";
    op.doc = "A convolution of quantized tensors, quantized again.";
    op.inputs = linear_inputs;
    op.input_count = 9;
    op.outputs = linear_outputs;
    op.user = (void *)&linear;
    return add(registrar, &op);
}
