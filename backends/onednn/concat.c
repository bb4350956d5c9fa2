/* concat.c: Concat (ONNX: Concat).
 *
 * In: X0 … along an axis, all in one layout. Out: Y in the same. Plain tensors and channels-last
 * ones and full blocks joined by their channels are rows of memory side by side; the rest is the
 * library's.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

/* A tensor as the primitive sees it. */
static tn_status describe(onednn_builder *b, const tn_type *type, uint32_t layout, int32_t axis,
                          onednn_md *out)
{
    const int64_t outer = tn_extent(type->dims, 0, axis);
    const int64_t inner = tn_extent(type->dims, axis + 1, type->rank);
    const int64_t plain[3] = { outer, type->dims[axis], inner };
    const int64_t last[2] = { outer * inner, type->dims[axis] };
    if (layout == TN_LAYOUT_PLAIN || type->rank < 3)
        return onednn_describe(b, inner == 1 ? 2 : 3, plain, NULL, out);
    if (layout == TN_LAYOUT_CHANNELS_LAST && axis == 1)
        return onednn_describe(b, 2, last, NULL, out);
    return onednn_describe_layout(b, type, layout, out);
}

/* ---- copies ----------------------------------------------------------------------------- */

/* Rows of memory that lie side by side are copied here: the library's own code for this, and its
 * reorders into columns of a matrix, take 3 to 20 times as long. */
static tn_status build_copies(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", 1), y->rank);
    const int64_t block = layout > TN_LAYOUT_CHANNELS_LAST
                              ? onednn_layout_block(&b->ctx->call, layout, p->inputs[0])
                              : 1;
    if (axis < 0 || !block || (layout != TN_LAYOUT_PLAIN && y->rank > 2 && axis != 1))
        return onednn_refuse(b, "no copies of rows");
    for (uint32_t k = 0; k < p->own_count; k++) {
        if (block > 1 && p->inputs[k]->dims[1] % block)
            return onednn_refuse(b, "blocks that are not full");
        TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], p->inputs[k],
                                    &b->alternative->input_layouts[k]));
    }
    TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], y, &b->alternative->output_layouts[0]));
    memcpy(b->name, "copies", sizeof "copies");
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(y));
    return TN_OK;
}

typedef struct copies {
    const tn_run *ctx;
    int64_t outer, width;
    int64_t first[ONEDNN_MAX_BINDINGS + 1]; /* column of y where source k begins */
} copies;

/* Item: a row of one source. */
static tn_status copy_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const copies *c = user;
    const int64_t sources = c->ctx->input_count;
    (void)thread;
    for (int64_t item = begin; item < end; item++) {
        const int64_t row = item / sources, k = item % sources;
        const int64_t columns = c->first[k + 1] - c->first[k];
        memcpy((float *)c->ctx->outputs[0]->data + row * c->width + c->first[k],
               (const float *)c->ctx->inputs[k]->data + row * columns,
               (size_t)columns * sizeof(float));
    }
    return TN_OK;
}

static tn_status concat_run(tn_run *ctx, const void *state, void *slot)
{
    const onednn_state *s = state;
    const tn_tensor *y = ctx->outputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", 1), y->rank);
    const bool last = y->layout == TN_LAYOUT_CHANNELS_LAST && y->rank > 2;
    copies c = { .ctx = ctx };
    if (s->variants[s->chosen].stage_count)
        return onednn_run(ctx, state, slot);
    c.outer = tn_extent(y->dims, 0, axis) * (last ? tn_extent(y->dims, axis + 1, y->rank) : 1);
    c.width = tn_count(y) / c.outer;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        c.first[k + 1] = c.first[k] + tn_count(ctx->inputs[k]) / c.outer;
    return ctx->call.host->parallel_for(&ctx->call, c.outer * ctx->input_count,
                                        1 + 16384 * (int64_t)ctx->input_count / c.width, copy_rows,
                                        &c);
}

/* ---- by the library --------------------------------------------------------------------- */

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", 1), y->rank);
    const bool folded = layout == TN_LAYOUT_PLAIN || y->rank < 3 ||
                        (layout == TN_LAYOUT_CHANNELS_LAST && axis == 1);
    uint32_t of_y, first;
    onednn_md dst, src;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    if (axis < 0)
        return onednn_refuse(b, "axis is outside rank %d", (int)y->rank);
    TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], y, &of_y));
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], p->inputs[k],
                                    &b->alternative->input_layouts[k]));
    TN_TRY(describe(b, y, of_y, axis, &dst));
    first = b->desc_count; /* the sources' descriptors stand in a row from here */
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(describe(b, p->inputs[k], b->alternative->input_layouts[k], axis, &src));
    b->alternative->output_layouts[0] = of_y;
    status = onednn_concat(b->engine, b->attr, dst, (int)p->own_count, folded ? 1 : (int)axis,
                           &b->descs[first], &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(onednn_bind(b, DNNL_ARG_MULTIPLE_SRC + (int32_t)k, ONEDNN_INPUT, k, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(y));
    return TN_OK;
}

static tn_status concat_measure(tn_measure *ctx, void *state)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t before = attempts.state->count;
        TN_TRY(onednn_try(&attempts, build_copies, &layouts[k]));
        if (attempts.state->count == before)
            TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    }
    return onednn_measured(&attempts);
}

static tn_status concat_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->own_count + 2 > ONEDNN_MAX_BINDINGS)
        return tn_fail(ctx, TN_DECLINED, "%u inputs: at most %d here", p->own_count,
                       ONEDNN_MAX_BINDINGS - 2);
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_concat_kernels[] = {
    {
        .size = sizeof(tn_kernel_def),
        .op = "Concat",
        .backend = "onednn",
        .since = 4,
        .types = TN_BIT(TN_FLOAT32),
        .state_bytes = sizeof(onednn_state),
        .offer = concat_offer,
        .measure = concat_measure,
        .prepare = onednn_prepare,
        .attach = onednn_attach,
        .run = concat_run,
        .detach = onednn_detach,
        .finish = onednn_finish,
    },
    { .op = NULL },
};
