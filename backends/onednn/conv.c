/* conv.c: Conv and ConvTranspose (ONNX: Conv, ConvTranspose) by the library's convolutions.
 *
 * In: X [N, C, s…], W [M, C/g, k…] (ConvTranspose: [C, M/g, k…]), perhaps B [M]. Out: Y.
 * Forms, each an alternative for the compiler: channels-last throughout (the library's own choice
 * on processors with AVX-512, and as fast as blocks); blocks of 16 channels; plain input into
 * blocks, for the few channels of a picture; plain throughout, by its matrix product. Weights are
 * packed once into the format that the library wants.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

/* Layouts of input and output: 0, 1, or blocks of so many channels. */
typedef struct conv_form {
    int32_t from, to;
} conv_form;

static const conv_form forms[] = { { 1, 1 }, { 16, 16 }, { 0, 16 }, { 0, 0 }, { 8, 8 }, { 0, 8 } };

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

static tn_status create(onednn_builder *b, bool transposed, onednn_md src,
                        const conv_weights *weights, onednn_md dst, const onednn_window *window)
{
    const tn_problem *p = b->problem;
    onednn_md w, bias = NULL;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(onednn_describe_any(b, weights->rank, weights->dims, &w));
    if (p->own_count > 2 && p->inputs[2])
        TN_TRY(onednn_describe(b, 1, p->inputs[2]->dims, NULL, &bias));
    status = transposed ? onednn_deconvolution(b->engine, b->attr, src, w, bias, dst, window, &desc)
                        : onednn_convolution(b->engine, b->attr, src, w, bias, dst, window, &desc);
    return onednn_accept(b, status, desc);
}

static tn_status build(onednn_builder *b, const conv_form *form, bool transposed)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0], *w = p->inputs[1], *y = p->outputs[0];
    onednn_window window;
    conv_weights weights;
    onednn_target target = { .rank = y->rank, .dims = y->dims };
    onednn_md src;
    describe_weights(w, tn_attr_int(p->node, "group", 1), transposed, &weights);
    TN_TRY(onednn_window_read(p->node, w->dims + 2, x, y, transposed, &window, b->reason,
                              sizeof b->reason));
    /* A sum where a window lies in padding altogether crashes in oneDNN 2.6.3. */
    target.sum = transposed || onednn_window_covers(&window, x, y);
    TN_TRY(form_layout(b, x, form->from, &b->alternative->input_layouts[0], &src));
    TN_TRY(form_layout(b, y, form->to, &target.layout, &target.md));
    b->alternative->output_layouts[0] = target.layout;
    TN_TRY(onednn_epilogue_begin(b, &target));
    TN_TRY(create(b, transposed, src, &weights, target.md, &window));
    TN_TRY(onednn_stage_with_weights(b, DNNL_ARG_WEIGHTS, 1, weights.rank, weights.dims,
                                     weights.strides));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    if (p->own_count > 2 && p->inputs[2])
        TN_TRY(onednn_bind(b, DNNL_ARG_BIAS, ONEDNN_INPUT, 2, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    onednn_estimate(b,
                    (double)onednn_count(transposed ? x : y) * (double)w->dims[1] *
                        (double)tn_extent(w->dims, 2, w->rank),
                    4.0 * (double)(onednn_count(x) + onednn_count(y) + onednn_count(w)));
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

/* Blocks pay from a whole block on; a plain input into blocks is for pictures. */
static bool worth_trying(const conv_form *form, const tn_type *x, const tn_type *y, bool wide)
{
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
        if (worth_trying(&forms[k], p->inputs[0], p->outputs[0], wide))
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
