/* plugins/text/categories.c: Unicode's general categories (The Unicode Standard, section 4.5).
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

#include "categories.inc"

enum { CATEGORIES = sizeof names / sizeof *names, RUNS = sizeof begins / sizeof *begins };

uint32_t category_mask(const char *name, size_t count)
{
    uint32_t mask = 0;
    for (uint32_t k = 0; count >= 1 && count <= 2 && k < CATEGORIES; k++)
        if (memcmp(names[k], name, count) == 0)
            mask |= UINT32_C(1) << k;
    return mask;
}

/* What is not assigned has the number behind the last category, which no mask holds. */
int category_in(uint32_t mask, uint32_t code)
{
    size_t low = 0, high = RUNS; /* the run is one of [low, high) */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (begins[middle] >> 5 <= code)
            low = middle;
        else
            high = middle;
    }
    return mask >> (begins[low] & 31u) & 1u;
}
