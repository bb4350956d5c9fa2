/* plugins/movement/reverse.c: turns round the first steps of each sequence of a batch.
 *
 * ONNX: ReverseSequence. Of sequence b the first sequence_lens[b] steps come in reverse order, the
 * rest stays.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *in = ctx->inputs[0];
    const int64_t batch = tn_attr_int(ctx->node, "batch_axis", 1);
    const int64_t time = tn_attr_int(ctx->node, "time_axis", 0);
    tn_dim lengths[MOVE_ELEMENTS];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (batch < 0 || batch > 1 || time != 1 - batch)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0,
                                 batch < 0 || batch > 1 ? "batch_axis" : "time_axis",
                                 "batch_axis is %lld and time_axis %lld: expected 0 and 1, or 1 "
                                 "and 0",
                                 (long long)batch, (long long)time);
    else if (in && in->rank >= 0 && move_check_rank(ctx, 0, "input", 2, TN_MAX_RANK) &&
             move_check_rank(ctx, 1, "sequence_lens", 1, 1)) {
        const int64_t count = move_length(ctx, 1), known = move_elements(ctx, 1, lengths);
        const tn_dim steps = in->dims[time];
        if (count >= 0 && tn_dim_known(in->dims[batch]) && count != in->dims[batch])
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "input 'sequence_lens' has %lld elements: expected %lld, the "
                                     "batch of input 'input'",
                                     (long long)count, (long long)in->dims[batch]);
        for (int64_t i = 0; tn_dim_known(steps) && i < known; i++) {
            if (!tn_dim_known(lengths[i]) || (lengths[i] >= 0 && lengths[i] <= steps))
                continue;
            ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                     "sequence_lens[%lld] is %lld: expected 0 to %lld",
                                     (long long)i, (long long)lengths[i], (long long)steps);
            break;
        }
    }
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    input_axes[0] = output_axes[0] = (int32_t)tn_attr_int(ctx->node, "batch_axis", 1);
    input_axes[1] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct reverse_job {
    tn_run *ctx;
    const char *in;
    char *out;
    const tn_tensor *lengths;
    int64_t batch_step, time_step; /* in rows */
    int64_t columns;               /* extent of the second axis */
    int64_t steps;
    int batch_first;
    size_t row; /* bytes */
} reverse_job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const reverse_job *job = user;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t first = row / job->columns, second = row % job->columns;
        const int64_t sample = job->batch_first ? first : second;
        const int64_t step = job->batch_first ? second : first;
        const int64_t length = move_index(job->lengths, sample);
        const int64_t from = step < length ? length - 1 - step : step;
        if (length < 0 || length > job->steps)
            return tn_fail(job->ctx, TN_ERR_VALUE,
                           "sequence_lens[%lld] is %lld: expected 0 to %lld", (long long)sample,
                           (long long)length, (long long)job->steps);
        memcpy(job->out + (size_t)row * job->row,
               job->in + (size_t)(sample * job->batch_step + from * job->time_step) * job->row,
               job->row);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    const int batch_first = tn_attr_int(ctx->node, "batch_axis", 1) == 0;
    const int64_t columns = in->dims[1];
    reverse_job job = {
        .ctx = ctx,
        .in = in->data,
        .out = ctx->outputs[0]->data,
        .lengths = ctx->inputs[1],
        .batch_step = batch_first ? columns : 1,
        .time_step = batch_first ? 1 : columns,
        .columns = columns,
        .steps = in->dims[batch_first],
        .batch_first = batch_first,
        .row = (size_t)tn_extent(in->dims, 2, in->rank) * (tn_dtype_bits(in->dtype) / 8),
    };
    (void)state, (void)slot;
    if (tn_count(job.lengths) != in->dims[!batch_first])
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'sequence_lens' has %lld elements: expected %lld",
                       (long long)tn_count(job.lengths), (long long)in->dims[!batch_first]);
    return ctx->call.host->parallel_for(&ctx->call, in->dims[0] * columns,
                                        1 + 32768 / (int64_t)(job.row + 8), chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", MOVE_OLD_TYPES, 0, 0, "Sequences, of rank 2 at least." },
    { "sequence_lens", NULL, TN_BIT(TN_INT64), 0, 0, "Steps to turn round, for each sequence." },
};
static const tn_param_def outputs[] = { { "Y", "T", MOVE_OLD_TYPES, 0, 0, "The result." } };
static const tn_attribute_def attributes[] = {
    { .name = "batch_axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "The axis that counts sequences: 0 or 1." },
    { .name = "time_axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "The axis that counts steps: the other one." },
};

tn_status reverse_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 10,
        .name = "ReverseSequence",
        .doc = "Turns round the first steps of each sequence of a batch.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "ReverseSequence", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
