/* plugins/normalization/shared.c: checks of inputs, statistics of a row, and operands that broadcast.
 *
 * SPDX-License-Identifier: MIT */
#include "normalization.h"

#include <inttypes.h>

/* ---- inference ---------------------------------------------------------------------------------- */

void norm_check_vector(tn_infer *ctx, uint32_t k, const char *name, tn_dim channels)
{
    const tn_type *type = k < ctx->input_count ? ctx->inputs[k] : NULL;
    if (!type || type->rank < 0)
        return;
    if (type->rank != 1)
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
            "input '%s' has rank %d: expected a vector, one number for each channel", name,
            type->rank);
    else if (tn_dim_known(channels) && tn_dim_known(type->dims[0]) && type->dims[0] != channels)
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                 "input '%s' has %" PRId64 " elements: expected %" PRId64
                                 ", one for each channel",
                                 name, type->dims[0], channels);
}

void norm_check_broadcast(tn_infer *ctx, uint32_t k, const char *name)
{
    const tn_type *x = ctx->inputs[0], *type = k < ctx->input_count ? ctx->inputs[k] : NULL;
    if (!x || !type || x->rank < 0 || type->rank < 0)
        return;
    if (type->rank > x->rank) {
        ctx->call.host->complain(
            &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
            "input '%s' has rank %d, which does not broadcast to rank %d of 'X'", name, type->rank,
            x->rank);
        return;
    }
    for (int32_t axis = 0; axis < type->rank; axis++) {
        const tn_dim found = type->dims[axis], wanted = x->dims[axis + x->rank - type->rank];
        if (tn_dim_known(found) && tn_dim_known(wanted) && found != 1 && found != wanted)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, k, NULL,
                                     "input '%s' has extent %" PRId64
                                     " on axis %d, which does not broadcast to %" PRId64 " of 'X'",
                                     name, found, axis, wanted);
    }
}

int32_t norm_infer_axis(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    const int64_t attribute = tn_attr_int(ctx->node, "axis", -1);
    if (!x || x->rank < 0)
        return -1;
    const int32_t axis = tn_axis(attribute, x->rank);
    if (axis < 0)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "axis",
                                 "axis is %" PRId64 ": expected %d to %d for rank %d", attribute,
                                 -x->rank, x->rank - 1, x->rank);
    return axis;
}

void norm_check_stash(tn_infer *ctx)
{
    const int64_t found = tn_attr_int(ctx->node, "stash_type", TN_FLOAT32);
    if (found != TN_FLOAT32 && found != TN_BFLOAT16)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "stash_type",
                                 "stash_type is %" PRId64 ": expected 1 (float32) or 16 (bfloat16)",
                                 found);
}

/* ---- rows --------------------------------------------------------------------------------------- */

void norm_load(const tn_tensor *tensor, int64_t first, int64_t count, double *out)
{
    if (tensor->dtype == TN_FLOAT32)
        for (int64_t k = 0; k < count; k++)
            out[k] = (double)((const float *)tensor->data)[first + k];
    else
        for (int64_t k = 0; k < count; k++)
            out[k] = norm_get(tensor, first + k);
}

void norm_store(tn_tensor *tensor, int64_t first, int64_t count, const double *from)
{
    if (tensor->dtype == TN_FLOAT32)
        for (int64_t k = 0; k < count; k++)
            ((float *)tensor->data)[first + k] = (float)from[k];
    else
        for (int64_t k = 0; k < count; k++)
            norm_set(tensor, first + k, from[k]);
}

/* Sum of (element - shift)^power over a row, in order. */
static double sum_row(const tn_tensor *x, int64_t first, int64_t count, double shift, int power)
{
    double chunk[NORM_CHUNK], sum = 0;
    for (int64_t at = 0; at < count; at += NORM_CHUNK) {
        const int64_t n = count - at < NORM_CHUNK ? count - at : NORM_CHUNK;
        norm_load(x, first + at, n, chunk);
        for (int64_t k = 0; k < n; k++) {
            const double d = chunk[k] - shift;
            sum += power == 2 ? d * d : d;
        }
    }
    return sum;
}

void norm_moments(const tn_tensor *x, int64_t first, int64_t count, double *mean, double *variance)
{
    *mean = sum_row(x, first, count, 0.0, 1) / (double)count;
    *variance = sum_row(x, first, count, *mean, 2) / (double)count;
}

double norm_mean_square(const tn_tensor *x, int64_t first, int64_t count)
{
    return sum_row(x, first, count, 0.0, 2) / (double)count;
}

/* ---- operands ----------------------------------------------------------------------------------- */

void norm_operand_init(norm_operand *operand, const tn_tensor *tensor, const tn_tensor *x,
                       int32_t axis)
{
    operand->tensor = tensor;
    if (!tensor)
        return;
    tn_broadcast_strides(tensor, x->rank, operand->strides);
    operand->by_row = tn_count(tensor) == tn_extent(x->dims, axis, x->rank);
    for (int32_t a = axis; a < x->rank; a++) {
        const int32_t own = a - (x->rank - tensor->rank);
        operand->by_row &= (own < 0 ? 1 : tensor->dims[own]) == x->dims[a];
    }
}

/* Where element `at` of X finds its partner. */
static int64_t partner(const tn_tensor *x, const int64_t *strides, int64_t at)
{
    int64_t offset = 0;
    for (int32_t axis = x->rank - 1; axis >= 0; axis--) {
        offset += at % x->dims[axis] * strides[axis];
        at /= x->dims[axis];
    }
    return offset;
}

void norm_operand_load(const norm_operand *operand, const tn_tensor *x, int64_t row, int64_t first,
                       int64_t count, double *out)
{
    if (operand->by_row)
        norm_load(operand->tensor, first - row, count, out);
    else
        for (int64_t k = 0; k < count; k++)
            out[k] = norm_get(operand->tensor, partner(x, operand->strides, first + k));
}

/* ---- as other operators --------------------------------------------------------------------- */

tn_status norm_write_begin(tn_edit *e, norm_written *out)
{
    const tn_node_view *view = tn_edit_view(e);
    const tn_type *type = tn_edit_type(e, tn_edit_input(e, 0));
    int64_t axes[TN_MAX_RANK];
    int32_t count = 0;
    if (!type || type->rank < 1)
        return tn_fail(e->ctx, TN_KEEP, "the rank of input 'X' is not known");
    const int32_t axis = tn_axis(tn_attr_int(view, "axis", -1), type->rank);
    for (int32_t a = axis; a < type->rank; a++)
        axes[count++] = a;
    out->axes = tn_put_ints(e, axes, count);
    out->x = tn_put_with(e, "Cast", tn_edit_input(e, 0), TN_NONE, "to",
                         tn_attr_int(tn_edit_view(e), "stash_type", TN_FLOAT32));
    return e->status;
}

tn_value_id norm_write_mean(tn_edit *e, const norm_written *w, tn_value_id x)
{
    return tn_put(e, "ReduceMean", x, w->axes, TN_NONE, NULL);
}

tn_value_id norm_write_root(tn_edit *e, tn_value_id value)
{
    const double epsilon = (double)tn_attr_float(tn_edit_view(e), "epsilon", 1e-5f);
    const int64_t type = tn_attr_int(tn_edit_view(e), "stash_type", TN_FLOAT32);
    const tn_value_id small = tn_put_scalar(e, (uint32_t)type, epsilon);
    const tn_value_id sum = tn_put(e, "Add", value, small, TN_NONE, NULL);
    return tn_put(e, "Sqrt", sum, TN_NONE, TN_NONE, NULL);
}
