/* plugins/movement/elements.c: reads or writes single elements whose place along one axis an index
 * names.
 *
 * ONNX: GatherElements, output[…, j, …] = data[…, indices[…, j, …], …]; ScatterElements,
 * output[…, indices[…, j, …], …] = f(output[…], updates[…, j, …]) on a copy of data; Scatter, its
 * first name. indices may be shorter than data along the other axes. Negative indices count from
 * the end.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- inference -------------------------------------------------------------------------- */

/* Answers the axis, or -1 when something is unknown or was complained about. */
static int32_t check_elements(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1];
    if (!move_check_rank(ctx, 0, "data", 1, TN_MAX_RANK) || !data || data->rank < 0)
        return -1;
    const int32_t axis = move_axis(ctx, tn_attr_int(ctx->node, "axis", 0), data->rank, "data");
    if (axis < 0 || !indices || indices->rank < 0)
        return -1;
    if (!move_check_rank(ctx, 1, "indices", data->rank, data->rank))
        return -1;
    for (int32_t k = 0; k < data->rank; k++) {
        if (k == axis || !tn_dim_known(data->dims[k]) || !tn_dim_known(indices->dims[k]) ||
            indices->dims[k] <= data->dims[k])
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'indices' has extent %lld on axis %d: expected at most "
                                 "%lld as in 'data'",
                                 (long long)indices->dims[k], (int)k, (long long)data->dims[k]);
        return -1;
    }
    return axis;
}

static tn_status infer_gather(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0];
    const int32_t axis = check_elements(ctx);
    TN_TRY(tn_infer_same(ctx, 0, 1));
    ctx->outputs[0].dtype = data ? data->dtype : TN_UNDEFINED;
    if (axis < 0)
        return TN_OK;
    move_check_indices(ctx, data->dims[axis], axis);
    return data->rank == 1 && (TN_BIT(data->dtype) & TN_MASK_INTEGER) ? move_gather_vector(ctx)
                                                                      : TN_OK;
}

static tn_status infer_scatter(tn_infer *ctx)
{
    const tn_type *data = ctx->inputs[0], *indices = ctx->inputs[1], *updates = ctx->inputs[2];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    const int32_t axis = check_elements(ctx);
    if (!scatter_check(ctx) || axis < 0)
        return TN_OK;
    move_check_indices(ctx, data->dims[axis], axis);
    if (!move_check_rank(ctx, 2, "updates", data->rank, data->rank) || !updates ||
        updates->rank < 0)
        return TN_OK;
    for (int32_t k = 0; k < data->rank; k++) {
        if (ctx->call.host->dim_equal(&ctx->call, indices->dims[k], updates->dims[k]) != TN_NO)
            continue;
        if (tn_dim_known(indices->dims[k]) && tn_dim_known(updates->dims[k]))
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                     "input 'updates' has extent %lld on axis %d: expected %lld "
                                     "as in 'indices'",
                                     (long long)updates->dims[k], (int)k,
                                     (long long)indices->dims[k]);
        else
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                     "input 'updates' differs from 'indices' on axis %d: expected "
                                     "the same shape",
                                     (int)k);
        return TN_OK;
    }
    return data->rank == 1 && scatter_reduction(ctx->node) == SCATTER_NONE &&
                   (TN_BIT(data->dtype) & TN_MASK_INTEGER)
               ? scatter_vector(ctx)
               : TN_OK;
}

/* ---- kernels ---------------------------------------------------------------------------- */

/* Axes before and behind the one of the indices, in both shapes. */
typedef struct element_job {
    tn_run *ctx;
    const tn_tensor *data, *indices, *updates;
    tn_tensor *out;
    int32_t axis, rank;
    int reduction;
    int same_inner;           /* the axes behind are equally long */
    int64_t extent;           /* of data along the axis */
    int64_t inner, own_inner; /* elements behind the axis: of indices, of data */
    int64_t count;            /* of indices along the axis */
} element_job;

static tn_status set_job(tn_run *ctx, element_job *job)
{
    const tn_tensor *data = ctx->inputs[0], *indices = ctx->inputs[1];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 0), data->rank);
    *job = (element_job){ .ctx = ctx,
                          .data = data,
                          .indices = indices,
                          .out = ctx->outputs[0],
                          .axis = axis,
                          .rank = data->rank,
                          .same_inner = 1 };
    if (axis < 0 || indices->rank != data->rank)
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'indices' has rank %d: expected %d",
                       (int)indices->rank, (int)data->rank);
    for (int32_t k = 0; k < data->rank; k++) {
        if (k != axis && indices->dims[k] > data->dims[k])
            return tn_fail(ctx, TN_ERR_SHAPE,
                           "input 'indices' has extent %lld on axis %d: expected at most %lld as "
                           "in 'data'",
                           (long long)indices->dims[k], (int)k, (long long)data->dims[k]);
        job->same_inner = job->same_inner && (k <= axis || indices->dims[k] == data->dims[k]);
    }
    job->extent = data->dims[axis];
    job->count = indices->dims[axis];
    job->inner = tn_extent(indices->dims, axis + 1, data->rank);
    job->own_inner = tn_extent(data->dims, axis + 1, data->rank);
    return TN_OK;
}

/* Number `at` among axes [begin, end) of indices, as the number among those of data. */
static int64_t place_of(const element_job *job, int32_t begin, int32_t end, int64_t at)
{
    int64_t place = 0, step = 1;
    for (int32_t k = end - 1; k >= begin; k--) {
        place += at % job->indices->dims[k] * step;
        at /= job->indices->dims[k];
        step *= job->data->dims[k];
    }
    return place;
}

/* The first element of data in front of whose axis number `outer` of indices stands. */
static int64_t base_of(const element_job *job, int64_t outer)
{
    return place_of(job, 0, job->axis, outer) * job->extent * job->own_inner;
}
static int64_t inner_of(const element_job *job, int64_t column)
{
    return job->same_inner ? column : place_of(job, job->axis + 1, job->rank, column);
}

static tn_status outside(const element_job *job, int64_t i)
{
    return tn_fail(job->ctx, TN_ERR_VALUE, "indices[%lld] is %lld, outside [%lld, %lld)",
                   (long long)i, (long long)move_index(job->indices, i), (long long)-job->extent,
                   (long long)job->extent);
}

/* Elements [begin, end) of the output, all with the same number in front of the axis. What the loop
 * needs of the job is copied first: its stores may alias anything. */
#define GATHER(name, type)                                                                         \
    static int64_t name(const element_job *job, int64_t base, int64_t begin, int64_t end)          \
    {                                                                                              \
        const type *from = (const type *)job->data->data + base;                                   \
        type *to = (type *)job->out->data;                                                         \
        const tn_tensor indices = *job->indices;                                                   \
        const int64_t extent = job->extent, inner = job->inner, own_inner = job->own_inner;        \
        const int same = job->same_inner;                                                          \
        int64_t column = begin % inner;                                                            \
        for (int64_t i = begin; i < end; i++) {                                                    \
            const int64_t at = move_wrap(move_index(&indices, i), extent);                         \
            if (at < 0)                                                                            \
                return i;                                                                          \
            to[i] = from[at * own_inner + (same ? column : inner_of(job, column))];                \
            column = column + 1 == inner ? 0 : column + 1;                                         \
        }                                                                                          \
        return -1;                                                                                 \
    }
GATHER(gather_1, move_1)
GATHER(gather_2, move_2)
GATHER(gather_4, move_4)
GATHER(gather_8, move_8)
GATHER(gather_16, move_16)

static tn_status gather_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const element_job *job = user;
    const int64_t each = job->count * job->inner;
    (void)thread;
    for (int64_t i = begin; i < end;) {
        const int64_t outer = i / each, base = base_of(job, outer);
        const int64_t stop = (outer + 1) * each < end ? (outer + 1) * each : end;
        int64_t wrong;
        switch (tn_dtype_bits(job->data->dtype) / 8) {
        case 1: wrong = gather_1(job, base, i, stop); break;
        case 2: wrong = gather_2(job, base, i, stop); break;
        case 4: wrong = gather_4(job, base, i, stop); break;
        case 8: wrong = gather_8(job, base, i, stop); break;
        default: wrong = gather_16(job, base, i, stop); break;
        }
        if (wrong >= 0)
            return outside(job, wrong);
        i = stop;
    }
    return TN_OK;
}

static tn_status run_gather(tn_run *ctx, const void *state, void *slot)
{
    element_job job;
    (void)state, (void)slot;
    TN_TRY(set_job(ctx, &job));
    if (tn_count(job.out) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.out), 8192, gather_chunk, &job);
}

/* Lanes along the axis: those of columns [first, last) behind one number in front. Two lanes write
 * to no common place, and within one the order is that of the indices. */
#define SCATTER(name, type)                                                                        \
    static int64_t name(const element_job *job, int64_t outer, int64_t first, int64_t last)        \
    {                                                                                              \
        type *to = (type *)job->out->data + base_of(job, outer);                                   \
        const type *from = (const type *)job->updates->data;                                       \
        const tn_tensor indices = *job->indices;                                                   \
        const int64_t extent = job->extent, inner = job->inner, own_inner = job->own_inner;        \
        const int64_t count = job->count;                                                          \
        const int same = job->same_inner;                                                          \
        for (int64_t j = 0; j < count; j++) {                                                      \
            const int64_t row = (outer * count + j) * inner;                                       \
            for (int64_t column = first; column < last; column++) {                                \
                const int64_t at = move_wrap(move_index(&indices, row + column), extent);          \
                if (at < 0)                                                                        \
                    return row + column;                                                           \
                to[at * own_inner + (same ? column : inner_of(job, column))] = from[row + column]; \
            }                                                                                      \
        }                                                                                          \
        return -1;                                                                                 \
    }
SCATTER(scatter_1, move_1)
SCATTER(scatter_2, move_2)
SCATTER(scatter_4, move_4)
SCATTER(scatter_8, move_8)
SCATTER(scatter_16, move_16)

static int64_t reduce_lanes(const element_job *job, int64_t outer, int64_t first, int64_t last)
{
    const int64_t base = base_of(job, outer);
    for (int64_t j = 0; j < job->count; j++) {
        const int64_t row = (outer * job->count + j) * job->inner;
        for (int64_t column = first; column < last; column++) {
            const int64_t at = move_wrap(move_index(job->indices, row + column), job->extent);
            if (at < 0)
                return row + column;
            scatter_combine(job->reduction, job->out->dtype, job->out->data,
                            base + at * job->own_inner + inner_of(job, column), job->updates->data,
                            row + column, 1);
        }
    }
    return -1;
}

static int64_t scatter_lanes(const element_job *job, int64_t outer, int64_t first, int64_t last)
{
    if (job->reduction != SCATTER_NONE)
        return reduce_lanes(job, outer, first, last);
    switch (tn_dtype_bits(job->out->dtype) / 8) {
    case 1: return scatter_1(job, outer, first, last);
    case 2: return scatter_2(job, outer, first, last);
    case 4: return scatter_4(job, outer, first, last);
    case 8: return scatter_8(job, outer, first, last);
    default: return scatter_16(job, outer, first, last);
    }
}

static tn_status scatter_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const element_job *job = user;
    (void)thread;
    for (int64_t lane = begin; lane < end;) {
        const int64_t outer = lane / job->inner, first = lane % job->inner;
        const int64_t left = end - lane;
        const int64_t last = first + left < job->inner ? first + left : job->inner;
        const int64_t wrong = scatter_lanes(job, outer, first, last);
        if (wrong >= 0)
            return outside(job, wrong);
        lane += last - first;
    }
    return TN_OK;
}

static tn_status run_scatter(tn_run *ctx, const void *state, void *slot)
{
    element_job job;
    (void)slot;
    TN_TRY(set_job(ctx, &job));
    job.updates = ctx->inputs[2];
    job.reduction = scatter_reduction(ctx->node);
    if (tn_count(job.updates) != tn_count(job.indices))
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'updates' has %lld elements: expected %lld",
                       (long long)tn_count(job.updates), (long long)tn_count(job.indices));
    TN_TRY(scatter_start(ctx, state));
    if (tn_count(job.indices) == 0)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.indices) / job.count,
                                        1 + 8192 / job.count, scatter_chunk, &job);
}

/* ---- Scatter ---------------------------------------------------------------------------- */

static tn_status rename_scatter(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *old = ctx->api->node(ctx->graph, node);
    const tn_value_id inputs[] = { old->inputs[0], old->inputs[1], old->inputs[2] };
    const tn_value_id output = old->outputs[0];
    const tn_attribute axis = {
        .size = sizeof axis, .type = TN_ATTR_INT, .name = "axis", .i = tn_attr_int(old, "axis", 0)
    };
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = old->region,
                                .name = old->name,
                                .op = "ScatterElements",
                                .inputs = inputs,
                                .input_count = 3,
                                .output_count = 1,
                                .attributes = &axis,
                                .attribute_count = 1,
                                .before = node,
                                .trace = node };
    tn_node_id made;
    TN_TRY(ctx->api->add_node(ctx->graph, &desc, &made));
    TN_TRY(ctx->api->replace(ctx->graph, output, ctx->api->node(ctx->graph, made)->outputs[0]));
    return ctx->api->remove_node(ctx->graph, node);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def gather_inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "Where to read; of rank 1 at least." },
    { "indices", "Tind", MOVE_INDEX, 0, 0, "Places along the axis; negative from the end." },
};
static const tn_param_def gather_outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "The elements, in the shape of the indices." },
};
static const tn_param_def scatter_inputs[] = {
    { "data", "T", MOVE_TYPES, 0, 0, "What the output starts as; of rank 1 at least." },
    { "indices", "Tind", MOVE_INDEX, 0, 0, "Places along the axis; negative from the end." },
    { "updates", "T", MOVE_TYPES, 0, 0, "What goes there, in the shape of the indices." },
};
static const tn_param_def scatter_outputs[] = {
    { "output", "T", MOVE_TYPES, 0, 0, "data with the updates." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "The axis of the indices; negative counts from the end." },
    SCATTER_REDUCTION,
};

static tn_status add_gather(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 11,
        .name = "GatherElements",
        .doc = "Reads single elements whose place along an axis an index names.",
        .inputs = gather_inputs,
        .input_count = 2,
        .outputs = gather_outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
        .infer = infer_gather,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "GatherElements",
                                   .run = run_gather,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status elements_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 18,
        .accepts_from = 11,
        .name = "ScatterElements",
        .doc = "Writes single elements to places that an index along an axis names.",
        .inputs = scatter_inputs,
        .input_count = 3,
        .outputs = scatter_outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 2,
        .traits = TN_MAY_FAIL,
        .infer = infer_scatter,
        .cost = move_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "ScatterElements",
                                   .state_bytes = sizeof(scatter_state),
                                   .measure = scatter_measure,
                                   .prepare = scatter_prepare,
                                   .run = run_scatter,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_gather(registrar));
    TN_TRY(registrar->add_operator(registrar, &op));
    TN_TRY(registrar->add_kernel(registrar, &kernel));
    op.since = 11;
    op.accepts_from = 9;
    op.name = "Scatter";
    op.doc = "ScatterElements under its first name; deprecated since set 11.";
    op.attribute_count = 1;
    op.expand = rename_scatter;
    return registrar->add_operator(registrar, &op);
}
