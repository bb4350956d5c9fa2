/* plugins/gemm/gemm.c: Gemm, the general product of two matrices (ONNX operators: Gemm).
 *
 *   Y = alpha * A' B' + beta * C      A' [M, K], B' [K, N], C broadcast to [M, N]
 *
 * Attributes: alpha, beta, transA, transB.
 *
 * SPDX-License-Identifier: MIT */
#include "gemm.h"
#include "tenon/upgrade.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------------- */

static int check_rank(tn_infer *ctx, uint32_t input, const char *name)
{
    const tn_type *type = ctx->inputs[input];
    if (!type || type->rank == 2 || type->rank < 0)
        return type && type->rank == 2;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, input, NULL,
                             "input '%s' has rank %d: expected a matrix", name, type->rank);
    return 0;
}

/* C must broadcast to Y, not the other way round. */
static void check_c(tn_infer *ctx)
{
    const tn_type *c = ctx->input_count > 2 ? ctx->inputs[2] : NULL, *y = &ctx->outputs[0];
    if (!c || c->rank < 0)
        return;
    if (c->rank > 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'C' has rank %d: expected at most 2", c->rank);
        return;
    }
    for (int32_t axis = 0; axis < c->rank; axis++) {
        const tn_dim found = c->dims[axis], wanted = y->dims[axis + 2 - c->rank];
        if (tn_dim_known(found) && found != 1 && tn_dim_known(wanted) && found != wanted)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                     "input 'C' has extent %" PRId64
                                     " on axis %d, which does not broadcast to %" PRId64,
                                     found, axis, wanted);
    }
}

static tn_status infer(tn_infer *ctx)
{
    const int64_t trans_a = tn_attr_int(ctx->node, "transA", 0) != 0,
                  trans_b = tn_attr_int(ctx->node, "transB", 0) != 0;
    const int a = check_rank(ctx, 0, "A"), b = check_rank(ctx, 1, "B");
    tn_type *y = &ctx->outputs[0];
    y->rank = 2;
    y->dims[0] = a ? ctx->inputs[0]->dims[trans_a] : TN_DIM_UNKNOWN;
    y->dims[1] = b ? ctx->inputs[1]->dims[!trans_b] : TN_DIM_UNKNOWN;
    if (a && b) {
        const tn_dim ka = ctx->inputs[0]->dims[!trans_a], kb = ctx->inputs[1]->dims[trans_b];
        if (tn_dim_known(ka) && tn_dim_known(kb) && ka != kb)
            ctx->call.host->complain(
                &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                "input 'B' has %" PRId64 " rows%s, but input 'A' has %" PRId64 " columns%s", kb,
                trans_b ? " when transposed" : "", ka, trans_a ? " when transposed" : "");
    }
    check_c(ctx);
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const int64_t trans_a = tn_attr_int(ctx->node, "transA", 0) != 0;
    out->macs = (double)ctx->outputs[0].dims[0] * (double)ctx->outputs[0].dims[1] *
                (double)ctx->inputs[0]->dims[!trans_a];
    return TN_OK;
}

/* Rows are samples: of A, and of C where it has one for each. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *c = ctx->input_count > 2 ? ctx->inputs[2] : NULL;
    if (tn_attr_int(ctx->node, "transA", 0) || (c && (c->rank < 0 || c->rank > 2)))
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    if (!c || c->rank < 2 || c->dims[0] == 1)
        return TN_OK;
    input_axes[2] = 0;
    return ctx->call.host->dim_equal(&ctx->call, c->dims[0], ctx->inputs[0]->dims[0]) == TN_YES
               ? TN_OK
               : TN_NO_MATCH;
}

/* ---- kernel ------------------------------------------------------------------------------------ */

static tn_status run_tiles(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const gemm_job *job = user;
    const int64_t columns = gemm_tiles(job->columns);
    (void)thread;
    for (int64_t k = begin; k < end; k++)
        gemm_tile(job, k / columns * GEMM_TILE, k % columns * GEMM_TILE);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *a = ctx->inputs[0], *b = ctx->inputs[1],
                    *c = ctx->input_count > 2 ? ctx->inputs[2] : NULL;
    const int64_t trans_a = tn_attr_int(ctx->node, "transA", 0) != 0,
                  trans_b = tn_attr_int(ctx->node, "transB", 0) != 0;
    gemm_job job = { .y = ctx->outputs[0],
                     .rows = ctx->outputs[0]->dims[0],
                     .columns = ctx->outputs[0]->dims[1],
                     .depth = a->dims[!trans_a],
                     .alpha = (double)tn_attr_float(ctx->node, "alpha", 1),
                     .beta = (double)tn_attr_float(ctx->node, "beta", 1) };
    int64_t strides[TN_MAX_RANK];
    (void)state;
    (void)slot;
    job.a = (gemm_matrix){ a, 0, trans_a ? 1 : a->dims[1], trans_a ? a->dims[1] : 1 };
    job.b = (gemm_matrix){ b, 0, trans_b ? 1 : b->dims[1], trans_b ? b->dims[1] : 1 };
    if (c) {
        tn_broadcast_strides(c, 2, strides);
        job.c = (gemm_matrix){ c, 0, strides[0], strides[1] };
    }
    return ctx->call.host->parallel_for(&ctx->call, gemm_tiles(job.rows) * gemm_tiles(job.columns),
                                        1 + 50000 / (GEMM_TILE * GEMM_TILE * (job.depth + 1)),
                                        run_tiles, &job);
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "A", "T", GEMM_TYPES, 0, 0, "[M, K], or [K, M] with transA" },
    { "B", "T", GEMM_TYPES, 0, 0, "[K, N], or [N, K] with transB" },
    { "C", "T", GEMM_TYPES, TN_PARAM_OPTIONAL, 0, "what is added, broadcast to [M, N]" },
};
static const tn_param_def outputs[] = { { "Y", "T", GEMM_TYPES, 0, 0, "[M, N]" } };
/* Sets 1 and 6 said whether C is repeated, which its shape says as well. */
static const tn_attribute_def attributes[] = {
    { .name = "alpha",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1,
      .doc = "factor of the product" },
    { .name = "beta",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1,
      .doc = "factor of C" },
    { .name = "transA",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: A is transposed" },
    { .name = "transB",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: B is transposed" },
    { .name = "broadcast",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: C is repeated; sets 1 and 6 only" },
};

static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    tn_edit_drop(&e, "broadcast");
    return e.status;
}

static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 13,
      .accepts_from = 7,
      .name = "Gemm",
      .doc = "The general product of two matrices, scaled, with a scaled third one added.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 4,
      .infer = infer,
      .cost = cost,
      .samplewise = samplewise,
      .upgrade = upgrade },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "Gemm",
      .run = run,
      .types = GEMM_TYPES,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status gemm_register(tn_registrar *registrar)
{
    tn_operator_def old = tn_old_version(operators, 6, 1);
    old.attribute_count = 5;
    TN_TRY(registrar->add_operator(registrar, &old));
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
