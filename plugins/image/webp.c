/* plugins/image/webp.c: WebP by libwebp; transparency is dropped.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <webp/decode.h>

tn_status image_decode_webp(image *i)
{
    int width, height;
    if (!WebPGetInfo(i->bytes, i->count, &width, &height))
        return TN_NO_MATCH;
    TN_TRY(image_make(i, height, width));
    return WebPDecodeRGBInto(i->bytes, i->count, i->pixels, (size_t)height * (size_t)width * 3,
                             width * 3)
               ? TN_OK
               : TN_NO_MATCH;
}
