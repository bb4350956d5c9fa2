/* plugins/recognition/recognize_qlinear.c: a convolution or a product of dequantized tensors that is
 * quantized again (ONNX: QLinearConv, QLinearMatMul).
 *
 *   QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), bias))        -> QLinearConv
 *   QuantizeLinear(MatMul or Gemm(DequantizeLinear(a), DequantizeLinear(b)))    -> QLinearMatMul
 *   QuantizeLinear(Gemm(DequantizeLinear(a), DequantizeLinear(b), bias))        -> QLinearConv of one pixel
 *
 * with Relu and Clip in front of the QuantizeLinear where its own range cuts as much: a Relu whose 0
 * is the lowest number of the type. The bias becomes int32 with the scale x_scale * w_scale: what
 * was quantized so, or a constant, rounded to it where that is finer than an eighth of a step of y.
 *
 * Approximate: the sums are of integers, exact, where those of floats were rounded. What lay so near
 * to the middle of two numbers that this decides becomes the other one.
 *
 * The passes go before fold_constants, which would make floats of the weights.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <inttypes.h>
#include <stdlib.h>

/* Products of two bytes, summed up so often, and a bias half as large as int32 allows, fit into it. */
enum { DEEPEST = 1 << 14, MOST_BIAS = 1 << 30 };

/* A tensor of 8-bit integers with what they stand for. */
typedef struct quantized {
    const char *what; /* "X", static */
    tn_value_id tensor, scale, zero;
    const tn_tensor *scales;
    uint32_t dtype;
} quantized;

typedef struct linear {
    quantized a, b, y;       /* x and w of a convolution */
    tn_node_id node;         /* Conv, MatMul or Gemm */
    tn_value_id bias, value; /* int32, made or found; the constant that it comes from */
    const tn_tensor *values, *value_scales; /* NULL: there is no bias; it is of floats */
    int turned;                             /* Gemm's transB */
} linear;

static tn_value_id input_at(const pattern *p, tn_node_id node, uint32_t k)
{
    const tn_node_view *view = pattern_node(p, node);
    return k < view->input_count ? view->inputs[k] : TN_NONE;
}

static uint32_t dtype_of(const pattern *p, tn_value_id value)
{
    return pattern_value(p, value)->type->dtype;
}

/* ---- one tensor --------------------------------------------------------------------------- */

/* Scale and zero point of a QuantizeLinear or DequantizeLinear, whose 8-bit side is `tensor`. */
static int read_scale(pattern *p, tn_node_id node, tn_value_id tensor, quantized *q)
{
    const tn_node_view *view = pattern_node(p, node);
    const int64_t precision = tn_attr_int(view, "precision", 0);
    q->tensor = tensor;
    q->dtype = dtype_of(p, tensor);
    q->scale = input_at(p, node, 1);
    q->zero = input_at(p, node, 2);
    q->scales = pattern_constant(p, q->scale);
    if (q->dtype != TN_INT8 && q->dtype != TN_UINT8)
        return pattern_refuse(p, "%s is not of 8 bits", q->what);
    if (!q->scales || q->scales->dtype != TN_FLOAT32 || !quantized_scales_are_plain(q->scales))
        return pattern_refuse(
            p, "the scale of %s is no plain float32 constant that no run replaces", q->what);
    if (tn_attr_int(view, "block_size", 0) || (precision && precision != TN_FLOAT32))
        return pattern_refuse(p, "%s has a scale for each block, or another precision", q->what);
    return 1;
}

static int read_operand(pattern *p, tn_value_id value, quantized *q)
{
    const tn_node_id maker = pattern_maker(p, value, "DequantizeLinear");
    if (maker == TN_NONE)
        return pattern_refuse(p, "%s is not made by a DequantizeLinear", q->what);
    return read_scale(p, maker, input_at(p, maker, 0), q) &&
           (dtype_of(p, value) == TN_FLOAT32 ||
            pattern_refuse(p, "%s is not dequantized to float32", q->what));
}

static int has_one_scale(pattern *p, const quantized *q)
{
    return tn_count(q->scales) == 1 ||
           pattern_refuse(p, "%s has a scale for each place of an axis", q->what);
}

/* One scale, or one for each place of the axis that the output's channels lie on. */
static int scales_lie_along(pattern *p, tn_value_id value, const quantized *q, int32_t axis,
                            int32_t rank)
{
    const tn_node_view *view = pattern_node(p, pattern_value(p, value)->producer);
    const int32_t found = pattern_value(p, q->tensor)->type->rank;
    if (tn_count(q->scales) == 1)
        return 1;
    if (found < 0 || (rank && found != rank) ||
        tn_axis(tn_attr_int(view, "axis", 1), found) != axis)
        return pattern_refuse(p, "the scales of %s do not lie along the output channels", q->what);
    return 1;
}

/* ---- what stands before the QuantizeLinear ------------------------------------------------ */

/* The integer that a bound becomes, before the type cuts it. */
static double step_of(const linear *l, double zero, double bound)
{
    const float scale = (float)tn_get_double(TN_FLOAT32, l->y.scales->data, 0);
    return rint((double)((float)bound / scale)) + zero;
}

/* Whether QuantizeLinear cuts off as much as min(max(low, x), high) does. */
static int cuts_as_much(pattern *p, const linear *l, double low, double high)
{
    const double least = l->y.dtype == TN_INT8 ? -128.0 : 0.0;
    const tn_tensor *zero = pattern_constant(p, l->y.zero);
    if (l->y.zero != TN_NONE && (!zero || tn_count(zero) != 1))
        return pattern_refuse(p, "y's zero point is no constant that no run replaces");
    const double at = zero ? (double)tn_get_int(zero->dtype, zero->data, 0) : 0.0;
    return (step_of(l, at, low) <= least && step_of(l, at, high) >= least + 255.0) ||
           pattern_refuse(p, "Relu or Clip cuts off more than y's range does");
}

static int reads_bounds(pattern *p, tn_node_id clip, double *low, double *high)
{
    double *const to[] = { low, high };
    for (uint32_t k = 0; k < 2; k++) {
        const tn_value_id value = input_at(p, clip, k + 1);
        if (value != TN_NONE && !pattern_scalar(p, value, to[k]))
            return pattern_refuse(p, "Clip's bounds are no constants that no run replaces");
    }
    return 1;
}

/* The value in front of all Relu and Clip; TN_NONE where one of them does something. */
static tn_value_id before_clips(pattern *p, const linear *l, tn_value_id value)
{
    for (;;) {
        double low = 0.0, high = INFINITY;
        tn_node_id maker = pattern_maker(p, value, "Relu");
        if (maker == TN_NONE) {
            maker = pattern_maker(p, value, "Clip");
            low = -INFINITY;
            if (maker == TN_NONE)
                return value;
        }
        if ((pattern_is(p, maker, "Clip") && !reads_bounds(p, maker, &low, &high)) ||
            !cuts_as_much(p, l, low, high) || !pattern_take(p, maker))
            return TN_NONE;
        value = input_at(p, maker, 0);
    }
}

/* That an activation or a sum is in the way is a reason only where a product is behind it. */
static int has_behind(const pattern *p, tn_value_id value, const char *const *ops)
{
    static const char *const through[] = { "Relu", "Clip", "Add" };
    for (int depth = 0; depth < 4 && value != TN_NONE; depth++) {
        tn_node_id next = TN_NONE;
        for (size_t k = 0; ops[k]; k++)
            if (pattern_maker(p, value, ops[k]) != TN_NONE)
                return 1;
        for (size_t k = 0; k < 3 && next == TN_NONE; k++)
            next = pattern_maker(p, value, through[k]);
        value = next == TN_NONE ? TN_NONE : input_at(p, next, 0);
    }
    return 0;
}

static int find(pattern *p, linear *l, const char *const *ops)
{
    const tn_value_id x = input_at(p, p->root, 0);
    *l = (linear){ .a = { .what = "the first operand" },
                   .b = { .what = "the second operand" },
                   .y = { .what = "y" },
                   .node = TN_NONE,
                   .bias = TN_NONE };
    if (!has_behind(p, x, ops) || !read_scale(p, p->root, p->y, &l->y) || !has_one_scale(p, &l->y))
        return 0;
    const tn_value_id sums = before_clips(p, l, x);
    for (size_t k = 0; sums != TN_NONE && l->node == TN_NONE && ops[k]; k++)
        l->node = pattern_maker(p, sums, ops[k]);
    if (l->node == TN_NONE)
        return sums != TN_NONE && pattern_maker(p, sums, "Add") != TN_NONE
                   ? pattern_refuse(p, "an Add stands between, which it has no place for")
                   : 0;
    return read_operand(p, input_at(p, l->node, 0), &l->a) && has_one_scale(p, &l->a) &&
           read_operand(p, input_at(p, l->node, 1), &l->b) && pattern_take(p, l->node);
}

/* The length of sums must be known: an accumulator has 32 bits. */
static int is_short(pattern *p, int64_t depth)
{
    return (depth >= 0 && depth <= DEEPEST) ||
           pattern_refuse(p, "its sums are longer than %d, or of unknown length", (int)DEEPEST);
}

/* ---- constants ---------------------------------------------------------------------------- */

static tn_status add_constant(pattern *p, uint32_t dtype, const tn_tensor *like, void *data,
                              tn_value_id *out)
{
    const tn_tensor tensor = { .size = sizeof tensor,
                               .kind = TN_TENSOR,
                               .dtype = dtype,
                               .rank = like->rank,
                               .dims = like->dims,
                               .data = data,
                               .bytes = tn_dtype_bytes(dtype, tn_count(like)) };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = &tensor, .value = TN_NONE
    };
    return p->ctx->api->add_constant(p->ctx->graph, &desc, out);
}

/* A zero point of zeros, which the QLinear operators want, where none is written. */
static tn_status give_zero(pattern *p, quantized *q)
{
    void *zeros;
    tn_status status;
    if (q->zero != TN_NONE)
        return TN_OK;
    zeros = calloc((size_t)tn_count(q->scales) + 1, 1);
    if (!zeros)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for a zero point");
    status = add_constant(p, q->dtype, q->scales, zeros, &q->zero);
    free(zeros);
    return status;
}

/* ---- bias --------------------------------------------------------------------------------- */

static double scale_at(const tn_tensor *scales, int64_t k)
{
    return tn_get_double(scales->dtype, scales->data, tn_count(scales) == 1 ? 0 : k);
}

static double sum_scale(const linear *l, int64_t channel)
{
    return scale_at(l->a.scales, 0) * scale_at(l->b.scales, channel);
}

static int is_zero(const pattern *p, tn_value_id value)
{
    const tn_tensor *zero = pattern_constant(p, value);
    for (int64_t k = 0; zero && k < tn_count(zero); k++)
        if (tn_get_int(zero->dtype, zero->data, k))
            return 0;
    return zero || value == TN_NONE;
}

static double bias_at(const linear *l, int64_t k)
{
    const double value = tn_get_double(l->values->dtype, l->values->data, k);
    return l->value_scales ? value * scale_at(l->value_scales, k) : value;
}

/* A bias that was quantized is a constant with scales; else it is a constant. */
static int read_bias(pattern *p, linear *l, tn_value_id value)
{
    const tn_node_id maker = pattern_maker(p, value, "DequantizeLinear");
    l->value = maker == TN_NONE ? value : input_at(p, maker, 0);
    l->values = pattern_constant(p, l->value);
    if (!l->values || l->values->rank != 1 ||
        l->values->dtype != (uint32_t)(maker == TN_NONE ? TN_FLOAT32 : TN_INT32))
        return pattern_refuse(p, "its bias is no constant that no run replaces");
    if (maker == TN_NONE)
        return 1;
    l->value_scales = pattern_constant(p, input_at(p, maker, 1));
    if (!is_zero(p, input_at(p, maker, 2)) || !quantized_scales_are_plain(l->value_scales) ||
        (tn_count(l->value_scales) != 1 && tn_count(l->value_scales) != tn_count(l->values)))
        return pattern_refuse(p, "its bias has a zero point, or no plain constant scales");
    return 1;
}

/* Whether the integers are those that the operator wants. */
static int has_right_scale(const linear *l)
{
    for (int64_t k = 0; l->value_scales && k < tn_count(l->values); k++)
        if (!pattern_near(TN_FLOAT32, scale_at(l->value_scales, k), sum_scale(l, k)))
            return 0;
    return l->value_scales != NULL;
}

/* A multiple of x_scale * w_scale, or rounded to one where that is fine enough for y. */
static int may_round(pattern *p, const linear *l, int64_t k)
{
    const double scale = sum_scale(l, k), steps = bias_at(l, k) / scale;
    if (!(fabs(steps) <= MOST_BIAS))
        return pattern_refuse(p, "its bias is too large for int32");
    if (fabs(steps - rint(steps)) < 1e-3 || scale <= scale_at(l->y.scales, 0) / 8.0)
        return 1;
    return l->value_scales
               ? pattern_refuse(p, "the bias's scale is %g, x_scale * w_scale is %g",
                                scale_at(l->value_scales, k), scale)
               : pattern_refuse(p,
                                "its bias is a float, and x_scale * w_scale %g is too coarse "
                                "for it",
                                scale);
}

/* 0: refused. */
static int bias_fits(pattern *p, linear *l, tn_value_id value)
{
    if (!read_bias(p, l, value))
        return 0;
    if (tn_count(l->b.scales) != 1 && tn_count(l->b.scales) != tn_count(l->values))
        return pattern_refuse(p, "bias and weights have other numbers of channels");
    for (int64_t k = 0; k < tn_count(l->values); k++)
        if (!may_round(p, l, k))
            return 0;
    if (has_right_scale(l))
        l->bias = l->value;
    return 1;
}

/* The int32 bias of one that is a float or has another scale, which bias_fits has looked through. */
static tn_status round_bias(pattern *p, linear *l)
{
    tn_status status;
    int32_t *rounded;
    if (!l->values || l->bias != TN_NONE)
        return TN_OK;
    rounded = malloc(((size_t)tn_count(l->values) + 1) * sizeof *rounded);
    if (!rounded)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for a bias");
    for (int64_t k = 0; k < tn_count(l->values); k++)
        rounded[k] = (int32_t)rint(bias_at(l, k) / sum_scale(l, k));
    status = add_constant(p, TN_INT32, l->values, rounded, &l->bias);
    free(rounded);
    return status;
}

/* ---- rewrites ----------------------------------------------------------------------------- */

/* What dequantized goes where nobody else reads it. */
static void absorb_makers(pattern *p, tn_node_id node)
{
    for (uint32_t k = 0; k < pattern_node(p, node)->input_count; k++) {
        const tn_value_id value = input_at(p, node, k);
        const tn_node_id maker = value == TN_NONE ? TN_NONE
                                                  : pattern_maker(p, value, "DequantizeLinear");
        if (maker != TN_NONE)
            pattern_absorb(p, maker);
    }
}

static tn_status put(pattern *p, linear *l, tn_value_id b, const tn_attribute *attributes,
                     uint32_t attribute_count)
{
    const tn_value_id inputs[] = { l->a.tensor, l->a.scale, l->a.zero, b,      l->b.scale,
                                   l->b.zero,   l->y.scale, l->y.zero, l->bias };
    tn_value_id y;
    TN_TRY(pattern_add(p, p->wanted, inputs, l->bias == TN_NONE ? 8 : 9, attributes,
                       attribute_count, &y));
    return pattern_finish(p, y, y);
}

static tn_status give_zeros(pattern *p, linear *l)
{
    TN_TRY(give_zero(p, &l->a));
    TN_TRY(give_zero(p, &l->b));
    return give_zero(p, &l->y);
}

static int64_t taps_of(const tn_type *w)
{
    int64_t taps = 1;
    for (int32_t axis = 1; axis < w->rank; axis++) {
        if (!tn_dim_known(w->dims[axis]) || w->dims[axis] > DEEPEST)
            return -1;
        taps = taps > DEEPEST ? taps : taps * w->dims[axis];
    }
    return w->rank < 0 ? -1 : taps;
}

static tn_status match_conv(tn_rewrite *ctx, tn_node_id node)
{
    static const char *const ops[] = { "Conv", NULL };
    pattern p;
    linear l;
    if (!pattern_begin(&p, ctx, node, "QLinearConv") || !find(&p, &l, ops))
        return pattern_miss(&p);
    const tn_value_id bias = input_at(&p, l.node, 2);
    if (!scales_lie_along(&p, input_at(&p, l.node, 1), &l.b, 0, 0) ||
        !is_short(&p, taps_of(pattern_value(&p, l.b.tensor)->type)) ||
        (bias != TN_NONE && !bias_fits(&p, &l, bias)) || !pattern_closed(&p))
        return pattern_miss(&p);
    absorb_makers(&p, l.node);
    TN_TRY(round_bias(&p, &l));
    TN_TRY(give_zeros(&p, &l));
    const tn_node_view *view = pattern_node(&p, l.node);
    return put(&p, &l, l.b.tensor, view->attributes, view->attribute_count);
}

/* Only what QLinearMatMul does: a plain product, of which the second matrix may be turned. */
static int is_plain_product(pattern *p, linear *l)
{
    const tn_node_view *view = pattern_node(p, l->node);
    if (!pattern_is(p, l->node, "Gemm"))
        return 1;
    l->turned = tn_attr_int(view, "transB", 0) != 0;
    if (tn_attr_int(view, "transA", 0) || tn_attr_float(view, "alpha", 1.0f) != 1.0f)
        return pattern_refuse(p, "Gemm turns its first matrix or has a factor");
    return input_at(p, l->node, 2) == TN_NONE ||
           pattern_refuse(p, "Gemm has a C, which it has no place for");
}

static tn_status match_matmul(tn_rewrite *ctx, tn_node_id node)
{
    static const char *const ops[] = { "MatMul", "Gemm", NULL };
    static const int64_t swapped[] = { 1, 0 };
    const tn_attribute perm = {
        .size = sizeof perm, .type = TN_ATTR_INTS, .name = "perm", .count = 2, .ints = swapped
    };
    pattern p;
    linear l;
    if (!pattern_begin(&p, ctx, node, "QLinearMatMul") || !find(&p, &l, ops) ||
        !is_plain_product(&p, &l))
        return pattern_miss(&p);
    const tn_type *a = pattern_value(&p, l.a.tensor)->type;
    if (!scales_lie_along(&p, input_at(&p, l.node, 1), &l.b, l.turned ? 0 : 1, 2) ||
        !is_short(&p,
                  a->rank < 1 || !tn_dim_known(a->dims[a->rank - 1]) ? -1 : a->dims[a->rank - 1]) ||
        !pattern_closed(&p))
        return pattern_miss(&p);
    absorb_makers(&p, l.node);
    TN_TRY(give_zeros(&p, &l));
    tn_value_id b = l.b.tensor;
    if (l.turned)
        TN_TRY(pattern_add(&p, "Transpose", &b, 1, &perm, 1, &b));
    return put(&p, &l, b, NULL, 0);
}

/* ---- a Gemm with a bias ------------------------------------------------------------------- */

static tn_status add_axes(pattern *p, const char *op, tn_value_id x, tn_value_id *out)
{
    static const int64_t pixel[] = { 2, 3 };
    tn_value_id inputs[2] = { x };
    TN_TRY(pattern_integers(p, pixel, 2, &inputs[1]));
    return pattern_add(p, op, inputs, 2, NULL, 0, out);
}

static int is_plain_gemm(pattern *p, linear *l)
{
    const tn_node_view *view = pattern_node(p, l->node);
    l->turned = tn_attr_int(view, "transB", 0) != 0;
    if (input_at(p, l->node, 2) == TN_NONE)
        return 0; /* recognize_qlinear_matmul */
    return (!tn_attr_int(view, "transA", 0) && tn_attr_float(view, "alpha", 1.0f) == 1.0f &&
            tn_attr_float(view, "beta", 1.0f) == 1.0f) ||
           pattern_refuse(p, "Gemm turns its first matrix or has a factor");
}

/* Of more rows floats are multiplied as fast, and each with the same weights: measured on native, 1280
 * columns and 1000, one row takes 80 us as QLinearConv and 165 us in floats, 4 rows 315 and 289. */
enum { MOST_ROWS = 4 };

static int has_few_rows(pattern *p, const tn_type *a)
{
    return a->rank != 2 || !tn_dim_known(a->dims[0]) || a->dims[0] <= MOST_ROWS ||
           pattern_refuse(p, "%d rows are multiplied as fast in floats", (int)a->dims[0]);
}

/* Rows as samples of one pixel, columns as channels. */
static tn_status match_gemm(tn_rewrite *ctx, tn_node_id node)
{
    static const char *const ops[] = { "Gemm", NULL };
    static const int64_t swapped[] = { 1, 0 };
    const tn_attribute perm = {
        .size = sizeof perm, .type = TN_ATTR_INTS, .name = "perm", .count = 2, .ints = swapped
    };
    pattern p;
    linear l;
    if (!pattern_begin(&p, ctx, node, "QLinearConv") || !find(&p, &l, ops) ||
        !is_plain_gemm(&p, &l))
        return pattern_miss(&p);
    const tn_type *a = pattern_value(&p, l.a.tensor)->type;
    if (!scales_lie_along(&p, input_at(&p, l.node, 1), &l.b, l.turned ? 0 : 1, 2) ||
        !is_short(&p, a->rank != 2 || !tn_dim_known(a->dims[1]) ? -1 : a->dims[1]) ||
        !has_few_rows(&p, a) || !bias_fits(&p, &l, input_at(&p, l.node, 2)) || !pattern_closed(&p))
        return pattern_miss(&p);
    absorb_makers(&p, l.node);
    TN_TRY(round_bias(&p, &l));
    TN_TRY(give_zeros(&p, &l));
    tn_value_id w = l.b.tensor, y;
    if (!l.turned)
        TN_TRY(pattern_add(&p, "Transpose", &w, 1, &perm, 1, &w));
    TN_TRY(add_axes(&p, "Unsqueeze", w, &w));
    TN_TRY(add_axes(&p, "Unsqueeze", l.a.tensor, &l.a.tensor));
    const tn_value_id inputs[] = { l.a.tensor, l.a.scale, l.a.zero, w,     l.b.scale,
                                   l.b.zero,   l.y.scale, l.y.zero, l.bias };
    TN_TRY(pattern_add(&p, p.wanted, inputs, 9, NULL, 0, &y));
    tn_value_id flat;
    TN_TRY(add_axes(&p, "Squeeze", y, &flat));
    return pattern_finish(&p, flat, y);
}

tn_status recognize_qlinear_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "QuantizeLinear", NULL };
    tn_pass_def pass = { .size = sizeof pass,
                         .phase = TN_PHASE_CLEAN,
                         .order = 15,
                         .exactness = TN_EXACT_APPROXIMATE,
                         .name = "recognize_qlinear_conv",
                         .doc = "A Conv of dequantized tensors that is quantized again as one "
                                "QLinearConv; its sums are no longer rounded.",
                         .roots = roots,
                         .match = match_conv,
                         .makes = "QLinearConv" };
    TN_TRY(registrar->add_pass(registrar, &pass));
    pass.order = 16;
    pass.name = "recognize_qlinear_matmul";
    pass.doc = "A MatMul or Gemm of dequantized matrices that is quantized again as one "
               "QLinearMatMul; its sums are no longer rounded.";
    pass.match = match_matmul;
    pass.makes = "QLinearMatMul";
    TN_TRY(registrar->add_pass(registrar, &pass));
    pass.order = 17;
    pass.name = "recognize_qlinear_gemm";
    pass.doc =
        "A Gemm with a bias, of dequantized matrices, that is quantized again as one QLinearConv "
        "of one pixel; its sums are no longer rounded.";
    pass.match = match_gemm;
    pass.makes = "QLinearConv";
    return registrar->add_pass(registrar, &pass);
}
