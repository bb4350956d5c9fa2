/* plugins/signal/shared.c: see signal.h.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

#include <inttypes.h>

/* No memory holds more, and what is computed from two such numbers fits a dimension. */
#define LARGEST (INT64_C(1) << 48)

tn_dim signal_scalar(tn_infer *ctx, uint32_t k, const char *name, int64_t least)
{
    const tn_host *host = ctx->call.host;
    const tn_type *type = signal_type(ctx, k);
    tn_dim value = TN_DIM_UNKNOWN;
    for (int32_t axis = 0; type && axis < type->rank; axis++) {
        if (!tn_dim_known(type->dims[axis]) || type->dims[axis] == 1)
            continue;
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                       "input '%s' has extent %" PRId64 " along axis %d: expected a scalar", name,
                       type->dims[axis], (int)axis);
        return TN_DIM_UNKNOWN;
    }
    if (!type || host->input_elements(&ctx->call, k, &value, 1) != 1)
        return TN_DIM_UNKNOWN;
    if (tn_dim_known(value) && value > LARGEST) {
        host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, k, NULL,
                       "%s is %" PRId64 ": expected at most %" PRId64, name, value, LARGEST);
        return TN_DIM_UNKNOWN;
    }
    if (tn_dim_known(value) && value < least) {
        host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, k, NULL,
                       "%s is %" PRId64 ": expected at least %" PRId64, name, value, least);
        return TN_DIM_UNKNOWN;
    }
    return value;
}

void signal_datatype(tn_infer *ctx)
{
    const int64_t named = tn_attr_int(ctx->node, "output_datatype", TN_FLOAT32);
    if (named > 0 && named < TN_DTYPE_COUNT && (TN_BIT(named) & TN_MASK_NUMERIC)) {
        ctx->outputs[0].dtype = (uint32_t)named;
        return;
    }
    ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "output_datatype",
                             "output_datatype is %" PRId64 ": expected the number of an integer "
                             "or float type of 8 to 64 bits",
                             named);
}

void signal_store(tn_tensor *out, int64_t first, int64_t n, const double *v)
{
    int64_t whole[BLOCK];
    if (tn_dtype_is_float(out->dtype)) {
        store_doubles(out->dtype, out->data, first, n, v);
        return;
    }
    for (int64_t k = 0; k < n; k++)
        whole[k] = truncated(v[k]);
    store_ints(out->dtype, out->data, first, n, whole);
}

size_t signal_scratch(int64_t length, uint32_t threads)
{
    const int64_t tables = fft_table_size(length), line = fft_work_size(length);
    size_t lines, bytes;
    if (!tables || __builtin_mul_overflow((size_t)line, (size_t)threads, &lines) ||
        __builtin_mul_overflow(lines + (size_t)tables, sizeof(cpx), &bytes))
        return 0;
    return bytes;
}
