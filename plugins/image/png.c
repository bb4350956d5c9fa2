/* plugins/image/png.c: PNG by libpng. 16 bits are scaled to 8; transparency, gamma and colour
 * profiles are left aside.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <png.h>
#include <setjmp.h>

typedef struct source {
    const uint8_t *at;
    size_t left;
} source;

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    source *s = png_get_io_ptr(png);
    if (count > s->left)
        png_error(png, "the file ends");
    memcpy(to, s->at, count);
    s->at += count;
    s->left -= count;
}

static void leave(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void silent(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static tn_status read_picture(image *i, png_structp png, png_infop info)
{
    png_read_info(png, info);
    TN_TRY(image_make(i, png_get_image_height(png, info), png_get_image_width(png, info)));
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)i->width * 3)
        return TN_NO_MATCH;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t row = 0; row < i->height; row++)
            png_read_row(png, i->pixels + row * i->width * 3, NULL);
    return TN_OK;
}

tn_status image_decode_png(image *i)
{
    source s = { i->bytes, i->count };
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, leave, silent);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    tn_status status;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return tn_fail(i->run, TN_ERR_MEMORY, "libpng has no memory");
    }
    png_set_read_fn(png, &s, read_bytes);
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return TN_NO_MATCH;
    }
    status = read_picture(i, png, info);
    png_destroy_read_struct(&png, &info, NULL);
    return status;
}
