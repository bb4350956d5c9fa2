/* plugins/selection/top_k.c: the largest or smallest elements along an axis, and where they stand.
 *
 * ONNX: TopK. Of equal elements the one with the lower index comes first. NaN is larger than all
 * numbers, as in the standard's reference implementation. With sorted = 0 any order is allowed:
 * this one sorts all the same. Set 1 has k as an attribute.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

/* ---- inference -------------------------------------------------------------------------- */

/* The number of elements asked for, as an extent; complains where there cannot be as many. */
static tn_dim wanted(tn_infer *ctx, tn_dim extent, int32_t axis)
{
    tn_dim k[2];
    const int64_t count = ctx->call.host->input_elements(&ctx->call, 1, k, 2);
    const tn_type *type = ctx->input_count > 1 ? ctx->inputs[1] : NULL;
    if (type && type->rank == 1 && tn_dim_known(type->dims[0]) && type->dims[0] != 1) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'K' has %lld elements: expected one",
                                 (long long)type->dims[0]);
        return TN_DIM_UNKNOWN;
    }
    if (count != 1 || !tn_dim_known(k[0]))
        return count == 1 ? k[0] : TN_DIM_UNKNOWN;
    if (k[0] >= 0 && (!tn_dim_known(extent) || k[0] <= extent))
        return k[0];
    if (tn_dim_known(extent))
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "K is %lld: expected 0 to %lld, the extent of axis %d",
                                 (long long)k[0], (long long)extent, (int)axis);
    else
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "K is %lld: expected at least 0", (long long)k[0]);
    return TN_DIM_UNKNOWN;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    tn_type *values = &ctx->outputs[0];
    if (ctx->output_count > 1)
        ctx->outputs[1].dtype = TN_INT64;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank == 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank 0: expected an axis to select along");
        return TN_OK;
    }
    const int32_t axis = select_axis(ctx, tn_attr_int(ctx->node, "axis", -1), x->rank, "X");
    if (axis < 0)
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, 0));
    values->dims[axis] = wanted(ctx, x->dims[axis], axis);
    if (ctx->output_count > 1) {
        ctx->outputs[1] = *values;
        ctx->outputs[1].dtype = TN_INT64;
    }
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    if (!x || x->rank < 2 || tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank) < 1)
        return TN_NO_MATCH;
    input_axes[0] = 0;
    input_axes[1] = -1;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* An element in the running: a higher key wins, then the lower index. */
typedef struct entry {
    uint64_t key;
    int64_t index;
} entry;

typedef struct top_job {
    const tn_tensor *x;
    tn_tensor *values, *indices; /* NULL: not wanted */
    int64_t extent, k, inner;
    int largest;
    size_t width;
    entry *heaps; /* k for each thread */
} top_job;

static int loses(const entry *a, const entry *b)
{
    return a->key < b->key || (a->key == b->key && a->index > b->index);
}

/* Lets the entry at `at` sink until both below it win against it: the root is the weakest. */
static void sink(entry *heap, int64_t count, int64_t at)
{
    const entry moved = heap[at];
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && loses(&heap[child + 1], &heap[child]))
            child++;
        if (!loses(&heap[child], &moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* The k strongest of one lane, the strongest first. */
static void select_lane(const top_job *job, int64_t first, entry *heap)
{
    const uint64_t flip = job->largest ? 0 : UINT64_MAX;
    for (int64_t i = 0; i < job->extent; i++) {
        const entry e = { select_key(job->x->dtype, job->x->data, first + i * job->inner) ^ flip,
                          i };
        if (i < job->k) {
            heap[i] = e;
            for (int64_t at = i == job->k - 1 ? job->k / 2 - 1 : -1; at >= 0; at--)
                sink(heap, job->k, at);
        } else if (e.key > heap[0].key) { /* an equal one came first */
            heap[0] = e;
            sink(heap, job->k, 0);
        }
    }
    for (int64_t left = job->k - 1; left > 0; left--) {
        const entry weakest = heap[0];
        heap[0] = heap[left];
        heap[left] = weakest;
        sink(heap, left, 0);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const top_job *job = user;
    entry *heap = job->heaps + (int64_t)thread * job->k;
    for (int64_t lane = begin; lane < end; lane++) {
        const int64_t outer = lane / job->inner, column = lane % job->inner;
        const int64_t from = outer * job->extent * job->inner + column;
        select_lane(job, from, heap);
        for (int64_t i = 0; i < job->k; i++) {
            const int64_t to = (outer * job->k + i) * job->inner + column;
            if (job->values)
                memcpy((char *)job->values->data + (size_t)to * job->width,
                       (const char *)job->x->data +
                           (size_t)(from + heap[i].index * job->inner) * job->width,
                       job->width);
            if (job->indices)
                ((int64_t *)job->indices->data)[to] = heap[i].index;
        }
    }
    return TN_OK;
}

static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_type *x = ctx->problem->inputs[0];
    (void)state;
    if (!x || x->rank < 1)
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'X' has no axis to select along");
    const int32_t axis = tn_axis(tn_attr_int(ctx->problem->node, "axis", -1), x->rank);
    const tn_type *out = ctx->problem->outputs[0] ? ctx->problem->outputs[0]
                                                  : ctx->problem->outputs[1];
    if (axis < 0 || !out || out->rank != x->rank || !tn_dim_known(out->dims[axis]))
        return tn_fail(ctx, TN_ERR_SHAPE, "the number of elements is not known");
    ctx->alternatives[0].scratch_bytes = (size_t)out->dims[axis] * sizeof(entry) *
                                         (ctx->problem->threads ? ctx->problem->threads : 1);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank);
    top_job job = { .x = x,
                    .values = ctx->outputs[0],
                    .indices = ctx->output_count > 1 ? ctx->outputs[1] : NULL,
                    .extent = x->dims[axis],
                    .inner = tn_extent(x->dims, axis + 1, x->rank),
                    .largest = tn_attr_int(ctx->node, "largest", 1) != 0,
                    .width = tn_dtype_bits(x->dtype) / 8,
                    .heaps = ctx->scratch };
    (void)state, (void)slot;
    job.k = (job.values ? job.values : job.indices)->dims[axis];
    if (job.k > job.extent)
        return tn_fail(ctx, TN_ERR_VALUE, "K is %lld: expected 0 to %lld, the extent of axis %d",
                       (long long)job.k, (long long)job.extent, (int)axis);
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(x->dims, 0, axis) * job.inner,
                                        1 + 4096 / job.extent, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_NUMERIC, 0, 0, "Where to select; of rank 1 at least." },
    { "K", NULL, TN_BIT(TN_INT64), 0, 0, "How many, one element." },
};
static const tn_param_def outputs[] = {
    { "Values", "T", TN_MASK_NUMERIC, 0, 0, "The selected, the first one first." },
    { "Indices", "I", TN_BIT(TN_INT64), 0, 0, "Where they stand along the axis." },
};
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "The axis to select along; negative counts from the end." },
    { .name = "largest",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: the largest; 0: the smallest." },
    { .name = "sorted",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "1: in order; 0: in any order, here in order, too." },
};
static const tn_attribute_def attributes_1[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "The axis to select along." },
    { .name = "k", .type = TN_ATTR_INT, .flags = TN_ATTR_REQUIRED, .doc = "How many." },
};

/* Attribute k becomes input K. */
static tn_status upgrade_1(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    int64_t k = tn_attr_int(view, "k", 0);
    static const int64_t one = 1;
    const tn_tensor tensor = { .size = sizeof tensor,
                               .dtype = TN_INT64,
                               .rank = 1,
                               .dims = &one,
                               .data = &k,
                               .bytes = sizeof k };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = view->region, .tensor = &tensor, .value = TN_NONE
    };
    tn_value_id made;
    if (view->input_count != 1)
        return TN_OK; /* of set 10 */
    TN_TRY(ctx->api->add_constant(ctx->graph, &desc, &made));
    TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "k"));
    return ctx->api->set_input(ctx->graph, node, 1, made);
}

/* Never called: a node of set 1 is brought up first. */
static tn_status infer_1(tn_infer *ctx)
{
    (void)ctx;
    return TN_OK;
}

tn_status top_k_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 24,
        .accepts_from = 10,
        .name = "TopK",
        .doc = "The largest or smallest elements along an axis, and where they stand.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 2,
        .attributes = attributes,
        .attribute_count = 3,
        .traits = TN_MAY_FAIL,
        .infer = infer,
        .cost = select_cost,
        .samplewise = samplewise,
        .upgrade = upgrade_1,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "TopK",
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    TN_TRY(registrar->add_kernel(registrar, &kernel));
    op.since = 1;
    op.accepts_from = 0;
    op.input_count = 1;
    op.attributes = attributes_1;
    op.attribute_count = 2;
    op.infer = infer_1;
    op.samplewise = NULL;
    op.upgrade = NULL;
    return registrar->add_operator(registrar, &op);
}
