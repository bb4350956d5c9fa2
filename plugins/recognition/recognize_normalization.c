/* plugins/recognition/recognize_normalization.c: LayerNormalization (ONNX: LayerNormalization, 17)
 * and RMSNormalization (ONNX: RMSNormalization, 23) that were written out.
 *
 *   d = x - ReduceMean(x)                                   for RMSNormalization d is x itself
 *   n = d / Sqrt(ReduceMean(d^2) + epsilon)                 or written otherwise, see moments.c
 *   y = n * scale + bias                                    as far as there are such
 *
 * over the last axes, d^2 as Pow or Mul. Scale and bias are values of exactly the normalized
 * extents; where there is none, a scale of ones is made. Two passes share the search.
 *
 * Rounds less. An infinity or NaN in a row makes the same elements of it NaN either way. Squares
 * that overflow (x above 1e19 in float32) give zeros when written out, numbers in the operator.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

#include <stdlib.h>

typedef struct norm {
    moments of;
    tn_value_id scale, bias;
} norm;

/* ---- down: scale and bias ------------------------------------------------------------------ */

/* Whether a value has exactly the normalized extents. */
static int is_normalized(const pattern *p, const norm *n, tn_value_id value)
{
    const tn_type *x = pattern_value(p, n->of.x)->type,
                  *type = value == TN_NONE ? NULL : pattern_value(p, value)->type;
    if (!type || type->dtype != x->dtype || type->rank != x->rank - n->of.axis)
        return 0;
    for (int32_t a = 0; a < type->rank; a++)
        if (type->dims[a] != x->dims[n->of.axis + a] || type->dims[a] == TN_DIM_UNKNOWN)
            return 0;
    return 1;
}

/* The other operand of the node `op` that alone reads y, if it has the normalized extents. */
static tn_value_id follow_vector(pattern *p, const norm *n, const char *op)
{
    const tn_node_id reader = pattern_reader(p, p->y, op);
    const tn_value_id other = reader == TN_NONE ? TN_NONE : pattern_other(p, reader, p->y, NULL);
    p->why[0] = 0; /* that it does not go on is fine */
    return is_normalized(p, n, other) && pattern_follow(p, reader) ? other : TN_NONE;
}

static int find(pattern *p, norm *n)
{
    *n = (norm){ .scale = TN_NONE, .bias = TN_NONE };
    if (!pattern_moments(p, strcmp(p->wanted, "LayerNormalization") == 0, &n->of))
        return 0;
    n->scale = n->of.scale;
    n->bias = n->of.bias;
    if ((n->scale != TN_NONE && !is_normalized(p, n, n->scale)) ||
        (n->bias != TN_NONE && !is_normalized(p, n, n->bias)))
        return pattern_refuse(p, "scale or bias have not the normalized extents");
    if (n->scale == TN_NONE && n->bias == TN_NONE)
        n->scale = follow_vector(p, n, "Mul");
    if (n->of.centred && n->bias == TN_NONE)
        n->bias = follow_vector(p, n, "Add");
    return pattern_float(p, pattern_value(p, n->of.x)->type->dtype, "epsilon", n->of.epsilon);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status fill(pattern *p, tn_tensor *tensor, int64_t count, tn_value_id *out)
{
    const size_t bytes = tn_dtype_bytes(tensor->dtype, count);
    void *data = malloc(bytes + 1);
    tn_status status;
    if (!data)
        return tn_fail(p->ctx, TN_ERR_MEMORY, "no memory for a scale of ones");
    for (int64_t k = 0; k < count; k++)
        tn_set_float(tensor->dtype, data, k, 1.0);
    tensor->data = data;
    tensor->bytes = bytes;
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = p->region, .tensor = tensor, .value = TN_NONE
    };
    status = p->ctx->api->add_constant(p->ctx->graph, &desc, out);
    free(data);
    return status;
}

/* A scale of ones, where none is written: the operator wants one. */
static tn_status make_ones(pattern *p, norm *n)
{
    const tn_type *x = pattern_value(p, n->of.x)->type;
    const int64_t most = 1 << 24;
    tn_tensor tensor = { .size = sizeof tensor,
                         .dtype = x->dtype,
                         .rank = x->rank - (int32_t)n->of.axis,
                         .dims = x->dims + n->of.axis };
    int64_t count = 1;
    for (int32_t a = 0; a < tensor.rank; a++) {
        if (!tn_dim_known(tensor.dims[a]) || tensor.dims[a] > most / (count ? count : 1)) {
            pattern_refuse(p, "it has no scale, and the normalized extents are not known");
            return pattern_miss(p);
        }
        count *= tensor.dims[a];
    }
    return fill(p, &tensor, count, &n->scale);
}

static tn_status rewrite(pattern *p, norm *n)
{
    const tn_attribute attributes[] = { { .size = sizeof *attributes,
                                          .type = TN_ATTR_INT,
                                          .name = "axis",
                                          .i = n->of.axis - pattern_value(p, n->of.x)->type->rank },
                                        { .size = sizeof *attributes,
                                          .type = TN_ATTR_FLOAT,
                                          .name = "epsilon",
                                          .f = (double)(float)n->of.epsilon } };
    if (!(TN_BIT(pattern_value(p, n->of.x)->type->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    if (n->scale == TN_NONE)
        TN_TRY(make_ones(p, n));
    const tn_value_id inputs[] = { n->of.x, n->scale, n->bias };
    return pattern_replace(p, inputs, n->bias == TN_NONE ? 2 : 3, attributes, 2);
}

static tn_status recognize(tn_rewrite *ctx, tn_node_id node, const char *wanted)
{
    pattern p;
    norm n;
    if (!pattern_begin(&p, ctx, node, wanted) || !find(&p, &n))
        return pattern_miss(&p);
    return rewrite(&p, &n);
}

static tn_status match_layer(tn_rewrite *ctx, tn_node_id node)
{
    return recognize(ctx, node, "LayerNormalization");
}
static tn_status match_rms(tn_rewrite *ctx, tn_node_id node)
{
    return recognize(ctx, node, "RMSNormalization");
}

tn_status recognize_normalization_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Sqrt", "Pow", NULL };
    tn_pass_def pass = { .size = sizeof pass,
                         .phase = TN_PHASE_RECOGNIZE,
                         .order = 30,
                         .exactness = TN_EXACT_ROUNDING,
                         .name = "recognize_layer_normalization",
                         .doc = "The difference to the mean by the root of its mean square as one "
                                "LayerNormalization, with scale and bias.",
                         .roots = roots,
                         .match = match_layer };
    TN_TRY(registrar->add_pass(registrar, &pass));
    pass.order = 31;
    pass.name = "recognize_rms_normalization";
    pass.doc = "A value by the root of its mean square as one RMSNormalization, with scale.";
    pass.match = match_rms;
    return registrar->add_pass(registrar, &pass);
}
