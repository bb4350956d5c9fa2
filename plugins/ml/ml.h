/* plugins/ml/ml.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_ML_H
#define TENON_PLUGINS_ML_H

#include "tenon/kernel.h"

#include <inttypes.h>

#define ML_DOMAIN "ai.onnx.ml"
#define ML_NUMBERS (TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64) | TN_BIT(TN_INT64) | TN_BIT(TN_INT32))
#define ML_LABELS (TN_BIT(TN_STRING) | TN_BIT(TN_INT64))

/* ---- attributes (shared.c) -------------------------------------------------------------------- */

/* A list of numbers, however an attribute holds it: floats, ints or a tensor. */
typedef struct ml_list {
    const float *floats;
    const int64_t *ints;
    const tn_tensor *tensor;
    int64_t count;
} ml_list;

ml_list ml_read_list(const tn_node_view *node, const char *name);
/* The list called `name`, or the tensor called `name`_as_tensor. */
ml_list ml_read_either(const tn_node_view *node, const char *name, const char *as_tensor);
const tn_attribute *ml_read_texts(const tn_node_view *node, const char *name);

static inline double ml_number(const ml_list *list, int64_t k)
{
    if (list->floats)
        return (double)list->floats[k];
    if (list->ints)
        return (double)list->ints[k];
    return tn_get_double(list->tensor->dtype, list->tensor->data, k);
}

/* The place of a word in a table that ends with NULL; -1: not there. */
int ml_find_word(const char *word, const char *const *table);

/* ---- inference (shared.c) ---------------------------------------------------------------------- */

void ml_bad_text(tn_infer *ctx, const char *name, const char *expected);
void ml_bad_number(tn_infer *ctx, const char *name, int64_t found, const char *expected);
/* Complains unless a list has `wanted` numbers, or `or_else`. */
void ml_check_count(tn_infer *ctx, const char *name, int64_t found, int64_t wanted,
                    int64_t or_else);
/* Rows and columns of [N, C], or of [C], which is [1, C]; 0: rank unknown, or wrong and complained. */
int ml_matrix(tn_infer *ctx, tn_dim *rows, tn_dim *columns);
void ml_set_shape(tn_infer *ctx, uint32_t k, int32_t rank, tn_dim first, tn_dim second);
/* Input 0 and the outputs go along axis 0. */
tn_status ml_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);

/* ---- scores (shared.c) -------------------------------------------------------------------------- */

enum { ML_NONE, ML_SOFTMAX, ML_LOGISTIC, ML_SOFTMAX_ZERO, ML_PROBIT };
/* post_transform as text or number; -1: unknown. */
int ml_transform_of(const tn_node_view *node);
void ml_check_transform(tn_infer *ctx);
void ml_transform(int transform, double *scores, int64_t count);
double ml_logistic(double x);
/* The place of the first largest score. */
int64_t ml_largest(const double *scores, int64_t count);
/* The attribute that ml_transform_of reads. */
#define ML_TRANSFORM                                                                               \
    {                                                                                              \
        .name = "post_transform", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT,            \
        .s = "NONE", .doc = "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT"                      \
    }

/* The class labels of a classifier. */
typedef struct ml_labels {
    const int64_t *ints;
    const tn_text *texts;
    int64_t count;
} ml_labels;
ml_labels ml_read_labels(const tn_node_view *node, const char *ints, const char *texts);
/* Label k, or the class's own number where there are no labels. */
void ml_store_label(const ml_labels *labels, tn_tensor *out, int64_t row, int64_t k);

/* ---- threads ------------------------------------------------------------------------------------ */

static inline int64_t ml_step(int64_t doubles)
{
    return (doubles + 7) / 8 * 8;
}

static inline tn_tensor *ml_output(const tn_run *ctx, uint32_t k)
{
    return k < ctx->output_count ? ctx->outputs[k] : NULL;
}

#define ML_COUNT(array) ((uint16_t)(sizeof(array) / sizeof(array)[0]))

tn_status ensemble_register(tn_registrar *registrar);
tn_status features_register(tn_registrar *registrar);
tn_status forest_register(tn_registrar *registrar);
tn_status label_register(tn_registrar *registrar);
tn_status linear_register(tn_registrar *registrar);

#endif
