/* plugins/activation/clip.c: keeps elements within bounds.
 *
 * ONNX: Clip. Min(max, Max(input, min)): where the bounds cross, max wins. NaN stays NaN. A bound
 * that is absent does not bound, infinities included, as in the operator's own function body.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

#include <float.h>

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    for (uint32_t k = 1; k < ctx->input_count; k++) {
        const tn_type *bound = ctx->inputs[k];
        if (!bound || bound->rank < 1)
            continue;
        for (int32_t axis = 0; axis < bound->rank; axis++) {
            if (!tn_dim_known(bound->dims[axis]) || bound->dims[axis] == 1)
                continue;
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' has extent %lld along axis %d: expected a scalar",
                                     k == 1 ? "min" : "max", (long long)bound->dims[axis],
                                     (int)axis);
            break;
        }
    }
    return tn_infer_same(ctx, 0, 0);
}

static int32_t identity(const tn_identity *query)
{
    for (uint32_t k = 1; k < query->node->input_count; k++) {
        if (query->node->inputs[k] != TN_NONE)
            return -1;
    }
    return 0;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct clip_job {
    const tn_tensor *x;
    tn_tensor *y;
    double low, high; /* NaN: no bound, since a comparison with it is false */
    int64_t int_low, int_high;
    int has_low, has_high;
} clip_job;

static void clip_floats(const clip_job *job, int64_t begin, int64_t end)
{
    const float *x = job->x->data;
    float *y = job->y->data;
    const float low = (float)job->low, high = (float)job->high;
    for (int64_t i = begin; i < end; i++) {
        const float raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}

static void clip_doubles(const clip_job *job, int64_t begin, int64_t end)
{
    double block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_doubles(job->x->dtype, job->x->data, i, n, block);
        for (int64_t j = 0; j < n; j++) {
            const double raised = block[j] < job->low ? job->low : block[j];
            block[j] = raised > job->high ? job->high : raised;
        }
        store_doubles(job->y->dtype, job->y->data, i, n, block);
    }
}

/* uint64 is ordered like int64 once its highest bit is turned. */
static int64_t order_bits(uint32_t dtype)
{
    return dtype == TN_UINT64 ? INT64_MIN : 0;
}

static void clip_ints(const clip_job *job, int64_t begin, int64_t end)
{
    const int64_t turn = order_bits(job->x->dtype);
    int64_t block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_ints(job->x->dtype, job->x->data, i, n, block);
        for (int64_t j = 0; j < n; j++) {
            int64_t v = block[j] ^ turn;
            v = job->has_low && v < job->int_low ? job->int_low : v;
            v = job->has_high && v > job->int_high ? job->int_high : v;
            block[j] = v ^ turn;
        }
        store_ints(job->y->dtype, job->y->data, i, n, block);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const clip_job *job = user;
    (void)thread;
    if (job->x->dtype == TN_FLOAT32)
        clip_floats(job, begin, end);
    else if (TN_BIT(job->x->dtype) & TN_MASK_FLOAT)
        clip_doubles(job, begin, end);
    else
        clip_ints(job, begin, end);
    return TN_OK;
}

static const tn_tensor *bound(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *low = bound(ctx, 1), *high = bound(ctx, 2);
    clip_job job = { ctx->inputs[0], ctx->outputs[0], (double)NAN, (double)NAN, 0, 0,
                     low != NULL,    high != NULL };
    const uint32_t dtype = job.x->dtype;
    const int is_float = (TN_BIT(dtype) & TN_MASK_FLOAT) != 0;
    const int64_t turn = order_bits(dtype);
    (void)state, (void)slot;
    if (low && is_float)
        job.low = tn_get_double(dtype, low->data, 0);
    if (high && is_float)
        job.high = tn_get_double(dtype, high->data, 0);
    if (low && !is_float)
        job.int_low = tn_get_int(dtype, low->data, 0) ^ turn;
    if (high && !is_float)
        job.int_high = tn_get_int(dtype, high->data, 0) ^ turn;
    return ctx->call.host->parallel_for(&ctx->call, tn_count(job.x), 16384, chunk, &job);
}

/* ---- sets 1 and 6: bounds as attributes -------------------------------------------------- */

/* Set 6 wrote float32's own ends as the bounds that hold by default: infinities become those. */
static const tn_attribute_def attributes_6[] = {
    { .name = "max",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = FLT_MAX,
      .doc = "Upper bound." },
    { .name = "min",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = -FLT_MAX,
      .doc = "Lower bound." },
};
static const tn_attribute_def attributes_1[] = {
    { .name = "max", .type = TN_ATTR_FLOAT, .doc = "Upper bound; none if absent." },
    { .name = "min", .type = TN_ATTR_FLOAT, .doc = "Lower bound; none if absent." },
    TN_CONSUMED_INPUTS,
};

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP, "the bounds have the input's type, which inference tells");
}

static void bound_to_input(tn_edit *e, const char *name, uint32_t k)
{
    const tn_attribute *bound = tn_attr(tn_edit_view(e), name);
    if (!bound)
        return;
    tn_edit_set_input(e, k, tn_put_scalar_like(e, bound->f, tn_edit_input(e, 0)));
    tn_edit_drop(e, name);
}

static tn_status expand(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    bound_to_input(&e, "min", 1);
    bound_to_input(&e, "max", 2);
    tn_edit_drop(&e, "consumed_inputs");
    return tn_edit_renew(&e);
}

static tn_status add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 6, 6);
    old.input_count = 1;
    old.attributes = attributes_6;
    old.attribute_count = 2;
    old.infer = infer;
    old.expand = expand;
    old.upgrade = upgrade;
    TN_TRY(registrar->add_operator(registrar, &old));
    old.since = old.accepts_from = 1;
    old.attributes = attributes_1;
    old.attribute_count = 3;
    return registrar->add_operator(registrar, &old);
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id low = tn_edit_input(&e, 1), high = tn_edit_input(&e, 2);
    tn_value_id y = tn_edit_input(&e, 0);
    if (low == TN_NONE && high == TN_NONE)
        y = tn_put(&e, "Identity", y, TN_NONE, TN_NONE, NULL);
    if (low != TN_NONE)
        y = tn_put(&e, "Max", y, low, TN_NONE, NULL);
    if (high != TN_NONE)
        y = tn_put(&e, "Min", y, high, TN_NONE, NULL);
    return tn_edit_give(&e, y);
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T", TN_MASK_NUMERIC, 0, 0, "Any shape." },
    { "min", "T", TN_MASK_NUMERIC, TN_PARAM_OPTIONAL, 0, "Lower bound, a scalar." },
    { "max", "T", TN_MASK_NUMERIC, TN_PARAM_OPTIONAL, 0, "Upper bound, a scalar." },
};
static const tn_param_def outputs[] = {
    { "output", "T", TN_MASK_NUMERIC, 0, 0, "The shape of the input." },
};

tn_status clip_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 13,
        .accepts_from = 11,
        .name = "Clip",
        .doc = "Min(max, Max(input, min)); a bound that is absent does not bound.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_ELEMENTWISE,
        .infer = infer,
        .identity = identity,
        .samplewise = activation_samplewise,
        .expand = write_out,
        .upgrade = upgrade,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Clip",
                                   .run = run,
                                   .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS };
    TN_TRY(add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
