/* plugins/reduction/softmax.c: exponentials that add up to one.
 *
 * ONNX: Softmax, LogSoftmax, along one axis (the meaning since version 13). With m the largest
 * element: exp(x - m) / Σ exp(x - m), and x - m - log Σ exp(x - m). All in double, rounded once.
 * A NaN, or an infinite maximum, makes NaN of its whole row, as the formula says.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"
#include "tenon/upgrade.h"

/* ---- inference -------------------------------------------------------------------------- */

static int32_t axis_of(const tn_node_view *node, int32_t rank)
{
    return tn_axis(tn_attr_int(node, "axis", -1), rank);
}

tn_status softmax_infer(tn_infer *ctx)
{
    const tn_type *input = ctx->inputs[0];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    /* A scalar has no axis, but the default names its last one: a row of one. */
    if (input && input->rank > 0 && axis_of(ctx->node, input->rank) < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of input 'input' of rank %d",
                                 (long long)tn_attr_int(ctx->node, "axis", -1), -(int)input->rank,
                                 (int)input->rank, (int)input->rank);
    return TN_OK;
}

/* Maximum, subtraction, exponential, sum, division. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    out->ops = 5;
    for (int32_t axis = 0; ctx->inputs[0] && axis < ctx->inputs[0]->rank; axis++)
        out->ops *= (double)ctx->inputs[0]->dims[axis];
    return TN_OK;
}

tn_status softmax_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *input = ctx->inputs[0];
    if (!input || input->rank < 1 || axis_of(ctx->node, input->rank) < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct softmax_job {
    const tn_tensor *in;
    tn_tensor *out;
    int64_t extent, inner; /* elements along the axis, and behind it */
    int logarithm;
} softmax_job;

/* Exponentials of a row up to this long are kept; of a longer one they are computed twice. */
enum { KEPT = 1024 };

static double sum_up(const double *v, int64_t n)
{
    double lanes[4] = { 0 };
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++)
            lanes[k] += v[i + k];
    }
    for (; i < n; i++)
        lanes[0] += v[i];
    return lanes[0] + lanes[1] + (lanes[2] + lanes[3]);
}

static double largest(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

static void short_row(const softmax_job *job, int64_t first)
{
    double x[KEPT], e[KEPT], maximum = -INFINITY;
    const int64_t n = job->extent;
    if (n < 1 || n > KEPT)
        return;
    for (int64_t i = 0; i < n; i += BLOCK)
        load_doubles(job->in->dtype, job->in->data, first + i, n - i < BLOCK ? n - i : BLOCK,
                     x + i);
    for (int64_t i = 0; i < n; i++)
        maximum = largest(maximum, x[i]);
    for (int64_t i = 0; i < n; i++)
        e[i] = exp(x[i] - maximum);
    const double sum = sum_up(e, n), logarithm = log(sum);
    for (int64_t i = 0; i < n; i++)
        x[i] = job->logarithm ? x[i] - maximum - logarithm : e[i] / sum;
    for (int64_t i = 0; i < n; i += BLOCK)
        store_doubles(job->out->dtype, job->out->data, first + i, n - i < BLOCK ? n - i : BLOCK,
                      x + i);
}

static void long_row(const softmax_job *job, int64_t first)
{
    double v[BLOCK], maximum = -INFINITY, sum = 0;
    for (int pass = 0; pass < 3; pass++) {
        const double logarithm = pass == 2 ? log(sum) : 0;
        for (int64_t i = 0; i < job->extent; i += BLOCK) {
            const int64_t n = job->extent - i < BLOCK ? job->extent - i : BLOCK;
            load_doubles(job->in->dtype, job->in->data, first + i, n, v);
            for (int64_t j = 0; j < n; j++) {
                if (pass == 0)
                    maximum = largest(maximum, v[j]);
                else if (pass == 2 && job->logarithm)
                    v[j] = v[j] - maximum - logarithm;
                else
                    v[j] = exp(v[j] - maximum);
            }
            if (pass == 1)
                sum += sum_up(v, n);
            for (int64_t j = 0; pass == 2 && !job->logarithm && j < n; j++)
                v[j] /= sum;
            if (pass == 2)
                store_doubles(job->out->dtype, job->out->data, first + i, n, v);
        }
    }
}

/* n rows side by side, step by step along the axis. */
static void columns(const softmax_job *job, int64_t first, int64_t n)
{
    double v[BLOCK], maximum[BLOCK], sum[BLOCK];
    for (int64_t i = 0; i < n; i++) {
        maximum[i] = -INFINITY;
        sum[i] = 0;
    }
    for (int pass = 0; pass < 3; pass++) {
        for (int64_t k = 0; k < job->extent; k++) {
            const int64_t at = first + k * job->inner;
            load_doubles(job->in->dtype, job->in->data, at, n, v);
            for (int64_t i = 0; i < n; i++) {
                if (pass == 0)
                    maximum[i] = largest(maximum[i], v[i]);
                else if (pass == 1)
                    sum[i] += exp(v[i] - maximum[i]);
                else if (job->logarithm)
                    v[i] = v[i] - maximum[i] - sum[i];
                else
                    v[i] = exp(v[i] - maximum[i]) / sum[i];
            }
            if (pass == 2)
                store_doubles(job->out->dtype, job->out->data, at, n, v);
        }
        for (int64_t i = 0; pass == 1 && job->logarithm && i < n; i++)
            sum[i] = log(sum[i]);
    }
}

/* Pieces are rows, numbered by what is in front of the axis and what is behind it. */
static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const softmax_job *job = user;
    (void)thread;
    for (int64_t at = begin; at < end;) {
        const int64_t outer = at / job->inner, column = at % job->inner;
        const int64_t first = outer * job->extent * job->inner + column;
        const int64_t left = job->inner - column;
        int64_t n = end - at < BLOCK ? end - at : BLOCK;
        n = left < n ? left : n;
        if (job->inner > 1)
            columns(job, first, n);
        else if (job->extent <= KEPT)
            short_row(job, first);
        else
            long_row(job, first);
        at += n;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const int32_t axis = axis_of(ctx->node, ctx->inputs[0]->rank);
    softmax_job job = { .in = ctx->inputs[0],
                        .out = ctx->outputs[0],
                        .extent = 1,
                        .inner = 1,
                        .logarithm = ctx->call.user != NULL };
    (void)state, (void)slot;
    if (axis >= 0) {
        job.extent = job.in->dims[axis];
        job.inner = tn_extent(job.in->dims, axis + 1, job.in->rank);
    }
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.in) / job.extent,
                                        1 + 2048 / job.extent, chunk, &job);
}

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char softmax_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["input"],
    "outputs": ["output"],
    "attributes": ["axis"],
    "constants": {"single": {"dtype": "int64", "shape": [1], "data": [1]}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_int": {"ref": "axis"}}},
        {"op": "Reshape", "inputs": ["a", "single"], "outputs": ["axes"]},
        {"op": "ReduceMax", "inputs": ["input", "axes"], "outputs": ["most"], "attributes": {"keepdims": 1}},
        {"op": "Sub", "inputs": ["input", "most"], "outputs": ["rest"]},
        {"op": "Exp", "inputs": ["rest"], "outputs": ["e"]},
        {"op": "ReduceSum", "inputs": ["e", "axes"], "outputs": ["sum"], "attributes": {"keepdims": 1}},
        {"op": "Div", "inputs": ["e", "sum"], "outputs": ["output"]}
    ]
});

static const char log_softmax_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["input"],
    "outputs": ["output"],
    "attributes": ["axis"],
    "constants": {"single": {"dtype": "int64", "shape": [1], "data": [1]}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_int": {"ref": "axis"}}},
        {"op": "Reshape", "inputs": ["a", "single"], "outputs": ["axes"]},
        {"op": "ReduceMax", "inputs": ["input", "axes"], "outputs": ["most"], "attributes": {"keepdims": 1}},
        {"op": "Sub", "inputs": ["input", "most"], "outputs": ["rest"]},
        {"op": "Exp", "inputs": ["rest"], "outputs": ["e"]},
        {"op": "ReduceSum", "inputs": ["e", "axes"], "outputs": ["sum"], "attributes": {"keepdims": 1}},
        {"op": "Log", "inputs": ["sum"], "outputs": ["log"]},
        {"op": "Sub", "inputs": ["rest", "log"], "outputs": ["output"]}
    ]
});
/* clang-format on */

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "input", "T", TN_MASK_FLOAT, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = {
    { "output", "T", TN_MASK_FLOAT, 0, 0, "The shape of the input." },
};
const tn_attribute_def softmax_attributes[1] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "The axis along which the results add up; negative counts from the end." },
};
static const char is_logarithm = 1; /* its address is what `user` tells LogSoftmax by */

/* ---- sets 1 and 11: over all axes from `axis` on ------------------------------------------ */

static const tn_attribute_def old_attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "The first of the axes over which the results add up." },
};

tn_status softmax_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    if (tn_attr_int(ctx->api->node(ctx->graph, node), "axis", 1) == -1)
        return TN_OK;
    return tn_fail(ctx, TN_KEEP, "whether axis is the last one is told by the rank");
}

/* The last axis alone is today's form; several become the columns of a matrix. */
static tn_status expand(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const int64_t axis = tn_attr_int(tn_edit_view(&e), "axis", 1);
    if (axis >= 0 && tn_edit_type(&e, x)->rank == axis + 1) {
        tn_edit_set_int(&e, "axis", -1);
        return tn_edit_renew(&e);
    }
    const tn_value_id matrix = tn_put_with(&e, "Flatten", x, TN_NONE, "axis", axis);
    const tn_value_id y = tn_put_with(&e, tn_edit_view(&e)->op, matrix, TN_NONE, "axis", 1);
    const tn_value_id shape = tn_put(&e, "Shape", x, TN_NONE, TN_NONE, NULL);
    return tn_edit_give(&e, tn_put_reshape(&e, y, shape));
}

tn_status softmax_add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 11, 1);
    old.attributes = old_attributes;
    old.infer = softmax_infer;
    old.expand = expand;
    return registrar->add_operator(registrar, &old);
}

tn_status softmax_register(tn_registrar *registrar)
{
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "LogSoftmax" : "Softmax";
        const tn_operator_def op = {
            .size = sizeof op,
            .since = 13,
            .accepts_from = 13,
            .name = name,
            .doc = k ? "The logarithm of Softmax." : "Exponentials, divided by their sum.",
            .inputs = inputs,
            .input_count = 1,
            .outputs = outputs,
            .output_count = 1,
            .attributes = softmax_attributes,
            .attribute_count = 1,
            .infer = softmax_infer,
            .cost = cost,
            .samplewise = softmax_samplewise,
            .body = k ? log_softmax_body : softmax_body,
            .upgrade = softmax_upgrade,
        };
        const tn_kernel_def kernel = {
            .size = sizeof kernel,
            .op = name,
            .run = run,
            .user = k ? (void *)&is_logarithm : NULL,
            .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS,
        };
        TN_TRY(softmax_add_old(registrar, &op));
        TN_TRY(registrar->add_operator(registrar, &op));
        TN_TRY(registrar->add_kernel(registrar, &kernel));
    }
    return TN_OK;
}
