/* plugins/image/tiff.c: the first picture of a TIFF by libtiff (4.5: errors are told to the handle,
 * nothing is global).
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <tiffio.h>

typedef struct source {
    const uint8_t *bytes;
    size_t count, at;
} source;

static tmsize_t read_bytes(thandle_t user, void *to, tmsize_t wanted)
{
    source *s = user;
    const size_t left = s->at < s->count ? s->count - s->at : 0;
    const size_t count = (size_t)wanted < left ? (size_t)wanted : left;
    memcpy(to, s->bytes + (s->at < s->count ? s->at : 0), count);
    s->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_nothing(thandle_t user, void *from, tmsize_t count)
{
    (void)user, (void)from, (void)count;
    return 0;
}

static toff_t seek(thandle_t user, toff_t offset, int whence)
{
    source *s = user;
    s->at = (size_t)offset + (whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->count : 0);
    return s->at;
}

static int close_nothing(thandle_t user)
{
    (void)user;
    return 0;
}

static toff_t size_of(thandle_t user)
{
    return ((source *)user)->count;
}

static int silent(TIFF *tiff, void *user, const char *module, const char *format, va_list list)
{
    (void)tiff, (void)user, (void)module, (void)format, (void)list;
    return 1;
}

/* Four bytes a pixel, red first in memory on a little-endian machine: by libtiff's own words. */
static tn_status read_picture(image *i, TIFF *tiff)
{
    uint32_t width = 0, height = 0;
    uint8_t *raster;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height))
        return TN_NO_MATCH;
    TN_TRY(image_make(i, height, width));
    TN_TRY(image_room(i, i->height * i->width * 4, &raster));
    uint32_t *pixels = (uint32_t *)(void *)raster;
    const int good = TIFFReadRGBAImageOriented(tiff, width, height, pixels, ORIENTATION_TOPLEFT, 1);
    for (int64_t k = 0; good && k < i->height * i->width; k++) {
        i->pixels[3 * k] = (uint8_t)TIFFGetR(pixels[k]);
        i->pixels[3 * k + 1] = (uint8_t)TIFFGetG(pixels[k]);
        i->pixels[3 * k + 2] = (uint8_t)TIFFGetB(pixels[k]);
    }
    return good ? TN_OK : TN_NO_MATCH;
}

tn_status image_decode_tiff(image *i)
{
    source s = { i->bytes, i->count, 0 };
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    tn_status status = TN_NO_MATCH;
    if (!options)
        return tn_fail(i->run, TN_ERR_MEMORY, "libtiff has no memory");
    TIFFOpenOptionsSetErrorHandlerExtR(options, silent, NULL);
    TIFFOpenOptionsSetWarningHandlerExtR(options, silent, NULL);
    TIFF *tiff = TIFFClientOpenExt("picture", "rm", &s, read_bytes, write_nothing, seek,
                                   close_nothing, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (tiff) {
        status = read_picture(i, tiff);
        TIFFClose(tiff);
    }
    return status;
}
