/* plugins/selection/unique.c: the different elements of a tensor, or slices along an axis.
 *
 * ONNX: Unique. Sorted in ascending order (slices by their first element that differs), or in that
 * of their first occurrence; with the index of that occurrence, the number in Y of each element,
 * and how often each occurs. NaN is equal to itself and comes last; -0 is equal to 0.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

/* ---- inference -------------------------------------------------------------------------- */

/* A vector that only running tells the length of. */
static void late_vector(tn_infer *ctx, uint32_t k)
{
    if (k >= ctx->output_count)
        return;
    ctx->outputs[k].dtype = TN_INT64;
    ctx->outputs[k].flags = TN_TYPE_LATE;
    ctx->outputs[k].rank = 1;
    ctx->outputs[k].dims[0] = TN_DIM_UNKNOWN;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const tn_attribute *given = tn_attr(ctx->node, "axis");
    const int64_t sorted = tn_attr_int(ctx->node, "sorted", 1);
    tn_type *y = &ctx->outputs[0];
    y->flags = TN_TYPE_LATE;
    for (uint32_t k = 1; k < 4; k++)
        late_vector(ctx, k);
    if (sorted != 0 && sorted != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "sorted",
                                 "sorted is %lld: expected 0 or 1", (long long)sorted);
    if (!given) {
        y->rank = 1;
        y->dims[0] = TN_DIM_UNKNOWN;
    } else if (x && x->rank >= 0) {
        const int32_t axis = select_axis(ctx, given->i, x->rank, "X");
        TN_TRY(tn_infer_same(ctx, 0, 0));
        y->flags = TN_TYPE_LATE;
        if (axis >= 0)
            y->dims[axis] = TN_DIM_UNKNOWN;
    }
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct unique_job {
    const tn_tensor *x;
    int64_t outer, extent, inner; /* extent: elements, or slices along the axis */
    int64_t *order;               /* their numbers, sorted; then, by element, its number in Y */
    int64_t *room;                /* for merging; then the first occurrence of each in Y */
    int64_t *same;                /* by element: the first one that is equal to it */
} unique_job;

static int compare(const unique_job *job, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < job->outer; o++) {
        const int64_t at = o * job->extent;
        for (int64_t i = 0; i < job->inner; i++) {
            const int order = select_compare(job->x, (at + a) * job->inner + i,
                                             (at + b) * job->inner + i);
            if (order)
                return order;
        }
    }
    return 0;
}

/* Merges two sorted neighbours; of equal ones the left comes first. */
static void merge(const unique_job *job, const int64_t *from, int64_t *to, int64_t begin,
                  int64_t middle, int64_t end)
{
    int64_t left = begin, right = middle;
    for (int64_t k = begin; k < end; k++) {
        const int take_left = right >= end ||
                              (left < middle && compare(job, from[left], from[right]) <= 0);
        to[k] = take_left ? from[left++] : from[right++];
    }
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Bottom up, so that the stack stays as it is. */
static void sort(unique_job *job)
{
    for (int64_t i = 0; i < job->extent; i++)
        job->order[i] = i;
    for (int64_t step = 1; step < job->extent; step *= 2) {
        for (int64_t at = 0; at < job->extent; at += 2 * step)
            merge(job, job->order, job->room, at, lesser(at + step, job->extent),
                  lesser(at + 2 * step, job->extent));
        int64_t *const sorted = job->room;
        job->room = job->order;
        job->order = sorted;
    }
}

/* Finds the different ones; answers how many. room[k] then is the first occurrence of number k of
 * Y, order[i] the number of element i. */
static int64_t number(unique_job *job, int sorted)
{
    int64_t count = 0;
    for (int64_t k = 0; k < job->extent; k++) {
        const int64_t i = job->order[k];
        const int fresh = k == 0 || compare(job, job->order[k - 1], i) != 0;
        job->same[i] = fresh ? i : job->same[job->order[k - 1]];
        if (fresh && sorted)
            job->room[count++] = i;
    }
    for (int64_t i = 0; !sorted && i < job->extent; i++) {
        if (job->same[i] == i)
            job->room[count++] = i;
    }
    for (int64_t k = 0; k < count; k++)
        job->order[job->room[k]] = k;
    for (int64_t i = 0; i < job->extent; i++)
        job->order[i] = job->order[job->same[i]];
    return count;
}

/* Makes output k, a vector, where it is wanted. */
static tn_status make_vector(tn_run *ctx, uint32_t k, int64_t length, int64_t **out)
{
    *out = NULL;
    if (k >= ctx->output_count || !ctx->outputs[k])
        return TN_OK;
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, k, 1, &length));
    *out = ctx->outputs[k]->data;
    return TN_OK;
}

static tn_status give_vectors(tn_run *ctx, const unique_job *job, int64_t count)
{
    int64_t *first, *inverse, *counts;
    TN_TRY(make_vector(ctx, 1, count, &first));
    TN_TRY(make_vector(ctx, 2, job->extent, &inverse));
    TN_TRY(make_vector(ctx, 3, count, &counts));
    for (int64_t k = 0; k < count; k++) {
        if (first)
            first[k] = job->room[k];
        if (counts)
            counts[k] = 0;
    }
    for (int64_t i = 0; i < job->extent; i++) {
        if (inverse)
            inverse[i] = job->order[i];
        if (counts)
            counts[job->order[i]]++;
    }
    return TN_OK;
}

static tn_status give_values(tn_run *ctx, const unique_job *job, const int64_t *dims, int32_t rank,
                             int64_t count)
{
    const size_t slice = (size_t)job->inner * (tn_dtype_bits(job->x->dtype) / 8);
    if (!ctx->outputs[0])
        return TN_OK;
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, rank, dims));
    for (int64_t o = 0; slice && o < job->outer; o++) {
        for (int64_t k = 0; k < count; k++)
            memcpy((char *)ctx->outputs[0]->data + (size_t)(o * count + k) * slice,
                   (const char *)job->x->data + (size_t)(o * job->extent + job->room[k]) * slice,
                   slice);
    }
    return TN_OK;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *x = ctx->problem->inputs[0];
    const tn_attribute *given = tn_attr(ctx->problem->node, "axis");
    size_t count = 1;
    (void)state;
    for (int32_t axis = 0; axis < x->rank; axis++) {
        if (given && axis != tn_axis(given->i, x->rank))
            continue;
        if (!tn_dim_known(x->dims[axis]))
            return tn_fail(ctx, TN_ERR_SHAPE, "the number of elements is not known");
        count *= (size_t)x->dims[axis];
    }
    ctx->alternatives[0].scratch_bytes = 3 * count * sizeof(int64_t);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const tn_attribute *given = tn_attr(ctx->node, "axis");
    const int32_t axis = given ? tn_axis(given->i, x->rank) : 0;
    unique_job job = { .x = x, .outer = 1, .extent = tn_count(x), .inner = 1 };
    int64_t dims[TN_MAX_RANK] = { 0 };
    (void)state, (void)slot;
    if (given) {
        job.outer = tn_extent(x->dims, 0, axis);
        job.extent = x->dims[axis];
        job.inner = tn_extent(x->dims, axis + 1, x->rank);
    }
    job.order = ctx->scratch;
    job.room = job.order + job.extent;
    job.same = job.room + job.extent;
    if (job.extent > 0)
        sort(&job);
    const int64_t count = job.extent > 0 ? number(&job, tn_attr_int(ctx->node, "sorted", 1) != 0)
                                         : 0;
    for (int32_t k = 0; given && k < x->rank; k++)
        dims[k] = x->dims[k];
    dims[axis] = count;
    TN_TRY(give_values(ctx, &job, dims, given ? x->rank : 1, count));
    return give_vectors(ctx, &job, count);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "X", "T", SELECT_OLD_TYPES, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = {
    { "Y", "T", SELECT_OLD_TYPES, 0, 0, "The different elements, or slices." },
    { "indices", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "Where each occurs first." },
    { "inverse_indices", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "For each element of X its number in Y." },
    { "counts", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "How often each occurs." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .doc = "The axis of the slices; negative counts from the end. Absent: single elements." },
    { .name = "sorted",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: ascending; 0: in the order of first occurrence." },
};

tn_status unique_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 11,
        .name = "Unique",
        .doc = "The different elements of a tensor, or slices along an axis.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 4,
        .attributes = attributes,
        .attribute_count = 2,
        .infer = infer,
        .cost = select_cost,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Unique",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
