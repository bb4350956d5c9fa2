/* plugins/onnx/tensor.h: TensorProto to tensor (ONNX IR, "Tensor Definition").
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_TENSOR_H
#define ONNX_TENSOR_H

#include "proto.h"

/* What a TensorProto declares, checked: type, extents, size. */
typedef struct tensor_shape {
    uint32_t dtype;
    int32_t rank;
    int64_t dims[TN_MAX_RANK];
    size_t elements;
    size_t bytes; /* in memory; of TN_STRING those of the tn_text */
} tensor_shape;

/* Reads type and extents, and checks that what data there is has their size. External data is not
 * looked for. */
tn_status tensor_describe(const proto_tensor *tensor, tensor_shape *out, wire_error *error);
/* The same of extents alone. */
tn_status tensor_measure(int64_t dtype, wire_list dims, tensor_shape *out, wire_error *error);

/* Where the elements lie in the file just as memory wants them, but perhaps misaligned: raw_data,
 * or one packed run. False: tensor_fill must convert. */
bool tensor_in_place(const proto_tensor *tensor, const tensor_shape *shape, wire_span *out);
/* Writes the elements; texts are lent from the file. `to` has shape->bytes. */
tn_status tensor_fill(const proto_tensor *tensor, const tensor_shape *shape, void *to,
                      wire_error *error);
/* Complains about bytes that are no bool. */
tn_status tensor_check_elements(const tensor_shape *shape, const void *data, wire_error *error);

#endif
