/* plugins/pool/global_pool.c: GlobalAveragePool, GlobalMaxPool and GlobalLpPool (ONNX operators of
 * these names): one number for each plane.
 *
 * A NaN wins the maximum. Of a plane without elements the mean is NaN, the maximum -infinity, the
 * norm 0.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <inttypes.h>

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N, C, spatial axes]", x->rank);
        return TN_OK;
    }
    if (tn_attr_int(ctx->node, "p", 2) < 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "p",
                                 "p is %" PRId64 ": expected 1 or more",
                                 tn_attr_int(ctx->node, "p", 2));
    ctx->outputs[0].rank = x->rank;
    for (int32_t axis = 0; axis < x->rank; axis++)
        ctx->outputs[0].dims[axis] = axis < 2 ? x->dims[axis] : 1;
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    out->ops = 1;
    for (int32_t axis = 0; axis < ctx->inputs[0]->rank; axis++)
        out->ops *= (double)ctx->inputs[0]->dims[axis];
    return TN_OK;
}

static int32_t window(tn_infer *ctx, tn_window *windows)
{
    const tn_type *x = ctx->inputs[0];
    for (int32_t k = 2; x && k < x->rank; k++)
        windows[k - 2] = (tn_window){ x->dims[k], 1, 1, 0, 0 };
    return x && x->rank > 2 ? x->rank - 2 : 0;
}

typedef enum kind { MEAN, LARGEST, NORM } kind;
static const kind kinds[] = { MEAN, LARGEST, NORM };

typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    int64_t count;
    kind kind;
    double power;
} job;

static double fold(const job *j, double so_far, double x)
{
    switch (j->kind) {
    case LARGEST: return x <= so_far || isnan(so_far) ? so_far : x;
    case NORM:
        return so_far + (j->power == 1.0   ? fabs(x)
                         : j->power == 2.0 ? x * x
                                           : pow(fabs(x), j->power));
    default: return so_far + x;
    }
}

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++) {
        double value = j->kind == LARGEST ? -INFINITY : 0.0;
        for (int64_t k = 0; k < j->count; k++)
            value = fold(j, value, tn_get_double(j->x->dtype, j->x->data, plane * j->count + k));
        if (j->kind == MEAN)
            value /= (double)j->count;
        tn_set_float(j->y->dtype, j->y->data, plane,
                     j->kind == NORM ? pool_root(value, j->power) : value);
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    job j = { .x = x,
              .y = ctx->outputs[0],
              .count = tn_extent(x->dims, 2, x->rank),
              .kind = *(const kind *)ctx->call.user,
              .power = (double)tn_attr_int(ctx->node, "p", 2) };
    (void)state;
    (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, x->dims[0] * x->dims[1],
                                        1 + 16384 / (j.count + 1), run_planes, &j);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "[N, C, D1, ...]" } };
static const tn_param_def outputs[] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "[N, C, 1, ...]" } };
static const tn_attribute_def norm_attributes[] = {
    { .name = "p",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 2,
      .doc = "the exponent of the norm" },
};
static const tn_attribute_def old_attributes[] = {
    { .name = "p",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 2,
      .doc = "the exponent of the norm" },
};
#define OPERATOR(op, from, text, count, attrs)                                                     \
    {                                                                                              \
        .size = sizeof(tn_operator_def), .since = 22, .accepts_from = from, .name = op,            \
        .doc = text, .inputs = inputs, .input_count = 1, .outputs = outputs, .output_count = 1,    \
        .attributes = attrs, .attribute_count = count, .infer = infer, .cost = cost,               \
        .window = window, .samplewise = pool_samplewise,                                           \
        .upgrade = (count) ? pool_power_upgrade : NULL                                             \
    }
#define KERNEL(name, which)                                                                        \
    {                                                                                              \
        .size = sizeof(tn_kernel_def), .op = name, .run = run, .types = TN_MASK_FLOAT,             \
        .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY, .user = (void *)&kinds[which]              \
    }

tn_status global_pool_register(tn_registrar *registrar)
{
    const tn_operator_def operators[] = {
        OPERATOR("GlobalAveragePool", 1, "The mean of each plane.", 0, NULL),
        OPERATOR("GlobalMaxPool", 1, "The largest element of each plane.", 0, NULL),
        OPERATOR("GlobalLpPool", 2, "The p-norm of each plane.", 1, norm_attributes),
    };
    const tn_kernel_def kernels[] = { KERNEL("GlobalAveragePool", MEAN),
                                      KERNEL("GlobalMaxPool", LARGEST),
                                      KERNEL("GlobalLpPool", NORM) };
    TN_TRY(pool_power_add_old(registrar, &operators[2], old_attributes, 1));
    for (int k = 0; k < 3; k++) {
        TN_TRY(registrar->add_operator(registrar, &operators[k]));
        TN_TRY(registrar->add_kernel(registrar, &kernels[k]));
    }
    return TN_OK;
}
