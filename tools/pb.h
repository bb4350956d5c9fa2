/* tools/pb.h: ONNX's test data: a file with one TensorProto, SequenceProto or OptionalProto (ONNX,
 * onnx-data.proto). Shared with tests/conformance: knows the embedding API, and of the command
 * nothing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PB_H
#define TENON_PB_H

#include "tenon/tenon.h"

#include <stdbool.h>

typedef struct pb_reader {
    tn_runtime *runtime;
    /* Zeroed memory that lives as long as what is read; never NULL. */
    void *(*keep)(void *user, size_t bytes);
    /* Takes a sequence or optional, which is to be destroyed behind its last use. */
    void (*take)(void *user, tn_tensor *value);
    void *user;
    char why[400]; /* out: "holds no TensorProto: …" */
} pb_reader;

/* Whether the bytes can be a SequenceProto or an OptionalProto, and no TensorProto that anybody
 * writes: the messages do not say what they are. */
bool pb_is_wrapped(const void *bytes, size_t count);

/* Reads a value of this kind. Of the type's dtype only bfloat16 counts: numpy had none when the
 * data of 1.12 was made, where it stands as uint16. On false `why` says what is wrong. */
bool pb_read_value(pb_reader *reader, const void *bytes, size_t count, const tn_type *type,
                   tn_tensor **out);

#endif
