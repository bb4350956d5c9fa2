/* plugins/conv/conv.c: Conv, the convolution of neural networks (ONNX operators: Conv).
 *
 *   Y[n,m,o] = B[m] + sum over c, k of W[m,c,k] * X[n, g*C/group + c, o*stride + k*dilation - pad]
 *
 * with o and k running over the spatial axes, any number of them, and g the group of output
 * channel m. X is zero where the window lies on padding; the product with such a zero is taken,
 * so an infinite weight on the border gives NaN.
 *
 * Attributes: auto_pad, dilations, group, kernel_shape, pads, strides.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"
#include "tile.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------- */

static void check_channels(tn_infer *ctx, const conv_window *window)
{
    const tn_host *host = ctx->call.host;
    const tn_type *x = conv_input(ctx, 0), *w = conv_input(ctx, 1);
    const tn_dim channels = conv_dim(x, 1), filters = conv_dim(w, 0);
    char found[200], wanted[200];
    tn_type expected;
    if ((tn_dim_known(channels) && channels % window->group) ||
        (tn_dim_known(filters) && filters % window->group)) {
        const int input = tn_dim_known(channels) && channels % window->group;
        host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "group",
                       "group is %" PRId64 ", which does not divide %" PRId64 " %s channels",
                       window->group, input ? channels : filters, input ? "input" : "output");
        return;
    }
    if (!w || w->rank < 2 || !tn_dim_known(channels) ||
        host->dim_equal(&ctx->call, w->dims[1], channels / window->group) != TN_NO)
        return;
    expected = *w;
    expected.dims[1] = channels / window->group;
    conv_shape_text(w->rank, w->dims, found, sizeof found);
    conv_shape_text(w->rank, expected.dims, wanted, sizeof wanted);
    if (window->group == 1)
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'W' has shape %s, but input 'X' has %" PRId64 " channel%s: expected "
                       "%s",
                       found, channels, channels == 1 ? "" : "s", wanted);
    else
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'W' has shape %s, but input 'X' has %" PRId64 " channel%s in %" PRId64
                       " groups: expected %s",
                       found, channels, channels == 1 ? "" : "s", window->group, wanted);
}

/* Number of windows along spatial axis k. */
static tn_dim output_extent(tn_infer *ctx, const conv_window *window, int32_t k)
{
    const tn_dim in = conv_dim(conv_input(ctx, 0), k + 2);
    const tn_dim reach = conv_reach(&ctx->call, window, k);
    tn_dim slack;
    if (window->auto_pad == CONV_SAME_UPPER || window->auto_pad == CONV_SAME_LOWER)
        return tn_dim_ceildiv(ctx, in, window->stride[k]);
    slack = tn_dim_add(ctx, in, window->pad_begin[k] + window->pad_end[k]);
    slack = tn_dim_sub(ctx, slack, reach);
    if (tn_dim_known(slack) && slack < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has extent %" PRId64 " on axis %d, padded by %" PRId64
                                 " and %" PRId64 ": expected at least the reach of the kernel, "
                                 "%" PRId64,
                                 in, k + 2, window->pad_begin[k], window->pad_end[k], reach);
        return TN_DIM_UNKNOWN;
    }
    return tn_dim_add(ctx, tn_dim_floordiv(ctx, slack, window->stride[k]), 1);
}

static tn_status infer(tn_infer *ctx)
{
    tn_type *y = &ctx->outputs[0];
    const int32_t spatial = conv_spatial(ctx);
    conv_window window;
    if (spatial < 0 ||
        !conv_read_window(&ctx->call, ctx->node, spatial, conv_input(ctx, 1), &window))
        return TN_OK;
    check_channels(ctx, &window);
    y->rank = spatial + 2;
    y->dims[0] = conv_dim(conv_input(ctx, 0), 0);
    y->dims[1] = conv_dim(conv_input(ctx, 1), 0);
    if (y->dims[1] == TN_DIM_UNKNOWN && conv_input(ctx, 2) && conv_input(ctx, 2)->rank == 1)
        y->dims[1] = conv_input(ctx, 2)->dims[0];
    conv_check_bias(ctx, y->dims[1]);
    for (int32_t k = 0; k < spatial; k++)
        y->dims[k + 2] = output_extent(ctx, &window, k);
    return TN_OK;
}

/* One multiply-add for each output element, filter tap and input channel of its group. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0], *w = conv_input(ctx, 1);
    double macs = 1.0;
    for (int32_t axis = 0; axis < y->rank; axis++)
        macs *= (double)y->dims[axis];
    for (int32_t axis = 1; w && axis < w->rank; axis++)
        macs *= (double)w->dims[axis];
    out->macs = macs;
    return TN_OK;
}

static int32_t window_of(tn_infer *ctx, tn_window *windows)
{
    const tn_type *x = conv_input(ctx, 0), *w = conv_input(ctx, 1);
    conv_window window;
    if (!x || x->rank < 3 || !w || w->rank != x->rank ||
        !conv_read_window(NULL, ctx->node, x->rank - 2, w, &window))
        return 0;
    conv_same_pads(&window, x->dims + 2);
    for (int32_t k = 0; k < window.spatial; k++)
        windows[k] = (tn_window){ .kernel = window.kernel[k],
                                  .stride = window.stride[k],
                                  .dilation = window.dilation[k],
                                  .pad_begin = window.pad_begin[k],
                                  .pad_end = window.pad_end[k] };
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

/* A convolution as the kernel sees it: for each sample and group a product of the weights
 * [rows, depth] with the windows [depth, positions]. */
typedef struct job {
    const tn_tensor *x, *w, *b;
    tn_tensor *y;
    conv_window window;
    int64_t channels;  /* input channels of a group */
    int64_t rows;      /* output channels of a group */
    int64_t depth;     /* channels times filter taps */
    int64_t positions; /* output positions of a channel */
    int64_t row_tiles, position_tiles;
} job;

/* Output positions that follow each other on the last axis. */
typedef struct run {
    int64_t column, count;
    int64_t origin[TN_MAX_RANK]; /* of the first window, in the input: may lie on padding */
} run;

/* Element `at`, `at + step`… of a tensor as doubles. */
static void load_elements(const tn_tensor *from, int64_t at, int64_t step, int64_t count,
                          double *out)
{
    if (from->dtype == TN_FLOAT32) {
        const float *x = (const float *)from->data + at;
        for (int64_t k = 0; k < count; k++)
            out[k] = (double)x[k * step];
    } else if (from->dtype == TN_FLOAT64) {
        const double *x = (const double *)from->data + at;
        for (int64_t k = 0; k < count; k++)
            out[k] = x[k * step];
    } else {
        for (int64_t k = 0; k < count; k++)
            out[k] = tn_get_double(from->dtype, from->data, at + k * step);
    }
}

static void store_elements(tn_tensor *to, int64_t at, const double *from, int64_t count)
{
    if (to->dtype == TN_FLOAT32) {
        float *y = (float *)to->data + at;
        for (int64_t k = 0; k < count; k++)
            y[k] = (float)from[k];
    } else {
        for (int64_t k = 0; k < count; k++)
            tn_set_float(to->dtype, to->data, at + k, from[k]);
    }
}

/* Cuts output positions [first, first + count) into runs; answers how many. */
static int split_runs(const job *j, int64_t first, int64_t count, run *runs)
{
    const conv_window *v = &j->window;
    const int64_t *out = j->y->dims + 2;
    const int32_t last = v->spatial - 1;
    int runs_count = 0;
    for (int64_t done = 0; done < count;) {
        run *r = &runs[runs_count++];
        int64_t rest = first + done;
        const int64_t room = out[last] - rest % out[last];
        r->column = done;
        r->count = room < count - done ? room : count - done;
        for (int32_t k = last; k >= 0; k--) {
            r->origin[k] = rest % out[k] * v->stride[k] - v->pad_begin[k];
            rest /= out[k];
        }
        done += r->count;
    }
    return runs_count;
}

/* One run of the panel's row for filter tap `tap`: what the filter sees there, 0 on padding. */
static void fill_run(const job *j, const run *r, const int64_t *tap, int64_t base, double *out)
{
    const conv_window *v = &j->window;
    const int64_t *in = j->x->dims + 2;
    const int32_t last = v->spatial - 1;
    const int64_t start = r->origin[last] + tap[last] * v->dilation[last], step = v->stride[last];
    int64_t at = base, from = 0, to = r->count;
    for (int32_t k = 0; k < last && to; k++) {
        const int64_t here = r->origin[k] + tap[k] * v->dilation[k];
        if (here < 0 || here >= in[k])
            to = 0;
        else
            at = at * in[k] + here;
    }
    if (to && start < 0)
        from = (-start + step - 1) / step;
    if (to && start + (to - 1) * step >= in[last])
        to = start >= in[last] ? 0 : (in[last] - start + step - 1) / step;
    if (from >= to)
        from = to = 0;
    for (int64_t k = 0; k < from; k++)
        out[k] = 0.0;
    if (from < to)
        load_elements(j->x, at * in[last] + start + from * step, step, to - from, out + from);
    for (int64_t k = to; k < r->count; k++)
        out[k] = 0.0;
}

static void fill_panel(const job *j, const run *runs, int run_count, int64_t channel, int64_t first,
                       int64_t depth, int64_t columns, double *panel)
{
    const conv_window *v = &j->window;
    int64_t tap[TN_MAX_RANK], rest = first;
    for (int32_t k = v->spatial - 1; k >= 0; k--) {
        tap[k] = rest % v->kernel[k];
        rest /= v->kernel[k];
    }
    channel += rest;
    for (int64_t d = 0; d < depth; d++) {
        double *row = panel + d * CONV_WIDE;
        int32_t axis = v->spatial - 1;
        for (int r = 0; r < run_count; r++)
            fill_run(j, &runs[r], tap, channel, row + runs[r].column);
        for (int64_t c = runs[run_count - 1].column + runs[run_count - 1].count; c < columns; c++)
            row[c] = 0.0; /* up to a multiple of four: computed, not stored */
        while (axis >= 0 && ++tap[axis] == v->kernel[axis])
            tap[axis--] = 0;
        channel += axis < 0;
    }
}

/* Weights of `count` (1 to 4) output channels, tap by tap. */
static void fill_weights(const job *j, int64_t row, int64_t count, int64_t first, int64_t depth,
                         double *out)
{
    double line[CONV_DEEP];
    for (int64_t r = 0; r < count; r++) {
        load_elements(j->w, (row + r) * j->depth + first, 1, depth, line);
        for (int64_t k = 0; k < depth; k++)
            out[4 * k + r] = line[k];
    }
}

/* A tile: `rows` output channels from `row` on (counted over all groups) of sample n, `columns`
 * positions from `first` on. */
static void compute_tile(const job *j, int64_t n, int64_t row, int64_t rows, int64_t first,
                         int64_t columns)
{
    double sums[CONV_HIGH * CONV_WIDE], panel[CONV_DEEP * CONV_WIDE], weights[4 * CONV_DEEP];
    const int64_t even = (columns + 3) / 4 * 4;
    const int64_t group = row / j->rows;
    const int64_t channel = n * j->x->dims[1] + group * j->channels;
    run runs[CONV_WIDE];
    const int run_count = split_runs(j, first, columns, runs);
    for (int64_t r = 0; r < rows; r++) {
        const double bias = j->b ? tn_get_double(j->b->dtype, j->b->data, row + r) : 0.0;
        for (int64_t c = 0; c < even; c++)
            sums[r * CONV_WIDE + c] = bias;
    }
    for (int64_t k = 0; k < j->depth; k += CONV_DEEP) {
        const int64_t depth = j->depth - k < CONV_DEEP ? j->depth - k : CONV_DEEP;
        fill_panel(j, runs, run_count, channel, k, depth, even, panel);
        for (int64_t r = 0; r < rows; r += 4) {
            const int64_t count = rows - r < 4 ? rows - r : 4;
            fill_weights(j, row + r, count, k, depth, weights);
            if (count == 4)
                conv_tile_rows4(sums + r * CONV_WIDE, panel, weights, depth, even);
            for (int64_t one = 0; count < 4 && one < count; one++)
                conv_tile_row(sums + (r + one) * CONV_WIDE, panel, weights + one, 4, depth, even);
        }
    }
    for (int64_t r = 0; r < rows; r++)
        store_elements(j->y, (n * j->y->dims[1] + row + r) * j->positions + first,
                       sums + r * CONV_WIDE, columns);
}

static tn_status run_tiles(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int64_t groups = j->window.group;
    (void)thread;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t first = tile % j->position_tiles * CONV_WIDE;
        const int64_t row = tile / j->position_tiles % j->row_tiles * CONV_HIGH;
        const int64_t group = tile / j->position_tiles / j->row_tiles % groups;
        const int64_t n = tile / j->position_tiles / j->row_tiles / groups;
        const int64_t rows = j->rows - row < CONV_HIGH ? j->rows - row : CONV_HIGH;
        const int64_t columns = j->positions - first < CONV_WIDE ? j->positions - first : CONV_WIDE;
        compute_tile(j, n, group * j->rows + row, rows, first, columns);
    }
    return TN_OK;
}

static tn_status run_conv(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[0], .w = ctx->inputs[1], .y = ctx->outputs[0] };
    int64_t tile_macs;
    (void)state, (void)slot;
    if (ctx->input_count > 2)
        j.b = ctx->inputs[2];
    if (!tn_count(j.y))
        return TN_OK;
    conv_run_window(ctx->node, j.w, &j.window);
    conv_same_pads(&j.window, j.x->dims + 2);
    j.channels = j.w->dims[1];
    j.rows = j.w->dims[0] / j.window.group;
    j.depth = tn_extent(j.w->dims, 1, j.w->rank);
    j.positions = tn_extent(j.y->dims, 2, j.y->rank);
    j.row_tiles = (j.rows + CONV_HIGH - 1) / CONV_HIGH;
    j.position_tiles = (j.positions + CONV_WIDE - 1) / CONV_WIDE;
    tile_macs = j.depth * CONV_WIDE * (j.rows < CONV_HIGH ? j.rows : CONV_HIGH) + 1;
    return ctx->call.host->parallel_for(
        &ctx->call, j.y->dims[0] * j.window.group * j.row_tiles * j.position_tiles,
        1 + 100000 / tile_macs, run_tiles, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { .name = "X",
      .constraint = "T",
      .types = TN_MASK_FLOAT,
      .doc = "Pictures, sounds or volumes: [N, C, D1, …]." },
    { .name = "W",
      .constraint = "T",
      .types = TN_MASK_FLOAT,
      .doc = "Filters: [M, C/group, k1, …]." },
    { .name = "B",
      .constraint = "T",
      .types = TN_MASK_FLOAT,
      .flags = TN_PARAM_OPTIONAL,
      .doc = "What is added to each output channel: [M]." },
};
static const tn_param_def outputs[] = {
    { .name = "Y", .constraint = "T", .types = TN_MASK_FLOAT, .doc = "[N, M, E1, …]." },
};
static const tn_attribute_def attributes[] = {
    { .name = "auto_pad",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "NOTSET",
      .doc =
          "NOTSET: as `pads` says; VALID: no padding; SAME_UPPER, SAME_LOWER: so much that the "
          "output has ceil(extent / stride) positions, an odd one at the end or the beginning." },
    { .name = "dilations",
      .type = TN_ATTR_INTS,
      .doc = "Distance between neighbouring taps of the filter, for each spatial axis; 1." },
    { .name = "group",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "Channels are split into so many groups that do not see each other." },
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .doc = "Extents of the filter; those of W where it is left out." },
    { .name = "pads",
      .type = TN_ATTR_INTS,
      .doc = "Zeros around the input: all beginnings, then all ends; 0." },
    { .name = "strides",
      .type = TN_ATTR_INTS,
      .doc = "Step of the window, for each spatial axis; 1." },
};

static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 1,
      .name = "Conv",
      .doc = "Slides filters over the input and sums the products, in any number of spatial axes.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = sizeof attributes / sizeof *attributes,
      .infer = infer,
      .cost = cost,
      .window = window_of,
      .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "Conv",
      .run = run_conv,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status conv_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
