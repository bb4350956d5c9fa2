/* plugins/recognition/push_dequantize.c: DequantizeLinear moved behind what only moves elements, or takes the
 * largest of some (ONNX: DequantizeLinear, MaxPool).
 *
 *   Reshape(DequantizeLinear(q))   becomes   DequantizeLinear(Reshape(q))
 *
 * So the integers are moved, and a QuantizeLinear behind it finds the DequantizeLinear that it undoes, or a
 * product the one that it wants. Scales are positive, so the largest integer stands for the largest number.
 * A Relu or Clip that cuts off nothing of what 8 bits stand for goes. Exact: the same integers are multiplied
 * with the same scale.
 *
 * One scale for all, a constant that no run replaces. Done where the DequantizeLinear has no other reader, or
 * all readers behind are QuantizeLinear with the same scale: never more nodes than before.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { MOST_JOINED = 64 };

/* What is dequantized in front. */
typedef struct source {
    tn_node_id node;
    tn_value_id q, scale, zero;
    uint32_t dtype;
} source;

static tn_value_id operand(const tn_node_view *view, uint32_t k)
{
    return k < view->input_count ? view->inputs[k] : TN_NONE;
}

static double number_of(const tn_tensor *t)
{
    return t ? tn_get_double(t->dtype, t->data, 0) : 0.0;
}

/* Whether two optional constants of one element are the same number. */
static int same_number(const pattern *p, tn_value_id a, tn_value_id b)
{
    const tn_tensor *x = pattern_constant(p, a), *y = pattern_constant(p, b);
    return (a == TN_NONE || (x && tn_count(x) == 1)) && (b == TN_NONE || (y && tn_count(y) == 1)) &&
           number_of(x) == number_of(y);
}

static int read_source(const pattern *p, tn_value_id value, source *s)
{
    s->node = pattern_maker(p, value, "DequantizeLinear");
    const tn_node_view *view = s->node == TN_NONE ? NULL : pattern_node(p, s->node);
    if (!view)
        return 0;
    s->q = view->inputs[0];
    s->scale = operand(view, 1);
    s->zero = operand(view, 2);
    s->dtype = pattern_value(p, s->q)->type->dtype;
    const tn_tensor *scales = pattern_constant(p, s->scale);
    return (s->dtype == TN_INT8 || s->dtype == TN_UINT8) && quantized_scales_are_plain(scales) &&
           tn_count(scales) == 1 && scales->dtype == pattern_value(p, value)->type->dtype &&
           same_number(p, s->zero, s->zero) && !tn_attr_int(view, "block_size", 0);
}

/* ---- who reads ---------------------------------------------------------------------------- */

static int is_single(const pattern *p, tn_value_id value)
{
    const tn_value_view *view = pattern_value(p, value);
    return view->use_count == 1 && !view->output_count;
}

/* Whether all that reads y quantizes it as it was. */
static int goes_back(const pattern *p, const source *s)
{
    tn_node_id reader;
    uint32_t input;
    if (pattern_value(p, p->y)->output_count || !pattern_value(p, p->y)->use_count)
        return 0;
    for (uint32_t k = 0; p->ctx->api->use(p->ctx->graph, p->y, k, &reader, &input) == TN_OK; k++) {
        const tn_node_view *view = pattern_node(p, reader);
        if (!pattern_is(p, reader, "QuantizeLinear") || input != 0 ||
            !same_number(p, operand(view, 1), s->scale) ||
            !same_number(p, operand(view, 2), s->zero) ||
            pattern_value(p, view->outputs[0])->type->dtype != s->dtype)
            return 0;
    }
    return 1;
}

/* A constant is dequantized when it is folded: of use only where all of it is. */
static int is_worth_it(const pattern *p, const tn_node_view *view, const source *s)
{
    if (!pattern_constant(p, s->q))
        return 1;
    for (uint32_t k = 1; k < view->input_count; k++)
        if (view->inputs[k] != TN_NONE && !pattern_constant(p, view->inputs[k]))
            return 0;
    return 1;
}

/* ---- Relu and Clip ------------------------------------------------------------------------ */

/* Whether all that 8 bits can stand for lies within the bounds. */
static int cuts_nothing(pattern *p, const source *s)
{
    const tn_node_view *view = pattern_node(p, p->root);
    const double scale = number_of(pattern_constant(p, s->scale)),
                 zero = number_of(pattern_constant(p, s->zero)),
                 least = s->dtype == TN_INT8 ? -128.0 : 0.0;
    double low = pattern_is(p, p->root, "Relu") ? 0.0 : -INFINITY, high = INFINITY;
    if (operand(view, 1) != TN_NONE && !pattern_scalar(p, view->inputs[1], &low))
        return 0;
    if (operand(view, 2) != TN_NONE && !pattern_scalar(p, view->inputs[2], &high))
        return 0;
    return (float)((least - zero) * scale) >= (float)low &&
           (float)((least + 255.0 - zero) * scale) <= (float)high;
}

static tn_status drop(pattern *p, const source *s)
{
    if (!cuts_nothing(p, s))
        return pattern_miss(p);
    return pattern_finish(p, pattern_node(p, s->node)->outputs[0],
                          pattern_node(p, s->node)->outputs[0]);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

/* A MaxPool that also says where the largest were, or of an old version, stays. */
static int is_plain(const pattern *p, const tn_node_view *view)
{
    return !pattern_is(p, p->root, "MaxPool") ||
           (view->version >= 12 && (view->output_count < 2 || view->outputs[1] == TN_NONE));
}

static int find(pattern *p, source *sources, uint32_t *count)
{
    const tn_node_view *view = pattern_node(p, p->root);
    *count = pattern_is(p, p->root, "Concat") ? view->input_count : 1;
    int single = 1;
    if (*count > MOST_JOINED || !is_plain(p, view))
        return 0;
    for (uint32_t k = 0; k < *count; k++) {
        if (view->inputs[k] == TN_NONE || !read_source(p, view->inputs[k], &sources[k]))
            return 0;
        if (sources[k].dtype != sources[0].dtype ||
            !same_number(p, sources[k].scale, sources[0].scale) ||
            !same_number(p, sources[k].zero, sources[0].zero))
            return pattern_refuse(p, "what it joins has other scales or zero points");
        single = single && is_single(p, view->inputs[k]);
    }
    return is_worth_it(p, view, &sources[0]) &&
           (single || goes_back(p, &sources[0]) ||
            pattern_refuse(p, "what is dequantized is also read by others"));
}

static tn_status rewrite(pattern *p, const source *sources, uint32_t count)
{
    const tn_node_view *view = pattern_node(p, p->root);
    tn_value_id inputs[MOST_JOINED], moved, y;
    uint32_t input_count = view->input_count;
    for (uint32_t k = 0; k < input_count; k++)
        inputs[k] = k < count ? sources[k].q : view->inputs[k];
    TN_TRY(pattern_add(p, view->op, inputs, input_count, view->attributes, view->attribute_count,
                       &moved));
    const tn_value_id again[3] = { moved, sources[0].scale, sources[0].zero };
    TN_TRY(
        pattern_add(p, "DequantizeLinear", again, sources[0].zero == TN_NONE ? 2 : 3, NULL, 0, &y));
    for (uint32_t k = 0; k < count; k++)
        pattern_absorb(p, sources[k].node);
    return pattern_finish(p, y, moved);
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    pattern p;
    source sources[MOST_JOINED];
    uint32_t count;
    if (!pattern_begin(&p, ctx, node, "move"))
        return TN_NO_MATCH;
    if (pattern_is(&p, node, "Relu") || pattern_is(&p, node, "Clip"))
        return read_source(&p, pattern_node(&p, node)->inputs[0], sources) ? drop(&p, sources)
                                                                           : TN_NO_MATCH;
    return find(&p, sources, &count) ? rewrite(&p, sources, count) : pattern_miss(&p);
}

tn_status push_dequantize_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "Clip",    "Concat",    "DepthToSpace", "Expand",
                                         "Flatten", "Gather",    "MaxPool",      "Relu",
                                         "Reshape", "Slice",     "SpaceToDepth", "Squeeze",
                                         "Tile",    "Transpose", "Unsqueeze",    NULL };
    return registrar->add_pass(registrar,
                               &(tn_pass_def){ .size = sizeof(tn_pass_def),
                                               .phase = TN_PHASE_CLEAN,
                                               .order = 12,
                                               .exactness = TN_EXACT,
                                               .name = "push_dequantize",
                                               .doc = "DequantizeLinear behind what only moves "
                                                      "elements, so that integers are moved.",
                                               .roots = roots,
                                               .match = match });
}
