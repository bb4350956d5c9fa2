/* plugins/normalization/normalization.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_NORMALIZATION_H
#define TENON_PLUGINS_NORMALIZATION_H

#include "tenon/kernel.h"

/* Complains unless input k, if there, is a vector of `channels`. */
void norm_check_vector(tn_infer *ctx, uint32_t k, const char *name, tn_dim channels);

/* Mean and variance (over count, not count - 1) of elements first … first+count-1; two passes. */
void norm_moments(const tn_tensor *x, int64_t first, int64_t count, double *mean, double *variance);

static inline double norm_get(const tn_tensor *t, int64_t k) { return tn_get_double(t->dtype, t->data, k); }
static inline void norm_set(tn_tensor *t, int64_t k, double v) { tn_set_float(t->dtype, t->data, k, v); }
static inline tn_tensor *norm_output(const tn_run *ctx, uint32_t k) { return k < ctx->output_count ? ctx->outputs[k] : NULL; }

tn_status batch_norm_register(tn_registrar *registrar);
tn_status instance_norm_register(tn_registrar *registrar);
tn_status layer_norm_register(tn_registrar *registrar);
tn_status lrn_register(tn_registrar *registrar);

#endif
