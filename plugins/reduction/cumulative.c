/* plugins/reduction/cumulative.c: sums and products of all elements up to each one.
 *
 * ONNX: CumSum, CumProd, along an axis that an input names; exclusive (without the element itself)
 * or not, from either end. Floating-point types run in double, each output is rounded once.
 * Integers are exact modulo 2^n.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

typedef struct cumulative {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    const fold *fold;
} cumulative;

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0], *axis = ctx->inputs[1];
    const tn_tensor *value = ctx->call.host->input_value(&ctx->call, 1);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (axis && axis->rank > 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'axis' has rank %d: expected a scalar, one axis",
                                 (int)axis->rank);
    else if (axis && axis->rank == 1 && tn_dim_known(axis->dims[0]) && axis->dims[0] != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                 "input 'axis' has shape [%lld]: expected a scalar, one axis",
                                 (long long)axis->dims[0]);
    if (!x || x->rank < 0 || !value || tn_count(value) != 1)
        return TN_OK;
    const int64_t named = tn_get_int(value->dtype, value->data, 0);
    if (tn_axis(named, x->rank) < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 1, NULL,
                                 "axis is %lld, outside [%d, %d) of input 'x' of rank %d",
                                 (long long)named, -(int)x->rank, (int)x->rank, (int)x->rank);
    return TN_OK;
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    const tn_tensor *value = ctx->call.host->input_value(&ctx->call, 1);
    if (!x || x->rank < 1 || !value || tn_count(value) != 1 ||
        tn_axis(tn_get_int(value->dtype, value->data, 0), x->rank) < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = -1;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct cumulative_job {
    const cumulative *row;
    const tn_tensor *in;
    tn_tensor *out;
    int64_t extent, inner; /* elements along the axis, and behind it */
    int exclusive, reverse;
} cumulative_job;

/* n lines side by side from element `first` on, step by step along the axis. */
#define RUN_LINES(name, type, op, LOAD, STORE)                                                     \
    static void name(const cumulative_job *job, int64_t first, int64_t n)                          \
    {                                                                                              \
        /* -0 starts a sum without a trace; where it shows itself it is 0. */                      \
        const double start = job->row->fold->start + (job->exclusive ? 0.0 : -0.0);                \
        type sum[BLOCK], v[BLOCK];                                                                 \
        for (int64_t i = 0; i < n; i++)                                                            \
            sum[i] = (type)start;                                                                  \
        for (int64_t k = 0; k < job->extent; k++) {                                                \
            const int64_t at = first + (job->reverse ? job->extent - 1 - k : k) * job->inner;      \
            LOAD(job->in->dtype, job->in->data, at, n, v);                                         \
            if (job->exclusive)                                                                    \
                STORE(job->out->dtype, job->out->data, at, n, sum);                                \
            job->row->fold->op(sum, v, n);                                                         \
            if (!job->exclusive)                                                                   \
                STORE(job->out->dtype, job->out->data, at, n, sum);                                \
        }                                                                                          \
    }
RUN_LINES(double_lines, double, doubles, load_doubles, store_doubles)
RUN_LINES(int_lines, int64_t, ints, load_ints, store_ints)

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const cumulative_job *job = user;
    const int is_float = tn_dtype_is_float(job->in->dtype);
    (void)thread;
    for (int64_t at = begin; at < end;) {
        const int64_t outer = at / job->inner, column = at % job->inner;
        const int64_t left = job->inner - column;
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        n = left < n ? left : n;
        (is_float ? double_lines : int_lines)(job, outer * job->extent * job->inner + column, n);
        at += n;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0], *list = ctx->inputs[1];
    cumulative_job job = { .row = ctx->call.user,
                           .in = x,
                           .out = ctx->outputs[0],
                           .exclusive = tn_attr_int(ctx->node, "exclusive", 0) != 0,
                           .reverse = tn_attr_int(ctx->node, "reverse", 0) != 0 };
    (void)state, (void)slot;
    if (tn_count(list) != 1)
        return tn_fail(ctx, TN_ERR_SHAPE, "input 'axis' has %lld elements: expected one axis",
                       (long long)tn_count(list));
    const int64_t named = tn_get_int(list->dtype, list->data, 0);
    const int32_t axis = tn_axis(named, x->rank);
    if (axis < 0)
        return tn_fail(ctx, TN_ERR_VALUE, "axis is %lld, outside [%d, %d) of input 'x' of rank %d",
                       (long long)named, -(int)x->rank, (int)x->rank, (int)x->rank);
    job.extent = x->dims[axis];
    job.inner = tn_extent(x->dims, axis + 1, x->rank);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(x) / job.extent, 1 + 4096 / job.extent,
                                        chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define CUMULATIVE_TYPES                                                                           \
    (TN_MASK_FLOAT | TN_BIT(TN_INT32) | TN_BIT(TN_INT64) | TN_BIT(TN_UINT32) | TN_BIT(TN_UINT64))
static const tn_param_def inputs[] = {
    { "x", "T", CUMULATIVE_TYPES, 0, 0, "Any tensor." },
    { "axis", "T2", TN_BIT(TN_INT32) | TN_BIT(TN_INT64), 0, 0,
      "A scalar: the axis; negative counts from the end." },
};
static const tn_param_def outputs[] = {
    { "y", "T", CUMULATIVE_TYPES, 0, 0, "The shape of x." },
};
static const tn_attribute_def attributes[] = {
    { .name = "exclusive",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "1: without the element itself." },
    { .name = "reverse",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "1: from the end of the axis." },
};
static const cumulative rows[] = {
    { "CumSum", "The sum of the elements up to each one along an axis.", 14, 11, &fold_sum },
    { "CumProd", "The product of the elements up to each one along an axis.", 26, 26,
      &fold_product },
};

tn_status cumulative_register(tn_registrar *registrar)
{
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const tn_operator_def op = {
            .size = sizeof op,
            .since = rows[k].since,
            .accepts_from = rows[k].accepts_from,
            .name = rows[k].name,
            .doc = rows[k].doc,
            .inputs = inputs,
            .input_count = 2,
            .outputs = outputs,
            .output_count = 1,
            .attributes = attributes,
            .attribute_count = 2,
            .traits = TN_MAY_FAIL,
            .infer = infer,
            .samplewise = samplewise,
        };
        const tn_kernel_def kernel = { .size = sizeof kernel,
                                       .op = rows[k].name,
                                       .run = run,
                                       .user = (void *)&rows[k],
                                       .flags = TN_KERNEL_ANY_STEPS };
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
