/* plugins/loss/reduce.c: weighs the losses of targets and reduces them; see loss.h.
 *
 * What is ignored has loss and weight 0, whatever its score. A mean is the sum over the sum of
 * weights. Sums are in double, in the order of targets, and rounded once.
 *
 * SPDX-License-Identifier: MIT */
#include "loss.h"

void loss_job_init(loss_job *job, tn_run *ctx, const char *target_name)
{
    const tn_attribute *ignored = tn_attr(ctx->node, "ignore_index");
    const tn_tensor *scores = ctx->inputs[SCORES];
    *job = (loss_job){ .call = &ctx->call,
                       .scores = scores,
                       .target = ctx->inputs[TARGET],
                       .weight = ctx->input_count > WEIGHT ? ctx->inputs[WEIGHT] : NULL,
                       .loss = ctx->outputs[0],
                       .classes = scores->dims[1],
                       .inner = tn_extent(scores->dims, 2, scores->rank),
                       .count = tn_count(ctx->inputs[TARGET]),
                       .reduction = loss_reduction(ctx->node),
                       .target_name = target_name };
    job->has_ignored = ignored && ignored->type == TN_ATTR_INT;
    job->ignored = job->has_ignored ? ignored->i : 0;
}

/* Loss and weight of target number i. */
static tn_status one(const loss_job *job, int64_t i, double *loss, double *weight)
{
    const int64_t c = tn_get_int(job->target->dtype, job->target->data, i);
    *loss = *weight = 0.0;
    if (job->has_ignored && c == job->ignored)
        return TN_OK;
    if (c < 0 || c >= job->classes)
        return job->call->host->fail(job->call, TN_ERR_VALUE,
                                     "%s %lld is class %lld, outside [0, %lld)", job->target_name,
                                     (long long)i, (long long)c, (long long)job->classes);
    *weight = job->weight ? tn_get_double(job->weight->dtype, job->weight->data, c) : 1.0;
    *loss = job->pick(job, i, c) * *weight;
    return TN_OK;
}

static tn_status each(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const loss_job *job = user;
    double weight, loss;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        TN_TRY(one(job, i, &loss, &weight));
        tn_set_float(job->loss->dtype, job->loss->data, i, loss);
    }
    return TN_OK;
}

tn_status loss_finish(loss_job *job)
{
    double sum = 0.0, weights = 0.0;
    if (!job->loss)
        return TN_OK;
    if (job->reduction == REDUCE_NONE)
        return job->call->host->parallel_for(job->call, job->count, 4096, each, job);
    for (int64_t i = 0; i < job->count; i++) {
        double loss, weight;
        TN_TRY(one(job, i, &loss, &weight));
        sum += loss;
        weights += weight;
    }
    if (job->reduction == REDUCE_MEAN)
        sum /= weights;
    tn_set_float(job->loss->dtype, job->loss->data, 0, sum);
    return TN_OK;
}
