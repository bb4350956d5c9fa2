/* plugins/loss/likelihood.c: NegativeLogLikelihoodLoss (ONNX operators: NegativeLogLikelihoodLoss).
 *
 *   loss[n, d…] = -input[n, target[n, d…], d…] * weight[target[n, d…]]
 *
 * as it is, summed, or divided by the sum of weights.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

static const char *const names[] = { "input", "target", "weight" };

static tn_status infer(tn_infer *ctx)
{
    return loss_infer(ctx, names);
}

static double pick(const loss_job *job, int64_t i, int64_t c)
{
    return -tn_get_double(job->scores->dtype, job->scores->data,
                          loss_origin(job, i) + c * job->inner);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    loss_job job;
    (void)state, (void)slot;
    loss_job_init(&job, ctx, names[TARGET]);
    job.pick = pick;
    return loss_finish(&job);
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    loss_written w;
    TN_TRY(loss_write_begin(&w, ctx, node, names[SCORES]));
    const tn_value_id log_prob = loss_write_wide(&w, tn_edit_input(&w.e, SCORES));
    return loss_write(&w, log_prob);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", TN_MASK_FLOAT, 0, 0, "Logarithms of probabilities: [N, C, d1, …]." },
    { "target", "Tind", TN_BIT(TN_INT32) | TN_BIT(TN_INT64), 0, 0, "Classes: [N, d1, …]." },
    { "weight", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "Of each class: [C]; 1." },
};
static const tn_param_def outputs[] = {
    { "loss", "T", TN_MASK_FLOAT, 0, 0, "A scalar; the shape of target without a reduction." },
};
static const tn_attribute_def attributes[] = {
    { .name = "ignore_index",
      .type = TN_ATTR_INT,
      .doc = "Targets of this value have loss and weight 0." },
    { .name = "reduction",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "mean",
      .doc = "none, sum, or mean: the sum divided by the sum of weights." },
};

tn_status likelihood_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 22,
        .accepts_from = 12,
        .name = "NegativeLogLikelihoodLoss",
        .doc = "The negative logarithm of the probability given to each target.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = loss_cost,
        .samplewise = loss_samplewise,
        .expand = write_out,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "NegativeLogLikelihoodLoss",
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
