/* plugins/motion/turn.c: which operators compute on turned values what they compute on plain ones.
 *
 * A turned value is one whose axes stand in another order. Elementwise operators do not care (ONNX:
 * Broadcasting in ONNX), if all their operands are turned alike; others name axes, by an attribute or
 * by a constant vector, and these are renamed (turn_apply.c). In: a node and how its data are turned. Out:
 * how its outputs follow.
 *
 * SPDX-License-Identifier: MIT */
#include "turn.h"

/* ---- the operators -------------------------------------------------------------------------- */

static const turn_rule rules[] = {
    { "Abs", FIRST, 1 },
    { "Acos", FIRST, 1 },
    { "Acosh", FIRST, 1 },
    { "Add", ELEMENTS, 7 },
    { "And", ELEMENTS, 7 },
    { "ArgMax", PICK, 1 },
    { "ArgMin", PICK, 1 },
    { "Asin", FIRST, 1 },
    { "Asinh", FIRST, 1 },
    { "Atan", FIRST, 1 },
    { "Atanh", FIRST, 1 },
    { "BitShift", ELEMENTS, 7 },
    { "BitwiseAnd", ELEMENTS, 7 },
    { "BitwiseNot", FIRST, 1 },
    { "BitwiseOr", ELEMENTS, 7 },
    { "BitwiseXor", ELEMENTS, 7 },
    { "Cast", FIRST, 1 },
    { "CastLike", FIRST, 1 },
    { "Ceil", FIRST, 1 },
    { "Celu", FIRST, 1 },
    { "Clip", FIRST, 1 },
    { "Concat", JOIN, 4 },
    { "Cos", FIRST, 1 },
    { "Cosh", FIRST, 1 },
    { "DequantizeLinear", GRAINS, 10 },
    { "Div", ELEMENTS, 7 },
    { "Elu", FIRST, 1 },
    { "Equal", ELEMENTS, 7 },
    { "Erf", FIRST, 1 },
    { "Exp", FIRST, 1 },
    { "Expand", SPREAD, 8 },
    { "Floor", FIRST, 1 },
    { "Gather", GATHER, 1 },
    { "Gelu", FIRST, 1 },
    { "Greater", ELEMENTS, 7 },
    { "GreaterOrEqual", ELEMENTS, 7 },
    { "HardSigmoid", FIRST, 1 },
    { "HardSwish", FIRST, 1 },
    { "Hardmax", AXIS, 13 },
    { "Identity", FIRST, 1 },
    { "IsInf", FIRST, 1 },
    { "IsNaN", FIRST, 1 },
    { "LayerNormalization", ROWS, 17 },
    { "LeakyRelu", FIRST, 1 },
    { "Less", ELEMENTS, 7 },
    { "LessOrEqual", ELEMENTS, 7 },
    { "Log", FIRST, 1 },
    { "LogSoftmax", AXIS, 13 },
    { "LpNormalization", AXIS, 1 },
    { "MatMul", ROWS, 1 },
    { "Max", ELEMENTS, 8 },
    { "Mean", ELEMENTS, 8 },
    { "Min", ELEMENTS, 8 },
    { "Mish", FIRST, 1 },
    { "Mod", ELEMENTS, 7 },
    { "Mul", ELEMENTS, 7 },
    { "Neg", FIRST, 1 },
    { "Not", FIRST, 1 },
    { "Or", ELEMENTS, 7 },
    { "PRelu", ELEMENTS, 7 },
    { "Pad", PAD, 11 },
    { "Pow", ELEMENTS, 7 },
    { "QuantizeLinear", GRAINS, 10 },
    { "RMSNormalization", ROWS, 23 },
    { "Reciprocal", FIRST, 1 },
    { "ReduceL1", REDUCE, 18 },
    { "ReduceL2", REDUCE, 18 },
    { "ReduceLogSum", REDUCE, 18 },
    { "ReduceLogSumExp", REDUCE, 18 },
    { "ReduceMax", REDUCE, 18 },
    { "ReduceMean", REDUCE, 18 },
    { "ReduceMin", REDUCE, 18 },
    { "ReduceSum", REDUCE, 13 },
    { "ReduceSumSquare", REDUCE, 18 },
    { "Relu", FIRST, 1 },
    { "Resize", RESIZE, 13 },
    { "Round", FIRST, 1 },
    { "Selu", FIRST, 1 },
    { "Shrink", FIRST, 1 },
    { "Sigmoid", FIRST, 1 },
    { "Sign", FIRST, 1 },
    { "Sin", FIRST, 1 },
    { "Sinh", FIRST, 1 },
    { "Slice", SLICE, 10 },
    { "Softmax", AXIS, 13 },
    { "Softplus", FIRST, 1 },
    { "Softsign", FIRST, 1 },
    { "Split", AXIS, 2 },
    { "Sqrt", FIRST, 1 },
    { "Squeeze", SQUEEZE, 13 },
    { "Sub", ELEMENTS, 7 },
    { "Sum", ELEMENTS, 8 },
    { "Swish", FIRST, 1 },
    { "Tan", FIRST, 1 },
    { "Tanh", FIRST, 1 },
    { "ThresholdedRelu", FIRST, 1 },
    { "Tile", SPREAD, 6 },
    { "TopK", AXIS, 10 },
    { "Unsqueeze", UNSQUEEZE, 13 },
    { "Where", ELEMENTS, 9 },
    { "Xor", ELEMENTS, 7 },
};

const turn_rule *turn_rule_of(const tn_node_view *view)
{
    size_t low = 0, high = sizeof rules / sizeof *rules;
    while (low < high && !*view->domain) {
        const size_t middle = (low + high) / 2;
        const int order = strcmp(view->op, rules[middle].op);
        if (order == 0)
            return view->version >= rules[middle].since ? &rules[middle] : NULL;
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return NULL;
}

turn_care turn_cares(const tn_node_view *view)
{
    const turn_rule *rule = turn_rule_of(view);
    if (!rule || rule->kind == GRAINS || motion_is(view, "CastLike"))
        return TURN_CARES;
    if (rule->kind == ROWS)
        return motion_is(view, "MatMul") || tn_attr_int(view, "axis", -1) == -1 ? TURN_CARES_LAST
                                                                                : TURN_CARES;
    if (rule->kind == AXIS && (motion_is(view, "Softmax") || motion_is(view, "LogSoftmax")))
        return tn_attr_int(view, "axis", -1) == -1 ? TURN_CARES_LAST : TURN_CARES;
    return rule->kind == ELEMENTS ? TURN_BROADCASTS
           : rule->kind == FIRST  ? TURN_CARES_NONE
                                  : TURN_CARES;
}

/* ---- inputs --------------------------------------------------------------------------------- */

static int is_one_element(const tn_type *type)
{
    for (int32_t a = 0; a < type->rank; a++)
        if (type->dims[a] != 1)
            return 0;
    return type->rank >= 0;
}

/* Whether a constant can be turned here. */
static int can_turn(const tn_tensor *t)
{
    return t->dtype != TN_STRING && tn_dtype_bits(t->dtype) >= 8;
}

turn_role turn_role_of(tn_rewrite *ctx, const tn_node_view *view, uint32_t k)
{
    const turn_rule *rule = turn_rule_of(view);
    const tn_value_id value = motion_input(view, k);
    const tn_tensor *constant = motion_constant(ctx, value);
    if (value == TN_NONE || !rule)
        return TURN_KEEP;
    if (rule->kind == ELEMENTS)
        return is_one_element(motion_type(ctx, value)) ? TURN_KEEP
               : constant && can_turn(constant)        ? TURN_CONSTANT
                                                       : TURN_DATA;
    if (rule->kind == JOIN)
        return constant && can_turn(constant) ? TURN_CONSTANT : TURN_DATA;
    return k == 0 ? TURN_DATA : TURN_KEEP;
}

/* Axes of a constant vector as bits; rank 0: none there. 0: not known. */
static int axes_of(tn_rewrite *ctx, const tn_node_view *view, uint32_t k, int32_t rank,
                   uint32_t *out)
{
    int64_t axes[2 * TN_MAX_RANK];
    const int32_t count = motion_integers(ctx, motion_input(view, k), axes);
    *out = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t a = tn_axis(axes[i], rank);
        if (a < 0)
            return 0;
        *out |= 1u << a;
    }
    return count >= 0;
}

/* ---- may it? -------------------------------------------------------------------------------- */

typedef struct question {
    tn_rewrite *ctx;
    const tn_node_view *view;
    const turn *in;
    turn *out;
    int *alike;
    const char **why;
} question;

static int refuse(const question *q, const char *why)
{
    *q->why = why;
    return 0;
}

static int admit_elements(const question *q)
{
    const tn_type *y = motion_type(q->ctx, q->view->outputs[0]);
    if (y->rank != q->in->rank)
        return refuse(q, "it raises the rank");
    for (uint32_t k = 0; k < q->view->input_count; k++) {
        if (q->view->inputs[k] == TN_NONE)
            continue;
        const tn_type *x = motion_type(q->ctx, q->view->inputs[k]);
        if (turn_role_of(q->ctx, q->view, k) == TURN_DATA && x->rank != y->rank)
            return refuse(q, "an operand has another rank, or one that is not known");
    }
    return 1;
}

static int admit_axis(const question *q)
{
    return tn_axis(tn_attr_int(q->view, "axis", -1), q->in->rank) >= 0;
}

static int admit_join(const question *q)
{
    for (uint32_t k = 0; k < q->view->input_count; k++)
        if (q->view->inputs[k] == TN_NONE ||
            motion_type(q->ctx, q->view->inputs[k])->rank != q->in->rank)
            return refuse(q, "the rank of an input is not known");
    return admit_axis(q);
}

static int admit_grains(const question *q)
{
    const tn_value_id scale = motion_input(q->view, 1);
    if (scale == TN_NONE || motion_type(q->ctx, scale)->rank < 0 ||
        motion_type(q->ctx, scale)->rank > 1)
        return refuse(q, "its scales are of more than one axis");
    return motion_type(q->ctx, scale)->rank == 0 || admit_axis(q);
}

static int admit_rows(const question *q)
{
    const int32_t last = q->in->rank - 1;
    if (last < 1 || q->in->axes[last] != last)
        return refuse(q, "it works on the last axis, which moves");
    if (motion_is(q->view, "MatMul")) {
        const tn_value_id w = motion_input(q->view, 1);
        return w != TN_NONE && motion_type(q->ctx, w)->rank == 2;
    }
    for (uint32_t k = 1; k < q->view->input_count; k++)
        if (q->view->inputs[k] != TN_NONE && motion_type(q->ctx, q->view->inputs[k])->rank != 1)
            return refuse(q, "its scale or bias has other axes than the last");
    if (q->view->output_count > 1)
        return refuse(q, "it has more than one output");
    return tn_axis(tn_attr_int(q->view, "axis", -1), q->in->rank) == last;
}

static int admit_pick(const question *q)
{
    const int32_t axis = tn_axis(tn_attr_int(q->view, "axis", 0), q->in->rank);
    if (axis < 0)
        return 0;
    if (!tn_attr_int(q->view, "keepdims", 1)) {
        *q->out = turn_without(q->in, 1u << axis);
        *q->alike = 0;
    }
    return 1;
}

static int admit_reduce(const question *q)
{
    uint32_t axes = (1u << q->in->rank) - 1;
    if (motion_input(q->view, 1) == TN_NONE) {
        if (tn_attr_int(q->view, "noop_with_empty_axes", 0))
            return 0;
    } else if (!axes_of(q->ctx, q->view, 1, q->in->rank, &axes)) {
        return refuse(q, "its axes are not constant");
    } else if (!axes) {
        return 0;
    }
    if (!tn_attr_int(q->view, "keepdims", 1)) {
        *q->out = turn_without(q->in, axes);
        *q->alike = 0;
    }
    return 1;
}

static int admit_squeeze(const question *q)
{
    uint32_t axes;
    const tn_type *y = motion_type(q->ctx, q->view->outputs[0]);
    const int adds = motion_is(q->view, "Unsqueeze");
    if (y->rank < 0 || motion_input(q->view, 1) == TN_NONE ||
        !axes_of(q->ctx, q->view, 1, adds ? y->rank : q->in->rank, &axes))
        return refuse(q, "its axes are not constant");
    *q->out = adds ? turn_with(q->in, axes, y->rank) : turn_without(q->in, axes);
    *q->alike = 0;
    return q->out->rank == y->rank;
}

static int admit_slice(const question *q)
{
    uint32_t axes;
    int64_t starts[2 * TN_MAX_RANK];
    if (motion_input(q->view, 3) != TN_NONE)
        return axes_of(q->ctx, q->view, 3, q->in->rank, &axes) ||
               refuse(q, "its axes are not constant");
    return motion_integers(q->ctx, motion_input(q->view, 1), starts) >= 0 ||
           refuse(q, "its starts are not constant");
}

/* A number for each axis, `parts` times, in input k. */
static int has_vector(const question *q, uint32_t k, int32_t parts)
{
    int64_t numbers[2 * TN_MAX_RANK];
    return motion_integers(q->ctx, motion_input(q->view, k), numbers) == parts * q->in->rank ||
           refuse(q, "what it does to each axis is not constant");
}

static int admit_pad(const question *q)
{
    uint32_t axes;
    if (motion_input(q->view, 3) != TN_NONE)
        return axes_of(q->ctx, q->view, 3, q->in->rank, &axes) ||
               refuse(q, "its axes are not constant");
    return has_vector(q, 1, 2);
}

static int admit_spread(const question *q)
{
    if (motion_type(q->ctx, q->view->outputs[0])->rank != q->in->rank)
        return refuse(q, "it raises the rank");
    return has_vector(q, 1, 1);
}

/* Which input says how large it becomes; 0: another kind of Resize. */
uint32_t turn_resize_vector(const tn_node_view *view)
{
    if (strcmp(tn_attr_string(view, "coordinate_transformation_mode", "half_pixel"),
               "tf_crop_and_resize") == 0 ||
        strcmp(tn_attr_string(view, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0)
        return 0;
    return motion_input(view, 3) != TN_NONE ? 3 : motion_input(view, 2) != TN_NONE ? 2 : 0;
}

static int admit_resize(const question *q)
{
    const int64_t *axes;
    const uint32_t k = turn_resize_vector(q->view);
    if (!k || tn_attr_ints(q->view, "axes", &axes))
        return k != 0;
    const tn_tensor *t = motion_constant(q->ctx, q->view->inputs[k]);
    if (!t || t->rank != 1 || t->dims[0] != q->in->rank)
        return refuse(q, "what it does to each axis is not constant");
    return 1;
}

static int admit_gather(const question *q)
{
    const tn_value_id indices = motion_input(q->view, 1);
    const int32_t axis = tn_axis(tn_attr_int(q->view, "axis", 0), q->in->rank),
                  rank = indices == TN_NONE ? -1 : motion_type(q->ctx, indices)->rank;
    if (axis < 0 || rank < 0 || rank > 1)
        return refuse(q, "its indices have more than one axis");
    if (rank == 0) {
        *q->out = turn_without(q->in, 1u << axis);
        *q->alike = 0;
    }
    return 1;
}

static int always(const question *q)
{
    (void)q;
    return 1;
}

int turn_admit(tn_rewrite *ctx, const tn_node_view *view, const turn *in, turn *out, int *alike,
               const char **why)
{
    static int (*const tests[])(const question *) = {
        [ELEMENTS] = admit_elements, [FIRST] = always,        [GRAINS] = admit_grains,
        [AXIS] = admit_axis,         [JOIN] = admit_join,     [ROWS] = admit_rows,
        [PICK] = admit_pick,         [REDUCE] = admit_reduce, [SQUEEZE] = admit_squeeze,
        [UNSQUEEZE] = admit_squeeze, [SLICE] = admit_slice,   [PAD] = admit_pad,
        [RESIZE] = admit_resize,     [SPREAD] = admit_spread, [GATHER] = admit_gather,
    };
    const turn_rule *rule = turn_rule_of(view);
    const question q = { ctx, view, in, out, alike, why };
    *out = *in;
    *alike = 1;
    if (!rule || !view->output_count || view->outputs[0] == TN_NONE ||
        motion_input(view, 0) == TN_NONE || motion_type(ctx, view->outputs[0])->kind ||
        (rule->kind != ELEMENTS && motion_type(ctx, view->inputs[0])->rank != in->rank))
        return 0;
    return tests[rule->kind](&q);
}
