/* plugins/conv/tile.h: the inner product of the reference Conv, on tiles that stay in the first
 * cache.
 *
 * In: a panel of inputs (one row of CONV_WIDE output positions for each filter tap) and rows of
 * weights, both as doubles. Out: sums added to a tile of double accumulators, taps in order.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_CONV_TILE_H
#define TENON_PLUGINS_CONV_TILE_H

#include <stdint.h>

enum {
    CONV_WIDE = 64, /* output positions of a tile */
    CONV_HIGH = 64, /* output channels of a tile */
    CONV_DEEP = 64  /* filter taps between two loads of a panel */
};

/* Four rows of sums at once, four columns at a time: sixteen sums fit the registers of the
 * smallest machine with vectors, and each of the four short loops becomes vector code. */
static inline void conv_tile_rows4(double *sums, const double *panel, const double *weights,
                                   int64_t depth, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += 4) {
        double *y = sums + c;
        double s0[4], s1[4], s2[4], s3[4];
        for (int j = 0; j < 4; j++) {
            s0[j] = y[j];
            s1[j] = y[CONV_WIDE + j];
            s2[j] = y[2 * CONV_WIDE + j];
            s3[j] = y[3 * CONV_WIDE + j];
        }
        for (int64_t k = 0; k < depth; k++) {
            const double *x = panel + k * CONV_WIDE + c, *w = weights + 4 * k;
            for (int j = 0; j < 4; j++)
                s0[j] += w[0] * x[j];
            for (int j = 0; j < 4; j++)
                s1[j] += w[1] * x[j];
            for (int j = 0; j < 4; j++)
                s2[j] += w[2] * x[j];
            for (int j = 0; j < 4; j++)
                s3[j] += w[3] * x[j];
        }
        for (int j = 0; j < 4; j++) {
            y[j] = s0[j];
            y[CONV_WIDE + j] = s1[j];
            y[2 * CONV_WIDE + j] = s2[j];
            y[3 * CONV_WIDE + j] = s3[j];
        }
    }
}

/* One row of sums: what is left over, and depthwise convolutions. */
static inline void conv_tile_row(double *sums, const double *panel, const double *weights,
                                 int64_t step, int64_t depth, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += 4) {
        double s[4];
        for (int j = 0; j < 4; j++)
            s[j] = sums[c + j];
        for (int64_t k = 0; k < depth; k++) {
            const double w = weights[k * step], *x = panel + k * CONV_WIDE + c;
            for (int j = 0; j < 4; j++)
                s[j] += w * x[j];
        }
        for (int j = 0; j < 4; j++)
            sums[c + j] = s[j];
    }
}

#endif
