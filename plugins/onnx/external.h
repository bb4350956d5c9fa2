/* plugins/onnx/external.h: tensors whose bytes stand in a file beside the model.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ONNX_EXTERNAL_H
#define ONNX_EXTERNAL_H

#include "onnx.h"

/* Finds the `bytes` bytes of an external tensor. *buffer is lent: the reader holds it. */
tn_status external_find(reader *r, const place *at, const proto_tensor *tensor, size_t bytes,
                        const void **data, tn_buffer **buffer);
/* Lets go of all mapped files; constants hold theirs. */
void external_fini(reader *r);

#endif
