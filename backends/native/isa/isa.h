/* isa/isa.h: what is compiled once for each kind of processor, as a table of functions.
 *
 * The files of this folder are compiled several times (meson.build): for AVX-512, for AVX2 with FMA,
 * and for what the compiler takes every machine of the target to have. They are written with GCC's
 * vector types, so that one text serves all. plugin.c picks a table when the backend is opened.
 *
 * Everything is float32, channels last: a row is the channels of a point, columns are channels.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_ISA_H
#define TENON_NATIVE_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NATIVE_MAX_ROWS = 14,   /* of a tile of a product, on any processor … */
    NATIVE_MAX_COLUMNS = 32 /* … and its columns */
};

/* What is done to values in registers before they are stored. */
typedef struct native_end {
    enum {
        NATIVE_END_NONE,
        NATIVE_END_LOW, /* not below `low` */
        NATIVE_END_BOUNDS,
        NATIVE_END_HARD_SWISH,
        NATIVE_END_SWISH
    } kind;
    float low, high; /* bounds; NaN stays NaN. Swish: low is its alpha. */
} native_end;

/* A tile of a product, and others beside and below it: out[r][c] = start[c] + sum over taps t, channels
 * k of rows[t * row_count + r][k] * panel[t * depth + k][c], then `add`, then `end`. */
typedef struct native_tile {
    const float *const *rows; /* [taps][row_count]; NULL: row r, channel k of the only tap is at
                               * base[r * step + offsets[k]] */
    const float *base;
    const int32_t *offsets;
    int64_t step;
    const float *panel; /* [taps * depth][columns of the tile], aligned to 64 */
    const float *start; /* [columns of the tile] */
    float *out;         /* [row_count][columns of the tile], rows `ld` apart */
    int64_t ld;
    int64_t taps, depth;
    int32_t row_count;
    bool narrow;            /* only the first half of the columns is computed, and stored */
    int64_t further_panels; /* beside it: panels, starts and columns follow each other */
    int64_t further_tiles;  /* below it: rows (or `base`) follow each other */
    int64_t ahead;    /* the panel comes from far: it is asked for so many floats before its use */
    bool next_rows;   /* the rows do, all of one tap: those of the tile below follow in memory */
    const float *add; /* [row_count][columns], rows `add_ld` apart; NULL: nothing is added */
    int64_t add_ld;
    native_end end; /* no swish: that is done to rows, when they are stored */
} native_tile;

/* Functions of one element. a, b: slope; bounds; alpha and beta. */
typedef enum native_function {
    NATIVE_RELU,
    NATIVE_LEAKY_RELU,
    NATIVE_CLIP,
    NATIVE_SIGMOID,
    NATIVE_HARD_SIGMOID,
    NATIVE_HARD_SWISH,
    NATIVE_SWISH, /* x / (1 + exp(-a x)) */
    NATIVE_TANH,
    NATIVE_GELU,
    NATIVE_GELU_TANH,
    NATIVE_ELU,
    NATIVE_EXP,
    NATIVE_SQRT,
    NATIVE_ERF,
    NATIVE_NEG,
    NATIVE_ABS,
    NATIVE_LOG,
    NATIVE_RECIPROCAL,
    NATIVE_SOFTPLUS,
    NATIVE_SOFTSIGN,
    NATIVE_MISH,
    NATIVE_SELU, /* b (a exp(x) - a), and b x above 0 */
    NATIVE_SQUARE,
    NATIVE_POWER,  /* x to the a */
    NATIVE_AFFINE, /* a x + b */
    NATIVE_ADD,    /* with an operand from here on */
    NATIVE_SUB,
    NATIVE_SUB_FROM, /* operand - x */
    NATIVE_MUL,
    NATIVE_DIV,
    NATIVE_DIV_INTO, /* operand / x */
    NATIVE_MAX,      /* NaN where one of them is */
    NATIVE_MIN,
    NATIVE_POW,
    NATIVE_POW_INTO, /* operand to the x */
    NATIVE_PRELU     /* operand: the slope */
} native_function;

/* A depthwise convolution, one row of output points. */
typedef struct native_depthwise {
    const float *const *rows; /* [kernel_h] rows of the input, NULL: padding */
    const float
        *weights; /* by register: [kernel_h * kernel_w][lanes], then the bias; the last one's
                           * channels end at the last, or there is one with zeros behind them */
    int64_t x_step, y_step;             /* from a point to the next: channels, or more */
    float *out;                         /* [points][channels] */
    int64_t channels, points, x_points; /* x_points: of an input row */
    int64_t kernel_h, kernel_w, stride, dilation, before;
    native_end end;
} native_depthwise;

/* A pool whose windows lie side by side, one line of output points, 2 * lanes channels or more. */
typedef struct native_pool_line {
    const float *const *rows; /* the lines of the input that the windows see, at least one */
    int64_t row_count;
    int64_t x_step, y_step; /* from a point to the next: channels, or more */
    float *out;
    int64_t channels, points, x_points; /* x_points: of an input line */
    int64_t kernel, stride, before;     /* along the line */
    bool maximum, include_pad;          /* else the mean, of what lies inside or of all */
    int64_t share;                      /* points of a whole window */
} native_pool_line;

/* A tile of the output of a Winograd convolution, of size * size points. */
typedef struct native_winograd_out {
    const float *in; /* [(size + 2)²] sums at distance `step`, channels each */
    int64_t step;
    const float *bias;     /* [channels] */
    float *points[16];     /* where each point's channels go, NULL: not wanted */
    const float *adds[16]; /* and what is added to them, NULL: nothing */
    int64_t channels;
    native_end end;
} native_winograd_out;

/* Rows of x, an operand and y, each `…_step` apart; along: the operand follows a row, else it is one
 * number for it. */
typedef struct native_rows {
    const float *x, *operand;
    float *y;
    int64_t x_step, operand_step, y_step, rows, count;
    bool along;
} native_rows;

typedef struct native_isa {
    const char *name;
    int32_t lanes;         /* floats in a register */
    int32_t rows, columns; /* of a tile; lanes * 2 == columns */
    void (*tile)(const native_tile *tile);
    /* y[i] = f(x[i]); in place is fine. */
    void (*apply)(native_function f, float a, float b, const float *x, float *y, int64_t count);
    /* The same in place, for some rows that are `step` apart. */
    void (*apply_rows)(native_function f, float a, float b, float *x, int64_t step, int64_t rows,
                       int64_t count);
    /* y[i] = f(x[i], operand[i * step]), step 0 or 1; in place is fine. */
    void (*combine)(native_function f, const float *x, const float *operand, int64_t step, float *y,
                    int64_t count);
    void (*combine_rows)(native_function f, const native_rows *job);
    /* y[i] = x[i] * factor[i] + summand[i], not below `low`; NaN stays NaN; in place is fine. */
    void (*affine)(const float *x, const float *factor, const float *summand, float low, float *y,
                   int64_t count);
    void (*depthwise)(const native_depthwise *job);
    /* y[c] = max or sum over points of x[p][c]; rows are pointers. */
    void (*pool)(bool maximum, const float *const *rows, int64_t row_count, int64_t channels,
                 float scale, float *y);
    /* A point whose window misses the input altogether gets anything. */
    void (*pool_line)(const native_pool_line *line);
    /* The largest of a run, or its sum. */
    float (*reduce)(bool maximum, const float *x, int64_t count);
    /* The sum of (x - mean)². */
    float (*deviation)(const float *x, float mean, int64_t count);
    void (*softmax)(const float *x, float *y, int64_t count);
    /* y = (x - mean) / sqrt(variance + epsilon) * scale + bias; bias may be NULL. */
    void (*layer_norm)(const float *x, const float *scale, const float *bias, float epsilon,
                       float *y, int64_t count);
    /* Pairs (a, b) of x to (cosine a - sine b, sine a + cosine b): pair k is (k, half + k), or
     * (2k, 2k + 1) when interleaved; in place is fine. */
    void (*rotate)(bool interleaved, const float *x, const float *cosine, const float *sine,
                   float *y, int64_t half);
    /* Winograd F(4x4, 3x3) and F(2x2, 3x3), `size` 4 or 2; a tile of the input has side size + 2.
     * in: points[side * side] (NULL: zero) → out[(side * side)] at distance `step`, channels each. */
    void (*winograd_in)(int32_t size, const float *const *points, float *out, int64_t step,
                        int64_t channels);
    void (*winograd_out)(int32_t size, const native_winograd_out *out);
    /* The weights of one panel: taps[channels][9][columns] → out[(side * side)] at distance `step`,
     * [channels][columns] each. */
    void (*winograd_weights)(int32_t size, const float *taps, int64_t channels, float *out,
                             int64_t step);
    const struct native_integer_isa *integer; /* integer.h */
} native_isa;

extern const native_isa native_isa_plain;
extern const native_isa native_isa_wide; /* only with -Dnative_wide=true */
extern const native_isa native_isa_avx2;
extern const native_isa native_isa_avx512;
extern const native_isa native_isa_avx512vnni;

#endif
