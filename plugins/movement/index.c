/* plugins/movement/index.c: indices that a run reads, and the element that stands where none is.
 *
 * SPDX-License-Identifier: MIT */
#include "movement.h"

move_value move_zero(uint32_t dtype)
{
    move_value zero = { { 0 } };
    if (dtype == TN_STRING)
        zero.text = (tn_text){ "", 0 };
    return zero;
}

int64_t move_tuple(const tn_tensor *indices, int64_t first, int32_t depth, const int64_t *dims,
                   int64_t *wrong)
{
    int64_t place = 0;
    for (int32_t k = 0; k < depth; k++) {
        const int64_t at = move_wrap(move_index(indices, first + k), dims[k]);
        if (at < 0) {
            *wrong = first + k;
            return -1;
        }
        place = place * dims[k] + at;
    }
    return place;
}
