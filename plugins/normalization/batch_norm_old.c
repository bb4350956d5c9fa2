/* plugins/normalization/batch_norm_old.c: BatchNormalization of operator sets 1 to 9, in today's form.
 *
 * ONNX: BatchNormalization, versions 1, 6, 7 and 9. Training is told by the outputs: more than Y
 * (mean, var, saved_mean, saved_var), unless is_test, of sets 1 and 6, says otherwise. saved_mean and
 * saved_var are the batch's own moments. With spatial = 0 (sets 1 to 7) each place of a sample is a
 * channel of its own: samples are flattened before and restored behind.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE, INPUTS };
enum { Y, RUNNING_MEAN, RUNNING_VARIANCE, SAVED_MEAN, SAVED_VARIANCE, OUTPUTS };

static const tn_param_def outputs[] = {
    { "Y", "T", TN_MASK_FLOAT, 0, 0, "the shape of X" },
    { "mean", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "training: the running mean" },
    { "var", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "likewise" },
    { "saved_mean", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "training: the batch's mean" },
    { "saved_var", "T", TN_MASK_FLOAT, TN_PARAM_OPTIONAL, 0, "likewise" },
};
static const tn_attribute_def attributes[] = {
    { .name = "epsilon",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1e-5f,
      .doc = "keeps the root from 0" },
    { .name = "momentum",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 0.9f,
      .doc = "share of the past in running statistics" },
    { .name = "spatial",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "0: each place of a sample has statistics of its own; before set 9" },
    { .name = "is_test", .type = TN_ATTR_INT, .doc = "1: inference; before set 7" },
    TN_CONSUMED_INPUTS,
};

/* ---- the node and what stands around it -------------------------------------------------- */

typedef struct old_norm {
    tn_edit edit;
    tn_value_id in[INPUTS], out[OUTPUTS];
    float epsilon, momentum;
    int spatial, training;
    tn_value_id shape, vector; /* spatial = 0: of X, and of the statistics */
} old_norm;

static old_norm read_node(tn_rewrite *ctx, tn_node_id node)
{
    old_norm old = { .edit = tn_edit_node(ctx, node) };
    const tn_node_view *view = tn_edit_view(&old.edit);
    for (uint32_t k = 0; k < INPUTS; k++)
        old.in[k] = tn_edit_input(&old.edit, k);
    for (uint32_t k = 0; k < OUTPUTS; k++) {
        old.out[k] = tn_edit_output(&old.edit, k);
        old.training |= k && old.out[k] != TN_NONE;
    }
    old.epsilon = tn_attr_float(view, "epsilon", 1e-5f);
    old.momentum = tn_attr_float(view, "momentum", 0.9f);
    old.spatial = tn_attr_int(view, "spatial", 1) != 0;
    old.training = old.training && tn_attr_int(view, "is_test", 0) == 0;
    return old;
}

static void give(old_norm *old, uint32_t k, tn_value_id value)
{
    if (old->edit.status == TN_OK && old->out[k] != TN_NONE)
        old->edit.status = old->edit.ctx->api->replace(old->edit.ctx->graph, old->out[k], value);
}

/* A vector of statistics in the old shape. */
static void give_vector(old_norm *old, uint32_t k, tn_value_id vector)
{
    if (old->out[k] != TN_NONE)
        give(old, k, old->spatial ? vector : tn_put_reshape(&old->edit, vector, old->vector));
}

/* ---- today's nodes ------------------------------------------------------------------------ */

static void flatten(old_norm *old)
{
    tn_edit *e = &old->edit;
    const tn_value_id flat = tn_put_int(e, -1);
    old->shape = tn_put(e, "Shape", old->in[X], TN_NONE, TN_NONE, NULL);
    old->vector = tn_put(e, "Shape", old->in[MEAN], TN_NONE, TN_NONE, NULL);
    old->in[X] = tn_put_with(e, "Flatten", old->in[X], TN_NONE, "axis", 1);
    for (uint32_t k = SCALE; k <= VARIANCE; k++)
        old->in[k] = tn_put(e, "Reshape", old->in[k], flat, TN_NONE, NULL);
}

static tn_attribute of_float(const char *name, float value)
{
    return (tn_attribute){
        .size = sizeof(tn_attribute), .type = TN_ATTR_FLOAT, .name = name, .f = (double)value
    };
}

static void put_norm(old_norm *old, tn_value_id *made)
{
    tn_edit *e = &old->edit;
    const tn_attribute given[] = {
        of_float("epsilon", old->epsilon),
        of_float("momentum", old->momentum),
        tn_attribute_of_int("training_mode", old->training),
    };
    const tn_node_view *view = tn_edit_view(e);
    const tn_node_desc desc = { .size = sizeof desc,
                                .region = view->region,
                                .name = view->name,
                                .op = view->op,
                                .inputs = old->in,
                                .input_count = INPUTS,
                                .output_count = old->training ? 3 : 1,
                                .attributes = given,
                                .attribute_count = 3,
                                .before = e->node,
                                .trace = e->node };
    tn_node_id node = TN_NONE;
    if (e->status == TN_OK)
        e->status = e->ctx->api->add_node(e->ctx->graph, &desc, &node);
    for (uint32_t k = 0; k < desc.output_count && e->status == TN_OK; k++)
        made[k] = e->ctx->api->node(e->ctx->graph, node)->outputs[k];
}

/* The mean over all but the channels. */
static tn_value_id put_mean(old_norm *old, tn_value_id x, int64_t keep)
{
    static const int64_t axes[2] = { 0, 2 };
    return tn_put_with(&old->edit, "ReduceMean", x,
                       tn_put_ints(&old->edit, axes, old->spatial ? 2 : 1), "keepdims", keep);
}

static void put_saved(old_norm *old)
{
    static const int64_t planes[3] = { 0, 0, -1 };
    tn_edit *e = &old->edit;
    tn_value_id x = old->in[X];
    if (old->out[SAVED_MEAN] == TN_NONE && old->out[SAVED_VARIANCE] == TN_NONE)
        return;
    if (old->spatial)
        x = tn_put(e, "Reshape", x, tn_put_ints(e, planes, 3), TN_NONE, NULL);
    if (old->out[SAVED_MEAN] != TN_NONE)
        give_vector(old, SAVED_MEAN, put_mean(old, x, 0));
    if (old->out[SAVED_VARIANCE] == TN_NONE)
        return;
    const tn_value_id d = tn_put(e, "Sub", x, put_mean(old, x, 1), TN_NONE, NULL);
    give_vector(old, SAVED_VARIANCE, put_mean(old, tn_put(e, "Mul", d, d, TN_NONE, NULL), 0));
}

static void give_statistics(old_norm *old, const tn_value_id *made, const tn_value_id *given)
{
    for (uint32_t k = RUNNING_MEAN; k <= SAVED_VARIANCE; k++)
        if (!old->training) /* inference: what came in */
            give(old, k, given[k % 2 ? MEAN : VARIANCE]);
        else if (k <= RUNNING_VARIANCE)
            give_vector(old, k, made[k]);
    if (old->training)
        put_saved(old);
}

static tn_status write_anew(old_norm *old)
{
    tn_value_id made[3] = { TN_NONE, TN_NONE, TN_NONE }, given[INPUTS];
    memcpy(given, old->in, sizeof given);
    if (!old->spatial)
        flatten(old);
    put_norm(old, made);
    give(old, Y, old->spatial ? made[0] : tn_put_reshape(&old->edit, made[0], old->shape));
    give_statistics(old, made, given);
    if (old->edit.status == TN_OK)
        old->edit.status = old->edit.ctx->api->remove_node(old->edit.ctx->graph, old->edit.node);
    return old->edit.status;
}

tn_status batch_norm_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    old_norm old = read_node(ctx, node);
    if (!old.spatial || tn_edit_view(&old.edit)->output_count > 1)
        return write_anew(&old);
    tn_edit_drop(&old.edit, "spatial");
    tn_edit_drop(&old.edit, "is_test");
    tn_edit_drop(&old.edit, "consumed_inputs");
    return old.edit.status;
}

tn_status batch_norm_old_register(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 9, 1);
    old.outputs = outputs;
    old.output_count = OUTPUTS;
    old.attributes = attributes;
    old.attribute_count = sizeof attributes / sizeof *attributes;
    return registrar->add_operator(registrar, &old);
}
