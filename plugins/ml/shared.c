/* plugins/ml/shared.c: attributes, shapes, and what becomes of scores (ONNX, domain ai.onnx.ml:
 * post_transform).
 *
 * SPDX-License-Identifier: MIT */
#include "ml.h"

/* ---- attributes --------------------------------------------------------------------------------- */

ml_list ml_read_list(const tn_node_view *node, const char *name)
{
    const tn_attribute *a = tn_attr(node, name);
    ml_list list = { 0 };
    if (a && a->type == TN_ATTR_FLOATS && a->count) {
        list.floats = a->floats;
        list.count = (int64_t)a->count;
    } else if (a && a->type == TN_ATTR_INTS && a->count) {
        list.ints = a->ints;
        list.count = (int64_t)a->count;
    } else if (a && a->type == TN_ATTR_TENSOR) {
        list.tensor = a->tensors;
        list.count = tn_count(a->tensors);
    }
    return list;
}

ml_list ml_read_either(const tn_node_view *node, const char *name, const char *as_tensor)
{
    const ml_list list = ml_read_list(node, name);
    return list.count ? list : ml_read_list(node, as_tensor);
}

const tn_attribute *ml_read_texts(const tn_node_view *node, const char *name)
{
    const tn_attribute *a = tn_attr(node, name);
    return a && a->type == TN_ATTR_STRINGS && a->count ? a : NULL;
}

int ml_find_word(const char *word, const char *const *table)
{
    for (int k = 0; table[k]; k++) {
        if (strcmp(word, table[k]) == 0)
            return k;
    }
    return -1;
}

/* ---- inference ---------------------------------------------------------------------------------- */

void ml_bad_text(tn_infer *ctx, const char *name, const char *expected)
{
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is '%s': expected %s", name, tn_attr_string(ctx->node, name, ""),
                             expected);
}

void ml_bad_number(tn_infer *ctx, const char *name, int64_t found, const char *expected)
{
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s is %" PRId64 ": expected %s", name, found, expected);
}

void ml_check_count(tn_infer *ctx, const char *name, int64_t found, int64_t wanted, int64_t or_else)
{
    if (found == wanted || found == or_else)
        return;
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "%s has %" PRId64 " elements: expected %" PRId64, name, found, wanted);
}

int ml_matrix(tn_infer *ctx, tn_dim *rows, tn_dim *columns)
{
    const tn_type *x = ctx->inputs[0];
    if (!x || x->rank < 0)
        return 0;
    if (x->rank < 1 || x->rank > 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N,C] or [C]", x->rank);
        return 0;
    }
    *rows = x->rank == 2 ? x->dims[0] : 1;
    *columns = x->dims[x->rank - 1];
    return 1;
}

void ml_set_shape(tn_infer *ctx, uint32_t k, int32_t rank, tn_dim first, tn_dim second)
{
    if (k >= ctx->output_count)
        return;
    ctx->outputs[k].rank = rank;
    ctx->outputs[k].dims[0] = first;
    ctx->outputs[k].dims[1] = second;
}

tn_status ml_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (ctx->input_count != 1 || ctx->inputs[0]->rank != 2)
        return TN_NO_MATCH;
    input_axes[0] = 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}

/* ---- scores ------------------------------------------------------------------------------------- */

int ml_transform_of(const tn_node_view *node)
{
    static const char *const names[] = { "NONE",         "SOFTMAX", "LOGISTIC",
                                         "SOFTMAX_ZERO", "PROBIT",  NULL };
    const tn_attribute *a = tn_attr(node, "post_transform");
    if (!a)
        return ML_NONE;
    if (a->type == TN_ATTR_INT)
        return a->i >= ML_NONE && a->i <= ML_PROBIT ? (int)a->i : -1;
    return ml_find_word(a->s.bytes, names);
}

void ml_check_transform(tn_infer *ctx)
{
    const tn_attribute *a = tn_attr(ctx->node, "post_transform");
    if (ml_transform_of(ctx->node) >= 0)
        return;
    if (a->type == TN_ATTR_INT)
        ml_bad_number(ctx, "post_transform", a->i, "0 to 4");
    else
        ml_bad_text(ctx, "post_transform", "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT");
}

int64_t ml_largest(const double *scores, int64_t count)
{
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        best = scores[k] > scores[best] ? k : best;
    return best;
}

double ml_logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* Where the normal distribution reaches p, by bisection. */
static double probit(double p)
{
    double low = -40, high = 40;
    if (!(p > 0 && p < 1))
        return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
    for (int k = 0; k < 100; k++) {
        const double middle = (low + high) / 2;
        if (erfc(-middle / sqrt(2.0)) / 2 < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* With skip_zeros a score of 0 stays 0 and takes no part. */
static void softmax(double *scores, int64_t count, int skip_zeros)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++)
        largest = scores[k] > largest ? scores[k] : largest;
    for (int64_t k = 0; k < count; k++) {
        if (skip_zeros && scores[k] == 0)
            continue;
        scores[k] = exp(scores[k] - largest);
        sum += scores[k];
    }
    for (int64_t k = 0; k < count && sum > 0; k++)
        scores[k] /= sum;
}

void ml_transform(int transform, double *scores, int64_t count)
{
    if (transform == ML_SOFTMAX || transform == ML_SOFTMAX_ZERO)
        softmax(scores, count, transform == ML_SOFTMAX_ZERO);
    for (int64_t k = 0; k < count; k++) {
        if (transform == ML_LOGISTIC)
            scores[k] = ml_logistic(scores[k]);
        else if (transform == ML_PROBIT)
            scores[k] = probit(scores[k]);
    }
}

ml_labels ml_read_labels(const tn_node_view *node, const char *ints, const char *texts)
{
    const tn_attribute *words = ml_read_texts(node, texts);
    ml_labels labels = { 0 };
    labels.count = (int64_t)tn_attr_ints(node, ints, &labels.ints);
    if (words) {
        labels = (ml_labels){ .texts = words->strings, .count = (int64_t)words->count };
    }
    return labels;
}

void ml_store_label(const ml_labels *labels, tn_tensor *out, int64_t row, int64_t k)
{
    if (!out)
        return;
    if (out->dtype == TN_STRING)
        ((tn_text *)out->data)[row] = labels->texts[k];
    else
        ((int64_t *)out->data)[row] = labels->count ? labels->ints[k] : k;
}
