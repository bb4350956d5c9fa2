/* plugins/recognition/drop_requantize.c: QuantizeLinear of a DequantizeLinear with the same scale and
 * zero point is what was there before (ONNX: QuantizeLinear, DequantizeLinear).
 *
 *   round(((q - z) s) / s) + z = q
 *
 * since the quotient is within two roundings of the integer q - z, of at most 9 bits, and float32 and
 * float64 have 24 and more. So: 8 bits, constant scales, such that no product leaves the normal
 * numbers, one for all or one for each place of one axis on both sides. Exact.
 *
 * The other order, DequantizeLinear of QuantizeLinear, rounds, and is left.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdio.h>

static tn_value_id operand(const tn_node_view *view, uint32_t k)
{
    return k < view->input_count ? view->inputs[k] : TN_NONE;
}

static int same_constant(const pattern *p, tn_value_id a, tn_value_id b)
{
    const tn_tensor *x = pattern_constant(p, a), *y = pattern_constant(p, b);
    if (a == TN_NONE && b == TN_NONE)
        return 1;
    return x && y && x->dtype == y->dtype && x->rank == y->rank && tn_count(x) == tn_count(y) &&
           (x->rank == 0 || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) == 0) &&
           memcmp(x->data, y->data, tn_dtype_bytes(x->dtype, tn_count(x))) == 0;
}

static int same_attributes(const tn_node_view *a, const tn_node_view *b, int one_scale)
{
    return tn_attr_int(a, "block_size", 0) == 0 && tn_attr_int(b, "block_size", 0) == 0 &&
           tn_attr_int(a, "precision", 0) == 0 &&
           (one_scale || tn_attr_int(a, "axis", 1) == tn_attr_int(b, "axis", 1));
}

static int find(pattern *p, tn_node_id *maker, tn_value_id *q)
{
    const tn_node_view *quantize = pattern_node(p, p->root);
    const tn_node_id before = pattern_maker(p, quantize->inputs[0], "DequantizeLinear");
    if (before == TN_NONE)
        return 0;
    *maker = before;
    const tn_node_view *dequantize = pattern_node(p, before);
    const tn_value_id scale = operand(dequantize, 1);
    const tn_tensor *scales = pattern_constant(p, scale);
    *q = dequantize->inputs[0];
    const uint32_t from = pattern_value(p, *q)->type->dtype,
                   to = pattern_value(p, p->y)->type->dtype;
    if (from != to || (from != TN_INT8 && from != TN_UINT8))
        return pattern_refuse(p, "it is of another type, or not of 8 bits");
    if (!same_constant(p, scale, operand(quantize, 1)) ||
        !same_constant(p, operand(dequantize, 2), operand(quantize, 2)) ||
        !quantized_scales_are_plain(scales) ||
        pattern_value(p, quantize->inputs[0])->type->dtype != scales->dtype ||
        !same_attributes(quantize, dequantize, scales && tn_count(scales) == 1))
        return pattern_refuse(p, "scale or zero point are not the same constants");
    return 1;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    tn_node_id maker;
    tn_value_id q;
    char name[96];
    if (!pattern_begin(&p, ctx, node, "return") || !find(&p, &maker, &q))
        return pattern_miss(&p);
    snprintf(name, sizeof name, "%s", pattern_node(&p, node)->name);
    TN_TRY(ctx->api->replace(ctx->graph, p.y, q));
    TN_TRY(ctx->api->remove_node(ctx->graph, node));
    const tn_value_view *middle = pattern_value(&p, pattern_node(&p, maker)->outputs[0]);
    if (!middle->use_count && !middle->output_count)
        TN_TRY(ctx->api->remove_node(ctx->graph, maker));
    return tn_fail(ctx, TN_OK, "%s gives what was there before it was dequantized", name);
}

tn_status drop_requantize_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "QuantizeLinear", NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_RECOGNIZE,
                                               .order = 70,
                                               .exactness = TN_EXACT,
                                               .name = "drop_requantize",
                                               .doc = "QuantizeLinear of a DequantizeLinear with "
                                                      "the same scale and zero point.",
                                               .roots = roots,
                                               .match = match });
}
