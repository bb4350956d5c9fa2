/* plugins/onnx/plugin.c: what this shared object offers: the file format .onnx.
 *
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* The first field of a ModelProto, in all files seen: ir_version, a small number. */
static int32_t sniff(const void *bytes, size_t count)
{
    const uint8_t *b = bytes;
    return count > 2 && b[0] == 0x08 && b[1] > 0 && b[1] < 64;
}

static const tn_format_def format = {
    .size = sizeof format,
    .name = "onnx",
    .extension = ".onnx",
    .doc = "ONNX models, IR version 3 and up, with external data",
    .sniff = sniff,
    .read = read_model,
    .write = write_model,
};

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    return registrar->add_format(registrar, &format);
}

TN_PLUGIN(onnx, .version = "1.0", .licence = "MIT", .description = "ONNX files", .load = load);
