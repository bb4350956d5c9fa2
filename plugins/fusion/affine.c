/* plugins/fusion/affine.c: y = f*x + s for each channel, into the linear node before or behind it.
 *
 * Behind a Conv, ConvTranspose, Gemm or MatMul, f goes into the weights of each output channel and
 * f*bias + s becomes the bias. Before one, f goes into the weights of each input channel and the
 * sum of s*w over the inputs into the bias; where some sums leave inputs out (padding adds zeros
 * behind the shift, not before it), only if every s is 0. New constants are computed in double and
 * rounded once; old ones stay as they are, others may read them.
 *
 * Exact but for rounding. What happens to special values, case by case:
 *  - x infinite or NaN: an infinity keeps its way through f*(w*x) and through (f*w)*x, since f*w
 *    has the sign of both and is not 0 unless f or w is; infinity times a zero weight is NaN in
 *    both.
 *  - f = 0: f*z is 0 for finite z and NaN else; with weights 0 a finite x gives 0, an infinite
 *    one NaN. The same, but that z may overflow from finite x where the folded sum does not.
 *  - f*w rounds to 0 though neither is: then an infinity would become NaN. Refused in strict
 *    math; otherwise what is lost is below the smallest number of the type.
 *  - weights, bias, f, s or a new constant not finite: refused.
 *  - overflow between the two nodes (float16): the folded form has none there. It answers numbers
 *    where the other answers infinities.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The map, and what is to replace the constants of the linear node. */
typedef struct fold {
    affine *map;
    double *sums;         /* [bias_rows * outs] the new bias */
    void *weights, *bias; /* rounded */
    int scales, shifts;   /* some factor is not 1, some shift not 0 */
    int has_bias;         /* the new bias is not all zero, or the old one was there */
} fold;

static void fold_fini(fold *f)
{
    free(f->sums);
    free(f->weights);
    free(f->bias);
    free(f->map->factor);
    f->map->factor = NULL;
}

tn_status affine_refuse(affine *map, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(map->why, sizeof map->why, format, arguments);
    va_end(arguments);
    return TN_NO_MATCH;
}

tn_status affine_allocate(tn_rewrite *ctx, affine *map, int64_t channels)
{
    map->channels = channels;
    map->factor = malloc((size_t)channels * 2 * sizeof *map->factor + 1);
    if (!map->factor)
        return tn_fail(ctx, TN_ERR_MEMORY, "no memory for the factors of %" PRId64 " channels",
                       channels);
    map->shift = map->factor + channels;
    return TN_OK;
}

/* ---- new constants ------------------------------------------------------------------------ */

enum { NOT_FINITE = 1, OVERFLOWS = 2, VANISHES = 4 };

/* Weights [begin, begin + count) times a factor; answers what is wrong with them. `sum`: of the old
 * ones. float32 has a loop of its own: nearly all weights are. */
static int scale_range(const tn_tensor *from, void *to, int64_t begin, int64_t count, double factor,
                       double *sum)
{
    int wrong = 0;
    *sum = 0.0;
    for (int64_t k = begin; k < begin + count; k++) {
        double w, exact, kept;
        if (from->dtype == TN_FLOAT32) {
            w = (double)((const float *)from->data)[k];
            exact = w * factor;
            ((float *)to)[k] = (float)exact;
            kept = (double)((const float *)to)[k];
        } else {
            w = tn_get_double(from->dtype, from->data, k);
            exact = w * factor;
            tn_set_float(from->dtype, to, k, exact);
            kept = tn_get_double(from->dtype, to, k);
        }
        *sum += w;
        wrong |= (isfinite(w) ? 0 : NOT_FINITE) | (isfinite(kept) ? 0 : OVERFLOWS) |
                 (kept == 0.0 && exact != 0.0 ? VANISHES : 0);
    }
    return wrong;
}

static tn_status judge(const tn_rewrite *ctx, fold *f, int wrong)
{
    if (wrong & NOT_FINITE)
        return affine_refuse(f->map, "a weight is not finite");
    if (wrong & OVERFLOWS)
        return affine_refuse(f->map, "a new weight would overflow");
    if ((wrong & VANISHES) && ctx->math == TN_MATH_STRICT)
        return affine_refuse(f->map,
                             "a new weight would round to zero, and an infinity become NaN");
    return TN_OK;
}

/* The old bias, with Gemm's beta, spread to [bias_rows][outs]. */
static double old_bias(const linear *l, int64_t row, int64_t out)
{
    const tn_tensor *bias = l->bias;
    const int64_t columns = bias && bias->rank ? bias->dims[bias->rank - 1] : 1;
    if (!bias)
        return 0.0;
    return l->beta *
           tn_get_double(bias->dtype, bias->data, row * columns + (columns == 1 ? 0 : out));
}

static tn_status allocate(tn_rewrite *ctx, const linear *l, fold *f)
{
    const int64_t cells = l->bias_rows * l->outs;
    f->sums = calloc((size_t)cells + 1, sizeof *f->sums);
    f->weights = malloc(l->weights->bytes + 1);
    f->bias = malloc(tn_dtype_bytes(l->weights->dtype, cells) + 1);
    if (!f->sums || !f->weights || !f->bias)
        return tn_fail(ctx, TN_ERR_MEMORY, "no memory for new weights of %s", l->name);
    for (int64_t row = 0; row < l->bias_rows; row++)
        for (int64_t out = 0; out < l->outs; out++)
            f->sums[row * l->outs + out] = old_bias(l, row, out);
    return TN_OK;
}

/* Weights times the factor of their channel; before the node, what the shifts add to the sums. */
static tn_status scale_weights(tn_rewrite *ctx, const linear *l, fold *f, int before)
{
    int wrong = 0;
    for (int64_t a = 0; a < l->a; a++)
        for (int64_t b = 0; b < l->b; b++) {
            const int64_t out = linear_out(l, a, b), channel = before ? linear_in(l, a, b) : out;
            double sum;
            wrong |= scale_range(l->weights, f->weights, (a * l->b + b) * l->inner, l->inner,
                                 f->map->factor[channel], &sum);
            for (int64_t row = 0; before && row < l->bias_rows; row++)
                f->sums[row * l->outs + out] += l->alpha * sum * f->map->shift[channel];
        }
    return judge(ctx, f, wrong);
}

static tn_status make_bias(const linear *l, fold *f, int before)
{
    f->has_bias = l->bias != NULL;
    for (int64_t k = 0; k < l->bias_rows * l->outs; k++) {
        double *sum = &f->sums[k];
        if (!isfinite(*sum))
            return affine_refuse(f->map, "the bias is not finite");
        if (!before)
            *sum = *sum * f->map->factor[k % l->outs] + f->map->shift[k % l->outs];
        /* A bias that rounds to zero loses no infinity: it is added, not multiplied. */
        tn_set_float(l->weights->dtype, f->bias, k, *sum);
        if (!isfinite(tn_get_double(l->weights->dtype, f->bias, k)))
            return affine_refuse(f->map, "a new bias would overflow");
        f->has_bias = f->has_bias || *sum != 0.0;
    }
    return TN_OK;
}

static tn_status compute(tn_rewrite *ctx, const linear *l, fold *f, int before)
{
    for (int64_t k = 0; k < f->map->channels; k++) {
        f->scales = f->scales || f->map->factor[k] != 1.0;
        f->shifts = f->shifts || f->map->shift[k] != 0.0;
        if (!isfinite(f->map->factor[k]) || !isfinite(f->map->shift[k]))
            return affine_refuse(f->map, "%s", f->map->not_finite);
    }
    if (f->shifts && l->any_rank)
        return TN_NO_MATCH; /* the sum becomes an epilogue of the product when nodes are placed */
    TN_TRY(allocate(ctx, l, f));
    if (f->scales || (before && f->shifts))
        TN_TRY(scale_weights(ctx, l, f, before));
    return make_bias(l, f, before);
}

/* ---- the rewrite -------------------------------------------------------------------------- */

static tn_status put_bias(tn_rewrite *ctx, const linear *l, const fold *f)
{
    const tn_attribute one = {
        .size = sizeof one, .type = TN_ATTR_FLOAT, .name = "beta", .f = 1.0
    };
    const int64_t dims[2] = { l->bias_rows, l->outs };
    const int matrix = l->bias_rows > 1;
    const tn_tensor bias = { .size = sizeof bias,
                             .dtype = l->weights->dtype,
                             .rank = 1 + matrix,
                             .dims = matrix ? dims : dims + 1,
                             .data = f->bias,
                             .bytes = tn_dtype_bytes(l->weights->dtype, l->bias_rows * l->outs) };
    tn_value_id value;
    TN_TRY(fusion_add_constant(ctx, l->region, &bias, l->name, "bias", &value));
    if (strcmp(l->op, "MatMul") == 0)
        TN_TRY(ctx->api->set_operator(ctx->graph, l->id, "", "Gemm"));
    if (strcmp(l->op, "Gemm") == 0)
        TN_TRY(ctx->api->set_attribute(ctx->graph, l->id, &one));
    return ctx->api->set_input(ctx->graph, l->id, 2, value);
}

static tn_status rewrite(tn_rewrite *ctx, const linear *l, const fold *f, int before)
{
    const affine *map = f->map;
    tn_tensor weights = *l->weights;
    tn_value_id value;
    weights.data = f->weights;
    weights.size = sizeof weights;
    if (f->has_bias && (f->scales || f->shifts))
        TN_TRY(put_bias(ctx, l, f));
    if (f->scales) {
        TN_TRY(fusion_add_constant(ctx, l->region, &weights, l->weights_name, map->name, &value));
        TN_TRY(ctx->api->set_input(ctx->graph, l->id, 1, value));
    }
    if (before)
        TN_TRY(ctx->api->set_input(ctx->graph, l->id, 0, map->x));
    else
        TN_TRY(
            ctx->api->replace(ctx->graph, map->y, ctx->api->node(ctx->graph, l->id)->outputs[0]));
    TN_TRY(ctx->api->remove_node(ctx->graph, map->id));
    return tn_fail(ctx, TN_OK, "%s folded into %s", map->name, l->name);
}

/* ---- where it may go ---------------------------------------------------------------------- */

/* Gemm has added its bias by numpy's rules since operator set 7. */
static int may_be_gemm(tn_rewrite *ctx)
{
    const char *domain;
    int64_t version = 0;
    for (uint32_t k = 0; (domain = ctx->api->opset(ctx->graph, k, &version)) != NULL; k++)
        if (!*domain)
            return version >= 7;
    return 1;
}

/* Behind the linear node, which makes what the map reads. */
static tn_status check_behind(tn_rewrite *ctx, const linear *l, affine *map)
{
    char what[64];
    snprintf(what, sizeof what, "%s's output", l->op);
    return fusion_is_single(ctx, map->x, map->id, what, map->why) ? TN_OK : TN_NO_MATCH;
}

/* Before the linear node, which reads what the map makes. */
static tn_status check_before(tn_rewrite *ctx, const linear *l, affine *map)
{
    char what[64];
    snprintf(what, sizeof what, "%s's output", map->what);
    if (!fusion_is_single(ctx, map->y, l->id, what, map->why))
        return TN_NO_MATCH;
    if (l->turned)
        return affine_refuse(
            map, "Gemm transposes the input, so that its channels are rows of the answer");
    for (int64_t k = 0; l->borders && k < map->channels; k++)
        if (map->shift[k] != 0.0)
            return affine_refuse(
                map, strcmp(l->op, "Conv") == 0
                         ? "Conv pads its input with zeros, which the shift would not reach"
                         : "ConvTranspose sums other taps at each place");
    return TN_OK;
}

static tn_status try_fold(tn_rewrite *ctx, tn_node_id partner, fold *f, int before)
{
    affine *map = f->map;
    linear l = { 0 };
    if (ctx->api->node(ctx->graph, partner)->region != ctx->api->node(ctx->graph, map->id)->region)
        return affine_refuse(map, "it stands in another body");
    TN_TRY(linear_read(ctx, partner, &l, map->why));
    TN_TRY(map->read(ctx, map, &l, before));
    if (map->channels != (before ? l.ins : l.outs))
        return TN_NO_MATCH;
    TN_TRY(before ? check_before(ctx, &l, map) : check_behind(ctx, &l, map));
    TN_TRY(compute(ctx, &l, f, before));
    if (f->shifts && strcmp(l.op, "MatMul") == 0 && !may_be_gemm(ctx))
        return TN_NO_MATCH;
    return rewrite(ctx, &l, f, before);
}

/* The linear node that makes the input, else one that reads the output; TN_NONE: neither. */
static tn_node_id find_partner(tn_rewrite *ctx, const affine *map, int *before)
{
    const tn_node_id maker = ctx->api->value(ctx->graph, map->x)->producer;
    tn_node_id reader;
    uint32_t input;
    *before = 0;
    if (maker != TN_NONE && linear_is(ctx->api->node(ctx->graph, maker)))
        return maker;
    *before = 1;
    if (ctx->api->use(ctx->graph, map->y, 0, &reader, &input) == TN_OK && input == 0 &&
        linear_is(ctx->api->node(ctx->graph, reader)))
        return reader;
    return TN_NONE;
}

tn_status affine_fold(tn_rewrite *ctx, affine *map)
{
    fold f = { .map = map };
    int before;
    const tn_node_id partner = find_partner(ctx, map, &before);
    if (partner == TN_NONE)
        return TN_NO_MATCH;
    tn_status status = try_fold(ctx, partner, &f, before);
    fold_fini(&f);
    if (status == TN_NO_MATCH && map->why[0])
        return tn_fail(ctx, status, "%s: %s not folded: %s",
                       ctx->api->node(ctx->graph, partner)->name, map->what, map->why);
    return status;
}
