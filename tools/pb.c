/* tools/pb.c: ONNX's test data: a file with one TensorProto.
 *
 * The plugin for .onnx reads it: the tensor becomes the one initializer of a model that is put around
 * its bytes. So the command knows of Protocol Buffers only how a field is announced, and every type
 * and every way of storing one is read as in a model.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

/* ---- the model around it -------------------------------------------------------------------- */

static const char value_name[] = "value";

typedef struct message {
    unsigned char *bytes;
    size_t count;
} message;

/* A field of bytes: its number (below 16) and wire type 2, the length in groups of seven bits. */
static void put_field(message *to, unsigned field, const void *bytes, size_t count)
{
    to->bytes[to->count++] = (unsigned char)(field << 3 | 2);
    for (size_t left = count;; left >>= 7) {
        to->bytes[to->count++] = (unsigned char)((left & 127) | (left > 127 ? 128 : 0));
        if (left <= 127)
            break;
    }
    if (count)
        memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static message make_message(tool *t, size_t room)
{
    return (message){ keep(t, room + 64), 0 };
}

/* ModelProto: ir_version 13, opset_import of ai.onnx 1, and a graph of the tensor as initializer and
 * output. The name at the tensor's end takes the place of its own. */
static message wrap(tool *t, blob tensor)
{
    static const unsigned char head[] = { 0x08, 13, 0x42, 2, 0x10, 1 };
    message initializer = make_message(t, tensor.count), output = make_message(t, 0);
    message graph = make_message(t, tensor.count + 64), model = make_message(t, tensor.count + 128);
    if (tensor.count)
        memcpy(initializer.bytes, tensor.data, tensor.count);
    initializer.count = tensor.count;
    put_field(&initializer, 8, value_name, strlen(value_name));
    put_field(&output, 1, value_name, strlen(value_name));
    put_field(&graph, 5, initializer.bytes, initializer.count);
    put_field(&graph, 12, output.bytes, output.count);
    memcpy(model.bytes, head, sizeof head);
    model.count = sizeof head;
    put_field(&model, 7, graph.bytes, graph.count);
    return model;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void copy_elements(tool *t, const tn_tensor *from, tn_tensor *to)
{
    const tn_text *texts = from->data;
    if (from->dtype != TN_STRING) {
        if (from->bytes)
            memcpy(to->data, from->data, from->bytes);
        return;
    }
    for (size_t k = 0; k < from->bytes / sizeof *texts; k++)
        ((tn_text *)to->data)[k] = (tn_text){
            keep_text(t, texts[k].count ? texts[k].bytes : "", texts[k].count), texts[k].count
        };
}

int pb_read(tool *t, const char *name, blob bytes, tn_tensor **out)
{
    const tn_model_options options = { .size = sizeof options, .format = "onnx" };
    const message model = wrap(t, bytes);
    tn_model *read;
    if (tn_model_load_bytes(t->runtime, model.bytes, model.count, &options, NULL, &read) != TN_OK)
        return bad(t, EXIT_BAD, "%s holds no TensorProto: %s", name, tn_error_message());
    const tn_graph *graph = tn_model_graph(read);
    const tn_value_view *value = tn_graph_value(
        graph, tn_graph_find_value(graph, TN_TOP_REGION, value_name));
    const tn_tensor *tensor = value ? value->constant : NULL;
    int code = EXIT_FINE;
    *out = tensor ? array_make(t, tensor->dtype, tensor->rank, tensor->dims) : NULL;
    if (*out)
        copy_elements(t, tensor, *out);
    else
        code = bad(t, EXIT_BAD, "%s holds no tensor", name);
    tn_model_destroy(read);
    return code;
}
