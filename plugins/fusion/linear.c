/* plugins/fusion/linear.c: reading Conv, ConvTranspose, Gemm and MatMul as one linear map.
 *
 * In: a node. Out: its weights, its bias and which channels each weight ties together.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <inttypes.h>
#include <stdio.h>

typedef enum kind { NOT_LINEAR, CONV, CONV_TRANSPOSE, GEMM, MATMUL } kind;

static kind kind_of(const tn_node_view *view)
{
    static const char *const names[] = { "", "Conv", "ConvTranspose", "Gemm", "MatMul" };
    for (int k = CONV; k <= MATMUL && !*view->domain; k++)
        if (strcmp(view->op, names[k]) == 0)
            return (kind)k;
    return NOT_LINEAR;
}

int linear_is(const tn_node_view *view)
{
    return kind_of(view) != NOT_LINEAR;
}

/* ---- constants and readers ---------------------------------------------------------------- */

const tn_tensor *fusion_constant(tn_rewrite *ctx, tn_value_id value, const char *what,
                                 char why[WHY_BYTES])
{
    const tn_value_view *view = value == TN_NONE ? NULL : ctx->api->value(ctx->graph, value);
    if (view && view->constant && !view->is_input)
        return view->constant;
    if (!view)
        snprintf(why, WHY_BYTES, "%s is absent", what);
    else
        snprintf(why, WHY_BYTES, "%s '%.80s' is %s", what, view->name,
                 view->constant ? "an input with a default, which a run may replace"
                                : "no constant");
    return NULL;
}

int fusion_is_single(tn_rewrite *ctx, tn_value_id value, tn_node_id reader, const char *what,
                     char why[WHY_BYTES])
{
    const tn_value_view *view = ctx->api->value(ctx->graph, value);
    tn_node_id other;
    uint32_t input;
    if (view->use_count == 1 && !view->output_count)
        return 1;
    if (view->output_count) {
        snprintf(why, WHY_BYTES, "%s is also an output of the graph or of a body", what);
        return 0;
    }
    for (uint32_t k = 0; ctx->api->use(ctx->graph, value, k, &other, &input) == TN_OK; k++)
        if (other != reader) {
            snprintf(why, WHY_BYTES, "%s is also read by %.80s", what,
                     ctx->api->node(ctx->graph, other)->name);
            return 0;
        }
    snprintf(why, WHY_BYTES, "%s is read twice", what);
    return 0;
}

tn_status fusion_add_constant(tn_rewrite *ctx, tn_region_id region, const tn_tensor *tensor,
                              const char *name, const char *by, tn_value_id *out)
{
    char text[224];
    tn_constant_desc desc = {
        .size = sizeof desc, .region = region, .name = text, .tensor = tensor, .value = TN_NONE
    };
    tn_status status;
    snprintf(text, sizeof text, "%.100s/%.100s", name, by);
    status = ctx->api->add_constant(ctx->graph, &desc, out);
    if (status != TN_ERR_DUPLICATE)
        return status;
    desc.name = NULL;
    return ctx->api->add_constant(ctx->graph, &desc, out);
}

/* ---- the operators ------------------------------------------------------------------------ */

static int all_zero(const int64_t *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (values[k])
            return 0;
    return 1;
}

static tn_status read_conv(const tn_node_view *view, linear *out)
{
    const char *auto_pad = tn_attr_string(view, "auto_pad", "NOTSET");
    const int64_t *pads;
    const size_t count = tn_attr_ints(view, "pads", &pads);
    const int explicit_pads = strcmp(auto_pad, "NOTSET") == 0;
    out->group = tn_attr_int(view, "group", 1);
    if (out->weights->rank < 3 || out->group < 1 || out->a % out->group)
        return TN_NO_MATCH; /* the operator's own inference complains */
    out->out_first = 1;
    out->outs = out->a;
    out->ins = out->b * out->group;
    out->borders = !(strcmp(auto_pad, "VALID") == 0 || (explicit_pads && all_zero(pads, count)));
    return TN_OK;
}

static tn_status read_conv_transpose(const tn_node_view *view, linear *out)
{
    out->group = tn_attr_int(view, "group", 1);
    if (out->weights->rank < 3 || out->group < 1 || out->a % out->group)
        return TN_NO_MATCH;
    out->outs = out->b * out->group;
    out->ins = out->a;
    out->borders = 1; /* with strides, at the edges, with output_padding: sums of different taps */
    return TN_OK;
}

static tn_status read_gemm(const tn_node_view *view, linear *out)
{
    if (out->weights->rank != 2)
        return TN_NO_MATCH;
    out->is_matrix = 1;
    out->out_first = tn_attr_int(view, "transB", 0) != 0;
    out->turned = tn_attr_int(view, "transA", 0) != 0;
    out->alpha = (double)tn_attr_float(view, "alpha", 1.0f);
    out->beta = (double)tn_attr_float(view, "beta", 1.0f);
    out->outs = out->out_first ? out->a : out->b;
    out->ins = out->out_first ? out->b : out->a;
    return TN_OK;
}

static tn_status read_matmul(tn_rewrite *ctx, const tn_node_view *view, linear *out,
                             char why[WHY_BYTES])
{
    const tn_value_view *a = ctx->api->value(ctx->graph, view->inputs[0]);
    if (out->weights->rank != 2 || a->type->rank < 2) {
        snprintf(why, WHY_BYTES, "MatMul's inputs are not both known to be matrices");
        return TN_NO_MATCH;
    }
    out->any_rank = a->type->rank != 2;
    out->is_matrix = 1;
    out->outs = out->b;
    out->ins = out->a;
    return TN_OK;
}

static tn_status read_bias(tn_rewrite *ctx, const tn_node_view *view, linear *out,
                           char why[WHY_BYTES])
{
    const tn_tensor *bias;
    out->bias_rows = 1;
    if (view->input_count < 3 || view->inputs[2] == TN_NONE)
        return TN_OK;
    bias = fusion_constant(ctx, view->inputs[2], out->is_matrix ? "C" : "the bias", why);
    if (!bias)
        return TN_NO_MATCH;
    if (bias->dtype != out->weights->dtype || bias->rank > 2 ||
        (!out->is_matrix && (bias->rank != 1 || bias->dims[0] != out->outs)))
        return TN_NO_MATCH;
    if (bias->rank && bias->dims[bias->rank - 1] != 1 && bias->dims[bias->rank - 1] != out->outs)
        return TN_NO_MATCH;
    out->bias_rows = bias->rank == 2 ? bias->dims[0] : 1;
    out->bias = bias;
    return TN_OK;
}

tn_status linear_read(tn_rewrite *ctx, tn_node_id node, linear *out, char why[WHY_BYTES])
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const kind what = kind_of(view);
    tn_status status = TN_NO_MATCH;
    *out = (linear){
        .id = node, .region = view->region, .alpha = 1, .beta = 1, .group = 1, .inner = 1
    };
    out->op = what == CONV             ? "Conv"
              : what == CONV_TRANSPOSE ? "ConvTranspose"
              : what == GEMM           ? "Gemm"
                                       : "MatMul";
    snprintf(out->name, sizeof out->name, "%s", view->name);
    if (what == NOT_LINEAR || view->input_count < 2 || view->inputs[0] == TN_NONE)
        return TN_NO_MATCH;
    out->weights = fusion_constant(ctx, view->inputs[1],
                                   what == CONV || what == CONV_TRANSPOSE ? "W" : "B", why);
    if (!out->weights || out->weights->rank < 2 || !(TN_BIT(out->weights->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    snprintf(out->weights_name, sizeof out->weights_name, "%s",
             ctx->api->value(ctx->graph, view->inputs[1])->name);
    out->a = out->weights->dims[0];
    out->b = out->weights->dims[1];
    out->inner = tn_extent(out->weights->dims, 2, out->weights->rank);
    switch (what) {
    case CONV: status = read_conv(view, out); break;
    case CONV_TRANSPOSE: status = read_conv_transpose(view, out); break;
    case GEMM: status = read_gemm(view, out); break;
    default: status = read_matmul(ctx, view, out, why); break;
    }
    if (status != TN_OK || tn_count(out->weights) == 0)
        return TN_NO_MATCH;
    return read_bias(ctx, view, out, why);
}

/* ---- channels ----------------------------------------------------------------------------- */

/* The one that b counts: within its group, plus where the group begins. */
static int64_t second(const linear *l, int64_t a, int64_t b)
{
    return l->group == 1 ? b : a / (l->a / l->group) * l->b + b;
}

int64_t linear_out(const linear *l, int64_t a, int64_t b)
{
    return l->out_first ? a : second(l, a, b);
}
int64_t linear_in(const linear *l, int64_t a, int64_t b)
{
    return l->out_first ? second(l, a, b) : a;
}
