/* matmul.c: MatMul and Gemm (ONNX: MatMul, Gemm) by the library's matrix product.
 *
 * MatMul: numpy's: 1-D operands get an axis of 1, leading axes are a batch and broadcast. Where B
 * is one matrix, A's batch is folded into its rows, and a constant B is packed once.
 * Gemm: Y = alpha A' B' + beta C, A' and B' transposed or not. With alpha 1 and beta 1, a C for
 * each column is the product's bias; any other is added by a primitive of its own.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

/* Both operators as [batch…, M, K] x [batch…, K, N]. */
typedef struct product {
    int32_t rank;
    int64_t a[DNNL_MAX_NDIMS], b[DNNL_MAX_NDIMS], y[DNNL_MAX_NDIMS];
    int64_t a_strides[DNNL_MAX_NDIMS], b_strides[DNNL_MAX_NDIMS];
    bool folded;
} product;

/* ---- MatMul ----------------------------------------------------------------------------- */

/* One matrix on the right: rows of A are rows of the batch. */
static void fold(const tn_type *a, const tn_type *b, product *out)
{
    const int64_t k = a->dims[a->rank - 1];
    out->rank = 2;
    out->a[0] = onednn_count(a) / k;
    out->a[1] = k;
    out->b[0] = k;
    out->b[1] = b->rank == 1 ? 1 : b->dims[1];
    out->y[0] = out->a[0];
    out->y[1] = out->b[1];
    out->folded = a->rank != 2 || b->rank != 2;
}

static tn_status spread_batch(const tn_type *a, const tn_type *b, product *out)
{
    const int32_t a_rank = a->rank == 1 ? 2 : a->rank;
    out->rank = a_rank > b->rank ? a_rank : b->rank;
    if (out->rank > DNNL_MAX_NDIMS)
        return TN_DECLINED;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        const int32_t from_a = axis - (out->rank - a_rank), from_b = axis - (out->rank - b->rank);
        out->a[axis] = from_a < 0 ? 1 : a->rank == 1 ? (from_a ? a->dims[0] : 1) : a->dims[from_a];
        out->b[axis] = from_b < 0 ? 1 : b->dims[from_b];
        out->y[axis] = out->a[axis] > out->b[axis] ? out->a[axis] : out->b[axis];
    }
    out->y[out->rank - 2] = out->a[out->rank - 2];
    out->y[out->rank - 1] = out->b[out->rank - 1];
    out->folded = a->rank == 1;
    return TN_OK;
}

/* An operand of a step that repeats on all axes but the last survives the folding. */
static bool foldable(const tn_problem *p)
{
    for (uint32_t k = 0; k < p->step_count; k++) {
        const tn_step *step = &p->steps[k];
        const tn_type *type = step->operand < 0 ? NULL : p->inputs[step->operand];
        if (type && step->spread != TN_SPREAD_FULL && onednn_count(type) != 1 &&
            type->dims[type->rank - 1] != onednn_count(type))
            return false;
    }
    return true;
}

static tn_status read_matmul(onednn_builder *b, product *out)
{
    const tn_type *left = b->problem->inputs[0], *right = b->problem->inputs[1];
    memset(out, 0, sizeof *out);
    if (right->rank == 1 || (right->rank == 2 && (left->rank < 3 || foldable(b->problem))))
        fold(left, right, out);
    else if (spread_batch(left, right, out) != TN_OK)
        return onednn_refuse(b, "oneDNN's matrix product has at most %d axes", DNNL_MAX_NDIMS);
    tn_row_major(out->rank, out->a, out->a_strides);
    tn_row_major(out->rank, out->b, out->b_strides);
    return TN_OK;
}

/* ---- Gemm ------------------------------------------------------------------------------- */

static void read_side(const tn_type *type, bool transposed, int64_t *dims, int64_t *strides)
{
    dims[0] = type->dims[transposed ? 1 : 0];
    dims[1] = type->dims[transposed ? 0 : 1];
    strides[0] = transposed ? 1 : dims[1];
    strides[1] = transposed ? dims[0] : 1;
}

static void read_gemm(const tn_problem *p, product *out)
{
    memset(out, 0, sizeof *out);
    out->rank = 2;
    read_side(p->inputs[0], tn_attr_int(p->node, "transA", 0) != 0, out->a, out->a_strides);
    read_side(p->inputs[1], tn_attr_int(p->node, "transB", 0) != 0, out->b, out->b_strides);
    out->y[0] = out->a[0];
    out->y[1] = out->b[1];
}

/* ---- building --------------------------------------------------------------------------- */

enum { C_NONE, C_BIAS, C_BINARY };

/* A first step that adds a row is the bias of a product without one. Answers the input, or -1. */
static int32_t bias_of(const tn_problem *p, const product *shape)
{
    const tn_step *step = p->step_count ? &p->steps[0] : NULL;
    const tn_type *row;
    if (!step || step->operand < 0 || step->node->domain[0] || strcmp(step->node->op, "Add") != 0)
        return -1;
    row = p->inputs[step->operand];
    return onednn_count(row) == shape->y[shape->rank - 1] && row->rank > 0 &&
                   row->dims[row->rank - 1] == onednn_count(row)
               ? step->operand
               : -1;
}

/* How C of a Gemm enters, and the description it has then. */
static tn_status describe_c(onednn_builder *b, const product *shape, int32_t *kind, onednn_md *out)
{
    const tn_problem *p = b->problem;
    const bool gemm = strcmp(p->node->op, "Gemm") == 0;
    const tn_type *c = gemm && p->own_count > 2 ? p->inputs[2] : NULL;
    int64_t dims[2] = { 1, 1 };
    *kind = C_NONE;
    if (!c)
        return TN_OK;
    for (int32_t axis = 0; axis < c->rank; axis++)
        dims[2 - c->rank + axis] = c->dims[axis];
    *kind = dims[0] == 1 && dims[1] == shape->y[1] &&
                    tn_attr_float(p->node, "alpha", 1.0f) == 1.0f &&
                    tn_attr_float(p->node, "beta", 1.0f) == 1.0f
                ? C_BIAS
                : C_BINARY;
    return onednn_describe(b, 2, dims, NULL, out);
}

/* beta C, in scratch memory: the library's addition has no factor. */
static tn_status scale_c(onednn_builder *b, onednn_md c, float beta, size_t *offset)
{
    onednn_pd desc = NULL;
    const dnnl_status_t status = onednn_eltwise(b->engine, b->attr, dnnl_eltwise_linear, beta, 0.0f,
                                                c, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_scratch(b, dnnl_memory_desc_get_size(c), offset));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 2, 0));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_SCRATCH, 0, *offset);
}

/* C that is no bias: added in place by a stage after the product, before the epilogue. */
static tn_status add_c(onednn_builder *b, onednn_md y, onednn_md c)
{
    const float beta = tn_attr_float(b->problem->node, "beta", 1.0f);
    onednn_pd desc = NULL;
    dnnl_status_t status;
    size_t offset = 0;
    TN_TRY(onednn_fresh_attributes(b));
    if (beta != 1.0f)
        TN_TRY(scale_c(b, c, beta, &offset));
    status = onednn_binary(b->engine, b->attr, dnnl_binary_add, y, c, y, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC_0, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(beta != 1.0f ? onednn_bind(b, DNNL_ARG_SRC_1, ONEDNN_SCRATCH, 0, offset)
                        : onednn_bind(b, DNNL_ARG_SRC_1, ONEDNN_INPUT, 2, 0));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0);
}

/* The library's products by gemm apply what follows in a loop that is not compiled: 36 ns for a
 * Gelu. */
static bool is_plain_code(const onednn_builder *b)
{
    return strstr(b->name, "gemm") && !strstr(b->name, "brg");
}

static bool has_functions(const onednn_builder *b)
{
    static const char *const cheap[] = { "Add",  "Sub",       "Mul",  "Max", "Min",
                                         "Relu", "LeakyRelu", "Clip", "Abs", "Neg" };
    const tn_problem *p = b->problem;
    if (onednn_count(p->outputs[0]) < 1024)
        return false;
    for (uint32_t k = b->done; k < p->step_count; k++) {
        bool known = false;
        for (size_t i = 0; i < sizeof cheap / sizeof *cheap; i++)
            known |= strcmp(p->steps[k].node->op, cheap[i]) == 0;
        if (!known)
            return true;
    }
    return false;
}

/* narrow: A and B in bfloat16. */
static tn_status build_product(onednn_builder *b, const product *shape, bool narrow)
{
    const tn_problem *p = b->problem;
    /* The library may choose the weights' format where it pays: one matrix for many rows. */
    const bool pack = p->constants[1] && shape->rank == 2;
    onednn_target target = { .rank = shape->rank,
                             .dims = shape->y,
                             .folded = shape->folded,
                             .sum = true,
                             .whole = true,
                             .scale = 1.0f };
    onednn_md left, right, given, c = NULL;
    onednn_pd desc = NULL;
    size_t offset = 0;
    dnnl_status_t status;
    double macs = (double)shape->a[shape->rank - 1];
    int32_t c_kind, bias = -1;
    if (strcmp(p->node->op, "Gemm") == 0)
        target.scale = tn_attr_float(p->node, "alpha", 1.0f);
    target.scaled = target.scale != 1.0f;
    TN_TRY(describe_c(b, shape, &c_kind, &c));
    if (c_kind == C_NONE && shape->rank == 2 && target.scale == 1.0f)
        bias = bias_of(p, shape);
    if (bias >= 0) {
        const int64_t row[] = { 1, shape->y[1] };
        b->done = 1;
        c_kind = C_BIAS;
        TN_TRY(onednn_describe(b, 2, row, NULL, &c));
    }
    if (c_kind == C_BINARY && p->step_count && !b->apart)
        return onednn_refuse(b, "C of Gemm is no bias: its epilogue runs apart");
    TN_TRY(onednn_describe(b, shape->rank, shape->a, shape->a_strides, &left));
    if (narrow && !pack)
        return onednn_refuse(b, "bfloat16 for matrices that are computed");
    if (narrow) {
        given = left;
        b->type = dnnl_bf16;
        TN_TRY(onednn_describe(b, shape->rank, shape->a, NULL, &left));
        TN_TRY(onednn_narrow(b, given, left, &offset));
    }
    if (pack)
        TN_TRY(onednn_describe_any(b, 2, shape->b, &right));
    else
        TN_TRY(onednn_describe(b, shape->rank, shape->b, shape->b_strides, &right));
    b->type = dnnl_f32;
    TN_TRY(onednn_describe(b, shape->rank, shape->y, NULL, &target.md));
    TN_TRY(onednn_epilogue_begin(b, &target));
    status = onednn_matmul(b->engine, b->attr, left, right, c_kind == C_BIAS ? c : NULL, target.md,
                           &desc);
    TN_TRY(onednn_accept(b, status, desc));
    if (!b->apart && is_plain_code(b) && has_functions(b))
        return onednn_refuse(b, "functions after this product are plain code: they run apart");
    if (pack) {
        TN_TRY(onednn_stage_with_weights(b, DNNL_ARG_WEIGHTS, 1, 2, shape->b, shape->b_strides));
    } else {
        TN_TRY(onednn_stage_add(b));
        TN_TRY(onednn_bind(b, DNNL_ARG_WEIGHTS, ONEDNN_INPUT, 1, 0));
    }
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, narrow ? ONEDNN_SCRATCH : ONEDNN_INPUT, 0, offset));
    if (c_kind == C_BIAS)
        TN_TRY(onednn_bind(b, DNNL_ARG_BIAS, ONEDNN_INPUT, bias >= 0 ? (uint32_t)bias : 2, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    if (c_kind == C_BINARY)
        TN_TRY(add_c(b, target.md, c));
    TN_TRY(onednn_epilogue_end(b, &target));
    for (int32_t axis = 0; axis < shape->rank; axis++)
        macs *= (double)shape->y[axis];
    onednn_estimate(b, narrow ? macs / 2 : macs,
                    4.0 * (double)(onednn_count(p->inputs[0]) * (narrow ? 2 : 1) +
                                   onednn_count(p->inputs[1]) + onednn_count(p->outputs[0])));
    return TN_OK;
}

/* The rows of A as points, its columns as channels: a convolution of one point. Before AVX-512 the
 * library's are a quarter faster than its products, pack B, and compile what follows. */
static tn_status build_points(onednn_builder *b, const product *shape)
{
    const tn_problem *p = b->problem;
    const int64_t m = shape->y[0], k = shape->a[1], n = shape->y[1];
    const int64_t x_dims[] = { 1, k, m }, x_strides[] = { m * k, 1, k };
    const int64_t y_dims[] = { 1, n, m }, y_strides[] = { m * n, 1, n };
    const int64_t w_dims[] = { n, k, 1 };
    const int64_t w_strides[] = { shape->b_strides[1], shape->b_strides[0], 1 };
    const onednn_window window = { .rank = 1, .kernel = { 1 }, .strides = { 1 } };
    onednn_target target = {
        .rank = 3, .dims = y_dims, .folded = shape->folded, .points = true, .sum = true
    };
    onednn_md src, weights, bias_md = NULL;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    const bool gemm = strcmp(p->node->op, "Gemm") == 0;
    int32_t bias, c_kind = C_NONE;
    if (gemm)
        TN_TRY(describe_c(b, shape, &c_kind, &bias_md));
    if (c_kind == C_BINARY || (gemm && tn_attr_float(p->node, "alpha", 1.0f) != 1.0f) ||
        shape->a_strides[1] != 1)
        return onednn_refuse(b, "this Gemm is no convolution");
    bias = c_kind == C_BIAS ? 2 : bias_of(p, shape);
    b->done = c_kind == C_NONE && bias >= 0;
    if (bias >= 0)
        TN_TRY(onednn_describe(b, 1, &n, NULL, &bias_md));
    TN_TRY(onednn_describe(b, 3, x_dims, x_strides, &src));
    TN_TRY(onednn_describe(b, 3, y_dims, y_strides, &target.md));
    TN_TRY(onednn_describe_any(b, 3, w_dims, &weights));
    TN_TRY(onednn_epilogue_begin(b, &target));
    status = onednn_convolution(b->engine, b->attr, src, weights, bias_md, target.md, &window,
                                &desc);
    TN_TRY(onednn_accept(b, status, desc));
    if (!strstr(b->name, "1x1"))
        return onednn_refuse(b, "oneDNN has no compiled convolution for this product");
    TN_TRY(onednn_stage_with_weights(b, DNNL_ARG_WEIGHTS, 1, 3, w_dims, w_strides));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    if (bias >= 0)
        TN_TRY(onednn_bind(b, DNNL_ARG_BIAS, ONEDNN_INPUT, (uint32_t)bias, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    onednn_estimate(b, (double)m * (double)n * (double)k,
                    4.0 * ((double)m * (double)(n + k) + (double)n * (double)k));
    return TN_OK;
}

enum { AS_PRODUCT, AS_NARROW_PRODUCT, AS_POINTS, FEW_ROWS = 12 };

static bool worth_points(const tn_problem *p, const product *shape)
{
    const bool wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) ==
                      dnnl_cpu_isa_avx512_core;
    return !wide && p->constants[1] && shape->rank == 2 && shape->y[0] >= FEW_ROWS &&
           shape->y[1] >= 8 && shape->a[1] >= 8;
}

static tn_status build(onednn_builder *b, const void *form)
{
    const int32_t as = *(const int32_t *)form;
    product shape;
    if (strcmp(b->problem->node->op, "Gemm") == 0)
        read_gemm(b->problem, &shape);
    else
        TN_TRY(read_matmul(b, &shape));
    if (as != AS_POINTS)
        return build_product(b, &shape, as == AS_NARROW_PRODUCT);
    if (!worth_points(b->problem, &shape))
        return onednn_refuse(b, "a small product, or one of computed matrices");
    return build_points(b, &shape);
}

static tn_status matmul_measure(tn_measure *ctx, void *state)
{
    static const int32_t narrow = AS_NARROW_PRODUCT, wide = AS_PRODUCT, points = AS_POINTS;
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    if (onednn_narrows(ctx->problem))
        TN_TRY(onednn_try(&attempts, build, &narrow));
    TN_TRY(onednn_try(&attempts, build, &points));
    if (!attempts.state->count || onednn_narrows(ctx->problem))
        TN_TRY(onednn_try(&attempts, build, &wide));
    return onednn_measured(&attempts);
}

/* Vectors get an axis that the output lacks: its operands then line up only when whole. */
static tn_status matmul_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const bool vectors = p->inputs[0]->rank == 1 || p->inputs[1]->rank == 1;
    for (uint32_t k = 0; k < p->step_count; k++)
        if (vectors && p->steps[k].operand >= 0 && p->steps[k].spread > TN_SPREAD_SCALAR)
            return tn_fail(ctx, TN_DECLINED,
                           "an epilogue after a product with a vector takes "
                           "whole tensors and scalars");
    return onednn_offer(ctx, ONEDNN_STEPS | ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_matmul_kernels[] = {
    ONEDNN_KERNEL("MatMul", 1, matmul_offer, matmul_measure),
    ONEDNN_KERNEL("Gemm", 7, matmul_offer, matmul_measure),
    { .op = NULL },
};
