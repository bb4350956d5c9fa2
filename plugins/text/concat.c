/* plugins/text/concat.c: StringConcat (ONNX operators: StringConcat).
 *
 * Z[i] is X[i] followed by Y[i], after broadcasting.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

static tn_status infer(tn_infer *ctx)
{
    return ctx->call.host->broadcast(&ctx->call, ctx->inputs, 2, &ctx->outputs[0]);
}

static size_t longest(const tn_tensor *tensor)
{
    const tn_text *texts = tensor->data;
    size_t most = 0;
    for (int64_t k = 0; k < tn_count(tensor); k++)
        most = texts[k].count > most ? texts[k].count : most;
    return most;
}

static tn_status join(tn_run *ctx, tn_text a, tn_text b, char *room, tn_text *out)
{
    if (a.count)
        memcpy(room, a.bytes, a.count);
    if (b.count)
        memcpy(room + a.count, b.bytes, b.count);
    return ctx->call.host->string_make(&ctx->call, room, a.count + b.count, out);
}

static tn_status join_all(tn_run *ctx, char *room)
{
    const tn_text *x = ctx->inputs[0]->data, *y = ctx->inputs[1]->data;
    const tn_tensor *z = ctx->outputs[0];
    int64_t strides[2][TN_MAX_RANK], index[TN_MAX_RANK] = { 0 }, offsets[2] = { 0 }, k = 0;
    tn_broadcast_strides(ctx->inputs[0], z->rank, strides[0]);
    tn_broadcast_strides(ctx->inputs[1], z->rank, strides[1]);
    do {
        TN_TRY(join(ctx, x[offsets[0]], y[offsets[1]], room, (tn_text *)z->data + k++));
    } while (tn_next(z->rank, z->dims, index, 2, (const int64_t(*)[TN_MAX_RANK])strides, offsets));
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_type type = { .size = sizeof type,
                           .dtype = TN_UINT8,
                           .rank = 1,
                           .dims = {
                               (int64_t)(longest(ctx->inputs[0]) + longest(ctx->inputs[1]) + 1) } };
    tn_tensor *room;
    (void)state, (void)slot;
    TN_TRY(ctx->call.host->value_make(&ctx->call, &type, &room));
    const tn_status status = join_all(ctx, room->data);
    ctx->call.host->value_release(&ctx->call, room);
    return status;
}

static const tn_param_def inputs[] = {
    { "X", "T", TN_BIT(TN_STRING), 0, 0, "comes first" },
    { "Y", "T", TN_BIT(TN_STRING), 0, 0, "comes second" },
};
static const tn_param_def outputs[] = { { "Z", "T", TN_BIT(TN_STRING), 0, 0, "both, broadcast" } };
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 20,
    .name = "StringConcat",
    .doc = "Concatenates two string tensors, element by element.",
    .inputs = inputs,
    .input_count = 2,
    .outputs = outputs,
    .output_count = 1,
    .traits = TN_ELEMENTWISE,
    .infer = infer,
};
static const tn_kernel_def kernel = { .size = sizeof kernel, .op = "StringConcat", .run = run };

tn_status concat_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
