/* plugins/quantization/product.c: see quantization.h.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

void product_row(double *sums, const double *a, const double *panel, int64_t depth, int64_t columns)
{
    /* Eight sums stay in registers while the depth is walked. */
    for (int64_t c = 0; c < columns; c += 8) {
        double s[8];
        for (int i = 0; i < 8; i++)
            s[i] = sums[c + i];
        for (int64_t k = 0; k < depth; k++)
            for (int i = 0; i < 8; i++)
                s[i] += a[k] * panel[k * WIDE + c + i];
        for (int i = 0; i < 8; i++)
            sums[c + i] = s[i];
    }
}
