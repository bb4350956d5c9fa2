/* plugins/image/image.h: decoders of picture formats.
 *
 * A decoder gets the file's bytes, tells the picture's extents by image_make and fills the pixels:
 * rows from the top, red, green, blue. It answers TN_NO_MATCH for bytes that it cannot decode; any
 * other error is one of the host.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_IMAGE_H
#define TENON_PLUGINS_IMAGE_H

#include "tenon/kernel.h"

typedef struct image {
    tn_run *run;
    const uint8_t *bytes;
    size_t count;
    int64_t height, width;
    tn_tensor *made; /* of image_make, and */
    tn_tensor *room; /* of image_room; plugin.c gives both back */
    uint8_t *pixels; /* [height, width, 3] */
} image;

/* Room for the pixels, zeroed. Once. */
tn_status image_make(image *i, int64_t height, int64_t width);
/* Room for `count` bytes on the side. Once; it lasts until the decoder has returned, however. */
tn_status image_room(image *i, int64_t count, uint8_t **out);

tn_status image_decode_bmp(image *i);
tn_status image_decode_pnm(image *i);
tn_status image_decode_png(image *i);
tn_status image_decode_jpeg(image *i);
tn_status image_decode_jpeg2000(image *i);
tn_status image_decode_tiff(image *i);
tn_status image_decode_webp(image *i);

#endif
