/* plugins/normalization/plugin.c: the entry of the plugin `normalization`, and what its operators
 * share.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

void norm_check_vector(tn_infer *ctx, uint32_t k, const char *name, tn_dim channels)
{
    const tn_type *type = k < ctx->input_count ? ctx->inputs[k] : NULL;
    if (!type || type->rank < 0)
        return;
    if (type->rank != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has rank %d: expected a vector, one number for each channel", name, type->rank);
    else if (tn_dim_known(channels) && tn_dim_known(type->dims[0]) && type->dims[0] != channels)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has %" PRId64 " elements: expected %" PRId64 ", one for each channel", name,
                                 type->dims[0], channels);
}

void norm_moments(const tn_tensor *x, int64_t first, int64_t count, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < count; k++)
        sum += norm_get(x, first + k);
    *mean = sum / (double)count;
    for (int64_t k = 0; k < count; k++) {
        const double d = norm_get(x, first + k) - *mean;
        squares += d * d;
    }
    *variance = squares / (double)count;
}

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    TN_TRY(batch_norm_register(registrar));
    TN_TRY(instance_norm_register(registrar));
    TN_TRY(layer_norm_register(registrar));
    return lrn_register(registrar);
}

TN_PLUGIN(normalization, .version = "1.0", .licence = "MIT",
          .description = "BatchNormalization, InstanceNormalization, LayerNormalization and LRN", .load = load);
