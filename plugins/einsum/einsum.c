/* plugins/einsum/einsum.c: sums of products by Einstein's notation.
 *
 * ONNX: Einsum. An extent of 1 is repeated where another operand has more, under the ellipsis as by
 * broadcasting, and under a letter as numpy has it.
 *
 * SPDX-License-Identifier: MIT */
#include "einsum.h"

enum { REASON = 160 };

static const char *text_of(const tn_node_view *node)
{
    return tn_attr_string(node, "equation", "");
}

/* ---- inference -------------------------------------------------------------------------- */

typedef struct extents {
    tn_dim of[EINSUM_LABELS];
    uint8_t found[EINSUM_LABELS];
    int32_t ellipsis;     /* most axes that one stands for */
    int unknown_ellipsis; /* there is one under an unknown rank */
} extents;

/* An axis under a label: what is known, and not 1, decides. */
static void merge(tn_infer *ctx, extents *e, uint8_t label, tn_dim dim, uint32_t k, int32_t axis)
{
    const tn_dim before = e->of[label];
    if (!e->found[label] || before == 1 || before == TN_DIM_UNKNOWN) {
        if (!(e->found[label] && before == TN_DIM_UNKNOWN && dim == 1))
            e->of[label] = dim;
        e->found[label] = 1;
        return;
    }
    if (dim == 1 || dim == TN_DIM_UNKNOWN)
        return;
    if (tn_dim_known(dim) && tn_dim_known(before) && dim != before)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
            "axis %d of input %u has extent %lld, but '%c' in '%s' is %lld before", axis,
            (unsigned)k, (long long)dim, einsum_letter(label), text_of(ctx->node),
            (long long)before);
    else if (tn_dim_known(dim) && !tn_dim_known(before))
        e->of[label] = dim;
}

static void merge_operand(tn_infer *ctx, const einsum_term *term, uint32_t k, extents *e)
{
    const tn_type *input = ctx->inputs[k];
    uint8_t labels[TN_MAX_RANK];
    if (!input || input->rank < 0) {
        e->unknown_ellipsis = e->unknown_ellipsis || term->dots >= 0;
        for (int32_t i = 0; i < term->count; i++)
            merge(ctx, e, term->letters[i], TN_DIM_UNKNOWN, k, i);
        return;
    }
    if (!einsum_labels(term, input->rank, labels)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input %u has rank %d: expected %d axes%s, as its term in '%s' "
                                 "names",
                                 (unsigned)k, (int)input->rank, (int)term->count,
                                 term->dots >= 0 ? " or more" : "", text_of(ctx->node));
        e->unknown_ellipsis = 1;
        return;
    }
    for (int32_t axis = 0; axis < input->rank; axis++)
        merge(ctx, e, labels[axis], input->dims[axis], k, axis);
    if (input->rank - term->count > e->ellipsis)
        e->ellipsis = input->rank - term->count;
}

static int read_equation(tn_infer *ctx, einsum_equation *out)
{
    char reason[REASON];
    if (einsum_parse(text_of(ctx->node), ctx->input_count, out, reason, sizeof reason))
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "equation",
                             "equation is '%s': %s", text_of(ctx->node), reason);
    return 0;
}

static tn_status infer(tn_infer *ctx)
{
    einsum_equation equation;
    uint8_t labels[TN_MAX_RANK];
    extents e = { .ellipsis = 0 };
    tn_type *out = &ctx->outputs[0];
    if (!read_equation(ctx, &equation))
        return TN_OK;
    for (uint32_t k = 0; k < equation.operand_count; k++)
        merge_operand(ctx, &equation.operands[k], k, &e);
    const int dots = equation.out.dots >= 0;
    const int32_t rank = equation.out.count + (dots ? e.ellipsis : 0);
    if (dots && e.unknown_ellipsis)
        return TN_OK;
    if (!einsum_labels(&equation.out, rank, labels)) {
        ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_OUTPUT, 0, NULL,
                                 "the result has %d axes: at most %d can be", (int)rank,
                                 TN_MAX_RANK);
        return TN_OK;
    }
    out->rank = rank;
    for (int32_t axis = 0; axis < rank; axis++)
        out->dims[axis] = e.found[labels[axis]] ? e.of[labels[axis]] : 1;
    return TN_OK;
}

static int plan_of_types(const tn_node_view *node, const tn_type *const *inputs, uint32_t count,
                         einsum_plan *plan)
{
    einsum_equation equation;
    char reason[REASON];
    int32_t ranks[EINSUM_OPERANDS];
    const int64_t *dims[EINSUM_OPERANDS];
    if (!einsum_parse(text_of(node), count, &equation, reason, sizeof reason))
        return 0;
    for (uint32_t k = 0; k < count; k++) {
        if (!inputs[k] || inputs[k]->rank < 0)
            return 0;
        ranks[k] = inputs[k]->rank;
        dims[k] = inputs[k]->dims;
    }
    return einsum_plan_make(&equation, ranks, dims, plan);
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    einsum_plan plan;
    if (plan_of_types(ctx->node, ctx->inputs, ctx->input_count, &plan))
        out->macs = plan.products;
    return TN_OK;
}

/* The result's first letter counts samples where every operand has it in front, once, or not at
 * all. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    einsum_equation equation;
    char reason[REASON];
    if (!einsum_parse(text_of(ctx->node), ctx->input_count, &equation, reason, sizeof reason) ||
        equation.out.count == 0 || equation.out.dots == 0)
        return TN_NO_MATCH;
    const uint8_t batch = equation.out.letters[0];
    for (uint32_t k = 0; k < equation.operand_count; k++) {
        const einsum_term *term = &equation.operands[k];
        const tn_type *input = ctx->inputs[k];
        input_axes[k] = -1;
        for (int32_t i = 0; i < term->count; i++) {
            if (term->letters[i] != batch)
                continue;
            if (i > 0 || term->dots == 0 || !input || input->rank < 1 || input->dims[0] == 1 ||
                input->dims[0] == TN_DIM_UNKNOWN)
                return TN_NO_MATCH;
            input_axes[k] = 0;
        }
    }
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_problem *problem = ctx->problem;
    einsum_plan plan;
    (void)state;
    if (!plan_of_types(problem->node, problem->inputs, problem->own_count, &plan))
        return tn_fail(ctx, TN_DECLINED,
                       "the inputs' shapes do not fit '%s', or a result is too large",
                       text_of(problem->node));
    ctx->alternatives[0].scratch_bytes = plan.scratch_bytes;
    return TN_OK;
}

/* Where views lie: operands as given, results one after the other, the last one in the output. */
static void place(einsum_plan *plan, const tn_run *ctx)
{
    char *free_scratch = ctx->scratch;
    const uint32_t dtype = ctx->outputs[0]->dtype;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        plan->views[k].dtype = ctx->inputs[k]->dtype;
        plan->views[k].data = ctx->inputs[k]->data;
    }
    for (uint32_t k = 0; k < plan->step_count; k++) {
        einsum_view *out = &plan->views[plan->steps[k].out];
        const int last = k + 1 == plan->step_count;
        out->dtype = last ? dtype : tn_dtype_is_float(dtype) ? TN_FLOAT64 : TN_INT64;
        out->data = last ? ctx->outputs[0]->data : free_scratch;
        if (!last)
            free_scratch += (size_t)plan->steps[k].count * sizeof(double);
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    einsum_equation equation;
    einsum_plan plan;
    char reason[REASON];
    int32_t ranks[EINSUM_OPERANDS];
    const int64_t *dims[EINSUM_OPERANDS];
    (void)state, (void)slot;
    if (!einsum_parse(text_of(ctx->node), ctx->input_count, &equation, reason, sizeof reason))
        return tn_fail(ctx, TN_ERR_ATTRIBUTE, "equation is '%s': %s", text_of(ctx->node), reason);
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        ranks[k] = ctx->inputs[k]->rank;
        dims[k] = ctx->inputs[k]->dims;
    }
    if (!einsum_plan_make(&equation, ranks, dims, &plan))
        return tn_fail(ctx, TN_ERR_SHAPE, "the inputs' shapes do not fit '%s'", text_of(ctx->node));
    if (plan.steps[plan.step_count - 1].count != tn_count(ctx->outputs[0]))
        return tn_fail(ctx, TN_ERR_SHAPE, "the inputs' shapes do not fit '%s'", text_of(ctx->node));
    place(&plan, ctx);
    for (uint32_t k = 0; k < plan.step_count; k++)
        TN_TRY(einsum_contract(&ctx->call, &plan, &plan.steps[k]));
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

#define EINSUM_TYPES (TN_MASK_NUMERIC & ~TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "Inputs", "T", EINSUM_TYPES, TN_PARAM_VARIADIC, 1, "The operands, one for each term." },
};
static const tn_param_def outputs[] = {
    { "Output", "T", EINSUM_TYPES, 0, 0, "The sums of products." },
};
static const tn_attribute_def attributes[] = {
    { .name = "equation",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Letters for the axes of each operand and of the result, as 'ij,jk->ik'." },
};

tn_status einsum_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 12,
        .accepts_from = 12,
        .name = "Einsum",
        .doc = "Sums of products over the axes that the result does not name.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .infer = infer,
        .cost = cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Einsum",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
