/* plugins/pool/max_unpool.c: MaxUnpool (ONNX operators: MaxUnpool).
 *
 *   output[I[k]] = X[k], 0 elsewhere
 *
 * I counts the elements of the whole output as the attributes give it:
 * (in - 1) * stride - pads + kernel on each axis. A larger output_shape adds zeros behind it (so
 * does the reference implementation). Of equal indices the last one stays.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <inttypes.h>

/* ---- inference -------------------------------------------------------------------------- */

static int check_inputs(tn_infer *ctx)
{
    const tn_host *host = ctx->call.host;
    const tn_type *x = ctx->inputs[0], *places = ctx->inputs[1];
    if (x->rank < 3) {
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                       "input 'X' has rank %d: expected [N, C, spatial axes], at least 3",
                       (int)x->rank);
        return 0;
    }
    int same = !places || places->rank < 0 || places->rank == x->rank;
    for (int32_t k = 0; same && places && k < places->rank; k++)
        same = host->dim_equal(&ctx->call, x->dims[k], places->dims[k]) != TN_NO;
    if (!same)
        host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                       "input 'I' has another shape than input 'X': expected an index for each "
                       "element");
    return same;
}

static tn_dim grown(tn_infer *ctx, const pool_window *w, int32_t k, tn_dim in)
{
    const tn_dim steps = tn_dim_mul(ctx, tn_dim_sub(ctx, in, 1), w->stride[k]);
    return tn_dim_add(ctx, steps, w->kernel[k] - w->pad_begin[k] - w->pad_end[k]);
}

/* output_shape in place of what the attributes give. */
static void take_shape(tn_infer *ctx)
{
    tn_type *y = &ctx->outputs[0];
    const tn_type *type = ctx->inputs[2];
    tn_dim shape[TN_MAX_RANK];
    const int64_t found = ctx->call.host->input_elements(&ctx->call, 2, shape, TN_MAX_RANK);
    const int64_t count = found >= 0                                       ? found
                          : type->rank == 1 && tn_dim_known(type->dims[0]) ? type->dims[0]
                                                                           : y->rank;
    if (count != y->rank) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
                                 "input 'output_shape' has %" PRId64
                                 " elements: expected %d, the rank of 'X'",
                                 count, (int)y->rank);
        return;
    }
    for (int32_t k = 0; k < y->rank; k++) {
        const tn_dim least = y->dims[k], wanted = found < 0 ? TN_DIM_UNKNOWN : shape[k];
        y->dims[k] = wanted;
        if (!tn_dim_known(least) || !tn_dim_known(wanted) || wanted >= least)
            continue;
        ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, 2, NULL,
                                 "output_shape[%d] is %" PRId64 ": expected at least %" PRId64
                                 ", what the kernel covers",
                                 (int)k, wanted, least);
        y->dims[k] = TN_DIM_UNKNOWN;
    }
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    tn_type *y = &ctx->outputs[0];
    pool_window w;
    if (!x || x->rank < 0 || !check_inputs(ctx) ||
        !pool_read(&ctx->call, ctx->node, x->rank - 2, &w))
        return TN_OK;
    y->rank = x->rank;
    for (int32_t k = 0; k < x->rank; k++)
        y->dims[k] = k < 2 ? x->dims[k] : grown(ctx, &w, k - 2, x->dims[k]);
    for (int32_t k = 2; k < x->rank; k++)
        if (tn_dim_known(y->dims[k]) && y->dims[k] < 0) {
            ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pads",
                                     "pads %" PRId64 " and %" PRId64
                                     " take away more than axis %d of the output has",
                                     w.pad_begin[k - 2], w.pad_end[k - 2], (int)k);
            y->rank = -1;
            return TN_OK;
        }
    if (ctx->input_count > 2 && ctx->inputs[2])
        take_shape(ctx);
    return TN_OK;
}

static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

/* Where the index stands in the output: its places in `own`, counted in `full`. */
static int64_t offset_of(int64_t index, int32_t rank, const int64_t *own, const int64_t *full)
{
    int64_t offset = 0, stride = 1;
    for (int32_t k = rank - 1; k >= 0; k--) {
        offset += index % own[k] * stride;
        index /= own[k];
        stride *= full[k];
    }
    return offset;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[0];
    tn_tensor *y = ctx->outputs[0];
    const int64_t *places = ctx->inputs[1]->data;
    const size_t width = tn_dtype_bits(x->dtype) / 8;
    int64_t own[TN_MAX_RANK], total = 1;
    pool_window w;
    (void)state, (void)slot;
    (void)pool_read(NULL, ctx->node, x->rank - 2, &w);
    for (int32_t k = 0; k < x->rank; k++) {
        own[k] = x->dims[k];
        if (k >= 2)
            own[k] = (x->dims[k] - 1) * w.stride[k - 2] + w.kernel[k - 2] - w.pad_begin[k - 2] -
                     w.pad_end[k - 2];
        if (tn_count(x) && own[k] > y->dims[k])
            return tn_fail(ctx, TN_ERR_VALUE,
                           "output_shape[%d] is %" PRId64 ": expected at least %" PRId64
                           ", what the kernel covers",
                           (int)k, y->dims[k], own[k]);
        total *= own[k];
    }
    if (y->bytes)
        memset(y->data, 0, y->bytes);
    for (int64_t k = 0; k < tn_count(x); k++) {
        if (places[k] < 0 || places[k] >= total)
            return tn_fail(ctx, TN_ERR_VALUE,
                           "element %" PRId64 " of input 'I' is %" PRId64
                           ": expected a number in [0, %" PRId64 ")",
                           k, places[k], total);
        memcpy((char *)y->data + (size_t)offset_of(places[k], x->rank, own, y->dims) * width,
               (const char *)x->data + (size_t)k * width, width);
    }
    return TN_OK;
}

/* ---- tables ------------------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "X", "T1", TN_MASK_FLOAT, 0, 0, "what MaxPool gave: [N, C, D1, ...]" },
    { "I", "T2", TN_BIT(TN_INT64), 0, 0, "where each element stood: MaxPool's Indices" },
    { "output_shape", "T2", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "the output's whole shape" },
};
static const tn_param_def outputs[] = { { "output", "T1", TN_MASK_FLOAT, 0, 0,
                                          "[N, C, E1, ...]" } };
static const tn_attribute_def attributes[] = {
    { .name = "kernel_shape",
      .type = TN_ATTR_INTS,
      .flags = TN_ATTR_REQUIRED,
      .doc = "extents of MaxPool's window" },
    { .name = "pads",
      .type = TN_ATTR_INTS,
      .doc = "its padding: all beginnings, then all ends; 0" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "its step; 1" },
};
static const tn_operator_def max_unpool = { .size = sizeof max_unpool,
                                            .since = 22,
                                            .accepts_from = 9,
                                            .name = "MaxUnpool",
                                            .doc = "Puts what MaxPool took back where it stood.",
                                            .inputs = inputs,
                                            .input_count = 3,
                                            .outputs = outputs,
                                            .output_count = 1,
                                            .attributes = attributes,
                                            .attribute_count = 3,
                                            .traits = TN_MOVES_BYTES | TN_MAY_FAIL,
                                            .infer = infer,
                                            .cost = cost };
static const tn_kernel_def kernel = { .size = sizeof kernel,
                                      .op = "MaxUnpool",
                                      .run = run,
                                      .flags = TN_KERNEL_ANY_STEPS | TN_KERNEL_EMPTY };

tn_status max_unpool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, &max_unpool));
    return registrar->add_kernel(registrar, &kernel);
}
