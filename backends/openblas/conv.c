/* backends/openblas/conv.c: Conv and ConvTranspose as products of matrices.
 *
 *   Conv           Y[m, positions] = W[m, channels*taps] windows(X)   by blocks of positions
 *   ConvTranspose  windows(Y) = W' X, added back to where the windows lie
 *
 * A 1x1 convolution of stride 1 needs no windows: X is the matrix itself.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

#include <inttypes.h>

typedef struct conv_state {
    openblas_window window;
    openblas_steps steps;
    int64_t positions, depth, rows, channels; /* depth: channels of a group times taps; rows: filters of a group */
    int64_t block, blocks;                    /* positions of a part, and how many parts */
    size_t part_bytes;                        /* scratch of a thread; 0: X is used as it is */
} conv_state;

static tn_status offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    openblas_steps steps;
    if (!(p->flags & TN_PROBLEM_SHAPES_KNOWN))
        return tn_fail(ctx, TN_NEEDS_SHAPES, "needs known shapes");
    for (uint32_t k = 0; k < 2; k++)
        for (int32_t axis = 0; axis < p->inputs[k]->rank; axis++)
            if (!openblas_fits(p->inputs[k]->dims[axis]))
                return tn_fail(ctx, TN_DECLINED, "an extent of %" PRId64 " is beyond BLAS's 32 bits", p->inputs[k]->dims[axis]);
    if (!openblas_fits(tn_extent(p->inputs[1]->dims, 1, p->inputs[1]->rank)) || !openblas_fits(tn_extent(p->inputs[0]->dims, 2, p->inputs[0]->rank)) ||
        !openblas_fits(tn_extent(p->outputs[0]->dims, 2, p->outputs[0]->rank)))
        return tn_fail(ctx, TN_DECLINED, "a plane or filter is beyond BLAS's 32 bits");
    ctx->algorithm = "im2col + gemm";
    return openblas_read_steps(ctx, &steps);
}

/* ---- Conv ------------------------------------------------------------------------------------------ */

static int is_pointwise(const openblas_window *w)
{
    for (int32_t k = 0; k < w->spatial; k++)
        if (w->kernel[k] != 1 || w->stride[k] != 1 || w->pad[k] != 0)
            return 0;
    return 1;
}

/* As many positions as keep a part's windows in the second cache, and parts for all threads. */
static void split_positions(conv_state *s, const tn_problem *p, size_t size)
{
    const int64_t fits = (int64_t)((size_t)512 * 1024 / (size * (size_t)s->depth + 1));
    const int64_t tasks = p->inputs[0]->dims[0] * s->window.group, threads = p->threads;
    s->block = fits < 64 ? 64 : fits;
    if (is_pointwise(&s->window))
        s->block = s->positions;
    if (tasks < threads && s->block > (s->positions + threads - 1) / threads)
        s->block = (s->positions + threads - 1) / threads;
    if (s->block > s->positions)
        s->block = s->positions;
    if (s->block < 1)
        s->block = 1;
    s->blocks = (s->positions + s->block - 1) / s->block;
    s->part_bytes = is_pointwise(&s->window) ? 0 : ((size_t)(s->block * s->depth) * size + OPENBLAS_ALIGN - 1) / OPENBLAS_ALIGN * OPENBLAS_ALIGN;
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0], *w = p->inputs[1], *y = p->outputs[0];
    conv_state *s = state;
    openblas_read_window(p->node, w->dims + 2, x->rank - 2, x->dims + 2, y->dims + 2, 0, &s->window);
    openblas_copy_steps(p, &s->steps);
    s->positions = tn_extent(y->dims, 2, y->rank);
    s->channels = w->dims[1];
    s->depth = s->channels * s->window.taps;
    s->rows = w->dims[0] / s->window.group;
    split_positions(s, p, openblas_size(x->dtype));
    ctx->alternatives[0].scratch_bytes = s->part_bytes * p->threads;
    ctx->alternatives[0].algorithm = s->part_bytes ? "im2col + gemm" : "gemm";
    ctx->alternatives[0].seconds = 2e-11 * (double)y->dims[0] * (double)s->window.group * (double)s->rows * (double)s->positions * (double)s->depth;
    return TN_OK;
}

typedef struct conv_run {
    const conv_state *s;
    const tn_run *ctx;
} conv_run;

static void set_bias(const conv_run *r, int64_t row0, int64_t first, int64_t rows, int64_t count)
{
    tn_tensor *y = r->ctx->outputs[0];
    const tn_tensor *bias = r->ctx->node->input_count > 2 ? r->ctx->inputs[2] : NULL;
    const int64_t filters = y->dims[1], positions = r->s->positions;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t at = (row0 + row) * positions + first;
        const double value = bias ? tn_get_double(bias->dtype, bias->data, (row0 + row) % filters) : 0.0;
        for (int64_t k = 0; k < count; k++)
            if (y->dtype == TN_FLOAT64)
                ((double *)y->data)[at + k] = value;
            else
                ((float *)y->data)[at + k] = (float)value;
    }
}

static tn_status conv_parts(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_run *r = user;
    const conv_state *s = r->s;
    const tn_tensor *x = r->ctx->inputs[0], *w = r->ctx->inputs[1];
    tn_tensor *y = r->ctx->outputs[0];
    for (int64_t part = begin; part < end; part++) {
        const int64_t first = part % s->blocks * s->block, task = part / s->blocks, g = task % s->window.group, n = task / s->window.group;
        const int64_t count = s->positions - first < s->block ? s->positions - first : s->block;
        const int64_t row0 = (n * s->window.group + g) * s->rows;
        const void *planes = openblas_at(x->data, x->dtype, (n * x->dims[1] + g * s->channels) * tn_extent(x->dims, 2, x->rank));
        openblas_product p = { .dtype = x->dtype, .m = s->rows, .n = count, .k = s->depth, .lda = s->depth, .ldb = count, .ldc = s->positions,
                               .alpha = 1, .beta = 1, .a = openblas_at(w->data, w->dtype, g * s->rows * s->depth),
                               .c = openblas_to(y->data, y->dtype, row0 * s->positions + first) };
        if (s->part_bytes) {
            void *windows = (char *)r->ctx->scratch + thread * s->part_bytes;
            openblas_gather(&s->window, x->dtype, planes, x->dims + 2, y->dims + 2, s->channels, first, count, windows);
            p.b = windows;
        } else {
            p.b = openblas_at(planes, x->dtype, first);
            p.ldb = s->positions;
        }
        set_bias(r, row0, first, s->rows, count);
        openblas_gemm(&p);
        for (int64_t row = 0; row < s->rows && s->steps.count; row++)
            openblas_apply(&s->steps, r->ctx, (row0 + row) * s->positions + first, count, (row0 + row) % y->dims[1]);
    }
    return TN_OK;
}

static tn_status conv(tn_run *ctx, const void *state, void *slot)
{
    conv_run r = { state, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, ctx->inputs[0]->dims[0] * r.s->window.group * r.s->blocks, 1, conv_parts, &r);
}

/* ---- ConvTranspose ------------------------------------------------------------------------------------ */

static tn_status transpose_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0], *w = p->inputs[1], *y = p->outputs[0];
    conv_state *s = state;
    openblas_read_window(p->node, w->dims + 2, x->rank - 2, y->dims + 2, x->dims + 2, 1, &s->window);
    openblas_copy_steps(p, &s->steps);
    s->positions = tn_extent(x->dims, 2, x->rank);
    s->channels = x->dims[1] / s->window.group;
    s->rows = w->dims[1];
    s->depth = s->rows * s->window.taps;
    s->part_bytes = ((size_t)(s->depth * s->positions) * openblas_size(x->dtype) + OPENBLAS_ALIGN - 1) / OPENBLAS_ALIGN * OPENBLAS_ALIGN;
    ctx->alternatives[0].scratch_bytes = s->part_bytes * p->threads;
    ctx->alternatives[0].algorithm = "gemm + col2im";
    ctx->alternatives[0].seconds = 2e-11 * (double)x->dims[0] * (double)x->dims[1] * (double)s->positions * (double)s->depth;
    return TN_OK;
}

static tn_status transpose_parts(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const conv_run *r = user;
    const conv_state *s = r->s;
    const tn_tensor *x = r->ctx->inputs[0], *w = r->ctx->inputs[1];
    tn_tensor *y = r->ctx->outputs[0];
    const int64_t plane = tn_extent(y->dims, 2, y->rank);
    for (int64_t task = begin; task < end; task++) {
        const int64_t g = task % s->window.group, row0 = task * s->rows;
        void *columns = (char *)r->ctx->scratch + thread * s->part_bytes;
        const openblas_product p = { .dtype = x->dtype, .trans_a = 1, .m = s->depth, .n = s->positions, .k = s->channels, .lda = s->depth,
                                     .ldb = s->positions, .ldc = s->positions, .alpha = 1,
                                     .a = openblas_at(w->data, w->dtype, g * s->channels * s->depth),
                                     .b = openblas_at(x->data, x->dtype, task * s->channels * s->positions), .c = columns };
        const conv_run whole = { &(conv_state){ .positions = plane }, r->ctx };
        openblas_gemm(&p);
        set_bias(&whole, row0, 0, s->rows, plane);
        openblas_scatter(&s->window, x->dtype, openblas_to(y->data, y->dtype, row0 * plane), y->dims + 2, x->dims + 2, s->rows, columns);
        for (int64_t row = 0; row < s->rows && s->steps.count; row++)
            openblas_apply(&s->steps, r->ctx, (row0 + row) * plane, plane, (row0 + row) % y->dims[1]);
    }
    return TN_OK;
}

static tn_status conv_transpose(tn_run *ctx, const void *state, void *slot)
{
    conv_run r = { state, ctx };
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, ctx->inputs[0]->dims[0] * r.s->window.group, 1, transpose_parts, &r);
}

const tn_kernel_def openblas_conv_kernels[2] = {
    { .size = sizeof(tn_kernel_def), .op = "Conv", .backend = "openblas", .types = OPENBLAS_TYPES, .state_bytes = sizeof(conv_state),
      .offer = offer, .measure = conv_measure, .run = conv },
    { .size = sizeof(tn_kernel_def), .op = "ConvTranspose", .backend = "openblas", .types = OPENBLAS_TYPES, .state_bytes = sizeof(conv_state),
      .offer = offer, .measure = transpose_measure, .run = conv_transpose },
};
