/* plugins/image/jpeg.c: JPEG by libjpeg: its exact inverse transform and its smooth upsampling of
 * colour, which is the one that ONNX asks for. A damaged file is no picture.
 *
 * SPDX-License-Identifier: MIT */
#include "image.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

/* libjpeg ends at an error by calling error_exit, which may not return. */
typedef struct trap {
    struct jpeg_error_mgr manager;
    jmp_buf back;
} trap;

static void leave(j_common_ptr info)
{
    longjmp(((trap *)(void *)info->err)->back, 1);
}

static void silent(j_common_ptr info)
{
    (void)info;
}

/* Four inks, in place: the first three bytes of each pixel become its colour. Adobe writes them
 * inverted, which is how libjpeg hands them over. */
static void mix_inks(const uint8_t *inks, int inverted, int64_t count, uint8_t *rgb)
{
    for (int64_t k = 0; k < count; k++)
        for (int c = 0; c < 3; c++) {
            const int ink = inks[4 * k + c], black = inks[4 * k + 3];
            rgb[3 * k + c] = (uint8_t)(inverted ? ink * black / 255
                                                : (255 - ink) * (255 - black) / 255);
        }
}

static tn_status read_rows(image *i, struct jpeg_decompress_struct *info)
{
    uint8_t *inks = NULL;
    if (info->num_components == 4)
        TN_TRY(image_room(i, i->width * 4, &inks));
    while (info->output_scanline < info->output_height) {
        uint8_t *row = i->pixels + (int64_t)info->output_scanline * i->width * 3;
        JSAMPROW to = inks ? inks : row;
        jpeg_read_scanlines(info, &to, 1);
        if (inks)
            mix_inks(inks, info->saw_Adobe_marker, i->width, row);
    }
    return TN_OK;
}

static tn_status read_picture(image *i, struct jpeg_decompress_struct *info)
{
    jpeg_create_decompress(info);
    jpeg_mem_src(info, i->bytes, i->count);
    jpeg_read_header(info, TRUE);
    TN_TRY(image_make(i, info->image_height, info->image_width));
    info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(info);
    TN_TRY(read_rows(i, info));
    jpeg_finish_decompress(info);
    return info->err->num_warnings ? TN_NO_MATCH : TN_OK;
}

tn_status image_decode_jpeg(image *i)
{
    struct jpeg_decompress_struct info = { 0 };
    trap t;
    tn_status status;
    info.err = jpeg_std_error(&t.manager);
    t.manager.error_exit = leave;
    t.manager.output_message = silent;
    if (setjmp(t.back)) {
        jpeg_destroy_decompress(&info);
        return TN_NO_MATCH;
    }
    status = read_picture(i, &info);
    jpeg_destroy_decompress(&info);
    return status;
}
