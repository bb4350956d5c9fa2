/* plugins/control/if.c: one of two bodies.
 *
 * ONNX: If. Only the branch that is taken is run; the shapes of the other need not fit. The two may
 * give other shapes: what differs is known only while running.
 *
 * SPDX-License-Identifier: MIT */
#include "control.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer_branch(tn_infer *ctx, int taken, tn_type *made)
{
    return ctx->call.host->infer_region(&ctx->call, taken ? "then_branch" : "else_branch", NULL, 0,
                                        made, ctx->output_count);
}

static void check_condition(tn_infer *ctx)
{
    const tn_type *cond = ctx->inputs[0];
    for (int32_t axis = 0; cond && axis < cond->rank; axis++) {
        if (!tn_dim_known(cond->dims[axis]) || cond->dims[axis] == 1)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "the condition has extent %lld along axis %d: expected one "
                                 "element",
                                 (long long)cond->dims[axis], (int)axis);
        return;
    }
}

static tn_status infer(tn_infer *ctx)
{
    tn_type made[CONTROL_MOST];
    const tn_tensor *cond = ctx->call.host->input_value(&ctx->call, 0);
    const int known = cond && tn_count(cond) == 1;
    check_condition(ctx);
    if (!control_fits(ctx))
        return TN_OK;
    TN_TRY(infer_branch(ctx, known ? *(const uint8_t *)cond->data : 1, made));
    for (uint32_t k = 0; k < ctx->output_count; k++)
        ctx->outputs[k] = made[k];
    if (!known) {
        TN_TRY(infer_branch(ctx, 0, made));
        for (uint32_t k = 0; k < ctx->output_count; k++) {
            const tn_type *then = &ctx->outputs[k];
            if (then->kind != made[k].kind ||
                (then->dtype && made[k].dtype && then->dtype != made[k].dtype)) {
                ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_OUTPUT, k, NULL,
                                         "output %u of the branches is not of one type: expected "
                                         "the same kind and element type",
                                         (unsigned)k);
                return TN_OK;
            }
            (void)control_unite(ctx, &ctx->outputs[k], &made[k]);
        }
    }
    for (uint32_t k = 0; k < ctx->output_count; k++)
        control_mark_late(&ctx->outputs[k]);
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const control_room room = control_room_of(ctx);
    int taken = 0;
    (void)state, (void)slot;
    TN_TRY(control_truth(ctx, ctx->inputs[0], "the condition", &taken));
    TN_TRY(ctx->call.host->run_region(&ctx->call, taken ? "then_branch" : "else_branch", NULL, 0,
                                      room.out, ctx->output_count));
    tn_status status = TN_OK;
    for (uint32_t k = 0; k < ctx->output_count && status == TN_OK; k++)
        if (ctx->outputs[k])
            status = ctx->call.host->output_set(&ctx->call, k, room.out[k]);
    control_release(ctx, room.out, ctx->output_count);
    return status;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "cond", "B", TN_BIT(TN_BOOL), 0, 0, "One element: which branch." },
};
static const tn_param_def outputs[] = {
    { "outputs", "V", TN_MASK_ALL, TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS | CONTROL_ANY_KIND, 1,
      "What the branch that was taken gives." },
};
static const tn_attribute_def attributes[] = {
    { .name = "then_branch",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Run when the condition is true; takes nothing, gives all outputs." },
    { .name = "else_branch",
      .type = TN_ATTR_GRAPH,
      .flags = TN_ATTR_REQUIRED,
      .doc = "Run when it is false; gives as many outputs." },
};

tn_status if_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 25,
        .accepts_from = 1,
        .name = "If",
        .doc = "Runs one of two bodies.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_REGIONS,
        .infer = infer,
        .cost = control_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "If",
                                   .flags = TN_KERNEL_EMPTY,
                                   .measure = control_measure,
                                   .run = run };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
