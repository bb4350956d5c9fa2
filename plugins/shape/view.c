/* plugins/shape/view.c: what the operators that keep their elements have in common.
 *
 * SPDX-License-Identifier: MIT */
#include "shape.h"

/* ---- inference -------------------------------------------------------------------------- */

/* A constant first: its numbers may be below what a dimension can be, and then become the lowest
 * one. */
int64_t shape_elements(tn_infer *ctx, uint32_t k, tn_dim *out)
{
    if (k >= ctx->input_count || !ctx->inputs[k])
        return -1;
    const tn_tensor *value = ctx->call.host->input_value(&ctx->call, k);
    if (!value) {
        const int64_t count = ctx->call.host->input_elements(&ctx->call, k, out, SHAPE_ELEMENTS);
        return count > SHAPE_ELEMENTS ? -1 : count;
    }
    const int64_t count = tn_count(value);
    if (count > SHAPE_ELEMENTS || !(TN_BIT(value->dtype) & (TN_MASK_INTEGER | TN_BIT(TN_BOOL))))
        return -1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t v = tn_get_int(value->dtype, value->data, i);
        const int wide = value->dtype == TN_UINT64 && v < 0; /* beyond int64 */
        out[i] = wide ? TN_DIM_UNKNOWN : v <= TN_DIM_LOWEST ? TN_DIM_LOWEST + 1 : v;
    }
    return count;
}

int64_t shape_length(const tn_infer *ctx, uint32_t k)
{
    const tn_type *type = k < ctx->input_count ? ctx->inputs[k] : NULL;
    if (!type || type->rank != 1 || !tn_dim_known(type->dims[0]))
        return -1;
    return type->dims[0];
}

tn_status shape_pass_elements(tn_infer *ctx)
{
    tn_dim elements[SHAPE_ELEMENTS];
    if (ctx->outputs[0].kind != TN_TENSOR || !(TN_BIT(ctx->outputs[0].dtype) & TN_MASK_INTEGER))
        return TN_OK;
    const int64_t count = shape_elements(ctx, 0, elements);
    return count < 0 ? TN_OK : ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

int shape_equal(const tn_type *a, const tn_type *b)
{
    if (!a || !b || a->rank < 0 || a->rank != b->rank)
        return 0;
    for (int32_t axis = 0; axis < a->rank; axis++) {
        if (a->dims[axis] != b->dims[axis] || a->dims[axis] == TN_DIM_UNKNOWN)
            return 0;
    }
    return 1;
}

int32_t shape_identity(const tn_identity *query)
{
    return shape_equal(query->inputs[0], query->outputs[0]) ? 0 : -1;
}

int shape_check_rank(tn_infer *ctx, uint32_t input, int64_t rank)
{
    if (rank <= TN_MAX_RANK)
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_LIMIT, TN_WHERE_INPUT, input, NULL,
                             "the output would have rank %lld: expected at most %d",
                             (long long)rank, TN_MAX_RANK);
    return 0;
}

tn_status shape_cost(tn_infer *ctx, tn_cost *out)
{
    (void)ctx;
    out->macs = out->ops = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

tn_status shape_copy(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *in = ctx->inputs[0];
    tn_tensor *out = ctx->outputs[0];
    const size_t bytes = tn_dtype_bytes(out->dtype, tn_count(out));
    (void)state, (void)slot;
    if (tn_count(in) != tn_count(out))
        return tn_fail(ctx, TN_ERR_VALUE, "input has %lld elements: expected %lld as the output",
                       (long long)tn_count(in), (long long)tn_count(out));
    if (bytes && in->data != out->data)
        memcpy(out->data, in->data, bytes);
    return TN_OK;
}

tn_status shape_add(tn_registrar *registrar, const tn_operator_def *op,
                    tn_status (*run)(tn_run *ctx, const void *state, void *slot), uint32_t flags)
{
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .flags = flags | TN_KERNEL_ANY_STEPS, .op = op->name, .run = run
    };
    TN_TRY(registrar->add_operator(registrar, op));
    return registrar->add_kernel(registrar, &kernel);
}
