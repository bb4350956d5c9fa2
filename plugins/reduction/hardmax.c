/* plugins/reduction/hardmax.c: one where the largest element stands, zero elsewhere.
 *
 * ONNX: Hardmax, along one axis (the meaning since version 13). Of equal ones the first counts; NaN
 * counts as the largest, as in ArgMax.
 *
 * SPDX-License-Identifier: MIT */
#include "reduction.h"

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct hardmax_job {
    arg_job arg;
    tn_tensor *out;
} hardmax_job;

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const hardmax_job *job = user;
    const arg_job *arg = &job->arg;
    int64_t found[BLOCK];
    (void)thread;
    for (int64_t at = begin; at < end;) {
        const int64_t n = arg_find(arg, at, end - at, found);
        const int64_t first = at / arg->inner * arg->extent * arg->inner + at % arg->inner;
        for (int64_t k = 0; k < arg->extent; k++)
            for (int64_t i = 0; i < n; i++)
                tn_set_float(job->out->dtype, job->out->data, first + k * arg->inner + i,
                             found[i] == k ? 1.0 : 0.0);
        at += n;
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *data = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), data->rank);
    hardmax_job job = { .arg = { .data = data, .extent = 1, .inner = 1 }, .out = ctx->outputs[0] };
    (void)state, (void)slot;
    if (axis >= 0) {
        job.arg.extent = data->dims[axis];
        job.arg.inner = tn_extent(data->dims, axis + 1, data->rank);
    }
    return ctx->call.host->parallel_for(&ctx->call, tn_count(data) / job.arg.extent,
                                        1 + 4096 / job.arg.extent, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "input", "T", TN_MASK_FLOAT, 0, 0, "Any tensor." } };
static const tn_param_def outputs[] = {
    { "output", "T", TN_MASK_FLOAT, 0, 0, "The shape of the input." },
};

tn_status hardmax_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 13,
        .name = "Hardmax",
        .doc = "One where the first largest element along an axis stands, zero elsewhere.",
        .inputs = inputs,
        .input_count = 1,
        .outputs = outputs,
        .output_count = 1,
        .attributes = softmax_attributes,
        .attribute_count = 1,
        .infer = softmax_infer,
        .samplewise = softmax_samplewise,
        .upgrade = softmax_upgrade,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "Hardmax", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(softmax_add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
