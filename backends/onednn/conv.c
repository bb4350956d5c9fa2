/* conv.c: Conv and ConvTranspose (ONNX: Conv, ConvTranspose) by the library's convolutions.
 *
 * In: X [N, C, s…], W [M, C/g, k…] (ConvTranspose: [C, M/g, k…]), perhaps B [M]. Out: Y.
 * Forms, each an alternative for the compiler: channels-last throughout (the library's own choice
 * on processors with AVX-512, and as fast as blocks); blocks of 16 channels; plain input into
 * blocks, for the few channels of a picture; plain throughout, by its matrix product; blocks of 16
 * with Winograd's algorithm (Lavin and Gray, arXiv:1509.09308), which oneDNN before 3.2 has for
 * AVX-512 and never picks by itself: 3x3 windows side by side, not in strict math. Weights are packed
 * once into the format that the library wants.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <math.h>
#include <string.h>

/* Layouts of input and output: 0, 1, or blocks of so many channels. tile: Winograd's, of so many
 * outputs on a side; 0: direct. narrow: X and W in bfloat16. */
typedef struct conv_form {
    int32_t from, to, tile;
    bool narrow;
} conv_form;

static const conv_form forms[] = {
    { 1, 1, 0, true },    { 1, 1, 0, false },   { 16, 16, 4, false },
    { 16, 16, 2, false }, { 16, 16, 0, false }, { 0, 16, 0, false },
    { 0, 0, 0, false },   { 8, 8, 0, false },   { 0, 8, 0, false },
};

/* Weights as the library sees them: [g,] M/g, C/g, k…, and how they lie in the graph. */
typedef struct conv_weights {
    int32_t rank;
    int64_t dims[ONEDNN_MAX_RANK];
    int64_t strides[ONEDNN_MAX_RANK];
} conv_weights;

static void describe_weights(const tn_type *w, int64_t group, bool transposed, conv_weights *out)
{
    const int64_t taps = tn_extent(w->dims, 2, w->rank);
    const int64_t outputs = transposed ? w->dims[1] : w->dims[0] / group;
    const int64_t inputs = transposed ? w->dims[0] / group : w->dims[1];
    int64_t step = 1;
    int32_t axis = 0;
    if (group > 1) {
        out->dims[0] = group;
        out->strides[0] = outputs * inputs * taps;
        axis = 1;
    }
    out->rank = w->rank + axis;
    out->dims[axis] = outputs;
    out->strides[axis] = transposed ? taps : inputs * taps;
    out->dims[axis + 1] = inputs;
    out->strides[axis + 1] = transposed ? outputs * taps : taps;
    for (int32_t k = w->rank - 1; k >= 2; k--) {
        out->dims[axis + k] = w->dims[k];
        out->strides[axis + k] = step;
        step *= w->dims[k];
    }
}

/* The layout that a form asks for, as the library sees it, and as the compiler shall. */
static tn_status form_layout(onednn_builder *b, const tn_type *type, int32_t wanted,
                             uint32_t *layout, onednn_md *out)
{
    uint32_t seen = (uint32_t)wanted;
    if (wanted > 1)
        TN_TRY(onednn_blocked_layout(b, type, wanted, &seen));
    *layout = onednn_simplest(b->ctx, seen, type);
    return onednn_describe_layout(b, type, seen, out);
}

static tn_status create(onednn_builder *b, bool transposed, const conv_form *form, onednn_md src,
                        const conv_weights *weights, onednn_md dst, const onednn_window *window)
{
    const tn_problem *p = b->problem;
    onednn_md w, bias = NULL;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    b->type = form->narrow ? dnnl_bf16 : dnnl_f32;
    TN_TRY(onednn_describe_any(b, weights->rank, weights->dims, &w));
    b->type = dnnl_f32;
    if (p->own_count > 2 && p->inputs[2])
        TN_TRY(onednn_describe(b, 1, p->inputs[2]->dims, NULL, &bias));
    if (transposed)
        status = onednn_deconvolution(b->engine, b->attr, src, w, bias, dst, window, &desc);
    else if (form->tile)
        status = onednn_winograd(b->engine, b->attr, src, w, bias, dst, window,
                                 form->tile == 4 ? "wino_4x3" : "wino_2x3", &desc);
    else
        status = onednn_convolution(b->engine, b->attr, src, w, bias, dst, window, &desc);
    return onednn_accept(b, status, desc);
}

/* X as the primitive takes it: as it comes, or made narrow in scratch memory. */
typedef struct conv_source {
    onednn_md md;
    uint32_t kind;
    size_t offset;
} conv_source;

static tn_status describe_source(onednn_builder *b, const conv_form *form, conv_source *out)
{
    const tn_type *x = b->problem->inputs[0];
    uint32_t *layout = &b->alternative->input_layouts[0];
    onednn_md given;
    *out = (conv_source){ .kind = ONEDNN_INPUT };
    TN_TRY(form_layout(b, x, form->from, layout, &out->md));
    if (!form->narrow)
        return TN_OK;
    given = out->md;
    b->type = dnnl_bf16;
    TN_TRY(form_layout(b, x, form->from, layout, &out->md));
    b->type = dnnl_f32;
    out->kind = ONEDNN_SCRATCH;
    return onednn_narrow(b, given, out->md, &out->offset);
}

/* Multiply-adds, and bytes that are read and written. A tile of t outputs takes (t + 2)^2 products
 * for each pair of channels, and weights grow alike. */
static void estimate(onednn_builder *b, const conv_form *form, bool transposed)
{
    const tn_type *x = b->problem->inputs[0], *w = b->problem->inputs[1];
    const tn_type *y = b->problem->outputs[0];
    double points = (double)onednn_count(transposed ? x : y), weights = (double)onednn_count(w);
    double taps = (double)tn_extent(w->dims, 2, w->rank);
    const int32_t tile = form->tile;
    if (tile) {
        const double products = (double)((tile + 2) * (tile + 2)), side = (double)tile;
        const double rows = (double)y->dims[2], columns = (double)y->dims[3];
        points *= ceil(rows / side) * ceil(columns / side) * side * side / (rows * columns);
        weights *= products / taps;
        taps = products / (side * side);
    }
    /* bfloat16: two products for one, and one pass over X more. */
    onednn_estimate(
        b, points * (double)w->dims[1] * taps * (form->narrow ? 0.5 : 1.0),
        4.0 * ((double)(onednn_count(x) * (form->narrow ? 2 : 1) + onednn_count(y)) + weights));
}

static tn_status build(onednn_builder *b, const conv_form *form, bool transposed)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0], *w = p->inputs[1], *y = p->outputs[0];
    onednn_window window;
    conv_weights weights;
    onednn_target target = { .rank = y->rank, .dims = y->dims };
    conv_source src;
    describe_weights(w, tn_attr_int(p->node, "group", 1), transposed, &weights);
    TN_TRY(onednn_window_read(p->node, w->dims + 2, x, y, transposed, &window, b->reason,
                              sizeof b->reason));
    /* A sum where a window lies in padding altogether crashes in oneDNN 2.6.3. */
    target.sum = transposed || onednn_window_covers(&window, x, y);
    TN_TRY(describe_source(b, form, &src));
    TN_TRY(form_layout(b, y, form->to, &target.layout, &target.md));
    b->alternative->output_layouts[0] = target.layout;
    TN_TRY(onednn_epilogue_begin(b, &target));
    TN_TRY(create(b, transposed, form, src.md, &weights, target.md, &window));
    TN_TRY(onednn_stage_with_weights(b, DNNL_ARG_WEIGHTS, 1, weights.rank, weights.dims,
                                     weights.strides));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, src.kind, 0, src.offset));
    if (p->own_count > 2 && p->inputs[2])
        TN_TRY(onednn_bind(b, DNNL_ARG_BIAS, ONEDNN_INPUT, 2, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    estimate(b, form, transposed);
    return TN_OK;
}

static tn_status build_conv(onednn_builder *b, const void *form)
{
    return build(b, form, false);
}

static tn_status build_transposed(onednn_builder *b, const void *form)
{
    return build(b, form, true);
}

/* Winograd's: windows of 3x3 whose points are neighbours, with sums of many channels. Small planes
 * are read less often than their larger weights: there the smaller tile. */
static bool suits_winograd(const tn_problem *p, int32_t tile)
{
    const tn_type *w = p->inputs[1], *y = p->outputs[0];
    const int64_t *strides, *dilations;
    const size_t stride_count = tn_attr_ints(p->node, "strides", &strides);
    const size_t dilation_count = tn_attr_ints(p->node, "dilations", &dilations);
    if (p->math == TN_MATH_STRICT || strcmp(p->node->op, "Conv") != 0 || w->rank != 4 ||
        w->dims[2] != 3 || w->dims[3] != 3 || tn_attr_int(p->node, "group", 1) != 1)
        return false;
    for (size_t k = 0; k < stride_count; k++)
        if (strides[k] != 1)
            return false;
    for (size_t k = 0; k < dilation_count; k++)
        if (dilations[k] != 1)
            return false;
    return (tile == 4) == (y->dims[2] > 7 && y->dims[3] > 7);
}

/* Blocks pay from a whole block on; a plain input into blocks is for pictures. */
static bool worth_trying(const conv_form *form, const tn_problem *p, bool wide)
{
    const tn_type *x = p->inputs[0], *y = p->outputs[0];
    if (form->narrow && !onednn_narrows(p))
        return false;
    if (form->tile && !suits_winograd(p, form->tile))
        return false;
    if (form->from > 1 || form->to > 1) {
        if ((form->to > 8) != wide || y->dims[1] < form->to)
            return false;
        return form->from > 1 ? x->dims[1] >= form->from : x->dims[1] < form->to;
    }
    return true;
}

static tn_status measure(tn_measure *ctx, void *state, onednn_build_fn function)
{
    const tn_problem *p = ctx->problem;
    /* Eight channels are a register of AVX2, sixteen one of AVX-512. */
    const bool wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) ==
                      dnnl_cpu_isa_avx512_core;
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++)
        if (worth_trying(&forms[k], p, wide))
            TN_TRY(onednn_try(&attempts, function, &forms[k]));
    return onednn_measured(&attempts);
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build_conv);
}

static tn_status conv_transpose_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build_transposed);
}

static tn_status conv_offer(tn_offer *ctx)
{
    const tn_type *x = ctx->problem->inputs[0];
    if (x->rank >= 0 && (x->rank < 3 || x->rank > 5))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: oneDNN has one to three spatial axes",
                       (int)x->rank);
    return onednn_offer(ctx, ONEDNN_STEPS | ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_conv_kernels[] = {
    ONEDNN_KERNEL("Conv", 1, conv_offer, conv_measure),
    ONEDNN_KERNEL("ConvTranspose", 1, conv_offer, conv_transpose_measure),
    { .op = NULL },
};
