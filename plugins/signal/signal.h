/* plugins/signal/signal.h: what the files of this folder share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_SIGNAL_H
#define TENON_PLUGINS_SIGNAL_H

#include "tenon/blocks.h"

/* ---- fft.c, bluestein.c: discrete Fourier transforms of any length -------------------------- */

typedef struct cpx { /* not C's complex: its products look for infinities */
    double re, im;
} cpx;

/* A transform of `length` numbers in O(length log length). What its factors of at most
 * FFT_LARGEST make up is transformed directly, a length with a larger prime through a convolution
 * of a power of two (`inner`). The caller gives all memory. */
enum { FFT_LARGEST = 13, FFT_FACTORS = 64 };
typedef struct fft {
    int64_t length, inner;
    int32_t factors[FFT_FACTORS], factor_count;
    cpx *roots;    /* [inner] e^(-2 pi i k / inner) */
    cpx *chirp;    /* [length] e^(-pi i k^2 / length); NULL: direct */
    cpx *spectrum; /* [inner] the transform of its conjugate */
} fft;

/* Complex numbers that fft_init wants for tables, and fft_run for a line and its work together; 0
 * when length is beyond what memory could hold. */
int64_t fft_table_size(int64_t length);
int64_t fft_work_size(int64_t length);
/* tables[fft_table_size], work[fft_work_size]. length is at least 1. */
void fft_init(fft *f, int64_t length, cpx *tables, cpx *work);
/* line[0 … length) becomes its forward transform; line and all behind it (fft_work_size in all) is
 * written to. */
void fft_run(const fft *f, cpx *line);

/* e^(-2 pi i k / n), k in [0, n], exact where it is a whole number of quarters. */
cpx fft_root(int64_t k, int64_t n);
/* The direct transform: x[inner] by way of y[inner]; answers which of the two it ended in. */
cpx *fft_direct(const fft *f, cpx *x, cpx *y);
/* bluestein.c */
void bluestein_init(fft *f, cpx *work);
void bluestein_run(const fft *f, cpx *line);

/* ---- shared.c -------------------------------------------------------------------------------- */

static inline const tn_type *signal_type(const tn_infer *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}
static inline const tn_tensor *signal_input(const tn_run *ctx, uint32_t k)
{
    return k < ctx->input_count ? ctx->inputs[k] : NULL;
}

/* The value of integer scalar input k, an expression perhaps, or TN_DIM_UNKNOWN. Complains when it
 * is not one element, or below `least`. */
tn_dim signal_scalar(tn_infer *ctx, uint32_t k, const char *name, int64_t least);
/* Sets output 0's type from attribute output_datatype. */
void signal_datatype(tn_infer *ctx);
/* Stores doubles into any number type; into integers as Cast does, towards zero. */
void signal_store(tn_tensor *out, int64_t first, int64_t n, const double *v);
/* Bytes of tables and of `threads` lines for transforms of `length`; 0: too many. */
size_t signal_scratch(int64_t length, uint32_t threads);

#define SIGNAL_DATATYPE                                                                            \
    {                                                                                              \
        .name = "output_datatype", .type = TN_ATTR_INT, .flags = TN_ATTR_HAS_DEFAULT,              \
        .i = TN_FLOAT32, .doc = "Number of the output's type."                                     \
    }
#define SIGNAL_INTEGERS (TN_BIT(TN_INT32) | TN_BIT(TN_INT64))

/* ---- files ----------------------------------------------------------------------------------- */

tn_status dft_register(tn_registrar *registrar);
tn_status stft_register(tn_registrar *registrar);
tn_status window_register(tn_registrar *registrar);
tn_status mel_register(tn_registrar *registrar);

#endif
