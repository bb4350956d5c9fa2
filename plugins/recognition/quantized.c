/* plugins/recognition/quantized.c: see recognition.h.
 *
 * SPDX-License-Identifier: MIT */
#include "recognition.h"

enum { MOST_SCALES = 1 << 16 };

int quantized_scales_are_plain(const tn_tensor *scales)
{
    if (!scales || (scales->dtype != TN_FLOAT32 && scales->dtype != TN_FLOAT64) ||
        tn_count(scales) > MOST_SCALES)
        return 0;
    for (int64_t k = 0; k < tn_count(scales); k++) {
        const double s = tn_get_double(scales->dtype, scales->data, k);
        if (!(s > 1e-30 && s < 1e30))
            return 0;
    }
    return 1;
}
