/* plugins/arithmetic/where.c: chooses between two inputs.
 *
 * ONNX: Where. X where the condition holds, else Y; the three broadcast. Elements are moved as
 * bytes, so one loop serves all types of a width.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    TN_TRY(ctx->call.host->broadcast(&ctx->call, ctx->inputs, 3, &ctx->outputs[0]));
    return elements_where(ctx);
}

static int is_true(uint32_t dtype, const void *data, int64_t i)
{
    return tn_get_int(dtype, data, i) != 0;
}

static int is_false(uint32_t dtype, const void *data, int64_t i)
{
    return tn_get_int(dtype, data, i) == 0;
}

/* Only where X (or Y) has the output's shape; constant_leaves looks at extents when the condition
 * has more than one element, but the other input could still spread it. */
static int whole(const tn_identity *query, uint32_t k)
{
    const tn_type *input = query->inputs[k], *output = query->outputs[0];
    if (!input || !output || input->rank < 0 || input->rank != output->rank)
        return 0;
    for (int32_t axis = 0; axis < input->rank; axis++) {
        if (input->dims[axis] != output->dims[axis] || input->dims[axis] == TN_DIM_UNKNOWN)
            return 0;
    }
    return 1;
}

static int32_t identity(const tn_identity *query)
{
    if (whole(query, 1) && constant_leaves(query, 0, 1, is_true))
        return 1;
    return whole(query, 2) && constant_leaves(query, 0, 2, is_false) ? 2 : -1;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct where_job {
    const uint8_t *condition;
    const void *x, *y;
    void *out;
    size_t width; /* bytes of an element */
} where_job;

/* Bytes of any element, wherever they lie: complex64 has the alignment of float. */
typedef uint16_t __attribute__((may_alias, aligned(1))) bytes_2;
typedef uint32_t __attribute__((may_alias, aligned(1))) bytes_4;
typedef uint64_t __attribute__((may_alias, aligned(1))) bytes_8;
typedef struct __attribute__((may_alias, aligned(1), packed)) bytes_16 {
    uint64_t half[2];
} bytes_16;

#define CHOOSE(name, type)                                                                         \
    static void name(const where_job *job, const int64_t *offsets, const int64_t *steps,           \
                     int64_t at, int64_t n)                                                        \
    {                                                                                              \
        const uint8_t *condition = job->condition + offsets[0];                                    \
        const type *x = (const type *)job->x + offsets[1], *y = (const type *)job->y + offsets[2]; \
        type *out = (type *)job->out + at;                                                         \
        if (steps[0] && steps[1] && steps[2]) {                                                    \
            INDEPENDENT for (int64_t i = 0; i < n; i++) out[i] = condition[i] ? x[i] : y[i];       \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = condition[i * steps[0]] ? x[i * steps[1]] : y[i * steps[2]];                  \
    }
CHOOSE(choose_1, uint8_t)
CHOOSE(choose_2, bytes_2)
CHOOSE(choose_4, bytes_4)
CHOOSE(choose_8, bytes_8)
CHOOSE(choose_16, bytes_16)

static void row(const void *user, const int64_t *offsets, const int64_t *steps, int64_t at,
                int64_t n)
{
    const where_job *job = user;
    switch (job->width) {
    case 1: choose_1(job, offsets, steps, at, n); break;
    case 2: choose_2(job, offsets, steps, at, n); break;
    case 4: choose_4(job, offsets, steps, at, n); break;
    case 8: choose_8(job, offsets, steps, at, n); break;
    default: choose_16(job, offsets, steps, at, n); break;
    }
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const where_job job = { ctx->inputs[0]->data, ctx->inputs[1]->data, ctx->inputs[2]->data,
                            ctx->outputs[0]->data, tn_dtype_bits(ctx->outputs[0]->dtype) / 8 };
    spread s;
    (void)state, (void)slot;
    spread_init(&s, ctx->outputs[0], ctx->inputs, 3);
    return spread_run(&ctx->call, &s, row, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define WHERE_TYPES (TN_MASK_NUMERIC | TN_MASK_COMPLEX | TN_BIT(TN_BOOL) | TN_BIT(TN_STRING))
static const tn_param_def inputs[] = {
    { "condition", "B", TN_BIT(TN_BOOL), 0, 0, "True chooses X." },
    { "X", "T", WHERE_TYPES, 0, 0, "Elements where the condition holds." },
    { "Y", "T", WHERE_TYPES, 0, 0, "Elements where it does not." },
};
static const tn_param_def outputs[] = { { "output", "T", WHERE_TYPES, 0, 0, "The choice." } };

tn_status where_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 16,
        .accepts_from = 9,
        .name = "Where",
        .doc = "X where the condition holds, else Y; the three broadcast.",
        .inputs = inputs,
        .input_count = 3,
        .outputs = outputs,
        .output_count = 1,
        .traits = TN_ELEMENTWISE | TN_MOVES_BYTES,
        .infer = infer,
        .identity = identity,
        .samplewise = broadcast_samplewise,
    };
    /* In place on X or Y, or on a bool condition: each element is read before it is written. */
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "Where",
                                   .run = run,
                                   .flags = TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
