/* plugins/signal/dft.c: DFT (ONNX operators: DFT).
 *
 *   y[k] = sum over n of e^(-2 pi i k n / N) x[n]      inverse: e^(+…) and divided by N
 *
 * along one axis, N being dft_length: the signal is cut, or filled up with zeros. The last axis
 * holds 1 (real) or 2 numbers (complex). onesided: forward gives the first N/2 + 1 of a real
 * signal; inverse takes these and gives a real signal. All is computed in double.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

#include <inttypes.h>

enum { SIGNAL, LENGTH, AXIS };

/* ---- inference -------------------------------------------------------------------------- */

/* The axis, or -1: not known, or -2 after a complaint. */
static int32_t find_axis(tn_infer *ctx, int32_t rank)
{
    const tn_dim named = signal_type(ctx, AXIS) ? signal_scalar(ctx, AXIS, "axis", INT64_MIN) : -2;
    const int32_t axis = tn_dim_known(named) ? tn_axis(named, rank) : -1;
    if (!tn_dim_known(named))
        return -1;
    if (axis >= 0 && axis < rank - 1)
        return axis;
    ctx->call.host->complain(&ctx->call, TN_ERR_VALUE, TN_WHERE_INPUT, AXIS, NULL,
                             "axis is %" PRId64 ": expected an axis of 'input' (rank %d) before "
                             "its last",
                             named, rank);
    return -2;
}

static int check_last(tn_infer *ctx, int onesided, int inverse)
{
    const tn_type *x = ctx->inputs[SIGNAL];
    const tn_dim last = x->dims[x->rank - 1];
    const int64_t only = onesided ? 1 + inverse : 0; /* 0: 1 or 2 */
    if (!tn_dim_known(last) || (only ? last == only : last == 1 || last == 2))
        return 1;
    ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SIGNAL, NULL,
                             "the last axis of input 'input' has extent %" PRId64 ": expected %s",
                             last,
                             only == 1   ? "1 (real) when onesided is 1"
                             : only == 2 ? "2 (complex) when onesided and inverse are 1"
                                         : "1 (real) or 2 (complex)");
    return 0;
}

/* The extent of the transformed axis. */
static tn_dim transformed(tn_infer *ctx, tn_dim length, tn_dim own, int onesided, int inverse)
{
    const int given = signal_type(ctx, LENGTH) != NULL;
    if (onesided && inverse)
        return given ? length : tn_dim_mul(ctx, tn_dim_sub(ctx, own, 1), 2);
    length = given ? length : own;
    return onesided ? tn_dim_add(ctx, tn_dim_floordiv(ctx, length, 2), 1) : length;
}

static tn_status infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[SIGNAL];
    const int onesided = tn_attr_int(ctx->node, "onesided", 0) != 0;
    const int inverse = tn_attr_int(ctx->node, "inverse", 0) != 0;
    tn_type *y = &ctx->outputs[0];
    const tn_dim length = signal_type(ctx, LENGTH) ? signal_scalar(ctx, LENGTH, "dft_length", 1)
                                                   : TN_DIM_UNKNOWN;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 2) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, SIGNAL, NULL,
                                 "input 'input' has rank %d: expected 2 or more, the last axis for "
                                 "real and imaginary parts",
                                 x->rank);
        return TN_OK;
    }
    const int32_t axis = find_axis(ctx, x->rank);
    if (axis == -2 || !check_last(ctx, onesided, inverse))
        return TN_OK;
    TN_TRY(tn_infer_same(ctx, 0, SIGNAL));
    y->dims[x->rank - 1] = onesided && inverse ? 1 : 2;
    if (axis >= 0) {
        y->dims[axis] = transformed(ctx, length, x->dims[axis], onesided, inverse);
        if (tn_dim_known(y->dims[axis]) && y->dims[axis] < 0)
            y->dims[axis] = 0; /* an inverse of nothing */
        return TN_OK;
    }
    for (int32_t k = 0; k < x->rank - 1; k++)
        if (onesided || signal_type(ctx, LENGTH))
            y->dims[k] = TN_DIM_UNKNOWN;
    return TN_OK;
}

/* Axis 0 counts signals unless it is the transformed one. */
static tn_status samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    const tn_type *x = ctx->inputs[SIGNAL];
    if (x->rank < 2 || find_axis(ctx, x->rank) < 1)
        return TN_NO_MATCH;
    for (uint32_t k = 0; k < ctx->input_count; k++)
        input_axes[k] = k ? -1 : 0;
    output_axes[0] = 0;
    return TN_OK;
}

/* 5 N log2 N for each line, as is usual for transforms. */
static tn_status cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0];
    double count = 1.0;
    for (int32_t axis = 0; axis < y->rank - 1; axis++)
        count *= (double)y->dims[axis];
    const int32_t axis = find_axis(ctx, y->rank);
    out->ops = 5.0 * count * log2(1.0 + (axis >= 0 ? (double)y->dims[axis] : count));
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct job {
    const tn_tensor *x;
    tn_tensor *y;
    int inverse, onesided;
    int64_t inner; /* signals side by side: extents between the axis and the last */
    int64_t x_extent, y_extent, length;
    int32_t x_parts, y_parts;
    fft fft;
    cpx *lines;
    int64_t line_size;
} job;

static cpx load_number(const job *j, int64_t line, int64_t n)
{
    const int64_t at = ((line / j->inner * j->x_extent + n) * j->inner + line % j->inner) *
                       j->x_parts;
    cpx v = { tn_get_double(j->x->dtype, j->x->data, at), 0.0 };
    if (j->x_parts == 2)
        v.im = tn_get_double(j->x->dtype, j->x->data, at + 1);
    return v;
}

/* The inverse is the forward transform with real and imaginary parts exchanged before and after. */
static cpx exchanged(cpx v)
{
    return (cpx){ v.im, v.re };
}

static void load_line(const job *j, int64_t line, cpx *out)
{
    const int64_t wanted = j->onesided && j->inverse ? j->length / 2 + 1 : j->length;
    const int64_t count = j->x_extent < wanted ? j->x_extent : wanted;
    for (int64_t n = 0; n < count; n++)
        out[n] = j->inverse ? exchanged(load_number(j, line, n)) : load_number(j, line, n);
    for (int64_t n = count; n < j->length; n++)
        out[n] = (cpx){ 0.0, 0.0 };
    if (!j->onesided || !j->inverse)
        return;
    for (int64_t n = 1; 2 * n < j->length; n++) /* the conjugates, parts exchanged */
        out[j->length - n] = (cpx){ -out[n].re, out[n].im };
}

static void store_line(const job *j, int64_t line, const cpx *from)
{
    const double scale = j->inverse ? (double)j->length : 1.0;
    for (int64_t n = 0; n < j->y_extent; n++) {
        const int64_t at = ((line / j->inner * j->y_extent + n) * j->inner + line % j->inner) *
                           j->y_parts;
        const cpx v = j->inverse ? exchanged(from[n]) : from[n];
        tn_set_float(j->y->dtype, j->y->data, at, v.re / scale);
        if (j->y_parts == 2)
            tn_set_float(j->y->dtype, j->y->data, at + 1, v.im / scale);
    }
}

static tn_status chunk(void *user, int64_t begin, int64_t end, uint32_t thread)
{
    const job *j = user;
    cpx *line = j->lines + thread * j->line_size;
    for (int64_t k = begin; k < end; k++) {
        load_line(j, k, line);
        fft_run(&j->fft, line);
        store_line(j, k, line);
    }
    return TN_OK;
}

/* Scratch for the axis, if it is known, else for whichever of the axes it is. From an extent of a
 * onesided output there are two lengths that it can come from. */
static tn_status measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    const tn_type *y = p->outputs[0];
    const int halved = tn_attr_int(p->node, "onesided", 0) && !tn_attr_int(p->node, "inverse", 0);
    size_t *bytes = &ctx->alternatives[0].scratch_bytes;
    const int given = p->own_count > AXIS && p->inputs[AXIS];
    const tn_tensor *named = given ? p->constants[AXIS] : NULL;
    const int64_t value = named ? tn_get_int(TN_INT64, named->data, 0) : -2;
    const int32_t only = given && !named ? -1 : tn_axis(value, y->rank);
    (void)state;
    for (int32_t axis = 0; axis < y->rank - 1; axis++)
        for (int odd = 0; odd <= halved; odd++) {
            const int64_t extent = tn_dim_known(y->dims[axis]) ? y->dims[axis] : 0;
            const int64_t length = halved ? 2 * (extent - 1) + odd : extent;
            const size_t needed = signal_scratch(length, p->threads);
            if ((only >= 0 && axis != only) || length < 1)
                continue;
            if (!needed)
                return tn_fail(ctx, TN_ERR_LIMIT,
                               "a transform of length %" PRId64 " does not fit memory", length);
            *bytes = needed > *bytes ? needed : *bytes;
        }
    return TN_OK;
}

static int32_t run_axis(const tn_run *ctx)
{
    const tn_tensor *named = signal_input(ctx, AXIS);
    return tn_axis(named ? tn_get_int(TN_INT64, named->data, 0) : -2, ctx->inputs[SIGNAL]->rank);
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    const tn_tensor *x = ctx->inputs[SIGNAL], *length = signal_input(ctx, LENGTH);
    tn_tensor *y = ctx->outputs[0];
    const int32_t axis = run_axis(ctx), last = x->rank - 1;
    job j = { .x = x,
              .y = y,
              .inverse = tn_attr_int(ctx->node, "inverse", 0) != 0,
              .onesided = tn_attr_int(ctx->node, "onesided", 0) != 0 };
    (void)state, (void)slot;
    if (axis < 0 || axis >= last) /* inference knows no number that low */
        return tn_fail(ctx, TN_ERR_VALUE, "axis is outside [%d, %d)", -(int)x->rank, (int)last);
    if (y->rank != x->rank)
        return tn_fail(ctx, TN_ERR_VALUE, "dft_length is no length: expected 1 to 2^48");
    if (tn_count(y) == 0)
        return TN_OK;
    j.x_extent = x->dims[axis];
    j.y_extent = y->dims[axis];
    j.x_parts = (int32_t)x->dims[last];
    j.y_parts = (int32_t)y->dims[last];
    j.inner = tn_extent(x->dims, axis + 1, last);
    j.length = length                     ? tn_get_int(length->dtype, length->data, 0)
               : j.onesided && !j.inverse ? j.x_extent
                                          : j.y_extent;
    if (j.length < 1 || j.y_extent != (j.onesided && !j.inverse ? j.length / 2 + 1 : j.length))
        return tn_fail(ctx, TN_ERR_VALUE,
                       "dft_length is %" PRId64 ": expected what the output's extent %" PRId64
                       " was inferred from",
                       j.length, j.y_extent);
    j.line_size = fft_work_size(j.length);
    j.lines = (cpx *)ctx->scratch + fft_table_size(j.length);
    fft_init(&j.fft, j.length, ctx->scratch, j.lines);
    return ctx->call.host->parallel_for(&ctx->call, tn_count(y) / j.y_extent / j.y_parts,
                                        1 + 1024 / j.length, chunk, &j);
}

/* ---- versions --------------------------------------------------------------------------- */

/* 17 has the axis as an attribute. */
static tn_status upgrade(tn_rewrite *ctx, tn_node_id node)
{
    const tn_node_view *view = ctx->api->node(ctx->graph, node);
    int64_t axis = tn_attr_int(view, "axis", 1);
    const tn_tensor scalar = {
        .size = sizeof scalar, .dtype = TN_INT64, .data = &axis, .bytes = sizeof axis
    };
    const tn_constant_desc desc = {
        .size = sizeof desc, .region = view->region, .tensor = &scalar, .value = TN_NONE
    };
    const int alone = view->input_count < 2;
    tn_value_id value;
    TN_TRY(ctx->api->add_constant(ctx->graph, &desc, &value));
    if (alone)
        TN_TRY(ctx->api->set_input(ctx->graph, node, LENGTH, TN_NONE));
    TN_TRY(ctx->api->set_input(ctx->graph, node, AXIS, value));
    return ctx->api->drop_attribute(ctx->graph, node, "axis");
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "input", "T1", TN_MASK_FLOAT, 0, 0, "Signals; the last axis holds real, imaginary." },
    { "dft_length", "T2", SIGNAL_INTEGERS, TN_PARAM_OPTIONAL, 0,
      "Length of the transform, a scalar; that of the axis." },
    { "axis", NULL, TN_BIT(TN_INT64), TN_PARAM_OPTIONAL, 0,
      "The axis to transform, a scalar; the last before real and imaginary." },
};
static const tn_param_def outputs[] = {
    { "output", "T1", TN_MASK_FLOAT, 0, 0, "Spectra, or signals again." },
};
static const tn_attribute_def attributes[] = {
    { .name = "inverse",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: from spectra to signals." },
    { .name = "onesided",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .doc = "1: real signals, of whose spectra one half is held." },
    { .name = "axis",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 1,
      .doc = "The axis to transform." },
};

tn_status dft_register(tn_registrar *registrar)
{
    tn_operator_def op = {
        .size = sizeof op,
        .since = 17,
        .name = "DFT",
        .doc = "The discrete Fourier transform along an axis.",
        .inputs = inputs,
        .input_count = 2,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 3,
        .infer = infer,
    };
    const tn_kernel_def kernel = { .size = sizeof kernel,
                                   .op = "DFT",
                                   .since = 20,
                                   .measure = measure,
                                   .run = run,
                                   .flags = TN_KERNEL_EMPTY | TN_KERNEL_ANY_STEPS };
    TN_TRY(registrar->add_operator(registrar, &op));
    op.since = 20;
    op.input_count = 3;
    op.attribute_count = 2;
    op.cost = cost;
    op.samplewise = samplewise;
    op.upgrade = upgrade;
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
