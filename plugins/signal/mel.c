/* plugins/signal/mel.c: MelWeightMatrix (ONNX operators: MelWeightMatrix).
 *
 * mel(f) = 2595 log10(1 + f / 700). The range of frequencies is cut into num_mel_bins + 2 steps
 * that are equal in mel; their edges are rounded down to places of the spectrum. Band i rises from
 * edge i to edge i + 1, where it is 1, and falls to edge i + 2. What lies beyond the spectrum is
 * left out.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

#include <inttypes.h>

enum { BINS, LENGTH, RATE, LOW, HIGH };
static const char *const names[] = { "num_mel_bins", "dft_length", "sample_rate",
                                     "lower_edge_hertz", "upper_edge_hertz" };

static tn_status infer(tn_infer *ctx)
{
    const tn_dim bins = signal_scalar(ctx, BINS, names[BINS], 1);
    const tn_dim length = signal_scalar(ctx, LENGTH, names[LENGTH], 1);
    signal_datatype(ctx);
    (void)signal_scalar(ctx, RATE, names[RATE], 1);
    ctx->outputs[0].rank = 2;
    ctx->outputs[0].dims[0] = tn_dim_add(ctx, tn_dim_floordiv(ctx, length, 2), 1);
    ctx->outputs[0].dims[1] = bins;
    return TN_OK;
}

/* ---- kernel ----------------------------------------------------------------------------- */

typedef struct scale {
    double low, step; /* in mel */
    double places;    /* of the spectrum in one hertz */
} scale;

static double mel(double hertz)
{
    return 2595.0 * log10(1.0 + hertz / 700.0);
}

/* The place of the spectrum where band edge i lies. */
static double edge(const scale *s, int64_t i)
{
    const double hertz = 700.0 * (pow(10.0, ((double)i * s->step + s->low) / 2595.0) - 1.0);
    return floor(hertz * s->places);
}

/* The weight of place k in a band. */
static double weight(double k, double low, double middle, double high)
{
    if (k >= middle && k < high)
        return (high - k) / (high - middle);
    if (k < low || k > middle)
        return 0.0;
    return low == middle ? 1.0 : (k - low) / (middle - low);
}

static tn_status read_scale(tn_run *ctx, scale *s)
{
    double v[HIGH + 1];
    for (int k = 0; k <= HIGH; k++)
        v[k] = tn_get_double(ctx->inputs[k]->dtype, ctx->inputs[k]->data, 0);
    if (v[RATE] < 1.0)
        return tn_fail(ctx, TN_ERR_VALUE, "sample_rate is %g: expected at least 1", v[RATE]);
    if (!(v[LOW] >= 0.0 && v[LOW] <= v[HIGH] && isfinite(v[HIGH])))
        return tn_fail(ctx, TN_ERR_VALUE,
                       "the frequencies go from %g to %g: expected 0 or more, the second not "
                       "below the first",
                       v[LOW], v[HIGH]);
    s->low = mel(v[LOW]);
    s->step = (mel(v[HIGH]) - s->low) / (v[BINS] + 2.0);
    s->places = (v[LENGTH] + 1.0) / v[RATE];
    return TN_OK;
}

static tn_status run(tn_run *ctx, const void *state, void *slot)
{
    tn_tensor *out = ctx->outputs[0];
    if (out->rank != 2) /* inference knows no number that low */
        return tn_fail(ctx, TN_ERR_VALUE,
                       "num_mel_bins or dft_length is no length: expected 1 to 2^48");
    const int64_t rows = out->dims[0], bins = out->dims[1];
    scale s = { 0 };
    (void)state, (void)slot;
    TN_TRY(read_scale(ctx, &s));
    for (int64_t i = 0; i < bins; i++) {
        const double low = edge(&s, i), middle = edge(&s, i + 1), high = edge(&s, i + 2);
        for (int64_t k = 0; k < rows; k++) {
            const double w = weight((double)k, low, middle, high);
            signal_store(out, k * bins + i, 1, &w);
        }
    }
    return TN_OK;
}

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def inputs[] = {
    { "num_mel_bins", "T1", SIGNAL_INTEGERS, 0, 0, "How many bands, a scalar." },
    { "dft_length", "T1", SIGNAL_INTEGERS, 0, 0, "Length of the transforms, a scalar." },
    { "sample_rate", "T1", SIGNAL_INTEGERS, 0, 0, "Samples in a second, a scalar." },
    { "lower_edge_hertz", "T2", TN_MASK_FLOAT, 0, 0, "Where the first band begins, a scalar." },
    { "upper_edge_hertz", "T2", TN_MASK_FLOAT, 0, 0, "Where the last band ends, a scalar." },
};
static const tn_param_def outputs[] = {
    { "output", "T3", TN_MASK_NUMERIC, 0, 0, "[dft_length / 2 + 1, num_mel_bins]" },
};
static const tn_attribute_def attributes[] = { SIGNAL_DATATYPE };

tn_status mel_register(tn_registrar *registrar)
{
    const tn_operator_def op = {
        .size = sizeof op,
        .since = 17,
        .name = "MelWeightMatrix",
        .doc = "Weights that gather the frequencies of a spectrum into bands of the mel scale.",
        .inputs = inputs,
        .input_count = 5,
        .outputs = outputs,
        .output_count = 1,
        .attributes = attributes,
        .attribute_count = 1,
        .traits = TN_MAY_FAIL,
        .infer = infer,
    };
    const tn_kernel_def kernel = {
        .size = sizeof kernel, .op = "MelWeightMatrix", .run = run, .flags = TN_KERNEL_ANY_STEPS
    };
    TN_TRY(registrar->add_operator(registrar, &op));
    return registrar->add_kernel(registrar, &kernel);
}
