/* plugins/conv/conv_transpose.c: ConvTranspose, the gradient of Conv by its input, also called
 * deconvolution (ONNX operators: ConvTranspose).
 *
 *   Y[n,m,o] = B[m] + sum over c, k, i with i*stride + k*dilation - pad = o of
 *              X[n, c, i] * W[c, m - g*M/group, k]
 *
 * Each input element adds a copy of its filter to the output, `stride` apart. Extents:
 * stride*(in - 1) + output_padding + (kernel - 1)*dilation + 1 - pads; output_shape, or a SAME_*
 * auto_pad (in * stride), fix the extents and leave the padding to be found. Where the output is
 * to be larger than what the filters reach, its end is the bias alone.
 *
 * Attributes: auto_pad, dilations, group, kernel_shape, output_padding, output_shape, pads,
 * strides.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"

#include <inttypes.h>

/* ---- attributes ------------------------------------------------------------------------- */

typedef struct growth {
    int64_t extra[TN_MAX_RANK]; /* output_padding */
    int64_t fixed[TN_MAX_RANK]; /* output_shape */
    int is_fixed;
} growth;

static int complain_growth(tn_call *call, const char *name, size_t found, int32_t spatial)
{
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "attribute '%s' has %zu entries: expected %d, one for each spatial "
                             "axis",
                             name, found, spatial);
    return 0;
}

static int complain_entry(tn_call *call, const char *name, int64_t found, const char *expected)
{
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "attribute '%s' holds %" PRId64 ": expected %s", name, found,
                             expected);
    return 0;
}

static int read_growth(tn_call *call, const tn_node_view *node, const conv_window *v, growth *out)
{
    const int64_t *extra, *fixed;
    const size_t extra_count = tn_attr_ints(node, "output_padding", &extra);
    size_t fixed_count = tn_attr_ints(node, "output_shape", &fixed);
    if (extra_count && extra_count != (size_t)v->spatial)
        return complain_growth(call, "output_padding", extra_count, v->spatial);
    if (fixed_count == (size_t)v->spatial + 2) {
        fixed += 2; /* exporters write the batch and the channels too; ONNX counts neither */
        fixed_count -= 2;
    }
    if (fixed_count && fixed_count != (size_t)v->spatial)
        return complain_growth(call, "output_shape", fixed_count, v->spatial);
    out->is_fixed = fixed_count != 0;
    for (int32_t k = 0; k < v->spatial; k++) {
        const int64_t bound = v->stride[k] > v->dilation[k] ? v->stride[k] : v->dilation[k];
        out->extra[k] = extra_count ? extra[k] : 0;
        out->fixed[k] = fixed_count ? fixed[k] : 0;
        if (out->extra[k] < 0 || out->extra[k] >= bound)
            if (out->extra[k])
                return complain_entry(call, "output_padding", out->extra[k],
                                      "0 or more, less than the stride or the dilation");
        if (out->is_fixed && out->fixed[k] < 0)
            return complain_entry(call, "output_shape", out->fixed[k], "0 or more");
    }
    return 1;
}

/* ---- inference -------------------------------------------------------------------------- */

static void check_channels(tn_infer *ctx, const conv_window *window)
{
    const tn_host *host = ctx->call.host;
    const tn_type *x = conv_input(ctx, 0), *w = conv_input(ctx, 1);
    const tn_dim channels = conv_dim(x, 1);
    char found[200], wanted[200];
    tn_type expected;
    if (tn_dim_known(channels) && channels % window->group) {
        host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "group",
                       "group is %" PRId64 ", which does not divide %" PRId64 " input channels",
                       window->group, channels);
        return;
    }
    if (!w || w->rank < 1 || host->dim_equal(&ctx->call, w->dims[0], channels) != TN_NO)
        return;
    expected = *w;
    expected.dims[0] = channels;
    host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                   "input 'W' has shape %s, but input 'X' has %" PRId64 " channels: expected %s",
                   conv_shape_text(w->rank, w->dims, found, sizeof found), channels,
                   conv_shape_text(w->rank, expected.dims, wanted, sizeof wanted));
}

static tn_dim output_extent(tn_infer *ctx, const conv_window *window, const growth *grow, int32_t k)
{
    const tn_dim in = conv_dim(conv_input(ctx, 0), k + 2);
    tn_dim full;
    if (grow->is_fixed)
        return grow->fixed[k];
    if (window->auto_pad == CONV_SAME_UPPER || window->auto_pad == CONV_SAME_LOWER)
        return tn_dim_mul(ctx, in, window->stride[k]);
    full = tn_dim_mul(ctx, tn_dim_sub(ctx, in, 1), window->stride[k]);
    full = tn_dim_add(ctx, full, conv_reach(&ctx->call, window, k));
    full = tn_dim_add(ctx, full, grow->extra[k]);
    full = tn_dim_sub(ctx, full, window->pad_begin[k] + window->pad_end[k]);
    if (tn_dim_known(full) && full < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pads",
                                 "attribute 'pads' takes %" PRId64 " off axis %d, more than the "
                                 "%" PRId64 " there are",
                                 window->pad_begin[k] + window->pad_end[k], k + 2,
                                 full + window->pad_begin[k] + window->pad_end[k]);
        return TN_DIM_UNKNOWN;
    }
    return full;
}

static tn_status infer(tn_infer *ctx)
{
    tn_type *y = &ctx->outputs[0];
    const tn_type *b = conv_input(ctx, 2);
    const int32_t spatial = conv_spatial(ctx);
    conv_window window;
    growth grow;
    if (spatial < 0 ||
        !conv_read_window(&ctx->call, ctx->node, spatial, conv_input(ctx, 1), &window) ||
        !read_growth(&ctx->call, ctx->node, &window, &grow))
        return TN_OK;
    check_channels(ctx, &window);
    y->rank = spatial + 2;
    y->dims[0] = conv_dim(conv_input(ctx, 0), 0);
    y->dims[1] = tn_dim_mul(ctx, conv_dim(conv_input(ctx, 1), 1), window.group);
    if (y->dims[1] == TN_DIM_UNKNOWN && b && b->rank == 1)
        y->dims[1] = b->dims[0];
    conv_check_bias(ctx, y->dims[1]);
    for (int32_t k = 0; k < spatial; k++)
        y->dims[k + 2] = output_extent(ctx, &window, &grow, k);
    return TN_OK;
}

/* One multiply-add for each input element, filter tap and output channel of its group, also
 * those that padding cuts off: as courses count. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *x = conv_input(ctx, 0), *w = conv_input(ctx, 1);
    double macs = 1.0;
    for (int32_t axis = 0; x && axis < x->rank; axis++)
        macs *= (double)x->dims[axis];
    for (int32_t axis = 1; w && axis < w->rank; axis++)
        macs *= (double)w->dims[axis];
    out->macs = macs;
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

enum { CHUNK = 256 }; /* positions of an output row that are summed at once */

typedef struct job {
    const tn_tensor *x, *w, *b;
    tn_tensor *y;
    conv_window window; /* pad_begin is the true one */
    int64_t channels;   /* input channels of a group */
    int64_t filters;    /* output channels of a group */
    int64_t taps;
    int64_t rows; /* of an output channel: positions but for the last axis */
} job;

/* The padding that output_shape or auto_pad leaves to be found. */
static void find_pads(job *j, const growth *grow)
{
    conv_window *v = &j->window;
    const int same = v->auto_pad == CONV_SAME_UPPER || v->auto_pad == CONV_SAME_LOWER;
    for (int32_t k = 0; k < v->spatial && (same || grow->is_fixed); k++) {
        const int64_t total = v->stride[k] * (j->x->dims[k + 2] - 1) + grow->extra[k] +
                              (v->kernel[k] - 1) * v->dilation[k] + 1 - j->y->dims[k + 2];
        conv_split_pads(v, k, total > 0 ? total : 0, v->auto_pad == CONV_SAME_UPPER);
    }
}

/* The input row that filter row `tap` takes to output row `out` (all but the last axis): its
 * number within a channel, or -1 where there is none. */
static int64_t source_row(const job *j, const int64_t *out, const int64_t *tap)
{
    const conv_window *v = &j->window;
    int64_t row = 0;
    for (int32_t k = 0; k < v->spatial - 1; k++) {
        const int64_t from = out[k] + v->pad_begin[k] - tap[k] * v->dilation[k];
        if (from < 0 || from % v->stride[k] || from / v->stride[k] >= j->x->dims[k + 2])
            return -1;
        row = row * j->x->dims[k + 2] + from / v->stride[k];
    }
    return row;
}

/* Adds weight * (input elements `at` …) to the sums [first, first + count) of an output row; the
 * input element i of the row goes to position i*stride + shift. */
static void add_row(const job *j, int64_t at, double weight, int64_t shift, int64_t first,
                    int64_t count, double *sums)
{
    const int32_t last = j->window.spatial - 1;
    const int64_t stride = j->window.stride[last], in = j->x->dims[last + 2];
    int64_t from = 0, to = 0;
    if (first > shift)
        from = (first - shift + stride - 1) / stride;
    if (first + count > shift)
        to = (first + count - shift + stride - 1) / stride;
    if (to > in)
        to = in;
    if (j->x->dtype == TN_FLOAT32 && stride == 1) {
        const float *x = (const float *)j->x->data + at;
        for (int64_t i = from; i < to; i++)
            sums[i + shift - first] += weight * (double)x[i];
    } else if (j->x->dtype == TN_FLOAT32) {
        const float *x = (const float *)j->x->data + at;
        for (int64_t i = from; i < to; i++)
            sums[i * stride + shift - first] += weight * (double)x[i];
    } else {
        for (int64_t i = from; i < to; i++)
            sums[i * stride + shift - first] += weight *
                                                tn_get_double(j->x->dtype, j->x->data, at + i);
    }
}

/* Sums of positions [first, first + count) of one output row of channel `m` of sample `n`. */
static void sum_row(const job *j, int64_t n, int64_t m, const int64_t *out, int64_t first,
                    int64_t count, double *sums)
{
    const conv_window *v = &j->window;
    const int32_t last = v->spatial - 1;
    const int64_t in_rows = tn_extent(j->x->dims, 2, last + 2), in = j->x->dims[last + 2];
    const int64_t group = m / j->filters;
    for (int64_t c = group * j->channels; c < (group + 1) * j->channels; c++) {
        const int64_t filter = (c * j->filters + m % j->filters) * j->taps;
        int64_t tap[TN_MAX_RANK] = { 0 };
        for (int64_t t = 0; t < j->taps; t += v->kernel[last]) {
            const int64_t row = source_row(j, out, tap);
            const int64_t at = ((n * j->x->dims[1] + c) * in_rows + row) * in;
            for (int64_t k = 0; row >= 0 && k < v->kernel[last]; k++)
                add_row(j, at, tn_get_double(j->w->dtype, j->w->data, filter + t + k),
                        k * v->dilation[last] - v->pad_begin[last], first, count, sums);
            for (int32_t axis = last - 1; axis >= 0 && ++tap[axis] == v->kernel[axis]; axis--)
                tap[axis] = 0;
        }
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const int32_t last = j->window.spatial - 1;
    const int64_t width = j->y->dims[last + 2];
    double sums[CHUNK];
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t plane = row / j->rows, m = plane % j->y->dims[1], n = plane / j->y->dims[1];
        const double bias = j->b ? tn_get_double(j->b->dtype, j->b->data, m) : 0.0;
        int64_t out[TN_MAX_RANK], rest = row % j->rows;
        for (int32_t k = last - 1; k >= 0; k--) {
            out[k] = rest % j->y->dims[k + 2];
            rest /= j->y->dims[k + 2];
        }
        for (int64_t first = 0; first < width; first += CHUNK) {
            const int64_t count = width - first < CHUNK ? width - first : CHUNK;
            for (int64_t k = 0; k < count; k++)
                sums[k] = bias;
            sum_row(j, n, m, out, first, count, sums);
            for (int64_t k = 0; k < count; k++)
                tn_set_float(j->y->dtype, j->y->data, row * width + first + k, sums[k]);
        }
    }
    return TN_OK;
}

static tn_status run_conv_transpose(tn_run *ctx, const void *state, void *slot)
{
    job j = { .x = ctx->inputs[0], .w = ctx->inputs[1], .y = ctx->outputs[0] };
    growth grow;
    int64_t row_macs;
    (void)state, (void)slot;
    if (ctx->input_count > 2)
        j.b = ctx->inputs[2];
    if (!tn_count(j.y))
        return TN_OK;
    conv_run_window(ctx->node, j.w, &j.window);
    (void)read_growth(NULL, ctx->node, &j.window, &grow);
    find_pads(&j, &grow);
    j.channels = j.w->dims[0] / j.window.group;
    j.filters = j.w->dims[1];
    j.taps = tn_extent(j.w->dims, 2, j.w->rank);
    j.rows = tn_extent(j.y->dims, 2, j.y->rank - 1);
    row_macs = j.channels * j.taps * j.y->dims[j.y->rank - 1] + 1;
    return ctx->call.host->parallel_for(&ctx->call, j.y->dims[0] * j.y->dims[1] * j.rows,
                                        1 + 100000 / row_macs, run_rows, &j);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { .name = "X", .constraint = "T", .types = TN_MASK_FLOAT, .doc = "[N, C, D1, …]." },
    { .name = "W",
      .constraint = "T",
      .types = TN_MASK_FLOAT,
      .doc = "Filters: [C, M/group, k1, …]." },
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
      .doc = "NOTSET: as `pads` says; VALID: none; SAME_UPPER, SAME_LOWER: the output has extent * "
             "stride positions." },
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
    { .name = "output_padding",
      .type = TN_ATTR_INTS,
      .doc = "Positions added at the end of each spatial axis of the output; 0." },
    { .name = "output_shape",
      .type = TN_ATTR_INTS,
      .doc = "Spatial extents of the output; the padding is then found from them." },
    { .name = "pads",
      .type = TN_ATTR_INTS,
      .doc = "What is cut off the output: all beginnings, then all ends; 0." },
    { .name = "strides",
      .type = TN_ATTR_INTS,
      .doc = "Distance between the filters in the output, for each spatial axis; 1." },
};

static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 1,
      .name = "ConvTranspose",
      .doc = "Lays a copy of the filters, times each input element, into the output and sums them: "
             "the transpose of Conv as a matrix.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = sizeof attributes / sizeof *attributes,
      .infer = infer,
      .cost = cost,
      .samplewise = samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "ConvTranspose",
      .run = run_conv_transpose,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status conv_transpose_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
