/* plugins/text/split.c: StringSplit (ONNX operators: StringSplit).
 *
 * Y holds the pieces of each element along a new last axis, as long as the longest list, padded with
 * empty strings; Z how many there are. Without a delimiter, runs of white space separate and none
 * stand at either end; with maxsplit the rest of the text is the last piece as it is.
 *
 * Pieces point into the text they come from: strings are immutable, nothing is copied.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    if (ctx->output_count > 1) {
        TN_TRY(tn_infer_same(ctx, 1, 0));
        ctx->outputs[1].dtype = TN_INT64;
    }
    ctx->outputs[0].flags |= TN_TYPE_LATE;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank == TN_MAX_RANK) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected at most %d", x->rank,
                                 TN_MAX_RANK - 1);
        return TN_OK;
    }
    ctx->outputs[0].rank = x->rank + 1;
    memcpy(ctx->outputs[0].dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    ctx->outputs[0].dims[x->rank] = TN_DIM_UNKNOWN;
    return TN_OK;
}

typedef struct rule {
    tn_text delimiter; /* none: white space */
    int64_t limit;     /* splits at most; -1: any number */
} rule;

static tn_text part(tn_text text, size_t from, size_t to)
{
    return (tn_text){ text.bytes + from, to - from };
}

static size_t skip(tn_text text, size_t at, int space)
{
    size_t taken;
    while (at < text.count && utf8_is_space(utf8_read(text.bytes, text.count, at, &taken)) == space)
        at += taken;
    return at;
}

static int64_t split_space(tn_text text, int64_t limit, tn_text *out)
{
    int64_t count = 0;
    for (size_t at = skip(text, 0, 1); at < text.count;) {
        const size_t end = count == limit ? text.count : skip(text, at, 0);
        if (out)
            out[count] = part(text, at, end);
        count++;
        at = skip(text, end, 1);
    }
    return count;
}

static size_t find(tn_text text, size_t at, tn_text delimiter)
{
    for (; at + delimiter.count <= text.count; at++) {
        if (memcmp(text.bytes + at, delimiter.bytes, delimiter.count) == 0)
            return at;
    }
    return text.count;
}

static int64_t split_at(tn_text text, tn_text delimiter, int64_t limit, tn_text *out)
{
    int64_t count = 0;
    for (size_t at = 0;;) {
        const size_t end = count == limit ? text.count : find(text, at, delimiter);
        if (out)
            out[count] = part(text, at, end);
        count++;
        /* A delimiter at the very end leaves one more piece, an empty one. */
        if (end == text.count)
            return count;
        at = end + delimiter.count;
    }
}

/* How many pieces there are; fills `out` unless it is NULL. */
static int64_t split(const rule *r, tn_text text, tn_text *out)
{
    return r->delimiter.count ? split_at(text, r->delimiter, r->limit, out)
                              : split_space(text, r->limit, out);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_attribute *delimiter = tn_attr(ctx->node, "delimiter");
    const rule r = { delimiter ? delimiter->s : (tn_text){ NULL, 0 },
                     tn_attr_int(ctx->node, "maxsplit", -1) };
    const tn_tensor *x = ctx->inputs[0];
    const tn_text *texts = x->data;
    const int64_t count = tn_count(x);
    int64_t *counts = ctx->output_count > 1 && ctx->outputs[1] ? ctx->outputs[1]->data : NULL;
    int64_t dims[TN_MAX_RANK], most = 0;
    (void)state, (void)slot;
    for (int64_t k = 0; k < count; k++) {
        const int64_t pieces = split(&r, texts[k], NULL);
        most = pieces > most ? pieces : most;
        if (counts)
            counts[k] = pieces;
    }
    if (!ctx->outputs[0])
        return TN_OK;
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    dims[x->rank] = most;
    TN_TRY(ctx->call.host->output_alloc(&ctx->call, 0, x->rank + 1, dims));
    tn_text *out = ctx->outputs[0]->data;
    for (int64_t k = 0; most && k < count; k++) {
        for (int64_t p = split(&r, texts[k], out + k * most); p < most; p++)
            out[k * most + p] = (tn_text){ "", 0 };
    }
    return TN_OK;
}

static const tn_param_def inputs[] = { { "X", "T1", TN_BIT(TN_STRING), 0, 0, "texts to split" } };
static const tn_param_def outputs[] = {
    { "Y", "T2", TN_BIT(TN_STRING), 0, 0,
      "the pieces along a new last axis, padded with empty texts" },
    { "Z", "T3", TN_BIT(TN_INT64), 0, 0, "how many pieces each text has" },
};
static const tn_attribute_def attributes[] = {
    { .name = "delimiter",
      .type = TN_ATTR_STRING,
      .doc = "what stands between; white space when empty" },
    { .name = "maxsplit", .type = TN_ATTR_INT, .doc = "splits at most; any number when absent" },
};
static const tn_operator_def op = {
    .size = sizeof op,
    .since = 20,
    .name = "StringSplit",
    .doc = "Splits texts at a delimiter.",
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 2,
    .attributes = attributes,
    .attribute_count = 2,
    .infer = infer,
};
static const tn_kernel_def kernel = {
    .size = sizeof kernel, .op = "StringSplit", .run = run, .flags = TN_KERNEL_EMPTY
};

tn_status split_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
