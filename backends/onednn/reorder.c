/* reorder.c: tenon::Convert between plain, channels-last and the library's blocked layouts.
 *
 * In: X in problem.input_layout. Out: the same tensor in problem.output_layout; padding of blocks
 * is written as zero by the library.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0];
    onednn_md from, to;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    (void)form;
    b->alternative->input_layouts[0] = p->input_layout;
    b->alternative->output_layouts[0] = p->output_layout;
    TN_TRY(onednn_describe_layout(b, x, p->input_layout, &from));
    TN_TRY(onednn_describe_layout(b, x, p->output_layout, &to));
    status = onednn_reorder(b->engine, b->attr, from, to, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_FROM, ONEDNN_INPUT, 0, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_TO, ONEDNN_OUTPUT, 0, 0));
    onednn_estimate(b, 0, 16.0 * (double)onednn_count(x)); /* rows of memory are read in part */
    return TN_OK;
}

static tn_status convert_measure(tn_measure *ctx, void *state)
{
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    TN_TRY(onednn_try(&attempts, build, NULL));
    return onednn_measured(&attempts);
}

static tn_status convert_offer(tn_offer *ctx)
{
    const tn_type *x = ctx->problem->inputs[0];
    if (x->rank > 5)
        return tn_fail(ctx, TN_DECLINED, "rank is %d: oneDNN has channels-last up to rank 5",
                       (int)x->rank);
    TN_TRY(onednn_offer(ctx, ONEDNN_ONE_OUTPUT));
    ctx->seconds = 5e-7 + 16.0 * (double)onednn_count(x) / 15e9;
    ctx->algorithm = "reorder";
    return TN_OK;
}

const tn_kernel_def onednn_reorder_kernels[] = {
    {
        .size = sizeof(tn_kernel_def),
        .domain = "tenon",
        .op = "Convert",
        .backend = "onednn",
        .since = 1,
        .types = TN_BIT(TN_FLOAT32),
        .state_bytes = sizeof(onednn_state),
        .offer = convert_offer,
        .measure = convert_measure,
        .prepare = onednn_prepare,
        .attach = onednn_attach,
        .run = onednn_run,
        .detach = onednn_detach,
        .finish = onednn_finish,
    },
    { .op = NULL },
};
