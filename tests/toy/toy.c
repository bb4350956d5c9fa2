/* tests/toy/toy.c: a backend that uses the whole contract on a small scale, for the tests.
 *
 *   layout     private: channels in blocks of four, NCHW4c, padded with zeros
 *   Conv       1x1, stride 1, float32; packs its weights; takes Relu and a sum in its epilogue;
 *              refuses everything else with a reason; declines seven output channels in measure
 *   Relu       in place, in its own layout or plain
 *   Neg        makes what it reads itself, where that is an Abs; declines that for seven channels
 *              in measure
 *   Convert    between plain and its own layout
 *
 * SPDX-License-Identifier: MIT */
#include "toy.h"

#include "tenon/kernel.h"

#include <stdlib.h>

enum { BLOCK = 4 };
static toy_counters counters;
#define COUNT(member) __atomic_add_fetch(&counters.member, 1, __ATOMIC_RELAXED)

/* ---- the layout ------------------------------------------------------------------------------- */

typedef struct blob {
    char name[8];
    int64_t dims[4];
} blob;

static int64_t blocks(int64_t channels)
{
    return (channels + BLOCK - 1) / BLOCK;
}

static tn_status own_layout(tn_measure *ctx, const tn_type *type, uint32_t *out)
{
    blob b = { "NCHW4c", { 0 } };
    memcpy(b.dims, type->dims, sizeof b.dims);
    const int64_t plane = type->dims[2] * type->dims[3];
    return ctx->call.host->layout(
        &ctx->call, &b, sizeof b,
        (size_t)(type->dims[0] * blocks(type->dims[1]) * BLOCK * plane) * sizeof(float), out);
}

static int64_t at(const int64_t *dims, int64_t n, int64_t c, int64_t p)
{
    const int64_t plane = dims[2] * dims[3];
    return ((n * blocks(dims[1]) + c / BLOCK) * plane + p) * BLOCK + c % BLOCK;
}

/* ---- Conv --------------------------------------------------------------------------------------- */

typedef struct conv_state {
    uint32_t relus_before, sum, relus_after;
    int32_t operand;
    void *made; /* something to be freed, so that a missing finish is a leak */
} conv_state;

static tn_status refuse_shape(tn_offer *ctx, const tn_problem *p)
{
    const tn_type *x = p->inputs[0], *w = p->inputs[1];
    const int64_t *list;
    if (x->rank != 4)
        return tn_fail(ctx, TN_DECLINED, "takes pictures only, not rank %d", x->rank);
    if (w->dims[2] != 1 || w->dims[3] != 1)
        return tn_fail(ctx, TN_DECLINED, "takes 1x1 filters only, not %dx%d", (int)w->dims[2],
                       (int)w->dims[3]);
    if (tn_attr_ints(p->node, "strides", &list) && (list[0] != 1 || list[1] != 1))
        return tn_fail(ctx, TN_DECLINED, "takes stride 1 only");
    if (tn_attr_int(p->node, "group", 1) != 1)
        return tn_fail(ctx, TN_DECLINED, "takes one group only");
    return p->constants[1] ? TN_OK
                           : tn_fail(ctx, TN_DECLINED, "packs its filters, which must be constant");
}

/* Relu*, then at most one sum with a full operand, then Relu*. */
static int read_steps(const tn_problem *p, conv_state *s)
{
    s->operand = -1;
    for (uint32_t k = 0; k < p->step_count; k++) {
        const tn_step *step = &p->steps[k];
        if (strcmp(step->node->op, "Relu") == 0)
            s->sum ? s->relus_after++ : s->relus_before++;
        else if (strcmp(step->node->op, "Add") == 0 && !s->sum && step->spread == TN_SPREAD_FULL &&
                 step->operand >= 0) {
            s->sum = 1;
            s->operand = step->operand;
        } else
            return 0;
    }
    return 1;
}

static tn_status conv_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    conv_state s = { 0 };
    COUNT(offered);
    if (!(p->flags & TN_PROBLEM_SHAPES_KNOWN))
        return TN_NEEDS_SHAPES;
    TN_TRY(refuse_shape(ctx, p));
    if (!read_steps(p, &s))
        return tn_fail(ctx, TN_DECLINED, "takes Relu and one sum as epilogue");
    ctx->algorithm = "toy";
    return TN_OK;
}

static tn_status conv_measure(tn_measure *ctx, void *state)
{
    static const char key[] = "toy-filters";
    static const uint32_t sources[] = { 1 };
    const tn_problem *p = ctx->problem;
    tn_alternative *a = &ctx->alternatives[0];
    conv_state *s = state;
    COUNT(measured);
    if (p->inputs[1]->dims[0] == 7)
        return tn_fail(ctx, TN_DECLINED, "does not like seven channels");
    read_steps(p, s);
    TN_TRY(own_layout(ctx, p->inputs[0], &a->input_layouts[0]));
    TN_TRY(own_layout(ctx, p->outputs[0], &a->output_layouts[0]));
    if (s->operand >= 0) {
        a->input_layouts[s->operand] = a->output_layouts[0];
        a->output_aliases[0] = (tn_alias){ TN_ALIAS_STARTS_AS, (uint32_t)s->operand };
    }
    a->algorithm = "toy:1x1";
    a->scratch_bytes = 64;
    a->slot_bytes = sizeof(void *);
    a->pack_count = 1;
    a->packs[0] = (tn_pack_def){ .size = sizeof a->packs[0],
                                 .source_count = 1,
                                 .sources = sources,
                                 .key = key,
                                 .key_bytes = sizeof key,
                                 .bytes = (size_t)(p->inputs[1]->dims[0] * p->inputs[1]->dims[1]) *
                                          sizeof(float) };
    return TN_OK;
}

/* [C][M]: the filters of one input channel side by side. */
static tn_status conv_prepare(tn_prepare *ctx, void *state)
{
    const tn_tensor *w = ctx->problem->constants[1];
    conv_state *s = state;
    COUNT(prepared);
    s->made = malloc(16);
    if (!s->made)
        return tn_fail(ctx, TN_ERR_MEMORY, "no memory");
    if (!ctx->packs[0].fill)
        return TN_OK;
    COUNT(filled);
    for (int64_t m = 0; m < w->dims[0]; m++)
        for (int64_t c = 0; c < w->dims[1]; c++)
            ((float *)ctx->packs[0].data)[c * w->dims[0] + m] =
                ((const float *)w->data)[m * w->dims[1] + c];
    return TN_OK;
}

static tn_status conv_attach(tn_slot_call *ctx, const void *state, void *slot)
{
    (void)ctx;
    (void)state;
    COUNT(attached);
    *(void **)slot = malloc(16);
    return *(void **)slot ? TN_OK : TN_ERR_MEMORY;
}

static void conv_detach(tn_slot_call *ctx, const void *state, void *slot)
{
    (void)ctx;
    (void)state;
    COUNT(detached);
    free(*(void **)slot);
}

static void conv_finish(void *state)
{
    COUNT(finished);
    free(((conv_state *)state)->made);
}

static float relu(float x)
{
    return x < 0 ? 0 : x;
}

static tn_status conv_run(tn_run *ctx, const void *state, void *slot)
{
    const conv_state *s = state;
    const tn_tensor *x = ctx->inputs[0], *b = ctx->input_count > 2 ? ctx->inputs[2] : NULL;
    tn_tensor *y = ctx->outputs[0];
    const float *w = ctx->packs[0], *in = x->data;
    float *out = y->data;
    const int64_t channels = x->dims[1], filters = y->dims[1], plane = y->dims[2] * y->dims[3];
    COUNT(ran);
    if (!ctx->scratch || !*(void **)slot)
        return tn_fail(ctx, TN_ERR_INTERNAL, "scratch or slot is missing");
    for (int64_t n = 0; n < y->dims[0]; n++)
        for (int64_t p = 0; p < plane; p++)
            for (int64_t m = 0; m < blocks(filters) * BLOCK; m++) {
                float sum = 0;
                if (m < filters) {
                    sum = b && s->operand != 2 ? ((const float *)b->data)[m] : 0;
                    for (int64_t c = 0; c < channels; c++)
                        sum += in[at(x->dims, n, c, p)] * w[c * filters + m];
                    sum = s->relus_before ? relu(sum) : sum;
                    sum += s->sum ? out[at(y->dims, n, m, p)] : 0;
                    sum = s->relus_after ? relu(sum) : sum;
                }
                out[at(y->dims, n, m, p)] = sum; /* padding channels become 0 */
            }
    return TN_OK;
}

/* ---- Relu ----------------------------------------------------------------------------------------- */

/* In its own layout, or plain: then rows may lie apart. */
static tn_status relu_measure(tn_measure *ctx, void *state)
{
    (void)state;
    ctx->alternatives[0].input_layouts[0] = TN_LAYOUT_PLAIN | TN_LAYOUT_STRIDED;
    ctx->alternatives[0].output_layouts[0] = TN_LAYOUT_PLAIN | TN_LAYOUT_STRIDED;
    ctx->alternatives[0].output_aliases[0] = (tn_alias){ TN_ALIAS_MAY_REUSE, 0 };
    ctx->alternatives[0].algorithm = "toy:relu";
    if (ctx->candidates[0].layouts[0] > TN_LAYOUT_CHANNELS_LAST) {
        ctx->alternatives[0].input_layouts[0] = ctx->candidates[0].layouts[0];
        ctx->alternatives[0].output_layouts[0] = ctx->candidates[0].layouts[0];
    }
    return TN_OK;
}

static tn_status relu_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0], *y = ctx->outputs[0];
    const float *in = x->data;
    float *out = y->data;
    (void)state;
    (void)slot;
    if (!x->strides && !y->strides) {
        for (size_t k = 0; k < y->bytes / sizeof(float); k++)
            out[k] = relu(in[k]);
        return TN_OK;
    }
    COUNT(strided);
    const int64_t row = tn_row_length(y);
    for (int64_t r = 0; r < tn_count(y) / row; r++)
        for (int64_t k = 0; k < row; k++)
            out[r * tn_row_step(y) + k] = relu(in[r * tn_row_step(x) + k]);
    return TN_OK;
}

/* ---- Abs and Neg ---------------------------------------------------------------------------------- */

static tn_status abs_run(tn_run *ctx, const void *state, void *slot)
{
    (void)state;
    (void)slot;
    for (int64_t k = 0; k < tn_count(ctx->outputs[0]); k++)
        ((float *)ctx->outputs[0]->data)[k] = fabsf(((const float *)ctx->inputs[0]->data)[k]);
    return TN_OK;
}

static tn_status neg_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->step_count)
        return tn_fail(ctx, TN_DECLINED, "takes no epilogue");
    if (p->prologue_count > 1 || (p->prologue_count && strcmp(p->prologue[0].node->op, "Abs") != 0))
        return tn_fail(ctx, TN_DECLINED, "takes Abs alone as prologue");
    return TN_OK;
}

static tn_status neg_measure(tn_measure *ctx, void *state)
{
    *(uint32_t *)state = ctx->problem->prologue_count;
    if (ctx->problem->prologue_count && ctx->problem->inputs[0]->dims[1] == 7)
        return tn_fail(ctx, TN_DECLINED, "does not like seven channels");
    return TN_OK;
}

static tn_status neg_run(tn_run *ctx, const void *state, void *slot)
{
    const uint32_t joined = *(const uint32_t *)state;
    (void)slot;
    for (int64_t k = 0; k < tn_count(ctx->outputs[0]); k++) {
        const float x = ((const float *)ctx->inputs[0]->data)[k];
        ((float *)ctx->outputs[0]->data)[k] = joined ? -fabsf(x) : -x;
    }
    return TN_OK;
}

/* ---- Convert -------------------------------------------------------------------------------------- */

static tn_status convert_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->inputs[0]->dtype != TN_FLOAT32 || p->inputs[0]->rank != 4)
        return tn_fail(ctx, TN_DECLINED, "converts float32 pictures only");
    if ((p->input_layout > 1) == (p->output_layout > 1) || p->input_layout == 1 ||
        p->output_layout == 1)
        return tn_fail(ctx, TN_DECLINED, "converts between plain and its own layout only");
    return TN_OK;
}

static tn_status convert_run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    tn_tensor *y = ctx->outputs[0];
    const int64_t plane = x->dims[2] * x->dims[3], channels = x->dims[1];
    const float *in = x->data;
    float *out = y->data;
    (void)state;
    (void)slot;
    COUNT(converted);
    if (y->layout != TN_LAYOUT_PLAIN)
        memset(out, 0, y->bytes);
    for (int64_t n = 0; n < x->dims[0]; n++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < plane; p++) {
                const int64_t dense = (n * channels + c) * plane + p, own = at(x->dims, n, c, p);
                if (y->layout == TN_LAYOUT_PLAIN)
                    out[dense] = in[own];
                else
                    out[own] = in[dense];
            }
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------------------ */

static const tn_backend_def backend = {
    .size = sizeof(tn_backend_def), .name = "toy", .doc = "for tests", .build = "toy-1"
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "Conv",
      .backend = "toy",
      .types = TN_BIT(TN_FLOAT32),
      .state_bytes = sizeof(conv_state),
      .offer = conv_offer,
      .measure = conv_measure,
      .prepare = conv_prepare,
      .attach = conv_attach,
      .run = conv_run,
      .detach = conv_detach,
      .finish = conv_finish },
    { .size = sizeof(tn_kernel_def),
      .op = "Relu",
      .backend = "toy",
      .types = TN_BIT(TN_FLOAT32),
      .measure = relu_measure,
      .run = relu_run },
    { .size = sizeof(tn_kernel_def),
      .op = "Abs",
      .backend = "toy",
      .types = TN_BIT(TN_FLOAT32),
      .run = abs_run },
    { .size = sizeof(tn_kernel_def),
      .flags = TN_KERNEL_PROLOGUE,
      .op = "Neg",
      .backend = "toy",
      .types = TN_BIT(TN_FLOAT32),
      .state_bytes = sizeof(uint32_t),
      .offer = neg_offer,
      .measure = neg_measure,
      .run = neg_run },
    { .size = sizeof(tn_kernel_def),
      .domain = "tenon",
      .op = "Convert",
      .backend = "toy",
      .offer = convert_offer,
      .run = convert_run },
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(registrar->add_backend(registrar, &backend));
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    return TN_OK;
}

static const void *extension(const char *id)
{
    return strcmp(id, "toy.counters/1") == 0 ? &counters : NULL;
}

TN_PLUGIN(toy, .version = "1.0", .licence = "MIT", .description = "A backend for tests",
          .load = load, .extension = extension);
