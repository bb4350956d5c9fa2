/* plugins/arithmetic/elements.c: arithmetic on small integer tensors while types are inferred.
 *
 * In: numbers and expressions for the elements of the inputs. Out: the same for the output, so that
 * a shape computed by a graph (Shape, Gather, Mul, Concat, Reshape) is known with symbols.
 * What an expression cannot say exactly is left unknown.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

static int is_integral(uint32_t dtype)
{
    return (TN_BIT(dtype) & (TN_MASK_INTEGER | TN_BIT(TN_BOOL))) != 0;
}

/* A host tells the elements of int32 and int64; other constants are read here. */
int64_t elements_of(tn_infer *ctx, uint32_t k, tn_dim *out)
{
    const int64_t told = ctx->call.host->input_elements(&ctx->call, k, out, MAX_ELEMENTS);
    const tn_tensor *value = told < 0 ? ctx->call.host->input_value(&ctx->call, k) : NULL;
    if (!value)
        return told > MAX_ELEMENTS ? -1 : told;
    const int64_t count = tn_count(value);
    if (count > MAX_ELEMENTS || !is_integral(value->dtype))
        return -1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t number = tn_get_int(value->dtype, value->data, i);
        const int wide = value->dtype == TN_UINT64 && number < 0; /* beyond int64 */
        out[i] = tn_dim_known(number) && !wide ? number : TN_DIM_UNKNOWN;
    }
    return count;
}

static tn_dim op(tn_infer *ctx, uint32_t which, tn_dim a, tn_dim b)
{
    return ctx->call.host->dim_op(&ctx->call, which, a, b);
}

static int not_negative(tn_infer *ctx, tn_dim a)
{
    if (tn_dim_known(a))
        return a >= 0;
    return ctx->call.host->dim_equal(&ctx->call, op(ctx, TN_DIM_MAX, a, 0), a) == TN_YES;
}

/* Truncated towards zero, as Div is: that is floordiv only from zero on; else the two signs are
 * taken apart. */
static tn_dim quotient(tn_infer *ctx, tn_dim a, tn_dim b)
{
    if (tn_dim_known(a) && tn_dim_known(b))
        return b == 0 ? 0 : a / b; /* numbers are far from INT64_MIN */
    if (not_negative(ctx, a) && not_negative(ctx, b))
        return op(ctx, TN_DIM_FLOORDIV, a, b);
    if (!tn_dim_known(b) || b <= 0)
        return TN_DIM_UNKNOWN;
    const tn_dim up = op(ctx, TN_DIM_MAX, a, 0);
    const tn_dim down = op(ctx, TN_DIM_MAX, op(ctx, TN_DIM_SUB, 0, a), 0);
    return op(ctx, TN_DIM_SUB, op(ctx, TN_DIM_FLOORDIV, up, b), op(ctx, TN_DIM_FLOORDIV, down, b));
}

/* Both kinds of Mod agree where nothing is negative. */
static tn_dim rest(tn_infer *ctx, tn_dim a, tn_dim b)
{
    if (tn_dim_known(b) && b == 0)
        return 0;
    if (!not_negative(ctx, a) || !not_negative(ctx, b))
        return TN_DIM_UNKNOWN;
    return op(ctx, TN_DIM_MOD, a, b);
}

static tn_dim truth(uint32_t answer)
{
    return answer == TN_MAYBE ? TN_DIM_UNKNOWN : answer == TN_YES;
}

static tn_dim ordered(tn_dim a, tn_dim b, int less, int equal, int greater)
{
    if (!tn_dim_known(a) || !tn_dim_known(b))
        return TN_DIM_UNKNOWN;
    return a < b ? less : a == b ? equal : greater;
}

static tn_dim combine(tn_infer *ctx, const char *name, tn_dim a, tn_dim b)
{
    static const struct {
        const char *name;
        uint32_t op;
    } plain[] = {
        { "Add", TN_DIM_ADD }, { "Sum", TN_DIM_ADD }, { "Sub", TN_DIM_SUB },
        { "Mul", TN_DIM_MUL }, { "Min", TN_DIM_MIN }, { "Max", TN_DIM_MAX },
    };
    static const struct {
        const char *name;
        int less, equal, greater;
    } orders[] = {
        { "Greater", 0, 0, 1 },
        { "GreaterOrEqual", 0, 1, 1 },
        { "Less", 1, 0, 0 },
        { "LessOrEqual", 1, 1, 0 },
    };
    if (a == TN_DIM_UNKNOWN || b == TN_DIM_UNKNOWN)
        return TN_DIM_UNKNOWN;
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++) {
        if (strcmp(name, plain[k].name) == 0)
            return op(ctx, plain[k].op, a, b);
    }
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        if (strcmp(name, orders[k].name) == 0)
            return ordered(a, b, orders[k].less, orders[k].equal, orders[k].greater);
    }
    if (strcmp(name, "Div") == 0)
        return quotient(ctx, a, b);
    if (strcmp(name, "Mod") == 0)
        return rest(ctx, a, b);
    if (strcmp(name, "Equal") == 0)
        return truth(ctx->call.host->dim_equal(&ctx->call, a, b));
    return TN_DIM_UNKNOWN;
}

/* Elements of output 0; -1 where its shape is not known, or too large. */
static int64_t output_count(const tn_infer *ctx)
{
    const tn_type *out = &ctx->outputs[0];
    int64_t count = 1;
    if (out->rank < 0)
        return -1;
    for (int32_t axis = 0; axis < out->rank; axis++) {
        const tn_dim extent = out->dims[axis];
        if (!tn_dim_known(extent) || extent < 0 || extent > MAX_ELEMENTS)
            return -1;
        count *= extent;
        if (count > MAX_ELEMENTS)
            return -1;
    }
    return count;
}

/* What does not fit the type wraps around when it runs. */
static tn_dim in_range(uint32_t dtype, tn_dim value)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    if (!tn_dim_known(value) || bits == 64)
        return value;
    const int64_t top = INT64_C(1) << (tn_dtype_is_signed(dtype) ? bits - 1 : bits);
    const int64_t bottom = tn_dtype_is_signed(dtype) ? -top : 0;
    return value < bottom || value >= top ? TN_DIM_UNKNOWN : value;
}

/* A host may keep elements of bool too; when it does not, nothing is lost. */
static tn_status tell(tn_infer *ctx, tn_dim *elements, int64_t count)
{
    const uint32_t dtype = ctx->outputs[0].dtype;
    for (int64_t i = 0; i < count; i++)
        elements[i] = in_range(dtype, elements[i]);
    const tn_status status = ctx->call.host->output_elements(&ctx->call, 0, elements, count);
    return dtype == TN_BOOL ? TN_OK : status;
}

/* Operands that hold one element repeat; others must have as many as the output, and then lie in
 * its order. */
static int spreads(int64_t own, int64_t count)
{
    return own == 1 || own == count;
}

tn_status elements_binary(tn_infer *ctx)
{
    tn_dim sum[MAX_ELEMENTS], next[MAX_ELEMENTS];
    const int64_t count = output_count(ctx);
    if (count < 0 || !is_integral(ctx->outputs[0].dtype))
        return TN_OK;
    const int64_t first = elements_of(ctx, 0, sum);
    if (first < 0 || !spreads(first, count))
        return TN_OK;
    for (int64_t i = first == 1 ? 1 : count; i < count; i++)
        sum[i] = sum[0];
    for (uint32_t k = 1; k < ctx->input_count; k++) {
        const int64_t own = elements_of(ctx, k, next);
        if (own < 0 || !spreads(own, count))
            return TN_OK;
        for (int64_t i = 0; i < count; i++)
            sum[i] = combine(ctx, ctx->node->op, sum[i], next[own == 1 ? 0 : i]);
    }
    return tell(ctx, sum, count);
}

tn_status elements_where(tn_infer *ctx)
{
    tn_dim operands[3][MAX_ELEMENTS], result[MAX_ELEMENTS];
    int64_t counts[3];
    const int64_t count = output_count(ctx);
    if (count < 0 || !(TN_BIT(ctx->outputs[0].dtype) & TN_MASK_INTEGER))
        return TN_OK;
    for (uint32_t k = 0; k < 3; k++) {
        counts[k] = elements_of(ctx, k, operands[k]);
        if (counts[k] < 0 || !spreads(counts[k], count))
            return TN_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        const tn_dim condition = operands[0][counts[0] == 1 ? 0 : i];
        const tn_dim x = operands[1][counts[1] == 1 ? 0 : i];
        const tn_dim y = operands[2][counts[2] == 1 ? 0 : i];
        if (tn_dim_known(condition))
            result[i] = condition ? x : y;
        else
            result[i] = x == y ? x : TN_DIM_UNKNOWN;
    }
    return tell(ctx, result, count);
}
