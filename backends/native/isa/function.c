/* isa/function.c: functions of one element over a run of elements; rows of Softmax and of
 * LayerNormalization.
 *
 * NaN goes through all of them. tests/integration/test_native.c holds the errors against the exact
 * functions: see there.
 *
 * SPDX-License-Identifier: MIT */
#include "vector.h"

INLINE vec sigmoid(vec x)
{
    return splat(1.0f) / (splat(1.0f) + vexp_rough(-x));
}

/* tanh x = x P(x²) near 0, where 1 - 2 / (exp 2x + 1) would cancel: P is fitted to tanh x / x on
 * [0, 0.625] at Chebyshev's points, error 1.0e-7 of the result. */
INLINE vec vtanh(vec x)
{
    const vec z = x * x;
    vec p = splat(-0.005664775148034096f);
    p = p * z + splat(0.020595679059624672f);
    p = p * z + splat(-0.05372267961502075f);
    p = p * z + splat(0.13331149518489838f);
    p = p * z + splat(-0.3333326280117035f);
    p = p * z + splat(1.0f);
    const vec far = splat(1.0f) - splat(2.0f) / (vexp_rough(x + x) + splat(1.0f));
    return choose(vabs(x) < 0.625f, x * p, far);
}

/* x Φ(x). The upper tail of the normal distribution as exp(-x²/2) times a polynomial in
 * 1 / (1 + p |x|) (Abramowitz and Stegun, 7.1.26), so that the left side keeps its digits. */
INLINE vec gelu(vec x)
{
    const vec a = vabs(x) * splat(0.70710678f);
    const vec t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f) * a);
    vec p = splat(1.061405429f);
    p = p * t + splat(-1.453152027f);
    p = p * t + splat(1.421413741f);
    p = p * t + splat(-0.284496736f);
    p = p * t + splat(0.254829592f);
    const vec tail = splat(0.5f) * p * t * vexp_rough(-a * a); /* 1 - Φ(|x|) */
    return vmax(splat(0.0f), x) - vabs(x) * tail;
}

/* erf x = x P(x²) below 1, P fitted to erf x / x at Chebyshev's points, error 1.4e-9 of the result;
 * from there on 1 less the tail (Abramowitz and Stegun, 7.1.26). */
INLINE vec verf(vec x)
{
    const vec a = vabs(x), z = x * x;
    vec near = splat(7.882497102400522e-05f);
    near = near * z + splat(-0.0008018854990211821f);
    near = near * z + splat(0.005189311942361031f);
    near = near * z + splat(-0.02685432879587442f);
    near = near * z + splat(0.11283597463482695f);
    near = near * z + splat(-0.3761262690357984f);
    near = near * z + splat(1.1283791658815023f);
    const vec t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f) * a);
    vec p = splat(1.061405429f);
    p = p * t + splat(-1.453152027f);
    p = p * t + splat(1.421413741f);
    p = p * t + splat(-0.284496736f);
    p = p * t + splat(0.254829592f);
    const vec far = splat(1.0f) - p * t * vexp_rough(-z);
    return choose(a < 1.0f, x * near, choose(x < 0.0f, -far, far));
}

/* log(1 + exp x) = max(x, 0) + log(1 + u), u = exp(-|x|), log(1 + u) = 2 atanh(u / (2 + u)). */
INLINE vec softplus(vec x)
{
    const vec u = vexp(-vabs(x)), s = u / (u + splat(2.0f));
    return choose(x < 0.0f, splat(0.0f), x) + ((s + s) + s * atanh_rest(s));
}

/* x tanh(log(1 + w)), w = exp x; from 20 on it is x. */
INLINE vec mish(vec x)
{
    const vec w = vexp(vmin(splat(20.0f), x)), n = w * (w + splat(2.0f));
    return choose(x > 20.0f, x, x * (n / (n + splat(2.0f))));
}

INLINE vec vpow(vec x, vec exponent)
{
    vec y;
    for (int k = 0; k < LANES; k++)
        y[k] = powf(x[k], exponent[k]);
    return y;
}

INLINE vec value_of(native_function f, vec a, vec b, vec x)
{
    switch (f) {
    case NATIVE_RELU: return choose(x < 0.0f, splat(0.0f), x);
    case NATIVE_LEAKY_RELU: return choose(x < 0.0f, a * x, x);
    case NATIVE_CLIP: return vmin(b, vmax(a, x));
    case NATIVE_SIGMOID: return sigmoid(x);
    case NATIVE_HARD_SIGMOID: return vmin(splat(1.0f), vmax(splat(0.0f), a * x + b));
    case NATIVE_HARD_SWISH: return hard_swish(x);
    case NATIVE_SWISH: return swish(x, -a);
    case NATIVE_TANH: return vtanh(x);
    case NATIVE_GELU: return gelu(x);
    case NATIVE_GELU_TANH: /* (1 + tanh u) / 2 is the logistic function of 2u */
        return x * sigmoid(splat(1.59576912f) * (x + splat(0.044715f) * x * x * x));
    case NATIVE_ELU: return choose(x < 0.0f, a * (vexp(x) - splat(1.0f)), x);
    case NATIVE_EXP: return vexp(x);
    case NATIVE_ERF: return verf(x);
    case NATIVE_NEG: return -x;
    case NATIVE_ABS: return vabs(x);
    case NATIVE_LOG: return vlog(x);
    case NATIVE_RECIPROCAL: return splat(1.0f) / x;
    case NATIVE_SOFTPLUS: return softplus(x);
    case NATIVE_SOFTSIGN: return x / (splat(1.0f) + vabs(x));
    case NATIVE_MISH: return mish(x);
    case NATIVE_SELU: return b * choose(x > 0.0f, x, a * (vexp(x) - splat(1.0f)));
    case NATIVE_SQUARE: return x * x;
    case NATIVE_POWER: return vpow(x, a);
    case NATIVE_AFFINE: return a * x + b;
    default: {
        vec y;
        for (int k = 0; k < LANES; k++)
            y[k] = sqrtf(x[k]);
        return y;
    }
    }
}

/* Rows of x `step` apart, those of y likewise. */
typedef struct row_job {
    float a, b;
    const float *x;
    float *y;
    int64_t step, rows, count;
} row_job;

INLINE void run(native_function f, const row_job *job)
{
    const vec a = splat(job->a), b = splat(job->b);
    const int64_t count = job->count;
    const float *x = job->x;
    float *y = job->y;
    for (int64_t r = 0; r < job->rows; r++, x += job->step, y += job->step) {
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES)
            store(y + i, value_of(f, a, b, load(x + i)));
        if (i < count)
            store_part(y + i, value_of(f, a, b, load_part(x + i, count - i)), count - i);
    }
}

#define RUN(f)                                                                                     \
    case f: run(f, job); break

static void apply(native_function f, const row_job *job)
{
    switch (f) {
        RUN(NATIVE_RELU);
        RUN(NATIVE_LEAKY_RELU);
        RUN(NATIVE_CLIP);
        RUN(NATIVE_SIGMOID);
        RUN(NATIVE_HARD_SIGMOID);
        RUN(NATIVE_HARD_SWISH);
        RUN(NATIVE_SWISH);
        RUN(NATIVE_TANH);
        RUN(NATIVE_GELU);
        RUN(NATIVE_GELU_TANH);
        RUN(NATIVE_ELU);
        RUN(NATIVE_EXP);
        RUN(NATIVE_ERF);
        RUN(NATIVE_NEG);
        RUN(NATIVE_ABS);
        RUN(NATIVE_LOG);
        RUN(NATIVE_RECIPROCAL);
        RUN(NATIVE_SOFTPLUS);
        RUN(NATIVE_SOFTSIGN);
        RUN(NATIVE_MISH);
        RUN(NATIVE_SELU);
        RUN(NATIVE_SQUARE);
        RUN(NATIVE_POWER);
        RUN(NATIVE_AFFINE);
    default: run(NATIVE_SQRT, job);
    }
}

void ISA(apply)(native_function f, float a, float b, const float *x, float *y, int64_t count)
{
    apply(f, &(row_job){ a, b, x, y, 0, 1, count });
}

void ISA(apply_rows)(native_function f, float a, float b, float *x, int64_t step, int64_t rows,
                     int64_t count)
{
    apply(f, &(row_job){ a, b, x, x, step, rows, count });
}

INLINE vec both(native_function f, vec x, vec operand)
{
    switch (f) {
    case NATIVE_ADD: return x + operand;
    case NATIVE_SUB: return x - operand;
    case NATIVE_SUB_FROM: return operand - x;
    case NATIVE_MUL: return x * operand;
    case NATIVE_DIV: return x / operand;
    case NATIVE_MAX: return choose(x > operand, x, choose(x != x, x, operand));
    case NATIVE_MIN: return choose(x < operand, x, choose(x != x, x, operand));
    case NATIVE_POW: return vpow(x, operand);
    case NATIVE_POW_INTO: return vpow(operand, x);
    case NATIVE_PRELU: return choose(x < 0.0f, x * operand, x);
    default: return operand / x;
    }
}

INLINE void pairs(native_function f, const native_rows *job)
{
    const int64_t count = job->count;
    const bool along = job->along;
    const float *x = job->x, *o = job->operand;
    float *y = job->y;
    for (int64_t r = 0; r < job->rows; r++) {
        const vec one = splat(along ? 0.0f : *o);
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES)
            store(y + i, both(f, load(x + i), along ? load(o + i) : one));
        if (i < count) {
            const int64_t n = count - i;
            store_part(y + i, both(f, load_part(x + i, n), along ? load_part(o + i, n) : one), n);
        }
        x += job->x_step, o += job->operand_step, y += job->y_step;
    }
}

#define PAIRS(f)                                                                                   \
    case f: pairs(f, job); break

void ISA(combine_rows)(native_function f, const native_rows *job)
{
    switch (f) {
        PAIRS(NATIVE_ADD);
        PAIRS(NATIVE_SUB);
        PAIRS(NATIVE_SUB_FROM);
        PAIRS(NATIVE_MUL);
        PAIRS(NATIVE_DIV);
        PAIRS(NATIVE_MAX);
        PAIRS(NATIVE_MIN);
        PAIRS(NATIVE_POW);
        PAIRS(NATIVE_POW_INTO);
        PAIRS(NATIVE_PRELU);
    default: pairs(NATIVE_DIV_INTO, job);
    }
}

void ISA(combine)(native_function f, const float *x, const float *operand, int64_t step, float *y,
                  int64_t count)
{
    const native_rows job = {
        .x = x, .operand = operand, .y = y, .rows = 1, .count = count, .along = step != 0
    };
    ISA(combine_rows)(f, &job);
}

INLINE vec larger(vec x, vec y) /* NaN wins */
{
    return choose(x > y, x, choose(x != x, x, y));
}

void ISA(affine)(const float *x, const float *factor, const float *summand, float low, float *y,
                 int64_t count)
{
    const vec least = splat(low);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        store(y + i, vmax(least, load(x + i) * load(factor + i) + load(summand + i)));
    if (i < count) {
        const int64_t n = count - i;
        store_part(
            y + i,
            vmax(least, load_part(x + i, n) * load_part(factor + i, n) + load_part(summand + i, n)),
            n);
    }
}

INLINE float reduce(bool maximum, const float *x, int64_t count)
{
    vec total[4];
    int64_t i = 0;
    float some;
    for (int k = 0; k < 4; k++)
        total[k] = splat(maximum ? -INFINITY : 0.0f);
    for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const vec v = load(x + i + k * LANES);
            total[k] = maximum ? larger(total[k], v) : total[k] + v;
        }
    for (; i + LANES <= count; i += LANES)
        total[0] = maximum ? larger(total[0], load(x + i)) : total[0] + load(x + i);
    if (!maximum) {
        some = sum_of((total[0] + total[1]) + (total[2] + total[3]));
        for (; i < count; i++)
            some += x[i];
        return some;
    }
    total[0] = larger(larger(total[0], total[1]), larger(total[2], total[3]));
    some = total[0][0];
    for (int k = 1; k < LANES; k++)
        some = total[0][k] > some || isnan(total[0][k]) ? total[0][k] : some;
    for (; i < count; i++)
        some = x[i] > some || isnan(x[i]) ? x[i] : some;
    return some;
}

float ISA(reduce)(bool maximum, const float *x, int64_t count)
{
    return maximum ? reduce(true, x, count) : reduce(false, x, count);
}

float ISA(deviation)(const float *x, float mean, int64_t count)
{
    vec sum[4] = { splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f) };
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            const vec d = load(x + i + k * LANES) - splat(mean);
            sum[k] += d * d;
        }
    for (; i + LANES <= count; i += LANES) {
        const vec d = load(x + i) - splat(mean);
        sum[0] += d * d;
    }
    float total = sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < count; i++)
        total += (x[i] - mean) * (x[i] - mean);
    return total;
}

void ISA(softmax)(const float *x, float *y, int64_t count)
{
    int64_t i = 0;
    float most = x[0], total = 0.0f;
    vec m = splat(x[0]), sum = splat(0.0f);
    for (; i + LANES <= count; i += LANES)
        m = vmax(m, load(x + i)); /* NaN: comes out of the exponentials below */
    most = max_of(m);
    for (; i < count; i++)
        most = x[i] > most ? x[i] : most;
    for (i = 0; i + LANES <= count; i += LANES) {
        const vec e = vexp_below(load(x + i) - splat(most));
        store(y + i, e);
        sum += e;
    }
    total = sum_of(sum);
    if (i < count) {
        const vec e = vexp_below(load_part(x + i, count - i) - splat(most));
        for (int64_t k = 0; k < count - i; k++)
            total += e[k];
        store_part(y + i, e, count - i);
    }
    ISA(combine)(NATIVE_MUL, y, (float[]){ 1.0f / total }, 0, y, count);
}

void ISA(layer_norm)(const float *x, const float *scale, const float *bias, float epsilon, float *y,
                     int64_t count)
{
    const float mean = reduce(false, x, count) / (float)count;
    const float variance = ISA(deviation)(x, mean, count) / (float)count;
    const float factor = 1.0f / sqrtf(variance + epsilon);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec v = (load(x + i) - splat(mean)) * splat(factor) * load(scale + i);
        store(y + i, bias ? v + load(bias + i) : v);
    }
    for (; i < count; i++)
        y[i] = (x[i] - mean) * factor * scale[i] + (bias ? bias[i] : 0.0f);
}

static void rotate_neighbours(const float *x, const float *cosine, const float *sine, float *y,
                              int64_t half)
{
    for (int64_t k = 0; k < half; k++) {
        const float a = x[2 * k], b = x[2 * k + 1];
        y[2 * k] = cosine[k] * a - sine[k] * b;
        y[2 * k + 1] = sine[k] * a + cosine[k] * b;
    }
}

void ISA(rotate)(bool interleaved, const float *x, const float *cosine, const float *sine, float *y,
                 int64_t half)
{
    int64_t k = 0;
    if (interleaved) {
        rotate_neighbours(x, cosine, sine, y, half);
        return;
    }
    for (; k + LANES <= half; k += LANES) {
        const vec a = load(x + k), b = load(x + half + k), c = load(cosine + k), s = load(sine + k);
        store(y + k, c * a - s * b);
        store(y + half + k, s * a + c * b);
    }
    for (; k < half; k++) {
        const float a = x[k], b = x[half + k];
        y[k] = cosine[k] * a - sine[k] * b;
        y[half + k] = sine[k] * a + cosine[k] * b;
    }
}
