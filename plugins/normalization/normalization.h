/* plugins/normalization/normalization.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_NORMALIZATION_H
#define TENON_PLUGINS_NORMALIZATION_H

#include "tenon/upgrade.h"

/* Complains unless input k, if there, is a vector of `channels`. */
void norm_check_vector(tn_infer *ctx, uint32_t k, const char *name, tn_dim channels);

/* Complains unless input k, if there, broadcasts to input 0 alone (ONNX: unidirectional
 * broadcasting). */
void norm_check_broadcast(tn_infer *ctx, uint32_t k, const char *name);

/* The axis attribute of LayerNormalization and RMSNormalization; -1: unknown rank, or complained. */
int32_t norm_infer_axis(tn_infer *ctx);

/* The stash_type attribute: the type of statistics. Complains unless float32 or bfloat16. */
void norm_check_stash(tn_infer *ctx);

enum { NORM_CHUNK = 256 };
/* Elements first … first+count-1 as doubles. */
void norm_load(const tn_tensor *tensor, int64_t first, int64_t count, double *out);
void norm_store(tn_tensor *tensor, int64_t first, int64_t count, const double *from);

/* Mean and variance (over count, not count - 1) of elements first … first+count-1; two passes, so
 * that a large mean costs no digits. */
void norm_moments(const tn_tensor *x, int64_t first, int64_t count, double *mean, double *variance);

/* Mean of the squares of a row. */
double norm_mean_square(const tn_tensor *x, int64_t first, int64_t count);

/* A factor or summand that broadcasts to X, whose rows begin at some axis. */
typedef struct norm_operand {
    const tn_tensor *tensor; /* NULL: none */
    int64_t strides[TN_MAX_RANK];
    int by_row; /* one element for each of a row, the same for all rows */
} norm_operand;
void norm_operand_init(norm_operand *operand, const tn_tensor *tensor, const tn_tensor *x,
                       int32_t axis);
/* The partners of X's elements first … first+count-1, which lie in one row that begins at `row`. */
void norm_operand_load(const norm_operand *operand, const tn_tensor *x, int64_t row, int64_t first,
                       int64_t count, double *out);

static inline double norm_get(const tn_tensor *t, int64_t k)
{
    return tn_get_double(t->dtype, t->data, k);
}
static inline void norm_set(tn_tensor *t, int64_t k, double v)
{
    tn_set_float(t->dtype, t->data, k, v);
}
static inline tn_tensor *norm_output(const tn_run *ctx, uint32_t k)
{
    return k < ctx->output_count ? ctx->outputs[k] : NULL;
}

/* Written out as other operators: how LayerNormalization and RMSNormalization begin. */
typedef struct norm_written {
    tn_value_id x;    /* X, in the type that stash_type names */
    tn_value_id axes; /* those that are normalized, as a vector */
} norm_written;
/* TN_KEEP where the rank is not known. */
tn_status norm_write_begin(tn_edit *e, norm_written *out);
tn_value_id norm_write_mean(tn_edit *e, const norm_written *w, tn_value_id x);
/* sqrt(value + epsilon) */
tn_value_id norm_write_root(tn_edit *e, tn_value_id value);

tn_status batch_norm_register(tn_registrar *registrar);
/* Versions 1 to 9 (batch_norm_old.c). */
tn_status batch_norm_old_register(tn_registrar *registrar, const tn_operator_def *newest);
tn_status batch_norm_upgrade(tn_rewrite *ctx, tn_node_id node);
tn_status group_norm_register(tn_registrar *registrar);
tn_status instance_norm_register(tn_registrar *registrar);
tn_status layer_norm_register(tn_registrar *registrar);
tn_status lp_norm_register(tn_registrar *registrar);
tn_status lrn_register(tn_registrar *registrar);
tn_status mean_variance_norm_register(tn_registrar *registrar);
tn_status rms_norm_register(tn_registrar *registrar);

#endif
