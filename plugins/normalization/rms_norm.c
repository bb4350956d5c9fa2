/* plugins/normalization/rms_norm.c: RMSNormalization (ONNX operators: RMSNormalization; Zhang and
 * Sennrich, arXiv:1910.07467).
 *
 *   Y = X / sqrt(mean of X^2 + epsilon) * scale
 *
 * with the mean over the axes from `axis` on. Y has the type of scale. All is computed in double,
 * whatever stash_type says.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

static tn_status infer(tn_infer *ctx)
{
    (void)norm_infer_axis(ctx);
    norm_check_stash(ctx);
    norm_check_broadcast(ctx, 1, "scale");
    return tn_infer_same(ctx, 0, 0);
}

typedef struct job {
    const tn_run *run;
    int64_t count; /* elements of a row that is normalized */
    double epsilon;
    norm_operand scale;
} job;

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    const tn_tensor *x = j->run->inputs[0];
    double values[NORM_CHUNK], factors[NORM_CHUNK];
    (void)thread;
    for (int64_t row = begin * j->count; row < end * j->count; row += j->count) {
        const double root = sqrt(norm_mean_square(x, row, j->count) + j->epsilon);
        for (int64_t at = row; at < row + j->count; at += NORM_CHUNK) {
            const int64_t n = row + j->count - at < NORM_CHUNK ? row + j->count - at : NORM_CHUNK;
            norm_load(x, at, n, values);
            norm_operand_load(&j->scale, x, row, at, n, factors);
            for (int64_t k = 0; k < n; k++)
                values[k] = values[k] / root * factors[k];
            norm_store(j->run->outputs[0], at, n, values);
        }
    }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank);
    job j = { .run = ctx,
              .count = tn_extent(x->dims, axis, x->rank),
              .epsilon = (double)tn_attr_float(ctx->node, "epsilon", 1e-5f) };
    (void)state;
    (void)slot;
    norm_operand_init(&j.scale, ctx->inputs[1], x, axis);
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(x->dims, 0, axis),
                                        1 + 4096 / (j.count + 1), run_rows, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0], *scale = ctx->inputs[1];
    if (tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank) <= 0 ||
        (scale->rank == x->rank && scale->dims[0] != 1))
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    input_axes[1] = -1;
    return TN_OK;
}

/* ---- as other operators --------------------------------------------------------------------- */

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id scale = tn_edit_input(&e, 1);
    norm_written w;
    TN_TRY(norm_write_begin(&e, &w));
    const tn_value_id square = tn_put(&e, "Mul", w.x, w.x, TN_NONE, NULL);
    const tn_value_id root = norm_write_root(&e, norm_write_mean(&e, &w, square));
    const tn_value_id unit = tn_put(&e, "Div", w.x, root, TN_NONE, NULL);
    const tn_value_id like = tn_put(&e, "CastLike", unit, scale, TN_NONE, NULL);
    return tn_edit_give(&e, tn_put(&e, "Mul", like, scale, TN_NONE, NULL));
}

static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "what is normalized" },
    { "scale", "V", TN_MASK_FLOAT, 0, 0, "broadcast to X" },
};
static const tn_param_def outputs[] = { { "Y", "V", TN_MASK_FLOAT, 0, 0, "the shape of X" } };
static const tn_attribute_def attributes[] = {
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = -1,
      .doc = "the first normalized axis" },
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
    { .name = "stash_type",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = TN_FLOAT32,
      .doc = "precision asked for, at least" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 23,
      .name = "RMSNormalization",
      .doc = "Divides the elements of each row by their root mean square.",
      .inputs = inputs,
      .input_count = 2,
      .outputs = outputs,
      .output_count = 1,
      .attributes = attributes,
      .attribute_count = 3,
      .infer = infer,
      .samplewise = samplewise,
      .expand = write_out },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "RMSNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS },
};

tn_status rms_norm_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
