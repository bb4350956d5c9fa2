/* engine/tensor/dtype.c: names of element types.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/tensor/tensor.h"

static const char *const names[TN_DTYPE_COUNT] = {
    [TN_UNDEFINED] = "undefined",
    [TN_FLOAT32] = "float32",
    [TN_UINT8] = "uint8",
    [TN_INT8] = "int8",
    [TN_UINT16] = "uint16",
    [TN_INT16] = "int16",
    [TN_INT32] = "int32",
    [TN_INT64] = "int64",
    [TN_STRING] = "string",
    [TN_BOOL] = "bool",
    [TN_FLOAT16] = "float16",
    [TN_FLOAT64] = "float64",
    [TN_UINT32] = "uint32",
    [TN_UINT64] = "uint64",
    [TN_COMPLEX64] = "complex64",
    [TN_COMPLEX128] = "complex128",
    [TN_BFLOAT16] = "bfloat16",
    [TN_FLOAT8E4M3FN] = "float8e4m3fn",
    [TN_FLOAT8E4M3FNUZ] = "float8e4m3fnuz",
    [TN_FLOAT8E5M2] = "float8e5m2",
    [TN_FLOAT8E5M2FNUZ] = "float8e5m2fnuz",
    [TN_UINT4] = "uint4",
    [TN_INT4] = "int4",
    [TN_FLOAT4E2M1] = "float4e2m1",
    [TN_FLOAT8E8M0] = "float8e8m0",
    [TN_UINT2] = "uint2",
    [TN_INT2] = "int2",
};

const char *tn_dtype_name(uint32_t dtype)
{
    return dtype && dtype < TN_DTYPE_COUNT ? names[dtype] : "?";
}

uint32_t tn_dtype_of(const char *name)
{
    for (uint32_t k = 1; name && k < TN_DTYPE_COUNT; k++)
        if (!strcmp(names[k], name))
            return k;
    return TN_UNDEFINED;
}
