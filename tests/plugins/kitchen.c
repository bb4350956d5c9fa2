/* tests/plugins/kitchen.c: uses every part of the plugin ABI once, in domain test.kitchen.
 *
 *   Scale       versions 1 and 2 with upgrade; identity, cost, window, samplewise; a kernel with a
 *               whole life, on backend "kitchen" and on reference
 *   Quadruple   a body in JSON          Thrice    the same by code (expand)
 *   Sum         variadic, broadcasting, parallel_for, cancelled
 *   Repeat      runs a body             Rows      cuts into slices, joins them (list_push)
 *   Positives   late: output_alloc      Filled    extents from values; output_elements: Extents
 *   Collect     tensors to a sequence   Pick, Without   and from it
 *   Wrap        tensor to an optional   Unwrap    and back
 *   Meet        waits in parallel_for until all threads of the run are there
 *   Share       how parallel_for cuts
 *   Shout       strings                 Noise     random numbers
 *   merge_scales, a pass; .kitchen, a format; kitchen, a backend; an extension
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/kernel.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

#define DOMAIN "test.kitchen"
#define F32 TN_BIT(TN_FLOAT32)
#define HOST (ctx->call.host)
#define COUNT(array) (uint16_t)(sizeof(array) / sizeof((array)[0]))

static tn_status same(tn_infer *ctx)
{
    return tn_infer_same(ctx, 0, 0);
}

static const tn_param_def x_in[] = { { "X", "T", F32, 0, 0, "numbers" } };
static const tn_param_def y_out[] = { { "Y", "T", F32, 0, 0, "numbers" } };

/* ---- Scale: Y = factor * X ------------------------------------------------------------------------- */

static const tn_attribute_def scale_1[] = {
    { .name = "times", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .i = 2 }
};
static const tn_attribute_def scale_2[] = {
    { .name = "factor", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_REQUIRED }
};

static tn_status scale_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const int64_t times = tn_attr_int(ctx->api->node(ctx->graph, node), "times", 2);
    if (times == 0)
        return tn_fail(ctx, TN_KEEP, "zero times has no equal form");
    const tn_attribute factor = {
        .size = sizeof factor, .type = TN_ATTR_FLOAT, .name = "factor", .f = (double)times
    };
    TN_TRY(ctx->api->drop_attribute(ctx->graph, node, "times"));
    return ctx->api->set_attribute(ctx->graph, node, &factor);
}

static int32_t scale_identity(const tn_identity *query)
{
    return tn_attr_float(query->node, "factor", 0.0f) == 1.0f ? 0 : -1;
}

static tn_status scale_cost(tn_infer *ctx, tn_cost *out)
{
    out->macs = 1.0;
    for (int32_t axis = 0; axis < ctx->outputs[0].rank; axis++)
        out->macs *= (double)ctx->outputs[0].dims[axis];
    return TN_OK;
}

static int32_t scale_window(tn_infer *ctx, tn_window *windows)
{
    if (ctx->inputs[0]->rank < 3)
        return 0;
    windows[0] = (tn_window){ 1, 1, 1, 0, 0 };
    return 1;
}

static tn_status scale_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

typedef struct scale_state {
    float factor;
    uint32_t attached; /* what attach found prepared */
} scale_state;

static tn_status scale_offer(tn_offer *ctx)
{
    if (ctx->problem->step_count)
        return tn_fail(ctx, TN_DECLINED, "takes no epilogue");
    if (!(ctx->problem->flags & TN_PROBLEM_SHAPES_KNOWN))
        return TN_NEEDS_SHAPES;
    ctx->algorithm = "kitchen:scale";
    ctx->seconds = 1e-6;
    return TN_OK;
}

static tn_status scale_measure(tn_measure *ctx, void *state)
{
    ((scale_state *)state)->factor = tn_attr_float(ctx->problem->node, "factor", 1.0f);
    if (((scale_state *)state)->factor == 13.0f)
        return tn_fail(ctx, TN_DECLINED, "will not multiply by thirteen");
    ctx->alternatives[0].algorithm = "kitchen:scale";
    ctx->alternatives[0].scratch_bytes = 64;
    ctx->alternatives[0].slot_bytes = sizeof(float);
    ctx->alternatives[0].output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, 0 };
    return TN_OK;
}

static tn_status scale_prepare(tn_prepare *ctx, void *state)
{
    (void)ctx;
    ((scale_state *)state)->attached = 1;
    return TN_OK;
}

static tn_status scale_attach(tn_slot_call *ctx, const void *state, void *slot)
{
    if (!((const scale_state *)state)->attached)
        return tn_fail(ctx, TN_ERR_STATE, "attached before it was prepared");
    *(float *)slot = ((const scale_state *)state)->factor;
    return TN_OK;
}

static void multiply(const tn_tensor *x, tn_tensor *y, float factor)
{
    for (int64_t i = 0, n = tn_count(x); i < n; i++)
        ((float *)y->data)[i] = factor * ((const float *)x->data)[i];
}

static tn_status scale_run(tn_run *ctx, const void *state, void *slot)
{
    if (!ctx->scratch || *(float *)slot != ((const scale_state *)state)->factor)
        return tn_fail(ctx, TN_ERR_INTERNAL, "the slot is not as attach left it");
    multiply(ctx->inputs[0], ctx->outputs[0], *(float *)slot);
    return TN_OK;
}

static void scale_detach(tn_slot_call *ctx, const void *state, void *slot)
{
    (void)ctx;
    (void)state;
    *(float *)slot = 0.0f;
}

static void scale_finish(void *state)
{
    ((scale_state *)state)->attached = 0;
}

/* Version 1 stays one where its upgrade keeps it. */
static tn_status scale_plain(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    const float times = (float)tn_attr_int(ctx->node, "times", 1);
    multiply(ctx->inputs[0], ctx->outputs[0], tn_attr_float(ctx->node, "factor", times));
    return TN_OK;
}

/* ---- Quadruple, Thrice: made of others ------------------------------------------------------------------ */

static const char quadruple_body[] =
    "{\"inputs\": [\"X\"], \"outputs\": [\"Y\"], \"opset\": {\"test.kitchen\": 2}, \"nodes\": ["
    "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"X\"], \"outputs\": [\"H\"], \"attributes\": {\"factor\": {\"float\": 2}}},"
    "{\"domain\": \"test.kitchen\", \"op\": \"Scale\", \"inputs\": [\"H\"], \"outputs\": [\"Y\"], \"attributes\": {\"factor\": {\"float\": 2}}}]}";

static tn_status add_scale(tn_rewrite *ctx, const tn_node_view *like, tn_value_id input,
                           double factor, tn_value_id *out)
{
    const tn_attribute attribute = {
        .size = sizeof attribute, .type = TN_ATTR_FLOAT, .name = "factor", .f = factor
    };
    tn_node_id made;
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = like->region,
                                .name = like->name,
                                .domain = DOMAIN,
                                .op = "Scale",
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &input,
                                .attribute_count = 1,
                                .attributes = &attribute,
                                .before = TN_NONE,
                                .trace = TN_NONE };
    TN_TRY(ctx->api->add_node(ctx->graph, &desc, &made));
    *out = ctx->api->node(ctx->graph, made)->outputs[0];
    return TN_OK;
}

static tn_status thrice_expand(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    const tn_value_id old = view->outputs[0];
    tn_value_id made;
    TN_TRY(add_scale(ctx, view, view->inputs[0], 3.0, &made));
    TN_TRY(ctx->api->replace(ctx->graph, old, made));
    return ctx->api->remove_node(ctx->graph, node);
}

/* ---- Sum: any number of terms ----------------------------------------------------------------------------- */

static const tn_param_def sum_in[] = { { "terms", "T", F32, TN_PARAM_VARIADIC, 1, "added up" } };

static tn_status sum_infer(tn_infer *ctx)
{
    return HOST->broadcast(&ctx->call, ctx->inputs, ctx->input_count, &ctx->outputs[0]);
}

static tn_status sum_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    tn_run *ctx = user;
    const tn_tensor *out = ctx->outputs[0];
    (void)thread;
    if (HOST->cancelled(&ctx->call))
        return TN_ERR_CANCELLED;
    for (int64_t i = begin; i < end; i++) {
        float total = 0.0f;
        for (uint32_t k = 0; k < ctx->input_count; k++) {
            int64_t strides[TN_MAX_RANK], rest = i, at = 0;
            tn_broadcast_strides(ctx->inputs[k], out->rank, strides);
            for (int32_t axis = out->rank - 1; axis >= 0; axis--) {
                at += rest % out->dims[axis] * strides[axis];
                rest /= out->dims[axis];
            }
            total += ((const float *)ctx->inputs[k]->data)[at];
        }
        ((float *)out->data)[i] = total;
    }
    return TN_OK;
}

static tn_status sum_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    return HOST->parallel_for(&ctx->call, tn_count(ctx->outputs[0]), 4, sum_chunk, ctx);
}

/* ---- Meet: Y[i] = the number of threads that the elements were on -------------------------------------------- */

typedef struct meeting {
    tn_run *ctx;
    uint32_t seen; /* bit: the thread of that index was here */
} meeting;

/* Nobody leaves before all are there; who waits alone gives up after five seconds. */
static tn_status meet_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    meeting *m = user;
    const time_t start = time(NULL);
    (void)begin;
    (void)end;
    __atomic_fetch_or(&m->seen, 1u << thread, __ATOMIC_RELAXED);
    while (__builtin_popcount(__atomic_load_n(&m->seen, __ATOMIC_RELAXED)) < (int)m->ctx->threads &&
           time(NULL) - start < 5)
        sched_yield();
    return TN_OK;
}

static tn_status meet_run(tn_run *ctx, const void *state, void *slot)
{
    meeting m = { .ctx = ctx };
    (void)state;
    (void)slot;
    TN_TRY(HOST->parallel_for(&ctx->call, tn_count(ctx->outputs[0]), 1, meet_chunk, &m));
    for (int64_t i = 0; i < tn_count(ctx->outputs[0]); i++)
        ((float *)ctx->outputs[0]->data)[i] = (float)__builtin_popcount(m.seen);
    return TN_OK;
}

/* ---- Share: every item once, in chunks of the grain or more; Y[i] = the thread of item i of one for each ------ */

typedef struct sharing {
    tn_run *ctx;
    int64_t n, grain;
    uint8_t seen[1000];
} sharing;

static tn_status share_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    sharing *s = user;
    (void)thread;
    for (int64_t k = begin; k < end; k++)
        __atomic_fetch_add(&s->seen[k], 1, __ATOMIC_RELAXED);
    return end - begin >= s->grain || end == s->n
               ? TN_OK
               : tn_fail(s->ctx, TN_ERR_VALUE, "%lld items of %lld, grain %lld",
                         (long long)(end - begin), (long long)s->n, (long long)s->grain);
}

static tn_status own_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const tn_run *ctx = user;
    for (int64_t k = begin; k < end && k < tn_count(ctx->outputs[0]); k++)
        ((float *)ctx->outputs[0]->data)[k] = (float)thread;
    return TN_OK;
}

static tn_status share_run(tn_run *ctx, const void *state, void *slot)
{
    static const int64_t counts[] = { 1, 2, 3, 7, 64, 999, 1000 }, grains[] = { 1, 3, 10, 400 };
    (void)state;
    (void)slot;
    for (size_t k = 0; k < 28; k++) {
        sharing s = { .ctx = ctx, .n = counts[k % 7], .grain = grains[k / 7] };
        TN_TRY(HOST->parallel_for(&ctx->call, s.n, s.grain, share_chunk, &s));
        for (int64_t i = 0; i < s.n; i++)
            if (s.seen[i] != 1)
                return tn_fail(ctx, TN_ERR_VALUE, "item %lld of %lld came %d times", (long long)i,
                               (long long)s.n, s.seen[i]);
    }
    return HOST->parallel_for(&ctx->call, ctx->threads, 1, own_chunk, ctx);
}

/* ---- Repeat: a body, `times` times -------------------------------------------------------------------------- */

static const tn_attribute_def repeat_attributes[] = {
    { .name = "times", .type = TN_ATTR_INT, .flags = TN_ATTR_REQUIRED },
    { .name = "body", .type = TN_ATTR_GRAPH, .flags = TN_ATTR_REQUIRED },
};

static tn_status repeat_infer(tn_infer *ctx)
{
    tn_type out = ctx->outputs[0];
    TN_TRY(HOST->infer_region(&ctx->call, "body", &ctx->inputs[0], 1, &out, 1));
    ctx->outputs[0] = out;
    for (int32_t axis = 0; axis < out.rank && out.rank == ctx->inputs[0]->rank; axis++)
        if (HOST->dim_equal(&ctx->call, out.dims[axis], ctx->inputs[0]->dims[axis]) == TN_NO)
            HOST->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_ATTRIBUTE, 0, "body",
                           "the body changes axis %d of what it repeats", (int)axis);
    return TN_OK;
}

static tn_status repeat_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *held = NULL;
    tn_status status = TN_OK;
    (void)state;
    (void)slot;
    for (int64_t trip = tn_attr_int(ctx->node, "times", 0); trip > 0 && status == TN_OK; trip--) {
        const tn_tensor *in = held ? held : ctx->inputs[0], *out = NULL;
        status = HOST->run_region(&ctx->call, "body", &in, 1, &out, 1);
        if (held)
            HOST->value_release(&ctx->call, held);
        held = status == TN_OK ? out : NULL;
    }
    if (status == TN_OK)
        status = HOST->output_set(&ctx->call, 0, held ? held : ctx->inputs[0]);
    if (held)
        HOST->value_release(&ctx->call, held);
    return status;
}

/* ---- Rows: the rows of X, the last one first ------------------------------------------------------------------ */

static tn_status rows_infer(tn_infer *ctx)
{
    TN_TRY(tn_infer_same(ctx, 0, 0));
    ctx->outputs[0].flags = TN_TYPE_LATE;
    if (ctx->outputs[0].rank > 0)
        ctx->outputs[0].dims[0] = TN_DIM_UNKNOWN;
    return TN_OK;
}

static tn_status rows_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    for (int64_t row = 0; row < ctx->inputs[0]->dims[0]; row++) {
        const tn_tensor *slice = NULL;
        TN_TRY(HOST->value_slice(&ctx->call, ctx->inputs[0], 0, row, &slice));
        const tn_status status = HOST->list_push(&ctx->call, 0, slice, 0, 1);
        HOST->value_release(&ctx->call, slice);
        TN_TRY(status);
    }
    return TN_OK;
}

/* ---- Positives, Filled, Extents: sizes -------------------------------------------------------------------------- */

static tn_status positives_infer(tn_infer *ctx)
{
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = TN_DIM_UNKNOWN;
    ctx->outputs[0].flags = TN_TYPE_LATE;
    return TN_OK;
}

static tn_status positives_run(tn_run *ctx, const void *state, void *slot)
{
    const float *x = ctx->inputs[0]->data;
    const int64_t n = tn_count(ctx->inputs[0]);
    int64_t count = 0;
    (void)state;
    (void)slot;
    for (int64_t i = 0; i < n; i++)
        count += x[i] > 0.0f;
    TN_TRY(HOST->output_alloc(&ctx->call, 0, 1, &count));
    for (int64_t i = 0, k = 0; i < n; i++)
        if (x[i] > 0.0f)
            ((float *)ctx->outputs[0]->data)[k++] = x[i];
    return TN_OK;
}

static const tn_param_def shape_in[] = { { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "extents" } };
static const tn_param_def shape_out[] = { { "shape", NULL, TN_BIT(TN_INT64), 0, 0, "extents" } };

static tn_status filled_infer(tn_infer *ctx)
{
    tn_dim dims[TN_MAX_RANK];
    const int64_t rank = HOST->input_elements(&ctx->call, 0, dims, TN_MAX_RANK);
    ctx->outputs[0].dtype = TN_FLOAT32;
    if (rank < 0 || rank > TN_MAX_RANK)
        return TN_OK;
    ctx->outputs[0].rank = (int32_t)rank;
    memcpy(ctx->outputs[0].dims, dims, (size_t)rank * sizeof *dims);
    return TN_OK;
}

static tn_status filled_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    for (int64_t i = 0, n = tn_count(ctx->outputs[0]); i < n; i++)
        ((float *)ctx->outputs[0]->data)[i] = 7.0f;
    return TN_OK;
}

static tn_status extents_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    tn_dim doubled[TN_MAX_RANK];
    ctx->outputs[0].rank = 1;
    ctx->outputs[0].dims[0] = x->rank < 0 ? TN_DIM_UNKNOWN : x->rank;
    for (int32_t axis = 0; axis < x->rank; axis++)
        doubled[axis] = tn_dim_mul(ctx, x->dims[axis], 2);
    return x->rank < 0 ? TN_OK : HOST->output_elements(&ctx->call, 0, doubled, x->rank);
}

static tn_status extents_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    for (int32_t axis = 0; axis < ctx->inputs[0]->rank; axis++)
        ((int64_t *)ctx->outputs[0]->data)[axis] = 2 * ctx->inputs[0]->dims[axis];
    return TN_OK;
}

/* ---- sequences and optionals ---------------------------------------------------------------------------------------- */

enum {
    ONLY_SEQUENCE = TN_PARAM_SEQUENCE | TN_PARAM_NOT_TENSOR,
    ONLY_OPTIONAL = TN_PARAM_OPTIONAL_TYPE | TN_PARAM_NOT_TENSOR
};
static const tn_param_def collect_in[] = { { "items", "T", F32, TN_PARAM_VARIADIC, 1,
                                             "in order" } };
static const tn_param_def collect_out[] = { { "list", "T", F32, ONLY_SEQUENCE, 0, "all of them" } };
static const tn_param_def pick_in[] = { { "list", "T", F32, ONLY_SEQUENCE, 0, "" },
                                        { "at", NULL, TN_BIT(TN_INT64), 0, 0, "which" } };
static const tn_param_def wrap_out[] = { { "maybe", "T", F32, ONLY_OPTIONAL, 0, "" } };
static const tn_param_def wrap_in[] = { { "X", "T", F32, TN_PARAM_OPTIONAL, 0, "" } };
static const tn_param_def unwrap_in[] = { { "maybe", "T", F32, ONLY_OPTIONAL, 0, "" },
                                          { "otherwise", "T", F32, 0, 0, "" } };

static tn_status infer_list(tn_infer *ctx)
{
    ctx->outputs[0].kind = TN_SEQUENCE;
    return TN_OK;
}
static tn_status infer_maybe(tn_infer *ctx)
{
    ctx->outputs[0].kind = TN_OPTIONAL;
    ctx->outputs[0].dtype = TN_FLOAT32;
    return TN_OK;
}
static tn_status infer_late(tn_infer *ctx)
{
    ctx->outputs[0].flags = TN_TYPE_LATE;
    return TN_OK;
}

static tn_status collect_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    TN_TRY(HOST->seq_begin(&ctx->call, 0, UINT32_MAX));
    for (uint32_t k = 0; k < ctx->input_count; k++)
        TN_TRY(HOST->seq_insert(&ctx->call, 0, k, ctx->inputs[k]));
    return TN_OK;
}

static tn_status check_position(tn_run *ctx, int64_t *out)
{
    *out = *(const int64_t *)ctx->inputs[1]->data;
    const int64_t count = HOST->seq_count(&ctx->call, ctx->inputs[0]);
    if (*out < 0 || *out >= count)
        return tn_fail(ctx, TN_ERR_VALUE, "position %d is outside a list of %d", (int)*out,
                       (int)count);
    return TN_OK;
}

static tn_status pick_run(tn_run *ctx, const void *state, void *slot)
{
    int64_t at;
    (void)state;
    (void)slot;
    TN_TRY(check_position(ctx, &at));
    return HOST->output_set(&ctx->call, 0, HOST->seq_get(&ctx->call, ctx->inputs[0], at));
}

static tn_status without_run(tn_run *ctx, const void *state, void *slot)
{
    int64_t at;
    (void)state;
    (void)slot;
    TN_TRY(check_position(ctx, &at));
    TN_TRY(HOST->seq_begin(&ctx->call, 0, 0));
    return HOST->seq_erase(&ctx->call, 0, at);
}

static tn_status wrap_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    return HOST->opt_set(&ctx->call, 0, ctx->input_count ? ctx->inputs[0] : NULL);
}

static tn_status unwrap_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *inside = HOST->opt_get(&ctx->call, ctx->inputs[0]);
    (void)state;
    (void)slot;
    return HOST->output_set(&ctx->call, 0, inside ? inside : ctx->inputs[1]);
}

/* ---- Shout, Noise ------------------------------------------------------------------------------------------------------ */

static const tn_param_def text_in[] = { { "X", "T", TN_BIT(TN_STRING), 0, 0, "words" } };
static const tn_param_def text_out[] = { { "Y", "T", TN_BIT(TN_STRING), 0, 0, "louder" } };

static tn_status shout_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_text *x = ctx->inputs[0]->data;
    (void)state;
    (void)slot;
    for (int64_t i = 0, n = tn_count(ctx->inputs[0]); i < n; i++) {
        char loud[64];
        const size_t count = x[i].count < sizeof loud ? x[i].count : sizeof loud;
        for (size_t k = 0; k < count; k++)
            loud[k] = (char)(x[i].bytes[k] >= 'a' && x[i].bytes[k] <= 'z' ? x[i].bytes[k] - 32
                                                                          : x[i].bytes[k]);
        TN_TRY(HOST->string_make(&ctx->call, loud, count, &((tn_text *)ctx->outputs[0]->data)[i]));
    }
    return TN_OK;
}

static tn_status noise_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    for (int64_t i = 0, n = tn_count(ctx->outputs[0]); i < n; i++) {
        uint32_t bits;
        HOST->random(&ctx->call, 0, (uint64_t)i, 1, &bits);
        ((float *)ctx->outputs[0]->data)[i] = (float)(bits >> 8) * 0x1p-24f;
    }
    return TN_OK;
}

/* ---- the tables ------------------------------------------------------------------------------------------------------------ */

#define OPERATOR(op, since_, in, out, infer_)                                                      \
    .size = sizeof(tn_operator_def), .domain = DOMAIN, .name = op, .since = since_, .inputs = in,  \
    .outputs = out, .input_count = COUNT(in), .output_count = COUNT(out), .infer = infer_
static const tn_operator_def operators[] = {
    { OPERATOR("Scale", 1, x_in, y_out, same), .attributes = scale_1, .attribute_count = 1 },
    { OPERATOR("Scale", 2, x_in, y_out, same), .attributes = scale_2, .attribute_count = 1,
      .traits = TN_ELEMENTWISE, .identity = scale_identity, .cost = scale_cost,
      .window = scale_window, .samplewise = scale_samplewise, .upgrade = scale_upgrade,
      .doc = "Y = factor * X" },
    { OPERATOR("Quadruple", 1, x_in, y_out, same), .body = quadruple_body },
    { OPERATOR("Thrice", 1, x_in, y_out, same), .expand = thrice_expand },
    { OPERATOR("Sum", 1, sum_in, y_out, sum_infer), .traits = TN_COMMUTATIVE },
    { OPERATOR("Meet", 1, x_in, y_out, same) },
    { OPERATOR("Share", 1, x_in, y_out, same) },
    { OPERATOR("Repeat", 1, x_in, y_out, repeat_infer), .attributes = repeat_attributes,
      .attribute_count = 2, .traits = TN_REGIONS },
    { OPERATOR("Rows", 1, x_in, y_out, rows_infer), .traits = TN_MOVES_BYTES },
    { OPERATOR("Positives", 1, x_in, y_out, positives_infer) },
    { OPERATOR("Filled", 1, shape_in, y_out, filled_infer) },
    { OPERATOR("Extents", 1, x_in, shape_out, extents_infer) },
    { OPERATOR("Collect", 1, collect_in, collect_out, infer_list) },
    { OPERATOR("Pick", 1, pick_in, y_out, infer_late), .traits = TN_MAY_FAIL },
    { OPERATOR("Without", 1, pick_in, collect_out, infer_list), .traits = TN_MAY_FAIL },
    { OPERATOR("Wrap", 1, wrap_in, wrap_out, infer_maybe) },
    { OPERATOR("Unwrap", 1, unwrap_in, y_out, infer_late) },
    { OPERATOR("Shout", 1, text_in, text_out, same) },
    { OPERATOR("Noise", 1, x_in, y_out, same), .traits = TN_NONDETERMINISTIC },
};

#define KERNEL(op_, run_)                                                                          \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .domain = DOMAIN, .op = op_, .run = run_                    \
    }
static const tn_kernel_def kernels[] = {
    KERNEL("Scale", scale_plain),
    KERNEL("Sum", sum_run),
    KERNEL("Meet", meet_run),
    KERNEL("Share", share_run),
    KERNEL("Repeat", repeat_run),
    KERNEL("Rows", rows_run),
    KERNEL("Positives", positives_run),
    KERNEL("Filled", filled_run),
    KERNEL("Extents", extents_run),
    KERNEL("Collect", collect_run),
    KERNEL("Pick", pick_run),
    KERNEL("Without", without_run),
    KERNEL("Wrap", wrap_run),
    KERNEL("Unwrap", unwrap_run),
    KERNEL("Shout", shout_run),
    KERNEL("Noise", noise_run),
    { .size = sizeof(tn_kernel_def),
      .domain = DOMAIN,
      .op = "Scale",
      .backend = "kitchen",
      .since = 2,
      .types = F32,
      .state_bytes = sizeof(scale_state),
      .offer = scale_offer,
      .measure = scale_measure,
      .prepare = scale_prepare,
      .attach = scale_attach,
      .run = scale_run,
      .detach = scale_detach,
      .finish = scale_finish },
    { .size = sizeof(tn_kernel_def),
      .domain = DOMAIN,
      .op = "Scale",
      .backend = "never_there",
      .run = scale_plain },
};

/* ---- backend, pass, format, extension ------------------------------------------------------------------------------------- */

static tn_status kitchen_open(tn_backend_open *ctx)
{
    ctx->description = "kitchen 1.0";
    return ctx->threads ? TN_OK : tn_fail(ctx, TN_ERR_BACKEND, "no thread to cook on");
}
static void kitchen_close(void *instance)
{
    (void)instance;
}
static const tn_backend_def backend = { .size = sizeof(tn_backend_def),
                                        .name = "kitchen",
                                        .build = "kitchen-1",
                                        .open = kitchen_open,
                                        .close = kitchen_close };

/* Scale(Scale(x)) is one Scale. */
static tn_status merge_match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node), *before;
    const tn_value_view *x = ctx->api->value(ctx->graph, view->inputs[0]);
    tn_value_id made;
    if (view->version != 2 || !x || x->producer == TN_NONE)
        return TN_NO_MATCH;
    before = ctx->api->node(ctx->graph, x->producer);
    if (strcmp(before->op, "Scale") != 0 || strcmp(before->domain, DOMAIN) != 0 ||
        before->version != 2)
        return TN_NO_MATCH;
    if (x->use_count > 1 || x->output_count)
        return tn_fail(ctx, TN_NO_MATCH, "'%s' has other readers", x->name);
    const tn_value_id old = view->outputs[0];
    const double factor = (double)tn_attr_float(view, "factor", 1.0f) *
                          (double)tn_attr_float(before, "factor", 1.0f);
    TN_TRY(add_scale(ctx, view, before->inputs[0], factor, &made));
    TN_TRY(ctx->api->replace(ctx->graph, old, made));
    TN_TRY(ctx->api->remove_node(ctx->graph, node));
    return tn_fail(ctx, TN_OK, "two scales are one of %g", factor);
}
static const char *const roots[] = { DOMAIN "::Scale", NULL };
static const tn_pass_def pass = { .size = sizeof(tn_pass_def),
                                  .phase = TN_PHASE_FOLD,
                                  .order = 10,
                                  .exactness = TN_EXACT_ROUNDING,
                                  .name = "merge_scales",
                                  .doc = "Joins scales that follow each other.",
                                  .roots = roots,
                                  .match = merge_match };

/* "kitchen 3": a graph of one Scale by 3. */
static int32_t format_sniff(const void *bytes, size_t count)
{
    return count > 8 && memcmp(bytes, "kitchen ", 8) == 0;
}

static tn_status format_read(tn_format_call *ctx)
{
    const tn_type type = { .size = sizeof type, .dtype = TN_FLOAT32, .rank = 1, .dims = { 2 } };
    const tn_attribute attribute = { .size = sizeof attribute,
                                     .type = TN_ATTR_FLOAT,
                                     .name = "factor",
                                     .f = ((const char *)ctx->bytes)[8] - '0' };
    tn_value_id x, y;
    tn_node_id node;
    if (attribute.f < 0.0 || attribute.f > 9.0)
        HOST->complain(&ctx->call, TN_ERR_FORMAT, TN_WHERE_NODE, 0, NULL,
                       "a factor is one digit, not '%c'", ((const char *)ctx->bytes)[8]);
    TN_TRY(ctx->api->set_opset(ctx->graph, DOMAIN, 2));
    TN_TRY(ctx->api->add_value(ctx->graph, TN_TOP_REGION, "x", &type, &x));
    TN_TRY(ctx->api->add_input(ctx->graph, TN_TOP_REGION, x));
    const tn_node_desc desc = { .size = sizeof desc,
                                .name = "scale",
                                .domain = DOMAIN,
                                .op = "Scale",
                                .input_count = 1,
                                .output_count = 1,
                                .inputs = &x,
                                .attribute_count = 1,
                                .attributes = &attribute,
                                .before = TN_NONE,
                                .trace = TN_NONE };
    TN_TRY(ctx->api->add_node(ctx->graph, &desc, &node));
    y = ctx->api->node(ctx->graph, node)->outputs[0];
    return ctx->api->add_output(ctx->graph, TN_TOP_REGION, "y", y);
}

static tn_status format_write(tn_format_call *ctx)
{
    const tn_node_id node = ctx->api->first_node(ctx->graph, TN_TOP_REGION);
    char text[16];
    if (node == TN_NONE)
        return tn_fail(ctx, TN_ERR_FORMAT, "a kitchen file has one node, this graph has none");
    const int digit = (int)tn_attr_float(ctx->api->node(ctx->graph, node), "factor", 0.0f);
    const int count = snprintf(text, sizeof text, "kitchen %d\n", digit);
    return HOST->write_file(&ctx->call, NULL, text, (size_t)count);
}
static const tn_format_def format = { .size = sizeof(tn_format_def),
                                      .name = "kitchen",
                                      .extension = ".kitchen",
                                      .sniff = format_sniff,
                                      .read = format_read,
                                      .write = format_write };

static const int answer = 42;
static const void *extension(const char *id)
{
    return strcmp(id, "test.kitchen.answer/1") == 0 ? &answer : NULL;
}

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    if (host->extension(host, "test.nobody.has/1") || host->minor != registrar->call.minor)
        return tn_fail(registrar, TN_ERR_PLUGIN, "the host promises too much");
    for (size_t k = 0; k < sizeof operators / sizeof operators[0]; k++)
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++)
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    TN_TRY(registrar->add_backend(registrar, &backend));
    TN_TRY(registrar->add_pass(registrar, &pass));
    return registrar->add_format(registrar, &format);
}

static void unload(void) {}

TN_PLUGIN(kitchen, .version = "1.0", .licence = "MIT", .description = "every part of the ABI once",
          .load = load, .unload = unload, .extension = extension);
