/* plugins/pool/max_pool.c: MaxPool (ONNX operators: MaxPool).
 *
 *   Y[n,c,o] = max over k of X[n,c, o*stride + k*dilation - pad], taps on padding left out
 *
 * A NaN in the window wins. Indices are positions in X as one row of elements; with storage_order 1
 * spatial axes count in column-major order.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

/* Where the largest tap of a window lies in its plane; -1: all taps are on padding. */
static int64_t find_largest(const pool_job *j, const tn_tensor *x, int64_t base, const int64_t *origin, int64_t *where)
{
    const pool_window *w = &j->window;
    const int is_float = tn_dtype_is_float(x->dtype);
    int64_t tap[TN_MAX_RANK] = { 0 }, best = -1;
    double largest = 0;
    for (int32_t axis = 0; axis >= 0;) {
        int64_t at = 0, inside = 1;
        for (int32_t k = 0; k < w->spatial; k++) {
            const int64_t here = origin[k] + tap[k] * w->dilation[k];
            inside &= here >= 0 && here < j->in[k];
            at = at * j->in[k] + here;
        }
        if (inside) {
            const double value = tn_get_double(x->dtype, x->data, base + at);
            if (best < 0 || value > largest || (is_float && isnan(value) && !isnan(largest))) {
                best = at;
                largest = value;
                for (int32_t k = 0; k < w->spatial; k++)
                    where[k] = origin[k] + tap[k] * w->dilation[k];
            }
        }
        for (axis = w->spatial - 1; axis >= 0 && ++tap[axis] == w->kernel[axis]; axis--)
            tap[axis] = 0;
    }
    return best;
}

/* Position in a plane whose first axis runs fastest. */
static int64_t column_major(const pool_job *j, const int64_t *where)
{
    int64_t at = 0;
    for (int32_t k = j->window.spatial - 1; k >= 0; k--)
        at = at * j->in[k] + where[k];
    return at;
}

static void copy_element(const tn_tensor *from, int64_t at, tn_tensor *to, int64_t out)
{
    const size_t size = tn_dtype_bytes(from->dtype, 1);
    memcpy((char *)to->data + (size_t)out * size, (const char *)from->data + (size_t)at * size, size);
}

/* A window of padding only holds nothing: the smallest value stands for its maximum. */
static void store_nothing(tn_tensor *y, int64_t out)
{
    if (tn_dtype_is_float(y->dtype))
        tn_set_float(y->dtype, y->data, out, -INFINITY);
    else
        tn_set_int(y->dtype, y->data, out, y->dtype == TN_INT8 ? INT8_MIN : 0);
}

static tn_status run_planes(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const pool_job *j = user;
    const tn_tensor *x = j->run->inputs[0];
    tn_tensor *y = j->run->outputs[0], *indices = j->run->output_count > 1 ? j->run->outputs[1] : NULL;
    (void)thread;
    for (int64_t plane = begin; plane < end; plane++)
        for (int64_t o = 0; o < j->out_count; o++) {
            int64_t origin[TN_MAX_RANK], where[TN_MAX_RANK] = { 0 };
            const int64_t out = plane * j->out_count + o;
            pool_origin(j, o, origin);
            const int64_t best = find_largest(j, x, plane * j->in_count, origin, where);
            if (y && best >= 0)
                copy_element(x, plane * j->in_count + best, y, out);
            else if (y)
                store_nothing(y, out);
            if (indices)
                ((int64_t *)indices->data)[out] = best < 0 ? -1 : plane * j->in_count + (j->column_major ? column_major(j, where) : best);
        }
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    pool_job job;
    (void)state;
    (void)slot;
    pool_job_init(&job, ctx);
    return ctx->call.host->parallel_for(&ctx->call, ctx->inputs[0]->dims[0] * ctx->inputs[0]->dims[1],
                                        1 + 8192 / (job.out_count + 1), run_planes, &job);
}

/* ---- tables ------------------------------------------------------------------------------------- */

#define T_MASK (TN_MASK_FLOAT | TN_BIT(TN_INT8) | TN_BIT(TN_UINT8))
static const tn_param_def inputs[] = { { "X", "T", T_MASK, 0, 0, "[N, C, D1, ...]" } };
static const tn_param_def outputs[] = {
    { "Y", "T", T_MASK, 0, 0, "[N, C, E1, ...]" },
    { "Indices", "I", TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0, "where in X each maximum stands" },
};
static const tn_attribute_def attributes[] = {
    { .name = "auto_pad", .type = TN_ATTR_STRING, .flags = TN_ATTR_HAS_DEFAULT, .s = "NOTSET",
      .doc = "NOTSET: as pads says; VALID: none; SAME_UPPER, SAME_LOWER: ceil(extent / stride) windows" },
    { .name = "ceil_mode", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .doc = "1: a last window that is not whole counts" },
    { .name = "dilations", .type = TN_ATTR_INTS, .doc = "distance between taps; 1" },
    { .name = "kernel_shape", .type = TN_ATTR_INTS, .flags = TN_ATTR_REQUIRED, .doc = "extents of the window" },
    { .name = "pads", .type = TN_ATTR_INTS, .doc = "padding: all beginnings, then all ends; 0" },
    { .name = "storage_order", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT, .doc = "1: Indices count column-major" },
    { .name = "strides", .type = TN_ATTR_INTS, .doc = "step of the window; 1" },
};
static const tn_operator_def operators[] = {
    { .size = sizeof(tn_operator_def), .since = 22, .accepts_from = 1, .name = "MaxPool",
      .doc = "The largest element of each window.", .inputs = inputs, .input_count = 1, .outputs = outputs,
      .output_count = 2, .attributes = attributes, .attribute_count = 7, .infer = pool_infer, .cost = pool_cost,
      .window = pool_windows, .samplewise = pool_samplewise },
};
static const tn_kernel_def kernels[] = {
    { .size = sizeof(tn_kernel_def), .op = "MaxPool", .run = run, .types = T_MASK, .flags = TN_KERNEL_ANY_STEPS },
};

tn_status max_pool_register(tn_registrar *registrar)
{
    TN_TRY(registrar->add_operator(registrar, operators));
    return registrar->add_kernel(registrar, kernels);
}
