/* plugins/attention/rows.c: rows of one head as doubles, their products, and softmax.
 *
 * SPDX-License-Identifier: MIT */
#include "attention.h"

void attn_rows_init(attn_rows *rows, const tn_tensor *tensor, int64_t heads)
{
    const int packed = tensor->rank == 3;
    rows->tensor = tensor;
    rows->batch = tensor->dims[0];
    rows->heads = packed ? heads : tensor->dims[1];
    rows->rows = tensor->dims[packed ? 1 : 2];
    rows->width = packed ? tensor->dims[2] / heads : tensor->dims[3];
    rows->batch_step = rows->heads * rows->rows * rows->width;
    rows->head_step = packed ? rows->width : rows->rows * rows->width;
    rows->row_step = packed ? tensor->dims[2] : rows->width;
}

void attn_load(const tn_tensor *tensor, int64_t first, int64_t count, double *out)
{
    load_doubles(tensor->dtype, tensor->data, first, count, out);
}

double attn_dot(const attn_rows *rows, int64_t first, const double *vector)
{
    double chunk[BLOCK], sum = 0;
    for (int64_t at = 0; at < rows->width; at += BLOCK) {
        const int64_t n = rows->width - at < BLOCK ? rows->width - at : BLOCK;
        attn_load(rows->tensor, first + at, n, chunk);
        for (int64_t k = 0; k < n; k++)
            sum += chunk[k] * vector[at + k];
    }
    return sum;
}

void attn_add_scaled(const attn_rows *rows, int64_t first, double factor, double *sum)
{
    double chunk[BLOCK];
    for (int64_t at = 0; at < rows->width; at += BLOCK) {
        const int64_t n = rows->width - at < BLOCK ? rows->width - at : BLOCK;
        attn_load(rows->tensor, first + at, n, chunk);
        for (int64_t k = 0; k < n; k++)
            sum[at + k] += factor * chunk[k];
    }
}

void attn_softmax(double *scores, int64_t count)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++)
        largest = scores[k] > largest || isnan(scores[k]) ? scores[k] : largest;
    for (int64_t k = 0; k < count; k++) {
        scores[k] = exp(scores[k] - largest);
        sum += scores[k];
    }
    for (int64_t k = 0; k < count; k++)
        scores[k] /= sum;
}

tn_status attn_scratch(tn_measure *ctx, double doubles)
{
    const double total = (doubles + 8) * (double)ctx->problem->threads;
    if (!(total < 1e15))
        return tn_fail(ctx, TN_ERR_LIMIT, "rows of %g numbers are too many", doubles);
    ctx->alternatives[0].scratch_bytes = (size_t)attn_scratch_step((int64_t)doubles) *
                                         ctx->problem->threads * sizeof(double);
    return TN_OK;
}
