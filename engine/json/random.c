/* engine/json/random.c: the random constants of the JSON format: Philox4x32-10 (Salmon, Moraes,
 * Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011) and what is made of its bits.
 *
 * These numbers are part of the format: the same bits on every machine and compiler. So there is
 * no libm here, only + - * / and square root, which IEEE 754 rounds correctly; the order of
 * operations is what is written; the build forbids contraction (-ffp-contract=off). Any change of
 * a constant or of an order changes the format: docs/json_format.md gives the recipe, and
 * tests/unit/test_json_random.c holds checksums.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"
#include "engine/json/json.h"

/* ---- Philox ------------------------------------------------------------------------------- */

enum { LANES = 8, CHUNK = 1024 }; /* CHUNK numbers at a time, LANES blocks of four side by side */

/* The ten rounds of LANES counters; lane loops of fixed length, for the compiler to vectorize. */
static void philox_lanes(uint32_t c[4][LANES], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        for (int j = 0; j < LANES; j++) {
            const uint64_t p = (uint64_t)c[0][j] * UINT32_C(0xd2511f53);
            const uint64_t q = (uint64_t)c[2][j] * UINT32_C(0xcd9e8d57);
            c[0][j] = (uint32_t)(q >> 32) ^ c[1][j] ^ k0;
            c[2][j] = (uint32_t)(p >> 32) ^ c[3][j] ^ k1;
            c[1][j] = (uint32_t)q;
            c[3][j] = (uint32_t)p;
        }
        k0 += UINT32_C(0x9e3779b9);
        k1 += UINT32_C(0xbb67ae85);
    }
}

void tn_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p = (uint64_t)a * UINT32_C(0xd2511f53),
                       q = (uint64_t)c * UINT32_C(0xcd9e8d57);
        a = (uint32_t)(q >> 32) ^ b ^ k0;
        b = (uint32_t)q;
        c = (uint32_t)(p >> 32) ^ d ^ k1;
        d = (uint32_t)p;
        k0 += UINT32_C(0x9e3779b9);
        k1 += UINT32_C(0xbb67ae85);
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

/* FNV-1a, written out here because the format depends on it. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *s = (const unsigned char *)name; *s; s++)
        hash = (hash ^ *s) * UINT64_C(0x100000001b3);
    return hash;
}

/* Numbers 4*block … of the stream (hash, seed); count is a multiple of 4 * LANES. */
static void fill_bits(uint64_t hash, uint64_t seed, uint64_t block, size_t count, uint32_t *out)
{
    for (size_t at = 0; at < count; at += 4 * LANES, block += LANES) {
        uint32_t c[4][LANES];
        for (uint32_t j = 0; j < LANES; j++) {
            c[0][j] = (uint32_t)(block + j);
            c[1][j] = (uint32_t)((block + j) >> 32);
            c[2][j] = (uint32_t)seed;
            c[3][j] = (uint32_t)(seed >> 32);
        }
        philox_lanes(c, (uint32_t)hash, (uint32_t)(hash >> 32));
        for (uint32_t j = 0; j < LANES; j++)
            for (uint32_t w = 0; w < 4; w++)
                out[at + 4 * j + w] = c[w][j];
    }
}

/* ---- normals ------------------------------------------------------------------------------ */

/* The inverse of the normal distribution function by P. J. Acklam's rational approximation:
 * relative error below 1.2e-9, far below what float32 keeps. */
static const double A[] = { -3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                            1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00 };
static const double B[] = { -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                            6.680131188771972e+01, -1.328068155288572e+01 };
static const double C[] = { -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                            -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00 };
static const double D[] = { 7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                            3.754408661907416e+00 };
#define CENTRE 0.47575 /* |p - 1/2| up to which A and B hold; beyond it, C and D of the tail */

/* Natural logarithm of a positive normal number: m * 2^e with m in [sqrt(1/2), sqrt(2)), and
 * log m = 2 artanh((m - 1) / (m + 1)) by its series. */
static double logarithm(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) - 1023;
    bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m >= 1.4142135623730951) {
        m = m * 0.5;
        exponent++;
    }
    const double s = (m - 1.0) / (m + 1.0), t = s * s;
    double sum = 1.0 / 17.0;
    for (int odd = 15; odd >= 1; odd -= 2)
        sum = sum * t + 1.0 / odd;
    return 2.0 * s * sum + (double)exponent * 0.69314718055994530942;
}

/* For p = 1/2 - |q| below 1/2 - CENTRE. */
static double tail(double q)
{
    const double p = q < 0 ? 0.5 + q : 0.5 - q;
    const double t = __builtin_sqrt(-2.0 * logarithm(p));
    const double above = ((((C[0] * t + C[1]) * t + C[2]) * t + C[3]) * t + C[4]) * t + C[5];
    const double below = (((D[0] * t + D[1]) * t + D[2]) * t + D[3]) * t + 1.0;
    return q < 0 ? above / below : -(above / below);
}

/* q = (bits + 1/2) / 2^32 - 1/2, exact, then its normal deviate. The first loop treats all as
 * central and has no branch; the second repairs the one in twenty that is not. */
static void normals(const uint32_t *bits, double *z)
{
    double q[CHUNK];
    for (size_t k = 0; k < CHUNK; k++)
        q[k] = ((double)(int32_t)(bits[k] ^ UINT32_C(0x80000000)) + 0.5) * 0x1p-32;
    for (size_t k = 0; k < CHUNK; k++) {
        const double r = q[k] * q[k];
        const double above = ((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5];
        const double below = ((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0;
        z[k] = above * q[k] / below;
    }
    for (size_t k = 0; k < CHUNK; k++)
        if (q[k] > CENTRE || q[k] < -CENTRE)
            z[k] = tail(q[k]);
}

/* ---- tensors ------------------------------------------------------------------------------ */

typedef struct filler {
    const tn_random_spec *spec;
    uint32_t dtype;
    bool is_normal;
    double top; /* uniform: the largest number of the type below `high` */
    uint64_t hash;
} filler;

/* value[k] = mean + std * z, or low + (high - low) * u, in double. */
static void floats_of(const filler *f, const uint32_t *bits, double *value)
{
    const double low = f->spec->low, width = f->spec->high - f->spec->low, top = f->top;
    if (f->is_normal) {
        normals(bits, value);
        for (size_t k = 0; k < CHUNK; k++)
            value[k] = f->spec->mean + f->spec->std * value[k];
        return;
    }
    for (size_t k = 0; k < CHUNK; k++) {
        const double v = low + width * ((double)(int32_t)(bits[k] >> 8) * 0x1p-24);
        value[k] = v < top ? v : top; /* rounding must not reach `high` */
    }
}

static void store_floats(uint32_t dtype, const double *value, void *data, size_t at, size_t count)
{
    if (dtype == TN_FLOAT32) {
        float *out = (float *)data + at;
        for (size_t k = 0; k < count; k++)
            out[k] = (float)value[k];
    } else if (dtype == TN_FLOAT64) {
        memcpy((double *)data + at, value, count * sizeof *value);
    } else {
        for (size_t k = 0; k < count; k++)
            if (tn_float_set(dtype, data, at + k, value[k]))
                tn_float_set(dtype, data, at + k,
                             value[k] < 0 ? -__builtin_inf() : __builtin_inf());
    }
}

/* low + (bits * span) / 2^32, for a span of up to 2^32: every number of [low, high] comes up. */
static void store_integers(const filler *f, const uint32_t *bits, void *data, size_t at,
                           size_t count)
{
    const int64_t low = (int64_t)f->spec->low;
    const uint64_t span = (uint64_t)((int64_t)f->spec->high - low) + 1;
    for (size_t k = 0; k < count; k++) {
        const uint64_t step = (uint64_t)bits[k] * (span & UINT32_MAX) >> 32;
        tn_integer_set(f->dtype, data, at + k, (uint64_t)low + (span >> 32 ? bits[k] : step));
    }
}

/* "low is 3 and high 2: expected …"; numbers independent of the locale. */
static tn_status refuse(const char *a, double x, const char *b, double y, const char *expected)
{
    tn_builder text = { 0 };
    tn_add(&text, "%s is ", a);
    tn_add_number(&text, x, false);
    tn_add(&text, " and %s ", b);
    tn_add_number(&text, y, false);
    tn_raise(TN_ERR_ARGUMENT, "%s: expected %s", tn_builder_text(&text), expected);
    tn_builder_fini(&text);
    return TN_ERR_ARGUMENT;
}

static tn_status check_integers(const tn_random_spec *spec, uint32_t dtype)
{
    const double low = spec->low, high = spec->high;
    int64_t least;
    uint64_t most;
    tn_integer_bounds(dtype, &least, &most);
    /* 2^53: every number up to there is a double, so that low and high mean what they say. */
    const bool fit = low >= (double)least && high <= (double)most && low >= -0x1p53 &&
                     high <= 0x1p53;
    if (!fit || !(low <= high))
        return refuse("low", low, "high", high,
                      "integers of the type and up to 2^53, low at most high");
    if ((double)(int64_t)low != low || (double)(int64_t)high != high)
        return refuse("low", low, "high", high, "integers, as the type is one of integers");
    if (high - low >= 0x1p32)
        return refuse("low", low, "high", high, "less than 2^32 between them");
    return TN_OK;
}

static tn_status check_floats(const tn_random_spec *spec, uint32_t dtype, bool is_normal)
{
    const double low = spec->low, high = spec->high;
    unsigned char element[8];
    if (!(TN_MASK_FLOAT >> dtype & 1))
        return tn_raise(TN_ERR_TYPE, "there are no random numbers of type %s",
                        tn_dtype_name(dtype));
    if (is_normal &&
        !(spec->std >= 0 && spec->std < __builtin_inf() && spec->mean - spec->mean == 0))
        return refuse("mean", spec->mean, "std", spec->std, "finite numbers, std at least 0");
    if (!is_normal && !(low < high && high - low < __builtin_inf()))
        return refuse("low", low, "high", high, "finite numbers, low the lesser");
    if (!is_normal &&
        (tn_float_set(dtype, element, 0, low) || tn_float_set(dtype, element, 0, high)))
        return refuse("low", low, "high", high, "numbers of the type");
    return TN_OK;
}

static bool is_whole(uint32_t dtype)
{
    return tn_dtype_is_integer(dtype) && tn_dtype_bits(dtype) >= 8;
}

tn_status tn_random_check(const tn_random_spec *spec, uint32_t dtype)
{
    const bool is_normal = strcmp(spec->distribution, "normal") == 0;
    if (!is_normal && strcmp(spec->distribution, "uniform") != 0)
        return tn_raise(TN_ERR_ARGUMENT,
                        "there is no distribution \"%s\": expected \"normal\" or \"uniform\"",
                        spec->distribution);
    if (is_whole(dtype) && is_normal)
        return tn_raise(TN_ERR_TYPE,
                        "there are no normal random numbers of type %s: expected \"uniform\"",
                        tn_dtype_name(dtype));
    return is_whole(dtype) ? check_integers(spec, dtype) : check_floats(spec, dtype, is_normal);
}

tn_status tn_random_fill(const tn_random_spec *spec, const char *name, const tn_tensor *out)
{
    const bool is_normal = strcmp(spec->distribution, "normal") == 0;
    const bool is_integer = is_whole(out->dtype);
    TN_TRY(tn_random_check(spec, out->dtype));
    int64_t elements;
    TN_TRY(tn_shape_count(out->rank, out->dims, &elements));

    filler f = { .spec = spec, .dtype = out->dtype, .is_normal = is_normal, .hash = hash_of(name) };
    if (!is_integer && !is_normal)
        f.top = tn_float_below(out->dtype, spec->high);
    uint32_t bits[CHUNK];
    double value[CHUNK];
    for (uint64_t at = 0; at < (uint64_t)elements; at += CHUNK) {
        const uint64_t left = (uint64_t)elements - at;
        const size_t count = left < CHUNK ? (size_t)left : CHUNK;
        fill_bits(f.hash, spec->seed, at / 4, CHUNK, bits);
        if (is_integer) {
            store_integers(&f, bits, out->data, (size_t)at, count);
        } else {
            floats_of(&f, bits, value);
            store_floats(out->dtype, value, out->data, (size_t)at, count);
        }
    }
    return TN_OK;
}
