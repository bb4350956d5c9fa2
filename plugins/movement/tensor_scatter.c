/* plugins/movement/tensor_scatter.c: writes the newest rows into a cache.
 *
 * ONNX: TensorScatter. For each sample b of the batch, rows write_indices[b], … along `axis` become
 * those of `update`: in mode linear they must fit, in mode circular they go round.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

static int is_circular(const tn_node_view *node)
{
    return strcmp(tn_attr_string(node, "mode", "linear"), "circular") == 0;
}

/* ---- inference -------------------------------------------------------------------------- */

/* The axis, or -1 after a complaint. */
static int32_t cache_axis(tn_infer *ctx, int32_t rank)
{
    const int64_t given = tn_attr_int(ctx->node, "axis", -2);
    const int32_t axis = move_axis(ctx, given, rank, "past_cache");
    if (axis != 0)
        return axis;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                             "axis is %lld, the batch: expected one behind it", (long long)given);
    return -1;
}

static void check_update(tn_infer *ctx, const tn_type *cache, const tn_type *update, int32_t axis)
{
    for (int32_t k = 0; k < cache->rank; k++) {
        const tn_dim had = update->dims[k], room = cache->dims[k];
        if (!tn_dim_known(had) || !tn_dim_known(room) || (k == axis ? had <= room : had == room))
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'update' has extent %lld on axis %d: expected %s%lld as in "
                                 "'past_cache'",
                                 (long long)had, (int)k, k == axis ? "at most " : "",
                                 (long long)room);
        return;
    }
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *cache = ctx->inputs[0], *update = ctx->inputs[1];
    const char *mode = tn_attr_string(ctx->node, "mode", "linear");
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (strcmp(mode, "linear") != 0 && !is_circular(ctx->node))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "mode",
                                 "mode is '%s': expected linear or circular", mode);
    if (!cache || cache->rank < 0 || !move_check_rank(ctx, 0, "past_cache", 2, TN_MAX_RANK) ||
        !move_check_rank(ctx, 1, "update", cache->rank, cache->rank) ||
        !move_check_rank(ctx, 2, "write_indices", 1, 1))
        return TN_OK;
    const int32_t axis = cache_axis(ctx, cache->rank);
    if (axis < 0 || !update || update->rank < 0)
        return TN_OK;
    check_update(ctx, cache, update, axis);
    const int64_t samples = move_length(ctx, 2);
    if (samples >= 0 && tn_dim_known(cache->dims[0]) && samples != cache->dims[0])
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'write_indices' has %lld elements: expected %lld, the "
                                 "batch of 'past_cache'",
                                 (long long)samples, (long long)cache->dims[0]);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 2)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct cache_job {
    const tn_tensor *update, *starts;
    tn_tensor *out;
    int64_t each;         /* numbers in front of the axis, for each sample */
    int64_t room, length; /* rows of the cache, of the update */
    int64_t row;          /* elements of a row */
} cache_job;

/* Where the first row goes; it was checked for mode linear. */
static int64_t first_row(const cache_job *job, int64_t sample)
{
    const int64_t start = job->starts ? move_index(job->starts, sample) : 0;
    return (start % job->room + job->room) % job->room;
}

static void copy_rows(const cache_job *job, int64_t to, int64_t from, int64_t rows)
{
    const uint32_t bits = tn_dtype_bits(job->out->dtype);
    const int64_t n = rows * job->row;
    to *= job->row, from *= job->row;
    if (bits >= 8) {
        memcpy((char *)job->out->data + (size_t)to * (bits / 8),
               (const char *)job->update->data + (size_t)from * (bits / 8), (size_t)n * (bits / 8));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        tn_packed_set(job->out->data, bits, to + i,
                      tn_packed_get(job->update->data, bits, from + i));
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const cache_job *job = user;
    (void)thread;
    for (int64_t outer = begin; outer < end; outer++) {
        const int64_t first = first_row(job, outer / job->each);
        const int64_t fit = first + job->length > job->room ? job->room - first : job->length;
        copy_rows(job, outer * job->room + first, outer * job->length, fit);
        copy_rows(job, outer * job->room, outer * job->length + fit, job->length - fit);
    }
    return TN_OK;
}

static tn_status check_starts(tn_run *ctx, const cache_job *job)
{
    for (int64_t b = 0; job->starts && b < tn_count(job->starts); b++) {
        const int64_t start = move_index(job->starts, b);
        if (start < 0 || start > job->room - job->length)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "write_indices[%lld] is %lld: expected 0 to %lld, so that %lld rows fit "
                           "into %lld",
                           (long long)b, (long long)start, (long long)(job->room - job->length),
                           (long long)job->length, (long long)job->room);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *cache = ctx->inputs[0], *update = ctx->inputs[1];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -2), cache->rank);
    cache_job job = { .update = update,
                      .starts = ctx->input_count > 2 ? ctx->inputs[2] : NULL,
                      .out = ctx->outputs[0],
                      .each = tn_extent(cache->dims, 1, axis),
                      .room = cache->dims[axis],
                      .length = update->dims[axis],
                      .row = tn_extent(cache->dims, axis + 1, cache->rank) };
    (void)slot;
    const int64_t outer = tn_extent(cache->dims, 0, axis);
    if (tn_count(update) != outer * job.length * job.row || job.length > job.room ||
        (job.starts && tn_count(job.starts) != cache->dims[0]))
        return tn_fail(ctx, TN_ERR_SHAPE,
                       "input 'update' has %lld elements, %lld rows: they do not fit a cache of "
                       "%lld rows",
                       (long long)tn_count(update), (long long)job.length, (long long)job.room);
    TN_TRY(scatter_start(ctx, state));
    if (!is_circular(ctx->node))
        TN_TRY(check_starts(ctx, &job));
    if (tn_count(update) == 0)
        return TN_OK;
    /* 2- and 4-bit elements share bytes: on one thread. */
    if (tn_dtype_bits(cache->dtype) < 8)
        return chunk(&job, 0, outer, 0);
    return ctx->call.host->parallel_for(&ctx->call, outer, 1 + 16384 / (job.length * job.row),
                                        chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define CACHE_TYPES (TN_MASK_ALL & ~(TN_BIT(TN_UINT2) | TN_BIT(TN_INT2)))
static const tn_param_def inputs[] = {
    { "past_cache", "T", CACHE_TYPES, 0, 0, "The cache: batch, …, rows along the axis, …." },
    { "update", "T", CACHE_TYPES, 0, 0, "The newest rows; otherwise of the cache's shape." },
    { "write_indices", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "For each sample where its rows go; 0 if absent." },
};
static const tn_param_def outputs[] = {
    { "present_cache", "T", CACHE_TYPES, 0, 0, "The cache with the rows." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -2,
      .doc = "The axis of the rows; not the batch. Negative counts from the end." },
    { .name = "mode",
      .type = TN_ATTR_STRING,
      .flags = TN_ATTR_HAS_DEFAULT,
      .s = "linear",
      .doc = "linear, or circular: rows beyond the end go to the start." },
};

tn_status tensor_scatter_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 24,
        .name = "TensorScatter",
        .doc = "Writes the newest rows of each sample into a cache of fixed size.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer,
        .cost = move_cost,
        .samplewise = samplewise,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "TensorScatter",
                                   .state_bytes = sizeof(scatter_state),
                                   .measure = scatter_measure,
                                   .prepare = scatter_prepare,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
