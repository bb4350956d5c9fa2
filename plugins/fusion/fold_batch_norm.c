/* plugins/fusion/fold_batch_norm.c: BatchNormalization into the linear node before or behind it.
 *
 * In inference mode BatchNormalization is y = f*x + s for each channel, with
 *
 *   f = scale / sqrt(variance + epsilon)        s = B - mean * f
 *
 * Behind a Conv, ConvTranspose, Gemm or MatMul, f goes into the weights of each output channel and
 * f*bias + s becomes the bias. Before one, f goes into the weights of each input channel and the
 * sum of s*w over the inputs into the bias; where some sums leave inputs out (padding adds zeros
 * behind the normalization, not before it), only if every s is 0. New constants are computed in
 * double and rounded once; old ones stay as they are, others may read them.
 *
 * Exact but for rounding. What happens to special values, case by case:
 *  - x infinite or NaN: an infinity keeps its way through f*(w*x) and through (f*w)*x, since f*w
 *    has the sign of both and is not 0 unless f or w is; infinity times a zero weight is NaN in
 *    both.
 *  - f = 0: f*z is 0 for finite z and NaN else; with weights 0 a finite x gives 0, an infinite
 *    one NaN. The same, but that z may overflow from finite x where the folded sum does not.
 *  - f*w rounds to 0 though neither is: then an infinity would become NaN. Refused in strict
 *    math; otherwise what is lost is below the smallest number of the type.
 *  - statistics, weights, bias, f, s or a new constant not finite: refused.
 *  - overflow between the two nodes (float16): the folded form has none there. It answers numbers
 *    where the other answers infinities.
 *
 * SPDX-License-Identifier: MIT */
#include "fusion.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The normalization, and what is to replace the constants of the linear node. */
typedef struct fold {
    tn_node_id id;
    char name[96];
    tn_value_id x, y;
    int64_t channels;
    double *factor, *shift; /* [channels] */
    double *sums;           /* [bias_rows * outs] the new bias */
    void *weights, *bias;   /* rounded */
    int has_bias;           /* the new bias is not all zero, or the old one was there */
    char why[WHY_BYTES];
} fold;

static void fold_fini(fold *f)
{
    free(f->factor);
    free(f->sums);
    free(f->weights);
    free(f->bias);
}

static tn_status refuse(fold *f, const char *text)
{
    snprintf(f->why, sizeof f->why, "%s", text);
    return TN_NO_MATCH;
}

/* ---- the normalization -------------------------------------------------------------------- */

/* Inference mode. Below version 14 what trains is told by its outputs. */
static int is_inference(tn_rewrite *ctx, const tn_node_view *view)
{
    for (uint32_t k = 1; k < view->output_count; k++)
        if (view->outputs[k] != TN_NONE) {
            const tn_value_view *value = ctx->api->value(ctx->graph, view->outputs[k]);
            if (view->version < 14 || value->use_count || value->output_count)
                return 0;
        }
    return view->version >= 7 && !tn_attr_int(view, "training_mode", 0) &&
           tn_attr_int(view, "spatial", 1) == 1;
}

static int is_vector(const tn_tensor *tensor, int64_t count)
{
    return tensor->rank == 1 && tensor->dims[0] == count && (TN_BIT(tensor->dtype) & TN_MASK_FLOAT);
}

static tn_status compute_affine(fold *f, const tn_tensor *const *p, double epsilon)
{
    for (int64_t k = 0; k < f->channels; k++) {
        const double scale = tn_get_double(p[0]->dtype, p[0]->data, k),
                     offset = tn_get_double(p[1]->dtype, p[1]->data, k);
        const double mean = tn_get_double(p[2]->dtype, p[2]->data, k),
                     variance = tn_get_double(p[3]->dtype, p[3]->data, k);
        f->factor[k] = scale / sqrt(variance + epsilon);
        f->shift[k] = offset - mean * f->factor[k];
        if (!isfinite(scale) || !isfinite(offset) || !isfinite(mean) || !isfinite(variance) ||
            !isfinite(f->factor[k]) || !isfinite(f->shift[k]))
            return refuse(f, "a statistic, or the factor that they make, is not finite");
    }
    return TN_OK;
}

static tn_status read_norm(tn_rewrite *ctx, const tn_node_view *view, fold *f)
{
    static const char *const names[] = { "scale", "B", "mean", "variance" };
    const tn_tensor *p[4];
    for (uint32_t k = 0; k < 4; k++) {
        p[k] = k + 1 < view->input_count
                   ? fusion_constant(ctx, view->inputs[k + 1], names[k], f->why)
                   : NULL;
        if (!p[k] || !is_vector(p[k], p[0]->rank == 1 ? p[0]->dims[0] : -1))
            return TN_NO_MATCH;
    }
    f->channels = p[0]->dims[0];
    f->factor = malloc((size_t)f->channels * 2 * sizeof *f->factor + 1);
    if (!f->factor)
        return tn_fail(ctx, TN_ERR_MEMORY, "no memory for the factors of %" PRId64 " channels",
                       f->channels);
    f->shift = f->factor + f->channels;
    return compute_affine(f, p, (double)tn_attr_float(view, "epsilon", 1e-5f));
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
        return refuse(f, "a weight is not finite");
    if (wrong & OVERFLOWS)
        return refuse(f, "a new weight would overflow");
    if ((wrong & VANISHES) && ctx->math == TN_MATH_STRICT)
        return refuse(f, "a new weight would round to zero, and an infinity become NaN");
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
                                 f->factor[channel], &sum);
            for (int64_t row = 0; before && row < l->bias_rows; row++)
                f->sums[row * l->outs + out] += l->alpha * sum * f->shift[channel];
        }
    return judge(ctx, f, wrong);
}

static tn_status make_bias(const linear *l, fold *f, int before)
{
    f->has_bias = l->bias != NULL;
    for (int64_t k = 0; k < l->bias_rows * l->outs; k++) {
        double *sum = &f->sums[k];
        if (!isfinite(*sum))
            return refuse(f, "the bias is not finite");
        if (!before)
            *sum = *sum * f->factor[k % l->outs] + f->shift[k % l->outs];
        /* A bias that rounds to zero loses no infinity: it is added, not multiplied. */
        tn_set_float(l->weights->dtype, f->bias, k, *sum);
        if (!isfinite(tn_get_double(l->weights->dtype, f->bias, k)))
            return refuse(f, "a new bias would overflow");
        f->has_bias = f->has_bias || *sum != 0.0;
    }
    return TN_OK;
}

static tn_status compute(tn_rewrite *ctx, const linear *l, fold *f, int before)
{
    TN_TRY(allocate(ctx, l, f));
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
    tn_tensor weights = *l->weights;
    tn_value_id value;
    weights.data = f->weights;
    weights.size = sizeof weights;
    if (f->has_bias)
        TN_TRY(put_bias(ctx, l, f));
    TN_TRY(fusion_add_constant(ctx, l->region, &weights, l->weights_name, f->name, &value));
    TN_TRY(ctx->api->set_input(ctx->graph, l->id, 1, value));
    if (before)
        TN_TRY(ctx->api->set_input(ctx->graph, l->id, 0, f->x));
    else
        TN_TRY(ctx->api->replace(ctx->graph, f->y, ctx->api->node(ctx->graph, l->id)->outputs[0]));
    TN_TRY(ctx->api->remove_node(ctx->graph, f->id));
    return tn_fail(ctx, TN_OK, "%s folded into %s", f->name, l->name);
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

/* Behind `node`, which makes what the normalization reads. */
static tn_status check_behind(tn_rewrite *ctx, tn_node_id node, linear *l, fold *f)
{
    char what[64];
    TN_TRY(linear_read(ctx, node, l, f->why));
    snprintf(what, sizeof what, "%s's output", l->op);
    if (l->outs != f->channels)
        return TN_NO_MATCH;
    return fusion_is_single(ctx, f->x, f->id, what, f->why) ? TN_OK : TN_NO_MATCH;
}

/* Before `node`, which reads what the normalization makes. */
static tn_status check_before(tn_rewrite *ctx, tn_node_id node, linear *l, fold *f)
{
    TN_TRY(linear_read(ctx, node, l, f->why));
    if (l->ins != f->channels)
        return TN_NO_MATCH;
    if (!fusion_is_single(ctx, f->y, node, "BatchNormalization's output", f->why))
        return TN_NO_MATCH;
    if (l->turned)
        return refuse(f, "Gemm transposes the input, so that its channels are rows of the answer");
    for (int64_t k = 0; l->borders && k < f->channels; k++)
        if (f->shift[k] != 0.0)
            return refuse(f, strcmp(l->op, "Conv") == 0
                                 ? "Conv pads its input with zeros, which the shift would not reach"
                                 : "ConvTranspose sums other taps at each place");
    return TN_OK;
}

static tn_status try_fold(tn_rewrite *ctx, tn_node_id node, const tn_node_view *norm, fold *f,
                          int before)
{
    linear l = { 0 };
    tn_status status;
    if (ctx->api->node(ctx->graph, node)->region != norm->region)
        status = refuse(f, "it stands in another body");
    else
        status = before ? check_before(ctx, node, &l, f) : check_behind(ctx, node, &l, f);
    if (status == TN_OK && strcmp(l.op, "MatMul") == 0 && !may_be_gemm(ctx))
        status = TN_NO_MATCH;
    if (status == TN_OK)
        status = compute(ctx, &l, f, before);
    if (status == TN_OK)
        return rewrite(ctx, &l, f, before);
    if (status == TN_NO_MATCH && f->why[0])
        return tn_fail(ctx, status, "%s: BatchNormalization not folded: %s",
                       ctx->api->node(ctx->graph, node)->name, f->why);
    return status;
}

/* The linear node that makes the input, else one that reads the output; TN_NONE: neither. */
static tn_node_id find_partner(tn_rewrite *ctx, const fold *f, int *before)
{
    const tn_node_id maker = ctx->api->value(ctx->graph, f->x)->producer;
    tn_node_id reader;
    uint32_t input;
    *before = 0;
    if (maker != TN_NONE && linear_is(ctx->api->node(ctx->graph, maker)))
        return maker;
    *before = 1;
    if (ctx->api->use(ctx->graph, f->y, 0, &reader, &input) == TN_OK && input == 0 &&
        linear_is(ctx->api->node(ctx->graph, reader)))
        return reader;
    return TN_NONE;
}

static tn_status attempt(tn_rewrite *ctx, fold *f)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, f->id);
    int before;
    const tn_node_id partner = find_partner(ctx, f, &before);
    if (partner == TN_NONE)
        return TN_NO_MATCH;
    if (!is_inference(ctx, view))
        return tn_fail(ctx, TN_NO_MATCH, "%s: BatchNormalization not folded: %s trains",
                       ctx->api->node(ctx->graph, partner)->name, f->name);
    tn_status status = read_norm(ctx, view, f);
    if (status == TN_NO_MATCH && f->why[0])
        return tn_fail(ctx, status, "%s: BatchNormalization not folded: %s",
                       ctx->api->node(ctx->graph, partner)->name, f->why);
    return status == TN_OK ? try_fold(ctx, partner, view, f, before) : status;
}

static tn_status match(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    fold f = { .id = node };
    tn_status status;
    if (view->input_count < 5 || view->inputs[0] == TN_NONE || !view->output_count ||
        view->outputs[0] == TN_NONE)
        return TN_NO_MATCH;
    f.x = view->inputs[0];
    f.y = view->outputs[0];
    snprintf(f.name, sizeof f.name, "%s", view->name);
    status = attempt(ctx, &f);
    fold_fini(&f);
    return status;
}

tn_status fold_batch_norm_register(tn_registrar *registrar)
{
    static const char *const roots[] = { "BatchNormalization", NULL };
    return registrar->add_pass(
        registrar,
        &(tn_pass_def){
            .size = sizeof(tn_pass_def),
            .phase = TN_PHASE_FOLD,
            .order = 10,
            .exactness = TN_EXACT_ROUNDING,
            .name = "fold_batch_norm",
            .doc = "Folds an inference BatchNormalization into the Conv, ConvTranspose, Gemm or "
                   "MatMul before it, or behind it where no padding comes between.",
            .roots = roots,
            .match = match });
}
