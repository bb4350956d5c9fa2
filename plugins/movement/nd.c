/* plugins/movement/nd.c: reads or writes slices whose place on the first axes a tuple of indices
 * names.
 *
 * ONNX: GatherND, output[b…, j…, k…] = data[b…, indices[b…, j…, :], k…] with batch_dims axes b;
 * ScatterND, output[indices[j…, :], k…] = f(output[…], updates[j…, k…]) on a copy of data.
 * Negative indices count from the end.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* Length of the tuples in a shape, -1 where it is not known; complains where it cannot be. */
static int64_t tuple_length(tn_infer *ctx, int32_t batch)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1];
    if (!move_check_rank(ctx, 0, "data", 1, TN_MAX_RANK) ||
        !move_check_rank(ctx, 1, "indices", 1, TN_MAX_RANK) || !data || !indices ||
        data->rank < 0 || indices->rank < 0)
        return -1;
    const tn_dim length = indices->dims[indices->rank - 1];
    if (batch < 0 || batch >= data->rank || batch >= indices->rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "batch_dims",
                                 "batch_dims is %d: expected at least 0 and less than the ranks "
                                 "%d and %d",
                                 (int)batch, (int)data->rank, (int)indices->rank);
        return -1;
    }
    if (!tn_dim_known(length) || (length >= 1 && length <= data->rank - batch))
        return tn_dim_known(length) ? length : -1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                             "the last extent of input 'indices' is %lld: expected 1 to %d, the "
                             "axes of 'data'%s",
                             (long long)length, (int)(data->rank - batch),
                             batch ? " behind the batch" : "");
    return -1;
}

static int32_t batch_of(const tn_node_view *node)
{
    const int64_t batch = tn_attr_int(node, "batch_dims", 0);
    return batch < 0 || batch > TN_MAX_RANK ? -1 : (int32_t)batch;
}

static tn_status infer_gather(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1];
    const int32_t batch = batch_of(ctx->node);
    tn_type *out = &ctx->outputs[0];
    const int64_t length = tuple_length(ctx, batch);
    if (length < 0)
        return TN_OK;
    const int32_t lead = indices->rank - 1, rest = batch + (int32_t)length;
    for (int32_t k = 0; k < batch; k++) {
        if (ctx->call.host->dim_equal(&ctx->call, data->dims[k], indices->dims[k]) != TN_NO)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'indices' differs from 'data' on axis %d: expected equal "
                                 "extents on the %d of batch_dims",
                                 (int)k, (int)batch);
        return TN_OK;
    }
    if (lead + data->rank - rest > TN_MAX_RANK) {
        ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, 1, NULL,
                                 "the output would have rank %d: expected at most %d",
                                 (int)(lead + data->rank - rest), TN_MAX_RANK);
        return TN_OK;
    }
    out->rank = lead + data->rank - rest;
    for (int32_t k = 0; k < lead; k++)
        out->dims[k] = k < batch && !tn_dim_known(indices->dims[k]) ? data->dims[k]
                                                                    : indices->dims[k];
    for (int32_t k = rest; k < data->rank; k++)
        out->dims[lead + k - rest] = data->dims[k];
    return data->rank == 1 && (TN_BIT(data->dtype) & TN_MASK_INTEGER) ? move_gather_vector(ctx)
                                                                      : TN_OK;
}

/* updates has the shape that GatherND would give. Answers 0 after a complaint. */
static int check_updates(tn_infer *ctx, int32_t length)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1], *updates = ctx->inputs[2];
    const int32_t lead = indices->rank - 1, rank = lead + data->rank - length;
    if (!move_check_rank(ctx, 2, "updates", rank, rank))
        return 0;
    for (int32_t k = 0; updates && updates->rank == rank && k < rank; k++) {
        const tn_dim wanted = k < lead ? indices->dims[k] : data->dims[k - lead + length];
        if (!tn_dim_known(wanted) || !tn_dim_known(updates->dims[k]) || wanted == updates->dims[k])
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'updates' has extent %lld on axis %d: expected %lld as in "
                                 "'%s'",
                                 (long long)updates->dims[k], (int)k, (long long)wanted,
                                 k < lead ? "indices" : "data");
        return 0;
    }
    return 1;
}

static tn_status infer_scatter(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    const int64_t length = tuple_length(ctx, 0);
    if (!scatter_check(ctx) || length < 0 || !check_updates(ctx, (int32_t)length) ||
        data->rank > 1 || scatter_reduction(ctx->node) != SCATTER_NONE ||
        !(TN_BIT(data->dtype) & TN_MASK_INTEGER))
        return TN_OK;
    return scatter_vector(ctx);
}

/* ---- kernels ---------------------------------------------------------------------------- */

typedef struct nd_job {
    tn_run *ctx;
    const tn_tensor *data, *indices, *updates;
    tn_tensor *out;
    int32_t length; /* of a tuple */
    int32_t batch;  /* axes */
    int reduction;
    int64_t tuples; /* all, */
    int64_t each;   /* and of one batch */
    int64_t places; /* slices of data in one batch */
    int64_t slice;  /* elements */
    size_t width;   /* bytes of an element */
} nd_job;

static tn_status set_job(tn_run *ctx, nd_job *job)
{
    const tn_tensor *data = ctx->inputs[0], *indices = ctx->inputs[1];
    const int32_t batch = batch_of(ctx->node), lead = indices->rank - 1;
    const int64_t length = lead < 0 ? 0 : indices->dims[lead];
    if (batch < 0 || lead < batch || length < 1 || length > data->rank - batch)
        return tn_fail(ctx, TN_ERR_SHAPE, "tuples of %lld indices fit no input of rank %d",
                       (long long)length, (int)data->rank);
    *job = (nd_job){ .ctx = ctx,
                     .data = data,
                     .indices = indices,
                     .out = ctx->outputs[0],
                     .length = (int32_t)length,
                     .batch = batch,
                     .tuples = tn_extent(indices->dims, 0, lead),
                     .each = tn_extent(indices->dims, batch, lead),
                     .places = tn_extent(data->dims, batch, batch + (int32_t)length),
                     .slice = tn_extent(data->dims, batch + (int32_t)length, data->rank),
                     .width = tn_dtype_bits(data->dtype) / 8 };
    return TN_OK;
}

static tn_status outside(const nd_job *job, int64_t i)
{
    const int64_t extent = job->data->dims[job->batch + i % job->length];
    return tn_fail(job->ctx, TN_ERR_VALUE, "indices[%lld] is %lld, outside [%lld, %lld)",
                   (long long)i, (long long)move_index(job->indices, i), (long long)-extent,
                   (long long)extent);
}

static tn_status gather_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const nd_job *job = user;
    const size_t bytes = (size_t)job->slice * job->width;
    int64_t wrong = 0;
    (void)thread;
    for (int64_t t = begin; t < end; t++) {
        const int64_t place = move_tuple(job->indices, t * job->length, job->length,
                                         job->data->dims + job->batch, &wrong);
        if (place < 0)
            return outside(job, wrong);
        memcpy((char *)job->out->data + (size_t)t * bytes,
               (const char *)job->data->data +
                   (size_t)(t / job->each * job->places + place) * bytes,
               bytes);
    }
    return TN_OK;
}

static tn_status run_gather(tn_run *ctx, const void *state, void *slot)
{
    nd_job job;
    (void)state, (void)slot;
    TN_TRY(set_job(ctx, &job));
    if (tn_count(job.out) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, job.tuples,
                                        1 + 32768 / ((int64_t)job.width * job.slice + 8),
                                        gather_chunk, &job);
}

/* Elements [begin, end) of every slice: tuples may name one place twice, columns do not meet. */
static tn_status scatter_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const nd_job *job = user;
    int64_t wrong = 0;
    (void)thread;
    for (int64_t t = 0; t < job->tuples; t++) {
        const int64_t place = move_tuple(job->indices, t * job->length, job->length,
                                         job->data->dims, &wrong);
        if (place < 0)
            return outside(job, wrong);
        scatter_combine(job->reduction, job->out->dtype, job->out->data, place * job->slice + begin,
                        job->updates->data, t * job->slice + begin, end - begin);
    }
    return TN_OK;
}

static tn_status run_scatter(tn_run *ctx, const void *state, void *slot)
{
    nd_job job;
    (void)slot;
    TN_TRY(set_job(ctx, &job));
    job.updates = ctx->inputs[2];
    job.reduction = scatter_reduction(ctx->node);
    if (tn_count(job.updates) != job.tuples * job.slice)
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'updates' has %lld elements: expected %lld",
                       (long long)tn_count(job.updates), (long long)(job.tuples * job.slice));
    TN_TRY(scatter_start(ctx, state));
    if (tn_count(job.updates) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, job.slice, 64 + 32768 / job.tuples,
                                        scatter_chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def gather_inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "Where to read; of rank 1 at least." },
    { "indices", NULL, TN_BIT(TN_INT64), 0, 0, "Tuples of indices on the last axis." },
};
static const tn_param_def scatter_inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "What the output starts as; of rank 1 at least." },
    { "indices", NULL, TN_BIT(TN_INT64), 0, 0, "Tuples of indices on the last axis." },
    { "updates", "T", MOVE_TYPES, 0, 0, "The slices that go there." },
};
static const tn_param_def outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "The slices read, or data with the updates." },
};
static const tn_attribute_def gather_attributes[] = {
    { .name = "batch_dims",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "Leading axes that data and indices have in common." },
};
static const tn_attribute_def scatter_attributes[] = {
    SCATTER_REDUCTION,
};

static tn_status add_gather(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 11,
        .name = "GatherND",
        .doc = "Reads slices whose place on the first axes a tuple of indices names.",
        .inputs = gather_inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = gather_attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer_gather,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "GatherND",
                                   .run = run_gather,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status nd_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 18,
        .accepts_from = 11,
        .name = "ScatterND",
        .doc = "Writes slices to places on the first axes that a tuple of indices names.",
        .inputs = scatter_inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = scatter_attributes,
        .attribute_count = 1,
        .traits = TN_MAY_FAIL,
        .infer = infer_scatter,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "ScatterND",
                                   .state_bytes = sizeof(scatter_state),
                                   .measure = scatter_measure,
                                   .prepare = scatter_prepare,
                                   .run = run_scatter,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_gather(registrar));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
