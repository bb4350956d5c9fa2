/* tools/image.c: pictures: PNG and JPEG decoded, resized, and made elements of an input.
 *
 * A pixel becomes (pixel / scale - mean) / std, in this order and in single precision: what
 * training scripts do, bit for bit. Transparent parts of a PNG lie on white. A JPEG's orientation
 * tag is not followed.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include "tenon/kernel.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>

/* A picture beyond this many samples is no input of a network but an attack on memory. */
#define MOST_SAMPLES (INT64_C(1) << 29)

static int check_size(tool *t, const char *name, int64_t rows, int64_t columns)
{
    if (rows > 0 && columns > 0 && rows <= MOST_SAMPLES / 3 / columns)
        return EXIT_FINE;
    return bad(t, EXIT_BAD, "%s has %lld x %lld pixels, which is too large", name, (long long)rows,
               (long long)columns);
}

/* ---- decoding ------------------------------------------------------------------------------- */

int png_read(tool *t, const char *name, blob bytes, picture *out)
{
    const png_color white = { 255, 255, 255 };
    png_image image = { .version = PNG_IMAGE_VERSION };
    uint8_t *pixels;
    int code;
    if (!png_image_begin_read_from_memory(&image, bytes.data, bytes.count))
        return bad(t, EXIT_BAD, "%s: %s", name, image.message);
    code = check_size(t, name, image.height, image.width);
    if (code) {
        png_image_free(&image);
        return code;
    }
    image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* 16 bits are as bright as 8 would be */
    image.format = image.format & PNG_FORMAT_FLAG_COLOR ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    pixels = keep(t, PNG_IMAGE_SIZE(image));
    *out = (picture){ pixels, image.height, image.width, PNG_IMAGE_SAMPLE_CHANNELS(image.format),
                      name };
    if (!png_image_finish_read(&image, &white, pixels, 0, NULL))
        return bad(t, EXIT_BAD, "%s: %s", name, image.message);
    return EXIT_FINE;
}

/* libjpeg ends at an error by calling error_exit, which may not return. */
typedef struct jpeg_trap {
    struct jpeg_error_mgr manager;
    jmp_buf back;
} jpeg_trap;

static void jpeg_leave(j_common_ptr info)
{
    longjmp(((jpeg_trap *)(void *)info->err)->back, 1);
}

static void jpeg_silent(j_common_ptr info)
{
    (void)info;
}

static int jpeg_decode(tool *t, const char *name, blob bytes, struct jpeg_decompress_struct *info,
                       picture *out)
{
    size_t stride;
    uint8_t *pixels;
    int code;
    jpeg_create_decompress(info);
    jpeg_mem_src(info, bytes.data, bytes.count);
    jpeg_read_header(info, TRUE);
    if (info->num_components == 4)
        return bad(t, EXIT_BAD, "%s is a CMYK picture, expected grey or colour", name);
    info->out_color_space = info->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    code = check_size(t, name, info->image_height, info->image_width);
    if (code)
        return code;
    jpeg_start_decompress(info);
    stride = (size_t)info->output_width * (size_t)info->output_components;
    pixels = keep(t, stride * info->output_height);
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = pixels + stride * info->output_scanline;
        jpeg_read_scanlines(info, &row, 1);
    }
    *out = (picture){ pixels, info->output_height, info->output_width, info->output_components,
                      name };
    jpeg_finish_decompress(info);
    return EXIT_FINE;
}

int jpeg_read(tool *t, const char *name, blob bytes, picture *out)
{
    struct jpeg_decompress_struct info = { 0 };
    jpeg_trap trap;
    int code;
    info.err = jpeg_std_error(&trap.manager);
    trap.manager.error_exit = jpeg_leave;
    trap.manager.output_message = jpeg_silent;
    if (setjmp(trap.back)) {
        char text[JMSG_LENGTH_MAX];
        trap.manager.format_message((j_common_ptr)&info, text);
        jpeg_destroy_decompress(&info);
        return bad(t, EXIT_BAD, "%s: %s", name, text);
    }
    code = jpeg_decode(t, name, bytes, &info, out);
    if (!code && trap.manager.num_warnings) /* a cut-off file decodes to grey with a warning */
        code = bad(t, EXIT_BAD, "%s is damaged", name);
    jpeg_destroy_decompress(&info);
    return code;
}

/* ---- recipes: from options and metadata ----------------------------------------------------- */

static int read_numbers(tool *t, const char *what, const char *text, float *out, float otherwise)
{
    int count = 0;
    const char *at = text ? text : "";
    for (; *at; at += strspn(at, " ,[]()\t")) {
        char *end;
        const float value = strtof(at, &end);
        if (end == at && *at != '[' && *at != '(')
            return bad(t, EXIT_BAD, "%s is '%s', expected numbers as 0.485,0.456,0.406", what,
                       text);
        if (end == at)
            continue;
        if (count < 4)
            out[count] = value;
        count++;
        at = end;
    }
    if (count > 4)
        return bad(t, EXIT_BAD, "%s is '%s', expected at most 4 numbers", what, text);
    for (int c = count; c < 4; c++)
        out[c] = count ? out[count - 1] : otherwise;
    return EXIT_FINE;
}

static int read_size(tool *t, const char *text, recipe *r)
{
    char *end;
    r->rows = r->columns = strtoll(text, &end, 10);
    if (*end == 'x' || *end == 'X' || *end == ',')
        r->columns = strtoll(end + 1, &end, 10);
    if (*end || r->rows < 1 || r->columns < 1 || r->rows > 65535 || r->columns > 65535)
        return bad(t, EXIT_USAGE, "--size is '%s', expected HEIGHTxWIDTH, as 224x224", text);
    return EXIT_FINE;
}

static int read_layout(tool *t, const tn_type *type, const char *text, recipe *r)
{
    const int64_t *dims = type->dims + (type->rank == 4);
    if (text && (strcasecmp(text, "nhwc") == 0 || strcasecmp(text, "hwc") == 0))
        r->channels_last = true;
    else if (text && strcasecmp(text, "nchw") != 0 && strcasecmp(text, "chw") != 0)
        return bad(t, EXIT_USAGE, "layout is '%s', expected nchw or nhwc", text);
    else if (!text && (type->rank == 3 || type->rank == 4))
        r->channels_last = dims[0] != 1 && dims[0] != 3 && (dims[2] == 1 || dims[2] == 3);
    return EXIT_FINE;
}

static int64_t known(tn_dim dim)
{
    return tn_dim_known(dim) && dim > 0 ? dim : 0;
}

int recipe_make(tool *t, const tn_port *port, recipe *r)
{
    const tn_type *type = &port->type;
    const char *mean = t->set.mean ? t->set.mean : tn_model_metadata(t->model, "image.mean");
    const char *std = t->set.std ? t->set.std : tn_model_metadata(t->model, "image.std");
    const char *scale = t->set.scale ? t->set.scale : tn_model_metadata(t->model, "image.scale");
    const char *size = t->set.size ? t->set.size : tn_model_metadata(t->model, "image.size");
    const char *layout = t->set.layout ? t->set.layout
                                       : tn_model_metadata(t->model, "image.layout");
    float scales[4];
    int code = read_layout(t, type, layout, r);
    if (!code && (type->rank == 3 || type->rank == 4)) {
        const int64_t *dims = type->dims + (type->rank == 4);
        r->channels = known(dims[r->channels_last ? 2 : 0]);
        r->rows = known(dims[r->channels_last ? 0 : 1]);
        r->columns = known(dims[r->channels_last ? 1 : 2]);
    }
    if (!code && size && (t->set.size || !r->rows || !r->columns))
        code = read_size(t, size, r);
    if (!code)
        code = read_numbers(t, "mean", mean, r->mean, 0.0f);
    if (!code)
        code = read_numbers(t, "std", std, r->std, 1.0f);
    if (!code)
        code = read_numbers(t, "scale", scale, scales, 255.0f);
    if (!code && r->channels != 0 && r->channels != 1 && r->channels != 3)
        code = bad(t, EXIT_BAD,
                   "input '%s' has %lld channels, a picture has 1 or 3; is its layout %s?",
                   port->name, (long long)r->channels, r->channels_last ? "nchw" : "nhwc");
    if (code)
        return code;
    r->scale = scales[0];
    r->raw = !tn_dtype_is_float(type->dtype) && type->dtype != TN_UNDEFINED;
    return EXIT_FINE;
}

/* ---- from pixels to elements ---------------------------------------------------------------- */

/* Samples in 0..255 with the wanted number of channels; grey by the weights of ITU-R BT.601. */
static void to_samples(const picture *from, int64_t channels, float *to)
{
    const uint8_t *p = from->pixels;
    for (int64_t i = 0; i < from->rows * from->columns; i++, p += from->channels)
        for (int64_t c = 0; c < channels; c++)
            *to++ = from->channels == channels ? p[c]
                    : from->channels == 1      ? p[0]
                                               : 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

/* Resizes the middle axis of [outer, n, inner] to m: bilinear with half-pixel centres; when it
 * shrinks, the triangle is as wide as a target pixel, so that no source pixel is skipped. */
static void resize_axis(const float *from, int64_t outer, int64_t n, int64_t inner, int64_t m,
                        float *to)
{
    const double step = (double)n / (double)m, reach = step > 1 ? step : 1;
    for (int64_t i = 0; i < m; i++) {
        const double centre = ((double)i + 0.5) * step;
        int64_t low = (int64_t)(centre - reach + 0.5), high = (int64_t)(centre + reach + 0.5);
        double total = 0;
        low = low < 0 ? 0 : low;
        high = high > n ? n : high;
        for (int64_t j = low; j < high; j++)
            total += fmax(0, 1 - fabs((double)j + 0.5 - centre) / reach);
        for (int64_t j = low; j < high; j++) {
            const float weight = (float)(fmax(0, 1 - fabs((double)j + 0.5 - centre) / reach) /
                                         total);
            for (int64_t o = 0; o < outer; o++)
                for (int64_t k = 0; k < inner; k++)
                    to[(o * m + i) * inner + k] += weight * from[(o * n + j) * inner + k];
        }
    }
}

static void store_samples(const float *from, const recipe *r, tn_tensor *into, int64_t at)
{
    for (int64_t y = 0; y < r->rows; y++)
        for (int64_t x = 0; x < r->columns; x++)
            for (int64_t c = 0; c < r->channels; c++) {
                const int64_t to = at + (r->channels_last ? (y * r->columns + x) * r->channels + c
                                                          : (c * r->rows + y) * r->columns + x);
                const float sample = *from++, value = (sample / r->scale - r->mean[c]) / r->std[c];
                if (r->raw)
                    tn_set_int(into->dtype, into->data, to, (int64_t)(sample + 0.5f));
                else if (into->dtype == TN_FLOAT32)
                    ((float *)into->data)[to] = value;
                else
                    tn_set_float(into->dtype, into->data, to, value);
            }
}

int picture_store(tool *t, const picture *from, const recipe *r, tn_tensor *into, int64_t at)
{
    const size_t c = (size_t)r->channels, bytes = sizeof(float);
    const bool same = from->rows == r->rows && from->columns == r->columns;
    float *samples = calloc((size_t)from->rows * (size_t)from->columns * c, bytes);
    float *wide = same ? NULL : calloc((size_t)from->rows * (size_t)r->columns * c, bytes);
    float *sized = same ? NULL : calloc((size_t)r->rows * (size_t)r->columns * c, bytes);
    int code = EXIT_FINE;
    if (!samples || (!same && (!wide || !sized))) {
        code = bad(t, EXIT_TROUBLE, "%s: no memory to resize it", from->name);
    } else {
        to_samples(from, r->channels, samples);
        if (!same) {
            resize_axis(samples, from->rows, from->columns, r->channels, r->columns, wide);
            resize_axis(wide, 1, from->rows, r->columns * r->channels, r->rows, sized);
        }
        store_samples(same ? samples : sized, r, into, at);
    }
    free(sized);
    free(wide);
    free(samples);
    return code;
}
