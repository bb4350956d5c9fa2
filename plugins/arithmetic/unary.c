/* plugins/arithmetic/unary.c: arithmetic of one input.
 *
 * ONNX: Abs, Neg, Sign, Floor, Ceil, Round, Sqrt, Reciprocal, Exp, Log, Erf, Not,
 * BitwiseNot. Transcendental
 * functions are computed in double and rounded once; what IEEE rounds correctly is done in the
 * type itself. Integers wrap around: the lowest one is its own absolute value.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- arithmetic ------------------------------------------------------------------------- */

static inline int64_t negated(int64_t x)
{
    return (int64_t)(0 - (uint64_t)x);
}

DOUBLES(abs, fabs(x))
FLOATS(abs, fabsf(x))
INTS(abs, is_signed &&x < 0 ? negated(x) : x)
DOUBLES(neg, -x)
FLOATS(neg, -x)
INTS(neg, negated(x))
DOUBLES(sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x)
INTS(sign, x == 0 ? 0 : is_signed && x < 0 ? -1 : 1)
DOUBLES(floor, floor(x))
FLOATS(floor, floorf(x))
DOUBLES(ceil, ceil(x))
FLOATS(ceil, ceilf(x))
/* To even from the middle: an exact function of its own, so that no rounding mode matters. */
static inline double to_even(double x)
{
    const double near = round(x);
    return fabs(x - trunc(x)) == 0.5 ? 2.0 * round(x / 2.0) : near;
}
DOUBLES(round, to_even(x))
DOUBLES(sqrt, sqrt(x))
FLOATS(sqrt, sqrtf(x))
DOUBLES(reciprocal, 1.0 / x)
FLOATS(reciprocal, 1.0f / x)
DOUBLES(exp, exp(x))
DOUBLES(log, log(x))
DOUBLES(erf, erf(x))
INTS(not, x == 0)
INTS(bitwise_not, ~x)

/* ---- inference -------------------------------------------------------------------------- */

static tn_status infer(tn_infer *ctx)
{
    tn_dim elements[MAX_ELEMENTS];
    TN_TRY(tn_infer_same(ctx, 0, 0));
    if (strcmp(ctx->node->op, "Neg") != 0 || tn_dtype_is_float(ctx->outputs[0].dtype))
        return TN_OK;
    const int64_t count = elements_of(ctx, 0, elements);
    for (int64_t i = 0; i < count; i++)
        elements[i] = tn_dim_sub(ctx, 0, elements[i]);
    return count < 0 ? TN_OK : ctx->call.host->output_elements(&ctx->call, 0, elements, count);
}

static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    if (!ctx->inputs[0] || ctx->inputs[0]->rank < 1)
        return TN_NO_MATCH;
    input_axes[0] = output_axes[0] = 0;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct unary_job {
    const unary *row;
    const tn_tensor *x;
    tn_tensor *y;
} unary_job;

static void through_doubles(const unary_job *job, int64_t begin, int64_t end)
{
    double block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_doubles(job->x->dtype, job->x->data, i, n, block);
        job->row->doubles(block, n);
        store_doubles(job->y->dtype, job->y->data, i, n, block);
    }
}

static void through_ints(const unary_job *job, int64_t begin, int64_t end)
{
    int64_t block[BLOCK];
    for (int64_t i = begin; i < end; i += BLOCK) {
        const int64_t n = end - i < BLOCK ? end - i : BLOCK;
        load_ints(job->x->dtype, job->x->data, i, n, block);
        job->row->ints(block, n, tn_dtype_is_signed(job->x->dtype));
        store_ints(job->y->dtype, job->y->data, i, n, block);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const unary_job *job = user;
    (void)thread;
    if (!tn_dtype_is_float(job->x->dtype))
        through_ints(job, begin, end);
    else if (job->x->dtype == TN_FLOAT32 && job->row->floats)
        job->row->floats((const float *)job->x->data + begin, (float *)job->y->data + begin,
                         end - begin);
    else
        through_doubles(job, begin, end);
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    unary_job job = { ctx->call.user, ctx->inputs[0], ctx->outputs[0] };
    const int64_t bits = tn_dtype_bits(job.x->dtype);
    /* A private layout may have more places than the shape has elements. */
    const int64_t count = job.x->layout == TN_LAYOUT_PLAIN ? tn_count(job.x)
                                                           : (int64_t)job.x->bytes * 8 / bits;
    (void)state, (void)slot;
    return ctx->call.host->parallel_for(&ctx->call, count, 4096, chunk, &job);
}

/* ---- tables ----------------------------------------------------------------------------- */

#define PARAM(id, name, types, text)                                                               \
    static const tn_param_def id[] = { { name, "T", types, 0, 0, text } };
const tn_param_def unary_x[1] = { { "X", "T", TN_MASK_FLOAT, 0, 0, "Any shape." } };
const tn_param_def unary_y[1] = { { "Y", "T", TN_MASK_FLOAT, 0, 0, "The shape of X." } };
const tn_param_def unary_input[1] = { { "input", "T", TN_MASK_FLOAT, 0, 0, "Any shape." } };
const tn_param_def unary_output[1] = { { "output", "T", TN_MASK_FLOAT, 0, 0,
                                         "The shape of the input." } };
PARAM(numeric_x, "X", TN_MASK_NUMERIC, "Any shape.")
PARAM(numeric_y, "Y", TN_MASK_NUMERIC, "The shape of X.")
PARAM(numeric_input, "input", TN_MASK_NUMERIC, "Any shape.")
PARAM(numeric_output, "output", TN_MASK_NUMERIC, "The shape of the input.")
PARAM(signed_x, "X", TN_MASK_FLOAT | TN_MASK_SIGNED, "Any shape.")
PARAM(signed_y, "Y", TN_MASK_FLOAT | TN_MASK_SIGNED, "The shape of X.")
PARAM(integer_x, "X", TN_MASK_INTEGER, "Any shape.")
PARAM(integer_y, "Y", TN_MASK_INTEGER, "The shape of X.")
PARAM(bool_x, "X", TN_BIT(TN_BOOL), "Any shape.")
PARAM(bool_y, "Y", TN_BIT(TN_BOOL), "The shape of X.")

#define FLOAT_XY .input = unary_x, .output = unary_y
#define FLOAT_IO .input = unary_input, .output = unary_output
static const unary rows[] = {
    { .name = "Abs",
      .since = 13,
      .accepts_from = 6,
      .input = numeric_x,
      .output = numeric_y,
      .doc = "The absolute value.",
      .doubles = abs_doubles,
      .floats = abs_floats,
      .ints = abs_ints },
    { .name = "Neg",
      .since = 13,
      .accepts_from = 6,
      .input = signed_x,
      .output = signed_y,
      .doc = "-x.",
      .doubles = neg_doubles,
      .floats = neg_floats,
      .ints = neg_ints },
    { .name = "Sign",
      .since = 13,
      .accepts_from = 9,
      .input = numeric_input,
      .output = numeric_output,
      .doc = "1, 0 or -1. NaN stays NaN.",
      .doubles = sign_doubles,
      .ints = sign_ints },
    { .name = "Floor",
      .since = 13,
      .accepts_from = 6,
      FLOAT_XY,
      .doc = "The largest integer not above x.",
      .doubles = floor_doubles,
      .floats = floor_floats },
    { .name = "Ceil",
      .since = 13,
      .accepts_from = 6,
      FLOAT_XY,
      .doc = "The smallest integer not below x.",
      .doubles = ceil_doubles,
      .floats = ceil_floats },
    { .name = "Round",
      .since = 22,
      .accepts_from = 11,
      FLOAT_XY,
      .doc = "The nearest integer, the even one from the middle.",
      .doubles = round_doubles },
    { .name = "Sqrt",
      .since = 13,
      .accepts_from = 6,
      FLOAT_XY,
      .doc = "The square root; NaN below zero.",
      .doubles = sqrt_doubles,
      .floats = sqrt_floats },
    { .name = "Reciprocal",
      .since = 13,
      .accepts_from = 6,
      FLOAT_XY,
      .doc = "1 / x.",
      .doubles = reciprocal_doubles,
      .floats = reciprocal_floats },
    { .name = "Exp",
      .since = 13,
      .accepts_from = 6,
      FLOAT_IO,
      .doc = "e to the power x.",
      .doubles = exp_doubles },
    { .name = "Log",
      .since = 13,
      .accepts_from = 6,
      FLOAT_IO,
      .doc = "The natural logarithm.",
      .doubles = log_doubles },
    { .name = "Erf",
      .since = 13,
      .accepts_from = 13,
      FLOAT_IO,
      .doc = "The error function.",
      .doubles = erf_doubles },
    { .name = "Not",
      .since = 1,
      .accepts_from = 1,
      .input = bool_x,
      .output = bool_y,
      .doc = "Whether x is false.",
      .ints = not_ints },
    { .name = "BitwiseNot",
      .since = 18,
      .accepts_from = 18,
      .input = integer_x,
      .output = integer_y,
      .doc = "Each bit of x turned.",
      .ints = bitwise_not_ints },
};

/* ---- Erf of set 9 also took integers; its result, an integer too, is truncated ----------- */

static tn_status erf_upgrade(tn_rewrite *ctx, tn_node_id node)
{
    (void)node;
    return tn_fail(ctx, TN_KEEP, "whether the input is an integer is told by inference");
}

static tn_status erf_expand(tn_rewrite *ctx, tn_node_id node)
{
    tn_edit e = tn_edit_node(ctx, node);
    const tn_value_id x = tn_edit_input(&e, 0);
    const uint32_t dtype = tn_edit_type(&e, x)->dtype;
    if (dtype == TN_UNDEFINED || tn_dtype_is_float(dtype))
        return tn_edit_renew(&e);
    const tn_value_id real = tn_put_with(&e, "Cast", x, TN_NONE, "to", TN_FLOAT64);
    const tn_value_id y = tn_put(&e, "Erf", real, TN_NONE, TN_NONE, NULL);
    return tn_edit_give(&e, tn_put_with(&e, "Cast", y, TN_NONE, "to", dtype));
}

static tn_status erf_add_old(tn_registrar *registrar, const tn_operator_def *newest)
{
    tn_operator_def old = tn_old_version(newest, 9, 9);
    old.inputs = numeric_input;
    old.outputs = numeric_output;
    old.infer = infer;
    old.expand = erf_expand;
    return registrar->add_operator(registrar, &old);
}

static tn_status add(tn_registrar *registrar, const unary *row)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = row->since,
        .accepts_from = row->accepts_from,
        .name = row->name,
        .doc = row->doc,
        .inputs = row->input,
        .input_count = 1,
        .outputs = row->output,
        .output_count = 1,
        .traits = TN_ELEMENTWISE,
        .infer = infer,
        .samplewise = samplewise,
        .upgrade = row->accepts_from == 6        ? tn_upgrade_consumed
                   : row->doubles == erf_doubles ? erf_upgrade
                                                 : NULL,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel,
        .op = row->name,
        .run = run,
        .user = (void *)row,
        .flags = TN_KERNEL_ANY_LAYOUT | TN_KERNEL_IN_PLACE | TN_KERNEL_ANY_STEPS,
    };
    if (row->accepts_from == 6)
        TN_TRY(legacy_add_consumed(registrar, &op));
    if (op.upgrade == erf_upgrade)
        TN_TRY(erf_add_old(registrar, &op));
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}

tn_status unary_add(tn_registrar *registrar, const unary *table, size_t count)
{
    for (size_t k = 0; k < count; k++)
        TN_TRY(add(registrar, &table[k]));
    return TN_OK;
}

tn_status arithmetic_unary_register(tn_registrar *registrar)
{
    return unary_add(registrar, rows, sizeof rows / sizeof *rows);
}
