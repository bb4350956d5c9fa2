/* plugins/recognition/recognize_normalization.c: LayerNormalization (ONNX: LayerNormalization, 17)
 * and RMSNormalization (ONNX: RMSNormalization, 23) that were written out.
 *
 *   d = x - ReduceMean(x)                                   for RMSNormalization d is x itself
 *   n = d / Sqrt(ReduceMean(d^2) + epsilon)                 or times 1 / Sqrt, Reciprocal
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
    tn_value_id x, scale, bias;
    int64_t axis;
    double epsilon;
    int centred; /* LayerNormalization */
} norm;

/* ---- up: what is under the root ----------------------------------------------------------- */

/* The node that takes the mean over the last axes, kept as extents of 1: of what, from which axis. */
static int read_mean(pattern *p, tn_value_id value, tn_value_id *of, int64_t *axis)
{
    const tn_node_id node = pattern_maker(p, value, "ReduceMean");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    uint32_t seen = 0;
    if (!view || view->input_count < 2 || view->inputs[1] == TN_NONE)
        return 0;
    const int32_t rank = pattern_value(p, view->inputs[0])->type->rank;
    const tn_value_view *axes = pattern_value(p, view->inputs[1]);
    if (rank < 1)
        return pattern_refuse(p, "the rank of what ReduceMean reads is not known");
    if (!axes->constant || axes->is_input || axes->constant->dtype != TN_INT64)
        return pattern_refuse(p, "ReduceMean's axes are no constant");
    const int64_t count = tn_count(axes->constant);
    for (int64_t k = 0; k < count; k++) {
        const int32_t a = tn_axis(((const int64_t *)axes->constant->data)[k], rank);
        seen |= a < 0 ? 0u : 1u << a;
    }
    *axis = rank - count;
    for (int32_t a = 0; a < rank; a++)
        if ((seen >> a & 1u) != (a >= *axis))
            return pattern_refuse(p, "ReduceMean's axes are not the last ones");
    if (!count || !tn_attr_int(view, "keepdims", 1))
        return pattern_refuse(p, "ReduceMean drops the axes");
    *of = view->inputs[0];
    return pattern_take(p, node);
}

/* What is squared. */
static tn_value_id read_square(pattern *p, tn_value_id value)
{
    const tn_node_id product = pattern_maker(p, value, "Mul"),
                     power = pattern_maker(p, value, "Pow");
    const tn_node_id node = product != TN_NONE ? product : power;
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    double two;
    if (!view || view->input_count != 2 || !pattern_take(p, node))
        return TN_NONE;
    if (product != TN_NONE)
        return view->inputs[0] == view->inputs[1] ? view->inputs[0] : TN_NONE;
    return pattern_scalar(p, view->inputs[1], &two) && two == 2.0 ? view->inputs[0] : TN_NONE;
}

/* Whether d is x minus its mean over the same axes. */
static int is_centred(pattern *p, tn_value_id d, norm *n)
{
    const tn_node_id node = pattern_maker(p, d, "Sub");
    const tn_node_view *view = node == TN_NONE ? NULL : pattern_node(p, node);
    const uint32_t count = p->count;
    tn_value_id of;
    int64_t axis;
    if (view && pattern_take(p, node) && read_mean(p, view->inputs[1], &of, &axis) &&
        of == view->inputs[0] && axis == n->axis) {
        n->x = of;
        return 1;
    }
    p->count = count;
    p->why[0] = 0;
    return 0;
}

static tn_value_id read_variance(pattern *p, norm *n)
{
    const tn_node_id sum = pattern_maker(p, pattern_node(p, p->root)->inputs[0], "Add");
    const tn_node_view *view = sum == TN_NONE ? NULL : pattern_node(p, sum);
    tn_value_id squares;
    if (!view || !pattern_take(p, sum))
        return TN_NONE;
    const int side = pattern_scalar(p, view->inputs[0], &n->epsilon) ? 0 : 1;
    if (!pattern_scalar(p, view->inputs[side], &n->epsilon) ||
        !read_mean(p, view->inputs[!side], &squares, &n->axis))
        return TN_NONE;
    return read_square(p, squares);
}

/* ---- down: what is made of the root ------------------------------------------------------- */

/* From Sqrt on to d divided by it. */
static int follow_quotient(pattern *p, tn_value_id d)
{
    tn_node_id reader = pattern_reader(p, p->y, "Div");
    int first = 1;
    double one;
    const tn_value_id over = reader == TN_NONE ? TN_NONE : pattern_other(p, reader, p->y, &first);
    if (over != TN_NONE && over == d && !first)
        return pattern_follow(p, reader);
    if (reader == TN_NONE)
        reader = pattern_reader(p, p->y, "Reciprocal");
    else if (first || !pattern_scalar(p, over, &one) || one != 1.0)
        return 0;
    if (reader == TN_NONE || !pattern_follow(p, reader))
        return 0;
    reader = pattern_reader(p, p->y, "Mul");
    return reader != TN_NONE && pattern_other(p, reader, p->y, NULL) == d &&
           pattern_follow(p, reader);
}

/* Whether a value has exactly the normalized extents. */
static int is_normalized(const pattern *p, const norm *n, tn_value_id value)
{
    const tn_type *x = pattern_value(p, n->x)->type,
                  *type = value == TN_NONE ? NULL : pattern_value(p, value)->type;
    if (!type || type->dtype != x->dtype || type->rank != x->rank - n->axis)
        return 0;
    for (int32_t a = 0; a < type->rank; a++)
        if (type->dims[a] != x->dims[n->axis + a] || type->dims[a] == TN_DIM_UNKNOWN)
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
    const tn_value_id d = read_variance(p, n);
    if (d == TN_NONE)
        return 0;
    n->x = d;
    n->centred = is_centred(p, d, n);
    const int wants_centred = strcmp(p->wanted, "LayerNormalization") == 0;
    if (n->centred != wants_centred || !follow_quotient(p, d))
        return 0;
    if (!(n->epsilon >= 0.0))
        return pattern_refuse(p, "epsilon is %g", n->epsilon);
    n->scale = follow_vector(p, n, "Mul");
    if (n->centred)
        n->bias = follow_vector(p, n, "Add");
    return pattern_float(p, pattern_value(p, n->x)->type->dtype, "epsilon", n->epsilon);
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
    const tn_type *x = pattern_value(p, n->x)->type;
    const int64_t most = 1 << 24;
    tn_tensor tensor = { .size = sizeof tensor,
                         .dtype = x->dtype,
                         .rank = x->rank - (int32_t)n->axis,
                         .dims = x->dims + n->axis };
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
                                          .i = n->axis - pattern_value(p, n->x)->type->rank },
                                        { .size = sizeof *attributes,
                                          .type = TN_ATTR_FLOAT,
                                          .name = "epsilon",
                                          .f = (double)(float)n->epsilon } };
    if (!(TN_BIT(pattern_value(p, n->x)->type->dtype) & TN_MASK_FLOAT))
        return TN_NO_MATCH;
    if (n->scale == TN_NONE)
        TN_TRY(make_ones(p, n));
    const tn_value_id inputs[] = { n->x, n->scale, n->bias };
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
    static const char *const roots[] = { "Sqrt", NULL };
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
