/* plugins/signal/fft.c: mixed-radix transforms in Stockham's order (Van Loan, Computational
 * Frameworks for the FFT, 1992, 1.7 and 2.3): no bit reversal, every pass reads one array and
 * writes the other.
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

#define LONGEST (INT64_C(1) << 40)

static cpx add(cpx a, cpx b)
{
    return (cpx){ a.re + b.re, a.im + b.im };
}
static cpx sub(cpx a, cpx b)
{
    return (cpx){ a.re - b.re, a.im - b.im };
}
static cpx mul(cpx a, cpx b)
{
    return (cpx){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}

/* The angle is brought into the first eighth of the circle, where sine and cosine are exact to the
 * last place and mirror each other. */
cpx fft_root(int64_t k, int64_t n)
{
    int64_t u = 8 * k; /* n is an eighth of the circle */
    const int lower = u > 4 * n;
    u = lower ? 8 * n - u : u;
    const int left = u > 2 * n;
    u = left ? 4 * n - u : u;
    const int steep = u > n;
    u = steep ? 2 * n - u : u;
    const double angle = 0x1.921fb54442d18p-1 * ((double)u / (double)n);
    const double c = cos(angle), s = sin(angle);
    const double x = steep ? s : c, y = steep ? c : s;
    return (cpx){ left ? -x : x, lower ? y : -y };
}

/* ---- passes --------------------------------------------------------------------------------- */

/* One pass over blocks of n = radix * m numbers, `step` of them side by side:
 * y[q + step (radix p + k)] = w(p k) sum over j of x[q + step (p + m j)] w_radix(j k) */
typedef struct pass {
    int64_t m, step;
    int32_t radix;
} pass;

static void pass2(const fft *f, const pass *s, const cpx *x, cpx *y)
{
    for (int64_t p = 0; p < s->m; p++) {
        const cpx w = f->roots[p * s->step];
        const cpx *a = x + s->step * p, *b = a + s->step * s->m;
        cpx *to = y + s->step * 2 * p;
        for (int64_t q = 0; q < s->step; q++) {
            to[q] = add(a[q], b[q]);
            to[q + s->step] = mul(sub(a[q], b[q]), w);
        }
    }
}

static void pass4(const fft *f, const pass *s, const cpx *x, cpx *y)
{
    const int64_t step = s->step, m = s->m;
    for (int64_t p = 0; p < m; p++) {
        const cpx w1 = f->roots[p * step], w2 = f->roots[2 * p * step];
        const cpx w3 = f->roots[3 * p * step];
        const cpx *from = x + step * p;
        cpx *to = y + step * 4 * p;
        for (int64_t q = 0; q < step; q++) {
            const cpx a = from[q], b = from[q + step * m];
            const cpx c = from[q + 2 * step * m], d = from[q + 3 * step * m];
            const cpx even = add(a, c), odd = sub(a, c), sum = add(b, d), difference = sub(b, d);
            const cpx turned = { difference.im, -difference.re }; /* times -i */
            to[q] = add(even, sum);
            to[q + step] = mul(add(odd, turned), w1);
            to[q + 2 * step] = mul(sub(even, sum), w2);
            to[q + 3 * step] = mul(sub(odd, turned), w3);
        }
    }
}

static void pass_any(const fft *f, const pass *s, const cpx *x, cpx *y)
{
    const int32_t r = s->radix;
    cpx turns[FFT_LARGEST], a[FFT_LARGEST];
    for (int32_t k = 0; k < r; k++)
        turns[k] = f->roots[k * (f->inner / r)];
    for (int64_t p = 0; p < s->m; p++)
        for (int64_t q = 0; q < s->step; q++) {
            for (int32_t j = 0; j < r; j++)
                a[j] = x[q + s->step * (p + s->m * j)];
            for (int32_t k = 0; k < r; k++) {
                cpx sum = a[0];
                for (int32_t j = 1; j < r; j++)
                    sum = add(sum, mul(a[j], turns[j * k % r]));
                y[q + s->step * (r * p + k)] = mul(sum, f->roots[p * k * s->step]);
            }
        }
}

cpx *fft_direct(const fft *f, cpx *x, cpx *y)
{
    pass s = { .m = f->inner, .step = 1 };
    for (int32_t k = 0; k < f->factor_count; k++) {
        s.radix = f->factors[k];
        s.m /= s.radix;
        (s.radix == 4 ? pass4 : s.radix == 2 ? pass2 : pass_any)(f, &s, x, y);
        s.step *= s.radix;
        cpx *swap = x;
        x = y;
        y = swap;
    }
    return x;
}

/* ---- lengths ---------------------------------------------------------------------------------- */

/* Factors of `length` up to FFT_LARGEST; answers what is left. */
static int64_t factorize(int64_t length, int32_t *factors, int32_t *count)
{
    *count = 0;
    for (int32_t r = 4; r <= FFT_LARGEST; r = r == 4 ? 2 : r == 2 ? 3 : r + 2)
        while (length % r == 0) {
            factors[(*count)++] = r;
            length /= r;
        }
    return length;
}

static int64_t inner_length(int64_t length)
{
    int32_t factors[FFT_FACTORS], count;
    int64_t inner = 1;
    if (factorize(length, factors, &count) == 1)
        return length;
    while (inner < 2 * length - 1)
        inner *= 2;
    return inner;
}

int64_t fft_table_size(int64_t length)
{
    if (length < 1 || length > LONGEST)
        return 0;
    const int64_t inner = inner_length(length);
    return inner == length ? inner : 2 * inner + length;
}

int64_t fft_work_size(int64_t length)
{
    return length < 1 || length > LONGEST ? 0 : 2 * inner_length(length);
}

void fft_init(fft *f, int64_t length, cpx *tables, cpx *work)
{
    *f = (fft){ .length = length, .inner = inner_length(length), .roots = tables };
    (void)factorize(f->inner, f->factors, &f->factor_count);
    for (int64_t k = 0; k < f->inner; k++)
        f->roots[k] = fft_root(k, f->inner);
    if (f->inner == length)
        return;
    f->chirp = tables + f->inner;
    f->spectrum = f->chirp + length;
    bluestein_init(f, work);
}

void fft_run(const fft *f, cpx *line)
{
    if (f->chirp) {
        bluestein_run(f, line);
        return;
    }
    const cpx *end = fft_direct(f, line, line + f->inner);
    if (end != line)
        memcpy(line, end, (size_t)f->inner * sizeof *line);
}
