/* plugins/dropout/dropout.c: Dropout (ONNX operators: Dropout; Srivastava et al., JMLR 2014).
 *
 *   inference:  output = data, mask = true
 *   training:   mask = random >= ratio, output = data / (1 - ratio) * mask
 *
 * The product with the mask is taken: what is dropped is 0 with the sign of data, and NaN where
 * data is not finite.
 *
 * Inputs ratio and training_mode may be values: only with them constant can a Dropout be dropped.
 * The random numbers are those of the host's stream 0 of the node, or, with attribute seed, of a
 * stream that the seed names.
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/upgrade.h"

enum { DATA, RATIO, TRAINING };
#define DEFAULT_RATIO 0.5

static tn_status infer(tn_infer *ctx)
{
    for (uint32_t k = 1; k < ctx->input_count; k++)
        if (ctx->inputs[k] && ctx->inputs[k]->rank > 0 &&
            !(ctx->inputs[k]->rank == 1 && ctx->inputs[k]->dims[0] == 1))
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' has rank %d: expected a scalar",
                                     k == RATIO ? "ratio" : "training_mode", ctx->inputs[k]->rank);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (ctx->output_count > 1) {
        TN_TRY(tn_infer_same(ctx, 1, 0));
        ctx->outputs[1].dtype = TN_BOOL;
    }
    return TN_OK;
}

/* Inference, or training that drops nothing; the mask, all true then, is another matter. */
static int32_t identity(const tn_identity *query)
{
    const uint32_t count = query->node->input_count;
    const tn_tensor *ratio = count > RATIO ? query->constants[RATIO] : NULL;
    const tn_tensor *training = count > TRAINING ? query->constants[TRAINING] : NULL;
    const int absent = count <= TRAINING || query->node->inputs[TRAINING] == TN_NONE;
    if (query->used_outputs & ~1u)
        return -1;
    if (absent || (training && !tn_get_int(TN_BOOL, training->data, 0)))
        return DATA;
    return ratio && tn_get_double(ratio->dtype, ratio->data, 0) == 0.0 ? DATA : -1;
}

/* Only inference: random numbers count the elements of the whole batch. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if ((ctx->input_count > TRAINING && ctx->inputs[TRAINING]) || ctx->inputs[DATA]->rank < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- kernel ------------------------------------------------------------------------------------ */

typedef struct job {
    tn_run *run;
    double ratio;
    uint32_t stream;
} job;

static const tn_tensor *input(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
static tn_tensor *mask_of(const tn_run *ctx)
{
    return ctx->output_count > 1 ? ctx->outputs[1] : NULL;
}

static void keep_all(tn_run *ctx)
{
    tn_tensor *mask = mask_of(ctx);
    if (ctx->outputs[0] && ctx->outputs[0]->data != ctx->inputs[DATA]->data &&
        ctx->outputs[0]->bytes)
        memcpy(ctx->outputs[0]->data, ctx->inputs[DATA]->data, ctx->outputs[0]->bytes);
    if (mask && mask->bytes)
        memset(mask->data, 1, mask->bytes);
}

/* A number of 32 random bits is below ratio * 2^32 with probability ratio. */
static tn_status drop(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const tn_tensor *data = j->run->inputs[DATA];
    tn_tensor *out = j->run->outputs[0], *mask = mask_of(j->run);
    uint32_t numbers[256];
    (void)thread;
    for (int64_t at = begin; at < end; at += 256) {
        const int64_t count = end - at < 256 ? end - at : 256;
        j->run->call.host->random(&j->run->call, j->stream, (uint64_t)at, (size_t)count, numbers);
        for (int64_t k = 0; k < count; k++) {
            const int kept = (double)numbers[k] >= j->ratio * 4294967296.0;
            const double x = tn_get_double(data->dtype, data->data, at + k);
            if (out)
                tn_set_float(out->dtype, out->data, at + k, x / (1.0 - j->ratio) * kept);
            if (mask)
                ((uint8_t *)mask->data)[at + k] = (uint8_t)kept;
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *ratio = input(ctx, RATIO), *training = input(ctx, TRAINING);
    const tn_attribute *seed = tn_attr(ctx->node, "seed");
    job j = { .run = ctx, .ratio = DEFAULT_RATIO };
    (void)state;
    (void)slot;
    if (ratio)
        j.ratio = tn_get_double(ratio->dtype, ratio->data, 0);
    if (!training || !tn_get_int(TN_BOOL, training->data, 0) || j.ratio == 0.0) {
        keep_all(ctx);
        return TN_OK;
    }
    if (!(j.ratio > 0.0 && j.ratio < 1.0))
        return tn_fail(ctx, TN_ERR_VALUE, "ratio is %g: expected a number in [0, 1)", j.ratio);
    if (seed && seed->type == TN_ATTR_INT)
        j.stream = (uint32_t)((uint64_t)seed->i * UINT64_C(0x9e3779b97f4a7c15) >> 33) + 1;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(ctx->inputs[DATA]), 16384, drop, &j);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_MASK_FLOAT | TN_MASK_FLOAT8)
static const tn_param_def inputs[] = {
    { "data", "T", T_MASK, 0, 0, "what is thinned out" },
    { "ratio", "T1", T_MASK, TN_PARAM_OPTIONAL, 0, "share that is dropped, in [0, 1); 0.5" },
    { "training_mode", "T2", TN_BIT(TN_BOOL), TN_PARAM_OPTIONAL, 0, "true: drop; false" },
};
static const tn_param_def outputs[] = {
    { "output", "T", T_MASK, 0, 0, "what is left" },
    { "mask", "T2", TN_BIT(TN_BOOL), TN_PARAM_OPTIONAL, 0, "where it is left" },
};
static const tn_attribute_def attributes[] = {
    { .name = "seed",
      .type = TN_ATTR_INT,
      .doc = "of the random numbers; the run's when left out" },
};
/* ---- before set 12: ratio and mode as attributes ------------------------------------------------ */

static const tn_param_def float_mask[] = {
    { "output", "T", T_MASK, 0, 0, "what is left" },
    { "mask", "T", T_MASK, TN_PARAM_OPTIONAL, 0, "where it is left" },
};
#define RATIO_ATTRIBUTE                                                                            \
    {                                                                                              \
        .name = "ratio", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = 0.5f,           \
        .doc = "share that is dropped"                                                             \
    }
static const tn_attribute_def attributes_7[] = { RATIO_ATTRIBUTE };
static const tn_attribute_def attributes_6[] = {
    RATIO_ATTRIBUTE,
    { .name = "is_test",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "0: drop, also where nothing is said" },
    TN_CONSUMED_INPUTS,
};

/* Today's form, whose mask is bool, in the place of one whose mask has the type of data. */
static tn_status write_anew(tn_edit *e, int training)
{
    const tn_node_view *view = tn_edit_view(e);
    const tn_value_id data = tn_edit_input(e, DATA), output = tn_edit_output(e, 0),
                      mask = tn_edit_output(e, 1);
    const float ratio = tn_attr_float(view, "ratio", (float)DEFAULT_RATIO);
    tn_value_id made[3] = { data, tn_put_scalar(e, TN_FLOAT32, (double)ratio), TN_NONE };
    tn_node_id anew = TN_NONE;
    if (training)
        made[TRAINING] = tn_put_scalar(e, TN_BOOL, 1);
    if (e->status != TN_OK)
        return e->status;
    view = tn_edit_view(e);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = view->region,
                                .name = view->name,
                                .op = view->op,
                                .inputs = made,
                                .input_count = training ? 3 : 2,
                                .output_count = mask == TN_NONE ? 1 : 2,
                                .before = e->node,
                                .trace = e->node };
    TN_TRY(e->ctx->api->add_node(e->ctx->graph, &desc, &anew));
    const tn_value_id now = e->ctx->api->node(e->ctx->graph, anew)->outputs[0];
    if (mask != TN_NONE) {
        const tn_value_id truth = e->ctx->api->node(e->ctx->graph, anew)->outputs[1];
        const tn_value_id typed = tn_put(e, "CastLike", truth, data, TN_NONE, NULL);
        if (e->status == TN_OK)
            e->status = e->ctx->api->replace(e->ctx->graph, mask, typed);
    }
    if (e->status == TN_OK && output != TN_NONE)
        e->status = e->ctx->api->replace(e->ctx->graph, output, now);
    if (e->status == TN_OK)
        e->status = e->ctx->api->remove_node(e->ctx->graph, e->node);
    return e->status;
}

/* From sets 1 and 6: is_test was 0 where nothing was said. */
static tn_status upgrade_7(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    if (tn_attr_int(tn_edit_view(&e), "is_test", 0) == 0)
        return write_anew(&e, 1);
    tn_edit_drop(&e, "is_test");
    tn_edit_drop(&e, "consumed_inputs");
    return e.status;
}

static tn_status upgrade_10(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    return tn_edit_output(&e, 1) == TN_NONE ? TN_OK : write_anew(&e, 0);
}

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const float ratio = tn_attr_float(tn_edit_view(&e), "ratio", (float)DEFAULT_RATIO);
    tn_edit_set_input(&e, RATIO, tn_put_scalar(&e, TN_FLOAT32, (double)ratio));
    tn_edit_drop(&e, "ratio");
    return e.status;
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 10, 10);
    old.input_count = 1;
    old.attributes = attributes_7;
    old.upgrade = upgrade_10;
    TN_TRY(registrar->add_operator(registrar, &old));
    old.since = old.accepts_from = 7;
    old.outputs = float_mask;
    old.upgrade = upgrade_7;
    TN_TRY(registrar->add_operator(registrar, &old));
    old.since = 6;
    old.accepts_from = 1;
    old.attributes = attributes_6;
    old.attribute_count = 3;
    old.upgrade = NULL;
    return registrar->add_operator(registrar, &old);
}

/* Whether two runs agree depends on the run's seed alone, so training is not deterministic to the
 * optimizer; inference is dropped by identity before that matters. */
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 22,
      .accepts_from = 12,
      .name = "Dropout",
      .doc = "Drops elements at random while training; changes nothing at inference.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 2,
      .attributes = attributes,
      .attribute_count = 1,
      .traits = TN_NONDETERMINISTIC,
      .infer = infer,
      .identity = identity,
      .samplewise = samplewise,
      .upgrade = upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "Dropout",
      .run = run,
      .types = T_MASK,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_IN_PLACE },
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(add_old(registrar, operators));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}

TN_PLUGIN(dropout, .version = "1.0", .licence = "MIT",
          .description = "Dropout, for inference and training", .load = load);
