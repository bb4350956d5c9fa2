/* plugins/quantization/product.c: see quantization.h.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

void product_load(const tn_tensor *tensor, int64_t first, int64_t n, double zero, double *a,
                  int64_t r)
{
    double line[DEEP];
    load_doubles(tensor->dtype, tensor->data, first, n, line);
    for (int64_t k = 0; k < n; k++)
        a[k * ROWS + r] = line[k] - zero;
}

void product_rows(double *sums, const double *a, const double *panel, int64_t depth,
                  int64_t columns)
{
    /* Sixteen sums fit the registers of the smallest machine with vectors, and each of the short
     * loops becomes vector code. */
    for (int64_t c = 0; c < columns; c += 4) {
        double s0[4], s1[4], s2[4], s3[4];
        double *y = sums + c;
        for (int i = 0; i < 4; i++) {
            s0[i] = y[i];
            s1[i] = y[WIDE + i];
            s2[i] = y[2 * WIDE + i];
            s3[i] = y[3 * WIDE + i];
        }
        for (int64_t k = 0; k < depth; k++) {
            const double *x = panel + k * WIDE + c, *w = a + ROWS * k;
            for (int i = 0; i < 4; i++)
                s0[i] += w[0] * x[i];
            for (int i = 0; i < 4; i++)
                s1[i] += w[1] * x[i];
            for (int i = 0; i < 4; i++)
                s2[i] += w[2] * x[i];
            for (int i = 0; i < 4; i++)
                s3[i] += w[3] * x[i];
        }
        for (int i = 0; i < 4; i++) {
            y[i] = s0[i];
            y[WIDE + i] = s1[i];
            y[2 * WIDE + i] = s2[i];
            y[3 * WIDE + i] = s3[i];
        }
    }
}
