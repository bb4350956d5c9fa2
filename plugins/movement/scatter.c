/* plugins/movement/scatter.c: what ScatterElements, ScatterND and TensorScatter share: the
 * reduction, and an output that starts as a copy of input 0.
 *
 * ONNX: ScatterElements, ScatterND, attribute reduction. A reduction rounds after each update,
 * since the updates of one place follow each other; max and min of NaN is NaN, as in Max and Min.
 * Of bools, add is "or" and mul is "and".
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

/* ---- reduction -------------------------------------------------------------------------- */

int scatter_reduction(const tn_node_view *node)
{
    static const char *const names[] = { "none", "add", "mul", "max", "min" };
    const char *name = tn_attr_string(node, "reduction", "none");
    int reduction = SCATTER_NONE;
    while (reduction < SCATTER_UNKNOWN && strcmp(name, names[reduction]) != 0)
        reduction++;
    return reduction;
}

int scatter_check(tn_infer *ctx)
{
    const int reduction = scatter_reduction(ctx->node);
    const char *name = tn_attr_string(ctx->node, "reduction", "none");
    const tn_type *data = ctx->inputs[0];
    const uint64_t type = data ? TN_BIT(data->dtype) : 0;
    const uint64_t cannot = TN_BIT(TN_STRING) | (reduction >= SCATTER_MAX ? TN_MASK_COMPLEX : 0);
    if (reduction == SCATTER_UNKNOWN)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "reduction",
                                 "reduction is '%s': expected none, add, mul, max or min", name);
    else if (reduction != SCATTER_NONE && type & cannot)
        ctx->call.host->complain(&ctx->call, TN_ERR_TYPE, TN_WHERE_ATTRIBUTE, 0, "reduction",
                                 "reduction '%s' is not defined for %s elements", name,
                                 data->dtype == TN_STRING ? "string" : "complex");
    else
        return 1;
    return 0;
}

static double fold_double(int reduction, double a, double b)
{
    switch (reduction) {
    case SCATTER_ADD: return a + b;
    case SCATTER_MUL: return a * b;
    case SCATTER_MAX: return isnan(a) || a > b ? a : b;
    default: return isnan(a) || a < b ? a : b;
    }
}

/* Wraps around as the type does; `is_unsigned` is for uint64, whose bits the int64_t holds. */
static int64_t fold_int(int reduction, int64_t a, int64_t b, int is_unsigned)
{
    const int less = is_unsigned ? (uint64_t)a < (uint64_t)b : a < b;
    switch (reduction) {
    case SCATTER_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case SCATTER_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
    case SCATTER_MAX: return less ? b : a;
    default: return less ? a : b;
    }
}

#define FOLD_COMPLEX(name, type)                                                                   \
    static void name(int reduction, type *a, const type *b, int64_t n)                             \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++, a += 2, b += 2) {                                          \
            const double re = reduction == SCATTER_ADD                                             \
                                  ? (double)a[0] + (double)b[0]                                    \
                                  : (double)a[0] * (double)b[0] - (double)a[1] * (double)b[1];     \
            const double im = reduction == SCATTER_ADD                                             \
                                  ? (double)a[1] + (double)b[1]                                    \
                                  : (double)a[0] * (double)b[1] + (double)a[1] * (double)b[0];     \
            a[0] = (type)re, a[1] = (type)im;                                                      \
        }                                                                                          \
    }
FOLD_COMPLEX(fold_complex64, float)
FOLD_COMPLEX(fold_complex128, double)

void scatter_combine(int reduction, uint32_t dtype, void *out, int64_t at, const void *updates,
                     int64_t from, int64_t n)
{
    if (reduction == SCATTER_NONE) {
        const size_t width = tn_dtype_bits(dtype) / 8;
        memcpy((char *)out + (size_t)at * width, (const char *)updates + (size_t)from * width,
               (size_t)n * width);
    } else if (dtype == TN_FLOAT32 && reduction == SCATTER_ADD) {
        float *a = (float *)out + at;
        const float *b = (const float *)updates + from;
        for (int64_t i = 0; i < n; i++)
            a[i] += b[i];
    } else if (dtype == TN_COMPLEX64) {
        fold_complex64(reduction, (float *)out + 2 * at, (const float *)updates + 2 * from, n);
    } else if (dtype == TN_COMPLEX128) {
        fold_complex128(reduction, (double *)out + 2 * at, (const double *)updates + 2 * from, n);
    } else if (tn_dtype_is_float(dtype)) {
        for (int64_t i = 0; i < n; i++)
            tn_set_float(dtype, out, at + i,
                         fold_double(reduction, tn_get_double(dtype, out, at + i),
                                     tn_get_double(dtype, updates, from + i)));
    } else {
        for (int64_t i = 0; i < n; i++)
            tn_set_int(dtype, out, at + i,
                       fold_int(reduction, tn_get_int(dtype, out, at + i),
                                tn_get_int(dtype, updates, from + i), dtype == TN_UINT64));
    }
}

/* ---- an output that starts as input 0 ------------------------------------------------------ */

tn_status scatter_vector(tn_infer *ctx)
{
    tn_dim all[MOVE_ELEMENTS], indices[MOVE_ELEMENTS], updates[MOVE_ELEMENTS];
    const int64_t extent = move_elements(ctx, 0, all), count = move_elements(ctx, 1, indices);
    if (extent < 0 || count < 0 || move_elements(ctx, 2, updates) != count)
        return TN_OK;
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = tn_dim_known(indices[i]) ? move_wrap(indices[i], extent) : -1;
        if (at < 0)
            return TN_OK; /* any of them may be replaced */
        all[at] = updates[i];
    }
    return ctx->call.host->output_elements(&ctx->call, 0, all, extent);
}

/* Two ways: the host makes the copy, or takes input 0's place without one; or, where shapes come
 * late and it cannot, the kernel copies. */
tn_status scatter_measure(tn_measure *ctx, void *state)
{
    (void)state;
    ctx->alternative_count = 2;
    ctx->alternatives[0].output_aliases[0] = (tn_alias){ TN_ALIAS_STARTS_AS, 0 };
    return TN_OK;
}

tn_status scatter_prepare(tn_prepare *ctx, void *state)
{
    ((scatter_state *)state)->copied = ctx->chosen_index == 0;
    return TN_OK;
}

typedef struct copy_job {
    char *to;
    const char *from;
} copy_job;

static tn_status copy_chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const copy_job *job = user;
    (void)thread;
    memcpy(job->to + begin, job->from + begin, (size_t)(end - begin));
    return TN_OK;
}

tn_status scatter_start(tn_run *ctx, const void *state)
{
    const copy_job job = { ctx->outputs[0]->data, ctx->inputs[0]->data };
    const size_t bytes = tn_dtype_bytes(ctx->outputs[0]->dtype, tn_count(ctx->outputs[0]));
    if (((const scatter_state *)state)->copied || bytes == 0 || job.to == job.from)
        return TN_OK;
    return ctx->call.host->parallel_for(&ctx->call, (int64_t)bytes, 1 << 20, copy_chunk,
                                        (void *)(uintptr_t)&job);
}
