/* plugins/signal/bluestein.c: transforms of lengths with large primes (Bluestein, 1970; Van Loan
 * 4.2.3): since 2 k n = k^2 + n^2 - (k - n)^2, a transform is a convolution with a chirp, and that
 * is made by transforms of a power of two.
 *
 *   X[k] = c[k] sum over n of (x[n] c[n]) conj(c[k - n]),  c[n] = e^(-pi i n^2 / length)
 *
 * SPDX-License-Identifier: MIT */
#include "signal.h"

static cpx mul(cpx a, cpx b)
{
    return (cpx){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re };
}
static cpx conjugate(cpx a)
{
    return (cpx){ a.re, -a.im };
}

void bluestein_init(fft *f, cpx *work)
{
    const int64_t circle = 2 * f->length;
    int64_t square = 0; /* n^2 modulo the circle */
    for (int64_t n = 0; n < f->length; n++) {
        f->chirp[n] = fft_root(square, circle);
        square = (square + 2 * n + 1) % circle;
    }
    memset(work, 0, (size_t)f->inner * sizeof *work);
    for (int64_t n = 0; n < f->length; n++)
        work[n] = work[n ? f->inner - n : 0] = conjugate(f->chirp[n]);
    memcpy(f->spectrum, fft_direct(f, work, work + f->inner),
           (size_t)f->inner * sizeof *f->spectrum);
}

/* The inverse is the forward transform of the conjugate, conjugated, over the count. */
void bluestein_run(const fft *f, cpx *line)
{
    cpx *const other = line + f->inner;
    const double scale = 1.0 / (double)f->inner;
    for (int64_t n = 0; n < f->length; n++)
        line[n] = mul(line[n], f->chirp[n]);
    memset(line + f->length, 0, (size_t)(f->inner - f->length) * sizeof *line);
    cpx *x = fft_direct(f, line, other);
    for (int64_t k = 0; k < f->inner; k++)
        x[k] = conjugate(mul(x[k], f->spectrum[k]));
    x = fft_direct(f, x, x == line ? other : line);
    for (int64_t k = 0; k < f->length; k++) {
        const cpx y = mul(conjugate(x[k]), f->chirp[k]);
        line[k] = (cpx){ y.re * scale, y.im * scale };
    }
}
