/* Registers an operator, then gives up: nothing of it may stay.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

static tn_status infer(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

static const tn_param_def x = { "X", "T", TN_MASK_ALL, 0, 0, "" };
static const tn_operator_def half_done = {
    .size = sizeof(tn_operator_def),
    .since = 1,
    .domain = "test.half",
    .name = "HalfDone",
    .inputs = &x,
    .outputs = &x,
    .input_count = 1,
    .output_count = 1,
    .infer = infer,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_operator(registrar, &half_done));
    return tn_fail(registrar, TN_ERR_PLUGIN, "the machine has no unicorn");
}

TN_PLUGIN(load_fails, .version = "1.0", .licence = "MIT", .description = "gives up", .load = load);
