/* plugins/loss/cross_entropy.c: SoftmaxCrossEntropyLoss (ONNX operators: SoftmaxCrossEntropyLoss).
 *
 *   log_prob = log(softmax(scores)) along the classes, axis 1
 *   loss[n, d…] = -log_prob[n, labels[n, d…], d…] * weights[labels[n, d…]]
 *
 * as it is, summed, or divided by the sum of weights. The largest score is subtracted before the
 * exponential; the loss is taken from the logarithm before that is rounded.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

static const char *const names[] = { "scores", "labels", "weights" };

static tn_status infer(tn_infer *ctx)
{
    TN_TRY(loss_infer(ctx, names));
    return tn_infer_same(ctx, 1, SCORES);
}

/* ---- kernel ----------------------------------------------------------------------------- */

static double score(const loss_job *job, int64_t i, int64_t c)
{
    return tn_get_double(job->scores->dtype, job->scores->data,
                         loss_origin(job, i) + c * job->inner);
}

/* log(sum over classes of exp(score)) */
static double norm(const loss_job *job, int64_t i)
{
    double most = -INFINITY, sum = 0.0;
    for (int64_t c = 0; c < job->classes; c++) {
        const double x = score(job, i, c);
        most = x > most || isnan(x) ? x : most;
    }
    for (int64_t c = 0; c < job->classes; c++)
        sum += exp(score(job, i, c) - most);
    return most + log(sum);
}

static double pick(const loss_job *job, int64_t i, int64_t c)
{
    return job->norms[i] - score(job, i, c);
}

typedef struct norm_job {
    const loss_job *loss;
    double *norms;
    tn_tensor *log_prob; /* NULL: not wanted */
} norm_job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const norm_job *job = user;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = loss_origin(job->loss, i);
        job->norms[i] = norm(job->loss, i);
        for (int64_t c = 0; job->log_prob && c < job->loss->classes; c++)
            tn_set_float(job->log_prob->dtype, job->log_prob->data, at + c * job->loss->inner,
                         score(job->loss, i, c) - job->norms[i]);
    }
    return TN_OK;
}

/* Scratch: one double for each target. */
static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *target = ctx->problem->inputs[TARGET];
    (void)state;
    ctx->alternatives[0].scratch_bytes = sizeof(double);
    for (int32_t axis = 0; axis < target->rank; axis++)
        if (__builtin_mul_overflow(ctx->alternatives[0].scratch_bytes, (size_t)target->dims[axis],
                                   &ctx->alternatives[0].scratch_bytes))
            return tn_fail(ctx, TN_ERR_LIMIT, "the losses of all labels do not fit memory");
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    loss_job job;
    norm_job norms = { .loss = &job,
                       .norms = ctx->scratch,
                       .log_prob = ctx->output_count > 1 ? ctx->outputs[1] : NULL };
    (void)state, (void)slot;
    loss_job_init(&job, ctx, names[TARGET]);
    job.pick = pick;
    job.norms = norms.norms;
    TN_TRY(ctx->call.host->parallel_for(&ctx->call, job.count, 1 + 4096 / (job.classes + 1), chunk,
                                        &norms));
    return loss_finish(&job);
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    loss_written w;
    TN_TRY(loss_write_begin(&w, ctx, node, names[SCORES]));
    const tn_value_id scores = loss_write_wide(&w, tn_edit_input(&w.e, SCORES));
    const tn_value_id log_prob = tn_put_with(&w.e, "LogSoftmax", scores, TN_NONE, "axis", 1);
    const tn_value_id wanted = tn_edit_output(&w.e, 1);
    if (wanted != TN_NONE && w.e.status == TN_OK)
        tn_edit_did(&w.e, ctx->api->replace(ctx->graph, wanted, loss_write_narrow(&w, log_prob)));
    return loss_write(&w, log_prob);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "scores", "T", TN_MASK_FLOAT, 0, 0, "[N, C, d1, …]" },
    { "labels", "Tind", TN_BIT(TN_INT32) | TN_BIT(TN_INT64), 0, 0, "Classes: [N, d1, …]." },
    { "weights", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "Of each class: [C]; 1." },
};
static const tn_param_def outputs[] = {
    { "output", "T", TN_MASK_FLOAT, 0, 0, "A scalar; the shape of labels without a reduction." },
    { "log_prob", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0,
      "Logarithms of the probabilities, in the shape of scores." },
};
static const tn_attribute_def attributes[] = {
    { .name = "ignore_index",
      .type = TN_ATTR_INT,
      .doc = "Labels of this value have loss and weight 0." },
    { .name = "reduction",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "mean",
      .doc = "none, sum, or mean: the sum divided by the sum of weights." },
};

tn_status cross_entropy_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 12,
        .name = "SoftmaxCrossEntropyLoss",
        .doc = "The cross entropy between the softmax of scores and labels.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 2,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = loss_cost,
        .samplewise = loss_samplewise,
        .expand = write_out,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "SoftmaxCrossEntropyLoss",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
