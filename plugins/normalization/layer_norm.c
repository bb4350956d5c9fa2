/* plugins/normalization/layer_norm.c: LayerNormalization (ONNX operators: LayerNormalization; Ba et
 * al., arXiv:1607.06450).
 *
 *   Y = (X - mean) / sqrt(variance + epsilon) * Scale + B
 *
 * with mean and variance over the axes from `axis` on. Mean and InvStdDev are those numbers and
 * 1 / sqrt(variance + epsilon), with extents of 1 on the normalized axes, in the type that
 * stash_type names. All is computed in double, whatever that type is.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int32_t axis = norm_infer_axis(ctx);
    TN_TRY(tn_infer_same(ctx, 0, 0));
    norm_check_stash(ctx);
    norm_check_broadcast(ctx, 1, "Scale");
    norm_check_broadcast(ctx, 2, "B");
    for (uint32_t k = 1; k < ctx->output_count; k++) {
        ctx->outputs[k].dtype = tn_attr_int(ctx->node, "stash_type", TN_FLOAT32) == TN_BFLOAT16
                                    ? TN_BFLOAT16
                                    : TN_FLOAT32;
        if (axis < 0)
            continue;
        ctx->outputs[k].rank = x->rank;
        for (int32_t a = 0; a < x->rank; a++)
            ctx->outputs[k].dims[a] = a < axis ? x->dims[a] : 1;
    }
    return TN_OK;
}

typedef struct job {
    const tn_run *run;
    int64_t count; /* elements of a row that is normalized */
    double epsilon;
    norm_operand scale, bias;
} job;

static void scale_row(const job *j, int64_t row, double mean, double inverse)
{
    const tn_tensor *x = j->run->inputs[0];
    double values[NORM_CHUNK], operand[NORM_CHUNK];
    for (int64_t at = row; at < row + j->count; at += NORM_CHUNK) {
        const int64_t n = row + j->count - at < NORM_CHUNK ? row + j->count - at : NORM_CHUNK;
        norm_load(x, at, n, values);
        norm_operand_load(&j->scale, x, row, at, n, operand);
        for (int64_t k = 0; k < n; k++)
            values[k] = (values[k] - mean) * inverse * operand[k];
        if (j->bias.tensor) {
            norm_operand_load(&j->bias, x, row, at, n, operand);
            for (int64_t k = 0; k < n; k++)
                values[k] += operand[k];
        }
        norm_store(j->run->outputs[0], at, n, values);
    }
}

static tn_status run_rows(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    tn_tensor *means = norm_output(j->run, 1), *inverses = norm_output(j->run, 2);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        double mean, variance;
        norm_moments(j->run->inputs[0], row * j->count, j->count, &mean, &variance);
        const double inverse = 1.0 / sqrt(variance + j->epsilon);
        if (means)
            norm_set(means, row, mean);
        if (inverses)
            norm_set(inverses, row, inverse);
        if (j->run->outputs[0])
            scale_row(j, row * j->count, mean, inverse);
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
    norm_operand_init(&j.bias, ctx->input_count > 2 ? ctx->inputs[2] : NULL, x, axis);
    return ctx->call.host->parallel_for(&ctx->call, tn_extent(x->dims, 0, axis),
                                        1 + 4096 / (j.count + 1), run_rows, &j);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[0];
    if (tn_axis(tn_attr_int(ctx->node, "axis", -1), x->rank) <= 0)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++) {
        input_axes[k] = k ? -1 : 0;
        if (k && ctx->inputs[k] && ctx->inputs[k]->rank == x->rank && ctx->inputs[k]->dims[0] != 1)
            return TN_NO_MATCH;
    }
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- as other operators --------------------------------------------------------------------- */

/* An output that is not wanted is none. */
static void give(tn_edit *e, uint32_t k, tn_value_id value)
{
    const tn_value_id old = tn_edit_output(e, k);
    if (old != TN_NONE && e->status == TN_OK)
        e->status = e->ctx->api->replace(e->ctx->graph, old, value);
}

static tn_status write_out(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0), bias = tn_edit_input(&e, 2);
    norm_written w;
    TN_TRY(norm_write_begin(&e, &w));
    const tn_value_id mean = norm_write_mean(&e, &w, w.x);
    const tn_value_id far = tn_put(&e, "Sub", w.x, mean, TN_NONE, NULL);
    const tn_value_id square = tn_put(&e, "Mul", far, far, TN_NONE, NULL);
    const tn_value_id root = norm_write_root(&e, norm_write_mean(&e, &w, square));
    const tn_value_id inverse = tn_put(&e, "Reciprocal", root, TN_NONE, TN_NONE, NULL);
    const tn_value_id unit = tn_put(&e, "Mul", far, inverse, TN_NONE, NULL);
    tn_value_id y = tn_put(&e, "CastLike", unit, x, TN_NONE, NULL);
    y = tn_put(&e, "Mul", y, tn_edit_input(&e, 1), TN_NONE, NULL);
    if (bias != TN_NONE)
        y = tn_put(&e, "Add", y, bias, TN_NONE, NULL);
    give(&e, 1, mean);
    give(&e, 2, inverse);
    return tn_edit_give(&e, y);
}

#define U_MASK (TN_BIT(TN_FLOAT32) | TN_BIT(TN_BFLOAT16))
static const tn_param_def inputs[] = {
    { "X", "T", TN_MASK_FLOAT, 0, 0, "what is normalized" },
    { "Scale", "T", TN_MASK_FLOAT, 0, 0, "broadcast to X" },
    { "B", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "broadcast to X; 0" },
};
static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" },
    { "Mean", "U", U_MASK, TN_PARAM_OPTIONAL, 0, "of each row" },
    { "InvStdDev", "U", U_MASK, TN_PARAM_OPTIONAL, 0, "1 / sqrt(variance + epsilon) of each row" },
};
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
      .doc = "type of Mean and InvStdDev" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def),
      .since = 17,
      .name = "LayerNormalization",
      .doc = "Shifts and scales the elements of each row to mean B and deviation Scale.",
      .inputs = inputs,
      .input_count = 3,
      .outputs = outputs,
      .output_count = 3,
      .attributes = attributes,
      .attribute_count = 3,
      .infer = infer,
      .samplewise = samplewise,
      .expand = write_out },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def),
      .op = "LayerNormalization",
      .run = run,
      .types = TN_MASK_FLOAT,
      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY },
};

tn_status layer_norm_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
