/* Built twice, into duplicate_a.so and duplicate_b.so: both bring the same operator.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

static tn_status infer(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}
static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    return ctx->outputs[0]->data ? TN_OK : TN_ERR_STATE;
}

static const tn_param_def x = { "X", "T", TN_MASK_ALL, 0, 0, "" };
static const tn_operator_def twin = {
    .size = sizeof(tn_operator_def),
    .since = 3,
    .domain = "test.twins",
    .name = "Twin",
    .inputs = &x,
    .outputs = &x,
    .input_count = 1,
    .output_count = 1,
    .infer = infer,
};
static const tn_kernel_def kernel = {
    .size = sizeof(tn_kernel_def),
    .domain = "test.twins",
    .op = "Twin",
    .run = run,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_operator(registrar, &twin));
    return registrar->add_kernel(registrar, &kernel);
}

TN_PLUGIN(duplicate, .version = "1.0", .licence = "MIT", .description = "one of two", .load = load);
