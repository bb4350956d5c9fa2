/* epilogue.c: which functions this backend knows, and steps on a tile that is in the cache.
 *
 * SPDX-License-Identifier: MIT */
#include "native.h"

#include <stdio.h>

/* ---- functions of one input ------------------------------------------------------------- */

/* Where a and b come from: attributes and their defaults. */
static const struct {
    const char *op;
    native_function function;
    const char *a_name, *b_name;
    float a, b;
} functions[] = {
    { "Relu", NATIVE_RELU, NULL, NULL, 0, 0 },
    { "LeakyRelu", NATIVE_LEAKY_RELU, "alpha", NULL, 0.01f, 0 },
    { "Sigmoid", NATIVE_SIGMOID, NULL, NULL, 0, 0 },
    { "HardSigmoid", NATIVE_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f },
    { "HardSwish", NATIVE_HARD_SWISH, NULL, NULL, 0, 0 },
    { "Swish", NATIVE_SWISH, "alpha", NULL, 1.0f, 0 },
    { "Tanh", NATIVE_TANH, NULL, NULL, 0, 0 },
    { "Gelu", NATIVE_GELU, NULL, NULL, 0, 0 },
    { "Elu", NATIVE_ELU, "alpha", NULL, 1.0f, 0 },
    { "Exp", NATIVE_EXP, NULL, NULL, 0, 0 },
    { "Sqrt", NATIVE_SQRT, NULL, NULL, 0, 0 },
    { "Erf", NATIVE_ERF, NULL, NULL, 0, 0 },
    { "Neg", NATIVE_NEG, NULL, NULL, 0, 0 },
    { "Abs", NATIVE_ABS, NULL, NULL, 0, 0 },
    { "Log", NATIVE_LOG, NULL, NULL, 0, 0 },
    { "Reciprocal", NATIVE_RECIPROCAL, NULL, NULL, 0, 0 },
    { "Softplus", NATIVE_SOFTPLUS, NULL, NULL, 0, 0 },
    { "Softsign", NATIVE_SOFTSIGN, NULL, NULL, 0, 0 },
    { "Mish", NATIVE_MISH, NULL, NULL, 0, 0 },
    { "Selu", NATIVE_SELU, "alpha", "gamma", 1.67326319217681884765625f,
      1.05070102214813232421875f },
};

static tn_status clip_of(const tn_problem *p, const int32_t *inputs, uint32_t input_count,
                         native_step *out, char *reason, size_t bytes)
{
    float *bounds[2] = { &out->a, &out->b };
    out->function = NATIVE_CLIP;
    out->a = -INFINITY;
    out->b = INFINITY;
    for (uint32_t k = 1; k < 3 && k < input_count; k++) {
        if (inputs[k] < 0 || !p->inputs[inputs[k]])
            continue;
        const tn_tensor *bound = p->constants[inputs[k]];
        if (!bound) {
            snprintf(reason, bytes, "Clip's bounds are computed: numbers are wanted here");
            return TN_DECLINED;
        }
        *bounds[k - 1] = (float)tn_get_double(bound->dtype, bound->data, 0);
    }
    return TN_OK;
}

bool native_is_power(const tn_problem *p, const tn_node_view *node, const int32_t *inputs,
                     uint32_t input_count)
{
    const tn_tensor *exponent;
    if (node->domain[0] || strcmp(node->op, "Pow") != 0 || input_count < 2 || inputs[1] < 0)
        return false;
    exponent = p->constants[inputs[1]];
    return exponent && tn_count(exponent) == 1 && inputs[0] <= 0 && p->outputs[0] &&
           p->outputs[0]->rank >= exponent->rank;
}

static void power_of(const tn_tensor *exponent, native_step *out)
{
    out->a = (float)tn_get_double(exponent->dtype, exponent->data, 0);
    out->function = out->a == 2.0f ? NATIVE_SQUARE : NATIVE_POWER;
}

tn_status native_function_of(const tn_problem *p, const tn_node_view *node, const int32_t *inputs,
                             uint32_t input_count, native_step *out, char *reason, size_t bytes)
{
    memset(out, 0, sizeof *out);
    out->input = -1;
    if (!node->domain[0] && strcmp(node->op, "Clip") == 0)
        return clip_of(p, inputs, input_count, out, reason, bytes);
    if (native_is_power(p, node, inputs, input_count)) {
        power_of(p->constants[inputs[1]], out);
        return TN_OK;
    }
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        if (node->domain[0] || strcmp(functions[k].op, node->op) != 0)
            continue;
        out->function = functions[k].function;
        out->a = functions[k].a_name ? tn_attr_float(node, functions[k].a_name, functions[k].a) : 0;
        out->b = functions[k].b_name ? tn_attr_float(node, functions[k].b_name, functions[k].b) : 0;
        if (out->function == NATIVE_GELU &&
            strcmp(tn_attr_string(node, "approximate", "none"), "tanh") == 0)
            out->function = NATIVE_GELU_TANH;
        return TN_OK;
    }
    snprintf(reason, bytes, "%s is no function of an element here", node->op);
    return TN_DECLINED;
}

bool native_binary_of(const char *op, bool flipped, native_function *out)
{
    static const struct {
        const char *op;
        native_function plain, flipped;
    } kinds[] = { { "Add", NATIVE_ADD, NATIVE_ADD },      { "Mul", NATIVE_MUL, NATIVE_MUL },
                  { "Sub", NATIVE_SUB, NATIVE_SUB_FROM }, { "Div", NATIVE_DIV, NATIVE_DIV_INTO },
                  { "Max", NATIVE_MAX, NATIVE_MAX },      { "Min", NATIVE_MIN, NATIVE_MIN },
                  { "Pow", NATIVE_POW, NATIVE_POW_INTO } };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (strcmp(kinds[k].op, op) == 0) {
            *out = flipped ? kinds[k].flipped : kinds[k].plain;
            return true;
        }
    return false;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* A vector along one axis of the output, alone. */
static bool is_vector_along(const tn_type *operand, const tn_type *out, int32_t axis)
{
    const int32_t lead = out->rank - operand->rank;
    for (int32_t k = 0; k < operand->rank; k++)
        if (operand->dims[k] != (lead + k == axis ? out->dims[axis] : 1))
            return false;
    return axis >= lead;
}

static tn_status read_operand(const tn_problem *p, const tn_step *step, int32_t column_axis,
                              native_step *out, char *reason, size_t bytes)
{
    const tn_type *type = step->operand < 0 ? NULL : p->inputs[step->operand];
    out->input = step->operand;
    if (!type || step->input_count != 2 || type->dtype != TN_FLOAT32) {
        snprintf(reason, bytes, "a step of %u inputs: here it has one float32 operand",
                 step->input_count);
        return TN_DECLINED;
    }
    out->spread = step->spread == TN_SPREAD_FULL     ? NATIVE_FULL
                  : step->spread == TN_SPREAD_SCALAR ? NATIVE_SCALAR
                                                     : NATIVE_COLUMN;
    if (out->spread == NATIVE_COLUMN && (p->flags & TN_PROBLEM_SHAPES_KNOWN) &&
        !is_vector_along(type, p->outputs[0], column_axis)) {
        snprintf(reason, bytes, "an operand of %s repeats on an axis that a step here cannot",
                 step->node->op);
        return TN_DECLINED;
    }
    return TN_OK;
}

static tn_status read_step(const tn_problem *p, const tn_step *step, int32_t column_axis,
                           native_step *out, char *reason, size_t bytes)
{
    memset(out, 0, sizeof *out);
    out->input = -1;
    if (step->chain_input == 0 && native_is_power(p, step->node, step->inputs, step->input_count))
        return native_function_of(p, step->node, step->inputs, step->input_count, out, reason,
                                  bytes);
    if (!step->node->domain[0] &&
        native_binary_of(step->node->op, step->chain_input == 1, &out->function))
        return read_operand(p, step, column_axis, out, reason, bytes);
    if (step->chain_input != 0) {
        snprintf(reason, bytes, "the chain is input %u of %s", step->chain_input, step->node->op);
        return TN_DECLINED;
    }
    return native_function_of(p, step->node, step->inputs, step->input_count, out, reason, bytes);
}

tn_status native_steps_read(const tn_problem *p, const tn_step *steps, uint32_t count,
                            int32_t column_axis, native_epilogue *out, char *reason, size_t bytes)
{
    memset(out, 0, sizeof *out);
    if (count > NATIVE_MAX_STEPS) {
        snprintf(reason, bytes, "an epilogue of %u steps: at most %d here", count,
                 NATIVE_MAX_STEPS);
        return TN_DECLINED;
    }
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(read_step(p, &steps[k], column_axis, &out->steps[out->count++], reason, bytes));
    return TN_OK;
}

tn_status native_epilogue_read(const tn_problem *p, int32_t column_axis, native_epilogue *out,
                               char *reason, size_t bytes)
{
    return native_steps_read(p, p->steps, p->step_count, column_axis, out, reason, bytes);
}

void native_epilogue_layouts(const native_epilogue *e, tn_alternative *alternative, uint32_t layout,
                             bool reuse)
{
    for (uint32_t k = 0; k < e->count; k++) {
        if (e->steps[k].spread != NATIVE_FULL)
            continue;
        alternative->input_layouts[e->steps[k].input] = layout;
        if (reuse)
            alternative->output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE,
                                                         (uint32_t)e->steps[k].input };
    }
}

/* ---- applying --------------------------------------------------------------------------- */

bool native_end_of(const native_epilogue *e, uint32_t from, native_end *out)
{
    const native_step *s = &e->steps[from];
    *out = (native_end){ NATIVE_END_NONE, 0, 0 };
    if (from == e->count)
        return true;
    if (from + 1 < e->count || s->spread != NATIVE_NO_OPERAND)
        return false;
    switch (s->function) {
    case NATIVE_RELU: *out = (native_end){ NATIVE_END_LOW, 0.0f, INFINITY }; return true;
    case NATIVE_CLIP: *out = (native_end){ NATIVE_END_BOUNDS, s->a, s->b }; return true;
    case NATIVE_HARD_SWISH: out->kind = NATIVE_END_HARD_SWISH; return true;
    case NATIVE_SWISH: *out = (native_end){ NATIVE_END_SWISH, s->a, 0 }; return true;
    default: return false;
    }
}

static void finish(const native_isa *isa, const native_epilogue *e, const tn_tensor *const *inputs,
                   float *tile, int64_t stride, int64_t first, int64_t rows, int64_t column,
                   int64_t columns, bool own, uint32_t from)
{
    for (uint32_t k = from; k < e->count; k++) {
        const native_step *s = &e->steps[k];
        if (s->spread == NATIVE_NO_OPERAND) {
            if (stride == columns || (own && stride - columns < isa->lanes))
                isa->apply(s->function, s->a, s->b, tile, tile, (rows - 1) * stride + columns);
            else
                isa->apply_rows(s->function, s->a, s->b, tile, stride, rows, columns);
            continue;
        }
        const tn_tensor *tensor = inputs[s->input];
        const float *operand = tensor->data;
        const int64_t ld = tensor->strides ? tn_row_step(tensor) : e->ld;
        const native_rows job = {
            .x = tile,
            .operand = s->spread == NATIVE_FULL     ? operand + first * ld + column
                       : s->spread == NATIVE_COLUMN ? operand + column
                                                    : operand,
            .y = tile,
            .x_step = stride,
            .operand_step = s->spread == NATIVE_FULL ? ld : 0,
            .y_step = stride,
            .rows = rows,
            .count = columns,
            .along = s->spread != NATIVE_SCALAR,
        };
        isa->combine_rows(s->function, &job);
    }
}

void native_finish(const native_isa *isa, const native_epilogue *e, const tn_tensor *const *inputs,
                   float *tile, int64_t stride, int64_t first, int64_t rows, int64_t column,
                   int64_t columns)
{
    finish(isa, e, inputs, tile, stride, first, rows, column, columns, false, 0);
}

void native_finish_own(const native_isa *isa, const native_epilogue *e,
                       const tn_tensor *const *inputs, float *tile, int64_t stride, int64_t first,
                       int64_t rows, int64_t column, int64_t columns)
{
    finish(isa, e, inputs, tile, stride, first, rows, column, columns, true, 0);
}

bool native_has_full(const native_epilogue *e, uint32_t from)
{
    for (uint32_t k = from; k < e->count; k++)
        if (e->steps[k].spread == NATIVE_FULL)
            return true;
    return false;
}

void native_finish_rest(const native_isa *isa, const native_epilogue *e,
                        const tn_tensor *const *inputs, uint32_t from, float *tile, int64_t stride,
                        int64_t rows, int64_t column, int64_t columns)
{
    finish(isa, e, inputs, tile, stride, 0, rows, column, columns, false, from);
}
