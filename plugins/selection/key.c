/* plugins/selection/key.c: the order of elements of any type.
 *
 * SPDX-License-Identifier: MIT */
#include "selection.h"

/* The bits of an IEEE number order like integers once negative ones are turned round. */
uint64_t select_key_of(double value)
{
    uint64_t bits;
    if (isnan(value))
        return UINT64_MAX;
    value = value == 0.0 ? 0.0 : value;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

uint64_t select_key(uint32_t dtype, const void *data, int64_t i)
{
    if (dtype == TN_FLOAT32)
        return select_key_of((double)((const float *)data)[i]);
    if (tn_dtype_is_float(dtype))
        return select_key_of(tn_get_double(dtype, data, i));
    const uint64_t bits = (uint64_t)tn_get_int(dtype, data, i);
    return dtype == TN_UINT64 ? bits : bits ^ UINT64_C(1) << 63;
}

static int compare_keys(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_complex(const tn_tensor *data, int64_t i, int64_t j)
{
    const uint32_t dtype = data->dtype == TN_COMPLEX64 ? TN_FLOAT32 : TN_FLOAT64;
    const int order = compare_keys(select_key(dtype, data->data, 2 * i),
                                   select_key(dtype, data->data, 2 * j));
    return order ? order
                 : compare_keys(select_key(dtype, data->data, 2 * i + 1),
                                select_key(dtype, data->data, 2 * j + 1));
}

static int compare_text(const tn_text *a, const tn_text *b)
{
    const size_t common = a->count < b->count ? a->count : b->count;
    const int order = common ? memcmp(a->bytes, b->bytes, common) : 0;
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

int select_compare(const tn_tensor *data, int64_t i, int64_t j)
{
    switch (data->dtype) {
    case TN_STRING:
        return compare_text((const tn_text *)data->data + i, (const tn_text *)data->data + j);
    case TN_COMPLEX64:
    case TN_COMPLEX128: return compare_complex(data, i, j);
    default:
        return compare_keys(select_key(data->dtype, data->data, i),
                            select_key(data->dtype, data->data, j));
    }
}

int32_t select_axis(tn_infer *ctx, int64_t axis, int32_t rank, const char *input)
{
    const int32_t found = tn_axis(axis, rank);
    if (found < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %lld, outside [%d, %d) of input '%s' of rank %d",
                                 (long long)axis, -(int)rank, (int)rank, input, (int)rank);
    return found;
}

tn_status select_cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}
